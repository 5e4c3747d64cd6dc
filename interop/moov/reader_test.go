package moov

import (
	"encoding/xml"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/moov-io/iso20022/pkg/document"
	"github.com/moov-io/iso20022/pkg/head_v01"
	"github.com/moov-io/iso20022/pkg/head_v02"
	"github.com/moov-io/iso20022/pkg/pacs_v04"
	"github.com/moov-io/iso20022/pkg/pacs_v08"
	"github.com/moov-io/iso20022/pkg/pacs_v10"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var eastern = time.FixedZone("", -5*3600)

// transfer returns a payment as FedNow takes it.
func transfer() *iso20022.CreditTransfer {
	return &iso20022.CreditTransfer{
		MessageID: "20261123021040078PARLEY0001", Created: time.Date(2026, 11, 23, 9, 30, 0, 0, eastern), SettleDate: "2026-11-23",
		ClrSysCode: "FDN", InstructionID: "INSTR-0001", EndToEndID: "0193577a5c1e7abc8def0123456789ab", TransactionID: "TX-1",
		UETR: "8a562c67-ca16-48ba-b074-65581be6f001", LocalPrtry: "FDNA", CategoryPrtry: "CONS",
		Amount: payments.Amount{Minor: 450, Currency: "USD"}, ChargeBearer: "SLEV", AcceptanceTime: time.Date(2026, 11, 23, 9, 29, 59, 0, eastern),
		Instructing: iso20022.Agent{ID: "021040078", System: "USABA"}, Instructed: iso20022.Agent{ID: "091000019", System: "USABA"},
		Debtor: iso20022.Party{Name: must(payments.ParseName("Example Payer & Sons <1>")), Account: must(payments.ParseAccount("123456789012")), Agent: iso20022.Agent{ID: "021040078", System: "USABA"},
			Address: iso20022.Address{Street: "High Street", Building: "1", PostCode: "60532", Town: "Lisle", Region: "IL", Country: "US"}},
		Creditor:   iso20022.Party{Name: must(payments.ParseName("Zoë Example")), Account: must(payments.ParseAccount("987654321000")), Agent: iso20022.Agent{ID: "091000019", System: "USABA"}},
		Purpose:    "GDDS",
		Remittance: "flat white & cake",
	}
}

// sepa changes a payment to what SCT Inst takes.
func sepa(m *iso20022.CreditTransfer) *iso20022.CreditTransfer {
	m.GroupLevel, m.ClrSysCode, m.ClrSysPrtr, m.LocalPrtry, m.CategoryPrtry, m.LocalCode, m.ServiceLevel = true, "", "TIPS", "", "", "INST", "SEPA"
	m.Amount.Currency = "EUR"
	m.Debtor.Account, m.Creditor.Account = must(payments.ParseAccount("DE89370400440532013000")), must(payments.ParseAccount("FR1420041010050500013M02606"))
	m.Debtor.Agent, m.Creditor.Agent = iso20022.Agent{ID: "AAAADEFF"}, iso20022.Agent{ID: "BBBBFRPPXXX"}
	m.Instructing, m.Instructed = m.Debtor.Agent, m.Creditor.Agent
	return m
}

func encode(t *testing.T, m interface{ Append([]byte) ([]byte, error) }) []byte {
	t.Helper()
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read decodes the message inside a Document with the other library.
func read[M any](t *testing.T, doc []byte) *M {
	t.Helper()
	var d struct {
		XMLName xml.Name `xml:"Document"`
		Message M        `xml:",any"`
	}
	if err := xml.Unmarshal(doc, &d); err != nil {
		t.Fatal(err)
	}
	return &d.Message
}

// check compares what the other library read with what was meant.
func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: read %q, meant %q", what, g, w)
	}
}

// str returns the text of an element, which the library holds as a text or as a pointer to one.
func str(p any) string {
	v := reflect.ValueOf(p)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	return v.String()
}

