package isotool

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

const newUsage = `usage: parley iso new MESSAGE [--profile RAIL] [--json FILE|-] [--FIELD VALUE]...

Builds a valid message and prints its XML. MESSAGE is a name such as pacs.008, or a definition such
as pacs.004.001.09. What it says comes from a JSON document, from flags named after its fields, or
from both; ids, times and the rail's fixed codes are filled in.

  --profile RAIL   in the wrapper of a rail, by its rules: %s;
                   none: the document alone
  --json FILE      the fields as JSON; - is standard input
  --FIELD VALUE    one field, such as --amount "EUR 4.50" --debtor.name "Example Payer"
  --about FILE     the message that this one answers, asks after, recalls or returns: its ids and agents
  --from, --to     the participants in the header; else the sender's bank and the rail
  --at TIME        the time of creation (RFC 3339); now if it is not given
  --seed TEXT      makes the ids: the same text, time and sender give the same. Random if not given
  --pretty         indented; else canonical bytes, as they can be sent and signed
  --example        print the JSON to start from
  --help           this; behind a MESSAGE: its fields

Messages: %s.
Exit status: 0 made, 1 refused, 2 something could not be read.
`

// newCommand is the subcommand new.
func newCommand(args []string, in io.Reader, out, errs io.Writer) int {
	say := func(format string, args ...any) int {
		fmt.Fprintf(errs, "parley iso new: %s\n", visible(fmt.Sprintf(format, args...)))
		return exitUnreadable
	}
	options := map[string]string{"profile": "none", "json": "", "from": "", "to": "", "at": "", "seed": "", "about": ""}
	switches := map[string]bool{"pretty": false, "example": false, "help": false}
	var names []string
	var set [][2]string
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "-")
		if !isFlag || name == "" {
			names = append(names, args[i])
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(name, "-"), "=")
		if name == "h" {
			name = "help"
		}
		if _, ok := switches[name]; ok && !given {
			switches[name] = true
			continue
		}
		if !given {
			if i++; i == len(args) {
				return say("--%s wants a value", clip(name, 60))
			}
			value = args[i]
		}
		if _, ok := options[name]; ok {
			options[name] = value
		} else {
			set = append(set, [2]string{name, value})
		}
	}
	usage := fmt.Sprintf(newUsage, strings.Join(rails.Names(), ", "), strings.Join(wrap(strings.Join(messageNames(), ", "), 80), "\n  "))
	if len(names) == 0 && switches["help"] {
		io.WriteString(out, usage)
		return exitOK
	}
	if len(names) != 1 {
		io.WriteString(errs, usage)
		return exitUnreadable
	}
	b := &builder{now: time.Now(), seed: options["seed"]}
	var err error
	if options["profile"] != "none" {
		if b.profile, err = rails.Lookup(options["profile"]); err != nil {
			return say("%v", err)
		}
	}
	if options["at"] != "" {
		if b.now, err = time.Parse(time.RFC3339, options["at"]); err != nil {
			return say("--at wants a time such as 2026-11-23T12:00:00Z")
		}
	}
	if b.seed == "" {
		b.seed = rand.Text()
	}
	def, err := definitionOf(names[0], b.profile)
	if err != nil {
		return say("%v", err)
	}
	switch {
	case switches["help"]:
		b.help(newScreen(out), def)
		return exitOK
	case switches["example"]:
		example, _ := appendJSON(nil, reflect.ValueOf(exampleOf(def, b.profile)).Elem(), "")
		if from := exampleSender(def, b.profile); from != "" {
			example = append([]byte("{\n  \"header\": {\n    \"from\": \""+from+"\"\n  },"), example[1:]...)
		}
		fmt.Fprintf(out, "%s\n", example)
		return exitOK
	}
	var value any = map[string]any{}
	if options["json"] != "" {
		text, err := readJSON(options["json"], in)
		if err == nil {
			value, err = parseJSON(text)
		}
		if err != nil {
			return say("%s: %s", options["json"], reason(err))
		}
	}
	for _, s := range append(set, [2]string{"header.from", options["from"]}, [2]string{"header.to", options["to"]}) {
		if s[1] == "" && strings.HasPrefix(s[0], "header.") {
			continue
		}
		if value, err = setField(value, strings.Split(s[0], "."), s[1]); err != nil {
			return say("--%s: %v", clip(s[0], 100), err)
		}
	}
	if options["about"] != "" {
		e, err := readAbout(options["about"], func() ([]byte, error) { return readJSON(options["about"], in) })
		var list [][2]string
		if err == nil {
			list, err = about(def, e, b.profile)
		}
		if err != nil {
			return say("--about %s: %s", options["about"], reason(err))
		}
		for _, x := range list {
			if x[1] == "" {
				continue
			}
			if v, err := setField(value, strings.Split(x[0], "."), x[1]); err == nil { // else it was said
				value = v
			}
		}
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return say("the JSON document is no object")
	}
	made := b.build(def, fields)
	if made.wrong != nil {
		s := newScreen(errs)
		s.printf("parley iso new: %s refused, nothing written: %s\n", def, plural(len(made.wrong), "error"))
		t := table{indent: 2, widest: 30}
		for _, w := range made.wrong {
			what := w.Text
			if w.Path != "" {
				what += ": " + w.Path
			}
			t.row(styled(yellow, visible(clip(w.Rule, 80))), text(visible(clip(what, 1000))))
		}
		t.print(s)
		return exitNo
	}
	b.notes(newScreen(errs), made)
	wire := made.wire
	if switches["pretty"] {
		wire = pretty(wire)
	}
	if f, ok := out.(*os.File); switches["pretty"] || ok && newScreen(f).terminal {
		wire = append(slices.Clip(wire), '\n')
	}
	if _, err := out.Write(wire); err != nil {
		return say("%v", err)
	}
	return exitOK
}

