// Package pattern matches identifiers that are built of parts of fixed length. It knows no rail.
package pattern

import (
	"strings"
	"time"
)

// Class is a kind of character in an identifier.
type Class string

// Kinds of characters; Day stands for eight digits that are a day.
const (
	Digits Class = "0123456789"
	Upper  Class = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	Alnum  Class = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	Day    Class = "CCYYMMDD"
)

// Fits reports whether s is built of the parts, one after the other and nothing else: a string stands for itself, Day for a day, and any
// other Class is followed by how many of its characters.
func Fits(s string, parts ...any) bool {
	for i := 0; i < len(parts); i++ {
		switch part := parts[i].(type) {
		case string:
			rest, ok := strings.CutPrefix(s, part)
			if !ok {
				return false
			}
			s = rest
		case Class:
			n := 8
			if part != Day {
				i++
				n = parts[i].(int)
			}
			if len(s) < n {
				return false
			}
			if part == Day {
				if _, err := time.Parse("20060102", s[:8]); err != nil {
					return false
				}
			} else if strings.Trim(s[:n], string(part)) != "" {
				return false
			}
			s = s[n:]
		}
	}
	return s == ""
}
