package iso20022

import (
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
)

// Parts of messages that several of them share, beyond parties and agents.

// settlement is SttlmInf: only clearing, without accounts or agents of reimbursement.
func (x *codec) settlement(code, proprietary *string) {
	if x.begin("SttlmInf") {
		x.fixed("SttlmMtd", "CLRG", "model.settlement", "settlement other than by clearing (CLRG)")
		x.choice("ClrSys", code, 3, proprietary)
		x.end()
	}
}

// paymentType is PmtTpInf. Passed over: InstrPrty.
func (x *codec) paymentType(p *PaymentType) {
	if !x.reading && *p == (PaymentType{}) || !x.begin("PmtTpInf") {
		return
	}
	x.pass("InstrPrty")
	x.onlyCode("SvcLvl", &p.ServiceLevel, 4)
	x.choice("LclInstrm", &p.LocalCode, 35, &p.LocalPrtry)
	x.choice("CtgyPurp", &p.CategoryCode, 4, &p.CategoryPrtry)
	x.end()
}

// purpose is Purp, a code.
func (x *codec) purpose(code *string) { x.onlyCode("Purp", code, 4) }

// remittance is RmtInf: one unstructured text and one creditor reference of the type SCOR. Passed over: what else is structured.
func (x *codec) remittance(text, reference *string) {
	if !x.reading && *text == "" && *reference == "" || !x.begin("RmtInf") {
		return
	}
	x.text("Ustrd", text, 140)
	x.once("Ustrd", *text != "")
	if !x.reading && *reference != "" {
		x.begin("Strd")
		x.creditorReference(reference)
		x.end()
	}
	for x.reading && x.begin("Strd") {
		x.passUntil("CdtrRefInf")
		x.creditorReference(reference)
		x.passAll()
		x.end()
	}
	x.end()
}

// creditorReference is CdtrRefInf if its type is the code SCOR, else it is passed over.
func (x *codec) creditorReference(reference *string) {
	if !x.begin("CdtrRefInf") {
		return
	}
	kind := "SCOR"
	if x.reading {
		kind = ""
	}
	if x.begin("Tp") {
		if x.begin("CdOrPrtry") {
			x.code("Cd", &kind, 4)
			x.pass("Prtry")
			x.end()
		}
		x.pass("Issr")
		x.end()
	}
	switch {
	case kind != "SCOR":
		x.passAll()
	default:
		x.once("Ref", *reference != "")
		x.id("Ref", reference, 35)
	}
	x.end()
}

// messageHeader is GrpHdr with nothing but id and time, and the agents if they stand there. The transaction writes them.
func (x *codec) messageHeader(id *string, created *time.Time, instructing, instructed *Agent) {
	if x.begin("GrpHdr") {
		x.required("MsgId", id)
		x.requiredTime("CreDtTm", created)
		x.headerAgent("InstgAgt", instructing)
		x.headerAgent("InstdAgt", instructed)
		x.end()
	}
}

// originalMessage names the original message; further elements of the group are named by the caller. It may stand in two places, which
// must then agree, and is written in one.
func (x *codec) originalMessage(o *Original) {
	had := o.MessageID != "" && x.reading
	var other Original
	p := o
	if had {
		p = &other
	}
	x.required("OrgnlMsgId", &p.MessageID)
	x.required("OrgnlMsgNmId", &p.MessageName)
	x.time("OrgnlCreDtTm", &p.Created)
	if !had {
		return
	}
	if p.MessageID != o.MessageID || p.MessageName != o.MessageName || !p.Created.IsZero() && !o.Created.IsZero() && !p.Created.Equal(o.Created) {
		x.fail("", "model.repeated", "another original message than that of the group")
	}
	if o.Created.IsZero() {
		o.Created = p.Created
	}
}

// originalGroup is OrgnlGrpInf, or another element that names the original message only. Passed over: OrgnlCtrlSum.
func (x *codec) originalGroup(name string, o *Original) {
	if !x.reading && o.MessageID == "" && o.MessageName == "" && o.Created.IsZero() || !x.begin(name) {
		return
	}
	x.originalMessage(o)
	x.passOne("OrgnlNbOfTxs")
	x.pass("OrgnlCtrlSum", "OrgnlMsgDlvryChanl")
	x.end()
}

