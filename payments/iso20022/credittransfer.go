package iso20022

import (
	"strings"

	"github.com/parleypay/parley/payments"
)

// Append appends the message as <Document xmlns="…">…</Document>, in canonical bytes without an XML declaration. If it fails, with
// a *Fault, dst is returned as it was.
func (m *CreditTransfer) Append(dst []byte) ([]byte, error) {
	e := encoder{b: dst}
	e.root("Document", CreditTransferV8)
	e.begin("FIToFICstmrCdtTrf")

	e.begin("GrpHdr")
	e.required("MsgId", m.MessageID, 35)
	e.requiredTime("CreDtTm", m.Created)
	e.raw("NbOfTxs", "1")
	if m.GroupLevel {
		e.amount("TtlIntrBkSttlmAmt", m.Amount)
		e.date("IntrBkSttlmDt", m.SettleDate)
	}
	e.begin("SttlmInf")
	e.raw("SttlmMtd", "CLRG")
	e.choice("ClrSys", m.ClrSysCode, 3, m.ClrSysPrtr)
	e.end()
	if m.GroupLevel {
		m.paymentType(&e)
	}
	e.end()

	e.begin("CdtTrfTxInf")
	e.begin("PmtId")
	e.id("InstrId", m.InstructionID, 35)
	e.required("EndToEndId", string(m.EndToEndID), 35)
	e.id("TxId", m.TransactionID, 35)
	e.uetr("UETR", m.UETR)
	e.end()
	if !m.GroupLevel {
		m.paymentType(&e)
	}
	e.amount("IntrBkSttlmAmt", m.Amount)
	if !m.GroupLevel {
		e.date("IntrBkSttlmDt", m.SettleDate)
	}
	e.time("AccptncDtTm", m.AcceptanceTime)
	switch m.ChargeBearer {
	case "DEBT", "CRED", "SHAR", "SLEV":
		e.raw("ChrgBr", m.ChargeBearer)
	default:
		e.fail("ChrgBr", "model.code", "neither DEBT, CRED, SHAR nor SLEV")
	}
	e.agent("InstgAgt", m.Instructing)
	e.agent("InstdAgt", m.Instructed)
	e.party("Dbtr", &m.Debtor)
	e.account("DbtrAcct", m.Debtor.Account)
	e.requiredAgent("DbtrAgt", m.Debtor.Agent)
	e.requiredAgent("CdtrAgt", m.Creditor.Agent)
	e.party("Cdtr", &m.Creditor)
	e.account("CdtrAcct", m.Creditor.Account)
	if m.Purpose != "" {
		e.begin("Purp")
		e.code("Cd", m.Purpose, 4)
		e.end()
	}
	m.remittance(&e)
	e.end()

	e.end()
	e.end()
	return e.finish()
}

func (m *CreditTransfer) paymentType(e *encoder) {
	if m.ServiceLevel+m.LocalCode+m.LocalPrtry+m.CategoryCode+m.CategoryPrtry == "" {
		return
	}
	e.begin("PmtTpInf")
	e.choice("SvcLvl", m.ServiceLevel, 4, "")
	e.choice("LclInstrm", m.LocalCode, 35, m.LocalPrtry)
	e.choice("CtgyPurp", m.CategoryCode, 4, m.CategoryPrtry)
	e.end()
}

func (m *CreditTransfer) remittance(e *encoder) {
	if m.Remittance == "" && m.Reference == "" {
		return
	}
	e.begin("RmtInf")
	e.text("Ustrd", m.Remittance, 140)
	if m.Reference != "" {
		e.begin("Strd")
		e.begin("CdtrRefInf")
		e.begin("Tp")
		e.begin("CdOrPrtry")
		e.raw("Cd", "SCOR")
		e.end()
		e.end()
		e.id("Ref", m.Reference, 35)
		e.end()
		e.end()
	}
	e.end()
}

