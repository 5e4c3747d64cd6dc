package iso20022

import (
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// passedOver lists, by type of the schema and element, all that decoders accept and do not keep. Nothing in it changes the amount,
// who pays and is paid, or under what condition. "again" is a second occurrence.
var passedOver = map[string]bool{
	// agents
	"BranchAndFinancialInstitutionIdentification5/BrnchId": true,
	"BranchAndFinancialInstitutionIdentification6/BrnchId": true,
	"FinancialInstitutionIdentification8/Nm":               true,
	"FinancialInstitutionIdentification8/PstlAdr":          true,
	"FinancialInstitutionIdentification18/LEI":             true,
	"FinancialInstitutionIdentification18/Nm":              true,
	"FinancialInstitutionIdentification18/PstlAdr":         true,
	// parties and accounts
	"PartyIdentification135/Id":        true,
	"PartyIdentification135/CtryOfRes": true,
	"PartyIdentification135/CtctDtls":  true,
	"PostalAddress24/AdrTp":            true,
	"PostalAddress24/Dept":             true,
	"PostalAddress24/SubDept":          true,
	"PostalAddress24/BldgNm":           true,
	"PostalAddress24/Flr":              true,
	"PostalAddress24/PstBx":            true,
	"PostalAddress24/Room":             true,
	"PostalAddress24/TwnLctnNm":        true,
	"PostalAddress24/DstrctNm":         true,
	"PostalAddress24/AdrLine":          true,
	"CashAccount38/Tp":                 true,
	"CashAccount38/Nm":                 true,
	"CashAccount38/Prxy":               true,
	// pacs.008
	"GroupHeader93/BtchBookg":                       true,
	"PaymentIdentification7/ClrSysRef":              true,
	"PaymentTypeInformation28/InstrPrty":            true,
	"CreditTransferTransaction39/SttlmPrty":         true,
	"CreditTransferTransaction39/SttlmTmIndctn":     true,
	"CreditTransferTransaction39/UltmtDbtr":         true,
	"CreditTransferTransaction39/InitgPty":          true,
	"CreditTransferTransaction39/UltmtCdtr":         true,
	"CreditTransferTransaction39/RltdRmtInf":        true,
	"StructuredRemittanceInformation16/RfrdDocInf":  true,
	"StructuredRemittanceInformation16/RfrdDocAmt":  true,
	"StructuredRemittanceInformation16/Invcr":       true,
	"StructuredRemittanceInformation16/Invcee":      true,
	"StructuredRemittanceInformation16/TaxRmt":      true,
	"StructuredRemittanceInformation16/GrnshmtRmt":  true,
	"StructuredRemittanceInformation16/AddtlRmtInf": true,
	"CreditorReferenceType2/Issr":                   true,
	// pacs.002 and pacs.028
	"OriginalGroupHeader17/OrgnlCtrlSum":                    true,
	"OriginalGroupHeader17/NbOfTxsPerSts":                   true,
	"OriginalGroupInformation27/OrgnlCtrlSum":               true,
	"PaymentTransaction110/StsRsnInf":                       true, // besides that of the group
	"OriginalGroupHeader17/StsRsnInf again":                 true,
	"PaymentTransaction110/StsRsnInf again":                 true,
	"StatusReasonInformation12/Orgtr":                       true,
	"StatusReasonInformation12/AddtlInf again":              true,
	"DateAndDateTime2Choice/DtTm":                           true, // on the same day
	"PaymentTransaction110/AcctSvcrRef":                     true,
	"PaymentTransaction110/ClrSysRef":                       true,
	"OriginalTransactionReference28/all but IntrBkSttlmAmt": true,
	"PaymentTransaction113/ClrSysRef":                       true,
	"PaymentTransaction113/OrgnlTxRef":                      true,
	// headers
	"BusinessApplicationHeaderV01/CharSet":   true,
	"BusinessApplicationHeaderV01/Prty":      true,
	"BusinessApplicationHeaderV01/Rltd":      true,
	"BusinessApplicationHeaderV02/CharSet":   true,
	"BusinessApplicationHeaderV02/BizPrcgDt": true,
	"BusinessApplicationHeaderV02/Prty":      true,
	"BusinessApplicationHeaderV02/Rltd":      true,
}

// Into full documents every element is put that the schema allows there: the decoder refuses it, or decodes something else, or it is
// in the list above; and all that is in the list occurs.
func TestNothingIsLostSilently(t *testing.T) {
	report := fednowStatus
	report.OriginalAmount, report.SettleDate, report.AcceptanceTime, report.StatusID = fednowTransfer.Amount, "2026-11-23", report.Created, "S1"
	sepaReport := sepaStatus
	sepaReport.Reason, sepaReport.ReasonInfo = "AC03", "x"
	request := fednowRequest
	request.GroupLevel = true
	transfer := fednowTransfer
	transfer.Reference, transfer.Purpose, transfer.ServiceLevel = "RF18539007547034", "GDDS", "SDVA"
	header := fednowHeader
	header.PssblDplct = true
	seen := map[string]bool{}
	for _, m := range []interface{ Append([]byte) ([]byte, error) }{&transfer, &sepaTransfer, &report, &sepaReport, &fednowRequest, &request, &header, &sepaHeader} {
		doc, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		base, err := decodeAny(doc)
		if err != nil {
			t.Fatal(err)
		}
		variants := everyElement(t, doc)
		if len(variants) < 15 {
			t.Errorf("only %d variants of %s", len(variants), doc)
		}
		for _, v := range variants {
			if err := Validate(v.doc); err != nil {
				t.Fatalf("%s: %v\n%s", v.name, err, v.doc)
			}
			got, err := decodeAny(v.doc)
			if err != nil || !reflect.DeepEqual(got, base) {
				continue
			}
			seen[v.name] = true
			if !passedOver[v.name] {
				t.Errorf("%s is lost in %s", v.name, v.doc)
			}
		}
	}
	for name := range passedOver {
		if !seen[name] {
			t.Errorf("%s is said to be passed over but is not", name)
		}
	}
}

// The list in the documentation is this one.
func TestPassedOverIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/iso20022.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(doc), "<!-- passed over: begin -->")
	part, _, ok := strings.Cut(part, "<!-- passed over: end -->")
	if !ok {
		t.Fatal("the list is not marked in docs/iso20022.md")
	}
	listed := map[string]bool{}
	for line := range strings.Lines(part) {
		cell := strings.Split(line, "|")
		if len(cell) != 4 || strings.Contains(line, "---") || strings.Contains(line, " type ") {
			continue
		}
		for e := range strings.SplitSeq(cell[2], ",") {
			listed[strings.TrimSpace(cell[1])+"/"+strings.TrimSpace(strings.ReplaceAll(e, "`", ""))] = true
		}
	}
	for name := range passedOver {
		if !listed[name] {
			t.Errorf("%s is not in docs/iso20022.md", name)
		}
	}
	for name := range listed {
		if !passedOver[name] {
			t.Errorf("%s is in docs/iso20022.md, but not passed over", name)
		}
	}
}

