package iso20022

import (
	"slices"
	"time"

	"github.com/parleypay/parley/payments"
)

// Each method here writes the element name with the value, or reads it if it is the next element. Nothing is written for the zero
// value, unless the method says so.

// room makes place for n octets more, and returns the buffer with them and where they begin. One call for an element, instead of an
// append for each piece of it, is what makes writing quick.
func (x *codec) room(n int) ([]byte, int) {
	at := len(x.b)
	if cap(x.b)-at < n {
		x.b = slices.Grow(x.b, n)
	}
	x.b = x.b[:at+n]
	return x.b, at
}

func (x *codec) tag(name string) {
	b, at := x.room(len(name) + 2)
	b[at] = '<'
	at += 1 + copy(b[at+1:], name)
	b[at] = '>'
}

func (x *codec) endTag(name string) {
	b, at := x.room(len(name) + 3)
	b[at], b[at+1] = '<', '/'
	at += 2 + copy(b[at+2:], name)
	b[at] = '>'
}

// raw writes an element whose value is known to need no check or escape.
func (x *codec) raw(name, v string) {
	b, at := x.room(2*len(name) + len(v) + 5)
	b[at] = '<'
	at += 1 + copy(b[at+1:], name)
	b[at] = '>'
	at += 1 + copy(b[at+1:], v)
	b[at], b[at+1] = '<', '/'
	at += 2 + copy(b[at+2:], name)
	b[at] = '>'
}

// text is free text of at most max characters.
func (x *codec) text(name string, v *string, max int) {
	if !x.reading {
		x.putText(name, *v, max)
	} else if c, ok := x.take(name); ok {
		*v = x.textOf(c)
	}
}

func (x *codec) putText(name, v string, max int) {
	if v == "" {
		return
	}
	if len(v) <= max && isPlainText(v) {
		x.raw(name, v)
		return
	}
	if why := checkText(v, max); why != "" {
		x.fail(name, "model.text", why)
	}
	x.tag(name)
	x.b = appendEscaped(x.b, v, false)
	x.endTag(name)
}

// texts is free text, several times.
func (x *codec) texts(name string, list *[]string, max int) {
	if !x.reading {
		for _, v := range *list {
			if v == "" {
				x.missing(name)
			}
			x.putText(name, v, max)
		}
		return
	}
	for {
		c, ok := x.take(name)
		if !ok {
			return
		}
		*list = append(*list, x.textOf(c))
	}
}

// id is an identifier, such as Max35Text: text without white space at its ends or control characters.
func (x *codec) id(name string, v *string, max int) {
	if !x.reading {
		x.putID(name, *v, max)
	} else if c, ok := x.take(name); ok {
		*v = x.idOf(c)
	}
}

func (x *codec) putID(name, v string, max int) {
	if v == "" {
		return
	}
	if len(v) <= max && v[0] != ' ' && v[len(v)-1] != ' ' && isPlainText(v) {
		x.raw(name, v)
		return
	}
	if why := checkID(v); why != "" {
		x.fail(name, "model.id", why)
	}
	x.putText(name, v, max)
}

// required is an identifier of at most 35 characters that must be given.
func (x *codec) required(name string, v *string) {
	if !x.reading && *v == "" {
		x.missing(name)
	}
	x.id(name, v, 35)
}

// endToEnd is id of the type payments.EndToEndID.
func (x *codec) endToEnd(name string, v *payments.EndToEndID) { x.id(name, (*string)(v), 35) }

// code is an external code of at most max characters. When reading, a code that is in no list is kept: ISO publishes new ones every
// quarter.
func (x *codec) code(name string, v *string, max int) {
	if !x.reading {
		x.putCode(name, *v, max)
	} else if c, ok := x.take(name); ok {
		*v = x.codeOf(c)
	}
}

func (x *codec) putCode(name, v string, max int) {
	if v != "" && x.checkCode(name, v, max) {
		x.raw(name, v)
	}
}

// checkCode reports whether v can be written as a code.
func (x *codec) checkCode(name, v string, max int) bool {
	ok := len(v) <= max && isCode(v)
	if !ok {
		x.fail(name, "model.code", notCode)
	}
	return ok
}

const notCode = "not ASCII letters and digits, or too long"

// fixed is an element that always has the one value, which other is told of otherwise.
func (x *codec) fixed(name, v, rule, other string) {
	if !x.reading {
		x.raw(name, v)
	} else if c, ok := x.take(name); ok && x.plainOf(c) != v {
		x.failAt(c, rule, other)
	}
}

