package journal

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/parleypay/parley/payments"
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

// judge finds what stands against the step, in the order that Apply promises.
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
