package iso20022

import (
	"bytes"
	"sync"
)

// maxFaults bounds what ValidateAll reports.
const maxFaults = 100

// trees keeps scanned documents' memory for the next.
var trees = sync.Pool{New: func() any { return new(tree) }}

func getTree() *tree { return trees.Get().(*tree) }

func putTree(t *tree) {
	t.src = nil
	if cap(t.nodes) <= 4096 {
		clear(t.uris)
		trees.Put(t)
	}
}

// Validate checks a document, or an AppHdr element, against the ISO schema of its namespace, after the scanner. The error is a
// *Fault, the first found.
func Validate(doc []byte) error {
	t := getTree()
	defer putTree(t)
	if f := t.scan(doc); f != nil {
		return f
	}
	if f := isoTables.validate(t); f != nil {
		return f
	}
	return nil
}

// ValidateAll is Validate that goes on after a fault, up to 100 of them. Without a fault it returns nil.
func ValidateAll(doc []byte) []Fault {
	t := getTree()
	defer putTree(t)
	if f := t.scan(doc); f != nil {
		return []Fault{*f}
	}
	v := validator{tables: &isoTables, tree: t, all: true}
	v.document()
	return v.faults
}

// validate returns the first fault of a scanned document, nil if it is valid.
func (t *tables) validate(doc *tree) *Fault {
	v := validator{tables: t, tree: doc}
	v.document()
	if len(v.faults) > 0 {
		return &v.faults[0]
	}
	return nil
}

type validator struct {
	*tables
	tree   *tree
	schema *schemaDef
	ns     uint16 // the schema's namespace in tree.uris
	all    bool   // go on after a fault
	faults []Fault
}

// done reports whether enough faults have been found.
func (v *validator) done() bool {
	return len(v.faults) > 0 && (!v.all || len(v.faults) >= maxFaults)
}

func (v *validator) fail(i uint32, at uint32, suffix, rule, text string) {
	if v.done() {
		return
	}
	line, col := position(v.tree.src, int(at))
	v.faults = append(v.faults, Fault{Path: v.tree.path(i) + suffix, Rule: rule, Text: text, Line: line, Col: col})
}

func (v *validator) failAt(i uint32, rule, text string) {
	v.fail(i, v.tree.nodes[i].start, "", rule, text)
}

func (v *validator) document() {
	s := v.tables.schema(v.tree.uri(0))
	switch {
	case s == nil:
		v.failAt(0, "schema.unknown", "no schema for the namespace of the root element")
	case s.root != string(v.tree.name(0)):
		v.failAt(0, "schema.root", "the root element is not "+s.root)
	default:
		v.schema, v.ns = s, v.tree.nodes[0].ns
		v.element(0, s.typ)
	}
}

// element validates element i, whose name and place are right.
func (v *validator) element(i uint32, typ uint16) {
	t := &v.types[typ]
	v.attributes(i, t)
	if v.done() {
		return
	}
	switch t.kind {
	case kindSimple, kindExtension:
		if !v.tree.isLeaf(i) {
			v.failAt(i+1, "schema.element", "an element where only text may stand")
			return
		}
		if rule, text := v.facets[t.facets].checkText(v.tables, v.tree.text(i)); rule != "" {
			v.fail(i, v.tree.nodes[i].textAt, "", rule, text)
		}
		return
	}
	if v.tree.nodes[i].flags&hasText != 0 && (v.tree.nodes[i].flags&hasCDATA != 0 || !v.blank(i)) {
		v.failAt(i, "schema.text", "text where only elements may stand")
	}
	c, end := i+1, v.tree.next(i)
	switch t.kind {
	case kindSequence:
		c = v.sequence(i, c, end, t)
	case kindChoice:
		c = v.choice(i, c, end, t)
	case kindAny:
		c = v.any(i, c, end, t)
	}
	for ; c < end && !v.done(); c = v.tree.next(c) {
		v.unexpected(i, c, t)
	}
}

