package mls

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/mlkem"
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

// checkPublicKey reports whether raw is a public key of the suite's KEM (RFC 9420 §5.1.1). It answers as the KEM's NewPublicKey
// does, which for ML-KEM also expands the key's matrix: most of the time of reading a post-quantum tree, for keys of which few are
// encrypted to.
func (s *suite) checkPublicKey(raw HPKEPublicKey) error {
	var curve ecdh.Curve
	switch s.kem.ID() {
	case kemXWing:
		curve = ecdh.X25519()
	case kemMLKEM768P256:
		curve = ecdh.P256()
	default:
		_, err := s.kem.NewPublicKey(raw)
		return err
	}
	if len(raw) < mlkem.EncapsulationKeySize768 {
		return errors.New("mls: hybrid public key is too short")
	}
	const polynomials = mlkem.EncapsulationKeySize768 - 32 // then the seed of the matrix, which is any 32 octets
	for b := raw[:polynomials]; len(b) > 0; b = b[3:] {    // two coefficients of 12 bits
		if int(b[0])|int(b[1]&15)<<8 >= mlkemModulus || int(b[1])>>4|int(b[2])<<4 >= mlkemModulus {
			return errors.New("mls: ML-KEM public key has a coefficient above the modulus (FIPS 203 §7.2)")
		}
	}
	_, err := curve.NewPublicKey(raw[mlkem.EncapsulationKeySize768:])
	return err
}

const (
	kemMLKEM768P256 = 0x0050 // code points of draft-ietf-hpke-pq
	kemXWing        = 0x647a
	mlkemModulus    = 3329
)

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
	return s.encrypt(key, encryptContext(label, context), plaintext)
}

// encrypt is encryptWithLabel with an EncryptContext that is used more than once.
func (s *suite) encrypt(key hpke.PublicKey, info, plaintext []byte) (HPKECiphertext, error) {
	enc, sender, err := hpke.NewSender(key, s.kdf, s.aead, info)
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
