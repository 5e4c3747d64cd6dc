package rail_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	. "github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

var testNow = time.Date(2026, 11, 23, 9, 30, 15, 123456789, time.UTC)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// banks returns debtor's and creditor's bank of a profile, and the two accounts.
func banks(p *Profile) (debtor, creditor payments.AgentID, from, to payments.Account) {
	switch p.Name {
	case "pix":
		return "99999010", "20000000", must(payments.ParseAccount("12345678909P500000")), must(payments.ParseAccount("11222333000181C600000A4000"))
	case "fednow", "rtp":
		return "021040078", "091000019", must(payments.ParseAccount("123456789012")), must(payments.ParseAccount("987654321000"))
	}
	return "PAYRDEF0XXX", "SHOPFRP0", must(payments.ParseAccount("DE89370400440532013000")), must(payments.ParseAccount("FR1420041010050500013M02606"))
}

func testInput(p *Profile) TransferInput {
	debtor, creditor, from, to := banks(p)
	intent := payments.IntentID("pi_019ab3c0-1111-7222-8333-444455556666")
	address := iso20022.Address{Street: "Example Street", Building: "1", PostCode: "12345", Town: "Exampletown", Country: "DE"}
	return TransferInput{
		UETR: payments.NewUETR(intent, "test"), EndToEndID: intent.EndToEndID(),
		Amount:      payments.Amount{Minor: 450, Currency: p.Currency},
		Debtor:      iso20022.Party{Name: must(payments.ParseName("Example Payer")), Account: from, Address: address, Agent: iso20022.Agent{ID: debtor}},
		Creditor:    iso20022.Party{Name: must(payments.ParseName("Example Coffee")), Account: to, Agent: iso20022.Agent{ID: creditor}},
		Remittance:  "one flat white",
		Participant: debtor, Suffix: Suffix("test", "1"), Now: testNow,
	}
}

// testMessages returns one valid message of each kind, by name, with the direction it travels.
func testMessages(t testing.TB, p *Profile) map[string]*Message {
	t.Helper()
	debtor, creditor, _, _ := banks(p)
	transfer, err := p.NewTransfer(testInput(p))
	if err != nil {
		t.Fatal(err)
	}
	forwarded := *transfer
	forwarded.Header = p.NewHeader(p.Service, creditor, MsgTransfer, transfer.Transfer.MessageID, testNow)
	answer, err := p.NewAnswer(&forwarded, AnswerInput{Participant: creditor, Status: p.AnswerYes(), Suffix: "2", Now: testNow})
	if err != nil {
		t.Fatal(err)
	}
	refusal, err := p.NewAnswer(&forwarded, AnswerInput{Participant: creditor, Status: "RJCT", Reason: "AC04", Suffix: "3", Now: testNow})
	if err != nil {
		t.Fatal(err)
	}
	id := must(p.MessageID(p.Service, testNow, "5"))
	report := p.NewReport(transfer.Transfer, id, testNow)
	report.Status = p.Settled
	report.Instructing, report.Instructed = p.Agent(p.Service), p.Agent(debtor)
	settled := &Message{Header: p.NewHeader(p.Service, debtor, MsgStatus, id, testNow), Status: report}
	messages := map[string]*Message{"transfer": transfer, "forwarded": &forwarded, "answer": answer, "refusal": refusal, "settled": settled}
	switch p.Recovery {
	case Ask:
		if messages["enquiry"], err = p.NewEnquiry(transfer.Transfer, debtor, testNow.Add(p.AnswerTimeout), "4"); err != nil {
			t.Fatal(err)
		}
	case ResendMarked:
		if messages["again"], err = p.Duplicate(transfer); err != nil {
			t.Fatal(err)
		}
	}
	return messages
}

func clone(m *Message) *Message {
	c := *m
	if m.Transfer != nil {
		t := *m.Transfer
		c.Transfer = &t
	}
	if m.Status != nil {
		s := *m.Status
		c.Status = &s
	}
	if m.Request != nil {
		r := *m.Request
		c.Request = &r
	}
	return &c
}

func eachProfile(t *testing.T, f func(t *testing.T, p *Profile)) {
	for _, name := range rails.Names() {
		p, err := rails.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { f(t, p) })
	}
}

