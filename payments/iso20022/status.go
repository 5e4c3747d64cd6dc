package iso20022

import (
	"time"

	"github.com/parleypay/parley/payments"
)

// Append appends the message as <Document xmlns="…">…</Document>, in canonical bytes without an XML declaration. If it fails, with
// a *Fault, dst is returned as it was.
func (m *StatusReport) Append(dst []byte) ([]byte, error) {
	e := encoder{b: dst}
	e.root("Document", StatusReportV10)
	e.begin("FIToFIPmtStsRpt")
	e.statusHeader(m.MessageID, m.Created)
	if m.Status == "" {
		e.fail("TxInfAndSts/TxSts", "model.missing", "required")
	}
	o := original{m.OriginalMessageID, m.OriginalMsgName, m.OriginalCreated, m.OriginalInstruction, m.OriginalEndToEnd, m.OriginalTransaction, m.OriginalUETR}
	if m.GroupLevel {
		e.begin("OrgnlGrpInfAndSts")
		e.originalGroup(&o)
		e.code("GrpSts", m.Status, 4)
		m.reason(&e)
		e.end()
	}
	if !m.GroupLevel || m.hasTransaction() {
		e.begin("TxInfAndSts")
		e.id("StsId", m.StatusID, 35)
		e.originalTransaction(&o, !m.GroupLevel)
		if !m.GroupLevel {
			e.code("TxSts", m.Status, 4)
			m.reason(&e)
		}
		e.time("AccptncDtTm", m.AcceptanceTime)
		if m.SettleDate != "" {
			e.begin("FctvIntrBkSttlmDt")
			e.date("Dt", m.SettleDate)
			e.end()
		}
		e.agent("InstgAgt", m.Instructing)
		e.agent("InstdAgt", m.Instructed)
		if m.OriginalAmount != (payments.Amount{}) {
			e.begin("OrgnlTxRef")
			e.amount("IntrBkSttlmAmt", m.OriginalAmount)
			e.end()
		}
		e.end()
	}
	e.end()
	e.end()
	return e.finish()
}

// hasTransaction reports whether anything stands in TxInfAndSts of a report at group level.
func (m *StatusReport) hasTransaction() bool {
	return m.StatusID != "" || m.OriginalInstruction != "" || m.OriginalEndToEnd != "" || m.OriginalTransaction != "" || m.OriginalUETR != "" ||
		!m.AcceptanceTime.IsZero() || m.SettleDate != "" || m.Instructing != (Agent{}) || m.Instructed != (Agent{}) || m.OriginalAmount != (payments.Amount{})
}

func (m *StatusReport) reason(e *encoder) {
	if m.Reason == "" && m.ReasonPrtry == "" && m.ReasonInfo == "" {
		return
	}
	e.begin("StsRsnInf")
	e.choice("Rsn", m.Reason, 4, m.ReasonPrtry)
	e.text("AddtlInf", m.ReasonInfo, 105)
	e.end()
}

// Append appends the message as <Document xmlns="…">…</Document>, in canonical bytes without an XML declaration. If it fails, with
// a *Fault, dst is returned as it was.
func (m *StatusRequest) Append(dst []byte) ([]byte, error) {
	e := encoder{b: dst}
	e.root("Document", StatusRequestV3)
	e.begin("FIToFIPmtStsReq")
	e.statusHeader(m.MessageID, m.Created)
	o := original{m.OriginalMessageID, m.OriginalMsgName, m.OriginalCreated, m.OriginalInstruction, m.OriginalEndToEnd, m.OriginalTransaction, m.OriginalUETR}
	if m.GroupLevel {
		e.begin("OrgnlGrpInf")
		e.originalGroup(&o)
		e.end()
	}
	e.begin("TxInf")
	e.id("StsReqId", m.RequestID, 35)
	e.originalTransaction(&o, !m.GroupLevel)
	e.time("AccptncDtTm", m.AcceptanceTime)
	e.agent("InstgAgt", m.Instructing)
	e.agent("InstdAgt", m.Instructed)
	e.end()
	e.end()
	e.end()
	return e.finish()
}

func (e *encoder) statusHeader(id string, created time.Time) {
	e.begin("GrpHdr")
	e.required("MsgId", id, 35)
	e.requiredTime("CreDtTm", created)
	e.end()
}

// original is what a report or request says of the payment it is about.
type original struct {
	messageID, msgName string
	created            time.Time
	instruction        string
	endToEnd           payments.EndToEndID
	transaction        string
	uetr               payments.UETR
}

