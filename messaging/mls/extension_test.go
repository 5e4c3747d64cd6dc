package mls

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
)

// Extensions that this package does not know, those of MIMI among them (app_data_dictionary, 0x0006), and GREASE values pass through
// leaves, key packages, the group and its GroupInfo, as long as members list them.
func TestUnknownExtensionsSurvive(t *testing.T) {
	const dictionary = ExtensionType(0x0006)
	s, _ := lookupSuite(X25519AES128GCM)
	data := []byte("what another implementation put there")
	options := func(name string) (KeyPackageOptions, *testMember) {
		m := newTestMember(t, s, name)
		o := testOptions(s, m)
		o.Capabilities = Capabilities{Extensions: []ExtensionType{dictionary, 0x1A1A}, Proposals: []ProposalType{0x0008, 0x2A2A},
			Credentials: []CredentialType{0x0003, 0x3A3A}, CipherSuites: []CipherSuite{0x4A4A, 0x0099}, Versions: []ProtocolVersion{9}}
		o.LeafExtensions = Extensions{{dictionary, data}, {0x1A1A, nil}}
		o.Extensions = Extensions{{dictionary, data}}
		return o, m
	}
	oa, a := options("a")
	g, err := createGroup(rand.Reader, []byte("g"), oa, Extensions{{dictionary, data}}, testPolicy)
	if err != nil {
		t.Fatal(err)
	}
	ob, _ := options("b")
	k, err := s.newKeyPackage(rand.Reader, ob)
	if err != nil {
		t.Fatal(err)
	}
	req := commitRequest{byValue: []Proposal{&Add{k.keyPackage}}, signer: a.signer, policy: testPolicy, wireFormat: WireFormatPublicMessage,
		groupInfo: groupInfoOptions{extensions: Extensions{{0x5A5A, data}, {dictionary, data}}}}
	p, err := g.makeCommit(rand.Reader, req)
	if err != nil {
		t.Fatal(err)
	}
	j, err := join(p.welcome, joinInputs{keyPackage: &k.keyPackage, initKey: k.init, leafKey: k.leaf, policy: testPolicy})
	if err != nil {
		t.Fatal(err)
	}
	for i := range LeafIndex(2) {
		leaf := j.state.tree.leaf(i)
		if got, ok := leaf.Extensions.Find(dictionary); !ok || !bytes.Equal(got, data) {
			t.Errorf("leaf %d lost its extension", i)
		}
		if len(leaf.Capabilities.Extensions) < 2 || len(leaf.Capabilities.Proposals) < 2 || len(leaf.Capabilities.Credentials) < 3 {
			t.Errorf("leaf %d lost capabilities: %+v", i, leaf.Capabilities)
		}
	}
	if got, ok := j.state.context.Extensions.Find(dictionary); !ok || !bytes.Equal(got, data) {
		t.Error("the group lost its extension")
	}
	// a member that does not list the group's extension is not let in
	oc, _ := options("c")
	oc.Capabilities.Extensions, oc.LeafExtensions, oc.Extensions = nil, nil, nil
	oc.OmitGREASE = true
	lacking, err := s.newKeyPackage(rand.Reader, oc)
	if err != nil {
		t.Fatal(err)
	}
	_, err = j.state.apply(&proposalList{adds: []*Add{{lacking.keyPackage}}}, testPolicy)
	wantRule(t, err, "10.1")
}

// A proposal or credential of a type that is not known has no length of its own: whatever holds it is refused, and says so.
func TestUnknownProposalRefused(t *testing.T) {
	for _, typ := range []uint16{0, 8, 9, 0x0A0A, 0xF004, 0xFFFF} {
		var e encoder
		e.u16(typ)
		e.opaque([]byte("body"))
		d := newDecoder("Proposal", e.buf)
		got := decodeProposal(d)
		var unsupported *UnsupportedTypeError
		if err := d.finish(); got != nil || !errors.As(err, &unsupported) || unsupported.Registry != "proposal type" || unsupported.Value != typ {
			t.Errorf("proposal type %#x: %v", typ, err)
		}
		var c Credential
		if err := unmarshal("Credential", e.buf, &c); !errors.As(err, &unsupported) || unsupported.Registry != "credential type" {
			t.Errorf("credential type %#x: %v", typ, err)
		}
	}
	var self SelfRemove
	raw := mustMarshal(t, &ProposalOrRef{Proposal: &self})
	var back ProposalOrRef
	if err := unmarshal("ProposalOrRef", raw, &back); err != nil || !bytes.Equal(raw, []byte{1, 0, 10}) || back.Proposal.Type() != ProposalSelfRemove {
		t.Errorf("SelfRemove encodes to %x: %v", raw, err)
	}
}
