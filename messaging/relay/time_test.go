package relay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/relay/bench"
	"github.com/parleypay/parley/messaging/wire"
)

// pipes is a listener without sockets, so that fake time passes when everybody waits.
type pipes struct {
	ch   chan net.Conn
	done chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.ch:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.ch <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// bubble runs f with a real relay on files, inside fake time.
func bubble(t *testing.T, cfg Config, f func(t *testing.T, dial func(key []byte) *client)) {
	ats.Register() // the server's access clock listens on a global channel, which would keep the bubble awake
	defer ats.Unregister()
	real := time.Now()
	cfg.StoreDir, cfg.UnsafeTempStore, cfg.StoreMaxBytes = filepath.Join(t.TempDir(), "relay"), true, 64<<20
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(real) + 24*time.Hour) // that clock stands still at the real time; what is younger is not dropped by MaxAge
		r, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		l := &pipes{make(chan net.Conn), make(chan struct{})}
		done := make(chan error)
		go func() { done <- r.Serve(ctx, l) }()
		var open []*bench.Client
		f(t, func(key []byte) *client {
			c, err := bench.Dial(ctx, "ws://relay", key, "", l.dial)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, c)
			return &client{c, t, 0}
		})
		for _, c := range open {
			c.Close()
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestExpiry(t *testing.T) {
	bubble(t, Config{TTLMax: 48 * time.Hour}, func(t *testing.T, dial func([]byte) *client) {
		a, kb := dial(newKey()), newKey()
		dial(kb).Close()
		to := idOf(kb)
		for i, ttl := range []uint32{1, 60, 600, 86400, 0} {
			for _, class := range []wire.Class{wire.Durable, wire.Memory} {
				if class == wire.Memory && ttl > 600 {
					continue
				}
				m := a.message(to, fmt.Sprint(i))
				m.TTL, m.Class = ttl, class
				a.write(m)
				want[*wire.Accepted](a)
			}
		}
		begin := time.Now()
		count := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(time.Until(begin.Add(after)))
			c := dial(kb)
			got, _ := c.sync(wire.Cursor{}, wire.Cursor{})
			if len(got) != want {
				t.Errorf("after %v there are %d entries, want %d", after, len(got), want)
			}
			for _, d := range got {
				if d.Expires <= time.Now().UnixMilli() {
					t.Errorf("after %v came an entry that had expired", after)
				}
			}
			c.Close()
		}
		go func() { // keeps the sender's connection alive
			for {
				if _, err := a.Read(); err != nil {
					return
				}
			}
		}()
		count(500*time.Millisecond, 9)
		count(2*time.Second, 7)
		count(61*time.Second, 5)
		count(601*time.Second, 2) // the memory class with TTL 0 too
		count(86401*time.Second, 1)
		count(48*time.Hour+time.Second, 0)
	})
}

// A head outlives everything, so that no handshake log can begin anew. In real time: the server's clock for MaxAge does not follow a bubble's.
func TestHeadsDoNotExpire(t *testing.T) {
	t.Parallel()
	x := start(t, Config{TTLMax: time.Second})
	a, group := x.dial(newKey()), messaging.NewChatID()
	a.write(&wire.Commit{Req: 1, ID: randomID(), Group: group, Body: []byte("first"), To: []messaging.DeviceID{a.Device}})
	want[*wire.Accepted](a)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		info, err := x.r.store.streams[streamMBX].Info(context.Background())
		if err != nil || time.Now().After(end) {
			t.Fatal("the mailbox entry does not expire", err)
		}
		if info.State.Msgs == 0 {
			break
		}
	}
	a.write(&wire.Commit{Req: 2, ID: randomID(), Group: group, Body: []byte("again")})
	if c := want[*wire.Conflict](a); c.Head != 1 {
		t.Errorf("%+v", c)
	}
}

