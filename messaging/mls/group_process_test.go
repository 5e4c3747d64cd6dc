package mls_test

import (
	"errors"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging/mls"
)

func TestEarlyAndLateMessages(t *testing.T) {
	all, at := people(t, suite1, mls.Policy{PastEpochs: 2, PastAge: time.Hour}, "ann", "ben")
	ann, ben := all[0], all[1]
	var late [][]byte
	var commits [][]byte
	for range 4 { // epochs 1 to 4
		late = append(late, ann.seal("late"))
		c := ann.commit(mls.CommitOptions{})
		commits = append(commits, c.Message())
		ann.confirm(c)
	}
	early := func(m []byte, epoch uint64) {
		t.Helper()
		ben.refuses(nil, func(tx mls.Tx) error {
			_, err := ben.group.Process(tx, m)
			var e *mls.EarlyError
			if !errors.As(err, &e) || e.Epoch != epoch {
				t.Errorf("%v, want early by epoch %d", err, epoch)
			}
			return err
		})
	}
	early(late[1], 2)
	early(commits[3], 4)
	for _, c := range commits {
		ben.follow(c)
	}
	agree(t, ann, ben)
	for _, m := range late[:2] { // of epochs 1 and 2; two are kept
		ben.refuses(mls.ErrEpochGone, func(tx mls.Tx) error { _, err := ben.group.Process(tx, m); return err })
	}
	ben.reload()
	e, ok := ben.process(late[2]).(*mls.Application)
	if !ok || string(e.Member.Credential.Identity) != "ann" || e.Epoch != 3 || e.Member.Index != 0 || e.Sender != 0 {
		t.Errorf("%+v", e)
	}
	ben.refuses(mls.ErrConsumed, func(tx mls.Tx) error { _, err := ben.group.Process(tx, late[2]); return err })
	ben.refuses(mls.ErrEpochGone, func(tx mls.Tx) error { _, err := ben.group.Process(tx, commits[3]); return err })
	if own, ok := ann.process(late[3]).(*mls.OwnMessage); !ok || own.Epoch != 4 {
		t.Errorf("%+v", own)
	}
	at.now = at.now.Add(time.Hour + time.Second)
	ben.refuses(mls.ErrEpochGone, func(tx mls.Tx) error { _, err := ben.group.Process(tx, late[3]); return err })

	ben.refuses(mls.ErrWrongGroup, func(tx mls.Tx) error {
		other := newPerson(t, suite1, "cleo", at, mls.Policy{})
		other.id = []byte("other")
		other.create(suite1)
		_, err := ben.group.Process(tx, other.seal("m"))
		return err
	})
	kp := newPerson(t, suite1, "dora", at, mls.Policy{}).keyPackage(suite1)
	raw, _ := (&mls.MLSMessage{KeyPackage: kp}).Marshal()
	for what, m := range map[string][]byte{"a key package": raw, "nothing": nil, "half a message": late[3][:20], "too much": append(late[3], 0)} {
		ben.refuses(nil, func(tx mls.Tx) error {
			_, err := ben.group.Process(tx, m)
			if err == nil {
				t.Errorf("%s: taken", what)
			}
			return err
		})
	}
}

// A state that is a copy is told as soon as it hears what it does not remember, of every kind of message.
func TestRolledBackState(t *testing.T) {
	for _, public := range []bool{false, true} {
		all, _ := people(t, suite1, mls.Policy{PublicHandshakes: public}, "ann", "ben")
		ann, ben := all[0], all[1]
		ann.seal("before") // its generation is known to the copy
		copied := ann.store.Copy()
		again := func() {
			ann.store.RollBack(copied)
			ann.reload()
		}
		m := ann.seal("after")
		again()
		ann.refuses(mls.ErrRolledBack, func(tx mls.Tx) error { _, err := ann.group.Process(tx, m); return err })
		p := ann.propose(&mls.Remove{Removed: 1})
		again()
		ann.refuses(mls.ErrRolledBack, func(tx mls.Tx) error { _, err := ann.group.Process(tx, p); return err })
		c := ann.commit(mls.CommitOptions{})
		again()
		ann.refuses(mls.ErrRolledBack, func(tx mls.Tx) error { _, err := ann.group.Process(tx, c.Message()); return err })
		ben.follow(c.Message()) // it went ahead without the copy
		late := ann.seal("of the past epoch")
		c2 := ann.commit(mls.CommitOptions{})
		ann.confirm(c2)
		if _, ok := ann.process(late).(*mls.OwnMessage); !ok {
			t.Error("own late message")
		}
	}
}

func TestRemovalAndForgetting(t *testing.T) {
	all, _ := people(t, suite1, mls.Policy{}, "ann", "ben", "cleo")
	ann, ben, cleo := all[0], all[1], all[2]
	m := ben.seal("before")
	ann.opens(m, "before", ben)
	c := ann.commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.Remove{Removed: 1}}})
	late := cleo.seal("late")
	st := ben.process(c.Message()).(*mls.StagedCommit)
	if !st.SelfRemoved || len(st.Removed) != 1 || string(st.Removed[0].Credential.Identity) != "ben" {
		t.Errorf("%+v", st)
	}
	ben.must(func(tx mls.Tx) error {
		next, err := ben.group.Merge(tx, st)
		if next != nil {
			t.Error("a next epoch for a removed member")
		}
		return err
	})
	ben.refuses(mls.ErrSpent, func(tx mls.Tx) error { _, err := ben.group.Process(tx, late); return err })
	ben.refuses(mls.ErrNoGroup, func(tx mls.Tx) error { _, err := ben.client.Load(tx); return err })
	if n := len(kinds(ben)); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	cleo.follow(c.Message())
	ann.confirm(c)
	agree(t, ann, cleo)
	// Forget takes every row along, whatever waits: past epochs, skipped keys, proposals, own commits.
	ann.propose(&mls.Remove{Removed: 2})
	ann.commit(mls.CommitOptions{})
	cleo.seal("skipped")
	ann.process(cleo.seal("heard"))
	ann.must(func(tx mls.Tx) error { return ann.group.Forget(tx) })
	if rows := kinds(ann); len(rows) != 0 {
		t.Errorf("rows are left: %v", rows)
	}
}

