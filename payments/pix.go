package payments

import (
	"crypto/sha256"
	"errors"
	"strings"
	"time"
)

// Identifiers of Pix, Brazil's instant payments, by the central bank's public message catalogue (SPI 5.13) and API (bacen/pix-api).

// CheckISPB verifies the form of a participant of the Brazilian payment system: 8 digits or capitals (the root of its CNPJ).
func CheckISPB(s string) error {
	if len(s) != 8 || !capitalsOrDigits(s) || s == "00000000" {
		return errors.New("payments: ISPB must have 8 digits or capitals, not all zero")
	}
	return nil
}

func capitalsOrDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) && !isUpper(s[i]) {
			return false
		}
	}
	return true
}

func lettersOrDigits(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isDigit(c) && !isUpper(c) && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// NewPixEndToEndID makes the end-to-end id of a Pix: E, the ISPB of the payer's institution, the minute (UTC) and 11 letters or digits,
// here derived from seed. The same input gives the same id; another attempt needs another seed or minute. It does not check ispb.
func NewPixEndToEndID(ispb AgentID, minute time.Time, seed string) EndToEndID {
	return EndToEndID(pixID('E', ispb, minute, seed))
}

// NewPixReturnID makes the id of a Pix return (devolução): as an end-to-end id, with D and the institution that sends the money back.
func NewPixReturnID(ispb AgentID, minute time.Time, seed string) string {
	return pixID('D', ispb, minute, seed)
}

func pixID(kind byte, ispb AgentID, minute time.Time, seed string) string {
	h := sha256.Sum256([]byte("parley pix 1\x00" + string(kind) + "\x00" + string(ispb) + "\x00" + seed))
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	b := append([]byte{kind}, ispb...)
	b = minute.UTC().AppendFormat(b, "200601021504")
	for _, c := range h[:11] {
		b = append(b, alphabet[c&31])
	}
	return string(b)
}

// CheckPixEndToEndID verifies the shape of an end-to-end id: E, 8 digits or capitals, 12 digits, 11 letters or digits. The digits are
// not checked to be a time: the central bank's own examples hold some that are none.
func CheckPixEndToEndID(s string) error { return checkPixID(s, 'E') }

// CheckPixReturnID verifies the shape of the id of a return: as CheckPixEndToEndID, with D.
func CheckPixReturnID(s string) error { return checkPixID(s, 'D') }

func checkPixID(s string, kind byte) error {
	if len(s) != 32 || s[0] != kind || CheckISPB(s[1:9]) != nil || !lettersOrDigits(s[21:]) {
		return errors.New("payments: a Pix id is " + string(kind) + ", an ISPB, 12 digits and 11 letters or digits")
	}
	for i := 9; i < 21; i++ {
		if !isDigit(s[i]) {
			return errors.New("payments: a Pix id has its time in 12 digits")
		}
	}
	return nil
}

// PixEndToEndParts returns institution and minute of an end-to-end or return id, and false when it has no right shape or no time.
func PixEndToEndParts(s string) (AgentID, time.Time, bool) {
	if checkPixID(s, 'E') != nil && checkPixID(s, 'D') != nil {
		return "", time.Time{}, false
	}
	t, err := time.Parse("200601021504", s[9:21])
	return AgentID(s[1:9]), t, err == nil
}

// CheckPixTxID verifies a txid, which the payee chooses: 26 to 35 letters or digits for a charge, 1 to 25 in a static QR code.
func CheckPixTxID(s string, static bool) error {
	lo, hi := 26, 35
	if static {
		lo, hi = 1, 25
	}
	if len(s) < lo || len(s) > hi || !lettersOrDigits(s) {
		return errors.New("payments: a txid has 26 to 35 letters or digits, 1 to 25 in a static QR code")
	}
	return nil
}

// TxID derives the txid of the intent: its UUID as 32 hexadecimal digits, as EndToEndID does. IntentFromEndToEnd is the inverse.
func (id IntentID) TxID() string { return string(id.EndToEndID()) }

// PixKeyKind says what a Pix key is. The zero PixKeyKind is none.
type PixKeyKind uint8

const (
	PixKeyCPF    PixKeyKind = 1 + iota // a person's tax number, 11 digits
	PixKeyCNPJ                         // an organisation's, 14 capitals or digits
	PixKeyPhone                        // +55…, E.164
	PixKeyEmail                        // at most 77 characters, lower case
	PixKeyRandom                       // a UUID (EVP)
)

// String returns the kind as the Pix API names it.
func (k PixKeyKind) String() string {
	return [...]string{"none", "CPF", "CNPJ", "PHONE", "EMAIL", "EVP"}[min(k, PixKeyRandom)]
}

// ClassifyPixKey returns the kind of a Pix key by its shape, and an error when it has the shape of none. It never looks it up.
func ClassifyPixKey(s string) (PixKeyKind, error) {
	switch {
	case len(s) == 36 && isAnyUUID(s):
		return PixKeyRandom, nil
	case strings.HasPrefix(s, "+"):
		if len(s) < 3 || len(s) > 15 || s[1] < '1' || s[1] > '9' || strings.Trim(s[1:], "0123456789") != "" {
			return 0, errors.New("payments: a phone number as Pix key is + and 2 to 14 digits")
		}
		return PixKeyPhone, nil
	case strings.Contains(s, "@"):
		return PixKeyEmail, checkPixEmail(s)
	case len(s) == 11:
		return PixKeyCPF, CheckCPF(s)
	case len(s) == 14:
		return PixKeyCNPJ, CheckCNPJ(s)
	}
	return 0, errors.New("payments: in the shape of no Pix key")
}

func isAnyUUID(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}

func checkPixEmail(s string) error {
	local, domain, _ := strings.Cut(s, "@")
	if len(s) > 77 || local == "" || domain == "" {
		return errors.New("payments: not an e-mail address of at most 77 characters")
	}
	for i := range len(local) {
		if c := local[i]; !isDigit(c) && (c < 'a' || c > 'z') && strings.IndexByte(".!#$&'*+/=?^_`{|}~-%", c) < 0 {
			return errors.New("payments: an e-mail address as Pix key is in lower case")
		}
	}
	for _, label := range strings.Split(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return errors.New("payments: the domain of an e-mail address is not right")
		}
	}
	return nil
}

