package payments

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Currency is an ISO 4217 alphabetic code, such as "EUR".
type Currency string

// ParseCurrency returns the currency with that ISO 4217 code in which money moves today. It refuses lower case, codes that are not in
// the table, units in which no account is held (funds, metals, test codes), and codes that have ended, naming the successor.
func ParseCurrency(code string) (Currency, error) {
	if units[unitOf(code)].payable {
		return Currency(code), nil
	}
	info, ok := currencies[Currency(code)]
	switch {
	case !ok:
		return "", fmt.Errorf("payments: unknown currency %.8q", code)
	case info.Ended != "":
		return "", fmt.Errorf("payments: currency %s has ended: use %s", code, info.Successor)
	case info.Kind != Money:
		return "", fmt.Errorf("payments: %s is no currency that is paid in: %s", code, info.Kind)
	}
	return Currency(code), nil
}

// ParseHistoricCurrency is ParseCurrency for what may stand in an old message or a statement: codes that have ended are taken too.
func ParseHistoricCurrency(code string) (Currency, error) {
	if info, ok := currencies[Currency(code)]; ok && info.Kind == Money {
		return Currency(code), nil
	}
	return ParseCurrency(code)
}

// ParseCurrencyOn is ParseCurrency for money that moves on a day: the currency must have been in use on it. Only the day of t counts.
func ParseCurrencyOn(code string, t time.Time) (Currency, error) {
	c, err := ParseHistoricCurrency(code)
	if err != nil {
		return "", err
	}
	info, day := currencies[c], t.Format(time.DateOnly)
	switch {
	case info.Ended != "" && day >= info.Ended:
		return "", fmt.Errorf("payments: currency %s ended on %s: use %s", code, info.Ended, info.Successor)
	case info.Began != "" && day < info.Began:
		return "", fmt.Errorf("payments: currency %s began on %s", code, info.Began)
	}
	return c, nil
}

// Digits returns the number of decimals of the currency's minor unit (ISO 4217), also of one that has ended, and false for an unknown
// code and for a unit without decimals of its own, such as gold.
func (c Currency) Digits() (int, bool) {
	u := &units[unitOf(string(c))]
	return int(u.digits), u.known
}

// units is what every amount asks of its currency, by unitOf its code; the first is of what is no code.
var units = func() (list [1 << 15]struct {
	known, payable bool
	digits         int8
}) {
	for c, info := range currencies {
		if info.Digits >= 0 {
			u := &list[unitOf(string(c))]
			u.known, u.payable, u.digits = true, info.Ended == "" && info.Kind == Money, info.Digits
		}
	}
	return list
}()

// unitOf returns the number of a code of three capital letters, five bits each, and 0 for anything else.
func unitOf(code string) int {
	if len(code) != 3 {
		return 0
	}
	a, b, c := code[0]-'@', code[1]-'@', code[2]-'@'
	if a-1 >= 26 || b-1 >= 26 || c-1 >= 26 {
		return 0
	}
	return int(a)<<10 | int(b)<<5 | int(c)
}

// CurrencyKind says what a code of ISO 4217 stands for. The zero CurrencyKind is money.
type CurrencyKind uint8

const (
	Money    CurrencyKind = iota // legal tender or accounting currency in which accounts are held
	Fund                         // a unit of account or index, such as CLF
	Metal                        // a precious metal or a unit without decimals, such as XAU
	Reserved                     // testing (XTS) and "no currency" (XXX)
)

// String returns "money", "fund", "metal" or "reserved".
func (k CurrencyKind) String() string {
	return [...]string{"money", "fund", "metal", "reserved"}[min(k, Reserved)]
}

// CurrencyInfo is one row of ISO 4217: lists one (active) and three (ended).
type CurrencyInfo struct {
	Code    Currency
	Numeric string // three digits
	Digits  int8   // decimals of the minor unit; -1 where ISO says "N.A."
	Kind    CurrencyKind
	Began   string   // first day of use, YYYY-MM-DD; empty if before 2000
	Ended   string   // first day on which it was no longer in use; empty if active
	Then    Currency // what took its place, empty if active
	// Successor is Then as a text with the day, for people: "EUR, since 2023-01-01".
	Successor string
}

