package iso20022

import (
	"errors"
	"io"
)

// stream reads, and validates, a document that may be too long to hold. It keeps a window on it: the start tags of the elements it has
// entered (the spine), and what has been read of the element in hand. Elements directly inside the spine are scanned whole, validated,
// handed over and forgotten.
//
// The caller names the elements to enter. Without, everything is taken whole that fits the window, and what does not fit is entered.
// Scanner and validator are those of a document in memory.
type stream struct {
	scanner
	t      tree
	v      validator
	r      io.Reader
	err    error // of r
	eof    bool
	enter  func(t *tree, i uint32) bool // nil: enter what does not fit
	root   frame
	spine  []frame // nodes[i] is the element of spine[i]
	kept   int     // octets of start tags of the spine at the front of src
	window int     // octets that may be held before something is entered
	utmost int     // that may be held at all
	read   int64   // octets read
	step   step
}

// step is what the scanner reads next.
type step uint8

const (
	stepProlog step = iota
	stepMarkup
	stepText
	stepEpilog
	stepDone
)

// event is what next came to.
type event uint8

const (
	eventFault event = iota // the document is not well-formed, could not be read, or has too many faults
	eventBegin              // an element was entered
	eventPart               // an element inside the spine is complete
	eventEnd                // the element entered last has ended
	eventDone               // so has the document
)

const (
	windowBytes = 256 << 10
	utmostBytes = 16 << 20 // a value in base64 has at most 13.4 MiB
	readBytes   = 64 << 10

	partElements = utmostBytes / 64 // that may be held at all, where the caller says what is entered; few have less than 64 octets with their tags
)

// newStream returns a stream of r. It stops after l.Faults faults of the schema.
func newStream(r io.Reader, l Limits, enter func(t *tree, i uint32) bool) *stream {
	s := &stream{r: r, enter: enter, window: windowBytes, utmost: utmostBytes, root: frame{mode: modeRoot}}
	s.t.reset(nil)
	s.scanner = scanner{tree: &s.t, limits: l.withDefaults()}
	s.v = validator{tables: &isoTables, tree: &s.t, most: s.limits.Faults}
	return s
}

// faults returns what is wrong with what has been read, and the error of the reader. A document that is not well-formed has one fault
// more than the validator found in it before.
func (s *stream) faults() ([]Fault, error) {
	list := s.v.faults
	if s.fault != nil {
		list = append(list, *s.fault)
	}
	return inOrder(list), s.err
}

// next reads on. The element of eventBegin, eventPart and eventEnd is s.t.nodes[i]: a part with all it holds, the others alone. It is
// there until the next call. After eventFault and eventDone there is nothing more.
func (s *stream) next() (e event, i uint32) {
	s.forget()
	for {
		ok := false
		switch s.step {
		case stepProlog:
			if ok = s.try((*scanner).prolog); ok {
				s.step = stepMarkup
			}
		case stepText:
			if ok = s.try((*scanner).text); ok {
				s.step = stepMarkup
			}
		case stepMarkup:
			ok = s.try((*scanner).markup)
			if ok && s.enter != nil && len(s.t.nodes)-len(s.spine) > partElements {
				ok = s.fail(s.pos, "xml.elements", "an element holds more others than can be held at once")
			}
			if ok {
				if s.step = stepText; len(s.open) == 0 {
					s.step = stepEpilog
				}
				if e, i := s.arrived(); e != eventFault {
					if s.v.done() {
						return eventFault, 0
					}
					return e, i
				}
			}
		case stepEpilog:
			if ok = s.try((*scanner).epilog); ok {
				if s.eof {
					s.step = stepDone
				} else {
					ok = s.fill()
				}
			}
		default:
			return eventDone, 0
		}
		if !ok {
			return eventFault, 0
		}
	}
}

// arrived says what the markup just read has come to, if anything: eventFault is nothing yet.
func (s *stream) arrived() (event, uint32) {
	depth := len(s.spine)
	i := uint32(depth)
	switch {
	case len(s.open) < depth:
		i--
		s.v.leave(&s.spine[i], i)
		s.spine = s.spine[:i]
		if s.kept > 0 && len(s.t.settled) > depth-1 {
			s.t.settled = s.t.settled[:i]
			s.kept = 0
			if i > 0 {
				s.kept = int(s.t.nodes[i-1].textAt)
			}
		}
		if i == 0 {
			s.v.leave(&s.root, 0)
		}
		return eventEnd, i
	case len(s.open) == depth && len(s.t.nodes) > depth:
		s.v.element(s.parent(), max(i, 1)-1, i)
		if i == 0 {
			s.v.leave(&s.root, 0)
		}
		return eventPart, i
	case len(s.open) == depth+1 && len(s.t.nodes) == depth+1 && s.enter != nil && s.t.nodes[i].skip == 0 && s.enter(&s.t, i):
		s.push()
		return eventBegin, i
	}
	return eventFault, 0
}

func (s *stream) parent() *frame {
	if n := len(s.spine); n > 0 {
		return &s.spine[n-1]
	}
	return &s.root
}

