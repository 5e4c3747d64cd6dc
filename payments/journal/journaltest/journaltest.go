// Package journaltest is the conformance suite of journal.Journal: every implementation passes Run.
//
// It tests what a journal answers, not how it survives a crash; that differs by implementation.
package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
)

// Start is the time at which the suite's payments begin.
var Start = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// Key returns the debtor's record of the n-th invented payment.
func Key(n int) journal.Key {
	return journal.Key{Intent: payments.IntentID(fmt.Sprintf("pi_0190a5a0-0000-7000-8000-%012x", n)), Side: lifecycle.Debtor}
}

// Event returns a transition with evidence.
func Event(from, to lifecycle.State) journal.Draft {
	return journal.Draft{Type: "intent." + string(to), From: from, To: to, EvidenceKind: "test", EvidenceHash: journal.HashOf([]byte(to))}
}

// Begin returns the first step of a payment.
func Begin(k journal.Key) journal.Step {
	return journal.Step{At: Start, Key: k, State: []byte("state 1"), Events: []journal.Draft{Event(lifecycle.None, lifecycle.Created)}}
}

// Authorise returns the step that takes a payment from Created (seq 1) to Authorised (seq 3), with its claims.
func Authorise(k journal.Key) journal.Step {
	return journal.Step{At: Start.Add(time.Second), Key: k, ExpectedSeq: 1, State: []byte("state 3"),
		Events: []journal.Draft{Event(lifecycle.Created, lifecycle.Presented), Event(lifecycle.Presented, lifecycle.Authorised)},
		Claims: []journal.Claim{{Kind: journal.ClaimNonce, Value: "nonce of " + string(k.Intent)}, {Kind: journal.ClaimMandate, Value: "mandate of " + string(k.Intent)}, {Kind: journal.ClaimAccepted, Value: string(k.Intent)}},
	}
}

// Submit returns the step that takes a payment from Authorised (seq 3) to Submitting (seq 4): ids, reservation, message, timer.
func Submit(k journal.Key) journal.Step {
	return journal.Step{At: Start.Add(2 * time.Second), Key: k, ExpectedSeq: 3, State: []byte("state 4"),
		Events:    []journal.Draft{Event(lifecycle.Authorised, lifecycle.Submitting)},
		Keys:      []journal.IndexKey{{Kind: journal.IndexUETR, Value: "uetr of " + string(k.Intent)}, {Kind: journal.IndexEndToEnd, Value: "e2e"}},
		Claims:    []journal.Claim{{Kind: journal.ClaimMessageID, Value: "message of " + string(k.Intent)}},
		Outbox:    []journal.OutboxDraft{{ID: "rail/" + string(k.Intent), Kind: "rail", Dest: "fednow", Body: []byte("<Document/>")}},
		SetTimers: []journal.Timer{{Name: "answer", At: Start.Add(22 * time.Second)}},
		Postings:  Move("reserve", "payer_hold:1", "rail_clearing:fednow", 1050),
		Limits:    []journal.LimitUse{{Name: "daily/key 1", Amount: 1050, Max: 1 << 40}},
	}
}

// Move returns a balanced ledger entry in EUR.
func Move(entry, from, to string, minor int64) []journal.Posting {
	return []journal.Posting{
		{Entry: entry, Account: from, Amount: payments.Amount{Minor: -minor, Currency: "EUR"}},
		{Entry: entry, Account: to, Amount: payments.Amount{Minor: minor, Currency: "EUR"}},
	}
}

