// Package journal is the durable record of a connector: what happened to each payment, in hash-chained events, and everything that
// must become durable in the same instant: outbox, inbox, timers, claims, limits, ledger and key registry.
//
// It decides nothing: package connector says what to record, package lifecycle which states may follow each other. It does no
// network I/O and reads no clock; every time comes from the caller.
package journal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/lifecycle"
)

// Journal is what SQLite and Memory implement and journaltest checks. All methods may be called concurrently.
type Journal interface {
	// Apply makes the whole step durable, or nothing of it, and returns after it is. It fails with ErrConflict, ErrDuplicate, a
	// *ClaimError, a *LimitError, a *CodeError, ErrUnbalanced, ErrInvalid or a lifecycle.TransitionError, and then nothing was
	// recorded; with ErrBroken (or an error of ctx) it is not known whether the step was recorded, and the journal must be
	// opened again before anything is decided. A step that several things stand against fails with the first of: its form, a
	// repeat in the inbox, seq and transition, claims, limits, outbox, cases, registry, ledger.
	Apply(ctx context.Context, s Step) error

	// Payment returns the record of one side of a payment, or ErrNotFound.
	Payment(ctx context.Context, k Key) (Record, error)
	// List returns records in the order in which the payments began. It is how a connector finds its open payments at start.
	List(ctx context.Context, f Filter) ([]Record, error)
	// Events returns the chain of one payment, oldest first; empty when there is none.
	Events(ctx context.Context, k Key) ([]Event, error)
	// Find returns the payments that have the index key, in the order in which they got it.
	Find(ctx context.Context, key IndexKey) ([]Key, error)

	// LeaseOutbox returns rows that are due and neither done nor leased, oldest due first, and leases them until l.Until. A lease
	// only keeps two workers of this process apart: it ends with Done, with Retry, at l.Until or with the process.
	LeaseOutbox(ctx context.Context, l Lease) ([]OutboxRow, error)
	// OutboxRow returns one row, done or not, with its exact body, or ErrNotFound.
	OutboxRow(ctx context.Context, id string) (OutboxRow, error)
	// NextOutbox returns the time at which the next row that is neither done nor leased at now falls due; false if there is none.
	NextOutbox(ctx context.Context, kind string, now time.Time) (time.Time, bool, error)

	// Timers returns armed timers up to until, earliest first. They stay armed until a step clears or resets them.
	Timers(ctx context.Context, until time.Time, max int) ([]TimerRow, error)
	// NextTimer returns the time of the earliest armed timer; false if there is none.
	NextTimer(ctx context.Context) (time.Time, bool, error)

	// InboxSeen reports whether a message was recorded. It fails with a *ClaimError of kind ClaimInbox when the sender used the id
	// for other content.
	InboxSeen(ctx context.Context, e InboxEntry) (bool, error)
	// Claim returns who holds a claim; false if it is free.
	Claim(ctx context.Context, c Claim) (Key, bool, error)
	// LimitUsed returns how much of the named limit is used.
	LimitUsed(ctx context.Context, name string) (int64, error)
	// Balances returns every ledger account with its balance, sorted by account and currency.
	Balances(ctx context.Context) ([]Balance, error)
	// Cases returns cases, oldest first; only open ones unless all.
	Cases(ctx context.Context, all bool, max int) ([]Case, error)
	// Cursor returns the value of a named cursor, 0 if it was never set.
	Cursor(ctx context.Context, name string) (uint64, error)
	// Clock returns the highest Step.At ever recorded: no decision may be made as of an earlier time. Zero in a new journal.
	Clock(ctx context.Context) (time.Time, error)

	// Code returns a one-time code's row by its id, or ErrNotFound.
	Code(ctx context.Context, id string) (Code, error)
	// EnrolledKey returns a key's row, or ErrNotFound.
	EnrolledKey(ctx context.Context, kid string) (EnrolledKey, error)
	// EnrolledKeys returns the keys of an owner, oldest first.
	EnrolledKeys(ctx context.Context, owner string) ([]EnrolledKey, error)
	// Nonce returns what the connector issued under the nonce, or ErrNotFound. Whether it was used is a claim.
	Nonce(ctx context.Context, nonce string) (Nonce, error)

	// Value returns what was put under the key, or ErrNotFound.
	Value(ctx context.Context, table, key string) ([]byte, error)
	// Values returns the table's pairs whose keys begin with prefix, sorted by key; at most max, 0 means 1,000.
	Values(ctx context.Context, table, prefix string, max int) ([]Put, error)

	// Head returns where the journal-wide chain stands. Kept elsewhere, it lets Verify find even a consistent truncation.
	Head(ctx context.Context) (Head, error)
	// Verify checks every chain, every total and every row that a chain covers, from the beginning. It fails with a *DamageError
	// that names the first damaged record, or when the journal does not continue one of the earlier heads.
	Verify(ctx context.Context, earlier ...Head) error
	// Close releases the journal after the steps that wait are answered.
	Close() error
}

