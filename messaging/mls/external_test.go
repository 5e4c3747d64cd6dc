package mls_test

import (
	"errors"
	"testing"

	"github.com/parleypay/parley/messaging/mls"
)

// info returns the GroupInfo of p's epoch, as somebody outside receives it.
func (p *person) info(o mls.GroupInfoOptions) *mls.GroupInfo {
	p.t.Helper()
	raw, err := p.group.GroupInfo(o)
	if err != nil {
		p.t.Fatal(err)
	}
	return parse(p.t, raw).GroupInfo
}

var external = mls.GroupInfoOptions{ExternalPub: true}

func (p *person) joinExternal(info *mls.GroupInfo, o mls.ExternalOptions) *mls.PendingCommit {
	p.t.Helper()
	o.Leaf = p.leaf(suite1)
	var c *mls.PendingCommit
	p.must(func(tx mls.Tx) (err error) {
		c, err = p.client.JoinExternal(tx, info, o)
		return err
	})
	return c
}

func TestExternalJoin(t *testing.T) {
	all, at := people(t, suite1, mls.Policy{}, "ann", "ben")
	ann, ben := all[0], all[1]
	cleo := newPerson(t, suite1, "cleo", at, mls.Policy{})
	tree, err := ann.group.Tree()
	if err != nil {
		t.Fatal(err)
	}
	c := cleo.joinExternal(ann.info(mls.GroupInfoOptions{ExternalPub: true, OmitTree: true}), mls.ExternalOptions{Tree: tree, GroupInfo: true, ExternalPub: true})
	cleo.refuses(mls.ErrNoGroup, func(tx mls.Tx) error { _, err := cleo.client.Load(tx); return err })
	cleo.refuses(mls.ErrPending, func(tx mls.Tx) error {
		_, err := cleo.client.JoinExternal(tx, ann.info(external), mls.ExternalOptions{Leaf: cleo.leaf(suite1)})
		return err
	})
	// A restart: the commit waits without a group.
	cleo.renew()
	var again *mls.PendingCommit
	cleo.must(func(tx mls.Tx) (err error) { again, err = cleo.client.Pending(tx); return err })
	if again == nil || !again.Matches(c.Message()) || !again.External() || again.Epoch() != 2 || len(again.Members()) != 3 {
		t.Fatalf("%+v", again)
	}
	st := ann.follow(c.Message())
	if !st.External || string(st.Committer.Credential.Identity) != "cleo" || len(st.Added) != 0 || len(st.Updated) != 0 || len(st.Removed) != 0 {
		t.Errorf("%+v", st)
	}
	ben.follow(c.Message())
	cleo.must(func(tx mls.Tx) (err error) { cleo.group, err = cleo.client.Confirm(tx, again); return err })
	agree(t, ann, ben, cleo)
	ben.opens(cleo.seal("hello"), "hello", cleo)
	cleo.refuses(mls.ErrNotPending, func(tx mls.Tx) error { _, err := cleo.client.Confirm(tx, again); return err })
	cleo.refuses(mls.ErrNotPending, func(tx mls.Tx) error { return cleo.client.Discard(tx, again) })
	if parse(t, c.GroupInfo()).GroupInfo.Context.Epoch != 2 {
		t.Error("GroupInfo of another epoch")
	}

	// One that lost is discarded and leaves nothing.
	dora := newPerson(t, suite1, "dora", at, mls.Policy{})
	lost := dora.joinExternal(ann.info(external), mls.ExternalOptions{})
	own := ann.commit(mls.CommitOptions{})
	ann.confirm(own)
	ann.refuses(mls.ErrEpochGone, func(tx mls.Tx) error { _, err := ann.group.Process(tx, lost.Message()); return err })
	dora.must(func(tx mls.Tx) error { return dora.client.Discard(tx, lost) })
	if dora.store.Len() != 0 {
		t.Error("rows are left of an external commit that lost")
	}
	dora.refuses(nil, func(tx mls.Tx) error { // a member's commit is not confirmed like that
		_, err := dora.client.Confirm(tx, own)
		return err
	})
}