// Both parse the same message definition, with every id, party, code and the amount the same.
func TestCreditTransfer(t *testing.T) {
	for _, m := range []*iso20022.CreditTransfer{transfer(), sepa(transfer())} {
		doc := encode(t, m)
		if _, err := document.ParseIso20022Document(doc); err != nil {
			t.Fatal(err)
		}
		got := read[pacs_v08.FIToFICustomerCreditTransferV08](t, doc)
		if len(got.CdtTrfTxInf) != 1 {
			t.Fatalf("%d transactions", len(got.CdtTrfTxInf))
		}
		h, x := &got.GrpHdr, &got.CdtTrfTxInf[0]
		check(t, "MsgId", h.MsgId, m.MessageID)
		check(t, "CreDtTm", time.Time(h.CreDtTm).Equal(m.Created), true)
		check(t, "NbOfTxs", h.NbOfTxs, "1")
		check(t, "SttlmMtd", h.SttlmInf.SttlmMtd, "CLRG")
		check(t, "ClrSys/Cd", str(h.SttlmInf.ClrSys.Cd), m.ClrSysCode)
		check(t, "ClrSys/Prtry", str(h.SttlmInf.ClrSys.Prtry), m.ClrSysPrtr)
		check(t, "InstrId", str(x.PmtId.InstrId), m.InstructionID)
		check(t, "EndToEndId", x.PmtId.EndToEndId, m.EndToEndID)
		check(t, "TxId", str(x.PmtId.TxId), m.TransactionID)
		check(t, "UETR", str(x.PmtId.UETR), m.UETR)
		check(t, "Ccy", x.IntrBkSttlmAmt.Ccy, m.Amount.Currency)
		check(t, "IntrBkSttlmAmt", fmt.Sprintf("%.2f", x.IntrBkSttlmAmt.Value), m.Amount.Text())
		check(t, "AccptncDtTm", time.Time(*x.AccptncDtTm).Equal(m.AcceptanceTime), true)
		check(t, "ChrgBr", x.ChrgBr, m.ChargeBearer)
		check(t, "Dbtr/Nm", str(x.Dbtr.Nm), m.Debtor.Name.Reveal())
		check(t, "Dbtr/StrtNm", str(x.Dbtr.PstlAdr.StrtNm), m.Debtor.Address.Street)
		check(t, "Dbtr/BldgNb", str(x.Dbtr.PstlAdr.BldgNb), m.Debtor.Address.Building)
		check(t, "Dbtr/PstCd", str(x.Dbtr.PstlAdr.PstCd), m.Debtor.Address.PostCode)
		check(t, "Dbtr/TwnNm", str(x.Dbtr.PstlAdr.TwnNm), m.Debtor.Address.Town)
		check(t, "Dbtr/CtrySubDvsn", str(x.Dbtr.PstlAdr.CtrySubDvsn), m.Debtor.Address.Region)
		check(t, "Dbtr/Ctry", str(x.Dbtr.PstlAdr.Ctry), m.Debtor.Address.Country)
		check(t, "Cdtr/Nm", str(x.Cdtr.Nm), m.Creditor.Name.Reveal())
		check(t, "DbtrAcct", str(x.DbtrAcct.Id.IBAN)+string(x.DbtrAcct.Id.Othr.Id), m.Debtor.Account.Reveal())
		check(t, "CdtrAcct", str(x.CdtrAcct.Id.IBAN)+string(x.CdtrAcct.Id.Othr.Id), m.Creditor.Account.Reveal())
		for name, a := range map[string]struct {
			got  *pacs_v08.BranchAndFinancialInstitutionIdentification6
			want iso20022.Agent
		}{
			"InstgAgt": {x.InstgAgt, m.Instructing}, "InstdAgt": {x.InstdAgt, m.Instructed},
			"DbtrAgt": {&x.DbtrAgt, m.Debtor.Agent}, "CdtrAgt": {&x.CdtrAgt, m.Creditor.Agent},
		} {
			if mem := a.got.FinInstnId.ClrSysMmbId; mem != nil {
				check(t, name, string(mem.MmbId)+" "+str(mem.ClrSysId.Cd), string(a.want.ID)+" "+a.want.System)
			} else {
				check(t, name, str(a.got.FinInstnId.BICFI), a.want.ID)
			}
		}
		kind := x.PmtTpInf
		if m.GroupLevel {
			kind = h.PmtTpInf
			check(t, "TtlIntrBkSttlmAmt", fmt.Sprintf("%.2f", h.TtlIntrBkSttlmAmt.Value), m.Amount.Text())
			check(t, "SvcLvl", str(kind.SvcLvl[0].Cd), m.ServiceLevel)
		} else {
			check(t, "CtgyPurp", str(kind.CtgyPurp.Prtry), m.CategoryPrtry)
		}
		check(t, "LclInstrm", str(kind.LclInstrm.Cd)+str(kind.LclInstrm.Prtry), m.LocalCode+m.LocalPrtry)
		check(t, "Purp", str(x.Purp.Cd), m.Purpose)
		check(t, "Ustrd", x.RmtInf.Ustrd[0], m.Remittance)
	}
}

