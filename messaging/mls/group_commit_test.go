package mls_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/parleypay/parley/messaging/mls"
)

func TestPendingCommit(t *testing.T) {
	all, at := people(t, suite1, mls.Policy{}, "ann", "ben")
	ann, ben := all[0], all[1]
	cleo := newPerson(t, suite1, "cleo", at, mls.Policy{})
	before := ann.group.EpochAuthenticator()
	c := ann.commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.Add{KeyPackage: *cleo.keyPackage(suite1)}}, Path: true, GroupInfo: true,
		ExternalPub: true, AuthenticatedData: []byte("why")})
	if !bytes.Equal(before, ann.group.EpochAuthenticator()) || ann.group.Epoch() != 1 || len(ann.group.Members()) != 2 {
		t.Error("making a commit changed the group")
	}
	ann.refuses(mls.ErrPending, func(tx mls.Tx) error { _, err := ann.group.Commit(tx, mls.CommitOptions{}); return err })
	ben.opens(ann.seal("the epoch goes on"), "the epoch goes on", ann)

	ann.reload() // a restart: the commit is found again, with all that belongs to it
	var again *mls.PendingCommit
	ann.must(func(tx mls.Tx) (err error) { again, err = ann.group.Pending(tx); return err })
	if again == nil || !bytes.Equal(again.Message(), c.Message()) || !bytes.Equal(again.Welcome(), c.Welcome()) ||
		!bytes.Equal(again.GroupInfo(), c.GroupInfo()) || again.Epoch() != 2 || !bytes.Equal(again.GroupID(), ann.id) || again.External() {
		t.Fatal("the pending commit is not the same after a restart")
	}
	if a := again.Added(); len(a) != 1 || string(a[0].Credential.Identity) != "cleo" || len(again.Members()) != 3 || len(again.Removed()) != 0 {
		t.Errorf("added: %+v", a)
	}
	ann.refuses(mls.ErrPending, func(tx mls.Tx) error { _, err := ann.group.Commit(tx, mls.CommitOptions{}); return err })
	if _, ok := ann.process(c.Message()).(*mls.OwnCommit); !ok || !again.Matches(c.Message()) || again.Matches(c.Welcome()) {
		t.Error("the own commit is not recognised after a restart")
	}
	st := ben.follow(c.Message())
	if string(st.AuthenticatedData) != "why" || len(st.Added) != 1 || len(st.Updated) != 1 || string(st.Committer.Credential.Identity) != "ann" ||
		st.Epoch != 2 || st.External || st.SelfRemoved || st.ReInit != nil || st.ExtensionsChanged {
		t.Errorf("staged: %+v", st)
	}
	ann.confirm(again)
	cleo.join(again.Welcome())
	agree(t, ann, ben, cleo)
	ann.opens(cleo.seal("hi"), "hi", cleo)
	if parse(t, again.GroupInfo()).GroupInfo.Context.Epoch != 2 {
		t.Error("GroupInfo of another epoch")
	}

	// Discarded, it is gone; a stranger's is not confirmed.
	c = ann.commit(mls.CommitOptions{})
	of := ben.commit(mls.CommitOptions{})
	ann.refuses(mls.ErrNotPending, func(tx mls.Tx) error { _, err := ann.group.Confirm(tx, of); return err })
	ann.refuses(mls.ErrNotPending, func(tx mls.Tx) error { return ann.group.Discard(tx, of) })
	ann.must(func(tx mls.Tx) error { return ann.group.Discard(tx, c) })
	ann.refuses(mls.ErrNotPending, func(tx mls.Tx) error { _, err := ann.group.Confirm(tx, c); return err })
	ann.reload()
	ann.must(func(tx mls.Tx) error {
		p, err := ann.group.Pending(tx)
		if p != nil {
			t.Error("a discarded commit is still there")
		}
		return err
	})

	// Another commit that is merged takes the place of the own one that waits.
	c = ann.commit(mls.CommitOptions{})
	ann.follow(of.Message())
	ben.confirm(of)
	cleo.follow(of.Message())
	ann.refuses(mls.ErrNotPending, func(tx mls.Tx) error { _, err := ann.group.Confirm(tx, c); return err })
	ann.refuses(mls.ErrEpochGone, func(tx mls.Tx) error { _, err := ann.group.Process(tx, c.Message()); return err })
	agree(t, ann, ben, cleo)
	for _, k := range kinds(ann) {
		if k == mls.RowPending {
			t.Error("the commit that lost is still in the store")
		}
	}
}

