package isotool

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/payments/iso20022/codes"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

// status is the subcommand: it joins the messages of each payment into its timeline.
func status(args []string, in io.Reader, out, errs io.Writer) int {
	fs := flags("status")
	profileName := fs.String("profile", "none", "say what each answer means for the money on this `rail`: "+strings.Join(rails.Names(), ", "))
	at := fs.String("at", "", "how it stands at this `time` (RFC 3339); now if not given")
	asJSON := fs.Bool("json", false, "one JSON object")
	rest, code := parse(fs, args, out, errs)
	if code >= 0 {
		return code
	}
	now, profile := time.Now(), (*rail.Profile)(nil)
	var err error
	if *at != "" {
		if now, err = time.Parse(time.RFC3339, *at); err != nil {
			fmt.Fprintln(errs, "parley iso status: --at wants a time such as 2026-11-23T12:00:00Z")
			return exitUnreadable
		}
	}
	if *profileName != "none" {
		if profile, err = rails.Lookup(*profileName); err != nil {
			fmt.Fprintf(errs, "parley iso status: %s\n", visible(err.Error()))
			return exitUnreadable
		}
	}
	if len(rest) == 0 {
		fs.Usage()
		return exitUnreadable
	}
	var events []event
	unread := 0
	src := &inputs{in: in, errs: newScreen(errs), name: "status"}
	src.fail = func(name string, err error) {
		unread++
		fmt.Fprintf(errs, "parley iso status: %s: %s\n", visible(name), visible(reason(err)))
	}
	var silent []event
	src.visit = func(f *file) {
		d, err := readDocument(f)
		if err != nil {
			src.fail(f.Name, err)
			return
		}
		found := readEvents(f.Name, d)
		if len(found) == 0 {
			silent = append(silent, event{file: f.Name, message: d.messages[0].def})
		}
		events = append(events, found...)
	}
	src.each(rest)
	found, left := join(events)
	left = append(left, silent...)
	slices.SortStableFunc(left, func(a, b event) int { return cmp.Or(strings.Compare(a.file, b.file), a.at.Compare(b.at)) })
	conflicts := 0
	for _, p := range found {
		p.settle(profile, now)
		for i := range p.events {
			if p.events[i].conflict != "" {
				conflicts++
			}
		}
	}
	s := newScreen(out)
	if *asJSON {
		w := &verdictPrinter{s: s}
		if w.line(timelines(found, left)); w.err != nil {
			fmt.Fprintf(errs, "parley iso status: %v\n", w.err)
			return exitUnreadable
		}
	} else {
		for i, p := range found {
			if i > 0 {
				s.printf("\n")
			}
			p.print(s)
		}
		printLeft(s, left, len(found) > 0)
		if profile == nil && len(found) > 0 {
			s.printf("\n%s\n", s.paint(dim, "With --profile RAIL each answer is read by that rail's own table: the same code means different things on different rails."))
		}
	}
	switch {
	case unread > 0:
		return exitUnreadable
	case conflicts > 0:
		return exitNo
	}
	return exitOK
}

// timelineJSON is what --json prints.
type timelineJSON struct {
	Payments []paymentJSON `json:"payments"`
	Left     []eventJSON   `json:"left"` // that fit no payment
}

type paymentJSON struct {
	UETR          string      `json:"uetr,omitempty"`
	EndToEndID    string      `json:"endToEndId,omitempty"`
	TransactionID string      `json:"transactionId,omitempty"`
	Amount        string      `json:"amount,omitempty"`
	State         string      `json:"state"`
	Next          string      `json:"next"`
	Contradicted  bool        `json:"contradicted"`
	Events        []eventJSON `json:"events"`
}

