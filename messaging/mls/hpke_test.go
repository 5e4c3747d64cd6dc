package mls

import (
	"bytes"
	"crypto/mlkem"
	"crypto/rand"
	"testing"
)

// TestCheckPublicKey compares checkPublicKey with the standard library's parser: for good keys, each coefficient of ML-KEM above and
// below the modulus, points off the curve and wrong lengths.
func TestCheckPublicKey(t *testing.T) {
	for id, s := range suites {
		key, err := s.newKeyPair(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		good := key.PublicKey().Bytes()
		compare := func(what string, raw []byte) {
			t.Helper()
			_, want := s.kem.NewPublicKey(raw)
			if got := s.checkPublicKey(raw); (got == nil) != (want == nil) {
				t.Errorf("%v, %s: %v, the standard library says: %v", id, what, got, want)
			}
		}
		compare("good", good)
		if err := s.checkPublicKey(good); err != nil {
			t.Errorf("%v: %v", id, err)
		}
		compare("short", good[1:])
		compare("long", append(bytes.Clone(good), 0))
		compare("empty", nil)
		for i := range good[len(good)-min(len(good), 133):] { // the curve's part
			raw := bytes.Clone(good)
			raw[len(raw)-1-i] ^= 1
			compare("a bit of the point", raw)
		}
		if !id.PostQuantum() {
			continue
		}
		for i := range 256 * 3 {
			for _, value := range []int{0, 3328, 3329, 4095} {
				raw := bytes.Clone(good)
				if at := i / 2 * 3; i%2 == 0 {
					raw[at], raw[at+1] = byte(value), raw[at+1]&0xf0|byte(value>>8)
				} else {
					raw[at+1], raw[at+2] = raw[at+1]&0x0f|byte(value<<4), byte(value>>4)
				}
				if (s.checkPublicKey(raw) == nil) != (value < 3329) {
					t.Fatalf("%v: coefficient %d of %d", id, i, value)
				}
				compare("a coefficient", raw)
			}
		}
		raw := bytes.Clone(good)
		copy(raw[mlkem.EncapsulationKeySize768-32:], bytes.Repeat([]byte{255}, 32))
		compare("another seed of the matrix", raw)
	}
}
