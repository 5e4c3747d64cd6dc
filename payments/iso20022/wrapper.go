package iso20022

import (
	"bytes"
	"slices"
	"strings"
)

// Wrapper is the envelope that a rail puts around header and document: elements of one namespace, one inside the other.
type Wrapper struct {
	Namespace string
	Path      []string // element names from the root inwards; "*" takes any name; empty means that the document stands alone
}

// Parts are the pieces of a message on the wire.
type Parts struct {
	Name     string // of the innermost wrapper element, which on some rails names the message; empty without a wrapper
	Header   []byte // the AppHdr element, nil if there is none
	Document []byte // the Document element
}

// Split takes header and document out of their wrapper: nothing else may stand in it, and the header comes first. The parts are
// slices of the wire, unless they use prefixes that only the wrapper declares: then they are copies with these declarations added to
// their root element. What stands inside them is scanned but not validated. The error is a *Fault.
func Split(wire []byte, want Wrapper) (Parts, error) {
	t := getTree()
	defer putTree(t)
	if f := t.scan(wire); f != nil {
		return Parts{}, f
	}
	parts, f := t.split(want)
	if f != nil {
		return Parts{}, f
	}
	return parts, nil
}

func (t *tree) fault(i uint32, rule, text string) *Fault {
	line, col := t.position(int(t.nodes[i].start))
	return &Fault{Path: t.path(i), Rule: rule, Text: text, Line: line, Col: col}
}

func (t *tree) split(want Wrapper) (p Parts, f *Fault) {
	if len(want.Path) == 0 {
		if !t.isPart(0, "Document", Namespace("")) {
			return p, t.fault(0, "wrapper.document", "the root element is not an ISO 20022 Document")
		}
		p.Document = t.part(0)
		return p, nil
	}
	i := uint32(0)
	for k, name := range want.Path {
		switch {
		case string(t.uri(i)) != want.Namespace:
			return p, t.fault(i, "wrapper.namespace", "the wrapper's element belongs to another namespace")
		case name != "*" && string(t.name(i)) != name:
			return p, t.fault(i, "wrapper.element", "the wrapper's element is not "+name)
		}
		if f := t.wrapping(i); f != nil {
			return p, f
		}
		if k == len(want.Path)-1 {
			break
		}
		switch {
		case t.isLeaf(i):
			return p, t.fault(i, "wrapper.element", "the wrapper is empty")
		case t.next(i+1) != t.next(i):
			return p, t.fault(t.next(i+1), "wrapper.element", "a second element in the wrapper")
		}
		i++
	}
	p.Name = string(t.name(i))
	for c := i + 1; c < t.next(i); c = t.next(c) {
		switch {
		case t.isPart(c, "AppHdr", Namespace("head.001.001.")) && p.Header == nil && p.Document == nil:
			p.Header = t.part(c)
		case t.isPart(c, "Document", Namespace("")) && p.Document == nil:
			p.Document = t.part(c)
		default:
			return Parts{}, t.fault(c, "wrapper.element", "neither one AppHdr nor, after it, one Document")
		}
	}
	if p.Document == nil {
		return Parts{}, t.fault(i, "wrapper.document", "no Document")
	}
	return p, nil
}

// wrapping checks that an element of the wrapper holds elements only, and no attribute but the place of a schema.
func (t *tree) wrapping(i uint32) *Fault {
	if t.nodes[i].flags&hasText != 0 {
		return t.fault(i, "wrapper.text", "text in the wrapper")
	}
	for _, a := range t.attributes(i) {
		name := string(t.src[a.nameAt:a.nameEnd])
		if string(t.uris[a.ns]) != xsiNamespace || name != "schemaLocation" && name != "noNamespaceSchemaLocation" {
			return t.fault(i, "wrapper.attribute", "an attribute on the wrapper")
		}
	}
	return nil
}

func (t *tree) isPart(i uint32, name, namespace string) bool {
	return string(t.name(i)) == name && bytes.HasPrefix(t.uri(i), []byte(namespace))
}

// part returns element i as a document of its own.
func (t *tree) part(i uint32) []byte {
	n := &t.nodes[i]
	var borrowed []uint16 // declarations outside that are used inside
	use := func(b uint16) {
		if b > 1 && t.bindings[b].node < i && !slices.Contains(borrowed, b) {
			borrowed = append(borrowed, b)
		}
	}
	for c := i; c < n.skip; c++ {
		use(t.nodes[c].binding)
		for _, a := range t.attributes(c) {
			use(a.binding)
		}
	}
	if borrowed == nil {
		return t.src[n.start:n.end:n.end]
	}
	slices.Sort(borrowed)
	out := append([]byte(nil), t.src[n.start:n.nameEnd]...)
	for _, k := range borrowed {
		b := &t.bindings[k]
		out = append(out, " xmlns"...)
		if b.prefixAt < b.prefixEnd {
			out = append(out, ':')
			out = append(out, t.src[b.prefixAt:b.prefixEnd]...)
		}
		out = append(out, `="`...)
		out = appendEscaped(out, string(t.uris[b.ns]), true)
		out = append(out, '"')
	}
	return append(out, t.src[n.nameEnd:n.end]...)
}

// MessageDefinition returns the message definition of a document's namespace, such as "pacs.008.001.08", and false if it is none
// of ISO 20022. It scans the whole document; the name is not checked against any list.
func MessageDefinition(doc []byte) (string, bool) {
	t := getTree()
	defer putTree(t)
	if t.scan(doc) != nil {
		return "", false
	}
	return strings.CutPrefix(string(t.uri(0)), Namespace(""))
}