// push takes the element in hand into the spine.
func (s *stream) push() {
	i := uint32(len(s.spine))
	var f frame
	s.v.enter(&f, s.parent(), max(i, 1)-1, i)
	s.spine = append(s.spine, f)
}

// forget drops the part that has been handed over, or the element that has ended.
func (s *stream) forget() {
	n := len(s.spine)
	if len(s.t.nodes) <= n {
		return
	}
	s.forgotten += len(s.t.nodes) - n
	s.t.attrs = s.t.attrs[:s.t.nodes[n].attrAt]
	s.t.nodes = s.t.nodes[:n]
	b := len(s.t.bindings)
	for b > 2 && s.t.bindings[b-1].node >= uint32(n) {
		b--
	}
	s.t.bindings = s.t.bindings[:b]
}

// lookahead is how far behind its position the scanner looks at most before it decides.
const lookahead = 64

// try runs one step of the scanner, again with more of the document as long as it fails for want of it.
func (s *stream) try(step func(*scanner) bool) bool {
	for {
		pos, nodes, attrs, bindings, scope, open := s.pos, len(s.t.nodes), len(s.t.attrs), len(s.t.bindings), len(s.t.scope), len(s.t.open)
		if step(&s.scanner) {
			return true
		}
		if s.eof || s.pos+lookahead < len(s.t.src) {
			return false
		}
		s.pos, s.fault = pos, nil
		s.t.nodes, s.t.attrs, s.t.bindings = s.t.nodes[:nodes], s.t.attrs[:attrs], s.t.bindings[:bindings]
		s.t.scope, s.t.open = s.t.scope[:scope], s.t.open[:open]
		// Twice as much as was not enough, so that a long text costs no more than four times its length.
		for enough := max(1, 2*(len(s.t.src)-s.pos)); !s.eof && len(s.t.src)-s.pos < enough; {
			if !s.fill() {
				return false
			}
		}
	}
}

var errTooFew = errors.New("iso20022: the reader gives neither octets nor an error")

// fill reads more of the document into the window.
func (s *stream) fill() bool {
	s.compact()
	if len(s.t.src)-s.kept >= s.window && s.enter == nil && s.spill() {
		s.compact()
	}
	n := len(s.t.src)
	if cap(s.t.src)-n < readBytes/2 {
		if n-s.kept >= s.utmost {
			return s.fail(s.pos, "xml.size", "an element is longer than can be held")
		}
		s.t.src = append(make([]byte, 0, min(max(2*cap(s.t.src), readBytes), s.kept+s.utmost+readBytes)), s.t.src...)
	}
	for range 100 {
		m, err := s.r.Read(s.t.src[n:min(cap(s.t.src), n+readBytes)])
		s.t.src = s.t.src[:n+m]
		if s.read += int64(m); s.read > s.limits.SizeBytes {
			return s.fail(n, "xml.size", "more octets than the limit")
		}
		if s.eof = err == io.EOF; err != nil && !s.eof {
			s.err = err
			return false
		}
		if m > 0 || s.eof {
			return true
		}
	}
	s.err = errTooFew
	return false
}

// compact moves what is still needed to the front of the window.
func (s *stream) compact() {
	t, depth := &s.t, len(s.spine)
	keep := s.pos
	if len(t.nodes) > depth {
		keep = int(t.nodes[depth].start)
	}
	if keep == len(t.src) && keep > t.from.at && t.src[keep-1] == '\r' {
		keep-- // a line feed may follow
	}
	first := len(t.settled)
	for i := first; i < depth; i++ {
		line, col := t.position(int(t.nodes[i].start))
		t.settled = append(t.settled, place{line: line, col: col})
	}
	t.from = t.from.advance(t.src, keep)
	for i := first; i < depth; i++ {
		n := &t.nodes[i]
		length := int(n.textAt - n.start)
		copy(t.src[s.kept:], t.src[n.start:n.textAt])
		t.shift(uint32(i), uint32(i+1), n.start-uint32(s.kept))
		t.settled[i].at = s.kept
		s.kept += length
	}
	delta := uint32(keep - s.kept)
	if delta > 0 { // else a long element is in hand, which would be copied onto itself at each reading
		copy(t.src[s.kept:], t.src[keep:])
	}
	t.src = t.src[:len(t.src)-int(delta)]
	t.shift(uint32(depth), uint32(len(t.nodes)), delta)
	s.pos -= int(delta)
	t.from.at = s.kept
	if delta > 0 || first < depth || t.last.at < t.from.at {
		t.last = t.from
	}
}

