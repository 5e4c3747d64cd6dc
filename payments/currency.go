package payments

import (
	"fmt"
	"strings"
)

// Currency is an ISO 4217 alphabetic code, such as "EUR".
type Currency string

// ParseCurrency returns the currency with that ISO 4217 code. It refuses lower case, codes that are not in the table, and codes that
// have ended, naming the successor.
func ParseCurrency(code string) (Currency, error) {
	if _, ok := currencyDigits[Currency(code)]; ok {
		return Currency(code), nil
	}
	if successor, ok := endedCurrencies[code]; ok {
		return "", fmt.Errorf("payments: currency %s has ended: use %s", code, successor)
	}
	return "", fmt.Errorf("payments: unknown currency %.8q", code)
}

// Digits returns the number of decimals of the currency's minor unit (ISO 4217), and false for an unknown currency.
func (c Currency) Digits() (int, bool) {
	d, ok := currencyDigits[c]
	return d, ok
}

// currencyDigits is ISO 4217 list one as of November 2026: active currencies and the decimals of their minor unit. Fund codes,
// metals and test codes are left out, since no rail settles in them. The decimals are ISO's, not CLDR's: they differ for IDR, MGA and others.
var currencyDigits = func() map[Currency]int {
	table := map[Currency]int{}
	for digits, codes := range map[int]string{
		0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
		2: `AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK
			DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD
			KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP
			PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH
			USD UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG`,
		3: "BHD IQD JOD KWD LYD OMR TND",
		4: "UYW",
	} {
		for _, code := range strings.Fields(codes) {
			table[Currency(code)] = digits
		}
	}
	return table
}()

// endedCurrencies are codes that still turn up, with what took their place.
var endedCurrencies = map[string]string{
	"ANG": "XCG",
	"BGN": "EUR, since 2026-01-01",
	"CUC": "CUP",
	"HRK": "EUR, since 2023-01-01",
	"SLL": "SLE",
	"ZWL": "ZWG",
}
