package isotool

import (
	"regexp"
	"strings"

	"github.com/parleypay/parley/payments/iso20022"
)

// document is a file that was read as a tree, taken apart: what is the message, its header, and what is only put around them.
type document struct {
	tree     *iso20022.Tree
	wrapped  bool
	messages []message
}

// message is one message of a document.
type message struct {
	def    string             // its definition, or a rail's own name for it, such as "pacs.008.spi.1.16"
	header iso20022.Element   // AppHdr; zero if there is none
	top    iso20022.Element   // what holds the message: Document, an element of a wrapper (RTP), or zero for an element that stands alone
	body   []iso20022.Element // what is in it: one element but in messages of a few older kinds
}

// name is the message without its version: "pacs.008".
func (m *message) name() string { return messageName(m.def) }

// messageName returns the message of a definition without its version.
func messageName(def string) string {
	parts := strings.SplitN(def, ".", 3)
	if len(parts) < 2 {
		return def
	}
	return parts[0] + "." + parts[1]
}

// takeApart finds the messages of a tree, in their order: each Document, and on rails that have none the elements of ISO 20022 that
// stand in the wrapper. A header is the one of the message that follows it.
func takeApart(tree *iso20022.Tree) *document {
	d := &document{tree: tree, wrapped: true}
	var header iso20022.Element
	add := func(m message) {
		m.header, header = header, iso20022.Element{}
		d.messages = append(d.messages, m)
	}
	var walk func(e iso20022.Element)
	walk = func(e iso20022.Element) {
		switch {
		case e.Name() == "AppHdr":
			header = e
		case e.Name() == "Document":
			m := message{def: definition(e.Namespace()), top: e}
			for c := range e.Children() {
				m.body = append(m.body, c)
			}
			if m.def == "" && len(m.body) > 0 {
				m.def = definition(m.body[0].Namespace())
			}
			add(m)
		case definition(e.Namespace()) != "" && !isWrapping(e):
			m := message{def: definition(e.Namespace()), body: []iso20022.Element{e}}
			m.top, _ = e.Parent()
			if m.top == e {
				m.top = iso20022.Element{}
			}
			add(m)
		default:
			for c := range e.Children() {
				walk(c)
			}
		}
	}
	root := tree.Root()
	d.wrapped = root.Name() != "Document" && root.Name() != "AppHdr" && (definition(root.Namespace()) == "" || isWrapping(root))
	walk(root)
	return d
}

// isWrapping reports whether an element of a message's namespace is a wrapper around it, as the Envelope of Pix is.
func isWrapping(e iso20022.Element) bool {
	for c := range e.Children() {
		if c.Name() == "AppHdr" || c.Name() == "Document" {
			return true
		}
	}
	return false
}

var bcb = regexp.MustCompile(`^https://www\.bcb\.gov\.br/pi/([a-z]{4}\.[0-9]{3})/([0-9.]{1,12})$`)

// definition returns the definition of the messages of a namespace: ISO's, or Pix's own by its name in the catalogue; else "".
func definition(namespace string) string {
	if def, ok := strings.CutPrefix(namespace, iso20022.Namespace("")); ok {
		return def
	}
	if m := bcb.FindStringSubmatch(namespace); m != nil {
		return m[1] + ".spi." + m[2]
	}
	return ""
}
