package device

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/wire"
)

// TestDrain stops a device whose handler is at work: the handler finishes with a live context, and its answer reaches the relay.
func TestDrain(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	a, b := newNode(t, r, "a").start().online(), newNode(t, r, "b")
	began, ended := make(chan struct{}), make(chan error, 1)
	b.Handle(func(ctx context.Context, m Message) error {
		close(began)
		time.Sleep(50 * time.Millisecond) // longer than it takes for Run's context to end
		_, err := b.Send(ctx, m.Chat, content.Text("answer"), SendOptions{})
		ended <- errors.Join(err, ctx.Err())
		return err
	})
	b.start().online()
	chat := a.chatWith(b)
	a.say(chat, "question")
	<-began
	b.halt()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatal("Run returned before the handler did")
	}
	a.waitTexts("answer")
	eventually(t, "the receipt came, too", emptyOutbox(a))
	if err := b.Run(context.Background()); err == nil {
		t.Fatal("Run twice")
	}
}

// TestDrainTimeout ends the context of a handler that does not.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	a, b := newNode(t, r, "a").start().online(), newNode(t, r, "b", func(c *Config) { c.DrainTimeout = 50 * time.Millisecond })
	began := make(chan struct{}, 1)
	b.Handle(func(ctx context.Context, m Message) error {
		began <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	b.start().online()
	a.say(a.chatWith(b), "x")
	<-began
	b.halt() // returns
}

func TestOnJoin(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	a, b := newNode(t, r, "a").start().online(), newNode(t, r, "b")
	joined := make(chan Chat, 10)
	b.OnJoin(func(ctx context.Context, c Chat) {
		if _, err := b.Send(ctx, c.ID, content.Text("hello, "+c.Peer.Name), SendOptions{}); err != nil {
			t.Error(err)
		}
		joined <- c
	})
	b.start().online()
	chat := a.chatWith(b)
	a.waitTexts("hello, a")
	if c := <-joined; c.ID != chat || c.Peer.Device != a.ID() || len(joined) != 0 {
		t.Fatalf("%+v", c)
	}
}

// TestKeyPackages uses up all that are in stock at once; the device restocks, and the one of last resort fills the gap.
func TestKeyPackages(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	a, b := newNode(t, r, "a").start().online(), newNode(t, r, "b", func(c *Config) { c.KeyPackages = 4 }).start().online()
	stock := func() int { r.mu.Lock(); defer r.mu.Unlock(); return len(r.boxes[b.ID()].packages[1]) }
	if stock() != 4 {
		t.Fatalf("%d in stock", stock())
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := a.CreateChat(context.Background(), b.ID()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	eventually(t, "ten chats", func() bool { c, _ := b.Chats(context.Background()); return len(c) == 10 })
	eventually(t, "restocked", func() bool { return stock() >= 2 })
	chats, _ := b.Chats(context.Background())
	for i, c := range chats {
		a.say(c.ID, fmt.Sprint(i))
	}
	eventually(t, "all", func() bool { return len(b.texts()) == 10 })
}

// TestNoHandler keeps what comes, as handled: for programs that only look at the history.
func TestNoHandler(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	a, b := newNode(t, r, "a").start().online(), newNode(t, r, "b")
	b.Handle(nil)
	b.start().online()
	chat := a.chatWith(b)
	a.say(chat, "x")
	eventually(t, "receipt", emptyOutbox(a))
	if h, err := b.History(context.Background(), chat, 10); err != nil || len(h) != 1 || h[0].Content.Text() != "x" {
		t.Fatalf("%v %v", h, err)
	}
	b.restart() // now with the test's handler
	a.say(chat, "y")
	b.waitTexts("y")
}

// TestReceiptsRide counts frames: in a conversation, receipts travel with the answers.
func TestReceiptsRide(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	a, b := newNode(t, r, "a"), newNode(t, r, "b")
	const rounds = 20
	done := make(chan struct{})
	play := func(n *node) Handler {
		return func(ctx context.Context, m Message) error {
			if m.Content.Text() == "stop" {
				close(done)
				return nil
			}
			next := m.Content.Text() + "x"
			if len(next) > rounds {
				next = "stop"
			}
			_, err := n.Send(ctx, m.Chat, content.Text(next), SendOptions{})
			return err
		}
	}
	a.Handle(play(a))
	b.Handle(play(b))
	a.start().online()
	b.start().online()
	sends := 0
	r.set(func() { r.onSend = func(*wire.Send) wire.Frame { sends++; return nil } })
	a.say(a.chatWith(b), "x")
	<-done
	eventually(t, "receipts", func() bool { return emptyOutbox(a)() && emptyOutbox(b)() })
	r.mu.Lock()
	defer r.mu.Unlock()
	if sends > rounds+1+rounds/2 { // a slow machine may need a few apart
		t.Fatalf("%d frames for %d messages", sends, rounds+1)
	}
}

// TestManyChats has one device answer in many chats at once, each in order.
func TestManyChats(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	const peers, messages = 6, 30
	bank := newNode(t, r, "bank")
	bank.Handle(func(ctx context.Context, m Message) error {
		_, err := bank.Send(ctx, m.Chat, content.Text(m.Content.Text()), SendOptions{Key: m.ID.String()})
		return err
	})
	bank.start().online()
	var wg sync.WaitGroup
	for i := range peers {
		n := newNode(t, r, fmt.Sprint("p", i)).start().online()
		wg.Go(func() {
			var chat messaging.ChatID
			chat, err := n.ChatWith(context.Background(), bank.ID())
			if err != nil {
				t.Error(err)
				return
			}
			var want []string
			for k := range messages {
				text := fmt.Sprint(k)
				if _, err := n.Send(context.Background(), chat, content.Text(text), SendOptions{}); err != nil {
					t.Error(err)
					return
				}
				want = append(want, text)
			}
			for deadline := time.Now().Add(20 * time.Second); len(n.texts()) < messages && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			}
			if got := n.texts(); !slices.Equal(got, want) {
				t.Errorf("%s got %s", n.c.Name, strings.Join(got, " "))
			}
		})
	}
	wg.Wait()
}

// TestOutageIsLoggedOnce keeps the relay away for several attempts.
func TestOutageIsLoggedOnce(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	var buf lockedBuffer
	dials := 0
	a := newNode(t, r, "canary", func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(&buf, nil))
		dial := c.Dial
		c.Dial = func(ctx context.Context, url string) (*websocket.Conn, error) {
			r.set(func() { dials++; r.down = dials <= 3 })
			return dial(ctx, url)
		}
	}).start().online()
	eventually(t, "both lines", func() bool { return strings.Count(buf.String(), "\n") == 2 })
	if s := buf.String(); strings.Count(s, "cannot reach") != 1 || strings.Count(s, "there again") != 1 || strings.Contains(s, "canary") || strings.Contains(s, a.ID().String()) {
		t.Fatal(s)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
