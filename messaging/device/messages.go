package device

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
)

// message is a message in its row.
type message struct {
	Sender  messaging.DeviceID `cbor:"1,keyasint"`
	Name    string             `cbor:"2,keyasint"`
	Epoch   uint64             `cbor:"3,keyasint"`
	Content []byte             `cbor:"4,keyasint"` // as it was sealed
	Own     bool               `cbor:"5,keyasint,omitempty"`
}

// States of a message's row.
const (
	stateDue  = 0 // waits for the handler
	stateDone = 1
)

func messageAD(chat messaging.ChatID, id messaging.MessageID) []byte {
	return append(chat[:], id[:]...)
}

// putMessage writes a message, and returns 0 when it is there already. expires may be zero. mark is by what it is found again: the hash
// of its ciphertext, or the key that the sender gave.
func (t *tx) putMessage(chat messaging.ChatID, id messaging.MessageID, state int, at, expires time.Time, mark []byte, m message) (n int64, err error) {
	v, err := t.sealed("message", messageAD(chat, id), m)
	if err != nil {
		return 0, err
	}
	hash, k := any(mark), any(nil)
	if m.Own {
		hash, k = nil, mark
	}
	if mark == nil {
		hash, k = nil, nil
	}
	r, err := t.Exec(`INSERT INTO message (chat, id, state, at, expires, hash, k, v) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (chat, id) DO NOTHING`,
		chat[:], id[:], state, at.UnixMilli(), millis(expires), hash, k, v)
	if err != nil {
		return 0, t.fail(err)
	}
	if rows, err := r.RowsAffected(); err != nil || rows == 0 {
		return 0, t.fail(err)
	}
	n, err = r.LastInsertId()
	return n, t.fail(err)
}

// message reads one message; one that was forgotten is ErrNotFound.
func (t *tx) message(chat messaging.ChatID, id messaging.MessageID) (m message, err error) {
	var v []byte
	found, err := t.row(`SELECT v FROM message WHERE chat = ? AND id = ?`, []any{chat[:], id[:]}, &v)
	if err != nil {
		return m, err
	}
	if !found || v == nil {
		return m, ErrNotFound
	}
	return m, t.unsealed("message", messageAD(chat, id), v, &m)
}

// millis is Unix milliseconds; 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// public turns a row into what callers see. It fails only for rows that this version cannot read.
func (m *message) public(chat messaging.ChatID, id messaging.MessageID, at time.Time) (Message, error) {
	c, err := content.Decode(m.Content)
	if err != nil {
		return Message{}, err
	}
	return Message{Chat: chat, ID: id, Sender: messaging.Member{Device: m.Sender, Name: m.Name}, SentAt: at, Epoch: m.Epoch, Own: m.Own, Content: c}, nil
}

// History returns the last messages of a chat, oldest first, at most max, own ones included, expired ones not.
func (d *Device) History(ctx context.Context, chat messaging.ChatID, max int) ([]Message, error) {
	if max <= 0 {
		return nil, nil
	}
	var all []Message
	now := d.now()
	err := d.s.view(ctx, func(t *tx) error {
		return t.rows(`SELECT id, at, v FROM message INDEXED BY message_chat WHERE chat = ? AND v IS NOT NULL AND (expires = 0 OR expires > ?) ORDER BY n DESC LIMIT ?`,
			[]any{chat[:], now.UnixMilli(), max}, func(scan func(...any) error) error {
				var id, v []byte
				var at int64
				if err := scan(&id, &at, &v); err != nil {
					return err
				}
				var m message
				if err := t.unsealed("message", messageAD(chat, messaging.MessageID(id)), v, &m); err != nil {
					return err
				}
				p, err := m.public(chat, messaging.MessageID(id), time.UnixMilli(at))
				if err != nil {
					return err
				}
				all = append(all, p)
				return nil
			})
	})
	slices.Reverse(all)
	return all, err
}

