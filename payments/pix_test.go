package payments

import (
	"strings"
	"testing"
	"time"
)

func TestPixIDs(t *testing.T) {
	minute := time.Date(2026, 11, 23, 9, 30, 59, 0, time.FixedZone("BRT", -3*3600))
	e := string(NewPixEndToEndID("99999010", minute, "a"))
	r := NewPixReturnID("99999010", minute, "a")
	if CheckPixEndToEndID(e) != nil || CheckPixReturnID(r) != nil || CheckPixEndToEndID(r) == nil || CheckPixReturnID(e) == nil {
		t.Errorf("%s %s", e, r)
	}
	if !strings.HasPrefix(e, "E99999010202611231230") || e[1:] == r[1:] || e == string(NewPixEndToEndID("99999010", minute, "b")) {
		t.Errorf("%s %s", e, r)
	}
	if ispb, at, ok := PixEndToEndParts(e); !ok || ispb != "99999010" || !at.Equal(minute.Truncate(time.Minute)) {
		t.Error(ispb, at, ok)
	}
	// The central bank's example: the right shape, digits that are no date.
	const published = "E9999901012341234123412345678900"
	if err := CheckPixEndToEndID(published); err != nil {
		t.Error(err)
	}
	if _, _, ok := PixEndToEndParts(published); ok {
		t.Error("digits that are no date taken for one")
	}
	for _, s := range []string{"", e[1:], e + "0", "e" + e[1:], e[:10] + "X" + e[11:], e[:31] + "-", "E0000000020261123123012345678900", "E9999901a202611231230" + e[21:]} {
		if CheckPixEndToEndID(s) == nil {
			t.Errorf("%q accepted", s)
		}
	}
	id := IntentID("pi_019ab3c0-1111-7222-8333-444455556666")
	if back, ok := IntentFromEndToEnd(EndToEndID(id.TxID())); !ok || back != id || CheckPixTxID(id.TxID(), false) != nil {
		t.Error("the txid of an intent")
	}
	for _, c := range []struct {
		id         string
		static, ok bool
	}{
		{strings.Repeat("a", 25), false, false}, {strings.Repeat("a", 26), false, true}, {strings.Repeat("a", 35), false, true}, {strings.Repeat("a", 36), false, false},
		{"", true, false}, {"A1", true, true}, {strings.Repeat("9", 25), true, true}, {strings.Repeat("9", 26), true, false}, {"a-b", true, false}, {"á", true, false},
	} {
		if (CheckPixTxID(c.id, c.static) == nil) != c.ok {
			t.Errorf("txid %q static %v", c.id, c.static)
		}
	}
	for s, ok := range map[string]bool{"00038166": true, "ABCD1234": true, "00000000": false, "0003816": false, "000381660": false, "abcd1234": false, "0003816 ": false} {
		if (CheckISPB(s) == nil) != ok {
			t.Errorf("ISPB %q", s)
		}
	}
}

func TestPixKeys(t *testing.T) {
	for s, want := range map[string]PixKeyKind{
		"12345678909": PixKeyCPF, "11222333000181": PixKeyCNPJ, "12ABC34501DE35": PixKeyCNPJ, "+5561912345678": PixKeyPhone,
		"fulano_da_silva.recebedor@example.com": PixKeyEmail, "123e4567-e89b-12d3-a456-426655440000": PixKeyRandom,
	} {
		if k, err := ClassifyPixKey(s); err != nil || k != want {
			t.Errorf("%q: %v, %v", s, k, err)
		}
	}
	for _, s := range []string{"", "12345678900", "11111111111", "1234567890", "11222333000180", "00000000000000", "12abc34501DE35", "+", "+0561912345678", "+55619123456789012", "+55 61 91234",
		"a@", "@b", "A@example.com", "a b@example.com", "a@b..c", "a@-b.c", "a@b_c", strings.Repeat("a", 70) + "@b.com.br", "123E4567-e89b-12d3-a456-426655440000", "123e4567xe89b-12d3-a456-426655440000"} {
		if k, err := ClassifyPixKey(s); err == nil {
			t.Errorf("%q taken as %v", s, k)
		}
	}
}

func TestPixAccount(t *testing.T) {
	for _, p := range []PixAccount{
		{Holder: "12345678909", Type: "TRAN", Number: "500000"},
		{Holder: "12345678909", Type: "CACC", Number: "500000", Branch: "3000"},
		{Holder: "11222333000181", Type: "SVGS", Number: "1", Branch: "1"},
		{Holder: "12ABC34501DE35", Type: "SLRY", Number: "12345678901234"},
	} {
		a, err := p.Account()
		if err != nil {
			t.Errorf("%+v: %v", p, err)
			continue
		}
		if back, err := ParsePixAccount(a); err != nil || back != p {
			t.Errorf("%+v came back as %+v: %v", p, back, err)
		}
	}
	for _, p := range []PixAccount{
		{}, {Holder: "12345678909", Type: "TRAN"}, {Holder: "12345678909", Type: "XXXX", Number: "1"}, {Holder: "1234567890", Type: "TRAN", Number: "1"},
		{Holder: "12345678909", Type: "TRAN", Number: "12-3"}, {Holder: "12345678909", Type: "TRAN", Number: "1", Branch: "12345"},
		{Holder: "11222333000181", Type: "CACC", Number: "12345678901234567890", Branch: "3000"}, {Holder: "12345678909", Type: "CACC", Number: "1A2"},
	} {
		if a, err := p.Account(); err == nil {
			t.Errorf("%+v accepted as %s", p, a.Reveal())
		}
	}
	for _, s := range []string{"500000", "12345678909", "12345678909X5", "12345678909P", "12345678909P5A", "12345678909P5A12345", "DE89370400440532013000"} {
		a, err := ParseAccount(s)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := ParsePixAccount(a); err == nil {
			t.Errorf("%q taken as %+v", s, p)
		}
	}
}

func TestCountriesAndBICs(t *testing.T) {
	if len(countries) != 250 { // 249 of ISO 3166-1 and XK
		t.Errorf("%d countries", len(countries))
	}
	for s, ok := range map[string]bool{"DE": true, "XK": true, "XX": false, "de": false, "": false, "DEU": false} {
		if (CheckCountry(s) == nil) != ok {
			t.Errorf("country %q", s)
		}
	}
	for s, ok := range map[string]bool{"EXAMDEFF": true, "EXAMDEFFXXX": true, "EXAMZZFF": false, "EXAMDEF": false, "examdeff": false} {
		if (CheckBIC(s) == nil) != ok {
			t.Errorf("BIC %q", s)
		}
	}
}
