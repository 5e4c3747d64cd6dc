package connector_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
)

// breaker is a journal whose machine dies at the n-th write: before it is recorded, or after it and before anybody is told.
type breaker struct {
	*journal.Memory
	mu       sync.Mutex
	writes   int
	at       int                     // 0 = never
	when     func(journal.Step) bool // or at the first write of which this is true
	recorded bool
}

func (b *breaker) Apply(ctx context.Context, s journal.Step) error {
	b.mu.Lock()
	b.writes++
	if b.writes == b.at || b.when != nil && b.when(s) {
		b.when = nil
		b.Memory.Break(b.recorded)
	}
	b.mu.Unlock()
	return b.Memory.Apply(ctx, s)
}

// arm makes the n-th write from now the last.
func (b *breaker) arm(n int, recorded bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writes, b.at, b.recorded = 0, n, recorded
}

// crashWorld is a world whose banks come back after each death.
type crashWorld struct {
	*world
	dead    *breaker
	bank    *bank
	revived int
}

func newCrashWorld(t *testing.T, railName, dying string) *crashWorld {
	breakers := map[string]*breaker{}
	w := newWorld(t, railName, options{openBank: func(name string) journal.Journal {
		breakers[name] = &breaker{Memory: journal.NewMemory()}
		return breakers[name]
	}})
	c := &crashWorld{world: w, dead: breakers[dying], bank: w.payerBank}
	if dying == "shop-bank" {
		c.bank = w.shopBank
	}
	return c
}

// revive starts the bank again if it has died.
func (c *crashWorld) revive() {
	select {
	case err := <-c.bank.ended:
		if !errors.Is(err, journal.ErrBroken) {
			c.t.Fatalf("the bank ended with %v", err)
		}
	default:
		return
	}
	c.revived++
	c.bank.stop()
	c.dead.arm(0, false)
	c.dead.Crash(c.dead.Applied())
	c.bank.start()
}

// deliver gives a message to the bank as the customer's device does: again and again until it is taken.
func (c *crashWorld) deliver(to *customer, mediaType string, body []byte) {
	in := to.message(mediaType, body)
	for range 1000 {
		if err := to.bank.engine.HandleChat(context.Background(), in); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
		c.revive()
	}
	c.t.Fatal("message is never taken")
}

// TestCrashBetweenAnyTwoWrites kills one bank at each durable write of a payment in turn, and expects that after the restart the
// payment ends with one effect on the rail, or with none and a case.
func TestCrashBetweenAnyTwoWrites(t *testing.T) {
	t.Parallel()
	for _, run := range []struct{ rail, bank string }{{"fednow", "payer-bank"}, {"fednow", "shop-bank"}, {"sctinst", "payer-bank"},
		{"rtp", "payer-bank"}, {"rtp", "shop-bank"}, {"pix", "payer-bank"}} {
		for _, recorded := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%s/recorded=%t", run.rail, run.bank, recorded), func(t *testing.T) {
				t.Parallel()
				died, settled, unresolved := 0, 0, 0
				for n, goOn := 1, true; goOn; n++ {
					synctest.Test(t, func(t *testing.T) {
						c := newCrashWorld(t, run.rail, run.bank)
						c.quiet()
						c.dead.arm(n, recorded)
						id := c.payOnce()
						died += c.revived
						goOn = c.revived > 0 // else the payment needs fewer writes than that
						switch c.judge(id, fmt.Sprintf("write %d", n)) {
						case lifecycle.Settled:
							settled++
						case lifecycle.Unknown:
							unresolved++
						}
					})
				}
				if died < 4 || settled < died/2 {
					t.Errorf("%d deaths, %d settled, %d unresolved", died, settled, unresolved)
				}
				if crashed := run.bank == "payer-bank" && recorded; unresolved > 0 && !crashed {
					t.Errorf("%d unresolved", unresolved)
				}
				if run.bank != "payer-bank" {
					return
				}
				// A crash right after "submitting" is durable leaves a transfer of which nobody knows whether it left: here it did not, and
				// the only right end is a person who looks, but where the rail knows the ids and takes the transfer again.
				synctest.Test(t, func(t *testing.T) {
					c := newCrashWorld(t, run.rail, run.bank)
					c.quiet()
					c.dead.mu.Lock()
					c.dead.recorded = recorded
					c.dead.when = func(s journal.Step) bool {
						return slices.ContainsFunc(s.Events, func(e journal.Draft) bool { return e.To == lifecycle.Submitting && e.From != e.To })
					}
					c.dead.mu.Unlock()
					want := lifecycle.Settled
					if recorded && run.rail != "rtp" {
						want = lifecycle.Unknown
					}
					if got := c.judge(c.payOnce(), "submitting"); got != want || c.revived != 1 {
						t.Errorf("died at submitting: %s, want %s", got, want)
					}
				})
			})
		}
	}
}

