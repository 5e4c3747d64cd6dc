package intent

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/parleypay/parley/payments"
)

// reader takes the members out of one object, each exactly once. The first fault is kept and reported by done, with the path of
// the member and never its value; after a fault the accessors return zero values.
type reader struct {
	path   string
	object []member
	used   []bool
	fault  *error // shared with the readers of nested objects
}

func newReader(v value) *reader {
	r := &reader{fault: new(error)}
	r.enter(v, "")
	return r
}

func (r *reader) enter(v value, name string) {
	if v.kind != kindObject {
		r.fail(name, "is "+v.kind.String()+", not an object")
		return
	}
	r.object, r.used = v.object, make([]bool, len(v.object))
}

func (r *reader) fail(name, text string) {
	if *r.fault == nil {
		*r.fault = &FormatError{Path: r.path + name, Text: text}
	}
}

// done reports the first fault, or a member that nobody asked for.
func (r *reader) done() error {
	r.close()
	return *r.fault
}

func (r *reader) close() {
	for i, used := range r.used {
		if !used {
			// The name comes from the input: it is shown only when it is a plain word.
			if name := r.object[i].name; isWord(name, 32) {
				r.fail(name, "is not known here")
			} else {
				r.fail("", "has a member that is not known")
			}
		}
	}
}

// lookup returns the member of that kind. A missing one is a fault only when it is required.
func (r *reader) lookup(name string, k kind, required bool) (value, bool) {
	for i, m := range r.object {
		if m.name == name {
			r.used[i] = true
			if m.value.kind != k {
				r.fail(name, "is "+m.value.kind.String()+", not "+k.String())
				return value{}, false
			}
			return m.value, true
		}
	}
	if required {
		r.fail(name, "is missing")
	}
	return value{}, false
}

func (r *reader) text(name string) string {
	v, _ := r.lookup(name, kindString, true)
	return v.text
}

// optional returns the text of a member that may be absent. An empty text is a fault: absence has one form.
func (r *reader) optional(name string) string {
	v, ok := r.lookup(name, kindString, false)
	if ok && v.text == "" {
		r.fail(name, "is empty")
	}
	return v.text
}

func (r *reader) integer(name string, low, high int64) int64 {
	v, ok := r.lookup(name, kindInteger, true)
	if ok && (v.integer < low || v.integer > high) {
		r.fail(name, "is out of range")
	}
	return v.integer
}

// flag returns true when the member is there and true. A false is a fault: absence has one form.
func (r *reader) flag(name string) bool {
	v, ok := r.lookup(name, kindBool, false)
	if ok && !v.boolean {
		r.fail(name, "is false; it must be absent instead")
	}
	return v.boolean
}

// nested calls read with a reader of the object in that member and reports whether it was there.
func (r *reader) nested(name string, required bool, read func(*reader)) bool {
	v, ok := r.lookup(name, kindObject, required)
	if ok {
		inner := &reader{path: r.path + name + ".", object: v.object, used: make([]bool, len(v.object)), fault: r.fault}
		read(inner)
		inner.close()
	}
	return ok
}

// each calls read for every object of an optional array of at most most elements. An empty array is a fault.
func (r *reader) each(name string, most int, read func(*reader)) {
	v, ok := r.lookup(name, kindArray, false)
	if ok && (len(v.array) == 0 || len(v.array) > most) {
		r.fail(name, "has no or too many elements")
		return
	}
	for _, x := range v.array {
		inner := &reader{path: r.path + name + ".", fault: r.fault}
		inner.enter(x, "")
		read(inner)
		inner.close()
	}
}

// words returns an optional array of distinct words of at most 16 characters.
func (r *reader) words(name string, most int) []string {
	v, ok := r.lookup(name, kindArray, false)
	if !ok {
		return nil
	}
	if len(v.array) == 0 || len(v.array) > most {
		r.fail(name, "has no or too many elements")
		return nil
	}
	out := make([]string, 0, len(v.array))
	for _, x := range v.array {
		if x.kind != kindString || !isWord(x.text, 16) {
			r.fail(name, "has an element that is not a word")
			return nil
		}
		for _, have := range out {
			if have == x.text {
				r.fail(name, "has an element twice")
			}
		}
		out = append(out, x.text)
	}
	return out
}

func wordList(words []string) value {
	v := array()
	for _, w := range words {
		v.array = append(v.array, text(w))
	}
	return v
}

// isWord reports whether s is 1 to most ASCII letters, digits, '_', '-' or '.'.
func isWord(s string, most int) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return s != "" && len(s) <= most
}

// word returns an identifier, such as an audience, of at most most characters.
func (r *reader) word(name string, most int) string { return checkWord(r, name, r.text(name), most) }

