package connector

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/lifecycle"
)

// Payment is all that the core knows of one payment at one bank. Its zero value is a payment that has not been heard of. It is a
// value: Step returns a changed copy. Names and accounts print masked; Encode writes them out, for the journal only.
type Payment struct {
	Intent payments.IntentID // the intent; at the creditor's bank also RecordID's answer, when the transfer came from elsewhere
	Side   lifecycle.Side
	State  lifecycle.State
	Clock  time.Time `json:",omitzero"` // the latest time that a step has seen; time never runs backwards for a payment

	Amount    payments.Amount
	Debtor    Party     `json:"-"`
	Creditor  Party     `json:"-"`
	Reference string    `json:",omitempty"` // the payee's reference, carried as remittance
	Purpose   string    `json:",omitempty"` // ISO external purpose code
	Expires   time.Time `json:",omitzero"`  // of the request, and after the mandate the earlier of both

	Chat        string   `json:",omitempty"` // where our customer hears of it; empty if the customer has no chat with us
	OtherChats  []string `json:",omitempty"` // and where else, at the creditor\'s bank
	RequestHash Digest   // hash of the payee's request
	MandateHash Digest   // zero before the mandate
	Check       Check    // the latest payee check that we gave
	Nonce       string   `json:",omitempty"` // the latest nonce that we gave with it; a mandate must carry it
	Checks      int      `json:",omitempty"` // how many payee checks were given
	KeyID       string   `json:",omitempty"` // of the payer's key
	Budget      Budget   // what the mandate took from the key's limit, to be given back if the payment ends without moving money

	Authorised time.Time `json:",omitzero"` // when the mandate was accepted
	Submitted  time.Time `json:",omitzero"` // when sending was decided; at the creditor's bank when the transfer came in

	Execution    Execution  // ids of the one transfer; zero before submitting
	Deadline     time.Time  `json:",omitzero"`  // when the rail's answer is due
	Enquiries    int        `json:",omitempty"` // pacs.028 decided so far
	Resends      int        `json:",omitempty"` // repetitions of the transfer decided so far
	LadderDone   bool       `json:",omitempty"` // neither asking nor sending again is of use any more
	LadderFrom   time.Time  `json:",omitzero"`  // from when the waits of the ladder count
	Answer       string     `json:",omitempty"` // at the creditor's bank: the status that we answered
	AnswerReason string     `json:",omitempty"` // and its reason
	AnswerHash   Digest     // and the hash of its exact bytes
	Repeats      int        `json:",omitempty"` // at the creditor's bank: how often the answer was repeated
	Status       string     `json:",omitempty"` // ISO status of the latest word that counted, such as ACSC
	Reason       string     `json:",omitempty"` // ISO reason, such as AC03, or one of ours in lower case
	Restored     time.Time  `json:",omitzero"`  // when the payer's hold was given back with the outcome open
	Credited     time.Time  `json:",omitzero"`  // when the payee's credit was confirmed
	Pending      bool       `json:",omitempty"` // settled, but the payee's bank has not posted it (ACWP)
	Blocked      bool       `json:",omitempty"` // settled, and frozen at the payee's bank (BLCK)
	Cases        []CaseKind `json:",omitempty"` // a person has been asked to look, once per kind
	Late         int        `json:",omitempty"` // rail messages recorded after the end
	Notices      uint64     `json:",omitempty"` // receipts and notices given so far: their sequence
	TimersSet    []Timer    `json:",omitempty"` // armed timers, by name
	CreditedBy   string     `json:",omitempty"` // core-bank reference of the credit
}

// Digest is a SHA-256 hash; as text it is 64 hexadecimal digits, and nothing when it is zero.
type Digest [32]byte

// MarshalText writes the digest as hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) {
	if d == (Digest{}) {
		return nil, nil
	}
	return hex.AppendEncode(nil, d[:]), nil
}

// UnmarshalText reads what MarshalText writes.
func (d *Digest) UnmarshalText(b []byte) error {
	if len(b) != 0 && len(b) != 2*len(d) {
		return errors.New("connector: digest has not 64 digits")
	}
	_, err := hex.Decode(d[:], b)
	return err
}

// Party is a debtor or creditor. Parties compare with ==.
type Party struct {
	Name    payments.Name
	Account payments.Account
	Agent   payments.AgentID
	LEI     string
}

// Check is the answer of a payee check (EPC verification of payee, or the local one).
type Check struct {
	Result  intent.MatchResult
	Matched payments.Name `json:"-"` // the account holder's name, only with CloseMatch
	Written payments.Name `json:"-"` // the payee's name as the rail carries it, if it has other characters
	Ref     string        `json:",omitempty"`
	At      time.Time     `json:",omitzero"`
	Expires time.Time     `json:",omitzero"` // the nonce given with it is of no use from then on
}

