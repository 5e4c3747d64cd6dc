// Command gen writes the tables of package codes from a folder of ISO 20022 external code sets (*.json): run go generate there. A new
// quarter's sets are one command, after codesgen.Source says where they come from.
package main

import (
	"flag"
	"log"
	"os"

	"github.com/parleypay/parley/internal/codesgen"
)

func main() {
	out := flag.String("out", "tables.go", "file to write")
	dir := flag.String("dir", "../../../../shared/iso20022/codes", "folder of the code sets")
	flag.Parse()
	src, err := codesgen.Generate(*dir)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, src, 0o644); err != nil {
		log.Fatal(err)
	}
}
