//go:build mlsinterop

package mls

import (
	"crypto"
	"crypto/hpke"
	"crypto/sha3"
)

// With the build tag mlsinterop, which only the tests of messaging/mls/interop set, the table of suites also has those X-Wing suites of
// peers that follow older drafts, under the peers' numbers. They differ from ours in DeriveKeyPair and in nothing else.
const (
	openMLSXWingAES256GCM CipherSuite = 0x004E // TBD2 in OpenMLS 0.9
	openMLSXWingAES128GCM CipherSuite = 0x004F // TBD1 in OpenMLS 0.9
	tsMLSXWingAES256GCM   CipherSuite = 0x0053 // MLS_256_XWING_AES256GCM_SHA512_Ed25519 in ts-mls 1.6
)

// olderXWing is X-Wing with the DeriveKeyPair of draft-connolly-cfrg-xwing-kem-06 as HPKE KEM: the seed is SHAKE256(ikm, 32).
type olderXWing struct{ hpke.KEM }

func (k olderXWing) DeriveKeyPair(ikm []byte) (hpke.PrivateKey, error) {
	return k.NewPrivateKey(sha3.SumSHAKE256(ikm, 32))
}

func init() {
	add := func(id CipherSuite, name string, like CipherSuite) *suite {
		s := *suites[like]
		s.id, s.name, s.kem = id, name, olderXWing{s.kem}
		suites[id] = &s
		return &s
	}
	add(openMLSXWingAES128GCM, "OpenMLS TBD1", XWingAES128GCM)
	add(openMLSXWingAES256GCM, "OpenMLS TBD2", XWingAES256GCM)
	s := add(tsMLSXWingAES256GCM, "ts-mls MLS_256_XWING_AES256GCM_SHA512_Ed25519", XWingAES256GCM)
	s.kdf, s.hash, s.nh = hpke.HKDFSHA512(), crypto.SHA512, crypto.SHA512.Size()
}
