package connector

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

// NewCore returns the core of a bank on a rail, with the rail's clocks and codes. Restore is set for SCT Inst, where the payer's
// money is given back when the answer is overdue (Regulation (EU) 2024/886).
func NewCore(profile *rail.Profile, agent payments.AgentID) *Core {
	c := &Core{Rail: profile.Name, Agent: agent, Currency: profile.Currency, Messages: railMessages{profile, agent},
		Answer: profile.AnswerTimeout, Recovery: profile.Recovery, Ladder: profile.Ladder, CaseAfter: profile.CaseAfter,
		ByEndToEnd:  profile.OriginalByEndToEnd,
		Blind:       profile.Recovery == rail.Wait, // where only the verdict counts
		PositiveISO: profile.AnswerYes(), MaxAmount: profile.AmountMax}
	if profile.RestorePayer {
		c.Restore = profile.AnswerTimeout
	}
	return c
}

// railMessages is Messages by a rail's profile.
type railMessages struct {
	profile *rail.Profile
	agent   payments.AgentID
}

// ErrAltered means that the bytes for the rail would not say what the payer signed.
var ErrAltered = errors.New("connector: the message differs from the mandate")

func (r railMessages) Transfer(p Payment, now time.Time) (Execution, []byte, error) {
	m, err := r.profile.NewTransfer(rail.TransferInput{
		UETR: payments.NewUETR(p.Intent, string(r.agent)), EndToEndID: p.Intent.EndToEndID(), Amount: p.Amount,
		Debtor:    iso20022.Party{Name: p.Debtor.Name, Account: p.Debtor.Account, Agent: r.profile.Agent(p.Debtor.Agent)},
		Creditor:  iso20022.Party{Name: p.Creditor.Name, Account: p.Creditor.Account, Agent: r.profile.Agent(p.Creditor.Agent)},
		Reference: structured(p.Reference), Remittance: unstructured(p.Reference), Purpose: p.Purpose,
		Participant: r.agent, Suffix: rail.Suffix(string(p.Intent), "pacs.008"), Now: now,
	})
	if err != nil {
		return Execution{}, nil, err
	}
	wire, err := r.profile.Encode(m)
	if err != nil {
		return Execution{}, nil, err
	}
	// What leaves is read back and compared with what was signed, from the bytes and not from the values they were made of.
	back, err := r.profile.Decode(wire, rail.ToService)
	if err != nil {
		return Execution{}, nil, fmt.Errorf("%w: %w", ErrAltered, err)
	}
	if err := r.compare(p, back.Transfer); err != nil {
		return Execution{}, nil, err
	}
	return r.execution(m), wire, nil
}

func (r railMessages) compare(p Payment, t *iso20022.CreditTransfer) error {
	if t == nil {
		return fmt.Errorf("%w: no transfer", ErrAltered)
	}
	creditor, _ := r.profile.Text(p.Creditor.Name.Reveal())
	if r.profile.NoCreditorName {
		creditor = ""
	}
	reference, remittance := structured(p.Reference), unstructured(p.Reference)
	if r.profile.PlainReference {
		reference, remittance = "", p.Reference
	}
	intent, _ := r.profile.Intent(t)
	switch {
	case t.Amount != p.Amount:
		return fmt.Errorf("%w: amount", ErrAltered)
	case t.Creditor.Account != p.Creditor.Account || t.Creditor.Agent.ID != p.Creditor.Agent || t.Creditor.Name.Reveal() != creditor:
		return fmt.Errorf("%w: creditor", ErrAltered)
	case t.Debtor.Account != p.Debtor.Account || t.Debtor.Agent.ID != p.Debtor.Agent:
		return fmt.Errorf("%w: debtor", ErrAltered)
	case intent != p.Intent:
		return fmt.Errorf("%w: intent", ErrAltered)
	case t.Reference != reference || t.Remittance != remittance:
		return fmt.Errorf("%w: reference", ErrAltered)
	}
	return nil
}

// A payee's reference travels as a structured creditor reference when it is one (ISO 11649), else as free text.
func structured(ref string) string {
	if payments.CheckRF(ref) == nil {
		return ref
	}
	return ""
}

func unstructured(ref string) string {
	if structured(ref) != "" {
		return ""
	}
	return ref
}

