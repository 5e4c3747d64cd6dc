package iso20022

import (
	"time"

	"github.com/parleypay/parley/payments"
)

// The examples say all that a message of each kind can say, as far as it fits into one message.

func ptr[T any](v T) *T { return &v }

const (
	extra = SupplementaryData(`<SplmtryData><PlcAndNm>here &amp; there</PlcAndNm><Envlp><a:x xmlns:a="urn:a" b='1'><!-- kept --> <a:y/></a:x></Envlp></SplmtryData>`)
	more  = extra + `<SplmtryData><Envlp><x xmlns="">text</x></Envlp></SplmtryData>`
)

var (
	berlin   = time.FixedZone("", 3600)
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, berlin)
	bankA    = Agent{ID: "AAAADEFF"}
	bankB    = Agent{ID: "BBBBFRPPXXX"}
	bankUS   = Agent{"021040078", "USABA"}
	home     = Address{Street: "High Street", Building: "1", PostCode: "60532", Town: "Lisle", Region: "IL", Country: "US"}
	company  = PartyID{BIC: "AAAADEFF", LEI: "5493001KJTIIGC8Y1R12", Other: "4711", Scheme: "CUST", Issuer: "register"}
	person   = PartyID{Private: true, Other: "P-1", SchemePrtry: "card"}
	payer    = Party{Name: must(payments.ParseName("Example Payer")), Address: home, Account: must(payments.ParseAccount("DE89370400440532013000")), Agent: bankA, ID: person, AccountCurrency: "EUR"}
	shop     = Party{Name: must(payments.ParseName("Example Coffee")), Address: home, Account: must(payments.ParseAccount("FR1420041010050500013M02606")), Agent: bankB, ID: company}
	asParty  = Actor{Identity: Identity{payer.Name, home, person}}
	asAgent  = Actor{Agent: bankUS}
	euros    = payments.Amount{Minor: 450, Currency: "EUR"}
	why      = Reason{Originator: Identity{shop.Name, Address{}, company}, Code: "AC04", Info: []string{"first", "second & last"}}
	instant  = PaymentType{ServiceLevel: "SEPA", LocalCode: "INST", CategoryPrtry: "CONS"}
	original = Original{MessageID: "PARLEY-0001", MessageName: "pacs.008.001.08", Created: noon, InstructionID: "I-1", EndToEndID: "E2E-1", TransactionID: "TX-1",
		UETR: "8a562c67-ca16-48ba-b074-65581be6f001", Amount: euros, Date: "2026-11-22"}
	details = OriginalDetails{Amount: euros, Instructed: euros, Date: "2026-11-22", Execution: Moment{Time: noon}, PaymentType: instant, Remittance: "flat white",
		Reference: "RF18539007547034", Debtor: payer, Creditor: shop, Purpose: "GDDS"}
	aCase = Case{AssignmentID: "A-1", Assigner: asParty, Assignee: asAgent, Created: noon, ID: "C-1", Creator: asAgent, Reopened: true}
)

// ofCustomer is the original in messages between customer and bank.
func ofCustomer(o Original) Original {
	o.TransactionID, o.PaymentInfoID = "", "B-1"
	return o
}

// without returns m changed.
func with[M any](m M, change func(*M)) *M {
	change(&m)
	return &m
}

var exampleReturn = Return{
	MsgDef: ReturnV10, MessageID: "RETURN-1", Created: noon, ClrSysCode: "FDN", ReturnID: "R-1", Original: original, Amount: payments.Amount{Minor: 400, Currency: "EUR"},
	SettleDate: "2026-11-23", Instructed: bankA, Instructing: bankB, Compensation: payments.Amount{Minor: 1, Currency: "EUR"},
	Charges: []Charge{{payments.Amount{Currency: "EUR"}, bankA}, {payments.Amount{Minor: 50, Currency: "EUR"}, bankUS}}, ChargeBearer: "SLEV", Debtor: shop, Creditor: payer,
	Reason: why, Details: details, Supplementary: Supplementary{extra, more},
}

var exampleRecall = Recall{
	MsgDef: RecallV8, Case: aCase, CancellationID: "X-1", Original: original, Assigner: bankA, Assignee: bankUS, Reason: why, Details: details, Supplementary: Supplementary{extra, more},
}

var exampleResolution = Resolution{
	Case: aCase, Confirmation: "RJCR", StatusID: "S-1", Original: original, Status: "RJCR", Reason: why, Returned: euros, Settled: "2026-11-23",
	ReturnRef: ReturnReference{"E2E-2", "TX-2", "8a562c67-ca16-48ba-b074-65581be6f002"}, Assigner: asAgent, Assignee: asParty, Details: details, Supplementary: more,
}

