package isotool

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/parleypay/parley/payments/iso20022"
)

// Bounds of diff: a message is compared whole in memory. Statements beyond them are refused.
var diffLimits = iso20022.Limits{SizeBytes: 32 << 20, Depth: 64, Elements: 2_000_000, Attributes: 64, Namespaces: 4096}

const mostChanges = 1000

// difference is what two messages do not have in common by meaning.
type difference struct {
	A       diffSide `json:"a"`
	B       diffSide `json:"b"`
	Equal   bool     `json:"equal"`
	Changes []change `json:"changes"`
	// Apart is what one message says and the version of the other has no place for: it cannot be compared.
	Apart   []change `json:"apart,omitempty"`
	Notes   []change `json:"notes,omitempty"` // what is written otherwise and means the same
	Stopped bool     `json:"stopped,omitempty"`

	versions bool // the messages are of two versions
}

type diffSide struct {
	File    string `json:"file"`
	Message string `json:"message"`
}

// change is one difference. Old or New is nil where there is nothing on that side.
type change struct {
	Part string  `json:"part"` // "wrapper", "header" or "document"
	Path string  `json:"path"`
	What string  `json:"what"` // "changed", "added", "removed", "order", "zone", "message"
	Old  *string `json:"old"`
	New  *string `json:"new"`
	// Inside are the values of what was added or removed, if that is more than one.
	Inside []leafValue `json:"inside,omitempty"`
}

type leafValue struct {
	Path  string `json:"path"`
	Value string `json:"value"`
}

// compareMessages compares two documents.
func compareMessages(a, b *document) *difference {
	d := &difference{Changes: []change{}}
	c := &comparison{d: d}
	for k, side := range []*document{a, b} {
		c.opaque[k] = make(map[iso20022.Element]bool)
		for _, m := range side.messages {
			if !m.header.IsZero() {
				c.opaque[k][m.header] = true
			}
			for _, e := range m.body {
				c.opaque[k][e] = true
			}
			if !m.top.IsZero() && m.top.Name() == "Document" {
				c.opaque[k][m.top] = true
			}
		}
	}
	c.part = "wrapper"
	ra, rb := a.tree.Root(), b.tree.Root()
	switch {
	case a.wrapped && b.wrapped && (ra.Name() != rb.Name() || ra.Namespace() != rb.Namespace()):
		c.add(change{Path: "", What: "changed", Old: ptr(expanded(ra)), New: ptr(expanded(rb))})
	case a.wrapped && b.wrapped:
		c.element(ra, rb, "/"+ra.Name(), ra.Namespace(), rb.Namespace())
	case a.wrapped:
		c.add(change{What: "removed", Old: ptr(expanded(ra))})
	case b.wrapped:
		c.add(change{What: "added", New: ptr(expanded(rb))})
	}
	for i := range max(len(a.messages), len(b.messages)) {
		at := "/Document"
		if i > 0 {
			at = fmt.Sprintf("/Document[%d]", i+1)
		}
		c.part = "document"
		switch {
		case i >= len(a.messages):
			c.add(change{Path: at, What: "added", New: ptr(b.messages[i].def)})
			continue
		case i >= len(b.messages):
			c.add(change{Path: at, What: "removed", Old: ptr(a.messages[i].def)})
			continue
		}
		c.message(&a.messages[i], &b.messages[i], at)
	}
	d.Equal = len(d.Changes) == 0
	return d
}

func ptr[T any](v T) *T { return &v }

func expanded(e iso20022.Element) string {
	if e.Namespace() == "" {
		return e.Name()
	}
	return e.Name() + " of " + e.Namespace()
}

// comparison is one run of compareMessages.
type comparison struct {
	d        *difference
	part     string
	opaque   [2]map[iso20022.Element]bool // what is compared as a part of its own
	versions bool                         // of the part in hand differ
}

func (c *comparison) add(x change) {
	x.Part = c.part
	if len(c.d.Changes) >= mostChanges {
		c.d.Stopped = true
		return
	}
	c.d.Changes = append(c.d.Changes, x)
}

func (c *comparison) note(list *[]change, x change) {
	if x.Part = c.part; len(*list) < mostChanges {
		*list = append(*list, x)
	}
}

