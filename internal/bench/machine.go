// Package bench measures Parley on this machine: payments through the whole path, and messages through a relay.
//
// It is no test: it fails only when something does not work, never because it was slow.
package bench

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// Machine is what the figures depend on. Latencies are in microseconds.
type Machine struct {
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Go       string `json:"go"`
	Cores    int    `json:"cores"`
	FsyncP50 int64  `json:"fsync_p50_us"` // of 4 KiB appended, in the directory that the benchmark writes to
	FsyncP99 int64  `json:"fsync_p99_us"`
}

const fsyncs = 300

func measureMachine(dir string) (Machine, error) {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version(), Cores: runtime.NumCPU()}
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return m, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4096)
	took := make([]time.Duration, fsyncs)
	for i := range took {
		start := time.Now()
		if _, err := f.Write(block); err != nil {
			return m, err
		}
		if err := f.Sync(); err != nil {
			return m, err
		}
		took[i] = time.Since(start)
	}
	s := summarize(took)
	m.FsyncP50, m.FsyncP99 = s.P50, s.P99
	return m, nil
}

// Summary is a distribution of durations in microseconds.
type Summary struct {
	Count int   `json:"count"`
	P50   int64 `json:"p50_us"`
	P99   int64 `json:"p99_us"`
	P999  int64 `json:"p999_us"`
	Max   int64 `json:"max_us"`
}

func summarize(took []time.Duration) Summary {
	if len(took) == 0 {
		return Summary{}
	}
	slices.Sort(took)
	at := func(perMille int) int64 { return took[min(len(took)-1, len(took)*perMille/1000)].Microseconds() }
	return Summary{Count: len(took), P50: at(500), P99: at(990), P999: at(999), Max: took[len(took)-1].Microseconds()}
}
