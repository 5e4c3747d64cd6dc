package iso20022

import "unicode/utf8"

// What texts the XSD base types take (XML Schema Part 2). White space around a decimal, boolean or base64Binary is allowed. Around
// dates and times the verdict follows libxml2 2.9, the oracle of the tests, which allows it before a time, after the zone of a
// dateTime, and around a dateTime with a pattern, but nowhere else. No decoder here accepts any of it.

func trimSpace(s []byte) []byte {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// decimalText is a decimal number taken apart: the digits that count, without leading and trailing zeros.
type decimalText struct {
	negative        bool // and not zero
	whole, fraction int  // numbers of digits
}

// decimalDigits is how many digits libxml2 reads of a decimal at most, from the first one that is not a zero before the point.
const decimalDigits = 24

// parseDecimal reads [+-]?(digits(.digits?)?|.digits), of at most decimalDigits.
func parseDecimal(s []byte) (d decimalText, ok bool) {
	s = trimSpace(s)
	negative := false
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		negative = s[0] == '-'
		s = s[1:]
	}
	digits, point, significant := 0, false, false
	zeros := 0 // at the end of the fraction so far
	read := 0  // as libxml2 counts
	for _, c := range s {
		switch {
		case c == '.' && !point && read < decimalDigits:
			point = true
			continue
		case !isDigit(c):
			return d, false
		}
		digits++
		significant = significant || c != '0'
		if significant || point {
			if read++; read > decimalDigits {
				return d, false
			}
		}
		switch {
		case !point && significant:
			d.whole++
		case point && c == '0':
			zeros++
		case point:
			d.fraction += zeros + 1
			zeros = 0
		}
	}
	d.negative = negative && significant
	return d, digits > 0
}

func isBoolean(s []byte) bool {
	switch string(trimSpace(s)) {
	case "true", "false", "1", "0":
		return true
	}
	return false
}

// number reads n digits and returns their value.
func number(s []byte, n int) (v int, rest []byte, ok bool) {
	if len(s) < n {
		return 0, nil, false
	}
	for _, c := range s[:n] {
		if !isDigit(c) {
			return 0, nil, false
		}
		v = v*10 + int(c-'0')
	}
	return v, s[n:], true
}

func literal(s []byte, c byte) ([]byte, bool) {
	if len(s) == 0 || s[0] != c {
		return nil, false
	}
	return s[1:], true
}

// year reads a year: at least four digits, no superfluous zero, not 0000, perhaps negative, and at most what 63 bits hold, as for the
// oracle. The year returned is taken modulo 400, which is enough for leap years.
func year(s []byte) (y int, rest []byte, ok bool) {
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	n := 0
	value := uint64(0)
	for n < len(s) && isDigit(s[n]) {
		if n >= len("9223372036854775807") {
			return 0, nil, false
		}
		value = value*10 + uint64(s[n]-'0')
		n++
	}
	return int(value % 400), s[n:], n >= 4 && value > 0 && value <= 1<<63-1 && (n == 4 || s[0] != '0')
}

func monthDay(s []byte, y int) (rest []byte, ok bool) {
	month, s, ok := number(s, 2)
	if !ok || month < 1 || month > 12 {
		return nil, false
	}
	if s, ok = literal(s, '-'); !ok {
		return nil, false
	}
	day, s, ok := number(s, 2)
	return s, ok && day >= 1 && day <= daysOf(y, month)
}

