package iso20022

import "github.com/parleypay/parley/payments"

var (
	paymentRequests = family{root: "Document", defs: []string{PaymentRequestV7}, bodies: []string{"CdtrPmtActvtnReq"}, make: func() Message { return new(PaymentRequest) }}
	requestAnswers  = family{root: "Document", defs: []string{RequestAnswerV7}, bodies: []string{"CdtrPmtActvtnReqStsRpt"}, make: func() Message { return new(RequestAnswer) }}
)

// DecodePaymentRequest scans, validates and reads a Document of pain.013.001.07 that asks for exactly one credit transfer. The error is a
// *Fault. Refused: cheques, amounts in another currency than the account's, rebates, intermediaries, instructions, tax and reports.
// Passed over: UltmtDbtr, UltmtCdtr, RltdRmtInf, NclsdFile, and what parties, agents, accounts and remittance pass over.
func DecodePaymentRequest(b []byte) (*PaymentRequest, error) { return decode[PaymentRequest](b) }

// Definition returns "pain.013.001.07".
func (m *PaymentRequest) Definition() string { return PaymentRequestV7 }

// Append appends the message as a Document; see Message.
func (m *PaymentRequest) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

func (m *PaymentRequest) family() *family { return &paymentRequests }

func (m *PaymentRequest) fields(x *codec) {
	var s sums
	if x.begin("GrpHdr") {
		x.required("MsgId", &m.MessageID)
		x.requiredTime("CreDtTm", &m.Created)
		x.one("NbOfTxs")
		if x.reading {
			s.control, _ = x.take("CtrlSum")
		}
		x.initiator(&m.Initiator)
		x.end()
	}
	if x.transaction("PmtInf") {
		x.id("PmtInfId", &m.PaymentInfoID, 35)
		x.fixed("PmtMtd", "TRF", "model.settlement", "other than a transfer (TRF)")
		x.paymentType(&m.PaymentType)
		x.moment("ReqdExctnDt", &m.Execution)
		x.moment("XpryDt", &m.Expiry)
		x.conditions(&m.Conditions)
		x.party("Dbtr", &m.Debtor)
		x.account("DbtrAcct", &m.Debtor, "") // it may be in another currency than the amount
		x.requiredAgent("DbtrAgt", &m.Debtor.Agent)
		x.pass("UltmtDbtr")
		if x.reading {
			x.code("ChrgBr", &m.ChargeBearer, 4)
		}
		if x.transaction("CdtTrfTx") {
			m.transaction(x, s)
			x.endTransaction("CdtTrfTx")
		}
		x.endTransaction("PmtInf")
	}
	x.supplementary(&m.Supplementary.Message)
}

func (m *PaymentRequest) transaction(x *codec, s sums) {
	if x.begin("PmtId") {
		x.id("InstrId", &m.InstructionID, 35)
		x.required("EndToEndId", (*string)(&m.EndToEndID))
		x.uetr("UETR", &m.UETR)
		x.end()
	}
	if x.reading {
		x.once("PmtTpInf", m.PaymentType != (PaymentType{}))
		x.paymentType(&m.PaymentType)
		x.once("PmtCond", m.Conditions != nil)
		x.conditions(&m.Conditions)
	}
	x.instructedAmount(&m.Amount)
	if x.reading {
		x.checkSums(s, m.Amount)
	}
	bearer := m.ChargeBearer
	if x.chargeBearer(&m.ChargeBearer); bearer != "" && bearer != m.ChargeBearer {
		x.fail("", "model.repeated", "another charge bearer than that of the instruction")
	}
	x.pass("UltmtDbtr")
	x.requiredAgent("CdtrAgt", &m.Creditor.Agent)
	x.party("Cdtr", &m.Creditor)
	x.account("CdtrAcct", &m.Creditor, m.Amount.Currency)
	x.pass("UltmtCdtr")
	x.purpose(&m.Purpose)
	x.pass("RltdRmtInf")
	x.remittance(&m.Remittance, &m.Reference)
	x.pass("NclsdFile")
	x.supplementary(&m.Supplementary.Transaction)
}

