package connector

import (
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
)

// Event is something that happened to one payment: an input of Step. Whoever makes it has checked signatures and formats; what it
// says about the payment is checked by Step.
type Event interface{ event() }

// Evidence is the exact bytes that an event rests on and their hash; the journal keeps both.
type Evidence struct {
	Kind  string // "request", "mandate", "pacs.002" …
	Hash  [32]byte
	Bytes []byte
}

// Debtor's side.
type (
	// CheckAnswered: the payer showed us a payee-signed request, and the payee check has its answer. It makes the payment, or
	// refreshes check and nonce while nothing is authorised.
	CheckAnswered struct {
		Intent      payments.IntentID
		Chat        string // the payer's
		Amount      payments.Amount
		Creditor    Party
		Debtor      Party // account and agent that the payer means to pay from; the account may be none
		Reference   string
		Purpose     string
		Expires     time.Time
		RequestHash [32]byte
		Request     Evidence
		Check       Check
		Nonce       string
	}

	// MandateVerified: the payer's mandate passed every offline check (signature, enrolled key, audience, window, request).
	MandateVerified struct {
		Chat        string
		KeyID       string
		Amount      payments.Amount
		Debtor      Party // name as the core bank or the enrolment has it
		Creditor    Party
		RequestHash [32]byte
		MandateHash [32]byte
		Nonce       string
		Expires     time.Time
		PerPayment  int64 // limit of the key in minor units; 0 = none
		PerDay      int64 // likewise, for all payments of one UTC day
		Mandate     Evidence
	}

	// Declined: the payer said no.
	Declined struct{ Chat, Reason string }

	// Cancelled: payer or payee withdraws.
	Cancelled struct{ Chat, Reason string }

	// Recovered: the process has started again and found this payment in its journal.
	Recovered struct{}
)

// Creditor's side.
type (
	// TransferReceived: the rail asks us to take a transfer for an account of ours.
	TransferReceived struct {
		Record    payments.IntentID // see RecordID
		Execution Execution
		Amount    payments.Amount
		Debtor    Party
		Creditor  Party
		Reference string
		Purpose   string
		Chats     []string // the payee's; empty if there is none
		Refuse    string   // ISO reason when the account cannot take it (AC03, AC04 …); empty when it can
		Marked    bool     // as sent before (CpyDplct DUPL)
		Transfer  Evidence
		Stored    []byte // see Stored
	}

	// AnswerAsked: the rail asks what we answered (pacs.028).
	AnswerAsked struct{ Request Evidence }
)

// Both sides.
type (
	// StatusReceived: a pacs.002 about this payment.
	StatusReceived struct {
		Meaning   rail.Kind   // what the status means for money, as the rail's profile reads it
		By        rail.Sender // whose word it is
		Status    string      // TxSts
		Reason    string
		Original  string              // OrgnlMsgId; must name our message. Empty where the rail names transfers by end-to-end id (Pix)
		EndToEnd  payments.EndToEndID // empty if the message has none
		UETR      payments.UETR       // empty if the message has none
		Amount    payments.Amount     // of the original, zero if the message has none
		MessageID string
		Report    Evidence
	}

	// MessageRefused: the rail refuses the transfer's message as such (admi.002): it could not read it, or may not take it.
	MessageRefused struct {
		Reason string // the rail's own code
		Report Evidence
	}

	// CoreAnswered: the core bank answered a call for good. Calls that got no answer are repeated, not reported.
	CoreAnswered struct {
		Op     CoreOp
		OK     bool
		Reason string // ISO reason when not OK, such as AM04
		// KeyRevoked says that the payer's key was revoked after the mandate: what is held is given back and nothing is sent.
		KeyRevoked bool
		Ref        string
	}

	// Sent: what became of a message that was handed to the rail's transport.
	Sent struct {
		Row    string
		Result SendResult
		Reason string // when refused: what the transport said, in a word
	}

	// TimerFired: a timer of this payment is due.
	TimerFired struct {
		Name TimerName
		At   time.Time // as it was armed; a timer that was moved since is ignored
		// Stored is the transfer as the journal has it, where the rail wants it sent again; see the function Stored.
		Stored []byte
	}
)

