package xsdgen

import (
	"fmt"
	"os"
	"path/filepath"
)

// ParseDirs reads every schema (*.xsd) of the folders.
func ParseDirs(dirs ...string) ([]*Schema, error) {
	var list []*Schema
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.xsd"))
		if err != nil {
			return nil, fmt.Errorf("xsdgen: %w", err)
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("xsdgen: no schema in %s", dir)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("xsdgen: %w", err)
			}
			s, err := Parse(b)
			if err != nil {
				return nil, fmt.Errorf("%w (%s)", err, filepath.Base(name))
			}
			list = append(list, s)
		}
	}
	return list, nil
}

// GenerateDirs returns the Go source of the tables of all schemas in the folders.
func GenerateDirs(dirs ...string) ([]byte, error) {
	list, err := ParseDirs(dirs...)
	if err != nil {
		return nil, err
	}
	tables, err := Build(list)
	if err != nil {
		return nil, err
	}
	return tables.Go()
}
