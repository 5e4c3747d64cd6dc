package connector

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
)

// HandleChat takes one message part from a customer's chat. It returns nil when the message and what follows from it are durable, or
// when there is nothing to do with it; the answer comes through Config.Chat. Any error means that the message was not taken and must
// be delivered again; the same message twice does nothing more.
func (e *Engine) HandleChat(ctx context.Context, in Inbound) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.calls.Done()
	var handle func(context.Context, Inbound, *journal.InboxEntry) error
	switch in.MediaType {
	case intent.MediaEnrol:
		handle = e.handleEnrol
	case intent.MediaCheck:
		handle = e.handleCheck
	case intent.MediaMandate:
		handle = e.handleMandate
	case intent.MediaDecline, intent.MediaCancel:
		handle = e.handleWithdrawal
	default:
		return nil // other parts of a chat are for people
	}
	inbox := &journal.InboxEntry{Sender: "chat/" + in.Chat, ID: hex.EncodeToString(in.MessageID[:]), Hash: journal.HashOf(in.Body)}
	seen, err := e.cfg.Journal.InboxSeen(ctx, *inbox)
	if err == nil && !seen {
		err = handle(ctx, in, inbox)
	}
	var claim *journal.ClaimError
	switch {
	case seen, errors.Is(err, journal.ErrDuplicate):
		e.cfg.Metrics.Count(MetricDropped, "chat")
		return nil
	case errors.As(err, &claim) && claim.Kind == journal.ClaimInbox:
		e.cfg.Metrics.Count(MetricRefused, "message_id")
		return nil // the id of another message: not one message, so no answer either
	}
	return err
}

// answerRefusal makes a refusal durable together with the message that it answers.
func (e *Engine) answerRefusal(ctx context.Context, in Inbound, inbox *journal.InboxEntry, id payments.IntentID, r *Refusal) error {
	m, err := e.says.refusal(in.MediaType, id, r, e.now())
	if err != nil {
		return err
	}
	err = e.write(ctx, journal.Step{At: e.now(), Inbox: inbox, Outbox: []journal.OutboxDraft{
		{ID: "refusal/" + inbox.ID, Kind: OutboxChat, Dest: in.Chat, Body: m.Encode()}}})
	if err == nil {
		e.cfg.Metrics.Count(MetricRefused, string(r.Reason))
		e.emit(trace.Event{Event: "message refused", Intent: string(id), Detail: string(r.Reason)})
	}
	return err
}

// asRefusal returns what err says to a customer, or nil when it is no refusal.
func asRefusal(err error) *Refusal {
	var own *Refusal
	var signed *intent.RefusedError
	var limit *journal.LimitError
	var claim *journal.ClaimError
	var code *journal.CodeError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &signed):
		return &Refusal{signed.Step, signed.Reason, signed.Text}
	case errors.As(err, &limit):
		return &Refusal{intent.StepLimits, intent.ReasonLimit, "the key's limit for the day is used up"}
	case errors.As(err, &claim) && claim.Kind != journal.ClaimInbox:
		return &Refusal{intent.StepSingleUse, intent.ReasonDuplicate, claim.Kind + " was used before"}
	case errors.As(err, &code):
		return &Refusal{0, intent.ReasonCode, "the one-time code is not usable: " + code.Reason}
	}
	return nil
}

// conclude answers a refusal; every other error is handed on, so that the message comes again.
func (e *Engine) conclude(ctx context.Context, in Inbound, inbox *journal.InboxEntry, id payments.IntentID, err error) error {
	if errors.Is(err, ErrEvent) { // it would fail again for ever, and hold up the chat
		e.cfg.Metrics.Count(MetricError, "chat")
		e.cfg.Log.Error("message from a chat", "intent", string(id), "error", err)
		err = refuse(0, ReasonUnavailable, "the bank could not work on the message")
	}
	if r := asRefusal(err); r != nil {
		return e.answerRefusal(ctx, in, inbox, id, r)
	}
	return err
}

func form(err error) *Refusal { return &Refusal{intent.StepForm, intent.ReasonForm, err.Error()} }

