// Package shared finds the reference data that tests compare with (schemas, samples, vectors, bad inputs), which lies beside the
// repository. It is imported by tests only.
package shared

import (
	"os"
	"path/filepath"
	"testing"
)

// Path returns the path of name, slash separated, below the folder of reference data: the environment variable PARLEY_SHARED, or
// the folder "shared" beside the repository or beside a parent of it. When it is missing the test is skipped, or fails if the
// environment variable CI is set, so that CI never passes by not testing.
func Path(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range candidates() {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	const missing = "reference data %q not found: set PARLEY_SHARED to its folder"
	if os.Getenv("CI") != "" {
		t.Fatalf(missing, name)
	}
	t.Skipf(missing, name)
	return ""
}

// Read returns the contents of the file that Path finds.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func candidates() []string {
	if dir := os.Getenv("PARLEY_SHARED"); dir != "" {
		return []string{dir}
	}
	var dirs []string
	dir, err := os.Getwd()
	if err != nil {
		return nil
	}
	for inside := false; ; dir = filepath.Dir(dir) {
		if inside {
			dirs = append(dirs, filepath.Join(dir, "shared"))
		}
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			inside = true // dir is the root of a checkout: the data lies beside it or above
		}
		if parent := filepath.Dir(dir); parent == dir {
			return dirs
		}
	}
}
