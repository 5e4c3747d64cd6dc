// Package norrland is a made-up fifth rail, to show how one is added from outside the module: docs/adding-a-rail.md goes through it. No
// money moves on it, and nothing here is the rulebook of anybody.
package norrland

import (
	"regexp"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

const name = "norrland"

var wrapper = rail.Envelope{Namespace: "urn:example:norrland:v1", Path: []string{"NorrlandMessage"}}

// Profile returns the rail's profile.
func Profile() (*rail.Profile, error) {
	return rail.New(rail.Profile{
		Name:      name,
		Title:     "Norrland Instant",
		Currency:  "SEK",
		AmountMax: 5_000_000_00,
		Service:   "70000001",

		HeaderVersion: "head.001.001.01",
		In:            wrapper,
		Out:           wrapper,
		Definitions:   []string{rail.MsgTransfer, rail.MsgStatus, "pacs.004.001.09", "camt.056.001.08", "camt.029.001.09", "admi.002.001.01", "admi.004.001.02"},

		ClrSysPrtr:         "NORR",
		LocalPrtry:         []string{"NOW"},
		ChargeBearer:       "SLEV",
		SettleDateRequired: true,
		TimeResolution:     time.Millisecond,
		SizeMaxBytes:       64 << 10,
		IDs:                rail.IDs{Message: messageID},

		Yes:               "ACCP",
		Settled:           "ACSC",
		SettledCreditor:   "ACCC",
		Pending:           "ACWP",
		Posted:            "ACCC",
		ParticipantStatus: []string{"ACCP", "RJCT"},
		Answers: rail.Answers{
			rail.Service:     {"ACCP": rail.Accepted, "ACWP": rail.SettledPending, "ACSC": rail.Settled, "ACCC": rail.SettledCredited, "RJCT": rail.Rejected},
			rail.Participant: {"ACCP": rail.Accepted, "RJCT": rail.Rejected},
		},
		Codes: rail.Codes{NoFunds: "AM04", CreditorTimeout: "AB05", UnknownAgent: "RC10", TooLate: "TM01"},

		Recovery:       rail.ResendSame,
		ServiceTimeout: 8 * time.Second,
		AnswerTimeout:  12 * time.Second,
		Ladder:         []time.Duration{0, 5 * time.Second, 20 * time.Second},
		CaseAfter:      time.Minute,

		Returns: rail.Returns{Ask: "camt.056.001.08", Answer: "camt.029.001.09", Message: "pacs.004.001.09"},
		Recalls: []rail.Recall{{Reason: "DUPL", Days: 5, Calendar: rail.TARGET}, {Reason: "FRAD", Months: 6}},

		Rules: append(rail.CommonRules(name, "service.level"), rules()...),
	})
}

// messageID is N, the day, the bank and the suffix: at most 35 characters.
func messageID(bank payments.AgentID, day time.Time, suffix string) string {
	return "N" + day.Format("20060102") + string(bank) + suffix
}

var (
	messageIDs = regexp.MustCompile(`^N[0-9]{16}[0-9A-Za-z]{1,18}$`)
	banks      = regexp.MustCompile(`^[0-9]{8}$`)
)

func rules() []rail.Rule {
	return []rail.Rule{
		rail.DomesticAccounts(name),
		{
			Name: name + ".msgid.format", Path: "Document/*/GrpHdr/MsgId",
			Text: "a message id is N, CCYYMMDD, the 8 digits of a bank and 1 to 18 letters or digits",
			Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
				if m.Tree().IsZero() && !messageIDs.MatchString(m.MessageID()) {
					return m.MessageIDPath()
				}
				return ""
			},
		},
		{
			Name: name + ".agent.bank", Path: rail.PathTransferTx + "/InstgAgt" + rail.PathMember,
			Text: "agents are banks of 8 digits without the code of a system",
			Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
				for _, a := range m.Agents() {
					if a.Value.ID != "" && (a.Value.System != "" || !banks.MatchString(string(a.Value.ID))) {
						return a.Path + rail.PathMember
					}
				}
				return ""
			},
		},
		{
			Name: name + ".amount.krona", Path: rail.PathTransferTx + "/IntrBkSttlmAmt",
			Text: "the amount is whole kronor: the currency has öre, the rail has none",
			Check: rail.OnTransfer(rail.PathTransferTx+"/IntrBkSttlmAmt", func(_ *rail.Profile, t *iso20022.CreditTransfer) bool {
				return t.Amount.Minor%100 == 0
			}),
		},
	}
}
