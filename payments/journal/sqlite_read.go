package journal

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/internal/sqlitedb"
)

// hashColumn and timeColumn scan a hash of 32 bytes and a time in nanoseconds. A state is scanned as the text it is: the journal wrote
// it, and Verify finds one that was edited.
type hashColumn [32]byte

func (h *hashColumn) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok || len(b) != len(h) {
		return errors.New("a hash has not 32 bytes")
	}
	copy(h[:], b)
	return nil
}

type timeColumn struct{ t *time.Time }

func (c timeColumn) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return errors.New("a time is not a number")
	}
	*c.t = moment(n)
	return nil
}

// view runs f on a snapshot and puts its errors into this package's words.
func (j *SQLite) view(ctx context.Context, f func(*sqlitedb.Tx) error) error {
	err := j.db.View(ctx, f)
	switch {
	case err == nil, errors.Is(err, ErrNotFound), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	}
	var claim *ClaimError
	var damage *DamageError
	if errors.As(err, &claim) || errors.As(err, &damage) {
		return err
	}
	return outward(fmt.Errorf("journal: read: %w", err))
}

// each runs f for every row of a query.
func each(tx *sqlitedb.Tx, query string, args []any, f func(*sql.Rows) error) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

const recordColumns = `intent, side, seq, status, head, state, updated`

func scanRecord(scan func(...any) error) (r Record, err error) {
	err = scan(&r.Intent, &r.Side, &r.Seq, &r.Status, (*hashColumn)(&r.Head), &r.State, timeColumn{&r.Updated})
	r.State = clone(r.State)
	return r, err
}

// Payment implements Journal.
func (j *SQLite) Payment(ctx context.Context, k Key) (r Record, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		r, err = scanRecord(func(dest ...any) error {
			return tx.QueryRow(`SELECT `+recordColumns+` FROM payments WHERE intent = ? AND side = ?`, []any{string(k.Intent), string(k.Side)}, dest...)
		})
		return err
	})
	return r, err
}

// List implements Journal.
func (j *SQLite) List(ctx context.Context, f Filter) (rs []Record, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		var after int64
		if f.After != (Key{}) {
			if err := tx.QueryRow(`SELECT id FROM payments WHERE intent = ? AND side = ?`, []any{string(f.After.Intent), string(f.After.Side)}, &after); err != nil {
				return err
			}
		}
		where := `id > ?`
		args := []any{after}
		if f.Open {
			where += ` AND open = 1`
		}
		if f.Side != "" {
			where, args = where+` AND side = ?`, append(args, string(f.Side))
		}
		if len(f.Status) > 0 {
			where += ` AND status IN (?` + strings.Repeat(`, ?`, len(f.Status)-1) + `)`
			for _, s := range f.Status {
				args = append(args, string(s))
			}
		}
		return each(tx, `SELECT `+recordColumns+` FROM payments WHERE `+where+` ORDER BY id LIMIT ?`, append(args, f.max()), func(rows *sql.Rows) error {
			r, err := scanRecord(rows.Scan)
			rs = append(rs, r)
			return err
		})
	})
	return rs, err
}

const eventColumns = `e.seq, e.at, e.type, e.src, e.dst, e.evidence_kind, e.evidence_hash, e.data, e.hash`

func scanEvent(scan func(...any) error, more ...any) (e Event, err error) {
	err = scan(append([]any{&e.Seq, timeColumn{&e.At}, &e.Type, &e.From, &e.To, &e.EvidenceKind, (*hashColumn)(&e.EvidenceHash), &e.Data, (*hashColumn)(&e.Hash)}, more...)...)
	e.Data = clone(e.Data)
	return e, err
}

// Events implements Journal.
func (j *SQLite) Events(ctx context.Context, k Key) (es []Event, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		prev := firstPrev(k)
		return each(tx, `SELECT `+eventColumns+` FROM events e JOIN payments p ON p.id = e.payment WHERE p.intent = ? AND p.side = ? ORDER BY e.seq`,
			[]any{string(k.Intent), string(k.Side)}, func(rows *sql.Rows) error {
				e, err := scanEvent(rows.Scan)
				e.PrevHash, prev = prev, e.Hash
				es = append(es, e)
				return err
			})
	})
	return es, err
}

