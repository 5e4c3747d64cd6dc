package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parleypay/parley/internal/legs"
	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments/iso20022/codes"
)

// printer shows events as they happen.
type printer interface {
	event(trace.Event)
	note(format string, args ...any) // a remark of the demo itself
	result(Result)
}

// transcript prints events for a person: when, who, what. It is used by one goroutine.
type transcript struct {
	w     io.Writer
	color bool
	next  string    // what a connector does about an unknown outcome
	zero  time.Time // the time printed as 0
	last  time.Time
}

const (
	bold, dim, red, green, plain = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[0m"
)

func (t *transcript) paint(code, s string) string {
	if !t.color {
		return s
	}
	return code + s + plain
}

func (t *transcript) event(e trace.Event) {
	switch {
	case t.zero.IsZero():
		t.zero, t.last = e.T, e.T
	case e.Event == legs.Ordered:
		t.zero, t.last = e.T, e.T
		t.note("\n%9s %10s  %-*s %s", "at", "after", actorWidth, "who", "what")
	}
	say, known := sentence(e)
	switch {
	case known && say == "":
		return // of no interest to a reader
	case !known:
		say = e.Event + " {status} {detail}"
	}
	text := strings.NewReplacer("{status}", e.Status, "{detail}", e.Detail, "{intent}", short(e.Intent), "{next}", t.next).Replace(say)
	since := e.T.Sub(t.zero)
	step := max(0, e.T.Sub(t.last))
	if e.T.After(t.last) {
		t.last = e.T
	}
	fmt.Fprintf(t.w, "%s %s  %s %s\n", t.paint(dim, fmt.Sprintf("%9s", millis(since))), t.paint(dim, fmt.Sprintf("%10s", "+"+millis(step))),
		t.paint(bold, fmt.Sprintf("%-*s", actorWidth, e.Actor)), wrapped(text))
}

const (
	actorWidth = 11
	textAt     = 9 + 1 + 10 + 2 + actorWidth + 1 // columns before the text
	textWidth  = 100 - textAt
)

// wrapped breaks a text that is wider than its column between words.
func wrapped(text string) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		width := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case column+1+width > textWidth:
			b.WriteString("\n" + strings.Repeat(" ", textAt))
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += width
	}
	return b.String()
}

func (t *transcript) note(format string, args ...any) {
	fmt.Fprintf(t.w, "%s\n", t.paint(dim, fmt.Sprintf(format, args...)))
}

func (t *transcript) result(r Result) {
	fmt.Fprintln(t.w)
	if len(r.Legs) > 0 {
		fmt.Fprintln(t.w, t.paint(bold, "The time of each leg"))
		for _, l := range r.Legs {
			fmt.Fprintf(t.w, "%12s  %s\n", millis(l.Took), l.Name)
		}
		fmt.Fprintln(t.w)
	}
	line, code := fmt.Sprintf("%s %s", short(r.Intent), strings.ToUpper(r.Status)), red
	if r.Settled() {
		code = green
	}
	if r.Reason != "" {
		line += ": " + r.Reason
	}
	fmt.Fprintln(t.w, t.paint(code, line))
	if c, ok := codes.Lookup(codes.ExternalStatusReason1Code, r.Reason); ok {
		fmt.Fprintf(t.w, "%s, in the words of ISO 20022: %s\n", c.Code, c.Text)
	}
	for _, l := range r.Remarks {
		fmt.Fprintln(t.w, l)
	}
}

// millis prints a duration in milliseconds with one decimal, or in seconds from 10 s.
func millis(d time.Duration) string {
	if d >= 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// short keeps the end of an intent id, which tells the intents of one demo apart.
func short(intent string) string {
	if len(intent) > 12 {
		return "pi_…" + intent[len(intent)-6:]
	}
	return intent
}
