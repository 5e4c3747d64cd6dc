package railsim

import (
	"strings"
	"testing"

	"github.com/parleypay/parley/payments/rail/fednow"
)

// A profile from elsewhere is taken in place of a name, and only if it is sound.
func TestConfigProfile(t *testing.T) {
	cfg := func() Config {
		return Config{Profile: fednow.Profile(), Participants: []Participant{{ID: "021040078", Token: "a token of the bank", Prefunded: "1.00"}}}
	}
	sim := must(New(cfg()))
	if sim.Profile().Name != "fednow" {
		t.Error(sim.Profile().Name)
	}
	sim.Close()

	both := cfg()
	both.Rail = "sctinst"
	if _, err := New(both); err == nil || !strings.Contains(err.Error(), "exclude each other") {
		t.Errorf("a name and a profile: %v", err)
	}
	broken := cfg()
	broken.Profile.Codes.NotFound = ""
	if _, err := New(broken); err == nil || !strings.Contains(err.Error(), "NotFound") {
		t.Errorf("a profile that contradicts itself: %v", err)
	}
}