func TestResync(t *testing.T) {
	for _, byHandle := range []bool{false, true} {
		all, _ := people(t, suite1, mls.Policy{}, "ann", "ben", "cleo")
		ann, ben, cleo := all[0], all[1], all[2]
		first := ann.commit(mls.CommitOptions{}) // ben lags behind
		ann.confirm(first)
		cleo.follow(first.Message())
		old := ben.group.Own()
		psk := mls.PreSharedKeyID{Type: mls.PSKResumption, Usage: mls.UsageApplication, GroupID: ben.id, Epoch: ben.group.Epoch()}
		c := ben.joinExternal(ann.info(external), mls.ExternalOptions{Resync: &old, PSKs: []mls.PreSharedKeyID{psk}, AuthenticatedData: []byte("back")})
		ben.reload()
		ben.refuses(mls.ErrPending, func(tx mls.Tx) error { _, err := ben.group.Commit(tx, mls.CommitOptions{}); return err })
		for _, p := range []*person{ann, cleo} {
			st := p.follow(c.Message())
			if len(st.Removed) != 1 || st.Removed[0].Index != old || !st.External || string(st.AuthenticatedData) != "back" {
				t.Errorf("%+v", st)
			}
		}
		ben.follow(first.Message()) // the old self catches up by one; the commit to come back still waits
		if _, ok := ben.process(c.Message()).(*mls.OwnCommit); !ok {
			t.Fatal("the own commit is not recognised")
		}
		ben.must(func(tx mls.Tx) (err error) {
			if byHandle {
				ben.group, err = ben.group.Confirm(tx, c)
			} else {
				ben.group, err = ben.client.Confirm(tx, c)
			}
			return err
		})
		agree(t, ann, ben, cleo)
		ben.reload()
		cleo.opens(ben.seal("again"), "again", ben)
		if rows := kinds(ben); len(rows) > 8 {
			t.Errorf("rows of the old self are left: %v", rows)
		}
	}
}

// An external commit that lost is dropped when the commit that won is merged.
func TestResyncThatLost(t *testing.T) {
	all, _ := people(t, suite1, mls.Policy{}, "ann", "ben")
	ann, ben := all[0], all[1]
	old := ben.group.Own()
	c := ben.joinExternal(ann.info(external), mls.ExternalOptions{Resync: &old})
	ben.reload()
	won := ann.commit(mls.CommitOptions{})
	ben.follow(won.Message())
	ann.confirm(won)
	agree(t, ann, ben)
	ben.refuses(mls.ErrNotPending, func(tx mls.Tx) error { _, err := ben.client.Confirm(tx, c); return err })
	ben.reload()
	own := ben.commit(mls.CommitOptions{})
	ann.follow(own.Message())
	ben.confirm(own)
	agree(t, ann, ben)
}

