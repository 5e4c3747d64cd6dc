package iso20022

import (
	"bytes"
	"unicode/utf8"
)

// startTag reads <name attributes> or <name attributes/>.
func (s *scanner) startTag() bool {
	at := s.pos
	switch {
	case len(s.open) >= s.limits.Depth:
		return s.fail(at, "xml.depth", "elements are nested deeper than the limit")
	case len(s.nodes)+s.forgotten >= s.limits.Elements:
		return s.fail(at, "xml.elements", "more elements than the limit")
	}
	i := uint32(len(s.nodes))
	parent := i
	if n := len(s.open); n > 0 {
		parent = s.open[n-1]
	}
	if end := plainName(s.src, at+1); end < len(s.src) && s.src[end] == '>' && end-at <= maxNameBytes { // <name>, as most are
		b := s.lookUp(nil)
		s.pos = end + 1
		s.nodes = append(s.nodes, node{
			start: uint32(at), nameAt: uint32(at + 1), nameEnd: uint32(end), textAt: uint32(s.pos), textEnd: uint32(s.pos),
			parent: parent, attrAt: uint32(len(s.attrs)), binding: b, ns: s.bindings[b].ns,
		})
		s.open = append(s.open, i)
		return true
	}
	s.pos++
	prefixAt := s.pos
	nameAt, ok := s.qualifiedName()
	if !ok {
		return false
	}
	s.nodes = append(s.nodes, node{
		start: uint32(at), nameAt: uint32(nameAt), nameEnd: uint32(s.pos), parent: parent, attrAt: uint32(len(s.attrs)),
	})
	s.open = append(s.open, i)
	closed, ok := s.attributeList(i)
	if !ok {
		return false
	}
	n := &s.nodes[i]
	prefix := s.src[prefixAt:max(prefixAt, nameAt-1)]
	n.binding = s.lookUp(prefix)
	if n.binding == 0 && len(prefix) > 0 {
		return s.fail(at, "xml.prefix", "prefix is not declared")
	}
	n.ns = s.bindings[n.binding].ns
	if !s.resolveAttributes(i) {
		return false
	}
	n.textAt, n.textEnd = uint32(s.pos), uint32(s.pos)
	if closed {
		s.close(i)
	}
	return true
}

// attributeList reads the rest of a start tag. Namespace declarations come into force; the others are resolved afterwards.
func (s *scanner) attributeList(i uint32) (closed, ok bool) {
	for count := 0; ; count++ {
		space := s.space()
		switch {
		case s.pos >= len(s.src):
			return false, s.fail(s.pos, "xml.end", "ends inside a tag")
		case s.src[s.pos] == '>':
			s.pos++
			return false, true
		case s.has("/>"):
			s.pos += 2
			return true, true
		case !space:
			return false, s.fail(s.pos, "xml.tag", "malformed start tag")
		case count >= s.limits.Attributes:
			return false, s.fail(s.pos, "xml.attributes", "more attributes than the limit")
		}
		prefixAt := s.pos
		nameAt, ok := s.qualifiedName()
		if !ok {
			return false, false
		}
		a := attr{nameAt: uint32(nameAt), nameEnd: uint32(s.pos), binding: uint16(nameAt - prefixAt)} // prefix length, until resolved
		if !s.attributeValue(&a) {
			return false, false
		}
		name := string(s.src[prefixAt:a.nameEnd])
		if name == "xmlns" || len(name) > 6 && name[:6] == "xmlns:" {
			if !s.declare(i, a, name == "xmlns") {
				return false, false
			}
			continue
		}
		s.attrs = append(s.attrs, a)
		s.nodes[i].attrs++
	}
}

// attributeValue reads ="value".
func (s *scanner) attributeValue(a *attr) bool {
	s.space()
	if !s.has("=") {
		return s.fail(s.pos, "xml.tag", "attribute without a value")
	}
	s.pos++
	s.space()
	if !s.has(`"`) && !s.has("'") {
		return s.fail(s.pos, "xml.tag", "attribute value is not quoted")
	}
	quote := s.src[s.pos]
	s.pos++
	a.valueAt = uint32(s.pos)
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; {
		case c == quote:
			a.valueEnd = uint32(s.pos)
			s.pos++
			return true
		case c == '<':
			return s.fail(s.pos, "xml.tag", "< in an attribute value")
		case c == '&':
			a.flags |= hasReference
			if _, ok := s.reference(); !ok {
				return false
			}
		case c == '\r' || c == '\n' || c == '\t':
			a.flags |= hasLineEnd
			s.pos++
		default:
			if !s.character() {
				return false
			}
		}
	}
	return s.fail(s.pos, "xml.end", "ends inside a tag")
}

