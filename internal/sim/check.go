package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
)

// checker holds what must be true. Numbers 1 to 15 are the invariants of docs/payments.md; A and B are promises of single hops.
type checker struct {
	w     *world
	plans []*plan
	sent  []*message // durable in an outbox
	done  map[messaging.MessageID]int
}

func (c *checker) plan(id payments.IntentID) *plan {
	for _, p := range c.plans {
		if p.bought && p.terms.intent == id {
			return p
		}
	}
	return nil
}

func (c *checker) queued(m *message) { c.sent = append(c.sent, m) }

// handled is called when a device has recorded that its application is done with the message.
func (c *checker) handled(m *message) {
	if c.done == nil {
		c.done = map[messaging.MessageID]int{}
	}
	if c.done[m.id]++; c.done[m.id] > 1 {
		c.w.violate("B22 effect exactly once", "%s handled the same %s twice", m.to.name, m.kind)
	}
	for _, b := range []*bank{c.w.payerBank, c.w.shopBank} {
		if b.device != m.to {
			continue
		}
		seen, err := b.journal.InboxSeen(ctx, journal.InboxEntry{Sender: m.from.name, ID: m.id.String(), Hash: journal.HashOf(fmt.Append(nil, m.index))})
		if !errors.Is(err, journal.ErrBroken) && !seen {
			c.w.violate("B22 a message is acknowledged after it is durable", "%s forgot a %s that its journal does not have", b.name, m.kind)
		}
	}
}

// left is called when the bytes of a transfer leave a bank.
func (c *checker) left(id payments.IntentID, m railWire) {
	pl := c.plan(id)
	if pl == nil {
		c.w.violate("8 authorisation complete", "%s left, and nobody asked for it", id)
		return
	}
	t := pl.terms
	if m.Minor != t.amount.Minor || m.Currency != t.amount.Currency || m.Creditor != t.creditor.Account.Reveal() ||
		m.Debtor != pl.payer.account.Reveal() || m.Reference != t.reference || m.CreditorAgent != t.creditor.Agent {
		c.w.violate("7 terms immutable", "%s: the transfer does not say what was signed", id)
	}
	if pl.mandates == 0 {
		c.w.violate("8 authorisation complete", "%s left without a mandate of its payer", id)
	}
}

// effect is called when the rail settles a transfer: now money moves.
func (c *checker) effect(t *transfer) {
	id := connector.RecordID(t.wire.X)
	pl := c.plan(id)
	if pl == nil {
		c.w.violate("15 reconciliation", "the rail settled %s, which maps to no intent", id)
		return
	}
	if pl.effects++; pl.effects > 1 {
		c.w.violate("1 no double payment", "%s was settled %d times", id, pl.effects)
	}
	switch p, ok := c.record(c.w.payerBank, id, lifecycle.Debtor); {
	case !ok:
		c.w.violate("2 journal before send", "%s settled and the bank does not know it", id)
	case p.State == lifecycle.Cancelled, p.State == lifecycle.Expired, p.State == lifecycle.Declined:
		c.w.violate("5 no cancel and no expiry from submitting on", "%s is %s and the payee gets the money", id, p.State)
	case p.State == lifecycle.Rejected:
		c.w.violate("4 silence is not refusal", "%s is rejected and the payee gets the money", id)
	}
}

func (c *checker) record(b *bank, id payments.IntentID, side lifecycle.Side) (connector.Payment, bool) {
	rec, err := b.journal.Payment(ctx, journal.Key{Intent: id, Side: side})
	if err != nil {
		return connector.Payment{}, false
	}
	p, err := connector.DecodePayment(rec.State)
	if err != nil || p.State != rec.Status {
		c.w.violate("11 every status is backed by an event", "%s: state %s, events say %s (%v)", id, p.State, rec.Status, err)
	}
	return p, true
}