// readJSON reads at most 1 MiB.
func readJSON(name string, in io.Reader) ([]byte, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return (&file{Name: name, Reader: in}).whole(1 << 20)
}

func asFault(err error) *iso20022.Fault {
	var f *iso20022.Fault
	errors.As(err, &f)
	return f
}

// notes says what the rail writes otherwise than it was given, or leaves out.
func (b *builder) notes(s *screen, made *built) {
	final := make(map[string]string)
	for _, f := range flatten(reflect.ValueOf(made.model).Elem(), "", false) {
		final[f.path] = f.text
	}
	for _, g := range made.given {
		switch now, ok := final[g.path]; {
		case !ok:
			s.printf("parley iso new: %s: left out, %s has no place for it\n", visible(g.path), b.profile.Title)
		case now != g.text && g.kind != "time":
			s.printf("parley iso new: %s: written as %q on %s\n", visible(g.path), visible(clip(now, 200)), b.profile.Title)
		}
	}
}

// exampleSender is who sends the example where the message itself does not say.
func exampleSender(def string, p *rail.Profile) string {
	if p == nil || !slices.Contains([]string{"admi.002", "admi.004", "admi.007", "admi.011"}, messageName(def)) {
		return ""
	}
	return string(exampleOf("pacs.008.001.08", p).(*iso20022.CreditTransfer).Debtor.Agent.ID)
}