func TestExpire(t *testing.T) {
	all, at := people(t, suite1, mls.Policy{PastAge: time.Hour, Ratchet: mls.RatchetLimits{SkippedSeconds: 1800}}, "ann", "ben")
	ann, ben := all[0], all[1]
	expire := func(p *person) (next time.Time) {
		t.Helper()
		p.must(func(tx mls.Tx) (err error) { next, err = p.group.Expire(tx); return err })
		return next
	}
	if next := expire(ben); !next.IsZero() {
		t.Errorf("nothing to expire, and %v", next)
	}
	skipped := ann.seal("skipped")
	ben.opens(ann.seal("heard"), "heard", ann)
	if next := expire(ben); !next.Equal(start.Add(1801 * time.Second)) {
		t.Errorf("skipped key: %v", next.Sub(start))
	}
	c := ann.commit(mls.CommitOptions{})
	ben.follow(c.Message())
	ann.confirm(c)
	rows := func(row mls.Row) (n int) {
		for _, k := range kinds(ben) {
			if k == row {
				n++
			}
		}
		return n
	}
	at.now = start.Add(1801 * time.Second)
	if next := expire(ben); !next.Equal(start.Add(3601*time.Second)) || rows(mls.RowSkipped) != 0 || rows(mls.RowPast) != 1 {
		t.Errorf("past epoch: %v, %d skipped keys", next.Sub(start), rows(mls.RowSkipped))
	}
	ben.refuses(mls.ErrConsumed, func(tx mls.Tx) error { _, err := ben.group.Process(tx, skipped); return err })
	at.now = start.Add(3601 * time.Second)
	before := ben.store.Len()
	if next := expire(ben); !next.IsZero() || rows(mls.RowPast) != 0 || ben.store.Len() >= before {
		t.Errorf("past epoch after its time: %v", next)
	}

	// Lower limits take rows that are there already.
	for range 3 {
		c := ann.commit(mls.CommitOptions{})
		ben.follow(c.Message())
		ann.confirm(c)
	}
	for range 4 {
		ann.seal("skipped")
	}
	ben.opens(ann.seal("heard"), "heard", ann)
	if rows(mls.RowPast) != 3 || rows(mls.RowResumption) != 3 || rows(mls.RowSkipped) != 4 {
		t.Fatalf("%d past epochs, %d resumption secrets, %d skipped keys", rows(mls.RowPast), rows(mls.RowResumption), rows(mls.RowSkipped))
	}
	ben.config.Policy.PastEpochs, ben.config.Policy.Resumptions, ben.config.Policy.Ratchet.SkippedMax = 1, -1, 2
	ben.config.Policy.Ratchet.SkippedSeconds, ben.config.Policy.PastAge = 60, 100*time.Second
	ben.renew()
	ben.reload()
	if next := expire(ben); rows(mls.RowPast) != 1 || rows(mls.RowResumption) != 0 || rows(mls.RowSkipped) != 2 || !next.Equal(at.now.Add(61*time.Second)) {
		t.Errorf("%d past epochs, %d resumption secrets, %d skipped keys, next %v", rows(mls.RowPast), rows(mls.RowResumption), rows(mls.RowSkipped), next.Sub(at.now))
	}
	ben.config.Policy.PastEpochs, ben.config.Policy.Ratchet.SkippedMax = -1, -1
	ben.renew()
	ben.reload()
	if next := expire(ben); !next.IsZero() || rows(mls.RowPast) != 0 || rows(mls.RowSkipped) != 0 {
		t.Errorf("%d past epochs, %d skipped keys, next %v", rows(mls.RowPast), rows(mls.RowSkipped), next)
	}
	ben.opens(ann.seal("on"), "on", ann)
}

// What is written per message does not grow with the group, and stays under 200 octets.
func TestStatePerMessage(t *testing.T) {
	names := []string{"ann", "ben"}
	for len(names) < 40 {
		names = append(names, "member "+string(rune('a'+len(names)%26))+string(rune('a'+len(names)/26)))
	}
	for _, n := range []int{2, 40} {
		all, _ := people(t, suite1, mls.Policy{}, names[:n]...)
		ann, ben := all[0], all[1]
		ben.process(ann.seal("the first of the epoch splits the tree"))
		for _, p := range []*person{ann, ben} {
			p.store.Written, p.store.Writes = 0, 0
		}
		ben.process(ann.seal("hello"))
		if ann.store.Written > 200 || ben.store.Written > 200 || ann.store.Writes != 1 || ben.store.Writes != 1 {
			t.Errorf("%d members: %d octets in %d rows written to send, %d in %d to receive", n, ann.store.Written, ann.store.Writes, ben.store.Written, ben.store.Writes)
		}
	}
}
