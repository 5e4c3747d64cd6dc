package device

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/wire"
)

// fakeRelay is a relay in memory that speaks wire frames, and misbehaves on demand. It is for what a good relay never does; the
// conversation with the real one is tested in integration_test.go.
type fakeRelay struct {
	t   testing.TB
	id  wire.RelayID
	now func() time.Time

	mu          sync.Mutex // guards all below
	incarnation uint64
	boxes       map[messaging.DeviceID]*fakeBox
	heads       map[messaging.ChatID]uint64
	done        map[[16]byte]wire.Frame // answers given, by id of Send and Commit
	down        bool
	log         [][]byte // everything that was ever in a body, for canaries

	// hooks, all optional
	onSend    func(*wire.Send) wire.Frame         // an answer instead of doing it; nil: do it
	onCommit  func(*wire.Commit) wire.Frame       // the same
	onClaim   func(*wire.ClaimKeyPackage)         // may change it
	onDeliver func(*wire.Deliver) []*wire.Deliver // what is delivered instead
	noAnswer  func(wire.Frame) bool               // the request is done but not answered
}

type fakeBox struct {
	key      ed25519.PublicKey
	packages map[uint16][][]byte // by suite
	last     map[uint16][]byte
	run      uint64
	entries  []*wire.Deliver
	seq      uint64
	conn     *fakeConn
}

func newFakeRelay(t testing.TB) *fakeRelay {
	r := &fakeRelay{t: t, incarnation: 1, now: time.Now, boxes: map[messaging.DeviceID]*fakeBox{}, heads: map[messaging.ChatID]uint64{}, done: map[[16]byte]wire.Frame{}}
	rand.Read(r.id[:])
	return r
}

// dial is Config.Dial: a WebSocket over a pipe.
func (r *fakeRelay) dial(ctx context.Context, url string) (*websocket.Conn, error) {
	r.mu.Lock()
	down := r.down
	r.mu.Unlock()
	if down {
		return nil, net.ErrClosed
	}
	here, there := net.Pipe()
	l := &oneListener{c: there, done: make(chan struct{})}
	srv := &http.Server{Handler: http.HandlerFunc(r.serve)}
	go srv.Serve(l)
	dialer := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return here, nil }}
	ws, _, err := dialer.DialContext(ctx, url, nil)
	return ws, err
}

// oneListener hands out one connection.
type oneListener struct {
	c    net.Conn
	once sync.Once
	done chan struct{}
}