// decodeAny decodes a document by its namespace.
func decodeAny(doc []byte) (any, error) {
	switch definition, _ := MessageDefinition(doc); definition {
	case CreditTransferV8:
		return DecodeCreditTransfer(doc)
	case StatusReportV10:
		return DecodeStatusReport(doc)
	case StatusRequestV3:
		return DecodeStatusRequest(doc)
	default:
		return DecodeHeader(doc)
	}
}

type variant struct {
	name string // type and element
	doc  []byte
}

// everyElement returns the document with one more element, for each element that the schema allows in it, and with one element
// once more, where it may be repeated.
func everyElement(t *testing.T, doc []byte) (list []variant) {
	var tr tree
	if f := tr.scan(doc); f != nil {
		t.Fatal(f)
	}
	g := instance{tables: &isoTables, r: rand.New(rand.NewPCG(1, 1))}
	var walk func(i uint32, typ uint16)
	walk = func(i uint32, typ uint16) {
		ty := &isoTables.types[typ]
		put := func(name string, from, to uint32, with []byte) {
			if ty.name == "OriginalTransactionReference28" && name != "IntrBkSttlmAmt" {
				name = "all but IntrBkSttlmAmt"
			}
			list = append(list, variant{ty.name + "/" + name, slices.Concat(doc[:from], with, doc[to:])})
		}
		at := tr.nodes[i].textAt // behind the elements met
		c := i + 1
		for k := range ty.elems {
			e := &ty.elems[k]
			n, first := 0, c
			for c < tr.next(i) && string(tr.name(c)) == e.name {
				walk(c, e.typ)
				at = tr.nodes[c].end
				c = tr.next(c)
				n++
			}
			empty := len("<></>") + 2*len(e.name)
			for depth := 1000; ; depth = 0 { // as little as the schema allows, but something
				g.b.Reset()
				if g.element(e, depth); g.b.Len() > empty {
					break
				}
			}
			switch {
			case n == 0 && ty.kind == kindChoice:
				put(e.name, tr.nodes[i].textAt, tr.nodes[i].textEnd, g.b.Bytes())
			case n == 0:
				put(e.name, at, at, g.b.Bytes())
			case e.max != 1:
				put(e.name+" again", at, at, doc[tr.nodes[first].start:tr.nodes[first].end])
			}
		}
	}
	walk(0, isoTables.schema(tr.uri(0)).typ)
	return list
}