// LookupCurrency returns the row of a code, active, ended or special, and false when ISO 4217 does not have it.
func LookupCurrency(code string) (CurrencyInfo, bool) {
	info, ok := currencies[Currency(code)]
	return info, ok
}

// currencies is ISO 4217 as of November 2026: list one whole, and of list three what ended since 1999, which is what an ISO 20022
// message can hold. The decimals are ISO's, not CLDR's: they differ for IDR, MGA and others.
var currencies = func() map[Currency]CurrencyInfo {
	table := map[Currency]CurrencyInfo{}
	add := func(info CurrencyInfo) {
		if _, twice := table[info.Code]; twice {
			panic("payments: currency " + string(info.Code) + " stands twice")
		}
		if info.Ended != "" {
			info.Successor = string(info.Then) + ", since " + info.Ended
		}
		table[info.Code] = info
	}
	for digits, rows := range map[int8]string{
		0: "BIF108 CLP152 DJF262 GNF324 ISK352 JPY392 KMF174 KRW410 PYG600 RWF646 UGX800 VND704 VUV548 XAF950 XOF952 XPF953",
		2: `AED784 AFN971 ALL008 AMD051 AOA973 ARS032 AUD036 AWG533 AZN944 BAM977 BBD052 BDT050 BMD060 BND096 BOB068 BRL986 BSD044
			BTN064 BWP072 BYN933 BZD084 CAD124 CDF976 CHF756 CNY156 COP170 CRC188 CUP192 CVE132 CZK203 DKK208 DOP214 DZD012 EGP818
			ERN232 ETB230 EUR978 FJD242 FKP238 GBP826 GEL981 GHS936 GIP292 GMD270 GTQ320 GYD328 HKD344 HNL340 HTG332 HUF348 IDR360
			ILS376 INR356 IRR364 JMD388 KES404 KGS417 KHR116 KPW408 KYD136 KZT398 LAK418 LBP422 LKR144 LRD430 LSL426 MAD504 MDL498
			MGA969 MKD807 MMK104 MNT496 MOP446 MRU929 MUR480 MVR462 MWK454 MXN484 MYR458 MZN943 NAD516 NGN566 NIO558 NOK578 NPR524
			NZD554 PAB590 PEN604 PGK598 PHP608 PKR586 PLN985 QAR634 RON946 RSD941 RUB643 SAR682 SBD090 SCR690 SDG938 SEK752 SGD702
			SHP654 SLE925 SOS706 SRD968 SSP728 STN930 SVC222 SYP760 SZL748 THB764 TJS972 TMT934 TOP776 TRY949 TTD780 TWD901 TZS834
			UAH980 USD840 UYU858 UZS860 VED926 VES928 WST882 XAD396 XCD951 XCG532 YER886 ZAR710 ZMW967 ZWG924`,
		3: "BHD048 IQD368 JOD400 KWD414 LYD434 OMR512 TND788",
		4: "UYW927",
	} {
		for _, row := range strings.Fields(rows) {
			code := Currency(row[:3])
			add(CurrencyInfo{Code: code, Numeric: row[3:], Digits: digits, Began: begins[code]})
		}
	}
	for kind, rows := range map[CurrencyKind]string{
		Fund:     "BOV984:2 CHE947:2 CHW948:2 CLF990:4 COU970:2 MXV979:2 USN997:2 UYI940:0",
		Metal:    "XAG961 XAU959 XBA955 XBB956 XBC957 XBD958 XDR960 XPD964 XPT962 XSU994 XUA965",
		Reserved: "XTS963 XXX999",
	} {
		for _, row := range strings.Fields(rows) {
			info := CurrencyInfo{Code: Currency(row[:3]), Numeric: row[3:6], Digits: -1, Kind: kind}
			if len(row) > 6 {
				info.Digits = int8(row[7] - '0')
			}
			add(info)
		}
	}
	// code, number, decimals, first day without it, what took its place
	for _, row := range strings.Split(strings.TrimSpace(`
		ADP 020 0 2002-01-01 EUR; AFA 004 2 2003-01-02 AFN; ANG 532 2 2025-07-01 XCG; AOR 982 0 1999-12-01 AOA; ATS 040 2 2002-01-01 EUR
		AZM 031 2 2006-01-01 AZN; BEF 056 0 2002-01-01 EUR; BGL 100 2 1999-07-05 BGN; BGN 975 2 2026-01-01 EUR; BYB 112 0 2000-01-01 BYR
		BYR 974 0 2017-01-01 BYN; CSD 891 2 2006-10-25 RSD; CUC 931 2 2021-06-30 CUP; CYP 196 2 2008-01-01 EUR; DEM 276 2 2002-01-01 EUR
		ECS 218 0 2000-09-09 USD; EEK 233 2 2011-01-01 EUR; ESP 724 0 2002-01-01 EUR; FIM 246 2 2002-01-01 EUR; FRF 250 2 2002-01-01 EUR
		GHC 288 2 2007-07-01 GHS; GRD 300 0 2002-01-01 EUR; GWP 624 2 1999-01-01 XOF; HRK 191 2 2023-01-01 EUR; IEP 372 2 2002-01-01 EUR
		ITL 380 0 2002-01-01 EUR; LTL 440 2 2015-01-01 EUR; LUF 442 0 2002-01-01 EUR; LVL 428 2 2014-01-01 EUR; MGF 450 0 2005-01-01 MGA
		MRO 478 2 2018-01-01 MRU; MTL 470 2 2008-01-01 EUR; MZM 508 2 2006-07-01 MZN; NLG 528 2 2002-01-01 EUR; PTE 620 0 2002-01-01 EUR
		ROL 642 2 2005-07-01 RON; RUR 810 2 1999-01-01 RUB; SDD 736 2 2007-07-01 SDG; SIT 705 2 2007-01-01 EUR; SKK 703 2 2009-01-01 EUR
		SLL 694 2 2024-01-01 SLE; SRG 740 2 2004-01-01 SRD; STD 678 2 2018-01-01 STN; TMM 795 2 2009-01-01 TMT; TPE 626 0 2002-05-20 USD
		TRL 792 0 2005-01-01 TRY; VEB 862 2 2008-01-01 VEF; VEF 937 2 2018-08-20 VES; XEU 954 -1 1999-01-01 EUR; YUM 891 2 2003-07-01 CSD
		ZMK 894 2 2013-01-01 ZMW; ZWD 716 2 2008-08-01 ZWR; ZWL 932 2 2024-09-01 ZWG; ZWN 942 2 2008-08-01 ZWR; ZWR 935 2 2009-02-03 ZWL`), "\n") {
		for _, one := range strings.Split(row, ";") {
			f := strings.Fields(one)
			info := CurrencyInfo{Code: Currency(f[0]), Numeric: f[1], Ended: f[3], Then: Currency(f[4]), Began: begins[Currency(f[0])]}
			if f[2] == "-1" {
				info.Digits, info.Kind = -1, Fund // the ECU
			} else {
				info.Digits = int8(f[2][0] - '0')
			}
			add(info)
		}
	}
	return table
}()

