package iso20022

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
)

// instance writes random documents that are valid by the tables.
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
