package connector_test

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/rail/railsim"
)

// BenchmarkPayments runs whole payments, check and mandate included, through two banks with SQLite journals and core banks and the
// simulated rail in one process, 64 in flight, without a chat's encryption.
func BenchmarkPayments(b *testing.B) {
	settled := make(chan string, 4096)
	w := newWorld(b, "fednow", options{
		sim: func(c *railsim.Config) { c.MagicAmounts = false },
		openBank: func(name string) journal.Journal {
			return must(journal.OpenSQLite(filepath.Join(b.TempDir(), name+"-journal.db")))
		},
		bank: func(name string, c *connector.Config) {
			c.Trace = nil
			if name == "payer-bank" {
				c.Trace = func(e trace.Event) {
					if e.Event == "settled" {
						settled <- e.Intent
					}
				}
			}
			c.Chat = discard{c.Chat}
		},
	})
	type order struct {
		id   payments.IntentID
		body []byte
	}
	checks := make([]order, b.N)
	requests := make([][]byte, b.N)
	for i := range checks {
		r, jws := w.request(1, func(r *intent.Request) { r.Expires = time.Now().Add(time.Hour) })
		checks[i] = order{r.Intent, must(intent.Check{Request: jws, DebtorAccount: w.payer.account}.Encode())}
		requests[i] = jws
	}
	done := map[string]chan struct{}{}
	for _, c := range checks {
		done[string(c.id)] = make(chan struct{})
	}
	go func() {
		for id := range settled {
			if c := done[id]; c != nil {
				close(c)
			}
		}
	}()
	defer close(settled)
	var next atomic.Int64
	var wait sync.WaitGroup
	var mu sync.Mutex
	say := func(media string, body []byte) {
		mu.Lock()
		in := w.payer.message(media, body)
		mu.Unlock()
		if err := w.payerBank.engine.HandleChat(context.Background(), in); err != nil {
			b.Error(err)
		}
	}
	b.ResetTimer()
	for range 64 {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				say(intent.MediaCheck, checks[i].body)
				p := w.state(w.payerBank, checks[i].id, "debtor")
				check := intent.PayeeCheck{Intent: p.Intent, RequestHash: intent.Hash(p.RequestHash), Result: p.Check.Result, Ref: p.Check.Ref, At: p.Check.At,
					Nonce: p.Nonce, Audience: "payer-bank", Expires: p.Check.Expires}
				say(intent.MediaMandate, w.approve(requests[i], check, nil))
				<-done[string(checks[i].id)]
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "payments/s")
}

// discard drops receipts, so that memory does not grow with b.N.
type discard struct{ connector.Chat }

func (d discard) Send(ctx context.Context, to, key, mediaType string, body []byte, fallback string) error {
	if mediaType == intent.MediaEnrolment {
		return d.Chat.Send(ctx, to, key, mediaType, body, fallback)
	}
	return nil
}
