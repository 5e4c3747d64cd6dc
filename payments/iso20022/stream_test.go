package iso20022

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/parleypay/parley/internal/shared"
)

// crumbs gives a few octets at a time.
type crumbs struct {
	b []byte
	r *rand.Rand
}

func (c *crumbs) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.b[:min(len(c.b), 1+c.r.IntN(40))])
	c.b = c.b[n:]
	return n, nil
}

// inParts validates a document read in crumbs through a window that holds next to nothing.
func inParts(doc []byte, l Limits, window int, r *rand.Rand) []Fault {
	s := newStream(&crumbs{doc, r}, l, nil)
	s.window = window
	for {
		if e, _ := s.next(); e == eventDone || e == eventFault {
			faults, err := s.faults()
			if err != nil {
				panic(err)
			}
			return faults
		}
	}
}

// A document read in parts has the faults that it has in memory, at the same places.
func TestStreamAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 53))
	compare := func(t *testing.T, name string, doc []byte) {
		t.Helper()
		want := ValidateAll(doc)
		for _, window := range []int{1, 300, 5000} {
			got := inParts(doc, Limits{}, window, r)
			malformed := len(want) > 0 && strings.HasPrefix(want[0].Rule, "xml.")
			if malformed && len(got) > 0 {
				got = slices.DeleteFunc(got, func(f Fault) bool { return strings.HasPrefix(f.Rule, "schema.") }) // found before the end
			}
			if !reflect.DeepEqual(got, want) && (len(got) != 0 || len(want) != 0) {
				t.Fatalf("%s, window %d:\n%+v\nin memory\n%+v\n%s", name, window, got, want, doc)
			}
			first := inParts(doc, Limits{Faults: 1}, window, r)
			if len(first) > 1 && !malformed || (len(first) == 0) != (len(want) == 0) {
				t.Fatalf("%s, window %d: the first fault is %v, want one of %v", name, window, first, want)
			}
		}
	}
	files, _ := filepath.Glob(filepath.Join(shared.Path(t, "iso20022/samples"), "*.xml"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, filepath.Base(f), b)
		compare(t, filepath.Base(f)+" without end", b[:len(b)*2/3])
		compare(t, filepath.Base(f)+" on one line", bytes.ReplaceAll(b, []byte("\n"), nil))
		compare(t, filepath.Base(f)+" with returns", bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
	}
	for i := range isoTables.schemas {
		s := &isoTables.schemas[i]
		for _, d := range mutants(&isoTables, s, uint64(1000+i), 8, 7) {
			compare(t, s.namespace, d.doc)
		}
	}
	for _, d := range []string{"", "x", "<a>", "<a/>", "<a/>x", "<a/><!-- -->\n", "<a/><!--", strings.Repeat("<a>", 40), "<a><b>" + strings.Repeat("x", 1000) + "</b></a>", "<a>]]></a>", "<?xml", "\xef\xbb", "<!DOCTYPE a><a/>", "<a>\r\n\r<b/>\r\n</b></a>"} {
		compare(t, d, []byte(d))
	}
}

// camt053 writes a statement of n entries, with one more element in the entries that bad says.
func camt053(w io.Writer, n int, bad func(i int) bool) error {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">` + "\n<BkToCstmrStmt>" +
		"<GrpHdr><MsgId>S-1</MsgId><CreDtTm>2026-11-23T10:00:00Z</CreDtTm></GrpHdr>\n<Stmt><Id>1</Id><CreDtTm>2026-11-23T10:00:00Z</CreDtTm>" +
		"<Acct><Id><IBAN>DE89370400440532013000</IBAN></Id></Acct><Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-23</Dt></Dt></Bal>\n")
	for i := range n {
		extra := ""
		if bad != nil && bad(i) {
			extra = "<Foo/>"
		}
		fmt.Fprintf(&b, `<Ntry><NtryRef>%d</NtryRef><Amt Ccy="EUR">%d.%02d</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-11-23</Dt></BookgDt><ValDt><Dt>2026-11-23</Dt></ValDt>`+
			`<AcctSvcrRef>REF-%d</AcctSvcrRef><BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>%s<NtryDtls><TxDtls><Refs><EndToEndId>E2E-%d</EndToEndId><UETR>8a562c67-ca16-48ba-b074-65581be6f011</UETR></Refs>`+
			`<Amt Ccy="EUR">%d.%02d</Amt><CdtDbtInd>CRDT</CdtDbtInd><RltdPties><Dbtr><Pty><Nm>Example Payer %d</Nm></Pty></Dbtr><DbtrAcct><Id><IBAN>DE89370400440532013000</IBAN></Id></DbtrAcct></RltdPties>`+
			"<RmtInf><Ustrd>Invoice %d, thank you</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>\n", i, i%1000, i%100, i, extra, i, i%1000, i%100, i, i)
		if b.Len() > 1<<16 {
			if _, err := b.WriteTo(w); err != nil {
				return err
			}
		}
	}
	b.WriteString("</Stmt></BkToCstmrStmt></Document>\n")
	_, err := b.WriteTo(w)
	return err
}

