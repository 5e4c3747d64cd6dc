package device

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/sqlitedb"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/wire"
)

// files reads the store of a device that is closed.
func (n *node) files() map[string][]byte {
	n.t.Helper()
	all := map[string][]byte{}
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(n.c.Path + suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			n.t.Fatal(err)
		}
		all[suffix] = b
	}
	return all
}

func (n *node) putBack(all map[string][]byte) {
	n.t.Helper()
	for suffix, b := range all {
		if err := os.WriteFile(n.c.Path+suffix, b, 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
	os.Remove(n.c.Path + "-shm")
}

// TestCopyOfTheStore puts a copy of the store back after the device has gone on: the relay's memory of its runs gives it away, nothing
// that was sealed by the copy before it knew leaves the device, and a commit heals the chat.
func TestCopyOfTheStore(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	ctx := context.Background()
	a.say(chat, "1")
	b.waitTexts("1")
	eventually(t, "receipts", emptyOutbox(a))
	a.halt()
	a.Close()
	copied := a.files()
	a.open()
	a.start().online()
	a.say(chat, "2")
	b.waitTexts("1", "2")
	eventually(t, "receipts", emptyOutbox(a))
	a.halt()
	a.Close()

	a.putBack(copied)
	a.open()
	a.say(chat, "sealed by the copy") // offline, so it cannot know: the key of "2" again
	var tainted []byte
	a.s.view(ctx, func(t *tx) error {
		return t.rows(`SELECT id, v FROM outbox`, nil, func(scan func(...any) error) error {
			var id, v []byte
			var p sealed
			if err := scan(&id, &v); err != nil {
				return err
			}
			err := t.unsealed("outbox", id, v, &p)
			tainted = p.Envelope
			return err
		})
	})
	r.set(func() {
		r.onCommit = func(c *wire.Commit) wire.Frame {
			return &wire.Failure{Re: c.Req, Code: wire.CodeUnavailable, Text: "not now"}
		}
	})
	a.start().online()
	eventually(t, "noticed", func() bool { return a.copies.held(chat) })
	if _, err := a.Send(ctx, chat, content.Text("not yet"), SendOptions{}); !errors.Is(err, ErrCopy) {
		t.Fatalf("sealed with keys that the other copy has: %v", err)
	}
	b.say(chat, "from b") // reading goes on
	a.waitTexts("from b")
	r.set(func() { r.onCommit = nil })
	eventually(t, "healed", func() bool {
		a.heal()
		_, err := a.Send(ctx, chat, content.Text("new keys"), SendOptions{Key: "once"})
		return err == nil
	})
	a.out.step(tick)
	eventually(t, "all arrive", func() bool { return len(b.distinct()) == 4 })
	if got := b.distinct(); !slices.Contains(got, "sealed by the copy") || !slices.Contains(got, "new keys") {
		t.Fatalf("b got %q", got)
	}
	r.mu.Lock()
	leaked := slices.ContainsFunc(r.log, func(x []byte) bool { return string(x) == string(tainted) })
	r.mu.Unlock()
	if tainted == nil || leaked {
		t.Fatal("a message sealed with a used key left the device")
	}
	ca, _ := a.Chat(ctx, chat)
	if cb, _ := b.Chat(ctx, chat); ca.Epoch < 2 || cb.Epoch != ca.Epoch {
		t.Fatalf("epochs %d and %d", ca.Epoch, cb.Epoch)
	}

	// Once healed it stays so, also over a restart; and a plain restart is no copy.
	a.restart()
	a.online()
	a.say(chat, "after")
	eventually(t, "after", func() bool { return slices.Contains(b.distinct(), "after") })
}

// TestCopyOfAnOldEpoch puts back a copy whose epoch is over: its own commit cannot heal it, so that nothing is
// sent in this chat any more.
func TestCopyOfAnOldEpoch(t *testing.T) {
	t.Parallel()
	_, a, b, chat := pair(t)
	ctx := context.Background()
	a.halt()
	a.Close()
	copied := a.files()
	a.open()
	a.start().online()
	if err := b.Refresh(ctx, chat); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a follows", func() bool { c, err := a.Chat(ctx, chat); return err == nil && c.Epoch == 2 })
	a.say(chat, "1")
	b.waitTexts("1")
	a.halt()
	a.Close()
	a.putBack(copied)
	a.open()
	a.start().online()
	if _, err := a.Send(ctx, chat, content.Text("x"), SendOptions{}); !errors.Is(err, ErrCopy) {
		t.Fatalf("%v", err)
	}
	if err := b.Remove(ctx, chat, a.ID()); err != nil {
		t.Fatal(err)
	}
	// The commit that removes a is of an epoch that a does not know; a new chat is what is left.
	again := b.chatWith(a)
	a.say(again, "in a new chat")
	b.waitTexts("1", "in a new chat")
	if _, err := a.Send(ctx, chat, content.Text("x"), SendOptions{}); !errors.Is(err, ErrCopy) {
		t.Fatalf("%v", err)
	}
}

// TestOldStore opens a store of the version before.
func TestOldStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "store")
	db, err := sqlitedb.Open(path, `
CREATE TABLE meta (k TEXT PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE mls (kind INTEGER NOT NULL, k BLOB NOT NULL, v BLOB NOT NULL, PRIMARY KEY (kind, k)) WITHOUT ROWID;
CREATE TABLE chat (id BLOB PRIMARY KEY, state INTEGER NOT NULL, head INTEGER NOT NULL, peer BLOB, commit_id BLOB, since INTEGER) WITHOUT ROWID;`)
	if err != nil {
		t.Fatal(err)
	}
	locks := []byte{0xa4, 1, 1, 2, 0x67, 'k', 'e', 'y', 'f', 'i', 'l', 'e', 3, 0x41, 0, 4, 0xa0}
	err = db.Update(context.Background(), func(t *sqlitedb.Tx) error {
		_, err := t.Exec(`INSERT INTO meta (k, v) VALUES ('locks', ?)`, locks)
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = Open(context.Background(), Config{Path: path, Key: testKey(t, dir), RelayURL: "ws://relay", Name: "a", Now: time.Now})
	if !errors.Is(err, ErrStoreVersion) {
		t.Fatal(err)
	}
}
