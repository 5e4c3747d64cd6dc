package connector

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// plainMessages are Messages without any encoding.
type plainMessages struct{ fail bool }

func (m plainMessages) Transfer(p Payment, now time.Time) (Execution, []byte, error) {
	if m.fail {
		return Execution{}, nil, errors.New("not encodable")
	}
	x := Execution{MessageID: "M-" + string(p.Intent)[3:20], EndToEnd: p.Intent.EndToEndID(), UETR: payments.NewUETR(p.Intent, "test"), Created: now, Accepted: now}
	return x, []byte("transfer " + p.Amount.String()), nil
}

func (plainMessages) Enquiry(p Payment, n int, _ time.Time) ([]byte, error) {
	return fmt.Appendf(nil, "enquiry %d", n), nil
}

func (plainMessages) Again(sent []byte) ([]byte, error) {
	return append([]byte("again "), sent...), nil
}

func (plainMessages) Reply(p Payment, status, reason string, _ time.Time) ([]byte, error) {
	return []byte("answer " + p.Execution.MessageID + " " + status + " " + reason), nil
}

var (
	t0       = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	intentID = must(payments.ParseIntentID("pi_019ab3c0-1111-7222-8333-000000000001"))
	debtor   = Party{Name: must(payments.ParseName("Example Payer")), Account: must(payments.ParseAccount("DE89370400440532013000")), Agent: "PAYRDEF0XXX"}
	creditor = Party{Name: must(payments.ParseName("Example Coffee")), Account: must(payments.ParseAccount("FR1420041010050500013M02606")), Agent: "SHOPFRP0"}
	amount   = payments.Amount{Minor: 12_50, Currency: "EUR"}
)

func testCore() *Core {
	return &Core{Rail: "sctinst", Agent: "PAYRDEF0XXX", Currency: "EUR", Messages: plainMessages{}, Answer: 10 * time.Second,
		Ladder: []time.Duration{0, 5 * time.Second, 30 * time.Second}, CaseAfter: 2 * time.Minute, PositiveISO: "ACCP", MaxAmount: 100_000_00, Recovery: rail.Ask}
}

func asked() CheckAnswered {
	return CheckAnswered{Intent: intentID, Chat: "chat", Amount: amount, Creditor: creditor, Debtor: debtor, Reference: "RF18539007547034",
		Expires: t0.Add(5 * time.Minute), RequestHash: Digest{1}, Request: Evidence{Kind: "request", Hash: Digest{1}},
		Check: Check{Result: intent.Match, Ref: "r", At: t0, Expires: t0.Add(10 * time.Minute)}, Nonce: "nonce-1"}
}

func verified() MandateVerified {
	return MandateVerified{Chat: "chat", KeyID: "kid", Amount: amount, Debtor: debtor, Creditor: creditor, RequestHash: Digest{1}, MandateHash: Digest{2},
		Nonce: "nonce-1", Expires: t0.Add(4 * time.Minute), PerPayment: 50_00, PerDay: 100_00, Mandate: Evidence{Kind: "mandate", Hash: Digest{2}}}
}

func status(kind rail.Kind, code string) StatusReceived {
	return StatusReceived{Meaning: kind, Status: code, Original: "M-" + string(intentID)[3:20], EndToEnd: intentID.EndToEndID(),
		UETR: payments.NewUETR(intentID, "test"), Report: Evidence{Kind: "pacs.002", Hash: Digest{3}}}
}

func rejected(reason string) StatusReceived {
	s := status(rail.Rejected, "RJCT")
	s.Reason = reason
	return s
}

const transferRow = "debtor/pi_019ab3c0-1111-7222-8333-000000000001/transfer"

// The ways into each state of the debtor's side, shortest first.
var waysInto = map[lifecycle.State][]Event{
	lifecycle.Presented:  {asked()},
	lifecycle.Authorised: {asked(), verified()},
	lifecycle.Submitting: {asked(), verified(), CoreAnswered{Op: CoreReserve, OK: true}},
	lifecycle.Submitted:  {asked(), verified(), CoreAnswered{Op: CoreReserve, OK: true}, Sent{Row: transferRow, Result: SentAccepted}},
	lifecycle.Accepted:   {asked(), verified(), CoreAnswered{Op: CoreReserve, OK: true}, status(rail.Accepted, "ACSP")},
	lifecycle.Unknown:    {asked(), verified(), CoreAnswered{Op: CoreReserve, OK: true}, Recovered{}},
	lifecycle.Settled:    {asked(), verified(), CoreAnswered{Op: CoreReserve, OK: true}, status(rail.Settled, "ACCP")},
	lifecycle.Rejected:   {asked(), verified(), CoreAnswered{Op: CoreReserve, OK: true}, rejected("AC03")},
	lifecycle.Declined:   {asked(), Declined{"chat", "no"}},
	lifecycle.Cancelled:  {asked(), verified(), Cancelled{"chat", "no"}},
	lifecycle.Expired:    {asked(), TimerFired{Name: TimerExpiry, At: t0.Add(5 * time.Minute)}},
}

// play applies events one second apart, timers at their own time.
func play(t interface {
	Helper()
	Fatalf(string, ...any)
}, cfg *Core, p Payment, now time.Time, events ...Event) (Payment, []Effect, time.Time) {
	t.Helper()
	var all []Effect
	for _, ev := range events {
		if x, ok := ev.(TimerFired); ok && x.At.After(now) {
			now = x.At
		}
		after, effects, err := Step(cfg, p, now, asStored(cfg, p, ev))
		if err != nil {
			t.Fatalf("%T in state %q: %v", ev, p.State, err)
		}
		p, all = after, append(all, effects...)
		if len(effects) > 0 {
			if _, err := JournalStep(p, 1, effects, noStatements{}); err != nil {
				t.Fatalf("%T: %v", ev, err)
			}
		}
		now = now.Add(time.Second)
	}
	return p, all, now
}

