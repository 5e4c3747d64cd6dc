package rail_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
	"pgregory.net/rapid"
)

// Every message that a profile makes of a drawn payment (the payment, the payment as the rail passes it on, both answers, the rail's
// report, the enquiry or the duplicate) is encoded, keeps the schema and every rule, is decoded to the same, and encoded to the same bytes.
func TestEveryMessageProperty(t *testing.T) {
	for _, name := range rails.Names() {
		t.Run(name, func(t *testing.T) {
			p, err := rails.Lookup(name)
			if err != nil {
				t.Fatal(err)
			}
			kinds := map[string]int{}
			rapid.Check(t, func(t *rapid.T) {
				for kind, m := range drawn(t, p) {
					kinds[kind]++
					wire, err := p.Encode(m)
					if err != nil {
						t.Fatalf("%s: %v", kind, err)
					}
					verdict, err := p.Check(wire)
					if err != nil || !verdict.Valid() {
						t.Fatalf("%s: %v, %v\n%s", kind, err, verdict.Faults, wire)
					}
					back, err := p.Decode(wire, verdict.Direction)
					if err != nil || !reflect.DeepEqual(back, m) {
						t.Fatalf("%s: %v\n%+v\nwant\n%+v\n%s", kind, err, back, m, wire)
					}
					if again, err := p.Encode(back); err != nil || !bytes.Equal(again, wire) {
						t.Fatalf("%s: %v\n%s\nwant\n%s", kind, err, again, wire)
					}
				}
			})
			if want := map[rail.Recovery]string{rail.Ask: "enquiry", rail.ResendMarked: "again"}[p.Recovery]; want != "" && kinds[want] == 0 || len(kinds) < 5 {
				t.Errorf("%v", kinds)
			}
		})
	}
}

// drawn returns the messages of a drawn payment.
func drawn(t *rapid.T, p *rail.Profile) map[string]*rail.Message {
	must := func(m *rail.Message, err error) *rail.Message {
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	account := func(s string) payments.Account {
		a, err := payments.ParseAccount(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	letters := []rune("abcXYZ019 /-?:().,'+&<>\"äßŁ漢€~_@")
	text := func(label string, high int) string {
		if s := strings.TrimSpace(rapid.StringOfN(rapid.SampledFrom(letters), 1, high, -1).Draw(t, label)); s != "" {
			return s
		}
		return "x"
	}
	name := func(label string) payments.Name {
		n, err := payments.ParseName(text(label, 60))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	banks, accounts := []payments.AgentID{"PAYRDEF0XXX", "SHOPFRP0", "AAAADEFF"}, []string{"DE89370400440532013000", "FR1420041010050500013M02606", "NL91ABNA0417164300"}
	switch p.Name {
	case "pix":
		banks, accounts = []payments.AgentID{"99999010", "20000000"}, []string{"12345678909P500000", "11222333000181C600000A4000"}
	case "fednow", "rtp":
		banks, accounts = []payments.AgentID{"021040078", "091000019"}, []string{"123456789012", "987654321000", "1"}
	}
	intent := payments.IntentID("pi_019ab3c0-1111-7222-8333-" + rapid.StringMatching("[0-9a-f]{12}").Draw(t, "intent"))
	debtor, creditor := banks[0], rapid.SampledFrom(banks[1:]).Draw(t, "bank")
	now := time.Unix(rapid.Int64Range(1_600_000_000, 4_000_000_000).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
	in := rail.TransferInput{
		UETR: payments.NewUETR(intent, "test"), EndToEndID: intent.EndToEndID(), Amount: payments.Amount{Minor: rapid.Int64Range(1, p.AmountMax).Draw(t, "minor"), Currency: p.Currency},
		Debtor:     iso20022.Party{Name: name("debtor"), Account: account(accounts[0]), Agent: iso20022.Agent{ID: debtor}},
		Creditor:   iso20022.Party{Name: name("creditor"), Account: account(rapid.SampledFrom(accounts[1:]).Draw(t, "account")), Agent: iso20022.Agent{ID: creditor}},
		Remittance: text("remittance", 60), Participant: debtor, Suffix: rail.Suffix("test", string(intent)), Now: now,
	}
	if rapid.Bool().Draw(t, "address") {
		in.Debtor.Address = iso20022.Address{Street: text("street", 20), Town: text("town", 20), Country: "NL"}
	}
	transfer := must(p.NewTransfer(in))
	forwarded := *transfer
	later := now.Add(time.Duration(rapid.Int64Range(0, 1e10).Draw(t, "later")))
	forwarded.Header = p.NewHeader(p.Service, creditor, rail.MsgTransfer, transfer.Transfer.MessageID, later)
	id, err := p.MessageID(p.Service, later, "5")
	if err != nil {
		t.Fatal(err)
	}
	report := p.NewReport(transfer.Transfer, id, later)
	report.Status = p.Settled
	report.Instructing, report.Instructed = p.Agent(p.Service), p.Agent(debtor)
	list := map[string]*rail.Message{
		"transfer": transfer, "forwarded": &forwarded, "settled": {Header: p.NewHeader(p.Service, debtor, rail.MsgStatus, id, later), Status: report},
		"answer":  must(p.NewAnswer(&forwarded, rail.AnswerInput{Participant: creditor, Status: p.AnswerYes(), Suffix: "2", Now: later})),
		"refusal": must(p.NewAnswer(&forwarded, rail.AnswerInput{Participant: creditor, Status: "RJCT", Reason: rapid.SampledFrom([]string{"AC04", "AC03", "AM09"}).Draw(t, "reason"), Suffix: "3", Now: later})),
	}
	switch p.Recovery {
	case rail.Ask:
		list["enquiry"] = must(p.NewEnquiry(transfer.Transfer, debtor, later.Add(p.AnswerTimeout), "4"))
	case rail.ResendMarked:
		list["again"] = must(p.Duplicate(transfer))
	}
	return list
}
