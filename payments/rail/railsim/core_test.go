package railsim

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"

	"pgregory.net/rapid"
)

// manual is a clock that a test moves. Its timers fire in Advance, in order.
type manual struct {
	mu     sync.Mutex
	now    time.Time
	timers []*manualTimer
}

type manualTimer struct {
	at   time.Time
	f    func()
	dead bool
}

func (m *manual) Now() time.Time { m.mu.Lock(); defer m.mu.Unlock(); return m.now }

func (m *manual) AfterFunc(d time.Duration, f func()) func() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &manualTimer{at: m.now.Add(d), f: f}
	m.timers = append(m.timers, t)
	return func() bool { m.mu.Lock(); defer m.mu.Unlock(); was := !t.dead; t.dead = true; return was }
}

func (m *manual) Advance(d time.Duration) {
	m.mu.Lock()
	end := m.now.Add(d)
	for {
		m.timers = slices.DeleteFunc(m.timers, func(t *manualTimer) bool { return t.dead })
		var next *manualTimer
		for _, t := range m.timers {
			if !t.at.After(end) && (next == nil || t.at.Before(next.at)) {
				next = t
			}
		}
		if next == nil {
			break
		}
		next.dead = true
		m.now = next.at
		m.mu.Unlock()
		next.f()
		m.mu.Lock()
	}
	m.now = end
	m.mu.Unlock()
}

// check verifies what always holds: the positions sum to what was prefunded, none is below zero, what is reserved is what open
// payments set aside, and each payment moved at most once.
func (c *core) check() error {
	var sum int64
	reserved := make([]int64, len(c.members))
	for _, p := range c.payments {
		if p.reserved {
			reserved[p.debtor] += p.m.Transfer.Amount.Minor
		}
		switch {
		case p.executions > 1, p.executions == 1 && p.state != stateSettled, p.executions == 0 && p.state == stateSettled:
			return fmt.Errorf("payment %d %s moved %d times", p.id, p.state, p.executions)
		case p.reserved != (p.state == stateOpen):
			return fmt.Errorf("payment %d %s, reserved %v", p.id, p.state, p.reserved)
		case p.returned && p.executions == 0:
			return fmt.Errorf("payment %d came back without having gone", p.id)
		}
	}
	for i := range c.members {
		m := &c.members[i]
		sum += m.available + m.reserved
		if m.available < 0 || m.reserved != reserved[i] {
			return fmt.Errorf("member %d: %d available, %d reserved, %d expected", i, m.available, m.reserved, reserved[i])
		}
		for j := 1; j < len(m.queue); j++ {
			if m.queue[j].Seq <= m.queue[j-1].Seq {
				return fmt.Errorf("member %d: sequence falls", i)
			}
		}
	}
	if sum != c.set.total {
		return fmt.Errorf("positions sum to %d, prefunded %d", sum, c.set.total)
	}
	return nil
}

