package railtest_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/fednow"
	"github.com/parleypay/parley/payments/rail/railtest"
	"github.com/parleypay/parley/payments/rail/sctinst"
)

// load copies a folder of samples, so that a test may spoil it.
func load(t *testing.T, folder string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(folder + "/" + name)
		files[name] = &fstest.MapFile{Data: b}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Each planted fault, in a profile or in its samples, is found and named.
func TestPlantedFaults(t *testing.T) {
	rule := func(p *rail.Profile, name string) *rail.Rule {
		for i := range p.Rules {
			if p.Rules[i].Name == p.Name+"."+name {
				return &p.Rules[i]
			}
		}
		t.Fatal(name)
		return nil
	}
	for name, c := range map[string]struct {
		plant func(p *rail.Profile, samples fstest.MapFS)
		want  string
	}{
		"nothing":            {func(*rail.Profile, fstest.MapFS) {}, ""},
		"a rule never fires": {func(p *rail.Profile, _ fstest.MapFS) { rule(p, "charge.bearer").Check = rail.Elsewhere }, "fednow.charge.bearer.xml does not break its rule"},
		"a rule always fires": {func(p *rail.Profile, _ fstest.MapFS) {
			rule(p, "charge.bearer").Check = func(*rail.Profile, *rail.Message, rail.Direction) string { return "Document" }
		}, "valid-transfer.xml is not valid"},
		"a rule without name":   {func(p *rail.Profile, _ fstest.MapFS) { rule(p, "charge.bearer").Name = "charge.bearer" }, "must be named"},
		"a rule without check":  {func(p *rail.Profile, _ fstest.MapFS) { rule(p, "charge.bearer").Check = nil }, "has no check"},
		"a rule twice":          {func(p *rail.Profile, _ fstest.MapFS) { p.Rules = append(p.Rules, *rule(p, "charge.bearer")) }, "stands twice"},
		"no limit":              {func(p *rail.Profile, _ fstest.MapFS) { rule(p, "amount.limit").Name = "fednow.amount.other" }, "no rule fednow.amount.limit"},
		"a rule without sample": {func(_ *rail.Profile, s fstest.MapFS) { delete(s, "fednow.aba.checksum.xml") }, "fednow.aba.checksum has no sample"},
		"a sample of no rule":   {func(_ *rail.Profile, s fstest.MapFS) { s["fednow.aba.chekcsum.xml"] = s["fednow.aba.checksum.xml"] }, "named after no rule"},
		"a sample breaks two": {func(_ *rail.Profile, s fstest.MapFS) {
			f := s["fednow.aba.checksum.xml"]
			s["fednow.aba.checksum.xml"] = &fstest.MapFile{Data: []byte(strings.Replace(string(f.Data), "<ChrgBr>SLEV<", "<ChrgBr>SHAR<", 1))}
		}, "breaks more than its rule: [fednow.charge.bearer]"},
		"no refusal or answer": {func(_ *rail.Profile, s fstest.MapFS) { delete(s, "valid-answer.xml"); delete(s, "valid-refusal.xml") }, "no valid sample of pacs.002.001.10 to service"},
		"no samples": {func(_ *rail.Profile, s fstest.MapFS) {
			for name := range s {
				delete(s, name)
			}
		}, "no samples"},
		"a yes that means no":      {func(p *rail.Profile, _ fstest.MapFS) { p.Answers[rail.Participant]["ACTC"] = rail.Rejected }, `Yes: "ACTC"`},
		"a status without meaning": {func(p *rail.Profile, _ fstest.MapFS) { p.ParticipantStatus = append(p.ParticipantStatus, "ACSP") }, `"ACSP" has no meaning`},
		"settled means nothing":    {func(p *rail.Profile, _ fstest.MapFS) { delete(p.Answers[rail.Service], "ACSC") }, "Settled"},
		"no word for no record":    {func(p *rail.Profile, _ fstest.MapFS) { p.Codes.NotFound = "" }, "NotFound"},
		"the rail waits longer":    {func(p *rail.Profile, _ fstest.MapFS) { p.ServiceTimeout = p.AnswerTimeout }, "ServiceTimeout"},
		"four steps":               {func(p *rail.Profile, _ fstest.MapFS) { p.Ladder = []time.Duration{0, 1, 2, 3} }, "more than three"},
		"steps that fall":          {func(p *rail.Profile, _ fstest.MapFS) { p.Ladder = []time.Duration{5, 0} }, "must rise"},
		"a case too early":         {func(p *rail.Profile, _ fstest.MapFS) { p.CaseAfter = time.Second }, "CaseAfter"},
		"steps to wait":            {func(p *rail.Profile, _ fstest.MapFS) { p.Recovery = rail.Wait }, "Ladder must be empty"},
		"a long message id": {func(p *rail.Profile, _ fstest.MapFS) {
			p.IDs.Message = func(a payments.AgentID, _ time.Time, s string) string { return strings.Repeat("0", 30) + s }
		}, "at most 35"},
		"one message id for all": {func(p *rail.Profile, _ fstest.MapFS) {
			p.IDs.Message = func(payments.AgentID, time.Time, string) string { return "1" }
		}, "make the same message id"},
		"a text that grows": {func(p *rail.Profile, _ fstest.MapFS) {
			p.Characters = func(s string) (string, []payments.TextChange) { return s + ".", []payments.TextChange{{}} }
		}, "changes again"},
		"a text changed in silence": {func(p *rail.Profile, _ fstest.MapFS) {
			p.Characters = func(s string) (string, []payments.TextChange) { return strings.ToUpper(s), nil }
		}, "without a word"},
		"no currency":    {func(p *rail.Profile, _ fstest.MapFS) { p.Currency = "XQX" }, "Currency"},
		"no wrapper":     {func(p *rail.Profile, _ fstest.MapFS) { p.Out = rail.Envelope{} }, "Out needs a namespace"},
		"huge messages":  {func(p *rail.Profile, _ fstest.MapFS) { p.SizeMaxBytes = 1 << 30 }, "SizeMaxBytes"},
		"a recall twice": {func(p *rail.Profile, _ fstest.MapFS) { p.Recalls = append(p.Recalls, p.Recalls[0]) }, "stands once"},
	} {
		t.Run(name, func(t *testing.T) {
			p, samples := fednow.Profile(), load(t, "../fednow/testdata")
			answers := rail.Answers{} // the package's own table stays as it is
			for from, all := range p.Answers {
				answers[from] = map[string]rail.Kind{}
				for status, kind := range all {
					answers[from][status] = kind
				}
			}
			p.Answers = answers
			c.plant(p, samples)
			var found []string
			for _, err := range railtest.Check(p, samples) {
				found = append(found, err.Error())
			}
			all := strings.Join(found, "\n")
			if c.want == "" && all != "" || !strings.Contains(all, c.want) {
				t.Errorf("want %q, found:\n%s", c.want, all)
			}
		})
	}
}

// Samples of one rail do not pass for another.
func TestForeignSamples(t *testing.T) {
	if len(railtest.Check(sctinst.Profile(), os.DirFS("../fednow/testdata"))) == 0 {
		t.Error("FedNow's samples pass for SCT Inst")
	}
}