// stepped is called after a step of a payment has become durable. decided is what the bank's clock said when it was decided.
func (c *checker) stepped(b *bank, before, after connector.Payment, s journal.Step, decided time.Time) {
	for _, e := range s.Events {
		if err := lifecycle.Check(after.Side, e.From, e.To); err != nil {
			c.w.violate("6 declared transitions", "%v", err)
		}
		if e.From != e.To && (e.From.Terminal() || e.To.Rank() < e.From.Rank()) {
			c.w.violate("6 terminal states are never left", "%s: %s after %s", after.Intent, e.To, e.From)
		}
		if e.To == lifecycle.Submitting && e.From != e.To && b.revoked[after.Intent] {
			c.w.violate("8 authorisation complete", "%s was submitted after its key was revoked", after.Intent)
		}
		if e.To == lifecycle.Submitting && e.From != e.To && !decided.Before(after.Expires) {
			c.w.violate("8 authorisation complete", "%s was submitted %v after the mandate's expiry", after.Intent, decided.Sub(after.Expires))
		}
	}
	if after.Side == lifecycle.Debtor && after.State == lifecycle.Rejected && before.State.MayHaveLeft() {
		x := after.Execution
		t := c.w.rail.byMsg[x.MessageID]
		switch {
		case t == nil && c.w.rail.left[x.EndToEnd] > 0 && !c.w.rail.refused[x.MessageID]:
			c.w.violate("4 silence is not refusal", "%s is rejected, and it is not known whether the rail has it", after.Intent)
		case t != nil && t.state != rail.Rejected:
			c.w.violate("4 silence is not refusal", "%s is rejected, and the rail says %v", after.Intent, t.state)
		}
	}
	if after.Side == lifecycle.Debtor && after.State == lifecycle.Authorised && before.State != after.State {
		c.limit(b, after.KeyID)
	}
	if !after.State.Terminal() {
		armed, err := b.journal.Timers(ctx, c.w.now.Add(1000*time.Hour), 10_000)
		if err != nil || !slices.ContainsFunc(armed, func(t journal.TimerRow) bool { return t.Key == after.KeyOf() }) {
			c.w.violate("14 liveness", "%s is %s and no timer is armed", after.Intent, after.State)
		}
	}
}

// limit adds up what a key has authorised and not got back.
func (c *checker) limit(b *bank, kid string) {
	total := int64(0)
	for _, pl := range c.plans {
		if !pl.bought || pl.payer.device.name != kid {
			continue
		}
		if p, ok := c.record(b, pl.terms.intent, lifecycle.Debtor); ok && (p.State.MayHaveLeft() || p.State == lifecycle.Authorised || p.State == lifecycle.Held) {
			total += p.Amount.Minor
		}
	}
	if total > dailyLimit {
		c.w.violate("10 limits", "%d of %d are authorised for %s", total, dailyLimit, kid)
	}
}

// told is called when a payer reads a receipt: it must have been true at its bank.
func (c *checker) told(pl *plan, m *message) {
	events, err := c.w.payerBank.journal.Events(ctx, journal.Key{Intent: pl.terms.intent, Side: lifecycle.Debtor})
	if err != nil || !slices.ContainsFunc(events, func(e journal.Event) bool { return e.To == m.status }) {
		c.w.violate("A11 the true answer", "the payer was told %s, which %s never was", m.status, pl.terms.intent)
	}
}

// end checks what must hold after everything has healed.
func (c *checker) end() {
	for _, b := range []*bank{c.w.payerBank, c.w.shopBank} {
		if err := b.journal.Verify(ctx); err != nil {
			c.w.violate("11 hash chain", "%s: %v", b.name, err)
		}
	}
	for _, pl := range c.plans {
		if pl.bought {
			c.ended(pl)
		}
	}
	c.money()
	c.statement()
	for _, m := range c.sent {
		if m.expires.Sub(c.w.now) > 0 && c.done[m.id] == 0 && m.kind != "text" {
			c.w.violate("B19 no message is lost", "a %s from %s to %s was never handled", m.kind, m.from.name, m.to.name)
		}
	}
}

func (c *checker) ended(pl *plan) {
	id := pl.terms.intent
	p, known := c.record(c.w.payerBank, id, lifecycle.Debtor)
	q, incoming := c.record(c.w.shopBank, id, lifecycle.Creditor)
	settledOnRail := pl.effects == 1
	if !known {
		if settledOnRail {
			c.w.violate("2 journal before send", "%s settled and the bank does not know it", id)
		}
		return
	}
	open := p.State == lifecycle.Unknown || p.State == lifecycle.Accepted
	switch {
	case !p.State.Terminal() && !open:
		c.w.violate("14 liveness", "%s is still %s", id, p.State)
	case open && len(p.Cases) == 0:
		c.w.violate("14 liveness", "%s is %s and nobody was asked to look", id, p.State)
	case settledOnRail && p.State != lifecycle.Settled && !open:
		c.w.violate("A13 the outcome is the rail's", "%s is %s, the rail has settled it", id, p.State)
	case !settledOnRail && p.State == lifecycle.Settled:
		c.w.violate("A13 the outcome is the rail's", "%s is settled, the rail has not settled it", id)
	}
	switch {
	case open:
		c.w.counts.OpenWithCase++
	case p.State == lifecycle.Settled:
		c.w.counts.Settled++
	case p.State == lifecycle.Rejected:
		c.w.counts.Rejected++
	default:
		c.w.counts.NotSent++
	}
	if p.State.Terminal() && pl.told[p.Notices] != p.State {
		c.w.violate("A13 the outcome is delivered", "%s is %s, the payer's last word (%d of %d) is %q", id, p.State, pl.last, p.Notices, pl.told[pl.last])
	}
	if settledOnRail {
		switch {
		case !incoming:
			c.w.violate("15 reconciliation", "%s settled and the creditor's bank does not know it", id)
		case q.State != lifecycle.Settled && len(q.Cases) == 0:
			c.w.violate("15 reconciliation", "%s settled; the creditor's bank says %s, without a case", id, q.State)
		case q.State == lifecycle.Settled && q.Credited.IsZero() && len(q.Cases) == 0:
			c.w.violate("14 liveness", "%s was never credited", id)
		case q.State == lifecycle.Settled && pl.shipped == nil:
			c.w.violate("A13 the outcome is delivered", "%s was credited and the shop was not told", id)
		}
	} else if incoming && (q.State == lifecycle.Settled || !q.Credited.IsZero()) {
		c.w.violate("1 no double payment", "%s was credited without a settlement", id)
	}
	if pl.shipped != nil && !settledOnRail {
		c.w.violate("A13 the outcome is the rail's", "the shop ships %s, which was not settled", id)
	}
}

