package railsim

import (
	"bytes"
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
		c.enqueue(t.to, t.wire, t.doc)
		return
	}
	if t.kind == timerUp {
		c.broadcast(now, "UP")
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
			by := rail.Service
			if p.action.By == "creditor" {
				by = rail.Participant
			}
			c.refuse(now, p, p.action.Code, by)
		}
	case timerTell:
		c.tell(now, p, t.status, "", rail.Service)
	case timerContradict:
		// What the rail itself holds true stays: an enquiry still says settled.
		status, reason, by := p.status, p.reason, p.by
		c.tell(now, p, "RJCT", p.action.Code, rail.Service)
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

// tell queues a status for the debtor's bank, not before the payment's silence ends.
func (c *core) tell(now time.Time, p *payment, status, reason string, by rail.Sender) {
	p.status, p.reason, p.by = status, reason, by
	at := now
	if p.hush.After(now) {
		at = p.hush
		if p.action.Do == "silence" && p.action.Delay < 0 {
			return
		}
	}
	p.answers = append(p.answers, status)
	junk := Document{At: now, Dir: rail.FromService, Participant: c.members[p.debtor].ID, MsgDef: "garbled"}
	m := c.report(now, p.debtor, p.m.Transfer, status, reason, c.voice(p, by))
	send := c.send
	switch p.action.Do {
	case "duplicate":
		p.answers = append(p.answers, status)
		send = c.twice
	case "garbled":
		c.enqueue(p.debtor, []byte("this is no message <"), junk)
	case "huge":
		c.enqueue(p.debtor, bytes.Repeat([]byte("x"), c.set.profile.SizeMaxBytes+1), junk)
	case "amount":
		m.Status.OriginalAmount = payments.Amount{Minor: p.m.Transfer.Amount.Minor + 1, Currency: p.m.Transfer.Amount.Currency}
	case "skew":
		m.Status.Created, m.Header.Created = m.Status.Created.Add(p.action.Delay), m.Header.Created.Add(p.action.Delay)
	}
	send(now, at, p.debtor, m)
	if p.action.Do == "stray" {
		stray := *p.m.Transfer
		stray.MessageID, stray.EndToEndID, stray.UETR = c.serviceID(now), "STRAY", ""
		stray.InstructionID, stray.TransactionID = "", ""
		c.send(now, at, p.debtor, c.report(now, p.debtor, &stray, status, reason, c.set.profile.Service))
	}
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
	send := c.send
	if p.action.Do == "duplicate" {
		send = c.twice
	}
	send(now, now, p.creditor, c.report(now, p.creditor, p.m.Transfer, status, reason, c.voice(p, by)))
}

// repeat tells the debtor's bank again what it was told last.
func (c *core) repeat(now time.Time, p *payment) {
	c.touch(p.id)
	p.answers = append(p.answers, p.status)
	c.send(now, now, p.debtor, c.report(now, p.debtor, p.m.Transfer, p.status, p.reason, c.voice(p, p.by)))
}

// enquiry takes a pacs.028.
func (c *core) enquiry(now time.Time, from int, r *iso20022.StatusRequest, doc Document) error {
	c.emit(doc)
	p := c.find(from, r.OriginalMessageID, r.OriginalUETR, r.OriginalEndToEnd)
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
	case p.action.Do == "silence" && p.hush.After(now):
		c.note(event{"enquiry", "silence"})
	default:
		c.repeat(now, p)
		c.note(event{"enquiry", p.status})
	}
	return nil
}

// send encodes m and queues it for member to, at once or when at comes.
func (c *core) send(now, at time.Time, to int, m *rail.Message) {
	wire, err := c.set.profile.Encode(m)
	if err != nil {
		// What came in kept the same rules, so this is a mistake of ours; the payment then looks like a silence.
		c.note(event{"unsendable", m.MsgDef()})
		return
	}
	doc := Document{At: now, Dir: rail.FromService, Participant: c.members[to].ID, MsgDef: m.MsgDef()}
	switch {
	case m.Transfer != nil:
		doc.EndToEndID = m.Transfer.EndToEndID
	case m.Status != nil:
		doc.EndToEndID, doc.Status = m.Status.OriginalEndToEnd, m.Status.Status
	}
	c.deliver(now, at, to, wire, doc)
}

// twice queues again, byte for byte, what send queues.
func (c *core) twice(now, at time.Time, to int, m *rail.Message) {
	c.send(now, at, to, m)
	c.send(now, at, to, m)
}

func (c *core) deliver(now, at time.Time, to int, wire []byte, doc Document) {
	if at.After(now) {
		c.after(&timer{at: at, kind: timerDeliver, to: to, wire: wire, doc: doc})
		return
	}
	c.enqueue(to, wire, doc)
}

// enqueue puts a message into a queue and wakes who waits for it. A bank that only the rail plays has no queue.
func (c *core) enqueue(to int, wire []byte, doc Document) {
	m := &c.members[to]
	doc.Wire = wire
	c.emit(doc)
	if m.Simulated && m.Token == "" {
		return
	}
	m.lastSeq = max(m.lastSeq+1, c.next())
	m.queue = append(m.queue, rail.Delivery{Seq: m.lastSeq, Wire: wire})
	if c.log != nil {
		c.log.queued = append(c.log.queued, queued{to, m.queue[len(m.queue)-1]})
	}
	close(m.wake)
	m.wake = make(chan struct{})
}

// take acknowledges everything up to after and returns at most max messages that follow, with the channel that closes at the next one.
func (c *core) take(of int, after uint64, max int) ([]rail.Delivery, <-chan struct{}) {
	m := &c.members[of]
	i := 0
	for i < len(m.queue) && m.queue[i].Seq <= after {
		i++
	}
	m.queue = slices.Delete(m.queue, 0, i)
	if c.log != nil && i > 0 {
		c.log.acked[of] = after
	}
	return slices.Clone(m.queue[:min(max, len(m.queue))]), m.wake
}

// seen and remember keep which payments "down" and "throttle" have refused once.
func (c *core) seen(t *iso20022.CreditTransfer) bool { return c.once[t.MessageID] }

func (c *core) remember(t *iso20022.CreditTransfer) {
	if len(c.once) >= c.set.keepMax {
		clear(c.once)
	}
	c.once[t.MessageID] = true
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

// goDown announces that the rail is down and stops taking messages for d.
func (c *core) goDown(now time.Time, d time.Duration) {
	c.downUntil = now.Add(d)
	c.note(event{"down", ""})
	c.broadcast(now, "DOWN")
	c.after(&timer{at: c.downUntil, kind: timerUp})
}
