package journal_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/parleypay/parley/internal/sqlitedb"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/journal/journaltest"
)

func TestMemoryConforms(t *testing.T) {
	journaltest.Run(t, func(*testing.T) journal.Journal { return journal.NewMemory() })
}

func TestSQLiteConforms(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) journal.Journal { return openSQLite(t, filepath.Join(t.TempDir(), "j.db")) })
}

func openSQLite(t testing.TB, path string) *journal.SQLite {
	t.Helper()
	j, err := journal.OpenSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestSQLiteClosed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j.db")
	j := openSQLite(t, path)
	if _, err := journal.OpenSQLite(path); !errors.Is(err, sqlitedb.ErrLocked) {
		t.Errorf("second opener: %v", err)
	}
	fill(t, j)
	head, err := j.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Apply(t.Context(), journaltest.Begin(journaltest.Key(99))); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("step on a closed journal: %v", err)
	}
	if _, err := j.Payment(t.Context(), journaltest.Key(1)); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("read of a closed journal: %v", err)
	}
	j = openSQLite(t, path)
	if err := j.Verify(t.Context(), head); err != nil {
		t.Errorf("opened again: %v", err)
	}
	if err := j.Apply(t.Context(), journaltest.Begin(journaltest.Key(99))); err != nil {
		t.Errorf("step after opening again: %v", err)
	}
	if err := j.Verify(t.Context(), head); err != nil {
		t.Errorf("a step later: %v", err)
	}
}

// TestBothRecordTheSame gives the same steps to both: the chains must be equal, so that what the simulation proves holds for SQLite.
func TestBothRecordTheSame(t *testing.T) {
	t.Parallel()
	m, s := journal.NewMemory(), openSQLite(t, filepath.Join(t.TempDir(), "j.db"))
	fill(t, m)
	fill(t, s)
	a, err := m.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a != b || a.Pos == 0 {
		t.Errorf("memory stands at %d %x, SQLite at %d %x", a.Pos, a.Hash, b.Pos, b.Hash)
	}
	if err := s.Verify(t.Context(), a); err != nil {
		t.Error(err)
	}
}
