package iso20022

import (
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// refusals are documents that libxml2 finds valid and the scanner refuses on purpose, by rule, as docs/iso20022.md lists them.
var refusals = []struct {
	rule, name string
	doc        func(with func(content string) string) string
}{
	{"xml.doctype", "DOCTYPE", func(with func(string) string) string { return "<!DOCTYPE Document>" + with("<x/>") }},
	{"xml.instruction", "processing instruction in front", func(with func(string) string) string { return "<?a b?>" + with("<x/>") }},
	{"xml.instruction", "processing instruction inside", func(with func(string) string) string { return with("<?a b?><x/>") }},
	{"xml.instruction", "processing instruction behind", func(with func(string) string) string { return with("<x/>") + "<?a?>" }},
	{"xml.encoding", "UTF-16", func(with func(string) string) string {
		b := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(with("<x>é</x>"))) {
			b = append(b, byte(u), byte(u>>8))
		}
		return string(b)
	}},
	{"xml.encoding", "ISO-8859-1", func(with func(string) string) string {
		return `<?xml version="1.0" encoding="ISO-8859-1"?>` + with("<x>\xe9</x>")
	}},
	{"xml.encoding", "another name of UTF-8", func(with func(string) string) string { return `<?xml version="1.0" encoding="utf8"?>` + with("<x/>") }},
	{"xml.version", "XML 1.1", func(with func(string) string) string { return `<?xml version="1.1"?>` + with("<x/>") }},
	{"xml.prefix", "undeclared prefix", func(with func(string) string) string { return with("<p:x/>") }},
	{"xml.namespace", "empty prefix declaration", func(with func(string) string) string { return with(`<x xmlns:a=""/>`) }},
	{"xml.duplicate", "attribute twice by its namespace", func(with func(string) string) string {
		return with(`<x xmlns:a="urn:a" xmlns:b="urn:a" a:q="1" b:q="2"/>`)
	}},
	{"xml.name", "name that begins with a colon", func(with func(string) string) string { return with("<:x/>") }},
	{"xml.tag", "name with two colons", func(with func(string) string) string { return with(`<a:b:c xmlns:a="urn:a"/>`) }},
	{"xml.trailing", "octet of zero behind the root", func(with func(string) string) string { return with("<x/>") + "\x00" }},
	{"xml.name", "name of more than 1,024 octets", func(with func(string) string) string { return with("<" + strings.Repeat("x", 1025) + "/>") }},
	{"xml.reference", "character reference of more than 16 octets", func(with func(string) string) string { return with("<x>&#0000000000000065;</x>") }},
	{"xml.size", "more than 1 MiB", func(with func(string) string) string { return with("<x/>" + strings.Repeat(" ", 1<<20)) }},
	{"xml.depth", "more than 32 levels", func(with func(string) string) string {
		return with(strings.Repeat("<x>", 33) + strings.Repeat("</x>", 33))
	}},
	{"xml.elements", "more than 10,000 elements", func(with func(string) string) string { return with("<x>" + strings.Repeat("<y/>", 10_000) + "</x>") }},
	{"xml.attributes", "more than 16 attributes", func(with func(string) string) string { return with("<x" + attributes(17) + "/>") }},
	{"xml.namespaces", "more than 254 declarations of namespaces", func(with func(string) string) string {
		return with("<x>" + strings.Repeat(`<y xmlns:p="urn:p"/>`, 255) + "</x>")
	}},
}

