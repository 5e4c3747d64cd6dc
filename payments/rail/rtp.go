package rail

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

// rtp is The Clearing House's RTP network: pacs.008.001.08 and its answers under head.001.001.01 in the network's own wrapper. Sources:
// schemas, samples and code of moov-io/rtp20022 (certified 2.9 and 3.0), and Oracle's and IBM's documentation for the duplicate mark.
// The network's clocks and the limit on repeats are not public: they are ours, and configuration in production.
func rtp() *Profile {
	p := &Profile{
		Name:      "rtp",
		Title:     "TCH RTP",
		Currency:  "USD",
		AmountMax: 10_000_000_00, // 10 M USD since February 2025
		Service:   "990000001",   // as in the network's published test messages

		HeaderVersion: "head.001.001.01",
		form:          rtpForm{},

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
		Codes:                 Codes{NoFunds: "AM04", CreditorTimeout: "DS24", UnknownAgent: "RC04", TooLate: "TM01"},
		TimeResolution:        time.Second,
		Zone:                  Eastern,
		SizeMaxBytes:          64 << 10,
		ids:                   identifiers{message: rtpMessageID, header: rtpHeaderID, transfer: rtpTransferIDs},

		Recovery:       ResendMarked,
		AnswerTimeout:  15 * time.Second,
		ServiceTimeout: 10 * time.Second,
		Ladder:         []time.Duration{0, 10 * time.Second, 30 * time.Second},
		CaseAfter:      2 * time.Minute,
		meanings:       rtpMeanings,

		// No pacs.004: the money comes back as a new pacs.008, asked for with a camt.056.
		Returns: Returns{Ask: "camt.056.001.08", Answer: "camt.029.001.09", Message: MsgTransfer},
		Recalls: []Recall{{Reason: "DUPL"}, {Reason: "FRAD"}, {Reason: "TECH"}, {Reason: "CUST"}, {Reason: "DS24"}},
	}
	for def := range rtpBodies {
		p.Definitions = append(p.Definitions, def)
	}
	slices.Sort(p.Definitions)
	p.Rules = append(commonRules("rtp", "header.version"),
		Rule{"rtp.header.filled", "AppHdr", "the header is filled in: empty elements and the year 1 are the placeholder of published samples",
			func(*Profile, *Message, Direction) string { return "" }}, // found while the wrapper is opened
		Rule{"rtp.header.id", "AppHdr/BizMsgIdr", "the header's id is B, CCYYMMDD, the 11-character participant, a letter, 3 letters or digits and 11 digits",
			onHeader("AppHdr/BizMsgIdr", func(_ *Profile, h *iso20022.Header, _ Direction) bool {
				return fits(h.BizMsgID, "B", date8, alnumUp, 11, alnumUp, 4, digits, 11)
			})},
		Rule{"rtp.header.party", "AppHdr/Fr", "Fr and To are participants: a routing number and 2 letters or digits",
			func(_ *Profile, m *Message, _ Direction) string {
				for _, x := range []placed[payments.AgentID]{{"AppHdr/Fr", m.Header.From}, {"AppHdr/To", m.Header.To}} {
					if !fits(string(x.value), digits, 9) && !fits(string(x.value), digits, 9, alnumUp, 2) {
						return x.path
					}
				}
				return ""
			}},
		Rule{"rtp.time.local", "Document/*/GrpHdr/CreDtTm", "times are US Eastern in whole seconds and have no zone",
			func(*Profile, *Message, Direction) string { return "" }}, // found while the message is translated
		Rule{"rtp.msgid.format", "Document/*/GrpHdr/MsgId", "a message id is M, CCYYMMDD, the 11-character participant, B, 3 letters or digits and 11 digits; an answer may leave the participant out",
			func(_ *Profile, m *Message, _ Direction) string {
				id := m.MessageID()
				switch {
				case fits(id, "M", date8, alnumUp, 11, "B", alnumUp, 3, digits, 11), m.Status != nil && fits(id, "M", date8, "B", alnumUp, 3, digits, 11):
					return ""
				case !m.other.IsZero() && (id == "" || strings.HasPrefix(m.other.Definition(), "adm")):
					return "" // the network's own messages have ids of their own
				}
				return messageIDPath(m)
			}},
		Rule{"rtp.transaction.id", pathTx + "/PmtId/TxId", "instruction id and transaction id are the same: CCYYMMDD, the 11-character participant, B, 4 letters or digits and 11 digits",
			onTransfer(pathTx+"/PmtId/TxId", func(_ *Profile, t *iso20022.CreditTransfer) bool {
				return t.TransactionID == t.InstructionID && fits(t.TransactionID, date8, alnumUp, 11, "B", alnumUp, 4, digits, 11)
			})},
		Rule{"rtp.category.purpose", pathTx + "/PmtTpInf/CtgyPurp/Prtry", "the category purpose is CONSUMER or BUSINESS",
			onTransfer(pathTx+"/PmtTpInf/CtgyPurp/Prtry", func(p *Profile, t *iso20022.CreditTransfer) bool { return contains(p.Categories, t.CategoryPrtry) })},
		Rule{"rtp.agent.member", pathTx + "/InstgAgt" + pathMember, "agents are clearing system members without the system's code",
			func(_ *Profile, m *Message, _ Direction) string {
				for _, a := range agents(m) {
					if a.value.System != "" || a.value.ID.IsBIC() {
						return a.path + "/FinInstnId/ClrSysMmbId"
					}
				}
				return ""
			}},
		Rule{"rtp.aba.checksum", pathTx + "/InstgAgt" + pathMember, "a routing number has 9 digits and its check digit (weights 3-7-1) is right", checkRoutingNumbers},
		Rule{"rtp.account.other", pathTx + "/DbtrAcct/Id/Othr/Id", "accounts are domestic numbers in Othr/Id, never IBANs", checkNoIBAN},
		Rule{"rtp.purpose.none", pathTx + "/Purp", "a transfer has no purpose code",
			onTransfer(pathTx+"/Purp", func(_ *Profile, t *iso20022.CreditTransfer) bool { return t.Purpose == "" })},
		Rule{"rtp.uetr.none", pathTx + "/PmtId/UETR", "a transfer has no UETR: the instruction id is its reference",
			onTransfer(pathTx+"/PmtId/UETR", func(_ *Profile, t *iso20022.CreditTransfer) bool { return t.UETR == "" })},
	)
	return p
}

