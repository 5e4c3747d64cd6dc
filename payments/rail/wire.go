package rail

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/parleypay/parley/payments/iso20022"
)

const xmlDeclaration = `<?xml version="1.0" encoding="UTF-8"?>`

// direction says which way m travels by its header.
func (p *Profile) direction(m *Message) Direction {
	if m.Header.From == p.Service {
		return FromService
	}
	return ToService
}

func (p *Profile) envelope(dir Direction) Envelope {
	if dir == FromService {
		return p.Out
	}
	return p.In
}

// Encode returns the whole wire message: XML declaration, the rail's wrapper, header and document. It runs the profile's rules first,
// so it never makes what Decode on the other side would refuse; the error is then a RuleErrors, or the codec's *iso20022.Fault.
// The direction is from the service if the header says so, else to it.
func (p *Profile) Encode(m *Message) ([]byte, error) {
	dir := p.direction(m)
	if err := p.Check(m, dir); err != nil {
		return nil, err
	}
	var doc []byte
	var err error
	switch {
	case m.Transfer != nil:
		doc, err = m.Transfer.Append(nil)
	case m.Status != nil:
		doc, err = m.Status.Append(nil)
	default:
		doc, err = m.Request.Append(nil)
	}
	if err != nil {
		return nil, fmt.Errorf("rail: encode %s: %w", m.MsgDef(), err)
	}
	return p.Wrap(&m.Header, doc)
}

// Wrap puts header and document, which is a whole Document element, into the rail's wrapper. It checks neither against the other nor
// the document against anything: it is for messages that this package has no type for.
func (p *Profile) Wrap(h *iso20022.Header, document []byte) ([]byte, error) {
	env := p.In
	if h.From == p.Service {
		env = p.Out
	}
	path := env.wrapper(h.MsgDef)
	b := make([]byte, 0, len(document)+2048)
	b = append(b, xmlDeclaration...)
	for i, name := range path {
		b = append(b, '<')
		b = append(b, name...)
		if i == 0 {
			b = append(b, ` xmlns="`...)
			b = append(b, env.Namespace...)
			b = append(b, '"')
		}
		b = append(b, '>')
	}
	b, err := h.Append(b)
	if err != nil {
		return nil, fmt.Errorf("rail: encode header: %w", err)
	}
	b = append(b, document...)
	for i := len(path) - 1; i >= 0; i-- {
		b = append(b, "</"...)
		b = append(b, path[i]...)
		b = append(b, '>')
	}
	if len(b) > p.SizeMaxBytes {
		return nil, p.tooLarge()
	}
	return b, nil
}

func (p *Profile) tooLarge() *RuleError {
	return &RuleError{Rule: p.Name + ".message.size", Text: fmt.Sprintf("a message has at most %d bytes", p.SizeMaxBytes)}
}

// Decode reads one wire message that travels in direction dir: size, wrapper, scanner and schema, then the profile's rules. It returns a
// message only when nothing is wrong; else *RuleError or RuleErrors that name rule and place, and never a value.
func (p *Profile) Decode(wire []byte, dir Direction) (*Message, error) {
	if dir != ToService && dir != FromService {
		return nil, &RuleError{Rule: p.Name + ".message.direction", Text: "no direction given"}
	}
	if len(wire) > p.SizeMaxBytes {
		return nil, p.tooLarge()
	}
	env := p.envelope(dir)
	path := env.Path
	if len(env.Elements) > 0 {
		path = append(path[:len(path):len(path)], "*")
	}
	parts, err := iso20022.Split(wire, iso20022.Wrapper{Namespace: env.Namespace, Path: path})
	if err != nil {
		return nil, schemaFault(wire, wire, err)
	}
	def := ""
	for _, d := range []string{MsgTransfer, MsgStatus, MsgRequest} {
		switch {
		case len(env.Elements) > 0 && env.Elements[d] == parts.Name:
			def = d
		case len(env.Elements) == 0 && bytes.Contains(rootTag(parts.Document), []byte(iso20022.Namespace(d))):
			def = d
		}
	}
	if def == "" {
		return nil, &RuleError{Rule: p.Name + ".message.type", Path: "Document", Text: "this kind of message is not taken here"}
	}
	if parts.Header == nil {
		return nil, &RuleError{Rule: p.Name + ".header.required", Path: "AppHdr", Text: "the message has no header"}
	}
	m := &Message{}
	h, err := iso20022.DecodeHeader(parts.Header)
	if err != nil {
		return nil, schemaFault(wire, parts.Header, err)
	}
	m.Header = *h
	switch def {
	case MsgTransfer:
		m.Transfer, err = iso20022.DecodeCreditTransfer(parts.Document)
	case MsgStatus:
		m.Status, err = iso20022.DecodeStatusReport(parts.Document)
	case MsgRequest:
		m.Request, err = iso20022.DecodeStatusRequest(parts.Document)
	}
	if err != nil {
		return nil, schemaFault(wire, parts.Document, err)
	}
	if err := p.Check(m, dir); err != nil {
		return nil, err
	}
	return m, nil
}

// rootTag returns the start of an element up to the end of its first tag.
func rootTag(element []byte) []byte {
	if i := bytes.IndexByte(element, '>'); i >= 0 {
		return element[:i]
	}
	return nil
}

// schemaFault turns a fault of the codec into a RuleError whose line counts from the start of the wire message.
func schemaFault(wire, part []byte, err error) error {
	var f *iso20022.Fault
	if !errors.As(err, &f) {
		return fmt.Errorf("rail: decode: %w", err)
	}
	e := &RuleError{Rule: f.Rule, Path: f.Path, Text: f.Text, Line: f.Line, Col: f.Col}
	if at := bytes.Index(wire, part); at > 0 && f.Line > 0 {
		if f.Line == 1 {
			e.Col += at - (bytes.LastIndexByte(wire[:at], '\n') + 1)
		}
		e.Line += bytes.Count(wire[:at], []byte{'\n'})
	} else if at < 0 {
		e.Line, e.Col = 0, 0 // the part is a copy, so its lines are not the wire's
	}
	return e
}
