package iso20022

import "unicode/utf8"

//go:generate go run ../../internal/xsdgen/gen

// tables are schemas compiled to data: every distinct definition once, referring to others by index. Package internal/xsdgen
// writes them.
type tables struct {
	schemas  []schemaDef  // ordered by namespace
	patterns []patternDef // index 0 is none
	facets   []facetDef
	types    []typeDef
}

type schemaDef struct {
	namespace, root string
	typ             uint16
}

type kind uint8

const (
	kindSimple    kind = iota // text
	kindExtension             // text and the required attribute Ccy
	kindSequence              // elements in order
	kindChoice                // one of the elements
	kindAny                   // one element of any kind, or of one namespace
)

type typeDef struct {
	name      string
	kind      kind
	skip      bool   // any: not validated even where the schema is known
	facets    uint16 // of the text
	ccy       uint16 // facets of the attribute
	namespace string // any: "##any" or the one namespace
	elems     []elemDef
}

// elemDef is an element of a sequence or choice; without a name it stands for a choice inside a sequence.
type elemDef struct {
	name     string
	typ      uint16
	min, max uint16 // max 0 is unbounded
}

type base uint8

const (
	baseString base = iota
	baseDecimal
	baseBoolean
	baseDate
	baseDateTime
	baseTime
	baseGYear
	baseGYearMonth
	baseBase64Binary
)

// facetDef restricts a base type; -1 is no restriction.
type facetDef struct {
	base                        base
	minLength, maxLength        int32 // characters, or octets of base64Binary
	totalDigits, fractionDigits int8
	notNegative                 bool
	pattern                     uint16
	enumeration                 []string
}

// patternDef is an XSD pattern as alternatives, each a row of character sets with counts.
type patternDef struct {
	text string // as the schema has it
	rows [][]atomDef
}

type atomDef struct {
	set      [2]uint64 // of ASCII
	other    bool      // whether it takes characters beyond ASCII
	min, max uint16    // max 0 is unbounded
}

// match reports whether p matches the whole of s. The ISO patterns have at most two atoms of variable length, so that going back
// costs little.
func (p *patternDef) match(s []byte) bool {
	for _, row := range p.rows {
		if matchRow(row, s) {
			return true
		}
	}
	return false
}

func matchRow(row []atomDef, s []byte) bool {
	if len(row) == 0 {
		return len(s) == 0
	}
	a := &row[0]
	n, at := 0, 0
	for at < len(s) && (a.max == 0 || n < int(a.max)) && a.has(s[at]) {
		n++
		at++
		for at < len(s) && !utf8.RuneStart(s[at]) {
			at++
		}
	}
	for ; n >= int(a.min); n-- {
		if matchRow(row[1:], s[at:]) {
			return true
		}
		if n == 0 {
			break
		}
		for at--; !utf8.RuneStart(s[at]); at-- {
		}
	}
	return false
}

// has reports whether the set has the character that begins with byte c.
func (a *atomDef) has(c byte) bool {
	if c >= utf8.RuneSelf {
		return a.other
	}
	return a.set[c/64]>>(c%64)&1 != 0
}

// schema returns the definition of a namespace, nil if the tables have none.
func (t *tables) schema(namespace []byte) *schemaDef {
	low, high := 0, len(t.schemas)
	for low < high {
		mid := (low + high) / 2
		switch s := &t.schemas[mid]; {
		case s.namespace == string(namespace):
			return s
		case s.namespace < string(namespace):
			low = mid + 1
		default:
			high = mid
		}
	}
	return nil
}
