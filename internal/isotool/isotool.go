// Package isotool is the command parley iso: it checks, shows and explains ISO 20022 files for a person at a terminal or a script.
//
// It knows no message and no rail of its own: packages iso20022, codes and rail do. It sends nothing and writes no file.
package isotool

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// Exit statuses of every subcommand.
const (
	exitOK         = 0
	exitNo         = 1 // the answer is no: invalid, different, unknown
	exitUnreadable = 2 // something could not be read, or the command line is wrong
)

// subcommand is one of parley iso. Its run returns the exit status, and has written to errs what it has to say about a failure.
type subcommand struct {
	name string
	args string // as in the usage line
	says string // one line
	run  func(args []string, in io.Reader, out, errs io.Writer) int
}

// subcommands returns what parley iso can do, in the order of its usage text. To add one: a file of its own with its function, a line
// here.
func subcommands() []subcommand {
	return []subcommand{
		{"validate", "[flags] FILE|DIR|-...", "check messages against ISO's schemas, or all that a rail demands", validate},
		{"inspect", "[flags] FILE|DIR|-...", "what a message says: who pays whom, how much, and what became of it", inspect},
		{"explain", "CODE...", "what a code, a status, a rule, a message or an element means", explain},
		{"diff", "[flags] FILE FILE", "the difference of two messages by meaning, not by bytes", diff},
		{"status", "[flags] FILE|DIR|-...", "join the messages of each payment into its timeline, with what to do next", status},
		{"new", "MESSAGE [flags]", "build a valid message from flags or JSON", newCommand},
	}
}

// Run runs parley iso with the arguments behind "iso" and returns the exit status.
func Run(args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) == 0 {
		usage(errs)
		return exitUnreadable
	}
	for _, c := range subcommands() {
		if c.name == args[0] {
			return c.run(args[1:], in, out, errs)
		}
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(out)
		return exitOK
	}
	fmt.Fprintf(errs, "parley iso: there is no subcommand %q\n\n", args[0])
	usage(errs)
	return exitUnreadable
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: parley iso SUBCOMMAND [flags] ...\n\n")
	for _, c := range subcommands() {
		fmt.Fprintf(w, "  %-9s %-26s %s\n", c.name, c.args, c.says)
	}
	fmt.Fprint(w, "\n- is standard input. Exit status: 0 yes, 1 no, 2 something could not be read. Colours only on a terminal, and not with NO_COLOR set.\n"+
		"parley iso SUBCOMMAND -h lists the flags.\n")
}

// flags returns the flag set of a subcommand, with its usage text.
func flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.Usage = func() {
		for _, c := range subcommands() {
			if c.name == name {
				fmt.Fprintf(fs.Output(), "usage: parley iso %s %s\n  %s\n", c.name, c.args, c.says)
			}
		}
		fs.PrintDefaults()
	}
	return fs
}

// parse parses the flags of a subcommand, which may stand before, between and behind its other arguments; behind -- there are no flags.
// It returns those arguments, and a status of -1 when the subcommand is to go on.
func parse(fs *flag.FlagSet, args []string, out, errs io.Writer) (rest []string, status int) {
	fs.SetOutput(errs)
	for _, a := range args {
		if a == "--" {
			break
		}
		if a == "-h" || a == "-help" || a == "--help" {
			fs.SetOutput(out)
		}
	}
	for {
		switch err := fs.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			return nil, exitOK
		case err != nil:
			return nil, exitUnreadable
		}
		done := len(args) - fs.NArg()
		switch {
		case fs.NArg() == 0:
			return rest, -1
		case done > 0 && args[done-1] == "--":
			return append(rest, fs.Args()...), -1
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

// list is a flag that may be given several times, or with commas.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

// Set adds what stands between the commas.
func (l *list) Set(s string) error {
	for v := range strings.SplitSeq(s, ",") {
		if v = strings.TrimSpace(v); v == "" {
			return errors.New("an empty name")
		}
		*l = append(*l, v)
	}
	return nil
}
