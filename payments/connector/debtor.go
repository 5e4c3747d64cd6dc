package connector

import (
	"fmt"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
)

// checkAnswered makes the payment, or renews check and nonce of one that nobody has authorised yet. Request, payee and amount of
// an intent are fixed by the first: another request under the same intent is refused.
func (s *step) checkAnswered(e CheckAnswered) error {
	p := s.p
	switch {
	case p.State == lifecycle.None:
		if e.Amount.Currency != s.cfg.Currency || !e.Amount.Payable() {
			return refuse(0, ReasonCurrency, "this bank pays %s over %s", s.cfg.Currency, s.cfg.Rail)
		}
		if s.cfg.MaxAmount > 0 && e.Amount.Minor > s.cfg.MaxAmount {
			return refuse(0, ReasonAmountLimit, "the amount is over the limit of %s", s.cfg.Rail)
		}
	case p.Side != lifecycle.Debtor || p.Chat != e.Chat:
		return refuse(0, ReasonNotYours, "the intent is known from another chat")
	case p.RequestHash != e.RequestHash:
		return refuse(intent.StepTerms, intent.ReasonRequestHash, "the intent is known with other terms")
	case p.State != lifecycle.Created && p.State != lifecycle.Presented:
		return refuse(0, ReasonTooLate, "the payment is %s", p.State)
	case p.Checks >= maxChecks:
		return refuse(0, ReasonTooManyChecks, "a payee check was given %d times", p.Checks)
	}
	if !s.now.Before(e.Expires) {
		return refuse(intent.StepTerms, intent.ReasonRequestExpiry, "the request has expired")
	}
	if e.Expires.Sub(s.now) > maxRequestLife {
		return refuse(intent.StepTerms, intent.ReasonRequestExpiry, "the request is valid for longer than a year")
	}
	if p.State == lifecycle.None {
		*p = Payment{Intent: e.Intent, Side: lifecycle.Debtor, Clock: s.now, Amount: e.Amount, Creditor: e.Creditor,
			Reference: e.Reference, Purpose: e.Purpose, Expires: e.Expires, Chat: e.Chat, RequestHash: e.RequestHash}
		if err := s.move(lifecycle.OnStored, e.Request); err != nil {
			return err
		}
		s.trace("request verified", "")
		// The payer's device asks for the check when it shows the request, so the question is the proof that it was shown.
		if err := s.move(lifecycle.OnShown, Evidence{Kind: "check"}); err != nil {
			return err
		}
		s.add(Index{journal.IndexEndToEnd, string(e.Intent.EndToEndID())})
		s.set(TimerExpiry, e.Expires)
	} else {
		s.note("payee-check.renewed", e.Request)
	}
	p.Debtor, p.Check, p.Nonce = e.Debtor, e.Check, e.Nonce
	p.Checks++
	s.notify(NoticeCheck)
	s.trace("payee check", string(e.Check.Result))
	return nil
}

func (s *step) debtor(ev Event) error {
	switch e := ev.(type) {
	case MandateVerified:
		return s.mandateVerified(e)
	case Declined:
		return s.withdraw(lifecycle.OnDecline, e.Chat, e.Reason)
	case Cancelled:
		return s.withdraw(lifecycle.OnCancel, e.Chat, e.Reason)
	case CoreAnswered:
		return s.coreAnswered(e)
	case Sent:
		return s.sent(e)
	case StatusReceived:
		return s.statusReceived(e)
	case MessageRefused:
		return s.messageRefused(e)
	case TimerFired:
		return s.timerFired(e)
	case Recovered:
		if s.p.State != lifecycle.Submitting {
			return nil
		}
		return s.unknown("restart", Evidence{Kind: "restart"})
	}
	return fmt.Errorf("%w: %T at the debtor's bank", ErrEvent, ev)
}

