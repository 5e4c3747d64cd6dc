package node

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestConfigurationPage checks that docs/configuration.md has every key of the three files, and no other.
func TestConfigurationPage(t *testing.T) {
	raw, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ := strings.Cut(string(raw), "\n## Relay\n")
	relay, rest, _ := strings.Cut(page, "\n## Connector\n")
	connector, rail, found := strings.Cut(rest, "\n## Rail\n")
	if !found {
		t.Fatal("the page has other sections")
	}
	for section, c := range map[string]struct {
		text string
		file any
	}{"relay": {relay, RelayFile{}}, "connector": {connector, BankFile{}}, "rail": {rail, RailFile{}}} {
		keys := yamlKeys(reflect.TypeOf(c.file), "")
		if len(keys) < 10 {
			t.Fatalf("%s: only %d keys", section, len(keys))
		}
		for _, key := range keys {
			if !strings.Contains(c.text, "`"+key+"`") {
				t.Errorf("%s: the key %s is not on the page", section, key)
			}
		}
		for line := range strings.Lines(c.text) {
			if key, ok := strings.CutPrefix(line, "| `"); ok {
				if key, _, _ = strings.Cut(key, "`"); !slices.Contains(keys, key) {
					t.Errorf("%s: there is no key %s", section, key)
				}
			}
		}
	}
}

// TestRelayFaultsNameTheFile checks that an operator reads the keys of the file, not the fields of the program.
func TestRelayFaultsNameTheFile(t *testing.T) {
	store := filepath.Join(t.TempDir(), "relay")
	file := filepath.Join(t.TempDir(), "relay.yaml")
	text := "listen: 127.0.0.1:0\nstore: " + store + "\nttl_max: 1ms\njurisdiction: " + strings.Repeat("x", 65) + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := ReadRelay(file)
	if err == nil {
		t.Fatal("nothing is wrong with it")
	}
	for _, want := range []string{"relay.yaml:2: store: ", "set unsafe_temp_store", ":3: ttl_max: ", ":4: jurisdiction: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

// yamlKeys lists the keys of a configuration: those of objects with the object's name before them, those of lists without.
func yamlKeys(of reflect.Type, under string) (keys []string) {
	for i := range of.NumField() {
		f := of.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch inner := f.Type; {
		case name == "-" || !f.IsExported():
		case options == "inline":
			keys = append(keys, yamlKeys(inner, under)...)
		case inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct:
			keys = append(append(keys, under+name), yamlKeys(inner.Elem(), "")...)
		case inner.Kind() == reflect.Struct && under == "" && (name == "match" || name == "not" || name == "action"):
			keys = append(append(keys, name), yamlKeys(inner, "")...)
		case inner.Kind() == reflect.Struct:
			keys = append(keys, yamlKeys(inner, name+".")...)
		default:
			keys = append(keys, under+name)
		}
	}
	return keys
}
