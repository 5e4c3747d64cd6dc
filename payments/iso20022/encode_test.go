package iso20022

import (
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"pgregory.net/rapid"
)

// An encoder fails rather than write what its schema or decoder refuses, and leaves the buffer as it was.
func TestEncodeRefusals(t *testing.T) {
	seconds := time.FixedZone("", 3600+1)
	for _, c := range []struct {
		name, rule, path string
		change           func(*CreditTransfer)
	}{
		{"no message id", "model.missing", "/Document/FIToFICstmrCdtTrf/GrpHdr/MsgId", func(m *CreditTransfer) { m.MessageID = "" }},
		{"long message id", "model.text", "/Document/FIToFICstmrCdtTrf/GrpHdr/MsgId", func(m *CreditTransfer) { m.MessageID = strings.Repeat("é", 36) }},
		{"space in front of an id", "model.id", "", func(m *CreditTransfer) { m.MessageID = " a" }},
		{"line feed in an id", "model.id", "", func(m *CreditTransfer) { m.EndToEndID = "a\nb" }},
		{"no end-to-end id", "model.missing", "", func(m *CreditTransfer) { m.EndToEndID = "" }},
		{"no time", "model.missing", "/Document/FIToFICstmrCdtTrf/GrpHdr/CreDtTm", func(m *CreditTransfer) { m.Created = time.Time{} }},
		{"offset with seconds", "model.time", "", func(m *CreditTransfer) { m.Created = m.Created.In(seconds) }},
		{"offset beyond 14 hours", "model.time", "", func(m *CreditTransfer) { m.Created = m.Created.In(time.FixedZone("", 15*3600)) }},
		{"year 10000", "model.time", "", func(m *CreditTransfer) { m.AcceptanceTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"year 0", "model.time", "", func(m *CreditTransfer) { m.AcceptanceTime = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"date", "model.date", "", func(m *CreditTransfer) { m.SettleDate = "2026-02-30" }},
		{"date with zone", "model.date", "", func(m *CreditTransfer) { m.SettleDate = "2026-11-23Z" }},
		{"both clearing systems", "model.choice", "", func(m *CreditTransfer) { m.ClrSysPrtr = "TIPS" }},
		{"long clearing system", "model.code", "", func(m *CreditTransfer) { m.ClrSysCode = "FDNX" }},
		{"both local instruments", "model.choice", "", func(m *CreditTransfer) { m.LocalCode = "INST" }},
		{"both categories", "model.choice", "", func(m *CreditTransfer) { m.CategoryCode = "SUPP" }},
		{"code with markup", "model.code", "", func(m *CreditTransfer) { m.Purpose = "<a/>" }},
		{"no charge bearer", "model.code", "", func(m *CreditTransfer) { m.ChargeBearer = "" }},
		{"unknown charge bearer", "model.code", "", func(m *CreditTransfer) { m.ChargeBearer = "ABCD" }},
		{"uetr", "model.uetr", "", func(m *CreditTransfer) { m.UETR = "8A562C67-CA16-48BA-B074-65581BE6F001" }},
		{"no debtor agent", "model.missing", "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/DbtrAgt", func(m *CreditTransfer) { m.Debtor.Agent = Agent{} }},
		{"no creditor agent", "model.missing", "", func(m *CreditTransfer) { m.Creditor.Agent = Agent{} }},
		{"agent without id", "model.missing", "", func(m *CreditTransfer) { m.Instructing.ID = "" }},
		{"agent with markup", "model.code", "", func(m *CreditTransfer) { m.Instructing.ID = `"><x/>` }},
		{"long system of an agent", "model.code", "", func(m *CreditTransfer) { m.Instructing.System = "USABAX" }},
		{"country", "model.country", "", func(m *CreditTransfer) { m.Debtor.Address.Country = "us" }},
		{"long street", "model.text", "", func(m *CreditTransfer) { m.Debtor.Address.Street = strings.Repeat("x", 71) }},
		{"long text", "model.text", "", func(m *CreditTransfer) { m.Remittance = strings.Repeat("x", 141) }},
		{"control in a text", "model.text", "", func(m *CreditTransfer) { m.Remittance = "\x00" }},
		{"invalid UTF-8", "model.text", "", func(m *CreditTransfer) { m.Remittance = "a\xff" }},
		{"U+FFFF", "model.text", "", func(m *CreditTransfer) { m.Remittance = "\uFFFF" }},
		{"long reference", "model.text", "", func(m *CreditTransfer) { m.Reference = strings.Repeat("1", 36) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := fednowTransfer
			c.change(&m)
			b, err := m.Append([]byte("before"))
			if ruleOf(err) != c.rule {
				t.Fatalf("%v, want %s", err, c.rule)
			}
			if string(b) != "before" {
				t.Errorf("the buffer holds %q", b)
			}
			if f := err.(*Fault); c.path != "" && f.Path != c.path || !strings.HasPrefix(f.Path, "/Document/") {
				t.Errorf("path %s", f.Path)
			}
		})
	}
	status := fednowStatus
	status.Status = ""
	if _, err := status.Append(nil); ruleOf(err) != "model.missing" {
		t.Error(err)
	}
	status = fednowStatus
	status.ReasonPrtry = "E990"
	if _, err := status.Append(nil); ruleOf(err) != "model.choice" {
		t.Error(err)
	}
	status = fednowStatus
	status.OriginalMsgName = ""
	if _, err := status.Append(nil); ruleOf(err) != "model.missing" {
		t.Error(err)
	}
	request := fednowRequest
	request.OriginalMessageID = ""
	if _, err := request.Append(nil); ruleOf(err) != "model.missing" {
		t.Error(err)
	}
	for name, change := range map[string]func(*Header){
		"version":                 func(h *Header) { h.Version = "head.001.001.03" },
		"no version":              func(h *Header) { h.Version = "" },
		"no sender":               func(h *Header) { h.From = "" },
		"registry without id":     func(h *Header) { h.PracticeID = "" },
		"practice in the old one": func(h *Header) { h.Version, h.Created = HeaderV01, h.Created.UTC() },
		"old one not in UTC":      func(h *Header) { h.Version, h.Registry, h.PracticeID = HeaderV01, "", "" },
		"copy":                    func(h *Header) { h.CpyDplct = "TRIP" },
	} {
		h := fednowHeader
		change(&h)
		if b, err := h.Append([]byte("x")); err == nil || string(b) != "x" {
			t.Errorf("%s: %s, %v", name, b, err)
		}
	}
	h := sepaHeader
	h.From = "1AAADEFF" // a BIC of ISO 9362:2014, which head.001.001.01 does not take
	if _, err := h.Append(nil); ruleOf(err) != "model.agent" {
		t.Error(err)
	}
}

// Generators of the properties below. They make what programs may hand to an encoder, right or wrong.

func genText(max int) *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just(""), rapid.StringN(1, max, -1), rapid.StringOfN(rapid.RuneFrom([]rune(" aZ09é€𝄞&<>\"'\t\n\r]-+/.")), 1, max+1, -1))
}

