package mailbox

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/wire"
)

// world runs the core against a store, a tail that loses, a network that cuts, and clocks, all drawn from one seed, and checks what
// package mailbox promises.
type world struct {
	rng     *rand.Rand
	now     time.Time
	s       *State
	devices []messaging.DeviceID

	boxes   map[messaging.DeviceID][]Entry // on disk
	seq     uint64
	durable map[Key]int // times stored
	sent    map[Key]bool

	storing  []Store
	fetching []Fetch
	tails    []Tail
	unwrote  map[ConnID][]Entry
	conn     map[messaging.DeviceID]ConnID
	nextConn ConnID
	got      map[messaging.DeviceID]uint64 // highest delivered on this connection
	cursor   map[messaging.DeviceID]uint64 // what the device has durably
	has      map[messaging.DeviceID]map[uint64]bool
	acked    map[[16]byte]messaging.DeviceID
	fault    string
}

func TestModel(t *testing.T) {
	seeds := 1500
	if testing.Short() {
		seeds = 200
	}
	for seed := range seeds {
		w := newWorld(uint64(seed))
		for range 400 {
			w.act()
		}
		w.settle()
		if w.fault != "" {
			t.Fatalf("seed %d: %s", seed, w.fault)
		}
	}
}

func newWorld(seed uint64) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 1)), now: t0,
		boxes: map[messaging.DeviceID][]Entry{}, durable: map[Key]int{}, sent: map[Key]bool{}, unwrote: map[ConnID][]Entry{},
		conn: map[messaging.DeviceID]ConnID{}, got: map[messaging.DeviceID]uint64{}, cursor: map[messaging.DeviceID]uint64{},
		has: map[messaging.DeviceID]map[uint64]bool{}, acked: map[[16]byte]messaging.DeviceID{},
	}
	w.s = newState(func(c *Config) { c.WindowFrames, c.Durable.Last = 4, 0 })
	for i := range 3 {
		d := messaging.DeviceID{byte(i + 1)}
		w.devices = append(w.devices, d)
		w.has[d] = map[uint64]bool{}
	}
	return w
}

func (w *world) bad(format string, args ...any) {
	if w.fault == "" {
		w.fault = fmt.Sprintf(format, args...)
	}
}

func (w *world) pick() messaging.DeviceID { return w.devices[w.rng.IntN(len(w.devices))] }

// act lets one thing happen.
func (w *world) act() {
	w.now = w.now.Add(time.Duration(w.rng.IntN(2000)) * time.Millisecond)
	switch n := w.rng.IntN(20); {
	case n < 5:
		w.submit()
	case n < 9:
		w.store()
	case n < 12:
		w.tail()
	case n < 14:
		w.fetch()
	case n < 17:
		w.write(w.pick())
	case n < 18:
		w.connect(w.pick())
	case n < 19:
		w.cut(w.pick())
	default:
		if w.rng.IntN(4) == 0 {
			w.tails = nil
			w.step(TailLost{wire.Durable})
		}
	}
}

func (w *world) submit() {
	from := w.pick()
	f := &wire.Send{Req: 1, ID: [16]byte{byte(w.rng.IntN(60))}, Class: wire.Durable, TTL: uint32(5 + w.rng.IntN(600)), Body: []byte("x")}
	for _, d := range w.devices {
		if w.rng.IntN(2) == 0 {
			f.To = append(f.To, d)
		}
	}
	if len(f.To) > 0 {
		w.step(Submit{w.conn[from], from, f})
	}
}

func (w *world) store() {
	if len(w.storing) == 0 {
		return
	}
	e := w.storing[0]
	w.storing = w.storing[1:]
	if w.rng.IntN(5) == 0 {
		w.step(Stored{e.Token, Verdict(w.rng.IntN(2)) * Full, 0})
		return
	}
	w.durable[e.Entry.ID]++
	if w.durable[e.Entry.ID] > 1 {
		w.bad("one message was stored twice")
	}
	for _, d := range e.To {
		w.seq++
		entry, prev := e.Entry, uint64(0)
		entry.Seq = w.seq
		if box := w.boxes[d]; len(box) > 0 {
			prev = box[len(box)-1].Seq
		}
		w.boxes[d] = append(w.boxes[d], entry)
		if w.rng.IntN(4) > 0 { // else the tail loses it
			w.tails = append(w.tails, Tail{wire.Durable, d, prev, entry})
		}
	}
	w.step(Stored{e.Token, OK, 0})
}

func (w *world) tail() {
	if len(w.tails) > 0 {
		ev := w.tails[0]
		w.tails = w.tails[1:]
		w.step(ev)
	}
}

