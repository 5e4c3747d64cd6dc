package device

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleypay/parley/messaging/device/outbox"
	"github.com/parleypay/parley/messaging/wire"
)

// Time limits of one connection.
const (
	helloTimeout  = 10 * time.Second
	answerTimeout = 30 * time.Second
	writeTimeout  = 10 * time.Second
)

// errLine means that the connection ended before the answer came.
var errLine = errors.New("device: the connection to the relay ended")

// session is one connection, authenticated.
type session struct {
	d          *Device
	ws         *websocket.Conn
	patience   time.Duration      // without a sign of life from the relay
	deliveries chan *wire.Deliver // to Device.receive
	done       chan struct{}      // closed by close

	mu      sync.Mutex // guards all below
	closed  bool
	out     [][]byte // frames to write
	outWake chan struct{}
	jobs    []job // messages to send, in order
	jobWake chan struct{}
	last    uint64 // request number
	answers map[uint64]func(wire.Frame)
}

// job is a message to send. p is nil when it is to be read from the store.
type job struct {
	outbox.Send
	p *packet
}

// relayRow is what the device remembers of its relay.
type relayRow struct {
	ID         wire.RelayID `cbor:"1,keyasint"`
	Registered bool         `cbor:"2,keyasint"`
}

// open dials, and answers the relay's challenge.
func open(ctx context.Context, d *Device) (*session, *wire.Ready, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	var known relayRow
	if err := d.s.view(ctx, func(t *tx) error { _, err := t.getMeta("relay", &known); return err }); err != nil {
		return nil, nil, storeFailed(err)
	}
	ws, err := d.c.Dial(ctx, strings.TrimSuffix(d.c.RelayURL, "/")+wire.Path)
	if err != nil {
		return nil, nil, fmt.Errorf("device: dial: %w", err)
	}
	s := &session{d: d, ws: ws, deliveries: make(chan *wire.Deliver, 2*batchMost), done: make(chan struct{}),
		outWake: make(chan struct{}, 1), jobWake: make(chan struct{}, 1), answers: map[uint64]func(wire.Frame){}}
	ready, err := s.hello(ctx, &known)
	if err != nil {
		ws.Close()
		var f *wire.Failure
		if errors.As(err, &f) && f.Code == wire.CodeAuth && known.Registered { // the relay lost its directory: register again
			known.Registered = false
			err = errors.Join(err, storeFailed(d.s.update(ctx, func(t *tx) error { return t.putMeta("relay", known) })))
		}
		return nil, nil, err
	}
	s.patience = max(5*time.Second, time.Duration(ready.PingEvery)*time.Second*5/2)
	ws.SetPingHandler(func(data string) error {
		s.alive()
		err := ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(writeTimeout))
		if errors.Is(err, websocket.ErrCloseSent) {
			return nil
		}
		return err
	})
	s.alive()
	return s, ready, nil
}

func (s *session) hello(ctx context.Context, known *relayRow) (*wire.Ready, error) {
	deadline, _ := ctx.Deadline()
	s.ws.SetReadLimit(wire.MaxFrame)
	s.ws.SetReadDeadline(deadline)
	s.ws.SetWriteDeadline(deadline)
	defer s.ws.SetWriteDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { s.ws.Close() })
	defer stop()
	ask := func(f wire.Frame) (wire.Frame, error) {
		b, err := wire.Encode(f)
		if err != nil {
			return nil, err
		}
		if err := s.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
			return nil, fmt.Errorf("device: hello: %w", err)
		}
		reply, err := s.next()
		if f, ok := reply.(*wire.Failure); ok && err == nil {
			return nil, f
		}
		return reply, err
	}
	reply, err := ask(&wire.Hello{Versions: []uint{wire.Version}})
	if err != nil {
		return nil, err
	}
	challenge, ok := reply.(*wire.Challenge)
	if !ok {
		return nil, fmt.Errorf("device: hello: unexpected answer %s", reply.Type())
	}
	if known.ID != (wire.RelayID{}) && known.ID != challenge.Relay {
		return nil, ErrRelayChanged
	}
	if j := s.d.c.Jurisdiction; j != "" && j != challenge.Jurisdiction { // before anything of ours is stored there
		return nil, &wire.Failure{Code: wire.CodeJurisdiction, Text: "the relay keeps its store elsewhere"}
	}
	if known.Registered {
		reply, err = ask(wire.SignAuth(challenge, s.d.key))
	} else {
		reply, err = ask(wire.SignRegister(challenge, s.d.key, s.d.c.Token))
	}
	if err != nil {
		return nil, err
	}
	ready, ok := reply.(*wire.Ready)
	if !ok {
		return nil, fmt.Errorf("device: hello: unexpected answer %s", reply.Type())
	}
	if !known.Registered {
		*known = relayRow{challenge.Relay, true}
		if err := s.d.s.update(ctx, func(t *tx) error { return t.putMeta("relay", *known) }); err != nil {
			return nil, storeFailed(err)
		}
	}
	return ready, nil
}

