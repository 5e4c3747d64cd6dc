package mailbox

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/wire"
)

var (
	t0    = time.UnixMilli(1_790_000_000_000)
	alice = messaging.DeviceID{1}
	bob   = messaging.DeviceID{2}
)

func newState(change ...func(*Config)) *State {
	cfg := Config{Durable: Class{Incarnation: 7, Last: 100}, Memory: Class{Incarnation: 8}}
	for _, f := range change {
		f(&cfg)
	}
	return New(cfg)
}

func send(req uint64, id byte) *wire.Send {
	return &wire.Send{Req: req, ID: [16]byte{id}, To: []messaging.DeviceID{bob}, Class: wire.Durable, Body: []byte("x")}
}

func step(t *testing.T, s *State, ev Event, want ...Effect) []Effect {
	t.Helper()
	got := slices.Clone(s.Step(t0, ev))
	if len(got) != len(want) {
		t.Fatalf("%T: got %d effects %+v, want %d", ev, len(got), got, len(want))
	}
	for i := range want {
		if want[i] != nil && !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("%T: effect %d is %+v, want %+v", ev, i, got[i], want[i])
		}
	}
	return got
}

func failure(t *testing.T, got []Effect, code wire.Code) {
	t.Helper()
	if len(got) != 1 {
		t.Fatalf("got %+v, want one failure", got)
	}
	r, _ := got[0].(Reply)
	if f, ok := r.Frame.(*wire.Failure); !ok || f.Code != code {
		t.Fatalf("got %+v, want %v", r.Frame, code)
	}
}

func accepted(conn ConnID, req uint64, id byte) Effect {
	return Reply{conn, &wire.Accepted{Re: req, ID: [16]byte{id}, Class: wire.Durable}}
}

func TestAckOnlyWhenDurable(t *testing.T) {
	s := newState()
	got := step(t, s, Submit{1, alice, send(10, 1)}, nil)
	st := got[0].(Store)
	if st.Entry.ID != wire.DeliveryID(alice, [16]byte{1}) || st.TTL != 30*24*time.Hour || st.Entry.Expires != t0.Add(st.TTL).UnixMilli() {
		t.Fatalf("%+v", st)
	}
	step(t, s, Submit{2, alice, send(20, 1)}) // a repetition, from another connection, while the original is not durable: silence
	step(t, s, Stored{st.Token, OK, 0}, accepted(1, 10, 1), accepted(2, 20, 1))
	step(t, s, Submit{3, alice, send(30, 1)}, accepted(3, 30, 1)) // afterwards: at once, and not stored again
	step(t, s, Stored{st.Token, OK, 0})                           // reported twice: nothing
	if step(t, s, Submit{1, bob, send(40, 1)}, nil); s.Pending() != 1 {
		t.Fatal("the same id of another sender is another message")
	}
}

func TestAfterAFailedStoreARepetitionIsNew(t *testing.T) {
	for v, code := range map[Verdict]wire.Code{Unavailable: wire.CodeUnavailable, Full: wire.CodeFull} {
		s := newState()
		st := step(t, s, Submit{1, alice, send(10, 1)}, nil)[0].(Store)
		step(t, s, Submit{1, alice, send(11, 1)})
		got := step(t, s, Stored{st.Token, v, 0}, nil, nil)
		failure(t, got[:1], code)
		failure(t, got[1:], code)
		again := step(t, s, Submit{1, alice, send(12, 1)}, nil)[0].(Store)
		step(t, s, Stored{again.Token, OK, 0}, accepted(1, 12, 1))
	}
}

func TestCommit(t *testing.T) {
	s := newState()
	f := &wire.Commit{Req: 1, ID: [16]byte{1}, Group: messaging.ChatID{9}, Prev: 4, Body: []byte("c")}
	a := step(t, s, Commit{1, alice, f}, nil)[0].(Append)
	step(t, s, Stored{a.Token, Conflict, 6}, Reply{1, &wire.Conflict{Re: 1, ID: f.ID, Head: 6}})
	a = step(t, s, Commit{1, alice, f}, nil)[0].(Append) // lost: the same id may try again
	step(t, s, Commit{1, alice, f})
	win := Reply{1, &wire.Accepted{Re: 1, ID: f.ID, Class: wire.Durable, Head: 7}}
	step(t, s, Stored{a.Token, OK, 7}, win, win)
	step(t, s, Commit{1, alice, f}, win)
}