// Amounts of up to 15 digits read the same, whatever the currency's decimals.
func TestAmounts(t *testing.T) {
	m := transfer()
	for minor := int64(1); minor < 1_000_000_000_000_000; minor = minor*3 + 1 {
		for currency, digits := range map[payments.Currency]int{"USD": 2, "JPY": 0, "BHD": 3} {
			m.Amount = payments.Amount{Minor: minor, Currency: currency}
			got := read[pacs_v08.FIToFICustomerCreditTransferV08](t, encode(t, m))
			check(t, "amount", fmt.Sprintf("%.*f", digits, got.CdtTrfTxInf[0].IntrBkSttlmAmt.Value), m.Amount.Text())
		}
	}
}

func TestStatusReport(t *testing.T) {
	m := &iso20022.StatusReport{
		MessageID: "20261123091000019ANSWER0001", Created: time.Date(2026, 11, 23, 9, 30, 1, 0, eastern), StatusID: "STS-1",
		OriginalMessageID: "20261123021040078PARLEY0001", OriginalMsgName: "pacs.008.001.08", OriginalCreated: transfer().Created,
		OriginalInstruction: "INSTR-0001", OriginalEndToEnd: transfer().EndToEndID, OriginalTransaction: "TX-1", OriginalUETR: transfer().UETR,
		Status: "RJCT", Reason: "AC03", ReasonInfo: "account number is not known",
		Instructing: iso20022.Agent{ID: "091000019", System: "USABA"}, Instructed: iso20022.Agent{ID: "021040078", System: "USABA"},
	}
	got := read[pacs_v10.FIToFIPaymentStatusReportV10](t, encode(t, m))
	x := &got.TxInfAndSts[0]
	check(t, "MsgId", got.GrpHdr.MsgId, m.MessageID)
	check(t, "StsId", str(x.StsId), m.StatusID)
	check(t, "OrgnlMsgId", x.OrgnlGrpInf.OrgnlMsgId, m.OriginalMessageID)
	check(t, "OrgnlMsgNmId", x.OrgnlGrpInf.OrgnlMsgNmId, m.OriginalMsgName)
	check(t, "OrgnlCreDtTm", time.Time(*x.OrgnlGrpInf.OrgnlCreDtTm).Equal(m.OriginalCreated), true)
	check(t, "OrgnlInstrId", str(x.OrgnlInstrId), m.OriginalInstruction)
	check(t, "OrgnlEndToEndId", str(x.OrgnlEndToEndId), m.OriginalEndToEnd)
	check(t, "OrgnlTxId", str(x.OrgnlTxId), m.OriginalTransaction)
	check(t, "OrgnlUETR", str(x.OrgnlUETR), m.OriginalUETR)
	check(t, "TxSts", str(x.TxSts), m.Status)
	check(t, "Rsn", str(x.StsRsnInf[0].Rsn.Cd), m.Reason)
	check(t, "AddtlInf", x.StsRsnInf[0].AddtlInf[0], m.ReasonInfo)
	check(t, "InstgAgt", x.InstgAgt.FinInstnId.ClrSysMmbId.MmbId, m.Instructing.ID)
	check(t, "InstdAgt", x.InstdAgt.FinInstnId.ClrSysMmbId.MmbId, m.Instructed.ID)
}