// DecodeCreditTransfer scans, validates and reads a Document of pacs.008.001.08 with exactly one transaction, settled by clearing.
// The error is a *Fault. Passed over, besides what agents, parties and accounts pass over: in GrpHdr BtchBookg; in PmtId ClrSysRef; in
// PmtTpInf InstrPrty; SttlmPrty, SttlmTmIndctn, UltmtDbtr, InitgPty, UltmtCdtr, RltdRmtInf; in RmtInf what is no creditor reference
// (SCOR). Sums and the instructed amount must equal the amount.
func DecodeCreditTransfer(b []byte) (*CreditTransfer, error) {
	return decode(b, (*decoder).creditTransfer, CreditTransferV8)
}

func (d *decoder) creditTransfer(m *CreditTransfer) {
	header, transaction := uint32(0), uint32(0)
	for c, name := range d.children(1) {
		switch {
		case name == "GrpHdr":
			header = c
		case name == "CdtTrfTxInf" && transaction == 0:
			transaction = c
		case name == "CdtTrfTxInf":
			d.fail(c, "model.transactions", "a second transaction")
		default:
			d.outside(c)
		}
		if d.fault != nil {
			return
		}
	}
	for c, name := range d.children(transaction) {
		if name == "IntrBkSttlmAmt" { // first, since others are compared with it
			m.Amount = d.amount(c)
		}
	}
	d.creditTransferHeader(header, m)
	d.creditTransferTransaction(transaction, m)
}

func (d *decoder) creditTransferHeader(i uint32, m *CreditTransfer) {
	for c, name := range d.children(i) {
		switch name {
		case "MsgId":
			m.MessageID = d.id(c)
		case "CreDtTm":
			m.Created = d.time(c)
		case "NbOfTxs":
			d.one(c)
		case "CtrlSum":
			if !sameDecimal(d.plain(c), m.Amount.Text()) {
				d.fail(c, "model.sum", "the control sum is not the amount")
			}
		case "TtlIntrBkSttlmAmt":
			m.GroupLevel = true
			d.same(c, m.Amount)
		case "IntrBkSttlmDt":
			m.GroupLevel = true
			m.SettleDate = d.date(c)
		case "SttlmInf":
			d.settlement(c, m)
		case "PmtTpInf":
			m.GroupLevel = true
			d.paymentType(c, m)
		case "InstgAgt":
			m.Instructing = d.agent(c)
		case "InstdAgt":
			m.Instructed = d.agent(c)
		case "BtchBookg":
		default:
			d.outside(c)
		}
	}
}

// same refuses an amount other than that of the payment.
func (d *decoder) same(i uint32, a payments.Amount) {
	if d.amount(i) != a {
		d.fail(i, "model.sum", "not the amount of the payment")
	}
}

// settlement reads SttlmInf: only clearing, without accounts or agents of reimbursement.
func (d *decoder) settlement(i uint32, m *CreditTransfer) {
	for c, name := range d.children(i) {
		switch name {
		case "SttlmMtd":
			if d.plain(c) != "CLRG" {
				d.fail(c, "model.settlement", "settlement other than by clearing (CLRG)")
			}
		case "ClrSys":
			m.ClrSysCode, m.ClrSysPrtr = d.choice(c)
		default:
			d.outside(c)
		}
	}
}

func (d *decoder) paymentType(i uint32, m *CreditTransfer) {
	for c, name := range d.children(i) {
		switch name {
		case "SvcLvl":
			k, kind := d.only(c)
			switch {
			case m.ServiceLevel != "":
				d.repeated(c)
			case kind != "Cd":
				d.outside(k)
			}
			m.ServiceLevel = d.code(k)
		case "LclInstrm":
			m.LocalCode, m.LocalPrtry = d.choice(c)
		case "CtgyPurp":
			m.CategoryCode, m.CategoryPrtry = d.choice(c)
		case "InstrPrty":
		default:
			d.outside(c)
		}
	}
}

