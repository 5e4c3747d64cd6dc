package rail

import (
	"errors"
	"slices"
	"strings"

	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail/internal/xmltext"
)

// Form is how a rail's wire differs from ISO 20022: it translates a whole message to ISO's elements and back. Values are carried over as
// they stand, so that the decoders see what came. A rail whose wire is an Envelope with AppHdr and Document needs none. Its methods may
// be called by several goroutines.
type Form interface {
	// Open reads a wire message of at most p.SizeMaxBytes. It bounds what it reads with iso20022.Limits before it looks inside. The error
	// is a *iso20022.Fault, or RuleErrors of the rail's own structure; what a rule of the profile judges goes into Parts.Faults.
	Open(p *Profile, wire []byte) (*Parts, error)
	// Write returns the wire message. It refuses what has no place on the wire, and never leaves it out.
	Write(p *Profile, m *Message) ([]byte, error)
	// Wrap puts a header and a Document of a definition without a model into the rail's wrapper.
	Wrap(p *Profile, h *iso20022.Header, document []byte) ([]byte, error)
}

// Parts is a wire message taken apart.
type Parts struct {
	Definition string           // ISO's message definition
	Direction  Direction        // if the wrapper tells, else the zero Direction
	Header     []byte           // the AppHdr in ISO's form; nil if there is none
	Document   []byte           // the Document in ISO's form
	Wire       iso20022.Element // root of the wire message
	// HeaderAt and DocumentAt are the elements of the wire that Header and Document were made of.
	HeaderAt, DocumentAt iso20022.Element
	// Same says that Header and Document are parts of the wire, or copies that differ in their root's declarations only: places in
	// them are then places in the wire.
	Same   bool
	Faults RuleErrors // of the translation, by rules of the profile; see Profile.Fault
}

// isoForm is ISO 20022 as it is: an envelope with AppHdr and Document, or either alone.
type isoForm struct{}

func (isoForm) Open(p *Profile, wire []byte) (*Parts, error) {
	limits := iso20022.Limits{SizeBytes: int64(p.SizeMaxBytes)}
	tree, err := limits.Parse(wire)
	if err != nil {
		return nil, err
	}
	root := tree.Root()
	o := &Parts{Wire: root, Same: true}
	inner := root
	if root.Name() != "Document" || root.Definition() == "" {
		var env Envelope
		switch {
		case root.Namespace() == p.Out.Namespace && p.In.Namespace != p.Out.Namespace:
			env, o.Direction = p.Out, FromService
		case root.Namespace() == p.In.Namespace && p.In.Namespace != p.Out.Namespace:
			env, o.Direction = p.In, ToService
		default:
			env = p.In
		}
		path := env.Path
		if len(env.Elements) > 0 {
			path = append(path[:len(path):len(path)], "*")
		}
		parts, err := iso20022.Split(wire, iso20022.Wrapper{Namespace: env.Namespace, Path: path})
		if err != nil {
			return nil, err
		}
		o.Header, o.Document = parts.Header, parts.Document
		for range len(path) - 1 {
			for inner = range inner.Children() {
				break
			}
		}
		for e := range inner.Children() {
			if e.Name() == "AppHdr" {
				o.HeaderAt = e
			} else {
				o.DocumentAt = e
			}
		}
		o.Definition = o.DocumentAt.Definition()
		if len(env.Elements) > 0 && !slices.Contains(env.Elements[o.Definition], parts.Name) {
			return nil, inner.Fault("wrapper.element", "the wrapper's element is not the one of the document inside")
		}
		return o, nil
	}
	o.Document, o.DocumentAt, o.Definition = wire, root, root.Definition()
	return o, nil
}

func (isoForm) Write(p *Profile, m *Message) ([]byte, error) {
	doc, err := m.AppendDocument(nil)
	if err != nil {
		return nil, err
	}
	return isoForm{}.Wrap(p, &m.Header, doc)
}

// AppendDocument appends the Document of m as ISO writes it: canonical, without a declaration. It fails for a message without exactly one
// document of a type.
func (m *Message) AppendDocument(dst []byte) ([]byte, error) {
	switch {
	case m.Transfer != nil:
		return m.Transfer.Append(dst)
	case m.Status != nil:
		return m.Status.Append(dst)
	case m.Request != nil:
		return m.Request.Append(dst)
	}
	return nil, errors.New("rail: encode: a kind of message that has no type here")
}

func (isoForm) Wrap(p *Profile, h *iso20022.Header, document []byte) ([]byte, error) {
	env := p.In
	if h.From == p.Service {
		env = p.Out
	}
	path := env.wrapper(h.MsgDef)
	b := make([]byte, 0, len(document)+2048)
	b = append(b, xmltext.Declaration...)
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
		return nil, err
	}
	b = append(b, document...)
	for i := len(path) - 1; i >= 0; i-- {
		b = append(b, "</"...)
		b = append(b, path[i]...)
		b = append(b, '>')
	}
	return b, nil
}

// at finds the place in the wire of a path of names that begins with Document or AppHdr: the first element of these names.
func (o *Parts) at(path string) (line, col int) {
	names := strings.Split(strings.TrimPrefix(path, "/"), "/")
	e := o.DocumentAt
	if names[0] == "AppHdr" {
		e = o.HeaderAt
	}
	if e.IsZero() {
		return 0, 0
	}
	for _, name := range names[1:] {
		found := false
		for c := range e.Children() {
			if c.Name() == name {
				e, found = c, true
				break
			}
		}
		if !found {
			break // an attribute, a missing element, or one that the translation made: its parent
		}
	}
	return e.Position()
}
