package journal

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/lifecycle"
)

// Memory is a Journal in memory, for simulation and tests: the same rules as SQLite, nothing on disk. It is deterministic: the same
// steps give the same answers in the same order. What a machine's crash does to it is decided by the caller, with Crash and Break.
type Memory struct {
	mu      sync.Mutex // guards everything below
	st      *memory
	applied []Step
	breaks  breaking
	broken  bool
}

type breaking uint8

const (
	breakNot    breaking = iota
	breakBefore          // the next step is not recorded
	breakAfter           // the next step is recorded, its caller is not told
)

// NewMemory returns an empty journal.
func NewMemory() *Memory { return &Memory{st: newMemory()} }

// Applied returns how many steps have been recorded: the durable points between which the machine can stop.
func (m *Memory) Applied() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.applied)
}

// Crash is the end of the process and the opening of the journal by the next one. Of the steps recorded, the first keep survive: all
// of them with Applied(), fewer when the disk lost what was not yet fsynced. Leases end, and a broken journal works again.
func (m *Memory) Crash(keep int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.breaks, m.broken = breakNot, false
	if keep >= len(m.applied) {
		clear(m.st.leased)
		return
	}
	kept := m.applied[:max(keep, 0)]
	m.st, m.applied = newMemory(), nil
	for _, s := range kept {
		if err := m.st.apply(s); err != nil {
			panic("journal: a recorded step does not replay: " + err.Error())
		}
		m.applied = append(m.applied, s)
	}
}

// Break makes the next step fail with ErrBroken, and all after it until Crash. recorded says whether the step survives: after a
// failed fsync either is possible.
func (m *Memory) Break(recorded bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.breaks = breakBefore
	if recorded {
		m.breaks = breakAfter
	}
}

// Apply implements Journal.
func (m *Memory) Apply(ctx context.Context, s Step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return ErrBroken
	}
	if m.breaks == breakBefore {
		m.broken = true
		return ErrBroken
	}
	s = s.copy()
	if err := m.st.apply(s); err != nil {
		return err
	}
	m.applied = append(m.applied, s)
	if m.breaks == breakAfter {
		m.broken = true
		return ErrBroken
	}
	return nil
}

// Close implements Journal. A Memory has nothing to release.
func (m *Memory) Close() error { return nil }

// copy returns the step with byte slices of its own.
func (s Step) copy() Step {
	if s.State != nil {
		s.State = append([]byte{}, s.State...)
	}
	s.Events, s.Outbox = clone(s.Events), clone(s.Outbox)
	for i := range s.Events {
		s.Events[i].Data = clone(s.Events[i].Data)
	}
	for i := range s.Outbox {
		s.Outbox[i].Body = clone(s.Outbox[i].Body)
	}
	s.NewCodes, s.PutKeys, s.Nonces = clone(s.NewCodes), clone(s.PutKeys), clone(s.Nonces)
	for i := range s.NewCodes {
		s.NewCodes[i].Data = clone(s.NewCodes[i].Data)
	}
	for i := range s.PutKeys {
		s.PutKeys[i].Data = clone(s.PutKeys[i].Data)
	}
	for i := range s.Nonces {
		s.Nonces[i].Data = clone(s.Nonces[i].Data)
	}
	s.Puts = clone(s.Puts)
	for i := range s.Puts {
		s.Puts[i] = s.Puts[i].copy()
	}
	s.Keys, s.SetTimers, s.ClearTimers, s.Postings = clone(s.Keys), clone(s.SetTimers), clone(s.ClearTimers), clone(s.Postings)
	s.Claims, s.Limits, s.DoneOutbox, s.RetryOutbox = clone(s.Claims), clone(s.Limits), clone(s.DoneOutbox), clone(s.RetryOutbox)
	s.Cases, s.CloseCases, s.Cursors = clone(s.Cases), clone(s.CloseCases), clone(s.Cursors)
	if s.Inbox != nil {
		i := *s.Inbox
		s.Inbox = &i
	}
	return s
}

