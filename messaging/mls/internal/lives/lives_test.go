package main

import (
	"flag"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	lives = flag.Int("lives", 240, "number of lives")
	first = flag.Uint64("lifeseed", 1, "seed of the first")
)

func TestLives(t *testing.T) {
	var next atomic.Int64
	var mu sync.Mutex // guards sum
	var sum result
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(*lives); i = next.Add(1) - 1 {
				r := live(*first+uint64(i), 45)
				if r.err != nil {
					t.Errorf("life %d: %v", *first+uint64(i), r.err)
				}
				mu.Lock()
				sum.add(r)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	t.Log(sum)
	if *lives >= 200 && (sum.crashes < 300 || sum.max < 12 || sum.opened < 2000 || sum.epochs < 1500) {
		t.Error("the lives are too quiet to prove anything")
	}
}

// A life is the same each time: that is what a seed is for. Keys and ciphertexts differ.
func TestLifeReplays(t *testing.T) {
	for seed := uint64(1); seed < 8; seed++ {
		a, b := live(seed, 45), live(seed, 45)
		if len(a.log) != len(b.log) {
			t.Fatalf("seed %d: %d and %d things happened", seed, len(a.log), len(b.log))
		}
		for i := range a.log {
			if a.log[i] != b.log[i] {
				t.Fatalf("seed %d: %q and %q", seed, a.log[i], b.log[i])
			}
		}
	}
}
