package sdk

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/payments/intent"
)

// Enrol registers this client's key for the role at the own bank, with a one-time code that the bank gave its customer on another
// way, and waits for the bank's signed credential. A client that is enrolled already returns its credential and uses no code. It needs
// Run. Cancelling ctx ends the wait.
func (c *Client) Enrol(ctx context.Context, role Role, code string) (intent.Enrolment, error) {
	defer c.records.locks.lock("enrol " + string(role))()
	if e, err := c.Enrolment(ctx, role); err == nil || !errors.Is(err, ErrNotEnrolled) {
		return e, err
	}
	chat, err := c.bankChat(ctx)
	if err != nil {
		return intent.Enrolment{}, err
	}
	key, err := c.signer(ctx, role)
	if err != nil {
		return intent.Enrolment{}, err
	}
	profile := intent.ProfileDeviceKey
	if role == Payee {
		profile = intent.ProfilePayee
	}
	body, err := intent.NewEnrol(code, key, profile, string(c.config.Bank.Agent), time.Now())
	if err != nil {
		return intent.Enrolment{}, err
	}
	c.records.mu.Lock()
	c.records.enrolRefusal = nil
	c.records.mu.Unlock()
	if err := c.sendPart(ctx, chat, "enrol "+rand.Text(), intent.MediaEnrol, body, "Enrolment of a key"); err != nil {
		return intent.Enrolment{}, err
	}
	for {
		changed := c.records.next(keyEnrolment)
		e, err := c.Enrolment(ctx, role)
		if err == nil || !errors.Is(err, ErrNotEnrolled) {
			return e, err
		}
		c.records.mu.Lock()
		refusal := c.records.enrolRefusal
		c.records.mu.Unlock()
		if refusal != nil {
			return intent.Enrolment{}, &Refused{*refusal}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return intent.Enrolment{}, ctx.Err()
		}
	}
}

func (c *Client) signer(ctx context.Context, role Role) (crypto.Signer, error) {
	switch role {
	case Payer:
		return c.payerKey(ctx)
	case Payee:
		return c.payeeKey(ctx)
	}
	return nil, errors.New("sdk: a role is Payer or Payee")
}

// Enrolment returns the bank's credential for the role, or ErrNotEnrolled.
func (c *Client) Enrolment(ctx context.Context, role Role) (intent.Enrolment, error) {
	if c.config.Bank == nil {
		return intent.Enrolment{}, ErrNoBank
	}
	c.mu.Lock()
	e, ok := c.enrolment[role]
	c.mu.Unlock()
	if ok {
		return e, nil
	}
	jws, err := c.device.Get(ctx, bucketKeys, keyEnrolment+" "+string(role))
	if errors.Is(err, device.ErrNotFound) {
		return intent.Enrolment{}, ErrNotEnrolled
	}
	if err != nil {
		return intent.Enrolment{}, err
	}
	if e, err = intent.VerifyEnrolment(jws, c.config.Bank.Key); err != nil {
		return intent.Enrolment{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enrolment[role] = e
	return e, nil
}

// takeFromBank takes a statement of the own bank. Only its device may bring one, and only its key may have signed it.
func (c *Client) takeFromBank(ctx context.Context, m device.Message, mediaType string, jws []byte) error {
	if c.config.Bank == nil || m.Sender.Device != c.config.Bank.Device {
		return c.refuse(mediaType, errors.New("it does not come from the own bank"))
	}
	switch mediaType {
	case intent.MediaEnrolment:
		return c.takeEnrolment(ctx, jws)
	case intent.MediaPayeeCheck:
		return c.takePayeeCheck(ctx, jws)
	case intent.MediaReceipt:
		return c.takeReceipt(ctx, m.ID, jws)
	case intent.MediaCredited:
		return c.takeCredited(ctx, m.ID, jws)
	default:
		return c.takeRefusal(ctx, m.ID, jws)
	}
}

func (c *Client) takeEnrolment(ctx context.Context, jws []byte) error {
	e, err := intent.VerifyEnrolment(jws, c.config.Bank.Key)
	if err != nil {
		return c.refuse(intent.MediaEnrolment, err)
	}
	role := Payer
	if e.Profile == intent.ProfilePayee {
		role = Payee
	}
	key, err := c.signer(ctx, role)
	if err != nil {
		return err
	}
	if own, err := intent.NewPublicKey(key.Public()); err != nil || own != e.Key || len(e.Accounts) == 0 {
		return c.refuse(intent.MediaEnrolment, errors.New("it is not for this client's key"))
	}
	if err := c.device.Put(ctx, bucketKeys, keyEnrolment+" "+string(role), jws); err != nil {
		return err
	}
	c.mu.Lock()
	delete(c.enrolment, role)
	c.mu.Unlock()
	c.emit("key enrolled", "", "", string(role)+", "+e.Profile)
	c.records.changed(keyEnrolment)
	return nil
}

func (c *Client) takeRefusal(ctx context.Context, by messaging.MessageID, jws []byte) error {
	refusal, err := bankSaid(c, jws, intent.VerifyRefusal)
	if err != nil {
		return c.refuse(intent.MediaRefusal, err)
	}
	c.emit("refusal opened", string(refusal.Intent), "", refusal.Text)
	if refusal.About == intent.MediaEnrol {
		c.records.mu.Lock()
		c.records.enrolRefusal = &refusal
		c.records.mu.Unlock()
		c.records.changed(keyEnrolment)
		return nil
	}
	rec, err := c.records.update(ctx, refusal.Intent, func(r *record) error {
		if r.Request == nil || r.Role != Payer {
			return errors.New("no such payment here")
		}
		if r.Status.Terminal() {
			return errUnchanged
		}
		if bytes.Equal(r.Refusal, jws) {
			return errUnchanged
		}
		r.Refusal = jws
		r.By["refused"] = by // each refusal is news
		return nil
	})
	if err != nil {
		return c.notTaken(intent.MediaRefusal, err)
	}
	return c.tell(ctx, rec, NewsRefused, "refused", by)
}
