package journal

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/lifecycle"
)

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
