package iso20022

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
)

// sameMeaning reports where two elements of valid documents differ: "" if they say the same. Numbers, times and booleans are compared by
// value, the place of a schema on the root and xsi:type are left out.
func sameMeaning(a, b Element) string {
	if a.Name() != b.Name() || a.Namespace() != b.Namespace() {
		return a.Path() + " is " + b.Path()
	}
	if a.Type() != b.Type() {
		return a.Path() + ": type"
	}
	if strings.HasPrefix(a.Type(), "SupplementaryDataEnvelope") || strings.HasPrefix(a.Type(), "SignatureEnvelope") || strings.HasPrefix(a.Type(), "SkipPayload") {
		for c := range a.Children() { // one
			for d := range b.Children() {
				if c.Equal(d) {
					return ""
				}
			}
		}
		return a.Path() + ": content"
	}
	x, _ := a.Attr("Ccy")
	if y, _ := b.Attr("Ccy"); x != y {
		return a.Path() + "/@Ccy"
	}
	if a.IsLeaf() && b.IsLeaf() {
		x, y := a.Text(), b.Text()
		if x == y || strings.TrimSpace(x)+strings.TrimSpace(y) == "" {
			return ""
		}
		if strings.Trim(x+y, "0123456789+-. \t\r\n") == "" {
			r, ok := new(big.Rat).SetString(strings.TrimSpace(x))
			if q, too := new(big.Rat).SetString(strings.TrimSpace(y)); ok && too && r.Cmp(q) == 0 {
				return ""
			}
		}
		tx, errX := time.Parse(time.RFC3339Nano, strings.TrimSpace(x))
		ty, errY := time.Parse(time.RFC3339Nano, strings.TrimSpace(y))
		_, ox := tx.Zone()
		_, oy := ty.Zone()
		if errX == nil && errY == nil && tx.Equal(ty) && ox == oy {
			return ""
		}
		bool := map[string]string{"1": "true", "0": "false", "true": "true", "false": "false"}
		if v, ok := bool[strings.TrimSpace(x)]; ok && v == bool[strings.TrimSpace(y)] {
			return ""
		}
		return a.Path() + ": value"
	}
	var children []Element
	for c := range b.Children() {
		children = append(children, c)
	}
	for c := range a.Children() {
		if len(children) == 0 {
			return c.Path() + " is missing"
		}
		if d := sameMeaning(c, children[0]); d != "" {
			return d
		}
		children = children[1:]
	}
	if len(children) > 0 {
		return children[0].Path() + " is too much"
	}
	return ""
}

