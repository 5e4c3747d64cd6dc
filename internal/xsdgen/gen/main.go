// Command gen writes the schema tables of package iso20022 from folders of ISO 20022 schemas (*.xsd): run go generate there. A new
// release is one command: put its schemas into the folder, or name their folder after it.
package main

import (
	"flag"
	"log"
	"os"

	"github.com/parleypay/parley/internal/xsdgen"
)

func main() {
	out := flag.String("out", "tables.go", "file to write")
	flag.Parse()
	dirs := flag.Args()
	if len(dirs) == 0 {
		dirs = []string{"../../../shared/iso20022/xsd"}
	}
	src, err := xsdgen.GenerateDirs(dirs...)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, src, 0o644); err != nil {
		log.Fatal(err)
	}
}
