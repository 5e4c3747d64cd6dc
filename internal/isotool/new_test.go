package isotool

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

// eachNew goes through every message that is made here, on every rail where it travels and without one.
func eachNew(t *testing.T, each func(t *testing.T, def, profile string)) {
	made := 0
	for _, name := range append(rails.Names(), "none") {
		var p *rail.Profile
		if name != "none" {
			p = must(rails.Lookup(name))
		}
		for _, def := range iso20022.Definitions() {
			if strings.HasPrefix(def, "head.") {
				continue
			}
			if _, err := definitionOf(def, p); err != nil {
				if p == nil {
					t.Errorf("%s: %v", def, err)
				}
				continue
			}
			made++
			t.Run(name+"/"+def, func(t *testing.T) { each(t, def, name) })
		}
	}
	if made < 50 {
		t.Errorf("only %d messages", made)
	}
}

// The example of every message, on every rail where it travels: it is made, validates, is equal to itself made again, and decodes to what
// was asked for.
func TestNewExamples(t *testing.T) {
	eachNew(t, func(t *testing.T, def, profile string) {
		status, example, errs := call(t, nil, "new", def, "--profile", profile, "--example")
		if status != exitOK || errs != "" {
			t.Fatalf("%d %s", status, errs)
		}
		if strings.ContainsAny(example, "\x00") || !json.Valid([]byte(example)) {
			t.Fatalf("no JSON: %s", example)
		}
		args := []string{"new", def, "--profile", profile, "--json", "-", "--at", "2026-11-23T12:00:00Z", "--seed", "1"}
		status, wire, errs := call(t, strings.NewReader(example), args...)
		if status != exitOK || errs != "" {
			t.Fatalf("%d %s\n%s", status, errs, example)
		}
		dir := t.TempDir()
		write := func(name, text string) string {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		one := write("1.xml", wire)
		if status, out, errs := call(t, nil, "validate", "--profile", profile, one); status != exitOK {
			t.Errorf("not valid: %s%s\n%s", out, errs, wire)
		}
		_, nice, _ := call(t, strings.NewReader(example), append(args, "--pretty")...)
		two := write("2.xml", nice)
		if status, out, _ := call(t, nil, "diff", one, two); status != exitOK {
			t.Errorf("pretty says something else: %s", out)
		}
		if status, out, _ := call(t, nil, "validate", "--profile", profile, two); status != exitOK {
			t.Errorf("pretty is not valid: %s", out)
		}
		if status, out, _ := call(t, nil, "status", "--profile", profile, "--at", "2026-11-23T12:00:01Z", one); status != exitOK || out == "" {
			t.Errorf("status %d: %s", status, out)
		}
		_, again, _ := call(t, strings.NewReader(example), args...)
		if again != wire {
			t.Error("the same seed and time give another message")
		}
		if status, out, _ := call(t, nil, "new", def, "--profile", profile, "--help"); status != exitOK || !strings.Contains(out, "what to say") {
			t.Errorf("help: %d %s", status, out)
		}
		// Without a document everything that must be said is missed, by path and rule.
		if status, out, errs := call(t, nil, "new", def, "--profile", profile); status != exitNo || out != "" || !strings.Contains(errs, "refused, nothing written") {
			t.Errorf("nothing said: %d %s%s", status, out, errs)
		}
	})
}

// What JSON says is what the model holds, for every example, and back.
func TestNewJSON(t *testing.T) {
	eachNew(t, func(t *testing.T, def, profile string) {
		var p *rail.Profile
		if profile != "none" {
			p = must(rails.Lookup(profile))
		}
		want := exampleOf(def, p)
		b, ok := appendJSON(nil, reflect.ValueOf(want).Elem(), "")
		v, err := parseJSON(b)
		if err != nil || !ok {
			t.Fatalf("%v in %s", err, b)
		}
		got := makers[messageName(def)]()
		r := &jsonReader{}
		r.read(reflect.ValueOf(got).Elem(), v, "")
		setMsgDef(reflect.ValueOf(got).Elem(), def)
		if f := reflect.ValueOf(want).Elem().FieldByName("MsgDef"); f.IsValid() {
			f.SetString(def)
		}
		if r.wrong != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v\n%s", r.wrong, b)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	_, example, _ := call(t, nil, "new", "pacs.008", "--profile", "fednow", "--example")
	for _, c := range []struct {
		name     string
		old, new string // in the example
		args     []string
		status   int
		says     string
	}{
		{"amount as a number", `"USD 4.50"`, `4.50`, nil, exitNo, "json.number"},
		{"amount without cents", `"USD 4.50"`, `"USD 4.5"`, nil, exitNo, "json.amount"},
		{"an exponent", `"USD 4.50"`, `"USD 1e3"`, nil, exitNo, "json.amount"},
		{"another currency", `"USD 4.50"`, `"EUR 4.50"`, nil, exitNo, "fednow.amount.currency"},
		{"too much", `"USD 4.50"`, `"USD 10000000.01"`, nil, exitNo, "fednow.amount.limit"},
		{"nothing", `"USD 4.50"`, `"USD 0.00"`, nil, exitNo, "fednow.amount.limit"},
		{"an unknown field", `"amount"`, `"amuont"`, nil, exitNo, "json.unknown"},
		{"an unknown field below", `"name"`, `"nmae"`, nil, exitNo, "debtor.nmae"},
		{"a name twice", `"amount"`, `"amount": "USD 1.00", "amount"`, nil, exitUnreadable, "stands twice"},
		{"null", `"USD 4.50"`, `null`, nil, exitNo, "json.null"},
		{"an object for a text", `"USD 4.50"`, `{}`, nil, exitNo, "json.text"},
		{"a text for an object", `"amount": "USD 4.50"`, `"amount": "USD 4.50", "supplementary": "x"`, nil, exitNo, "json.object"},
		{"a wrong routing number", "091000019", "091000018", nil, exitNo, "fednow.aba.checksum"},
		{"a flag beside JSON", "", "", []string{"--amount", "USD 5.00"}, exitUnreadable, "stands in the JSON document too"},
		{"a flag twice", "", "", []string{"--purpose", "GDDS", "--purpose", "GDDS"}, exitUnreadable, "twice"},
		{"an unknown flag", "", "", []string{"--debtor.phone", "1"}, exitNo, "debtor.phone"},
		{"a flag without a value", "", "", []string{"--purpose"}, exitUnreadable, "wants a value"},
		{"a time without a zone", "", "", []string{"--created", "2026-11-23T12:00:00"}, exitNo, "json.time"},
		{"a boolean in writing", `"amount"`, `"groupLevel": "yes", "amount"`, nil, exitNo, "json.boolean"},
		{"behind the end", "\n}\n", "\n}\n{}", nil, exitUnreadable, "behind the JSON value"},
		{"no JSON", "{", "<", nil, exitUnreadable, "not JSON"},
		{"an escape in a name", "Example Payer", `\u001b[31mx`, nil, exitNo, "json.name"},
		{"an escape in a field", `"amount"`, `"\u001b[31m"`, nil, exitNo, "⟨ESC⟩"},
		{"a wrong id", "", "", []string{"--messageId", "MYREF"}, exitNo, "fednow.msgid.format"},
		{"deep", `"USD 4.50"`, strings.Repeat("[", 40) + strings.Repeat("]", 40), nil, exitUnreadable, "32 levels"},
		{"fits", "", "", []string{"--purpose", "GDDS"}, exitOK, ""},
	} {
		doc := strings.Replace(example, c.old, c.new, 1)
		if c.old != "" && doc == example {
			t.Errorf("%s: %q is not in the example", c.name, c.old)
		}
		status, out, errs := call(t, strings.NewReader(doc), append([]string{"new", "pacs.008", "--profile", "fednow", "--json", "-"}, c.args...)...)
		if status != c.status || !strings.Contains(errs, c.says) || (status == exitOK) != (out != "") || strings.Contains(errs, "\x1b") {
			t.Errorf("%s: %d %s%s", c.name, status, errs, out)
		}
	}
	for _, args := range [][]string{{}, {"pacs.999"}, {"pain.001", "--profile", "fednow"}, {"pacs.008", "--profile", "swift"}, {"pacs.008", "--at", "noon"},
		{"pacs.008", "--json", "/no/such/file"}, {"pacs.008", "pacs.002"}, {"head.001"}} {
		if status, out, errs := call(t, nil, append([]string{"new"}, args...)...); status != exitUnreadable || out != "" || errs == "" {
			t.Errorf("%q: %d %s%s", args, status, out, errs)
		}
	}
}

// By flags alone, and what the rail writes otherwise is said.
func TestNewFlags(t *testing.T) {
	status, wire, errs := call(t, nil, "new", "pacs.008", "--profile=sctinst", "--amount", "EUR 4.50", "--debtor.name", "Example Payer", "--debtor.account=DE89370400440532013000",
		"--debtor.agent.id", "PAYRDEF0XXX", "--creditor.name", "Käsekuchen", "--creditor.account", "FR1420041010050500013M02606", "--creditor.agent.id", "SHOPFRP0XXX", "--endToEndId", "INVOICE-7")
	if status != exitOK || !strings.Contains(errs, `creditor.name: written as "Kasekuchen"`) {
		t.Fatalf("%d %s", status, errs)
	}
	p := must(rails.Lookup("sctinst"))
	m, err := p.Decode([]byte(wire), rail.ToService)
	if err != nil || m.Transfer.EndToEndID != "INVOICE-7" || m.Transfer.Amount.String() != "EUR 4.50" || m.Header.From != "PAYRDEF0XXX" || m.Transfer.UETR == "" {
		t.Errorf("%v %+v", err, m)
	}
	other, _, _ := call(t, nil, "new", "pacs.002", "--originalEndToEnd", "E", "--status", "RJCT", "--reason", "AC04")
	if other != exitOK {
		t.Errorf("a pacs.002 by flags: %d", other)
	}
	_, out, _ := call(t, nil, "new", "pain.001", "--initiator.name", "Example Payer", "--batches.0.id", "B-1", "--batches.0.execution.date", "2026-11-24", "--batches.0.debtor.name", "Example Payer",
		"--batches.0.debtor.account", "DE89370400440532013000", "--batches.0.debtor.agent.id", "PAYRDEF0XXX", "--batches.0.payments.0.endToEndId", "E-1", "--batches.0.payments.0.amount", "EUR 1.00")
	if n, err := iso20022.DecodeInitiation([]byte(out)); err != nil || len(n.Batches) != 1 || n.Batches[0].Payments[0].EndToEndID != "E-1" {
		t.Errorf("%v %s", err, out)
	}
}

func FuzzNewJSON(f *testing.F) {
	for _, name := range rails.Names() {
		b, _ := appendJSON(nil, reflect.ValueOf(exampleOf("pacs.008.001.08", must(rails.Lookup(name)))).Elem(), "")
		f.Add(b)
	}
	f.Add([]byte(`{"header":{"from":"x"},"amount":1,"debtor":[],"details":null}`))
	p := must(rails.Lookup("fednow"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseJSON(b)
		fields, ok := v.(map[string]any)
		if err != nil || !ok {
			return
		}
		made := (&builder{profile: p, seed: "1"}).build("pacs.008.001.08", fields)
		if made.wrong == nil && !bytes.Contains(made.wire, []byte("FIToFICstmrCdtTrf")) {
			t.Error("neither a message nor a fault")
		}
	})
}

// A payment and what is said about it, each message made from the one before: all of them are of one payment.
func TestNewAbout(t *testing.T) {
	for _, name := range rails.Names() {
		p := must(rails.Lookup(name))
		dir := t.TempDir()
		create := func(file string, args ...string) string {
			t.Helper()
			status, wire, errs := call(t, nil, append([]string{"new", "--profile", name, "--at", "2026-11-23T12:00:00Z"}, args...)...)
			if status != exitOK {
				t.Fatalf("%s %q: %d %s", name, args, status, errs)
			}
			path := filepath.Join(dir, file)
			if err := os.WriteFile(path, []byte(wire), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		_, example, _ := call(t, nil, "new", "pacs.008", "--profile", name, "--example")
		doc := filepath.Join(t.TempDir(), "doc.json")
		if err := os.WriteFile(doc, []byte(example), 0o600); err != nil {
			t.Fatal(err)
		}
		transfer := create("1.xml", "pacs.008", "--json", doc)
		create("2.xml", "pacs.002", "--about", transfer, "--status", p.AnswerYes())
		want := 2
		if name != "pix" {
			create("3.xml", "camt.056", "--about", transfer, "--reason.code", "DUPL")
			create("4.xml", "camt.029", "--about", transfer, "--confirmation", "RJCR", "--status", "RJCR", "--reason.code", "LEGL")
			create("5.xml", "pacs.028", "--about", transfer)
			want += 3
		}
		if name != "rtp" {
			args := []string{"pacs.004", "--about", transfer, "--reason.code", map[string]string{"fednow": "CUST", "sctinst": "FOCR", "pix": "MD06"}[name]}
			if name != "pix" {
				args = append(args, "--debtor.name", "Example Coffee", "--creditor.name", "Example Payer")
			}
			create("6.xml", args...)
			want++
		}
		status, out, errs := call(t, nil, "status", "--profile", name, "--at", "2026-11-23T12:00:01Z", "--json", dir)
		var all timelineJSON
		if err := json.Unmarshal([]byte(out), &all); err != nil || status != exitOK || len(all.Payments) != 1 || len(all.Payments[0].Events) != want || len(all.Left) > 0 {
			t.Errorf("%s: %d %v %s%s", name, status, err, out, errs)
		}
		if status, _, errs := call(t, nil, "new", "pacs.008", "--profile", name, "--about", transfer); status != exitUnreadable || errs == "" {
			t.Errorf("%s: a pacs.008 about another: %d", name, status)
		}
		if status, _, errs := call(t, nil, "new", "pacs.002", "--profile", name, "--about", doc); status != exitUnreadable || errs == "" {
			t.Errorf("%s: about no message: %d", name, status)
		}
	}
}
