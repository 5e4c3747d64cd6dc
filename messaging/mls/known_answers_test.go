package mls

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"hash"
	"os"
	"slices"
	"testing"
)

// Frozen known answers of the post-quantum suites, for which nobody has published any. testdata/post-quantum.json was written by
//
//	go test ./messaging/mls -run TestPostQuantumKnownAnswers -update
//
// Every input is knownInput(suite, label, n): the first n octets of SHA-256("Parley MLS known answers 1" || suite || i || label) for
// i = 0, 1, …, with suite and i as 16-bit big-endian numbers. What the inputs alone decide (key pairs, key schedule, exporter, secret
// tree, PSK secret, Ed25519 signatures) is the same at each writing, and the test derives it a second time by the standard
// library's primitives. HPKE encapsulations and ECDSA signatures take their randomness from the system, so those are frozen: the test
// opens and verifies them, and follows a group as a client that joins by the frozen Welcome.

var updateAnswers = flag.Bool("update", false, "write testdata/post-quantum.json anew")

const answersFile = "testdata/post-quantum.json"

func knownInput(id CipherSuite, label string, n int) []byte {
	var out []byte
	for i := uint16(0); len(out) < n; i++ {
		b := binary.BigEndian.AppendUint16([]byte("Parley MLS known answers 1"), uint16(id))
		b = binary.BigEndian.AppendUint16(b, i)
		sum := sha256.Sum256(append(b, label...))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

type knownAnswers struct {
	Suite         CipherSuite `json:"cipher_suite"`
	Name          string      `json:"name"`
	DeriveKeyPair struct {
		IKM     hexBytes `json:"ikm"`
		Private hexBytes `json:"private_key"`
		Public  hexBytes `json:"public_key"`
	} `json:"derive_key_pair"`
	Encrypt struct { // to the key pair above
		Label      string   `json:"label"`
		Context    hexBytes `json:"context"`
		Plaintext  hexBytes `json:"plaintext"`
		KEMOutput  hexBytes `json:"kem_output"`
		Ciphertext hexBytes `json:"ciphertext"`
	} `json:"encrypt_with_label"`
	Sign struct {
		Private   hexBytes `json:"private_key"`
		Public    hexBytes `json:"public_key"`
		Label     string   `json:"label"`
		Content   hexBytes `json:"content"`
		Signature hexBytes `json:"signature"`
	} `json:"sign_with_label"`
	KeySchedule struct {
		Init         hexBytes            `json:"init_secret"`
		Commit       hexBytes            `json:"commit_secret"`
		PSKs         []hexBytes          `json:"psks"` // external, with ids and nonces of knownInput
		PSKSecret    hexBytes            `json:"psk_secret"`
		GroupContext hexBytes            `json:"group_context"`
		Joiner       hexBytes            `json:"joiner_secret"`
		Welcome      hexBytes            `json:"welcome_secret"`
		Secrets      map[string]hexBytes `json:"secrets"` // by the label of RFC 9420 Table 4
		ExternalPub  hexBytes            `json:"external_pub"`
		Exported     hexBytes            `json:"exported"` // MLS-Exporter("known answers", group_context, 40)
	} `json:"key_schedule"`
	SecretTree []struct {
		Leaf       uint32   `json:"leaf"`
		Ratchet    Ratchet  `json:"ratchet"`
		Generation uint32   `json:"generation"`
		Key        hexBytes `json:"key"`
		Nonce      hexBytes `json:"nonce"`
	} `json:"secret_tree"` // of four leaves, from the encryption secret above
	Passive  passiveVector `json:"passive_client"`
	Messages []struct {    // one per epoch of the passive client, the first in that of the Welcome
		Wire      hexBytes `json:"wire"`
		Plaintext hexBytes `json:"plaintext"`
	} `json:"messages"`
}

var postQuantumSuites = []CipherSuite{XWingAES128GCM, XWingAES256GCM, MLKEM768P256AES128GCM, MLKEM768P256AES256GCM}

func TestPostQuantumKnownAnswers(t *testing.T) {
	if *updateAnswers {
		var all []knownAnswers
		for _, id := range postQuantumSuites {
			all = append(all, makeAnswers(t, id))
		}
		raw, err := json.MarshalIndent(all, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(answersFile, append(raw, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(answersFile)
	if err != nil {
		t.Fatal(err)
	}
	var all []knownAnswers
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != len(postQuantumSuites) {
		t.Fatalf("%d suites in the file", len(all))
	}
	for i, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			s, err := lookupSuite(v.Suite)
			if err != nil || v.Suite != postQuantumSuites[i] || v.Name != s.name {
				t.Fatal(v.Suite, err)
			}
			got := derivedAnswers(t, s) // everything that needs no system randomness, from the inputs
			want(t, "private key", got.DeriveKeyPair.Private, v.DeriveKeyPair.Private)
			want(t, "public key", got.DeriveKeyPair.Public, v.DeriveKeyPair.Public)
			derived, frozen := got.KeySchedule, v.KeySchedule
			a, _ := json.Marshal(derived)
			b, _ := json.Marshal(frozen)
			if !bytes.Equal(a, b) {
				t.Errorf("key schedule:\n%s\nwant\n%s", a, b)
			}
			a, _ = json.Marshal(got.SecretTree)
			b, _ = json.Marshal(v.SecretTree)
			if !bytes.Equal(a, b) {
				t.Errorf("secret tree:\n%s\nwant\n%s", a, b)
			}
			checkAnswersPlainly(t, s, &v)
			checkFrozen(t, s, &v)
			followFrozen(t, &v)
		})
	}
}

// derivedAnswers is the part of the answers that the inputs decide.
func derivedAnswers(t *testing.T, s *suite) (v knownAnswers) {
	t.Helper()
	in := func(label string) []byte { return knownInput(s.id, label, s.nh) }
	v.Suite, v.Name = s.id, s.name
	v.DeriveKeyPair.IKM = in("ikm")
	key, err := s.deriveKeyPair(in("ikm"))
	if err != nil {
		t.Fatal(err)
	}
	if v.DeriveKeyPair.Private, err = key.Bytes(); err != nil {
		t.Fatal(err)
	}
	v.DeriveKeyPair.Public = key.PublicKey().Bytes()

	k := &v.KeySchedule
	k.Init, k.Commit = in("init_secret"), in("commit_secret")
	k.GroupContext = mustMarshal(t, &GroupContext{Version: MLS10, Suite: s.id, GroupID: in("group_id"), Epoch: 7, TreeHash: in("tree_hash"),
		ConfirmedTranscriptHash: in("transcript")})
	var psks []pskInput
	for _, name := range []string{"psk 0", "psk 1"} {
		k.PSKs = append(k.PSKs, in(name))
		psks = append(psks, pskInput{PreSharedKeyID{Type: PSKExternal, ID: in(name + " id"), Nonce: in(name + " nonce")}, in(name)})
	}
	if k.PSKSecret, err = s.pskSecret(psks); err != nil {
		t.Fatal(err)
	}
	k.Joiner = s.joinerSecret(slices.Clone(k.Init), slices.Clone(k.Commit), k.GroupContext)
	member := s.memberSecret(slices.Clone(k.Joiner), slices.Clone(k.PSKSecret))
	k.Welcome = s.deriveSecret(member, "welcome")
	e := s.epochSecrets(member, k.GroupContext)
	k.Secrets = map[string]hexBytes{"init": e.init, "sender data": e.senderData, "encryption": slices.Clone(e.encryption), "exporter": e.exporter,
		"external": e.external, "confirm": e.confirmation, "membership": e.membership, "resumption": e.resumption, "authentication": e.authenticator}
	external, err := s.deriveKeyPair(e.external)
	if err != nil {
		t.Fatal(err)
	}
	k.ExternalPub = external.PublicKey().Bytes()
	if k.Exported, err = s.export(e.exporter, "known answers", k.GroupContext, 40); err != nil {
		t.Fatal(err)
	}
	tx := newMemoryTx()
	tree := &secretTree{suite: s, epoch: 7, depth: 2, limits: RatchetLimits{}.withDefaults()}
	if err := tree.create(tx, e.encryption); err != nil {
		t.Fatal(err)
	}
	v.SecretTree = nil
	for leaf := range uint32(4) {
		for _, r := range []Ratchet{RatchetHandshake, RatchetApplication} {
			for _, generation := range []uint32{0, 5} {
				var step ratchetStep
				if err := tree.receive(tx, &step, leaf, r, generation, 0); err != nil {
					t.Fatal(err)
				}
				entry := v.SecretTree
				entry = append(entry, struct {
					Leaf       uint32   `json:"leaf"`
					Ratchet    Ratchet  `json:"ratchet"`
					Generation uint32   `json:"generation"`
					Key        hexBytes `json:"key"`
					Nonce      hexBytes `json:"nonce"`
				}{leaf, r, generation, bytes.Clone(step.key[:s.nk]), bytes.Clone(step.nonce[:s.nn])})
				v.SecretTree = entry
				if err := step.commit(tx, 0); err != nil {
					t.Fatal(err)
				}
				step.wipe()
			}
		}
	}
	return v
}

// checkAnswersPlainly derives the answers again from the specifications, by the standard library and nothing of this package.
func checkAnswersPlainly(t *testing.T, s *suite, v *knownAnswers) {
	t.Helper()
	newHash := func() hash.Hash { return s.hash.New() }
	expand := func(secret []byte, label string, context []byte, n int) []byte { // §8
		info := binary.BigEndian.AppendUint16(nil, uint16(n))
		info = append(append(info, byte(8+len(label))), "MLS 1.0 "+label...)
		if len(context) > 63 {
			info = append(info, 0x40|byte(len(context)>>8))
		}
		info = append(append(info, byte(len(context))), context...)
		out, err := hkdf.Expand(newHash, secret, string(info), n)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	extract := func(salt, ikm []byte) []byte {
		prk, err := hkdf.Extract(newHash, ikm, salt)
		if err != nil {
			t.Fatal(err)
		}
		return prk
	}
	k := &v.KeySchedule
	nh := s.hash.Size()
	want(t, "joiner", expand(extract(k.Init, k.Commit), "joiner", k.GroupContext, nh), k.Joiner)
	member := extract(k.Joiner, k.PSKSecret)
	want(t, "welcome", expand(member, "welcome", nil, nh), k.Welcome)
	epoch := expand(member, "epoch", k.GroupContext, nh)
	for label, secret := range k.Secrets {
		want(t, label, expand(epoch, label, nil, nh), secret)
	}
	h := newHash()
	h.Write(k.GroupContext)
	want(t, "exported", expand(expand(k.Secrets["exporter"], "known answers", nil, nh), "exported", h.Sum(nil), 40), k.Exported)
	for _, e := range v.SecretTree { // §9: down the left-balanced tree of four leaves
		secret := []byte(k.Secrets["encryption"])
		for _, right := range []bool{e.Leaf >= 2, e.Leaf%2 == 1} {
			secret = expand(secret, "tree", []byte(map[bool]string{false: "left", true: "right"}[right]), nh)
		}
		secret = expand(secret, map[Ratchet]string{RatchetHandshake: "handshake", RatchetApplication: "application"}[e.Ratchet], nil, nh)
		at := func(g uint32) []byte { return binary.BigEndian.AppendUint32(nil, g) }
		for g := range e.Generation {
			secret = expand(secret, "secret", at(g), nh)
		}
		want(t, "key", expand(secret, "key", at(e.Generation), len(e.Key)), e.Key)
		want(t, "nonce", expand(secret, "nonce", at(e.Generation), len(e.Nonce)), e.Nonce)
	}

	// draft-ietf-hpke-pq: the seed is SHAKE256(ikm || "HPKE-v1" || "KEM" || kem_id || label || L), the keys follow from it
	shake := sha3.NewSHAKE256()
	shake.Write(v.DeriveKeyPair.IKM)
	shake.Write([]byte("HPKE-v1KEM"))
	shake.Write(binary.BigEndian.AppendUint16(nil, s.kem.ID()))
	shake.Write([]byte("\x00\x0dDeriveKeyPair\x00\x20"))
	seed := make([]byte, 32)
	shake.Read(seed)
	want(t, "seed", seed, v.DeriveKeyPair.Private)
	shake = sha3.NewSHAKE256()
	shake.Write(seed)
	lattice, scalar := make([]byte, 64), make([]byte, 32)
	shake.Read(lattice)
	shake.Read(scalar)
	pq, err := mlkem.NewDecapsulationKey768(lattice)
	if err != nil {
		t.Fatal(err)
	}
	curve := ecdh.X25519()
	if s.kem.ID() == 0x0050 {
		curve = ecdh.P256()
	}
	classical, err := curve.NewPrivateKey(scalar)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "public key", append(pq.EncapsulationKey().Bytes(), classical.PublicKey().Bytes()...), v.DeriveKeyPair.Public)
}

// checkFrozen opens and verifies what system randomness went into.
func checkFrozen(t *testing.T, s *suite, v *knownAnswers) {
	t.Helper()
	key, err := s.kem.NewPrivateKey(v.DeriveKeyPair.Private)
	if err != nil {
		t.Fatal(err)
	}
	ct := HPKECiphertext{v.Encrypt.KEMOutput, v.Encrypt.Ciphertext}
	plain, err := s.decryptWithLabel(key, v.Encrypt.Label, v.Encrypt.Context, ct)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "plaintext", plain, v.Encrypt.Plaintext)
	for at := range len(ct.KEMOutput) { // the lattice's part and the curve's
		if at%97 == 0 || at > len(ct.KEMOutput)-3 {
			bad := HPKECiphertext{bytes.Clone(ct.KEMOutput), ct.Ciphertext}
			bad.KEMOutput[at] ^= 1
			if _, err := s.decryptWithLabel(key, v.Encrypt.Label, v.Encrypt.Context, bad); err == nil {
				t.Errorf("opened with octet %d of the KEM output changed", at)
			}
		}
	}
	for what, tt := range map[string]struct {
		label   string
		context []byte
		ct      HPKECiphertext
	}{
		"label":      {"other", v.Encrypt.Context, ct},
		"context":    {v.Encrypt.Label, []byte("other"), ct},
		"cut":        {v.Encrypt.Label, v.Encrypt.Context, HPKECiphertext{ct.KEMOutput[1:], ct.Ciphertext}},
		"ciphertext": {v.Encrypt.Label, v.Encrypt.Context, HPKECiphertext{ct.KEMOutput, ct.Ciphertext[1:]}},
	} {
		if _, err := s.decryptWithLabel(key, tt.label, tt.context, tt.ct); err == nil {
			t.Errorf("opened with another %s", what)
		}
	}
	if err := s.verifyWithLabel(SignaturePublicKey(v.Sign.Public), v.Sign.Label, v.Sign.Content, v.Sign.Signature); err != nil {
		t.Error(err)
	}
	if s.verifyWithLabel(SignaturePublicKey(v.Sign.Public), v.Sign.Label, append(v.Sign.Content, 0), v.Sign.Signature) == nil {
		t.Error("the signature is of other content, too")
	}
	signer, err := s.parseSignaturePrivateKey(v.Sign.Private)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "signature key", mustSignatureKey(t, s, signer), v.Sign.Public)
	if s.sig.curve == nil { // deterministic (RFC 8032)
		again, err := s.signWithLabel(nil, signer, v.Sign.Label, v.Sign.Content)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "signature", again, v.Sign.Signature)
	}
}