// payOnce pays once, with restarts as needed, and waits until nothing happens any more.
func (c *crashWorld) payOnce() payments.IntentID {
	r, jws := c.request(31_00, nil)
	c.deliver(c.payer, intent.MediaCheck, must(intent.Check{Request: jws, DebtorAccount: c.payer.account}.Encode()))
	var check intent.PayeeCheck
	for range 3000 {
		c.revive()
		if bodies := c.payerBank.chats.to(c.payer.chat, intent.MediaPayeeCheck); len(bodies) > 0 {
			check = must(intent.VerifyPayeeCheck(bodies[len(bodies)-1], c.bankKey(c.payerBank)))
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.deliver(c.payer, intent.MediaMandate, c.approve(jws, check, nil))
	for range 1200 { // five minutes
		c.revive()
		time.Sleep(250 * time.Millisecond)
	}
	c.revive()
	return r.Intent
}

// judge compares what the banks believe with what the rail did.
func (c *crashWorld) judge(id payments.IntentID, what string) lifecycle.State {
	p := c.state(c.payerBank, id, lifecycle.Debtor)
	messages, executions := c.executions(id)
	payer, held, shop := c.balances()
	notices := c.credited(id)
	switch p.State {
	case lifecycle.Settled:
		if messages != 1 || executions != 1 || shop != opening+31_00 || notices != 1 || held != 0 {
			c.t.Errorf("%s: settled: %d messages, %d executions, shop has %d, %d notices, held %d", what, messages, executions, shop, notices, held)
		}
		if p.Restored.IsZero() && payer != opening-31_00 {
			c.t.Errorf("%s: settled, payer has %d", what, payer)
		}
	case lifecycle.Rejected:
		if executions != 0 || shop != opening || payer != opening || held != 0 || notices != 0 {
			c.t.Errorf("%s: rejected: %d executions, payer has %d, held %d, shop %d, %d notices", what, executions, payer, held, shop, notices)
		}
	case lifecycle.Unknown:
		if messages != 0 || executions != 0 || len(c.cases(c.payerBank)) == 0 {
			c.t.Errorf("%s: unknown: %d messages, %d executions, cases %v", what, messages, executions, c.cases(c.payerBank))
		}
	default:
		c.t.Errorf("%s: ends %s (%s)", what, p.State, p.Reason)
	}
	if got := c.receipts(id); len(got) == 0 || got[len(got)-1].Status != intent.Status(p.State) {
		c.t.Errorf("%s: %s, receipts: %s", what, p.State, statuses(got))
	}
	c.audit()
	return p.State
}

// A bank that is stopped in the orderly way at any moment finishes what is under way and goes on after its restart.
func TestStopAtAnyMoment(t *testing.T) {
	t.Parallel()
	for name := range rails {
		for pause := time.Duration(0); pause < 60*time.Millisecond; pause += 7 * time.Millisecond {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, name, options{bank: func(_ string, c *connector.Config) { c.Chat = slowChat{c.Chat} }})
				id := w.pay(31_00)
				time.Sleep(pause)
				for _, b := range []*bank{w.payerBank, w.shopBank} {
					if err := b.end(); err != nil {
						t.Fatal(err)
					}
					if err := b.engine.HandleChat(context.Background(), connector.Inbound{MediaType: intent.MediaCheck}); !errors.Is(err, connector.ErrStopped) {
						t.Errorf("after the end: %v", err)
					}
					b.start()
				}
				w.ends(id, lifecycle.Settled)
				w.until("credited", func() bool { return w.credited(id) == 1 })
				if m, n := w.executions(id); m != 1 || n != 1 {
					t.Errorf("after %v: %d messages, %d executions", pause, m, n)
				}
				w.audit()
			})
		}
	}
}

type slowChat struct{ connector.Chat }

func (s slowChat) Send(ctx context.Context, to, key, mediaType string, body []byte, fallback string) error {
	time.Sleep(11 * time.Millisecond)
	return s.Chat.Send(ctx, to, key, mediaType, body, fallback)
}
