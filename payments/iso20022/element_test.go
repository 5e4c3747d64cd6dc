package iso20022

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/parleypay/parley/internal/shared"
)

const treeDoc = "\xef\xbb\xbf<?xml version='1.0'?>\r\n<w:Wrap xmlns:w='urn:w' xmlns:p='urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08' w:note='a&amp;b' plain='x'>\r\n" +
	" <p:Document><p:FIToFICstmrCdtTrf><p:GrpHdr><p:MsgId>A&amp;<![CDATA[<B>]]><!-- no --></p:MsgId></p:GrpHdr></p:FIToFICstmrCdtTrf></p:Document>\r\n" +
	" one<x/>two&#32;<![CDATA[three]]></w:Wrap>"

func TestTree(t *testing.T) {
	tree, err := Inspect([]byte(treeDoc))
	if err != nil {
		t.Fatal(err)
	}
	root := tree.Root()
	if root.Name() != "Wrap" || root.Namespace() != "urn:w" || root.Definition() != "" || root.Type() != "" || root.IsLeaf() || !root.HasText() || root.Path() != "/Wrap" {
		t.Errorf("root %q of %q, %q", root.Name(), root.Namespace(), root.Path())
	}
	if got := strings.Join(strings.Fields(root.Text()), "|"); got != "onetwo|three" {
		t.Errorf("text of the root: %q", got)
	}
	if v, ok := root.Attr("plain"); v != "x" || !ok {
		t.Errorf("plain = %q", v)
	}
	if v, ok := root.Attr("note"); ok {
		t.Errorf("note belongs to a namespace, yet Attr = %q", v)
	}
	if got := root.Attributes(); !slices.Equal(got, []Attribute{{"urn:w", "note", "a&b"}, {"", "plain", "x"}}) {
		t.Errorf("attributes %q", got)
	}
	doc, ok := tree.Find(Namespace("pacs.008.001.08"), "Document")
	if !ok || doc.Definition() != "pacs.008.001.08" || doc.Type() != "Document" {
		t.Fatalf("document %v of type %q", ok, doc.Type())
	}
	if line, col := doc.Position(); line != 3 || col != 2 {
		t.Errorf("document at %d:%d", line, col)
	}
	id, ok := doc.Child("FIToFICstmrCdtTrf", "GrpHdr", "MsgId")
	if !ok || id.Text() != "A&<B>" || id.Type() != "Max35Text" || id.IsPlain() || id.Path() != "/Wrap/Document/FIToFICstmrCdtTrf/GrpHdr/MsgId" {
		t.Errorf("MsgId %q of type %q at %s", id.Text(), id.Type(), id.Path())
	}
	if id.Base() != "string" || doc.Base() != "" || root.Base() != "" {
		t.Errorf("bases %q, %q, %q", id.Base(), doc.Base(), root.Base())
	}
	if body, _ := doc.Child("FIToFICstmrCdtTrf"); !body.Allows("CdtTrfTxInf") || body.Allows("MsgId") || root.Allows("Document") || id.Allows("") {
		t.Error("Allows does not follow the schema")
	}
	if start, end := id.Range(); treeDoc[start:end] != string(id.Bytes()) || !strings.HasPrefix(string(id.Bytes()), "<p:MsgId>") {
		t.Errorf("range %d to %d", start, end)
	}
	if p, ok := id.Parent(); !ok || p.Name() != "GrpHdr" {
		t.Error("parent of MsgId is not GrpHdr")
	}
	if _, ok := root.Parent(); ok {
		t.Error("the root has a parent")
	}
	if _, ok := doc.Child("FIToFICstmrCdtTrf", "CdtTrfTxInf"); ok {
		t.Error("found what is not there")
	}
	if f := id.Fault("x.y", "z"); f.Line != 3 || f.Path != id.Path() {
		t.Errorf("%v", f)
	}
	if again, err := Parse(doc.Part()); err != nil || !again.Root().Equal(doc) {
		t.Errorf("the part is another document: %v", err)
	}
	var wait sync.WaitGroup // with -race: reading changes nothing
	for range 4 {
		wait.Go(func() {
			for c := range root.Children() {
				c.Position()
				_ = c.Text()
			}
		})
	}
	wait.Wait()
}

// Every sample is equal to itself with other prefixes and spacing, and to nothing that differs in one text.
func TestTreeEqual(t *testing.T) {
	a, _ := Parse([]byte(`<a xmlns="urn:x" b="1" c="2"><d>x</d><e/></a>`))
	for doc, want := range map[string]bool{
		`<p:a xmlns:p="urn:x" c='2' b='1'> <p:d>x</p:d><!-- c --><p:e></p:e></p:a>`: true,
		`<a xmlns="urn:x" b="1" c="2"><d>&#120;</d><e/></a>`:                        true,
		`<a xmlns="urn:y" b="1" c="2"><d>x</d><e/></a>`:                             false,
		`<a xmlns="urn:x" b="1" c="3"><d>x</d><e/></a>`:                             false,
		`<a xmlns="urn:x" b="1"><d>x</d><e/></a>`:                                   false,
		`<a xmlns="urn:x" b="1" c="2"><d> x</d><e/></a>`:                            false,
		`<a xmlns="urn:x" b="1" c="2"><e/><d>x</d></a>`:                             false,
		`<a xmlns="urn:x" b="1" c="2"><d>x</d></a>`:                                 false,
		`<a xmlns="urn:x" b="1" c="2"><d>x</d><e/>t</a>`:                            false,
		`<a xmlns="urn:x" b="1" c="2"><d>x</d><e><f/></e></a>`:                      false,
	} {
		b, err := Parse([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		if a.Root().Equal(b.Root()) != want || b.Root().Equal(a.Root()) != want {
			t.Errorf("%s: equal is not %t", doc, want)
		}
	}
}

// A message without its Document has types too.
func TestInspectRTP(t *testing.T) {
	tree, err := Inspect(shared.Read(t, "iso20022/samples/rtp-pacs.008.xml"))
	if err != nil {
		t.Fatal(err)
	}
	id, ok := tree.Find(Namespace("pacs.008.001.08"), "EndToEndId")
	if !ok || id.Type() != "Max35Text" {
		t.Errorf("EndToEndId: %t, type %q", ok, id.Type())
	}
}

func TestParseRefuses(t *testing.T) {
	for doc, l := range map[string]Limits{"<a>": {}, "<a><b/></a>": {Elements: 1}, "<a><b/></a> ": {Depth: 1}, "<a  />": {SizeBytes: 3}, "<a b='' c=''/>": {Attributes: 1}, "<a xmlns:b='u' xmlns:c='v'/>": {Namespaces: 1}} {
		if tree, err := l.Parse([]byte(doc)); err == nil || tree != nil {
			t.Errorf("%s: accepted within %+v", doc, l)
		}
		if err := l.Validate([]byte(doc)); ruleOf(err) == "schema.unknown" {
			t.Errorf("%s: validated within %+v", doc, l)
		}
	}
}
