package iso20022

import (
	"bytes"
	"iter"
	"strings"
)

// Tree is any document as the scanner read it, for whoever has no type for its message. It refers to the bytes it was read from, which
// must not change while it is in use. It is never changed itself, so that many goroutines may read it.
type Tree struct {
	tree
	types []uint16 // of the schema, by element, plus 1; nil in a tree of Parse
}

// Parse scans a document of any namespace. It validates nothing. The error is a *Fault.
func Parse(doc []byte) (*Tree, error) { return Limits{}.Parse(doc) }

// Parse is Parse with these limits.
func (l Limits) Parse(doc []byte) (*Tree, error) {
	t := new(Tree)
	if f := t.scanWithin(doc, l); f != nil {
		return nil, f
	}
	return t, nil
}

// Inspect is Parse that finds the schemas' types too: of each Document and AppHdr whose schema the package has, in a wrapper or
// alone, and of a message that stands without its Document, as on RTP. It validates nothing: an element the schema does not have
// where it stands has no type, nor has what it holds.
func Inspect(doc []byte) (*Tree, error) { return Limits{}.Inspect(doc) }

// Inspect is Inspect with these limits.
func (l Limits) Inspect(doc []byte) (*Tree, error) {
	t, err := l.Parse(doc)
	if err != nil {
		return nil, err
	}
	t.types = make([]uint16, len(t.nodes))
	for i := uint32(0); i < uint32(len(t.nodes)); {
		s := isoTables.schema(t.uri(i))
		if s == nil || !t.typeMessage(s, i) {
			i++
			continue
		}
		i = t.next(i)
	}
	return t, nil
}

// typeMessage notes the types of a message that begins with element i, and reports false if none does.
func (t *Tree) typeMessage(s *schemaDef, i uint32) bool {
	if s.root == string(t.name(i)) {
		t.typed(i, s.typ)
		return true
	}
	for _, e := range isoTables.types[s.typ].elems { // without its Document
		if e.name == string(t.name(i)) {
			t.typed(i, e.typ)
			return true
		}
	}
	return false
}

func (t *Tree) typed(i uint32, typ uint16) {
	t.types[i] = typ + 1
	def := &isoTables.types[typ]
	for c := i + 1; c < t.next(i); c = t.next(c) {
		if t.nodes[c].ns != t.nodes[i].ns {
			continue
		}
		for k := range def.elems {
			e := &def.elems[k]
			if e.name == "" {
				for _, a := range isoTables.types[e.typ].elems {
					if a.name == string(t.name(c)) {
						t.typed(c, a.typ)
					}
				}
			} else if e.name == string(t.name(c)) {
				t.typed(c, e.typ)
			}
		}
	}
}

// Root returns the root element.
func (t *Tree) Root() Element { return Element{t, 0} }

// Len returns the number of elements.
func (t *Tree) Len() int { return len(t.nodes) }

// Find returns the first element with that name in that namespace, in the order of the document.
func (t *Tree) Find(namespace, name string) (Element, bool) {
	for i := range t.nodes {
		if string(t.name(uint32(i))) == name && string(t.uri(uint32(i))) == namespace {
			return Element{t, uint32(i)}, true
		}
	}
	return Element{}, false
}

// Element is one element of a Tree. The zero Element is none, and may be asked nothing but IsZero.
type Element struct {
	t *Tree
	i uint32
}

// Attribute is one attribute, namespace declarations apart.
type Attribute struct{ Namespace, Name, Value string }

// IsZero reports whether e is no element.
func (e Element) IsZero() bool { return e.t == nil }

// Name returns the local name.
func (e Element) Name() string { return string(e.t.name(e.i)) }

// Namespace returns the name of the namespace, "" of none.
func (e Element) Namespace() string { return string(e.t.uri(e.i)) }

// Definition returns the message definition of the namespace, such as "pacs.008.001.08", and "" if it is none of ISO 20022.
func (e Element) Definition() string {
	d, ok := strings.CutPrefix(e.Namespace(), namespacePrefix)
	if !ok {
		return ""
	}
	return d
}

// Type returns the name of the schema's type, such as "Max35Text", in a tree of Inspect; "" where there is none.
func (e Element) Type() string {
	if e.t.types == nil || e.t.types[e.i] == 0 {
		return ""
	}
	return isoTables.types[e.t.types[e.i]-1].name
}

// Base returns the base type of XML Schema that the text of e has, such as "decimal" or "dateTime", in a tree of Inspect; "" where there
// is no type, or where e holds elements.
func (e Element) Base() string {
	if e.t.types == nil || e.t.types[e.i] == 0 {
		return ""
	}
	switch def := &isoTables.types[e.t.types[e.i]-1]; def.kind {
	case kindSimple, kindExtension:
		return baseNames[isoTables.facets[def.facets].base]
	}
	return ""
}

var baseNames = [...]string{
	baseString: "string", baseDecimal: "decimal", baseBoolean: "boolean", baseDate: "date", baseDateTime: "dateTime", baseTime: "time",
	baseGYear: "gYear", baseGYearMonth: "gYearMonth", baseBase64Binary: "base64Binary",
}

// Allows reports whether the schema's type of e has an element of that name, in a tree of Inspect; false where there is no type.
func (e Element) Allows(name string) bool {
	if e.t.types == nil || e.t.types[e.i] == 0 {
		return false
	}
	def := &isoTables.types[e.t.types[e.i]-1]
	for k := range def.elems {
		c := &def.elems[k]
		if c.name == name && def.kind != kindAny {
			return true
		}
		if c.name == "" {
			for _, a := range isoTables.types[c.typ].elems {
				if a.name == name {
					return true
				}
			}
		}
	}
	return false
}

