package rail

import (
	"slices"
	"strings"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

// OnTransfer makes a check of transfers, true where the rule is kept. A path below PmtTpInf or IntrBkSttlmDt is given as the transaction's;
// where the message has it in the group header, the fault says so.
func OnTransfer(path string, ok func(*Profile, *iso20022.CreditTransfer) bool) Check {
	return func(p *Profile, m *Message, _ Direction) string {
		if m.Transfer == nil || ok(p, m.Transfer) {
			return ""
		}
		if rest, found := strings.CutPrefix(path, PathTransferTx+"/PmtTpInf"); found {
			return settlementPath(m.Transfer) + "/PmtTpInf" + rest
		}
		if rest, found := strings.CutPrefix(path, PathTransferTx+"/IntrBkSttlmDt"); found {
			return settlementPath(m.Transfer) + "/IntrBkSttlmDt" + rest
		}
		return path
	}
}

// OnStatus makes a check of status reports, true where the rule is kept. The path is the transaction's, as for OnTransfer.
func OnStatus(path string, ok func(*Profile, *iso20022.StatusReport, Direction) bool) Check {
	return func(p *Profile, m *Message, dir Direction) string {
		if m.Status == nil || ok(p, m.Status, dir) {
			return ""
		}
		if !m.Status.GroupLevel {
			return path
		}
		return strings.Replace(strings.Replace(path, PathStatusTx, statusPath(m.Status), 1), "/TxSts", "/GrpSts", 1)
	}
}

// OnHeader makes a check of headers, true where the rule is kept. A Document read without a header is not judged by it.
func OnHeader(path string, ok func(*Profile, *iso20022.Header, Direction) bool) Check {
	return func(p *Profile, m *Message, dir Direction) string {
		if ok(p, &m.Header, dir) {
			return ""
		}
		return path
	}
}

// CommonRules are what every rail demands by the values of its profile; name is the profile's, which begins each rule's. Those named
// in without, by the rest of their name ("service.level"), are left out: the rail cannot have them, or its Form judges them. It panics
// on a name there that is none of them.
func CommonRules(name string, without ...string) []Rule {
	rules := everyRule(name)
	for _, w := range without {
		n := len(rules)
		if rules = slices.DeleteFunc(rules, func(r Rule) bool { return r.Name == name+"."+w }); len(rules) == n {
			panic("rail: no common rule " + w)
		}
	}
	return rules
}

func everyRule(name string) []Rule {
	header := "AppHdr"
	return []Rule{
		{name + ".header.version", header, "the header has the version of this rail",
			OnHeader(header, func(p *Profile, h *iso20022.Header, _ Direction) bool { return h.Version == p.HeaderVersion })},
		{name + ".message.kind", "Document", "the kind of message travels on this rail",
			Elsewhere}, // judged by Profile.Check, which takes any kind
		{name + ".header.msgdef", header + "/MsgDefIdr", "MsgDefIdr names the definition of the document",
			func(_ *Profile, m *Message, _ Direction) string {
				if m.Header.MsgDef == m.MsgDef() {
					return ""
				}
				return header + "/MsgDefIdr"
			}},
		{name + ".header.service", header, "one side of the header is the rail itself: To when a participant sends, Fr when the rail does",
			func(p *Profile, m *Message, dir Direction) string {
				switch h := &m.Header; {
				case dir == ToService && h.To != p.Service, dir == FromService && h.To == p.Service:
					return header + "/To"
				case dir == FromService && h.From != p.Service, dir == ToService && h.From == p.Service:
					return header + "/Fr"
				}
				return ""
			}},
		{name + ".header.duplicate", header + "/PssblDplct", "PssblDplct is not used on this rail, nor CpyDplct but for DUPL where a transfer is sent again",
			OnHeader(header+"/PssblDplct", func(p *Profile, h *iso20022.Header, _ Direction) bool {
				return !h.PssblDplct && (h.CpyDplct == "" || h.CpyDplct == "DUPL" && p.Recovery == ResendMarked)
			})},
		{name + ".clearing.system", PathTransfer + "/GrpHdr/SttlmInf/ClrSys", "the clearing system is the one of this rail",
			OnTransfer(PathTransfer+"/GrpHdr/SttlmInf/ClrSys", func(p *Profile, t *iso20022.CreditTransfer) bool {
				return t.ClrSysCode == p.ClrSysCode && t.ClrSysPrtr == p.ClrSysPrtr
			})},
		{name + ".settlement.date", PathTransferTx + "/IntrBkSttlmDt", "the interbank settlement date is given",
			OnTransfer(PathTransferTx+"/IntrBkSttlmDt", func(_ *Profile, t *iso20022.CreditTransfer) bool { return t.SettleDate != "" })},
		{name + ".service.level", PathTransferTx + "/PmtTpInf/SvcLvl", "the service level is the one of this rail",
			OnTransfer(PathTransferTx+"/PmtTpInf/SvcLvl", func(p *Profile, t *iso20022.CreditTransfer) bool {
				return p.ServiceLevel == "" || t.ServiceLevel == p.ServiceLevel
			})},
		{name + ".local.instrument", PathTransferTx + "/PmtTpInf/LclInstrm", "the local instrument is the one of this rail",
			OnTransfer(PathTransferTx+"/PmtTpInf/LclInstrm", func(p *Profile, t *iso20022.CreditTransfer) bool {
				return t.LocalCode == p.LocalCode && (t.LocalPrtry == "" && p.LocalPrtry == nil || slices.Contains(p.LocalPrtry, t.LocalPrtry))
			})},
		{name + ".charge.bearer", PathTransferTx + "/ChrgBr", "charges are SLEV",
			OnTransfer(PathTransferTx+"/ChrgBr", func(p *Profile, t *iso20022.CreditTransfer) bool { return t.ChargeBearer == p.ChargeBearer })},
		{name + ".amount.currency", PathTransferTx + "/IntrBkSttlmAmt/@Ccy", "the rail settles in one currency only",
			OnTransfer(PathTransferTx+"/IntrBkSttlmAmt/@Ccy", func(p *Profile, t *iso20022.CreditTransfer) bool { return t.Amount.Currency == p.Currency })},
		{name + ".amount.limit", PathTransferTx + "/IntrBkSttlmAmt", "the amount is above zero and within the rail's limit",
			OnTransfer(PathTransferTx+"/IntrBkSttlmAmt", func(p *Profile, t *iso20022.CreditTransfer) bool {
				return t.Amount.Minor > 0 && t.Amount.Minor <= p.AmountMax
			})},
		{name + ".agent.required", PathTransferTx + "/InstgAgt", "instructing and instructed agent are given, and those of debtor and creditor",
			func(_ *Profile, m *Message, _ Direction) string {
				for _, a := range m.Agents() {
					if a.Value.ID == "" {
						return a.Path
					}
				}
				return ""
			}},
		{name + ".party.account", PathTransferTx + "/DbtrAcct", "debtor and creditor have an account",
			func(_ *Profile, m *Message, _ Direction) string {
				for _, x := range m.Parties() {
					if (x.Value.Account == payments.Account{}) {
						return x.Path + "Acct"
					}
				}
				return ""
			}},
		{name + ".party.name", PathTransferTx + "/Dbtr/Nm", "debtor and creditor have a name",
			func(_ *Profile, m *Message, _ Direction) string {
				for _, x := range m.Parties() {
					if (x.Value.Name == payments.Name{}) {
						return x.Path + "/Nm"
					}
				}
				return ""
			}},
		{name + ".address.structured", PathTransferTx + "/Dbtr/PstlAdr", "an address has at least town and country",
			func(_ *Profile, m *Message, _ Direction) string {
				for _, x := range m.Parties() {
					if a := x.Value.Address; a != (iso20022.Address{}) && (a.Town == "" || a.Country == "") {
						return x.Path + "/PstlAdr"
					}
				}
				return ""
			}},
		{name + ".status.participant", PathStatusTx + "/TxSts", "a participant accepts or refuses; only the rail says that a payment has settled",
			OnStatus(PathStatusTx+"/TxSts", func(p *Profile, s *iso20022.StatusReport, dir Direction) bool {
				return dir != ToService || s.Status == "" || slices.Contains(p.ParticipantStatus, s.Status)
			})},
		{name + ".status.reason", PathStatusTx + "/StsRsnInf/Rsn", "RJCT gives exactly one reason",
			OnStatus(PathStatusTx+"/StsRsnInf/Rsn", func(_ *Profile, s *iso20022.StatusReport, _ Direction) bool {
				return s.Status != "RJCT" || (s.Reason != "") != (s.ReasonPrtry != "")
			})},
		{name + ".status.reason.code", PathStatusTx + "/StsRsnInf/Rsn/Prtry", "a participant gives its reason as Rsn/Cd",
			OnStatus(PathStatusTx+"/StsRsnInf/Rsn/Prtry", func(p *Profile, s *iso20022.StatusReport, dir Direction) bool {
				return dir != ToService || p.ParticipantReasonPrtry || s.ReasonPrtry == ""
			})},
		{name + ".original.required", PathStatusTx + "/OrgnlGrpInf", "the original message is named by MsgId, definition and creation time",
			func(p *Profile, m *Message, _ Direction) string {
				switch s, r := m.Status, m.Request; {
				case p.OriginalByEndToEnd: // by a rule of its own
				case s != nil && (s.OriginalMessageID == "" || s.OriginalMsgName == "" || s.OriginalCreated.IsZero()):
					if s.GroupLevel {
						return statusPath(s)
					}
					return PathStatusTx + "/OrgnlGrpInf"
				case r != nil && (r.OriginalMessageID == "" || r.OriginalMsgName == "" || r.OriginalCreated.IsZero()):
					if r.GroupLevel {
						return PathRequest + "/OrgnlGrpInf"
					}
					return PathRequestTx + "/OrgnlGrpInf"
				}
				return ""
			}},
	}
}

// RoutingNumbers is the rule <rail>.aba.checksum of rails whose agents are US routing numbers. The rail's own number is given.
func RoutingNumbers(rail string) Rule {
	return Rule{rail + ".aba.checksum", PathTransferTx + "/InstgAgt" + PathMember, "a routing number has 9 digits and its check digit (weights 3-7-1) is right",
		func(p *Profile, m *Message, _ Direction) string {
			for _, a := range m.Agents() {
				if a.Value.ID != "" && a.Value.ID != p.Service && payments.CheckABA(string(a.Value.ID)) != nil {
					return a.Path + PathMember
				}
			}
			return ""
		}}
}

// DomesticAccounts is the rule <rail>.account.other of rails whose accounts are domestic numbers.
func DomesticAccounts(rail string) Rule {
	return Rule{rail + ".account.other", PathTransferTx + "/DbtrAcct/Id/Othr/Id", "accounts are domestic numbers in Othr/Id, never IBANs",
		func(_ *Profile, m *Message, _ Direction) string {
			for _, x := range m.Parties() {
				if x.Value.Account.IsIBAN() {
					return x.Path + "Acct/Id/Othr/Id"
				}
			}
			return ""
		}}
}
