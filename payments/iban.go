package payments

import (
	"errors"
	"strings"
)

// IsIBAN reports whether the account is an IBAN.
func (a Account) IsIBAN() bool { return a != Account{} && ofIBANCountry(a.Reveal()) }

// ofIBANCountry reports whether s has the shape of an IBAN, but not of a country that has none: a domestic number may begin with US88.
func ofIBANCountry(s string) bool {
	return looksLikeIBAN(s) && (ibanPatterns[s[:2]] != "" || !countries[s[:2]])
}

func looksLikeIBAN(s string) bool {
	return len(s) >= 15 && isUpper(s[0]) && isUpper(s[1]) && isDigit(s[2]) && isDigit(s[3])
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// CheckIBAN verifies an IBAN without spaces: the country has IBANs, the length and the kinds of characters are the country's, and
// the check digits are right (ISO 13616, mod 97-10).
func CheckIBAN(s string) error {
	if !looksLikeIBAN(s) {
		return errors.New("payments: not in the form of an IBAN")
	}
	pattern, ok := ibanPatterns[s[:2]]
	switch {
	case !ok:
		return errors.New("payments: IBAN is of a country that has none")
	case len(s) != 4+len(pattern):
		return errors.New("payments: IBAN does not have its country's length")
	case !fitsPattern(s[4:], pattern):
		return errors.New("payments: IBAN has a character that its country does not have there")
	case mod97(s[4:]+s[:4]) != 1:
		return errors.New("payments: IBAN check digits are wrong")
	}
	return nil
}

// fitsPattern reports whether each character is of the kind at its place: n a digit, a a capital, c either.
func fitsPattern(s, pattern string) bool {
	for i := range len(s) {
		digit, upper := isDigit(s[i]), isUpper(s[i])
		if !digit && !upper || pattern[i] == 'n' && !digit || pattern[i] == 'a' && !upper {
			return false
		}
	}
	return true
}

// mod97 computes ISO 7064 mod 97-10 over digits and letters (A = 10). It returns -1 for any other character.
func mod97(s string) int {
	n := 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			n = (n*10 + int(c-'0')) % 97
		case isUpper(c):
			n = (n*100 + int(c-'A') + 10) % 97
		default:
			return -1
		}
	}
	return n
}

// ibanPatterns has, per country, one letter for each character after the check digits (BBAN structure of the IBAN registry).
var ibanPatterns = func() map[string]string {
	table := map[string]string{}
	for _, entry := range strings.Fields(`
		AD:8n12c AE:19n AL:8n16c AT:16n AZ:4a20c BA:16n BE:12n BG:4a6n8c BH:4a14c BI:23n BR:23n1a1c BY:4c4n16c CH:5n12c CR:18n
		CY:8n16c CZ:20n DE:18n DJ:23n DK:14n DO:4c20n EE:16n EG:25n ES:20n FI:14n FK:2a12n FO:14n FR:10n11c2n GB:4a14n GE:2a16n
		GI:4a15c GL:14n GR:7n16c GT:24c HN:4a20n HR:17n HU:24n IE:4a14n IL:19n IQ:4a15n IS:22n IT:1a10n12c JO:4a4n18c KW:4a22c
		KZ:3n13c LB:4n20c LC:4a24c LI:5n12c LT:16n LU:3n13c LV:4a13c LY:21n MC:10n11c2n MD:20c ME:18n MK:3n10c2n MN:16n MR:23n
		MT:4a5n18c MU:4a19n3a NI:4a20n NL:4a10n NO:11n OM:3n16c PK:4a16c PL:24n PS:4a21c PT:21n QA:4a21c RO:4a16c RS:18n
		RU:14n15c SA:2n18c SC:4a20n3a SD:14n SE:20n SI:15n SK:20n SM:1a10n12c SO:19n ST:21n SV:4a20n TL:19n TN:20n TR:6n16c
		UA:6n19c VA:18n VG:4a16n XK:16n YE:4a4n18c`) {
		country, structure, _ := strings.Cut(entry, ":")
		var pattern strings.Builder
		n := 0
		for _, c := range structure {
			if c >= '0' && c <= '9' {
				n = n*10 + int(c-'0')
				continue
			}
			pattern.WriteString(strings.Repeat(string(c), n))
			n = 0
		}
		table[country] = pattern.String()
	}
	return table
}()
