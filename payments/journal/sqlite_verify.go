package journal

import (
	"context"
	"database/sql"
	"errors"

	"github.com/parleypay/parley/internal/sqlitedb"
	"github.com/parleypay/parley/payments"
)

// source reads one table in the order of writing, a row ahead of the step that is being checked.
type source struct {
	tag  byte // index into partNames
	rows *sql.Rows
	scan func(*sql.Rows, *row) error
	next row
	ok   bool // next holds a row
}

// row is what all tables have in common, and how the rest joins its step.
type row struct {
	pos         int64
	payment, at sql.Null[int64] // not valid in tables that have no such column
	add         func(*entry)
}

// advance reads the next row.
func (s *source) advance() error {
	if s.ok = s.rows.Next(); !s.ok {
		return s.rows.Err()
	}
	last := s.next.pos
	s.next = row{}
	if err := s.scan(s.rows, &s.next); err != nil {
		return damaged("cannot be read: "+err.Error(), "%s of step %d or later", partNames[s.tag], last)
	}
	return nil
}

// take adds the rows of the step to e. at and payment are the step's.
func (s *source) take(e *entry, at, payment int64) error {
	for s.ok && s.next.pos <= int64(e.Pos) {
		if s.next.pos < int64(e.Pos) {
			return damaged("is out of order", "%s of step %d", partNames[s.tag], s.next.pos)
		}
		if (s.next.payment.Valid && s.next.payment.V != payment) || (s.next.at.Valid && s.next.at.V != at) {
			return damaged("not what was recorded", "%s of %s", partNames[s.tag], e.name())
		}
		s.next.add(e)
		if err := s.advance(); err != nil {
			return err
		}
	}
	return nil
}