func (r *reader) optionalWord(name string, most int) string {
	s := r.optional(name)
	if s == "" {
		return ""
	}
	return checkWord(r, name, s, most)
}

func checkWord(r *reader, name, s string, most int) string {
	if !isWord(s, most) {
		r.fail(name, "is not a word of ASCII letters, digits, '_', '-', '.' of the right length")
	}
	return s
}

// prose returns an optional text for people: 1 to most characters, graphic or space. Controls, line breaks and everything that
// reorders or hides text (Unicode category Cf, such as the bidirectional overrides) are refused.
func (r *reader) prose(name string, most int) string {
	s := r.optional(name)
	if utf8.RuneCountInString(s) > most {
		r.fail(name, "is too long")
	}
	if strings.TrimSpace(s) != s {
		r.fail(name, "has space at an end")
	}
	if !visible(s) {
		r.fail(name, "has a character that is not allowed")
	}
	return s
}

func visible(s string) bool {
	for _, c := range s {
		if c == utf8.RuneError || c != ' ' && !unicode.IsGraphic(c) || unicode.Is(unicode.Cf, c) || unicode.Is(unicode.Zs, c) && c != ' ' && c != '\u00a0' {
			return false
		}
	}
	return true
}

const timeLayout = "2006-01-02T15:04:05Z"

func timeText(t time.Time) value { return text(t.UTC().Format(timeLayout)) }

// time returns a UTC time with whole seconds in its one form.
func (r *reader) time(name string) time.Time { return checkTime(r, name, r.text(name)) }

func (r *reader) optionalTime(name string) time.Time {
	s := r.optional(name)
	if s == "" {
		return time.Time{}
	}
	return checkTime(r, name, s)
}

func checkTime(r *reader, name, s string) time.Time {
	t, err := time.Parse(timeLayout, s)
	if err != nil || t.Format(timeLayout) != s || t.Year() < 2000 || t.Year() > 9999 {
		r.fail(name, "is not a UTC time such as 2026-11-23T09:30:00Z")
		return time.Time{}
	}
	return t
}

func (r *reader) hash(name string) Hash {
	h, err := ParseHash(r.text(name))
	if err != nil {
		r.fail(name, "is not sha-256: and 64 hexadecimal digits")
	}
	return h
}

func (r *reader) optionalHash(name string) Hash {
	if _, ok := r.lookup(name, kindString, false); !ok {
		return Hash{}
	}
	return r.hash(name)
}

func (r *reader) intent() payments.IntentID {
	id, err := payments.ParseIntentID(r.text("intent"))
	if err != nil {
		r.fail("intent", "is not pi_ and a lower-case UUIDv7")
	}
	return id
}

func (r *reader) account(name string) payments.Account {
	a, err := payments.ParseAccount(r.text(name))
	if err != nil {
		r.fail(name, "is not an IBAN with right check digits or a domestic account number")
	}
	return a
}

// name returns a party's name.
func (r *reader) name(name string, required bool) payments.Name {
	v, ok := r.lookup(name, kindString, required)
	if !ok {
		return payments.Name{}
	}
	n, err := payments.ParseName(v.text)
	if err != nil || !visible(v.text) {
		r.fail(name, "is not a name of 1 to 140 visible characters")
		return payments.Name{}
	}
	return n
}

func (r *reader) agent(name string) payments.AgentID {
	a, err := payments.ParseAgentID(r.text(name))
	if err != nil {
		r.fail(name, "is neither a BIC, nor a routing number, nor an ISPB")
	}
	return a
}

// amount returns a payable amount: {"currency":"EUR","value":"129.90"} with exactly the currency's decimals.
func (r *reader) amount(name string, required bool) (a payments.Amount) {
	r.nested(name, required, func(r *reader) {
		c, err := payments.ParseCurrency(r.text("currency"))
		if err != nil {
			r.fail("currency", "is not an ISO 4217 code")
		}
		v := r.text("value")
		if a, err = payments.ParseAmount(v, c); err != nil {
			r.fail("value", "is not a decimal with exactly the currency's digits")
		} else if !a.Payable() {
			r.fail("value", "is not above zero")
		}
	})
	return a
}

func amountValue(a payments.Amount) value {
	return object(is("currency", text(string(a.Currency))), is("value", text(a.Text())))
}

func (v value) withAmount(name string, a payments.Amount) value {
	if a == (payments.Amount{}) {
		return v
	}
	return v.with(name, amountValue(a))
}

func (v value) withTime(name string, t time.Time) value {
	if t.IsZero() {
		return v
	}
	return v.with(name, timeText(t))
}

func (v value) withHash(name string, h Hash) value {
	if h.IsZero() {
		return v
	}
	return v.with(name, text(h.String()))
}

func (v value) withWords(name string, words []string) value {
	if len(words) == 0 {
		return v
	}
	return v.with(name, wordList(words))
}
