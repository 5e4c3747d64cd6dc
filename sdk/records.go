package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/lifecycle"
)

// record is what the store keeps of one payment: the signed objects as they are, and what was done with them.
type record struct {
	Intent payments.IntentID
	Role   Role
	Chat   messaging.ChatID
	Status lifecycle.State
	Reason string `json:",omitempty"`

	Request []byte // JWS
	Check   []byte `json:",omitempty"` // JWS, the latest
	Mandate []byte `json:",omitempty"` // JWS; set before it is sent
	Refusal []byte `json:",omitempty"` // JWS, about the latest check or mandate
	Receipt []byte `json:",omitempty"` // JWS, the latest
	Credit  []byte `json:",omitempty"` // JWS

	Asked     int             `json:",omitempty"` // payee checks asked for
	Seq       uint64          `json:",omitempty"` // of the latest receipt
	Mandates  int             `json:",omitempty"` // mandates signed
	PayerSays lifecycle.State `json:",omitempty"`
	Told      []string        `json:",omitempty"` // the news that the handler has taken
}

// open reports whether something is still expected or to be done.
func (r *record) open() bool {
	if r.Role == Payee {
		return !r.Status.Terminal()
	}
	return !r.Status.Terminal() || r.Mandate != nil && !slices.Contains(r.Told, toldPassed)
}

const (
	bucketOpen = "sdk.open" // intents of open records, so that a start does not read all there ever were
	toldPassed = "passed"   // the final receipt is in the chat's outbox
	maxTold    = 64
)

func (r *record) told(key string) bool { return slices.Contains(r.Told, key) }

func (r *record) setTold(key string) {
	if !r.told(key) && len(r.Told) < maxTold {
		r.Told = append(r.Told, key)
	}
}

// records is the store of payments, with a way to wait for changes.
type records struct {
	device *device.Device
	locks  locks
	mu     sync.Mutex // guards what follows
	watch  map[string]chan struct{}
	// enrolRefusal is the answer to the latest Enrol.
	enrolRefusal *intent.Refusal
}

func (r *records) init(d *device.Device) {
	r.device, r.watch = d, map[string]chan struct{}{}
}

func (r *records) load(ctx context.Context, id payments.IntentID) (record, error) {
	raw, err := r.device.Get(ctx, bucketRecords, string(id))
	if err != nil {
		return record{}, err
	}
	var rec record
	if err := json.Unmarshal(raw, &rec); err != nil {
		return record{}, fmt.Errorf("sdk: the record of %s is damaged: %w", id, err)
	}
	return rec, nil
}

// errUnchanged tells update that there is nothing to save.
var errUnchanged = errors.New("sdk: unchanged")

// update changes a record durably; change gets the zero record when there is none. Changes of one record come one after the other.
func (r *records) update(ctx context.Context, id payments.IntentID, change func(*record) error) (record, error) {
	defer r.locks.lock(string(id))()
	rec, err := r.load(ctx, id)
	if err != nil && !errors.Is(err, device.ErrNotFound) {
		return record{}, err
	}
	isNew, wasOpen := err != nil, err == nil && rec.open()
	if err := change(&rec); err != nil {
		if errors.Is(err, errUnchanged) {
			return rec, nil
		}
		return record{}, err
	}
	raw, err := json.Marshal(rec)
	if err != nil {
		return record{}, err
	}
	if isNew { // the mark comes first and goes last
		if err := r.device.Put(ctx, bucketOpen, string(id), []byte{1}); err != nil {
			return record{}, err
		}
	}
	if err := r.device.Put(ctx, bucketRecords, string(id), raw); err != nil {
		return record{}, err
	}
	if wasOpen && !rec.open() {
		if err := r.device.Put(ctx, bucketOpen, string(id), nil); err != nil {
			return record{}, err
		}
	}
	r.changed(string(id))
	return rec, nil
}

