package journal_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/journal/journaltest"
)

// TestPowerCut records every write and fsync of a child and rebuilds, at each acknowledgement, what a disk would hold if the power went
// then: only what was fsynced, and that plus a random half of the later writes. Each of these disks is opened: every step
// acknowledged so far is there. The model takes a write as atomic or absent, and an fsync of a file to cover its name.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	strace(t, "signal=SIGKILL:when=1000000") // skips where strace is not to be had
	dir := t.TempDir()
	path, log := filepath.Join(dir, "j.db"), filepath.Join(t.TempDir(), "strace")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("strace", "-f", "-qq", "-y", "-xx", "-s", "10000000", "-o", log,
		"-e", "trace=pwrite64,write,ftruncate,fsync,fdatasync,unlink,unlinkat,mmap,rename,renameat", exe)
	payments := thinned(8)
	cmd.Env = append(os.Environ(), childEnv+"="+path, firstEnv+"=0", aloneEnv+"="+strconv.Itoa(payments))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d := &disk{t: t, dir: dir, files: map[string]*file{}, random: rand.New(rand.NewPCG(7, 8))}
	d.replay(log)
	if d.acks != 3*payments || d.opened != 2*d.acks {
		t.Errorf("%d acknowledgements seen, %d disks opened, want 3 a payment and 2 each", d.acks, d.opened)
	}
	t.Logf("%d acknowledgements, %d disks opened, %d fsyncs, nothing lost", d.acks, d.opened, d.syncs)
}

// disk is what the child's files hold, on disk and in the page cache.
type disk struct {
	t                   *testing.T
	dir                 string
	files               map[string]*file
	random              *rand.Rand
	acked               []string // "n seq"
	acks, opened, syncs int
}

type file struct {
	synced  []byte
	exists  bool // synced once
	pending []change
}

// change is a write, or a truncation if data is nil.
type change struct {
	at   int64
	data []byte
}

func (c change) apply(b []byte) []byte {
	end := c.at + int64(len(c.data))
	if c.data == nil {
		end = c.at
	}
	if int64(len(b)) < end || c.data == nil {
		b = append(b, make([]byte, max(0, end-int64(len(b))))...)
	}
	if c.data == nil {
		return b[:end]
	}
	copy(b[c.at:], c.data)
	return b
}

// written reads the arguments of a write: the data in quotes, then its length and, for pwrite64, where.
func written(args string) (data string, numbers []int64) {
	args, ok := strings.CutPrefix(args, `"`)
	hex, rest, ok2 := strings.Cut(args, `"`)
	if !ok || !ok2 {
		return "", nil
	}
	for _, s := range strings.Split(strings.TrimPrefix(rest, ", "), ", ") {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return "", nil
		}
		numbers = append(numbers, n)
	}
	return unhex(hex), numbers
}

// unhex reads strace's -xx form.
func unhex(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			n, _ := strconv.ParseUint(s[i+2:i+4], 16, 8)
			b.WriteByte(byte(n))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func (d *disk) replay(log string) {
	f, err := os.Open(log)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	begun := map[string]string{}
	for lines.Scan() {
		thread, line, _ := strings.Cut(lines.Text(), " ")
		line = strings.TrimSpace(line)
		if start, ok := strings.CutSuffix(line, " <unfinished ...>"); ok {
			begun[thread] = start
			continue
		}
		if strings.HasPrefix(line, "<... ") {
			_, end, _ := strings.Cut(line, " resumed>")
			line = begun[thread] + end
		}
		name, rest, ok := strings.Cut(line, "(")
		end := strings.LastIndex(rest, ")")
		if ok && end >= 0 && !strings.Contains(rest[end:], "= -1") && strings.Contains(rest[end:], "= ") {
			d.take(name, rest[:end])
		}
	}
	if err := lines.Err(); err != nil {
		d.t.Fatal(err)
	}
}

// take applies one system call that succeeded.
func (d *disk) take(name, args string) {
	fd, rest, ok := strings.Cut(args, "<")
	path, rest, ok2 := strings.Cut(rest, ">")
	if _, err := strconv.Atoi(fd); err != nil || !ok || !ok2 {
		if strings.HasPrefix(name, "unlink") || strings.HasPrefix(name, "rename") {
			for _, quoted := range strings.Split(args, `"`) {
				if p := unhex(quoted); strings.HasPrefix(p, d.dir) {
					if strings.HasPrefix(name, "rename") {
						d.t.Fatalf("the model has no rename, and the child used it: %s", p)
					}
					delete(d.files, p)
				}
			}
		}
		return
	}
	path, rest = unhex(path), strings.TrimPrefix(rest, ", ")
	if fd == "1" && name == "write" {
		data, _ := written(rest)
		d.said(data)
		return
	}
	if !strings.HasPrefix(path, d.dir) || strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, ".lock") {
		return // the index of the log is rebuilt after a crash
	}
	f := d.files[path]
	if f == nil {
		f = &file{}
		d.files[path] = f
	}
	switch name {
	case "pwrite64":
		data, numbers := written(rest)
		if len(numbers) != 2 || int(numbers[0]) != len(data) {
			d.t.Fatalf("cannot read a write of %s", filepath.Base(path))
		}
		f.pending = append(f.pending, change{numbers[1], []byte(data)})
	case "ftruncate":
		at, _ := strconv.ParseInt(rest, 10, 64)
		f.pending = append(f.pending, change{at: at})
	case "fsync", "fdatasync":
		d.syncs++
		for _, c := range f.pending {
			f.synced = c.apply(f.synced)
		}
		f.pending, f.exists = nil, true
	default:
		d.t.Fatalf("the model has no %s, and the child used it on %s", name, filepath.Base(path))
	}
}

// said takes what the child printed, and cuts the power after an acknowledgement.
func (d *disk) said(text string) {
	ack, ok := strings.CutPrefix(text, "ack ")
	if !ok {
		return
	}
	d.acks++
	d.acked = append(d.acked, strings.TrimSpace(ack))
	d.cut("only what was fsynced", func(change) bool { return false })
	d.cut("and half of the rest", func(change) bool { return d.random.IntN(2) == 0 })
}

// cut opens the journal on the disk as it is after a power cut, with those of the later writes that keep lets through.
func (d *disk) cut(what string, keep func(change) bool) {
	dir := d.t.TempDir()
	for path, f := range d.files {
		b := slices.Clone(f.synced)
		some := f.exists
		for _, c := range f.pending {
			if keep(c) {
				b, some = c.apply(b), true
			}
		}
		if some {
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), b, 0o600); err != nil {
				d.t.Fatal(err)
			}
		}
	}
	j, err := journal.OpenSQLite(filepath.Join(dir, "j.db"))
	if err != nil {
		d.t.Errorf("ack %d, %s: %v", d.acks, what, err)
		return
	}
	defer j.Close()
	d.opened++
	if err := j.Verify(d.t.Context()); err != nil {
		d.t.Errorf("ack %d, %s: %v", d.acks, what, err)
	}
	for _, a := range d.acked {
		var n int
		var seq uint64
		if _, err := fmt.Sscanf(a, "%d %d", &n, &seq); err != nil {
			d.t.Fatal(err)
		}
		if r, err := j.Payment(d.t.Context(), journaltest.Key(n)); err != nil || r.Seq < seq {
			d.t.Errorf("ack %d, %s: payment %d was acknowledged at seq %d, the disk has %d (%v)", d.acks, what, n, seq, r.Seq, err)
		}
	}
}