// Whatever banks send, in whatever order, and however the rail misbehaves, no money is made or lost.
func TestConservation(t *testing.T) {
	for name, r := range banksOf {
		var actions []string
		for a := range Actions {
			if a != "block" || name != "rtp" && name != "pix" { // they know no BLCK
				actions = append(actions, a)
			}
		}
		slices.Sort(actions)
		t.Run(name, func(t *testing.T) {
			certs := t.TempDir()
			rapid.Check(t, func(rt *rapid.T) {
				clock := &manual{now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
				cfg := testConfig(name)
				cfg.Clock, cfg.KeepMax = clock, rapid.SampledFrom([]int{0, 5}).Draw(rt, "keep")
				cfg.Participants[1].Prefunded, cfg.TLSDir = "30.00", certs
				cfg.Deduplicate = rapid.Bool().Draw(rt, "deduplicate")
				for range rapid.IntRange(0, 4).Draw(rt, "rules") {
					cfg.Rules = append(cfg.Rules, Rule{Times: rapid.IntRange(0, 2).Draw(rt, "times"), Continue: rapid.Bool().Draw(rt, "continue"), Action: Action{
						Do: rapid.SampledFrom(actions).Draw(rt, "do"), Then: rapid.SampledFrom([]string{"settle", "reject"}).Draw(rt, "then"),
						DeliverAfter: time.Duration(rapid.IntRange(0, 5).Draw(rt, "deliver")) * time.Second,
					}})
				}
				sim, err := New(cfg)
				if err != nil {
					rt.Fatal(err)
				}
				defer sim.Close()
				p := sim.Profile()
				n := 0
				var sent []*rail.Message     // pacs.008
				seen := [3][]*rail.Message{} // delivered to each bank
				var after [3]uint64
				submit := func(from int, m *rail.Message) {
					wire, err := p.Encode(m)
					if err != nil {
						rt.Fatal(err)
					}
					_ = sim.submit(from, wire) // any answer is right as long as the books are
				}
				rt.Repeat(map[string]func(*rapid.T){
					"pay": func(rt *rapid.T) {
						n++
						from, to := rapid.IntRange(0, 1).Draw(rt, "from"), rapid.IntRange(0, 2).Draw(rt, "to")
						account := must(payments.ParseAccount(r.debtor))
						intent := payments.IntentID(fmt.Sprintf("pi_019ab3c0-1111-7222-8333-%012d", n))
						m := must(p.NewTransfer(rail.TransferInput{
							EndToEndID: intent.EndToEndID(), UETR: payments.NewUETR(intent, "t"), Amount: payments.Amount{Minor: rapid.Int64Range(1, 5000).Draw(rt, "minor"), Currency: p.Currency},
							Debtor:      iso20022.Party{Name: must(payments.ParseName("Example")), Account: account, Agent: p.Agent(r.banks[from])},
							Creditor:    iso20022.Party{Name: must(payments.ParseName("Example")), Account: account, Agent: p.Agent(r.banks[to])},
							Participant: r.banks[from], Suffix: fmt.Sprint(n), Now: clock.Now(),
						}))
						sent = append(sent, m)
						submit(from, m)
					},
					"pay again": func(rt *rapid.T) {
						if len(sent) > 0 {
							m := rapid.SampledFrom(sent).Draw(rt, "which")
							submit(sim.set.byID[m.Header.From], m)
						}
					},
					"answer": func(rt *rapid.T) {
						i := rapid.IntRange(0, 1).Draw(rt, "bank")
						if len(seen[i]) == 0 {
							return
						}
						n++
						in := rail.AnswerInput{Participant: r.banks[i], Suffix: fmt.Sprint(n), Now: clock.Now(), Status: rapid.SampledFrom(p.ParticipantStatus).Draw(rt, "status")}
						if in.Status == "RJCT" {
							in.Reason = "AC04"
						}
						submit(i, must(p.NewAnswer(rapid.SampledFrom(seen[i]).Draw(rt, "which"), in)))
					},
					"ask": func(rt *rapid.T) {
						if len(sent) == 0 {
							return
						}
						n++
						m := rapid.SampledFrom(sent).Draw(rt, "which")
						if q, err := p.NewEnquiry(m.Transfer, m.Header.From, clock.Now(), fmt.Sprint(n)); err == nil {
							submit(sim.set.byID[m.Header.From], q)
						}
					},
					"receive": func(rt *rapid.T) {
						i := rapid.IntRange(0, 1).Draw(rt, "bank")
						b, _ := sim.core.take(i, after[i], 10)
						ds := b.deliveries
						for _, d := range ds {
							if m, err := p.Decode(d.Wire, rail.FromService); err == nil && m.Transfer != nil {
								seen[i] = append(seen[i], m)
							}
						}
						if len(ds) > 0 && rapid.Bool().Draw(rt, "ack") {
							after[i] = ds[len(ds)-1].Seq
						}
					},
					"wait": func(rt *rapid.T) {
						clock.Advance(time.Duration(rapid.IntRange(0, 30_000).Draw(rt, "ms")) * time.Millisecond)
					},
					"": func(rt *rapid.T) {
						if err := sim.core.check(); err != nil {
							rt.Fatal(err)
						}
					},
				})
				// In the end nothing stays open, unless a silence lasts for ever, which no rule here does.
				clock.Advance(time.Hour)
				if err := sim.core.check(); err != nil {
					rt.Fatal(err)
				}
				if open := sim.open(); open != 0 {
					rt.Fatalf("%d payments stay open", open)
				}
			})
		})
	}
}

// The check itself notices money that appears.
func TestCheckHasTeeth(t *testing.T) {
	b := newBench(t, "fednow", nil)
	b.mustSend(b.debtor, b.transfer(2000, nil))
	if err := b.sim.core.check(); err != nil {
		t.Fatal(err)
	}
	b.sim.core.members[1].available++
	if b.sim.core.check() == nil {
		t.Error("a cent too much goes unnoticed")
	}
	b.sim.core.members[1].available--
	for _, p := range b.sim.core.payments {
		p.executions = 2
	}
	if b.sim.core.check() == nil {
		t.Error("a double payment goes unnoticed")
	}
}

// The messages without a type of their own are valid by the ISO schemas, where xmllint is installed.
// What the rail sends beside the three messages passes its own profile, the schema included.
func TestForeignMessagesValid(t *testing.T) {
	for name := range banksOf {
		clock := &manual{now: time.Date(2026, 11, 23, 9, 0, 0, 500_000_000, time.UTC)}
		n := 0
		var b *bench
		b = newBench(t, name, func(c *Config) {
			c.Clock = clock
			c.Archive = func(d Document) {
				if d.Dir == rail.FromService && d.MsgDef != rail.MsgTransfer && d.MsgDef != rail.MsgStatus {
					n++
				}
				if v := must(b.p.Check(d.Wire)); !v.Valid() || v.Direction != d.Dir {
					t.Errorf("%s %s: %+v", name, d.MsgDef, v)
				}
			}
		})
		now := func(in *rail.TransferInput) {
			in.Now, in.Creditor.Agent = clock.Now(), b.p.Agent(banksOf[name].banks[2])
		}
		b.mustSend(b.debtor, b.transfer(2009, now))
		clock.Advance(time.Minute)
		if err := b.send(b.debtor, b.transfer(2010, now)); err == nil {
			t.Error("the rail should be down")
		}
		clock.Advance(time.Minute)
		// One return, and two announcements to three banks: on RTP the return is a transfer, on Pix nothing is announced.
		if want := map[string]int{"fednow": 7, "sctinst": 7, "rtp": 6, "pix": 1}[name]; n != want {
			t.Errorf("%s: %d messages, want %d", name, n, want)
		}
	}
}
