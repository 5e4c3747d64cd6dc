package iso20022

import (
	"bytes"
	"unicode/utf8"
)

// textPlain marks the ASCII characters of text that need no second look, textSpace the white space that is no carriage return, nameByte
// the characters of names.
var textPlain, textSpace, nameByte = func() (plain, space, name [256]bool) {
	space[' '], space['\n'], space['\t'] = true, true, true
	for c := byte('!'); c < utf8.RuneSelf; c++ {
		plain[c] = c != '<' && c != '&' && c != '>'
		name[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
	}
	return
}()

// isChar reports whether XML 1.0 allows the character (production Char).
func isChar(r rune) bool {
	return r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

// isNameRune reports whether a character beyond ASCII may stand in a name, or start one (XML 1.0, fifth edition, NameChar).
func isNameRune(r rune, first bool) bool {
	if !first && (r == 0xB7 || r >= 0x300 && r <= 0x36F || r == 0x203F || r == 0x2040) {
		return true
	}
	return r >= 0xC0 && r <= 0x2FF && r != 0xD7 && r != 0xF7 || r >= 0x370 && r <= 0x1FFF && r != 0x37E ||
		r == 0x200C || r == 0x200D || r >= 0x2070 && r <= 0x218F || r >= 0x2C00 && r <= 0x2FEF || r >= 0x3001 && r <= 0xD7FF ||
		r >= 0xF900 && r <= 0xFDCF || r >= 0xFDF0 && r <= 0xFFFD || r >= 0x10000 && r <= 0xEFFFF
}

// character reads one character.
func (s *scanner) character() bool {
	if c := s.src[s.pos]; c >= ' ' && c < utf8.RuneSelf {
		s.pos++
		return true
	}
	r, size := utf8.DecodeRune(s.src[s.pos:])
	if r == utf8.RuneError && size == 1 {
		return s.fail(s.pos, "xml.encoding", "not UTF-8")
	}
	if !isChar(r) {
		return s.fail(s.pos, "xml.character", "character is not allowed in XML")
	}
	s.pos += size
	return true
}

// reference reads &name; or &#number; and returns its character.
func (s *scanner) reference() (rune, bool) {
	end := bytes.IndexByte(s.src[s.pos:min(len(s.src), s.pos+16)], ';')
	if end < 0 {
		return 0, s.fail(s.pos, "xml.reference", "malformed reference")
	}
	r, ok := resolveReference(s.src[s.pos+1 : s.pos+end])
	if !ok {
		return 0, s.fail(s.pos, "xml.reference", "not one of the five entities, nor a character")
	}
	s.pos += end + 1
	return r, true
}

// resolveReference returns the character of a reference, given without & and ;.
func resolveReference(name []byte) (rune, bool) {
	switch string(name) {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	if len(name) < 2 || name[0] != '#' {
		return 0, false
	}
	digits, base := name[1:], rune(10)
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	if len(digits) == 0 {
		return 0, false
	}
	var r rune
	for _, c := range digits {
		d := rune(99)
		switch {
		case c >= '0' && c <= '9':
			d = rune(c - '0')
		case c >= 'a' && c <= 'f':
			d = rune(c-'a') + 10
		case c >= 'A' && c <= 'F':
			d = rune(c-'A') + 10
		}
		if d >= base || r > utf8.MaxRune {
			return 0, false
		}
		r = r*base + d
	}
	return r, isChar(r)
}

// text returns the characters of a leaf element: its bytes, or a copy with references resolved, CDATA opened, comments left out
// and line ends made one line feed (XML 1.0, 2.11).
func (t *tree) text(i uint32) []byte {
	n := &t.nodes[i]
	raw := t.src[n.textAt:n.textEnd]
	if n.flags&(hasReference|hasCDATA|hasComment|hasLineEnd) == 0 {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for k := 0; k < len(raw); {
		switch c := raw[k]; {
		case c == '&':
			end := k + bytes.IndexByte(raw[k:], ';')
			r, _ := resolveReference(raw[k+1 : end])
			out = utf8.AppendRune(out, r)
			k = end + 1
		case c == '<' && raw[k+2] == '-': // <!--
			k += 4 + bytes.Index(raw[k+4:], []byte("-->")) + 3
		case c == '<': // <![CDATA[
			end := k + bytes.Index(raw[k:], []byte("]]>"))
			out = appendLines(out, raw[k+len("<![CDATA["):end])
			k = end + 3
		default:
			end := k + 1
			for end < len(raw) && raw[end] != '&' && raw[end] != '<' {
				end++
			}
			out = appendLines(out, raw[k:end])
			k = end
		}
	}
	return out
}

func appendLines(dst, src []byte) []byte {
	for k, c := range src {
		switch {
		case c != '\r':
			dst = append(dst, c)
		case k+1 >= len(src) || src[k+1] != '\n':
			dst = append(dst, '\n')
		}
	}
	return dst
}

// attrValue returns the value of an attribute, normalised (XML 1.0, 3.3.3, CDATA).
func (t *tree) attrValue(a *attr) []byte {
	raw := t.src[a.valueAt:a.valueEnd]
	if a.flags == 0 {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for k := 0; k < len(raw); k++ {
		switch c := raw[k]; {
		case c == '&':
			end := k + bytes.IndexByte(raw[k:], ';')
			r, _ := resolveReference(raw[k+1 : end])
			out = utf8.AppendRune(out, r)
			k = end
		case c == '\r' && k+1 < len(raw) && raw[k+1] == '\n':
		case c == '\r' || c == '\n' || c == '\t':
			out = append(out, ' ')
		default:
			out = append(out, c)
		}
	}
	return out
}

// path returns the element names from the root to i.
func (t *tree) path(i uint32) string {
	var buf [256]byte
	b := buf[:0]
	var room [32]uint32
	chain := append(room[:0], i)
	for t.nodes[i].parent != i {
		i = t.nodes[i].parent
		chain = append(chain, i)
	}
	for n := len(chain) - 1; n >= 0; n-- {
		b = append(b, '/')
		b = append(b, printableName(t.name(chain[n]))...)
	}
	return string(b)
}

// printableName returns an element name as it may stand in an error: a name no schema could hold is not repeated.
func printableName(name []byte) []byte {
	if len(name) > 40 {
		return []byte("?")
	}
	for _, c := range name {
		if c >= utf8.RuneSelf {
			return []byte("?")
		}
	}
	return name
}

// place is a position in a text.
type place struct{ at, line, col int } // octet from 0; line and column, in octets, from 1

// advance returns the place at an octet further on. A line ends with LF, CR LF or CR.
func (p place) advance(src []byte, at int) place {
	part := src[p.at:at]
	if bytes.IndexByte(part, '\r') < 0 {
		if n := bytes.Count(part, newline); n > 0 {
			p.line += n
			p.col = 0
			part = part[bytes.LastIndexByte(part, '\n'):]
		}
		return place{at, p.line, p.col + len(part)}
	}
	for k := p.at; k < at; k++ {
		p.col++
		if src[k] == '\n' || src[k] == '\r' && (k+1 >= len(src) || src[k+1] != '\n') {
			p.line++
			p.col = 1
		}
	}
	p.at = at
	return p
}

var newline = []byte{'\n'}

// position returns line and column of an offset, both from 1. Offsets that grow cost as much as the document is long, together.
func (t *tree) position(at int) (line, col int) {
	at = min(at, len(t.src))
	if at < t.from.at { // the start tag of an element whose document is read in parts
		for _, p := range t.settled {
			if p.at >= at {
				return p.line, p.col
			}
		}
	}
	if at < t.last.at {
		t.last = t.from
	}
	p := t.last.advance(t.src, max(at, t.last.at))
	if at < len(t.src) || at == 0 || t.src[at-1] != '\r' { // behind which a stream may bring a line feed
		t.last = p
	}
	return p.line, p.col
}
