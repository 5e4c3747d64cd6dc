package interop

import (
	"fmt"
	"os"
	"strconv"
	"testing"
)

// histories plays random lives of groups with members of our core and of a peer: at least 200 epochs in sum.
func histories(t *testing.T, peer Implementation, suites []uint16, early bool) {
	const lives, epochs = 10, 24
	first, n := uint64(1), uint64(lives)
	if s := os.Getenv("PARLEY_INTEROP_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, n = seed, 1
	}
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			h := History{Seed: seed, Epochs: epochs, Suite: suites[seed%uint64(len(suites))], Private: seed/2%2 == 0, A: Ours, B: peer, Most: 6, EarlyB: early,
				Trace: t.Logf}
			if err := h.Run(); err != nil {
				t.Errorf("suite %d: %v\nagain with PARLEY_INTEROP_SEED=%d", h.Suite, err, seed)
			}
		})
	}
}

func TestHistoriesMLSGo(t *testing.T) { histories(t, MLSGo, MLSGo.Suites, false) }

// ts-mls refuses to join most trees that have seen several generations of unmerged leaves, so it joins early.
func TestHistoriesTSMLS(t *testing.T) { histories(t, tsmls(t), TSMLS.Suites, true) }

func TestHistoriesOpenMLS(t *testing.T) { histories(t, openmls(t), OpenMLS.Suites, false) }
