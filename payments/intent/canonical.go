package intent

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	maxDepth   = 8
	maxMembers = 64        // per object or array
	maxInteger = 1<<53 - 1 // RFC 7493 §2.2
)

// FormatError says that bytes are not the JSON or the object that they should be. It never holds a value from the input.
type FormatError struct {
	Path string // member, such as "creditor.account"; empty for the text as a whole
	Text string
}

// Error returns the path and the text.
func (e *FormatError) Error() string {
	if e.Path == "" {
		return "intent: " + e.Text
	}
	return "intent: " + e.Path + ": " + e.Text
}

// Canonicalize returns the canonical form (RFC 8785) of one JSON text. It accepts less than JSON: at most MaxPayload bytes and 8
// levels; no duplicate member names (RFC 7493 §2.3); no number but integers of at most 2^53-1 in magnitude; no lone surrogate or
// noncharacter; every string in Unicode normalisation form C. What is signed is always its own canonical form.
func Canonicalize(json []byte) ([]byte, error) {
	v, err := parseJSON(json, MaxPayload)
	if err != nil {
		return nil, err
	}
	return v.append(nil), nil
}

// parseCanonical parses b and refuses it unless it is its own canonical form.
func parseCanonical(b []byte, maxBytes int) (value, error) {
	v, err := parseJSON(b, maxBytes)
	if err != nil {
		return value{}, err
	}
	if !bytes.Equal(v.append(make([]byte, 0, len(b))), b) {
		return value{}, &FormatError{Text: "JSON is not in canonical form (RFC 8785)"}
	}
	return v, nil
}

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindInteger
	kindString
	kindArray
	kindObject
)

func (k kind) String() string {
	return [...]string{"null", "a boolean", "an integer", "a string", "an array", "an object"}[k]
}

// value is one JSON value. Only the field of its kind is set.
type value struct {
	kind    kind
	boolean bool
	integer int64
	text    string
	array   []value
	object  []member
}

type member struct {
	name  string
	value value
}

func text(s string) value         { return value{kind: kindString, text: s} }
func integer(n int64) value       { return value{kind: kindInteger, integer: n} }
func boolean(b bool) value        { return value{kind: kindBool, boolean: b} }
func array(v ...value) value      { return value{kind: kindArray, array: v} }
func object(m ...member) value    { return value{kind: kindObject, object: m} }
func is(n string, v value) member { return member{n, v} }

// with returns the object with one more member.
func (v value) with(name string, x value) value {
	v.object = append(v.object, member{name, x})
	return v
}

// withText adds a string member unless s is empty.
func (v value) withText(name, s string) value {
	if s == "" {
		return v
	}
	return v.with(name, text(s))
}

// append appends the canonical form. It sorts the members of objects in place.
func (v value) append(dst []byte) []byte {
	switch v.kind {
	case kindBool:
		return strconv.AppendBool(dst, v.boolean)
	case kindInteger:
		return strconv.AppendInt(dst, v.integer, 10)
	case kindString:
		return appendString(dst, v.text)
	case kindArray:
		dst = append(dst, '[')
		for i, x := range v.array {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = x.append(dst)
		}
		return append(dst, ']')
	case kindObject:
		slices.SortFunc(v.object, func(a, b member) int { return compareUTF16(a.name, b.name) })
		dst = append(dst, '{')
		for i, m := range v.object {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, m.name), ':')
			dst = m.value.append(dst)
		}
		return append(dst, '}')
	default:
		return append(dst, "null"...)
	}
}

// compareUTF16 orders member names by their UTF-16 code units (RFC 8785 §3.2.3), which differs from byte order above U+D7FF.
func compareUTF16(a, b string) int {
	for a != "" && b != "" {
		ra, na := utf8.DecodeRuneInString(a)
		rb, nb := utf8.DecodeRuneInString(b)
		if ra != rb {
			ua, ub := utf16.AppendRune(nil, ra), utf16.AppendRune(nil, rb)
			return slices.Compare(ua, ub)
		}
		a, b = a[na:], b[nb:]
	}
	return len(a) - len(b)
}

// appendString writes a string as RFC 8785 §3.2.2.2 says: the two-character escapes, \u00xx for other controls, all else as it is.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ':
			dst = append(dst, c)
		default:
			if j := strings.IndexByte("\b\t\n\f\r", c); j >= 0 {
				dst = append(dst, '\\', "btnfr"[j])
			} else {
				dst = fmt.Appendf(dst, `\u%04x`, c)
			}
		}
	}
	return append(dst, '"')
}

// parser reads one strict JSON text (RFC 8259 within RFC 7493).
type parser struct {
	s     string
	pos   int
	depth int
}

func parseJSON(b []byte, maxBytes int) (value, error) {
	if len(b) > maxBytes {
		return value{}, &FormatError{Text: fmt.Sprintf("JSON is over %d bytes", maxBytes)}
	}
	if !utf8.Valid(b) {
		return value{}, &FormatError{Text: "JSON is not UTF-8"}
	}
	p := parser{s: string(b)}
	p.space()
	v, err := p.value()
	if err == nil {
		if p.space(); p.pos < len(p.s) {
			err = errors.New("text after the JSON value")
		}
	}
	if err != nil {
		return value{}, &FormatError{Text: fmt.Sprintf("JSON at byte %d: %v", p.pos, err)}
	}
	return v, nil
}