// CheckCPF verifies a Brazilian person's tax number: 11 digits, the last two by weights, not all the same.
func CheckCPF(s string) error {
	if len(s) != 11 || strings.Trim(s, "0123456789") != "" || strings.Trim(s, s[:1]) == "" {
		return errors.New("payments: CPF must have 11 digits")
	}
	for n := 9; n < 11; n++ {
		sum := 0
		for i := range n {
			sum += int(s[i]-'0') * (n + 1 - i)
		}
		if byte('0'+sum*10%11%10) != s[n] {
			return errors.New("payments: CPF check digits are wrong")
		}
	}
	return nil
}

// CheckCNPJ verifies a Brazilian organisation's tax number: 12 capitals or digits (letters since July 2026, each worth its ASCII code
// less 48) and two check digits.
func CheckCNPJ(s string) error {
	if len(s) != 14 || !capitalsOrDigits(s) || !isDigit(s[12]) || !isDigit(s[13]) || strings.Trim(s, "0") == "" {
		return errors.New("payments: CNPJ must have 12 capitals or digits and 2 digits")
	}
	for n := 12; n < 14; n++ {
		sum := 0
		for i := range n {
			sum += int(s[i]-'0') * ((n-1-i)%8 + 2)
		}
		want := byte('0')
		if r := sum % 11; r >= 2 {
			want = byte('0' + 11 - r)
		}
		if s[n] != want {
			return errors.New("payments: CNPJ check digits are wrong")
		}
	}
	return nil
}

// PixAccount is an account at a Pix institution with its holder: what a pacs.008 of the SPI tells of either side beside name and agent.
type PixAccount struct {
	Holder string // CPF (11 digits) or CNPJ (14)
	Type   string // CACC current, SVGS savings, TRAN payment account, SLRY salary
	Number string // 1 to 20 digits
	Branch string // 1 to 4 digits, or empty, as payment accounts have none
}

var pixTypes = map[byte]string{'C': "CACC", 'S': "SVGS", 'P': "TRAN", 'L': "SLRY"}

// Account returns the account as one Account, since a mandate names an account by one text: holder, a letter for the type (C, S, P, L),
// number and, after an A, the branch (agência): "12345678909P500000" or "12345678909C500000A3000". This spelling is Parley's own.
// It fails when the parts are not right or make more than 34 characters.
func (p PixAccount) Account() (Account, error) {
	letter := byte(0)
	for c, name := range pixTypes {
		if name == p.Type {
			letter = c
		}
	}
	text := p.Holder + string(letter) + p.Number
	if p.Branch != "" {
		text += "A" + p.Branch
	}
	a, err := ParseAccount(text)
	if err != nil || letter == 0 {
		return Account{}, errors.New("payments: the parts of a Pix account do not make an account")
	}
	if back, err := ParsePixAccount(a); err != nil || back != p {
		return Account{}, errors.New("payments: a part of a Pix account is not right")
	}
	return a, nil
}

// ParsePixAccount is the inverse of PixAccount.Account. It checks shapes; check digits of the holder are CheckCPF's and CheckCNPJ's.
func ParsePixAccount(a Account) (PixAccount, error) {
	s := a.Reveal()
	for _, n := range [2]int{14, 11} {
		if len(s) <= n+1 || pixTypes[s[n]] == "" || !capitalsOrDigits(s[:n]) || (n == 11 && strings.Trim(s[:n], "0123456789") != "") {
			continue
		}
		number, branch, branched := strings.Cut(s[n+1:], "A")
		if number == "" || len(number) > 20 || strings.Trim(number, "0123456789") != "" || branched && (branch == "" || len(branch) > 4 || strings.Trim(branch, "0123456789") != "") {
			continue
		}
		return PixAccount{Holder: s[:n], Type: pixTypes[s[n]], Number: number, Branch: branch}, nil
	}
	return PixAccount{}, errors.New("payments: not an account in Pix spelling: holder, C, S, P or L, number, and A with the branch")
}
