package mls_test

import (
	"fmt"
	"testing"

	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/mls/internal/bench"
)

// The benchmarks below measure whole operations: decoding, checks, rows, encoding. messaging/mls/interop/bench runs the same ones beside
// another implementation and the floor of the primitives.

// payload is the application data of a message: 1 KiB.
var payload = make([]byte, 1024)

// benchmarkGroups runs f for groups of 2, 10, 100 and 1000 members, in the suite that everybody has and in the default post-quantum one.
func benchmarkGroups(b *testing.B, f func(b *testing.B, crowd *bench.Crowd, n int)) {
	for _, suite := range []mls.CipherSuite{mls.X25519AES128GCM, mls.XWingAES256GCM} {
		crowd := bench.NewCrowd(suite)
		for _, n := range []int{2, 10, 100, 1000} {
			b.Run(fmt.Sprintf("suite=%04x/N=%d", uint16(suite), n), func(b *testing.B) { f(b, crowd, n) })
		}
	}
}

func benchmarkPair(b *testing.B, f func(b *testing.B, a, o *bench.Client)) {
	benchmarkGroups(b, func(b *testing.B, crowd *bench.Crowd, n int) {
		a, o, err := crowd.Pair([]byte("0123456789abcdef"), n)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		f(b, a, o)
	})
}

func BenchmarkSeal(b *testing.B) {
	benchmarkPair(b, func(b *testing.B, a, _ *bench.Client) {
		for b.Loop() {
			if _, err := a.Seal(payload); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	benchmarkPair(b, func(b *testing.B, a, o *bench.Client) {
		for b.Loop() {
			b.StopTimer()
			message, err := a.Seal(payload)
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if _, err := o.Open(message); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAdd is a commit of one Add without a path, with its Welcome, stored, and discarded again so that the group stays as it is.
func BenchmarkAdd(b *testing.B) {
	benchmarkPair(b, func(b *testing.B, a, _ *bench.Client) {
		joiner, err := bench.NewClient(a.Suite, "one more")
		if err != nil {
			b.Fatal(err)
		}
		k, err := joiner.KeyPackage()
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			p, err := a.Group.Commit(a.Rows, mls.CommitOptions{Proposals: []mls.Proposal{&mls.Add{KeyPackage: *k}}})
			if err != nil || p.Welcome() == nil {
				b.Fatal(err)
			}
			if err := a.Group.Discard(a.Rows, p); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkUpdate is a commit that renews the committer's keys in a flat tree, made and confirmed.
func BenchmarkUpdate(b *testing.B) {
	benchmarkPair(b, func(b *testing.B, a, _ *bench.Client) {
		for b.Loop() {
			if _, err := a.Commit(mls.CommitOptions{Path: true}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkProcessCommit is such a commit as another member processes it, up to the staged commit: merging it would end the epoch.
func BenchmarkProcessCommit(b *testing.B) {
	benchmarkPair(b, func(b *testing.B, a, o *bench.Client) {
		p, err := a.Commit(mls.CommitOptions{Path: true})
		if err != nil {
			b.Fatal(err)
		}
		if err := o.Process(p.Message()); err != nil { // from here on the hashes of the tree are known
			b.Fatal(err)
		}
		if p, err = a.Commit(mls.CommitOptions{Path: true}); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := o.Group.Process(o.Rows, p.Message()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkJoin enters a group by a Welcome with the ratchet tree.
func BenchmarkJoin(b *testing.B) {
	benchmarkGroups(b, func(b *testing.B, crowd *bench.Crowd, n int) {
		joiner, err := bench.NewClient(crowd.Suite, "joiner")
		if err != nil {
			b.Fatal(err)
		}
		k, err := joiner.KeyPackage()
		if err != nil {
			b.Fatal(err)
		}
		_, welcome, err := crowd.Found([]byte("0123456789abcdef"), n, k)
		if err != nil {
			b.Fatal(err)
		}
		rows := joiner.Rows.Clone()
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			joiner.Rows = rows.Clone()
			b.StartTimer()
			if err := joiner.Join(welcome); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSetUp makes a group of two from nothing, both sides: key package, group, Add, Welcome, Join.
func BenchmarkSetUp(b *testing.B) {
	for _, suite := range []mls.CipherSuite{mls.X25519AES128GCM, mls.XWingAES256GCM} {
		b.Run(fmt.Sprintf("suite=%04x", uint16(suite)), func(b *testing.B) {
			a, errA := bench.NewClient(suite, "a")
			o, errO := bench.NewClient(suite, "o")
			if errA != nil || errO != nil {
				b.Fatal(errA, errO)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := bench.SetUp(a, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMemory reports what a group of two takes in memory between transactions, loaded from its rows.
func BenchmarkMemory(b *testing.B) {
	for _, suite := range []mls.CipherSuite{mls.X25519AES128GCM, mls.XWingAES256GCM} {
		b.Run(fmt.Sprintf("suite=%04x", uint16(suite)), func(b *testing.B) {
			m, err := bench.MeasureMemory(suite, 500)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
			}
			b.ReportMetric(float64(m.Group), "B/group")
			b.ReportMetric(float64(m.Stored), "B-stored/group")
		})
	}
}