// handleCheck verifies a payee's request and asks the payee's bank whether name and account belong together.
func (e *Engine) handleCheck(ctx context.Context, in Inbound, inbox *journal.InboxEntry) error {
	var id payments.IntentID
	err := func() error {
		check, err := intent.ParseCheck(in.Body)
		if err != nil {
			return form(err)
		}
		request, hash, err := intent.VerifyRequest(check.Request)
		if err != nil {
			return &Refusal{intent.StepTerms, intent.ReasonRequest, "the request does not verify: " + err.Error()}
		}
		id = request.Intent
		debtor, err := e.payer(ctx, in.Chat, check.DebtorAccount)
		if err != nil {
			return err
		}
		if !railAmong(e.cfg.Profile.Name, request.Rails) {
			return refuse(intent.StepTerms, intent.ReasonRails, "the payee does not take %s", e.cfg.Profile.Name)
		}
		// Refusals that need no answer of the other bank come first, so that the question is not asked for nothing.
		event := CheckAnswered{Intent: id, Chat: in.Chat, Amount: request.Amount, Creditor: partyOf(request.Creditor), Debtor: debtor,
			Reference: request.Reference, Purpose: request.Purpose, Expires: request.Expires, RequestHash: hash,
			Request: Evidence{"request", hash, check.Request}}
		key := journal.Key{Intent: id, Side: lifecycle.Debtor}
		p, err := e.Payment(ctx, key)
		if err != nil {
			return err
		}
		if _, _, err := Step(e.core, p, e.now(), event); err != nil {
			return err
		}
		if e.checks.exhausted(in.Chat, e.now(), e.cfg.ChecksPerHour) {
			return refuse(0, ReasonTooManyChecks, "too many payee checks in an hour")
		}
		e.checks.count(in.Chat, e.now())
		answer := e.checkPayee(ctx, PayeeQuery{request.Creditor.Name, request.Creditor.Account, request.Creditor.Agent})
		now := e.now()
		event.Nonce = intent.NewNonce()
		event.Check = Check{Result: answer.Result, Matched: answer.Matched, Ref: "pc-" + intent.NewNonce(), At: now.UTC().Truncate(time.Second),
			Expires: now.Add(e.cfg.CheckValid).UTC().Truncate(time.Second), Written: e.written(request.Creditor.Name)}
		return e.apply(ctx, key, event, extra{inbox: inbox})
	}()
	return e.conclude(ctx, in, inbox, id, err)
}

// written returns a payee's name as the rail carries it, so that the payer sees it before signing; none when it is carried as it is, or not at
// all.
func (e *Engine) written(name payments.Name) payments.Name {
	text, changes := e.cfg.Profile.Text(name.Reveal())
	if changes == nil || e.cfg.Profile.NoCreditorName {
		return payments.Name{}
	}
	as, err := payments.ParseName(text)
	if err != nil {
		return payments.Name{} // and no transfer can be made either
	}
	return as
}

func railAmong(name string, rails []string) bool {
	for _, r := range rails {
		if r == name {
			return true
		}
	}
	return len(rails) == 0
}

// payer returns the customer as debtor, if a key enrolled in this chat may order from the account.
func (e *Engine) payer(ctx context.Context, chat string, account payments.Account) (Party, error) {
	keys, err := e.keysOf(ctx, chat)
	if err != nil {
		return Party{}, err
	}
	for _, k := range keys {
		if k.Profile != intent.ProfileDeviceKey || !e.usable(k) {
			continue
		}
		for _, a := range k.Accounts {
			if a.Account == account {
				return Party{Name: a.Name, Account: a.Account, Agent: a.Agent}, nil
			}
		}
	}
	return Party{}, refuse(intent.StepKey, intent.ReasonKeyAccount, "no key enrolled in this chat may order from the account")
}

// checkPayee answers a payee check: by the own core bank, or by the payee's bank within the time allowed.
func (e *Engine) checkPayee(ctx context.Context, q PayeeQuery) PayeeAnswer {
	begun := time.Now()
	answer := PayeeAnswer{Result: intent.NotApplicable}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.CheckTimeout)
	defer cancel()
	var err error
	switch {
	case q.Agent == e.cfg.Agent:
		answer, err = e.localPayee(ctx, q)
	case e.cfg.Payees != nil:
		answer, err = e.cfg.Payees.CheckPayee(ctx, q)
	}
	if err != nil {
		e.cfg.Metrics.Count(MetricError, "payee-check")
		answer = PayeeAnswer{Result: intent.NotApplicable}
	}
	if answer.Result != intent.CloseMatch {
		answer.Matched = payments.Name{}
	} else if matched, ok := signable(answer.Matched); ok {
		answer.Matched = matched
	} else {
		answer = PayeeAnswer{Result: intent.NotApplicable} // a close match without a name that can be shown tells the payer nothing
	}
	e.cfg.Metrics.Count(MetricPayee, string(answer.Result))
	e.cfg.Metrics.Observe(LegCheck, time.Since(begun))
	return answer
}