// followFrozen joins by the frozen Welcome and processes the frozen messages.
func followFrozen(t *testing.T, v *knownAnswers) {
	t.Helper()
	c, err := newPassiveClient(&v.Passive)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "initial_epoch_authenticator", c.state.secrets.authenticator, v.Passive.Authenticator)
	if len(v.Messages) != len(v.Passive.Epochs)+1 || len(v.Messages) < 4 {
		t.Fatalf("%d messages, %d epochs", len(v.Messages), len(v.Passive.Epochs))
	}
	read := func(i int) {
		t.Helper()
		got, err := c.receive(v.Messages[i].Wire)
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		want(t, "application data", got.Content.Application, v.Messages[i].Plaintext)
		if _, err := c.receive(v.Messages[i].Wire); !errors.Is(err, ErrConsumed) {
			t.Errorf("message %d a second time: %v", i, err)
		}
	}
	read(0)
	for i, e := range v.Passive.Epochs {
		for _, p := range e.Proposals {
			if err := c.propose(p); err != nil {
				t.Fatalf("epoch %d: proposal: %v", i, err)
			}
		}
		st, err := c.commit(e.Commit)
		if err != nil {
			t.Fatalf("epoch %d: commit: %v", i, err)
		}
		if err := c.enter(st.next); err != nil {
			t.Fatal(err)
		}
		want(t, "epoch_authenticator", c.state.secrets.authenticator, e.Authenticator)
		read(i + 1)
	}
}

