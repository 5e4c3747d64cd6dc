// Package xsdgen reads the ISO 20022 schemas and writes them as Go tables for the validator of package iso20022.
//
// It knows the small dialect of XML Schema that the ISO schemas are written in and refuses everything else. It runs when code is
// generated and in tests, on schema files from the repository's reference data, never on what comes from a network.
package xsdgen

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
)

// Schema is one message definition as read.
type Schema struct {
	Namespace string
	Root      string // name of the one global element
	RootType  string
	Types     map[string]*Type
}

// Kind says what a type holds.
type Kind int

const (
	Simple    Kind = iota // text
	Extension             // text and the attribute Ccy
	Sequence              // elements in order
	Choice                // one of the elements
	Any                   // one element of any kind
)

// Type is a simple or complex type.
type Type struct {
	Name      string
	Kind      Kind
	Facets    Facets    // of Simple
	Base      string    // of Extension: the simple type of its text
	Ccy       string    // of Extension: the simple type of its attribute
	Elements  []Element // of Sequence and Choice
	Namespace string    // of Any: "##any" or one namespace
	Skip      bool      // of Any: the content is not validated even if its schema is known
}

// Element is an element of a sequence or choice. In a sequence it may stand for a choice: then it has alternatives and no name.
type Element struct {
	Name, Type   string
	Min, Max     int // Max 0 is unbounded
	Alternatives []Element
}

// Facets restrict a base type. A length or number of digits of -1 is not restricted.
type Facets struct {
	Base                        string // such as "string"
	MinLength, MaxLength        int
	TotalDigits, FractionDigits int
	NotNegative                 bool
	Pattern                     string
	Enumeration                 []string
}

// xmlNode is any element of a schema file.
type xmlNode struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []xmlNode  `xml:",any"`
	Text     string     `xml:",chardata"`
}

const xs = "http://www.w3.org/2001/XMLSchema"

func (n *xmlNode) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// allow refuses attributes other than those named.
func (n *xmlNode) allow(names ...string) error {
next:
	for _, a := range n.Attrs {
		if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
			continue
		}
		for _, name := range names {
			if a.Name.Space == "" && a.Name.Local == name {
				continue next
			}
		}
		return fmt.Errorf("xsdgen: %s has the attribute %s", n.XMLName.Local, a.Name.Local)
	}
	return nil
}

// Parse reads one schema.
func Parse(b []byte) (*Schema, error) {
	var root xmlNode
	if err := xml.Unmarshal(b, &root); err != nil {
		return nil, fmt.Errorf("xsdgen: %w", err)
	}
	if root.XMLName != (xml.Name{Space: xs, Local: "schema"}) || root.attr("elementFormDefault") != "qualified" {
		return nil, fmt.Errorf("xsdgen: not a schema with qualified elements")
	}
	if err := root.allow("elementFormDefault", "targetNamespace"); err != nil {
		return nil, err
	}
	s := &Schema{Namespace: root.attr("targetNamespace"), Types: map[string]*Type{}}
	for i := range root.Children {
		n := &root.Children[i]
		if n.XMLName.Space != xs {
			return nil, fmt.Errorf("xsdgen: foreign element %s", n.XMLName.Local)
		}
		if n.XMLName.Local == "element" {
			if s.Root != "" {
				return nil, fmt.Errorf("xsdgen: two global elements")
			}
			if err := n.allow("name", "type"); err != nil {
				return nil, err
			}
			s.Root, s.RootType = n.attr("name"), n.attr("type")
			continue
		}
		t, err := parseType(n)
		if err != nil {
			return nil, fmt.Errorf("%w, in %s of %s", err, n.attr("name"), s.Namespace)
		}
		if s.Types[t.Name] != nil {
			return nil, fmt.Errorf("xsdgen: type %s is defined twice", t.Name)
		}
		s.Types[t.Name] = t
	}
	return s, s.check()
}

