package railsim

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

var update = flag.Bool("update", false, "write the tables of docs/rails.md from the code")

const docs = "../../../docs/rails.md"

// The tables of docs/rails.md are those of the code, and its configuration is valid.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	for name, table := range map[string]string{"profiles": profileTable(), "meanings": meaningTable(), "money": moneyTable(), "recalls": recallTable(), "reasons": reasonTable(), "rules": ruleTable(), "magic": magicTable(), "actions": actionTable(), "faults": faultTable(), "conflicts": conflictTable()} {
		block := regexp.MustCompile(`(?s)(<!-- begin: ` + name + ` -->\n).*?(<!-- end: ` + name + ` -->)`)
		if !block.MatchString(got) {
			t.Fatalf("no table %s", name)
		}
		got = block.ReplaceAllStringFunc(got, func(s string) string {
			m := block.FindStringSubmatch(s)
			return m[1] + table + m[2]
		})
	}
	if *update {
		if err := os.WriteFile(docs, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != string(text) {
		t.Error("the tables are not those of the code: run go test -run Docs ./payments/rail/railsim -update")
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(got, -1)
	for _, e := range examples {
		if _, err := ParseConfig([]byte(e[1])); strings.HasPrefix(e[1], "rail:") && err != nil {
			t.Error(err)
		} else if strings.HasPrefix(e[1], "rules:") {
			b := newBench(t, "sctinst", nil)
			if err := b.sim.SetRules([]byte(e[1])); err != nil {
				t.Error(err)
			}
		}
	}
	if len(examples) < 2 {
		t.Errorf("%d examples", len(examples))
	}
}

func table(head string, rows [][]string) string {
	var b strings.Builder
	columns := strings.Count(head, "|") + 1
	fmt.Fprintf(&b, "| %s |\n|%s\n", head, strings.Repeat("---|", columns))
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(r, " | "))
	}
	return b.String()
}

func profiles() (all []*rail.Profile) {
	for _, name := range rails.Names() {
		all = append(all, must(rails.Lookup(name)))
	}
	return all
}

func profileTable() string {
	var rows [][]string
	row := func(name string, value func(p *rail.Profile) string) {
		r := []string{name}
		for _, p := range profiles() {
			r = append(r, value(p))
		}
		rows = append(rows, r)
	}
	amount := func(p *rail.Profile, minor int64) string {
		return payments.Amount{Minor: minor, Currency: p.Currency}.String()
	}
	row("largest payment", func(p *rail.Profile) string { return amount(p, p.AmountMax) })
	row("header", func(p *rail.Profile) string { return p.HeaderVersion })
	row("the rail's own id", func(p *rail.Profile) string { return string(p.Service) })
	row("creditor's bank says yes with", func(p *rail.Profile) string { return p.AnswerYes() })
	row("rail waits for the creditor's bank", func(p *rail.Profile) string { return p.ServiceTimeout.String() })
	row("unknown after", func(p *rail.Profile) string { return p.AnswerTimeout.String() })
	row("no answer", func(p *rail.Profile) string { return p.Recovery.String() })
	row("steps after that", func(p *rail.Profile) string {
		var s []string
		for _, d := range p.Ladder {
			s = append(s, d.String())
		}
		return strings.Join(s, ", ")
	})
	row("payer's money given back meanwhile", func(p *rail.Profile) string { return map[bool]string{true: "yes", false: "no"}[p.RestorePayer] })
	row("case after that", func(p *rail.Profile) string { return p.CaseAfter.String() })
	row("largest message", func(p *rail.Profile) string { return fmt.Sprintf("%d bytes", p.SizeMaxBytes) })
	row("times", func(p *rail.Profile) string {
		zone := "UTC"
		if p.Zone == rail.Eastern {
			zone = "US Eastern without zone"
		}
		return map[time.Duration]string{time.Second: "whole seconds, ", time.Millisecond: "milliseconds, "}[p.TimeResolution] + zone
	})
	row("the rail's reasons", func(p *rail.Profile) string {
		c := p.Codes
		s := fmt.Sprintf("%s no funds, %s creditor's bank silent, %s bank unknown, %s too late", c.NoFunds, c.CreditorTimeout, c.UnknownAgent, c.TooLate)
		if c.NotFound != "" {
			s += ", " + c.NotFound + " no record"
		}
		return s
	})
	return table(" | "+strings.Join(rails.Names(), " | "), rows)
}

func meaningTable() string {
	var rows [][]string
	for _, p := range profiles() {
		for _, from := range []rail.Sender{rail.Service, rail.Participant} {
			for _, m := range p.Meanings(from) {
				rows = append(rows, []string{p.Name, map[rail.Sender]string{rail.Service: "the rail", rail.Participant: "a participant"}[from], m.Status, m.Kind.String()})
			}
		}
	}
	return table("rail | who says it | status | means", rows)
}

