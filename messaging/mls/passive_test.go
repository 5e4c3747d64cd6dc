package mls

import (
	"bytes"
	"crypto/hpke"
	"errors"
	"fmt"
	"math"
	"testing"
)

// openIdentity takes every credential, as the vectors' groups do.
type openIdentity struct{}

func (openIdentity) ValidateMember(Credential, SignaturePublicKey) error { return nil }
func (openIdentity) ValidateExternalSender(ExternalSender) error         { return nil }
func (openIdentity) SameClient(a, b Credential) bool {
	return a.Type == b.Type && bytes.Equal(a.Identity, b.Identity) && len(a.Identity) > 0
}
func (openIdentity) ValidSuccessor(a, b Credential) error { return nil }

type passiveVector struct {
	Suite          CipherSuite `json:"cipher_suite"`
	KeyPackage     hexBytes    `json:"key_package"`
	SignaturePriv  hexBytes    `json:"signature_priv"`
	EncryptionPriv hexBytes    `json:"encryption_priv"`
	InitPriv       hexBytes    `json:"init_priv"`
	Welcome        hexBytes    `json:"welcome"`
	Tree           hexBytes    `json:"ratchet_tree"`
	Authenticator  hexBytes    `json:"initial_epoch_authenticator"`
	PSKs           []struct {
		ID  hexBytes `json:"psk_id"`
		PSK hexBytes `json:"psk"`
	} `json:"external_psks"`
	Epochs []struct {
		Proposals     []hexBytes `json:"proposals"`
		Commit        hexBytes   `json:"commit"`
		Authenticator hexBytes   `json:"epoch_authenticator"`
	} `json:"epochs"`
}

// passiveClient is the least client: it joins and follows. It keeps everything, as no real one may.
type passiveClient struct {
	state      *groupState
	tx         *memoryTx
	psks       map[string][]byte
	resumption map[string][]byte
	proposals  map[string]cachedProposal
}

// vectorPolicy lies inside the lifetimes of all key packages of the vectors, some of which never end.
var vectorPolicy = leafPolicy{identity: openIdentity{}, now: 1_700_000_000, lifetimeMax: math.MaxUint64}

func (c *passiveClient) psk(id *PreSharedKeyID) ([]byte, error) {
	if id.Type == PSKExternal {
		if psk, ok := c.psks[string(id.ID)]; ok {
			return bytes.Clone(psk), nil
		}
		return nil, errors.New("unknown external PSK")
	}
	if psk, ok := c.resumption[fmt.Sprintf("%x/%d", id.GroupID, id.Epoch)]; ok {
		return bytes.Clone(psk), nil
	}
	return nil, errors.New("unknown resumption PSK")
}

// enter makes state the current one.
func (c *passiveClient) enter(g *groupState) error {
	c.state, c.proposals = g, map[string]cachedProposal{}
	c.resumption[fmt.Sprintf("%x/%d", g.context.GroupID, g.context.Epoch)] = bytes.Clone(g.secrets.resumption)
	m, err := g.messages(RatchetLimits{})
	if err != nil {
		return err
	}
	err = m.tree.create(c.tx, g.secrets.encryption)
	g.secrets.encryption = nil
	return err
}

func newPassiveClient(v *passiveVector) (*passiveClient, error) {
	s, err := lookupSuite(v.Suite)
	if err != nil {
		return nil, err
	}
	c := &passiveClient{tx: newMemoryTx(), psks: map[string][]byte{}, resumption: map[string][]byte{}}
	for _, p := range v.PSKs {
		c.psks[string(p.ID)] = p.PSK
	}
	kp, err := ParseMLSMessage(v.KeyPackage)
	if err != nil {
		return nil, err
	}
	w, err := ParseMLSMessage(v.Welcome)
	if err != nil {
		return nil, err
	}
	in := joinInputs{keyPackage: kp.KeyPackage, tree: v.Tree, psk: c.psk, policy: vectorPolicy}
	if in.initKey, err = vectorPrivateKey(s, v.InitPriv); err != nil {
		return nil, err
	}
	leafKey, err := vectorPrivateKey(s, v.EncryptionPriv)
	if err != nil {
		return nil, err
	}
	in.leafKey = keep(leafKey)
	j, err := join(w.Welcome, in)
	if err != nil {
		return nil, err
	}
	return c, c.enter(j.state)
}

// vectorPrivateKey parses an HPKE private key of a vector. Some of suite 5 lack leading zero octets.
func vectorPrivateKey(s *suite, raw []byte) (hpke.PrivateKey, error) {
	if s.id == P521AES256GCM && len(raw) < 66 {
		raw = append(make([]byte, 66-len(raw)), raw...)
	}
	return s.kem.NewPrivateKey(raw)
}

