package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/lifecycle"
)

// mandateValid is how long a mandate may be used; the connector takes at most 15 minutes.
const mandateValid = 10 * time.Minute

// Refused is the error of a call that the own bank refused. No money moved and none will by that call.
type Refused struct{ intent.Refusal }

// Error says what was refused and why, in the bank's words; it holds no person's data.
func (r *Refused) Error() string {
	return fmt.Sprintf("sdk: the bank refused: %s (%s)", r.Text, r.Reason)
}

// ErrNoMatch means that the account is not the payee's by name; approving needs ApproveOptions.DespiteNoMatch.
var ErrNoMatch = errors.New("sdk: the payee check found no match")

// ErrExpired means that the request, or the payee check, has run out.
var ErrExpired = errors.New("sdk: too late: the request or its check has expired")

// takeRequest stores a payee's request, after verifying it.
func (c *Client) takeRequest(ctx context.Context, m device.Message, jws []byte) error {
	request, hash, err := c.request(record{Request: jws})
	if err != nil {
		return c.refuse(intent.MediaRequest, err)
	}
	rec, err := c.records.update(ctx, request.Intent, func(r *record) error {
		switch {
		case r.Request == nil:
			*r = record{Intent: request.Intent, Role: Payer, Chat: m.Chat, Status: lifecycle.Presented, Request: jws}
			r.bring("requested", m.ID)
			return nil
		case r.Role != Payer || r.Chat != m.Chat:
			return errors.New("the intent is known from another chat")
		}
		if _, known, err := c.request(*r); err != nil || known != hash {
			return errors.New("the intent is known with other terms")
		}
		return errUnchanged
	})
	if err != nil {
		return c.notTaken(intent.MediaRequest, err)
	}
	c.emit("request opened", string(request.Intent), string(rec.Status), request.Amount.String())
	return c.tell(ctx, rec, NewsRequested, "requested", m.ID)
}

// Check asks the own bank who owns the payee's account, and waits for its signed answer. Cancelling ctx ends the wait. A bank that
// refuses gives a *Refused.
func (c *Client) Check(ctx context.Context, id payments.IntentID) (intent.PayeeCheck, error) {
	enrolment, err := c.Enrolment(ctx, Payer)
	if err != nil {
		return intent.PayeeCheck{}, err
	}
	chat, err := c.bankChat(ctx)
	if err != nil {
		return intent.PayeeCheck{}, err
	}
	before, err := c.records.load(ctx, id)
	if err == nil {
		err = before.payable()
	}
	if err != nil {
		return intent.PayeeCheck{}, err
	}
	body, err := intent.Check{Request: before.Request, DebtorAccount: enrolment.Accounts[0].Account}.Encode()
	if err != nil {
		return intent.PayeeCheck{}, err
	}
	if err := c.sendPart(ctx, chat, "", intent.MediaCheck, body, "Payee check of a payment request"); err != nil {
		return intent.PayeeCheck{}, err
	}
	c.emit("check asked", string(id), string(before.Status), "")
	rec, err := c.records.await(ctx, id, func(r *record) bool {
		return !bytes.Equal(r.Check, before.Check) || !bytes.Equal(r.Refusal, before.Refusal) || r.Status.Terminal()
	})
	if err != nil {
		return intent.PayeeCheck{}, err
	}
	p, err := c.view(rec, "")
	switch {
	case err != nil:
		return intent.PayeeCheck{}, err
	case !bytes.Equal(rec.Check, before.Check):
		return *p.Check, nil
	case p.Refusal != nil && !bytes.Equal(rec.Refusal, before.Refusal):
		return intent.PayeeCheck{}, &Refused{*p.Refusal}
	default:
		return intent.PayeeCheck{}, fmt.Errorf("sdk: the payment is %s", p.Status)
	}
}

// payable says why a record cannot be checked, approved or declined, or nil.
func (r *record) payable() error {
	switch {
	case r.Request == nil:
		return ErrNotFound
	case r.Role != Payer:
		return errors.New("sdk: the payment is one that this client asked for")
	case r.Status.Terminal():
		return fmt.Errorf("sdk: the payment is %s already", r.Status)
	case r.Status.MayHaveLeft() || r.Mandate != nil && r.Refusal == nil:
		return errors.New("sdk: the payment is approved already")
	}
	return nil
}

