package iso20022

import (
	"strings"
	"testing"
)

// Which texts are of which base type; the same was shown with xmllint.
func TestBaseTypes(t *testing.T) {
	all := &tables{patterns: []patternDef{{}, {".*Z", [][]atomDef{{{set: [2]uint64{^uint64(0), ^uint64(0)}}, {set: [2]uint64{0, 1 << ('Z' - 64)}, min: 1, max: 1}}}}}}
	free := facetDef{minLength: -1, maxLength: -1, totalDigits: -1, fractionDigits: -1}
	for _, c := range []struct {
		base           base
		valid, invalid []string
	}{
		{baseBoolean, []string{"true", "false", "1", "0", " true\n"}, []string{"", "TRUE", "yes", "2", "t rue"}},
		{baseDecimal, []string{"0", "-1", "+1", ".5", "5.", "00.10", "\t1 ", "123456789012345678901234", "00000000000000000000000000000001", "0.000000000000000000000000"}, []string{"", ".", "+", "1e3", "1,0", "1 0", "--1", "1.2.3", "NaN", "INF", "٣", "1234567890123456789012345", "123456789012345678901234.", "5.000000000000000000000000", "1..2"}},
		{baseDate, []string{"2026-11-23", "2026-11-23Z", "2026-11-23-05:00", "2024-02-29", "2000-02-29", "-2026-11-23", "12026-11-23", "1234567890-01-01", "9223372036854775807-02-28"},
			[]string{"", "2026-11-31", "2026-04-31", "2100-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "2026-1-01", "026-01-01", "0000-01-01", "02026-01-01", "2026-11-23 ", " 2026-11-23", "2026-11-23z", "2026/11/23", "2026-11-23T00:00:00", "9223372036854775808-01-01", "10000000000000000000-01-01", "2026-11", "2026-11-", "2026-"}},
		{baseDateTime, []string{"2026-11-23T00:00:00", "2026-11-23T24:00:00", "2026-11-23T24:00:00.000", "2026-11-23T23:59:59.999999999999Z", "2026-11-23T10:11:12+14:00", "2026-11-23T10:11:12-14:00", "2026-11-23T10:11:12Z "},
			[]string{"", "2026-11-23", "2026-11-23T24:00:00.1", "2026-11-23T24:01:00", "2026-11-23T23:60:00", "2026-11-23T23:59:60", "2026-11-23T10:11", "2026-11-23T10:11:12.", "2026-11-23T10:11:12+14:01", "2026-11-23T10:11:12+15:00", "2026-11-23T10:11:12+1:00", "2026-11-23T10:11:12+01:60", "2026-11-23T10:11:12+01", "2026-11-23T10:11:12 ", " 2026-11-23T10:11:12Z", "2026-11-23T10:11:12 Z", "2026-11-23 10:11:12", "2026-11T10:11:12"}},
		{baseTime, []string{"00:00:00", "24:00:00", "10:11:12.5Z", "10:11:12+05:30", " 10:11:12"}, []string{"", "10:11", "24:00:01", "25:00:00", "10:11:12 ", "1:11:12", "10-11-12"}},
		{baseGYear, []string{"2026", "2026Z", "-0001", "12026", "2026+01:00"}, []string{"", "0000", "026", "02026", " 2026", "2026 ", "2026-11"}},
		{baseGYearMonth, []string{"2026-11", "2026-11Z", "2026-01-05:00"}, []string{"", "2026", "2026-13", "2026-00", "2026-1", "2026-11 ", "2026-11-23"}},
		{baseBase64Binary, []string{"", "AAAA", "AAA=", "AA==", "+/09", "A A\nA =", "AA*AA", "é"}, []string{"A", "AA", "AAA", "AAB=", "AB==", "====", "A===", "AA=A", "AAAA=", "AA-A", "AA_A"}},
	} {
		f := free
		f.base = c.base
		for _, s := range c.valid {
			if rule, text := f.checkText(all, []byte(s)); rule != "" {
				t.Errorf("base %d, %q: %s %s", c.base, s, rule, text)
			}
		}
		for _, s := range c.invalid {
			if rule, text := f.checkText(all, []byte(s)); rule == "" || text == "" {
				t.Errorf("base %d, %q: valid", c.base, s)
			}
		}
	}
	for _, c := range []struct {
		change func(*facetDef)
		text   string
		rule   string
	}{
		{func(f *facetDef) { f.maxLength = 3 }, "éé€", ""},
		{func(f *facetDef) { f.maxLength = 3 }, "éé€x", "schema.maxLength"},
		{func(f *facetDef) { f.minLength = 1 }, "", "schema.minLength"},
		{func(f *facetDef) { f.base, f.maxLength = baseBase64Binary, 3 }, "AAAA", ""},
		{func(f *facetDef) { f.base, f.maxLength = baseBase64Binary, 3 }, "AAAAAA==", "schema.maxLength"},
		{func(f *facetDef) { f.base, f.totalDigits = baseDecimal, 3 }, "0012.30", ""},
		{func(f *facetDef) { f.base, f.totalDigits = baseDecimal, 3 }, "12.34", "schema.totalDigits"},
		{func(f *facetDef) { f.base, f.fractionDigits = baseDecimal, 1 }, "12.300", ""},
		{func(f *facetDef) { f.base, f.fractionDigits = baseDecimal, 1 }, "12.304", "schema.fractionDigits"},
		{func(f *facetDef) { f.base, f.notNegative = baseDecimal, true }, "-0.00", ""},
		{func(f *facetDef) { f.base, f.notNegative = baseDecimal, true }, "-0.01", "schema.minInclusive"},
		{func(f *facetDef) { f.enumeration = []string{"A", "B"} }, "B", ""},
		{func(f *facetDef) { f.enumeration = []string{"A", "B"} }, "b", "schema.enumeration"},
		{func(f *facetDef) { f.base, f.pattern = baseDateTime, 1 }, " 2026-11-23T10:11:12Z ", ""},
		{func(f *facetDef) { f.base, f.pattern = baseDateTime, 1 }, "2026-11-23T10:11:12+00:00", "schema.pattern"},
	} {
		f := free
		c.change(&f)
		if rule, _ := f.checkText(all, []byte(c.text)); rule != c.rule {
			t.Errorf("%+v, %q: %q, want %q", f, c.text, rule, c.rule)
		}
	}
}

// Foreign content: one element, of the namespace that the schema wants; what the schema knows in it is validated.
func TestAny(t *testing.T) {
	const supplement, signature = "<SplmtryData><Envlp>%</Envlp></SplmtryData>", "<Sgntr>%</Sgntr>"
	request, header := string(encoded(t, &fednowRequest)), string(encoded(t, &fednowHeader))
	for _, c := range []struct{ content, rule string }{
		{`<x xmlns="urn:x" a="1">text<y/><!-- c --></x>`, ""},
		{`<x xmlns="">text</x>`, ""},
		{`<Foo></Foo>`, ""},
		{"", "schema.missing"},
		{`<x xmlns="urn:x"/><x xmlns="urn:x"/>`, "schema.repeated"},
		{`<x xmlns="urn:x"/><y/>`, "schema.repeated"},
		{`text`, "schema.text"},
		{request, ""},
		{strings.Replace(request, "<GrpHdr>", "<Foo></Foo><GrpHdr>", 1), "schema.element"},
		{`<x xmlns="urn:x">` + strings.Replace(request, "<GrpHdr>", "<Foo></Foo><GrpHdr>", 1) + `</x>`, "schema.element"},
		{`<x xmlns="urn:x" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x"/>`, "schema.type"},
	} {
		doc := strings.Replace(request, "</TxInf>", strings.Replace(supplement, "%", c.content, 1)+"</TxInf>", 1)
		if got := ruleOf(Validate([]byte(doc))); got != c.rule {
			t.Errorf("%s: %q, want %q", c.content, got, c.rule)
		}
		if _, err := DecodeStatusRequest([]byte(doc)); ruleOf(err) != c.rule {
			t.Errorf("%s: %v, want %q of the decoder", c.content, err, c.rule)
		}
	}
	for _, c := range []struct{ content, rule string }{
		{`<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">text</Signature>`, ""},
		{`<Signature xmlns="urn:x"></Signature>`, "schema.namespace"},
		{`<Signature></Signature>`, "schema.namespace"},
	} {
		doc := strings.Replace(header, "</CreDt>", "</CreDt>"+strings.Replace(signature, "%", c.content, 1), 1)
		if got := ruleOf(Validate([]byte(doc))); got != c.rule {
			t.Errorf("%s: %q, want %q", c.content, got, c.rule)
		}
	}
}

// The mode that reports all finds each fault once, in order, and goes on behind it.
func TestValidateAll(t *testing.T) {
	doc := string(encoded(t, &fednowTransfer))
	for _, c := range [][2]string{
		{"<MsgId>20261123021040078PARLEY0001</MsgId>", ""},
		{"<NbOfTxs>1", "<Foo></Foo><NbOfTxs>x"},
		{"<SttlmMtd>CLRG</SttlmMtd>", ""},
		{"<EndToEndId>", "<EndToEndId></EndToEndId><EndToEndId>"},
		{"<Prtry>FDNA</Prtry>", "<Cd>A</Cd><Prtry>FDNA</Prtry>"},
		{` Ccy="USD"`, ""},
		{"<ChrgBr>SLEV", "text<ChrgBr>XXXX"},
		{"<Nm>Example Coffee", `<Nm xmlns="urn:x">Example Coffee`},
		{"<Ustrd>", `<Ustrd a="1">`},
	} {
		doc = string(edit(t, []byte(doc), c[0], c[1]))
	}
	want := []string{
		"schema.missing", "schema.element", "schema.pattern", "schema.missing", "schema.text", "schema.minLength", "schema.repeated",
		"schema.choice", "schema.missing", "schema.enumeration", "schema.namespace", "schema.attribute",
	}
	faults := ValidateAll([]byte(doc))
	var got []string
	for _, f := range faults {
		got = append(got, f.Rule)
		if f.Line != 1 || f.Col < 1 || !strings.HasPrefix(f.Path, "/Document/FIToFICstmrCdtTrf") {
			t.Errorf("%+v", f)
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s\nwant %s\n%+v", got, want, faults)
	}
	if err := Validate([]byte(doc)); err == nil {
		t.Error("Validate found nothing")
	}
	many := strings.Replace(doc, "<GrpHdr>", strings.Repeat("<Foo></Foo>", 500)+"<GrpHdr>", 1)
	if n := len(ValidateAll([]byte(many))); n != defaultLimits.Faults {
		t.Errorf("%d faults reported", n)
	}
}
