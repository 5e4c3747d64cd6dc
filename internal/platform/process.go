package platform

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/parleypay/parley/internal/node"
	"github.com/parleypay/parley/internal/trace"
)

// Process is one part running as a child process: it announces itself and its events as node.Line on standard output. It stops by
// itself when its standard input closes, so that it never outlives its parent.
type Process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	Ready node.Ready    // how to reach it
	done  chan struct{} // closed when the process has ended and its output is read
	err   error         // of Wait, valid after done
	says  *tail         // the end of its standard error
}

// StartProcess starts exe with args and waits until it is ready. sink gets its events and
// log what it writes to standard error; both may be nil.
func StartProcess(ctx context.Context, name, exe string, args []string, sink trace.Sink, log io.Writer) (*Process, error) {
	p := &Process{name: name, cmd: exec.Command(exe, args...), done: make(chan struct{}), says: &tail{max: 4 << 10}}
	p.cmd.Stderr = p.says
	if log != nil {
		p.cmd.Stderr = io.MultiWriter(p.says, log)
	}
	p.cmd.WaitDelay = 2 * time.Second
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p.stdin = stdin
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	ready := make(chan node.Ready, 1)
	go func() {
		readLines(stdout, ready, sink)
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	timeout := time.NewTimer(15 * time.Second)
	defer timeout.Stop()
	select {
	case p.Ready = <-ready:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("%s did not start: %v\n%s", name, p.err, p.says)
	case <-timeout.C:
		err = errors.New("not ready within 15 s")
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.Kill()
	return nil, fmt.Errorf("%s did not start: %w\n%s", name, err, p.says)
}

func readLines(r io.Reader, ready chan<- node.Ready, sink trace.Sink) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		var l node.Line
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue
		}
		if l.Event != nil {
			sink.Emit(*l.Event)
		}
		if l.Ready != nil {
			select {
			case ready <- *l.Ready:
			default:
			}
		}
	}
	io.Copy(io.Discard, r) // a line over the limit must not block the child
}

// Kill ends the process at once, as kill -9 does, and waits until it is gone.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// Stop asks the process to drain and end, and reports how it ended. After 10 s it is killed.
func (p *Process) Stop() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	timeout := time.NewTimer(10 * time.Second)
	defer timeout.Stop()
	select {
	case <-p.done:
	case <-timeout.C:
		p.Kill()
		return fmt.Errorf("%s did not drain within 10 s and was killed\n%s", p.name, p.says)
	}
	p.stdin.Close()
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", p.name, p.err, p.says)
	}
	return nil
}

// tail keeps the last max octets written to it.
type tail struct {
	mu  sync.Mutex // guards buf
	buf []byte
	max int
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - t.max; over > 0 {
		t.buf = bytes.Clone(t.buf[over:])
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
