// Command bench runs the operations of messaging/mls beside those of mls-go and the floor of the primitives, in turn and in one process, and
// prints times, ratios and the goals.
//
// Groups are made by messaging/mls; mls-go joins them, so both do the same work on the same octets. All times are the least of many
// short batches on one core: read them as ratios of this run.
//
//	cd messaging/mls/interop && go run ./bench
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/mls/internal/bench"
)

func main() {
	scale := flag.Int("rounds", 20, "rounds of everything; half of them for groups of 1,000")
	flag.Parse()
	if err := run(*scale); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(rounds int) error {
	cores := runtime.NumCPU()
	runtime.GOMAXPROCS(1)
	sizes := []int{2, 10, 100, 1000}
	crowd := bench.NewCrowd(mls.X25519AES128GCM)
	all := map[int]*timings{}
	for _, n := range sizes {
		all[n] = new(timings)
	}
	var p bench.Primitives
	floorSeal, floorOpen, err := messages(crowd, sizes, all, 5*rounds)
	if err != nil {
		return err
	}
	for _, n := range sizes {
		few := rounds
		if n >= 1000 {
			few = max(rounds/2, 2)
		}
		if err := p.Measure(bench.Classical, 10*rounds); err != nil {
			return err
		}
		if err := commits(crowd, n, all[n], few); err != nil {
			return err
		}
		if err := joins(crowd, n, all[n], few); err != nil {
			return err
		}
	}
	classical, postQuantum, peers, err := setUps(10 * rounds)
	if err != nil {
		return err
	}

	fmt.Printf("1 KiB messages, suite 1 unless said, one of %d cores, %s; µs, the least of many batches\n\n", cores, runtime.Version())
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "operation\tN\tparley\tmls-go\tmls-go/parley\tfloor\tparley/floor\t")
	for _, n := range sizes {
		t := all[n]
		row(w, "seal", n, t.seal, t.peerSeal, floorSeal)
		row(w, "open", n, t.open, t.peerOpen, floorOpen)
		row(w, "seal+open", n, t.seal+t.open, t.peerSeal+t.peerOpen, floorSeal+floorOpen)
		row(w, "add, Welcome, store", n, t.add, t.peerAdd, least(p.Add()))
		row(w, "process commit, store", n, t.process, t.peerProcess, least(p.Process(n)))
		row(w, "join, store", n, t.join, t.peerJoin, least(p.Join(n)))
		row(w, "own update, flat tree", n, t.update, t.peerUpdate, least(p.Update(n)))
	}
	row(w, "set-up, both sides", 2, classical, peers, least(p.SetUp()))
	var pq bench.Primitives
	if err := pq.Measure(bench.XWing, 10*rounds); err != nil {
		return err
	}
	row(w, "set-up, X-Wing (TBD2)", 2, postQuantum, 0, least(pq.SetUp()))
	if err := w.Flush(); err != nil {
		return err
	}

	memory, err := bench.MeasureMemory(mls.X25519AES128GCM, 400)
	if err != nil {
		return err
	}
	memoryPQ, err := bench.MeasureMemory(mls.XWingAES256GCM, 400)
	if err != nil {
		return err
	}
	peerOctets, err := peerMemory(400)
	if err != nil {
		return err
	}
	fmt.Printf("\nmemory of a live group of two, octets: suite 1 %d (rows %d), X-Wing %d (rows %d), mls-go %d\n\n",
		memory.Group, memory.Stored, memoryPQ.Group, memoryPQ.Stored, peerOctets)

	two, big := all[2], all[1000]
	goals := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(goals, "goal\twant\tgot\t")
	atMost(goals, "seal+open, N=2, to the floor", 1.15, ratio(two.seal+two.open, floorSeal+floorOpen))
	atLeast(goals, "seal+open, N=2, faster than mls-go", 1.1, ratio(two.peerSeal+two.peerOpen, two.seal+two.open))
	atMost(goals, "seal+open, N=1000 to N=2", 1.10, ratio(big.seal+big.open, two.seal+two.open))
	atLeast(goals, "add, N=100, faster than mls-go", 15, ratio(all[100].peerAdd, all[100].add))
	atLeast(goals, "process commit, N=100, faster than mls-go", 2.3, ratio(all[100].peerProcess, all[100].process))
	atLeast(goals, "process commit, N=1000, faster than mls-go", 11, ratio(big.peerProcess, big.process))
	atLeast(goals, "join, N=100, faster than mls-go", 1.6, ratio(all[100].peerJoin, all[100].join))
	atMost(goals, "set-up, X-Wing to suite 1", 2, ratio(postQuantum, classical))
	atMost(goals, "memory of a group of two, suite 1, KiB", 8, float64(memory.Group)/1024)
	atMost(goals, "memory of a group of two, X-Wing, KiB", 8, float64(memoryPQ.Group)/1024)
	return goals.Flush()
}

func ratio(a, b least) float64 { return float64(a) / float64(b) }

func micros(l least) string {
	if l == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(time.Duration(l).Nanoseconds())/1e3)
}

func times(a, b least) string {
	if a == 0 || b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", ratio(a, b))
}

func row(w *tabwriter.Writer, what string, n int, ours, peers, floor least) {
	fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t\n", what, n, micros(ours), micros(peers), times(peers, ours), micros(floor), times(ours, floor))
}

func atMost(w *tabwriter.Writer, what string, want, got float64) {
	judge(w, what, "at most", want, got, got <= want)
}

func atLeast(w *tabwriter.Writer, what string, want, got float64) {
	judge(w, what, "at least", want, got, got >= want)
}

func judge(w *tabwriter.Writer, what, word string, want, got float64, met bool) {
	verdict := "missed"
	if met {
		verdict = "met"
	}
	fmt.Fprintf(w, "%s\t%s %.2f\t%.2f\t%s\n", what, word, want, got, verdict)
}
