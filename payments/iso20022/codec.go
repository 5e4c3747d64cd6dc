package iso20022

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Message is what a document says, whatever its version: a *CreditTransfer, *Return, *Recall and so on.
type Message interface {
	// Definition returns the message definition it is written in, such as "pacs.004.001.10".
	Definition() string
	// Append appends the message as <Document xmlns="…">…</Document> (a Header as AppHdr), in canonical bytes without an XML
	// declaration. If it fails, with a *Fault, dst is returned as it was.
	Append(dst []byte) ([]byte, error)

	family() *family
	// fields names the elements of the message once, in the order of the schema; the codec writes or reads them.
	fields(x *codec)
}

// family is one message in the versions that have a codec.
type family struct {
	root   string   // "Document"; for a header "AppHdr"
	defs   []string // message definitions, as far as fields tells them apart
	bodies []string // the element in Document, by definition, or one for all; none in a header
	make   func() Message
	proven bool // a property shows that what Append writes is valid, so that it need not validate it
}

// body returns the element that a Document of the definition holds, "" if none, and false if the family has no such definition.
func (f *family) body(def string) (string, bool) {
	i := slices.Index(f.defs, def)
	if i < 0 || len(f.bodies) == 0 {
		return "", i >= 0
	}
	return f.bodies[min(i, len(f.bodies)-1)], true
}

// families is every message with a codec, both ways.
var families = []*family{
	&headers, &creditTransfers, &institutionTransfers, &statusReports, &statusRequests, &returns, &recalls, &resolutions,
	&queries, &additions, &initiations, &initiationReports, &paymentRequests, &requestAnswers, &rejections, &systemEvents, &receipts, &eventReceipts,
}

// Definitions returns the message definitions that Decode reads and Append writes.
func Definitions() (defs []string) {
	for _, f := range families {
		defs = append(defs, f.defs...)
	}
	return defs
}

// Format says how a rail writes what ISO 20022 leaves open. The zero Format is what most use.
type Format struct {
	// LocalZone is the zone of times that are written without one, as TCH RTP does: Append then writes every time in it without an
	// offset, and Decode refuses a time with an offset. In the hour that a change of clocks repeats, Decode takes one of the two. Nil
	// means that every time carries its zone.
	LocalZone *time.Location
}

// Decode reads a Document, or an AppHdr element, of any message with a codec: it is scanned, validated against its schema and then
// read strictly, as the Decode function of its type says. The error is a *Fault. Any number of goroutines may call it.
func Decode(doc []byte) (Message, error) { return Format{}.Decode(doc) }

// Decode is the function Decode in this format.
func (f Format) Decode(doc []byte) (Message, error) {
	t := getTree()
	defer putTree(t)
	if fault := t.scan(doc); fault != nil {
		return nil, fault
	}
	def, _ := strings.CutPrefix(string(t.uri(0)), namespacePrefix)
	for _, fam := range families {
		if slices.Contains(fam.defs, def) {
			m := fam.make()
			if _, fault := f.read(t, doc, m, false); fault != nil {
				return nil, fault
			}
			return m, nil
		}
	}
	return nil, t.fault(0, "model.message", "there is no codec for the namespace of the root element")
}

// Append is the method Append of m in this format.
func (f Format) Append(dst []byte, m Message) ([]byte, error) { return f.append(dst, m, false) }

// append writes m; if it keeps, then whatever is missing in it, without validating that.
func (f Format) append(dst []byte, m Message, keep bool) ([]byte, error) {
	x := codecs.Get().(*codec)
	defer x.free()
	fam := m.family()
	x.def, x.format, x.b, x.start, x.keep = m.Definition(), f, dst, len(dst), keep
	body, ok := fam.body(x.def)
	if !ok {
		x.fault = &Fault{Path: "/" + fam.root, Rule: "model.message", Text: "not written in the definition that is asked for"}
		return dst, x.fault
	}
	x.validate = !fam.proven
	x.root(fam.root)
	if body != "" {
		x.always(body)
	}
	m.fields(x)
	if body != "" {
		x.end()
	}
	x.end()
	if x.fault == nil && x.validate && !keep {
		if err := Validate(x.b[x.start:]); err != nil {
			x.fault = err.(*Fault)
			x.fault.Line, x.fault.Col = 0, 0 // of bytes that nobody gets to see
		}
	}
	if x.fault != nil {
		return x.b[:x.start], x.fault
	}
	return x.b, nil
}

