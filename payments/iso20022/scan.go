package iso20022

import (
	"bytes"
	"encoding/binary"
)

// tree is a scanned document: its elements in document order, as offsets into the bytes it was read from. Nothing is copied.
type tree struct {
	src      []byte
	nodes    []node
	attrs    []attr
	uris     [][]byte  // namespace names met; index 0 is no namespace
	bindings []binding // namespace declarations met; index 0 is unused, 1 is the prefix xml
	scope    []uint16  // while scanning: bindings in force, innermost last
	open     []uint32  // while scanning: elements not closed yet
	names    []byte    // what uris are slices of
	from     place     // where the document's text begins in src
	last     place     // that position found last
	settled  []place   // in a stream: where the elements of the spine began whose start tags have moved to the front of src
}

// node is one element.
type node struct {
	start, end      uint32 // with its tags
	nameAt, nameEnd uint32 // local name
	textAt, textEnd uint32 // content, between the tags
	parent          uint32 // its own index for the root
	skip            uint32 // index after its last descendant: the next sibling, if the parent reaches that far
	attrAt          uint32 // first attribute
	attrs           uint16 // number of attributes, namespace declarations not counted
	ns              uint16 // into tree.uris
	binding         uint16 // that ns comes from, 0 if none
	flags           uint8
}

// What stands directly in an element, or in an attribute's value.
const (
	hasText      = 1 << iota // characters other than white space
	hasReference             // an entity or character reference
	hasCDATA                 // a CDATA section
	hasComment               // a comment
	hasLineEnd               // carriage return, or a tab or line feed in an attribute: the value differs from its bytes
)

type attr struct {
	nameAt, nameEnd   uint32 // local name
	valueAt, valueEnd uint32 // without quotes
	ns                uint16
	binding           uint16
	flags             uint8
}

type binding struct {
	prefixAt, prefixEnd uint32 // empty for the default namespace
	ns                  uint16
	node                uint32 // that declares it
}

const (
	xmlNamespace   = "http://www.w3.org/XML/1998/namespace"
	xmlnsNamespace = "http://www.w3.org/2000/xmlns/"
	xsiNamespace   = "http://www.w3.org/2001/XMLSchema-instance"
)

var xmlNamespaceBytes = []byte(xmlNamespace)

// maxOffset is the largest that a node holds.
const maxOffset = 1<<32 - 1

// Fixed indexes of tree.uris.
const (
	noNamespace = iota
	uriXML
)

func (t *tree) name(i uint32) []byte { return t.src[t.nodes[i].nameAt:t.nodes[i].nameEnd] }
func (t *tree) uri(i uint32) []byte  { return t.uris[t.nodes[i].ns] }
func (t *tree) isLeaf(i uint32) bool { return t.nodes[i].skip == i+1 }
func (t *tree) next(i uint32) uint32 { return t.nodes[i].skip }

// attributes returns the attributes of element i.
func (t *tree) attributes(i uint32) []attr {
	n := &t.nodes[i]
	return t.attrs[n.attrAt : n.attrAt+uint32(n.attrs)]
}

// scanner fills a tree from bytes.
type scanner struct {
	*tree
	limits    Limits
	pos       int
	forgotten int // elements read that nodes holds no longer
	fault     *Fault
}

// scan reads src strictly as UTF-8 XML 1.0 with namespaces. It refuses everything a payment message does not need: a DOCTYPE,
// entities beyond the five, processing instructions, other encodings and versions, and whatever follows the root but white space and
// comments.
func (t *tree) scan(src []byte) *Fault { return t.scanWithin(src, Limits{}) }

func (t *tree) scanWithin(src []byte, limits Limits) *Fault {
	t.reset(src)
	s := scanner{tree: t, limits: limits.withDefaults()}
	if int64(len(src)) > min(s.limits.SizeBytes, maxOffset) {
		s.fail(0, "xml.size", "more octets than the limit")
		return s.fault
	}
	if s.prolog() && s.elements() {
		s.epilog()
	}
	return s.fault
}

// reset empties the tree for a document.
func (t *tree) reset(src []byte) {
	t.src = src
	t.nodes, t.attrs, t.names = t.nodes[:0], t.attrs[:0], t.names[:0]
	t.uris = append(t.uris[:0], nil, xmlNamespaceBytes)
	t.bindings, t.scope, t.open = append(t.bindings[:0], binding{}, binding{ns: uriXML}), t.scope[:0], t.open[:0]
	t.from = place{line: 1, col: 1}
	t.last, t.settled = t.from, t.settled[:0]
}