// receive opens a handshake message.
func (c *passiveClient) receive(raw []byte) (verifiedContent, error) {
	m, err := ParseMLSMessage(raw)
	if err != nil {
		return verifiedContent{}, err
	}
	epoch, err := c.state.messages(RatchetLimits{})
	if err != nil {
		return verifiedContent{}, err
	}
	u := new(unverifiedContent)
	if m.Private != nil {
		err = epoch.openPrivate(c.tx, m.Private, 0, u)
	} else {
		err = epoch.openPublic(m.Public, u)
	}
	if err != nil {
		return verifiedContent{}, err
	}
	v, err := epoch.verify(u)
	if err == nil && v.step != nil {
		err = v.step.commit(c.tx, 0)
	}
	return v, err
}

func (c *passiveClient) propose(raw []byte) error {
	v, err := c.receive(raw)
	if err != nil {
		return err
	}
	encoded, err := marshal(v.AuthenticatedContent)
	if err != nil {
		return err
	}
	ref := c.state.suite.proposalRef(encoded)
	c.proposals[string(ref)] = cachedProposal{ref, v.Content.Proposal, v.Content.Sender}
	return nil
}

func (c *passiveClient) commit(raw []byte) (*stagedCommit, error) {
	v, err := c.receive(raw)
	if err != nil {
		return nil, err
	}
	return c.state.stageCommit(v, commitInputs{
		proposals: func(ref []byte) (cachedProposal, bool) { p, ok := c.proposals[string(ref)]; return p, ok },
		psk:       c.psk, updateKey: func(HPKEPublicKey) (hpke.PrivateKey, bool) { return nil, false },
		policy: vectorPolicy,
	})
}

func TestVectorPassiveClients(t *testing.T) {
	for _, file := range []string{
		"passive-client-welcome", "passive-client-handling-commit", "interop-passive/welcome_join", "interop-passive/application", "interop-passive/commit",
		"interop-passive/external_join", "interop-passive/external_proposals", "interop-passive/branch", "interop-passive/reinit",
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			entries, epochs, refused := 0, 0, 0
			for i, v := range vectors[passiveVector](t, file+".json") {
				if vectorSuite(t, v.Suite) == nil {
					if _, err := newPassiveClient(&v); !errors.As(err, new(*UnsupportedSuiteError)) {
						t.Fatalf("entry %d: suite %d: %v", i, v.Suite, err)
					}
					refused++
					continue
				}
				entries++
				c, err := newPassiveClient(&v)
				if err != nil {
					t.Errorf("entry %d, suite %d: join: %v", i, v.Suite, err)
					continue
				}
				want(t, "initial_epoch_authenticator", c.state.secrets.authenticator, v.Authenticator)
				for n, e := range v.Epochs {
					for _, p := range e.Proposals {
						if err := c.propose(p); err != nil {
							t.Errorf("entry %d, suite %d, epoch %d: proposal: %v", i, v.Suite, n, err)
						}
					}
					st, err := c.commit(e.Commit)
					if err != nil {
						t.Errorf("entry %d, suite %d, epoch %d: commit: %v", i, v.Suite, n, err)
						break
					}
					if st.next == nil {
						break
					}
					if err := c.enter(st.next); err != nil {
						t.Fatal(err)
					}
					want(t, "epoch_authenticator", c.state.secrets.authenticator, e.Authenticator)
					epochs++
				}
			}
			t.Logf("%d entries, %d epochs; %d of unsupported suites refused", entries, epochs, refused)
		})
	}
}

func TestVectorWelcome(t *testing.T) {
	entries := 0
	for i, v := range vectors[struct {
		Suite      CipherSuite `json:"cipher_suite"`
		InitPriv   hexBytes    `json:"init_priv"`
		KeyPackage hexBytes    `json:"key_package"`
		SignerPub  hexBytes    `json:"signer_pub"`
		Welcome    hexBytes
	}](t, "welcome.json") {
		s := vectorSuite(t, v.Suite)
		if s == nil {
			continue
		}
		entries++
		kp, err := ParseMLSMessage(v.KeyPackage)
		if err != nil {
			t.Fatal(err)
		}
		w, err := ParseMLSMessage(v.Welcome)
		if err != nil {
			t.Fatal(err)
		}
		key, err := vectorPrivateKey(s, v.InitPriv)
		if err != nil {
			t.Fatal(err)
		}
		secrets, err := openGroupSecrets(s, w.Welcome, joinInputs{keyPackage: kp.KeyPackage, initKey: key})
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		member := s.memberSecret(secrets.JoinerSecret, nil)
		info, err := openGroupInfo(s, member, w.Welcome.EncryptedGroupInfo)
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		var tbs encoder
		info.encodeTBS(&tbs)
		if err := s.verifyWithLabel(SignaturePublicKey(v.SignerPub), "GroupInfoTBS", tbs.buf, info.Signature); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
		g := &groupState{suite: s}
		if err := g.setContext(info.Context); err != nil {
			t.Fatal(err)
		}
		if err := g.confirmEpoch(member, info.ConfirmationTag); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
		for n := range info.ConfirmationTag {
			if err := g.confirmEpoch(member, info.ConfirmationTag[:n]); err == nil {
				t.Fatalf("a confirmation tag of %d octets was accepted", n)
			}
		}
	}
	t.Logf("%d entries", entries)
}
