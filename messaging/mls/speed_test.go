package mls_test

import (
	"bytes"
	"testing"

	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/mls/internal/bench"
)

// TestMessageAllocations pins what one message costs in memory objects, in a small group and in a large one, the copies that the rows
// make included.
func TestMessageAllocations(t *testing.T) {
	for _, suite := range []mls.CipherSuite{mls.X25519AES128GCM, mls.XWingAES256GCM} {
		crowd := bench.NewCrowd(suite)
		for _, n := range []int{2, 40} {
			a, b, err := crowd.Pair([]byte("0123456789abcdef"), n)
			if err != nil {
				t.Fatal(err)
			}
			var messages [][]byte
			seal := testing.AllocsPerRun(20, func() {
				message, err := a.Seal(payload)
				if err != nil {
					t.Fatal(err)
				}
				messages = append(messages, message)
			})
			open := testing.AllocsPerRun(len(messages)-1, func() { // which runs once more
				data, err := b.Open(messages[0])
				if err != nil || !bytes.Equal(data, payload) {
					t.Fatal(err)
				}
				messages = messages[1:]
			})
			if seal > 10 || open > 10 {
				t.Errorf("%v, %d members: %.0f allocations to seal, %.0f to open a message; at most 10 each", suite, n, seal, open)
			}
		}
	}
}

// TestGroupMemory pins what a group of two takes in memory between transactions.
func TestGroupMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("counts the heap of many groups")
	}
	for _, suite := range []mls.CipherSuite{mls.X25519AES128GCM, mls.XWingAES256GCM} {
		m, err := bench.MeasureMemory(suite, 100)
		if err != nil {
			t.Fatal(err)
		}
		if m.Group <= 0 || m.Group > 8<<10 {
			t.Errorf("%v: %d octets of memory for a group of two; at most 8 KiB", suite, m.Group)
		}
	}
}
