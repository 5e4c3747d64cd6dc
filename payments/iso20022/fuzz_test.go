package iso20022

import (
	"bytes"
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

// What a decoder accepts is encoded to a valid document that decodes to the same.
func fuzzDecoder[M any](f *testing.F, appendTo func(*M, []byte) ([]byte, error), decode func([]byte) (*M, error), equal func(a, b M) bool) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decode(b); err == nil {
			if err := Validate(b); err != nil {
				t.Fatal(err)
			}
			roundTrip(t, m, appendTo, decode, equal)
		}
	})
}

func FuzzDecodeCreditTransfer(f *testing.F) {
	seeds(f, &fednowTransfer, &sepaTransfer)
	fuzzDecoder(f, (*CreditTransfer).Append, DecodeCreditTransfer, equalTransfer)
}

func FuzzDecodeStatusReport(f *testing.F) {
	seeds(f, &fednowStatus, &sepaStatus)
	fuzzDecoder(f, (*StatusReport).Append, DecodeStatusReport, equalStatus)
}

func FuzzDecodeStatusRequest(f *testing.F) {
	seeds(f, &fednowRequest)
	fuzzDecoder(f, (*StatusRequest).Append, DecodeStatusRequest, equalRequest)
}

func FuzzDecodeHeader(f *testing.F) {
	seeds(f, &fednowHeader, &sepaHeader)
	fuzzDecoder(f, (*Header).Append, DecodeHeader, equalHeader)
}
