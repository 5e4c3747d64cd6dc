package iso20022

import (
	"bytes"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
)

// must returns v, for values that are right by construction.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var eastern = time.FixedZone("", -4*3600)

// A payment, an answer and a question as each rail writes them.
var (
	fednowTransfer = CreditTransfer{
		MessageID: "20261123021040078PARLEY0001", Created: time.Date(2026, 11, 23, 9, 30, 0, 120_000_000, eastern), SettleDate: "2026-11-23",
		ClrSysCode: "FDN", InstructionID: "INSTR-0001", EndToEndID: "0193577a5c1e7abc8def0123456789ab",
		UETR: "8a562c67-ca16-48ba-b074-65581be6f001", LocalPrtry: "FDNA", CategoryPrtry: "CONS",
		Amount: payments.Amount{Minor: 450, Currency: "USD"}, ChargeBearer: "SLEV",
		Instructing: Agent{"021040078", "USABA"}, Instructed: Agent{"091000019", "USABA"},
		Debtor: Party{Name: must(payments.ParseName("Example Payer & Sons")), Address: Address{Street: "High Street", Building: "1", PostCode: "60532", Town: "Lisle", Region: "IL", Country: "US"},
			Account: must(payments.ParseAccount("123456789012")), Agent: Agent{"021040078", "USABA"}},
		Creditor:   Party{Name: must(payments.ParseName("Example Coffee")), Account: must(payments.ParseAccount("987654321000")), Agent: Agent{"091000019", "USABA"}},
		Remittance: "flat white <1>",
	}
	sepaTransfer = CreditTransfer{
		GroupLevel: true, MessageID: "PARLEY-0001", Created: time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC), SettleDate: "2026-11-23",
		ClrSysPrtr: "TIPS", EndToEndID: "0193577a5c1e7abc8def0123456789ab", TransactionID: "TX-0001",
		UETR: "8a562c67-ca16-48ba-b074-65581be6f001", ServiceLevel: "SEPA", LocalCode: "INST",
		Amount: payments.Amount{Minor: 99999999999, Currency: "EUR"}, AcceptanceTime: time.Date(2026, 11, 23, 14, 30, 0, 7_000_000, time.UTC), ChargeBearer: "SLEV",
		Instructing: Agent{ID: "AAAADEFF"}, Instructed: Agent{ID: "BBBBFRPPXXX"},
		Debtor:   Party{Name: must(payments.ParseName("Zoë Example")), Account: must(payments.ParseAccount("DE89370400440532013000")), Agent: Agent{ID: "AAAADEFF"}},
		Creditor: Party{Name: must(payments.ParseName("Example Coffee")), Account: must(payments.ParseAccount("FR1420041010050500013M02606")), Agent: Agent{ID: "BBBBFRPPXXX"}},
		Purpose:  "GDDS", Reference: "RF18539007547034",
	}
	fednowStatus = StatusReport{
		MessageID: "20261123091000019ANSWER0001", Created: time.Date(2026, 11, 23, 9, 30, 1, 0, eastern),
		OriginalMessageID: "20261123021040078PARLEY0001", OriginalMsgName: "pacs.008.001.08", OriginalCreated: fednowTransfer.Created,
		OriginalInstruction: "INSTR-0001", OriginalEndToEnd: fednowTransfer.EndToEndID, OriginalUETR: fednowTransfer.UETR,
		Status: "RJCT", Reason: "AC03", ReasonInfo: "account number is not known",
		Instructing: Agent{"091000019", "USABA"}, Instructed: Agent{"021040078", "USABA"},
	}
	sepaStatus = StatusReport{
		GroupLevel: true, MessageID: "ANSWER-0001", Created: time.Date(2026, 11, 23, 14, 30, 1, 0, time.UTC), StatusID: "STS-1",
		OriginalMessageID: "PARLEY-0001", OriginalMsgName: "pacs.008.001.08", Status: "ACCP",
		OriginalEndToEnd: sepaTransfer.EndToEndID, OriginalTransaction: "TX-0001", AcceptanceTime: sepaTransfer.AcceptanceTime,
		SettleDate: "2026-11-23", OriginalAmount: sepaTransfer.Amount,
	}
	fednowRequest = StatusRequest{
		MessageID: "20261123021040078ENQUIRY001", Created: time.Date(2026, 11, 23, 9, 30, 30, 0, eastern),
		OriginalMessageID: "20261123021040078PARLEY0001", OriginalMsgName: "pacs.008.001.08", OriginalCreated: fednowTransfer.Created,
		OriginalInstruction: "INSTR-0001", OriginalEndToEnd: fednowTransfer.EndToEndID, OriginalUETR: fednowTransfer.UETR,
		Instructing: Agent{"021040078", "USABA"}, Instructed: Agent{"091000019", "USABA"},
	}
	fednowHeader = Header{
		Version: HeaderV02, From: "021040078", To: "021150706", BizMsgID: "20261123021040078PARLEY0001", MsgDef: "pacs.008.001.08",
		Registry: "www2.swift.com/mystandards/#/group/Federal_Reserve_Financial_Services/FedNow_Service", PracticeID: "frb.fednow.01",
		Created: fednowTransfer.Created,
	}
	sepaHeader = Header{
		Version: HeaderV01, From: "AAAADEFF", To: "BBBBFRPPXXX", BizMsgID: "PARLEY-0001", MsgDef: "pacs.008.001.08", BizService: "sct.inst",
		Created: time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC), CpyDplct: "DUPL", PssblDplct: true,
	}
)

