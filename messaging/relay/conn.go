package relay

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/relay/mailbox"
	"github.com/parleypay/parley/messaging/wire"
)

// Bounds of one connection that no configuration changes.
const (
	outMax       = 2048             // frames that wait for the socket, beyond what the core's window lets through
	messageTime  = 10 * time.Second // from a message's first fragment to its last
	readsMax     = 512              // pieces in which a message may come
	controlRate  = 5                // pings and pongs per second
	controlBurst = 20
)

// conn is one WebSocket. One goroutine reads it and runs the device's requests, another writes it.
type conn struct {
	r       *Relay
	ws      *websocket.Conn
	addr    string
	id      mailbox.ConnID
	device  messaging.DeviceID
	frames  *rate.Limiter
	control *rate.Limiter
	idle    bool // of the reader: it waits for a message to begin

	mu     sync.Mutex
	out    []outgoing
	wake   chan struct{} // has room for one
	ending bool          // nothing is added to out any more; the writer closes after the rest
	stop   chan struct{} // closed when the reader has ended
}

type outgoing struct {
	frame   wire.Frame
	class   wire.Class // of a Deliver, else 0
	octets  int
	closing int // WebSocket close code, after which the connection ends
}

var buffers sync.Pool // of the WebSockets' write buffers

// Handler serves the WebSocket endpoint at wire.Path.
func (r *Relay) Handler() http.Handler {
	up := websocket.Upgrader{
		ReadBufferSize: 2048, WriteBufferSize: 4096, WriteBufferPool: &buffers, HandshakeTimeout: 5 * time.Second,
		CheckOrigin: func(*http.Request) bool { return true }, // there are no cookies: the device signs
		Error:       func(w http.ResponseWriter, _ *http.Request, status int, _ error) { w.WriteHeader(status) },
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wire.Path, func(w http.ResponseWriter, req *http.Request) {
		addr := addrOf(req.RemoteAddr)
		if !r.limits.enter(addr) {
			r.metrics.refuse(wire.CodeRate)
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		defer r.limits.leave(addr)
		if r.isDraining() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		ws, err := up.Upgrade(w, req, nil)
		if err != nil {
			return
		}
		c := &conn{
			r: r, ws: ws, addr: addr, wake: make(chan struct{}, 1), stop: make(chan struct{}),
			frames:  rate.NewLimiter(rate.Limit(r.cfg.DeviceRate), max(1, int(2*r.cfg.DeviceRate))),
			control: rate.NewLimiter(controlRate, controlBurst),
		}
		if !r.admit(c) {
			ws.Close()
			return
		}
		defer r.dismiss(c)
		c.serve()
	})
	return mux
}

// admit takes a socket in, unless the relay is stopping; dismiss lets it go.
func (r *Relay) admit(c *conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining {
		return false
	}
	r.serving.Add(1)
	r.sockets[c] = struct{}{}
	return true
}

func (r *Relay) dismiss(c *conn) {
	r.mu.Lock()
	delete(r.sockets, c)
	r.mu.Unlock()
	r.serving.Done()
}

// serve runs the connection to its end.
func (c *conn) serve() {
	c.ws.SetReadLimit(wire.MaxFrame)
	c.ws.SetPingHandler(func(data string) error {
		if err := c.alive(); err != nil {
			return err
		}
		err := c.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(c.r.cfg.WriteTimeout))
		var timeout net.Error
		if errors.Is(err, websocket.ErrCloseSent) || errors.As(err, &timeout) && timeout.Timeout() {
			return nil
		}
		return err
	})
	c.ws.SetPongHandler(func(string) error { return c.alive() })
	written := make(chan struct{})
	go func() {
		defer close(written)
		c.write()
	}()
	err := c.read()
	c.r.leave(c)
	var p *problem
	if errors.As(err, &p) { // else gorilla has answered the fault itself, or the peer is gone
		c.finish(p.closing, &wire.Failure{Code: p.code, Text: p.text, Fatal: true})
	}
	close(c.stop)
	<-written
	c.ws.Close()
}

// alive takes a ping or pong as a sign of life. It runs on the reader's goroutine.
func (c *conn) alive() error {
	if !c.control.Allow() {
		return errFlood
	}
	if c.idle {
		c.ws.SetReadDeadline(time.Now().Add(c.r.cfg.PongTimeout))
	}
	return nil
}

// problem is why the relay ends a connection: a last frame for the device, and a close code for its WebSocket.
type problem struct {
	closing int
	code    wire.Code
	text    string
}

func (p *problem) Error() string { return p.text }

var (
	errFlood = &problem{websocket.ClosePolicyViolation, wire.CodeRate, "too many frames"}
	errText  = &problem{websocket.CloseUnsupportedData, wire.CodeBadFrame, "frames are binary messages"}
	errParts = &problem{websocket.ClosePolicyViolation, wire.CodeRate, "a message in too many pieces"}
)

// read runs the handshake and then the device's requests, until the connection ends. The error says how, and is never nil.
func (c *conn) read() error {
	if err := c.handshake(); err != nil {
		return err
	}
	for {
		c.ws.SetReadDeadline(time.Now().Add(c.r.cfg.PongTimeout))
		c.idle = true
		raw, err := c.message()
		if err != nil {
			return err
		}
		f, err := decode(raw)
		if err != nil {
			return err
		}
		if !c.frames.Allow() {
			if !c.control.Allow() { // a device that does not slow down when it is refused
				return errFlood
			}
			if req := request(f); req != 0 {
				c.refuse(req, wire.CodeRate, "too many requests")
			}
			continue
		}
		if err := c.handle(f); err != nil {
			return err
		}
	}
}

