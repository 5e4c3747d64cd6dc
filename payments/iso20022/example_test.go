package iso20022_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

// A question to the rail about a payment that was not answered in time.
func ExampleStatusRequest_Append() {
	m := iso20022.StatusRequest{
		MessageID:         "ENQUIRY-1",
		Created:           time.Date(2026, 11, 23, 14, 30, 10, 0, time.UTC),
		OriginalMessageID: "PAYMENT-1",
		OriginalMsgName:   iso20022.CreditTransferV8,
		OriginalEndToEnd:  "E2E-1",
	}
	doc, err := m.Append(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.ReplaceAll(string(doc), "><", ">\n<"))
	// Output:
	// <Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.028.001.03">
	// <FIToFIPmtStsReq>
	// <GrpHdr>
	// <MsgId>ENQUIRY-1</MsgId>
	// <CreDtTm>2026-11-23T14:30:10Z</CreDtTm>
	// </GrpHdr>
	// <TxInf>
	// <OrgnlGrpInf>
	// <OrgnlMsgId>PAYMENT-1</OrgnlMsgId>
	// <OrgnlMsgNmId>pacs.008.001.08</OrgnlMsgNmId>
	// </OrgnlGrpInf>
	// <OrgnlEndToEndId>E2E-1</OrgnlEndToEndId>
	// </TxInf>
	// </FIToFIPmtStsReq>
	// </Document>
}

// A fault says where it is, which rule it breaks and what is wrong; it repeats no value of the document.
func ExampleDecodeStatusReport() {
	_, err := iso20022.DecodeStatusReport([]byte(`<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10">
  <FIToFIPmtStsRpt>
    <GrpHdr><MsgId>ANSWER-1</MsgId><CreDtTm>2026-11-23 14:30</CreDtTm></GrpHdr>
  </FIToFIPmtStsRpt>
</Document>`))
	var f *iso20022.Fault
	if errors.As(err, &f) {
		fmt.Println(f.Rule)
	}
	fmt.Println(err)
	// Output:
	// schema.dateTime
	// iso20022: /Document/FIToFIPmtStsRpt/GrpHdr/CreDtTm (line 3, column 45): schema.dateTime: not a date and time
}

// All that is wrong with a document, by the ISO schema.
func ExampleValidateAll() {
	faults := iso20022.ValidateAll([]byte(`<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.028.001.03">
<FIToFIPmtStsReq>
<GrpHdr><MsgId></MsgId></GrpHdr>
<TxInf><OrgnlUETR>not-a-uuid</OrgnlUETR><Foo></Foo></TxInf>
</FIToFIPmtStsReq>
</Document>`))
	for _, f := range faults {
		fmt.Printf("%d:%d %s %s\n", f.Line, f.Col, f.Rule, f.Text)
	}
	// Output:
	// 3:16 schema.minLength too short or empty
	// 3:24 schema.missing CreDtTm is missing here
	// 4:19 schema.pattern not in the form the schema demands
	// 4:41 schema.element the schema has no such element here
}

// A message leaves its wrapper as the bytes it came in.
func ExampleSplit() {
	wire := []byte(`<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="urn:example"><Body>
<AppHdr xmlns="urn:iso:std:iso:20022:tech:xsd:head.001.001.02">…</AppHdr>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10">…</Document>
</Body></Envelope>`)
	parts, err := iso20022.Split(wire, iso20022.Wrapper{Namespace: "urn:example", Path: []string{"Envelope", "*"}})
	fmt.Println(err, parts.Name)
	fmt.Println(string(parts.Header))
	fmt.Println(string(parts.Document))
	// Output:
	// <nil> Body
	// <AppHdr xmlns="urn:iso:std:iso:20022:tech:xsd:head.001.001.02">…</AppHdr>
	// <Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10">…</Document>
}

// An amount is written from integers, with the decimals of its currency, and is never rounded.
func ExampleCreditTransfer_Append() {
	var m iso20022.CreditTransfer
	m.Amount = payments.Amount{Minor: 1, Currency: "QQQ"}
	m.MessageID, m.Created, m.EndToEndID = "PAYMENT-1", time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC), "E2E-1"
	_, err := m.Append(nil)
	fmt.Println(err)
	// Output:
	// iso20022: /Document/FIToFICstmrCdtTrf/CdtTrfTxInf/IntrBkSttlmAmt: model.amount: not above zero in a known currency, or over 18 digits
}

// A pacs.002 is read into what it says; a message of any other kind would come as its own type.
func ExampleDecode() {
	m, err := iso20022.Decode([]byte(`<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10"><FIToFIPmtStsRpt>
  <GrpHdr><MsgId>ANSWER-1</MsgId><CreDtTm>2026-11-23T14:30:01Z</CreDtTm></GrpHdr>
  <TxInfAndSts><OrgnlEndToEndId>E2E-1</OrgnlEndToEndId><TxSts>RJCT</TxSts><StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf></TxInfAndSts>
</FIToFIPmtStsRpt></Document>`))
	if err != nil {
		fmt.Println(err)
		return
	}
	if s, ok := m.(*iso20022.StatusReport); ok {
		fmt.Println(s.OriginalEndToEnd, s.Status, s.Reason)
	}
	// Output: E2E-1 RJCT AC04
}
