package journal_test

import (
	"errors"
	"testing"
	"time"

	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
)

var key = journal.Key{Intent: "pi_0190a5a0-0000-7000-8000-000000000001", Side: lifecycle.Debtor}

func begin(at time.Time) journal.Step {
	return journal.Step{At: at, Key: key, State: []byte("{}"), Events: []journal.Draft{
		{Type: "intent.created", To: lifecycle.Created, EvidenceKind: "request"},
	}}
}

func TestMemoryCrashKeepsAPrefix(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	m := journal.NewMemory()
	if err := m.Apply(t.Context(), begin(now)); err != nil {
		t.Fatal(err)
	}
	next := journal.Step{At: now.Add(time.Second), Key: key, ExpectedSeq: 1, Events: []journal.Draft{
		{Type: "intent.presented", From: lifecycle.Created, To: lifecycle.Presented, EvidenceKind: "receipt"},
	}}
	if err := m.Apply(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	m.Crash(1)
	r, err := m.Payment(t.Context(), key)
	if err != nil || r.Seq != 1 || r.Status != lifecycle.Created || m.Applied() != 1 {
		t.Fatalf("after losing the second step: %+v, %v", r, err)
	}
	if err := m.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, recorded := range []bool{false, true} {
		m.Break(recorded)
		if err := m.Apply(t.Context(), next); !errors.Is(err, journal.ErrBroken) {
			t.Fatalf("step on a broken journal: %v", err)
		}
		if _, err := m.Payment(t.Context(), key); !errors.Is(err, journal.ErrBroken) {
			t.Fatalf("read on a broken journal: %v", err)
		}
		m.Crash(m.Applied())
		r, err := m.Payment(t.Context(), key)
		if want := map[bool]uint64{false: 1, true: 2}[recorded]; err != nil || r.Seq != want {
			t.Fatalf("recorded=%v: seq %d, %v, want %d", recorded, r.Seq, err, want)
		}
	}
}
