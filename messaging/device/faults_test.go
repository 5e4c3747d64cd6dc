package device

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/wire"
)

// crash stops the device as a kill does: nothing that was not durable becomes it, and the relay hears nothing more.
func (n *node) crash() {
	n.t.Helper()
	n.kill()()
}

// kill is crash in two parts, so that a handler can be killed: it ends the line and keeps what the store's files hold at this moment;
// bury ends the device and leaves the files like that.
func (n *node) kill() (bury func()) {
	n.t.Helper()
	n.dead.Store(true)
	n.r.sever(n.ID())
	kept := map[string][]byte{}
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(n.c.Path + suffix)
		if err != nil {
			n.t.Fatal(err)
		}
		kept[suffix] = b
	}
	return func() {
		n.t.Helper()
		n.s.db.Close()
		n.stop()
		n.stop = nil
		<-n.done // whatever it says
		for suffix, b := range kept {
			if err := os.WriteFile(n.c.Path+suffix, b, 0o600); err != nil {
				n.t.Fatal(err)
			}
		}
	}
}

func (n *node) recover() *node {
	n.t.Helper()
	n.dead.Store(false)
	n.open()
	return n.start()
}

// TestKilledInTheHandler kills the device while its handler has a message: before the message is durable, so that the relay must bring it
// again, and after the handler's own Put has made it durable.
func TestKilledInTheHandler(t *testing.T) {
	for _, put := range []bool{false, true} {
		t.Run(fmt.Sprintf("put %v", put), func(t *testing.T) {
			t.Parallel()
			_, a, b, chat := pair(t)
			ctx := context.Background()
			a.say(chat, "before")
			b.waitTexts("before")
			history := func() int {
				h, err := b.History(ctx, chat, 100)
				if err != nil {
					t.Error(err)
				}
				return len(h)
			}
			eventually(t, "durable", func() bool { return history() == 1 })
			buried := make(chan func(), 1)
			killed := false
			b.mu.Lock()
			b.fail = func(m Message) error {
				if killed {
					return nil
				}
				if put {
					if err := b.Put(ctx, "bucket", "key", []byte(m.Content.Text())); err != nil {
						t.Error(err)
					}
				}
				bury := b.kill()
				if durable := history() == 2; durable != put {
					if !durable {
						t.Error("the handler's Put is durable without the message")
					}
					bury = nil // the disk was faster: nothing is proved
				}
				killed = true
				buried <- bury
				return errors.New("killed")
			}
			b.mu.Unlock()
			a.say(chat, "one")
			bury := <-buried
			if bury == nil {
				t.Skip("the machine was too slow to be killed in time")
			}
			bury()
			b.dead.Store(false)
			b.open()
			if durable := history() == 2; durable != put { // before the relay can bring it again
				t.Fatalf("after the crash the message is in the store: %v", durable)
			}
			b.start()
			a.say(chat, "two") // the keys are where they were
			eventually(t, "all messages", func() bool { return slices.Equal(b.distinct(), []string{"before", "one", "two"}) })
			eventually(t, "durable", func() bool { return history() == 3 })
			if v, err := b.Get(ctx, "bucket", "key"); put && (err != nil || string(v) != "one") {
				t.Fatalf("%q, %v", v, err)
			}
			b.online()
			eventually(t, "accepted", func() bool { return a.Stats().Unanswered == 0 })
			a.out.step(reset) // receipts that died with the process: another copy brings another one
			eventually(t, "receipts", emptyOutbox(a))
		})
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	a.say(chat, "one")
	b.waitTexts("one")
	eventually(t, "receipts", emptyOutbox(a))
	r.mu.Lock()
	sealed := r.log[slices.IndexFunc(r.log, func(x []byte) bool {
		e, err := parseEnvelope(x)
		return err == nil && e.kind == mls.ContentApplication
	})]
	r.mu.Unlock()
	replay := func() {
		t.Helper()
		before := b.Stats()
		r.inject(b.ID(), &wire.Deliver{Kind: wire.KindMessage, Body: sealed})
		eventually(t, "refused as a duplicate", func() bool { return b.Stats().Duplicates == before.Duplicates+1 })
		if s := b.Stats(); s.Received != before.Received || s.Bad != before.Bad {
			t.Fatalf("stats %+v", s)
		}
	}
	replay()
	b.restart()
	b.online()
	replay()
	// Also where the record of ciphertexts is gone: the key itself is.
	b.s.update(context.Background(), func(t *tx) error { return t.exec(`UPDATE message SET hash = NULL`) })
	replay()
	a.say(chat, "two")
	b.waitTexts("one", "two")
}

// TestInsiderReplay has a sender seal the same content again: it is known by its id.
func TestInsiderReplay(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	m := content.Text("pay me")
	m.NewSalt()
	encoded, _ := content.Encode(m)
	for range 2 {
		var env []byte
		err := a.s.update(context.Background(), func(t *tx) (err error) { env, err = a.session(t, chat).Seal(encoded, nil); return err })
		if err != nil {
			t.Fatal(err)
		}
		r.inject(b.ID(), &wire.Deliver{Kind: wire.KindMessage, Body: env})
	}
	a.say(chat, "end")
	b.waitTexts("pay me", "end")
}

// TestBadDeliveries sends a device everything that a hostile relay or peer can make up. Each is thrown away, and stops nothing else.
func TestBadDeliveries(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	seal := func(plain []byte) []byte {
		var env []byte
		if err := a.s.update(context.Background(), func(t *tx) (err error) { env, err = a.session(t, chat).Seal(plain, nil); return err }); err != nil {
			t.Fatal(err)
		}
		return env
	}
	good, _ := content.Encode(func() content.Message { m := content.Text("x"); m.NewSalt(); return m }())
	forged := content.Text("x")
	forged.NewSalt()
	forged.Extensions = []content.Extension{{Key: 1, Value: append([]byte{0x78, 8}, "parley:d"...)}}
	otherOrigin, _ := content.Encode(forged)
	noise := make([]byte, 500)
	rand.Read(noise)
	flip := seal(good)
	flip[len(flip)-3] ^= 1
	var commit []byte
	a.s.update(context.Background(), func(t *tx) error {
		c, err := a.makeCommit(t, chat, change{})
		if err == nil {
			commit = c.Message
			err = a.discard(t, chat)
		}
		return err
	})
	cut := commit[:len(commit)-40]
	bad := []*wire.Deliver{
		{Kind: wire.KindMessage, Body: noise},
		{Kind: wire.KindMessage, Body: []byte{0}},
		{Kind: wire.KindMessage, Body: flip},
		{Kind: wire.KindMessage, Body: seal([]byte("not cbor"))},
		{Kind: wire.KindMessage, Body: seal(append(bytes.Clone(good), 0))},
		{Kind: wire.KindMessage, Body: seal(otherOrigin)},
		{Kind: wire.KindMessage, Body: seal(nil)},
		{Kind: wire.KindMessage, Body: commit},
		{Kind: wire.KindWelcome, Group: messaging.NewChatID(), Head: 1, Body: noise},
		{Kind: wire.KindCommit, Group: chat, Head: 7, Body: noise},
		{Kind: wire.KindCommit, Group: chat, Head: 8, Body: cut},
		{Kind: wire.KindCommit, Group: chat, Head: 9, Body: seal(good)},
		{Kind: wire.KindCommit, Group: messaging.NewChatID(), Head: 9, Body: seal(good)},
	}
	before := b.Stats()
	for _, d := range bad {
		r.inject(b.ID(), d)
	}
	a.say(chat, "alive")
	b.waitTexts("alive")
	s := b.Stats()
	if got := s.Bad + s.Early - before.Bad - before.Early; got != uint64(len(bad)) {
		t.Errorf("%d thrown away, want %d", got, len(bad))
	}
	r.mu.Lock()
	left := len(r.boxes[b.ID()].entries)
	r.mu.Unlock()
	eventually(t, "all acked", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.boxes[b.ID()].entries) == 0 })
	_ = left
	if c, err := b.Chat(context.Background(), chat); err != nil || c.Epoch != 1 {
		t.Fatalf("chat %+v %v", c, err)
	}
	// The log of commits moved on by what was thrown away; the next commit finds its place.
	r.set(func() { r.heads[chat] = 9 })
	if err := b.Refresh(context.Background(), chat); err != nil {
		t.Fatal(err)
	}
}