// Key names one side's record of a payment.
type Key struct {
	Intent payments.IntentID
	Side   lifecycle.Side
}

func (k Key) String() string { return string(k.Intent) + "/" + string(k.Side) }

// Step is one atomic durable change. What is zero changes nothing.
type Step struct {
	At time.Time // when it is decided; required. The journal's clock is the highest At seen

	Key         Key     // the payment; zero in a step that belongs to none (enrolment, cursor, delivery of a message)
	ExpectedSeq uint64  // Seq of the record that the step was decided on, 0 for a new one; else ErrConflict. Checked when Key is set
	Events      []Draft // appended in order; the first starts at the record's status, and the last sets it
	State       []byte  // replaces the core's own bytes, unless nil; only together with an event
	Keys        []IndexKey
	SetTimers   []Timer // replaces the timer of that name
	ClearTimers []string
	Postings    []Posting // only together with an event; each entry sums to zero per currency

	Claims      []Claim    // each is taken by this step for ever, or the step fails with a *ClaimError
	Limits      []LimitUse // each fits, or the step fails with a *LimitError
	Inbox       *InboxEntry
	Outbox      []OutboxDraft
	DoneOutbox  []string // ids; done twice, or an id that does not exist, is no error
	RetryOutbox []Retry
	Cases       []CaseDraft
	CloseCases  []CaseClose
	Cursors     []Cursor

	NewCodes []Code        // one-time enrolment codes
	UseCode  string        // id of the code that this step uses up, or the step fails with a *CodeError
	MissCode string        // id of a code for which a wrong secret was given: one attempt less. No such code is no error
	PutKeys  []EnrolledKey // enrols a new kid, or replaces the row of a known one
	Nonces   []Nonce       // issued by the connector
	Puts     []Put         // values of the caller\'s own tables
}

// Draft is an event to append. From and To are equal when it only records evidence.
type Draft struct {
	At           time.Time
	Type         string // such as "intent.settled" or "rail.duplicate"
	From, To     lifecycle.State
	EvidenceKind string   // such as "pacs.002"; required when From and To differ
	EvidenceHash [32]byte // SHA-256 of the evidence's exact bytes; zero if it has none, such as a clock
	Data         []byte   // what else is to be kept, at most 64 KiB
}

// Event is a recorded event. Hash covers all of it, Intent and Side, and PrevHash.
type Event struct {
	Draft
	Seq      uint64 // 1, 2, 3 … without a gap
	PrevHash [32]byte
	Hash     [32]byte
}

// Record is one side's payment as it stands.
type Record struct {
	Key
	Seq     uint64 // of the last event
	Status  lifecycle.State
	State   []byte   // the core's bytes
	Head    [32]byte // hash of the last event
	Updated time.Time
}

// Filter selects records. The zero Filter selects all.
type Filter struct {
	Side   lifecycle.Side    // empty: both
	Status []lifecycle.State // empty: all
	Open   bool              // only those in a state that is not terminal
	After  Key               // continue behind this record
	Max    int               // at most so many; 0 means 1,000
}

// IndexKey finds payments by another name, such as {"uetr", …}. Several payments may share one.
type IndexKey struct{ Kind, Value string }

// Kinds of index keys.
const (
	IndexUETR      = "uetr"
	IndexEndToEnd  = "end_to_end"
	IndexMessageID = "message_id"
)

// Claim is something that may happen once, ever: a nonce, a mandate hash. Values are compared byte for byte.
type Claim struct{ Kind, Value string }

// Kinds of claims. ClaimAccepted has the intent as value: one accepted mandate per intent.
const (
	ClaimNonce     = "nonce"
	ClaimMandate   = "mandate"
	ClaimMessageID = "message_id"
	ClaimAccepted  = "accepted_mandate"
	ClaimInbox     = "inbox"  // in a ClaimError only: the sender used the message id for other content
	ClaimOutbox    = "outbox" // in a ClaimError only: the outbox id is taken
	ClaimCode      = "code"   // in a ClaimError only: the code's id is taken
	ClaimCase      = "case"   // in a ClaimError only: the case's id is taken
)

// LimitUse takes Amount from the named limit: the step fails when the use would then be above Max. A negative Amount gives back, at
// most what is used. The name carries what is limited and over which period: "daily/<kid>/2026-11-23/EUR".
type LimitUse struct {
	Name        string
	Amount, Max int64
}

// OutboxDraft is something to be sent after the step is durable. The journal keeps the body for ever: it is what was sent.
type OutboxDraft struct {
	ID        string // unique for ever; the receiver's idempotency key
	Kind      string // who sends it: "rail", "chat", "core"
	Dest      string
	Body      []byte
	NotBefore time.Time // zero: at once
}

// OutboxRow is a recorded outbox row.
type OutboxRow struct {
	OutboxDraft
	Key       Key // of the step that wrote it, may be zero
	At        time.Time
	Attempts  int    // failed ones
	LastError string // class of the last failure
	Done      bool
}

