package rail

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

// Rule is one thing a rail demands beyond the ISO schema. Its name is stable: operators, tests and documents refer to it.
type Rule struct {
	Name string // rail.subject.detail, such as "fednow.aba.checksum"
	Path string // where it looks, from AppHdr or Document; several places are told apart in the RuleError
	Text string // what it demands
	// check returns the path of the first fault, or "" when the message keeps the rule or the rule does not apply to it.
	check func(p *Profile, m *Message, dir Direction) string
}

// onWire makes a check of the bytes as they came, for what the model does not hold. What is written keeps it by construction.
func onWire(check func(*Profile, *opened) string) func(*Profile, *Message, Direction) string {
	return func(p *Profile, m *Message, _ Direction) string {
		if m.wire == nil {
			return ""
		}
		return check(p, m.wire)
	}
}

// RuleError says which rule a message breaks and where. It never contains a value from the message.
type RuleError struct {
	Rule string `json:"rule"`
	Path string `json:"path"`
	Text string `json:"text"`
	Line int    `json:"line,omitempty"` // in the wire message, from 1; 0 where a rule looks at more than one place
	Col  int    `json:"col,omitempty"`  // in bytes, from 1
}

// Error returns rule, path, place and text.
func (e *RuleError) Error() string {
	switch {
	case e.Path == "":
		return fmt.Sprintf("rail: %s: %s", e.Rule, e.Text)
	case e.Line > 0:
		return fmt.Sprintf("rail: %s at %s (line %d, column %d): %s", e.Rule, e.Path, e.Line, e.Col, e.Text)
	}
	return fmt.Sprintf("rail: %s at %s: %s", e.Rule, e.Path, e.Text)
}

// RuleErrors is every rule a message breaks, in the profile's order; errors.As finds the first as *RuleError.
type RuleErrors []*RuleError