// Attributes returns the attributes, in the order of the document.
func (e Element) Attributes() []Attribute {
	var list []Attribute
	for _, a := range e.t.attributes(e.i) {
		list = append(list, Attribute{string(e.t.uris[a.ns]), string(e.t.src[a.nameAt:a.nameEnd]), string(e.t.attrValue(&a))})
	}
	return list
}

// Attr returns the value of the attribute of that name without a namespace.
func (e Element) Attr(name string) (value string, ok bool) {
	for _, a := range e.t.attributes(e.i) {
		if a.ns == noNamespace && string(e.t.src[a.nameAt:a.nameEnd]) == name {
			return string(e.t.attrValue(&a)), true
		}
	}
	return "", false
}

// IsLeaf reports whether e holds no elements.
func (e Element) IsLeaf() bool { return e.t.isLeaf(e.i) }

// Text returns the characters that stand directly in e, with references resolved, CDATA opened and comments left out.
func (e Element) Text() string {
	if e.IsLeaf() {
		return string(e.t.text(e.i))
	}
	n := e.t.nodes[e.i]
	var b strings.Builder
	for at, c := n.textAt, e.i+1; ; c = e.t.next(c) {
		part := n
		part.textAt, part.textEnd = at, n.textEnd
		if c < n.skip {
			part.textEnd = e.t.nodes[c].start
		}
		b.Write((&tree{src: e.t.src, nodes: []node{part}}).text(0))
		if c >= n.skip {
			return b.String()
		}
		at = e.t.nodes[c].end
	}
}

// HasText reports whether anything but white space stands directly in e.
func (e Element) HasText() bool { return e.t.nodes[e.i].flags&hasText != 0 }

// IsPlain reports whether the text of e is its bytes: neither comment, CDATA, reference nor carriage return stands in it.
func (e Element) IsPlain() bool {
	return e.t.nodes[e.i].flags&(hasReference|hasCDATA|hasComment|hasLineEnd) == 0
}

// Children iterates over the elements directly inside e.
func (e Element) Children() iter.Seq[Element] {
	return func(yield func(Element) bool) {
		for c := e.i + 1; c < e.t.next(e.i); c = e.t.next(c) {
			if !yield(Element{e.t, c}) {
				return
			}
		}
	}
}

// Child goes down from e by names of its own namespace, and returns the first element found.
func (e Element) Child(names ...string) (Element, bool) {
next:
	for _, name := range names {
		ns := e.t.nodes[e.i].ns
		for c := range e.Children() {
			if e.t.nodes[c.i].ns == ns && string(e.t.name(c.i)) == name {
				e = c
				continue next
			}
		}
		return Element{}, false
	}
	return e, true
}

// Value returns the text of the element that Child finds, "" if there is none.
func (e Element) Value(names ...string) string {
	c, ok := e.Child(names...)
	if !ok {
		return ""
	}
	return c.Text()
}

// Parent returns the element that holds e, and false for the root.
func (e Element) Parent() (Element, bool) {
	p := e.t.nodes[e.i].parent
	return Element{e.t, p}, p != e.i
}

// Path returns the names from the root to e, such as "/Document/FIToFICstmrCdtTrf".
func (e Element) Path() string { return e.t.path(e.i) }

// Position returns line and column, in octets and both from 1, where e begins.
func (e Element) Position() (line, col int) {
	p := e.t.from.advance(e.t.src, int(e.t.nodes[e.i].start))
	return p.line, p.col
}

// Range returns where e stands in the document: from the octet of its < to behind its >.
func (e Element) Range() (start, end int) {
	n := &e.t.nodes[e.i]
	return int(n.start), int(n.end)
}

// Bytes returns e as it stands in the document, with its tags. Prefixes may be declared outside of it: see Part.
func (e Element) Bytes() []byte {
	n := &e.t.nodes[e.i]
	return e.t.src[n.start:n.end:n.end]
}

// Part returns e as a document of its own: Bytes, or a copy with the declarations added that e borrows from outside.
func (e Element) Part() []byte { return e.t.part(e.i) }

// Fault returns a fault at e.
func (e Element) Fault(rule, text string) *Fault {
	line, col := e.Position()
	return &Fault{Path: e.Path(), Rule: rule, Text: text, Line: line, Col: col}
}

// Equal reports whether two elements mean the same: names, namespaces, attributes in any order, and text; not prefixes, comments, or
// white space between elements.
func (e Element) Equal(f Element) bool {
	if e.Name() != f.Name() || e.Namespace() != f.Namespace() || e.IsLeaf() != f.IsLeaf() {
		return false
	}
	mine, other := e.t.attributes(e.i), f.t.attributes(f.i)
	if len(mine) != len(other) {
		return false
	}
next:
	for _, a := range mine {
		for _, b := range other {
			if bytes.Equal(e.t.uris[a.ns], f.t.uris[b.ns]) && bytes.Equal(e.t.src[a.nameAt:a.nameEnd], f.t.src[b.nameAt:b.nameEnd]) &&
				bytes.Equal(e.t.attrValue(&a), f.t.attrValue(&b)) {
				continue next
			}
		}
		return false
	}
	if e.IsLeaf() {
		return e.Text() == f.Text()
	}
	c, d := e.i+1, f.i+1
	for c < e.t.next(e.i) && d < f.t.next(f.i) {
		if !(Element{e.t, c}).Equal(Element{f.t, d}) {
			return false
		}
		c, d = e.t.next(c), f.t.next(d)
	}
	return c == e.t.next(e.i) && d == f.t.next(f.i) && (!e.HasText() && !f.HasText() || strings.TrimSpace(e.Text()) == strings.TrimSpace(f.Text()))
}
