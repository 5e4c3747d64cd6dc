package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/sqlitedb"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/wire"
)

func TestStoreKeys(t *testing.T) {
	defer func(p kdfParams) { defaultKDF = p }(defaultKDF)
	defaultKDF = kdfParams{Time: 1, MemoryKiB: 8 << 10, Threads: 1}
	dir, ctx := t.TempDir(), context.Background()
	c := Config{Path: filepath.Join(dir, "s"), Key: Passphrase("correct horse"), RelayURL: "ws://relay/", Name: "a"}
	d, err := Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	id := d.ID()
	if _, err := Open(ctx, c); !errors.Is(err, sqlitedb.ErrLocked) {
		t.Fatalf("second open: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	open := func(k KeySource) error {
		c := c
		c.Key = k
		d, err := Open(ctx, c)
		if err == nil {
			if d.ID() != id {
				t.Error("another identity")
			}
			d.Close()
		}
		return err
	}
	if err := open(Passphrase("correct horse")); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []KeySource{Passphrase("correct horsf"), testKey(t, dir)} {
		if err := open(wrong); !errors.Is(err, ErrWrongKey) {
			t.Errorf("%T: %v", wrong, err)
		}
	}
	if err := open(Passphrase("")); err == nil {
		t.Error("empty passphrase opened")
	}
	if err := open(Passphrase("correct horse")); err != nil { // a wrong key changes nothing
		t.Fatal(err)
	}
	if strings.Contains(fmt.Sprintf("%v %s %+v", c.Key, c.Key, c), "horse") {
		t.Error("the passphrase prints")
	}
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "k")
	if err := NewKeyFile(path); err != nil {
		t.Fatal(err)
	}
	if NewKeyFile(path) == nil {
		t.Error("overwrote a key")
	}
	read := func() error { _, err := KeyFile(path).key(nil, kdfParams{}); return err }
	if err := read(); err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0o640)
	if read() == nil {
		t.Error("took a key that others may read")
	}
	os.Chmod(path, 0o600)
	for _, bad := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("g", 64), strings.Repeat("0", 2000)} {
		os.WriteFile(path, []byte(bad), 0o600)
		if err := read(); err == nil || len(bad) > 2 && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := Open(context.Background(), Config{RelayURL: "http://x", TTL: -1, KeyPackages: 1000})
	for _, want := range []string{"Path", "Key", "RelayURL", "Name", "TTL", "KeyPackages"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s in %v", want, err)
		}
	}
}

// TestSecondProcess has another process try to open a store that this one has open.
func TestSecondProcess(t *testing.T) {
	if path := os.Getenv("PARLEY_TEST_STORE"); path != "" {
		_, err := Open(context.Background(), Config{Path: path, Key: KeyFile(filepath.Join(filepath.Dir(path), "key")), RelayURL: "ws://relay/", Name: "a"})
		if errors.Is(err, sqlitedb.ErrLocked) {
			os.Exit(7)
		}
		os.Exit(8)
	}
	n := newNode(t, newFakeRelay(t), "a")
	cmd := exec.Command(os.Args[0], "-test.run=^TestSecondProcess$")
	cmd.Env = append(os.Environ(), "PARLEY_TEST_STORE="+n.c.Path)
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("second process: %v", err)
	}
}

