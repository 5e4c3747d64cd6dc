package iso20022

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/shared"
)

func TestScanRefusals(t *testing.T) {
	deep := strings.Repeat("<a>", 33) + strings.Repeat("</a>", 33)
	for _, c := range []struct{ name, doc, rule string }{
		{"empty", "", "xml.root"},
		{"white space", " \n", "xml.root"},
		{"text", "x", "xml.root"},
		{"text before", "x<a/>", "xml.root"},
		{"end tag first", "</a>", "xml.root"},
		{"doctype", "<!DOCTYPE a><a/>", "xml.doctype"},
		{"doctype with subset", `<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>`, "xml.doctype"},
		{"doctype inside", "<a><!DOCTYPE a></a>", "xml.doctype"},
		{"conditional section", "<a><![INCLUDE[x]]></a>", "xml.doctype"},
		{"entity", "<a>&e;</a>", "xml.reference"},
		{"html entity", "<a>&nbsp;</a>", "xml.reference"},
		{"lone ampersand", "<a>a & b</a>", "xml.reference"},
		{"character reference to NUL", "<a>&#0;</a>", "xml.reference"},
		{"character reference to a control", "<a>&#x1F;</a>", "xml.reference"},
		{"character reference to a surrogate", "<a>&#xD800;</a>", "xml.reference"},
		{"character reference too high", "<a>&#x110000;</a>", "xml.reference"},
		{"character reference too long", "<a>&#x0000000000000041;</a>", "xml.reference"},
		{"character reference empty", "<a>&#x;</a>", "xml.reference"},
		{"reference without end", "<a>&amp</a>", "xml.reference"},
		{"stylesheet", `<?xml-stylesheet href="x"?><a/>`, "xml.instruction"},
		{"instruction inside", "<a><?php x ?></a>", "xml.instruction"},
		{"instruction behind", "<a/><?x?>", "xml.instruction"},
		{"second declaration", `<?xml version="1.0"?><?xml version="1.0"?><a/>`, "xml.instruction"},
		{"declaration behind space", ` <?xml version="1.0"?><a/>`, "xml.instruction"},
		{"version 1.1", `<?xml version="1.1"?><a/>`, "xml.version"},
		{"no version", `<?xml encoding="UTF-8"?><a/>`, "xml.declaration"},
		{"declaration cut off", `<?xml version="1.0"`, "xml.declaration"},
		{"declaration value cut off", `<?xml version="1.0`, "xml.declaration"},
		{"declaration with more", `<?xml version="1.0" x="y"?><a/>`, "xml.declaration"},
		{"declaration out of order", `<?xml version="1.0" standalone="yes" encoding="UTF-8"?><a/>`, "xml.declaration"},
		{"standalone", `<?xml version="1.0" standalone="maybe"?><a/>`, "xml.declaration"},
		{"latin-1", `<?xml version="1.0" encoding="ISO-8859-1"?><a/>`, "xml.encoding"},
		{"utf-16 declared", `<?xml version="1.0" encoding="UTF-16"?><a/>`, "xml.encoding"},
		{"utf-16", "\xff\xfe<\x00a\x00/\x00>\x00", "xml.encoding"},
		{"utf-16 big endian", "\xfe\xff\x00<\x00a\x00/\x00>", "xml.encoding"},
		{"utf-16 without mark", "<\x00a\x00/\x00>\x00", "xml.encoding"},
		{"invalid utf-8", "<a>\xff</a>", "xml.encoding"},
		{"overlong utf-8", "<a>\xc0\x80</a>", "xml.encoding"},
		{"surrogate in utf-8", "<a>\xed\xa0\x80</a>", "xml.encoding"},
		{"truncated utf-8", "<a>\xe2\x82</a>", "xml.encoding"},
		{"invalid utf-8 in a name", "<a\xff/>", "xml.encoding"},
		{"NUL", "<a>\x00</a>", "xml.character"},
		{"control", "<a>\x01</a>", "xml.character"},
		{"U+FFFE", "<a>\uFFFE</a>", "xml.character"},
		{"control in an attribute", "<a b='\x02'/>", "xml.character"},
		{"control in a comment", "<a><!--\x02--></a>", "xml.character"},
		{"control in CDATA", "<a><![CDATA[\x02]]></a>", "xml.character"},
		{"]]> in text", "<a>]]></a>", "xml.text"},
		{"-- in a comment", "<a><!-- -- --></a>", "xml.comment"},
		{"comment ends in ---", "<a><!-- ---></a>", "xml.comment"},
		{"comment cut off", "<a><!-- ", "xml.end"},
		{"CDATA cut off", "<a><![CDATA[ ", "xml.end"},
		{"tag cut off", "<a", "xml.end"},
		{"attribute cut off", `<a b="`, "xml.end"},
		{"element cut off", "<a><b></b>", "xml.end"},
		{"attribute without value", "<a b/>", "xml.tag"},
		{"attribute without quotes", "<a b=c/>", "xml.tag"},
		{"attributes without space", `<a b="1"c="2"/>`, "xml.tag"},
		{"< in an attribute", `<a b="<"/>`, "xml.tag"},
		{"slash in a tag", "<a / >", "xml.name"},
		{"attribute twice", `<a b="1" b="2"/>`, "xml.duplicate"},
		{"attribute twice by namespace", `<a xmlns:p="urn:x" xmlns:q="urn:x" p:b="1" q:b="2"/>`, "xml.duplicate"},
		{"prefix declared twice", `<a xmlns:p="urn:x" xmlns:p="urn:y"/>`, "xml.duplicate"},
		{"default namespace twice", `<a xmlns="urn:x" xmlns="urn:x"/>`, "xml.duplicate"},
		{"undeclared prefix", "<p:a/>", "xml.prefix"},
		{"undeclared prefix of an attribute", `<a p:b="1"/>`, "xml.prefix"},
		{"prefix out of scope", `<a><b xmlns:p="urn:x"/><p:c/></a>`, "xml.prefix"},
		{"prefix undeclared again", `<a xmlns:p="urn:x"><b xmlns:p=""/></a>`, "xml.namespace"},
		{"xmlns as prefix", `<xmlns:a/>`, "xml.prefix"},
		{"xmlns declared", `<a xmlns:xmlns="urn:x"/>`, "xml.namespace"},
		{"namespace of xmlns", `<a xmlns:p="http://www.w3.org/2000/xmlns/"/>`, "xml.namespace"},
		{"xml bound elsewhere", `<a xmlns:xml="urn:x"/>`, "xml.namespace"},
		{"namespace of xml", `<a xmlns:p="http://www.w3.org/XML/1998/namespace"/>`, "xml.namespace"},
		{"two colons", "<a:b:c/>", "xml.tag"},
		{"empty prefix", "<:a/>", "xml.name"},
		{"empty local name", `<p: xmlns:p="urn:x"/>`, "xml.name"},
		{"name begins with a digit", "<1a/>", "xml.name"},
		{"name begins with a hyphen", "<-a/>", "xml.name"},
		{"no name", "< a/>", "xml.name"},
		{"wrong nesting", "<a><b></a></b>", "xml.nesting"},
		{"another end", "<a></b>", "xml.nesting"},
		{"longer end", "<a></ab>", "xml.nesting"},
		{"shorter end", "<ab></a>", "xml.nesting"},
		{"another prefix at the end", `<p:a xmlns:p="urn:x" xmlns:q="urn:x"></q:a>`, "xml.nesting"},
		{"second root", "<a/><b/>", "xml.trailing"},
		{"text behind", "<a/>x", "xml.trailing"},
		{"NUL behind", "<a/>\x00", "xml.trailing"},
		{"too deep", deep, "xml.depth"},
		{"too many elements", "<a>" + strings.Repeat("<b/>", 10_000) + "</a>", "xml.elements"},
		{"too many attributes", "<a" + attributes(17) + "/>", "xml.attributes"},
		{"too many namespaces", "<a>" + strings.Repeat(`<b xmlns:p="urn:x" xmlns:q="urn:y"/>`, 128) + "</a>", "xml.namespaces"},
		{"too large", "<a>" + strings.Repeat("x", 1<<20) + "</a>", "xml.size"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := new(tree).scan([]byte(c.doc))
			if f == nil {
				t.Fatalf("accepted, want %s", c.rule)
			}
			if f.Rule != c.rule {
				t.Errorf("%v, want %s", f, c.rule)
			}
			if f.Line < 1 || f.Col < 1 || f.Path == "" || f.Text == "" {
				t.Errorf("%+v does not say where and what", f)
			}
			if err := Validate([]byte(c.doc)); ruleOf(err) != c.rule {
				t.Errorf("Validate = %v", err)
			}
			if _, err := Split([]byte(c.doc), Wrapper{}); ruleOf(err) != c.rule {
				t.Errorf("Split = %v", err)
			}
			if _, err := DecodeCreditTransfer([]byte(c.doc)); ruleOf(err) != c.rule {
				t.Errorf("DecodeCreditTransfer = %v", err)
			}
		})
	}
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + string(rune('a'+i)) + `="1"`)
	}
	return b.String()
}

