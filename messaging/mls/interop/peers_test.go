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

// A peer is an implementation that runs as a program, started at first use.
type peer struct {
	impl    Implementation
	start   func() (*Process, error) // nil and no error if it is not there
	missing string
	once    sync.Once
	process *Process
	err     error
}

// get returns the implementation, running.
func (p *peer) get(t *testing.T) Implementation {
	t.Helper()
	p.once.Do(func() { p.process, p.err = p.start() })
	if p.err != nil {
		t.Fatal(p.err)
	}
	if p.process == nil {
		missing(t, "%s is not there: %s", p.impl.Name, p.missing)
	}
	impl := p.impl
	impl.New = p.process.New
	return impl
}

var peers = []*peer{{
	impl:    TSMLS,
	missing: "it needs node, and `npm ci` in messaging/mls/interop/tsmls",
	start: func() (*Process, error) {
		node, err := exec.LookPath("node")
		if _, statErr := os.Stat(filepath.Join("tsmls", "node_modules", "ts-mls")); err != nil || statErr != nil {
			return nil, nil
		}
		return StartProcess("tsmls", node, "peer.mjs")
	},
}, {
	impl:    OpenMLS,
	missing: "it needs `cargo build --locked` in messaging/mls/interop/openmls",
	start: func() (*Process, error) {
		program, err := filepath.Abs(filepath.Join("openmls", "target", "debug", "openmls-peer"))
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(program); err != nil {
			return nil, nil
		}
		return StartProcess("openmls", program)
	},
}}

func tsmls(t *testing.T) Implementation { return peers[0].get(t) }

func openmls(t *testing.T) Implementation { return peers[1].get(t) }

func TestMain(m *testing.M) {
	code := m.Run()
	for _, p := range peers {
		if p.process != nil {
			p.process.Stop()
		}
	}
	os.Exit(code)
}
