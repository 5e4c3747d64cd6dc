// Package arch holds no code: its test keeps the promises docs/architecture.md makes about who may import whom.
package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/parleypay/parley/"

type source struct {
	dir, name string // slash-separated, from the module's root
	file      *ast.File
}

// sources parses every Go file of the main module that is not a test.
func sources(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var out []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil && rel != "." {
				return filepath.SkipDir // another module
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ParseComments)
		out = append(out, source{dir: path.Dir(rel), name: rel, file: f})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 10 {
		t.Fatalf("found only %d source files: the walk is broken", len(out))
	}
	return out
}

func imports(f *ast.File) (out []string) {
	for _, spec := range f.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		out = append(out, p)
	}
	return out
}

func under(dir, root string) bool { return dir == root || strings.HasPrefix(dir, root+"/") }

// mayNot lists what the packages below a folder never import, by prefix of the import path.
var mayNot = []struct {
	dir       string
	forbidden []string
}{
	{"payments", []string{module + "messaging", module + "sdk", module + "cmd"}},
	{"messaging", []string{module + "payments", module + "sdk", module + "cmd"}},
	{"sdk", []string{module + "cmd"}},
	{"payments/iso20022", []string{module + "payments/rail", module + "payments/connector", "os", "net"}},
	{"payments/intent", []string{module + "payments/connector", module + "payments/journal", "os", "net"}},
}

// pure lists the packages that decide: bytes, events and the time in, bytes and effects out.
var pure = []string{"payments/lifecycle", "messaging/relay/mailbox", "messaging/device/outbox"}

var impure = []string{"net", "net/http", "os", "os/exec", "database/sql", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog", "sync", "context"}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		for _, imported := range imports(s.file) {
			if imported == "encoding/xml" && !under(s.dir, "internal/xsdgen") { // which reads schema files when code is generated
				t.Errorf("%s imports encoding/xml, which must not read what comes from the network", s.name)
			}
			for _, rule := range mayNot {
				if !under(s.dir, rule.dir) {
					continue
				}
				for _, f := range rule.forbidden {
					if imported == f || strings.HasPrefix(imported, f+"/") || strings.HasPrefix(f, module) && under(imported, f) {
						t.Errorf("%s imports %s, which %s must not", s.name, imported, rule.dir)
					}
				}
			}
			for _, p := range pure {
				if s.dir != p {
					continue
				}
				for _, f := range impure {
					if imported == f {
						t.Errorf("%s imports %s, but %s decides without the world", s.name, imported, p)
					}
				}
			}
		}
	}
}

// TestPureCores refuses the clock and goroutines in the packages that decide.
func TestPureCores(t *testing.T) {
	for _, s := range sources(t) {
		isPure := false
		for _, p := range pure {
			isPure = isPure || s.dir == p
		}
		if !isPure {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", s.name)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && (n.Sel.Name == "Now" || n.Sel.Name == "Sleep" || n.Sel.Name == "After") {
					t.Errorf("%s uses time.%s", s.name, n.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestMoneyIsNeverAFloat refuses floating-point types wherever amounts are handled. Files called metrics.go may hand counts, which are
// floats to Prometheus, but import nothing that knows an amount.
func TestMoneyIsNeverAFloat(t *testing.T) {
	for _, s := range sources(t) {
		if !under(s.dir, "payments") {
			continue
		}
		if path.Base(s.name) == "metrics.go" {
			for _, imported := range imports(s.file) {
				if imported == module+"payments" || imported == "github.com/shopspring/decimal" {
					t.Errorf("%s counts in floats and imports %s", s.name, imported)
				}
			}
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && (id.Name == "float64" || id.Name == "float32") {
				t.Errorf("%s uses %s", s.name, id.Name)
			}
			return true
		})
	}
}

// TestPicture wants every package in the picture of docs/architecture.md.
func TestPicture(t *testing.T) {
	picture, err := os.ReadFile(filepath.Join("..", "..", "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, word := range strings.FieldsFunc(string(picture), func(r rune) bool { return r == ' ' || r == ',' || r == '\n' }) {
		words[word] = true
	}
	for _, s := range sources(t) {
		if !words[s.dir] {
			t.Errorf("package %s is not in docs/architecture.md", s.dir)
			words[s.dir] = true
		}
	}
}

// TestPackageComments wants each package to say in a comment what it does.
func TestPackageComments(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		documented[s.dir] = documented[s.dir] || s.file.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}