// asStored hands the event the bytes that the journal would have, which plainMessages can make again.
func asStored(cfg *Core, p Payment, ev Event) Event {
	switch id := Stored(cfg, p, ev); {
	case strings.HasSuffix(id, "/"+rowTransfer):
		_, wire, _ := cfg.Messages.Transfer(p, p.Submitted)
		return WithStored(ev, wire)
	case strings.HasSuffix(id, "/"+rowAnswer):
		wire, _ := cfg.Messages.Reply(p, p.Answer, p.AnswerReason, p.Clock)
		return WithStored(ev, wire)
	}
	return ev
}

type noStatements struct{}

func (noStatements) Statement(p Payment, n Notify) (ChatMessage, error) {
	return ChatMessage{MediaType: string(n.Kind), Status: string(n.Status)}, nil
}

// words lists effects as short words, for comparison in tables.
func words(effects []Effect) string {
	var out []string
	for _, e := range effects {
		switch x := e.(type) {
		case Record:
			if x.From != x.To {
				out = append(out, ">"+string(x.To))
			} else {
				out = append(out, "="+x.Type)
			}
		case SendRail:
			out = append(out, "send:"+x.Kind)
		case CallCore:
			out = append(out, "core:"+string(x.Op))
		case Notify:
			out = append(out, "tell:"+string(x.Kind))
		case OpenCase:
			out = append(out, "case:"+string(x.Kind))
		case Drop:
			out = append(out, "drop")
		case SetTimer:
			out = append(out, "set:"+string(x.Name))
		case ClearTimer:
			out = append(out, "clear:"+string(x.Name))
		case Post:
			out = append(out, "post")
		case Claim:
			out = append(out, "claim:"+x.Kind)
		case Take:
			out = append(out, "take:"+fmt.Sprint(x.Add))
		}
	}
	return strings.Join(out, " ")
}