// memory is the recorded state.
type memory struct {
	clock    time.Time
	head     Head
	log      []*entry
	heads    [][32]byte // of log, by position
	order    []Key
	records  map[Key]*Record
	events   map[Key][]Event
	index    map[IndexKey][]Key
	timers   map[timerKey]time.Time
	claims   map[Claim]Key
	limits   map[string]int64
	inbox    map[[2]string][32]byte
	outbox   map[string]*OutboxRow
	pending  []string // undone outbox ids, in the order in which they were written
	leased   map[string]time.Time
	balances map[balanceKey]int64
	cases    map[string]*Case
	caseIDs  []string
	cursors  map[string]uint64
	codes    map[string]*Code
	keys     map[string]EnrolledKey
	kids     []string
	nonces   map[string]Nonce
	values   map[[2]string][]byte
}

type timerKey struct {
	Key
	name string
}

type balanceKey struct {
	account  string
	currency payments.Currency
}

func newMemory() *memory {
	return &memory{
		records: map[Key]*Record{}, events: map[Key][]Event{}, index: map[IndexKey][]Key{}, timers: map[timerKey]time.Time{},
		claims: map[Claim]Key{}, limits: map[string]int64{}, inbox: map[[2]string][32]byte{}, outbox: map[string]*OutboxRow{},
		leased: map[string]time.Time{}, balances: map[balanceKey]int64{}, cases: map[string]*Case{}, cursors: map[string]uint64{},
		codes: map[string]*Code{}, keys: map[string]EnrolledKey{}, nonces: map[string]Nonce{}, values: map[[2]string][]byte{},
	}
}

// apply checks everything first and then records, so that a failed step leaves nothing.
func (m *memory) apply(s Step) error {
	now := s.At
	if m.clock.After(now) {
		now = m.clock
	}
	rec := Record{Key: s.Key}
	if r := m.records[s.Key]; r != nil {
		rec = *r
	}
	events, err := m.judge(&s, &rec, now)
	if err != nil {
		return err
	}
	m.clock = moment(nanos(now))
	m.record(&s, &rec, events)
	e := s.entry(m.head.Pos+1, rec.Seq, events)
	if !e.empty() {
		m.head = Head{Pos: e.Pos, Hash: stepHash(m.head.Hash, e, e.parts())}
		m.log, m.heads = append(m.log, e), append(m.heads, m.head.Hash)
	}
	return nil
}

// judge finds what stands against the step, in the order that Apply documents nowhere but journaltest holds fixed.
func (m *memory) judge(s *Step, rec *Record, now time.Time) (events []Event, err error) {
	if s.Inbox != nil {
		if seen, err := m.seen(*s.Inbox); err != nil {
			return nil, err
		} else if seen {
			return nil, ErrDuplicate
		}
	}
	if s.Key != (Key{}) {
		if events, err = s.follow(rec); err != nil {
			return nil, err
		}
	}
	for _, c := range s.Claims {
		if owner, taken := m.claims[c]; taken {
			return nil, &ClaimError{Claim: c, Owner: owner}
		}
	}
	for _, l := range s.Limits {
		if _, err := l.after(m.limits[l.Name]); err != nil {
			return nil, err
		}
	}
	for _, o := range s.Outbox {
		if row := m.outbox[o.ID]; row != nil {
			return nil, &ClaimError{Claim: Claim{ClaimOutbox, o.ID}, Owner: row.Key}
		}
	}
	for _, r := range s.RetryOutbox {
		if m.outbox[r.ID] == nil {
			return nil, fmt.Errorf("%w: no outbox row %q", ErrInvalid, r.ID)
		}
	}
	for _, c := range s.Cases {
		if old := m.cases[c.ID]; old != nil {
			return nil, &ClaimError{Claim: Claim{ClaimCase, c.ID}, Owner: old.Key}
		}
	}
	for _, c := range s.CloseCases {
		if old := m.cases[c.ID]; old == nil || !old.Closed.IsZero() {
			return nil, fmt.Errorf("%w: no open case %q", ErrInvalid, c.ID)
		}
	}
	for _, c := range s.NewCodes {
		if m.codes[c.ID] != nil {
			return nil, &ClaimError{Claim: Claim{ClaimCode, c.ID}}
		}
	}
	if s.UseCode != "" {
		c := m.codes[s.UseCode]
		if c == nil {
			return nil, &CodeError{"unknown"}
		}
		if err := c.usable(now); err != nil {
			return nil, err
		}
	}
	for _, n := range s.Nonces {
		if _, taken := m.nonces[n.Nonce]; taken {
			return nil, &ClaimError{Claim: Claim{ClaimNonce, n.Nonce}}
		}
	}
	sums := map[balanceKey]int64{}
	for _, p := range s.Postings {
		k := balanceKey{p.Account, p.Amount.Currency}
		if _, ok := sums[k]; !ok {
			sums[k] = m.balances[k]
		}
		var ok bool
		if sums[k], ok = addMinor(sums[k], p.Amount.Minor); !ok {
			return nil, fmt.Errorf("%w: balance of %q overflows", ErrUnbalanced, p.Account)
		}
	}
	return events, nil
}

