package mls

import (
	"bytes"
	"crypto"
	"encoding/gob"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

const forwardSecrecyDir = "PARLEY_MLS_FORWARD_SECRECY_DIR"

// Consumed keys are gone: a process of its own lets two members exchange messages, some of them out of order, then dumps its heap
// and their stores. This process, which has the rows from before the messages, derives every secret that could open one of them,
// and looks for each by value. A secret that must still be there shows that the search can find.
func TestForwardSecrecyByExtraction(t *testing.T) {
	if os.Getenv(forwardSecrecyDir) != "" {
		exchangeAndDump(t, os.Getenv(forwardSecrecyDir))
		return
	}
	for _, suite := range []CipherSuite{X25519AES128GCM, XWingAES256GCM} {
		t.Run(suite.String(), func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.Command(os.Args[0], "-test.run=^TestForwardSecrecyByExtraction$")
			cmd.Env = append(os.Environ(), forwardSecrecyDir+"="+dir, fmt.Sprintf("%s_SUITE=%d", forwardSecrecyDir, suite))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			heap, err := os.ReadFile(filepath.Join(dir, "heap"))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"sender", "receiver"} {
				searchConsumed(t, suite, name, readRows(t, filepath.Join(dir, name+".before")), readRows(t, filepath.Join(dir, name+".after")), heap)
			}
		})
	}
}

const (
	extractedMessages = 12
)

// searchConsumed looks in heap and in the rows after the exchange for what the rows before it lead to.
func searchConsumed(t *testing.T, id CipherSuite, name string, before, after *memoryTx, heap []byte) {
	s, err := lookupSuite(id)
	if err != nil {
		t.Fatal(err)
	}
	g, err := loadState(before.clone())
	if err != nil || g == nil {
		t.Fatalf("%s: no group in the rows from before: %v", name, err)
	}
	var store []byte
	for _, row := range after.rows {
		store = append(append(store, row...), 0)
	}
	look := func(what string, secret []byte, want bool) {
		t.Helper()
		if got := bytes.Contains(store, secret); got != want {
			t.Errorf("%s: %s in the store: %t, want %t", name, what, got, want)
		}
		if got := bytes.Contains(heap, secret); got != want {
			t.Errorf("%s: %s in the heap: %t, want %t", name, what, got, want)
		}
	}
	look("the epoch's resumption secret, which is still needed,", g.secrets.resumption, true)

	depth := uint8(g.tree.root().level())
	tree := secretTree{suite: s, epoch: g.context.Epoch, depth: depth, limits: RatchetLimits{}.withDefaults()}
	root := before.rows[tree.nodeKey(0, depth)]
	if len(root) != 1+s.nh {
		t.Fatalf("%s: the secret tree had no root before the exchange", name)
	}
	look("the encryption secret", root[1:], false)
	node := bytes.Clone(root[1:])
	for l := depth; l > 0; l-- { // the sender's leaf is the leftmost
		node = s.expandWithLabel(node, "tree", []byte("left"), s.nh)
		look(fmt.Sprintf("the tree node at level %d", l-1), node, false)
	}
	secret := s.expandWithLabel(node, "application", nil, s.nh)
	for generation := range uint32(extractedMessages) {
		look(fmt.Sprintf("ratchet secret %d", generation), secret, false)
		look(fmt.Sprintf("key %d", generation), s.deriveTreeSecret(secret, "key", generation, s.nk), false)
		look(fmt.Sprintf("nonce %d", generation), s.deriveTreeSecret(secret, "nonce", generation, s.nn), false)
		secret = s.deriveTreeSecret(secret, "secret", generation, s.nh)
	}
	if !bytes.Contains(store, secret) {
		t.Errorf("%s: the next ratchet secret is not in the store: the derivation here is not that of the core", name)
	}
}

