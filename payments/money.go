// Package payments holds the values every payment is made of: amounts, accounts, agents and identifiers.
//
// It moves no money, knows no message format and no chat. Every value is checked when it is made, compares with ==, and a
// person's data (names, accounts) prints masked.
package payments

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/shopspring/decimal"
)

// Amount is a sum in minor units: {1050, "EUR"} is EUR 10.50, {1050, "JPY"} is JPY 1050. The zero Amount is never payable.
type Amount struct {
	Minor    int64
	Currency Currency
}

// maxAmountDigits is the limit of ISO 20022's ActiveCurrencyAndAmount (totalDigits 18), which int64 holds.
const maxAmountDigits = 18

var errAmountText = errors.New("payments: amount is not plain decimal digits")

// ParseAmount reads a decimal amount such as "10.50". The text must have exactly the currency's decimals, ASCII digits only, no
// sign, exponent, space, separator or superfluous leading zero; anything else is an error, never rounded.
func ParseAmount(text string, c Currency) (Amount, error) {
	digits, ok := c.Digits()
	if !ok {
		return Amount{}, fmt.Errorf("payments: unknown currency %.8q", string(c))
	}
	if len(text) == 0 || len(text) > maxAmountDigits+1 {
		return Amount{}, errAmountText
	}
	whole, fraction, point := strings.Cut(text, ".")
	if whole == "" || (point && fraction == "") || (len(whole) > 1 && whole[0] == '0') {
		return Amount{}, errAmountText
	}
	var minor int64
	total := 0
	for _, part := range [2]string{whole, fraction} {
		for i := 0; i < len(part); i++ {
			if part[i] < '0' || part[i] > '9' {
				return Amount{}, errAmountText
			}
			if total++; total > maxAmountDigits {
				return Amount{}, errors.New("payments: amount has more than 18 digits")
			}
			minor = minor*10 + int64(part[i]-'0')
		}
	}
	if len(fraction) != digits {
		return Amount{}, fmt.Errorf("payments: %s takes %d decimals, the amount has %d", c, digits, len(fraction))
	}
	return Amount{Minor: minor, Currency: c}, nil
}

// Text returns the decimal text of the amount with exactly the currency's digits, as ParseAmount reads it: "10.50".
// It is only meaningful for a known currency.
func (a Amount) Text() string { return string(a.AppendText(nil)) }

// AppendText appends Text to dst.
func (a Amount) AppendText(dst []byte) []byte {
	digits, _ := a.Currency.Digits()
	u := uint64(a.Minor)
	if a.Minor < 0 {
		dst = append(dst, '-')
		u = -u
	}
	var buf [24]byte
	i := len(buf)
	for n := 0; u > 0 || n <= digits; n++ {
		if n == digits && digits > 0 {
			i--
			buf[i] = '.'
		}
		i--
		buf[i] = byte('0' + u%10)
		u /= 10
	}
	return append(dst, buf[i:]...)
}

// String returns the amount for people and logs: "EUR 10.50".
func (a Amount) String() string { return string(a.Currency) + " " + a.Text() }

// Payable reports whether the amount is above zero in a currency in which money moves today.
func (a Amount) Payable() bool {
	_, err := ParseCurrency(string(a.Currency))
	return err == nil && a.Minor > 0
}

// Add returns a+b. It fails when the currencies differ or the sum does not fit.
func (a Amount) Add(b Amount) (Amount, error) {
	if a.Currency != b.Currency {
		return Amount{}, fmt.Errorf("payments: %s and %s cannot be added", a.Currency, b.Currency)
	}
	if (b.Minor > 0 && a.Minor > math.MaxInt64-b.Minor) || (b.Minor < 0 && a.Minor < math.MinInt64-b.Minor) {
		return Amount{}, errors.New("payments: amount overflows")
	}
	return Amount{Minor: a.Minor + b.Minor, Currency: a.Currency}, nil
}

// Decimal returns the amount as a decimal number, for rates and sums at the edge. Never print an amount with it.
func (a Amount) Decimal() decimal.Decimal {
	digits, _ := a.Currency.Digits()
	return decimal.New(a.Minor, int32(-digits))
}

// AmountFromDecimal converts d exactly. It fails when d has more decimals than the currency or does not fit; it never rounds.
func AmountFromDecimal(d decimal.Decimal, c Currency) (Amount, error) {
	digits, ok := c.Digits()
	if !ok {
		return Amount{}, fmt.Errorf("payments: unknown currency %.8q", string(c))
	}
	if e := d.Exponent(); e > maxAmountDigits || e < -2*maxAmountDigits || d.NumDigits() > 2*maxAmountDigits {
		return Amount{}, errors.New("payments: decimal is out of range")
	}
	scaled := d.Shift(int32(digits))
	if !scaled.IsInteger() {
		return Amount{}, fmt.Errorf("payments: %s takes %d decimals", c, digits)
	}
	i := scaled.BigInt()
	if !i.IsInt64() {
		return Amount{}, errors.New("payments: amount overflows")
	}
	return Amount{Minor: i.Int64(), Currency: c}, nil
}
