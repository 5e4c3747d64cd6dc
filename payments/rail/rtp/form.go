package rtp

import (
	"fmt"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/internal/xmltext"
)

// form is the wire of TCH RTP: <Message xmlns="urn:tch"> with AppHdr and one element named after the message that holds what ISO
// puts into Document. Times are US Eastern, without a zone. (Shapes: schemas and samples of moov-io/rtp20022.)
type form struct{}

const (
	rtpNamespace = "urn:tch"
	rtpTime      = "2006-01-02T15:04:05"
	rtpSuffix    = "T1" // behind a routing number in header and ids: the participant's connection
)

// bodies names the element of each message.
var bodies = map[string]string{
	rail.MsgTransfer: "CreditTransfer", rail.MsgStatus: "MessageStatusReport", rail.MsgRequest: "PaymentStatusRequest",
	"camt.056.001.08": "ReturnOfFunds", "camt.029.001.09": "ResponseReturnOfFunds", "camt.035.001.05": "Acknowledgement",
	"camt.026.001.07": "RequestForInfo", "camt.028.001.09": "ResponseForInfo", "pain.013.001.07": "PaymentRequest", "pain.014.001.07": "ResponsePaymentRequest",
	"remt.001.001.04": "RemittanceAdvice", "acmt.022.001.02": "AccountIdentification", "pacs.009.001.08": "InstitutionTransfer",
	"admi.002.001.01": "MessageReject", "admi.004.001.02": "SystemNotificationEvent",
	"admn.001.001.01": "SignOnRequest", "admn.002.001.01": "SignOnResponse", "admn.003.001.01": "SignOffRequest", "admn.004.001.01": "SignOffResponse",
	"admn.005.001.01": "EchoRequest", "admn.006.001.01": "EchoResponse",
}

func (form) Open(p *rail.Profile, wire []byte) (*rail.Parts, error) {
	limits := iso20022.Limits{SizeBytes: int64(p.SizeMaxBytes)}
	// The schema's types tell which elements are times.
	tree, err := limits.Inspect(wire)
	if err != nil {
		return nil, err
	}
	root := tree.Root()
	if root.Name() == "Document" && root.Definition() != "" {
		o := &rail.Parts{Wire: root, DocumentAt: root, Definition: root.Definition()}
		b := reader{p: p, o: o}
		o.Document = b.element(nil, root, "Document", root.Namespace(), root.Namespace())
		return o, b.err
	}
	switch {
	case root.Namespace() != rtpNamespace:
		return nil, root.Fault("wrapper.namespace", "the wrapper's element belongs to another namespace")
	case root.Name() != "Message":
		return nil, root.Fault("wrapper.element", "the wrapper's element is not Message")
	}
	if err := rtpWrapping(root); err != nil {
		return nil, err
	}
	o := &rail.Parts{Wire: root}
	for e := range root.Children() {
		switch {
		case e.Namespace() != rtpNamespace:
			return nil, e.Fault("wrapper.namespace", "an element of another namespace in the wrapper")
		case e.Name() == "AppHdr" && o.HeaderAt.IsZero() && o.DocumentAt.IsZero():
			o.HeaderAt = e
		case e.Name() != "AppHdr" && o.DocumentAt.IsZero():
			o.DocumentAt = e
		default:
			return nil, e.Fault("wrapper.element", "neither one AppHdr nor, after it, one message")
		}
		if err := rtpWrapping(e); err != nil {
			return nil, err
		}
	}
	if o.DocumentAt.IsZero() {
		return nil, root.Fault("wrapper.document", "no message in the wrapper")
	}
	namespace := ""
	for e := range o.DocumentAt.Children() {
		o.Definition, namespace = e.Definition(), e.Namespace()
		break
	}
	if name := bodies[o.Definition]; name != o.DocumentAt.Name() {
		return nil, o.DocumentAt.Fault("wrapper.element", "the wrapper's element is not the one of the message inside")
	}
	b := reader{p: p, o: o}
	o.Document = b.element(nil, o.DocumentAt, "Document", namespace, namespace)
	if !o.HeaderAt.IsZero() {
		if rtpBlank(o.HeaderAt) {
			if f := p.Fault("header.filled", "AppHdr", o.HeaderAt); f != nil {
				o.Faults = append(o.Faults, f)
			}
		} else {
			head := iso20022.Namespace(p.HeaderVersion)
			o.Header = b.element(nil, o.HeaderAt, "AppHdr", head, head)
		}
	}
	return o, b.err
}

