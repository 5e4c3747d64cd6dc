package mls

import (
	"bytes"
	"crypto"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// testMember is a client of a test group, whole and in memory.
type testMember struct {
	name   string
	signer crypto.Signer
	state  *groupState
	// updates holds the private keys of own Update proposals.
	updates map[string]hpke.PrivateKey
}

// testTime lies inside the lifetimes of the test members' key packages.
const testTime = 1_700_000_000

var testPolicy = leafPolicy{identity: openIdentity{}, now: testTime, lifetimeMax: 2000}

var testPSK = []byte("a key that all test members know")

func lookupTestPSK(id *PreSharedKeyID) ([]byte, error) {
	if id.Type != PSKExternal || string(id.ID) != "known" {
		return nil, errors.New("unknown PSK")
	}
	return bytes.Clone(testPSK), nil
}

func testOptions(s *suite, m *testMember) KeyPackageOptions {
	return KeyPackageOptions{Suite: s.id, Signer: m.signer, Credential: BasicCredential([]byte(m.name)),
		Lifetime: Lifetime{NotBefore: testTime - 1000, NotAfter: testTime + 1000}}
}

func newTestMember(t testing.TB, s *suite, name string) *testMember {
	t.Helper()
	key, err := s.id.GenerateSignatureKey()
	if err != nil {
		t.Fatal(err)
	}
	return &testMember{name: name, signer: key, updates: map[string]hpke.PrivateKey{}}
}

// testGroup is all members of a group; each commit is processed by everybody, and everybody must agree.
type testGroup struct {
	t       testing.TB
	s       *suite
	members []*testMember // those in the group, in no order
	epochs  int
	names   int
	watch   *PublicGroup // follows the handshakes, which are public then; or nil
}

func newTestGroup(t testing.TB, id CipherSuite) *testGroup {
	t.Helper()
	s, err := lookupSuite(id)
	if err != nil {
		t.Fatal(err)
	}
	g := &testGroup{t: t, s: s}
	m := g.client()
	if m.state, err = createGroup(rand.Reader, []byte("test group"), testOptions(s, m), nil, testPolicy); err != nil {
		t.Fatal(err)
	}
	g.members = []*testMember{m}
	return g
}

func (g *testGroup) client() *testMember {
	g.names++
	return newTestMember(g.t, g.s, fmt.Sprintf("client %d", g.names))
}

func (g *testGroup) request(m *testMember, proposals ...Proposal) commitRequest {
	format := WireFormatPrivateMessage
	if g.watch != nil {
		format = WireFormatPublicMessage
	}
	return commitRequest{byValue: proposals, signer: m.signer, wireFormat: format, psk: lookupTestPSK, policy: testPolicy}
}

// sent returns a commit as the others receive it: decoded from its encoding.
func (g *testGroup) sent(a *AuthenticatedContent) verifiedContent {
	g.t.Helper()
	raw := mustMarshal(g.t, a)
	var got AuthenticatedContent
	if err := unmarshal("AuthenticatedContent", raw, &got); err != nil {
		g.t.Fatal(err)
	}
	return verifiedContent{AuthenticatedContent: &got}
}

// deliver makes p the group's next epoch: everybody else processes it, new members join by the Welcome, and all must agree.
func (g *testGroup) deliver(by *testMember, p *pendingCommit, refs []cachedProposal, joiners []*keyPackageKeys, clients []*testMember) {
	g.t.Helper()
	v := g.sent(&p.content)
	if g.watch != nil {
		g.follow(by, p)
		defer g.compare()
	}
	next := []*testMember{}
	for _, m := range g.members {
		if m == by {
			continue
		}
		before := mustMarshal(g.t, m.state.tree)
		st, err := m.state.stageCommit(v, commitInputs{
			proposals: func(ref []byte) (cachedProposal, bool) {
				i := slices.IndexFunc(refs, func(c cachedProposal) bool { return bytes.Equal(c.ref, ref) })
				if i < 0 {
					return cachedProposal{}, false
				}
				return refs[i], true
			},
			psk:       lookupTestPSK,
			updateKey: func(k HPKEPublicKey) (hpke.PrivateKey, bool) { key, ok := m.updates[string(k)]; return key, ok },
			policy:    testPolicy,
		})
		if err != nil {
			g.t.Fatalf("epoch %d: %s processes the commit of %s: %v", m.state.context.Epoch, m.name, by.name, err)
		}
		if !bytes.Equal(before, mustMarshal(g.t, m.state.tree)) {
			g.t.Fatal("staging a commit changed the tree")
		}
		if st.next != nil {
			m.state = st.next
			next = append(next, m)
		}
	}
	by.state = p.next
	next = append(next, by)
	for i, k := range joiners {
		var w Welcome
		if err := unmarshal("Welcome", mustMarshal(g.t, p.welcome), &w); err != nil {
			g.t.Fatal(err)
		}
		j, err := join(&w, joinInputs{keyPackage: &k.keyPackage, initKey: k.init, leafKey: k.leaf, psk: lookupTestPSK, policy: testPolicy})
		if err != nil {
			g.t.Fatalf("%s joins: %v", clients[i].name, err)
		}
		clients[i].state = j.state
		next = append(next, clients[i])
	}
	g.members = next
	g.epochs++
	g.agree()
}

// agree checks that all members have one view of the epoch, and each exactly the private keys it should.
func (g *testGroup) agree() {
	g.t.Helper()
	first := g.members[0].state
	for _, m := range g.members {
		s := m.state
		if !bytes.Equal(s.secrets.authenticator, first.secrets.authenticator) || !bytes.Equal(s.encodedContext, first.encodedContext) ||
			!bytes.Equal(s.interim, first.interim) || !bytes.Equal(s.confirmationTag, first.confirmationTag) {
			g.t.Fatalf("epoch %d: %s and %s differ", s.context.Epoch, m.name, g.members[0].name)
		}
		if !bytes.Equal(mustMarshal(g.t, s.tree), mustMarshal(g.t, first.tree)) {
			g.t.Fatalf("epoch %d: trees differ", s.context.Epoch)
		}
		n := len(s.keys.keys)
		s.keys.prune(s.tree)
		if len(s.keys.keys) != n {
			g.t.Fatalf("%s holds a private key that is not in the tree", m.name)
		}
		for x := s.keys.index.node(); x != s.tree.root(); { // the tree invariant (§4.2)
			x = x.parent()
			p := s.tree.parentAt(x)
			_, have := s.keys.key(x)
			if have != (p != nil && !p.hasUnmerged(s.keys.index)) {
				g.t.Fatalf("%s, node %d: private key held: %v", m.name, x, have)
			}
		}
	}
	if err := first.tree.verifyParentHashes(); err != nil {
		g.t.Fatal(err)
	}
	if err := first.tree.verifyUnmerged(); err != nil {
		g.t.Fatal(err)
	}
	if h, _ := first.tree.hash(); !bytes.Equal(h, first.context.TreeHash) {
		g.t.Fatal("the tree hash is not the context's")
	}
}

// commit lets by commit the proposals and the addition of n new clients.
func (g *testGroup) commit(by *testMember, path bool, adds int, refs []cachedProposal, proposals ...Proposal) {
	g.t.Helper()
	var joiners []*keyPackageKeys
	var clients []*testMember
	for range adds {
		c := g.client()
		k, err := g.s.newKeyPackage(rand.Reader, testOptions(g.s, c))
		if err != nil {
			g.t.Fatal(err)
		}
		proposals = append(proposals, &Add{KeyPackage: k.keyPackage})
		joiners, clients = append(joiners, k), append(clients, c)
	}
	req := g.request(by, proposals...)
	req.path, req.byReference = path, refs
	p, err := by.state.makeCommit(rand.Reader, req)
	if err != nil {
		g.t.Fatalf("epoch %d: %v", by.state.context.Epoch, err)
	}
	if (p.welcome != nil) != (adds > 0) {
		g.t.Fatalf("%d members added; Welcome: %v", adds, p.welcome != nil)
	}
	g.deliver(by, p, refs, joiners, clients)
}

// update returns m's Update as a cached proposal.
func (g *testGroup) update(m *testMember) cachedProposal {
	g.t.Helper()
	key, err := g.s.newKeyPair(rand.Reader)
	if err != nil {
		g.t.Fatal(err)
	}
	leaf := *m.state.tree.leaf(m.state.keys.index)
	leaf.Source, leaf.Lifetime, leaf.ParentHash, leaf.EncryptionKey = SourceUpdate, Lifetime{}, nil, key.PublicKey().Bytes()
	if err := leaf.sign(rand.Reader, g.s, m.signer, m.state.context.GroupID, m.state.keys.index); err != nil {
		g.t.Fatal(err)
	}
	m.updates[string(leaf.EncryptionKey)] = key
	return cachedProposal{ref: fmt.Appendf(nil, "update of %s", m.name), proposal: &Update{Leaf: leaf}, sender: Sender{SenderMember, uint32(m.state.keys.index)}}
}

// externalJoin lets a new client, or m again if it is not nil, enter by an external commit.
func (g *testGroup) externalJoin(from, m *testMember, leaving ...leavingMember) {
	g.t.Helper()
	var messages [][]byte
	var refs []cachedProposal
	for _, l := range leaving {
		messages, refs = append(messages, l.message), append(refs, l.proposal)
	}
	info, err := from.state.makeGroupInfo(rand.Reader, from.signer, groupInfoOptions{externalPub: true})
	if err != nil {
		g.t.Fatal(err)
	}
	var got GroupInfo
	if err := unmarshal("GroupInfo", mustMarshal(g.t, info), &got); err != nil {
		g.t.Fatal(err)
	}
	req := externalCommitRequest{info: &got, psk: lookupTestPSK, policy: testPolicy, selfRemoves: messages}
	if m == nil {
		m = g.client()
	} else {
		old := m.state.keys.index
		req.resync = &old
		g.members = slices.DeleteFunc(g.members, func(x *testMember) bool { return x == m })
	}
	req.options = testOptions(g.s, m)
	p, err := makeExternalCommit(rand.Reader, req)
	if err != nil {
		g.t.Fatal(err)
	}
	g.deliver(m, p, refs, nil, nil)
}

func (g *testGroup) psk() Proposal {
	nonce := make([]byte, g.s.nh)
	rand.Read(nonce)
	return &PreSharedKey{PSK: PreSharedKeyID{Type: PSKExternal, ID: []byte("known"), Nonce: nonce}}
}

func TestCommitsOfAllKinds(t *testing.T) {
	for id := range suites {
		t.Run(id.String(), func(t *testing.T) {
			t.Parallel()
			g := newTestGroup(t, id)
			a := g.members[0]
			g.commit(a, false, 0, nil) // alone
			g.commit(a, false, 2, nil)
			g.commit(g.members[0], true, 1, nil, g.psk())
			g.commit(g.members[1], false, 0, nil)
			b, c := g.members[0], g.members[1]
			g.commit(b, false, 1, []cachedProposal{g.update(c)})
			gone := g.members[slices.IndexFunc(g.members, func(m *testMember) bool { return m != b && m != c })]
			g.commit(c, false, 0, nil, &Remove{Removed: gone.state.keys.index})
			g.externalJoin(b, nil)
			g.externalJoin(c, b)
			g.commit(c, false, 0, nil, &GroupContextExtensions{})
			g.commit(b, false, 3, nil, g.psk())
		})
	}
}

// Random lives of groups: all members agree after each commit.
func TestRandomCommits(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := mathrand.New(mathrand.NewPCG(seed, 3))
			g := newTestGroup(t, X25519AES128GCM)
			for range 40 {
				by := g.members[r.IntN(len(g.members))]
				var refs []cachedProposal
				var proposals []Proposal
				for _, m := range g.members {
					if m == by {
						continue
					}
					switch k := r.IntN(12); {
					case k == 0 && len(g.members)-len(proposals) > 2:
						proposals = append(proposals, &Remove{Removed: m.state.keys.index})
					case k == 1:
						refs = append(refs, g.update(m))
					}
				}
				switch r.IntN(6) {
				case 0:
					g.externalJoin(by, nil)
					continue
				case 1:
					if len(g.members) > 1 {
						g.externalJoin(by, g.members[(slices.Index(g.members, by)+1)%len(g.members)])
						continue
					}
				case 2:
					proposals = append(proposals, g.psk())
				}
				adds := r.IntN(3)
				if len(g.members) > 12 {
					adds = 0
				}
				g.commit(by, r.IntN(2) == 0, adds, refs, proposals...)
			}
			t.Logf("%d epochs, %d members, %d clients", g.epochs, len(g.members), g.names)
		})
	}
}

