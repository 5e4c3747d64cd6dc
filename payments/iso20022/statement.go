package iso20022

import (
	"io"
	"iter"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
)

// StatementReader reads what a bank tells a customer about an account, of any length in bounded memory: a camt.053 (statement), camt.052
// (report) or camt.054 (notification), in every version with a schema in this package, alone or in a wrapper.
//
// It is tolerant: it goes on after a fault, reports every one, and hands over the bytes of each entry with what could be read of it.
// Call Next for each statement and range over its Entries. One goroutine may use it.
type StatementReader struct {
	options StatementOptions
	s       *stream
	def     string // message definition, once its Document has begun
	header  StatementHeader
	current *Statement
	faults  []Fault // that belong to no statement so far
	held    event   // what comes next, read ahead
	heldAt  uint32
	holding bool
	err     error // that ended it
}

// StatementOptions are how statements are read. The zero value is tolerant.
type StatementOptions struct {
	// Zone is the zone of times that are written without one, as many banks do. Nil means UTC, and such a time is a fault.
	Zone *time.Location
	// Strict ends reading at the first fault, with a *Fault as the error.
	Strict bool
	// Limits bound the document. The zero value means FileLimits.
	Limits Limits
}

// StatementHeader is what the message says about itself (GrpHdr).
type StatementHeader struct {
	MsgDef    string // such as "camt.053.001.08"
	MessageID string
	Created   time.Time
	Page      string // MsgPgntn/PgNb; empty if the message has one page
	LastPage  bool   // MsgPgntn/LastPgInd
	Info      string // AddtlInf
}

// Statement is one Stmt, Rpt or Ntfctn.
type Statement struct {
	Header   StatementHeader
	ID       string
	Sequence string // ElctrncSeqNb
	Created  time.Time
	From, To time.Time // FrToDt; zero if it is not said
	CpyDplct string    // CpyDplctInd: only DUPL means a repeat
	Account  payments.Account
	Currency payments.Currency // of the account; empty if it is not said
	Owner    payments.Name
	Servicer Agent
	Balances []Balance
	Faults   []Fault // of what stands before its first entry, and when Entries has ended of what stands behind the last

	r *StatementReader
}

// Balance is one Bal.
type Balance struct {
	Type   string // Tp/CdOrPrtry: a code such as "OPBD" or "CLBD", or a proprietary text
	Amount payments.Amount
	Credit bool // CdtDbtInd CRDT: the account's owner has it
	Date   Moment
}

// Entry is one movement on the account (Ntry).
type Entry struct {
	Reference    string // NtryRef
	Amount       payments.Amount
	Credit       bool // CdtDbtInd CRDT: in favour of the account's owner
	Reversal     bool // RvslInd
	Status       string
	Booked       Moment
	Value        Moment
	ServicerRef  string // AcctSvcrRef
	Code         TransactionCode
	Info         string // AddtlNtryInf
	Batch        EntryBatch
	Transactions []EntryTransaction
	Faults       []Fault // of this entry; what they speak of may be missing above

	raw []byte
}

// Raw returns the bytes of the entry as they were received. They are valid until the next entry is read.
func (e *Entry) Raw() []byte { return e.raw }

// TransactionCode is BkTxCd.
type TransactionCode struct {
	Domain, Family, SubFamily string // such as "PMNT", "RCDT", "ESCT"
	Prtry, Issuer             string
}

// EntryBatch is what NtryDtls/Btch says of an entry for many payments.
type EntryBatch struct{ MessageID, PaymentInfoID, Number string }

// EntryTransaction is one payment of an entry (NtryDtls/TxDtls).
type EntryTransaction struct {
	MessageID, ServicerRef, PaymentInfoID, InstructionID, TransactionID, MandateID, ClearingRef string

	EndToEndID payments.EndToEndID
	UETR       payments.UETR
	Amount     payments.Amount // Amt, or AmtDtls/TxAmt/Amt; zero if it is not said
	Credit     bool            // CdtDbtInd CRDT; if it is not said, that of the entry
	Debtor     Party
	Creditor   Party
	Purpose    string
	Remittance []string // RmtInf/Ustrd
	References []string // RmtInf/Strd/CdtrRefInf/Ref
	Returned   Reason   // RtrInf
	Info       string   // AddtlTxInf
}

// NewStatementReader returns a tolerant reader of r.
func NewStatementReader(r io.Reader) *StatementReader { return StatementOptions{}.NewReader(r) }

// NewReader returns a reader of r with these options.
func (o StatementOptions) NewReader(r io.Reader) *StatementReader {
	if o.Limits == (Limits{}) {
		o.Limits = FileLimits
	}
	if o.Strict {
		o.Limits.Faults = 1
	}
	sr := &StatementReader{options: o}
	sr.s = newStream(r, o.Limits, sr.enters)
	sr.s.v.wrapped = true
	return sr
}

