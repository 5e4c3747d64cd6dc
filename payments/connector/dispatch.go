package connector

import (
	"context"
	"sync"
	"time"

	"github.com/parleypay/parley/payments/journal"
)

// dispatcher carries out outbox rows of one kind: rows of one payment in order, of different payments at once, each until it is
// done. It remembers what it was given, so that a row is never under way twice.
type dispatcher struct {
	// send carries out one row. It returns how long to wait before the row is tried again, or done. It is called with the context
	// of the drain, so that what is under way when the engine stops can end.
	send  func(ctx context.Context, row journal.OutboxRow, attempt int) (again time.Duration, done bool)
	slots chan struct{} // bounds the calls under way

	mu      sync.Mutex       // guards what follows
	lanes   map[string]*lane // by payment
	known   map[string]bool  // rows queued or under way; false once dropped
	ctx     context.Context  // nil until start, ends with the drain
	stopped bool
	running sync.WaitGroup // lanes under way
}

// lane is the queue of one payment.
type lane struct {
	key     string
	rows    []journal.OutboxRow
	attempt int // of rows[0]
	busy    bool
	timer   *time.Timer // waits for the next attempt
}

func newDispatcher(workers int, send func(context.Context, journal.OutboxRow, int) (time.Duration, bool)) *dispatcher {
	return &dispatcher{send: send, slots: make(chan struct{}, workers), lanes: map[string]*lane{}, known: map[string]bool{}}
}

// add queues a row behind the others of its payment. A row that is queued already is left as it is.
func (d *dispatcher) add(row journal.OutboxRow) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.known[row.ID]; known {
		return
	}
	d.known[row.ID] = true
	key := row.Key.String()
	if row.Key == (journal.Key{}) {
		key = row.Dest // messages that belong to no payment keep the order of their destination
	}
	l := d.lanes[key]
	if l == nil {
		l = &lane{key: key}
		d.lanes[key] = l
	}
	l.rows = append(l.rows, row)
	d.wake(l)
}

// drop makes the dispatcher forget a row that is not under way.
func (d *dispatcher) drop(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[id] {
		d.known[id] = false
	}
}

// depth returns how many rows wait or are under way.
func (d *dispatcher) depth() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.known)
}

// start begins to carry out rows. ctx bounds the calls; it should outlive the engine's own context by the drain time.
func (d *dispatcher) start(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ctx = ctx
	for _, l := range d.lanes {
		d.wake(l)
	}
}

// stop lets every row that is ready have its attempt, unless the drain ends before, and returns when all have. What waits for a
// repetition, or is added from now on, stays in the journal's outbox.
func (d *dispatcher) stop() {
	d.mu.Lock()
	d.stopped = true
	for _, l := range d.lanes {
		if l.timer != nil {
			l.timer.Stop()
		}
	}
	d.mu.Unlock()
	d.running.Wait()
}

// wake starts the lane unless it runs or waits. mu is held.
func (d *dispatcher) wake(l *lane) {
	if l.busy || l.timer != nil || d.ctx == nil || d.stopped || len(l.rows) == 0 {
		return
	}
	l.busy = true
	d.running.Add(1)
	go d.run(l)
}

func (d *dispatcher) run(l *lane) {
	defer d.running.Done()
	for {
		row, ok := d.next(l)
		if !ok {
			return
		}
		d.slots <- struct{}{}
		again, done := d.send(d.ctx, row, l.attempt)
		<-d.slots
		d.mu.Lock()
		if done {
			d.finish(l, row.ID)
			d.mu.Unlock()
			continue
		}
		l.attempt++
		l.busy = false
		if !d.stopped {
			l.timer = time.AfterFunc(again, func() {
				d.mu.Lock()
				defer d.mu.Unlock()
				l.timer = nil
				d.wake(l)
			})
		}
		d.mu.Unlock()
		return
	}
}

// next returns the lane's first row that is still wanted.
func (d *dispatcher) next(l *lane) (journal.OutboxRow, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(l.rows) > 0 && d.ctx.Err() == nil {
		if row := l.rows[0]; d.known[row.ID] {
			return row, true
		}
		d.finish(l, l.rows[0].ID)
	}
	l.busy = false
	if len(l.rows) == 0 {
		delete(d.lanes, l.key)
	}
	return journal.OutboxRow{}, false
}

func (d *dispatcher) finish(l *lane, id string) {
	delete(d.known, id)
	l.rows[0] = journal.OutboxRow{}
	l.rows = l.rows[1:]
	l.attempt = 0
}

// backoff returns the wait before attempt n+1: 50 ms doubling to most.
func backoff(attempt int, most time.Duration) time.Duration {
	d := 50 * time.Millisecond << min(attempt, 20)
	return min(d, most)
}
