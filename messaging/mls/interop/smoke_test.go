package interop

import (
	"testing"

	"github.com/parleypay/parley/messaging/mls"
	"github.com/thomas-vilte/mls-go/ciphersuite"
)

// TestSuiteNumbers compares the code points that both sides give to the suites they share.
func TestSuiteNumbers(t *testing.T) {
	for ours, theirs := range map[mls.CipherSuite]ciphersuite.CipherSuite{
		mls.X25519AES128GCM:        ciphersuite.MLS128DHKEMX25519,
		mls.P256AES128GCM:          ciphersuite.MLS128DHKEMP256,
		mls.X25519ChaCha20Poly1305: ciphersuite.MLS128DHKEMX25519ChaCha20,
		mls.P521AES256GCM:          ciphersuite.MLS256DHKEMP521AES256GCM,
		mls.P384AES256GCM:          ciphersuite.MLS256DHKEMP384AES256GCM,
	} {
		if !ours.Supported() || uint16(ours) != uint16(theirs) {
			t.Errorf("suite %v is %d there", ours, theirs)
		}
	}
}
