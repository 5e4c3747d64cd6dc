package crash

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/parleypay/parley/internal/node"
)

// command is a running child.
type command struct {
	*exec.Cmd
	stdin io.Closer
	done  chan struct{} // closed when it has ended
}

// start runs the part and waits until it is ready.
func (p *part) start(ctx context.Context) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	c := &command{Cmd: exec.Command(exe, p.file), done: make(chan struct{})}
	c.Env = append(os.Environ(), "PARLEY_CRASH_PART="+p.kind)
	c.Stderr = &p.log
	c.WaitDelay = time.Second
	if c.stdin, err = c.StdinPipe(); err != nil {
		return err
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	ready := make(chan node.Ready, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			l, ok := decodeLine(lines.Bytes())
			if ok && l.Event != nil {
				p.sink(*l.Event)
			}
			if ok && l.Ready != nil {
				ready <- *l.Ready
			}
		}
		io.Copy(io.Discard, stdout)
		c.Wait()
		close(c.done)
	}()
	p.cmd = c
	select {
	case p.ready = <-ready:
		return nil
	case <-c.done:
		return fmt.Errorf("it ended: %v\n%s", c.ProcessState, p.log.Bytes())
	case <-time.After(30 * time.Second):
		c.Process.Kill()
		return fmt.Errorf("it is not ready after 30 s\n%s", p.log.Bytes())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// kill is kill -9.
func (p *part) kill() {
	p.cmd.Process.Kill()
	<-p.cmd.done
}

// terminate asks the part to drain.
func (p *part) terminate() error {
	if p.cmd == nil {
		return nil
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.cmd.done:
	case <-time.After(15 * time.Second):
		p.kill()
		return errors.New(p.name + " did not drain in 15 s")
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("%s ended with %v\n%s", p.name, p.cmd.ProcessState, p.log.Bytes())
	}
	return nil
}