func TestDebtorTransitions(t *testing.T) {
	cases := []struct {
		from lifecycle.State
		ev   Event
		to   lifecycle.State
		want string // what must be among the effects
		not  string // what must not
	}{
		{lifecycle.Presented, verified(), lifecycle.Authorised, "claim:mandate claim:nonce claim:accepted_mandate take:1250 core:reserve tell:receipt", "send:"},
		{lifecycle.Presented, asked(), lifecycle.Presented, "=payee-check.renewed tell:payeecheck", ">"},
		{lifecycle.Presented, Declined{"chat", "no"}, lifecycle.Declined, "clear:expiry tell:receipt", "core:"},
		{lifecycle.Presented, Cancelled{"chat", "no"}, lifecycle.Cancelled, "clear:expiry tell:receipt", "core:"},
		{lifecycle.Authorised, CoreAnswered{Op: CoreReserve, OK: true}, lifecycle.Submitting, "claim:message_id send:pacs.008 post clear:expiry set:answer", "tell:"},
		{lifecycle.Authorised, CoreAnswered{Op: CoreReserve, Reason: "AM04"}, lifecycle.Rejected, "take:-1250 clear:expiry tell:receipt", "send:"},
		{lifecycle.Authorised, Cancelled{"chat", "no"}, lifecycle.Cancelled, "drop core:release take:-1250 tell:receipt", "send:"},
		{lifecycle.Submitting, Sent{Row: transferRow, Result: SentAccepted}, lifecycle.Submitted, "tell:receipt", "core:"},
		{lifecycle.Submitting, Sent{Row: transferRow, Result: SentRefused, Reason: "FF01"}, lifecycle.Rejected, "core:release post take:-1250 tell:receipt", "send:"},
		{lifecycle.Submitting, Sent{Row: transferRow, Result: SentAmbiguous}, lifecycle.Unknown, "drop set:enquiry tell:receipt", "core: send:"},
		{lifecycle.Submitting, Sent{Row: transferRow, Result: SentNot}, lifecycle.Unknown, "drop set:enquiry", "core: send:"},
		{lifecycle.Submitting, Recovered{}, lifecycle.Unknown, "drop set:enquiry tell:receipt", "core: send:"},
		{lifecycle.Submitting, status(rail.Waiting, "RCVD"), lifecycle.Submitted, "=rail.waiting tell:receipt", "core:"},
		{lifecycle.Submitting, status(rail.NotFound, "RJCT"), lifecycle.Submitting, "=rail.not_found", ">"},
		{lifecycle.Submitting, status(rail.Ignored, "XXXX"), lifecycle.Submitting, "=rail.ignored", ">"},
		{lifecycle.Submitting, status(rail.Settled, "ACCP"), lifecycle.Settled, ">submitted >settled core:post post tell:receipt", "send:"},
		{lifecycle.Submitting, rejected("AC03"), lifecycle.Rejected, ">submitted >rejected core:release post take:-1250", "send:"},
		{lifecycle.Submitted, status(rail.Accepted, "ACSP"), lifecycle.Accepted, "set:answer tell:receipt", "core:"},
		{lifecycle.Submitted, status(rail.Settled, "ACCP"), lifecycle.Settled, "clear:answer core:post post tell:receipt", "send:"},
		{lifecycle.Submitted, status(rail.SettledPending, "ACWP"), lifecycle.Settled, "core:post", "send:"},
		{lifecycle.Submitted, rejected("AC04"), lifecycle.Rejected, "clear:answer core:release post take:-1250 tell:receipt", "send:"},
		{lifecycle.Submitted, Sent{Row: transferRow, Result: SentAccepted}, lifecycle.Submitted, "", "="},
		{lifecycle.Accepted, status(rail.Settled, "ACCP"), lifecycle.Settled, "core:post", ""},
		{lifecycle.Accepted, rejected("AC04"), lifecycle.Rejected, "core:release", ""},
		{lifecycle.Accepted, status(rail.Accepted, "ACSP"), lifecycle.Accepted, "=rail.duplicate", "tell:"},
		{lifecycle.Unknown, status(rail.Accepted, "ACSP"), lifecycle.Accepted, "clear:enquiry set:answer", "core:"},
		{lifecycle.Unknown, status(rail.Settled, "ACCP"), lifecycle.Settled, "clear:enquiry core:post post tell:receipt", "send:"},
		{lifecycle.Unknown, rejected("AB05"), lifecycle.Rejected, "clear:enquiry core:release", "send:"},
		{lifecycle.Unknown, status(rail.NotFound, "RJCT"), lifecycle.Unknown, "=rail.not_found", "core: > tell:"},
		{lifecycle.Unknown, status(rail.Blocked, "BLCK"), lifecycle.Unknown, "=rail.contradiction case:contradiction", ">"},
		{lifecycle.Unknown, Sent{Row: transferRow, Result: SentAccepted}, lifecycle.Unknown, "", "="},
		{lifecycle.Unknown, Sent{Row: transferRow, Result: SentRefused, Reason: "FF01"}, lifecycle.Rejected, "core:release", ""},
		{lifecycle.Unknown, Recovered{}, lifecycle.Unknown, "", "="},
		{lifecycle.Submitting, messageRefused(), lifecycle.Rejected, "core:release post take:-1250 tell:receipt", "send:"},
		{lifecycle.Submitted, messageRefused(), lifecycle.Rejected, "core:release clear:answer", "send:"},
		{lifecycle.Unknown, messageRefused(), lifecycle.Rejected, "core:release clear:enquiry", "send:"},
		{lifecycle.Accepted, messageRefused(), lifecycle.Accepted, "=rail.contradiction case:contradiction", "> core:"},
		{lifecycle.Settled, messageRefused(), lifecycle.Settled, "=rail.contradiction case:contradiction", "> core:"},
		{lifecycle.Rejected, messageRefused(), lifecycle.Rejected, "=rail.message_refused", "> core:"},
		{lifecycle.Presented, messageRefused(), lifecycle.Presented, "=rail.message_refused", "> core:"},
		{lifecycle.Settled, status(rail.Settled, "ACCP"), lifecycle.Settled, "=rail.duplicate", "case: core: tell:"},
		{lifecycle.Settled, status(rail.SettledCredited, "ACCC"), lifecycle.Settled, "=payment.credited tell:receipt", "core:"},
		{lifecycle.Settled, rejected("AC03"), lifecycle.Settled, "=rail.contradiction case:contradiction", "> core: tell:"},
		{lifecycle.Settled, status(rail.Blocked, "BLCK"), lifecycle.Settled, "=payment.blocked case:blocked", ">"},
		{lifecycle.Settled, CoreAnswered{Op: CorePost, OK: true}, lifecycle.Settled, "", "="},
		{lifecycle.Settled, CoreAnswered{Op: CorePost, Reason: "NOAS"}, lifecycle.Settled, "=core.post.refused case:core-bank", ">"},
		{lifecycle.Rejected, rejected("AC03"), lifecycle.Rejected, "=rail.duplicate", "case: core:"},
		{lifecycle.Rejected, status(rail.Settled, "ACCP"), lifecycle.Rejected, "=rail.contradiction case:contradiction", "> core: tell:"},
		{lifecycle.Rejected, status(rail.Accepted, "ACSP"), lifecycle.Rejected, "case:contradiction", ">"},
		{lifecycle.Cancelled, CoreAnswered{Op: CoreReserve, OK: true}, lifecycle.Cancelled, "", "="},
		{lifecycle.Expired, status(rail.Settled, "ACCP"), lifecycle.Expired, "=rail.mismatch case:mismatch", "> core:"},
		{lifecycle.Declined, status(rail.Settled, "ACCP"), lifecycle.Declined, "case:mismatch", "> core:"},
	}
	for _, c := range cases {
		p, _, now := play(t, testCore(), Payment{}, t0, waysInto[c.from]...)
		if p.State != c.from {
			t.Fatalf("the way into %s ends in %s", c.from, p.State)
		}
		after, effects, err := Step(testCore(), p, now, c.ev)
		if err != nil {
			t.Errorf("%T %s: %v", c.ev, c.from, err)
			continue
		}
		name := fmt.Sprintf("%T%+v in %s", c.ev, c.ev, c.from)
		if after.State != c.to {
			t.Errorf("%s: goes to %s, want %s", name, after.State, c.to)
		}
		got := words(effects)
		for _, w := range strings.Fields(c.want) {
			if !slices.Contains(strings.Fields(got), w) {
				t.Errorf("%s: %q is not among: %s", name, w, got)
			}
		}
		for _, w := range strings.Fields(c.not) {
			if strings.HasPrefix(got, w) || strings.Contains(got, " "+w) {
				t.Errorf("%s: %q is among: %s", name, w, got)
			}
		}
		if c.want == "" && got != "" {
			t.Errorf("%s: has effects: %s", name, got)
		}
		checkEffects(t, name, after, effects)
	}
}

// checkEffects holds for every step: postings sum to zero, records chain the states, every state has its timer.
func checkEffects(t interface{ Errorf(string, ...any) }, name string, after Payment, effects []Effect) {
	var last lifecycle.State
	recorded := false
	for _, e := range effects {
		switch x := e.(type) {
		case Post:
			sum := int64(0)
			for _, l := range x.Lines {
				sum += l.Minor
				if strings.Contains(l.Account, debtor.Account.Reveal()) || strings.Contains(l.Account, creditor.Account.Reveal()) {
					t.Errorf("%s: the ledger names an account in the clear", name)
				}
			}
			if sum != 0 {
				t.Errorf("%s: posting is off by %d", name, sum)
			}
		case Record:
			if recorded && x.From != last {
				t.Errorf("%s: record starts at %s after %s", name, x.From, last)
			}
			if x.From != x.To && x.Evidence.Kind == "" {
				t.Errorf("%s: %s without evidence", name, x.To)
			}
			recorded, last = true, x.To
		}
	}
	if len(effects) > 0 && !recorded {
		t.Errorf("%s: effects without a record", name)
	}
	if recorded && last != after.State {
		t.Errorf("%s: records end at %s, the payment is %s", name, last, after.State)
	}
	if after.State.Terminal() != (len(after.TimersSet) == 0) && after.State != lifecycle.Authorised {
		t.Errorf("%s: %s with timers %v", name, after.State, after.TimersSet)
	}
}

