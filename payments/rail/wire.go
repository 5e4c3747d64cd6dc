package rail

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parleypay/parley/payments/iso20022"
)

// direction says which way m travels by its header.
func (p *Profile) direction(m *Message) Direction {
	if m.Header.From == p.Service {
		return FromService
	}
	return ToService
}

func (p *Profile) shape() Form {
	if p.Form == nil {
		return isoForm{}
	}
	return p.Form
}

// Encode returns the whole wire message: XML declaration, the rail's wrapper, header and document. It runs the profile's rules first,
// so it never makes what Decode on the other side would refuse; the error is then a RuleErrors, or the codec's *iso20022.Fault.
// The direction is from the service if the header says so, else to it.
func (p *Profile) Encode(m *Message) ([]byte, error) {
	if err := p.CheckMessage(m, p.direction(m)); err != nil {
		return nil, err
	}
	return p.encode(m)
}

// encode is Encode without the rules.
func (p *Profile) encode(m *Message) ([]byte, error) {
	b, err := p.shape().Write(p, m)
	if err != nil {
		return nil, fmt.Errorf("rail: encode %s: %w", m.MsgDef(), err)
	}
	return p.sized(b)
}

// Wrap puts header and document, which is a whole Document element, into the rail's wrapper. It checks neither against the other nor
// the document against anything: it is for messages that this package has no type for.
func (p *Profile) Wrap(h *iso20022.Header, document []byte) ([]byte, error) {
	b, err := p.shape().Wrap(p, h, document)
	if err != nil {
		return nil, fmt.Errorf("rail: encode: %w", err)
	}
	return p.sized(b)
}

func (p *Profile) sized(b []byte) ([]byte, error) {
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
	o, err := p.shape().Open(p, wire)
	if err != nil {
		return nil, asRule(err)
	}
	switch {
	case o.Direction != 0 && o.Direction != dir:
		return nil, &RuleError{Rule: "wrapper.namespace", Path: o.Wire.Path(), Text: "the wrapper is the one of the other direction"}
	case o.Definition != MsgTransfer && o.Definition != MsgStatus && o.Definition != MsgRequest && (o.Definition != iso20022.RejectionV1 || dir != FromService):
		return nil, &RuleError{Rule: p.Name + ".message.type", Path: "Document", Text: "this kind of message is not taken here"}
	case o.Header == nil:
		return nil, &RuleError{Rule: p.Name + ".header.required", Path: "AppHdr", Text: "the message has no header"}
	}
	m := &Message{}
	h, err := iso20022.DecodeHeader(o.Header)
	if err != nil {
		return nil, o.fault(wire, o.Header, err)
	}
	m.Header = *h
	if err := m.decode(o); err != nil {
		return nil, o.fault(wire, o.Document, err)
	}
	p.complete(m)
	m.wire = o
	if faults := append(o.Faults, p.faults(m, dir)...); len(faults) > 0 {
		return nil, faults
	}
	m.wire = nil
	return m, nil
}

// decode reads the document of one of the definitions that have a type.
func (m *Message) decode(o *Parts) (err error) {
	switch o.Definition {
	case MsgTransfer:
		m.Transfer, err = iso20022.DecodeCreditTransfer(o.Document)
	case MsgStatus:
		m.Status, err = iso20022.DecodeStatusReport(o.Document)
	case MsgRequest:
		m.Request, err = iso20022.DecodeStatusRequest(o.Document)
	case iso20022.RejectionV1:
		var tree *iso20022.Tree
		if m.Rejection, err = iso20022.DecodeRejection(o.Document); err == nil {
			if tree, err = iso20022.Parse(o.Document); err == nil {
				m.tree = tree.Root()
			}
		}
	}
	return err
}

// complete fills in what the documents of a rail with a form of its own leave to the header, and puts times into UTC.
func (p *Profile) complete(m *Message) {
	if p.Form == nil {
		return
	}
	var times []*time.Time
	switch {
	case m.Transfer != nil:
		times = []*time.Time{&m.Transfer.Created, &m.Transfer.AcceptanceTime}
	case m.Status != nil:
		times = []*time.Time{&m.Status.Created, &m.Status.OriginalCreated, &m.Status.AcceptanceTime}
		if p.OriginalByEndToEnd && !m.bare {
			m.Status.Instructing, m.Status.Instructed = p.Agent(m.Header.From), p.Agent(m.Header.To)
		}
	case m.Request != nil:
		times = []*time.Time{&m.Request.Created, &m.Request.OriginalCreated, &m.Request.AcceptanceTime}
	}
	for _, t := range append(times, &m.Header.Created) {
		if !t.IsZero() {
			*t = t.UTC()
		}
	}
}

// asRule turns a fault of the scanner or of a wrapper into a RuleError.
func asRule(err error) error {
	var f *iso20022.Fault
	if errors.As(err, &f) {
		return &RuleError{Rule: f.Rule, Path: f.Path, Text: f.Text, Line: f.Line, Col: f.Col}
	}
	return err
}

