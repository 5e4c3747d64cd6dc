package moov

import (
	"encoding/xml"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/moov-io/iso20022/pkg/common"
	"github.com/moov-io/iso20022/pkg/document"
	"github.com/moov-io/iso20022/pkg/pacs_v08"
	"github.com/parleypay/parley/payments/iso20022"
)

// Each test below shows one fault of github.com/moov-io/iso20022 v0.2.1, and that Parley's codec has it not. One that fails means
// that the library has changed: then the README and the place of this module are to be looked at again.

type payment = pacs_v08.FIToFICustomerCreditTransferV08

// again reads a document with the library and writes it with the library.
func again(t *testing.T, doc []byte) string {
	t.Helper()
	b, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08 Document"`
		Message *payment
	}{Message: read[payment](t, doc)})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func repaired(t *testing.T, what string) {
	t.Helper()
	t.Errorf("moov-io/iso20022 no longer does this: %s", what)
}

// refused checks that our validator, or decoder, refuses a document by a rule.
func refused(t *testing.T, doc, rule string) {
	t.Helper()
	_, err := iso20022.DecodeCreditTransfer([]byte(doc))
	var f *iso20022.Fault
	if !errors.As(err, &f) || f.Rule != rule {
		t.Errorf("our decoder says %v, want %s", err, rule)
	}
}

func replace(t *testing.T, doc []byte, old, new string) string {
	t.Helper()
	if strings.Count(string(doc), old) != 1 {
		t.Fatalf("%q does not stand once in %s", old, doc)
	}
	return strings.Replace(string(doc), old, new, 1)
}

// simple returns a payment that the library can write at all: without purpose, of which it writes both branches.
func simple() *iso20022.CreditTransfer {
	m := transfer()
	m.Purpose = ""
	return m
}

func TestAmountsBecomeExponents(t *testing.T) {
	m := simple()
	m.Amount.Minor = 100_000_000
	out := again(t, encode(t, m))
	if !strings.Contains(out, ">1e+06<") {
		repaired(t, "1000000.00 written as 1e+06")
	}
	refused(t, out, "schema.decimal")
}

func TestDigitsAreLost(t *testing.T) {
	m := simple()
	for minor, wrong := range map[int64]string{9_999_999_999_999_999: "9.999999999999998e+13", 900_719_925_474_099_301: "9.007199254740994e+15"} {
		m.Amount.Minor = minor
		doc := encode(t, m)
		if out := again(t, doc); !strings.Contains(out, ">"+wrong+"<") {
			repaired(t, m.Amount.Text()+" written as "+wrong)
		}
		back, err := iso20022.DecodeCreditTransfer(doc)
		if err != nil || back.Amount != m.Amount {
			t.Errorf("%v: we read %v, %v", m.Amount, back, err)
		}
	}
}

func TestChoicesWriteBothBranches(t *testing.T) {
	doc := encode(t, sepa(simple()))
	if !strings.Contains(again(t, doc), "</IBAN><Othr><Id></Id></Othr>") {
		repaired(t, "an account with an IBAN gets an empty Othr too")
	}
	refused(t, replace(t, doc, "DE89370400440532013000</IBAN>", "DE89370400440532013000</IBAN><Othr><Id></Id></Othr>"), "schema.choice")
}

func TestZonesAreDropped(t *testing.T) {
	m := simple()
	m.Amount.Minor = 451 // of 4.50 the library would lose a digit
	out := again(t, encode(t, m))
	if !strings.Contains(out, "<CreDtTm>2026-11-23T09:30:00</CreDtTm>") {
		repaired(t, "a time loses its zone")
	}
	refused(t, out, "model.time")
}

func TestFalseCannotBeSaid(t *testing.T) {
	doc := replace(t, encode(t, simple()), "<NbOfTxs>", "<BtchBookg>false</BtchBookg><NbOfTxs>")
	if strings.Contains(again(t, []byte(doc)), "BtchBookg") {
		repaired(t, "a boolean that is false disappears")
	}
}