// Stored returns the outbox row whose exact bytes Step needs to decide on ev, and "" when it needs none: the transfer that is to be sent
// again, or the answer that is to be repeated. The caller reads the row from the journal and hands its body on with WithStored; without
// it, or with other bytes than were recorded, nothing is sent.
func Stored(cfg *Core, p Payment, ev Event) string {
	switch e := ev.(type) {
	case TimerFired:
		if e.Name == TimerEnquiry && p.Side == lifecycle.Debtor && resends(cfg.Recovery) {
			return row(p, rowTransfer)
		}
	case TransferReceived:
		if p.Side == lifecycle.Creditor && p.State != lifecycle.None {
			return row(p, rowAnswer)
		}
	}
	return ""
}

// WithStored returns the event with the bytes of the row that Stored named.
func WithStored(ev Event, wire []byte) Event {
	switch e := ev.(type) {
	case TimerFired:
		e.Stored = wire
		return e
	case TransferReceived:
		e.Stored = wire
		return e
	}
	return ev
}

// names reports whether a status names the payment's transfer, by its message or, on a rail that does not name messages, by its
// end-to-end id, and says nothing else against being about it.
func (e *StatusReceived) names(p *Payment) bool {
	named := e.Original == p.Execution.MessageID
	if e.Original == "" {
		named = e.EndToEnd != ""
	}
	return p.Execution.MessageID != "" && named && (e.EndToEnd == "" || e.EndToEnd == p.Execution.EndToEnd) &&
		(e.UETR == "" || e.UETR == p.Execution.UETR) && (e.Amount == payments.Amount{} || e.Amount == p.Amount)
}

// SendResult is what is known after a message was handed to the transport.
type SendResult uint8

// The results. The zero value is the cautious one.
const (
	SentAmbiguous SendResult = iota // it may have arrived
	SentAccepted                    // the rail has it
	SentRefused                     // the rail refused it at the door and will not act on it
	SentNot                         // no byte of it arrived, and it will not be tried again
)

// CoreOp is a call to the core bank.
type CoreOp string

// The calls. Each is idempotent by its key.
const (
	CoreReserve CoreOp = "reserve" // hold the payer's money
	CorePost    CoreOp = "post"    // the held money has left
	CoreRelease CoreOp = "release" // give the hold back; also bars a later reserve with this key
	CoreCredit  CoreOp = "credit"  // the payee's money has arrived
)

func (CheckAnswered) event()    {}
func (MandateVerified) event()  {}
func (Declined) event()         {}
func (Cancelled) event()        {}
func (Recovered) event()        {}
func (TransferReceived) event() {}
func (AnswerAsked) event()      {}
func (StatusReceived) event()   {}
func (MessageRefused) event()   {}
func (CoreAnswered) event()     {}
func (Sent) event()             {}
func (TimerFired) event()       {}

// RecordID returns the journal's id of an incoming transfer: the intent that it was made for, or a derived id when the transfer was not
// asked for by one of our intents. The same transfer always gets the same id.
func RecordID(x Execution) payments.IntentID {
	if id, ok := x.intent(); ok {
		return id
	}
	return foreignRecord(x)
}

// intent returns the intent that a transfer says it was made for, and false when it was not made by us.
func (x Execution) intent() (payments.IntentID, bool) {
	if x.Intent != "" {
		return x.Intent, true
	}
	return payments.IntentFromEndToEnd(x.EndToEnd)
}

// is reports whether x and y identify the same transfer. Not every rail has UETRs.
func (x Execution) is(y Execution) bool {
	return x.MessageID == y.MessageID || x.UETR != "" && x.UETR == y.UETR
}

func foreignRecord(x Execution) payments.IntentID {
	return foreignID("transfer", string(x.From), string(x.UETR), string(x.EndToEnd), x.TransactionID)
}

// OtherRecordError is the error of Step for a transfer that is not the one of this record. It belongs to another, and nothing changed.
type OtherRecordError struct{ Record payments.IntentID }

func (e *OtherRecordError) Error() string {
	return "connector: the transfer belongs to the record " + string(e.Record)
}

// recordFor returns the record of a transfer whose end-to-end id is that of first. Anybody can send a cent with the end-to-end id of an
// intent, or what is refused: the transfer that pays the intent must not be refused for it, and gets a record of its own. A second
// transfer of the whole amount, while the first may be credited, is a duplicate.
func recordFor(first Payment, e TransferReceived) payments.IntentID {
	if first.State != lifecycle.None && !first.Execution.is(e.Execution) &&
		(first.Amount != e.Amount || first.Creditor.Account != e.Creditor.Account || first.State == lifecycle.Rejected) {
		return foreignRecord(e.Execution)
	}
	return e.Record
}
