package journaltest

import (
	"bytes"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
)

func claims(t *testing.T, j journal.Journal) {
	apply(t, j, Begin(Key(1)), Begin(Key(2)), Authorise(Key(1)))
	for i, c := range Authorise(Key(1)).Claims {
		s := Authorise(Key(2))
		s.Claims = append(s.Claims[:i:i], c)
		err := j.Apply(t.Context(), s)
		var ce *journal.ClaimError
		if !errors.As(err, &ce) || ce.Claim != c || ce.Owner != Key(1) {
			t.Errorf("%s taken by the first payment: %v", c.Kind, err)
		}
		if err != nil && bytes.Contains([]byte(err.Error()), []byte(c.Value)) && c.Kind == journal.ClaimNonce {
			t.Error("the error repeats the nonce")
		}
	}
	again := Authorise(Key(1)) // the same payment may not claim twice either
	again.ExpectedSeq = 3
	again.Events = []journal.Draft{Event(lifecycle.Authorised, lifecycle.Authorised)}
	var ce *journal.ClaimError
	if err := j.Apply(t.Context(), again); !errors.As(err, &ce) {
		t.Errorf("second mandate for one intent: %v", err)
	}
	apply(t, j, Authorise(Key(2)))
	owner, taken, err := j.Claim(t.Context(), journal.Claim{Kind: journal.ClaimAccepted, Value: string(Key(2).Intent)})
	must(t, err)
	same(t, "owner", owner, Key(2))
	same(t, "taken", taken, true)
	_, taken, err = j.Claim(t.Context(), journal.Claim{Kind: journal.ClaimNonce, Value: "free"})
	must(t, err)
	same(t, "taken", taken, false)
	apply(t, j, journal.Step{At: Start, Claims: []journal.Claim{{Kind: "boot", Value: "1"}}})
	owner, taken, err = j.Claim(t.Context(), journal.Claim{Kind: "boot", Value: "1"})
	must(t, err)
	same(t, "owner of a claim without payment", owner, journal.Key{})
	same(t, "taken", taken, true)
}

func limits(t *testing.T, j journal.Journal) {
	use := func(amount, most int64) journal.Step {
		return journal.Step{At: Start, Limits: []journal.LimitUse{{Name: "daily", Amount: amount, Max: most}}}
	}
	over := func(s journal.Step, used int64) {
		t.Helper()
		var le *journal.LimitError
		if err := j.Apply(t.Context(), s); !errors.As(err, &le) || le.Used != used {
			t.Errorf("got %v, want a LimitError at %d", err, used)
		}
	}
	apply(t, j, use(60, 100), use(40, 100))
	over(use(1, 100), 100)
	over(use(math.MaxInt64, math.MaxInt64), 100)
	over(use(-101, 100), 100)
	apply(t, j, use(-30, 0)) // giving back needs no room
	over(use(31, 100), 70)
	apply(t, j, use(30, 100))
	used, err := j.LimitUsed(t.Context(), "daily")
	must(t, err)
	same(t, "used", used, int64(100))
	used, err = j.LimitUsed(t.Context(), "other")
	must(t, err)
	same(t, "used", used, int64(0))
}

// limitRace lets 64 goroutines submit at a limit that has room for 10.
func limitRace(t *testing.T, j journal.Journal) {
	var passed atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		k := Key(i + 1)
		apply(t, j, Begin(k), Authorise(k))
		wg.Go(func() {
			s := Submit(k)
			s.Limits = []journal.LimitUse{{Name: "daily", Amount: 1050, Max: 10*1050 + 1049}}
			err := j.Apply(t.Context(), s)
			var le *journal.LimitError
			if err == nil {
				passed.Add(1)
			} else if !errors.As(err, &le) {
				t.Errorf("%s: %v", k, err)
			}
		})
	}
	wg.Wait()
	same(t, "passed", passed.Load(), int64(10))
	bs, err := j.Balances(t.Context())
	must(t, err)
	same(t, "balances", bs, []journal.Balance{
		{Account: "payer_hold:1", Amount: payments.Amount{Minor: -10500, Currency: "EUR"}},
		{Account: "rail_clearing:fednow", Amount: payments.Amount{Minor: 10500, Currency: "EUR"}},
	})
	rows, err := j.LeaseOutbox(t.Context(), journal.Lease{Kind: "rail", Now: Start.Add(time.Hour), Until: Start.Add(2 * time.Hour)})
	must(t, err)
	same(t, "messages to send", len(rows), 10)
}

// seqRace lets 64 goroutines decide the same payment: one wins, whatever it decided.
func seqRace(t *testing.T, j journal.Journal) {
	k := Key(1)
	apply(t, j, Begin(k), Authorise(k))
	var passed atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			s := Submit(k)
			if i%2 == 1 {
				s = journal.Step{At: Start, Key: k, ExpectedSeq: 3, Events: []journal.Draft{Event(lifecycle.Authorised, lifecycle.Cancelled)}}
			}
			if err := j.Apply(t.Context(), s); err == nil {
				passed.Add(1)
			} else if !errors.Is(err, journal.ErrConflict) {
				t.Errorf("decision %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	same(t, "decisions that passed", passed.Load(), int64(1))
}

func inbox(t *testing.T, j journal.Journal) {
	e := journal.InboxEntry{Sender: "fednow", ID: "M1", Hash: journal.HashOf([]byte("one"))}
	seen, err := j.InboxSeen(t.Context(), e)
	must(t, err)
	same(t, "seen", seen, false)
	apply(t, j, journal.Step{At: Start, Inbox: &e})
	seen, err = j.InboxSeen(t.Context(), e)
	must(t, err)
	same(t, "seen", seen, true)
	refused(t, j, journal.Step{At: Start, Inbox: &e}, journal.ErrDuplicate)

	forged := e
	forged.Hash = journal.HashOf([]byte("two"))
	var ce *journal.ClaimError
	if err := j.Apply(t.Context(), journal.Step{At: Start, Inbox: &forged}); !errors.As(err, &ce) || ce.Kind != journal.ClaimInbox {
		t.Errorf("same id, other content: %v", err)
	}
	if _, err := j.InboxSeen(t.Context(), forged); !errors.As(err, &ce) || ce.Kind != journal.ClaimInbox {
		t.Errorf("same id, other content: %v", err)
	}
	other := forged
	other.Sender = "sctinst" // another sender has ids of its own
	apply(t, j, journal.Step{At: Start, Inbox: &other})
}
