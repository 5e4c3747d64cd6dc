package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/parleypay/parley/internal/demo"
	"github.com/parleypay/parley/internal/node"
	"github.com/parleypay/parley/payments/rail/rails"
)

func demoCommand(args []string, in io.Reader, out, errs io.Writer) int {
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	o := demo.Options{Stdin: in, Stdout: out}
	fs.StringVar(&o.Scenario, "scenario", "settle", "what happens: "+demo.Scenarios())
	fs.StringVar(&o.Rail, "rail", "fednow", strings.Join(rails.Names(), ", "))
	fs.StringVar(&o.Out, "out", "", "leave the exact XML, the signed objects and the journals in this `directory`")
	fs.BoolVar(&o.JSON, "json", false, "print one JSON object per event, the last one with the final status")
	fs.BoolVar(&o.Interactive, "interactive", false, "you play the payer")
	plain := fs.Bool("plain", false, "no colours, also on a terminal")
	verbose := fs.Bool("verbose", false, "log lines of the parts on standard error")
	if code := parse(fs, args, errs); code >= 0 {
		return code
	}
	o.Color = !*plain && isTerminal(out) && os.Getenv("NO_COLOR") == ""
	if *verbose {
		o.Log = errs
	}
	exe, err := os.Executable()
	if err != nil {
		fmt.Fprintf(errs, "parley demo: %v\n", err)
		return exitFailed
	}
	o.Exe = exe
	ctx, stop := node.UntilSignal(context.Background())
	defer stop()
	result, err := demo.Run(ctx, o)
	if err != nil {
		fmt.Fprintf(errs, "parley demo: %v\n", err)
		return exitFailed
	}
	if !result.Settled() {
		fmt.Fprintf(errs, "parley demo: the payment did not settle: it is %s", result.Status)
		if result.Reason != "" {
			fmt.Fprintf(errs, " (%s)", result.Reason)
		}
		fmt.Fprintln(errs)
		return exitNotSettled
	}
	return exitOK
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
