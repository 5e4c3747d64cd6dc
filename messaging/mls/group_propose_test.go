package mls_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/parleypay/parley/messaging/mls"
)

func (p *person) propose(proposal mls.Proposal) []byte {
	p.t.Helper()
	var m []byte
	p.must(func(tx mls.Tx) (err error) {
		m, err = p.group.Propose(tx, proposal, []byte("aad"))
		return err
	})
	return m
}

func TestStoredProposals(t *testing.T) {
	for _, public := range []bool{false, true} {
		all, at := people(t, suite1, mls.Policy{PublicHandshakes: public}, "ann", "ben", "cleo")
		ann, ben, cleo := all[0], all[1], all[2]
		dora := newPerson(t, suite1, "dora", at, mls.Policy{})
		m := ann.propose(&mls.Add{KeyPackage: *dora.keyPackage(suite1)})
		if is := parse(t, m).Public != nil; is != public {
			t.Errorf("PublicMessage: %v", is)
		}
		e, ok := ben.process(m).(*mls.StoredProposal)
		if !ok || e.Member.Index != 0 || string(e.AuthenticatedData) != "aad" || e.Proposal.Type() != mls.ProposalAdd {
			t.Fatalf("%+v", e)
		}
		ben.refuses(mls.ErrConsumed, func(tx mls.Tx) error { _, err := ben.group.Process(tx, m); return err }) // twice
		for _, p := range []*person{ann, ben} {                                                                // no application data before the commit, by the proposer and by others, also after a restart
			p.refuses(mls.ErrProposalsWaiting, func(tx mls.Tx) error { _, err := p.group.Seal(tx, nil, nil); return err })
			p.reload()
			p.refuses(mls.ErrProposalsWaiting, func(tx mls.Tx) error { _, err := p.group.Seal(tx, nil, nil); return err })
		}
		own, ok := ann.process(m).(*mls.OwnProposal)
		if !ok || !bytes.Equal(own.Ref, e.Ref) || len(ann.group.Proposals()) != 1 || !bytes.Equal(ann.group.Proposals()[0].Ref, e.Ref) {
			t.Errorf("own proposal: %+v", own)
		}
		// Cleo has not heard of it and writes; that is read.
		ben.opens(cleo.seal("meanwhile"), "meanwhile", cleo)
		c := ben.commit(mls.CommitOptions{})
		cleo.refuses(nil, func(tx mls.Tx) error { // a commit that refers to what was not received
			_, err := cleo.group.Process(tx, c.Message())
			wantRule(t, err, "12.4", "not received")
			return err
		})
		cleo.process(m)
		cleo.follow(c.Message())
		ann.follow(c.Message())
		ben.confirm(c)
		dora.join(c.Welcome())
		agree(t, ann, ben, cleo, dora)
		ann.opens(ben.seal("and on"), "and on", ben)
		ann.refuses(mls.ErrEpochGone, func(tx mls.Tx) error { _, err := ann.group.Process(tx, m); return err })
	}
}

func TestUpdateProposal(t *testing.T) {
	all, _ := people(t, suite1, mls.Policy{}, "ann", "ben", "cleo")
	ann, ben, cleo := all[0], all[1], all[2]
	var m []byte
	ben.must(func(tx mls.Tx) (err error) {
		m, err = ben.group.ProposeUpdate(tx, mls.UpdateOptions{NextSigner: ben.next, Leaf: func(l *mls.LeafNode) {
			l.Credential = mls.BasicCredential([]byte("ben 2"))
		}})
		return err
	})
	ben.reload() // the private key is in the store
	for _, p := range []*person{ann, cleo} {
		p.process(m)
	}
	c := ann.commit(mls.CommitOptions{})
	cleo.follow(c.Message())
	ben.follow(c.Message())
	ann.confirm(c)
	ben.name = "ben 2"
	agree(t, ann, ben, cleo)
	ann.opens(ben.seal("signed with the new key"), "signed with the new key", ben)
	// The new leaf key opens the next commit's path.
	c = cleo.commit(mls.CommitOptions{Path: true})
	ben.follow(c.Message())
	ann.follow(c.Message())
	cleo.confirm(c)
	agree(t, ann, ben, cleo)
	for _, p := range all {
		for _, k := range kinds(p) {
			if k == mls.RowUpdate || k == mls.RowProposal {
				t.Errorf("%s: row %d outlived its epoch", p.name, k)
			}
		}
	}
	stranger, _ := suite1.GenerateSignatureKey()
	ben.refuses(mls.ErrNoSigner, func(tx mls.Tx) error {
		_, err := ben.group.ProposeUpdate(tx, mls.UpdateOptions{NextSigner: stranger})
		return err
	})
}

