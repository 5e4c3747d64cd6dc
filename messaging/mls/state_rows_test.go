package mls

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
)

// Every state that the passive vectors lead to is stored, loaded again, and only the loaded one goes on. What an ended epoch
// leaves in the store is checked by searching for its secrets.
func TestStateRows(t *testing.T) {
	limits := epochLimits{past: 1, pastSeconds: 60, resumptions: 2}
	states := 0
	for i, v := range vectors[passiveVector](t, "passive-client-handling-commit.json") {
		if vectorSuite(t, v.Suite) == nil {
			continue
		}
		c, err := newPassiveClient(&v)
		if err != nil {
			t.Fatal(err)
		}
		c.tx = newMemoryTx()
		c.state.secrets.encryption = bytes.Repeat([]byte{1}, c.state.suite.nh) // enter has taken the real one
		first := c.state
		initSecret := bytes.Clone(first.secrets.init)
		external := bytes.Clone(first.secrets.external)
		if err := first.begin(c.tx, nil, limits, 0); err != nil {
			t.Fatal(err)
		}
		loaded, err := loadState(c.tx)
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		for n, pair := range [][2][]byte{
			{first.encodedContext, loaded.encodedContext}, {first.interim, loaded.interim}, {first.secrets.init, loaded.secrets.init},
			{first.secrets.resumption, loaded.secrets.resumption}, {mustMarshal(t, first.tree), mustMarshal(t, loaded.tree)},
		} {
			want(t, fmt.Sprintf("part %d of the loaded state", n), pair[1], pair[0])
		}
		c.state = loaded
		follow := func(e int) *groupState {
			for _, p := range v.Epochs[e].Proposals {
				if err := c.propose(p); err != nil {
					t.Fatal(err)
				}
			}
			st, err := c.commit(v.Epochs[e].Commit)
			if err != nil {
				t.Fatalf("entry %d: %v", i, err)
			}
			c.proposals = map[string]cachedProposal{}
			return st.next
		}
		if private := v.Epochs[0].Commit[3] == byte(WireFormatPrivateMessage); private {
			continue // its ratchets went with the real encryption secret
		}
		next := follow(0)
		encryption := bytes.Clone(next.secrets.encryption)
		if err := next.begin(c.tx, loaded, limits, 0); err != nil {
			t.Fatal(err)
		}
		want(t, "epoch_authenticator", next.secrets.authenticator, v.Epochs[0].Authenticator)
		if loaded.secrets.init != nil {
			t.Error("the ended epoch still has its init secret")
		}
		for k, row := range c.tx.rows {
			if bytes.Contains(row, initSecret) || bytes.Contains(row, external) {
				t.Errorf("row %d of epoch %d still has a secret of the ended epoch", k.Row, k.Epoch)
			}
			if k.Row != RowNode && bytes.Contains(row, encryption) {
				t.Errorf("row %d has the encryption secret", k.Row)
			}
		}
		epoch := first.context.Epoch
		if _, err := loadPast(c.tx, first.suite, epoch, RatchetLimits{}, 60); err != nil {
			t.Errorf("the past epoch within its time: %v", err)
		}
		if _, err := loadPast(c.tx, first.suite, epoch, RatchetLimits{}, 61); !errors.Is(err, ErrEpochGone) {
			t.Errorf("the past epoch after its time: %v", err)
		}
		past, err := loadPast(c.tx, first.suite, epoch, RatchetLimits{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		for l := range past.own + 40 {
			_, errPast := past.verifyKey(l)
			_, errTree := first.tree.verifyKey(l)
			if (errPast == nil) != (errTree == nil) {
				t.Errorf("leaf %d: %v in the past epoch, %v in its tree", l, errPast, errTree)
			}
		}
		states++
		// One more epoch: the past one falls out of the number kept.
		final := *next
		final.context.Epoch++
		if err := final.setContext(final.context); err != nil {
			t.Fatal(err)
		}
		final.secrets = &epochSecrets{init: encryption, senderData: encryption, encryption: bytes.Clone(encryption)}
		if err := final.begin(c.tx, next, limits, 0); err != nil {
			t.Fatal(err)
		}
		for k := range c.tx.rows {
			if k.Epoch == epoch && k.Row != RowResumption && k.Row != RowEpoch && k.Row != RowSecrets {
				t.Errorf("row %d of an epoch two commits ago is still there", k.Row)
			}
		}
	}
	if states == 0 {
		t.Fatal("no state was checked")
	}
	t.Logf("%d states", states)
}

func FuzzStateRows(f *testing.F) {
	f.Add(uint8(0), []byte{1, 0, 1, 0, 1})
	f.Add(uint8(1), make([]byte, 40))
	f.Fuzz(func(t *testing.T, kind uint8, row []byte) {
		s, _ := lookupSuite(X25519AES128GCM)
		switch kind % 2 {
		case 0:
			if g, own, err := decodeEpoch(bytes.Clone(row)); err == nil {
				_ = g.decodeSecrets(bytes.Clone(row), own)
			}
		case 1:
			_, _ = decodePast(s, 1, bytes.Clone(row), RatchetLimits{})
		}
	})
}

// TestKeptKeys proves that a key is the same after it was kept, whether parsed or as a seed, and that a post-quantum key is not kept
// parsed: it would take 8 KiB.
func TestKeptKeys(t *testing.T) {
	for id, s := range suites {
		key, err := s.newKeyPair(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := s.encryptWithLabel(key.PublicKey(), "test", []byte("context"), []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		made := keep(key)
		if (made.parsed == nil) != id.PostQuantum() {
			t.Errorf("%v: kept parsed: %v", id, made.parsed != nil)
		}
		raw, err := made.bytes()
		if err != nil {
			t.Fatal(err)
		}
		for _, public := range []HPKEPublicKey{nil, made.public} {
			loaded, err := s.parseKept(raw, public)
			if err != nil || !bytes.Equal(loaded.public, key.PublicKey().Bytes()) {
				t.Fatalf("%v: %v, %v", id, loaded.public, err)
			}
			opened, err := loaded.open(s)
			if err != nil {
				t.Fatal(err)
			}
			if plain, err := s.decryptWithLabel(opened, "test", []byte("context"), sealed); err != nil || string(plain) != "secret" {
				t.Errorf("%v: %q, %v", id, plain, err)
			}
		}
		if _, err := s.parseKept(raw[1:], made.public); err == nil {
			t.Errorf("%v: a key of %d octets was taken", id, len(raw)-1)
		}
	}
}