// execution returns the ids of a transfer, whoever made it.
func (r railMessages) execution(m *rail.Message) Execution {
	t := m.Transfer
	x := Execution{MessageID: t.MessageID, InstructionID: t.InstructionID, TransactionID: t.TransactionID, EndToEnd: t.EndToEndID, UETR: t.UETR,
		Created: t.Created, Accepted: t.AcceptanceTime, SettleDate: t.SettleDate, From: m.Header.From, To: m.Header.To,
		Instructing: t.Instructing.ID, Instructed: t.Instructed.ID}
	if x.Accepted.IsZero() {
		x.Accepted = t.Created
	}
	if id, ok := r.profile.Intent(t); ok && id.EndToEndID() != t.EndToEndID {
		x.Intent = id
	}
	return x
}

// reference returns what people find a transfer by: its UETR where the rail has them, else its instruction or end-to-end id.
func (x Execution) reference() string {
	return or(string(x.UETR), or(x.InstructionID, string(x.EndToEnd)))
}

// original returns as much of the transfer as messages about it repeat.
func (r railMessages) original(p Payment) *iso20022.CreditTransfer {
	x := p.Execution
	t := &iso20022.CreditTransfer{MessageID: x.MessageID, InstructionID: x.InstructionID, TransactionID: x.TransactionID, EndToEndID: x.EndToEnd,
		UETR: x.UETR, Created: x.Created, SettleDate: x.SettleDate, Amount: p.Amount}
	if r.profile.AcceptanceTimeRequired {
		t.AcceptanceTime = x.Accepted
	}
	return t
}

func (r railMessages) Enquiry(p Payment, n int, now time.Time) ([]byte, error) {
	m, err := r.profile.NewEnquiry(r.original(p), r.agent, now, rail.Suffix(string(p.Intent), "pacs.028", fmt.Sprint(n)))
	if err != nil {
		return nil, err
	}
	return r.profile.Encode(m)
}

func (r railMessages) Again(sent []byte) ([]byte, error) {
	m, err := r.profile.Decode(sent, rail.ToService)
	if err != nil {
		return nil, err
	}
	if m, err = r.profile.Duplicate(m); err != nil {
		return nil, err
	}
	wire, err := r.profile.Encode(m)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(withoutMark(wire), sent) {
		return nil, fmt.Errorf("%w: sent again, it would differ by more than the mark", ErrAltered)
	}
	return wire, nil
}

// withoutMark returns the wire message without its first element CpyDplct, if that says DUPL.
func withoutMark(wire []byte) []byte {
	const tag, text = "CpyDplct>", "DUPL</"
	at := bytes.Index(wire, []byte(tag+text))
	if at < 0 {
		return wire
	}
	begin := bytes.LastIndexByte(wire[:at], '<')
	rest := wire[at+len(tag):]
	end := bytes.Index(rest, []byte(tag))
	if begin < 0 || end < 0 {
		return wire
	}
	return append(bytes.Clone(wire[:begin]), rest[end+len(tag):]...)
}

func (r railMessages) Reply(p Payment, status, reason string, now time.Time) ([]byte, error) {
	m, err := r.profile.NewAnswer(&rail.Message{Transfer: r.original(p)}, rail.AnswerInput{Participant: r.agent, Status: status, Reason: reason,
		Suffix: rail.Suffix(p.Execution.MessageID, string(p.Execution.UETR), "pacs.002", fmt.Sprint(p.Repeats)), Now: now})
	if err != nil {
		return nil, err
	}
	return r.profile.Encode(m)
}

// transferEvent reads an incoming transfer into the event about it; the account's check and the chats are the caller's to add.
func (r railMessages) transferEvent(m *rail.Message, ev Evidence) TransferReceived {
	t := m.Transfer
	x := r.execution(m)
	if t.AcceptanceTime.IsZero() {
		x.Accepted = m.Header.Created // the rail's clock began when it passed the transfer on, which may be a repetition of an old one
	}
	reference := t.Reference
	if reference == "" {
		reference = t.Remittance
	}
	return TransferReceived{Record: RecordID(x), Execution: x, Amount: t.Amount, Reference: reference, Purpose: t.Purpose, Transfer: ev,
		Debtor:   Party{Name: t.Debtor.Name, Account: t.Debtor.Account, Agent: t.Debtor.Agent.ID},
		Creditor: Party{Name: t.Creditor.Name, Account: t.Creditor.Account, Agent: t.Creditor.Agent.ID}}
}

// partyOf returns the payee of a request.
func partyOf(c intent.Creditor) Party {
	return Party{Name: c.Name, Account: c.Account, Agent: c.Agent, LEI: c.LEI}
}
