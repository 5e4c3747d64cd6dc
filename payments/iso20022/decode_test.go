package iso20022

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parleypay/parley/payments"
	"pgregory.net/rapid"
)

// edit returns a document with the one occurrence of old replaced.
func edit(t testing.TB, doc []byte, old, new string) []byte {
	t.Helper()
	if strings.Count(string(doc), old) != 1 {
		t.Fatalf("%q stands %d times in %s", old, strings.Count(string(doc), old), doc)
	}
	return []byte(strings.Replace(string(doc), old, new, 1))
}

func encoded(t testing.TB, m interface{ Append([]byte) ([]byte, error) }) []byte {
	t.Helper()
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What the schema says of a text, and what the codec says: the schema's part was shown with xmllint.
func TestTexts(t *testing.T) {
	const xsi = ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"`
	type text struct {
		text   string
		schema string // the rule that refuses it, "" if valid
		codec  string
	}
	same := func(rule string, texts ...string) (list []text) {
		for _, s := range texts {
			list = append(list, text{s, rule, rule})
		}
		return list
	}
	codec := func(rule string, texts ...string) (list []text) {
		for _, s := range texts {
			list = append(list, text{s, "", rule})
		}
		return list
	}
	doc := encoded(t, &fednowTransfer)
	for _, c := range []struct {
		name, old, format string // format makes the replacement of old from the text
		texts             [][]text
	}{
		{"amount", "4.50</IntrBk", "%s</IntrBk", [][]text{
			same("", "4.50", "0.01", "9999999999999.99"),
			codec("model.amount", "+5.00", ".5", "5.", "-0", "-0.00", " 5.00 ", "5.000000", "000000000000000000000005.00", "0.00", "0", "5", "5.0", "5.000", "05.00", "00.50", "999999999999999999.00"),
			codec("model.markup", "5<!--c-->.00", "<![CDATA[5.00]]>", "&#53;.00", "5.00<!---->", "5.00\r"),
			same("schema.fractionDigits", "5.000001"), same("schema.totalDigits", "1000000000000000000"), same("schema.minInclusive", "-1", "-0.01"),
			same("schema.decimal", "1e3", "NaN", "INF", "", "５.００", "1,000.00", "1_000", "0x1p-2", "5..0", "5 0", "--5", "."),
			same("schema.element", "<x></x>"),
		}},
		{"currency", `Ccy="USD"`, `Ccy="%s"`, [][]text{
			same("", "USD"), codec("model.currency", "QQQ"), codec("model.markup", "US&#68;"),
			same("schema.pattern", "usd", "US", "USDX", " USD", "USD ", "", "U\tD"),
		}},
		{"attributes", `Ccy="USD"`, `%s`, [][]text{
			same("schema.missing", ""), same("schema.attribute", `Ccy="USD" x="1"`, `Ccy="USD" xml:lang="en"`, `xmlns:p="urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08" p:Ccy="USD"`),
			codec("model.attribute", `Ccy="USD"`+xsi+` xsi:schemaLocation="urn:x y"`, `Ccy="USD"`+xsi+` xsi:type="ActiveCurrencyAndAmount"`),
			same("schema.nil", `Ccy="USD"`+xsi+` xsi:nil="true"`), same("schema.type", `Ccy="USD"`+xsi+` xsi:type="Max35Text"`),
		}},
		{"root attributes", `<Document `, `<Document%s `, [][]text{
			same("", "", xsi, xsi+` xsi:schemaLocation="urn:x file:///x.xsd"`), codec("model.attribute", xsi+` xsi:type="Document"`), same("schema.attribute", ` a="1"`),
		}},
		{"time", "2026-11-23T09:30:00.12-04:00", "%s", [][]text{
			same("", "2026-11-23T09:30:00Z", "2026-11-23T09:30:00.123456789+14:00", "2024-02-29T00:00:00Z", "0001-01-01T00:00:01Z", "2026-11-23T09:30:00.500Z"),
			codec("model.time", "2026-11-23T09:30:00", "2026-11-23T24:00:00Z", "2026-11-23T09:30:00-00:00", "2026-11-23T09:30:00.123456789012Z", "12026-11-23T09:30:00Z", "-2026-11-23T09:30:00Z", "0001-01-01T00:00:00Z"),
			same("schema.dateTime", "2026-11-23T09:30:60Z", "2026-11-23T24:00:01Z", "2026-11-23T09:30:00+14:01", "2026-02-30T09:30:00Z", "2026-11-23t09:30:00z", "0000-11-23T09:30:00Z", " 2026-11-23T09:30:00Z", "2026-11-23", "2026-11-23T09:30Z", "2026-11-23T09:30:00.Z", "2026-11-23T09:30:00+1:00"),
			codec("model.markup", "<![CDATA[2026-11-23T09:30:00Z]]>"),
		}},
		{"date", "2026-11-23<", "%s<", [][]text{
			same("", "2026-11-23", "2024-02-29"), codec("model.date", "2026-11-23Z", "2026-11-23+05:00", "12026-11-23"),
			same("schema.date", "2025-02-29", "1900-02-29", " 2026-11-23", "2026-11-23 ", "2026-13-01", "2026-00-01", "2026-1-1", "26-11-23", ""),
		}},
		{"code", ">SLEV<", ">%s<", [][]text{
			same("", "SLEV", "SHAR"), same("schema.enumeration", "SLEV ", "slev", "XXXX", ""), codec("model.markup", "SL<!---->EV", "SL&#69;V"),
		}},
		{"identifier", ">INSTR-0001<", ">%s<", [][]text{
			same("", "x", strings.Repeat("é", 35), "a&amp;b", "<![CDATA[a&b]]>", "a b"), same("schema.maxLength", strings.Repeat("é", 36)), same("schema.minLength", ""),
			codec("model.id", " ", " a", "a ", "a\tb", "a\nb", "&#9;a", "a&#127;b"), codec("model.comment", "a<!-- -->b"),
		}},
		{"uetr", ">8a562c67-ca16-48ba-b074-65581be6f001<", ">%s<", [][]text{
			same("schema.pattern", "8A562C67-CA16-48BA-B074-65581BE6F001", "8a562c67-ca16-18ba-b074-65581be6f001", "8a562c67-ca16-48ba-c074-65581be6f001", "zz8a562c67-ca16-48ba-b074-65581be6f001zz", ""),
		}},
		{"name", ">Example Coffee<", ">%s<", [][]text{
			same("", "Example &amp; Co.", strings.Repeat("é", 140), "Ex<![CDATA[ample]]>"), same("schema.maxLength", strings.Repeat("é", 141)), codec("model.name", " Example", "Example ", "Ex\nample", " "),
			codec("model.comment", "Ex<!-- -->ample"),
		}},
		{"account", "<Othr><Id>123456789012</Id></Othr>", "%s", [][]text{
			same("", "<Othr><Id>12AB</Id></Othr>", "<IBAN>DE89370400440532013000</IBAN>"),
			codec("model.account", "<IBAN>DE88370400440532013000</IBAN>", "<IBAN>DE8937</IBAN>", "<Othr><Id>DE89370400440532013000</Id></Othr>", "<Othr><Id>12 34</Id></Othr>", "<Othr><Id>!!DE89</Id></Othr>"),
			same("schema.pattern", "<IBAN>!!DE89370400440532013000</IBAN>", "<IBAN>de89370400440532013000</IBAN>"),
			codec("model.element", "<Othr><Id>1</Id><Issr>0001</Issr></Othr>", "<Othr><Id>1</Id><SchmeNm><Cd>BBAN</Cd></SchmeNm></Othr>"),
			same("schema.choice", "<IBAN>DE89370400440532013000</IBAN><Othr><Id>1</Id></Othr>", ""),
			same("schema.repeated", "<IBAN>DE89370400440532013000</IBAN><IBAN>DE89370400440532013000</IBAN>"),
		}},
		{"number of transactions", "<NbOfTxs>1</NbOfTxs>", "<NbOfTxs>%s</NbOfTxs>", [][]text{
			codec("model.transactions", "2", "0", "01", "999999999999999"), same("schema.pattern", "a1b9", "", "1 ", "1234567890123456"),
		}},
	} {
		for _, list := range c.texts {
			for _, x := range list {
				changed := edit(t, doc, c.old, fmt.Sprintf(c.format, x.text))
				if got := ruleOf(Validate(changed)); got != x.schema {
					t.Errorf("%s %q: Validate: %q, want %q", c.name, x.text, got, x.schema)
				}
				if _, err := DecodeCreditTransfer(changed); ruleOf(err) != x.codec {
					t.Errorf("%s %q: decoder: %v, want %q", c.name, x.text, err, x.codec)
				}
			}
		}
	}
}

// What a payment must not hold, and what it may hold in another form.
func TestCreditTransferRefusals(t *testing.T) {
	fednow, sepa := encoded(t, &fednowTransfer), encoded(t, &sepaTransfer)
	transaction := string(fednow[strings.Index(string(fednow), "<CdtTrfTxInf>") : strings.Index(string(fednow), "</CdtTrfTxInf>")+len("</CdtTrfTxInf>")])
	agent := `<FinInstnId><BICFI>AAAADEFF</BICFI></FinInstnId>`
	for _, c := range []struct {
		name     string
		doc      []byte
		old, new string
		rule     string
	}{
		{"second transaction", fednow, "</FIToFICstmrCdtTrf>", transaction + "</FIToFICstmrCdtTrf>", "model.transactions"},
		{"amount twice", fednow, "</IntrBkSttlmAmt>", `</IntrBkSttlmAmt><IntrBkSttlmAmt Ccy="USD">999.00</IntrBkSttlmAmt>`, "schema.repeated"},
		{"amount of a foreign namespace", fednow, "</IntrBkSttlmAmt>", `</IntrBkSttlmAmt><e:IntrBkSttlmAmt xmlns:e="urn:evil" Ccy="USD">999.00</e:IntrBkSttlmAmt>`, "schema.namespace"},
		{"amount only of a foreign namespace", fednow, "<IntrBkSttlmAmt ", `<IntrBkSttlmAmt xmlns="urn:evil" `, "schema.namespace"},
		{"end-to-end id twice", fednow, "</EndToEndId>", "</EndToEndId><EndToEndId>x</EndToEndId>", "schema.repeated"},
		{"unknown element", fednow, "<ChrgBr>", "<Foo></Foo><ChrgBr>", "schema.element"},
		{"elements out of order", fednow, "<InstrId>INSTR-0001</InstrId><EndToEndId>0193577a5c1e7abc8def0123456789ab</EndToEndId>", "<EndToEndId>x</EndToEndId><InstrId>y</InstrId>", "schema.order"},
		{"no end-to-end id", fednow, "<EndToEndId>0193577a5c1e7abc8def0123456789ab</EndToEndId>", "", "schema.missing"},
		{"two branches of a choice", fednow, "<Prtry>FDNA</Prtry>", "<Cd>INST</Cd><Prtry>FDNA</Prtry>", "schema.choice"},
		{"text between elements", fednow, "<PmtId>", "x<PmtId>", "schema.text"},
		{"settlement by an account", fednow, "CLRG", "INDA", "model.settlement"},
		{"control sum", fednow, "<SttlmInf>", "<CtrlSum>4.50</CtrlSum><SttlmInf>", ""},
		{"total", fednow, "</NbOfTxs>", `</NbOfTxs><TtlIntrBkSttlmAmt Ccy="USD">4.50</TtlIntrBkSttlmAmt>`, ""},
		{"control sum of the amount", fednow, "</NbOfTxs>", "</NbOfTxs><CtrlSum>04.5</CtrlSum>", ""},
		{"another control sum", fednow, "</NbOfTxs>", "</NbOfTxs><CtrlSum>4.51</CtrlSum>", "model.sum"},
		{"signed control sum", fednow, "</NbOfTxs>", "</NbOfTxs><CtrlSum>+4.50</CtrlSum>", "model.sum"},
		{"another total", fednow, "</NbOfTxs>", `</NbOfTxs><TtlIntrBkSttlmAmt Ccy="USD">4.51</TtlIntrBkSttlmAmt>`, "model.sum"},
		{"total in another currency", fednow, "</NbOfTxs>", `</NbOfTxs><TtlIntrBkSttlmAmt Ccy="EUR">4.50</TtlIntrBkSttlmAmt>`, "model.sum"},
		{"instructed amount", fednow, "<ChrgBr>", `<InstdAmt Ccy="USD">4.50</InstdAmt><ChrgBr>`, ""},
		{"another instructed amount", fednow, "<ChrgBr>", `<InstdAmt Ccy="USD">5.00</InstdAmt><ChrgBr>`, "model.sum"},
		{"exchange rate", fednow, "<ChrgBr>", `<XchgRate>1.1</XchgRate><ChrgBr>`, "model.element"},
		{"charges", fednow, "<InstgAgt>", `<ChrgsInf><Amt Ccy="USD">1.00</Amt><Agt>` + agent + `</Agt></ChrgsInf><InstgAgt>`, "model.element"},
		{"intermediary", fednow, "<Dbtr>", `<IntrmyAgt1>` + agent + `</IntrmyAgt1><Dbtr>`, "model.element"},
		{"previous agent", fednow, "<InstgAgt>", `<PrvsInstgAgt1>` + agent + `</PrvsInstgAgt1><InstgAgt>`, "model.element"},
		{"instruction to the creditor's agent", fednow, "<RmtInf>", `<InstrForCdtrAgt><Cd>HOLD</Cd></InstrForCdtrAgt><RmtInf>`, "model.element"},
		{"settlement at a time", fednow, "<ChrgBr>", `<SttlmTmReq><TillTm>10:00:00</TillTm></SttlmTmReq><ChrgBr>`, "model.element"},
		{"supplementary data", fednow, "</RmtInf>", `</RmtInf><SplmtryData><Envlp><x xmlns="urn:x"></x></Envlp></SplmtryData>`, ""},
		{"too much supplementary data", fednow, "</RmtInf>", `</RmtInf><SplmtryData><Envlp><x xmlns="urn:x">` + strings.Repeat("x", maxSupplementaryBytes) + `</x></Envlp></SplmtryData>`, "model.supplementary"},
		{"account in the currency", fednow, "123456789012</Id></Othr></Id>", `123456789012</Id></Othr></Id><Ccy>USD</Ccy>`, ""},
		{"account in another currency", fednow, "123456789012</Id></Othr></Id>", `123456789012</Id></Othr></Id><Ccy>EUR</Ccy>`, "model.currency"},
		{"service level twice", sepa, "<SvcLvl>", `<SvcLvl><Cd>URGP</Cd></SvcLvl><SvcLvl>`, "model.repeated"},
		{"proprietary service level", sepa, "<SvcLvl><Cd>SEPA</Cd>", `<SvcLvl><Prtry>x</Prtry>`, "model.element"},
		{"payment type in both places", sepa, "</PmtId>", "</PmtId><PmtTpInf><LclInstrm><Cd>INST</Cd></LclInstrm></PmtTpInf>", "model.repeated"},
		{"settlement date in both places", sepa, "</IntrBkSttlmAmt>", "</IntrBkSttlmAmt><IntrBkSttlmDt>2026-11-23</IntrBkSttlmDt>", "model.repeated"},
		{"instructing agent in both places", sepa, "</GrpHdr>", "<InstgAgt>" + agent + "</InstgAgt></GrpHdr>", "model.repeated"},
		{"two texts", fednow, "</Ustrd>", "</Ustrd><Ustrd>more</Ustrd>", "model.repeated"},
		{"text and reference", sepa, "<RmtInf>", "<RmtInf><Ustrd>more</Ustrd>", ""},
		{"two references", sepa, "</CdtrRefInf></Strd>", "</CdtrRefInf></Strd><Strd><CdtrRefInf><Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp><Ref>RF1</Ref></CdtrRefInf></Strd>", "model.repeated"},
		{"both ids of an agent", sepa, "<DbtrAgt><FinInstnId><BICFI>AAAADEFF</BICFI>", "<DbtrAgt><FinInstnId><BICFI>AAAADEFF</BICFI><ClrSysMmbId><MmbId>1</MmbId></ClrSysMmbId>", "model.agent"},
		{"no id of an agent", sepa, "<DbtrAgt><FinInstnId><BICFI>AAAADEFF</BICFI>", "<DbtrAgt><FinInstnId><Nm>Example Bank</Nm>", "model.agent"},
		{"member id like a BIC", sepa, "<DbtrAgt><FinInstnId><BICFI>AAAADEFF</BICFI>", "<DbtrAgt><FinInstnId><ClrSysMmbId><MmbId>AAAADEFF</MmbId></ClrSysMmbId>", "model.agent"},
		{"proprietary clearing system", fednow, "<DbtrAgt><FinInstnId><ClrSysMmbId><ClrSysId><Cd>USABA</Cd>", "<DbtrAgt><FinInstnId><ClrSysMmbId><ClrSysId><Prtry>x</Prtry>", "model.element"},
		{"another message", fednow, "pacs.008.001.08", "pacs.008.001.09", "model.message"},
		{"no namespace", fednow, ` xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08"`, "", "model.message"},
		{"another root", []byte(strings.NewReplacer("<Document ", "<Dokument ", "</Document>", "</Dokument>").Replace(string(fednow))), "SLEV", "SLEV", "schema.root"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := DecodeCreditTransfer(edit(t, c.doc, c.old, c.new))
			if ruleOf(err) != c.rule {
				t.Errorf("%v, want %q", err, c.rule)
			}
			if (m == nil) != (err != nil) {
				t.Errorf("%v together with %v", m, err)
			}
		})
	}
}

