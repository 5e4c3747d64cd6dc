package rail

import (
	"crypto/sha256"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

// pix is Pix over the SPI, Brazil's instant payments: messages of the central bank's own namespaces, built on pacs.008.001.09 and
// pacs.002.001.10. Source: the public message catalogue 5.13 of Banco Central do Brasil, in apolzek/open-pix.
func pix() *Profile {
	return &Profile{
		Name:      "pix",
		Title:     "Pix",
		Currency:  "BRL",
		AmountMax: 999_999_999_999_99, // the scheme sets none: limits are each institution's
		Service:   "00038166",         // the central bank

		HeaderVersion: "head.001.001.01", // built on it, in the message's own namespace
		Definitions:   []string{msgPixRejection, MsgStatus, msgPixReturn, MsgTransfer},
		form:          pixForm{},

		LocalPrtry:             []string{"MANU", "DICT", "QRDN", "QRES", "INIC", "AUTO", "APDN", "APES"},
		Purposes:               []string{"IPAY", "GSCB", "IPRT", "OTHR", "REFU"},
		ChargeBearer:           "SLEV",
		AcceptanceTimeRequired: true,
		NoUETR:                 true,
		NoCreditorName:         true,
		NoAddress:              true,
		PlainReference:         true,
		OriginalByEndToEnd:     true,
		ReturnDef:              msgPixReturn,
		Yes:                    "ACSP",
		Settled:                "ACSC",
		Pending:                "ACSP",
		Posted:                 "ACSC",
		SettledCreditor:        "ACCC",
		ParticipantStatus:      []string{"ACSP", "RJCT"},
		Codes:                  Codes{NoFunds: "AM04", CreditorTimeout: "AB03", UnknownAgent: "RC10", TooLate: "AB03"},
		TimeResolution:         time.Millisecond,
		SizeMaxBytes:           64 << 10,
		ids: identifiers{message: pixMessageID, transfer: pixTransferIDs,
			intent: func(t *iso20022.CreditTransfer) payments.EndToEndID { return payments.EndToEndID(t.TransactionID) }},

		Recovery:       Wait,
		AnswerTimeout:  45 * time.Second, // the central bank refuses after 40 s
		ServiceTimeout: 40 * time.Second,
		CaseAfter:      2 * time.Minute,
		meanings:       pixMeanings,

		Returns: Returns{Message: "pacs.004.spi.1.5", Reasons: []string{"BE08", "FR01", "MD06", "SL02"}, Partial: true, Days: 90},

		Rules: append( // What the structure demands anyway is no rule of its own.
			commonRules("pix", "message.kind", "header.version", "header.duplicate", "clearing.system", "settlement.date", "service.level", "local.instrument",
				"charge.bearer", "agent.required", "party.account", "party.name", "address.structured", "status.reason.code", "original.required"),
			Rule{"pix.structure", "Document", "the elements are those of the message catalogue, in their order, with texts of their format",
				func(*Profile, *Message, Direction) string { return "" }}, // judged while the envelope is opened
			Rule{"pix.header.ispb", "AppHdr/Fr", "Fr and To are ISPBs: 8 digits or capitals, not all zero",
				func(_ *Profile, m *Message, _ Direction) string {
					switch {
					case payments.CheckISPB(string(m.Header.From)) != nil:
						return "AppHdr/Fr"
					case payments.CheckISPB(string(m.Header.To)) != nil:
						return "AppHdr/To"
					}
					return ""
				}},
			Rule{"pix.header.id", "AppHdr/BizMsgIdr", "the header's id is the message id",
				func(_ *Profile, m *Message, _ Direction) string {
					if m.Header.BizMsgID != m.MessageID() {
						return "AppHdr/BizMsgIdr"
					}
					return ""
				}},
			Rule{"pix.msgid.sender", "AppHdr/BizMsgIdr", "the message id is M, the ISPB of a participant and 23 letters or digits, and a participant's is its own",
				func(p *Profile, m *Message, dir Direction) string {
					id := m.MessageID()
					// The document of a pacs.008 stays the participant's when the rail passes it on.
					if !fits(id, "M", alnumUp, 8, alnums, 23) || dir == ToService && id[1:9] != string(m.Header.From) {
						return "AppHdr/BizMsgIdr"
					}
					return ""
				}},
			Rule{"pix.agent.ispb", pathTx + "/DbtrAgt" + pathMember, "agents are ISPBs without the code of a system",
				func(_ *Profile, m *Message, _ Direction) string {
					for _, a := range agents(m) {
						if (m.Transfer != nil || a.value.ID != "") && (a.value.System != "" || payments.CheckISPB(string(a.value.ID)) != nil) {
							return a.path + pathMember
						}
					}
					return ""
				}},
			Rule{"pix.original.endtoend", pathStatusTx + "/OrgnlEndToEndId", "a report names its original by end-to-end id, and by the same or a return's id as OrgnlInstrId",
				func(_ *Profile, m *Message, _ Direction) string {
					switch s := m.Status; {
					case s == nil:
					case payments.CheckPixEndToEndID(string(s.OriginalEndToEnd)) != nil:
						return pathStatusTx + "/OrgnlEndToEndId"
					case s.OriginalInstruction != string(s.OriginalEndToEnd) && payments.CheckPixReturnID(s.OriginalInstruction) != nil:
						return pathStatusTx + "/OrgnlInstrId"
					}
					return ""
				}},
			Rule{"pix.priority.level", pathTransfer + "/GrpHdr/PmtTpInf/SvcLvl", "priority HIGH goes with service level PAGPRI, NORM with PAGAGD or PAGFRD",
				onWire(func(_ *Profile, o *opened) string {
					t, ok := o.documentAt.Child("FIToFICstmrCdtTrf", "GrpHdr", "PmtTpInf")
					if ok && (t.Value("InstrPrty") == "HIGH") != (t.Value("SvcLvl", "Prtry") == "PAGPRI") {
						return pathTransfer + "/GrpHdr/PmtTpInf/SvcLvl"
					}
					return ""
				})},
			Rule{"pix.taxid.checksum", pathTx + "/Dbtr/Id/PrvtId/Othr/Id", "debtor and creditor are named by a CPF or CNPJ with right check digits",
				func(_ *Profile, m *Message, _ Direction) string {
					for _, x := range parties(m) {
						a, err := payments.ParsePixAccount(x.value.Account)
						if err != nil || len(a.Holder) == 11 && payments.CheckCPF(a.Holder) != nil || len(a.Holder) == 14 && payments.CheckCNPJ(a.Holder) != nil {
							return x.path + "/Id/PrvtId/Othr/Id"
						}
					}
					return ""
				}},
		),
	}
}

func pixMessageID(participant payments.AgentID, _ time.Time, suffix string) string {
	sum := sha256.Sum256([]byte("parley pix message\x00" + suffix))
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	b := append([]byte{'M'}, participant...)
	for _, c := range sum[:23] {
		b = append(b, alphabet[c&31])
	}
	return string(b)
}

// pixTransferIDs makes the end-to-end id, which on Pix has a shape of its own; the intent's id goes into the txid, which is the payee's.
func pixTransferIDs(t *iso20022.CreditTransfer, in *TransferInput, _ time.Time) {
	if payments.CheckPixEndToEndID(string(in.EndToEndID)) != nil {
		t.TransactionID = string(in.EndToEndID)
		t.EndToEndID = payments.NewPixEndToEndID(in.Participant, in.Now, in.Suffix)
	}
}

var pixMeanings = map[meaningKey]Kind{
	{Service, "ACSC"}: Settled,         // told to the payer's side
	{Service, "ACCC"}: SettledCredited, // told to the payee's side
	{Service, "ACSP"}: Accepted,
	{Service, "RJCT"}: Rejected, // AB03 after 40 s

	{Participant, "ACSP"}: Accepted,
	{Participant, "RJCT"}: Rejected,
}
