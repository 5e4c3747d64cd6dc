package isotool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// file is one thing to read.
type file struct {
	Name string // as named on the command line, or as found in a folder named there; "-" is standard input
	Size int64  // octets, -1 where that is not known
	io.Reader
}

// inputs is what the arguments FILE|DIR|-... of a subcommand stand for.
type inputs struct {
	in   io.Reader
	errs *screen
	name string // of the subcommand, for what is said on errs
	// visit gets each file, open, once.
	visit func(f *file)
	// fail is told of everything that could not be opened, listed or read. It never names a file's contents.
	fail func(name string, err error)
}

var errNoXML = errors.New("no *.xml file in this folder")

// each goes through the arguments in their order. A folder stands for the regular files *.xml in it and below, in the order of their
// names; symbolic links in it are not followed, and what is left out is said on errs. A folder without such a file is a failure, so
// that a mistyped name is not taken for success.
func (in *inputs) each(args []string) {
	for _, name := range args {
		if name == "-" {
			in.visit(&file{Name: "-", Size: -1, Reader: in.progress("standard input", -1, in.in)})
			continue
		}
		info, err := os.Stat(name)
		switch {
		case err != nil:
			in.fail(name, err)
		case info.IsDir():
			in.folder(name)
		default:
			f, err := os.Open(name)
			in.open(name, f, err)
		}
	}
}

// open visits f, unless it could not be opened.
func (in *inputs) open(name string, f fs.File, err error) {
	if err != nil {
		in.fail(name, err)
		return
	}
	defer f.Close()
	size := int64(-1)
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	in.visit(&file{Name: name, Size: size, Reader: in.progress(name, size, f)})
}

// folder visits the files of a folder. It is opened as a root: no link, not even one made meanwhile, leads out of it.
func (in *inputs) folder(dir string) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		in.fail(dir, err)
		return
	}
	defer root.Close()
	var links, other skipped
	found := false
	fsys := root.FS()
	fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		shown := filepath.Join(dir, filepath.FromSlash(name))
		switch {
		case err != nil:
			in.fail(shown, err)
			found = true // and told
		case d.IsDir():
		case d.Type()&fs.ModeSymlink != 0:
			links.add(name)
		case !d.Type().IsRegular() || !strings.EqualFold(path.Ext(name), ".xml"):
			other.add(name)
		default:
			found = true
			f, err := fsys.Open(name)
			in.open(shown, f, err)
		}
		return nil
	})
	links.say(in, dir, "symbolic link", "not followed")
	other.say(in, dir, "file", "no *.xml")
	if !found {
		in.fail(dir, errNoXML)
	}
}

// skipped counts what was left out, and names the first.
type skipped struct {
	n     int
	names []string
}

func (s *skipped) add(name string) {
	if s.n++; len(s.names) < 3 {
		s.names = append(s.names, visible(name))
	}
}

func (s *skipped) say(in *inputs, dir, what, why string) {
	if s.n == 0 {
		return
	}
	names := strings.Join(s.names, ", ")
	if s.n > len(s.names) {
		names += ", …"
	}
	in.errs.printf("parley iso %s: %s: %s left out, %s: %s\n", in.name, visible(dir), plural(s.n, what), why, names)
}

// reason returns what is wrong with a file that could not be read, without its name.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}

var errTooLong = errors.New("longer than the limit")

// whole reads all of f, at most limit octets.
func (f *file) whole(limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, fmt.Errorf("%w of %d octets", errTooLong, limit)
	}
	return b, err
}

// progress returns r, which writes a line of its progress to errs if that is a terminal and reading takes longer than a moment.
func (in *inputs) progress(name string, size int64, r io.Reader) io.Reader {
	if !in.errs.terminal {
		return r
	}
	now := time.Now()
	return &progress{r: r, s: in.errs, name: filepath.Base(name), size: size, began: now, told: now}
}

type progress struct {
	r           io.Reader
	s           *screen
	name        string
	size        int64 // -1: not known
	read        int64
	began, told time.Time
	shown       bool
}

// Read reads on and says so, five times in a second at most. The line is gone when the end is reached.
func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.read += int64(n)
	switch now := time.Now(); {
	case err != nil && p.shown:
		p.s.printf("\r\x1b[K")
		p.shown = false
	case err == nil && now.Sub(p.told) > 200*time.Millisecond:
		p.told, p.shown = now, true
		p.s.printf("\r\x1b[K%s", p.line(now.Sub(p.began)))
	}
	return n, err
}

func (p *progress) line(took time.Duration) string {
	const mb = 1_000_000
	speed := p.read * 10 / mb * int64(time.Second) / max(int64(took), 1)
	text := fmt.Sprintf("%s: %d MB, %d.%d MB/s", clip(visible(p.name), 40), p.read/mb, speed/10, speed%10)
	if p.size > 0 {
		text = fmt.Sprintf("%s: %d of %d MB, %d %%, %d.%d MB/s", clip(visible(p.name), 40), p.read/mb, p.size/mb, min(100, p.read*100/p.size), speed/10, speed%10)
	}
	return clip(text, p.s.width-1)
}