// TestCanary looks for what was said, for names and for keys in everything that a device and a relay keep.
func TestCanary(t *testing.T) {
	t.Parallel()
	const canary = "CANARY-4f7c1e"
	r := newFakeRelay(t)
	a, b := newNode(t, r, "name-"+canary).start().online(), newNode(t, r, "b").start().online()
	chat := a.chatWith(b)
	ctx := context.Background()
	m := content.Payment("application/vnd.example+json", []byte(`{"x":"`+canary+`"}`), "text "+canary)
	m.Topic = []byte(canary)
	if _, err := a.Send(ctx, chat, m, SendOptions{Key: "key-" + canary}); err != nil {
		t.Fatal(err)
	}
	b.waitTexts("text " + canary)
	if err := a.Refresh(ctx, chat); err != nil {
		t.Fatal(err)
	}
	b.say(chat, "back "+canary)
	a.waitTexts("back " + canary)
	if err := a.Put(ctx, "bucket-"+canary, "key-"+canary, []byte("value "+canary)); err != nil {
		t.Fatal(err)
	}
	secret := string(a.key.Seed())
	for _, n := range []*node{a, b} {
		for _, suffix := range []string{"", "-wal"} {
			raw, err := os.ReadFile(n.c.Path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []string{canary, secret} {
				if i := bytes.Index(raw, []byte(c)); i >= 0 {
					t.Errorf("%s%s holds a canary at %d", n.c.Name, suffix, i)
				}
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.log {
		if bytes.Contains(b, []byte(canary)) {
			t.Error("the relay saw a canary")
		}
	}
}

// TestMovedRow checks that a value put into another row does not open.
func TestMovedRow(t *testing.T) {
	t.Parallel()
	n := newNode(t, newFakeRelay(t), "a")
	ctx := context.Background()
	n.Put(ctx, "b", "one", []byte("1"))
	n.Put(ctx, "b", "two", []byte("2"))
	n.s.update(ctx, func(t *tx) error {
		return t.exec(`UPDATE value SET v = (SELECT v FROM value ORDER BY k LIMIT 1)`)
	})
	bad := 0
	for _, k := range []string{"one", "two"} {
		if _, err := n.Get(ctx, "b", k); err != nil && !errors.Is(err, ErrNotFound) {
			bad++
		}
	}
	if bad != 1 {
		t.Fatalf("%d of 2 rows refused, want the moved one", bad)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	n := newNode(t, newFakeRelay(t), "a")
	ctx := context.Background()
	for _, k := range []string{"b", "a", "c"} {
		if err := n.Put(ctx, "x", k, []byte(k+k)); err != nil {
			t.Fatal(err)
		}
	}
	n.Put(ctx, "y", "z", []byte{})
	n.Put(ctx, "x", "c", nil)
	n.Put(ctx, "x", "a", []byte("new"))
	if keys, err := n.Keys(ctx, "x"); err != nil || !slices.Equal(keys, []string{"a", "b"}) {
		t.Fatalf("keys %q %v", keys, err)
	}
	if v, err := n.Get(ctx, "x", "a"); err != nil || string(v) != "new" {
		t.Fatalf("%q %v", v, err)
	}
	if v, err := n.Get(ctx, "y", "z"); err != nil || v == nil || len(v) != 0 {
		t.Fatalf("%v %v", v, err)
	}
	for _, k := range []string{"c", "d"} {
		if _, err := n.Get(ctx, "x", k); !errors.Is(err, ErrNotFound) {
			t.Fatalf("%s: %v", k, err)
		}
	}
	if n.Put(ctx, "x", "big", make([]byte, MaxValue+1)) == nil {
		t.Fatal("took a value over the limit")
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	clock := newClock()
	with := func(c *Config) { c.Now = clock.now }
	r.now = clock.now
	a, b := newNode(t, r, "a", with).start().online(), newNode(t, r, "b", with).start().online()
	chat := a.chatWith(b)
	ctx := context.Background()
	expiring := func(n *node, text string, e content.Expiry) {
		t.Helper()
		m := content.Text(text)
		m.Expires = e
		if _, err := n.Send(ctx, chat, m, SendOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	kept := func(n *node) (out []string) {
		h, err := n.History(ctx, chat, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range h {
			out = append(out, m.Content.Text())
		}
		return out
	}
	contents := func(n *node) (count int) {
		n.s.view(ctx, func(t *tx) error {
			_, err := t.row(`SELECT count(*) FROM message WHERE v IS NOT NULL`, nil, &count)
			return err
		})
		return count
	}

	// Both sides keep it until it expires, and not longer.
	expiring(a, "absolute", content.ExpiresAt(clock.now().Add(time.Minute)))
	expiring(a, "relative", content.ExpiresAfterReading(30*time.Second))
	b.waitTexts("absolute", "relative")
	eventually(t, "receipts", emptyOutbox(a))
	if len(kept(a)) != 2 || len(kept(b)) != 2 {
		t.Fatal("gone too early")
	}
	clock.add(31 * time.Second)
	if got := kept(b); !slices.Equal(got, []string{"absolute"}) {
		t.Fatalf("after 31 s: %q", got)
	}
	clock.add(30 * time.Second)
	if got := append(kept(a), kept(b)...); len(got) != 0 {
		t.Fatalf("after 61 s: %q", got)
	}
	eventually(t, "the sweeper forgets the content", func() bool { return contents(a) == 0 && contents(b) == 0 })

	// In the sender's outbox.
	r.set(func() { r.down = true })
	r.cut()
	eventually(t, "offline", func() bool { return !a.line.online() && !b.line.online() })
	expiring(a, "never sent", content.ExpiresAt(clock.now().Add(time.Minute)))
	clock.add(2 * time.Minute)
	eventually(t, "outbox", func() bool {
		select {
		case a.out.wake <- struct{}{}:
		default:
		}
		a.out.step(tick)
		return a.Stats().Outbox == 0
	})
	r.set(func() { r.down = false })
	a.online()
	b.online()

	// At the relay, which delivers it late; and the content's own word when the relay lies.
	b.halt()
	expiring(a, "at the relay", content.ExpiresAt(clock.now().Add(time.Minute)))
	eventually(t, "accepted", func() bool { return a.Stats().Unanswered == 0 })
	clock.add(2 * time.Minute)
	r.set(func() {
		r.onDeliver = nil
		for _, e := range r.boxes[b.ID()].entries {
			e.Expires += 3600_000
		}
	})
	b.Close()
	b.open()
	b.start().online()
	a.say(chat, "alive")
	b.waitTexts("absolute", "relative", "alive")

	// Before the handler, which is busy with another message.
	hold := make(chan struct{})
	b.mu.Lock()
	b.fail = func(m Message) error {
		select {
		case <-hold:
			return nil
		default:
			return errors.New("busy")
		}
	}
	b.mu.Unlock()
	a.say(chat, "first")
	expiring(a, "too late", content.ExpiresAt(clock.now().Add(time.Minute)))
	a.say(chat, "last")
	eventually(t, "receipts", emptyOutbox(a))
	clock.add(2 * time.Minute)
	close(hold)
	b.waitTexts("absolute", "relative", "alive", "first", "last")
	if _, err := a.Send(ctx, chat, func() content.Message {
		m := content.Text("x")
		m.Expires = content.ExpiresAt(clock.now().Add(-time.Second))
		return m
	}(), SendOptions{}); err == nil {
		t.Fatal("sent an expired message")
	}
}

// TestHistoryEnds checks that messages go after Config.History, that a copy that comes later is still known, and that what waits for a
// receiver stays.
func TestHistoryEnds(t *testing.T) {
	t.Parallel()
	clock, r := newClock(), newFakeRelay(t)
	r.now = clock.now
	with := func(c *Config) { c.Now, c.History = clock.now, time.Hour }
	a, b := newNode(t, r, "a", with).start().online(), newNode(t, r, "b", with).start().online()
	chat, ctx := a.chatWith(b), context.Background()
	id, err := a.Send(ctx, chat, content.Text("old"), SendOptions{Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	b.waitTexts("old")
	eventually(t, "receipt", emptyOutbox(a))
	b.halt()
	a.say(chat, "waits")
	clock.add(2 * time.Hour)
	if err := errors.Join(a.tidy(ctx), b.tidy(ctx)); err != nil {
		t.Fatal(err)
	}
	if h, err := a.History(ctx, chat, 10); err != nil || len(h) != 1 || h[0].Content.Text() != "waits" {
		t.Fatalf("%v %v", h, err)
	}
	if again, err := a.Send(ctx, chat, content.Text("old"), SendOptions{Key: "k"}); err != nil || again != id {
		t.Fatalf("sent again: %v", err)
	}
	b.Close()
	b.open()
	b.start()
	b.waitTexts("old", "waits")
}

// TestHandles checks that the handle of a group that is kept in memory never knows more than the store: what a transaction did that was
// undone, by an error or a panic, is forgotten.
func TestHandles(t *testing.T) {
	t.Parallel()
	_, a, b, chat := pair(t)
	ctx, undo := context.Background(), errors.New("undo")
	for name, end := range map[string]func() error{"error": func() error { return undo }, "panic": func() error { panic(undo) }} {
		err := a.s.update(ctx, func(t *tx) error {
			c, err := a.makeCommit(t, chat, change{})
			if err != nil {
				return err
			}
			if err := t.putCommit("pending", chat, c); err != nil {
				return err
			}
			if err := a.confirmPending(t, chat); err != nil {
				return err
			}
			if h := t.s.groups[chat]; h == nil || h.info.Epoch != c.Epoch+1 {
				return errors.New("the commit did not begin an epoch")
			}
			return end()
		})
		if err == nil || !strings.Contains(err.Error(), "undo") {
			t.Fatal(name, err)
		}
		a.say(chat, name)
	}
	if c, err := a.Chat(ctx, chat); err != nil || c.Epoch != 1 {
		t.Fatal(c.Epoch, err)
	}
	eventually(t, "both", func() bool { return len(b.texts()) == 2 })
	// A handshake that fails half-way is undone by a savepoint, in a transaction that stays.
	if err := a.s.update(ctx, func(t *tx) error {
		before := len(t.s.groups)
		err := a.applyHandshake(t, &outcome{}, wire.KindCommit, chat, 0, incoming{Body: []byte("x")})
		if err == nil || len(t.s.groups) != before-1 {
			return errors.New("the handle outlived the savepoint")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := a.Refresh(ctx, chat); err != nil {
		t.Fatal(err)
	}
}