// rtpWrapping checks that an element of the wrapper holds elements only, and no attribute but the place of a schema.
func rtpWrapping(e iso20022.Element) error {
	if e.HasText() {
		return e.Fault("wrapper.text", "text in the wrapper")
	}
	for _, a := range e.Attributes() {
		if a.Name != "schemaLocation" {
			return e.Fault("wrapper.attribute", "an attribute on the wrapper")
		}
	}
	return nil
}

// rtpBlank reports whether a header is the placeholder of the published samples: every element empty, and no year.
func rtpBlank(header iso20022.Element) bool {
	for e := range header.Children() {
		if text := e.Text(); !e.IsLeaf() || text != "" && text != "0001-01-01T00:00:00" {
			return false
		}
	}
	return true
}

// reader copies elements into ISO's form.
type reader struct {
	p   *rail.Profile
	o   *rail.Parts
	err error // the first thing that cannot be carried over
}

// element appends e under another name and namespace; in is the namespace around it.
func (r *reader) element(b []byte, e iso20022.Element, name, namespace, in string) []byte {
	b = append(b, '<')
	b = append(b, name...)
	if namespace != in || name == "Document" || name == "AppHdr" {
		b = append(append(append(b, ` xmlns="`...), xmltext.Escape(namespace)...), '"')
	}
	for _, a := range e.Attributes() {
		switch {
		case a.Namespace == "":
			b = append(append(append(append(append(b, ' '), a.Name...), `="`...), xmltext.Escape(a.Value)...), '"')
		case r.err == nil && name != "Document":
			r.err = e.Fault("schema.attribute", "an attribute of another namespace")
		}
	}
	b = append(b, '>')
	if !e.IsLeaf() && e.HasText() && r.err == nil {
		r.err = e.Fault("schema.text", "text between elements")
	}
	if e.IsLeaf() {
		b = r.leaf(b, e)
	} else {
		for c := range e.Children() {
			b = r.element(b, c, c.Name(), c.Namespace(), namespace)
		}
	}
	return append(append(append(b, "</"...), name...), '>')
}

// leaf appends the text of e as it stands, but a time with its zone, and a participant in the header without its connection.
func (r *reader) leaf(b []byte, e iso20022.Element) []byte {
	if e.Name() == "MmbId" && e.IsPlain() && !r.o.HeaderAt.IsZero() && strings.HasPrefix(e.Path(), r.o.HeaderAt.Path()) {
		// A participant in the header is known by its routing number, without its connection.
		if short, ok := strings.CutSuffix(e.Text(), rtpSuffix); ok && len(short) == 9 {
			return append(b, xmltext.Escape(short)...)
		}
	}
	if e.Type() != "ISODateTime" && e.Type() != "ISONormalisedDateTime" && e.Name() != "CreDt" {
		return append(b, xmltext.Inner(e)...)
	}
	text := e.Text()
	t, err := time.Parse(rtpTime, text)
	if err != nil || t.Format(rtpTime) != text || !e.IsPlain() {
		path := r.path(e)
		if f := r.p.Fault("time.local", path, e); f != nil {
			r.o.Faults = append(r.o.Faults, f)
		}
		return append(b, xmltext.Inner(e)...)
	}
	t = r.p.Zone.Local(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second())
	if e.Name() == "CreDt" {
		return t.UTC().AppendFormat(b, time.RFC3339) // head.001.001.01 takes no other zone
	}
	return t.AppendFormat(b, time.RFC3339)
}

// path is the path of e in ISO's form.
func (r *reader) path(e iso20022.Element) string {
	path, top := e.Path(), r.o.DocumentAt.Path()
	if rest, ok := strings.CutPrefix(path, top); ok {
		return "Document" + rest
	}
	return strings.TrimPrefix(strings.TrimPrefix(path, r.o.Wire.Path()), "/")
}

