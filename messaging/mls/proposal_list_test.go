package mls

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"testing"
)

// listMember is a member of listGroup, or somebody who would like to be one.
type listMember struct {
	keys   *keyPackageKeys
	signer crypto.Signer
}

func newListMember(t testing.TB, name string, change func(*KeyPackageOptions)) listMember {
	t.Helper()
	signer, err := X25519AES128GCM.GenerateSignatureKey()
	if err != nil {
		t.Fatal(err)
	}
	o := KeyPackageOptions{Suite: X25519AES128GCM, Signer: signer, Credential: BasicCredential([]byte(name)), Lifetime: Lifetime{100, 200}}
	if change != nil {
		change(&o)
	}
	s, _ := lookupSuite(o.Suite)
	keys, err := s.newKeyPackage(rand.Reader, o)
	if err != nil {
		t.Fatal(err)
	}
	return listMember{keys, signer}
}

// listGroup returns the state of a group of n members, seen by leaf 0, without secrets.
func listGroup(t testing.TB, n int) (*groupState, []listMember) {
	t.Helper()
	s, _ := lookupSuite(X25519AES128GCM)
	g := &groupState{suite: s}
	var members []listMember
	for i := range n {
		m := newListMember(t, string(rune('a'+i)), nil)
		members = append(members, m)
		if i == 0 {
			g.tree = newTree(s, &m.keys.keyPackage.Leaf)
			g.keys = newTreeKeys(0, m.keys.leaf)
		} else if _, err := g.tree.add(&m.keys.keyPackage.Leaf); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.setContext(GroupContext{Version: MLS10, Suite: s.id, GroupID: []byte("group"), Epoch: 3}); err != nil {
		t.Fatal(err)
	}
	return g, members
}

var listPolicy = leafPolicy{identity: openIdentity{}, now: 150, lifetimeMax: 100}

// wantRule fails unless err is a refusal by that section; an empty one means no error.
func wantRule(t testing.TB, err error, section string) {
	t.Helper()
	var rule *RuleError
	switch {
	case section == "" && err != nil:
		t.Errorf("refused: %v", err)
	case section != "" && (!errors.As(err, &rule) || rule.Section != section):
		t.Errorf("want a refusal by §%s, got %v", section, err)
	}
}

func TestProposalListRules(t *testing.T) {
	g, members := listGroup(t, 4)
	update := func(i int) *Update { return &Update{members[i].keys.keyPackage.Leaf} }
	member := func(i uint32) Sender { return Sender{SenderMember, i} }
	external, outside, newcomer := Sender{Type: SenderNewMemberCommit}, Sender{SenderExternal, 0}, Sender{Type: SenderNewMemberProposal}
	psk := func(nonce byte, n int) *PreSharedKey {
		return &PreSharedKey{PreSharedKeyID{Type: PSKExternal, ID: []byte("id"), Nonce: bytes.Repeat([]byte{nonce}, n)}}
	}
	resumption := func(u ResumptionUsage) *PreSharedKey {
		return &PreSharedKey{PreSharedKeyID{Type: PSKResumption, Usage: u, GroupID: []byte("old"), Nonce: make([]byte, 32)}}
	}
	by := func(s Sender, p Proposal) listedProposal { return listedProposal{p, s, true} }
	own := func(p Proposal) listedProposal { return listedProposal{p, member(0), false} }
	joins := func(p Proposal) listedProposal { return listedProposal{p, external, false} }
	for _, c := range []struct {
		name      string
		list      []listedProposal
		committer Sender
		section   string // empty: valid
	}{
		{"nothing", nil, member(0), ""},
		{"one of each", []listedProposal{by(member(1), update(1)), own(&Remove{2}), own(&Add{}), own(psk(1, 32)), own(&GroupContextExtensions{})}, member(0), ""},
		{"update by the committer, by reference", []listedProposal{by(member(0), update(0))}, member(0), "12.2"},
		{"update by value", []listedProposal{own(update(0))}, member(0), "12.2"},
		{"update by an outsider", []listedProposal{by(newcomer, update(1))}, member(0), "6.1"},
		{"update by an external sender", []listedProposal{by(outside, update(1))}, member(0), "12.1.8"},
		{"update of a blank leaf", []listedProposal{by(member(7), update(1))}, member(0), "12.1.2"},
		{"committer removed", []listedProposal{by(member(1), &Remove{0})}, member(0), "12.2"},
		{"removed by another's commit", []listedProposal{by(member(1), &Remove{0})}, member(2), ""},
		{"blank leaf removed", []listedProposal{own(&Remove{9})}, member(0), "12.1.3"},
		{"two updates of a leaf", []listedProposal{by(member(1), update(1)), by(member(1), update(1))}, member(0), "12.2"},
		{"update and removal of a leaf", []listedProposal{by(member(1), update(1)), own(&Remove{1})}, member(0), "12.2"},
		{"removal and update of a leaf", []listedProposal{own(&Remove{1}), by(member(1), update(1))}, member(0), "12.2"},
		{"two removals of a leaf", []listedProposal{own(&Remove{1}), by(member(2), &Remove{1})}, member(0), "12.2"},
		{"a PSK twice", []listedProposal{own(psk(1, 32)), own(psk(1, 32))}, member(0), "12.2"},
		{"a PSK twice, other nonces", []listedProposal{own(psk(1, 32)), own(psk(2, 32))}, member(0), ""},
		{"PSK nonce too short", []listedProposal{own(psk(1, 31))}, member(0), "12.1.4"},
		{"PSK nonce too long", []listedProposal{own(psk(1, 33))}, member(0), "12.1.4"},
		{"resumption PSK of an application", []listedProposal{own(resumption(UsageApplication))}, member(0), ""},
		{"resumption PSK of a reinit", []listedProposal{own(resumption(UsageReInit))}, member(0), "12.1.4"},
		{"resumption PSK of a branch", []listedProposal{own(resumption(UsageBranch))}, member(0), "12.1.4"},
		{"two GroupContextExtensions", []listedProposal{own(&GroupContextExtensions{}), own(&GroupContextExtensions{})}, member(0), "12.2"},
		{"ReInit", []listedProposal{own(&ReInit{Version: MLS10})}, member(0), ""},
		{"ReInit with another", []listedProposal{own(&ReInit{Version: MLS10}), own(psk(1, 32))}, member(0), "12.2"},
		{"ReInit after another", []listedProposal{own(psk(1, 32)), own(&ReInit{Version: MLS10})}, member(0), "12.2"},
		{"ReInit to an older version", []listedProposal{own(&ReInit{Version: 0})}, member(0), "12.1.5"},
		{"ExternalInit by a member", []listedProposal{own(&ExternalInit{})}, member(0), "12.2"},
		{"external commit", []listedProposal{joins(&ExternalInit{}), joins(&Remove{1}), joins(psk(1, 32))}, external, ""},
		{"external commit without ExternalInit", []listedProposal{joins(&Remove{1})}, external, "12.2"},
		{"external commit with nothing", nil, external, "12.2"},
		{"external commit with two ExternalInit", []listedProposal{joins(&ExternalInit{}), joins(&ExternalInit{})}, external, "12.2"},
		{"external commit with two removals", []listedProposal{joins(&ExternalInit{}), joins(&Remove{1}), joins(&Remove{2})}, external, "12.2"},
		{"external commit with an Add", []listedProposal{joins(&ExternalInit{}), joins(&Add{})}, external, "12.2"},
		{"external commit with an Update", []listedProposal{joins(&ExternalInit{}), joins(update(1))}, external, "12.2"},
		{"external commit with extensions", []listedProposal{joins(&ExternalInit{}), joins(&GroupContextExtensions{})}, external, "12.2"},
		{"external commit with ReInit", []listedProposal{joins(&ExternalInit{}), joins(&ReInit{Version: MLS10})}, external, "12.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := g.checkList(c.list, c.committer, pskOrdinary)
			wantRule(t, err, c.section)
		})
	}
}