// handleMandate verifies a payer's approval offline and, when it holds, authorises the payment.
func (e *Engine) handleMandate(ctx context.Context, in Inbound, inbox *journal.InboxEntry) error {
	var id payments.IntentID
	err := func() error {
		begun := time.Now()
		approval, err := intent.ParseApproval(in.Body)
		if err != nil {
			return form(err)
		}
		u, err := intent.ParseMandate(approval.Mandate)
		if err != nil {
			return err
		}
		id = u.Intent()
		key := journal.Key{Intent: id, Side: lifecycle.Debtor}
		p, err := e.Payment(ctx, key)
		if err != nil {
			return err
		}
		if p.Chat != in.Chat {
			p = Payment{} // another customer's payment: to this one it does not exist
		}
		v, err := u.Verify(intent.Verifier{Audience: e.cfg.ID, Now: e.now(), MaxCheckAge: e.cfg.CheckValid + time.Minute,
			Registry: registry{ctx, e, in.Chat}, Nonces: nonces{e.cfg.ID, p}}, approval.Request)
		if err != nil {
			return err
		}
		m := v.Mandate()
		if !railAmong(e.cfg.Profile.Name, m.Rails) {
			return refuse(intent.StepTerms, intent.ReasonRails, "the payer does not choose %s", e.cfg.Profile.Name)
		}
		e.cfg.Metrics.Observe(LegVerify, time.Since(begun))
		event := MandateVerified{Chat: in.Chat, KeyID: u.KeyID(), Amount: m.Amount, Creditor: partyOf(m.Creditor), RequestHash: v.RequestHash(),
			MandateHash: v.Hash(), Nonce: v.Nonce(), Expires: v.ValidUntil(), Mandate: Evidence{"mandate", v.Hash(), approval.Mandate}}
		limits := v.Key().Limits
		if event.PerPayment, event.PerDay, err = limitsIn(m.Amount.Currency, limits); err != nil {
			return err
		}
		for _, a := range v.Key().Accounts {
			if a.Account == m.Debtor.Account {
				event.Debtor = Party{Name: a.Name, Account: a.Account, Agent: a.Agent}
			}
		}
		return e.apply(ctx, key, event, extra{inbox: inbox})
	}()
	return e.conclude(ctx, in, inbox, id, err)
}

// limitsIn returns a key's limits in minor units. A limit in another currency cannot be counted against, so it allows nothing.
func limitsIn(c payments.Currency, l intent.Limits) (perPayment, perDay int64, err error) {
	for _, a := range []payments.Amount{l.PerPayment, l.PerDay} {
		if a.Minor > 0 && a.Currency != c {
			return 0, 0, refuse(intent.StepLimits, intent.ReasonLimit, "the key's limits are in another currency")
		}
	}
	return l.PerPayment.Minor, l.PerDay.Minor, nil
}

// nonces knows what was given with a payment's latest payee check.
type nonces struct {
	audience string
	payment  Payment
}

func (n nonces) Issued(nonce string) (intent.Issued, error) {
	if n.payment.State == lifecycle.None || n.payment.Nonce != nonce {
		return intent.Issued{}, intent.ErrNonceUnknown
	}
	return intent.Issued{Check: checkOf(n.audience, n.payment), Account: n.payment.Debtor.Account, UsedBy: intent.Hash(n.payment.MandateHash)}, nil
}

// handleWithdrawal declines or cancels.
func (e *Engine) handleWithdrawal(ctx context.Context, in Inbound, inbox *journal.InboxEntry) error {
	var id payments.IntentID
	err := func() error {
		n, err := intent.ParseNotice(in.Body)
		if err != nil {
			return form(err)
		}
		id = n.Intent
		key := journal.Key{Intent: id, Side: lifecycle.Debtor}
		p, err := e.Payment(ctx, key)
		if err != nil {
			return err
		}
		if p.State == lifecycle.None || p.Chat != in.Chat {
			return refuse(0, ReasonUnknownIntent, "no such payment was asked for in this chat")
		}
		var event Event = Declined{in.Chat, n.Reason}
		if in.MediaType == intent.MediaCancel {
			event = Cancelled{in.Chat, n.Reason}
		}
		return e.apply(ctx, key, event, extra{inbox: inbox})
	}()
	return e.conclude(ctx, in, inbox, id, err)
}
