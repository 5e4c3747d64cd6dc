// Command parley runs the parts of Parley and shows one payment from end to end.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/parleypay/parley/internal/isotool"
)

// command is one subcommand. It returns the exit status; what it has to say about a failure it has written to errs.
type command struct {
	name, says string
	run        func(args []string, in io.Reader, out, errs io.Writer) int
}

var commands = []command{
	{"demo", "one payment from chat to rail and back, with all parts on this machine", demoCommand},
	{"relay", "run a relay: queues and delivers ciphertext", relayCommand},
	{"rail", "run a simulated real-time rail (FedNow, SCT Inst, RTP or Pix)", railCommand},
	{"connector", "run a bank's connector", connectorCommand},
	{"chat", "a person's chat in the terminal, which can pay", chatCommand},
	{"init", "write configuration files for the parts as separate processes", initCommand},
	{"bench", "measure: bench pay, bench relay", benchCommand},
	{"iso", "check, show and explain ISO 20022 messages (parley iso lists the ways)", isotool.Run},
	{"sim", "play seeded worlds with faults and check the invariants", simCommand},
}

// Exit statuses. A demo or chat whose payment ended without settling exits with exitNotSettled.
const (
	exitOK         = 0
	exitFailed     = 1
	exitUsage      = 2
	exitNotSettled = 3
)

func main() {
	// A goroutine that waits for fsync holds one of the runtime's processors until the scheduler notices, so that with as many as the
	// machine has cores the whole process stands still now and then. Twice as many make a quarter to a half more payments (bench pay).
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) > 0 {
		for _, c := range commands {
			if c.name == args[0] {
				return c.run(args[1:], in, out, errs)
			}
		}
		if args[0] != "help" && args[0] != "-h" && args[0] != "--help" {
			fmt.Fprintf(errs, "parley: there is no command %q\n\n", args[0])
			usage(errs)
			return exitUsage
		}
		usage(out)
		return exitOK
	}
	usage(errs)
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: parley COMMAND [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.says)
	}
	fmt.Fprint(w, "\nparley COMMAND -h lists the flags. Try: parley demo\n")
}

// parse parses the flags of a command that takes no other arguments. It returns -1 when the command is to go on.
func parse(fs *flag.FlagSet, args []string, errs io.Writer) int {
	fs.SetOutput(errs)
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case fs.NArg() > 0:
		fmt.Fprintf(errs, "parley %s: unexpected argument %q\n", fs.Name(), fs.Arg(0))
		return exitUsage
	}
	return -1
}
