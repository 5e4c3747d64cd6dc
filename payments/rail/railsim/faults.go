package railsim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/payments/rail"
)

// Actions lists what Action.Do may be, with what it does. T is the answer time-out.
var Actions = map[string]string{
	"settle":     "the creditor's bank is asked, and the payment settles if it says yes",
	"reject":     "refused with Code, without asking the creditor's bank",
	"pending":    "settles with the rail's word for not yet posted (ACWP; ACSP on Pix), and its word for posted comes after Delay. Default: T/10",
	"block":      "settles with ACWP, and BLCK comes after Delay. Default: T/10",
	"return":     "settles, and after Delay (default T/10) the money comes back with a pacs.004, on RTP with a pacs.008",
	"lose":       "taken and forgotten: no answer, no execution, and enquiries find no record",
	"down":       "the rail announces with admi.004 that it is down, takes nothing for Delay (default T/10), and announces that it is up; the payment is not taken, and sent again it goes the way of the other actions",
	"late":       "the debtor's bank hears of the payment only after Delay, default T and a quarter; enquiries are answered",
	"silence":    "nothing is answered for Delay, enquiries included; then as Then says. Default: T and a quarter. Below zero: for ever",
	"duplicate":  "every answer comes twice, byte for byte",
	"stray":      "a status for a payment that nobody sent comes with the first answer",
	"contradict": "after Delay (default T/10) the opposite of the answer comes too: RJCT for a settled payment, settled for a refused one",
	"early":      "the sender's request is answered only when the sender has acknowledged the answer to its payment, after Delay (default T/10) at the latest",
	"amount":     "every answer names another amount for the original payment; on Pix, where a report names none, in an element that the catalogue does not have",
	"currency":   "every answer names another currency for the original payment; on Pix as above",
	"unknown":    "refused with a reason code that no code list has (ZZ99), without asking the creditor's bank",
	"garbled":    "a message that is no XML comes before each answer",
	"html":       "a page for people stands where the rail's word belongs, with HTTP status 200",
	"ok":         "HTTP status 200 with a refusal inside, which means nothing: only 202 is the rail's word",
	"error":      "HTTP status 502 of something in between, though the rail has done its part",
	"hang":       "no byte is answered and the connection stays open (half-open), until the other side gives up",
	"tls":        "from now on for Delay (default T/10) the rail shows a certificate of another authority; connections that exist are closed",
	"reset":      "the connection is reset in the middle of the body",
	"huge":       "an answer of 10 MB: the HTTP answer has 10 MB more, and a message of 10 MB comes before each answer",
	"slow":       "one byte per Delay, default a second",
	"skew":       "the rail's clock, in its answers, is wrong by Delay. Default: an hour",
	"planned":    "the rail announces with admi.004 that it will be down in Notice (default T/10); the payment goes its way; then it takes nothing for Delay (default T/10) and announces that it is up",
	"throttle":   "not taken: HTTP status 429; sent again it goes the way of the other actions",
	"gap":        "a million sequence numbers are left out before each answer",
}

// byTransport are the actions that are done to the messages in transit: to the HTTP answer that the sender's request gets, and to the
// poll that brings its first answer.
var byTransport = []string{"html", "ok", "error", "hang", "reset", "huge", "slow"}

// Fault is one of the 21 ways of misbehaving that whoever connects to a rail must live through.
type Fault struct {
	Title   string
	Actions []string // that do it; the first is the one of the magic amount
}

// Faults are all of them; fault n stands at n-1, and 10+n are the last two digits of its magic amount.
var Faults = [21]Fault{
	{"late answer", []string{"late"}},
	{"no answer", []string{"silence"}},
	{"duplicate answer", []string{"duplicate"}},
	{"answer for an unknown id", []string{"stray"}},
	{"contradicting answers", []string{"contradict"}},
	{"answer before our own write returns", []string{"early"}},
	{"wrong amount or currency in the answer", []string{"amount", "currency"}},
	{"unknown reason code", []string{"unknown"}},
	{"malformed XML", []string{"garbled"}},
	{"HTML error page", []string{"html"}},
	{"HTTP 200 with a reject inside", []string{"ok"}},
	{"5xx after executing", []string{"error"}},
	{"half-open connection", []string{"hang"}},
	{"TLS certificate change", []string{"tls"}},
	{"reset mid-body", []string{"reset"}},
	{"answer of 10 MB", []string{"huge"}},
	{"one byte per second", []string{"slow"}},
	{"clock skew of the rail", []string{"skew"}},
	{"planned down-time window", []string{"planned", "down"}},
	{"throttling (429)", []string{"throttle"}},
	{"sequence gap", []string{"gap"}},
}

// Magic is what the last two digits of an amount choose when Config.MagicAmounts is on.
var Magic = func() map[string]Action {
	m := map[string]Action{
		"01": {Do: "settle"},
		"02": {Do: "reject", Code: "AC03"},
		"03": {Do: "reject", Code: "AM04"},
		"04": {Do: "silence", Then: "settle"},
		"05": {Do: "silence", Then: "reject"},
		"06": {Do: "pending"},
		"07": {Do: "duplicate"},
		"08": {Do: "contradict"},
		"09": {Do: "return"},
		"10": {Do: "down"},
	}
	for i, f := range Faults {
		m[fmt.Sprint(11+i)] = Action{Do: f.Actions[0]}
	}
	return m
}()

