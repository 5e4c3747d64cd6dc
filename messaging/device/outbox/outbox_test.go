package outbox

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parleypay/parley/messaging"
)

var (
	t0   = time.Unix(1_800_000_000, 0)
	bob  = messaging.DeviceID{1}
	carl = messaging.DeviceID{2}
	chat = messaging.ChatID{9}
)

func added(id ID, to ...messaging.DeviceID) Added {
	return Added{ID: id, Chat: chat, Message: messaging.MessageID{byte(id)}, To: to, Expires: t0.Add(time.Hour)}
}

func receipt(id ID, from messaging.DeviceID) Receipt {
	return Receipt{chat, messaging.MessageID{byte(id)}, from}
}

// brief writes effects short: "send 1", "send 1 fresh", "drop 1 delivered".
func brief(effects []Effect) []string {
	out := []string{}
	for _, e := range effects {
		switch e := e.(type) {
		case Send:
			s := fmt.Sprint("send ", e.ID)
			if e.Fresh {
				s += " fresh"
			}
			out = append(out, s)
		case Drop:
			out = append(out, fmt.Sprint("drop ", e.ID, " ", e.Why))
		}
	}
	return out
}

func TestSteps(t *testing.T) {
	type step struct {
		after time.Duration // since the step before
		ev    Event
		want  []string
	}
	for name, steps := range map[string][]step{
		"offline, then delivered": {
			{0, added(1, bob), nil},
			{0, Connected{}, []string{"send 1"}},
			{0, Accepted{1}, nil},
			{0, receipt(1, carl), nil},
			{0, receipt(1, bob), []string{"drop 1 delivered"}},
			{0, receipt(1, bob), nil},
			{0, Accepted{1}, nil},
		},
		"two receivers": {
			{0, Connected{}, nil},
			{0, added(1, bob, carl), []string{"send 1"}},
			{0, receipt(1, bob), nil},
			{0, Accepted{1}, nil},
			{0, receipt(1, bob), nil},
			{0, receipt(1, carl), []string{"drop 1 delivered"}},
		},
		"receipt before the relay's answer": {
			{0, Connected{}, nil},
			{0, added(1, bob), []string{"send 1"}},
			{0, receipt(1, bob), []string{"drop 1 delivered"}},
			{0, Accepted{1}, nil},
			{0, Disconnected{}, nil},
			{0, Connected{}, nil},
		},
		"reconnect sends the same frame, but not what was accepted": {
			{0, Connected{}, nil},
			{0, added(1, bob), []string{"send 1"}},
			{0, added(2, bob), []string{"send 2"}},
			{0, Accepted{1}, nil},
			{0, Disconnected{}, nil},
			{0, Accepted{2}, nil}, // an answer from the old connection counts for nothing
			{0, Connected{}, []string{"send 2"}},
		},
		"another store sends all anew": {
			{0, Connected{}, nil},
			{0, added(1, bob), []string{"send 1"}},
			{0, added(2, bob), []string{"send 2"}},
			{0, Accepted{1}, nil},
			{0, Disconnected{}, nil},
			{0, Reset{}, nil},
			{0, Connected{}, []string{"send 1 fresh", "send 2"}},
		},
		"no answer": {
			{0, Connected{}, nil},
			{0, added(1, bob), []string{"send 1"}},
			{9 * time.Second, Tick{}, nil},
			{time.Second, Tick{}, []string{"send 1"}},
		},
		"no receipt": {
			{0, Connected{}, nil},
			{0, added(1, bob), []string{"send 1"}},
			{0, Accepted{1}, nil},
			{time.Minute - 1, Tick{}, nil},
			{1, Tick{}, []string{"send 1 fresh"}},
			{10 * time.Second, Tick{}, []string{"send 1 fresh"}},
			{0, Disconnected{}, nil},
			{0, Connected{}, []string{"send 1 fresh"}}, // whether the copy before was made is not known
			{0, Accepted{1}, nil},
			{10*time.Minute - 1, Tick{}, nil},
			{1, Tick{}, []string{"send 1 fresh"}},
		},
		"expiry, wherever it waits": {
			{0, added(1, bob), nil},
			{time.Hour - 1, Tick{}, nil},
			{1, Tick{}, []string{"drop 1 expired"}},
			{0, Connected{}, nil},
		},
		"expiry at the relay": {
			{0, Connected{}, nil},
			{0, added(1, bob), []string{"send 1"}},
			{0, Accepted{1}, nil},
			{time.Hour, Tick{}, []string{"drop 1 expired"}},
			{0, receipt(1, bob), nil},
		},
		"expiry at the very moment it could go": {
			{0, added(1, bob), nil},
			{time.Hour, Connected{}, []string{"drop 1 expired"}},
		},
		"refused for now pauses all": {
			{0, Connected{}, nil},
			{0, added(1, bob), []string{"send 1"}},
			{0, Refused{ID: 1}, nil},
			{0, added(2, bob), nil},
			{time.Second, Tick{}, []string{"send 1", "send 2"}},
			{0, Refused{ID: 1}, nil},
			{0, Refused{ID: 2}, nil},
			{time.Second, Tick{}, nil},
			{time.Second, Tick{}, []string{"send 1", "send 2"}},
			{0, Accepted{1}, nil},
			{0, Refused{ID: 2}, nil},
			{time.Second, Tick{}, []string{"send 2"}},
		},
		"refused for good": {
			{0, Connected{}, nil},
			{0, added(1, bob), []string{"send 1"}},
			{0, Refused{ID: 1, ForGood: true}, []string{"drop 1 rejected"}},
		},
		"the last receiver leaves": {
			{0, Connected{}, nil},
			{0, added(1, bob, carl), []string{"send 1"}},
			{0, receipt(1, bob), nil},
			{0, Left{chat, carl}, []string{"drop 1 delivered"}},
		},
		"the same message again": {
			{0, Connected{}, nil},
			{0, added(1, bob), []string{"send 1"}},
			{0, added(1, bob), nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, now := New(Config{}), t0
			for i, s := range steps {
				now = now.Add(s.after)
				if s.want == nil {
					s.want = []string{}
				}
				if got := brief(b.Step(now, s.ev)); !slices.Equal(got, s.want) {
					t.Fatalf("step %d, %T: %q, want %q", i, s.ev, got, s.want)
				}
			}
		})
	}
}