// next reads one frame.
func (s *session) next() (wire.Frame, error) {
	kind, b, err := s.ws.ReadMessage()
	if err != nil {
		return nil, fmt.Errorf("device: read: %w", err)
	}
	if kind != websocket.BinaryMessage {
		return nil, errors.New("device: the relay sent a text message")
	}
	return wire.Decode(b)
}

func (s *session) alive() {
	if s.patience > 0 {
		s.ws.SetReadDeadline(time.Now().Add(s.patience))
	}
}

// read takes frames in until the connection ends.
func (s *session) read(ctx context.Context) error {
	for {
		f, err := s.next()
		if err != nil {
			return err
		}
		s.alive()
		switch f := f.(type) {
		case *wire.Deliver:
			select {
			case s.deliveries <- f:
			case <-s.done:
				return errLine
			}
		case *wire.Accepted:
			s.answer(f.Re, f)
		case *wire.Conflict:
			s.answer(f.Re, f)
		case *wire.KeyPackage:
			s.answer(f.Re, f)
		case *wire.KeyPackageCount:
			s.answer(f.Re, f)
		case *wire.Synced:
			s.answer(f.Re, f)
		case *wire.Reset:
			if f.Class == wire.Durable {
				s.d.trace("the relay's store is another one", "")
				s.d.out.step(outbox.Reset{})
				s.d.deliverAgain()
			}
		case *wire.Ping:
			s.post(&wire.Pong{Nonce: f.Nonce})
		case *wire.Pong:
			s.answer(f.Nonce, f)
		case *wire.Failure:
			if f.Re == 0 || f.Fatal {
				return f
			}
			s.answer(f.Re, f)
		default:
			return fmt.Errorf("device: unexpected %s", f.Type())
		}
	}
}

// answer calls whoever waits for the answer to that request. Answers that nobody waits for are nothing.
func (s *session) answer(re uint64, f wire.Frame) {
	s.mu.Lock()
	g := s.answers[re]
	delete(s.answers, re)
	s.mu.Unlock()
	if g != nil {
		g(f)
	}
}

// ask sends a request; then takes the answer, nil when the connection ends before. It does not wait. After an error then is not called.
func (s *session) ask(build func(req uint64) wire.Frame, then func(wire.Frame)) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errLine
	}
	s.last++
	req := s.last
	s.answers[req] = then
	s.mu.Unlock()
	if err := s.post(build(req)); err != nil {
		s.mu.Lock()
		_, mine := s.answers[req]
		delete(s.answers, req)
		s.mu.Unlock()
		if mine {
			return err
		} // else close has told then
	}
	return nil
}

