package payments

import (
	"strings"
	"testing"
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
	if n := len(currencyDigits); n != 157 {
		t.Errorf("table has %d currencies: a change of ISO 4217 changes this count, a slip does too", n)
	}
}

func TestCurrencyRefused(t *testing.T) {
	for _, code := range []string{"", "eur", "EU", "EURO", "XAU", "XTS", "XXX", "CLF", "USN", "ZZZ", "E R", "ЕUR"} {
		if _, err := ParseCurrency(code); err == nil {
			t.Errorf("%q accepted", code)
		}
	}
	for code, successor := range endedCurrencies {
		if _, err := ParseCurrency(code); err == nil || !strings.Contains(err.Error(), successor) {
			t.Errorf("%s: error %v does not name %s", code, err, successor)
		}
		if _, err := ParseCurrency(successor[:3]); err != nil {
			t.Errorf("%s has %v", code, err)
		}
	}
}
