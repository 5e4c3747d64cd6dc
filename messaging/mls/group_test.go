package mls_test

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/mls/mlstest"
)

// openIdentity takes every credential; clients are the same if their names are.
type openIdentity struct{}

func (openIdentity) ValidateMember(mls.Credential, mls.SignaturePublicKey) error { return nil }
func (openIdentity) ValidateExternalSender(mls.ExternalSender) error             { return nil }
func (openIdentity) SameClient(a, b mls.Credential) bool                         { return bytes.Equal(a.Identity, b.Identity) }
func (openIdentity) ValidSuccessor(a, b mls.Credential) error                    { return nil }

// person is a client with its store, in one group at a time.
type person struct {
	t      testing.TB
	name   string
	signer crypto.Signer
	next   crypto.Signer // another key, for changes
	client *mls.Client
	store  *mlstest.Store
	id     []byte
	group  *mls.Group
	config mls.Config
}

// clock is the time of all clients of a test.
type clock struct{ now time.Time }

func newPerson(t testing.TB, suite mls.CipherSuite, name string, at *clock, policy mls.Policy) *person {
	t.Helper()
	p := &person{t: t, name: name, store: mlstest.NewStore(), id: []byte("group")}
	var err error
	if p.signer, err = suite.GenerateSignatureKey(); err != nil {
		t.Fatal(err)
	}
	if p.next, err = suite.GenerateSignatureKey(); err != nil {
		t.Fatal(err)
	}
	p.config = mls.Config{Identity: openIdentity{}, Signers: []crypto.Signer{p.signer, p.next}, Now: func() time.Time { return at.now }, Policy: policy}
	p.renew()
	return p
}

// renew makes the client again, from a changed config.
func (p *person) renew() {
	p.t.Helper()
	var err error
	if p.client, err = mls.NewClient(p.config); err != nil {
		p.t.Fatal(err)
	}
}

// must runs f in a transaction of the group, durably.
func (p *person) must(f func(tx mls.Tx) error) {
	p.t.Helper()
	if err := p.store.Update(p.id, f); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// refuses runs f in a transaction, wants an error, and that the store has not changed; then it loads the group again.
func (p *person) refuses(want error, f func(tx mls.Tx) error) {
	p.t.Helper()
	before := dump(p.store)
	tx := p.store.Begin(p.id)
	err := f(tx)
	if err == nil || want != nil && !errors.Is(err, want) {
		p.t.Fatalf("%s: %v, want %v", p.name, err, want)
	}
	tx.Rollback()
	if dump(p.store) != before {
		p.t.Fatalf("%s: the store has changed", p.name)
	}
}

func dump(s *mlstest.Store) string {
	rows := map[string]string{}
	s.Rows(func(group []byte, k mls.Key, v []byte) bool {
		rows[fmt.Sprintf("%x/%x", group, k.Append(nil))] = fmt.Sprintf("%x", v)
		return true
	})
	return fmt.Sprint(rows)
}

func (p *person) leaf(suite mls.CipherSuite) mls.KeyPackageOptions {
	return mls.KeyPackageOptions{Suite: suite, Credential: mls.BasicCredential([]byte(p.name))}
}

func (p *person) create(suite mls.CipherSuite) {
	p.t.Helper()
	p.must(func(tx mls.Tx) (err error) {
		p.group, err = p.client.Create(tx, p.id, p.leaf(suite), nil)
		return err
	})
}

func (p *person) keyPackage(suite mls.CipherSuite) *mls.KeyPackage {
	p.t.Helper()
	var kp *mls.KeyPackage
	p.must(func(tx mls.Tx) (err error) {
		kp, err = p.client.NewKeyPackage(tx, p.leaf(suite))
		return err
	})
	return overWire(p.t, &mls.MLSMessage{KeyPackage: kp}).KeyPackage
}

func overWire(t testing.TB, m *mls.MLSMessage) *mls.MLSMessage {
	t.Helper()
	raw, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, raw)
}

