package connector

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"time"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/rail"
)

// Chat sends messages to customers.
type Chat interface {
	// Send hands one part to a chat and returns when it is durable there. The same key is sent at most once. Every error but ErrChatGone
	// is taken as temporary: the message is tried again, with the same key, for ever.
	Send(ctx context.Context, to, key, mediaType string, body []byte, fallback string) error
}

// ErrChatGone is what Chat.Send returns for a chat that is not there any more and will not be again: the customer has left it. The message
// stays in the journal and is not tried again.
var ErrChatGone = errors.New("connector: the chat is gone")

// Inbound is one message part from a customer's chat.
type Inbound struct {
	Chat      string   // where answers go, and what the customer's keys are bound to
	Sender    string   // the device that sent it; for evidence
	MessageID [32]byte // the same message always has the same id
	MediaType string
	Body      []byte
	At        time.Time // when it was sent, as the sender says
}

// CoreBank is the bank's core system. Every call is idempotent by its key. A *CoreError is a definite answer; every other error is
// taken as no answer, and the call is repeated with the same key.
type CoreBank interface {
	// Reserve holds the amount on the account. After a Release with this key it refuses.
	Reserve(ctx context.Context, key string, account payments.Account, amount payments.Amount) error
	// Post turns the hold of that key into a debit.
	Post(ctx context.Context, key string) error
	// Release gives the hold of that key back, and bars a Reserve with it that comes later.
	Release(ctx context.Context, key string) error
	// Credit adds the amount to the account and returns the core's own reference.
	Credit(ctx context.Context, key string, account payments.Account, amount payments.Amount) (ref string, err error)
	// LookUp returns an account, or a *CoreError with reason AC03 when there is none.
	LookUp(ctx context.Context, account payments.Account) (AccountInfo, error)
}

// CoreError is a definite refusal by the core bank. Reason is an ISO external status reason, such as AM04 or AC04.
type CoreError struct{ Reason string }

func (e *CoreError) Error() string { return "core bank: refused: " + e.Reason }

// AccountInfo is what the core bank says about an account.
type AccountInfo struct {
	Name     payments.Name
	Currency payments.Currency
	// Refuse is the ISO reason for which the account takes no credit (AC04 closed, AC06 blocked); empty when it does.
	Refuse string
}

// PayeeChecker asks another bank whether name and account belong together, such as package vop's client. Every error, and no answer
// in time, counts as NOAP.
type PayeeChecker interface {
	CheckPayee(ctx context.Context, q PayeeQuery) (PayeeAnswer, error)
}

// PayeeQuery is the question of a payee check.
type PayeeQuery struct {
	Name    payments.Name
	Account payments.Account
	Agent   payments.AgentID
}

// PayeeAnswer is the answer. Matched is the account holder's name, with CMTC only.
type PayeeAnswer struct {
	Result  intent.MatchResult
	Matched payments.Name
}

// Metrics counts what happens, without persons' data: name and label are from fixed sets, see metrics.go. Its methods must not block.
type Metrics interface {
	Count(name, label string)
	Observe(name string, d time.Duration)
}

// Code is a one-time code with which a customer enrols a key. The bank makes it with intent.NewOneTimeCode after identifying the
// customer, gives it to them and keeps its hash.
type Code struct {
	Hash     intent.CodeHash
	Profile  string             // intent.ProfileDeviceKey for payers, intent.ProfilePayee for payees
	Accounts []payments.Account // all at this bank; the key may order from them, or is told of credits to them
	Limits   intent.Limits
	Expires  time.Time
}

