package rail_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/parleypay/parley/internal/shared"
	. "github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

// published holds, by file, the rules that a sample of a rail breaks, and why it does.
var published = map[string]struct{ broken, why string }{
	"fednow-admi.002-reject.xml":                    {"", ""},
	"fednow-admi.004-ping.xml":                      {"fednow.header.service fednow.header.practice", "receiver and practice are masked"},
	"fednow-bad-pacs.002-reject-without-reason.xml": {"fednow.status.reason", "bad on purpose"},
	"fednow-bad-pacs.008-aba-checksum.xml":          {"fednow.aba.checksum", "bad on purpose"},
	"fednow-bad-pacs.008-msgid.xml":                 {"fednow.msgid.format", "bad on purpose"},
	"fednow-camt.029-refused.xml":                   {"", ""},
	"fednow-camt.056-return-request.xml":            {"", ""},
	"fednow-envelope-pacs.002.xml":                  {"", ""},
	"fednow-pacs.002-service-to-participant.xml":    {"fednow.aba.checksum", "placeholder routing numbers"},
	"fednow-pacs.004-return.xml":                    {"", ""},
	"fednow-pacs.008-participant-to-service.xml":    {"fednow.aba.checksum", "placeholder routing numbers"},
	"fednow-pacs.028-status-request.xml":            {"", ""},
	"pix-pacs.002.spi.1.17-from-spi-ACCC.xml":       {"", ""},
	"pix-pacs.008.spi.1.16-account.xml":             {"pix.taxid.checksum", "placeholder tax numbers"},
	"rtp-admi.002.xml":                              {"rtp.header.filled", "blank header"},
	"rtp-admi.004-971-suspended.xml":                {"rtp.header.filled", "blank header"},
	"rtp-camt.056-refund.xml":                       {"rtp.header.filled rtp.aba.checksum", "blank header, placeholder routing numbers"},
	"rtp-head.001-signed.xml":                       {"wrapper.document", "a header and nothing else"},
	"rtp-pacs.002-ACTC.xml":                         {"rtp.header.filled", "blank header"},
	"rtp-pacs.008.xml":                              {"rtp.header.filled rtp.aba.checksum", "blank header, placeholder routing numbers"},
	"rtp-pain.013.xml":                              {"rtp.header.filled rtp.aba.checksum", "blank header, placeholder routing numbers"},
	"rtp-pain.014-ACTC.xml":                         {"rtp.header.filled rtp.aba.checksum", "blank header, placeholder routing numbers"},
}

