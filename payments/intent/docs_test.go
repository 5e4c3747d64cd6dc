package intent

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the examples into docs/payloads.md")

const payloadsPage = "../../docs/payloads.md"

// TestPayloadsPage holds docs/payloads.md against the code: the example of each payload is the bench's, byte for byte; each member
// of an example is in its section's table; and every reason for a refusal is named.
func TestPayloadsPage(t *testing.T) {
	b := newBench(t)
	code := must[CodeHash](t)(HashCode("7K2M-9QXC-41TB-RZ0V"))
	examples := map[string]string{
		typRequest: string(must[compact](t)(parseCompact(b.jws)).payload),
		typMandate: string(must[compact](t)(parseCompact(b.sign(t, b.mandate()))).payload),
		typConsent: string(Consent{b.key.Public, ProfileDeviceKey, "bank.example", code, b.now}.Canonical()),
	}
	for typ, s := range b.statements(t) {
		examples[typ] = string(must[compact](t)(parseCompact(s.jws)).payload)
	}
	raw, err := os.ReadFile(payloadsPage)
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	block := regexp.MustCompile("(?s)```json\n(.*?)\n```")
	if *update {
		for typ, example := range examples {
			head, rest, _ := strings.Cut(page, "\n## "+typ+"\n")
			page = head + "\n## " + typ + "\n" + strings.Replace(rest, block.FindString(rest), "```json\n"+example+"\n```", 1)
		}
		if err := os.WriteFile(payloadsPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sections := map[string]string{}
	for _, s := range strings.Split(page, "\n## ")[1:] {
		title, body, _ := strings.Cut(s, "\n")
		sections[title] = body
	}
	for typ, example := range examples {
		found := block.FindStringSubmatch(sections[typ])
		if found == nil || found[1] != example {
			t.Errorf("%s: the example is not\n%s", typ, example)
			continue
		}
		for _, m := range must[value](t)(parseCanonical([]byte(example), MaxPayload)).object {
			for _, name := range append(names(m.value), m.name) {
				documented := strings.Contains(sections[typ], "`"+name+"`") || strings.Contains(sections["JSON"], name) || strings.Contains(sections[typRequest], "`"+name+"`")
				if name != "typ" && !documented {
					t.Errorf("%s: member %s is not described", typ, name)
				}
			}
		}
	}
	for _, want := range []string{string(b.jws), b.hash.String(), fmt.Sprintf("at most %d bytes, base64url", MaxJWS), fmt.Sprintf("(a body: %d)", MaxBody), fmt.Sprintf("at most %d bytes (a", MaxPayload)} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
	for _, media := range []string{MediaRequest, MediaEnrol, MediaEnrolment, MediaCheck, MediaPayeeCheck, MediaMandate, MediaDecline, MediaCancel, MediaReceipt, MediaCredited, MediaRefusal} {
		if !strings.Contains(sections["Media types"], "`"+media+"`") {
			t.Errorf("%s is not listed", media)
		}
	}
	source, err := os.ReadFile("verify.go")
	if err != nil {
		t.Fatal(err)
	}
	reasons := regexp.MustCompile(`Reason = "([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(reasons) < 30 {
		t.Errorf("only %d reasons found in verify.go", len(reasons))
	}
	for _, r := range reasons {
		if !strings.Contains(page, "`"+r[1]+"`") {
			t.Errorf("reason %s is not listed", r[1])
		}
	}
}

// names returns the names of the members inside a value.
func names(v value) []string {
	var out []string
	for _, x := range v.array {
		out = append(out, names(x)...)
	}
	for _, m := range v.object {
		out = append(append(out, m.name), names(m.value)...)
	}
	return out
}

// TestCodeHashOnThePage compares the worked example of a one-time code's hash.
func TestCodeHashOnThePage(t *testing.T) {
	page, err := os.ReadFile(payloadsPage)
	if err != nil {
		t.Fatal(err)
	}
	const code = "abcd-efgh-jkmn-pqrs"
	hash, err := HashCode(code)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("`%s` gives `%v`", code, hash); !strings.Contains(string(page), want) {
		t.Errorf("docs/payloads.md does not say: %s", want)
	}
}
