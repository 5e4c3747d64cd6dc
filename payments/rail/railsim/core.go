package railsim

import (
	"container/heap"
	"errors"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

// core decides everything the rail does. It has no clock, goroutine or I/O: time comes in, and what leaves goes into queues.
// The Sim guards it with its mutex.
type core struct {
	set   *settings
	magic bool
	dedup bool
	delay time.Duration // before a pacs.008 reaches the creditor's bank

	members    []member
	payments   map[uint64]*payment
	byOriginal map[string][]uint64 // what names the original → payments, oldest first
	finished   []uint64            // in the order they finished, for forgetting
	timers     timerHeap
	lastID     uint64 // payments, timers and the rail's own messages are numbered from one counter
	downUntil  time.Time
	once       map[string]plan // what is left for payments refused by "down" or "throttle", by message id
	tls        bool            // the transport has certificates to change
	strange    time.Time       // another authority's certificate is shown until then

	taken        map[string]bool // messages of queues that were taken, by participant and the queue's id
	takenInOrder []string

	log *changes // what the step changed; nil without a store

	emit func(Document)   // told of every message that goes out or came in
	note func(note event) // told of what happened, for metrics
}

// event is one thing to count.
type event struct{ kind, label string }

// member is one participant: its position and what waits for it.
type member struct {
	Participant
	available, reserved int64
	queue               []waiting
	lastSeq             uint64
	wake                chan struct{} // closed when something is queued, then replaced
}

// Status of a payment on the rail.
const (
	stateOpen    = "open"
	stateSettled = "settled"
	stateRefused = "refused"
	stateLost    = "lost" // by the rule of that name: the rail denies it
)

// payment is one execution of one received pacs.008.
type payment struct {
	id               uint64
	m                *rail.Message
	wire             []byte // as received, for the store; nil without one
	debtor, creditor int    // indexes of members; creditor -1 when unknown
	plan             plan
	received         time.Time

	state          string
	status, reason string // as last told to the debtor's bank
	by             rail.Sender
	reserved       bool // the amount is set aside
	asked          bool // the creditor's bank has the pacs.008, or will
	executions     int  // positions moved
	returned       bool
	hush           time.Time // nothing reaches the debtor's bank before
	answers        []string  // statuses queued for the debtor's bank, for the audit
	creditorSaid   string
	carried        bool  // the mischief of the first answer is done
	hold           *hold // until the first answer is acknowledged; nil for none
}

// timer is something that happens at a time: a delivery, or a step of a payment.
type timer struct {
	at      time.Time
	n       uint64 // breaks ties: first armed, first fired
	kind    string
	payment uint64
	to      int // deliveries: member
	wire    []byte
	doc     Document
	status  string // for steps that tell a status
	how     mischief
	heard   chan struct{}
	lasts   time.Duration // of timerDown
}

const (
	timerDeliver    = "deliver"    // wire to the member
	timerTimeout    = "timeout"    // the creditor's bank has not answered
	timerSimulated  = "simulated"  // a simulated bank says yes
	timerTell       = "tell"       // tell the debtor's bank status
	timerContradict = "contradict" // tell it RJCT
	timerReject     = "reject"     // refuse after a silence
	timerReturn     = "return"     // send the money back
	timerDown       = "down"       // a planned down-time begins
	timerUp         = "up"         // the rail is up again
)

type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if c := h[i].at.Compare(h[j].at); c != 0 {
		return c < 0
	}
	return h[i].n < h[j].n
}
func (h timerHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)   { *h = append(*h, x.(*timer)) }
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	*h = old[:len(old)-1]
	return t
}

func newCore(cfg *Config, set *settings, start time.Time) *core {
	c := &core{
		set: set, magic: cfg.MagicAmounts, dedup: cfg.Deduplicate, delay: cfg.DeliverAfter,
		payments: map[uint64]*payment{}, byOriginal: map[string][]uint64{}, once: map[string]plan{}, tls: cfg.TLSDir != "", taken: map[string]bool{},
		// Numbers start at the time, so that they go on rising when a rail without a store starts again.
		lastID: uint64(max(start.UnixMicro(), 0)),
		emit:   func(Document) {}, note: func(event) {},
	}
	for i, p := range cfg.Participants {
		c.members = append(c.members, member{Participant: p, available: set.funds[i], lastSeq: c.lastID, wake: make(chan struct{})})
	}
	return c
}

func (c *core) next() uint64 { c.lastID++; return c.lastID }

func (c *core) after(t *timer) {
	t.n = c.next()
	heap.Push(&c.timers, t)
	if c.log != nil {
		c.log.armed = append(c.log.armed, t)
	}
}