// fault turns a fault of the codec in a part into a RuleError whose place is the wire message's.
func (o *Parts) fault(wire, part []byte, err error) error {
	var f *iso20022.Fault
	if !errors.As(err, &f) {
		return fmt.Errorf("rail: decode: %w", err)
	}
	return o.place(wire, part, f)
}

func (o *Parts) place(wire, part []byte, f *iso20022.Fault) *RuleError {
	e := &RuleError{Rule: f.Rule, Path: f.Path, Text: f.Text, Line: f.Line, Col: f.Col}
	at := -1
	if o.Same {
		at = bytes.Index(wire, part)
	}
	switch {
	case at < 0: // the part is a copy, so its lines are not the wire's
		e.Line, e.Col = o.at(f.Path)
	case at > 0 && f.Line > 0:
		if f.Line == 1 {
			e.Col += at - (bytes.LastIndexByte(wire[:at], '\n') + 1)
		}
		e.Line += bytes.Count(wire[:at], []byte{'\n'})
	}
	return e
}

// Verdict is what Check found.
type Verdict struct {
	Message   string       // the message definition by the rail's own name, "" if it could not be told
	Direction Direction    // as told by wrapper or header, or taken from the kind of message
	Schema    bool         // an ISO schema was applied: not on a rail with a namespace of its own (Pix), nor for a kind it has none for
	Without   []string     // rules that were switched off
	Faults    []*RuleError // in the order scanner, wrapper, schema, rules
}

// Valid reports whether nothing was found.
func (v *Verdict) Valid() bool { return len(v.Faults) == 0 }

// Check says everything that is wrong with a message of any kind that travels on the rail: scanner, wrapper, ISO schema where the rail
// uses one, and the profile's rules but those named in without. A Document without wrapper and header is taken too, and then keeps no
// rule of the header. The error is only for a name in without that is no rule of the profile.
func (p *Profile) Check(wire []byte, without ...string) (Verdict, error) {
	p, err := p.Without(without...)
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{Without: without}
	if len(wire) > p.SizeMaxBytes {
		v.Faults = []*RuleError{p.tooLarge()}
		return v, nil
	}
	o, err := p.shape().Open(p, wire)
	if err != nil {
		if v.Faults = Faults(asRule(err)); v.Faults == nil {
			v.Faults = []*RuleError{{Rule: p.Name + ".message.type", Text: err.Error()}}
		}
		return v, nil
	}
	v.Message, v.Faults = p.ownName(o.Definition), o.Faults
	if !slices.Contains(p.Definitions, o.Definition) {
		if f := p.Fault("message.kind", "Document", o.DocumentAt); f != nil {
			v.Faults = append(v.Faults, f)
		}
	}
	m := &Message{bare: o.Header == nil}
	broken := false // what cannot be read is not judged by rules
	v.Schema = p.OwnNames == nil
	schema := func(part []byte) {
		faults := iso20022.ValidateAll(part)
		if len(faults) == 1 && faults[0].Rule == "schema.unknown" && slices.Contains(p.Definitions, o.Definition) {
			v.Schema = false // a kind of the rail's own, such as admn.005
			return
		}
		for _, f := range faults {
			v.Faults, broken = append(v.Faults, o.place(wire, part, &f)), true
		}
	}
	if !m.bare {
		if schema(o.Header); !broken {
			h, err := iso20022.DecodeHeader(o.Header)
			if err != nil {
				v.Faults, broken = append(v.Faults, Faults(o.fault(wire, o.Header, err))...), true
			} else {
				m.Header = *h
			}
		}
	}
	if schema(o.Document); broken {
		return v, nil
	}
	if err := m.decode(o); err != nil {
		f := Faults(o.fault(wire, o.Document, err))
		if len(f) != 1 || f[0].Rule != "model.element" {
			v.Faults = append(v.Faults, f...)
			return v, nil
		}
		*m = Message{Header: m.Header, bare: m.bare} // valid, but more than our model holds: judged as a tree
	}
	if m.Transfer == nil && m.Status == nil && m.Request == nil {
		tree, err := iso20022.Parse(o.Document)
		if err != nil {
			v.Faults = append(v.Faults, Faults(asRule(err))...)
			return v, nil
		}
		m.tree = tree.Root()
	}
	p.complete(m)
	m.wire, v.Direction = o, p.travels(m, o)
	v.Faults = append(v.Faults, p.faults(m, v.Direction)...)
	return v, nil
}

// travels tells the direction of a message: by its wrapper, else its header, else by who instructs.
func (p *Profile) travels(m *Message, o *Parts) Direction {
	switch {
	case o.Direction != 0:
		return o.Direction
	case !m.bare:
		return p.direction(m)
	}
	if a := m.Agents(); len(a) > 0 && a[0].Value.ID == p.Service {
		return FromService
	}
	return ToService
}

// ownName is the rail's own name of a message definition.
func (p *Profile) ownName(def string) string {
	if p.OwnNames != nil {
		return p.OwnNames[def]
	}
	return def
}