// mandateVerified compares the mandate with the payment, field by field, takes what may be taken once, and asks the core bank to
// hold the money.
func (s *step) mandateVerified(e MandateVerified) error {
	p := s.p
	switch {
	case p.Chat != e.Chat:
		return refuse(0, ReasonNotYours, "the intent is known from another chat")
	case p.MandateHash == e.MandateHash:
		return refuse(intent.StepSingleUse, intent.ReasonReplay, "the mandate was used; the payment is %s", p.State)
	case p.State != lifecycle.Presented:
		return refuse(0, ReasonTooLate, "the payment is %s", p.State)
	case p.RequestHash != e.RequestHash:
		return refuse(intent.StepTerms, intent.ReasonRequestHash, "the mandate is for other terms")
	case p.Nonce != e.Nonce:
		return refuse(intent.StepContext, intent.ReasonNonceOther, "the nonce is not the one of the latest payee check")
	case p.Amount != e.Amount:
		return refuse(intent.StepTerms, intent.ReasonAmount, "the amount is not the request's")
	case p.Creditor != e.Creditor:
		return refuse(intent.StepTerms, intent.ReasonPayeeAccount, "the payee is not the request's")
	case p.Debtor.Account != e.Debtor.Account && p.Debtor.Account != (payments.Account{}):
		return refuse(intent.StepContext, intent.ReasonKeyAccount, "the payer's account is not the one of the payee check")
	case e.Debtor.Agent != s.cfg.Agent:
		return refuse(intent.StepKey, intent.ReasonKeyAgent, "the payer's bank is not this one")
	case !s.now.Before(e.Expires) || !s.now.Before(p.Expires):
		return refuse(intent.StepContext, intent.ReasonExpired, "the request or the mandate has expired")
	case e.PerPayment > 0 && p.Amount.Minor > e.PerPayment:
		return refuse(intent.StepLimits, intent.ReasonLimit, "the amount is over the key's limit for one payment")
	}
	p.Debtor, p.KeyID, p.MandateHash, p.Authorised = e.Debtor, e.KeyID, e.MandateHash, s.now
	if e.Expires.Before(p.Expires) {
		p.Expires = e.Expires
	}
	if err := s.move(lifecycle.OnMandate, e.Mandate); err != nil {
		return err
	}
	s.add(Claim{journal.ClaimMandate, fmt.Sprintf("%x", e.MandateHash)},
		Claim{journal.ClaimNonce, e.Nonce},
		Claim{journal.ClaimAccepted, string(p.Intent)})
	if e.PerDay > 0 {
		p.Budget = Budget{"daily/" + e.KeyID + "/" + s.now.UTC().Format(time.DateOnly) + "/" + string(p.Amount.Currency), p.Amount.Minor}
		s.add(Take{p.Budget.Counter, p.Budget.Minor, e.PerDay})
	}
	s.set(TimerExpiry, p.Expires)
	s.core(CoreReserve, p.Debtor.Account)
	s.notify(NoticeReceipt)
	s.trace("mandate verified", "")
	return nil
}

// withdraw declines or cancels what has not been decided to be sent.
func (s *step) withdraw(t lifecycle.Trigger, chat, reason string) error {
	p := s.p
	if p.Chat != chat {
		return refuse(0, ReasonNotYours, "the intent is known from another chat")
	}
	reserved := p.State == lifecycle.Authorised || p.State == lifecycle.Held
	if _, err := lifecycle.Next(p.State, t); err != nil {
		return refuse(0, ReasonTooLate, "the payment is %s", p.State)
	}
	p.Reason = reason
	return s.endUnsent(t, Evidence{Kind: string(t)}, reserved)
}

// endUnsent ends a payment of which no byte has left.
func (s *step) endUnsent(t lifecycle.Trigger, ev Evidence, reserved bool) error {
	if err := s.move(t, ev); err != nil {
		return err
	}
	s.clearAll()
	if reserved {
		s.add(Drop{s.row("core-" + string(CoreReserve))})
		s.core(CoreRelease, s.p.Debtor.Account)
		s.giveBack()
	}
	s.notify(NoticeReceipt)
	s.trace(string(s.p.State), s.p.Reason)
	return nil
}

func (s *step) giveBack() {
	if s.p.Budget.Minor > 0 {
		s.add(Take{Counter: s.p.Budget.Counter, Add: -s.p.Budget.Minor})
		s.p.Budget = Budget{}
	}
}

func (s *step) coreAnswered(e CoreAnswered) error {
	switch {
	case e.Op == CoreReserve && s.p.State == lifecycle.Authorised && e.OK && e.KeyRevoked:
		s.p.Reason = string(intent.ReasonKeyRevoked)
		return s.endUnsent(lifecycle.OnDeny, Evidence{Kind: "registry"}, true)
	case e.Op == CoreReserve && s.p.State == lifecycle.Authorised && e.OK:
		return s.submit()
	case e.Op == CoreReserve && s.p.State == lifecycle.Authorised:
		s.p.Status, s.p.Reason = "RJCT", e.Reason
		s.giveBack()
		return s.endUnsent(lifecycle.OnDeny, Evidence{Kind: "core-bank"}, false)
	case e.Op != CoreReserve && !e.OK:
		s.note("core."+string(e.Op)+".refused", Evidence{Kind: "core-bank"})
		s.openCase(CaseCore, string(e.Op)+" "+e.Reason)
	}
	return nil // a late answer to a reserve call: the release that follows undoes it
}