func TestScanAccepts(t *testing.T) {
	for _, doc := range []string{
		"<a/>", "<a></a >", "<a\n/>\n", "<a/>\n<!-- c -->\n", "\xef\xbb\xbf<a/>", `<?xml version="1.0"?><a/>`, `<?xml version='1.0' encoding='utf-8' standalone='no' ?>` + "\r\n<a/>",
		"<!-- c --><a/>", "<!--- - --><a/>", "<a><!-- c --><![CDATA[<&]]]]></a>", `<a b="'>" c='"'/>`, "<a>&amp;&lt;&gt;&quot;&apos;&#65;&#x1F600;</a>",
		`<p:a xmlns:p="urn:x" p:b="1" b="2"/>`, `<a xml:lang="en" xmlns:xml="http://www.w3.org/XML/1998/namespace"/>`, `<a xmlns="urn:x"><b xmlns=""/></a>`,
		"<é·/>", "<a>\U0001F600\u0085\u00a0\ufffd</a>", "<a>]]</a>", "<a" + attributes(16) + "/>",
		strings.Repeat("<a>", 32) + strings.Repeat("</a>", 32), "<a>" + strings.Repeat("<b/>", 9_999) + "</a>",
	} {
		if f := new(tree).scan([]byte(doc)); f != nil {
			t.Errorf("%.60s: %v", doc, f)
		}
	}
}

