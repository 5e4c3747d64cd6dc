package iso20022

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
)

// trees keeps scanned documents' memory for the next.
var trees = sync.Pool{New: func() any { return new(tree) }}

func getTree() *tree { return trees.Get().(*tree) }

func putTree(t *tree) {
	t.src = nil
	if cap(t.nodes) <= 4096 {
		trees.Put(t)
	}
}

// Validate checks a document, or an AppHdr element, against the ISO schema of its namespace, after the scanner. The error is a
// *Fault, the first found.
func Validate(doc []byte) error { return Limits{}.Validate(doc) }

// ValidateAll is Validate that goes on after a fault of the schema, up to Limits.Faults of them. Without a fault it returns nil.
func ValidateAll(doc []byte) []Fault { return Limits{}.ValidateAll(doc) }

// Validate is Validate with these limits.
func (l Limits) Validate(doc []byte) error {
	t := getTree()
	defer putTree(t)
	if f := t.scanWithin(doc, l); f != nil {
		return f
	}
	if f := isoTables.validate(t); f != nil {
		return f
	}
	return nil
}

// ValidateAll is ValidateAll with these limits.
func (l Limits) ValidateAll(doc []byte) []Fault {
	t := getTree()
	defer putTree(t)
	if f := t.scanWithin(doc, l); f != nil {
		return []Fault{*f}
	}
	v := validator{tables: &isoTables, tree: t, most: l.withDefaults().Faults}
	v.document()
	return inOrder(v.faults)
}

// inOrder sorts faults by where they are.
func inOrder(faults []Fault) []Fault {
	slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col)) })
	return faults
}

// validate returns the first fault of a scanned document, nil if it is valid.
func (t *tables) validate(doc *tree) *Fault {
	v := validator{tables: t, tree: doc, most: 1}
	v.document()
	if len(v.faults) > 0 {
		return &v.faults[0]
	}
	return nil
}

type validator struct {
	*tables
	tree    *tree
	schema  *schemaDef
	ns      uint16 // the schema's namespace in tree.uris
	most    int    // how many faults to report; with 1 the validator stops at the first
	wrapped bool   // messages may stand in a wrapper of another namespace
	faults  []Fault
	found   []*schemaDef      // if wrapped: of the messages found
	named   map[string]uint16 // types of the schema by name, once an xsi:type has asked for one

	undeclared uint32 // the element that such a type was found for last
}

// done reports whether enough faults have been found.
func (v *validator) done() bool { return len(v.faults) >= v.most }

// all reports whether the validator goes on after a fault.
func (v *validator) all() bool { return v.most > 1 }

func (v *validator) fail(i uint32, at uint32, suffix, rule, text string) {
	if v.done() {
		return
	}
	line, col := v.tree.position(int(at))
	v.faults = append(v.faults, Fault{Path: v.tree.path(i) + suffix, Rule: rule, Text: text, Line: line, Col: col})
}

func (v *validator) failAt(i uint32, rule, text string) {
	v.fail(i, v.tree.nodes[i].start, "", rule, text)
}

func (v *validator) document() {
	root := frame{mode: modeRoot}
	v.element(&root, 0, 0)
	v.leave(&root, 0)
}

// frame is how far an element has been validated: what it is, and how far its children have been matched with its type.
type frame struct {
	def  *typeDef
	k    int      // particle in hand; a choice has one
	n    uint32   // how often it was met
	mode mode     //
	of   *elemDef // the element that the particle in hand is, if it was met
	last *elemDef // the element met last
	seen uint64   // particles met, by index; no type has more than 64

	builtIn func([]byte) bool // of modeBuiltIn
}

// mode is how an element's children are looked at.
type mode uint8

const (
	modeSkipped  mode = iota // not at all: it was refused, or the schema says skip
	modeValue                // there are none: only text
	modeElements             // they are matched with the type
	modeAny                  // one element of any kind
	modeLax                  // inside such: the schema's root element is validated wherever it stands
	modeBuiltIn              // there are none: only text, of a type of XML Schema itself
	modeWrapper              // the element belongs to no schema, messages may stand in it
	modeRoot                 // the document itself
)

// element validates c, the next child of i, with all it holds.
func (v *validator) element(parent *frame, i, c uint32) {
	var f frame
	v.enter(&f, parent, i, c)
	if f.mode == modeSkipped {
		return
	}
	end := v.tree.next(c)
	for d := c + 1; d < end && !v.done(); d = v.tree.next(d) {
		v.element(&f, c, d)
	}
	v.leave(&f, c)
}

