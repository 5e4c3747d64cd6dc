package lifecycle

import (
	"slices"
	"strings"
)

// Trigger is what makes a payment move.
type Trigger string

// The triggers, in the order of the table.
const (
	OnStored         Trigger = "stored"
	OnShown          Trigger = "shown"
	OnDecline        Trigger = "decline"
	OnExpiry         Trigger = "expiry"
	OnCancel         Trigger = "cancel"
	OnMandate        Trigger = "mandate"
	OnHold           Trigger = "hold"
	OnRelease        Trigger = "release"
	OnDeny           Trigger = "deny"
	OnSubmit         Trigger = "submit"
	OnSent           Trigger = "sent"
	OnIncoming       Trigger = "incoming"
	OnSilence        Trigger = "silence"
	OnPositive       Trigger = "positive"
	OnSettlement     Trigger = "settlement"
	OnRejection      Trigger = "rejection"
	OnLateRejection  Trigger = "late-rejection"
	OnStillUncertain Trigger = "still-uncertain"
)

// Row is one line of the table: on Trigger, each state of From is followed by To.
type Row struct {
	From     []State
	Trigger  Trigger
	To       State
	Sides    []Side // whose record takes this step
	Evidence string // what must be at hand, and durably recorded with the step
	By       string // who brings it about
}

var (
	debtor = []Side{Debtor}
	both   = []Side{Debtor, Creditor}
)

// table is the state table of docs/payments.md. No two rows have the same trigger and a common From.
var table = []Row{
	{[]State{None}, OnStored, Created, debtor, "payee-signed request, its terms hash fixed", "payee"},
	{[]State{Created}, OnShown, Presented, debtor, "delivered and shown: the client's receipt or its question for a payee check", "payer's client"},
	{[]State{Created, Presented}, OnDecline, Declined, debtor, "the payer's refusal, with a reason", "payer"},
	{[]State{Created, Presented, Authorised, Held}, OnExpiry, Expired, debtor, "expiry reached by the journal's high-water clock, recorded before any submission", "connector's clock"},
	{[]State{Created, Presented, Authorised, Held}, OnCancel, Cancelled, debtor, "withdrawal by payee or payer, recorded before any submission", "either"},
	{[]State{Presented}, OnMandate, Authorised, debtor, "mandate verified: signature, enrolled key, audience, nonce, expiry, terms, payee check inside the signed bytes", "connector"},
	{[]State{Authorised}, OnHold, Held, debtor, "a check's result: hold", "compliance"},
	{[]State{Held}, OnRelease, Authorised, debtor, "release by two operators", "operator"},
	{[]State{Authorised, Held}, OnDeny, Rejected, debtor, "a check's denial, failed validation or refused funds", "connector, core bank"},
	{[]State{Authorised}, OnSubmit, Submitting, debtor, "ONE durable write: ids, exact bytes, reservation, outbox row; before the first byte leaves", "connector"},
	{[]State{Submitting}, OnSent, Submitted, debtor, "the transport's acceptance, or any answer of the rail to this message", "connector"},
	{[]State{None}, OnIncoming, Submitted, []Side{Creditor}, "a valid pacs.008 from the rail, stored before it is answered", "rail"},
	{[]State{Submitting, Submitted}, OnSilence, Unknown, debtor, "restart in submitting, ambiguous transport, or no answer by the rail's deadline", "connector"},
	{[]State{Submitted, Unknown}, OnPositive, Accepted, both, "an answer that the rail profile calls positive but not settled; at the creditor's bank its own positive answer", "rail"},
	{[]State{Submitting, Submitted, Accepted, Unknown}, OnSettlement, Settled, both, "what the rail profile calls settled, a statement entry, or an investigation's answer", "rail, reconciliation"},
	{[]State{Submitting, Submitted, Unknown}, OnRejection, Rejected, both, "a negative answer with its ISO reason, or proof that it can never settle; never silence, never \"not found\" alone", "rail"},
	{[]State{Accepted}, OnLateRejection, Rejected, both, "a negative answer after a positive one, on a rail that allows it; never after ACWP", "rail"},
	{[]State{Unknown}, OnStillUncertain, Unknown, debtor, "a step of the rail profile's recovery ladder: enquiry, marked repetition, wait, case", "connector"},
}

// Table returns the table. The caller may change its copy.
func Table() []Row {
	t := slices.Clone(table)
	for i := range t {
		t[i].From, t[i].Sides = slices.Clone(t[i].From), slices.Clone(t[i].Sides)
	}
	return t
}

// Markdown returns the table as docs/payments.md shows it. An asterisk marks a terminal state.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| from | trigger | to | whose record | evidence | brought about by |\n|---|---|---|---|---|---|\n")
	for _, r := range table {
		from := make([]string, len(r.From))
		for i, s := range r.From {
			from[i] = s.label()
		}
		sides := make([]string, len(r.Sides))
		for i, s := range r.Sides {
			sides[i] = string(s)
		}
		for _, cell := range []string{strings.Join(from, ", "), string(r.Trigger), r.To.label(), strings.Join(sides, ", "), r.Evidence, r.By} {
			b.WriteString("| " + cell + " ")
		}
		b.WriteString("|\n")
	}
	return b.String()
}

func (s State) label() string {
	switch {
	case s == None:
		return "–"
	case s.Terminal():
		return string(s) + "\\*"
	}
	return string(s)
}