// Find implements Journal.
func (j *SQLite) Find(ctx context.Context, key IndexKey) (ks []Key, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		return each(tx, `SELECT p.intent, p.side FROM index_keys i JOIN payments p ON p.id = i.payment WHERE i.value = ? AND i.kind = ? ORDER BY i.id`,
			[]any{key.Value, key.Kind}, func(rows *sql.Rows) error {
				var k Key
				if err := rows.Scan(&k.Intent, &k.Side); err != nil {
					return err
				}
				if !slices.Contains(ks, k) {
					ks = append(ks, k)
				}
				return nil
			})
	})
	return ks, err
}

const outboxColumns = `o.name, o.kind, o.dest, o.body, o.not_before, coalesce(p.intent, ''), coalesce(p.side, ''), o.at, o.attempts, o.error, o.done`
const outboxTables = ` FROM outbox o LEFT JOIN payments p ON p.id = o.payment `

func scanOutbox(scan func(...any) error) (r OutboxRow, err error) {
	err = scan(&r.ID, &r.OutboxDraft.Kind, &r.Dest, &r.Body, timeColumn{&r.NotBefore}, &r.Key.Intent, &r.Key.Side, timeColumn{&r.At}, &r.Attempts, &r.LastError, &r.Done)
	r.Body = clone(r.Body)
	return r, err
}

// LeaseOutbox implements Journal.
func (j *SQLite) LeaseOutbox(ctx context.Context, l Lease) (rows []OutboxRow, err error) {
	j.mu.Lock() // until the leases are noted: a row may be done only before this snapshot or after them
	defer j.mu.Unlock()
	for id, until := range j.leased {
		if !until.After(l.Now) {
			delete(j.leased, id)
		}
	}
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		var free []int64 // first which, then the bodies of these only: most due rows may be leased
		err := each(tx, `SELECT id, name FROM outbox WHERE done = 0 AND kind = ? AND not_before <= ? ORDER BY not_before, id LIMIT ?`,
			[]any{l.Kind, nanos(l.Now), l.max() + len(j.leased)}, func(r *sql.Rows) error {
				var id int64
				var name string
				err := r.Scan(&id, &name)
				if err == nil && len(free) < l.max() && j.leased[name].IsZero() {
					free = append(free, id)
				}
				return err
			})
		for _, id := range free {
			if err != nil {
				break
			}
			var row OutboxRow
			row, err = scanOutbox(func(dest ...any) error {
				return tx.QueryRow(`SELECT `+outboxColumns+outboxTables+`WHERE o.id = ?`, []any{id}, dest...)
			})
			rows = append(rows, row)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range rows {
		j.leased[rows[i].ID] = l.Until
	}
	return rows, nil
}

// OutboxRow implements Journal.
func (j *SQLite) OutboxRow(ctx context.Context, id string) (row OutboxRow, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		row, err = scanOutbox(func(dest ...any) error {
			return tx.QueryRow(`SELECT `+outboxColumns+outboxTables+`WHERE o.name = ?`, []any{id}, dest...)
		})
		return err
	})
	return row, err
}

// NextOutbox implements Journal.
func (j *SQLite) NextOutbox(ctx context.Context, kind string, now time.Time) (at time.Time, ok bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		return each(tx, `SELECT name, not_before FROM outbox WHERE done = 0 AND kind = ? ORDER BY not_before, id LIMIT ?`,
			[]any{kind, 1 + len(j.leased)}, func(rows *sql.Rows) error {
				var id string
				var n int64
				if err := rows.Scan(&id, &n); err != nil {
					return err
				}
				if !ok && !j.leased[id].After(now) {
					at, ok = moment(n), true
				}
				return nil
			})
	})
	return at, ok, err
}

// Timers implements Journal.
func (j *SQLite) Timers(ctx context.Context, until time.Time, n int) (ts []TimerRow, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		return each(tx, `SELECT p.intent, p.side, t.name, t.at FROM timers t JOIN payments p ON p.id = t.payment WHERE t.at <= ? ORDER BY t.at, p.intent, p.side, t.name LIMIT ?`,
			[]any{nanos(until), cmp.Or(max(n, 0), 1000)}, func(rows *sql.Rows) error {
				var t TimerRow
				err := rows.Scan(&t.Key.Intent, &t.Key.Side, &t.Name, timeColumn{&t.At})
				ts = append(ts, t)
				return err
			})
	})
	return ts, err
}

