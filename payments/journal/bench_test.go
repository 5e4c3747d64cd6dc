package journal_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/journal/journaltest"
)

// BenchmarkSteps measures durable steps in a closed loop: each client waits for its step before it makes the next. Every payment takes
// three steps (begun; authorised with three claims; submitting with ids, message, timer, limit and ledger entry).
func BenchmarkSteps(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			j := openSQLite(b, filepath.Join(b.TempDir(), "j.db"))
			var next, steps atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range clients {
				wg.Go(func() {
					for steps.Load() < int64(b.N) {
						k := journaltest.Key(int(next.Add(1)))
						for _, s := range []journal.Step{journaltest.Begin(k), journaltest.Authorise(k), journaltest.Submit(k)} {
							if err := j.Apply(b.Context(), s); err != nil {
								b.Error(err)
								return
							}
							steps.Add(1)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(steps.Load())/b.Elapsed().Seconds(), "steps/s")
		})
	}
}