// enter begins with c, the next child of i: whether it may stand there, as what, and with these attributes.
func (v *validator) enter(f, parent *frame, i, c uint32) {
	switch parent.mode {
	case modeElements:
		if e := v.place(parent, i, c); e != nil {
			v.typed(f, c, e.typ)
		}
	case modeValue, modeBuiltIn:
		v.failAt(c, "schema.element", "an element where only text may stand")
		parent.mode = modeSkipped
	case modeAny:
		parent.n++
		switch {
		case parent.n > 1:
			v.failAt(c, "schema.repeated", "more than one element")
		case parent.def.namespace != "##any" && parent.def.namespace != string(v.tree.uri(c)):
			v.failAt(c, "schema.namespace", "the element belongs to a foreign namespace")
		case !parent.def.skip:
			v.lax(f, c)
		}
	case modeLax:
		v.lax(f, c)
	case modeRoot, modeWrapper:
		v.message(f, parent, i, c)
	}
}

// leave ends element i, whose children have all been seen.
func (v *validator) leave(f *frame, i uint32) {
	if v.done() {
		return
	}
	switch f.mode {
	case modeBuiltIn:
		if !f.builtIn(v.tree.text(i)) {
			v.fail(i, v.tree.nodes[i].textAt, "", "schema.type", "not a value of the type that xsi:type names")
		}
	case modeValue:
		if rule, text := v.facets[f.def.facets].checkText(v.tables, v.tree.text(i)); rule != "" {
			v.fail(i, v.tree.nodes[i].textAt, "", rule, text)
		}
	case modeElements, modeAny:
		if v.tree.nodes[i].flags&hasText != 0 {
			v.failAt(i, "schema.text", "text where only elements may stand")
		}
		v.finish(f, i)
	case modeRoot:
		if v.wrapped && len(v.found) == 0 && len(v.faults) == 0 {
			v.failAt(0, "schema.unknown", "no schema for the namespace of the root element, and no message in it")
		}
	}
}

// typed begins with element i of that type.
func (v *validator) typed(f *frame, i uint32, typ uint16) {
	t := &v.types[typ]
	f.def = t
	switch t.kind {
	case kindSimple, kindExtension:
		f.mode = modeValue
	case kindAny:
		f.mode = modeAny
	default:
		f.mode = modeElements
	}
	if v.tree.nodes[i].attrs > 0 || t.kind == kindExtension {
		v.attributes(i, t)
	}
}

// message begins with an element that no type has placed: the root of the document, or something in a wrapper. A message is its schema's
// root element, or the element of the wrapper that stands for it: then that holds what the root element would.
func (v *validator) message(f, parent *frame, i, c uint32) {
	s := v.tables.schema(v.tree.uri(c))
	parent.n++
	switch {
	case s != nil && s.root == string(v.tree.name(c)):
		v.begin(s, c)
		v.typed(f, c, s.typ)
	case s != nil && parent.mode == modeWrapper && parent.n == 1:
		v.begin(s, c)
		*parent = frame{mode: modeElements, def: &v.types[s.typ]}
		v.enter(f, parent, i, c)
	case s != nil:
		v.failAt(c, "schema.root", "the root element is not "+s.root)
	case !v.wrapped:
		v.failAt(c, "schema.unknown", "no schema for the namespace of the root element")
	case bytes.HasPrefix(v.tree.uri(c), []byte(namespacePrefix)):
		v.failAt(c, "schema.unknown", "no schema for the namespace of this message")
	default:
		f.mode = modeWrapper
	}
}

// begin notes the schema of the message that element i belongs to.
func (v *validator) begin(s *schemaDef, i uint32) {
	v.schema, v.ns = s, v.tree.nodes[i].ns
	if v.wrapped {
		v.found = append(v.found, s)
	}
}

// lax begins with an element inside xsd:any with processContents lax: what the schema declares for all to use is validated, which is the
// root element of the message itself, and what says its type by xsi:type.
func (v *validator) lax(f *frame, i uint32) {
	if v.tree.nodes[i].ns == v.ns && string(v.tree.name(i)) == v.schema.root {
		v.typed(f, i, v.schema.typ)
		return
	}
	f.mode = modeLax
	list := v.tree.attributes(i)
	for k := range list {
		if a := &list[k]; string(v.tree.uris[a.ns]) == xsiNamespace && string(v.tree.src[a.nameAt:a.nameEnd]) == "type" {
			v.typedBy(f, i, a)
		}
	}
}

