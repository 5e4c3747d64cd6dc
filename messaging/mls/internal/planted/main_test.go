package main

import (
	"testing"

	"github.com/parleypay/parley/internal/shared"
)

// A bug whose text is no longer there plants nothing.
func TestBugsCanBePlanted(t *testing.T) {
	dir, err := packageDir()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, b := range bugs {
		if names[b.Name] {
			t.Errorf("%s stands twice in the list", b.Name)
		}
		names[b.Name] = true
		if _, err := b.plant(dir); err != nil {
			t.Errorf("%s: %v", b.Name, err)
		}
	}
	if len(bugs) < 25 {
		t.Errorf("%d bugs, want at least 25", len(bugs))
	}
}

// Every planted bug makes the test fail that its entry names, and that test passes without it (the package's own run shows that).
func TestPlantedBugsAreCaught(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("compiles the package once for each bug: not with -short, and once is enough without the race detector")
	}
	shared.Path(t, "mls-vectors") // some bugs are found by vectors
	dir, err := packageDir()
	if err != nil {
		t.Fatal(err)
	}
	run(dir, bugs, 2, func(v verdict) {
		if v.err != nil {
			t.Errorf("%s: %v", v.bug.Name, v.err)
		}
	})
}
