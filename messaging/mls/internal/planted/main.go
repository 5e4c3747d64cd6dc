// Command planted puts one fault at a time into package mls and shows which of its tests notices: a suite that lets a planted bug
// pass would let a real one pass too.
//
// The faults are replacements of source text (list.go), compiled with the go command's overlay; no file is changed and the product
// has no switch for them. It knows nothing of how the tests work.
//
//	go run ./messaging/mls/internal/planted            all bugs
//	go run ./messaging/mls/internal/planted -list      names, rules and tests
//	go run ./messaging/mls/internal/planted 'tag|tree'  those whose name matches
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
)

// bug is one fault. Old stands exactly once in File and New takes its place; Test is the pattern of the tests that must then fail.
type bug struct {
	Name    string
	Section string // of RFC 9420
	File    string // in messaging/mls
	Old     string
	New     string
	Test    string
}

// packagePath is the package that is tested.
const packagePath = "github.com/parleypay/parley/messaging/mls"

func main() {
	list := flag.Bool("list", false, "print the bugs and run nothing")
	parallel := flag.Int("parallel", runtime.NumCPU(), "how many bugs to try at once")
	flag.Parse()
	pattern, err := regexp.Compile(strings.Join(flag.Args(), "|"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	var chosen []bug
	for _, b := range bugs {
		if pattern.MatchString(b.Name) {
			chosen = append(chosen, b)
		}
	}
	if *list {
		for _, b := range chosen {
			fmt.Printf("%-58s §%-10s %s\n", b.Name, b.Section, b.Test)
		}
		return
	}
	dir, err := packageDir()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	caught := 0
	run(dir, chosen, *parallel, func(v verdict) {
		mark := "MISSED"
		if v.err == nil {
			caught++
			mark = "caught"
		}
		fmt.Printf("%s  %-58s %5.1fs  %s\n", mark, v.bug.Name, v.took.Seconds(), v.detail())
	})
	fmt.Printf("%d of %d planted bugs caught\n", caught, len(chosen))
	if caught < len(chosen) {
		os.Exit(1)
	}
}

// verdict is what became of one bug: caught by a test, or err says why not.
type verdict struct {
	bug  bug
	by   string // the test that failed
	err  error
	took time.Duration
}

func (v verdict) detail() string {
	if v.err != nil {
		return v.err.Error()
	}
	return v.by
}

// run tries the bugs, some at a time, and reports each in the order of the list.
func run(dir string, list []bug, parallel int, report func(verdict)) {
	done := make([]chan verdict, len(list))
	for i := range done {
		done[i] = make(chan verdict, 1)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(parallel, 1))
	for i, b := range list {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			start := time.Now()
			by, err := b.try(dir)
			done[i] <- verdict{b, by, err, time.Since(start)}
		})
	}
	for _, c := range done {
		report(<-c)
	}
	wg.Wait()
}

// tryMax ends a test that a fault has made endless; it then counts as caught, since the suite would not pass.
const tryMax = 4 * time.Minute

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// try compiles the package with the bug in it, runs its tests and returns the name of the innermost one that failed first.
func (b bug) try(dir string) (by string, err error) {
	source, err := b.plant(dir)
	if err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp("", "planted")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	changed := filepath.Join(tmp, filepath.Base(b.File))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(dir, b.File): changed}})
	if err != nil {
		return "", err
	}
	overlayFile := filepath.Join(tmp, "overlay.json")
	if err := os.WriteFile(changed, source, 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), tryMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay", overlayFile, "-vet=off", "-count=1", "-failfast", "-run", b.Test, packagePath)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err == nil {
		return "", fmt.Errorf("no test noticed it: %s passes", b.Test)
	}
	if ctx.Err() != nil {
		return b.Test + " did not end", nil
	}
	names := failed.FindAllSubmatch(out, -1)
	switch {
	case len(names) > 0:
		return string(names[len(names)-1][1]), nil
	case bytes.Contains(out, []byte("panic:")):
		return b.Test + " panicked", nil
	}
	return "", fmt.Errorf("the package does not compile or run with it: %s", lastLines(out))
}

// plant returns the source of b.File with the bug in it.
func (b bug) plant(dir string) ([]byte, error) {
	source, err := os.ReadFile(filepath.Join(dir, b.File))
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(source, []byte(b.Old)); n != 1 {
		return nil, fmt.Errorf("%s: the text to replace stands there %d times, want once", b.File, n)
	}
	return bytes.Replace(source, []byte(b.Old), []byte(b.New), 1), nil
}

// packageDir returns the directory of package mls.
func packageDir() (string, error) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", packagePath).Output()
	if err != nil {
		return "", fmt.Errorf("go list %s: %w", packagePath, err)
	}
	return strings.TrimSpace(string(out)), nil
}

func lastLines(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-4):], " | ")
}
