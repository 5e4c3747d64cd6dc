//go:build mlsinterop

package interop

import "testing"

// Numbers of the X-Wing suites of peers, which the core has only with the build tag of this file.
const (
	openMLSTBD1 = 0x004F
	openMLSTBD2 = 0x004E
	tsMLSXWing  = 0x0053
)

// TestXWing plays all scripts on the post-quantum suites of the peers.
func TestXWing(t *testing.T) {
	t.Run("ts-mls", func(t *testing.T) { playAll(t, Ours, tsmls(t), []uint16{tsMLSXWing}) })
	t.Run("OpenMLS", func(t *testing.T) { playAll(t, Ours, openmls(t), []uint16{openMLSTBD2, openMLSTBD1}) })
}
