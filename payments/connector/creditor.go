package connector

import (
	"fmt"

	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
)

// Reasons that the core gives by itself when it refuses an incoming transfer (ExternalStatusReason1Code).
const (
	reasonDuplicate  = "AM05" // duplication
	reasonCurrency   = "AM03" // not a currency that we process
	reasonTooLate    = "AB05" // time-out at the creditor's agent
	reasonOtherAgent = "RC04" // creditor bank identifier invalid
)

// transferReceived records an incoming transfer and our answer in one step, before a byte of the answer leaves.
func (s *step) transferReceived(e TransferReceived) error {
	p := s.p
	if p.State != lifecycle.None {
		return s.repeated(e)
	}
	*p = Payment{Intent: e.Record, Side: lifecycle.Creditor, Clock: s.now, Amount: e.Amount, Debtor: e.Debtor, Creditor: e.Creditor,
		Reference: e.Reference, Purpose: e.Purpose, Submitted: s.now, Execution: e.Execution}
	if len(e.Chats) > 0 {
		p.Chat, p.OtherChats = e.Chats[0], e.Chats[1:]
	}
	p.Execution.Hash = e.Transfer.Hash
	if err := s.move(lifecycle.OnIncoming, e.Transfer); err != nil {
		return err
	}
	s.add(Index{journal.IndexEndToEnd, string(e.Execution.EndToEnd)}, Index{journal.IndexMessageID, e.Execution.MessageID})
	if e.Execution.UETR != "" {
		s.add(Index{journal.IndexUETR, string(e.Execution.UETR)})
	}
	s.trace("pacs.008 received", e.Execution.reference())

	reason := e.Refuse
	switch {
	case e.Creditor.Agent != s.cfg.Agent:
		reason = reasonOtherAgent
	case e.Amount.Currency != s.cfg.Currency:
		reason = reasonCurrency
	case s.cfg.Answer > 0 && s.now.Sub(e.Execution.Accepted) > s.cfg.Answer:
		reason = reasonTooLate // a yes now would promise what the rail has given up
	}
	status := s.cfg.PositiveISO
	if reason != "" {
		status = "RJCT"
	}
	wire, err := s.cfg.Messages.Reply(*p, status, reason, s.now)
	if err != nil {
		return fmt.Errorf("%w: the answer cannot be encoded: %w", ErrEvent, err)
	}
	answer := Evidence{Kind: "pacs.002.sent", Hash: journal.HashOf(wire)}
	p.Answer, p.AnswerReason, p.AnswerHash, p.Status, p.Reason = status, reason, answer.Hash, status, reason
	if reason != "" {
		if err := s.move(lifecycle.OnRejection, answer); err != nil {
			return err
		}
		s.trace("rejected", reason)
	} else {
		if err := s.move(lifecycle.OnPositive, answer); err != nil {
			return err
		}
		wait := s.cfg.Confirm
		if wait == 0 {
			wait = s.cfg.Answer
		}
		p.Deadline = s.now.Add(wait)
		s.set(TimerConfirm, p.Deadline)
	}
	s.add(SendRail{Row: s.row(rowAnswer), Kind: "pacs.002", Wire: wire})
	return nil
}

// repeated answers a transfer that is delivered again, marked as sent before or not: with the bytes of our first answer if it is the same
// transfer, never with a second credit.
func (s *step) repeated(e TransferReceived) error {
	p := s.p
	if id := recordFor(*p, e); id != e.Record {
		return &OtherRecordError{id}
	}
	if p.Side != lifecycle.Creditor || !s.bound() {
		return nil
	}
	same := p.Amount == e.Amount && p.Creditor.Account == e.Creditor.Account && p.Debtor.Account == e.Debtor.Account &&
		p.Execution.UETR == e.Execution.UETR && p.Execution.MessageID == e.Execution.MessageID
	if !same {
		s.note("rail.other_transfer", e.Transfer)
		s.openCase(CaseContradiction, "another transfer with the same end-to-end id")
		if e.Execution.is(p.Execution) || s.cfg.ByEndToEnd && e.Execution.EndToEnd == p.Execution.EndToEnd {
			return nil // a refusal would be taken for one of the transfer that we answered already
		}
		other := *p
		other.Execution = e.Execution
		return s.reply(other, "RJCT", reasonDuplicate, s.row(fmt.Sprintf("%s-other-%d", rowAnswer, p.Late)))
	}
	typ := "rail.duplicate"
	if e.Marked {
		typ = "rail.duplicate_marked"
	}
	s.note(typ, e.Transfer)
	if row, ok := s.repeatRow(); ok && journal.HashOf(e.Stored) == p.AnswerHash {
		s.add(SendRail{Row: row, Kind: "pacs.002", Wire: e.Stored})
	}
	return nil
}

