package device

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
)

func testKey(t testing.TB, dir string) KeySource {
	t.Helper()
	path := filepath.Join(dir, "key")
	if err := NewKeyFile(path); err != nil {
		t.Fatal(err)
	}
	return KeyFile(path)
}

// node is a device under test with what its handler saw.
type node struct {
	*Device
	t    testing.TB
	r    *fakeRelay
	c    Config
	dead atomic.Bool // cut off for good
	mu   sync.Mutex
	got  []Message
	fail func(Message) error
	stop context.CancelFunc
	done chan error
	news chan struct{}
}

func newNode(t testing.TB, r *fakeRelay, name string, opts ...func(*Config)) *node {
	t.Helper()
	dir := t.TempDir()
	n := &node{t: t, r: r, news: make(chan struct{}, 1)}
	dial := func(ctx context.Context, url string) (*websocket.Conn, error) {
		if n.dead.Load() {
			return nil, net.ErrClosed
		}
		return r.dial(ctx, url)
	}
	n.c = Config{Path: filepath.Join(dir, "store"), Key: testKey(t, dir), RelayURL: "ws://relay/", Name: name, Dial: dial, Actor: name, DrainTimeout: 2 * time.Second}
	for _, o := range opts {
		o(&n.c)
	}
	n.open()
	t.Cleanup(func() { n.halt(); n.Close() })
	return n
}

func (n *node) open() {
	n.t.Helper()
	d, err := Open(context.Background(), n.c)
	if err != nil {
		n.t.Fatal(err)
	}
	n.Device = d
	d.Handle(func(_ context.Context, m Message) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.fail != nil {
			if err := n.fail(m); err != nil {
				return err
			}
		}
		n.got = append(n.got, m)
		select {
		case n.news <- struct{}{}:
		default:
		}
		return nil
	})
}

// start runs the device in the background.
func (n *node) start() *node {
	ctx, stop := context.WithCancel(context.Background())
	n.stop, n.done = stop, make(chan error, 1)
	d := n.Device
	done := n.done
	go func() { done <- d.Run(ctx) }()
	return n
}

// halt ends Run and waits for it.
func (n *node) halt() {
	if n.stop == nil {
		return
	}
	n.stop()
	n.stop = nil
	if err := <-n.done; err != nil {
		n.t.Errorf("%s: Run: %v", n.c.Name, err)
	}
}

// restart closes the store and opens it again, as a new process would.
func (n *node) restart() {
	n.t.Helper()
	n.halt()
	if err := n.Close(); err != nil {
		n.t.Fatal(err)
	}
	n.open()
	n.start()
}

func (n *node) online() *node {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.WaitOnline(ctx); err != nil {
		n.t.Fatal("not online: ", err)
	}
	return n
}

func (n *node) texts() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, m := range n.got {
		out = append(out, m.Content.Text())
	}
	return out
}

// distinct is texts without the repetitions that a handler may see after a crash.
func (n *node) distinct() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	seen := map[messaging.MessageID]bool{}
	for _, m := range n.got {
		if !seen[m.ID] {
			seen[m.ID] = true
			out = append(out, m.Content.Text())
		}
	}
	return out
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

func (n *node) waitTexts(want ...string) {
	n.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		got := n.texts()
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) || len(got) > len(want) {
			n.t.Fatalf("%s got %q, want %q", n.c.Name, got, want)
		}
	}
}

