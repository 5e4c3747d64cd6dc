package iso20022

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Kept is a message with all that its document said, so that Append writes a document of the same meaning. DecodeKeeping returns it, for
// programs that read messages of others, show, change and pass them on. For paying use Decode, which refuses what nothing here can act on.
type Kept struct {
	Message Message
	// Other is what the fields of Message do not hold, in the order of the document. Elements may be added and taken away.
	Other []Extra
	// Refused is all that Decode refuses in the document, in its order. Where it is a value, the field is empty and Other has the element.
	Refused []Fault

	format Format
	places []placing
}

// Extra is an element that a Message has no field for, or an empty one.
type Extra struct {
	// Path says where the element stands, such as "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/IntrmyAgt1"; "Strd[2]" is the second of that name.
	Path string
	// XML is the element in the namespace of the message, which it need not declare, in canonical bytes.
	XML string
	// Rule is that by which Decode refuses it, so that money may depend on it; "" if Decode passes it over as information.
	Rule string

	node, end uint32 // of the document
	was       string // what stands there of the fields of the message as it was decoded, which this takes the place of
}

// placing is where an element of the fields belongs, if it was not where the encoder writes it: nowhere if to is empty.
type placing struct{ from, to string }

// DecodeKeeping is Decode that keeps what the fields of the message do not hold: it reads every valid document of a message with a codec.
// The error is a *Fault.
func DecodeKeeping(doc []byte) (*Kept, error) { return Format{}.DecodeKeeping(doc) }

// DecodeKeeping is the function DecodeKeeping in this format.
func (f Format) DecodeKeeping(doc []byte) (*Kept, error) {
	t := getTree()
	defer putTree(t)
	if fault := t.scan(doc); fault != nil {
		return nil, fault
	}
	def, _ := strings.CutPrefix(string(t.uri(0)), namespacePrefix)
	m := newMessage(def)
	if m == nil {
		return nil, t.fault(0, "model.message", "there is no codec for the namespace of the root element")
	}
	refused, fault := f.read(t, doc, m, true)
	if fault != nil {
		return nil, fault
	}
	k := &Kept{Message: m, format: f}
	original := t.branch(0, isoTables.schema(t.uri(0)).typ+1)
	mine, fault := k.encoded()
	if fault != nil {
		return nil, fault
	}
	d := differ{refused: refused}
	d.compare(original, mine, "", "")
	d.settle()
	k.Other, k.places = d.extras, d.places
	for _, r := range refused {
		k.Refused = append(k.Refused, *r.fault)
	}
	k.Refused = inOrder(k.Refused)
	if again, fault := k.whole(); fault != nil || !again.equal(original) {
		return nil, t.fault(0, "model.keep", "what this document says cannot be written again")
	}
	return k, nil
}

// newMessage returns an empty message of a definition, nil if there is no codec for it.
func newMessage(def string) Message {
	for _, fam := range families {
		if slices.Contains(fam.defs, def) {
			return fam.make()
		}
	}
	return nil
}

// Append appends the message with what Other holds, each in its place in the schema. A field that is set wins over an Extra of the same
// element, unless it is as it was decoded. If it fails, with a *Fault, dst is returned as it was.
func (k *Kept) Append(dst []byte) ([]byte, error) {
	b, fault := k.whole()
	if fault != nil {
		return dst, fault
	}
	out := b.append(dst, k.Message.Definition())
	if err := Validate(out[len(dst):]); err != nil {
		fault := err.(*Fault)
		fault.Line, fault.Col = 0, 0 // of bytes that nobody gets to see
		return dst, fault
	}
	return out, nil
}

// encoded returns what the fields alone say.
func (k *Kept) encoded() (*branch, *Fault) {
	b, err := k.format.append(nil, k.Message, true)
	if err != nil {
		return nil, err.(*Fault)
	}
	t := getTree()
	defer putTree(t)
	if fault := t.scan(b); fault != nil {
		return nil, fault
	}
	return t.branch(0, isoTables.schema(t.uri(0)).typ+1), nil
}

