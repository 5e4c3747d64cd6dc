package lifecycle

import (
	"fmt"
	"strings"
	"testing"
)

// This file explores every state that one order can reach: up to two intents (the second retries the first), a connector that crashes
// around the send, a network that loses, doubles, delays and reorders, cancel and expiry at any time, and a rail that may or may not
// recognise a repeated transfer. The connector moves by Next, the production table. Five bad designs show that the checks bite.

// intent is one intent with its execution: what is durable at the connector, what is volatile there, what is under way, what the rail has.
type intent struct {
	state    State
	outbox   bool // durable: the transfer's row is not done
	sent     bool // volatile: this process has handed the transfer to the transport
	transfer int8 // copies under way to the rail
	enquiry  bool // an enquiry is under way
	answers  answer
	rail     railState
	credits  int8 // how often the payee was credited: the truth that status must not contradict
}

// world is one state of the model.
type world struct {
	intents [2]intent
	crashed bool // the process has started again and has not yet looked at its journal
	closed  bool // the rail's validity window is over: it refuses transfers that arrive now
}

type answer uint8 // set of answers under way

const (
	positive answer = 1 << iota
	settled
	rejected
	notFound
)

type railState int8

const (
	railNone railState = iota
	railPending
	railExecuted
	railRejected
)

// design is how the connector decides. The zero design is ours.
type design struct {
	resendAfterCrash  bool
	silenceIsRefusal  bool
	notFoundIsRefusal bool
	withdrawAnyTime   bool
	sendBeforeJournal bool
}

// next is the table, with the rows that a bad design adds.
func (d design) next(s State, t Trigger) (State, error) {
	if d.withdrawAnyTime && s.MayHaveLeft() && !s.Terminal() {
		switch t {
		case OnCancel:
			return Cancelled, nil
		case OnExpiry:
			return Expired, nil
		}
	}
	return Next(s, t)
}

// model explores the worlds of one design and one rail.
type model struct {
	design
	dedupes bool // the rail recognises a repeated transfer
	used    map[[2]State]bool
	out     func(action string, w world)
}

func (m *model) emit(w world, format string, args ...any) { m.out(fmt.Sprintf(format, args...), w) }

// move lets the connector record a trigger, if the table has it, and reports whether it did.
func (m *model) move(p *intent, t Trigger) bool {
	to, err := m.next(p.state, t)
	if err != nil {
		return false
	}
	m.used[[2]State{p.state, to}] = true
	p.state = to
	return true
}

// successors emits every world that can follow w.
func (m *model) successors(w world) {
	for i := range w.intents {
		m.people(w, i)
		m.network(w, i)
		m.rail(w, i)
		if !w.crashed {
			m.connector(w, i)
		}
	}
	if !w.crashed {
		c := w
		c.crashed = true
		for i := range c.intents {
			c.intents[i].sent = false
		}
		m.emit(c, "crash")
	} else {
		m.recover(w)
	}
	if !w.closed {
		c := w
		c.closed = true
		m.emit(c, "validity window ends")
	}
}

// people lets payer, payee, operators and clocks do what they may try at any time.
func (m *model) people(w world, i int) {
	if w.crashed {
		return
	}
	for _, t := range []Trigger{OnStored, OnShown, OnDecline, OnExpiry, OnCancel, OnMandate, OnHold, OnRelease, OnDeny} {
		if t == OnStored && i == 1 && !w.intents[0].state.MayRetry() {
			continue // a retry names an intent that is certain to move nothing
		}
		c := w
		if m.move(&c.intents[i], t) {
			m.emit(c, "%s %d", t, i)
		}
	}
}