// kinds returns the kinds of rows of the group.
func kinds(p *person) (list []mls.Row) {
	p.store.Rows(func(group []byte, k mls.Key, _ []byte) bool {
		if bytes.Equal(group, p.id) {
			list = append(list, k.Row)
		}
		return true
	})
	return list
}

func TestSpentGroup(t *testing.T) {
	all, _ := people(t, suite1, mls.Policy{}, "ann", "ben")
	ann, ben := all[0], all[1]
	c := ann.commit(mls.CommitOptions{})
	m := ben.seal("m")
	old := ann.group
	ann.confirm(c)
	for what, f := range map[string]func(tx mls.Tx) error{
		"Seal":          func(tx mls.Tx) error { _, err := old.Seal(tx, nil, nil); return err },
		"Process":       func(tx mls.Tx) error { _, err := old.Process(tx, m); return err },
		"Commit":        func(tx mls.Tx) error { _, err := old.Commit(tx, mls.CommitOptions{}); return err },
		"Pending":       func(tx mls.Tx) error { _, err := old.Pending(tx); return err },
		"Confirm":       func(tx mls.Tx) error { _, err := old.Confirm(tx, c); return err },
		"Discard":       func(tx mls.Tx) error { return old.Discard(tx, c) },
		"Merge":         func(tx mls.Tx) error { _, err := old.Merge(tx, new(mls.StagedCommit)); return err },
		"Propose":       func(tx mls.Tx) error { _, err := old.Propose(tx, &mls.Remove{Removed: 1}, nil); return err },
		"ProposeUpdate": func(tx mls.Tx) error { _, err := old.ProposeUpdate(tx, mls.UpdateOptions{}); return err },
		"GroupInfo":     func(tx mls.Tx) error { _, err := old.GroupInfo(mls.GroupInfoOptions{}); return err },
		"Export":        func(tx mls.Tx) error { _, err := old.Export("l", nil, 32); return err },
		"Expire":        func(tx mls.Tx) error { _, err := old.Expire(tx); return err },
		"Forget":        func(tx mls.Tx) error { return old.Forget(tx) },
	} {
		t.Run(what, func(t *testing.T) { ann.refuses(mls.ErrSpent, f) })
	}
	if old.EpochAuthenticator() != nil || old.SafetyCode() != "" {
		t.Error("a spent group still says what it was")
	}
	var c2 *mls.StagedCommit
	ben.must(func(tx mls.Tx) error {
		e, err := ben.group.Process(tx, c.Message())
		c2, _ = e.(*mls.StagedCommit)
		return err
	})
	ben.reload() // another handle
	ben.refuses(nil, func(tx mls.Tx) error { _, err := ben.group.Merge(tx, c2); return err })
	ben.follow(c.Message())
	agree(t, ann, ben)
}

func TestCommitChangesOwnLeaf(t *testing.T) {
	all, at := people(t, mls.P256AES128GCM, mls.Policy{}, "ann", "ben")
	ann, ben := all[0], all[1]
	c := ann.commit(mls.CommitOptions{NextSigner: ann.next, GroupInfo: true, Leaf: func(l *mls.LeafNode) {
		l.Credential = mls.BasicCredential([]byte("ann, renamed"))
	}})
	st := ben.follow(c.Message())
	if len(st.Updated) != 1 || string(st.Updated[0].Credential.Identity) != "ann, renamed" {
		t.Errorf("updated: %+v", st.Updated)
	}
	ann.confirm(c)
	ann.name = "ann, renamed"
	agree(t, ann, ben)
	ben.opens(ann.seal("with the new key"), "with the new key", ann)
	ann.reload()
	ben.opens(ann.seal("and after a restart"), "and after a restart", ann)

	stranger := newPerson(t, mls.P256AES128GCM, "x", at, mls.Policy{})
	ann.refuses(mls.ErrNoSigner, func(tx mls.Tx) error {
		_, err := ann.group.Commit(tx, mls.CommitOptions{NextSigner: stranger.signer})
		return err
	})
	ed, _ := suite1.GenerateSignatureKey()
	ann.refuses(nil, func(tx mls.Tx) error { _, err := ann.group.Commit(tx, mls.CommitOptions{NextSigner: ed}); return err })
	ann.refuses(nil, func(tx mls.Tx) error {
		_, err := ann.group.Commit(tx, mls.CommitOptions{Proposals: []mls.Proposal{nil}})
		return err
	})
	ann.refuses(nil, func(tx mls.Tx) error {
		_, err := ann.group.Commit(tx, mls.CommitOptions{Leaf: func(l *mls.LeafNode) { l.Extensions = mls.Extensions{{Type: 0xF00D}} }})
		wantRule(t, err, "7.3", "0xf00d")
		return err
	})
}

