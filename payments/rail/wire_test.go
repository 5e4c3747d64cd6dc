package rail_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/shared"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"

	. "github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
	"pgregory.net/rapid"
)

// What is encoded is decoded to the same, for every kind of message, and its bytes come out the same again.
func TestRoundTrip(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		for name, m := range testMessages(t, p) {
			wire, err := p.Encode(m)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			back, err := p.Decode(wire, Travels(p, m))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if !reflect.DeepEqual(back, m) {
				t.Errorf("%s: decoded %+v\nwant %+v", name, back, m)
			}
			if again, err := p.Encode(back); err != nil || !bytes.Equal(again, wire) {
				t.Errorf("%s: not the same bytes: %v", name, err)
			}
		}
	})
}

// A message only passes in the direction it is for, and on the rail it is for.
func TestWrongDirectionAndProfile(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		for name, m := range testMessages(t, p) {
			wire := must(p.Encode(m))
			for _, dir := range []Direction{ToService, FromService, 0, 9} {
				if _, err := p.Decode(wire, dir); (err == nil) != (dir == Travels(p, m)) {
					t.Errorf("%s %v: %v", name, dir, err)
				}
			}
			for _, other := range rails.Names() {
				if q := must(rails.Lookup(other)); other != p.Name {
					for _, dir := range []Direction{ToService, FromService} {
						if _, err := q.Decode(wire, dir); Faults(err) == nil {
							t.Errorf("%s taken by %s: %v", name, other, err)
						}
					}
				}
			}
		}
	})
}

func TestEncodeRefuses(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		m := clone(testMessages(t, p)["transfer"])
		m.Transfer.ChargeBearer = "DEBT"
		if wire, err := p.Encode(m); wire != nil || err == nil {
			t.Errorf("%v", err)
		}
		m = clone(testMessages(t, p)["transfer"])
		m.Transfer.EndToEndID = payments.EndToEndID(strings.Repeat("x", 36)) // the codec's to refuse
		if wire, err := p.Encode(m); wire != nil || err == nil {
			t.Errorf("%v", err)
		}
	})
}

// bad is what a peer may send, made from a valid pacs.008, with the rule that must refuse it and where.
var bad = []struct {
	name, old, new string
	rule, path     string
}{
	{"DOCTYPE", `?>`, `?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>`, "xml.", ""},
	{"not well-formed", `</CdtTrfTxInf>`, `</CdtTrfTxInfo>`, "xml.", ""},
	{"cut off", `</FIToFICstmrCdtTrf>`, "\x00", "xml.", ""},
	{"invalid UTF-8", `Example Coffee`, "Example \xff", "xml.", ""},
	{"undefined entity", `Example Coffee`, "Example &e;", "xml.", ""},
	{"duplicate attribute", `Ccy="`, `Ccy="XXX" Ccy="`, "xml.", ""},
	{"foreign namespace", `<IntrBkSttlmAmt `, `<IntrBkSttlmAmt xmlns="urn:example:other" `, "schema.", "IntrBkSttlmAmt"},
	{"other namespace of the document", `xsd:pacs.008.001.08`, `xsd:pacs.008.001.09`, "", ""},
	{"duplicate element", `<ChrgBr>SLEV</ChrgBr>`, `<ChrgBr>SLEV</ChrgBr><ChrgBr>SLEV</ChrgBr>`, "schema.", "CdtTrfTxInf"},
	{"unknown element", `<ChrgBr>SLEV</ChrgBr>`, `<ChrgBr>SLEV</ChrgBr><Extra>1</Extra>`, "schema.", "CdtTrfTxInf"},
	{"missing element", `<ChrgBr>SLEV</ChrgBr>`, ``, "schema.", "CdtTrfTxInf"},
	{"second transaction", `</CdtTrfTxInf>`, `</CdtTrfTxInf><CdtTrfTxInf></CdtTrfTxInf>`, "", "CdtTrfTxInf"},
	{"exponent", `>4.50</IntrBkSttlmAmt>`, `>1e3</IntrBkSttlmAmt>`, "", "IntrBkSttlmAmt"},
	{"three decimals", `>4.50</IntrBkSttlmAmt>`, `>4.500</IntrBkSttlmAmt>`, "", "IntrBkSttlmAmt"},
	{"no decimals", `>4.50</IntrBkSttlmAmt>`, `>4</IntrBkSttlmAmt>`, "", "IntrBkSttlmAmt"},
	{"negative", `>4.50</IntrBkSttlmAmt>`, `>-4.50</IntrBkSttlmAmt>`, "", "IntrBkSttlmAmt"},
	{"plus sign", `>4.50</IntrBkSttlmAmt>`, `>+4.50</IntrBkSttlmAmt>`, "", "IntrBkSttlmAmt"},
	{"leading zero", `>4.50</IntrBkSttlmAmt>`, `>04.50</IntrBkSttlmAmt>`, "", "IntrBkSttlmAmt"},
	{"space", `>4.50</IntrBkSttlmAmt>`, `> 4.50</IntrBkSttlmAmt>`, "", "IntrBkSttlmAmt"},
	{"comma", `>4.50</IntrBkSttlmAmt>`, `>4,50</IntrBkSttlmAmt>`, "", "IntrBkSttlmAmt"},
	{"full-width digit", `>4.50</IntrBkSttlmAmt>`, `>4.5０</IntrBkSttlmAmt>`, "", "IntrBkSttlmAmt"},
	{"comment in the amount", `>4.50</IntrBkSttlmAmt>`, `>4<!-- -->.50</IntrBkSttlmAmt>`, "", "IntrBkSttlmAmt"},
	{"zero", `>4.50</IntrBkSttlmAmt>`, `>0.00</IntrBkSttlmAmt>`, "", "IntrBkSttlmAmt"},
	{"too much", `>4.50</IntrBkSttlmAmt>`, `>1000000000.00</IntrBkSttlmAmt>`, "", "IntrBkSttlmAmt"},
	{"no currency", `Ccy="`, `Cc="`, "schema.", "IntrBkSttlmAmt"},
	{"UETR in capitals", `<UETR>`, `<UETR>A`, "schema.", "UETR"},
	{"header for another rail", `<AppHdr xmlns="urn:iso:std:iso:20022:tech:xsd:head.001.001.0`, `<AppHdr xmlns="urn:iso:std:iso:20022:tech:xsd:head.001.001.9`, "", ""},
	{"header names another message", `<MsgDefIdr>pacs.008.001.08<`, `<MsgDefIdr>pacs.009.001.08<`, ".header.msgdef", "AppHdr/MsgDefIdr"},
	{"another charge bearer", `<ChrgBr>SLEV<`, `<ChrgBr>DEBT<`, ".charge.bearer", "ChrgBr"},
}

