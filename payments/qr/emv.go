package qr

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parleypay/parley/payments"
)

// Field is one field of an EMV code: two digits of id, two of length, and the value. A template holds fields in its value.
type Field struct {
	ID    string // "00" to "99"
	Value string
}

// EMV limits.
const (
	emvMaxBytes  = 512 // of the whole text: EMVCo's limit for merchant-presented codes
	emvMaxFields = 100
)

// ParseFields reads a row of fields and nothing else: the ids are digits, no id stands twice, lengths are characters, and the last
// field ends where the text does. prefix names the fields in errors, such as "26-".
func ParseFields(s, prefix string) ([]Field, error) {
	var out []Field
	seen := [100]bool{}
	for s != "" {
		if len(s) < 4 {
			return nil, fault(prefix+"code", "ends inside a field")
		}
		id, length := s[:2], s[2:4]
		n, ok := twoDigits(length)
		k, ok2 := twoDigits(id)
		switch {
		case !ok2:
			return nil, fault(prefix+"code", "a field's id is not two digits")
		case !ok:
			return nil, fault(prefix+id, "its length is not two digits")
		case seen[k]:
			return nil, fault(prefix+id, "stands twice")
		case n == 0:
			return nil, fault(prefix+id, "is empty")
		}
		seen[k] = true
		// A length counts characters; a decoder that counts bytes instead cuts elsewhere, so the two must not differ silently.
		end := 4
		for range n {
			r, size := utf8.DecodeRuneInString(s[end:])
			if size == 0 || r == utf8.RuneError {
				return nil, fault(prefix+id, "is longer than the code, or not UTF-8")
			}
			if r < 0x20 || r == 0x7f {
				return nil, fault(prefix+id, "has a control character")
			}
			end += size
		}
		out = append(out, Field{id, s[4:end]})
		s = s[end:]
		if len(out) > emvMaxFields {
			return nil, fault(prefix+"code", "has more than 100 fields")
		}
	}
	return out, nil
}

func twoDigits(s string) (int, bool) {
	if s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
		return 0, false
	}
	return int(s[0]-'0')*10 + int(s[1]-'0'), true
}

// AppendFields appends fields in their order. It fails on an id that is not two digits and on a value of none or more than 99 characters.
func AppendFields(dst []byte, fields ...Field) ([]byte, error) {
	start := len(dst)
	for _, f := range fields {
		n := utf8.RuneCountInString(f.Value)
		if len(f.ID) != 2 || f.ID[0] < '0' || f.ID[0] > '9' || f.ID[1] < '0' || f.ID[1] > '9' {
			return dst[:start], fault("code", "a field's id is not two digits")
		}
		if n == 0 || n > 99 || !utf8.ValidString(f.Value) {
			return dst[:start], fault(f.ID, "has no or more than 99 characters, or is not UTF-8")
		}
		dst = fmt.Appendf(dst, "%s%02d%s", f.ID, n, f.Value)
	}
	return dst, nil
}