// breaks holds, for every rule but its profile's prefix, which message to spoil, how, and the path that must be named.
var breaks = []struct {
	rule, of, path string
	spoil          func(p *Profile, m *Message)
}{
	{"header.version", "transfer", "AppHdr", func(p *Profile, m *Message) {
		m.Header.Version = map[string]string{"head.001.001.02": "head.001.001.01", "head.001.001.01": "head.001.001.02"}[p.HeaderVersion]
	}},
	{"header.msgdef", "transfer", "AppHdr/MsgDefIdr", func(_ *Profile, m *Message) { m.Header.MsgDef = "pacs.009.001.08" }},
	{"header.service", "transfer", "AppHdr/To", func(p *Profile, m *Message) { _, m.Header.To, _, _ = banks(p) }},
	{"header.service", "forwarded", "AppHdr/Fr", func(p *Profile, m *Message) { m.Header.From, _, _, _ = banks(p) }},
	{"header.duplicate", "transfer", "AppHdr/PssblDplct", func(_ *Profile, m *Message) { m.Header.PssblDplct = true }},
	{"header.duplicate", "transfer", "AppHdr/PssblDplct", func(_ *Profile, m *Message) { m.Header.CpyDplct = "DUPL" }},
	{"clearing.system", "transfer", "GrpHdr/SttlmInf/ClrSys", func(_ *Profile, m *Message) { m.Transfer.ClrSysCode, m.Transfer.ClrSysPrtr = "XYZ", "" }},
	{"settlement.date", "transfer", "IntrBkSttlmDt", func(_ *Profile, m *Message) { m.Transfer.SettleDate = "" }},
	{"service.level", "transfer", "PmtTpInf/SvcLvl", func(_ *Profile, m *Message) { m.Transfer.ServiceLevel = "NURG" }},
	{"local.instrument", "transfer", "PmtTpInf/LclInstrm", func(_ *Profile, m *Message) { m.Transfer.LocalCode, m.Transfer.LocalPrtry = "", "OTHER" }},
	{"charge.bearer", "transfer", "CdtTrfTxInf/ChrgBr", func(_ *Profile, m *Message) { m.Transfer.ChargeBearer = "SHAR" }},
	{"amount.currency", "transfer", "IntrBkSttlmAmt/@Ccy", func(_ *Profile, m *Message) { m.Transfer.Amount.Currency = "GBP" }},
	{"amount.limit", "transfer", "IntrBkSttlmAmt", func(_ *Profile, m *Message) { m.Transfer.Amount.Minor = 0 }},
	{"amount.limit", "transfer", "IntrBkSttlmAmt", func(_ *Profile, m *Message) { m.Transfer.Amount.Minor = -450 }},
	{"amount.limit", "transfer", "IntrBkSttlmAmt", func(p *Profile, m *Message) { m.Transfer.Amount.Minor = p.AmountMax + 1 }},
	{"agent.required", "transfer", "CdtTrfTxInf/InstdAgt", func(_ *Profile, m *Message) { m.Transfer.Instructed = iso20022.Agent{} }},
	{"agent.required", "answer", "TxInfAndSts/InstgAgt", func(_ *Profile, m *Message) { m.Status.Instructing = iso20022.Agent{} }},
	{"agent.required", "enquiry", "TxInf/InstdAgt", func(_ *Profile, m *Message) { m.Request.Instructed = iso20022.Agent{} }},
	{"party.account", "transfer", "CdtTrfTxInf/CdtrAcct", func(_ *Profile, m *Message) { m.Transfer.Creditor.Account = payments.Account{} }},
	{"party.name", "transfer", "CdtTrfTxInf/Dbtr/Nm", func(_ *Profile, m *Message) { m.Transfer.Debtor.Name = payments.Name{} }},
	{"address.structured", "transfer", "CdtTrfTxInf/Dbtr/PstlAdr", func(_ *Profile, m *Message) { m.Transfer.Debtor.Address.Town = "" }},
	{"address.structured", "transfer", "CdtTrfTxInf/Cdtr/PstlAdr", func(_ *Profile, m *Message) { m.Transfer.Creditor.Address.Town = "Exampletown" }},
	{"status.participant", "answer", "Sts", func(_ *Profile, m *Message) { m.Status.Status = "ACSC" }},
	{"status.reason", "refusal", "StsRsnInf/Rsn", func(_ *Profile, m *Message) { m.Status.Reason = "" }},
	{"status.reason", "refusal", "StsRsnInf/Rsn", func(_ *Profile, m *Message) { m.Status.ReasonPrtry = "E990" }},
	{"status.reason.code", "refusal", "StsRsnInf/Rsn/Prtry", func(_ *Profile, m *Message) { m.Status.Reason, m.Status.ReasonPrtry = "", "E990" }},
	{"original.required", "settled", "OrgnlGrpInf", func(_ *Profile, m *Message) { m.Status.OriginalMessageID = "" }},
	{"original.required", "enquiry", "OrgnlGrpInf", func(_ *Profile, m *Message) { m.Request.OriginalCreated = time.Time{} }},

	{"fednow.header.practice", "transfer", "AppHdr/MktPrctc", func(_ *Profile, m *Message) { m.Header.PracticeID = "frb.fednow.TST.01" }},
	{"fednow.header.party", "transfer", "AppHdr/Fr", func(_ *Profile, m *Message) { m.Header.From = "02104007x" }},
	{"fednow.msgid.format", "transfer", "FIToFICstmrCdtTrf/GrpHdr/MsgId", func(_ *Profile, m *Message) { m.Transfer.MessageID = "MYREF-0001" }},
	{"fednow.msgid.format", "answer", "FIToFIPmtStsRpt/GrpHdr/MsgId", func(_ *Profile, m *Message) { m.Status.MessageID = "20261323091000019A" }},
	{"fednow.msgid.format", "enquiry", "FIToFIPmtStsReq/GrpHdr/MsgId", func(_ *Profile, m *Message) { m.Request.MessageID = "20261123091000019" }},
	{"fednow.category.purpose", "transfer", "CtgyPurp/Prtry", func(_ *Profile, m *Message) { m.Transfer.CategoryPrtry = "CONSUMER" }},
	{"fednow.agent.system", "transfer", "ClrSysId/Cd", func(_ *Profile, m *Message) { m.Transfer.Creditor.Agent.System = "" }},
	{"fednow.aba.checksum", "transfer", "CdtTrfTxInf/InstgAgt/FinInstnId/ClrSysMmbId/MmbId", func(_ *Profile, m *Message) { m.Transfer.Instructing.ID = "021040079" }},
	{"fednow.aba.checksum", "enquiry", "TxInf/InstgAgt/FinInstnId/ClrSysMmbId/MmbId", func(_ *Profile, m *Message) { m.Request.Instructing.ID = "111111111" }},
	{"fednow.account.other", "transfer", "DbtrAcct/Id/Othr/Id", func(_ *Profile, m *Message) {
		m.Transfer.Debtor.Account = must(payments.ParseAccount("DE89370400440532013000"))
	}},
	{"fednow.status.times", "answer", "AccptncDtTm", func(_ *Profile, m *Message) { m.Status.AcceptanceTime = testNow }},

	{"sctinst.agent.bic", "transfer", "CdtTrfTxInf/CdtrAgt/FinInstnId/BICFI", func(_ *Profile, m *Message) { m.Transfer.Creditor.Agent.ID = "091000019" }},
	{"sctinst.header.bic", "transfer", "AppHdr/Fr", func(_ *Profile, m *Message) { m.Header.From = "021040078" }},
	{"sctinst.account.iban", "transfer", "CdtrAcct/Id/IBAN", func(_ *Profile, m *Message) { m.Transfer.Creditor.Account = must(payments.ParseAccount("12345678")) }},
	{"sctinst.transaction.id", "transfer", "PmtId/TxId", func(_ *Profile, m *Message) { m.Transfer.TransactionID = "" }},
	{"sctinst.acceptance.time", "transfer", "AccptncDtTm", func(_ *Profile, m *Message) { m.Transfer.AcceptanceTime = time.Time{} }},
	{"sctinst.remittance.one", "transfer", "RmtInf", func(_ *Profile, m *Message) { m.Transfer.Reference = "RF18539007547034" }},
	{"sctinst.text.charset", "transfer", "RmtInf/Ustrd", func(_ *Profile, m *Message) { m.Transfer.Remittance = "Käsekuchen" }},
	{"sctinst.text.charset", "transfer", "Cdtr/Nm", func(_ *Profile, m *Message) { m.Transfer.Creditor.Name = must(payments.ParseName("Example & Sons")) }},
	{"sctinst.id.slash", "transfer", "PmtId/EndToEndId", func(_ *Profile, m *Message) { m.Transfer.EndToEndID = "/abc" }},
	{"sctinst.id.slash", "answer", "GrpHdr/MsgId", func(_ *Profile, m *Message) { m.Status.MessageID = "a//b" }},
}

