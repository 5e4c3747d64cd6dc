package iso20022_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing/fstest"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var (
	noon  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	payer = iso20022.Party{
		Name:    must(payments.ParseName("Example Payer")),
		Account: must(payments.ParseAccount("DE89370400440532013000")),
		Agent:   iso20022.Agent{ID: "PAYRDEF0XXX"},
	}
	shop = iso20022.Party{
		Name:    must(payments.ParseName("Example Coffee")),
		Account: must(payments.ParseAccount("FR1420041010050500013M02606")),
		Agent:   iso20022.Agent{ID: "SHOPFRP0XXX"},
	}
)

// Build a pacs.008, read it back, and it is the same.
func ExampleCreditTransfer() {
	transfer := iso20022.CreditTransfer{
		MessageID: "PAYMENT-1", Created: noon, SettleDate: "2026-11-23",
		EndToEndID: "E2E-1", UETR: "8a562c67-ca16-48ba-b074-65581be6f001",
		Amount: must(payments.ParseAmount("4.50", "EUR")), ChargeBearer: "SLEV",
		Debtor: payer, Creditor: shop, Remittance: "flat white",
	}
	doc, err := transfer.Append(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	back, err := iso20022.DecodeCreditTransfer(doc)
	fmt.Println(back.Definition(), back.EndToEndID, back.Amount, "to", back.Creditor.Name.Reveal(), err)
	fmt.Println(*back == transfer)
	// Output:
	// pacs.008.001.08 E2E-1 EUR 4.50 to Example Coffee <nil>
	// true
}

// Validate a folder: files of any length in bounded memory, in a wrapper or alone.
func ExampleLimits_Check() {
	inbox := fstest.MapFS{
		"answer.xml": {Data: []byte(`<FIToFIPmtStsReq/>`)},
		"question.xml": {Data: []byte(`<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.028.001.03"><FIToFIPmtStsReq>
<GrpHdr><MsgId>ENQUIRY-1</MsgId><CreDtTm>2026-11-23T12:00:00Z</CreDtTm></GrpHdr>
<TxInf><OrgnlEndToEndId>E2E-1</OrgnlEndToEndId><AccptncDtTm>noon</AccptncDtTm></TxInf>
</FIToFIPmtStsReq></Document>`)},
	} // os.DirFS("inbox") for a real one
	fs.WalkDir(inbox, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := inbox.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		report, err := iso20022.FileLimits.Check(f)
		if err != nil {
			return err
		}
		fmt.Println(strings.TrimSpace(name + " " + report.Message()))
		for _, fault := range report.Faults {
			fmt.Printf("  %d:%d %s: %s\n", fault.Line, fault.Col, fault.Rule, fault.Text)
		}
		return nil
	})
	// Output:
	// answer.xml
	//   1:1 schema.unknown: no schema for the namespace of the root element, and no message in it
	// question.xml pacs.028.001.03
	//   3:61 schema.dateTime: not a date and time
}

// Read a statement of any length entry by entry. What is wrong with an entry is reported with it, and nothing is lost.
func ExampleStatementReader() {
	const camt053 = `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>
<GrpHdr><MsgId>STATEMENTS-7</MsgId><CreDtTm>2026-11-23T20:00:00+01:00</CreDtTm></GrpHdr>
<Stmt><Id>S-1</Id><Acct><Id><IBAN>DE89370400440532013000</IBAN></Id></Acct>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">104.50</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-23</Dt></Dt></Bal>
<Ntry><Amt Ccy="EUR">4.50</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-11-23</Dt></BookgDt><BkTxCd/>
  <NtryDtls><TxDtls><Refs><EndToEndId>E2E-1</EndToEndId></Refs><RmtInf><Ustrd>flat white</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>
<Ntry><Amt Ccy="EUR">1e3</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BkTxCd/></Ntry>
</Stmt></BkToCstmrStmt></Document>`
	r := iso20022.NewStatementReader(strings.NewReader(camt053))
	for {
		statement, err := r.Next()
		if err != nil {
			fmt.Println("end:", err == io.EOF)
			return
		}
		fmt.Println("statement", statement.ID, "closes with", statement.Balances[0].Amount)
		for entry, err := range statement.Entries() {
			switch {
			case err != nil:
				fmt.Println(err)
			case len(entry.Faults) > 0:
				fmt.Println("look at this one:", entry.Faults[0].Rule)
			default:
				tx := entry.Transactions[0]
				fmt.Println(entry.Booked.Date, tx.EndToEndID, entry.Amount, tx.Remittance)
			}
		}
	}
	// Output:
	// statement S-1 closes with EUR 104.50
	// 2026-11-23 E2E-1 EUR 4.50 [flat white]
	// look at this one: schema.decimal
	// end: true
}