// submit is the one durable write between the decision to pay and the first byte: execution ids, exact bytes, reservation and
// outbox row. The mandate must be valid at this instant.
func (s *step) submit() error {
	p := s.p
	if !s.now.Before(p.Expires) {
		return s.endUnsent(lifecycle.OnExpiry, clock("expiry"), true)
	}
	x, wire, err := s.cfg.Messages.Transfer(*p, s.now)
	if err != nil {
		p.Reason = "not_encodable"
		return s.endUnsent(lifecycle.OnDeny, Evidence{Kind: "validation"}, true)
	}
	x.Hash = journal.HashOf(wire)
	p.Execution = x
	if err := s.move(lifecycle.OnSubmit, Evidence{Kind: "pacs.008", Hash: x.Hash}); err != nil {
		return err
	}
	p.Submitted, p.Deadline = s.now, s.now.Add(s.cfg.Answer)
	if x.UETR != "" {
		s.add(Index{journal.IndexUETR, string(x.UETR)})
	}
	if x.EndToEnd != p.Intent.EndToEndID() {
		s.add(Index{journal.IndexEndToEnd, string(x.EndToEnd)})
	}
	s.add(Index{journal.IndexMessageID, x.MessageID}, Claim{journal.ClaimMessageID, x.MessageID})
	s.add(SendRail{Row: s.row(rowTransfer), Transfer: true, Kind: "pacs.008", Wire: wire})
	s.post(Line{Account: external, Minor: -p.Amount.Minor}, Line{Account: holdAccount(p.Debtor.Account), Minor: p.Amount.Minor})
	s.clear(TimerExpiry)
	s.set(TimerAnswer, p.Deadline)
	if s.cfg.Restore > 0 {
		s.set(TimerRestore, s.now.Add(s.cfg.Restore))
	}
	s.trace("journaled", x.reference())
	return nil
}

// sent records what became of the transfer at the transport. The steps of the ladder need no record of their own: they have a budget.
func (s *step) sent(e Sent) error {
	switch {
	case e.Row != s.row(rowTransfer):
		if e.Result == SentRefused && s.bound() { // the repetition or the question, and not the transfer
			s.note("step.refused", Evidence{Kind: "transport.refused"})
		}
		return nil
	case e.Result == SentRefused && s.cfg.Blind:
		e.Result = SentAmbiguous
	case e.Result == SentRefused && s.p.Resends > 0: // the rail may have taken the repetition
		s.note("transfer.refused", Evidence{Kind: "transport.refused"})
		return nil
	}
	switch e.Result {
	case SentAccepted:
		if s.p.State == lifecycle.Submitting {
			if err := s.move(lifecycle.OnSent, Evidence{Kind: "transport.accepted"}); err != nil {
				return err
			}
			s.notify(NoticeReceipt)
		}
	case SentRefused:
		switch s.p.State {
		case lifecycle.Submitting, lifecycle.Unknown:
			return s.rejected("", e.Reason, Evidence{Kind: "transport.refused"})
		}
	case SentNot, SentAmbiguous:
		if s.p.State == lifecycle.Submitting {
			return s.unknown("transport", Evidence{Kind: "transport.ambiguous"})
		}
	}
	return nil
}

// unknown says that the money may have moved. It is left only on evidence from rail or bank; see recovery.go for what is done meanwhile.
func (s *step) unknown(why string, ev Evidence) error {
	if err := s.move(lifecycle.OnSilence, ev); err != nil {
		return err
	}
	s.p.Reason = why
	s.clear(TimerAnswer)
	s.add(Drop{s.row(rowTransfer)})
	s.armLadder()
	s.notify(NoticeReceipt)
	s.trace("unknown", why)
	return nil
}

