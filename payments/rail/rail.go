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
//
// Rails that do not write ISO 20022 as it is are translated: the message definitions here are always ISO's, and what such a rail leaves
// out is filled in from what it says elsewhere (on Pix the agents, and in a report the id of the original message is empty).
type Message struct {
	Header   iso20022.Header
	Transfer *iso20022.CreditTransfer // pacs.008
	Status   *iso20022.StatusReport   // pacs.002
	Request  *iso20022.StatusRequest  // pacs.028
	// Rejection is an admi.002, which only the rail sends: it will not act on a message of ours. Decode reads it, Encode does not write it.
	Rejection *iso20022.Rejection

	bare bool             // read without a header, so header rules do not apply
	wire *Parts           // while it is read: what it was read from
	tree iso20022.Element // of Check: the Document of any further definition
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
	if !m.tree.IsZero() {
		def, n = m.tree.Definition(), n+1
	}
	if n != 1 {
		return ""
	}
	return def
}

// MessageID returns GrpHdr/MsgId of the document, and the header's id for an admi.002, whose document has none.
func (m *Message) MessageID() string {
	if m.Rejection != nil {
		return m.Header.BizMsgID
	}
	switch m.MsgDef() {
	case MsgTransfer:
		return m.Transfer.MessageID
	case MsgStatus:
		return m.Status.MessageID
	case MsgRequest:
		return m.Request.MessageID
	}
	if !m.tree.IsZero() {
		for body := range m.tree.Children() {
			for _, path := range [][]string{{"GrpHdr", "MsgId"}, {"Assgnmt", "Id"}, {"MsgHdr", "MsgId"}} {
				if id := body.Value(path...); id != "" {
					return id
				}
			}
		}
	}
	return ""
}

// Tree returns the Document of a definition that has no type here, as Profile.Check hands it to the rules; zero for all others.
func (m *Message) Tree() iso20022.Element { return m.tree }

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

// Profile is one rail as data. New checks it; the rails of this module are packages of their own below this one, found by name in
// package rails. A *Profile is not changed once made, so it may be used by many goroutines; the With methods return changed copies.
type Profile struct {
	Name      string            // lower-case letters and digits: "fednow"
	Title     string            // for people: "FedNow"
	Currency  payments.Currency // the only currency the rail settles in
	AmountMax int64             // largest payment, minor units
	Service   payments.AgentID  // the rail itself, as it stands in headers and as InstgAgt

	HeaderVersion string // "head.001.001.02"
	Registry      string // MktPrctc/Regy, empty if the rail has none
	PracticeID    string // MktPrctc/Id
	In, Out       Envelope
	Definitions   []string          // every message definition that travels on the rail, by ISO's names
	OwnNames      map[string]string // the rail's own names of these, on a rail whose documents belong to no ISO namespace; else nil
	Form          Form              // how the wire differs from ISO 20022; nil if it does not

	ClrSysCode, ClrSysPrtr string   // SttlmInf/ClrSys, one of the two, or neither
	AgentSystem            string   // ClrSysMmbId/ClrSysId/Cd of agents; empty where agents are BICs or have no system
	ServiceLevel           string   // PmtTpInf/SvcLvl/Cd
	LocalCode              string   // PmtTpInf/LclInstrm/Cd
	LocalPrtry             []string // PmtTpInf/LclInstrm/Prtry allowed, the first is the default
	Categories             []string // PmtTpInf/CtgyPurp/Prtry allowed, the first is the default; empty if the rail has none
	Purposes               []string // Purp/Cd allowed, the first is the default; empty if the rail does not say
	ChargeBearer           string
	GroupLevel             bool // settlement date, payment type and original message stand at group level
	SettleDateRequired     bool // IntrBkSttlmDt
	TransactionIDRequired  bool // PmtId/TxId
	AcceptanceTimeRequired bool // AccptncDtTm, set by NewTransfer
	NoUETR                 bool // the rail has no UETR
	NoCreditorName         bool // a pacs.008 does not name the creditor: the payer's bank has checked the name before
	NoAddress              bool // a pacs.008 holds no addresses
	PlainReference         bool // a structured creditor reference travels as free text
	OriginalByEndToEnd     bool // a report names its original by the end-to-end id only
	ReturnDef              string
	Yes                    string   // see AnswerYes
	Settled                string   // the rail's word to the debtor's bank that a payment has settled
	SettledCreditor        string   // and to the creditor's bank
	Pending, Posted        string   // to the debtor's bank: accepted without posting, and posted after that
	ParticipantStatus      []string // what a participant may say in a pacs.002
	ParticipantReasonPrtry bool     // whether a participant may give Rsn/Prtry
	ServiceReasonIsPrtry   bool     // the rail itself gives Rsn/Prtry
	TimeResolution         time.Duration
	Zone                   Zone // of settlement dates and of days in message ids
	SizeMaxBytes           int  // largest wire message read
	EnquiryDays            int  // enquiries only about payments of this many calendar days (UTC), 0 is any
	// Answers says what a status means, by who says it: the same code has another force on each rail and from each sender. What it does
	// not hold changes nothing; RJCT with Codes.NotFound from the rail is NotFound. See Meaning.
	Answers Answers
	// Characters puts a text into the rail's characters and says what it changed; nil if the rail takes every character. What it returns
	// it returns unchanged when asked again. See Text.
	Characters func(string) (string, []payments.TextChange)
	IDs        IDs

	// Recovery is what the debtor's side does when no answer comes.
	Recovery Recovery
	// AnswerTimeout is how long after sending the debtor's side waits for the final answer before the payment is unknown.
	AnswerTimeout time.Duration
	// Ladder holds the waits after AnswerTimeout at which the debtor's side asks or resends, as Recovery says; at most three.
	Ladder []time.Duration
	// CaseAfter is the wait after AnswerTimeout at which a payment still unknown becomes an operator's case.
	CaseAfter time.Duration
	// RestorePayer says that the payer's money is given back when the answer is overdue, while the payment stays unknown.
	RestorePayer bool
	// ServiceTimeout is how long the rail waits for the creditor's bank before it refuses the payment itself.
	ServiceTimeout time.Duration

	Codes   Codes    // reasons the rail itself gives
	Reasons Reasons  // what to do about a refusal, by its reason; see Advice
	Recalls []Recall // until when a settled payment can be asked back, by reason
	Returns Returns  // how money comes back
	Rules   []Rule   // in the order they are checked
}