func TestStatusRefusals(t *testing.T) {
	fednow, sepa := encoded(t, &fednowStatus), encoded(t, &sepaStatus)
	for _, c := range []struct {
		name     string
		doc      []byte
		old, new string
		rule     string
		check    func(m *StatusReport) bool
	}{
		{"no status", fednow, "<TxSts>RJCT</TxSts>", "", "model.missing", nil},
		{"unknown status is kept", fednow, "RJCT", "ZZZ9", "", func(m *StatusReport) bool { return m.Status == "ZZZ9" }},
		{"status with a space", fednow, "RJCT", "RJC ", "model.code", nil},
		{"second transaction", sepa, "</TxInfAndSts>", "</TxInfAndSts><TxInfAndSts></TxInfAndSts>", "model.transactions", nil},
		{"second group", sepa, "</OrgnlGrpInfAndSts>", "</OrgnlGrpInfAndSts><OrgnlGrpInfAndSts><OrgnlMsgId>x</OrgnlMsgId><OrgnlMsgNmId>y</OrgnlMsgNmId></OrgnlGrpInfAndSts>", "model.repeated", nil},
		{"the same status in both", sepa, "</OrgnlTxId>", "</OrgnlTxId><TxSts>ACCP</TxSts>", "", func(m *StatusReport) bool { return m.Status == "ACCP" }},
		{"another status in both", sepa, "</OrgnlTxId>", "</OrgnlTxId><TxSts>RJCT</TxSts>", "model.status", nil},
		{"status only of the transaction", []byte(strings.Replace(string(sepa), "<GrpSts>ACCP</GrpSts>", "", 1)), "</OrgnlTxId>", "</OrgnlTxId><TxSts>RJCT</TxSts>", "", func(m *StatusReport) bool { return m.Status == "RJCT" }},
		{"the same original in both", sepa, "</StsId>", "</StsId><OrgnlGrpInf><OrgnlMsgId>PARLEY-0001</OrgnlMsgId><OrgnlMsgNmId>pacs.008.001.08</OrgnlMsgNmId></OrgnlGrpInf>", "", nil},
		{"another original in both", sepa, "</StsId>", "</StsId><OrgnlGrpInf><OrgnlMsgId>PARLEY-0002</OrgnlMsgId><OrgnlMsgNmId>pacs.008.001.08</OrgnlMsgNmId></OrgnlGrpInf>", "model.repeated", nil},
		{"several transactions in the group", sepa, "</OrgnlMsgNmId>", "</OrgnlMsgNmId><OrgnlNbOfTxs>2</OrgnlNbOfTxs>", "model.transactions", nil},
		{"first of two reasons", fednow, "</StsRsnInf>", "</StsRsnInf><StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf>", "", func(m *StatusReport) bool { return m.Reason == "AC03" }},
		{"proprietary reason", fednow, "<Cd>AC03</Cd>", "<Prtry>E990</Prtry>", "", func(m *StatusReport) bool { return m.Reason == "" && m.ReasonPrtry == "E990" }},
		{"charges", fednow, "</StsRsnInf>", `</StsRsnInf><ChrgsInf><Amt Ccy="USD">1.00</Amt><Agt><FinInstnId><BICFI>AAAADEFF</BICFI></FinInstnId></Agt></ChrgsInf>`, "model.element", nil},
		{"supplementary data", fednow, "</TxInfAndSts>", `<SplmtryData><Envlp><x xmlns="urn:x"></x></Envlp></SplmtryData></TxInfAndSts>`, "", func(m *StatusReport) bool { return m.Supplementary.Transaction != "" }},
		{"date and time of settlement", sepa, "<Dt>2026-11-23</Dt>", "<DtTm>2026-11-24T01:00:00+02:00</DtTm>", "", func(m *StatusReport) bool { return m.SettleDate == "2026-11-24" }},
		{"time of settlement without a zone", sepa, "<Dt>2026-11-23</Dt>", "<DtTm>2026-11-24T01:00:00</DtTm>", "model.time", nil},
		{"original amount", sepa, "999999999.99", "1e3", "schema.decimal", nil},
		{"original amount without decimals", sepa, "999999999.99", "5", "model.amount", nil},
		{"only the group", []byte(string(sepa[:strings.Index(string(sepa), "<TxInfAndSts>")]) + string(sepa[strings.Index(string(sepa), "</FIToFIPmtStsRpt>"):])), "ACCP", "RJCT", "", func(m *StatusReport) bool { return m.GroupLevel && m.Status == "RJCT" }},
		{"a payment", encoded(t, &fednowTransfer), "SLEV", "SLEV", "model.message", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := DecodeStatusReport(edit(t, c.doc, c.old, c.new))
			if ruleOf(err) != c.rule {
				t.Fatalf("%v, want %q", err, c.rule)
			}
			if c.check != nil && !c.check(m) {
				t.Errorf("%+v", m)
			}
		})
	}
}

