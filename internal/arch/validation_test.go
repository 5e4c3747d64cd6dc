package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	codeName = regexp.MustCompile("([a-z0-9_]+\\.go)|`([A-Za-z0-9_]+)`")
	testName = regexp.MustCompile(`((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)(?: \(([^)]*)\))?`)
)

// TestValidationTable keeps docs/mls-validation.md true: the functions it names stand in the files it names, the tests exist, and the cases
// in brackets are in those tests.
func TestValidationTable(t *testing.T) {
	root := filepath.Join("..", "..")
	dir := filepath.Join(root, "messaging", "mls")
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal("package mls is not there", err)
	}
	declared := map[string]map[string]bool{} // names by file
	tests := map[string]string{}             // source by test
	for _, path := range files {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				names[d.Name.Name] = true
				tests[d.Name.Name] = string(src[fset.Position(d.Pos()).Offset:fset.Position(d.End()).Offset])
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						names[s.Name.Name] = true
					case *ast.ValueSpec:
						for _, n := range s.Names {
							names[n.Name] = true
							if n.Name == "brokenKeyPackages" { // the cases of TestKeyPackageRules
								tests[n.Name] = string(src[fset.Position(d.Pos()).Offset:fset.Position(d.End()).Offset])
							}
						}
					}
				}
			}
		}
		declared[filepath.Base(path)] = names
	}
	tests["TestKeyPackageRules"] += tests["brokenKeyPackages"]
	text, err := os.ReadFile(filepath.Join(root, "docs", "mls-validation.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows, cases := 0, 0
	for n, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.TrimSpace(cells[len(cells)-1]) == "test" {
			continue
		}
		rows++
		if len(cells) == 4 {
			file := ""
			for _, m := range codeName.FindAllStringSubmatch(cells[2], -1) {
				if m[1] != "" {
					if file = m[1]; declared[file] == nil {
						t.Errorf("line %d: there is no %s", n+1, file)
					}
				} else if !declared[file][m[2]] {
					t.Errorf("line %d: %s is not in %s", n+1, m[2], file)
				}
			}
			if file == "" {
				t.Errorf("line %d: no code is named", n+1)
			}
		}
		named := testName.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(named) == 0 {
			t.Errorf("line %d: no test is named", n+1)
		}
		for _, m := range named {
			source, ok := tests[m[1]]
			if !ok {
				t.Errorf("line %d: there is no %s", n+1, m[1])
				continue
			}
			for _, c := range strings.Split(m[2], "; ") {
				if c == "" {
					continue
				}
				if cases++; !strings.Contains(source, c) {
					t.Errorf("line %d: %s has no case %q", n+1, m[1], c)
				}
			}
		}
	}
	if rows < 100 || cases < 100 {
		t.Errorf("only %d rows and %d cases: the search is broken", rows, cases)
	}
}