// place finds which element of the type the next child is, and reports what is missing before it. If it may not stand there it reports
// that, and returns nil.
func (v *validator) place(p *frame, i, c uint32) *elemDef {
	if v.all() && !v.expectedFrom(c, p) {
		v.unexpected(p, c)
		return nil
	}
	t := p.def
	if t.kind == kindSequence && v.tree.nodes[c].ns == v.ns {
		if e := p.quickly(v.tree.name(c)); e != nil {
			return e
		}
	}
	for p.k < t.particles() {
		if p.of != nil {
			if v.matches(c, p.of) && (p.of.max == 0 || p.n < uint32(p.of.max)) {
				p.n++
				return p.of
			}
			p.next()
			continue
		}
		e := v.matching(c, t, p.k)
		if e != nil {
			p.of, p.last, p.n = e, e, 1
			p.seen |= 1 << p.k
			return e
		}
		if !v.mayLack(t, p.k) {
			// An element that cannot stand from here on is the better explanation.
			if !v.all() && !v.expectedFrom(c, p) {
				break
			}
			v.missing(p, i, v.tree.nodes[c].start)
			if v.done() {
				return nil
			}
		}
		p.next()
	}
	v.unexpected(p, c)
	return nil
}

// quickly is place where nothing is wrong and there is no choice: it goes on to the particle of that name, as far as nothing that is
// demanded lies between, or returns nil.
func (p *frame) quickly(name []byte) *elemDef {
	if e := p.of; e != nil {
		if e.name == string(name) {
			return nil // once more, if it may
		}
		p.next()
	}
	for p.k < len(p.def.elems) {
		e := &p.def.elems[p.k]
		switch {
		case e.name == string(name):
			p.of, p.last, p.n = e, e, 1
			p.seen |= 1 << p.k
			return e
		case e.name == "" || e.min > 0:
			return nil
		}
		p.next()
	}
	return nil
}

func (p *frame) next() { p.k, p.n, p.of = p.k+1, 0, nil }

// particles returns how many elements, or choices, follow each other in the type.
func (t *typeDef) particles() int {
	if t.kind == kindSequence {
		return len(t.elems)
	}
	return 1
}

// alternatives returns the choice at particle k of the type, nil if it is one element.
func (t *tables) alternatives(def *typeDef, k int) *typeDef {
	switch {
	case def.kind == kindChoice:
		return def
	case def.elems[k].name == "":
		return &t.types[def.elems[k].typ]
	}
	return nil
}

// matching returns the element at particle k that c is, nil if it is none.
func (v *validator) matching(c uint32, t *typeDef, k int) *elemDef {
	choice := v.alternatives(t, k)
	if choice == nil {
		if v.matches(c, &t.elems[k]) {
			return &t.elems[k]
		}
		return nil
	}
	for a := range choice.elems {
		if v.matches(c, &choice.elems[a]) {
			return &choice.elems[a]
		}
	}
	return nil
}

// matches reports whether element c is the element e of the schema.
func (v *validator) matches(c uint32, e *elemDef) bool {
	n := &v.tree.nodes[c]
	return n.ns == v.ns && e.name == string(v.tree.src[n.nameAt:n.nameEnd])
}

// mayLack reports whether particle k may be absent.
func (v *validator) mayLack(t *typeDef, k int) bool {
	choice := v.alternatives(t, k)
	if choice == nil {
		return t.elems[k].min == 0
	}
	for a := range choice.elems {
		if choice.elems[a].min == 0 {
			return true
		}
	}
	return false
}

// expectedFrom reports whether element c may stand at the particle in hand or later: then it is not itself the fault.
func (v *validator) expectedFrom(c uint32, p *frame) bool {
	k := p.k
	if p.of != nil {
		if v.matches(c, p.of) && (p.of.max == 0 || p.n < uint32(p.of.max)) {
			return true
		}
		k++
	}
	for ; k < p.def.particles(); k++ {
		if v.matching(c, p.def, k) != nil {
			return true
		}
	}
	return false
}

