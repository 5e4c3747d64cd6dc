package journal_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/journal/journaltest"
)

// The tests of this file run the test binary again as a child that writes steps as fast as it can and prints each one after Apply has
// acknowledged it. The parent ends it in some unkind way, opens the journal and looks for every step that was acknowledged.
const (
	childEnv  = "PARLEY_JOURNAL_CHILD"       // path of the journal
	firstEnv  = "PARLEY_JOURNAL_CHILD_FIRST" // number of its first payment
	fsizeEnv  = "PARLEY_JOURNAL_CHILD_FSIZE" // largest file it may write, in bytes
	aloneEnv  = "PARLEY_JOURNAL_CHILD_ALONE" // one client instead of eight, for so many payments
	childStop = 120                          // payments after which the child ends by itself
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		os.Exit(child(path))
	}
	os.Exit(m.Run())
}

// child prints "ack <n> <seq>" for each step that is durable, and "broken" when a write has failed and the journal has refused all
// further steps. Its exit code is not 0 when the journal broke a promise that it can see itself.
func child(path string) int {
	if limit, err := strconv.ParseUint(os.Getenv(fsizeEnv), 10, 64); err == nil {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
	}
	first, _ := strconv.Atoi(os.Getenv(firstEnv))
	clients, stop := 8, childStop
	if n, err := strconv.Atoi(os.Getenv(aloneEnv)); err == nil {
		clients, stop = 1, n
	}
	j, err := journal.OpenSQLite(path)
	if err != nil {
		fmt.Println("not opened")
		return 0
	}
	var mu sync.Mutex // guards next and failed
	next, failed := first, false
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next, !failed && next-first <= stop
	}
	bad := make(chan string, 8)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for n, ok := take(); ok; n, ok = take() {
				k := journaltest.Key(n)
				for _, s := range []journal.Step{journaltest.Begin(k), journaltest.Authorise(k), journaltest.Submit(k)} {
					if err := j.Apply(context.Background(), s); err != nil {
						mu.Lock()
						failed = true
						mu.Unlock()
						if !errors.Is(err, journal.ErrBroken) {
							bad <- "the failure is not ErrBroken: " + err.Error()
						}
						return
					}
					fmt.Printf("ack %d %d\n", n, s.ExpectedSeq+uint64(len(s.Events)))
				}
			}
		})
	}
	wg.Wait()
	if failed {
		for range 3 { // the disk may work again; the journal must not
			if err := j.Apply(context.Background(), journaltest.Begin(journaltest.Key(first+childStop+100))); !errors.Is(err, journal.ErrBroken) {
				bad <- fmt.Sprintf("a step after a failed write: %v", err)
			}
		}
		fmt.Println("broken")
	}
	close(bad)
	code := 0
	for b := range bad {
		fmt.Fprintln(os.Stderr, b)
		code = 3
	}
	return code
}

// thinned returns how often something is repeated: n times, or fewer under the race detector.
func thinned(n int) int {
	if underRace {
		return max(n/4, 2)
	}
	return n
}

// survivor is a journal that is hit again and again, with what it has acknowledged.
type survivor struct {
	path  string
	first int
	acked map[int]uint64 // payment → seq
	head  journal.Head
}

func newSurvivor(t *testing.T) *survivor {
	return &survivor{path: filepath.Join(t.TempDir(), "j.db"), acked: map[int]uint64{}}
}

// run starts the child under the given command prefix and takes down its acks. After the first ack, hit is called with the child's
// process. run returns what the child printed besides acks.
func (s *survivor) run(t *testing.T, prefix, env []string, hit func(*os.Process)) (said string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(append([]string{}, prefix...), exe)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(append(os.Environ(), childEnv+"="+s.path, firstEnv+"="+strconv.Itoa(s.first)), env...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	acks := 0
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // a line without its end was cut off by the kill, and is no ack
			if err != io.EOF {
				t.Fatal(err)
			}
			break
		}
		var n int
		var seq uint64
		if _, err := fmt.Sscanf(line, "ack %d %d\n", &n, &seq); err != nil {
			said += line
			continue
		}
		s.acked[n] = max(s.acked[n], seq)
		if acks++; acks == 1 && hit != nil {
			go hit(cmd.Process)
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		t.Fatalf("the child failed: %v\n%s", err, complaints.String())
	}
	s.first += childStop + 1000
	return said
}

