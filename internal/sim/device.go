package sim

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/device/outbox"
	"github.com/parleypay/parley/messaging/wire"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/lifecycle"
)

// message is what one device says to another. Nothing is encrypted here: a body is an index into world.messages.
type message struct {
	index    uint64
	id       messaging.MessageID
	from, to *device
	kind     string // "buy", "request", "check", "payeecheck", "mandate", "decline", "cancel", "receipt", "credited", "text", "delivered"
	intent   payments.IntentID
	terms    terms
	mandate  mandate
	status   lifecycle.State // receipt
	reason   string
	seq      uint64                // receipt
	nonce    string                // payeecheck
	check    connector.Check       // payeecheck
	receipts []messaging.MessageID // delivered
	expires  time.Time
}

// device is a chat endpoint: outbox.Box around a store of its own, an inbox that remembers what it has seen, one link at a time.
type device struct {
	node
	id      messaging.DeviceID
	handler func(m *message, done func(ok bool)) // done(false): again later

	// On disk.
	rows    []*row
	nextRow outbox.ID
	keys    map[string]bool
	inbox   map[messaging.MessageID]*incoming
	order   []*incoming // not handled yet, in the order of arrival
	cursor  wire.Cursor

	// In memory.
	box      *outbox.Box
	link     *link
	inQueue  []wire.Frame
	busy     bool // with the first of inQueue
	handling bool // with the first of order
	ticking  time.Time
}

type row struct {
	id      outbox.ID
	key     string
	m       *message
	frameID [16]byte
	class   wire.Class
}

type incoming struct {
	m       *message
	handled bool
}

func newDevice(w *world, name string, id byte) *device {
	d := &device{id: messaging.DeviceID{id}, keys: map[string]bool{}, inbox: map[messaging.MessageID]*incoming{}}
	d.node = node{w: w, name: name, up: true, crashed: d.forget, restart: d.boot}
	return d
}

func (d *device) forget() {
	if l := d.link; l != nil {
		d.link = nil
		l.open = false
		d.w.relay.goneSoon(l)
	}
	d.box, d.inQueue, d.busy, d.handling, d.ticking = nil, nil, false, false, time.Time{}
}

func (d *device) boot() {
	d.box = outbox.New(outbox.Config{AnswerTimeout: 2 * time.Second, Resend: []time.Duration{15 * time.Second, time.Minute, 3 * time.Minute}})
	for _, r := range d.rows {
		d.boxStep(outbox.Added{ID: r.id, Message: r.m.id, To: []messaging.DeviceID{r.m.to.id}, Expires: r.m.expires})
	}
	d.connectSoon(0)
	d.handleNext()
}

func (d *device) connectSoon(wait time.Duration) {
	d.later(wait+d.w.between(0, 500*time.Millisecond), func() {
		if d.link != nil {
			return
		}
		l := d.w.relay.connect(d)
		if l == nil {
			d.connectSoon(2 * time.Second)
			return
		}
		d.link = l
		d.w.relay.toRelay(l, &wire.Sync{Req: 1, Durable: d.cursor})
		if d.link == l {
			d.boxStep(outbox.Connected{})
		}
	})
}

// offline is told when the link breaks.
func (d *device) offline(l *link) {
	if d.link != l {
		return
	}
	d.link, d.inQueue = nil, nil
	if d.up && d.box != nil {
		d.boxStep(outbox.Disconnected{})
		d.connectSoon(time.Second)
	}
}

func (d *device) boxStep(ev outbox.Event) {
	if d.box == nil { // the device has crashed meanwhile
		return
	}
	epoch := d.epoch
	for _, e := range d.box.Step(d.w.now, ev) {
		if !d.up || d.epoch != epoch {
			return
		}
		switch e := e.(type) {
		case outbox.Send:
			d.transmit(e)
		case outbox.Drop:
			d.commit(func() { d.rows = slices.DeleteFunc(d.rows, func(r *row) bool { return r.id == e.ID }) }, func() {})
		}
	}
	if !d.up || d.epoch != epoch {
		return
	}
	if next := d.box.Next(); !next.IsZero() && (d.ticking.IsZero() || next.Before(d.ticking)) {
		d.ticking = next
		d.later(max(next.Sub(d.w.now), time.Millisecond), func() {
			if d.ticking.Equal(next) {
				d.ticking = time.Time{}
				d.boxStep(outbox.Tick{})
			}
		})
	}
}

func (d *device) transmit(e outbox.Send) {
	i := slices.IndexFunc(d.rows, func(r *row) bool { return r.id == e.ID })
	if i < 0 {
		return // its deletion is on its way to the disk
	}
	r := d.rows[i]
	if e.Fresh {
		binary.BigEndian.PutUint64(r.frameID[8:], d.w.rng.Uint64())
	}
	left := e.Expires.Sub(d.w.now)
	if left < time.Second {
		return
	}
	// The connection may break here; Disconnected then comes in the middle of a step, so it is put off.
	l := d.link
	d.later(0, func() {
		d.w.relay.toRelay(l, &wire.Send{Req: uint64(r.id), ID: r.frameID, To: e.To, TTL: uint32(left / time.Second), Class: r.class, Body: r.m.body()})
	})
}

func (m *message) body() []byte { return binary.BigEndian.AppendUint64(nil, m.index) }

