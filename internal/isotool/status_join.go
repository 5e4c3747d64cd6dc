package isotool

import (
	"cmp"
	"slices"
)

// payment is all that the files say about one payment.
type payment struct {
	events []event
	state  string
	next   string

	// what was gathered from the events
	uetr, endToEnd, tx string
	amount             string
	debtor, creditor   string
}

// isStatement reports whether a message is about an account: its entries belong to payments that other messages tell of.
func (e *event) isStatement() bool {
	return e.name == "camt.052" || e.name == "camt.053" || e.name == "camt.054"
}

// join puts the events of one payment together, by UETR, transaction id, end-to-end id, and where there is none by instruction id; then
// what names a message only, by that. Two payments whose UETRs differ are never one. What fits none is left.
func join(all []event) (payments []*payment, left []event) {
	sortEvents(all)
	var groups [][]int // indexes into all; nil if it was joined to its parent
	var parent []int
	of := make(map[int]int)
	var loose []int
	find := func(g int) int {
		for groups[g] == nil {
			g = parent[g]
		}
		return g
	}
	for i := range all {
		e := &all[i]
		if e.isStatement() || e.uetr+e.tx+e.endToEnd+e.instr == "" {
			loose = append(loose, i)
			continue
		}
		of[i] = len(groups)
		groups, parent = append(groups, []int{i}), append(parent, 0)
	}
	values := func(g []int, key func(*event) string) (list []string) {
		for _, i := range g {
			if v := key(&all[i]); v != "" && !slices.Contains(list, v) {
				list = append(list, v)
			}
		}
		return list
	}
	uetr := func(e *event) string { return e.uetr }
	tx := func(e *event) string { return e.tx }
	apart := func(a, b []int, key func(*event) string) bool {
		x, y := values(a, key), values(b, key)
		return len(x) > 0 && len(y) > 0 && !slices.ContainsFunc(x, func(v string) bool { return slices.Contains(y, v) })
	}
	// several reports that the groups of one key belong to more than one UETR: nobody can say to which a group without one belongs.
	several := func(list []int) bool {
		first := ""
		for _, g := range list {
			for _, v := range values(groups[find(g)], uetr) {
				if first == "" {
					first = v
				}
				if v != first {
					return true
				}
			}
		}
		return false
	}
	for level, key := range []func(*event) string{uetr, tx, func(e *event) string { return e.endToEnd }, func(e *event) string { return e.instr }} {
		at := make(map[string][]int) // a key to the groups that have it, in order
		for i := range all {
			if g, ok := of[i]; ok {
				e := &all[i]
				// An instruction id holds between two banks only: it joins an answer that has nothing else.
				weak := level == 3 && e.uetr+e.tx+e.endToEnd != "" && e.name != "pacs.008" && e.name != "pain.001"
				if v := key(e); v != "" && !weak && !slices.Contains(at[v], g) {
					at[v] = append(at[v], g)
				}
			}
		}
		names := make([]string, 0, len(at))
		for v := range at {
			names = append(names, v)
		}
		slices.Sort(names)
		for _, v := range names {
			// Groups that have a UETR are one already, or never will be. Those without one join the only UETR there is, else each other.
			unsure := level > 0 && several(at[v])
			var clusters []int
			for _, g := range at[v] {
				y := find(g)
				if slices.Contains(clusters, y) || unsure && len(values(groups[y], uetr)) > 0 {
					continue
				}
				i := slices.IndexFunc(clusters, func(x int) bool { return level < 2 || !apart(groups[x], groups[y], tx) })
				if i < 0 {
					clusters = append(clusters, y)
					continue
				}
				x := clusters[i]
				groups[x] = append(groups[x], groups[y]...)
				groups[y], parent[y] = nil, x
			}
		}
	}
	for _, g := range groups {
		if g == nil {
			continue
		}
		p := &payment{}
		for _, i := range g {
			p.events = append(p.events, all[i])
		}
		payments = append(payments, p)
	}
	// By what an event may name them, so that a long statement is not compared with every payment.
	known := make(map[string][]*payment)
	for _, p := range payments {
		for i := range p.events {
			for _, k := range p.events[i].names() {
				if of := known[k]; len(of) == 0 || of[len(of)-1] != p {
					known[k] = append(of, p)
				}
			}
		}
	}
	for _, i := range loose {
		e := all[i]
		fits := false
		var tried []*payment
		for _, k := range e.calls() {
			for _, p := range known[k] {
				if slices.Contains(tried, p) {
					continue
				}
				if tried = append(tried, p); p.fits(&e) {
					p.events, fits = append(p.events, e), true
				}
			}
		}
		if !fits {
			left = append(left, e)
		}
	}
	for _, p := range payments {
		sortEvents(p.events)
		p.gather()
	}
	slices.SortStableFunc(payments, func(a, b *payment) int {
		return cmp.Or(a.events[0].at.Compare(b.events[0].at), cmp.Compare(a.uetr, b.uetr), cmp.Compare(a.endToEnd, b.endToEnd))
	})
	return payments, left
}