// one is a number of transactions, which must be 1.
func (x *codec) one(name string) {
	x.fixed(name, "1", "model.transactions", "other than exactly one transaction")
}

// passOne passes over a number of transactions, which must be 1.
func (x *codec) passOne(name string) {
	if x.reading {
		x.one(name)
	}
}

// choice is an element that holds a code as Cd or a proprietary text as Prtry, never both.
func (x *codec) choice(name string, code *string, maxCode int, proprietary *string) {
	if x.reading {
		x.eitherOf(name, code, maxCode, proprietary)
		return
	}
	switch {
	case *code != "" && *proprietary != "":
		x.fail(name, "model.choice", "both a code and a proprietary text")
	case *code != "":
		x.putCodeIn(name, *code, maxCode)
	case *proprietary != "":
		x.eitherOf(name, code, maxCode, proprietary)
	}
}

func (x *codec) eitherOf(name string, code *string, maxCode int, proprietary *string) {
	if x.begin(name) {
		x.code("Cd", code, maxCode)
		x.id("Prtry", proprietary, 35)
		x.end()
	}
}

// onlyCode is an element that holds a code as Cd; a proprietary text is refused.
func (x *codec) onlyCode(name string, code *string, max int) {
	if !x.reading {
		x.putCodeIn(name, *code, max)
	} else if x.begin(name) {
		x.code("Cd", code, max)
		x.end()
	}
}

// putCodeIn writes an element that holds a code as Cd.
func (x *codec) putCodeIn(name, v string, max int) {
	if v == "" {
		return
	}
	if len(v) > max || !isCode(v) {
		x.fail(name+"/Cd", "model.code", notCode)
	}
	b := append(append(append(x.b, '<'), name...), "><Cd>"...)
	b = append(append(append(b, v...), "</Cd></"...), name...)
	x.b = append(b, '>')
}

// time is a date and time with its zone, or in the zone of the format.
func (x *codec) time(name string, t *time.Time) {
	if x.reading {
		if c, ok := x.take(name); ok {
			*t = x.timeOf(c)
		}
		return
	}
	if t.IsZero() {
		return
	}
	at := *t
	if zone := x.format.LocalZone; zone != nil {
		at = at.In(zone)
	}
	x.tag(name)
	b, why := appendTime(x.b, at, x.format.LocalZone == nil)
	if x.b = b; why != "" {
		x.fail(name, "model.time", why)
	}
	x.endTag(name)
}

func (x *codec) requiredTime(name string, t *time.Time) {
	if !x.reading && t.IsZero() {
		x.missing(name)
	}
	x.time(name, t)
}

// date is a day without a zone, YYYY-MM-DD.
func (x *codec) date(name string, v *string) {
	if x.reading {
		if c, ok := x.take(name); ok {
			*v = x.dateOf(c)
		}
		return
	}
	switch {
	case *v == "":
	case !isPlainDate(*v):
		x.fail(name, "model.date", "not a date as YYYY-MM-DD")
	default:
		x.raw(name, *v)
	}
}

// day is an element that holds a day as Dt or a date and time as DtTm, of which the day in its own zone is kept.
func (x *codec) day(name string, v *string) {
	if (!x.reading && *v == "") || !x.begin(name) {
		return
	}
	x.date("Dt", v)
	if x.reading && x.is("DtTm") {
		c, _ := x.take("DtTm")
		if !x.timeOf(c).IsZero() && x.fault == nil {
			*v = x.plainOf(c)[:len("2006-01-02")]
		}
	}
	x.end()
}

// moment is an element that holds a day as Dt or a date and time as DtTm, whichever is set.
func (x *codec) moment(name string, m *Moment) {
	if !x.reading && m.Date != "" && !m.Time.IsZero() {
		x.fail(name, "model.choice", "both a day and a time")
	}
	if x.begin(name) {
		x.date("Dt", &m.Date)
		x.time("DtTm", &m.Time)
		x.end()
	}
}

func (x *codec) uetr(name string, v *payments.UETR) {
	if x.reading {
		if c, ok := x.take(name); ok {
			*v = x.uetrOf(c)
		}
		return
	}
	if *v == "" {
		return
	}
	if _, err := payments.ParseUETR(string(*v)); err != nil {
		x.fail(name, "model.uetr", "not a lower-case UUID of version 4")
		return
	}
	x.raw(name, string(*v))
}