// originalIDs names the original transaction.
func (x *codec) originalIDs(o *Original) {
	x.id("OrgnlInstrId", &o.InstructionID, 35)
	x.endToEnd("OrgnlEndToEndId", &o.EndToEndID)
	x.id("OrgnlTxId", &o.TransactionID, 35)
	x.uetr("OrgnlUETR", &o.UETR)
}

// reason is an element that says why, with a code of at most four characters.
func (x *codec) reason(name string, r *Reason) {
	if !x.reading && r.none() || !x.begin(name) {
		return
	}
	x.reasonContent(r)
	x.end()
}

func (x *codec) reasonContent(r *Reason) {
	x.someone("Orgtr", &r.Originator)
	x.choice("Rsn", &r.Code, 4, &r.Prtry)
	x.texts("AddtlInf", &r.Info, 105)
}

func (r *Reason) none() bool {
	return r.Code == "" && r.Prtry == "" && len(r.Info) == 0 && r.Originator == (Identity{})
}

// originalDetails is OrgnlTxRef, which only repeats: what OriginalDetails does not hold is passed over wherever it stands in it, and
// so are account numbers and names that a payment could not have.
func (x *codec) originalDetails(d *OriginalDetails) {
	if !x.begin("OrgnlTxRef") {
		return
	}
	x.informal = true
	demanded := x.def == RequestAnswerV7 && (x.reading || *d != (OriginalDetails{})) // creditor and its agent
	x.amount("IntrBkSttlmAmt", &d.Amount)
	x.instructedAmount(&d.Instructed)
	x.date("IntrBkSttlmDt", &d.Date)
	x.pass("ReqdColltnDt")
	x.execution("ReqdExctnDt", &d.Execution)
	x.pass("XpryDt", "PmtCond", "CdtrSchmeId", "SttlmInf")
	x.paymentType(&d.PaymentType)
	x.pass("PmtMtd", "MndtRltdInf")
	x.remittance(&d.Remittance, &d.Reference)
	x.pass("NclsdFile", "UltmtDbtr")
	x.detailsParty("Dbtr", &d.Debtor)
	x.account("DbtrAcct", &d.Debtor, "")
	x.agent("DbtrAgt", &d.Debtor.Agent)
	x.pass("DbtrAgtAcct")
	x.informal = !demanded
	x.agent("CdtrAgt", &d.Creditor.Agent)
	x.informal = true
	x.pass("CdtrAgtAcct")
	if demanded {
		x.party("Cdtr", &d.Creditor)
	} else {
		x.detailsParty("Cdtr", &d.Creditor)
	}
	x.account("CdtrAcct", &d.Creditor, "")
	x.pass("UltmtCdtr")
	x.purpose(&d.Purpose)
	x.end()
	x.informal = false
}

// detailsParty is a party of OrgnlTxRef: a PartyIdentification in messages to the customer, else a Party40Choice.
func (x *codec) detailsParty(name string, p *Party) {
	if !x.begin(name) {
		return
	}
	if direct := x.def == RequestAnswerV7 || x.old(); direct {
		x.identity(&p.Name, &p.Address, &p.ID)
	} else if x.begin("Pty") {
		x.identity(&p.Name, &p.Address, &p.ID)
		x.end()
	}
	x.end()
}

// instructedAmount is Amt with an InstdAmt. An amount in another currency than the account's (EqvtAmt) is refused.
func (x *codec) instructedAmount(a *payments.Amount) {
	if x.begin("Amt") {
		x.amount("InstdAmt", a)
		x.end()
	}
}

// execution is a day, or since the messages of 2019 a day or a time.
func (x *codec) execution(name string, m *Moment) {
	if x.old() {
		x.date(name, &m.Date)
		if !x.reading && !m.Time.IsZero() {
			x.fail(name, "model.time", "this version has a day only")
		}
		return
	}
	x.moment(name, m)
}

