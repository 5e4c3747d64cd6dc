package mls

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
)

func want(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %x, want %x", what, got, want)
	}
}

func TestVectorKeySchedule(t *testing.T) {
	type epoch struct {
		CommitSecret    hexBytes `json:"commit_secret"`
		PSKSecret       hexBytes `json:"psk_secret"`
		GroupContext    hexBytes `json:"group_context"`
		JoinerSecret    hexBytes `json:"joiner_secret"`
		WelcomeSecret   hexBytes `json:"welcome_secret"`
		Init            hexBytes `json:"init_secret"`
		SenderData      hexBytes `json:"sender_data_secret"`
		Encryption      hexBytes `json:"encryption_secret"`
		Exporter        hexBytes `json:"exporter_secret"`
		Authenticator   hexBytes `json:"epoch_authenticator"`
		External        hexBytes `json:"external_secret"`
		ExternalPub     hexBytes `json:"external_pub"`
		ConfirmationKey hexBytes `json:"confirmation_key"`
		MembershipKey   hexBytes `json:"membership_key"`
		ResumptionPSK   hexBytes `json:"resumption_psk"`
		Export          struct {
			Label   string
			Context hexBytes
			Length  int
			Secret  hexBytes
		} `json:"exporter"`
	}
	entries, epochs := 0, 0
	for _, v := range vectors[struct {
		Suite   CipherSuite `json:"cipher_suite"`
		Initial hexBytes    `json:"initial_init_secret"`
		Epochs  []epoch
	}](t, "key-schedule.json") {
		s := vectorSuite(t, v.Suite)
		if s == nil {
			continue
		}
		entries++
		last := []byte(v.Initial)
		for _, e := range v.Epochs {
			epochs++
			joiner := s.joinerSecret(last, e.CommitSecret, e.GroupContext)
			want(t, "joiner_secret", joiner, e.JoinerSecret)
			member := s.memberSecret(joiner, e.PSKSecret)
			want(t, "welcome_secret", s.deriveSecret(member, "welcome"), e.WelcomeSecret)
			got := s.epochSecrets(member, e.GroupContext)
			want(t, "init", got.init, e.Init)
			want(t, "sender data", got.senderData, e.SenderData)
			want(t, "encryption", got.encryption, e.Encryption)
			want(t, "exporter", got.exporter, e.Exporter)
			want(t, "authenticator", got.authenticator, e.Authenticator)
			want(t, "external", got.external, e.External)
			want(t, "confirmation", got.confirmation, e.ConfirmationKey)
			want(t, "membership", got.membership, e.MembershipKey)
			want(t, "resumption", got.resumption, e.ResumptionPSK)
			external, err := s.deriveKeyPair(got.external)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "external_pub", external.PublicKey().Bytes(), e.ExternalPub)
			exported, err := s.export(got.exporter, e.Export.Label, e.Export.Context, e.Export.Length)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "exporter", exported, e.Export.Secret)
			last = got.init
		}
	}
	t.Logf("%d entries, %d epochs", entries, epochs)
}

func TestVectorPSKSecret(t *testing.T) {
	entries := 0
	for _, v := range vectors[struct {
		Suite CipherSuite `json:"cipher_suite"`
		PSKs  []struct {
			ID    hexBytes `json:"psk_id"`
			PSK   hexBytes
			Nonce hexBytes `json:"psk_nonce"`
		}
		Secret hexBytes `json:"psk_secret"`
	}](t, "psk_secret.json") {
		s := vectorSuite(t, v.Suite)
		if s == nil {
			continue
		}
		entries++
		var list []pskInput
		for _, p := range v.PSKs {
			list = append(list, pskInput{PreSharedKeyID{Type: PSKExternal, ID: p.ID, Nonce: p.Nonce}, p.PSK})
		}
		got, err := s.pskSecret(list)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "psk_secret", s.orZero(got), v.Secret)
	}
	t.Logf("%d entries", entries)
}

