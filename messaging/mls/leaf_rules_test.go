package mls

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
)

// breakLeaf is one way to break a leaf node or key package, and what the refusal says.
type breakLeaf struct {
	what   string
	change func(*KeyPackage)
	// unsigned leaves the signatures as they were before the change.
	unsigned bool
	want     string
}

var brokenKeyPackages = []breakLeaf{
	{"unchanged", func(*KeyPackage) {}, false, ""},
	{"version", func(k *KeyPackage) { k.Version = 2 }, false, "version"},
	{"suite", func(k *KeyPackage) { k.Suite = X25519ChaCha20Poly1305 }, false, "suite"},
	{"init key is the encryption key", func(k *KeyPackage) { k.InitKey = k.Leaf.EncryptionKey }, false, "init key"},
	{"init key malformed", func(k *KeyPackage) { k.InitKey = k.InitKey[1:] }, false, "init key"},
	{"key package signature", func(k *KeyPackage) { k.Extensions = Extensions{{Type: 0x0A0A}} }, true, "signature of a key package"},
	{"leaf signature", func(k *KeyPackage) { k.Leaf.Credential = BasicCredential([]byte("somebody else")) }, true, "signature of leaf node"},
	{"source", func(k *KeyPackage) { k.Leaf.Source = SourceUpdate }, false, "source"},
	{"lifetime over", func(k *KeyPackage) { k.Leaf.Lifetime.NotAfter = testTime - 1 }, false, "lifetime"},
	{"lifetime to come", func(k *KeyPackage) { k.Leaf.Lifetime.NotBefore = testTime + 1 }, false, "lifetime"},
	{"lifetime reversed", func(k *KeyPackage) {
		k.Leaf.Lifetime.NotBefore, k.Leaf.Lifetime.NotAfter = k.Leaf.Lifetime.NotAfter, k.Leaf.Lifetime.NotBefore
	}, false, "lifetime"},
	{"lifetime too long", func(k *KeyPackage) { k.Leaf.Lifetime.NotAfter = testTime + 5000 }, false, "lifetime"},
	{"encryption key malformed", func(k *KeyPackage) { k.Leaf.EncryptionKey = k.Leaf.EncryptionKey[:31] }, false, "encryption key"},
	{"signature key malformed", func(k *KeyPackage) { k.Leaf.SignatureKey = k.Leaf.SignatureKey[:31] }, false, "signature"},
	{"version not supported", func(k *KeyPackage) { k.Leaf.Capabilities.Versions = []ProtocolVersion{7} }, false, "version"},
	{"own credential type not listed", func(k *KeyPackage) { k.Leaf.Capabilities.Credentials = []CredentialType{CredentialX509} }, false, "credential type"},
	{"own extension not listed", func(k *KeyPackage) { k.Leaf.Extensions = Extensions{{Type: 0xF777}} }, false, "0xf777"},
	{"required extension missing", func(k *KeyPackage) {
		k.Leaf.Capabilities.Extensions = []ExtensionType{0xF002}
	}, false, "0xf001"},
	{"group's extension missing", func(k *KeyPackage) {
		k.Leaf.Capabilities.Extensions = []ExtensionType{0xF001}
	}, false, "0xf002"},
	{"required proposal missing", func(k *KeyPackage) { k.Leaf.Capabilities.Proposals = nil }, false, "0xf003"},
	{"credential of nobody", func(k *KeyPackage) { k.Leaf.Credential = BasicCredential([]byte("nobody")) }, false, "credential of leaf node"},
	{"unknown values everywhere", func(k *KeyPackage) {
		c := &k.Leaf.Capabilities
		c.Versions, c.CipherSuites, c.Proposals = append(c.Versions, 0x1A1A), append(c.CipherSuites, 0x2A2A), append(c.Proposals, 0x3A3A)
		c.Extensions, c.Credentials = append(c.Extensions, 0x4A4A), append(c.Credentials, 0x5A5A)
		k.Leaf.Extensions = Extensions{{Type: 0x4A4A, Data: []byte("grease")}}
		k.Extensions = Extensions{{Type: 0xEAEA, Data: []byte("grease")}}
	}, false, ""},
}

