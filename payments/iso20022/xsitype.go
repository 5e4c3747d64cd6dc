package iso20022

import (
	"bytes"
	"strings"
)

// What xsi:type says of elements in supplementary data, which no schema of ISO 20022 declares.

// typedBy begins with element i of the type that the attribute names: one of the message's schema, or of XML Schema itself.
func (v *validator) typedBy(f *frame, i uint32, a *attr) {
	uri, name := v.qName(i, v.tree.attrValue(a))
	switch string(uri) {
	case v.schema.namespace:
		if typ, ok := v.typeNamed(string(name)); ok {
			v.undeclared = i
			v.typed(f, i, typ)
			return
		}
	case "http://www.w3.org/2001/XMLSchema":
		if string(name) == "anyType" {
			return
		}
		if f.builtIn = builtIn(string(name)); f.builtIn != nil {
			f.mode = modeBuiltIn
			list := v.tree.attributes(i)
			for k := range list {
				if b := &list[k]; string(v.tree.uris[b.ns]) != xsiNamespace {
					v.failAttribute(i, b, "schema.attribute", "an attribute of an element that holds a value")
				}
			}
			return
		}
	}
	v.failAttribute(i, a, "schema.type", "xsi:type names no known type")
	f.mode = modeSkipped
}

// qName takes a qualified name apart at element i. White space around it is part of it, as for libxml2.
func (v *validator) qName(i uint32, value []byte) (uri, local []byte) {
	prefix, name, ok := bytes.Cut(value, []byte(":"))
	if !ok {
		prefix, name = nil, prefix
	}
	return v.tree.uriOf(i, prefix), name
}

// typeNamed returns the type of that name in the schema in hand.
func (v *validator) typeNamed(name string) (typ uint16, ok bool) {
	if v.named == nil {
		v.named = map[string]uint16{}
		var add func(typ uint16)
		add = func(typ uint16) {
			t := &v.types[typ]
			if _, known := v.named[t.name]; known && t.name != "" {
				return
			}
			v.named[t.name] = typ
			for k := range t.elems {
				add(t.elems[k].typ)
			}
		}
		add(v.schema.typ)
		delete(v.named, "")
	}
	typ, ok = v.named[name]
	return typ, ok
}

// builtIn returns what tells the values of a type of XML Schema (Part 2, section 3), nil of one that is not known here.
func builtIn(name string) func([]byte) bool {
	switch name {
	case "anySimpleType", "string", "normalizedString", "token":
		return func([]byte) bool { return true }
	case "boolean":
		return isBoolean
	case "decimal":
		return func(s []byte) bool { _, ok := parseDecimal(s); return ok }
	case "date":
		return isDate
	case "dateTime":
		return isDateTime
	case "time":
		return isTime
	case "gYear":
		return isGYear
	case "gYearMonth":
		return isGYearMonth
	case "base64Binary":
		return func(s []byte) bool { _, ok := base64Octets(s); return ok }
	}
	if r, ok := integers[name]; ok {
		return r.holds
	}
	return nil
}

// integerRange is the least and the greatest integer of a type, as text; "" if there is none.
type integerRange struct{ low, high string }

var integers = map[string]integerRange{
	"integer": {}, "nonNegativeInteger": {low: "0"}, "positiveInteger": {low: "1"}, "nonPositiveInteger": {high: "0"}, "negativeInteger": {high: "-1"},
	"long": {"-9223372036854775808", "9223372036854775807"}, "int": {"-2147483648", "2147483647"}, "short": {"-32768", "32767"}, "byte": {"-128", "127"},
	"unsignedLong": {"0", "18446744073709551615"}, "unsignedInt": {"0", "4294967295"}, "unsignedShort": {"0", "65535"}, "unsignedByte": {"0", "255"},
}

// holds follows libxml2 2.9 in what XML Schema has otherwise: at most 24 digits, white space and for unsigned numbers a sign only where a
// type has no bounds on both sides.
func (r integerRange) holds(s []byte) bool {
	if bounded := r.low != "" && r.high != ""; !bounded {
		s = trimSpace(s)
	} else if r.low == "0" && len(s) > 0 && !isDigit(s[0]) {
		return false
	}
	v, ok := integer(string(s))
	return ok && (r.low == "" || !less(v, r.low)) && (r.high == "" || !less(r.high, v))
}

// integer returns [+-]?digits without plus sign and superfluous zeros.
func integer(s string) (string, bool) {
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = "-"
		}
		s = s[1:]
	}
	for k := range len(s) {
		if !isDigit(s[k]) {
			return "", false
		}
	}
	if s == "" {
		return "", false
	}
	switch s = strings.TrimLeft(s, "0"); {
	case s == "":
		return "0", true
	case len(s) > 24:
		return "", false
	}
	return sign + s, true
}

// less compares integers as integer returns them.
func less(a, b string) bool {
	switch negative := a[0] == '-'; {
	case negative != (b[0] == '-'):
		return negative
	case negative:
		return less(b[1:], a[1:])
	case len(a) != len(b):
		return len(a) < len(b)
	}
	return a < b
}