// The rails' published messages pass their profiles, the bad ones fail by the rule they break and no other, and what has placeholders passes
// only with the rules switched off that say so, which the verdict shows. docs/rails.md has the table.
func TestPublishedSamples(t *testing.T) {
	var rows strings.Builder
	rows.WriteString("| sample | message | broken | because | with these rules off |\n|---|---|---|---|---|\n")
	for _, file := range slices.Sorted(maps.Keys(published)) {
		want := published[file]
		wire := shared.Read(t, "iso20022/samples/"+file)
		name, _, _ := strings.Cut(file, "-")
		p := must(rails.Lookup(name))
		v := must(p.Check(wire))
		if got := rules(v); got != want.broken {
			t.Errorf("%s: %q, want %q: %v", file, got, want.broken, v.Faults)
		}
		if v.Valid() && (v.Direction == 0 || v.Schema != (name != "pix")) {
			t.Errorf("%s: %+v", file, v)
		}
		then := ""
		if off := strings.Fields(want.broken); len(off) > 0 {
			v, err := p.Check(wire, off...)
			switch {
			case err != nil:
				then = "refused: no rule of the profile"
			case !v.Valid() || !slices.Equal(v.Without, off):
				t.Errorf("%s: %+v", file, v)
			default:
				then = "valid"
			}
		}
		fmt.Fprintf(&rows, "| %s | %s | %s | %s | %s |\n", file, v.Message, strings.Join(strings.Fields(want.broken), ", "), want.why, then)
	}
	const page = "../../docs/rails.md"
	text := string(must(os.ReadFile(page)))
	block := regexp.MustCompile(`(?s)(<!-- begin: samples -->\n).*?(<!-- end: samples -->)`)
	if !block.MatchString(text) {
		t.Fatal("docs/rails.md has no table of samples")
	}
	filled := block.ReplaceAllString(text, "${1}"+rows.String()+"${2}")
	switch {
	case filled == text:
	case *update:
		if err := os.WriteFile(page, []byte(filled), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("the table of samples is not that of the verdicts: go test -run TestPublishedSamples -update ./payments/rail")
	}
	entries, err := os.ReadDir(shared.Path(t, "iso20022/samples"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		// Every other sample is of no rail of ours, and no profile takes it.
		name, _, _ := strings.Cut(e.Name(), "-")
		if !strings.HasSuffix(e.Name(), ".xml") {
			continue
		}
		if slices.Contains(rails.Names(), name) {
			if _, ok := published[e.Name()]; !ok {
				t.Errorf("%s has no verdict here", e.Name())
			}
			continue
		}
		for _, n := range rails.Names() {
			if v := must(must(rails.Lookup(n)).Check(shared.Read(t, "iso20022/samples/"+e.Name()))); v.Valid() {
				t.Errorf("%s passes %s", e.Name(), n)
			}
		}
	}
}

// rules names the rules that a verdict found broken.
func rules(v Verdict) string {
	var names []string
	for _, f := range v.Faults {
		if !slices.Contains(names, f.Rule) {
			names = append(names, f.Rule)
		}
	}
	return strings.Join(names, " ")
}

// sample makes a message that breaks one rule: edits, pairs of old and new text, in a valid one.
type sample struct {
	rule  string // without the profile's name if the edit does for several rails
	of    string
	edits []string
	rails string // empty for every rail that has the rule
}

var update = flag.Bool("update", false, "write the samples of the rules into testdata")

// samples spells elements without a prefix; RTP's is put in. Header elements are those of the header's version.
var samples = []sample{
	{"message.kind", "bare", []string{"pacs.008.001.08", "pacs.008.001.09"}, "fednow sctinst"},
	{"message.kind", "bare", []string{"pacs.008.001.08", "pacs.008.001.09", "2026-11-23T09:30:15Z", "2026-11-23T04:30:15"}, "rtp"},
	{"header.version", "transfer", []string{"head.001.001.02", "head.001.001.01", "<MktPrctc><Regy>www2.swift.com/mystandards/#/group/Federal_Reserve_Financial_Services/FedNow_Service</Regy><Id>frb.fednow.01</Id></MktPrctc>", ""}, "fednow"},
	{"header.version", "transfer", []string{"head.001.001.01", "head.001.001.02"}, "sctinst"},
	{"header.msgdef", "transfer", []string{"<MsgDefIdr>pacs.008", "<MsgDefIdr>pacs.009"}, ""},
	{"header.service", "transfer", []string{">021150706<", ">091000019<"}, "fednow"},
	{"header.service", "transfer", []string{">CSMIDEF0XXX<", ">SHOPFRP0XXX<"}, "sctinst"},
	{"header.service", "transfer", []string{">990000001T1<", ">091000019T1<"}, "rtp"},
	{"header.service", "transfer", []string{">00038166<", ">20000000<"}, "pix"},
	{"header.duplicate", "transfer", []string{"</CreDt>", "</CreDt><PssblDplct>true</PssblDplct>"}, ""},
	{"header.duplicate", "transfer", []string{"</CreDt>", "</CreDt><CpyDplct>DUPL</CpyDplct>"}, "fednow"},
	{"header.duplicate", "transfer", []string{"</CreDt>", "</CreDt><CpyDplct>COPY</CpyDplct>"}, "rtp"},
	{"clearing.system", "transfer", []string{"<Cd>FDN<", "<Cd>TCH<"}, "fednow"},
	{"clearing.system", "transfer", []string{"<Cd>TCH<", "<Cd>FDN<"}, "rtp"},
	{"clearing.system", "transfer", []string{"<Prtry>TIPS<", "<Prtry>RT1<"}, "sctinst"},
	{"settlement.date", "transfer", []string{"<IntrBkSttlmDt>2026-11-23</IntrBkSttlmDt>", ""}, ""},
	{"service.level", "transfer", []string{"<Cd>SEPA<", "<Cd>NURG<"}, "sctinst"},
	{"service.level", "transfer", []string{"<Cd>SDVA<", "<Cd>NURG<"}, "rtp"},
	{"local.instrument", "transfer", []string{"<Prtry>FDNA<", "<Prtry>OTHER<"}, "fednow"},
	{"local.instrument", "transfer", []string{"<Cd>INST<", "<Cd>CORE<"}, "sctinst"},
	{"local.instrument", "transfer", []string{"<Prtry>STANDARD<", "<Prtry>SPECIAL<"}, "rtp"},
	{"charge.bearer", "transfer", []string{"<ChrgBr>SLEV<", "<ChrgBr>SHAR<"}, ""},
	{"amount.currency", "transfer", []string{`Ccy="USD"`, `Ccy="CAD"`}, "fednow rtp"},
	{"amount.currency", "transfer", []string{`Ccy="EUR"`, `Ccy="CHF"`}, "sctinst"},
	{"amount.currency", "transfer", []string{`Ccy="BRL"`, `Ccy="USD"`}, "pix"},
	{"amount.limit", "transfer", []string{">4.50<", ">10000000.01<"}, "fednow rtp"},
	{"amount.limit", "transfer", []string{">4.50<", ">1000000000.00<"}, "sctinst"},
	{"amount.limit", "transfer", []string{">4.50<", ">1000000000000.00<"}, "pix"},
	{"agent.required", "transfer", []string{"<InstdAgt><FinInstnId><ClrSysMmbId><ClrSysId><Cd>USABA</Cd></ClrSysId><MmbId>091000019</MmbId></ClrSysMmbId></FinInstnId></InstdAgt>", ""}, "fednow"},
	{"agent.required", "transfer", []string{"<InstdAgt><FinInstnId><ClrSysMmbId><MmbId>091000019</MmbId></ClrSysMmbId></FinInstnId></InstdAgt>", ""}, "rtp"},
	{"agent.required", "transfer", []string{"<InstdAgt><FinInstnId><BICFI>SHOPFRP0</BICFI></FinInstnId></InstdAgt>", ""}, "sctinst"},
	{"party.account", "transfer", []string{"<CdtrAcct><Id><Othr><Id>987654321000</Id></Othr></Id></CdtrAcct>", ""}, "fednow rtp"},
	{"party.account", "transfer", []string{"<CdtrAcct><Id><IBAN>FR1420041010050500013M02606</IBAN></Id></CdtrAcct>", ""}, "sctinst"},
	{"party.name", "transfer", []string{"<Nm>Example Payer</Nm>", ""}, "fednow sctinst rtp"},
	{"address.structured", "transfer", []string{"<TwnNm>Exampletown</TwnNm>", ""}, ""},
	{"status.participant", "answer", []string{"Sts>ACTC<", "Sts>ACSC<"}, "fednow rtp"},
	{"status.participant", "answer", []string{"Sts>ACCP<", "Sts>ACSC<"}, "sctinst"},
	{"status.participant", "answer", []string{"Sts>ACSP<", "Sts>ACSC<"}, "pix"},
	{"status.reason", "refusal", []string{"<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf>", ""}, ""},
	{"status.reason.code", "refusal", []string{"<Rsn><Cd>AC04</Cd>", "<Rsn><Prtry>E990</Prtry>"}, ""},
	{"original.required", "answer", []string{"<OrgnlCreDtTm>2026-11-23T09:30:15Z</OrgnlCreDtTm>", ""}, "fednow"},
	{"original.required", "answer", []string{"<OrgnlCreDtTm>2026-11-23T09:30:15.123Z</OrgnlCreDtTm>", ""}, "sctinst"},
	{"original.required", "answer", []string{"<OrgnlCreDtTm>2026-11-23T04:30:15</OrgnlCreDtTm>", ""}, "rtp"},

	{"fednow.header.practice", "transfer", []string{"<Id>frb.fednow.01<", "<Id>frb.fednow.test.01<"}, ""},
	{"fednow.header.party", "transfer", []string{"<MmbId>021040078</MmbId></ClrSysMmbId></FinInstnId></FIId></Fr>", "<MmbId>02104007</MmbId></ClrSysMmbId></FinInstnId></FIId></Fr>"}, ""},
	{"fednow.msgid.format", "transfer", []string{"<MsgId>20261123", "<MsgId>20261323"}, ""},
	{"fednow.category.purpose", "transfer", []string{"<Prtry>CONS<", "<Prtry>CONSUMER<"}, ""},
	{"fednow.agent.system", "transfer", []string{"<ClrSysId><Cd>USABA</Cd></ClrSysId>", ""}, ""},
	{"fednow.aba.checksum", "transfer", []string{"</ClrSysId><MmbId>021040078<", "</ClrSysId><MmbId>021040079<"}, ""},
	{"fednow.account.other", "transfer", []string{"<Id><Othr><Id>123456789012</Id></Othr></Id>", "<Id><IBAN>DE89370400440532013000</IBAN></Id>"}, ""},
	{"fednow.status.times", "answer", []string{"</TxSts>", "</TxSts><AccptncDtTm>2026-11-23T09:30:15Z</AccptncDtTm>"}, ""},

	{"sctinst.agent.bic", "transfer", []string{"<CdtrAgt><FinInstnId><BICFI>SHOPFRP0</BICFI>", "<CdtrAgt><FinInstnId><ClrSysMmbId><MmbId>SHOP1234</MmbId></ClrSysMmbId>"}, ""},
	{"sctinst.header.bic", "transfer", []string{"<Fr><FIId><FinInstnId><BICFI>PAYRDEF0XXX</BICFI>", "<Fr><FIId><FinInstnId><ClrSysMmbId><MmbId>12345678</MmbId></ClrSysMmbId>"}, ""},
	{"sctinst.account.iban", "transfer", []string{"<IBAN>DE89370400440532013000</IBAN>", "<Othr><Id>0532013000</Id></Othr>"}, ""},
	{"sctinst.transaction.id", "transfer", []string{"<TxId>20261123PAYRDEF03TC524Y511T42RT17A</TxId>", ""}, ""},
	{"sctinst.acceptance.time", "transfer", []string{"<AccptncDtTm>2026-11-23T09:30:15.123Z</AccptncDtTm>", ""}, ""},
	{"sctinst.remittance.one", "transfer", []string{"</Ustrd>", "</Ustrd><Strd><CdtrRefInf><Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp><Ref>RF18539007547034</Ref></CdtrRefInf></Strd>"}, ""},
	{"sctinst.text.charset", "transfer", []string{"<Ustrd>one flat white", "<Ustrd>one flät white"}, ""},
	{"sctinst.id.slash", "transfer", []string{"<EndToEndId>", "<EndToEndId>//"}, ""},

	{"rtp.header.filled", "transfer", []string{"*header", ""}, ""},
	{"rtp.header.id", "transfer", []string{"<BizMsgIdr>B", "<BizMsgIdr>M"}, ""},
	{"rtp.header.party", "transfer", []string{"<MmbId>021040078T1<", "<MmbId>021040078T<"}, ""},
	{"rtp.time.local", "transfer", []string{"<CreDtTm>2026-11-23T04:30:15<", "<CreDtTm>2026-11-23T09:30:15Z<"}, ""},
	{"rtp.msgid.format", "transfer", []string{"<MsgId>M", "<MsgId>X"}, ""},
	{"rtp.transaction.id", "transfer", []string{"<TxId>2026", "<TxId>2025"}, ""},
	{"rtp.category.purpose", "transfer", []string{"<Prtry>CONSUMER<", "<Prtry>CONS<"}, ""},
	{"rtp.agent.member", "transfer", []string{"<InstgAgt><FinInstnId><ClrSysMmbId>", "<InstgAgt><FinInstnId><ClrSysMmbId><ClrSysId><Cd>USABA</Cd></ClrSysId>"}, ""},
	{"rtp.aba.checksum", "transfer", []string{"<MmbId>021040078<", "<MmbId>021040079<"}, ""},
	{"rtp.account.other", "transfer", []string{"<Id><Othr><Id>123456789012</Id></Othr></Id>", "<Id><IBAN>DE89370400440532013000</IBAN></Id>"}, ""},
	{"rtp.purpose.none", "transfer", []string{"<RmtInf>", "<Purp><Cd>GDDS</Cd></Purp><RmtInf>"}, ""},
	{"rtp.uetr.none", "transfer", []string{"</TxId>", "</TxId><UETR>8a562c67-ca16-48ba-b074-65581be6f001</UETR>"}, ""},

	{"pix.structure", "transfer", []string{"<ChrgBr>SLEV<", "<ChrgBr>SHAR<"}, ""},
	{"pix.header.ispb", "transfer", []string{"<Fr><FIId><FinInstnId><Othr><Id>99999010<", "<Fr><FIId><FinInstnId><Othr><Id>00000000<", ">M99999010", ">M00000000"}, ""},
	{"pix.header.id", "transfer", []string{"<BizMsgIdr>M99999010", "<BizMsgIdr>M99999011"}, ""},
	{"pix.msgid.sender", "transfer", []string{">M99999010", ">M20000000"}, ""},
	{"pix.agent.ispb", "transfer", []string{"<CdtrAgt><FinInstnId><ClrSysMmbId><MmbId>20000000<", "<CdtrAgt><FinInstnId><ClrSysMmbId><MmbId>00000000<"}, ""},
	{"pix.original.endtoend", "answer", []string{"<OrgnlInstrId>E99999010", "<OrgnlInstrId>E99999011"}, ""},
	{"pix.priority.level", "transfer", []string{"<InstrPrty>HIGH<", "<InstrPrty>NORM<"}, ""},
	{"pix.taxid.checksum", "transfer", []string{"<Id>12345678909<", "<Id>12345678900<"}, ""},
}

// Every rule of every profile has a valid and an invalid sample: the valid one passes, the invalid one fails by that rule and passes with
// the rule switched off, unless it breaks another too. The samples lie in testdata, one folder for a rail; -update writes them.
func TestSamples(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		folder := filepath.Join(p.Name, "testdata")
		keep := func(name string, wire []byte) {
			file := filepath.Join(folder, name+".xml")
			if *update {
				if err := os.MkdirAll(folder, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, wire, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if have, err := os.ReadFile(file); err != nil || string(have) != string(wire) {
				t.Errorf("%s is not what the code writes: go test -run TestSamples -update ./payments/rail (%v)", file, err)
			}
		}
		valid := map[string]string{}
		for name, m := range testMessages(t, p) {
			valid[name] = string(must(p.Encode(m)))
			if v := must(p.Check([]byte(valid[name]))); !v.Valid() || v.Direction != Travels(p, m) || v.Message != OwnName(p, m.MsgDef()) {
				t.Errorf("%s: %+v", name, v)
			}
			keep("valid-"+name, []byte(valid[name]))
		}
		valid["bare"] = string(must(testMessages(t, p)["transfer"].AppendDocument(nil)))
		sampled := map[string]bool{}
		for _, s := range samples {
			name := s.rule
			if !slices.ContainsFunc(rails.Names(), func(n string) bool { return strings.HasPrefix(name, n+".") }) {
				name = p.Name + "." + name
			}
			if s.rails != "" && !slices.Contains(strings.Fields(s.rails), p.Name) || !slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.Name == name }) {
				continue
			}
			wire := valid[s.of]
			for i := 0; i < len(s.edits); i += 2 {
				from, to := s.edits[i], s.edits[i+1]
				if p.Name == "rtp" && s.of != "bare" {
					prefix := "${1}m:$2"
					if strings.Contains(from, "CreDt>") && !strings.Contains(from, "Tm") || strings.Contains(s.rule, ".header.") || s.rule == "header.msgdef" {
						prefix = "${1}head:$2"
					}
					from, to = tag.ReplaceAllString(from, prefix), tag.ReplaceAllString(to, prefix)
				}
				if from == "*header" {
					begin, end := strings.Index(wire, "<AppHdr>"), strings.Index(wire, "</AppHdr>")
					from, to = wire[begin:end], "<AppHdr><head:Fr></head:Fr><head:To></head:To><head:BizMsgIdr></head:BizMsgIdr><head:MsgDefIdr></head:MsgDefIdr><head:CreDt>0001-01-01T00:00:00</head:CreDt>"
				}
				if !strings.Contains(wire, from) {
					t.Errorf("%s: no %s in the valid sample", name, from)
				}
				wire = strings.Replace(wire, from, to, -1)
			}
			v := must(p.Check([]byte(wire)))
			i := slices.IndexFunc(v.Faults, func(f *RuleError) bool { return f.Rule == name })
			if i < 0 {
				t.Errorf("%s: not found broken, but %v", name, v.Faults)
				continue
			}
			if f := v.Faults[i]; f.Path == "" || f.Text == "" || f.Line == 0 {
				t.Errorf("%s: no place or text: %+v", name, f)
			}
			if v := must(p.Check([]byte(wire), name)); slices.ContainsFunc(v.Faults, func(f *RuleError) bool { return f.Rule == name }) {
				t.Errorf("%s: found although switched off", name)
			}
			if !sampled[name] {
				keep(name, []byte(wire))
			}
			sampled[name] = true
		}
		for _, r := range p.Rules {
			if !sampled[r.Name] {
				t.Errorf("rule %s has no sample", r.Name)
			}
		}
	})
}
