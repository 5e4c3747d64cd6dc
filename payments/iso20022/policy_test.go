package iso20022

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// passedOver returns, by type of the schema and element, all that decoders accept and do not keep, as docs/iso20022.md lists it. Nothing
// in it changes the amount, who pays and is paid, or under what condition. "again" is a second occurrence.
func passedOver(t *testing.T) map[string]bool {
	doc, err := os.ReadFile("../../docs/iso20022.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(doc), "<!-- passed over: begin -->")
	part, _, ok := strings.Cut(part, "<!-- passed over: end -->")
	if !ok {
		t.Fatal("the list is not marked in docs/iso20022.md")
	}
	list := map[string]bool{}
	for line := range strings.Lines(part) {
		cell := strings.Split(line, "|")
		if len(cell) != 4 || strings.Contains(line, "---") || strings.Contains(line, " type ") {
			continue
		}
		for typ := range strings.SplitSeq(cell[1], ",") {
			for e := range strings.SplitSeq(cell[2], ",") {
				list[strings.TrimSpace(typ)+"/"+strings.TrimSpace(strings.ReplaceAll(e, "`", ""))] = true
			}
		}
	}
	return list
}

// Into full documents every element is put that the schema allows there: the decoder refuses it, or decodes something else, or it is
// in the list above; and all that is in the list occurs.
func TestNothingIsLostSilently(t *testing.T) {
	seen, listed := map[string]bool{}, passedOver(t)
	for _, m := range examples {
		doc := encoded(t, m)
		variants := everyElement(t, doc)
		if len(variants) < 10 && !strings.HasPrefix(m.Definition(), "admi") {
			t.Errorf("only %d variants of %s", len(variants), m.Definition())
		}
		for _, v := range variants {
			if err := Validate(v.doc); err != nil {
				t.Fatalf("%s: %v\n%s", v.name, err, v.doc)
			}
			got, err := Decode(v.doc)
			if err != nil || !same(got, m) {
				continue
			}
			seen[v.name] = true
			if !listed[v.name] {
				t.Errorf("%s is lost in %s", v.name, m.Definition())
			}
		}
	}
	for name := range listed {
		if !seen[name] {
			t.Errorf("%s is said to be passed over but is not", name)
		}
	}
}

type variant struct {
	name string // type and element
	doc  []byte
}

// everyElement returns the document with one more element, for each element that the schema allows in it, and with one element
// once more, where it may be repeated.
func everyElement(t *testing.T, doc []byte) (list []variant) {
	var tr tree
	if f := tr.scan(doc); f != nil {
		t.Fatal(f)
	}
	g := instance{tables: &isoTables, r: rand.New(rand.NewPCG(1, 1))}
	var walk func(i uint32, typ uint16)
	repeats := false // in an OrgnlTxRef
	walk = func(i uint32, typ uint16) {
		ty := &isoTables.types[typ]
		if strings.HasPrefix(ty.name, "OriginalTransactionReference") {
			repeats = true
			defer func() { repeats = false }()
		}
		put := func(name string, from, to uint32, with []byte) {
			if name = ty.name + "/" + name; repeats {
				name = "OriginalTransactionReference…/anything in it"
			}
			list = append(list, variant{name, slices.Concat(doc[:from], with, doc[to:])})
		}
		at := tr.nodes[i].textAt // behind the elements met
		c := i + 1
		for k := range ty.elems {
			e := &ty.elems[k]
			if e.name == "" { // a choice, with what stands in it
				for _, a := range isoTables.types[e.typ].elems {
					for c < tr.next(i) && string(tr.name(c)) == a.name {
						walk(c, a.typ)
						at = tr.nodes[c].end
						c = tr.next(c)
					}
				}
				continue
			}
			n, first := 0, c
			for c < tr.next(i) && string(tr.name(c)) == e.name {
				walk(c, e.typ)
				at = tr.nodes[c].end
				c = tr.next(c)
				n++
			}
			empty := len("<></>") + 2*len(e.name)
			for depth := 1000; ; depth = 0 { // as little as the schema allows, but something
				g.b.Reset()
				if g.element(e, depth); g.b.Len() > empty {
					break
				}
			}
			switch {
			case n == 0 && ty.kind == kindChoice:
				put(e.name, tr.nodes[i].textAt, tr.nodes[i].textEnd, g.b.Bytes())
			case n == 0:
				put(e.name, at, at, g.b.Bytes())
			case e.max != 1:
				put(e.name+" again", at, at, doc[tr.nodes[first].start:tr.nodes[first].end])
			}
		}
	}
	walk(0, isoTables.schema(tr.uri(0)).typ)
	return list
}