// A model that breaks a rule is refused at the path, and the valid ones pass. That every rule has its samples is TestSamples.
func TestRules(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		valid := testMessages(t, p)
		for name, m := range valid {
			if err := p.CheckMessage(m, Travels(p, m)); err != nil {
				t.Errorf("valid %s: %v", name, err)
			}
		}
		for _, b := range breaks {
			name := b.rule
			if !slices.ContainsFunc(rails.Names(), func(n string) bool { return strings.HasPrefix(name, n+".") }) {
				name = p.Name + "." + name
			}
			if p.Fault(strings.TrimPrefix(name, p.Name+"."), "", iso20022.Element{}) == nil || valid[b.of] == nil {
				continue // another rail's, or one that this rail's structure makes needless
			}
			m := clone(valid[b.of])
			dir := Travels(p, m)
			b.spoil(p, m)
			faults := Faults(p.CheckMessage(m, dir))
			i := slices.IndexFunc(faults, func(f *RuleError) bool { return f.Rule == name })
			if i < 0 {
				if name == "rtp.header.duplicate" && m.Header.CpyDplct == "DUPL" {
					continue // the one rail that wants the mark
				}
				t.Errorf("%s: not refused, but %v", name, faults)
				continue
			}
			if f := faults[i]; !strings.HasSuffix(strings.TrimSuffix(f.Path, "AndSts"), b.path) || f.Text == "" {
				t.Errorf("%s: at %q, want …%s", name, f.Path, b.path)
			}
			if must(p.Without(name)).CheckMessage(m, dir) != nil && len(faults) == 1 {
				t.Errorf("%s: still refused when switched off", name)
			}
		}
		for _, r := range p.Rules {
			if !strings.HasPrefix(r.Name, p.Name+".") || r.Path == "" || r.Text == "" {
				t.Errorf("rule %q lacks its prefix, path or text", r.Name)
			}
		}
	})
}

