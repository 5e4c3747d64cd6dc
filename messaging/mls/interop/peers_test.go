package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// missing skips the test because a peer is not there. It fails where all peers are asked for, and under CI where the peer's tool is
// there, so that the peer only had to be built.
func missing(t *testing.T, name, tool, needs string) {
	t.Helper()
	_, err := exec.LookPath(tool)
	if everything() || os.Getenv("CI") != "" && err == nil {
		t.Fatalf("%s is not there: it needs %s", name, needs)
	}
	t.Skipf("%s is not there: it needs %s", name, needs)
}

// A peer is an implementation that runs as a program, started at first use.
type peer struct {
	impl    Implementation
	start   func() (*Process, error) // nil and no error if it is not there
	tool    string                   // that makes it
	needs   string
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
		missing(t, p.impl.Name, p.tool, p.needs)
	}
	impl := p.impl
	impl.New = p.process.New
	return impl
}

var peers = []*peer{{
	impl:  TSMLS,
	tool:  "npm",
	needs: "node, and `npm ci` in messaging/mls/interop/tsmls",
	start: func() (*Process, error) {
		node, err := exec.LookPath("node")
		if _, statErr := os.Stat(filepath.Join("tsmls", "node_modules", "ts-mls")); err != nil || statErr != nil {
			return nil, nil
		}
		return StartProcess("tsmls", node, "peer.mjs")
	},
}, {
	impl:  OpenMLS,
	tool:  "cargo",
	needs: "`cargo build --locked` in messaging/mls/interop/openmls",
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
