package iso20022

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/parleypay/parley/internal/shared"
	"github.com/parleypay/parley/payments"
)

// Every published sample gets the verdict that its list of sources gives, which is xmllint's.
func TestSamples(t *testing.T) {
	files := 0
	for line := range strings.Lines(string(shared.Read(t, "iso20022/samples/SOURCES.md"))) {
		cell := strings.Split(line, "|")
		if len(cell) != 7 || !strings.HasSuffix(strings.TrimSpace(cell[1]), ".xml") {
			continue
		}
		files++
		name := strings.TrimSpace(cell[1])
		t.Run(name, func(t *testing.T) {
			wire := shared.Read(t, "iso20022/samples/"+name)
			var doc tree
			if f := doc.scan(wire); f != nil {
				t.Fatal(f)
			}
			if strings.Contains(cell[5], "well-formed") {
				if f := isoTables.validate(&doc); f == nil || f.Rule != "schema.unknown" {
					t.Errorf("validate = %v, want schema.unknown", f)
				}
				return
			}
			for _, verdict := range verdicts(cell[5]) {
				part := doc.find(t, verdict.definition)
				var scanned tree
				if f := scanned.scan(part); f != nil {
					t.Fatalf("%v\n%s", f, part)
				}
				if f := isoTables.validate(&scanned); (f == nil) != verdict.valid {
					t.Errorf("%s: %v, want valid %t", verdict.definition, f, verdict.valid)
				}
				if err := Validate(part); (err == nil) != verdict.valid {
					t.Errorf("%s: Validate = %v, want valid %t", verdict.definition, err, verdict.valid)
				}
				if faults := ValidateAll(part); (len(faults) == 0) != verdict.valid {
					t.Errorf("%s: ValidateAll = %v, want valid %t", verdict.definition, faults, verdict.valid)
				}
			}
		})
	}
	if files != 40 {
		t.Errorf("%d samples in the list", files)
	}
}

type verdict struct {
	definition string
	valid      bool
}

// verdicts reads "head.001.001.02: valid; pacs.008.001.08: INVALID: element …".
func verdicts(cell string) (list []verdict) {
	for part := range strings.SplitSeq(cell, ";") {
		definition, rest, ok := strings.Cut(strings.TrimSpace(part), ": ")
		if ok && len(definition) == len("pacs.008.001.08") {
			list = append(list, verdict{definition, strings.HasPrefix(rest, "valid")})
		}
	}
	return list
}

// find returns the AppHdr or Document of a definition, made up from its parts where the rail uses another element for it.
func (t *tree) find(tb testing.TB, definition string) []byte {
	root := "Document"
	if strings.HasPrefix(definition, "head") {
		root = "AppHdr"
	}
	namespace := Namespace(definition)
	for i := range t.nodes {
		if t.isPart(uint32(i), root, namespace) {
			return t.part(uint32(i))
		}
	}
	for i := range t.nodes {
		if string(t.uri(uint32(i))) != namespace {
			continue
		}
		p := t.nodes[t.nodes[i].parent]
		var b bytes.Buffer
		fmt.Fprintf(&b, `<%s xmlns="%s"`, root, namespace)
		for _, d := range t.bindings[2:] {
			if d.prefixAt < d.prefixEnd {
				fmt.Fprintf(&b, ` xmlns:%s="%s"`, t.src[d.prefixAt:d.prefixEnd], t.uris[d.ns])
			}
		}
		fmt.Fprintf(&b, `>%s</%s>`, t.src[p.textAt:p.textEnd], root)
		return b.Bytes()
	}
	tb.Fatalf("nothing of %s", definition)
	return nil
}