func TestStatusRequestRefusals(t *testing.T) {
	doc := encoded(t, &fednowRequest)
	for _, c := range []struct{ name, old, new, rule string }{
		{"second transaction", "</TxInf>", "</TxInf><TxInf></TxInf>", "model.transactions"},
		{"no transaction", string(doc[strings.Index(string(doc), "<TxInf>") : strings.Index(string(doc), "</TxInf>")+len("</TxInf>")]), "", "model.missing"},
		{"another original", "<TxInf>", "<OrgnlGrpInf><OrgnlMsgId>x</OrgnlMsgId><OrgnlMsgNmId>y</OrgnlMsgNmId></OrgnlGrpInf><TxInf>", "model.repeated"},
		{"two groups", "<TxInf>", strings.Repeat("<OrgnlGrpInf><OrgnlMsgId>20261123021040078PARLEY0001</OrgnlMsgId><OrgnlMsgNmId>pacs.008.001.08</OrgnlMsgNmId></OrgnlGrpInf>", 2) + "<TxInf>", "model.repeated"},
		{"supplementary data", "</TxInf>", `<SplmtryData><Envlp><x xmlns="urn:x"></x></Envlp></SplmtryData></TxInf>`, ""},
	} {
		if _, err := DecodeStatusRequest(edit(t, doc, c.old, c.new)); ruleOf(err) != c.rule {
			t.Errorf("%s: %v, want %q", c.name, err, c.rule)
		}
	}
}

