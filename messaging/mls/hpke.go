package mls

import (
	"bytes"
	"crypto/hpke"
	"errors"
	"slices"
)

// HPKEPublicKey is a public key of the suite's KEM in the form of RFC 9180 §4 (RFC 9420 §5.1.1).
type HPKEPublicKey []byte

// SignaturePublicKey is a public key of the suite's signature scheme (RFC 9420 §5.1.1).
type SignaturePublicKey []byte

// HPKECiphertext is a secret encrypted to a node (RFC 9420 §7.6).
type HPKECiphertext struct {
	KEMOutput  []byte
	Ciphertext []byte
}

func (c *HPKECiphertext) encode(e *encoder) {
	e.opaque(c.KEMOutput)
	e.opaque(c.Ciphertext)
}

func (c *HPKECiphertext) decode(d *decoder) {
	c.KEMOutput = d.opaque()
	c.Ciphertext = d.opaque()
}

// keptKey is an HPKE private key that is kept for later, with its public key. Parsing a Diffie-Hellman key costs as much as using
// it, so it is kept parsed. A post-quantum key takes 8 KiB parsed, so it is kept as the seed that it is derived from.
type keptKey struct {
	public HPKEPublicKey
	parsed hpke.PrivateKey // nil if there is a seed
	seed   []byte
}

// keep returns key as it is kept.
func keep(key hpke.PrivateKey) keptKey {
	k := keptKey{public: key.PublicKey().Bytes()}
	if seed, err := key.Bytes(); err == nil && keptAsSeed(key.KEM()) {
		k.seed = slices.Clone(seed)
	} else {
		k.parsed = key
	}
	return k
}

// keptAsSeed reports whether the KEM is one of ML-KEM alone or in a hybrid.
func keptAsSeed(kem hpke.KEM) bool { return kem.ID() > 0x0021 }

// parseKept returns the kept key with the encoding raw, of which it keeps a copy. public is the public key if the caller knows it
// from a place as good as raw itself; else nil.
func (s *suite) parseKept(raw []byte, public HPKEPublicKey) (keptKey, error) {
	if public != nil && keptAsSeed(s.kem) && len(raw) == seedSize {
		return keptKey{public: public, seed: slices.Clone(raw)}, nil
	}
	key, err := s.kem.NewPrivateKey(slices.Clone(raw))
	if err != nil {
		return keptKey{}, err
	}
	k := keep(key)
	if public != nil && !bytes.Equal(k.public, public) {
		return keptKey{}, errors.New("mls: private key does not fit the public key")
	}
	return k, nil
}

// seedSize is the size of the private keys of the hybrid KEMs, in octets.
const seedSize = 32

// open returns the key for use.
func (k keptKey) open(s *suite) (hpke.PrivateKey, error) {
	if k.parsed != nil {
		return k.parsed, nil
	}
	return s.kem.NewPrivateKey(k.seed)
}

// bytes returns the encoding of the key, which may be the key's own memory.
func (k keptKey) bytes() ([]byte, error) {
	if k.parsed != nil {
		return k.parsed.Bytes()
	}
	return k.seed, nil
}

// encryptWithLabel is EncryptWithLabel of RFC 9420 §5.1.3. The encapsulation draws its randomness from the system, because
// crypto/hpke takes no other source.
func (s *suite) encryptWithLabel(key hpke.PublicKey, label string, context, plaintext []byte) (HPKECiphertext, error) {
	enc, sender, err := hpke.NewSender(key, s.kdf, s.aead, encryptContext(label, context))
	if err != nil {
		return HPKECiphertext{}, err
	}
	ct, err := sender.Seal(nil, plaintext)
	return HPKECiphertext{KEMOutput: enc, Ciphertext: ct}, err
}

// decryptWithLabel is DecryptWithLabel of RFC 9420 §5.1.3.
func (s *suite) decryptWithLabel(key hpke.PrivateKey, label string, context []byte, ct HPKECiphertext) ([]byte, error) {
	r, err := hpke.NewRecipient(ct.KEMOutput, key, s.kdf, s.aead, encryptContext(label, context))
	if err != nil {
		return nil, err
	}
	return r.Open(nil, ct.Ciphertext)
}

func encryptContext(label string, context []byte) []byte { return signContent(label, context) } // the same two fields

// deriveKeyPair is KEM.DeriveKeyPair of RFC 9420 §7.4.
func (s *suite) deriveKeyPair(secret []byte) (hpke.PrivateKey, error) {
	return s.kem.DeriveKeyPair(secret)
}