// newMessage makes a message; ids are drawn, as salts are in MIMI content.
func (w *world) newMessage(from, to *device, kind string) *message {
	m := &message{index: uint64(len(w.messages)), from: from, to: to, kind: kind, expires: w.now.Add(time.Hour)}
	binary.BigEndian.PutUint64(m.id[:], w.rng.Uint64())
	binary.BigEndian.PutUint64(m.id[8:], m.index)
	w.messages = append(w.messages, m)
	return m
}

// send puts the message into the outbox, once per key, and goes on when that is durable.
func (d *device) send(key string, m *message, then func()) {
	class := wire.Durable
	if m.kind == "text" {
		class = wire.Memory
	}
	var added *row
	d.commit(func() {
		if d.keys[key] {
			return
		}
		d.keys[key] = true
		d.nextRow++
		added = &row{id: d.nextRow, key: key, m: m, class: class}
		binary.BigEndian.PutUint64(added.frameID[:], uint64(d.nextRow)<<8|uint64(d.id[0]))
		binary.BigEndian.PutUint64(added.frameID[8:], d.w.rng.Uint64())
		d.rows = append(d.rows, added)
		d.w.check.queued(m)
	}, func() {
		if added != nil {
			d.boxStep(outbox.Added{ID: added.id, Message: m.id, To: []messaging.DeviceID{m.to.id}, Expires: m.expires})
		}
		if d.up {
			then()
		}
	})
}

// receive takes a frame of the relay.
func (d *device) receive(f wire.Frame) {
	switch f := f.(type) {
	case *wire.Accepted:
		d.boxStep(outbox.Accepted{ID: outbox.ID(f.Re)})
	case *wire.Failure:
		if f.Re > 0 {
			d.boxStep(outbox.Refused{ID: outbox.ID(f.Re), ForGood: false})
		}
	case *wire.Reset:
		if f.Class == wire.Durable {
			d.cursor = wire.Cursor{}
			d.boxStep(outbox.Reset{})
		}
	case *wire.Deliver:
		d.inQueue = append(d.inQueue, f)
		d.takeNext()
	}
}

func (d *device) takeNext() {
	if d.busy || len(d.inQueue) == 0 || !d.up {
		return
	}
	f := d.inQueue[0].(*wire.Deliver)
	d.inQueue = d.inQueue[1:]
	m := d.w.messages[binary.BigEndian.Uint64(f.Body)]
	if m.kind == "delivered" {
		for _, id := range m.receipts {
			if d.up {
				d.boxStep(outbox.Receipt{Message: id, From: m.from.id})
			}
		}
		d.ackFrame(f)
		d.takeNext()
		return
	}
	if !d.w.now.Before(m.expires) { // judged here too, whatever the relay says
		d.ackFrame(f)
		d.takeNext()
		return
	}
	d.busy = true
	fresh := false
	d.commit(func() {
		if d.inbox[m.id] == nil || d.w.bug == "device-without-dedupe" {
			in := &incoming{m: m}
			d.inbox[m.id] = in
			d.order = append(d.order, in)
			fresh = true
		}
		if f.Class == wire.Durable && (f.Cursor.Incarnation != d.cursor.Incarnation || f.Cursor.Seq > d.cursor.Seq) {
			d.cursor = f.Cursor
		}
	}, func() {
		d.busy = false
		if !fresh {
			d.w.counts.Repeats++
		}
		d.ackFrame(f)
		d.confirm(m)
		if d.up {
			d.handleNext()
			d.takeNext()
		}
	})
}

func (d *device) ackFrame(f *wire.Deliver) {
	if d.up && d.link != nil {
		d.w.relay.toRelay(d.link, &wire.Ack{Class: f.Class, Cursor: f.Cursor})
	}
}

// confirm sends the end-to-end receipt. It is not kept: the sender repeats what it has no receipt for.
func (d *device) confirm(m *message) {
	if !d.up || d.link == nil {
		return
	}
	r := d.w.newMessage(d, m.from, "delivered")
	r.receipts = []messaging.MessageID{m.id}
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], d.w.rng.Uint64())
	binary.BigEndian.PutUint64(id[8:], d.w.rng.Uint64())
	d.w.relay.toRelay(d.link, &wire.Send{ID: id, To: []messaging.DeviceID{m.from.id}, TTL: 3600, Class: wire.Durable, Body: r.body()})
}

// handleNext gives the application the oldest message that it has not handled, at least once.
func (d *device) handleNext() {
	if d.handling || len(d.order) == 0 || !d.up {
		return
	}
	in := d.order[0]
	if !d.w.now.Before(in.m.expires) { // it waited too long in the store
		d.order = d.order[1:]
		d.handleNext()
		return
	}
	d.handling = true
	epoch := d.epoch
	d.handler(in.m, func(ok bool) {
		if !d.up || d.epoch != epoch {
			return
		}
		if !ok {
			d.later(500*time.Millisecond, func() { d.handling = false; d.handleNext() })
			return
		}
		d.commit(func() {
			in.handled = true
			d.order = slices.DeleteFunc(d.order, func(o *incoming) bool { return o == in })
			d.w.check.handled(in.m)
		}, func() { d.handling = false; d.handleNext() })
	})
}