func TestMessageOne(t *testing.T) {
	p, _ := rails.Lookup("fednow")
	v := testMessages(t, p)
	both := clone(v["transfer"])
	both.Request = v["enquiry"].Request
	for _, m := range []*Message{{}, both} {
		if f := Faults(p.CheckMessage(m, ToService)); len(f) != 1 || f[0].Rule != "fednow.message.one" {
			t.Errorf("faults %v", f)
		}
	}
}

func TestWithoutUnknown(t *testing.T) {
	p, _ := rails.Lookup("fednow")
	if _, err := p.Without("fednow.aba.chekcsum"); err == nil {
		t.Error("a name that is no rule must fail")
	}
	if _, err := p.Check(nil, "fednow.aba.chekcsum"); err == nil {
		t.Error("a name that is no rule must fail")
	}
}

func TestLookup(t *testing.T) {
	if _, err := rails.Lookup("fedwire"); err == nil {
		t.Error("an unknown rail must fail")
	}
}

func TestMeaning(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		for _, c := range []struct {
			from   Sender
			status string
			reason string
			want   map[string]Kind // Ignored where the rail is not named
		}{
			{Service, "ACTC", "", map[string]Kind{"fednow": Accepted, "sctinst": Waiting, "rtp": Settled}},
			{Service, "ACCP", "", map[string]Kind{"sctinst": Settled}},
			{Service, "ACSC", "", map[string]Kind{"fednow": Settled, "sctinst": Settled, "rtp": Settled, "pix": Settled}},
			{Service, "ACCC", "", map[string]Kind{"fednow": SettledCredited, "sctinst": SettledCredited, "pix": SettledCredited}},
			{Service, "ACSP", "", map[string]Kind{"sctinst": Accepted, "pix": Accepted}},
			{Service, "ACWP", "", map[string]Kind{"fednow": SettledPending, "sctinst": SettledPending, "rtp": SettledPending}},
			{Service, "BLCK", "", map[string]Kind{"fednow": Blocked, "sctinst": Blocked}},
			{Service, "PDNG", "", map[string]Kind{"fednow": Accepted, "sctinst": Accepted, "rtp": Waiting}},
			{Service, "RJCT", "AC04", map[string]Kind{"fednow": Rejected, "sctinst": Rejected, "rtp": Rejected, "pix": Rejected}},
			{Service, "RJCT", "ZZ99", map[string]Kind{"fednow": Rejected, "sctinst": Rejected, "rtp": Rejected, "pix": Rejected}},
			{Service, "RJCT", "", map[string]Kind{"fednow": Rejected, "sctinst": Rejected, "rtp": Rejected, "pix": Rejected}},
			{Service, "RJCT", "AG09", map[string]Kind{"fednow": NotFound, "sctinst": NotFound, "rtp": Rejected, "pix": Rejected}},
			// Only the rail's own word settles or denies knowledge; RTP's passed-on word is its own.
			{Participant, "ACSC", "", nil},
			{Participant, "ACCC", "", map[string]Kind{"fednow": Accepted}},
			{Participant, "ACCP", "", map[string]Kind{"sctinst": Accepted}},
			{Participant, "ACSP", "", map[string]Kind{"pix": Accepted}},
			{Participant, "ACTC", "", map[string]Kind{"fednow": Accepted, "rtp": Settled}},
			{Participant, "RJCT", "AG09", map[string]Kind{"fednow": Rejected, "sctinst": Rejected, "rtp": Rejected, "pix": Rejected}},
			{Service, "XXXX", "", nil},
			{Service, "", "", nil},
		} {
			got := p.Meaning(c.from, &iso20022.StatusReport{Status: c.status, Reason: c.reason})
			if got.Kind != c.want[p.Name] || got.Status != c.status || got.Reason != c.reason {
				t.Errorf("%v %s %s: %v %q", c.from, c.status, c.reason, got.Kind, got.Reason)
			}
		}
		if m := p.Meaning(Service, &iso20022.StatusReport{Status: "RJCT", ReasonPrtry: "E990"}); m.Kind != Rejected || m.Reason != "E990" {
			t.Errorf("a proprietary reason: %+v", m)
		}
	})
}

