package rail

import (
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

// sctinst is SEPA Instant Credit Transfer as one clearing mechanism would carry it, by the EPC rulebooks of 2025. The schemes leave
// header, wrapper and the mechanism's own identity to the mechanism, so wrapper and service BIC are ours (a test BIC: its eighth
// character is 0); header.001.001.01 carries the addresses.
func sctinst() *Profile {
	envelope := Envelope{Namespace: "urn:parley:rail:sctinst:v1", Path: []string{"InstantMessage"}}
	return &Profile{
		Name:      "sctinst",
		Title:     "SEPA Instant",
		Currency:  "EUR",
		AmountMax: 999_999_999_99,
		Service:   "CSMIDEF0XXX",

		HeaderVersion: "head.001.001.01",
		In:            envelope,
		Out:           envelope,

		Definitions: []string{MsgTransfer, MsgStatus, MsgRequest, "pacs.004.001.09", "camt.056.001.08", "camt.029.001.09", "admi.002.001.01", "admi.004.001.02"},

		ClrSysPrtr:             "TIPS",
		ServiceLevel:           "SEPA",
		LocalCode:              "INST",
		ChargeBearer:           "SLEV",
		GroupLevel:             true,
		SettleDateRequired:     true,
		TransactionIDRequired:  true,
		AcceptanceTimeRequired: true,
		ReturnDef:              "pacs.004.001.09",
		Yes:                    "ACCP",
		Settled:                "ACCP", // the clearing mechanism confirms in the words of the creditor's bank
		SettledCreditor:        "ACSC",
		Pending:                "ACWP",
		Posted:                 "ACCC",
		ParticipantStatus:      []string{"ACCP", "RJCT"},
		Codes:                  Codes{NoFunds: "AM23", CreditorTimeout: "AB05", UnknownAgent: "RC07", TooLate: "TM01", NotFound: "AG09"},
		TimeResolution:         time.Millisecond,
		SizeMaxBytes:           64 << 10,

		Recovery:       Ask,
		RestorePayer:   true,
		AnswerTimeout:  10 * time.Second, // at the 10th second the payer's money is released and the enquiry sent
		ServiceTimeout: 7 * time.Second,  // hard limit at the clearing mechanism
		Ladder:         []time.Duration{0, 5 * time.Second, 30 * time.Second},
		CaseAfter:      2 * time.Minute,
		meanings:       sctinstMeanings,
		text:           payments.SEPAText,

		Returns: Returns{Ask: "camt.056.001.08", Answer: "camt.029.001.09", Message: "pacs.004.001.09", Reasons: []string{"FOCR", "AC04", "AC06", "AM05", "BE04", "MD07", "MS02", "MS03", "RR04"}},
		Recalls: []Recall{
			{Reason: "DUPL", Days: 10, Calendar: TARGET}, {Reason: "TECH", Days: 10, Calendar: TARGET}, {Reason: "FRAD", Months: 13},
			{Reason: "CUST", Months: 13}, {Reason: "AC03", Months: 13}, {Reason: "AM09", Months: 13},
		},

		Rules: append(commonRules("sctinst"),
			Rule{"sctinst.agent.bic", pathTx + "/InstgAgt" + pathBIC, "agents are BICs",
				func(_ *Profile, m *Message, _ Direction) string {
					for _, a := range agents(m) {
						if a.value.ID != "" && !a.value.ID.IsBIC() {
							return a.path + pathBIC
						}
					}
					return ""
				}},
			Rule{"sctinst.header.bic", "AppHdr/Fr", "Fr and To are BICs",
				func(_ *Profile, m *Message, _ Direction) string {
					switch {
					case !m.Header.From.IsBIC():
						return "AppHdr/Fr"
					case !m.Header.To.IsBIC():
						return "AppHdr/To"
					}
					return ""
				}},
			Rule{"sctinst.account.iban", pathTx + "/DbtrAcct/Id/IBAN", "accounts are IBANs",
				func(_ *Profile, m *Message, _ Direction) string {
					for _, x := range parties(m) {
						if !x.value.Account.IsIBAN() {
							return x.path + "Acct/Id/IBAN"
						}
					}
					return ""
				}},
			Rule{"sctinst.transaction.id", pathTx + "/PmtId/TxId", "the transaction id is mandatory",
				onTransfer(pathTx+"/PmtId/TxId", func(_ *Profile, t *iso20022.CreditTransfer) bool { return t.TransactionID != "" })},
			Rule{"sctinst.acceptance.time", pathTx + "/AccptncDtTm", "the acceptance time, which starts the clock, is mandatory",
				onTransfer(pathTx+"/AccptncDtTm", func(_ *Profile, t *iso20022.CreditTransfer) bool { return !t.AcceptanceTime.IsZero() })},
			Rule{"sctinst.remittance.one", pathTx + "/RmtInf", "remittance information is free text or one structured reference, not both",
				onTransfer(pathTx+"/RmtInf", func(_ *Profile, t *iso20022.CreditTransfer) bool { return t.Remittance == "" || t.Reference == "" })},
			Rule{"sctinst.text.charset", pathTx, "texts use only the SEPA characters: a-z A-Z 0-9 / - ? : ( ) . , ' + and space",
				func(_ *Profile, m *Message, _ Direction) string {
					for _, t := range texts(m) {
						if _, changes := payments.SEPAText(t.value); changes != nil {
							return t.path
						}
					}
					return ""
				}},
			Rule{"sctinst.id.slash", "Document", "an identifier neither starts nor ends with a slash nor has two in a row",
				func(_ *Profile, m *Message, _ Direction) string {
					for _, t := range references(m) {
						if strings.HasPrefix(t.value, "/") || strings.HasSuffix(t.value, "/") || strings.Contains(t.value, "//") {
							return t.path
						}
					}
					return ""
				}},
		),
	}
}

// references returns the message and transaction references of the document with their paths.
func references(m *Message) []placed[string] {
	switch {
	case m.Transfer != nil:
		t := m.Transfer
		return []placed[string]{
			{pathTransfer + "/GrpHdr/MsgId", t.MessageID}, {pathTx + "/PmtId/InstrId", t.InstructionID},
			{pathTx + "/PmtId/EndToEndId", string(t.EndToEndID)}, {pathTx + "/PmtId/TxId", t.TransactionID},
		}
	case m.Status != nil:
		return []placed[string]{{pathStatus + "/GrpHdr/MsgId", m.Status.MessageID}}
	case m.Request != nil:
		return []placed[string]{{pathRequest + "/GrpHdr/MsgId", m.Request.MessageID}}
	}
	return nil
}

// texts returns every free text of the document with its path: what a person or a bank wrote, identifiers included.
func texts(m *Message) []placed[string] {
	out := references(m)
	if t := m.Transfer; t != nil {
		out = append(out, placed[string]{pathTx + "/RmtInf/Ustrd", t.Remittance}, placed[string]{pathTx + "/RmtInf/Strd/CdtrRefInf/Ref", t.Reference})
	}
	for _, x := range parties(m) {
		a := x.value.Address
		out = append(out, placed[string]{x.path + "/Nm", x.value.Name.Reveal()},
			placed[string]{x.path + "/PstlAdr/StrtNm", a.Street}, placed[string]{x.path + "/PstlAdr/BldgNb", a.Building},
			placed[string]{x.path + "/PstlAdr/PstCd", a.PostCode}, placed[string]{x.path + "/PstlAdr/TwnNm", a.Town},
			placed[string]{x.path + "/PstlAdr/CtrySubDvsn", a.Region})
	}
	if s := m.Status; s != nil {
		out = append(out, placed[string]{pathStatusTx + "/StsRsnInf/AddtlInf", s.ReasonInfo})
	}
	return out
}