// makeAnswers makes the answers of a suite anew.
func makeAnswers(t *testing.T, id CipherSuite) knownAnswers {
	t.Helper()
	s, err := lookupSuite(id)
	if err != nil {
		t.Fatal(err)
	}
	v := derivedAnswers(t, s)
	key, err := s.kem.NewPrivateKey(v.DeriveKeyPair.Private)
	if err != nil {
		t.Fatal(err)
	}
	e := &v.Encrypt
	e.Label, e.Context, e.Plaintext = "known answers", knownInput(id, "context", 50), knownInput(id, "plaintext", 32)
	ct, err := s.encryptWithLabel(key.PublicKey(), e.Label, e.Context, e.Plaintext)
	if err != nil {
		t.Fatal(err)
	}
	e.KEMOutput, e.Ciphertext = ct.KEMOutput, ct.Ciphertext
	v.Sign.Private, v.Sign.Label, v.Sign.Content = knownInput(id, "signature key", 32), "known answers", knownInput(id, "content", 80)
	signer, err := s.parseSignaturePrivateKey(v.Sign.Private)
	if err != nil {
		t.Fatal(err)
	}
	v.Sign.Public = mustSignatureKey(t, s, signer)
	if v.Sign.Signature, err = s.signWithLabel(rand.Reader, signer, v.Sign.Label, v.Sign.Content); err != nil {
		t.Fatal(err)
	}
	makeHistory(t, s, &v)
	return v
}

