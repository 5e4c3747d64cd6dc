package iso20022

import "github.com/parleypay/parley/payments"

var returns = family{root: "Document", defs: []string{ReturnV9, ReturnV10}, bodies: []string{"PmtRtr"}, make: func() Message { return new(Return) }}

// DecodeReturn scans, validates and reads a Document of pacs.004.001.09 or .10 with exactly one transaction, settled by clearing. The
// error is a *Fault. Passed over: Authstn, BtchBookg, OrgnlClrSysRef, SttlmPrty, SttlmTmIndctn, RtrdInstdAmt, ClrSysRef; of RtrChain
// UltmtDbtr, InitgPty, UltmtCdtr; and what originalDetails passes over.
func DecodeReturn(b []byte) (*Return, error) { return decode[Return](b) }

// Definition returns MsgDef.
func (m *Return) Definition() string { return m.MsgDef }

// Append appends the message as a Document; see Message.
func (m *Return) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

func (m *Return) family() *family { return &returns }

func (m *Return) fields(x *codec) {
	x.version(&m.MsgDef)
	var s sums
	if x.begin("GrpHdr") {
		x.required("MsgId", &m.MessageID)
		x.requiredTime("CreDtTm", &m.Created)
		x.pass("Authstn", "BtchBookg")
		x.one("NbOfTxs")
		if x.reading {
			s.control, _ = x.take("CtrlSum")
			x.fixed("GrpRtr", "false", "model.transactions", "a return of the whole group")
			s.total, _ = x.take("TtlRtrdIntrBkSttlmAmt")
			m.GroupLevel = s.total > 0 || x.is("IntrBkSttlmDt")
		}
		if m.GroupLevel {
			if !x.reading {
				x.requiredAmount("TtlRtrdIntrBkSttlmAmt", &m.Amount)
			}
			x.date("IntrBkSttlmDt", &m.SettleDate)
		}
		x.settlement(&m.ClrSysCode, &m.ClrSysPrtry)
		x.headerAgent("InstgAgt", &m.Instructing)
		x.headerAgent("InstdAgt", &m.Instructed)
		x.end()
	}
	if x.reading && x.begin("OrgnlGrpInf") {
		x.originalMessage(&m.Original)
		x.reason("RtrRsnInf", &m.Reason)
		x.end()
	}
	if x.transaction("TxInf") {
		m.transaction(x, s)
		x.endTransaction("TxInf")
	} else {
		x.missing("TxInf")
	}
	x.supplementary(&m.Supplementary.Message)
}

func (m *Return) transaction(x *codec, s sums) {
	o := &m.Original
	x.noPlace("OrgnlPmtInfId", o.PaymentInfoID != "")
	x.id("RtrId", &m.ReturnID, 35)
	x.originalGroup("OrgnlGrpInf", o)
	x.originalIDs(o)
	x.pass("OrgnlClrSysRef")
	x.amount("OrgnlIntrBkSttlmAmt", &o.Amount)
	x.date("OrgnlIntrBkSttlmDt", &o.Date)
	x.requiredAmount("RtrdIntrBkSttlmAmt", &m.Amount)
	if x.reading {
		x.checkSums(s, m.Amount)
	}
	x.once("IntrBkSttlmDt", m.SettleDate != "")
	if x.reading || !m.GroupLevel {
		x.date("IntrBkSttlmDt", &m.SettleDate)
	}
	x.pass("SttlmPrty", "SttlmTmIndctn", "RtrdInstdAmt")
	x.amount("CompstnAmt", &m.Compensation)
	if x.reading || m.ChargeBearer != "" {
		x.chargeBearer(&m.ChargeBearer)
	}
	list(x, "ChrgsInf", &m.Charges, (*codec).charge)
	x.pass("ClrSysRef")
	x.agentOnce("InstgAgt", &m.Instructing)
	x.agentOnce("InstdAgt", &m.Instructed)
	m.chain(x)
	x.once("RtrRsnInf", !m.Reason.none())
	x.reason("RtrRsnInf", &m.Reason)
	x.originalDetails(&m.Details)
	x.supplementary(&m.Supplementary.Transaction)
}

// chain is RtrChain.
func (m *Return) chain(x *codec) {
	if !x.reading && m.Debtor == (Party{}) && m.Creditor == (Party{}) || !x.begin("RtrChain") {
		return
	}
	accounts := x.def != ReturnV9
	none := payments.Account{}
	x.noPlace("DbtrAcct", !accounts && (m.Debtor.Account != none || m.Creditor.Account != none || m.Debtor.AccountCurrency+m.Creditor.AccountCurrency != ""))
	currency := m.Amount.Currency
	x.pass("UltmtDbtr")
	x.partyChoice("Dbtr", &m.Debtor)
	if accounts {
		x.account("DbtrAcct", &m.Debtor, currency)
	}
	x.pass("InitgPty")
	x.agent("DbtrAgt", &m.Debtor.Agent)
	x.agent("CdtrAgt", &m.Creditor.Agent)
	x.partyChoice("Cdtr", &m.Creditor)
	if accounts {
		x.account("CdtrAcct", &m.Creditor, currency)
	}
	x.pass("UltmtCdtr")
	x.end()
}

// charge is the content of ChrgsInf.
func (x *codec) charge(c *Charge) {
	x.money("Amt", &c.Amount)
	x.requiredAgent("Agt", &c.Agent)
}
