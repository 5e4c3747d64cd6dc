package rail_test

import (
	"fmt"
	"time"

	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

// Read a pacs.002 from the wire and decide what it means: who says it, what that word means from them on this rail, and what it does to
// what was known of the money. The answers here are written first, as the rail would send them.
func ExampleMoney_After() {
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	fednow, err := rails.Lookup("fednow")
	check(err)
	transfer := &iso20022.CreditTransfer{MessageID: "20261123021040078PAYMENT1", Created: now, EndToEndID: "E2E-1"}

	money := rail.MoneyUnknown
	for i, status := range []string{"ACTC", "ACWP", "RJCT"} {
		id, err := fednow.MessageID(fednow.Service, now, fmt.Sprint(i))
		check(err)
		report := fednow.NewReport(transfer, id, now)
		report.Status, report.Instructing, report.Instructed = status, fednow.Agent(fednow.Service), fednow.Agent("021040078")
		if status == "RJCT" {
			report.ReasonPrtry = "E990"
		}
		wire, err := fednow.Encode(&rail.Message{Header: fednow.NewHeader(fednow.Service, "021040078", rail.MsgStatus, id, now), Status: report})
		check(err)

		m, err := fednow.Decode(wire, rail.FromService)
		check(err)
		answer := fednow.Meaning(fednow.Sender(m), m.Status)
		due := money.Returning(answer.Kind)
		after, ok := money.After(answer.Kind)
		fmt.Printf("%s means %v: the money was %v, now %v; contradiction: %v, a return is due: %v\n", answer.Status, answer.Kind, money, after, !ok, due)
		money = after
	}
	// Output:
	// ACTC means accepted: the money was unknown, now unknown; contradiction: false, a return is due: false
	// ACWP means settled, pending: the money was unknown, now held; contradiction: false, a return is due: false
	// RJCT means rejected: the money was held, now held; contradiction: false, a return is due: true
}
