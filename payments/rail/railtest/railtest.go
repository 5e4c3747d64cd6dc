// Package railtest compares a rail's profile with samples of its messages. It knows no rail, and it cannot know whether a profile is what
// the rail's rulebook says: that is what the samples are for.
package railtest

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

// Run fails t for each thing Check finds.
func Run(t testing.TB, p *rail.Profile, samples fs.FS) {
	t.Helper()
	for _, err := range Check(p, samples) {
		t.Error(err)
	}
}

// Check returns what is wrong with a profile, nothing if it is sound. samples holds whole wire messages: valid-<anything>.xml passes every
// rule, and <rule>.xml breaks the rule of that name and no other; names of rules include the profile's.
//
// Checked is: the profile against itself (rail.New); that each rule has a sample that breaks it alone and passes once the rule is switched
// off, and a valid one of the same message in the same direction; that each valid sample of a kind with a type is decoded, encoded and
// decoded to the same; that a transfer, a report of the rail, an answer and a refusal are among them; that ids are short, the same for the
// same payment, and different for another suffix; that texts put into the rail's characters stay; that each meaning is reached by its
// status; that clocks keep their order when they are scaled.
func Check(p *rail.Profile, samples fs.FS) []error {
	if _, err := rail.New(*p); err != nil {
		return []error{err} // nothing else can be judged
	}
	k := &kit{p: p, valid: map[string]rail.Verdict{}}
	k.samples(samples)
	k.identifiers()
	k.texts()
	k.meanings()
	k.clocks()
	return k.errs
}

type kit struct {
	p     *rail.Profile
	valid map[string]rail.Verdict // by file
	errs  []error
}

func (k *kit) add(format string, args ...any) {
	k.errs = append(k.errs, fmt.Errorf("railtest: %s: %s", k.p.Name, fmt.Sprintf(format, args...)))
}

func (k *kit) samples(samples fs.FS) {
	files, err := fs.Glob(samples, "*.xml")
	if err != nil || len(files) == 0 {
		k.add("no samples: %v", errors.Join(err, fs.ErrNotExist))
		return
	}
	rules := map[string]bool{}
	for _, r := range k.p.Rules {
		rules[r.Name] = true
	}
	var broken []string
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".xml")
		switch {
		case strings.HasPrefix(name, "valid-"):
			k.validSample(samples, file)
		case rules[name]:
			broken = append(broken, file)
		default:
			k.add("%s is named after no rule of the profile, nor valid-…", file)
		}
	}
	k.kinds()
	for _, file := range broken {
		k.brokenSample(samples, file, strings.TrimSuffix(file, ".xml"))
	}
	for _, r := range k.p.Rules {
		if !slices.Contains(broken, r.Name+".xml") {
			k.add("rule %s has no sample that breaks it", r.Name)
		}
	}
}

func (k *kit) check(samples fs.FS, file string, without ...string) ([]byte, rail.Verdict, bool) {
	wire, err := fs.ReadFile(samples, file)
	if err != nil {
		k.add("%v", err)
		return nil, rail.Verdict{}, false
	}
	v, err := k.p.Check(wire, without...)
	if err != nil {
		k.add("%s: %v", file, err)
	}
	return wire, v, err == nil
}

func (k *kit) validSample(samples fs.FS, file string) {
	wire, v, ok := k.check(samples, file)
	if !ok {
		return
	}
	k.valid[file] = v
	if !v.Valid() {
		k.add("%s is not valid: %v", file, rail.RuleErrors(v.Faults))
		return
	}
	m, err := k.p.Decode(wire, v.Direction)
	if err != nil {
		return // a kind without a type, or a document alone
	}
	again, err := k.p.Encode(m)
	if err != nil {
		return // such as an admi.002, which is only read
	}
	back, err := k.p.Decode(again, v.Direction)
	if err != nil || !reflect.DeepEqual(back, m) {
		k.add("%s is changed when it is written again: %v", file, err)
	}
}

// kinds wants the messages that no payment is without among the valid samples.
func (k *kit) kinds() {
	want := []struct {
		def string
		dir rail.Direction
	}{{rail.MsgTransfer, rail.ToService}, {rail.MsgTransfer, rail.FromService}, {rail.MsgStatus, rail.ToService}, {rail.MsgStatus, rail.FromService}}
	if k.p.Recovery == rail.Ask {
		want = append(want, struct {
			def string
			dir rail.Direction
		}{rail.MsgRequest, rail.ToService})
	}
	for _, w := range want {
		name := w.def
		if own := k.p.OwnNames[w.def]; own != "" {
			name = own
		}
		if !k.has(name, w.dir) {
			k.add("no valid sample of %s %s", name, w.dir)
		}
	}
}

