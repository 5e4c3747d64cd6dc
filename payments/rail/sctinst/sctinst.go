// Package sctinst is the profile of SEPA Instant Credit Transfer as one clearing mechanism would carry it, by the EPC rulebooks of 2025.
// It sends nothing: package rail writes and reads by it.
//
// The schemes leave header, wrapper and the mechanism's own identity to the mechanism, so wrapper and service BIC are ours (a test BIC:
// its eighth character is 0); header.001.001.01 carries the addresses.
package sctinst

import (
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

const name = "sctinst"

// Profile returns the rail's profile, a new one each time.
func Profile() *rail.Profile {
	envelope := rail.Envelope{Namespace: "urn:parley:rail:sctinst:v1", Path: []string{"InstantMessage"}}
	return rail.MustNew(rail.Profile{
		Name:      name,
		Title:     "SEPA Instant",
		Currency:  "EUR",
		AmountMax: 999_999_999_99,
		Service:   "CSMIDEF0XXX",

		HeaderVersion: "head.001.001.01",
		In:            envelope,
		Out:           envelope,

		Definitions: []string{rail.MsgTransfer, rail.MsgStatus, rail.MsgRequest, "pacs.004.001.09", "camt.056.001.08", "camt.029.001.09", "admi.002.001.01", "admi.004.001.02"},

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
		Codes:                  rail.Codes{NoFunds: "AM23", CreditorTimeout: "AB05", UnknownAgent: "RC07", TooLate: "TM01", NotFound: "AG09"},
		Reasons:                reasons(),
		TimeResolution:         time.Millisecond,
		SizeMaxBytes:           64 << 10,

		Recovery:       rail.Ask,
		RestorePayer:   true,
		AnswerTimeout:  10 * time.Second, // at the 10th second the payer's money is released and the enquiry sent
		ServiceTimeout: 7 * time.Second,  // hard limit at the clearing mechanism
		Ladder:         []time.Duration{0, 5 * time.Second, 30 * time.Second},
		CaseAfter:      2 * time.Minute,
		Answers:        answers,
		Characters:     payments.SEPAText,

		Returns: rail.Returns{Ask: "camt.056.001.08", Answer: "camt.029.001.09", Message: "pacs.004.001.09", Reasons: []string{"FOCR", "AC04", "AC06", "AM05", "BE04", "MD07", "MS02", "MS03", "RR04"}},
		Recalls: []rail.Recall{
			{Reason: "DUPL", Days: 10, Calendar: rail.TARGET}, {Reason: "TECH", Days: 10, Calendar: rail.TARGET}, {Reason: "FRAD", Months: 13},
			{Reason: "CUST", Months: 13}, {Reason: "AC03", Months: 13}, {Reason: "AM09", Months: 13},
		},

		Rules: append(rail.CommonRules(name),
			rail.Rule{Name: name + ".agent.bic", Path: rail.PathTransferTx + "/InstgAgt" + rail.PathBIC, Text: "agents are BICs",
				Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
					for _, a := range m.Agents() {
						if a.Value.ID != "" && !a.Value.ID.IsBIC() {
							return a.Path + rail.PathBIC
						}
					}
					return ""
				}},
			rail.Rule{Name: name + ".header.bic", Path: "AppHdr/Fr", Text: "Fr and To are BICs",
				Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
					switch {
					case !m.Header.From.IsBIC():
						return "AppHdr/Fr"
					case !m.Header.To.IsBIC():
						return "AppHdr/To"
					}
					return ""
				}},
			rail.Rule{Name: name + ".account.iban", Path: rail.PathTransferTx + "/DbtrAcct/Id/IBAN", Text: "accounts are IBANs",
				Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
					for _, x := range m.Parties() {
						if (x.Value.Account != payments.Account{}) && !x.Value.Account.IsIBAN() {
							return x.Path + "Acct/Id/IBAN"
						}
					}
					return ""
				}},
			rail.Rule{Name: name + ".transaction.id", Path: rail.PathTransferTx + "/PmtId/TxId", Text: "the transaction id is mandatory",
				Check: rail.OnTransfer(rail.PathTransferTx+"/PmtId/TxId", func(_ *rail.Profile, t *iso20022.CreditTransfer) bool { return t.TransactionID != "" })},
			rail.Rule{Name: name + ".acceptance.time", Path: rail.PathTransferTx + "/AccptncDtTm", Text: "the acceptance time, which starts the clock, is mandatory",
				Check: rail.OnTransfer(rail.PathTransferTx+"/AccptncDtTm", func(_ *rail.Profile, t *iso20022.CreditTransfer) bool { return !t.AcceptanceTime.IsZero() })},
			rail.Rule{Name: name + ".remittance.one", Path: rail.PathTransferTx + "/RmtInf", Text: "remittance information is free text or one structured reference, not both",
				Check: rail.OnTransfer(rail.PathTransferTx+"/RmtInf", func(_ *rail.Profile, t *iso20022.CreditTransfer) bool { return t.Remittance == "" || t.Reference == "" })},
			rail.Rule{Name: name + ".text.charset", Path: rail.PathTransferTx, Text: "texts use only the SEPA characters: a-z A-Z 0-9 / - ? : ( ) . , ' + and space",
				Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
					for _, t := range m.Texts() {
						if _, changes := payments.SEPAText(t.Value); changes != nil {
							return t.Path
						}
					}
					return ""
				}},
			rail.Rule{Name: name + ".id.slash", Path: "Document", Text: "an identifier neither starts nor ends with a slash nor has two in a row",
				Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
					for _, t := range m.References() {
						if strings.HasPrefix(t.Value, "/") || strings.HasSuffix(t.Value, "/") || strings.Contains(t.Value, "//") {
							return t.Path
						}
					}
					return ""
				}},
		),
	})
}

var answers = rail.Answers{
	rail.Service: {
		"ACCP": rail.Settled, // the clearing mechanism's confirmation
		"ACSC": rail.Settled,
		"ACCC": rail.SettledCredited,
		"ACWP": rail.SettledPending,
		"BLCK": rail.Blocked,
		"ACSP": rail.Accepted,
		"PDNG": rail.Accepted,
		"ACTC": rail.Waiting,
		"RCVD": rail.Waiting,
		"RJCT": rail.Rejected,
	},
	rail.Participant: {
		"ACCP": rail.Accepted, // the creditor's bank's yes; settled when the mechanism says so
		"RJCT": rail.Rejected,
	},
}

// reasons are the common ones and those this rail says itself; AM02 ended with the 2025 rulebook, which has no limit of the scheme.
func reasons() rail.Reasons {
	r := rail.CommonReasons("AM02")
	r["AM23"], r["RC07"] = rail.RetryNew, rail.WrongData
	return r
}
