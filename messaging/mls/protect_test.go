package mls

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"testing"
)

// testEpoch is one epoch of a group of two as the sender (leaf 1) and the receiver (leaf 0) see it.
type testEpoch struct {
	sender, receiver     messageEpoch
	senderTx, receiverTx *memoryTx
	key                  crypto.Signer // of leaf 1
}

// newTestEpoch makes the epoch of context with the secrets given.
func newTestEpoch(t testing.TB, context *GroupContext, key crypto.Signer, encryption, senderData, membership []byte) *testEpoch {
	t.Helper()
	s, err := lookupSuite(context.Suite)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := marshal(context)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := s.signaturePublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := s.parseVerifyKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	m := messageEpoch{
		suite: s, groupID: context.GroupID, epoch: context.Epoch, context: encoded, senderData: senderData, membership: membership,
		tree: secretTree{suite: s, epoch: context.Epoch, depth: 1, limits: RatchetLimits{}.withDefaults()},
		verifyKey: func(l LeafIndex) (verifyKey, error) {
			if l > 1 {
				return verifyKey{}, errors.New("no such leaf")
			}
			return public, nil
		},
	}
	e := &testEpoch{sender: m, receiver: m, senderTx: newMemoryTx(), receiverTx: newMemoryTx(), key: key}
	e.sender.own = 1
	for _, tx := range []*memoryTx{e.senderTx, e.receiverTx} {
		if err := m.tree.create(tx, bytes.Clone(encryption)); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// newTestSuiteEpoch is newTestEpoch with invented secrets.
func newTestSuiteEpoch(t testing.TB, id CipherSuite) *testEpoch {
	t.Helper()
	key, err := id.GenerateSignatureKey()
	if err != nil {
		t.Fatal(err)
	}
	s, _ := lookupSuite(id)
	secret := func(label string) []byte {
		return s.deriveSecret(make([]byte, s.nh), label)
	}
	return newTestEpoch(t, &GroupContext{
		Version: MLS10, Suite: id, GroupID: []byte("0123456789abcdef"), Epoch: 7, TreeHash: secret("tree hash"), ConfirmedTranscriptHash: secret("transcript"),
	}, key, secret("encryption"), secret("sender data"), secret("membership"))
}

// content returns content of leaf 1, not signed.
func (e *testEpoch) content(format WireFormat, c FramedContent) *AuthenticatedContent {
	c.GroupID, c.Epoch, c.Sender = e.sender.groupID, e.sender.epoch, Sender{SenderMember, 1}
	a := &AuthenticatedContent{WireFormat: format, Content: c}
	if c.Type == ContentCommit {
		a.Auth.ConfirmationTag = make([]byte, e.sender.suite.nh)
	}
	return a
}

// signed returns it signed.
func (e *testEpoch) signed(t testing.TB, format WireFormat, c FramedContent) *AuthenticatedContent {
	t.Helper()
	a := e.content(format, c)
	if err := e.sender.suite.sign(rand.Reader, e.key, a, e.sender.context); err != nil {
		t.Fatal(err)
	}
	return a
}

// open opens a message as leaf 0 and takes it.
func (e *testEpoch) open(wire []byte) (*AuthenticatedContent, error) {
	var u unverifiedContent
	defer u.step.wipe()
	p, private, err := parsePrivateMessage(bytes.Clone(wire))
	if private && err == nil {
		err = e.receiver.openPrivate(e.receiverTx, &p, 0, &u)
	} else if !private {
		m, errParse := ParseMLSMessage(wire)
		switch {
		case errParse != nil:
			return nil, errParse
		case m.Public == nil:
			return nil, errors.New("neither private nor public")
		}
		err = e.receiver.openPublic(m.Public, &u)
	}
	if err != nil {
		return nil, err
	}
	v, err := e.receiver.verify(&u)
	if err != nil {
		return nil, err
	}
	if v.step != nil {
		err = v.step.commit(e.receiverTx, 0)
	}
	return v.AuthenticatedContent, err
}

// seal protects a as leaf 1.
func (e *testEpoch) seal(t testing.TB, a *AuthenticatedContent, padding Padding) []byte {
	t.Helper()
	if a.WireFormat == WireFormatPublicMessage {
		p, err := e.sender.protectPublic(a)
		if err != nil {
			t.Fatal(err)
		}
		wire, err := (&MLSMessage{Public: p}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return wire
	}
	wire, err := e.sender.protectPrivate(e.senderTx, rand.Reader, a, padding, 0)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

func TestVectorMessageProtection(t *testing.T) {
	entries, messages := 0, 0
	for _, v := range vectors[struct {
		Suite         CipherSuite `json:"cipher_suite"`
		GroupID       hexBytes    `json:"group_id"`
		Epoch         uint64
		TreeHash      hexBytes `json:"tree_hash"`
		Transcript    hexBytes `json:"confirmed_transcript_hash"`
		SignaturePriv hexBytes `json:"signature_priv"`
		SignaturePub  hexBytes `json:"signature_pub"`
		Encryption    hexBytes `json:"encryption_secret"`
		SenderData    hexBytes `json:"sender_data_secret"`
		Membership    hexBytes `json:"membership_key"`
		Proposal      hexBytes
		ProposalPriv  hexBytes `json:"proposal_priv"`
		ProposalPub   hexBytes `json:"proposal_pub"`
		Commit        hexBytes
		CommitPriv    hexBytes `json:"commit_priv"`
		CommitPub     hexBytes `json:"commit_pub"`
		Application   hexBytes
		AppPriv       hexBytes `json:"application_priv"`
	}](t, "message-protection.json") {
		s := vectorSuite(t, v.Suite)
		if s == nil {
			continue
		}
		entries++
		key, err := s.parseSignaturePrivateKey(v.SignaturePriv)
		if err != nil {
			t.Fatal(err)
		}
		context := &GroupContext{Version: MLS10, Suite: v.Suite, GroupID: v.GroupID, Epoch: v.Epoch, TreeHash: v.TreeHash, ConfirmedTranscriptHash: v.Transcript}
		for _, c := range []struct {
			t        ContentType
			raw      []byte
			pub, prv hexBytes
		}{
			{ContentProposal, v.Proposal, v.ProposalPub, v.ProposalPriv},
			{ContentCommit, v.Commit, v.CommitPub, v.CommitPriv},
			{ContentApplication, v.Application, nil, v.AppPriv},
		} {
			check := func(e *testEpoch, wire []byte) {
				t.Helper()
				messages++
				a, err := e.open(wire)
				if err != nil {
					t.Fatalf("suite %d, content type %d: %v", v.Suite, c.t, err)
				}
				if a.Content.Type != c.t {
					t.Fatalf("content type %d, want %d", a.Content.Type, c.t)
				}
				var got encoder
				if a.Content.encodeContent(&got); c.t == ContentApplication {
					got.buf = a.Content.Application
				}
				want(t, "content", got.buf, c.raw)
			}
			fresh := func() *testEpoch {
				e := newTestEpoch(t, context, key, v.Encryption, v.SenderData, v.Membership)
				want(t, "signature_pub", mustSignatureKey(t, s, key), v.SignaturePub)
				return e
			}
			check(fresh(), c.prv)
			if c.pub != nil {
				check(fresh(), c.pub)
			}
			// The making half: the same content protected by us opens again.
			var content FramedContent
			if content.Type = c.t; c.t == ContentApplication {
				content.Application = c.raw
			} else {
				d := newDecoder("content", c.raw)
				if content.decodeContent(d); d.finish() != nil {
					t.Fatal(d.finish())
				}
			}
			e := fresh()
			check(e, e.seal(t, e.signed(t, WireFormatPrivateMessage, content), PadBuckets))
			if c.t != ContentApplication {
				check(e, e.seal(t, e.signed(t, WireFormatPublicMessage, content), PadNone))
				continue
			}
			// Application data in a PublicMessage is refused by both sides.
			a := e.signed(t, WireFormatPublicMessage, content)
			if _, err := e.sender.protectPublic(a); err == nil {
				t.Error("application data was sent as a PublicMessage")
			}
			tag, err := e.sender.membershipTag(a)
			if err != nil {
				t.Fatal(err)
			}
			var u unverifiedContent
			if err := e.receiver.openPublic(&PublicMessage{a.Content, a.Auth, tag}, &u); err == nil {
				t.Error("application data in a PublicMessage was accepted")
			}
		}
	}
	t.Logf("%d entries, %d messages", entries, messages)
}

func mustSignatureKey(t testing.TB, s *suite, key crypto.Signer) []byte {
	t.Helper()
	raw, err := s.signaturePublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestSealAndOpen(t *testing.T) {
	for id := range suites {
		e := newTestSuiteEpoch(t, id)
		for _, padding := range []Padding{PadBuckets, PadNone, 100} {
			for _, n := range []int{0, 1, 63, 64, 1024, 20000, 70000} {
				app := bytes.Repeat([]byte{7}, n)
				wire := e.seal(t, e.signed(t, WireFormatPrivateMessage, FramedContent{Type: ContentApplication, Application: app, AuthenticatedData: []byte("aad")}), padding)
				a, err := e.open(wire)
				if err != nil {
					t.Fatalf("%v, %d octets, padding %d: %v", id, n, padding, err)
				}
				if !bytes.Equal(a.Content.Application, app) || string(a.Content.AuthenticatedData) != "aad" || a.Content.Sender != (Sender{SenderMember, 1}) {
					t.Fatalf("%v: other content came out", id)
				}
			}
		}
	}
}

// All contents of a bucket have one size on the wire.
func TestPaddingHidesSize(t *testing.T) {
	e := newTestSuiteEpoch(t, X25519AES128GCM)
	sizes := map[int]bool{}
	for n := range 180 {
		sizes[len(e.seal(t, e.signed(t, WireFormatPrivateMessage, FramedContent{Type: ContentApplication, Application: make([]byte, n)}), PadBuckets))] = true
	}
	if len(sizes) != 1 {
		t.Errorf("messages of 0 to 179 octets have %d sizes", len(sizes))
	}
	for _, c := range []struct {
		p       Padding
		n, want int
	}{{PadBuckets, 0, 256}, {PadBuckets, 256, 256}, {PadBuckets, 257, 512}, {PadBuckets, 65536, 65536}, {PadBuckets, 65537, 131072}, {PadNone, 5, 5}, {7, 8, 14}, {7, 7, 7}, {-5, 3, 3}} {
		if got := c.p.pad(c.n); got != c.want {
			t.Errorf("%d.pad(%d) = %d, want %d", c.p, c.n, got, c.want)
		}
	}
}

// Every octet changed, and every prefix: refused, and no row changes. Then the message itself still opens, once.
func TestDamagedMessages(t *testing.T) {
	for _, format := range []WireFormat{WireFormatPrivateMessage, WireFormatPublicMessage} {
		e := newTestSuiteEpoch(t, X25519AES128GCM)
		wire := e.seal(t, e.signed(t, format, FramedContent{Type: ContentProposal, Proposal: &Remove{1}, AuthenticatedData: []byte("aad")}), PadNone)
		before := e.receiverTx.clone()
		for i := range wire {
			for _, bit := range []byte{1, 0x80} {
				bad := bytes.Clone(wire)
				bad[i] ^= bit
				if _, err := e.open(bad); err == nil {
					t.Fatalf("format %d: octet %d changed, accepted", format, i)
				}
			}
			if _, err := e.open(wire[:i]); err == nil {
				t.Fatalf("format %d: the first %d octets were accepted", format, i)
			}
		}
		if _, err := e.open(append(bytes.Clone(wire), 0)); err == nil {
			t.Fatal("an octet too many was accepted")
		}
		if len(before.rows) != len(e.receiverTx.rows) {
			t.Fatal("a refused message changed the state")
		}
		for k, v := range before.rows {
			if !bytes.Equal(v, e.receiverTx.rows[k]) {
				t.Fatal("a refused message changed the state")
			}
		}
		if _, err := e.open(wire); err != nil {
			t.Fatal(err)
		}
		if _, err := e.open(wire); format == WireFormatPrivateMessage && !errors.Is(err, ErrConsumed) {
			t.Errorf("replay: %v", err)
		}
	}
}

// refused opens wire and wants a refusal by that section.
func refused(t *testing.T, e *testEpoch, wire []byte, section string) {
	t.Helper()
	_, err := e.open(wire)
	var rule *RuleError
	if !errors.As(err, &rule) || rule.Section != section {
		t.Errorf("want a refusal by §%s, got %v", section, err)
	}
}

// forge seals content as leaf 1 would, with everything in the hands of a dishonest member.
func (e *testEpoch) forge(t *testing.T, data senderData, contentType ContentType, plain []byte) []byte {
	t.Helper()
	s := e.sender.suite
	tree, tx := e.sender.tree, e.senderTx.clone()
	var step ratchetStep
	leaf := min(uint32(data.Leaf), 1)
	if err := tree.receive(tx, &step, leaf, ratchetOf(contentType), data.Generation, 0); err != nil {
		t.Fatal(err)
	}
	p := PrivateMessage{GroupID: e.sender.groupID, Epoch: e.sender.epoch, Type: contentType}
	senderAAD := appendSenderDataAAD(nil, p.GroupID, p.Epoch, p.Type)
	aad := appendOpaque(bytes.Clone(senderAAD), p.AuthenticatedData)
	step.guard = data.ReuseGuard
	sealed := append(bytes.Clone(plain), make([]byte, 16)...)
	if err := s.sealInPlace(&step.messageKey, sealed[:len(plain)], aad); err != nil {
		t.Fatal(err)
	}
	p.Ciphertext = sealed
	raw := append(data.append(nil), make([]byte, 16)...)
	var k messageKey
	s.senderDataKey(&k, e.sender.senderData, sealed)
	if err := s.sealInPlace(&k, raw[:12], senderAAD); err != nil {
		t.Fatal(err)
	}
	p.EncryptedSenderData = raw
	wire, err := (&MLSMessage{Private: &p}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

func TestPrivateMessageRules(t *testing.T) {
	e := newTestSuiteEpoch(t, X25519AES128GCM)
	honest := func(a *AuthenticatedContent, padding ...byte) []byte {
		var plain encoder
		a.Content.encodeContent(&plain)
		a.Auth.encodeFor(&plain, a.Content.Type)
		return append(plain.buf, padding...)
	}
	app := e.signed(t, WireFormatPrivateMessage, FramedContent{Type: ContentApplication, Application: []byte("hello")})
	t.Run("the forger's message is well formed", func(t *testing.T) {
		if _, err := e.open(e.forge(t, senderData{Leaf: 1}, ContentApplication, honest(app, 0, 0))); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("padding", func(t *testing.T) {
		refused(t, e, e.forge(t, senderData{Leaf: 1, Generation: 5}, ContentApplication, honest(app, 0, 0, 1)), "6.3.1")
	})
	t.Run("blank leaf", func(t *testing.T) {
		refused(t, e, e.forge(t, senderData{Leaf: 2, Generation: 5}, ContentApplication, honest(app)), "6.3.2")
	})
	t.Run("signed for a PublicMessage", func(t *testing.T) {
		public := e.signed(t, WireFormatPublicMessage, FramedContent{Type: ContentProposal, Proposal: &Remove{0}})
		refused(t, e, e.forge(t, senderData{Leaf: 1, Generation: 0}, ContentProposal, honest(public)), "6.1")
	})
	t.Run("signed in another epoch", func(t *testing.T) {
		a := e.content(WireFormatPrivateMessage, app.Content)
		other := append(bytes.Clone(e.sender.context), 0)
		if err := e.sender.suite.sign(rand.Reader, e.key, a, other); err != nil {
			t.Fatal(err)
		}
		refused(t, e, e.forge(t, senderData{Leaf: 1, Generation: 5}, ContentApplication, honest(a)), "6.1")
	})
	t.Run("confirmation tag of wrong length", func(t *testing.T) {
		a := e.content(WireFormatPrivateMessage, FramedContent{Type: ContentCommit, Commit: &Commit{}})
		a.Auth.ConfirmationTag = nil
		if err := e.sender.suite.sign(rand.Reader, e.key, a, e.sender.context); err != nil {
			t.Fatal(err)
		}
		refused(t, e, e.forge(t, senderData{Leaf: 1, Generation: 0}, ContentCommit, honest(a)), "6.1")
	})
	t.Run("as if by the receiver itself", func(t *testing.T) { // one that it did send: TestGroupOfTwo, TestRolledBackState
		refused(t, e, e.forge(t, senderData{Leaf: 0}, ContentApplication, honest(app)), "6.1")
	})
	t.Run("generation too far ahead", func(t *testing.T) {
		wire := e.forge(t, senderData{Leaf: 1, Generation: 5}, ContentApplication, honest(app))
		e.receiver.tree.limits.JumpMax = 2
		defer func() { e.receiver.tree.limits.JumpMax = 1000 }()
		if _, err := e.open(wire); !errors.Is(err, ErrTooFarAhead) {
			t.Fatal(err)
		}
	})
	t.Run("another epoch, another group", func(t *testing.T) {
		other := newTestSuiteEpoch(t, X25519AES128GCM)
		other.receiver.epoch++
		wire := other.seal(t, other.signed(t, WireFormatPrivateMessage, app.Content), PadNone)
		if _, err := other.open(wire); !errors.Is(err, ErrWrongEpoch) {
			t.Error(err)
		}
		other.receiver.groupID = []byte("another")
		if _, err := other.open(wire); !errors.Is(err, ErrWrongGroup) {
			t.Error(err)
		}
	})
	t.Run("sent for another leaf", func(t *testing.T) {
		a := e.signed(t, WireFormatPrivateMessage, app.Content)
		a.Content.Sender.Index = 0
		if _, err := e.sender.protectPrivate(e.senderTx, rand.Reader, a, PadNone, 0); err == nil {
			t.Error("protected")
		}
	})
	t.Run("no randomness", func(t *testing.T) {
		rows := e.senderTx.clone()
		if _, err := e.sender.protectPrivate(e.senderTx, bytes.NewReader([]byte{1, 2}), app, PadNone, 0); err == nil {
			t.Error("protected without a reuse guard")
		}
		if len(rows.rows) != len(e.senderTx.rows) {
			t.Error("a generation was used up")
		}
	})
	t.Run("too large", func(t *testing.T) {
		a := e.content(WireFormatPrivateMessage, FramedContent{Type: ContentApplication, Application: make([]byte, messageMax+1)})
		if _, err := e.sender.protectPrivate(e.senderTx, rand.Reader, a, PadNone, 0); err == nil {
			t.Error("protected")
		}
	})
}

func TestPublicMessageRules(t *testing.T) {
	e := newTestSuiteEpoch(t, X25519AES128GCM)
	s := e.sender.suite
	keyOf := func() (crypto.Signer, SignaturePublicKey) {
		key, err := X25519AES128GCM.GenerateSignatureKey()
		if err != nil {
			t.Fatal(err)
		}
		return key, mustSignatureKey(t, s, key)
	}
	outsider, outsiderPublic := keyOf()
	e.receiver.external = externalSenders{{SignatureKey: outsiderPublic, Credential: BasicCredential([]byte("an outside service"))}}
	make := func(sender Sender, key crypto.Signer, c FramedContent) []byte {
		c.GroupID, c.Epoch, c.Sender = e.sender.groupID, e.sender.epoch, sender
		a := &AuthenticatedContent{WireFormat: WireFormatPublicMessage, Content: c}
		if c.Type == ContentCommit {
			a.Auth.ConfirmationTag = bytes.Repeat([]byte{1}, s.nh)
		}
		if err := s.sign(rand.Reader, key, a, e.sender.context); err != nil {
			t.Fatal(err)
		}
		p := PublicMessage{Content: a.Content, Auth: a.Auth}
		if sender.Type == SenderMember {
			p.MembershipTag, _ = e.sender.membershipTag(a)
		}
		wire, err := (&MLSMessage{Public: &p}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return wire
	}
	leaf := func(key SignaturePublicKey) LeafNode {
		return LeafNode{EncryptionKey: []byte{1}, SignatureKey: key, Credential: BasicCredential([]byte("a new member")), Source: SourceCommit}
	}
	proposal := func(p Proposal) FramedContent { return FramedContent{Type: ContentProposal, Proposal: p} }
	add := func(key SignaturePublicKey) FramedContent {
		return proposal(&Add{KeyPackage{Version: MLS10, Suite: X25519AES128GCM, Leaf: leaf(key)}})
	}
	commit := func(key SignaturePublicKey) FramedContent {
		return FramedContent{Type: ContentCommit, Commit: &Commit{Path: &UpdatePath{Leaf: leaf(key)}}}
	}
	newcomer, newcomerPublic := keyOf()
	for _, c := range []struct {
		name    string
		wire    []byte
		section string // empty: accepted
	}{
		{"member", make(Sender{SenderMember, 1}, e.key, proposal(&Remove{0})), ""},
		{"member, blank leaf", make(Sender{SenderMember, 2}, e.key, proposal(&Remove{0})), "6.1"},
		{"member, another's signature", make(Sender{SenderMember, 1}, outsider, proposal(&Remove{0})), "6.1"},
		{"external sender", make(Sender{SenderExternal, 0}, outsider, proposal(&Remove{0})), ""},
		{"external sender, unknown index", make(Sender{SenderExternal, 1}, outsider, proposal(&Remove{0})), "12.1.8.1"},
		{"external sender, another's signature", make(Sender{SenderExternal, 0}, newcomer, proposal(&Remove{0})), "6.1"},
		{"external sender proposes an update", make(Sender{SenderExternal, 0}, outsider, proposal(&Update{leaf(outsiderPublic)})), "12.1.8"},
		{"external sender proposes external_init", make(Sender{SenderExternal, 0}, outsider, proposal(&ExternalInit{})), "12.1.8"},
		{"external sender commits", make(Sender{SenderExternal, 0}, outsider, commit(outsiderPublic)), "12.1.8"},
		{"new member proposes itself", make(Sender{Type: SenderNewMemberProposal}, newcomer, add(newcomerPublic)), ""},
		{"new member, another's signature", make(Sender{Type: SenderNewMemberProposal}, newcomer, add(outsiderPublic)), "6.1"},
		{"new member, malformed key", make(Sender{Type: SenderNewMemberProposal}, newcomer, add([]byte{4})), "6.1"},
		{"new member proposes a removal", make(Sender{Type: SenderNewMemberProposal}, newcomer, proposal(&Remove{0})), "6.1"},
		{"new member commits as proposer", make(Sender{Type: SenderNewMemberProposal}, newcomer, commit(newcomerPublic)), "6.1"},
		{"new member commits", make(Sender{Type: SenderNewMemberCommit}, newcomer, commit(newcomerPublic)), ""},
		{"new member commits, another's signature", make(Sender{Type: SenderNewMemberCommit}, newcomer, commit(outsiderPublic)), "6.1"},
		{"new member commits without a path", make(Sender{Type: SenderNewMemberCommit}, newcomer, FramedContent{Type: ContentCommit, Commit: &Commit{}}), "12.4.3.2"},
		{"new member's commit is a proposal", make(Sender{Type: SenderNewMemberCommit}, newcomer, add(newcomerPublic)), "12.4.3.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.section != "" {
				refused(t, e, c.wire, c.section)
			} else if _, err := e.open(c.wire); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("membership tag", func(t *testing.T) {
		m, err := ParseMLSMessage(make(Sender{SenderMember, 1}, e.key, proposal(&Remove{0})))
		if err != nil {
			t.Fatal(err)
		}
		tag := m.Public.MembershipTag
		for _, bad := range [][]byte{nil, {}, tag[:31], tag[:1], append(bytes.Clone(tag), 0), bytes.Repeat([]byte{0}, 32)} {
			m.Public.MembershipTag = bad
			wire, err := m.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			refused(t, e, wire, "6.2")
		}
	})
	t.Run("a past epoch takes none", func(t *testing.T) {
		past := e.receiver
		past.membership = nil
		m, err := ParseMLSMessage(make(Sender{SenderMember, 1}, e.key, proposal(&Remove{0})))
		if err != nil {
			t.Fatal(err)
		}
		if err := past.openPublic(m.Public, new(unverifiedContent)); !errors.Is(err, ErrWrongEpoch) {
			t.Error(err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	e := newTestSuiteEpoch(f, X25519AES128GCM)
	for _, c := range []FramedContent{
		{Type: ContentApplication, Application: []byte("hello")}, {Type: ContentProposal, Proposal: &Remove{1}}, {Type: ContentCommit, Commit: &Commit{}},
	} {
		f.Add(e.seal(f, e.signed(f, WireFormatPrivateMessage, c), PadNone))
		if c.Type != ContentApplication {
			f.Add(e.seal(f, e.signed(f, WireFormatPublicMessage, c), PadNone))
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		before := e.receiverTx.clone()
		if _, err := e.open(wire); err == nil {
			e.receiverTx = before
			return
		}
		for k, v := range before.rows {
			if !bytes.Equal(v, e.receiverTx.rows[k]) {
				t.Fatal("a refused message changed the state")
			}
		}
	})
}

// FuzzRatchetRow gives the ratchet a damaged row.
func FuzzRatchetRow(f *testing.F) {
	f.Add(make([]byte, 53), uint32(3))
	f.Fuzz(func(t *testing.T, row []byte, generation uint32) {
		tree, tx := testTree(t, 1, RatchetLimits{JumpMax: 64})
		if _, err := take(tree, tx, 0, RatchetApplication, 0, 0); err != nil { // a head stands only where the tree was split
			t.Fatal(err)
		}
		tx.rows[tree.headKey(0, RatchetApplication)] = bytes.Clone(row)
		_, _ = take(tree, tx, 0, RatchetApplication, generation, 0)
		if err := tree.drop(tx); err == nil && len(tx.rows) != 0 {
			t.Errorf("%d rows left", len(tx.rows))
		}
	})
}

// BenchmarkMessage seals and opens 1 KiB without a group object around it: compare with ../shared/bench/mls-floor.
func BenchmarkMessage(b *testing.B) {
	for _, id := range []CipherSuite{X25519AES128GCM, XWingAES256GCM} {
		e := newTestSuiteEpoch(b, id)
		app := make([]byte, 1024)
		var wire []byte
		seal := func() {
			a := e.content(WireFormatPrivateMessage, FramedContent{Type: ContentApplication, Application: app})
			if err := e.sender.suite.sign(rand.Reader, e.key, a, e.sender.context); err != nil {
				b.Fatal(err)
			}
			var err error
			if wire, err = e.sender.protectPrivate(e.senderTx, rand.Reader, a, PadNone, 0); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(id.String()+"/seal", func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				seal()
			}
		})
		e = newTestSuiteEpoch(b, id)
		b.Run(id.String()+"/pair", func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				seal()
				if _, err := e.open(wire); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestApplicationTBS compares the two ways to encode what the sender of an application message signs.
func TestApplicationTBS(t *testing.T) {
	for _, n := range []int{0, 63, 64, 1024, 16383, 16384, 70000} {
		a := AuthenticatedContent{WireFormat: WireFormatPrivateMessage, Content: FramedContent{
			GroupID: bytes.Repeat([]byte{1}, n/7), Epoch: 1 << 40, Sender: Sender{SenderMember, 9}, AuthenticatedData: bytes.Repeat([]byte{2}, n/3),
			Type: ContentApplication, Application: bytes.Repeat([]byte{3}, n),
		}}
		context := bytes.Repeat([]byte{4}, n/2)
		var e encoder
		e.label("FramedContentTBS")
		start := e.begin()
		a.encodeTBS(&e, context)
		e.end(start)
		got, err := a.tbs(context)
		if err != nil || !bytes.Equal(got, e.buf) {
			t.Errorf("%d octets: %x, %v\nwant %x", n, got, err, e.buf)
		}
	}
}
