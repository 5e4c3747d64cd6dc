package iso20022

import (
	"iter"
	"time"

	"github.com/parleypay/parley/payments"
)

// decoder reads a scanned and validated document into a model. What the schema allows and the model does not hold is refused by a
// rule, unless it is one of the informational elements that the methods name and pass over: these change neither the amount, nor who
// pays and is paid, nor under what condition, and remain in the bytes received. So a decoder loses nothing that matters to money.
//
// The first fault is kept and everything after it is in vain.
type decoder struct {
	*tree
	s     string // the source, once, for the model's strings to share
	fault *Fault
}

// decode scans b, validates it against its schema and has it read as M. The error is a *Fault.
func decode[M any](b []byte, read func(*decoder, *M), msgDefs ...string) (*M, error) {
	t := getTree()
	defer putTree(t)
	if f := t.scan(b); f != nil {
		return nil, f
	}
	known := false
	for _, m := range msgDefs {
		known = known || string(t.uri(0)) == Namespace(m)
	}
	if !known {
		return nil, t.fault(0, "model.message", "the root element is not of "+msgDefs[len(msgDefs)-1])
	}
	if f := isoTables.validate(t); f != nil {
		return nil, f
	}
	d := decoder{tree: t, s: string(b)}
	d.plainAttributes()
	m := new(M)
	read(&d, m)
	if d.fault != nil {
		return nil, d.fault
	}
	return m, nil
}

func (d *decoder) fail(i uint32, rule, text string) {
	if d.fault == nil {
		d.fault = d.tree.fault(i, rule, text)
	}
}

// outside refuses an element that the schema allows and the model does not hold.
func (d *decoder) outside(i uint32) {
	d.fail(i, "model.element", "the element is valid, but nothing here can act on it")
}

// repeated refuses a second occurrence of what the model holds once.
func (d *decoder) repeated(i uint32) {
	d.fail(i, "model.repeated", "the schema allows more than one, here there may be only one")
}

// plainAttributes refuses attributes beyond Ccy, and the place of a schema on the root.
func (d *decoder) plainAttributes() {
	if len(d.attrs) == 0 {
		return
	}
	for i := range d.nodes {
		for _, a := range d.attributes(uint32(i)) {
			if a.ns == noNamespace || i == 0 && string(d.src[a.nameAt:a.nameEnd]) != "type" {
				continue // the schema allows Ccy only
			}
			d.fail(uint32(i), "model.attribute", "an attribute that says nothing a payment needs")
		}
	}
}

// children iterates over the elements inside i, with their names.
func (d *decoder) children(i uint32) iter.Seq2[uint32, string] {
	return func(yield func(uint32, string) bool) {
		for c := i + 1; c < d.next(i); c = d.next(c) {
			n := &d.nodes[c]
			if !yield(c, d.s[n.nameAt:n.nameEnd]) {
				return
			}
		}
	}
}

// only returns the first element inside i, which the schema demands.
func (d *decoder) only(i uint32) (uint32, string) {
	n := &d.nodes[i+1]
	return i + 1, d.s[n.nameAt:n.nameEnd]
}

// text returns free text.
func (d *decoder) text(i uint32) string {
	n := &d.nodes[i]
	switch {
	case n.flags&hasComment != 0:
		d.fail(i, "model.comment", "a comment inside a value")
	case n.flags&(hasReference|hasCDATA|hasLineEnd) != 0:
		return string(d.tree.text(i))
	}
	return d.s[n.textAt:n.textEnd]
}

// id returns an identifier.
func (d *decoder) id(i uint32) string {
	v := d.text(i)
	if why := checkID(v); why != "" {
		d.fail(i, "model.id", why)
	}
	return v
}

// plain returns the text of a value that needs no markup: amounts, dates, codes.
func (d *decoder) plain(i uint32) string {
	n := &d.nodes[i]
	if n.flags&(hasReference|hasCDATA|hasComment|hasLineEnd) != 0 {
		d.fail(i, "model.markup", "markup or a line end inside a value that needs none")
	}
	return d.s[n.textAt:n.textEnd]
}

// code returns an external code. A code that is in no list is kept: ISO publishes new ones every quarter.
func (d *decoder) code(i uint32) string {
	v := d.plain(i)
	if !isCode(v) {
		d.fail(i, "model.code", "not ASCII letters and digits")
	}
	return v
}

// choice returns the code or the proprietary text of element i.
func (d *decoder) choice(i uint32) (code, proprietary string) {
	if c, name := d.only(i); name == "Cd" {
		return d.code(c), ""
	} else {
		return "", d.id(c)
	}
}

// time returns a date and time with its zone. A time without one is refused, and what Go's clock cannot hold.
func (d *decoder) time(i uint32) time.Time {
	v := d.plain(i)
	t, why := parseTime(v)
	if why != "" {
		d.fail(i, "model.time", why)
	}
	return t
}

// parseTime reads a dateTime that the schema allows: YYYY-MM-DDThh:mm:ss, up to nine decimals, and Z or an offset.
func parseTime(v string) (_ time.Time, why string) {
	if len(v) < len("2006-01-02T15:04:05Z") || v[4] != '-' || v[0] == '-' {
		return time.Time{}, "no zone, or a year before 1 or after 9999"
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
	if v[at] == '.' {
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
	case at == len(v):
		return time.Time{}, "no zone"
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

// date returns a day without a zone.
func (d *decoder) date(i uint32) string {
	v := d.plain(i)
	if !isPlainDate(v) {
		d.fail(i, "model.date", "not a date as YYYY-MM-DD, without a zone")
	}
	return v
}

func (d *decoder) uetr(i uint32) payments.UETR {
	u, err := payments.ParseUETR(d.plain(i))
	if err != nil {
		d.fail(i, "model.uetr", "not a lower-case UUID of version 4")
	}
	return u
}

// amount returns an amount with exactly its currency's decimals and nothing but digits and a point: no sign, exponent, space or
// superfluous zero, though the schema allows some of them. It is above zero.
func (d *decoder) amount(i uint32) payments.Amount {
	a := d.attributes(i)[0] // the schema demands it, plainAttributes allows no other
	if a.flags != 0 {
		d.fail(i, "model.markup", "markup inside a currency")
		return payments.Amount{}
	}
	c, err := payments.ParseCurrency(d.s[a.valueAt:a.valueEnd])
	if err != nil {
		d.fail(i, "model.currency", "unknown currency")
		return payments.Amount{}
	}
	v, err := payments.ParseAmount(d.plain(i), c)
	switch {
	case err != nil:
		d.fail(i, "model.amount", "not plain digits with exactly the decimals of the currency")
	case !v.Payable():
		d.fail(i, "model.amount", "zero")
	}
	return v
}

// flag returns a boolean.
func (d *decoder) flag(i uint32) bool {
	switch d.plain(i) {
	case "true", "1":
		return true
	case "false", "0":
	default:
		d.fail(i, "model.boolean", "white space around a boolean")
	}
	return false
}

// one refuses a number of transactions other than 1.
func (d *decoder) one(i uint32) {
	if d.plain(i) != "1" {
		d.fail(i, "model.transactions", "other than exactly one transaction")
	}
}