// A committer takes all stored proposals that go together, in the order of preference of §12.2.
func TestCommitChoosesStoredProposals(t *testing.T) {
	all, at := people(t, suite1, mls.Policy{}, "ann", "ben", "cleo", "dora")
	ann, ben, cleo, dora := all[0], all[1], all[2], all[3]
	eve := newPerson(t, suite1, "eve", at, mls.Policy{})
	kp1, kp2 := eve.keyPackage(suite1), eve.keyPackage(suite1)
	propose := func(by *person, p mls.Proposal) {
		t.Helper()
		var m []byte
		by.must(func(tx mls.Tx) (err error) { m, err = by.group.Propose(tx, p, nil); return err })
		for _, other := range all {
			if other != by {
				if _, ok := other.process(m).(*mls.StoredProposal); !ok {
					t.Fatal("not stored")
				}
			}
		}
	}
	update := func(by *person) {
		t.Helper()
		var m []byte
		by.must(func(tx mls.Tx) (err error) { m, err = by.group.ProposeUpdate(tx, mls.UpdateOptions{}); return err })
		for _, other := range all {
			if other != by {
				other.process(m)
			}
		}
	}
	propose(ben, &mls.ReInit{GroupID: []byte("next"), Version: mls.MLS10, Suite: suite1}) // together with others: left out
	update(ben)
	update(ben)                                                              // the newer one counts
	update(cleo)                                                             // removed: left out
	update(ann)                                                              // the committer's: left out
	propose(dora, &mls.Remove{Removed: cleo.group.Own()})                    //
	propose(ben, &mls.Remove{Removed: ann.group.Own()})                      // the committer: left out
	propose(ben, &mls.Add{KeyPackage: *kp1})                                 //
	propose(dora, &mls.Add{KeyPackage: *kp2})                                // the same client: left out
	propose(dora, &mls.GroupContextExtensions{Extensions: mls.Extensions{}}) //
	newest := slices.IndexFunc(ann.group.Proposals(), func(p mls.StoredProposal) bool { return string(p.Member.Credential.Identity) == "ben" })
	newest++ // ben's ReInit, then two updates: the second is proposal 2
	want := ann.group.Proposals()[newest+1].Proposal.(*mls.Update).Leaf.EncryptionKey
	c := ann.commit(mls.CommitOptions{})
	if len(c.Added()) != 1 || !slices.Equal(c.Removed(), []mls.LeafIndex{cleo.group.Own()}) || len(c.Members()) != 4 {
		t.Errorf("added %d, removed %v", len(c.Added()), c.Removed())
	}
	st := ben.follow(c.Message())
	if len(st.Updated) != 2 || !bytes.Equal(st.Updated[0].EncryptionKey, want) || !st.ExtensionsChanged || len(st.Removed) != 1 ||
		string(st.Removed[0].Credential.Identity) != "cleo" {
		t.Errorf("staged: %+v", st)
	}
	dora.follow(c.Message())
	gone := cleo.process(c.Message()).(*mls.StagedCommit)
	if !gone.SelfRemoved {
		t.Error("the removed member was not told")
	}
	cleo.must(func(tx mls.Tx) error {
		next, err := cleo.group.Merge(tx, gone)
		if next != nil {
			t.Error("a removed member has a next epoch")
		}
		return err
	})
	if rows := kinds(cleo); len(rows) != 0 {
		t.Errorf("a removed member still has rows: %v", rows)
	}
	ann.confirm(c)
	if w := parse(t, c.Welcome()).Welcome; len(w.Secrets) != 1 {
		t.Errorf("Welcome for %d", len(w.Secrets))
	}
	eve.join(c.Welcome())
	agree(t, ann, ben, dora, eve)
	for _, p := range []*person{ann, ben, dora} {
		if slices.ContainsFunc(kinds(p), func(k mls.Row) bool { return k == mls.RowProposal || k == mls.RowUpdate }) {
			t.Errorf("%s has proposals of the epoch that ended", p.name)
		}
		p.reload()
	}
	ben.opens(ann.seal("on"), "on", ann)
	dora.opens(ben.seal("on"), "on", ben) // with the key of its Update
}

