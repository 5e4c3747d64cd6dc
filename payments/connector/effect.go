package connector

import (
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/lifecycle"
)

// Effect is something that Step wants done. All effects of one step become durable together, in one write of the journal, and none
// is carried out before; messages and calls are then carried out from the journal's outbox, at least once under the same id.
type Effect interface{ effect() }

type (
	// Record appends an event to the payment's hash chain.
	Record struct {
		Type     string
		From, To lifecycle.State
		At       time.Time
		Evidence Evidence
	}

	// SendRail queues the exact bytes for the rail. Transfer marks the one message that moves money: it is handed to the transport
	// at most once with an open outcome. A repetition of it, on a rail that knows the ids, is a message of its own.
	SendRail struct {
		Row      string
		Transfer bool
		Kind     string // "pacs.008", "pacs.002", "pacs.028"
		Wire     []byte
	}

	// CallCore queues a call to the core bank. Key makes it idempotent.
	CallCore struct {
		Row     string
		Op      CoreOp
		Key     string
		Account payments.Account
		Amount  payments.Amount
	}

	// Notify queues a bank-signed statement for the customer's chat.
	Notify struct {
		Row    string
		Chat   string
		Kind   NoticeKind
		Seq    uint64 // of this payment's notices
		Status lifecycle.State
		At     time.Time
	}

	// Drop takes a message or call out of the outbox that must not be carried out any more. One that is under way is not stopped.
	Drop struct{ Row string }

	// SetTimer arms a timer, or moves it.
	SetTimer struct{ Timer }

	// ClearTimer disarms a timer.
	ClearTimer struct{ Name TimerName }

	// Post books a ledger transaction; its lines sum to zero.
	Post struct{ Lines []Line }

	// OpenCase asks a person to look.
	OpenCase struct {
		Kind CaseKind
		Text string // identifiers and codes only
	}

	// Claim takes something that can be taken once, ever. When it is taken already, nothing of the step happens.
	Claim struct{ Kind, Value string }

	// Take adds to a counter; when it would pass Max, nothing of the step happens. A negative Add gives back.
	Take struct {
		Counter string
		Add     int64
		Max     int64 // 0 = no bound
	}

	// Index makes the payment findable.
	Index struct{ Kind, Value string }

	// Trace tells a follower; it is not durable.
	Trace struct{ Event, Detail string }
)

// Line is one line of a ledger transaction, in minor units.
type Line struct {
	Account  string
	Currency payments.Currency
	Minor    int64
}

// NoticeKind is what the customer is told.
type NoticeKind string

// The notices.
const (
	NoticeCheck    NoticeKind = "payeecheck"
	NoticeReceipt  NoticeKind = "receipt"
	NoticeCredited NoticeKind = "credited"
)

// CaseKind says why a person is asked.
type CaseKind string

// The cases.
const (
	CaseUnknown       CaseKind = "unknown"               // enquiries are used up, the outcome is open
	CaseContradiction CaseKind = "contradiction"         // the rail said two things that cannot both be true
	CaseMismatch      CaseKind = "mismatch"              // a status names our message with other ids or another amount
	CaseReturn        CaseKind = "return-expected"       // refused after ACWP: the money comes back as a pacs.004
	CaseBlocked       CaseKind = "blocked"               // frozen at the payee's bank
	CaseRestoredPaid  CaseKind = "restored-then-settled" // the payer has the money back and the payee has it too
	CaseCore          CaseKind = "core-bank"             // the core bank refused what must not be refused
	CaseAnswer        CaseKind = "answer-refused"        // at the creditor's bank: the rail did not take our answer
	CaseUnconfirmed   CaseKind = "unconfirmed"           // at the creditor's bank: accepted, and never settled nor refused
)

func (Record) effect()     {}
func (SendRail) effect()   {}
func (CallCore) effect()   {}
func (Notify) effect()     {}
func (Drop) effect()       {}
func (SetTimer) effect()   {}
func (ClearTimer) effect() {}
func (Post) effect()       {}
func (OpenCase) effect()   {}
func (Claim) effect()      {}
func (Take) effect()       {}
func (Index) effect()      {}
func (Trace) effect()      {}
