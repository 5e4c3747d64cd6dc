package sim

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestInvariantsPage checks that docs/payments.md has every invariant that a violation can name.
func TestInvariantsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/payments.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`violate\("([0-9]+|[AB])([0-9]*) ([^"]*)"`).FindAllStringSubmatch(string(source), -1) {
			names++
			_, row, found := strings.Cut(string(page), "\n| "+m[1]+" | ")
			row, _, _ = strings.Cut(row, "\n")
			if !found || m[2] != "" && !strings.Contains(row, m[1]+m[2]) {
				t.Errorf("%s: invariant %s%s (%s) is not on the page", file, m[1], m[2], m[3])
			}
		}
	}
	if names < 30 {
		t.Fatalf("only %d violations found in the sources", names)
	}
}