func TestWindow(t *testing.T) {
	b := New(Config{Window: 3})
	b.Step(t0, Connected{})
	var sent []string
	for i := range 10 {
		sent = append(sent, brief(b.Step(t0, added(ID(i+1), bob)))...)
	}
	if !slices.Equal(sent, []string{"send 1", "send 2", "send 3"}) {
		t.Fatalf("sent %q", sent)
	}
	if got := brief(b.Step(t0, Accepted{2})); !slices.Equal(got, []string{"send 4"}) {
		t.Fatalf("after an answer: %q", got)
	}
}

// TestAnyHistory checks over random histories: nothing is sent while offline, beyond the window, after it expired or once it was
// dropped; what is dropped as delivered has all its receipts; given a connection and answers, everything ends.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, now := New(Config{Window: 4}), t0
		type fate struct {
			Added
			missing map[messaging.DeviceID]bool
			gone    bool
		}
		all, online, next := map[ID]*fate{}, false, ID(1)
		flying := map[ID]bool{}
		check := func(ev Event) {
			switch ev.(type) {
			case Disconnected, Reset:
				clear(flying)
			}
			for _, e := range b.Step(now, ev) {
				switch e := e.(type) {
				case Send:
					f := all[e.ID]
					if !online || f.gone || !now.Before(f.Expires) || len(e.To) == 0 {
						t.Fatalf("sent %d: online %v gone %v", e.ID, online, f.gone)
					}
					for _, d := range e.To {
						if !f.missing[d] {
							t.Fatalf("%d sent to a device that has it", e.ID)
						}
					}
					if flying[e.ID] = true; len(flying) > 4 {
						t.Fatal("beyond the window")
					}
				case Drop:
					f := all[e.ID]
					if f.gone || e.Why == Delivered && len(f.missing) > 0 || e.Why == Expired && now.Before(f.Expires) {
						t.Fatalf("dropped %d: %v", e.ID, e.Why)
					}
					f.gone = true
					delete(flying, e.ID)
				}
			}
		}
		pick := func() ID { return ID(rapid.IntRange(1, int(max(1, next-1))).Draw(t, "id")) }
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 8).Draw(t, "what") {
			case 0, 1:
				a := Added{next, chat, messaging.MessageID{byte(next)}, []messaging.DeviceID{bob, carl}[:rapid.IntRange(1, 2).Draw(t, "to")], now.Add(time.Duration(rapid.IntRange(1, 7200).Draw(t, "ttl")) * time.Second)}
				f := &fate{Added: a, missing: map[messaging.DeviceID]bool{}}
				for _, d := range a.To {
					f.missing[d] = true
				}
				all[next] = f
				next++
				check(a)
			case 2:
				online = true
				check(Connected{})
			case 3:
				online = false
				check(Disconnected{})
			case 4:
				if id := pick(); flying[id] {
					delete(flying, id)
					check(Accepted{id})
				}
			case 5:
				if id := pick(); flying[id] {
					delete(flying, id)
					check(Refused{ID: id})
				}
			case 6:
				id, from := pick(), rapid.SampledFrom([]messaging.DeviceID{bob, carl}).Draw(t, "from")
				if f := all[id]; f != nil {
					delete(f.missing, from)
					check(Receipt{f.Chat, f.Message, from})
				}
			case 7:
				now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "pass")) * time.Second)
				for id := range flying { // an answer may have timed out
					delete(flying, id)
				}
				check(Tick{})
			case 8:
				check(Reset{})
			}
		}
		online = true
		check(Connected{})
		for n := 0; b.Len() > 0; n++ {
			if n > 1000 {
				t.Fatalf("%d messages never end", b.Len())
			}
			for id := range flying {
				delete(flying, id)
				check(Accepted{id})
			}
			if at := b.Next(); !at.IsZero() && at.After(now) {
				now = at
			}
			clear(flying)
			check(Tick{})
		}
		for id, f := range all {
			if !f.gone {
				t.Fatalf("%d was lost", id)
			}
		}
	})
}