// enters says which elements are not taken whole: wrappers, the Document, what it holds, and each statement.
func (r *StatementReader) enters(t *tree, i uint32) bool {
	def, iso := strings.CutPrefix(string(t.uri(i)), namespacePrefix)
	switch string(t.name(i)) {
	case "Document":
		switch {
		case !iso:
			return true
		case len(def) > 8 && (def[:8] == "camt.052" || def[:8] == "camt.053" || def[:8] == "camt.054") && isoTables.schema(t.uri(i)) != nil:
			r.def = def
			return true
		}
		return false
	case "BkToCstmrStmt", "BkToCstmrAcctRpt", "BkToCstmrDbtCdtNtfctn", "Stmt", "Rpt", "Ntfctn":
		return iso && r.def == def
	}
	return !iso
}

func isStatement(name []byte) bool {
	switch string(name) {
	case "Stmt", "Rpt", "Ntfctn":
		return true
	}
	return false
}

// next reads on, unless something is held.
func (r *StatementReader) next() (event, uint32) {
	if r.holding {
		r.holding = false
		return r.held, r.heldAt
	}
	if r.err != nil {
		return eventFault, 0
	}
	e, i := r.s.next()
	switch {
	case e == eventDone:
		r.err = io.EOF
		if r.def == "" {
			r.err = &Fault{Path: "/", Rule: "model.message", Text: "no camt.052, camt.053 or camt.054 in the document"}
		}
	case e == eventFault:
		r.err = r.fatal()
	}
	return e, i
}

// fatal is the error that ended the stream.
func (r *StatementReader) fatal() error {
	faults, err := r.s.faults()
	if err != nil || len(faults) == 0 {
		return err
	}
	return &faults[len(faults)-1]
}

// hold puts back what came.
func (r *StatementReader) hold(e event, i uint32) { r.held, r.heldAt, r.holding = e, i, true }

// newFaults returns the faults of the schema that have been found since it was called last, and forgets them.
func (r *StatementReader) newFaults() []Fault {
	v := &r.s.v
	if len(v.faults) == 0 {
		return nil
	}
	list := inOrder(append([]Fault(nil), v.faults...))
	v.faults = v.faults[:0]
	return list
}

// Next returns the next statement, and io.EOF after the last. What has not been read of the one before is skipped, and its faults with
// it. Any other error is the reader's, or a *Fault that nothing can follow.
func (r *StatementReader) Next() (*Statement, error) {
	for {
		e, i := r.next()
		t := &r.s.t
		switch {
		case e == eventFault || e == eventDone:
			return nil, r.err
		case e == eventPart && string(t.name(i)) == "GrpHdr" && !r.wrapped(i):
			p := r.part(i)
			r.header = StatementHeader{MsgDef: r.def}
			p.statementHeader(i, &r.header)
			r.faults = append(append(r.faults, r.newFaults()...), p.faults...)
		case e == eventBegin && isStatement(t.name(i)):
			return r.statement()
		}
		r.faults = append(r.faults, r.newFaults()...)
		if r.options.Strict && len(r.faults) > 0 {
			r.err = &r.faults[0]
			return nil, r.err
		}
	}
}

// wrapped reports whether element i belongs to a wrapper.
func (r *StatementReader) wrapped(i uint32) bool {
	return string(r.s.t.uri(i)) != namespacePrefix+r.def
}

// statement reads up to the first entry.
func (r *StatementReader) statement() (*Statement, error) {
	st := &Statement{Header: r.header, Faults: r.faults, r: r}
	r.current, r.faults = st, nil
	for {
		e, i := r.next()
		if e == eventFault {
			return nil, r.err
		}
		if e != eventPart || string(r.s.t.name(i)) == "Ntry" {
			r.hold(e, i)
			return st, nil
		}
		p := r.part(i)
		p.statementPart(i, st)
		st.Faults = append(append(st.Faults, r.newFaults()...), p.faults...)
		if r.options.Strict && len(st.Faults) > 0 {
			r.err = &st.Faults[0]
			return nil, r.err
		}
	}
}

// Faults returns the faults that stand behind the last statement, once Next has returned an error.
func (r *StatementReader) Faults() []Fault { return r.faults }

// Entries iterates over the entries of the statement, once. An error is the last thing it yields: the reader's, or a *Fault that nothing
// can follow; Next returns it too.
func (st *Statement) Entries() iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		r := st.r
		for r.current == st {
			e, i := r.next()
			switch {
			case e == eventFault:
				yield(nil, r.err)
				return
			case e == eventEnd || e == eventDone:
				st.Faults = append(st.Faults, r.newFaults()...)
				r.current = nil
				return
			case e != eventPart || string(r.s.t.name(i)) != "Ntry":
				st.Faults = append(st.Faults, r.newFaults()...) // of AddtlStmtInf, or of what does not belong there
				continue
			}
			entry := r.entry(i)
			if r.options.Strict && len(entry.Faults) > 0 {
				r.err = &entry.Faults[0]
				yield(nil, r.err)
				return
			}
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// entry reads element i.
func (r *StatementReader) entry(i uint32) *Entry {
	p := r.part(i)
	e := new(Entry)
	p.entry(i, e)
	e.Faults = append(r.newFaults(), p.faults...)
	e.raw = r.s.t.src[r.s.t.nodes[i].start:r.s.t.nodes[i].end]
	return e
}

// part is a reader of element i, which is complete.
func (r *StatementReader) part(i uint32) *part {
	t := &r.s.t
	n := &t.nodes[i]
	return &part{tree: t, s: string(t.src[n.start:n.end]), base: n.start, zone: r.options.Zone}
}