// ApproveOptions changes how a payment is approved.
type ApproveOptions struct {
	// DespiteNoMatch approves although the payee check said "no match"; the mandate says so in its signed bytes.
	DespiteNoMatch bool
}

// Approve signs the mandate for a payment that was checked, and sends it to the own bank. It asks Config.Unlock first. It returns when
// the mandate is durably on its way; Wait tells what became of it. A mandate is signed once per payee check: after a refusal, Check again.
func (c *Client) Approve(ctx context.Context, id payments.IntentID, o ApproveOptions) error {
	enrolment, err := c.Enrolment(ctx, Payer)
	if err != nil {
		return err
	}
	chat, err := c.bankChat(ctx)
	if err != nil {
		return err
	}
	p, err := c.Payment(ctx, id)
	if err != nil {
		return err
	}
	now := time.Now()
	switch {
	case p.Check == nil:
		return errors.New("sdk: the payment has no payee check yet; call Check and show its result")
	case !now.Before(p.Expires) || !now.Before(p.Check.Expires):
		return ErrExpired
	case p.Check.Result == intent.NoMatch && !o.DespiteNoMatch:
		return ErrNoMatch
	case c.config.Unlock == nil:
		return errors.New("sdk: Config.Unlock is not set: nobody can approve on this client")
	}
	methods, err := c.config.Unlock(ctx, p)
	if err != nil {
		return fmt.Errorf("sdk: not approved: %w", err)
	}
	key, err := c.payerKey(ctx)
	if err != nil {
		return err
	}
	send := func(ctx context.Context, rec record, values []device.Value) error {
		return c.sendMandate(ctx, chat, rec, values)
	}
	rec, err := c.records.updateWith(ctx, id, send, func(r *record) error {
		if err := r.payable(); err != nil {
			return err
		}
		request, hash, err := c.request(*r)
		if err != nil {
			return err
		}
		account := enrolment.Accounts[0]
		m := intent.NewMandate(request, hash, *p.Check, intent.Debtor{Account: account.Account, Agent: account.Agent}, time.Now(), mandateValid)
		m.NoMatchOverride = p.Check.Result == intent.NoMatch
		if r.Mandate, err = intent.SignMandate(m, key, enrolment.Key.ID(), methods); err != nil {
			return err
		}
		r.Refusal = nil
		r.Mandates++
		return nil
	})
	if err != nil {
		return err
	}
	c.emit("mandate sent", string(id), string(rec.Status), "")
	return nil
}

// sendMandate puts the mandate into the outbox, in one step with values.
func (c *Client) sendMandate(ctx context.Context, chat messaging.ChatID, rec record, values []device.Value) error {
	body, err := intent.Approval{Request: rec.Request, Mandate: rec.Mandate}.Encode()
	if err != nil {
		return err
	}
	return c.sendPart(ctx, chat, fmt.Sprintf("mandate %s %d", rec.Intent, rec.Mandates), intent.MediaMandate, body, "Approval of a payment", values...)
}

// Decline refuses to pay, towards the payee and the own bank. reason is a word of at most
// 35 characters, such as "changed-mind", and is shown to the payee; it may be empty.
func (c *Client) Decline(ctx context.Context, id payments.IntentID, reason string) error {
	body, err := intent.Notice{Intent: id, Reason: reason}.Encode()
	if err != nil {
		return err
	}
	key, checked := "decline "+string(id), false
	send := func(ctx context.Context, rec record, values []device.Value) error {
		return c.sendPart(ctx, rec.Chat, key, intent.MediaDecline, body, "Payment declined", values...)
	}
	rec, err := c.records.updateWith(ctx, id, send, func(r *record) error {
		checked = r.Check != nil
		if r.Status == lifecycle.Declined {
			return errUnchanged
		}
		if err := r.payable(); err != nil {
			return err
		}
		r.Status, r.Reason = lifecycle.Declined, reason
		return nil
	})
	if err != nil {
		return err
	}
	c.emit("decline sent", string(id), string(rec.Status), reason)
	if checked { // otherwise the bank may never have heard of it, and lets it expire
		chat, err := c.bankChat(ctx)
		if err != nil {
			return err
		}
		if err := c.sendPart(ctx, chat, key, intent.MediaDecline, body, "Payment declined"); err != nil {
			return err
		}
	}
	if c.onPayment == nil {
		return nil
	}
	p, err := c.view(rec, NewsStatus)
	if err != nil {
		return err
	}
	return c.onPayment(ctx, p)
}

