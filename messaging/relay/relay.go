// Package relay is the delivery service: it authenticates devices, keeps their mailboxes, orders the commits of each chat, hands out key
// packages once, and delivers over WebSockets.
//
// It cannot read what it carries, and it is a queue, never a ledger: a sender keeps a message until the recipient's own receipt.
// Which message is stored, acknowledged and delivered when is decided by package mailbox; this package does what that says on an embedded
// JetStream and WebSockets. It logs and counts without any identifier of a device, chat or message.
package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parleypay/parley/messaging/relay/mailbox"
	"github.com/parleypay/parley/messaging/wire"
)

// Relay is a running delivery service. Its methods may be called concurrently.
type Relay struct {
	cfg     Config
	store   *store
	dir     *directory
	writers [3]*writer // by wire.Class
	commits *committer
	fetches *fetcher
	purges  *purger
	metrics *metrics
	limits  *limits

	listener, metricsListener net.Listener

	mu       sync.Mutex // guards core and conns, and keeps effects in order
	core     *mailbox.State
	conns    map[mailbox.ConnID]*conn // authenticated ones
	sockets  map[*conn]struct{}       // all
	nextConn mailbox.ConnID
	draining bool

	serving sync.WaitGroup // one per socket
	failure chan error     // the first reason to stop
	failed  sync.Once
	broken  error // guarded by mu
	closing sync.Once
}

// New opens the store, finishes what the last run left half done, and listens on Config.Addr and Config.MetricsAddr if they are given. Run or
// Serve then serve; Close must be called if neither is.
func New(cfg Config) (*Relay, error) {
	cfg, err := cfg.filled()
	if err != nil {
		return nil, err
	}
	r := &Relay{cfg: cfg, conns: map[mailbox.ConnID]*conn{}, sockets: map[*conn]struct{}{}, failure: make(chan error, 1), metrics: newMetrics(), limits: newLimits(&cfg)}
	if r.store, err = openStore(&r.cfg, r.fail); err != nil {
		return nil, err
	}
	if err := r.open(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Relay) open() error {
	for _, n := range r.store.replaced {
		r.cfg.Log.Error("a stream came back shorter than it was and was replaced; devices start anew", "stream", n.String())
	}
	for _, n := range r.store.foreign {
		r.cfg.Log.Warn("a stream came without its high-water mark; devices start anew", "stream", n.String())
	}
	class := func(c wire.Class, ttl time.Duration) mailbox.Class {
		n := classStream(c)
		return mailbox.Class{Incarnation: r.store.incarnation[n], Last: r.store.last[n], MaxTTL: ttl}
	}
	r.core = mailbox.New(mailbox.Config{Durable: class(wire.Durable, r.cfg.TTLMax), Memory: class(wire.Memory, r.cfg.MemoryTTLMax)})
	r.metrics.watch(r)
	r.dir = newDirectory(r.store, r.cfg.KeyPackagesMax)
	for _, c := range []wire.Class{wire.Durable, wire.Memory} {
		r.writers[c] = startWriter(r.store, c, newQuota(r.store, c, r.cfg.MailboxMax), r.metrics)
	}
	r.commits = startCommitter(r.store, r.writers[wire.Durable])
	r.fetches = startFetcher(r)
	r.purges = startPurger(r.store)

	recent, err := r.store.recent(10 * time.Minute)
	if err != nil {
		return err
	}
	known := make(map[mailbox.Key]bool, len(recent))
	for _, m := range recent {
		known[m.Key] = true
		r.step(m)
	}
	if err := r.commits.recover(func(k mailbox.Key) bool { return known[k] }); err != nil {
		return err
	}
	if err := r.store.tail(r.onTail, r.onTailLost); err != nil {
		return err
	}
	if r.cfg.Addr != "" {
		if r.listener, err = net.Listen("tcp", r.cfg.Addr); err != nil {
			return fmt.Errorf("relay: %w", err)
		}
	}
	if r.cfg.MetricsAddr != "" {
		if r.metricsListener, err = net.Listen("tcp", r.cfg.MetricsAddr); err != nil {
			return fmt.Errorf("relay: %w", err)
		}
	}
	return nil
}

// Addr returns the address that New listens on, with the port chosen if Config.Addr left it open; empty if there is none.
func (r *Relay) Addr() string {
	if r.listener == nil {
		return ""
	}
	return r.listener.Addr().String()
}

// MetricsAddr returns the address of the health and metrics listener, empty if there is none.
func (r *Relay) MetricsAddr() string {
	if r.metricsListener == nil {
		return ""
	}
	return r.metricsListener.Addr().String()
}

// ID returns the id by which devices know this relay.
func (r *Relay) ID() wire.RelayID { return r.store.marks.relay }

// Run serves until ctx ends or the store cannot be trusted any more. It then refuses what is new, finishes what was begun for at most
// Config.DrainTimeout, closes every connection and the store, and returns nil if ctx ended, else the reason; the process is then
// to exit, so that a supervisor starts it anew. It is called once.
func (r *Relay) Run(ctx context.Context) error {
	if r.listener == nil {
		return errors.Join(errors.New("relay: Config.Addr is empty"), r.Close())
	}
	l := r.listener
	if r.cfg.TLS != nil {
		l = tls.NewListener(l, r.cfg.TLS)
	}
	return r.Serve(ctx, l)
}

// Serve is Run on another listener, which it closes.
func (r *Relay) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: r.Handler(), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 4 << 10, IdleTimeout: 10 * time.Second,
		ErrorLog: discardLog,
	}
	ended := make(chan error, 2)
	go func() { ended <- srv.Serve(l) }()
	var side *http.Server
	if r.metricsListener != nil {
		side = &http.Server{Handler: r.sideHandler(), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 4 << 10, ErrorLog: discardLog}
		go side.Serve(r.metricsListener)
	}
	var reason error
	select {
	case <-ctx.Done():
	case reason = <-r.failure:
		r.cfg.Log.Error("the relay stops", "reason", reason.Error())
	case err := <-ended:
		reason = fmt.Errorf("relay: listener: %w", err)
	}
	r.drain()
	srv.Close()
	if side != nil {
		side.Close()
	}
	return errors.Join(reason, r.Close())
}

