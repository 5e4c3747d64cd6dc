package mls

import (
	"bytes"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
)

// The rules here are those that only somebody dishonest inside the group, or an unusual state, can break.

// forgedWelcome is what an insider can change of a Welcome that it makes: everything, for it signs and encrypts it itself.
type forgedWelcome struct {
	info    func(*GroupInfo)
	secrets func(*groupSecrets)
	unsign  bool // the signature stays that of the unchanged GroupInfo
}

// forge opens w as its receiver could, changes it, and encrypts it again.
func (g *testGroup) forge(w *Welcome, by *testMember, k *keyPackageKeys, f forgedWelcome) *Welcome {
	g.t.Helper()
	in := joinInputs{keyPackage: &k.keyPackage, initKey: k.init}
	secrets, err := openGroupSecrets(g.s, w, in)
	if err != nil {
		g.t.Fatal(err)
	}
	psk, err := g.s.pskSecretOf(secrets.PSKs, lookupTestPSK)
	if err != nil {
		g.t.Fatal(err)
	}
	member := g.s.memberSecret(secrets.JoinerSecret, psk)
	info, err := openGroupInfo(g.s, member, w.EncryptedGroupInfo)
	if err != nil {
		g.t.Fatal(err)
	}
	if f.info != nil {
		f.info(info)
		if !f.unsign {
			var tbs encoder
			info.encodeTBS(&tbs)
			if info.Signature, err = g.s.signWithLabel(rand.Reader, by.signer, "GroupInfoTBS", tbs.buf); err != nil {
				g.t.Fatal(err)
			}
		}
	}
	key, nonce := g.s.welcomeKey(member, g.s.nk, g.s.nn)
	aead, err := g.s.newAEAD(key)
	if err != nil {
		g.t.Fatal(err)
	}
	if f.secrets != nil {
		f.secrets(secrets)
	}
	out := &Welcome{Suite: w.Suite, EncryptedGroupInfo: aead.Seal(nil, nonce, mustMarshal(g.t, info), nil)}
	ct, err := g.s.encryptWithLabel(k.init.PublicKey(), "Welcome", out.EncryptedGroupInfo, mustMarshal(g.t, secrets))
	if err != nil {
		g.t.Fatal(err)
	}
	out.Secrets = []EncryptedGroupSecrets{{w.Secrets[0].NewMember, ct}}
	return out
}

