package connector

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
)

// This file is what the debtor's bank does when the rail's answer does not come: one strategy per rail, never one retry loop. The payment
// is unknown until the rail says what became of it; a step of the ladder is recorded before a byte of it leaves, there are three at most,
// none before the answer is overdue, and none that a restart repeats. What follows the last is a case for a person.

// duplicateReasons are ISO status reasons that refuse a message because the rail, or the creditor's bank, has it already. They say
// nothing of what became of the one it has.
var duplicateReasons = []string{"AM05", "DUPL", "DU01", "DU02", "DU03", "DU04", "DU05"}

func resends(r rail.Recovery) bool { return r == rail.ResendMarked || r == rail.ResendSame }

// steps counts the ladder's steps so far.
func (p *Payment) steps() int { return p.Enquiries + p.Resends }

// armLadder arms the next step of the ladder, never before the answer is overdue, or the case that follows the last. The waits count from
// the first arming, and anew after a step that came late, so that a connector that was down does not take three steps at once.
func (s *step) armLadder() {
	p := s.p
	if p.LadderFrom.IsZero() {
		p.LadderFrom = s.now
		if p.LadderFrom.Before(p.Deadline) {
			p.LadderFrom = p.Deadline
		}
	}
	at := func(wait time.Duration) time.Time {
		if t := p.LadderFrom.Add(wait); t.After(s.now) {
			return t
		}
		return s.now
	}
	ladder := s.cfg.Ladder[:min(len(s.cfg.Ladder), maxSteps)]
	if n := p.steps(); n < len(ladder) && !p.LadderDone && s.cfg.Recovery != rail.Wait {
		if t := at(ladder[n]); s.cfg.Recovery == rail.Ask || !t.After(s.resendUntil()) {
			s.set(TimerEnquiry, t)
			return
		}
	}
	s.set(TimerCase, at(s.cfg.caseAfter()))
}

// resendUntil is the last moment at which the transfer is sent again. A rail that never had it processes the repetition as new, so it
// must not move the money when a person would long have been asked, as after a connector's long absence.
func (s *step) resendUntil() time.Time {
	return s.p.Submitted.Add(s.cfg.Answer).Add(s.cfg.caseAfter())
}

// caseAfter is the wait after which a person is asked.
func (c *Core) caseAfter() time.Duration {
	wait := c.CaseAfter
	if wait == 0 {
		wait = c.Answer
		if n := min(len(c.Ladder), maxSteps); n > 0 {
			wait += c.Ladder[n-1]
		}
	}
	return wait
}

// recover takes the step of the ladder that is due. stored is the transfer as the journal has it.
func (s *step) recover(stored []byte) error {
	s.clear(TimerEnquiry)
	if n := s.p.steps(); n < len(s.cfg.Ladder) && s.now.After(s.p.LadderFrom.Add(s.cfg.Ladder[n])) {
		s.p.LadderFrom = s.now.Add(-s.cfg.Ladder[n])
	}
	err := error(nil)
	switch {
	case s.cfg.Recovery == rail.Ask:
		err = s.enquire()
	case resends(s.cfg.Recovery):
		err = s.resend(stored)
	default: // armed under another strategy
		s.note("payment.waits", clock("enquiry"))
	}
	if err == nil {
		s.armLadder()
	}
	return err
}

// enquire asks the rail what became of the transfer.
func (s *step) enquire() error {
	p := s.p
	wire, err := s.cfg.Messages.Enquiry(*p, p.Enquiries+1, s.now)
	if errors.Is(err, rail.ErrTooOld) {
		p.LadderDone = true
		s.note("enquiry.too_old", clock("enquiry"))
		return nil
	}
	s.dropStep()
	p.Enquiries++
	if err != nil {
		s.note("enquiry.not_encodable", clock("enquiry"))
		return nil
	}
	return s.sendStep("payment.enquiry", SendRail{Row: s.stepRow(), Kind: "pacs.028", Wire: wire})
}

// resend sends the transfer again: the very bytes that were recorded before the first sending, with the rail's mark or as they are.
func (s *step) resend(stored []byte) error {
	p := s.p
	if s.now.After(s.resendUntil()) {
		p.LadderDone = true
		s.note("resend.too_old", clock("enquiry"))
		return nil
	}
	if journal.HashOf(stored) != p.Execution.Hash {
		p.LadderDone = true
		s.note("resend.bytes_missing", clock("enquiry"))
		return nil
	}
	wire := stored
	if s.cfg.Recovery == rail.ResendMarked {
		var err error
		if wire, err = s.cfg.Messages.Again(stored); err != nil {
			p.LadderDone = true
			s.note("resend.not_encodable", clock("enquiry"))
			return nil
		}
	}
	s.dropStep()
	p.Resends++
	return s.sendStep("payment.resend", SendRail{Row: s.stepRow(), Kind: "pacs.008", Wire: wire})
}

// sendStep records a step of the ladder and queues its message.
func (s *step) sendStep(typ string, m SendRail) error {
	ev := Evidence{Kind: m.Kind, Hash: journal.HashOf(m.Wire)}
	if s.p.State == lifecycle.Unknown {
		if err := s.move(lifecycle.OnStillUncertain, ev); err != nil {
			return err
		}
	} else {
		s.note(typ, ev)
	}
	s.add(m)
	return nil
}

// stepRow names the outbox row of the latest step.
func (s *step) stepRow() string {
	if s.p.Resends > 0 {
		return s.row(fmt.Sprintf("%s-%d", rowAgain, s.p.Resends))
	}
	return s.row(fmt.Sprintf("%s-%d", rowEnquiry, s.p.Enquiries))
}

// dropStep takes the latest step out of the outbox, in case it still waits there: the rail has spoken, or the next step takes its place.
func (s *step) dropStep() {
	if s.p.steps() > 0 {
		s.add(Drop{s.stepRow()})
	}
}

// StepWanted reports whether an outbox row of the ladder may still be carried out: it is the latest, and the outcome is open.
func (p Payment) StepWanted(id string) bool {
	s := step{p: &p}
	return p.UnknownMoney() && p.steps() > 0 && s.stepRow() == id
}

// duplicateRefused reports whether a refusal is one of a repetition: of ours, or of one that the way to the rail made. It proves that the
// rail has the transfer, and says nothing of its outcome.
func (s *step) duplicateRefused(e StatusReceived) bool {
	return slices.Contains(duplicateReasons, e.Reason) && (s.p.Resends > 0 || e.By == rail.Service)
}

// afterDuplicate records such a refusal. To send again would only bring the next; to ask is what now helps, on a rail that is asked.
func (s *step) afterDuplicate(e StatusReceived) error {
	if !s.bound() {
		return nil
	}
	s.note("rail.duplicate_refused", e.Report)
	if resends(s.cfg.Recovery) && !s.p.LadderDone {
		s.p.LadderDone = true
		if _, armed := s.p.timer(TimerEnquiry); armed {
			s.clear(TimerEnquiry)
			s.dropStep()
			s.armLadder()
		}
	}
	return nil
}
