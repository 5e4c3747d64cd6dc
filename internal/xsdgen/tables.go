package xsdgen

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"go/format"
	"slices"
	"sort"
	"strings"
)

// Tables are the definitions of several schemas, each distinct one once, with indexes in place of names.
type Tables struct {
	Schemas  []TableSchema
	Types    []TableType
	Facets   []Facets
	Patterns []Pattern // index 0 is none
}

// TableSchema is one schema.
type TableSchema struct {
	Namespace, Root string
	Type            int
}

// TableType is one type.
type TableType struct {
	Name      string
	Kind      Kind
	Facets    int // of Simple, and of Extension's text
	Ccy       int // facets of Extension's attribute
	Elements  []TableElement
	Namespace string
	Skip      bool
}

// TableElement is an element of a sequence or choice; without a name it stands for the choice of that type.
type TableElement struct {
	Name     string
	Type     int
	Min, Max int
}

// Pattern returns the index in t.Patterns of a type's pattern.
func (t *Tables) Pattern(text string) int {
	for i := range t.Patterns {
		if t.Patterns[i].Text == text {
			return i
		}
	}
	return 0
}

// Build makes tables of the schemas, ordered by namespace. No two may have the same.
func Build(schemas []*Schema) (*Tables, error) {
	schemas = slices.Clone(schemas)
	slices.SortFunc(schemas, func(a, b *Schema) int { return strings.Compare(a.Namespace, b.Namespace) })
	for i := 1; i < len(schemas); i++ {
		if schemas[i].Namespace == schemas[i-1].Namespace {
			return nil, fmt.Errorf("xsdgen: two schemas of namespace %s", schemas[i].Namespace)
		}
	}
	b := builder{tables: &Tables{Patterns: []Pattern{{}}}, types: map[[32]byte]int{}, facets: map[string]int{}}
	for _, s := range schemas {
		names := make([]string, 0, len(s.Types))
		for name := range s.Types {
			names = append(names, name)
		}
		sort.Strings(names)
		b.schema, b.known = s, map[string]hashed{}
		for _, name := range names {
			if _, err := b.add(name, 0); err != nil {
				return nil, err
			}
		}
		root, err := b.add(s.RootType, 0)
		if err != nil {
			return nil, err
		}
		b.tables.Schemas = append(b.tables.Schemas, TableSchema{Namespace: s.Namespace, Root: s.Root, Type: root.index})
	}
	return b.tables, nil
}

// maxParticles is what the validator can count of one type.
const maxParticles = 64

type hashed struct {
	index int
	hash  [32]byte // of the definition with all it refers to
}

type builder struct {
	tables *Tables
	types  map[[32]byte]int
	facets map[string]int
	schema *Schema
	known  map[string]hashed // types of the schema being added
}

func (b *builder) add(name string, depth int) (hashed, error) {
	if h, ok := b.known[name]; ok {
		return h, nil
	}
	if depth > 32 {
		return hashed{}, fmt.Errorf("xsdgen: %s: types refer to themselves", b.schema.Namespace)
	}
	t := b.schema.Types[name]
	out := TableType{Name: t.Name, Kind: t.Kind, Namespace: t.Namespace, Skip: t.Skip}
	var err error
	switch t.Kind {
	case Simple:
		out.Facets, err = b.addFacets(t.Facets)
	case Extension:
		if out.Facets, err = b.addFacets(b.schema.Types[t.Base].Facets); err == nil {
			out.Ccy, err = b.addFacets(b.schema.Types[t.Ccy].Facets)
		}
	}
	if err != nil {
		return hashed{}, err
	}
	if len(t.Elements) > maxParticles {
		return hashed{}, fmt.Errorf("xsdgen: %s has more than %d elements", name, maxParticles)
	}
	sum := sha256.New()
	if out.Elements, err = b.elements(t.Elements, depth, func(h [32]byte) { sum.Write(h[:]) }); err != nil {
		return hashed{}, err
	}
	h := b.intern(out, sum.Sum(nil))
	b.known[name] = h
	return h, nil
}

func (b *builder) elements(list []Element, depth int, sum func([32]byte)) ([]TableElement, error) {
	var out []TableElement
	for _, e := range list {
		var h hashed
		var err error
		if e.Alternatives == nil {
			h, err = b.add(e.Type, depth+1)
		} else {
			choice := TableType{Kind: Choice}
			inner := sha256.New()
			choice.Elements, err = b.elements(e.Alternatives, depth+1, func(h [32]byte) { inner.Write(h[:]) })
			h = b.intern(choice, inner.Sum(nil))
		}
		if err != nil {
			return nil, err
		}
		sum(h.hash)
		out = append(out, TableElement{Name: e.Name, Type: h.index, Min: e.Min, Max: e.Max})
	}
	return out, nil
}

