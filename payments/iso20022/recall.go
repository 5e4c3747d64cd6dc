package iso20022

import "github.com/parleypay/parley/payments"

var (
	recalls     = family{root: "Document", defs: []string{RecallV8, CustomerRecallV9}, bodies: []string{"FIToFIPmtCxlReq", "CstmrPmtCxlReq"}, make: func() Message { return new(Recall) }}
	resolutions = family{root: "Document", defs: []string{ResolutionV9}, bodies: []string{"RsltnOfInvstgtn"}, make: func() Message { return new(Resolution) }}
)

// DecodeRecall scans, validates and reads a Document of camt.056.001.08 or camt.055.001.09 about exactly one transaction. The error is a
// *Fault. Passed over: OrgnlClrSysRef, the Case of the transaction or group, GrpCxlId, and what originalDetails passes over.
func DecodeRecall(b []byte) (*Recall, error) { return decode[Recall](b) }

// Definition returns MsgDef.
func (m *Recall) Definition() string { return m.MsgDef }

// Append appends the message as a Document; see Message.
func (m *Recall) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

func (m *Recall) family() *family { return &recalls }

func (m *Recall) fields(x *codec) {
	x.version(&m.MsgDef)
	x.caseOf("Case", &m.Case)
	if x.reading && x.begin("CtrlData") {
		x.one("NbOfTxs")
		x.pass("CtrlSum")
		x.end()
	}
	if x.begin("Undrlyg") {
		if (x.reading || m.GroupLevel) && x.begin("OrgnlGrpInfAndCxl") {
			m.GroupLevel = true
			x.pass("GrpCxlId", "Case")
			x.originalMessage(&m.Original)
			x.passOne("NbOfTxs")
			x.pass("CtrlSum")
			x.wholeGroup("GrpCxl")
			if x.reading {
				x.reason("CxlRsnInf", &m.Reason)
			}
			x.end()
		}
		if x.def == CustomerRecallV9 {
			m.instruction(x)
		} else {
			m.transaction(x)
		}
		x.end()
		if x.reading && x.is("Undrlyg") {
			x.failAt(x.levels[x.depth-1].next, "model.transactions", "a second transaction")
		}
	}
	x.supplementary(&m.Supplementary.Message)
}

// wholeGroup refuses a cancellation of all that the original message or instruction held.
func (x *codec) wholeGroup(name string) {
	if x.reading {
		x.fixed(name, "false", "model.transactions", "about a whole group of transactions")
	}
}

// transaction is TxInf of a camt.056.
func (m *Recall) transaction(x *codec) {
	if !x.transaction("TxInf") {
		x.missing("TxInf")
		return
	}
	o := &m.Original
	x.noPlace("OrgnlPmtInfId", o.PaymentInfoID != "")
	x.id("CxlId", &m.CancellationID, 35)
	x.pass("Case")
	if x.reading || !m.GroupLevel {
		x.originalGroup("OrgnlGrpInf", o)
	}
	x.originalIDs(o)
	x.pass("OrgnlClrSysRef")
	x.amount("OrgnlIntrBkSttlmAmt", &o.Amount)
	x.date("OrgnlIntrBkSttlmDt", &o.Date)
	x.agent("Assgnr", &m.Assigner)
	x.agent("Assgne", &m.Assignee)
	m.why(x)
	x.endTransaction("TxInf")
}

// instruction is OrgnlPmtInfAndCxl of a camt.055.
func (m *Recall) instruction(x *codec) {
	if !x.transaction("OrgnlPmtInfAndCxl") {
		x.missing("OrgnlPmtInfAndCxl")
		return
	}
	o := &m.Original
	x.pass("PmtCxlId", "Case")
	x.required("OrgnlPmtInfId", &o.PaymentInfoID)
	if x.reading || !m.GroupLevel {
		x.originalGroup("OrgnlGrpInf", o)
	}
	x.passOne("NbOfTxs")
	x.pass("CtrlSum")
	x.wholeGroup("PmtInfCxl")
	x.once("CxlRsnInf", !m.Reason.none())
	if x.reading {
		x.reason("CxlRsnInf", &m.Reason)
	}
	if x.transaction("TxInf") {
		x.id("CxlId", &m.CancellationID, 35)
		x.pass("Case")
		x.originalIDs(o)
		x.amount("OrgnlInstdAmt", &o.Amount)
		x.day("OrgnlReqdExctnDt", &o.Date)
		m.why(x)
		x.endTransaction("TxInf")
	} else {
		x.missing("TxInf")
	}
	x.noPlace("Assgnr", m.Assigner != (Agent{}) || m.Assignee != (Agent{}))
	x.endTransaction("OrgnlPmtInfAndCxl")
}

// why is what ends TxInf.
func (m *Recall) why(x *codec) {
	x.once("CxlRsnInf", !m.Reason.none())
	x.reason("CxlRsnInf", &m.Reason)
	x.originalDetails(&m.Details)
	x.supplementary(&m.Supplementary.Transaction)
}

// caseOf is Assgnmt and the case that name holds.
func (x *codec) caseOf(name string, c *Case) {
	if x.begin("Assgnmt") {
		x.required("Id", &c.AssignmentID)
		x.requiredActor("Assgnr", &c.Assigner)
		x.requiredActor("Assgne", &c.Assignee)
		x.requiredTime("CreDtTm", &c.Created)
		x.end()
	}
	if (x.reading || c.ID != "") && x.begin(name) {
		x.required("Id", &c.ID)
		x.requiredActor("Cretr", &c.Creator)
		x.flag("ReopCaseIndctn", &c.Reopened)
		x.end()
	} else if !x.reading && (c.Creator != (Actor{}) || c.Reopened) {
		x.fail(name, "model.missing", "a case needs its id")
	}
}