// pickyIdentity accepts everybody but "nobody".
type pickyIdentity struct{ openIdentity }

func (pickyIdentity) ValidateMember(c Credential, _ SignaturePublicKey) error {
	if string(c.Identity) == "nobody" {
		return errors.New("not known")
	}
	return nil
}

func (pickyIdentity) ValidSuccessor(a, b Credential) error {
	if !bytes.Equal(a.Identity, b.Identity) {
		return errors.New("another identity")
	}
	return nil
}

func TestKeyPackageRules(t *testing.T) {
	s, _ := lookupSuite(X25519AES128GCM)
	extensions := Extensions{
		{ExtensionRequiredCapabilities, mustMarshal(t, &RequiredCapabilities{Extensions: []ExtensionType{0xF001, ExtensionApplicationID},
			Proposals: []ProposalType{0xF003, ProposalAdd}, Credentials: []CredentialType{CredentialBasic}})},
		{0xF002, []byte("group extension")},
	}
	rules, err := newLeafRules(s, []byte("g"), extensions, leafPolicy{identity: pickyIdentity{}, now: testTime, lifetimeMax: 2000})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range brokenKeyPackages {
		m := newTestMember(t, s, "a")
		o := testOptions(s, m)
		o.Capabilities = Capabilities{Extensions: []ExtensionType{0xF001, 0xF002}, Proposals: []ProposalType{0xF003}}
		made, err := s.newKeyPackage(rand.Reader, o)
		if err != nil {
			t.Fatal(err)
		}
		k := made.keyPackage
		tt.change(&k)
		if !tt.unsigned {
			resignKeyPackage(t, s, &k, m.signer)
		}
		err = rules.checkKeyPackage(&k)
		if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.what, err, tt.want)
		}
	}
}

func resignKeyPackage(t *testing.T, s *suite, k *KeyPackage, signer crypto.Signer) {
	t.Helper()
	if err := k.Leaf.sign(rand.Reader, s, signer, nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := k.sign(rand.Reader, s, signer); err != nil {
		t.Fatal(err)
	}
}

// Without the application's say, and without a maximum lifetime, nobody is let in.
func TestLeafRulesDenyByDefault(t *testing.T) {
	s, _ := lookupSuite(X25519AES128GCM)
	m := newTestMember(t, s, "a")
	k, err := s.newKeyPackage(rand.Reader, testOptions(s, m))
	if err != nil {
		t.Fatal(err)
	}
	for what, policy := range map[string]leafPolicy{
		"no maximum lifetime":  {identity: openIdentity{}, now: testTime},
		"no time":              {identity: openIdentity{}, lifetimeMax: 5000},
		"no identity provider": {now: testTime, lifetimeMax: 5000},
	} {
		rules, err := newLeafRules(s, nil, nil, policy)
		if err != nil {
			continue // refused earlier still
		}
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("%s: panic: %v", what, r)
				}
			}()
			if err := rules.checkKeyPackage(&k.keyPackage); err == nil {
				t.Errorf("%s: accepted", what)
			}
		}()
	}
}

func TestMadeKeyPackage(t *testing.T) {
	for id := range suites {
		s, _ := lookupSuite(id)
		m := newTestMember(t, s, "a")
		o := testOptions(s, m)
		o.LastResort = true
		tx := newMemoryTx()
		k, err := NewKeyPackage(tx, rand.Reader, o)
		if err != nil {
			t.Fatal(err)
		}
		var again KeyPackage
		if err := unmarshal("KeyPackage", mustMarshal(t, k), &again); err != nil {
			t.Fatal(err)
		}
		rules, _ := newLeafRules(s, nil, nil, testPolicy)
		if err := rules.checkKeyPackage(&again); err != nil {
			t.Errorf("%v: %v", id, err)
		}
		if !slices.ContainsFunc(k.Leaf.Capabilities.Extensions, func(e ExtensionType) bool { return e&0x0F0F == 0x0A0A && e>>8 == e&0xFF }) {
			t.Errorf("%v: no GREASE value in %x", id, k.Leaf.Capabilities.Extensions)
		}
		ref, err := k.Ref()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // reading it does not consume or damage it
			keys, err := loadKeyPackage(tx, ref)
			if err != nil || keys == nil {
				t.Fatal(keys, err)
			}
			s, _ := lookupSuite(id)
			leaf, err := keys.leaf.open(s)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(keys.init.PublicKey().Bytes(), k.InitKey) || !bytes.Equal(leaf.PublicKey().Bytes(), k.Leaf.EncryptionKey) {
				t.Errorf("%v: the stored keys are not those of the package", id)
			}
		}
		if err := forgetKeyPackage(tx, k); err != nil || len(tx.rows) != 1 {
			t.Errorf("%v: a last-resort package is gone after its use: %v", id, err)
		}
		if err := DeleteKeyPackage(tx, k); err != nil || len(tx.rows) != 0 {
			t.Errorf("%v: %d rows after deleting: %v", id, len(tx.rows), err)
		}
		if keys, err := loadKeyPackage(tx, ref); keys != nil || err != nil {
			t.Errorf("%v: deleted package loaded: %v", id, err)
		}
	}
}