// What is entered by name is handed over in order, each part whole and with its place.
func TestStreamParts(t *testing.T) {
	var doc bytes.Buffer
	if err := camt053(&doc, 3, func(i int) bool { return i == 1 }); err != nil {
		t.Fatal(err)
	}
	text := doc.String()
	for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
		s := newStream(r, Limits{}, func(t *tree, i uint32) bool {
			name := string(t.name(i))
			return name == "Document" || name == "BkToCstmrStmt" || name == "Stmt"
		})
		var got []string
		for done := false; !done; {
			switch e, i := s.next(); e {
			case eventBegin:
				got = append(got, "<"+string(s.t.name(i)))
			case eventEnd:
				got = append(got, string(s.t.name(i))+">")
			case eventPart:
				part := string(s.t.name(i))
				if part == "Ntry" {
					part += " " + string(s.t.text(i+1))
					if n := s.t.nodes[i]; !strings.Contains(text, string(s.t.src[n.start:n.end])) || s.t.path(i+1) != "/Document/BkToCstmrStmt/Stmt/Ntry/NtryRef" {
						t.Errorf("%s: %s", s.t.path(i+1), s.t.src[n.start:n.end])
					}
				}
				got = append(got, part)
			default:
				done = true
			}
		}
		want := []string{"<Document", "<BkToCstmrStmt", "GrpHdr", "<Stmt", "Id", "CreDtTm", "Acct", "Bal", "Ntry 0", "Ntry 1", "Ntry 2", "Stmt>", "BkToCstmrStmt>", "Document>"}
		if !slices.Equal(got, want) {
			t.Errorf("%q\nwant %q", got, want)
		}
		faults, err := s.faults()
		if len(faults) != 1 || err != nil || faults[0].Rule != "schema.element" || faults[0].Line != 6 {
			t.Errorf("%+v, %v", faults, err)
		}
	}
}

func TestCheck(t *testing.T) {
	doc := func(def, s string) string { return `<Document xmlns="` + Namespace(def) + `">` + s + "</Document>" }
	const ping = "<SysEvtNtfctn><EvtInf><EvtCd>PING</EvtCd></EvtInf></SysEvtNtfctn>"
	good := doc("admi.004.001.02", ping)
	for _, c := range []struct{ name, doc, messages, rules string }{
		{"a document", good, "admi.004.001.02", ""},
		{"in a wrapper", "<W xmlns='urn:w'>text<X>" + good + "</X></W>", "admi.004.001.02", ""},
		{"two in a wrapper", "<W>" + good + good + "</W>", "admi.004.001.02 admi.004.001.02", ""},
		{"not valid", doc("admi.004.001.02", ""), "admi.004.001.02", "schema.missing"},
		{"not valid in a wrapper", "<W>" + good + doc("admi.004.001.02", "") + "</W>", "admi.004.001.02 admi.004.001.02", "schema.missing"},
		{"without its Document", `<W><X xmlns:i="` + Namespace("admi.004.001.02") + `">` + strings.ReplaceAll(strings.ReplaceAll(ping, "<", "<i:"), "<i:/", "</i:") + "</X></W>", "admi.004.001.02", ""},
		{"without its Document, twice", `<W><X xmlns:i="` + Namespace("admi.004.001.02") + `"><i:SysEvtNtfctn/><i:SysEvtNtfctn/></X></W>`, "admi.004.001.02", "schema.missing schema.repeated"},
		{"of no schema", doc("admi.004.001.99", ping), "", "schema.unknown"},
		{"of no schema in a wrapper", "<W>" + doc("admi.004.001.99", ping) + good + "</W>", "admi.004.001.02", "schema.unknown"},
		{"no message", "<W><X/>text</W>", "", "schema.unknown"},
		{"another root", `<Doc xmlns="` + Namespace("admi.004.001.02") + `"/>`, "", "schema.root"},
		{"malformed", "<W>" + good, "admi.004.001.02", "xml.end"},
		{"malformed and not valid", doc("admi.004.001.02", "<Foo/>") + "<", "admi.004.001.02", "schema.element schema.missing xml.trailing"},
	} {
		for _, window := range []int{windowBytes, 1} {
			s := newStream(&crumbs{[]byte(c.doc), rand.New(rand.NewPCG(1, 1))}, Limits{}, nil)
			s.window, s.v.wrapped = window, true
			report, err := s.report()
			if err != nil {
				t.Fatal(err)
			}
			var rules []string
			for _, f := range report.Faults {
				rules = append(rules, f.Rule)
			}
			if got := strings.Join(report.Messages, " "); got != c.messages {
				t.Errorf("%s, window %d: messages %s", c.name, window, got)
			}
			if got := strings.Join(rules, " "); got != c.rules || report.Octets != int64(len(c.doc)) {
				t.Errorf("%s, window %d: rules %s, %d octets", c.name, window, got, report.Octets)
			}
		}
	}
	broken := errors.New("the disk is on fire")
	if r, err := (Limits{}).Check(io.MultiReader(strings.NewReader("<a>"), iotest.ErrReader(broken))); err != broken || r.Octets != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, _ := (Limits{SizeBytes: 10}).Check(strings.NewReader(good)); len(r.Faults) != 1 || r.Faults[0].Rule != "xml.size" {
		t.Errorf("%+v", r)
	}
	if r, _ := (Limits{Elements: 2}).Check(strings.NewReader(good)); len(r.Faults) != 1 || r.Faults[0].Rule != "xml.elements" {
		t.Errorf("%+v", r)
	}
}

