package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/parleypay/parley/internal/sqlitedb"
)

// SQLite is a Journal in one SQLite file. Steps that arrive together share one fsync; a file is open in one process at a time.
type SQLite struct {
	db   *sqlitedb.DB
	tail tail // only touched by the writer, inside Update

	mu     sync.Mutex           // guards leased, and is held from reading the outbox until the lease is noted
	leased map[string]time.Time // outbox id → when the lease ends
}

// tail is what the next step continues. It is set as the last thing a step does, so that a step that fails leaves it as it was.
type tail struct {
	head  Head
	clock int64
}

// OpenSQLite opens or creates the journal. It fails with sqlitedb.ErrLocked while another process has it open.
func OpenSQLite(path string) (*SQLite, error) {
	db, err := sqlitedb.Open(path, sqliteSchema)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &SQLite{db: db, leased: map[string]time.Time{}}
	err = db.View(context.Background(), func(tx *sqlitedb.Tx) error {
		var schema int
		if err := tx.QueryRow(`SELECT value FROM meta WHERE name = 'schema'`, nil, &schema); err != nil {
			return err
		}
		if schema != 1 {
			return fmt.Errorf("the file has schema %d, this program knows 1", schema)
		}
		if err := tx.QueryRow(`SELECT value FROM meta WHERE name = 'clock'`, nil, &j.tail.clock); err != nil {
			return err
		}
		j.tail.head, err = readHead(tx)
		return err
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("journal: %w", err)
	}
	return j, nil
}

// Close implements Journal.
func (j *SQLite) Close() error { return j.db.Close() }

// Apply implements Journal.
func (j *SQLite) Apply(ctx context.Context, s Step) error {
	if err := s.check(); err != nil {
		return err
	}
	err := j.db.Update(ctx, func(tx *sqlitedb.Tx) error { return j.apply(tx, &s) })
	if err != nil {
		return outward(err)
	}
	if len(s.DoneOutbox)+len(s.RetryOutbox) > 0 {
		j.mu.Lock()
		for _, id := range s.DoneOutbox {
			delete(j.leased, id)
		}
		for _, r := range s.RetryOutbox {
			delete(j.leased, r.ID)
		}
		j.mu.Unlock()
	}
	return nil
}

// outward puts the errors of the store into this package's words.
func outward(err error) error {
	switch {
	case errors.Is(err, sqlitedb.ErrBroken):
		return fmt.Errorf("%w (%w)", ErrBroken, err)
	case errors.Is(err, sql.ErrConnDone):
		return ErrClosed
	}
	return err
}

func (j *SQLite) apply(tx *sqlitedb.Tx, s *Step) error {
	w := &writer{tx: tx, s: s, now: max(nanos(s.At), j.tail.clock), pos: j.tail.head.Pos + 1}
	if s.Inbox != nil {
		if seen, err := inboxSeen(tx, *s.Inbox); err != nil {
			return err
		} else if seen {
			return ErrDuplicate
		}
	}
	if err := w.payment(); err != nil {
		return err
	}
	for _, f := range []func() error{w.claims, w.limits, w.outbox, w.cases, w.registry, w.postings, w.progress} {
		if err := f(); err != nil {
			return err
		}
	}
	next := j.tail
	if w.now > next.clock {
		w.exec(`UPDATE meta SET value = ? WHERE name = 'clock'`, w.now)
		next.clock = w.now
	}
	if e := s.entry(w.pos, w.seq, w.events); !e.empty() {
		ps := e.parts()
		next.head = Head{Pos: e.Pos, Hash: stepHash(next.head.Hash, e, ps)}
		w.exec(`INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)`, int64(e.Pos), nanos(e.At), w.id, int64(e.Seq), hashOrNull(e.State), packParts(ps), next.head.Hash[:])
	}
	if w.err == nil {
		j.tail = next
	}
	return w.err
}

// writer records one step inside a transaction. After a statement has failed it runs no more; err keeps the first failure.
type writer struct {
	tx     *sqlitedb.Tx
	s      *Step
	now    int64 // the step's time, or the journal's clock if that is ahead
	pos    uint64
	id     int64 // row of the payment, 0 if the step has none
	seq    uint64
	events []Event
	err    error
}

func (w *writer) exec(query string, args ...any) {
	if w.err != nil {
		return
	}
	if _, err := w.tx.Exec(query, args...); err != nil {
		w.err = fmt.Errorf("journal: %w", err)
	}
}

// one reads at most one row; it reports false when there is none.
func (w *writer) one(query string, args []any, dest ...any) bool {
	if w.err != nil {
		return false
	}
	err := w.tx.QueryRow(query, args, dest...)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		w.err = fmt.Errorf("journal: %w", err)
	}
	return err == nil
}

