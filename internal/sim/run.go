package sim

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Many plays seeds from first on, n of them, on all cores. It returns what happened in all, and the violating result with the lowest
// seed among those found, if any.
func Many(first, n uint64, payments int) (Counts, *Result) {
	var (
		next  atomic.Uint64
		stop  atomic.Bool
		mu    sync.Mutex // guards total and bad
		total Counts
		bad   *Result
		wg    sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for !stop.Load() {
				i := next.Add(1) - 1
				if i >= n {
					return
				}
				r := Run(Options{Seed: first + i, Payments: payments})
				mu.Lock()
				total.add(r.Counts)
				if r.Violation != nil && (bad == nil || r.Seed < bad.Seed) {
					bad = &r
					stop.Store(true)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return total, bad
}

// Catch plants a bug and plays seeds until an invariant breaks. It returns nil if none of the seeds breaks one.
func Catch(bug string, seeds uint64) (r *Result, tried uint64) {
	for seed := range seeds {
		if r := Run(Options{Seed: seed, Bug: bug}); r.Violation != nil {
			return &r, seed + 1
		}
	}
	return nil, seeds
}