func TestSender(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		m := clone(testMessages(t, p)["settled"])
		if p.Sender(m) != Service {
			t.Error("the rail's own report is the rail's word")
		}
		debtor, creditor, _, _ := banks(p)
		m.Status.Instructing = p.Agent(creditor)
		if p.Sender(m) != Participant {
			t.Error("a report passed on is the participant's word")
		}
		m.Status.Instructing, m.Header.From = p.Agent(p.Service), debtor
		if p.Sender(m) != Participant {
			t.Error("a report that did not come from the rail is not its word")
		}
	})
}

func TestClocks(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		if (len(p.Ladder) == 0) != (p.Recovery == Wait) || len(p.Ladder) > 3 {
			t.Errorf("%d steps to %s", len(p.Ladder), p.Recovery)
		}
		if !slices.IsSorted(p.Ladder) || p.CaseAfter <= slices.Max(append(p.Ladder, 0)) {
			t.Error("a case comes after the last step")
		}
		if p.ServiceTimeout >= p.AnswerTimeout {
			t.Error("the rail gives up on the creditor's bank before the debtor's bank gives up on the rail")
		}
		fast := p.WithAnswerTimeout(p.AnswerTimeout / 10)
		if len(p.Ladder) > 1 && fast.Ladder[1] != p.Ladder[1]/10 || fast.CaseAfter != p.CaseAfter/10 || fast.ServiceTimeout != p.ServiceTimeout/10 {
			t.Errorf("not scaled: %v %v %v", fast.Ladder, fast.CaseAfter, fast.ServiceTimeout)
		}
		if again, _ := rails.Lookup(p.Name); again.AnswerTimeout != p.AnswerTimeout || !slices.Equal(again.Ladder, p.Ladder) {
			t.Error("the original changed")
		}
		if slow := p.WithAnswerTimeout(time.Hour); slow.CaseAfter != p.CaseAfter/time.Millisecond*time.Hour/p.AnswerTimeout*time.Millisecond {
			t.Errorf("scaling up overflows: %v", slow.CaseAfter)
		}
	})
}

func TestNewTransferRefuses(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		for name, spoil := range map[string]func(*TransferInput){
			"suffix empty":      func(in *TransferInput) { in.Suffix = "" },
			"suffix too long":   func(in *TransferInput) { in.Suffix = strings.Repeat("A", 19) },
			"suffix with space": func(in *TransferInput) { in.Suffix = "A B" },
			"other currency":    func(in *TransferInput) { in.Amount.Currency = "GBP" },
			"zero":              func(in *TransferInput) { in.Amount.Minor = 0 },
			"no account":        func(in *TransferInput) { in.Creditor.Account = payments.Account{} },
			"no agent":          func(in *TransferInput) { in.Creditor.Agent.ID = "" },
		} {
			in := testInput(p)
			spoil(&in)
			if _, err := p.NewTransfer(in); err == nil {
				t.Errorf("%s: not refused", name)
			}
		}
	})
}

