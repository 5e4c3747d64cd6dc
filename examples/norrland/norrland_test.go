package norrland

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/railsim"
	"github.com/parleypay/parley/payments/rail/railtest"
)

var update = flag.Bool("update", false, "write the samples")

const payer, shop payments.AgentID = "20000002", "30000003"

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func transfer(p *rail.Profile, kronor int64, suffix string, now time.Time) *rail.Message {
	intent := payments.IntentID("pi_019ab3c0-1111-7222-8333-444455556666")
	party := func(name, account string, bank payments.AgentID) iso20022.Party {
		return iso20022.Party{Name: must(payments.ParseName(name)), Account: must(payments.ParseAccount(account)), Agent: iso20022.Agent{ID: bank}}
	}
	return must(p.NewTransfer(rail.TransferInput{
		UETR: payments.NewUETR(intent, "test"), EndToEndID: intent.EndToEndID(), Amount: payments.Amount{Minor: kronor * 100, Currency: "SEK"},
		Debtor: party("Example Payer", "1234567890", payer), Creditor: party("Example Coffee", "9876543210", shop),
		Remittance: "one flat white", Participant: payer, Suffix: suffix, Now: now,
	}))
}

// broken makes, of a valid sample, one that breaks the rule it is named after: pairs of old and new text.
var broken = map[string][]string{
	"header.version":     {"transfer", "head.001.001.01", "head.001.001.02"},
	"message.kind":       {"bare", "pacs.008.001.08", "pacs.008.001.09"},
	"header.msgdef":      {"transfer", "<MsgDefIdr>pacs.008", "<MsgDefIdr>pacs.009"},
	"header.service":     {"transfer", "<MmbId>70000001<", "<MmbId>30000003<"},
	"header.duplicate":   {"transfer", "</CreDt>", "</CreDt><PssblDplct>true</PssblDplct>"},
	"clearing.system":    {"transfer", ">NORR<", ">SORR<"},
	"settlement.date":    {"transfer", "<IntrBkSttlmDt>2026-11-23</IntrBkSttlmDt>", ""},
	"local.instrument":   {"transfer", "<Prtry>NOW<", "<Prtry>LATER<"},
	"charge.bearer":      {"transfer", ">SLEV<", ">SHAR<"},
	"amount.currency":    {"transfer", `Ccy="SEK"`, `Ccy="NOK"`},
	"amount.limit":       {"transfer", ">45.00<", ">5000001.00<"},
	"agent.required":     {"transfer", "<InstdAgt><FinInstnId><ClrSysMmbId><MmbId>30000003</MmbId></ClrSysMmbId></FinInstnId></InstdAgt>", ""},
	"party.account":      {"transfer", "<CdtrAcct><Id><Othr><Id>9876543210</Id></Othr></Id></CdtrAcct>", ""},
	"party.name":         {"transfer", "<Nm>Example Coffee</Nm>", "<PstlAdr><TwnNm>Exampletown</TwnNm><Ctry>SE</Ctry></PstlAdr>"},
	"address.structured": {"transfer", "<Nm>Example Coffee</Nm>", "<Nm>Example Coffee</Nm><PstlAdr><Ctry>SE</Ctry></PstlAdr>"},
	"status.participant": {"answer", "Sts>ACCP<", "Sts>ACSC<"},
	"status.reason":      {"refusal", "<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf>", ""},
	"status.reason.code": {"refusal", "<Rsn><Cd>AC04</Cd>", "<Rsn><Prtry>N1</Prtry>"},
	"original.required":  {"answer", "<OrgnlCreDtTm>2026-11-23T09:30:15Z</OrgnlCreDtTm>", ""},
	"account.other":      {"transfer", "<Othr><Id>1234567890</Id></Othr>", "<IBAN>DE89370400440532013000</IBAN>"},
	"msgid.format":       {"transfer", "<MsgId>N2026", "<MsgId>X2026"},
	"agent.bank":         {"transfer", "<CdtrAgt><FinInstnId><ClrSysMmbId><MmbId>30000003<", "<CdtrAgt><FinInstnId><ClrSysMmbId><MmbId>3000000<"},
	"amount.krona":       {"transfer", ">45.00<", ">45.50<"},
}

