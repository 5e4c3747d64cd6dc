package mlstest

import (
	"errors"
	"testing"

	"github.com/parleypay/parley/messaging/mls"
)

func TestStoreCrashesBetweenAnyTwoWrites(t *testing.T) {
	a, b := mls.Key{Row: mls.RowEpoch}, mls.Key{Row: mls.RowSecrets}
	for n := 1; n <= 6; n++ {
		s := NewStore()
		if err := s.Update([]byte("g"), func(tx mls.Tx) error { return tx.Put(a, []byte("old")) }); err != nil {
			t.Fatal(err)
		}
		s.CrashAt(n)
		err := s.Update([]byte("g"), func(tx mls.Tx) error {
			return errors.Join(tx.Put(b, []byte("b")), tx.Put(a, []byte("new")), tx.Delete(b))
		})
		if crashed := n <= 5; errors.Is(err, ErrCrashed) != crashed || s.Restart() != crashed {
			t.Fatalf("crash at %d: %v", n, err)
		}
		got, err := s.Begin([]byte("g")).Get(a)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]string{true: "old", false: "new"}[n <= 4]; string(got) != want {
			t.Errorf("crash at %d: %q, want %q", n, got, want)
		}
		if s.Len() != 1 {
			t.Errorf("crash at %d: %d rows", n, s.Len())
		}
	}
}

func TestStoreKeepsGroupsApart(t *testing.T) {
	s := NewStore()
	k := mls.Key{Row: mls.RowHead, Epoch: 3, Index: 7, Ratchet: mls.RatchetApplication}
	psk := mls.Key{Row: mls.RowPSK, ID: "p"}
	tx := s.Begin([]byte("one"))
	if err := errors.Join(tx.Put(k, []byte("1")), tx.Put(psk, []byte("2"))); err != nil {
		t.Fatal(err)
	}
	if v, _ := s.Begin([]byte("one")).Get(k); v != nil {
		t.Error("a row is seen before its transaction is durable")
	}
	if v, _ := tx.Get(k); string(v) != "1" {
		t.Error("a transaction does not see its own row")
	}
	copied := s.Copy()
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	own := s.Begin([]byte("one"))
	if err := own.PutOwn("mine", []byte("3")); err != nil || s.Own("mine") != nil {
		t.Error("a row of the caller's own is there before its transaction is durable")
	}
	if err := own.Commit(); err != nil || string(s.Own("mine")) != "3" {
		t.Error("a row of the caller's own is not there")
	}
	if v, _ := s.Begin([]byte("two")).Get(k); v != nil {
		t.Error("a row of another group is seen")
	}
	if v, _ := s.Begin(nil).Get(psk); string(v) != "2" {
		t.Error("a row of the client is not seen without its group")
	}
	if err := s.Begin(nil).Put(k, nil); err == nil {
		t.Error("a group's row was put without a group")
	}
	if err := tx.Put(k, nil); err == nil {
		t.Error("a finished transaction takes rows")
	}
	rows := 0
	s.Rows(func(group []byte, key mls.Key, v []byte) bool {
		if rows++; key == k && (string(group) != "one" || string(v) != "1") || key == psk && len(group) != 0 {
			t.Errorf("row of %q: %q", group, v)
		}
		return true
	})
	if rows != 2 {
		t.Errorf("%d rows", rows)
	}
	s.RollBack(copied)
	if s.Len() != 0 {
		t.Error("rolled back and still rows")
	}
}
