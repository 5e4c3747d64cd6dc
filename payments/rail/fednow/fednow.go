// Package fednow is the profile of the FedNow Service, Release 1: pacs.008.001.08 and its answers under head.001.001.02. It sends
// nothing: package rail writes and reads by it.
//
// Sources: the Reserve Banks' sample messages and the facts that the fednow-oss project took from the usage guidelines. Clocks are
// secondary knowledge.
package fednow

import (
	"maps"
	"slices"
	"time"

	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/internal/pattern"
)

const name = "fednow"

// Profile returns the rail's profile, a new one each time.
func Profile() *rail.Profile {
	elements := map[string][]string{
		rail.MsgTransfer: {"FedNowCustomerCreditTransfer"}, rail.MsgStatus: {"FedNowPaymentStatus"}, rail.MsgRequest: {"FedNowPaymentStatusRequest"},
		"pacs.004.001.10": {"FedNowPaymentReturn"}, "pacs.009.001.08": {"FedNowInstitutionCreditTransfer"},
		"camt.056.001.08": {"FedNowReturnRequest"}, "camt.055.001.09": {"FedNowRequestForPaymentCancellationRequest"},
		"camt.029.001.09": {"FedNowReturnRequestResponse", "FedNowInformationRequestResponse", "FedNowRequestForPaymentCancellationRequestResponse"},
		"camt.026.001.07": {"FedNowInformationRequest"}, "camt.028.001.09": {"FedNowAdditionalPaymentInformation"},
		"pain.013.001.07": {"FedNowRequestForPayment"}, "pain.014.001.07": {"FedNowRequestForPaymentResponse"},
		"camt.060.001.05": {"FedNowAccountReportingRequest"}, "camt.054.001.08": {"FedNowAccountDebitCreditNotification"},
		"camt.052.001.08": {"FedNowAccountActivityDetailsReport", "FedNowAccountActivityTotalsReport", "FedNowAccountBalanceReport"},
		"admi.002.001.01": {"FedNowMessageReject"}, "admi.004.001.02": {"FedNowBroadcast", "FedNowParticipantBroadcast"},
		"admi.006.001.01": {"FedNowRetrievalRequest"}, "admi.007.001.01": {"FedNowReceiptAcknowledgement"}, "admi.011.001.01": {"FedNowSystemResponse"},
	}
	return rail.MustNew(rail.Profile{
		Name:      name,
		Title:     "FedNow",
		Currency:  "USD",
		AmountMax: 10_000_000_00, // 10 M USD since November 2025
		Service:   "021150706",

		HeaderVersion: "head.001.001.02",
		Registry:      "www2.swift.com/mystandards/#/group/Federal_Reserve_Financial_Services/FedNow_Service",
		PracticeID:    "frb.fednow.01",
		In:            rail.Envelope{Namespace: "urn:fednow:incoming:v001", Path: []string{"FedNowIncoming", "FedNowIncomingMessage"}, Elements: elements},
		Out:           rail.Envelope{Namespace: "urn:fednow:outgoing:v001", Path: []string{"FedNowOutgoing", "FedNowOutgoingMessage"}, Elements: elements},

		Definitions: slices.Sorted(maps.Keys(elements)),

		ClrSysCode:         "FDN",
		AgentSystem:        "USABA",
		LocalPrtry:         []string{"FDNA"},
		Categories:         []string{"CONS", "BIZZ"},
		ChargeBearer:       "SLEV",
		SettleDateRequired: true,
		ReturnDef:          "pacs.004.001.10",
		Yes:                "ACTC",
		Settled:            "ACSC",
		SettledCreditor:    "ACSC",
		Pending:            "ACWP",
		Posted:             "ACCC",
		ParticipantStatus:  []string{"ACTC", "ACWP", "ACCC", "PDNG", "BLCK", "RJCT"},
		// The service's own list of proprietary reasons is public only for E990; the simulator writes the letters of the ISO code.
		ServiceReasonIsPrtry: true,
		Codes:                rail.Codes{NoFunds: "AM04", CreditorTimeout: "AB05", UnknownAgent: "RC10", TooLate: "TM01", NotFound: "AG09"},
		Reasons:              rail.CommonReasons(),
		TimeResolution:       time.Second,
		SizeMaxBytes:         64 << 10,

		Recovery:       rail.Ask,
		AnswerTimeout:  20 * time.Second,
		ServiceTimeout: 15 * time.Second,
		Ladder:         []time.Duration{0, 5 * time.Second, 30 * time.Second},
		CaseAfter:      2 * time.Minute,
		EnquiryDays:    2, // of the current or previous calendar day
		Answers:        answers,

		Returns: rail.Returns{Ask: "camt.056.001.08", Answer: "camt.029.001.09", Message: "pacs.004.001.10", Partial: true},
		Recalls: []rail.Recall{{Reason: "DUPL"}, {Reason: "FRAD"}, {Reason: "TECH"}, {Reason: "CUST"}, {Reason: "UPAY"}},

		Rules: append(rail.CommonRules(name, "service.level"),
			rail.Rule{Name: name + ".header.practice", Path: "AppHdr/MktPrctc", Text: "MktPrctc names the service's registry and frb.fednow.01 or a variant of it",
				Check: rail.OnHeader("AppHdr/MktPrctc", func(p *rail.Profile, h *iso20022.Header, _ rail.Direction) bool {
					return h.Version != p.HeaderVersion || h.Registry == p.Registry && isPractice(h.PracticeID) // older headers have none
				})},
			rail.Rule{Name: name + ".header.party", Path: "AppHdr/Fr", Text: "Fr and To are connection parties of 9 capital letters or digits",
				Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
					switch {
					case !pattern.Fits(string(m.Header.From), pattern.Upper, 9):
						return "AppHdr/Fr"
					case !pattern.Fits(string(m.Header.To), pattern.Upper, 9):
						return "AppHdr/To"
					}
					return ""
				}},
			rail.Rule{Name: name + ".msgid.format", Path: "Document/*/GrpHdr/MsgId", Text: "a participant's message id is CCYYMMDD, its 9-character connection party and 1 to 18 letters or digits",
				Check: func(_ *rail.Profile, m *rail.Message, dir rail.Direction) string {
					// The document of a pacs.008 stays the participant's when the service passes it on.
					if (dir == rail.ToService || m.Transfer != nil) && !isMessageID(m.MessageID()) && (m.Tree().IsZero() || m.MessageID() != "") {
						return m.MessageIDPath()
					}
					return ""
				}},
			rail.Rule{Name: name + ".category.purpose", Path: rail.PathTransferTx + "/PmtTpInf/CtgyPurp/Prtry", Text: "the category purpose is CONS or BIZZ",
				Check: rail.OnTransfer(rail.PathTransferTx+"/PmtTpInf/CtgyPurp/Prtry", func(p *rail.Profile, t *iso20022.CreditTransfer) bool {
					return slices.Contains(p.Categories, t.CategoryPrtry)
				})},
			rail.Rule{Name: name + ".agent.system", Path: rail.PathTransferTx + "/InstgAgt" + rail.PathMember, Text: "agents are clearing system members of USABA",
				Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
					for _, a := range m.Agents() {
						if a.Value.ID != "" && (a.Value.System != "USABA" || a.Value.ID.IsBIC()) {
							return a.Path + "/FinInstnId/ClrSysMmbId/ClrSysId/Cd"
						}
					}
					return ""
				}},
			rail.RoutingNumbers(name),
			rail.DomesticAccounts(name),
			rail.Rule{Name: name + ".status.times", Path: rail.PathStatusTx + "/AccptncDtTm", Text: "a participant's status has neither acceptance time nor settlement date",
				Check: rail.OnStatus(rail.PathStatusTx+"/AccptncDtTm", func(_ *rail.Profile, s *iso20022.StatusReport, dir rail.Direction) bool {
					return dir != rail.ToService || (s.AcceptanceTime.IsZero() && s.SettleDate == "")
				})},
		),
	})
}