// supplementary is SplmtryData, as often as it stands: its content is kept byte for byte. Where it relies on namespaces declared
// outside of it, these are declared on its outermost element.
func (x *codec) supplementary(s *SupplementaryData) {
	if !x.reading {
		if *s != "" {
			x.validate = true
			if why := s.check(x.def); why != "" {
				x.fail("SplmtryData", "model.supplementary", why)
			}
			x.b = append(x.b, *s...)
		}
		return
	}
	if !x.is("SplmtryData") {
		return
	}
	var b []byte
	for {
		i, ok := x.take("SplmtryData")
		if !ok {
			break
		}
		b = append(b, "<SplmtryData>"...)
		for c := i + 1; c < x.next(i); c = x.next(c) {
			if string(x.name(c)) == "PlcAndNm" {
				b = append(b, "<PlcAndNm>"...)
				b = appendEscaped(b, x.textOf(c), false)
				b = append(b, "</PlcAndNm>"...)
				continue
			}
			b = append(b, "<Envlp>"...)
			b = append(b, x.foreignPart(c+1)...)
			b = append(b, "</Envlp>"...)
		}
		if b = append(b, "</SplmtryData>"...); len(b) > maxSupplementaryBytes {
			x.failAt(i, "model.supplementary", "more than 64 KiB of supplementary data")
			return
		}
	}
	*s = SupplementaryData(b)
}

// NewSupplementaryData makes supplementary data of one element, which stands by itself: every namespace it uses is declared in it.
// place says what it belongs to (PlcAndNm, at most 350 characters) and may be empty. Concatenate several.
func NewSupplementaryData(place string, content []byte) (SupplementaryData, error) {
	t := getTree()
	defer putTree(t)
	if f := t.scan(content); f != nil {
		return "", f
	}
	var b strings.Builder
	b.WriteString("<SplmtryData>")
	if place != "" {
		if why := checkText(place, 350); why != "" {
			return "", &Fault{Path: "/SplmtryData/PlcAndNm", Rule: "model.text", Text: why}
		}
		b.WriteString("<PlcAndNm>")
		b.Write(appendEscaped(nil, place, false))
		b.WriteString("</PlcAndNm>")
	}
	b.WriteString("<Envlp>")
	b.Write(t.src[t.nodes[0].start:t.nodes[0].end])
	b.WriteString("</Envlp></SplmtryData>")
	return SupplementaryData(b.String()), nil
}

// maxSupplementaryBytes bounds the supplementary data of one place in a message.
const maxSupplementaryBytes = 64 << 10

// check says why s is no sequence of SplmtryData elements of a message, or "".
func (s SupplementaryData) check(def string) string {
	if len(s) > maxSupplementaryBytes {
		return "more than 64 KiB of supplementary data"
	}
	t := getTree()
	defer putTree(t)
	if f := t.scan([]byte(`<Document xmlns="` + namespacePrefix + def + `">` + string(s) + `</Document>`)); f != nil {
		return "not well-formed: " + f.Rule
	}
	at := t.nodes[0].textAt
	for c := uint32(1); c < t.next(0); c = t.next(c) {
		if t.nodes[c].start != at || t.nodes[c].ns != t.nodes[0].ns || string(t.name(c)) != "SplmtryData" {
			return "something other than elements SplmtryData"
		}
		at = t.nodes[c].end
	}
	if at != t.nodes[0].textEnd {
		return "something other than elements SplmtryData"
	}
	return ""
}

// total is an exact sum of amounts, whatever their currencies, as a control sum is.
type total struct{ whole, fraction int64 } // fraction counts 1e-5

func (s *total) add(a payments.Amount) {
	if s.whole > maxMinor {
		return // too many digits already
	}
	digits, _ := a.Currency.Digits()
	unit, step := int64(1), int64(100_000)
	for range digits {
		unit, step = unit*10, step/10
	}
	s.whole += a.Minor / unit
	s.fraction += a.Minor % unit * step
	s.whole, s.fraction = s.whole+s.fraction/100_000, s.fraction%100_000
}

// text returns the sum without superfluous zeros, "" if it has more than 18 digits.
func (s *total) text() string {
	if s.whole < 0 || s.whole > maxMinor {
		return ""
	}
	b := payments.Amount{Minor: s.whole, Currency: "JPY"}.AppendText(nil)
	whole := len(b)
	if s.fraction > 0 {
		b = append(b, '.')
		for f, unit := s.fraction, int64(10_000); f > 0; unit /= 10 {
			b = append(b, byte('0'+f/unit))
			f %= unit
		}
	}
	if len(b) > 18+1 || len(b) > 18 && len(b) == whole {
		return ""
	}
	return string(b)
}
