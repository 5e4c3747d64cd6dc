package railsim

import (
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

// This file writes what a rail sends beside the three messages that a connector reads: money coming back, and the rail speaking of itself.

const msgEvent = "admi.004.001.02"

// sendBack moves the money of a settled payment back: with a pacs.004 to the debtor's bank, or, on a rail that has none, with a new
// pacs.008 the other way.
func (c *core) sendBack(now time.Time, p *payment) {
	t, prof := p.m.Transfer, c.set.profile
	if p.returned || p.executions == 0 || c.members[p.creditor].available < t.Amount.Minor {
		c.note(event{"unreturned", ""})
		return
	}
	if prof.Returns.Message == rail.MsgTransfer {
		c.payBack(now, p)
		return
	}
	c.members[p.creditor].available -= t.Amount.Minor
	c.members[p.debtor].available += t.Amount.Minor
	p.returned = true
	id, day := c.serviceID(now), prof.Zone.In(now).Format(time.DateOnly)
	r := &iso20022.Return{
		MsgDef: prof.ReturnDef, MessageID: id, Created: now.UTC().Truncate(prof.TimeResolution), ClrSysCode: t.ClrSysCode, ClrSysPrtry: t.ClrSysPrtr,
		ReturnID: id, Amount: t.Amount, SettleDate: day, ChargeBearer: prof.ChargeBearer,
		Original: iso20022.Original{MessageID: t.MessageID, MessageName: rail.MsgTransfer, Created: t.Created, InstructionID: t.InstructionID, EndToEndID: t.EndToEndID,
			TransactionID: t.TransactionID, UETR: t.UETR, Amount: t.Amount, Date: t.SettleDate},
		Instructing: prof.Agent(t.Instructed.ID), Instructed: prof.Agent(t.Instructing.ID),
		Debtor: iso20022.Party{Name: t.Creditor.Name}, Creditor: iso20022.Party{Name: t.Debtor.Name},
		Reason: iso20022.Reason{Code: "AC04"},
	}
	if len(prof.Returns.Reasons) > 0 {
		r.Reason.Code = prof.Returns.Reasons[0]
	}
	if prof.OriginalByEndToEnd {
		r.ReturnID = payments.NewPixReturnID(t.Instructed.ID, now, id)
		r.Details.Debtor.Agent, r.Details.Creditor.Agent = t.Debtor.Agent, t.Creditor.Agent
	}
	doc, err := r.Append(nil)
	if err != nil {
		c.note(event{"unsendable", prof.ReturnDef})
		return
	}
	h := prof.NewHeader(prof.Service, c.members[p.debtor].ID, prof.ReturnDef, id, now)
	wire, err := prof.Wrap(&h, doc)
	if err != nil {
		c.note(event{"unsendable", prof.ReturnDef})
		return
	}
	c.enqueue(p.debtor, wire, Document{At: now, Dir: rail.FromService, Participant: c.members[p.debtor].ID, MsgDef: prof.ReturnDef, EndToEndID: t.EndToEndID}, mischief{}, nil)
	c.note(event{"returned", ""})
}

// payBack plays the creditor's bank: it sends a transfer of its own to the debtor, which is then a payment like any other.
func (c *core) payBack(now time.Time, p *payment) {
	t, prof := p.m.Transfer, c.set.profile
	m, err := prof.NewTransfer(rail.TransferInput{
		EndToEndID: payments.EndToEndID("RETURN" + rail.Suffix(t.TransactionID)), Amount: t.Amount,
		Debtor: t.Creditor, Creditor: t.Debtor, Remittance: "RETURN OF " + t.TransactionID,
		Participant: t.Instructed.ID, Suffix: rail.Suffix(t.TransactionID, "return"), Now: now,
	})
	if err != nil {
		c.note(event{"unsendable", rail.MsgTransfer})
		return
	}
	back := &payment{id: c.next(), m: m, debtor: p.creditor, creditor: p.debtor, received: now, state: stateOpen, status: "PDNG", by: rail.Service}
	if c.log != nil { // the store keeps payments as they came in
		if back.wire, err = prof.Encode(m); err != nil {
			c.note(event{"unsendable", rail.MsgTransfer})
			return
		}
	}
	p.returned = true
	c.open(back)
	c.begin(now, back)
	c.note(event{"returned", ""})
}

// broadcast tells every participant that the rail goes DOWN or is UP at that time, on a rail that has a message for it.
func (c *core) broadcast(now, at time.Time, word string) {
	prof := c.set.profile
	e := &iso20022.SystemEvent{Code: map[string]string{"DOWN": "DOWN", "UP": "OPEN"}[word], Time: at.UTC().Truncate(prof.TimeResolution)}
	doc, err := e.Append(nil)
	for i := range c.members {
		h := prof.NewHeader(prof.Service, c.members[i].ID, msgEvent, c.serviceID(now), now)
		var wire []byte
		if err == nil {
			wire, err = prof.Wrap(&h, doc)
		}
		if err != nil {
			c.note(event{"unsendable", msgEvent})
			continue
		}
		c.enqueue(i, wire, Document{At: now, Dir: rail.FromService, Participant: c.members[i].ID, MsgDef: msgEvent}, mischief{}, nil)
	}
}
