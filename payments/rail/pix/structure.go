package pix

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parleypay/parley/payments/iso20022"
)

// node is one element of a message whose schema is not ISO's: what may stand in it, in which order. It is made from a text by structure.
type node struct {
	name     string
	least    int
	most     int // 0 is unbounded
	children []*node
	leaf     func(string) bool // nil for an element with children
	any      bool              // anything may stand in it
	ccy      bool              // has the attribute Ccy
}

// structure reads a description such as
//
//	Envelope{AppHdr{Id:ispb Nm?:text140} Document{Tx+{Amt:amount}}}
//
// A name is followed by ? (at most once), + (once or more) or * (any number), then by its children in braces, or by a colon and the
// kind of its text: one of kinds, or values joined with |. It panics on a fault, since descriptions are constants.
func structure(text string, kinds map[string]func(string) bool) *node {
	s := &structureReader{rest: text, kinds: kinds}
	n := s.node()
	if s.space(); s.rest != "" {
		panic("pix: structure: text behind the end: " + s.rest)
	}
	return n
}

type structureReader struct {
	rest  string
	kinds map[string]func(string) bool
}

func (s *structureReader) space() { s.rest = strings.TrimLeft(s.rest, " \t\n") }

func (s *structureReader) node() *node {
	s.space()
	end := strings.IndexAny(s.rest, "?+*{:")
	if end < 1 {
		panic("pix: structure: no name at " + s.rest)
	}
	n := &node{name: s.rest[:end], least: 1, most: 1}
	s.rest = s.rest[end:]
	switch s.rest[0] {
	case '?':
		n.least, s.rest = 0, s.rest[1:]
	case '+':
		n.most, s.rest = 0, s.rest[1:]
	case '*':
		n.least, n.most, s.rest = 0, 0, s.rest[1:]
	}
	if s.rest[0] == '{' {
		s.rest = s.rest[1:]
		for s.space(); s.rest[0] != '}'; s.space() {
			n.children = append(n.children, s.node())
		}
		s.rest = s.rest[1:]
		return n
	}
	s.rest = s.rest[1:]
	end = strings.IndexAny(s.rest+" ", " \t\n}")
	kind := s.rest[:end]
	s.rest = s.rest[end:]
	switch leaf, ok := s.kinds[kind]; {
	case kind == "any":
		n.any = true
	case ok:
		n.leaf, n.ccy = leaf, kind == "amount"
	case strings.ToUpper(kind) == kind:
		values := strings.Split(kind, "|")
		n.leaf = func(text string) bool { return slices.Contains(values, text) }
	default:
		panic("pix: structure: no kind " + kind)
	}
	return n
}

// check compares e, which has the name of n, with the description. It returns the first element that does not fit and why.
func (n *node) check(e iso20022.Element) (iso20022.Element, string) {
	if n.any {
		return iso20022.Element{}, ""
	}
	for _, a := range e.Attributes() {
		if a.Name == "schemaLocation" && a.Namespace != "" || n.ccy && a.Name == "Ccy" && a.Namespace == "" {
			continue
		}
		return e, "an attribute that does not belong here"
	}
	if n.leaf != nil {
		switch {
		case !e.IsLeaf():
			return e, "elements where a text belongs"
		case !e.IsPlain() && n.ccy:
			return e, "a comment, CDATA or reference in an amount"
		case !n.leaf(e.Text()):
			return e, "the text does not have its format"
		}
		return iso20022.Element{}, ""
	}
	if e.HasText() {
		return e, "text between elements"
	}
	next, seen := 0, 0
	for c := range e.Children() {
		if c.Namespace() != e.Namespace() {
			return c, "an element of another namespace"
		}
		for next < len(n.children) && n.children[next].name != c.Name() {
			if seen < n.children[next].least {
				return e, n.children[next].name + " is missing"
			}
			next, seen = next+1, 0
		}
		if next == len(n.children) {
			return c, "not expected here"
		}
		if seen++; n.children[next].most > 0 && seen > n.children[next].most {
			return c, "stands too often"
		}
		if at, why := n.children[next].check(c); why != "" {
			return at, why
		}
	}
	for ; next < len(n.children); next, seen = next+1, 0 {
		if seen < n.children[next].least {
			return e, n.children[next].name + " is missing"
		}
	}
	return iso20022.Element{}, ""
}

// String writes the description back, for documents and tests.
func (n *node) String() string {
	mark := map[[2]int]string{{1, 1}: "", {0, 1}: "?", {1, 0}: "+", {0, 0}: "*"}[[2]int{n.least, n.most}]
	if n.children == nil {
		return n.name + mark
	}
	var inside []string
	for _, c := range n.children {
		inside = append(inside, c.String())
	}
	return fmt.Sprintf("%s%s{%s}", n.name, mark, strings.Join(inside, " "))
}