func daysOf(y, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// clock reads hh:mm:ss with an optional fraction; 24:00:00 is midnight.
func clock(s []byte) (rest []byte, ok bool) {
	var part [3]int
	for i := range part {
		if i > 0 {
			if s, ok = literal(s, ':'); !ok {
				return nil, false
			}
		}
		if part[i], s, ok = number(s, 2); !ok {
			return nil, false
		}
	}
	fraction := false // not zero
	if r, point := literal(s, '.'); point {
		n := 0
		for n < len(r) && isDigit(r[n]) {
			fraction = fraction || r[n] != '0'
			n++
		}
		if n == 0 {
			return nil, false
		}
		s = r[n:]
	}
	if part[0] == 24 {
		return s, part[1] == 0 && part[2] == 0 && !fraction
	}
	return s, part[0] < 24 && part[1] < 60 && part[2] < 60
}

// isZone reports whether s is empty, Z or an offset of at most 14 hours.
func isZone(s []byte) bool {
	if len(s) == 0 || string(s) == "Z" {
		return true
	}
	if s[0] != '+' && s[0] != '-' {
		return false
	}
	hour, s, ok := number(s[1:], 2)
	if !ok {
		return false
	}
	if s, ok = literal(s, ':'); !ok {
		return false
	}
	minute, s, ok := number(s, 2)
	return ok && len(s) == 0 && minute < 60 && (hour < 14 || hour == 14 && minute == 0)
}

func isDate(s []byte) bool {
	y, s, ok := year(s)
	if !ok {
		return false
	}
	if s, ok = literal(s, '-'); !ok {
		return false
	}
	s, ok = monthDay(s, y)
	return ok && isZone(s)
}

func isDateTime(s []byte) bool {
	y, s, ok := year(s)
	if !ok {
		return false
	}
	if s, ok = literal(s, '-'); !ok {
		return false
	}
	if s, ok = monthDay(s, y); !ok {
		return false
	}
	if s, ok = literal(s, 'T'); !ok {
		return false
	}
	s, ok = clock(s)
	for len(s) > 1 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return ok && isZone(s)
}

func isTime(s []byte) bool {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	s, ok := clock(s)
	return ok && isZone(s)
}

func isGYear(s []byte) bool {
	_, s, ok := year(s)
	return ok && isZone(s)
}

func isGYearMonth(s []byte) bool {
	_, s, ok := year(s)
	if !ok {
		return false
	}
	if s, ok = literal(s, '-'); !ok {
		return false
	}
	month, s, ok := number(s, 2)
	return ok && month >= 1 && month <= 12 && isZone(s)
}

// base64Octets returns the number of octets that s encodes. The spare bits must be zero. Characters that are not of base64 are passed over,
// as RFC 2045, section 6.8 has it and libxml2 does.
func base64Octets(s []byte) (n int, ok bool) {
	digits, padding := 0, 0
	var last int
	for _, c := range s {
		if c == '=' {
			padding++
			continue
		}
		v := base64Value(c)
		if v < 0 {
			continue
		}
		if padding > 0 {
			return 0, false
		}
		digits++
		last = v
	}
	if (digits+padding)%4 != 0 || padding > 2 || digits == 0 && padding > 0 {
		return 0, false
	}
	if padding == 2 && last&0x0f != 0 || padding == 1 && last&0x03 != 0 {
		return 0, false
	}
	return digits * 6 / 8, true
}

func base64Value(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case isDigit(c):
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}

// checkText returns the rule that a text breaks, and what it says, or "".
func (f *facetDef) checkText(t *tables, s []byte) (rule, text string) {
	length := -1
	switch f.base {
	case baseString:
		length = len(s)
		if f.minLength >= 0 || f.maxLength >= 0 {
			length = utf8.RuneCount(s)
		}
	case baseDecimal:
		d, ok := parseDecimal(s)
		switch {
		case !ok:
			return "schema.decimal", "not a decimal number, or more than 24 digits"
		case f.notNegative && d.negative:
			return "schema.minInclusive", "below zero"
		case f.fractionDigits >= 0 && d.fraction > int(f.fractionDigits):
			return "schema.fractionDigits", "too many decimals"
		case f.totalDigits >= 0 && d.whole+d.fraction > int(f.totalDigits):
			return "schema.totalDigits", "too many digits"
		}
	case baseBoolean:
		if !isBoolean(s) {
			return "schema.boolean", "neither true nor false"
		}
	case baseDate:
		if !isDate(s) {
			return "schema.date", "not a date"
		}
	case baseDateTime:
		if f.pattern != 0 {
			s = trimSpace(s)
		}
		if !isDateTime(s) {
			return "schema.dateTime", "not a date and time"
		}
	case baseTime:
		if !isTime(s) {
			return "schema.time", "not a time"
		}
	case baseGYear:
		if !isGYear(s) {
			return "schema.gYear", "not a year"
		}
	case baseGYearMonth:
		if !isGYearMonth(s) {
			return "schema.gYearMonth", "not a month"
		}
	case baseBase64Binary:
		n, ok := base64Octets(s)
		if !ok {
			return "schema.base64Binary", "not base64"
		}
		length = n
	}
	switch {
	case f.minLength >= 0 && length < int(f.minLength):
		return "schema.minLength", "too short or empty"
	case f.maxLength >= 0 && length > int(f.maxLength):
		return "schema.maxLength", "too long"
	case f.pattern != 0 && !t.patterns[f.pattern].match(s):
		return "schema.pattern", "not in the form the schema demands"
	case f.enumeration != nil && !contains(f.enumeration, s):
		return "schema.enumeration", "not one of the codes the schema lists"
	}
	return "", ""
}

func contains(list []string, s []byte) bool {
	for _, v := range list {
		if v == string(s) {
			return true
		}
	}
	return false
}
