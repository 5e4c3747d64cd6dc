package rtp_test

import (
	"os"
	"testing"

	"github.com/parleypay/parley/payments/rail/railtest"
	"github.com/parleypay/parley/payments/rail/rtp"
)

// The profile does not contradict itself, and each of its rules has a sample that keeps it and one that breaks it alone.
func TestProfile(t *testing.T) {
	railtest.Run(t, rtp.Profile(), os.DirFS("testdata"))
}