// Retry says that sending failed and when to try again. Error is a class such as "timeout", never a text with a person's data.
type Retry struct {
	ID        string
	NotBefore time.Time
	Error     string
}

// Lease asks for outbox rows.
type Lease struct {
	Kind  string
	Now   time.Time
	Until time.Time // when an unanswered lease ends
	Max   int       // 0 means 100
}

// Timer wakes the payment of the step at a time.
type Timer struct {
	Name string
	At   time.Time
}

// TimerRow is an armed timer.
type TimerRow struct {
	Key Key
	Timer
}

// InboxEntry is a message that was taken in: the same sender and id with the same hash is a repeat (ErrDuplicate), with another
// hash a *ClaimError of kind ClaimInbox.
type InboxEntry struct {
	Sender, ID string
	Hash       [32]byte
}

// Posting is one line of a ledger entry: Amount is added to the account. The lines of one Entry sum to zero per currency. An account
// is a name such as "rail_clearing:fednow"; it must not be a person's account number in clear.
type Posting struct {
	Entry   string // groups lines, such as "reserve"
	Account string
	Amount  payments.Amount
}

// Balance is what an account holds.
type Balance struct {
	Account string
	Amount  payments.Amount
}

// CaseDraft opens a case for a person to look at. Detail holds codes and ids of ours, no person's data.
type CaseDraft struct{ ID, Kind, Detail string }

// CaseClose closes a case. Closing twice, or one that does not exist, is ErrInvalid.
type CaseClose struct{ ID, Resolution string }

// Case is a recorded case. Closed is zero while it is open.
type Case struct {
	CaseDraft
	Key            Key // of the step that opened it, may be zero
	Opened, Closed time.Time
	Resolution     string
}

// Cursor is how far a source was read.
type Cursor struct {
	Name  string
	Value uint64
}

// Code is a one-time enrolment code: only the hash of its secret is kept.
type Code struct {
	ID       string // public part, by which the code is found
	Hash     [32]byte
	Expires  time.Time
	Attempts int       // wrong secrets still allowed
	Data     []byte    // what the code enrols for, the caller's
	Used     time.Time // zero until used
}

// EnrolledKey is a row of the key registry. A row is never deleted: a revoked key stays with its status.
type EnrolledKey struct {
	KID      string
	Owner    string    // whose key, an id of ours
	Status   string    // "active", "revoked", …: the caller's word
	From, To time.Time // validity; zero To: no end
	Data     []byte    // algorithm, public key, accounts, limits, the caller's
}

// Nonce is what the connector issued and expects back inside a mandate, such as a payee check.
type Nonce struct {
	Nonce   string
	Expires time.Time
	Data    []byte
}

// Put sets a value in a table of the caller's own. Nil deletes it. Every value ever put stays under the journal's chain.
type Put struct {
	Table, Key string
	Value      []byte // at most 64 KiB
}

// Head is where the journal-wide chain stands after Pos steps.
type Head struct {
	Pos  uint64
	Hash [32]byte
}

// Errors of Apply and the readers. After all but ErrBroken it is certain that nothing was recorded.
var (
	ErrNotFound   = errors.New("journal: not found")
	ErrConflict   = errors.New("journal: the payment has moved on since the step was decided")
	ErrDuplicate  = errors.New("journal: the message was recorded before")
	ErrUnbalanced = errors.New("journal: ledger entry does not sum to zero")
	ErrInvalid    = errors.New("journal: invalid step")
	ErrClosed     = errors.New("journal: closed")
	ErrBroken     = errors.New("journal: a write failed and it is not known what is on disk; open the journal again")
)

// ClaimError means that something that may happen once has happened before.
type ClaimError struct {
	Claim
	Owner Key // which payment holds the claim; zero when none does
}

func (e *ClaimError) Error() string {
	if e.Owner == (Key{}) {
		return fmt.Sprintf("journal: %s was used before", e.Kind)
	}
	return fmt.Sprintf("journal: %s was used before by %s", e.Kind, e.Owner)
}

// LimitError means that the step would go over a limit.
type LimitError struct {
	LimitUse
	Used int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("journal: limit %s: %d used, %d asked, %d allowed", e.Name, e.Used, e.Amount, e.Max)
}

// CodeError means that a one-time code cannot be used.
type CodeError struct{ Reason string } // "unknown", "used", "expired", "no attempts left"

func (e *CodeError) Error() string { return "journal: enrolment code is not usable: " + e.Reason }

// DamageError names a record that is not what was written.
type DamageError struct {
	Record string // such as "event pi_…/debtor seq 3" or "posting 17"
	Reason string
}

func (e *DamageError) Error() string { return "journal: damaged: " + e.Record + ": " + e.Reason }

// HashOf is the hash in which evidence and inbox entries are recorded.
func HashOf(b []byte) [32]byte { return sha256.Sum256(b) }