func TestAllowIsAsked(t *testing.T) {
	no := errors.New("only ann adds")
	var seen []*mls.Change
	policy := mls.Policy{Allow: func(c *mls.Change) error {
		seen = append(seen, c)
		for _, p := range c.Proposals {
			if p.Proposal.Type() == mls.ProposalAdd && string(p.Member.Credential.Identity) != "ann" {
				return no
			}
			if r, ok := p.Proposal.(*mls.Remove); ok && p.Target.Index != r.Removed {
				return errors.New("another target")
			}
		}
		return nil
	}}
	all, at := people(t, suite1, policy, "ann", "ben")
	ann, ben := all[0], all[1]
	cleo := newPerson(t, suite1, "cleo", at, mls.Policy{})
	add := mls.CommitOptions{Proposals: []mls.Proposal{&mls.Add{KeyPackage: *cleo.keyPackage(suite1)}}}
	var not *mls.NotAllowedError
	ben.refuses(no, func(tx mls.Tx) error {
		_, err := ben.group.Commit(tx, add)
		if !errors.As(err, &not) || !strings.Contains(err.Error(), "not allowed") {
			t.Errorf("own: %v", err)
		}
		return err
	})
	if c := seen[len(seen)-1]; !c.Own || c.External || string(c.Committer.Credential.Identity) != "ben" || len(c.Members()) != 3 || c.Epoch != 1 {
		t.Errorf("own: %+v", c)
	}
	ben.config.Policy.Allow = nil // a member that does not keep to the rule
	ben.renew()
	ben.reload()
	c := ben.commit(add)
	ann.refuses(no, func(tx mls.Tx) error { _, err := ann.group.Process(tx, c.Message()); return err })
	if c := seen[len(seen)-1]; c.Own || string(c.Committer.Credential.Identity) != "ben" || c.Proposals[0].Member.Index != 1 {
		t.Errorf("another's: %+v", c)
	}
	ben.must(func(tx mls.Tx) error { return ben.group.Discard(tx, c) })
	// A stored proposal that the rule forbids is left out of an own commit.
	var m []byte
	ben.must(func(tx mls.Tx) (err error) {
		m, err = ben.group.Propose(tx, add.Proposals[0], nil)
		return err
	})
	ann.process(m)
	own := ann.commit(mls.CommitOptions{})
	if len(own.Added()) != 0 || own.Welcome() != nil {
		t.Error("a proposal that is not allowed was committed")
	}
	// Joining from outside is asked about, too.
	info, err := ann.group.GroupInfo(mls.GroupInfoOptions{ExternalPub: true})
	if err != nil {
		t.Fatal(err)
	}
	dora := newPerson(t, suite1, "dora", at, mls.Policy{Allow: func(c *mls.Change) error {
		if !c.Own || !c.External || string(c.Committer.Credential.Identity) != "dora" || len(c.Members()) != 3 {
			t.Errorf("external: %+v", c)
		}
		return no
	}})
	dora.refuses(no, func(tx mls.Tx) error {
		_, err := dora.client.JoinExternal(tx, parse(t, info).GroupInfo, mls.ExternalOptions{Leaf: dora.leaf(suite1)})
		return err
	})
}
