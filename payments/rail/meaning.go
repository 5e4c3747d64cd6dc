package rail

import (
	"slices"
	"strings"

	"github.com/parleypay/parley/payments/iso20022"
)

// Kind is what an answer means for the money. The zero Kind changes nothing.
type Kind uint8

const (
	Ignored         Kind = iota // says nothing about the money, or not by one who may say it: record it and keep waiting
	Waiting                     // the rail has the message; nothing is decided
	Accepted                    // positive, not settled
	Settled                     // settled, final
	SettledCredited             // settled, and the creditor's account is credited
	SettledPending              // settled, not yet credited (ACWP)
	Rejected                    // refused, no money moved; never so after a settled answer
	Blocked                     // settled and frozen at the creditor's bank: neither credited nor returned
	NotFound                    // the rail has no record of the original; not a refusal by itself
)

// String returns the name in lower case.
func (k Kind) String() string {
	names := [...]string{"ignored", "waiting", "accepted", "settled", "settled, credited", "settled, pending", "rejected", "blocked", "not found"}
	if int(k) < len(names) {
		return names[k]
	}
	return "invalid"
}

// Final reports whether no further answer is needed to know where the money is.
func (k Kind) Final() bool {
	return k == Settled || k == SettledCredited || k == SettledPending || k == Rejected || k == Blocked
}

// Sender is whose word a status report is. The zero Sender is the less trusted one.
type Sender uint8

const (
	Participant Sender = iota // another bank, passed on by the rail
	Service                   // the rail itself
)

// Meaning is an answer as a payment's state machine takes it. What it means also depends on the state before: after a settled answer
// no later one unsettles (money comes back only as a new payment), and the state machine sees to that.
type Meaning struct {
	Kind   Kind
	Status string // TxSts as it came
	Reason string // Rsn/Cd or Rsn/Prtry as it came
}

// Answers maps a status to what it means, by who says it.
type Answers map[Sender]map[string]Kind

// Meaning says what a status report from that sender means on this rail.
func (p *Profile) Meaning(from Sender, r *iso20022.StatusReport) Meaning {
	m := Meaning{Status: r.Status, Reason: r.Reason}
	if m.Reason == "" {
		m.Reason = r.ReasonPrtry
	}
	m.Kind = p.Answers[from][r.Status]
	if m.Kind == Rejected && from == Service && p.Codes.NotFound != "" && m.Reason == p.Codes.NotFound {
		m.Kind = NotFound
	}
	return m
}

// Meanings returns what each status means on this rail, by sender, sorted by status. It is for documents; Meaning decides.
func (p *Profile) Meanings(from Sender) []Meaning {
	var all []Meaning
	for status, kind := range p.Answers[from] {
		all = append(all, Meaning{Kind: kind, Status: status})
	}
	slices.SortFunc(all, func(a, b Meaning) int { return strings.Compare(a.Status, b.Status) })
	return all
}

// Sender says whose word m's status report is: the rail's only when the header comes from the rail and the report is instructed by it.
func (p *Profile) Sender(m *Message) Sender {
	if m.Status != nil && m.Header.From == p.Service && (m.Status.Instructing.ID == p.Service || m.Status.Instructing.ID == "") {
		return Service
	}
	return Participant
}
