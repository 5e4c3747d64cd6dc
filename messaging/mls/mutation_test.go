package mls_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging/mls"
)

// watchedTx counts what an operation writes: one that fails must not have written anything.
type watchedTx struct {
	mls.Tx
	writes int
}

func (t *watchedTx) Put(k mls.Key, v []byte) error { t.writes++; return t.Tx.Put(k, v) }
func (t *watchedTx) Delete(k mls.Key) error        { t.writes++; return t.Tx.Delete(k) }

// target is a message and the operation that takes it. take returns an error, or what was made of the message.
type target struct {
	name    string
	message []byte
	by      *person
	take    func(tx mls.Tx, message []byte) error
}

// mutationTargets returns one message of every type, for members of a real group, or for who is to enter it.
func mutationTargets(t testing.TB, suite mls.CipherSuite) ([]target, []*person) {
	t.Helper()
	all, at := people(t, suite, mls.Policy{}, "ann", "ben", "cay", "dan")
	ann, ben, cay := all[0], all[1], all[2]
	service := newPerson(t, suite, "service", at, mls.Policy{})
	ann.must(func(tx mls.Tx) error { return ann.client.StorePSK(tx, []byte("psk"), bytes.Repeat([]byte{5}, 32)) })
	ben.must(func(tx mls.Tx) error { return ben.client.StorePSK(tx, []byte("psk"), bytes.Repeat([]byte{5}, 32)) })
	cay.must(func(tx mls.Tx) error { return cay.client.StorePSK(tx, []byte("psk"), bytes.Repeat([]byte{5}, 32)) })
	all[3].must(func(tx mls.Tx) error { return all[3].client.StorePSK(tx, []byte("psk"), bytes.Repeat([]byte{5}, 32)) })
	senders, err := mls.ExternalSendersExtension(mls.ExternalSender{SignatureKey: service.keyPackage(suite).Leaf.SignatureKey, Credential: mls.BasicCredential([]byte("service"))})
	if err != nil {
		t.Fatal(err)
	}
	move := func(by *person, o mls.CommitOptions) {
		c := by.commit(o)
		for _, p := range all {
			if p != by {
				p.follow(c.Message())
			}
		}
		by.confirm(c)
	}
	move(ann, mls.CommitOptions{Proposals: []mls.Proposal{&mls.GroupContextExtensions{Extensions: mls.Extensions{senders}}}})
	move(ben, mls.CommitOptions{}) // so that there are nodes to resolve to
	agree(t, all...)

	process := func(tx mls.Tx, m []byte) error { _, err := ben.group.Process(tx, m); return err }
	var list []target
	add := func(name string, m []byte) { list = append(list, target{name, m, ben, process}) }
	// in a transaction that is dropped: the sender's state is as if it had sent nothing
	dry := func(by *person, f func(tx mls.Tx) ([]byte, error)) []byte {
		t.Helper()
		tx := by.store.Begin(by.id)
		m, err := f(tx)
		if err != nil {
			t.Fatal(by.name, err)
		}
		tx.Rollback()
		by.reload()
		return m
	}
	newcomer := newPerson(t, suite, "eve", at, mls.Policy{})
	kp := newcomer.keyPackage(suite)
	add("application", dry(ann, func(tx mls.Tx) ([]byte, error) { return ann.group.Seal(tx, []byte("pay 10"), []byte("aad")) }))
	for name, p := range map[string]mls.Proposal{
		"add": &mls.Add{KeyPackage: *kp}, "remove": &mls.Remove{Removed: 3}, "psk": &mls.PreSharedKey{PSK: mls.PreSharedKeyID{Type: mls.PSKExternal, ID: []byte("psk")}},
		"extensions": &mls.GroupContextExtensions{}, "reinit": &mls.ReInit{GroupID: []byte("next"), Version: mls.MLS10, Suite: suite},
	} {
		add("private proposal: "+name, dry(ann, func(tx mls.Tx) ([]byte, error) { return ann.group.Propose(tx, p, nil) }))
	}
	add("private proposal: update", dry(ann, func(tx mls.Tx) ([]byte, error) { return ann.group.ProposeUpdate(tx, mls.UpdateOptions{}) }))
	add("public proposal: leave", dry(ann, func(tx mls.Tx) ([]byte, error) { return ann.group.Propose(tx, &mls.SelfRemove{}, []byte("bye")) }))
	for name, o := range map[string]mls.CommitOptions{
		"public commit":              {Public: true, AuthenticatedData: []byte("why")},
		"private commit":             {},
		"public commit, add and psk": {Public: true, Path: true, Proposals: []mls.Proposal{&mls.Add{KeyPackage: *kp}, &mls.PreSharedKey{PSK: mls.PreSharedKeyID{Type: mls.PSKExternal, ID: []byte("psk")}}}},
	} {
		add(name, dry(ann, func(tx mls.Tx) ([]byte, error) {
			c, err := ann.group.Commit(tx, o)
			if err != nil {
				return nil, err
			}
			return c.Message(), nil
		}))
	}
	info, err := ann.group.GroupInfo(mls.GroupInfoOptions{ExternalPub: true})
	if err != nil {
		t.Fatal(err)
	}
	outside := newPerson(t, suite, "fay", at, mls.Policy{})
	enter := func(tx mls.Tx, m []byte) error {
		parsed, err := mls.ParseMLSMessage(m)
		if err != nil {
			return err
		}
		if parsed.GroupInfo == nil {
			return fmt.Errorf("wire format %d", parsed.WireFormat())
		}
		_, err = outside.client.JoinExternal(tx, parsed.GroupInfo, mls.ExternalOptions{Leaf: outside.leaf(suite)})
		return err
	}
	list = append(list, target{"group info", info, outside, enter})
	external, err := outside.client.JoinExternal(outside.store.Begin(outside.id), parse(t, info).GroupInfo, mls.ExternalOptions{Leaf: outside.leaf(suite)})
	if err != nil {
		t.Fatal(err)
	}
	add("external commit", external.Message())
	for name, p := range map[string]mls.ExternalProposal{
		"external sender": {Proposal: &mls.Remove{Removed: 3}, Signer: service.signer},
		"new member":      {Proposal: &mls.Add{KeyPackage: *kp}, Signer: newcomer.signer, NewMember: true},
	} {
		p.GroupID, p.Epoch, p.Suite = ben.id, ben.group.Epoch(), suite
		m, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		add("proposal: "+name, m)
	}
	rawKP, err := (&mls.MLSMessage{KeyPackage: kp}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	list = append(list, target{"key package", rawKP, ann, func(tx mls.Tx, m []byte) error {
		parsed, err := mls.ParseMLSMessage(m)
		if err != nil {
			return err
		}
		if parsed.KeyPackage == nil {
			return fmt.Errorf("wire format %d", parsed.WireFormat())
		}
		_, err = ann.group.Commit(tx, mls.CommitOptions{Proposals: []mls.Proposal{&mls.Add{KeyPackage: *parsed.KeyPackage}}})
		if err == nil {
			ann.group = nil // spent on a transaction that is dropped
		}
		return err
	}})
	var welcome []byte
	dry(ann, func(tx mls.Tx) ([]byte, error) {
		c, err := ann.group.Commit(tx, mls.CommitOptions{Path: true, Proposals: []mls.Proposal{&mls.Add{KeyPackage: *kp}}})
		if err == nil {
			welcome = c.Welcome()
		}
		return nil, err
	})
	list = append(list, target{"welcome", welcome, newcomer, func(tx mls.Tx, m []byte) error {
		parsed, err := mls.ParseMLSMessage(m)
		if err != nil {
			return err
		}
		if parsed.Welcome == nil {
			return fmt.Errorf("wire format %d", parsed.WireFormat())
		}
		j, err := newcomer.client.Join(tx, parsed.Welcome, mls.JoinOptions{})
		if err != nil {
			return err
		}
		_, err = j.Accept(tx)
		return err
	}})
	return list, all
}

// mutants calls yield with changed copies of m: single bits, prefixes, octets added, parts twice, left out and swapped, and at every
// place a length header that is longer than necessary, promises too much, or is one off.
func mutants(m []byte, bits int, r *rand.Rand, yield func(what string, at int, mutant []byte)) {
	replaced := func(what string, from, to int, with ...byte) {
		yield(what, from, append(append(append(make([]byte, 0, len(m)+len(with)), m[:from]...), with...), m[to:]...))
	}
	for i, b := range m {
		for k := range bits {
			replaced("bit", i, i+1, b^1<<((i+k*3)%8))
		}
		replaced("cut", i, len(m))
		replaced("left out", i, i+1)
		replaced("added", i, i, byte(i))
		replaced("header too long", i, i+1, 0x40, b)
		replaced("header of 2^30-1", i, min(i+4, len(m)), 0xbf, 0xff, 0xff, 0xff)
		replaced("header of 2^30-1, put in", i, i, 0xbf, 0xff, 0xff, 0xff)
		replaced("header 11", i, i+1, 0xff)
		replaced("one more", i, i+1, b+1)
		replaced("one less", i, i+1, b-1)
	}
	yield("extended", len(m), append(bytes.Clone(m), 0))
	yield("twice", 0, append(bytes.Clone(m), m...))
	for range 200 {
		from := r.IntN(len(m))
		to := from + 1 + r.IntN(min(64, len(m)-from))
		replaced("part twice", to, to, m[from:to]...)
		replaced("part left out", from, to)
		other := r.IntN(len(m) - (to - from) + 1)
		swapped := bytes.Clone(m)
		copy(swapped[from:to], m[other:])
		copy(swapped[other:], m[from:to])
		yield("parts swapped", from, swapped)
	}
}

// Every mutation of every type of message is refused, without a panic, without a write, in bounded time and memory, and the group is
// what it was: the true message is taken afterwards. PARLEY_MUTATIONS=all tries every bit of every suite.
func TestMutatedMessages(t *testing.T) {
	suites, bits := []mls.CipherSuite{suite1}, 1
	if os.Getenv("PARLEY_MUTATIONS") == "all" {
		suites, bits = []mls.CipherSuite{suite1, mls.P256AES128GCM, mls.XWingAES256GCM}, 8
	}
	for _, suite := range suites {
		list, members := mutationTargets(t, suite)
		for _, tt := range list {
			t.Run(suite.String()+"/"+tt.name, func(t *testing.T) {
				r := rand.New(rand.NewPCG(7, 7))
				before := dump(tt.by.store)
				tried, longest, where := 0, time.Duration(0), ""
				var memory, after runtime.MemStats
				runtime.ReadMemStats(&memory)
				mutants(tt.message, bits, r, func(what string, at int, mutant []byte) {
					if bytes.Equal(mutant, tt.message) {
						return
					}
					tried++
					tx := tt.by.store.Begin(tt.by.id)
					defer tx.Rollback()
					watched := &watchedTx{Tx: tx}
					began := time.Now()
					err := tt.take(watched, mutant)
					if d := time.Since(began); d > longest {
						longest, where = d, fmt.Sprint(what, " at ", at)
					}
					if err == nil {
						t.Fatalf("%s at %d was accepted", what, at)
					}
					if watched.writes != 0 {
						t.Fatalf("%s at %d: refused with %v after %d writes", what, at, err, watched.writes)
					}
				})
				runtime.ReadMemStats(&after)
				if dump(tt.by.store) != before {
					t.Error("the store has changed")
				}
				if longest > 2*time.Second { // an honest message takes milliseconds; the machine may be busy
					t.Errorf("%s took %v", where, longest)
				}
				each := (after.TotalAlloc - memory.TotalAlloc) / uint64(tried)
				if limit := uint64(64*len(tt.message) + 1<<16); each > limit {
					t.Errorf("%d octets were allocated for each, of a message of %d", each, len(tt.message))
				}
				tx := tt.by.store.Begin(tt.by.id)
				if err := tt.take(tx, tt.message); err != nil {
					t.Errorf("the true message: %v", err)
				}
				tx.Rollback()
				t.Logf("%d mutants of %d octets, %d octets allocated for each, %v the longest", tried, len(tt.message), each, longest)
			})
			for _, p := range members {
				p.reload()
			}
		}
		agree(t, members...)
		members[1].opens(members[0].seal("still here"), "still here", members[0])
	}
}

// While a proposal waits for its commit, nobody sends application data (§12.4).
func TestNoDataWhileProposalsWait(t *testing.T) {
	all, _ := people(t, suite1, mls.Policy{}, "ann", "ben")
	ann, ben := all[0], all[1]
	var m []byte
	ann.must(func(tx mls.Tx) (err error) {
		m, err = ann.group.Propose(tx, &mls.GroupContextExtensions{}, nil)
		return err
	})
	ben.process(m)
	for _, p := range all {
		p.refuses(mls.ErrProposalsWaiting, func(tx mls.Tx) error { _, err := p.group.Seal(tx, []byte("data"), nil); return err })
	}
	c := ben.commit(mls.CommitOptions{})
	ben.refuses(mls.ErrProposalsWaiting, func(tx mls.Tx) error { _, err := ben.group.Seal(tx, []byte("data"), nil); return err })
	ann.follow(c.Message())
	ben.confirm(c)
	ann.opens(ben.seal("after the commit"), "after the commit", ben)
}
