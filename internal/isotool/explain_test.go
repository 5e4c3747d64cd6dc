package isotool

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/parleypay/parley/payments/rail"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		word   string
		status int
		parts  []string
	}{
		{"AC04", exitOK, []string{"ExternalStatusReason1Code", "ExternalReturnReason1Code", "closed"}},
		{"ACTC", exitOK, []string{"fednow", "rtp", "said by the rail", "settled", "accepted"}},
		{"ACWP", exitOK, []string{"settled, pending"}},
		{"SLEV", exitOK, []string{"ChargeBearer"}},
		{"pacs.008.001.08", exitOK, []string{"FIToFICustomerCreditTransfer", "as types"}},
		{"pacs.008.spi.1.16", exitOK, []string{"FIToFICustomerCreditTransfer"}},
		{"fednow.aba.checksum", exitOK, []string{"check digit", "--without fednow.aba.checksum", "MmbId"}},
		{"schema.missing", exitOK, []string{"the schema demands"}},
		{"IntrBkSttlmAmt", exitOK, []string{"interbank settlement amount"}},
		{"AC99", exitNo, []string{"unknown", "near it:", "AC09"}},
		{"ac04", exitNo, []string{"near it:", "AC04"}},
		{"fednow.aba.checksun", exitNo, []string{"fednow.aba.checksum"}},
		{"\x1b[31mAC04", exitNo, []string{"⟨ESC⟩[31mAC04", "unknown"}},
		{strings.Repeat("A", 10_000), exitNo, []string{"unknown"}},
	} {
		status, out, errs := call(t, nil, "explain", c.word)
		if status != c.status || errs != "" {
			t.Errorf("%.40q: status %d, said %q", c.word, status, errs)
		}
		for _, part := range c.parts {
			if !strings.Contains(strings.ToLower(out), strings.ToLower(part)) {
				t.Errorf("%.40q does not say %q:\n%s", c.word, part, out)
			}
		}
		if strings.Contains(out, "\x1b") {
			t.Errorf("%.40q writes an escape", c.word)
		}
	}
	if status, _, _ := call(t, nil, "explain", "AC04", "AC99"); status != exitNo {
		t.Error("one unknown code of two is not told by the exit status")
	}
}

func TestExplainJSON(t *testing.T) {
	_, out, _ := call(t, nil, "explain", "--json", "ACTC", "no such word")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines:\n%s", len(lines), out)
	}
	var first, second explanation
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || !first.Found || len(first.Rails) == 0 {
		t.Errorf("%v: %+v", err, first)
	}
	if err := json.Unmarshal([]byte(lines[1]), &second); err != nil || second.Found {
		t.Errorf("%v: %+v", err, second)
	}
}

// TestEveryRuleIsExplained asks for each rule of each rail and each general one.
func TestEveryRuleIsExplained(t *testing.T) {
	for p := range everyRail() {
		for _, r := range p.Rules {
			if x := explainWord(r.Name); x.Rule == nil || x.Rule.Text != r.Text || x.Rule.Rail != p.Name {
				t.Errorf("%s: %+v", r.Name, x.Rule)
			}
		}
		for _, m := range p.Meanings(rail.Service) {
			if x := explainWord(m.Status); len(x.Rails) == 0 {
				t.Errorf("status %s of %s is not explained", m.Status, p.Name)
			}
		}
	}
	for name := range generalRules.all() {
		if explainWord(name).Rule == nil {
			t.Errorf("%s is not explained", name)
		}
	}
}