// intern returns the index of a type that is the same in all it refers to, or appends it.
func (b *builder) intern(t TableType, inner []byte) hashed {
	h := hashed{hash: sha256.Sum256([]byte(fmt.Sprintf("%+v %x", t, inner)))}
	var ok bool
	if h.index, ok = b.types[h.hash]; !ok {
		h.index = len(b.tables.Types)
		b.types[h.hash] = h.index
		b.tables.Types = append(b.tables.Types, t)
	}
	return h
}

func (b *builder) addFacets(f Facets) (int, error) {
	if f.Pattern != "" && b.tables.Pattern(f.Pattern) == 0 {
		p, err := ParsePattern(f.Pattern)
		if err != nil {
			return 0, err
		}
		b.tables.Patterns = append(b.tables.Patterns, *p)
	}
	key := fmt.Sprintf("%#v", f)
	i, ok := b.facets[key]
	if !ok {
		i = len(b.tables.Facets)
		b.facets[key] = i
		b.tables.Facets = append(b.tables.Facets, f)
	}
	return i, nil
}

var kindNames = [...]string{"kindSimple", "kindExtension", "kindSequence", "kindChoice", "kindAny"}

// Go writes the tables as the Go source of variable isoTables in package iso20022. All of it is constant data, which costs nothing
// when a program starts.
func (t *Tables) Go() ([]byte, error) {
	var b bytes.Buffer
	p := func(f string, args ...any) { fmt.Fprintf(&b, f, args...) }
	p("// Code generated by internal/xsdgen from the ISO 20022 schemas; DO NOT EDIT.\n\npackage iso20022\n\n")
	p("// isoTables hold %d schemas: %d types and %d patterns, each once however many schemas have it.\n", len(t.Schemas), len(t.Types), len(t.Patterns)-1)
	p("var isoTables = tables{\nschemas: []schemaDef{\n")
	for _, s := range t.Schemas {
		p("{%q, %q, %d},\n", s.Namespace, s.Root, s.Type)
	}
	p("},\npatterns: []patternDef{\n")
	for _, pattern := range t.Patterns {
		p("{%q, [][]atomDef{\n", pattern.Text)
		for _, row := range pattern.Alternatives {
			p("{")
			for i, a := range row {
				if i > 0 {
					p(", ")
				}
				p("{[2]uint64{%#x, %#x}, %t, %d, %d}", a.Set[0], a.Set[1], a.Other, a.Min, a.Max)
			}
			p("},\n")
		}
		p("}},\n")
	}
	p("},\nfacets: []facetDef{\n")
	for i, f := range t.Facets {
		p("%d: {base: base%s, minLength: %d, maxLength: %d, totalDigits: %d, fractionDigits: %d", i, upperFirst(f.Base), f.MinLength, f.MaxLength, f.TotalDigits, f.FractionDigits)
		if f.NotNegative {
			p(", notNegative: true")
		}
		if f.Pattern != "" {
			p(", pattern: %d", t.Pattern(f.Pattern))
		}
		if f.Enumeration != nil {
			p(", enumeration: %#v", f.Enumeration)
		}
		p("},\n")
	}
	p("},\ntypes: []typeDef{\n")
	for i, ty := range t.Types {
		p("%d: {name: %q, kind: %s", i, ty.Name, kindNames[ty.Kind])
		switch ty.Kind {
		case Simple:
			p(", facets: %d},\n", ty.Facets)
		case Extension:
			p(", facets: %d, ccy: %d},\n", ty.Facets, ty.Ccy)
		case Any:
			p(", namespace: %q, skip: %t},\n", ty.Namespace, ty.Skip)
		default:
			p(", elems: []elemDef{\n")
			width := 0
			for _, e := range ty.Elements {
				element := fmt.Sprintf("{%q, %d, %d, %d},", e.Name, e.Type, e.Min, e.Max)
				if width += len(element) + 1; width > 120 {
					p("\n")
					width = len(element)
				}
				p("%s ", element)
			}
			p("\n}},\n")
		}
	}
	p("},\n}\n")
	return format.Source(b.Bytes())
}

func upperFirst(s string) string { return string(s[0]-'a'+'A') + s[1:] }