func (w *world) fetch() {
	if len(w.fetching) == 0 {
		return
	}
	i := w.rng.IntN(len(w.fetching))
	f := w.fetching[i]
	w.fetching = append(w.fetching[:i], w.fetching[i+1:]...)
	ev := Fetched{Conn: f.Conn, Class: f.Class}
	if f.Class == wire.Durable {
		for _, e := range w.boxes[f.Device] {
			if e.Seq > f.After && e.Expires > w.now.UnixMilli() {
				if ev.More = len(ev.Entries) == f.MaxEntries; ev.More {
					break
				}
				ev.Entries = append(ev.Entries, e)
			}
		}
	}
	w.step(ev)
}

// write takes an entry off a socket: the device has it durably then, and sometimes acknowledges.
func (w *world) write(d messaging.DeviceID) {
	c := w.conn[d]
	if len(w.unwrote[c]) == 0 {
		return
	}
	e := w.unwrote[c][0]
	w.unwrote[c] = w.unwrote[c][1:]
	if w.has[d][e.Seq] {
		w.bad("an entry came twice although the cursor was beyond it")
	}
	w.has[d][e.Seq], w.cursor[d] = true, e.Seq
	w.step(Written{c, 1, len(e.Body)})
	if w.rng.IntN(2) == 0 {
		w.step(Ack{c, &wire.Ack{Class: wire.Durable, Cursor: wire.Cursor{Incarnation: 7, Seq: e.Seq}}})
	}
}

func (w *world) connect(d messaging.DeviceID) {
	delete(w.unwrote, w.conn[d])
	w.nextConn++
	w.conn[d], w.got[d] = w.nextConn, w.cursor[d]
	w.step(Connected{w.nextConn, d})
	w.step(Sync{Conn: w.nextConn, Frame: &wire.Sync{Req: 1, Durable: wire.Cursor{Incarnation: 7, Seq: w.cursor[d]}}})
}

func (w *world) cut(d messaging.DeviceID) {
	c := w.conn[d]
	delete(w.unwrote, c)
	delete(w.conn, d)
	w.step(Gone{c})
}

func (w *world) step(ev Event) {
	for _, e := range append([]Effect(nil), w.s.Step(w.now, ev)...) {
		switch e := e.(type) {
		case Store:
			w.storing = append(w.storing, e)
		case Fetch:
			w.fetching = append(w.fetching, e)
		case Reply:
			if a, ok := e.Frame.(*wire.Accepted); ok {
				w.accepted(a)
			}
			if _, ok := e.Frame.(*wire.Reset); ok {
				w.bad("a good cursor was refused")
			}
		case Deliver:
			w.delivered(e)
		case Purge:
			for len(w.boxes[e.Device]) > 0 && w.boxes[e.Device][0].Seq <= e.UpTo {
				if !w.has[e.Device][w.boxes[e.Device][0].Seq] && w.boxes[e.Device][0].Expires > w.now.UnixMilli() {
					w.bad("an entry was deleted before the device had it")
				}
				w.boxes[e.Device] = w.boxes[e.Device][1:]
			}
		}
	}
}

func (w *world) accepted(a *wire.Accepted) {
	for _, d := range w.devices {
		if w.durable[wire.DeliveryID(d, a.ID)] > 0 {
			return
		}
	}
	w.bad("a message was acknowledged before it was durable")
}

func (w *world) delivered(e Deliver) {
	for _, d := range w.devices {
		if w.conn[d] != e.Conn {
			continue
		}
		if e.Entry.Seq <= w.got[d] {
			w.bad("an entry came twice or out of order on one connection")
		}
		if e.Entry.Expires <= w.now.UnixMilli() {
			w.bad("an entry was delivered after its time")
		}
		for _, b := range w.boxes[d] {
			if b.Seq > w.got[d] && b.Seq < e.Entry.Seq && b.Expires > w.now.UnixMilli() {
				w.bad("an entry was left out")
			}
		}
		w.got[d] = e.Entry.Seq
		if len(w.unwrote[e.Conn]) >= 4+2 {
			w.bad("more entries than the window lets through")
		}
		w.unwrote[e.Conn] = append(w.unwrote[e.Conn], e.Entry)
	}
}

// settle ends all faults and checks that every living entry reaches its device.
func (w *world) settle() {
	for len(w.storing) > 0 {
		w.store()
	}
	for _, d := range w.devices {
		if w.conn[d] == 0 {
			w.connect(d)
		}
	}
	w.tails = nil
	w.step(TailLost{wire.Durable})
	for range 2000 {
		w.fetch()
		for _, d := range w.devices {
			w.write(d)
		}
	}
	for _, d := range w.devices {
		for _, e := range w.boxes[d] {
			if !w.has[d][e.Seq] && e.Expires > w.now.UnixMilli() {
				w.bad("an entry never came")
			}
		}
	}
}