// TestRepeatsAndOrder has the relay deliver every message twice and in reverse within groups.
func TestRepeatsAndOrder(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	var held []*wire.Deliver
	r.set(func() {
		r.onDeliver = func(d *wire.Deliver) []*wire.Deliver {
			if d.Kind != wire.KindMessage || len(held) == 0 && d.Cursor.Seq%4 != 0 {
				return []*wire.Deliver{d, d}
			}
			if held = append(held, d); len(held) < 3 {
				return nil
			}
			out := []*wire.Deliver{held[2], held[1], held[1], held[0], held[2]}
			held = nil
			return out
		}
	})
	for i := range 40 {
		a.say(chat, fmt.Sprint(i))
	}
	// What is held back at the end, and what the cursor went past, comes by the sender's next copies.
	eventually(t, "all there", func() bool {
		r.set(func() { r.onDeliver = nil })
		a.out.step(reset)
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.got) == 40
	})
	got := b.texts()
	slices.Sort(got)
	if len(slices.Compact(got)) != 40 {
		t.Fatalf("got %q", b.texts())
	}
}

func TestRelayLosesItsStore(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	a.say(chat, "1")
	b.waitTexts("1")
	b.halt()
	a.say(chat, "2")
	a.say(chat, "3")
	eventually(t, "accepted", func() bool { return a.Stats().Unanswered == 0 })
	r.loseStore() // what the relay promised is gone
	b.Close()
	b.open()
	b.start().online()
	b.waitTexts("1", "2", "3")
	eventually(t, "receipts", emptyOutbox(a))
}

