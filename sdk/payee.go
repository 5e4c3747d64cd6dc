package sdk

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/lifecycle"
)

const defaultExpiry = 15 * time.Minute

// payeeKey returns the key that signs requests, and makes it on first use.
func (c *Client) payeeKey(ctx context.Context) (ed25519.PrivateKey, error) {
	seed, err := c.device.Get(ctx, bucketKeys, keyPayee)
	if errors.Is(err, device.ErrNotFound) {
		seed = make([]byte, ed25519.SeedSize)
		rand.Read(seed) // never fails (crypto/rand)
		if err := c.device.Put(ctx, bucketKeys, keyPayee, seed); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, errors.New("sdk: the payee key in the store is damaged")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// RequestPayment asks the others in a chat for money, with terms signed by the payee key that is enrolled at the own bank. It returns
// when the request is durably on its way. With Order.Key it can be called again, also after a crash, and asks once.
func (c *Client) RequestPayment(ctx context.Context, chat messaging.ChatID, o Order) (Payment, error) {
	if o.Key != "" {
		defer c.records.locks.lock("order " + o.Key)()
	}
	id, err := c.orderIntent(ctx, o.Key)
	if err != nil {
		return Payment{}, err
	}
	rec, err := c.records.load(ctx, id)
	if errors.Is(err, device.ErrNotFound) {
		rec, err = c.newRequest(ctx, chat, id, o)
	}
	if err != nil {
		return Payment{}, err
	}
	return c.view(rec, "")
}

// orderIntent returns the intent of the order with that key, or a new one that newRequest binds to the key.
func (c *Client) orderIntent(ctx context.Context, key string) (payments.IntentID, error) {
	if key != "" {
		id, err := c.device.Get(ctx, bucketOrders, key)
		if err == nil {
			return payments.ParseIntentID(string(id))
		}
		if !errors.Is(err, device.ErrNotFound) {
			return "", err
		}
	}
	return payments.NewIntentID(time.Now(), nil)
}

func (c *Client) newRequest(ctx context.Context, chat messaging.ChatID, id payments.IntentID, o Order) (record, error) {
	enrolment, err := c.Enrolment(ctx, Payee)
	if err != nil {
		return record{}, err
	}
	account, ok := accountIn(enrolment, o.Amount.Currency)
	if !ok {
		return record{}, fmt.Errorf("sdk: no account in %s is enrolled", o.Amount.Currency)
	}
	key, err := c.payeeKey(ctx)
	if err != nil {
		return record{}, err
	}
	if o.Expires == 0 {
		o.Expires = defaultExpiry
	}
	now := time.Now()
	terms := intent.Terms{Intent: id, Amount: o.Amount, Creditor: intent.Creditor{Name: account.Name, Account: account.Account, Agent: account.Agent},
		Reference: o.Reference, Purpose: o.Purpose, Rails: o.Rails, Expires: now.Add(o.Expires)}
	if o.Item != "" {
		terms.Items = []intent.Item{{Name: o.Item, Quantity: 1}}
	}
	request := intent.Request{Terms: terms, Issued: now}
	if in, err := c.device.Chat(ctx, chat); err == nil {
		request.Chat = &intent.ChatEvidence{Group: chat.String(), Epoch: in.Epoch}
	}
	jws, err := intent.SignRequest(request, key)
	if err != nil {
		return record{}, err
	}
	text := "Payment request: " + request.Amount.String()
	if o.Item != "" {
		text += " for " + o.Item
	}
	send := func(ctx context.Context, rec record, values []device.Value) error {
		if o.Key != "" {
			values = append(values, device.Value{Bucket: bucketOrders, Key: o.Key, Value: []byte(id)})
		}
		return c.sendPart(ctx, chat, "request "+string(id), intent.MediaRequest, jws, text, values...)
	}
	rec, err := c.records.updateWith(ctx, id, send, func(r *record) error {
		*r = record{Intent: id, Role: Payee, Chat: chat, Status: lifecycle.Created, Request: jws}
		return nil
	})
	if err == nil {
		c.emit("request sent", string(id), string(rec.Status), o.Amount.String())
	}
	return rec, err
}

func accountIn(e intent.Enrolment, currency payments.Currency) (intent.EnrolledAccount, bool) {
	for _, a := range e.Accounts {
		if a.Currency == currency {
			return a, true
		}
	}
	return intent.EnrolledAccount{}, false
}

// Cancel withdraws a request. It stops a payment only if the payer's bank hears of it before it submits; a credit may still come.
func (c *Client) Cancel(ctx context.Context, id payments.IntentID, reason string) error {
	rec, err := c.records.load(ctx, id)
	if err != nil {
		return err
	}
	if rec.Role != Payee {
		return errors.New("sdk: only a payee's own request can be cancelled; a payer declines")
	}
	body, err := intent.Notice{Intent: id, Reason: reason}.Encode()
	if err != nil {
		return err
	}
	return c.sendPart(ctx, rec.Chat, "cancel "+string(id), intent.MediaCancel, body, "Payment request withdrawn")
}

// takeCredited takes the own bank's word that money has arrived.
func (c *Client) takeCredited(ctx context.Context, by messaging.MessageID, jws []byte) error {
	credit, err := bankSaid(c, jws, intent.VerifyCredited)
	if err != nil {
		return c.refuse(intent.MediaCredited, err)
	}
	if credit.Intent == "" {
		c.log.Info("sdk: a credit that was not asked for in a chat", "uetr", string(credit.UETR))
		return nil
	}
	news, key := NewsStatus, "credited otherwise"
	rec, err := c.records.update(ctx, credit.Intent, func(r *record) error {
		if r.Request == nil || r.Role != Payee {
			return errors.New("no such payment here")
		}
		request, _, err := c.request(*r)
		if err != nil {
			return err
		}
		if credit.Amount == request.Amount && credit.Account == request.Creditor.Account {
			news, key = NewsCredited, "credited"
		}
		switch {
		case r.Status == lifecycle.Settled, r.Credit != nil && news == NewsStatus:
			return errUnchanged // anybody can send a cent: what does not pay the request never hides what does
		case news == NewsCredited:
			r.Status, r.Reason = lifecycle.Settled, ""
		default:
			r.Reason = "credited-otherwise" // kept as evidence, and for a person to look at
		}
		r.Credit = jws
		r.bring(key, by)
		return nil
	})
	if err != nil {
		return c.notTaken(intent.MediaCredited, err)
	}
	c.emit("credit opened", string(rec.Intent), string(rec.Status), credit.Amount.String())
	return c.tell(ctx, rec, news, key, by)
}

// takePassedReceipt notes what the payer says its bank said. It is not verified and decides nothing.
func (c *Client) takePassedReceipt(ctx context.Context, m device.Message, jws []byte) error {
	id, status, err := peekReceipt(jws)
	if err != nil {
		return c.refuse(intent.MediaReceipt, err)
	}
	rec, err := c.records.update(ctx, id, func(r *record) error {
		if r.Request == nil || r.Role != Payee || r.Chat != m.Chat {
			return errors.New("no such payment in this chat")
		}
		if r.PayerSays == status {
			return errUnchanged
		}
		r.PayerSays = status
		r.bring("receipt "+string(status), m.ID)
		return nil
	})
	if err != nil {
		return c.notTaken(intent.MediaReceipt, err)
	}
	c.emit("receipt shown", string(id), string(status), "")
	return c.tell(ctx, rec, NewsReceipt, "receipt "+string(status), m.ID)
}

// peekReceipt reads intent and status out of a receipt without verifying it.
func peekReceipt(jws []byte) (payments.IntentID, lifecycle.State, error) {
	if _, err := intent.KeyID(jws); err != nil { // the form of all three parts, within bounds
		return "", "", err
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(string(jws), ".")[1])
	if err != nil {
		return "", "", errors.New("payload is not base64url")
	}
	var said struct{ Intent, Status string }
	if json.Unmarshal(raw, &said) != nil {
		return "", "", errors.New("payload is not a receipt")
	}
	id, err := payments.ParseIntentID(said.Intent)
	if err != nil {
		return "", "", err
	}
	status, err := lifecycle.ParseState(said.Status)
	return id, status, err
}

// takeWithdrawal takes a payer's refusal to pay, or a payee's withdrawal of its request.
func (c *Client) takeWithdrawal(ctx context.Context, m device.Message, mediaType string, body []byte) error {
	w, err := intent.ParseNotice(body)
	if err != nil {
		return c.refuse(mediaType, err)
	}
	from, status := Payee, lifecycle.Declined
	if mediaType == intent.MediaCancel {
		from, status = Payer, lifecycle.Cancelled
	}
	rec, err := c.records.update(ctx, w.Intent, func(r *record) error {
		switch {
		case r.Request == nil || r.Role != from || r.Chat != m.Chat:
			return errors.New("no such payment in this chat")
		case r.Status.Terminal() || r.Status.MayHaveLeft() || r.Mandate != nil:
			return errUnchanged // too late: the bank's word counts
		}
		r.Status, r.Reason = status, w.Reason
		r.bring("status "+string(status), m.ID)
		return nil
	})
	if err != nil {
		return c.notTaken(mediaType, err)
	}
	if rec.Status != status {
		return nil
	}
	c.emit("withdrawal opened", string(w.Intent), string(status), rec.Reason)
	return c.tell(ctx, rec, NewsStatus, "status "+string(status), m.ID)
}
