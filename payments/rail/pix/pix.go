// Package pix is the profile of Pix over the SPI, Brazil's instant payments: messages of the central bank's own namespaces, built on
// pacs.008.001.09 and pacs.002.001.10. It sends nothing: package rail writes and reads by it.
//
// Source: the public message catalogue 5.13 of Banco Central do Brasil, in apolzek/open-pix.
package pix

import (
	"crypto/sha256"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/internal/pattern"
)

const name = "pix"

// Profile returns the rail's profile, a new one each time.
func Profile() *rail.Profile {
	return rail.MustNew(rail.Profile{
		Name:      name,
		Title:     "Pix",
		Currency:  "BRL",
		AmountMax: 999_999_999_999_99, // the scheme sets none: limits are each institution's
		Service:   "00038166",         // the central bank

		HeaderVersion: "head.001.001.01", // built on it, in the message's own namespace
		Definitions:   []string{msgRejection, rail.MsgStatus, msgReturn, rail.MsgTransfer},
		OwnNames:      ownNames(),
		Form:          form{},

		LocalPrtry:             []string{"MANU", "DICT", "QRDN", "QRES", "INIC", "AUTO", "APDN", "APES"},
		Purposes:               []string{"IPAY", "GSCB", "IPRT", "OTHR", "REFU"},
		ChargeBearer:           "SLEV",
		AcceptanceTimeRequired: true,
		NoUETR:                 true,
		NoCreditorName:         true,
		NoAddress:              true,
		PlainReference:         true,
		OriginalByEndToEnd:     true,
		ReturnDef:              msgReturn,
		Yes:                    "ACSP",
		Settled:                "ACSC",
		Pending:                "ACSP",
		Posted:                 "ACSC",
		SettledCreditor:        "ACCC",
		ParticipantStatus:      []string{"ACSP", "RJCT"},
		Codes:                  rail.Codes{NoFunds: "AM04", CreditorTimeout: "AB03", UnknownAgent: "RC10", TooLate: "AB03"},
		Reasons:                rail.CommonReasons(),
		TimeResolution:         time.Millisecond,
		SizeMaxBytes:           64 << 10,
		IDs: rail.IDs{Message: newMessageID, Transfer: newTransferIDs,
			Intent: func(t *iso20022.CreditTransfer) payments.EndToEndID { return payments.EndToEndID(t.TransactionID) }},

		Recovery:       rail.Wait,
		AnswerTimeout:  45 * time.Second, // the central bank refuses after 40 s
		ServiceTimeout: 40 * time.Second,
		CaseAfter:      2 * time.Minute,
		Answers:        answers,

		Returns: rail.Returns{Message: "pacs.004.spi.1.5", Reasons: []string{"BE08", "FR01", "MD06", "SL02"}, Partial: true, Days: 90},

		Rules: append( // What the structure demands anyway is no rule of its own.
			rail.CommonRules(name, "message.kind", "header.version", "header.duplicate", "clearing.system", "settlement.date", "service.level", "local.instrument",
				"charge.bearer", "agent.required", "party.account", "party.name", "address.structured", "status.reason.code", "original.required"),
			rail.Rule{Name: name + ".structure", Path: "Document", Text: "the elements are those of the message catalogue, in their order, with texts of their format",
				Check: rail.Elsewhere}, // judged while the envelope is opened
			rail.Rule{Name: name + ".header.ispb", Path: "AppHdr/Fr", Text: "Fr and To are ISPBs: 8 digits or capitals, not all zero",
				Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
					switch {
					case payments.CheckISPB(string(m.Header.From)) != nil:
						return "AppHdr/Fr"
					case payments.CheckISPB(string(m.Header.To)) != nil:
						return "AppHdr/To"
					}
					return ""
				}},
			rail.Rule{Name: name + ".header.id", Path: "AppHdr/BizMsgIdr", Text: "the header's id is the message id",
				Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
					if m.Header.BizMsgID != m.MessageID() {
						return "AppHdr/BizMsgIdr"
					}
					return ""
				}},
			rail.Rule{Name: name + ".msgid.sender", Path: "AppHdr/BizMsgIdr", Text: "the message id is M, the ISPB of a participant and 23 letters or digits, and a participant's is its own",
				Check: func(p *rail.Profile, m *rail.Message, dir rail.Direction) string {
					id := m.MessageID()
					// The document of a pacs.008 stays the participant's when the rail passes it on.
					if !pattern.Fits(id, "M", pattern.Upper, 8, pattern.Alnum, 23) || dir == rail.ToService && id[1:9] != string(m.Header.From) {
						return "AppHdr/BizMsgIdr"
					}
					return ""
				}},
			rail.Rule{Name: name + ".agent.ispb", Path: rail.PathTransferTx + "/DbtrAgt" + rail.PathMember, Text: "agents are ISPBs without the code of a system",
				Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
					for _, a := range m.Agents() {
						if (m.Transfer != nil || a.Value.ID != "") && (a.Value.System != "" || payments.CheckISPB(string(a.Value.ID)) != nil) {
							return a.Path + rail.PathMember
						}
					}
					return ""
				}},
			rail.Rule{Name: name + ".original.endtoend", Path: rail.PathStatusTx + "/OrgnlEndToEndId", Text: "a report names its original by end-to-end id, and by the same or a return's id as OrgnlInstrId",
				Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
					switch s := m.Status; {
					case s == nil:
					case payments.CheckPixEndToEndID(string(s.OriginalEndToEnd)) != nil:
						return rail.PathStatusTx + "/OrgnlEndToEndId"
					case s.OriginalInstruction != string(s.OriginalEndToEnd) && payments.CheckPixReturnID(s.OriginalInstruction) != nil:
						return rail.PathStatusTx + "/OrgnlInstrId"
					}
					return ""
				}},
			rail.Rule{Name: name + ".priority.level", Path: rail.PathTransfer + "/GrpHdr/PmtTpInf/SvcLvl", Text: "priority HIGH goes with service level PAGPRI, NORM with PAGAGD or PAGFRD",
				Check: rail.OnWire(func(_ *rail.Profile, o *rail.Parts) string {
					t, ok := o.DocumentAt.Child("FIToFICstmrCdtTrf", "GrpHdr", "PmtTpInf")
					if ok && (t.Value("InstrPrty") == "HIGH") != (t.Value("SvcLvl", "Prtry") == "PAGPRI") {
						return rail.PathTransfer + "/GrpHdr/PmtTpInf/SvcLvl"
					}
					return ""
				})},
			rail.Rule{Name: name + ".taxid.checksum", Path: rail.PathTransferTx + "/Dbtr/Id/PrvtId/Othr/Id", Text: "debtor and creditor are named by a CPF or CNPJ with right check digits",
				Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
					for _, x := range m.Parties() {
						a, err := payments.ParsePixAccount(x.Value.Account)
						if err != nil || len(a.Holder) == 11 && payments.CheckCPF(a.Holder) != nil || len(a.Holder) == 14 && payments.CheckCNPJ(a.Holder) != nil {
							return x.Path + "/Id/PrvtId/Othr/Id"
						}
					}
					return ""
				}},
		),
	})
}

func newMessageID(participant payments.AgentID, _ time.Time, suffix string) string {
	sum := sha256.Sum256([]byte("parley pix message\x00" + suffix))
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	b := append([]byte{'M'}, participant...)
	for _, c := range sum[:23] {
		b = append(b, alphabet[c&31])
	}
	return string(b)
}

// newTransferIDs makes the end-to-end id, which on Pix has a shape of its own; the intent's id goes into the txid, which is the payee's.
func newTransferIDs(t *iso20022.CreditTransfer, in *rail.TransferInput, _ time.Time) {
	if payments.CheckPixEndToEndID(string(in.EndToEndID)) != nil {
		t.TransactionID = string(in.EndToEndID)
		t.EndToEndID = payments.NewPixEndToEndID(in.Participant, in.Now, in.Suffix)
	}
}

var answers = rail.Answers{
	rail.Service: {
		"ACSC": rail.Settled,         // told to the payer's side
		"ACCC": rail.SettledCredited, // told to the payee's side
		"ACSP": rail.Accepted,
		"RJCT": rail.Rejected, // AB03 after 40 s
	},
	rail.Participant: {
		"ACSP": rail.Accepted,
		"RJCT": rail.Rejected,
	},
}
