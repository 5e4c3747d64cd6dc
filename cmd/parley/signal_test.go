package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/parleypay/parley/internal/node"
)

// TestChildLeavesInterruptToItsParent: Ctrl-C in a terminal reaches the parts of a demo too, which must not be killed by the SIGTERM
// that their parent then sends.
func TestChildLeavesInterruptToItsParent(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	file := filepath.Join(t.TempDir(), "relay.yaml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:0\nstore: relay\nunsafe_temp_store: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "relay", "-events", "-config", file)
	cmd.Env = append(os.Environ(), "PARLEY_TEST_AS_MAIN=1")
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	var line node.Line
	scan := bufio.NewScanner(stdout)
	if !scan.Scan() || json.Unmarshal(scan.Bytes(), &line) != nil || line.Ready == nil {
		t.Fatalf("no announcement: %q", scan.Text())
	}
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGINT, syscall.SIGTERM} {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	for scan.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the relay did not drain: %v", err)
	}
}