func (m *memory) record(s *Step, rec *Record, events []Event) {
	if len(events) > 0 {
		if rec.Seq == 0 {
			m.order = append(m.order, s.Key)
		}
		last := &events[len(events)-1]
		rec.Seq, rec.Status, rec.Head, rec.Updated = last.Seq, last.To, last.Hash, moment(nanos(s.At))
		if s.State != nil {
			rec.State = s.State
		}
		r := *rec
		m.records[s.Key] = &r
		m.events[s.Key] = append(m.events[s.Key], events...)
	}
	for _, k := range s.Keys {
		if !slices.Contains(m.index[k], s.Key) {
			m.index[k] = append(m.index[k], s.Key)
		}
	}
	for _, name := range s.ClearTimers {
		delete(m.timers, timerKey{s.Key, name})
	}
	for _, t := range s.SetTimers {
		m.timers[timerKey{s.Key, t.Name}] = moment(nanos(t.At))
	}
	for _, c := range s.Claims {
		m.claims[c] = s.Key
	}
	for _, l := range s.Limits {
		m.limits[l.Name] += l.Amount
	}
	if s.Inbox != nil {
		m.inbox[[2]string{s.Inbox.Sender, s.Inbox.ID}] = s.Inbox.Hash
	}
	for _, o := range s.Outbox {
		o.NotBefore = moment(nanos(o.NotBefore))
		m.outbox[o.ID] = &OutboxRow{OutboxDraft: o, Key: s.Key, At: moment(nanos(s.At))}
		m.pending = append(m.pending, o.ID)
	}
	for _, id := range s.DoneOutbox {
		if m.outbox[id] == nil {
			continue
		}
		m.outbox[id].Done = true
		delete(m.leased, id)
		m.pending = slices.DeleteFunc(m.pending, func(p string) bool { return p == id })
	}
	for _, r := range s.RetryOutbox {
		if row := m.outbox[r.ID]; !row.Done {
			row.Attempts, row.NotBefore, row.LastError = row.Attempts+1, moment(nanos(r.NotBefore)), r.Error
		}
		delete(m.leased, r.ID)
	}
	for _, p := range s.Postings {
		m.balances[balanceKey{p.Account, p.Amount.Currency}] += p.Amount.Minor
	}
	for _, c := range s.Cases {
		m.cases[c.ID] = &Case{CaseDraft: c, Key: s.Key, Opened: moment(nanos(s.At))}
		m.caseIDs = append(m.caseIDs, c.ID)
	}
	for _, c := range s.CloseCases {
		m.cases[c.ID].Closed, m.cases[c.ID].Resolution = moment(nanos(s.At)), c.Resolution
	}
	for _, c := range s.Cursors {
		m.cursors[c.Name] = c.Value
	}
	m.recordRegistry(s)
}

