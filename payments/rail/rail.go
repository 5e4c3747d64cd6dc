// Package rail turns the neutral payment messages of package iso20022 into the exact bytes one real-time rail takes, and back, and
// says what each answer means for the money.
//
// A rail is data: a Profile with its fixed codes, wrapper, limits, clocks and named rules. The package moves no money, keeps no state
// and decides no retry: the connector does, by what the Profile tells it. Facts without another source are those of the public
// documents named in docs; a figure of a rail must be checked against its rulebook before a certification.
package rail

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

// Message definitions the profiles use.
const (
	MsgTransfer = "pacs.008.001.08"
	MsgStatus   = "pacs.002.001.10"
	MsgRequest  = "pacs.028.001.03"
)

// Message is one business message on a rail: its header and exactly one document.
type Message struct {
	Header   iso20022.Header
	Transfer *iso20022.CreditTransfer // pacs.008
	Status   *iso20022.StatusReport   // pacs.002
	Request  *iso20022.StatusRequest  // pacs.028
}

// MsgDef returns the message definition of the document, or "" unless there is exactly one.
func (m *Message) MsgDef() string {
	def, n := "", 0
	if m.Transfer != nil {
		def, n = MsgTransfer, n+1
	}
	if m.Status != nil {
		def, n = MsgStatus, n+1
	}
	if m.Request != nil {
		def, n = MsgRequest, n+1
	}
	if n != 1 {
		return ""
	}
	return def
}

// MessageID returns GrpHdr/MsgId of the document.
func (m *Message) MessageID() string {
	switch m.MsgDef() {
	case MsgTransfer:
		return m.Transfer.MessageID
	case MsgStatus:
		return m.Status.MessageID
	case MsgRequest:
		return m.Request.MessageID
	}
	return ""
}

// Direction says which way a message travels. The zero Direction is none.
type Direction uint8

const (
	ToService   Direction = 1 + iota // from a participant to the rail
	FromService                      // from the rail to a participant
)

// String returns "to service" or "from service".
func (d Direction) String() string {
	switch d {
	case ToService:
		return "to service"
	case FromService:
		return "from service"
	}
	return "no direction"
}

// Profile is one rail as data. A *Profile is never changed once made, so it may be used by many goroutines; the With methods return
// changed copies.
type Profile struct {
	Name      string            // "fednow", "sctinst"
	Currency  payments.Currency // the only currency the rail settles in
	AmountMax int64             // largest payment, minor units
	Service   payments.AgentID  // the rail itself, as it stands in headers and as InstgAgt

	HeaderVersion string // "head.001.001.02"
	Registry      string // MktPrctc/Regy, empty if the rail has none
	PracticeID    string // MktPrctc/Id
	In, Out       Envelope

	ClrSysCode, ClrSysPrtr string   // SttlmInf/ClrSys, one of the two
	AgentSystem            string   // ClrSysMmbId/ClrSysId/Cd of agents; empty where agents are BICs
	ServiceLevel           string   // PmtTpInf/SvcLvl/Cd
	LocalCode, LocalPrtry  string   // PmtTpInf/LclInstrm
	Categories             []string // PmtTpInf/CtgyPurp/Prtry allowed, the first is the default; empty if the rail has none
	ChargeBearer           string
	GroupLevel             bool     // settlement date, payment type and original message stand at group level
	TransactionIDRequired  bool     // PmtId/TxId
	AcceptanceTimeRequired bool     // AccptncDtTm, set by NewTransfer
	ReturnDef              string   // definition of the rail's pacs.004
	Yes                    string   // see AnswerYes
	ParticipantStatus      []string // what a participant may say in a pacs.002
	ParticipantReasonPrtry bool     // whether a participant may give Rsn/Prtry
	ServiceReasonIsPrtry   bool     // the rail itself gives Rsn/Prtry
	TimeResolution         time.Duration
	SizeMaxBytes           int // largest wire message read
	enquiryDays            int // enquiries only about payments of this many calendar days (UTC), 0 is any
	meanings               map[meaningKey]Kind
	text                   func(string) (string, bool) // maps a text to the rail's characters; false if it had to change

	// AnswerTimeout is how long after sending the debtor's side waits for the final answer before the payment is unknown.
	AnswerTimeout time.Duration
	// Ladder holds the waits after AnswerTimeout at which the debtor's side asks with a pacs.028; at most three.
	Ladder []time.Duration
	// CaseAfter is the wait after AnswerTimeout at which a payment still unknown becomes an operator's case.
	CaseAfter time.Duration
	// ServiceTimeout is how long the rail waits for the creditor's bank before it refuses the payment itself.
	ServiceTimeout time.Duration

	Codes Codes  // reasons the rail itself gives
	Rules []Rule // in the order they are checked
}

