// Package outbox decides when a device sends what waits to be sent, and when it may forget it: a pure function of events and time.
//
// It has no store, clock, socket, lock or randomness. The device and the simulation drive it with the same events:
//
//	Added        a message was sealed and written to the store
//	Connected    the relay answers; everything not accepted goes out
//	Disconnected the connection is gone
//	Reset        the relay's store was replaced: everything goes out again
//	Accepted     the relay stored the message
//	Refused      the relay did not; for now or for good
//	Receipt      a receiver's device stored the message
//	Left         a receiver is no member any more
//	Tick         time passed
//
// and do what it answers:
//
//	Send         hand the sealed message to the relay
//	Drop         forget it: delivered, expired or refused
//
// A message leaves the outbox on the receipts of all its receivers' devices, or when it expires; the relay's word is not enough,
// since it is a queue and may lose what it holds.
package outbox

import (
	"cmp"
	"slices"
	"time"

	"github.com/parleypay/parley/messaging"
)

// ID names an entry; a device gives them out in the order in which messages were sealed, and they are sent in this order.
type ID uint64

// Config bounds the core. The zero Config means the defaults.
type Config struct {
	// Window is how many messages may be at the relay without its answer. Zero means 256.
	Window int
	// AnswerTimeout is how long the relay's answer may take before the same frame is sent again. Zero means 10 s.
	AnswerTimeout time.Duration
	// Resend is how long after the relay accepted a message, and each time again, it is sent anew while a receipt is missing. The
	// last one repeats. Nil means 1 min, 10 min, 1 h, 6 h, 24 h.
	Resend []time.Duration
	// Backoff bounds the pause after the relay refused for now: it doubles from the first to the second. Zeros mean 1 s and 1 min.
	BackoffFirst, BackoffMost time.Duration
}

func (c Config) withDefaults() Config {
	if c.Window == 0 {
		c.Window = 256
	}
	if c.AnswerTimeout == 0 {
		c.AnswerTimeout = 10 * time.Second
	}
	if c.Resend == nil {
		c.Resend = []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour}
	}
	c.BackoffFirst = cmp.Or(c.BackoffFirst, time.Second)
	c.BackoffMost = cmp.Or(c.BackoffMost, time.Minute)
	return c
}

// Event is what happened: one of the types listed in the package comment.
type Event interface{ event() }

// Added brings a message in, new or found in the store at start.
type Added struct {
	ID      ID
	Chat    messaging.ChatID
	Message messaging.MessageID
	To      []messaging.DeviceID // whose receipts are awaited
	Expires time.Time
}

// Connected says that the relay takes messages.
type Connected struct{}

// Disconnected says that it does not; answers to what is under way will not come.
type Disconnected struct{}

// Reset says that the relay's durable store is another one than before.
type Reset struct{}

// Accepted says that the relay stored the message.
type Accepted struct{ ID ID }

// Refused says that the relay refused the message: for good, or for now and therefore all that follows, too.
type Refused struct {
	ID      ID
	ForGood bool
}

// Receipt says that the device From has the message.
type Receipt struct {
	Chat    messaging.ChatID
	Message messaging.MessageID
	From    messaging.DeviceID
}

// Left says that a device is no member of the chat any more; its receipts will not come.
type Left struct {
	Chat   messaging.ChatID
	Device messaging.DeviceID
}

// Tick says that time passed. Call it at Next, at the latest.
type Tick struct{}

func (Added) event()        {}
func (Connected) event()    {}
func (Disconnected) event() {}
func (Reset) event()        {}
func (Accepted) event()     {}
func (Refused) event()      {}
func (Receipt) event()      {}
func (Left) event()         {}
func (Tick) event()         {}

// Effect is what to do: Send or Drop.
type Effect interface{ effect() }

// Send asks for the message to be handed to the relay, for To, with what is left of its time.
type Send struct {
	ID      ID
	To      []messaging.DeviceID
	Expires time.Time
	// Fresh says that the relay may not treat this copy as one it has already: it goes out under a new id, and is sealed anew when the
	// chat has moved on to another epoch. Otherwise it is the very frame that was sent before, if it was.
	Fresh bool
}

// Drop asks for the message to be forgotten.
type Drop struct {
	ID  ID
	Why Reason
}

func (Send) effect() {}
func (Drop) effect() {}

// Reason says why a message left the outbox.
type Reason uint8

// The reasons.
const (
	Delivered Reason = 1 // every receiver's device has it
	Expired   Reason = 2
	Rejected  Reason = 3 // the relay will never take it
)

func (r Reason) String() string { return [...]string{"?", "delivered", "expired", "rejected"}[r&3] }

// entry is a message in the outbox.
type entry struct {
	Added
	state   state
	fresh   bool      // the relay has, or had, a copy: the next one is to be another, until it is accepted
	due     time.Time // sent: the answer; accepted: the next copy
	resends int
}

type state uint8

const (
	none     state = iota
	waiting        // to be sent when there is a connection and room
	sent           // the relay's answer is awaited
	accepted       // receipts are awaited
)

// Box is the core's state. It is not safe for concurrent use.
type Box struct {
	c       Config
	byID    map[ID]*entry
	byName  map[name]*entry
	queue   []*entry // those in state waiting, by ID
	online  bool
	flying  int       // entries in state sent
	pause   time.Time // nothing is sent before
	backoff time.Duration
	soonest time.Time // no entry expires or is due before; zero when there is none
}

type name struct {
	chat    messaging.ChatID
	message messaging.MessageID
}

// New returns an empty outbox.
func New(c Config) *Box {
	return &Box{c: c.withDefaults(), byID: map[ID]*entry{}, byName: map[name]*entry{}}
}

// Len returns how many messages are in the outbox.
func (b *Box) Len() int { return len(b.byID) }