// repeatRow returns the outbox row for another repetition of our answer, and false when there were enough.
func (s *step) repeatRow() (string, bool) {
	if s.p.Repeats >= maxRepeats {
		return "", false
	}
	s.p.Repeats++
	return s.row(fmt.Sprintf("%s-%d", rowAnswer, s.p.Repeats)), true
}

// reply queues a pacs.002 about the transfer of q.
func (s *step) reply(q Payment, status, reason, row string) error {
	wire, err := s.cfg.Messages.Reply(q, status, reason, s.now)
	if err != nil {
		return fmt.Errorf("%w: the answer cannot be encoded: %w", ErrEvent, err)
	}
	s.add(SendRail{Row: row, Kind: "pacs.002", Wire: wire})
	return nil
}

func (s *step) creditor(ev Event) error {
	p := s.p
	switch e := ev.(type) {
	case StatusReceived:
		return s.confirmed(e)
	case CoreAnswered:
		if e.Op != CoreCredit || p.State != lifecycle.Settled || !p.Credited.IsZero() {
			return nil
		}
		if !e.OK {
			s.note("core.credit.refused", Evidence{Kind: "core-bank"})
			s.openCase(CaseCore, "credit "+e.Reason)
			return nil
		}
		p.Credited, p.CreditedBy = s.now, e.Ref
		s.note("payment.credited", Evidence{Kind: "core-bank"})
		s.post(Line{Account: payeeAccount(p.Creditor.Account), Minor: -p.Amount.Minor}, Line{Account: external, Minor: p.Amount.Minor})
		s.notify(NoticeCredited)
		s.trace("credited", "")
		return nil
	case TimerFired:
		if at, armed := p.timer(e.Name); !armed || !at.Equal(e.At) || s.now.Before(at) {
			return nil
		}
		s.note("payment.unconfirmed", clock("confirm"))
		s.openCase(CaseUnconfirmed, string(p.State))
		s.set(TimerConfirm, s.now.Add(s.cfg.remind()))
		return nil
	case AnswerAsked:
		if !s.bound() {
			return nil
		}
		s.note("rail.enquiry", e.Request)
		if row, ok := s.repeatRow(); ok {
			return s.reply(*p, p.Answer, p.AnswerReason, row)
		}
		return nil
	case Sent:
		if e.Result == SentRefused {
			s.note("answer.refused", Evidence{Kind: "transport.refused"})
			s.openCase(CaseAnswer, e.Reason)
		}
		return nil
	case Recovered:
		return nil // an answer may be sent again as it is: it moves nothing by itself
	}
	return fmt.Errorf("%w: %T at the creditor's bank", ErrEvent, ev)
}

// confirmed takes the rail's word about a transfer that we answered.
func (s *step) confirmed(e StatusReceived) error {
	p := s.p
	// The message id is the sender's choice and may be one of ours: without an id of the transaction nothing says which is meant.
	if !e.names(p) || (e.EndToEnd == "" && e.UETR == "") {
		return s.mismatch(e)
	}
	s.trace("pacs.002 received", e.Status+" "+e.Meaning.String())
	switch e.Meaning {
	case rail.Settled, rail.SettledCredited, rail.SettledPending:
		switch p.State {
		case lifecycle.Accepted:
			if err := s.move(lifecycle.OnSettlement, e.Report); err != nil {
				return err
			}
			p.Status, p.Reason = e.Status, ""
			s.clearAll()
			s.core(CoreCredit, p.Creditor.Account)
			s.post(Line{Account: s.clearing(), Minor: -p.Amount.Minor}, Line{Account: payeeAccount(p.Creditor.Account), Minor: p.Amount.Minor})
			s.trace("settled", e.Status)
			return nil
		case lifecycle.Settled:
			return s.late(e, "rail.duplicate")
		}
		return s.contradiction(e) // settled although we refused
	case rail.Rejected:
		switch p.State {
		case lifecycle.Accepted:
			if err := s.move(lifecycle.OnLateRejection, e.Report); err != nil {
				return err
			}
			p.Status, p.Reason = e.Status, e.Reason
			s.clearAll()
			s.trace("rejected", e.Reason)
			return nil
		case lifecycle.Rejected:
			return s.late(e, "rail.duplicate")
		}
		return s.contradiction(e)
	}
	return s.late(e, "rail.ignored")
}