func TestDebtorRefusals(t *testing.T) {
	change := func(f func(*MandateVerified)) Event {
		m := verified()
		f(&m)
		return m
	}
	again := func(f func(*CheckAnswered)) Event {
		a := asked()
		f(&a)
		return a
	}
	cases := []struct {
		from   lifecycle.State
		ev     Event
		reason intent.Reason
	}{
		{lifecycle.None, again(func(a *CheckAnswered) { a.Amount.Currency = "USD" }), ReasonCurrency},
		{lifecycle.None, again(func(a *CheckAnswered) { a.Amount.Minor = 0 }), ReasonCurrency},
		{lifecycle.None, again(func(a *CheckAnswered) { a.Amount.Minor = 100_000_01 }), ReasonAmountLimit},
		{lifecycle.None, again(func(a *CheckAnswered) { a.Expires = t0 }), intent.ReasonRequestExpiry},
		{lifecycle.Presented, again(func(a *CheckAnswered) { a.Chat = "other" }), ReasonNotYours},
		{lifecycle.Presented, again(func(a *CheckAnswered) { a.RequestHash[5] = 9 }), intent.ReasonRequestHash},
		{lifecycle.Authorised, asked(), ReasonTooLate},
		{lifecycle.Settled, asked(), ReasonTooLate},
		{lifecycle.Presented, change(func(m *MandateVerified) { m.Chat = "other" }), ReasonNotYours},
		{lifecycle.Presented, change(func(m *MandateVerified) { m.RequestHash[5] = 9 }), intent.ReasonRequestHash},
		{lifecycle.Presented, change(func(m *MandateVerified) { m.Nonce = "nonce-0" }), intent.ReasonNonceOther},
		{lifecycle.Presented, change(func(m *MandateVerified) { m.Amount.Minor++ }), intent.ReasonAmount},
		{lifecycle.Presented, change(func(m *MandateVerified) { m.Creditor.Account = debtor.Account }), intent.ReasonPayeeAccount},
		{lifecycle.Presented, change(func(m *MandateVerified) { m.Debtor.Account = creditor.Account }), intent.ReasonKeyAccount},
		{lifecycle.Presented, change(func(m *MandateVerified) { m.Debtor.Agent = "SHOPFRP0" }), intent.ReasonKeyAgent},
		{lifecycle.Presented, change(func(m *MandateVerified) { m.Expires = t0 }), intent.ReasonExpired},
		{lifecycle.Presented, change(func(m *MandateVerified) { m.PerPayment = 12_49 }), intent.ReasonLimit},
		{lifecycle.Authorised, verified(), intent.ReasonReplay},
		{lifecycle.Settled, verified(), intent.ReasonReplay},
		{lifecycle.Unknown, change(func(m *MandateVerified) { m.MandateHash[0] = 9 }), ReasonTooLate},
		{lifecycle.Declined, verified(), ReasonTooLate},
		{lifecycle.Expired, verified(), ReasonTooLate},
		{lifecycle.Presented, Declined{"other", ""}, ReasonNotYours},
		{lifecycle.Authorised, Declined{"chat", ""}, ReasonTooLate},
		{lifecycle.Submitting, Cancelled{"chat", ""}, ReasonTooLate},
		{lifecycle.Submitted, Cancelled{"chat", ""}, ReasonTooLate},
		{lifecycle.Accepted, Cancelled{"chat", ""}, ReasonTooLate},
		{lifecycle.Unknown, Cancelled{"chat", ""}, ReasonTooLate},
		{lifecycle.Settled, Cancelled{"chat", ""}, ReasonTooLate},
		{lifecycle.Settled, Declined{"chat", ""}, ReasonTooLate},
		{lifecycle.Rejected, Cancelled{"chat", ""}, ReasonTooLate},
	}
	for _, c := range cases {
		p, _, now := play(t, testCore(), Payment{}, t0, waysInto[c.from]...)
		after, effects, err := Step(testCore(), p, now, c.ev)
		var r *Refusal
		if !errors.As(err, &r) || r.Reason != c.reason {
			t.Errorf("%T in %q: %v, want %s", c.ev, c.from, err, c.reason)
		}
		if len(effects) != 0 || !reflect.DeepEqual(after, p) {
			t.Errorf("%T in %q: a refusal changed something", c.ev, c.from)
		}
		if r != nil && (strings.Contains(r.Text, debtor.Account.Reveal()) || strings.Contains(r.Text, "Example")) {
			t.Errorf("%T in %q: the text names a person: %s", c.ev, c.from, r.Text)
		}
	}
	for _, ev := range []Event{verified(), Declined{}, Cancelled{}, Recovered{}, StatusReceived{}, CoreAnswered{}, Sent{}, TimerFired{}} {
		if _, _, err := Step(testCore(), Payment{}, t0, ev); !errors.Is(err, ErrEvent) {
			t.Errorf("%T for no payment: %v", ev, err)
		}
	}
}

// The mandate must hold at the instant of submitting, not only when it was verified; an expired one is not sent although funds are held.
func TestNothingIsSentAfterExpiry(t *testing.T) {
	p, _, _ := play(t, testCore(), Payment{}, t0, asked(), verified())
	after, effects, err := Step(testCore(), p, t0.Add(4*time.Minute), CoreAnswered{Op: CoreReserve, OK: true})
	if err != nil || after.State != lifecycle.Expired || strings.Contains(words(effects), "send:") || !strings.Contains(words(effects), "core:release") {
		t.Errorf("%s, %s, %v", after.State, words(effects), err)
	}
	// A clock that is set back does not bring it back.
	p, _, _ = play(t, testCore(), p, t0.Add(3*time.Minute), asked2())
	after, effects, err = Step(testCore(), p, t0.Add(-time.Hour), CoreAnswered{Op: CoreReserve, OK: true})
	if err != nil || after.Clock.Before(p.Clock) || after.State != lifecycle.Submitting || after.Submitted.Before(p.Clock) {
		t.Errorf("clock went back: %v, %v, %v %s", p.Clock, after.Clock, err, words(effects))
	}
}

