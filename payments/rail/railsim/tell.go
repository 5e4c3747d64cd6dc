package railsim

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

// fire does what a timer says.
func (c *core) fire(t *timer, now time.Time) {
	if t.kind == timerDeliver {
		t.doc.At = now
		c.enqueue(t.to, t.wire, t.doc, t.how, t.heard)
		return
	}
	switch t.kind {
	case timerDown:
		c.goDown(now, t.lasts)
		return
	case timerUp:
		c.broadcast(now, now, "UP")
		return
	}
	p := c.payments[t.payment]
	if p == nil {
		return // finished and forgotten
	}
	switch t.kind {
	case timerTimeout:
		if p.state == stateOpen {
			c.refuse(now, p, c.set.profile.Codes.CreditorTimeout, rail.Service)
		}
	case timerSimulated:
		if p.state == stateOpen {
			p.creditorSaid = c.set.profile.Yes
			c.settle(now, p, "")
		}
	case timerReject:
		if p.state == stateOpen {
			a, by := p.plan.find("silence"), rail.Service
			if a.By == "creditor" {
				by = rail.Participant
			}
			c.refuse(now, p, a.Code, by)
		}
	case timerTell:
		c.tell(now, p, t.status, "", rail.Service)
	case timerContradict:
		// What the rail itself holds true stays: an enquiry still says the first.
		status, reason, by := p.status, p.reason, p.by
		if p.state == stateSettled {
			c.tell(now, p, "RJCT", p.plan.find("contradict").Code, rail.Service)
		} else {
			c.tell(now, p, c.set.profile.Settled, "", rail.Service)
		}
		p.status, p.reason, p.by = status, reason, by
	case timerReturn:
		c.sendBack(now, p)
	}
}

// serviceID makes the id of one of the rail's own messages.
func (c *core) serviceID(now time.Time) string {
	id, err := c.set.profile.MessageID(c.set.profile.Service, now, strconv.FormatUint(c.next(), 36))
	if err != nil {
		panic("railsim: " + err.Error()) // the suffix is at most 13 digits or letters
	}
	return id
}

// report makes a pacs.002 of the rail to member to, about t.
func (c *core) report(now time.Time, to int, t *iso20022.CreditTransfer, status, reason string, by payments.AgentID) *rail.Message {
	p := c.set.profile
	id := c.serviceID(now)
	s := p.NewReport(t, id, now)
	s.Status = status
	if by == p.Service && p.ServiceReasonIsPrtry {
		s.ReasonPrtry = reason
	} else {
		s.Reason = reason
	}
	s.Instructing, s.Instructed = p.Agent(by), p.Agent(c.members[to].ID)
	return &rail.Message{Header: p.NewHeader(p.Service, c.members[to].ID, rail.MsgStatus, id, now), Status: s}
}

// tell queues a status for the debtor's bank, as the payment's plan shapes it and not before its silence ends.
func (c *core) tell(now time.Time, p *payment, status, reason string, by rail.Sender) {
	p.status, p.reason, p.by = status, reason, by
	at := now
	if p.hush.After(now) {
		at = p.hush
	}
	first := !p.carried
	p.carried = true
	c.say(now, at, p, p.plan, first, p.hold, status, reason, by)
}

// say queues a status of p for the debtor's bank at the time at, with all that do adds to it. What comes beside an answer comes at once,
// even if the answer never does. With first,
// the mischief in transit is done to this answer, and its acknowledgement ends h.
func (c *core) say(now, at time.Time, p *payment, do plan, first bool, h *hold, status, reason string, by rail.Sender) {
	to := p.debtor
	if do.has("gap") {
		c.members[to].lastSeq += gapNumbers
	}
	junk := Document{At: now, Dir: rail.FromService, Participant: c.members[to].ID, MsgDef: "garbled"}
	if do.has("garbled") {
		c.enqueue(to, []byte(textJunk), junk, mischief{}, nil)
	}
	if a := do.find("huge"); a != nil && a.On != onSend {
		c.enqueue(to, []byte(textJunk), junk, mischief{oversize: true}, nil)
	}
	if do.has("stray") && first {
		stray := *p.m.Transfer
		stray.MessageID, stray.EndToEndID, stray.UETR = c.serviceID(now), "STRAY", ""
		stray.InstructionID, stray.TransactionID = "", ""
		if c.set.profile.OriginalByEndToEnd {
			stray.EndToEndID = payments.NewPixEndToEndID(c.members[to].ID, now, stray.MessageID)
		}
		c.send(now, now, to, c.report(now, to, &stray, status, reason, c.set.profile.Service))
	}
	if a := do.find("silence"); a != nil && a.Delay < 0 {
		return
	}
	p.answers = append(p.answers, status)
	m := c.report(now, to, p.m.Transfer, status, reason, c.voice(p, by))
	if a := do.find("skew"); a != nil {
		m.Status.Created, m.Header.Created = m.Status.Created.Add(a.Delay), m.Header.Created.Add(a.Delay)
	}
	wire, doc, ok := c.encode(now, to, m)
	if !ok {
		return
	}
	if do.has("amount") || do.has("currency") {
		if wire, ok = c.misstate(p, do, m, wire); !ok {
			return
		}
	}
	var how mischief
	var heard chan struct{}
	if first {
		how = do.mischief(onAnswer)
		how.oversize = false // that is the message before it
		if h != nil {
			heard = h.heard
		}
	}
	c.deliver(now, at, to, wire, doc, how, heard)
	if do.has("duplicate") {
		p.answers = append(p.answers, status)
		c.deliver(now, at, to, wire, doc, mischief{}, nil)
	}
}

