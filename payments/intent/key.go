package intent

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

// Alg is a JWS signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). It is a property of a key, never read from a header.
type Alg string

const (
	ES256 Alg = "ES256" // ECDSA on P-256 with SHA-256: payers' keys in secure hardware
	EdDSA Alg = "EdDSA" // Ed25519: payees, banks, machines
)

// PublicKey is a verification key with its algorithm. It compares with ==. The zero PublicKey is none and verifies nothing.
type PublicKey struct {
	alg Alg
	raw string // Ed25519: 32 octets (RFC 8032 §5.1.5); P-256: 65 octets, the uncompressed point (SEC 1 §2.3.3)
}

// NewPublicKey wraps an ed25519.PublicKey or an *ecdsa.PublicKey on P-256. It refuses every other type or curve, points off the
// curve and the Ed25519 points of small order, for which a signature proves nothing.
func NewPublicKey(key crypto.PublicKey) (PublicKey, error) {
	switch k := key.(type) {
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return PublicKey{}, errors.New("intent: Ed25519 key does not have 32 octets")
		}
		if smallOrder(k) {
			return PublicKey{}, errors.New("intent: Ed25519 key is of small order")
		}
		return PublicKey{EdDSA, string(k)}, nil
	case *ecdsa.PublicKey:
		if k == nil || k.Curve != elliptic.P256() {
			return PublicKey{}, errors.New("intent: ECDSA key is not on P-256")
		}
		raw, err := k.Bytes()
		if err != nil {
			return PublicKey{}, errors.New("intent: ECDSA key is not a point on P-256")
		}
		return PublicKey{ES256, string(raw)}, nil
	default:
		return PublicKey{}, fmt.Errorf("intent: %T is neither an Ed25519 nor a P-256 public key", key)
	}
}

// smallOrder reports whether the encoded point is one of the eight of small order, canonical or not. The sign bit does not matter.
func smallOrder(key []byte) bool {
	point := [32]byte(key)
	point[31] &= 0x7f
	_, bad := smallOrderPoints[hex.EncodeToString(point[:])]
	return bad
}

var smallOrderPoints = map[string]struct{}{
	"0000000000000000000000000000000000000000000000000000000000000000": {}, // order 4
	"0100000000000000000000000000000000000000000000000000000000000000": {}, // order 1
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05": {}, // order 8
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a": {}, // order 8
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": {}, // order 2
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": {}, // 0, not canonical
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": {}, // 1, not canonical
}

// IsZero reports whether k is no key.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// Alg returns the algorithm that the key signs with.
func (k PublicKey) Alg() Alg { return k.alg }

// ID returns the key id: the JWK SHA-256 thumbprint in base64url (RFC 7638), 43 characters. It is the "kid" in headers.
func (k PublicKey) ID() string {
	sum := sha256.Sum256(k.JWK())
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// JWK returns the key as a canonical JSON Web Key with its required members only (RFC 7517, RFC 7518 §6.2, RFC 8037 §2).
func (k PublicKey) JWK() []byte { return k.value().append(nil) }

func (k PublicKey) value() value {
	b64 := base64.RawURLEncoding.EncodeToString
	if k.alg == ES256 {
		return object(is("crv", text("P-256")), is("kty", text("EC")),
			is("x", text(b64([]byte(k.raw[1:33])))), is("y", text(b64([]byte(k.raw[33:])))))
	}
	return object(is("crv", text("Ed25519")), is("kty", text("OKP")), is("x", text(b64([]byte(k.raw)))))
}

// ParseJWK reads what JWK writes. Private keys, further members and other curves are refused.
func ParseJWK(b []byte) (PublicKey, error) {
	v, err := parseCanonical(b, 512)
	if err != nil {
		return PublicKey{}, err
	}
	r := newReader(v)
	k := readKey(r)
	return k, r.done()
}

func readKey(r *reader) PublicKey {
	coordinate := func(name string) []byte {
		b, err := decodeBase64(r.text(name))
		if err != nil || len(b) != 32 {
			r.fail(name, "is not 32 octets in base64url")
			return make([]byte, 32)
		}
		return b
	}
	var key crypto.PublicKey
	switch kty, crv := r.text("kty"), r.text("crv"); {
	case kty == "EC" && crv == "P-256":
		point := append(append([]byte{4}, coordinate("x")...), coordinate("y")...)
		ec, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			r.fail("x", "is not a point on P-256 with y")
			return PublicKey{}
		}
		key = ec
	case kty == "OKP" && crv == "Ed25519":
		key = ed25519.PublicKey(coordinate("x"))
	default:
		r.fail("kty", "is neither EC with P-256 nor OKP with Ed25519")
		return PublicKey{}
	}
	k, err := NewPublicKey(key)
	if err != nil {
		r.fail("x", "is not a usable public key")
	}
	return k
}

// verify reports whether signature is the key's over input. For ES256 it is r||s of 32 octets each (RFC 7518 §3.4), never DER.
func (k PublicKey) verify(input, signature []byte) bool {
	if len(signature) != 64 {
		return false
	}
	switch k.alg {
	case EdDSA:
		return ed25519.Verify(ed25519.PublicKey(k.raw), input, signature)
	case ES256:
		ec, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), []byte(k.raw))
		if err != nil {
			return false
		}
		digest := sha256.Sum256(input)
		der, ok := derSignature(signature)
		return ok && ecdsa.VerifyASN1(ec, digest[:], der)
	default:
		return false
	}
}