func TestKeyPackageOptionsRefused(t *testing.T) {
	s, _ := lookupSuite(X25519AES128GCM)
	p256, _ := P256AES128GCM.GenerateSignatureKey()
	m := newTestMember(t, s, "a")
	for what, change := range map[string]func(*KeyPackageOptions){
		"unsupported suite":         func(o *KeyPackageOptions) { o.Suite = 4 },
		"key of another scheme":     func(o *KeyPackageOptions) { o.Signer = p256 },
		"no lifetime":               func(o *KeyPackageOptions) { o.Lifetime = Lifetime{} },
		"default extension listed":  func(o *KeyPackageOptions) { o.Capabilities.Extensions = []ExtensionType{ExtensionRatchetTree} },
		"default proposal listed":   func(o *KeyPackageOptions) { o.Capabilities.Proposals = []ProposalType{ProposalAdd} },
		"extension not listed":      func(o *KeyPackageOptions) { o.Extensions = Extensions{{Type: 0xF001}} },
		"leaf extension not listed": func(o *KeyPackageOptions) { o.LeafExtensions = Extensions{{Type: 0xF001}} },
	} {
		o := testOptions(s, m)
		change(&o)
		tx := newMemoryTx()
		if k, err := NewKeyPackage(tx, rand.Reader, o); err == nil || k != nil || len(tx.rows) > 0 {
			t.Errorf("%s: %v, %d rows", what, err, len(tx.rows))
		}
	}
	if _, err := NewKeyPackage(newMemoryTx(), bytes.NewReader(make([]byte, 20)), testOptions(s, m)); err == nil {
		t.Error("a key package was made although the randomness ended")
	}
}