func TestAnswersGetLost(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	n := 0
	r.set(func() {
		r.noAnswer = func(f wire.Frame) bool { // every other answer; the line breaks
			switch f.(type) {
			case *wire.Send, *wire.Commit:
				if n++; n%2 == 1 {
					go r.cut()
					return true
				}
			}
			return false
		}
	})
	for i := range 6 {
		a.say(chat, fmt.Sprint(i))
	}
	if err := a.Refresh(context.Background(), chat); err != nil {
		t.Fatal(err)
	}
	a.say(chat, "end")
	b.waitTexts("0", "1", "2", "3", "4", "5", "end")
	if c, _ := a.Chat(context.Background(), chat); c.Epoch != 2 {
		t.Fatalf("epoch %d: the commit was made twice", c.Epoch)
	}
}

// TestCommitSurvivesCrash kills the device when the relay has accepted its commit and the answer is under way.
func TestCommitSurvivesCrash(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	accepted := make(chan struct{}, 1)
	r.set(func() {
		r.noAnswer = func(f wire.Frame) bool {
			_, commit := f.(*wire.Commit)
			if commit {
				accepted <- struct{}{}
			}
			return commit
		}
	})
	go a.Refresh(context.Background(), chat)
	<-accepted
	a.crash()
	r.set(func() { r.noAnswer = nil })
	eventually(t, "b follows", func() bool { c, _ := b.Chat(context.Background(), chat); return c.Epoch == 2 })
	b.say(chat, "of the new epoch") // waits as early at a, if it comes before a knows
	a.recover()
	a.waitTexts("of the new epoch")
	if c, _ := a.Chat(context.Background(), chat); c.Epoch != 2 {
		t.Fatalf("epoch %d", c.Epoch)
	}

	// The same for the first commit of a chat.
	r.set(func() { r.noAnswer = func(f wire.Frame) bool { _, commit := f.(*wire.Commit); return commit } })
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	id, err := a.CreateChat(ctx, b.ID())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	a.crash()
	r.set(func() { r.noAnswer = nil })
	a.recover()
	eventually(t, "the chat comes to be", func() bool { _, err := a.Chat(context.Background(), id); return err == nil })
	a.say(id, "in the new chat")
	b.waitTexts("in the new chat")
}

