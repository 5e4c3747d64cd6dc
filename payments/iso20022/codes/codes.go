// Package codes holds the texts of ISO 20022's external code sets: what AC04 or ACSC means, as ISO publishes it.
//
// It judges nothing: ISO publishes new codes every quarter, so a code that is not here is unknown, never an error. What a status means
// for money depends on the rail and is package rail's.
package codes

import (
	"iter"
	"sort"
	"strings"
)

//go:generate go run ../../../internal/codesgen/gen

// Set is the name of a code set, which is also the name of the type that its codes have in ISO's schemas, such as
// "ExternalStatusReason1Code".
type Set string

// Code is one code of a set.
type Code struct {
	Set  Set
	Code string // such as "AC04"
	Text string // ISO's, in English
}

// setData is a set in the tables: constant data, so that a program that asks for nothing pays nothing at its start.
type setData struct {
	name        Set
	description string
	text        string // each line is a code, a tab and its text
}

// data returns the table of a set, nil for an unknown one.
func (s Set) data() *setData {
	i := sort.Search(len(sets), func(i int) bool { return sets[i].name >= s })
	if i == len(sets) || sets[i].name != s {
		return nil
	}
	return &sets[i]
}

// Sets returns the names of all sets, sorted.
func Sets() []Set {
	names := make([]Set, len(sets))
	for i := range sets {
		names[i] = sets[i].name
	}
	return names
}

// Description returns what ISO says of the set, and "" of an unknown one.
func (s Set) Description() string {
	if d := s.data(); d != nil {
		return d.description
	}
	return ""
}

// Codes iterates over the codes of the set, sorted; over none if the set is unknown.
func (s Set) Codes() iter.Seq[Code] {
	return func(yield func(Code) bool) {
		d := s.data()
		if d == nil {
			return
		}
		for line := range strings.Lines(d.text[1:]) {
			code, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if !yield(Code{s, code, text}) {
				return
			}
		}
	}
}

// Lookup returns a code of a set, and false if the set or the code in it is unknown. Codes are compared as they are written: ISO's are
// in capitals.
func Lookup(set Set, code string) (Code, bool) {
	if d := set.data(); d != nil {
		return d.lookup(code)
	}
	return Code{}, false
}

func (d *setData) lookup(code string) (Code, bool) {
	if code == "" || strings.ContainsAny(code, "\t\n") {
		return Code{}, false
	}
	key := "\n" + code + "\t"
	at := strings.Index(d.text, key)
	if at < 0 {
		return Code{}, false
	}
	text, _, _ := strings.Cut(d.text[at+len(key):], "\n")
	return Code{d.name, code, text}, true
}

// Find returns the code from every set that has it, in the order of Sets: the same code may stand in several and say something else
// in each. It returns none if no set has it.
func Find(code string) (found []Code) {
	for i := range sets {
		if c, ok := sets[i].lookup(code); ok {
			found = append(found, c)
		}
	}
	return found
}
