package namematch

import (
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	cases := []struct {
		a, b string
		want Result
	}{
		{"Example Coffee", "Example Coffee", Same},
		{"EXAMPLE COFFEE", "example coffee", Same},
		{"Example-Coffee", "Example Coffee", Same},
		{"Example Coffee GmbH", "Example Coffee", Same},
		{"Example Coffee G.m.b.H.", "Example Coffee GmbH", Same},
		{"Dr. Erika Mustermann", "Erika Mustermann", Same},
		{"Jürgen Müller", "Juergen Mueller", Same},
		{"Jürgen Müller", "Jurgen Muller", Same},
		{"Zoë O'Neil", "Zoe ONeil", Same},
		{"Straße und Weg", "Strasse Weg", Same},
		{"José Núñez", "Jose\u0301 Nu\u0301n\u0303ez", Same},
		{"Łukasz Kowalski", "Lukasz Kowalski", Same},
		{"Søren Åberg", "Soeren Aaberg", Same},

		{"Example Coffee Limited", "Example Coffee Ltd.", Same},
		{"The Example Coffee", "Example and Coffee", Same},

		{"Example Coffee GmbH", "Example Coffee AG", Close}, // another company
		{"Example Coffee GmbH & Co. KG", "Example Coffee KG", Close},
		{"Mr Example Person", "Mrs Example Person", Close},
		{"Se Example", "Sa Example", Close},
		{"Example Cofee", "Example Coffee", Close},
		{"Example Coffee", "Exmaple Coffee", Close},
		{"E. Mustermann", "Erika Mustermann", Close},
		{"Mustermann, Erika", "Erika Mustermann", Close},
		{"Erika Maria Mustermann", "Erika Mustermann", Close},
		{"Mustermann", "Erika Mustermann", Close},
		{"Erika Mustermann", "Erika und Max Mustermann", Close},

		{"Erika Mustermann", "Max Mustermann", Different},
		{"Erika Mustermann", "Erika Musterfrau", Different},
		{"Example Coffee", "Invented Books", Different},
		{"Coffee", "Example Coffee House of the Old Town", Different},
		{"Li Na", "Li Wu", Different},
		{"Anna", "Anne Other", Close},
		{"Ann", "Ann Other", Different},
		{"E M", "Erika Mustermann", Different},
		{"GmbH", "Example Coffee GmbH", Different},
		{"", "Example Coffee", Different},
		{"Example Coffee", "", Different},
		{"", "", Different},
		{"...", "---", Different},
		{"Shop 24", "Shop 42", Different},
	}
	for _, c := range cases {
		if got := Compare(c.a, c.b); got != c.want {
			t.Errorf("%q, %q: %d, want %d", c.a, c.b, got, c.want)
		}
		if Compare(c.a, c.b) != Compare(c.b, c.a) {
			t.Errorf("%q, %q: depends on the order", c.a, c.b)
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add("Example Coffee", "Example Cofee")
	f.Add("AAA AAAAAAAAAAA", "A AAA")
	f.Add("É\u0301\u200d", strings.Repeat("a ", 400))
	f.Fuzz(func(t *testing.T, a, b string) {
		r := Compare(a, b)
		if r != Compare(b, a) {
			t.Fatal("depends on the order")
		}
		if r > Same {
			t.Fatal("no result")
		}
		if c := Compare(a, a); c != Same && len(words(strings.ToLower(a))) > 0 {
			t.Fatal("a name is not its own")
		}
	})
}

func TestBounded(t *testing.T) {
	long := strings.Repeat("abcdefghij klm ", 10_000)
	if testing.AllocsPerRun(1, func() { Compare(long, long+"x") }) > 200_000 {
		t.Error("a long name costs too much")
	}
}
