package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"os"
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

func TestViewAfterCloseFails(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.View(context.Background(), func(*Tx) error { return nil }); !errors.Is(err, sql.ErrConnDone) {
		t.Fatalf("view of a closed store: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatalf("second close: %v", err)
	}
}

func TestCancelledBeforeStartIsLeftOut(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	ctx, cancel := context.WithCancel(context.Background())
	hold, held := make(chan struct{}), make(chan struct{})
	for range maxReaders { // all readers are busy
		go db.View(context.Background(), func(*Tx) error { held <- struct{}{}; <-hold; return nil })
		<-held
	}
	cancel()
	if err := db.View(ctx, func(*Tx) error { t.Error("ran"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("view: %v", err)
	}
	close(hold)
}

// TestViewSeesOneMoment commits while a view runs: the view goes on seeing what it saw first, and never a part of a commit.
func TestViewSeesOneMoment(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	insert := func(n int) {
		err := db.Update(context.Background(), func(tx *Tx) error {
			for i := range 3 {
				if _, err := tx.Exec("INSERT INTO t VALUES (?, 'x')", 3*n+i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	insert(0)
	err := db.View(context.Background(), func(tx *Tx) error {
		for i := 1; i < 4; i++ {
			var n int
			if err := tx.QueryRow("SELECT count(*) FROM t", nil, &n); err != nil {
				return err
			}
			if n != 3 {
				t.Errorf("the view sees %d rows after %d more commits", n, i-1)
			}
			insert(i)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, db); n != 12 {
		t.Fatalf("%d rows, want 12", n)
	}
}

// TestPanicInAViewLeavesTheStoreUsable panics as often as there are readers.
func TestPanicInAViewLeavesTheStoreUsable(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	for range maxReaders + 1 {
		func() {
			defer func() { recover() }()
			db.View(context.Background(), func(*Tx) error { panic("planted") })
		}()
	}
	if n := count(t, db); n != 0 {
		t.Fatal("rows in an empty store")
	}
}

// TestLogIsFoldedAtOpening leaves a log behind, as a killed process does, and opens the store: the rows are then in the file itself.
func TestLogIsFoldedAtOpening(t *testing.T) {
	dir := t.TempDir()
	db := open(t, filepath.Join(dir, "x.db"))
	if err := db.Update(context.Background(), func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO t VALUES (1, 'x')")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "left.db")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, "x.db") + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(left+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, left)
	if fi, err := os.Stat(left + "-wal"); err == nil && fi.Size() > 0 {
		t.Errorf("a log of %d bytes is left", fi.Size())
	}
	if n := count(t, again); n != 1 {
		t.Fatalf("%d rows, want 1", n)
	}
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	dir := t.TempDir()
	db := open(t, filepath.Join(dir, "x.db"))
	if err := db.Update(context.Background(), func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO t VALUES (1, 'x')")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 3 {
		t.Errorf("%d files, want the store, its log and its lock", len(files))
	}
	for _, f := range files {
		if fi, err := f.Info(); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), fi.Mode(), err)
		}
	}
}

func put(n int) func(*Tx) error {
	return func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO t VALUES (?, 'x')", n)
		return err
	}
}

// TestLaterRunsBeforeWhatFollows orders a Later and an Update on the same row: the Update must see the Later's.
func TestLaterRunsBeforeWhatFollows(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			db.Later(put(i))
			err := db.Update(context.Background(), func(tx *Tx) error {
				r, err := tx.Exec("DELETE FROM t WHERE k = ?", i)
				if err != nil {
					return err
				}
				if n, err := r.RowsAffected(); n != 1 || err != nil {
					t.Errorf("row %d: %d deleted, %v", i, n, err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestLaterRunsByItself waits for a Later that no Update follows, and for one that Close finds.
func TestLaterRunsByItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path)
	ran := make(chan struct{})
	db.Later(func(tx *Tx) error { defer close(ran); return put(1)(tx) })
	<-ran
	for n := range 600 { // more than one group
		db.Later(put(2 + n))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, open(t, path)); n != 601 {
		t.Fatalf("%d rows, want 601", n)
	}
}

// TestLaterThatFailsUndoesOnlyItself lets two fail: the store goes on, and Close tells.
func TestLaterThatFailsUndoesOnlyItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path)
	boom := errors.New("boom")
	db.Later(put(1))
	db.Later(func(tx *Tx) error { return errors.Join(put(2)(tx), boom) })
	db.Later(func(*Tx) error { panic("planted") })
	if err := db.Update(context.Background(), put(3)); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
	if err := db.Close(); !errors.Is(err, boom) {
		t.Errorf("close: %v, want the first failure", err)
	}
}

// TestAheadIsSeenByUpdates looks from inside the open transaction: no view sees what an Ahead did, the next Update does.
func TestAheadIsSeenByUpdates(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"))
	outside := -1
	durable, err := db.Ahead(context.Background(), func(tx *Tx) error {
		err := put(1)(tx)
		outside = count(t, db)
		return err
	})
	if err != nil || outside != 0 {
		t.Fatalf("%v, a view sees %d rows", err, outside)
	}
	var inside int
	if err := db.Update(context.Background(), func(tx *Tx) error { return tx.QueryRow("SELECT count(*) FROM t", nil, &inside) }); err != nil || inside != 1 {
		t.Fatalf("the Update sees %d rows, %v", inside, err)
	}
	if n := count(t, db); durable() != nil || n != 1 {
		t.Fatalf("after the Update a view sees %d rows", n)
	}
}

// TestFailedCommitBreaksTheStore breaks a rule that is judged at COMMIT: whatever was in the transaction is undone, whoever waits hears
// of it, and the store takes nothing more.
func TestFailedCommitBreaksTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := open(t, path)
	must := func(query string) {
		if err := db.Update(context.Background(), func(tx *Tx) error { _, err := tx.Exec(query); return err }); err != nil {
			t.Fatal(err)
		}
	}
	must("CREATE TABLE child (of INTEGER REFERENCES t (k) DEFERRABLE INITIALLY DEFERRED)")
	durable, err := db.Ahead(context.Background(), put(1))
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(context.Background(), func(tx *Tx) error { _, err := tx.Exec("INSERT INTO child VALUES (7)"); return err })
	if !errors.Is(err, ErrBroken) || !errors.Is(durable(), ErrBroken) {
		t.Fatalf("%v, %v", err, durable())
	}
	if _, err := db.Ahead(context.Background(), put(2)); !errors.Is(err, ErrBroken) {
		t.Fatal(err)
	}
	if err := db.Update(context.Background(), put(3)); !errors.Is(err, ErrBroken) {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, open(t, path)); n != 0 {
		t.Fatalf("%d rows", n)
	}
}

// TestAheadBecomesDurableByItself waits for one that no Update follows, and for one that Close finds.
func TestAheadBecomesDurableByItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := open(t, path)
	durable, err := db.Ahead(context.Background(), put(1))
	if err != nil || durable() != nil || count(t, db) != 1 {
		t.Fatalf("%v, %d rows", err, count(t, db))
	}
	if durable, err = db.Ahead(context.Background(), put(2)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil || durable() != nil {
		t.Fatal(err, durable())
	}
	if _, err := db.Ahead(context.Background(), put(3)); !errors.Is(err, sql.ErrConnDone) {
		t.Fatalf("after Close: %v", err)
	}
	db = open(t, path)
	defer db.Close()
	if n := count(t, db); n != 2 {
		t.Fatalf("%d rows", n)
	}
}

// TestAheadThatFailsUndoesOnlyItself puts a failing one first in its transaction, and one behind another.
func TestAheadThatFailsUndoesOnlyItself(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"))
	defer db.Close()
	boom := errors.New("boom")
	bad := func(n int) func(*Tx) error { return func(tx *Tx) error { return errors.Join(put(n)(tx), boom) } }
	if _, err := db.Ahead(context.Background(), bad(1)); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	durable, err := db.Ahead(context.Background(), put(2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Ahead(context.Background(), bad(3)); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if err := errors.Join(durable(), db.Update(context.Background(), put(4))); err != nil || count(t, db) != 2 {
		t.Fatalf("%v, %d rows", err, count(t, db))
	}
}

// TestCommitsAreDurable holds the settings on which every promise rests; payments/journal cuts the power to see them at work.
func TestCommitsAreDurable(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	err := db.Update(context.Background(), func(tx *Tx) error {
		for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "secure_delete": "1"} {
			var got string
			if err := tx.QueryRow("PRAGMA "+pragma, nil, &got); err != nil || got != want {
				t.Errorf("%s is %s, %v, want %s", pragma, got, err, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
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
