package interop

import (
	"bytes"
	"strings"
	"testing"

	"github.com/parleypay/parley/messaging/mls"
	"github.com/thomas-vilte/mls-go/ciphersuite"
	"github.com/thomas-vilte/mls-go/group"
)

// TestMLSGoSuites compares the code points that both sides give to suites, and pins down which of ours mls-go lacks.
func TestMLSGoSuites(t *testing.T) {
	for ours, theirs := range map[mls.CipherSuite]ciphersuite.CipherSuite{
		mls.X25519AES128GCM:        ciphersuite.MLS128DHKEMX25519,
		mls.P256AES128GCM:          ciphersuite.MLS128DHKEMP256,
		mls.X25519ChaCha20Poly1305: ciphersuite.MLS128DHKEMX25519ChaCha20,
		mls.P521AES256GCM:          ciphersuite.MLS256DHKEMP521AES256GCM,
		mls.P384AES256GCM:          ciphersuite.MLS256DHKEMP384AES256GCM,
	} {
		if !ours.Supported() || uint16(ours) != uint16(theirs) {
			t.Errorf("suite %v is %d there", ours, theirs)
		}
		if want := ours != mls.P384AES256GCM; theirs.IsSupported() != want {
			t.Errorf("suite %v: supported by mls-go: %t", ours, !want)
		}
	}
}

// TestMLSGoFaults pins down what the harness works around, so that a repaired mls-go is noticed.
func TestMLSGoFaults(t *testing.T) {
	c := &goClient{Profile: Profile{Identity: "alice"}, psks: map[string][]byte{}}
	p, err := c.newPackage(1)
	if err != nil {
		t.Fatal(err)
	}
	var epochs [2]*group.Group
	for i := range epochs {
		if epochs[i], err = group.NewGroup(group.NewGroupID([]byte("id")), 1, p.public, p.private); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(epochs[0].EpochAuthenticator(), epochs[1].EpochAuthenticator()) {
		t.Error("the secrets of epoch 0 are random now, as RFC 9420 §11 wants")
	}
	info, err := epochs[0].GetGroupInfo(p.private.GetSignaturePrivateKey())
	if err != nil {
		t.Fatal(err)
	}
	if len(info.ConfirmationTag) != 0 {
		t.Error("the GroupInfo of epoch 0 has a confirmation tag now: LackFirstInfo can go")
	}

	padded := Config{Suite: 1, Private: true, Cast: map[string]Implementation{"alice": Ours, "bob": MLSGo}}
	reader := padded.Cast["bob"]
	reader.Lacks &^= LackPadding
	padded.Cast["bob"] = reader
	update := Script{Actions: []Action{{Action: "createGroup", Actor: "alice", Members: []string{"bob"}}, {Action: "fullCommit", Actor: "alice", Members: []string{"bob"}}}}
	if err := Run(update, padded); err == nil || !strings.Contains(err.Error(), "unable to locate raw handshake body") {
		t.Errorf("a padded private commit: %v; if it is read now, LackPadding can go", err)
	}
}
