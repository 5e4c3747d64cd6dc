package connector

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
)

// Engine runs a bank's payments: it turns messages, answers and timers into events, lets Step decide, makes the step durable in the
// journal, and carries out what is in the outbox. Payments go on at once, the steps of one payment one after the other. All methods
// may be called concurrently.
type Engine struct {
	cfg  Config
	core *Core
	says bankStatements

	stripes [256]stripe
	seed    maphash.Seed
	keys    keyCache
	tries   attempts // wrong one-time codes
	checks  attempts // payee checks

	rail, bank, chat *dispatcher
	timerKick        chan time.Time
	marks            chan mark
	sents            sync.WaitGroup // transfers that the rail took and that are recorded in a moment
	flush            chan struct{}  // closed when the moment is over

	mu      sync.Mutex // guards state and high
	state   engineState
	high    time.Time      // the latest time that a decision was made as of, here or by an earlier process: time never runs backwards
	calls   sync.WaitGroup // HandleChat and CheckPayee under way
	stopRun context.CancelCauseFunc
	link    link
}

type engineState uint8

const (
	notStarted engineState = iota
	recovering
	running
	stopping
)

// stripe serialises the steps of the payments that hash to it, and keeps the latest of them.
type stripe struct {
	mu    sync.Mutex // guards cache, and the steps of its payments
	cache map[journal.Key]cached
}

type cached struct {
	payment Payment
	seq     uint64
}

const stripeCacheMax = 64

// New checks the configuration, notes the one-time codes in the journal and returns an Engine that does nothing until Run.
func New(cfg Config) (*Engine, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	e := &Engine{cfg: cfg, core: NewCore(cfg.Profile, cfg.Agent), says: bankStatements{cfg.ID, cfg.Key}, seed: maphash.MakeSeed(),
		timerKick: make(chan time.Time, 1), marks: make(chan mark, 1024), flush: make(chan struct{})}
	for i := range e.stripes {
		e.stripes[i].cache = map[journal.Key]cached{}
	}
	e.rail = newDispatcher(cfg.Workers, e.sendRail)
	e.bank = newDispatcher(cfg.Workers, e.callCore)
	e.chat = newDispatcher(cfg.Workers, e.sendChat)
	ctx := context.Background()
	high, err := cfg.Journal.Clock(ctx)
	if err != nil {
		return nil, fmt.Errorf("connector: journal: %w", err)
	}
	e.high = high
	return e, e.noteCodes(ctx)
}

// noteCodes puts one-time codes that the journal does not have into it.
func (e *Engine) noteCodes(ctx context.Context) error {
	for _, c := range e.cfg.Codes {
		_, err := e.cfg.Journal.Code(ctx, c.Hash.String())
		if err == nil {
			continue
		}
		if !errors.Is(err, journal.ErrNotFound) {
			return fmt.Errorf("connector: journal: %w", err)
		}
		if err := e.AddCode(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// now returns the time, or where the clock was set back the latest time there was: what has expired stays expired.
func (e *Engine) now() time.Time {
	t := e.cfg.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.After(e.high) {
		e.high = t
	}
	return e.high
}

// Run recovers what an earlier process left, then works until ctx ends and what is under way has ended, or a write to the journal
// fails. It returns nil after ctx has ended. It may be called once.
func (e *Engine) Run(ctx context.Context) error {
	e.mu.Lock()
	if e.state != notStarted {
		e.mu.Unlock()
		return errors.New("connector: Run was called before")
	}
	e.state = recovering
	runCtx, stop := context.WithCancelCause(ctx)
	e.stopRun = stop
	e.mu.Unlock()
	defer stop(nil)

	drainCtx, cancelDrain := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelDrain()
	var loops, marks sync.WaitGroup
	marksDone := make(chan struct{})
	marks.Go(func() { e.markDone(marksDone) })
	err := e.recover(runCtx)
	if err == nil {
		for _, d := range []*dispatcher{e.rail, e.bank, e.chat} {
			d.start(drainCtx)
		}
		e.setState(running)
		loops.Go(func() { e.receive(runCtx) })
		loops.Go(func() { e.timers(runCtx) })
		<-runCtx.Done()
	}
	e.setState(stopping)
	loops.Wait() // the loops end with runCtx and let what they began end
	drained := make(chan struct{})
	go func() {
		select {
		case <-time.After(e.cfg.DrainTimeout):
			cancelDrain()
		case <-drained:
		}
	}()
	e.calls.Wait()
	e.bank.stop()
	e.rail.stop()
	close(e.flush)
	e.sents.Wait()
	e.chat.stop()
	close(drained)
	close(marksDone)
	marks.Wait()
	if err != nil {
		return err
	}
	if cause := context.Cause(runCtx); cause != nil && ctx.Err() == nil {
		return cause
	}
	return nil
}

func (e *Engine) setState(s engineState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state = s
}

// enter notes a call from outside, or refuses it while the engine does not run.
func (e *Engine) enter() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state != running {
		return ErrStopped
	}
	e.calls.Add(1)
	return nil
}

// fatal stops the engine: what the journal holds is not known any more, so that nothing may be decided before it is opened again.
func (e *Engine) fatal(err error) {
	e.cfg.Metrics.Count(MetricError, "journal")
	e.cfg.Log.Error("journal failed, stopping", "error", err)
	e.mu.Lock()
	stop := e.stopRun
	e.mu.Unlock()
	if stop != nil {
		stop(fmt.Errorf("connector: journal: %w", err))
	}
}

// readFailed stops the engine when the journal cannot be read, unless the reader was only told to end.
func (e *Engine) readFailed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		e.fatal(err)
	}
}

