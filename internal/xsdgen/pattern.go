package xsdgen

import (
	"fmt"
	"regexp/syntax"
	"unicode/utf8"
)

// Pattern is an XSD pattern as alternatives, each a row of character sets with counts. It matches a whole value.
type Pattern struct {
	Text         string
	Alternatives [][]Atom
}

// Atom is one set of characters, repeated.
type Atom struct {
	Set      [2]uint64 // bit c is ASCII character c
	Other    bool      // whether it takes characters beyond ASCII
	Min, Max int       // Max 0 is unbounded
}

// maxExpansion bounds the rows and alternatives that counts of groups expand to.
const maxExpansion = 64

// ParsePattern reads the part of XSD's regular expressions that the ISO schemas use.
func ParsePattern(text string) (*Pattern, error) {
	re, err := syntax.Parse(text, 0)
	if err != nil {
		return nil, fmt.Errorf("xsdgen: pattern %q: %w", text, err)
	}
	alternatives, err := expand(re)
	if err != nil {
		return nil, fmt.Errorf("xsdgen: pattern %q: %w", text, err)
	}
	for i, row := range alternatives {
		alternatives[i] = merge(row)
	}
	return &Pattern{Text: text, Alternatives: alternatives}, nil
}

func expand(re *syntax.Regexp) ([][]Atom, error) {
	if a, ok := single(re); ok {
		return [][]Atom{{a}}, nil
	}
	switch re.Op {
	case syntax.OpLiteral:
		var row []Atom
		for _, r := range re.Rune {
			if r >= utf8.RuneSelf || re.Flags&syntax.FoldCase != 0 {
				return nil, fmt.Errorf("character beyond ASCII")
			}
			a := Atom{Min: 1, Max: 1}
			a.Set[r/64] |= 1 << (r % 64)
			row = append(row, a)
		}
		return [][]Atom{row}, nil
	case syntax.OpCapture:
		return expand(re.Sub[0])
	case syntax.OpConcat:
		return concat(re.Sub...)
	case syntax.OpAlternate:
		var all [][]Atom
		for _, sub := range re.Sub {
			rows, err := expand(sub)
			if err != nil {
				return nil, err
			}
			all = append(all, rows...)
		}
		return all, nil
	case syntax.OpQuest, syntax.OpPlus, syntax.OpStar, syntax.OpRepeat:
		low, high := re.Min, re.Max
		switch re.Op {
		case syntax.OpQuest:
			low, high = 0, 1
		case syntax.OpPlus:
			low, high = 1, -1
		case syntax.OpStar:
			low, high = 0, -1
		}
		if a, ok := single(re.Sub[0]); ok {
			a.Min, a.Max = low, max(high, 0)
			return [][]Atom{{a}}, nil
		}
		if high < 0 || high > maxExpansion {
			return nil, fmt.Errorf("a group repeated without a small limit")
		}
		var all [][]Atom
		for n := low; n <= high; n++ {
			times := make([]*syntax.Regexp, n)
			for i := range times {
				times[i] = re.Sub[0]
			}
			rows, err := concat(times...)
			if err != nil {
				return nil, err
			}
			all = append(all, rows...)
		}
		if len(all) > maxExpansion {
			return nil, fmt.Errorf("too many alternatives")
		}
		return all, nil
	default:
		return nil, fmt.Errorf("unsupported construct %v", re.Op)
	}
}

// concat joins every row of one part with every row of the next.
func concat(parts ...*syntax.Regexp) ([][]Atom, error) {
	all := [][]Atom{nil}
	for _, part := range parts {
		rows, err := expand(part)
		if err != nil {
			return nil, err
		}
		var next [][]Atom
		for _, head := range all {
			for _, tail := range rows {
				next = append(next, append(append([]Atom(nil), head...), tail...))
			}
		}
		if all = next; len(all) > maxExpansion {
			return nil, fmt.Errorf("too many alternatives")
		}
	}
	return all, nil
}

// single returns the atom of an expression that is one character.
func single(re *syntax.Regexp) (Atom, bool) {
	a := Atom{Min: 1, Max: 1}
	add := func(lo, hi rune) {
		for r := lo; r <= hi && r < utf8.RuneSelf; r++ {
			a.Set[r/64] |= 1 << (r % 64)
		}
		a.Other = a.Other || hi >= utf8.RuneSelf
	}
	switch {
	case re.Op == syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			if hi := re.Rune[i+1]; hi >= utf8.RuneSelf && hi != utf8.MaxRune {
				return Atom{}, false // part of what lies beyond ASCII
			}
			add(re.Rune[i], re.Rune[i+1])
		}
	case re.Op == syntax.OpAnyCharNotNL: // XSD's . leaves out the carriage return too
		add(0, '\n'-1)
		add('\n'+1, '\r'-1)
		add('\r'+1, utf8.MaxRune)
	case re.Op == syntax.OpLiteral && len(re.Rune) == 1 && re.Rune[0] < utf8.RuneSelf && re.Flags&syntax.FoldCase == 0:
		add(re.Rune[0], re.Rune[0])
	default:
		return Atom{}, false
	}
	return a, true
}

// merge joins neighbours of one set and fixed counts.
func merge(row []Atom) []Atom {
	var out []Atom
	for _, a := range row {
		if n := len(out); n > 0 && out[n-1].Set == a.Set && out[n-1].Other == a.Other && out[n-1].Max > 0 && a.Max > 0 {
			out[n-1].Min += a.Min
			out[n-1].Max += a.Max
			continue
		}
		out = append(out, a)
	}
	return out
}
