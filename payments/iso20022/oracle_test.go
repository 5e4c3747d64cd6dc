package iso20022

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/parleypay/parley/internal/shared"
)

var (
	oracleNumber = flag.Int("oracle", 2_000, "how many documents TestOracle compares with xmllint, over all schemas")
	oracleSeed   = flag.Uint64("oracle-seed", 20022, "seed of the documents of TestOracle")
	oracleDir    = flag.String("oracle-dir", "", "folder whose XML files TestOracleFolder compares with xmllint; without, the published samples")
)

// verdict is what xmllint says of a document.
type oracleVerdict int

const (
	malformed oracleVerdict = iota
	invalid
	valid
)

func (v oracleVerdict) String() string { return [...]string{"malformed", "invalid", "valid"}[v] }

// xmllint returns the verdicts of libxml2 on documents against one schema.
func xmllint(t testing.TB, definition string, docs [][]byte) []oracleVerdict {
	t.Helper()
	tool, err := exec.LookPath("xmllint")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("xmllint is not installed")
		}
		t.Skip("xmllint is not installed")
	}
	schema := shared.Path(t, "iso20022/xsd/"+definition+".xsd")
	var verdicts []oracleVerdict
	for part := range slices.Chunk(docs, 2000) { // many in one process, which loads the schema once
		dir := t.TempDir()
		args := []string{"--noout", "--nonet", "--schema", schema}
		for i, d := range part {
			name := strconv.Itoa(i) + ".xml"
			if err := os.WriteFile(filepath.Join(dir, name), d, 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, name)
		}
		cmd := exec.Command(tool, args...)
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput()
		verdicts = append(verdicts, readVerdicts(t, len(part), out)...)
		os.RemoveAll(dir)
	}
	return verdicts
}

// readVerdicts reads what xmllint wrote about n documents. Of one that is not well-formed it says what is wrong, and gives no verdict.
func readVerdicts(t testing.TB, n int, out []byte) []oracleVerdict {
	t.Helper()
	verdicts, known := make([]oracleVerdict, n), make([]bool, n)
	for line := range bytes.Lines(out) {
		name, rest, ok := strings.Cut(strings.TrimSpace(string(line)), ".xml")
		i, err := strconv.Atoi(name)
		if !ok || err != nil || i < 0 || i >= n {
			continue
		}
		switch {
		case rest == " validates":
			verdicts[i], known[i] = valid, true
		case rest == " fails to validate":
			verdicts[i], known[i] = invalid, true
		case strings.HasPrefix(rest, ":") && strings.Contains(rest, "error"):
			known[i] = true
		}
	}
	if i := slices.Index(known, false); i >= 0 {
		t.Fatalf("xmllint says nothing of document %d of %d:\n%.2000s", i, n, out)
	}
	return verdicts
}

// judged is a document with the verdict of xmllint.
type judged struct {
	doc   []byte
	class string
	want  oracleVerdict
}

func judge(t testing.TB, definition string, list []judged) []judged {
	t.Helper()
	docs := make([][]byte, len(list))
	for i := range list {
		docs[i] = list[i].doc
	}
	for i, v := range xmllint(t, definition, docs) {
		list[i].want = v
	}
	return list
}

// onPurpose are the rules by which the scanner refuses documents that libxml2 reads: docs/iso20022.md lists them, and
// TestRefusedOnPurpose has a document for each.
var onPurpose = []string{
	"xml.doctype", "xml.instruction", "xml.encoding", "xml.version", "xml.prefix", "xml.namespace", "xml.duplicate", "xml.name", "xml.tag", "xml.trailing",
	"xml.size", "xml.depth", "xml.elements", "xml.attributes", "xml.namespaces", "xml.reference",
}

// tally counts documents by class.
type classes map[string]*struct{ valid, invalid, malformed, refused int }

func (c classes) of(class string) *struct{ valid, invalid, malformed, refused int } {
	if c[class] == nil {
		c[class] = new(struct{ valid, invalid, malformed, refused int })
	}
	return c[class]
}

func (c classes) String() string {
	var b strings.Builder
	total := c.of("all")
	*total = struct{ valid, invalid, malformed, refused int }{}
	fmt.Fprintf(&b, "%-28s %8s %8s %8s %10s\n", "class", "valid", "invalid", "malformed", "on purpose")
	for _, name := range append(slices.DeleteFunc(slices.Sorted(maps.Keys(c)), func(s string) bool { return s == "all" }), "all") {
		n := c[name]
		fmt.Fprintf(&b, "%-28s %8d %8d %8d %10d\n", name, n.valid, n.invalid, n.malformed, n.refused)
		if name != "all" {
			total.valid, total.invalid, total.malformed, total.refused = total.valid+n.valid, total.invalid+n.invalid, total.malformed+n.malformed, total.refused+n.refused
		}
	}
	return b.String()
}