// A long statement takes little memory, and a long value is refused before it is all held.
func TestStreamMemory(t *testing.T) {
	size := int64(24 << 20)
	for _, c := range []struct {
		name string
		doc  io.Reader
		rule string
		most uint64
	}{
		{"statement", generated(func(w io.Writer) error { return camt053(w, int(size/1100), nil) }), "", 8 << 20},
		{"one entry with all details", generated(func(w io.Writer) error { return oneEntry(w, int(size/100)) }), "", 8 << 20},
		{"one value", io.MultiReader(strings.NewReader("<a>"), io.LimitReader(letters{}, size)), "xml.size", 64 << 20},
		{"one comment", io.MultiReader(strings.NewReader("<a><!--"), io.LimitReader(letters{}, size)), "xml.size", 64 << 20},
		{"one attribute", io.MultiReader(strings.NewReader("<a b='"), io.LimitReader(letters{}, size)), "xml.size", 64 << 20},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		report, err := FileLimits.Check(c.doc)
		runtime.ReadMemStats(&after)
		if err != nil || (len(report.Faults) == 0) != (c.rule == "") || c.rule != "" && report.Faults[0].Rule != c.rule {
			t.Fatalf("%s: %+v, %v", c.name, report, err)
		}
		n := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d octets read, %d KiB allocated in all", c.name, report.Octets, n>>10)
		if n > c.most {
			t.Errorf("%s: %d octets allocated in all, want at most %d", c.name, n, c.most)
		}
	}
}

// letters is an endless text.
type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// generated reads what a function writes, without a goroutine or pipe that would count as memory of the reader.
func generated(write func(io.Writer) error) io.Reader {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		panic(err)
	}
	return &b
}

// oneEntry writes a statement with one entry of n details.
func oneEntry(w io.Writer, n int) error {
	var b bytes.Buffer
	if err := camt053(&b, 1, nil); err != nil {
		return err
	}
	before, after, _ := strings.Cut(b.String(), "<TxDtls>")
	_, after, _ = strings.Cut(after, "</TxDtls>")
	_, err := io.WriteString(w, before+strings.Repeat("<TxDtls><Refs><EndToEndId>E2E</EndToEndId></Refs><Amt Ccy=\"EUR\">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd></TxDtls>", n)+after)
	return err
}

func BenchmarkCheckStatement(b *testing.B) {
	var doc bytes.Buffer
	if err := camt053(&doc, 10_000, nil); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(doc.Len()))
	for b.Loop() {
		if r, err := FileLimits.Check(bytes.NewReader(doc.Bytes())); err != nil || len(r.Faults) > 0 {
			b.Fatal(r, err)
		}
	}
}

// A statement in a wrapper may end anywhere, with whatever window: after the first octet of a tag, between elements, with nothing of the
// element in hand yet. It is a fault then, and never more.
func TestWrappedAndCutOff(t *testing.T) {
	var b bytes.Buffer
	if err := camt053(&b, 2, func(int) bool { return false }); err != nil {
		t.Fatal(err)
	}
	_, document, ok := bytes.Cut(b.Bytes(), []byte("?>"))
	if !ok {
		document = b.Bytes()
	}
	wire := slices.Concat([]byte(`<?xml version="1.0"?><w:Out xmlns:w="urn:w"> <w:In><w:Empty/> `), bytes.TrimSpace(document), []byte("\r\n<w:More> </w:More></w:In></w:Out>\n"))
	r := rand.New(rand.NewPCG(6, 53))
	for n := 0; n <= len(wire); n++ {
		for _, window := range []int{0, 1, 64, 700} {
			s := newStream(&crumbs{wire[:n], r}, FileLimits, nil)
			s.window, s.v.wrapped = window, true
			report, err := s.report()
			if err != nil || (len(report.Faults) == 0) != (n >= len(wire)-1) { // without the line feed it is whole
				t.Fatalf("%d octets, window %d: %v, %v", n, window, report, err)
			}
		}
		entries := 0
		sr := NewStatementReader(&crumbs{wire[:n], r})
		for {
			st, err := sr.Next()
			if err != nil {
				if whole := n >= len(wire)-1; (err == io.EOF) != whole || whole && entries != 2 {
					t.Fatalf("%d octets: %v after %d entries", n, err, entries)
				}
				break
			}
			for _, err := range st.Entries() {
				if err == nil {
					entries++
				}
			}
		}
	}
}