// asked2 is an event that changes nothing in authorised.
func asked2() Event { return Recovered{} }

func TestNotEncodableIsRejectedBeforeSending(t *testing.T) {
	cfg := testCore()
	cfg.Messages = plainMessages{fail: true}
	p, effects, _ := play(t, cfg, Payment{}, t0, asked(), verified(), CoreAnswered{Op: CoreReserve, OK: true})
	if p.State != lifecycle.Rejected || strings.Contains(words(effects), "send:") || !strings.Contains(words(effects), "core:release") || p.Reason != "not_encodable" {
		t.Errorf("%s (%s): %s", p.State, p.Reason, words(effects))
	}
}

// Silence: unknown at the deadline, three enquiries and not one more, then a case, and reminders for ever.
func TestLadder(t *testing.T) {
	cfg := testCore()
	p, _, now := play(t, cfg, Payment{}, t0, waysInto[lifecycle.Submitted]...)
	var log []string
	for len(log) < 8 {
		if len(p.TimersSet) != 1 {
			t.Fatalf("timers %v", p.TimersSet)
		}
		timer := p.TimersSet[0]
		var effects []Effect
		p, effects, now = play(t, cfg, p, now, TimerFired{Name: timer.Name, At: timer.At})
		log = append(log, fmt.Sprintf("%s+%d", timer.Name, timer.At.Sub(p.Deadline)/time.Second))
		if n := strings.Count(words(effects), "send:"); n > 1 || (n == 1) != (timer.Name == TimerEnquiry) {
			t.Errorf("%s: %s", timer.Name, words(effects))
		}
		checkEffects(t, string(timer.Name), p, effects)
		if p.State != lifecycle.Unknown {
			t.Fatalf("silence made it %s", p.State)
		}
	}
	// The first enquiry is carried out a second late, and the waits count anew.
	want := "answer+0 enquiry+0 enquiry+6 enquiry+31 case+121 case+86521 case+172921 case+259321"
	if got := strings.Join(log, " "); got != want {
		t.Errorf("ladder: %s", got)
	}
	if p.Enquiries != 3 || !slices.Equal(p.Cases, []CaseKind{CaseUnknown}) {
		t.Errorf("%d enquiries, cases %v", p.Enquiries, p.Cases)
	}
	// Even now the rail's word ends it.
	p, _, _ = play(t, cfg, p, now, status(rail.Settled, "ACCP"))
	if p.State != lifecycle.Settled || len(p.TimersSet) != 0 {
		t.Errorf("%s, timers %v", p.State, p.TimersSet)
	}
}

// A restart long before the deadline does not ask before the deadline; one long after it does not ask three times at once.
func TestLadderAfterRestart(t *testing.T) {
	cfg := testCore()
	p, _, _ := play(t, cfg, Payment{}, t0, waysInto[lifecycle.Unknown]...)
	if at, ok := p.timer(TimerEnquiry); !ok || at.Before(p.Deadline) {
		t.Errorf("first enquiry at %v, deadline %v", at, p.Deadline)
	}
	p, _, _ = play(t, cfg, Payment{}, t0, waysInto[lifecycle.Submitting]...)
	late := t0.Add(time.Hour)
	p, _, _ = play(t, cfg, p, late, Recovered{})
	at, _ := p.timer(TimerEnquiry)
	p, _, _ = play(t, cfg, p, late, TimerFired{Name: TimerEnquiry, At: at})
	if next, _ := p.timer(TimerEnquiry); next.Sub(late) < 4*time.Second {
		t.Errorf("second enquiry %v after the restart", next.Sub(late))
	}
}

// SCT Inst: at the tenth second the payer has the money back while the outcome stays open; each late answer books rightly.
func TestPayerRestored(t *testing.T) {
	cfg := testCore()
	cfg.Restore = 10 * time.Second
	p, _, now := play(t, cfg, Payment{}, t0, waysInto[lifecycle.Submitted]...)
	at, _ := p.timer(TimerRestore)
	p, effects, now := play(t, cfg, p, now, TimerFired{Name: TimerRestore, At: at})
	if p.State != lifecycle.Unknown || p.Restored.IsZero() || !strings.Contains(words(effects), "core:release post post") {
		t.Fatalf("%s: %s", p.State, words(effects))
	}
	yes, effects, _ := play(t, cfg, p, now, status(rail.Settled, "ACCP"))
	if got := words(effects); yes.State != lifecycle.Settled || strings.Contains(got, "core:") || !strings.Contains(got, "case:restored-then-settled") {
		t.Errorf("late yes: %s: %s", yes.State, got)
	}
	no, effects, _ := play(t, cfg, p, now, rejected("AB05"))
	if got := words(effects); no.State != lifecycle.Rejected || strings.Contains(got, "core:") || strings.Contains(got, "case:") {
		t.Errorf("late no: %s: %s", no.State, got)
	}
}

func TestPendingThenReturned(t *testing.T) {
	p, _, now := play(t, testCore(), Payment{}, t0, append(slices.Clone(waysInto[lifecycle.Submitted]), status(rail.SettledPending, "ACWP"))...)
	p, effects, _ := play(t, testCore(), p, now, rejected("AC06"))
	if p.State != lifecycle.Settled || !strings.Contains(words(effects), "case:return-expected") {
		t.Errorf("%s: %s", p.State, words(effects))
	}
}

