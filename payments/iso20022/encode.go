package iso20022

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parleypay/parley/payments"
)

// encoder appends elements to a buffer. The bytes are canonical already: no white space between elements, no empty-element tags, one
// default namespace, and only the escapes of Canonical XML 1.0, so that a digest can be taken of them as they are.
//
// The first fault is kept and everything after it is in vain; Append then returns the buffer as it was.
type encoder struct {
	b     []byte
	start int
	open  [32]string // names of the open elements
	depth int
	fault *Fault
}

// finish returns the result of Append.
func (e *encoder) finish() ([]byte, error) {
	if e.fault != nil {
		return e.b[:e.start], e.fault
	}
	return e.b, nil
}

func (e *encoder) fail(name, rule, text string) {
	if e.fault != nil {
		return
	}
	path := "/" + strings.Join(e.open[:e.depth], "/")
	if name != "" {
		path += "/" + name
	}
	e.fault = &Fault{Path: path, Rule: rule, Text: text}
}

// root opens the root element in the namespace of a message definition.
func (e *encoder) root(name, msgDef string) {
	e.start = len(e.b)
	e.b = append(e.b, '<')
	e.b = append(e.b, name...)
	e.b = append(e.b, ` xmlns="`...)
	e.b = append(e.b, namespacePrefix...)
	e.b = append(e.b, msgDef...)
	e.b = append(e.b, `">`...)
	e.open[0], e.depth = name, 1
}

func (e *encoder) begin(name string) {
	e.tag(name)
	e.open[e.depth] = name
	e.depth++
}

// end closes the innermost open element.
func (e *encoder) end() {
	e.depth--
	e.endTag(e.open[e.depth])
}

func (e *encoder) tag(name string) {
	e.b = append(e.b, '<')
	e.b = append(e.b, name...)
	e.b = append(e.b, '>')
}

func (e *encoder) endTag(name string) {
	e.b = append(e.b, '<', '/')
	e.b = append(e.b, name...)
	e.b = append(e.b, '>')
}

// raw writes an element whose value is known to need no check or escape.
func (e *encoder) raw(name, v string) {
	e.tag(name)
	e.b = append(e.b, v...)
	e.endTag(name)
}

// text writes an element of at most max characters, nothing if it is empty.
func (e *encoder) text(name, v string, max int) {
	if v == "" {
		return
	}
	if why := checkText(v, max); why != "" {
		e.fail(name, "model.text", why)
	}
	e.tag(name)
	e.b = appendEscaped(e.b, v, false)
	e.endTag(name)
}

// id writes an identifier, such as Max35Text: like text, but without white space at its ends or control characters.
func (e *encoder) id(name, v string, max int) {
	if why := checkID(v); why != "" {
		e.fail(name, "model.id", why)
	}
	e.text(name, v, max)
}

// required is id that must not be empty.
func (e *encoder) required(name, v string, max int) {
	if v == "" {
		e.fail(name, "model.missing", "required")
	}
	e.id(name, v, max)
}

// code writes an external code of at most max characters, nothing if it is empty.
func (e *encoder) code(name, v string, max int) {
	if v == "" {
		return
	}
	if len(v) > max || !isCode(v) {
		e.fail(name, "model.code", "not ASCII letters and digits, or too long")
		return
	}
	e.raw(name, v)
}

// choice writes <name><Cd>code</Cd></name> or <name><Prtry>proprietary</Prtry></name>, nothing if both are empty.
func (e *encoder) choice(name, code string, maxCode int, proprietary string) {
	switch {
	case code == "" && proprietary == "":
		return
	case code != "" && proprietary != "":
		e.fail(name, "model.choice", "both a code and a proprietary text")
	}
	e.begin(name)
	e.code("Cd", code, maxCode)
	e.id("Prtry", proprietary, 35)
	e.end()
}