func TestNewEnquiryRefuses(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		transfer := testMessages(t, p)["transfer"].Transfer
		debtor, _, _, _ := banks(p)
		if p.Recovery != Ask {
			if _, err := p.NewEnquiry(transfer, debtor, testNow.AddDate(0, 0, 1), "1"); err == nil {
				t.Error("a rail that is not asked")
			}
			return
		}
		if _, err := p.NewEnquiry(transfer, debtor, testNow.Add(p.AnswerTimeout-2*time.Second), "1"); err == nil {
			t.Error("an enquiry before the deadline must fail")
		}
		_, err := p.NewEnquiry(transfer, debtor, testNow.AddDate(0, 0, 2), "1")
		if want := p.Name == "fednow"; (err == ErrTooOld) != want {
			t.Errorf("after two days: %v", err)
		}
		if _, err := p.NewEnquiry(transfer, debtor, testNow.AddDate(0, 0, 1), "1"); err != nil {
			t.Errorf("on the next day: %v", err)
		}
	})
}

// Only a rail that wants it is sent a transfer again, marked, with nothing else changed.
func TestDuplicate(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		m := testMessages(t, p)["transfer"]
		again, err := p.Duplicate(m)
		if (err == nil) != (p.Recovery == ResendMarked) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		first, second := must(p.Encode(m)), must(p.Encode(again))
		mark := []byte("<head:CpyDplct>DUPL</head:CpyDplct>")
		if !bytes.Contains(second, mark) || !bytes.Equal(first, bytes.Replace(second, mark, nil, 1)) || m.Header.CpyDplct != "" {
			t.Errorf("%s\n%s", first, second)
		}
		if _, err := p.Duplicate(testMessages(t, p)["answer"]); err == nil {
			t.Error("an answer is not marked")
		}
	})
}

func TestNewTransferText(t *testing.T) {
	p, _ := rails.Lookup("sctinst")
	in := testInput(p)
	in.Creditor.Name = must(payments.ParseName("Käsekuchen & Söhne GmbH"))
	in.Debtor.Address.Town = "Łódź"
	in.Remittance = "naïve „café“ 5€"
	m, err := p.NewTransfer(in)
	if err != nil {
		t.Fatal(err)
	}
	tr := m.Transfer
	if got := tr.Creditor.Name.Reveal(); got != "Kasekuchen + Sohne GmbH" {
		t.Errorf("name %q", got)
	}
	if tr.Debtor.Address.Town != "Lodz" {
		t.Errorf("town %q", tr.Debtor.Address.Town)
	}
	if tr.Remittance != "naive 'cafe' 5." {
		t.Errorf("remittance %q", tr.Remittance)
	}
	in.Reference = "RF18539007547034"
	if m, err = p.NewTransfer(in); err != nil || m.Transfer.Remittance != "" || m.Transfer.Reference != in.Reference {
		t.Errorf("where one is allowed the reference goes: %v", err)
	}
}

func TestSuffix(t *testing.T) {
	a, b := Suffix("ab", "c"), Suffix("a", "bc")
	if a == b || len(a) != 18 || a != Suffix("ab", "c") {
		t.Errorf("%s %s", a, b)
	}
	p, _ := rails.Lookup("fednow")
	id, err := p.MessageID("021040078", testNow, a)
	if err != nil || len(id) != 35 {
		t.Errorf("%s: %v", id, err)
	}
}

// A rule names the place of the message at hand, however many it has seen before: a check keeps nothing.
func TestRulePathIsNotKept(t *testing.T) {
	p := must(rails.Lookup("sctinst"))
	m := clone(testMessages(t, p)["answer"])
	m.Status.Status = "ACSC"
	for _, group := range []bool{true, false, true} {
		m.Status.GroupLevel = group
		want := map[bool]string{true: "Document/FIToFIPmtStsRpt/OrgnlGrpInfAndSts/GrpSts", false: "Document/FIToFIPmtStsRpt/TxInfAndSts/TxSts"}[group]
		if f := Faults(p.CheckMessage(m, ToService)); len(f) == 0 || f[0].Path != want {
			t.Errorf("group level %v: %v, want %s", group, f, want)
		}
	}
}
