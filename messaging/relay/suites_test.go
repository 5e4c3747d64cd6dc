package relay

import (
	"slices"
	"testing"

	"github.com/parleypay/parley/messaging/wire"
)

// Key packages are counted, claimed and bounded by cipher suite, and the claimer's order of preference decides.
func TestKeyPackagesBySuite(t *testing.T) {
	x := start(t, Config{KeyPackagesMax: 4})
	kb := newKey()
	b, c := x.dial(kb), x.dial(newKey())
	claim := func(suites ...uint16) {
		c.write(&wire.ClaimKeyPackage{Req: c.nextReq(), Device: idOf(kb), Suites: suites})
	}
	got := func(pkg string, suite uint16, last bool) {
		t.Helper()
		if k := want[*wire.KeyPackage](c); string(k.Package) != pkg || k.Suite != suite || k.LastResort != last || k.Device != idOf(kb) {
			t.Fatalf("got %q of suite %x, last resort %v", k.Package, k.Suite, k.LastResort)
		}
	}
	claim(0xF002, 1)
	c.wantFailure(wire.CodeNoKeyPackage) // none at all
	b.write(&wire.PublishKeyPackages{Req: 1, Suite: 1, Packages: [][]byte{[]byte("c1"), []byte("c2")}, LastResort: []byte("c last")})
	want[*wire.KeyPackageCount](b)
	claim(0xF002)
	c.wantFailure(wire.CodeNoSuite)
	claim(0xF002, 1)
	got("c1", 1, false)
	b.write(&wire.PublishKeyPackages{Req: 2, Suite: 0xF002, Packages: [][]byte{[]byte("p1")}, LastResort: []byte("p last")})
	if k := want[*wire.KeyPackageCount](b); !slices.Equal(k.Stock, []wire.Stock{{Suite: 1, Count: 1, LastResort: true}, {Suite: 0xF002, Count: 1, LastResort: true}}) {
		t.Fatalf("stock %+v", k.Stock)
	}
	claim(0xF002, 1)
	got("p1", 0xF002, false)
	claim(0xF002, 1) // the last resort one of the better suite, not the fresh one of the other
	got("p last", 0xF002, true)
	claim(1, 0xF002)
	got("c2", 1, false)

	for suite := range uint16(wire.MaxSuites - 2) {
		b.write(&wire.PublishKeyPackages{Req: 3, Suite: 2 + suite, LastResort: []byte{1}})
		want[*wire.KeyPackageCount](b)
	}
	b.write(&wire.PublishKeyPackages{Req: 4, Suite: 100, LastResort: []byte{1}}) // one suite too many
	b.wantFailure(wire.CodeTooManyPackage)
	b.write(&wire.PublishKeyPackages{Req: 5, Suite: 1, Packages: [][]byte{{1}, {2}, {3}, {4}, {5}}}) // the bound is over all suites
	b.wantFailure(wire.CodeTooManyPackage)

	x.down()
	x.up()
	if b = x.dial(kb); len(b.Ready.KeyPackages) != wire.MaxSuites || b.Ready.KeyPackages[0] != (wire.Stock{Suite: 1, LastResort: true}) {
		t.Fatalf("after a restart: %+v", b.Ready.KeyPackages)
	}
}

// The relay tells a device the highest run that an earlier connection carried, also after a restart, and never a lower one.
func TestRuns(t *testing.T) {
	x := start(t, Config{})
	key := newKey()
	sync := func(run uint64) uint64 {
		t.Helper()
		c := x.dial(key)
		defer c.Close()
		c.write(&wire.Sync{Req: 1, Run: run})
		return want[*wire.Synced](c).Run
	}
	for i, c := range []struct{ run, before uint64 }{{0, 0}, {1, 0}, {2, 1}, {5, 2}, {3, 5}, {5, 5}, {0, 5}, {6, 5}} {
		if i == 4 {
			x.down()
			x.up()
		}
		if got := sync(c.run); got != c.before {
			t.Fatalf("step %d: run %d was answered by %d, want %d", i, c.run, got, c.before)
		}
	}
}
