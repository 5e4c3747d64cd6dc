package sim

import (
	"os"
	"strconv"
	"testing"
)

// TestOne prints one seed: PARLEY_SEED=7 go test -run TestOne ./internal/sim
func TestOne(t *testing.T) {
	s := os.Getenv("PARLEY_SEED")
	if s == "" {
		t.Skip("PARLEY_SEED names no seed")
	}
	seed, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if r := Run(Options{Seed: seed, Bug: os.Getenv("PARLEY_BUG"), Trace: os.Stdout}); r.Violation != nil {
		t.Fatal(r.Violation)
	}
}