func messageIDPath(m *Message) string {
	if m.other.IsZero() {
		return documentRoot(m) + "/GrpHdr/MsgId"
	}
	return "Document"
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

func rtpMessageID(participant payments.AgentID, day time.Time, suffix string) string {
	return fmt.Sprintf("M%s%sB%s", day.Format("20060102"), rtpParty(participant), rtpNumber("message", suffix, 3))
}

func rtpHeaderID(messageID string) string {
	if len(messageID) != 35 {
		return messageID
	}
	return "B" + messageID[1:20] + "H" + messageID[21:]
}

func rtpTransferIDs(t *iso20022.CreditTransfer, in *TransferInput, day time.Time) {
	t.TransactionID = fmt.Sprintf("%s%sB%s", day.Format("20060102"), rtpParty(in.Participant), rtpNumber("transaction", in.Suffix, 4))
	t.InstructionID, t.Purpose = t.TransactionID, ""
}

// The network passes the receiver's answer on once it has settled it, so what reaches the sender from the network's side is final
// whoever instructs it.
var rtpMeanings = map[meaningKey]Kind{
	{Service, "ACTC"}: Settled,
	{Service, "ACWP"}: SettledPending,
	{Service, "ACSC"}: Settled,
	{Service, "RCVD"}: Waiting,
	{Service, "PDNG"}: Waiting,
	{Service, "RJCT"}: Rejected,

	{Participant, "ACTC"}: Settled,
	{Participant, "ACWP"}: SettledPending,
	{Participant, "RCVD"}: Waiting,
	{Participant, "RJCT"}: Rejected,
}
