package relay

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"path/filepath"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/relay/bench"
	"github.com/parleypay/parley/messaging/wire"
)

// running is a relay on a loopback port and a folder of its own.
type running struct {
	t    *testing.T
	r    *Relay
	cfg  Config
	stop context.CancelFunc
	done chan error
}

func start(t *testing.T, cfg Config) *running {
	t.Helper()
	if cfg.StoreDir == "" {
		cfg.StoreDir = filepath.Join(t.TempDir(), "relay")
	}
	cfg.UnsafeTempStore = true
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.StoreMaxBytes == 0 {
		cfg.StoreMaxBytes = 256 << 20
	}
	x := &running{t: t, cfg: cfg}
	x.up()
	t.Cleanup(func() {
		if x.stop != nil {
			x.down()
		}
	})
	return x
}

func (x *running) up() {
	x.t.Helper()
	r, err := New(x.cfg)
	if err != nil {
		x.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	x.r, x.stop, x.done = r, cancel, make(chan error, 1)
	go func() { x.done <- r.Run(ctx) }()
}

func (x *running) down() {
	x.t.Helper()
	x.stop()
	if err := <-x.done; err != nil {
		x.t.Errorf("Run: %v", err)
	}
	x.stop = nil
}

func (x *running) url() string { return "ws://" + x.r.Addr() }

func newKey() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func idOf(key ed25519.PrivateKey) messaging.DeviceID {
	return messaging.DeviceIDOf(key.Public().(ed25519.PublicKey))
}

// client is a device whose every wait ends in 10 s.
type client struct {
	*bench.Client
	t   *testing.T
	req uint64
}

func (x *running) dial(key ed25519.PrivateKey) *client {
	x.t.Helper()
	c, err := bench.Dial(context.Background(), x.url(), key, "", nil)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { c.Close() })
	return &client{c, x.t, 0}
}

// raw is a connection on which nothing has been said.
func (x *running) raw() *client {
	x.t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial(x.url()+wire.Path, nil)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { ws.Close() })
	return &client{&bench.Client{WS: ws}, x.t, 0}
}

func (c *client) write(f wire.Frame) {
	c.t.Helper()
	if err := c.Write(f); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) read() wire.Frame {
	c.t.Helper()
	c.WS.SetReadDeadline(time.Now().Add(10 * time.Second))
	f, err := c.Read()
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

func want[F wire.Frame](c *client) F {
	c.t.Helper()
	f := c.read()
	g, ok := f.(F)
	if !ok {
		c.t.Fatalf("got %v %+v, want %v", f.Type(), f, g.Type())
	}
	return g
}

func (c *client) wantFailure(code wire.Code) *wire.Failure {
	c.t.Helper()
	f := want[*wire.Failure](c)
	if f.Code != code {
		c.t.Fatalf("got failure %v %q, want %v", f.Code, f.Text, code)
	}
	return f
}

func (c *client) nextReq() uint64 { c.req++; return c.req }

func randomID() (id [16]byte) { rand.Read(id[:]); return id }

func (c *client) message(to messaging.DeviceID, body string) *wire.Send {
	return &wire.Send{Req: c.nextReq(), ID: randomID(), To: []messaging.DeviceID{to}, Class: wire.Durable, Body: []byte(body)}
}

// sync asks for delivery and returns what was waiting and where it ends.
func (c *client) sync(durable, memory wire.Cursor) ([]*wire.Deliver, *wire.Synced) {
	c.t.Helper()
	c.write(&wire.Sync{Req: c.nextReq(), Durable: durable, Memory: memory})
	var got []*wire.Deliver
	for {
		switch f := c.read().(type) {
		case *wire.Deliver:
			got = append(got, f)
		case *wire.Synced:
			return got, f
		case *wire.Reset:
		default:
			c.t.Fatalf("got %v %+v while syncing", f.Type(), f)
		}
	}
}

func TestMessageTravels(t *testing.T) {
	x := start(t, Config{})
	ka, kb := newKey(), newKey()
	a, b := x.dial(ka), x.dial(kb)
	got, _ := b.sync(wire.Cursor{}, wire.Cursor{})
	if len(got) != 0 {
		t.Fatalf("a new mailbox holds %d entries", len(got))
	}
	m := a.message(idOf(kb), "live")
	a.write(m)
	if acc := want[*wire.Accepted](a); acc.Re != m.Req || acc.ID != m.ID || acc.Class != wire.Durable {
		t.Errorf("accepted %+v", acc)
	}
	d := want[*wire.Deliver](b)
	if string(d.Body) != "live" || d.ID != wire.DeliveryID(idOf(ka), m.ID) || d.Kind != wire.KindMessage || d.Expires-d.At != x.r.cfg.TTLMax.Milliseconds() {
		t.Errorf("delivered %+v", d)
	}
	a.write(m) // a repetition is acknowledged and not delivered again
	want[*wire.Accepted](a)
	b.Close()
	m2 := a.message(idOf(kb), "stored")
	a.write(m2)
	want[*wire.Accepted](a)
	b = x.dial(kb)
	got, _ = b.sync(d.Cursor, wire.Cursor{})
	if len(got) != 1 || string(got[0].Body) != "stored" {
		t.Fatalf("after the cursor came %d entries", len(got))
	}
	x.down()
	x.up()
	b = x.dial(kb)
	got, _ = b.sync(d.Cursor, wire.Cursor{})
	if len(got) != 1 || string(got[0].Body) != "stored" {
		t.Fatalf("after a restart came %d entries", len(got))
	}
}