// message compares two messages and their headers.
func (c *comparison) message(a, b *message, at string) {
	c.part = "header"
	switch {
	case a.header.IsZero() && b.header.IsZero():
	case a.header.IsZero():
		c.present(b.header, "/AppHdr", false)
	case b.header.IsZero():
		c.present(a.header, "/AppHdr", true)
	default:
		x, y := headerNamespace(a.header), headerNamespace(b.header)
		c.versions = x != y && definition(x) != "" && definition(y) != ""
		if x != y && !c.versions {
			c.add(change{Path: "/AppHdr", What: "changed", Old: ptr(x), New: ptr(y)})
		}
		c.children(slices.Collect(a.header.Children()), slices.Collect(b.header.Children()), a.header, b.header, "/AppHdr", x, y)
		c.versions = false
	}
	c.part = "document"
	if a.name() != b.name() || a.def == "" && len(a.body)*len(b.body) > 0 && a.body[0].Namespace() != b.body[0].Namespace() {
		c.add(change{Path: at, What: "message", Old: ptr(a.def), New: ptr(b.def)})
		return
	}
	c.versions = a.def != b.def
	c.d.versions = c.d.versions || c.versions
	var x, y string
	if len(a.body) > 0 {
		x = a.body[0].Namespace()
	}
	if len(b.body) > 0 {
		y = b.body[0].Namespace()
	}
	c.children(a.body, b.body, a.top, b.top, at, x, y)
	c.versions = false
}

func headerNamespace(e iso20022.Element) string {
	for child := range e.Children() {
		return child.Namespace()
	}
	return e.Namespace()
}

// element compares two elements of one name. na and nb are the namespaces that count as the same.
func (c *comparison) element(a, b iso20022.Element, path, na, nb string) {
	c.attributes(a, b, path)
	switch {
	case a.IsLeaf() && b.IsLeaf():
		c.leaf(a, b, path)
	case a.IsLeaf() != b.IsLeaf():
		x := change{Path: path, What: "changed", Old: ptr(shortly(a)), New: ptr(shortly(b))}
		if c.versions {
			x.Part = c.part
			c.note(&c.d.Apart, x)
			return
		}
		c.add(x)
	default:
		if x, y := strings.TrimSpace(a.Text()), strings.TrimSpace(b.Text()); x != y {
			c.add(change{Path: path, What: "changed", Old: &x, New: &y})
		}
		c.children(slices.Collect(a.Children()), slices.Collect(b.Children()), a, b, path, na, nb)
	}
}

// leaf compares two values; an amount together with its currency.
func (c *comparison) leaf(a, b iso20022.Element, path string) {
	base := a.Base()
	if base != b.Base() {
		base = ""
	}
	ca, oka := a.Attr("Ccy")
	cb, okb := b.Attr("Ccy")
	x, y := valueOf(a), valueOf(b)
	switch sameValue(base, a.Text(), b.Text()) {
	case different:
		c.add(change{Path: path, What: "changed", Old: &x, New: &y})
	case sameMoment:
		c.note(&c.d.Notes, change{Path: path, What: "zone", Old: &x, New: &y})
	default:
		if oka && okb && ca != cb {
			c.add(change{Path: path, What: "changed", Old: &x, New: &y})
		}
	}
}

// valueOf is the text of a leaf, with its currency in front.
func valueOf(e iso20022.Element) string {
	if ccy, ok := e.Attr("Ccy"); ok {
		return ccy + " " + e.Text()
	}
	return e.Text()
}

// shortly is a leaf's value, or how many values stand in an element.
func shortly(e iso20022.Element) string {
	if e.IsLeaf() {
		return valueOf(e)
	}
	var inside []leafValue
	leaves(e, "", &inside)
	return plural(len(inside), "value")
}

const xsi = "http://www.w3.org/2001/XMLSchema-instance"

