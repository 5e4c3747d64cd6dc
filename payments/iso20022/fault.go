package iso20022

import (
	"strconv"
	"strings"
)

// Fault is what is wrong with a document, and where. Rule is a stable name whose first word says who refuses: "xml" the scanner,
// "schema" the validator, "model" a decoder or encoder, "wrapper" Split. Neither Text nor Path ever holds a value of the document.
//
// Rules of the scanner: xml. size, encoding, version, declaration, doctype, instruction, root, trailing, end, tag, name, nesting, text,
// comment, character, reference, duplicate (attribute), prefix, namespace, depth, elements, attributes, namespaces.
//
// Of the validator: schema. unknown (namespace), root, element, missing, repeated, order, choice, namespace, text, attribute, type and
// nil (xsi), any base type and facet of XML Schema by its name (decimal, dateTime, maxLength, pattern …).
//
// Of decoders and encoders: model. message (another definition), element (valid, but nothing here can act on it), repeated, missing,
// transactions (other than one), attribute, comment, markup, id, text, name, code, choice, boolean, time, date, uetr, amount,
// currency, sum (differs from the amount), settlement, status, agent, account, country, supplementary (data), keep (Kept).
//
// Of Split: wrapper. namespace, element, text, attribute, document.
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
