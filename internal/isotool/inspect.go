package isotool

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/parleypay/parley/payments/iso20022"
)

// inspect is the subcommand inspect: first what a person wants to know of a message, then all that stands in it. It shows everything,
// the names and accounts too: the file is the user's own.
func inspect(args []string, in io.Reader, out, errs io.Writer) int {
	fs := flags("inspect")
	short := fs.Bool("short", false, "only what matters most, without the list of elements or entries")
	rest, status := parse(fs, args, out, errs)
	if status >= 0 {
		return status
	}
	if len(rest) == 0 {
		fs.Usage()
		return exitUnreadable
	}
	s := newScreen(out)
	status = exitOK
	shown := 0
	src := &inputs{in: in, errs: newScreen(errs), name: "inspect"}
	src.fail = func(name string, err error) {
		status = exitUnreadable
		fmt.Fprintf(errs, "parley iso inspect: %s: %s\n", visible(name), visible(reason(err)))
	}
	src.visit = func(f *file) {
		if shown++; shown > 1 {
			s.printf("\n")
		}
		if f.Name != "-" {
			s.printf("%s\n", s.paint(dim, visible(f.Name)))
		}
		if err := inspectFile(s, f, !*short); err != nil {
			src.fail(f.Name, err)
		}
	}
	src.each(rest)
	return status
}

// startBytes is how much of a file is read before it is known what it is.
const startBytes = 64 << 10

// inspectFile shows a file. A statement, of any length, is streamed.
func inspectFile(s *screen, f *file, all bool) error {
	start, err := io.ReadAll(io.LimitReader(f, startBytes))
	if err != nil {
		return err
	}
	f.Reader = io.MultiReader(bytes.NewReader(start), f.Reader)
	if looksLikeStatement(start) {
		return inspectStatements(s, f, all)
	}
	d, err := readDocument(f)
	if err != nil {
		return err
	}
	for i := range d.messages {
		if i > 0 {
			s.printf("\n")
		}
		inspectMessage(s, &d.messages[i], all)
	}
	return nil
}

// looksLikeStatement reports whether the beginning of a file names a camt.052, 053 or 054. If it only seems so, the reader of statements
// says that there is none.
func looksLikeStatement(start []byte) bool {
	for _, def := range []string{"camt.052", "camt.053", "camt.054"} {
		if bytes.Contains(start, []byte(iso20022.Namespace(def))) {
			return true
		}
	}
	return false
}

// transactions are the elements that hold one payment each, or what is said of it.
var transactions = map[string]bool{"CdtTrfTxInf": true, "DrctDbtTxInf": true, "TxInfAndSts": true, "TxInf": true}

// mostTransactions bounds the summaries; the list of elements has all.
const mostTransactions = 20

func inspectMessage(s *screen, m *message, all bool) {
	title := m.def
	if name, purpose, ok := aboutMessage(m.def); ok {
		title = name + " (" + m.def + ")"
		s.printf("%s\n  %s\n", s.paint(bold, visible(title)), s.paint(dim, purpose))
	} else {
		s.printf("%s\n", s.paint(bold, visible(title)))
	}
	var list []iso20022.Element
	for _, b := range m.body {
		list = append(list, within(b)...)
	}
	if len(list) == 0 {
		list = m.body
	}
	for i, tx := range list {
		if i == mostTransactions {
			s.printf("  %s\n", s.paint(yellow, fmt.Sprintf("… and %d more", len(list)-i)))
			break
		}
		if len(list) > 1 {
			s.printf("\n  %s\n", s.paint(bold, fmt.Sprintf("%d of %d", i+1, len(list))))
		}
		summary(s, m, tx)
	}
	if !all {
		return
	}
	s.printf("\n")
	t := table{indent: 2, widest: 44}
	if !m.header.IsZero() {
		elements(&t, m.header, 0)
	}
	for _, b := range m.body {
		elements(&t, b, 0)
	}
	t.print(s)
}