// Recovery is the one thing a rail wants done when no answer comes. The zero Recovery is the cautious one.
type Recovery uint8

const (
	Wait         Recovery = iota // the verdict comes by itself: never ask, never send again (Pix)
	Ask                          // ask for the status with a pacs.028, never send again (FedNow, SCT Inst)
	ResendMarked                 // send the identical message marked as a duplicate (CpyDplct DUPL), with no id changed (RTP)
	ResendSame                   // send the same bytes again: the rail knows the ids (Nexus)
)

// String returns "wait for the verdict", "ask", "resend marked" or "resend same ids".
func (r Recovery) String() string {
	return [...]string{"wait for the verdict", "ask", "resend marked", "resend same ids"}[min(r, ResendSame)]
}

// IDs makes a rail's identifiers where they differ from the default; each may be nil. They are functions of what they are given alone:
// the same payment gets the same ids.
type IDs struct {
	// Message returns a message id that is unique with its suffix (1 to 18 letters or digits). day is in the rail's zone. The default is
	// CCYYMMDD, the participant (the first 8 characters of a BIC) and the suffix.
	Message func(participant payments.AgentID, day time.Time, suffix string) string
	// Header returns BizMsgIdr; the default is the message id.
	Header func(messageID string) string
	// Transfer sets the ids of a payment that is otherwise complete. The default leaves them, and makes TxId the message id where the rail
	// wants one.
	Transfer func(t *iso20022.CreditTransfer, in *TransferInput, day time.Time)
	// Intent returns where Transfer put the intent's own end-to-end id; the default is EndToEndID.
	Intent func(t *iso20022.CreditTransfer) payments.EndToEndID
}

// Codes are the reasons the rail itself gives when it refuses: ISO external status reasons, or the rail's own words for the same.
type Codes struct {
	NoFunds         string // the debtor's bank has not prefunded enough
	CreditorTimeout string // the creditor's bank did not answer in time
	UnknownAgent    string // the creditor's bank is not on the rail
	TooLate         string // the payment was too old when it arrived
	NotFound        string // an enquiry about a payment the rail has no record of; empty if there are none
}

// Envelope is how a rail wraps header and document on the wire.
type Envelope struct {
	Namespace string
	Path      []string // element names from the root down
	// Elements holds, by message definition, the names that the innermost element may have, the usual first; nil where the last of Path
	// holds header and document.
	Elements map[string][]string
}

// wrapper returns the elements from the root to the one that holds AppHdr and Document of msgDef.
func (e Envelope) wrapper(msgDef string) []string {
	if names := e.Elements[msgDef]; names != nil {
		return append(slices.Clone(e.Path), names[0])
	}
	return e.Path
}

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

// Without returns a copy that does not check the rules of those names: published samples use placeholder routing numbers, for one. It
// fails on a name the profile does not have, since a rule left on by a typing error would be found late.
func (p *Profile) Without(names ...string) (*Profile, error) {
	c := *p
	c.Rules = slices.Clone(p.Rules)
	for _, name := range names {
		n := len(c.Rules)
		c.Rules = slices.DeleteFunc(c.Rules, func(r Rule) bool { return r.Name == name })
		if len(c.Rules) == n {
			return nil, fmt.Errorf("rail: profile %s has no rule %.60q", p.Name, name)
		}
	}
	return &c, nil
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

// Text returns s in the characters of this rail, and what it had to change: the payer must then have seen the changed text before
// signing.
func (p *Profile) Text(s string) (string, []payments.TextChange) {
	if p.Characters == nil {
		return s, nil
	}
	return p.Characters(s)
}

// Intent returns the intent that a transfer on this rail was made for, and false if it was not made by us.
func (p *Profile) Intent(t *iso20022.CreditTransfer) (payments.IntentID, bool) {
	if p.IDs.Intent != nil {
		return payments.IntentFromEndToEnd(p.IDs.Intent(t))
	}
	return payments.IntentFromEndToEnd(t.EndToEndID)
}

// Original returns by what later messages on this rail name a transfer: its message id, or its end-to-end id.
func (p *Profile) Original(messageID string, endToEnd payments.EndToEndID) string {
	if p.OriginalByEndToEnd {
		return string(endToEnd)
	}
	return messageID
}
