// Package namematch says whether two names are the same, nearly the same or different, for the payee check.
//
// It knows names only as people write them, no accounts and no registers. It is strict: what it calls close is shown to the payer
// with the right name, and what it calls different warns them.
package namematch

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Result of Compare. The zero Result is the cautious one.
type Result uint8

const (
	Different Result = iota
	Close            // a typing error, an initial, a name left out or in another order
	Same             // the same words, whatever case, accents and punctuation
)

// maxRunes bounds what is compared; names have at most 140 characters (Max140Text).
const maxRunes = 140

// letters that do not come apart into a base letter and marks (Unicode NFKD).
var letters = strings.NewReplacer("ß", "ss", "æ", "ae", "œ", "oe", "ø", "o", "đ", "d", "ð", "d", "ł", "l", "þ", "th", "ı", "i", "ħ", "h", "ŋ", "n")

// pairs are the usual spellings of letters with marks in two letters: "Müller" is also written "Mueller".
var pairs = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "å", "aa", "ø", "oe")

// fillers are titles and legal forms, which people leave out: a missing one makes no difference. Two that are not the same do: "Example
// GmbH" is another company than "Example AG". The value is what is compared, nothing for words that never matter.
var fillers = func() map[string]string {
	m := map[string]string{"limited": "ltd", "and": "", "und": "", "et": "", "the": ""}
	for _, w := range strings.Fields("mr mrs ms dr prof herr frau mme sr sra " +
		"gmbh ag kg ug ohg se sa sas sarl srl spa bv nv ab as oy ltd llc inc corp co plc") {
		m[w] = w
	}
	return m
}()

// Compare says how alike two names are. It is symmetric.
func Compare(a, b string) Result {
	best := Different
	for _, x := range spellings(a) {
		for _, y := range spellings(b) {
			best = max(best, compare(x, y))
		}
	}
	return best
}

// spellings returns the words of a name, once with marks taken off and once with letters written as pairs.
func spellings(name string) [][]string {
	name = strings.ToLower(norm.NFC.String(name))
	plain, paired := words(name), words(pairs.Replace(name))
	if slices.Equal(plain, paired) {
		return [][]string{plain}
	}
	return [][]string{plain, paired}
}

// words returns the words of a name in their base letters and digits, without points, hyphens and marks.
func words(name string) []string {
	var b strings.Builder
	n := 0
	for _, r := range norm.NFKD.String(letters.Replace(name)) {
		switch {
		case n >= maxRunes:
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(unicode.ToLower(r))
			n++
		case unicode.Is(unicode.Mn, r), r == '\'', r == '’', r == '.':
			// a mark, an apostrophe or the point of an abbreviation joins: "O'Neil" is "ONeil", "G.m.b.H." is "GmbH"
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Fields(b.String())
}

func compare(a, b []string) Result {
	if len(a) == 0 || len(b) == 0 {
		return Different
	}
	if slices.Equal(a, b) || strings.Join(a, "") == strings.Join(b, "") {
		return Same
	}
	a, formsA := core(a)
	b, formsB := core(b)
	if slices.Equal(a, b) || strings.Join(a, "") == strings.Join(b, "") {
		if formsA != "" && formsB != "" && formsA != formsB {
			return Close
		}
		return Same
	}
	if near(strings.Join(a, ""), strings.Join(b, "")) {
		return Close
	}
	switch {
	case len(a) > len(b):
		return aligned(b, a)
	case len(a) < len(b):
		return aligned(a, b)
	}
	return max(aligned(a, b), aligned(b, a))
}

// core returns the words without titles and legal forms, and these; unless nothing else is left.
func core(words []string) (kept []string, forms string) {
	for _, w := range words {
		if form, filler := fillers[w]; !filler {
			kept = append(kept, w)
		} else if form != "" {
			forms += form + " "
		}
	}
	if len(kept) == 0 {
		return words, ""
	}
	return kept, forms
}

// aligned reports Close when every word of the shorter name has its own counterpart in the longer one, at least one of them in full
// and not only by its initial, and no more words are missing than found.
func aligned(short, long []string) Result {
	used, found, full := make([]bool, len(long)), make([]bool, len(short)), 0
	for grade := 3; grade > 0; grade-- { // the best pairs first, so that an initial does not take another word's place
		for i, w := range short {
			at := -1
			for j, x := range long {
				if at < 0 && !used[j] && alike(w, x) >= grade {
					at = j
				}
			}
			if found[i] || at < 0 {
				continue
			}
			used[at], found[i] = true, true
			if grade >= 2 && len(w) >= 3 {
				full++
			}
		}
	}
	if slices.Contains(found, false) || full == 0 || len(long)-len(short) > len(short) || (len(short) == 1 && len(long) > 1 && len(short[0]) < 4) {
		return Different
	}
	return Close
}

// alike grades two words: 3 equal, 2 a typing error apart, 1 one is the other's initial, 0 different.
func alike(a, b string) int {
	switch {
	case a == b:
		return 3
	case near(a, b):
		return 2
	case len(a) == 1 && strings.HasPrefix(b, a), len(b) == 1 && strings.HasPrefix(a, b):
		return 1
	}
	return 0
}

// near reports whether one typing error (two in 12 letters and more) makes one word the other: none in words of under 4 letters, and
// none in digits, of which each counts.
func near(a, b string) bool {
	if digits(a) != digits(b) {
		return false
	}
	x, y := []rune(a), []rune(b)
	if len(x) > len(y) {
		x, y = y, x
	}
	allowed := 0
	switch {
	case len(x) >= 12:
		allowed = 2
	case len(x) >= 4:
		allowed = 1
	}
	return len(y)-len(x) <= allowed && distance(x, y) <= allowed
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

// distance is the optimal string alignment distance: insert, delete, replace or swap two neighbours.
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