// A commit whose UpdatePath was tampered with is refused by those who can see it.
func TestTamperedCommitRefused(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 3, nil)
	by, other := g.members[0], g.members[1]
	resign := func(a *AuthenticatedContent) {
		if err := g.s.sign(rand.Reader, by.signer, a, by.state.encodedContext); err != nil {
			t.Fatal(err)
		}
	}
	for what, tt := range map[string]struct {
		change func(*AuthenticatedContent)
		want   string
	}{
		"no change":       {func(a *AuthenticatedContent) {}, ""},
		"no path":         {func(a *AuthenticatedContent) { a.Content.Commit.Path = nil }, "without the path"},
		"one node less":   {func(a *AuthenticatedContent) { p := a.Content.Commit.Path; p.Nodes = p.Nodes[1:] }, "update path has"},
		"one secret less": {func(a *AuthenticatedContent) { n := &a.Content.Commit.Path.Nodes[1]; n.Secrets = n.Secrets[1:] }, "encrypted secrets for a resolution"},
		"one secret more": {func(a *AuthenticatedContent) {
			n := &a.Content.Commit.Path.Nodes[1]
			n.Secrets = append(n.Secrets, n.Secrets[0])
		}, "encrypted secrets for a resolution"},
		"key of the leaf": {func(a *AuthenticatedContent) {
			p := a.Content.Commit.Path
			p.Nodes[0].EncryptionKey = p.Leaf.EncryptionKey
		}, "key twice"},
		"key twice": {func(a *AuthenticatedContent) {
			p := a.Content.Commit.Path
			p.Nodes[0].EncryptionKey = p.Nodes[1].EncryptionKey
		}, "key twice"},
		"key of a member": {func(a *AuthenticatedContent) {
			a.Content.Commit.Path.Nodes[0].EncryptionKey = other.state.tree.leaves[other.state.keys.index].EncryptionKey
		}, "in the tree already"},
		"key of no length":        {func(a *AuthenticatedContent) { a.Content.Commit.Path.Nodes[0].EncryptionKey = nil }, "encryption key of update path node"},
		"another parent hash":     {func(a *AuthenticatedContent) { a.Content.Commit.Path.Nodes[0].EncryptionKey[5] ^= 1 }, "parent hash"},
		"leaf signature":          {func(a *AuthenticatedContent) { a.Content.Commit.Path.Leaf.Signature[5] ^= 1 }, "signature of leaf node"},
		"confirmation tag":        {func(a *AuthenticatedContent) { a.Auth.ConfirmationTag[5] ^= 1 }, "confirmation tag"},
		"confirmation tag is cut": {func(a *AuthenticatedContent) { a.Auth.ConfirmationTag = a.Auth.ConfirmationTag[:16] }, "confirmation tag"},
		"ciphertexts swapped": {func(a *AuthenticatedContent) {
			n := a.Content.Commit.Path.Nodes
			for i := range n {
				for j := range n[i].Secrets {
					n[i].Secrets[j].Ciphertext[3] ^= 1
				}
			}
		}, "does not decrypt"},
	} {
		p, err := by.state.makeCommit(rand.Reader, g.request(by))
		if err != nil {
			t.Fatal(err)
		}
		v := g.sent(&p.content)
		tt.change(v.AuthenticatedContent)
		if what != "confirmation tag" && what != "no change" && what != "confirmation tag is cut" {
			resign(v.AuthenticatedContent)
		}
		before := mustMarshal(t, other.state.tree)
		_, err = other.state.stageCommit(v, commitInputs{policy: testPolicy})
		if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", what, err, tt.want)
		}
		if !bytes.Equal(before, mustMarshal(t, other.state.tree)) {
			t.Errorf("%s: the refused commit changed the tree", what)
		}
	}
}

