package codes_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parleypay/parley/internal/codesgen"
	"github.com/parleypay/parley/internal/shared"
	"github.com/parleypay/parley/payments/iso20022/codes"
)

// The committed tables are those of the code sets.
func TestTablesAreCurrent(t *testing.T) {
	want, err := codesgen.Generate(shared.Path(t, "iso20022/codes"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("tables.go")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("tables.go differs from what the code sets give: run go generate")
	}
}

// Every code of every file is found with its text, read here by other means than the generator's.
func TestEveryCode(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared.Path(t, "iso20022/codes"), "*.json"))
	if err != nil || len(files) != len(codes.Sets()) {
		t.Fatalf("%d files, %d sets, %v", len(files), len(codes.Sets()), err)
	}
	total := 0
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var f struct {
			Name, Description string
			Codes             map[string]string
		}
		if err := json.Unmarshal(b, &f); err != nil {
			t.Fatal(err)
		}
		set := codes.Set(f.Name)
		if set.Description() != strings.Join(strings.Fields(f.Description), " ") || !slices.Contains(codes.Sets(), set) {
			t.Errorf("%s: %q", f.Name, set.Description())
		}
		for code, text := range f.Codes {
			total++
			c, ok := codes.Lookup(set, code)
			if !ok || c != (codes.Code{Set: set, Code: code, Text: strings.Join(strings.Fields(text), " ")}) {
				t.Errorf("%s %s: %+v, %t", set, code, c, ok)
			}
			if found := codes.Find(code); !slices.Contains(found, c) {
				t.Errorf("Find(%s) = %v, without that of %s", code, found, set)
			}
			if _, ok := codes.Lookup(set, strings.ToLower(code)); ok && code != strings.ToLower(code) {
				t.Errorf("%s %s is found in small letters", set, code)
			}
		}
		last, n := "", 0
		for c := range set.Codes() {
			if c.Code <= last || f.Codes[c.Code] == "" || c.Set != set {
				t.Errorf("%s: %+v behind %s", set, c, last)
			}
			last, n = c.Code, n+1
		}
		if n != len(f.Codes) {
			t.Errorf("%s: %d codes, want %d", set, n, len(f.Codes))
		}
		for range set.Codes() { // may be left
			break
		}
	}
	if total < 1800 {
		t.Errorf("%d codes in all", total)
	}
}

// What is not there is unknown, whatever it holds.
func TestUnknown(t *testing.T) {
	text, _ := codes.Lookup(codes.ExternalStatusReason1Code, "AB01")
	for _, code := range []string{"", "ZZ99", "AB0", "AB01 ", "ab01", "\n", "\t", "AB01\t" + text.Text, "AB01\t" + text.Text + "\nAB02", text.Text, "ISO", strings.Repeat("A", 1<<20)} {
		if c, ok := codes.Lookup(codes.ExternalStatusReason1Code, code); ok || c != (codes.Code{}) {
			t.Errorf("Lookup(%.40q) = %+v", code, c)
		}
		if found := codes.Find(code); code != "ISO" && found != nil {
			t.Errorf("Find(%.40q) = %v", code, found)
		}
	}
	for _, set := range []codes.Set{"", "Max35Text", "ExternalStatusReason2Code", "ExternalStatusReason1Cod", "Z"} {
		if _, ok := codes.Lookup(set, "AB01"); ok || set.Description() != "" {
			t.Errorf("the set %q is known", set)
		}
		for c := range set.Codes() {
			t.Errorf("%q has %v", set, c)
		}
	}
}

// The same code says something else in another set.
func TestFind(t *testing.T) {
	var sets []codes.Set
	for _, c := range codes.Find("AC04") {
		sets = append(sets, c.Set)
	}
	want := []codes.Set{codes.ExternalPaymentCancellationRejection1Code, codes.ExternalReturnReason1Code, codes.ExternalStatusReason1Code}
	for _, s := range want {
		if !slices.Contains(sets, s) {
			t.Errorf("AC04 stands in %v, not in %s", sets, s)
		}
	}
	if !slices.IsSorted(sets) {
		t.Errorf("not in the order of Sets: %v", sets)
	}
}

func TestAllocations(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { codes.Lookup(codes.ExternalStatusReason1Code, "AC04") }); n > 1 {
		t.Errorf("a look-up makes %.0f allocations", n)
	}
}

func ExampleLookup() {
	c, ok := codes.Lookup(codes.ExternalStatusReason1Code, "AC04")
	fmt.Println(ok, c.Text)
	_, ok = codes.Lookup(codes.ExternalStatusReason1Code, "ZZ99")
	fmt.Println(ok)
	// Output:
	// true Account number specified has been closed on the bank of account's books.
	// false
}

func ExampleFind() {
	for _, c := range codes.Find("RJCT") {
		fmt.Printf("%s: %s\n", c.Set, c.Text)
	}
	// Output:
	// ExternalInvestigationStatus1Code: Investigation is rejected.
	// ExternalPaymentGroupStatus1Code: Payment initiation or individual transaction included in the payment initiation has been rejected.
	// ExternalPaymentTransactionStatus1Code: Payment instruction has been rejected.
}
