// Package sim runs the parts of Parley that decide, the production code of connector, mailbox and outbox, in one seeded world: a rail
// that loses, repeats, delays and stays silent, a relay that drops and reorders, and crashes between any two durable steps.
//
// One goroutine, one queue of events ordered by time, one random source: a seed replays exactly. What is simulated is everything
// around the deciding parts: disks, links, clocks, people, the rail and the core bank. No cryptography runs here.
package sim

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"time"
)

// Options says what to run.
type Options struct {
	Seed     uint64
	Payments int       // how many intents; 0 means 8
	Bug      string    // a planted bug of Bugs, or none
	Trace    io.Writer // gets a line per event; nil: nothing
}

// Result is what came of one seed.
type Result struct {
	Seed      uint64
	Violation *Violation // nil if all invariants held
	Trace     uint64     // hash of everything that happened: equal for equal seeds
	Counts    Counts
}

// Counts says how much happened.
type Counts struct {
	Events, Payments, Settled, Rejected, OpenWithCase, NotSent         int
	Crashes, DiskErrors, LostOnRail, Repeats, Disconnects, RelayFaults int
	Enquiries, Resends                                                 int            // that left a bank
	Rails                                                              map[string]int // worlds by rail
}

func (c *Counts) add(o Counts) {
	c.Events += o.Events
	c.Payments += o.Payments
	c.Settled += o.Settled
	c.Rejected += o.Rejected
	c.OpenWithCase += o.OpenWithCase
	c.NotSent += o.NotSent
	c.Crashes += o.Crashes
	c.DiskErrors += o.DiskErrors
	c.LostOnRail += o.LostOnRail
	c.Repeats += o.Repeats
	c.Disconnects += o.Disconnects
	c.RelayFaults += o.RelayFaults
	c.Enquiries += o.Enquiries
	c.Resends += o.Resends
	if c.Rails == nil {
		c.Rails = map[string]int{}
	}
	for name, n := range o.Rails {
		c.Rails[name] += n
	}
}

// Violation is a broken invariant.
type Violation struct {
	Invariant string // such as "1 no double payment"
	Text      string
	At        time.Duration // since the world began
}

func (v *Violation) Error() string {
	return fmt.Sprintf("invariant %s broken at %v: %s", v.Invariant, v.At, v.Text)
}

// The phases of every world.
const (
	faultsEnd = 240 * time.Second // afterwards nothing fails any more
	worldEnd  = 1500 * time.Second
	maxEvents = 400_000
)

type world struct {
	opt    Options
	rng    *rand.Rand
	start  time.Time
	now    time.Time
	queue  eventHeap
	serial uint64
	faults faults
	kind   *kind
	bug    string
	hash   uint64
	counts Counts
	broken *Violation

	messages  []*message // message bodies travel as their index
	relay     *relay
	rail      *network
	payerBank *bank
	shopBank  *bank
	shop      *shop
	payers    []*payer
	check     *checker
}

// faults are probabilities per occasion, drawn per seed; some are zero in some worlds, so that rare combinations get room.
type faults struct {
	crash, diskError, diskStall, tailLoss, disconnect        float64
	relayDrop, relayRepeat, relayReorder                     float64
	railLose, railSilent, railRepeat, railLie, railRefuse    float64
	transportLost, transportAmbiguous, transportDown, noCore float64
	railDelay                                                time.Duration // at most
	relayReplaced                                            bool          // the relay's store is lost once
}

func drawFaults(r *rand.Rand) faults {
	draw := func(most float64) float64 {
		if r.IntN(3) == 0 {
			return 0
		}
		return most * r.Float64()
	}
	return faults{
		crash: draw(0.02), diskError: draw(0.004), diskStall: draw(0.03), tailLoss: draw(0.2), disconnect: draw(0.02),
		relayDrop: draw(0.1), relayRepeat: draw(0.2), relayReorder: draw(0.2),
		railLose: draw(0.15), railSilent: draw(0.3), railRepeat: draw(0.3), railLie: draw(0.1), railRefuse: draw(0.3),
		transportLost: draw(0.1), transportAmbiguous: draw(0.2), transportDown: draw(0.2), noCore: draw(0.2),
		railDelay:     time.Duration(r.IntN(60)) * time.Second,
		relayReplaced: r.IntN(8) == 0,
	}
}

