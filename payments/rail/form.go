package rail

import (
	"bytes"
	"slices"
	"strings"

	"github.com/parleypay/parley/payments/iso20022"
)

// form is how a rail's wire differs from ISO 20022: it translates a whole message to ISO's elements and back. Values are carried over as
// they stand, so that the decoders see what came.
type form interface {
	// open reads a wire message. The error is a *iso20022.Fault, or RuleErrors of the rail's own structure.
	open(p *Profile, wire []byte) (*opened, error)
	// write returns the wire message.
	write(p *Profile, m *Message) ([]byte, error)
	// wrap puts a header and a Document of a definition without a model into the rail's wrapper.
	wrap(p *Profile, h *iso20022.Header, document []byte) ([]byte, error)
}

// opened is a wire message taken apart.
type opened struct {
	def      string           // ISO's message definition
	dir      Direction        // if the wrapper tells
	header   []byte           // the AppHdr in ISO's form; nil if there is none
	document []byte           // the Document in ISO's form
	wire     iso20022.Element // root of the wire message
	// headerAt and documentAt are the elements of the wire that header and document were made of.
	headerAt, documentAt iso20022.Element
	// same says that header and document are parts of the wire, or copies that differ in their root's declarations only.
	same   bool
	faults RuleErrors // of the translation, by rules of the profile
}

// isoForm is ISO 20022 as it is: an envelope with AppHdr and Document, or either alone.
type isoForm struct{}

func (isoForm) open(p *Profile, wire []byte) (*opened, error) {
	limits := iso20022.Limits{SizeBytes: int64(p.SizeMaxBytes)}
	tree, err := limits.Parse(wire)
	if err != nil {
		return nil, err
	}
	root := tree.Root()
	o := &opened{wire: root, same: true}
	inner := root
	if root.Name() != "Document" || root.Definition() == "" {
		var env Envelope
		switch {
		case root.Namespace() == p.Out.Namespace && p.In.Namespace != p.Out.Namespace:
			env, o.dir = p.Out, FromService
		case root.Namespace() == p.In.Namespace && p.In.Namespace != p.Out.Namespace:
			env, o.dir = p.In, ToService
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
		o.header, o.document = parts.Header, parts.Document
		for range len(path) - 1 {
			for inner = range inner.Children() {
				break
			}
		}
		for e := range inner.Children() {
			if e.Name() == "AppHdr" {
				o.headerAt = e
			} else {
				o.documentAt = e
			}
		}
		o.def = o.documentAt.Definition()
		if len(env.Elements) > 0 && !slices.Contains(env.Elements[o.def], parts.Name) {
			return nil, inner.Fault("wrapper.element", "the wrapper's element is not the one of the document inside")
		}
		return o, nil
	}
	o.document, o.documentAt, o.def = wire, root, root.Definition()
	return o, nil
}

func (isoForm) write(p *Profile, m *Message) ([]byte, error) {
	doc, err := appendDocument(nil, m)
	if err != nil {
		return nil, err
	}
	return isoForm{}.wrap(p, &m.Header, doc)
}

func appendDocument(dst []byte, m *Message) ([]byte, error) {
	switch {
	case m.Transfer != nil:
		return m.Transfer.Append(dst)
	case m.Status != nil:
		return m.Status.Append(dst)
	}
	return m.Request.Append(dst)
}

func (isoForm) wrap(p *Profile, h *iso20022.Header, document []byte) ([]byte, error) {
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

// inner returns what stands between the tags of e, as it stands.
func inner(e iso20022.Element) []byte {
	b := e.Bytes()
	quote := byte(0)
	for i, c := range b {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			if b[i-1] == '/' {
				return nil
			}
			return b[i+1 : bytes.LastIndex(b, []byte("</"))]
		}
	}
	return nil
}

// at finds the place in the wire of a path of names that begins with Document or AppHdr: the first element of these names.
func (o *opened) at(path string) (line, col int) {
	names := strings.Split(strings.TrimPrefix(path, "/"), "/")
	e := o.documentAt
	if names[0] == "AppHdr" {
		e = o.headerAt
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