// due returns when the next timer fires.
func (c *core) due() (time.Time, bool) {
	if len(c.timers) == 0 {
		return time.Time{}, false
	}
	return c.timers[0].at, true
}

// advance fires every timer due at now.
func (c *core) advance(now time.Time) {
	for len(c.timers) > 0 && !c.timers[0].at.After(now) {
		t := heap.Pop(&c.timers).(*timer)
		if c.log != nil {
			c.log.fired = append(c.log.fired, t.n)
			c.touch(t.payment)
		}
		c.fire(t, now)
	}
}

// touch notes that a payment changes in this step.
func (c *core) touch(id uint64) {
	if c.log != nil && id != 0 {
		c.log.payments[id] = true
	}
}

// errNotTaken means that the rail has not looked at a message.
var errNotTaken = errors.New("not taken")

// errThrottled is errNotTaken by the rule of that name.
var errThrottled = errors.New("not taken: too many messages")

func (c *core) fault(rule, path, text string) error {
	return &rail.RuleError{Rule: c.set.profile.Name + "." + rule, Path: path, Text: text}
}

// submit takes a decoded message of member from and says what to answer: a rule error when it refuses it, errNotTaken or errThrottled
// when it has not looked at it.
func (c *core) submit(now time.Time, from int, m *rail.Message, wire []byte) reply {
	c.advance(now)
	me := c.members[from].ID
	if m.Header.From != me {
		return reply{err: c.fault("sender.header", "AppHdr/Fr", "a participant sends in its own name")}
	}
	switch {
	case m.Transfer != nil && m.Transfer.Instructing.ID != me:
		return reply{err: c.fault("sender.agent", "Document/FIToFICstmrCdtTrf/CdtTrfTxInf/InstgAgt", "a participant instructs in its own name")}
	case m.Status != nil && m.Status.Instructing.ID != me:
		return reply{err: c.fault("sender.agent", "Document/FIToFIPmtStsRpt/TxInfAndSts/InstgAgt", "a participant answers in its own name")}
	case m.Request != nil && m.Request.Instructing.ID != me:
		return reply{err: c.fault("sender.agent", "Document/FIToFIPmtStsReq/TxInf/InstgAgt", "a participant asks in its own name")}
	}
	if now.Before(c.downUntil) {
		return reply{err: errNotTaken}
	}
	doc := Document{At: now, Dir: rail.ToService, Participant: me, MsgDef: m.MsgDef(), Wire: wire}
	switch {
	case m.Transfer != nil:
		doc.EndToEndID = m.Transfer.EndToEndID
		return c.transfer(now, from, m, wire, doc)
	case m.Status != nil:
		doc.EndToEndID, doc.Status = m.Status.OriginalEndToEnd, m.Status.Status
		return c.answer(now, from, m.Status, doc)
	case c.set.profile.Recovery != rail.Ask:
		return reply{err: c.fault("message.type", "Document", "this rail is not asked: "+c.set.profile.Recovery.String())}
	default:
		doc.EndToEndID = m.Request.OriginalEndToEnd
		return c.enquiry(now, from, m.Request, doc)
	}
}

// planned returns what happens to a message of that kind about t, and what to answer when it is not taken now: it then goes the way of
// the remaining actions when the same message id comes again.
func (c *core) planned(now time.Time, kind, id string, t *iso20022.CreditTransfer) (plan, error) {
	p, again := c.once[id]
	if !again {
		p = c.choose(kind, t)
	}
	delete(c.once, id)
	for _, do := range []string{"down", "throttle"} {
		a := p.find(do)
		if a == nil {
			continue
		}
		if len(c.once) >= c.set.keepMax {
			clear(c.once)
		}
		c.once[id] = p.without(do)
		if do == "down" {
			c.broadcast(now, now, "DOWN")
			c.goDown(now, a.Delay)
			return nil, errNotTaken
		}
		return nil, errThrottled
	}
	if a := p.find("planned"); a != nil {
		c.broadcast(now, now.Add(a.Notice), "DOWN")
		c.after(&timer{at: now.Add(a.Notice), kind: timerDown, lasts: a.Delay})
	}
	if a := p.find("tls"); a != nil {
		c.strange = now.Add(a.Delay)
	}
	return p, nil
}

