package isotool

import (
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

// exampleOf returns a message to start from: what a caller has to say about it on a rail (nil: without one), and no more. Parties and
// numbers are invented.
func exampleOf(def string, p *rail.Profile) iso20022.Message {
	name := "none"
	currency := payments.Currency("EUR")
	if p != nil {
		name, currency = p.Name, p.Currency
	}
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	amount := payments.Amount{Minor: 450, Currency: currency}
	payer := iso20022.Party{Name: exampleName("Example Payer"), Account: exampleAccount("DE89370400440532013000"), Agent: iso20022.Agent{ID: "PAYRDEF0XXX"}}
	shop := iso20022.Party{Name: exampleName("Example Coffee"), Account: exampleAccount("FR1420041010050500013M02606"), Agent: iso20022.Agent{ID: "SHOPFRP0XXX"}}
	switch name {
	case "fednow", "rtp":
		payer.Account, payer.Agent.ID = exampleAccount("100200300"), "021040078"
		shop.Account, shop.Agent.ID = exampleAccount("400500600"), "091000019"
	case "pix":
		payer.Account, payer.Agent.ID = examplePix("52998224725", "123456"), "10000000"
		shop.Account, shop.Agent.ID = examplePix("11444777000161", "654321"), "20000000"
	}
	a, b := iso20022.Agent{ID: payer.Agent.ID}, iso20022.Agent{ID: shop.Agent.ID}
	original := iso20022.Original{
		MessageID: "20261123PAYMENT1", MessageName: iso20022.CreditTransferV8, Created: at, EndToEndID: "E2E-1", TransactionID: "TX-1", UETR: "8a562c67-ca16-48ba-b074-65581be6f001",
	}
	if name == "rtp" {
		original.InstructionID, original.TransactionID, original.UETR = "20261123021040078T1BABCD12345678901", "20261123021040078T1BABCD12345678901", ""
	}
	if name == "pix" {
		original = iso20022.Original{EndToEndID: "E1000000020261123120000000000001"}
	}
	ofCustomer := original
	ofCustomer.TransactionID, ofCustomer.PaymentInfoID, ofCustomer.MessageName = "", "B-1", iso20022.InitiationV9
	asks := iso20022.Case{Assigner: iso20022.Actor{Agent: a}, Assignee: iso20022.Actor{Agent: b}, ID: "CASE-1", Creator: iso20022.Actor{Agent: a}}
	answers := iso20022.Case{Assigner: iso20022.Actor{Agent: b}, Assignee: iso20022.Actor{Agent: a}, ID: "CASE-1", Creator: iso20022.Actor{Agent: a}}
	person := iso20022.Party{Name: payer.Name, Account: payer.Account, Agent: payer.Agent}

	switch messageName(def) {
	case "pacs.008":
		t := &iso20022.CreditTransfer{Amount: amount, Debtor: payer, Creditor: shop, Remittance: "flat white"}
		if p != nil && p.NoCreditorName {
			t.Creditor.Name = payments.Name{}
		}
		return t
	case "pacs.009":
		return &iso20022.InstitutionTransfer{Amount: amount, Debtor: iso20022.Institution{Agent: a}, Creditor: iso20022.Institution{Agent: b}, Remittance: "cover"}
	case "pacs.002":
		s := &iso20022.StatusReport{Status: "ACCP", Instructing: b, OriginalMessageID: original.MessageID, OriginalMsgName: original.MessageName, OriginalCreated: original.Created,
			OriginalInstruction: original.InstructionID, OriginalEndToEnd: original.EndToEndID, OriginalTransaction: original.TransactionID, OriginalUETR: original.UETR}
		if p != nil {
			s.Status = p.AnswerYes()
		}
		return s
	case "pacs.028":
		return &iso20022.StatusRequest{Instructing: a, OriginalMessageID: original.MessageID, OriginalMsgName: original.MessageName, OriginalCreated: original.Created,
			OriginalInstruction: original.InstructionID, OriginalEndToEnd: original.EndToEndID, OriginalTransaction: original.TransactionID, OriginalUETR: original.UETR}
	case "pacs.004":
		r := &iso20022.Return{MsgDef: def, Instructing: b, Instructed: a, Original: original, Amount: amount, Reason: iso20022.Reason{Code: "CUST"},
			Debtor: iso20022.Party{Name: shop.Name, Agent: shop.Agent}, Creditor: iso20022.Party{Name: payer.Name, Agent: payer.Agent}}
		switch name {
		case "fednow":
			r.Instructed = iso20022.Agent{} // the service
		case "sctinst":
			r.Reason.Code = "FOCR"
		case "pix":
			r.Debtor, r.Creditor, r.Reason.Code, r.Instructed = iso20022.Party{}, iso20022.Party{}, "MD06", iso20022.Agent{}
			r.Details = iso20022.OriginalDetails{Debtor: iso20022.Party{Agent: a}, Creditor: iso20022.Party{Agent: b}}
		}
		return r
	case "camt.056":
		original.Amount, original.Date = amount, "2026-11-23"
		return &iso20022.Recall{MsgDef: def, Case: asks, Original: original, Reason: iso20022.Reason{Code: "DUPL"}}
	case "camt.055":
		ofCustomer.Amount = amount
		return &iso20022.Recall{MsgDef: def, Case: asks, Original: ofCustomer, Reason: iso20022.Reason{Code: "DUPL"}}
	case "camt.029":
		return &iso20022.Resolution{Case: answers, Confirmation: "RJCR", Original: original, Status: "RJCR", Reason: iso20022.Reason{Code: "LEGL"}}
	case "camt.026":
		original.Amount, original.Date = amount, "2026-11-23"
		return &iso20022.Query{Case: asks, Original: iso20022.Underlying{Original: original}, Missing: []iso20022.Shortcoming{{Code: "MS01", Info: "the invoice number"}}}
	case "camt.028":
		original.Amount, original.Date = amount, "2026-11-23"
		return &iso20022.Addition{Case: answers, Original: iso20022.Underlying{Original: original}, Remittance: "invoice 4711"}
	case "pain.001":
		return &iso20022.Initiation{MsgDef: def, Initiator: iso20022.Identity{Name: payer.Name}, Batches: []iso20022.Batch{{
			ID: "B-1", Execution: iso20022.Moment{Date: "2026-11-24"}, Debtor: person,
			Payments: []iso20022.InitiatedPayment{{EndToEndID: "E2E-1", Amount: amount, Creditor: shop, Remittance: "flat white"}},
		}}}
	case "pain.002":
		return &iso20022.InitiationReport{MsgDef: def, OriginalMessageID: "INIT-1", OriginalMsgName: "pain.001" + def[len("pain.002"):len(def)-3] + map[bool]string{true: ".03", false: ".09"}[def == iso20022.InitiationReportV3],
			Batches: []iso20022.BatchStatus{{ID: "B-1", Payments: []iso20022.PaymentStatus{{EndToEndID: "E2E-1", Status: "RJCT", Reasons: []iso20022.Reason{{Code: "AC04"}}}}}}}
	case "pain.013":
		return &iso20022.PaymentRequest{Initiator: iso20022.Identity{Name: shop.Name}, PaymentInfoID: "B-1", Execution: iso20022.Moment{Date: "2026-11-23"}, Expiry: iso20022.Moment{Date: "2026-11-30"},
			Amount: amount, Debtor: payer, Creditor: shop, Remittance: "flat white"}
	case "pain.014":
		ofCustomer.MessageName, ofCustomer.UETR = iso20022.PaymentRequestV7, ""
		return &iso20022.RequestAnswer{Initiator: iso20022.Identity{Name: payer.Name}, Debtor: a, Creditor: b, Original: ofCustomer, Status: "ACCP"}
	case "admi.002":
		return &iso20022.Rejection{Reference: "20261123PAYMENT1", Reason: "E990", Description: "not valid"}
	case "admi.004":
		return &iso20022.SystemEvent{Code: "PING"}
	case "admi.007":
		return &iso20022.Receipt{Reports: []iso20022.Handling{{Reference: "20261123REQUEST1", MessageName: iso20022.PaymentRequestV7, Status: "TS01"}}}
	default: // admi.011
		return &iso20022.EventReceipt{Event: &iso20022.SystemEvent{Code: "PING", Time: at}}
	}
}

func exampleName(s string) payments.Name {
	n, err := payments.ParseName(s)
	if err != nil {
		panic(err)
	}
	return n
}

func exampleAccount(s string) payments.Account {
	a, err := payments.ParseAccount(s)
	if err != nil {
		panic(err)
	}
	return a
}

func examplePix(holder, number string) payments.Account {
	a, err := payments.PixAccount{Holder: holder, Type: "CACC", Number: number, Branch: "0001"}.Account()
	if err != nil {
		panic(err)
	}
	return a
}
