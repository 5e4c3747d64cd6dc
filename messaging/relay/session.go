package relay

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/relay/mailbox"
	"github.com/parleypay/parley/messaging/wire"
)

func refusal(code wire.Code, text string) error {
	return &problem{websocket.ClosePolicyViolation, code, text}
}

// handshake brings the connection from Hello to Ready within Config.HandshakeTimeout.
func (c *conn) handshake() error {
	deadline := time.Now().Add(c.r.cfg.HandshakeTimeout)
	f, err := c.next(deadline)
	if err != nil {
		return err
	}
	hello, ok := f.(*wire.Hello)
	if !ok {
		return refusal(wire.CodeOrder, "the first frame is hello")
	}
	if !slices.Contains(hello.Versions, wire.Version) {
		return refusal(wire.CodeVersion, "this relay speaks version 1")
	}
	ch := &wire.Challenge{Version: wire.Version, Relay: c.r.ID(), Jurisdiction: c.r.cfg.Jurisdiction}
	rand.Read(ch.Nonce[:])
	c.send(ch)
	if f, err = c.next(deadline); err != nil {
		return err
	}
	switch f := f.(type) {
	case *wire.Auth:
		key, err := c.r.dir.key(f.Device)
		if err != nil && !errors.Is(err, errUnknown) {
			return refusal(wire.CodeUnavailable, "the store does not answer")
		}
		if !f.Verify(ch, key) { // of an unknown device too: the two are not told apart
			return refusal(wire.CodeAuth, "wrong signature or unknown device")
		}
		c.device = f.Device
	case *wire.Register:
		if err := c.register(ch, f); err != nil {
			return err
		}
	default:
		return refusal(wire.CodeOrder, "the challenge is answered by auth or register")
	}
	stock, err := c.r.dir.stock(c.device)
	if err != nil {
		return refusal(wire.CodeUnavailable, "the store does not answer")
	}
	if !c.r.enter(c) {
		return &problem{websocket.CloseGoingAway, wire.CodeDraining, "the relay is stopping; reconnect"}
	}
	cfg := &c.r.cfg
	c.send(&wire.Ready{
		MaxTTL: uint32(cfg.TTLMax / time.Second), MaxMemTTL: uint32(cfg.MemoryTTLMax / time.Second),
		PingEvery: uint32(cfg.PingEvery / time.Second), KeyPackages: stock,
	})
	return nil
}

func (c *conn) register(ch *wire.Challenge, f *wire.Register) error {
	id, ok := f.Verify(ch)
	switch {
	case f.Jurisdiction != ch.Jurisdiction:
		return refusal(wire.CodeJurisdiction, "this relay does not serve that jurisdiction")
	case !ok:
		return refusal(wire.CodeAuth, "wrong signature")
	}
	if _, err := c.r.dir.key(id); errors.Is(err, errUnknown) {
		if !c.r.tokenOK(f.Token) {
			return refusal(wire.CodeToken, "a registration token of this relay is needed")
		}
		if !c.r.limits.mayRegister(c.addr) {
			return refusal(wire.CodeRate, "too many new devices")
		}
		switch err := c.r.dir.register(f.Key); {
		case errors.Is(err, errFull):
			return refusal(wire.CodeFull, "no room for more devices")
		case err != nil:
			return refusal(wire.CodeUnavailable, "the store does not answer")
		}
	} else if err != nil {
		return refusal(wire.CodeUnavailable, "the store does not answer")
	}
	c.device = id
	return nil
}

// tokenOK compares in a time that tells nothing about the tokens.
func (r *Relay) tokenOK(token string) bool {
	given, ok := sha256.Sum256([]byte(token)), 0
	for _, t := range r.cfg.Tokens {
		want := sha256.Sum256([]byte(t))
		ok |= subtle.ConstantTimeCompare(given[:], want[:])
	}
	return len(r.cfg.Tokens) == 0 || ok == 1
}

// enter makes the connection the device's own. It fails if the relay is stopping.
func (r *Relay) enter(c *conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining {
		return false
	}
	r.nextConn++
	c.id = r.nextConn
	r.conns[c.id] = c
	for _, e := range r.core.Step(time.Now(), mailbox.Connected{Conn: c.id, Device: c.device}) {
		r.apply(e)
	}
	return true
}