// The samples of our rails decode, or are refused by the rule of what the model does not hold.
func TestDecodeSamples(t *testing.T) {
	incoming := Wrapper{"urn:fednow:incoming:v001", []string{"FedNowIncoming", "FedNowIncomingMessage", "*"}}
	outgoing := Wrapper{"urn:fednow:outgoing:v001", []string{"FedNowOutgoing", "FedNowOutgoingMessage", "*"}}
	cbpr := Wrapper{"urn:swift:xsd:envelope", []string{"Envelope"}}
	for _, c := range []struct {
		file    string
		wrapper Wrapper
		name    string // of the innermost wrapper element
		rule    string // that refuses the document

		headerRule string // that refuses the header
	}{
		{file: "fednow-pacs.008-participant-to-service.xml", wrapper: incoming, name: "FedNowCustomerCreditTransfer"},
		{file: "fednow-pacs.002-service-to-participant.xml", wrapper: outgoing, name: "FedNowPaymentStatus"},
		{file: "fednow-envelope-pacs.002.xml", wrapper: outgoing, name: "FedNowPaymentStatus"},
		{file: "fednow-pacs.028-status-request.xml"},
		{file: "fednow-bad-pacs.008-aba-checksum.xml"}, // the rail's rules refuse these three
		{file: "fednow-bad-pacs.008-msgid.xml"},
		{file: "fednow-bad-pacs.002-reject-without-reason.xml"},
		{file: "cbpr-pacs.008-2026.xml", wrapper: cbpr, name: "Envelope", rule: "model.settlement"},
		{file: "cbpr-pacs.008-every-element.xml", wrapper: Wrapper{Path: []string{"Envelope"}}, name: "Envelope", headerRule: "model.agent", rule: "model.settlement"},
		{file: "cbpr-pacs.002.xml", wrapper: cbpr, name: "Envelope"},
		{file: "cbpr-bad-pacs.008-element-order.xml", wrapper: cbpr, name: "Envelope", rule: "schema.order"},
		{file: "mojaloop-pacs.008.xml", rule: "model.account"}, // with dots,
		{file: "mojaloop-bad-pacs.008-msgid-36.xml", rule: "schema.maxLength"},
		{file: "fednow-pacs.004-return.xml", rule: "model.message"},
	} {
		t.Run(c.file, func(t *testing.T) {
			parts, err := Split(shared.Read(t, "iso20022/samples/"+c.file), c.wrapper)
			if err != nil {
				t.Fatal(err)
			}
			if parts.Name != c.name || (parts.Header != nil) != (c.name != "") {
				t.Errorf("wrapper %q, header %q", parts.Name, parts.Header)
			}
			definition, _ := MessageDefinition(parts.Document)
			if parts.Header != nil {
				h, err := DecodeHeader(parts.Header)
				if ruleOf(err) != c.headerRule {
					t.Fatal(err)
				}
				if err == nil && h.MsgDef != definition {
					t.Errorf("header of %s", h.MsgDef)
				}
			}
			switch definition {
			case StatusReportV10:
				_, err = DecodeStatusReport(parts.Document)
			case StatusRequestV3:
				_, err = DecodeStatusRequest(parts.Document)
			default:
				_, err = DecodeCreditTransfer(parts.Document)
			}
			if got := ruleOf(err); got != c.rule {
				t.Errorf("%v, want %q", err, c.rule)
			}
		})
	}
}

// ruleOf returns the rule of a fault, "" of nil.
func ruleOf(err error) string {
	if err == nil {
		return ""
	}
	return err.(*Fault).Rule
}

func TestDecodeFedNowSample(t *testing.T) {
	parts, err := Split(shared.Read(t, "iso20022/samples/fednow-pacs.008-participant-to-service.xml"),
		Wrapper{"urn:fednow:incoming:v001", []string{"FedNowIncoming", "FedNowIncomingMessage", "FedNowCustomerCreditTransfer"}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := DecodeCreditTransfer(parts.Document)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Created.Format("2006-01-02T15:04:05-07:00"); got != "2023-06-04T10:55:26-04:00" {
		t.Errorf("Created = %s", got)
	}
	m.Created = fednowTransfer.Created
	want := CreditTransfer{
		MessageID: "20230604111111111Sc01Step1MsgId", Created: m.Created, SettleDate: "2023-06-04", ClrSysCode: "FDN",
		InstructionID: "Scenario01InstrId001", EndToEndID: "Scenario01EtoEId001", UETR: "8a562c67-ca16-48ba-b074-65581be6f011",
		LocalPrtry: "FDNA", CategoryPrtry: "CONS", Amount: payments.Amount{Minor: 5174, Currency: "USD"}, ChargeBearer: "SLEV",
		Instructing: Agent{"111111111", "USABA"}, Instructed: Agent{"333333333", "USABA"},
		Debtor: Party{Name: must(payments.ParseName("Individual A")), Account: must(payments.ParseAccount("44444444444")), Agent: Agent{"111111111", "USABA"},
			Address: Address{Street: "Dream Road", Building: "450", PostCode: "60532", Town: "Lisle", Region: "IL", Country: "US"}},
		Creditor: Party{Name: must(payments.ParseName("Corporation B")), Account: must(payments.ParseAccount("55555555555")), Agent: Agent{"333333333", "USABA"},
			Address: Address{PostCode: "60197", Town: "Carol Stream", Region: "IL", Country: "US"}},
	}
	if *m != want {
		t.Errorf("%+v\nwant %+v", *m, want)
	}
	h, err := DecodeHeader(parts.Header)
	if err != nil {
		t.Fatal(err)
	}
	if h.From != "111111111" || h.To != "021150706" || h.BizMsgID != want.MessageID || h.PracticeID != "frb.fednow.01" || h.Version != HeaderV02 {
		t.Errorf("%+v", h)
	}
}
