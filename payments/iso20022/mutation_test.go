package iso20022

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
)

// mutation changes one thing in a document, which mostly makes it invalid.
type mutation struct {
	class string
	// of returns the changed document, nil if there is nothing of its kind in it.
	of func(m *mutant) []byte
}

// mutant is a document at hand, with what is known of it.
type mutant struct {
	*Tree
	r *rand.Rand
}

// mutate returns the document with one thing changed, and the class of the change.
func mutate(r *rand.Rand, doc []byte) (mutated []byte, class string) {
	t, err := Limits{Elements: 100_000}.Inspect(doc)
	if err != nil {
		panic(err)
	}
	mutated, class = (&mutant{t, r}).mutate()
	if r.IntN(16) == 0 {
		if t, err := Inspect(mutated); err == nil {
			mutated, _ = (&mutant{t, r}).mutate()
			return mutated, "two changes"
		}
	}
	return mutated, class
}

// mutate returns the document with one change.
func (m *mutant) mutate() (mutated []byte, class string) {
	for {
		x := mutations[m.r.IntN(len(mutations))]
		if d := x.of(m); d != nil {
			return d, x.class
		}
	}
}

// some returns a random element that pick takes, false if there is none.
func (m *mutant) some(pick func(i uint32) bool) (uint32, bool) {
	from := m.r.IntN(len(m.nodes))
	for k := range m.nodes {
		if i := uint32((from + k) % len(m.nodes)); pick == nil || pick(i) {
			return i, true
		}
	}
	return 0, false
}

// any returns a random element, below the root if there is one.
func (m *mutant) any() *node {
	i, ok := m.some(func(i uint32) bool { return i > 0 })
	if !ok {
		i = 0
	}
	return &m.nodes[i]
}

// leaf returns a random element with text, of that base type if it is not negative.
func (m *mutant) leaf(of int) (*node, *facetDef) {
	i, ok := m.some(func(i uint32) bool {
		if !m.isLeaf(i) || m.types[i] == 0 {
			return false
		}
		t := &isoTables.types[m.types[i]-1]
		return (t.kind == kindSimple || t.kind == kindExtension) && (of < 0 || isoTables.facets[t.facets].base == base(of))
	})
	if !ok {
		return nil, nil
	}
	return &m.nodes[i], &isoTables.facets[isoTables.types[m.types[i]-1].facets]
}

func (m *mutant) put(from, to uint32, s string) []byte {
	return append(append(append([]byte(nil), m.src[:from]...), s...), m.src[to:]...)
}

func (m *mutant) pick(list ...string) string { return list[m.r.IntN(len(list))] }

// value puts one of the texts into a leaf of that base type.
func value(of base, texts []string) func(m *mutant) []byte {
	return func(m *mutant) []byte {
		n, _ := m.leaf(int(of))
		if n == nil {
			return nil
		}
		return m.put(n.textAt, n.textEnd, m.pick(texts...))
	}
}

// at inserts one of the texts at a place of a random element.
func at(place func(n *node) uint32, texts ...string) func(m *mutant) []byte {
	return func(m *mutant) []byte {
		n := m.any()
		return m.put(place(n), place(n), m.pick(texts...))
	}
}

func behindName(n *node) uint32 { return n.nameEnd }
func inFront(n *node) uint32    { return n.textAt }
func behind(n *node) uint32     { return n.end }

const xsiDeclared = ` xmlns:xsi="` + xsiNamespace + `" `