// whole returns the document: the fields, where they belong, with the others.
func (k *Kept) whole() (*branch, *Fault) {
	root, fault := k.encoded()
	if fault != nil {
		return nil, fault
	}
	moved := map[string]*branch{}
	for _, p := range slices.Backward(k.places) { // so that those before keep their numbers
		if parent, at := root.find(p.from); at >= 0 {
			moved[p.to] = parent.children[at]
			parent.found.name = ""
			parent.children = slices.Delete(parent.children, at, at+1)
		}
	}
	def := k.Message.Definition()
	var buf []byte
	for i := range k.Other {
		e := &k.Other[i]
		if e.XML == "" { // the place of an element of the fields
			if b := moved[e.Path]; b != nil {
				root.put(e.Path, b, "")
			}
			continue
		}
		b, used, fault := e.branch(def, buf)
		if buf = used; fault != nil {
			return nil, fault
		}
		if !root.put(e.Path, b, e.was) {
			return nil, &Fault{Path: e.Path, Rule: "model.keep", Text: "no such place in the message"}
		}
	}
	return root, nil
}

// branch reads the element. The buffer is used for it and returned.
func (e *Extra) branch(def string, buf []byte) (*branch, []byte, *Fault) {
	s := isoTables.schema([]byte(Namespace(def)))
	typ, last, depth := s.typ+1, "", 0
	for step := range strings.SplitSeq(strings.TrimPrefix(e.Path, "/"), "/") {
		if last, _ = numbered(step); depth > 0 {
			typ = typeOf(typ, last)
		}
		depth++
	}
	buf = append(append(append(append(append(buf[:0], '<'), s.root...), ` xmlns="`...), s.namespace...), `">`...)
	buf = append(append(append(append(buf, e.XML...), "</"...), s.root...), '>')
	t := getTree()
	defer putTree(t)
	if f := t.scan(buf); f != nil {
		return nil, buf, &Fault{Path: e.Path, Rule: f.Rule, Text: f.Text}
	}
	if t.isLeaf(0) || t.next(1) != t.next(0) || t.nodes[0].flags&(hasText|hasComment) != 0 || string(t.name(1)) != last || string(t.uri(1)) != s.namespace {
		return nil, buf, &Fault{Path: e.Path, Rule: "model.keep", Text: "not one element of the name that the path ends with"}
	}
	return t.branch(1, typ), buf, nil
}

// branch is an element with all it holds, apart from any document.
type branch struct {
	name     string
	attrs    string // as they are written
	typ      uint16 // of the schema, plus 1; 0 if it is not known
	text     string // of a leaf, escaped; of foreign content, as it stood
	means    string // text in one spelling of the value
	children []*branch

	node, end uint32 // of the document it was read from

	found struct { // by child last, to go on from
		name  string
		n, at int
	}
}

// branch copies element i.
func (t *tree) branch(i uint32, typ uint16) *branch {
	b := &branch{name: string(t.name(i)), typ: typ, node: i, end: t.next(i)}
	for _, a := range t.attributes(i) {
		if a.ns == noNamespace { // the others are of xsi: in a valid document they say nothing
			b.attrs += " " + string(t.src[a.nameAt:a.nameEnd]) + `="` + string(appendEscaped(nil, string(t.attrValue(&a)), true)) + `"`
		}
	}
	switch {
	case typ > 0 && isoTables.types[typ-1].kind == kindAny:
		for c := i + 1; c < t.next(i); c = t.next(c) {
			b.text += string(t.foreignPart(c))
		}
		b.means = b.text
	case t.isLeaf(i):
		text := string(t.text(i))
		if b.typ > 0 && isoTables.types[typ-1].kind >= kindSequence {
			text = "" // white space
		}
		b.text, b.means = string(appendEscaped(nil, text, false)), meaning(typ, text)
	default:
		for c := i + 1; c < t.next(i); c = t.next(c) {
			b.children = append(b.children, t.branch(c, typeOf(typ, string(t.name(c)))))
		}
	}
	return b
}

