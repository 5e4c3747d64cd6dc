package rail_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

// One payment as two rails want it. What a rail would refuse is never encoded, and the error names the rule and the place.
func ExampleProfile_Encode() {
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	intent := payments.IntentID("pi_01a207bd-a9c0-7404-8404-040404040404")
	for _, r := range []struct {
		rail, from, to, debtor, creditor string
	}{
		{"fednow", "021040078", "091000019", "100200300", "400500600"},
		{"sctinst", "PAYRDEF0XXX", "SHOPFRP0XXX", "DE89370400440532013000", "FR1420041010050500013M02606"},
	} {
		p, err := rails.Lookup(r.rail)
		check(err)
		for _, minor := range []int64{450, 0} {
			m, err := p.NewTransfer(rail.TransferInput{
				UETR: payments.NewUETR(intent, r.from), EndToEndID: intent.EndToEndID(), Amount: payments.Amount{Minor: minor, Currency: p.Currency},
				Debtor: party("Example Payer", r.debtor, r.from), Creditor: party("Example Coffee", r.creditor, r.to),
				Participant: payments.AgentID(r.from), Suffix: "1", Now: now,
			})
			var wire []byte
			if err == nil {
				wire, err = p.Encode(m)
			}
			if faults := rail.Faults(err); faults != nil {
				fmt.Println(r.rail, "refuses:", faults[0].Rule, "at", faults[0].Path)
				continue
			}
			check(err)
			back, err := p.Decode(wire, rail.ToService)
			check(err)
			fmt.Println(r.rail, back.MsgDef(), back.MessageID(), back.Transfer.Amount, "answer awaited until", now.Add(p.AnswerTimeout).Format(time.TimeOnly))
		}
	}
	// Output:
	// fednow pacs.008.001.08 202611230210400781 USD 4.50 answer awaited until 09:30:20
	// fednow refuses: fednow.amount.limit at Document/FIToFICstmrCdtTrf/CdtTrfTxInf/IntrBkSttlmAmt
	// sctinst pacs.008.001.08 20261123PAYRDEF01 EUR 4.50 answer awaited until 09:30:10
	// sctinst refuses: sctinst.amount.limit at Document/FIToFICstmrCdtTrf/CdtTrfTxInf/IntrBkSttlmAmt
}

// An answer means something only together with who gives it.
func ExampleProfile_Meaning() {
	for _, name := range rails.Names() {
		p, err := rails.Lookup(name)
		check(err)
		answer := &iso20022.StatusReport{Status: p.AnswerYes()}
		fmt.Println(name, answer.Status, "from the payee's bank means", p.Meaning(rail.Participant, answer).Kind, "and from the rail", p.Meaning(rail.Service, answer).Kind)
	}
	// Output:
	// fednow ACTC from the payee's bank means accepted and from the rail accepted
	// sctinst ACCP from the payee's bank means accepted and from the rail settled
	// rtp ACTC from the payee's bank means settled and from the rail settled
	// pix ACSP from the payee's bank means accepted and from the rail accepted
}

func party(name, account, agent string) iso20022.Party {
	n, err1 := payments.ParseName(name)
	a, err2 := payments.ParseAccount(account)
	check(errors.Join(err1, err2))
	return iso20022.Party{Name: n, Account: a, Agent: iso20022.Agent{ID: payments.AgentID(agent)}}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
