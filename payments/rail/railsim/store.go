package railsim

import (
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parleypay/parley/internal/sqlitedb"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail"
)

// changes is what one step changed in the core, for the store.
type changes struct {
	payments map[uint64]bool // written anew, or forgotten when no longer there
	queued   []queued
	acked    map[int]uint64 // by member: sequence up to which messages may go
	armed    []*timer
	fired    []uint64 // timers by number
	taken    []string // messages of queues, see submitOnce
	untaken  []string
}

type queued struct {
	to int
	d  rail.Delivery
}

func newChanges() *changes {
	return &changes{payments: map[uint64]bool{}, acked: map[int]uint64{}}
}

// durable reports whether the changes must be on disk before anybody learns of them. An acknowledgement alone may be lost: its
// messages are then delivered again.
func (ch *changes) durable() bool {
	return len(ch.payments)+len(ch.queued)+len(ch.armed)+len(ch.fired)+len(ch.taken) > 0
}

// store keeps a core over restarts of the process. What rules have counted is not kept, nor
// what a transport was still to do badly, nor another certificate.
type store struct {
	db     *sqlitedb.DB
	broken error // the first failed commit: the core is then ahead of the file, and the rail takes nothing more
}

const storeSchema = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS member (id TEXT PRIMARY KEY, available INTEGER NOT NULL, reserved INTEGER NOT NULL, last_seq INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS queue (member TEXT NOT NULL, seq INTEGER NOT NULL, wire BLOB NOT NULL, PRIMARY KEY (member, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS payment (id INTEGER PRIMARY KEY, wire BLOB NOT NULL, state TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS timer (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL, wire BLOB) STRICT;
CREATE TABLE IF NOT EXISTS taken (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS answer (member TEXT NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (member, seq)) STRICT, WITHOUT ROWID;
`

// savedPayment and savedTimer are the forms of payment and timer in the store. They hold no name and no account; the pacs.008, which
// does, lies beside them as it came.
type savedPayment struct {
	Debtor   payments.AgentID
	Plan     plan
	Received time.Time
	State    string
	Status   string
	Reason   string
	By       rail.Sender
	Reserved bool
	Asked    bool
	Moved    int
	Returned bool
	Hush     time.Time
	Answers  []string
	Creditor string // what the creditor's bank said
}

type savedTimer struct {
	Kind    string
	Payment uint64
	To      payments.AgentID
	Status  string
	MsgDef  string
	End     payments.EndToEndID
	Told    string // status in the document
	Lasts   time.Duration
}

func openStore(path string) (*store, error) {
	db, err := sqlitedb.Open(path, storeSchema)
	if err != nil {
		return nil, fmt.Errorf("railsim: store: %w", err)
	}
	return &store{db: db}, nil
}

// save writes what changed in c, and all members, in one commit.
func (s *store) save(c *core, ch *changes) error {
	if s.broken != nil {
		return s.broken
	}
	err := s.db.Update(context.Background(), func(tx *sqlitedb.Tx) error {
		exec := func(query string, args ...any) error { _, err := tx.Exec(query, args...); return err }
		for i := range c.members {
			m := &c.members[i]
			if err := exec(`INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?)`, string(m.ID), m.available, m.reserved, int64(m.lastSeq)); err != nil {
				return err
			}
		}
		for id := range ch.payments {
			p := c.payments[id]
			if p == nil {
				if err := exec(`DELETE FROM payment WHERE id = ?`, int64(id)); err != nil {
					return err
				}
				continue
			}
			state, err := json.Marshal(savedPayment{
				c.members[p.debtor].ID, p.plan, p.received, p.state, p.status, p.reason, p.by, p.reserved, p.asked, p.executions, p.returned, p.hush, p.answers, p.creditorSaid,
			})
			if err != nil {
				return err
			}
			if err := exec(`INSERT OR REPLACE INTO payment VALUES (?, ?, ?)`, int64(id), p.wire, string(state)); err != nil {
				return err
			}
		}
		for _, q := range ch.queued {
			if err := exec(`INSERT INTO queue VALUES (?, ?, ?)`, string(c.members[q.to].ID), int64(q.d.Seq), q.d.Wire); err != nil {
				return err
			}
			if q.d.Answers != "" {
				if err := exec(`INSERT INTO answer VALUES (?, ?, ?)`, string(c.members[q.to].ID), int64(q.d.Seq), q.d.Answers); err != nil {
					return err
				}
			}
		}
		for _, id := range ch.taken {
			if err := exec(`INSERT OR IGNORE INTO taken (id) VALUES (?)`, id); err != nil {
				return err
			}
		}
		for _, id := range ch.untaken {
			if err := exec(`DELETE FROM taken WHERE id = ?`, id); err != nil {
				return err
			}
		}
		for i, seq := range ch.acked {
			if err := exec(`DELETE FROM queue WHERE member = ? AND seq <= ?`, string(c.members[i].ID), int64(min(seq, 1<<62))); err != nil {
				return err
			}
			if err := exec(`DELETE FROM answer WHERE member = ? AND seq <= ?`, string(c.members[i].ID), int64(min(seq, 1<<62))); err != nil {
				return err
			}
		}
		for _, t := range ch.armed {
			saved := savedTimer{Kind: t.kind, Payment: t.payment, Status: t.status, MsgDef: t.doc.MsgDef, End: t.doc.EndToEndID, Told: t.doc.Status, Lasts: t.lasts}
			if t.kind == timerDeliver {
				saved.To = c.members[t.to].ID
			}
			body, err := json.Marshal(saved)
			if err != nil {
				return err
			}
			if err := exec(`INSERT INTO timer VALUES (?, ?, ?, ?)`, int64(t.n), t.at.UnixNano(), string(body), t.wire); err != nil {
				return err
			}
		}
		for _, n := range ch.fired {
			if err := exec(`DELETE FROM timer WHERE n = ?`, int64(n)); err != nil {
				return err
			}
		}
		return exec(`INSERT OR REPLACE INTO meta VALUES ('last_id', ?)`, fmt.Sprint(c.lastID))
	})
	if err != nil {
		s.broken = fmt.Errorf("railsim: store: %w", err)
	}
	return s.broken
}

// load fills a new core with what the file holds. A bank in the file keeps its position; one that the configuration no longer names is
// an error unless it had nothing.
func (s *store) load(c *core) error {
	type row struct {
		key   string
		id, n int64
		a, b  int64
		text  string
		wire  []byte
	}
	query := func(tx *sqlitedb.Tx, query string, scan func(*row) []any) (rows []row, err error) {
		rs, err := tx.Query(query)
		if err != nil {
			return nil, err
		}
		defer rs.Close()
		for rs.Next() {
			var r row
			if err := rs.Scan(scan(&r)...); err != nil {
				return nil, err
			}
			rows = append(rows, r)
		}
		return rows, rs.Err()
	}
	var meta, members, queue, saved, timers, taken, answers []row
	err := s.db.View(context.Background(), func(tx *sqlitedb.Tx) (err error) {
		var errs [7]error
		meta, errs[0] = query(tx, `SELECT key, value FROM meta`, func(r *row) []any { return []any{&r.key, &r.text} })
		members, errs[1] = query(tx, `SELECT id, available, reserved, last_seq FROM member`, func(r *row) []any { return []any{&r.key, &r.a, &r.b, &r.n} })
		queue, errs[2] = query(tx, `SELECT member, seq, wire FROM queue ORDER BY member, seq`, func(r *row) []any { return []any{&r.key, &r.n, &r.wire} })
		saved, errs[3] = query(tx, `SELECT id, wire, state FROM payment ORDER BY id`, func(r *row) []any { return []any{&r.id, &r.wire, &r.text} })
		timers, errs[4] = query(tx, `SELECT n, at, body, wire FROM timer ORDER BY n`, func(r *row) []any { return []any{&r.n, &r.a, &r.text, &r.wire} })
		taken, errs[5] = query(tx, `SELECT id FROM taken ORDER BY n`, func(r *row) []any { return []any{&r.key} })
		answers, errs[6] = query(tx, `SELECT member, seq, id FROM answer`, func(r *row) []any { return []any{&r.key, &r.n, &r.text} })
		return errors.Join(errs[:]...)
	})
	if err != nil {
		return fmt.Errorf("railsim: store: %w", err)
	}
	for _, r := range meta {
		switch r.key {
		case "rail":
			if r.text != c.set.profile.Name {
				return fmt.Errorf("railsim: store: the file is of rail %s", r.text)
			}
		case "last_id":
			var last uint64
			if _, err := fmt.Sscan(r.text, &last); err != nil {
				return fmt.Errorf("railsim: store: %w", err)
			}
			c.lastID = max(c.lastID, last)
		}
	}
	for _, r := range members {
		i, ok := c.set.byID[payments.AgentID(r.key)]
		if !ok {
			if r.a+r.b != 0 {
				return fmt.Errorf("railsim: store: participant %s has a position but is not configured", r.key)
			}
			continue
		}
		m := &c.members[i]
		c.set.total += r.a + r.b - m.available
		m.available, m.reserved, m.lastSeq = r.a, r.b, max(m.lastSeq, uint64(r.n))
	}
	type place struct {
		member string
		seq    int64
	}
	answersOf := map[place]string{}
	for _, r := range answers {
		answersOf[place{r.key, r.n}] = r.text
	}
	for _, r := range queue {
		if i, ok := c.set.byID[payments.AgentID(r.key)]; ok {
			c.members[i].queue = append(c.members[i].queue, waiting{Delivery: rail.Delivery{Seq: uint64(r.n), Wire: r.wire, Answers: answersOf[place{r.key, r.n}]}})
		}
	}
	for _, r := range taken {
		c.rememberTaken(r.key) // no log yet
	}
	for _, r := range saved {
		if err := c.restorePayment(uint64(r.id), r.wire, r.text); err != nil {
			return fmt.Errorf("railsim: store: payment %d: %w", r.id, err)
		}
	}
	for _, r := range timers {
		var t savedTimer
		if err := json.Unmarshal([]byte(r.text), &t); err != nil {
			return fmt.Errorf("railsim: store: timer %d: %w", r.n, err)
		}
		at := time.Unix(0, r.a)
		restored := &timer{at: at, n: uint64(r.n), kind: t.Kind, payment: t.Payment, wire: r.wire, status: t.Status, lasts: t.Lasts}
		if t.Kind == timerDeliver {
			i, ok := c.set.byID[t.To]
			if !ok {
				continue
			}
			restored.to = i
			restored.doc = Document{Dir: rail.FromService, Participant: t.To, MsgDef: t.MsgDef, EndToEndID: t.End, Status: t.Told}
		}
		if t.Kind == timerUp {
			c.downUntil = at
		}
		heap.Push(&c.timers, restored)
	}
	return s.db.Update(context.Background(), func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec(`INSERT OR REPLACE INTO meta VALUES ('rail', ?)`, c.set.profile.Name)
		return err
	})
}

func (c *core) restorePayment(id uint64, wire []byte, state string) error {
	var s savedPayment
	if err := json.Unmarshal([]byte(state), &s); err != nil {
		return err
	}
	m, err := c.set.profile.Decode(wire, rail.ToService)
	if err != nil {
		return err
	}
	debtor, ok := c.set.byID[s.Debtor]
	if !ok {
		return errors.New("its participant is not configured")
	}
	creditor, ok := c.set.byID[m.Transfer.Instructed.ID]
	if !ok {
		creditor = -1
	}
	c.payments[id] = &payment{
		id: id, m: m, wire: wire, debtor: debtor, creditor: creditor, plan: s.Plan, received: s.Received, state: s.State, status: s.Status,
		reason: s.Reason, by: s.By, reserved: s.Reserved, asked: s.Asked, executions: s.Moved, returned: s.Returned, hush: s.Hush, answers: s.Answers, creditorSaid: s.Creditor, carried: len(s.Answers) > 0,
	}
	if creditor < 0 && s.State == stateOpen {
		return errors.New("its creditor's bank is not configured")
	}
	key := c.original(m.Transfer)
	c.byOriginal[key] = append(c.byOriginal[key], id)
	if s.State != stateOpen {
		c.finished = append(c.finished, id)
		slices.Sort(c.finished)
	}
	return nil
}