// decode reads a document as an M. The error is a *Fault.
func decode[M any, P interface {
	*M
	Message
}](doc []byte) (*M, error) {
	t := getTree()
	defer putTree(t)
	if f := t.scan(doc); f != nil {
		return nil, f
	}
	m := new(M)
	if _, f := (Format{}).read(t, doc, P(m), false); f != nil {
		return nil, f
	}
	return m, nil
}

// read validates a scanned document and reads it into m. If it keeps, it refuses nothing but what is invalid, and returns the rest.
func (f Format) read(t *tree, doc []byte, m Message, keep bool) ([]refusal, *Fault) {
	fam := m.family()
	def, _ := strings.CutPrefix(string(t.uri(0)), namespacePrefix)
	body, ok := fam.body(def)
	if !ok {
		return nil, t.fault(0, "model.message", "the root element is not of "+fam.defs[len(fam.defs)-1])
	}
	if fault := isoTables.validate(t); fault != nil {
		return nil, fault
	}
	x := codecs.Get().(*codec)
	defer x.free()
	x.reading, x.def, x.format, x.tree, x.s, x.keep = true, def, f, t, string(doc), keep
	x.plainAttributes()
	x.levels[0] = level{end: t.next(0)}
	x.goTo(&x.levels[0], 1)
	x.depth = 1
	if body == "" || x.begin(body) {
		m.fields(x)
		if body != "" {
			x.end()
		}
	}
	x.end()
	return x.refused, x.fault
}

// codec either writes the elements that the fields of a message name, or reads them from a scanned and validated document.
//
// Written bytes are canonical already: no white space between elements, no empty-element tags, one default namespace, and only the
// escapes of Canonical XML 1.0, so that a digest can be taken of them as they are.
//
// Read is what the fields name, in the order of the schema, and nothing else: what the schema allows and the fields do not name is
// refused by a rule, unless it is one of the informational elements that they pass over: these change neither the amount, nor who pays
// and is paid, nor under what condition, and remain in the bytes received. So a decoder loses nothing that matters to money.
//
// The first fault is kept and everything after it is in vain.
type codec struct {
	def      string // message definition
	format   Format
	reading  bool
	validate bool // what is written
	fault    *Fault
	depth    int
	levels   [32]level // open elements

	b     []byte // writing
	start int

	*tree           // reading
	s        string // the source, once, for the model's strings to share
	informal bool   // in an element that only repeats: what the model does not hold is passed over

	keep    bool // nothing is refused that the model does not hold, see Kept: reading notes it, writing takes fields that are empty
	refused []refusal
}

// refusal is what a decoder that keeps nothing refuses element node for.
type refusal struct {
	node  uint32
	fault *Fault
}

// level is one open element.
type level struct {
	name string // writing
	at   int    // writing: where its start tag begins
	keep bool   // writing: even if it is empty

	node, next, end uint32 // reading: the element, the first child not read yet, and where its children end
	nameAt, nameEnd uint32 // reading: the name of the first child not read yet, none if there is none
	last            uint32 // reading: the child read last, 0 if none
}

var codecs = sync.Pool{New: func() any { return new(codec) }}

func (x *codec) free() {
	x.def, x.format, x.reading, x.validate, x.fault, x.depth, x.b, x.tree, x.s, x.informal = "", Format{}, false, false, nil, 0, nil, nil, "", false
	x.keep, x.refused = false, nil
	codecs.Put(x)
}

