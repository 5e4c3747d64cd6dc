// Package rtp is the profile of The Clearing House's RTP network: pacs.008.001.08 and its answers under head.001.001.01 in the network's
// own wrapper. It sends nothing: package rail writes and reads by it.
//
// Sources: schemas, samples and code of moov-io/rtp20022 (certified 2.9 and 3.0), and Oracle's and IBM's documentation for the duplicate
// mark. The network's clocks and the limit on repeats are not public: they are ours, and configuration in production.
package rtp

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/internal/pattern"
)

const name = "rtp"

// Profile returns the rail's profile, a new one each time.
func Profile() *rail.Profile {
	p := rail.Profile{
		Name:      name,
		Title:     "TCH RTP",
		Currency:  "USD",
		AmountMax: 10_000_000_00, // 10 M USD since February 2025
		Service:   "990000001",   // as in the network's published test messages

		HeaderVersion: "head.001.001.01",
		Form:          form{},

		ClrSysCode:         "TCH",
		ServiceLevel:       "SDVA",
		LocalPrtry:         []string{"STANDARD", "INTERMEDIARY", "ZELLE", "IXB", "FOREIGN AFFILIATE"},
		Categories:         []string{"CONSUMER", "BUSINESS"},
		ChargeBearer:       "SLEV",
		GroupLevel:         true,
		SettleDateRequired: true,

		TransactionIDRequired: true,
		NoUETR:                true,
		PlainReference:        true,
		Yes:                   "ACTC",
		Settled:               "ACTC", // the receiver's yes, passed on once it has settled
		SettledCreditor:       "ACSC",
		Pending:               "ACWP",
		Posted:                "ACTC",
		ParticipantStatus:     []string{"ACTC", "ACWP", "RJCT"},
		Codes:                 rail.Codes{NoFunds: "AM04", CreditorTimeout: "DS24", UnknownAgent: "RC04", TooLate: "TM01"},
		Reasons:               rail.CommonReasons(),
		TimeResolution:        time.Second,
		Zone:                  rail.Eastern,
		SizeMaxBytes:          64 << 10,
		IDs:                   rail.IDs{Message: newMessageID, Header: newHeaderID, Transfer: newTransferIDs},

		Recovery:       rail.ResendMarked,
		AnswerTimeout:  15 * time.Second,
		ServiceTimeout: 10 * time.Second,
		Ladder:         []time.Duration{0, 10 * time.Second, 30 * time.Second},
		CaseAfter:      2 * time.Minute,
		Answers:        answers,

		// No pacs.004: the money comes back as a new pacs.008, asked for with a camt.056.
		Returns: rail.Returns{Ask: "camt.056.001.08", Answer: "camt.029.001.09", Message: rail.MsgTransfer},
		Recalls: []rail.Recall{{Reason: "DUPL"}, {Reason: "FRAD"}, {Reason: "TECH"}, {Reason: "CUST"}, {Reason: "DS24"}},
	}
	for def := range bodies {
		p.Definitions = append(p.Definitions, def)
	}
	slices.Sort(p.Definitions)
	p.Rules = append(rail.CommonRules(name, "header.version"),
		rail.Rule{Name: name + ".header.filled", Path: "AppHdr", Text: "the header is filled in: empty elements and the year 1 are the placeholder of published samples",
			Check: rail.Elsewhere}, // found while the wrapper is opened
		rail.Rule{Name: name + ".header.id", Path: "AppHdr/BizMsgIdr", Text: "the header's id is B, CCYYMMDD, the 11-character participant, a letter, 3 letters or digits and 11 digits",
			Check: rail.OnHeader("AppHdr/BizMsgIdr", func(_ *rail.Profile, h *iso20022.Header, _ rail.Direction) bool {
				return pattern.Fits(h.BizMsgID, "B", pattern.Day, pattern.Upper, 11, pattern.Upper, 4, pattern.Digits, 11)
			})},
		rail.Rule{Name: name + ".header.party", Path: "AppHdr/Fr", Text: "Fr and To are participants: a routing number and 2 letters or digits",
			Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
				for _, x := range []rail.Placed[payments.AgentID]{{Path: "AppHdr/Fr", Value: m.Header.From}, {Path: "AppHdr/To", Value: m.Header.To}} {
					if !pattern.Fits(string(x.Value), pattern.Digits, 9) && !pattern.Fits(string(x.Value), pattern.Digits, 9, pattern.Upper, 2) {
						return x.Path
					}
				}
				return ""
			}},
		rail.Rule{Name: name + ".time.local", Path: "Document/*/GrpHdr/CreDtTm", Text: "times are US Eastern in whole seconds and have no zone",
			Check: rail.Elsewhere}, // found while the message is translated
		rail.Rule{Name: name + ".msgid.format", Path: "Document/*/GrpHdr/MsgId", Text: "a message id is M, CCYYMMDD, the 11-character participant, B, 3 letters or digits and 11 digits; an answer may leave the participant out",
			Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
				id := m.MessageID()
				switch {
				case pattern.Fits(id, "M", pattern.Day, pattern.Upper, 11, "B", pattern.Upper, 3, pattern.Digits, 11), m.Status != nil && pattern.Fits(id, "M", pattern.Day, "B", pattern.Upper, 3, pattern.Digits, 11):
					return ""
				case !m.Tree().IsZero() && (id == "" || strings.HasPrefix(m.Tree().Definition(), "adm")):
					return "" // the network's own messages have ids of their own
				}
				return m.MessageIDPath()
			}},
		rail.Rule{Name: name + ".transaction.id", Path: rail.PathTransferTx + "/PmtId/TxId", Text: "instruction id and transaction id are the same: CCYYMMDD, the 11-character participant, B, 4 letters or digits and 11 digits",
			Check: rail.OnTransfer(rail.PathTransferTx+"/PmtId/TxId", func(_ *rail.Profile, t *iso20022.CreditTransfer) bool {
				return t.TransactionID == t.InstructionID && pattern.Fits(t.TransactionID, pattern.Day, pattern.Upper, 11, "B", pattern.Upper, 4, pattern.Digits, 11)
			})},
		rail.Rule{Name: name + ".category.purpose", Path: rail.PathTransferTx + "/PmtTpInf/CtgyPurp/Prtry", Text: "the category purpose is CONSUMER or BUSINESS",
			Check: rail.OnTransfer(rail.PathTransferTx+"/PmtTpInf/CtgyPurp/Prtry", func(p *rail.Profile, t *iso20022.CreditTransfer) bool {
				return slices.Contains(p.Categories, t.CategoryPrtry)
			})},
		rail.Rule{Name: name + ".agent.member", Path: rail.PathTransferTx + "/InstgAgt" + rail.PathMember, Text: "agents are clearing system members without the system's code",
			Check: func(_ *rail.Profile, m *rail.Message, _ rail.Direction) string {
				for _, a := range m.Agents() {
					if a.Value.System != "" || a.Value.ID.IsBIC() {
						return a.Path + "/FinInstnId/ClrSysMmbId"
					}
				}
				return ""
			}},
		rail.RoutingNumbers(name),
		rail.DomesticAccounts(name),
		rail.Rule{Name: name + ".purpose.none", Path: rail.PathTransferTx + "/Purp", Text: "a transfer has no purpose code",
			Check: rail.OnTransfer(rail.PathTransferTx+"/Purp", func(_ *rail.Profile, t *iso20022.CreditTransfer) bool { return t.Purpose == "" })},
		rail.Rule{Name: name + ".uetr.none", Path: rail.PathTransferTx + "/PmtId/UETR", Text: "a transfer has no UETR: the instruction id is its reference",
			Check: rail.OnTransfer(rail.PathTransferTx+"/PmtId/UETR", func(_ *rail.Profile, t *iso20022.CreditTransfer) bool { return t.UETR == "" })},
	)
	return rail.MustNew(p)
}

