package iso20022

import (
	"time"
	"unicode/utf8"

	"github.com/parleypay/parley/payments"
)

// What values of payments must look like, beyond what a schema demands: the checks of writing, and the methods that read element i.

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

// isPlainText reports whether v is printable ASCII without anything to escape.
func isPlainText(v string) bool {
	for i := range len(v) {
		if !plainText[v[i]] {
			return false
		}
	}
	return true
}

var plainText = func() (plain [256]bool) {
	for c := byte(' '); c < 0x7f; c++ {
		plain[c] = c != '<' && c != '&' && c != '>'
	}
	return plain
}()

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

// textOf returns free text.
func (x *codec) textOf(i uint32) string {
	n := &x.nodes[i]
	switch {
	case n.flags&hasComment != 0:
		x.failAt(i, "model.comment", "a comment inside a value")
		return ""
	case n.flags&(hasReference|hasCDATA|hasLineEnd) != 0:
		return string(x.tree.text(i))
	}
	return x.s[n.textAt:n.textEnd]
}

// idOf returns an identifier.
func (x *codec) idOf(i uint32) string {
	v := x.textOf(i)
	if why := checkID(v); why != "" {
		x.failAt(i, "model.id", why)
		return ""
	}
	return v
}

// plainOf returns the text of a value that needs no markup: amounts, dates, codes.
func (x *codec) plainOf(i uint32) string {
	n := &x.nodes[i]
	if n.flags&(hasReference|hasCDATA|hasComment|hasLineEnd) != 0 {
		x.failAt(i, "model.markup", "markup or a line end inside a value that needs none")
		return ""
	}
	return x.s[n.textAt:n.textEnd]
}

// codeOf returns an external code. A code that is in no list is kept: ISO publishes new ones every quarter.
func (x *codec) codeOf(i uint32) string {
	v := x.plainOf(i)
	if !isCode(v) {
		x.failAt(i, "model.code", "not ASCII letters and digits")
		return ""
	}
	return v
}

// timeOf returns a date and time with its zone. A time without one is refused, and what Go's clock cannot hold.
func (x *codec) timeOf(i uint32) time.Time {
	v := x.plainOf(i)
	if v == "" {
		return time.Time{}
	}
	t, why := parseTime(v, x.format.LocalZone)
	if why != "" {
		x.failAt(i, "model.time", why)
		return time.Time{}
	}
	return t
}

const noZone = "no zone"

// parseTime reads a dateTime that the schema allows: YYYY-MM-DDThh:mm:ss, up to nine decimals, and Z or an offset, or neither if it
// is in a local zone.
func parseTime(v string, local *time.Location) (_ time.Time, why string) {
	if v[4] != '-' || v[0] == '-' {
		return time.Time{}, "a year before 1 or after 9999"
	}
	digits := func(at, n int) int {
		x := 0
		for _, c := range []byte(v[at : at+n]) {
			x = x*10 + int(c-'0')
		}
		return x
	}
	hour := digits(11, 2)
	if hour == 24 {
		return time.Time{}, "24:00:00 instead of the next day"
	}
	at, nanos := 19, 0
	if at < len(v) && v[at] == '.' {
		n := 1
		for at+n < len(v) && isDigit(v[at+n]) {
			n++
		}
		if n > 10 {
			return time.Time{}, "more than nine decimals of a second"
		}
		nanos = digits(at+1, n-1)
		for k := n; k < 10; k++ {
			nanos *= 10
		}
		at += n
	}
	zone := time.UTC
	switch {
	case at == len(v) && local != nil:
		zone = local
	case local != nil:
		return time.Time{}, "a zone, where the rail writes local time without one"
	case at == len(v):
		return time.Time{}, noZone
	case v[at:] == "-00:00":
		return time.Time{}, "an unknown zone (-00:00)"
	case v[at] == '+' || v[at] == '-':
		offset := digits(at+1, 2)*3600 + digits(at+4, 2)*60
		if v[at] == '-' {
			offset = -offset
		}
		if offset != 0 {
			zone = time.FixedZone("", offset)
		}
	}
	t := time.Date(digits(0, 4), time.Month(digits(5, 2)), digits(8, 2), hour, digits(14, 2), digits(17, 2), nanos, zone)
	if t.IsZero() {
		return t, "the zero time"
	}
	return t, ""
}

// appendTime writes a time as parseTime reads it: without trailing zeros in the fraction of a second, and with its zone or without. It
// says why that cannot be, or "".
func appendTime(b []byte, t time.Time, zone bool) (_ []byte, why string) {
	_, offset := t.Zone()
	if local := t.Unix() + int64(offset); local < firstSecond || local > lastSecond {
		return b, "year before 1 or beyond 9999"
	}
	switch {
	case !zone:
		return t.AppendFormat(b, "2006-01-02T15:04:05.999999999"), ""
	case offset%60 != 0 || offset > 14*3600 || offset < -14*3600:
		return b, "offset not in whole minutes up to 14 hours"
	}
	return t.AppendFormat(b, time.RFC3339Nano), ""
}

// Seconds from 1970 to the beginning of the year 1, and to the end of the year 9999.
const (
	firstSecond = -62135596800
	lastSecond  = 253402300799
)

// dateOf returns a day without a zone.
func (x *codec) dateOf(i uint32) string {
	v := x.plainOf(i)
	if !isPlainDate(v) {
		x.failAt(i, "model.date", "not a date as YYYY-MM-DD, without a zone")
		return ""
	}
	return v
}

func (x *codec) uetrOf(i uint32) payments.UETR {
	u, err := payments.ParseUETR(x.plainOf(i))
	if err != nil {
		x.failAt(i, "model.uetr", "not a lower-case UUID of version 4")
	}
	return u
}

// amountOf returns an amount above zero.
func (x *codec) amountOf(i uint32) payments.Amount {
	v := x.moneyOf(i)
	if !v.Payable() {
		x.failAt(i, "model.amount", "zero")
		return payments.Amount{}
	}
	return v
}

// moneyOf returns an amount with exactly its currency's decimals and nothing but digits and a point: no sign, exponent, space or
// superfluous zero, though the schema allows some of them.
func (x *codec) moneyOf(i uint32) payments.Amount {
	a := x.attributes(i)[0] // the schema demands it, plainAttributes allows no other
	if a.flags != 0 {
		x.failAt(i, "model.markup", "markup inside a currency")
		return payments.Amount{}
	}
	c, err := payments.ParseCurrency(x.s[a.valueAt:a.valueEnd])
	if err != nil {
		x.failAt(i, "model.currency", "unknown currency")
		return payments.Amount{}
	}
	v, err := payments.ParseAmount(x.plainOf(i), c)
	if err != nil {
		x.failAt(i, "model.amount", "not plain digits with exactly the decimals of the currency")
		if x.keep {
			v, _ = exactAmount(x.plainOf(i), c)
		}
	}
	return v
}

// booleanOf returns a boolean.
func (x *codec) booleanOf(i uint32) bool {
	switch x.plainOf(i) {
	case "true", "1":
		return true
	case "false", "0":
	default:
		x.failAt(i, "model.boolean", "white space around a boolean")
	}
	return false
}