// Error lists all the faults, at most ten.
func (e RuleErrors) Error() string {
	var b strings.Builder
	for i, r := range e {
		if i == 10 {
			fmt.Fprintf(&b, "; and %d more", len(e)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(r.Error())
	}
	return b.String()
}

// Unwrap gives errors.As each fault.
func (e RuleErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, r := range e {
		errs[i] = r
	}
	return errs
}

// Faults returns the rules an error of Encode or Decode lists, and nil for any other error.
func Faults(err error) []*RuleError {
	var many RuleErrors
	if errors.As(err, &many) {
		return many
	}
	var one *RuleError
	if errors.As(err, &one) {
		return []*RuleError{one}
	}
	return nil
}

// CheckMessage runs the profile's rules on m, travelling in direction dir, and returns RuleErrors or nil.
func (p *Profile) CheckMessage(m *Message, dir Direction) error {
	if m.MsgDef() == "" {
		return &RuleError{Rule: p.Name + ".message.one", Path: "Document", Text: "a message has exactly one document"}
	}
	if faults := p.faults(m, dir); faults != nil {
		return faults
	}
	return nil
}

func (p *Profile) faults(m *Message, dir Direction) RuleErrors {
	var faults RuleErrors
	for i := range p.Rules {
		r := &p.Rules[i]
		if m.bare && strings.HasPrefix(r.Path, "AppHdr") {
			continue
		}
		if path := r.check(p, m, dir); path != "" {
			f := &RuleError{Rule: r.Name, Path: path, Text: r.Text}
			if m.wire != nil {
				f.Line, f.Col = m.wire.at(path)
			}
			faults = append(faults, f)
		}
	}
	return faults
}

// rule returns the rule of that name without the profile's prefix, as a fault at path; nil if it is switched off.
func (p *Profile) rule(name, path string, at iso20022.Element) *RuleError {
	for i := range p.Rules {
		if r := &p.Rules[i]; r.Name == p.Name+"."+name {
			f := &RuleError{Rule: r.Name, Path: path, Text: r.Text}
			if !at.IsZero() {
				f.Line, f.Col = at.Position()
			}
			return f
		}
	}
	return nil
}

// Paths of the elements the rules look at.
const (
	pathTransfer = "Document/FIToFICstmrCdtTrf"
	pathTx       = pathTransfer + "/CdtTrfTxInf"
	pathStatus   = "Document/FIToFIPmtStsRpt"
	pathStatusTx = pathStatus + "/TxInfAndSts"
	pathRequest  = "Document/FIToFIPmtStsReq"
	pathReqTx    = pathRequest + "/TxInf"
	pathMember   = "/FinInstnId/ClrSysMmbId/MmbId"
	pathBIC      = "/FinInstnId/BICFI"
)

// settlementPath is where settlement date and payment type stand: GrpHdr on rails that put them there, else the transaction.
func settlementPath(t *iso20022.CreditTransfer) string {
	if t.GroupLevel {
		return pathTransfer + "/GrpHdr"
	}
	return pathTx
}

// statusPath is where the original and its status stand.
func statusPath(s *iso20022.StatusReport) string {
	if s.GroupLevel {
		return pathStatus + "/OrgnlGrpInfAndSts"
	}
	return pathStatusTx
}

// placed is a value and where it stands.
type placed[T any] struct {
	path  string
	value T
}

// agents returns every agent of the document with its path.
func agents(m *Message) []placed[iso20022.Agent] {
	switch {
	case m.Transfer != nil:
		t := m.Transfer
		return []placed[iso20022.Agent]{
			{pathTx + "/InstgAgt", t.Instructing}, {pathTx + "/InstdAgt", t.Instructed},
			{pathTx + "/DbtrAgt", t.Debtor.Agent}, {pathTx + "/CdtrAgt", t.Creditor.Agent},
		}
	case m.Status != nil:
		return []placed[iso20022.Agent]{{pathStatusTx + "/InstgAgt", m.Status.Instructing}, {pathStatusTx + "/InstdAgt", m.Status.Instructed}}
	case m.Request != nil:
		return []placed[iso20022.Agent]{{pathReqTx + "/InstgAgt", m.Request.Instructing}, {pathReqTx + "/InstdAgt", m.Request.Instructed}}
	}
	var found []placed[iso20022.Agent]
	each(m.other, func(e iso20022.Element) {
		if e.Name() != "FinInstnId" {
			return
		}
		a := iso20022.Agent{ID: payments.AgentID(e.Value("BICFI"))}
		if a.ID == "" {
			a = iso20022.Agent{ID: payments.AgentID(e.Value("ClrSysMmbId", "MmbId")), System: e.Value("ClrSysMmbId", "ClrSysId", "Cd")}
		}
		if a.ID != "" {
			found = append(found, placed[iso20022.Agent]{strings.TrimSuffix(strings.TrimPrefix(e.Path(), "/"), "/FinInstnId"), a})
		}
	})
	return found
}

// each calls f for every element inside e, in the order of the document.
func each(e iso20022.Element, f func(iso20022.Element)) {
	if e.IsZero() {
		return
	}
	for c := range e.Children() {
		f(c)
		each(c, f)
	}
}

// parties returns debtor and creditor of a transfer with their paths.
func parties(m *Message) []placed[iso20022.Party] {
	if m.Transfer == nil {
		return nil
	}
	return []placed[iso20022.Party]{{pathTx + "/Dbtr", m.Transfer.Debtor}, {pathTx + "/Cdtr", m.Transfer.Creditor}}
}

// onTransfer, onStatus and onRequest make a check that holds for one kind of message.
func onTransfer(path string, ok func(*Profile, *iso20022.CreditTransfer) bool) func(*Profile, *Message, Direction) string {
	return func(p *Profile, m *Message, _ Direction) string {
		if m.Transfer == nil || ok(p, m.Transfer) {
			return ""
		}
		if rest, found := strings.CutPrefix(path, pathTx+"/PmtTpInf"); found {
			return settlementPath(m.Transfer) + "/PmtTpInf" + rest
		}
		if rest, found := strings.CutPrefix(path, pathTx+"/IntrBkSttlmDt"); found {
			return settlementPath(m.Transfer) + "/IntrBkSttlmDt" + rest
		}
		return path
	}
}

func onStatus(path string, ok func(*Profile, *iso20022.StatusReport, Direction) bool) func(*Profile, *Message, Direction) string {
	return func(p *Profile, m *Message, dir Direction) string {
		if m.Status == nil || ok(p, m.Status, dir) {
			return ""
		}
		if m.Status.GroupLevel {
			path = strings.Replace(path, pathStatusTx, statusPath(m.Status), 1)
			path = strings.Replace(path, "/TxSts", "/GrpSts", 1)
		}
		return path
	}
}

func onHeader(path string, ok func(*Profile, *iso20022.Header, Direction) bool) func(*Profile, *Message, Direction) string {
	return func(p *Profile, m *Message, dir Direction) string {
		if ok(p, &m.Header, dir) {
			return ""
		}
		return path
	}
}

// commonRules are what every profile demands, but those named in without, which the rail cannot have; name is the profile's. The texts
// speak of the profile's own values by their element.
func commonRules(name string, without ...string) []Rule {
	return slices.DeleteFunc(everyRule(name), func(r Rule) bool { return contains(without, strings.TrimPrefix(r.Name, name+".")) })
}

func everyRule(name string) []Rule {
	header := "AppHdr"
	return []Rule{
		{name + ".header.version", header, "the header has the version of this rail",
			onHeader(header, func(p *Profile, h *iso20022.Header, _ Direction) bool { return h.Version == p.HeaderVersion })},
		{name + ".message.kind", "Document", "the kind of message travels on this rail",
			func(*Profile, *Message, Direction) string { return "" }}, // judged by Check, which takes any kind
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
			onHeader(header+"/PssblDplct", func(p *Profile, h *iso20022.Header, _ Direction) bool {
				return !h.PssblDplct && (h.CpyDplct == "" || h.CpyDplct == "DUPL" && p.Recovery == ResendMarked)
			})},
		{name + ".clearing.system", pathTransfer + "/GrpHdr/SttlmInf/ClrSys", "the clearing system is the one of this rail",
			onTransfer(pathTransfer+"/GrpHdr/SttlmInf/ClrSys", func(p *Profile, t *iso20022.CreditTransfer) bool {
				return t.ClrSysCode == p.ClrSysCode && t.ClrSysPrtr == p.ClrSysPrtr
			})},
		{name + ".settlement.date", pathTx + "/IntrBkSttlmDt", "the interbank settlement date is given",
			onTransfer(pathTx+"/IntrBkSttlmDt", func(_ *Profile, t *iso20022.CreditTransfer) bool { return t.SettleDate != "" })},
		{name + ".service.level", pathTx + "/PmtTpInf/SvcLvl", "the service level is the one of this rail",
			onTransfer(pathTx+"/PmtTpInf/SvcLvl", func(p *Profile, t *iso20022.CreditTransfer) bool {
				return p.ServiceLevel == "" || t.ServiceLevel == p.ServiceLevel
			})},
		{name + ".local.instrument", pathTx + "/PmtTpInf/LclInstrm", "the local instrument is the one of this rail",
			onTransfer(pathTx+"/PmtTpInf/LclInstrm", func(p *Profile, t *iso20022.CreditTransfer) bool {
				return t.LocalCode == p.LocalCode && (t.LocalPrtry == "" && p.LocalPrtry == nil || contains(p.LocalPrtry, t.LocalPrtry))
			})},
		{name + ".charge.bearer", pathTx + "/ChrgBr", "charges are SLEV",
			onTransfer(pathTx+"/ChrgBr", func(p *Profile, t *iso20022.CreditTransfer) bool { return t.ChargeBearer == p.ChargeBearer })},
		{name + ".amount.currency", pathTx + "/IntrBkSttlmAmt/@Ccy", "the rail settles in one currency only",
			onTransfer(pathTx+"/IntrBkSttlmAmt/@Ccy", func(p *Profile, t *iso20022.CreditTransfer) bool { return t.Amount.Currency == p.Currency })},
		{name + ".amount.limit", pathTx + "/IntrBkSttlmAmt", "the amount is above zero and within the rail's limit",
			onTransfer(pathTx+"/IntrBkSttlmAmt", func(p *Profile, t *iso20022.CreditTransfer) bool {
				return t.Amount.Minor > 0 && t.Amount.Minor <= p.AmountMax
			})},
		{name + ".agent.required", pathTx + "/InstgAgt", "instructing and instructed agent are given, and those of debtor and creditor",
			func(_ *Profile, m *Message, _ Direction) string {
				for _, a := range agents(m) {
					if a.value.ID == "" {
						return a.path
					}
				}
				return ""
			}},
		{name + ".party.account", pathTx + "/DbtrAcct", "debtor and creditor have an account",
			func(_ *Profile, m *Message, _ Direction) string {
				for _, x := range parties(m) {
					if (x.value.Account == payments.Account{}) {
						return x.path + "Acct"
					}
				}
				return ""
			}},
		{name + ".party.name", pathTx + "/Dbtr/Nm", "debtor and creditor have a name",
			func(_ *Profile, m *Message, _ Direction) string {
				for _, x := range parties(m) {
					if (x.value.Name == payments.Name{}) {
						return x.path + "/Nm"
					}
				}
				return ""
			}},
		{name + ".address.structured", pathTx + "/Dbtr/PstlAdr", "an address has at least town and country",
			func(_ *Profile, m *Message, _ Direction) string {
				for _, x := range parties(m) {
					if a := x.value.Address; a != (iso20022.Address{}) && (a.Town == "" || a.Country == "") {
						return x.path + "/PstlAdr"
					}
				}
				return ""
			}},
		{name + ".status.participant", pathStatusTx + "/TxSts", "a participant accepts or refuses; only the rail says that a payment has settled",
			onStatus(pathStatusTx+"/TxSts", func(p *Profile, s *iso20022.StatusReport, dir Direction) bool {
				return dir != ToService || s.Status == "" || contains(p.ParticipantStatus, s.Status)
			})},
		{name + ".status.reason", pathStatusTx + "/StsRsnInf/Rsn", "RJCT gives exactly one reason",
			onStatus(pathStatusTx+"/StsRsnInf/Rsn", func(_ *Profile, s *iso20022.StatusReport, _ Direction) bool {
				return s.Status != "RJCT" || (s.Reason != "") != (s.ReasonPrtry != "")
			})},
		{name + ".status.reason.code", pathStatusTx + "/StsRsnInf/Rsn/Prtry", "a participant gives its reason as Rsn/Cd",
			onStatus(pathStatusTx+"/StsRsnInf/Rsn/Prtry", func(p *Profile, s *iso20022.StatusReport, dir Direction) bool {
				return dir != ToService || p.ParticipantReasonPrtry || s.ReasonPrtry == ""
			})},
		{name + ".original.required", pathStatusTx + "/OrgnlGrpInf", "the original message is named by MsgId, definition and creation time",
			func(p *Profile, m *Message, _ Direction) string {
				switch s, r := m.Status, m.Request; {
				case p.OriginalByEndToEnd: // by a rule of its own
				case s != nil && (s.OriginalMessageID == "" || s.OriginalMsgName == "" || s.OriginalCreated.IsZero()):
					if s.GroupLevel {
						return statusPath(s)
					}
					return pathStatusTx + "/OrgnlGrpInf"
				case r != nil && (r.OriginalMessageID == "" || r.OriginalMsgName == "" || r.OriginalCreated.IsZero()):
					if r.GroupLevel {
						return pathRequest + "/OrgnlGrpInf"
					}
					return pathReqTx + "/OrgnlGrpInf"
				}
				return ""
			}},
	}
}

func contains(set []string, s string) bool {
	for _, x := range set {
		if x == s {
			return true
		}
	}
	return false
}
