package qr

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/parleypay/parley/payments"

	"pgregory.net/rapid"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The example of the central bank's manual, and the ones of EPC069-12 (names and accounts of the documents).
const (
	pixExample = "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-4266554400005204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***63041D3D"
	epcExample = "BCD\n001\n1\nSCT\nBPOTBEB1\nRed Cross of Belgium\nBE72000000001616\nEUR1\nCHAR\n\nUrgency fund\nSample EPC QR code"
)

func TestPixExample(t *testing.T) {
	p, err := ParsePix([]byte(pixExample))
	if err != nil {
		t.Fatal(err)
	}
	want := Pix{Key: "123e4567-e12b-12d1-a456-426655440000", Merchant: "Fulano de Tal", City: "BRASILIA"}
	if *p != want {
		t.Errorf("%+v", p)
	}
	if out, err := p.Append(nil); err != nil || string(out) != pixExample {
		t.Errorf("%s: %v", out, err)
	}
	if out, err := p.Append([]byte("before")); err != nil || string(out) != "before"+pixExample {
		t.Errorf("behind other text: %s: %v", out, err)
	}
}

func TestPixCodes(t *testing.T) {
	for _, p := range []Pix{
		{Key: "+5561912345678", Amount: payments.Amount{Minor: 1050, Currency: "BRL"}, TxID: "A1", Merchant: "Example Coffee", City: "SAO PAULO", Info: "um café"},
		{URL: "pix.example.com/qr/v2/9d36b84f-70b3-40a1", Merchant: "Example Coffee", City: "SAO PAULO", PostCode: "70074900"},
	} {
		out, err := p.Append(nil)
		if err != nil {
			t.Errorf("%+v: %v", p, err)
			continue
		}
		if back, err := ParsePix(out); err != nil || *back != p {
			t.Errorf("%+v: %v", back, err)
		}
	}
	for field, p := range map[string]Pix{
		"26":    {Key: "+5561912345678", URL: "a.b/c"},
		"26-01": {Key: "nobody"}, "26-25": {URL: "https://a.b/c"}, "62-05": {URL: "a.b/c", TxID: "A"}, "54": {Key: "+5561912345678", Amount: payments.Amount{Minor: 1, Currency: "EUR"}},
		"59": {Key: "+5561912345678", Merchant: strings.Repeat("x", 26)}, "60": {Key: "+5561912345678", City: strings.Repeat("x", 16)},
	} {
		if p.Merchant == "" {
			p.Merchant = "x"
		}
		if p.City == "" {
			p.City = "y"
		}
		if out, err := p.Append(nil); len(out) != 0 || fieldOf(err) != field {
			t.Errorf("%+v: %v, want a fault in %s", p, err, field)
		}
	}
	for _, url := range []string{"a.b", "a.b/", "user@a.b/c", "a.b:8080/c", "a..b/c", "a.b/../c", "a.b/c?d", "a.b/c#d", "ab/c", ".a.b/c", strings.Repeat("a", 73) + ".b/cdef", "a.b/ç"} {
		if plainURL(url) {
			t.Errorf("%q accepted", url)
		}
	}
}

func fieldOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Field
	}
	return fmt.Sprint(err)
}

// sealed puts a right check sum behind fields.
func sealed(s string) string { s += "6304"; return s + fmt.Sprintf("%04X", CRC16([]byte(s))) }

