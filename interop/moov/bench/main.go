// Command bench measures Parley's ISO 20022 codec beside encoding/xml and moov-io/iso20022, in one run on one pacs.008 of the reference
// data, and reads a long camt.053.
//
//	cd interop/moov && go run ./bench [-shared FOLDER] [-statement MB]
//
// Times of one machine are worth nothing on another: read the ratios. It ends with status 1 if a goal is missed.
package main

import (
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/moov-io/iso20022/pkg/document"
	"github.com/moov-io/iso20022/pkg/pacs_v08"

	"github.com/parleypay/parley/payments/iso20022"
)

// sample is the published pacs.008 nearest to 1.7 KB. Its message id breaks a rule of FedNow; to ISO 20022 it is valid.
const sample = "iso20022/samples/fednow-bad-pacs.008-msgid.xml"

// envelope is the Document of moov's types.
type envelope struct {
	XMLName xml.Name                                  `xml:"urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08 Document"`
	Message *pacs_v08.FIToFICustomerCreditTransferV08 `xml:"FIToFICstmrCdtTrf"`
}

func main() {
	shared := flag.String("shared", defaultShared(), "folder of the reference data")
	megabytes := flag.Int("statement", 100, "length of the camt.053 in MB; 0 leaves it out")
	flag.Parse()
	missed, err := run(*shared, *megabytes)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if missed > 0 {
		fmt.Printf("%d goals missed\n", missed)
		os.Exit(1)
	}
}

func defaultShared() string {
	if dir := os.Getenv("PARLEY_SHARED"); dir != "" {
		return dir
	}
	return filepath.FromSlash("../../../shared")
}

func run(shared string, megabytes int) (missed int, err error) {
	doc, err := os.ReadFile(filepath.Join(shared, filepath.FromSlash(sample)))
	if err != nil {
		return 0, err
	}
	if megabytes > 0 { // first, while the process is small
		r, err := readStatement(megabytes)
		if err != nil {
			return 0, err
		}
		missed += r
	}
	r, err := compare(doc)
	return missed + r, err
}

// operation is one of the things that are measured.
type operation struct {
	name   string
	do     func() error
	ns     []float64 // of each round
	allocs float64
	bytes  uint64
}

const (
	rounds   = 7
	roundFor = 60 * time.Millisecond
)

// measure runs all operations in turn, so that what else the machine does falls on all of them.
func measure(list []*operation) error {
	for range rounds {
		for _, o := range list {
			n := 0
			begin := time.Now()
			for time.Since(begin) < roundFor {
				for range 16 {
					if err := o.do(); err != nil {
						return fmt.Errorf("%s: %w", o.name, err)
					}
				}
				n += 16
			}
			o.ns = append(o.ns, float64(time.Since(begin).Nanoseconds())/float64(n))
		}
	}
	for _, o := range list {
		o.allocs = testing.AllocsPerRun(200, func() { o.do() })
		o.bytes = bytesPerRun(o.do)
		slices.Sort(o.ns)
	}
	return nil
}

// best is the quickest round: the one that was disturbed least.
func (o *operation) best() float64 { return o.ns[0] }

func compare(doc []byte) (missed int, err error) {
	ours, err := iso20022.DecodeCreditTransfer(doc)
	if err != nil {
		return 0, err
	}
	var theirs envelope
	if err := xml.Unmarshal(doc, &theirs); err != nil {
		return 0, err
	}
	parsed, err := document.ParseIso20022Document(doc)
	if err != nil {
		return 0, err
	}
	if err := parsed.Validate(); err != nil {
		return 0, err
	}
	var buf []byte
	encode := &operation{name: "encode: Parley, into a buffer", do: func() (err error) { buf, err = ours.Append(buf[:0]); return }}
	marshal := &operation{name: "encode: encoding/xml, moov's type", do: func() error { _, err := xml.Marshal(&theirs); return err }}
	decode := &operation{name: "decode: Parley (scan, validate, read)", do: func() error { _, err := iso20022.DecodeCreditTransfer(doc); return err }}
	unmarshal := &operation{name: "decode: encoding/xml, moov's type", do: func() error { var e envelope; return xml.Unmarshal(doc, &e) }}
	parse := &operation{name: "decode: moov ParseIso20022Document", do: func() error { _, err := document.ParseIso20022Document(doc); return err }}
	validate := &operation{name: "validate: Parley, all of the schema, from text", do: func() error { return iso20022.Validate(doc) }}
	theirValidate := &operation{name: "validate: moov Validate, of what is parsed", do: parsed.Validate}
	list := []*operation{encode, marshal, decode, unmarshal, parse, validate, theirValidate}
	if err := measure(list); err != nil {
		return 0, err
	}

	fmt.Printf("%s, %d bytes; the best of %d rounds\n\n", filepath.Base(sample), len(doc), rounds)
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "operation\tns\tB\tallocs\t")
	for _, o := range list {
		fmt.Fprintf(w, "%s\t%.0f\t%d\t%.0f\t\n", o.name, o.best(), o.bytes, o.allocs)
	}
	w.Flush()
	fmt.Println()
	goal := func(what string, got, least float64) {
		verdict := "reached"
		if got < least {
			verdict = "MISSED"
			missed++
		}
		fmt.Printf("%-48s %6.1f×   goal %3.0f×   %s\n", what, got, least, verdict)
	}
	goal("encode against encoding/xml", marshal.best()/encode.best(), 20)
	goal("decode against encoding/xml", unmarshal.best()/decode.best(), 10)
	goal("decode against moov Parse", parse.best()/decode.best(), 35)
	goal("validate against moov Validate", theirValidate.best()/validate.best(), 10)
	for _, a := range []struct {
		o    *operation
		most float64
	}{{encode, 0}, {decode, 10}} {
		verdict := "reached"
		if a.o.allocs > a.most {
			verdict = "MISSED"
			missed++
		}
		what, _, _ := strings.Cut(a.o.name, ":")
		fmt.Printf("%-48s %6.0f    goal %3.0f    %s\n", what+": allocations", a.o.allocs, a.most, verdict)
	}
	return missed, nil
}
