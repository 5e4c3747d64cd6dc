package journal_test

import (
	"path/filepath"
	"testing"

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
