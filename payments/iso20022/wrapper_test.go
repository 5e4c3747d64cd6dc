package iso20022

import (
	"bytes"
	"strings"
	"testing"

	"github.com/parleypay/parley/internal/shared"
)

func TestSplit(t *testing.T) {
	header, document := string(encoded(t, &fednowHeader)), string(encoded(t, &fednowTransfer))
	w := Wrapper{"urn:w", []string{"Out", "In"}}
	wrap := func(inside string) string {
		return "<?xml version=\"1.0\"?>\n<Out xmlns=\"urn:w\">\n <In>\n" + inside + "\n </In></Out>\n"
	}
	for _, c := range []struct {
		name string
		wire string
		want Wrapper
		rule string
	}{
		{"header and document", wrap(header + "\n" + document), w, ""},
		{"any name", wrap(header + document), Wrapper{"urn:w", []string{"Out", "*"}}, ""},
		{"prefix", strings.NewReplacer("<Out xmlns", "<o:Out xmlns:o", "<In>", "<o:In>", "</Out", "</o:Out", "</In>", "</o:In>").Replace(wrap(header + document)), w, ""},
		{"comments", wrap("<!-- a -->" + header + "<!-- b -->" + document), w, ""},
		{"place of a schema", strings.Replace(wrap(header+document), "<Out ", `<Out xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:w w.xsd" `, 1), w, ""},
		{"document first", wrap(document + header), w, "wrapper.element"},
		{"two headers", wrap(header + header + document), w, "wrapper.element"},
		{"two documents", wrap(header + document + document), w, "wrapper.element"},
		{"no document", wrap(header), w, "wrapper.document"},
		{"nothing", wrap(""), w, "wrapper.document"},
		{"something else", wrap(header + document + `<x xmlns="urn:x"/>`), w, "wrapper.element"},
		{"document of another namespace", wrap(header + strings.Replace(document, "urn:iso:std:iso:20022:tech:xsd:", "urn:x:", 1)), w, "wrapper.element"},
		{"header of another namespace", wrap(strings.Replace(header, "urn:iso:std:iso:20022:tech:xsd:head.001.001.02", "urn:w", 1) + document), w, "wrapper.element"},
		{"text", wrap("x" + header + document), w, "wrapper.text"},
		{"text further out", strings.Replace(wrap(header+document), " <In>", "x<In>", 1), w, "wrapper.text"},
		{"attribute", strings.Replace(wrap(header+document), "<In>", `<In a="1">`, 1), w, "wrapper.attribute"},
		{"another name", wrap(header + document), Wrapper{"urn:w", []string{"Out", "Inn"}}, "wrapper.element"},
		{"another namespace", wrap(header + document), Wrapper{"urn:v", w.Path}, "wrapper.namespace"},
		{"another namespace inside", strings.Replace(wrap(header+document), "<In>", `<In xmlns="urn:v">`, 1), w, "wrapper.namespace"},
		{"second element further out", strings.Replace(wrap(header+document), "</Out>", "<In></In></Out>", 1), w, "wrapper.element"},
		{"empty wrapper", `<Out xmlns="urn:w"></Out>`, w, "wrapper.element"},
		{"wrapper where none is wanted", wrap(header + document), Wrapper{}, "wrapper.document"},
		{"no wrapper where one is wanted", document, w, "wrapper.namespace"},
		{"siblings without a wrapper", header + document, w, "xml.trailing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Split([]byte(c.wire), c.want)
			if ruleOf(err) != c.rule {
				t.Fatalf("%v, want %q", err, c.rule)
			}
			if err != nil {
				if p.Header != nil || p.Document != nil {
					t.Errorf("parts together with %v", err)
				}
				return
			}
			if p.Name != "In" || string(p.Header) != header || string(p.Document) != document {
				t.Errorf("%s\n%s\n%s", p.Name, p.Header, p.Document)
			}
		})
	}
	p, err := Split([]byte("\xef\xbb\xbf<?xml version='1.0'?>"+document), Wrapper{})
	if err != nil || string(p.Document) != document || p.Header != nil || p.Name != "" {
		t.Errorf("%+v, %v", p, err)
	}
}

// Parts that use prefixes of the wrapper get the declarations, and only those.
func TestSplitKeepsNamespaces(t *testing.T) {
	document := string(encoded(t, &fednowTransfer))
	prefixed := strings.NewReplacer("</", "</p:", "<", "<p:", ` xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08"`, "").Replace(document)
	wire := `<w:Out xmlns:w="urn:w" xmlns:p="urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08" xmlns:q="urn:q?a=1&amp;b=2">` + prefixed + `</w:Out>`
	p, err := Split([]byte(wire), Wrapper{"urn:w", []string{"Out"}})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(prefixed, "<p:Document", `<p:Document xmlns:p="urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08"`, 1)
	if string(p.Document) != want {
		t.Errorf("%s", p.Document)
	}
	m, err := DecodeCreditTransfer(p.Document)
	if err != nil || !equalTransfer(*m, fednowTransfer) {
		t.Errorf("%+v, %v", m, err)
	}
	if strings.Contains(string(p.Document), "urn:w") || strings.Contains(string(p.Document), "urn:q") {
		t.Error("a declaration that is not used was added")
	}
	inherited := strings.Replace(document, ` xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08"`, "", 1)
	wire = `<w:Out xmlns:w="urn:w" xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08">` + inherited + `</w:Out>`
	if p, err = Split([]byte(wire), Wrapper{"urn:w", []string{"Out"}}); err != nil || string(p.Document) != document {
		t.Errorf("%s, %v", p.Document, err)
	}
}

// The parts of a message are slices of it: what is verified or stored is what was received.
func TestSplitCopiesNothing(t *testing.T) {
	wire := shared.Read(t, "iso20022/samples/fednow-envelope-pacs.002.xml")
	p, err := Split(wire, Wrapper{"urn:fednow:outgoing:v001", []string{"FedNowOutgoing", "FedNowOutgoingMessage", "FedNowPaymentStatus"}})
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(wire, []byte("<Document"))
	if &p.Document[0] != &wire[at] || cap(p.Document) != len(p.Document) {
		t.Error("the document is a copy, or can grow into what follows")
	}
}
