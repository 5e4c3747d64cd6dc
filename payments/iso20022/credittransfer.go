package iso20022

var creditTransfers = family{root: "Document", defs: []string{CreditTransferV8}, bodies: []string{"FIToFICstmrCdtTrf"}, make: func() Message { return new(CreditTransfer) }, proven: true}

// DecodeCreditTransfer scans, validates and reads a Document of pacs.008.001.08 with exactly one transaction, settled by clearing.
// The error is a *Fault. Passed over, besides what agents, parties and accounts pass over: in GrpHdr BtchBookg; in PmtId ClrSysRef; in
// PmtTpInf InstrPrty; SttlmPrty, SttlmTmIndctn, UltmtDbtr, InitgPty, UltmtCdtr, RltdRmtInf; in RmtInf what is no creditor reference
// (SCOR). Sums and the instructed amount must equal the amount.
func DecodeCreditTransfer(b []byte) (*CreditTransfer, error) { return decode[CreditTransfer](b) }

// Definition returns "pacs.008.001.08".
func (m *CreditTransfer) Definition() string { return CreditTransferV8 }

// Append appends the message as a Document; see Message.
func (m *CreditTransfer) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

func (m *CreditTransfer) family() *family { return &creditTransfers }

func (m *CreditTransfer) fields(x *codec) {
	h := transferHeader{m.GroupLevel, m.MessageID, m.Created, m.SettleDate, m.ClrSysCode, m.ClrSysPrtr, m.paymentType(), m.Amount, m.Instructing, m.Instructed, sums{}}
	x.transferHeader(&h)
	if x.transaction("CdtTrfTxInf") {
		x.paymentID(&m.InstructionID, &m.EndToEndID, &m.TransactionID, &m.UETR)
		x.transferAmount(&h)
		x.time("AccptncDtTm", &m.AcceptanceTime)
		x.sameAmount("InstdAmt", h.amount)
		x.chargeBearer(&m.ChargeBearer)
		x.agentOnce("InstgAgt", &h.instructing)
		x.agentOnce("InstdAgt", &h.instructed)
		x.pass("UltmtDbtr", "InitgPty")
		x.party("Dbtr", &m.Debtor)
		x.account("DbtrAcct", &m.Debtor, h.amount.Currency)
		x.requiredAgent("DbtrAgt", &m.Debtor.Agent)
		x.requiredAgent("CdtrAgt", &m.Creditor.Agent)
		x.party("Cdtr", &m.Creditor)
		x.account("CdtrAcct", &m.Creditor, h.amount.Currency)
		x.pass("UltmtCdtr")
		x.purpose(&m.Purpose)
		x.pass("RltdRmtInf")
		x.remittance(&m.Remittance, &m.Reference)
		x.supplementary(&m.Supplementary.Transaction)
		x.endTransaction("CdtTrfTxInf")
	}
	x.supplementary(&m.Supplementary.Message)
	if x.reading {
		m.GroupLevel, m.MessageID, m.Created, m.SettleDate, m.ClrSysCode, m.ClrSysPrtr = h.groupLevel, h.messageID, h.created, h.settleDate, h.clrSysCode, h.clrSysPrtry
		m.Amount, m.Instructing, m.Instructed = h.amount, h.instructing, h.instructed
		p := &h.paymentType
		m.ServiceLevel, m.LocalCode, m.LocalPrtry, m.CategoryCode, m.CategoryPrtry = p.ServiceLevel, p.LocalCode, p.LocalPrtry, p.CategoryCode, p.CategoryPrtry
	}
}

func (m *CreditTransfer) paymentType() PaymentType {
	return PaymentType{m.ServiceLevel, m.LocalCode, m.LocalPrtry, m.CategoryCode, m.CategoryPrtry}
}
