package qr

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/parleypay/parley/payments"
)

// EPC is the text of a SEPA credit transfer QR code (EPC069-12, version 002 or 001 "BCD"): a transfer that the payer's bank fills in.
type EPC struct {
	Version  int              // 1 or 2; 0 is written as 2, or 1 where a BIC is given
	BIC      payments.AgentID // of the beneficiary's bank; optional in version 2
	Name     payments.Name    // of the beneficiary, at most 70 characters
	IBAN     payments.Account
	Amount   payments.Amount // EUR 0.01 to 999,999,999.99; zero means that the payer fills it in
	Purpose  string          // 1 to 4 capitals or digits, optional
	Ref      string          // ISO 11649 reference; not together with Text
	Text     string          // at most 140 characters; not together with Ref
	UserInfo string          // from the beneficiary to the payer, at most 70 characters
}

const (
	epcMaxBytes   = 331 // of the whole text, by the guideline
	epcAmountMax  = 999_999_999_99
	epcService    = "BCD"
	epcIdentifier = "SCT"
)

// Append appends the text of the code in UTF-8 with LF, without lines that are empty at the end. The error is an *Error.
func (c *EPC) Append(dst []byte) ([]byte, error) {
	version := c.Version
	if version == 0 {
		version = 2
	}
	if err := c.check(version); err != nil {
		return dst, err
	}
	amount := ""
	if c.Amount != (payments.Amount{}) {
		amount = "EUR" + c.Amount.Text()
		if whole, cut := strings.CutSuffix(amount, ".00"); cut {
			amount = whole // as short as the guideline's examples
		}
	}
	lines := []string{epcService, "00" + string(rune('0'+version)), "1", epcIdentifier, string(c.BIC), c.Name.Reveal(), c.IBAN.Reveal(), amount,
		c.Purpose, c.Ref, c.Text, c.UserInfo}
	for len(lines) > 8 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	text := strings.Join(lines, "\n")
	if len(text) > epcMaxBytes {
		return dst, fault("code", "is longer than 331 bytes")
	}
	return append(dst, text...), nil
}

func (c *EPC) check(version int) error {
	switch {
	case version != 1 && version != 2:
		return fault("version", "is neither 1 nor 2")
	case version == 1 && c.BIC == "":
		return fault("BIC", "is mandatory in version 001")
	case c.BIC != "" && payments.CheckBIC(string(c.BIC)) != nil:
		return fault("BIC", "is not a BIC")
	case c.Name == payments.Name{}:
		return fault("beneficiary name", "is missing")
	case utf8.RuneCountInString(c.Name.Reveal()) > 70:
		return fault("beneficiary name", "has more than 70 characters")
	case !c.IBAN.IsIBAN():
		return fault("IBAN", "is not an IBAN")
	case c.Amount != payments.Amount{} && (c.Amount.Currency != "EUR" || c.Amount.Minor < 1 || c.Amount.Minor > epcAmountMax):
		return fault("amount", "is not EUR 0.01 to 999999999.99")
	case len(c.Purpose) > 4 || !alnum(c.Purpose):
		return fault("purpose", "is not 1 to 4 capitals or digits")
	case c.Ref != "" && c.Text != "":
		return fault("remittance", "is a reference or a text, not both")
	case c.Ref != "" && payments.CheckRF(c.Ref) != nil:
		return fault("reference", "is not an ISO 11649 reference with right check digits")
	}
	for _, f := range []struct {
		name, text string
		max        int
	}{{"remittance text", c.Text, 140}, {"user information", c.UserInfo, 70}} {
		if n := utf8.RuneCountInString(f.text); n > f.max || !printable(f.text) {
			return fault(f.name, "is too long or has a character that is not allowed")
		}
	}
	return nil
}

func alnum(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// printable reports whether s is valid UTF-8 without control characters and without space at an end.
func printable(s string) bool {
	if strings.TrimSpace(s) != s {
		return false
	}
	for _, r := range s {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// epcSets are the character sets of the guideline: 1 UTF-8, 2 ISO 8859-1, and so on. Only UTF-8 and, since it holds the same bytes as
// long as all are ASCII, a plain ASCII text of any other are read.
const epcSets = "12345678"

// ParseEPC reads the text of an EPC code. Lines end with LF or CR LF. The error is an *Error.
func ParseEPC(text []byte) (*EPC, error) {
	if len(text) > epcMaxBytes {
		return nil, fault("code", "is longer than 331 bytes")
	}
	s := strings.ReplaceAll(string(text), "\r\n", "\n")
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	if len(lines) < 7 || len(lines) > 12 {
		return nil, fault("code", "does not have 7 to 12 lines")
	}
	line := func(i int) string {
		if i < len(lines) {
			return lines[i]
		}
		return ""
	}
	c := &EPC{Purpose: line(8), Ref: line(9), Text: line(10), UserInfo: line(11), BIC: payments.AgentID(line(4))}
	switch {
	case line(0) != epcService:
		return nil, fault("service tag", "is not BCD")
	case line(1) == "001":
		c.Version = 1
	case line(1) == "002":
		c.Version = 2
	default:
		return nil, fault("version", "is neither 001 nor 002")
	}
	switch {
	case len(line(2)) != 1 || !strings.Contains(epcSets, line(2)):
		return nil, fault("character set", "is not 1 to 8")
	case line(2) != "1" && strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0:
		return nil, fault("character set", "is not UTF-8, and the text is not plain ASCII")
	case line(3) != epcIdentifier:
		return nil, fault("identification", "is not SCT")
	}
	var err error
	if c.Name, err = payments.ParseName(line(5)); err != nil {
		return nil, fault("beneficiary name", "is missing or not a name")
	}
	if payments.CheckIBAN(line(6)) != nil {
		return nil, fault("IBAN", "is not a right IBAN")
	}
	if c.IBAN, err = payments.ParseAccount(line(6)); err != nil {
		return nil, fault("IBAN", "is not a right IBAN")
	}
	if a := line(7); a != "" {
		if c.Amount, err = epcAmount(a); err != nil {
			return nil, err
		}
	}
	if err := c.check(c.Version); err != nil {
		return nil, err
	}
	return c, nil
}

// epcAmount reads EUR12.3: the guideline allows one or two decimals, or none.
func epcAmount(s string) (payments.Amount, error) {
	digits, ok := strings.CutPrefix(s, "EUR")
	if !ok {
		return payments.Amount{}, fault("amount", "is not in EUR")
	}
	switch whole, fraction, point := strings.Cut(digits, "."); {
	case !point:
		digits = whole + ".00"
	case len(fraction) == 1:
		digits = whole + "." + fraction + "0"
	}
	a, err := payments.ParseAmount(digits, "EUR")
	if err != nil || a.Minor < 1 || a.Minor > epcAmountMax {
		return payments.Amount{}, fault("amount", "is not EUR 0.01 to 999999999.99 in plain digits")
	}
	return a, nil
}