func TestVectorSecretTree(t *testing.T) {
	entries, keys := 0, 0
	for _, v := range vectors[struct {
		Suite      CipherSuite `json:"cipher_suite"`
		Encryption hexBytes    `json:"encryption_secret"`
		SenderData struct {
			Secret     hexBytes `json:"sender_data_secret"`
			Ciphertext hexBytes
			Key, Nonce hexBytes
		} `json:"sender_data"`
		Leaves [][]struct {
			Generation       uint32
			ApplicationKey   hexBytes `json:"application_key"`
			ApplicationNonce hexBytes `json:"application_nonce"`
			HandshakeKey     hexBytes `json:"handshake_key"`
			HandshakeNonce   hexBytes `json:"handshake_nonce"`
		}
	}](t, "secret-tree.json") {
		s := vectorSuite(t, v.Suite)
		if s == nil {
			continue
		}
		entries++
		var data messageKey
		s.senderDataKey(&data, v.SenderData.Secret, v.SenderData.Ciphertext)
		want(t, "sender data key", data.key[:s.nk], v.SenderData.Key)
		want(t, "sender data nonce", data.nonce[:s.nn], v.SenderData.Nonce)

		tx := newMemoryTx()
		tree := &secretTree{suite: s, epoch: 3, depth: depthOf(len(v.Leaves)), limits: RatchetLimits{}.withDefaults()}
		if err := tree.create(tx, bytes.Clone(v.Encryption)); err != nil {
			t.Fatal(err)
		}
		for leaf, generations := range v.Leaves {
			for _, g := range generations {
				for r, expect := range map[Ratchet][2]hexBytes{
					RatchetApplication: {g.ApplicationKey, g.ApplicationNonce}, RatchetHandshake: {g.HandshakeKey, g.HandshakeNonce},
				} {
					keys++
					var step ratchetStep
					if err := tree.receive(tx, &step, uint32(leaf), r, g.Generation, 0); err != nil {
						t.Fatalf("leaf %d generation %d: %v", leaf, g.Generation, err)
					}
					want(t, "key", step.key[:s.nk], expect[0])
					want(t, "nonce", step.nonce[:s.nn], expect[1])
					if err := step.commit(tx, 0); err != nil {
						t.Fatal(err)
					}
					step.wipe()
					if err := tree.receive(tx, &step, uint32(leaf), r, g.Generation, 0); !errors.Is(err, ErrConsumed) {
						t.Fatalf("leaf %d generation %d a second time: %v", leaf, g.Generation, err)
					}
				}
			}
		}
		if err := tree.drop(tx); err != nil {
			t.Fatal(err)
		}
		if len(tx.rows) != 0 {
			t.Fatalf("%d rows left after drop", len(tx.rows))
		}
	}
	t.Logf("%d entries, %d keys", entries, keys)
}

func TestVectorTranscriptHashes(t *testing.T) {
	entries := 0
	for _, v := range vectors[struct {
		Suite           CipherSuite `json:"cipher_suite"`
		ConfirmationKey hexBytes    `json:"confirmation_key"`
		Content         hexBytes    `json:"authenticated_content"`
		InterimBefore   hexBytes    `json:"interim_transcript_hash_before"`
		ConfirmedAfter  hexBytes    `json:"confirmed_transcript_hash_after"`
		InterimAfter    hexBytes    `json:"interim_transcript_hash_after"`
	}](t, "transcript-hashes.json") {
		s := vectorSuite(t, v.Suite)
		if s == nil {
			continue
		}
		entries++
		var a AuthenticatedContent
		if err := parse("AuthenticatedContent", v.Content, &a); err != nil {
			t.Fatal(err)
		}
		confirmed, err := s.confirmedTranscriptHash(v.InterimBefore, &a)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "confirmed", confirmed, v.ConfirmedAfter)
		tag := s.confirmationTag(&epochSecrets{confirmation: v.ConfirmationKey}, confirmed)
		want(t, "confirmation_tag", tag, a.Auth.ConfirmationTag)
		if !s.verifyMAC(tag, a.Auth.ConfirmationTag) || s.verifyMAC(tag, tag[:16]) || s.verifyMAC(tag, nil) || s.verifyMAC(nil, nil) {
			t.Error("verifyMAC accepts a prefix or refuses the tag")
		}
		want(t, "interim", s.interimTranscriptHash(confirmed, tag), v.InterimAfter)
	}
	t.Logf("%d entries", entries)
}

// depthOf returns d with 2^d leaves.
func depthOf(leaves int) (d uint8) {
	for 1<<d < leaves {
		d++
	}
	return d
}

// memoryTx is a store in memory that counts what is written.
type memoryTx struct {
	rows    map[Key][]byte
	written int
	puts    int
	deletes int
	fail    error // returned by the next Put or Delete when failIn is 0
	failIn  int   // writes until fail; negative never
}

func newMemoryTx() *memoryTx { return &memoryTx{rows: map[Key][]byte{}, failIn: -1} }

func (m *memoryTx) Get(k Key) ([]byte, error) { return bytes.Clone(m.rows[k]), nil }

func (m *memoryTx) Put(k Key, v []byte) error {
	if err := m.write(); err != nil {
		return err
	}
	old := m.rows[k]
	clear(old)
	m.rows[k] = append(old[:0], v...)
	m.puts++
	m.written += len(v)
	return nil
}

func (m *memoryTx) Delete(k Key) error {
	if err := m.write(); err != nil {
		return err
	}
	clear(m.rows[k])
	delete(m.rows, k)
	m.deletes++
	return nil
}

func (m *memoryTx) write() error {
	if m.failIn == 0 {
		return m.fail
	}
	m.failIn--
	return nil
}

// clone copies the rows, as a backup of the store would.
func (m *memoryTx) clone() *memoryTx {
	c := newMemoryTx()
	for k, v := range m.rows {
		c.rows[k] = bytes.Clone(v)
	}
	return c
}

func testSecret(seed string) []byte {
	h := sha256.Sum256([]byte(seed))
	return h[:]
}
