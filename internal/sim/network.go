package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
)

// Clocks of the simulated rail.
const (
	answerTime  = 20 * time.Second // what the connectors wait for
	serviceTime = 14 * time.Second // what the rail waits for the creditor's bank
)

// network is the rail and the truth about money: it carries out every transfer that arrives, also a second one with the same ids. It
// loses, delays, repeats, stays silent, and sometimes lies after it has told the truth.
type network struct {
	w      *world
	txs    []*transfer
	byMsg  map[string]*transfer
	queues map[payments.AgentID][]delivery
	left   map[payments.EndToEndID]int // transmissions that left a bank, by transfer
	asked  map[string]int              // enquiries, by message

	refused map[string]bool // at the door, by message
	stray   uint64
}

type transfer struct {
	wire   railWire
	state  rail.Kind // Waiting, Settled, Rejected
	reason string
}

// delivery is a message that waits for a bank until it is acknowledged.
type delivery struct {
	seq  uint64
	id   string
	wire []byte
}

// railWire is every message on the simulated rail.
type railWire struct {
	Kind                              string // "pacs.008", "pacs.002", "pacs.028"
	X                                 connector.Execution
	Minor                             int64             `json:",omitempty"`
	Currency                          payments.Currency `json:",omitempty"`
	Debtor, Creditor                  string            `json:",omitempty"`
	Reference                         string            `json:",omitempty"`
	Status, Reason                    string            `json:",omitempty"` // pacs.002
	Meaning                           rail.Kind         `json:",omitempty"`
	N                                 int               `json:",omitempty"` // pacs.028
	Again                             bool              `json:",omitempty"` // pacs.008: marked as sent before
	DebtorAgent, CreditorAgent, Payer payments.AgentID  `json:",omitempty"`
}

// wireMessages is connector.Messages of the simulated rail.
type wireMessages struct {
	agent payments.AgentID
	kind  *kind
	bug   string
}

func (m wireMessages) Transfer(p connector.Payment, now time.Time) (connector.Execution, []byte, error) {
	e2e := p.Intent.EndToEndID()
	x := connector.Execution{MessageID: "M" + string(e2e), EndToEnd: e2e, UETR: payments.NewUETR(p.Intent, string(m.agent)),
		Created: now, Accepted: now, From: m.agent, To: "RAIL", Instructing: m.agent, Instructed: p.Creditor.Agent}
	if !m.kind.uetr {
		x.UETR = ""
	}
	if m.kind.ownIDs {
		x.Intent, x.EndToEnd = p.Intent, payments.NewPixEndToEndID("99999010", now, string(p.Intent))
	}
	w := railWire{Kind: "pacs.008", X: x, Minor: p.Amount.Minor, Currency: p.Amount.Currency, Debtor: p.Debtor.Account.Reveal(),
		Creditor: p.Creditor.Account.Reveal(), Reference: p.Reference, DebtorAgent: p.Debtor.Agent, CreditorAgent: p.Creditor.Agent}
	if m.bug == "amount-altered" {
		w.Minor++
	}
	b, err := json.Marshal(w)
	return x, b, err
}

func (m wireMessages) Enquiry(p connector.Payment, n int, now time.Time) ([]byte, error) {
	return json.Marshal(railWire{Kind: "pacs.028", X: p.Execution, N: n})
}

func (m wireMessages) Again(sent []byte) ([]byte, error) {
	var w railWire
	if err := json.Unmarshal(sent, &w); err != nil {
		return nil, err
	}
	w.Again = m.bug != "resend-unmarked"
	if m.bug == "resend-new-id" {
		w.X.MessageID += "A"
	}
	return json.Marshal(w)
}

func (m wireMessages) Reply(p connector.Payment, status, reason string, now time.Time) ([]byte, error) {
	return json.Marshal(railWire{Kind: "pacs.002", X: p.Execution, Status: status, Reason: reason})
}