// TestCommitRefused leaves the chat as it was.
func TestCommitRefused(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	r.set(func() {
		r.onCommit = func(c *wire.Commit) wire.Frame {
			return &wire.Failure{Re: c.Req, Code: wire.CodeUnknownDevice, Text: "x"}
		}
	})
	if err := a.Refresh(context.Background(), chat); err == nil {
		t.Fatal("no error")
	}
	if _, err := a.CreateChat(context.Background(), b.ID()); err == nil {
		t.Fatal("no error")
	}
	if all, err := a.Chats(context.Background()); err != nil || len(all) != 1 {
		t.Fatalf("chats %v %v", all, err)
	}
	r.set(func() { r.onCommit = nil })
	a.say(chat, "as before")
	b.waitTexts("as before")
	if err := a.Refresh(context.Background(), chat); err != nil {
		t.Fatal(err)
	}
}

// TestEarly delivers the messages before the welcome and before the commit that they need.
func TestEarly(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	a, b := newNode(t, r, "a").start().online(), newNode(t, r, "b").start().online()
	var held []*wire.Deliver
	hold := func(kind wire.Kind) {
		r.set(func() {
			held = nil
			r.onDeliver = func(d *wire.Deliver) []*wire.Deliver {
				if d.Kind == kind {
					held = append(held, d)
					return nil
				}
				return []*wire.Deliver{d}
			}
		})
	}
	release := func() {
		r.set(func() {
			r.onDeliver = nil
			for _, d := range held { // a relay that lost the order gives it a new place
				r.put(b.ID(), &wire.Deliver{Kind: d.Kind, Group: d.Group, Head: d.Head, Body: d.Body}, 0)
			}
		})
	}
	hold(wire.KindWelcome)
	ctx := context.Background()
	chat, err := a.CreateChat(ctx, b.ID())
	if err != nil {
		t.Fatal(err)
	}
	a.say(chat, "1")
	a.say(chat, "2")
	eventually(t, "early", func() bool { return b.Stats().Early == 2 })
	b.restart()
	b.online()
	release()
	b.waitTexts("1", "2")
	hold(wire.KindCommit)
	if err := a.Refresh(ctx, chat); err != nil {
		t.Fatal(err)
	}
	a.say(chat, "3")
	eventually(t, "early", func() bool { return b.Stats().Early == 1 })
	release()
	b.waitTexts("1", "2", "3")

	// The buffer is bounded; who does not fit is sent again.
	hold(wire.KindCommit)
	if err := a.Refresh(ctx, chat); err != nil {
		t.Fatal(err)
	}
	want := []string{"1", "2", "3"}
	for i := range earlyPerChat + 5 {
		a.say(chat, fmt.Sprint("x", i))
		want = append(want, fmt.Sprint("x", i))
	}
	eventually(t, "thrown away", func() bool { return b.Stats().Bad == 5 })
	release()
	b.waitTexts(want[:len(want)-5]...)
	a.out.step(reset) // as after ten minutes without a receipt
	b.waitTexts(want...)
	eventually(t, "receipts", emptyOutbox(a))
}