func TestHeaderRefusals(t *testing.T) {
	fednow, sepa := encoded(t, &fednowHeader), encoded(t, &sepaHeader)
	for _, c := range []struct {
		name     string
		doc      []byte
		old, new string
		rule     string
	}{
		{"signature", fednow, "</CreDt>", `</CreDt><Sgntr><Signature xmlns="http://www.w3.org/2000/09/xmldsig#"></Signature></Sgntr>`, "model.element"},
		{"signature of another kind", fednow, "</CreDt>", `</CreDt><Sgntr><Signature xmlns="urn:x"></Signature></Sgntr>`, "schema.namespace"},
		{"organisation", fednow, "<Fr><FIId><FinInstnId><ClrSysMmbId><MmbId>021040078</MmbId></ClrSysMmbId></FinInstnId></FIId></Fr>", "<Fr><OrgId></OrgId></Fr>", "model.element"},
		{"no sender", fednow, "<FinInstnId><ClrSysMmbId><MmbId>021040078</MmbId></ClrSysMmbId></FinInstnId>", "<FinInstnId></FinInstnId>", "model.agent"},
		{"member id like a BIC", fednow, "<MmbId>021040078</MmbId>", "<ClrSysId><Cd>USABA</Cd></ClrSysId><MmbId>AAAADEFF</MmbId>", "model.agent"},
		{"copy", fednow, "</CreDt>", "</CreDt><CpyDplct>COPY</CpyDplct>", ""},
		{"unknown copy", fednow, "</CreDt>", "</CreDt><CpyDplct>TRIP</CpyDplct>", "schema.enumeration"},
		{"time without zone", fednow, ".12-04:00", "", "model.time"},
		{"time not in UTC", sepa, "T14:30:00Z", "T14:30:00+00:00", "schema.pattern"},
		{"perhaps a duplicate", sepa, "<PssblDplct>true", "<PssblDplct>0", ""},
		{"white space around a boolean", sepa, "<PssblDplct>true", "<PssblDplct> true ", "model.boolean"},
		{"a document", encoded(t, &fednowTransfer), "SLEV", "SLEV", "model.message"},
	} {
		if _, err := DecodeHeader(edit(t, c.doc, c.old, c.new)); ruleOf(err) != c.rule {
			t.Errorf("%s: %v, want %q", c.name, err, c.rule)
		}
	}
}

