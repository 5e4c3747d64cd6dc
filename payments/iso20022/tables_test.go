package iso20022

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/parleypay/parley/internal/shared"
	"github.com/parleypay/parley/internal/xsdgen"
)

// The committed tables are those of the schemas.
func TestTablesAreCurrent(t *testing.T) {
	want, err := xsdgen.GenerateDir(shared.Path(t, "iso20022/xsd"), xsdgen.Committed)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("tables.go")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("tables.go differs from what the schemas give: run go generate")
	}
}

var wholeLibrary struct {
	sync.Once
	tables tables
	err    error
}

// allTables returns tables of all 104 schemas of the reference data, which the validator must handle as well as the committed ones.
func allTables(t testing.TB) *tables {
	t.Helper()
	dir := shared.Path(t, "iso20022/xsd")
	wholeLibrary.Do(func() {
		files, _ := filepath.Glob(filepath.Join(dir, "*.xsd"))
		var names []string
		for _, f := range files {
			names = append(names, strings.TrimSuffix(filepath.Base(f), ".xsd"))
		}
		var schemas []*xsdgen.Schema
		if schemas, wholeLibrary.err = xsdgen.ParseDir(dir, names); wholeLibrary.err != nil {
			return
		}
		var built *xsdgen.Tables
		if built, wholeLibrary.err = xsdgen.Build(schemas); wholeLibrary.err == nil {
			wholeLibrary.tables = convert(built)
		}
	})
	if wholeLibrary.err != nil {
		t.Fatal(wholeLibrary.err)
	}
	return &wholeLibrary.tables
}

var bases = map[string]base{
	"string": baseString, "decimal": baseDecimal, "boolean": baseBoolean, "date": baseDate, "dateTime": baseDateTime, "time": baseTime,
	"gYear": baseGYear, "gYearMonth": baseGYearMonth, "base64Binary": baseBase64Binary,
}

// convert makes in memory what Tables.Go writes as source.
func convert(in *xsdgen.Tables) (out tables) {
	for _, s := range in.Schemas {
		out.schemas = append(out.schemas, schemaDef{s.Namespace, s.Root, uint16(s.Type)})
	}
	for _, p := range in.Patterns {
		var def patternDef
		for _, row := range p.Alternatives {
			var atoms []atomDef
			for _, a := range row {
				atoms = append(atoms, atomDef{a.Set, a.Other, uint16(a.Min), uint16(a.Max)})
			}
			def = append(def, atoms)
		}
		out.patterns = append(out.patterns, def)
	}
	for _, f := range in.Facets {
		out.facets = append(out.facets, facetDef{bases[f.Base], int32(f.MinLength), int32(f.MaxLength), int8(f.TotalDigits), int8(f.FractionDigits),
			f.NotNegative, uint16(in.Pattern(f.Pattern)), f.Enumeration})
	}
	for _, ty := range in.Types {
		def := typeDef{name: ty.Name, kind: kind(ty.Kind), skip: ty.Skip, facets: uint16(ty.Facets), ccy: uint16(ty.Ccy), namespace: ty.Namespace}
		for _, e := range ty.Elements {
			def.elems = append(def.elems, elemDef{e.Name, uint16(e.Type), uint16(e.Min), uint16(e.Max)})
		}
		out.types = append(out.types, def)
	}
	return out
}

// Every pattern of the 104 schemas agrees with Go's regular expressions, anchored, on texts near to matching ones.
func TestPatterns(t *testing.T) {
	dir := shared.Path(t, "iso20022/xsd")
	all := allTables(t)
	texts := map[string]bool{}
	files, _ := filepath.Glob(filepath.Join(dir, "*.xsd"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`<xs:pattern value="([^"]*)"`).FindAllSubmatch(b, -1) {
			texts[string(m[1])] = true
		}
	}
	if len(texts) != 29 || len(all.patterns) != 30 {
		t.Fatalf("%d patterns in the schemas, %d in the tables", len(texts), len(all.patterns)-1)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for text := range texts {
		compiled, err := xsdgen.ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		p := convert(&xsdgen.Tables{Patterns: []xsdgen.Pattern{*compiled}}).patterns[0]
		re := regexp.MustCompile(`\A(?:` + strings.ReplaceAll(text, ".", `[^\n\r]`) + `)\z`)
		matched := 0
		const tries = 2000
		for range tries {
			s := spoil(r, p.sample(r))
			got := p.match([]byte(s))
			if want := re.MatchString(s); got != want {
				t.Fatalf("%s: %q: %t, want %t", text, s, got, want)
			}
			if got {
				matched++
			}
		}
		if matched == 0 || matched == tries {
			t.Errorf("%s: %d of %d matched: the texts test nothing", text, matched, tries)
		}
	}
}

// sample returns a text that matches p.
func (p patternDef) sample(r *rand.Rand) string {
	var b []byte
	for _, a := range p[r.IntN(len(p))] {
		high := int(a.max)
		if high == 0 {
			high = int(a.min) + 4
		}
		for range int(a.min) + r.IntN(high-int(a.min)+1) {
			c := byte(r.IntN(128))
			for !a.has(c) {
				c = byte(r.IntN(128))
			}
			b = append(b, c)
		}
	}
	return string(b)
}

// spoil changes, inserts or removes a character in half of the cases.
func spoil(r *rand.Rand, s string) string {
	b := []rune(s)
	at := r.IntN(len(b) + 1)
	c := []rune("aZ0-+é\n٣")[r.IntN(8)]
	switch r.IntN(6) {
	case 0:
		b = append(b[:at:at], append([]rune{c}, b[at:]...)...)
	case 1:
		if at < len(b) {
			b[at] = c
		}
	case 2:
		if at < len(b) {
			b = append(b[:at:at], b[at+1:]...)
		}
	}
	return string(b)
}