func (m *memory) recordRegistry(s *Step) {
	for _, c := range s.NewCodes {
		c.Expires, c.Used = moment(nanos(c.Expires)), time.Time{}
		m.codes[c.ID] = &c
	}
	if s.UseCode != "" {
		m.codes[s.UseCode].Used = moment(nanos(s.At))
	}
	if c := m.codes[s.MissCode]; c != nil && c.Attempts > 0 {
		c.Attempts--
	}
	for _, k := range s.PutKeys {
		if _, known := m.keys[k.KID]; !known {
			m.kids = append(m.kids, k.KID)
		}
		k.From, k.To = moment(nanos(k.From)), moment(nanos(k.To))
		m.keys[k.KID] = k
	}
	for _, n := range s.Nonces {
		n.Expires = moment(nanos(n.Expires))
		m.nonces[n.Nonce] = n
	}
	for _, p := range s.Puts {
		if p.Value == nil {
			delete(m.values, [2]string{p.Table, p.Key})
		} else {
			m.values[[2]string{p.Table, p.Key}] = p.Value
		}
	}
}

func (m *memory) seen(e InboxEntry) (bool, error) {
	h, ok := m.inbox[[2]string{e.Sender, e.ID}]
	if ok && h != e.Hash {
		return false, &ClaimError{Claim: Claim{ClaimInbox, e.ID}}
	}
	return ok, nil
}

// read runs f on the recorded state, unless the journal is broken.
func (m *Memory) read(ctx context.Context, f func(*memory) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return ErrBroken
	}
	return f(m.st)
}

// Payment implements Journal.
func (m *Memory) Payment(ctx context.Context, k Key) (r Record, err error) {
	return r, m.read(ctx, func(st *memory) error {
		rec := st.records[k]
		if rec == nil {
			return ErrNotFound
		}
		r = *rec
		r.State = clone(r.State)
		return nil
	})
}

// List implements Journal.
func (m *Memory) List(ctx context.Context, f Filter) (rs []Record, err error) {
	return rs, m.read(ctx, func(st *memory) error {
		start := 0
		if f.After != (Key{}) {
			start = slices.Index(st.order, f.After) + 1
			if start == 0 {
				return ErrNotFound
			}
		}
		for _, k := range st.order[start:] {
			if len(rs) == f.max() {
				break
			}
			if r := st.records[k]; f.match(r.Side, r.Status) {
				c := *r
				c.State = clone(c.State)
				rs = append(rs, c)
			}
		}
		return nil
	})
}

func (f *Filter) max() int { return cmp.Or(max(f.Max, 0), 1000) }

func (f *Filter) match(side lifecycle.Side, status lifecycle.State) bool {
	return (f.Side == "" || f.Side == side) && (len(f.Status) == 0 || slices.Contains(f.Status, status)) && !(f.Open && status.Terminal())
}

// Events implements Journal.
func (m *Memory) Events(ctx context.Context, k Key) (es []Event, err error) {
	return es, m.read(ctx, func(st *memory) error {
		es = clone(st.events[k])
		for i := range es {
			es[i].Data = clone(es[i].Data)
		}
		return nil
	})
}

// Find implements Journal.
func (m *Memory) Find(ctx context.Context, key IndexKey) (ks []Key, err error) {
	return ks, m.read(ctx, func(st *memory) error { ks = clone(st.index[key]); return nil })
}

