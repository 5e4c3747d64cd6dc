package railsim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail"
)

// Clock is the time a Sim lives in. The system's clock is the default, also in a testing/synctest bubble.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f in its own goroutine after d, unless the returned function is called before.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }
func (systemClock) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}

// Sim is one simulated rail. Make it with New; all its methods may be called by many goroutines.
type Sim struct {
	cfg      Config
	set      *settings
	clock    Clock
	metrics  *metrics
	draining atomic.Bool
	closed   chan struct{}
	once     sync.Once
	certs    *certificates // nil without TLS

	mu    sync.Mutex // guards what follows
	core  *core
	store *store      // nil without one
	stop  func() bool // stops the timer that is armed
	docs  uint64      // documents archived
	// turned is closed, and another put in its place, when another certificate is to be shown.
	turned chan struct{}
	until  time.Time // core.strange as last seen
}

// New returns a running rail. It has no goroutine but its timer; Close stops it.
func New(cfg Config) (*Sim, error) {
	set, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	if cfg.Actor == "" {
		cfg.Actor = "rail"
	}
	s := &Sim{cfg: cfg, set: set, clock: cfg.Clock, closed: make(chan struct{}), turned: make(chan struct{})}
	if s.clock == nil {
		s.clock = systemClock{}
	}
	if cfg.ArchiveDir != "" {
		if err := os.MkdirAll(cfg.ArchiveDir, 0o700); err != nil {
			return nil, fmt.Errorf("railsim: archive: %w", err)
		}
	}
	if cfg.TLSDir != "" {
		if s.certs, err = openCertificates(cfg.TLSDir); err != nil {
			return nil, err
		}
	}
	s.core = newCore(&cfg, set, s.clock.Now())
	if cfg.Store != "" {
		if s.store, err = openStore(cfg.Store); err != nil {
			return nil, err
		}
		if err := s.store.load(s.core); err != nil {
			return nil, errors.Join(err, s.store.db.Close())
		}
		s.core.log = newChanges()
	}
	s.metrics = newMetrics(s)
	s.core.emit = s.passed
	s.core.note = s.metrics.count
	return s, s.locked(func(*core, time.Time) {}) // fires what came due while it was away
}

// Profile returns the profile of the rail, with its clocks as configured.
func (s *Sim) Profile() *rail.Profile { return s.set.profile }

// Close stops the timer, wakes every waiting Receive and closes the store. Effects stay readable.
func (s *Sim) Close() {
	s.once.Do(func() {
		close(s.closed)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.stop != nil {
			s.stop()
		}
		if s.store != nil {
			s.store.db.Close()
		}
	})
}

// Drain stops taking payments (answers and enquiries are still taken) and returns when no payment is open any more, or ctx ends.
func (s *Sim) Drain(ctx context.Context) error {
	s.draining.Store(true)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.open() == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("railsim: drain: %d payments open: %w", s.open(), ctx.Err())
		case <-tick.C:
		}
	}
}

// open counts the payments without a final answer.
func (s *Sim) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.core.payments) - len(s.core.finished)
}

// locked runs f on the core with the time it is, fires due timers before and after, makes what changed durable if there is a store, and
// arms the next timer. On an error, which only a store gives, it is not known what the file holds, and the rail takes nothing more.
func (s *Sim) locked(f func(c *core, now time.Time)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store != nil && s.store.broken != nil {
		return s.store.broken
	}
	now := s.clock.Now()
	s.core.advance(now)
	f(s.core, now)
	s.core.advance(now)
	if s.core.strange.After(s.until) {
		s.until = s.core.strange
		close(s.turned)
		s.turned = make(chan struct{})
	}
	if s.store != nil && s.core.log.durable() {
		if err := s.store.save(s.core, s.core.log); err != nil {
			return err
		}
		s.core.log = newChanges()
	}
	s.arm(now)
	return nil
}

// arm sets the timer for what is due next. The caller holds mu.
func (s *Sim) arm(now time.Time) {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	select {
	case <-s.closed:
		return
	default:
	}
	if at, ok := s.core.due(); ok {
		s.stop = s.clock.AfterFunc(max(at.Sub(now), 0), func() { s.locked(func(*core, time.Time) {}) })
	}
}

// submit takes one wire message from a participant and returns what its transport is to answer.
func (s *Sim) submit(from int, wire []byte) reply {
	m, err := s.set.profile.Decode(wire, rail.ToService)
	if err != nil {
		s.metrics.refused(rail.Faults(err))
		return reply{err: err}
	}
	select {
	case <-s.closed:
		return reply{err: errNotTaken}
	default:
	}
	if s.draining.Load() && m.Transfer != nil {
		return reply{err: errNotTaken}
	}
	wire = append([]byte(nil), wire...)
	r := reply{err: errNotTaken} // unless it comes to it
	if broken := s.locked(func(c *core, now time.Time) { r = c.submit(now, from, m, wire) }); broken != nil {
		if r.err == nil { // taken, but not known to be durable: the sender must not learn that it was
			return reply{err: broken, how: mischief{content: contentError}}
		}
		return reply{err: errors.Join(r.err, broken)}
	}
	s.metrics.refused(rail.Faults(r.err))
	return r
}