func TestMerchantRefuses(t *testing.T) {
	const head, account, tail = "000201", "26180014br.gov.bcb.pix", "5204000053039865802BR5901x6001y"
	if _, err := ParseMerchant([]byte(sealed(head + account + tail))); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, field string }{
		"check sum":             {strings.Replace(pixExample, "1D3D", "1D3E", 1), "63"},
		"no check sum":          {head + account + tail, "63"},
		"check sum not last":    {sealed(head+account+tail) + "9901x", "63"},
		"empty":                 {"", "63"},
		"too long":              {sealed(head + account + tail + "6499" + strings.Repeat("x", 500)), "code"},
		"no format":             {sealed(account + tail), "00"},
		"other format":          {sealed("000202" + account + tail), "00"},
		"twice":                 {sealed(head + account + tail + tail), "52"},
		"length over the end":   {sealed(head + account + tail + "6499x"), "64"},
		"length of letters":     {sealed(head + account + tail + "64ab"), "64"},
		"id of letters":         {sealed(head + account + tail + "x401a"), "code"},
		"empty field":           {sealed(head + account + tail + "6400"), "64"},
		"not UTF-8":             {sealed(head + account + tail + "6401\xff"), "64"},
		"control character":     {sealed(head + account + tail + "6401\n"), "64"},
		"cut template":          {sealed(head + "26050099x" + tail), "26-00"},
		"template without 00":   {sealed(head + "26050101x" + tail), "26-00"},
		"no account":            {sealed(head + tail), "26"},
		"category":              {sealed(head + account + strings.Replace(tail, "0000", "00x0", 1)), "52"},
		"currency":              {sealed(head + account + strings.Replace(tail, "986", "000", 1)), "53"},
		"currency that ended":   {sealed(head + account + strings.Replace(tail, "986", "975", 1)), "53"},
		"country":               {sealed(head + account + strings.Replace(tail, "BR", "XX", 1)), "58"},
		"no name":               {sealed(head + account + "5204000053039865802BR6001y"), "59"},
		"method":                {sealed(head + "010213" + account + tail), "01"},
		"amount exponent":       {sealed(head + account + "54031e3" + tail), "54"},
		"amount zero":           {sealed(head + account + "54040.00" + tail), "54"},
		"amount sign":           {sealed(head + account + "5402-1" + tail), "54"},
		"amount comma":          {sealed(head + account + "54041,00" + tail), "54"},
		"amount three decimals": {sealed(head + account + "54051.000" + tail), "54"},
		"amount ends at point":  {sealed(head + account + "54021." + tail), "54"},
		"amount too long":       {sealed(head + account + "541412345678901.00" + tail), "54"},
	} {
		m, err := ParseMerchant([]byte(c.text))
		if m != nil || fieldOf(err) != c.field {
			t.Errorf("%s: %v, want a fault in %s", name, err, c.field)
		}
	}
	for text, want := range map[string]int64{"540110": 0, "54021 ": 0, "540210": 1000, "540410.5": 1050, "540510.50": 1050} {
		m, err := ParseMerchant([]byte(sealed(head + account + text + tail)))
		if want == 0 {
			if err == nil {
				t.Errorf("%s accepted", text)
			}
			continue
		}
		if err != nil || m.Amount.Minor != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestMerchantWrite(t *testing.T) {
	m := Merchant{Cards: map[int]string{2: "4000123456789012"}, Category: "5251", Currency: "JPY", Amount: payments.Amount{Minor: 500, Currency: "JPY"}, Country: "JP", Name: "Example", City: "Tokyo",
		Accounts: map[int][]Field{26: {{"00", "jp.example"}, {"01", "1"}}}, Extra: []Field{{"05", "r-1"}}, Other: []Field{{"64", "0002ZH0102示例"}}}
	out, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := ParseMerchant(out); err != nil || !reflect.DeepEqual(*back, m) {
		t.Errorf("%+v: %v", back, err)
	}
	for field, spoil := range map[string]func(*Merchant){
		"53": func(m *Merchant) { m.Currency, m.Amount = "XAU", payments.Amount{} }, "52": func(m *Merchant) { m.Category = "1" },
		"60": func(m *Merchant) { m.City = " x" }, "61": func(m *Merchant) { m.PostCode = strings.Repeat("1", 11) }, "55": func(m *Merchant) { m.Accounts = map[int][]Field{55: {{"00", "x"}}} },
		"26-00": func(m *Merchant) { m.Accounts = map[int][]Field{26: {{"01", "x"}}} }, "64": func(m *Merchant) { m.Other = []Field{{"64", ""}} },
		"52 ": func(m *Merchant) { m.Other = []Field{{"52", "0000"}} }, "1": func(m *Merchant) { m.Cards = map[int]string{1: "12"} },
	} {
		c := m
		spoil(&c)
		if out, err := c.Append(nil); len(out) != 0 || fieldOf(err) != strings.TrimSpace(field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestEPC(t *testing.T) {
	c, err := ParseEPC([]byte(epcExample))
	if err != nil {
		t.Fatal(err)
	}
	if c.Version != 1 || c.BIC != "BPOTBEB1" || c.Amount != (payments.Amount{Minor: 100, Currency: "EUR"}) || c.Text != "Urgency fund" || c.Purpose != "CHAR" || c.Name.Reveal() != "Red Cross of Belgium" {
		t.Errorf("%+v", c)
	}
	if out, err := c.Append(nil); err != nil || string(out) != epcExample {
		t.Errorf("%s: %v", out, err)
	}
	if d, err := ParseEPC([]byte(strings.ReplaceAll(epcExample, "\n", "\r\n") + "\r\n")); err != nil || *d != *c {
		t.Errorf("CR LF: %v", err)
	}
	for name, x := range map[string]struct{ old, new, field string }{
		"tag": {"BCD", "BCE", "service tag"}, "version": {"001", "003", "version"}, "set": {"\n1\n", "\n9\n", "character set"}, "Latin 1": {"Urgency", "Urgénce", ""},
		"SCT": {"SCT", "SDD", "identification"}, "BIC": {"BPOTBEB1", "BPOTZZB1", "BIC"}, "no BIC in 1": {"BPOTBEB1", "", "BIC"}, "name": {"Red Cross of Belgium", "", "beneficiary name"},
		"long name": {"Red Cross of Belgium", strings.Repeat("x", 71), "beneficiary name"}, "IBAN": {"BE72", "BE73", "IBAN"}, "other account": {"BE72000000001616", "12345", "IBAN"},
		"currency": {"EUR1", "USD1", "amount"}, "zero": {"EUR1", "EUR0.00", "amount"}, "exponent": {"EUR1", "EUR1e3", "amount"}, "too much": {"EUR1", "EUR1000000000", "amount"},
		"three decimals": {"EUR1", "EUR1.000", "amount"}, "point": {"EUR1", "EUR1.", "amount"}, "sign": {"EUR1", "EUR-1", "amount"}, "lower case": {"CHAR", "char", "purpose"},
		"reference": {"CHAR\n\nUrgency fund", "CHAR\nRF19539007547034\n", "reference"}, "both": {"CHAR\n", "CHAR\nRF18539007547034", "remittance"},
		"long text": {"Urgency fund", strings.Repeat("x", 141), "remittance text"}, "long info": {"Sample EPC QR code", strings.Repeat("x", 71), "user information"},
		"too long": {"Urgency fund", strings.Repeat("x", 300), "code"}, "more lines": {"Urgency fund", "a\nb\nc", "code"}, "few lines": {epcExample, "BCD\n001\n1\nSCT", "code"},
		"control": {"Urgency fund", "a\tb", "remittance text"}, "not UTF-8": {"Urgency fund", "a\xff", "remittance text"},
	} {
		text := strings.Replace(epcExample, x.old, x.new, 1)
		d, err := ParseEPC([]byte(text))
		if x.field == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if d != nil || fieldOf(err) != x.field {
			t.Errorf("%s: %v, want a fault in %s", name, err, x.field)
		}
	}
	latin := []byte(strings.Replace(strings.Replace(epcExample, "\n1\n", "\n2\n", 1), "Urgency", "Urg\xe9nce", 1))
	if _, err := ParseEPC(latin); fieldOf(err) != "character set" {
		t.Errorf("ISO 8859-1: %v", err)
	}
}

func TestEPCProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("abc XYZ 09äé€")), 0, 40, -1)
		c := EPC{Version: rapid.IntRange(1, 2).Draw(t, "version"), BIC: "EXAMDEFF", Name: must(payments.ParseName("Example Coffee")), IBAN: must(payments.ParseAccount("DE89370400440532013000"))}
		if minor := rapid.Int64Range(0, epcAmountMax).Draw(t, "minor"); minor > 0 {
			c.Amount = payments.Amount{Minor: minor, Currency: "EUR"}
		}
		c.Text, c.UserInfo = strings.TrimSpace(text.Draw(t, "text")), strings.TrimSpace(text.Draw(t, "info"))
		out, err := c.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseEPC(out); err != nil || *back != c {
			t.Fatalf("%+v: %v\n%s", back, err, out)
		}
	})
}

