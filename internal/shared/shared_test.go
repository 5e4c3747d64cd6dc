package shared

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestPath(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "found"), []byte("yes"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PARLEY_SHARED", dir)
	if got := string(Read(t, "found")); got != "yes" {
		t.Errorf("Read = %q", got)
	}
	t.Run("missing skips", func(t *testing.T) {
		t.Setenv("CI", "")
		defer func() {
			if !t.Skipped() {
				t.Error("a missing folder must skip the test")
			}
		}()
		Path(t, "not there")
	})
	t.Run("missing fails under CI", func(t *testing.T) {
		t.Setenv("CI", "true")
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() { defer close(done); Path(r, "not there") }()
		<-done
		if !r.fatal {
			t.Error("a missing folder must fail the test under CI")
		}
	})
}

func TestPathBesideCheckout(t *testing.T) {
	t.Setenv("PARLEY_SHARED", "")
	root := t.TempDir()
	work := filepath.Join(root, "wt", "checkout", "pkg")
	for _, d := range []string{work, filepath.Join(root, "shared"), filepath.Join(root, "wt", "checkout", ".git"), filepath.Join(work, "shared")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	want := filepath.Join(root, "shared", "x")
	for _, f := range []string{want, filepath.Join(work, "shared", "x")} { // the one inside the checkout is not it
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(work)
	got := Path(t, "x")
	if g, _ := filepath.EvalSymlinks(got); g != want {
		if w, _ := filepath.EvalSymlinks(want); g != w {
			t.Errorf("Path = %s, want %s", got, want)
		}
	}
}

// recorder notes a Fatalf instead of failing.
type recorder struct {
	testing.TB
	fatal bool
}

func (r *recorder) Fatalf(string, ...any) { r.fatal = true; runtime.Goexit() }
