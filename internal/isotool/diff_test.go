package isotool

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parleypay/parley/internal/shared"
	"github.com/parleypay/parley/payments/iso20022"
)

// sampleDocuments are the published messages, by file.
func sampleDocuments(t *testing.T) map[string][]byte {
	t.Helper()
	dir := shared.Path(t, "iso20022/samples")
	files, err := filepath.Glob(filepath.Join(dir, "*.xml"))
	if err != nil || len(files) < 30 {
		t.Fatalf("%d samples: %v", len(files), err)
	}
	samples := make(map[string][]byte)
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(name, "head.001-signed") {
			continue // a header and no message
		}
		samples[filepath.Base(name)] = b
	}
	return samples
}

func parsed(t *testing.T, b []byte) *document {
	t.Helper()
	d, err := readDocument(&file{Name: "x", Reader: strings.NewReader(string(b))})
	if err != nil {
		t.Fatalf("%v in %.300s", err, b)
	}
	return d
}

// rewrite writes a tree again: leaf gives the text of each leaf, other spellings of tags and space are drawn.
func rewrite(tree *iso20022.Tree, leaf func(e iso20022.Element) string, random *rand.Rand) string {
	var b strings.Builder
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&#62;", `"`, "&quot;", "\r", "&#13;")
	var write func(e iso20022.Element, inside string)
	write = func(e iso20022.Element, inside string) {
		prefix, declare := "", ""
		if e.Namespace() != inside {
			declare = fmt.Sprintf(` xmlns="%s"`, e.Namespace())
			if e.Namespace() == "" {
				declare = ` xmlns=""`
			}
		}
		if e.Namespace() != "" && random.IntN(4) == 0 {
			prefix = fmt.Sprintf("p%d:", random.IntN(3))
			declare = fmt.Sprintf(` xmlns:%s="%s"`, strings.TrimSuffix(prefix, ":"), e.Namespace())
		}
		b.WriteString("<" + prefix + e.Name() + declare)
		attributes := e.Attributes()
		random.Shuffle(len(attributes), func(i, k int) { attributes[i], attributes[k] = attributes[k], attributes[i] })
		for i, a := range attributes {
			name := a.Name
			if a.Namespace != "" {
				name = fmt.Sprintf("a%d:%s", i, a.Name)
				fmt.Fprintf(&b, ` xmlns:a%d="%s"`, i, a.Namespace)
			}
			fmt.Fprintf(&b, " %s = '%s'", name, strings.ReplaceAll(escape.Replace(a.Value), "'", "&#39;"))
		}
		b.WriteString(">")
		under := inside
		if prefix == "" {
			under = e.Namespace()
		}
		if e.IsLeaf() {
			b.WriteString(escape.Replace(leaf(e)))
		} else {
			for c := range e.Children() {
				if !e.HasText() && random.IntN(2) == 0 {
					b.WriteString("\n\t<!-- note -->  ")
				}
				write(c, under)
			}
			if e.HasText() {
				b.WriteString(escape.Replace(strings.TrimSpace(e.Text())))
			}
		}
		b.WriteString("</" + prefix + e.Name() + " >")
	}
	write(tree.Root(), "\x00")
	return b.String()
}