// sources lists the tables under the journal-wide chain, by tag.
var sources = []struct {
	tag   byte
	query string
	scan  func(*sql.Rows, *row) error
}{
	{1, `SELECT ` + eventColumns + `, e.pos, e.payment FROM events e ORDER BY e.id`, func(rows *sql.Rows, r *row) error {
		e, err := scanEvent(rows.Scan, &r.pos, &r.payment)
		r.add = func(s *entry) { s.Events = append(s.Events, e) }
		return err
	}},
	{2, `SELECT pos, payment, kind, value FROM index_keys ORDER BY id`, func(rows *sql.Rows, r *row) error {
		var x IndexKey
		r.add = func(s *entry) { s.Keys = append(s.Keys, x) }
		return rows.Scan(&r.pos, &r.payment, &x.Kind, &x.Value)
	}},
	{3, `SELECT pos, entry, account, currency, minor FROM postings ORDER BY id`, func(rows *sql.Rows, r *row) error {
		var x Posting
		r.add = func(s *entry) { s.Postings = append(s.Postings, x) }
		return rows.Scan(&r.pos, &x.Entry, &x.Account, &x.Amount.Currency, &x.Amount.Minor)
	}},
	{4, `SELECT pos, payment, kind, value FROM claims ORDER BY id`, func(rows *sql.Rows, r *row) error {
		var x Claim
		r.add = func(s *entry) { s.Claims = append(s.Claims, x) }
		return rows.Scan(&r.pos, &r.payment, &x.Kind, &x.Value)
	}},
	{5, `SELECT pos, name, amount, ceiling FROM limit_uses ORDER BY id`, func(rows *sql.Rows, r *row) error {
		var x LimitUse
		r.add = func(s *entry) { s.Limits = append(s.Limits, x) }
		return rows.Scan(&r.pos, &x.Name, &x.Amount, &x.Max)
	}},
	{6, `SELECT pos, sender, message, hash FROM inbox ORDER BY id`, func(rows *sql.Rows, r *row) error {
		var x InboxEntry
		r.add = func(s *entry) { s.Inbox = append(s.Inbox, x) }
		return rows.Scan(&r.pos, &x.Sender, &x.ID, (*hashColumn)(&x.Hash))
	}},
	{7, `SELECT pos, payment, at, name, kind, dest, body FROM outbox ORDER BY id`, func(rows *sql.Rows, r *row) error {
		var x sentRow
		var body sql.RawBytes
		err := rows.Scan(&r.pos, &r.payment, &r.at, &x.ID, &x.Kind, &x.Dest, &body)
		x.Body = HashOf(body)
		r.add = func(s *entry) { s.Outbox = append(s.Outbox, x) }
		return err
	}},
	{8, `SELECT pos, payment, at, name, kind, detail FROM cases ORDER BY id`, func(rows *sql.Rows, r *row) error {
		var x CaseDraft
		r.add = func(s *entry) { s.Cases = append(s.Cases, x) }
		return rows.Scan(&r.pos, &r.payment, &r.at, &x.ID, &x.Kind, &x.Detail)
	}},
	{9, `SELECT pos, at, name, resolution FROM case_closes ORDER BY id`, func(rows *sql.Rows, r *row) error {
		var x CaseClose
		r.add = func(s *entry) { s.Closes = append(s.Closes, x) }
		return rows.Scan(&r.pos, &r.at, &x.ID, &x.Resolution)
	}},
	{10, `SELECT pos, name, hash, expires, attempts, data FROM codes ORDER BY id`, func(rows *sql.Rows, r *row) error {
		var x Code
		r.add = func(s *entry) { s.Codes = append(s.Codes, x) }
		return rows.Scan(&r.pos, &x.ID, (*hashColumn)(&x.Hash), timeColumn{&x.Expires}, &x.Attempts, &x.Data)
	}},
	{11, `SELECT pos, at, mark, name FROM code_marks ORDER BY id`, func(rows *sql.Rows, r *row) error {
		var x codeMark
		r.add = func(s *entry) { s.Marks = append(s.Marks, x) }
		return rows.Scan(&r.pos, &r.at, &x.Mark, &x.ID)
	}},
	{12, `SELECT pos, kid, owner, status, valid_from, valid_to, data FROM registry ORDER BY id`, func(rows *sql.Rows, r *row) error {
		var x EnrolledKey
		r.add = func(s *entry) { s.PutKeys = append(s.PutKeys, x) }
		return rows.Scan(&r.pos, &x.KID, &x.Owner, &x.Status, timeColumn{&x.From}, timeColumn{&x.To}, &x.Data)
	}},
	{13, `SELECT pos, nonce, expires, data FROM nonces ORDER BY id`, func(rows *sql.Rows, r *row) error {
		var x Nonce
		r.add = func(s *entry) { s.Nonces = append(s.Nonces, x) }
		return rows.Scan(&r.pos, &x.Nonce, timeColumn{&x.Expires}, &x.Data)
	}},
	{14, `SELECT pos, tbl, key, value, deleted FROM vals ORDER BY id`, func(rows *sql.Rows, r *row) error {
		var x Put
		var deleted bool
		err := rows.Scan(&r.pos, &x.Table, &x.Key, &x.Value, &deleted)
		switch {
		case !deleted:
			x.Value = blob(x.Value)
		case len(x.Value) > 0 && err == nil:
			err = errors.New("a deleted value is not empty")
		default:
			x.Value = nil
		}
		r.add = func(s *entry) { s.Puts = append(s.Puts, x) }
		return err
	}},
}

// Verify implements Journal. It reads the whole file on one snapshot, while steps go on.
func (j *SQLite) Verify(ctx context.Context, earlier ...Head) error {
	return j.view(ctx, func(tx *sqlitedb.Tx) error {
		var integrity string
		if err := tx.QueryRow(`PRAGMA integrity_check(1)`, nil, &integrity); err != nil {
			return err
		}
		if integrity != "ok" {
			return damaged(integrity, "file")
		}
		v := newVerifier(earlier)
		head, clock, err := verifySteps(tx, v)
		if err != nil {
			return err
		}
		if err := verifySums(tx, v); err != nil {
			return err
		}
		var kept int64
		if err := tx.QueryRow(`SELECT value FROM meta WHERE name = 'clock'`, nil, &kept); err != nil {
			return err
		}
		if kept < clock {
			return damaged("is behind the last step", "clock")
		}
		return v.finish(head)
	})
}

