package main

import (
	"flag"
	"fmt"
	"io"

	"github.com/parleypay/parley/internal/platform"
)

func initCommand(args []string, _ io.Reader, out, errs io.Writer) int {
	fs := flag.NewFlagSet("init", flag.ContinueOnError)
	rail := fs.String("rail", "fednow", "fednow or sctinst")
	dir := fs.String("dir", "try", "new `directory` for the files")
	if code := parse(fs, args, errs); code >= 0 {
		return code
	}
	commands, err := platform.Init(*dir, *rail)
	if err != nil {
		fmt.Fprintf(errs, "parley init: %v\n", err)
		return exitFailed
	}
	fmt.Fprint(out, commands)
	return exitOK
}