func (e *encoder) originalGroup(o *original) {
	e.required("OrgnlMsgId", o.messageID, 35)
	e.required("OrgnlMsgNmId", o.msgName, 35)
	e.time("OrgnlCreDtTm", o.created)
}

func (e *encoder) originalTransaction(o *original, group bool) {
	if group && (o.messageID != "" || o.msgName != "" || !o.created.IsZero()) {
		e.begin("OrgnlGrpInf")
		e.originalGroup(o)
		e.end()
	}
	e.id("OrgnlInstrId", o.instruction, 35)
	e.id("OrgnlEndToEndId", string(o.endToEnd), 35)
	e.id("OrgnlTxId", o.transaction, 35)
	e.uetr("OrgnlUETR", o.uetr)
}

// DecodeStatusReport scans, validates and reads a Document of pacs.002.001.10 about exactly one transaction, which has a status. The
// error is a *Fault. If status or original message stand both in OrgnlGrpInfAndSts and in TxInfAndSts they must agree; of several
// reasons the first is taken. Passed over: OrgnlCtrlSum, NbOfTxsPerSts, AcctSvcrRef, ClrSysRef, Orgtr of a reason, further AddtlInf, and
// OrgnlTxRef but for the amount.
func DecodeStatusReport(b []byte) (*StatusReport, error) {
	return decode(b, (*decoder).statusReport, StatusReportV10)
}

func (d *decoder) statusReport(m *StatusReport) {
	transaction := false
	var o original
	for c, name := range d.children(1) {
		switch name {
		case "GrpHdr":
			d.statusHeader(c, &m.MessageID, &m.Created, &m.Instructing, &m.Instructed)
		case "OrgnlGrpInfAndSts":
			if m.GroupLevel {
				d.repeated(c)
			}
			m.GroupLevel = true
			d.groupStatus(c, m, &o)
		case "TxInfAndSts":
			if transaction {
				d.fail(c, "model.transactions", "a second transaction")
			}
			transaction = true
			d.transactionStatus(c, m, &o)
		default:
			d.outside(c)
		}
	}
	if m.Status == "" {
		d.fail(1, "model.missing", "no status")
	}
	m.OriginalMessageID, m.OriginalMsgName, m.OriginalCreated = o.messageID, o.msgName, o.created
	m.OriginalInstruction, m.OriginalEndToEnd, m.OriginalTransaction, m.OriginalUETR = o.instruction, o.endToEnd, o.transaction, o.uetr
}

func (d *decoder) statusHeader(i uint32, id *string, created *time.Time, instructing, instructed *Agent) {
	for c, name := range d.children(i) {
		switch name {
		case "MsgId":
			*id = d.id(c)
		case "CreDtTm":
			*created = d.time(c)
		case "InstgAgt":
			*instructing = d.agent(c)
		case "InstdAgt":
			*instructed = d.agent(c)
		default:
			d.outside(c)
		}
	}
}

func (d *decoder) groupStatus(i uint32, m *StatusReport, o *original) {
	for c, name := range d.children(i) {
		switch name {
		case "GrpSts":
			m.Status = d.code(c)
		case "StsRsnInf":
			d.reason(c, m)
		case "NbOfTxsPerSts":
		default:
			d.originalGroupElement(c, name, o)
		}
	}
}

// originalGroupElement reads one element of OriginalGroupInformation or OriginalGroupHeader.
func (d *decoder) originalGroupElement(c uint32, name string, o *original) {
	switch name {
	case "OrgnlMsgId":
		if v := d.id(c); o.messageID == "" {
			o.messageID = v
		} else if v != o.messageID {
			d.fail(c, "model.repeated", "another original message than that of the group")
		}
	case "OrgnlMsgNmId":
		if v := d.id(c); o.msgName == "" {
			o.msgName = v
		} else if v != o.msgName {
			d.fail(c, "model.repeated", "another original message than that of the group")
		}
	case "OrgnlCreDtTm":
		if v := d.time(c); o.created.IsZero() {
			o.created = v
		} else if !v.Equal(o.created) {
			d.fail(c, "model.repeated", "another original message than that of the group")
		}
	case "OrgnlNbOfTxs":
		d.one(c)
	case "OrgnlCtrlSum":
	default:
		d.outside(c)
	}
}

func (d *decoder) originalGroup(i uint32, o *original) {
	for c, name := range d.children(i) {
		d.originalGroupElement(c, name, o)
	}
}

