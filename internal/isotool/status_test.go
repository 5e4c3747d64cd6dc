package isotool

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/shared"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Short messages: what matters to status, not valid ones, since it reads what it can.
func statusDoc(def, body string) string {
	return `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:` + def + `">` + body + `</Document>`
}

func statusTransfer(id, at, ids, amount string) string {
	return statusDoc("pacs.008.001.08", `<FIToFICstmrCdtTrf><GrpHdr><MsgId>`+id+`</MsgId><CreDtTm>`+at+`</CreDtTm></GrpHdr><CdtTrfTxInf><PmtId>`+ids+`</PmtId><IntrBkSttlmAmt Ccy="USD">`+amount+
		`</IntrBkSttlmAmt><InstgAgt><FinInstnId><ClrSysMmbId><MmbId>021040078</MmbId></ClrSysMmbId></FinInstnId></InstgAgt></CdtTrfTxInf></FIToFICstmrCdtTrf>`)
}

// statusAnswer is a pacs.002 of the service.
func statusAnswer(id, at, original, ids, status string) string {
	code, reason, ok := strings.Cut(status, " ")
	if ok {
		reason = "<StsRsnInf><Rsn><Cd>" + reason + "</Cd></Rsn></StsRsnInf>"
	}
	return statusDoc("pacs.002.001.10", `<FIToFIPmtStsRpt><GrpHdr><MsgId>`+id+`</MsgId><CreDtTm>`+at+`</CreDtTm></GrpHdr><TxInfAndSts><OrgnlGrpInf>`+original+`</OrgnlGrpInf>`+ids+`<TxSts>`+code+`</TxSts>`+reason+
		`<InstgAgt><FinInstnId><ClrSysMmbId><MmbId>021150706</MmbId></ClrSysMmbId></FinInstnId></InstgAgt></TxInfAndSts></FIToFIPmtStsRpt>`)
}

const (
	uetr1   = "8a562c67-ca16-48ba-b074-65581be6f001"
	uetr2   = "8a562c67-ca16-48ba-b074-65581be6f002"
	paid1   = "<EndToEndId>E2E-1</EndToEndId><UETR>" + uetr1 + "</UETR>"
	about1  = "<OrgnlEndToEndId>E2E-1</OrgnlEndToEndId><OrgnlUETR>" + uetr1 + "</OrgnlUETR>"
	orgMsg1 = "<OrgnlMsgId>M-1</OrgnlMsgId><OrgnlMsgNmId>pacs.008.001.08</OrgnlMsgNmId>"
)