func (k *kit) has(message string, dir rail.Direction) bool {
	for _, v := range k.valid {
		if v.Message == message && v.Direction == dir && v.Valid() {
			return true
		}
	}
	return false
}

func (k *kit) brokenSample(samples fs.FS, file, rule string) {
	_, v, ok := k.check(samples, file)
	if !ok {
		return
	}
	var others []string
	found := false
	for _, f := range v.Faults {
		if f.Rule != rule {
			others = append(others, f.Rule)
			continue
		}
		found = true
		if f.Path == "" || f.Text == "" {
			k.add("%s: the fault names no place or says nothing", file)
		}
	}
	switch {
	case !found:
		k.add("%s does not break its rule, but %v", file, others)
	case len(others) > 0:
		k.add("%s breaks more than its rule: %v", file, others)
	}
	_, off, ok := k.check(samples, file, rule)
	if ok && found && len(others) == 0 && !off.Valid() {
		k.add("%s: with the rule switched off it still breaks %v", file, rail.RuleErrors(off.Faults))
	}
	if v.Direction != 0 && !k.has(v.Message, v.Direction) && slices.Contains(k.p.Definitions, v.Message) {
		k.add("%s has no valid counterpart: %s %s", file, v.Message, v.Direction)
	}
}

// Max35Text is the most that ISO has for an identifier.
const idMaxChars = 35

func (k *kit) identifiers() {
	now := time.Date(2026, 11, 23, 9, 30, 15, 0, time.UTC)
	long := strings.Repeat("Z", 18)
	seen := map[string]string{}
	for _, suffix := range []string{"1", "2", "a", "A", long, long[1:] + "Y"} {
		id, err := k.p.MessageID(k.p.Service, now, suffix)
		again, err2 := k.p.MessageID(k.p.Service, now, suffix)
		switch {
		case err != nil || err2 != nil:
			k.add("message id: %v", errors.Join(err, err2))
			continue
		case id != again:
			k.add("the same message gets two ids: %q and %q", id, again)
		case id == "" || len(id) > idMaxChars:
			k.add("message id %q has %d characters, at most %d are allowed", id, len(id), idMaxChars)
		case seen[id] != "":
			k.add("suffixes %s and %s make the same message id %q", seen[id], suffix, id)
		}
		seen[id] = suffix
		h := k.p.NewHeader(k.p.Service, k.p.Service, rail.MsgStatus, id, now)
		if h.BizMsgID == "" || len(h.BizMsgID) > idMaxChars {
			k.add("header id %q of message %q has %d characters, at most %d are allowed", h.BizMsgID, id, len(h.BizMsgID), idMaxChars)
		}
	}
}

func (k *kit) texts() {
	for _, s := range []string{"", "Example Coffee", "Käsekuchen & Söhne", "naïve „café“ 5€", "漢字", "a\tb\nc", "<x>&amp;", strings.Repeat("ß", 140), "\u202eabc", "e\u0301"} {
		once, changes := k.p.Text(s)
		if (once != s) != (len(changes) > 0) {
			k.add("a text is changed without a word, or named as changed and is not: %q", s)
		}
		if twice, more := k.p.Text(once); twice != once || len(more) > 0 {
			k.add("a text changes again when it is put into the rail's characters twice: %q", s)
		}
	}
}

func (k *kit) meanings() {
	for _, from := range []rail.Sender{rail.Service, rail.Participant} {
		for status, kind := range k.p.Answers[from] {
			if got := k.p.Meaning(from, &iso20022.StatusReport{Status: status}); got.Kind != kind {
				k.add("%s means %s, but Answers say %s", status, got.Kind, kind)
			}
		}
		if got := k.p.Meaning(from, &iso20022.StatusReport{Status: "ZZZZ"}); got.Kind != rail.Ignored {
			k.add("a status that nobody knows means %s", got.Kind)
		}
	}
	if code := k.p.Codes.NotFound; code != "" {
		if got := k.p.Meaning(rail.Service, &iso20022.StatusReport{Status: "RJCT", Reason: code}); got.Kind != rail.NotFound {
			k.add("%s from the rail means %s, want not found", code, got.Kind)
		}
		if got := k.p.Meaning(rail.Participant, &iso20022.StatusReport{Status: "RJCT", Reason: code}); got.Kind != rail.Rejected {
			k.add("%s from a participant means %s: only the rail knows what it has", code, got.Kind)
		}
	}
}

func (k *kit) clocks() {
	for _, d := range []time.Duration{100 * time.Millisecond, k.p.AnswerTimeout, time.Hour} {
		scaled := k.p.WithAnswerTimeout(d)
		if _, err := rail.New(*scaled); err != nil {
			k.add("with an answer time-out of %s: %v", d, err)
		}
	}
}