// gapNumbers is how many sequence numbers the action "gap" leaves out.
const gapNumbers = 1_000_000

// misstate makes an answer name another amount or currency for its payment. On a rail whose report names no amount it stands in an
// element that the rail does not have.
func (c *core) misstate(p *payment, do plan, m *rail.Message, wire []byte) ([]byte, bool) {
	a := p.m.Transfer.Amount
	if do.has("amount") {
		a.Minor++
	}
	if do.has("currency") {
		a.Currency = "CHF" // of no rail here
	}
	if c.set.profile.OriginalByEndToEnd {
		wrong := fmt.Sprintf(`<OrgnlTxRef><IntrBkSttlmAmt Ccy="%s">%s</IntrBkSttlmAmt></OrgnlTxRef></TxInfAndSts>`, a.Currency, a.Text())
		return bytes.Replace(wire, []byte("</TxInfAndSts>"), []byte(wrong), 1), true
	}
	m.Status.OriginalAmount = a
	wire, err := c.set.profile.Encode(m)
	if err != nil {
		c.note(event{"unsendable", m.MsgDef()})
	}
	return wire, err == nil
}

// voice returns the agent in whose name a status is given.
func (c *core) voice(p *payment, by rail.Sender) payments.AgentID {
	if by == rail.Participant {
		return p.m.Transfer.Instructed.ID
	}
	return c.set.profile.Service
}

// tellCreditor queues the rail's final word on a payment for the creditor's bank.
func (c *core) tellCreditor(now time.Time, p *payment) {
	if p.creditor < 0 {
		return
	}
	status, reason, by := c.set.profile.SettledCreditor, "", rail.Service
	if p.state == stateRefused {
		status, reason, by = "RJCT", p.reason, p.by
	}
	wire, doc, ok := c.encode(now, p.creditor, c.report(now, p.creditor, p.m.Transfer, status, reason, c.voice(p, by)))
	if !ok {
		return
	}
	c.deliver(now, now, p.creditor, wire, doc, mischief{}, nil)
	if p.plan.has("duplicate") {
		c.deliver(now, now, p.creditor, wire, doc, mischief{}, nil)
	}
}

// asked tells the debtor's bank again what it was told last, as do shapes it, unless the payment is silent.
func (c *core) asked(now time.Time, p *payment, do plan) reply {
	taken := reply{how: do.mischief(onSend)}
	if do.has("lose") {
		return taken
	}
	if p.plan.has("silence") && p.hush.After(now) {
		c.note(event{"enquiry", "silence"})
		return taken
	}
	at := now
	for _, name := range []string{"late", "silence"} {
		if a := do.find(name); a != nil && now.Add(a.Delay).After(at) {
			at = now.Add(a.Delay)
		}
	}
	if a := do.find("early"); a != nil {
		taken.hold = &hold{heard: make(chan struct{}), most: a.Delay}
	}
	c.touch(p.id)
	c.say(now, at, p, do, true, taken.hold, p.status, p.reason, p.by)
	c.note(event{"enquiry", p.status})
	return taken
}

// enquiry takes a pacs.028.
func (c *core) enquiry(now time.Time, from int, r *iso20022.StatusRequest, doc Document) reply {
	p := c.find(from, r.OriginalMessageID, r.OriginalUETR, r.OriginalEndToEnd)
	var do plan
	if p != nil {
		var err error
		if do, err = c.planned(now, kindEnquiry, "enquiry "+r.MessageID, p.m.Transfer); err != nil {
			return reply{err: err}
		}
	}
	c.emit(doc)
	switch {
	case p == nil || p.state == stateLost || r.OriginalMsgName != rail.MsgTransfer:
		unknown := &iso20022.CreditTransfer{
			MessageID: r.OriginalMessageID, Created: r.OriginalCreated, InstructionID: r.OriginalInstruction,
			EndToEndID: r.OriginalEndToEnd, TransactionID: r.OriginalTransaction, UETR: r.OriginalUETR,
		}
		m := c.report(now, from, unknown, "RJCT", c.set.profile.Codes.NotFound, c.set.profile.Service)
		m.Status.OriginalMsgName = r.OriginalMsgName
		c.send(now, now, from, m)
		c.note(event{"enquiry", "not found"})
	default:
		return c.asked(now, p, do)
	}
	return reply{how: do.mischief(onSend)}
}