func newNetwork(w *world) *network {
	return &network{w: w, byMsg: map[string]*transfer{}, queues: map[payments.AgentID][]delivery{}, left: map[payments.EndToEndID]int{}, asked: map[string]int{}, refused: map[string]bool{}}
}

// send is a bank's call of the transport. What the bank hears comes later, by answer; the message may arrive or not whatever it hears.
func (n *network) send(b *bank, raw []byte, answer func(connector.SendResult)) {
	w := n.w
	var m railWire
	if err := json.Unmarshal(raw, &m); err != nil {
		w.violate("2 journal before send", "a bank sent what it cannot have encoded: %v", err)
		return
	}
	f := &w.faults
	if w.faulty(f.transportDown) {
		b.later(w.between(time.Millisecond, 200*time.Millisecond), func() { answer(connector.SentNot) })
		return
	}
	n.leaves(b, m, raw)
	result := connector.SentAccepted
	arrives := true
	switch {
	case w.faulty(f.transportLost * 0.3):
		result, arrives = connector.SentRefused, false
		if w.kind.recovery == rail.Wait { // an HTTP answer proves nothing
			arrives = w.rng.IntN(2) == 0
		} else if !m.Again {
			n.refused[m.X.MessageID] = true
		}
	case w.faulty(f.transportAmbiguous):
		result, arrives = connector.SentAmbiguous, w.rng.IntN(2) == 0
	case w.faulty(f.railLose):
		w.counts.LostOnRail++
		arrives = false
	}
	if arrives {
		delay := 5 * time.Millisecond
		if w.faulty(0.5) {
			delay += time.Duration(w.rng.Int64N(int64(f.railDelay) + 1))
		}
		w.after(delay, func() { n.arrives(m) })
	}
	b.later(w.between(time.Millisecond, 300*time.Millisecond), func() { answer(result) })
}

// leaves checks what must hold when a byte leaves a bank.
func (n *network) leaves(b *bank, m railWire, raw []byte) {
	w := n.w
	switch m.Kind {
	case "pacs.008":
		n.left[m.X.EndToEnd]++
		id := connector.RecordID(m.X)
		if n.left[m.X.EndToEnd] > 1 || m.Again { // the first may never have left
			n.leavesAgain(b, id, m, raw)
			return
		}
		rec, err := b.journal.Payment(ctx, journal.Key{Intent: id, Side: lifecycle.Debtor})
		if err != nil {
			w.violate("2 journal before send", "%s left: %v", id, err)
			return
		}
		if rec.Status.Rank() < lifecycle.Submitting.Rank() {
			w.violate("2 journal before send", "%s left while the journal says %q", id, rec.Status)
			return
		}
		p, err := connector.DecodePayment(rec.State)
		if err != nil || p.Execution.Hash != connector.Digest(journal.HashOf(raw)) {
			w.violate("2 journal before send", "%s left with other bytes than the journal has", id)
		}
		w.check.left(id, m)
	case "pacs.028":
		n.asked[m.X.MessageID]++
		w.counts.Enquiries++
		if n.asked[m.X.MessageID] > 3 {
			w.violate("A4 enquiries are bounded", "%s was asked after %d times", m.X.MessageID, n.asked[m.X.MessageID])
		}
		if w.kind.recovery != rail.Ask {
			w.violate("A4 enquiries are bounded", "%s was asked after, on a rail that is not asked", m.X.MessageID)
		}
		if rows := n.rows(b, connector.RecordID(m.X), "enquiry", raw); n.asked[m.X.MessageID] > rows {
			w.violate("A4 enquiries are bounded", "%s was asked after %d times, the journal has %d", m.X.MessageID, n.asked[m.X.MessageID], rows)
		}
		n.tooEarly(m)
	}
}

