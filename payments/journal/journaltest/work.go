package journaltest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/parleypay/parley/payments/journal"
)

func outbox(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	lease := func(now time.Time, n int) (ids []string) {
		t.Helper()
		rows, err := j.LeaseOutbox(ctx, journal.Lease{Kind: "chat", Now: now, Until: now.Add(10 * time.Second), Max: n})
		must(t, err)
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
		return ids
	}
	next := func(now time.Time) any {
		t.Helper()
		at, ok, err := j.NextOutbox(ctx, "chat", now)
		must(t, err)
		if !ok {
			return nil
		}
		return at
	}
	draft := func(id string, notBefore time.Time) journal.OutboxDraft {
		return journal.OutboxDraft{ID: id, Kind: "chat", Dest: "chat 1", Body: []byte("body of " + id), NotBefore: notBefore}
	}
	s := Begin(Key(1))
	s.Outbox = []journal.OutboxDraft{draft("late", Start.Add(time.Minute)), draft("a", time.Time{}), draft("b", time.Time{}), {ID: "rail", Kind: "rail"}}
	apply(t, j, s)
	refused(t, j, journal.Step{At: Start, Outbox: []journal.OutboxDraft{draft("new", time.Time{}), {ID: "late", Kind: ""}}}, journal.ErrInvalid)
	var ce *journal.ClaimError
	if err := j.Apply(ctx, journal.Step{At: Start, Outbox: []journal.OutboxDraft{draft("new", time.Time{}), draft("a", time.Time{})}}); !errors.As(err, &ce) || ce.Owner != Key(1) {
		t.Errorf("outbox id taken: %v", err)
	}
	same(t, "next", next(Start), time.Time{})
	same(t, "first", lease(Start, 1), []string{"a"})
	same(t, "second", lease(Start, 5), []string{"b"})
	same(t, "all leased", lease(Start, 5), []string(nil))
	same(t, "next behind leases", next(Start), Start.Add(time.Minute))
	same(t, "leases that ended", lease(Start.Add(10*time.Second), 5), []string{"a", "b"})

	apply(t, j, journal.Step{At: Start, DoneOutbox: []string{"a", "no such row"}, RetryOutbox: []journal.Retry{{ID: "b", NotBefore: Start.Add(30 * time.Second), Error: "timeout"}}})
	apply(t, j, journal.Step{At: Start, DoneOutbox: []string{"a"}}) // twice is no error
	same(t, "next after a retry", next(Start.Add(11*time.Second)), Start.Add(30*time.Second))
	same(t, "not due", lease(Start.Add(29*time.Second), 5), []string(nil))
	same(t, "due by time", lease(Start.Add(time.Hour), 5), []string{"b", "late"})
	row, err := j.OutboxRow(ctx, "b")
	must(t, err)
	want := journal.OutboxRow{OutboxDraft: draft("b", Start.Add(30*time.Second)), Key: Key(1), At: Start, Attempts: 1, LastError: "timeout"}
	same(t, "row", row, want)
	row, err = j.OutboxRow(ctx, "a")
	must(t, err)
	same(t, "the body of a row that is done", string(row.Body), "body of a")
	same(t, "done", row.Done, true)
	apply(t, j, journal.Step{At: Start, RetryOutbox: []journal.Retry{{ID: "a", NotBefore: Start}}}) // done stays done
	same(t, "a row that is done", lease(Start.Add(3*time.Hour), 5), []string{"b", "late"})
	apply(t, j, journal.Step{At: Start, DoneOutbox: []string{"late", "b"}})
	same(t, "nothing left", next(Start.Add(5*time.Hour)), nil)
}

// outboxRace lets workers lease and finish rows at once: each row is handed out exactly once.
func outboxRace(t *testing.T, j journal.Journal) {
	const rows = 200
	for i := 0; i < rows; i += 50 {
		s := journal.Step{At: Start}
		for n := range 50 {
			s.Outbox = append(s.Outbox, journal.OutboxDraft{ID: fmt.Sprint(i + n), Kind: "rail"})
		}
		apply(t, j, s)
	}
	var mu sync.Mutex // guards sent
	sent := map[string]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				got, err := j.LeaseOutbox(t.Context(), journal.Lease{Kind: "rail", Now: Start, Until: Start.Add(time.Hour), Max: 7})
				if err != nil {
					t.Error(err)
				}
				if len(got) == 0 {
					return
				}
				for _, r := range got {
					mu.Lock()
					sent[r.ID]++
					mu.Unlock()
					if err := j.Apply(t.Context(), journal.Step{At: Start, DoneOutbox: []string{r.ID}}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	same(t, "rows sent", len(sent), rows)
	for id, n := range sent {
		if n != 1 {
			t.Errorf("row %s was handed out %d times", id, n)
		}
	}
}

func timers(t *testing.T, j journal.Journal) {
	set := func(k journal.Key, seq uint64, ts ...journal.Timer) journal.Step {
		return journal.Step{At: Start, Key: k, ExpectedSeq: seq, SetTimers: ts}
	}
	at := func(s int) time.Time { return Start.Add(time.Duration(s) * time.Second) }
	apply(t, j, Begin(Key(1)), Begin(Key(2)))
	apply(t, j, set(Key(2), 1, journal.Timer{Name: "answer", At: at(5)}, journal.Timer{Name: "expiry", At: at(60)}))
	apply(t, j, set(Key(1), 1, journal.Timer{Name: "answer", At: at(5)}, journal.Timer{Name: "b", At: at(9)}))
	apply(t, j, set(Key(1), 1, journal.Timer{Name: "b", At: at(3)}))
	rows, err := j.Timers(t.Context(), at(5), 0)
	must(t, err)
	same(t, "due", rows, []journal.TimerRow{
		{Key: Key(1), Timer: journal.Timer{Name: "b", At: at(3)}},
		{Key: Key(1), Timer: journal.Timer{Name: "answer", At: at(5)}},
		{Key: Key(2), Timer: journal.Timer{Name: "answer", At: at(5)}},
	})
	rows, err = j.Timers(t.Context(), at(5), 1)
	must(t, err)
	same(t, "at most one", len(rows), 1)
	next, ok, err := j.NextTimer(t.Context())
	must(t, err)
	same(t, "next", next, at(3))
	same(t, "some", ok, true)
	apply(t, j, journal.Step{At: Start, Key: Key(1), ExpectedSeq: 1, ClearTimers: []string{"answer", "b", "never set"}})
	rows, err = j.Timers(t.Context(), at(100), 0)
	must(t, err)
	same(t, "left", len(rows), 2)
}