// Conflict is a set of actions that one payment cannot have together, since there is no result that could be meant.
type Conflict struct {
	Name string   // stands in errors: "conflict.content"
	Any  []string // not two of these, or, if With is given, none of these with one of With
	With []string
	Why  string

	endless bool // only for a silence without end
	inPlace bool // only where both are on the same message in transit
}

// Conflicts are all of them. Every other pair of actions goes together.
var Conflicts = []Conflict{
	{Name: "conflict.verdict", Any: []string{"settle", "reject", "unknown", "pending", "block", "lose"}, Why: "a payment has one end"},
	{Name: "conflict.return", Any: []string{"return"}, With: []string{"reject", "unknown", "lose"}, Why: "money comes back only after it has gone"},
	{Name: "conflict.lost", Any: []string{"lose"}, With: []string{"late", "silence", "duplicate", "stray", "contradict", "early", "amount", "currency", "garbled", "skew", "gap"},
		Why: "a payment that is forgotten has no answer"},
	{Name: "conflict.endless", Any: []string{"silence"}, With: []string{"late", "duplicate", "contradict", "early", "amount", "currency", "unknown", "skew", "pending", "block", "reject"},
		Why: "what is never answered has no answer to change", endless: true},
	{Name: "conflict.order", Any: []string{"early"}, With: []string{"late", "silence"}, Why: "an answer cannot come both before the write returns and after the time-out"},
	{Name: "conflict.content", Any: []string{"html", "ok", "error"}, Why: "one message in transit has one content", inPlace: true},
	{Name: "conflict.hang", Any: []string{"hang"}, With: []string{"html", "ok", "error", "reset", "slow"}, Why: "a connection on which nothing comes carries neither content nor bytes", inPlace: true},
	{Name: "conflict.held", Any: []string{"hang"}, With: []string{"early"}, Why: "a request that is never answered needs no holding back", inPlace: true},
}

// conflict returns the reason why a and b cannot be together, nil if they can.
func conflict(a, b Action) *Conflict {
	for i := range Conflicts {
		c := &Conflicts[i]
		one, other := a, b
		if c.With == nil {
			if !slices.Contains(c.Any, a.Do) || !slices.Contains(c.Any, b.Do) {
				continue
			}
		} else {
			if !slices.Contains(c.Any, a.Do) {
				one, other = b, a
			}
			if !slices.Contains(c.Any, one.Do) || !slices.Contains(c.With, other.Do) {
				continue
			}
		}
		if c.endless && one.Delay >= 0 || c.inPlace && !one.overlaps(other) {
			continue
		}
		return c
	}
	if a.Do == b.Do && (!slices.Contains(byTransport, a.Do) || a.overlaps(b)) {
		return &Conflict{Name: "conflict.twice", Why: "an action is done once"}
	}
	return nil
}

// overlaps reports whether both actions are on one message in transit. What holds the sender's request back is on that.
func (a Action) overlaps(b Action) bool {
	place := func(a Action) string {
		if a.Do == "early" {
			return onSend
		}
		return a.On
	}
	return place(a) == "" || place(b) == "" || place(a) == place(b)
}

// plan is all that happens to one payment: actions without a conflict, with their defaults filled in.
type plan []Action

// find returns the action of that name, nil if the plan has none.
func (p plan) find(do string) *Action {
	for i := range p {
		if p[i].Do == do {
			return &p[i]
		}
	}
	return nil
}

func (p plan) has(do string) bool { return p.find(do) != nil }

// add returns p with those of more that have no conflict with what is there already.
func (p plan) add(more ...Action) plan {
	for _, a := range more {
		if !slices.ContainsFunc(p, func(b Action) bool { return conflict(a, b) != nil }) {
			p = append(p, a)
		}
	}
	return p
}

// without returns p but for the action of that name.
func (p plan) without(do string) plan {
	return slices.DeleteFunc(slices.Clone(p), func(a Action) bool { return a.Do == do })
}

// mischief returns what the plan does to a message in transit, onSend or onAnswer.
func (p plan) mischief(place string) (m mischief) {
	for _, a := range p {
		if a.On != "" && a.On != place {
			continue
		}
		switch a.Do {
		case "html":
			m.content = contentHTML
		case "ok":
			m.content = contentOK
		case "error":
			m.content = contentError
		case "hang":
			m.carriage = carryHang
		case "reset":
			m.carriage = carryReset
		case "slow":
			if m.pace = a.Delay; m.carriage == carryWell {
				m.carriage = carrySlow
			}
		case "huge":
			m.oversize = true
		}
	}
	return m
}

// defaults fills in what an action leaves open.
func (a Action) defaults(p *rail.Profile) Action {
	if a.Do == "" {
		a.Do = "settle"
	}
	if a.Delay == 0 {
		switch a.Do {
		case "silence", "late":
			a.Delay = p.AnswerTimeout + p.AnswerTimeout/4
		case "skew":
			a.Delay = time.Hour
		case "slow":
			a.Delay = time.Second
		default:
			a.Delay = p.AnswerTimeout / 10
		}
	}
	if a.Notice == 0 {
		a.Notice = p.AnswerTimeout / 10
	}
	if a.Code == "" {
		a.Code = "AC03"
		if a.Do == "silence" || a.Do == "contradict" {
			a.Code, a.By = p.Codes.CreditorTimeout, "service"
		}
	}
	if a.Do == "unknown" {
		a.Code = "ZZ99"
	}
	return a
}

// named joins the names of actions for an error.
func named(as ...Action) string {
	var names []string
	for _, a := range as {
		names = append(names, a.Do)
	}
	return strings.Join(names, " and ")
}