// foreignPart is part of an element to be put below a default namespace that it did not stand in.
func (t *tree) foreignPart(i uint32) []byte {
	p := t.part(i)
	for c := i; c < t.next(i); c++ {
		if n := &t.nodes[c]; n.binding == 0 && n.start+1 == n.nameAt {
			at := t.nodes[i].nameEnd - t.nodes[i].start
			return slices.Concat(p[:at], []byte(` xmlns=""`), p[at:])
		}
	}
	return p
}

// typeOf returns the type, plus 1, of the element of that name in a type, plus 1; 0 if there is none.
func typeOf(typ uint16, name string) uint16 {
	if typ == 0 {
		return 0
	}
	for _, e := range isoTables.types[typ-1].elems {
		if e.name == name {
			return e.typ + 1
		}
		if e.name == "" {
			if t := typeOf(e.typ+1, name); t > 0 {
				return t
			}
		}
	}
	return 0
}

// particle returns where an element of that name stands in a type, and whether it may be repeated.
func particle(typ uint16, name string) (at int, many bool) {
	if typ == 0 {
		return 0, false
	}
	def := &isoTables.types[typ-1]
	for k := range def.elems {
		e := &def.elems[k]
		if e.name == name {
			if def.kind == kindChoice {
				k = 0
			}
			return k, e.max != 1
		}
		if e.name == "" {
			if typeOf(e.typ+1, name) > 0 {
				_, many = particle(e.typ+1, name)
				return k, many
			}
		}
	}
	return len(def.elems), false
}

// meaning returns a value in one spelling: numbers without superfluous zeros, times without them and with Z, true and false.
func meaning(typ uint16, text string) string {
	if typ == 0 {
		return text
	}
	t := &isoTables.types[typ-1]
	if t.kind > kindExtension {
		return text
	}
	v := strings.TrimSpace(text)
	switch isoTables.facets[t.facets].base {
	case baseDecimal:
		sign := ""
		if strings.HasPrefix(v, "-") {
			sign = "-"
		}
		whole, fraction, _ := strings.Cut(strings.TrimLeft(v, "+-"), ".")
		whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
		if whole+fraction == "" {
			return "0"
		}
		return sign + whole + "." + fraction
	case baseBoolean:
		return strings.NewReplacer("1", "true", "0", "false").Replace(v)
	case baseDateTime:
		day, clock, _ := strings.Cut(v, "T")
		zone := len(clock)
		if at := strings.IndexAny(clock, "Z+-"); at >= 0 {
			zone = at
		}
		seconds, fraction, _ := strings.Cut(clock[:zone], ".")
		if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
			seconds += "." + fraction
		}
		suffix := clock[zone:]
		if suffix == "+00:00" {
			suffix = "Z"
		}
		return day + "T" + seconds + suffix
	}
	return text
}

// equal reports whether two elements mean the same.
func (b *branch) equal(o *branch) bool {
	if b.name != o.name || b.attrs != o.attrs || b.means != o.means || len(b.children) != len(o.children) {
		return false
	}
	for i := range b.children {
		if !b.children[i].equal(o.children[i]) {
			return false
		}
	}
	return true
}

// covers reports whether all that o says is in b.
func (b *branch) covers(o *branch) bool {
	if b.name != o.name || b.attrs != o.attrs || b.means != o.means {
		return false
	}
	at := 0
	for _, c := range o.children {
		for at < len(b.children) && !b.children[at].covers(c) {
			at++
		}
		if at++; at > len(b.children) {
			return false
		}
	}
	return true
}

// append writes the element; def is that of the namespace to declare, "" for none.
func (b *branch) append(dst []byte, def string) []byte {
	dst = append(append(dst, '<'), b.name...)
	if def != "" {
		dst = append(append(append(dst, ` xmlns="`+namespacePrefix...), def...), '"')
	}
	dst = append(append(append(dst, b.attrs...), '>'), b.text...)
	for _, c := range b.children {
		dst = c.append(dst, "")
	}
	return append(append(append(dst, "</"...), b.name...), '>')
}

