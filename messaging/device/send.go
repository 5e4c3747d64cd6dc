package device

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/device/outbox"
	"github.com/parleypay/parley/messaging/wire"
)

// ErrLeft is returned for chats that this device was removed from.
var ErrLeft = errors.New("device: this device is no member of the chat any more")

// memoryTTL is the longest life of a message that the relay keeps in memory.
const memoryTTL = 10 * time.Minute

// Send encrypts the message and puts it into the outbox; it is durable when Send returns, and sent again until each receiver's
// device has said that it stored it, or it expires. It does not need the relay. It sets the message's salt.
func (d *Device) Send(ctx context.Context, chat messaging.ChatID, m content.Message, o SendOptions) (messaging.MessageID, error) {
	now := d.now()
	p := packet{Chat: chat, At: now, Expires: now.Add(cmp.Or(o.TTL, d.c.TTL)), Memory: o.Memory}
	if o.TTL < 0 || o.TTL > maxTTL {
		return p.ID, fmt.Errorf("device: send: TTL of %v, at most %v", o.TTL, maxTTL)
	}
	if o.Memory && p.Expires.Sub(now) > memoryTTL {
		return p.ID, fmt.Errorf("device: send: a message in memory lives at most %v", memoryTTL)
	}
	if !m.Expires.IsZero() && !m.Expires.Relative {
		if at := m.Expires.At(now); !now.Before(at) {
			return p.ID, errors.New("device: send: the message has expired")
		} else if at.Before(p.Expires) {
			p.Expires = at
		}
	}
	if err := checkValues(o.Put); err != nil {
		return p.ID, err
	}
	m.NewSalt()
	due := d.receipts.take(chat)
	attachReceipts(&m, due)
	encoded, err := content.Encode(m)
	if err != nil && len(due) > 0 { // no room for them beside the message
		d.receipts.add(chat, due...)
		m.Extensions, due = m.Extensions[:len(m.Extensions)-1], nil
		encoded, err = content.Encode(m)
	}
	if err != nil {
		return p.ID, err
	}
	p.ID, p.Keep = content.ID(d.id, chat, encoded, m.Salt), m.Expires
	if o.Key != "" {
		p.key = d.s.name([]byte("sent"), chat[:], []byte(o.Key))
	}
	twice := false
	err = d.inbox.update(ctx, func(t *tx) error {
		twice = false
		if p.key != nil {
			var id []byte
			if found, err := t.row(`SELECT id FROM message WHERE k = ?`, []any{p.key}, &id); err != nil {
				return err
			} else if found {
				p.ID, twice = messaging.MessageID(id), true
				return nil
			}
		}
		if err := d.putAll(t, o.Put); err != nil {
			return err
		}
		return d.post(t, &p, encoded)
	})
	if err != nil || twice {
		d.receipts.add(chat, due...)
		return p.ID, err
	}
	d.stats.sent.Add(1)
	d.expiry.soon(p.keepUntil(now))
	d.out.added(&p)
	return p.ID, nil
}

// packet is a message on its way out.
type packet struct {
	N       outbox.ID
	Chat    messaging.ChatID
	ID      messaging.MessageID
	At      time.Time
	Expires time.Time      // when it is no longer sent
	Keep    content.Expiry // when it is no longer kept
	Memory  bool
	To      []messaging.DeviceID
	key     []byte // of SendOptions, hidden
	sealed
}

// sealed is what goes to the relay: the value of an outbox row.
type sealed struct {
	Wire     [16]byte `cbor:"1,keyasint"` // id of the Send frame
	Envelope []byte   `cbor:"2,keyasint"`
	Epoch    uint64   `cbor:"3,keyasint"`
	Memory   bool     `cbor:"4,keyasint,omitempty"`
	Run      uint64   `cbor:"5,keyasint"` // in which it was sealed
}

// keepUntil is when the own copy is to be forgotten; a relative expiry counts from when it was sent.
func (p *packet) keepUntil(sent time.Time) time.Time { return p.Keep.At(sent) }

