package iso20022

var (
	queries   = family{root: "Document", defs: []string{QueryV7}, bodies: []string{"UblToApply"}, make: func() Message { return new(Query) }}
	additions = family{root: "Document", defs: []string{AdditionV9}, bodies: []string{"AddtlPmtInf"}, make: func() Message { return new(Addition) }}
)

// DecodeQuery scans, validates and reads a Document of camt.026.001.07 about a payment. The error is a *Fault. A query about an entry of a
// statement is refused. Passed over: OrgnlMsgDlvryChanl, and what originalDetails passes over.
func DecodeQuery(b []byte) (*Query, error) { return decode[Query](b) }

// Definition returns "camt.026.001.07".
func (m *Query) Definition() string { return QueryV7 }

// Append appends the message as a Document; see Message.
func (m *Query) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

func (m *Query) family() *family { return &queries }

func (m *Query) fields(x *codec) {
	x.caseOf("Case", &m.Case)
	x.underlying(&m.Original)
	if x.begin("Justfn") {
		lists := len(m.Missing)+len(m.Incorrect) > 0 || m.AntiMoneyLaundering
		if !x.reading && (lists && (m.Any || m.PossibleDuplicate) || m.Any && m.PossibleDuplicate) {
			x.fail("", "model.choice", "more than one justification")
		}
		x.certain("AnyInf", &m.Any)
		if (x.reading || lists) && x.always("MssngOrIncrrctInf") {
			x.flag("AMLReq", &m.AntiMoneyLaundering)
			list(x, "MssngInf", &m.Missing, func(x *codec, s *Shortcoming) { s.fields(x, "AddtlMssngInf") })
			list(x, "IncrrctInf", &m.Incorrect, func(x *codec, s *Shortcoming) { s.fields(x, "AddtlIncrrctInf") })
			x.end()
		}
		x.certain("PssblDplctInstr", &m.PossibleDuplicate)
		x.end()
	}
	x.supplementary(&m.Supplementary)
}

func (s *Shortcoming) fields(x *codec, info string) {
	x.code("Cd", &s.Code, 4)
	x.text(info, &s.Info, 140)
}

// underlying is Undrlyg.
func (x *codec) underlying(u *Underlying) {
	if !x.begin("Undrlyg") {
		return
	}
	o := &u.Original
	switch {
	case (x.reading || u.Customer) && x.begin("Initn"):
		u.Customer = true
		x.originalGroup("OrgnlGrpInf", o)
		x.id("OrgnlPmtInfId", &o.PaymentInfoID, 35)
		x.originalIDs(o)
		x.requiredAmount("OrgnlInstdAmt", &o.Amount)
		x.day("ReqdExctnDt", &o.Date)
		x.originalDetails(&u.Details)
		x.end()
	case x.begin("IntrBk"):
		x.noPlace("OrgnlPmtInfId", o.PaymentInfoID != "")
		x.originalGroup("OrgnlGrpInf", o)
		x.originalIDs(o)
		x.requiredAmount("OrgnlIntrBkSttlmAmt", &o.Amount)
		x.date("OrgnlIntrBkSttlmDt", &o.Date)
		x.originalDetails(&u.Details)
		x.end()
	}
	x.end()
}

// DecodeAddition scans, validates and reads a Document of camt.028.001.09 about a payment. The error is a *Fault. Additions to an entry
// of a statement, to the way of the money, and instructions are refused. Passed over: UltmtDbtr, UltmtCdtr, and what parties, agents,
// accounts, remittance and originalDetails pass over.
func DecodeAddition(b []byte) (*Addition, error) { return decode[Addition](b) }

// Definition returns "camt.028.001.09".
func (m *Addition) Definition() string { return AdditionV9 }

// Append appends the message as a Document; see Message.
func (m *Addition) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

func (m *Addition) family() *family { return &additions }

func (m *Addition) fields(x *codec) {
	x.caseOf("Case", &m.Case)
	x.underlying(&m.Original)
	if x.always("Inf") {
		x.id("InstrId", &m.InstructionID, 35)
		x.endToEnd("EndToEndId", &m.EndToEndID)
		x.id("TxId", &m.TransactionID, 35)
		x.paymentType(&m.PaymentType)
		x.date("IntrBkSttlmDt", &m.SettleDate)
		x.amount("IntrBkSttlmAmt", &m.Amount)
		x.pass("UltmtDbtr")
		x.someoneOf("Dbtr", &m.Debtor)
		x.account("DbtrAcct", &m.Debtor, "")
		x.agent("DbtrAgt", &m.Debtor.Agent)
		x.agent("CdtrAgt", &m.Creditor.Agent)
		x.someoneOf("Cdtr", &m.Creditor)
		x.account("CdtrAcct", &m.Creditor, "")
		x.pass("UltmtCdtr")
		x.purpose(&m.Purpose)
		x.remittance(&m.Remittance, &m.Reference)
		x.end()
	}
	x.supplementary(&m.Supplementary)
}