// Ready returns nil when the engine takes messages and the rail can be reached, else why not.
func (e *Engine) Ready() error {
	e.mu.Lock()
	state := e.state
	e.mu.Unlock()
	if state != running {
		return ErrStopped
	}
	if e.link.down(time.Now()) {
		return errors.New("connector: the rail cannot be reached")
	}
	return nil
}

// Stats says how much waits or is under way.
type Stats struct{ Rail, Core, Chat int }

// Stats returns the depth of each outbox.
func (e *Engine) Stats() Stats { return Stats{e.rail.depth(), e.bank.depth(), e.chat.depth()} }

// recover brings open payments of an earlier process to where they may go on. A transfer that was decided but not known to be sent
// becomes unknown, and is never sent again.
func (e *Engine) recover(ctx context.Context) error {
	filter := journal.Filter{Side: lifecycle.Debtor, Status: []lifecycle.State{lifecycle.Submitting}, Max: 500}
	for {
		records, err := e.cfg.Journal.List(ctx, filter)
		if err != nil {
			return fmt.Errorf("connector: recover: %w", err)
		}
		for _, r := range records {
			if err := e.apply(ctx, r.Key, Recovered{}, extra{}); err != nil {
				return fmt.Errorf("connector: recover: %w", err)
			}
			filter.After = r.Key
		}
		if len(records) < filter.Max {
			break
		}
	}
	for kind, d := range map[string]*dispatcher{OutboxRail: e.rail, OutboxCore: e.bank, OutboxChat: e.chat} {
		for {
			rows, err := e.cfg.Journal.LeaseOutbox(ctx, journal.Lease{Kind: kind, Now: e.now(), Until: e.now().Add(1000 * time.Hour), Max: 500})
			if err != nil {
				return fmt.Errorf("connector: recover: %w", err)
			}
			for _, row := range rows {
				if kind == OutboxRail && SentOnce(row.ID) {
					e.done(row.ID)
					continue
				}
				d.add(row)
			}
			if len(rows) < 500 {
				break
			}
		}
	}
	return nil
}

// extra is what becomes durable together with a step.
type extra struct {
	inbox *journal.InboxEntry
	done  string // an outbox row that the event answers
}

// apply lets Step decide what the event does to the payment and makes it durable. A *Refusal, journal.ErrDuplicate, a
// *journal.ClaimError and a *journal.LimitError say that nothing was done; every other error is of the journal.
func (e *Engine) apply(ctx context.Context, key journal.Key, ev Event, x extra) error {
	ctx = context.WithoutCancel(ctx) // a step that is given up half-way would leave it open whether it is durable
	s := e.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 3 {
		c, err := e.load(ctx, s, key)
		if err != nil {
			e.fatal(err)
			return err
		}
		if id := Stored(e.core, c.payment, ev); id != "" {
			row, err := e.cfg.Journal.OutboxRow(ctx, id)
			if err != nil && !errors.Is(err, journal.ErrNotFound) {
				e.fatal(err)
				return err
			}
			ev = WithStored(ev, row.Body)
		}
		after, effects, err := Step(e.core, c.payment, e.now(), ev)
		if err != nil {
			return err
		}
		if len(effects) == 0 {
			return e.nothing(ctx, x)
		}
		if after.KeyOf() != key {
			return fmt.Errorf("%w: it names another payment", ErrEvent)
		}
		step, err := JournalStep(after, c.seq, effects, e.says)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrEvent, err)
		}
		step.Inbox = x.inbox
		if x.done != "" && !slices.Contains(step.DoneOutbox, x.done) {
			step.DoneOutbox = append(step.DoneOutbox, x.done)
		}
		begun := time.Now()
		err = e.cfg.Journal.Apply(ctx, step)
		if errors.Is(err, journal.ErrConflict) {
			delete(s.cache, key)
			continue
		}
		if err != nil {
			return e.notWritten(err)
		}
		e.cfg.Metrics.Observe(LegJournal, time.Since(begun))
		if len(s.cache) >= stripeCacheMax {
			clear(s.cache)
		}
		s.cache[key] = cached{after, c.seq + uint64(len(step.Events))}
		e.carryOut(c.payment, after, effects, step)
		return nil
	}
	err := fmt.Errorf("connector: %s: %w", key, journal.ErrConflict)
	e.fatal(err)
	return err
}