// answersMember is a member of the history that is frozen.
type answersMember struct {
	passiveClient
	signer crypto.Signer
}

// makeHistory freezes four epochs of a group as one member sees them: its join with a PSK, an Update of another member committed by
// reference, an external commit, a removal.
func makeHistory(t *testing.T, s *suite, v *knownAnswers) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	g := &testGroup{t: t, s: s}
	person := func(name string) (*answersMember, KeyPackageOptions) {
		signer, err := s.parseSignaturePrivateKey(knownInput(s.id, "signature key of "+name, 32))
		must(err)
		m := &answersMember{signer: signer}
		m.tx, m.psks, m.resumption = newMemoryTx(), map[string][]byte{"known": bytes.Clone(testPSK)}, map[string][]byte{}
		return m, testOptions(s, &testMember{name: name, signer: signer})
	}
	a, oa := person("a")
	b, ob := person("b") // whose view is frozen
	c, oc := person("c")
	_, od := person("d")
	state, err := createGroup(rand.Reader, []byte("known answers"), oa, nil, testPolicy)
	must(err)
	must(a.enter(state))
	kb, err := s.newKeyPackage(rand.Reader, ob)
	must(err)
	kc, err := s.newKeyPackage(rand.Reader, oc)
	must(err)
	req := commitRequest{byValue: []Proposal{&Add{kb.keyPackage}, &Add{kc.keyPackage}, &PreSharedKey{PreSharedKeyID{Type: PSKExternal,
		ID: []byte("known"), Nonce: knownInput(s.id, "nonce", s.nh)}}}, path: true, signer: a.signer, psk: a.psk, policy: testPolicy, wireFormat: WireFormatPublicMessage}
	p, err := a.state.makeCommit(rand.Reader, req)
	must(err)
	for m, k := range map[*answersMember]*keyPackageKeys{b: kb, c: kc} {
		j, err := join(p.welcome, joinInputs{keyPackage: &k.keyPackage, initKey: k.init, leafKey: k.leaf, psk: m.psk, policy: testPolicy})
		must(err)
		must(m.enter(j.state))
	}
	must(a.enter(p.next))
	f := &v.Passive
	f.Suite = s.id
	f.KeyPackage = mustMarshal(t, &MLSMessage{KeyPackage: &kb.keyPackage})
	f.SignaturePriv = knownInput(s.id, "signature key of b", 32)
	leafKey, err := kb.leaf.bytes()
	must(err)
	f.EncryptionPriv = slices.Clone(leafKey)
	initKey, err := kb.init.Bytes()
	must(err)
	f.InitPriv = initKey
	f.Welcome = mustMarshal(t, &MLSMessage{Welcome: p.welcome})
	f.Authenticator = b.state.secrets.authenticator
	f.PSKs = append(f.PSKs, struct {
		ID  hexBytes `json:"psk_id"`
		PSK hexBytes `json:"psk"`
	}{[]byte("known"), testPSK})

	protect := func(m *answersMember, a *AuthenticatedContent) []byte {
		epoch, err := m.state.messages(RatchetLimits{})
		must(err)
		raw, err := epoch.protectPrivate(m.tx, rand.Reader, a, PadNone, 0)
		must(err)
		return raw
	}
	say := func(m *answersMember) {
		text := knownInput(s.id, "text of epoch "+string(rune('0'+m.state.context.Epoch)), 40)
		content := &AuthenticatedContent{WireFormat: WireFormatPrivateMessage, Content: FramedContent{GroupID: m.state.context.GroupID, Epoch: m.state.context.Epoch,
			Sender: Sender{SenderMember, uint32(m.state.keys.index)}, AuthenticatedData: []byte("aad"), Type: ContentApplication, Application: text}}
		must(s.sign(rand.Reader, m.signer, content, m.state.encodedContext))
		v.Messages = append(v.Messages, struct {
			Wire      hexBytes `json:"wire"`
			Plaintext hexBytes `json:"plaintext"`
		}{protect(m, content), text})
	}
	epoch := func(commit []byte, next *groupState, proposals ...hexBytes) {
		f.Epochs = append(f.Epochs, struct {
			Proposals     []hexBytes `json:"proposals"`
			Commit        hexBytes   `json:"commit"`
			Authenticator hexBytes   `json:"epoch_authenticator"`
		}{proposals, commit, next.secrets.authenticator})
	}
	say(a)

	// c proposes an Update, a commits it, both privately
	tm := &testMember{name: "c", signer: c.signer, state: c.state, updates: map[string]hpke.PrivateKey{}}
	update := g.update(tm)
	content := &AuthenticatedContent{WireFormat: WireFormatPrivateMessage, Content: FramedContent{GroupID: c.state.context.GroupID, Epoch: c.state.context.Epoch,
		Sender: Sender{SenderMember, uint32(c.state.keys.index)}, Type: ContentProposal, Proposal: update.proposal}}
	must(s.sign(rand.Reader, c.signer, content, c.state.encodedContext))
	cached, err := s.cacheable(verifiedContent{AuthenticatedContent: content})
	must(err)
	proposal := protect(c, content)
	p, err = a.state.makeCommit(rand.Reader, commitRequest{byReference: []cachedProposal{cached}, signer: a.signer, policy: testPolicy, wireFormat: WireFormatPrivateMessage})
	must(err)
	epoch(protect(a, &p.content), p.next, proposal)
	must(a.enter(p.next))
	say(a)

	// d joins from outside
	info, err := a.state.makeGroupInfo(rand.Reader, a.signer, groupInfoOptions{externalPub: true})
	must(err)
	p, err = makeExternalCommit(rand.Reader, externalCommitRequest{info: info, options: od, policy: testPolicy})
	must(err)
	public := &PublicMessage{Content: p.content.Content, Auth: p.content.Auth}
	st, err := a.state.stageCommit(verifiedContent{AuthenticatedContent: &p.content}, commitInputs{policy: testPolicy})
	must(err)
	epoch(mustMarshal(t, &MLSMessage{Public: public}), p.next)
	must(a.enter(st.next))
	say(a)

	// a removes c
	p, err = a.state.makeCommit(rand.Reader, commitRequest{byValue: []Proposal{&Remove{c.state.keys.index}}, signer: a.signer, policy: testPolicy, wireFormat: WireFormatPrivateMessage})
	must(err)
	epoch(protect(a, &p.content), p.next)
	must(a.enter(p.next))
	say(a)
}