// blank reports whether the text of an element with references is white space after all.
func (v *validator) blank(i uint32) bool {
	t := v.tree
	if t.nodes[i].flags&hasReference == 0 {
		return false
	}
	at := t.nodes[i].textAt
	for c := i + 1; ; c = t.next(c) {
		end := t.nodes[i].textEnd
		if c < t.next(i) {
			end = t.nodes[c].start
		}
		part := tree{src: t.src, nodes: []node{{textAt: at, textEnd: end, flags: t.nodes[i].flags}}}
		if len(trimSpace(part.text(0))) > 0 {
			return false
		}
		if c >= t.next(i) {
			return true
		}
		at = t.nodes[c].end
	}
}

// matches reports whether element c is the element e of the schema.
func (v *validator) matches(c uint32, e *elemDef) bool {
	n := &v.tree.nodes[c]
	return n.ns == v.ns && e.name == string(v.tree.src[n.nameAt:n.nameEnd])
}

// sequence matches the elements from c on with the particles of t and returns the first that is left over.
func (v *validator) sequence(i, c, end uint32, t *typeDef) uint32 {
	for k := range t.elems {
		e := &t.elems[k]
		if e.name == "" {
			c = v.choice(i, c, end, &v.types[e.typ])
			if v.done() {
				return end
			}
			continue
		}
		n := uint16(0)
		for c < end {
			if v.matches(c, e) && (e.max == 0 || n < e.max) {
				v.element(c, e.typ)
				n++
			} else if !v.all || v.expectedFrom(c, t, k) {
				break
			} else {
				v.unexpected(i, c, t)
			}
			if v.done() {
				return end
			}
			c = v.tree.next(c)
		}
		if n < e.min {
			v.missing(i, c, end, t, k, e.name)
			if v.done() {
				return end
			}
		}
	}
	return c
}

// expectedFrom reports whether element c may stand at particle k of t or later: then it is not itself the fault.
func (v *validator) expectedFrom(c uint32, t *typeDef, k int) bool {
	for ; k < len(t.elems); k++ {
		e := &t.elems[k]
		if e.name != "" && v.matches(c, e) || e.name == "" && v.alternative(c, &v.types[e.typ]) != nil {
			return true
		}
	}
	return false
}

// alternative returns the alternative of a choice that element c is.
func (v *validator) alternative(c uint32, t *typeDef) *elemDef {
	for k := range t.elems {
		if v.matches(c, &t.elems[k]) {
			return &t.elems[k]
		}
	}
	return nil
}

// choice matches exactly one alternative, as often as it may stand.
func (v *validator) choice(i, c, end uint32, t *typeDef) uint32 {
	var e *elemDef
	for c < end {
		if e = v.alternative(c, t); e != nil || !v.all {
			break
		}
		v.unexpected(i, c, t)
		if v.done() {
			return end
		}
		c = v.tree.next(c)
	}
	if e == nil {
		for k := range t.elems {
			if t.elems[k].min == 0 {
				return c
			}
		}
		v.missing(i, c, end, t, 0, "")
		return c
	}
	for n := uint16(0); c < end && v.matches(c, e) && (e.max == 0 || n < e.max); n++ {
		v.element(c, e.typ)
		if v.done() {
			return end
		}
		c = v.tree.next(c)
	}
	return c
}

// missing reports that the element name at particle k of t, or any alternative of a choice, is not there. An element that cannot
// stand from there on is the better explanation.
func (v *validator) missing(i, c, end uint32, t *typeDef, k int, name string) {
	if c < end && !v.all && !v.expectedFrom(c, t, k) {
		v.unexpected(i, c, t)
		return
	}
	at := v.tree.nodes[i].textEnd
	if c < end {
		at = v.tree.nodes[c].start
	}
	if name == "" {
		v.fail(i, at, "", "schema.choice", "none of the alternatives stands here")
		return
	}
	v.fail(i, at, "", "schema.missing", name+" is missing here")
}

// unexpected reports an element that cannot stand where it does, and says why.
func (v *validator) unexpected(i, c uint32, t *typeDef) {
	if t.kind == kindAny {
		v.failAt(c, "schema.repeated", "more than one element")
		return
	}
	known := false
	for k := range t.elems {
		e := &t.elems[k]
		if e.name == string(v.tree.name(c)) {
			known = true
			if !v.matches(c, e) {
				v.failAt(c, "schema.namespace", "the element belongs to a foreign namespace")
				return
			}
		}
	}
	before := false // whether one of that name stands earlier
	for p := i + 1; p < c; p = v.tree.next(p) {
		before = before || v.tree.nodes[p].ns == v.ns && bytes.Equal(v.tree.name(p), v.tree.name(c))
	}
	switch {
	case v.tree.nodes[c].ns != v.ns:
		v.failAt(c, "schema.namespace", "the element belongs to a foreign namespace")
	case before:
		v.failAt(c, "schema.repeated", "the element stands more often than it may")
	case known && t.kind == kindChoice:
		v.failAt(c, "schema.choice", "a second alternative of a choice")
	case known:
		v.failAt(c, "schema.order", "the element is not in its place")
	default:
		v.failAt(c, "schema.element", "the schema has no such element here")
	}
}