// DecodeResolution scans, validates and reads a Document of camt.029.001.09 that confirms or refuses, about at most one transaction. The
// error is a *Fault. Refused: modifications, duplicates of a case, claims, corrections, statements, charges and compensation. Passed
// over: the RslvdCase of the transaction or group, OrgnlGrpCxlId, OrgnlPmtInfCxlId, OrgnlClrSysRef, ClrChanl, NbOfTxsPerCxlSts, and
// what originalDetails passes over.
func DecodeResolution(b []byte) (*Resolution, error) { return decode[Resolution](b) }

// Definition returns "camt.029.001.09".
func (m *Resolution) Definition() string { return ResolutionV9 }

// Append appends the message as a Document; see Message.
func (m *Resolution) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

func (m *Resolution) family() *family { return &resolutions }

func (m *Resolution) fields(x *codec) {
	x.caseOf("RslvdCase", &m.Case)
	if x.begin("Sts") {
		if !x.reading && m.Confirmation == "" {
			x.missing("Conf")
		}
		x.code("Conf", &m.Confirmation, 4)
		x.end()
	}
	if x.begin("CxlDtls") {
		if x.reading && x.begin("OrgnlGrpInfAndSts") {
			x.pass("OrgnlGrpCxlId", "RslvdCase")
			x.originalMessage(&m.Original)
			x.passOne("OrgnlNbOfTxs")
			x.pass("OrgnlCtrlSum")
			x.code("GrpCxlSts", &m.Status, 4)
			x.reason("CxlStsRsnInf", &m.Reason)
			x.pass("NbOfTxsPerCxlSts")
			x.end()
		}
		if m.Original.PaymentInfoID != "" || x.reading && x.is("OrgnlPmtInfAndSts") {
			m.instruction(x)
		} else if x.begin("TxInfAndSts") {
			m.transaction(x)
			x.endTransaction("TxInfAndSts")
		}
		x.endTransaction("CxlDtls")
	}
	x.supplementary(&m.Supplementary)
}

// instruction is OrgnlPmtInfAndSts, in the answer to a customer.
func (m *Resolution) instruction(x *codec) {
	if !x.begin("OrgnlPmtInfAndSts") {
		return
	}
	o := &m.Original
	x.pass("OrgnlPmtInfCxlId", "RslvdCase")
	x.required("OrgnlPmtInfId", &o.PaymentInfoID)
	x.originalGroup("OrgnlGrpInf", o)
	x.passOne("OrgnlNbOfTxs")
	x.pass("OrgnlCtrlSum")
	if x.reading {
		m.status(x, "PmtInfCxlSts")
		x.pass("NbOfTxsPerCxlSts")
	}
	if x.begin("TxInfAndSts") {
		x.id("CxlStsId", &m.StatusID, 35)
		x.pass("RslvdCase")
		x.id("OrgnlInstrId", &o.InstructionID, 35)
		x.endToEnd("OrgnlEndToEndId", &o.EndToEndID)
		x.uetr("UETR", &o.UETR)
		m.status(x, "TxCxlSts")
		x.amount("OrgnlInstdAmt", &o.Amount)
		x.day("OrgnlReqdExctnDt", &o.Date)
		x.originalDetails(&m.Details)
		x.endTransaction("TxInfAndSts")
	}
	x.noPlace("OrgnlTxId", o.TransactionID != "")
	x.noPlace("RsltnRltdInf", m.Returned != (payments.Amount{}) || m.Settled != "" || m.ReturnRef != (ReturnReference{}))
	x.noPlace("Assgnr", m.Assigner != (Actor{}) || m.Assignee != (Actor{}))
	x.endTransaction("OrgnlPmtInfAndSts")
}

// transaction is TxInfAndSts, in the answer to a bank.
func (m *Resolution) transaction(x *codec) {
	o := &m.Original
	x.id("CxlStsId", &m.StatusID, 35)
	x.pass("RslvdCase")
	x.originalGroup("OrgnlGrpInf", o)
	x.id("OrgnlInstrId", &o.InstructionID, 35)
	x.endToEnd("OrgnlEndToEndId", &o.EndToEndID)
	x.id("OrgnlTxId", &o.TransactionID, 35)
	x.pass("OrgnlClrSysRef")
	x.uetr("OrgnlUETR", &o.UETR)
	m.status(x, "TxCxlSts")
	if x.begin("RsltnRltdInf") {
		r := &m.ReturnRef
		x.endToEnd("EndToEndId", &r.EndToEndID)
		x.id("TxId", &r.TransactionID, 35)
		x.uetr("UETR", &r.UETR)
		x.amount("IntrBkSttlmAmt", &m.Returned)
		x.date("IntrBkSttlmDt", &m.Settled)
		x.pass("ClrChanl")
		x.end()
	}
	x.amount("OrgnlIntrBkSttlmAmt", &o.Amount)
	x.date("OrgnlIntrBkSttlmDt", &o.Date)
	x.actor("Assgnr", &m.Assigner)
	x.actor("Assgne", &m.Assignee)
	x.originalDetails(&m.Details)
}

// status is a status of cancellation with its reason; that of a group or instruction must agree with that of the transaction.
func (m *Resolution) status(x *codec, name string) {
	before := m.Status
	if x.code(name, &m.Status, 4); before != "" && m.Status != before {
		x.fail("", "model.status", "another status than that of the group")
	}
	x.once("CxlStsRsnInf", !m.Reason.none())
	x.reason("CxlStsRsnInf", &m.Reason)
}