// request sends a frame and waits for its answer.
func (s *session) request(ctx context.Context, build func(req uint64) wire.Frame) (wire.Frame, error) {
	got := make(chan wire.Frame, 1)
	if err := s.ask(build, func(f wire.Frame) { got <- f }); err != nil {
		return nil, err
	}
	limit := time.NewTimer(answerTimeout)
	defer limit.Stop()
	select {
	case f := <-got:
		if f == nil {
			return nil, errLine
		}
		return f, nil
	case <-s.done:
		return nil, errLine
	case <-limit.C:
		return nil, errLine
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// post queues a frame for writing.
func (s *session) post(f wire.Frame) error {
	b, err := wire.Encode(f)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errLine
	}
	s.out = append(s.out, b)
	s.mu.Unlock()
	wake(s.outWake)
	return nil
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write writes what is queued until the connection ends.
func (s *session) write(ctx context.Context) error {
	for {
		s.mu.Lock()
		batch := s.out
		s.out = nil
		s.mu.Unlock()
		for _, b := range batch {
			s.ws.SetWriteDeadline(time.Now().Add(writeTimeout))
			if err := s.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
				return fmt.Errorf("device: write: %w", err)
			}
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-s.outWake:
		case <-s.done:
			return nil
		}
	}
}

// queue takes a message to be sent. The outbox's window bounds how many there are.
func (s *session) queue(j job) {
	s.mu.Lock()
	s.jobs = append(s.jobs, j)
	s.mu.Unlock()
	wake(s.jobWake)
}

// pump turns messages into frames, in order, and reads from the store those that are not in memory.
func (s *session) pump(ctx context.Context) error {
	for {
		s.mu.Lock()
		batch := s.jobs
		s.jobs = nil
		s.mu.Unlock()
		for _, j := range batch {
			if err := s.sendOne(ctx, j); err != nil {
				return err
			}
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-s.jobWake:
		case <-s.done:
			return nil
		}
	}
}

func (s *session) sendOne(ctx context.Context, j job) error {
	if j.p == nil || j.Fresh || s.d.copies.any.Load() {
		p, err := s.d.out.fetch(ctx, j.ID, j.Fresh || s.d.copies.any.Load())
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, ErrCopy) { // the core asks again after a while
				return nil
			}
			return storeFailed(err)
		}
		if p == nil { // delivered, expired or forgotten meanwhile
			s.d.out.step(outbox.Refused{ID: j.ID, ForGood: true})
			return nil
		}
		j.p = p
	}
	return s.ask(func(req uint64) wire.Frame { return j.p.frame(req, j.To, s.d.now()) }, func(f wire.Frame) {
		switch f := f.(type) {
		case *wire.Accepted:
			s.d.out.step(outbox.Accepted{ID: j.ID})
		case *wire.Failure:
			s.d.out.step(outbox.Refused{ID: j.ID, ForGood: !again(f.Code) && f.Code != wire.CodeUnknownDevice})
		}
	})
}

// sync asks for everything after what is in the store, and waits until the relay has delivered it.
func (s *session) sync(ctx context.Context) error {
	var c cursors
	var run uint64
	if err := s.d.s.update(ctx, func(t *tx) error {
		if err := s.d.nextRun(t, 0); err != nil {
			return err
		}
		run = s.d.run.Load()
		_, err := t.getMeta("cursors", &c)
		return err
	}); err != nil {
		return storeFailed(err)
	}
	got := make(chan wire.Frame, 1)
	err := s.ask(func(req uint64) wire.Frame {
		return &wire.Sync{Req: req, Durable: c.Durable, Memory: c.Memory, Run: run}
	}, func(f wire.Frame) { got <- f })
	if err != nil {
		return err
	}
	select { // as long as it takes: the backlog may be long, and a dead line is noticed by the reader
	case f := <-got:
		switch f := f.(type) {
		case *wire.Failure:
			return f
		case *wire.Synced:
			if err := s.d.checkRun(ctx, run, f); err != nil {
				return storeFailed(err)
			}
			return s.remember(ctx, f)
		}
		return errLine
	case <-ctx.Done():
		return ctx.Err()
	}
}

// remember keeps which store the relay has, also when nothing came from it yet: only so can it say that it is another one next time.
func (s *session) remember(ctx context.Context, f *wire.Synced) error {
	return storeFailed(s.d.s.update(ctx, func(t *tx) error {
		c := s.d.cursors
		for at, now := range map[*wire.Cursor]wire.Cursor{&c.Durable: f.Durable, &c.Memory: f.Memory} {
			if at.Incarnation != now.Incarnation { // what was delivered may still wait to be taken in: from the start, then
				*at = wire.Cursor{Incarnation: now.Incarnation}
			}
		}
		if c == s.d.cursors {
			return nil
		}
		if err := t.putMeta("cursors", c); err != nil {
			return err
		}
		s.d.cursors = c
		return nil
	}))
}

// barrier waits until the relay has read everything that was posted before.
func (s *session) barrier(ctx context.Context) error {
	_, err := s.request(ctx, func(req uint64) wire.Frame { return &wire.Ping{Nonce: req} })
	return err
}

// close ends the connection. Whoever waits for an answer hears of it.
func (s *session) close(cause error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	unanswered := s.answers
	s.answers = nil
	s.mu.Unlock()
	close(s.done)
	for _, then := range unanswered {
		then(nil)
	}
	if errors.Is(cause, context.Canceled) {
		s.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
	}
	s.ws.Close()
}