func (s *step) timerFired(e TimerFired) error {
	p := s.p
	if at, armed := p.timer(e.Name); !armed || !at.Equal(e.At) || s.now.Before(at) {
		return nil // moved or cleared while it was on its way
	}
	switch e.Name {
	case TimerExpiry:
		reserved := p.State == lifecycle.Authorised || p.State == lifecycle.Held
		return s.endUnsent(lifecycle.OnExpiry, clock("expiry"), reserved)
	case TimerAnswer:
		if p.State == lifecycle.Submitting || p.State == lifecycle.Submitted {
			return s.unknown("no_answer", clock("answer"))
		}
		s.clear(TimerAnswer) // accepted, and then silence: ask, but stay
		s.note("payment.overdue", clock("answer"))
		s.armLadder()
	case TimerRestore:
		s.clear(TimerRestore)
		return s.restore()
	case TimerEnquiry:
		return s.recover(e.Stored)
	case TimerCase:
		s.note("payment.unresolved", clock("case"))
		s.openCase(CaseUnknown, string(p.State))
		s.set(TimerCase, s.now.Add(s.cfg.remind()))
	default:
		return fmt.Errorf("%w: timer %q", ErrEvent, e.Name)
	}
	return nil
}

func (c *Core) remind() time.Duration {
	if c.Remind > 0 {
		return c.Remind
	}
	return 24 * time.Hour
}

// restore gives the payer's hold back although the outcome is open, and books the bank's exposure (SCT Inst, 10th second).
func (s *step) restore() error {
	p := s.p
	if p.State == lifecycle.Submitting || p.State == lifecycle.Submitted {
		if err := s.unknown("no_answer", clock("answer")); err != nil {
			return err
		}
	}
	p.Restored = s.now
	s.note("payment.payer_restored", clock("restore"))
	s.core(CoreRelease, p.Debtor.Account)
	s.post(Line{Account: holdAccount(p.Debtor.Account), Minor: -p.Amount.Minor}, Line{Account: external, Minor: p.Amount.Minor})
	s.post(Line{Account: suspense, Minor: -p.Amount.Minor}, Line{Account: s.exposure(), Minor: p.Amount.Minor})
	s.notify(NoticeReceipt)
	s.trace("payer restored", "")
	return nil
}

// statusReceived takes the rail's word about our transfer.
func (s *step) statusReceived(e StatusReceived) error {
	p := s.p
	if !e.names(p) {
		return s.mismatch(e)
	}
	if p.State == lifecycle.Submitting && e.Meaning != rail.NotFound && e.Meaning != rail.Ignored { // the message has arrived
		if err := s.move(lifecycle.OnSent, e.Report); err != nil {
			return err
		}
		if e.Meaning == rail.Waiting {
			s.notify(NoticeReceipt)
		}
	}
	s.trace("pacs.002 received", e.Status+" "+e.Meaning.String())
	switch e.Meaning {
	case rail.Accepted:
		switch p.State {
		case lifecycle.Submitted, lifecycle.Unknown:
			return s.accepted(e)
		case lifecycle.Accepted, lifecycle.Settled:
			return s.late(e, "rail.duplicate")
		}
		return s.contradiction(e)
	case rail.Settled, rail.SettledCredited, rail.SettledPending:
		return s.settled(e)
	case rail.Rejected:
		switch {
		case s.duplicateRefused(e):
			return s.afterDuplicate(e)
		case p.State == lifecycle.Submitted, p.State == lifecycle.Accepted, p.State == lifecycle.Unknown:
			return s.rejected(e.Status, e.Reason, e.Report)
		case p.State == lifecycle.Rejected:
			return s.late(e, "rail.duplicate")
		case p.State == lifecycle.Settled && p.Pending:
			if s.bound() {
				s.note("rail.return_expected", e.Report)
				s.openCase(CaseReturn, e.Reason)
			}
			return nil
		}
		return s.contradiction(e)
	case rail.Blocked:
		if p.State != lifecycle.Settled || !p.Credited.IsZero() {
			return s.contradiction(e)
		}
		if p.Blocked {
			return s.late(e, "rail.duplicate")
		}
		p.Blocked = true
		s.note("payment.blocked", e.Report)
		s.openCase(CaseBlocked, e.Status)
		return nil
	case rail.NotFound:
		return s.late(e, "rail.not_found") // no refusal: the ladder goes on, and ends in a case
	case rail.Waiting:
		return s.late(e, "rail.waiting")
	}
	return s.late(e, "rail.ignored")
}