// send encodes m and queues it for member to, at once or when at comes.
func (c *core) send(now, at time.Time, to int, m *rail.Message) {
	if wire, doc, ok := c.encode(now, to, m); ok {
		c.deliver(now, at, to, wire, doc, mischief{}, nil)
	}
}

// encode writes m for member to.
func (c *core) encode(now time.Time, to int, m *rail.Message) ([]byte, Document, bool) {
	wire, err := c.set.profile.Encode(m)
	if err != nil {
		// What came in kept the same rules, so this is a mistake of ours; the payment then looks like a silence.
		c.note(event{"unsendable", m.MsgDef()})
		return nil, Document{}, false
	}
	doc := Document{At: now, Dir: rail.FromService, Participant: c.members[to].ID, MsgDef: m.MsgDef()}
	switch {
	case m.Transfer != nil:
		doc.EndToEndID = m.Transfer.EndToEndID
	case m.Status != nil:
		doc.EndToEndID, doc.Status = m.Status.OriginalEndToEnd, m.Status.Status
	}
	return wire, doc, true
}

func (c *core) deliver(now, at time.Time, to int, wire []byte, doc Document, how mischief, heard chan struct{}) {
	if at.After(now) {
		c.after(&timer{at: at, kind: timerDeliver, to: to, wire: wire, doc: doc, how: how, heard: heard})
		return
	}
	c.enqueue(to, wire, doc, how, heard)
}

// enqueue puts a message into a queue and wakes who waits for it. A bank that only the rail plays has no queue.
func (c *core) enqueue(to int, wire []byte, doc Document, how mischief, heard chan struct{}) {
	m := &c.members[to]
	doc.Wire = wire
	c.emit(doc)
	if m.Simulated && m.Token == "" {
		return
	}
	m.lastSeq = max(m.lastSeq+1, c.next())
	m.queue = append(m.queue, waiting{rail.Delivery{Seq: m.lastSeq, Wire: wire}, how, heard})
	if c.log != nil {
		c.log.queued = append(c.log.queued, queued{to, m.queue[len(m.queue)-1].Delivery})
	}
	close(m.wake)
	m.wake = make(chan struct{})
}

// take acknowledges everything up to after and returns at most max messages that follow, with the channel that closes at the next one. A
// message with mischief comes alone, and well the next time.
func (c *core) take(of int, after uint64, max int) (b batch, wake <-chan struct{}) {
	m := &c.members[of]
	i := 0
	for i < len(m.queue) && m.queue[i].Seq <= after {
		if m.queue[i].heard != nil {
			close(m.queue[i].heard)
		}
		i++
	}
	m.queue = slices.Delete(m.queue, 0, i)
	if c.log != nil && i > 0 {
		c.log.acked[of] = after
	}
	for j := range m.queue[:min(max, len(m.queue))] {
		w := &m.queue[j]
		if w.how != (mischief{}) {
			if j == 0 {
				b, w.how = batch{[]rail.Delivery{w.Delivery}, w.how}, mischief{}
			}
			break
		}
		b.deliveries = append(b.deliveries, w.Delivery)
	}
	return b, m.wake
}

// finish notes that a payment is over and forgets the oldest beyond the bound.
func (c *core) finish(p *payment) {
	c.finished = append(c.finished, p.id)
	for len(c.finished) > c.set.keepMax {
		old := c.payments[c.finished[0]]
		c.finished = c.finished[1:]
		id := c.original(old.m.Transfer)
		c.byOriginal[id] = slices.DeleteFunc(c.byOriginal[id], func(x uint64) bool { return x == old.id })
		if len(c.byOriginal[id]) == 0 {
			delete(c.byOriginal, id)
		}
		delete(c.payments, old.id)
		c.touch(old.id)
	}
}

// goDown stops taking messages for d, and announces the end of that.
func (c *core) goDown(now time.Time, d time.Duration) {
	if until := now.Add(d); until.After(c.downUntil) {
		c.downUntil = until
	}
	c.note(event{"down", ""})
	c.after(&timer{at: now.Add(d), kind: timerUp})
}