// compare describes the documents on which validator and xmllint differ, and counts the others.
func compare(tables *tables, docs []judged, count classes) (differ []string) {
	for _, j := range docs {
		var doc tree
		fault := doc.scan(j.doc)
		scanned := fault == nil
		if scanned {
			fault = tables.validate(&doc)
		}
		n := count.of(j.class)
		switch {
		case (fault == nil) != (j.want == valid) && (scanned || !slices.Contains(onPurpose, fault.Rule)):
			differ = append(differ, fmt.Sprintf("%s: xmllint says %s, the validator %v:\n%.4000s", j.class, j.want, fault, j.doc))
		case fault == nil:
			n.valid++
		case j.want == valid:
			n.refused++
		case j.want == malformed:
			n.malformed++
		default:
			n.invalid++
		}
	}
	return differ
}

// agree fails the test for the first documents on which validator and xmllint differ.
func agree(t *testing.T, differ []string) {
	t.Helper()
	for _, d := range differ[:min(len(differ), 5)] {
		t.Error(d)
	}
	if n := len(differ) - 5; n > 0 {
		t.Errorf("and on %d more", n)
	}
}

// mutants returns n documents: generated ones, published ones, and mutants of both.
func mutants(tables *tables, s *schemaDef, seed uint64, n, perDocument int, published ...[]byte) (docs []judged) {
	r := rand.New(rand.NewPCG(*oracleSeed, seed))
	g := instance{tables: tables, r: r}
	for k := 0; len(docs) < n; k++ {
		doc, class := g.document(s), "generated"
		if len(published) > 0 && k%2 == 0 {
			doc, class = published[k/2%len(published)], "published"
		}
		if class == "generated" || k/2 < len(published) {
			docs = append(docs, judged{doc: doc, class: class})
		}
		for range perDocument {
			mutated, class := mutate(r, doc)
			docs = append(docs, judged{doc: mutated, class: class})
		}
	}
	return docs[:n]
}

// published returns the messages in the published samples, by definition.
func published(t testing.TB) map[string][][]byte {
	files, err := filepath.Glob(filepath.Join(shared.Path(t, "iso20022/samples"), "*.xml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no samples", err)
	}
	list := map[string][][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messagesIn(t, b) {
			list[m.definition] = append(list[m.definition], m.doc)
		}
	}
	return list
}

type found struct {
	definition string
	doc        []byte
}

// messagesIn returns the messages in a file: each Document and AppHdr, as a document of its own, and what stands for them in a wrapper.
func messagesIn(t testing.TB, file []byte) (list []found) {
	var tr tree
	if f := tr.scanWithin(file, FileLimits); f != nil {
		t.Fatal(f)
	}
	for i := uint32(0); i < uint32(len(tr.nodes)); {
		s := isoTables.schema(tr.uri(i))
		if s == nil {
			i++
			continue
		}
		list = append(list, found{strings.TrimPrefix(s.namespace, namespacePrefix), tr.find(t, strings.TrimPrefix(s.namespace, namespacePrefix))})
		if p := tr.nodes[i].parent; s.root != string(tr.name(i)) && p != i {
			i = p // the wrapper's element stands for the root
		}
		i = tr.next(i)
	}
	return list
}