func TestResolveRules(t *testing.T) {
	cached := cachedProposal{[]byte("ref"), &Remove{1}, Sender{SenderMember, 2}}
	lookup := func(ref []byte) (cachedProposal, bool) { return cached, string(ref) == "ref" }
	ref, other := ProposalOrRef{Reference: []byte("ref")}, ProposalOrRef{Reference: []byte("other")}
	for _, c := range []struct {
		name      string
		list      []ProposalOrRef
		committer Sender
		section   string
	}{
		{"known", []ProposalOrRef{ref}, Sender{SenderMember, 0}, ""},
		{"unknown", []ProposalOrRef{other}, Sender{SenderMember, 0}, "12.4"},
		{"twice", []ProposalOrRef{ref, ref}, Sender{SenderMember, 0}, "12.4"},
		{"by an external commit", []ProposalOrRef{ref}, Sender{Type: SenderNewMemberCommit}, "12.4.3.2"},
	} {
		list, err := resolve(&Commit{Proposals: c.list}, c.committer, lookup)
		wantRule(t, err, c.section)
		if err == nil && (list[0].sender != cached.sender || !list[0].byRef) {
			t.Errorf("%s: the proposer is %v", c.name, list[0].sender)
		}
	}
}

// Key packages that are added, each with exactly one fault.
func TestAddedKeyPackageRules(t *testing.T) {
	g, members := listGroup(t, 2)
	resign := func(m listMember) *KeyPackage {
		k := &m.keys.keyPackage
		if err := errors.Join(k.Leaf.sign(rand.Reader, g.suite, m.signer, nil, 0), k.sign(rand.Reader, g.suite, m.signer)); err != nil {
			t.Fatal(err)
		}
		return k
	}
	plain := func(change func(*KeyPackage)) *KeyPackage {
		m := newListMember(t, "new", nil)
		change(&m.keys.keyPackage)
		return resign(m)
	}
	unsigned := func(change func(*KeyPackage)) *KeyPackage {
		m := newListMember(t, "new", nil)
		change(&m.keys.keyPackage)
		return &m.keys.keyPackage
	}
	made := func(name string, change func(*KeyPackageOptions)) *KeyPackage {
		return &newListMember(t, name, change).keys.keyPackage
	}
	for _, c := range []struct {
		name    string
		k       *KeyPackage
		section string
	}{
		{"good", made("new", nil), ""},
		{"good, signed again", plain(func(*KeyPackage) {}), ""},
		{"other suite", made("new", func(o *KeyPackageOptions) { o.Suite = X25519ChaCha20Poly1305 }), "10.1"},
		{"other version", plain(func(k *KeyPackage) { k.Version = 2 }), "10.1"},
		{"signature", unsigned(func(k *KeyPackage) { k.Signature[9] ^= 1 }), "10.1"},
		{"leaf signature", unsigned(func(k *KeyPackage) { k.Leaf.Signature[9] ^= 1 }), "10.1"},
		{"leaf of another source", plain(func(k *KeyPackage) { k.Leaf.Source = SourceUpdate }), "10.1"},
		{"init key is the encryption key", plain(func(k *KeyPackage) { k.InitKey = k.Leaf.EncryptionKey }), "10.1"},
		{"malformed init key", plain(func(k *KeyPackage) { k.InitKey = k.InitKey[1:] }), "5.1.1"},
		{"malformed encryption key", plain(func(k *KeyPackage) { k.Leaf.EncryptionKey = nil }), "10.1"},
		{"not yet valid", plain(func(k *KeyPackage) { k.Leaf.Lifetime = Lifetime{151, 200} }), "7.3"},
		{"expired", plain(func(k *KeyPackage) { k.Leaf.Lifetime = Lifetime{100, 149} }), "7.3"},
		{"lifetime too long", plain(func(k *KeyPackage) { k.Leaf.Lifetime = Lifetime{100, 201} }), "10.1"},
		{"lifetime backwards", plain(func(k *KeyPackage) { k.Leaf.Lifetime = Lifetime{200, 100} }), "10.1"},
		{"version not in capabilities", plain(func(k *KeyPackage) { k.Leaf.Capabilities.Versions = []ProtocolVersion{9} }), "10.1"},
		{"own credential type not in capabilities", plain(func(k *KeyPackage) { k.Leaf.Capabilities.Credentials = []CredentialType{CredentialX509} }), "10.1"},
		{"extension not in capabilities", plain(func(k *KeyPackage) { k.Leaf.Extensions = Extensions{{Type: 0xF123}} }), "10.1"},
		{"client is a member", made("a", nil), "12.2"},
		{"signature key of a member", made("new", func(o *KeyPackageOptions) { o.Signer = members[1].signer }), "12.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			hash, _ := g.tree.hash()
			_, err := g.apply(&proposalList{adds: []*Add{{*c.k}}}, listPolicy)
			wantRule(t, err, c.section)
			if after, _ := g.tree.clone().hash(); !bytes.Equal(hash, after) || len(g.tree.leaves) != 2 {
				t.Error("the group changed")
			}
		})
	}
	t.Run("two Adds of one client", func(t *testing.T) {
		_, err := g.apply(&proposalList{adds: []*Add{{*made("new", nil)}, {*made("new", nil)}}}, listPolicy)
		wantRule(t, err, "12.2")
	})
	t.Run("a removed client comes back", func(t *testing.T) {
		a, err := g.apply(&proposalList{removes: []LeafIndex{1}, adds: []*Add{{*made("b", nil)}}}, listPolicy)
		if wantRule(t, err, ""); err == nil && len(a.added) != 1 {
			t.Error("not added")
		}
	})
	t.Run("required capabilities that a new member lacks", func(t *testing.T) {
		required := mustMarshal(t, &RequiredCapabilities{Proposals: []ProposalType{0xF111}})
		h := *g
		h.context.Extensions = Extensions{{ExtensionRequiredCapabilities, required}}
		_, err := h.apply(&proposalList{adds: []*Add{{*made("new", nil)}}}, listPolicy)
		wantRule(t, err, "10.1")
	})
	t.Run("extensions that members lack", func(t *testing.T) {
		for _, x := range []Extensions{
			{{Type: 0xF123}},
			{{ExtensionRequiredCapabilities, mustMarshal(t, &RequiredCapabilities{Extensions: []ExtensionType{0xF1}})}},
			{{ExtensionRequiredCapabilities, mustMarshal(t, &RequiredCapabilities{Proposals: []ProposalType{0xF1}})}},
			{{ExtensionRequiredCapabilities, mustMarshal(t, &RequiredCapabilities{Credentials: []CredentialType{CredentialX509}})}},
		} {
			_, err := g.apply(&proposalList{extensions: &GroupContextExtensions{x}}, listPolicy)
			wantRule(t, err, "12.1.7")
		}
	})
	t.Run("malformed external sender", func(t *testing.T) {
		x := mustMarshal(t, externalSenders{{SignatureKey: []byte{1}, Credential: BasicCredential(nil)}})
		_, err := g.apply(&proposalList{extensions: &GroupContextExtensions{Extensions{{ExtensionExternalSenders, x}}}}, listPolicy)
		wantRule(t, err, "12.1.8.1")
	})
	t.Run("update keeps its encryption key", func(t *testing.T) {
		leaf := members[1].keys.keyPackage.Leaf
		leaf.Source = SourceUpdate
		if err := leaf.sign(rand.Reader, g.suite, members[1].signer, g.context.GroupID, 1); err != nil {
			t.Fatal(err)
		}
		_, err := g.apply(&proposalList{updates: []listedUpdate{{1, &leaf}}}, listPolicy)
		wantRule(t, err, "7.3")
	})
	t.Run("update signed for another leaf", func(t *testing.T) {
		leaf := newListMember(t, "b", nil).keys.keyPackage.Leaf
		leaf.Source, leaf.SignatureKey = SourceUpdate, members[1].keys.keyPackage.Leaf.SignatureKey
		if err := leaf.sign(rand.Reader, g.suite, members[1].signer, g.context.GroupID, 0); err != nil {
			t.Fatal(err)
		}
		_, err := g.apply(&proposalList{updates: []listedUpdate{{1, &leaf}}}, listPolicy)
		wantRule(t, err, "7.3")
	})
}
