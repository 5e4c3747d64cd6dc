package mls

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/hpke"
	_ "crypto/sha256" // suites name their hashes by crypto.Hash
	_ "crypto/sha512"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// CipherSuite names the algorithms of a group (RFC 9420 §5.1, §17.1). The zero value is reserved and never supported.
type CipherSuite uint16

// The cipher suites of RFC 9420 §17.1 and, with code points of the private range until IANA assigns others, those of
// draft-ietf-mls-pq-ciphersuites-06 whose algorithms the standard library has: TBD1 to TBD4. Suites 4 and 6 need X448 and Ed448
// and are refused with UnsupportedSuiteError.
const (
	X25519AES128GCM        CipherSuite = 0x0001 // MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
	P256AES128GCM          CipherSuite = 0x0002 // MLS_128_DHKEMP256_AES128GCM_SHA256_P256
	X25519ChaCha20Poly1305 CipherSuite = 0x0003 // MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519
	P521AES256GCM          CipherSuite = 0x0005 // MLS_256_DHKEMP521_AES256GCM_SHA512_P521
	P384AES256GCM          CipherSuite = 0x0007 // MLS_256_DHKEMP384_AES256GCM_SHA384_P384
	XWingAES128GCM         CipherSuite = 0xF001 // TBD1: MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519
	XWingAES256GCM         CipherSuite = 0xF002 // TBD2: MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519
	MLKEM768P256AES128GCM  CipherSuite = 0xF003 // TBD3: MLS_128_MLKEM768P256_AES128GCM_SHA256_P256
	MLKEM768P256AES256GCM  CipherSuite = 0xF004 // TBD4: MLS_128_MLKEM768P256_AES256GCM_SHA384_P256
)

// suite is the algorithms of a CipherSuite. It is immutable and may be used by any number of goroutines.
type suite struct {
	id   CipherSuite
	name string
	kem  hpke.KEM
	kdf  hpke.KDF
	aead hpke.AEAD
	hash crypto.Hash
	sig  signatureScheme
	nh   int // KDF.Nh, which is also the length of a hash and of a MAC, in octets
	nk   int // AEAD.Nk: length of a key, in octets
	nn   int // AEAD.Nn: length of a nonce, in octets
	pq   bool
}

// suites is the table of what is implemented. Nothing changes it.
var suites = makeSuites()

func makeSuites() map[CipherSuite]*suite {
	table := map[CipherSuite]*suite{}
	x25519, p256, p384, p521 := hpke.DHKEM(ecdh.X25519()), hpke.DHKEM(ecdh.P256()), hpke.DHKEM(ecdh.P384()), hpke.DHKEM(ecdh.P521())
	sha256, sha384, sha512 := hpke.HKDFSHA256(), hpke.HKDFSHA384(), hpke.HKDFSHA512()
	aes128, aes256, chacha := hpke.AES128GCM(), hpke.AES256GCM(), hpke.ChaCha20Poly1305()
	ecdsa256 := signatureScheme{elliptic.P256(), crypto.SHA256}
	for _, s := range []*suite{
		{id: X25519AES128GCM, name: "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519", kem: x25519, kdf: sha256, aead: aes128},
		{id: P256AES128GCM, name: "MLS_128_DHKEMP256_AES128GCM_SHA256_P256", kem: p256, kdf: sha256, aead: aes128, sig: ecdsa256},
		{id: X25519ChaCha20Poly1305, name: "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519", kem: x25519, kdf: sha256, aead: chacha},
		{id: P521AES256GCM, name: "MLS_256_DHKEMP521_AES256GCM_SHA512_P521", kem: p521, kdf: sha512, aead: aes256,
			sig: signatureScheme{elliptic.P521(), crypto.SHA512}},
		{id: P384AES256GCM, name: "MLS_256_DHKEMP384_AES256GCM_SHA384_P384", kem: p384, kdf: sha384, aead: aes256,
			sig: signatureScheme{elliptic.P384(), crypto.SHA384}},
		{id: XWingAES128GCM, name: "MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519", kem: hpke.MLKEM768X25519(), kdf: sha256, aead: aes128, pq: true},
		{id: XWingAES256GCM, name: "MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519", kem: hpke.MLKEM768X25519(), kdf: sha384, aead: aes256, pq: true},
		{id: MLKEM768P256AES128GCM, name: "MLS_128_MLKEM768P256_AES128GCM_SHA256_P256", kem: hpke.MLKEM768P256(), kdf: sha256, aead: aes128, sig: ecdsa256, pq: true},
		{id: MLKEM768P256AES256GCM, name: "MLS_128_MLKEM768P256_AES256GCM_SHA384_P256", kem: hpke.MLKEM768P256(), kdf: sha384, aead: aes256, sig: ecdsa256, pq: true},
	} {
		switch s.kdf {
		case sha256:
			s.hash = crypto.SHA256
		case sha384:
			s.hash = crypto.SHA384
		case sha512:
			s.hash = crypto.SHA512
		}
		s.nh, s.nn, s.nk = s.hash.Size(), 12, 32
		if s.aead == aes128 {
			s.nk = 16
		}
		table[s.id] = s
	}
	return table
}

// lookupSuite returns the algorithms of id, or an UnsupportedSuiteError.
func lookupSuite(id CipherSuite) (*suite, error) {
	if s := suites[id]; s != nil {
		return s, nil
	}
	return nil, &UnsupportedSuiteError{id}
}

// Supported reports whether this package implements the suite.
func (c CipherSuite) Supported() bool { return suites[c] != nil }

// PostQuantum reports whether the suite protects confidentiality against a quantum computer. Its signatures are classical.
func (c CipherSuite) PostQuantum() bool { s := suites[c]; return s != nil && s.pq }

// String returns the suite's name in its specification, or its number.
func (c CipherSuite) String() string {
	if s := suites[c]; s != nil {
		return s.name
	}
	return fmt.Sprintf("0x%04x", uint16(c))
}

// newAEAD returns the suite's AEAD under key, which has nk octets.
func (s *suite) newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != s.nk {
		return nil, fmt.Errorf("mls: AEAD key of %d octets", len(key))
	}
	if s.id == X25519ChaCha20Poly1305 {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