func (d *decoder) creditTransferTransaction(i uint32, m *CreditTransfer) {
	for c, name := range d.children(i) {
		switch name {
		case "PmtId":
			d.paymentID(c, m)
		case "PmtTpInf":
			if m.ServiceLevel+m.LocalCode+m.LocalPrtry+m.CategoryCode+m.CategoryPrtry != "" {
				d.repeated(c)
			}
			d.paymentType(c, m)
		case "IntrBkSttlmAmt": // read before
		case "IntrBkSttlmDt":
			if m.SettleDate != "" {
				d.repeated(c)
			}
			m.SettleDate = d.date(c)
		case "AccptncDtTm":
			m.AcceptanceTime = d.time(c)
		case "InstdAmt":
			d.same(c, m.Amount)
		case "ChrgBr":
			m.ChargeBearer = d.code(c)
		case "InstgAgt":
			d.agentOnce(c, &m.Instructing)
		case "InstdAgt":
			d.agentOnce(c, &m.Instructed)
		case "Dbtr":
			d.party(c, &m.Debtor)
		case "DbtrAcct":
			m.Debtor.Account = d.account(c, m.Amount.Currency)
		case "DbtrAgt":
			m.Debtor.Agent = d.agent(c)
		case "CdtrAgt":
			m.Creditor.Agent = d.agent(c)
		case "Cdtr":
			d.party(c, &m.Creditor)
		case "CdtrAcct":
			m.Creditor.Account = d.account(c, m.Amount.Currency)
		case "Purp":
			k, kind := d.only(c)
			if kind != "Cd" {
				d.outside(k)
			}
			m.Purpose = d.code(k)
		case "RmtInf":
			d.remittance(c, m)
		case "SttlmPrty", "SttlmTmIndctn", "UltmtDbtr", "InitgPty", "UltmtCdtr", "RltdRmtInf":
		default:
			d.outside(c)
		}
	}
}

// agentOnce reads an agent that may stand in the group header or in the transaction, not in both.
func (d *decoder) agentOnce(i uint32, a *Agent) {
	if *a != (Agent{}) {
		d.repeated(i)
	}
	*a = d.agent(i)
}

func (d *decoder) paymentID(i uint32, m *CreditTransfer) {
	for c, name := range d.children(i) {
		switch name {
		case "InstrId":
			m.InstructionID = d.id(c)
		case "EndToEndId":
			m.EndToEndID = payments.EndToEndID(d.id(c))
		case "TxId":
			m.TransactionID = d.id(c)
		case "UETR":
			m.UETR = d.uetr(c)
		case "ClrSysRef":
		default:
			d.outside(c)
		}
	}
}

// remittance reads RmtInf: one unstructured text, and one creditor reference.
func (d *decoder) remittance(i uint32, m *CreditTransfer) {
	for c, name := range d.children(i) {
		switch name {
		case "Ustrd":
			if m.Remittance != "" {
				d.repeated(c)
			}
			m.Remittance = d.text(c)
		case "Strd":
			for k, name := range d.children(c) {
				if name == "CdtrRefInf" {
					d.reference(k, m)
				}
			}
		default:
			d.outside(c)
		}
	}
}

// reference reads CdtrRefInf if its type is the code SCOR.
func (d *decoder) reference(i uint32, m *CreditTransfer) {
	scor := false
	for c, name := range d.children(i) {
		switch name {
		case "Tp":
			k, kind := d.only(c + 1) // in CdOrPrtry
			scor = kind == "Cd" && d.code(k) == "SCOR"
		case "Ref":
			if !scor {
				return
			}
			if m.Reference != "" {
				d.repeated(c)
			}
			m.Reference = d.id(c)
		}
	}
}

// sameDecimal reports whether two plain decimal numbers are equal. A text in any other form equals none.
func sameDecimal(a, b string) bool {
	norm := func(s string) (whole, fraction string, ok bool) {
		whole, fraction, point := strings.Cut(s, ".")
		ok = whole != "" && (!point || fraction != "")
		for i := range len(s) {
			ok = ok && (s[i] == '.' || isDigit(s[i]))
		}
		ok = ok && !strings.Contains(fraction, ".")
		return strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0"), ok
	}
	aw, af, aok := norm(a)
	bw, bf, bok := norm(b)
	return aok && bok && aw == bw && af == bf
}
