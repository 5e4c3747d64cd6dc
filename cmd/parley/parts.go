package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/parleypay/parley/internal/node"
	"github.com/parleypay/parley/payments/intent"
)

// part runs one long-lived part from a configuration file: read checks the file, run runs what read returned.
func part[T any](name string, args []string, in io.Reader, out, errs io.Writer, read func(path string) (T, error), run func(context.Context, T, node.Options) error) int {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	path := fs.String("config", "", "configuration `file` (YAML), required")
	check := fs.Bool("check-config", false, "say everything that is wrong with the configuration and stop")
	events := fs.Bool("events", false, "write events as JSON lines to standard output, and stop when standard input closes")
	if code := parse(fs, args, errs); code >= 0 {
		return code
	}
	if *path == "" {
		fmt.Fprintf(errs, "parley %s: -config is required\n", name)
		return exitUsage
	}
	config, err := read(*path)
	if err != nil {
		fmt.Fprintln(errs, err)
		return exitUsage
	}
	if *check {
		fmt.Fprintf(out, "%s: nothing is wrong\n", *path)
		return exitOK
	}
	until := node.UntilSignal
	if *events {
		until = node.UntilTerminated
	}
	ctx, stop := until(context.Background())
	defer stop()
	var options node.Options
	if *events {
		var cancel context.CancelFunc
		ctx, cancel = node.UntilClosed(ctx, in)
		defer cancel()
		options = node.JSONLines(out)
	} else {
		options.OnReady = func(r node.Ready) { fmt.Fprintln(out, r) }
	}
	options.Log = errs
	if err := run(ctx, config, options); err != nil {
		fmt.Fprintf(errs, "parley %s: %v\n", name, err)
		return exitFailed
	}
	if !*events {
		fmt.Fprintf(out, "%s stopped\n", name)
	}
	return exitOK
}

func relayCommand(args []string, in io.Reader, out, errs io.Writer) int {
	return part("relay", args, in, out, errs, node.ReadRelay, node.RunRelay)
}

func railCommand(args []string, in io.Reader, out, errs io.Writer) int {
	return part("rail", args, in, out, errs, node.ReadRail, node.RunRail)
}

func connectorCommand(args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) == 1 && (args[0] == "-new-code" || args[0] == "--new-code") {
		code := intent.NewOneTimeCode()
		hash, err := intent.HashCode(code)
		if err != nil {
			fmt.Fprintf(errs, "parley connector: %v\n", err)
			return exitFailed
		}
		fmt.Fprintf(out, "for the customer:   %s\nfor the bank's file: code_hash: %q\n", code, hash)
		return exitOK
	}
	return part("connector", args, in, out, errs, node.ReadBank, node.RunConnector)
}
