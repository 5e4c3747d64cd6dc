// Package mailbox decides what a relay does: which message is stored, when its sender hears that it was, and what each connected
// device gets next.
//
// It is a state machine without I/O, clock, goroutine or lock. Step takes the time and one event and returns effects, which the
// caller carries out in order; what comes of them returns as events. Equal calls give equal effects. Package relay runs it on
// JetStream and WebSockets, the simulation on faults.
//
// What it promises, provided that the caller reports Stored only for what is on disk:
//
//   - a message is acknowledged only when it is durable (or in memory, for that class), and a repeated one only when the original is;
//   - one (sender, id) is stored once, as long as it is remembered: Config.RememberFor after it was stored;
//   - a device gets the entries of its mailbox in order, none twice on one connection and none left out, except those whose
//     time has passed, although the live tail may lose any of them;
//   - nothing is delivered after its expiry;
//   - an entry is deleted only when the device has acknowledged it.
package mailbox

import (
	"sort"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/wire"
)

// Config bounds the state. Zero fields mean the default given.
type Config struct {
	Durable, Memory  Class         // the two message classes
	RememberFor      time.Duration // how long a stored message's id is known; 10 min
	RememberMax      int           // how many stored ids are known at most; 200,000
	PendingPerSender int           // messages of one device that are not yet stored; 512
	PendingMax       int           // of all devices; 16,384
	WindowFrames     int           // entries handed to a connection and not yet written to its socket; 256
	WindowBytes      int           // the same in octets of bodies; 640 KiB, so that half of it holds the largest
}

// Class describes the store of one message class at start.
type Class struct {
	Incarnation uint64        // of the store; never 0
	Last        uint64        // sequence of the last entry ever stored
	MaxTTL      time.Duration // the longest life of a message; 30 days for durable, 10 min for memory
}

// ConnID names a connection; the caller never uses one twice.
type ConnID uint64

// Key is a message's wire.DeliveryID.
type Key [16]byte

// Entry is what a mailbox holds.
type Entry struct {
	Seq     uint64 // given by the store; 0 before
	Kind    wire.Kind
	ID      Key
	At      int64 // Unix milliseconds
	Expires int64 // Unix milliseconds
	Group   messaging.ChatID
	Head    uint64
	Body    []byte
}

// State is the whole relay's. It is not to be used by two goroutines at once.
type State struct {
	cfg     Config
	lanes   [3]laneState // by wire.Class
	conns   map[ConnID]*conn
	devices map[messaging.DeviceID]*conn
	known   map[Key]*submission
	age     []*submission // stored ones in the order of storing, for forgetting
	pending map[uint64]*submission
	load    map[messaging.DeviceID]int // pending per sender
	token   uint64
	out     []Effect
}

type laneState struct {
	Class
	high uint64 // highest sequence seen
}

type submission struct {
	key     Key
	sender  messaging.DeviceID
	class   wire.Class
	head    uint64
	stored  bool
	at      time.Time // when stored
	waiters []waiter
}

type waiter struct {
	conn ConnID
	req  uint64
	id   [16]byte
}

type conn struct {
	id     ConnID
	device messaging.DeviceID
	lanes  [3]lane // by wire.Class
	synced bool    // Sync was asked for
	told   bool    // Synced was sent
	req    uint64
	run    uint64 // that Synced tells
	frames int    // handed over, not yet written
	octets int
}

// lane is the place of one connection in one class of its mailbox.
type lane struct {
	sent     uint64 // everything up to here was handed over or does not exist any more
	seen     uint64 // highest sequence the tail told of
	asked    uint64 // seen, when the running fetch began
	fetching bool
	behind   bool // there may be entries beyond sent that no fetch has looked for
	lost     bool // the tail failed since the running fetch began
}

// New returns a state for stores that look as cfg says.
func New(cfg Config) *State {
	set(&cfg.RememberFor, 10*time.Minute)
	set(&cfg.RememberMax, 200_000)
	set(&cfg.PendingPerSender, 512)
	set(&cfg.PendingMax, 16_384)
	set(&cfg.WindowFrames, 256)
	set(&cfg.WindowBytes, 640<<10)
	set(&cfg.Durable.MaxTTL, 30*24*time.Hour)
	set(&cfg.Memory.MaxTTL, 10*time.Minute)
	s := &State{
		cfg: cfg, conns: map[ConnID]*conn{}, devices: map[messaging.DeviceID]*conn{},
		known: map[Key]*submission{}, pending: map[uint64]*submission{}, load: map[messaging.DeviceID]int{},
	}
	s.lanes[wire.Durable] = laneState{cfg.Durable, cfg.Durable.Last}
	s.lanes[wire.Memory] = laneState{cfg.Memory, cfg.Memory.Last}
	return s
}

func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Pending returns the number of messages that are not yet stored.
func (s *State) Pending() int { return len(s.pending) }

// Connected returns the number of connections.
func (s *State) Connected() int { return len(s.conns) }

// Step applies one event. The effects are valid until the next Step.
func (s *State) Step(now time.Time, ev Event) []Effect {
	s.out = s.out[:0]
	switch ev := ev.(type) {
	case Submit:
		s.submit(now, ev)
	case Commit:
		s.commit(now, ev)
	case Stored:
		s.stored(now, ev)
	case Remember:
		s.remember(now, ev)
	case Connected:
		s.connected(ev)
	case Gone:
		s.gone(ev.Conn)
	case Sync:
		s.sync(ev)
	case Tail:
		s.tail(now, ev)
	case TailLost:
		s.tailLost(ev.Class)
	case Fetched:
		s.fetched(now, ev)
	case Written:
		s.written(ev)
	case Ack:
		s.ack(ev)
	}
	return s.out
}

func (s *State) emit(e Effect) { s.out = append(s.out, e) }

func (s *State) refuse(c ConnID, req uint64, code wire.Code, text string) {
	s.emit(Reply{c, &wire.Failure{Re: req, Code: code, Text: text}})
}

// inOrder lists the connections by age, so that nothing depends on the order of a map.
func (s *State) inOrder() []*conn {
	all := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		all = append(all, c)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].id < all[j].id })
	return all
}
