package sim

import (
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/rail"
)

// kind is what a world's rail has of its own: the four rails of package rail, as far as they differ in what the connector must do.
type kind struct {
	name     string
	currency payments.Currency
	recovery rail.Recovery
	ladder   []time.Duration
	restore  time.Duration // the payer's money is given back then; 0 = never
	ownIDs   bool          // no UETR, end-to-end ids of the rail's own, and reports that name the original by them
	uetr     bool
	yes      string // of the creditor's bank
}

var kinds = []kind{
	{name: "fednow", currency: "USD", recovery: rail.Ask, ladder: []time.Duration{0, 5 * time.Second, 30 * time.Second}, uetr: true, yes: "ACTC"},
	{name: "sctinst", currency: "EUR", recovery: rail.Ask, ladder: []time.Duration{0, 5 * time.Second, 30 * time.Second}, restore: 25 * time.Second, uetr: true, yes: "ACCP"},
	{name: "rtp", currency: "USD", recovery: rail.ResendMarked, ladder: []time.Duration{0, 10 * time.Second, 30 * time.Second}, yes: "ACTC"},
	{name: "pix", currency: "BRL", recovery: rail.Wait, ownIDs: true, yes: "ACSP"},
}

// core returns the connector's core for a bank on the rail, with the bugs that are settings.
func (k *kind) core(agent payments.AgentID, bug string) *connector.Core {
	c := &connector.Core{Rail: k.name, Agent: agent, Currency: k.currency, Messages: wireMessages{agent, k, bug}, Answer: answerTime,
		Recovery: k.recovery, Ladder: k.ladder, PositiveISO: k.yes, Remind: 10 * time.Minute, Restore: k.restore, Blind: k.recovery == rail.Wait, ByEndToEnd: k.ownIDs}
	switch {
	case bug == "ask-before-timeout":
		c.Answer = answerTime / 4
	case bug == "resend-on-wait-rail" && k.recovery == rail.Wait:
		c.Recovery, c.Ladder = rail.ResendSame, kinds[2].ladder
	case bug == "http-refusal-believed":
		c.Blind = false
	}
	return c
}

// known answers a transfer that the rail has had: with what became of it, and while that is open not at all. Sometimes the creditor's bank
// gets it again too, and sometimes the rail refuses it as a duplicate, which says nothing of the first.
func (n *network) known(t *transfer, m railWire) {
	n.w.note("rail knows %s", m.X.MessageID)
	if n.w.faulty(n.w.faults.railRepeat) {
		n.stray++
		n.enqueue(m.CreditorAgent, "again-"+m.X.MessageID+time.Duration(n.stray).String(), m)
	}
	if n.w.faulty(n.w.faults.railLie) {
		n.report(t, m.X.From, rail.Rejected, "RJCT", "AM05", false)
	}
	if t.state != rail.Waiting {
		n.report(t, m.X.From, t.state, statusOf(t.state), t.reason, false)
	}
}

// tooOld is how old a transfer is that the rail takes no more.
const tooOld = 75 * time.Second
