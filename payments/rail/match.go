package rail

import (
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
)

// class is a kind of character in an identifier.
type class string

const (
	digits  class = "0123456789"
	alnumUp class = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	alnums  class = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	date8   class = "CCYYMMDD" // 8 digits that are a day
)

// fits reports whether s is built of the parts, one after the other and nothing else: a string stands for itself, date8 for a day, and
// a class is followed by how many of its characters.
func fits(s string, parts ...any) bool {
	for i := 0; i < len(parts); i++ {
		switch part := parts[i].(type) {
		case string:
			rest, ok := strings.CutPrefix(s, part)
			if !ok {
				return false
			}
			s = rest
		case class:
			n := 8
			if part != date8 {
				i++
				n = parts[i].(int)
			}
			if len(s) < n {
				return false
			}
			if part == date8 {
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

// checkRoutingNumbers is the rule of rails whose agents are US routing numbers. The rail's own number is given.
func checkRoutingNumbers(p *Profile, m *Message, _ Direction) string {
	for _, a := range agents(m) {
		if a.value.ID != "" && a.value.ID != p.Service && payments.CheckABA(string(a.value.ID)) != nil {
			return a.path + pathMember
		}
	}
	return ""
}

// checkNoIBAN is the rule of rails whose accounts are domestic numbers.
func checkNoIBAN(_ *Profile, m *Message, _ Direction) string {
	for _, x := range parties(m) {
		if x.value.Account.IsIBAN() {
			return x.path + "Acct/Id/Othr/Id"
		}
	}
	return ""
}