var tag = regexp.MustCompile(`(</?)([A-Z])`)

// prefixed spells the elements of a replacement as the rail's wire has them.
func prefixed(p *Profile, s string) string {
	if p.Name != "rtp" {
		return s
	}
	s = strings.ReplaceAll(s, `xmlns="urn:example`, `xmlns:m="urn:example`)
	prefix := "${1}m:$2"
	if strings.Contains(s, "MsgDefIdr") {
		prefix = "${1}head:$2"
	}
	return tag.ReplaceAllString(s, prefix)
}

// missing names what a rail does not have, of bad.
var missing = map[string][]string{
	"rtp": {"UETR in capitals", "header for another rail"},
	"pix": {"UETR in capitals", "header for another rail", "other namespace of the document", "header names another message"},
}

func TestDecodeRefuses(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		good := must(p.Encode(testMessages(t, p)["transfer"]))
		for _, b := range bad {
			b.old, b.new = prefixed(p, b.old), prefixed(p, b.new)
			if p.Name == "pix" && b.rule == "schema." {
				b.rule = "pix.structure"
			}
			if p.Name == "pix" && b.rule == ".charge.bearer" {
				b.rule = "pix.structure"
			}
			if slices.Contains(missing[p.Name], b.name) {
				continue
			}
			if p.Name == "pix" { // no creditor's name, and a higher limit
				b.old, b.new = strings.Replace(b.old, "Example Coffee", "Example Payer", 1), strings.Replace(b.new, ">1000000000.00", ">1000000000000.00", 1)
			}
			if !bytes.Contains(good, []byte(b.old)) {
				t.Errorf("%s: nothing to replace", b.name)
				continue
			}
			wire := bytes.Replace(good, []byte(b.old), []byte(b.new), 1)
			m, err := p.Decode(wire, ToService)
			faults := Faults(err)
			if m != nil || len(faults) == 0 {
				t.Errorf("%s: not refused: %v", b.name, err)
				continue
			}
			i := slices.IndexFunc(faults, func(f *RuleError) bool { return strings.Contains(f.Rule, b.rule) && strings.Contains(f.Path, b.path) })
			if i < 0 || faults[max(i, 0)].Text == "" {
				t.Errorf("%s: refused by %v, want %s at …%s", b.name, err, b.rule, b.path)
			}
			if text := err.Error(); strings.Contains(text, "Example") || strings.Contains(text, "440532013000") || strings.Contains(text, "123456789012") {
				t.Errorf("%s: the error holds a person's data: %s", b.name, text)
			}
		}
		for name, wire := range map[string][]byte{
			"empty": nil, "text": []byte("hello"), "HTML": []byte("<html><body>502</body></html>"), "a bare document": must(testMessages(t, p)["transfer"].AppendDocument(nil)),
			"too large":    append(slices.Clone(good), bytes.Repeat([]byte(" "), p.SizeMaxBytes)...),
			"UTF-16":       {0xfe, 0xff, 0, '<', 0, 'x'},
			"ten messages": bytes.Repeat(good, 10),
		} {
			if _, err := p.Decode(wire, ToService); Faults(err) == nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// The line of a fault is that of the wire message.
func TestDecodeFaultLine(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		good := must(p.Encode(testMessages(t, p)["transfer"]))
		wire := bytes.ReplaceAll(good, []byte("><"), []byte(">\n<"))
		if _, err := p.Decode(wire, ToService); err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(wire, []byte(`IntrBkSttlmAmt Ccy="`+p.Currency+`">4.50<`)) // RTP has a total before it
		wire = append(wire[:at:at], bytes.Replace(wire[at:], []byte(">4.50<"), []byte(">1e3<"), 1)...)
		_, err := p.Decode(wire, ToService)
		want := 1 + bytes.Count(wire[:bytes.Index(wire, []byte(">1e3<"))], []byte("\n"))
		if f := Faults(err); len(f) != 1 || f[0].Line != want {
			t.Errorf("%v, want line %d", err, want)
		}
	})
}

