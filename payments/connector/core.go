package connector

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
)

// Core is what Step needs to know besides the payment. It is never changed after the first Step.
type Core struct {
	Rail        string           // name of the rail profile, such as "fednow"
	Agent       payments.AgentID // this bank
	Currency    payments.Currency
	Messages    Messages
	Answer      time.Duration   // from submitting to the rail's last moment to answer; required
	Recovery    rail.Recovery   // what the rail wants done when no answer comes; the zero value does nothing but wait
	Ladder      []time.Duration // when to ask or resend, counted from when the outcome is unknown and the answer overdue; at most 3
	CaseAfter   time.Duration   // counted likewise: when a person is asked; 0 = Answer after the last step of the ladder
	Blind       bool            // what the transport answers proves nothing: only the rail's own messages do
	Restore     time.Duration   // from submitting until the payer's money is given back although the outcome is open; 0 = never
	Confirm     time.Duration   // at the creditor's bank: from our answer to the last moment of the settlement; 0 = Answer
	Remind      time.Duration   // between reminders of an open case while the outcome is unknown; 0 = 24 h
	ByEndToEnd  bool            // the rail's messages name a transfer by its end-to-end id only, so that no two can be told apart that share one
	PositiveISO string          // how the creditor's bank says yes on this rail: ACTC or ACCP
	MaxAmount   int64           // of the rail, in minor units; 0 = no limit
}

// Messages makes the exact bytes for the rail. It is pure: the same input gives the same bytes, in any process, so that what the
// journal holds can always be explained.
type Messages interface {
	// Transfer makes the one transfer of a payment. It fails when the rail would refuse it; then nothing is sent.
	Transfer(p Payment, now time.Time) (Execution, []byte, error)
	// Enquiry asks what became of the transfer: the n-th enquiry, from 1. It fails with rail.ErrTooOld when the rail takes none any more.
	Enquiry(p Payment, n int, now time.Time) ([]byte, error)
	// Again marks the exact bytes of a transfer as sent before and changes nothing else. Only rails of rail.ResendMarked have it.
	Again(sent []byte) ([]byte, error)
	// Reply answers an incoming transfer with an ISO status and, for a refusal, its reason.
	Reply(p Payment, status, reason string, now time.Time) ([]byte, error)
}

// Bounds of the core.
const (
	maxSteps   = 3  // of the ladder: enquiries or repetitions for one payment (an enquiry storm took a national rail down)
	maxChecks  = 8  // payee checks for one intent
	maxLate    = 32 // rail messages recorded for one payment after its end, or that change nothing
	maxRepeats = 3  // of our answer to a transfer that is delivered again

	maxRequestLife = 366 * 24 * time.Hour // from the payee check to the request's expiry, which arms a timer
)

// Refusal is the error of Step for an event that must not happen to this payment. The payment is unchanged. Step is one of the
// verification steps of a mandate, 0 when it is none of them; Reason is a stable word for programs; Text is for people and has no
// person's data.
type Refusal struct {
	Step   intent.Step
	Reason intent.Reason
	Text   string
}

func (r *Refusal) Error() string { return "connector: refused (" + string(r.Reason) + "): " + r.Text }

func refuse(step intent.Step, reason intent.Reason, format string, args ...any) error {
	return &Refusal{step, reason, fmt.Sprintf(format, args...)}
}

// Reasons of refusals that are not about a mandate's own content.
const (
	ReasonNotYours      intent.Reason = "not_yours" // the intent is known from another chat
	ReasonTooLate       intent.Reason = "too_late"  // the payment has moved on; Text says where
	ReasonTooManyChecks intent.Reason = "too_many_checks"
	ReasonTooMany       intent.Reason = "too_many_attempts"
	ReasonUnknownIntent intent.Reason = "intent.unknown"
	ReasonCurrency      intent.Reason = "currency"
	ReasonAmountLimit   intent.Reason = "amount.rail" // over the rail's own limit
	ReasonUnavailable   intent.Reason = "unavailable" // of the bank's own systems
)

// ErrEvent means that an event cannot concern this payment at all: a programmer's mistake, or a damaged journal.
var ErrEvent = errors.New("connector: the event does not fit the payment")

// Step decides what an event does to a payment: the changed payment, and what is to become durable with it, in order. It is a pure
// function. A *Refusal means that the event was understood and is not allowed; nothing changes and the caller answers whoever
// sent it. No effects and no error means that there is nothing to record. A late, repeated or contradicting answer is no error: it
// is recorded, opens a case if it must, and changes no state.
func Step(cfg *Core, p Payment, now time.Time, ev Event) (Payment, []Effect, error) {
	before := p
	p.TimersSet = slices.Clone(p.TimersSet)
	if now.Before(p.Clock) {
		now = p.Clock // a clock that was set back must not bring back what has expired
	}
	s := &step{cfg: cfg, p: &p, now: now}
	p.Clock = now
	err := s.handle(ev)
	if err != nil || !slices.ContainsFunc(s.effects, isRecord) { // what leaves no record has not happened
		return before, nil, err
	}
	return p, s.effects, nil
}

func isRecord(e Effect) bool { _, ok := e.(Record); return ok }