// tooEarly checks that a step of the ladder was not taken before the answer was overdue. The bank's clock may be off by 8 s.
func (n *network) tooEarly(m railWire) {
	if early := m.X.Created.Add(answerTime).Sub(n.w.now); early > 10*time.Second {
		n.w.violate("A4 enquiries are bounded", "asked or sent again %v before the answer was due", early)
	}
}

// rows counts the steps of a payment's ladder in the journal, and is 0 if raw is none of them.
func (n *network) rows(b *bank, id payments.IntentID, step string, raw []byte) (count int) {
	found := false
	for i := 1; i <= 4; i++ {
		row, err := b.journal.OutboxRow(ctx, fmt.Sprintf("debtor/%s/%s-%d", id, step, i))
		if err != nil {
			break
		}
		count++
		found = found || bytes.Equal(row.Body, raw)
	}
	if !found {
		return 0
	}
	return count
}

// leavesAgain checks a transfer that was sent before: only where the rail knows the ids, with the mark and nothing else changed, each
// recorded first, three times at most.
func (n *network) leavesAgain(b *bank, id payments.IntentID, m railWire, raw []byte) {
	w, times := n.w, n.left[m.X.EndToEnd]
	w.counts.Resends++
	if w.kind.recovery != rail.ResendMarked || !m.Again || times > 4 {
		w.violate("3 at most one transmission", "%s was sent %d times", id, times)
		return
	}
	first, err := b.journal.OutboxRow(ctx, fmt.Sprintf("debtor/%s/transfer", id))
	m.Again = false
	if same, _ := json.Marshal(m); err != nil || !bytes.Equal(same, first.Body) {
		w.violate("3 at most one transmission", "%s was sent again with other ids or bytes", id)
	}
	w.check.left(id, m)
	if rows := n.rows(b, id, "again", raw); rows == 0 || times > 1+rows {
		w.violate("2 journal before send", "%s left %d times, the journal has %d repetitions", id, times, rows)
	}
	n.tooEarly(m)
}

func (n *network) arrives(m railWire) {
	switch m.Kind {
	case "pacs.008":
		// The rail knows the ids of what was sent again, also when the first copy is the one that comes late.
		if t := n.byMsg[m.X.MessageID]; t != nil && (m.Again || t.wire.Again) {
			n.known(t, m)
			return
		}
		t := &transfer{wire: m, state: rail.Waiting}
		n.txs = append(n.txs, t)
		n.byMsg[m.X.MessageID] = t
		n.w.note("rail takes %s", m.X.MessageID)
		if n.w.faulty(n.w.faults.railRefuse) {
			n.decide(t, rail.Rejected, "AC06")
			return
		}
		if n.w.now.Sub(m.X.Accepted) > tooOld {
			n.decide(t, rail.Rejected, "TM01")
			return
		}
		if !n.w.kind.uetr && !n.w.kind.ownIDs { // no acceptance time: the creditor's bank counts from now
			m.X.Accepted = n.w.now
		}
		n.enqueue(m.CreditorAgent, "fwd-"+m.X.MessageID+fmt.Sprint(len(n.txs)), m)
		n.w.after(serviceTime, func() {
			if t.state == rail.Waiting {
				n.decide(t, rail.Rejected, "AB05")
				n.report(t, t.wire.CreditorAgent, rail.Rejected, "RJCT", "AB05", true)
			}
		})
	case "pacs.002":
		t := n.byMsg[m.X.MessageID]
		if t == nil || t.state != rail.Waiting {
			return // too late, or an answer that was repeated
		}
		if m.Status == "RJCT" {
			n.decide(t, rail.Rejected, m.Reason)
			return
		}
		n.w.check.effect(t)
		n.decide(t, rail.Settled, "")
		n.report(t, t.wire.CreditorAgent, rail.Settled, "ACSC", "", true)
	case "pacs.028":
		t := n.byMsg[m.X.MessageID]
		switch {
		case t == nil:
			n.report(&transfer{wire: m}, m.X.From, rail.NotFound, "RJCT", "NF", false)
		case t.state == rail.Waiting:
			n.report(t, m.X.From, rail.Waiting, "PDNG", "", false)
		default:
			n.report(t, m.X.From, t.state, statusOf(t.state), t.reason, false)
		}
	}
}