// notWritten says what the error of a write means: that nothing was done and the journal is sound, or that nothing may be decided any more.
func (e *Engine) notWritten(err error) error {
	var transition *lifecycle.TransitionError
	switch {
	case err == nil || refusedByJournal(err):
		return err
	case errors.Is(err, journal.ErrInvalid), errors.Is(err, journal.ErrUnbalanced), errors.As(err, &transition):
		return fmt.Errorf("%w: %w", ErrEvent, err) // one payment's trouble, and not the end of the bank
	}
	e.fatal(err)
	return err
}

// refusedByJournal reports whether the journal is sound and said no.
func refusedByJournal(err error) bool {
	var claim *journal.ClaimError
	var limit *journal.LimitError
	var code *journal.CodeError
	return errors.Is(err, journal.ErrDuplicate) || errors.As(err, &claim) || errors.As(err, &limit) || errors.As(err, &code)
}

// nothing records what comes with an event that changes nothing.
func (e *Engine) nothing(ctx context.Context, x extra) error {
	if x.done != "" {
		e.done(x.done)
	}
	if x.inbox == nil {
		return nil
	}
	return e.write(ctx, journal.Step{At: e.now(), Inbox: x.inbox})
}

// write makes a step durable that belongs to no payment, and carries out its outbox.
func (e *Engine) write(ctx context.Context, step journal.Step) error {
	err := e.notWritten(e.cfg.Journal.Apply(context.WithoutCancel(ctx), step))
	if err == nil {
		e.enqueue(step)
	}
	return err
}

func (e *Engine) stripe(key journal.Key) *stripe {
	return &e.stripes[maphash.String(e.seed, string(key.Intent))%uint64(len(e.stripes))]
}

// load returns the payment as it stands. The stripe is locked.
func (e *Engine) load(ctx context.Context, s *stripe, key journal.Key) (cached, error) {
	if c, ok := s.cache[key]; ok {
		return c, nil
	}
	r, err := e.cfg.Journal.Payment(ctx, key)
	if errors.Is(err, journal.ErrNotFound) {
		return cached{}, nil
	}
	if err != nil {
		return cached{}, err
	}
	p, err := DecodePayment(r.State)
	if err != nil {
		return cached{}, err
	}
	if p.State != r.Status {
		return cached{}, fmt.Errorf("connector: %s: state %s, journal %s", key, p.State, r.Status)
	}
	return cached{p, r.Seq}, nil
}

// Payment returns a payment as it stands; its State is None when there is none.
func (e *Engine) Payment(ctx context.Context, key journal.Key) (Payment, error) {
	s := e.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := e.load(ctx, s, key)
	return c.payment, err
}

// carryOut hands over what the durable step wants done, and tells followers. The stripe is locked, so that the rows of one payment
// are queued in order.
func (e *Engine) carryOut(before, after Payment, effects []Effect, step journal.Step) {
	state := before.State
	for _, effect := range effects {
		switch x := effect.(type) {
		case Record:
			if x.From != x.To {
				state = x.To
				e.cfg.Metrics.Count(MetricState, string(after.Side)+"."+string(x.To))
				e.observe(after, x.To)
			}
		case Trace:
			e.emit(trace.Event{Event: x.Event, Intent: string(after.Intent), Status: string(state), Detail: x.Detail})
		case OpenCase:
			e.cfg.Metrics.Count(MetricCase, string(x.Kind))
			e.cfg.Log.Warn("case opened", "kind", string(x.Kind), "intent", string(after.Intent), "side", string(after.Side))
		}
	}
	if after.Side == lifecycle.Creditor && before.Credited.IsZero() && !after.Credited.IsZero() {
		e.cfg.Metrics.Observe(LegCredit, after.Clock.Sub(after.Submitted))
	}
	e.enqueue(step)
	for _, t := range step.SetTimers {
		e.kickTimers(t.At)
	}
}

func (e *Engine) observe(p Payment, to lifecycle.State) {
	switch {
	case to == lifecycle.Submitting:
		e.cfg.Metrics.Observe(LegReserve, p.Submitted.Sub(p.Authorised))
	case p.Side == lifecycle.Debtor && !p.Submitted.IsZero() && (to == lifecycle.Settled || to == lifecycle.Rejected):
		e.cfg.Metrics.Observe(LegAnswer, p.Clock.Sub(p.Submitted))
		e.cfg.Metrics.Observe(LegTotal, p.Clock.Sub(p.Authorised))
	}
}

func (e *Engine) enqueue(step journal.Step) {
	for _, id := range step.DoneOutbox {
		e.rail.drop(id)
		e.bank.drop(id)
	}
	for _, o := range step.Outbox {
		row := journal.OutboxRow{OutboxDraft: o, Key: step.Key, At: step.At}
		switch o.Kind {
		case OutboxRail:
			e.rail.add(row)
		case OutboxCore:
			e.bank.add(row)
		case OutboxChat:
			e.chat.add(row)
		}
	}
}

func (e *Engine) emit(ev trace.Event) {
	ev.Actor = e.cfg.Actor
	e.cfg.Trace.Emit(ev)
}
