package iso20022

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
)

// instance writes random documents that are valid by the tables, and mutants of documents, which mostly are not.
type instance struct {
	*tables
	r *rand.Rand
	b bytes.Buffer
}

// document returns a valid document of the schema.
func (g *instance) document(s *schemaDef) []byte {
	g.b.Reset()
	fmt.Fprintf(&g.b, `<%s xmlns="%s">`, s.root, s.namespace)
	g.content(s.typ, 0)
	fmt.Fprintf(&g.b, `</%s>`, s.root)
	return bytes.Clone(g.b.Bytes())
}

func (g *instance) element(e *elemDef, depth int) {
	if e.name == "" {
		g.content(e.typ, depth)
		return
	}
	t := &g.types[e.typ]
	if t.kind == kindExtension {
		fmt.Fprintf(&g.b, `<%s Ccy="%s">`, e.name, g.value(&g.facets[t.ccy]))
	} else {
		fmt.Fprintf(&g.b, `<%s>`, e.name)
	}
	g.content(e.typ, depth+1)
	fmt.Fprintf(&g.b, `</%s>`, e.name)
}

func (g *instance) content(typ uint16, depth int) {
	t := &g.types[typ]
	times := func(e *elemDef) int {
		n := int(e.min)
		if g.r.IntN(2+depth*depth/3) == 0 && g.b.Len() < 20_000 {
			n = 1
			if (e.max == 0 || e.max > 1) && g.r.IntN(3) == 0 {
				n = 2
			}
		}
		return n
	}
	switch t.kind {
	case kindSimple, kindExtension:
		g.b.WriteString(g.value(&g.facets[t.facets]))
	case kindSequence:
		for i := range t.elems {
			for range times(&t.elems[i]) {
				g.element(&t.elems[i], depth)
			}
		}
	case kindChoice:
		e := &t.elems[g.r.IntN(len(t.elems))]
		for range max(1, times(e)) {
			g.element(e, depth)
		}
	case kindAny:
		if t.namespace == "##any" {
			g.b.WriteString(`<x xmlns="urn:x"><y z="1">text</y></x>`)
		} else {
			fmt.Fprintf(&g.b, `<Signature xmlns="%s"></Signature>`, t.namespace)
		}
	}
}

// value returns a text that the facets allow.
func (g *instance) value(f *facetDef) string {
	pick := func(s ...string) string { return s[g.r.IntN(len(s))] }
	switch {
	case f.base == baseDateTime && f.pattern != 0:
		return pick("2026-11-23T10:11:12Z", "2026-11-23T10:11:12.5Z")
	case f.pattern != 0:
		for {
			if s := g.patterns[f.pattern].sample(g.r); !strings.ContainsAny(s, "<>&\r\n\t") {
				if rule, _ := f.checkText(g.tables, []byte(s)); rule == "" {
					return s
				}
			}
		}
	case f.enumeration != nil:
		return pick(f.enumeration...)
	}
	switch f.base {
	case baseDecimal:
		total, fraction := int(f.totalDigits), max(0, int(f.fractionDigits))
		if total < 0 {
			total = 18
		}
		whole := g.r.IntN(total - fraction + 1)
		s := g.digits(max(1, whole))
		if n := g.r.IntN(min(fraction, total-max(1, whole)) + 1); n > 0 {
			s += "." + g.digits(n)
		}
		return s
	case baseBoolean:
		return pick("true", "false", "1", "0")
	case baseDate:
		return pick("2026-11-23", "2024-02-29", "2026-11-23Z", "2026-11-23+05:00")
	case baseDateTime:
		return pick("2026-11-23T10:11:12Z", "2026-11-23T10:11:12", "2026-11-23T24:00:00-05:00", "2026-11-23T10:11:12.123456789012+14:00")
	case baseTime:
		return pick("10:11:12", "10:11:12.5Z")
	case baseGYear:
		return pick("2026", "2026Z")
	case baseGYearMonth:
		return pick("2026-11", "2026-11+01:00")
	case baseBase64Binary:
		return pick("AAAA", "AAA=", "AA==", "QUJDREVG")
	}
	low, high := max(0, int(f.minLength)), int(f.maxLength)
	if high < 0 || high > low+6 {
		if high > 0 && g.r.IntN(8) == 0 && high < 200 {
			low = high // exactly as long as may be
		} else {
			high = low + 6
		}
	}
	var b strings.Builder
	for range low + g.r.IntN(high-low+1) {
		b.WriteString(pick("a", "B", "7", " ", "é", "€", "&amp;", "𝄞"))
	}
	return b.String()
}

func (g *instance) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + g.r.IntN(10))
	}
	return string(b)
}

// numbers is how many of badTexts look like amounts.
const numbers = 31

