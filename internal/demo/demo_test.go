package demo

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

// Parts of a message on any rail stand alone, with the content byte for byte where its prefixes allow; Pix has none.
func TestISOParts(t *testing.T) {
	const head, pacs = `urn:iso:std:iso:20022:tech:xsd:head.001.001.01`, `urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10`
	for name, c := range map[string]struct {
		wire string
		want map[string]string // path of the root and the text of a leaf
	}{
		"as they are": {`<W xmlns="urn:x"><AppHdr xmlns="` + head + `"><CreDt>1</CreDt></AppHdr><Document xmlns="` + pacs + `"><FIToFIPmtStsRpt>a&amp;b</FIToFIPmtStsRpt></Document></W>`,
			map[string]string{"AppHdr": "1", "Document": "a&b"}},
		"in the rail's own elements": {`<Message xmlns="urn:tch" xmlns:h="` + head + `" xmlns:m="` + pacs + `"><AppHdr><h:CreDt>1</h:CreDt></AppHdr><MessageStatusReport><m:FIToFIPmtStsRpt>a&amp;b</m:FIToFIPmtStsRpt></MessageStatusReport></Message>`,
			map[string]string{"AppHdr": "1", "Document": "a&b"}},
		"another namespace": {`<Envelope xmlns="https://www.bcb.gov.br/pi/pacs.002/1.17"><AppHdr><CreDt>1</CreDt></AppHdr><Document><FIToFIPmtStsRpt>a</FIToFIPmtStsRpt></Document></Envelope>`, nil},
	} {
		parts, err := isoParts([]byte(c.wire))
		if err != nil || len(parts) != len(c.want) {
			t.Fatalf("%s: %d parts, %v", name, len(parts), err)
		}
		for part, text := range c.want {
			tree, err := iso20022.Parse(parts[part])
			if err != nil {
				t.Fatalf("%s: %s: %v", name, part, err)
			}
			root, leaf := tree.Root(), ""
			for e := range root.Children() {
				leaf = e.Text()
			}
			if root.Name() != part || root.Definition() == "" || leaf != text {
				t.Errorf("%s: %s", name, parts[part])
			}
		}
	}
	if _, err := isoParts([]byte("<a>")); err == nil {
		t.Error("what is no document has parts")
	}
}

// A person reads what the rail's own rule is, in lines that fit.
func TestUnknownInTheRailsWords(t *testing.T) {
	for _, of := range []rail.Recovery{rail.Wait, rail.Ask, rail.ResendMarked, rail.ResendSame} {
		for _, why := range []string{"no_answer", "restart", "transport", "new"} {
			words, ok := recoveries[of]
			if !ok || words.next == "" || words.rule == "" {
				t.Fatalf("no words for %q", of)
			}
			var out bytes.Buffer
			p := transcript{w: &out, next: words.next}
			p.event(trace.Event{T: time.Now(), Actor: actorPayerBank, Event: "unknown", Status: "unknown", Detail: why})
			said := strings.Join(strings.Fields(out.String()), " ")
			if !strings.Contains(said, "UNKNOWN") || !strings.Contains(said, words.next) || strings.ContainsAny(said, "{}") {
				t.Errorf("%q %s: %s", of, why, said)
			}
		}
	}
}

func TestWrapped(t *testing.T) {
	long := strings.Repeat("wörter ", 30)
	for line := range strings.Lines(wrapped(long)) {
		if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > textWidth || n == 0 {
			t.Errorf("%d columns of %d", n, textWidth)
		}
	}
	if got := strings.Fields(wrapped(long)); strings.Join(got, " ") != strings.TrimSpace(long) {
		t.Error("words are lost")
	}
	if word := strings.Repeat("x", textWidth+1); wrapped(word) != word {
		t.Error("a long word is broken")
	}
}

// The reason of a refusal is told in ISO's words, and one that is no code of ISO's is not.
func TestReasonInWords(t *testing.T) {
	for reason, want := range map[string]bool{"AC03": true, "DS24": true, "ZZ99": false, "no-match": false, "": false} {
		var out bytes.Buffer
		p := transcript{w: &out}
		p.result(Result{Intent: "pi_x", Status: "rejected", Reason: reason})
		if got := strings.Contains(out.String(), "in the words of ISO 20022"); got != want {
			t.Errorf("%q: %s", reason, out.String())
		}
	}
}
