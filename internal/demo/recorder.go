package demo

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/parleypay/parley/internal/trace"
)

// settleTime is how long an event waits for earlier ones of other processes before it is shown.
const settleTime = 60 * time.Millisecond

// recorder keeps all events and shows them in the order of their times. Its methods may be called concurrently.
type recorder struct {
	mu      sync.Mutex // guards what follows
	printer printer
	events  []trace.Event // all, in the order in which they came
	waiting []trace.Event // not shown yet
	changed chan struct{} // closed and replaced by each event
	stop    chan struct{}
	done    chan struct{}
}

func newRecorder(p printer) *recorder {
	r := &recorder{printer: p, changed: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
	go r.run()
	return r
}

// sink takes an event. It implements trace.Sink.
func (r *recorder) sink(e trace.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	r.waiting = append(r.waiting, e)
	close(r.changed)
	r.changed = make(chan struct{})
}

// clientSink takes the events of a client; those of its device, which speak of single frames, are left out.
func (r *recorder) clientSink(e trace.Event) {
	if _, known := sentence(e); known {
		r.sink(e)
	}
}

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.show(time.Now())
	r.printer.note(format, args...)
}

func (r *recorder) result(result Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.show(time.Now().Add(time.Hour))
	r.printer.result(result)
}

// flush shows everything that waits.
func (r *recorder) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.show(time.Now().Add(time.Hour))
}

// show shows the waiting events up to then. r.mu is held.
func (r *recorder) show(then time.Time) {
	slices.SortStableFunc(r.waiting, func(a, b trace.Event) int { return a.T.Compare(b.T) })
	n := 0
	for n < len(r.waiting) && !r.waiting[n].T.After(then) {
		r.printer.event(r.waiting[n])
		n++
	}
	r.waiting = slices.Delete(r.waiting, 0, n)
}

func (r *recorder) run() {
	defer close(r.done)
	tick := time.NewTicker(settleTime / 2)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			r.mu.Lock()
			r.show(now.Add(-settleTime))
			r.mu.Unlock()
		case <-r.stop:
			return
		}
	}
}

// close ends the recorder after showing everything.
func (r *recorder) close() {
	close(r.stop)
	<-r.done
	r.flush()
}

func (r *recorder) all() []trace.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// await waits until an event is as wanted, also one that came before; false when ctx ends first.
func (r *recorder) await(ctx context.Context, wanted func(trace.Event) bool) bool {
	for {
		r.mu.Lock()
		changed, found := r.changed, slices.ContainsFunc(r.events, wanted)
		r.mu.Unlock()
		if found {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// jsonLines prints one JSON object per event; the last one has the final status.
type jsonLines struct{ enc *json.Encoder }

func (j *jsonLines) event(e trace.Event) { j.enc.Encode(e) }

func (j *jsonLines) note(string, ...any) {}

func (j *jsonLines) result(r Result) {
	type leg struct {
		Name   string `json:"name"`
		Micros int64  `json:"us"`
	}
	took := []leg{}
	for _, l := range r.Legs {
		took = append(took, leg{l.Name, l.Took.Microseconds()})
	}
	j.enc.Encode(struct {
		trace.Event
		Scenario string   `json:"scenario"`
		Legs     []leg    `json:"legs"`
		Remarks  []string `json:"remarks,omitempty"`
	}{trace.Event{T: time.Now(), Actor: actorDemo, Event: "ended", Intent: r.Intent, Status: r.Status, Detail: r.Reason}, r.Scenario, took, r.Remarks})
}