// badTexts are what mutations put into leaves; some are valid in some places.
var badTexts = []string{
	"", " ", "x", "+5.00", ".5", "5.", "-0", "-0.00", " 5.00 ", "5.000000", "5.000001", "000000000000000000000005.00", "1000000000000000000", "-1",
	"1e3", "NaN", "INF", "５", "0.00", "5<!--c-->0", "<![CDATA[5.00]]>", "&#53;.00", "99999999999999.99", "123456789012345.678901", "1.2.3", ".", "+", "--1", "1,000",
	"2026-11-23T10:11:12", "2026-11-23T24:00:00", "2026-11-23T24:00:01", "2026-11-23T10:11:60Z", "2026-02-30T10:11:12Z", "2026-11-23t10:11:12z",
	"2026-11-23T10:11:12-00:00", "2026-11-23T10:11:12+14:00", "2026-11-23T10:11:12+14:01", "0000-11-23T10:11:12Z", "-2026-11-23T10:11:12Z", "12026-11-23T10:11:12Z",
	"02026-11-23T10:11:12Z", "2026-11-23T10:11:12.Z", "2026-11-23T10:11:12.123456789012Z", " 2026-11-23T10:11:12Z", "2026-11-23T10:11:12Z ", "2026-11-23T25:00:00Z", "2026-13-01T00:00:00Z",
	"2026-11-23", "2026-11-23Z", "2026-11-23+05:00", " 2026-11-23", "2025-02-29", "2024-02-29", "1900-02-29", "2000-02-29", "2026-1-1", "10:11:12", " 10:11:12", "10:11:12 ", "10:11:12Z ", "2026-11-23T10:11:12 Z", "2026-11-23T10:11:12 ", "24:00:00", "2026", " 2026 ", "2026-11", "2026-11 ",
	"true", "TRUE", " true ", "1", "0", "2", "AAA=", "AAA", "AAB=", "AA==", "A A A =", "AB==", "====", "A===", "AAAA=",
	"CLRG ", "clrg", "USD", "usd", " USD", "QQQ", "é", strings.Repeat("é", 35), strings.Repeat("é", 36), strings.Repeat("x", 35), strings.Repeat("x", 36), strings.Repeat("𝄞", 140), strings.Repeat("y", 141),
	"a\tb", "a\nb", "a\r\nb", "&#13;", "&#x20;", "8a562c67-ca16-48ba-b074-65581be6f001", "8A562C67-CA16-48BA-B074-65581BE6F001", "zz562c67-ca16-48ba-b074-65581be6f001x",
	"DE89370400440532013000", "xxDE89370400440532013000", "AAAADEFF", "AAAADEFFX", "+1-234", "+1234",
}

// mutate returns the document with one thing changed.
func mutate(r *rand.Rand, doc []byte) []byte {
	var t tree
	if f := t.scan(doc); f != nil {
		panic(f)
	}
	i := uint32(r.IntN(len(t.nodes)))
	n := &t.nodes[i]
	whole := string(doc[n.start:n.end])
	replace := func(from, to uint32, s string) []byte {
		return append(append(append([]byte(nil), doc[:from]...), s...), doc[to:]...)
	}
	leaf := func() *node {
		for k := r.IntN(len(t.nodes)); ; k = r.IntN(len(t.nodes)) {
			if t.isLeaf(uint32(k)) {
				return &t.nodes[k]
			}
		}
	}
	switch r.IntN(18) {
	case 12, 13: // an amount
		for k := range t.nodes {
			if m := &t.nodes[(int(i)+k)%len(t.nodes)]; m.attrs > 0 && m.skip == uint32((int(i)+k)%len(t.nodes))+1 {
				return replace(m.textAt, m.textEnd, badTexts[r.IntN(numbers)])
			}
		}
	case 0:
		if i > 0 {
			return replace(n.start, n.end, "")
		}
	case 1:
		if i > 0 {
			return replace(n.end, n.end, whole)
		}
	case 2: // rename
		names := []string{"Foo", "Id", "Cd", "Prtry", "Nm", "MsgId", "Othr", "Amt"}
		name := names[r.IntN(len(names))]
		if n.textEnd < n.end {
			return replace(n.start, n.end, strings.TrimSuffix("<"+name+string(doc[n.nameEnd:n.textEnd]), "")+"</"+name+">")
		}
	case 3: // swap with the next sibling
		if s := t.next(i); i > 0 && s < t.next(n.parent) {
			m := &t.nodes[s]
			return replace(n.start, m.end, string(doc[m.start:m.end])+string(doc[n.end:m.start])+whole)
		}
	case 4: // an attribute
		attrs := []string{` a="1"`, ` Ccy="EUR"`, ` Ccy="eur"`, ` xml:lang="en"`, ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"`,
			` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="false"`,
			` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Max35Text"`, ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="nothing"`}
		return replace(n.nameEnd, n.nameEnd, attrs[r.IntN(len(attrs))])
	case 5: // take an attribute away
		for k := range t.nodes {
			if m := &t.nodes[(int(i)+k)%len(t.nodes)]; m.attrs > 0 {
				a := t.attrs[m.attrAt]
				return replace(m.nameEnd, a.valueEnd+1, "")
			}
		}
	case 6: // a foreign namespace
		if i > 0 {
			return replace(n.nameEnd, n.nameEnd, ` xmlns="urn:evil"`)
		}
	case 7: // text between elements
		return replace(n.textAt, n.textAt, []string{"x", " ", "\n", "<![CDATA[ ]]>", "&#32;", "<!-- c -->"}[r.IntN(6)])
	case 8: // an element between elements
		return replace(n.textAt, n.textAt, []string{"<Foo></Foo>", "<Cd>ABCD</Cd>", "<Prtry>x</Prtry>", "<Id>1</Id>"}[r.IntN(4)])
	case 9: // a copy of another element
		m := &t.nodes[r.IntN(len(t.nodes))]
		if i > 0 && m.end-m.start < 2000 {
			return replace(n.end, n.end, string(doc[m.start:m.end]))
		}
	case 10: // an element emptied
		return replace(n.textAt, n.textEnd, "")
	case 11: // an attribute's value
		for k := range t.attrs {
			if a := t.attrs[(int(i)+k)%len(t.attrs)]; a.valueEnd > a.valueAt {
				return replace(a.valueAt, a.valueEnd, []string{"USDX", "US", "usd", " USD", "QQQ", "U&#83;D", ""}[r.IntN(7)])
			}
		}
	default:
		m := leaf()
		return replace(m.textAt, m.textEnd, badTexts[r.IntN(len(badTexts))])
	}
	m := leaf()
	return replace(m.textAt, m.textEnd, badTexts[r.IntN(len(badTexts))])
}