// TestCrashes kills both devices at random moments while they talk. Nothing that Send promised is lost, nothing is stored twice, and
// each chat keeps its order.
func TestCrashes(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	rnd := mrand.New(mrand.NewPCG(7, 7))
	sent := map[*node][]string{}
	for round := range 12 {
		for i := range 5 {
			for _, n := range []*node{a, b} {
				text := fmt.Sprintf("%s%d.%d", n.c.Name, round, i)
				if _, err := n.Send(context.Background(), chat, content.Text(text), SendOptions{}); err != nil {
					t.Fatal(err)
				}
				sent[n] = append(sent[n], text)
			}
		}
		time.Sleep(time.Duration(rnd.IntN(8)) * time.Millisecond) // anywhere between two steps
		victim := []*node{a, b}[rnd.IntN(2)]
		if rnd.IntN(4) == 0 {
			r.cut()
		}
		victim.crash()
		victim.recover()
	}
	for _, n := range []*node{a, b} {
		want := sent[b]
		if n == b {
			want = sent[a]
		}
		eventually(t, n.c.Name+" has all", func() bool { return len(n.distinct()) >= len(want) })
		if got := n.distinct(); !slices.Equal(got, want) {
			t.Errorf("%s got\n%s, want\n%s", n.c.Name, strings.Join(got, " "), strings.Join(want, " "))
		}
		eventually(t, n.c.Name+" has stored all", func() bool {
			h, err := n.History(context.Background(), chat, 1000)
			return err == nil && len(h) == len(sent[a])+len(sent[b])
		})
	}
	for _, n := range []*node{a, b} { // receipts that died with a process: another copy brings another one
		n.online()
		eventually(t, "accepted", func() bool { return n.Stats().Unanswered == 0 })
		n.out.step(reset)
	}
	eventually(t, "receipts", emptyOutbox(a))
	eventually(t, "receipts", emptyOutbox(b))
}

func TestRelayRefuses(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	n := 0
	r.set(func() {
		r.onSend = func(s *wire.Send) wire.Frame {
			if n++; n <= 3 {
				return &wire.Failure{Re: s.Req, Code: wire.CodeFull, Text: "full"}
			}
			return nil
		}
	})
	a.say(chat, "1")
	a.say(chat, "2")
	eventually(t, "both, in whatever order", func() bool { return len(b.texts()) == 2 })
	eventually(t, "receipts", emptyOutbox(a))
	r.set(func() {
		r.onSend = func(s *wire.Send) wire.Frame { return &wire.Failure{Re: s.Req, Code: wire.CodeTTL, Text: "never"} }
	})
	a.say(chat, "3")
	eventually(t, "given up", func() bool {
		var rows int
		a.s.view(context.Background(), func(t *tx) error { _, err := t.row(`SELECT count(*) FROM outbox`, nil, &rows); return err })
		return rows == 0 && a.Stats().Outbox == 0
	})
}

func TestOtherRelay(t *testing.T) {
	t.Parallel()
	r, a, _, _ := pair(t)
	a.halt()
	r.set(func() { r.id[0] ^= 1 })
	a.Close()
	a.open()
	if err := a.Run(t.Context()); !errors.Is(err, ErrRelayChanged) {
		t.Fatalf("Run: %v", err)
	}
}

func TestOtherJurisdiction(t *testing.T) {
	t.Parallel()
	n := newNode(t, newFakeRelay(t), "a", func(c *Config) { c.Jurisdiction = "us" })
	var f *wire.Failure
	if err := n.Run(t.Context()); !errors.As(err, &f) || f.Code != wire.CodeJurisdiction {
		t.Fatalf("Run: %v", err)
	}
}

func TestRelayForgetsDevices(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	r.set(func() {
		clear(r.boxes) // the directory is gone, the relay's id is not
		r.incarnation++
	})
	a.restart()
	b.restart()
	a.online()
	b.online()
	a.say(chat, "again")
	b.waitTexts("again")
}