func (b *branch) xml() string { return string(b.append(nil, "")) }

// numbered takes "Strd[2]" apart; without a number it is the first.
func numbered(step string) (name string, n int) {
	name, rest, ok := strings.Cut(step, "[")
	if ok {
		if n, err := strconv.Atoi(strings.TrimSuffix(rest, "]")); err == nil && n > 0 {
			return name, n
		}
	}
	return name, 1
}

// child returns the index of the n-th child of that name, -1 if there are fewer.
func (b *branch) child(name string, n int) int {
	from, left := 0, n
	if f := &b.found; f.name == name && f.n <= n && f.at < len(b.children) && b.children[f.at].name == name {
		from, left = f.at, n-f.n+1
	}
	last := -1
	for i := from; i < len(b.children); i++ {
		if b.children[i].name == name {
			if left--; left == 0 {
				b.found.name, b.found.n, b.found.at = name, n, i
				return i
			}
			last = i
		}
	}
	if left == 1 && last >= 0 { // there is the one before
		b.found.name, b.found.n, b.found.at = name, n-1, last
	}
	return -1
}

// find returns the parent of the element at a path and its index in it, -1 if it is not there.
func (b *branch) find(path string) (parent *branch, at int) {
	steps := strings.Split(strings.TrimPrefix(path, "/"), "/")
	at = -1
	for k, step := range steps[1:] {
		name, n := numbered(step)
		if at = b.child(name, n); at < 0 {
			return nil, -1
		}
		if k < len(steps)-2 {
			b = b.children[at]
		}
	}
	return b, at
}

// put puts an element at a path, with what must be around it. It takes the place of one that is as was; else what is there wins, and takes
// what it lacks from e.
func (b *branch) put(path string, e *branch, was string) bool {
	first, rest, deeper := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if name, _ := numbered(first); name != b.name || !deeper {
		return false
	}
	step, rest, deeper := strings.Cut(rest, "/")
	for ; deeper; step, rest, deeper = strings.Cut(rest, "/") {
		name, n := numbered(step)
		at := b.child(name, n)
		if at < 0 {
			at = b.insert(&branch{name: name, typ: typeOf(b.typ, name)}, n)
		}
		b = b.children[at]
	}
	_, n := numbered(step)
	at := b.child(e.name, n)
	_, many := particle(b.typ, e.name)
	switch {
	case at >= 0 && was != "" && b.children[at].xml() == was:
		b.children[at] = e
	case was != "" && at >= 0, at >= 0 && !many:
		b.children[at].complete(e)
	case was == "":
		b.insert(e, n)
	}
	return true
}

// complete puts in what b lacks of e.
func (b *branch) complete(e *branch) {
	if typ := b.typ; typ > 0 && isoTables.types[typ-1].kind == kindChoice {
		return
	}
	for _, c := range e.children {
		if at := b.child(c.name, 1); at < 0 {
			b.insert(c, 1)
		} else if _, many := particle(b.typ, c.name); !many {
			b.children[at].complete(c)
		}
	}
}

// insert puts in e as the n-th child of its name, where the schema has it, and returns its index.
func (b *branch) insert(e *branch, n int) int {
	if at := b.child(e.name, n); at >= 0 {
		b.children = slices.Insert(b.children, at, e) // what was found there last is e now
		return at
	}
	follows := n == 1 || b.found.name == e.name && b.found.n == n-1
	place, _ := particle(b.typ, e.name)
	at := len(b.children)
	for at > 0 {
		if other, _ := particle(b.typ, b.children[at-1].name); other <= place {
			break
		}
		at--
	}
	b.children = slices.Insert(b.children, at, e)
	if b.found.name = ""; follows {
		b.found.name, b.found.n, b.found.at = e.name, n, at
	}
	return at
}

