package mls_test

import (
	"bytes"
	"crypto"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging/mls"
)

// wantRule wants a refusal by a section of RFC 9420.
func wantRule(t *testing.T, err error, section, text string) {
	t.Helper()
	var rule *mls.RuleError
	if !errors.As(err, &rule) || rule.Section != section || !strings.Contains(err.Error(), text) {
		t.Errorf("%v; want a refusal by §%s about %q", err, section, text)
	}
}

func TestConfigRefused(t *testing.T) {
	key, _ := suite1.GenerateSignatureKey()
	now := time.Now
	for what, c := range map[string]mls.Config{
		"no identity":        {Now: now, Signers: []crypto.Signer{key}},
		"no clock":           {Identity: openIdentity{}, Signers: []crypto.Signer{key}},
		"nil signer":         {Identity: openIdentity{}, Now: now, Signers: []crypto.Signer{nil}},
		"negative age":       {Identity: openIdentity{}, Now: now, Policy: mls.Policy{PastAge: -1}},
		"negative lifetime":  {Identity: openIdentity{}, Now: now, Policy: mls.Policy{LeafLifetimeMax: -1}},
		"negative proposals": {Identity: openIdentity{}, Now: now, Policy: mls.Policy{ProposalsMax: -1}},
	} {
		if _, err := mls.NewClient(c); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestKeyPackagesOfClient(t *testing.T) {
	at := &clock{start}
	ann, ben := newPerson(t, suite1, "ann", at, mls.Policy{}), newPerson(t, suite1, "ben", at, mls.Policy{})
	stranger, _ := suite1.GenerateSignatureKey()
	p256, _ := mls.P256AES128GCM.GenerateSignatureKey()
	for what, change := range map[string]func(*mls.KeyPackageOptions){
		"unsupported suite":         func(o *mls.KeyPackageOptions) { o.Suite = 4 },
		"no signer for the suite":   func(o *mls.KeyPackageOptions) { o.Suite = mls.P256AES128GCM },
		"signer of another client":  func(o *mls.KeyPackageOptions) { o.Signer = stranger },
		"signer of another scheme":  func(o *mls.KeyPackageOptions) { o.Signer = p256 },
		"extension not listed":      func(o *mls.KeyPackageOptions) { o.Extensions = mls.Extensions{{Type: 0xF00D}} },
		"default extension listed":  func(o *mls.KeyPackageOptions) { o.Capabilities.Extensions = []mls.ExtensionType{1} },
		"leaf extension not listed": func(o *mls.KeyPackageOptions) { o.LeafExtensions = mls.Extensions{{Type: 0xF00D}} },
	} {
		o := ben.leaf(suite1)
		change(&o)
		ben.refuses(nil, func(tx mls.Tx) error {
			_, err := ben.client.NewKeyPackage(tx, o)
			if err == nil {
				t.Errorf("%s: accepted", what)
			}
			return err
		})
	}

	kp := ben.keyPackage(suite1)
	if l := kp.Leaf.Lifetime; l.NotBefore != uint64(start.Add(-time.Hour).Unix()) || l.NotAfter-l.NotBefore != uint64((90*24+1)*3600) {
		t.Errorf("default lifetime %+v", l)
	}
	ann.create(suite1)
	c := ann.commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.Add{KeyPackage: *kp}}})
	ann.confirm(c)
	ref, err := kp.Ref()
	if err != nil {
		t.Fatal(err)
	}
	if j := ben.join(c.Welcome()); !bytes.Equal(j.KeyPackageRef(), ref) || string(j.Signer().Credential.Identity) != "ann" || j.Own() != 1 ||
		len(j.Members()) != 2 || j.Suite() != suite1 || j.Epoch() != 1 {
		t.Errorf("joining: %+v", j)
	}
	welcome := parse(t, c.Welcome()).Welcome
	ben.refuses(mls.ErrNoKeyPackage, func(tx mls.Tx) error { // it was used (§10)
		_, err := ben.client.Join(tx, welcome, mls.JoinOptions{})
		return err
	})
	ben.store.Rows(func(_ []byte, k mls.Key, _ []byte) bool {
		if k.Row == mls.RowKeyPackage {
			t.Error("the private keys of a used key package are still there")
		}
		return true
	})

	// A key package of last resort serves more than one group, and until it is deleted.
	var last *mls.KeyPackage
	cleo := newPerson(t, suite1, "cleo", at, mls.Policy{})
	cleo.must(func(tx mls.Tx) (err error) {
		o := cleo.leaf(suite1)
		o.LastResort = true
		last, err = cleo.client.NewKeyPackage(tx, o)
		return err
	})
	for i, p := range []*person{ann, newPerson(t, suite1, "dora", at, mls.Policy{})} {
		if i == 1 {
			p.id = []byte("group 2")
			p.create(suite1)
		}
		cleo.id = p.id
		c := p.commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.Add{KeyPackage: *last}}})
		p.confirm(c)
		cleo.join(c.Welcome())
		agree(t, p, cleo)
		if i == 1 {
			lastRef, _ := last.Ref()
			cleo.must(func(tx mls.Tx) error { return cleo.client.DeleteKeyPackage(tx, lastRef) })
			cleo.refuses(mls.ErrNoKeyPackage, func(tx mls.Tx) error {
				_, err := cleo.client.Join(tx, parse(t, c.Welcome()).Welcome, mls.JoinOptions{})
				return err
			})
		}
	}
}

