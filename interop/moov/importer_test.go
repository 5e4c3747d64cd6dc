package moov

import (
	"encoding/xml"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/moov-io/iso20022/pkg/common"
	"github.com/moov-io/iso20022/pkg/document"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

// What the library has read of our documents comes back as it was, in the zone that we say.
func TestImport(t *testing.T) {
	o := Options{Zone: eastern}
	for _, m := range []*iso20022.CreditTransfer{transfer(), sepa(transfer())} {
		doc, err := document.ParseIso20022Document(encode(t, m))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Import(doc, o)
		if err != nil {
			t.Fatal(err)
		}
		back := got.(*iso20022.CreditTransfer)
		if !back.Created.Equal(m.Created) || !back.AcceptanceTime.Equal(m.AcceptanceTime) {
			t.Errorf("%v and %v, want %v and %v", back.Created, back.AcceptanceTime, m.Created, m.AcceptanceTime)
		}
		back.Created, back.AcceptanceTime = m.Created, m.AcceptanceTime
		if *back != *m {
			t.Errorf("%+v\nwant\n%+v", *back, *m)
		}
	}
	status := &iso20022.StatusReport{MessageID: "S-1", Created: time.Date(2026, 11, 23, 9, 30, 1, 0, eastern), OriginalMessageID: "M-1", OriginalMsgName: iso20022.CreditTransferV8, Status: "RJCT", Reason: "AC03"}
	doc, err := document.ParseIso20022Document(encode(t, status))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Import(doc, o); err != nil || got.(*iso20022.StatusReport).Reason != "AC03" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Import(doc, Options{}); !isRefusal(err, "zone") {
		t.Errorf("%v, want a refusal of times", err)
	}
}

// Other messages that both have: what the library reads of a document is imported to the same.
func TestImportOthers(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, eastern)
	bank := iso20022.Agent{ID: "021040078", System: "USABA"}
	original := iso20022.Original{MessageID: "M-1", MessageName: iso20022.CreditTransferV8, EndToEndID: "E2E-1", Amount: payments.Amount{Minor: 450, Currency: "USD"}, Date: "2026-11-22"}
	for _, m := range []iso20022.Message{
		&iso20022.Return{MsgDef: iso20022.ReturnV10, MessageID: "R-1", Created: now, ClrSysCode: "FDN", ReturnID: "R", Original: original, Amount: original.Amount, SettleDate: "2026-11-23",
			ChargeBearer: "SLEV", Reason: iso20022.Reason{Code: "AC04", Info: []string{"closed"}}},
		&iso20022.Recall{MsgDef: iso20022.RecallV8, Case: iso20022.Case{AssignmentID: "A", Assigner: iso20022.Actor{Agent: bank}, Assignee: iso20022.Actor{Agent: bank}, Created: now}, Original: original,
			Reason: iso20022.Reason{Code: "DUPL"}},
		&iso20022.SystemEvent{Code: "PING", Parameters: []string{"a", "b"}, Time: now},
	} {
		doc, err := document.ParseIso20022Document(encode(t, m))
		if err != nil {
			t.Fatalf("%s: %v", m.Definition(), err)
		}
		got, err := Import(doc, Options{Zone: eastern})
		if err != nil {
			t.Fatalf("%s: %v", m.Definition(), err)
		}
		if a, b := string(encode(t, m)), string(encode(t, got)); a != b {
			t.Errorf("%s\nwant\n%s", b, a)
		}
	}
}

