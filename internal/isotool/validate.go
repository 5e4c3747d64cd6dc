package isotool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

// mostErrors bounds what is reported of one file.
const mostErrors = 1000

// verdict is what validate found out about one file, and its line of JSON.
type verdict struct {
	File    string    `json:"file"`
	Message string    `json:"message"`           // its definition, "" if none could be told
	Profile string    `json:"profile,omitempty"` // of the rail it was judged by
	Without []string  `json:"without,omitempty"` // rules that were switched off
	Valid   bool      `json:"valid"`
	Errors  []problem `json:"errors"`
	Stopped bool      `json:"stopped,omitempty"` // at mostErrors, before the end of the file
}

// problem is one error of a verdict. It holds no value of the file.
type problem struct {
	Path   string `json:"path"`
	Line   int    `json:"line"` // from 1; 0 where a rule looks at more than one place, or at no place
	Column int    `json:"column,omitempty"`
	Rule   string `json:"rule"`
	Text   string `json:"text"`
}

// unreadable is the rule of a file that could not be read.
const unreadable = "file.unreadable"

func validate(args []string, in io.Reader, out, errs io.Writer) int {
	fs := flags("validate")
	profileName := fs.String("profile", "none", "judge by all that a `rail` demands: "+strings.Join(rails.Names(), ", ")+"; none: by ISO's schemas alone")
	var without list
	fs.Var(&without, "without", "switch off a `rule` of the profile, such as fednow.aba.checksum; may be repeated")
	asJSON := fs.Bool("json", false, "one JSON object per file and line")
	quiet := fs.Bool("quiet", false, "print invalid files only")
	rest, status := parse(fs, args, out, errs)
	if status >= 0 {
		return status
	}
	var profile *rail.Profile
	if *profileName != "none" {
		var err error
		if profile, err = rails.Lookup(*profileName); err == nil {
			_, err = profile.Without(without...)
		}
		if err != nil {
			fmt.Fprintf(errs, "parley iso validate: %s\n", visible(err.Error()))
			return exitUnreadable
		}
	}
	switch {
	case profile == nil && len(without) > 0:
		fmt.Fprintln(errs, "parley iso validate: --without switches off a rule of a profile: name that with --profile; a schema has no switches")
		return exitUnreadable
	case len(rest) == 0:
		fs.Usage()
		return exitUnreadable
	}

	p := &verdictPrinter{s: newScreen(out), json: *asJSON, quiet: *quiet}
	unread := 0
	src := &inputs{in: in, errs: newScreen(errs), name: "validate"}
	src.fail = func(name string, err error) {
		unread++
		why := reason(err)
		fmt.Fprintf(errs, "parley iso validate: %s: %s\n", visible(name), visible(why))
		p.unreadable(verdict{File: name, Errors: []problem{{Rule: unreadable, Text: why}}})
	}
	src.visit = func(f *file) {
		v, err := judge(f, profile, without)
		if err != nil {
			src.fail(f.Name, err)
			return
		}
		p.print(v)
	}
	src.each(rest)
	p.sum(unread)
	switch {
	case p.err != nil:
		fmt.Fprintf(errs, "parley iso validate: %v\n", p.err)
		return exitUnreadable
	case unread > 0:
		return exitUnreadable
	case p.invalid > 0:
		return exitNo
	}
	return exitOK
}

// judge validates one file: by a rail's profile, or without one by the schema of each message in it, in bounded memory. The error is
// that of reading.
func judge(f *file, profile *rail.Profile, without []string) (verdict, error) {
	v := verdict{File: f.Name, Errors: []problem{}}
	if profile == nil {
		limits := iso20022.FileLimits
		limits.Faults = mostErrors
		report, err := limits.Check(f)
		if err != nil {
			return v, err
		}
		v.Message = report.Message()
		for _, fault := range report.Faults {
			v.Errors = append(v.Errors, problem{Path: clip(fault.Path, 2000), Line: fault.Line, Column: fault.Col, Rule: fault.Rule, Text: fault.Text})
		}
		v.Valid, v.Stopped = len(v.Errors) == 0, len(v.Errors) >= mostErrors
		return v, nil
	}
	wire, err := io.ReadAll(io.LimitReader(f, int64(profile.SizeMaxBytes)+1)) // one octet more than Check takes
	if err != nil {
		return v, err
	}
	found, err := profile.Check(wire, without...)
	if err != nil {
		return v, err
	}
	v.Message, v.Profile, v.Without, v.Valid = found.Message, profile.Name, found.Without, found.Valid()
	for _, fault := range found.Faults {
		v.Errors = append(v.Errors, problem{Path: clip(fault.Path, 2000), Line: fault.Line, Column: fault.Col, Rule: fault.Rule, Text: fault.Text})
	}
	return v, nil
}

// verdictPrinter prints verdicts as they come, and counts.
type verdictPrinter struct {
	s                    *screen
	json, quiet          bool
	valid, invalid, many int
	err                  error // of the first write that failed
}

func (p *verdictPrinter) print(v verdict) {
	p.many++
	if v.Valid {
		p.valid++
	} else {
		p.invalid++
	}
	switch {
	case p.json:
		p.line(v)
		return
	case v.Valid && p.quiet:
		return
	case v.Valid:
		note := ""
		if len(v.Without) > 0 {
			note = "  without " + strings.Join(v.Without, ", ")
		}
		p.s.printf("%s  %s  %s%s\n", p.s.paint(green, "valid  "), visible(v.File), p.s.paint(dim, v.Message), p.s.paint(yellow, note))
		return
	}
	message := v.Message
	if message != "" {
		message += ", "
	}
	p.s.printf("%s  %s  %s\n", p.s.paint(red, "INVALID"), p.s.paint(bold, visible(v.File)), p.s.paint(dim, message+plural(len(v.Errors), "error")))
	t := table{indent: 4}
	for _, e := range v.Errors {
		at := "-"
		if e.Line > 0 {
			at = fmt.Sprintf("%d:%d", e.Line, e.Column)
		}
		what := e.Text
		if e.Path != "" {
			what += ": " + visible(clip(e.Path, 400))
		}
		t.row(cell{text: at, right: true}, styled(yellow, e.Rule), text(what))
	}
	t.print(p.s)
	if v.Stopped {
		p.s.printf("    and more: the rest was not looked at after %d errors\n", mostErrors)
	}
}

func (p *verdictPrinter) unreadable(v verdict) {
	p.many++
	if p.json {
		p.line(v)
	}
}

// line writes v as a line of JSON. What a terminal might take for a command is escaped in it, which changes nothing for its reader.
func (p *verdictPrinter) line(v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	if err == nil {
		_, err = io.WriteString(p.s.w, escaped(b.String()))
	}
	if p.err == nil {
		p.err = err
	}
}

// escaped writes what is not harmless in a text of JSON, which can stand only inside a string, as \u escapes.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case harmless(r) || r == '\n':
			b.WriteRune(r)
		case r >= 0x10000:
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// sum says how many there were, when there was more than one.
func (p *verdictPrinter) sum(unread int) {
	if p.json || p.many < 2 {
		return
	}
	parts := []string{fmt.Sprintf("%d valid", p.valid)}
	if p.invalid > 0 {
		parts = append(parts, p.s.paint(red, fmt.Sprintf("%d invalid", p.invalid)))
	}
	if unread > 0 {
		parts = append(parts, p.s.paint(red, fmt.Sprintf("%d unreadable", unread)))
	}
	p.s.printf("%s: %s\n", plural(p.many, "file"), strings.Join(parts, ", "))
}