// names are what others may name an event by, calls what it names itself.
func (e *event) names() []string {
	return []string{"u" + e.uetr, "t" + e.tx, "e" + e.endToEnd, "m" + e.messageID, "m" + e.headerID, "c" + e.caseID}
}

func (e *event) calls() []string {
	if e.isStatement() {
		return slices.DeleteFunc([]string{"u" + e.uetr, "t" + e.tx, "e" + e.endToEnd}, func(k string) bool { return len(k) == 1 })
	}
	return slices.DeleteFunc([]string{"m" + e.originalMessage, "c" + e.caseID}, func(k string) bool { return len(k) == 1 })
}

// fits reports whether an event that has no ids of its own, or is an entry of a statement, belongs to p.
func (p *payment) fits(e *event) bool {
	for i := range p.events {
		o := &p.events[i]
		if o.isStatement() {
			continue
		}
		switch {
		case e.isStatement():
			if e.uetr != "" && o.uetr != "" {
				if e.uetr == o.uetr {
					return true
				}
				continue
			}
			if e.tx != "" && e.tx == o.tx || e.endToEnd != "" && e.endToEnd == o.endToEnd {
				return true
			}
		case e.originalMessage != "" && (e.originalMessage == o.messageID || e.originalMessage == o.headerID):
			if e.originalBatch == "" || e.originalBatch == o.batch {
				return true
			}
		case e.caseID != "" && e.caseID == o.caseID:
			return true
		}
	}
	return false
}

// gather takes from the events what they say of the payment itself.
func (p *payment) gather() {
	for _, pass := range []bool{true, false} { // first from those that move money or ask for it
		for i := range p.events {
			e := &p.events[i]
			moves := e.name == "pacs.008" || e.name == "pacs.009"
			if moves != pass {
				continue
			}
			if e.isStatement() || e.name == "pacs.004" {
				continue
			}
			p.uetr, p.endToEnd, p.tx = cmp.Or(p.uetr, e.uetr), cmp.Or(p.endToEnd, e.endToEnd), cmp.Or(p.tx, e.tx)
			p.amount = cmp.Or(p.amount, e.amount)
			p.debtor, p.creditor = cmp.Or(p.debtor, e.debtor), cmp.Or(p.creditor, e.creditor)
		}
	}
	for i := range p.events { // what only an answer or a return tells
		e := &p.events[i]
		p.uetr, p.endToEnd, p.tx = cmp.Or(p.uetr, e.uetr), cmp.Or(p.endToEnd, e.endToEnd), cmp.Or(p.tx, e.tx)
		p.amount = cmp.Or(p.amount, e.originalAmount)
	}
	seen := make(map[string]bool)
	for i := range p.events {
		e := &p.events[i]
		if e.messageID == "" || e.isStatement() {
			continue
		}
		k := e.message + "\x00" + e.messageID + "\x00" + e.from + "\x00" + e.status + "\x00" + e.when + "\x00" + e.amount
		if !e.duplicate {
			e.again = seen[k]
			seen[k] = true
		}
	}
}
