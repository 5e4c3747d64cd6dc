package qr

import (
	"strings"

	"github.com/parleypay/parley/payments"
)

// Pix is a BR Code: the EMV code of Pix (BCB, Manual de Padrões para Iniciação do Pix). A static code has a Key; a dynamic one a URL
// from which the payer's bank fetches the charge.
type Pix struct {
	Key      string          // a Pix key; static codes only
	URL      string          // without https://; dynamic codes only
	Info     string          // shown to the payer, static codes only, optional
	Amount   payments.Amount // BRL; zero means that the payer fills it in, or that the charge says it
	TxID     string          // static codes: 1 to 25 letters or digits, or empty for "***"; dynamic codes have theirs in the charge
	Merchant string          // at most 25 characters
	City     string          // at most 15 characters
	PostCode string          // optional
}

const (
	pixScheme = "br.gov.bcb.pix" // field 00 of the template; case does not matter
	noTxID    = "***"
)

// Append appends the code. The error is an *Error.
func (p *Pix) Append(dst []byte) ([]byte, error) {
	if err := p.check(); err != nil {
		return dst, err
	}
	account := []Field{{"00", pixScheme}}
	if p.Key != "" {
		account = append(account, Field{"01", p.Key})
	}
	if p.Info != "" {
		account = append(account, Field{"02", p.Info})
	}
	if p.URL != "" {
		account = append(account, Field{"25", p.URL})
	}
	txid := p.TxID
	if txid == "" {
		txid = noTxID
	}
	m := &Merchant{Dynamic: p.URL != "", Accounts: map[int][]Field{26: account}, Category: "0000", Currency: "BRL", Amount: p.Amount,
		Country: "BR", Name: p.Merchant, City: p.City, PostCode: p.PostCode, Extra: []Field{{"05", txid}}}
	return m.Append(dst)
}

func (p *Pix) check() error {
	switch {
	case (p.Key == "") == (p.URL == ""):
		return fault("26", "a Pix code has a key or a URL, one of the two")
	case p.Amount != payments.Amount{} && p.Amount.Currency != "BRL":
		return fault("54", "Pix is paid in BRL")
	}
	if p.Key != "" {
		if _, err := payments.ClassifyPixKey(p.Key); err != nil {
			return fault("26-01", "is not a Pix key")
		}
	}
	if p.URL != "" && !plainURL(p.URL) {
		return fault("26-25", "is not a host and a path of at most 77 characters")
	}
	if p.URL != "" && (p.TxID != "" || p.Info != "") {
		return fault("62-05", "a dynamic code has its txid in the charge")
	}
	if p.TxID != "" && payments.CheckPixTxID(p.TxID, true) != nil {
		return fault("62-05", "is not a txid of 1 to 25 letters or digits")
	}
	if !printable(p.Info) {
		return fault("26-02", "has a character that is not allowed")
	}
	return nil
}

// plainURL reports whether s is host/path as a dynamic code may hold: no scheme, user, port, query or dot segments, so that what a
// person is shown of the host is where the charge comes from.
func plainURL(s string) bool {
	host, path, ok := strings.Cut(s, "/")
	if !ok || len(s) > 77 || path == "" || !strings.Contains(host, ".") || strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" ||
		strings.Contains(host, "..") || strings.Trim(host, ".-") != host || strings.Contains(path, "..") {
		return false
	}
	for i := range len(path) {
		c := path[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("/-_.~", c) < 0 {
			return false
		}
	}
	return true
}

// ParsePix reads a BR Code. The error is an *Error. A code with a template of Pix beside other schemes is read; one without is refused.
func ParsePix(text []byte) (*Pix, error) {
	m, err := ParseMerchant(text)
	if err != nil {
		return nil, err
	}
	var account []Field
	for id := 26; id <= 51; id++ {
		if t := m.Accounts[id]; t != nil && strings.EqualFold(t[0].Value, pixScheme) {
			if account != nil {
				return nil, fault("26", "two accounts of Pix")
			}
			account = t
		}
	}
	if account == nil {
		return nil, fault("26", "no account of Pix")
	}
	p := &Pix{Amount: m.Amount, Merchant: m.Name, City: m.City, PostCode: m.PostCode}
	for _, f := range account[1:] {
		switch f.ID {
		case "01":
			p.Key = f.Value
		case "02":
			p.Info = f.Value
		case "25":
			p.URL = f.Value
		}
	}
	for _, f := range m.Extra {
		if f.ID == "05" && f.Value != noTxID {
			p.TxID = f.Value
		}
	}
	if m.Currency != "BRL" || m.Country != "BR" {
		return nil, fault("53", "Pix is paid in BRL in Brazil")
	}
	if p.URL != "" && p.TxID != "" {
		return nil, fault("62-05", "a dynamic code has its txid in the charge")
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, nil
}