// attributes compares attributes in any order, but the place of a schema, and a currency, which leaf compares.
func (c *comparison) attributes(a, b iso20022.Element, path string) {
	list := func(e iso20022.Element) map[string]string {
		m := make(map[string]string)
		for _, x := range e.Attributes() {
			if x.Namespace == xsi && strings.HasSuffix(strings.ToLower(x.Name), "schemalocation") {
				continue
			}
			name := x.Name
			if x.Namespace != "" {
				name = "{" + x.Namespace + "}" + name
			}
			m[name] = x.Value
		}
		return m
	}
	x, y := list(a), list(b)
	var names []string
	for name := range x {
		names = append(names, name)
	}
	for name := range y {
		if _, ok := x[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		v, oka := x[name]
		w, okb := y[name]
		at := path + "/@" + name
		switch {
		case oka && okb && v != w && name != "Ccy":
			c.add(change{Path: at, What: "changed", Old: &v, New: &w})
		case oka && !okb:
			c.add(change{Path: at, What: "removed", Old: &v})
		case okb && !oka:
			c.add(change{Path: at, What: "added", New: &w})
		}
	}
}

// children compares what stands in two elements: elements of one name are matched, see match, and the names must come in one order.
func (c *comparison) children(as, bs []iso20022.Element, a, b iso20022.Element, path, na, nb string) {
	if len(as) == 0 && len(bs) == 0 {
		return
	}
	key := func(e iso20022.Element, own string) string {
		if e.Namespace() == own {
			return e.Name()
		}
		return "{" + e.Namespace() + "}" + e.Name()
	}
	group := func(list []iso20022.Element, own string) (names []string, by map[string][]iso20022.Element) {
		by = make(map[string][]iso20022.Element)
		for _, e := range list {
			k := key(e, own)
			if by[k] == nil {
				names = append(names, k)
			}
			by[k] = append(by[k], e)
		}
		return names, by
	}
	namesA, byA := group(as, na)
	namesB, byB := group(bs, nb)
	names := slices.Clone(namesA)
	for _, n := range namesB {
		if byA[n] == nil {
			names = append(names, n)
		}
	}
	c.order(as, bs, byA, byB, path, func(e iso20022.Element, first bool) string {
		if first {
			return key(e, na)
		}
		return key(e, nb)
	})
	for _, name := range names {
		local := name[strings.LastIndexByte(name, '}')+1:]
		for _, p := range match(byA[name], byB[name]) {
			at := path + "/" + local + p.selector
			switch {
			case p.b.IsZero():
				c.lonely(p.a, b, at, local, true)
			case p.a.IsZero():
				c.lonely(p.b, a, at, local, false)
			case c.opaque[0][p.a] && c.opaque[1][p.b] && c.part == "wrapper":
			default:
				sa, sb := na, nb
				if p.a.Namespace() != na {
					sa, sb = p.a.Namespace(), p.b.Namespace()
				}
				c.element(p.a, p.b, at, sa, sb)
			}
		}
	}
}

// order says when elements of the same names stand in another order.
func (c *comparison) order(as, bs []iso20022.Element, byA, byB map[string][]iso20022.Element, path string, key func(iso20022.Element, bool) string) {
	sequence := func(list []iso20022.Element, other map[string][]iso20022.Element, first bool) (s []string) {
		for _, e := range list {
			k := key(e, first)
			if len(other[k]) > 0 && (len(s) == 0 || s[len(s)-1] != k) {
				s = append(s, k)
			}
		}
		return s
	}
	if x, y := sequence(as, byB, true), sequence(bs, byA, false); !slices.Equal(x, y) {
		p, q := strings.Join(x, " "), strings.Join(y, " ")
		c.add(change{Path: path, What: "order", Old: &p, New: &q})
	}
}

// lonely reports an element that stands on one side only. Where the other's version has no place for it, nothing is known about it there.
func (c *comparison) lonely(e, other iso20022.Element, path, name string, removed bool) {
	if c.opaque[0][e] || c.opaque[1][e] {
		if c.part == "wrapper" {
			return
		}
	}
	if c.versions && !other.IsZero() && other.Type() != "" && !other.Allows(name) {
		x := describe(e, path, removed)
		c.note(&c.d.Apart, x)
		return
	}
	c.present(e, path, removed)
}

func (c *comparison) present(e iso20022.Element, path string, removed bool) {
	c.add(describe(e, path, removed))
}

func describe(e iso20022.Element, path string, removed bool) change {
	x := change{Path: path, What: "added"}
	var inside []leafValue
	leaves(e, path, &inside)
	text := plural(len(inside), "value")
	if len(inside) == 1 {
		x.Path, text = inside[0].Path, inside[0].Value
	} else {
		x.Inside = inside
	}
	if removed {
		x.What, x.Old = "removed", &text
	} else {
		x.New = &text
	}
	return x
}

// leaves lists the values in e.
func leaves(e iso20022.Element, path string, list *[]leafValue) {
	if e.IsLeaf() {
		*list = append(*list, leafValue{path, valueOf(e)})
		return
	}
	for c := range e.Children() {
		leaves(c, path+"/"+c.Name(), list)
	}
}

// pair is two elements that belong together, or one that has no partner.
type pair struct {
	a, b     iso20022.Element
	selector string // tells it from others of its name: "[EndToEndId E2E-1]", "[2]" or ""
}

// matchBy are the paths of what names a repeated element, the surest first.
var matchBy = func() (paths [][]string) {
	for _, s := range strings.Fields(`UETR PmtId/UETR OrgnlUETR Refs/UETR PmtId/TxId OrgnlTxId Refs/TxId RtrId CxlId PmtId/EndToEndId OrgnlEndToEndId Refs/EndToEndId
		PmtId/InstrId OrgnlInstrId Refs/InstrId StsId NtryRef AcctSvcrRef Refs/AcctSvcrRef PmtInfId OrgnlPmtInfId OrgnlMsgId RltdRef/Ref Id Tp/CdOrPrtry/Cd`) {
		paths = append(paths, strings.Split(s, "/"))
	}
	return paths
}()

// match pairs elements of one name: one with one; of several, those with the same id; those without any id by their position.
func match(as, bs []iso20022.Element) (pairs []pair) {
	if len(as) <= 1 && len(bs) <= 1 {
		var p pair
		if len(as) == 1 {
			p.a = as[0]
		}
		if len(bs) == 1 {
			p.b = bs[0]
		}
		return []pair{p}
	}
	partner := make(map[iso20022.Element]iso20022.Element)
	taken := make(map[iso20022.Element]bool)
	label := make(map[iso20022.Element]string)
	for _, path := range matchBy {
		ka, kb := ids(as, path), ids(bs, path)
		for _, side := range []map[string]iso20022.Element{ka, kb} {
			for id, e := range side {
				if label[e] == "" {
					label[e] = "[" + path[len(path)-1] + " " + id + "]"
				}
			}
		}
		for id, e := range ka {
			f, ok := kb[id]
			if _, done := partner[e]; ok && !done && !taken[f] {
				partner[e], taken[f] = f, true
				label[e] = "[" + path[len(path)-1] + " " + id + "]"
			}
		}
	}
	var rest []iso20022.Element // of b, without an id
	for _, f := range bs {
		if !taken[f] && label[f] == "" {
			rest = append(rest, f)
		}
	}
	for i, e := range as {
		p := pair{a: e, b: partner[e], selector: label[e]}
		if p.b.IsZero() && p.selector == "" && len(rest) > 0 {
			p.b, rest = rest[0], rest[1:]
			taken[p.b] = true
		}
		if p.selector == "" {
			p.selector = fmt.Sprintf("[%d]", i+1)
		}
		pairs = append(pairs, p)
	}
	for i, f := range bs {
		if !taken[f] {
			p := pair{b: f, selector: label[f]}
			if p.selector == "" {
				p.selector = fmt.Sprintf("[%d]", i+1)
			}
			pairs = append(pairs, p)
		}
	}
	return pairs
}

// ids returns the elements by the text at a path, as far as only one has it.
func ids(list []iso20022.Element, path []string) map[string]iso20022.Element {
	found, twice := make(map[string]iso20022.Element), make(map[string]bool)
	for _, e := range list {
		id := e.Value(path...)
		if id == "" || id == "NOTPROVIDED" || len(id) > 100 {
			continue
		}
		if _, ok := found[id]; ok {
			twice[id] = true
		}
		found[id] = e
	}
	for id := range twice {
		delete(found, id)
	}
	return found
}

// diff is the subcommand.
func diff(args []string, in io.Reader, out, errs io.Writer) int {
	fs := flags("diff")
	asJSON := fs.Bool("json", false, "one JSON object")
	part := fs.String("part", "", "compare only this `part`: document, header or wrapper")
	rest, status := parse(fs, args, out, errs)
	switch {
	case status >= 0:
		return status
	case len(rest) != 2 || rest[0] == "-" && rest[1] == "-":
		fs.Usage()
		return exitUnreadable
	case *part != "" && *part != "document" && *part != "header" && *part != "wrapper":
		fmt.Fprintf(errs, "parley iso diff: --part is document, header or wrapper\n")
		return exitUnreadable
	}
	var sides []*document
	src := &inputs{in: in, errs: newScreen(errs), name: "diff"}
	src.fail = func(name string, err error) {
		fmt.Fprintf(errs, "parley iso diff: %s: %s\n", visible(name), visible(reason(err)))
	}
	src.visit = func(f *file) {
		d, err := readDocument(f)
		if err != nil {
			src.fail(f.Name, err)
			return
		}
		sides = append(sides, d)
	}
	for _, name := range rest {
		src.each([]string{name})
	}
	if len(sides) != 2 {
		if len(sides) > 2 {
			fmt.Fprintln(errs, "parley iso diff: two messages are compared; a folder holds more")
		}
		return exitUnreadable
	}
	d := compareMessages(sides[0], sides[1])
	for k, side := range []*diffSide{&d.A, &d.B} {
		side.File, side.Message = rest[k], sides[k].messages[0].def
	}
	if *part != "" {
		keep := func(list []change) []change {
			return slices.DeleteFunc(list, func(x change) bool { return x.Part != *part })
		}
		d.Changes, d.Apart, d.Notes = keep(d.Changes), keep(d.Apart), keep(d.Notes)
		d.Equal = len(d.Changes) == 0
	}
	s := newScreen(out)
	if *asJSON {
		p := &verdictPrinter{s: s}
		if p.line(d); p.err != nil {
			fmt.Fprintf(errs, "parley iso diff: %v\n", p.err)
			return exitUnreadable
		}
	} else {
		d.print(s)
	}
	if d.Equal {
		return exitOK
	}
	return exitNo
}

// readDocument reads a file that holds at least one message.
func readDocument(f *file) (*document, error) {
	b, err := f.whole(diffLimits.SizeBytes)
	if err != nil {
		return nil, err
	}
	tree, err := diffLimits.Inspect(b)
	if err != nil {
		return nil, err
	}
	d := takeApart(tree)
	if len(d.messages) == 0 {
		return nil, fmt.Errorf("no message of ISO 20022 in it")
	}
	return d, nil
}

// print writes a difference for people.
func (d *difference) print(s *screen) {
	t := table{widest: 70}
	t.row(styled(red, "-"), text(visible(d.A.File)), styled(dim, visible(d.A.Message)))
	t.row(styled(green, "+"), text(visible(d.B.File)), styled(dim, visible(d.B.Message)))
	t.print(s)
	if d.versions {
		s.printf("\nTwo versions of one message: what both can say is compared.\n")
	}
	for _, part := range []string{"document", "header", "wrapper"} {
		printChanges(s, d.Changes, part, part)
	}
	if d.Stopped {
		s.printf("\nand more: the rest is not shown after %d differences\n", mostChanges)
	}
	if len(d.Apart) > 0 {
		s.printf("\n%s\n", s.paint(bold, "said by one, without a place in the other's version"))
		for _, x := range d.Apart {
			printChange(s, x)
		}
	}
	if len(d.Notes) > 0 {
		s.printf("\n%s\n", s.paint(bold, "the same moment, in another zone"))
		for _, x := range d.Notes {
			printChange(s, x)
		}
	}
	if d.Equal {
		s.printf("\n%s\n", s.paint(green, "equal: the two mean the same"))
	}
}

func printChanges(s *screen, list []change, part, title string) {
	n := 0
	for _, x := range list {
		if x.Part == part {
			n++
		}
	}
	if n == 0 {
		return
	}
	s.printf("\n%s\n", s.paint(bold, title+": "+plural(n, "difference")))
	for _, x := range list {
		if x.Part == part {
			printChange(s, x)
		}
	}
}

func printChange(s *screen, x change) {
	path := strings.TrimPrefix(strings.TrimPrefix(x.Path, "/Document"), "/")
	if path == "" {
		path = x.Part
	}
	if x.What == "order" {
		path += ", the order of elements"
	}
	for i, line := range wrap(visible(clip(path, 400)), s.width-4) {
		s.printf("  %s%s\n", strings.Repeat("  ", min(i, 1)), line)
	}
	side := func(mark string, st style, v *string) {
		if v == nil {
			return
		}
		for i, line := range wrap(visible(clip(*v, 1000)), s.width-8) {
			if i > 0 {
				mark = " "
			}
			s.printf("    %s\n", s.paint(st, mark+" "+line))
		}
		for i, leaf := range x.Inside {
			if i == 6 && len(x.Inside) > 7 {
				s.printf("        … and %d more\n", len(x.Inside)-i)
				break
			}
			s.printf("        %s\n", clip(visible(strings.TrimPrefix(strings.TrimPrefix(leaf.Path, x.Path), "/")+"  "+leaf.Value), s.width-8))
		}
	}
	side("-", red, x.Old)
	side("+", green, x.New)
}
