package mls

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"
	"encoding/json"
	"errors"
	"testing"
)

func TestVectorCryptoBasics(t *testing.T) {
	type vector struct {
		Suite   CipherSuite `json:"cipher_suite"`
		RefHash struct {
			Label      string
			Value, Out hexBytes
		} `json:"ref_hash"`
		ExpandWithLabel struct {
			Label                string
			Secret, Context, Out hexBytes
			Length               int
		} `json:"expand_with_label"`
		DeriveSecret struct {
			Label       string
			Secret, Out hexBytes
		} `json:"derive_secret"`
		DeriveTreeSecret struct {
			Label       string
			Secret, Out hexBytes
			Generation  uint32
			Length      int
		} `json:"derive_tree_secret"`
		SignWithLabel struct {
			Label                         string
			Priv, Pub, Content, Signature hexBytes
		} `json:"sign_with_label"`
		EncryptWithLabel struct {
			Label                                     string
			Priv, Pub, Context, Plaintext, Ciphertext hexBytes
			KEMOutput                                 hexBytes `json:"kem_output"`
		} `json:"encrypt_with_label"`
	}
	passed, refused := 0, 0
	for _, v := range vectors[vector](t, "crypto-basics.json") {
		s := vectorSuite(t, v.Suite)
		if s == nil {
			refused++
			continue
		}
		check := func(what string, got, want []byte) {
			if !bytes.Equal(got, want) {
				t.Errorf("%v: %s = %x; want %x", v.Suite, what, got, want)
			}
		}
		check("RefHash", s.refHash(v.RefHash.Label, v.RefHash.Value), v.RefHash.Out)
		x := v.ExpandWithLabel
		check("ExpandWithLabel", s.expandWithLabel(x.Secret, x.Label, x.Context, x.Length), x.Out)
		check("DeriveSecret", s.deriveSecret(v.DeriveSecret.Secret, v.DeriveSecret.Label), v.DeriveSecret.Out)
		y := v.DeriveTreeSecret
		check("DeriveTreeSecret", s.deriveTreeSecret(y.Secret, y.Label, y.Generation, y.Length), y.Out)

		sig := v.SignWithLabel
		key, err := s.parseSignaturePrivateKey(sig.Priv)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := s.signaturePublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		check("signature public key", pub, sig.Pub)
		if err := s.verifyWithLabel(SignaturePublicKey(sig.Pub), sig.Label, sig.Content, sig.Signature); err != nil {
			t.Errorf("%v: VerifyWithLabel: %v", v.Suite, err)
		}
		made, err := s.signWithLabel(rand.Reader, key, sig.Label, sig.Content)
		if err != nil || s.verifyWithLabel(pub, sig.Label, sig.Content, made) != nil {
			t.Errorf("%v: SignWithLabel: %v", v.Suite, err)
		}
		for what, bad := range map[string]error{
			"another label":    s.verifyWithLabel(pub, sig.Label+"x", sig.Content, made),
			"another content":  s.verifyWithLabel(pub, sig.Label, append(bytes.Clone(sig.Content), 0), made),
			"a cut signature":  s.verifyWithLabel(pub, sig.Label, sig.Content, made[:len(made)-1]),
			"an empty one":     s.verifyWithLabel(pub, sig.Label, sig.Content, nil),
			"a cut public key": s.verifyWithLabel(pub[:len(pub)-1], sig.Label, sig.Content, made),
		} {
			if bad == nil {
				t.Errorf("%v: signature verifies with %s", v.Suite, what)
			}
		}

		enc := v.EncryptWithLabel
		priv, err := s.kem.NewPrivateKey(enc.Priv)
		if err != nil {
			t.Fatal(err)
		}
		check("HPKE public key", priv.PublicKey().Bytes(), enc.Pub)
		plain, err := s.decryptWithLabel(priv, enc.Label, enc.Context, HPKECiphertext{enc.KEMOutput, enc.Ciphertext})
		if err != nil {
			t.Errorf("%v: DecryptWithLabel: %v", v.Suite, err)
		}
		check("DecryptWithLabel", plain, enc.Plaintext)
		ct, err := s.encryptWithLabel(priv.PublicKey(), enc.Label, enc.Context, enc.Plaintext)
		if err != nil {
			t.Fatal(err)
		}
		plain, err = s.decryptWithLabel(priv, enc.Label, enc.Context, ct)
		if err != nil {
			t.Errorf("%v: EncryptWithLabel does not open: %v", v.Suite, err)
		}
		check("EncryptWithLabel", plain, enc.Plaintext)
		for what, label := range map[string]string{"label": enc.Label + "x", "context": enc.Label} {
			context := []byte(enc.Context)
			if what == "context" {
				context = append(bytes.Clone(context), 0)
			}
			if _, err := s.decryptWithLabel(priv, label, context, ct); err == nil {
				t.Errorf("%v: opens with another %s", v.Suite, what)
			}
		}
		passed++
	}
	counted(t, passed, refused)
}

