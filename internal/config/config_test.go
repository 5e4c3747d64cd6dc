package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
)

type sample struct {
	Listen string        `yaml:"listen,required"`
	Wait   time.Duration `yaml:"wait"`
	Count  int           `yaml:"count"`
	Small  uint8         `yaml:"small"`
	On     bool          `yaml:"on"`
	Rail   *struct {
		Profile     string `yaml:"profile,required"`
		Participant string `yaml:"participant,required"`
	} `yaml:"rail"`
	Accounts []struct {
		ID      string `yaml:"id,required"`
		Balance string `yaml:"balance"`
	} `yaml:"accounts"`
	Actors map[string]string `yaml:"actors"`
	Never  func()            `yaml:"-"`
	inner  `yaml:",inline"`
	Other  int // untagged
}

type inner struct {
	Deep string `yaml:"deep"`
}

func TestParse(t *testing.T) {
	var got sample
	src := Parse("bank.yaml", []byte(`
# a comment
listen: "127.0.0.1:0"
wait: 2s
count: 7
small: 255
on: true
rail: {profile: fednow, participant: 021000021}
accounts:
  - id: 0123
    balance: 10.50
  - {id: "b"}
actors:
  bank: payer-bank
deep: 0x10
`), &got)
	if err := src.Err(); err != nil {
		t.Fatal(err)
	}
	if got.Listen != "127.0.0.1:0" || got.Wait != 2*time.Second || got.Count != 7 || got.Small != 255 || !got.On ||
		got.Rail.Participant != "021000021" || len(got.Accounts) != 2 || got.Accounts[0].ID != "0123" ||
		got.Accounts[0].Balance != "10.50" || got.Actors["bank"] != "payer-bank" || got.Deep != "0x10" {
		t.Fatalf("%+v", got)
	}
	if !src.Has("accounts[1].id") || src.Has("accounts[1].balance") {
		t.Fatal("Has is wrong about the keys that are there")
	}
}

func TestEverythingWrongAtOnce(t *testing.T) {
	var got sample
	src := Parse("bank.yaml", []byte(`wait: soon
count: 1e3
small: 256
on: yes please
lisen: x
rail:
  profile: fednow
  colour: red
accounts:
  - balance: "1"
  - id: [1]
  - 7
`), &got)
	src.Faultf("accounts[1].balance", "is not an amount")
	err := src.Err()
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	want := []string{
		"bank.yaml: listen: is required",
		"bank.yaml:1: wait: must be a duration",
		"bank.yaml:2: count: must be a whole number",
		"bank.yaml:3: small: must be a whole number",
		"bank.yaml:4: on: must be true or false",
		"bank.yaml:5: lisen: unknown key (did you mean listen?)",
		"bank.yaml:6: rail.participant: is required",
		"bank.yaml:8: rail.colour: unknown key (there are: participant, profile)",
		"bank.yaml:10: accounts[0].id: is required",
		"bank.yaml:11: accounts[1].id: must be a single value",
		"bank.yaml:11: accounts[1].balance: is not an amount",
		"bank.yaml:12: accounts[2]: must be a set of keys",
	}
	if len(faults) != len(want) {
		t.Fatalf("%d faults, want %d:\n%v", len(faults), len(want), err)
	}
	for i, f := range faults {
		if !strings.HasPrefix(f.Error(), want[i]) {
			t.Errorf("fault %d is %q, want %q", i, f.Error(), want[i])
		}
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"not YAML":      {"listen: [1", ""},
		"duplicate key": {"listen: a\nlisten: b\n", "x.yaml:2"},
		"alias":         {"listen: &a b\nactors: {x: *a}\n", "write the value out"},
		"two documents": {"listen: a\n---\nlisten: b\n", "2 documents"},
		"a list":        {"- a\n- b\n", "must be a set of keys"},
		"too large":     {"listen: a\n#" + strings.Repeat("x", maxSize), "over"},
		"empty":         {"", "listen: is required"},
		"null":          {"listen: null\n", "listen: must be a single value"},
	} {
		t.Run(name, func(t *testing.T) {
			var got sample
			err := Parse("x.yaml", []byte(c.text), &got).Err()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bank.yaml")
	var got sample
	if err := Read(path, &got).Err(); err == nil {
		t.Fatal("a missing file was read")
	}
	if err := os.WriteFile(path, []byte("listen: a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Read(path, &got).Err(); err != nil || got.Listen != "a" {
		t.Fatal(err, got.Listen)
	}
}

// code shows that a type may check its own text.
type code payments.Currency

func (c *code) UnmarshalText(b []byte) error {
	v, err := payments.ParseCurrency(string(b))
	*c = code(v)
	return err
}

func TestTextUnmarshaler(t *testing.T) {
	var got struct {
		Currency code `yaml:"currency"`
	}
	if err := Parse("x", []byte("currency: EUR"), &got).Err(); err != nil || got.Currency != "EUR" {
		t.Fatal(err, got)
	}
	if err := Parse("x", []byte("currency: 'eur'"), &got).Err(); err == nil || !strings.Contains(err.Error(), "x:1: currency") {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("listen: a\nrail: {profile: x}\naccounts: [{id: 1}]")
	f.Add("? {a: b}\n: - c")
	f.Add("listen: |\n  a\n  b")
	f.Fuzz(func(t *testing.T, text string) {
		var got sample
		Parse("f", []byte(text), &got).Err()
	})
}