// within returns the elements of a message that hold one payment each.
func within(e iso20022.Element) (list []iso20022.Element) {
	for c := range e.Children() {
		if transactions[c.Name()] {
			list = append(list, c)
		} else if !c.IsLeaf() {
			list = append(list, within(c)...)
		}
	}
	return list
}

// find returns the first element of that name in e, or else around it: in what holds e, without going into other payments.
func find(e iso20022.Element, names ...string) (iso20022.Element, bool) {
	for _, name := range names {
		for at, ok := e, true; ok && at.Name() != "Document"; at, ok = parent(at) {
			if found, ok := down(at, e, name); ok {
				return found, true
			}
		}
	}
	return iso20022.Element{}, false
}

func parent(e iso20022.Element) (iso20022.Element, bool) {
	p, ok := e.Parent()
	return p, ok && p != e
}

// down looks for a name in e, but not in other payments than tx, in what was before (OrgnlTxRef) or in the header.
func down(e, tx iso20022.Element, name string) (iso20022.Element, bool) {
	for c := range e.Children() {
		switch {
		case c.Name() == name:
			return c, true
		case c.IsLeaf() || transactions[c.Name()] && c != tx || c.Name() == "OrgnlTxRef" || c.Name() == "AppHdr" || c.Name() == "SplmtryData":
		default:
			if found, ok := down(c, tx, name); ok {
				return found, true
			}
		}
	}
	return iso20022.Element{}, false
}

// summary shows what a person wants to know of a payment, or of what is said about it.
func summary(s *screen, m *message, tx iso20022.Element) {
	t := table{indent: 2}
	add := func(what string, st style, values ...string) {
		if v := strings.Join(nonEmpty(values), ", "); v != "" {
			t.row(styled(dim, what), styled(st, visible(clip(v, 400))))
		}
	}
	value := func(names ...string) string {
		if e, ok := find(tx, names...); ok {
			return value(e)
		}
		return ""
	}
	if e, ok := find(tx, "TxSts", "GrpSts", "PmtInfSts", "TxCxlSts", "CxlStsId"); ok && e.Name() != "CxlStsId" {
		meaning, _ := codeText(e.Type(), e.Text())
		meaning, _, _ = strings.Cut(meaning, " Usage") // what may be said when; explain has it
		add("status", bold, e.Text(), meaning)
	} else if e, ok := find(tx, "Conf"); ok && m.name() == "camt.029" {
		meaning, _ := codeText(e.Type(), e.Text())
		add("answer", bold, e.Text(), meaning)
	}
	if e, ok := find(tx, "StsRsnInf", "RtrRsnInf", "CxlStsRsnInf", "CxlRsnInf", "RjctnRsn", "Rsn"); ok {
		why, _ := find(e, "Cd", "Prtry", "RjctgPtyRsn")
		if !why.IsZero() {
			meaning, _ := codeText(why.Type(), why.Text())
			add("reason", bold, why.Text(), meaning)
		}
		for c := range e.Children() {
			if c.Name() == "AddtlInf" || c.Name() == "RsnDesc" || c.Name() == "ErrLctn" {
				add("", plain, value2(c))
			}
		}
	}
	add("amount", bold, value("IntrBkSttlmAmt", "RtrdIntrBkSttlmAmt", "InstdAmt", "OrgnlIntrBkSttlmAmt"))
	add("from", plain, who(tx, "Dbtr"))
	add("to", plain, who(tx, "Cdtr"))
	add("for", plain, value("Ustrd"), reference(tx))
	for _, id := range []struct{ what, name string }{
		{"end-to-end id", "EndToEndId"}, {"UETR", "UETR"}, {"transaction id", "TxId"}, {"instruction id", "InstrId"}, {"return id", "RtrId"},
		{"of end-to-end id", "OrgnlEndToEndId"}, {"of UETR", "OrgnlUETR"}, {"of transaction id", "OrgnlTxId"}, {"of message", "OrgnlMsgId"},
		{"of message", "Ref"}, {"case", "Case"},
	} {
		if id.name == "Ref" && m.name() != "admi.002" {
			continue
		}
		if e, ok := find(tx, id.name); ok && e.IsLeaf() {
			add(id.what, plain, e.Text())
		}
	}
	add("settles on", plain, value("IntrBkSttlmDt"))
	add("accepted at", plain, value("AccptncDtTm"))
	add("message", plain, value("MsgId"), value("CreDtTm", "CreDt"))
	if !m.header.IsZero() {
		from, _ := down(m.header, m.header, "Fr")
		to, _ := down(m.header, m.header, "To")
		add("header", plain, route(from, to))
		if e, ok := down(m.header, m.header, "CpyDplct"); ok {
			meaning, _ := codeText(e.Type(), e.Text())
			add("marked", yellow, e.Text(), meaning)
		}
	}
	t.print(s)
}