func TestHMACAgainstHKDF(t *testing.T) { // RFC 5869 appendix A.1 and A.2, and keys around the block size
	s, _ := lookupSuite(X25519AES128GCM)
	seq := func(from, n int) (b []byte) {
		for i := range n {
			b = append(b, byte(from+i))
		}
		return b
	}
	prk := s.extract(seq(0, 13), bytes.Repeat([]byte{0x0b}, 22))
	if got := s.expand(prk, seq(0xf0, 10), 42); !bytes.Equal(got[:8], []byte{0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a}) || len(got) != 42 {
		t.Errorf("A.1: %x", got)
	}
	prk = s.extract(seq(0x60, 80), seq(0, 80))
	if got := s.expand(prk, seq(0xb0, 80), 82); !bytes.Equal(got[:8], []byte{0xb1, 0x1e, 0x39, 0x8d, 0xc8, 0x03, 0x27, 0xa1}) || len(got) != 82 {
		t.Errorf("A.2: %x", got)
	}
}

func TestMACNeedsItsLength(t *testing.T) {
	s, _ := lookupSuite(P521AES256GCM)
	m := s.mac([]byte("key"), []byte("message"))
	if !s.verifyMAC(m, bytes.Clone(m)) {
		t.Error("equal MACs are refused")
	}
	for n := range m {
		if s.verifyMAC(m[:n], m[:n]) || s.verifyMAC(m, m[:n]) || s.verifyMAC(m[:n], m) {
			t.Errorf("a MAC cut to %d octets is accepted", n)
		}
	}
}