// connector submits, sends, asks and gives up waiting.
func (m *model) connector(w world, i int) {
	p := w.intents[i]
	if p.state == Authorised && (!m.sendBeforeJournal || p.sent) {
		c := w
		c.intents[i].outbox = !m.sendBeforeJournal
		if m.move(&c.intents[i], OnSubmit) {
			m.emit(c, "record submitting %d", i)
		}
	}
	if !p.sent && ((p.state == Submitting && p.outbox) || (m.sendBeforeJournal && p.state == Authorised)) {
		c := w
		c.intents[i].sent = true
		c.intents[i].transfer = min(p.transfer+1, 2) // a third copy can do nothing that two cannot
		m.emit(c, "send %d", i)
	}
	if p.state == Submitting && p.sent {
		c := w
		c.intents[i].outbox = false
		m.move(&c.intents[i], OnSent)
		m.emit(c, "transport accepts %d", i)
		if p.transfer == 1 && p.rail == railNone { // the rail's door refuses it: proof that it never gets in
			c := w
			c.intents[i].outbox, c.intents[i].transfer = false, 0
			m.move(&c.intents[i], OnRejection)
			m.emit(c, "transport refuses %d", i)
		}
	}
	if p.credits > 0 {
		c := w
		if m.move(&c.intents[i], OnSettlement) {
			c.intents[i].outbox = false
			m.emit(c, "statement shows %d", i)
		}
	}
	if (p.state == Submitting && p.sent) || p.state == Submitted { // an ambiguous transport, or the answer's deadline
		c := w
		c.intents[i].outbox = false
		m.silence(&c.intents[i])
		m.emit(c, "silence %d", i)
	}
	if (p.state == Submitted || p.state == Accepted || p.state == Unknown) && !p.enquiry {
		c := w
		c.intents[i].enquiry = true
		m.move(&c.intents[i], OnStillUncertain) // only from unknown
		m.emit(c, "ask %d", i)
	}
	if p.state == Unknown && w.closed && p.rail == railNone {
		c := w
		if m.move(&c.intents[i], OnRejection) {
			m.emit(c, "investigation after the window: never arrived %d", i)
		}
	}
	for _, a := range []answer{positive, settled, rejected, notFound} {
		if p.answers&a == 0 {
			continue
		}
		for _, again := range []bool{false, true} { // delivered, or delivered and still to come once more
			c := w
			if !again {
				c.intents[i].answers &^= a
			}
			m.answered(&c.intents[i], a)
			m.emit(c, "answer %s arrives %d", a, i)
		}
	}
}

func (m *model) silence(p *intent) {
	if m.silenceIsRefusal {
		m.move(p, OnRejection)
		return
	}
	m.move(p, OnSilence)
}

func (m *model) answered(p *intent, a answer) {
	if p.state == Submitting && a != notFound {
		m.move(p, OnSent)
		p.outbox = false
	}
	switch a {
	case positive:
		m.move(p, OnPositive)
	case settled:
		m.move(p, OnSettlement)
	case rejected:
		if !m.move(p, OnRejection) {
			m.move(p, OnLateRejection)
		}
	case notFound:
		if m.notFoundIsRefusal {
			m.move(p, OnRejection)
		}
	}
}

// recover is what the process does first after a crash.
func (m *model) recover(w world) {
	w.crashed = false
	for i := range w.intents {
		p := &w.intents[i]
		if p.state == Submitting && !m.resendAfterCrash {
			p.outbox = false
			m.silence(p)
		}
	}
	m.emit(w, "recover")
}

// network loses and doubles what is under way; that nothing forces a delivery makes everything late and out of order.
func (m *model) network(w world, i int) {
	p := w.intents[i]
	if p.transfer > 0 {
		c := w
		c.intents[i].transfer--
		m.emit(c, "transfer lost %d", i)
		if m.dedupes && p.transfer < 2 {
			c := w
			c.intents[i].transfer++
			m.emit(c, "transfer doubled %d", i)
		}
	}
	if p.enquiry {
		c := w
		c.intents[i].enquiry = false
		m.emit(c, "enquiry lost %d", i)
	}
	for _, a := range []answer{positive, settled, rejected, notFound} {
		if p.answers&a != 0 {
			c := w
			c.intents[i].answers &^= a
			m.emit(c, "answer %s lost %d", a, i)
		}
	}
}

// rail takes transfers and enquiries, decides, and answers.
func (m *model) rail(w world, i int) {
	p := w.intents[i]
	if p.transfer > 0 {
		c := w
		q := &c.intents[i]
		q.transfer--
		switch {
		case m.dedupes && p.rail != railNone:
			q.answers |= p.rail.status()
		case w.closed:
			if q.answers |= rejected; p.rail == railNone {
				q.rail = railRejected
			}
		default:
			q.rail = railPending
			q.answers |= positive
		}
		m.emit(c, "transfer arrives %d", i)
	}
	if p.rail == railPending {
		c := w
		q := &c.intents[i]
		q.rail, q.credits, q.answers = railExecuted, p.credits+1, p.answers|settled
		m.emit(c, "rail credits %d", i)
		c = w
		q = &c.intents[i]
		q.rail, q.answers = railRejected, p.answers|rejected
		m.emit(c, "rail rejects %d", i)
	}
	if p.enquiry {
		c := w
		q := &c.intents[i]
		q.enquiry = false
		q.answers |= p.rail.status()
		m.emit(c, "enquiry arrives %d", i)
	}
}

func (r railState) status() answer {
	return [...]answer{railNone: notFound, railPending: positive, railExecuted: settled, railRejected: rejected}[r]
}

func (a answer) String() string {
	return map[answer]string{positive: "positive", settled: "settled", rejected: "rejected", notFound: "not found"}[a]
}

// check returns what is wrong with a world, or "".
func check(w world) string {
	total := int8(0)
	for _, p := range w.intents {
		total += p.credits
		switch {
		case p.credits > 0 && p.state.MayRetry():
			return string(p.state) + " but credited"
		case p.state == Settled && p.credits == 0:
			return "settled but not credited"
		}
	}
	if total > 1 {
		return "double payment"
	}
	for _, p := range w.intents {
		if p.credits > 0 && !p.state.MayHaveLeft() {
			return "credited without a record of the submission"
		}
	}
	return ""
}

