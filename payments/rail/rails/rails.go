// Package rails finds the rail profiles of this module by name. It makes none: each is a package of its own beside it.
package rails

import (
	"fmt"
	"strings"

	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/fednow"
	"github.com/parleypay/parley/payments/rail/pix"
	"github.com/parleypay/parley/payments/rail/rtp"
	"github.com/parleypay/parley/payments/rail/sctinst"
)

var profiles = []struct {
	name string
	make func() *rail.Profile
}{{"fednow", fednow.Profile}, {"sctinst", sctinst.Profile}, {"rtp", rtp.Profile}, {"pix", pix.Profile}}

// Lookup returns the profile of that name, one of Names, a new one each time.
func Lookup(name string) (*rail.Profile, error) {
	for _, p := range profiles {
		if p.name == name {
			return p.make(), nil
		}
	}
	return nil, fmt.Errorf("no profile %.20q; there are %s", name, strings.Join(Names(), ", "))
}

// Names returns the names Lookup knows: "fednow", "sctinst", "rtp", "pix".
func Names() []string {
	var names []string
	for _, p := range profiles {
		names = append(names, p.name)
	}
	return names
}
