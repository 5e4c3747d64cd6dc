package bench

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"testing"
)

func TestFloorOpensWhatItSealed(t *testing.T) {
	f, err := NewFloor()
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 1024)
	rand.Read(data)
	for range 3 {
		message, err := f.Seal(data)
		if err != nil {
			t.Fatal(err)
		}
		if len(message) != 1170 {
			t.Errorf("message of %d octets, the layout takes 1170", len(message))
		}
		got, err := f.Open(bytes.Clone(message))
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%x, %v", got, err)
		}
		if _, err := f.Open(message); err == nil {
			t.Fatal("a message was opened twice")
		}
	}
}

func TestExpand(t *testing.T) {
	var secret [32]byte
	rand.Read(secret[:])
	context := make([]byte, 32)
	want, err := hkdf.Expand(sha256.New, secret[:], "\x00\x0c\x0dMLS 1.0 nonce\x20"+string(context), 12)
	if err != nil {
		t.Fatal(err)
	}
	if got := expand(&secret, "nonce", context, 12); !bytes.Equal(got[:12], want) {
		t.Errorf("%x, want %x", got[:12], want)
	}
}