func FuzzParseEPC(f *testing.F) {
	f.Add([]byte(epcExample))
	f.Add([]byte("BCD\n002\n1\nSCT\n\nx\nDE89370400440532013000"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseEPC(text)
		if err != nil {
			return
		}
		out, err := c.Append(nil)
		if err != nil {
			t.Fatalf("read but not writable: %v", err)
		}
		if back, err := ParseEPC(out); err != nil || *back != *c {
			t.Fatalf("changed by writing: %v", err)
		}
	})
}

func FuzzParseMerchant(f *testing.F) {
	f.Add([]byte(pixExample))
	f.Add([]byte(sealed("000201" + "26180014br.gov.bcb.pix" + "5204000053039865802BR5901x6001y")))
	f.Fuzz(func(t *testing.T, text []byte) {
		// A fuzzer does not find check sums: give it right ones too.
		for _, text := range [][]byte{text, []byte(sealed(string(text)))} {
			if _, err := ParsePix(text); err == nil && !bytes.Contains(bytes.ToLower(text), []byte(pixScheme)) {
				t.Fatal("taken for Pix")
			}
			m, err := ParseMerchant(text)
			if err != nil {
				continue
			}
			out, err := m.Append(nil)
			if err != nil {
				t.Fatalf("read but not writable: %v", err)
			}
			if back, err := ParseMerchant(out); err != nil || !reflect.DeepEqual(back, m) {
				t.Fatalf("changed by writing: %v", err)
			}
		}
	})
}