// A status with our message id and another end-to-end id or UETR is nobody's word about this payment.
// A key that is revoked between mandate and submission moves nothing: the hold is given back and no byte is made for the rail.
func TestKeyRevokedBeforeSubmission(t *testing.T) {
	p, effects, _ := play(t, testCore(), Payment{}, t0, asked(), verified(), CoreAnswered{Op: CoreReserve, OK: true, KeyRevoked: true})
	if p.State != lifecycle.Rejected || p.Reason != "key.revoked" || p.Execution != (Execution{}) || p.Budget != (Budget{}) {
		t.Errorf("%s %s %+v", p.State, p.Reason, p.Execution)
	}
	if got := words(effects); strings.Contains(got, "send:") || !strings.Contains(got, "core:release") {
		t.Errorf("%s", got)
	}
}

// The message id of an incoming transfer is its sender's choice, so a status that gives no other id settles nothing.
func TestCreditorNeedsTheTransactionsOwnID(t *testing.T) {
	for _, kind := range []rail.Kind{rail.Settled, rail.Rejected} {
		bare := confirmation(kind, "ACSC")
		bare.EndToEnd, bare.UETR = "", ""
		p, _, now := play(t, creditorCore(), Payment{}, t0, incoming(), bare)
		if p.State != lifecycle.Accepted || !slices.Contains(p.Cases, CaseMismatch) {
			t.Errorf("%s: %s, cases %v", kind, p.State, p.Cases)
		}
		if p, _, _ = play(t, creditorCore(), p, now, confirmation(rail.Settled, "ACSC")); p.State != lifecycle.Settled {
			t.Errorf("%s: then %s", kind, p.State)
		}
	}
}

func TestRecordFor(t *testing.T) {
	e := incoming()
	e.Record = intentID
	e.Execution.EndToEnd = intentID.EndToEndID()
	first, _, _ := play(t, creditorCore(), Payment{}, t0, e)
	other := e
	other.Execution.UETR, other.Execution.MessageID = payments.NewUETR(intentID, "another"), "another"
	for name, c := range map[string]struct {
		first Payment
		e     TransferReceived
		own   bool
	}{
		"nothing before": {Payment{}, other, false},
		"the same":       {first, e, false},
		"a duplicate":    {first, other, false},
		"other amount":   {first, func() TransferReceived { x := other; x.Amount.Minor++; return x }(), true},
		"other account":  {first, func() TransferReceived { x := other; x.Creditor.Account = debtor.Account; return x }(), true},
		"after a no":     {func() Payment { p := first; p.State = lifecycle.Rejected; return p }(), other, true},
		"same ids":       {func() Payment { p := first; p.State = lifecycle.Rejected; return p }(), func() TransferReceived { x := e; x.Amount.Minor++; return x }(), false},
	} {
		got := recordFor(c.first, c.e)
		if (got != intentID) != c.own {
			t.Errorf("%s: %s", name, got)
		}
		after, effects, err := Step(creditorCore(), c.first, t0.Add(time.Second), c.e)
		var other *OtherRecordError
		if errors.As(err, &other) != c.own || c.own && (other.Record != got || len(effects) > 0 || after.Late != c.first.Late) {
			t.Errorf("%s: %v, %d effects", name, err, len(effects))
		}
	}
}

func TestMismatchedStatus(t *testing.T) {
	for name, change := range map[string]func(*StatusReceived){
		"message id": func(s *StatusReceived) { s.Original = "M-other" },
		"end to end": func(s *StatusReceived) { s.EndToEnd = "other" },
		"uetr":       func(s *StatusReceived) { s.UETR = payments.NewUETR(intentID, "other") },
	} {
		for _, state := range []lifecycle.State{lifecycle.Submitting, lifecycle.Submitted, lifecycle.Unknown} {
			p, _, now := play(t, testCore(), Payment{}, t0, waysInto[state]...)
			s := status(rail.Settled, "ACCP")
			change(&s)
			after, effects, err := Step(testCore(), p, now, s)
			if err != nil || after.State != state || !strings.Contains(words(effects), "case:mismatch") || strings.Contains(words(effects), "core:") {
				t.Errorf("%s in %s: %s: %s, %v", name, state, after.State, words(effects), err)
			}
		}
	}
}

// What a rail repeats for ever is recorded for a while and then only counted as seen.
func TestLateMessagesAreBounded(t *testing.T) {
	p, _, now := play(t, testCore(), Payment{}, t0, waysInto[lifecycle.Settled]...)
	n := 0
	for range 200 {
		var effects []Effect
		p, effects, now = play(t, testCore(), p, now, rejected("AC03"))
		if len(effects) > 0 {
			n++
		}
	}
	if n != maxLate || len(p.Cases) != 1 {
		t.Errorf("%d of 200 recorded, %d cases", n, len(p.Cases))
	}
}

func incoming() TransferReceived {
	x := Execution{MessageID: "M1", EndToEnd: intentID.EndToEndID(), UETR: payments.NewUETR(intentID, "x"), Created: t0, Accepted: t0, From: "CSMIDEF0XXX", To: "SHOPFRP0"}
	return TransferReceived{Record: intentID, Execution: x, Amount: amount, Debtor: debtor, Creditor: creditor, Reference: "R", Chats: []string{"shop", "shop-2"},
		Transfer: Evidence{Kind: "pacs.008", Hash: Digest{7}}}
}

func creditorCore() *Core {
	c := testCore()
	c.Agent = "SHOPFRP0"
	return c
}

func confirmation(kind rail.Kind, code string) StatusReceived {
	x := incoming().Execution
	return StatusReceived{Meaning: kind, Status: code, Original: x.MessageID, EndToEnd: x.EndToEnd, UETR: x.UETR, Report: Evidence{Kind: "pacs.002", Hash: Digest{8}}}
}