var mutations = []mutation{
	{"element deleted", func(m *mutant) []byte { n := m.any(); return m.put(n.start, n.end, "") }},
	{"element twice", func(m *mutant) []byte { n := m.any(); return m.put(n.end, n.end, string(m.src[n.start:n.end])) }},
	{"element emptied", func(m *mutant) []byte { n := m.any(); return m.put(n.textAt, n.textEnd, "") }},
	{"element renamed", func(m *mutant) []byte {
		n := m.any()
		if n.textEnd == n.end {
			return nil
		}
		name := m.pick("Foo", "Id", "Cd", "Prtry", "Nm", "MsgId", "Othr", "Amt", "Document", "x.y-z", "Ünïcode")
		return m.put(n.start, n.end, "<"+name+string(m.src[n.nameEnd:n.textEnd])+"</"+name+">")
	}},
	{"elements swapped", func(m *mutant) []byte {
		i, ok := m.some(func(i uint32) bool { return i > 0 && m.next(i) < m.next(m.nodes[i].parent) })
		if !ok {
			return nil
		}
		a, b := &m.nodes[i], &m.nodes[m.next(i)]
		return m.put(a.start, b.end, string(m.src[b.start:b.end])+string(m.src[a.end:b.start])+string(m.src[a.start:a.end]))
	}},
	{"element moved", func(m *mutant) []byte { // to be a sibling of another
		a, b := m.any(), m.any()
		if b.start >= a.start && b.end <= a.end || a.end-a.start > 2000 {
			return nil
		}
		return m.put(b.end, b.end, string(m.src[a.start:a.end]))
	}},
	{"element put in", at(inFront, "<Foo></Foo>", "<Cd>ABCD</Cd>", "<Prtry>x</Prtry>", "<Id>1</Id>", "<Foo/>", `<SplmtryData><Envlp><x xmlns=""/></Envlp></SplmtryData>`)},
	{"element behind", at(behind, "<Foo></Foo>", "<Cd>ABCD</Cd>", "<Prtry>x</Prtry>", "<Id>1</Id>", "<Nm>x</Nm>", `<SplmtryData><Envlp><x xmlns=""/></Envlp></SplmtryData>`, `<SplmtryData><Envlp/></SplmtryData>`)},
	{"children unwrapped", func(m *mutant) []byte { n := m.any(); return m.put(n.start, n.end, string(m.src[n.textAt:n.textEnd])) }},
	{"text between elements", at(inFront, "x", " ", "\n", "\t\r\n", "<![CDATA[ ]]>", "<![CDATA[]]>", "&#32;", "&#xA0;", "\u00a0", "&#10;", "<!-- c -->", "&amp;")},
	{"text behind an element", at(behind, "x", " ", "\n", "<![CDATA[ ]]>", "&#9;", "\u2003", "<!-- -->", "]")},

	{"attribute", at(behindName, ` a="1"`, ` Ccy="EUR"`, ` Ccy="eur"`, ` xml:lang="en"`, ` xml:space="preserve"`, ` xml:id="i"`, ` xmlns:q="urn:q" q:Ccy="EUR"`, ` xmlns:q="urn:q"`)},
	{"attribute taken away", func(m *mutant) []byte {
		i, ok := m.some(func(i uint32) bool { return m.nodes[i].attrs > 0 })
		if !ok {
			return nil
		}
		return m.put(m.nodes[i].nameEnd, m.attributes(i)[0].valueEnd+1, "")
	}},
	{"currency", func(m *mutant) []byte {
		i, ok := m.some(func(i uint32) bool {
			return m.nodes[i].attrs > 0 && m.attributes(i)[0].valueEnd > m.attributes(i)[0].valueAt
		})
		if !ok {
			return nil
		}
		a := m.attributes(i)[0]
		return m.put(a.valueAt, a.valueEnd, m.pick("USDX", "US", "usd", " USD", "USD ", "QQQ", "U&#83;D", "", "\tUSD", "US\nD", "ÜSD", "US&#x44;", "XXX", "&lt;"))
	}},
	{"xsi", at(behindName, xsiDeclared+`xsi:nil="true"`, xsiDeclared+`xsi:nil="false"`, xsiDeclared+`xsi:nil="0"`, xsiDeclared+`xsi:type="Max35Text"`, xsiDeclared+`xsi:type=" Max35Text "`,
		xsiDeclared+`xsi:type="nothing"`, xsiDeclared+`xsi:type="q:Max35Text"`, xsiDeclared+`xsi:type=""`, xsiDeclared+`xsi:type="xs:string" xmlns:xs="http://www.w3.org/2001/XMLSchema"`,
		xsiDeclared+`xsi:schemaLocation="urn:x x.xsd"`, xsiDeclared+`xsi:schemaLocation=""`, xsiDeclared+`xsi:noNamespaceSchemaLocation="x.xsd"`, xsiDeclared+`xsi:other="x"`)},
	{"xsi:type as declared", func(m *mutant) []byte {
		i, ok := m.some(func(i uint32) bool { return m.types[i] > 0 })
		if !ok {
			return nil
		}
		n, name := &m.nodes[i], isoTables.types[m.types[i]-1].name
		prefix := ""
		if m.binding(i) {
			prefix = "zz:"
			name = prefix + name
		}
		declared := ""
		if prefix != "" {
			declared = ` xmlns:zz="` + string(m.uri(i)) + `"`
		}
		return m.put(n.nameEnd, n.nameEnd, xsiDeclared+declared+` xsi:type="`+m.pick("", " ", "\t")+name+m.pick("", " ", "\n")+`"`)
	}},
	{"xsi:type in foreign content", func(m *mutant) []byte {
		i, ok := m.some(func(i uint32) bool { return m.types[i] == 0 })
		if !ok {
			return nil
		}
		n := &m.nodes[i]
		types := []string{"string", "normalizedString", "token", "anyType", "anySimpleType", "boolean", "decimal", "date", "dateTime", "time", "gYear", "gYearMonth", "base64Binary",
			"integer", "nonNegativeInteger", "positiveInteger", "nonPositiveInteger", "negativeInteger", "long", "int", "short", "byte", "unsignedLong", "unsignedInt", "unsignedShort", "unsignedByte", "nothing"}
		attribute := xsiDeclared + `xmlns:xs="http://www.w3.org/2001/XMLSchema" xsi:type="` + m.pick("", "", "", " ") + `xs:` + m.pick(types...) + `"`
		if k, ok := m.some(func(k uint32) bool { return m.types[k] > 0 }); ok && m.r.IntN(3) == 0 {
			attribute = xsiDeclared + `xmlns:zz="` + string(m.uri(k)) + `" xsi:type="` + m.pick("zz:", "zz:", "zz:", "") + isoTables.types[m.types[k]-1].name + `"`
		}
		if n.textEnd == n.end || m.r.IntN(4) == 0 {
			return m.put(n.nameEnd, n.nameEnd, attribute+m.pick("", ` b="c"`, ` xmlns:zy="urn:y" zy:q="1"`, ` xsi:nil="true"`))
		}
		text := m.pick(m.pick(numberTexts...), m.pick(timeTexts...), m.pick(base64Texts...), m.pick(integerTexts...), m.pick(integerTexts...), m.pick("true", "0"), string(m.src[n.textAt:n.textEnd]))
		return append(append(m.put(n.nameEnd, uint32(len(m.src)), attribute+string(m.src[n.nameEnd:n.textAt])), text...), m.src[n.textEnd:]...)
	}},
	{"foreign namespace", at(behindName, ` xmlns="urn:evil"`, ` xmlns=""`, ` xmlns="`+Namespace("pacs.008.001.08")+`"`, ` xmlns="http://www.w3.org/2000/09/xmldsig#"`)},
	{"foreign element", at(behind, `<e:Amt xmlns:e="urn:evil">1</e:Amt>`, `<e:Nm xmlns:e="urn:evil"/>`, `<Id xmlns="">x</Id>`)},
	{"prefixes", func(m *mutant) []byte { // the same document with prefixes, if it has none
		if bytes.Contains(m.src, []byte(":")) && bytes.Count(m.src, []byte("xmlns")) > 1 || bytes.Contains(m.src, []byte("<!")) || bytes.Contains(m.src, []byte("<?")) {
			return nil
		}
		d := bytes.ReplaceAll(bytes.ReplaceAll(m.src, []byte("<"), []byte("<p:")), []byte("<p:/"), []byte("</p:"))
		return bytes.Replace(d, []byte(" xmlns="), []byte(" xmlns:p="), 1)
	}},

	{"amount", func(m *mutant) []byte {
		i, ok := m.some(func(i uint32) bool {
			return m.types[i] > 0 && isoTables.types[m.types[i]-1].kind == kindExtension && m.isLeaf(i)
		})
		if !ok {
			return nil
		}
		return m.put(m.nodes[i].textAt, m.nodes[i].textEnd, m.pick(numberTexts...))
	}},
	{"number", value(baseDecimal, numberTexts)},
	{"digits", func(m *mutant) []byte { // as many as there may be, or one more
		n, f := m.leaf(int(baseDecimal))
		if n == nil {
			return nil
		}
		total, fraction := max(1, int(f.totalDigits)), max(0, int(f.fractionDigits))
		whole := max(1, total-m.r.IntN(fraction+1)+m.r.IntN(3)-1)
		decimals := m.r.IntN(fraction + 3)
		g := instance{tables: &isoTables, r: m.r}
		return m.put(n.textAt, n.textEnd, m.pick("", "0", "-", "+", "000")+g.digits(whole)+m.pick(".", "")+g.digits(decimals)+m.pick("", "0", "000"))
	}},
	{"date and time", value(baseDateTime, timeTexts)},
	{"date", value(baseDate, timeTexts)},
	{"time, year or month", func(m *mutant) []byte {
		of := []base{baseTime, baseGYear, baseGYearMonth}
		k := m.r.IntN(3)
		for j := range of {
			if d := value(of[(k+j)%3], timeTexts)(m); d != nil {
				return d
			}
		}
		return nil
	}},
	{"boolean", value(baseBoolean, []string{"true", "false", "1", "0", " true ", "\ttrue", "TRUE", "True", "2", "", " ", "yes", "00", "true\u00a0", "<!-- -->true", "<![CDATA[true]]>", "tr<!-- -->ue", "&#49;"})},
	{"base64", value(baseBase64Binary, base64Texts)},
	{"length", func(m *mutant) []byte { // as long as may be, one more, one less; in characters of one to four octets
		i, ok := m.some(func(i uint32) bool {
			if m.types[i] == 0 || !m.isLeaf(i) {
				return false
			}
			t := &isoTables.types[m.types[i]-1]
			f := &isoTables.facets[t.facets]
			return (t.kind == kindSimple || t.kind == kindExtension) && f.base == baseString && f.maxLength > 0 && f.maxLength < 3000
		})
		if !ok {
			return nil
		}
		f := &isoTables.facets[isoTables.types[m.types[i]-1].facets]
		length := int(f.maxLength) + m.r.IntN(3) - 1
		if m.r.IntN(4) == 0 {
			length = max(0, int(f.minLength)+m.r.IntN(3)-1)
		}
		return m.put(m.nodes[i].textAt, m.nodes[i].textEnd, strings.Repeat(m.pick("x", "é", "€", "𝄞", "&amp;", "e\u0301", " "), length))
	}},
	{"pattern", func(m *mutant) []byte {
		i, ok := m.some(func(i uint32) bool {
			t := &isoTables.types[max(1, m.types[i])-1]
			return m.types[i] > 0 && m.isLeaf(i) && t.kind == kindSimple && isoTables.facets[t.facets].pattern > 0
		})
		if !ok {
			return nil
		}
		s := spoil(m.r, isoTables.patterns[isoTables.facets[isoTables.types[m.types[i]-1].facets].pattern].sample(m.r))
		if strings.ContainsAny(s, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f<&>") {
			return nil
		}
		return m.put(m.nodes[i].textAt, m.nodes[i].textEnd, s)
	}},
	{"code", func(m *mutant) []byte {
		i, ok := m.some(func(i uint32) bool {
			t := &isoTables.types[max(1, m.types[i])-1]
			return m.types[i] > 0 && m.isLeaf(i) && t.kind == kindSimple && isoTables.facets[t.facets].enumeration != nil
		})
		if !ok {
			return nil
		}
		n, list := &m.nodes[i], isoTables.facets[isoTables.types[m.types[i]-1].facets].enumeration
		c := m.pick(list...)
		return m.put(n.textAt, n.textEnd, m.pick(c, c, strings.ToLower(c), " "+c, c+" ", c+"X", c[1:], "", c+"<!-- -->", "<![CDATA["+c+"]]>", "&#"+strconv.Itoa(int(c[0]))+";"+c[1:], c+"\n"))
	}},
	{"any text", func(m *mutant) []byte {
		n, _ := m.leaf(-1)
		if n == nil {
			return nil
		}
		return m.put(n.textAt, n.textEnd, m.pick(m.pick(numberTexts...), m.pick(timeTexts...), m.pick(base64Texts...), m.pick(otherTexts...)))
	}},
	{"white space around a value", func(m *mutant) []byte {
		n, _ := m.leaf(-1)
		if n == nil {
			return nil
		}
		return m.put(n.textAt, n.textEnd, m.pick("", " ", "\n", "\t", "\r\n", "&#13;", "&#32;", "\u00a0")+string(m.src[n.textAt:n.textEnd])+m.pick("", " ", "\n", "\t", "\r", "&#10;"))
	}},
	{"markup in a value", func(m *mutant) []byte {
		n, _ := m.leaf(-1)
		if n == nil {
			return nil
		}
		s := string(m.src[n.textAt:n.textEnd])
		if strings.ContainsAny(s, "&<") {
			return m.put(n.textAt, n.textEnd, m.pick("<!-- c -->"+s, s+"<!---->"))
		}
		half := len(s) / 2
		for half > 0 && s[half]&0xc0 == 0x80 {
			half--
		}
		return m.put(n.textAt, n.textEnd, m.pick("<!-- c -->"+s, s[:half]+"<!-- c -->"+s[half:], "<![CDATA["+s+"]]>", s[:half]+"<![CDATA["+s[half:]+"]]>", "<![CDATA[]]>"+s, s+"&#x20;", "<x/>"+s, s+"<Cd>A</Cd>"))
	}},

	{"foreign content", at(behind, // where SplmtryData may stand it is validated laxly
		`<SplmtryData><Envlp><x xmlns="urn:x" a="1" xml:lang="de">t<y/>u</x></Envlp></SplmtryData>`, `<SplmtryData><PlcAndNm>p</PlcAndNm><Envlp><a/><b/></Envlp></SplmtryData>`, `<SplmtryData><Envlp>x</Envlp></SplmtryData>`,
		`<SplmtryData><Envlp><x xmlns="">`+strings.Repeat("<y>", 12)+strings.Repeat("</y>", 12)+`</x></Envlp></SplmtryData>`, `<SplmtryData><Envlp><Document/></Envlp></SplmtryData>`, `<SplmtryData><Envlp><Nm>`+strings.Repeat("x", 200)+`</Nm></Envlp></SplmtryData>`)},
	{"line ends", func(m *mutant) []byte {
		return bytes.ReplaceAll(bytes.ReplaceAll(m.src, []byte("\n"), nil), []byte("><"), []byte(">"+m.pick("\n", "\r\n", "\r", "\n\t ", "\n\n")+"<"))
	}},
	{"around the root", func(m *mutant) []byte {
		start, end := m.nodes[0].start, m.nodes[0].end
		root := string(m.src[start:end])
		return []byte(m.pick("", "\ufeff", `<?xml version="1.0"?>`, `<?xml version='1.0' encoding='utf-8' standalone='no'?>`, "\ufeff"+`<?xml version = "1.0" encoding="UTF-8" ?>`, "<!-- c -->", "\n\n", ` <?xml version="1.0"?>`,
			`<?xml version="1.0" standalone="YES"?>`, `<?xml encoding="UTF-8"?>`) + root + m.pick("", "\n", "<!-- c -->", "\r\n\t", "x", root, "</x>"))
	}},
	{"malformed", func(m *mutant) []byte {
		n := m.any()
		switch m.r.IntN(8) {
		case 0:
			return m.src[:m.r.IntN(len(m.src))]
		case 1:
			return m.put(n.textEnd, n.end, "")
		case 2:
			return m.put(n.start, n.textAt, "")
		case 3:
			return m.put(n.nameEnd, n.nameEnd, m.pick(` a="1" a="2"`, ` a=1`, ` a`, ` a="<"`, ` a="&foo;"`, ` a="1"b="2"`, " =", ` xmlns:q=""`+"q"))
		case 4:
			return m.put(n.textAt, n.textAt, m.pick("&", "&foo;", "&#0;", "&#xFFFF;", "&#X41;", "]]>", "<", "< a/>", "\x00", "\x01", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xef\xbf\xbe", "<!-- -- -->", "<!-- --->", "<![CDATA[", "<![cdata[]]>", "&#;", "&#x;", "&lt", "<?xml version='1.0'?>"))
		case 5:
			return m.put(n.nameAt, n.nameEnd, m.pick("1", "-a", ".", "a b", ""))
		case 6:
			at := uint32(m.r.IntN(len(m.src)))
			return m.put(at, at+1, m.pick("", "<", ">", "&", "\"", "/", " ", "\x80"))
		}
		at := uint32(m.r.IntN(len(m.src)))
		return m.put(at, at, m.pick("<", ">", "&", "\"", "'", "/", " ", "=", "\xbf"))
	}},
	{"refused on purpose", func(m *mutant) []byte {
		n := m.any()
		if m.r.IntN(2) == 0 {
			return m.put(n.textAt, n.textAt, m.pick("<?pi?>", "<?xml-stylesheet href='x'?>"))
		}
		return []byte(m.pick("<!DOCTYPE x>", `<!DOCTYPE x [<!ENTITY a "b">]>`, `<?xml version="1.1"?>`, `<?xml version="1.0" encoding="ISO-8859-1"?>`, "<?pi?>") + string(m.src[m.nodes[0].start:m.nodes[0].end]))
	}},
}

// binding reports whether element i has a prefix.
func (m *mutant) binding(i uint32) bool { return m.nodes[i].start+1 < m.nodes[i].nameAt }

var numberTexts = []string{
	"", " ", "x", "+5.00", ".5", "5.", "-0", "-0.00", "-0.0000000000000000000", " 5.00 ", "5.000000", "5.000001", "000000000000000000000005.00", "1000000000000000000", "999999999999999999", "-1", "-999999999999999999",
	"1e3", "1E3", "NaN", "INF", "-INF", "５", "٣", "0.00", "5<!--c-->0", "<![CDATA[5.00]]>", "&#53;.00", "99999999999999.99", "123456789012345.678901", "9999999999999.99999", "99999999999999.99999", "1.2.3", ".", "+", "-", "--1", "+-1",
	"1,000", "1 000", "1_000", "0x10", "1f", "+.5", "-.0", "\u22121", "5.00\u00a0", "\n5\t", "00", "0.00000", "0.000009", "0.0000009", "12345678901234567.8", "123456789012345678.0", "1234567890123456789.0", "0.12345678901234567", "0.123456789012345678", "0.1234567890123456789",
	"&#x2B;5", "5&#46;0", "1<![CDATA[]]>2", "1 <!-- --> 2", "100000000000000000000000000000000000000000000000000", "5." + strings.Repeat("0", 26), "0." + strings.Repeat("0", 40), strings.Repeat("0", 40) + ".5", "12345678901234." + strings.Repeat("0", 10), "12345678901234." + strings.Repeat("0", 11), "." + strings.Repeat("0", 24), "." + strings.Repeat("0", 25), "0." + strings.Repeat("0", 24), strings.Repeat("1", 24) + ".", strings.Repeat("1", 23) + ".",
}

var timeTexts = []string{
	"2026-11-23T10:11:12", "2026-11-23T24:00:00", "2026-11-23T24:00:01", "2026-11-23T24:00:00.0", "2026-11-23T24:00:00.1", "2026-11-23T10:11:60Z", "2026-11-23T10:60:12", "2026-02-30T10:11:12Z", "2026-11-23t10:11:12z", "2026-11-23T10:11:12z",
	"2026-11-23T10:11:12-00:00", "2026-11-23T10:11:12+14:00", "2026-11-23T10:11:12+14:01", "2026-11-23T10:11:12-14:00", "2026-11-23T10:11:12+15:00", "2026-11-23T10:11:12+1:00", "2026-11-23T10:11:12+0100", "2026-11-23T10:11:12+01", "2026-11-23T10:11:12+13:59", "2026-11-23T10:11:12+13:60",
	"0000-11-23T10:11:12Z", "-2026-11-23T10:11:12Z", "12026-11-23T10:11:12Z", "123456789-11-23T10:11:12Z", "1234567890-11-23T10:11:12Z", "9223372036854775807-11-23T10:11:12Z", "9223372036854775808-11-23T10:11:12Z", "-9223372036854775807-02-29T10:11:12Z", "18446744073709551617-01-01T00:00:00", "+2026-11-23T10:11:12Z", "02026-11-23T10:11:12Z", "-0001-11-23T10:11:12Z", "2026-11-23T10:11:12.Z",
	"2026-11-23T10:11:12.123456789012Z", "2026-11-23T10:11:12.000000000000000000000001Z", "2026-11-23T10:11:12,5Z", " 2026-11-23T10:11:12Z", "2026-11-23T10:11:12Z ", "2026-11-23T10:11:12 ", "2026-11-23T10:11:12 Z", "2026-11-23T10:11:12Z\n", "\t2026-11-23T10:11:12", "2026-11-23T25:00:00Z",
	"2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-1-1T00:00:00Z", "2026-11-23T1:11:12", "2026-11-23T10:11", "2026-11-23T101112", "20261123T101112", "2026-11-23 10:11:12", "2026-11-23T10:11:1２", "2026-11-23T10:11:12ZZ", "2026-11-23T10:11:12+05:30", "2026-11-23T",
	"2026-11-23", "2026-11-23Z", "2026-11-23+05:00", " 2026-11-23", "2026-11-23 ", "2026-11-23Z ", "2025-02-29", "2024-02-29", "1900-02-29", "2000-02-29", "-0004-02-29", "-0005-02-29", "-0001-02-29", "2026-04-31", "2026-12-31", "2026-12-32", "2026-1-1", "2026-01-00", "2026-11-23-14:00", "2026/11/23", "23.11.2026", "10000-01-01", "010000-01-01",
	"10:11:12", " 10:11:12", "10:11:12 ", "10:11:12Z ", "10:11:12Z", "10:11:12.5", "10:11:12.5Z", "10:11:12.", "24:00:00", "24:00:00Z", "24:00:01", "00:00:00-14:00", "10:11", "1:11:12", "10:11:12+14:01", "\n10:11:12", "10:11:12+01:00 ", "23:59:59.999999999999",
	"2026", " 2026 ", "2026 ", " 2026", "2026Z", "2026+01:00", "2026Z ", "20266", "-2026", "026", "02026", "0000", "123456789", "1234567890", "9223372036854775807", "9223372036854775808", "18446744073709551620", "18446744073709551620-11", "2026-11", "2026-11 ", " 2026-11", "2026-11Z", "2026-11-", "2026-13", "2026-00", "2026-1", "2026-11+14:00", "2026-11+14:01", "-2026-11", "", " ", "x",
	"<!-- -->2026-11-23", "2026-<![CDATA[11]]>-23", "2026-11-23<!-- -->T10:11:12Z", "&#50;026-11-23T10:11:12Z", "&#50;026",
}

var integerTexts = []string{
	"0", "-0", "1", "-1", "+1", "007", " 7 ", "127", "128", "-128", "-129", "255", "256", "32767", "32768", "-32768", "-32769", "65535", "65536", "2147483647", "2147483648", "-2147483648", "-2147483649", "4294967295", "4294967296",
	"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", strings.Repeat("1", 24), strings.Repeat("1", 25), "-" + strings.Repeat("1", 25), "00000000000000000000000000000000000000000001", "1.0", "1.", "1e1",
}

var base64Texts = []string{
	"", " ", "AAAA", "AAA=", "AAA", "AAB=", "AA==", "AB==", "A A A =", "AA= =", "AA ==", " AAAA ", "A\nAAA", "====", "A===", "AAAA=", "AAAA==", "AA=A", "AAA=AAAA", "AAAA AAAA", "A", "AA", "+/+/", "-_-_", "AA-A", "AA*AA", "AAAé", "é", "AAA.=", "AAA=.", ".", "!!!!", "A&#65;AA", "<![CDATA[AAAA]]>", "AA<!-- -->AA", "QUJDREVG", "QUJDREVGR0g=",
}

var otherTexts = []string{
	"CLRG ", "clrg", "USD", "usd", " USD", "QQQ", "é", strings.Repeat("é", 35), strings.Repeat("é", 36), strings.Repeat("x", 35), strings.Repeat("x", 36), strings.Repeat("𝄞", 140), strings.Repeat("y", 141),
	"a\tb", "a\nb", "a\r\nb", "a\rb", "&#13;", "&#x20;", "&#x000000041;", "&amp;&lt;&gt;&quot;&apos;", "]]&gt;", "a>b", "\"'", "8a562c67-ca16-48ba-b074-65581be6f001", "8A562C67-CA16-48BA-B074-65581BE6F001", "zz562c67-ca16-48ba-b074-65581be6f001x", "8a562c67-ca16-58ba-b074-65581be6f001",
	"DE89370400440532013000", "xxDE89370400440532013000", "de89370400440532013000", "DE00", "AAAADEFF", "AAAADEFFX", "AAAADEFFXXX", "AAAADEFFXXXX", "1AAADEFF", "+1-234", "+1234", "+12-()+-3", "5493001KJTIIGC8Y1R12", "\u2028", "\u0085", "\ufffd", "\U0010ffff", "e\u0301", "\u200b",
}