// fataler is what testing.T and rapid.T have in common.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// roundTrip encodes m, validates the bytes, decodes them and compares.
func roundTrip[M any](t fataler, m *M, appendTo func(*M, []byte) ([]byte, error), decode func([]byte) (*M, error), equal func(a, b M) bool) []byte {
	t.Helper()
	b, err := appendTo(m, []byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	b, ok := bytes.CutPrefix(b, []byte("before"))
	if !ok {
		t.Fatal("Append changed what was in the buffer")
	}
	if err := Validate(b); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	back, err := decode(b)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if !equal(*m, *back) {
		t.Fatalf("decoded differently:\n%+v\n%+v\n%s", *m, *back, b)
	}
	again, err := appendTo(back, nil)
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("encoded differently: %v\n%s\n%s", err, b, again)
	}
	return b
}

func sameTime(a, b *time.Time) bool {
	_, x := a.Zone()
	_, y := b.Zone()
	same := a.Equal(*b) && x == y
	*a, *b = time.Time{}, time.Time{}
	return same
}

func equalTransfer(a, b CreditTransfer) bool {
	return sameTime(&a.Created, &b.Created) && sameTime(&a.AcceptanceTime, &b.AcceptanceTime) && a == b
}

func equalStatus(a, b StatusReport) bool {
	return sameTime(&a.Created, &b.Created) && sameTime(&a.AcceptanceTime, &b.AcceptanceTime) && sameTime(&a.OriginalCreated, &b.OriginalCreated) && a == b
}

func equalRequest(a, b StatusRequest) bool {
	return sameTime(&a.Created, &b.Created) && sameTime(&a.AcceptanceTime, &b.AcceptanceTime) && sameTime(&a.OriginalCreated, &b.OriginalCreated) && a == b
}

func equalHeader(a, b Header) bool { return sameTime(&a.Created, &b.Created) && a == b }

func TestRoundTrip(t *testing.T) {
	for _, m := range []*CreditTransfer{&fednowTransfer, &sepaTransfer} {
		t.Logf("%s", roundTrip(t, m, (*CreditTransfer).Append, DecodeCreditTransfer, equalTransfer))
	}
	for _, m := range []*StatusReport{&fednowStatus, &sepaStatus} {
		t.Logf("%s", roundTrip(t, m, (*StatusReport).Append, DecodeStatusReport, equalStatus))
	}
	t.Logf("%s", roundTrip(t, &fednowRequest, (*StatusRequest).Append, DecodeStatusRequest, equalRequest))
	for _, m := range []*Header{&fednowHeader, &sepaHeader} {
		t.Logf("%s", roundTrip(t, m, (*Header).Append, DecodeHeader, equalHeader))
	}
}

func BenchmarkEncode(b *testing.B) {
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf, _ = fednowTransfer.Append(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecode(b *testing.B) {
	doc, _ := fednowTransfer.Append(nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, err := DecodeCreditTransfer(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	doc, _ := fednowTransfer.Append(nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if err := Validate(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	doc, _ := fednowTransfer.Append(nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(doc)))
	var t tree
	for b.Loop() {
		if f := t.scan(doc); f != nil {
			b.Fatal(f)
		}
	}
}