// keeps decodes a valid document and encodes it again, to the same meaning, and once more, to the same bytes.
func keeps(t fataler, f Format, doc []byte) *Kept {
	t.Helper()
	k, err := f.DecodeKeeping(doc)
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	b, err := k.Append([]byte("before"))
	b, ok := bytes.CutPrefix(b, []byte("before"))
	if err != nil || !ok {
		t.Fatalf("%v\n%s\n%+v", err, doc, k.Other)
	}
	x, err := Inspect(doc)
	if err != nil {
		t.Fatalf("%v", err)
	}
	y, err := Inspect(b)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if d := sameMeaning(x.Root(), y.Root()); d != "" {
		t.Fatalf("%s\n%s\nbecomes\n%s\n%+v", d, doc, b, k.Other)
	}
	again, err := f.DecodeKeeping(b)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	c, err := again.Append(nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if z, err := Inspect(c); err != nil || sameMeaning(y.Root(), z.Root()) != "" {
		t.Fatalf("encoded differently: %v\n%s\n%s", err, b, c)
	}
	// What Decode takes has no part that money may depend on.
	if strict, err := f.Decode(doc); (err == nil) != (len(k.Refused) == 0) {
		t.Fatalf("Decode says %v, DecodeKeeping refuses %v\n%s", err, k.Refused, doc)
	} else if err == nil && !same(strict, k.Message) {
		t.Fatalf("Decode reads\n%+v\nDecodeKeeping\n%+v", strict, k.Message)
	}
	for _, e := range k.Other {
		if e.Rule != "" && len(k.Refused) == 0 {
			t.Fatalf("%s: %s, and nothing is refused", e.Path, e.Rule)
		}
	}
	return k
}

// Every published sample of a message with a codec means the same after it was decoded and encoded again.
func TestKeepSamples(t *testing.T) {
	messages, others := 0, 0
	for def, docs := range published(t) {
		if newMessage(def) == nil {
			continue
		}
		for _, doc := range docs {
			if Validate(doc) != nil {
				continue
			}
			messages++
			k := keeps(t, Format{}, doc)
			others += len(k.Other)
			for _, f := range k.Refused {
				if strings.HasPrefix(f.Rule, "model.time") { // RTP: local times
					keeps(t, Format{LocalZone: time.FixedZone("", -4*3600)}, doc)
					break
				}
			}
		}
	}
	t.Logf("%d messages, %d elements beyond the fields", messages, others)
	if messages < 30 || others < 100 {
		t.Errorf("%d messages, %d elements beyond the fields", messages, others)
	}
}

// So does any valid document of every message with a codec.
func TestKeepAny(t *testing.T) {
	samples := published(t)
	for i, def := range Definitions() {
		s := isoTables.schema([]byte(Namespace(def)))
		n := 0
		for _, d := range mutants(&isoTables, s, uint64(4000+i), 60, 3, samples[def]...) {
			if Validate(d.doc) == nil {
				keeps(t, Format{}, d.doc)
				n++
			}
		}
		if n < 4 {
			t.Errorf("%s: %d valid documents", def, n)
		}
	}
	for _, m := range examples {
		doc := encoded(t, m)
		if k := keeps(t, Format{}, doc); len(k.Other) > 0 {
			t.Errorf("%s: %+v", m.Definition(), k.Other)
		}
		r := rand.New(rand.NewPCG(5, 5))
		for range 8 {
			if d, _ := mutate(r, doc); Validate(d) == nil {
				keeps(t, Format{}, d)
			}
		}
		for _, v := range everyElement(t, doc) {
			keeps(t, Format{}, v.doc)
		}
	}
}

// A program changes fields and others of what it has read, and what it did not touch stays.
func TestKeepAndChange(t *testing.T) {
	doc := encoded(t, &sepaTransfer)
	doc = edit(t, doc, "<Dbtr>", `<IntrmyAgt1><FinInstnId><BICFI>CCCCITMM</BICFI></FinInstnId></IntrmyAgt1><UltmtDbtr><Nm>Example Parent</Nm></UltmtDbtr><Dbtr>`)
	k := keeps(t, Format{}, doc)
	want := []Extra{
		{Path: "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/IntrmyAgt1", XML: "<IntrmyAgt1><FinInstnId><BICFI>CCCCITMM</BICFI></FinInstnId></IntrmyAgt1>", Rule: "model.element"},
		{Path: "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/UltmtDbtr", XML: "<UltmtDbtr><Nm>Example Parent</Nm></UltmtDbtr>"},
	}
	if len(k.Other) != 2 || len(k.Refused) != 1 {
		t.Fatalf("%+v, %v", k.Other, k.Refused)
	}
	for i, e := range k.Other {
		if e.Path != want[i].Path || e.XML != want[i].XML || e.Rule != want[i].Rule {
			t.Errorf("%+v, want %+v", e, want[i])
		}
	}
	k.Message.(*CreditTransfer).Amount = payments.Amount{Minor: 1, Currency: "EUR"}
	k.Other = append(k.Other, Extra{Path: "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/InstrForCdtrAgt[2]", XML: "<InstrForCdtrAgt><InstrInf>second</InstrInf></InstrForCdtrAgt>"},
		Extra{Path: "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/InstrForCdtrAgt", XML: "<InstrForCdtrAgt><InstrInf>first</InstrInf></InstrForCdtrAgt>"},
		Extra{Path: "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/RmtInf/Strd/RfrdDocInf/Nb", XML: "<Nb>4711</Nb>"},
		Extra{Path: "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/ChrgBr", XML: "<ChrgBr>DEBT</ChrgBr>"}) // which a field says
	b, err := k.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{`<IntrBkSttlmAmt Ccy="EUR">0.01</IntrBkSttlmAmt>`, "Example Parent", "CCCCITMM", "first</InstrInf></InstrForCdtrAgt><InstrForCdtrAgt><InstrInf>second", "<RfrdDocInf><Nb>4711</Nb></RfrdDocInf>", "<ChrgBr>SLEV</ChrgBr>"} {
		if !strings.Contains(string(b), s) {
			t.Errorf("no %s in\n%s", s, b)
		}
	}
	for _, bad := range []Extra{
		{}, {Path: "/", XML: "<x/>"}, {Path: "/Document", XML: "<Document/>"}, {Path: "/Foo/Bar", XML: "<Bar/>"}, {Path: "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/Foo", XML: "<Foo/>"},
		{Path: "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/UltmtDbtr", XML: "<UltmtDbtr>"}, {Path: "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/UltmtCdtr", XML: "<UltmtDbtr/>"},
		{Path: "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/UltmtCdtr", XML: "<UltmtCdtr/><UltmtCdtr/>"}, {Path: "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/UltmtCdtr", XML: "<UltmtCdtr><Foo/></UltmtCdtr>"},
		{Path: "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf/UltmtCdtr", XML: "</Document><Document><UltmtCdtr/>"}, {Path: "/Document/FIToFICstmrCdtTrf/CdtTrfTxInf[2]/UltmtCdtr", XML: "<UltmtCdtr/>"},
	} {
		broken := &Kept{Message: k.Message, Other: []Extra{bad}}
		if b, err := broken.Append([]byte("before")); err == nil && bad.XML != "" || string(b) != "before" && bad.XML != "" {
			t.Errorf("%+v is written: %s", bad, b)
		} else if _, ok := err.(*Fault); err != nil && !ok {
			t.Errorf("%T", err)
		}
	}
	empty := &Kept{Message: new(CreditTransfer)}
	if b, err := empty.Append(nil); err == nil {
		t.Errorf("an empty message is written: %s", b)
	}
}

// What is refused everywhere is refused here.
func TestKeepRefuses(t *testing.T) {
	for _, doc := range []string{"", "<a/>", `<Document xmlns="` + Namespace("camt.053.001.08") + `"/>`, strings.Replace(string(encoded(t, &sepaTransfer)), "<CdtTrfTxInf>", "<Foo/><CdtTrfTxInf>", 1)} {
		if k, err := DecodeKeeping([]byte(doc)); err == nil {
			t.Errorf("%s: %+v", doc, k)
		} else if _, ok := err.(*Fault); !ok {
			t.Errorf("%T", err)
		}
	}
	// A value with markup in it is kept, and its field stays empty.
	doc := edit(t, encoded(t, &sepaTransfer), ">"+sepaTransfer.Amount.Text()+"</IntrBkSttlmAmt>", ">"+sepaTransfer.Amount.Text()[:1]+"<!---->"+sepaTransfer.Amount.Text()[1:]+"</IntrBkSttlmAmt>")
	k := keeps(t, Format{}, doc)
	if m := k.Message.(*CreditTransfer); m.Amount != (payments.Amount{}) || len(k.Refused) == 0 {
		t.Errorf("%+v, %v", m.Amount, k.Refused)
	}
}

// FuzzKeep: whatever is valid means the same after it was decoded and encoded again.
func FuzzKeep(f *testing.F) {
	for _, m := range examples {
		f.Add(encoded(f, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		def, _ := MessageDefinition(b)
		if Validate(b) != nil || newMessage(def) == nil {
			if k, err := DecodeKeeping(b); err == nil {
				t.Fatalf("%+v", k)
			}
			return
		}
		keeps(t, Format{}, b)
	})
}