// A device that says nothing is cut off after PongTimeout, one that only answers pings is not.
func TestSilence(t *testing.T) {
	bubble(t, Config{HandshakeTimeout: 5 * time.Second}, func(t *testing.T, dial func([]byte) *client) {
		alive, dead := dial(newKey()), dial(newKey())
		dead.WS.SetPingHandler(func(string) error { return nil })
		ended := map[*client]time.Duration{}
		begin := time.Now()
		done := make(chan *client)
		for _, c := range []*client{alive, dead} {
			go func() {
				c.WS.SetReadDeadline(time.Now().Add(20 * time.Hour))
				c.Read()
				done <- c
			}()
		}
		for range 2 {
			c := <-done
			ended[c] = time.Since(begin)
		}
		if ended[dead] != 60*time.Second || ended[alive] != 20*time.Hour {
			t.Errorf("the silent device ended after %v, the living one after %v", ended[dead], ended[alive])
		}
	})
}

// A device that reads nothing is cut off after WriteTimeout, holds up nobody, and finds everything when it comes back.
func TestSlowSocket(t *testing.T) {
	bubble(t, Config{PongTimeout: time.Hour}, func(t *testing.T, dial func([]byte) *client) {
		a, kb, kc := dial(newKey()), newKey(), newKey()
		b, c := dial(kb), dial(kc)
		b.sync(wire.Cursor{}, wire.Cursor{})
		c.sync(wire.Cursor{}, wire.Cursor{})
		begin := time.Now()
		const n = 40
		for i := range n {
			m := a.message(idOf(kc), fmt.Sprint(i))
			m.To = append(m.To, idOf(kb))
			a.write(m)
			want[*wire.Accepted](a)
			want[*wire.Deliver](c)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("others waited %v for the slow device", took)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if _, err := b.Read(); err == nil { // a pipe holds nothing back, so that the first write already timed out
			t.Error("the slow device is still connected")
		}
		b = dial(kb)
		got, _ := b.sync(wire.Cursor{}, wire.Cursor{})
		if len(got) != n {
			t.Fatalf("the slow device finds %d entries, want %d", len(got), n)
		}
		for i, d := range got {
			if string(d.Body) != fmt.Sprint(i) {
				t.Fatalf("entry %d is %q", i, d.Body)
			}
		}
	})
}

// Twenty hours of coming and going: nothing is lost, nothing comes twice, the order stays.
func TestReconnectResumes(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, dial func([]byte) *client) {
		rng := rand.New(rand.NewPCG(1, 2))
		ka, kb := newKey(), newKey()
		dial(kb).Close()
		var cursor wire.Cursor
		next, sent := 0, 0
		for round := range 60 {
			time.Sleep(time.Duration(rng.IntN(40)) * time.Minute)
			a := dial(ka)
			for range rng.IntN(20) {
				a.write(a.message(idOf(kb), fmt.Sprint(sent)))
				want[*wire.Accepted](a)
				sent++
			}
			a.Close()
			if round%2 == 0 {
				continue
			}
			b := dial(kb)
			b.write(&wire.Sync{Req: 1, Durable: cursor})
			for stop := rng.IntN(50); stop > 0; stop-- { // sometimes it goes away in the middle
				f := b.read()
				if _, done := f.(*wire.Synced); done {
					break
				}
				d, ok := f.(*wire.Deliver)
				if !ok {
					t.Fatalf("got %+v", f)
				}
				if string(d.Body) != fmt.Sprint(next) {
					t.Fatalf("got %q, want %d", d.Body, next)
				}
				next++
				cursor = d.Cursor
				if rng.IntN(3) == 0 {
					b.write(&wire.Ack{Class: wire.Durable, Cursor: cursor})
				}
			}
			b.Close()
		}
		got, _ := dial(kb).sync(cursor, wire.Cursor{})
		if len(got) != sent-next || sent < 100 {
			t.Errorf("%d sent, %d received, %d left", sent, next, len(got))
		}
	})
}
