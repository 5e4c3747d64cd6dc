// Package mlstest is a store of MLS rows in memory, for tests of what uses package mls: it can be copied, rolled back, and made to
// crash at any write. It is no store for a product: nothing in it is encrypted or survives the process.
package mlstest

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/parleypay/parley/messaging/mls"
)

// ErrCrashed is what every operation of a store fails with from the moment of its crash until Restart.
var ErrCrashed = errors.New("mlstest: the store has crashed")

var errOver = errors.New("mlstest: the transaction is over")

// Store holds the rows of one client: its own and those of its groups. It is used by one goroutine at a time.
type Store struct {
	rows    map[string][]byte // durable
	crashIn int               // writes until the crash; 0 for none
	crashed bool
	// Written counts the octets of values that were made durable, Writes the rows put or deleted.
	Written, Writes int
}

// NewStore returns an empty store.
func NewStore() *Store { return &Store{rows: map[string][]byte{}} }

// Tx is one transaction: what it writes is seen by itself, and becomes durable all together by Commit.
type Tx struct {
	store   *Store
	group   string
	pending map[string][]byte // nil value: deleted
	done    bool
}

var _ mls.Tx = (*Tx)(nil)

// Begin opens a transaction for a group. A nil groupID gives one for rows of the client only.
func (s *Store) Begin(groupID []byte) *Tx {
	return &Tx{store: s, group: string(groupID), pending: map[string][]byte{}}
}

// Update runs f in a transaction and makes it durable unless f fails.
func (s *Store) Update(groupID []byte, f func(mls.Tx) error) error {
	tx := s.Begin(groupID)
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// name returns the name of a row in the store: those of the client have no group.
func (t *Tx) name(k mls.Key) (string, error) {
	if t.done {
		return "", errOver
	}
	if t.store.crashed {
		return "", ErrCrashed
	}
	group := t.group
	if k.Row == mls.RowKeyPackage || k.Row == mls.RowPSK {
		group = ""
	} else if group == "" {
		return "", fmt.Errorf("mlstest: row %d of a group in a transaction without one", k.Row)
	}
	encoded := k.Append(nil)
	if _, err := mls.ParseKey(encoded); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d:%s%s", len(group), group, encoded), nil
}

// Get returns a copy of the row, or nil.
func (t *Tx) Get(k mls.Key) ([]byte, error) {
	name, err := t.name(k)
	if err != nil {
		return nil, err
	}
	v, ok := t.pending[name]
	if !ok {
		v = t.store.rows[name]
	}
	if v == nil {
		return nil, nil
	}
	return append([]byte{}, v...), nil
}

// Put writes a row.
func (t *Tx) Put(k mls.Key, value []byte) error {
	name, err := t.write(k)
	if err == nil {
		t.pending[name] = append([]byte{}, value...)
	}
	return err
}

// Delete removes a row.
func (t *Tx) Delete(k mls.Key) error {
	name, err := t.write(k)
	if err == nil {
		t.pending[name] = nil
	}
	return err
}

func (t *Tx) write(k mls.Key) (string, error) {
	name, err := t.name(k)
	if err != nil {
		return "", err
	}
	return name, t.store.step()
}

// step counts one point at which the store may crash.
func (s *Store) step() error {
	if s.crashIn > 0 {
		if s.crashIn--; s.crashIn == 0 {
			s.crashed = true
		}
	}
	if s.crashed {
		return ErrCrashed
	}
	return nil
}

// PutOwn writes a row of the caller's own, which becomes durable together with those of MLS; nil deletes it.
func (t *Tx) PutOwn(name string, value []byte) error {
	if t.done {
		return errOver
	}
	if err := t.store.step(); err != nil {
		return err
	}
	if t.pending[ownPrefix+name] = nil; value != nil {
		t.pending[ownPrefix+name] = append([]byte{}, value...)
	}
	return nil
}

// Own returns a row of the caller's own that is durable, or nil. The value is the store's.
func (s *Store) Own(name string) []byte { return s.rows[ownPrefix+name] }

// ownPrefix starts the names of the caller's own rows; those of MLS start with a digit.
const ownPrefix = "own:"

// Commit makes everything written durable. A crash can come before, when all is lost, and after, when the caller does not learn of it.
func (t *Tx) Commit() error {
	if t.done {
		return errOver
	}
	t.done = true
	if err := t.store.step(); err != nil {
		return err
	}
	for name, v := range t.pending {
		t.store.Writes++
		t.store.Written += len(v)
		if old := t.store.rows[name]; old != nil {
			clear(old)
		}
		if v == nil {
			delete(t.store.rows, name)
		} else {
			t.store.rows[name] = v
		}
	}
	return t.store.step()
}

// Rollback forgets the transaction.
func (t *Tx) Rollback() { t.done = true }

// CrashAt makes the n-th write from now crash the store: a Put, a Delete, or one of the two sides of a Commit. 0 switches it off.
func (s *Store) CrashAt(n int) { s.crashIn = n }

// Restart makes a crashed store usable again, with what was durable. It reports whether it had crashed.
func (s *Store) Restart() bool {
	crashed := s.crashed
	s.crashed, s.crashIn = false, 0
	return crashed
}

// Copy returns the durable rows as another store: a backup, or a stolen disk.
func (s *Store) Copy() *Store {
	c := NewStore()
	for name, v := range s.rows {
		c.rows[name] = append([]byte{}, v...)
	}
	return c
}

// RollBack replaces all durable rows by those of a copy made earlier.
func (s *Store) RollBack(to *Store) { s.rows = maps.Clone(to.Copy().rows) }

// Rows calls yield with each durable row of MLS: those of the client, whose group is empty, and those of its groups. The value is the store's own.
func (s *Store) Rows(yield func(groupID []byte, k mls.Key, value []byte) bool) {
	for name, v := range s.rows {
		if strings.HasPrefix(name, ownPrefix) {
			continue
		}
		var n, at int
		for at = 0; name[at] != ':'; at++ {
			n = 10*n + int(name[at]-'0')
		}
		group := []byte(name[at+1:][:n])
		k, err := mls.ParseKey([]byte(name[at+1+n:]))
		if err != nil {
			panic(err) // Put has parsed it
		}
		if !yield(group, k, v) {
			return
		}
	}
}

// Len returns the number of durable rows, the caller's own included.
func (s *Store) Len() int { return len(s.rows) }
