package sqlitedb

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
)

const schema = `CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v TEXT NOT NULL) STRICT`

func open(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(path, schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func count(t *testing.T, db *DB) (n int) {
	t.Helper()
	err := db.View(context.Background(), func(tx *Tx) error { return tx.QueryRow("SELECT count(*) FROM t", nil, &n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFailedClosureUndoesOnlyItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path)
	boom := errors.New("boom")
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			err := db.Update(context.Background(), func(tx *Tx) error {
				if _, err := tx.Exec("INSERT INTO t VALUES (?, 'x')", i); err != nil {
					return err
				}
				switch i % 4 {
				case 1:
					return boom
				case 2:
					panic("planted")
				}
				return nil
			})
			if failed := i%4 == 1 || i%4 == 2; failed != (err != nil) {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := count(t, db); n != 100 {
		t.Fatalf("%d rows, want 100", n)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, open(t, path)); n != 100 {
		t.Fatalf("%d rows after reopening, want 100", n)
	}
}

func TestOneOpenerAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path)
	if _, err := Open(path, schema); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v, want ErrLocked", err)
	}
	db.Close()
	open(t, path)
}

func TestUpdateAfterCloseFails(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	db.Close()
	if err := db.Update(context.Background(), func(*Tx) error { return nil }); err == nil {
		t.Fatal("update on a closed store succeeded")
	}
}

func TestViewCannotWrite(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	err := db.View(context.Background(), func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO t VALUES (1, 'x')")
		return err
	})
	if err == nil {
		t.Fatal("a view wrote")
	}
}

func BenchmarkUpdateParallel(b *testing.B) {
	db, err := Open(filepath.Join(b.TempDir(), "x.db"), schema)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := db.Update(context.Background(), func(tx *Tx) error {
				_, err := tx.Exec("INSERT INTO t (v) VALUES ('x')")
				return err
			}); err != nil {
				b.Error(err)
			}
		}
	})
}