// isPractice matches frb.fednow.01 and frb.fednow.<3 lower-case letters>.01.
func isPractice(s string) bool {
	if s == "frb.fednow.01" {
		return true
	}
	const head, tail = "frb.fednow.", ".01"
	if len(s) != len(head)+3+len(tail) || s[:len(head)] != head || s[len(head)+3:] != tail {
		return false
	}
	for _, c := range []byte(s[len(head) : len(head)+3]) {
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// isMessageID matches CCYYMMDD, 9 capital letters or digits, then 1 to 18 letters or digits.
func isMessageID(s string) bool {
	return len(s) >= 18 && len(s) <= 35 && pattern.Fits(s, pattern.Day, pattern.Upper, 9, pattern.Alnum, len(s)-17)
}

var answers = rail.Answers{
	rail.Service: {
		"ACSC": rail.Settled, // only the service says it
		"ACCC": rail.SettledCredited,
		"ACWP": rail.SettledPending,
		"BLCK": rail.Blocked,
		"ACTC": rail.Accepted, // a technical receipt: wait
		"PDNG": rail.Accepted,
		"RCVD": rail.Waiting,
		"RJCT": rail.Rejected,
	},
	rail.Participant: {
		"ACTC": rail.Accepted,
		"ACWP": rail.Accepted,
		"ACCC": rail.Accepted,
		"PDNG": rail.Accepted,
		"BLCK": rail.Accepted, // the service says itself that it is frozen
		"RJCT": rail.Rejected,
	},
}