func TestSuiteTable(t *testing.T) {
	for id := range CipherSuite(9) {
		_, err := lookupSuite(id)
		supported := id == 1 || id == 2 || id == 3 || id == 5 || id == 7
		var unsupported *UnsupportedSuiteError
		if supported != (err == nil) || !supported && !errors.As(err, &unsupported) || supported != id.Supported() || id.PostQuantum() {
			t.Errorf("suite %d: %v", id, err)
		}
	}
	for _, id := range []CipherSuite{XWingAES128GCM, XWingAES256GCM, MLKEM768P256AES128GCM, MLKEM768P256AES256GCM} {
		s, err := lookupSuite(id)
		if err != nil || !id.PostQuantum() || id < 0xF000 {
			t.Errorf("suite %v: %v", id, err)
			continue
		}
		key, err := s.deriveKeyPair(bytes.Repeat([]byte{1}, s.nh))
		if err != nil {
			t.Fatal(err)
		}
		ct, err := s.encryptWithLabel(key.PublicKey(), "x", nil, []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := s.decryptWithLabel(key, "x", nil, ct); err != nil || string(plain) != "secret" {
			t.Errorf("suite %v: %q, %v", id, plain, err)
		}
		if _, err := s.kem.NewPublicKey(key.PublicKey().Bytes()[1:]); err == nil {
			t.Errorf("suite %v: a cut public key is accepted", id)
		}
		if _, err := s.kem.NewPublicKey(bytes.Repeat([]byte{0xff}, len(key.PublicKey().Bytes()))); err == nil {
			t.Errorf("suite %v: a public key of ones is accepted", id)
		}
	}
}

func TestVectorHPKEPostQuantum(t *testing.T) {
	type vector struct {
		Mode        int
		KEM         uint16   `json:"kem_id"`
		KDF         uint16   `json:"kdf_id"`
		AEAD        uint16   `json:"aead_id"`
		Info        hexBytes `json:"info"`
		IKMR        hexBytes `json:"ikmR"`
		PK          hexBytes `json:"pkRm"`
		Enc         hexBytes `json:"enc"`
		Encryptions []struct{ AAD, CT, PT hexBytes }
	}
	passed, other := 0, 0
	for _, v := range vectors[vector](t, "hpke-pq.json") {
		kem, err := hpke.NewKEM(v.KEM)
		kdf, err2 := hpke.NewKDF(v.KDF)
		aead, err3 := hpke.NewAEAD(v.AEAD)
		if errors.Join(err, err2, err3) != nil || v.Mode != 0 {
			other++
			continue
		}
		s := &suite{kem: kem, kdf: kdf, aead: aead}
		key, err := s.deriveKeyPair(v.IKMR)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(key.PublicKey().Bytes(), v.PK) {
			t.Errorf("KEM %#x: DeriveKeyPair gives another public key", v.KEM)
		}
		r, err := hpke.NewRecipient(v.Enc, key, kdf, aead, v.Info)
		if err != nil {
			t.Errorf("KEM %#x: %v", v.KEM, err)
			continue
		}
		for i, e := range v.Encryptions {
			if pt, err := r.Open(e.AAD, e.CT); err != nil || !bytes.Equal(pt, e.PT) {
				t.Errorf("KEM %#x, message %d: %v", v.KEM, i, err)
			}
		}
		if v.KEM == 0x647a || v.KEM == 0x0050 {
			passed++
		}
	}
	if passed < 2 {
		t.Errorf("%d entries of the KEMs of the post-quantum suites", passed)
	}
	t.Logf("%d entries of KEM 0x647a and 0x0050 passed, %d of algorithms not in the standard library", passed, other)
}

// wycheproof is a file of Wycheproof test vectors.
type wycheproof struct {
	TestGroups []struct {
		PublicKey struct {
			PK           hexBytes
			Uncompressed hexBytes
		}
		Tests []struct {
			ID                      int `json:"tcId"`
			Comment                 string
			Flags                   []string
			Msg, Sig                hexBytes
			Public, Private, Shared hexBytes
			Result                  string
		}
	}
}

func readWycheproof(t *testing.T, name string) wycheproof {
	t.Helper()
	var w wycheproof
	if err := json.Unmarshal(readVectorFile(t, "wycheproof/"+name), &w); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWycheproofSignatures(t *testing.T) {
	for name, id := range map[string]CipherSuite{"ed25519_test.json": X25519AES128GCM, "ecdsa_secp256r1_sha256_test.json": P256AES128GCM} {
		t.Run(name, func(t *testing.T) {
			s, _ := lookupSuite(id)
			n := 0
			for _, g := range readWycheproof(t, name).TestGroups {
				raw := g.PublicKey.PK
				if id == P256AES128GCM {
					raw = g.PublicKey.Uncompressed
				}
				key, err := s.parseVerifyKey(SignaturePublicKey(raw))
				if err != nil {
					t.Fatal(err)
				}
				for _, tt := range g.Tests {
					n++
					if err := key.verify(tt.Msg, tt.Sig); tt.Result != "acceptable" && (err == nil) != (tt.Result == "valid") {
						t.Errorf("test %d (%s, %v): %v; want %s", tt.ID, tt.Comment, tt.Flags, err, tt.Result)
					}
				}
			}
			counted(t, n, 0)
		})
	}
}

func TestWycheproofX25519(t *testing.T) {
	s, _ := lookupSuite(X25519AES128GCM)
	n := 0
	for _, g := range readWycheproof(t, "x25519_test.json").TestGroups {
		for _, tt := range g.Tests {
			n++
			if len(tt.Private) != 32 {
				continue
			}
			priv, err := s.kem.NewPrivateKey(tt.Private)
			if err != nil {
				t.Fatalf("test %d: %v", tt.ID, err)
			}
			zero := bytes.Equal(tt.Shared, make([]byte, 32))
			pub, err := s.kem.NewPublicKey(tt.Public)
			if err != nil {
				if tt.Result == "valid" {
					t.Errorf("test %d: %v", tt.ID, err)
				}
				continue
			}
			// An all-zero shared secret must be refused on both sides (RFC 9180 §7.1.4), everything else opens.
			if _, err = s.encryptWithLabel(pub, "w", nil, tt.Msg); (err != nil) != zero {
				t.Errorf("test %d (%s): encrypting to the key: %v", tt.ID, tt.Comment, err)
			}
			_, err = s.decryptWithLabel(priv, "w", nil, HPKECiphertext{KEMOutput: tt.Public, Ciphertext: make([]byte, 16)})
			if err == nil {
				t.Errorf("test %d: opened garbage", tt.ID)
			}
			k, err := ecdh.X25519().NewPrivateKey(tt.Private)
			if err != nil {
				t.Fatal(err)
			}
			p, err := ecdh.X25519().NewPublicKey(tt.Public)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := k.ECDH(p); (err != nil) != zero || err == nil && !bytes.Equal(got, tt.Shared) {
				t.Errorf("test %d (%s): shared secret %x, %v", tt.ID, tt.Comment, got, err)
			}
		}
	}
	counted(t, n, 0)
}
