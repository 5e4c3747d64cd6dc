package mls_test

import (
	"strings"
	"testing"

	"github.com/parleypay/parley/messaging/mls"
)

// closed returns a group that was closed by a ReInit to another suite, and who was in it.
func closed(t *testing.T) (ann, ben, cleo *person, at *clock) {
	t.Helper()
	all, at := people(t, suite1, mls.Policy{}, "ann", "ben", "cleo")
	ann, ben, cleo = all[0], all[1], all[2]
	c := ann.commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.ReInit{GroupID: []byte("next"), Version: mls.MLS10, Suite: mls.XWingAES256GCM}}})
	for _, p := range []*person{ben, cleo} {
		if st := p.follow(c.Message()); st.ReInit == nil || st.ReInit.Suite != mls.XWingAES256GCM {
			t.Errorf("%+v", st)
		}
	}
	ann.confirm(c)
	agree(t, all...)
	return ann, ben, cleo, at
}

// at sits a person's client down at another group id.
func (p *person) at(id string) *person {
	q := *p
	q.id, q.group = []byte(id), nil
	return &q
}

func (p *person) joinOld(welcome []byte, old *mls.Group) error {
	w := parse(p.t, welcome).Welcome
	j, err := p.client.Join(p.store.Begin(old.ID()), w, mls.JoinOptions{Old: old})
	if err != nil {
		return err
	}
	p.must(func(tx mls.Tx) (err error) { p.group, err = j.Accept(tx); return err })
	return nil
}

func TestReInit(t *testing.T) {
	ann, ben, cleo, _ := closed(t)
	for _, p := range []*person{ann, cleo} { // closed: nothing is sent, nothing more is taken, also after a restart
		p.reload()
		if r := p.group.Closed(); r == nil || string(r.GroupID) != "next" {
			t.Fatalf("%+v", r)
		}
		for what, f := range map[string]func(tx mls.Tx) error{
			"seal":    func(tx mls.Tx) error { _, err := p.group.Seal(tx, nil, nil); return err },
			"commit":  func(tx mls.Tx) error { _, err := p.group.Commit(tx, mls.CommitOptions{}); return err },
			"propose": func(tx mls.Tx) error { _, err := p.group.Propose(tx, &mls.Remove{Removed: 1}, nil); return err },
			"update":  func(tx mls.Tx) error { _, err := p.group.ProposeUpdate(tx, mls.UpdateOptions{}); return err },
			"info":    func(tx mls.Tx) error { _, err := p.group.GroupInfo(mls.GroupInfoOptions{}); return err },
			"branch": func(tx mls.Tx) error {
				_, _, err := p.client.Branch(tx, p.group, mls.ContinueOptions{GroupID: []byte("b"), Leaf: p.leaf(suite1)})
				return err
			},
		} {
			p.refuses(nil, func(tx mls.Tx) error { err := f(tx); wantRule(t, err, "12.4.2", "closed"); _ = what; return err })
		}
	}
	x := mls.XWingAES256GCM
	ben2, cleo2 := ben.at("next"), cleo.at("next")
	kb, kc := *ben2.keyPackage(x), *cleo2.keyPackage(x)
	ann2 := ann.at("next")
	var p *mls.PendingCommit
	ann2.must(func(tx mls.Tx) (err error) {
		ann2.group, p, err = ann.client.Continue(tx, ann.group, mls.ContinueOptions{KeyPackages: []mls.KeyPackage{kb, kc}, Leaf: ann.leaf(x)})
		return err
	})
	if ann2.group.Epoch() != 0 || p.Epoch() != 1 || len(p.Added()) != 2 {
		t.Errorf("epochs %d and %d", ann2.group.Epoch(), p.Epoch())
	}
	ann2.confirm(p)
	wantRule(t, ben2.joinErr(p.Welcome()), "12.4.2", "not known") // without the old group
	for _, who := range []struct{ next, old *person }{{ben2, ben}, {cleo2, cleo}} {
		if err := who.next.joinOld(p.Welcome(), who.old.group); err != nil {
			t.Fatal(err)
		}
	}
	agree(t, ann2, ben2, cleo2)
	if ann2.group.Suite() != x {
		t.Error("another suite")
	}
	ben2.opens(ann2.seal("on, post-quantum"), "on, post-quantum", ann2)
	ann.must(func(tx mls.Tx) error { return ann.group.Forget(tx) })
}

func (p *person) joinErr(welcome []byte) error {
	_, err := p.client.Join(p.store.Begin(p.id), parse(p.t, welcome).Welcome, mls.JoinOptions{})
	return err
}