// Run plays one seed to its end or to the first broken invariant.
func Run(o Options) Result {
	if o.Payments == 0 {
		o.Payments = 8
	}
	start := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	w := &world{opt: o, rng: rand.New(rand.NewPCG(o.Seed, 0x9e3779b97f4a7c15)), start: start, now: start, bug: o.Bug}
	w.faults = drawFaults(w.rng)
	w.kind = &kinds[w.rng.IntN(len(kinds))]
	w.note("the rail is %s", w.kind.name)
	w.counts.Rails = map[string]int{w.kind.name: 1}
	w.check = &checker{w: w}
	w.relay = newRelay(w)
	w.rail = newNetwork(w)
	w.payerBank = newBank(w, "payer-bank", payerAgent)
	w.shopBank = newBank(w, "shop-bank", shopAgent)
	w.shop = newShop(w)
	for i := range 3 {
		w.payers = append(w.payers, newPayer(w, i))
	}
	w.payerBank.open()
	w.shopBank.open()
	for i := range o.Payments {
		w.payers[i%len(w.payers)].begin(i)
	}
	if w.faults.relayReplaced {
		w.after(time.Duration(20+w.rng.IntN(150))*time.Second, w.relay.replaceStore)
	}
	for len(w.queue) > 0 && w.broken == nil {
		e := heap.Pop(&w.queue).(event)
		if e.at.Sub(w.start) > worldEnd {
			break
		}
		w.now = e.at
		if w.counts.Events++; w.counts.Events > maxEvents {
			w.violate("14 liveness", "the world does not come to rest")
			break
		}
		e.run()
	}
	if w.broken == nil {
		w.check.end()
	}
	w.counts.Payments = len(w.check.plans)
	return Result{Seed: o.Seed, Violation: w.broken, Trace: w.hash, Counts: w.counts}
}

type event struct {
	at     time.Time
	serial uint64
	run    func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].serial < h[j].serial
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*h = old[:len(old)-1]
	return e
}

func (w *world) at(t time.Time, f func()) {
	if t.Before(w.now) {
		t = w.now
	}
	w.serial++
	heap.Push(&w.queue, event{t, w.serial, f})
}

func (w *world) after(d time.Duration, f func()) { w.at(w.now.Add(d), f) }

// faulty reports whether a fault of probability p happens on this occasion. Nothing fails after faultsEnd.
func (w *world) faulty(p float64) bool {
	return p > 0 && w.now.Sub(w.start) < faultsEnd && w.rng.Float64() < p
}

// between draws a duration.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.rng.Int64N(int64(most-least)+1))
}

func (w *world) violate(invariant, format string, args ...any) {
	if w.broken == nil {
		w.broken = &Violation{invariant, fmt.Sprintf(format, args...), w.now.Sub(w.start)}
		w.note("VIOLATION %s: %s", invariant, w.broken.Text)
	}
}

// note adds to the trace, and so to its hash.
func (w *world) note(format string, args ...any) {
	line := fmt.Sprintf("%12v ", w.now.Sub(w.start)) + fmt.Sprintf(format, args...)
	h := fnv.New64a()
	fmt.Fprintf(h, "%x%s", w.hash, line)
	w.hash = h.Sum64()
	if w.opt.Trace != nil {
		fmt.Fprintln(w.opt.Trace, line)
	}
}

// node is a process with a disk. What it has committed survives its crashes, in the order of the commits.
type node struct {
	w       *world
	name    string
	epoch   int // grows with each crash: what was scheduled before does not happen
	up      bool
	pending []*write
	crashed func() // forgets what was in memory
	restart func() // begins again from what is on disk
}

type write struct {
	apply func()
	done  bool
}

// later runs f after d, unless the node has crashed by then.
func (n *node) later(d time.Duration, f func()) {
	epoch := n.epoch
	n.w.after(d, func() {
		if n.up && n.epoch == epoch {
			f()
		}
	})
}

// commit makes apply durable and then goes on. The node may crash before the write, during it (then it is on disk or not, and nobody
// is told), and after it.
func (n *node) commit(apply, then func()) {
	if !n.up {
		return
	}
	if n.w.faulty(n.w.faults.crash) {
		n.crash("before a write")
		return
	}
	wr := &write{apply: apply}
	n.pending = append(n.pending, wr)
	took := n.w.between(100*time.Microsecond, 5*time.Millisecond)
	if n.w.faulty(n.w.faults.diskStall) {
		took = n.w.between(100*time.Millisecond, 4*time.Second)
	}
	n.later(took, func() {
		for !wr.done { // writes end in the order in which they began
			first := n.pending[0]
			n.pending = n.pending[1:]
			first.apply()
			first.done = true
		}
		if n.w.faulty(n.w.faults.crash) {
			n.crash("after a write")
			return
		}
		if n.up {
			then()
		}
	})
}

// crash stops the process; of the writes under way the first few are on disk.
func (n *node) crash(when string) {
	if !n.up {
		return
	}
	n.w.counts.Crashes++
	n.w.note("%s crashes %s", n.name, when)
	n.up = false
	n.epoch++
	for _, wr := range n.pending {
		if n.w.rng.IntN(2) == 0 {
			break
		}
		wr.apply()
	}
	n.pending = nil
	n.crashed()
	n.w.after(n.w.between(50*time.Millisecond, 8*time.Second), func() {
		n.up = true
		n.w.note("%s starts again", n.name)
		n.restart()
	})
}
