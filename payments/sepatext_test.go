package payments

import (
	"slices"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestSEPAText(t *testing.T) {
	for in, want := range map[string]string{
		"Example 1/2-3?:(x).,'+": "Example 1/2-3?:(x).,'+", "": "", "Käsekuchen & Söhne": "Kasekuchen + Sohne", "Łódź": "Lodz", "Straße": "Strasse", "5€": "5.",
		"Ψωμί": "PSomi", "Щастие": "SHTastie", "漢字": "..", "a\u0308": "a", "x\u0308y": "xy", "\xff": ".", "a\tb": "a.b", "👍🏽!": "...", "a@b_c": "a(at)b-c", "\u0308": ".",
	} {
		got, changes := SEPAText(in)
		if got != want || (len(changes) == 0) != (got == in) {
			t.Errorf("%q is %q with %d changes, want %q", in, got, len(changes), want)
		}
	}
	_, changes := SEPAText("äb€ß")
	if !slices.Equal(changes, []TextChange{{0, "ä", "a"}, {2, "€", "."}, {3, "ß", "ss"}}) {
		t.Errorf("%v", changes)
	}
}

// The result is in the set, conversion is stable, composed and decomposed spellings give the same, and the changes explain it.
func TestSEPATextProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("aäÄßŁ漢€~_@\u0301\u0308 'Ωщ")))).Draw(t, "text")
		out, changes := SEPAText(s)
		if !isSEPA(out) {
			t.Fatalf("%q is %q", s, out)
		}
		if again, more := SEPAText(out); again != out || more != nil {
			t.Fatalf("%q changes again to %q", out, again)
		}
		if other, _ := SEPAText(norm.NFC.String(s)); other != out {
			t.Fatalf("%q composed gives %q, else %q", s, other, out)
		}
		if other, _ := SEPAText(norm.NFD.String(s)); other != out {
			t.Fatalf("%q decomposed gives %q, else %q", s, other, out)
		}
		if (len(changes) == 0) != (s == out) {
			t.Fatalf("%q to %q with %d changes", s, out, len(changes))
		}
	})
}