// The samples are those of the code, and the profile passes the suite of every rail with them.
func TestProfile(t *testing.T) {
	p := must(Profile())
	now := time.Date(2026, 11, 23, 9, 30, 15, 0, time.UTC)
	sent := transfer(p, 45, "1", now)
	forwarded := *sent
	forwarded.Header = p.NewHeader(p.Service, shop, rail.MsgTransfer, sent.MessageID(), now)
	settled := p.NewReport(sent.Transfer, must(p.MessageID(p.Service, now, "4")), now)
	settled.Status, settled.Instructing, settled.Instructed = p.Settled, p.Agent(p.Service), p.Agent(payer)
	samples := map[string][]byte{"bare": must(sent.AppendDocument(nil))}
	for name, m := range map[string]*rail.Message{
		"transfer": sent, "forwarded": &forwarded,
		"answer":  must(p.NewAnswer(&forwarded, rail.AnswerInput{Participant: shop, Status: p.AnswerYes(), Suffix: "2", Now: now})),
		"refusal": must(p.NewAnswer(&forwarded, rail.AnswerInput{Participant: shop, Status: "RJCT", Reason: "AC04", Suffix: "3", Now: now})),
		"settled": {Header: p.NewHeader(p.Service, payer, rail.MsgStatus, settled.MessageID, now), Status: settled},
	} {
		samples[name] = must(p.Encode(m))
	}
	files := map[string][]byte{}
	for name, wire := range samples {
		files["valid-"+name] = wire
	}
	for rule, edit := range broken {
		wire := string(samples[edit[0]])
		if !strings.Contains(wire, edit[1]) {
			t.Errorf("%s: no %s", rule, edit[1])
		}
		files[name+"."+rule] = []byte(strings.ReplaceAll(wire, edit[1], edit[2]))
	}
	for name, wire := range files {
		file := filepath.Join("testdata", name+".xml")
		if *update {
			if err := os.WriteFile(file, wire, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(file); err != nil || string(have) != string(wire) {
			t.Errorf("%s is not what the code writes: go test -run TestProfile ./examples/norrland -update (%v)", file, err)
		}
	}
	railtest.Run(t, p, os.DirFS("testdata"))
}

// simulation returns the simulated rail and what a payer's bank sends and gets.
func simulation(t *testing.T, rules ...railsim.Rule) (*railsim.Sim, func(*rail.Message), func() rail.Meaning) {
	t.Helper()
	sim := must(railsim.New(railsim.Config{
		Profile:       must(Profile()),
		AnswerTimeout: 400 * time.Millisecond,
		Deduplicate:   true, // each party repeats its stored answer
		Rules:         rules,
		Participants:  []railsim.Participant{{ID: payer, Token: "payer's token", Prefunded: "1000.00"}, {ID: shop, Simulated: true}},
	}))
	t.Cleanup(func() { sim.Close() })
	p, bank, after := sim.Profile(), must(sim.Transport(payer)), uint64(0)
	send := func(m *rail.Message) {
		t.Helper()
		if err := bank.Send(t.Context(), must(p.Encode(m))); err != nil {
			t.Fatal(err)
		}
	}
	next := func() rail.Meaning {
		t.Helper()
		for range 20 {
			for _, d := range must(bank.Receive(t.Context(), after, 1)) {
				after = d.Seq
				m := must(p.Decode(d.Wire, rail.FromService))
				return p.Meaning(p.Sender(m), m.Status)
			}
		}
		t.Fatal("no answer")
		return rail.Meaning{}
	}
	return sim, send, next
}

func TestSettlesAndRefuses(t *testing.T) {
	sim, send, next := simulation(t, railsim.Rule{Match: railsim.Match{Amount: "13.00"}, Action: railsim.Action{Do: "reject", Code: "AC04"}})
	send(transfer(sim.Profile(), 45, "1", time.Now()))
	if m := next(); m.Kind != rail.Settled {
		t.Errorf("%+v", m)
	}
	send(transfer(sim.Profile(), 13, "2", time.Now()))
	if m := next(); m.Kind != rail.Rejected || m.Reason != "AC04" {
		t.Errorf("%+v", m)
	}
}

// A payment whose answer is lost is sent again, byte for byte, and executed once.
func TestRecovers(t *testing.T) {
	sim, send, next := simulation(t, railsim.Rule{Match: railsim.Match{Amount: "77.00"}, Action: railsim.Action{Do: "late", Delay: 600 * time.Millisecond}})
	p := sim.Profile()
	m := transfer(p, 77, "1", time.Now())
	send(m)
	time.Sleep(p.AnswerTimeout + p.Ladder[0])
	if p.Recovery != rail.ResendSame {
		t.Fatal(p.Recovery)
	}
	send(m) // the same ids, the same bytes
	if got := next(); got.Kind != rail.Settled {
		t.Errorf("%+v", got)
	}
	effects := sim.Effects(m.Transfer.UETR, "")
	if len(effects.Payments) != 1 || effects.Payments[0].Executions != 1 || len(effects.Payments[0].Answers) != 2 {
		t.Errorf("want one execution and its answer twice: %+v", effects.Payments)
	}
}