// attributes checks the attributes of element i: Ccy where the type has it, and what XML Schema itself allows anywhere.
func (v *validator) attributes(i uint32, t *typeDef) {
	ccy := false
	for k := range v.tree.attributes(i) {
		a := &v.tree.attributes(i)[k]
		name := string(v.tree.src[a.nameAt:a.nameEnd])
		suffix := "/@" + string(printableName([]byte(name)))
		switch {
		case a.ns == noNamespace && name == "Ccy" && t.kind == kindExtension:
			ccy = true
			if rule, text := v.facets[t.ccy].checkText(v.tables, v.tree.attrValue(a)); rule != "" {
				v.fail(i, a.nameAt, suffix, rule, text)
			}
		case string(v.tree.uris[a.ns]) == xsiNamespace && (name == "schemaLocation" || name == "noNamespaceSchemaLocation"):
		case string(v.tree.uris[a.ns]) == xsiNamespace && name == "type":
			if !v.isType(i, a, t) {
				v.fail(i, a.nameAt, suffix, "schema.type", "xsi:type is not the type of the element")
			}
		case string(v.tree.uris[a.ns]) == xsiNamespace && name == "nil":
			v.fail(i, a.nameAt, suffix, "schema.nil", "the element cannot be nil")
		default:
			v.fail(i, a.nameAt, suffix, "schema.attribute", "the schema has no such attribute here")
		}
	}
	if t.kind == kindExtension && !ccy {
		v.fail(i, v.tree.nodes[i].start, "/@Ccy", "schema.missing", "the attribute is missing")
	}
}

// isType reports whether the attribute xsi:type names the type that the element has anyway.
func (v *validator) isType(i uint32, a *attr, t *typeDef) bool {
	prefix, name, ok := bytes.Cut(trimSpace(v.tree.attrValue(a)), []byte(":"))
	if !ok {
		prefix, name = nil, prefix
	}
	return string(name) == t.name && string(v.tree.uriOf(i, prefix)) == v.schema.namespace
}

// uriOf returns the namespace of a prefix at element i.
func (t *tree) uriOf(i uint32, prefix []byte) []byte {
	for {
		for k := len(t.bindings) - 1; k > 1; k-- {
			if b := &t.bindings[k]; b.node == i && bytes.Equal(t.src[b.prefixAt:b.prefixEnd], prefix) {
				return t.uris[b.ns]
			}
		}
		if t.nodes[i].parent == i {
			return nil
		}
		i = t.nodes[i].parent
	}
}

// any matches one element of any kind. Unless the schema says skip, what it knows is validated (processContents lax): that is the
// root element of the message itself, at any depth.
func (v *validator) any(i, c, end uint32, t *typeDef) uint32 {
	if c >= end {
		v.missing(i, c, end, t, 0, "an element")
		return c
	}
	if t.namespace != "##any" && t.namespace != string(v.tree.uri(c)) {
		v.failAt(c, "schema.namespace", "the element belongs to a foreign namespace")
		return end
	}
	if !t.skip {
		v.lax(c)
	}
	return v.tree.next(c)
}

func (v *validator) lax(c uint32) {
	if v.tree.nodes[c].ns == v.ns && string(v.tree.name(c)) == v.schema.root {
		v.element(c, v.schema.typ)
		return
	}
	for _, a := range v.tree.attributes(c) {
		if string(v.tree.uris[a.ns]) == xsiNamespace && string(v.tree.src[a.nameAt:a.nameEnd]) == "type" {
			v.failAt(c, "schema.type", "xsi:type in foreign content")
		}
	}
	for d := c + 1; d < v.tree.next(c) && !v.done(); d = v.tree.next(d) {
		v.lax(d)
	}
}