type eventJSON struct {
	File          string `json:"file"`
	Message       string `json:"message"`
	MessageID     string `json:"messageId,omitempty"`
	At            string `json:"at,omitempty"` // RFC 3339, in the zone of the message; as it stands if it has none
	From          string `json:"from,omitempty"`
	To            string `json:"to,omitempty"`
	Amount        string `json:"amount,omitempty"`
	Status        string `json:"status,omitempty"`
	Reason        string `json:"reason,omitempty"`
	Text          string `json:"text,omitempty"`
	Means         string `json:"means,omitempty"`
	Contradiction string `json:"contradiction,omitempty"`
	Again         bool   `json:"again,omitempty"` // the same message stands in another file
}

func timelines(found []*payment, left []event) timelineJSON {
	t := timelineJSON{Payments: []paymentJSON{}, Left: []eventJSON{}}
	for _, p := range found {
		x := paymentJSON{UETR: p.uetr, EndToEndID: p.endToEnd, TransactionID: p.tx, Amount: p.amount, State: p.state, Next: p.next}
		for i := range p.events {
			x.Events = append(x.Events, p.events[i].json())
			x.Contradicted = x.Contradicted || p.events[i].conflict != ""
		}
		t.Payments = append(t.Payments, x)
	}
	for i := range left {
		t.Left = append(t.Left, left[i].json())
	}
	return t
}

func (e *event) json() eventJSON {
	return eventJSON{File: e.file, Message: e.message, MessageID: e.messageID, At: e.when, From: e.from, To: e.to, Amount: e.amount, Status: e.status,
		Reason: cmp.Or(e.reason, e.ownReason), Text: e.words(), Means: e.means, Contradiction: e.conflict, Again: e.again}
}

// sets are the code sets of status and reason, by message.
var sets = map[string][2][]codes.Set{
	"pacs.002": {{"ExternalPaymentTransactionStatus1Code", "ExternalPaymentGroupStatus1Code"}, {"ExternalStatusReason1Code"}},
	"pain.002": {{"ExternalPaymentTransactionStatus1Code", "ExternalPaymentGroupStatus1Code"}, {"ExternalStatusReason1Code"}},
	"pain.014": {{"ExternalPaymentTransactionStatus1Code", "ExternalPaymentGroupStatus1Code"}, {"ExternalStatusReason1Code"}},
	"pacs.004": {nil, {"ExternalReturnReason1Code"}},
	"camt.056": {nil, {"ExternalCancellationReason1Code"}},
	"camt.055": {nil, {"ExternalCancellationReason1Code"}},
	"camt.029": {{"ExternalInvestigationExecutionConfirmation1Code"}, {"ExternalPaymentCancellationRejection1Code"}},
	"camt.052": {{"ExternalEntryStatus1Code"}, nil}, "camt.053": {{"ExternalEntryStatus1Code"}, nil}, "camt.054": {{"ExternalEntryStatus1Code"}, nil},
}

// firstWords returns what ISO says of a code: its name, or the first sentence of its text.
func firstWords(in []codes.Set, code string) string {
	for _, set := range in {
		if c, ok := codes.Lookup(set, code); ok {
			words, _, _ := strings.Cut(c.Text, ". ")
			return strings.TrimSuffix(words, ".")
		}
	}
	return ""
}

// words is status and reason in human texts.
func (e *event) words() string {
	var parts []string
	of := sets[e.name]
	if w := firstWords(of[0], e.status); w != "" {
		parts = append(parts, w)
	}
	if w := firstWords(of[1], e.reason); w != "" {
		parts = append(parts, w)
	}
	if e.info != "" {
		parts = append(parts, "“"+clip(e.info, 200)+"”")
	}
	return strings.Join(parts, "; ")
}

// stateStyle colours a state: money that moved, money that did not, and what is open.
func stateStyle(state string) style {
	switch state {
	case "settled", "credited":
		return green
	case "refused", "declined", "blocked":
		return red
	}
	return yellow
}

