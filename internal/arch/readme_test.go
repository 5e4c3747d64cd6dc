package arch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadmeShowsTheExample keeps the bot in the README equal to the program that the tests run, and both bots as short as they say.
func TestReadmeShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, most := range map[string]int{"echo": 10, "coffee": 25} {
		source, err := os.ReadFile(filepath.Join("..", "..", "examples", name, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		if name == "coffee" && !strings.Contains(string(readme), "```go\n"+string(source)+"```\n") {
			t.Error("the README's bot is not examples/coffee/main.go")
		}
		lines := 0
		for line := range strings.Lines(string(source)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
				lines++
			}
		}
		if lines > most {
			t.Errorf("examples/%s has %d lines of code, at most %d are promised", name, lines, most)
		}
		t.Logf("%s: %d lines of code", name, lines)
	}
}