func (l *oneListener) Accept() (c net.Conn, err error) {
	l.once.Do(func() { c = l.c })
	if c != nil {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l *oneListener) Close() error   { return nil }
func (l *oneListener) Addr() net.Addr { return l.c.LocalAddr() }

type fakeConn struct {
	r    *fakeRelay
	ws   *websocket.Conn
	id   messaging.DeviceID
	out  chan wire.Frame
	gone chan struct{}
	once sync.Once
}

func (c *fakeConn) send(f wire.Frame) {
	select {
	case c.out <- f:
	case <-c.gone:
	}
}

func (c *fakeConn) close() { c.once.Do(func() { close(c.gone); c.ws.Close() }) }

func (r *fakeRelay) serve(w http.ResponseWriter, req *http.Request) {
	up := websocket.Upgrader{}
	ws, err := up.Upgrade(w, req, nil)
	if err != nil {
		return
	}
	c := &fakeConn{r: r, ws: ws, out: make(chan wire.Frame, 10000), gone: make(chan struct{})}
	defer c.close()
	go func() {
		for {
			select {
			case f := <-c.out:
				b, err := wire.Encode(f)
				if err != nil {
					r.t.Errorf("fake relay: %v", err)
				}
				if ws.WriteMessage(websocket.BinaryMessage, b) != nil {
					c.close()
				}
			case <-c.gone:
				return
			}
		}
	}()
	challenge := &wire.Challenge{Version: wire.Version, Relay: r.id, Jurisdiction: "eu"}
	rand.Read(challenge.Nonce[:])
	for {
		_, b, err := ws.ReadMessage()
		if err != nil {
			return
		}
		f, err := wire.Decode(b)
		if err != nil {
			r.t.Errorf("fake relay: from device: %v", err)
			return
		}
		switch f := f.(type) {
		case *wire.Hello:
			c.send(challenge)
		case *wire.Register:
			id, ok := f.Verify(challenge)
			if !ok {
				r.t.Error("fake relay: wrong signature")
				return
			}
			r.mu.Lock()
			if r.boxes[id] == nil {
				r.boxes[id] = &fakeBox{key: f.Key[:], packages: map[uint16][][]byte{}, last: map[uint16][]byte{}}
			}
			r.mu.Unlock()
			c.ready(id)
		case *wire.Auth:
			r.mu.Lock()
			box := r.boxes[f.Device]
			r.mu.Unlock()
			if box == nil || !f.Verify(challenge, box.key) {
				c.send(&wire.Failure{Code: wire.CodeAuth, Text: "unknown", Fatal: true})
				continue
			}
			c.ready(f.Device)
		default:
			r.frame(c, f)
		}
	}
}

func (c *fakeConn) ready(id messaging.DeviceID) {
	c.id = id
	c.r.mu.Lock()
	stock := c.r.boxes[id].stock()
	c.r.mu.Unlock()
	c.send(&wire.Ready{MaxTTL: 30 * 86400, MaxMemTTL: 600, PingEvery: 30, KeyPackages: stock})
}

// stock is what of each suite there is. The caller holds mu.
func (b *fakeBox) stock() (all []wire.Stock) {
	suites := slices.Sorted(maps.Keys(b.packages))
	for s := range b.last {
		if !slices.Contains(suites, s) {
			suites = append(suites, s)
		}
	}
	slices.Sort(suites)
	for _, s := range suites {
		all = append(all, wire.Stock{Suite: s, Count: uint32(len(b.packages[s])), LastResort: b.last[s] != nil})
	}
	return all
}

func (r *fakeRelay) frame(c *fakeConn, f wire.Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	reply := func(g wire.Frame) {
		if r.noAnswer == nil || !r.noAnswer(f) {
			c.send(g)
		}
	}
	box := r.boxes[c.id]
	switch f := f.(type) {
	case *wire.PublishKeyPackages:
		box.packages[f.Suite] = append(box.packages[f.Suite], f.Packages...)
		if f.LastResort != nil {
			box.last[f.Suite] = f.LastResort
		}
		reply(&wire.KeyPackageCount{Re: f.Req, Stock: box.stock()})
	case *wire.CountKeyPackages:
		reply(&wire.KeyPackageCount{Re: f.Req, Stock: box.stock()})
	case *wire.ClaimKeyPackage:
		if r.onClaim != nil {
			r.onClaim(f)
		}
		b := r.boxes[f.Device]
		if b == nil || len(b.stock()) == 0 {
			reply(&wire.Failure{Re: f.Req, Code: wire.CodeNoKeyPackage, Text: "none"})
			return
		}
		for _, s := range f.Suites {
			k := &wire.KeyPackage{Re: f.Req, Device: f.Device, Suite: s, Package: b.last[s], LastResort: true}
			if len(b.packages[s]) > 0 {
				k.Package, k.LastResort, b.packages[s] = b.packages[s][0], false, b.packages[s][1:]
			}
			if k.Package != nil {
				reply(k)
				return
			}
		}
		reply(&wire.Failure{Re: f.Req, Code: wire.CodeNoSuite, Text: "none of those"})
	case *wire.Send:
		r.log = append(r.log, f.Body)
		if r.onSend != nil {
			if g := r.onSend(f); g != nil {
				reply(g)
				return
			}
		}
		if r.done[f.ID] == nil {
			for _, to := range f.To {
				r.put(to, &wire.Deliver{Class: f.Class, Kind: wire.KindMessage, ID: wire.DeliveryID(c.id, f.ID), Body: f.Body}, f.TTL)
			}
			r.done[f.ID] = &wire.Accepted{ID: f.ID, Class: f.Class}
		}
		reply(&wire.Accepted{Re: f.Req, ID: f.ID, Class: f.Class})
	case *wire.Commit:
		r.log = append(r.log, f.Body, f.Welcome)
		if r.onCommit != nil {
			if g := r.onCommit(f); g != nil {
				reply(g)
				return
			}
		}
		if a, ok := r.done[f.ID].(*wire.Accepted); ok {
			reply(&wire.Accepted{Re: f.Req, ID: f.ID, Class: wire.Durable, Head: a.Head})
			return
		}
		if r.heads[f.Group] != f.Prev {
			reply(&wire.Conflict{Re: f.Req, ID: f.ID, Head: r.heads[f.Group]})
			return
		}
		r.heads[f.Group]++
		head := r.heads[f.Group]
		for _, to := range f.To {
			r.put(to, &wire.Deliver{Class: wire.Durable, Kind: wire.KindCommit, Body: f.Body, Group: f.Group, Head: head}, 0)
		}
		for _, to := range f.WelcomeTo {
			r.put(to, &wire.Deliver{Class: wire.Durable, Kind: wire.KindWelcome, Body: f.Welcome, Group: f.Group, Head: head}, 0)
		}
		r.done[f.ID] = &wire.Accepted{ID: f.ID, Class: wire.Durable, Head: head}
		reply(&wire.Accepted{Re: f.Req, ID: f.ID, Class: wire.Durable, Head: head})
	case *wire.Sync:
		if f.Durable.Incarnation != r.incarnation && f.Durable != (wire.Cursor{}) {
			c.send(&wire.Reset{Class: wire.Durable, Incarnation: r.incarnation})
		}
		if old := box.conn; old != nil {
			old.close()
		}
		box.conn = c
		for _, e := range box.entries {
			if f.Durable.Incarnation != r.incarnation || e.Cursor.Seq > f.Durable.Seq {
				r.deliver(c, e)
			}
		}
		c.send(&wire.Synced{Re: f.Req, Durable: wire.Cursor{Incarnation: r.incarnation, Seq: box.seq}, Memory: wire.Cursor{Incarnation: 1}, Run: box.run})
		box.run = max(box.run, f.Run)
	case *wire.Ping:
		c.send(&wire.Pong{Nonce: f.Nonce})
	case *wire.Ack:
		if f.Cursor.Incarnation == r.incarnation {
			box.entries = slices.DeleteFunc(box.entries, func(e *wire.Deliver) bool { return e.Cursor.Seq <= f.Cursor.Seq })
		}
	}
}

// put stores and delivers an entry. The caller holds mu.
func (r *fakeRelay) put(to messaging.DeviceID, e *wire.Deliver, ttl uint32) {
	box := r.boxes[to]
	if box == nil {
		return
	}
	if ttl == 0 {
		ttl = 30 * 86400
	}
	box.seq++
	now := r.now()
	e.Cursor = wire.Cursor{Incarnation: r.incarnation, Seq: box.seq}
	e.Class = wire.Durable // one cursor is enough here
	e.At, e.Expires = now.UnixMilli(), now.Add(time.Duration(ttl)*time.Second).UnixMilli()
	box.entries = append(box.entries, e)
	if box.conn != nil {
		r.deliver(box.conn, e)
	}
}

func (r *fakeRelay) deliver(c *fakeConn, e *wire.Deliver) {
	all := []*wire.Deliver{e}
	if r.onDeliver != nil {
		all = r.onDeliver(e)
	}
	for _, e := range all {
		c.send(e)
	}
}

// inject puts a body into a mailbox, as a relay or peer that means harm could.
func (r *fakeRelay) inject(to messaging.DeviceID, e *wire.Deliver) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.put(to, e, 0)
}

// cut ends all connections; they may come back.
func (r *fakeRelay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.boxes {
		if b.conn != nil {
			b.conn.close()
			b.conn = nil
		}
	}
}

// sever ends the connection of one device.
func (r *fakeRelay) sever(id messaging.DeviceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.boxes[id]; b != nil && b.conn != nil {
		b.conn.close()
		b.conn = nil
	}
}

// loseStore is a relay whose disk died: mailboxes and logs are empty, and the incarnation is another.
func (r *fakeRelay) loseStore() {
	r.mu.Lock()
	r.incarnation++
	for _, b := range r.boxes {
		b.entries, b.seq = nil, 0
	}
	clear(r.done)
	clear(r.heads)
	r.mu.Unlock()
	r.cut()
}

func (r *fakeRelay) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}