func (p *parser) peek() byte {
	if p.pos < len(p.s) {
		return p.s[p.pos]
	}
	return 0
}

func (p *parser) space() {
	for p.pos < len(p.s) && strings.IndexByte(" \t\n\r", p.s[p.pos]) >= 0 {
		p.pos++
	}
}

func (p *parser) literal(word string) error {
	if !strings.HasPrefix(p.s[p.pos:], word) {
		return errors.New("not a JSON value")
	}
	p.pos += len(word)
	return nil
}

func (p *parser) value() (value, error) {
	switch c := p.peek(); {
	case c == '{':
		return p.nested('}', p.member)
	case c == '[':
		return p.nested(']', func(v *value) error {
			x, err := p.value()
			v.array = append(v.array, x)
			return err
		})
	case c == '"':
		s, err := p.string()
		return text(s), err
	case c == 't':
		return boolean(true), p.literal("true")
	case c == 'f':
		return boolean(false), p.literal("false")
	case c == 'n':
		return value{}, p.literal("null")
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	default:
		return value{}, errors.New("not a JSON value")
	}
}

// nested reads an object or array, whose opening bracket is at p.pos; item reads one element into v.
func (p *parser) nested(end byte, item func(v *value) error) (value, error) {
	v := value{kind: kindArray}
	if end == '}' {
		v.kind = kindObject
	}
	if p.depth++; p.depth > maxDepth {
		return v, fmt.Errorf("over %d levels", maxDepth)
	}
	p.pos++
	p.space()
	if p.peek() == end {
		p.pos++
		p.depth--
		return v, nil
	}
	for n := 1; ; n++ {
		if n > maxMembers {
			return v, fmt.Errorf("over %d members or elements", maxMembers)
		}
		if err := item(&v); err != nil {
			return v, err
		}
		p.space()
		switch p.peek() {
		case ',':
			p.pos++
			p.space()
		case end:
			p.pos++
			p.depth--
			return v, nil
		default:
			return v, fmt.Errorf("comma or %c missing", end)
		}
	}
}

func (p *parser) member(v *value) error {
	if p.peek() != '"' {
		return errors.New("member name missing")
	}
	name, err := p.string()
	if err != nil {
		return err
	}
	for _, m := range v.object {
		if m.name == name {
			return errors.New("member name occurs twice")
		}
	}
	p.space()
	if p.peek() != ':' {
		return errors.New("colon missing")
	}
	p.pos++
	p.space()
	x, err := p.value()
	v.object = append(v.object, member{name, x})
	return err
}

func (p *parser) number() (value, error) {
	start := p.pos
	if p.peek() == '-' {
		p.pos++
	}
	first := p.pos
	for p.pos < len(p.s) && p.s[p.pos] >= '0' && p.s[p.pos] <= '9' {
		p.pos++
	}
	digits := p.s[first:p.pos]
	switch c := p.peek(); {
	case digits == "" || len(digits) > 1 && digits[0] == '0' || digits == "0" && first > start:
		return value{}, errors.New("number is not a plain integer")
	case c == '.' || c == 'e' || c == 'E':
		return value{}, errors.New("number has a fraction or exponent")
	}
	n, err := strconv.ParseInt(p.s[start:p.pos], 10, 64)
	if err != nil || n > maxInteger || n < -maxInteger {
		return value{}, errors.New("integer is beyond 2^53-1")
	}
	return integer(n), nil
}

// string reads a string, whose opening quote is at p.pos.
func (p *parser) string() (string, error) {
	p.pos++
	start, plain := p.pos, true
	var out []byte
	for {
		if p.pos >= len(p.s) {
			return "", errors.New("string does not end")
		}
		c := p.s[p.pos]
		switch {
		case c == '"':
			s := p.s[start:p.pos]
			if !plain {
				s = string(out)
			}
			p.pos++
			return s, checkString(s)
		case c < ' ':
			return "", errors.New("control character in string")
		case c != '\\':
			if !plain {
				out = append(out, c)
			}
			p.pos++
		default:
			if plain {
				plain, out = false, append(out, p.s[start:p.pos]...)
			}
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		}
	}
}

// escape reads one escape sequence, or the two of a surrogate pair.
func (p *parser) escape() (rune, error) {
	if p.pos+1 >= len(p.s) {
		return 0, errors.New("escape does not end")
	}
	c := p.s[p.pos+1]
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		p.pos += 2
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	r, err := p.unit()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if p.peek() != '\\' {
		return 0, errors.New("lone surrogate")
	}
	low, err := p.unit()
	if err != nil {
		return 0, errors.New("lone surrogate")
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, errors.New("lone surrogate")
	}
	return r, nil
}

// unit reads \uXXXX.
func (p *parser) unit() (rune, error) {
	if p.pos+6 > len(p.s) || p.s[p.pos+1] != 'u' {
		return 0, errors.New("unknown escape")
	}
	var r rune
	for _, c := range []byte(p.s[p.pos+2 : p.pos+6]) {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, errors.New("escape is not four hexadecimal digits")
		}
	}
	p.pos += 6
	return r, nil
}

// checkString refuses noncharacters (RFC 7493 §2.1) and text that is not in normalisation form C.
func checkString(s string) error {
	for _, r := range s {
		if r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef {
			return errors.New("noncharacter in string")
		}
	}
	if !norm.NFC.IsNormalString(s) {
		return errors.New("string is not in normalisation form C")
	}
	return nil
}