// forget drops what can no longer matter: a terminal state is never left, whatever is answered. Transfers under way stay, since they
// may still move money.
func (w *world) forget() {
	for i := range w.intents {
		if p := &w.intents[i]; p.state.Terminal() {
			p.outbox, p.sent, p.enquiry, p.answers = false, false, false, 0
		}
	}
}

// result of an exploration.
type result struct {
	worlds    int
	violation string
	trace     []string // how to get there
	used      map[[2]State]bool
	deadEnds  int // worlds from which the order can end in no way any more
}

// explore walks breadth first, so that a violation has the shortest trace.
func explore(d design, dedupes bool) result {
	start := world{}
	for i := range start.intents {
		start.intents[i].state = None
	}
	type arrival struct {
		from   int
		action string
	}
	ids := map[world]int{start: 0}
	worlds := []world{start}
	arrivals := []arrival{{-1, ""}}
	before := [][]int{nil} // predecessors of each world
	m := &model{design: d, dedupes: dedupes, used: map[[2]State]bool{}}
	for i := 0; i < len(worlds); i++ {
		if v := check(worlds[i]); v != "" {
			r := result{worlds: len(worlds), violation: v}
			for n := i; n > 0; n = arrivals[n].from {
				r.trace = append([]string{arrivals[n].action}, r.trace...)
			}
			return r
		}
		m.out = func(action string, w world) {
			w.forget()
			id, known := ids[w]
			if !known {
				id = len(worlds)
				ids[w] = id
				worlds, arrivals, before = append(worlds, w), append(arrivals, arrival{i, action}), append(before, nil)
			}
			before[id] = append(before[id], i)
		}
		m.successors(worlds[i])
	}
	// Liveness: from everywhere the first intent can still come to an end.
	alive := make([]bool, len(worlds))
	var queue []int
	for i, w := range worlds {
		if w.intents[0].state.Terminal() {
			alive[i] = true
			queue = append(queue, i)
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		for _, b := range before[queue[0]] {
			if !alive[b] {
				alive[b] = true
				queue = append(queue, b)
			}
		}
	}
	r := result{worlds: len(worlds), used: m.used}
	for _, a := range alive {
		if !a {
			r.deadEnds++
		}
	}
	return r
}

func TestModelOfTheTable(t *testing.T) {
	for _, dedupes := range []bool{true, false} {
		r := explore(design{}, dedupes)
		t.Logf("rail deduplicates %v: %d states", dedupes, r.worlds)
		if r.violation != "" {
			t.Fatalf("rail deduplicates %v: %s after\n%s", dedupes, r.violation, strings.Join(r.trace, "\n"))
		}
		if r.worlds < 5000 {
			t.Errorf("%d states: the model has become too small to mean anything", r.worlds)
		}
		if r.deadEnds > 0 {
			t.Errorf("%d states from which the payment can never end", r.deadEnds)
		}
		for _, row := range Table() {
			for _, from := range row.From {
				if row.Trigger != OnIncoming && !r.used[[2]State{from, row.To}] {
					t.Errorf("the model never goes from %q to %s", from, row.To)
				}
			}
		}
	}
}

func TestModelCatchesBadDesigns(t *testing.T) {
	for _, c := range []struct {
		name    string
		design  design
		dedupes []bool // rails on which the design is wrong
		want    string
	}{
		{"resend after a crash", design{resendAfterCrash: true}, []bool{false}, "double payment"},
		{"time-out is rejection", design{silenceIsRefusal: true}, []bool{true, false}, "rejected but credited"},
		{"not found is rejection", design{notFoundIsRefusal: true}, []bool{true, false}, "rejected but credited"},
		{"withdraw after submission", design{withdrawAnyTime: true}, []bool{true, false}, "but credited"},
		{"send before journal", design{sendBeforeJournal: true}, []bool{true, false}, "credited without a record"},
	} {
		for _, dedupes := range c.dedupes {
			r := explore(c.design, dedupes)
			if !strings.Contains(r.violation, c.want) {
				t.Errorf("%s, rail deduplicates %v: found %q in %d states, want %q", c.name, dedupes, r.violation, r.worlds, c.want)
				continue
			}
			t.Logf("%s, rail deduplicates %v: %s in %d steps, %d states: %s", c.name, dedupes, r.violation, len(r.trace), r.worlds, strings.Join(r.trace, " → "))
		}
	}
	if r := explore(design{resendAfterCrash: true}, true); r.violation != "" {
		t.Errorf("resending to a rail that deduplicates: %s after %v", r.violation, r.trace)
	} else {
		t.Logf("resend after a crash, rail deduplicates true: no violation in %d states", r.worlds)
	}
}