// changed wakes those who wait for name.
func (r *records) changed(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ch := r.watch[name]; ch != nil {
		close(ch)
		delete(r.watch, name)
	}
}

// next returns a channel that is closed by the next change of name.
func (r *records) next(name string) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	ch := r.watch[name]
	if ch == nil {
		ch = make(chan struct{})
		r.watch[name] = ch
	}
	return ch
}

// await returns the record as soon as done is true of it. Cancelling ctx ends the wait and nothing else.
func (r *records) await(ctx context.Context, id payments.IntentID, done func(*record) bool) (record, error) {
	for {
		changed := r.next(string(id))
		rec, err := r.load(ctx, id)
		if err != nil {
			return record{}, err
		}
		if done(&rec) {
			return rec, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return rec, ctx.Err()
		}
	}
}

// view makes the public form of a record. The signed objects are verified again, as their exact bytes are all that is kept.
func (c *Client) view(rec record, news News) (Payment, error) {
	p := Payment{Intent: rec.Intent, Role: rec.Role, Chat: rec.Chat, News: news, Status: rec.Status, Reason: rec.Reason, PayerSays: rec.PayerSays}
	request, hash, err := intent.VerifyRequest(rec.Request)
	if err != nil {
		return p, fmt.Errorf("sdk: the request of %s in the store: %w", rec.Intent, err)
	}
	p.Terms, p.RequestHash = request.Terms, hash
	if c.config.Bank == nil {
		return p, nil
	}
	bank := c.config.Bank.Key
	for _, part := range []struct {
		jws  []byte
		read func([]byte) error
	}{
		{rec.Check, func(b []byte) error { x, err := intent.VerifyPayeeCheck(b, bank); p.Check = &x; return err }},
		{rec.Refusal, func(b []byte) error { x, err := intent.VerifyRefusal(b, bank); p.Refusal = &x; return err }},
		{rec.Receipt, func(b []byte) error { x, err := intent.VerifyReceipt(b, bank); p.Receipt = &x; return err }},
		{rec.Credit, func(b []byte) error { x, err := intent.VerifyCredited(b, bank); p.Credit = &x; return err }},
	} {
		if part.jws != nil {
			if err := part.read(part.jws); err != nil {
				return p, fmt.Errorf("sdk: a statement of %s in the store: %w", rec.Intent, err)
			}
		}
	}
	p.Credited = p.Credit != nil && p.Credit.Amount == p.Amount && p.Credit.Account == p.Creditor.Account
	return p, nil
}

// tell gives the handler one piece of news, unless it has taken it before. An error means that it is to be told again.
func (c *Client) tell(ctx context.Context, rec record, news News, key string) error {
	if c.onPayment == nil || rec.told(key) {
		return nil
	}
	p, err := c.view(rec, news)
	if err != nil {
		return err
	}
	if err := c.onPayment(ctx, p); err != nil {
		return err
	}
	_, err = c.records.update(ctx, rec.Intent, func(r *record) error {
		if r.told(key) {
			return errUnchanged
		}
		r.setTold(key)
		return nil
	})
	return err
}

// Payment returns what is known of a payment, or ErrNotFound.
func (c *Client) Payment(ctx context.Context, id payments.IntentID) (Payment, error) {
	rec, err := c.records.load(ctx, id)
	if err != nil {
		return Payment{}, err
	}
	return c.view(rec, "")
}

// Evidence returns the signed objects of a payment, exactly as they were signed, by name: request, check, mandate, receipt, credited,
// refusal. Together with the bank's key they prove what was agreed and what became of it.
func (c *Client) Evidence(ctx context.Context, id payments.IntentID) (map[string][]byte, error) {
	rec, err := c.records.load(ctx, id)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for name, jws := range map[string][]byte{"request": rec.Request, "check": rec.Check, "mandate": rec.Mandate, "receipt": rec.Receipt, "credited": rec.Credit, "refusal": rec.Refusal} {
		if jws != nil {
			out[name] = jws
		}
	}
	return out, nil
}