// CRC16 is the check sum of EMV codes: CRC-16/CCITT-FALSE (polynomial 0x1021, start 0xFFFF), over the whole text up to and with "6304".
func CRC16(text []byte) uint16 {
	crc := uint16(0xffff)
	for _, b := range text {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// Merchant is an EMVCo merchant-presented code (version 1.1).
type Merchant struct {
	Dynamic  bool              // field 01: 12, to be used once; else 11 or absent
	Accounts map[int][]Field   // merchant account information by id 26 to 51: templates, the first field 00 names the scheme
	Cards    map[int]string    // ids 02 to 25: card schemes' own texts
	Category string            // 52, ISO 18245, four digits
	Currency payments.Currency // 53
	Amount   payments.Amount   // 54; zero means that the payer fills it in
	Country  string            // 58
	Name     string            // 59, at most 25 characters
	City     string            // 60, at most 15 characters
	PostCode string            // 61, at most 10 characters
	Extra    []Field           // 62, additional data, optional: 05 is the reference label
	Other    []Field           // everything else (55–57, 64–99), as it stands
}

// Append appends the code with its check sum. The error is an *Error.
func (m *Merchant) Append(dst []byte) ([]byte, error) {
	if err := m.check(); err != nil {
		return dst, err
	}
	fields := []Field{{"00", "01"}}
	if m.Dynamic {
		fields = append(fields, Field{"01", "12"})
	}
	for id := 2; id <= 51; id++ {
		if text := m.Cards[id]; text != "" {
			fields = append(fields, Field{fmt.Sprintf("%02d", id), text})
		}
		if sub := m.Accounts[id]; sub != nil {
			b, err := AppendFields(nil, sub...)
			if err != nil {
				return dst, err
			}
			fields = append(fields, Field{fmt.Sprintf("%02d", id), string(b)})
		}
	}
	info, _ := payments.LookupCurrency(string(m.Currency))
	fields = append(fields, Field{"52", m.Category}, Field{"53", info.Numeric})
	if m.Amount != (payments.Amount{}) {
		fields = append(fields, Field{"54", m.Amount.Text()})
	}
	fields = append(fields, Field{"58", m.Country}, Field{"59", m.Name}, Field{"60", m.City})
	if m.PostCode != "" {
		fields = append(fields, Field{"61", m.PostCode})
	}
	if m.Extra != nil {
		b, err := AppendFields(nil, m.Extra...)
		if err != nil {
			return dst, err
		}
		fields = append(fields, Field{"62", string(b)})
	}
	fields = append(fields, m.Other...)
	start := len(dst)
	out, err := AppendFields(dst, fields...)
	if err != nil {
		return dst, err
	}
	out = append(out, "6304"...)
	out = fmt.Appendf(out, "%04X", CRC16(out[start:]))
	if len(out)-start > emvMaxBytes {
		return dst, fault("code", "is longer than 512 bytes")
	}
	// What is written must be read as the same by a strict reader: ids in Other, for one, may collide.
	if _, err := ParseMerchant(out[start:]); err != nil {
		return dst, err
	}
	return out, nil
}

func (m *Merchant) check() error {
	switch {
	case len(m.Accounts) == 0 && len(m.Cards) == 0:
		return fault("26", "no merchant account is given")
	case len(m.Category) != 4 || strings.Trim(m.Category, "0123456789") != "":
		return fault("52", "the category is not four digits")
	case m.Amount != payments.Amount{} && (!m.Amount.Payable() || m.Amount.Currency != m.Currency || len(m.Amount.Text()) > 13):
		return fault("54", "the amount is not above zero in the code's currency, or has more than 13 characters")
	case payments.CheckCountry(m.Country) != nil:
		return fault("58", "is not a country")
	case m.Name == "" || utf8.RuneCountInString(m.Name) > 25 || !printable(m.Name):
		return fault("59", "the name is not 1 to 25 characters")
	case m.City == "" || utf8.RuneCountInString(m.City) > 15 || !printable(m.City):
		return fault("60", "the city is not 1 to 15 characters")
	case utf8.RuneCountInString(m.PostCode) > 10 || !printable(m.PostCode):
		return fault("61", "the postal code has more than 10 characters")
	}
	if _, err := payments.ParseCurrency(string(m.Currency)); err != nil {
		return fault("53", "is not an active currency")
	}
	for id := range m.Accounts {
		if id < 26 || id > 51 {
			return fault(strconv.Itoa(id), "merchant accounts have the ids 26 to 51")
		}
	}
	for id := range m.Cards {
		if id < 2 || id > 25 {
			return fault(strconv.Itoa(id), "card schemes have the ids 02 to 25")
		}
	}
	return nil
}

// ParseMerchant reads an EMV code: check sum first, then every field in any order but 00 first and 63 last. The error is an *Error.
func ParseMerchant(text []byte) (*Merchant, error) {
	if len(text) > emvMaxBytes {
		return nil, fault("code", "is longer than 512 bytes")
	}
	if len(text) < 12 || string(text[len(text)-8:len(text)-4]) != "6304" {
		return nil, fault("63", "the check sum is not the last field")
	}
	if sum := fmt.Sprintf("%04X", CRC16(text[:len(text)-4])); !strings.EqualFold(sum, string(text[len(text)-4:])) {
		return nil, fault("63", "the check sum is wrong")
	}
	fields, err := ParseFields(string(text), "")
	if err != nil {
		return nil, err
	}
	if fields[0] != (Field{"00", "01"}) || fields[len(fields)-1].ID != "63" {
		return nil, fault("00", "the code does not begin with its format 01, or 63 is not its last field")
	}
	m := &Merchant{Accounts: map[int][]Field{}, Cards: map[int]string{}}
	amount := ""
	for _, f := range fields[1 : len(fields)-1] {
		id, _ := strconv.Atoi(f.ID)
		switch {
		case id == 1:
			if m.Dynamic = f.Value == "12"; !m.Dynamic && f.Value != "11" {
				return nil, fault("01", "is neither 11 nor 12")
			}
		case id <= 25:
			m.Cards[id] = f.Value
		case id <= 51:
			if m.Accounts[id], err = ParseFields(f.Value, f.ID+"-"); err != nil {
				return nil, err
			}
			if m.Accounts[id][0].ID != "00" {
				return nil, fault(f.ID+"-00", "the template does not begin with its scheme")
			}
		case id == 52:
			m.Category = f.Value
		case id == 53:
			if m.Currency, err = currencyOfNumber(f.Value); err != nil {
				return nil, err
			}
		case id == 54:
			amount = f.Value
		case id == 58:
			m.Country = f.Value
		case id == 59:
			m.Name = f.Value
		case id == 60:
			m.City = f.Value
		case id == 61:
			m.PostCode = f.Value
		case id == 62:
			if m.Extra, err = ParseFields(f.Value, "62-"); err != nil {
				return nil, err
			}
		default:
			m.Other = append(m.Other, f)
		}
	}
	if amount != "" {
		if m.Amount, err = emvAmount(amount, m.Currency); err != nil {
			return nil, err
		}
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}

// emvAmount reads an amount whose decimals may be left out or cut short, as EMVCo allows: 10, 10. is not one, 10.5, 10.50.
func emvAmount(s string, c payments.Currency) (payments.Amount, error) {
	digits, ok := c.Digits()
	if !ok {
		return payments.Amount{}, fault("54", "an amount without a currency")
	}
	if len(s) > 13 {
		return payments.Amount{}, fault("54", "the amount has more than 13 characters")
	}
	whole, fraction, point := strings.Cut(s, ".")
	if point && fraction == "" {
		return payments.Amount{}, fault("54", "the amount ends with a point")
	}
	if len(fraction) < digits {
		s = whole + "." + fraction + strings.Repeat("0", digits-len(fraction))
	}
	a, err := payments.ParseAmount(s, c)
	if err != nil || a.Minor == 0 {
		return payments.Amount{}, fault("54", "the amount is not plain digits above zero in the currency's decimals")
	}
	return a, nil
}

var byNumber = func() map[string]payments.Currency {
	m := map[string]payments.Currency{}
	for _, c := range payments.Currencies() {
		m[c.Numeric] = c.Code
	}
	return m
}()

func currencyOfNumber(s string) (payments.Currency, error) {
	c, ok := byNumber[s]
	if !ok {
		return "", fault("53", "is not the number of an active currency")
	}
	return c, nil
}