func statusOf(k rail.Kind) string {
	if k == rail.Rejected {
		return "RJCT"
	}
	return "ACSC"
}

func (n *network) decide(t *transfer, k rail.Kind, reason string) {
	t.state, t.reason = k, reason
	n.w.note("rail decides %s: %v %s", t.wire.X.MessageID, k, reason)
	to := t.wire.X.From
	opposite := rail.Settled
	if k == rail.Settled {
		opposite = rail.Rejected
	}
	if n.w.faulty(n.w.faults.railLie) { // somebody else's answer under our ids, before the truth
		n.enqueue(to, "other-"+t.wire.X.MessageID, railWire{Kind: "pacs.002", X: t.wire.X, Status: statusOf(opposite), Meaning: opposite,
			Minor: t.wire.Minor + 1, Currency: t.wire.Currency})
	}
	if n.w.faulty(n.w.faults.railSilent) {
		n.w.note("rail stays silent towards the debtor")
		return
	}
	if k == rail.Settled && n.w.faulty(0.3) {
		n.report(t, to, rail.SettledPending, "ACWP", "", false)
		n.w.after(n.w.between(0, 30*time.Second), func() { n.report(t, to, rail.SettledCredited, "ACCC", "", false) })
		return
	}
	n.report(t, to, k, statusOf(k), reason, false)
	if n.w.faulty(n.w.faults.railLie) { // behind the truth, in the same queue
		n.w.after(n.w.between(20*time.Second, 60*time.Second), func() { n.report(t, to, opposite, statusOf(opposite), "NARR", true) })
	}
}

// report puts a status into a bank's queue, sometimes twice, sometimes late.
func (n *network) report(t *transfer, to payments.AgentID, k rail.Kind, status, reason string, exact bool) {
	m := railWire{Kind: "pacs.002", X: t.wire.X, Status: status, Reason: reason, Meaning: k}
	n.stray++
	id := fmt.Sprintf("st-%d", n.stray)
	delay := n.w.between(time.Millisecond, 50*time.Millisecond)
	if !exact && n.w.faulty(0.3) {
		delay += time.Duration(n.w.rng.Int64N(int64(n.w.faults.railDelay)/4 + 1))
	}
	n.w.after(delay, func() {
		n.enqueue(to, id, m)
		if n.w.faulty(n.w.faults.railRepeat) {
			n.w.counts.Repeats++
			n.enqueue(to, id, m)     // the same message again
			n.enqueue(to, id+"b", m) // the same news under another id
		}
	})
}

func (n *network) enqueue(to payments.AgentID, id string, m railWire) {
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	n.stray++
	n.queues[to] = append(n.queues[to], delivery{n.stray, id, raw})
	for _, b := range []*bank{n.w.payerBank, n.w.shopBank} {
		if b.agent == to && b.up {
			b.wake()
		}
	}
}

// next returns the first message behind the cursor. A cursor acknowledges what is not behind it.
func (n *network) next(b *bank, cursor uint64) (delivery, bool) {
	q := n.queues[b.agent]
	for len(q) > 0 && q[0].seq <= cursor {
		seen, err := b.journal.InboxSeen(ctx, journal.InboxEntry{Sender: "rail", ID: q[0].id, Hash: journal.HashOf(q[0].wire)})
		if err != nil {
			return delivery{}, false // the journal is broken, and the process about to end
		}
		if !seen {
			n.w.violate("B22 a message is acknowledged after it is durable", "%s acknowledged %s without having recorded it", b.name, q[0].id)
		}
		q = q[1:]
	}
	n.queues[b.agent] = q
	if len(q) == 0 {
		return delivery{}, false
	}
	return q[0], true
}