// transfer takes a pacs.008.
func (c *core) transfer(now time.Time, from int, m *rail.Message, wire []byte, doc Document) reply {
	t := m.Transfer
	// A marked duplicate is looked up, and is a new payment if it is not known: that is what the mark is for. The unmarked first copy of
	// one may come after it.
	marked := m.Header.CpyDplct == "DUPL"
	if p := c.find(from, t.MessageID, t.UETR, t.EndToEndID); p != nil && (c.dedup || (marked || p.marked()) && p.state != stateLost) {
		do, err := c.planned(now, kindResend, "resend "+t.MessageID, t)
		if err != nil {
			return reply{err: err}
		}
		c.emit(doc)
		c.note(event{"duplicate", "pacs.008"})
		return c.asked(now, p, do)
	}
	creditor, known := c.set.byID[t.Instructed.ID]
	if !known {
		creditor = -1
	}
	if len(c.members[from].queue) >= c.set.queueMax || (known && len(c.members[creditor].queue) >= c.set.queueMax) {
		return reply{err: errNotTaken}
	}
	do, err := c.planned(now, kindTransfer, t.MessageID, t)
	if err != nil {
		return reply{err: err}
	}
	p := &payment{
		id: c.next(), m: m, wire: wire, debtor: from, creditor: creditor, plan: do, received: now, state: stateOpen, status: "PDNG", by: rail.Service,
	}
	if c.log == nil {
		p.wire = nil // only the store needs it
	}
	if a := do.find("early"); a != nil {
		p.hold = &hold{heard: make(chan struct{}), most: a.Delay}
	}
	c.open(p)
	c.emit(doc)
	c.begin(now, p)
	return reply{how: do.mischief(onSend), hold: p.hold}
}

// marked reports whether the payment began with a transfer that is marked as sent before.
func (p *payment) marked() bool { return p.m.Header.CpyDplct == "DUPL" }

// open enters a payment under what later messages name it by.
func (c *core) open(p *payment) {
	c.payments[p.id] = p
	c.touch(p.id)
	key := c.original(p.m.Transfer)
	c.byOriginal[key] = append(c.byOriginal[key], p.id)
}

func (c *core) original(t *iso20022.CreditTransfer) string {
	return c.set.profile.Original(t.MessageID, t.EndToEndID)
}

// begin starts the execution of a payment as its action says.
func (c *core) begin(now time.Time, p *payment) {
	t, codes := p.m.Transfer, c.set.profile.Codes
	if p.plan.has("lose") {
		p.state = stateLost
		c.finish(p)
		return
	}
	p.hush = now
	if a := p.plan.find("late"); a != nil {
		p.hush = now.Add(a.Delay)
	}
	silence := p.plan.find("silence")
	if silence != nil {
		until := now.Add(forever)
		if silence.Delay > 0 {
			until = now.Add(silence.Delay)
		}
		if until.After(p.hush) {
			p.hush = until
		}
	}
	rejected := p.plan.find("unknown")
	if rejected == nil {
		rejected = p.plan.find("reject")
	}
	switch {
	case p.creditor < 0:
		c.refuse(now, p, codes.UnknownAgent, rail.Service)
	case !t.AcceptanceTime.IsZero() && now.Sub(t.AcceptanceTime) > c.set.profile.AnswerTimeout:
		c.refuse(now, p, codes.TooLate, rail.Service)
	case c.members[p.debtor].available < t.Amount.Minor:
		c.refuse(now, p, codes.NoFunds, rail.Service)
	case rejected != nil:
		by := rail.Participant
		if rejected.By == "service" {
			by = rail.Service
		}
		c.refuse(now, p, rejected.Code, by)
	default:
		c.members[p.debtor].available -= t.Amount.Minor
		c.members[p.debtor].reserved += t.Amount.Minor
		p.reserved = true
		if silence != nil && silence.Then == "reject" {
			c.after(&timer{at: p.hush, kind: timerReject, payment: p.id})
			return
		}
		c.forward(now, p)
	}
}

// forward passes the pacs.008 on to the creditor's bank and starts its clock.
func (c *core) forward(now time.Time, p *payment) {
	prof := c.set.profile
	m := *p.m
	m.Header = prof.NewHeader(prof.Service, c.members[p.creditor].ID, rail.MsgTransfer, p.m.Transfer.MessageID, now)
	at := now.Add(c.delay)
	for _, a := range p.plan {
		at = at.Add(a.DeliverAfter)
	}
	p.asked = true
	c.send(now, at, p.creditor, &m)
	if c.members[p.creditor].Simulated {
		c.after(&timer{at: at.Add(c.members[p.creditor].AnswerAfter), kind: timerSimulated, payment: p.id})
	}
	c.after(&timer{at: at.Add(prof.ServiceTimeout), kind: timerTimeout, payment: p.id})
}

