package isotool

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

// event is what one message says about one payment.
type event struct {
	file     string
	message  string // definition
	name     string // of the message, without its version
	at       time.Time
	when     string // as it stands, if it could not be read
	zoneless bool
	from, to string
	header   bool   // from is the header's
	agent    string // InstgAgt

	messageID, headerID          string
	uetr, tx, endToEnd, instr    string // of the payment; in an answer of its original
	originalMessage, originalDef string
	returnID, caseID             string
	batch, originalBatch         string // PmtInfId

	status, reason, ownReason, info string
	amount, originalAmount          string
	debtor, creditor                string // the agents
	duplicate                       bool   // CpyDplct DUPL
	credit                          string // CRDT or DBIT, of an entry

	means    string // for the money, if a profile says so
	conflict string // why this contradicts what is known
	again    bool   // the same message stands in another file
}

// readEvents returns what a document says about payments.
func readEvents(file string, d *document) (events []event) {
	zone := rail.UTC
	local := d.tree.Root().Namespace() == "urn:tch" // TCH RTP: US Eastern, without a zone
	if local {
		zone = rail.Eastern
	}
	for i := range d.messages {
		m := &d.messages[i]
		base := event{file: file, message: m.def, name: m.name()}
		if !m.header.IsZero() {
			base.headerID = m.header.Value("BizMsgIdr")
			if base.headerID == "" {
				base.headerID = valueAnywhere(m.header, "BizMsgIdr")
			}
			base.duplicate = valueAnywhere(m.header, "CpyDplct") == "DUPL"
			for c := range m.header.Children() {
				switch c.Name() {
				case "Fr":
					base.from = agentID(c)
				case "To":
					base.to = agentID(c)
				case "CreDt":
					base.readTime(c.Text(), local, zone)
				}
			}
			base.header = base.from != ""
		}
		for _, body := range m.body {
			events = append(events, readBody(base, body, local, zone)...)
		}
	}
	return events
}

// valueAnywhere returns the text of the first leaf of that name in e, whatever its namespace.
func valueAnywhere(e iso20022.Element, name string) string {
	for c := range e.Children() {
		if c.Name() == name && c.IsLeaf() {
			return c.Text()
		}
		if v := valueAnywhere(c, name); v != "" {
			return v
		}
	}
	return ""
}

// agentID returns the first identification of a bank that stands in e.
func agentID(e iso20022.Element) string {
	for _, name := range []string{"BICFI", "BIC", "AnyBIC", "MmbId", "Id"} {
		if v := valueAnywhere(e, name); v != "" {
			return v
		}
	}
	return ""
}

// readTime takes the time of an event. One without a zone is taken in the rail's, if that writes none.
func (e *event) readTime(text string, local bool, zone rail.Zone) {
	m, ok := parseMoment(text)
	if !ok {
		if day, err := time.Parse(time.DateOnly, text); err == nil {
			e.at, e.when, e.zoneless = day, text, true
		}
		return
	}
	if m.at.Year() < 1900 { // the placeholder of published samples
		return
	}
	e.at, e.when, e.zoneless = m.at, text, m.offset == ""
	if e.zoneless && local {
		t := m.at
		e.at, e.zoneless = zone.Local(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second()), false
	}
}