// conditions is PmtCond. A rebate is refused, since it changes the amount.
func (x *codec) conditions(p **Conditions) {
	if !x.reading && *p == nil || !x.begin("PmtCond") {
		return
	}
	if *p == nil {
		*p = new(Conditions)
	}
	c := *p
	x.boolean("AmtModAllwd", &c.AmountChange)
	x.boolean("EarlyPmtAllwd", &c.Early)
	x.text("DelyPnlty", &c.LatePenalty, 140)
	x.boolean("GrntedPmtReqd", &c.Guaranteed)
	x.end()
}

// DecodeRequestAnswer scans, validates and reads a Document of pain.014.001.07 about exactly one transaction, which has a status. The
// error is a *Fault. Passed over: OrgnlCtrlSum, NbOfTxsPerSts, AcctSvcrRef, ClrSysRef, NclsdFile and what originalDetails passes over.
func DecodeRequestAnswer(b []byte) (*RequestAnswer, error) { return decode[RequestAnswer](b) }

// Definition returns "pain.014.001.07".
func (m *RequestAnswer) Definition() string { return RequestAnswerV7 }

// Append appends the message as a Document; see Message.
func (m *RequestAnswer) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

func (m *RequestAnswer) family() *family { return &requestAnswers }

func (m *RequestAnswer) fields(x *codec) {
	if x.begin("GrpHdr") {
		x.required("MsgId", &m.MessageID)
		x.requiredTime("CreDtTm", &m.Created)
		x.initiator(&m.Initiator)
		x.agent("DbtrAgt", &m.Debtor)
		x.agent("CdtrAgt", &m.Creditor)
		x.end()
	}
	instruction := x.reading || m.Original.PaymentInfoID != ""
	if x.begin("OrgnlGrpInfAndSts") {
		x.originalMessage(&m.Original)
		x.passOne("OrgnlNbOfTxs")
		x.pass("OrgnlCtrlSum")
		if x.reading || !instruction {
			m.status(x, "GrpSts")
		}
		x.pass("NbOfTxsPerSts")
		x.end()
	}
	if x.begin("OrgnlPmtInfAndSts") {
		x.id("OrgnlPmtInfId", &m.Original.PaymentInfoID, 35)
		x.passOne("OrgnlNbOfTxs")
		x.pass("OrgnlCtrlSum")
		if x.reading {
			m.status(x, "PmtInfSts")
		}
		x.pass("NbOfTxsPerSts")
		if x.begin("TxInfAndSts") {
			m.transaction(x, instruction)
			x.endTransaction("TxInfAndSts")
		}
		x.endTransaction("OrgnlPmtInfAndSts")
	}
	x.supplementary(&m.Supplementary.Message)
	if m.Status == "" {
		x.missing("")
	}
}

func (m *RequestAnswer) transaction(x *codec, instruction bool) {
	o := &m.Original
	x.noPlace("OrgnlTxId", o.TransactionID != "" || o.Amount != (payments.Amount{}) || o.Date != "")
	x.id("StsId", &m.StatusID, 35)
	x.id("OrgnlInstrId", &o.InstructionID, 35)
	x.endToEnd("OrgnlEndToEndId", &o.EndToEndID)
	x.uetr("OrgnlUETR", &o.UETR)
	if instruction {
		m.status(x, "TxSts")
	}
	x.acceptance(&m.Accepted)
	x.time("DbtrDcsnDtTm", &m.Decided)
	x.time("AccptncDtTm", &m.AcceptanceTime)
	x.pass("AcctSvcrRef", "ClrSysRef")
	x.originalDetails(&m.Details)
	x.pass("NclsdFile")
	x.supplementary(&m.Supplementary.Transaction)
}

// status is a status with its reason, which may stand in several places that must agree.
func (m *RequestAnswer) status(x *codec, name string) {
	before := m.Status
	if x.code(name, &m.Status, 4); before != "" && m.Status != before {
		x.fail("", "model.status", "another status than that of the group")
	}
	x.once("StsRsnInf", !m.Reason.none())
	x.reason("StsRsnInf", &m.Reason)
}

// acceptance is PmtCondSts.
func (x *codec) acceptance(p **Acceptance) {
	if !x.reading && *p == nil || !x.begin("PmtCondSts") {
		return
	}
	if *p == nil {
		*p = new(Acceptance)
	}
	x.amount("AccptdAmt", &(*p).Amount)
	x.boolean("GrntedPmt", &(*p).Guaranteed)
	x.boolean("EarlyPmt", &(*p).Early)
	x.end()
}