// Each check of a Welcome refuses what breaks it alone.
func TestWelcomeRules(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 2, nil)
	by := g.members[0]
	c := g.client()
	keys, err := g.s.newKeyPackage(rand.Reader, testOptions(g.s, c))
	if err != nil {
		t.Fatal(err)
	}
	strange, err := g.s.newKeyPair(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct {
		options func(*commitRequest)
		change  func(*Welcome, *joinInputs)
		want    string
	}{
		"unchanged":            {nil, nil, ""},
		"another key package":  {nil, func(w *Welcome, in *joinInputs) { w.Secrets[0].NewMember = make([]byte, 32) }, "not for this key package"},
		"another suite":        {nil, func(w *Welcome, in *joinInputs) { w.Suite = X25519ChaCha20Poly1305 }, "suite"},
		"unsupported suite":    {nil, func(w *Welcome, in *joinInputs) { w.Suite = 6 }, "not supported"},
		"secrets damaged":      {nil, func(w *Welcome, in *joinInputs) { w.Secrets[0].Secrets.Ciphertext[4] ^= 1 }, "do not decrypt"},
		"GroupInfo damaged":    {nil, func(w *Welcome, in *joinInputs) { w.EncryptedGroupInfo[4] ^= 1 }, "do not decrypt"},
		"another init key":     {nil, func(w *Welcome, in *joinInputs) { in.initKey = strange }, "do not decrypt"},
		"another leaf key":     {nil, func(w *Welcome, in *joinInputs) { in.leafKey = keep(strange) }, "does not fit"},
		"known group":          {nil, func(w *Welcome, in *joinInputs) { in.known = func([]byte) bool { return true } }, "already"},
		"tree missing":         {func(r *commitRequest) { r.groupInfo.omitTree = true }, nil, "no ratchet tree"},
		"unknown extension":    {func(r *commitRequest) { r.groupInfo.extensions = Extensions{{Type: 0x0A0A}} }, nil, ""},
		"a member is unwanted": {nil, func(w *Welcome, in *joinInputs) { in.policy.identity = unwanted{} }, "credential of leaf node"},
		"tree of another epoch": {func(r *commitRequest) { r.groupInfo.omitTree = true }, func(w *Welcome, in *joinInputs) {
			in.tree = mustMarshal(t, by.state.tree)
		}, "tree hash"},
		"PSK unknown": {func(r *commitRequest) { r.byValue = append(r.byValue, g.psk()) }, func(w *Welcome, in *joinInputs) {
			in.psk = func(*PreSharedKeyID) ([]byte, error) { return nil, errors.New("not here") }
		}, "pre-shared key"},
		"PSK of another value": {func(r *commitRequest) { r.byValue = append(r.byValue, g.psk()) }, func(w *Welcome, in *joinInputs) {
			in.psk = func(*PreSharedKeyID) ([]byte, error) { return []byte("another"), nil }
		}, "does not decrypt"},
	} {
		req := g.request(by, &Add{KeyPackage: keys.keyPackage})
		req.path = true
		if tt.options != nil {
			tt.options(&req)
		}
		p, err := by.state.makeCommit(rand.Reader, req)
		if err != nil {
			t.Fatal(err)
		}
		var w Welcome
		if err := unmarshal("Welcome", mustMarshal(t, p.welcome), &w); err != nil {
			t.Fatal(err)
		}
		in := joinInputs{keyPackage: &keys.keyPackage, initKey: keys.init, leafKey: keys.leaf, psk: lookupTestPSK, policy: testPolicy}
		if tt.change != nil {
			tt.change(&w, &in)
		}
		j, err := join(&w, in)
		if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", what, err, tt.want)
		}
		if err != nil && j != nil {
			t.Errorf("%s: refused and joined", what)
		}
	}
}

// unwanted refuses the first client of a test group.
type unwanted struct{ openIdentity }

func (unwanted) ValidateMember(c Credential, _ SignaturePublicKey) error {
	if string(c.Identity) == "client 1" {
		return errors.New("unwanted")
	}
	return nil
}

func TestReplacementRules(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 2, nil)
	by, other := g.members[0], g.members[1]
	at := other.state.keys.index
	resigned := func(change func(*LeafNode)) cachedProposal {
		u := g.update(other)
		leaf := u.proposal.(*Update).Leaf
		change(&leaf)
		if err := leaf.sign(rand.Reader, g.s, other.signer, other.state.context.GroupID, at); err != nil {
			t.Fatal(err)
		}
		u.proposal = &Update{Leaf: leaf}
		return u
	}
	for what, tt := range map[string]struct {
		change func(*LeafNode)
		want   string
	}{
		"unchanged":                {func(*LeafNode) {}, ""},
		"encryption key as before": {func(l *LeafNode) { l.EncryptionKey = other.state.tree.leaf(at).EncryptionKey }, "encryption key of the old one"},
		"key of another member":    {func(l *LeafNode) { l.EncryptionKey = by.state.tree.leaf(g.members[2].state.keys.index).EncryptionKey }, "same encryption key"},
		"another identity":         {func(l *LeafNode) { l.Credential = BasicCredential([]byte("another")) }, "new credential"},
		"source commit":            {func(l *LeafNode) { l.Source = SourceCommit }, "source"},
		"source key package":       {func(l *LeafNode) { l.Source = SourceKeyPackage }, "source"},
		"credential type lost":     {func(l *LeafNode) { l.Capabilities.Credentials = []CredentialType{CredentialX509} }, "credential type"},
		"signed for another leaf":  {nil, "signature of leaf node"},
		"a type others do not support": {func(l *LeafNode) {
			l.Credential = Credential{Type: CredentialX509, Certificates: [][]byte{{1}}}
			l.Capabilities.Credentials = []CredentialType{CredentialX509, CredentialBasic}
		}, "which another member uses"},
	} {
		u := cachedProposal{}
		if tt.change == nil {
			u = g.update(other)
			leaf := u.proposal.(*Update).Leaf
			if err := leaf.sign(rand.Reader, g.s, other.signer, other.state.context.GroupID, at+1); err != nil {
				t.Fatal(err)
			}
			u.proposal = &Update{Leaf: leaf}
		} else {
			u = resigned(tt.change)
		}
		req := g.request(by)
		req.byReference = []cachedProposal{u}
		if what == "a type others do not support" {
			req.policy.identity = openIdentity{}
		} else {
			req.policy.identity = pickyIdentity{}
		}
		_, err := by.state.makeCommit(rand.Reader, req)
		if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", what, err, tt.want)
		}
	}
}