// An UpdatePath whose secrets do not fit its public keys is refused (§16.12).
func TestPathSecretsMustFitKeys(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 3, nil)
	by := g.members[0]
	tree := by.state.tree.clone()
	u, err := tree.startPath(rand.Reader, by.state.keys.index, *tree.leaf(by.state.keys.index), by.state.context.GroupID, by.signer)
	if err != nil {
		t.Fatal(err)
	}
	for i := range u.secrets {
		u.secrets[i][0] ^= 1
	}
	path, err := u.encrypt(tree, []byte("context"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range g.members[1:] {
		after := m.state.tree.clone()
		if err := after.mergePath(by.state.keys.index, path, nil); err != nil {
			t.Fatal(err)
		}
		if _, _, err := after.openPath(m.state.keys, by.state.keys.index, path, []byte("context"), nil); err == nil || !strings.Contains(err.Error(), "not the one in the update path") {
			t.Errorf("%s: %v", m.name, err)
		}
		if _, _, err := after.openPath(m.state.keys, m.state.keys.index, path, []byte("context"), nil); err == nil {
			t.Error("a member opens its own path")
		}
	}
}

func TestMakeCommitRefusals(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 2, nil)
	by, other := g.members[0], g.members[1]
	c := g.client()
	keys, err := g.s.newKeyPackage(rand.Reader, testOptions(g.s, c))
	if err != nil {
		t.Fatal(err)
	}
	add := &Add{KeyPackage: keys.keyPackage}
	expired := testOptions(g.s, c)
	expired.Lifetime = Lifetime{NotBefore: 1, NotAfter: testTime - 1}
	old, err := g.s.newKeyPackage(rand.Reader, expired)
	if err != nil {
		t.Fatal(err)
	}
	forged := keys.keyPackage
	forged.Signature = bytes.Clone(forged.Signature)
	forged.Signature[9] ^= 1
	sameKeys := keys.keyPackage
	sameKeys.InitKey = sameKeys.Leaf.EncryptionKey
	otherSuite := keys.keyPackage
	otherSuite.Suite = X25519ChaCha20Poly1305
	required := Extensions{{ExtensionRequiredCapabilities, mustMarshal(t, &RequiredCapabilities{Extensions: []ExtensionType{0xF123}})}}
	for what, tt := range map[string]struct {
		proposals []Proposal
		refs      []cachedProposal
		want      string
	}{
		"remove itself":         {[]Proposal{&Remove{Removed: by.state.keys.index}}, nil, "removes itself"},
		"remove a blank leaf":   {[]Proposal{&Remove{Removed: 3}}, nil, "blank"},
		"remove outside":        {[]Proposal{&Remove{Removed: 1 << 31}}, nil, "blank"},
		"remove twice":          {[]Proposal{&Remove{Removed: other.state.keys.index}, &Remove{Removed: other.state.keys.index}}, nil, "twice"},
		"update and remove":     {[]Proposal{&Remove{Removed: other.state.keys.index}}, []cachedProposal{g.update(other)}, "twice"},
		"own update":            {nil, []cachedProposal{g.update(by)}, "own Update"},
		"external init":         {[]Proposal{&ExternalInit{}}, nil, "ExternalInit"},
		"reinit with another":   {[]Proposal{&ReInit{Version: MLS10}, g.psk()}, nil, "ReInit"},
		"reinit, older version": {[]Proposal{&ReInit{Version: 0}}, nil, "older version"},
		"PSK twice":             {slices.Repeat([]Proposal{g.psk()}, 2), nil, "twice"},
		"PSK nonce too short":   {[]Proposal{&PreSharedKey{PSK: PreSharedKeyID{Type: PSKExternal, Nonce: []byte{1}}}}, nil, "nonce"},
		"PSK of a branch":       {[]Proposal{&PreSharedKey{PSK: PreSharedKeyID{Type: PSKResumption, Usage: UsageBranch, Nonce: make([]byte, 32)}}}, nil, "usage"},
		"PSK unknown":           {[]Proposal{&PreSharedKey{PSK: PreSharedKeyID{Type: PSKExternal, Nonce: make([]byte, 32)}}}, nil, "pre-shared key"},
		"add twice":             {[]Proposal{add, add}, nil, "client that is at leaf"},
		"add expired":           {[]Proposal{&Add{KeyPackage: old.keyPackage}}, nil, "lifetime"},
		"add forged":            {[]Proposal{&Add{KeyPackage: forged}}, nil, "signature"},
		"add with one key":      {[]Proposal{&Add{KeyPackage: sameKeys}}, nil, "init key"},
		"add of another suite":  {[]Proposal{&Add{KeyPackage: otherSuite}}, nil, "suite"},
		"extensions twice":      {[]Proposal{&GroupContextExtensions{}, &GroupContextExtensions{}}, nil, "two GroupContextExtensions"},
		"capability missing":    {[]Proposal{&GroupContextExtensions{Extensions: required}}, nil, "0xf123"},
		"extension unsupported": {[]Proposal{&GroupContextExtensions{Extensions: Extensions{{0xF124, nil}}}}, nil, "0xf124"},
	} {
		req := g.request(by, tt.proposals...)
		req.byReference = tt.refs
		p, err := by.state.makeCommit(rand.Reader, req)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", what, err, tt.want)
		}
		if p != nil {
			t.Errorf("%s: a commit was made nevertheless", what)
		}
		var rule *RuleError
		if !errors.As(err, &rule) {
			t.Errorf("%s: no RuleError", what)
		}
	}
	g.commit(by, false, 0, nil, &ReInit{GroupID: []byte("next"), Version: MLS10, Suite: g.s.id})
	if _, err := by.state.makeCommit(rand.Reader, g.request(by)); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("commit after ReInit: %v", err)
	}
}