// shift takes delta off the offsets of elements i to j, whose bytes have moved.
func (t *tree) shift(i, j, delta uint32) {
	if delta == 0 || i >= j {
		return
	}
	attrs := uint32(len(t.attrs))
	if int(j) < len(t.nodes) {
		attrs = t.nodes[j].attrAt
	}
	for k := t.nodes[i].attrAt; k < attrs; k++ {
		a := &t.attrs[k]
		a.nameAt, a.nameEnd, a.valueAt, a.valueEnd = a.nameAt-delta, a.nameEnd-delta, a.valueAt-delta, a.valueEnd-delta
	}
	for k := len(t.bindings) - 1; k > 1 && t.bindings[k].node >= i; k-- {
		if b := &t.bindings[k]; b.node < j && b.prefixEnd > 0 {
			b.prefixAt, b.prefixEnd = b.prefixAt-delta, b.prefixEnd-delta
		}
	}
	for ; i < j; i++ {
		n := &t.nodes[i]
		n.start, n.nameAt, n.nameEnd, n.textAt, n.textEnd = n.start-delta, n.nameAt-delta, n.nameEnd-delta, n.textAt-delta, n.textEnd-delta
		n.end -= delta
	}
}

// spill takes elements in hand into the spine, from the outside, until something they hold is complete and can be forgotten.
func (s *stream) spill() bool {
	for len(s.open) > len(s.spine) {
		i := uint32(len(s.spine))
		if len(s.t.nodes) == int(i)+1 {
			return false // it holds text alone
		}
		s.push()
		f := &s.spine[i]
		c := i + 1
		for ; c < uint32(len(s.t.nodes)) && s.t.nodes[c].skip > 0; c = s.t.next(c) {
			s.v.element(f, i, c)
		}
		if c > i+1 {
			s.dropBetween(i+1, c)
			return true
		}
	}
	return false
}

// dropBetween takes elements i to j, which are complete, out of the tree; those after them are still open, or inside such.
func (s *stream) dropBetween(i, j uint32) {
	t, gone := &s.t, j-i
	s.forgotten += int(gone)
	fromAttr, toAttr := t.nodes[i].attrAt, uint32(len(t.attrs))
	if int(j) < len(t.nodes) {
		toAttr = t.nodes[j].attrAt
	}
	from := len(t.bindings)
	for from > 2 && t.bindings[from-1].node >= i {
		from--
	}
	to := from
	for to < len(t.bindings) && t.bindings[to].node < j {
		to++
	}
	t.attrs = append(t.attrs[:fromAttr], t.attrs[toAttr:]...)
	t.nodes = append(t.nodes[:i], t.nodes[j:]...)
	t.bindings = append(t.bindings[:from], t.bindings[to:]...)
	fewer := func(b *uint16) {
		if int(*b) >= to {
			*b -= uint16(to - from)
		}
	}
	for k := range t.attrs[fromAttr:] {
		fewer(&t.attrs[fromAttr:][k].binding)
	}
	for k := range t.bindings[from:] {
		t.bindings[from:][k].node -= gone
	}
	for k := range t.scope {
		fewer(&t.scope[k])
	}
	for k := range t.nodes[i:] {
		n := &t.nodes[i:][k]
		n.attrAt -= toAttr - fromAttr
		fewer(&n.binding)
		if n.parent >= j {
			n.parent -= gone
		}
		if n.skip > 0 {
			n.skip -= gone
		}
	}
	for k, o := range t.open {
		if o >= j {
			t.open[k] = o - gone
		}
	}
}

// Report is what Check found out about a document.
type Report struct {
	Messages []string // definitions of the messages found, in their order: "head.001.001.02", "pacs.008.001.08"
	Faults   []Fault  // none if everything is valid
	Octets   int64    // read
}

// Message returns the definition of the first message found that is no header, else of the first header, else "".
func (r *Report) Message() string {
	for _, m := range r.Messages {
		if len(m) < 5 || m[:5] != "head." {
			return m
		}
	}
	if len(r.Messages) > 0 {
		return r.Messages[0]
	}
	return ""
}

// FileLimits are bounds for files of any length, to be read by Check: they stop what no reader of XML would take.
var FileLimits = Limits{SizeBytes: 1 << 40, Depth: 256, Elements: 1 << 30, Attributes: 64, Namespaces: 65_000}

// Check validates a document of any length against the schema of its namespace, reading it once, in at most about 40 MiB of memory
// and mostly less than 5. It reports all faults, up to l.Faults.
//
// If the root element belongs to no schema it is taken for a wrapper: every AppHdr and Document in it is validated alone, as are
// elements of the wrapper that stand for one and hold what it would (TCH RTP); the rest of the wrapper is not looked at. A document
// without any message is at fault by the rule schema.unknown.
//
// The error is the reader's, and the report then says how far it came.
func (l Limits) Check(r io.Reader) (*Report, error) {
	s := newStream(r, l, nil)
	s.v.wrapped = true
	return s.report()
}

// report reads to the end.
func (s *stream) report() (*Report, error) {
	for {
		if e, _ := s.next(); e == eventDone || e == eventFault {
			break
		}
	}
	faults, err := s.faults()
	report := &Report{Faults: faults, Octets: s.read}
	for i := range s.t.nodes { // of what broke off before it was validated
		if d := isoTables.schema(s.t.uri(uint32(i))); d != nil && len(s.v.found) == 0 {
			s.v.found = append(s.v.found, d)
		}
	}
	for _, d := range s.v.found {
		report.Messages = append(report.Messages, d.namespace[len(namespacePrefix):])
	}
	return report, err
}
