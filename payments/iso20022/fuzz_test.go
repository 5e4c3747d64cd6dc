package iso20022

import (
	"bytes"
	"slices"
	"testing"
)

// seeds gives a fuzz target documents of each kind, right and wrong.
func seeds(f *testing.F, of ...interface{ Append([]byte) ([]byte, error) }) {
	for _, m := range of {
		b := encoded(f, m)
		f.Add(b)
		f.Add(bytes.ReplaceAll(b, []byte("><"), []byte(">\r\n<!-- c --><")))
		f.Add(bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("<"), []byte("<p:")), []byte("<p:/"), []byte("</p:")))
	}
	f.Add([]byte(`<?xml version="1.0" encoding="UTF-8"?><a xmlns:p="urn:x" p:b="&lt;"><![CDATA[]]]]>&#65;<!-- --></a>`))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>`))
	f.Add([]byte("<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08\"><FIToFICstmrCdtTrf/></Document>"))
}

// A tree that the scanner accepts is consistent: every range lies in the document, parents hold their children, and the part of
// the root is the document again.
func FuzzScan(f *testing.F) {
	seeds(f, &fednowTransfer, &fednowHeader)
	f.Fuzz(func(t *testing.T, b []byte) {
		var tr tree
		if fault := tr.scan(b); fault != nil {
			if fault.Rule == "" || fault.Line < 1 || fault.Col < 1 {
				t.Fatalf("%+v", fault)
			}
			return
		}
		for i, n := range tr.nodes {
			p := tr.nodes[n.parent]
			if n.start >= n.nameAt || n.nameAt >= n.nameEnd || n.textAt > n.textEnd || n.textEnd > n.end || int(n.end) > len(b) || n.skip <= uint32(i) ||
				n.start < p.start || n.end > p.end || n.skip > p.skip {
				t.Fatalf("node %d: %+v in %+v", i, n, p)
			}
			if tr.isLeaf(uint32(i)) {
				tr.text(uint32(i))
			}
			tr.path(uint32(i))
		}
		var again tree
		if fault := again.scan(tr.part(0)); fault != nil {
			t.Fatalf("the part is refused: %v", fault)
		}
		if len(again.nodes) != len(tr.nodes) {
			t.Fatal("the part has other elements")
		}
	})
}

// The two modes of the validator agree on whether a document is valid, and on the first fault's being among all.
func FuzzValidate(f *testing.F) {
	seeds(f, &fednowTransfer, &sepaTransfer, &sepaStatus, &fednowRequest, &fednowHeader, &sepaHeader)
	f.Fuzz(func(t *testing.T, b []byte) {
		first, all := Validate(b), ValidateAll(b)
		if (first == nil) != (len(all) == 0) || len(all) > defaultLimits.Faults {
			t.Fatalf("%v, %v", first, all)
		}
	})
}

func FuzzSplit(f *testing.F) {
	wrapped := append(append([]byte(`<w:Out xmlns:w="urn:w" xmlns="urn:y"><w:In>`), encoded(f, &fednowHeader)...), encoded(f, &fednowTransfer)...)
	f.Add(append(wrapped, "</w:In></w:Out>"...))
	seeds(f, &fednowTransfer)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, w := range []Wrapper{{}, {"urn:w", []string{"Out", "*"}}} {
			p, err := Split(b, w)
			if err != nil {
				continue
			}
			if _, ok := MessageDefinition(p.Document); !ok {
				t.Fatalf("not a document: %s", p.Document)
			}
		}
	})
}

// fuzzDecoder shows that what a decoder accepts is valid, and is encoded to a valid document that decodes to the same. Whatever it
// refuses it refuses with a fault.
func fuzzDecoder(f *testing.F, defs ...string) {
	var of []interface{ Append([]byte) ([]byte, error) }
	for _, m := range examples {
		if slices.Contains(defs, m.Definition()) {
			of = append(of, m)
		}
	}
	if len(of) < len(defs) {
		f.Fatal("no example of one of ", defs)
	}
	seeds(f, of...)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			if fault := err.(*Fault); fault.Rule == "" || fault.Line < 1 || m != nil {
				t.Fatalf("%+v with %v", fault, m)
			}
			return
		}
		if err := Validate(b); err != nil {
			t.Fatal(err)
		}
		thereAndBack(t, Format{}, m)
	})
}

func FuzzDecodeHeader(f *testing.F)              { fuzzDecoder(f, HeaderV01, HeaderV02) }
func FuzzDecodeCreditTransfer(f *testing.F)      { fuzzDecoder(f, CreditTransferV8) }
func FuzzDecodeInstitutionTransfer(f *testing.F) { fuzzDecoder(f, InstitutionTransferV8) }
func FuzzDecodeStatusReport(f *testing.F)        { fuzzDecoder(f, StatusReportV10) }
func FuzzDecodeStatusRequest(f *testing.F)       { fuzzDecoder(f, StatusRequestV3) }
func FuzzDecodeReturn(f *testing.F)              { fuzzDecoder(f, ReturnV9, ReturnV10) }
func FuzzDecodeRecall(f *testing.F)              { fuzzDecoder(f, RecallV8, CustomerRecallV9) }
func FuzzDecodeResolution(f *testing.F)          { fuzzDecoder(f, ResolutionV9) }
func FuzzDecodeQuery(f *testing.F)               { fuzzDecoder(f, QueryV7) }
func FuzzDecodeAddition(f *testing.F)            { fuzzDecoder(f, AdditionV9) }
func FuzzDecodeInitiation(f *testing.F)          { fuzzDecoder(f, InitiationV3, InitiationV9) }
func FuzzDecodeInitiationReport(f *testing.F) {
	fuzzDecoder(f, InitiationReportV3, InitiationReportV10)
}
func FuzzDecodePaymentRequest(f *testing.F) { fuzzDecoder(f, PaymentRequestV7) }
func FuzzDecodeRequestAnswer(f *testing.F)  { fuzzDecoder(f, RequestAnswerV7) }
func FuzzDecodeSystem(f *testing.F) {
	fuzzDecoder(f, RejectionV1, SystemEventV2, ReceiptV1, EventReceiptV1)
}