// check verifies that every type named is defined, as what it is used for.
func (s *Schema) check() error {
	need := func(name string, simple bool) error {
		t := s.Types[name]
		if t == nil || simple && t.Kind != Simple {
			return fmt.Errorf("xsdgen: %s: type %q is missing or not simple", s.Namespace, name)
		}
		return nil
	}
	if err := need(s.RootType, false); err != nil {
		return err
	}
	for _, t := range s.Types {
		if t.Kind == Extension {
			for _, name := range []string{t.Base, t.Ccy} {
				if err := need(name, true); err != nil {
					return err
				}
			}
		}
		for _, e := range t.Elements {
			list := e.Alternatives
			if list == nil {
				list = []Element{e}
			}
			for _, e := range list {
				if err := need(e.Type, false); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func parseType(n *xmlNode) (*Type, error) {
	if err := n.allow("name"); err != nil {
		return nil, err
	}
	if n.XMLName.Space != xs || len(n.Children) != 1 {
		return nil, fmt.Errorf("xsdgen: %s does not hold exactly one element", n.XMLName.Local)
	}
	t := &Type{Name: n.attr("name")}
	body := &n.Children[0]
	var err error
	switch n.XMLName.Local + "/" + body.XMLName.Local {
	case "simpleType/restriction":
		t.Kind = Simple
		t.Facets, err = parseFacets(body)
	case "complexType/simpleContent":
		t.Kind = Extension
		err = parseExtension(t, body)
	case "complexType/choice":
		t.Kind = Choice
		t.Elements, err = parseElements(body, false)
	case "complexType/sequence":
		if len(body.Children) == 1 && body.Children[0].XMLName.Local == "any" {
			any := &body.Children[0]
			t.Kind, t.Namespace = Any, any.attr("namespace")
			t.Skip = any.attr("processContents") == "skip"
			if p := any.attr("processContents"); p != "skip" && p != "lax" {
				return nil, fmt.Errorf("xsdgen: any with processContents %q", p)
			}
			return t, any.allow("namespace", "processContents")
		}
		t.Kind = Sequence
		t.Elements, err = parseElements(body, true)
	default:
		err = fmt.Errorf("xsdgen: %s with %s", n.XMLName.Local, body.XMLName.Local)
	}
	return t, err
}

func parseExtension(t *Type, content *xmlNode) error {
	if len(content.Children) != 1 || content.Children[0].XMLName.Local != "extension" {
		return fmt.Errorf("xsdgen: simpleContent is not one extension")
	}
	ext := &content.Children[0]
	if len(ext.Children) != 1 || ext.Children[0].XMLName.Local != "attribute" {
		return fmt.Errorf("xsdgen: extension is not one attribute")
	}
	a := &ext.Children[0]
	if a.attr("name") != "Ccy" || a.attr("use") != "required" {
		return fmt.Errorf("xsdgen: attribute is not the required Ccy")
	}
	t.Base, t.Ccy = ext.attr("base"), a.attr("type")
	return nil
}

func parseElements(n *xmlNode, choices bool) ([]Element, error) {
	if err := n.allow(); err != nil {
		return nil, err
	}
	var list []Element
	for i := range n.Children {
		c := &n.Children[i]
		switch {
		case c.XMLName.Local == "element":
			if err := c.allow("name", "type", "minOccurs", "maxOccurs"); err != nil {
				return nil, err
			}
			e := Element{Name: c.attr("name"), Type: c.attr("type"), Min: 1, Max: 1}
			if v := c.attr("minOccurs"); v != "" {
				e.Min, _ = strconv.Atoi(v)
			}
			switch v := c.attr("maxOccurs"); v {
			case "":
			case "unbounded":
				e.Max = 0
			default:
				e.Max, _ = strconv.Atoi(v)
				if e.Max < 1 || e.Max > 1000 {
					return nil, fmt.Errorf("xsdgen: maxOccurs %q", v)
				}
			}
			if e.Min > 1 {
				return nil, fmt.Errorf("xsdgen: minOccurs over 1")
			}
			list = append(list, e)
		case c.XMLName.Local == "choice" && choices:
			alternatives, err := parseElements(c, false)
			if err != nil {
				return nil, err
			}
			list = append(list, Element{Min: 1, Max: 1, Alternatives: alternatives})
		default:
			return nil, fmt.Errorf("xsdgen: %s in %s", c.XMLName.Local, n.XMLName.Local)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("xsdgen: empty %s", n.XMLName.Local)
	}
	return list, nil
}

func parseFacets(n *xmlNode) (Facets, error) {
	f := Facets{MinLength: -1, MaxLength: -1, TotalDigits: -1, FractionDigits: -1}
	base, ok := strings.CutPrefix(n.attr("base"), "xs:")
	if !ok {
		return f, fmt.Errorf("xsdgen: restriction of %s", n.attr("base"))
	}
	f.Base = base
	for i := range n.Children {
		c := &n.Children[i]
		v := c.attr("value")
		number, err := strconv.Atoi(v)
		switch c.XMLName.Local {
		case "enumeration":
			f.Enumeration = append(f.Enumeration, v)
			continue
		case "pattern":
			if f.Pattern != "" {
				return f, fmt.Errorf("xsdgen: two patterns")
			}
			f.Pattern = v
			continue
		case "minLength":
			f.MinLength = number
		case "maxLength":
			f.MaxLength = number
		case "totalDigits":
			f.TotalDigits = number
		case "fractionDigits":
			f.FractionDigits = number
		case "minInclusive":
			if number != 0 {
				err = fmt.Errorf("xsdgen: minInclusive is not 0")
			}
			f.NotNegative = true
		default:
			err = fmt.Errorf("xsdgen: facet %s", c.XMLName.Local)
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}