// declare brings a namespace declaration into force.
func (s *scanner) declare(i uint32, a attr, isDefault bool) bool {
	at := int(a.nameAt)
	if len(s.bindings)-2 >= s.limits.Namespaces || len(s.scope) >= maxInForce {
		return s.fail(at, "xml.namespaces", "more namespace declarations than the limit")
	}
	b := binding{node: i}
	if !isDefault {
		b.prefixAt, b.prefixEnd = a.nameAt, a.nameEnd
	}
	prefix := string(s.src[b.prefixAt:b.prefixEnd])
	uri := s.attrValue(&a)
	switch {
	case prefix == "xmlns" || string(uri) == xmlnsNamespace:
		return s.fail(at, "xml.namespace", "xmlns cannot be declared")
	case (prefix == "xml") != (string(uri) == xmlNamespace):
		return s.fail(at, "xml.namespace", "the prefix xml and its namespace belong together")
	case len(uri) == 0 && !isDefault:
		return s.fail(at, "xml.namespace", "a prefix needs a namespace")
	}
	for k := len(s.scope) - 1; k >= 0 && s.bindings[s.scope[k]].node == i; k-- {
		if other := &s.bindings[s.scope[k]]; string(s.src[other.prefixAt:other.prefixEnd]) == prefix {
			return s.fail(at, "xml.duplicate", "namespace prefix is declared twice")
		}
	}
	if len(s.uris) > maxInForce {
		return s.fail(at, "xml.namespaces", "more namespaces than the limit")
	}
	b.ns = s.intern(uri)
	s.scope = append(s.scope, uint16(len(s.bindings)))
	s.bindings = append(s.bindings, b)
	return true
}

func (s *scanner) intern(uri []byte) uint16 {
	if len(uri) == 0 {
		return noNamespace
	}
	for k := len(s.uris) - 1; k > 0; k-- {
		if bytes.Equal(s.uris[k], uri) {
			return uint16(k)
		}
	}
	n := len(s.names)
	s.names = append(s.names, uri...) // src may be a window that moves on
	s.uris = append(s.uris, s.names[n:len(s.names):len(s.names)])
	return uint16(len(s.uris) - 1)
}

// lookUp returns the binding of a prefix that is in force, 0 if there is none.
func (s *scanner) lookUp(prefix []byte) uint16 {
	for k := len(s.scope) - 1; k >= 0; k-- {
		b := &s.bindings[s.scope[k]]
		if len(prefix) == 0 && b.prefixAt == b.prefixEnd {
			return s.scope[k]
		}
		if bytes.Equal(s.src[b.prefixAt:b.prefixEnd], prefix) {
			return s.scope[k]
		}
	}
	if string(prefix) == "xml" {
		return 1
	}
	return 0
}

// resolveAttributes finds the namespaces of an element's attributes and refuses two of one name.
func (s *scanner) resolveAttributes(i uint32) bool {
	list := s.attributes(i)
	for k := range list {
		a := &list[k]
		prefixLen := uint32(a.binding)
		a.binding = 0
		if prefixLen > 0 {
			prefix := s.src[a.nameAt-prefixLen : a.nameAt-1]
			if a.binding = s.lookUp(prefix); a.binding == 0 {
				return s.fail(int(a.nameAt), "xml.prefix", "prefix is not declared")
			}
			a.ns = s.bindings[a.binding].ns
		}
		for j := range list[:k] {
			if b := &list[j]; b.ns == a.ns && bytes.Equal(s.src[a.nameAt:a.nameEnd], s.src[b.nameAt:b.nameEnd]) {
				return s.fail(int(a.nameAt), "xml.duplicate", "attribute stands twice")
			}
		}
	}
	return true
}

// qualifiedName reads prefix:local or local and returns where the local name starts.
func (s *scanner) qualifiedName() (nameAt int, ok bool) {
	nameAt = s.pos
	if !s.ncName() {
		return 0, false
	}
	at := nameAt
	if s.pos < len(s.src) && s.src[s.pos] == ':' {
		s.pos++
		nameAt = s.pos
		if !s.ncName() {
			return 0, false
		}
	}
	if s.pos-at > maxNameBytes {
		return 0, s.fail(at, "xml.name", "name is too long")
	}
	return nameAt, true
}

// plainName returns where a name of ASCII characters that begins at at ends: at itself if none begins there.
func plainName(src []byte, at int) int {
	if at >= len(src) || !nameByte[src[at]] || src[at] <= '9' {
		return at
	}
	for at++; at < len(src) && nameByte[src[at]]; at++ {
	}
	return at
}

// ncName reads a name without a colon (Namespaces in XML 1.0, NCName).
func (s *scanner) ncName() bool {
	at := s.pos
	s.pos = plainName(s.src, at)
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		if nameByte[c] {
			if s.pos == at && (c == '-' || c == '.' || c >= '0' && c <= '9') {
				break
			}
			s.pos++
			continue
		}
		if c < utf8.RuneSelf {
			break
		}
		r, size := utf8.DecodeRune(s.src[s.pos:])
		if r == utf8.RuneError && size == 1 {
			return s.fail(s.pos, "xml.encoding", "not UTF-8")
		}
		if !isNameRune(r, s.pos == at) {
			break
		}
		s.pos += size
	}
	if s.pos == at {
		return s.fail(at, "xml.name", "malformed name")
	}
	return true
}
