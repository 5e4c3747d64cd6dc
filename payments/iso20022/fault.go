package iso20022

import (
	"strconv"
	"strings"
)

// Fault is what is wrong with a document, and where. Rule is a stable name whose first word says who refuses: "xml" the scanner,
// "schema" the validator, "model" a decoder or encoder, "wrapper" Split. Neither Text nor Path ever holds a value of the document.
type Fault struct {
	Path string // of element names, such as "/Document/FIToFICstmrCdtTrf/GrpHdr/MsgId"; an attribute as "/…/@Ccy"
	Rule string // such as "schema.maxLength"
	Text string // for people: "longer than 35 characters"
	Line int    // from 1; 0 for a fault found in encoding
	Col  int    // from 1, in bytes
}

// Error returns path, place, rule and text.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString("iso20022: ")
	b.WriteString(f.Path)
	if f.Line > 0 {
		b.WriteString(" (line " + strconv.Itoa(f.Line) + ", column " + strconv.Itoa(f.Col) + ")")
	}
	b.WriteString(": " + f.Rule + ": " + f.Text)
	return b.String()
}