// leave forgets the connection.
func (r *Relay) leave(c *conn) {
	if c.id == 0 {
		return
	}
	r.step(mailbox.Gone{Conn: c.id})
	r.mu.Lock()
	delete(r.conns, c.id)
	r.mu.Unlock()
}

// request returns the request number of a frame that is answered, else 0.
func request(f wire.Frame) uint64 {
	switch f := f.(type) {
	case *wire.PublishKeyPackages:
		return f.Req
	case *wire.ClaimKeyPackage:
		return f.Req
	case *wire.CountKeyPackages:
		return f.Req
	case *wire.Send:
		return f.Req
	case *wire.Commit:
		return f.Req
	case *wire.Sync:
		return f.Req
	}
	return 0
}

// handle runs one request. An error ends the connection.
func (c *conn) handle(f wire.Frame) error {
	if req := request(f); req != 0 && c.r.isDraining() {
		c.refuse(req, wire.CodeDraining, "the relay is stopping; reconnect")
		return nil
	}
	switch f := f.(type) {
	case *wire.Send:
		if c.recipients(f.Req, f.To) {
			c.r.step(mailbox.Submit{Conn: c.id, Sender: c.device, Frame: f})
		}
	case *wire.Commit:
		if c.recipients(f.Req, f.To) && c.recipients(f.Req, f.WelcomeTo) {
			c.r.step(mailbox.Commit{Conn: c.id, Sender: c.device, Frame: f})
		}
	case *wire.Sync:
		before, err := c.r.dir.run(c.device, f.Run)
		if c.done(f.Req, err) {
			c.r.step(mailbox.Sync{Conn: c.id, Frame: f, Run: before})
		}
	case *wire.Ack:
		c.r.step(mailbox.Ack{Conn: c.id, Frame: f})
	case *wire.PublishKeyPackages:
		if c.done(f.Req, c.r.dir.publish(c.device, f)) {
			c.count(f.Req)
		}
	case *wire.CountKeyPackages:
		c.count(f.Req)
	case *wire.ClaimKeyPackage:
		c.claim(f)
	case *wire.Ping:
		c.send(&wire.Pong{Nonce: f.Nonce})
	case *wire.Pong:
	default:
		return refusal(wire.CodeOrder, f.Type().String()+" is not expected here")
	}
	return nil
}

func (r *Relay) isDraining() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.draining
}

// recipients reports whether all are registered, and refuses the request if not.
func (c *conn) recipients(req uint64, to []messaging.DeviceID) bool {
	for _, d := range to {
		if _, err := c.r.dir.key(d); err != nil {
			return c.done(req, err)
		}
	}
	return true
}

// done reports whether err is nil, and refuses the request if not.
func (c *conn) done(req uint64, err error) bool {
	switch {
	case err == nil:
		return true
	case errors.Is(err, errUnknown):
		c.refuse(req, wire.CodeUnknownDevice, "a recipient is not registered")
	case errors.Is(err, errNone):
		c.refuse(req, wire.CodeNoKeyPackage, "the device has no key package left")
	case errors.Is(err, errNoSuite):
		c.refuse(req, wire.CodeNoSuite, "the device has no key package of those suites")
	case errors.Is(err, errTooMany):
		c.refuse(req, wire.CodeTooManyPackage, "the device has as many key packages as are kept")
	case errors.Is(err, errFull):
		c.refuse(req, wire.CodeFull, "no room in the store")
	default:
		c.refuse(req, wire.CodeUnavailable, "the store does not answer; repeat")
	}
	return false
}

func (c *conn) count(req uint64) {
	stock, err := c.r.dir.stock(c.device)
	if c.done(req, err) {
		c.send(&wire.KeyPackageCount{Re: req, Stock: stock})
	}
}

func (c *conn) claim(f *wire.ClaimKeyPackage) {
	if _, err := c.r.dir.key(f.Device); !c.done(f.Req, err) {
		return
	}
	k, err := c.r.dir.claim(f.Device, f.Suites)
	if c.done(f.Req, err) {
		k.Re = f.Req
		c.send(&k)
	}
}