// A fault says where: line ends are LF, CR LF or CR, columns count bytes, the path names the open elements.
func TestFaultPlace(t *testing.T) {
	for _, c := range []struct {
		doc       string
		line, col int
		path      string
	}{
		{"<a>\n <b>&x;</b></a>", 2, 5, "/a/b"},
		{"<a>\r\n\r\n<b>&x;</b></a>", 3, 4, "/a/b"},
		{"<a>\r\r<b>é&x;</b></a>", 3, 6, "/a/b"},
		{"<a><b/><c>\n\n</d></a>", 3, 1, "/a/c"},
		{"<a><" + strings.Repeat("n", 41) + ">&x;", 1, 47, "/a/?"},
		{"<a/>x", 1, 5, "/"},
	} {
		f := new(tree).scan([]byte(c.doc))
		if f == nil || f.Line != c.line || f.Col != c.col || f.Path != c.path {
			t.Errorf("%q: %+v, want line %d, column %d, path %s", c.doc, f, c.line, c.col, c.path)
		}
	}
	f := Fault{Path: "/Document", Rule: "schema.missing", Text: "GrpHdr is missing here", Line: 2, Col: 3}
	if got := f.Error(); got != "iso20022: /Document (line 2, column 3): schema.missing: GrpHdr is missing here" {
		t.Error(got)
	}
}

