package sdk

import (
	"bytes"
	"context"
	"crypto/ed25519"
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

	Request jws // JWS
	Check   jws `json:",omitempty"` // JWS, the latest
	Mandate jws `json:",omitempty"` // JWS
	Refusal jws `json:",omitempty"` // JWS, about the latest check or mandate
	Receipt jws `json:",omitempty"` // JWS, the latest
	Credit  jws `json:",omitempty"` // JWS

	Seq       uint64          `json:",omitempty"` // of the latest receipt
	Final     bool            `json:",omitempty"` // the bank has said how it ended; a no of one's own gives way when money moves all the same
	Mandates  int             `json:",omitempty"` // mandates signed
	PayerSays lifecycle.State `json:",omitempty"`

	// By names, for each piece of news, the message that brought it. The same message again means that the handler has not taken
	// the news yet; another message with the same content is a repetition.
	By map[string]messaging.MessageID `json:",omitempty"`
}

// jws is a signed object as it is. It is text, and stands in JSON as such.
type jws []byte

func (j jws) MarshalText() ([]byte, error)  { return j, nil }
func (j *jws) UnmarshalText(b []byte) error { *j = bytes.Clone(b); return nil }

// bring notes that a message brought a piece of news, unless another did before.
func (r *record) bring(news string, by messaging.MessageID) {
	if _, known := r.By[news]; known {
		return
	}
	if r.By == nil {
		r.By = map[string]messaging.MessageID{}
	}
	r.By[news] = by
}

// cacheMax is how many records are kept in memory at least, with the latest changes: more than can be on their way to the store at
// once (see saveLater). The store is used by one process at a time, so that they cannot be stale.
const cacheMax = 2048

// records is the store of payments, with a way to wait for changes.
type records struct {
	device *device.Device
	locks  locks

	mu           sync.Mutex // guards what follows
	watch        map[string]chan struct{}
	cache, older map[payments.IntentID]record // the latest cacheMax changed, and up to as many before
	enrolRefusal *intent.Refusal              // the answer to the latest Enrol
}

func (r *records) init(d *device.Device) {
	r.device, r.watch, r.cache = d, map[string]chan struct{}{}, map[payments.IntentID]record{}
}

// load returns a record, or device.ErrNotFound. What it refers to must not be changed.
func (r *records) load(ctx context.Context, id payments.IntentID) (record, error) {
	r.mu.Lock()
	rec, ok := r.cache[id]
	if !ok {
		rec, ok = r.older[id]
	}
	r.mu.Unlock()
	if ok {
		return rec, nil
	}
	raw, err := r.device.Get(ctx, bucketRecords, string(id))
	if err != nil {
		return record{}, err
	}
	if err := json.Unmarshal(raw, &rec); err != nil {
		return record{}, &changeError{fmt.Errorf("sdk: the record of %s is damaged: %w", id, err)} // one record must not hold up the others
	}
	return rec, nil
}

// ids returns the ids of all records, the oldest first: an id begins with its time.
func (r *records) ids(ctx context.Context) ([]payments.IntentID, error) {
	stored, err := r.device.Keys(ctx, bucketRecords)
	if err != nil {
		return nil, err
	}
	var ids []payments.IntentID
	for _, id := range stored {
		ids = append(ids, payments.IntentID(id))
	}
	r.mu.Lock() // some may still be on their way to the store
	for _, cache := range []map[payments.IntentID]record{r.cache, r.older} {
		for id := range cache {
			ids = append(ids, id)
		}
	}
	r.mu.Unlock()
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func (r *records) keep(rec record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.cache) >= cacheMax {
		r.cache, r.older = make(map[payments.IntentID]record, cacheMax), r.cache
	}
	r.cache[rec.Intent] = rec
}

// errUnchanged tells update that there is nothing to save.
var errUnchanged = errors.New("sdk: unchanged")

// changeError is what change has said against a change. Every other error of update is the store's.
type changeError struct{ error }

func (e *changeError) Unwrap() error { return e.error }

// saver makes values durable, alone or together with a message.
type saver func(ctx context.Context, rec record, values []device.Value) error

// saveLater is for handlers of messages: what it saves is durable before the message counts as handled.
func (r *records) saveLater(_ context.Context, _ record, values []device.Value) error {
	return r.device.PutLater(values...)
}

// update changes a record, for a handler of messages (see saveLater); change gets the zero record when there is none; its error comes back as a
// *changeError. Changes of one record come one after the other.
func (r *records) update(ctx context.Context, id payments.IntentID, change func(*record) error) (record, error) {
	return r.updateWith(ctx, id, r.saveLater, change)
}

