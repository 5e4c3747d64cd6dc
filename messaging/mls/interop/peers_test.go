package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// missing skips the test because a peer cannot be run here, or fails it where all peers are asked for.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" || everything() {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// tsmls starts ts-mls once for all tests.
func tsmls(t *testing.T) Implementation {
	t.Helper()
	startTSMLS.Do(func() {
		if _, err := os.Stat(filepath.Join("tsmls", "node_modules", "ts-mls")); err != nil {
			return
		}
		if node, err := exec.LookPath("node"); err == nil {
			tsmlsProcess, tsmlsFailed = StartProcess("tsmls", node, "peer.mjs")
		}
	})
	if tsmlsFailed != nil {
		t.Fatal(tsmlsFailed)
	}
	if tsmlsProcess == nil {
		missing(t, "ts-mls is not there: it needs node, and `npm ci` in messaging/mls/interop/tsmls")
	}
	impl := TSMLS
	impl.New = tsmlsProcess.New
	return impl
}

var (
	startTSMLS   sync.Once
	tsmlsProcess *Process
	tsmlsFailed  error
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, p := range []*Process{tsmlsProcess} {
		if p != nil {
			p.Stop()
		}
	}
	os.Exit(code)
}

func TestTSMLSAlone(t *testing.T) { playAll(t, tsmls(t), tsmls(t), []uint16{1, 3}) }