// NextTimer implements Journal.
func (j *SQLite) NextTimer(ctx context.Context) (at time.Time, ok bool, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		var n sql.NullInt64
		err := tx.QueryRow(`SELECT min(at) FROM timers`, nil, &n)
		if ok = n.Valid; ok {
			at = moment(n.Int64)
		}
		return err
	})
	return at, ok, err
}

// InboxSeen implements Journal.
func (j *SQLite) InboxSeen(ctx context.Context, e InboxEntry) (seen bool, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error { seen, err = inboxSeen(tx, e); return err })
	return seen, err
}

func inboxSeen(tx *sqlitedb.Tx, e InboxEntry) (bool, error) {
	var hash []byte
	err := tx.QueryRow(`SELECT hash FROM inbox WHERE message = ? AND sender = ?`, []any{e.ID, e.Sender}, &hash)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("journal: %w", err)
	case string(hash) != string(e.Hash[:]):
		return false, &ClaimError{Claim: Claim{ClaimInbox, e.ID}}
	}
	return true, nil
}

// Claim implements Journal.
func (j *SQLite) Claim(ctx context.Context, c Claim) (owner Key, taken bool, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		err := tx.QueryRow(`SELECT coalesce(p.intent, ''), coalesce(p.side, '') FROM claims c LEFT JOIN payments p ON p.id = c.payment WHERE c.value = ? AND c.kind = ?`,
			[]any{c.Value, c.Kind}, &owner.Intent, &owner.Side)
		taken = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return owner, taken, err
}

// LimitUsed implements Journal.
func (j *SQLite) LimitUsed(ctx context.Context, name string) (used int64, err error) {
	return used, j.optional(ctx, `SELECT used FROM limits WHERE name = ?`, name, &used)
}

// Cursor implements Journal.
func (j *SQLite) Cursor(ctx context.Context, name string) (v uint64, err error) {
	return v, j.optional(ctx, `SELECT value FROM cursors WHERE name = ?`, name, &v)
}

// Clock implements Journal.
func (j *SQLite) Clock(ctx context.Context) (t time.Time, err error) {
	return t, j.optional(ctx, `SELECT value FROM meta WHERE name = ?`, "clock", timeColumn{&t})
}

// optional reads one value by name and leaves dest alone when there is none.
func (j *SQLite) optional(ctx context.Context, query, name string, dest any) error {
	err := j.view(ctx, func(tx *sqlitedb.Tx) error { return tx.QueryRow(query, []any{name}, dest) })
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Balances implements Journal.
func (j *SQLite) Balances(ctx context.Context) (bs []Balance, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		return each(tx, `SELECT account, currency, minor FROM balances ORDER BY account, currency`, nil, func(rows *sql.Rows) error {
			var b Balance
			err := rows.Scan(&b.Account, &b.Amount.Currency, &b.Amount.Minor)
			bs = append(bs, b)
			return err
		})
	})
	return bs, err
}

// Cases implements Journal.
func (j *SQLite) Cases(ctx context.Context, all bool, n int) (cs []Case, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		return each(tx, `SELECT c.name, c.kind, c.detail, coalesce(p.intent, ''), coalesce(p.side, ''), c.at, coalesce(x.at, 0), coalesce(x.resolution, '')
			FROM cases c LEFT JOIN case_closes x ON x.name = c.name LEFT JOIN payments p ON p.id = c.payment
			WHERE ? OR x.id IS NULL ORDER BY c.id LIMIT ?`, []any{all, cmp.Or(max(n, 0), 1000)}, func(rows *sql.Rows) error {
			var c Case
			err := rows.Scan(&c.ID, &c.Kind, &c.Detail, &c.Key.Intent, &c.Key.Side, timeColumn{&c.Opened}, timeColumn{&c.Closed}, &c.Resolution)
			cs = append(cs, c)
			return err
		})
	})
	return cs, err
}

// Code implements Journal.
func (j *SQLite) Code(ctx context.Context, id string) (c Code, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error { c, err = readCode(tx, id); return err })
	return c, err
}