// verifySteps walks all tables under the chain side by side. It returns the last hash kept and the highest time of a step.
func verifySteps(tx *sqlitedb.Tx, v *verifier) (head Head, clock int64, err error) {
	open := make([]*source, len(sources))
	for i, s := range sources {
		rows, err := tx.Query(s.query)
		if err != nil {
			return Head{}, 0, err
		}
		defer rows.Close()
		open[i] = &source{tag: s.tag, rows: rows, scan: s.scan}
		if err := open[i].advance(); err != nil {
			return Head{}, 0, err
		}
	}
	err = each(tx, `SELECT l.pos, l.at, l.payment, l.seq, l.state, l.parts, l.hash, coalesce(p.intent, ''), coalesce(p.side, '')
		FROM log l LEFT JOIN payments p ON p.id = l.payment ORDER BY l.pos`, nil, func(rows *sql.Rows) error {
		e := &entry{}
		var at, payment int64
		var state, parts []byte
		var hash [32]byte
		if err := rows.Scan(&e.Pos, &at, &payment, &e.Seq, &state, &parts, (*hashColumn)(&hash), &e.Key.Intent, &e.Key.Side); err != nil {
			return damaged("cannot be read: "+err.Error(), "step %d", v.head.Pos+1)
		}
		e.At, clock = moment(at), max(clock, at)
		if payment != 0 && e.Key == (Key{}) {
			return damaged("is missing", "payment row %d, named by step %d", payment, e.Pos)
		}
		if state != nil {
			e.State = new([32]byte)
			copy(e.State[:], state)
		}
		for _, s := range open {
			if err := s.take(e, at, payment); err != nil {
				return err
			}
		}
		ps, ok := unpackParts(parts)
		if !ok || (state != nil && len(state) != 32) {
			return damaged("not what was recorded", "%s", e.name())
		}
		head = Head{Pos: e.Pos, Hash: hash}
		return v.step(e, head.Hash, ps)
	})
	if err != nil {
		return Head{}, 0, err
	}
	for _, s := range open {
		if s.ok {
			return Head{}, 0, damaged("is missing", "step %d, which has a row as %s", s.next.pos, partNames[s.tag])
		}
	}
	return head, clock, nil
}

// verifySums compares the tables that are sums of others.
func verifySums(tx *sqlitedb.Tx, v *verifier) error {
	err := each(tx, `SELECT `+recordColumns+`, open FROM payments ORDER BY id`, nil, func(rows *sql.Rows) error {
		var open bool
		r, err := scanRecord(func(dest ...any) error { return rows.Scan(append(dest, &open)...) })
		if err != nil {
			return damaged("cannot be read: "+err.Error(), "payment %s", r.Key)
		}
		if open == r.Status.Terminal() {
			return damaged("is marked open and terminal, or neither", "payment %s", r.Key)
		}
		return v.record(&r, HashOf(r.State))
	})
	if err != nil {
		return err
	}
	err = each(tx, `SELECT account, currency, minor FROM balances`, nil, func(rows *sql.Rows) error {
		var account string
		var a payments.Amount
		if err := rows.Scan(&account, &a.Currency, &a.Minor); err != nil {
			return err
		}
		return v.balance(account, a.Currency, a.Minor)
	})
	if err != nil {
		return err
	}
	return each(tx, `SELECT name, used FROM limits`, nil, func(rows *sql.Rows) error {
		var name string
		var used int64
		if err := rows.Scan(&name, &used); err != nil {
			return err
		}
		return v.limit(name, used)
	})
}
