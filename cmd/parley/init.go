package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/parleypay/parley/internal/platform"
	"github.com/parleypay/parley/payments/rail/rails"
)

func initCommand(args []string, _ io.Reader, out, errs io.Writer) int {
	fs := flag.NewFlagSet("init", flag.ContinueOnError)
	railName := fs.String("rail", "fednow", strings.Join(rails.Names(), ", "))
	dir := fs.String("dir", "try", "new `directory` for the files")
	if code := parse(fs, args, errs); code >= 0 {
		return code
	}
	commands, err := platform.Init(*dir, *railName, calledAs(os.Args[0]))
	if err != nil {
		fmt.Fprintf(errs, "parley init: %v\n", err)
		return exitFailed
	}
	fmt.Fprint(out, commands)
	return exitOK
}

// calledAs returns how the person at the shell can call this program again; what go run built is gone by then.
func calledAs(arg0 string) string {
	if strings.Contains(arg0, "go-build") {
		return "go run ./cmd/parley"
	}
	if strings.ContainsAny(arg0, " \t'\"\\$") {
		return filepath.Base(arg0)
	}
	return arg0
}