func readCode(tx *sqlitedb.Tx, id string) (Code, error) {
	c := Code{ID: id}
	err := tx.QueryRow(`SELECT hash, expires, data, max(0, attempts - (SELECT count(*) FROM code_marks m WHERE m.name = c.name AND m.mark = 'miss' AND m.pos > c.pos)),
		coalesce((SELECT min(m.at) FROM code_marks m WHERE m.name = c.name AND m.mark = 'use'), 0) FROM codes c WHERE name = ?`, []any{id},
		(*hashColumn)(&c.Hash), timeColumn{&c.Expires}, &c.Data, &c.Attempts, timeColumn{&c.Used})
	if errors.Is(err, sql.ErrNoRows) {
		return Code{}, ErrNotFound
	}
	if err != nil {
		return Code{}, fmt.Errorf("journal: %w", err)
	}
	c.Data = clone(c.Data)
	return c, nil
}

const keyColumns = `kid, owner, status, valid_from, valid_to, data`

func scanKey(scan func(...any) error) (k EnrolledKey, err error) {
	err = scan(&k.KID, &k.Owner, &k.Status, timeColumn{&k.From}, timeColumn{&k.To}, &k.Data)
	k.Data = clone(k.Data)
	return k, err
}

// EnrolledKey implements Journal.
func (j *SQLite) EnrolledKey(ctx context.Context, kid string) (k EnrolledKey, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		k, err = scanKey(func(dest ...any) error {
			return tx.QueryRow(`SELECT `+keyColumns+` FROM registry WHERE kid = ? ORDER BY id DESC LIMIT 1`, []any{kid}, dest...)
		})
		return err
	})
	return k, err
}

// EnrolledKeys implements Journal.
func (j *SQLite) EnrolledKeys(ctx context.Context, owner string) (ks []EnrolledKey, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		return each(tx, `SELECT `+keyColumns+` FROM registry r WHERE owner = ? AND id = (SELECT max(id) FROM registry WHERE kid = r.kid)
			ORDER BY (SELECT min(id) FROM registry WHERE kid = r.kid)`, []any{owner}, func(rows *sql.Rows) error {
			k, err := scanKey(rows.Scan)
			ks = append(ks, k)
			return err
		})
	})
	return ks, err
}

// Nonce implements Journal.
func (j *SQLite) Nonce(ctx context.Context, nonce string) (n Nonce, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		err := tx.QueryRow(`SELECT nonce, expires, data FROM nonces WHERE nonce = ?`, []any{nonce}, &n.Nonce, timeColumn{&n.Expires}, &n.Data)
		n.Data = clone(n.Data)
		return err
	})
	return n, err
}

// Value implements Journal.
func (j *SQLite) Value(ctx context.Context, table, key string) (v []byte, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		var deleted bool
		if err := tx.QueryRow(`SELECT value, deleted FROM vals WHERE tbl = ? AND key = ? ORDER BY id DESC LIMIT 1`, []any{table, key}, &v, &deleted); err != nil {
			return err
		}
		if deleted {
			return ErrNotFound
		}
		v = blob(v)
		return nil
	})
	return v, err
}

// Values implements Journal.
func (j *SQLite) Values(ctx context.Context, table, prefix string, n int) (ps []Put, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error {
		return each(tx, `SELECT key, value FROM vals v WHERE tbl = ? AND key >= ? AND substr(key, 1, length(?2)) = ?2 AND deleted = 0
			AND id = (SELECT max(id) FROM vals WHERE tbl = v.tbl AND key = v.key) ORDER BY key LIMIT ?`,
			[]any{table, prefix, cmp.Or(max(n, 0), 1000)}, func(rows *sql.Rows) error {
				p := Put{Table: table}
				err := rows.Scan(&p.Key, &p.Value)
				p.Value = blob(p.Value)
				ps = append(ps, p)
				return err
			})
	})
	return ps, err
}

// Head implements Journal.
func (j *SQLite) Head(ctx context.Context) (h Head, err error) {
	err = j.view(ctx, func(tx *sqlitedb.Tx) error { h, err = readHead(tx); return err })
	return h, err
}

func readHead(tx *sqlitedb.Tx) (h Head, err error) {
	var hash []byte
	err = tx.QueryRow(`SELECT pos, hash FROM log ORDER BY pos DESC LIMIT 1`, nil, &h.Pos, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return Head{}, nil
	}
	copy(h.Hash[:], hash)
	return h, err
}
