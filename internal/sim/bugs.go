package sim

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
)

// Bug is a mistake that can be planted, to show that the checks see it.
type Bug struct{ Name, What string }

// Bugs lists what can be planted. The first five are the bad designs of the model check in payments/lifecycle.
var Bugs = []Bug{
	{"resend-after-crash", "after a restart the connector sends what may have been sent"},
	{"timeout-is-rejection", "no answer in time is taken for a refusal"},
	{"not-found-is-rejection", "the rail's not-found is taken for a refusal"},
	{"cancel-confirmed-too-late", "a payer who cancels after submission is told that it worked"},
	{"send-before-journal", "the transfer leaves before the journal has it"},
	{"resend-on-timeout", "no answer in time makes the connector send again"},
	{"disk-error-ignored", "the connector goes on after a failed commit"},
	{"connector-acks-before-journal", "the device forgets a mandate before the journal has it"},
	{"cursor-before-journal", "a rail message is acknowledged before the journal has it"},
	{"credit-not-idempotent", "the core bank credits again when a call is repeated"},
	{"contradiction-overwrites", "a late refusal overwrites a settlement"},
	{"other-amount-counts", "a status about another amount is taken for one about ours"},
	{"amount-altered", "the transfer says another amount than the mandate"},
	{"expiry-not-judged", "a mandate is carried out after its expiry"},
	{"revoked-key-pays", "a key that was revoked between mandate and submission still pays"},
	{"limits-ignored", "the daily limit of a key is not counted"},
	{"ledger-not-posted", "a settlement is not booked"},
	{"timer-forgotten", "the deadline of the rail's answer is not armed"},
	{"enquiries-unbounded", "each enquiry is sent four times"},
	{"ask-before-timeout", "the rail is asked, or sent to again, before its answer is overdue"},
	{"resend-without-journal", "the transfer is sent again before the journal has it"},
	{"resend-new-id", "sent again, the transfer has another message id"},
	{"resend-unmarked", "sent again, the transfer has no mark"},
	{"resend-on-wait-rail", "the transfer is sent again on a rail whose verdict comes by itself"},
	{"restart-repeats-ladder", "after a restart a question or repetition that may have been sent is sent again"},
	{"duplicate-refusal-believed", "the refusal of a repetition as a duplicate is taken for one of the payment"},
	{"http-refusal-believed", "a refusal in the HTTP answer is believed on a rail of which only the verdict counts"},
	{"duplicate-paid-twice", "the creditor's bank credits a transfer that is delivered again, marked as a duplicate"},
	{"device-without-dedupe", "a device takes a repeated message for a new one"},
	{"relay-acks-before-store", "the relay acknowledges a message before it is on disk"},
	{"relay-acks-duplicate-early", "the relay acknowledges a repeated message before the original is on disk"},
	{"relay-delivers-expired", "the relay delivers after the expiry"},
	{"relay-ignores-gaps", "the relay does not see that the live tail lost an entry"},
}

// mutate plants the bugs that live in how events are read.
func (b *bank) mutate(before *connector.Payment, ev connector.Event) connector.Event {
	switch e := ev.(type) {
	case connector.TimerFired:
		inFlight := before.State == lifecycle.Submitted
		switch {
		case b.w.bug == "timeout-is-rejection" && e.Name == connector.TimerAnswer && inFlight:
			return connector.StatusReceived{Meaning: rail.Rejected, Status: "RJCT", Reason: "timeout", Original: before.Execution.MessageID,
				Report: connector.Evidence{Kind: "timeout"}}
		case b.w.bug == "resend-on-timeout" && e.Name == connector.TimerAnswer && inFlight:
			if row, err := b.journal.OutboxRow(ctx, fmt.Sprintf("%s/%s/transfer", before.Side, before.Intent)); err == nil {
				b.w.rail.send(b, row.Body, func(connector.SendResult) {})
			}
		case b.w.bug == "resend-without-journal" && e.Name == connector.TimerEnquiry && len(e.Stored) > 0:
			if raw, err := b.core.Messages.Again(e.Stored); err == nil {
				b.w.rail.send(b, raw, func(connector.SendResult) {})
			}
		case b.w.bug == "enquiries-unbounded" && e.Name == connector.TimerEnquiry:
			for range 3 {
				raw, _ := json.Marshal(railWire{Kind: "pacs.028", X: before.Execution})
				b.w.rail.send(b, raw, func(connector.SendResult) {})
			}
		}
	case connector.TransferReceived:
		if b.w.bug == "duplicate-paid-twice" && e.Marked && before.State == lifecycle.Settled {
			b.money.do(b, connector.CoreCall{Op: connector.CoreCredit, Key: "again", Account: e.Creditor.Account, Amount: e.Amount})
		}
	case connector.StatusReceived:
		switch {
		case b.w.bug == "duplicate-refusal-believed" && e.Reason == "AM05":
			e.Reason = "NARR"
			return e
		case b.w.bug == "not-found-is-rejection" && e.Meaning == rail.NotFound:
			e.Meaning = rail.Rejected
			return e
		case b.w.bug == "other-amount-counts":
			e.Amount = payments.Amount{}
			return e
		case b.w.bug == "contradiction-overwrites" && e.Meaning == rail.Rejected && before.State == lifecycle.Settled:
			before.State = lifecycle.Submitted
			before.Pending = false
		}
	}
	return ev
}

// mutateStep plants the bugs that live in what becomes durable.
func (b *bank) mutateStep(s *journal.Step) {
	switch b.w.bug {
	case "limits-ignored":
		s.Limits = nil
	case "ledger-not-posted":
		if slices.ContainsFunc(s.Events, func(d journal.Draft) bool { return d.To == lifecycle.Settled && d.From != d.To }) {
			s.Postings = nil
		}
	case "timer-forgotten":
		s.SetTimers = slices.DeleteFunc(s.SetTimers, func(t journal.Timer) bool { return t.Name == string(connector.TimerAnswer) })
	}
}