// updateWith is update with another way to save.
func (r *records) updateWith(ctx context.Context, id payments.IntentID, save saver, change func(*record) error) (record, error) {
	defer r.locks.lock(string(id))()
	rec, err := r.load(ctx, id)
	if err != nil && !errors.Is(err, device.ErrNotFound) {
		return record{}, err
	}
	before := rec.By
	rec.By = make(map[string]messaging.MessageID, len(before)+1) // what others hold stays as it is
	for news, by := range before {
		rec.By[news] = by
	}
	if err := change(&rec); err != nil {
		if errors.Is(err, errUnchanged) {
			return rec, nil
		}
		return record{}, &changeError{err}
	}
	raw, err := json.Marshal(rec)
	if err != nil {
		return record{}, err
	}
	if err := save(ctx, rec, []device.Value{{Bucket: bucketRecords, Key: string(id), Value: raw}}); err != nil {
		return record{}, err
	}
	r.keep(rec)
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

// view makes the public form of a record. The signed objects are verified, as their exact bytes are all that is kept.
func (c *Client) view(rec record, news News) (Payment, error) {
	p := Payment{Intent: rec.Intent, Role: rec.Role, Chat: rec.Chat, News: news, Status: rec.Status, Reason: rec.Reason, PayerSays: rec.PayerSays,
		Approved: rec.Mandate != nil && rec.Refusal == nil}
	request, hash, err := c.request(rec)
	if err != nil {
		return p, fmt.Errorf("sdk: the request of %s in the store: %w", rec.Intent, err)
	}
	p.Terms, p.RequestHash = request.Terms, hash
	if c.config.Bank == nil {
		return p, nil
	}
	err = errors.Join(
		statement(c, &p.Check, rec.Check, intent.VerifyPayeeCheck), statement(c, &p.Refusal, rec.Refusal, intent.VerifyRefusal),
		statement(c, &p.Receipt, rec.Receipt, intent.VerifyReceipt), statement(c, &p.Credit, rec.Credit, intent.VerifyCredited))
	if err != nil {
		return p, fmt.Errorf("sdk: a statement of %s in the store: %w", rec.Intent, err)
	}
	p.Credited = p.Credit != nil && p.Credit.Amount == p.Amount && p.Credit.Account == p.Creditor.Account
	return p, nil
}

// statement reads a statement into the view, if there is one.
func statement[T any](c *Client, into **T, jws []byte, verify func([]byte, ed25519.PublicKey) (T, error)) error {
	if jws == nil {
		return nil
	}
	v, err := bankSaid(c, jws, verify)
	*into = &v
	return err
}

// request returns the record's request.
func (c *Client) request(rec record) (intent.Request, intent.Hash, error) {
	v, err := verifyOnce(c, rec.Request, func(jws []byte) (verifiedRequest, error) {
		request, hash, err := intent.VerifyRequest(jws)
		return verifiedRequest{request, hash}, err
	})
	return v.request, v.hash, err
}

type verifiedRequest struct {
	request intent.Request
	hash    intent.Hash
}

// verifyOnce verifies exact bytes once and remembers what they say, for as long as there is room. Each kind of object has a type of its
// own, so that the bytes of one never count as another.
func verifyOnce[T any](c *Client, jws []byte, verify func([]byte) (T, error)) (T, error) {
	c.mu.Lock()
	v, ok := c.verified[string(jws)].(T)
	c.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := verify(jws)
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.verified) >= verifiedMax {
		clear(c.verified)
	}
	c.verified[string(jws)] = v
	return v, nil
}

// verifiedMax bounds the signed objects whose verification is remembered; one takes about 1 KB.
const verifiedMax = 4096

// bankSaid verifies a statement of the own bank, once.
func bankSaid[T any](c *Client, jws []byte, verify func([]byte, ed25519.PublicKey) (T, error)) (T, error) {
	return verifyOnce(c, jws, func(jws []byte) (T, error) { return verify(jws, c.config.Bank.Key) })
}

// tell gives the handler a piece of news that the message by brought, unless another message had brought it before. An error means
// that the message must come again.
func (c *Client) tell(ctx context.Context, rec record, news News, key string, by messaging.MessageID) error {
	if first, ok := rec.By[key]; c.onPayment == nil || !ok || first != by {
		return nil
	}
	p, err := c.view(rec, news)
	if err != nil {
		return err
	}
	return c.onPayment(ctx, p)
}

// Payment returns what is known of a payment, or ErrNotFound.
func (c *Client) Payment(ctx context.Context, id payments.IntentID) (Payment, error) {
	rec, err := c.records.load(ctx, id)
	if err != nil {
		return Payment{}, err
	}
	return c.view(rec, "")
}

// Payments returns what is known of the newest payments, at most max of them, the newest first.
func (c *Client) Payments(ctx context.Context, max int) ([]Payment, error) {
	ids, err := c.records.ids(ctx)
	if err != nil {
		return nil, err
	}
	var out []Payment
	for _, id := range slices.Backward(ids) {
		if len(out) >= max {
			break
		}
		p, err := c.Payment(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
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