var exampleInitiation = Initiation{
	MsgDef: InitiationV9, MessageID: "INIT-1", Created: noon, Initiator: Identity{payer.Name, home, company}, Supplementary: extra,
	Batches: []Batch{
		{ID: "B-1", PaymentType: instant, Execution: Moment{Date: "2026-11-24"}, Debtor: payer, ChargeBearer: "SLEV", BatchBooking: ptr(false), Payments: []InitiatedPayment{
			{InstructionID: "I-1", EndToEndID: "E2E-1", UETR: "8a562c67-ca16-48ba-b074-65581be6f001", Amount: euros, Creditor: shop, Purpose: "GDDS", Remittance: "x", Reference: "RF18539007547034", Supplementary: extra},
			{EndToEndID: "E2E-2", Amount: payments.Amount{Minor: 1, Currency: "BHD"}},
		}},
		{ID: "B-2", Execution: Moment{Time: noon}, Debtor: payer, Payments: []InitiatedPayment{{EndToEndID: "E2E-3", PaymentType: instant, ChargeBearer: "SHAR", Amount: payments.Amount{Minor: 100, Currency: "JPY"}}}},
	},
}

var exampleInitiationReport = InitiationReport{
	MsgDef: InitiationReportV10, MessageID: "REPORT-1", Created: noon, Initiator: Identity{payer.Name, home, company}, Debtor: bankA, Creditor: bankB,
	OriginalMessageID: "INIT-1", OriginalMsgName: InitiationV9, OriginalCreated: noon, Status: "PART", Reasons: []Reason{why, {Prtry: "own"}}, Supplementary: extra,
	Batches: []BatchStatus{{ID: "B-1", Status: "PART", Reasons: []Reason{{Code: "AC01"}}, Payments: []PaymentStatus{
		{StatusID: "S-1", InstructionID: "I-1", EndToEndID: "E2E-1", UETR: original.UETR, Status: "RJCT", Reasons: []Reason{why}, AcceptanceTime: noon, ServicerRef: "REF-1", Details: details, Supplementary: more},
		{EndToEndID: "E2E-2", Status: "ACSC"},
	}}, {ID: "B-2"}},
}

// old drops what the messages of 2009 have no place for.
func (m Initiation) old() *Initiation {
	m.MsgDef, m.Supplementary, m.Initiator.ID.LEI = InitiationV3, "", ""
	m.Batches = append([]Batch(nil), m.Batches...)
	for i := range m.Batches {
		b := &m.Batches[i]
		b.Execution = Moment{Date: "2026-11-24"}
		b.Payments = append([]InitiatedPayment(nil), b.Payments...)
		for k := range b.Payments {
			p := &b.Payments[k]
			p.UETR, p.Supplementary, p.Creditor.ID.LEI = "", "", ""
		}
	}
	return &m
}

var exampleRequest = PaymentRequest{
	MessageID: "RFP-1", Created: noon, Initiator: Identity{shop.Name, home, company}, PaymentInfoID: "B-1", Execution: Moment{Time: noon}, Expiry: Moment{Date: "2026-11-30"},
	PaymentType: instant, Conditions: &Conditions{AmountChange: true, LatePenalty: "none", Guaranteed: true}, InstructionID: "I-1", EndToEndID: "E2E-1", UETR: original.UETR, Amount: euros,
	ChargeBearer: "SLEV", Debtor: payer, Creditor: shop, Purpose: "GDDS", Remittance: "flat white", Reference: "RF18539007547034", Supplementary: Supplementary{extra, more},
}

var exampleAnswer = RequestAnswer{
	MessageID: "ANSWER-1", Created: noon, Initiator: Identity{payer.Name, home, person}, Debtor: bankA, Creditor: bankB,
	Original: with(ofCustomer(original), func(o *Original) { o.Amount, o.Date = payments.Amount{}, "" }).clone(),
	StatusID: "S-1", Status: "ACCP", Reason: why, Accepted: &Acceptance{Amount: euros, Guaranteed: true}, Decided: noon, AcceptanceTime: noon,
	Details: with(details, func(d *OriginalDetails) { d.Amount, d.Date, d.Purpose = payments.Amount{}, "", "" }).clone(), Supplementary: Supplementary{extra, more},
}

func (o *Original) clone() Original               { return *o }
func (d *OriginalDetails) clone() OriginalDetails { return *d }

var exampleQuery = Query{
	Case: aCase, Original: Underlying{Original: original, Details: details}, AntiMoneyLaundering: true,
	Missing: []Shortcoming{{"MS01", "whose"}, {Code: "MS02"}}, Incorrect: []Shortcoming{{"IN01", "which & why"}}, Supplementary: extra,
}

var exampleAddition = Addition{
	Case: aCase, Original: Underlying{Original: original, Details: details}, InstructionID: "I-2", EndToEndID: "E2E-2", TransactionID: "TX-2", PaymentType: instant, SettleDate: "2026-11-24",
	Amount: euros, Debtor: payer, Creditor: shop, Purpose: "GDDS", Remittance: "flat white", Reference: "RF18539007547034", Supplementary: extra,
}

var exampleEvent = SystemEvent{Code: "971", Parameters: []string{"BROADCAST", "SUSPENDED"}, Description: "down & out", Time: noon}

