package payments

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
	"unique"
)

// Account is an account identification: an IBAN or a domestic number. It compares with ==, prints and logs as its first two and
// last four characters; Reveal returns all of it. The zero Account is none.
type Account struct{ private }

// ParseAccount reads an IBAN (ISO 13616, no spaces, check digits verified) or a domestic account number: 1 to 34 ASCII letters and
// digits, at least one of them a digit. A text in the shape of an IBAN (15 or more characters, the first four two capitals and two
// digits) that is not a right one is refused, not taken as domestic, unless the capitals are a country that has no IBANs.
func ParseAccount(s string) (Account, error) {
	if len(s) == 0 || len(s) > 34 {
		return Account{}, errors.New("payments: account must have 1 to 34 characters")
	}
	digits := false
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' {
			digits = true
		} else if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return Account{}, errors.New("payments: account has a character that is not a letter or digit")
		}
	}
	if !digits {
		return Account{}, errors.New("payments: account has no digit")
	}
	if ofIBANCountry(s) {
		if err := CheckIBAN(s); err != nil {
			return Account{}, err
		}
	}
	return Account{private{unique.Make(s)}}, nil
}

// Name is a party's name as people read it (ISO 20022 Nm). It prints and logs masked; Reveal returns it. The zero Name is none.
type Name struct{ private }

// ParseName checks a party name: 1 to 140 characters (Max140Text), valid UTF-8, no control characters, no space at either end.
func ParseName(s string) (Name, error) {
	if strings.TrimSpace(s) != s || s == "" {
		return Name{}, errors.New("payments: name is empty or has space at an end")
	}
	n := 0
	for _, r := range s {
		if n++; n > 140 || unicode.IsControl(r) || r == utf8.RuneError {
			return Name{}, errors.New("payments: name is over 140 characters or has one that is not allowed")
		}
	}
	return Name{private{unique.Make(s)}}, nil
}

// MixesScripts reports whether the name has letters of two alphabets that look alike, such as Latin and Cyrillic, or letters from
// the mathematical and other compatibility blocks: a reason to warn. A name wholly in look-alike letters is not found by this, so
// that the account is always shown beside the name.
func (n Name) MixesScripts() bool {
	var seen *unicode.RangeTable
	for _, r := range n.Reveal() {
		if !unicode.IsLetter(r) {
			continue
		}
		if r >= 0x2000 && unicode.Is(unicode.Common, r) || r >= 0xff21 && r <= 0xff5a {
			return true
		}
		for _, script := range lookAlikes {
			if unicode.Is(script, r) {
				if seen != nil && seen != script {
					return true
				}
				seen = script
			}
		}
	}
	return false
}

var lookAlikes = []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee, unicode.Coptic, unicode.Lisu}

// private is text that must not reach a log or an error: fmt finds a pointer inside, no characters.
type private struct{ h unique.Handle[string] }

// Reveal returns the whole text. Never log it.
func (p private) Reveal() string {
	if p == (private{}) {
		return ""
	}
	return p.h.Value()
}

func (p private) masked() string {
	s := p.Reveal()
	switch {
	case s == "":
		return "none"
	case len(s) < 10:
		return "…"
	default:
		return s[:2] + "…" + s[len(s)-4:]
	}
}

// Format masks the text for every verb of package fmt.
func (a Account) Format(f fmt.State, _ rune) { io.WriteString(f, a.masked()) }

// LogValue masks the account in structured logs.
func (a Account) LogValue() slog.Value { return slog.StringValue(a.masked()) }

// MarshalText refuses, so that no encoder writes an account by accident.
func (p private) MarshalText() ([]byte, error) {
	return nil, errors.New("payments: private text is not encoded implicitly; use Reveal")
}

// Format masks the name for every verb of package fmt.
func (n Name) Format(f fmt.State, _ rune) { io.WriteString(f, "(name)") }

// LogValue masks the name in structured logs.
func (n Name) LogValue() slog.Value { return slog.StringValue("(name)") }

// AgentID identifies a bank on its rail: a BIC (ISO 9362, 8 or 11 characters), a US routing number (ABA, 9 digits) or a Brazilian
// ISPB (8 digits).
type AgentID string

// ParseAgentID checks the form and, for a routing number, the 3-7-1 check digit. An ISPB with letters (see CheckISPB) is not taken:
// a mistyped BIC would pass for one.
func ParseAgentID(s string) (AgentID, error) {
	switch id := AgentID(s); {
	case id.IsBIC() && CheckBIC(s) == nil:
		return id, nil
	case len(s) == 9 && CheckABA(s) == nil:
		return id, nil
	case strings.Trim(s, "0123456789") == "" && CheckISPB(s) == nil:
		return id, nil
	default:
		return "", fmt.Errorf("payments: agent %.12q is neither a BIC, nor a routing number with a right check digit, nor an ISPB", s)
	}
}

// IsBIC reports whether the id has the form of a BIC (BICFIDec2014Identifier).
func (a AgentID) IsBIC() bool {
	if len(a) != 8 && len(a) != 11 {
		return false
	}
	for i := range len(a) {
		if c := a[i]; !isUpper(c) && (!isDigit(c) || i == 4 || i == 5) {
			return false
		}
	}
	return true
}

// CheckABA verifies a 9-digit US routing number by its weights 3-7-1.
func CheckABA(s string) error {
	if len(s) != 9 {
		return errors.New("payments: routing number must have 9 digits")
	}
	sum := 0
	for i := range 9 {
		if !isDigit(s[i]) {
			return errors.New("payments: routing number must have 9 digits")
		}
		sum += int(s[i]-'0') * [3]int{3, 7, 1}[i%3]
	}
	if sum%10 != 0 || sum == 0 {
		return errors.New("payments: routing number check digit is wrong")
	}
	return nil
}
