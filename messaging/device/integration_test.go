package device

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/relay"
)

// realRelay runs the relay itself, on a port that stays the same over restarts.
type realRelay struct {
	t    testing.TB
	c    relay.Config
	addr string
	stop context.CancelFunc
	done chan error
}

func newRealRelay(t testing.TB) *realRelay {
	t.Helper()
	r := &realRelay{t: t, c: relay.Config{StoreDir: filepath.Join(t.TempDir(), "relay"), UnsafeTempStore: true}, addr: "127.0.0.1:0"}
	r.start()
	t.Cleanup(r.halt)
	return r
}

func (r *realRelay) start() {
	r.t.Helper()
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.addr = l.Addr().String()
	rel, err := relay.New(r.c)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop, r.done = stop, make(chan error, 1)
	go func() {
		err := rel.Serve(ctx, l)
		if e := rel.Close(); err == nil {
			err = e
		}
		r.done <- err
	}()
}

func (r *realRelay) halt() {
	if r.stop == nil {
		return
	}
	r.stop()
	r.stop = nil
	if err := <-r.done; err != nil {
		r.t.Error("relay: ", err)
	}
}

func newRealNode(t testing.TB, r *realRelay, name string) *node {
	return newNode(t, newFakeRelay(t), name, func(c *Config) { c.Dial, c.RelayURL = nil, "ws://"+r.addr })
}

func TestWithRelay(t *testing.T) {
	t.Parallel()
	r := newRealRelay(t)
	a, b, c := newRealNode(t, r, "a").start().online(), newRealNode(t, r, "b").start().online(), newRealNode(t, r, "c").start().online()
	ctx := context.Background()
	chat, group := a.chatWith(b), b.chatWith(a, c)
	a.say(chat, "1")
	b.waitTexts("1")
	c.say(group, "hello")
	a.waitTexts("hello")
	b.waitTexts("1", "hello")

	// All commit at once; the relay orders them.
	var wg sync.WaitGroup
	for _, n := range []*node{a, b, c} {
		wg.Go(func() {
			if err := n.Refresh(ctx, group); err != nil {
				t.Errorf("%s: %v", n.c.Name, err)
			}
		})
	}
	wg.Wait()
	c.say(group, "after")
	a.waitTexts("hello", "after")

	// The relay restarts; devices come back by themselves, and what was sent meanwhile arrives.
	r.halt()
	a.say(chat, "2")
	b.halt()
	r.start()
	a.say(chat, "3")
	b.Close()
	b.open()
	b.start()
	b.waitTexts("1", "hello", "after", "2", "3")
	for _, n := range []*node{a, b, c} {
		eventually(t, "receipts of "+n.c.Name, emptyOutbox(n))
		if s := n.Stats(); s.Bad != 0 {
			t.Errorf("%s: %+v", n.c.Name, s)
		}
	}

	// A message in memory.
	if _, err := a.Send(ctx, chat, content.Text("quick"), SendOptions{Memory: true, TTL: time.Minute}); err != nil {
		t.Fatal(err)
	}
	b.waitTexts("1", "hello", "after", "2", "3", "quick")
	if _, err := a.Send(ctx, chat, content.Text("x"), SendOptions{Memory: true, TTL: time.Hour}); err == nil {
		t.Fatal("in memory for an hour")
	}
	if err := a.Remove(ctx, group, c.ID()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "c left", func() bool { _, err := c.Chat(ctx, group); return err == ErrLeft })
}

// BenchmarkRoundTrip has one device answer messages in many chats, as a bank's does, through the real relay.
func BenchmarkRoundTrip(b *testing.B) {
	const chats = 16
	r := newRealRelay(b)
	bank := newRealNode(b, r, "bank")
	bank.Handle(func(ctx context.Context, m Message) error {
		_, err := bank.Send(ctx, m.Chat, content.Reply(m.ID, "ok"), SendOptions{})
		return err
	})
	bank.start().online()
	var peers []*node
	var ids []messaging.ChatID
	answers := make(chan struct{}, 1000)
	for i := range chats {
		n := newRealNode(b, r, fmt.Sprint("peer", i))
		n.Handle(func(context.Context, Message) error { answers <- struct{}{}; return nil })
		n.start().online()
		peers, ids = append(peers, n), append(ids, n.chatWith(bank))
	}
	inFlight := make(chan struct{}, 64)
	b.ResetTimer()
	var wg sync.WaitGroup
	wg.Go(func() {
		for range b.N {
			<-answers
			<-inFlight
		}
	})
	for i := range b.N {
		inFlight <- struct{}{}
		wg.Go(func() { peers[i%chats].say(ids[i%chats], "hello") })
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "roundtrips/s")
	s := bank.Stats()
	b.Logf("bank: %+v", s)
}