// The copy mark is kept whatever it says: only DUPL is a repeat.
func TestCopyMark(t *testing.T) {
	for _, mark := range []string{"CODU", "COPY", "DUPL"} {
		h := fednowHeader
		h.CpyDplct = mark
		got, err := DecodeHeader(encoded(t, &h))
		if err != nil || got.CpyDplct != mark || got.PssblDplct {
			t.Errorf("%s: %+v, %v", mark, got, err)
		}
	}
}

// The same message in forms of other writers decodes to the same: prefixes, line ends, comments, references.
func TestForms(t *testing.T) {
	doc := string(encoded(t, &fednowTransfer))
	prefixed := strings.NewReplacer("</", "</p:", "<", "<p:", "xmlns=", "xmlns:p=").Replace(doc)
	for name, form := range map[string]string{
		"prefixes":    prefixed,
		"declaration": "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\r\n<!-- c -->" + doc + "\n",
		"indentation": strings.ReplaceAll(doc, "><", ">\r\n\t<"),
		"CR":          strings.ReplaceAll(doc, "><", ">\r<"),
		"comments":    strings.ReplaceAll(doc, "><", "><!-- c --><"),
		"quotes":      strings.ReplaceAll(doc, `"`, "'"),
		"references":  strings.ReplaceAll(doc, ">Example Coffee<", ">Ex&#x61;mple Coffee<"),
	} {
		m, err := DecodeCreditTransfer([]byte(form))
		if err != nil || !equalTransfer(*m, fednowTransfer) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// No error holds a value of the document.
func TestFaultsHoldNoValues(t *testing.T) {
	const canary = "CANARYCANARYCANARYCANARYCANARYCANARYCANARY"
	doc := encoded(t, &fednowTransfer)
	var tr tree
	if f := tr.scan(doc); f != nil {
		t.Fatal(f)
	}
	refused := 0
	for i := range tr.nodes {
		if !tr.isLeaf(uint32(i)) {
			continue
		}
		n := tr.nodes[i]
		for _, value := range []string{canary, "!" + canary, " " + canary[:9] + " "} {
			changed := string(doc[:n.textAt]) + value + string(doc[n.textEnd:])
			_, err := DecodeCreditTransfer([]byte(changed))
			if err == nil {
				continue
			}
			refused++
			if strings.Contains(err.Error(), "CANARY") {
				t.Error(err)
			}
		}
	}
	if refused < 50 {
		t.Errorf("only %d refused", refused)
	}
	m := fednowTransfer
	m.InstructionID = " " + canary
	if _, err := m.Append(nil); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Error(err)
	}
}

func TestErrorsAreFaults(t *testing.T) {
	var f *Fault
	if _, err := DecodeHeader([]byte("<a/>")); !errors.As(err, &f) {
		t.Errorf("%T", err)
	}
	if err := Validate([]byte("<a/>")); !errors.As(err, &f) || f.Rule != "schema.unknown" {
		t.Errorf("%v", err)
	}
	if _, err := new(CreditTransfer).Append(nil); !errors.As(err, &f) || f.Line != 0 {
		t.Errorf("%v", err)
	}
}

// Money never passes through a binary fraction, and no general XML reader is used: neither word occurs in the package's sources.
func TestNoFloats(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"float32", "float64", "ParseFloat", "math/big", `"encoding/xml"`, `"math"`} {
			if strings.Contains(string(b), word) {
				t.Errorf("%s contains %s", name, word)
			}
		}
	}
}

