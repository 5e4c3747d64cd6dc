package payments

// currencyDigits is ISO 4217 list one: active currencies and the decimals of their minor unit. Fund codes, metals and test codes
// are left out, since no rail settles in them.
var currencyDigits = map[Currency]int{
	"EUR": 2, "USD": 2, "GBP": 2, "CHF": 2, "BRL": 2, "JPY": 0, "BHD": 3, "KWD": 3,
}
