package connector

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/journal"
)

// recorder carries out rows and remembers their order. A row whose id ends in "!n" fails n times.
type recorder struct {
	mu    sync.Mutex
	log   []string
	fails map[string]int
	now   int // under way
	most  int
}

func (r *recorder) send(_ context.Context, row journal.OutboxRow, attempt int) (time.Duration, bool) {
	r.mu.Lock()
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	time.Sleep(time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now--
	if attempt != r.fails[row.ID] {
		panic(fmt.Sprintf("%s: attempt %d after %d failures", row.ID, attempt, r.fails[row.ID]))
	}
	var n int
	if _, after, ok := strings.Cut(row.ID, "!"); ok {
		fmt.Sscan(after, &n)
	}
	if attempt < n {
		r.fails[row.ID]++
		return 20 * time.Millisecond, false
	}
	r.log = append(r.log, row.ID)
	return 0, true
}

func (r *recorder) done() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.log)
}

func outboxRow(payment, id string) journal.OutboxRow {
	return journal.OutboxRow{OutboxDraft: journal.OutboxDraft{ID: id}, Key: journal.Key{Intent: payments.IntentID(payment), Side: "debtor"}}
}

func TestDispatcherOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{fails: map[string]int{}}
		d := newDispatcher(4, r.send)
		d.add(outboxRow("a", "a1!3"))
		d.add(outboxRow("a", "a2"))
		d.add(outboxRow("a", "a2")) // again
		d.add(outboxRow("b", "b1"))
		if time.Sleep(time.Second); len(r.done()) != 0 {
			t.Fatal("it works before it is started")
		}
		d.start(context.Background())
		d.add(outboxRow("a", "a3!1"))
		d.add(outboxRow("a", "a4"))
		d.drop("a4")
		for i := range 20 {
			d.add(outboxRow(fmt.Sprint("c", i), fmt.Sprint("c", i)))
		}
		time.Sleep(time.Second)
		log := r.done()
		var a []string
		for _, id := range log {
			if id[0] == 'a' {
				a = append(a, id)
			}
		}
		if !slices.Equal(a, []string{"a1!3", "a2", "a3!1"}) {
			t.Errorf("rows of one payment: %v", a)
		}
		if len(log) != 3+1+20 || slices.Index(log, "b1") > slices.Index(log, "a1!3") {
			t.Errorf("one payment's failure holds up others: %v", log)
		}
		if r.most != 4 || d.depth() != 0 || len(d.lanes) != 0 {
			t.Errorf("%d under way at once, %d left, %d lanes", r.most, d.depth(), len(d.lanes))
		}
		d.stop()
	})
}

func TestDispatcherStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{fails: map[string]int{}}
		d := newDispatcher(2, r.send)
		d.start(context.Background())
		for i := range 10 {
			d.add(outboxRow(fmt.Sprint(i), fmt.Sprint("row", i)))
		}
		d.add(outboxRow("x", "x!1"))
		d.add(outboxRow("x", "x2"))
		d.stop()
		if log := r.done(); len(log) != 10 {
			t.Errorf("what was ready: %v", log)
		}
		d.add(outboxRow("late", "late"))
		time.Sleep(time.Minute)
		if log := r.done(); len(log) != 10 {
			t.Errorf("it went on after the stop: %v", log)
		}
		// A drain that is over carries nothing out.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		d = newDispatcher(2, r.send)
		d.start(ctx)
		d.add(outboxRow("y", "y"))
		d.stop()
		if log := r.done(); len(log) != 10 {
			t.Errorf("it worked after the drain: %v", log)
		}
	})
}