// print writes the timeline of a payment.
func (p *payment) print(s *screen) {
	name := p.uetr
	for _, id := range []string{p.endToEnd, p.tx} {
		name = cmp.Or(name, id)
	}
	if name == "" && len(p.events) > 0 {
		name = cmp.Or(p.events[0].instr, p.events[0].messageID)
	}
	s.printf("%s  %s\n", s.paint(bold, "payment "+visible(clip(name, 60))), s.paint(stateStyle(p.state), p.state))
	var facts []string
	if p.amount != "" {
		facts = append(facts, p.amount)
	}
	if p.debtor != "" && p.creditor != "" {
		facts = append(facts, p.debtor+" pays "+p.creditor)
	}
	if p.endToEnd != "" && p.endToEnd != name {
		facts = append(facts, "end-to-end id "+p.endToEnd)
	}
	if len(facts) > 0 {
		for _, line := range wrap(visible(clip(strings.Join(facts, ", "), 300)), s.width-2) {
			s.printf("  %s\n", s.paint(dim, line))
		}
	}
	t := table{indent: 2, widest: 34}
	for i := range p.events {
		e := &p.events[i]
		t.row(text(e.clock()), text(visible(e.route())), styled(bold, visible(clip(e.name, 20))), text(e.says()))
		if e.means != "" {
			t.row(text(""), text(""), text(""), styled(cyan, "means: "+e.means))
		}
		if e.conflict != "" {
			t.row(text(""), text(""), text(""), styled(red, "CONTRADICTION: "+visible(clip(e.conflict, 200))))
		}
	}
	t.print(s)
	for i, line := range wrap(visible(p.next), s.width-8) {
		if i == 0 {
			s.printf("  %s  %s\n", s.paint(bold, "next"), line)
		} else {
			s.printf("        %s\n", line)
		}
	}
}

// clock is the time of an event in the zone of its message.
func (e *event) clock() string {
	if e.at.IsZero() {
		return "no time"
	}
	text := strings.Replace(visible(clip(e.when, 40)), "T", " ", 1)
	if e.zoneless {
		return text + " no zone"
	}
	if m, ok := parseMoment(e.when); ok && m.offset == "" { // told by the rail's rule
		return text + e.at.Format("-07:00")
	}
	return text
}

func (e *event) route() string {
	if e.from == "" && e.to == "" {
		return ""
	}
	return clip(cmp.Or(e.from, "?"), 16) + " > " + clip(cmp.Or(e.to, "?"), 16)
}

// says is what a message says, in words.
func (e *event) says() string {
	var parts []string
	if e.amount != "" {
		amount := e.amount
		if e.credit != "" {
			amount += map[string]string{"CRDT": " in", "DBIT": " out"}[e.credit]
		}
		parts = append(parts, amount)
	}
	code := strings.TrimSpace(e.status + " " + cmp.Or(e.reason, e.ownReason))
	if code != "" {
		parts = append(parts, code)
	}
	if w := e.words(); w != "" {
		parts = append(parts, w)
	}
	if strings.HasPrefix(e.originalDef, "pacs.004") {
		parts = append(parts, "about the return")
	}
	if e.duplicate {
		parts = append(parts, "sent again, marked DUPL")
	}
	if e.again {
		parts = append(parts, "the same message again")
	}
	if len(parts) == 0 {
		parts = append(parts, map[string]string{"pacs.028": "asks what became of it", "camt.056": "asks for the money back"}[e.name])
	}
	return visible(strings.Join(parts, ": "))
}

// printLeft lists what fits no payment, the entries of one statement together.
func printLeft(s *screen, left []event, more bool) {
	if len(left) == 0 {
		return
	}
	if more {
		s.printf("\n")
	}
	s.printf("%s\n", s.paint(bold, "of no payment here"))
	t := table{indent: 2, widest: 60}
	for i := 0; i < len(left); {
		n := 1
		for i+n < len(left) && left[i+n].file == left[i].file {
			n++
		}
		why := ""
		if left[i].isStatement() {
			why = strings.Replace(plural(n, "entrie"), "1 entrie", "1 entry", 1)
		} else if left[i].originalMessage != "" {
			why = "about " + clip(left[i].originalMessage, 40)
		}
		t.row(text(visible(left[i].file)), styled(dim, visible(clip(left[i].message, 40))), text(visible(why)))
		i += n
	}
	t.print(s)
}