// readBody returns an event for each transaction in a message, or one for the message where it has none.
func readBody(base event, body iso20022.Element, local bool, zone rail.Zone) (events []event) {
	for _, path := range [][]string{{"GrpHdr", "CreDtTm"}, {"Assgnmt", "CreDtTm"}, {"MsgHdr", "CreDtTm"}, {"Rsn", "RjctnDtTm"}} {
		if v := body.Value(path...); v != "" {
			base.readTime(v, local, zone)
			break
		}
	}
	for _, path := range [][]string{{"GrpHdr", "MsgId"}, {"Assgnmt", "Id"}, {"MsgHdr", "MsgId"}, {"MsgId", "MsgId"}} {
		if v := body.Value(path...); v != "" {
			base.messageID = v
			break
		}
	}
	if group, ok := body.Child("GrpHdr"); ok {
		base.agents(group)
	}
	if a, ok := body.Child("Assgnmt"); ok && !base.header {
		if x, ok := a.Child("Assgnr"); ok {
			base.from = agentID(x)
		}
		if x, ok := a.Child("Assgne"); ok {
			base.to = agentID(x)
		}
	}
	base.caseID = cmp.Or(body.Value("Case", "Id"), body.Value("RslvdCase", "Id"))
	switch base.name {
	case "admi.002":
		base.originalMessage = body.Value("RltdRef", "Ref")
		base.status, base.ownReason, base.info = "RJCT", body.Value("Rsn", "RjctgPtyRsn"), body.Value("Rsn", "RsnDesc")
		return []event{base}
	case "admi.007":
		for c := range body.Children() {
			if c.Name() == "Rpt" {
				e := base
				e.originalMessage, e.status = c.Value("RltdRef", "Ref"), c.Value("ReqHdlg", "StsCd")
				events = append(events, e)
			}
		}
		return events
	case "camt.029":
		base.status = body.Value("Sts", "Conf")
	}
	found := false
	var walk func(e iso20022.Element, group *event)
	walk = func(e iso20022.Element, group *event) {
		switch e.Name() {
		case "OrgnlGrpInf", "OrgnlGrpInfAndSts", "OrgnlGrpInfAndCxl":
			group.original(e)
		case "PmtInf", "OrgnlPmtInfAndSts", "OrgnlPmtInfAndCxl", "Ntry":
			inner, before := *group, len(events)
			inner.group(e, local, zone)
			for c := range e.Children() {
				walk(c, &inner)
			}
			if len(events) == before && (inner.status != "" || e.Name() == "Ntry") {
				events = append(events, inner)
			}
			found = true
		case "CdtTrfTxInf", "CdtTrfTx", "TxInfAndSts", "TxInf", "TxDtls":
			x := *group
			x.transaction(e)
			events, found = append(events, x), true
		case "SplmtryData", "GrpHdr", "Assgnmt":
		default:
			if !e.IsLeaf() {
				for c := range e.Children() {
					walk(c, group)
				}
			}
		}
	}
	for c := range body.Children() {
		walk(c, &base)
	}
	if !found && (base.status != "" || base.originalMessage != "" || base.caseID != "") {
		events = append(events, base)
	}
	return events
}

// agents takes the parties to a message from e, unless its header has told.
func (e *event) agents(x iso20022.Element) {
	if a, ok := x.Child("InstgAgt"); ok {
		if e.agent = agentID(a); !e.header {
			e.from = e.agent
		}
	}
	if a, ok := x.Child("InstdAgt"); ok && !e.header {
		e.to = agentID(a)
	}
	if a, ok := x.Child("DbtrAgt"); ok {
		e.debtor = agentID(a)
	}
	if a, ok := x.Child("CdtrAgt"); ok {
		e.creditor = agentID(a)
	}
}

func (e *event) original(x iso20022.Element) {
	e.originalMessage, e.originalDef = cmp.Or(x.Value("OrgnlMsgId"), e.originalMessage), cmp.Or(x.Value("OrgnlMsgNmId"), e.originalDef)
	if s := x.Value("GrpSts"); s != "" {
		e.status = s
		e.reasons(x)
	}
}

// group takes what stands around transactions: a batch, or an entry of a statement.
func (e *event) group(x iso20022.Element, local bool, zone rail.Zone) {
	e.agents(x)
	e.batch, e.originalBatch = x.Value("PmtInfId"), x.Value("OrgnlPmtInfId")
	if s := x.Value("PmtInfSts"); s != "" {
		e.status = s
		e.reasons(x)
	}
	if x.Name() == "Ntry" {
		if a, ok := x.Child("Amt"); ok {
			e.amount = valueOf(a)
		}
		e.credit, e.status = x.Value("CdtDbtInd"), cmp.Or(x.Value("Sts", "Cd"), x.Value("Sts"))
		if v := cmp.Or(x.Value("BookgDt", "DtTm"), x.Value("BookgDt", "Dt")); v != "" {
			e.readTime(v, local, zone)
		}
		e.endToEnd = "" // of its transactions
	}
}

