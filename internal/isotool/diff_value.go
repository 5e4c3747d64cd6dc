package isotool

import (
	"bytes"
	"encoding/base64"
	"strings"
	"time"
)

// sameness says how two texts of one type compare.
type sameness uint8

const (
	different  sameness = iota
	same                // the same text, or another spelling of it
	sameMoment          // the same instant, told in another zone
)

// sameValue compares two texts by what a base type of XML Schema says that they mean. Without a type they mean what they are.
func sameValue(base, a, b string) sameness {
	if a == b {
		return same
	}
	equal := false
	switch base {
	case "decimal":
		x, ok1 := decimalValue(a)
		y, ok2 := decimalValue(b)
		equal = ok1 && ok2 && x == y
	case "boolean":
		x, ok1 := booleanValue(a)
		y, ok2 := booleanValue(b)
		equal = ok1 && ok2 && x == y
	case "dateTime":
		x, ok1 := parseMoment(a)
		y, ok2 := parseMoment(b)
		switch {
		case !ok1 || !ok2 || !x.equal(y):
		case x.offset != y.offset:
			return sameMoment
		default:
			equal = true
		}
	case "date", "gYear", "gYearMonth", "time":
		equal = plainZone(a) == plainZone(b)
	case "base64Binary":
		x, err1 := base64.StdEncoding.DecodeString(noSpace(a))
		y, err2 := base64.StdEncoding.DecodeString(noSpace(b))
		equal = err1 == nil && err2 == nil && bytes.Equal(x, y)
	}
	if equal {
		return same
	}
	return different
}

// xmlSpace is white space as XML has it.
const xmlSpace = " \t\r\n"

func noSpace(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(xmlSpace, r) {
			return -1
		}
		return r
	}, s)
}

// decimalValue returns the shortest spelling of a decimal number, whatever its length, and false if s is none.
func decimalValue(s string) (string, bool) {
	s = strings.Trim(s, xmlSpace)
	minus := strings.HasPrefix(s, "-")
	if minus || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	if whole+fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return "", false
	}
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if minus && whole+fraction != "" {
		whole = "-" + whole
	}
	return whole + "." + fraction, true
}

func booleanValue(s string) (bool, bool) {
	switch strings.Trim(s, xmlSpace) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}

// moment is a dateTime: an instant if it has a zone, else the face of a clock.
type moment struct {
	at       time.Time // in UTC where there is no zone
	fraction string    // of the second, without zeros at its end: it may have more digits than a time.Time
	offset   string    // "Z" or such as "+01:00"; "" without a zone
}

func (m moment) equal(o moment) bool {
	return m.at.Equal(o.at) && m.fraction == o.fraction && (m.offset == "") == (o.offset == "")
}

// parseMoment reads a dateTime of a year with four digits.
func parseMoment(s string) (m moment, ok bool) {
	const layout = "2006-01-02T15:04:05"
	s = strings.Trim(s, xmlSpace)
	if len(s) < len(layout) {
		return m, false
	}
	clock, rest := s[:len(layout)], s[len(layout):]
	if strings.HasPrefix(rest, ".") {
		end := 1
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		if end == 1 {
			return m, false
		}
		m.fraction, rest = strings.TrimRight(rest[1:end], "0"), rest[end:]
	}
	midnight := strings.HasSuffix(clock, "T24:00:00")
	if midnight {
		clock = clock[:10] + "T00:00:00"
	}
	at, err := time.Parse(layout, clock)
	if err != nil {
		return m, false
	}
	if midnight {
		at = at.AddDate(0, 0, 1)
	}
	switch {
	case rest == "":
		m.at = at
		return m, true
	case rest == "Z":
		m.offset = "Z"
	default:
		zone, err := time.Parse("-07:00", rest)
		if err != nil {
			return m, false
		}
		_, seconds := zone.Zone()
		at, m.offset = at.Add(-time.Duration(seconds)*time.Second), rest
		if seconds == 0 {
			m.offset = "Z"
		}
	}
	m.at = at
	return m, true
}

// plainZone returns a date or time with UTC spelled one way, and without the zeros at the end of a fraction.
func plainZone(s string) string {
	s = strings.Trim(s, xmlSpace)
	if t, ok := strings.CutSuffix(s, "+00:00"); ok {
		s = t + "Z"
	} else if t, ok := strings.CutSuffix(s, "-00:00"); ok {
		s = t + "Z"
	}
	if whole, rest, ok := strings.Cut(s, "."); ok {
		end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(rest)
		}
		if f := strings.TrimRight(rest[:end], "0"); f != "" {
			whole += "." + f
		}
		s = whole + rest[end:]
	}
	return s
}