// finish reports what is missing at the end of element i.
func (v *validator) finish(p *frame, i uint32) {
	if p.of != nil {
		p.next()
	}
	if p.def.kind == kindSequence {
		for p.k < len(p.def.elems) && p.def.elems[p.k].min == 0 && p.def.elems[p.k].name != "" {
			p.k++
		}
	}
	for ; p.k < p.def.particles() && !v.done(); p.next() {
		if p.def.kind == kindAny && p.n == 0 || p.def.kind != kindAny && !v.mayLack(p.def, p.k) {
			v.missing(p, i, v.tree.nodes[i].textEnd)
		}
	}
}

// missing reports that the particle in hand is not there.
func (v *validator) missing(p *frame, i, at uint32) {
	switch {
	case p.def.kind == kindAny:
		v.fail(i, at, "", "schema.missing", "an element is missing here")
	case v.alternatives(p.def, p.k) != nil:
		v.fail(i, at, "", "schema.choice", "none of the alternatives stands here")
	default:
		v.fail(i, at, "", "schema.missing", p.def.elems[p.k].name+" is missing here")
	}
}

// unexpected reports an element that cannot stand where it does, and says why.
func (v *validator) unexpected(p *frame, c uint32) {
	if v.tree.nodes[c].ns != v.ns {
		v.failAt(c, "schema.namespace", "the element belongs to a foreign namespace")
		return
	}
	for k := range p.def.particles() {
		e := v.matching(c, p.def, k)
		switch {
		case e == nil:
		case p.seen>>k&1 == 0:
			v.failAt(c, "schema.order", "the element is not in its place")
			return
		case v.alternatives(p.def, k) != nil && p.last != e:
			v.failAt(c, "schema.choice", "a second alternative of a choice")
			return
		default:
			v.failAt(c, "schema.repeated", "the element stands more often than it may")
			return
		}
	}
	v.failAt(c, "schema.element", "the schema has no such element here")
}

// attributes checks the attributes of element i: Ccy where the type has it, and what XML Schema itself allows anywhere.
func (v *validator) attributes(i uint32, t *typeDef) {
	ccy := false
	for k := range v.tree.attributes(i) {
		a := &v.tree.attributes(i)[k]
		name := v.tree.src[a.nameAt:a.nameEnd]
		switch {
		case a.ns == noNamespace && string(name) == "Ccy" && t.kind == kindExtension:
			ccy = true
			if rule, text := v.facets[t.ccy].checkText(v.tables, v.tree.attrValue(a)); rule != "" {
				v.failAttribute(i, a, rule, text)
			}
		case string(v.tree.uris[a.ns]) == xsiNamespace && (string(name) == "schemaLocation" || string(name) == "noNamespaceSchemaLocation"):
		case string(v.tree.uris[a.ns]) == xsiNamespace && string(name) == "type":
			if !v.isType(i, a, t) {
				v.failAttribute(i, a, "schema.type", "xsi:type is not the type of the element")
			}
		case string(v.tree.uris[a.ns]) == xsiNamespace && string(name) == "nil" && v.undeclared == i && i > 0:
		case string(v.tree.uris[a.ns]) == xsiNamespace && string(name) == "nil":
			v.failAttribute(i, a, "schema.nil", "the element cannot be nil")
		default:
			v.failAttribute(i, a, "schema.attribute", "the schema has no such attribute here")
		}
	}
	if t.kind == kindExtension && !ccy {
		v.fail(i, v.tree.nodes[i].start, "/@Ccy", "schema.missing", "the attribute is missing")
	}
}

func (v *validator) failAttribute(i uint32, a *attr, rule, text string) {
	v.fail(i, a.nameAt, "/@"+string(printableName(v.tree.src[a.nameAt:a.nameEnd])), rule, text)
}

// isType reports whether the attribute xsi:type names the type that the element has anyway.
func (v *validator) isType(i uint32, a *attr, t *typeDef) bool {
	uri, name := v.qName(i, v.tree.attrValue(a))
	return string(name) == t.name && string(uri) == v.schema.namespace
}

// uriOf returns the namespace of a prefix at element i.
func (t *tree) uriOf(i uint32, prefix []byte) []byte {
	for {
		k, _ := slices.BinarySearchFunc(t.bindings[2:], i, func(b binding, node uint32) int { return cmp.Compare(b.node, node) })
		for _, b := range t.bindings[2+k:] {
			if b.node != i {
				break
			}
			if bytes.Equal(t.src[b.prefixAt:b.prefixEnd], prefix) {
				return t.uris[b.ns]
			}
		}
		if t.nodes[i].parent == i {
			return nil
		}
		i = t.nodes[i].parent
	}
}