// originalTransactionElement reads an element that names the original transaction, and reports whether it was one.
func (d *decoder) originalTransactionElement(c uint32, name string, o *original) bool {
	switch name {
	case "OrgnlGrpInf":
		d.originalGroup(c, o)
	case "OrgnlInstrId":
		o.instruction = d.id(c)
	case "OrgnlEndToEndId":
		o.endToEnd = payments.EndToEndID(d.id(c))
	case "OrgnlTxId":
		o.transaction = d.id(c)
	case "OrgnlUETR":
		o.uetr = d.uetr(c)
	default:
		return false
	}
	return true
}

func (d *decoder) transactionStatus(i uint32, m *StatusReport, o *original) {
	for c, name := range d.children(i) {
		switch name {
		case "StsId":
			m.StatusID = d.id(c)
		case "TxSts":
			v := d.code(c)
			if m.Status != "" && v != m.Status {
				d.fail(c, "model.status", "another status than that of the group")
			}
			m.Status = v
		case "StsRsnInf":
			d.reason(c, m)
		case "AccptncDtTm":
			m.AcceptanceTime = d.time(c)
		case "FctvIntrBkSttlmDt":
			if k, kind := d.only(c); kind == "Dt" {
				m.SettleDate = d.date(k)
			} else if d.time(k); d.fault == nil {
				m.SettleDate = d.plain(k)[:len("2006-01-02")]
			}
		case "InstgAgt":
			d.agentOnce(c, &m.Instructing)
		case "InstdAgt":
			d.agentOnce(c, &m.Instructed)
		case "OrgnlTxRef":
			for k, name := range d.children(c) {
				if name == "IntrBkSttlmAmt" {
					m.OriginalAmount = d.amount(k)
				}
			}
		case "AcctSvcrRef", "ClrSysRef":
		default:
			if !d.originalTransactionElement(c, name, o) {
				d.outside(c)
			}
		}
	}
}

// reason reads the first StsRsnInf.
func (d *decoder) reason(i uint32, m *StatusReport) {
	if m.Reason != "" || m.ReasonPrtry != "" || m.ReasonInfo != "" {
		return
	}
	for c, name := range d.children(i) {
		switch name {
		case "Rsn":
			m.Reason, m.ReasonPrtry = d.choice(c)
		case "AddtlInf":
			if m.ReasonInfo == "" {
				m.ReasonInfo = d.text(c)
			}
		case "Orgtr":
		default:
			d.outside(c)
		}
	}
}

// DecodeStatusRequest scans, validates and reads a Document of pacs.028.001.03 about exactly one transaction. The error is a
// *Fault. Passed over: OrgnlCtrlSum, ClrSysRef, OrgnlTxRef.
func DecodeStatusRequest(b []byte) (*StatusRequest, error) {
	return decode(b, (*decoder).statusRequest, StatusRequestV3)
}

func (d *decoder) statusRequest(m *StatusRequest) {
	transaction := false
	var o original
	for c, name := range d.children(1) {
		switch name {
		case "GrpHdr":
			d.statusHeader(c, &m.MessageID, &m.Created, &m.Instructing, &m.Instructed)
		case "OrgnlGrpInf":
			if m.GroupLevel {
				d.repeated(c)
			}
			m.GroupLevel = true
			d.originalGroup(c, &o)
		case "TxInf":
			if transaction {
				d.fail(c, "model.transactions", "a second transaction")
			}
			transaction = true
			d.requestTransaction(c, m, &o)
		default:
			d.outside(c)
		}
	}
	if !transaction && !m.GroupLevel {
		d.fail(1, "model.missing", "no transaction")
	}
	m.OriginalMessageID, m.OriginalMsgName, m.OriginalCreated = o.messageID, o.msgName, o.created
	m.OriginalInstruction, m.OriginalEndToEnd, m.OriginalTransaction, m.OriginalUETR = o.instruction, o.endToEnd, o.transaction, o.uetr
}

func (d *decoder) requestTransaction(i uint32, m *StatusRequest, o *original) {
	for c, name := range d.children(i) {
		switch name {
		case "StsReqId":
			m.RequestID = d.id(c)
		case "AccptncDtTm":
			m.AcceptanceTime = d.time(c)
		case "InstgAgt":
			d.agentOnce(c, &m.Instructing)
		case "InstdAgt":
			d.agentOnce(c, &m.Instructed)
		case "ClrSysRef", "OrgnlTxRef":
		default:
			if !d.originalTransactionElement(c, name, o) {
				d.outside(c)
			}
		}
	}
}
