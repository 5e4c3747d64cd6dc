package connector

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Every kind of case and every metric of the code has its row in docs/connector.md.
func TestDocumentIsTheCodes(t *testing.T) {
	b, err := os.ReadFile("../../docs/connector.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for name := range strings.SplitSeq(cells[1], ",") {
				rows[strings.TrimSpace(name)] = true
			}
		}
	}
	found := 0
	for _, file := range []string{"effect.go", "metrics.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			name := spec.Names[0].Name
			if !strings.HasPrefix(name, "Case") && !strings.HasPrefix(name, "Metric") && !strings.HasPrefix(name, "Leg") {
				return true
			}
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil || !rows[value] {
				t.Errorf("%s: %q has no row in docs/connector.md", name, value)
			}
			found++
			return true
		})
	}
	if found < 25 {
		t.Errorf("only %d names found", found)
	}
}
