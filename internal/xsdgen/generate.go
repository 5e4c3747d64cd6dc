package xsdgen

import (
	"fmt"
	"os"
	"path/filepath"
)

// Committed are the message definitions whose tables package iso20022 holds. After a change run go generate there.
var Committed = []string{
	"head.001.001.01",
	"head.001.001.02",
	"pacs.002.001.10",
	"pacs.008.001.08",
	"pacs.028.001.03",
}

// ParseDir reads the schemas of message definitions from a folder, where they are named like "pacs.008.001.08.xsd".
func ParseDir(dir string, definitions []string) ([]*Schema, error) {
	var list []*Schema
	for _, d := range definitions {
		b, err := os.ReadFile(filepath.Join(dir, d+".xsd"))
		if err != nil {
			return nil, fmt.Errorf("xsdgen: %w", err)
		}
		s, err := Parse(b)
		if err != nil {
			return nil, fmt.Errorf("%w (%s)", err, d)
		}
		list = append(list, s)
	}
	return list, nil
}

// GenerateDir returns the Go source of the tables of message definitions.
func GenerateDir(dir string, definitions []string) ([]byte, error) {
	list, err := ParseDir(dir, definitions)
	if err != nil {
		return nil, err
	}
	tables, err := Build(list)
	if err != nil {
		return nil, err
	}
	return tables.Go()
}
