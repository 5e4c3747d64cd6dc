package mls

import (
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
)

// sum returns the suite's hash of b, nh octets appended to dst.
func (s *suite) sum(dst, b []byte) []byte {
	switch s.hash {
	case crypto.SHA256:
		h := sha256.Sum256(b)
		return append(dst, h[:]...)
	case crypto.SHA384:
		h := sha512.Sum384(b)
		return append(dst, h[:]...)
	default:
		h := sha512.Sum512(b)
		return append(dst, h[:]...)
	}
}

// mac returns HMAC(key, msg): nh octets. It is also KDF.Extract(key, msg), the key being the salt.
func (s *suite) mac(key, msg []byte) []byte {
	// HMAC (RFC 2104) as two calls of the hash over one buffer each is faster than crypto/hmac, which allocates its states.
	var space [384]byte
	buf := space[:0]
	block := 64
	if s.hash != crypto.SHA256 {
		block = 128
	}
	var pad [128]byte
	if len(key) > block {
		s.sum(pad[:0], key)
	} else {
		copy(pad[:], key)
	}
	for i := range pad {
		pad[i] ^= 0x36
	}
	buf = append(append(buf, pad[:block]...), msg...)
	var inner [64]byte
	s.sum(inner[:0], buf)
	for i := range pad {
		pad[i] ^= 0x36 ^ 0x5c
	}
	var outer [128 + 64]byte
	out := append(append(outer[:0], pad[:block]...), inner[:s.nh]...)
	mac := s.sum(make([]byte, 0, s.nh), out)
	clear(buf)
	clear(pad[:])
	clear(outer[:])
	return mac
}

// extract returns KDF.Extract(salt, ikm): nh octets.
func (s *suite) extract(salt, ikm []byte) []byte { return s.mac(salt, ikm) }

// verifyMAC compares two MACs in constant time. Their length is not secret: it must be nh octets.
func (s *suite) verifyMAC(want, got []byte) bool {
	return len(want) == s.nh && len(got) == s.nh && subtle.ConstantTimeCompare(want, got) == 1
}

// expand returns KDF.Expand(prk, info, n): n octets (RFC 5869 §2.3).
func (s *suite) expand(prk, info []byte, n int) []byte {
	out := make([]byte, 0, n+s.nh)
	msg := make([]byte, 0, s.nh+len(info)+1)
	for i := byte(1); len(out) < n; i++ {
		msg = msg[:0]
		if i > 1 {
			msg = append(msg, out[len(out)-s.nh:]...)
		}
		msg = append(append(msg, info...), i)
		out = append(out, s.mac(prk, msg)...)
	}
	clear(out[n:])
	return out[:n:n]
}

// expandWithLabel is ExpandWithLabel of RFC 9420 §8. n is at most 255 × nh octets.
func (s *suite) expandWithLabel(secret []byte, label string, context []byte, n int) []byte {
	var space [192]byte
	e := encoder{buf: space[:0]}
	e.u16(uint16(n))
	e.label(label)
	e.opaque(context)
	return s.expand(secret, e.buf, n)
}

// deriveSecret is DeriveSecret of RFC 9420 §8: nh octets.
func (s *suite) deriveSecret(secret []byte, label string) []byte {
	return s.expandWithLabel(secret, label, nil, s.nh)
}

// deriveTreeSecret is DeriveTreeSecret of RFC 9420 §9.1.
func (s *suite) deriveTreeSecret(secret []byte, label string, generation uint32, n int) []byte {
	return s.expandWithLabel(secret, label, []byte{byte(generation >> 24), byte(generation >> 16), byte(generation >> 8), byte(generation)}, n)
}

// refHash is RefHash of RFC 9420 §5.2. label is the whole label.
func (s *suite) refHash(label string, value []byte) []byte {
	e := encoder{buf: make([]byte, 0, len(label)+len(value)+8)}
	e.opaque([]byte(label))
	e.opaque(value)
	return s.sum(make([]byte, 0, s.nh), e.buf)
}

// keyPackageRef is MakeKeyPackageRef of RFC 9420 §5.2 over an encoded KeyPackage.
func (s *suite) keyPackageRef(keyPackage []byte) []byte {
	return s.refHash("MLS 1.0 KeyPackage Reference", keyPackage)
}

// proposalRef is MakeProposalRef of RFC 9420 §5.2 over the encoded AuthenticatedContent that carries the proposal.
func (s *suite) proposalRef(authenticatedContent []byte) []byte {
	return s.refHash("MLS 1.0 Proposal Reference", authenticatedContent)
}
