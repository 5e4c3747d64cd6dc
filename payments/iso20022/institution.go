package iso20022

import "github.com/parleypay/parley/payments"

var institutionTransfers = family{root: "Document", defs: []string{InstitutionTransferV8}, bodies: []string{"FICdtTrf"}, make: func() Message { return new(InstitutionTransfer) }}

// DecodeInstitutionTransfer scans, validates and reads a Document of pacs.009.001.08 with exactly one transaction, settled by clearing.
// The error is a *Fault. A cover payment (UndrlygCstmrCdtTrf) is refused. Passed over, besides what agents and accounts pass over:
// BtchBookg, ClrSysRef, InstrPrty, SttlmPrty, SttlmTmIndctn, UltmtDbtr, UltmtCdtr.
func DecodeInstitutionTransfer(b []byte) (*InstitutionTransfer, error) {
	return decode[InstitutionTransfer](b)
}

// Definition returns "pacs.009.001.08".
func (m *InstitutionTransfer) Definition() string { return InstitutionTransferV8 }

// Append appends the message as a Document; see Message.
func (m *InstitutionTransfer) Append(dst []byte) ([]byte, error) { return Format{}.Append(dst, m) }

func (m *InstitutionTransfer) family() *family { return &institutionTransfers }

func (m *InstitutionTransfer) fields(x *codec) {
	h := transferHeader{m.GroupLevel, m.MessageID, m.Created, m.SettleDate, m.ClrSysCode, m.ClrSysPrtry, m.PaymentType, m.Amount, m.Instructing, m.Instructed, sums{}}
	x.transferHeader(&h)
	if x.transaction("CdtTrfTxInf") {
		x.paymentID(&m.InstructionID, &m.EndToEndID, &m.TransactionID, &m.UETR)
		x.transferAmount(&h)
		x.agentOnce("InstgAgt", &h.instructing)
		x.agentOnce("InstdAgt", &h.instructed)
		x.pass("UltmtDbtr")
		x.requiredAgent("Dbtr", &m.Debtor.Agent)
		x.institutionAccount("DbtrAcct", &m.Debtor.Account, h.amount.Currency)
		x.agent("DbtrAgt", &m.Debtor.Correspondent)
		x.agent("CdtrAgt", &m.Creditor.Correspondent)
		x.requiredAgent("Cdtr", &m.Creditor.Agent)
		x.institutionAccount("CdtrAcct", &m.Creditor.Account, h.amount.Currency)
		x.pass("UltmtCdtr")
		x.purpose(&m.Purpose)
		if x.begin("RmtInf") {
			x.text("Ustrd", &m.Remittance, 140)
			x.end()
		}
		x.supplementary(&m.Supplementary.Transaction)
		x.endTransaction("CdtTrfTxInf")
	}
	x.supplementary(&m.Supplementary.Message)
	if x.reading {
		m.GroupLevel, m.MessageID, m.Created, m.SettleDate, m.ClrSysCode, m.ClrSysPrtry = h.groupLevel, h.messageID, h.created, h.settleDate, h.clrSysCode, h.clrSysPrtry
		m.PaymentType, m.Amount, m.Instructing, m.Instructed = h.paymentType, h.amount, h.instructing, h.instructed
	}
}

// institutionAccount is the account of a bank, in the currency of the payment.
func (x *codec) institutionAccount(name string, a *payments.Account, payment payments.Currency) {
	var currency payments.Currency
	if x.accountIn(name, a, &currency); currency != "" && currency != payment {
		x.fail(name, "model.currency", "the account is in another currency than the payment")
	}
}
