package mls

import (
	"crypto/hpke"
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