// Whatever amount ISO 20022 allows (18 digits, of them at most 5 decimals, in every currency) is written as these digits, read as the same,
// and added up exactly; a text with any other number of decimals is refused by the decoder of payments, and read exactly in a statement or
// not at all. What is exact is decided by integers of any length.
func TestAmountRange(t *testing.T) {
	var currencies []payments.Currency
	for _, c := range payments.Currencies() {
		if _, current := c.Code.Digits(); current {
			currencies = append(currencies, c.Code)
		}
	}
	if len(currencies) < 150 {
		t.Fatalf("%d currencies", len(currencies))
	}
	boundaries := []int64{1, 9, 10, 99, 100, 999, 1000, 9_999, 10_000, 99_999, 100_000, 999_999, 1_000_000, 1<<31 - 1, 1 << 31, 1<<53 - 1, 1 << 53, 1<<53 + 1, maxMinor - 1, maxMinor}
	minor := rapid.OneOf(rapid.Int64Range(1, maxMinor), rapid.SampledFrom(boundaries))
	m := fednowTransfer
	var sum total
	want := new(big.Rat)
	check := func(t fataler, a payments.Amount) {
		digits, _ := a.Currency.Digits()
		text := fmt.Sprintf("%0*d", digits+1, a.Minor)
		if digits > 0 {
			text = text[:len(text)-digits] + "." + text[len(text)-digits:]
		}
		m.Amount = a
		b, err := m.Append(nil)
		if err != nil || !bytes.Contains(b, []byte(`<IntrBkSttlmAmt Ccy="`+string(a.Currency)+`">`+text+`</IntrBkSttlmAmt>`)) {
			t.Fatalf("%s %s: %v\n%s", a.Currency, text, err, b)
		}
		got, err := DecodeCreditTransfer(b)
		if err != nil || got.Amount != a {
			t.Fatalf("%s %s is read as %v, %v", a.Currency, text, got, err)
		}
		if v, ok := exactAmount(text, a.Currency); !ok || v != a {
			t.Fatalf("%s %s in a statement is %v", a.Currency, text, v)
		}
		if r, ok := new(big.Rat).SetString(text); !ok || sum.whole > maxMinor/2 {
			sum, want = total{}, new(big.Rat)
		} else {
			sum.add(a)
			if want.Add(want, r); sum.text() != "" {
				if got, _ := new(big.Rat).SetString(sum.text()); got == nil || got.Cmp(want) != 0 {
					t.Fatalf("the sum is %s, want %s", sum.text(), want.FloatString(5))
				}
			}
		}
	}
	for _, c := range currencies {
		for _, minor := range boundaries {
			check(t, payments.Amount{Minor: minor, Currency: c})
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, payments.Amount{Minor: minor.Draw(t, "minor"), Currency: rapid.SampledFrom(currencies).Draw(t, "currency")})
	})
	rapid.Check(t, func(t *rapid.T) { // any text
		c := rapid.SampledFrom(currencies).Draw(t, "currency")
		whole := rapid.StringMatching(`0|[1-9][0-9]{0,17}|0[0-9]{0,3}`).Draw(t, "whole")
		fraction := rapid.StringMatching(`(\.[0-9]{1,6})?`).Draw(t, "fraction")
		m.Amount = payments.Amount{Minor: 1, Currency: c}
		doc, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		old := m.Amount.Text() + "</IntrBkSttlmAmt>"
		doc = bytes.Replace(doc, []byte(old), []byte(whole+fraction+"</IntrBkSttlmAmt>"), 1)
		digits, _ := c.Digits()
		plain := (whole == "0" || whole[0] != '0') && len(strings.TrimPrefix(fraction, ".")) == digits
		r, _ := new(big.Rat).SetString(whole + fraction)
		minor := new(big.Rat).Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)))
		payable := plain && minor.Sign() > 0 && minor.Num().Cmp(big.NewInt(maxMinor)) <= 0
		got, err := DecodeCreditTransfer(doc)
		if (err == nil) != payable || err == nil && big.NewInt(got.Amount.Minor).Cmp(minor.Num()) != 0 {
			t.Fatalf("%s %s%s: %v, %v", c, whole, fraction, got, err)
		}
		v, ok := exactAmount(whole+fraction, c)
		fits := minor.IsInt() && minor.Num().Cmp(big.NewInt(maxMinor)) <= 0
		if ok != fits || ok && big.NewInt(v.Minor).Cmp(minor.Num()) != 0 {
			t.Fatalf("%s %s%s in a statement: %v, %t", c, whole, fraction, v, ok)
		}
	})
}

// The whole range of amounts survives, digit by digit.
func TestAmounts(t *testing.T) {
	m := fednowTransfer
	for minor := int64(1); minor > 0 && minor <= maxMinor; minor = minor*7 + 3 {
		for _, c := range []payments.Currency{"USD", "JPY", "BHD"} {
			m.Amount = payments.Amount{Minor: minor, Currency: c}
			got, err := DecodeCreditTransfer(encoded(t, &m))
			if err != nil || got.Amount != m.Amount {
				t.Fatalf("%v: %v, %v", m.Amount, got, err)
			}
		}
	}
	for _, a := range []payments.Amount{{}, {Minor: 1}, {Minor: 0, Currency: "USD"}, {Minor: -1, Currency: "USD"}, {Minor: 1, Currency: "QQQ"}, {Minor: maxMinor + 1, Currency: "USD"}} {
		m.Amount = a
		if _, err := m.Append(nil); ruleOf(err) != "model.amount" {
			t.Errorf("%+v: %v", a, err)
		}
	}
}