func TestStatus(t *testing.T) {
	transfer := statusTransfer("M-1", "2026-11-23T12:00:00Z", paid1, "4.50")
	answer := func(n int, status string) string {
		return statusAnswer(fmt.Sprintf("A-%d", n), fmt.Sprintf("2026-11-23T12:00:%02dZ", n), orgMsg1, about1, status)
	}
	giveBack := statusDoc("pacs.004.001.10", `<PmtRtr><GrpHdr><MsgId>R-1</MsgId><CreDtTm>2026-11-24T09:00:00Z</CreDtTm></GrpHdr><TxInf><RtrId>RET-1</RtrId>`+about1+`<RtrdIntrBkSttlmAmt Ccy="USD">4.5</RtrdIntrBkSttlmAmt></TxInf></PmtRtr>`)
	recall := statusDoc("camt.056.001.08", `<FIToFIPmtCxlReq><Assgnmt><Id>C-1</Id><CreDtTm>2026-11-24T08:00:00Z</CreDtTm></Assgnmt><Case><Id>CASE-1</Id></Case><Undrlyg><TxInf>`+about1+`<CxlRsnInf><Rsn><Cd>DUPL</Cd></Rsn></CxlRsnInf></TxInf></Undrlyg></FIToFIPmtCxlReq>`)
	refusal := statusDoc("camt.029.001.09", `<RsltnOfInvstgtn><Assgnmt><Id>C-2</Id><CreDtTm>2026-11-25T08:00:00Z</CreDtTm></Assgnmt><RslvdCase><Id>CASE-1</Id></RslvdCase><Sts><Conf>RJCR</Conf></Sts></RsltnOfInvstgtn>`)
	request := statusDoc("pain.013.001.07", `<CdtrPmtActvtnReq><GrpHdr><MsgId>Q-1</MsgId><CreDtTm>2026-11-23T11:00:00Z</CreDtTm></GrpHdr><PmtInf><PmtInfId>B</PmtInfId><CdtTrfTx><PmtId><EndToEndId>E2E-1</EndToEndId></PmtId><Amt><InstdAmt Ccy="USD">4.50</InstdAmt></Amt></CdtTrfTx></PmtInf></CdtrPmtActvtnReq>`)
	requestAnswer := func(status string) string {
		return statusDoc("pain.014.001.07", `<CdtrPmtActvtnReqStsRpt><GrpHdr><MsgId>Q-2</MsgId><CreDtTm>2026-11-23T11:01:00Z</CreDtTm></GrpHdr><OrgnlPmtInfAndSts><OrgnlPmtInfId>B</OrgnlPmtInfId><TxInfAndSts><OrgnlEndToEndId>E2E-1</OrgnlEndToEndId><TxSts>`+status+`</TxSts></TxInfAndSts></OrgnlPmtInfAndSts></CdtrPmtActvtnReqStsRpt>`)
	}
	entry := statusDoc("camt.054.001.08", `<BkToCstmrDbtCdtNtfctn><GrpHdr><MsgId>N-1</MsgId><CreDtTm>2026-11-23T13:00:00Z</CreDtTm></GrpHdr><Ntfctn><Ntry><Amt Ccy="USD">4.50</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><NtryDtls><TxDtls><Refs><EndToEndId>E2E-1</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>`+
		`<Ntry><Amt Ccy="USD">9.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><NtryDtls><TxDtls><Refs><EndToEndId>OTHER</EndToEndId></Refs></TxDtls></NtryDtls></Ntry></Ntfctn></BkToCstmrDbtCdtNtfctn>`)
	untaken := statusDoc("admi.002.001.01", `<Admi00200101><RltdRef><Ref>M-1</Ref></RltdRef><Rsn><RjctgPtyRsn>T505</RjctgPtyRsn></Rsn></Admi00200101>`)
	order := statusDoc("pain.001.001.09", `<CstmrCdtTrfInitn><GrpHdr><MsgId>O-1</MsgId><CreDtTm>2026-11-23T10:00:00Z</CreDtTm></GrpHdr><PmtInf><PmtInfId>B-1</PmtInfId><CdtTrfTxInf><PmtId><EndToEndId>X-1</EndToEndId></PmtId></CdtTrfTxInf><CdtTrfTxInf><PmtId><EndToEndId>X-2</EndToEndId></PmtId></CdtTrfTxInf></PmtInf></CstmrCdtTrfInitn>`)
	report := statusDoc("pain.002.001.10", `<CstmrPmtStsRpt><GrpHdr><MsgId>O-2</MsgId><CreDtTm>2026-11-23T10:01:00Z</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>O-1</OrgnlMsgId><GrpSts>RJCT</GrpSts></OrgnlGrpInfAndSts></CstmrPmtStsRpt>`)

	for name, c := range map[string]struct {
		files  []string
		states string // of the payments
		next   string // in one of them
		status int
		left   int
	}{
		"settled":                  {[]string{transfer, answer(1, "ACTC"), answer(2, "ACSC")}, "settled", "nothing", exitOK, 0},
		"refused":                  {[]string{transfer, answer(2, "RJCT AC04")}, "refused", "no money moved", exitOK, 0},
		"no answer":                {[]string{transfer}, "unknown", "open a case", exitOK, 0},
		"no record":                {[]string{transfer, answer(30, "RJCT AG09")}, "unknown", "no refusal by itself", exitOK, 0},
		"contradiction":            {[]string{transfer, answer(2, "ACSC"), answer(9, "RJCT AC04")}, "settled", "a person must look", exitNo, 0},
		"held":                     {[]string{transfer, answer(2, "ACWP")}, "held", "not posted", exitOK, 0},
		"held, then refused":       {[]string{transfer, answer(2, "ACWP"), answer(3, "RJCT AC04")}, "held", "a return is due", exitOK, 0},
		"blocked":                  {[]string{transfer, answer(2, "ACWP"), answer(3, "BLCK")}, "blocked", "frozen", exitOK, 0},
		"return on its way":        {[]string{transfer, answer(2, "ACSC"), giveBack}, "returning", "a return is on its way", exitOK, 0},
		"returned":                 {[]string{transfer, answer(2, "ACSC"), giveBack, statusAnswer("A-9", "2026-11-24T09:00:01Z", "<OrgnlMsgId>R-1</OrgnlMsgId><OrgnlMsgNmId>pacs.004.001.10</OrgnlMsgNmId>", about1, "ACSC")}, "returned", "the money is back", exitOK, 0},
		"return refused":           {[]string{transfer, answer(2, "ACSC"), giveBack, statusAnswer("A-9", "2026-11-24T09:00:01Z", "<OrgnlMsgId>R-1</OrgnlMsgId><OrgnlMsgNmId>pacs.004.001.10</OrgnlMsgNmId>", about1, "RJCT AC04")}, "settled", "the return was refused", exitOK, 0},
		"too much comes back":      {[]string{transfer, answer(2, "ACSC"), strings.Replace(giveBack, ">4.5<", ">5<", 1)}, "returning", "a person must look", exitNo, 0},
		"recall":                   {[]string{transfer, answer(2, "ACSC"), recall}, "settled", "the recall is not answered", exitOK, 0},
		"recall refused":           {[]string{transfer, answer(2, "ACSC"), recall, refusal}, "settled", "the recall was refused", exitOK, 0},
		"request":                  {[]string{request}, "requested", "pain.014", exitOK, 0},
		"request agreed":           {[]string{request, requestAnswer("ACCP")}, "agreed", "no money has moved", exitOK, 0},
		"request declined":         {[]string{request, requestAnswer("RJCT")}, "declined", "does not want", exitOK, 0},
		"request and payment":      {[]string{request, requestAnswer("ACCP"), transfer, answer(2, "ACSC")}, "settled", "nothing", exitOK, 0},
		"entry of a statement":     {[]string{transfer, answer(2, "ACSC"), entry}, "settled", "nothing", exitOK, 1},
		"statement alone":          {[]string{entry}, "", "", exitOK, 2},
		"message not taken":        {[]string{transfer, untaken}, "unknown", "a message was not taken", exitOK, 0},
		"rejection of no message":  {[]string{untaken}, "", "", exitOK, 1},
		"the same file twice":      {[]string{transfer, transfer, answer(2, "ACSC"), answer(2, "ACSC")}, "settled", "nothing", exitOK, 0},
		"an order of two, refused": {[]string{order, report}, "refused refused", "did not take the order", exitOK, 0},
		"one end-to-end id, two UETRs": {[]string{transfer, answer(2, "ACSC"), statusTransfer("M-2", "2026-11-23T12:10:00Z", strings.Replace(paid1, uetr1, uetr2, 1), "7.00"),
			statusAnswer("A-7", "2026-11-23T12:10:02Z", "<OrgnlMsgId>M-2</OrgnlMsgId>", strings.Replace(about1, uetr1, uetr2, 1), "RJCT AC04")}, "settled refused", "nothing", exitOK, 0},
		"another amount":        {[]string{transfer, strings.Replace(answer(2, "ACSC"), "</TxInfAndSts>", `<OrgnlTxRef><IntrBkSttlmAmt Ccy="USD">450.00</IntrBkSttlmAmt></OrgnlTxRef></TxInfAndSts>`, 1)}, "unknown", "a person must look", exitNo, 0},
		"two amounts for one":   {[]string{transfer, statusTransfer("M-9", "2026-11-23T12:00:05Z", paid1, "5.00"), answer(7, "ACSC")}, "settled", "a person must look", exitNo, 0},
		"a system event":        {[]string{statusDoc("admi.004.001.02", `<SysEvtNtfctn><EvtInf><EvtCd>PING</EvtCd></EvtInf></SysEvtNtfctn>`)}, "", "", exitOK, 1},
		"an unreadable file":    {[]string{transfer, answer(2, "ACSC"), "<a>"}, "settled", "nothing", exitUnreadable, 0},
		"participant's yes":     {[]string{transfer, strings.Replace(answer(2, "ACSC"), "021150706", "091000019", 1)}, "unknown", "open a case", exitOK, 0},
		"the reason in writing": {[]string{transfer, strings.Replace(answer(2, "RJCT AC04"), "</StsRsnInf>", "<AddtlInf>bad\u009b31m\u202e</AddtlInf></StsRsnInf>", 1)}, "refused", "no money", exitOK, 0},
	} {
		t.Run(name, func(t *testing.T) {
			first := ""
			for round := range 4 {
				dir := t.TempDir()
				for i, k := range rand.New(rand.NewPCG(uint64(round), 7)).Perm(len(c.files)) {
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.xml", i)), []byte(c.files[k]), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				args := []string{"status", "--profile", "fednow", "--at", "2026-11-30T00:00:00Z", dir}
				code, out, _ := call(t, nil, append(args, "--json")...)
				if code != c.status {
					t.Fatalf("status %d, want %d\n%s", code, c.status, out)
				}
				var all timelineJSON
				if err := json.Unmarshal([]byte(out), &all); err != nil {
					t.Fatalf("%v in %s", err, out)
				}
				var states, nexts []string
				for _, p := range all.Payments {
					states, nexts = append(states, p.State), append(nexts, p.Next)
				}
				if strings.Join(states, " ") != c.states || !strings.Contains(strings.Join(nexts, "\n"), c.next) || len(all.Left) != c.left {
					t.Fatalf("%q, next %q, %d left\n%s", states, nexts, len(all.Left), out)
				}
				code, out, _ = call(t, nil, args...)
				out = strings.ReplaceAll(out, dir, "")
				if c.left == 0 && round > 0 && out != first {
					t.Errorf("the order of the files matters:\n%s\n%s", first, out)
				}
				if first = out; code != c.status || strings.ContainsAny(out, "\x1b\u009b\u202e") {
					t.Errorf("status %d\n%s", code, out)
				}
				for _, line := range strings.Split(out, "\n") {
					if columns(line) > 100 {
						t.Errorf("%d columns: %s", columns(line), line)
					}
				}
			}
		})
	}
}

// The messages of each rail, in its own wrapper: the rail's word settles by the rail's table.
func TestStatusRails(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, name := range rails.Names() {
		p := must(rails.Lookup(name))
		in := railTransfer(p, now)
		m := must(p.NewTransfer(in))
		r := p.NewReport(m.Transfer, must(p.MessageID(p.Service, now, "9")), now.Add(time.Second))
		r.Status, r.Instructing, r.Instructed = p.Settled, p.Agent(p.Service), p.Agent(in.Participant)
		if name == "pix" {
			r.MessageID = must(p.MessageID("99999999", now, "9"))
		}
		answer := &rail.Message{Header: p.NewHeader(p.Service, in.Participant, rail.MsgStatus, r.MessageID, now.Add(time.Second)), Status: r}
		dir := t.TempDir()
		for i, x := range []*rail.Message{answer, m} {
			wire, err := p.Encode(x)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.xml", i)), wire, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		code, out, errs := call(t, nil, "status", "--profile", name, "--at", "2026-11-23T13:00:00Z", "--json", dir)
		var all timelineJSON
		if err := json.Unmarshal([]byte(out), &all); err != nil || code != exitOK {
			t.Fatalf("%s: %d %v %s%s", name, code, err, out, errs)
		}
		if len(all.Payments) != 1 || all.Payments[0].State != "settled" || len(all.Payments[0].Events) != 2 || all.Payments[0].Amount != string(p.Currency)+" 4.50" {
			t.Errorf("%s: %s", name, out)
		}
	}
}

func railTransfer(p *rail.Profile, now time.Time) rail.TransferInput {
	banks := map[string][4]string{
		"fednow": {"021040078", "091000019", "100200300", "400500600"}, "rtp": {"021040078", "091000019", "100200300", "400500600"},
		"sctinst": {"PAYRDEF0XXX", "SHOPFRP0XXX", "DE89370400440532013000", "FR1420041010050500013M02606"}, "pix": {"10000000", "20000000"},
	}[p.Name]
	debtor := iso20022.Party{Name: must(payments.ParseName("Example Payer")), Agent: iso20022.Agent{ID: payments.AgentID(banks[0])}}
	creditor := iso20022.Party{Name: must(payments.ParseName("Example Coffee")), Agent: iso20022.Agent{ID: payments.AgentID(banks[1])}}
	if p.Name == "pix" {
		debtor.Account = must(payments.PixAccount{Holder: "52998224725", Type: "CACC", Number: "123456", Branch: "0001"}.Account())
		creditor.Account = must(payments.PixAccount{Holder: "11444777000161", Type: "TRAN", Number: "654321", Branch: "0002"}.Account())
	} else {
		debtor.Account, creditor.Account = must(payments.ParseAccount(banks[2])), must(payments.ParseAccount(banks[3]))
	}
	return rail.TransferInput{
		UETR: uetr1, EndToEndID: "01a207bda9c074048404040404040404", Amount: payments.Amount{Minor: 450, Currency: p.Currency}, Debtor: debtor, Creditor: creditor,
		Participant: debtor.Agent.ID, Suffix: "1", Now: now,
	}
}

func TestStatusSamples(t *testing.T) {
	dir := shared.Path(t, "iso20022/samples")
	for _, name := range append(rails.Names(), "none") {
		code, out, errs := call(t, nil, "status", "--profile", name, "--json", filepath.Join(dir, "fednow-pacs.008-participant-to-service.xml"), filepath.Join(dir, "fednow-pacs.002-service-to-participant.xml"))
		if code != exitOK || !strings.Contains(out, `"state":"settled"`) && (name == "fednow" || name == "none") {
			t.Errorf("%s: %d\n%s%s", name, code, out, errs)
		}
	}
	for _, args := range [][]string{{}, {"--profile", "swift", "x"}, {"--at", "noon", "x"}, {"missing.xml"}} {
		if code, _, errs := call(t, nil, append([]string{"status"}, args...)...); code != exitUnreadable || errs == "" {
			t.Errorf("%q: %d %s", args, code, errs)
		}
	}
}

// Many messages with one id, of many payments, and a long statement, take no longer than a moment.
func TestStatusMany(t *testing.T) {
	var all []event
	for i := range 2000 {
		e := event{name: "pacs.008", endToEnd: "ONE", messageID: fmt.Sprint(i)}
		if i%2 == 0 {
			e.uetr = fmt.Sprint("u", i)
		}
		all = append(all, e)
	}
	for i := range 20_000 {
		all = append(all, event{name: "pain.001", endToEnd: fmt.Sprint("E", i), messageID: "INIT"}, event{name: "camt.053", endToEnd: fmt.Sprint("E", 2*i)})
	}
	began := time.Now()
	found, left := join(all)
	if len(found) != 1000+1+20_000 || len(left) != 10_000 {
		t.Errorf("%d payments, %d left", len(found), len(left))
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

// Whatever the files hold: status and diff say something that a terminal can show, and a document is equal to itself.
func FuzzRead(f *testing.F) {
	f.Add([]byte(statusTransfer("M-1", "2026-11-23T12:00:00Z", paid1, "4.50")), []byte(statusAnswer("A-1", "x", orgMsg1, about1, "ACSC AC04")))
	f.Add([]byte(diffEnquiry), []byte(`<w><AppHdr><Fr/></AppHdr><Document><a>x</a>y</Document></w>`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var docs []*document
		var events []event
		for _, x := range [][]byte{a, b} {
			d, err := readDocument(&file{Name: "x", Reader: strings.NewReader(string(x))})
			if err != nil {
				return
			}
			if !compareMessages(d, d).Equal {
				t.Error("different from itself")
			}
			docs = append(docs, d)
			events = append(events, readEvents("x", d)...)
		}
		x, y := compareMessages(docs[0], docs[1]), compareMessages(docs[1], docs[0])
		if x.Equal != y.Equal {
			t.Error("a differs from b, but not b from a")
		}
		var out strings.Builder
		s := newScreen(&out)
		x.print(s)
		found, left := join(events)
		for _, p := range found {
			for _, name := range append(rails.Names(), "") {
				var profile *rail.Profile
				if name != "" {
					profile = must(rails.Lookup(name))
				}
				p.settle(profile, time.Unix(0, 0))
			}
			p.print(s)
		}
		printLeft(s, left, true)
		for _, r := range out.String() {
			if r != '\n' && !harmless(r) {
				t.Fatalf("%U reaches the terminal", r)
			}
		}
	})
}