// A joiner refuses what a member that makes the Welcome could get wrong or forge (§12.4.3.1).
func TestForgedWelcomeRefused(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 3, nil)
	by := g.members[0]
	k, err := g.s.newKeyPackage(rand.Reader, testOptions(g.s, g.client()))
	if err != nil {
		t.Fatal(err)
	}
	req := g.request(by, &Add{k.keyPackage})
	req.path = true
	p, err := by.state.makeCommit(rand.Reader, req)
	if err != nil {
		t.Fatal(err)
	}
	resumption := func(u ResumptionUsage, nonce int) PreSharedKeyID {
		return PreSharedKeyID{Type: PSKResumption, Usage: u, GroupID: []byte("old"), Nonce: make([]byte, nonce)}
	}
	for what, tt := range map[string]struct {
		forgedWelcome
		want string
	}{
		"unchanged":                    {forgedWelcome{}, ""},
		"signature":                    {forgedWelcome{info: func(i *GroupInfo) { i.Signature[3] ^= 1 }, unsign: true}, "signature of the GroupInfo"},
		"changed behind the signature": {forgedWelcome{info: func(i *GroupInfo) { i.Context.GroupID = []byte("other") }, unsign: true}, "signature of the GroupInfo"},
		"signed by another":            {forgedWelcome{info: func(i *GroupInfo) { i.Signer = 1 }}, "signature of the GroupInfo"},
		"signer's leaf blank":          {forgedWelcome{info: func(i *GroupInfo) { i.Signer = 7 }}, "signer's leaf 7 is blank"},
		"signer outside the tree":      {forgedWelcome{info: func(i *GroupInfo) { i.Signer = 1 << 31 }}, "is blank"},
		"another suite":                {forgedWelcome{info: func(i *GroupInfo) { i.Context.Suite = X25519ChaCha20Poly1305 }}, "the GroupInfo is for suite"},
		"tree hash":                    {forgedWelcome{info: func(i *GroupInfo) { i.Context.TreeHash = make([]byte, 32) }}, "tree hash"},
		"tree hash cut":                {forgedWelcome{info: func(i *GroupInfo) { i.Context.TreeHash = i.Context.TreeHash[:31] }}, "tree hash"},
		"confirmation tag":             {forgedWelcome{info: func(i *GroupInfo) { i.ConfirmationTag[0] ^= 1 }}, "confirmation tag is wrong"},
		"confirmation tag cut":         {forgedWelcome{info: func(i *GroupInfo) { i.ConfirmationTag = i.ConfirmationTag[:16] }}, "confirmation tag is wrong"},
		"no confirmation tag":          {forgedWelcome{info: func(i *GroupInfo) { i.ConfirmationTag = nil }}, "confirmation tag is wrong"},
		"another epoch":                {forgedWelcome{info: func(i *GroupInfo) { i.Context.Epoch++ }}, "confirmation tag is wrong"},
		"another transcript":           {forgedWelcome{info: func(i *GroupInfo) { i.Context.ConfirmedTranscriptHash = make([]byte, 32) }}, "confirmation tag is wrong"},
		"another group id":             {forgedWelcome{info: func(i *GroupInfo) { i.Context.GroupID = []byte("other") }}, "signature of leaf node"},
		"extension nobody supports":    {forgedWelcome{info: func(i *GroupInfo) { i.Context.Extensions = Extensions{{0xF123, nil}} }}, "does not support the group's extension"},
		"required of nobody": {forgedWelcome{info: func(i *GroupInfo) {
			i.Context.Extensions = Extensions{{ExtensionRequiredCapabilities, mustMarshal(t, &RequiredCapabilities{Proposals: []ProposalType{0xF1}})}}
		}}, "required proposal type"},
		"tree without the joiner": {forgedWelcome{info: func(i *GroupInfo) {
			i.Extensions = Extensions{{ExtensionRatchetTree, mustMarshal(t, by.state.tree)}}
			i.Context.TreeHash, _ = by.state.tree.hash()
		}}, "no leaf of the key package"},
		"tree ends blank":   {forgedWelcome{info: func(i *GroupInfo) { i.Extensions[0].Data = []byte{1, 0} }}, "last node is blank"},
		"tree empty":        {forgedWelcome{info: func(i *GroupInfo) { i.Extensions[0].Data = []byte{0} }}, "no nodes"},
		"path secret":       {forgedWelcome{secrets: func(s *groupSecrets) { s.PathSecret[0] ^= 1 }}, "not the one in the update path"},
		"path secret cut":   {forgedWelcome{secrets: func(s *groupSecrets) { s.PathSecret = s.PathSecret[1:] }}, "path secret of 31 octets"},
		"path secret empty": {forgedWelcome{secrets: func(s *groupSecrets) { s.PathSecret = []byte{} }}, "path secret of 0 octets"},
		"joiner secret":     {forgedWelcome{secrets: func(s *groupSecrets) { s.JoinerSecret[0] ^= 1 }}, "GroupInfo does not decrypt"},
		"joiner secret cut": {forgedWelcome{secrets: func(s *groupSecrets) { s.JoinerSecret = s.JoinerSecret[1:] }}, "joiner secret of 31 octets"},
		"nonce of a PSK":    {forgedWelcome{secrets: func(s *groupSecrets) { s.PSKs = []PreSharedKeyID{resumption(UsageApplication, 31)} }}, "PSK nonce of 31 octets"},
		"two bootstrap PSKs": {forgedWelcome{secrets: func(s *groupSecrets) {
			s.PSKs = []PreSharedKeyID{resumption(UsageReInit, 32), resumption(UsageBranch, 32)}
		}}, "2 resumption PSKs"},
		"an unknown resumption PSK": {forgedWelcome{secrets: func(s *groupSecrets) { s.PSKs = []PreSharedKeyID{resumption(UsageBranch, 32)} }}, "pre-shared key 0 of 1"},
	} {
		w := g.forge(p.welcome, by, k, tt.forgedWelcome)
		j, err := join(w, joinInputs{keyPackage: &k.keyPackage, initKey: k.init, leafKey: k.leaf, psk: lookupTestPSK, policy: testPolicy})
		if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", what, err, tt.want)
		}
		if err != nil && j != nil {
			t.Errorf("%s: refused and joined", what)
		}
	}
	t.Run("path secret without a path", func(t *testing.T) { // the nodes above the joiner are blank, or others' work
		flat, err := by.state.makeCommit(rand.Reader, g.request(by, &Add{k.keyPackage}))
		if err != nil {
			t.Fatal(err)
		}
		w := g.forge(flat.welcome, by, k, forgedWelcome{secrets: func(s *groupSecrets) { s.PathSecret = make([]byte, 32) }})
		_, err = join(w, joinInputs{keyPackage: &k.keyPackage, initKey: k.init, leafKey: k.leaf, psk: lookupTestPSK, policy: testPolicy})
		wantRule(t, err, "12.4.3.1")
	})
	t.Run("a continued group begins in epoch 1", func(t *testing.T) {
		req := g.request(g.members[0], &Add{k.keyPackage}, &PreSharedKey{resumption(UsageBranch, 32)})
		req.use = pskBranch
		req.psk = func(*PreSharedKeyID) ([]byte, error) { return bytes.Clone(testPSK), nil }
		p, err := g.members[0].state.makeCommit(rand.Reader, req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = join(p.welcome, joinInputs{keyPackage: &k.keyPackage, initKey: k.init, leafKey: k.leaf, psk: req.psk, policy: testPolicy})
		if err == nil || !strings.Contains(err.Error(), "not 1") {
			t.Error(err)
		}
	})
}