func TestText(t *testing.T) {
	for doc, want := range map[string]string{
		"<a>x</a>":                            "x",
		"<a/>":                                "",
		"<a>&amp;&#x3c;&#13;</a>":             "&<\r",
		"<a>a\r\nb\rc\nd</a>":                 "a\nb\nc\nd",
		"<a>x<![CDATA[<&]]>]<!-- no -->y</a>": "x<&]y",
		"<a><![CDATA[a\r\n]]>\r<![CDATA[]]]]></a>": "a\n\n]]",
	} {
		var tr tree
		if f := tr.scan([]byte(doc)); f != nil {
			t.Fatal(f)
		}
		if got := string(tr.text(0)); got != want {
			t.Errorf("%q: %q, want %q", doc, got, want)
		}
	}
	var tr tree
	if f := tr.scan([]byte("<a b='\tx\r\n&#10;&quot;'/>")); f != nil {
		t.Fatal(f)
	}
	if got := string(tr.attrValue(&tr.attrs[0])); got != " x \n\"" {
		t.Errorf("attribute = %q", got)
	}
}

// readAll gives a hostile document to everything that reads a peer's bytes.
func readAll(b []byte) {
	Validate(b)
	ValidateAll(b)
	MessageDefinition(b)
	DecodeHeader(b)
	DecodeCreditTransfer(b)
	DecodeStatusReport(b)
	DecodeStatusRequest(b)
	Split(b, Wrapper{})
	Split(b, Wrapper{Namespace: "urn:x", Path: []string{"*", "*"}})
}

// The corpora of hostile XML: nothing panics or hangs, and what is not well-formed, or has a DOCTYPE, is refused.
func TestBadInputs(t *testing.T) {
	root := shared.Path(t, "bad-inputs/xml")
	deadline := time.Now().Add(30 * time.Second)
	refused, accepted := 0, 0
	try := func(name string, b []byte, mustRefuse bool) {
		readAll(b)
		if time.Now().After(deadline) {
			t.Fatalf("%s: too slow", name)
		}
		f := new(tree).scan(b)
		if f != nil {
			refused++
			return
		}
		accepted++
		if mustRefuse {
			t.Errorf("%s: accepted\n%.300s", name, b)
		}
		if bytes.Contains(b, []byte("<!DOCTYPE")) && !bytes.Contains(b, []byte("<!--")) && !bytes.Contains(b, []byte("CDATA")) {
			t.Errorf("%s: accepted with a DOCTYPE\n%.300s", name, b)
		}
	}
	err := filepath.WalkDir(filepath.Join(root, "libxml2"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		dir := filepath.Base(filepath.Dir(path))
		// These are errors of validity, or of other readers, in well-formed documents of one element.
		mustRefuse := strings.HasPrefix(dir, "errors") || strings.HasPrefix(filepath.Base(path), "lol")
		try(path, b, mustRefuse)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go-fuzz-corpus-xml.jsonl", "payloads/xxe.jsonl", "roundtrip.jsonl"} {
		for line := range bytes.Lines(shared.Read(t, "bad-inputs/xml/"+name)) {
			var entry struct {
				Name, From, Text string
				B64              []byte
			}
			if err := json.Unmarshal(line, &entry); err != nil {
				t.Fatal(err)
			}
			if entry.B64 == nil {
				entry.B64 = []byte(entry.Text)
			}
			try(name+" "+entry.Name, entry.B64, name == "payloads/xxe.jsonl" && strings.HasPrefix(entry.Text, "<?xml") && strings.Contains(entry.Text, "ENTITY"))
		}
	}
	t.Logf("%d refused, %d accepted", refused, accepted)
	if refused < 900 {
		t.Errorf("only %d refused", refused)
	}
}

// What a document costs is bounded by its size: the largest, of the most elements, takes no more memory than 32 times that.
func TestMemoryIsBounded(t *testing.T) {
	doc := []byte("<a>" + strings.Repeat(`<b c="d" e="f">x</b>`, 9_999) + "</a>")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	Validate(doc)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 32*uint64(len(doc)) {
		t.Errorf("%d octets for a document of %d", n, len(doc))
	}
}