func TestLimitsAndTTL(t *testing.T) {
	s := newState(func(c *Config) { c.PendingPerSender, c.PendingMax = 2, 3 })
	step(t, s, Submit{1, alice, send(1, 1)}, nil)
	step(t, s, Submit{1, alice, send(2, 2)}, nil)
	failure(t, step(t, s, Submit{1, alice, send(3, 3)}, nil), wire.CodeRate)
	st := step(t, s, Submit{1, bob, send(4, 4)}, nil)[0].(Store)
	failure(t, step(t, s, Submit{1, messaging.DeviceID{3}, send(5, 5)}, nil), wire.CodeRate)
	step(t, s, Stored{st.Token, OK, 0}, nil)
	step(t, s, Submit{1, messaging.DeviceID{3}, send(6, 5)}, nil)

	s = newState()
	f := send(1, 1)
	f.Class, f.TTL = wire.Memory, 601
	failure(t, step(t, s, Submit{1, alice, f}, nil), wire.CodeTTL)
	f.TTL = 600
	if st := step(t, s, Submit{1, alice, f}, nil)[0].(Store); st.TTL != 600*time.Second || st.Class != wire.Memory {
		t.Fatalf("%+v", st)
	}
	f = send(2, 2)
	f.TTL = 30*24*3600 + 1
	failure(t, step(t, s, Submit{1, alice, f}, nil), wire.CodeTTL)
}

func TestForgetting(t *testing.T) {
	s := newState(func(c *Config) { c.RememberMax = 2 })
	for id := byte(1); id <= 3; id++ {
		st := step(t, s, Submit{1, alice, send(1, id)}, nil)[0].(Store)
		step(t, s, Stored{st.Token, OK, 0}, nil)
	}
	if got := s.Step(t0, Submit{1, alice, send(1, 3)}); len(got) != 1 || !reflect.DeepEqual(got[0], accepted(1, 1, 3)) {
		t.Fatalf("the newest is forgotten: %+v", got)
	}
	if _, ok := s.Step(t0, Submit{1, alice, send(1, 1)})[0].(Store); !ok {
		t.Fatal("the bound does not hold")
	}
	if _, ok := s.Step(t0.Add(11*time.Minute), Submit{1, alice, send(1, 3)})[0].(Store); !ok {
		t.Fatal("ids are kept beyond their time")
	}
	// What is pending is never forgotten.
	if got := s.Step(t0.Add(time.Hour), Submit{1, alice, send(1, 3)}); len(got) != 0 {
		t.Fatalf("a pending message was stored twice: %+v", got)
	}
	// What was found in the store at start is known.
	step(t, s, Remember{wire.DeliveryID(bob, [16]byte{9}), wire.Durable, 5})
	step(t, s, Submit{1, bob, send(1, 9)}, Reply{1, &wire.Accepted{Re: 1, ID: [16]byte{9}, Class: wire.Durable, Head: 5}})
}

func entry(seq uint64) Entry {
	return Entry{Seq: seq, Kind: wire.KindMessage, Expires: t0.Add(time.Hour).UnixMilli(), Body: make([]byte, 10)}
}

func tail(prev, seq uint64) Tail { return Tail{wire.Durable, bob, prev, entry(seq)} }

func deliver(seq uint64) Effect { return Deliver{1, wire.Durable, 7, entry(seq)} }

func fetch(after uint64) Effect { return Fetch{1, wire.Durable, bob, after, 128, 320 << 10} }

func synced(durable uint64) Effect {
	return Reply{1, &wire.Synced{Re: 1, Durable: wire.Cursor{Incarnation: 7, Seq: durable}, Memory: wire.Cursor{Incarnation: 8}}}
}

// live returns a state in which bob's connection 1 has caught up from durable sequence 50.
func live(t *testing.T, change ...func(*Config)) *State {
	s := newState(change...)
	step(t, s, Connected{1, bob})
	step(t, s, tail(0, 101)) // before Sync: nothing
	step(t, s, Sync{Conn: 1, Frame: &wire.Sync{Req: 1, Durable: wire.Cursor{Incarnation: 7, Seq: 50}}}, Purge{wire.Durable, bob, 50}, nil, nil)
	step(t, s, Fetched{1, wire.Memory, nil, false})
	step(t, s, Fetched{1, wire.Durable, []Entry{entry(60), entry(101)}, false}, deliver(60), deliver(101), synced(101))
	return s
}

func TestLiveTailWithoutGaps(t *testing.T) {
	s := live(t)
	step(t, s, tail(60, 101)) // seen in the fetch
	step(t, s, tail(101, 104), deliver(104))
	step(t, s, tail(104, 105), deliver(105))
	step(t, s, tail(0, 109), deliver(109)) // the ones before were deleted
}

func TestGapIsFetched(t *testing.T) {
	s := live(t)
	step(t, s, tail(104, 105), fetch(101))
	step(t, s, tail(105, 106)) // while the fetch runs
	step(t, s, Fetched{1, wire.Durable, []Entry{entry(104), entry(105)}, false}, deliver(104), deliver(105), fetch(105))
	step(t, s, Fetched{1, wire.Durable, []Entry{entry(106)}, false}, deliver(106))
	step(t, s, tail(106, 107), deliver(107))
	step(t, s, tail(120, 121), fetch(107))
	step(t, s, Fetched{1, wire.Durable, nil, false}) // all gone meanwhile: no loop
	step(t, s, tail(121, 122), deliver(122))
}

