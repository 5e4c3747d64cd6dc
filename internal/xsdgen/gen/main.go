// Command gen writes the schema tables of package iso20022: run go generate there. To add a message, add its definition to
// xsdgen.Committed first.
package main

import (
	"flag"
	"log"
	"os"

	"github.com/parleypay/parley/internal/xsdgen"
)

func main() {
	dir := flag.String("xsd", "../../../shared/iso20022/xsd", "folder of the schemas")
	out := flag.String("out", "tables.go", "file to write")
	flag.Parse()
	src, err := xsdgen.GenerateDir(*dir, xsdgen.Committed)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, src, 0o644); err != nil {
		log.Fatal(err)
	}
}