// The library lacks pacs.028.001.03; its types of version .04 have the elements that we write under the same names.
func TestStatusRequest(t *testing.T) {
	m := &iso20022.StatusRequest{
		MessageID: "20261123021040078ENQUIRY001", Created: time.Date(2026, 11, 23, 9, 30, 30, 0, eastern),
		OriginalMessageID: "20261123021040078PARLEY0001", OriginalMsgName: "pacs.008.001.08", OriginalCreated: transfer().Created,
		OriginalInstruction: "INSTR-0001", OriginalEndToEnd: transfer().EndToEndID, OriginalUETR: transfer().UETR,
		Instructing: iso20022.Agent{ID: "021040078", System: "USABA"}, Instructed: iso20022.Agent{ID: "091000019", System: "USABA"},
	}
	got := read[pacs_v04.FIToFIPaymentStatusRequestV04](t, encode(t, m))
	x := &got.TxInf[0]
	check(t, "MsgId", got.GrpHdr.MsgId, m.MessageID)
	check(t, "OrgnlMsgId", x.OrgnlGrpInf.OrgnlMsgId, m.OriginalMessageID)
	check(t, "OrgnlInstrId", str(x.OrgnlInstrId), m.OriginalInstruction)
	check(t, "OrgnlEndToEndId", str(x.OrgnlEndToEndId), m.OriginalEndToEnd)
	check(t, "OrgnlUETR", str(x.OrgnlUETR), m.OriginalUETR)
	check(t, "InstgAgt", x.InstgAgt.FinInstnId.ClrSysMmbId.MmbId, m.Instructing.ID)
}

func TestHeaders(t *testing.T) {
	m := &iso20022.Header{
		Version: iso20022.HeaderV02, From: "021040078", To: "021150706", BizMsgID: "20261123021040078PARLEY0001", MsgDef: "pacs.008.001.08",
		Registry: "www2.swift.com/mystandards/#/group/Federal_Reserve_Financial_Services/FedNow_Service", PracticeID: "frb.fednow.01", Created: transfer().Created,
	}
	var v2 head_v02.BusinessApplicationHeaderV02
	if err := xml.Unmarshal(encode(t, m), &v2); err != nil {
		t.Fatal(err)
	}
	check(t, "Fr", v2.Fr.FIId.FinInstnId.ClrSysMmbId.MmbId, m.From)
	check(t, "To", v2.To.FIId.FinInstnId.ClrSysMmbId.MmbId, m.To)
	check(t, "BizMsgIdr", v2.BizMsgIdr, m.BizMsgID)
	check(t, "MsgDefIdr", v2.MsgDefIdr, m.MsgDef)
	check(t, "Regy", v2.MktPrctc.Regy, m.Registry)
	check(t, "Id", v2.MktPrctc.Id, m.PracticeID)
	check(t, "CreDt", time.Time(v2.CreDt).Equal(m.Created), true)

	m.Version, m.Registry, m.PracticeID, m.Created = iso20022.HeaderV01, "", "", m.Created.UTC()
	m.From, m.To, m.BizService, m.CpyDplct, m.PssblDplct = "AAAADEFF", "BBBBFRPPXXX", "sct.inst", "DUPL", true
	var v1 head_v01.BusinessApplicationHeaderV01
	if err := xml.Unmarshal(encode(t, m), &v1); err != nil {
		t.Fatal(err)
	}
	check(t, "Fr", str(v1.Fr.FIId.FinInstnId.BICFI), m.From)
	check(t, "To", str(v1.To.FIId.FinInstnId.BICFI), m.To)
	check(t, "BizMsgIdr", v1.BizMsgIdr, m.BizMsgID)
	check(t, "BizSvc", str(v1.BizSvc), m.BizService)
	check(t, "CpyDplct", str(v1.CpyDplct), m.CpyDplct)
	check(t, "PssblDplct", v1.PssblDplct, true)
}
