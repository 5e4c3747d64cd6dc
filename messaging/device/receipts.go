package device

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/wire"
)

// Delivery receipts tell a sender that this device stored its message. They wait a moment for company: for the chat's next message,
// which carries them along, or for each other. They are kept in memory only: when they are lost, the sender sends again and gets another.
//
// The delay costs nobody anything: a receipt only lets the sender forget its copy. Each one that rides along saves two commits to disk
// at either end, and two at the relay.
const (
	receiptDelay = time.Second
	receiptMost  = 64 // in one message
	receiptTTL   = 24 * time.Hour
)

// extensionReceipts is our private extension of MIMI content: the ids of messages that the sender of this one has stored.
const extensionReceipts = -2

type receipts struct {
	d    *Device
	mu   sync.Mutex // guards due and since
	due  map[messaging.ChatID][]messaging.MessageID
	full bool // some chat has receiptMost
	wake chan struct{}
}

func newReceipts(d *Device) *receipts {
	return &receipts{d: d, due: map[messaging.ChatID][]messaging.MessageID{}, wake: make(chan struct{}, 1)}
}

func (r *receipts) add(chat messaging.ChatID, ids ...messaging.MessageID) {
	if len(ids) == 0 {
		return
	}
	r.mu.Lock()
	first := len(r.due) == 0
	r.due[chat] = append(r.due[chat], ids...)
	full := len(r.due[chat]) >= receiptMost && !r.full
	r.full = r.full || full
	r.mu.Unlock()
	if first || full {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// take returns receipts of the chat for a message to carry.
func (r *receipts) take(chat messaging.ChatID) []messaging.MessageID {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := r.due[chat]
	if len(ids) <= receiptMost {
		delete(r.due, chat)
		return ids
	}
	r.due[chat] = ids[receiptMost:]
	return ids[:receiptMost:receiptMost]
}

func attachReceipts(m *content.Message, ids []messaging.MessageID) {
	if len(ids) > 0 {
		m.Extensions = append(m.Extensions[:len(m.Extensions):len(m.Extensions)], content.IDs(extensionReceipts, ids))
	}
}

// run sends what nothing took along, until ctx ends.
func (r *receipts) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		}
		timer := time.NewTimer(receiptDelay)
		for waiting := true; waiting; {
			r.mu.Lock()
			full := r.full
			r.mu.Unlock()
			if full {
				break
			}
			select {
			case <-ctx.Done():
				timer.Stop()
				return nil
			case <-timer.C:
				waiting = false
			case <-r.wake:
			}
		}
		timer.Stop()
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
}

// park keeps what is due in the store until the next run.
func (r *receipts) park(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.due) == 0 {
		return nil
	}
	return r.d.s.update(ctx, func(t *tx) error { return t.putMeta("receipts", r.due) })
}

// unpark takes them up again.
func (r *receipts) unpark(ctx context.Context) error {
	due := map[messaging.ChatID][]messaging.MessageID{}
	err := r.d.s.update(ctx, func(t *tx) error {
		if found, err := t.getMeta("receipts", &due); err != nil || !found {
			return err
		}
		return t.exec(`DELETE FROM meta WHERE k = 'receipts'`)
	})
	for chat, ids := range due {
		r.add(chat, ids...)
	}
	return err
}

// flush sends all that is due, in one transaction: a report per chat.
func (r *receipts) flush(ctx context.Context) error {
	if !r.d.line.online() { // until it is again
		return nil
	}
	r.mu.Lock()
	due := r.due
	r.due, r.full = map[messaging.ChatID][]messaging.MessageID{}, false
	r.mu.Unlock()
	if len(due) == 0 {
		return nil
	}
	type report struct {
		chat  messaging.ChatID
		ids   []messaging.MessageID
		frame *wire.Send
	}
	var reports []report
	err := r.d.inbox.update(ctx, func(t *tx) error {
		reports = reports[:0]
		for chat, ids := range due {
			for len(ids) > 0 {
				n := min(len(ids), receiptMost)
				f, err := r.d.report(t, chat, ids[:n])
				if t.failed != nil {
					return t.failed
				}
				if err == nil {
					reports = append(reports, report{chat, ids[:n], f})
				} // else the chat is gone, and its receipts with it
				ids = ids[n:]
			}
		}
		return nil
	})
	if err != nil {
		for chat, ids := range due {
			r.add(chat, ids...)
		}
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	for _, p := range reports {
		r.d.line.note(p.frame, func() { r.add(p.chat, p.ids...) })
	}
	return nil
}

// report seals one delivery report. It goes into no outbox: what the relay does not take is sealed again, and who misses one asks by
// sending again.
func (d *Device) report(t *tx, chat messaging.ChatID, ids []messaging.MessageID) (*wire.Send, error) {
	if err := d.maySeal(t, chat); err != nil {
		return nil, err
	}
	now := d.now()
	p := content.Report{At: now}
	for _, id := range ids {
		p.Statuses = append(p.Statuses, content.MessageStatus{ID: id, Status: content.Delivered})
	}
	m := p.Message()
	m.NewSalt()
	encoded, err := content.Encode(m)
	if err != nil {
		return nil, err
	}
	s := d.session(t, chat)
	envelope, err := s.Seal(encoded, nil)
	if err != nil {
		return nil, err
	}
	members, err := s.Members()
	if err != nil {
		return nil, err
	}
	f := &wire.Send{Class: wire.Durable, TTL: uint32(receiptTTL / time.Second), Body: envelope}
	rand.Read(f.ID[:]) // never fails (crypto/rand)
	for _, m := range members {
		if m.Device != d.id {
			f.To = append(f.To, m.Device)
		}
	}
	if len(f.To) == 0 {
		return nil, errors.New("device: nobody to report to")
	}
	return f, nil
}
