package mls

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
)

// signatureScheme is ECDSA over curve with hash, or Ed25519 if curve is nil.
type signatureScheme struct {
	curve elliptic.Curve
	hash  crypto.Hash
}

// verifyKey is a parsed signature public key.
type verifyKey struct {
	scheme  signatureScheme
	ed25519 ed25519.PublicKey
	ecdsa   *ecdsa.PublicKey
}

var errSignatureKey = errors.New("malformed signature public key")

// parseVerifyKey parses a signature public key: 32 octets for Ed25519, an uncompressed point for ECDSA (RFC 9420 §5.1.1).
func (s *suite) parseVerifyKey(raw SignaturePublicKey) (verifyKey, error) {
	k := verifyKey{scheme: s.sig}
	if s.sig.curve == nil {
		if len(raw) != ed25519.PublicKeySize {
			return verifyKey{}, errSignatureKey
		}
		k.ed25519 = ed25519.PublicKey(raw)
		return k, nil
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(s.sig.curve, raw)
	if err != nil {
		return verifyKey{}, errSignatureKey
	}
	k.ecdsa = pub
	return k, nil
}

// verify checks a signature over msg: R||S for Ed25519, DER for ECDSA (RFC 9420 §5.1.2).
func (k *verifyKey) verify(msg, sig []byte) error {
	ok := false
	if k.scheme.curve == nil {
		ok = len(sig) == ed25519.SignatureSize && ed25519.Verify(k.ed25519, msg, sig)
	} else {
		ok = ecdsa.VerifyASN1(k.ecdsa, k.digest(msg), sig)
	}
	if !ok {
		return errSignature
	}
	return nil
}

func (k *verifyKey) digest(msg []byte) []byte {
	h := k.scheme.hash.New()
	h.Write(msg)
	return h.Sum(nil)
}

// verifyWithLabel is VerifyWithLabel of RFC 9420 §5.1.2 with a parsed key.
func (k *verifyKey) verifyWithLabel(label string, content, sig []byte) error {
	return k.verify(signContent(label, content), sig)
}

// verifyWithLabel is VerifyWithLabel of RFC 9420 §5.1.2.
func (s *suite) verifyWithLabel(key SignaturePublicKey, label string, content, sig []byte) error {
	k, err := s.parseVerifyKey(key)
	if err != nil {
		return err
	}
	return k.verifyWithLabel(label, content, sig)
}

// signWithLabel is SignWithLabel of RFC 9420 §5.1.2. random is for signers that need it.
func (s *suite) signWithLabel(random io.Reader, key crypto.Signer, label string, content []byte) ([]byte, error) {
	msg := signContent(label, content)
	if s.sig.curve == nil {
		return key.Sign(random, msg, crypto.Hash(0))
	}
	k := verifyKey{scheme: s.sig}
	return key.Sign(random, k.digest(msg), s.sig.hash)
}

func signContent(label string, content []byte) []byte {
	e := encoder{buf: make([]byte, 0, len(label)+len(content)+16)}
	e.label(label)
	e.opaque(content)
	return e.buf
}

// SignaturePublicKeyOf returns the public half of a key of any scheme as it stands in leaf nodes (RFC 9420 §5.1.1).
func SignaturePublicKeyOf(key crypto.Signer) (SignaturePublicKey, error) {
	if key != nil {
		switch pub := key.Public().(type) {
		case ed25519.PublicKey:
			return SignaturePublicKey(pub), nil
		case *ecdsa.PublicKey:
			return pub.Bytes()
		}
	}
	return nil, errors.New("mls: neither an Ed25519 nor an ECDSA key")
}

// signaturePublicKey returns the public half of key as it stands in leaf nodes; key must be of the suite's scheme.
func (s *suite) signaturePublicKey(key crypto.Signer) (SignaturePublicKey, error) {
	switch pub := key.Public().(type) {
	case ed25519.PublicKey:
		if s.sig.curve == nil {
			return SignaturePublicKey(pub), nil
		}
	case *ecdsa.PublicKey:
		if s.sig.curve != nil && pub.Curve == s.sig.curve {
			return pub.Bytes()
		}
	}
	return nil, errors.New("mls: signature key does not fit the cipher suite")
}

// parseSignaturePrivateKey parses a private key as test vectors and stores hold it: the 32-octet seed for Ed25519, the big-endian
// scalar for ECDSA.
func (s *suite) parseSignaturePrivateKey(raw []byte) (crypto.Signer, error) {
	if s.sig.curve == nil {
		if len(raw) != ed25519.SeedSize {
			return nil, errors.New("mls: Ed25519 seed of wrong length")
		}
		return ed25519.NewKeyFromSeed(raw), nil
	}
	if n := (s.sig.curve.Params().BitSize + 7) / 8; len(raw) < n { // some writers drop leading zeros
		raw = append(bytes.Repeat([]byte{0}, n-len(raw)), raw...)
	}
	return ecdsa.ParseRawPrivateKey(s.sig.curve, raw)
}

// GenerateSignatureKey makes a signature key for the suite. Its randomness comes from the system: the standard library takes no
// other source for ECDSA.
func (c CipherSuite) GenerateSignatureKey() (crypto.Signer, error) {
	s, err := lookupSuite(c)
	if err != nil {
		return nil, err
	}
	if s.sig.curve == nil {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return ecdsa.GenerateKey(s.sig.curve, rand.Reader)
}