// root opens the root element in the namespace of the message definition.
func (x *codec) root(name string) {
	x.b = append(x.b, '<')
	x.b = append(x.b, name...)
	x.b = append(x.b, ` xmlns="`...)
	x.b = append(x.b, namespacePrefix...)
	x.b = append(x.b, x.def...)
	x.b = append(x.b, `">`...)
	x.levels[0] = level{name: name, keep: true}
	x.depth = 1
}

// begin opens an element and reports whether its content is to be named, followed by end: always when writing, and when reading if it
// is the next one. An element that turns out empty is not written.
func (x *codec) begin(name string) bool {
	f := &x.levels[x.depth]
	if x.reading {
		c, ok := x.take(name)
		if ok {
			f.node, f.end, f.last = c, x.next(c), 0
			x.goTo(f, c+1)
			x.depth++
		}
		return ok
	}
	x.depth++
	b, at := x.room(len(name) + 2)
	f.name, f.at, f.keep = name, at, false
	b[at] = '<'
	b[at+1+copy(b[at+1:], name)] = '>'
	return true
}

// always is begin of an element that is written even if it is empty.
func (x *codec) always(name string) bool {
	ok := x.begin(name)
	if ok {
		x.levels[x.depth-1].keep = true
	}
	return ok
}

// end closes the innermost open element. Nothing unread may be left in it.
func (x *codec) end() {
	x.depth--
	f := &x.levels[x.depth]
	switch {
	case !x.reading:
		if len(x.b) > f.at+len(f.name)+2 || f.keep {
			x.endTag(f.name)
		} else {
			x.b = x.b[:f.at]
		}
	case x.informal:
	case x.keep:
		x.skip(f, f.end)
	case f.next < f.end && f.last > 0 && string(x.name(f.last)) == string(x.name(f.next)):
		x.failAt(f.next, "model.repeated", "the schema allows more than one, here there may be only one")
	case f.next < f.end:
		x.outside(f.next)
	}
}

// goTo makes child c the first not read yet, if it is one.
func (x *codec) goTo(f *level, c uint32) {
	f.next, f.nameAt, f.nameEnd = c, 0, 0
	if c < f.end {
		n := &x.nodes[c]
		f.nameAt, f.nameEnd = n.nameAt, n.nameEnd
	}
}

// named reports whether the first child not read yet has that name.
func (x *codec) named(f *level, name string) bool { return x.s[f.nameAt:f.nameEnd] == name }

// take returns the next element if it has that name, while reading.
func (x *codec) take(name string) (uint32, bool) {
	f := &x.levels[x.depth-1]
	if !x.named(f, name) && !((x.keep || x.informal) && x.ahead(name)) || x.fault != nil {
		return 0, false
	}
	c := f.next
	f.last = c
	x.goTo(f, x.nodes[c].skip)
	return c, true
}

// is reports whether the next element has that name, while reading.
func (x *codec) is(name string) bool {
	return (x.named(&x.levels[x.depth-1], name) || (x.keep || x.informal) && x.ahead(name)) && x.fault == nil
}

// ahead goes on to the next element of that name, if there is one, over others that the model does not hold.
func (x *codec) ahead(name string) bool {
	f := &x.levels[x.depth-1]
	for c := f.next; c < f.end; c = x.next(c) {
		if string(x.name(c)) == name {
			x.skip(f, c)
			return true
		}
	}
	return false
}

// skip notes that the children before element c are refused.
func (x *codec) skip(f *level, c uint32) {
	for ; f.next < c; x.goTo(f, x.next(f.next)) {
		if !x.informal {
			x.outside(f.next)
		}
	}
}

// once refuses the next element of that name if the model has it already, from another place.
func (x *codec) once(name string, have bool) {
	for f := &x.levels[x.depth-1]; x.reading && have && !x.informal && x.is(name); x.goTo(f, x.next(f.next)) {
		x.failAt(f.next, "model.repeated", "the schema allows more than one, here there may be only one")
	}
}

// pass passes over elements that the model does not hold, in the order of the schema, as often as they stand.
func (x *codec) pass(names ...string) {
	if x.reading {
		x.passOver(names)
	}
}