func (form) Write(p *rail.Profile, m *rail.Message) ([]byte, error) {
	if m.Status != nil { // the status stands in the transaction
		s := *m.Status
		s.GroupLevel = false
		m = &rail.Message{Header: m.Header, Status: &s}
	}
	doc, err := m.AppendDocument(nil)
	if err != nil {
		return nil, err
	}
	return form{}.Wrap(p, &m.Header, doc)
}

func (form) Wrap(p *rail.Profile, h *iso20022.Header, document []byte) ([]byte, error) {
	body := bodies[h.MsgDef]
	if body == "" {
		return nil, fmt.Errorf("%s does not travel on %s", h.MsgDef, p.Title)
	}
	outer := *h
	outer.From, outer.To = rtpParty(h.From), rtpParty(h.To)
	head, err := outer.Append(nil)
	if err != nil {
		return nil, err
	}
	header, err := iso20022.Inspect(head)
	if err != nil {
		return nil, err
	}
	doc, err := iso20022.Inspect(document)
	if err != nil {
		return nil, err
	}
	w := writer{zone: p.Zone}
	b := append(make([]byte, 0, len(document)+2048), xmltext.Declaration...)
	b = append(b, `<Message xmlns="`+rtpNamespace+`" xmlns:head="`+header.Root().Namespace()+`" xmlns:m="`+doc.Root().Namespace()+`"><AppHdr>`...)
	w.prefix = "head:"
	for e := range header.Root().Children() {
		b = w.element(b, e, e.Name())
	}
	b = append(append(append(b, "</AppHdr><"...), body...), '>')
	w.prefix = "m:"
	for e := range doc.Root().Children() {
		b = w.element(b, e, e.Name())
	}
	return append(append(append(b, "</"...), body...), "></Message>"...), nil
}

// rtpParty is a participant in the header: its routing number and connection.
func rtpParty(id payments.AgentID) payments.AgentID {
	if len(id) == 9 {
		return id + rtpSuffix
	}
	return id
}

// writer copies elements of ISO's form with a prefix, their times in the rail's zone.
type writer struct {
	zone   rail.Zone
	prefix string
}

func (w *writer) element(b []byte, e iso20022.Element, name string) []byte {
	b = append(append(append(b, '<'), w.prefix...), name...)
	for _, a := range e.Attributes() {
		b = append(append(append(append(append(b, ' '), a.Name...), `="`...), xmltext.Escape(a.Value)...), '"')
	}
	b = append(b, '>')
	switch {
	case !e.IsLeaf():
		for c := range e.Children() {
			b = w.child(b, e, c)
		}
		if name == "OrgnlGrpInfAndSts" {
			b = fmt.Appendf(b, "<%[1]sOrgnlNbOfTxs>1</%[1]sOrgnlNbOfTxs>", w.prefix)
		}
	case e.Type() == "ISODateTime" || e.Type() == "ISONormalisedDateTime":
		if t, err := time.Parse(time.RFC3339Nano, e.Text()); err == nil {
			b = w.zone.In(t).AppendFormat(b, rtpTime)
			break
		}
		fallthrough
	default:
		b = append(b, xmltext.Inner(e)...)
	}
	return append(append(append(append(b, "</"...), w.prefix...), name...), '>')
}

// child appends a child of e where RTP has it: settlement date and total stand in the group header, payment type and status in the
// transaction, and the original message of a report in front of it.
func (w *writer) child(b []byte, e, c iso20022.Element) []byte {
	outer, _ := e.Parent()
	switch e.Name() + "/" + c.Name() {
	case "GrpHdr/PmtTpInf", "TxInfAndSts/OrgnlGrpInf":
		return b // elsewhere
	case "CdtTrfTxInf/PmtId":
		b = w.element(b, c, c.Name())
		if x, ok := outer.Child("GrpHdr", "PmtTpInf"); ok {
			b = w.element(b, x, x.Name())
		}
		return b
	case "FIToFIPmtStsRpt/TxInfAndSts":
		if x, ok := c.Child("OrgnlGrpInf"); ok {
			b = w.element(b, x, "OrgnlGrpInfAndSts")
		}
	}
	return w.element(b, c, c.Name())
}