// begins holds the first days of currencies that came since 2000.
var begins = map[Currency]string{
	"AFN": "2002-10-07", "AZN": "2006-01-01", "BYN": "2016-07-01", "BYR": "2000-01-01", "CSD": "2003-07-01", "GHS": "2007-07-01", "MGA": "2003-08-01", "MRU": "2018-01-01",
	"MZN": "2006-07-01", "RON": "2005-07-01", "RSD": "2006-10-25", "SDG": "2007-01-10", "SLE": "2022-04-01", "SRD": "2004-01-01",
	"SSP": "2011-07-18", "STN": "2018-01-01", "TMT": "2009-01-01", "TRY": "2005-01-01", "UYW": "2018-08-29", "VED": "2021-10-01", "VEF": "2008-01-01",
	"VES": "2018-08-20", "XAD": "2025-05-12", "XCG": "2025-03-31", "ZMW": "2013-01-01", "ZWG": "2024-04-05", "ZWL": "2009-02-03", "ZWN": "2006-08-01", "ZWR": "2008-08-01",
}

// Currencies returns the active currencies, sorted by code.
func Currencies() []CurrencyInfo {
	var all []CurrencyInfo
	for _, info := range currencies {
		if info.Ended == "" && info.Kind == Money {
			all = append(all, info)
		}
	}
	slices.SortFunc(all, func(a, b CurrencyInfo) int { return strings.Compare(string(a.Code), string(b.Code)) })
	return all
}