// Config is what an Engine needs. Required: ID, Agent, Profile, Key, Journal, Transport, Chat, Core.
type Config struct {
	ID      string           // names this connector in mandates (audience) and statements (issuer): 1 to 64 of A-Z a-z 0-9 - _ .
	Actor   string           // its name in trace events; empty means ID
	Agent   payments.AgentID // this bank on the rail
	Profile *rail.Profile
	Key     ed25519.PrivateKey // signs statements
	Codes   []Code             // one-time codes; codes that the journal knows already stay as they are

	Journal   journal.Journal
	Transport rail.Transport
	Chat      Chat
	Core      CoreBank
	Payees    PayeeChecker // for payees at other banks; nil: every such check is NOAP

	Now     func() time.Time // nil means time.Now
	Trace   trace.Sink
	Metrics Metrics
	Log     *slog.Logger // identifiers that we made, classes and durations only; nil discards

	CheckValid    time.Duration // how long a payee check and its nonce may be used; zero means 10 minutes
	ChecksPerHour int           // payee checks that one chat may ask for in an hour, since each tells something of an account's holder; zero means 600
	CheckTimeout  time.Duration // for the answer of another bank; zero means 3 s
	CoreTimeout   time.Duration // for one call to the core bank; zero means 5 s
	KeyValid      time.Duration // how long an enrolled key is valid; zero means 365 days
	SendTimeout   time.Duration // for one message to the rail; zero means 10 s
	SentWait      time.Duration // how long the rail may take to answer before "submitted" is recorded and told; zero means 100 ms
	Workers       int           // calls under way at once per port; zero means 64
	DrainTimeout  time.Duration // how long Run waits for what is under way after its context has ended; zero means 10 s
}

// ErrStopped means that the engine does not run (yet, or any more): the message was not taken and must be delivered again.
var ErrStopped = errors.New("connector: the engine is not running")

func (c *Config) check() error {
	var errs []error
	need := func(ok bool, text string) {
		if !ok {
			errs = append(errs, errors.New("connector: config: "+text))
		}
	}
	need(c.ID != "" && len(c.ID) <= 64, "ID must have 1 to 64 characters")
	need(c.Agent != "", "Agent is required")
	need(c.Profile != nil, "Profile is required")
	need(len(c.Key) == ed25519.PrivateKeySize, "Key must be an Ed25519 key")
	need(c.Journal != nil && c.Transport != nil && c.Chat != nil && c.Core != nil, "Journal, Transport, Chat and Core are required")
	for _, code := range c.Codes {
		errs = append(errs, code.check())
	}
	return errors.Join(errs...)
}

func (c Code) check() error {
	switch {
	case c.Hash == intent.CodeHash{}:
		return errors.New("connector: a code needs its hash")
	case len(c.Accounts) == 0 || len(c.Accounts) > 16:
		return errors.New("connector: a code needs 1 to 16 accounts")
	case c.Profile != intent.ProfileDeviceKey && c.Profile != intent.ProfilePayee:
		return errors.New("connector: a code's profile must be " + intent.ProfileDeviceKey + " or " + intent.ProfilePayee)
	case c.Expires.IsZero():
		return errors.New("connector: a code needs an expiry")
	}
	for _, l := range []payments.Amount{c.Limits.PerPayment, c.Limits.PerDay} {
		if l != (payments.Amount{}) && !l.Payable() { // zero means none elsewhere: nobody may take it for nothing allowed
			return errors.New("connector: a code's limit must be above zero, or not set")
		}
	}
	return nil
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func (c Config) withDefaults() Config {
	c.Actor = or(c.Actor, c.ID)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	c.CheckValid = or(c.CheckValid, 10*time.Minute)
	c.ChecksPerHour = or(c.ChecksPerHour, 600)
	c.CheckTimeout = or(c.CheckTimeout, 3*time.Second)
	c.CoreTimeout = or(c.CoreTimeout, 5*time.Second)
	c.KeyValid = or(c.KeyValid, 365*24*time.Hour)
	c.SendTimeout = or(c.SendTimeout, 10*time.Second)
	c.SentWait = or(c.SentWait, 100*time.Millisecond)
	c.Workers = or(c.Workers, 64)
	c.DrainTimeout = or(c.DrainTimeout, 10*time.Second)
	return c
}