// inspect opens the journal and looks for everything that was acknowledged.
func (s *survivor) inspect(t *testing.T, what string) {
	t.Helper()
	j, err := journal.OpenSQLite(s.path)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer j.Close()
	if err := j.Verify(t.Context(), s.head); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if s.head, err = j.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n, seq := range s.acked {
		r, err := j.Payment(t.Context(), journaltest.Key(n))
		if err != nil || r.Seq < seq {
			t.Fatalf("%s: payment %d was acknowledged at seq %d, the journal has %d (%v)", what, n, seq, r.Seq, err)
		}
		if seq < 4 {
			continue
		}
		if _, err := j.OutboxRow(t.Context(), "rail/"+string(r.Intent)); err != nil {
			t.Fatalf("%s: payment %d is submitting and its message is gone: %v", what, n, err)
		}
	}
}

func TestKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	s := newSurvivor(t)
	random := rand.New(rand.NewPCG(1, 2))
	kills := thinned(30)
	early := 0
	for i := range kills {
		before := len(s.acked)
		wait := time.Duration(random.IntN(25_000)) * time.Microsecond
		s.run(t, nil, nil, func(p *os.Process) {
			time.Sleep(wait) // a moment of its own for each kill
			p.Kill()
		})
		if len(s.acked)-before < childStop {
			early++
		}
		s.inspect(t, fmt.Sprintf("kill %d after %v", i+1, wait))
	}
	if early < kills/2 {
		t.Errorf("only %d of %d children were killed at work", early, kills)
	}
	t.Logf("%d kills, %d of them at work, %d payments acknowledged, none lost", kills, early, len(s.acked))
}

// strace returns the command that runs a child under fault injection, or skips the test.
func strace(t *testing.T, inject string) []string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: faults at a chosen fsync are not tested here")
	}
	if err := exec.Command(path, "-qq", "-o", os.DevNull, "true").Run(); err != nil {
		t.Skipf("strace may not trace here: %v", err)
	}
	return []string{path, "-f", "-qq", "-o", os.DevNull, "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:" + inject}
}

// TestKilledAtEachFsync kills the child as it enters its n-th fsync. strace counts per thread, so some children live to the end.
func TestKilledAtEachFsync(t *testing.T) {
	t.Parallel()
	s := newSurvivor(t)
	for n := 1; n <= thinned(12); n++ {
		s.run(t, strace(t, fmt.Sprintf("signal=SIGKILL:when=%d", n)), nil, nil)
		s.inspect(t, fmt.Sprintf("kill at fsync %d", n))
	}
	t.Logf("%d payments acknowledged, none lost", len(s.acked))
}

// TestFailedFsyncBreaksTheJournal lets one fsync fail with EIO and all others succeed: the journal must not go on as if nothing were.
func TestFailedFsyncBreaksTheJournal(t *testing.T) {
	t.Parallel()
	s := newSurvivor(t)
	broken := 0
	runs := thinned(8)
	for n := 3; n < 3+runs; n++ { // the first ones are those of opening
		if strings.Contains(s.run(t, strace(t, fmt.Sprintf("error=EIO:when=%d", n)), nil, nil), "broken") {
			broken++
		}
		s.inspect(t, fmt.Sprintf("EIO at fsync %d", n))
	}
	if broken == 0 {
		t.Error("no failed fsync was noticed")
	}
	t.Logf("%d of %d runs ended with ErrBroken, %d payments acknowledged, none lost", broken, runs, len(s.acked))
}

// TestFailedWriteBreaksTheJournal lets the files reach a size limit: writing fails as on a full disk, without any privilege.
func TestFailedWriteBreaksTheJournal(t *testing.T) {
	t.Parallel()
	s := newSurvivor(t)
	s.run(t, nil, nil, nil)
	s.inspect(t, "a whole run")
	for _, more := range []int64{0, 20_000, 60_000} {
		wal := s.path + "-wal"
		if fi, err := os.Stat(wal); err == nil && fi.Size() > 0 {
			t.Fatal("the log was not folded into the file at the end")
		}
		said := s.run(t, nil, []string{fsizeEnv + "=" + strconv.FormatInt(100_000+more, 10)}, nil)
		if !strings.Contains(said, "broken") {
			t.Errorf("limit of %d bytes: the child said %q", 100_000+more, said)
		}
		s.inspect(t, "a file that could not grow")
	}
}
