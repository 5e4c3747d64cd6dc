package xsdgen

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parleypay/parley/internal/shared"
)

// parseAll reads every schema of the reference data.
func parseAll(t *testing.T) []*Schema {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(shared.Path(t, "iso20022/xsd"), "*.xsd"))
	if err != nil {
		t.Fatal(err)
	}
	var all []*Schema
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(b)
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(f), err)
		}
		all = append(all, s)
	}
	return all
}

// The generator reads the dialect of all 104 schemas, and finds in it what was counted there by other means.
func TestAllSchemas(t *testing.T) {
	all := parseAll(t)
	if len(all) != 104 {
		t.Errorf("%d schemas, want 104", len(all))
	}
	definitions := 0
	for _, s := range all {
		definitions += len(s.Types)
	}
	if definitions != 13513 {
		t.Errorf("%d definitions, want 13,513", definitions)
	}
	tables, err := Build(all)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(tables.Patterns) - 1; n != 29 {
		t.Errorf("%d patterns, want 29", n)
	}
	if n := len(tables.Types); n < 1000 || n > 2500 {
		t.Errorf("%d distinct types of 13,513", n)
	}
	if _, err := tables.Go(); err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	const head = `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified" targetNamespace="urn:x"><xs:element name="D" type="D"/>`
	const text = `<xs:simpleType name="T"><xs:restriction base="xs:string"/></xs:simpleType>`
	for name, body := range map[string]string{
		"undefined type":    `<xs:complexType name="D"><xs:sequence><xs:element name="a" type="T"/></xs:sequence></xs:complexType>`,
		"two globals":       `<xs:element name="E" type="D"/>`,
		"type twice":        text + text,
		"import":            `<xs:import namespace="urn:y"/>`,
		"element reference": `<xs:complexType name="D"><xs:sequence><xs:element ref="a"/></xs:sequence></xs:complexType>`,
		"minOccurs 2":       text + `<xs:complexType name="D"><xs:sequence><xs:element name="a" type="T" minOccurs="2"/></xs:sequence></xs:complexType>`,
		"repeated sequence": text + `<xs:complexType name="D"><xs:sequence maxOccurs="2"><xs:element name="a" type="T"/></xs:sequence></xs:complexType>`,
		"optional Ccy":      text + `<xs:complexType name="D"><xs:simpleContent><xs:extension base="T"><xs:attribute name="Ccy" type="T"/></xs:extension></xs:simpleContent></xs:complexType>`,
		"other facet":       `<xs:simpleType name="D"><xs:restriction base="xs:decimal"><xs:maxInclusive value="9"/></xs:restriction></xs:simpleType>`,
		"minInclusive 1":    `<xs:simpleType name="D"><xs:restriction base="xs:decimal"><xs:minInclusive value="1"/></xs:restriction></xs:simpleType>`,
		"strict any":        `<xs:complexType name="D"><xs:sequence><xs:any namespace="##any" processContents="strict"/></xs:sequence></xs:complexType>`,
		"union":             `<xs:simpleType name="D"><xs:union memberTypes="T"/></xs:simpleType>`,
	} {
		if _, err := Parse([]byte(head + body + `</xs:schema>`)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, p := range []string{`(ab)*`, `\p{L}`, `a|(`, `[é]`, `((a|bc){20}){3}`} {
		if got, err := ParsePattern(p); err == nil {
			t.Errorf("pattern %q: accepted as %v", p, got)
		}
	}
}

func TestRecursionRefused(t *testing.T) {
	s := &Schema{Namespace: "urn:x", Root: "D", RootType: "D", Types: map[string]*Type{
		"D": {Name: "D", Kind: Sequence, Elements: []Element{{Name: "d", Type: "D", Max: 1}}},
	}}
	if _, err := Build([]*Schema{s}); err == nil || !strings.Contains(fmt.Sprint(err), "themselves") {
		t.Errorf("Build = %v", err)
	}
}
