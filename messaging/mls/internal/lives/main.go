// Command lives runs seeded lives of groups: clients that add, remove, update, join from outside, come back, inject keys, close and
// continue groups, commit at the same time and write, over a delivery service that loses, doubles and reorders messages, and with
// stores that crash between any two writes. After each epoch all its members must agree, and no message may be lost or opened twice.
//
//	go run ./messaging/mls/internal/lives -n 10000
//
// A life that breaks a promise is told by its seed, and replays with -seed and -n 1.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	n := flag.Int("n", 1000, "number of lives")
	seed := flag.Uint64("seed", 1, "seed of the first; the next have the next numbers")
	steps := flag.Int("steps", 45, "steps of each life before everybody catches up")
	verbose := flag.Bool("v", false, "print what happens")
	workers := flag.Int("p", runtime.GOMAXPROCS(0), "lives at a time")
	flag.Parse()
	began := time.Now()
	var next, failed atomic.Int64
	var mu sync.Mutex // guards sum
	var sum result
	var group sync.WaitGroup
	for range *workers {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(*n); i = next.Add(1) - 1 {
				r := live(*seed+uint64(i), *steps)
				if *verbose {
					for _, line := range r.log {
						fmt.Println(line)
					}
				}
				if r.err != nil {
					failed.Add(1)
					fmt.Printf("life %d: %v\n", *seed+uint64(i), r.err)
				}
				mu.Lock()
				sum.add(r)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	fmt.Printf("%d lives, %d violations: %v; %.1f s\n", *n, failed.Load(), sum, time.Since(began).Seconds())
	if failed.Load() > 0 {
		os.Exit(1)
	}
}