// A joiner refuses a tree that an insider, who can sign a GroupInfo over anything, has forged.
func TestForgedTreeRefusedByJoiner(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 3, nil)
	g.commit(g.members[2], false, 1, nil)
	by := g.members[0]
	g.commit(by, true, 1, nil)
	for what, tt := range map[string]struct {
		change func(*ratchetTree)
		want   string
	}{
		"unchanged": {func(*ratchetTree) {}, ""},
		"parent key": {func(tree *ratchetTree) {
			for i, p := range tree.parents {
				if p != nil {
					q := *p
					key, _ := g.s.newKeyPair(rand.Reader)
					q.EncryptionKey = key.PublicKey().Bytes()
					tree.parents[i] = &q
					return
				}
			}
		}, "parent-hash valid"},
		"leaf content": {func(tree *ratchetTree) {
			l := *tree.leaves[1]
			l.Credential = BasicCredential([]byte("forged"))
			tree.leaves[1] = &l
		}, "signature of leaf node|parent-hash valid"},
		"leaf twice": {func(tree *ratchetTree) { tree.leaves[3] = tree.leaves[1] }, "same|parent-hash valid|signature"},
		"unmerged": {func(tree *ratchetTree) {
			p := *tree.parents[tree.root()/2]
			p.Unmerged = []LeafIndex{7}
			tree.parents[tree.root()/2] = &p
		}, "blank"},
	} {
		state := *by.state
		state.tree = by.state.tree.clone()
		tt.change(state.tree)
		clear(state.tree.hashes)
		hash, err := state.tree.hash()
		if err != nil {
			t.Fatal(err)
		}
		state.context.TreeHash = hash
		info, err := state.makeGroupInfo(rand.Reader, by.signer, groupInfoOptions{externalPub: true})
		if err != nil {
			t.Fatal(err)
		}
		c := g.client()
		p, err := makeExternalCommit(rand.Reader, externalCommitRequest{info: info, options: testOptions(g.s, c), psk: lookupTestPSK, policy: testPolicy})
		ok := err != nil && slices.ContainsFunc(strings.Split(tt.want, "|"), func(w string) bool { return strings.Contains(err.Error(), w) })
		if (tt.want == "") != (err == nil) || err != nil && (!ok || p != nil) {
			t.Errorf("%s: %v; want %q", what, err, tt.want)
		}
	}
	info, _ := by.state.makeGroupInfo(rand.Reader, by.signer, groupInfoOptions{})
	if _, err := makeExternalCommit(rand.Reader, externalCommitRequest{info: info, options: testOptions(g.s, g.client()), policy: testPolicy}); err == nil || !strings.Contains(err.Error(), "external_pub") {
		t.Errorf("no external_pub: %v", err)
	}
	info, _ = by.state.makeGroupInfo(rand.Reader, by.signer, groupInfoOptions{externalPub: true})
	info.Signature[3] ^= 1
	if _, err := makeExternalCommit(rand.Reader, externalCommitRequest{info: info, options: testOptions(g.s, g.client()), policy: testPolicy}); err == nil || !strings.Contains(err.Error(), "signature of the GroupInfo") {
		t.Errorf("forged GroupInfo: %v", err)
	}
}