// expiry remembers the earliest time at which a message must be forgotten, so that the sweeper need not ask the store every second.
type expiry struct{ next atomic.Int64 } // Unix milliseconds; 0 means none known

func (e *expiry) soon(t time.Time) {
	for at := millis(t); at != 0; {
		next := e.next.Load()
		if next != 0 && next <= at || e.next.CompareAndSwap(next, at) {
			return
		}
	}
}

// How long traces are kept: of messages, so that late copies and repeated Sends are recognised, and of what only waits.
const (
	keepTrace = maxTTL + 24*time.Hour
	keepEarly = 10 * time.Minute
)

// sweep forgets what expired. Content goes at once; the row stays a while, so that a late copy is not taken for a new message.
func (d *Device) sweep(ctx context.Context) error {
	now := d.now()
	if next := d.expiry.next.Load(); next == 0 || now.UnixMilli() < next {
		return nil
	}
	d.expiry.next.Store(0)
	var next int64
	err := d.s.update(ctx, func(t *tx) error {
		if err := t.exec(`UPDATE message SET v = NULL, state = 1 WHERE expires > 0 AND expires <= ? AND v IS NOT NULL`, now.UnixMilli()); err != nil {
			return err
		}
		_, err := t.row(`SELECT coalesce(min(expires), 0) FROM message WHERE expires > 0 AND v IS NOT NULL`, nil, &next)
		return err
	})
	if next != 0 {
		d.expiry.soon(time.UnixMilli(next))
	}
	return err
}

// tidy deletes what is only kept for a while. It reads all messages, so it is for once an hour.
func (d *Device) tidy(ctx context.Context) error {
	now := d.now()
	before := func(d time.Duration) int64 { return now.Add(-d).UnixMilli() }
	d.expiry.soon(now) // have sweep look, too: at the start nothing is known of what expires
	if err := d.sweepGroups(ctx, now); err != nil {
		return err
	}
	return d.s.update(ctx, func(t *tx) error {
		return errors.Join(
			t.exec(`UPDATE message SET v = NULL WHERE at < ? AND v IS NOT NULL AND state = 1 AND id NOT IN (SELECT id FROM outbox)`, before(d.c.History)),
			t.exec(`DELETE FROM message WHERE at < ? AND v IS NULL`, before(keepTrace)),
			t.exec(`DELETE FROM early WHERE at < ?`, before(keepEarly)),
			d.sweepKeyPackages(t, now),
		)
	})
}

// sweepGroups deletes keys that have outlived their time: of past epochs, which are kept for messages that were under way when the chat
// moved on, and of messages that never came. Each chat is looked at when the core says, and at least once a day.
func (d *Device) sweepGroups(ctx context.Context, now time.Time) error {
	const atOnce = 64
	for more := true; more; {
		var chats []messaging.ChatID
		err := d.s.update(ctx, func(t *tx) error {
			chats = nil
			err := t.rows(`SELECT id FROM chat WHERE expire <= ? AND state = ? LIMIT ?`, []any{now.UnixMilli(), chatActive, atOnce}, func(scan func(...any) error) error {
				var id []byte
				err := scan(&id)
				chats = append(chats, messaging.ChatID(id))
				return err
			})
			for _, chat := range chats {
				if err == nil {
					err = d.sweepGroup(t, chat, now)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		more = len(chats) == atOnce
	}
	return nil
}

func (d *Device) sweepGroup(t *tx, chat messaging.ChatID, now time.Time) error {
	h, err := t.group(d, chat)
	if err != nil {
		return err
	}
	next, err := h.group.Expire(rows{t, chat})
	if err != nil {
		return err
	}
	if tomorrow := now.Add(24 * time.Hour); next.IsZero() || next.After(tomorrow) {
		next = tomorrow
	}
	return t.exec(`UPDATE chat SET expire = ? WHERE id = ?`, next.UnixMilli(), chat[:])
}