func TestUnknownPeer(t *testing.T) {
	t.Parallel()
	_, a, _, _ := pair(t)
	if _, err := a.ChatWith(context.Background(), messaging.DeviceID{1}); !errors.Is(err, ErrNoPackage) {
		t.Fatal(err)
	}
	if _, err := a.CreateChat(context.Background()); err == nil {
		t.Fatal("a chat with nobody")
	}
	if _, err := a.CreateChat(context.Background(), a.ID()); err == nil {
		t.Fatal("a chat with itself")
	}
	if _, err := a.Send(context.Background(), messaging.NewChatID(), content.Text("x"), SendOptions{}); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
}

// mlsKeys lists the rows of a chat's group.
func (n *node) mlsKeys(chat messaging.ChatID) (all []mls.Key) {
	n.t.Helper()
	err := n.s.view(context.Background(), func(t *tx) error {
		return t.rows(`SELECT k FROM mls WHERE substr(k, 1, 16) = ?`, []any{chat[:]}, func(scan func(...any) error) error {
			var raw []byte
			if err := scan(&raw); err != nil {
				return err
			}
			k, err := mls.ParseKey(raw[len(chat):])
			all = append(all, k)
			return err
		})
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return all
}

// TestPastKeysGo checks that what was sealed in an epoch that ended cannot be opened for ever.
func TestPastKeysGo(t *testing.T) {
	t.Parallel()
	clock := newClock()
	r := newFakeRelay(t)
	r.now = clock.now
	with := func(c *Config) { c.Now = clock.now }
	a, b := newNode(t, r, "a", with).start().online(), newNode(t, r, "b", with).start().online()
	chat, ctx := a.chatWith(b), context.Background()
	past := func(n *node) (count int) {
		for _, k := range n.mlsKeys(chat) {
			if k.Row == mls.RowPast || k.Epoch == 1 {
				count++
			}
		}
		return count
	}
	if err := a.Refresh(ctx, chat); err != nil {
		t.Fatal(err)
	}
	eventually(t, "b follows", func() bool { c, _ := b.Chat(ctx, chat); return c.Epoch == 2 })
	if past(b) == 0 {
		t.Fatal("the epoch before is gone at once: messages under way are lost")
	}
	clock.add(keepEpoch + time.Minute)
	if err := b.tidy(ctx); err != nil {
		t.Fatal(err)
	}
	if n := past(b); n != 0 {
		t.Fatalf("%d rows of the epoch before are kept", n)
	}
	a.say(chat, "still here")
	b.waitTexts("still here")
}

// TestRelayLosesHandshakes has the relay lose a welcome and a commit that it had accepted and not delivered.
func TestRelayLosesHandshakes(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	c := newNode(t, r, "c").start().online()
	ctx := context.Background()
	a.say(chat, "1")
	b.waitTexts("1")
	eventually(t, "receipts", emptyOutbox(a))
	b.halt()
	c.halt()
	if err := a.Refresh(ctx, chat); err != nil {
		t.Fatal(err)
	}
	other, err := a.CreateChat(ctx, b.ID(), c.ID())
	if err != nil {
		t.Fatal(err)
	}
	a.say(chat, "2")
	a.say(other, "hello")
	eventually(t, "accepted", func() bool { return a.Stats().Unanswered == 0 })
	a.restart()
	a.online()
	r.loseStore()
	for _, n := range []*node{b, c} {
		n.Close()
		n.open()
		n.start()
	}
	eventually(t, "b has both", func() bool {
		got := b.texts()
		slices.Sort(got)
		return slices.Equal(got, []string{"1", "2", "hello"})
	})
	c.waitTexts("hello")
	eventually(t, "receipts", emptyOutbox(a))
	eventually(t, "all confirmed", func() bool { return !a.commits.unconfirmed(chat) && !a.commits.unconfirmed(other) })
	if err := b.Refresh(ctx, chat); err != nil { // the log goes on from where the relay is now
		t.Fatal(err)
	}
	b.say(chat, "3")
	a.waitTexts("3")
}
