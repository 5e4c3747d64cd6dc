package payments

import (
	"strings"
	"testing"
	"time"
)

func TestCurrencyDigits(t *testing.T) {
	for code, want := range map[string]int{
		"EUR": 2, "USD": 2, "JPY": 0, "BHD": 3, "VED": 2, "SLE": 2, "ZWG": 2, "XCG": 2, "MRU": 2, "XAD": 2,
		"UYW": 4, "IDR": 2, "MGA": 2, "HUF": 2, "TWD": 2, "ISK": 0, "CLP": 0, "TND": 3, "IQD": 3, "XAF": 0, "XOF": 0, "XPF": 0,
	} {
		c, err := ParseCurrency(code)
		if err != nil {
			t.Errorf("%s: %v", code, err)
		}
		if got, ok := c.Digits(); !ok || got != want {
			t.Errorf("%s has %d digits, want %d", code, got, want)
		}
	}
	for code, want := range map[Currency]int{"CLF": 4, "ITL": 0, "BGN": 2, "UYI": 0, "XAU": -1, "XXX": -1, "XDR": -1, "ZZZ": -1} {
		if got, ok := code.Digits(); ok != (want >= 0) || got != max(want, 0) {
			t.Errorf("%s has %d digits (%v), want %d", code, got, ok, want)
		}
	}
}

func TestCurrencyRefused(t *testing.T) {
	for _, code := range []string{"", "eur", "EU", "EURO", "XAU", "XTS", "XXX", "CLF", "USN", "ZZZ", "E R", "ЕUR"} {
		if _, err := ParseCurrency(code); err == nil {
			t.Errorf("%q accepted", code)
		}
		if _, err := ParseHistoricCurrency(code); err == nil {
			t.Errorf("%q accepted as historic", code)
		}
	}
}

// The table is whole and consistent: numbers are unique among active codes, dates are dates, each ended code leads to an active one.
func TestCurrencyTable(t *testing.T) {
	numbers := map[string]Currency{}
	kinds := map[string]int{}
	for code, info := range currencies {
		if info.Code != code || len(code) != 3 || len(info.Numeric) != 3 || strings.Trim(info.Numeric, "0123456789") != "" || strings.Trim(string(code), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			t.Errorf("%s: %+v", code, info)
		}
		for _, day := range []string{info.Began, info.Ended} {
			if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
				t.Errorf("%s: %v", code, err)
			}
		}
		if info.Ended == "" {
			if other, twice := numbers[info.Numeric]; twice {
				t.Errorf("%s and %s have the number %s", code, other, info.Numeric)
			}
			numbers[info.Numeric] = code
			kinds[info.Kind.String()]++
			continue
		}
		kinds["ended"]++
		if _, err := ParseCurrency(string(code)); err == nil || !strings.Contains(err.Error(), string(info.Then)) {
			t.Errorf("%s: %v does not name %s", code, err, info.Then)
		}
		next := info
		for range 5 {
			if next.Ended != "" {
				next = currencies[next.Then]
			}
		}
		if next.Code == "" || next.Ended != "" {
			t.Errorf("%s leads to no active currency", code)
		}
		if (Amount{Minor: 1, Currency: code}).Payable() {
			t.Errorf("an amount of %s can be paid", code)
		}
	}
	// A change of ISO 4217 changes these counts, a slip does too.
	for kind, want := range map[string]int{"money": 157, "fund": 8, "metal": 11, "reserved": 2, "ended": 55} {
		if kinds[kind] != want {
			t.Errorf("%d codes are %s, want %d", kinds[kind], kind, want)
		}
	}
}

func TestCurrencyOn(t *testing.T) {
	day := func(s string) time.Time { d, _ := time.Parse(time.DateOnly, s); return d }
	for _, c := range []struct {
		code, day string
		ok        bool
	}{
		{"BGN", "2025-12-31", true}, {"BGN", "2026-01-01", false}, {"HRK", "2022-12-31", true}, {"HRK", "2023-01-01", false},
		{"EUR", "2002-01-01", true}, {"SLE", "2022-03-31", false}, {"SLE", "2022-04-01", true}, {"DEM", "2001-12-31", true}, {"DEM", "2026-01-01", false},
		{"XAU", "2026-01-01", false}, {"QQQ", "2026-01-01", false},
	} {
		if _, err := ParseCurrencyOn(c.code, day(c.day)); (err == nil) != c.ok {
			t.Errorf("%s on %s: %v", c.code, c.day, err)
		}
	}
	if c, err := ParseHistoricCurrency("HRK"); err != nil || c != "HRK" {
		t.Error(c, err)
	}
	if a, err := ParseAmount("12.50", "BGN"); err != nil || a.Text() != "12.50" {
		t.Errorf("an amount of an ended currency can be read: %v", err)
	}
	if info, ok := LookupCurrency("CLF"); !ok || info.Kind != Fund || info.Digits != 4 {
		t.Errorf("%+v", info)
	}
}