func TestProposalsRefused(t *testing.T) {
	all, at := people(t, suite1, mls.Policy{ProposalsMax: 2, PublicHandshakes: true}, "ann", "ben")
	ann, ben := all[0], all[1]
	expired := newPerson(t, suite1, "cleo", at, mls.Policy{}).keyPackage(suite1)
	forged := newPerson(t, suite1, "dora", at, mls.Policy{}).keyPackage(suite1)
	forged.Signature = append([]byte{}, forged.Signature...)
	forged.Signature[5] ^= 1
	expired.Leaf.Lifetime.NotAfter = uint64(start.Unix() - 1)
	for what, p := range map[string]mls.Proposal{
		"nil":                 nil,
		"update":              &mls.Update{},
		"blank leaf removed":  &mls.Remove{Removed: 7},
		"expired key package": &mls.Add{KeyPackage: *expired},
		"forged key package":  &mls.Add{KeyPackage: *forged},
		"ExternalInit":        &mls.ExternalInit{},
		"PSK of a branch":     &mls.PreSharedKey{PSK: mls.PreSharedKeyID{Type: mls.PSKResumption, Usage: mls.UsageBranch}},
		"older version":       &mls.ReInit{},
	} {
		ann.refuses(nil, func(tx mls.Tx) error {
			_, err := ann.group.Propose(tx, p, nil)
			if err == nil {
				t.Errorf("%s: proposed", what)
			}
			return err
		})
	}
	ann.refuses(nil, func(tx mls.Tx) error { // larger than is kept
		_, err := ann.group.Propose(tx, &mls.GroupContextExtensions{}, make([]byte, 1<<16))
		return err
	})
	var last []byte
	psk := func() mls.Proposal {
		return &mls.PreSharedKey{PSK: mls.PreSharedKeyID{Type: mls.PSKExternal, ID: []byte("k")}}
	}
	for range 2 {
		ben.process(ann.propose(psk()))
	}
	cleo := newPerson(t, suite1, "ben", at, mls.Policy{PublicHandshakes: true}) // ben with a policy of more proposals
	cleo.store, cleo.config.Signers = ben.store, ben.config.Signers
	cleo.renew()
	cleo.reload()
	last = cleo.propose(psk())
	ann.refuses(nil, func(tx mls.Tx) error { _, err := ann.group.Process(tx, last); return err })
	ann.refuses(nil, func(tx mls.Tx) error { _, err := ann.group.Propose(tx, psk(), nil); return err })
	// The way out is a commit.
	c := ann.commit(mls.CommitOptions{SkipStored: true})
	cleo.follow(c.Message())
	ann.confirm(c)
	agree(t, ann, cleo)
}

