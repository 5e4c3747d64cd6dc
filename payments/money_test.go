package payments

import (
	"math"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

var codes = func() (list []Currency) {
	for c := range currencies {
		if _, ok := c.Digits(); !ok {
			continue
		}
		list = append(list, c)
	}
	slices.Sort(list)
	return list
}()

func anyAmount(t *rapid.T) Amount {
	return Amount{rapid.Int64Range(0, 999_999_999_999_999_999).Draw(t, "minor"), rapid.SampledFrom(codes).Draw(t, "currency")}
}

func TestAmountTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAmount(t)
		back, err := ParseAmount(a.Text(), a.Currency)
		if err != nil || back != a {
			t.Fatalf("%v read back as %v: %v", a, back, err)
		}
		if d, err := AmountFromDecimal(a.Decimal(), a.Currency); err != nil || d != a {
			t.Fatalf("%v through decimal is %v: %v", a, d, err)
		}
	})
}

// What ParseAmount accepts is what a pattern accepts, and the value is what big.Int says.
func TestParseAmountAgainstPattern(t *testing.T) {
	plain := regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?$`)
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(codes).Draw(t, "currency")
		s := rapid.OneOf(rapid.StringMatching(`[0-9]{0,19}(\.[0-9]{0,5})?`), rapid.StringMatching(`[-+0-9.,e ]{0,12}`), rapid.String()).Draw(t, "text")
		digits, _ := c.Digits()
		whole, fraction, _ := strings.Cut(s, ".")
		want := plain.MatchString(s) && len(fraction) == digits && len(whole)+len(fraction) <= 18
		a, err := ParseAmount(s, c)
		if (err == nil) != want {
			t.Fatalf("%q %s: %v, want accepted %v", s, c, err, want)
		}
		if err == nil {
			n, _ := new(big.Int).SetString(whole+fraction, 10)
			if n.Int64() != a.Minor || a.Text() != s {
				t.Fatalf("%q is %d", s, a.Minor)
			}
		}
	})
}

func TestAmountAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Amount{rapid.Int64().Draw(t, "a"), "EUR"}
		b := Amount{rapid.Int64().Draw(t, "b"), "EUR"}
		sum := new(big.Int).Add(big.NewInt(a.Minor), big.NewInt(b.Minor))
		got, err := a.Add(b)
		if (err == nil) != sum.IsInt64() || err == nil && got.Minor != sum.Int64() {
			t.Fatalf("%d + %d = %d, %v", a.Minor, b.Minor, got.Minor, err)
		}
	})
	if _, err := (Amount{1, "EUR"}).Add(Amount{1, "USD"}); err == nil {
		t.Error("EUR and USD added")
	}
}

func TestParseAmountRefused(t *testing.T) {
	for _, c := range []struct {
		text     string
		currency Currency
	}{
		{"1.000", "USD"}, {"1.0", "USD"}, {"1", "USD"}, {"1e3", "USD"}, {"1E3", "JPY"}, {"+1.00", "EUR"}, {"-1.00", "EUR"}, {"−1.00", "EUR"}, {"01.00", "EUR"},
		{".50", "EUR"}, {"5.", "JPY"}, {"1,00", "EUR"}, {"1_000.00", "EUR"}, {" 1.00", "EUR"}, {"1.00 ", "EUR"}, {"0x10", "JPY"}, {"", "EUR"},
		{"1.00.00", "EUR"}, {"NaN", "EUR"}, {"Inf", "EUR"}, {"١.٠٠", "EUR"}, {"１.００", "EUR"}, {"9223372036854775808", "JPY"}, {"18446744073709551616", "JPY"},
		{"1000000000000000000", "JPY"}, {"10000000000000000.00", "EUR"}, {"1.00\x00", "EUR"}, {"1.00", "XAU"}, {"1.00", ""}, {"10.0", "HRK"},
	} {
		if a, err := ParseAmount(c.text, c.currency); err == nil {
			t.Errorf("%q %s accepted as %v", c.text, c.currency, a)
		}
	}
}

func TestPayable(t *testing.T) {
	for a, want := range map[Amount]bool{{1, "EUR"}: true, {0, "EUR"}: false, {-1, "EUR"}: false, {1, "XXX"}: false, {1, "HRK"}: false, {}: false} {
		if a.Payable() != want {
			t.Errorf("%v payable: %v", a, !want)
		}
	}
}

func TestAmountText(t *testing.T) {
	for a, want := range map[Amount]string{{1050, "EUR"}: "EUR 10.50", {5, "EUR"}: "EUR 0.05", {1050, "JPY"}: "JPY 1050", {1250, "BHD"}: "BHD 1.250",
		{0, "EUR"}: "EUR 0.00", {-7, "EUR"}: "EUR -0.07", {math.MinInt64, "JPY"}: "JPY -9223372036854775808", {math.MaxInt64, "UYW"}: "UYW 922337203685477.5807"} {
		if got := a.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAmountFromDecimalRefused(t *testing.T) {
	for _, d := range []decimal.Decimal{decimal.RequireFromString("0.001"), decimal.New(1, 5000000), decimal.New(1, -5000000),
		decimal.New(1, 17), decimal.RequireFromString("99999999999999999999.99")} {
		if a, err := AmountFromDecimal(d, "EUR"); err == nil {
			t.Errorf("accepted as %v", a)
		}
	}
	if a, err := AmountFromDecimal(decimal.RequireFromString("1.500"), "EUR"); err != nil || a.Minor != 150 {
		t.Errorf("%v, %v", a, err)
	}
}