// LeaseOutbox implements Journal.
func (m *Memory) LeaseOutbox(ctx context.Context, l Lease) (rows []OutboxRow, err error) {
	return rows, m.read(ctx, func(st *memory) error {
		for _, id := range st.pending {
			if row := st.outbox[id]; row.Kind == l.Kind && !row.NotBefore.After(l.Now) && !st.leased[id].After(l.Now) {
				rows = append(rows, *row)
			}
		}
		slices.SortStableFunc(rows, func(a, b OutboxRow) int { return a.NotBefore.Compare(b.NotBefore) })
		rows = rows[:min(len(rows), l.max())]
		for i := range rows {
			rows[i].Body = clone(rows[i].Body)
			st.leased[rows[i].ID] = l.Until
		}
		return nil
	})
}

func (l *Lease) max() int { return cmp.Or(max(l.Max, 0), 100) }

// OutboxRow implements Journal.
func (m *Memory) OutboxRow(ctx context.Context, id string) (row OutboxRow, err error) {
	return row, m.read(ctx, func(st *memory) error {
		if st.outbox[id] == nil {
			return ErrNotFound
		}
		row = *st.outbox[id]
		row.Body = clone(row.Body)
		return nil
	})
}

// NextOutbox implements Journal.
func (m *Memory) NextOutbox(ctx context.Context, kind string, now time.Time) (at time.Time, ok bool, err error) {
	return at, ok, m.read(ctx, func(st *memory) error {
		for _, id := range st.pending {
			if row := st.outbox[id]; row.Kind == kind && !st.leased[id].After(now) && (!ok || row.NotBefore.Before(at)) {
				at, ok = row.NotBefore, true
			}
		}
		return nil
	})
}

// Timers implements Journal.
func (m *Memory) Timers(ctx context.Context, until time.Time, n int) (rows []TimerRow, err error) {
	return rows, m.read(ctx, func(st *memory) error {
		for k, at := range st.timers {
			if !at.After(until) {
				rows = append(rows, TimerRow{k.Key, Timer{k.name, at}})
			}
		}
		slices.SortFunc(rows, func(a, b TimerRow) int {
			return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Key.Intent, b.Key.Intent), cmp.Compare(a.Key.Side, b.Key.Side), cmp.Compare(a.Name, b.Name))
		})
		rows = rows[:min(len(rows), cmp.Or(max(n, 0), 1000))]
		return nil
	})
}

// NextTimer implements Journal.
func (m *Memory) NextTimer(ctx context.Context) (at time.Time, ok bool, err error) {
	return at, ok, m.read(ctx, func(st *memory) error {
		for _, t := range st.timers {
			if !ok || t.Before(at) {
				at, ok = t, true
			}
		}
		return nil
	})
}

// InboxSeen implements Journal.
func (m *Memory) InboxSeen(ctx context.Context, e InboxEntry) (seen bool, err error) {
	return seen, m.read(ctx, func(st *memory) (err error) { seen, err = st.seen(e); return err })
}

// Claim implements Journal.
func (m *Memory) Claim(ctx context.Context, c Claim) (owner Key, taken bool, err error) {
	return owner, taken, m.read(ctx, func(st *memory) error { owner, taken = st.claims[c]; return nil })
}

// LimitUsed implements Journal.
func (m *Memory) LimitUsed(ctx context.Context, name string) (used int64, err error) {
	return used, m.read(ctx, func(st *memory) error { used = st.limits[name]; return nil })
}

// Balances implements Journal.
func (m *Memory) Balances(ctx context.Context) (bs []Balance, err error) {
	return bs, m.read(ctx, func(st *memory) error {
		for k, n := range st.balances {
			bs = append(bs, Balance{k.account, payments.Amount{Minor: n, Currency: k.currency}})
		}
		slices.SortFunc(bs, func(a, b Balance) int {
			return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Amount.Currency, b.Amount.Currency))
		})
		return nil
	})
}

// Cases implements Journal.
func (m *Memory) Cases(ctx context.Context, all bool, n int) (cs []Case, err error) {
	return cs, m.read(ctx, func(st *memory) error {
		for _, id := range st.caseIDs {
			if c := st.cases[id]; (all || c.Closed.IsZero()) && len(cs) < cmp.Or(max(n, 0), 1000) {
				cs = append(cs, *c)
			}
		}
		return nil
	})
}