// TestSameEventsSameEffects is what a seed of the simulation relies on.
func TestSameEventsSameEffects(t *testing.T) {
	run := func() (out []Effect) {
		r := rand.New(rand.NewPCG(1, 2))
		b, now := New(Config{Window: 8}), t0
		for i := range 500 {
			now = now.Add(time.Duration(r.IntN(5000)) * time.Millisecond)
			switch r.IntN(5) {
			case 0, 1:
				out = append(out, b.Step(now, added(ID(i+1), bob, carl))...)
			case 2:
				out = append(out, b.Step(now, Connected{})...)
			case 3:
				out = append(out, b.Step(now, Disconnected{})...)
			case 4:
				out = append(out, b.Step(now, Reset{})...)
			}
		}
		return out
	}
	first := run()
	for range 5 {
		if !reflect.DeepEqual(first, run()) {
			t.Fatal("two runs differ")
		}
	}
}

func BenchmarkStep(b *testing.B) {
	box := New(Config{})
	box.Step(t0, Connected{})
	for i := range 10_000 { // a receiver that is away
		box.Step(t0, Added{ID(i + 1), chat, messaging.MessageID{1, byte(i), byte(i >> 8)}, []messaging.DeviceID{carl}, t0.Add(time.Hour)})
		box.Step(t0, Accepted{ID(i + 1)})
	}
	id := ID(20_000)
	for b.Loop() {
		id++
		m := messaging.MessageID{2, byte(id), byte(id >> 8), byte(id >> 16)}
		box.Step(t0, Added{id, chat, m, []messaging.DeviceID{bob}, t0.Add(time.Hour)})
		box.Step(t0, Accepted{id})
		box.Step(t0, Receipt{chat, m, bob})
	}
}
