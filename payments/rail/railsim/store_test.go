package railsim

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/sqlitedb"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail"
)

// A rail that is stopped without warning and started again between any two steps does what one that runs through does.
func TestStoreRestart(t *testing.T) {
	for name, r := range banksOf {
		t.Run(name, func(t *testing.T) {
			var want []string
			var wantEffects Effects
			for _, restart := range []bool{false, true} {
				clock := &manual{now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
				cfg := testConfig(name)
				cfg.Clock, cfg.KeepMax = clock, 20
				cfg.Store = filepath.Join(t.TempDir(), "rail.db")
				var b *bench
				start := func() {
					if b != nil && !restart {
						return
					}
					n := 0
					if b != nil {
						n = b.n
						b.sim.Close()
					}
					sim, err := New(cfg)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(sim.Close)
					b = &bench{t: t, name: name, sim: sim, p: sim.Profile(), n: n}
					b.debtor, b.creditor = must(sim.Transport(r.banks[0])), must(sim.Transport(r.banks[1]))
				}
				start()
				var got []string // everything both banks hear
				after, answered := [2]uint64{}, 0
				drain := func() {
					for i := range 2 {
						var ds batch
						if err := b.sim.locked(func(c *core, _ time.Time) { ds, _ = c.take(i, after[i], 100) }); err != nil {
							t.Fatal(err)
						}
						for _, d := range ds.deliveries {
							m, err := b.p.Decode(d.Wire, rail.FromService)
							if err != nil {
								got = append(got, fmt.Sprint(i, rail.Faults(err)[0].Rule))
								after[i] = d.Seq
								continue
							}
							switch {
							case m.Status != nil:
								got = append(got, fmt.Sprint(i, m.Status.Status, m.Status.Reason, m.Status.ReasonPrtry, m.Status.OriginalMessageID, m.Status.OriginalEndToEnd, clock.Now()))
							case m.Transfer.Amount.Minor != 3000: // 30.00 is never answered
								answered++
								b.mustSend([]rail.Transport{b.debtor, b.creditor}[i], must(b.p.NewAnswer(m, rail.AnswerInput{Participant: r.banks[i], Status: b.p.AnswerYes(), Suffix: fmt.Sprint(answered), Now: clock.Now()})))
							}
							start() // before the acknowledgement
							after[i] = d.Seq
						}
					}
				}
				var last *rail.Message
				for _, minor := range []int64{2000, 3000, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008, 2009} {
					now := func(in *rail.TransferInput) { in.Now = clock.Now() }
					last = b.transfer(minor, now)
					b.mustSend(b.debtor, last)
					start()
					drain()
					clock.Advance(300 * time.Millisecond)
					start()
				}
				for range 14 {
					clock.Advance(3 * time.Second)
					start()
					drain()
					if err := b.sim.core.check(); err != nil {
						t.Fatal(err)
					}
				}
				switch b.p.Recovery {
				case rail.Ask:
					b.mustSend(b.debtor, must(b.p.NewEnquiry(last.Transfer, r.banks[0], clock.Now(), "E")))
				case rail.ResendMarked:
					b.mustSend(b.debtor, must(b.p.Duplicate(last)))
				}
				start()
				drain()
				effects := b.sim.Effects("", "")
				if !restart {
					want, wantEffects = got, effects
					if len(want) < 20 {
						t.Fatalf("only %d messages", len(want))
					}
					continue
				}
				if !slices.Equal(got, want) {
					t.Errorf("with restarts\n%s\nwithout\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				for i := range effects.Positions {
					effects.Positions[i].Waiting, wantEffects.Positions[i].Waiting = 0, 0
				}
				if !reflect.DeepEqual(effects, wantEffects) {
					t.Errorf("effects %+v\nwant %+v", effects, wantEffects)
				}
			}
		})
	}
}

func TestStoreRefuses(t *testing.T) {
	cfg := testConfig("fednow")
	cfg.Store = filepath.Join(t.TempDir(), "rail.db")
	sim := must(New(cfg))
	if _, err := New(cfg); !errors.Is(err, sqlitedb.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	sim.Close()
	sim.Close()
	other := testConfig("sctinst")
	other.Store = cfg.Store
	if _, err := New(other); err == nil || !strings.Contains(err.Error(), "rail fednow") {
		t.Errorf("another rail's file: %v", err)
	}
	fewer := cfg
	fewer.Participants = cfg.Participants[:1]
	sim = must(New(cfg)) // writes nothing yet, so move some money first
	tr := must(sim.Transport("021040078"))
	b := &bench{t: t, name: "fednow", sim: sim, p: sim.Profile()}
	b.mustSend(tr, b.transfer(2000, func(in *rail.TransferInput) { in.Creditor.Agent = b.p.Agent("121000248") }))
	sim.Close()
	if _, err := New(fewer); err == nil || !strings.Contains(err.Error(), "091000019") {
		t.Errorf("a bank with money is gone: %v", err)
	}
	if err := tr.Send(t.Context(), must(b.p.Encode(b.transfer(2000, nil)))); err == nil {
		t.Error("a closed rail takes a payment")
	}
}

// A store that fails stops the rail: what it took last is unknown to the sender, and nothing more is taken.
func TestStoreFails(t *testing.T) {
	cfg := testConfig("fednow")
	cfg.Store = filepath.Join(t.TempDir(), "rail.db")
	b := newBench(t, "fednow", func(c *Config) { *c = cfg })
	b.sim.store.db.Close()
	for _, want := range []payments.Outcome{payments.OutcomeUnknown, payments.OutcomeNotSent} {
		var se *rail.SendError
		if err := b.send(b.debtor, b.transfer(2000, nil)); !errors.As(err, &se) || se.Outcome != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if _, err := b.creditor.Receive(t.Context(), 0, 1); err == nil {
		t.Error("messages of a step that may be lost are delivered")
	}
}
