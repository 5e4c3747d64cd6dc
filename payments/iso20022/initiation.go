package iso20022

import "github.com/parleypay/parley/payments"

var (
	initiations       = family{root: "Document", defs: []string{InitiationV3, InitiationV9}, bodies: []string{"CstmrCdtTrfInitn"}, make: func() Message { return new(Initiation) }}
	initiationReports = family{root: "Document", defs: []string{InitiationReportV3, InitiationReportV10}, bodies: []string{"CstmrPmtStsRpt"}, make: func() Message { return new(InitiationReport) }}
)

// DecodeInitiation scans, validates and reads a Document of pain.001.001.03 or .09. The error is a *Fault. Numbers of transactions and
// control sums must be right. Refused: cheques, amounts in another currency than the account's, exchange rates, intermediaries,
// instructions, tax and reports. Passed over: Authstn, FwdgAgt, PoolgAdjstmntDt, DbtrAgtAcct, UltmtDbtr, ChrgsAcct, ChrgsAcctAgt,
// CdtrAgtAcct, UltmtCdtr, RltdRmtInf, and what parties, agents, accounts and remittance pass over.
func DecodeInitiation(b []byte) (*Initiation, error) { return decode[Initiation](b) }

// Definition returns MsgDef.
func (m *Initiation) Definition() string { return m.MsgDef }

// Append appends the message as a Document; see Message.
func (m *Initiation) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

func (m *Initiation) family() *family { return &initiations }

func (m *Initiation) fields(x *codec) {
	x.version(&m.MsgDef)
	var all tally
	for i := range m.Batches {
		all.add(&m.Batches[i])
	}
	var s sums
	if x.begin("GrpHdr") {
		x.required("MsgId", &m.MessageID)
		x.requiredTime("CreDtTm", &m.Created)
		x.pass("Authstn")
		x.tally(&all, &s)
		x.initiator(&m.Initiator)
		x.pass("FwdgAgt")
		x.end()
	}
	list(x, "PmtInf", &m.Batches, (*codec).batch)
	if x.reading {
		for i := range m.Batches {
			all.add(&m.Batches[i])
		}
		x.checkTally(&all, s)
	}
	x.supplementary(&m.Supplementary)
}

// batch is the content of PmtInf.
func (x *codec) batch(b *Batch) {
	var t tally
	t.add(b)
	var s sums
	x.required("PmtInfId", &b.ID)
	x.fixed("PmtMtd", "TRF", "model.settlement", "other than a transfer (TRF)")
	x.optionalBoolean("BtchBookg", &b.BatchBooking)
	x.tally(&t, &s)
	x.paymentType(&b.PaymentType)
	x.execution("ReqdExctnDt", &b.Execution)
	x.pass("PoolgAdjstmntDt")
	x.party("Dbtr", &b.Debtor)
	x.account("DbtrAcct", &b.Debtor, "") // it may be in another currency than the amounts
	x.requiredAgent("DbtrAgt", &b.Debtor.Agent)
	x.pass("DbtrAgtAcct", "UltmtDbtr")
	x.optionalBearer(&b.ChargeBearer)
	x.pass("ChrgsAcct", "ChrgsAcctAgt")
	list(x, "CdtTrfTxInf", &b.Payments, (*codec).initiatedPayment)
	for i := range b.Payments {
		switch p := &b.Payments[i]; {
		case b.PaymentType != (PaymentType{}) && p.PaymentType != (PaymentType{}):
			x.fail("PmtTpInf", "model.repeated", "a payment type both of the batch and of a payment in it")
		case b.ChargeBearer != "" && p.ChargeBearer != "":
			x.fail("ChrgBr", "model.repeated", "a charge bearer both of the batch and of a payment in it")
		}
	}
	if x.reading {
		t = tally{}
		t.add(b)
		x.checkTally(&t, s)
	}
}

// initiatedPayment is the content of CdtTrfTxInf.
func (x *codec) initiatedPayment(p *InitiatedPayment) {
	if x.begin("PmtId") {
		x.id("InstrId", &p.InstructionID, 35)
		x.required("EndToEndId", (*string)(&p.EndToEndID))
		x.uetr("UETR", &p.UETR)
		x.end()
	}
	x.paymentType(&p.PaymentType)
	x.instructedAmount(&p.Amount)
	x.optionalBearer(&p.ChargeBearer)
	x.pass("UltmtDbtr")
	x.agent("CdtrAgt", &p.Creditor.Agent)
	x.pass("CdtrAgtAcct")
	x.someoneOf("Cdtr", &p.Creditor)
	x.account("CdtrAcct", &p.Creditor, p.Amount.Currency)
	x.pass("UltmtCdtr")
	x.purpose(&p.Purpose)
	x.pass("RltdRmtInf")
	x.remittance(&p.Remittance, &p.Reference)
	x.supplementary(&p.Supplementary)
}

