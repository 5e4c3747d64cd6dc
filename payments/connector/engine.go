package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
)

// Engine runs a bank's payments: it turns messages, answers and timers into events, lets Step decide, makes the step durable in the
// journal, and carries out what is in the outbox. Payments go on at once, the steps of one payment one after the other. All methods
// may be called concurrently.
type Engine struct {
	cfg   Config
	core  *Core
	says  bankStatements
	floor time.Time // no decision is made as of an earlier time: the journal's clock when it was opened

	stripes [256]stripe
	seed    maphash.Seed
	keys    keyCache
	tries   attempts

	rail, bank, chat *dispatcher
	timerKick        chan time.Time
	marks            chan mark
	sents            sync.WaitGroup // transfers that the rail took and that are recorded in a moment
	flush            chan struct{}  // closed when the moment is over

	mu      sync.Mutex // guards state
	state   engineState
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
	floor, err := cfg.Journal.Clock(ctx)
	if err != nil {
		return nil, fmt.Errorf("connector: journal: %w", err)
	}
	e.floor = floor
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

func (e *Engine) now() time.Time {
	if t := e.cfg.Now(); t.After(e.floor) {
		return t
	}
	return e.floor
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

// link is how the connection to the rail stands. A question that the rail holds open for a second is as good as an answer.
type link struct {
	mu     sync.Mutex // guards what follows
	failed bool       // the last question failed
	asking time.Time  // when the open question was asked; zero if none is
}

func (l *link) ask(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asking = now
}

func (l *link) answered(ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asking, l.failed = time.Time{}, !ok
}

func (l *link) down(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed && (l.asking.IsZero() || now.Sub(l.asking) < time.Second)
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
				if kind == OutboxRail && (IsTransfer(row.ID) || IsEnquiry(row.ID)) {
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
			return err
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
			if !refusedByJournal(err) {
				e.fatal(err)
			}
			return err
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
	err := e.cfg.Journal.Apply(context.WithoutCancel(ctx), step)
	if err != nil && !refusedByJournal(err) {
		e.fatal(err)
	}
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

// mark is a note that nobody waits for: an outbox row that was carried out, or how far a source was read. Losing it in a crash repeats
// a call or message under the same key.
type mark struct {
	row    string
	cursor journal.Cursor
}

// done marks an outbox row as carried out, soon.
func (e *Engine) done(id string) { e.marks <- mark{row: id} }

const (
	marksMax  = 200
	marksWait = 50 * time.Millisecond
)

// markDone writes the marks in groups until stop closes.
func (e *Engine) markDone(stop <-chan struct{}) {
	for {
		var first mark
		select {
		case first = <-e.marks:
		default:
			select {
			case first = <-e.marks:
			case <-stop:
				return
			}
		}
		step := journal.Step{At: e.now()}
		add := func(m mark) {
			if m.row != "" && !slices.Contains(step.DoneOutbox, m.row) {
				step.DoneOutbox = append(step.DoneOutbox, m.row)
			}
			if m.cursor.Name != "" {
				step.Cursors = []journal.Cursor{m.cursor} // there is one source, and it is read forwards
			}
		}
		add(first)
		gather := time.NewTimer(marksWait)
	more:
		for len(step.DoneOutbox) < marksMax {
			select {
			case m := <-e.marks:
				add(m)
			case <-gather.C:
				break more
			case <-stop: // nothing is added any more: take what is there
				select {
				case m := <-e.marks:
					add(m)
				default:
					break more
				}
			}
		}
		gather.Stop()
		if err := e.cfg.Journal.Apply(context.Background(), step); err != nil {
			e.fatal(err)
		}
	}
}

// kickTimers makes the timer loop look again if it would sleep past at.
func (e *Engine) kickTimers(at time.Time) {
	select {
	case e.timerKick <- at:
	default: // a kick is waiting; the loop reads the journal's earliest timer anyway
	}
}

// timers fires what is due until ctx ends.
func (e *Engine) timers(ctx context.Context) {
	slots := make(chan struct{}, e.cfg.Workers)
	for ctx.Err() == nil {
		now := e.now()
		due, err := e.cfg.Journal.Timers(ctx, now, 4*cap(slots))
		if err != nil {
			if ctx.Err() == nil {
				e.fatal(err)
			}
			return
		}
		var fired sync.WaitGroup
		for _, t := range due {
			slots <- struct{}{}
			fired.Go(func() {
				defer func() { <-slots }()
				e.fire(ctx, t)
			})
		}
		fired.Wait()
		if len(due) > 0 {
			continue
		}
		next, armed, err := e.cfg.Journal.NextTimer(ctx)
		if err != nil {
			if ctx.Err() == nil {
				e.fatal(err)
			}
			return
		}
		if !armed {
			next = now.Add(time.Hour)
		}
		e.sleepUntil(ctx, next)
	}
}

func (e *Engine) sleepUntil(ctx context.Context, next time.Time) {
	wait := time.NewTimer(next.Sub(e.now()))
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
			return
		case at := <-e.timerKick:
			if at.Before(next) {
				return
			}
		}
	}
}

func (e *Engine) fire(ctx context.Context, t journal.TimerRow) {
	err := e.apply(ctx, t.Key, FiredEvent(t.Timer), extra{})
	if err == nil {
		p, loadErr := e.Payment(ctx, t.Key)
		if at, armed := p.timer(TimerName(t.Name)); loadErr == nil && (!armed || !at.Equal(t.At)) {
			return
		}
		err = errors.New("connector: a due timer changed nothing")
	}
	e.cfg.Metrics.Count(MetricError, "timer")
	e.cfg.Log.Error("timer failed", "intent", string(t.Key.Intent), "timer", t.Name, "error", err)
	// It stays armed in the journal; what cannot be handled now must not spin.
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}

// sendRail hands one message to the rail's transport.
func (e *Engine) sendRail(ctx context.Context, row journal.OutboxRow, attempt int) (time.Duration, bool) {
	transfer, enquiry := IsTransfer(row.ID), IsEnquiry(row.ID)
	if transfer {
		p, err := e.Payment(ctx, row.Key)
		if err != nil {
			return time.Second, false
		}
		if p.State != lifecycle.Submitting {
			e.done(row.ID) // decided otherwise before a byte left
			return 0, true
		}
		if !e.now().Before(p.Deadline) {
			return e.sent(ctx, row, Sent{Row: row.ID, Result: SentNot})
		}
	}
	sendCtx, cancel := context.WithTimeout(ctx, e.cfg.SendTimeout)
	defer cancel()
	begun := time.Now()
	err := e.cfg.Transport.Send(sendCtx, row.Body)
	e.cfg.Metrics.Observe(LegSend, time.Since(begun))
	if err == nil {
		e.cfg.Metrics.Count(MetricRail, row.Dest+".sent")
		ev := trace.Event{Event: row.Dest + " sent", Intent: string(row.Key.Intent)}
		if transfer {
			ev.Status = string(lifecycle.Submitted)
			e.emit(ev)
			e.recordSent(ctx, row)
			return 0, true
		}
		if p, err := e.Payment(ctx, row.Key); err == nil {
			ev.Status, ev.Detail = string(p.State), p.answerFor(row.Dest)
		}
		e.emit(ev)
		return e.sent(ctx, row, Sent{Row: row.ID, Result: SentAccepted})
	}
	result, reason := sendResult(err)
	e.cfg.Metrics.Count(MetricRail, row.Dest+"."+result.String())
	wait := backoff(attempt, 2*time.Second)
	switch {
	case result == SentNot && transfer:
		p, err := e.Payment(ctx, row.Key)
		if err == nil && p.State == lifecycle.Submitting && e.now().Add(wait).Before(p.Deadline) {
			return wait, false // not a byte arrived: the same bytes again
		}
	case transfer:
	case enquiry && result == SentAmbiguous, attempt >= 12:
		result = SentAmbiguous // an enquiry has its budget, an answer its time
	case result != SentRefused:
		return wait, false // an answer moves nothing by itself: the same bytes again
	}
	return e.sent(ctx, row, Sent{Row: row.ID, Result: result, Reason: reason})
}

// recordSent records in a moment that the rail took a transfer. Where the rail answers within that moment, the answer proves it, and
// one write and one receipt say both. A crash in between leaves submitting, as a crash right before would.
func (e *Engine) recordSent(ctx context.Context, row journal.OutboxRow) {
	e.sents.Go(func() {
		moment := time.NewTimer(e.cfg.SentWait)
		defer moment.Stop()
		select {
		case <-moment.C:
		case <-e.flush:
		}
		e.sent(ctx, row, Sent{Row: row.ID, Result: SentAccepted})
	})
}

// sent records what became of a message.
func (e *Engine) sent(ctx context.Context, row journal.OutboxRow, ev Sent) (time.Duration, bool) {
	if err := e.apply(ctx, row.Key, ev, extra{done: row.ID}); err != nil {
		// The message is out and its record is not: it must not be sent again by this process. The next one finds submitting.
		e.cfg.Metrics.Count(MetricError, "rail")
		e.cfg.Log.Error("send not recorded", "intent", string(row.Key.Intent), "message", row.Dest, "error", err)
	}
	return 0, true
}

// answerFor returns our answer, for the trace of a pacs.002.
func (p Payment) answerFor(kind string) string {
	if kind == "pacs.002" {
		return strings.TrimSpace(p.Answer + " " + p.AnswerReason)
	}
	return ""
}

func (r SendResult) String() string {
	return [...]string{"ambiguous", "sent", "refused", "not_sent"}[min(r, SentNot)]
}

func sendResult(err error) (SendResult, string) {
	var s *rail.SendError
	if !errors.As(err, &s) {
		return SentAmbiguous, ""
	}
	switch s.Outcome.String() {
	case "not sent":
		return SentNot, ""
	case "refused":
		if len(s.Faults) > 0 {
			return SentRefused, word(s.Faults[0].Rule)
		}
		return SentRefused, "transport_refused"
	}
	return SentAmbiguous, ""
}

// word makes a reason out of a rule's name: at most 35 of the characters that statements take.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, s)
	return s[:min(len(s), 35)]
}

// callCore carries out one call to the core bank.
func (e *Engine) callCore(ctx context.Context, row journal.OutboxRow, attempt int) (time.Duration, bool) {
	c, err := DecodeCoreCall(row.Body)
	if err != nil {
		e.cfg.Metrics.Count(MetricError, "core")
		e.cfg.Log.Error("stored call", "intent", string(row.Key.Intent), "error", err)
		return time.Minute, false
	}
	ev := CoreAnswered{Op: c.Op, OK: true}
	callCtx, cancel := context.WithTimeout(ctx, e.cfg.CoreTimeout)
	defer cancel()
	switch c.Op {
	case CoreReserve:
		err = e.cfg.Core.Reserve(callCtx, c.Key, c.Account, c.Amount)
	case CorePost:
		err = e.cfg.Core.Post(callCtx, c.Key)
	case CoreRelease:
		err = e.cfg.Core.Release(callCtx, c.Key)
	case CoreCredit:
		ev.Ref, err = e.cfg.Core.Credit(callCtx, c.Key, c.Account, c.Amount)
	}
	if err != nil {
		var refused *CoreError
		if !errors.As(err, &refused) {
			e.cfg.Metrics.Count(MetricCore, string(c.Op)+".retry")
			return backoff(attempt, 5*time.Second), false
		}
		ev.OK, ev.Reason = false, word(refused.Reason)
		e.cfg.Metrics.Count(MetricCore, string(c.Op)+".refused")
	} else {
		e.cfg.Metrics.Count(MetricCore, string(c.Op)+".ok")
	}
	if err := e.apply(ctx, row.Key, ev, extra{done: row.ID}); err != nil {
		e.cfg.Metrics.Count(MetricError, "core")
		e.cfg.Log.Error("core bank's answer not recorded", "intent", string(row.Key.Intent), "call", string(c.Op), "error", err)
		return time.Second, false
	}
	return 0, true
}

// sendChat hands one message to a chat.
func (e *Engine) sendChat(ctx context.Context, row journal.OutboxRow, attempt int) (time.Duration, bool) {
	m, err := DecodeChatMessage(row.Body)
	if err == nil {
		begun := time.Now()
		err = e.cfg.Chat.Send(ctx, row.Dest, row.ID, m.MediaType, m.Body, m.Fallback)
		e.cfg.Metrics.Observe(LegChat, time.Since(begun))
	}
	if err != nil {
		e.cfg.Metrics.Count(MetricChat, "retry")
		return backoff(attempt, 30*time.Second), false
	}
	e.cfg.Metrics.Count(MetricChat, "sent")
	e.emit(trace.Event{Event: sentName(m.MediaType), Intent: string(row.Key.Intent), Status: m.Status})
	e.done(row.ID)
	return 0, true
}

// deadLetter is what is kept of a message that could not be taken.
type deadLetter struct {
	At     time.Time `json:"at"`
	From   string    `json:"from"`
	Reason string    `json:"reason"`
	Bytes  []byte    `json:"bytes"`
}

const deadLetterMax = 40 << 10

func (d deadLetter) put(table, key string) journal.Put {
	d.Bytes = d.Bytes[:min(len(d.Bytes), deadLetterMax)]
	b, err := json.Marshal(d)
	if err != nil {
		panic("connector: strings and bytes do not encode: " + err.Error())
	}
	return journal.Put{Table: table, Key: key, Value: b}
}