func TestExternalProposals(t *testing.T) {
	at := &clock{start}
	server, _ := suite1.GenerateSignatureKey()
	public, err := mls.SignaturePublicKeyOf(server)
	if err != nil {
		t.Fatal(err)
	}
	senders, err := mls.ExternalSendersExtension(mls.ExternalSender{SignatureKey: public, Credential: mls.BasicCredential([]byte("server"))})
	if err != nil {
		t.Fatal(err)
	}
	ann, ben := newPerson(t, suite1, "ann", at, mls.Policy{}), newPerson(t, suite1, "ben", at, mls.Policy{})
	ann.must(func(tx mls.Tx) (err error) {
		ann.group, err = ann.client.Create(tx, ann.id, ann.leaf(suite1), mls.Extensions{senders})
		return err
	})
	c := ann.commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.Add{KeyPackage: *ben.keyPackage(suite1)}}})
	ann.confirm(c)
	ben.join(c.Welcome())

	make := func(change func(*mls.ExternalProposal)) ([]byte, error) {
		p := mls.ExternalProposal{GroupID: ann.id, Epoch: ann.group.Epoch(), Suite: suite1, Proposal: &mls.Remove{Removed: 1}, Signer: server}
		if change != nil {
			change(&p)
		}
		return p.Marshal()
	}
	m, err := make(nil)
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := ann.process(m).(*mls.StoredProposal); !ok || e.Sender.Type != mls.SenderExternal || e.Member.SignatureKey != nil {
		t.Fatalf("%+v", e)
	}
	ann.refuses(mls.ErrConsumed, func(tx mls.Tx) error { _, err := ann.group.Process(tx, m); return err })
	c = ann.commit(mls.CommitOptions{})
	ben.process(m)
	if st := ben.process(c.Message()).(*mls.StagedCommit); !st.SelfRemoved {
		t.Error("ben was not removed")
	}
	ann.confirm(c)

	for what, change := range map[string]func(*mls.ExternalProposal){
		"update":              func(p *mls.ExternalProposal) { p.Proposal = &mls.Update{} },
		"nothing":             func(p *mls.ExternalProposal) { p.Proposal = nil },
		"new member, removal": func(p *mls.ExternalProposal) { p.NewMember = true },
		"suite":               func(p *mls.ExternalProposal) { p.Suite = 6 },
		"key of another suite": func(p *mls.ExternalProposal) {
			p.Suite = mls.P256AES128GCM
		},
	} {
		if _, err := make(change); err == nil {
			t.Errorf("%s: made", what)
		}
	}
	other, _ := suite1.GenerateSignatureKey()
	for what, tt := range map[string]struct {
		change  func(*mls.ExternalProposal)
		section string
	}{
		"not listed":   {func(p *mls.ExternalProposal) { p.Sender = 1 }, "12.1.8.1"},
		"another key":  {func(p *mls.ExternalProposal) { p.Signer = other }, "6.1"},
		"of a blank":   {func(p *mls.ExternalProposal) { p.Proposal = &mls.Remove{Removed: 1} }, "12.1.3"},
		"PSK, reinit":  {func(p *mls.ExternalProposal) { p.Proposal = &mls.PreSharedKey{PSK: mls.PreSharedKeyID{Type: 1}} }, "12.1.4"},
		"older reinit": {func(p *mls.ExternalProposal) { p.Proposal = &mls.ReInit{} }, "12.1.5"},
	} {
		m, err := make(tt.change)
		if err != nil {
			t.Fatal(what, err)
		}
		ann.refuses(nil, func(tx mls.Tx) error {
			_, err := ann.group.Process(tx, m)
			wantRule(t, err, tt.section, "")
			return err
		})
	}

	// Somebody proposes to add itself.
	dora := newPerson(t, suite1, "dora", at, mls.Policy{})
	kp := dora.keyPackage(suite1)
	self := func(p *mls.ExternalProposal) {
		p.NewMember, p.Proposal, p.Signer = true, &mls.Add{KeyPackage: *kp}, dora.signer
	}
	if m, err = make(self); err != nil {
		t.Fatal(err)
	}
	if e, ok := ann.process(m).(*mls.StoredProposal); !ok || e.Sender.Type != mls.SenderNewMemberProposal {
		t.Fatalf("%+v", e)
	}
	forged, err := make(func(p *mls.ExternalProposal) { self(p); p.Signer = other })
	if err != nil {
		t.Fatal(err)
	}
	ann.refuses(nil, func(tx mls.Tx) error {
		_, err := ann.group.Process(tx, forged)
		wantRule(t, err, "6.1", "signature")
		return err
	})
	c = ann.commit(mls.CommitOptions{})
	ann.confirm(c)
	dora.join(c.Welcome())
	agree(t, ann, dora)
	early, err := make(func(p *mls.ExternalProposal) { p.Epoch += 2 })
	if err != nil {
		t.Fatal(err)
	}
	ann.refuses(nil, func(tx mls.Tx) error {
		_, err := ann.group.Process(tx, early)
		var e *mls.EarlyError
		if !errors.As(err, &e) || e.Epoch != ann.group.Epoch()+2 {
			t.Errorf("%v", err)
		}
		return err
	})
}
