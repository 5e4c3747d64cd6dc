package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/parleypay/parley/internal/sim"
)

// simCommand plays seeded worlds of the parts that decide, and checks the invariants of docs/payments.md at every step.
func simCommand(args []string, _ io.Reader, out, errs io.Writer) int {
	fs := flag.NewFlagSet("sim", flag.ContinueOnError)
	seeds := fs.Uint64("seeds", 1000, "how many worlds to play")
	first := fs.Uint64("first", 0, "the first seed")
	one := fs.Int64("seed", -1, "play this seed alone and print everything that happens in it")
	payments := fs.Int("payments", 8, "payments in each world")
	bug := fs.String("bug", "", "plant this bug (with --seed, or to search for the first seed that shows it)")
	bugs := fs.Bool("bugs", false, "plant each known bug in turn and show the invariant that catches it")
	if code := parse(fs, args, errs); code >= 0 {
		return code
	}
	if *bug != "" && !known(*bug) {
		fmt.Fprintf(errs, "parley sim: no planted bug is called %q; parley sim --bugs lists them\n", *bug)
		return exitUsage
	}
	switch {
	case *one >= 0:
		r := sim.Run(sim.Options{Seed: uint64(*one), Payments: *payments, Bug: *bug, Trace: out})
		fmt.Fprintf(out, "trace %016x\n", r.Trace)
		if r.Violation != nil {
			fmt.Fprintf(errs, "parley sim: seed %d: %v\n", r.Seed, r.Violation)
			return exitFailed
		}
		return exitOK
	case *bugs || *bug != "":
		return plant(*bug, *seeds, out, errs)
	}
	began := time.Now()
	total, bad := sim.Many(*first, *seeds, *payments)
	if bad != nil {
		fmt.Fprintf(errs, "parley sim: seed %d: %v\nreplay: parley sim --seed %d --payments %d\n", bad.Seed, bad.Violation, bad.Seed, *payments)
		return exitFailed
	}
	counts, err := json.Marshal(total)
	if err != nil {
		fmt.Fprintf(errs, "parley sim: %v\n", err)
		return exitFailed
	}
	fmt.Fprintf(out, "%s\n%d seeds, 0 violations, in %v on %d cores\n", counts, *seeds, time.Since(began).Round(time.Second), runtime.NumCPU())
	return exitOK
}

func known(bug string) bool {
	for _, b := range sim.Bugs {
		if b.Name == bug {
			return true
		}
	}
	return false
}

// plant shows for each planted bug, or for one, the first seed and the invariant that catch it.
func plant(only string, seeds uint64, out, errs io.Writer) int {
	caught, tried := 0, 0
	for _, b := range sim.Bugs {
		if only != "" && b.Name != only {
			continue
		}
		tried++
		r, n := sim.Catch(b.Name, max(seeds, 1000))
		if r == nil {
			fmt.Fprintf(errs, "NOT CAUGHT in %d seeds: %s (%s)\n", n, b.Name, b.What)
			continue
		}
		caught++
		fmt.Fprintf(out, "%-30s seed %-5d %s\n    %s\n", b.Name, r.Seed, r.Violation.Invariant, b.What)
	}
	fmt.Fprintf(out, "%d of %d planted bugs caught\n", caught, tried)
	if caught != tried {
		return exitFailed
	}
	return exitOK
}
