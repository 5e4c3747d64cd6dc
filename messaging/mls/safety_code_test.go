package mls

import "testing"

// Worked by hand: 0x0001020304 = 16,909,060; 0x0506070809 = 21,575,960,585; …
func TestSafetyCodeFrozen(t *testing.T) {
	var b [32]byte
	for i := range b {
		b[i] = byte(i)
	}
	if got, want := safetyCode(b[:]), "09060 60585 12110 63635 15160 66685"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for i := range b {
		b[i] = 0xff // 2^40-1 = 1,099,511,627,775
	}
	if got, want := safetyCode(b[:]), "27775 27775 27775 27775 27775 27775"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := safetyCode(make([]byte, 30)), "00000 00000 00000 00000 00000 00000"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