// The published samples: those of the service pass but for their placeholder routing numbers, and the bad ones fail by the rule they break.
func TestFedNowSamples(t *testing.T) {
	p := must(rails.Lookup("fednow"))
	lenient := must(p.Without("fednow.aba.checksum"))
	read := func(name string) []byte { return shared.Read(t, "iso20022/samples/"+name) }
	for name, dir := range map[string]Direction{
		"fednow-pacs.008-participant-to-service.xml": ToService,
		"fednow-pacs.002-service-to-participant.xml": FromService,
	} {
		wire := read(name)
		_, err := p.Decode(wire, dir)
		if f := Faults(err); len(f) != 1 || f[0].Rule != "fednow.aba.checksum" {
			t.Errorf("%s: placeholder routing numbers: %v", name, err)
		}
		m, err := lenient.Decode(wire, dir)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.Status != nil && p.Meaning(p.Sender(m), m.Status).Kind != Settled {
			t.Errorf("%s: %v", name, p.Meaning(p.Sender(m), m.Status))
		}
	}
	m, err := p.Decode(read("fednow-envelope-pacs.002.xml"), FromService)
	if err != nil {
		t.Error(err)
	} else if k := p.Meaning(p.Sender(m), m.Status).Kind; k != Ignored {
		t.Errorf("ACSC instructed by a participant is %v", k)
	}
	if m, err := p.Decode(read("fednow-admi.002-reject.xml"), FromService); err != nil || m.Rejection == nil || m.Rejection.Reason != "T505" || m.MsgDef() != iso20022.RejectionV1 {
		t.Errorf("a refusal of a message: %v", err)
	}
	if _, err := p.Decode(read("fednow-admi.004-ping.xml"), ToService); len(Faults(err)) != 1 || Faults(err)[0].Rule != "fednow.message.type" {
		t.Errorf("a message without a type here: %v", err)
	}
	header := testMessages(t, p)["transfer"].Header
	for name, want := range map[string]string{
		"fednow-bad-pacs.008-aba-checksum.xml":          "fednow.aba.checksum",
		"fednow-bad-pacs.008-msgid.xml":                 "fednow.msgid.format",
		"fednow-bad-pacs.002-reject-without-reason.xml": "fednow.status.reason",
		"fednow-pacs.028-status-request.xml":            "",
	} {
		doc := read(name)
		doc = doc[bytes.Index(doc, []byte("<Document")):]
		header.MsgDef = MsgTransfer
		if strings.Contains(name, "pacs.002") {
			header.MsgDef = MsgStatus
		}
		if strings.Contains(name, "pacs.028") {
			header.MsgDef = MsgRequest
		}
		_, err := p.Decode(must(p.Wrap(&header, doc)), ToService)
		switch f := Faults(err); {
		case want == "" && err != nil, want != "" && (len(f) != 1 || f[0].Rule != want):
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// Whatever a payment says within the model, its wire message is valid by the schemas and comes back the same.
func TestTransferProperty(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		letters := []rune("abcXYZ019 /-?:().,'+&<>\"äßŁ漢€~_@")
		text := func(lo, hi int) *rapid.Generator[string] {
			return rapid.Custom(func(t *rapid.T) string {
				s := strings.TrimSpace(rapid.StringOfN(rapid.SampledFrom(letters), lo, hi, -1).Draw(t, "text"))
				if s == "" {
					s = "x"
				}
				return s
			})
		}
		rapid.Check(t, func(t *rapid.T) {
			in := testInput(p)
			in.Amount.Minor = rapid.Int64Range(1, p.AmountMax).Draw(t, "minor")
			in.Debtor.Name = must(payments.ParseName(text(1, 60).Draw(t, "debtor")))
			in.Creditor.Name = must(payments.ParseName(text(1, 60).Draw(t, "creditor")))
			in.Remittance = text(1, 60).Draw(t, "remittance")
			in.Debtor.Address = iso20022.Address{}
			if rapid.Bool().Draw(t, "address") {
				in.Debtor.Address = iso20022.Address{Street: text(1, 20).Draw(t, "street"), Town: text(1, 20).Draw(t, "town"), Country: "NL"}
			}
			in.Now = time.Unix(rapid.Int64Range(1.6e9, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
			in.Suffix = Suffix(in.Remittance)
			m, err := p.NewTransfer(in)
			if err != nil {
				t.Fatal(err)
			}
			wire, err := p.Encode(m)
			if err != nil {
				t.Fatal(err)
			}
			back, err := p.Decode(wire, ToService)
			if err != nil || !reflect.DeepEqual(back, m) {
				t.Fatalf("%v\n%s", err, wire)
			}
		})
	})
}

// xmllint agrees that the parts of our messages are valid, in ISO's form, where it is installed.
func TestAgainstXMLLint(t *testing.T) {
	lint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed")
	}
	schemas := shared.Path(t, "iso20022/xsd")
	dir := t.TempDir()
	eachProfile(t, func(t *testing.T, p *Profile) {
		for name, m := range testMessages(t, p) {
			o, err := Open(p, must(p.Encode(m)))
			if err != nil {
				t.Fatal(err)
			}
			for def, part := range map[string][]byte{p.HeaderVersion: o.Header, m.MsgDef(): o.Document} {
				file := filepath.Join(dir, p.Name+name+def+".xml")
				if err := os.WriteFile(file, part, 0o600); err != nil {
					t.Fatal(err)
				}
				if out, err := exec.Command(lint, "--noout", "--nonet", "--schema", filepath.Join(schemas, def+".xsd"), file).CombinedOutput(); err != nil {
					t.Errorf("%s %s: %s", name, def, out)
				}
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, name := range rails.Names() {
		p := must(rails.Lookup(name))
		for _, m := range testMessages(f, p) {
			f.Add(must(p.Encode(m)))
		}
	}
	f.Add([]byte(`<?xml version="1.0"?><!DOCTYPE x><FedNowIncoming xmlns="urn:fednow:incoming:v001"/>`))
	f.Fuzz(func(t *testing.T, wire []byte) {
		for _, name := range rails.Names() {
			p := must(rails.Lookup(name))
			for _, dir := range []Direction{ToService, FromService} {
				m, err := p.Decode(wire, dir)
				if err != nil {
					if len(Faults(err)) == 0 {
						t.Fatalf("a refusal without a rule: %v", err)
					}
					continue
				}
				// What is taken can be written, and means the same then.
				again, err := p.Encode(m)
				if err != nil {
					t.Fatalf("taken but not writable: %v", err)
				}
				back, err := p.Decode(again, dir)
				if err != nil || !reflect.DeepEqual(withUTC(back), withUTC(m)) {
					t.Fatalf("changed by writing: %v", err)
				}
			}
		}
	})
}

// withUTC puts the header's time into UTC, since a header may be written with another spelling of the same instant.
func withUTC(m *Message) *Message {
	m = clone(m)
	m.Header.Created = m.Header.Created.UTC()
	return m
}