// examples are messages of every definition and shape.
var examples = []Message{
	with(fednowTransfer, func(m *CreditTransfer) {
		m.Reference, m.Purpose, m.ServiceLevel, m.Supplementary, m.Debtor.ID, m.Creditor.ID = "RF18539007547034", "GDDS", "SDVA", Supplementary{extra, more}, person, company
	}),
	&sepaTransfer,
	&InstitutionTransfer{
		MessageID: "PARLEY-0009", Created: noon, SettleDate: "2026-11-23", ClrSysCode: "FDN", InstructionID: "I-1", EndToEndID: "E2E-1", TransactionID: "TX-1", UETR: original.UETR,
		PaymentType: instant, Amount: euros, Instructing: bankA, Instructed: bankB, Debtor: Institution{bankA, payer.Account, bankUS}, Creditor: Institution{bankB, shop.Account, bankUS},
		Purpose: "GDDS", Remittance: "cover & more", Supplementary: Supplementary{extra, more},
	},
	&InstitutionTransfer{GroupLevel: true, MessageID: "PARLEY-0010", Created: noon, SettleDate: "2026-11-23", ClrSysPrtry: "TIPS", EndToEndID: "E2E-1", PaymentType: instant, Amount: euros,
		Debtor: Institution{Agent: bankA}, Creditor: Institution{Agent: bankB}},
	with(fednowStatus, func(m *StatusReport) {
		m.OriginalAmount, m.SettleDate, m.AcceptanceTime, m.StatusID, m.Supplementary, m.ReasonFrom = fednowTransfer.Amount, "2026-11-23", m.Created, "S1", Supplementary{extra, more}, why.Originator
	}),
	with(sepaStatus, func(m *StatusReport) { m.Reason, m.ReasonInfo = "AC03", "x" }),
	with(fednowRequest, func(m *StatusRequest) {
		m.RequestID, m.AcceptanceTime, m.Supplementary = "Q-1", noon, Supplementary{extra, more}
	}),
	with(fednowRequest, func(m *StatusRequest) { m.GroupLevel = true }),
	&exampleReturn,
	with(exampleReturn, func(m *Return) {
		m.MsgDef, m.GroupLevel, m.Debtor.Account, m.Creditor.Account, m.Creditor.AccountCurrency = ReturnV9, true, payments.Account{}, payments.Account{}, ""
	}),
	&exampleRecall,
	with(exampleRecall, func(m *Recall) { m.GroupLevel = true }),
	with(exampleRecall, func(m *Recall) {
		m.MsgDef, m.Original, m.Assigner, m.Assignee = CustomerRecallV9, ofCustomer(m.Original), Agent{}, Agent{}
	}),
	&exampleResolution,
	with(exampleResolution, func(m *Resolution) {
		m.Original, m.Returned, m.Settled, m.ReturnRef, m.Assigner, m.Assignee = ofCustomer(m.Original), payments.Amount{}, "", ReturnReference{}, Actor{}, Actor{}
	}),
	&Resolution{Case: aCase, Confirmation: "CNCL"},
	&exampleQuery,
	with(exampleQuery, func(m *Query) {
		m.Original.Customer, m.Original.Original = true, ofCustomer(original)
		m.Missing, m.Incorrect, m.AntiMoneyLaundering, m.Any = nil, nil, false, true
	}),
	&exampleAddition,
	&exampleInitiation,
	exampleInitiation.old(),
	&exampleInitiationReport,
	with(exampleInitiationReport, func(m *InitiationReport) {
		m.MsgDef, m.Supplementary, m.Initiator.ID.LEI = InitiationReportV3, "", ""
		reason := with(why, func(r *Reason) { r.Originator.ID.LEI = "" })
		m.Reasons = []Reason{*reason}
		d := with(details, func(d *OriginalDetails) {
			d.Creditor.ID.LEI, d.Execution, d.Purpose = "", Moment{Date: "2026-11-22"}, ""
		})
		m.Batches = []BatchStatus{{ID: "B-1", Status: "PART", Payments: []PaymentStatus{{EndToEndID: "E2E-1", Status: "RJCT", Reasons: []Reason{*reason}, AcceptanceTime: noon, Details: *d}}}}
	}),
	&exampleRequest,
	&exampleAnswer,
	&RequestAnswer{MessageID: "ANSWER-2", Created: noon, Original: Original{MessageID: "RFP-1", MessageName: PaymentRequestV7}, Status: "RCVD"},
	&Rejection{Reference: "PARLEY-0001", Reason: "T505", Time: noon, Location: "/Document", Description: "not valid", Data: "<Document>\n"},
	&exampleEvent,
	&Receipt{MessageID: "R-1", Created: noon, QueryName: "q", Reports: []Handling{{"RFP-1", PaymentRequestV7, "TS01", noon, "received"}, {Reference: "RFP-2", Status: "TS01"}}, Supplementary: extra},
	&EventReceipt{MessageID: "R-2", Reference: "REF", Session: "0001", Event: &exampleEvent, Supplementary: extra},
	with(fednowHeader, func(h *Header) { h.PssblDplct, h.CpyDplct, h.BizService = true, "CODU", "x" }),
	&sepaHeader,
}
