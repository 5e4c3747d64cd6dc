package main

import (
	"fmt"
	"io"
)

func benchCommand(args []string, in io.Reader, out, errs io.Writer) int {
	fmt.Fprintln(errs, "usage: parley bench pay|relay")
	return exitUsage
}