func parse(t testing.TB, raw []byte) *mls.MLSMessage {
	t.Helper()
	m, err := mls.ParseMLSMessage(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (p *person) commit(o mls.CommitOptions) *mls.PendingCommit {
	p.t.Helper()
	var c *mls.PendingCommit
	p.must(func(tx mls.Tx) (err error) {
		c, err = p.group.Commit(tx, o)
		return err
	})
	return c
}

func (p *person) confirm(c *mls.PendingCommit) {
	p.t.Helper()
	p.must(func(tx mls.Tx) (err error) {
		p.group, err = p.group.Confirm(tx, c)
		return err
	})
}

func (p *person) process(message []byte) mls.Event {
	p.t.Helper()
	var e mls.Event
	p.must(func(tx mls.Tx) (err error) {
		e, err = p.group.Process(tx, message)
		return err
	})
	return e
}

// follow processes a commit and merges it.
func (p *person) follow(message []byte) *mls.StagedCommit {
	p.t.Helper()
	c, ok := p.process(message).(*mls.StagedCommit)
	if !ok {
		p.t.Fatalf("%s: no commit", p.name)
	}
	p.must(func(tx mls.Tx) (err error) {
		p.group, err = p.group.Merge(tx, c)
		return err
	})
	return c
}

func (p *person) join(welcome []byte) *mls.Joining {
	p.t.Helper()
	w := parse(p.t, welcome).Welcome
	var j *mls.Joining
	p.must(func(tx mls.Tx) (err error) {
		if j, err = p.client.Join(tx, w, mls.JoinOptions{}); err != nil {
			return err
		}
		p.group, err = j.Accept(tx)
		return err
	})
	return j
}

func (p *person) seal(text string) []byte {
	p.t.Helper()
	var m []byte
	p.must(func(tx mls.Tx) (err error) {
		m, err = p.group.Seal(tx, []byte(text), nil)
		return err
	})
	return m
}

func (p *person) reload() {
	p.t.Helper()
	p.must(func(tx mls.Tx) (err error) {
		p.group, err = p.client.Load(tx)
		return err
	})
}

func (p *person) opens(message []byte, text string, from *person) {
	p.t.Helper()
	e, ok := p.process(message).(*mls.Application)
	if !ok || string(e.Data) != text || string(e.Member.Credential.Identity) != from.name {
		p.t.Fatalf("%s: %+v, want %q from %s", p.name, e, text, from.name)
	}
}

func agree(t testing.TB, people ...*person) {
	t.Helper()
	a := people[0].group
	for _, p := range people[1:] {
		b := p.group
		x, err := a.Export("test", []byte("context"), 32)
		if err != nil {
			t.Fatal(err)
		}
		y, err := b.Export("test", []byte("context"), 32)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.EpochAuthenticator(), b.EpochAuthenticator()) || !bytes.Equal(a.TreeHash(), b.TreeHash()) || !bytes.Equal(x, y) ||
			a.SafetyCode() != b.SafetyCode() || a.Epoch() != b.Epoch() {
			t.Fatalf("%s in epoch %d and %s in epoch %d differ", people[0].name, a.Epoch(), p.name, b.Epoch())
		}
	}
}

const suite1 = mls.X25519AES128GCM

var start = time.Unix(1_800_000_000, 0)

// people returns a group of names, all of them in it, and the clock.
func people(t testing.TB, suite mls.CipherSuite, policy mls.Policy, names ...string) ([]*person, *clock) {
	t.Helper()
	at := &clock{start}
	var list []*person
	var adds []mls.Proposal
	for i, name := range names {
		p := newPerson(t, suite, name, at, policy)
		list = append(list, p)
		if i > 0 {
			adds = append(adds, &mls.Add{KeyPackage: *p.keyPackage(suite)})
		}
	}
	list[0].create(suite)
	if len(adds) > 0 {
		c := list[0].commit(mls.CommitOptions{Proposals: adds})
		list[0].confirm(c)
		for _, p := range list[1:] {
			p.join(c.Welcome())
		}
	}
	agree(t, list...)
	return list, at
}

func TestGroupOfTwo(t *testing.T) {
	for _, suite := range []mls.CipherSuite{suite1, mls.P256AES128GCM, mls.XWingAES256GCM} {
		t.Run(suite.String(), func(t *testing.T) {
			all, _ := people(t, suite, mls.Policy{}, "ann", "ben")
			ann, ben := all[0], all[1]
			ben.opens(ann.seal("hello"), "hello", ann)
			ann.opens(ben.seal("and you"), "and you", ben)
			ann.reload()
			ben.reload()
			agree(t, ann, ben)
			m := ann.seal("after a restart")
			ben.opens(m, "after a restart", ann)
			ben.refuses(mls.ErrConsumed, func(tx mls.Tx) error { _, err := ben.group.Process(tx, m); return err })
			if e, ok := ann.process(m).(*mls.OwnMessage); !ok || e.Generation != 1 {
				t.Errorf("own message: %+v", e)
			}
			late := ben.seal("late")
			c := ben.commit(mls.CommitOptions{})
			ann.follow(c.Message())
			if _, ok := ben.process(c.Message()).(*mls.OwnCommit); !ok {
				t.Error("the own commit was not recognised")
			}
			ben.confirm(c)
			agree(t, ann, ben)
			ann.opens(late, "late", ben)
		})
	}
}