// Budget is what an authorised payment takes from a limit.
type Budget struct {
	Counter string `json:",omitempty"`
	Minor   int64  `json:",omitempty"`
}

// Execution identifies the one transfer of a payment on the rail.
type Execution struct {
	MessageID     string              `json:",omitempty"` // GrpHdr/MsgId
	InstructionID string              `json:",omitempty"`
	TransactionID string              `json:",omitempty"`
	EndToEnd      payments.EndToEndID `json:",omitempty"`
	Intent        payments.IntentID   `json:",omitempty"` // what it says it was made for, where the rail has end-to-end ids of its own (Pix)
	UETR          payments.UETR       `json:",omitempty"`
	Created       time.Time           `json:",omitzero"` // GrpHdr/CreDtTm
	Accepted      time.Time           `json:",omitzero"` // AccptncDtTm; Created where the rail has none
	SettleDate    string              `json:",omitempty"`
	From, To      payments.AgentID    `json:",omitempty"` // of the header
	Instructing   payments.AgentID    `json:",omitempty"`
	Instructed    payments.AgentID    `json:",omitempty"`
	Hash          Digest              // SHA-256 of the exact bytes
}

// Timer is one armed timer of a payment.
type Timer struct {
	Name TimerName
	At   time.Time
}

// TimerName names what is due.
type TimerName string

// The timers.
const (
	TimerExpiry  TimerName = "expiry"  // request or mandate run out
	TimerAnswer  TimerName = "answer"  // the rail's answer is due
	TimerRestore TimerName = "restore" // the payer's money must be given back although the outcome is open
	TimerEnquiry TimerName = "enquiry" // the next step of the ladder: a pacs.028, or the transfer again
	TimerCase    TimerName = "case"    // a person has to look at it; afterwards the reminder
	TimerConfirm TimerName = "confirm" // at the creditor's bank: the settlement of what we accepted is due
)

// timer returns when the timer is due, and false when it is not armed.
func (p *Payment) timer(name TimerName) (time.Time, bool) {
	for _, t := range p.TimersSet {
		if t.Name == name {
			return t.At, true
		}
	}
	return time.Time{}, false
}

// UnknownMoney reports whether it is open whether the payer's money moves: the state that must never be shown as failed.
func (p *Payment) UnknownMoney() bool { return p.State.MayHaveLeft() && !p.State.Terminal() }

type plainPayment Payment

type paymentJSON struct {
	plainPayment
	Debtor, Creditor partyJSON
	Matched          string `json:",omitempty"`
	Written          string `json:",omitempty"`
}

type partyJSON struct {
	Name    string           `json:",omitempty"`
	Account string           `json:",omitempty"`
	Agent   payments.AgentID `json:",omitempty"`
	LEI     string           `json:",omitempty"`
}

func (p Party) plain() partyJSON {
	return partyJSON{p.Name.Reveal(), p.Account.Reveal(), p.Agent, p.LEI}
}

func (j partyJSON) party() (p Party, err error) {
	p.Agent, p.LEI = j.Agent, j.LEI
	if j.Name != "" {
		if p.Name, err = payments.ParseName(j.Name); err != nil {
			return p, err
		}
	}
	if j.Account != "" {
		p.Account, err = payments.ParseAccount(j.Account)
	}
	return p, err
}

// Encode returns the payment for the journal's State, with names and accounts in the clear. It is deterministic.
func (p Payment) Encode() ([]byte, error) {
	return json.Marshal(paymentJSON{plainPayment(p), p.Debtor.plain(), p.Creditor.plain(), p.Check.Matched.Reveal(), p.Check.Written.Reveal()})
}

// MarshalJSON refuses, so that no encoder writes a person's data by accident. Encode does it on purpose.
func (p Payment) MarshalJSON() ([]byte, error) {
	return nil, errors.New("connector: a payment is not encoded implicitly; use Encode")
}

// DecodePayment reads what Encode wrote.
func DecodePayment(b []byte) (Payment, error) {
	var j paymentJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return Payment{}, fmt.Errorf("connector: stored payment: %w", err)
	}
	p := Payment(j.plainPayment)
	var err error
	if p.Debtor, err = j.Debtor.party(); err != nil {
		return Payment{}, fmt.Errorf("connector: stored payment: debtor: %w", err)
	}
	if p.Creditor, err = j.Creditor.party(); err != nil {
		return Payment{}, fmt.Errorf("connector: stored payment: creditor: %w", err)
	}
	for _, x := range []struct {
		text string
		name *payments.Name
	}{{j.Matched, &p.Check.Matched}, {j.Written, &p.Check.Written}} {
		if x.text == "" {
			continue
		}
		if *x.name, err = payments.ParseName(x.text); err != nil {
			return Payment{}, fmt.Errorf("connector: stored payment: name of the payee check: %w", err)
		}
	}
	return p, nil
}