func genID() *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[A-Za-z0-9/?:().,'+-]{1,35}`), rapid.StringMatching(`[A-Za-z0-9 é&<]{1,36}`))
}

func genCode() *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[A-Z0-9]{1,5}`))
}

var genTime = rapid.Custom(func(t *rapid.T) time.Time {
	if rapid.IntRange(0, 5).Draw(t, "none") == 0 {
		return time.Time{}
	}
	zone := time.UTC
	if m := rapid.IntRange(-14*60, 14*60).Draw(t, "zone"); m != 0 {
		zone = time.FixedZone("", m*60)
	}
	nanos := rapid.SampledFrom([]int64{0, 1, 100, 120_000_000, 999_999_999, 7_000_000}).Draw(t, "nanos")
	return time.Unix(rapid.Int64Range(-60_000_000_000, 250_000_000_000).Draw(t, "seconds"), nanos).In(zone)
})

var genAgent = rapid.Custom(func(t *rapid.T) Agent {
	return rapid.SampledFrom([]Agent{{}, {ID: "AAAADEFF"}, {ID: "1234DEFFXXX"}, {"021040078", "USABA"}, {ID: "021040078"}, {"AAAADEFF", "CHIPS"}, {"", "USABA"}, {"a b", ""}}).Draw(t, "agent")
})

var genAccount = rapid.Custom(func(t *rapid.T) payments.Account {
	s := rapid.OneOf(rapid.SampledFrom([]string{"DE89370400440532013000", "FR1420041010050500013M02606"}), rapid.StringMatching(`[A-Za-z0-9]{1,34}`)).Draw(t, "account")
	a, _ := payments.ParseAccount(s)
	return a
})

var genParty = rapid.Custom(func(t *rapid.T) Party {
	name, _ := payments.ParseName(genText(140).Draw(t, "name"))
	p := Party{Name: name, Account: genAccount.Draw(t, "account"), Agent: genAgent.Draw(t, "agent")}
	if rapid.Bool().Draw(t, "address") {
		p.Address = Address{genText(70).Draw(t, "street"), genText(16).Draw(t, "building"), genText(16).Draw(t, "code"), genText(35).Draw(t, "town"),
			rapid.SampledFrom([]string{"", "DE", "US", "xx"}).Draw(t, "country"), genText(35).Draw(t, "region")}
	}
	return p
})

var genAmount = rapid.Custom(func(t *rapid.T) payments.Amount {
	return payments.Amount{Minor: rapid.Int64Range(-1, maxMinor+1).Draw(t, "minor"), Currency: rapid.SampledFrom([]payments.Currency{"EUR", "USD", "JPY", "BHD", "QQQ"}).Draw(t, "currency")}
})

func genDate() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"", "2026-11-23", "2024-02-29", "2025-02-29"})
}

func genUETR() *rapid.Generator[payments.UETR] {
	return rapid.SampledFrom([]payments.UETR{"", "8a562c67-ca16-48ba-b074-65581be6f001", "x"})
}

var genTransfer = rapid.Custom(func(t *rapid.T) CreditTransfer {
	return CreditTransfer{
		GroupLevel: rapid.Bool().Draw(t, "group"), MessageID: genID().Draw(t, "MessageID"), Created: genTime.Draw(t, "Created"), SettleDate: genDate().Draw(t, "SettleDate"),
		ClrSysCode: genCode().Draw(t, "ClrSysCode"), ClrSysPrtr: rapid.SampledFrom([]string{"", "", "TIPS"}).Draw(t, "ClrSysPrtr"),
		InstructionID: genID().Draw(t, "InstructionID"), EndToEndID: payments.EndToEndID(genID().Draw(t, "EndToEndID")), TransactionID: genID().Draw(t, "TransactionID"),
		UETR: genUETR().Draw(t, "UETR"), ServiceLevel: genCode().Draw(t, "ServiceLevel"), LocalCode: genCode().Draw(t, "LocalCode"),
		LocalPrtry: rapid.SampledFrom([]string{"", "", "FDNA"}).Draw(t, "LocalPrtry"), CategoryCode: genCode().Draw(t, "CategoryCode"),
		CategoryPrtry: rapid.SampledFrom([]string{"", "", "CONS"}).Draw(t, "CategoryPrtry"), Amount: genAmount.Draw(t, "Amount"), AcceptanceTime: genTime.Draw(t, "AcceptanceTime"),
		ChargeBearer: rapid.SampledFrom([]string{"SLEV", "SHAR", "DEBT", "CRED", "XXXX"}).Draw(t, "ChargeBearer"), Instructing: genAgent.Draw(t, "Instructing"), Instructed: genAgent.Draw(t, "Instructed"),
		Debtor: genParty.Draw(t, "Debtor"), Creditor: genParty.Draw(t, "Creditor"), Purpose: genCode().Draw(t, "Purpose"), Remittance: genText(140).Draw(t, "Remittance"),
		Reference: genID().Draw(t, "Reference"),
	}
})

var genStatus = rapid.Custom(func(t *rapid.T) StatusReport {
	m := StatusReport{
		GroupLevel: rapid.Bool().Draw(t, "group"), MessageID: genID().Draw(t, "MessageID"), Created: genTime.Draw(t, "Created"), StatusID: genID().Draw(t, "StatusID"),
		OriginalMessageID: genID().Draw(t, "OriginalMessageID"), OriginalMsgName: genID().Draw(t, "OriginalMsgName"), OriginalCreated: genTime.Draw(t, "OriginalCreated"),
		OriginalInstruction: genID().Draw(t, "OriginalInstruction"), OriginalEndToEnd: payments.EndToEndID(genID().Draw(t, "OriginalEndToEnd")),
		OriginalTransaction: genID().Draw(t, "OriginalTransaction"), OriginalUETR: genUETR().Draw(t, "OriginalUETR"), Status: genCode().Draw(t, "Status"),
		Reason: genCode().Draw(t, "Reason"), ReasonPrtry: rapid.SampledFrom([]string{"", "", "E990"}).Draw(t, "ReasonPrtry"), ReasonInfo: genText(105).Draw(t, "ReasonInfo"),
		AcceptanceTime: genTime.Draw(t, "AcceptanceTime"), SettleDate: genDate().Draw(t, "SettleDate"), Instructing: genAgent.Draw(t, "Instructing"), Instructed: genAgent.Draw(t, "Instructed"),
	}
	if rapid.Bool().Draw(t, "amount") {
		m.OriginalAmount = genAmount.Draw(t, "OriginalAmount")
	}
	return m
})

var genRequest = rapid.Custom(func(t *rapid.T) StatusRequest {
	return StatusRequest{
		GroupLevel: rapid.Bool().Draw(t, "group"), MessageID: genID().Draw(t, "MessageID"), Created: genTime.Draw(t, "Created"), RequestID: genID().Draw(t, "RequestID"),
		OriginalMessageID: genID().Draw(t, "OriginalMessageID"), OriginalMsgName: genID().Draw(t, "OriginalMsgName"), OriginalCreated: genTime.Draw(t, "OriginalCreated"),
		OriginalInstruction: genID().Draw(t, "OriginalInstruction"), OriginalEndToEnd: payments.EndToEndID(genID().Draw(t, "OriginalEndToEnd")),
		OriginalTransaction: genID().Draw(t, "OriginalTransaction"), OriginalUETR: genUETR().Draw(t, "OriginalUETR"), AcceptanceTime: genTime.Draw(t, "AcceptanceTime"),
		Instructing: genAgent.Draw(t, "Instructing"), Instructed: genAgent.Draw(t, "Instructed"),
	}
})

var genHeader = rapid.Custom(func(t *rapid.T) Header {
	agent := rapid.SampledFrom([]payments.AgentID{"AAAADEFF", "021040078", "1234DEFFXXX", "", "x y"})
	return Header{
		Version: rapid.SampledFrom([]string{HeaderV01, HeaderV02}).Draw(t, "Version"), From: agent.Draw(t, "From"), To: agent.Draw(t, "To"),
		BizMsgID: genID().Draw(t, "BizMsgID"), MsgDef: genID().Draw(t, "MsgDef"), BizService: genID().Draw(t, "BizService"), Registry: genID().Draw(t, "Registry"),
		PracticeID: genID().Draw(t, "PracticeID"), Created: genTime.Draw(t, "Created"), CpyDplct: rapid.SampledFrom([]string{"", "DUPL", "X"}).Draw(t, "CpyDplct"),
		PssblDplct: rapid.Bool().Draw(t, "PssblDplct"),
	}
})

// Whatever a program hands to an encoder, it fails with a fault, or writes a valid document that decodes to the same and is encoded
// to the same bytes again.
func TestEncodeProperties(t *testing.T) {
	t.Run("transfer", func(t *testing.T) {
		property(t, genTransfer, mendTransfer, (*CreditTransfer).Append, DecodeCreditTransfer, equalTransfer)
	})
	t.Run("status", func(t *testing.T) {
		property(t, genStatus, mendStatus, (*StatusReport).Append, DecodeStatusReport, equalStatus)
	})
	t.Run("request", func(t *testing.T) {
		property(t, genRequest, mendRequest, (*StatusRequest).Append, DecodeStatusRequest, equalRequest)
	})
	t.Run("header", func(t *testing.T) { property(t, genHeader, mendHeader, (*Header).Append, DecodeHeader, equalHeader) })
}

func property[M any](t *testing.T, gen *rapid.Generator[M], mend func(*M, string) bool, appendTo func(*M, []byte) ([]byte, error), decode func([]byte) (*M, error), equal func(a, b M) bool) {
	written := 0
	rapid.Check(t, func(t *rapid.T) {
		m := gen.Draw(t, "message")
		for {
			b, err := appendTo(&m, []byte("before"))
			if err == nil {
				break
			}
			f, ok := err.(*Fault)
			if !ok || f.Rule == "" || f.Text == "" || string(b) != "before" {
				t.Fatalf("%#v with %q in the buffer", err, b)
			}
			if !mend(&m, f.Path) {
				t.Skip(f.Path) // wrong in a way that is not mended
			}
		}
		written++
		roundTrip(t, &m, appendTo, decode, equal)
	})
	if written < 20 {
		t.Errorf("only %d documents were written", written)
	}
}

// The mend functions put a right value where the encoder found a wrong one, so that most generated messages are written in the end.

func mendTransfer(m *CreditTransfer, path string) bool {
	good := &fednowTransfer
	switch {
	case strings.HasSuffix(path, "/MsgId"):
		m.MessageID = good.MessageID
	case strings.HasSuffix(path, "/CreDtTm"):
		m.Created = good.Created
	case strings.HasSuffix(path, "/AccptncDtTm"):
		m.AcceptanceTime = time.Time{}
	case strings.HasSuffix(path, "SttlmDt"):
		m.SettleDate = good.SettleDate
	case strings.Contains(path, "/ClrSys") && !strings.Contains(path, "FinInstnId"):
		m.ClrSysCode, m.ClrSysPrtr = good.ClrSysCode, ""
	case strings.HasSuffix(path, "Amt"):
		m.Amount = good.Amount
	case strings.HasSuffix(path, "/ChrgBr"):
		m.ChargeBearer = "SLEV"
	case strings.HasSuffix(path, "/InstrId"):
		m.InstructionID = ""
	case strings.HasSuffix(path, "/EndToEndId"):
		m.EndToEndID = good.EndToEndID
	case strings.HasSuffix(path, "/TxId"):
		m.TransactionID = "x"
	case strings.HasSuffix(path, "/UETR"):
		m.UETR = good.UETR
	case strings.Contains(path, "/SvcLvl"):
		m.ServiceLevel = "SEPA"
	case strings.Contains(path, "/LclInstrm"):
		m.LocalCode = ""
	case strings.Contains(path, "/CtgyPurp"):
		m.CategoryCode = ""
	case strings.Contains(path, "/InstgAgt"):
		m.Instructing = Agent{}
	case strings.Contains(path, "/InstdAgt"):
		m.Instructed = Agent{}
	case strings.Contains(path, "/DbtrAgt"):
		m.Debtor.Agent = good.Debtor.Agent
	case strings.Contains(path, "/CdtrAgt"):
		m.Creditor.Agent = good.Creditor.Agent
	case strings.Contains(path, "/Dbtr/PstlAdr"):
		m.Debtor.Address = good.Debtor.Address
	case strings.Contains(path, "/Cdtr/PstlAdr"):
		m.Creditor.Address = Address{}
	case strings.Contains(path, "/Dbtr/Nm"):
		m.Debtor.Name = good.Debtor.Name
	case strings.Contains(path, "/Cdtr/Nm"):
		m.Creditor.Name = good.Creditor.Name
	case strings.Contains(path, "/Purp"):
		m.Purpose = ""
	case strings.Contains(path, "/Ustrd"):
		m.Remittance = "x"
	case strings.Contains(path, "/Strd"):
		m.Reference = "RF18539007547034"
	default:
		return false
	}
	return true
}

func mendStatus(m *StatusReport, path string) bool {
	good := &fednowStatus
	switch {
	case strings.HasSuffix(path, "GrpHdr/MsgId"):
		m.MessageID = good.MessageID
	case strings.HasSuffix(path, "/CreDtTm"):
		m.Created = good.Created
	case strings.HasSuffix(path, "Sts"):
		m.Status = good.Status
	case strings.HasSuffix(path, "/AddtlInf"):
		m.ReasonInfo = "x"
	case strings.Contains(path, "/Rsn"):
		m.Reason, m.ReasonPrtry = "AC03", ""
	case strings.HasSuffix(path, "/StsId"):
		m.StatusID = ""
	case strings.HasSuffix(path, "Amt"):
		m.OriginalAmount = payments.Amount{}
	case strings.HasSuffix(path, "/Dt"):
		m.SettleDate = ""
	case strings.HasSuffix(path, "/AccptncDtTm"):
		m.AcceptanceTime = good.Created
	case strings.Contains(path, "/InstgAgt"):
		m.Instructing = Agent{}
	case strings.Contains(path, "/InstdAgt"):
		m.Instructed = Agent{}
	case strings.HasSuffix(path, "/OrgnlMsgId"):
		m.OriginalMessageID = good.OriginalMessageID
	case strings.HasSuffix(path, "/OrgnlMsgNmId"):
		m.OriginalMsgName = good.OriginalMsgName
	case strings.HasSuffix(path, "/OrgnlCreDtTm"):
		m.OriginalCreated = good.OriginalCreated
	case strings.HasSuffix(path, "/OrgnlInstrId"):
		m.OriginalInstruction = good.OriginalInstruction
	case strings.HasSuffix(path, "/OrgnlEndToEndId"):
		m.OriginalEndToEnd = good.OriginalEndToEnd
	case strings.HasSuffix(path, "/OrgnlTxId"):
		m.OriginalTransaction = ""
	case strings.HasSuffix(path, "/OrgnlUETR"):
		m.OriginalUETR = good.OriginalUETR
	default:
		return false
	}
	return true
}

func mendRequest(m *StatusRequest, path string) bool {
	good := &fednowRequest
	switch {
	case strings.HasSuffix(path, "GrpHdr/MsgId"):
		m.MessageID = good.MessageID
	case strings.HasSuffix(path, "/CreDtTm"):
		m.Created = good.Created
	case strings.HasSuffix(path, "/StsReqId"):
		m.RequestID = ""
	case strings.HasSuffix(path, "/AccptncDtTm"):
		m.AcceptanceTime = good.Created
	case strings.Contains(path, "/InstgAgt"):
		m.Instructing = good.Instructing
	case strings.Contains(path, "/InstdAgt"):
		m.Instructed = Agent{}
	case strings.HasSuffix(path, "/OrgnlMsgId"):
		m.OriginalMessageID = good.OriginalMessageID
	case strings.HasSuffix(path, "/OrgnlMsgNmId"):
		m.OriginalMsgName = good.OriginalMsgName
	case strings.HasSuffix(path, "/OrgnlCreDtTm"):
		m.OriginalCreated = good.OriginalCreated
	case strings.HasSuffix(path, "/OrgnlInstrId"):
		m.OriginalInstruction = good.OriginalInstruction
	case strings.HasSuffix(path, "/OrgnlEndToEndId"):
		m.OriginalEndToEnd = good.OriginalEndToEnd
	case strings.HasSuffix(path, "/OrgnlTxId"):
		m.OriginalTransaction = ""
	case strings.HasSuffix(path, "/OrgnlUETR"):
		m.OriginalUETR = good.OriginalUETR
	default:
		return false
	}
	return true
}

func mendHeader(h *Header, path string) bool {
	switch {
	case strings.HasPrefix(path, "/AppHdr/Fr"):
		h.From = "AAAADEFF"
	case strings.HasPrefix(path, "/AppHdr/To"):
		h.To = "021150706"
	case strings.HasSuffix(path, "/BizMsgIdr"):
		h.BizMsgID = "x"
	case strings.HasSuffix(path, "/MsgDefIdr"):
		h.MsgDef = CreditTransferV8
	case strings.HasSuffix(path, "/BizSvc"):
		h.BizService = ""
	case strings.Contains(path, "/MktPrctc"):
		h.Registry, h.PracticeID = "", ""
	case strings.HasSuffix(path, "/CreDt"):
		h.Created = sepaHeader.Created
	case strings.HasSuffix(path, "/CpyDplct"):
		h.CpyDplct = "DUPL"
	default:
		return false
	}
	return true
}