// answer takes a pacs.002 of the creditor's bank.
func (c *core) answer(now time.Time, from int, s *iso20022.StatusReport, doc Document) reply {
	var p *payment
	for _, id := range c.byOriginal[c.set.profile.Original(s.OriginalMessageID, s.OriginalEndToEnd)] {
		if x := c.payments[id]; x.creditor == from && x.fits(s.OriginalUETR, s.OriginalEndToEnd) && x.state != stateLost {
			if p == nil || p.state != stateOpen {
				p = x // of copies of one message the oldest open one, else the last
			}
		}
	}
	if p == nil || s.OriginalMsgName != rail.MsgTransfer && !c.set.profile.OriginalByEndToEnd {
		return reply{err: c.fault("original.unknown", "Document/FIToFIPmtStsRpt", "the answer names no payment that was delivered to this participant")}
	}
	do, err := c.planned(now, kindAnswer, "answer "+s.MessageID, p.m.Transfer)
	if err != nil {
		return reply{err: err}
	}
	c.emit(doc)
	taken := reply{how: do.mischief(onSend)}
	if do.has("lose") {
		return taken
	}
	c.touch(p.id)
	p.creditorSaid = s.Status
	if p.state != stateOpen {
		c.afterFinal(now, p, s)
		return taken
	}
	switch s.Status {
	case "RJCT":
		c.refuse(now, p, s.Reason, rail.Participant)
	case "PDNG":
		c.tell(now, p, "PDNG", "", rail.Participant)
	case "ACWP":
		c.settle(now, p, "ACWP")
	case c.set.profile.Yes, "ACCC": // on RTP and FedNow ACTC, on SEPA ACCP, on Pix ACSP
		c.settle(now, p, "")
	default: // BLCK without ACWP before
		c.note(event{"ignored", s.Status})
	}
	return taken
}

// afterFinal takes what the creditor's bank says once the payment is settled or refused.
func (c *core) afterFinal(now time.Time, p *payment, s *iso20022.StatusReport) {
	if p.state == stateSettled && p.status == "ACWP" {
		switch s.Status {
		case "ACCC", "BLCK":
			c.tell(now, p, s.Status, "", rail.Service)
			return
		case "RJCT":
			c.tell(now, p, "RJCT", s.Reason, rail.Participant)
			return
		}
	}
	c.note(event{"contradiction", s.Status})
	c.tellCreditor(now, p)
}

// settle moves the positions and tells both sides. status is what the debtor's bank hears; empty means the rail's plain word for settled.
func (c *core) settle(now time.Time, p *payment, status string) {
	amount := p.m.Transfer.Amount.Minor
	c.members[p.debtor].reserved -= amount
	c.members[p.creditor].available += amount
	p.reserved = false
	p.executions++
	p.state = stateSettled
	c.finish(p)
	if status == "" {
		status = c.set.profile.Settled
	}
	for _, a := range p.plan {
		later := now.Add(a.Delay)
		switch a.Do {
		case "pending":
			status = c.set.profile.Pending
			c.after(&timer{at: later, kind: timerTell, payment: p.id, status: c.set.profile.Posted})
		case "block":
			status = "ACWP"
			c.after(&timer{at: later, kind: timerTell, payment: p.id, status: "BLCK"})
		case "contradict":
			c.after(&timer{at: later, kind: timerContradict, payment: p.id})
		case "return":
			c.after(&timer{at: later, kind: timerReturn, payment: p.id})
		}
	}
	c.tellCreditor(now, p)
	c.tell(now, p, status, "", rail.Service)
	c.note(event{"settled", ""})
}

// refuse ends a payment without moving money and tells the debtor's bank, and the creditor's when it had been asked.
func (c *core) refuse(now time.Time, p *payment, reason string, by rail.Sender) {
	if p.reserved {
		p.reserved = false
		c.members[p.debtor].reserved -= p.m.Transfer.Amount.Minor
		c.members[p.debtor].available += p.m.Transfer.Amount.Minor
	}
	p.state, p.reason, p.by = stateRefused, reason, by
	c.finish(p)
	if a := p.plan.find("contradict"); a != nil {
		c.after(&timer{at: now.Add(a.Delay), kind: timerContradict, payment: p.id})
	}
	c.tell(now, p, "RJCT", reason, by)
	if by == rail.Service && p.asked {
		c.tellCreditor(now, p)
	}
	c.note(event{"refused", reason})
}

func (p *payment) fits(uetr payments.UETR, e2e payments.EndToEndID) bool {
	t := p.m.Transfer
	return (uetr == "" || t.UETR == "" || uetr == t.UETR) && (e2e == "" || e2e == t.EndToEndID)
}

// find returns the last payment of that debtor's bank with those ids.
func (c *core) find(from int, message string, uetr payments.UETR, e2e payments.EndToEndID) *payment {
	ids := c.byOriginal[c.set.profile.Original(message, e2e)]
	for i := len(ids) - 1; i >= 0; i-- {
		if p := c.payments[ids[i]]; p.debtor == from && p.fits(uetr, e2e) {
			return p
		}
	}
	return nil
}
