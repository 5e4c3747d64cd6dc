package iso20022

import (
	"bytes"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
)

// attack is a document made to harm, and who refuses it by which rule.
type attack struct {
	name     string
	doc      func() string
	validate string // rule of Validate; "" for a document that the schema allows
	decode   string // of Decode, if it is another
}

// inTransfer returns a pacs.008 with one part of it replaced.
func inTransfer(t testing.TB) func(old, new string) func() string {
	valid := string(encoded(t, with(sepaTransfer, func(m *CreditTransfer) { m.Amount = payments.Amount{Minor: 450, Currency: "EUR"} })))
	return func(old, new string) func() string {
		if !strings.Contains(valid, old) {
			t.Fatalf("no %s in %s", old, valid)
		}
		return func() string { return strings.Replace(valid, old, new, 1) }
	}
}

// attacks is the table: everything here is judged rightly, quickly and in little memory by all that reads a peer's bytes.
func attacks(t testing.TB) []attack {
	in := inTransfer(t)
	const amount = ">4.50</IntrBkSttlmAmt>"
	value := func(s string) func() string { return in(amount, ">"+s+"</IntrBkSttlmAmt>") }
	front := func(s string) func() string { return in("<Document", s+"<Document") }
	inside := func(s string) func() string { return in("<CdtTrfTxInf>", s+"<CdtTrfTxInf>") }
	foreign := func(s string) func() string {
		return in("</CdtTrfTxInf>", "<SplmtryData><Envlp>"+s+"</Envlp></SplmtryData></CdtTrfTxInf>")
	}
	bomb := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">`
	for c := 'b'; c < 'z'; c++ {
		bomb += `<!ENTITY ` + string(c) + ` "` + strings.Repeat("&"+string(c-1)+";", 10) + `">`
	}
	const mb64 = 64 << 20
	return []attack{
		{"foreign namespace, another amount", in("<ChrgBr>", `<e:IntrBkSttlmAmt xmlns:e="urn:evil" Ccy="EUR">999.00</e:IntrBkSttlmAmt><ChrgBr>`), "schema.namespace", ""},
		{"foreign namespace, the same element", in("<ChrgBr>", `<ChrgBr xmlns="urn:evil">`), "schema.namespace", ""},
		{"amount twice", in("<IntrBkSttlmAmt", `<IntrBkSttlmAmt Ccy="EUR">1.00</IntrBkSttlmAmt><IntrBkSttlmAmt`), "schema.repeated", ""},
		{"creditor twice", in("<CdtrAcct>", `<CdtrAcct><Id><IBAN>DE89370400440532013000</IBAN></Id></CdtrAcct><CdtrAcct>`), "schema.repeated", ""},
		{"transaction twice", in("<CdtTrfTxInf>", "<CdtTrfTxInf></CdtTrfTxInf><CdtTrfTxInf>"), "schema.missing", ""},
		{"currency twice", in(`<IntrBkSttlmAmt Ccy="EUR"`, `<IntrBkSttlmAmt Ccy="EUR" Ccy="USD"`), "xml.duplicate", ""},
		{"currency twice by namespace", in(`<IntrBkSttlmAmt Ccy="EUR"`, `<IntrBkSttlmAmt xmlns:a="urn:a" xmlns:b="urn:a" a:Ccy="EUR" b:Ccy="USD"`), "xml.duplicate", ""},
		{"entity bomb", func() string { return bomb + "]>" + value("&y;")() }, "xml.doctype", ""},
		{"external entity", func() string { return `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + value("&a;")() }, "xml.doctype", ""},
		{"undeclared entity", value("&a;"), "xml.reference", ""},
		{"UTF-7", front(`<?xml version="1.0" encoding="UTF-7"?>`), "xml.encoding", ""},
		{"UTF-16", front("\xff\xfe"), "xml.encoding", ""},
		{"EBCDIC", front("\x4c\x6f\xa7\x94\x93"), "xml.root", ""},
		{"overlong UTF-8", value("4.5\xc0\xb0"), "xml.encoding", ""},
		{"CDATA in the amount", value("<![CDATA[4.50]]>"), "", "model.markup"},
		{"CDATA that hides a digit", value("4<![CDATA[5]]>.50"), "", "model.markup"},
		{"comment in the amount", value("4<!-- 5 -->.50"), "", "model.markup"},
		{"reference in the amount", value("4&#46;50"), "", "model.markup"},
		{"comment in the account", in("<IBAN>DE", "<IBAN>D<!-- -->E"), "", "model.markup"},
		{"exponent", value("1e3"), "schema.decimal", ""},
		{"hexadecimal", value("0x10"), "schema.decimal", ""},
		{"not a number", value("NaN"), "schema.decimal", ""},
		{"infinite", value("INF"), "schema.decimal", ""},
		{"underscore", value("1_000.00"), "schema.decimal", ""},
		{"comma", value("4,50"), "schema.decimal", ""},
		{"Arabic digits", value("٤.٥٠"), "schema.decimal", ""},
		{"full-width digits", value("４.５０"), "schema.decimal", ""},
		{"minus", value("-4.50"), "schema.minInclusive", ""},
		{"Unicode minus", value("−4.50"), "schema.decimal", ""},
		{"plus", value("+4.50"), "", "model.amount"},
		{"zero with a minus", value("-0.00"), "", "model.amount"},
		{"zero", value("0.00"), "", "model.amount"},
		{"19 digits", value("12345678901234567.89"), "schema.totalDigits", ""},
		{"20 digits, as many as an int64 overflows", value("99999999999999999999"), "schema.totalDigits", ""},
		{"18 digits, in EUR", value("9999999999999.99999"), "", "model.amount"},
		{"six decimals", value("4.500001"), "schema.fractionDigits", ""},
		{"leading zeros", value(strings.Repeat("0", 500_000) + "4.50"), "", "model.amount"},
		{"500,000 digits", value(strings.Repeat("1", 500_000)), "schema.decimal", ""},
		{"white space around", value(" 4.50 "), "", "model.amount"},
		{"right to left mark", value("\u200f4.50"), "schema.decimal", ""},
		{"unknown currency", in(`<IntrBkSttlmAmt Ccy="EUR"`, `<IntrBkSttlmAmt Ccy="QQQ"`), "", "model.currency"},
		{"deep nesting", foreign(strings.Repeat("<a>", 300_000)), "xml.depth", ""},
		{"64 MB of spaces", func() string { return inside(strings.Repeat(" ", mb64))() }, "xml.size", ""},
		{"64 MB of one text", func() string { return value(strings.Repeat("1", mb64))() }, "xml.size", ""},
		{"64 MB of one comment", func() string { return inside("<!--" + strings.Repeat("x", mb64) + "-->")() }, "xml.size", ""},
		{"1 MB of one text", in("<EndToEndId>", "<EndToEndId>"+strings.Repeat("x", 1_000_000)), "schema.maxLength", ""},
		{"1 MB of one identifier", in("<IBAN>", "<IBAN>"+strings.Repeat("DE89", 250_000)), "schema.pattern", ""},
		{"1 MB of one code", in("<UETR>", "<UETR>"+strings.Repeat("a", 1_000_000)), "schema.pattern", ""},
		{"1 MB of one date", in("<IntrBkSttlmDt>", "<IntrBkSttlmDt>"+strings.Repeat("1", 1_000_000)), "schema.date", ""},
		{"1 MB of one time", in("<CreDtTm>", "<CreDtTm>2026-11-23T10:11:12."+strings.Repeat("1", 1_000_000)), "schema.dateTime", ""},
		{"1 MB of references", in("<EndToEndId>", "<EndToEndId>"+strings.Repeat("&#65;", 200_000)), "schema.maxLength", ""},
		{"1 MB of CDATA sections", in("<EndToEndId>", "<EndToEndId>"+strings.Repeat("<![CDATA[]]>", 80_000)), "", ""},
		{"1 MB of comments", inside(strings.Repeat("<!---->", 140_000)), "", ""},
		{"1 MB of carriage returns", inside(strings.Repeat("\r", 1_000_000)), "", ""},
		{"1 MB of one attribute", in(`Ccy="EUR"`, `Ccy="`+strings.Repeat("E", 1_000_000)+`"`), "schema.pattern", ""},
		{"million attributes", in("<CdtTrfTxInf>", "<CdtTrfTxInf"+strings.Repeat(` a="1"`, 160_000)+">"), "xml.attributes", ""},
		{"many different attributes", in("<CdtTrfTxInf>", "<CdtTrfTxInf"+attributes(50_000)+">"), "xml.attributes", ""},
		{"million siblings", foreign("<x>" + strings.Repeat("<y/>", 250_000) + "</x>"), "xml.elements", ""},
		{"9,000 unknown siblings", inside(strings.Repeat("<Foo/>", 9_000)), "schema.element", ""},
		{"3,000 transactions", in("<CdtTrfTxInf>", strings.Repeat("<CdtTrfTxInf/>", 3_000)+"<CdtTrfTxInf>"), "schema.missing", ""},
		{"9,000 address lines", in("<Nm>Zoë Example</Nm>", "<PstlAdr>"+strings.Repeat("<AdrLine>x</AdrLine>", 9_000)+"</PstlAdr>"), "schema.repeated", ""},
		{"9,000 remittances", in("<Strd>", strings.Repeat("<Ustrd>x</Ustrd>", 9_000)+"<Strd>"), "", "model.repeated"},
		{"9,000 structured remittances", in("<Strd>", strings.Repeat("<Strd></Strd>", 9_000)+"<Strd>"), "", ""},
		{"9,000 charges", in("<InstgAgt>", strings.Repeat(`<ChrgsInf><Amt Ccy="EUR">1</Amt><Agt><FinInstnId/></Agt></ChrgsInf>`, 2_000)+"<InstgAgt>"), "", "model.element"},
		{"huge name", foreign("<" + strings.Repeat("x", 900_000) + "/>"), "xml.name", ""},
		{"huge attribute name", foreign("<x " + strings.Repeat("x", 900_000) + "='1'/>"), "xml.name", ""},
		{"long prefix", foreign("<" + strings.Repeat("p", 900_000) + ":x/>"), "xml.name", ""},
		{"long prefix, declared", foreign("<x xmlns:" + strings.Repeat("p", 900_000) + "='urn:x'/>"), "xml.name", ""},
		{"long namespace", foreign("<x xmlns='urn:" + strings.Repeat("p", 900_000) + "'/>"), "", "model.supplementary"},
		{"many namespace declarations in one tag", foreign("<x" + declarations(50_000) + "/>"), "xml.attributes", ""},
		{"many namespace declarations", foreign("<x>" + strings.Repeat(`<y xmlns:p="urn:x"/>`, 9_000) + "</x>"), "xml.namespaces", ""},
		{"many namespaces", foreign("<x>" + separately(9_000) + "</x>"), "xml.namespaces", ""},
		{"namespaces in force", foreign(nestedDeclarations(24) + strings.Repeat("<z>x</z>", 9_000) + strings.Repeat("</y>", 24)), "xml.namespaces", ""},
		{"xsi:type again and again", foreign(`<x xmlns:i="` + xsiNamespace + `">` + strings.Repeat(`<y i:type="CreditTransferTransaction39"/>`, 9_000) + "</x>"), "schema.missing", ""},
		{"comment that never ends", inside("<!-- " + strings.Repeat("x", 900_000)), "xml.end", ""},
		{"CDATA that never ends", value("<![CDATA[" + strings.Repeat("x", 900_000)), "xml.end", ""},
		{"many less-than signs", inside(strings.Repeat("<", 900_000)), "xml.name", ""},
		{"many ampersands", inside(strings.Repeat("&", 900_000)), "xml.reference", ""},
		{"many brackets", inside(strings.Repeat("]", 900_000)), "schema.text", ""},
		{"NULs", inside(strings.Repeat("\x00", 900_000)), "xml.character", ""},
		{"xsi:nil", in("<IntrBkSttlmAmt", `<IntrBkSttlmAmt xmlns:i="`+xsiNamespace+`" i:nil="true"`), "schema.nil", ""},
		{"another root behind", in("</Document>", "</Document><Document/>"), "xml.trailing", ""},
		{"nothing", func() string { return "" }, "xml.root", ""},
		{"one octet", func() string { return "<" }, "xml.root", ""},
	}
}

func declarations(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" xmlns:p" + strconv.Itoa(i) + `="urn:x"`)
	}
	return b.String()
}

func separately(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`<y xmlns="urn:` + strconv.Itoa(i) + `"/>`)
	}
	return b.String()
}

func nestedDeclarations(depth int) string {
	var b strings.Builder
	for range depth {
		b.WriteString("<y" + declarations(15) + ">")
	}
	return b.String()
}

// readers is everything that reads a peer's bytes.
var readers = map[string]func(doc []byte) error{
	"Validate": Validate,
	"ValidateAll": func(doc []byte) error {
		if f := ValidateAll(doc); len(f) > 0 {
			return &f[0]
		}
		return nil
	},
	"Inspect": func(doc []byte) error {
		t, err := Inspect(doc)
		if err != nil {
			return err
		}
		for i := range t.nodes {
			e := Element{t, uint32(i)}
			e.Type()
			if e.IsLeaf() {
				e.Text()
			}
		}
		return nil
	},
	"Decode":            func(doc []byte) error { _, err := Decode(doc); return err },
	"DecodeKeeping":     func(doc []byte) error { _, err := DecodeKeeping(doc); return err },
	"Split":             func(doc []byte) error { _, err := Split(doc, Wrapper{}); return err },
	"MessageDefinition": func(doc []byte) error { MessageDefinition(doc); return nil },
	"Check": func(doc []byte) error {
		r, err := Limits{}.Check(watch(doc))
		if err == nil && len(r.Faults) > 0 {
			err = &r.Faults[0]
		}
		return err
	},
	"Check of a file": func(doc []byte) error {
		_, err := FileLimits.Check(watch(doc))
		return err
	},
	"StatementReader": func(doc []byte) error {
		doc = bytes.ReplaceAll(doc, []byte("pacs.008.001.08"), []byte("camt.053.001.08"))
		watching.copied = uint64(len(doc))
		r := NewStatementReader(watch(doc))
		for {
			st, err := r.Next()
			if err != nil {
				return err
			}
			for range st.Entries() {
			}
		}
	},
}

// Each attack gets the right verdict, within 100 ms and 16 MB beyond the document, from everything that reads; of a document in memory all
// that is allocated counts. Files are read in a
// stream and may be of any length: there a second per 64 MB is allowed.
func TestAttackTable(t *testing.T) {
	const most = 16 << 20
	for _, a := range attacks(t) {
		doc := []byte(a.doc())
		want := map[string]string{"Validate": a.validate, "Decode": a.decode}
		if a.validate != "" {
			want["Decode"], want["DecodeKeeping"] = a.validate, a.validate
		}
		for name, rule := range want {
			if got := ruleOf(readers[name](doc)); got != rule {
				t.Errorf("%s: %s says %q, want %q", a.name, name, got, rule)
			}
		}
		for name, read := range readers {
			if underRace {
				read(doc) // costs say nothing there
				continue
			}
			limit := 100 * time.Millisecond
			if name == "Check of a file" || name == "StatementReader" {
				limit += time.Duration(len(doc)) * time.Second / (64 << 20)
			}
			took, used := time.Duration(1<<62), uint64(1<<62)
			for range 4 { // the machine does other things too
				t, u := cost(read, doc)
				if took, used = min(took, t), min(used, u); took < limit && used < most {
					break
				}
			}
			if took > limit {
				t.Errorf("%s: %s takes %v", a.name, name, took)
			}
			if used > most && streams[name] {
				used = peak(read, doc)
			}
			if used > most {
				t.Errorf("%s: %s takes %d KiB beyond a document of %d KiB", a.name, name, used>>10, len(doc)>>10)
			}
		}
	}
}

// streams are the readers that hold a part of the document at a time. What they allocate and free again does not count.
var streams = map[string]bool{"Check": true, "Check of a file": true, "StatementReader": true}

// watching makes watch look at the memory in use, at every mebibyte read and at the end.
var watching struct {
	on           bool
	copied, peak uint64 // copied is what a reader here has made of the document itself
}

// watch returns a reader of the document.
func watch(doc []byte) io.Reader {
	if watching.on {
		return &watched{pieces: pieces{doc, 64 << 10}}
	}
	return bytes.NewReader(doc)
}

type watched struct {
	pieces
	read int
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.pieces.Read(b)
	if w.read += n; w.read > 1<<20 || err != nil {
		w.read = 0
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		watching.peak = max(watching.peak, m.HeapAlloc)
	}
	return n, err
}

// peak returns the most memory in use while a stream is read, beyond what was in use before and one copy of the document.
func peak(read func([]byte) error, doc []byte) uint64 {
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	watching.on, watching.copied, watching.peak = true, 0, 0
	read(doc)
	watching.on = false
	had := before.HeapAlloc + watching.copied + uint64(len(doc))
	return max(watching.peak, had) - had
}

// cost returns how long reading takes, and all memory allocated meanwhile, freed or not.
func cost(read func([]byte) error, doc []byte) (time.Duration, uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	read(doc)
	took := time.Since(begin)
	runtime.ReadMemStats(&after)
	return took, after.TotalAlloc - before.TotalAlloc
}

// Whatever a document has much of, four times as much takes about four times as long, and not sixteen times, where limits do not end it before: no reader is quadratic.
func TestAttacksAreLinear(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("measures times")
	}
	in := inTransfer(t)
	foreign := func(n int, s string) string {
		return in("</CdtTrfTxInf>", "<SplmtryData><Envlp><x>"+strings.Repeat(s, n)+"</x></Envlp></SplmtryData></CdtTrfTxInf>")()
	}
	limits := Limits{SizeBytes: 1 << 30, Depth: 1 << 10, Elements: 1 << 30, Attributes: 1 << 8, Namespaces: 65_000, Faults: 1000}
	all := func(doc []byte) error { limits.ValidateAll(doc); return nil }
	check := func(doc []byte) error { _, err := limits.Check(bytes.NewReader(doc)); return err }
	crumbs := func(doc []byte) error { // 64 octets at a time
		_, err := limits.Check(&pieces{doc, 64})
		return err
	}
	inspect := func(doc []byte) error {
		tree, err := limits.Inspect(doc)
		if err == nil {
			for c := range tree.Root().Children() {
				c.Text()
			}
		}
		return err
	}
	for _, c := range []struct {
		name string
		n    int
		doc  func(n int) string
	}{
		{"siblings", 8_000, func(n int) string { return foreign(n, "<y/>") }},
		{"unknown siblings", 8_000, func(n int) string { return in("<CdtTrfTxInf>", strings.Repeat("<Foo/>", n)+"<CdtTrfTxInf>")() }},
		{"repeated elements", 8_000, func(n int) string { return in("<Strd>", strings.Repeat("<Strd></Strd>", n)+"<Strd>")() }},
		{"comments", 60_000, func(n int) string { return foreign(n, "<!-- -->") }},
		{"one comment", 500_000, func(n int) string { return in("<CdtTrfTxInf>", "<!-- "+strings.Repeat("x", n)+" --><CdtTrfTxInf>")() }},
		{"one text", 500_000, func(n int) string { return in("<EndToEndId>", "<EndToEndId>"+strings.Repeat("x", n))() }},
		{"one number", 500_000, func(n int) string { return in(">4.50<", ">"+strings.Repeat("0", n)+"4.50<")() }},
		{"one identifier", 500_000, func(n int) string { return in("<IBAN>", "<IBAN>"+strings.Repeat("A", n))() }},
		{"references", 50_000, func(n int) string { return in("<EndToEndId>", "<EndToEndId>"+strings.Repeat("&amp;", n))() }},
		{"CDATA sections", 50_000, func(n int) string { return in("<EndToEndId>", "<EndToEndId>"+strings.Repeat("<![CDATA[x]]>", n))() }},
		{"carriage returns", 500_000, func(n int) string { return in("<CdtTrfTxInf>", strings.Repeat("\r", n)+"<CdtTrfTxInf>")() }},
		{"namespaces again", 10_000, func(n int) string { return foreign(n, `<y xmlns:p="urn:p"/>`) }},
		{"attributes", 2_000, func(n int) string { return foreign(n, `<y`+attributes(16)+`/>`) }},
		{"xsi:type", 4_000, func(n int) string { return foreign(n, `<y xmlns:i="`+xsiNamespace+`" i:type="Max35Text"/>`) }},
	} {
		for name, read := range map[string]func([]byte) error{"ValidateAll": all, "Check": check, "Check of crumbs": crumbs, "Inspect": inspect} {
			one, four := []byte(c.doc(c.n/2)), []byte(c.doc(2*c.n))
			ratio := time.Duration(1000)
			for range 8 { // the least of several, for what else the machine does
				a, b := time.Duration(1<<62), time.Duration(1<<62)
				for range 2 {
					t, _ := cost(read, one)
					u, _ := cost(read, four)
					a, b = min(a, t), min(b, u)
				}
				if ratio = min(ratio, 10*b/max(a, 100*time.Microsecond)); ratio < 100 {
					break
				}
			}
			if ratio >= 100 {
				t.Errorf("%s of four times as many %s takes %d.%d times as long", name, c.name, ratio/10, ratio%10)
			}
		}
	}
}

// pieces is a reader of n octets at a time.
type pieces struct {
	doc []byte
	n   int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.doc) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.n)], p.doc)
	p.doc = p.doc[n:]
	return n, nil
}