// messageRefused takes the rail's refusal of the message itself: it never acted on it. Of a transfer that was sent again it does not say
// which copy it means, since they have one id: the other may have been taken.
func (s *step) messageRefused(e MessageRefused) error {
	switch p := s.p; {
	case p.State.MayHaveLeft() && p.Resends == 0 && p.State != lifecycle.Accepted && p.State != lifecycle.Settled:
		s.trace("admi.002 received", e.Reason)
		return s.rejected("", e.Reason, e.Report)
	case !s.bound():
	case p.State == lifecycle.Accepted || p.State == lifecycle.Settled:
		s.note("rail.contradiction", e.Report)
		s.openCase(CaseContradiction, fmt.Sprintf("admi.002 in state %s", p.State))
	default:
		s.note("rail.message_refused", e.Report)
	}
	return nil
}

// late records a message that changes no state.
func (s *step) late(e StatusReceived, typ string) error {
	if s.bound() {
		s.note(typ, e.Report)
	}
	return nil
}

func (s *step) contradiction(e StatusReceived) error {
	if s.bound() {
		s.note("rail.contradiction", e.Report)
		s.openCase(CaseContradiction, fmt.Sprintf("%s in state %s", e.Status, s.p.State))
	}
	return nil
}

func (s *step) mismatch(e StatusReceived) error {
	if s.bound() {
		s.note("rail.mismatch", e.Report)
		s.openCase(CaseMismatch, e.Status)
	}
	return nil
}

func (s *step) accepted(e StatusReceived) error {
	if err := s.move(lifecycle.OnPositive, e.Report); err != nil {
		return err
	}
	s.p.Status, s.p.Reason = e.Status, ""
	s.clear(TimerEnquiry, TimerCase)
	s.dropStep()
	s.p.LadderFrom = time.Time{} // the rail has spoken: the waits count anew, the number of enquiries does not
	s.p.Deadline = s.now.Add(s.cfg.Answer)
	s.set(TimerAnswer, s.p.Deadline)
	s.notify(NoticeReceipt)
	return nil
}

func (s *step) settled(e StatusReceived) error {
	p := s.p
	switch p.State {
	case lifecycle.Settled:
		if e.Meaning != rail.SettledCredited || !p.Credited.IsZero() {
			return s.late(e, "rail.duplicate")
		}
		p.Credited, p.Pending, p.Status = s.now, false, e.Status
		s.note("payment.credited", e.Report)
		s.notify(NoticeReceipt)
		return nil
	case lifecycle.Submitted, lifecycle.Accepted, lifecycle.Unknown:
	default:
		return s.contradiction(e)
	}
	if err := s.move(lifecycle.OnSettlement, e.Report); err != nil {
		return err
	}
	p.Status, p.Reason, p.Pending = e.Status, "", e.Meaning == rail.SettledPending
	if e.Meaning == rail.SettledCredited {
		p.Credited = s.now
	}
	s.clearAll()
	s.dropStep()
	if p.Restored.IsZero() {
		s.core(CorePost, p.Debtor.Account)
		s.post(Line{Account: holdAccount(p.Debtor.Account), Minor: -p.Amount.Minor}, Line{Account: s.clearing(), Minor: p.Amount.Minor})
	} else { // the payer has the money back: the suspense entry stays as the exception to work
		s.post(Line{Account: s.exposure(), Minor: -p.Amount.Minor}, Line{Account: s.clearing(), Minor: p.Amount.Minor})
		s.openCase(CaseRestoredPaid, e.Status)
	}
	s.notify(NoticeReceipt)
	s.trace("settled", e.Status)
	return nil
}

// rejected ends the payment: the rail says for certain that no money moved and none will.
func (s *step) rejected(status, reason string, ev Evidence) error {
	p := s.p
	trigger := lifecycle.OnRejection
	if p.State == lifecycle.Accepted {
		trigger = lifecycle.OnLateRejection
	}
	if err := s.move(trigger, ev); err != nil {
		return err
	}
	p.Status, p.Reason = status, reason
	s.clearAll()
	s.dropStep()
	s.add(Drop{s.row(rowTransfer)})
	if p.Restored.IsZero() {
		s.core(CoreRelease, p.Debtor.Account)
		s.post(Line{Account: holdAccount(p.Debtor.Account), Minor: -p.Amount.Minor}, Line{Account: external, Minor: p.Amount.Minor})
	} else {
		s.post(Line{Account: s.exposure(), Minor: -p.Amount.Minor}, Line{Account: suspense, Minor: p.Amount.Minor})
	}
	s.giveBack()
	s.notify(NoticeReceipt)
	s.trace("rejected", reason)
	return nil
}
