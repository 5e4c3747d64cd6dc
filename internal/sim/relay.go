package sim

import (
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/relay/mailbox"
	"github.com/parleypay/parley/messaging/wire"
)

// relay runs mailbox.State on a simulated store and simulated sockets. It may be hostile: what it has accepted it may fail to deliver,
// deliver twice or out of order.
type relay struct {
	node
	state *mailbox.State

	// On disk.
	incarnation uint64
	last        uint64
	boxes       map[messaging.DeviceID][]mailbox.Entry
	stored      []storedKey
	isStored    map[mailbox.Key]bool

	// In memory.
	memory            map[messaging.DeviceID][]mailbox.Entry
	memoryLast        uint64
	memoryIncarnation uint64
	links             map[mailbox.ConnID]*link
	nextConn          mailbox.ConnID
	untold            []mailbox.Tail
	prev              map[messaging.DeviceID]uint64 // sequence of the mailbox's latest durable entry
	storing           map[mailbox.Key]*wire.Send    // known only to the planted bugs
	sent              map[mailbox.ConnID]uint64     // durable sequence handed over last, for the checker
}

type storedKey struct {
	key mailbox.Key
	at  time.Time
}

// link is one WebSocket: frames arrive in order, until it breaks and what was under way is lost.
type link struct {
	id       mailbox.ConnID
	device   *device
	open     bool
	up, down time.Time // when the latest frame arrives
}

func newRelay(w *world) *relay {
	r := &relay{incarnation: 1, boxes: map[messaging.DeviceID][]mailbox.Entry{}, isStored: map[mailbox.Key]bool{}}
	r.node = node{w: w, name: "relay", up: true, crashed: r.forget, restart: r.boot}
	r.forget()
	r.boot()
	return r
}

func (r *relay) forget() {
	for id := mailbox.ConnID(1); id <= r.nextConn; id++ {
		if l := r.links[id]; l != nil && l.open {
			l.open = false
			l.device.offline(l)
		}
	}
	r.state, r.links, r.untold = nil, map[mailbox.ConnID]*link{}, nil
	r.memory, r.memoryLast = map[messaging.DeviceID][]mailbox.Entry{}, 0
	r.prev, r.storing, r.sent = map[messaging.DeviceID]uint64{}, map[mailbox.Key]*wire.Send{}, map[mailbox.ConnID]uint64{}
}

func (r *relay) boot() {
	r.memoryIncarnation++
	r.state = mailbox.New(mailbox.Config{
		Durable: mailbox.Class{Incarnation: r.incarnation, Last: r.last},
		Memory:  mailbox.Class{Incarnation: 1000 + r.memoryIncarnation},
	})
	for _, k := range r.stored {
		if r.w.now.Sub(k.at) < 10*time.Minute {
			r.step(mailbox.Remember{Key: k.key, Class: wire.Durable})
		}
	}
	for d, box := range r.boxes {
		r.prev[d] = box[len(box)-1].Seq
	}
}

// replaceStore is the operator's worst day: the store is gone, another one takes its place.
func (r *relay) replaceStore() {
	if !r.up {
		return
	}
	r.w.counts.RelayFaults++
	r.crash("and its store is lost")
	r.incarnation++
	r.last = 0
	r.boxes, r.stored, r.isStored = map[messaging.DeviceID][]mailbox.Entry{}, nil, map[mailbox.Key]bool{}
}

func (r *relay) connect(d *device) *link {
	if !r.up {
		return nil
	}
	r.nextConn++
	l := &link{id: r.nextConn, device: d, open: true}
	r.links[l.id] = l
	r.step(mailbox.Connected{Conn: l.id, Device: d.id})
	return l
}

func (r *relay) latency() time.Duration { return r.w.between(time.Millisecond, 60*time.Millisecond) }