// exchangeAndDump is the other process.
func exchangeAndDump(t *testing.T, dir string) {
	var id CipherSuite
	if _, err := fmt.Sscan(os.Getenv(forwardSecrecyDir+"_SUITE"), &id); err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	newClient := func(name string) (*Client, KeyPackageOptions) {
		signer, err := id.GenerateSignatureKey()
		must(err)
		c, err := NewClient(Config{Identity: extractionIdentity{}, Signers: []crypto.Signer{signer}, Now: time.Now})
		must(err)
		return c, KeyPackageOptions{Suite: id, Credential: Credential{Type: CredentialBasic, Identity: []byte(name)}}
	}
	senderStore, receiverStore := newMemoryTx(), newMemoryTx()
	sender, senderOptions := newClient("sender")
	receiver, receiverOptions := newClient("receiver")
	kp, err := receiver.NewKeyPackage(receiverStore, receiverOptions)
	must(err)
	a, err := sender.Create(senderStore, []byte("extraction"), senderOptions, nil)
	must(err)
	p, err := a.Commit(senderStore, CommitOptions{Proposals: []Proposal{&Add{KeyPackage: *kp}}, Path: true})
	must(err)
	welcome, err := ParseMLSMessage(p.Welcome())
	must(err)
	a, err = a.Confirm(senderStore, p)
	must(err)
	joining, err := receiver.Join(receiverStore, welcome.Welcome, JoinOptions{})
	must(err)
	b, err := joining.Accept(receiverStore)
	must(err)
	writeRows(t, filepath.Join(dir, "sender.before"), senderStore)
	writeRows(t, filepath.Join(dir, "receiver.before"), receiverStore)

	var messages [][]byte
	for i := range extractedMessages {
		m, err := a.Seal(senderStore, fmt.Appendf(nil, "message %d", i), nil)
		must(err)
		messages = append(messages, m)
	}
	for i := range extractedMessages / 2 { // in pairs, the later one first: half of the keys wait as rows
		for _, at := range []int{2*i + 1, 2 * i} {
			_, err := b.Process(receiverStore, messages[at])
			must(err)
		}
	}
	writeRows(t, filepath.Join(dir, "sender.after"), senderStore)
	writeRows(t, filepath.Join(dir, "receiver.after"), receiverStore)
	for range 3 { // objects that are dead, sweeping and pools
		runtime.GC()
	}
	debug.FreeOSMemory()
	f, err := os.Create(filepath.Join(dir, "heap"))
	must(err)
	debug.WriteHeapDump(f.Fd())
	must(f.Close())
	runtime.KeepAlive([]any{a, b, senderStore, receiverStore, messages})
}

// extractionIdentity knows two clients by their names.
type extractionIdentity struct{}

func (extractionIdentity) ValidateMember(Credential, SignaturePublicKey) error { return nil }
func (extractionIdentity) ValidateExternalSender(ExternalSender) error         { return os.ErrPermission }
func (extractionIdentity) SameClient(a, b Credential) bool {
	return bytes.Equal(a.Identity, b.Identity)
}
func (extractionIdentity) ValidSuccessor(a, b Credential) error { return nil }

func writeRows(t *testing.T, name string, tx *memoryTx) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for k, v := range tx.rows { // one row at a time, wiped: this process is searched
		var buf bytes.Buffer
		if err := gob.NewEncoder(&buf).Encode(extractedRow{k, v}); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(f, "%08d", buf.Len()); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(buf.Bytes()); err != nil {
			t.Fatal(err)
		}
		clear(buf.Bytes())
	}
}

type extractedRow struct {
	Key   Key
	Value []byte
}

func readRows(t *testing.T, name string) *memoryTx {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	tx := newMemoryTx()
	for len(b) > 0 {
		var n int
		if _, err := fmt.Sscanf(string(b[:8]), "%08d", &n); err != nil {
			t.Fatal(err)
		}
		var row extractedRow
		if err := gob.NewDecoder(bytes.NewReader(b[8 : 8+n])).Decode(&row); err != nil {
			t.Fatal(err)
		}
		tx.rows[row.Key] = row.Value
		b = b[8+n:]
	}
	return tx
}