// A message is equal to itself and to any other spelling of it; no change of a value, no element more or less goes unseen.
func TestDiffSamples(t *testing.T) {
	for name, sample := range sampleDocuments(t) {
		random := rand.New(rand.NewPCG(1, uint64(len(name))))
		a := parsed(t, sample)
		if d := compareMessages(a, a); !d.Equal || len(d.Notes)+len(d.Apart) > 0 {
			t.Errorf("%s differs from itself: %+v", name, d.Changes)
		}
		var total int
		var count func(e iso20022.Element)
		count = func(e iso20022.Element) {
			total++
			for c := range e.Children() {
				count(c)
			}
		}
		count(a.tree.Root())
		for range 10 {
			spelled := rewrite(a.tree, func(e iso20022.Element) string {
				switch text := e.Text(); e.Base() {
				case "decimal":
					if strings.Contains(text, ".") {
						return "0" + text + "00"
					}
					return " +" + text + ".0"
				case "boolean":
					return map[string]string{"true": "1", "false": "0"}[text]
				case "dateTime":
					return strings.Replace(text, "Z", "+00:00", 1)
				default:
					return text
				}
			}, random)
			if d := compareMessages(a, parsed(t, []byte(spelled))); !d.Equal {
				t.Fatalf("%s: another spelling is called different: %+v", name, *d.Changes[0].Old)
			}
		}
		for range 25 {
			at, n := 1+random.IntN(total-1), -1
			changed, what := "", ""
			drop := random.IntN(3) == 0
			var walk func(e iso20022.Element) string
			walk = func(e iso20022.Element) string {
				n++
				mine := n
				var b strings.Builder
				fmt.Fprintf(&b, `<%s xmlns="%s"`, e.Name(), e.Namespace())
				for _, a := range e.Attributes() {
					if a.Namespace == "" {
						fmt.Fprintf(&b, ` %s="%s"`, a.Name, strings.ReplaceAll(a.Value, `"`, ""))
					}
				}
				b.WriteString(">")
				if e.IsLeaf() {
					text := e.Text()
					if mine == at && !drop {
						text, what = text+"1", e.Path()
					}
					b.WriteString(strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(text))
				}
				for c := range e.Children() {
					if n+1 == at && drop {
						what = "without " + c.Path()
						walk(c)
						continue
					}
					b.WriteString(walk(c))
				}
				b.WriteString("</" + e.Name() + ">")
				return b.String()
			}
			plain := rewrite(a.tree, iso20022.Element.Text, rand.New(rand.NewPCG(9, 9)))
			base := parsed(t, []byte(plain))
			changed = walk(base.tree.Root())
			if what == "" {
				continue
			}
			d, err := readDocument(&file{Name: "x", Reader: strings.NewReader(changed)})
			if err != nil {
				continue // no message any more
			}
			if compareMessages(base, d).Equal {
				t.Errorf("%s: not seen: %s", name, what)
			}
		}
	}
}

const diffEnquiry = `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.028.001.03"><FIToFIPmtStsReq><GrpHdr><MsgId>ENQUIRY-1</MsgId><CreDtTm>2026-11-23T12:00:00Z</CreDtTm></GrpHdr>` +
	`<TxInf><OrgnlEndToEndId>E2E-1</OrgnlEndToEndId></TxInf><TxInf><OrgnlEndToEndId>E2E-2</OrgnlEndToEndId><OrgnlTxId>T-2</OrgnlTxId></TxInf></FIToFIPmtStsReq></Document>`

func TestDiffValues(t *testing.T) {
	for _, c := range []struct {
		base, a, b string
		want       sameness
	}{
		{"decimal", "5.0", "5.00", same}, {"decimal", "+05", "5.", same}, {"decimal", "-0", "0.0", same}, {"decimal", "5.00", "5.000001", different},
		{"decimal", "-5", "5", different}, {"decimal", "1e3", "1000", different}, {"decimal", "", "0", different},
		{"decimal", "123456789012345678901234567890.10", "123456789012345678901234567890.1", same},
		{"", "5.0", "5.00", different}, {"string", "5.0", "5.00", different}, {"string", "A", "A ", different},
		{"boolean", "1", " true", same}, {"boolean", "0", "true", different},
		{"dateTime", "2026-11-23T12:00:00Z", "2026-11-23T13:00:00.000+01:00", sameMoment}, {"dateTime", "2026-11-23T24:00:00Z", "2026-11-24T00:00:00-00:00", same},
		{"dateTime", "2026-11-23T12:00:00", "2026-11-23T12:00:00Z", different}, {"dateTime", "2026-11-23T12:00:00.0000000001Z", "2026-11-23T12:00:00Z", different},
		{"dateTime", "2026-11-23T12:00:00.5Z", "2026-11-23T12:00:00.500Z", same}, {"dateTime", "soon", "later", different},
		{"date", "2026-11-23Z", "2026-11-23+00:00", same}, {"date", "2026-11-23", "2026-11-23Z", different}, {"time", "12:00:00.50", "12:00:00.5", same},
		{"base64Binary", "AA AA", "AAAA", same}, {"base64Binary", "AAAA", "AAAB", different},
	} {
		for range 2 {
			if got := sameValue(c.base, c.a, c.b); got != c.want {
				t.Errorf("%s: %q and %q: %d", c.base, c.a, c.b, got)
			}
			c.a, c.b = c.b, c.a
		}
	}
}