// transaction takes what a transaction says.
func (e *event) transaction(x iso20022.Element) {
	for _, at := range []string{"PmtId", "Refs"} {
		if p, ok := x.Child(at); ok {
			e.uetr, e.tx, e.endToEnd, e.instr = p.Value("UETR"), p.Value("TxId"), p.Value("EndToEndId"), p.Value("InstrId")
		}
	}
	e.uetr, e.tx = cmp.Or(x.Value("OrgnlUETR"), e.uetr), cmp.Or(x.Value("OrgnlTxId"), e.tx)
	e.endToEnd, e.instr = cmp.Or(x.Value("OrgnlEndToEndId"), e.endToEnd), cmp.Or(x.Value("OrgnlInstrId"), e.instr)
	if e.endToEnd == "NOTPROVIDED" {
		e.endToEnd = ""
	}
	e.returnID = x.Value("RtrId")
	if g, ok := x.Child("OrgnlGrpInf"); ok {
		e.original(g)
	}
	e.agents(x)
	if s := cmp.Or(x.Value("TxSts"), x.Value("TxCxlSts")); s != "" {
		if e.name != "camt.029" || e.status == "" {
			e.status = s
		}
	}
	e.reasons(x)
	e.caseID = cmp.Or(x.Value("Case", "Id"), x.Value("RslvdCase", "Id"), e.caseID)
	for _, path := range [][]string{{"IntrBkSttlmAmt"}, {"RtrdIntrBkSttlmAmt"}, {"Amt", "InstdAmt"}, {"Amt"}} {
		if a, ok := x.Child(path...); ok && a.IsLeaf() {
			e.amount = valueOf(a)
			break
		}
	}
	for _, path := range [][]string{{"OrgnlTxRef", "IntrBkSttlmAmt"}, {"OrgnlIntrBkSttlmAmt"}, {"OrgnlTxRef", "Amt", "InstdAmt"}} {
		if a, ok := x.Child(path...); ok {
			e.originalAmount = valueOf(a)
			break
		}
	}
}

// reasons takes the first reason that stands in x.
func (e *event) reasons(x iso20022.Element) {
	for c := range x.Children() {
		switch c.Name() {
		case "StsRsnInf", "RtrRsnInf", "CxlRsnInf", "CxlStsRsnInf":
			e.reason, e.ownReason, e.info = c.Value("Rsn", "Cd"), c.Value("Rsn", "Prtry"), c.Value("AddtlInf")
			return
		}
	}
}

// sameAmount compares two amounts as "EUR 4.50" by value.
func sameAmount(a, b string) bool {
	x, v, _ := strings.Cut(a, " ")
	y, w, _ := strings.Cut(b, " ")
	return x == y && sameValue("decimal", v, w) == same
}

// path of an event's own place in time: what follows from what when two have one time.
var eventRank = []string{"pain.013", "pain.014", "pain.001", "pacs.008", "pacs.009", "pain.002", "pacs.028", "pacs.002", "admi.002", "camt.054", "camt.056", "camt.055", "camt.029", "pacs.004"}

// sortEvents orders events by time, whatever the order of the files.
func sortEvents(list []event) {
	slices.SortStableFunc(list, func(a, b event) int {
		rank := func(e event) int {
			if i := slices.Index(eventRank, e.name); i >= 0 {
				return i
			}
			return len(eventRank)
		}
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(rank(a), rank(b)), strings.Compare(a.message, b.message), strings.Compare(a.messageID, b.messageID),
			strings.Compare(a.status, b.status), strings.Compare(a.file, b.file))
	})
}
