package isotool

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/iso20022/codes"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

// explanation is everything that is known of one word: a code, a status, a rule, a message definition or an element's name.
type explanation struct {
	Code    string       `json:"code"`
	Found   bool         `json:"found"`
	Message *aboutDef    `json:"message,omitempty"`
	Rule    *aboutRule   `json:"rule,omitempty"`
	Sets    []aboutCode  `json:"sets,omitempty"`  // the code sets that have it
	Rails   []aboutReply `json:"rails,omitempty"` // what it says about the money, as a status
	Element string       `json:"element,omitempty"`
	Near    []string     `json:"near,omitempty"` // of an unknown word
}

type aboutDef struct {
	Name    string `json:"name"`
	Purpose string `json:"purpose"`
	Codec   bool   `json:"codec"` // package iso20022 reads it into types; else it is validated and shown
}

type aboutRule struct {
	Rail  string `json:"rail,omitempty"`
	Where string `json:"where,omitempty"`
	Text  string `json:"text"`
}

type aboutCode struct {
	Set  string `json:"set"`
	Text string `json:"text"`
}

type aboutReply struct {
	Rail  string `json:"rail"`
	From  string `json:"from"` // "the rail" or "a participant"
	Means string `json:"means"`
}

// explain is the subcommand explain.
func explain(args []string, _ io.Reader, out, errs io.Writer) int {
	fs := flags("explain")
	asJSON := fs.Bool("json", false, "write one JSON object per code")
	words, status := parse(fs, args, out, errs)
	if status >= 0 {
		return status
	}
	if len(words) == 0 {
		fs.Usage()
		return exitUnreadable
	}
	s := newScreen(out)
	status = exitOK
	for i, word := range words {
		x := explainWord(word)
		if !x.Found {
			status = exitNo
		}
		if *asJSON {
			json.NewEncoder(out).Encode(x)
			continue
		}
		if i > 0 {
			s.printf("\n")
		}
		x.print(s)
	}
	return status
}

// explainWord looks a word up everywhere.
func explainWord(word string) *explanation {
	x := &explanation{Code: word}
	if name, purpose, ok := aboutMessage(word); ok {
		x.Message = &aboutDef{name, purpose, slices.Contains(iso20022.Definitions(), word)}
	}
	x.Rule = findRule(word)
	for _, c := range codes.Find(word) {
		x.Sets = append(x.Sets, aboutCode{string(c.Set), c.Text})
	}
	for key, text := range enumerations.all() {
		if set, code, _ := strings.Cut(key, "."); code == word {
			x.Sets = append(x.Sets, aboutCode{set, text})
		}
	}
	for p := range everyRail() {
		for from, name := range map[rail.Sender]string{rail.Service: "the rail", rail.Participant: "a participant"} {
			for _, m := range p.Meanings(from) {
				if m.Status == word {
					x.Rails = append(x.Rails, aboutReply{p.Name, name, m.Kind.String()})
				}
			}
		}
	}
	slices.SortStableFunc(x.Rails, func(a, b aboutReply) int { return strings.Compare(a.From, b.From) * -1 })
	slices.SortStableFunc(x.Rails, func(a, b aboutReply) int {
		return slices.Index(rails.Names(), a.Rail) - slices.Index(rails.Names(), b.Rail)
	})
	if text, known := elementName(word); known && x.Message == nil && x.Rule == nil {
		x.Element = text
	}
	x.Found = x.Message != nil || x.Rule != nil || len(x.Sets) > 0 || len(x.Rails) > 0 || x.Element != ""
	if !x.Found {
		x.Near = near(word)
	}
	return x
}

// everyRail iterates over the profiles.
func everyRail() func(yield func(*rail.Profile) bool) {
	return func(yield func(*rail.Profile) bool) {
		for _, name := range rails.Names() {
			if p, err := rails.Lookup(name); err == nil && !yield(p) {
				return
			}
		}
	}
}

// findRule returns a rule of that name: a rail's, or a general one.
func findRule(name string) *aboutRule {
	for p := range everyRail() {
		for _, r := range p.Rules {
			if r.Name == name {
				return &aboutRule{Rail: p.Name, Where: r.Path, Text: r.Text}
			}
		}
	}
	if text, ok := generalRules.find(name); ok && strings.Contains(name, ".") {
		return &aboutRule{Text: text}
	}
	return nil
}

// elementName returns an element's name in words, and whether every piece of it is known.
func elementName(name string) (string, bool) {
	if whole, ok := wholeNames.find(name); ok {
		return whole, true
	}
	list := pieces(name)
	for _, piece := range list {
		if _, ok := abbreviations.find(piece); !ok {
			return "", false
		}
	}
	return label(name), len(list) > 0
}

// near returns at most five known words that differ from word in one character, or in the case of letters only.
func near(word string) (list []string) {
	if len(word) > 64 {
		return nil
	}
	add := func(known string) {
		if len(list) < 5 && (strings.EqualFold(known, word) || oneAway(known, word)) && !slices.Contains(list, known) {
			list = append(list, known)
		}
	}
	for _, set := range codes.Sets() {
		for c := range set.Codes() {
			add(c.Code)
		}
	}
	for p := range everyRail() {
		for _, r := range p.Rules {
			add(r.Name)
		}
		for _, m := range append(p.Meanings(rail.Service), p.Meanings(rail.Participant)...) {
			add(m.Status)
		}
	}
	for _, d := range []dictionary{generalRules, messages, wholeNames} {
		for key := range d.all() {
			add(key)
		}
	}
	return list
}

// oneAway reports whether a becomes b by one octet more, less or another. Codes of fewer than three octets are near everything.
func oneAway(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) < 3 || len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return i < len(a) && a[i+1:] == b[i+1:]
	}
	return a[i:] == b[i+1:]
}

func (x *explanation) print(s *screen) {
	s.printf("%s\n", s.paint(bold, clip(visible(x.Code), 200)))
	if !x.Found {
		text := "unknown: in no code set, no rail's statuses or rules, and no message has this name"
		if len(x.Near) > 0 {
			text += "; near it: " + strings.Join(x.Near, ", ")
		}
		t := table{indent: 2}
		t.row(styled(yellow, text))
		t.print(s)
		return
	}
	t := table{indent: 2, widest: 48}
	if m := x.Message; m != nil {
		t.row(text("message"), text(m.Name+": "+m.Purpose))
		if m.Codec {
			t.row(text(""), styled(dim, "read and written as types by package iso20022"))
		}
	}
	if r := x.Rule; r != nil {
		t.row(text("rule"), text(r.Text))
		if r.Where != "" {
			t.row(text("where"), text(r.Where))
		}
		if r.Rail != "" {
			t.row(text("switched off by"), text("parley iso validate --profile "+r.Rail+" --without "+x.Code))
		}
	}
	if x.Element != "" {
		t.row(text("element"), text(x.Element))
	}
	for _, c := range x.Sets {
		t.row(styled(dim, c.Set), text(visible(c.Text)))
	}
	t.print(s)
	if len(x.Rails) == 0 {
		return
	}
	s.printf("  %s\n", s.paint(dim, "as a payment's status it means"))
	t = table{indent: 4}
	for _, r := range x.Rails {
		t.row(text(r.Rail), text("said by "+r.From), styled(meaningStyle(r.Means), r.Means))
	}
	t.print(s)
}

// meaningStyle is green where money has moved for good, red where it has not and will not.
func meaningStyle(means string) style {
	switch means {
	case rail.Settled.String(), rail.SettledCredited.String():
		return green
	case rail.Rejected.String(), rail.Blocked.String():
		return red
	}
	return plain
}