// time writes a date and time with its zone, nothing if it is zero.
func (e *encoder) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	if _, offset := t.Zone(); offset%60 != 0 || offset > 14*3600 || offset < -14*3600 || t.Year() < 1 || t.Year() > 9999 {
		e.fail(name, "model.time", "year beyond 9999 or offset not in whole minutes up to 14 hours")
		return
	}
	e.tag(name)
	e.b = t.AppendFormat(e.b, timeLayout)
	e.endTag(name)
}

func (e *encoder) requiredTime(name string, t time.Time) {
	if t.IsZero() {
		e.fail(name, "model.missing", "required")
	}
	e.time(name, t)
}

// date writes a date without a zone, nothing if it is empty.
func (e *encoder) date(name, v string) {
	if v == "" {
		return
	}
	if !isPlainDate(v) {
		e.fail(name, "model.date", "not a date as YYYY-MM-DD")
		return
	}
	e.raw(name, v)
}

func (e *encoder) uetr(name string, v payments.UETR) {
	if v == "" {
		return
	}
	if _, err := payments.ParseUETR(string(v)); err != nil {
		e.fail(name, "model.uetr", "not a lower-case UUID of version 4")
		return
	}
	e.raw(name, string(v))
}

// amount writes an amount with its currency. It must be payable and have at most 18 digits.
func (e *encoder) amount(name string, a payments.Amount) {
	if !a.Payable() || a.Minor > maxMinor {
		e.fail(name, "model.amount", "not above zero in a known currency, or over 18 digits")
		return
	}
	e.b = append(e.b, '<')
	e.b = append(e.b, name...)
	e.b = append(e.b, ` Ccy="`...)
	e.b = append(e.b, a.Currency...)
	e.b = append(e.b, '"', '>')
	e.b = a.AppendText(e.b)
	e.endTag(name)
}

// maxMinor is the largest amount of 18 digits (totalDigits of ActiveCurrencyAndAmount).
const maxMinor = 999_999_999_999_999_999

// timeLayout keeps the zone and writes fractions of a second without trailing zeros.
const timeLayout = "2006-01-02T15:04:05.999999999Z07:00"

const namespacePrefix = "urn:iso:std:iso:20022:tech:xsd:"

// appendEscaped appends text, or an attribute's value, with the escapes of Canonical XML 1.0, section 1.1.
func appendEscaped(dst []byte, s string, attribute bool) []byte {
	at := 0
	for i := 0; i < len(s); i++ {
		var esc string
		switch c := s[i]; {
		case c > '>':
			continue
		case c == '&':
			esc = "&amp;"
		case c == '<':
			esc = "&lt;"
		case c == '>' && !attribute:
			esc = "&gt;"
		case c == '"' && attribute:
			esc = "&quot;"
		case c == '\r':
			esc = "&#xD;"
		case c == '\n' && attribute:
			esc = "&#xA;"
		case c == '\t' && attribute:
			esc = "&#x9;"
		default:
			continue
		}
		dst = append(append(dst, s[at:i]...), esc...)
		at = i + 1
	}
	return append(dst, s[at:]...)
}

// checkText says why v is no text of at most max characters, or "".
func checkText(v string, max int) string {
	n := 0
	for i := 0; i < len(v); n++ {
		if c := v[i]; c >= ' ' && c < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(v[i:])
		if r == utf8.RuneError && size == 1 || !isChar(r) {
			return "not UTF-8, or a character that XML does not allow"
		}
		i += size
	}
	if n > max {
		return "too long"
	}
	return ""
}

// checkID says why v is no identifier, or "".
func checkID(v string) string {
	if v != "" && (v[0] == ' ' || v[len(v)-1] == ' ') {
		return "space at an end"
	}
	for i := range len(v) {
		if v[i] < ' ' || v[i] == 0x7f {
			return "control character"
		}
	}
	return ""
}

func isCode(v string) bool {
	for i := range len(v) {
		if c := v[i]; !isDigit(c) && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// isPlainDate reports whether v is a day as YYYY-MM-DD.
func isPlainDate(v string) bool { return len(v) == len("2006-01-02") && isDate([]byte(v)) }
