package mls

import (
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
)

// hashMax is the largest KDF.Nh of any suite, in octets.
const hashMax = sha512.Size

// wipe overwrites secrets that have been consumed (RFC 9420 §9.2). The runtime may have copied them before: erasing memory is best
// effort, see docs/divergences.md.
func wipe(secrets ...[]byte) {
	for _, b := range secrets {
		clear(b[:cap(b)])
	}
}

// sumBlock is the room that one HMAC of a KDFLabel takes on the stack: a block of SHA-512 and a label with a context of one hash.
const sumBlock = sha512.BlockSize + 2 + 1 + 32 + 1 + hashMax + 1

// expandInto fills dst with ExpandWithLabel(secret, label, context, len(dst)) (RFC 9420 §8). It allocates nothing when dst is
// no longer than Nh, secret has Nh bytes and context at most Nh: then HKDF-Expand is one HMAC of the KDFLabel. dst may be secret.
func (s *suite) expandInto(dst, secret []byte, label string, context []byte) {
	n := s.nh
	if len(dst) > n || len(secret) != n || len(context) > hashMax || len(label) > 24 {
		out := s.expandWithLabel(secret, label, context, len(dst))
		copy(dst, out)
		clear(out)
		return
	}
	var inner [sumBlock]byte
	var outer [sha512.BlockSize + hashMax]byte
	block := sha256.BlockSize
	if s.hash != crypto.SHA256 {
		block = sha512.BlockSize
	}
	for i := range block {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, b := range secret {
		inner[i] ^= b
		outer[i] ^= b
	}
	b := binary.BigEndian.AppendUint16(inner[:block], uint16(len(dst))) // KDFLabel
	b = appendOpaque(appendLabel(b, label), context)
	end := len(append(b, 1)) // the counter of HKDF-Expand
	switch s.hash {
	case crypto.SHA256:
		sum := sha256.Sum256(inner[:end])
		copy(outer[block:], sum[:])
		sum = sha256.Sum256(outer[:block+n])
		copy(dst, sum[:])
		clear(sum[:])
	case crypto.SHA384:
		sum := sha512.Sum384(inner[:end])
		copy(outer[block:], sum[:])
		sum = sha512.Sum384(outer[:block+n])
		copy(dst, sum[:])
		clear(sum[:])
	case crypto.SHA512:
		sum := sha512.Sum512(inner[:end])
		copy(outer[block:], sum[:])
		sum = sha512.Sum512(outer[:block+n])
		copy(dst, sum[:])
		clear(sum[:])
	}
	clear(inner[:])
	clear(outer[:])
}

// deriveTreeSecretInto fills dst with DeriveTreeSecret(secret, label, generation, len(dst)) (RFC 9420 §9.1).
func (s *suite) deriveTreeSecretInto(dst, secret []byte, label string, generation uint32) {
	var context [4]byte
	binary.BigEndian.PutUint32(context[:], generation)
	s.expandInto(dst, secret, label, context[:])
}
