package sim

import (
	"os"
	"reflect"
	"strconv"
	"testing"
)

// seeds is how many worlds the tests play; PARLEY_SEEDS plays more.
func seeds(t *testing.T, n uint64) uint64 {
	if s := os.Getenv("PARLEY_SEEDS"); s != "" {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	return n
}

func TestSeeds(t *testing.T) {
	var total Counts
	for seed := range seeds(t, 200) {
		r := Run(Options{Seed: seed})
		if r.Violation != nil {
			t.Fatalf("seed %d: %v\nreplay: go run ./cmd/parley sim --seed %d", seed, r.Violation, seed)
		}
		total.add(r.Counts)
	}
	t.Logf("%+v", total)
	if total.Settled == 0 || total.Rejected == 0 || total.OpenWithCase == 0 || total.NotSent == 0 || total.Crashes == 0 || total.DiskErrors == 0 ||
		total.LostOnRail == 0 || total.Repeats == 0 || total.Disconnects == 0 || total.RelayFaults == 0 ||
		total.Enquiries == 0 || total.Resends == 0 || len(total.Rails) != len(kinds) {
		t.Errorf("something never happened, so nothing was tested by it: %+v", total)
	}
}

func TestSeedReplays(t *testing.T) {
	for seed := uint64(0); seed < 20; seed++ {
		a, b := Run(Options{Seed: seed}), Run(Options{Seed: seed})
		if a.Trace != b.Trace || !reflect.DeepEqual(a.Counts, b.Counts) {
			t.Fatalf("seed %d played twice differs: %x %x\n%+v\n%+v", seed, a.Trace, b.Trace, a.Counts, b.Counts)
		}
	}
}

func TestPlantedBugsAreCaught(t *testing.T) {
	for _, bug := range Bugs {
		t.Run(bug.Name, func(t *testing.T) {
			t.Parallel()
			r, tried := Catch(bug.Name, 3000)
			if r == nil {
				t.Fatalf("%s: not caught in %d seeds", bug.What, tried)
			}
			t.Logf("seed %d: %v", r.Seed, r.Violation)
		})
	}
}
