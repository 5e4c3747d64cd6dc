package iso20022

import "github.com/parleypay/parley/payments"

var (
	statusReports  = family{root: "Document", defs: []string{StatusReportV10}, bodies: []string{"FIToFIPmtStsRpt"}, make: func() Message { return new(StatusReport) }, proven: true}
	statusRequests = family{root: "Document", defs: []string{StatusRequestV3}, bodies: []string{"FIToFIPmtStsReq"}, make: func() Message { return new(StatusRequest) }, proven: true}
)

// DecodeStatusReport scans, validates and reads a Document of pacs.002.001.10 about exactly one transaction, which has a status. The
// error is a *Fault. If status or original message stand both in OrgnlGrpInfAndSts and in TxInfAndSts they must agree; of several
// reasons the first is taken. Passed over: OrgnlCtrlSum, NbOfTxsPerSts, AcctSvcrRef, ClrSysRef, further AddtlInf, and OrgnlTxRef but
// for the amount.
func DecodeStatusReport(b []byte) (*StatusReport, error) { return decode[StatusReport](b) }

// DecodeStatusRequest scans, validates and reads a Document of pacs.028.001.03 about exactly one transaction. The error is a
// *Fault. Passed over: OrgnlCtrlSum, ClrSysRef, OrgnlTxRef.
func DecodeStatusRequest(b []byte) (*StatusRequest, error) { return decode[StatusRequest](b) }

// Definition returns "pacs.002.001.10".
func (m *StatusReport) Definition() string { return StatusReportV10 }

// Append appends the message as a Document; see Message.
func (m *StatusReport) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

func (m *StatusReport) family() *family { return &statusReports }

func (m *StatusReport) fields(x *codec) {
	o := Original{MessageID: m.OriginalMessageID, MessageName: m.OriginalMsgName, Created: m.OriginalCreated, InstructionID: m.OriginalInstruction,
		EndToEndID: m.OriginalEndToEnd, TransactionID: m.OriginalTransaction, UETR: m.OriginalUETR}
	x.messageHeader(&m.MessageID, &m.Created, &m.Instructing, &m.Instructed)
	if !x.reading && m.Status == "" {
		x.missing("TxInfAndSts/TxSts")
	}
	if (x.reading || m.GroupLevel) && x.begin("OrgnlGrpInfAndSts") {
		m.GroupLevel = true
		x.originalMessage(&o)
		x.passOne("OrgnlNbOfTxs")
		x.pass("OrgnlCtrlSum")
		x.code("GrpSts", &m.Status, 4)
		m.reason(x)
		x.pass("NbOfTxsPerSts")
		x.end()
	}
	group := m.Status
	if (x.reading || !m.GroupLevel || m.hasTransaction()) && x.transaction("TxInfAndSts") {
		x.id("StsId", &m.StatusID, 35)
		if x.reading || !m.GroupLevel {
			x.originalGroup("OrgnlGrpInf", &o)
		}
		x.originalIDs(&o)
		if x.reading || !m.GroupLevel {
			if x.code("TxSts", &m.Status, 4); group != "" && m.Status != group {
				x.fail("", "model.status", "another status than that of the group")
			}
			m.reason(x)
		}
		x.time("AccptncDtTm", &m.AcceptanceTime)
		x.day("FctvIntrBkSttlmDt", &m.SettleDate)
		x.pass("AcctSvcrRef", "ClrSysRef")
		x.agentOnce("InstgAgt", &m.Instructing)
		x.agentOnce("InstdAgt", &m.Instructed)
		if (x.reading || m.OriginalAmount != (payments.Amount{})) && x.begin("OrgnlTxRef") {
			x.amount("IntrBkSttlmAmt", &m.OriginalAmount)
			x.passAll()
			x.end()
		}
		x.supplementary(&m.Supplementary.Transaction)
		x.endTransaction("TxInfAndSts")
	}
	x.supplementary(&m.Supplementary.Message)
	if x.reading {
		if m.Status == "" {
			x.missing("")
		}
		m.OriginalMessageID, m.OriginalMsgName, m.OriginalCreated, m.OriginalInstruction = o.MessageID, o.MessageName, o.Created, o.InstructionID
		m.OriginalEndToEnd, m.OriginalTransaction, m.OriginalUETR = o.EndToEndID, o.TransactionID, o.UETR
	}
}

// hasTransaction reports whether anything stands in TxInfAndSts of a report at group level.
func (m *StatusReport) hasTransaction() bool {
	return m.StatusID != "" || m.OriginalInstruction != "" || m.OriginalEndToEnd != "" || m.OriginalTransaction != "" || m.OriginalUETR != "" || m.Supplementary.Transaction != "" ||
		!m.AcceptanceTime.IsZero() || m.SettleDate != "" || m.Instructing != (Agent{}) || m.Instructed != (Agent{}) || m.OriginalAmount != (payments.Amount{})
}

// reason is the first StsRsnInf that says anything, of which the first AddtlInf is kept. The others are passed over.
func (m *StatusReport) reason(x *codec) {
	for m.Reason+m.ReasonPrtry+m.ReasonInfo == "" && m.ReasonFrom == (Identity{}) || !x.reading {
		if !x.begin("StsRsnInf") {
			return
		}
		x.someone("Orgtr", &m.ReasonFrom)
		x.choice("Rsn", &m.Reason, 4, &m.ReasonPrtry)
		x.text("AddtlInf", &m.ReasonInfo, 105)
		x.pass("AddtlInf")
		if x.end(); !x.reading {
			return
		}
	}
	x.pass("StsRsnInf")
}

// Definition returns "pacs.028.001.03".
func (m *StatusRequest) Definition() string { return StatusRequestV3 }

// Append appends the message as a Document; see Message.
func (m *StatusRequest) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

func (m *StatusRequest) family() *family { return &statusRequests }

func (m *StatusRequest) fields(x *codec) {
	o := Original{MessageID: m.OriginalMessageID, MessageName: m.OriginalMsgName, Created: m.OriginalCreated, InstructionID: m.OriginalInstruction,
		EndToEndID: m.OriginalEndToEnd, TransactionID: m.OriginalTransaction, UETR: m.OriginalUETR}
	x.messageHeader(&m.MessageID, &m.Created, &m.Instructing, &m.Instructed)
	if (x.reading || m.GroupLevel) && x.begin("OrgnlGrpInf") {
		m.GroupLevel = true
		x.originalMessage(&o)
		x.passOne("OrgnlNbOfTxs")
		x.pass("OrgnlCtrlSum")
		x.end()
	}
	if x.transaction("TxInf") {
		x.id("StsReqId", &m.RequestID, 35)
		if x.reading || !m.GroupLevel {
			x.originalGroup("OrgnlGrpInf", &o)
		}
		x.originalIDs(&o)
		x.time("AccptncDtTm", &m.AcceptanceTime)
		x.pass("ClrSysRef")
		x.agentOnce("InstgAgt", &m.Instructing)
		x.agentOnce("InstdAgt", &m.Instructed)
		x.pass("OrgnlTxRef")
		x.supplementary(&m.Supplementary.Transaction)
		x.endTransaction("TxInf")
	} else if !m.GroupLevel {
		x.missing("")
	}
	x.supplementary(&m.Supplementary.Message)
	if x.reading {
		m.OriginalMessageID, m.OriginalMsgName, m.OriginalCreated, m.OriginalInstruction = o.MessageID, o.MessageName, o.Created, o.InstructionID
		m.OriginalEndToEnd, m.OriginalTransaction, m.OriginalUETR = o.EndToEndID, o.TransactionID, o.UETR
	}
}