// next reads one frame of the handshake before the deadline.
func (c *conn) next(deadline time.Time) (wire.Frame, error) {
	c.ws.SetReadDeadline(deadline)
	raw, err := c.message()
	if err != nil {
		return nil, err
	}
	return decode(raw)
}

func decode(raw []byte) (wire.Frame, error) {
	f, err := wire.Decode(raw)
	if err != nil {
		return nil, &problem{websocket.CloseProtocolError, wire.CodeBadFrame, err.Error()}
	}
	return f, nil
}

// message reads one binary message. If the connection was idle, the message has messageTime from its first fragment on.
func (c *conn) message() ([]byte, error) {
	kind, rd, err := c.ws.NextReader()
	if err != nil {
		return nil, err
	}
	if kind != websocket.BinaryMessage {
		return nil, errText
	}
	if c.idle {
		c.idle = false
		c.ws.SetReadDeadline(time.Now().Add(messageTime))
	}
	return readMessage(rd)
}

// readMessage reads all of a message in at most readsMax pieces. The WebSocket's read limit bounds its length.
func readMessage(rd io.Reader) ([]byte, error) {
	b := make([]byte, 0, 1024)
	for range readsMax {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := rd.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errParts
}

// send queues a frame. It never waits: a device that does not read its answers is cut off.
func (c *conn) send(f wire.Frame) { c.put(outgoing{frame: f}) }

// deliver queues a mailbox entry.
func (c *conn) deliver(d mailbox.Deliver) {
	e := &d.Entry
	c.put(outgoing{class: d.Class, octets: len(e.Body), frame: &wire.Deliver{
		Class: d.Class, Cursor: wire.Cursor{Incarnation: d.Incarnation, Seq: e.Seq}, Kind: e.Kind, ID: e.ID,
		At: e.At, Expires: e.Expires, Body: e.Body, Group: e.Group, Head: e.Head,
	}})
}

func (c *conn) put(o outgoing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending {
		return
	}
	if len(c.out) >= outMax && o.closing == 0 {
		c.ending = true
		c.ws.NetConn().Close() // it reads nothing, so it would not read a farewell either
		return
	}
	c.out = append(c.out, o)
	c.ending = o.closing != 0
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *conn) refuse(req uint64, code wire.Code, text string) {
	c.r.metrics.refuse(code)
	c.send(&wire.Failure{Re: req, Code: code, Text: text})
}

// finish queues a last frame and the close of the WebSocket.
func (c *conn) finish(closing int, f *wire.Failure) {
	c.r.metrics.close(f.Code)
	c.put(outgoing{frame: f, closing: closing})
}

// end tells the device why, and ends the connection after what is queued was written.
func (c *conn) end(code wire.Code, text string) {
	closing := websocket.ClosePolicyViolation
	if code == wire.CodeDraining {
		closing = websocket.CloseGoingAway
	}
	c.finish(closing, &wire.Failure{Code: code, Text: text, Fatal: true})
}

// cut ends the connection at once.
func (c *conn) cut() { c.ws.NetConn().Close() }

// write sends what is queued, and pings, until the connection ends.
func (c *conn) write() {
	ping := time.NewTicker(c.r.cfg.PingEvery)
	defer ping.Stop()
	var nonce uint64
	for {
		c.mu.Lock()
		out := c.out
		c.out = nil
		c.mu.Unlock()
		if !c.flush(out) {
			c.cut() // wakes the reader
			return
		}
		select {
		case <-c.wake:
		case <-ping.C:
			nonce++
			var data [8]byte
			binary.BigEndian.PutUint64(data[:], nonce)
			if c.ws.WriteControl(websocket.PingMessage, data[:], time.Now().Add(c.r.cfg.WriteTimeout)) != nil {
				c.cut()
				return
			}
		case <-c.stop:
			c.mu.Lock()
			out := c.out
			c.out, c.ending = nil, true
			c.mu.Unlock()
			c.flush(out)
			return
		}
	}
}

// flush writes the frames and tells the core of the deliveries. It reports whether the connection goes on.
func (c *conn) flush(out []outgoing) bool {
	var done mailbox.Written
	defer func() {
		if done.Frames > 0 {
			done.Conn = c.id
			c.r.step(done)
		}
	}()
	for _, o := range out {
		c.ws.SetWriteDeadline(time.Now().Add(c.r.cfg.WriteTimeout))
		b, err := wire.Encode(o.frame)
		if err == nil {
			err = c.ws.WriteMessage(websocket.BinaryMessage, b)
		}
		if err != nil {
			return false
		}
		if o.class != 0 {
			c.r.metrics.deliver(o.class, 1)
			done.Frames++
			done.Octets += o.octets
		}
		if o.closing != 0 {
			text := o.frame.(*wire.Failure).Code.String()
			c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(o.closing, text), time.Now().Add(c.r.cfg.WriteTimeout))
			return false
		}
	}
	return true
}