// Codes are the reasons the rail itself gives when it refuses: ISO external status reasons, or the rail's own words for the same.
type Codes struct {
	NoFunds         string // the debtor's bank has not prefunded enough
	CreditorTimeout string // the creditor's bank did not answer in time
	UnknownAgent    string // the creditor's bank is not on the rail
	TooLate         string // the payment was too old when it arrived
	NotFound        string // an enquiry about a payment the rail has no record of
}

// Envelope is how a rail wraps header and document on the wire.
type Envelope struct {
	Namespace string
	Path      []string          // element names from the root down
	Elements  map[string]string // by message definition: the innermost element; "" where the last of Path holds them
}

// wrapper returns the elements from the root to the one that holds AppHdr and Document of msgDef.
func (e Envelope) wrapper(msgDef string) []string {
	if name := e.Elements[msgDef]; name != "" {
		return append(slices.Clone(e.Path), name)
	}
	return e.Path
}

// Lookup returns the profile of that name: "fednow" or "sctinst".
func Lookup(name string) (*Profile, error) {
	switch name {
	case "fednow":
		return fednow(), nil
	case "sctinst":
		return sctinst(), nil
	}
	return nil, fmt.Errorf("rail: no profile %.20q; there are %s", name, strings.Join(Names(), ", "))
}

// Names returns the names Lookup knows.
func Names() []string { return []string{"fednow", "sctinst"} }

// WithAnswerTimeout returns a copy whose AnswerTimeout is d and whose other clocks are scaled with it. It is for demonstrations and
// tests: a rail sets its own clocks. It panics unless d is above zero.
func (p *Profile) WithAnswerTimeout(d time.Duration) *Profile {
	if d <= 0 {
		panic("rail: answer timeout must be above zero")
	}
	scale := func(x time.Duration) time.Duration {
		// In microseconds, so that minutes times minutes fit.
		return time.Duration(x.Microseconds()*d.Microseconds()/max(p.AnswerTimeout.Microseconds(), 1)) * time.Microsecond
	}
	c := *p
	c.AnswerTimeout = d
	c.ServiceTimeout = scale(p.ServiceTimeout)
	c.CaseAfter = scale(p.CaseAfter)
	c.Ladder = make([]time.Duration, len(p.Ladder))
	for i, w := range p.Ladder {
		c.Ladder[i] = scale(w)
	}
	return &c
}

// WithoutRules returns a copy that does not check the rules of those names: published samples use placeholder routing numbers, for
// one. It panics on a name the profile does not have, since a rule left on by a typing error would be found late.
func (p *Profile) WithoutRules(names ...string) *Profile {
	c := *p
	c.Rules = slices.Clone(p.Rules)
	for _, name := range names {
		n := len(c.Rules)
		c.Rules = slices.DeleteFunc(c.Rules, func(r Rule) bool { return r.Name == name })
		if len(c.Rules) == n {
			panic("rail: profile " + p.Name + " has no rule " + name)
		}
	}
	return &c
}

// AnswerYes is the status with which the creditor's bank accepts a payment on this rail.
func (p *Profile) AnswerYes() string { return p.Yes }

// Agent returns the agent as this rail writes it.
func (p *Profile) Agent(id payments.AgentID) iso20022.Agent {
	if id == "" || id.IsBIC() {
		return iso20022.Agent{ID: id}
	}
	return iso20022.Agent{ID: id, System: p.AgentSystem}
}

// Text returns s in the characters of this rail. It reports false when it had to change something: the payer must then have seen the
// changed text before signing.
func (p *Profile) Text(s string) (string, bool) {
	if p.text == nil {
		return s, true
	}
	return p.text(s)
}