// Unsent returns how many messages the relay has not accepted yet.
func (b *Box) Unsent() int { return len(b.queue) + b.flying }

// Step takes in an event and returns what to do, in order. Events about messages that are not, or no longer, in the outbox do nothing:
// answers and receipts may come twice and late.
func (b *Box) Step(now time.Time, ev Event) []Effect {
	var out []Effect
	switch ev := ev.(type) {
	case Added:
		b.add(ev)
	case Connected:
		b.online, b.pause, b.backoff = true, time.Time{}, 0
	case Disconnected:
		b.online = false
		for _, e := range b.sorted() {
			if e.state == sent {
				b.set(e, waiting, time.Time{})
			}
		}
	case Reset:
		for _, e := range b.sorted() {
			if e.state != waiting {
				b.set(e, waiting, time.Time{})
				e.fresh = true
			}
		}
	case Accepted:
		if e := b.byID[ev.ID]; e != nil && e.state == sent {
			b.backoff, e.fresh = 0, false
			b.set(e, accepted, now.Add(b.c.Resend[min(e.resends, len(b.c.Resend)-1)]))
		}
	case Refused:
		if e := b.byID[ev.ID]; e != nil && e.state == sent {
			if ev.ForGood {
				out = b.drop(out, e, Rejected)
				break
			}
			if !now.Before(b.pause) { // refusals of what was under way already do not lengthen the pause
				b.backoff = min(max(2*b.backoff, b.c.BackoffFirst), b.c.BackoffMost)
				b.pause = now.Add(b.backoff)
			}
			b.set(e, waiting, time.Time{})
		}
	case Receipt:
		if e := b.byName[name{ev.Chat, ev.Message}]; e != nil {
			out = b.received(out, e, ev.From)
		}
	case Left:
		for _, e := range b.sorted() {
			if e.Chat == ev.Chat {
				out = b.received(out, e, ev.Device)
			}
		}
	}
	return b.send(now, b.expire(now, out))
}

// Next returns when Tick is due, or a little before; the zero time means that only another event can change anything.
func (b *Box) Next() time.Time {
	next := b.soonest
	if b.online && len(b.queue) > 0 && b.flying < b.c.Window && !b.pause.IsZero() && (next.IsZero() || b.pause.Before(next)) {
		next = b.pause
	}
	return next
}

func (b *Box) add(ev Added) {
	if b.byID[ev.ID] != nil {
		return
	}
	e := &entry{Added: ev, state: none}
	e.To = slices.Clone(ev.To)
	b.byID[ev.ID] = e
	b.byName[name{ev.Chat, ev.Message}] = e
	b.set(e, waiting, time.Time{})
	b.notBefore(ev.Expires)
}

func (b *Box) received(out []Effect, e *entry, from messaging.DeviceID) []Effect {
	i := slices.Index(e.To, from)
	if i < 0 {
		return out
	}
	e.To = slices.Delete(e.To, i, i+1)
	if len(e.To) == 0 {
		return b.drop(out, e, Delivered)
	}
	return out
}

func (b *Box) drop(out []Effect, e *entry, why Reason) []Effect {
	b.set(e, none, time.Time{})
	delete(b.byID, e.ID)
	delete(b.byName, name{e.Chat, e.Message})
	return append(out, Drop{e.ID, why})
}

// set moves an entry to another state, and into or out of the queue.
func (b *Box) set(e *entry, s state, due time.Time) {
	if e.state == waiting || s == waiting {
		i, found := slices.BinarySearchFunc(b.queue, e.ID, func(e *entry, id ID) int { return cmp.Compare(e.ID, id) })
		switch {
		case s == waiting && !found:
			b.queue = slices.Insert(b.queue, i, e)
		case s != waiting && found:
			b.queue = slices.Delete(b.queue, i, i+1)
		}
	}
	if e.state == sent {
		b.flying--
	}
	if s == sent {
		b.flying++
	}
	if e.state, e.due = s, due; !due.IsZero() {
		b.notBefore(due)
	}
}

func (b *Box) notBefore(t time.Time) {
	if b.soonest.IsZero() || t.Before(b.soonest) {
		b.soonest = t
	}
}

// sorted lists all entries in order: what follows from an event must not depend on the order of a map.
func (b *Box) sorted() []*entry {
	all := make([]*entry, 0, len(b.byID))
	for _, e := range b.byID {
		all = append(all, e)
	}
	slices.SortFunc(all, func(x, y *entry) int { return cmp.Compare(x.ID, y.ID) })
	return all
}

// expire acts on what is due.
func (b *Box) expire(now time.Time, out []Effect) []Effect {
	if b.soonest.IsZero() || now.Before(b.soonest) {
		return out
	}
	b.soonest = time.Time{}
	for _, e := range b.sorted() {
		switch {
		case !now.Before(e.Expires):
			out = b.drop(out, e, Expired)
			continue
		case e.state == sent && !now.Before(e.due): // the answer got lost: the very same frame again
			b.set(e, waiting, time.Time{})
		case e.state == accepted && !now.Before(e.due): // the receipt is missing: another copy
			e.resends++
			b.set(e, waiting, time.Time{})
			e.fresh = true
		case e.state != waiting:
			b.notBefore(e.due)
		}
		b.notBefore(e.Expires)
	}
	return out
}

// send hands out what may go.
func (b *Box) send(now time.Time, out []Effect) []Effect {
	if !b.online || now.Before(b.pause) {
		return out
	}
	n := min(len(b.queue), max(0, b.c.Window-b.flying))
	for _, e := range slices.Clone(b.queue[:n]) {
		out = append(out, Send{e.ID, slices.Clone(e.To), e.Expires, e.fresh})
		b.set(e, sent, now.Add(b.c.AnswerTimeout))
	}
	return out
}
