// Package lifecycle is the state table of a payment: which state follows which, on what trigger and on whose evidence.
//
// It is data with a look-up: it holds no payment, reads no clock and does no I/O. The table is the same in this package, in its
// tests and in docs/payments.md, which is generated from it.
package lifecycle

import (
	"fmt"
	"slices"
)

// State is where a payment stands. The zero State means that there is no payment yet.
type State string

// The 13 states. Settled, Rejected, Declined, Expired and Cancelled are terminal.
const (
	None       State = ""
	Created    State = "created"    // the request is stored and its terms are fixed
	Presented  State = "presented"  // the payer has seen it
	Authorised State = "authorised" // the payer's mandate is verified
	Held       State = "held"       // a check wants a person to decide
	Submitting State = "submitting" // durably decided to send; the message may or may not have left
	Submitted  State = "submitted"  // the rail's transport took the message
	Accepted   State = "accepted"   // a positive answer that is not settlement
	Unknown    State = "unknown"    // no answer: the money may have moved
	Settled    State = "settled"    // the money has moved
	Rejected   State = "rejected"   // it never moved and never will
	Declined   State = "declined"   // the payer said no
	Expired    State = "expired"    // nobody acted in time
	Cancelled  State = "cancelled"  // withdrawn before it was sent
)

// States returns the 13 states in the order of the life of a payment, without None.
func States() []State {
	return []State{Created, Presented, Authorised, Held, Submitting, Submitted, Accepted, Unknown, Settled, Rejected, Declined, Expired, Cancelled}
}

// ParseState returns the state of that name. The empty text is None.
func ParseState(s string) (State, error) {
	if s == "" || slices.Contains(States(), State(s)) {
		return State(s), nil
	}
	return None, fmt.Errorf("lifecycle: unknown state %.20q", s)
}

// Terminal reports whether the state is never left.
func (s State) Terminal() bool {
	switch s {
	case Settled, Rejected, Declined, Expired, Cancelled:
		return true
	}
	return false
}

// MayHaveLeft reports whether a byte of the payment may have reached the rail: from Submitting on, neither cancel nor expiry is
// possible, and only evidence from rail or bank ends the payment. Rejected is not counted: it is the proof that nothing moved.
func (s State) MayHaveLeft() bool {
	switch s {
	case Submitting, Submitted, Accepted, Unknown, Settled:
		return true
	}
	return false
}

// MayRetry reports whether a new intent may name a payment in this state as the one it retries: only when it is certain that the
// earlier one moves no money, now or later.
func (s State) MayRetry() bool { return s.Terminal() && s != Settled }

// Rank grows along every transition of the table; it is equal only between Authorised and Held and on the loop at Unknown. A
// reader of events that come in any order keeps the highest.
func (s State) Rank() int {
	switch s {
	case Created:
		return 1
	case Presented:
		return 2
	case Authorised, Held:
		return 3
	case Submitting:
		return 4
	case Submitted:
		return 5
	case Unknown:
		return 6
	case Accepted:
		return 7
	case Settled, Rejected, Declined, Expired, Cancelled:
		return 8
	}
	return 0
}

// Side says which bank's record it is. One intent has two records when both banks use the same connector.
type Side string

// The sides of a payment.
const (
	Debtor   Side = "debtor"
	Creditor Side = "creditor"
)

// TransitionError means that the table has no such step. The payment stays as it is.
type TransitionError struct {
	From    State
	Trigger Trigger // empty when the step was named by its ends
	To      State   // empty when the step was named by its trigger
}

func (e *TransitionError) Error() string {
	from := string(e.From)
	if e.From == None {
		from = "(none)"
	}
	if e.Trigger == "" {
		return fmt.Sprintf("lifecycle: no transition from %s to %s", from, e.To)
	}
	return fmt.Sprintf("lifecycle: %s is not possible in state %s", e.Trigger, from)
}

// Next returns the state that follows from on the trigger, or a *TransitionError.
func Next(from State, t Trigger) (State, error) {
	for i := range table {
		if table[i].Trigger == t && slices.Contains(table[i].From, from) {
			return table[i].To, nil
		}
	}
	return from, &TransitionError{From: from, Trigger: t}
}

// Check reports whether the record of that side may go from one state to the other in one step, as nil or a *TransitionError.
// Staying in a state is always allowed: an event may record evidence and change nothing.
func Check(side Side, from, to State) error {
	if from == to {
		return nil
	}
	for i := range table {
		if table[i].To == to && slices.Contains(table[i].From, from) && slices.Contains(table[i].Sides, side) {
			return nil
		}
	}
	return &TransitionError{From: from, To: to}
}