// drain refuses new requests, waits for those begun, and ends the connections.
func (r *Relay) drain() {
	r.mu.Lock()
	r.draining = true
	r.mu.Unlock()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(r.cfg.DrainTimeout); time.Now().Before(deadline); <-tick.C {
		r.mu.Lock()
		idle := r.core.Pending() == 0 || r.broken != nil
		r.mu.Unlock()
		if idle {
			break
		}
	}
	r.mu.Lock()
	for c := range r.sockets {
		c.end(wire.CodeDraining, "the relay is stopping; reconnect")
	}
	r.mu.Unlock()
	done := make(chan struct{})
	go func() { r.serving.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(r.cfg.WriteTimeout):
	}
}

// Close ends everything at once. It may be called more than once, and after Run.
func (r *Relay) Close() error {
	r.closing.Do(func() {
		for _, l := range []net.Listener{r.listener, r.metricsListener} {
			if l != nil {
				l.Close()
			}
		}
		r.mu.Lock()
		r.draining = true
		for c := range r.sockets {
			c.cut()
		}
		r.mu.Unlock()
		r.serving.Wait()
		if r.commits != nil {
			r.commits.stop()
		}
		for _, w := range r.writers {
			if w != nil {
				w.stop()
			}
		}
		if r.fetches != nil {
			r.fetches.stop()
		}
		if r.purges != nil {
			r.purges.stop()
		}
		r.store.close()
	})
	return nil
}

// fail records the first reason why the relay must stop, turns its health red and ends Run.
func (r *Relay) fail(err error) {
	r.failed.Do(func() {
		r.failure <- err
		go func() { // the caller may hold mu
			r.mu.Lock()
			r.broken = err
			r.mu.Unlock()
		}()
	})
}

// step runs the core and carries out what it says, in order.
func (r *Relay) step(ev mailbox.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.core.Step(time.Now(), ev) {
		r.apply(e)
	}
}

// apply carries out one effect without waiting for anything. The caller holds mu.
func (r *Relay) apply(e mailbox.Effect) {
	switch e := e.(type) {
	case mailbox.Store:
		token := e.Token
		r.writers[e.Class].put(&e.Entry, e.To, e.TTL, func(v mailbox.Verdict) { r.step(mailbox.Stored{Token: token, Verdict: v}) })
	case mailbox.Append:
		token := e.Token
		r.commits.put(e, func(v mailbox.Verdict, head uint64) { r.step(mailbox.Stored{Token: token, Verdict: v, Head: head}) })
	case mailbox.Reply:
		if c := r.conns[e.Conn]; c != nil {
			if f, ok := e.Frame.(*wire.Failure); ok {
				r.metrics.refuse(f.Code)
			}
			c.send(e.Frame)
		}
	case mailbox.Deliver:
		if c := r.conns[e.Conn]; c != nil {
			c.deliver(e)
		}
	case mailbox.Fetch:
		r.fetches.jobs.put(e)
	case mailbox.Purge:
		r.purges.put(e)
	case mailbox.Close:
		if c := r.conns[e.Conn]; c != nil {
			c.end(e.Code, e.Text)
		}
	}
}

func (r *Relay) onTail(m *nats.Msg) {
	ev, err := tailEvent(m)
	if err != nil {
		r.fail(err)
		return
	}
	r.step(ev)
}

func (r *Relay) onTailLost() {
	r.metrics.tailLost.Inc()
	r.step(mailbox.TailLost{Class: wire.Durable})
	r.step(mailbox.TailLost{Class: wire.Memory})
}
