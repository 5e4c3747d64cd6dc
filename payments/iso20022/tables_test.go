package iso20022

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/parleypay/parley/internal/shared"
	"github.com/parleypay/parley/internal/xsdgen"
)

// The committed tables are those of the schemas.
func TestTablesAreCurrent(t *testing.T) {
	want, err := xsdgen.GenerateDirs(shared.Path(t, "iso20022/xsd"))
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

// Every pattern of the 104 schemas agrees with Go's regular expressions, anchored, on texts near to matching ones.
func TestPatterns(t *testing.T) {
	dir := shared.Path(t, "iso20022/xsd")
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
	if len(texts) != 29 || len(isoTables.patterns) != 30 {
		t.Fatalf("%d patterns in the schemas, %d in the tables", len(texts), len(isoTables.patterns)-1)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range isoTables.patterns[1:] {
		p := &isoTables.patterns[1+i]
		text := p.text
		if !texts[text] {
			t.Errorf("no schema has the pattern %s", text)
		}
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
func (p *patternDef) sample(r *rand.Rand) string {
	var b []byte
	for _, a := range p.rows[r.IntN(len(p.rows))] {
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