// What cannot be proved exact is refused, with the place and without the value.
func TestImportRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(m *payment)
		want   string // part of the text of a refusal, or the rule of a fault
	}{
		{"16 digits", func(m *payment) { m.CdtTrfTxInf[0].IntrBkSttlmAmt.Value = 12345678901234.56 }, "15 digits"},
		{"17 digits", func(m *payment) { m.CdtTrfTxInf[0].IntrBkSttlmAmt.Value = 99999999999999.99 }, "15 digits"},
		{"not a number", func(m *payment) { m.CdtTrfTxInf[0].IntrBkSttlmAmt.Value = math.NaN() }, "not a number"},
		{"infinite", func(m *payment) { m.CdtTrfTxInf[0].IntrBkSttlmAmt.Value = math.Inf(1) }, "not a number"},
		{"negative", func(m *payment) { m.CdtTrfTxInf[0].IntrBkSttlmAmt.Value = -5 }, "below zero"},
		{"minus zero", func(m *payment) { m.CdtTrfTxInf[0].IntrBkSttlmAmt.Value = math.Copysign(0, -1) }, "below zero"},
		{"half a cent", func(m *payment) { m.CdtTrfTxInf[0].IntrBkSttlmAmt.Value = 4.505 }, "decimals"},
		{"a sum that is none", func(m *payment) { x, y := 0.1, 0.2; m.CdtTrfTxInf[0].IntrBkSttlmAmt.Value = x + y }, "15 digits"},
		{"zero", func(m *payment) { m.CdtTrfTxInf[0].IntrBkSttlmAmt.Value = 0 }, "model.amount"},
		{"unknown currency", func(m *payment) { m.CdtTrfTxInf[0].IntrBkSttlmAmt.Ccy = "QQQ" }, "unknown currency"},
		{"currency with more", func(m *payment) { m.CdtTrfTxInf[0].IntrBkSttlmAmt.Ccy = "xxUSDyy" }, "unknown currency"},
		{"both branches of an account", func(m *payment) {
			x := common.IBAN2007Identifier("DE89370400440532013000")
			m.CdtTrfTxInf[0].DbtrAcct.Id.IBAN = &x
		}, "more than one branch"},
		{"no transaction", func(m *payment) { m.CdtTrfTxInf = nil }, "schema.missing"},
		{"two transactions", func(m *payment) { m.CdtTrfTxInf = append(m.CdtTrfTxInf, m.CdtTrfTxInf[0]) }, "model.transactions"},
		{"UETR", func(m *payment) { x := common.UUIDv4Identifier("zz"); m.CdtTrfTxInf[0].PmtId.UETR = &x }, "schema.pattern"},
		{"no id", func(m *payment) { m.GrpHdr.MsgId = "" }, "schema.missing"},
	} {
		m := read[payment](t, encode(t, simple()))
		c.change(m)
		got, err := ImportMessage(m, iso20022.CreditTransferV8, Options{Zone: eastern})
		var fault *iso20022.Fault
		if got != nil || !isRefusal(err, c.want) && !(errors.As(err, &fault) && fault.Rule == c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	for _, other := range []any{nil, 1, "x", struct{}{}, (*payment)(nil)} {
		if _, err := ImportMessage(other, iso20022.CreditTransferV8, Options{}); err == nil {
			t.Errorf("%T is imported", other)
		}
	}
	if _, err := ImportMessage(&payment{}, "pacs.002.001.10", Options{}); err == nil {
		t.Error("imported as another message")
	}
}

// Every amount of up to 15 digits comes through, digit by digit.
func TestImportAmounts(t *testing.T) {
	m := read[payment](t, encode(t, simple()))
	n := 0
	for minor := int64(1); minor < 1_000_000_000_000_000; minor = minor*3 + 1 {
		text := payments.Amount{Minor: minor, Currency: "USD"}.Text()
		var a struct {
			Value float64 `xml:",chardata"`
		}
		if err := xml.Unmarshal([]byte("<a>"+text+"</a>"), &a); err != nil {
			t.Fatal(err)
		}
		m.CdtTrfTxInf[0].IntrBkSttlmAmt.Value = a.Value
		got, err := ImportMessage(m, iso20022.CreditTransferV8, Options{Zone: eastern})
		if err != nil || got.(*iso20022.CreditTransfer).Amount.Minor != minor {
			t.Fatalf("%s: %v", text, err)
		}
		n++
	}
	if n < 30 {
		t.Errorf("%d amounts", n)
	}
}

func isRefusal(err error, text string) bool {
	var r *Refusal
	return errors.As(err, &r) && strings.Contains(r.Text, text) && strings.HasPrefix(r.Path, "/")
}