func TestFetchInPages(t *testing.T) {
	s := live(t)
	step(t, s, tail(104, 105), fetch(101))
	step(t, s, Fetched{1, wire.Durable, []Entry{entry(103)}, true}, deliver(103), fetch(103))
	step(t, s, Fetched{1, wire.Durable, []Entry{entry(104), entry(105)}, false}, deliver(104), deliver(105))
}

func TestLostTail(t *testing.T) {
	s := live(t)
	step(t, s, TailLost{wire.Durable}, fetch(101))
	step(t, s, TailLost{wire.Durable}) // again, while the fetch runs: what it missed needs another one
	step(t, s, Fetched{1, wire.Durable, nil, false}, fetch(101))
	step(t, s, Fetched{1, wire.Durable, []Entry{entry(102)}, false}, deliver(102))
}

func TestSlowDeviceFallsBehindAndCatchesUp(t *testing.T) {
	s := live(t, func(c *Config) { c.WindowFrames = 4 })
	step(t, s, tail(101, 102), deliver(102))
	step(t, s, tail(102, 103), deliver(103)) // four are unwritten: 60, 101, 102, 103
	step(t, s, tail(103, 104))
	step(t, s, tail(104, 105))
	step(t, s, Written{1, 1, 10})
	step(t, s, Written{1, 1, 10}, Fetch{1, wire.Durable, bob, 103, 2, 320 << 10})
	step(t, s, Fetched{1, wire.Durable, []Entry{entry(104), entry(105)}, false}, deliver(104), deliver(105))
	step(t, s, Written{1, 4, 40})
	step(t, s, tail(105, 106), deliver(106))

	s = live(t, func(c *Config) { c.WindowBytes = 20 }) // the same in octets
	step(t, s, tail(101, 102))
	step(t, s, Written{1, 2, 20}, Fetch{1, wire.Durable, bob, 101, 128, 10})
}

func TestExpiredIsNotDelivered(t *testing.T) {
	s := live(t)
	old := entry(102)
	old.Expires = t0.UnixMilli()
	step(t, s, Tail{wire.Durable, bob, 101, old})
	step(t, s, tail(102, 103), deliver(103)) // and leaves no gap
	step(t, s, tail(104, 105), fetch(103))
	old.Seq = 104
	step(t, s, Fetched{1, wire.Durable, []Entry{old, entry(105)}, false}, deliver(105))
}

func TestCursorsOfAnotherIncarnation(t *testing.T) {
	for name, cursor := range map[string]wire.Cursor{"incarnation": {Incarnation: 6, Seq: 50}, "ahead": {Incarnation: 7, Seq: 101}} {
		s := newState()
		step(t, s, Connected{1, bob})
		got := step(t, s, Sync{Conn: 1, Frame: &wire.Sync{Req: 1, Durable: cursor, Memory: wire.Cursor{Incarnation: 8}}},
			Reply{1, &wire.Reset{Class: wire.Durable, Incarnation: 7}}, fetch(0), nil)
		if f := got[2].(Fetch); f.Class != wire.Memory {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAck(t *testing.T) {
	s := live(t)
	ack := func(class wire.Class, incarnation, seq uint64) Event {
		return Ack{1, &wire.Ack{Class: class, Cursor: wire.Cursor{Incarnation: incarnation, Seq: seq}}}
	}
	step(t, s, ack(wire.Durable, 7, 101), Purge{wire.Durable, bob, 101})
	failure(t, step(t, s, ack(wire.Durable, 7, 102), nil), wire.CodeStaleCursor)
	failure(t, step(t, s, ack(wire.Durable, 6, 60), nil), wire.CodeStaleCursor)
	failure(t, step(t, s, ack(wire.Memory, 8, 1), nil), wire.CodeStaleCursor)
	s = newState()
	step(t, s, Connected{1, bob})
	failure(t, step(t, s, ack(wire.Durable, 7, 1), nil), wire.CodeStaleCursor) // before Sync
	failure(t, step(t, live(t), Sync{Conn: 1, Frame: &wire.Sync{Req: 2}}, nil), wire.CodeOrder)
}

func TestNewConnectionReplacesOld(t *testing.T) {
	s := live(t)
	if c := step(t, s, Connected{2, bob}, nil)[0].(Close); c.Conn != 1 || c.Code != wire.CodeReplaced {
		t.Fatalf("%+v", c)
	}
	step(t, s, tail(101, 102)) // not to the old one
	step(t, s, Gone{1})        // and its end does not disturb the new one
	step(t, s, Sync{Conn: 2, Frame: &wire.Sync{Req: 1}}, nil, nil)
	step(t, s, Gone{2})
	step(t, s, Fetched{2, wire.Durable, []Entry{entry(1)}, false})
	if s.Connected() != 0 || len(s.devices) != 0 {
		t.Fatal("connections remain")
	}
}
