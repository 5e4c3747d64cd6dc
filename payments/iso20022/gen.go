//go:build ignore

// Command gen writes tables.go from the ISO 20022 schemas that the codec validates against. To add a message, add its definition
// to the list and run go generate.
package main

import (
	"flag"
	"log"
	"os"

	"github.com/parleypay/parley/internal/xsdgen"
)

//go:generate go run gen.go

func main() {
	dir := flag.String("xsd", "../../../shared/iso20022/xsd", "folder of the schemas")
	flag.Parse()
	src, err := xsdgen.GenerateDir(*dir, xsdgen.Committed)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("tables.go", src, 0o644); err != nil {
		log.Fatal(err)
	}
}