func TestKeyPackageLifetimes(t *testing.T) {
	all, at := people(t, suite1, mls.Policy{LeafLifetimeMax: 10 * time.Hour}, "ann")
	ann := all[0]
	ben := newPerson(t, suite1, "ben", at, mls.Policy{LeafLifetimeMax: 10 * time.Hour})
	kp := ben.keyPackage(suite1)
	add := func() error {
		_, err := ann.group.Commit(ann.store.Begin(ann.id), mls.CommitOptions{Proposals: []mls.Proposal{&mls.Add{KeyPackage: *kp}}})
		return err
	}
	at.now = start.Add(9*time.Hour + time.Second)
	wantRule(t, add(), "7.3", "lifetime")
	at.now = start.Add(-time.Hour - time.Second)
	wantRule(t, add(), "7.3", "lifetime")
	at.now = start
	ben.config.Policy.LeafLifetimeMax = 11 * time.Hour
	ben.renew()
	kp = ben.keyPackage(suite1)
	wantRule(t, add(), "10.1", "§7.2")
}

func TestCreateAndLoadRefused(t *testing.T) {
	all, at := people(t, suite1, mls.Policy{}, "ann")
	ann := all[0]
	ann.refuses(nil, func(tx mls.Tx) error { _, err := ann.client.Create(tx, ann.id, ann.leaf(suite1), nil); return err })
	ann.id = []byte("another")
	ann.refuses(mls.ErrNoGroup, func(tx mls.Tx) error { _, err := ann.client.Load(tx); return err })
	for what, id := range map[string][]byte{"no id": nil, "a long id": make([]byte, 256)} {
		if _, err := ann.client.Create(ann.store.Begin(ann.id), id, ann.leaf(suite1), nil); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	_, err := ann.client.Create(ann.store.Begin(ann.id), ann.id, ann.leaf(suite1), mls.Extensions{{Type: 0xF00D}})
	wantRule(t, err, "13.4", "0xf00d") // the creator itself lacks it

	// A leaf whose signer is no longer among the client's can read and not write.
	cleo := newPerson(t, suite1, "cleo", at, mls.Policy{})
	cleo.create(suite1)
	cleo.config.Signers = []crypto.Signer{cleo.next}
	cleo.renew()
	cleo.reload()
	cleo.refuses(mls.ErrNoSigner, func(tx mls.Tx) error { _, err := cleo.group.Seal(tx, nil, nil); return err })
	cleo.refuses(mls.ErrNoSigner, func(tx mls.Tx) error { _, err := cleo.group.Commit(tx, mls.CommitOptions{}); return err })
	cleo.refuses(mls.ErrNoSigner, func(tx mls.Tx) error { _, err := cleo.group.GroupInfo(mls.GroupInfoOptions{}); return err })
}

func TestExternalPSKs(t *testing.T) {
	all, _ := people(t, suite1, mls.Policy{}, "ann", "ben")
	ann, ben := all[0], all[1]
	for what, err := range map[string]error{
		"no id":    ann.client.StorePSK(ann.store.Begin(nil), nil, []byte("k")),
		"long id":  ann.client.StorePSK(ann.store.Begin(nil), make([]byte, 256), []byte("k")),
		"no key":   ann.client.StorePSK(ann.store.Begin(nil), []byte("id"), nil),
		"long key": ann.client.StorePSK(ann.store.Begin(nil), []byte("id"), make([]byte, 1025)),
	} {
		if err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	id := []byte("shared")
	proposal := &mls.PreSharedKey{PSK: mls.PreSharedKeyID{Type: mls.PSKExternal, ID: id}}
	o := mls.CommitOptions{Proposals: []mls.Proposal{proposal}}
	ann.refuses(nil, func(tx mls.Tx) error {
		_, err := ann.group.Commit(tx, o)
		wantRule(t, err, "12.4.2", "not known")
		return err
	})
	ann.must(func(tx mls.Tx) error { return ann.client.StorePSK(tx, id, []byte("secret")) })
	c := ann.commit(o)
	if len(proposal.PSK.Nonce) != 0 {
		t.Error("the caller's proposal was changed")
	}
	ben.refuses(nil, func(tx mls.Tx) error {
		_, err := ben.group.Process(tx, c.Message())
		wantRule(t, err, "12.4.2", "not known")
		return err
	})
	ben.must(func(tx mls.Tx) error { return ben.client.StorePSK(tx, id, []byte("another")) })
	ben.refuses(nil, func(tx mls.Tx) error {
		_, err := ben.group.Process(tx, c.Message())
		wantRule(t, err, "6.1", "confirmation tag")
		return err
	})
	ben.must(func(tx mls.Tx) error { return ben.client.StorePSK(tx, id, []byte("secret")) })
	ben.follow(c.Message())
	ann.confirm(c)
	agree(t, ann, ben)
	ann.must(func(tx mls.Tx) error { return ann.client.DeletePSK(tx, id) })
	ann.refuses(nil, func(tx mls.Tx) error { _, err := ann.group.Commit(tx, o); return err })

	// Resumption PSKs of this group: the current epoch's and earlier ones, within the limit.
	resume := func(epoch uint64) mls.CommitOptions {
		return mls.CommitOptions{Proposals: []mls.Proposal{&mls.PreSharedKey{PSK: mls.PreSharedKeyID{
			Type: mls.PSKResumption, Usage: mls.UsageApplication, GroupID: ann.id, Epoch: epoch}}}}
	}
	for range 3 { // to epoch 5
		c := ben.commit(mls.CommitOptions{})
		ben.confirm(c)
		ann.follow(c.Message())
	}
	for _, epoch := range []uint64{ann.group.Epoch(), ann.group.Epoch() - 2} { // the second is 3 before the one it is used in
		c := ann.commit(resume(epoch))
		ben.follow(c.Message())
		ann.confirm(c)
		agree(t, ann, ben)
	}
	for _, epoch := range []uint64{ann.group.Epoch() - 4, ann.group.Epoch() + 1} {
		ann.refuses(nil, func(tx mls.Tx) error {
			_, err := ann.group.Commit(tx, resume(epoch))
			wantRule(t, err, "12.4.2", "not known")
			return err
		})
	}
	branch := resume(ann.group.Epoch())
	branch.Proposals[0].(*mls.PreSharedKey).PSK.Usage = mls.UsageBranch
	ann.refuses(nil, func(tx mls.Tx) error {
		_, err := ann.group.Commit(tx, branch)
		wantRule(t, err, "12.1.4", "usage")
		return err
	})
}

func TestJoinRefused(t *testing.T) {
	all, at := people(t, suite1, mls.Policy{}, "ann", "ben")
	ann := all[0]
	cleo := newPerson(t, suite1, "cleo", at, mls.Policy{})
	c := ann.commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.Add{KeyPackage: *cleo.keyPackage(suite1)}}, OmitTree: true})
	ann.confirm(c)
	w := parse(t, c.Welcome()).Welcome
	join := func(o mls.JoinOptions) error {
		_, err := cleo.client.Join(cleo.store.Begin(nil), w, o)
		return err
	}
	wantRule(t, join(mls.JoinOptions{}), "12.4.3.1", "no ratchet tree")
	old, err := all[1].group.Tree()
	if err != nil {
		t.Fatal(err)
	}
	wantRule(t, join(mls.JoinOptions{Tree: old}), "12.4.3.1", "tree hash")
	tree, err := ann.group.Tree()
	if err != nil {
		t.Fatal(err)
	}
	var j *mls.Joining
	cleo.must(func(tx mls.Tx) (err error) {
		j, err = cleo.client.Join(tx, w, mls.JoinOptions{Tree: tree})
		return err
	})
	other := newPerson(t, suite1, "cleo", at, mls.Policy{})
	other.store = cleo.store
	other.create(suite1) // a group of that id
	cleo.refuses(nil, func(tx mls.Tx) error { _, err := j.Accept(tx); return err })
	other.must(func(tx mls.Tx) error { return other.group.Forget(tx) })
	cleo.must(func(tx mls.Tx) (err error) { cleo.group, err = j.Accept(tx); return err })
	agree(t, ann, cleo)
	cleo.refuses(mls.ErrSpent, func(tx mls.Tx) error { _, err := j.Accept(tx); return err })
	cleo.refuses(mls.ErrSpent, func(tx mls.Tx) error { return j.Reject(tx) })

	dora := newPerson(t, suite1, "dora", at, mls.Policy{})
	c = ann.commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.Add{KeyPackage: *dora.keyPackage(suite1)}}})
	w = parse(t, c.Welcome()).Welcome
	dora.must(func(tx mls.Tx) error {
		j, err := dora.client.Join(tx, w, mls.JoinOptions{})
		if err != nil {
			return err
		}
		return j.Reject(tx)
	})
	if dora.store.Len() != 0 {
		t.Error("rows are left of a Welcome that was rejected")
	}
}