// amount is an amount with its currency, above zero and with at most 18 digits.
func (x *codec) amount(name string, a *payments.Amount) {
	if x.reading {
		if c, ok := x.take(name); ok {
			*a = x.amountOf(c)
		}
		return
	}
	if *a == (payments.Amount{}) {
		return
	}
	x.requiredAmount(name, a)
}

// requiredAmount is amount that must be given.
func (x *codec) requiredAmount(name string, a *payments.Amount) {
	if x.reading {
		x.amount(name, a)
		return
	}
	if x.keep && *a == (payments.Amount{}) {
		return
	}
	if !a.Payable() || a.Minor > maxMinor {
		x.fail(name, "model.amount", "not above zero in a known currency, or over 18 digits")
		return
	}
	x.putAmount(name, a)
}

// money is an amount that may be zero, and is always written.
func (x *codec) money(name string, a *payments.Amount) {
	if x.reading {
		if c, ok := x.take(name); ok {
			*a = x.moneyOf(c)
		}
		return
	}
	if x.keep && *a == (payments.Amount{}) {
		return
	}
	if _, known := a.Currency.Digits(); !known || a.Minor < 0 || a.Minor > maxMinor {
		x.fail(name, "model.amount", "below zero, not in a known currency, or over 18 digits")
		return
	}
	x.putAmount(name, a)
}

func (x *codec) putAmount(name string, a *payments.Amount) {
	x.b = append(x.b, '<')
	x.b = append(x.b, name...)
	x.b = append(x.b, ` Ccy="`...)
	x.b = append(x.b, a.Currency...)
	x.b = append(x.b, '"', '>')
	x.b = a.AppendText(x.b)
	x.endTag(name)
}

// currency is an ISO 4217 code by itself.
func (x *codec) currency(name string, v *payments.Currency) {
	if x.reading {
		if c, ok := x.take(name); ok {
			known, err := payments.ParseCurrency(x.plainOf(c))
			if *v = known; err != nil && !x.informal {
				x.failAt(c, "model.currency", "unknown currency")
			}
		}
		return
	}
	if *v == "" {
		return
	}
	if _, known := v.Digits(); !known {
		x.fail(name, "model.currency", "unknown currency")
		return
	}
	x.raw(name, string(*v))
}

// sameAmount reads an amount that must be that of the payment. It is not written.
func (x *codec) sameAmount(name string, a payments.Amount) {
	if !x.reading {
		return
	}
	if c, ok := x.take(name); ok && x.amountOf(c) != a {
		x.failAt(c, "model.sum", "not the amount of the payment")
	}
}

// flag is a boolean, written only if it is true.
func (x *codec) flag(name string, v *bool) {
	if !x.reading && *v {
		x.raw(name, "true")
	}
	if x.reading {
		x.boolean(name, v)
	}
}

// certain is a boolean that must be true where it stands, since it says nothing otherwise.
func (x *codec) certain(name string, v *bool) {
	at := x.reading && x.is(name)
	if x.flag(name, v); at && !*v {
		x.fail("", "model.element", "a justification that says no")
	}
}

// boolean is a boolean that is always written.
func (x *codec) boolean(name string, v *bool) {
	if x.reading {
		if c, ok := x.take(name); ok {
			*v = x.booleanOf(c)
		}
		return
	}
	if *v {
		x.raw(name, "true")
	} else {
		x.raw(name, "false")
	}
}

// optionalBoolean is a boolean, or nil if it is not said.
func (x *codec) optionalBoolean(name string, v **bool) {
	if x.reading {
		if c, ok := x.take(name); ok {
			b := x.booleanOf(c)
			*v = &b
		}
	} else if *v != nil {
		x.boolean(name, *v)
	}
}

// chargeBearer is ChrgBr: DEBT, CRED, SHAR or SLEV.
func (x *codec) chargeBearer(v *string) {
	if x.reading {
		x.code("ChrgBr", v, 4)
		return
	}
	if x.keep && *v == "" {
		return
	}
	switch *v {
	case "DEBT", "CRED", "SHAR", "SLEV":
		x.raw("ChrgBr", *v)
	default:
		x.fail("ChrgBr", "model.code", "neither DEBT, CRED, SHAR nor SLEV")
	}
}

// maxMinor is the largest amount of 18 digits (totalDigits of ActiveCurrencyAndAmount).
const maxMinor = 999_999_999_999_999_999

const namespacePrefix = "urn:iso:std:iso:20022:tech:xsd:"
