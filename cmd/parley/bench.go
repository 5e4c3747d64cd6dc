package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/parleypay/parley/internal/bench"
	"github.com/parleypay/parley/internal/node"
	"github.com/parleypay/parley/payments/rail/rails"
)

func benchCommand(args []string, _ io.Reader, out, errs io.Writer) int {
	if len(args) == 0 || args[0] != "pay" && args[0] != "relay" {
		fmt.Fprintln(errs, "usage: parley bench pay|relay [flags]")
		return exitUsage
	}
	fs := flag.NewFlagSet("bench "+args[0], flag.ContinueOnError)
	dir := fs.String("dir", ".", "write into a new `directory` inside this one; its disk is what is measured")
	duration := fs.Duration("duration", 10*time.Second, "how long")
	inFlight := fs.Int("in-flight", 64, "pay: payments under way at once; relay: devices that send")
	payers := fs.Int("payers", 16, "pay: payers' devices that share the payments in flight")
	profile := fs.String("cpuprofile", "", "write a CPU profile to this `file`, for go tool pprof")
	railName := fs.String("rail", "fednow", "pay: on which rail: "+strings.Join(rails.Names(), ", "))
	if code := parse(fs, args[1:], errs); code >= 0 {
		return code
	}
	if *inFlight < 1 || *inFlight > 512 || *payers < 1 || *duration <= 0 {
		fmt.Fprintln(errs, "parley bench: -in-flight must be 1 to 512, -payers and -duration above zero")
		return exitUsage
	}
	ctx, stop := node.UntilSignal(context.Background())
	defer stop()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintf(errs, "parley bench: %v\n", err)
			return exitFailed
		}
		defer f.Close()
		defer pprof.StopCPUProfile()
	}
	var result any
	var err error
	if args[0] == "pay" {
		result, err = bench.Pay(ctx, bench.PayOptions{Rail: *railName, Dir: *dir, InFlight: *inFlight, Payers: *payers, Duration: *duration})
	} else {
		result, err = bench.Relay(ctx, bench.RelayOptions{Dir: *dir, Senders: *inFlight, Duration: *duration})
	}
	if err != nil {
		fmt.Fprintf(errs, "parley bench: %v\n", err)
		return exitFailed
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(result); err != nil {
		return exitFailed
	}
	return exitOK
}