func TestValidateSaysNilToNonsense(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*payment)
		old    string // in our document, and what stands there in the nonsense
		new    string
		rule   string
	}{
		"currency": {func(p *payment) { p.CdtTrfTxInf[0].IntrBkSttlmAmt.Ccy = "xxUSDyy" }, `Ccy="USD"`, `Ccy="xxUSDyy"`, "schema.pattern"},
		"uetr": {func(p *payment) {
			u := common.UUIDv4Identifier("zz8a562c67-ca16-48ba-b074-65581be6f001zz")
			p.CdtTrfTxInf[0].PmtId.UETR = &u
		}, ">8a562c67-ca16-48ba-b074-65581be6f001<", ">zz8a562c67-ca16-48ba-b074-65581be6f001zz<", "schema.pattern"},
		"number":   {func(p *payment) { p.GrpHdr.NbOfTxs = "a1b9999999999999999999" }, "<NbOfTxs>1<", "<NbOfTxs>a1b9999999999999999999<", "schema.pattern"},
		"negative": {func(p *payment) { p.CdtTrfTxInf[0].IntrBkSttlmAmt.Value = -5 }, ">4.50<", ">-5<", "schema.minInclusive"},
		"decimals": {func(p *payment) { p.CdtTrfTxInf[0].IntrBkSttlmAmt.Value = 1.123456789 }, ">4.50<", ">1.123456789<", "schema.fractionDigits"},
		"nothing":  {func(p *payment) { p.CdtTrfTxInf = nil }, ">4.50<", "><", "schema.decimal"},
	} {
		doc := encode(t, simple())
		p := read[payment](t, doc)
		c.change(p)
		if err := p.Validate(); err != nil {
			repaired(t, name+": Validate says "+err.Error())
		}
		refused(t, replace(t, doc, c.old, c.new), c.rule)
	}
}

func TestLengthIsCountedInBytes(t *testing.T) {
	text := strings.Repeat("é", 20)
	if common.Max35Text(text).Validate() == nil {
		repaired(t, "20 characters of two bytes are too long for Max35Text")
	}
	m := simple()
	m.InstructionID = text
	back, err := iso20022.DecodeCreditTransfer(encode(t, m))
	if err != nil || back.InstructionID != text {
		t.Errorf("we read %v, %v", back, err)
	}
}

func TestForeignAmountWins(t *testing.T) {
	doc := replace(t, encode(t, simple()), "</IntrBkSttlmAmt>", `</IntrBkSttlmAmt><e:IntrBkSttlmAmt xmlns:e="urn:evil" Ccy="USD">999</e:IntrBkSttlmAmt>`)
	p := read[payment](t, []byte(doc))
	if p.CdtTrfTxInf[0].IntrBkSttlmAmt.Value != 999 || p.Validate() != nil {
		repaired(t, "an amount of a foreign namespace replaces the real one")
	}
	refused(t, doc, "schema.namespace")
}

func TestLastDuplicateWins(t *testing.T) {
	doc := replace(t, encode(t, simple()), "</EndToEndId>", "</EndToEndId><EndToEndId>other</EndToEndId>")
	if read[payment](t, []byte(doc)).CdtTrfTxInf[0].PmtId.EndToEndId != "other" {
		repaired(t, "of two EndToEndId the last wins")
	}
	refused(t, doc, "schema.repeated")
}

func TestUnknownElementsAndOrderAreIgnored(t *testing.T) {
	doc := replace(t, encode(t, simple()), "<ChrgBr>SLEV</ChrgBr>", "")
	doc = strings.Replace(doc, "<PmtId>", "<Foo></Foo><ChrgBr>SLEV</ChrgBr><PmtId>", 1)
	if read[payment](t, []byte(doc)).CdtTrfTxInf[0].ChrgBr != "SLEV" {
		repaired(t, "unknown elements and wrong order are accepted")
	}
	refused(t, doc, "schema.element")
}

func TestAmountTextsAreTakenAsFloats(t *testing.T) {
	for text, want := range map[string]float64{"1e3": 1000, "0x1p-2": 0.25, "": 0, "INF": math.Inf(1)} {
		doc := replace(t, encode(t, simple()), ">4.50<", ">"+text+"<")
		var d struct {
			XMLName xml.Name `xml:"Document"`
			Message payment  `xml:",any"`
		}
		if err := xml.Unmarshal([]byte(doc), &d); err != nil || d.Message.CdtTrfTxInf[0].IntrBkSttlmAmt.Value != want {
			repaired(t, "the amount "+text+" is accepted")
		}
		refused(t, doc, "schema.decimal")
	}
}

func TestPrefixesAreRefused(t *testing.T) {
	m := simple()
	doc := strings.NewReplacer("</", "</p:", "<", "<p:", "xmlns=", "xmlns:p=").Replace(string(encode(t, m)))
	if _, err := document.ParseIso20022Document([]byte(doc)); err == nil {
		repaired(t, "a document with a namespace prefix is refused")
	}
	back, err := iso20022.DecodeCreditTransfer([]byte(doc))
	if err != nil || back.MessageID != m.MessageID || back.Amount != m.Amount {
		t.Errorf("we read %v, %v", back, err)
	}
}

func TestMissingVersions(t *testing.T) {
	for _, definition := range []string{"pacs.028.001.03", "pacs.004.001.09", "pacs.009.001.08"} {
		if _, err := document.NewDocument(iso20022.Namespace(definition)); err == nil {
			repaired(t, definition+" is missing")
		}
	}
}