func TestDiffCommand(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one := write("one.xml", diffEnquiry)
	swapped := write("swapped.xml", strings.Replace(strings.Replace(diffEnquiry, "<TxInf><OrgnlEndToEndId>E2E-1</OrgnlEndToEndId></TxInf>", "", 1), "</TxInf></FI",
		"</TxInf><TxInf><OrgnlEndToEndId>E2E-1</OrgnlEndToEndId></TxInf></FI", 1))
	for _, c := range []struct {
		name   string
		b      string
		flags  []string
		status int
		out    string
	}{
		{"itself", one, nil, exitOK, "equal: the two mean the same"},
		{"transactions in another order", swapped, nil, exitOK, "equal"},
		{"another zone", write("zone.xml", strings.Replace(diffEnquiry, "12:00:00Z", "13:00:00+01:00", 1)), nil, exitOK, "the same moment, in another zone"},
		{"one transaction changed", write("tx.xml", strings.Replace(diffEnquiry, "T-2", "T-3", 1)), nil, exitNo, "TxInf[OrgnlEndToEndId E2E-2]/OrgnlTxId\n    - T-2\n    + T-3"},
		{"one transaction less", write("less.xml", strings.Replace(diffEnquiry, "<TxInf><OrgnlEndToEndId>E2E-1</OrgnlEndToEndId></TxInf>", "", 1)), nil, exitNo, "TxInf[OrgnlEndToEndId E2E-1]"},
		{"elements in another order", write("order.xml", strings.Replace(diffEnquiry, "<MsgId>ENQUIRY-1</MsgId><CreDtTm>2026-11-23T12:00:00Z</CreDtTm>", "<CreDtTm>2026-11-23T12:00:00Z</CreDtTm><MsgId>ENQUIRY-1</MsgId>", 1)), nil, exitNo, "the order of elements"},
		{"another version", write("v5.xml", strings.Replace(diffEnquiry, "028.001.03", "028.001.05", 1)), nil, exitOK, "Two versions of one message"},
		{"another message", write("m.xml", strings.Replace(diffEnquiry, "pacs.028", "pacs.002", 1)), nil, exitNo, "- pacs.028.001.03\n    + pacs.002.001.03"},
		{"a wrapper", write("w.xml", `<w xmlns="urn:w">`+diffEnquiry+`</w>`), nil, exitNo, "wrapper: 1 difference\n  wrapper\n    + w of urn:w"},
		{"a wrapper, not asked for", filepath.Join(dir, "w.xml"), []string{"--part", "document"}, exitOK, "equal"},
		{"an escape sequence", write("esc.xml", strings.Replace(diffEnquiry, "T-2", "\u009b31mT\u202e", 1)), nil, exitNo, "⟨U+202E⟩"},
		{"JSON", filepath.Join(dir, "tx.xml"), []string{"--json"}, exitNo, `"old":"T-2","new":"T-3"`},
		{"no XML", write("bad.xml", "<a>"), nil, exitUnreadable, ""},
		{"no message", write("none.xml", "<a/>"), nil, exitUnreadable, ""},
		{"nothing there", filepath.Join(dir, "missing"), nil, exitUnreadable, ""},
		{"three", one, []string{one}, exitUnreadable, ""},
		{"a wrong part", one, []string{"--part", "body"}, exitUnreadable, ""},
	} {
		status, out, errs := call(t, nil, append(append([]string{"diff"}, c.flags...), one, c.b)...)
		if status != c.status || !strings.Contains(out, c.out) || (status == exitUnreadable) != (errs != "") || strings.ContainsAny(out, "\x1b\u009b\u202e") {
			t.Errorf("%s: status %d\n%s%s", c.name, status, out, errs)
		}
		for _, line := range strings.Split(out, "\n") {
			if len(c.flags) == 0 && columns(line) > 100+len(dir) {
				t.Errorf("%s: a line of %d columns", c.name, columns(line))
			}
		}
		if c.name == "JSON" {
			var d difference
			if err := json.Unmarshal([]byte(out), &d); err != nil || len(d.Changes) != 1 || d.A.Message != "pacs.028.001.03" {
				t.Errorf("%v: %s", err, out)
			}
		}
	}
}
