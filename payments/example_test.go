package payments_test

import (
	"bytes"
	"fmt"
	"time"

	"github.com/parleypay/parley/payments"
)

func ExampleParseAmount() {
	for _, text := range []string{"4.50", "4.5", "4.505", "1e3", "-1.00"} {
		amount, err := payments.ParseAmount(text, "USD")
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(amount, "is", amount.Minor, "cents")
	}
	yen, err := payments.ParseAmount("450", "JPY")
	fmt.Println(yen, yen.Minor, err)
	// Output:
	// USD 4.50 is 450 cents
	// payments: USD takes 2 decimals, the amount has 1
	// payments: USD takes 2 decimals, the amount has 3
	// payments: amount is not plain decimal digits
	// payments: amount is not plain decimal digits
	// JPY 450 450 <nil>
}

// A person's data prints masked, so that it cannot get into a log by mistake.
func ExampleParseName() {
	name, err := payments.ParseName("Example Payer")
	account, err2 := payments.ParseAccount("DE89370400440532013000")
	fmt.Println(name, account, err, err2)
	fmt.Println(name.Reveal(), account.Reveal())
	_, err = payments.ParseAccount("DE89370400440532013001")
	fmt.Println(err)
	// Output:
	// (name) DE…3000 <nil> <nil>
	// Example Payer DE89370400440532013000
	// payments: IBAN check digits are wrong
}

// The payment's id is made once, by the payee; what the rail calls it follows from it, so that both banks find it again.
func ExampleNewIntentID() {
	id, err := payments.NewIntentID(time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC), bytes.NewReader(make([]byte, 16))) // nil: random
	fmt.Println(id, err)
	fmt.Println(id.EndToEndID())
	back, ok := payments.IntentFromEndToEnd(id.EndToEndID())
	fmt.Println(back == id, ok)
	// Output:
	// pi_01a207bd-a9c0-7000-8000-000000000000 <nil>
	// 01a207bda9c070008000000000000000
	// true true
}
