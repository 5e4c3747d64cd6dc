package relay

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging/relay/bench"
	"github.com/parleypay/parley/messaging/wire"
)

// The relay process is killed at, or refused by the disk at, its n-th fsync: nothing that it acknowledged is lost, and after an I/O error it
// ends with an error instead of carrying on. strace counts per thread, so the numbers are tried up to where every thread has had its turn.
func TestEachSync(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil || testing.Short() {
		t.Skip("needs strace, and a few seconds")
	}
	if exec.Command(strace, "-o", os.DevNull, "true").Run() != nil {
		t.Skip("strace may not trace here")
	}
	for _, fault := range []string{"signal=SIGKILL", "error=EIO"} {
		for _, n := range []int{1, 3, 8, 20} {
			t.Run(fmt.Sprintf("%s at %d", fault, n), func(t *testing.T) {
				t.Parallel()
				eachSync(t, strace, fault, n)
			})
		}
	}
}

func eachSync(t *testing.T, strace, fault string, n int) {
	k := &killable{t: t, dir: filepath.Join(t.TempDir(), "relay")}
	ka, kb := newKey(), newKey()
	k.up() // a first life, so that the fault meets a running relay and not a store in the making
	for _, key := range []ed25519.PrivateKey{ka, kb} {
		c, err := bench.Dial(context.Background(), k.url, key, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	k.cmd.Process.Signal(os.Interrupt)
	k.cmd.Wait()

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(strace, "-f", "-o", os.DevNull, "-e", "trace=fsync,fdatasync", "-e", fmt.Sprintf("inject=fsync,fdatasync:%s:when=%d", fault, n), self)
	cmd.Env = append(os.Environ(), childEnv+"="+k.dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(60*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	var acked [][16]byte
	line, _ := bufio.NewReader(out).ReadString('\n')
	if addr, ok := strings.CutPrefix(strings.TrimSpace(line), "addr "); ok {
		acked = sendUntilItEnds("ws://"+addr, ka, kb)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Fatalf("the relay carried on after %s: %v", fault, err)
	}
	k.up()
	defer k.kill()
	b, err := bench.Dial(context.Background(), k.url, kb, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.Write(&wire.Sync{Req: 1})
	got := map[[16]byte]bool{}
	for {
		b.WS.SetReadDeadline(time.Now().Add(20 * time.Second))
		f, err := b.Read()
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := f.(*wire.Deliver); ok {
			got[d.ID] = true
		} else if _, ok := f.(*wire.Synced); ok {
			break
		}
	}
	for _, id := range acked {
		if !got[wire.DeliveryID(idOf(ka), id)] {
			t.Errorf("an acknowledged message is gone (%d acknowledged, %d there)", len(acked), len(got))
		}
	}
}

// sendUntilItEnds sends messages one by one and returns the acknowledged ones when the relay stops answering.
func sendUntilItEnds(url string, from, to ed25519.PrivateKey) (acked [][16]byte) {
	c, err := bench.Dial(context.Background(), url, from, "", nil)
	if err != nil {
		return nil
	}
	defer c.Close()
	me := &client{Client: c}
	for range 2000 {
		m := me.message(idOf(to), "x")
		if c.Write(m) != nil {
			return acked
		}
		c.WS.SetReadDeadline(time.Now().Add(20 * time.Second))
		f, err := c.Read()
		if err != nil {
			return acked
		}
		if a, ok := f.(*wire.Accepted); ok {
			acked = append(acked, a.ID)
		}
	}
	return acked
}