// Wait returns a payment when its status is final, or when the own bank has refused the latest check or mandate (see
// Payment.Refusal). Cancelling ctx ends the wait, not the payment: it then returns what is known, with the error of ctx. A payment in
// status unknown may take days; nothing must be paid again meanwhile.
func (c *Client) Wait(ctx context.Context, id payments.IntentID) (Payment, error) {
	rec, err := c.records.await(ctx, id, func(r *record) bool { return r.Status.Terminal() || r.Refusal != nil })
	if rec.Request == nil {
		return Payment{}, err
	}
	p, viewErr := c.view(rec, "")
	return p, errors.Join(err, viewErr)
}

// takeReceipt takes the own bank's word on a payment.
func (c *Client) takeReceipt(ctx context.Context, by messaging.MessageID, jws []byte) error {
	receipt, err := bankSaid(c, jws, intent.VerifyReceipt)
	if err != nil {
		return c.refuse(intent.MediaReceipt, err)
	}
	moved, passed := false, false
	save := func(ctx context.Context, rec record, values []device.Value) error {
		if passed = rec.Status.Terminal(); !passed {
			return c.records.saveLater(ctx, rec, values)
		}
		// The final receipt goes on into the chat where the money was asked for, unless the payer has been removed from it meanwhile.
		err := c.sendPart(ctx, rec.Chat, "receipt "+string(rec.Intent)+" "+string(rec.Status), intent.MediaReceipt, jws, "Receipt: "+string(rec.Status), values...)
		if errors.Is(err, device.ErrLeft) || errors.Is(err, device.ErrNotFound) {
			passed = false
			return c.records.saveLater(ctx, rec, values)
		}
		return err
	}
	rec, err := c.records.updateWith(ctx, receipt.Intent, save, func(r *record) error {
		if r.Request == nil || r.Role != Payer {
			return errors.New("no such payment here")
		}
		request, hash, err := c.request(*r)
		if err != nil {
			return err
		}
		status, err := lifecycle.ParseState(string(receipt.Status))
		switch {
		case err != nil:
			return err
		case hash != receipt.RequestHash || request.Amount != receipt.Amount:
			return errors.New("the receipt is about other terms")
		case receipt.Seq <= r.Seq && r.Receipt != nil:
			return errUnchanged // an old or repeated one
		case r.Status.Terminal() && status != r.Status && (r.Final || !status.MayHaveLeft() && status != lifecycle.Authorised && status != lifecycle.Held):
			return fmt.Errorf("the payment is %s, which never changes; the bank says %s", r.Status, status)
		}
		moved = status != r.Status
		r.Receipt, r.Seq, r.Status, r.Final = jws, receipt.Seq, status, status.Terminal()
		r.Reason = receipt.Reason
		if r.Reason == "" {
			r.Reason = receipt.ISO.Reason
		}
		r.bring("status "+string(status), by)
		return nil
	})
	if err != nil {
		return c.notTaken(intent.MediaReceipt, err)
	}
	if moved {
		c.emit("receipt opened", string(rec.Intent), string(rec.Status), rec.Reason)
	}
	if passed {
		c.emit("receipt passed on", string(rec.Intent), string(rec.Status), "")
	}
	return c.tell(ctx, rec, NewsStatus, "status "+string(rec.Status), by)
}

// takePayeeCheck takes the answer that Check waits for.
func (c *Client) takePayeeCheck(ctx context.Context, jws []byte) error {
	check, err := bankSaid(c, jws, intent.VerifyPayeeCheck)
	if err != nil {
		return c.refuse(intent.MediaPayeeCheck, err)
	}
	rec, err := c.records.update(ctx, check.Intent, func(r *record) error {
		if r.Request == nil || r.Role != Payer {
			return errors.New("no such payment here")
		}
		if _, hash, err := c.request(*r); err != nil || hash != check.RequestHash {
			return errors.New("the check is about other terms")
		}
		if bytes.Equal(r.Check, jws) {
			return errUnchanged
		}
		r.Check = jws
		return nil
	})
	if err != nil {
		return c.notTaken(intent.MediaPayeeCheck, err)
	}
	c.emit("check opened", string(rec.Intent), string(rec.Status), string(check.Result))
	return nil
}
