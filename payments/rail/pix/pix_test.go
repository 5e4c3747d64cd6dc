package pix_test

import (
	"os"
	"testing"

	"github.com/parleypay/parley/payments/rail/pix"
	"github.com/parleypay/parley/payments/rail/railtest"
)

// The profile does not contradict itself, and each of its rules has a sample that keeps it and one that breaks it alone.
func TestProfile(t *testing.T) {
	railtest.Run(t, pix.Profile(), os.DirFS("testdata"))
}