// help lists the fields of a message: those of the example with their element and value, then all others.
func (b *builder) help(s *screen, def string) {
	example := exampleOf(def, b.profile)
	value, _ := appendJSON(nil, reflect.ValueOf(example).Elem(), "")
	parsed, _ := parseJSON(value)
	input, _ := parsed.(map[string]any)
	if from := exampleSender(def, b.profile); from != "" {
		input["header"] = map[string]any{"from": from}
	}
	made := b.build(def, input)
	where := elementsOf(made.wire)
	title := def
	if b.profile != nil {
		title += " on " + b.profile.Title
	}
	s.printf("%s\n\n", s.paint(bold, title))
	asked := flatten(reflect.ValueOf(example).Elem(), "", false)
	said := make(map[string]bool)
	t := table{indent: 2, widest: 44}
	s.printf("%s\n", s.paint(bold, "what to say, with the values of --example"))
	for _, f := range asked {
		said[f.path] = true
		t.row(text(f.path), styled(cyan, clip(f.text, 36)), styled(dim, where.find(f)))
	}
	t.print(s)
	if made.model != nil {
		t := table{indent: 2, widest: 44}
		n := 0
		for _, f := range flatten(reflect.ValueOf(made.model).Elem(), "", false) {
			if !said[f.path] {
				said[f.path] = true
				n++
				t.row(text(f.path), styled(cyan, clip(f.text, 36)), styled(dim, where.find(f)))
			}
		}
		if n > 0 {
			s.printf("\n%s\n", s.paint(bold, "filled in, unless you say something else"))
			t.print(s)
		}
	}
	rest := table{indent: 2, widest: 44}
	for _, f := range flatten(reflect.ValueOf(makers[messageName(def)]()).Elem(), "", true) {
		if !said[f.path] {
			rest.row(text(f.path), styled(dim, f.kind))
		}
	}
	s.printf("\n%s\n", s.paint(bold, "more fields"))
	rest.print(s)
	s.printf("\nAmounts are texts such as \"EUR 4.50\". Times have their zone. header.from and header.to are the participants.\n")
}

// placed are the elements of a message by their text.
type placed map[string][]string

// find returns the element that has the value of a field; of several the one whose names say what the field's do.
func (e placed) find(f field) string {
	found, best := "", -1
	for _, path := range e[f.text] {
		score := 0
		for _, x := range [][2]string{{"debtor", "/Dbtr"}, {"creditor", "/Cdtr"}, {"agent", "Agt/"}, {"instructing", "/InstgAgt"}, {"instructed", "/InstdAgt"}, {"assigner", "Assgnr"},
			{"assignee", "Assgne"}, {"creator", "Cretr"}, {"original", "Orgnl"}, {"case", "Case"}, {"initiator", "InitgPty"}} {
			if strings.Contains(strings.ToLower(f.path), x[0]) == strings.Contains("/"+path, x[1]) {
				score++
			}
		}
		if score > best {
			found, best = path, score
		}
	}
	return found
}

// elementsOf returns the elements of a message.
func elementsOf(wire []byte) placed {
	where := make(placed)
	tree, err := iso20022.Inspect(wire)
	if err != nil {
		return where
	}
	d := takeApart(tree)
	for _, m := range d.messages {
		for _, body := range m.body {
			var list []leafValue
			leaves(body, "", &list)
			for _, l := range list {
				where[l.Value] = append(where[l.Value], strings.TrimPrefix(l.Path, "/"))
			}
		}
	}
	return where
}

// pretty returns a message with each element on a line of its own. What holds text beside elements stays as it is.
func pretty(wire []byte) []byte {
	tree, err := iso20022.Parse(wire)
	if err != nil {
		return wire
	}
	root := tree.Root()
	start, _ := root.Range()
	out := bytes.TrimSpace(wire[:start])
	if len(out) > 0 {
		out = append(slices.Clip(out), '\n')
	}
	var write func(e iso20022.Element, indent int)
	write = func(e iso20022.Element, indent int) {
		out = append(out, strings.Repeat("  ", indent)...)
		from, to := e.Range()
		if e.IsLeaf() || e.HasText() || e.Name() == "Envlp" || e.Name() == "Sgntr" {
			out = append(out, wire[from:to]...)
			return
		}
		last := from
		for c := range e.Children() {
			begin, end := c.Range()
			if last == from {
				out = append(out, bytes.TrimSpace(wire[from:begin])...)
			}
			out = append(out, '\n')
			write(c, indent+1)
			last = end
		}
		out = append(append(out, '\n'), strings.Repeat("  ", indent)...)
		out = append(out, bytes.TrimSpace(wire[last:to])...)
	}
	write(root, 0)
	return out
}