// differ finds what a document says beyond the fields of its message.
type differ struct {
	refused []refusal
	extras  []Extra // in the order of the document
	places  []placing
	surplus []surplus
}

// surplus is an element of the fields that the document does not have where the encoder writes it.
type surplus struct {
	path string
	b    *branch
}

// compare compares an element of the document with that of the fields, at paths that may differ in their numbers.
func (d *differ) compare(doc, mine *branch, docPath, minePath string) {
	docPath, minePath = docPath+"/"+doc.name, minePath+"/"+mine.name
	d.children(doc, mine, docPath, minePath)
}

func (d *differ) children(doc, mine *branch, docPath, minePath string) {
	pair := match(doc.children, mine.children)
	paired := map[*branch]bool{}
	numbers := map[string]int{}
	mineNumber := map[*branch]int{}
	counts := map[string]int{}
	for _, c := range mine.children {
		counts[c.name]++
		mineNumber[c] = counts[c.name]
	}
	for _, c := range doc.children {
		numbers[c.name]++
		path := stepTo(docPath, c.name, numbers[c.name])
		m := pair[c]
		switch {
		case m == nil:
			d.extras = append(d.extras, Extra{Path: path, XML: c.xml(), node: c.node, end: c.end})
			continue
		case m.attrs != c.attrs, m.means != c.means, (len(m.children) == 0) != (len(c.children) == 0) && m.text != "":
			d.extras = append(d.extras, Extra{Path: path, XML: c.xml(), node: c.node, end: c.end, was: m.xml()})
		default:
			d.children(c, m, path, stepTo(minePath, m.name, mineNumber[m]))
		}
		paired[m] = true
	}
	for _, m := range mine.children {
		if !paired[m] {
			d.surplus = append(d.surplus, surplus{stepTo(minePath, m.name, mineNumber[m]), m})
		}
	}
}

func stepTo(path, name string, n int) string {
	if n > 1 {
		return path + "/" + name + "[" + strconv.Itoa(n) + "]"
	}
	return path + "/" + name
}

// match pairs elements of the document with those of the fields, of the same names and in the same order.
func match(doc, mine []*branch) map[*branch]*branch {
	pair := map[*branch]*branch{}
	names := map[string]bool{}
	for _, c := range mine {
		if names[c.name] {
			continue
		}
		names[c.name] = true
		same := func(list []*branch) (of []*branch) {
			for _, b := range list {
				if b.name == c.name {
					of = append(of, b)
				}
			}
			return of
		}
		docs, mines := same(doc), same(mine)
		if len(docs) == len(mines) {
			for i := range docs {
				pair[docs[i]] = mines[i]
			}
			continue
		}
		at := 0
		for _, m := range mines {
			k := at
			for k < len(docs) && !docs[k].covers(m) {
				k++
			}
			if k == len(docs) {
				k = at
			}
			if k < len(docs) {
				pair[docs[k]] = m
				at = k + 1
			}
		}
	}
	return pair
}

// settle finds elements of the fields that the document has elsewhere, and says by which rule Decode refuses the others.
func (d *differ) settle() {
	elsewhere := map[string]int{}
	for i := range d.extras {
		if e := &d.extras[i]; e.was == "" {
			elsewhere[e.XML] = i
		}
	}
	for _, s := range d.surplus {
		p := placing{from: s.path}
		if i, ok := elsewhere[s.b.xml()]; ok && d.extras[i].XML != "" {
			p.to, d.extras[i].XML = d.extras[i].Path, ""
		}
		d.places = append(d.places, p)
	}
	for _, r := range d.refused {
		i, exact := slices.BinarySearchFunc(d.extras, r.node, func(e Extra, node uint32) int { return cmp.Compare(e.node, node) })
		if !exact {
			i--
		}
		if i >= 0 && r.node < d.extras[i].end && d.extras[i].Rule == "" {
			d.extras[i].Rule = r.fault.Rule
		}
	}
}