func (w *writer) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return w.err
}

func (w *writer) payment() error {
	s := w.s
	if s.Key == (Key{}) {
		return nil
	}
	rec := Record{Key: s.Key}
	found := w.one(`SELECT id, seq, status, head FROM payments WHERE intent = ? AND side = ?`, []any{string(s.Key.Intent), string(s.Key.Side)},
		&w.id, &rec.Seq, &rec.Status, (*hashColumn)(&rec.Head))
	if w.err != nil {
		return w.err
	}
	events, err := s.follow(&rec)
	if err != nil {
		return err
	}
	w.events, w.seq = events, rec.Seq+uint64(len(events))
	if len(events) == 0 {
		return nil
	}
	last := &events[len(events)-1]
	open := !last.To.Terminal()
	switch {
	case !found:
		if w.one(`INSERT INTO payments (intent, side, seq, status, open, head, state, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			[]any{string(s.Key.Intent), string(s.Key.Side), int64(last.Seq), string(last.To), open, last.Hash[:], blob(s.State), nanos(s.At)}, &w.id); w.err != nil {
			return w.err
		}
	case s.State != nil:
		w.exec(`UPDATE payments SET seq = ?, status = ?, open = ?, head = ?, updated = ?, state = ? WHERE id = ?`,
			int64(last.Seq), string(last.To), open, last.Hash[:], nanos(s.At), blob(s.State), w.id)
	default:
		w.exec(`UPDATE payments SET seq = ?, status = ?, open = ?, head = ?, updated = ? WHERE id = ?`,
			int64(last.Seq), string(last.To), open, last.Hash[:], nanos(s.At), w.id)
	}
	for i := range events {
		e := &events[i]
		w.exec(`INSERT INTO events (pos, payment, seq, at, type, src, dst, evidence_kind, evidence_hash, data, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			int64(w.pos), w.id, int64(e.Seq), nanos(e.At), e.Type, string(e.From), string(e.To), e.EvidenceKind, e.EvidenceHash[:], blob(e.Data), e.Hash[:])
	}
	return w.err
}

func (w *writer) claims() error {
	for _, c := range w.s.Claims {
		var owner int64
		if w.one(`SELECT payment FROM claims WHERE value = ? AND kind = ?`, []any{c.Value, c.Kind}, &owner) {
			return w.fail(&ClaimError{Claim: c, Owner: w.keyOf(owner)})
		}
		w.exec(`INSERT INTO claims (pos, kind, value, payment) VALUES (?, ?, ?, ?)`, int64(w.pos), c.Kind, c.Value, w.id)
	}
	return w.err
}

// keyOf returns the key of a payment's row, the zero Key for 0.
func (w *writer) keyOf(id int64) (k Key) {
	if id != 0 {
		w.one(`SELECT intent, side FROM payments WHERE id = ?`, []any{id}, &k.Intent, &k.Side)
	}
	return k
}

func (w *writer) limits() error {
	for _, l := range w.s.Limits {
		var used int64
		known := w.one(`SELECT used FROM limits WHERE name = ?`, []any{l.Name}, &used)
		sum, err := l.after(used)
		if err != nil {
			return w.fail(err)
		}
		if known {
			w.exec(`UPDATE limits SET used = ? WHERE name = ?`, sum, l.Name)
		} else {
			w.exec(`INSERT INTO limits VALUES (?, ?)`, l.Name, sum)
		}
		w.exec(`INSERT INTO limit_uses (pos, name, amount, ceiling) VALUES (?, ?, ?, ?)`, int64(w.pos), l.Name, l.Amount, l.Max)
	}
	return w.err
}

func (w *writer) outbox() error {
	for i := range w.s.Outbox {
		o := &w.s.Outbox[i]
		var owner int64
		if w.one(`SELECT payment FROM outbox WHERE name = ?`, []any{o.ID}, &owner) {
			return w.fail(&ClaimError{Claim: Claim{ClaimOutbox, o.ID}, Owner: w.keyOf(owner)})
		}
		w.exec(`INSERT INTO outbox (pos, name, kind, dest, body, payment, at, not_before, attempts, error, done) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, '', 0)`,
			int64(w.pos), o.ID, o.Kind, o.Dest, blob(o.Body), w.id, nanos(w.s.At), nanos(o.NotBefore))
	}
	for _, id := range w.s.DoneOutbox {
		w.exec(`UPDATE outbox SET done = 1 WHERE name = ?`, id)
	}
	for _, r := range w.s.RetryOutbox {
		var done bool
		if !w.one(`SELECT done FROM outbox WHERE name = ?`, []any{r.ID}, &done) {
			return w.fail(fmt.Errorf("%w: no outbox row %q", ErrInvalid, r.ID))
		}
		w.exec(`UPDATE outbox SET not_before = ?, attempts = attempts + 1, error = ? WHERE name = ? AND done = 0`, nanos(r.NotBefore), r.Error, r.ID)
	}
	return w.err
}

func (w *writer) cases() error {
	for _, c := range w.s.Cases {
		var owner int64
		if w.one(`SELECT payment FROM cases WHERE name = ?`, []any{c.ID}, &owner) {
			return w.fail(&ClaimError{Claim: Claim{ClaimCase, c.ID}, Owner: w.keyOf(owner)})
		}
		w.exec(`INSERT INTO cases (pos, name, kind, detail, payment, at) VALUES (?, ?, ?, ?, ?, ?)`, int64(w.pos), c.ID, c.Kind, c.Detail, w.id, nanos(w.s.At))
	}
	for _, c := range w.s.CloseCases {
		var n int
		if !w.one(`SELECT 1 FROM cases WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM case_closes WHERE name = ?1)`, []any{c.ID}, &n) {
			return w.fail(fmt.Errorf("%w: no open case %q", ErrInvalid, c.ID))
		}
		w.exec(`INSERT INTO case_closes (pos, name, resolution, at) VALUES (?, ?, ?, ?)`, int64(w.pos), c.ID, c.Resolution, nanos(w.s.At))
	}
	return w.err
}

func (w *writer) registry() error {
	s, pos := w.s, int64(w.pos)
	for _, c := range s.NewCodes {
		if _, err := readCode(w.tx, c.ID); err == nil {
			return w.fail(&ClaimError{Claim: Claim{ClaimCode, c.ID}})
		} else if !errors.Is(err, ErrNotFound) {
			return w.fail(err)
		}
		w.exec(`INSERT INTO codes (pos, name, hash, expires, attempts, data) VALUES (?, ?, ?, ?, ?, ?)`, pos, c.ID, c.Hash[:], nanos(c.Expires), c.Attempts, blob(c.Data))
	}
	if s.UseCode != "" {
		c, err := readCode(w.tx, s.UseCode)
		if errors.Is(err, ErrNotFound) {
			err = &CodeError{"unknown"}
		} else if err == nil {
			err = c.usable(moment(w.now))
		}
		if err != nil {
			return w.fail(err)
		}
		w.exec(`INSERT INTO code_marks (pos, mark, name, at) VALUES (?, 'use', ?, ?)`, pos, s.UseCode, nanos(s.At))
	}
	if s.MissCode != "" {
		w.exec(`INSERT INTO code_marks (pos, mark, name, at) VALUES (?, 'miss', ?, ?)`, pos, s.MissCode, nanos(s.At))
	}
	for _, k := range s.PutKeys {
		w.exec(`INSERT INTO registry (pos, kid, owner, status, valid_from, valid_to, data) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			pos, k.KID, k.Owner, k.Status, nanos(k.From), nanos(k.To), blob(k.Data))
	}
	for _, n := range s.Nonces {
		var taken int
		if w.one(`SELECT 1 FROM nonces WHERE nonce = ?`, []any{n.Nonce}, &taken) {
			return w.fail(&ClaimError{Claim: Claim{ClaimNonce, n.Nonce}})
		}
		w.exec(`INSERT INTO nonces (pos, nonce, expires, data) VALUES (?, ?, ?, ?)`, pos, n.Nonce, nanos(n.Expires), blob(n.Data))
	}
	for _, p := range s.Puts {
		w.exec(`INSERT INTO vals (pos, tbl, key, value, deleted) VALUES (?, ?, ?, ?, ?)`, pos, p.Table, p.Key, blob(p.Value), p.Value == nil)
	}
	return w.err
}

func (w *writer) postings() error {
	for _, p := range w.s.Postings {
		account, currency := p.Account, string(p.Amount.Currency)
		var minor int64
		known := w.one(`SELECT minor FROM balances WHERE account = ? AND currency = ?`, []any{account, currency}, &minor)
		sum, ok := addMinor(minor, p.Amount.Minor)
		if !ok {
			return w.fail(fmt.Errorf("%w: balance of %q overflows", ErrUnbalanced, account))
		}
		if known {
			w.exec(`UPDATE balances SET minor = ? WHERE account = ? AND currency = ?`, sum, account, currency)
		} else {
			w.exec(`INSERT INTO balances VALUES (?, ?, ?)`, account, currency, sum)
		}
		w.exec(`INSERT INTO postings (pos, entry, account, currency, minor) VALUES (?, ?, ?, ?, ?)`, int64(w.pos), p.Entry, account, currency, p.Amount.Minor)
	}
	return w.err
}

// progress writes what nothing can stand against.
func (w *writer) progress() error {
	s := w.s
	for _, k := range s.Keys {
		w.exec(`INSERT INTO index_keys (pos, kind, value, payment) VALUES (?, ?, ?, ?)`, int64(w.pos), k.Kind, k.Value, w.id)
	}
	for _, name := range s.ClearTimers {
		w.exec(`DELETE FROM timers WHERE payment = ? AND name = ?`, w.id, name)
	}
	for _, t := range s.SetTimers {
		w.exec(`INSERT INTO timers VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at`, w.id, t.Name, nanos(t.At))
	}
	if s.Inbox != nil {
		w.exec(`INSERT INTO inbox (pos, sender, message, hash) VALUES (?, ?, ?, ?)`, int64(w.pos), s.Inbox.Sender, s.Inbox.ID, s.Inbox.Hash[:])
	}
	for _, c := range s.Cursors {
		w.exec(`INSERT INTO cursors VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value`, c.Name, int64(c.Value))
	}
	return w.err
}

// blob makes an empty value of nil, since the columns take no NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func hashOrNull(h *[32]byte) []byte {
	if h == nil {
		return nil
	}
	return h[:]
}

func packParts(ps []part) []byte {
	b := make([]byte, 0, 33*len(ps))
	for _, p := range ps {
		b = append(append(b, p.tag), p.hash[:]...)
	}
	return b
}

func unpackParts(b []byte) ([]part, bool) {
	var ps []part
	for ; len(b) >= 33; b = b[33:] {
		ps = append(ps, part{b[0], [32]byte(b[1:33])})
	}
	return ps, len(b) == 0
}