func moneyTable() string {
	var rows [][]string
	kinds := []rail.Kind{rail.Accepted, rail.Settled, rail.SettledCredited, rail.SettledPending, rail.Rejected, rail.Blocked}
	head := "what was known"
	for _, k := range kinds {
		head += " | " + k.String()
	}
	for m := rail.MoneyUnknown; m <= rail.MoneyReturned; m++ {
		row := []string{m.String()}
		for _, k := range kinds {
			cell := "contradiction"
			if next, ok := m.After(k); m.Returning(k) {
				cell = m.String() + ", a return is due"
			} else if ok {
				cell = next.String()
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return table(head, rows)
}

func recallTable() string {
	var rows [][]string
	for _, p := range profiles() {
		reasons := map[string]string{}
		var order []string
		for _, r := range p.Recalls {
			limit := "no limit known"
			switch {
			case r.Days > 0:
				limit = fmt.Sprintf("%d banking business days", r.Days)
			case r.Months > 0:
				limit = fmt.Sprintf("%d months", r.Months)
			}
			if reasons[limit] == "" {
				order = append(order, limit)
			}
			reasons[limit] = strings.TrimSpace(reasons[limit] + " " + r.Reason)
		}
		var limits []string
		for _, limit := range order {
			limits = append(limits, reasons[limit]+": "+limit)
		}
		part := "whole amount"
		if p.Returns.Partial {
			part = "parts too"
		}
		rows = append(rows, []string{p.Name, p.Returns.Ask, p.Returns.Answer, p.Returns.Message + ", " + part, strings.Join(p.Returns.Reasons, " "), strings.Join(limits, "; ")})
	}
	return table("rail | asked with | refused with | money comes back as | return reasons | asked until", rows)
}

func ruleTable() string {
	var rows [][]string
	for _, p := range profiles() {
		for _, r := range p.Rules {
			rows = append(rows, []string{"`" + r.Name + "`", strings.ReplaceAll(r.Path, "Document/", ""), r.Text})
		}
	}
	return table("rule | where | what it demands", rows)
}

func magicTable() string {
	var rows [][]string
	for i := 1; i <= 10; i++ { // 11 to 31 stand in the table of the faults
		d := fmt.Sprintf("%02d", i)
		a := Magic[d]
		rows = append(rows, []string{d, strings.TrimSpace(a.Do + " " + a.Code + a.Then)})
	}
	return table("amount ends in | action", rows)
}

func faultTable() string {
	var rows [][]string
	for i, f := range Faults {
		magic := fmt.Sprint(11 + i)
		if Magic[magic].Do != f.Actions[0] {
			panic("the magic amount of fault " + fmt.Sprint(i+1) + " does something else")
		}
		var set []string
		for _, a := range f.Actions {
			set = append(set, "`do: "+a+"`")
		}
		rows = append(rows, []string{fmt.Sprint(i + 1), f.Title, Actions[f.Actions[0]], strings.Join(set, " or "), magic})
	}
	return table("fault | name | what happens | how to set it | magic amount ends in", rows)
}

func conflictTable() string {
	var rows [][]string
	for _, c := range Conflicts {
		what := "two of " + strings.Join(c.Any, ", ")
		if c.With != nil {
			what = strings.Join(c.Any, ", ") + " with " + strings.Join(c.With, ", ")
		}
		switch {
		case c.endless:
			what += " (only without end)"
		case c.inPlace:
			what += " (only on the same message in transit)"
		}
		rows = append(rows, []string{"`" + c.Name + "`", what, c.Why})
	}
	return table("name | what cannot be together | why", rows)
}

func actionTable() string {
	var names []string
	for a := range Actions {
		names = append(names, a)
	}
	slices.Sort(names)
	var rows [][]string
	for _, a := range names {
		rows = append(rows, []string{a, Actions[a]})
	}
	return table("action | what happens", rows)
}

func reasonTable() string {
	var codes []string
	for _, p := range profiles() {
		for code := range p.Reasons {
			if !slices.Contains(codes, code) {
				codes = append(codes, code)
			}
		}
	}
	slices.Sort(codes)
	var rows [][]string
	for _, code := range codes {
		row := []string{code}
		for _, p := range profiles() {
			advice, ok := p.Reasons[code]
			if !ok {
				row = append(row, "")
				continue
			}
			row = append(row, advice.String())
		}
		rows = append(rows, row)
	}
	return table("reason | "+strings.Join(rails.Names(), " | "), rows)
}