func TestCreditor(t *testing.T) {
	late := incoming()
	late.Execution.Accepted = t0.Add(-11 * time.Second)
	elsewhere := incoming()
	elsewhere.Creditor.Agent = "OTHRFRP0"
	dollars := incoming()
	dollars.Amount.Currency = "USD"
	closed := incoming()
	closed.Refuse = "AC04"
	otherUETR := incoming()
	otherUETR.Execution.UETR, otherUETR.Execution.MessageID = payments.NewUETR(intentID, "y"), "M2"
	otherAmount := incoming()
	otherAmount.Amount.Minor++
	cases := []struct {
		name   string
		events []Event
		state  lifecycle.State
		want   string // of the last event's effects
		not    string
		reason string
	}{
		{"accepted", []Event{incoming()}, lifecycle.Accepted, ">submitted >accepted send:pacs.002 set:confirm", "core: tell:", ""},
		{"closed account", []Event{closed}, lifecycle.Rejected, ">rejected send:pacs.002", "core: set:", "AC04"},
		{"too late", []Event{late}, lifecycle.Rejected, "send:pacs.002", "set:", "AB05"},
		{"another bank's", []Event{elsewhere}, lifecycle.Rejected, "send:pacs.002", "", "RC04"},
		{"another currency", []Event{dollars}, lifecycle.Rejected, "send:pacs.002", "", "AM03"},
		{"delivered again", []Event{incoming(), incoming()}, lifecycle.Accepted, "=rail.duplicate send:pacs.002", "core: >", ""},
		{"a fifth time", []Event{incoming(), incoming(), incoming(), incoming(), incoming()}, lifecycle.Accepted, "=rail.duplicate", "send:", ""},
		{"same end-to-end id", []Event{incoming(), otherUETR}, lifecycle.Accepted, "case:contradiction send:pacs.002", "core:", ""},
		{"same UETR, other amount", []Event{incoming(), otherAmount}, lifecycle.Accepted, "case:contradiction", "send: core:", ""},
		{"settled", []Event{incoming(), confirmation(rail.Settled, "ACSC")}, lifecycle.Settled, "clear:confirm core:credit post", "tell:", ""},
		{"settled twice", []Event{incoming(), confirmation(rail.Settled, "ACSC"), confirmation(rail.Settled, "ACSC")}, lifecycle.Settled, "=rail.duplicate", "core:", ""},
		{"credited", []Event{incoming(), confirmation(rail.Settled, "ACSC"), CoreAnswered{Op: CoreCredit, OK: true, Ref: "CR1"}}, lifecycle.Settled, "=payment.credited post tell:credited tell:credited", "", ""},
		{"credited twice", []Event{incoming(), confirmation(rail.Settled, "ACSC"), CoreAnswered{Op: CoreCredit, OK: true}, CoreAnswered{Op: CoreCredit, OK: true}}, lifecycle.Settled, "", "", ""},
		{"credit refused", []Event{incoming(), confirmation(rail.Settled, "ACSC"), CoreAnswered{Op: CoreCredit, Reason: "AC04"}}, lifecycle.Settled, "case:core-bank", "tell: post", ""},
		{"refused after our yes", []Event{incoming(), confirmation(rail.Rejected, "RJCT")}, lifecycle.Rejected, "clear:confirm", "core: tell:", ""},
		{"settled after our no", []Event{closed, confirmation(rail.Settled, "ACSC")}, lifecycle.Rejected, "case:contradiction", "core:", "AC04"},
		{"refused after settlement", []Event{incoming(), confirmation(rail.Settled, "ACSC"), confirmation(rail.Rejected, "RJCT")}, lifecycle.Settled, "case:contradiction", "core:", ""},
		{"never confirmed", []Event{incoming(), TimerFired{Name: TimerConfirm, At: t0.Add(10 * time.Second)}}, lifecycle.Accepted, "=payment.unconfirmed case:unconfirmed set:confirm", "> core:", ""},
		{"asked what we said", []Event{incoming(), AnswerAsked{Evidence{Kind: "pacs.028"}}}, lifecycle.Accepted, "=rail.enquiry send:pacs.002", "core:", ""},
		{"answer refused", []Event{incoming(), Sent{Row: "creditor/x/answer", Result: SentRefused, Reason: "r"}}, lifecycle.Accepted, "case:answer-refused", "core:", ""},
		{"restart", []Event{incoming(), Recovered{}}, lifecycle.Accepted, "", "", ""},
	}
	for _, c := range cases {
		p, _, now := play(t, creditorCore(), Payment{}, t0, c.events[:len(c.events)-1]...)
		p, effects, _ := play(t, creditorCore(), p, now, c.events[len(c.events)-1])
		got := words(effects)
		if p.State != c.state || p.Reason != c.reason && c.reason != "" {
			t.Errorf("%s: %s (%s), want %s (%s)", c.name, p.State, p.Reason, c.state, c.reason)
		}
		for _, w := range strings.Fields(c.want) {
			if !slices.Contains(strings.Fields(got), w) {
				t.Errorf("%s: %q is not among: %s", c.name, w, got)
			}
		}
		for _, w := range strings.Fields(c.not) {
			if strings.HasPrefix(got, w) || strings.Contains(got, " "+w) {
				t.Errorf("%s: %q is among: %s", c.name, w, got)
			}
		}
		if c.want == "" && got != "" {
			t.Errorf("%s: has effects: %s", c.name, got)
		}
		checkEffects(t, c.name, p, effects)
	}
	for _, ev := range []Event{verified(), Declined{}, Cancelled{}} {
		p, _, now := play(t, creditorCore(), Payment{}, t0, incoming())
		if _, _, err := Step(creditorCore(), p, now, ev); !errors.Is(err, ErrEvent) {
			t.Errorf("%T at the creditor's bank: %v", ev, err)
		}
	}
}