func (n *node) say(chat messaging.ChatID, text string) messaging.MessageID {
	n.t.Helper()
	id, err := n.Send(context.Background(), chat, content.Text(text), SendOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	return id
}

func (n *node) chatWith(peers ...*node) messaging.ChatID {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var ids []messaging.DeviceID
	for _, p := range peers {
		ids = append(ids, p.ID())
	}
	id, err := n.CreateChat(ctx, ids...)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, p := range peers {
		eventually(n.t, p.c.Name+" joins", func() bool { _, err := p.Chat(context.Background(), id); return err == nil })
	}
	return id
}

func pair(t testing.TB) (*fakeRelay, *node, *node, messaging.ChatID) {
	t.Helper()
	r := newFakeRelay(t)
	a, b := newNode(t, r, "a").start().online(), newNode(t, r, "b").start().online()
	return r, a, b, a.chatWith(b)
}

func emptyOutbox(n *node) func() bool { return func() bool { return n.Stats().Outbox == 0 } }

func TestConversation(t *testing.T) {
	t.Parallel()
	_, a, b, chat := pair(t)
	for i := range 5 {
		a.say(chat, fmt.Sprint("a", i))
	}
	b.waitTexts("a0", "a1", "a2", "a3", "a4")
	m := b.got[0]
	if m.Sender != (messaging.Member{Device: a.ID(), Name: "a"}) || m.Chat != chat || m.Own || time.Since(m.SentAt) > time.Minute {
		t.Fatalf("message %+v", m)
	}
	reply, err := b.Send(context.Background(), chat, content.Reply(m.ID, "hi"), SendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a.waitTexts("hi")
	if got := a.got[0]; got.ID != reply || *got.Content.InReplyTo != m.ID {
		t.Fatalf("reply %+v", got)
	}
	eventually(t, "receipts", emptyOutbox(a))
	eventually(t, "receipts", emptyOutbox(b))
	h, err := a.History(context.Background(), chat, 3)
	if err != nil || len(h) != 3 || h[2].Content.Text() != "hi" || !h[1].Own || h[1].Content.Text() != "a4" {
		t.Fatalf("history %v %v", h, err)
	}
	c, err := a.Chat(context.Background(), chat)
	if err != nil || c.Peer.Device != b.ID() || c.Peer.Name != "b" || len(c.Members) != 2 {
		t.Fatalf("chat %+v %v", c, err)
	}
	if same, err := b.ChatWith(context.Background(), a.ID()); err != nil || same != chat {
		t.Fatalf("ChatWith made another: %v", err)
	}
	ba, _ := a.Binding(context.Background(), chat, "x")
	bb, _ := b.Binding(context.Background(), chat, "x")
	if ba != bb || ba.Secret == [32]byte{} {
		t.Fatal("bindings differ")
	}
}

func TestSendWhileOffline(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	r.set(func() { r.down = true })
	r.cut()
	eventually(t, "offline", func() bool { return !a.line.online() })
	a.say(chat, "1")
	a.say(chat, "2")
	a.restart()
	a.say(chat, "3")
	r.set(func() { r.down = false })
	b.waitTexts("1", "2", "3")
	eventually(t, "receipts", emptyOutbox(a))
}

func TestSendKey(t *testing.T) {
	t.Parallel()
	_, a, b, chat := pair(t)
	send := func() messaging.MessageID {
		id, err := a.Send(context.Background(), chat, content.Text("once"), SendOptions{Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first := send()
	if send() != first {
		t.Fatal("another id")
	}
	a.restart()
	if send() != first {
		t.Fatal("another id after a restart")
	}
	a.say(chat, "end")
	b.waitTexts("once", "end")
}

func TestHandler(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	a, b, c := newNode(t, r, "a"), newNode(t, r, "b").start().online(), newNode(t, r, "c").start().online()
	var calls []string
	broken := true
	a.fail = func(m Message) error {
		calls = append(calls, m.Content.Text())
		if m.Content.Text() == "panic" && broken {
			panic("x")
		}
		if m.Sender.Device == b.ID() && broken {
			return errors.New("not now")
		}
		return nil
	}
	a.start().online()
	ab, ac := a.chatWith(b), a.chatWith(c)
	b.say(ab, "b1")
	b.say(ab, "panic")
	eventually(t, "first call", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return len(calls) > 0 })
	c.say(ac, "c1") // another chat is not held up
	a.waitTexts("c1")
	a.restart() // not handled yet: comes again
	a.mu.Lock()
	if slices.Contains(calls, "panic") {
		t.Error("called before the one before it was handled")
	}
	broken = false
	a.mu.Unlock()
	a.waitTexts("c1", "b1", "panic")
}

func TestGroup(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	var all []*node
	for _, name := range []string{"a", "b", "c", "d"} {
		all = append(all, newNode(t, r, name).start().online())
	}
	a, b, c, d := all[0], all[1], all[2], all[3]
	ctx := context.Background()
	chat := a.chatWith(b, c)
	a.say(chat, "hello")
	b.waitTexts("hello")
	c.waitTexts("hello")
	if err := b.Add(ctx, chat, d.ID()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "d joins", func() bool { _, err := d.Chat(ctx, chat); return err == nil })
	eventually(t, "a follows", func() bool { m, _ := a.Members(ctx, chat); return len(m) == 4 })
	a.say(chat, "welcome")
	d.waitTexts("welcome")
	eventually(t, "receipts of three", emptyOutbox(a))
	if err := a.Remove(ctx, chat, c.ID()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "c is out", func() bool { _, err := c.Chat(ctx, chat); return errors.Is(err, ErrLeft) })
	if _, err := c.Send(ctx, chat, content.Text("x"), SendOptions{}); !errors.Is(err, ErrLeft) {
		t.Fatalf("c can send: %v", err)
	}
	b.say(chat, "without c")
	d.waitTexts("welcome", "without c")
	for _, n := range []*node{a, b, d} {
		if err := n.Refresh(ctx, chat); err != nil {
			t.Fatal(err)
		}
	}
	d.say(chat, "fresh")
	b.waitTexts("hello", "welcome", "fresh")
	if got := strings.Join(c.texts(), " "); got != "hello welcome" {
		t.Fatalf("c read %q", got)
	}
	if err := a.Add(ctx, chat, c.ID()); err != nil {
		t.Fatal(err)
	}
	a.say(chat, "back")
	c.waitTexts("hello", "welcome", "back")
}

// TestConcurrentCommits lets all members change the chat at once: each change takes effect once, and all agree.
func TestConcurrentCommits(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	a, b, c := newNode(t, r, "a").start().online(), newNode(t, r, "b").start().online(), newNode(t, r, "c").start().online()
	chat := a.chatWith(b, c)
	var wg sync.WaitGroup
	for _, n := range []*node{a, b, c} {
		wg.Go(func() {
			for range 3 {
				if err := n.Refresh(context.Background(), chat); err != nil {
					t.Errorf("%s: %v", n.c.Name, err)
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "all in epoch 10", func() bool {
		for _, n := range []*node{a, b, c} {
			if c, err := n.Chat(context.Background(), chat); err != nil || c.Epoch != 10 {
				return false
			}
		}
		return true
	})
	x, _ := a.Binding(context.Background(), chat, "x")
	for _, n := range []*node{b, c} {
		if y, _ := n.Binding(context.Background(), chat, "x"); x != y {
			t.Fatal("members disagree")
		}
	}
}