// TestOracle: the validator and xmllint give the same verdict on generated and published documents and on their mutants, for every schema,
// except where the scanner refuses on purpose. How many, and which, are flags:
//
//	go test -run TestOracle -v ./payments/iso20022 -oracle 100000 -oracle-seed 7
func TestOracle(t *testing.T) {
	samples := published(t)
	count, mu := classes{}, sync.Mutex{}
	t.Run("schemas", func(t *testing.T) {
		for i := range isoTables.schemas {
			s := &isoTables.schemas[i]
			definition := strings.TrimPrefix(s.namespace, namespacePrefix)
			n := *oracleNumber / len(isoTables.schemas)
			if i < *oracleNumber%len(isoTables.schemas) {
				n++
			}
			t.Run(definition, func(t *testing.T) {
				t.Parallel()
				docs := judge(t, definition, mutants(&isoTables, s, uint64(i), n, 7, samples[definition]...))
				mine := classes{}
				agree(t, compare(&isoTables, docs, mine))
				for _, j := range docs { // the other ways to validate say the same
					want := Validate(j.doc) == nil
					report, err := Limits{}.Check(bytes.NewReader(j.doc))
					if all := ValidateAll(j.doc); (len(all) == 0) != want || err != nil || (len(report.Faults) == 0) != want {
						t.Fatalf("%s: Validate says %t, ValidateAll %v, Check %v, %v\n%s", j.class, want, all, report, err, j.doc)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				for class, n := range mine {
					all := count.of(class)
					all.valid, all.invalid, all.malformed, all.refused = all.valid+n.valid, all.invalid+n.invalid, all.malformed+n.malformed, all.refused+n.refused
				}
			})
		}
	})
	t.Logf("%d documents, seed %d\n%v", *oracleNumber, *oracleSeed, count)
	for _, m := range mutations {
		if n := count.of(m.class); *oracleNumber >= 10_000 && n.valid+n.invalid+n.malformed+n.refused < 5 {
			t.Errorf("too few documents with a change of the class %q", m.class)
		}
	}
}

// TestOracleFolder: the verdict on every XML file of a folder is xmllint's on each message in it.
//
//	go test -run TestOracleFolder -v ./payments/iso20022 -oracle-dir /path/to/documents
func TestOracleFolder(t *testing.T) {
	dir := *oracleDir
	if dir == "" {
		dir = shared.Path(t, "iso20022/samples")
	}
	byDefinition := map[string][]judged{}
	verdict, parts := map[string]bool{}, map[string]int{} // ours, by file
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.EqualFold(filepath.Ext(path), ".xml") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		report, err := FileLimits.Check(bytes.NewReader(b))
		if err != nil {
			return err
		}
		verdict[path] = len(report.Faults) == 0
		if f := new(tree).scanWithin(b, FileLimits); f != nil {
			t.Logf("%s: %v", path, f)
			parts[path]++
			if def := roughDefinition(b); def != "" { // xmllint must refuse it too, unless it is refused on purpose
				byDefinition[def] = append(byDefinition[def], judged{doc: b, class: path})
			}
			return nil
		}
		for _, m := range messagesIn(t, b) {
			byDefinition[m.definition] = append(byDefinition[m.definition], judged{doc: m.doc, class: path})
			parts[path]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for path := range verdict {
		want[path] = parts[path] > 0
	}
	documents := 0
	for def, list := range byDefinition {
		list = judge(t, def, list)
		documents += len(list)
		agree(t, compare(&isoTables, list, classes{}))
		for _, j := range list {
			f := new(tree).scanWithin(j.doc, FileLimits)
			onPurpose := f != nil && slices.Contains(onPurpose, f.Rule)
			want[j.class] = want[j.class] && j.want == valid && !onPurpose
		}
	}
	for path, got := range verdict {
		if got != want[path] {
			t.Errorf("%s: valid %t, want %t", path, got, want[path])
		}
	}
	t.Logf("%d files, %d messages of %d definitions", len(verdict), documents, len(byDefinition))
	if len(verdict) == 0 {
		t.Errorf("no XML file in %s", dir)
	}
}

// roughDefinition is the first message definition that a malformed document names.
func roughDefinition(b []byte) string {
	_, rest, ok := bytes.Cut(b, []byte(namespacePrefix))
	if end := bytes.IndexAny(rest, "\"'"); ok && end > 0 && isoTables.schema([]byte(namespacePrefix+string(rest[:end]))) != nil {
		return string(rest[:end])
	}
	return ""
}

// TestOracleHasTeeth: the comparison would notice a validator that leaves something out.
func TestOracleHasTeeth(t *testing.T) {
	const definition = "pacs.008.001.08"
	s := isoTables.schema([]byte(Namespace(definition)))
	samples := published(t)[definition]
	plants := map[string]func(*tables){
		"no maxLength":       func(t *tables) { each(t.facets, func(f *facetDef) { f.maxLength = -1 }) },
		"longer by one":      func(t *tables) { each(t.facets, func(f *facetDef) { f.maxLength += min(1, f.maxLength+1) }) },
		"no minLength":       func(t *tables) { each(t.facets, func(f *facetDef) { f.minLength = -1 }) },
		"no pattern":         func(t *tables) { each(t.facets, func(f *facetDef) { f.pattern = 0 }) },
		"no enumeration":     func(t *tables) { each(t.facets, func(f *facetDef) { f.enumeration = nil }) },
		"no fractionDigits":  func(t *tables) { each(t.facets, func(f *facetDef) { f.fractionDigits = -1 }) },
		"no totalDigits":     func(t *tables) { each(t.facets, func(f *facetDef) { f.totalDigits = -1 }) },
		"no minInclusive":    func(t *tables) { each(t.facets, func(f *facetDef) { f.notNegative = false }) },
		"dates are text":     func(t *tables) { each(t.facets, func(f *facetDef) { f.base = plain(f.base, baseDate) }) },
		"times are text":     func(t *tables) { each(t.facets, func(f *facetDef) { f.base = plain(f.base, baseDateTime) }) },
		"booleans are text":  func(t *tables) { each(t.facets, func(f *facetDef) { f.base = plain(f.base, baseBoolean) }) },
		"amounts are text":   func(t *tables) { each(t.facets, func(f *facetDef) { f.base = plain(f.base, baseDecimal) }) },
		"no currency needed": func(t *tables) { each(t.types, func(d *typeDef) { d.kind = simple(d.kind) }) },
		"nothing is missing": func(t *tables) { each(t.types, func(d *typeDef) { each(d.elems, func(e *elemDef) { e.min = 0 }) }) },
		"no limit":           func(t *tables) { each(t.types, func(d *typeDef) { each(d.elems, func(e *elemDef) { e.max = 0 }) }) },
		"any order": func(t *tables) {
			each(t.types, func(d *typeDef) {
				if d.kind == kindSequence {
					slices.SortStableFunc(d.elems, func(a, b elemDef) int { return strings.Compare(a.name, b.name) })
				}
			})
		},
		"choices are lists": func(t *tables) {
			each(t.types, func(d *typeDef) {
				if d.kind == kindChoice {
					d.kind = kindSequence
				}
			})
		},
	}
	for batch := range uint64(10) { // rare faults need more documents
		docs := judge(t, definition, mutants(&isoTables, s, 800+batch, 1500, 7, samples...))
		agree(t, compare(&isoTables, docs, classes{}))
		for name, breakIt := range plants {
			broken := tables{schemas: isoTables.schemas, patterns: isoTables.patterns, facets: slices.Clone(isoTables.facets), types: slices.Clone(isoTables.types)}
			each(broken.types, func(d *typeDef) { d.elems = slices.Clone(d.elems) })
			breakIt(&broken)
			if differ := compare(&broken, docs, classes{}); len(differ) > 0 {
				t.Logf("%s: %d disagreements in %d documents", name, len(differ), len(docs))
				delete(plants, name)
			}
		}
		if len(plants) == 0 {
			return
		}
	}
	for name := range plants {
		t.Errorf("%s: not noticed", name)
	}
}

// plain is a base type that a planted fault takes for text.
func plain(b, broken base) base {
	if b == broken {
		return baseString
	}
	return b
}

// simple is a kind without its attribute.
func simple(k kind) kind {
	if k == kindExtension {
		return kindSimple
	}
	return k
}

// each calls f on every element of the list, in place.
func each[T any](list []T, f func(*T)) {
	for i := range list {
		f(&list[i])
	}
}

// What the encoders write is canonical already: inclusive and exclusive C14N give the same bytes.
func TestCanonicalBytes(t *testing.T) {
	tool, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed")
	}
	m := fednowTransfer
	m.Remittance = "a & b < c > d \" ' \t\n\r é € 𝄞"
	list := []Message{&m, &fednowStatus, &fednowRequest, &fednowHeader}
	for _, e := range examples {
		if !bytes.Contains(encoded(t, e), []byte("<SplmtryData>")) { // which is kept as it was received
			list = append(list, e)
		}
	}
	for _, e := range []Message{&exampleReturn, &exampleRecall, &exampleResolution, &exampleQuery, &exampleAddition, &exampleInitiationReport, &exampleRequest, &exampleAnswer} {
		plain := clone(reflect.ValueOf(e))
		dropSupplementary(plain)
		list = append(list, plain.Interface().(Message))
	}
	for _, enc := range list {
		b, err := enc.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if definition, _ := MessageDefinition(b); xmllint(t, definition, [][]byte{b})[0] != valid {
			t.Errorf("xmllint refuses %s", b)
		}
		for _, form := range []string{"--c14n", "--exc-c14n"} {
			cmd := exec.Command(tool, form, "-")
			cmd.Stdin = bytes.NewReader(b)
			if out, err := cmd.Output(); err != nil || !bytes.Equal(out, b) {
				t.Errorf("%s: %v\n%s\n%s", form, err, b, out)
			}
		}
	}
}

// dropSupplementary empties all supplementary data in v.
func dropSupplementary(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[SupplementaryData]():
		v.SetString("")
	case v.Kind() == reflect.Pointer && !v.IsNil():
		dropSupplementary(v.Elem())
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			dropSupplementary(v.Index(i))
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				dropSupplementary(v.Field(i))
			}
		}
	}
}
