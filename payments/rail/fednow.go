package rail

import (
	"maps"
	"slices"
	"time"

	"github.com/parleypay/parley/payments/iso20022"
)

// fednow is the FedNow Service, Release 1: pacs.008.001.08 and its answers under head.001.001.02. Sources: the Reserve Banks'
// sample messages and the facts the fednow-oss project took from the usage guidelines. Clocks are secondary knowledge.
func fednow() *Profile {
	elements := map[string][]string{
		MsgTransfer: {"FedNowCustomerCreditTransfer"}, MsgStatus: {"FedNowPaymentStatus"}, MsgRequest: {"FedNowPaymentStatusRequest"},
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
	return &Profile{
		Name:      "fednow",
		Title:     "FedNow",
		Currency:  "USD",
		AmountMax: 10_000_000_00, // 10 M USD since November 2025
		Service:   "021150706",

		HeaderVersion: "head.001.001.02",
		Registry:      "www2.swift.com/mystandards/#/group/Federal_Reserve_Financial_Services/FedNow_Service",
		PracticeID:    "frb.fednow.01",
		In:            Envelope{"urn:fednow:incoming:v001", []string{"FedNowIncoming", "FedNowIncomingMessage"}, elements},
		Out:           Envelope{"urn:fednow:outgoing:v001", []string{"FedNowOutgoing", "FedNowOutgoingMessage"}, elements},

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
		Codes:                Codes{NoFunds: "AM04", CreditorTimeout: "AB05", UnknownAgent: "RC10", TooLate: "TM01", NotFound: "AG09"},
		TimeResolution:       time.Second,
		SizeMaxBytes:         64 << 10,

		Recovery:       Ask,
		AnswerTimeout:  20 * time.Second,
		ServiceTimeout: 15 * time.Second,
		Ladder:         []time.Duration{0, 5 * time.Second, 30 * time.Second},
		CaseAfter:      2 * time.Minute,
		enquiryDays:    2, // of the current or previous calendar day
		meanings:       fednowMeanings,

		Returns: Returns{Ask: "camt.056.001.08", Answer: "camt.029.001.09", Message: "pacs.004.001.10", Partial: true},
		Recalls: []Recall{{Reason: "DUPL"}, {Reason: "FRAD"}, {Reason: "TECH"}, {Reason: "CUST"}, {Reason: "UPAY"}},

		Rules: append(commonRules("fednow", "service.level"),
			Rule{"fednow.header.practice", "AppHdr/MktPrctc", "MktPrctc names the service's registry and frb.fednow.01 or a variant of it",
				onHeader("AppHdr/MktPrctc", func(p *Profile, h *iso20022.Header, _ Direction) bool {
					return h.Registry == p.Registry && fednowPractice(h.PracticeID)
				})},
			Rule{"fednow.header.party", "AppHdr/Fr", "Fr and To are connection parties of 9 capital letters or digits",
				func(_ *Profile, m *Message, _ Direction) string {
					switch {
					case !fits(string(m.Header.From), alnumUp, 9):
						return "AppHdr/Fr"
					case !fits(string(m.Header.To), alnumUp, 9):
						return "AppHdr/To"
					}
					return ""
				}},
			Rule{"fednow.msgid.format", "Document/*/GrpHdr/MsgId", "a participant's message id is CCYYMMDD, its 9-character connection party and 1 to 18 letters or digits",
				func(_ *Profile, m *Message, dir Direction) string {
					// The document of a pacs.008 stays the participant's when the service passes it on.
					if (dir == ToService || m.Transfer != nil) && !fednowMsgID(m.MessageID()) && (m.other.IsZero() || m.MessageID() != "") {
						return messageIDPath(m)
					}
					return ""
				}},
			Rule{"fednow.category.purpose", pathTx + "/PmtTpInf/CtgyPurp/Prtry", "the category purpose is CONS or BIZZ",
				onTransfer(pathTx+"/PmtTpInf/CtgyPurp/Prtry", func(p *Profile, t *iso20022.CreditTransfer) bool {
					return contains(p.Categories, t.CategoryPrtry)
				})},
			Rule{"fednow.agent.system", pathTx + "/InstgAgt" + pathMember, "agents are clearing system members of USABA",
				func(_ *Profile, m *Message, _ Direction) string {
					for _, a := range agents(m) {
						if a.value.ID != "" && (a.value.System != "USABA" || a.value.ID.IsBIC()) {
							return a.path + "/FinInstnId/ClrSysMmbId/ClrSysId/Cd"
						}
					}
					return ""
				}},
			Rule{"fednow.aba.checksum", pathTx + "/InstgAgt" + pathMember, "a routing number has 9 digits and its check digit (weights 3-7-1) is right", checkRoutingNumbers},
			Rule{"fednow.account.other", pathTx + "/DbtrAcct/Id/Othr/Id", "accounts are domestic numbers in Othr/Id, never IBANs", checkNoIBAN},
			Rule{"fednow.status.times", pathStatusTx + "/AccptncDtTm", "a participant's status has neither acceptance time nor settlement date",
				onStatus(pathStatusTx+"/AccptncDtTm", func(_ *Profile, s *iso20022.StatusReport, dir Direction) bool {
					return dir != ToService || (s.AcceptanceTime.IsZero() && s.SettleDate == "")
				})},
		),
	}
}

// fednowPractice matches frb.fednow.01 and frb.fednow.<3 lower-case letters>.01.
func fednowPractice(s string) bool {
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

// fednowMsgID matches CCYYMMDD, 9 capital letters or digits, then 1 to 18 letters or digits.
func fednowMsgID(s string) bool {
	return len(s) >= 18 && len(s) <= 35 && fits(s, date8, alnumUp, 9, alnums, len(s)-17)
}

func documentRoot(m *Message) string {
	switch {
	case m.Transfer != nil:
		return pathTransfer
	case m.Status != nil:
		return pathStatus
	}
	return pathRequest
}
