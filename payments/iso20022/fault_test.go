package iso20022

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The list of rules in the comment of Fault is that of the sources.
func TestRulesAreListed(t *testing.T) {
	comment, err := os.ReadFile("fault.go")
	if err != nil {
		t.Fatal(err)
	}
	list, _, _ := strings.Cut(string(comment), "type Fault struct")
	files, _ := filepath.Glob("*.go")
	rules := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"(xml|schema|model|wrapper)\.([A-Za-z0-9]+)"`).FindAllStringSubmatch(string(b), -1) {
			rules[m[0]] = true
			_, part, ok := strings.Cut(list, m[1]+". ")
			part, _, _ = strings.Cut(part, "//\n")
			facet := m[1] == "schema" && strings.Contains(part, "by its name")
			if !ok || !facet && !regexp.MustCompile(`\b`+m[2]+`\b`).MatchString(part) {
				t.Errorf("%s is not listed", m[0])
			}
		}
	}
	if len(rules) < 60 {
		t.Errorf("%d rules found", len(rules))
	}
}