// What the scanner refuses before any schema, though libxml2 finds it valid, is a short list: each entry has a document here and a line in
// docs/iso20022.md, and no other rule is excused in the comparison with xmllint.
func TestRefusedOnPurpose(t *testing.T) {
	const definition = "admi.011.001.01"
	with := func(content string) string {
		return `<Document xmlns="` + Namespace(definition) + `"><SysEvtAck><MsgId>x</MsgId><SplmtryData><Envlp>` + content + `</Envlp></SplmtryData></SysEvtAck></Document>`
	}
	if err := Validate([]byte(with("<x/>"))); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/iso20022.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(page), "<!-- on purpose: begin -->")
	list, _, ok := strings.Cut(list, "<!-- on purpose: end -->")
	if !ok {
		t.Fatal("the list is not marked in docs/iso20022.md")
	}
	var docs [][]byte
	var rules []string
	for _, r := range refusals {
		doc := []byte(r.doc(with))
		docs = append(docs, doc)
		rules = append(rules, r.rule)
		if got := ruleOf(Validate(doc)); got != r.rule {
			t.Errorf("%s: refused by %q, want %s", r.name, got, r.rule)
		}
		if !strings.Contains(list, "`"+r.rule+"`") {
			t.Errorf("%s: docs/iso20022.md does not name %s", r.name, r.rule)
		}
	}
	for _, rule := range onPurpose {
		if !slices.Contains(rules, rule) {
			t.Errorf("no document for %s", rule)
		}
	}
	for i, rule := range rules {
		if !slices.Contains(onPurpose, rule) {
			t.Errorf("%s: the comparison does not excuse it", refusals[i].name)
		}
	}
	for _, word := range strings.Fields(list) {
		if word = strings.Trim(word, "`,."); strings.HasPrefix(word, "xml.") && !slices.Contains(onPurpose, word) {
			t.Errorf("docs/iso20022.md names %s", word)
		}
	}
	for i, v := range xmllint(t, definition, docs) {
		if v != valid {
			t.Errorf("%s: xmllint says %s", refusals[i].name, v)
		}
	}
}

// Texts on which validator and xmllint once differed. TestOracle found them.
func TestAgreementsFound(t *testing.T) {
	const definition = "pain.001.001.09"
	g := func(change ...string) []byte {
		doc := string(encoded(t, &exampleInitiation))
		for i := 0; i < len(change); i += 2 {
			if !strings.Contains(doc, change[i]) {
				t.Fatalf("no %s", change[i])
			}
			doc = strings.Replace(doc, change[i], change[i+1], 1)
		}
		return []byte(doc)
	}
	const (
		created  = "<CreDtTm>2026-11-23T12:00:00+01:00<"
		envelope = `<a:x xmlns:a="urn:a" b='1'><!-- kept --> <a:y/></a:x>`
		declared = `xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:n="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"`
	)
	list := []struct {
		name  string
		doc   []byte
		valid bool
	}{
		{"xsi:type with white space", g("<MsgId>", `<MsgId `+declared+` xsi:type=" Max35Text">`), false},
		{"xsi:type as declared", g("<MsgId>", `<MsgId `+declared+` xsi:type="Max35Text">`), true},
		{"ten digits of a year", g(created, "<CreDtTm>1234567890-11-23T12:00:00<"), true},
		{"a year of 63 bits", g(created, "<CreDtTm>9223372036854775807-11-23T12:00:00<"), true},
		{"a year of 64 bits", g(created, "<CreDtTm>9223372036854775808-11-23T12:00:00<"), false},
		{"24 digits", g(">4.50<", ">4.50000000000000000000000<"), true},
		{"25 digits", g(">4.50<", ">4.500000000000000000000000<"), false},
		{"xsi:type string in foreign content", g(envelope, `<x `+declared+` xsi:type="xs:string">abc</x>`), true},
		{"elements in a string", g(envelope, `<x `+declared+` xsi:type="xs:string"><y/></x>`), false},
		{"xsi:type of the schema in foreign content", g(envelope, `<x `+declared+` xsi:type="n:Max35Text">abc</x>`), true},
		{"the same, too long", g(envelope, `<x `+declared+` xsi:type="n:Max35Text">`+strings.Repeat("x", 36)+`</x>`), false},
		{"the same, nil", g(envelope, `<x `+declared+` xsi:nil="true" xsi:type="n:Max35Text">abc</x>`), true},
		{"integer too large for its type", g(envelope, `<x `+declared+` xsi:type="xs:byte">128</x>`), false},
		{"xsi:type that nobody knows", g(envelope, `<x `+declared+` xsi:type="xs:nothing"/>`), false},
	}
	var docs [][]byte
	for _, c := range list {
		if err := Validate(c.doc); (err == nil) != c.valid {
			t.Errorf("%s: %v, want valid %t", c.name, err, c.valid)
		}
		docs = append(docs, c.doc)
	}
	for i, v := range xmllint(t, definition, docs) {
		if (v == valid) != list[i].valid {
			t.Errorf("%s: xmllint says %s", list[i].name, v)
		}
	}
}