// fail records the fault and returns false.
func (s *scanner) fail(at int, rule, text string) bool {
	path := "/"
	if n := len(s.open); n > 0 {
		path = s.path(s.open[n-1])
	}
	line, col := s.position(at)
	s.fault = &Fault{Path: path, Rule: rule, Text: text, Line: line, Col: col}
	return false
}

func (s *scanner) has(prefix string) bool {
	return len(s.src)-s.pos >= len(prefix) && string(s.src[s.pos:s.pos+len(prefix)]) == prefix
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func (s *scanner) space() bool {
	at := s.pos
	for s.pos < len(s.src) && isSpace(s.src[s.pos]) {
		s.pos++
	}
	return s.pos > at
}

// prolog reads byte order mark, XML declaration and comments up to the root.
func (s *scanner) prolog() bool {
	if s.has("\xef\xbb\xbf") {
		s.pos += 3
	}
	if s.has("\xfe\xff") || s.has("\xff\xfe") || s.has("\x00") || s.has("<\x00") {
		return s.fail(s.pos, "xml.encoding", "not UTF-8")
	}
	if s.has("<?xml") && len(s.src) > s.pos+5 && isSpace(s.src[s.pos+5]) && !s.declaration() {
		return false
	}
	for {
		s.space()
		switch {
		case s.pos >= len(s.src):
			return s.fail(s.pos, "xml.root", "no element")
		case s.has("<!--"):
			if !s.comment() {
				return false
			}
		case s.has("<!"):
			return s.fail(s.pos, "xml.doctype", "document type declarations are not accepted")
		case s.has("<?"):
			return s.fail(s.pos, "xml.instruction", "processing instructions are not accepted")
		case s.pos+1 == len(s.src):
			return s.fail(s.pos, "xml.root", "no element")
		case s.src[s.pos] == '<':
			return true
		default:
			return s.fail(s.pos, "xml.root", "text before the root element")
		}
	}
}

// declaration reads <?xml version="1.0" encoding="UTF-8" standalone="…"?>.
func (s *scanner) declaration() bool {
	at := s.pos
	s.pos += len("<?xml")
	for _, part := range [...]struct {
		name, value, other string
		required           bool
	}{{"version", "1.0", "1.0", true}, {"encoding", "utf-8", "utf8", false}, {"standalone", "yes", "no", false}} {
		before := s.pos
		if !s.space() || !s.has(part.name) {
			s.pos = before
			if part.required {
				return s.fail(at, "xml.declaration", "no version")
			}
			continue
		}
		s.pos += len(part.name)
		s.space()
		if !s.has("=") {
			return s.fail(s.pos, "xml.declaration", "malformed")
		}
		s.pos++
		s.space()
		if !s.has(`"`) && !s.has("'") {
			return s.fail(s.pos, "xml.declaration", "malformed")
		}
		n := bytes.IndexByte(s.src[s.pos+1:min(len(s.src), s.pos+64)], s.src[s.pos])
		if n < 0 {
			return s.fail(s.pos, "xml.declaration", "malformed")
		}
		value := s.src[s.pos+1 : s.pos+1+n]
		switch v := string(bytes.ToLower(value)); {
		case part.name == "encoding" && v != part.value:
			return s.fail(s.pos, "xml.encoding", "only UTF-8 is accepted")
		case part.name == "version" && v != part.value:
			return s.fail(s.pos, "xml.version", "only XML 1.0 is accepted")
		case part.name == "standalone" && string(value) != part.value && string(value) != part.other:
			return s.fail(s.pos, "xml.declaration", "malformed")
		}
		s.pos += n + 2
	}
	s.space()
	if !s.has("?>") {
		return s.fail(s.pos, "xml.declaration", "malformed")
	}
	s.pos += 2
	return true
}

// epilog reads white space and comments up to the end.
func (s *scanner) epilog() bool {
	for {
		s.space()
		switch {
		case s.pos >= len(s.src):
			return true
		case s.has("<!--"):
			if !s.comment() {
				return false
			}
		case s.has("<?"):
			return s.fail(s.pos, "xml.instruction", "processing instructions are not accepted")
		default:
			return s.fail(s.pos, "xml.trailing", "something follows the root element")
		}
	}
}

// elements reads the root with all it holds.
func (s *scanner) elements() bool {
	for s.markup() {
		if len(s.open) == 0 {
			return true
		}
		if !s.text() {
			return false
		}
	}
	return false
}

// markup reads one tag, comment or CDATA section.
func (s *scanner) markup() bool {
	if s.pos+1 < len(s.src) {
		switch s.src[s.pos+1] {
		case '/':
			return s.endTag()
		case '!', '?':
		default:
			return s.startTag()
		}
	}
	switch {
	case s.has("<!--"):
		s.mark(hasComment)
		return s.comment()
	case s.has("<![CDATA["):
		return s.cdata()
	case s.has("<!"):
		return s.fail(s.pos, "xml.doctype", "declarations are not accepted")
	case s.has("<?"):
		return s.fail(s.pos, "xml.instruction", "processing instructions are not accepted")
	}
	return s.startTag()
}

// mark sets a flag of the innermost open element.
func (s *scanner) mark(flag uint8) { s.nodes[s.open[len(s.open)-1]].flags |= flag }

const eightSpaces = 0x2020202020202020

// text reads character data up to the next markup.
func (s *scanner) text() bool {
	n := &s.nodes[s.open[len(s.open)-1]]
	for {
		src, at := s.src, s.pos // most text is white space, or plain
		for at < len(src) && textSpace[src[at]] {
			at++
			for at+8 <= len(src) && binary.LittleEndian.Uint64(src[at:]) == eightSpaces { // indentation
				at += 8
			}
		}
		if from := at; from < len(src) && textPlain[src[from]] {
			for at < len(src) && textPlain[src[at]] {
				at++
			}
			n.flags |= hasText
		}
		if s.pos = at; at >= len(src) {
			return s.fail(s.pos, "xml.end", "ends inside an element")
		}
		switch c := src[at]; {
		case c == '<':
			return true
		case textSpace[c]:
		case c == '\r':
			n.flags |= hasLineEnd
			s.pos++
		case c == '&':
			r, ok := s.reference()
			if !ok {
				return false
			}
			if n.flags |= hasReference; r > ' ' || !isSpace(byte(r)) {
				n.flags |= hasText
			}
		case c == '>':
			if s.pos >= 2 && s.src[s.pos-1] == ']' && s.src[s.pos-2] == ']' && s.pos-2 >= int(n.textAt) {
				return s.fail(s.pos-2, "xml.text", "]]> in text")
			}
			n.flags |= hasText
			s.pos++
		default:
			if !s.character() {
				return false
			}
			n.flags |= hasText
		}
	}
}

func (s *scanner) comment() bool {
	at := s.pos
	s.pos += len("<!--")
	for s.pos < len(s.src) {
		if s.has("--") {
			if !s.has("-->") {
				return s.fail(s.pos, "xml.comment", "-- in a comment")
			}
			s.pos += 3
			return true
		}
		if !s.character() {
			return false
		}
	}
	return s.fail(at, "xml.end", "ends inside a comment")
}

func (s *scanner) cdata() bool {
	at := s.pos
	s.pos += len("<![CDATA[")
	for s.pos < len(s.src) {
		if s.has("]]>") {
			s.pos += 3
			s.mark(hasCDATA | hasText)
			return true
		}
		if s.src[s.pos] == '\r' {
			s.mark(hasLineEnd)
		}
		if !s.character() {
			return false
		}
	}
	return s.fail(at, "xml.end", "ends inside a CDATA section")
}

// endTag reads </name> and closes the innermost element.
func (s *scanner) endTag() bool {
	if len(s.open) == 0 {
		return s.fail(s.pos, "xml.root", "no element")
	}
	i := s.open[len(s.open)-1]
	n := &s.nodes[i]
	n.textEnd = uint32(s.pos)
	tag := s.src[n.start+1 : n.nameEnd] // with its prefix
	at := s.pos
	s.pos += 2
	if len(s.src)-s.pos < len(tag) {
		s.pos = len(s.src)
		return s.fail(at, "xml.nesting", "end tag does not match the open element")
	}
	if !bytes.Equal(s.src[s.pos:s.pos+len(tag)], tag) {
		return s.fail(at, "xml.nesting", "end tag does not match the open element")
	}
	if s.pos += len(tag); s.pos < len(s.src) && s.src[s.pos] != '>' {
		s.space()
	}
	if s.pos >= len(s.src) || s.src[s.pos] != '>' {
		return s.fail(at, "xml.nesting", "end tag does not match the open element")
	}
	s.pos++
	s.close(i)
	return true
}

func (s *scanner) close(i uint32) {
	n := &s.nodes[i]
	n.end = uint32(s.pos)
	n.skip = uint32(len(s.nodes))
	s.open = s.open[:len(s.open)-1]
	for len(s.scope) > 0 && s.bindings[s.scope[len(s.scope)-1]].node == i {
		s.scope = s.scope[:len(s.scope)-1]
	}
}
