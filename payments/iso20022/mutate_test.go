package iso20022

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"pgregory.net/rapid"
)

// Whatever a program hands to an encoder, it fails with a fault and writes nothing, or writes a valid document that decodes to the same
// and is encoded to the same bytes again: for every message, by changing some fields of an example to what is drawn.
func TestAnyMessage(t *testing.T) {
	for i, m := range examples {
		t.Run(fmt.Sprintf("%d %s", i, m.Definition()), func(t *testing.T) {
			written, refused := 0, 0
			rapid.Check(t, func(rt *rapid.T) {
				changed := clone(reflect.ValueOf(m)).Interface().(Message)
				for range rapid.IntRange(1, 3).Draw(rt, "changes") {
					changeField(rt, reflect.ValueOf(changed).Elem())
				}
				b, err := changed.Append([]byte("before"))
				if err != nil {
					refused++
					if f, ok := err.(*Fault); !ok || f.Rule == "" || f.Path == "" || string(b) != "before" {
						rt.Fatalf("%#v, the buffer holds %s", err, b)
					}
					return
				}
				written++
				thereAndBack(rt, Format{}, changed)
			})
			if written == 0 || refused == 0 {
				t.Errorf("%d written, %d refused", written, refused)
			}
		})
	}
}

// clone returns a deep copy.
func clone(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(clone(v.Elem()))
		return p
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		s := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			s.Index(i).Set(clone(v.Index(i)))
		}
		return s
	case reflect.Struct:
		c := reflect.New(v.Type()).Elem()
		c.Set(v)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				c.Field(i).Set(clone(v.Field(i)))
			}
		}
		return c
	}
	return v
}

// changeField gives one field, somewhere in v, another value.
func changeField(t *rapid.T, v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = genTime.Draw(t, "time")
		return
	case *payments.Amount:
		*x = genAmount.Draw(t, "amount")
		return
	case *payments.Account:
		*x = genAccount.Draw(t, "account")
		return
	case *payments.Name:
		*x, _ = payments.ParseName(genText(140).Draw(t, "name"))
		return
	case *Agent:
		*x = genAgent.Draw(t, "agent")
		return
	case *payments.UETR:
		*x = genUETR().Draw(t, "uetr")
		return
	case *payments.Currency:
		*x = rapid.SampledFrom([]payments.Currency{"", "EUR", "USD", "QQQ", "<"}).Draw(t, "currency")
		return
	case *SupplementaryData:
		*x = rapid.SampledFrom([]SupplementaryData{"", extra, more, "<SplmtryData/>", "<x/>", extra + "x"}).Draw(t, "supplementary")
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if rapid.IntRange(0, 9).Draw(t, "none") == 0 {
			v.SetZero()
			return
		}
		changeField(t, v.Field(rapid.IntRange(0, v.NumField()-1).Draw(t, "field")))
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		} else if rapid.Bool().Draw(t, "nil") {
			v.SetZero()
		} else {
			changeField(t, v.Elem())
		}
	case reflect.Slice:
		switch n := v.Len(); {
		case n == 0 || rapid.IntRange(0, 3).Draw(t, "more") == 0:
			v.Set(reflect.Append(v, reflect.New(v.Type().Elem()).Elem()))
		case rapid.IntRange(0, 3).Draw(t, "less") == 0:
			v.Set(v.Slice(0, n-1))
		default:
			changeField(t, v.Index(rapid.IntRange(0, n-1).Draw(t, "item")))
		}
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString(rapid.OneOf(genID(), genCode(), genText(140), genDate(), rapid.SampledFrom([]string{"SLEV", "AAAADEFF", "DE", "5493001KJTIIGC8Y1R12", "MS03"})).Draw(t, "text"))
	default:
		t.Fatalf("a field of the kind %s", v.Kind())
	}
}