// A shop asks for money (pain.013), and the payer's bank says that its customer agrees (pain.014). No money has moved by that: the payment
// is a pacs.008, which names the same end-to-end id.
func ExamplePaymentRequest() {
	request := iso20022.PaymentRequest{
		MessageID: "REQUEST-1", Created: noon, Initiator: iso20022.Identity{Name: shop.Name},
		PaymentInfoID: "REQUEST-1", Execution: iso20022.Moment{Date: "2026-11-23"}, Expiry: iso20022.Moment{Date: "2026-11-30"},
		EndToEndID: "E2E-1", Amount: must(payments.ParseAmount("4.50", "EUR")), ChargeBearer: "SLEV",
		Debtor: payer, Creditor: shop, Remittance: "flat white",
	}
	asked := must(iso20022.DecodePaymentRequest(must(request.Append(nil))))
	fmt.Println("asked:", asked.EndToEndID, asked.Amount, "by", asked.Expiry.Date)

	answer := iso20022.RequestAnswer{
		MessageID: "ANSWER-1", Created: noon.Add(time.Minute), Initiator: iso20022.Identity{Name: payer.Name},
		Original: iso20022.Original{MessageID: asked.MessageID, MessageName: asked.Definition(), PaymentInfoID: asked.PaymentInfoID, EndToEndID: asked.EndToEndID},
		Status:   "ACCP", Decided: noon.Add(time.Minute),
	}
	said := must(iso20022.DecodeRequestAnswer(must(answer.Append(nil))))
	fmt.Println("answer:", said.Original.EndToEndID, said.Status)
	// Output:
	// asked: E2E-1 EUR 4.50 by 2026-11-30
	// answer: E2E-1 ACCP
}

// Any message is a tree, with the schema's type of each element, whether or not this package has a type for it. Prefixes and the wrapper
// around it make no difference.
func ExampleInspect() {
	tree, err := iso20022.Inspect([]byte(`<p:Document xmlns:p="urn:iso:std:iso:20022:tech:xsd:camt.060.001.05"><p:AcctRptgReq>
<p:GrpHdr><p:MsgId>ASK-1</p:MsgId><p:CreDtTm>2026-11-23T12:00:00Z</p:CreDtTm></p:GrpHdr>
<p:RptgReq><p:ReqdMsgNmId>camt.053.001.08</p:ReqdMsgNmId></p:RptgReq>
</p:AcctRptgReq></p:Document>`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tree.Root().Definition(), tree.Root().Value("AcctRptgReq", "RptgReq", "ReqdMsgNmId"))
	var show func(e iso20022.Element, indent string)
	show = func(e iso20022.Element, indent string) {
		if e.IsLeaf() {
			fmt.Printf("%s%s (%s) = %s\n", indent, e.Name(), e.Type(), e.Text())
			return
		}
		fmt.Println(indent + e.Name())
		for child := range e.Children() {
			show(child, indent+"  ")
		}
	}
	show(tree.Root(), "")
	// Output:
	// camt.060.001.05 camt.053.001.08
	// Document
	//   AcctRptgReq
	//     GrpHdr
	//       MsgId (Max35Text) = ASK-1
	//       CreDtTm (ISODateTime) = 2026-11-23T12:00:00Z
	//     RptgReq
	//       ReqdMsgNmId (Max35Text) = camt.053.001.08
}

// A decoder loses nothing that money depends on: what it has no field for is refused, with its place, and Inspect can still show it.
func ExampleFault() {
	doc := string(must((&iso20022.CreditTransfer{
		MessageID: "PAYMENT-1", Created: noon, EndToEndID: "E2E-1", Amount: must(payments.ParseAmount("4.50", "EUR")), ChargeBearer: "SLEV",
		Debtor: payer, Creditor: shop,
	}).Append(nil)))
	doc = strings.Replace(doc, "<ChrgBr>", `<XchgRate>1.1</XchgRate><ChrgBr>`, 1)
	fmt.Println("by the schema:", iso20022.Validate([]byte(doc)))
	_, err := iso20022.Decode([]byte(doc))
	var fault *iso20022.Fault
	if errors.As(err, &fault) {
		fmt.Println(fault.Rule, "at", fault.Path)
	}
	// Output:
	// by the schema: <nil>
	// model.element at /Document/FIToFICstmrCdtTrf/CdtTrfTxInf/XchgRate
}