func TestExternalJoinRefused(t *testing.T) {
	all, at := people(t, suite1, mls.Policy{}, "ann", "ben")
	ann, ben := all[0], all[1]
	cleo := newPerson(t, suite1, "cleo", at, mls.Policy{})
	two, nine := mls.LeafIndex(1), mls.LeafIndex(9)
	tampered := ann.info(external)
	tampered.Signature = append([]byte{}, tampered.Signature...)
	tampered.Signature[3] ^= 1
	otherSuite := ann.info(external)
	otherSuite.Context.Suite = 6
	for what, tt := range map[string]struct {
		by      *person
		info    *mls.GroupInfo
		o       mls.ExternalOptions
		section string
	}{
		"no external_pub":        {cleo, ann.info(mls.GroupInfoOptions{}), mls.ExternalOptions{}, "12.4.3.2"},
		"no tree":                {cleo, ann.info(mls.GroupInfoOptions{ExternalPub: true, OmitTree: true}), mls.ExternalOptions{}, "12.4.3.1"},
		"signature":              {cleo, tampered, mls.ExternalOptions{}, "12.4.3.1"},
		"removes another client": {cleo, ann.info(external), mls.ExternalOptions{Resync: &two}, "12.2"},
		"removes a blank leaf":   {cleo, ann.info(external), mls.ExternalOptions{Resync: &nine}, "12.1.3"},
		"a member, no resync":    {ben, ann.info(external), mls.ExternalOptions{}, "12.2"},
		"PSK unknown":            {cleo, ann.info(external), mls.ExternalOptions{PSKs: []mls.PreSharedKeyID{{Type: mls.PSKExternal, ID: []byte("?")}}}, "12.4.2"},
		"not a SelfRemove":       {cleo, ann.info(external), mls.ExternalOptions{SelfRemoves: [][]byte{ann.commit(mls.CommitOptions{}).Message()}}, "12.4.3.2"},
	} {
		tt.by.refuses(nil, func(tx mls.Tx) error {
			o := tt.o
			o.Leaf = tt.by.leaf(suite1)
			if what == "a member, no resync" { // with another key, so that only the client is the same
				o.Leaf.Signer = tt.by.next
			}
			_, err := tt.by.client.JoinExternal(tx, tt.info, o)
			var rule *mls.RuleError
			if !errors.As(err, &rule) || rule.Section != tt.section {
				t.Errorf("%s: %v; want §%s", what, err, tt.section)
			}
			return err
		})
	}
	cleo.refuses(nil, func(tx mls.Tx) error {
		_, err := cleo.client.JoinExternal(tx, otherSuite, mls.ExternalOptions{Leaf: cleo.leaf(suite1)})
		var u *mls.UnsupportedSuiteError
		if !errors.As(err, &u) {
			t.Errorf("%v", err)
		}
		return err
	})
}

// Somebody who joins from outside takes along the SelfRemove of a member that wants to go, who needs nobody else for it.
func TestSelfRemoveTakenAlong(t *testing.T) {
	at := &clock{start}
	var all []*person
	for _, name := range []string{"ann", "ben", "cleo"} {
		all = append(all, newPerson(t, suite1, name, at, mls.Policy{}))
	}
	ann, ben, cleo := all[0], all[1], all[2]
	leaf := func(p *person) mls.KeyPackageOptions {
		o := p.leaf(suite1)
		o.Capabilities.Proposals = []mls.ProposalType{mls.ProposalSelfRemove}
		return o
	}
	var kp *mls.KeyPackage
	ben.must(func(tx mls.Tx) (err error) { kp, err = ben.client.NewKeyPackage(tx, leaf(ben)); return err })
	ann.must(func(tx mls.Tx) (err error) {
		ann.group, err = ann.client.Create(tx, ann.id, leaf(ann), nil)
		return err
	})
	c := ann.commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.Add{KeyPackage: *kp}}})
	ann.confirm(c)
	ben.join(c.Welcome())

	m := ben.propose(&mls.SelfRemove{})
	if parse(t, m).Public == nil {
		t.Error("a SelfRemove that outsiders cannot read")
	}
	ben.refuses(mls.ErrProposed, func(tx mls.Tx) error { _, err := ben.group.Propose(tx, &mls.SelfRemove{}, []byte("aad")); return err })
	ann.process(m)
	info := ann.info(external)
	var pending *mls.PendingCommit
	cleo.must(func(tx mls.Tx) (err error) {
		pending, err = cleo.client.JoinExternal(tx, info, mls.ExternalOptions{Leaf: leaf(cleo), SelfRemoves: [][]byte{m}})
		return err
	})
	if st := ben.process(pending.Message()).(*mls.StagedCommit); !st.SelfRemoved {
		t.Error("ben is not removed")
	}
	ann.follow(pending.Message())
	cleo.must(func(tx mls.Tx) (err error) { cleo.group, err = cleo.client.Confirm(tx, pending); return err })
	agree(t, ann, cleo)
	if len(ann.group.Members()) != 2 {
		t.Errorf("%d members", len(ann.group.Members()))
	}
}