// Documents made to harm are refused, by every decoder, and hold nobody up.
func TestAttacks(t *testing.T) {
	for _, m := range examples {
		t.Run(m.Definition(), func(t *testing.T) {
			doc := string(encoded(t, m))
			root, _, _ := strings.Cut(doc[1:], " ")
			first := strings.Index(doc, ">") + 1 // behind the start tag of the root
			inside := func(s string) string { return doc[:first] + s + doc[first:] }
			attacks := map[string]string{
				"DOCTYPE":                  "<!DOCTYPE x>" + doc,
				"billion laughs":           `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>` + doc,
				"external entity":          `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + inside("&a;"),
				"undefined entity":         inside("&a;"),
				"processing instruction":   inside("<?xml-stylesheet href='x'?>"),
				"UTF-7":                    `<?xml version="1.0" encoding="UTF-7"?>` + doc,
				"UTF-16":                   "\xff\xfe" + doc,
				"not UTF-8":                inside("\xff"),
				"XML 1.1":                  `<?xml version="1.1"?>` + doc,
				"text in front":            inside("text"),
				"CDATA between elements":   inside("<![CDATA[x]]>"),
				"foreign element":          inside(`<e:x xmlns:e="urn:evil"/>`),
				"foreign namespace":        strings.Replace(doc, "<", "<", 1)[:first] + `<e:` + doc[first+1:strings.Index(doc[first:], ">")+first] + ` xmlns:e="urn:evil">` + doc[strings.Index(doc[first:], ">")+first+1:],
				"attribute":                doc[:first-1] + ` a="1">` + doc[first:],
				"attribute twice":          doc[:first-1] + ` a="1" a="2">` + doc[first:],
				"type":                     doc[:first-1] + ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x">` + doc[first:],
				"another root":             doc + doc,
				"cut off":                  doc[:len(doc)-3],
				"empty":                    "",
				"unknown element":          inside("<Foo/>"),
				"nothing in it":            doc[:first] + "</" + root + ">",
				"deep nesting":             inside(strings.Repeat("<a>", 100_000)),
				"many elements":            inside(strings.Repeat("<a/>", 200_000)),
				"more than the limit":      inside(strings.Repeat(" ", 2<<20)), // 64 MB: TestAttackTable
				"many attributes":          doc[:first-1] + strings.Repeat(` a="1"`, 1000) + ">" + doc[first:],
				"many namespaces":          inside(strings.Repeat(`<a xmlns:p="urn:x"/>`, 1000)),
				"comment that never ends":  inside("<!--" + strings.Repeat("-", 100_000)),
				"reference beyond Unicode": inside("&#x110000;"),
				"control character":        inside("\x01"),
				"control by reference":     inside("&#1;"),
			}
			for name, attack := range attacks {
				b := []byte(attack)
				begin := time.Now()
				got, err := Decode(b)
				if took := time.Since(begin); took > 100*time.Millisecond {
					t.Errorf("%s: took %v", name, took)
				}
				if _, ok := err.(*Fault); !ok || got != nil {
					t.Errorf("%s: %v, %v", name, got, err)
				}
			}
		})
	}
}

// What every leaf refuses: values that a schema may allow and no payment needs. A text with white space, markup and a comment in it is
// never taken for the text without.
func TestMarkupInValues(t *testing.T) {
	for _, m := range examples {
		doc := encoded(t, m)
		var tr tree
		if f := tr.scan(doc); f != nil {
			t.Fatal(f)
		}
		for i := range tr.nodes {
			n := tr.nodes[i]
			text := string(doc[n.textAt:n.textEnd])
			if !tr.isLeaf(uint32(i)) || text == "" || strings.ContainsAny(text, "&") || string(tr.uri(uint32(i))) != Namespace(m.Definition()) {
				continue
			}
			for _, value := range []string{"<!---->" + text, text[:1] + "<!-- c -->" + text[1:], text + "\r", text + "<x/>", text + "\x00"} {
				changed := bytes.Join([][]byte{doc[:n.textAt], []byte(value), doc[n.textEnd:]}, nil)
				if got, err := Decode(changed); err == nil && same(got, m) && !strings.Contains(tr.path(uint32(i)), "OrgnlTxRef") {
					t.Errorf("%s %s: %q is taken for %q", m.Definition(), tr.path(uint32(i)), value, text)
				}
			}
		}
	}
}

// A leaf of an amount in any message takes nothing but plain digits with the decimals of its currency.
func TestAmountsEverywhere(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range examples {
		doc := encoded(t, m)
		var tr tree
		if f := tr.scan(doc); f != nil {
			t.Fatal(f)
		}
		for i := range tr.nodes {
			n := tr.nodes[i]
			if list := tr.attributes(uint32(i)); len(list) != 1 || string(doc[list[0].nameAt:list[0].nameEnd]) != "Ccy" {
				continue
			}
			seen[m.Definition()] = true
			for _, value := range []string{"1e3", "+4.50", "-4.50", "4,50", " 4.50", "4.5", "4.500", "04.50", ".50", "4.", "٤.٥٠", "４.５０", "0x4", "NaN", "INF", "4.50<!---->",
				"<![CDATA[4.50]]>", "4&#46;50", "1_000.00", "1 000.00", "999999999999999999.99", "1234567890123456789.00", ""} {
				changed := bytes.Join([][]byte{doc[:n.textAt], []byte(value), doc[n.textEnd:]}, nil)
				if got, err := Decode(changed); err == nil {
					t.Errorf("%s %s: %q is taken: %+v", m.Definition(), tr.path(uint32(i)), value, got)
				}
			}
		}
	}
	if len(seen) < 14 {
		t.Errorf("amounts in %d messages only", len(seen))
	}
}