// rtpNumber derives n letters or digits and 11 digits from a suffix.
func rtpNumber(kind, suffix string, n int) string {
	sum := sha256.Sum256([]byte("parley rtp " + kind + "\x00" + suffix))
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	b := make([]byte, 0, n+11)
	for _, c := range sum[:n] {
		b = append(b, alphabet[int(c)%len(alphabet)])
	}
	for _, c := range sum[n : n+11] {
		b = append(b, '0'+c%10)
	}
	return string(b)
}

func newMessageID(participant payments.AgentID, day time.Time, suffix string) string {
	return fmt.Sprintf("M%s%sB%s", day.Format("20060102"), rtpParty(participant), rtpNumber("message", suffix, 3))
}

func newHeaderID(messageID string) string {
	if len(messageID) != 35 {
		return messageID
	}
	return "B" + messageID[1:20] + "H" + messageID[21:]
}

func newTransferIDs(t *iso20022.CreditTransfer, in *rail.TransferInput, day time.Time) {
	t.TransactionID = fmt.Sprintf("%s%sB%s", day.Format("20060102"), rtpParty(in.Participant), rtpNumber("transaction", in.Suffix, 4))
	t.InstructionID, t.Purpose = t.TransactionID, ""
}

// The network passes the receiver's answer on once it has settled it, so what reaches the sender from the network's side is final
// whoever instructs it.
var answers = rail.Answers{
	rail.Service: {
		"ACTC": rail.Settled,
		"ACWP": rail.SettledPending,
		"ACSC": rail.Settled,
		"RCVD": rail.Waiting,
		"PDNG": rail.Waiting,
		"RJCT": rail.Rejected,
	},
	rail.Participant: {
		"ACTC": rail.Settled,
		"ACWP": rail.SettledPending,
		"RCVD": rail.Waiting,
		"RJCT": rail.Rejected,
	},
}