// receive waits up to wait for messages of a participant after a sequence, and acknowledges those before.
func (s *Sim) receive(ctx context.Context, of int, after uint64, max int, wait time.Duration) (batch, error) {
	expired := make(chan struct{})
	stop := s.clock.AfterFunc(wait, func() { close(expired) })
	defer stop()
	for {
		var b batch
		var wake, turned <-chan struct{}
		err := s.locked(func(c *core, _ time.Time) {
			b, wake = c.take(of, after, max)
			turned = s.turned
		})
		if err != nil || len(b.deliveries) > 0 {
			return b, err
		}
		select {
		case <-wake:
		case <-expired:
			return batch{}, nil
		case <-turned:
			return batch{}, nil
		case <-s.closed:
			return batch{}, nil
		case <-ctx.Done():
			return batch{}, ctx.Err()
		}
	}
}

// passed archives and traces a message that came in or went out. The core calls it with mu held.
func (s *Sim) passed(d Document) {
	s.docs++
	d.N = s.docs
	s.metrics.passed(d)
	word, side := " received", " from "
	if d.Dir == rail.FromService {
		word, side = " sent", " to "
	}
	name := d.MsgDef
	if len(name) > 8 && name != "garbled" {
		name = name[:8]
	}
	if s.cfg.Trace != nil {
		intent, ok := payments.IntentFromEndToEnd(d.EndToEndID)
		if ids := s.core.byOriginal[string(d.EndToEndID)]; !ok && len(ids) > 0 { // Pix has ids of its own
			intent, _ = s.set.profile.Intent(s.core.payments[ids[0]].m.Transfer)
		}
		s.cfg.Trace.Emit(trace.Event{
			T: d.At, Actor: s.cfg.Actor, Event: name + word, Intent: string(intent), Detail: strings.TrimSpace(d.Status + side + string(d.Participant)),
		})
	}
	if s.cfg.Archive != nil {
		s.cfg.Archive(d)
	}
	if s.cfg.ArchiveDir != "" {
		way := "in"
		if d.Dir == rail.FromService {
			way = "out"
		}
		file := fmt.Sprintf("%06d-%s-%s-%s.xml", d.N, way, d.Participant, name)
		if err := os.WriteFile(filepath.Join(s.cfg.ArchiveDir, file), d.Wire, 0o600); err != nil {
			s.metrics.count(event{"unarchived", ""})
		}
	}
}

// Transport returns the in-process transport of one participant: what DialHTTP is over a network. It fails for an unknown one.
func (s *Sim) Transport(participant payments.AgentID) (rail.Transport, error) {
	i, ok := s.set.byID[participant]
	if !ok {
		return nil, errors.New("railsim: no such participant")
	}
	return &local{s, i}, nil
}

type local struct {
	sim *Sim
	of  int
}

// strange says why nothing can be sent or received while the rail shows another certificate.
func (l *local) strange() error {
	l.sim.mu.Lock()
	defer l.sim.mu.Unlock()
	if l.sim.clock.Now().Before(l.sim.core.strange) {
		return errors.New("railsim: certificate of an unknown authority")
	}
	return nil
}

// Send implements rail.Transport. Of what a connection does it has only the outcome.
func (l *local) Send(ctx context.Context, wire []byte) error {
	err := ctx.Err()
	if err == nil {
		err = l.strange()
	}
	if err != nil {
		return &rail.SendError{Outcome: payments.OutcomeNotSent, Err: err}
	}
	r := l.sim.submit(l.of, wire)
	l.sim.wait(ctx, r.hold)
	switch {
	case r.err == nil && r.how == mischief{}:
		return nil
	case r.err == nil, r.how != mischief{}:
		return &rail.SendError{Outcome: payments.OutcomeUnknown, Err: errors.New("railsim: the answer is lost in transit")}
	case errors.Is(r.err, errNotTaken), errors.Is(r.err, errThrottled):
		return &rail.SendError{Outcome: payments.OutcomeNotSent, Err: r.err}
	default:
		return &rail.SendError{Outcome: payments.OutcomeRefused, Faults: rail.Faults(r.err), Err: r.err}
	}
}

// Receive implements rail.Transport. It waits up to 20 s.
func (l *local) Receive(ctx context.Context, after uint64, max int) ([]rail.Delivery, error) {
	if max < 1 || max > receiveMax {
		max = receiveMax
	}
	if err := l.strange(); err != nil {
		return nil, err
	}
	b, err := l.sim.receive(ctx, l.of, after, max, 20*time.Second)
	if b.how.content != contentRail || b.how.carriage != carryWell {
		return nil, errors.New("railsim: the messages are lost in transit; they come again")
	}
	if b.how.oversize { // cut one byte over the limit, as rail.Transport does
		b.deliveries[0].Wire = append(slices.Clone(b.deliveries[0].Wire), make([]byte, l.sim.set.profile.SizeMaxBytes+1-len(b.deliveries[0].Wire))...)
	}
	return b.deliveries, err
}

// receiveMax bounds the messages of one Receive.
const receiveMax = 256