func (x *codec) passOver(names []string) {
	for _, name := range names {
		for ok := true; ok; {
			_, ok = x.take(name)
		}
	}
}

// passAll passes over everything up to the end of the open element.
func (x *codec) passAll() {
	f := &x.levels[x.depth-1]
	x.goTo(f, f.end)
}

// passUntil passes over everything before the next element of that name.
func (x *codec) passUntil(name string) {
	f := &x.levels[x.depth-1]
	for x.reading && x.fault == nil && f.next < f.end && !x.named(f, name) {
		f.last = f.next
		x.goTo(f, x.next(f.next))
	}
}

// fail records a fault of the element name in the open element, or of the open element itself if name is empty.
func (x *codec) fail(name, rule, text string) {
	switch {
	case x.fault != nil:
	case x.reading:
		x.failAt(x.levels[x.depth-1].node, rule, text)
	case x.keep && (rule == "model.missing" || rule == "model.repeated"): // Refused has it
	default:
		var b strings.Builder
		for i := range x.depth {
			b.WriteString("/" + x.levels[i].name)
		}
		if name != "" {
			b.WriteString("/" + name)
		}
		x.fault = &Fault{Path: b.String(), Rule: rule, Text: text}
	}
}

// failAt records a fault of element i, while reading.
func (x *codec) failAt(i uint32, rule, text string) {
	switch {
	case x.fault != nil:
	case x.keep:
		x.refused = append(x.refused, refusal{i, x.tree.fault(i, rule, text)})
	default:
		x.fault = x.tree.fault(i, rule, text)
	}
}

// outside refuses an element that the schema allows and the model does not hold.
func (x *codec) outside(i uint32) {
	x.failAt(i, "model.element", "the element is valid, but nothing here can act on it")
}

// missing refuses a message without something that the schema does not demand.
func (x *codec) missing(name string) { x.fail(name, "model.missing", "required") }

// noPlace refuses to write a message that says something which its definition has no element for.
func (x *codec) noPlace(name string, said bool) {
	if !x.reading && said {
		x.fail(name, "model.element", "this message has no place for it")
	}
}

// transaction opens the one element that holds the transaction.
func (x *codec) transaction(name string) bool { return x.always(name) }

// endTransaction closes it, and refuses a second one.
func (x *codec) endTransaction(name string) {
	x.end()
	if x.reading && x.is(name) {
		x.failAt(x.levels[x.depth-1].next, "model.transactions", "a second transaction")
	}
}

// list writes every item of a list as an element, or reads all the elements that follow, with their content named by each.
func list[T any](x *codec, name string, items *[]T, each func(*codec, *T)) {
	if !x.reading {
		for i := range *items {
			x.always(name)
			each(x, &(*items)[i])
			x.end()
		}
		return
	}
	for x.begin(name) {
		var item T
		each(x, &item)
		x.end()
		*items = append(*items, item)
	}
}

// version notes the message definition that a document is written in.
func (x *codec) version(def *string) {
	if x.reading {
		*def = x.def
	}
}

// plainAttributes refuses attributes beyond Ccy, and the place of a schema on the root. What stands in an envelope of supplementary
// data, or in a signature, is not this message's.
func (x *codec) plainAttributes() {
	plain := true // the schema allows Ccy only, of no namespace
	for i := range x.attrs {
		plain = plain && x.attrs[i].ns == noNamespace
	}
	if plain {
		return
	}
	for i := uint32(0); i < uint32(len(x.nodes)); i++ {
		for _, a := range x.attributes(i) {
			if a.ns != noNamespace && (i > 0 || string(x.src[a.nameAt:a.nameEnd]) == "type") {
				x.failAt(i, "model.attribute", "an attribute that says nothing a payment needs")
			}
		}
		if name := x.tree.name(i); string(name) == "Envlp" || string(name) == "Sgntr" {
			i = x.next(i) - 1
		}
	}
}