// post seals the message and writes it into history and outbox.
func (d *Device) post(t *tx, p *packet, encoded []byte) error {
	if err := d.maySeal(t, p.Chat); err != nil {
		return err
	}
	s := d.session(t, p.Chat)
	if err := d.seal(s, p, encoded); err != nil {
		return err
	}
	members, err := s.Members()
	if err != nil {
		return err
	}
	p.To = p.To[:0]
	for _, m := range members {
		if m.Device != d.id {
			p.To = append(p.To, m.Device)
		}
	}
	row := message{Sender: d.id, Name: d.name, Epoch: p.Epoch, Content: encoded, Own: true}
	if _, err := t.putMessage(p.Chat, p.ID, stateDone, p.At, p.keepUntil(p.At), p.key, row); err != nil {
		return err
	}
	if len(p.To) == 0 {
		return nil
	}
	v, err := t.sealed("outbox", p.ID[:], p.sealed)
	if err != nil {
		return err
	}
	waiting, err := t.sealed("waiting", p.ID[:], p.To)
	if err != nil {
		return err
	}
	p.N = d.out.nextID()
	return t.exec(`INSERT INTO outbox (n, chat, id, expires, v, waiting) VALUES (?, ?, ?, ?, ?, ?)`,
		int64(p.N), p.Chat[:], p.ID[:], p.Expires.UnixMilli(), v, waiting)
}

// seal encrypts for the chat's current epoch.
func (d *Device) seal(s chatSession, p *packet, encoded []byte) (err error) {
	if p.Envelope, err = s.Seal(encoded, nil); err != nil {
		return err
	}
	rand.Read(p.Wire[:]) // never fails (crypto/rand)
	p.sealed.Memory, p.Run = p.Memory, d.run.Load()
	p.Epoch, err = s.Epoch()
	return err
}

// outgoing drives the outbox core.
type outgoing struct {
	d    *Device
	mu   sync.Mutex // guards all below; held while effects are handed on, so that they keep their order
	box  *outbox.Box
	warm map[outbox.ID]*packet // those not yet at the relay, with their envelopes, at most warmMost
	wake chan struct{}         // the time of the next tick changed
	drop []outbox.ID           // rows to delete, see flush
	last atomic.Int64          // id given out
}

// nextID gives out ids that grow, also over restarts and when the rows before are gone: microseconds, or one more than the last.
func (o *outgoing) nextID() outbox.ID {
	for {
		last := o.last.Load()
		next := max(last+1, time.Now().UnixMicro())
		if o.last.CompareAndSwap(last, next) {
			return outbox.ID(next)
		}
	}
}

// warmMost bounds the envelopes kept in memory; the others are read from the store when their turn comes.
const warmMost = 1024

func newOutgoing(d *Device) *outgoing {
	return &outgoing{d: d, box: outbox.New(outbox.Config{}), warm: map[outbox.ID]*packet{}, wake: make(chan struct{}, 1)}
}

// load fills the core with what the store holds.
func (o *outgoing) load(ctx context.Context) error {
	var all []outbox.Added
	err := o.d.s.view(ctx, func(t *tx) error {
		return t.rows(`SELECT n, chat, id, expires, waiting FROM outbox ORDER BY n`, nil, func(scan func(...any) error) error {
			var n, expires int64
			var chat, id, waiting []byte
			if err := scan(&n, &chat, &id, &expires, &waiting); err != nil {
				return err
			}
			a := outbox.Added{ID: outbox.ID(n), Chat: messaging.ChatID(chat), Message: messaging.MessageID(id), Expires: time.UnixMilli(expires)}
			if err := t.unsealed("waiting", id, waiting, &a.To); err != nil {
				return err
			}
			all = append(all, a)
			return nil
		})
	})
	for _, a := range all {
		o.last.Store(int64(a.ID))
		o.step(a)
	}
	return err
}

func (o *outgoing) added(p *packet) {
	if len(p.To) == 0 {
		return
	}
	o.mu.Lock()
	if len(o.warm) < warmMost {
		o.warm[p.N] = p
	}
	o.mu.Unlock()
	o.step(outbox.Added{ID: p.N, Chat: p.Chat, Message: p.ID, To: p.To, Expires: p.Expires})
}

func (o *outgoing) len() (all, unsent int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.box.Len(), o.box.Unsent()
}