func TestContinueRefused(t *testing.T) {
	ann, ben, cleo, at := closed(t)
	x := mls.XWingAES256GCM
	kb, kc := *ben.keyPackage(x), *cleo.keyPackage(x)
	dora := newPerson(t, x, "dora", at, mls.Policy{})
	kd := *dora.keyPackage(x)
	next := ann.at("next")
	for what, tt := range map[string]struct {
		packages []mls.KeyPackage
		leaf     mls.KeyPackageOptions
		text     string
	}{
		"somebody missing":  {[]mls.KeyPackage{kb}, ann.leaf(x), "leaf 2"},
		"somebody new":      {[]mls.KeyPackage{kb, kc, kd}, ann.leaf(x), "key package 2"},
		"somebody twice":    {[]mls.KeyPackage{kb, kb, kc}, ann.leaf(x), "key package 1"},
		"as somebody else":  {[]mls.KeyPackage{kb, kc}, ben.leaf(x), "another client"},
		"key of a suite":    {[]mls.KeyPackage{*ben.keyPackage(suite1), kc}, ann.leaf(x), "suite"},
		"its own, as other": {[]mls.KeyPackage{*ann.keyPackage(x), kb, kc}, ann.leaf(x), "key package 0"},
	} {
		next.refuses(nil, func(tx mls.Tx) error {
			_, _, err := ann.client.Continue(tx, ann.group, mls.ContinueOptions{KeyPackages: tt.packages, Leaf: tt.leaf})
			if err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%s: %v", what, err)
			}
			return err
		})
	}
	open, _ := people(t, suite1, mls.Policy{}, "ann")
	next.refuses(nil, func(tx mls.Tx) error {
		_, _, err := ann.client.Continue(tx, open[0].group, mls.ContinueOptions{Leaf: ann.leaf(suite1)})
		return err
	})
}

// What a member checks of a group that says it continues or branches from another (§12.4.3.1), each broken by a dishonest creator.
func TestJoinComparesWithOldGroup(t *testing.T) {
	// A branch, offered as such: of an open group, to ben.
	all, at := people(t, suite1, mls.Policy{}, "ann", "ben", "cleo")
	ann, ben := all[0], all[1]
	branch := func(o mls.ContinueOptions) (*mls.PendingCommit, error) {
		q := ann.at("branch")
		q.store = q.store.Copy() // each try is the first
		o.GroupID, o.Leaf = []byte("branch"), ann.leaf(suite1)
		var p *mls.PendingCommit
		err := q.store.Update(q.id, func(tx mls.Tx) (err error) {
			_, p, err = ann.client.Branch(tx, ann.group, o)
			return err
		})
		return p, err
	}
	good, err := branch(mls.ContinueOptions{KeyPackages: []mls.KeyPackage{*ben.keyPackage(suite1)}})
	if err != nil {
		t.Fatal(err)
	}
	// Somebody who is no member comes in by a proposal of the first commit, past the maker's check.
	dora := newPerson(t, suite1, "dora", at, mls.Policy{})
	bad, err := branch(mls.ContinueOptions{KeyPackages: []mls.KeyPackage{*ben.keyPackage(suite1)},
		Commit: mls.CommitOptions{Proposals: []mls.Proposal{&mls.Add{KeyPackage: *dora.keyPackage(suite1)}}}})
	if err != nil {
		t.Fatal(err)
	}
	ben2 := ben.at("branch")
	wantRule(t, ben2.joinOld(bad.Welcome(), ben.group), "11.3", "no member of the old group")
	other, _ := people(t, suite1, mls.Policy{}, "ben")
	wantRule(t, ben2.joinOld(good.Welcome(), other[0].group), "12.4.2", "not known") // a group of that id, but another one
	if err := ben2.joinOld(good.Welcome(), ben.group); err != nil {
		t.Fatal(err)
	}
	if _, err := branch(mls.ContinueOptions{KeyPackages: []mls.KeyPackage{*dora.keyPackage(suite1)}}); err == nil || !strings.Contains(err.Error(), "key package 0") {
		t.Errorf("a branch with a stranger: %v", err)
	}

	// A continuation of a group that was not closed, in the eyes of one who has not heard of the ReInit yet.
	x := mls.XWingAES256GCM
	c := ann.commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.ReInit{GroupID: []byte("next"), Version: mls.MLS10, Suite: x}}})
	ann.confirm(c)
	next := ann.at("next")
	var p *mls.PendingCommit
	next.must(func(tx mls.Tx) (err error) {
		_, p, err = ann.client.Continue(tx, ann.group, mls.ContinueOptions{KeyPackages: []mls.KeyPackage{*ben.keyPackage(x), *all[2].keyPackage(x)},
			Leaf: ann.leaf(x)})
		return err
	})
	ben2 = ben.at("next")
	wantRule(t, ben2.joinOld(p.Welcome(), ben.group), "12.4.2", "not known")
	ben.follow(c.Message())
	if err := ben2.joinOld(p.Welcome(), ben.group); err != nil {
		t.Fatal(err)
	}
}