// Cursor implements Journal.
func (m *Memory) Cursor(ctx context.Context, name string) (v uint64, err error) {
	return v, m.read(ctx, func(st *memory) error { v = st.cursors[name]; return nil })
}

// Clock implements Journal.
func (m *Memory) Clock(ctx context.Context) (t time.Time, err error) {
	return t, m.read(ctx, func(st *memory) error { t = st.clock; return nil })
}

// Code implements Journal.
func (m *Memory) Code(ctx context.Context, id string) (c Code, err error) {
	return c, m.read(ctx, func(st *memory) error {
		if st.codes[id] == nil {
			return ErrNotFound
		}
		c = *st.codes[id]
		c.Data = clone(c.Data)
		return nil
	})
}

// EnrolledKey implements Journal.
func (m *Memory) EnrolledKey(ctx context.Context, kid string) (k EnrolledKey, err error) {
	return k, m.read(ctx, func(st *memory) error {
		var ok bool
		if k, ok = st.keys[kid]; !ok {
			return ErrNotFound
		}
		k.Data = clone(k.Data)
		return nil
	})
}

// EnrolledKeys implements Journal.
func (m *Memory) EnrolledKeys(ctx context.Context, owner string) (ks []EnrolledKey, err error) {
	return ks, m.read(ctx, func(st *memory) error {
		for _, kid := range st.kids {
			if k := st.keys[kid]; k.Owner == owner {
				k.Data = clone(k.Data)
				ks = append(ks, k)
			}
		}
		return nil
	})
}

// Nonce implements Journal.
func (m *Memory) Nonce(ctx context.Context, nonce string) (n Nonce, err error) {
	return n, m.read(ctx, func(st *memory) error {
		var ok bool
		if n, ok = st.nonces[nonce]; !ok {
			return ErrNotFound
		}
		n.Data = clone(n.Data)
		return nil
	})
}

// Value implements Journal.
func (m *Memory) Value(ctx context.Context, table, key string) (v []byte, err error) {
	return v, m.read(ctx, func(st *memory) error {
		stored, ok := st.values[[2]string{table, key}]
		if !ok {
			return ErrNotFound
		}
		v = append([]byte{}, stored...)
		return nil
	})
}

// Values implements Journal.
func (m *Memory) Values(ctx context.Context, table, prefix string, n int) (ps []Put, err error) {
	return ps, m.read(ctx, func(st *memory) error {
		for k, v := range st.values {
			if k[0] == table && strings.HasPrefix(k[1], prefix) {
				ps = append(ps, Put{table, k[1], append([]byte{}, v...)})
			}
		}
		slices.SortFunc(ps, func(a, b Put) int { return cmp.Compare(a.Key, b.Key) })
		ps = ps[:min(len(ps), cmp.Or(max(n, 0), 1000))]
		return nil
	})
}

// Head implements Journal.
func (m *Memory) Head(ctx context.Context) (h Head, err error) {
	return h, m.read(ctx, func(st *memory) error { h = st.head; return nil })
}

// Verify implements Journal.
func (m *Memory) Verify(ctx context.Context, earlier ...Head) error {
	return m.read(ctx, func(st *memory) error {
		v := newVerifier(earlier)
		for i, e := range st.log {
			if err := v.step(e, st.heads[i], e.parts()); err != nil {
				return err
			}
		}
		for _, k := range st.order {
			r := st.records[k]
			if err := v.record(r, HashOf(r.State)); err != nil {
				return err
			}
		}
		for k, n := range st.balances {
			if err := v.balance(k.account, k.currency, n); err != nil {
				return err
			}
		}
		for name, n := range st.limits {
			if err := v.limit(name, n); err != nil {
				return err
			}
		}
		return v.finish(st.head)
	})
}
