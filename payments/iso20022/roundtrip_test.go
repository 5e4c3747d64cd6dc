package iso20022

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
)

// same reports whether two messages say the same: times are compared by instant and offset.
func same(a, b any) bool { return sameValue(reflect.ValueOf(a), reflect.ValueOf(b)) }

func sameValue(a, b reflect.Value) bool {
	if a.Kind() != b.Kind() || a.IsValid() && a.Type() != b.Type() {
		return false
	}
	switch a.Kind() {
	case reflect.Struct:
		if x, ok := a.Interface().(time.Time); ok {
			y := b.Interface().(time.Time)
			return sameTime(&x, &y)
		}
		for i := range a.NumField() {
			private := !a.Type().Field(i).IsExported() && a.Field(i).Comparable()
			if private && !a.Field(i).Equal(b.Field(i)) || !private && !sameValue(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !sameValue(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() && b.IsNil()
		}
		return sameValue(a.Elem(), b.Elem())
	}
	return a.Equal(b)
}

// there and back: m is encoded, validated, decoded, compared and encoded again to the same bytes.
func thereAndBack(t fataler, f Format, m Message) []byte {
	t.Helper()
	b, err := f.Append([]byte("before"), m)
	if err != nil {
		t.Fatalf("%v\n%+v", err, m)
	}
	b, ok := bytes.CutPrefix(b, []byte("before"))
	if !ok {
		t.Fatal("Append changed what was in the buffer")
	}
	if err := Validate(b); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	back, err := f.Decode(b)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if !same(m, back) {
		t.Fatalf("decoded differently:\n%s\nencoded:\n%s", b, clip(f.Append(nil, back)))
	}
	again, err := f.Append(nil, back)
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("encoded differently: %v\n%s\n%s", err, b, again)
	}
	return b
}

// Every message is encoded to a valid document that decodes to the same; there is one for each definition with a codec.
func TestMessages(t *testing.T) {
	var defs []string
	for _, m := range examples {
		defs = append(defs, m.Definition())
		t.Run(m.Definition(), func(t *testing.T) { thereAndBack(t, Format{}, m) })
	}
	for _, def := range Definitions() {
		if !slices.Contains(defs, def) {
			t.Errorf("no example of %s", def)
		}
	}
}

// clip is what Append returned, or why not.
func clip(b []byte, err error) string {
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// In a local zone times are written without an offset, and read so only.
func TestLocalTimes(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Skip(err)
	}
	local := Format{LocalZone: zone}
	m := fednowStatus
	m.Created, m.OriginalCreated = time.Date(2026, 7, 1, 9, 30, 0, 0, zone), time.Date(2026, 12, 1, 9, 30, 0, 0, zone)
	b := thereAndBack(t, local, &m)
	if !bytes.Contains(b, []byte("<CreDtTm>2026-07-01T09:30:00</CreDtTm>")) || !bytes.Contains(b, []byte("<OrgnlCreDtTm>2026-12-01T09:30:00</OrgnlCreDtTm>")) {
		t.Errorf("%s", b)
	}
	if _, err := Decode(b); ruleOf(err) != "model.time" {
		t.Errorf("%v, want model.time", err)
	}
	if _, err := local.Decode(encoded(t, &m)); ruleOf(err) != "model.time" {
		t.Errorf("%v, want model.time", err)
	}
	for _, text := range []string{"2026-07-01T24:00:00", "2026-07-01T09:30:00.1234567890", "12026-07-01T09:30:00", "-2026-07-01T09:30:00"} {
		if _, err := local.Decode(edit(t, b, "2026-07-01T09:30:00", text)); ruleOf(err) != "model.time" {
			t.Errorf("%s: %v, want model.time", text, err)
		}
	}
}

// Supplementary data survives byte for byte, and brings the namespaces along that it used.
func TestSupplementaryData(t *testing.T) {
	doc := encoded(t, &fednowTransfer)
	with := func(data string) []byte { return edit(t, doc, "</CdtTrfTxInf>", data+"</CdtTrfTxInf>") }
	const element = "<a:x xmlns:a=\"urn:a\"  b='1' ><!-- kept -->\r\n<![CDATA[<&]]>&#65;<a:y/></a:x>"
	for in, want := range map[string]string{
		"<SplmtryData><Envlp>" + element + "</Envlp></SplmtryData>":                                                                                     "<SplmtryData><Envlp>" + element + "</Envlp></SplmtryData>",
		"<SplmtryData>\n <!-- c --><PlcAndNm>a&amp;<![CDATA[b]]></PlcAndNm>\n<Envlp> " + element + "\t</Envlp></SplmtryData>":                           "<SplmtryData><PlcAndNm>a&amp;b</PlcAndNm><Envlp>" + element + "</Envlp></SplmtryData>",
		`<SplmtryData><Envlp><WC/></Envlp></SplmtryData>`:                                                                                               `<SplmtryData><Envlp><WC xmlns="` + Namespace(CreditTransferV8) + `"/></Envlp></SplmtryData>`,
		`<p:SplmtryData xmlns:p="` + Namespace(CreditTransferV8) + `" xmlns:q="urn:q" xmlns:r="urn:r"><p:Envlp><q:x p:a=""/></p:Envlp></p:SplmtryData>`: `<SplmtryData><Envlp><q:x xmlns:p="` + Namespace(CreditTransferV8) + `" xmlns:q="urn:q" p:a=""/></Envlp></SplmtryData>`,
	} {
		m, err := DecodeCreditTransfer(with(in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if string(m.Supplementary.Transaction) != want || m.Supplementary.Message != "" {
			t.Errorf("%s\nis kept as\n%s\nwant\n%s", in, m.Supplementary.Transaction, want)
		}
		thereAndBack(t, Format{}, m)
	}
	m := fednowTransfer
	for _, bad := range []SupplementaryData{
		"x", " ", "<SplmtryData/>", "<SplmtryData><Envlp></Envlp></SplmtryData>", "<SplmtryData><Envlp><x/></Envlp></SplmtryData><x/>", "<!-- c -->",
		"</CdtTrfTxInf><CdtTrfTxInf>", "<Envlp><x/></Envlp>", `<SplmtryData xmlns="urn:x"><Envlp><x/></Envlp></SplmtryData>`, "<SplmtryData><Envlp><a:x/></Envlp></SplmtryData>",
		"<SplmtryData><Envlp><x>" + SupplementaryData(bytes.Repeat([]byte("x"), maxSupplementaryBytes)) + "</x></Envlp></SplmtryData>",
		"<SplmtryData><Envlp><x/><x/></Envlp></SplmtryData>",
	} {
		m.Supplementary.Message = bad
		if b, err := m.Append(nil); err == nil {
			t.Errorf("%.60s is written: %s", bad, b)
		}
	}
	made, err := NewSupplementaryData("place <1>", []byte("<?xml version='1.0'?> "+element))
	if err != nil || made != "<SplmtryData><PlcAndNm>place &lt;1&gt;</PlcAndNm><Envlp>"+element+"</Envlp></SplmtryData>" {
		t.Errorf("%s, %v", made, err)
	}
	for _, bad := range []string{"", "x", "<a:x/>", "<x/><y/>", "<!DOCTYPE x><x/>"} {
		if made, err := NewSupplementaryData("", []byte(bad)); err == nil {
			t.Errorf("%s: %s", bad, made)
		}
	}
	if _, err := NewSupplementaryData("\x00", []byte("<x/>")); ruleOf(err) != "model.text" {
		t.Error(err)
	}
}

// Control sums are exact, whatever the currencies, up to 18 digits.
func TestControlSum(t *testing.T) {
	for _, c := range []struct {
		amounts []payments.Amount
		want    string
	}{
		{nil, "0"},
		{[]payments.Amount{{Minor: 10, Currency: "EUR"}, {Minor: 20, Currency: "EUR"}}, "0.3"},
		{[]payments.Amount{{Minor: 1, Currency: "BHD"}, {Minor: 1, Currency: "UYW"}, {Minor: 1, Currency: "JPY"}, {Minor: 99, Currency: "EUR"}}, "1.9911"},
		{[]payments.Amount{{Minor: maxMinor, Currency: "JPY"}}, "999999999999999999"},
		{[]payments.Amount{{Minor: maxMinor, Currency: "JPY"}, {Minor: 1, Currency: "JPY"}}, ""},
		{[]payments.Amount{{Minor: maxMinor, Currency: "JPY"}, {Minor: 1, Currency: "EUR"}}, ""},
		{[]payments.Amount{{Minor: maxMinor, Currency: "EUR"}}, "9999999999999999.99"},
		{[]payments.Amount{{Minor: maxMinor, Currency: "EUR"}, {Minor: 1, Currency: "BHD"}}, ""},
		{slices.Repeat([]payments.Amount{{Minor: maxMinor, Currency: "JPY"}}, 100), ""},
	} {
		var s total
		for _, a := range c.amounts {
			s.add(a)
		}
		if got := s.text(); got != c.want {
			t.Errorf("%v: %q, want %q", c.amounts, got, c.want)
		}
	}
}