func (s *step) handle(ev Event) error {
	switch e := ev.(type) {
	case CheckAnswered:
		return s.checkAnswered(e)
	case TransferReceived:
		return s.transferReceived(e)
	}
	switch {
	case s.p.State == lifecycle.None:
		return fmt.Errorf("%w: %T for a payment that does not exist", ErrEvent, ev)
	case s.p.Side == lifecycle.Creditor:
		return s.creditor(ev)
	default:
		return s.debtor(ev)
	}
}

// step is one step under way.
type step struct {
	cfg     *Core
	p       *Payment
	now     time.Time
	effects []Effect
}

func (s *step) add(e ...Effect) { s.effects = append(s.effects, e...) }

// move takes the transition of the table that the trigger names, and records its evidence.
func (s *step) move(t lifecycle.Trigger, ev Evidence) error {
	to, err := lifecycle.Next(s.p.State, t)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEvent, err)
	}
	s.add(Record{Type: "payment." + string(to), From: s.p.State, To: to, At: s.now, Evidence: ev})
	s.p.State = to
	return nil
}

// note records evidence that changes no state.
func (s *step) note(typ string, ev Evidence) {
	s.add(Record{Type: typ, From: s.p.State, To: s.p.State, At: s.now, Evidence: ev})
}

func (s *step) trace(event, detail string) { s.add(Trace{event, detail}) }

func (s *step) openCase(kind CaseKind, text string) {
	if slices.Contains(s.p.Cases, kind) {
		return
	}
	s.p.Cases = append(slices.Clone(s.p.Cases), kind)
	s.add(OpenCase{kind, text})
	s.trace("case opened", string(kind)+" "+text)
}

func (s *step) set(name TimerName, at time.Time) {
	s.p.TimersSet = slices.DeleteFunc(s.p.TimersSet, func(t Timer) bool { return t.Name == name })
	s.p.TimersSet = append(s.p.TimersSet, Timer{name, at})
	s.add(SetTimer{Timer{name, at}})
}

func (s *step) clear(names ...TimerName) {
	for _, name := range names {
		if _, armed := s.p.timer(name); armed {
			s.p.TimersSet = slices.DeleteFunc(s.p.TimersSet, func(t Timer) bool { return t.Name == name })
			s.add(ClearTimer{name})
		}
	}
}

func (s *step) clearAll() {
	for len(s.p.TimersSet) > 0 {
		s.clear(s.p.TimersSet[0].Name)
	}
}

// row names an outbox row of this payment: unique for ever, and the idempotency key of what it asks for.
func (s *step) row(name string) string { return row(*s.p, name) }

func row(p Payment, name string) string { return string(p.Side) + "/" + string(p.Intent) + "/" + name }

const (
	rowTransfer = "transfer"
	rowAgain    = "again"
	rowEnquiry  = "enquiry"
	rowAnswer   = "answer"
)

func (s *step) core(op CoreOp, account payments.Account) {
	s.add(CallCore{Row: s.row("core-" + string(op)), Op: op, Key: s.row("money"), Account: account, Amount: s.p.Amount})
}

func (s *step) notify(kind NoticeKind) {
	s.p.Notices++
	row := s.row("chat-" + strconv.FormatUint(s.p.Notices, 10))
	if s.p.Chat != "" {
		s.add(Notify{Row: row, Chat: s.p.Chat, Kind: kind, Seq: s.p.Notices, Status: s.p.State, At: s.now})
	}
	for i, chat := range s.p.OtherChats {
		s.add(Notify{Row: fmt.Sprintf("%s-%d", row, i+1), Chat: chat, Kind: kind, Seq: s.p.Notices, Status: s.p.State, At: s.now})
	}
}

func (s *step) post(lines ...Line) {
	for i := range lines {
		lines[i].Currency = s.p.Amount.Currency
	}
	s.add(Post{lines})
}

// bound reports whether another message that changes nothing may still be recorded, and counts it.
func (s *step) bound() bool {
	if s.p.Late >= maxLate {
		return false
	}
	s.p.Late++
	return true
}

func clock(name string) Evidence { return Evidence{Kind: "clock." + name} }

// accountToken names an account in the ledger without its number.
func accountToken(a payments.Account) string {
	sum := sha256.Sum256([]byte("parley ledger account 1\x00" + a.Reveal()))
	return hex.EncodeToString(sum[:8])
}

// Ledger accounts. Money of customers at rest is "external": the core bank keeps it.
func holdAccount(a payments.Account) string  { return "payer_hold:" + accountToken(a) }
func payeeAccount(a payments.Account) string { return "payee_pending:" + accountToken(a) }
func (s *step) clearing() string             { return "rail_clearing:" + s.cfg.Rail }
func (s *step) exposure() string             { return "exposure:" + s.cfg.Rail }

const (
	external = "external"
	suspense = "suspense_unknown"
)

// foreignID derives a record id in the form of an intent id from what identifies something that is none of ours.
func foreignID(kind string, parts ...string) payments.IntentID {
	h := sha256.New()
	h.Write([]byte("parley foreign " + kind))
	for _, p := range parts {
		fmt.Fprintf(h, "\x00%d:%s", len(p), p)
	}
	u := h.Sum(nil)
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	x := hex.EncodeToString(u[:16])
	return payments.IntentID("pi_" + x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:])
}

// KeyOf returns the journal's key of the payment.
func (p Payment) KeyOf() journal.Key { return journal.Key{Intent: p.Intent, Side: p.Side} }