// toRelay carries a frame of the device.
func (r *relay) toRelay(l *link, f wire.Frame) {
	if l == nil || !l.open {
		return
	}
	if r.w.faulty(r.w.faults.disconnect) {
		r.cut(l)
		return
	}
	l.up = later(l.up, r.w.now.Add(r.latency()))
	r.w.at(l.up, func() {
		if l.open && r.up {
			r.take(l, f)
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (r *relay) cut(l *link) {
	if !l.open {
		return
	}
	r.w.counts.Disconnects++
	l.open = false
	l.device.offline(l)
	r.goneSoon(l)
}

// goneSoon lets the relay notice that a socket is gone.
func (r *relay) goneSoon(l *link) {
	r.w.after(r.w.between(0, 5*time.Second), func() {
		if r.links[l.id] == l && r.up {
			delete(r.links, l.id)
			r.step(mailbox.Gone{Conn: l.id})
		}
	})
}

func (r *relay) take(l *link, f wire.Frame) {
	switch f := f.(type) {
	case *wire.Send:
		key := mailbox.Key(wire.DeliveryID(l.device.id, f.ID))
		if r.w.bug == "relay-acks-duplicate-early" && r.storing[key] != nil {
			r.toDevice(l, &wire.Accepted{Re: f.Req, ID: f.ID, Class: f.Class})
			return
		}
		r.step(mailbox.Submit{Conn: l.id, Sender: l.device.id, Frame: f})
	case *wire.Sync:
		r.step(mailbox.Sync{Conn: l.id, Frame: f})
	case *wire.Ack:
		r.step(mailbox.Ack{Conn: l.id, Frame: f})
	}
}

func (r *relay) step(ev mailbox.Event) {
	now := r.w.now
	if r.w.bug == "relay-delivers-expired" {
		switch ev.(type) {
		case mailbox.Tail, mailbox.Fetched:
			now = now.Add(-24 * time.Hour)
		}
	}
	if !r.up {
		return
	}
	epoch := r.epoch
	for _, e := range append([]mailbox.Effect(nil), r.state.Step(now, ev)...) {
		if r.up && r.epoch == epoch {
			r.carryOut(e)
		}
	}
}

func (r *relay) carryOut(e mailbox.Effect) {
	switch e := e.(type) {
	case mailbox.Store:
		r.store(e)
	case mailbox.Reply:
		if l := r.links[e.Conn]; l != nil {
			r.toDevice(l, e.Frame)
		}
	case mailbox.Deliver:
		r.deliver(e)
	case mailbox.Fetch:
		r.later(r.w.between(time.Millisecond, 10*time.Millisecond), func() { r.fetch(e) })
	case mailbox.Purge:
		box := r.boxes
		if e.Class == wire.Memory {
			box = r.memory
		}
		kept := box[e.Device]
		for len(kept) > 0 && kept[0].Seq <= e.UpTo {
			kept = kept[1:]
		}
		if len(kept) == 0 {
			delete(box, e.Device)
		} else {
			box[e.Device] = kept
		}
	case mailbox.Close:
		if l := r.links[e.Conn]; l != nil {
			delete(r.links, e.Conn)
			l.open = false
			l.device.offline(l)
		}
	}
}

func (r *relay) store(e mailbox.Store) {
	if e.Class == wire.Memory {
		for _, to := range e.To {
			r.memoryLast++
			entry := e.Entry
			entry.Seq = r.memoryLast
			prev := uint64(0)
			if box := r.memory[to]; len(box) > 0 {
				prev = box[len(box)-1].Seq
			}
			r.memory[to] = append(r.memory[to], entry)
			r.later(time.Millisecond, func() { r.step(mailbox.Tail{Class: wire.Memory, Device: to, Prev: prev, Entry: entry}) })
		}
		r.step(mailbox.Stored{Token: e.Token, Verdict: mailbox.OK})
		return
	}
	if r.w.bug == "relay-acks-before-store" {
		r.step(mailbox.Stored{Token: e.Token, Verdict: mailbox.OK})
	}
	r.storing[e.Entry.ID] = &wire.Send{}
	apply := func() {
		if r.isStored[e.Entry.ID] && !r.mayStoreAgain(e.Entry.ID) {
			r.w.violate("B19 relay stores one message once", "a message was stored twice")
		}
		for _, to := range e.To {
			r.last++
			entry := e.Entry
			entry.Seq = r.last
			r.boxes[to] = append(r.boxes[to], entry)
			r.untold = append(r.untold, mailbox.Tail{Class: wire.Durable, Device: to, Prev: r.prev[to], Entry: entry})
			r.prev[to] = entry.Seq
		}
		r.isStored[e.Entry.ID] = true
		r.stored = append(r.stored, storedKey{e.Entry.ID, r.w.now})
	}
	if r.w.faulty(r.w.faults.diskError) { // the operator's supervisor starts it again (facts: an I/O error stops the stream)
		r.w.counts.DiskErrors++
		if r.w.rng.IntN(2) == 0 {
			apply()
		}
		r.step(mailbox.Stored{Token: e.Token, Verdict: mailbox.Unavailable})
		r.crash("on a disk error")
		return
	}
	r.commit(apply, func() {
		delete(r.storing, e.Entry.ID)
		r.tell()
		r.step(mailbox.Stored{Token: e.Token, Verdict: mailbox.OK})
	})
}

// mayStoreAgain reports whether the relay may have forgotten that it stored the message.
func (r *relay) mayStoreAgain(key mailbox.Key) bool {
	for i := len(r.stored) - 1; i >= 0; i-- {
		if r.stored[i].key == key {
			return r.w.now.Sub(r.stored[i].at) > 9*time.Minute
		}
	}
	return true
}

// tell hands the live tail what was stored, in order; some of it gets lost.
func (r *relay) tell() {
	told := r.untold
	r.untold = nil
	for _, t := range told {
		if r.w.faulty(r.w.faults.tailLoss) {
			r.later(time.Second, func() { r.step(mailbox.TailLost{Class: wire.Durable}) })
			continue
		}
		if r.w.bug == "relay-ignores-gaps" {
			t.Prev = 0
		}
		r.step(t)
	}
}

func (r *relay) fetch(e mailbox.Fetch) {
	box := r.boxes[e.Device]
	if e.Class == wire.Memory {
		box = r.memory[e.Device]
	}
	out := mailbox.Fetched{Conn: e.Conn, Class: e.Class}
	for _, entry := range box {
		if entry.Seq <= e.After {
			continue
		}
		if len(out.Entries) == e.MaxEntries {
			out.More = true
			break
		}
		out.Entries = append(out.Entries, entry)
	}
	r.step(out)
}

// deliver hands an entry to the socket. What the state machine promises is checked here, before the relay turns hostile.
func (r *relay) deliver(e mailbox.Deliver) {
	l := r.links[e.Conn]
	if l == nil {
		return
	}
	if e.Entry.Expires <= r.w.now.UnixMilli() {
		r.w.violate("B20 nothing is delivered after its expiry", "the relay delivered %d ms late", r.w.now.UnixMilli()-e.Entry.Expires)
	}
	if e.Class == wire.Durable {
		last, began := r.sent[e.Conn]
		if began {
			for _, entry := range r.boxes[l.device.id] {
				if entry.Seq > last && entry.Seq < e.Entry.Seq && entry.Expires > r.w.now.UnixMilli() {
					r.w.violate("B21 gaps are visible", "entry %d was left out before %d", entry.Seq, e.Entry.Seq)
				}
			}
			if e.Entry.Seq <= last {
				r.w.violate("B21 per connection in order", "entry %d after %d", e.Entry.Seq, last)
			}
		}
		r.sent[e.Conn] = e.Entry.Seq
	}
	r.later(time.Millisecond, func() { r.step(mailbox.Written{Conn: e.Conn, Frames: 1, Octets: len(e.Entry.Body)}) })
	frame := &wire.Deliver{Class: e.Class, Kind: e.Entry.Kind, Cursor: wire.Cursor{Incarnation: e.Incarnation, Seq: e.Entry.Seq},
		ID: e.Entry.ID, At: e.Entry.At, Expires: e.Entry.Expires, Body: e.Entry.Body}
	switch {
	case r.w.faulty(r.w.faults.relayDrop):
		r.w.counts.RelayFaults++
		r.w.note("relay drops a message for %s", l.device.name)
		return
	case r.w.faulty(r.w.faults.relayRepeat):
		r.w.counts.RelayFaults++
		r.toDevice(l, frame)
		r.w.after(r.w.between(0, 20*time.Second), func() { r.toDevice(l, frame) })
	case r.w.faulty(r.w.faults.relayReorder):
		r.w.counts.RelayFaults++
		r.w.after(r.w.between(0, 3*time.Second), func() { r.toDevice(l, frame) })
	default:
		r.toDevice(l, frame)
	}
}

// toDevice carries a frame to the device.
func (r *relay) toDevice(l *link, f wire.Frame) {
	if a, ok := f.(*wire.Accepted); ok && a.Class == wire.Durable && !r.isStored[mailbox.Key(wire.DeliveryID(l.device.id, a.ID))] {
		r.w.violate("B17 an acknowledged message is on disk", "the relay acknowledged what it has not stored")
	}
	if !l.open {
		return
	}
	if r.w.faulty(r.w.faults.disconnect) {
		r.cut(l)
		return
	}
	l.down = later(l.down, r.w.now.Add(r.latency()))
	r.w.at(l.down, func() {
		if l.open && l.device.up && l.device.link == l {
			l.device.receive(f)
		}
	})
}