// money adds up the books: every unit is somewhere, once.
func (c *checker) money() {
	held, settled, restored, posted := int64(0), int64(0), int64(0), int64(0)
	received := int64(0)
	for _, pl := range c.plans {
		if !pl.bought {
			continue
		}
		if p, ok := c.record(c.w.payerBank, pl.terms.intent, lifecycle.Debtor); ok {
			minor := p.Amount.Minor
			switch {
			case p.State == lifecycle.Settled && p.Restored.IsZero():
				settled += minor
				posted += minor
			case p.State == lifecycle.Settled:
				settled += minor
				restored += minor
			case p.State.MayHaveLeft() && p.Restored.IsZero():
				held += minor
			case p.State.MayHaveLeft():
				restored += minor
			}
		}
		if q, ok := c.record(c.w.shopBank, pl.terms.intent, lifecycle.Creditor); ok && q.State == lifecycle.Settled {
			received += q.Amount.Minor
		}
	}
	c.books(c.w.payerBank, map[string]int64{"payer_hold": held, "rail_clearing": settled, "suspense_unknown": -restored})
	c.books(c.w.shopBank, map[string]int64{"rail_clearing": -received, "payee_pending": 0})
	core := c.w.payerBank.money
	total, opening := int64(0), int64(0)
	for i, p := range c.w.payers {
		total += core.balance[p.account.Reveal()]
		opening += openingBalance(i)
	}
	if sum := total + sumOf(core.holds) + sumOf(core.posted); sum != opening {
		c.w.violate("9 money is conserved", "the payers' bank holds %d of %d", sum, opening)
	}
	if sumOf(core.holds) != held || sumOf(core.posted) != posted {
		c.w.violate("9 money is conserved", "core bank: %d held and %d posted, want %d and %d", sumOf(core.holds), sumOf(core.posted), held, posted)
	}
	if got := sumOf(c.w.shopBank.money.credited); got != received {
		c.w.violate("9 money is conserved", "the payee got %d, the journal says %d", got, received)
	}
}

func sumOf(m map[string]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

func (c *checker) books(b *bank, want map[string]int64) {
	balances, err := b.journal.Balances(ctx)
	if err != nil {
		c.w.violate("9 money is conserved", "%s: %v", b.name, err)
		return
	}
	sum, got := int64(0), map[string]int64{}
	for _, x := range balances {
		sum += x.Amount.Minor
		kind, _, _ := strings.Cut(x.Account, ":")
		got[kind] += x.Amount.Minor
	}
	if sum != 0 {
		c.w.violate("9 money is conserved", "%s: the ledger's accounts sum to %d", b.name, sum)
	}
	for kind, minor := range want {
		if got[kind] != minor {
			c.w.violate("9 money is conserved", "%s: %s is %d, want %d", b.name, kind, got[kind], minor)
		}
	}
}

// statement is the rail's statement of the day: each entry belongs to one execution, or to a case.
func (c *checker) statement() {
	for _, t := range c.w.rail.txs {
		keys, err := c.w.payerBank.journal.Find(ctx, journal.IndexKey{Kind: journal.IndexMessageID, Value: t.wire.X.MessageID})
		if err != nil || len(keys) != 1 {
			c.w.violate("15 reconciliation", "statement entry %s maps to %d executions (%v)", t.wire.X.MessageID, len(keys), errors.Unwrap(err))
		}
	}
}
