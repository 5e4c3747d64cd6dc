package norrland

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The code on docs/adding-a-rail.md is code of this folder, letter by letter.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/adding-a-rail.md")
	if err != nil {
		t.Fatal(err)
	}
	var source string
	for _, file := range []string{"norrland.go", "norrland_test.go"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source += string(b)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 7 {
		t.Fatalf("only %d blocks of code", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(source, "\n"+b[1]) {
			t.Errorf("not in the code:\n%s", b[1])
		}
	}
}
