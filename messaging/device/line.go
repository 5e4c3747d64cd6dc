package device

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"github.com/parleypay/parley/messaging/device/outbox"
	"github.com/parleypay/parley/messaging/wire"
)

// ErrRelayChanged means that another relay answers at the address than the one this device is registered with.
var ErrRelayChanged = errors.New("device: another relay answers at this address")

// Pauses between two attempts to connect; each is drawn between half of it and all of it.
const (
	redialFirst = 100 * time.Millisecond
	redialMost  = 30 * time.Second
)

// line is the way to the relay, over however many connections.
type line struct {
	d     *Device
	mu    sync.Mutex // guards all below
	now   *session   // the connection in use, once it is synced
	up    chan struct{}
	ready chan struct{}
	wg    sync.WaitGroup  // of spawn
	run   context.Context // nil before Run and once it ends

	outage bool // the log was told that there is no relay; used by one goroutine after the other
}

// host is the part of a URL that a log may show.
func host(relayURL string) string {
	u, err := url.Parse(relayURL)
	if err != nil {
		return "?"
	}
	return u.Host
}

func newLine(d *Device) *line {
	return &line{d: d, up: make(chan struct{}), ready: make(chan struct{})}
}

// Ready is closed once the device was online: registered, key packages published, first sync done.
func (d *Device) Ready() <-chan struct{} { return d.line.ready }

// WaitOnline waits until the device is connected and synced.
func (d *Device) WaitOnline(ctx context.Context) error {
	_, err := d.line.wait(ctx)
	return err
}

func (l *line) wait(ctx context.Context) (*session, error) {
	for {
		l.mu.Lock()
		s, up := l.now, l.up
		l.mu.Unlock()
		if s != nil {
			return s, nil
		}
		select {
		case <-up:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *line) online() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now != nil
}

// set makes s the connection in use, or none.
func (l *line) set(s *session) {
	l.mu.Lock()
	l.now = s
	if s == nil {
		l.up = make(chan struct{})
	} else {
		close(l.up)
		select {
		case <-l.ready:
		default:
			close(l.ready)
		}
	}
	l.mu.Unlock()
}

// spawn runs f until Run ends. It reports false when the device is not running.
func (l *line) spawn(f func(ctx context.Context)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.run == nil {
		return false
	}
	run := l.run
	l.wg.Go(func() { f(run) })
	return true
}

// send hands a message to the connection in use. It does not wait; without a connection the core hears that it is gone.
func (l *line) send(e outbox.Send, p *packet) {
	l.mu.Lock()
	s := l.now
	l.mu.Unlock()
	if s != nil {
		s.queue(job{e, p})
	}
}

// note sends a frame that is in no outbox. lost is called when the relay did not take it, but might later.
func (l *line) note(f *wire.Send, lost func()) {
	l.mu.Lock()
	s := l.now
	l.mu.Unlock()
	if s == nil || s.ask(func(req uint64) wire.Frame { f.Req = req; return f }, func(reply wire.Frame) {
		if r, ok := reply.(*wire.Failure); reply == nil || ok && again(r.Code) {
			lost()
		}
	}) != nil {
		lost()
	}
}

// request sends a frame and returns its answer. Its error means that there was none; whether the relay acted is not known then.
func (l *line) request(ctx context.Context, build func(req uint64) wire.Frame) (wire.Frame, error) {
	s, err := l.wait(ctx)
	if err != nil {
		return nil, err
	}
	return s.request(ctx, build)
}

// keep connects and reconnects until ctx ends, or until something is wrong that another attempt does not heal.
func (l *line) keep(ctx context.Context) error {
	pause := redialFirst
	for {
		synced, err := l.connect(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if hopeless(err) {
			return err
		}
		if synced {
			pause = redialFirst
			l.d.trace("offline", "")
		}
		if !synced && !l.outage { // a connection that ends and comes back at once is nothing to tell
			l.outage = true
			l.d.c.Log.Warn("cannot reach the relay; trying again", "relay", host(l.d.c.RelayURL), "error", err.Error())
		}
		if sleep(ctx, pause/2+rand.N(pause/2)) != nil {
			return nil
		}
		pause = min(2*pause, redialMost)
	}
}

// hopeless reports whether another attempt would end the same way.
func hopeless(err error) bool {
	var f *wire.Failure
	if errors.As(err, &f) {
		switch f.Code {
		case wire.CodeToken, wire.CodeJurisdiction, wire.CodeVersion:
			return true
		}
	}
	var broken *storeError
	return errors.Is(err, ErrRelayChanged) || errors.As(err, &broken)
}

// storeError marks an error of the store: the device must stop, since it does not know what is durable.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// connect opens one connection and keeps it until it ends. synced reports whether it got as far as being usable.
func (l *line) connect(ctx context.Context) (synced bool, err error) {
	d := l.d
	s, ready, err := open(ctx, d)
	if err != nil {
		return false, err
	}
	d.stats.connects.Add(1)
	ctx, stop := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	start := func(f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				stop(err)
			}
		})
	}
	start(s.read)
	start(s.write)
	start(s.pump)
	start(func(ctx context.Context) error { return storeFailed(d.receive(ctx, s)) })
	usable := make(chan struct{})
	start(func(ctx context.Context) error {
		if err := d.stock(ctx, s, ready.KeyPackages); err != nil {
			return err
		}
		if err := s.sync(ctx); err != nil {
			return err
		}
		l.set(s)
		close(usable)
		d.trace("online", "")
		if l.outage {
			l.outage = false
			d.c.Log.Info("the relay is there again", "relay", host(d.c.RelayURL))
		}
		d.out.step(outbox.Connected{})
		wake(d.receipts.wake)
		return nil
	})
	<-ctx.Done()
	s.close(context.Cause(ctx))
	wg.Wait()
	select {
	case <-usable:
		synced = true
		l.set(nil)
		d.out.step(outbox.Disconnected{})
	default:
	}
	stop(nil)
	return synced, context.Cause(ctx)
}

func storeFailed(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &storeError{err}
}