// step takes an event in and does what the core says.
func (o *outgoing) step(events ...outbox.Event) {
	o.mu.Lock()
	before := o.box.Next()
	for _, ev := range events {
		if a, ok := ev.(outbox.Accepted); ok {
			delete(o.warm, a.ID)
		}
		for _, effect := range o.box.Step(o.d.now(), ev) {
			switch e := effect.(type) {
			case outbox.Send:
				o.d.line.send(e, o.warm[e.ID])
			case outbox.Drop:
				delete(o.warm, e.ID)
				if e.Why == outbox.Expired {
					o.d.stats.expired.Add(1)
				}
				if e.Why != outbox.Delivered { // what was delivered is deleted where the receipt was read
					o.drop = append(o.drop, e.ID)
				}
				if e.Why == outbox.Rejected {
					o.d.trace("message rejected by the relay", "")
				}
			}
		}
	}
	wake := len(o.drop) > 0 || !o.box.Next().Equal(before)
	o.mu.Unlock()
	if wake {
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
}

// run ticks the core and deletes what it dropped, until ctx ends.
func (o *outgoing) run(ctx context.Context) error {
	for {
		if err := o.flush(ctx); err != nil {
			return err
		}
		o.mu.Lock()
		next := o.box.Next()
		o.mu.Unlock()
		wait := time.Hour
		if !next.IsZero() {
			wait = min(wait, max(time.Millisecond, next.Sub(o.d.now())))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-o.wake:
			timer.Stop()
		case <-timer.C:
			o.step(outbox.Tick{})
		}
	}
}

func (o *outgoing) flush(ctx context.Context) error {
	o.mu.Lock()
	ids := o.drop
	o.drop = nil
	o.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	err := o.d.s.update(ctx, func(t *tx) error {
		for _, id := range ids {
			if err := t.exec(`DELETE FROM outbox WHERE n = ?`, int64(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if ctx.Err() != nil {
		return nil // the rows are expired, and go when they are loaded again
	}
	return err
}

// fetch reads an entry's envelope from the store. fresh gives it a new id for the relay and, when the chat has moved on to another
// epoch, seals it anew, since the receivers may have deleted the keys of the old one. nil means that there is nothing to send any more.
func (o *outgoing) fetch(ctx context.Context, id outbox.ID, fresh bool) (*packet, error) {
	var p *packet
	read := func(t *tx) error {
		p = nil
		var chat, mid, v []byte
		var expires int64
		found, err := t.row(`SELECT chat, id, expires, v FROM outbox WHERE n = ?`, []any{int64(id)}, &chat, &mid, &expires, &v)
		if err != nil || !found {
			return err
		}
		p = &packet{N: id, Chat: messaging.ChatID(chat), ID: messaging.MessageID(mid), Expires: time.UnixMilli(expires)}
		if err := t.unsealed("outbox", mid, v, &p.sealed); err != nil {
			return err
		}
		p.Memory = p.sealed.Memory
		return nil
	}
	if !fresh {
		return p, errors.Join(o.d.s.view(ctx, read))
	}
	err := o.d.s.update(ctx, func(t *tx) error {
		if err := read(t); err != nil || p == nil {
			return err
		}
		if o.d.copies.held(p.Chat) {
			return ErrCopy
		}
		s := o.d.session(t, p.Chat)
		epoch, err := s.Epoch()
		if errors.Is(err, errNoGroup) {
			p = nil
			return nil
		} else if err != nil {
			return err
		}
		if epoch == p.Epoch && !o.d.copies.tainted(p) {
			rand.Read(p.Wire[:])
		} else {
			m, err := t.message(p.Chat, p.ID)
			if errors.Is(err, ErrNotFound) {
				p = nil
				return nil
			} else if err != nil {
				return err
			}
			if err := o.d.seal(s, p, m.Content); err != nil {
				return err
			}
		}
		v, err := t.sealed("outbox", p.ID[:], p.sealed)
		if err != nil {
			return err
		}
		return t.exec(`UPDATE outbox SET v = ? WHERE n = ?`, v, int64(id))
	})
	return p, err
}

// received notes in the store that a device has a message of ours, and returns the event for the core.
func (t *tx) received(chat messaging.ChatID, id messaging.MessageID, from messaging.DeviceID) error {
	var n int64
	var waiting []byte
	found, err := t.row(`SELECT n, waiting FROM outbox WHERE chat = ? AND id = ?`, []any{chat[:], id[:]}, &n, &waiting)
	if err != nil || !found {
		return err
	}
	var to, rest []messaging.DeviceID
	if err := t.unsealed("waiting", id[:], waiting, &to); err != nil {
		return err
	}
	for _, d := range to {
		if !bytes.Equal(d[:], from[:]) {
			rest = append(rest, d)
		}
	}
	switch len(rest) {
	case len(to):
		return nil
	case 0:
		return t.exec(`DELETE FROM outbox WHERE n = ?`, n)
	}
	if waiting, err = t.sealed("waiting", id[:], rest); err != nil {
		return err
	}
	return t.exec(`UPDATE outbox SET waiting = ? WHERE n = ?`, waiting, n)
}

// frame makes the Send frame. The time that is left is rounded up, and the receiver judges by the content's own expiry, too.
func (p *packet) frame(req uint64, to []messaging.DeviceID, now time.Time) *wire.Send {
	class := wire.Durable
	if p.Memory {
		class = wire.Memory
	}
	ttl := uint32(max(1, (p.Expires.Sub(now)+time.Second-1)/time.Second))
	return &wire.Send{Req: req, ID: p.Wire, To: to, TTL: ttl, Class: class, Body: p.Envelope}
}