// Run runs the suite. open returns an empty journal and sees to it that it is closed.
func Run(t *testing.T, open func(t *testing.T) journal.Journal) {
	for _, c := range []struct {
		name string
		f    func(t *testing.T, j journal.Journal)
	}{
		{"Empty", empty}, {"Life", life}, {"Refusals", refusals}, {"Transitions", transitions}, {"Order", order},
		{"Claims", claims}, {"Limits", limits}, {"LimitRace", limitRace}, {"SeqRace", seqRace}, {"Inbox", inbox},
		{"Outbox", outbox}, {"OutboxRace", outboxRace}, {"Timers", timers}, {"Ledger", ledger}, {"Cases", cases},
		{"Codes", codes}, {"Registry", registry}, {"Values", values}, {"Clock", clock}, {"List", list}, {"Index", index},
		{"Heads", heads}, {"Aliasing", aliasing}, {"Cancelled", cancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := open(t)
			c.f(t, j)
			if err := j.Verify(context.Background()); err != nil {
				t.Errorf("verify at the end: %v", err)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func apply(t *testing.T, j journal.Journal, steps ...journal.Step) {
	t.Helper()
	for _, s := range steps {
		must(t, j.Apply(t.Context(), s))
	}
}

// refused applies a step that must fail with want and must change nothing.
func refused(t *testing.T, j journal.Journal, s journal.Step, want error) {
	t.Helper()
	before, err := j.Head(t.Context())
	must(t, err)
	if err := j.Apply(t.Context(), s); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	after, err := j.Head(t.Context())
	must(t, err)
	if before != after {
		t.Error("a refused step was recorded")
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

func empty(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	_, err := j.Payment(ctx, Key(1))
	same(t, "payment", err, journal.ErrNotFound)
	_, err = j.OutboxRow(ctx, "none")
	same(t, "outbox row", err, journal.ErrNotFound)
	_, err = j.Code(ctx, "none")
	same(t, "code", err, journal.ErrNotFound)
	_, err = j.EnrolledKey(ctx, "none")
	same(t, "enrolled key", err, journal.ErrNotFound)
	_, err = j.Nonce(ctx, "none")
	same(t, "nonce", err, journal.ErrNotFound)
	_, err = j.Value(ctx, "none", "none")
	same(t, "value", err, journal.ErrNotFound)
	_, err = j.List(ctx, journal.Filter{After: Key(1)})
	same(t, "list behind a record that is not there", err, journal.ErrNotFound)

	es, err := j.Events(ctx, Key(1))
	must(t, err)
	ks, err := j.Find(ctx, journal.IndexKey{Kind: "uetr", Value: "none"})
	must(t, err)
	rows, err := j.LeaseOutbox(ctx, journal.Lease{Kind: "rail", Now: Start, Until: Start})
	must(t, err)
	ts, err := j.Timers(ctx, Start, 0)
	must(t, err)
	same(t, "rows", len(es)+len(ks)+len(rows)+len(ts), 0)
	_, some, err := j.NextTimer(ctx)
	must(t, err)
	same(t, "a timer", some, false)
	_, some, err = j.NextOutbox(ctx, "rail", Start)
	must(t, err)
	same(t, "an outbox row", some, false)
	h, err := j.Head(ctx)
	must(t, err)
	same(t, "head", h, journal.Head{})
	at, err := j.Clock(ctx)
	must(t, err)
	same(t, "clock", at, time.Time{})
}

func life(t *testing.T, j journal.Journal) {
	ctx, k := t.Context(), Key(1)
	apply(t, j, Begin(k), Authorise(k), Submit(k))
	apply(t, j, journal.Step{At: Start.Add(3 * time.Second), Key: k, ExpectedSeq: 4, DoneOutbox: []string{"rail/" + string(k.Intent)}, ClearTimers: []string{"answer"},
		Events: []journal.Draft{
			{Type: "rail.duplicate", From: lifecycle.Submitting, To: lifecycle.Submitting, Data: []byte("kept")},
			Event(lifecycle.Submitting, lifecycle.Submitted), Event(lifecycle.Submitted, lifecycle.Settled),
		}})
	r, err := j.Payment(ctx, k)
	must(t, err)
	es, err := j.Events(ctx, k)
	must(t, err)
	if len(es) != 7 {
		t.Fatalf("%d events, want 7", len(es))
	}
	same(t, "record", r, journal.Record{Key: k, Seq: 7, Status: lifecycle.Settled, State: []byte("state 4"), Head: es[6].Hash, Updated: Start.Add(3 * time.Second)})
	for i, e := range es {
		same(t, "seq", e.Seq, uint64(i+1))
		if i > 0 {
			same(t, "previous hash", e.PrevHash, es[i-1].Hash)
		}
	}
	same(t, "an event", es[4].Draft, journal.Draft{At: Start.Add(3 * time.Second), Type: "rail.duplicate", From: lifecycle.Submitting, To: lifecycle.Submitting, Data: []byte("kept")})
	same(t, "evidence", es[3].EvidenceHash, journal.HashOf([]byte("submitting")))

	other := k
	other.Side = lifecycle.Creditor
	apply(t, j, journal.Step{At: Start, Key: other, Events: []journal.Draft{Event(lifecycle.None, lifecycle.Submitted)}})
	es2, err := j.Events(ctx, other)
	must(t, err)
	if es2[0].PrevHash == es[0].PrevHash || es2[0].PrevHash == ([32]byte{}) {
		t.Error("the chains of two records begin alike")
	}
}

// refusals tries every malformed step: each is ErrInvalid or ErrUnbalanced and records nothing.
func refusals(t *testing.T, j journal.Journal) {
	apply(t, j, Begin(Key(1)))
	good := func() journal.Step {
		s := Authorise(Key(1))
		s.Claims = nil
		return s
	}
	long := string(bytes.Repeat([]byte("x"), 513))
	eur := func(n int64) payments.Amount { return payments.Amount{Minor: n, Currency: "EUR"} }
	for _, c := range []struct {
		name  string
		spoil func(*journal.Step)
	}{
		{"no time", func(s *journal.Step) { s.At = time.Time{} }},
		{"time of 1970", func(s *journal.Step) { s.At = time.Unix(1, 0) }},
		{"event time of 2300", func(s *journal.Step) { s.Events[0].At = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"no key", func(s *journal.Step) { s.Key = journal.Key{} }},
		{"no side", func(s *journal.Step) { s.Key.Side = "" }},
		{"unknown side", func(s *journal.Step) { s.Key.Side = "payer" }},
		{"no intent", func(s *journal.Step) { s.Key.Intent = "" }},
		{"long intent", func(s *journal.Step) { s.Key.Intent = payments.IntentID(long) }},
		{"state without event", func(s *journal.Step) { s.Events = nil }},
		{"postings without event", func(s *journal.Step) { s.Events, s.State, s.Postings = nil, nil, Move("e", "a", "b", 1) }},
		{"new payment without event", func(s *journal.Step) {
			*s = journal.Step{At: Start, Key: Key(9), SetTimers: []journal.Timer{{Name: "x", At: Start}}}
		}},
		{"event without type", func(s *journal.Step) { s.Events[0].Type = "" }},
		{"transition without evidence", func(s *journal.Step) { s.Events[0].EvidenceKind = "" }},
		{"event from another state", func(s *journal.Step) { s.Events[0].From = lifecycle.Presented }},
		{"second event does not follow", func(s *journal.Step) { s.Events[1].From = lifecycle.Created }},
		{"large data", func(s *journal.Step) { s.Events[0].Data = make([]byte, 64<<10+1) }},
		{"large state", func(s *journal.Step) { s.State = make([]byte, 1<<20+1) }},
		{"large body", func(s *journal.Step) {
			s.Outbox = []journal.OutboxDraft{{ID: "a", Kind: "rail", Body: make([]byte, 1<<20+1)}}
		}},
		{"many events", func(s *journal.Step) { s.Events = make([]journal.Draft, 257) }},
		{"many claims", func(s *journal.Step) {
			for i := range 257 {
				s.Claims = append(s.Claims, journal.Claim{Kind: "k", Value: fmt.Sprint(i)})
			}
		}},
		{"claim without value", func(s *journal.Step) { s.Claims = []journal.Claim{{Kind: "nonce"}} }},
		{"claim twice", func(s *journal.Step) { s.Claims = []journal.Claim{{Kind: "a", Value: "b"}, {Kind: "a", Value: "b"}} }},
		{"index key without kind", func(s *journal.Step) { s.Keys = []journal.IndexKey{{Value: "x"}} }},
		{"timer without name", func(s *journal.Step) { s.SetTimers = []journal.Timer{{At: Start}} }},
		{"timer without time", func(s *journal.Step) { s.SetTimers = []journal.Timer{{Name: "a"}} }},
		{"timer set and cleared", func(s *journal.Step) {
			s.SetTimers, s.ClearTimers = []journal.Timer{{Name: "a", At: Start}}, []string{"a"}
		}},
		{"outbox without id", func(s *journal.Step) { s.Outbox = []journal.OutboxDraft{{Kind: "rail"}} }},
		{"outbox without kind", func(s *journal.Step) { s.Outbox = []journal.OutboxDraft{{ID: "a"}} }},
		{"outbox id twice", func(s *journal.Step) {
			s.Outbox = []journal.OutboxDraft{{ID: "a", Kind: "rail"}, {ID: "a", Kind: "rail"}}
		}},
		{"retry of nothing", func(s *journal.Step) { s.RetryOutbox = []journal.Retry{{ID: "none", NotBefore: Start}} }},
		{"retry without time", func(s *journal.Step) { s.RetryOutbox = []journal.Retry{{ID: "none"}} }},
		{"inbox without sender", func(s *journal.Step) { s.Inbox = &journal.InboxEntry{ID: "a"} }},
		{"inbox without id", func(s *journal.Step) { s.Inbox = &journal.InboxEntry{Sender: "a"} }},
		{"limit without name", func(s *journal.Step) { s.Limits = []journal.LimitUse{{Amount: 1, Max: 1}} }},
		{"limit twice", func(s *journal.Step) { s.Limits = []journal.LimitUse{{Name: "a"}, {Name: "a"}} }},
		{"case without kind", func(s *journal.Step) { s.Cases = []journal.CaseDraft{{ID: "a"}} }},
		{"close of no case", func(s *journal.Step) { s.CloseCases = []journal.CaseClose{{ID: "a", Resolution: "b"}} }},
		{"code without attempts", func(s *journal.Step) { s.NewCodes = []journal.Code{{ID: "a", Expires: Start}} }},
		{"code without expiry", func(s *journal.Step) { s.NewCodes = []journal.Code{{ID: "a", Attempts: 1}} }},
		{"key without kid", func(s *journal.Step) { s.PutKeys = []journal.EnrolledKey{{Owner: "a", Status: "active", From: Start}} }},
		{"key without owner", func(s *journal.Step) { s.PutKeys = []journal.EnrolledKey{{KID: "a", Status: "active", From: Start}} }},
		{"nonce without expiry", func(s *journal.Step) { s.Nonces = []journal.Nonce{{Nonce: "a"}} }},
		{"value without key", func(s *journal.Step) { s.Puts = []journal.Put{{Table: "a"}} }},
		{"cursor without name", func(s *journal.Step) { s.Cursors = []journal.Cursor{{Value: 1}} }},
		{"cursor too high", func(s *journal.Step) { s.Cursors = []journal.Cursor{{Name: "a", Value: math.MaxInt64 + 1}} }},
		{"posting without account", func(s *journal.Step) {
			s.Postings = []journal.Posting{{Entry: "e", Amount: eur(1)}, {Entry: "e", Account: "b", Amount: eur(-1)}}
		}},
		{"posting of zero", func(s *journal.Step) { s.Postings = []journal.Posting{{Entry: "e", Account: "b", Amount: eur(0)}} }},
		{"posting without currency", func(s *journal.Step) {
			s.Postings = []journal.Posting{{Entry: "e", Account: "a", Amount: payments.Amount{Minor: 1}}, {Entry: "e", Account: "b", Amount: payments.Amount{Minor: -1}}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := good()
			c.spoil(&s)
			refused(t, j, s, journal.ErrInvalid)
		})
	}
	usd := Move("e", "a", "b", 5)
	usd[1].Amount.Currency = "USD"
	split := Move("e", "a", "b", 5)
	split[1].Entry = "f"
	huge := []journal.Posting{{Entry: "e", Account: "a", Amount: eur(math.MaxInt64)}, {Entry: "e", Account: "b", Amount: eur(math.MaxInt64)}, {Entry: "e", Account: "c", Amount: eur(2)}}
	for name, ps := range map[string][]journal.Posting{
		"one sided": Move("e", "a", "b", 5)[:1], "two currencies": usd, "two entries": split, "overflow to zero": huge,
	} {
		t.Run(name, func(t *testing.T) {
			s := good()
			s.Postings = ps
			refused(t, j, s, journal.ErrUnbalanced)
		})
	}
	stale := good()
	stale.ExpectedSeq = 0
	refused(t, j, stale, journal.ErrConflict)
	stale.ExpectedSeq = 2
	refused(t, j, stale, journal.ErrConflict)
	timersOnly := journal.Step{At: Start, Key: Key(1), ExpectedSeq: 2, SetTimers: []journal.Timer{{Name: "a", At: Start}}}
	refused(t, j, timersOnly, journal.ErrConflict)
	timersOnly.Key = Key(8)
	refused(t, j, timersOnly, journal.ErrConflict)
	apply(t, j, good())
}

// transitions tries every pair of states on both sides: what the table has is recorded, all else refused.
func transitions(t *testing.T, j journal.Journal) {
	// A way from None to each state, by legal steps.
	paths := map[lifecycle.Side]map[lifecycle.State][]lifecycle.State{}
	for _, side := range []lifecycle.Side{lifecycle.Debtor, lifecycle.Creditor} {
		paths[side] = map[lifecycle.State][]lifecycle.State{lifecycle.None: {lifecycle.None}}
		for grown := true; grown; {
			grown = false
			for _, from := range append(lifecycle.States(), lifecycle.None) {
				for _, to := range lifecycle.States() {
					if p, ok := paths[side][from]; ok && paths[side][to] == nil && lifecycle.Check(side, from, to) == nil {
						paths[side][to] = append(append([]lifecycle.State{}, p...), to)
						grown = true
					}
				}
			}
		}
	}
	n := 0
	for side, reach := range paths {
		for from, path := range reach {
			for _, to := range lifecycle.States() {
				n++
				k := Key(n)
				k.Side = side
				s := journal.Step{At: Start, Key: k}
				for i := 1; i < len(path); i++ {
					s.Events = append(s.Events, Event(path[i-1], path[i]))
				}
				if len(s.Events) > 0 {
					apply(t, j, s)
				}
				next := journal.Step{At: Start, Key: k, ExpectedSeq: uint64(len(s.Events)), Events: []journal.Draft{Event(from, to)}}
				if lifecycle.Check(side, from, to) == nil {
					apply(t, j, next)
					continue
				}
				err := j.Apply(t.Context(), next)
				var te *lifecycle.TransitionError
				if !errors.As(err, &te) {
					t.Errorf("%s: %s to %s: %v, want a TransitionError", side, from, to, err)
				}
			}
		}
	}
}

// order fixes which refusal a step meets first: a repeat is told as such, whatever else is wrong with it.
func order(t *testing.T, j journal.Journal) {
	s := Begin(Key(1))
	s.Inbox = &journal.InboxEntry{Sender: "device 1", ID: "1", Hash: journal.HashOf([]byte("a"))}
	s.Claims = []journal.Claim{{Kind: "nonce", Value: "1"}}
	s.Limits = []journal.LimitUse{{Name: "l", Amount: 5, Max: 5}}
	apply(t, j, s)
	s.Limits[0].Max = 0
	refused(t, j, s, journal.ErrDuplicate)
	s.Inbox.ID = "2"
	refused(t, j, s, journal.ErrConflict)
	s.ExpectedSeq, s.Events[0].From, s.Events[0].To = 1, lifecycle.Created, lifecycle.Presented
	var claim *journal.ClaimError
	if err := j.Apply(t.Context(), s); !errors.As(err, &claim) {
		t.Errorf("got %v, want a ClaimError", err)
	}
	s.Claims = nil
	var limit *journal.LimitError
	if err := j.Apply(t.Context(), s); !errors.As(err, &limit) {
		t.Errorf("got %v, want a LimitError", err)
	}
	seen, err := j.InboxSeen(t.Context(), *s.Inbox)
	must(t, err)
	same(t, "inbox entry of a refused step", seen, false)
}

// heads checks that a head kept elsewhere is recognised, and one that never was is not.
func heads(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	var kept []journal.Head
	for i := range 5 {
		apply(t, j, Begin(Key(i)))
		h, err := j.Head(ctx)
		must(t, err)
		same(t, "position", h.Pos, uint64(i+1))
		kept = append(kept, h)
	}
	must(t, j.Verify(ctx, kept[3], kept[0], kept[4]))
	must(t, j.Verify(ctx, journal.Head{}))
	var damage *journal.DamageError
	for name, h := range map[string]journal.Head{
		"other hash":    {Pos: 3, Hash: kept[1].Hash},
		"beyond":        {Pos: 6, Hash: kept[4].Hash},
		"zero position": {Pos: 0, Hash: kept[0].Hash},
	} {
		if err := j.Verify(ctx, h); !errors.As(err, &damage) {
			t.Errorf("%s: %v, want a DamageError", name, err)
		}
	}
}

// aliasing changes what was handed in and what was handed out: neither may reach the record.
func aliasing(t *testing.T, j journal.Journal) {
	ctx, k := t.Context(), Key(1)
	s := Begin(k)
	s.Events[0].Data = []byte("data")
	s.Outbox = []journal.OutboxDraft{{ID: "o", Kind: "rail", Body: []byte("body")}}
	s.Puts = []journal.Put{{Table: "t", Key: "k", Value: []byte("value")}}
	apply(t, j, s)
	look := func() (all [][]byte) {
		r, err := j.Payment(ctx, k)
		must(t, err)
		es, err := j.Events(ctx, k)
		must(t, err)
		o, err := j.OutboxRow(ctx, "o")
		must(t, err)
		v, err := j.Value(ctx, "t", "k")
		must(t, err)
		return [][]byte{r.State, es[0].Data, o.Body, v}
	}
	want := fmt.Sprintf("%q", look())
	for _, b := range append(look(), s.State, s.Events[0].Data, s.Outbox[0].Body, s.Puts[0].Value) {
		clear(b)
	}
	same(t, "what is recorded", fmt.Sprintf("%q", look()), want)
}

func cancelled(t *testing.T, j journal.Journal) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := j.Apply(ctx, Begin(Key(1))); !errors.Is(err, context.Canceled) {
		// A step may win against the cancellation; then it is recorded.
		must(t, err)
		_, err = j.Payment(t.Context(), Key(1))
		must(t, err)
	}
	if _, err := j.Payment(ctx, Key(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("read with a cancelled context: %v", err)
	}
}