// strangersBut says of nobody that it is the same client as another, but for one whom it takes for everybody.
type strangersBut struct {
	openIdentity
	name string
}

func (s strangersBut) SameClient(a, b Credential) bool { return string(a.Identity) == s.name }

// An external commit takes the place of an old self of the joiner only, and adds no client twice (§12.2, §12.4.3.2).
func TestExternalCommitRules(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 3, nil)
	a, victim := g.members[0], g.members[1]
	info := g.info(a, groupInfoOptions{externalPub: true})
	tree, err := verifyGroupInfo(g.s, info, nil, testPolicy)
	if err != nil {
		t.Fatal(err)
	}
	outside := &groupState{suite: g.s, tree: tree, confirmationTag: info.ConfirmationTag}
	if err := outside.setContext(info.Context); err != nil {
		t.Fatal(err)
	}
	outside.interim = g.s.interimTranscriptHash(info.Context.ConfirmedTranscriptHash, info.ConfirmationTag)
	// made by a joiner that checks nothing: its identity provider says what it likes
	build := func(joiner *testMember, proposals ...Proposal) (*pendingCommit, error) {
		t.Helper()
		options := testOptions(g.s, joiner)
		capabilities, err := options.capabilities(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		liar := testPolicy
		liar.identity = strangers{}
		if len(proposals) > 0 {
			liar.identity = strangersBut{name: victim.name}
		}
		return outside.buildCommit(rand.Reader, commitRequest{byValue: append([]Proposal{&ExternalInit{KEMOutput: []byte{4}}}, proposals...), path: true,
			signer: joiner.signer, wireFormat: WireFormatPublicMessage, policy: liar, leaf: func(l *LeafNode) {
				l.Credential, l.Capabilities = options.Credential, capabilities
			}}, Sender{Type: SenderNewMemberCommit}, testSecret("init"))
	}
	make := func(joiner *testMember, proposals ...Proposal) *pendingCommit {
		t.Helper()
		p, err := build(joiner, proposals...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	stage := func(p *pendingCommit) error {
		before := mustMarshal(t, a.state.tree)
		_, err := a.state.stageCommit(g.sent(&p.content), commitInputs{psk: lookupTestPSK, policy: testPolicy})
		if !bytes.Equal(before, mustMarshal(t, a.state.tree)) {
			t.Error("the tree changed")
		}
		return err
	}
	impostor := &testMember{name: victim.name, signer: g.client().signer}
	for what, tt := range map[string]struct {
		p    *pendingCommit
		want string
	}{
		"removes another client":         {make(g.client(), &Remove{victim.state.keys.index}), "which is another client"},
		"client is a member":             {make(impostor), "adds the client that is at leaf"},
		"KEM output malformed":           {make(g.client()), "KEM output of ExternalInit"},
		"old self, KEM output malformed": {make(impostor, &Remove{victim.state.keys.index}), "KEM output of ExternalInit"},
	} {
		if err := stage(tt.p); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", what, err, tt.want)
		}
	}
	_, err = build(&testMember{name: "new", signer: victim.signer})
	wantRule(t, err, "7.3")                                          // the signature key of a member
	t.Run("the encryption key of the old leaf", func(t *testing.T) { // as mergeCommitPath sees it: signing it takes no secret key
		p := make(impostor, &Remove{victim.state.keys.index})
		v := g.sent(&p.content)
		leaf := &v.Content.Commit.Path.Leaf
		leaf.EncryptionKey = victim.state.tree.leaf(victim.state.keys.index).EncryptionKey
		if err := leaf.sign(rand.Reader, g.s, impostor.signer, g.members[0].state.context.GroupID, victim.state.keys.index); err != nil {
			t.Fatal(err)
		}
		_, err := a.state.stageCommit(v, commitInputs{psk: lookupTestPSK, policy: testPolicy})
		wantRule(t, err, "7.3")
	})
	t.Run("a successor that the application refuses", func(t *testing.T) {
		p := make(impostor, &Remove{victim.state.keys.index})
		policy := testPolicy
		policy.identity = noSuccessors{}
		_, err := a.state.stageCommit(g.sent(&p.content), commitInputs{policy: policy})
		wantRule(t, err, "5.3.1")
	})
	t.Run("the joiner does not support the group", func(t *testing.T) { // §13.4: it has to notice itself
		g := newTestGroup(t, X25519AES128GCM)
		a := g.members[0]
		leaf := *a.state.tree.leaf(0)
		leaf.Capabilities.Extensions = append(leaf.Capabilities.Extensions, 0xF123)
		if err := leaf.sign(rand.Reader, g.s, a.signer, nil, 0); err != nil {
			t.Fatal(err)
		}
		a.state.tree = newTree(g.s, &leaf)
		context := a.state.context
		context.Extensions = Extensions{{0xF123, nil}}
		context.TreeHash, _ = a.state.tree.hash()
		if err := a.state.setContext(context); err != nil {
			t.Fatal(err)
		}
		_, err := makeExternalCommit(rand.Reader, externalCommitRequest{info: g.info(a, groupInfoOptions{externalPub: true}), options: testOptions(g.s, g.client()), policy: testPolicy})
		wantRule(t, err, "13.4")
	})
	for what, key := range map[string][]byte{"malformed": {1, 5}, "empty": {0}, "with octets left over": {1, 5, 5}} {
		bad := g.info(a, groupInfoOptions{})
		bad.Extensions = append(bad.Extensions, Extension{ExtensionExternalPub, key})
		var tbs encoder
		bad.encodeTBS(&tbs)
		bad.Signature, _ = g.s.signWithLabel(rand.Reader, a.signer, "GroupInfoTBS", tbs.buf)
		if p, err := makeExternalCommit(rand.Reader, externalCommitRequest{info: bad, options: testOptions(g.s, g.client()), policy: testPolicy}); err == nil || p != nil {
			t.Errorf("external_pub %s: %v", what, err)
		}
	}
}

// strangers takes everybody for somebody else.
type strangers struct{ openIdentity }

func (strangers) SameClient(a, b Credential) bool { return false }

// noSuccessors lets nobody change a credential.
type noSuccessors struct{ openIdentity }

func (noSuccessors) ValidSuccessor(a, b Credential) error { return errors.New("no") }

// What only an unusual state or a huge request reaches.
func TestRareRefusals(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 2, nil)
	a, b := g.members[0], g.members[1]

	t.Run("two Adds have one init key", func(t *testing.T) {
		one, other := newListMember(t, "x", nil), newListMember(t, "y", nil)
		k := other.keys.keyPackage
		k.InitKey = one.keys.keyPackage.InitKey
		if err := k.sign(rand.Reader, g.s, other.signer); err != nil {
			t.Fatal(err)
		}
		lists, _ := listGroup(t, 2)
		_, err := lists.apply(&proposalList{adds: []*Add{{one.keys.keyPackage}, {k}}}, listPolicy)
		wantRule(t, err, "10")
	})
	t.Run("two leaves have one encryption key", func(t *testing.T) {
		one, other := newListMember(t, "x", nil), newListMember(t, "y", nil)
		k := other.keys.keyPackage
		k.Leaf.EncryptionKey = one.keys.keyPackage.Leaf.EncryptionKey
		if err := errors.Join(k.Leaf.sign(rand.Reader, g.s, other.signer, nil, 0), k.sign(rand.Reader, g.s, other.signer)); err != nil {
			t.Fatal(err)
		}
		lists, _ := listGroup(t, 2)
		list, err := lists.apply(&proposalList{adds: []*Add{{one.keys.keyPackage}, {k}}}, listPolicy)
		if err != nil {
			t.Fatal(err)
		}
		wantRule(t, list.rules.checkTree(list.tree, list.changed), "7.3")
	})
	t.Run("last epoch", func(t *testing.T) {
		last := *a.state
		last.context.Epoch = 1<<64 - 1
		_, err := last.makeCommit(rand.Reader, g.request(a))
		wantRule(t, err, "8.1")
		p, err := b.state.makeCommit(rand.Reader, g.request(b))
		if err != nil {
			t.Fatal(err)
		}
		_, err = last.stageCommit(g.sent(&p.content), commitInputs{policy: testPolicy})
		wantRule(t, err, "8.1")
	})
	t.Run("full tree", func(t *testing.T) {
		leaf := a.state.tree.leaf(0)
		full := &ratchetTree{suite: g.s, leaves: make([]*LeafNode, maxLeaves)}
		for i := range full.leaves {
			full.leaves[i] = leaf
		}
		full.resize(maxLeaves)
		_, err := full.add(leaf)
		wantRule(t, err, "12.1.1")
		_, err = full.free()
		wantRule(t, err, "12.4.2")
	})
	t.Run("own Update's key is gone", func(t *testing.T) {
		update := g.update(b)
		clear(b.updates)
		req := g.request(a)
		req.byReference = []cachedProposal{update}
		p, err := a.state.makeCommit(rand.Reader, req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.state.stageCommit(g.sent(&p.content), commitInputs{policy: testPolicy, updateKey: nothingKept,
			proposals: func([]byte) (cachedProposal, bool) { return update, true }})
		wantRule(t, err, "12.1.2")
	})
	t.Run("committer's leaf is blank", func(t *testing.T) {
		p, err := b.state.makeCommit(rand.Reader, g.request(b))
		if err != nil {
			t.Fatal(err)
		}
		state := *a.state
		state.tree = a.state.tree.clone()
		if err := state.tree.remove(b.state.keys.index); err != nil {
			t.Fatal(err)
		}
		_, err = state.stageCommit(g.sent(&p.content), commitInputs{policy: testPolicy})
		wantRule(t, err, "12.4.2")
	})
	t.Run("a member does not support a credential type that another uses", func(t *testing.T) {
		lists, members := listGroup(t, 2)
		leaf := members[1].keys.keyPackage.Leaf
		leaf.Capabilities.Credentials = []CredentialType{CredentialX509}
		lists.tree.leaves[1] = &leaf
		rules, err := newLeafRules(lists.suite, lists.context.GroupID, nil, listPolicy)
		if err != nil {
			t.Fatal(err)
		}
		wantRule(t, rules.checkTree(lists.tree, nil), "7.3")
	})
	t.Run("too many pre-shared keys", func(t *testing.T) {
		if _, err := g.s.pskSecret(make([]pskInput, 1<<16)); err == nil {
			t.Error("2^16 keys were combined")
		}
	})
	t.Run("exporter", func(t *testing.T) {
		secret := make([]byte, g.s.nh)
		for _, n := range []int{-1, 0, exportMaxBytes + 1} {
			if _, err := g.s.export(secret, "label", nil, n); err == nil {
				t.Errorf("%d octets were exported", n)
			}
		}
		if _, err := g.s.export(nil, "label", nil, 32); err == nil {
			t.Error("exported without a secret")
		}
		one, _ := g.s.export(secret, "label", nil, 32)
		for _, other := range [][2]string{{"label", "context"}, {"other", ""}} {
			if got, err := g.s.export(secret, other[0], []byte(other[1]), 32); err != nil || bytes.Equal(got, one) {
				t.Errorf("label and context %q: %v", other, err)
			}
		}
	})
	t.Run("required capabilities malformed", func(t *testing.T) {
		for _, x := range []ExtensionType{ExtensionRequiredCapabilities, ExtensionExternalSenders} {
			_, err := createGroup(rand.Reader, []byte("g"), testOptions(g.s, a), Extensions{{x, []byte{9}}}, testPolicy)
			var malformed *DecodeError
			if !errors.As(err, &malformed) {
				t.Errorf("extension %d: %v", x, err)
			}
		}
	})
	t.Run("an external sender that the application refuses", func(t *testing.T) {
		x := mustMarshal(t, externalSenders{{SignatureKey: mustSignatureKey(t, g.s, a.signer), Credential: BasicCredential([]byte("service"))}})
		policy := testPolicy
		policy.identity = noExternals{}
		_, err := createGroup(rand.Reader, []byte("g"), testOptions(g.s, a), Extensions{{ExtensionExternalSenders, x}}, policy)
		wantRule(t, err, "5.3.1")
		_, err = a.state.apply(&proposalList{extensions: &GroupContextExtensions{Extensions{{ExtensionExternalSenders, x}}}}, policy)
		wantRule(t, err, "5.3.1")
	})
}

func nothingKept(HPKEPublicKey) (hpke.PrivateKey, bool) { return nil, false }

// noExternals lets no external sender in.
type noExternals struct{ openIdentity }

func (noExternals) ValidateExternalSender(ExternalSender) error { return errors.New("no") }

// Whether members agree on an epoch does not depend on when they hear of it: an Add whose key package has expired since is taken, the
// member that adds refuses to (§7.3).
func TestLateCommit(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 1, nil)
	a, b := g.members[0], g.members[1]
	k, err := g.s.newKeyPackage(rand.Reader, testOptions(g.s, g.client()))
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.state.makeCommit(rand.Reader, g.request(a, &Add{k.keyPackage}))
	if err != nil {
		t.Fatal(err)
	}
	for _, now := range []int64{testTime - 5000, testTime + 100_000} {
		policy := testPolicy
		policy.now = now
		if _, err := b.state.stageCommit(g.sent(&p.content), commitInputs{policy: policy}); err != nil {
			t.Errorf("heard of at %d: %v", now, err)
		}
		req := g.request(a, &Add{k.keyPackage})
		req.policy = policy
		_, err := a.state.makeCommit(rand.Reader, req)
		wantRule(t, err, "7.3")
	}
}