// TestAnyOrder throws events in any order at both sides and checks what must hold for every history.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.Bool().Draw(t, "creditor")
		cfg := testCore()
		if rapid.Bool().Draw(t, "restore") {
			cfg.Restore = 10 * time.Second
		}
		events := []Event{asked(), verified(), Declined{"chat", ""}, Cancelled{"chat", ""}, Recovered{}, CoreAnswered{Op: CoreReserve, OK: true},
			CoreAnswered{Op: CoreReserve, Reason: "AM04"}, CoreAnswered{Op: CorePost, OK: true}, CoreAnswered{Op: CoreRelease, OK: true},
			Sent{Row: transferRow, Result: SentAccepted}, Sent{Row: transferRow, Result: SentAmbiguous}, Sent{Row: transferRow, Result: SentRefused},
			status(rail.Accepted, "ACSP"), status(rail.Settled, "ACCP"), status(rail.SettledPending, "ACWP"), status(rail.SettledCredited, "ACCC"),
			rejected("AC03"), status(rail.NotFound, "RJCT"), status(rail.Blocked, "BLCK"), status(rail.Waiting, "RCVD")}
		if side {
			cfg = creditorCore()
			events = []Event{incoming(), confirmation(rail.Settled, "ACSC"), confirmation(rail.Rejected, "RJCT"), CoreAnswered{Op: CoreCredit, OK: true},
				CoreAnswered{Op: CoreCredit, Reason: "AC04"}, AnswerAsked{}, Recovered{}, confirmation(rail.SettledCredited, "ACCC")}
		}
		p, now := Payment{}, t0
		sends, credits, holds, ledger, enquiries := 0, 0, 0, map[string]int64{}, 0
		for range rapid.IntRange(1, 40).Draw(t, "n") {
			var ev Event
			if len(p.TimersSet) > 0 && rapid.IntRange(0, 2).Draw(t, "timer") == 0 {
				timer := rapid.SampledFrom(p.TimersSet).Draw(t, "which")
				ev = TimerFired{Name: timer.Name, At: timer.At}
				if timer.At.After(now) {
					now = timer.At
				}
			} else {
				ev = rapid.SampledFrom(events).Draw(t, "event")
			}
			before := p
			after, effects, err := Step(cfg, p, now, ev)
			if again, effects2, err2 := Step(cfg, p, now, ev); !reflect.DeepEqual(after, again) || !reflect.DeepEqual(effects, effects2) || fmt.Sprint(err) != fmt.Sprint(err2) {
				t.Fatalf("%T: the same step twice gives two results", ev)
			}
			if err != nil || len(effects) == 0 {
				if !reflect.DeepEqual(after, before) {
					t.Fatalf("%T: changed without a record", ev)
				}
				continue
			}
			checkEffects(t, fmt.Sprintf("%T in %s", ev, before.State), after, effects)
			if before.State.Terminal() && after.State != before.State {
				t.Fatalf("%T: left %s for %s", ev, before.State, after.State)
			}
			if after.State.Rank() < before.State.Rank() {
				t.Fatalf("%T: %s after %s", ev, after.State, before.State)
			}
			if after.State == lifecycle.Rejected && before.State != lifecycle.Rejected {
				switch ev.(type) {
				case TimerFired, Recovered:
					t.Fatalf("%T made it rejected", ev)
				}
			}
			for _, e := range effects {
				switch x := e.(type) {
				case SendRail:
					if x.Transfer {
						sends++
						if before.State != lifecycle.Authorised {
							t.Fatalf("transfer queued in %s", before.State)
						}
					} else if x.Kind == "pacs.028" {
						enquiries++
					}
				case CallCore:
					switch x.Op {
					case CoreCredit:
						credits++
					case CoreReserve:
						holds++
					case CorePost, CoreRelease:
						holds--
					}
				case Post:
					for _, l := range x.Lines {
						ledger[l.Account] += l.Minor
					}
				}
			}
			encoded := must(after.Encode())
			back, err := DecodePayment(encoded)
			if err != nil || !bytes.Equal(must(back.Encode()), encoded) {
				t.Fatalf("%s does not survive the journal: %v", after.State, err)
			}
			p = back
		}
		if sends > 1 || credits > 1 || enquiries > maxSteps || holds < 0 || holds > 1 {
			t.Fatalf("%d transfers, %d credits, %d enquiries, %d holds", sends, credits, enquiries, holds)
		}
		if p.State.Terminal() && !side {
			for account, sum := range ledger {
				if strings.HasPrefix(account, "payer_hold:") && sum != 0 {
					t.Fatalf("%s leaves %d on hold", p.State, sum)
				}
			}
		}
	})
}

func TestPaymentIsNotEncodedByAccident(t *testing.T) {
	p, _, _ := play(t, testCore(), Payment{}, t0, waysInto[lifecycle.Settled]...)
	if text := fmt.Sprintf("%v %+v %#v", p, p, p); strings.Contains(text, debtor.Account.Reveal()) || strings.Contains(text, "Example Payer") {
		t.Error("printing a payment shows a person's data")
	}
	if _, err := p.MarshalJSON(); err == nil {
		t.Error("a payment encodes implicitly")
	}
	for _, b := range []string{"", "[]", `{"Debtor":{"Account":"DE00000000000000000000"}}`, `{"Creditor":{"Name":" x"}}`, `{"RequestHash":"zz"}`, `{"RequestHash":"00"}`} {
		if _, err := DecodePayment([]byte(b)); err == nil {
			t.Errorf("%q is taken for a payment", b)
		}
	}
}

func TestRecordID(t *testing.T) {
	x := incoming().Execution
	if RecordID(x) != intentID {
		t.Error("an end-to-end id of ours is not recognised")
	}
	x.EndToEnd = "NOTPROVIDED"
	a := RecordID(x)
	if _, err := payments.ParseIntentID(string(a)); err != nil || a != RecordID(x) {
		t.Errorf("%s: %v", a, err)
	}
	x.UETR = payments.NewUETR(intentID, "z")
	if RecordID(x) == a {
		t.Error("two transfers have one record")
	}
}

func TestJournalStepRefusesUnknownEffects(t *testing.T) {
	if _, err := JournalStep(Payment{}, 0, []Effect{nil}, noStatements{}); !errors.Is(err, ErrEvent) {
		t.Error(err)
	}
	p, effects, _ := play(t, testCore(), Payment{}, t0, asked())
	step, err := JournalStep(p, 0, effects, noStatements{})
	if err != nil || step.Key != (journal.Key{Intent: intentID, Side: lifecycle.Debtor}) || len(step.Events) != 2 || len(step.Outbox) != 1 || len(step.SetTimers) != 1 {
		t.Errorf("%+v, %v", step, err)
	}
}
