package wire

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode"
)

var update = flag.Bool("update", false, "write the frames into docs/protocol.md")

// The frames in docs/protocol.md are those of the code.
func TestDocs(t *testing.T) {
	const page = "../../docs/protocol.md"
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	begin := strings.Index(text, "<!-- frames:")
	end := strings.Index(text, "<!-- end of frames -->")
	if begin < 0 || end < begin {
		t.Fatal("docs/protocol.md has no place for the frames")
	}
	begin += strings.Index(text[begin:], "\n") + 1
	want := framesText(t)
	if *update {
		if err := os.WriteFile(page, []byte(text[:begin]+want+text[end:]), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if text[begin:end] != want {
		t.Error("docs/protocol.md tells of other frames than the code has: go test ./messaging/wire -run Docs -update")
	}
	for _, c := range []string{"830101a1018101", "830114a0", "830113a2010102a2010702190104", "83010fa3010102a003a0"} {
		if !strings.Contains(text, c) {
			t.Errorf("docs/protocol.md does not show %s", c)
		}
	}
}

// framesText describes each frame from its struct and the comments in frames.go.
func framesText(t *testing.T) string {
	file, err := parser.ParseFile(token.NewFileSet(), "frames.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments, directions := map[string]string{}, map[string]string{}
	var codes []string
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				comments[s.Name.Name] = oneLine(g.Doc.Text())
				if st, ok := s.Type.(*ast.StructType); ok {
					for _, f := range st.Fields.List {
						comments[s.Name.Name+"."+f.Names[0].Name] = oneLine(f.Comment.Text())
					}
				}
			case *ast.ValueSpec:
				if s.Comment != nil {
					directions[s.Names[0].Name] = oneLine(s.Comment.Text())
				}
				if name, ok := strings.CutPrefix(s.Names[0].Name, "Code"); ok && len(s.Values) == 1 {
					codes = append(codes, fmt.Sprintf("| %s | %s | %s |\n", s.Values[0].(*ast.BasicLit).Value, words(name), oneLine(s.Comment.Text())))
				}
			}
		}
	}
	var b strings.Builder
	for n := Type(1); newFrame(n) != nil; n++ {
		typ := reflect.TypeOf(newFrame(n)).Elem()
		constant := "Type" + typ.Name()
		if typ.Name() == "Failure" {
			constant = "TypeError"
		}
		fmt.Fprintf(&b, "\n#### %d %s\n\n%s. %s\n\n| key | name | type | |\n|---|---|---|---|\n", n, n, directions[constant], comments[typ.Name()])
		fields(&b, typ, comments)
	}
	b.WriteString("\n#### cursor\n\n" + comments["Cursor"] + "\n\n| key | name | type | |\n|---|---|---|---|\n")
	fields(&b, reflect.TypeFor[Cursor](), comments)
	b.WriteString("\n#### stock\n\n" + comments["Stock"] + "\n\n| key | name | type | |\n|---|---|---|---|\n")
	fields(&b, reflect.TypeFor[Stock](), comments)
	b.WriteString("\n#### Error codes\n\n| code | name | |\n|---|---|---|\n" + strings.Join(codes, ""))
	b.WriteString("\n")
	return b.String()
}

func fields(b *strings.Builder, typ reflect.Type, comments map[string]string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("cbor"), ",")
		kind := cborType(f.Type)
		if strings.Contains(options, "omitempty") {
			kind += ", optional"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", key, words(f.Name), kind, comments[typ.Name()+"."+f.Name])
	}
}

func cborType(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Cursor]():
		return "cursor"
	case t == reflect.TypeFor[Stock]():
		return "stock"
	case t == reflect.TypeFor[Class]():
		return "uint: 1 durable, 2 memory"
	case t == reflect.TypeFor[Kind]():
		return "uint: 1 message, 2 welcome, 3 commit"
	case t == reflect.TypeFor[Code]():
		return "uint, see below"
	case t.Kind() == reflect.Array:
		return fmt.Sprintf("octets(%d)", t.Len())
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "octets"
	case t.Kind() == reflect.Slice:
		return "array of " + cborType(t.Elem())
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "bool"
	case t.Kind() == reflect.Int64:
		return "int"
	}
	return "uint"
}

// words turns MaxMemTTL into "max mem ttl".
func words(name string) string {
	var b strings.Builder
	r := []rune(name)
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) && (unicode.IsLower(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1])) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