func nonEmpty(list []string) (kept []string) {
	for _, v := range list {
		if v != "" {
			kept = append(kept, v)
		}
	}
	return kept
}

// value returns the text of a leaf, an amount with its currency, or the first leaf in an element.
func value(e iso20022.Element) string {
	for !e.IsLeaf() {
		for c := range e.Children() {
			e = c
			break
		}
	}
	return value2(e)
}

func value2(e iso20022.Element) string {
	if currency, ok := e.Attr("Ccy"); ok {
		return currency + " " + e.Text()
	}
	return e.Text()
}

// who returns a party of a payment: name, account and agent.
func who(tx iso20022.Element, role string) string {
	var parts []string
	if p, ok := find(tx, role); ok {
		if nm, ok := down(p, p, "Nm"); ok {
			parts = append(parts, nm.Text())
		}
	}
	if a, ok := find(tx, role+"Acct"); ok {
		if id, ok := a.Child("Id"); ok {
			parts = append(parts, value(id))
		}
	}
	if a, ok := find(tx, role+"Agt"); ok {
		for _, name := range []string{"BICFI", "BIC", "MmbId"} {
			if id, ok := down(a, a, name); ok {
				parts = append(parts, "at "+id.Text())
				break
			}
		}
	}
	return strings.Join(parts, ", ")
}

// reference returns the structured creditor reference of a payment.
func reference(tx iso20022.Element) string {
	if r, ok := find(tx, "CdtrRefInf"); ok {
		if ref, ok := r.Child("Ref"); ok {
			return ref.Text()
		}
	}
	return ""
}

// route returns who sent a message to whom, as its header says.
func route(from, to iso20022.Element) string {
	id := func(e iso20022.Element) string {
		if e.IsZero() {
			return "?"
		}
		for _, name := range []string{"BICFI", "MmbId", "AnyBIC"} {
			if id, ok := down(e, e, name); ok {
				return id.Text()
			}
		}
		if v := value(e); v != "" {
			return v
		}
		return "nobody (blank)"
	}
	return "from " + id(from) + " to " + id(to)
}

// elements lists an element with all it holds: name, value, and what name or code means.
func elements(t *table, e iso20022.Element, depth int) {
	name := strings.Repeat("  ", depth) + clip(visible(e.Name()), 60)
	if !e.IsLeaf() {
		what := label(visible(e.Name()))
		if depth == 0 && e.Name() != "AppHdr" {
			what = "" // the message, named above
		}
		t.row(styled(bold, name), text(""), styled(dim, what))
		for c := range e.Children() {
			elements(t, c, depth+1)
		}
		return
	}
	what := styled(dim, label(visible(e.Name())))
	if meaning, _ := codeText(e.Type(), e.Text()); meaning != "" {
		what = text(visible(meaning))
	}
	t.row(text(name), text(visible(clip(value2(e), 400))), what)
}