// optionalBearer is ChrgBr that need not be given.
func (x *codec) optionalBearer(v *string) {
	if x.reading || *v != "" {
		x.chargeBearer(v)
	}
}

// tally counts payments and adds up their amounts.
type tally struct {
	number int
	total  total
}

func (t *tally) add(b *Batch) {
	t.number += len(b.Payments)
	for i := range b.Payments {
		t.total.add(b.Payments[i].Amount)
	}
}

// tally is NbOfTxs and CtrlSum, which are noted while reading, to be checked by checkTally.
func (x *codec) tally(t *tally, s *sums) {
	if x.reading {
		s.total, _ = x.take("NbOfTxs")
		s.control, _ = x.take("CtrlSum")
		return
	}
	x.raw("NbOfTxs", string(payments.Amount{Minor: int64(t.number), Currency: "JPY"}.AppendText(nil)))
	if sum := t.total.text(); sum != "" {
		x.raw("CtrlSum", sum)
	} else {
		x.fail("CtrlSum", "model.sum", "more than 18 digits")
	}
}

func (x *codec) checkTally(t *tally, s sums) {
	number := string(payments.Amount{Minor: int64(t.number), Currency: "JPY"}.AppendText(nil))
	if s.total > 0 && x.fault == nil && x.plainOf(s.total) != number {
		x.failAt(s.total, "model.transactions", "not the number of transactions that follow")
	}
	if s.control > 0 && x.fault == nil && !sameDecimal(x.plainOf(s.control), t.total.text()) {
		x.failAt(s.control, "model.sum", "the control sum is not the sum of the amounts")
	}
}

// DecodeInitiationReport scans, validates and reads a Document of pain.002.001.03 or .10. The error is a *Fault. Passed over: FwdgAgt,
// OrgnlNbOfTxs, OrgnlCtrlSum, NbOfTxsPerSts, ChrgsInf, TrckrData, ClrSysRef and what originalDetails passes over.
func DecodeInitiationReport(b []byte) (*InitiationReport, error) { return decode[InitiationReport](b) }

// Definition returns MsgDef.
func (m *InitiationReport) Definition() string { return m.MsgDef }

// Append appends the message as a Document; see Message.
func (m *InitiationReport) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

func (m *InitiationReport) family() *family { return &initiationReports }

func (m *InitiationReport) fields(x *codec) {
	x.version(&m.MsgDef)
	if x.begin("GrpHdr") {
		x.required("MsgId", &m.MessageID)
		x.requiredTime("CreDtTm", &m.Created)
		x.someone("InitgPty", &m.Initiator)
		x.pass("FwdgAgt")
		x.agent("DbtrAgt", &m.Debtor)
		x.agent("CdtrAgt", &m.Creditor)
		x.end()
	}
	if x.begin("OrgnlGrpInfAndSts") {
		o := Original{MessageID: m.OriginalMessageID, MessageName: m.OriginalMsgName, Created: m.OriginalCreated}
		if x.reading {
			o = Original{}
		}
		x.originalMessage(&o)
		m.OriginalMessageID, m.OriginalMsgName, m.OriginalCreated = o.MessageID, o.MessageName, o.Created
		x.status("GrpSts", &m.Status, &m.Reasons)
		x.end()
	}
	list(x, "OrgnlPmtInfAndSts", &m.Batches, (*codec).batchStatus)
	x.supplementary(&m.Supplementary)
}

// status is a status with its reasons, between what only counts.
func (x *codec) status(name string, status *string, reasons *[]Reason) {
	x.pass("OrgnlNbOfTxs", "OrgnlCtrlSum")
	x.code(name, status, 4)
	list(x, "StsRsnInf", reasons, (*codec).reasonContent)
	x.pass("NbOfTxsPerSts")
}

func (x *codec) batchStatus(b *BatchStatus) {
	x.required("OrgnlPmtInfId", &b.ID)
	x.status("PmtInfSts", &b.Status, &b.Reasons)
	list(x, "TxInfAndSts", &b.Payments, (*codec).paymentStatus)
}

func (x *codec) paymentStatus(p *PaymentStatus) {
	x.id("StsId", &p.StatusID, 35)
	x.id("OrgnlInstrId", &p.InstructionID, 35)
	x.endToEnd("OrgnlEndToEndId", &p.EndToEndID)
	x.uetr("OrgnlUETR", &p.UETR)
	x.status("TxSts", &p.Status, &p.Reasons)
	x.pass("ChrgsInf", "TrckrData")
	x.time("AccptncDtTm", &p.AcceptanceTime)
	x.id("AcctSvcrRef", &p.ServicerRef, 35)
	x.pass("ClrSysRef")
	x.originalDetails(&p.Details)
	x.supplementary(&p.Supplementary)
}
