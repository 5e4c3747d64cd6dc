package rail_test

import (
	"fmt"

	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/sctinst"
)

// A rail of one's own: a clearing mechanism for SEPA that takes no more than EUR 100 and has a rule about it. New says what a profile
// forgot. docs/adding-a-rail.md shows a whole rail with its samples.
func ExampleNew() {
	base := *sctinst.Profile()
	base.Name, base.Title = "example", "Example Clearing"
	base.Rules = append(rail.CommonRules("example"), rail.Rule{
		Name: "example.amount.small", Path: rail.PathTransferTx + "/IntrBkSttlmAmt", Text: "the amount is at most EUR 100",
		Check: rail.OnTransfer(rail.PathTransferTx+"/IntrBkSttlmAmt", func(_ *rail.Profile, t *iso20022.CreditTransfer) bool {
			return t.Amount.Minor <= 100_00
		}),
	})
	p, err := rail.New(base)
	fmt.Println(p.Name, p.Recovery, err)

	base.Codes.NotFound = ""
	_, err = rail.New(base)
	fmt.Println(err)
	// Output:
	// example ask <nil>
	// rail: profile "example": Codes.NotFound is for a rail that is asked, and only that
}
