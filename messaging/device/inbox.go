package device

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
)

// inbox calls the handler: one message of a chat after the other, many chats at once. What it has to do stands in the store; here is
// only the order.
type inbox struct {
	d       *Device
	mu      sync.Mutex // guards all below
	chats   map[messaging.ChatID]*chatInbox
	waiting int // messages in all queues
	stopped bool
	wg      sync.WaitGroup
	ctx     context.Context // of the handlers: outlives Run's by the drain time
	stop    chan struct{}   // closed: no new call
}

type chatInbox struct{ queue []due }

// due is a message for the handler. m is nil when it is to be read from the store.
type due struct {
	n       int64
	expires time.Time
	keep    content.Expiry
	m       *Message
}

// inboxWarm bounds the messages kept in memory.
const inboxWarm = 2048

// Pauses between two calls for one message.
const (
	retryFirst = 100 * time.Millisecond
	retryMost  = time.Minute
)

func newInbox(d *Device) *inbox {
	return &inbox{d: d, chats: map[messaging.ChatID]*chatInbox{}, stop: make(chan struct{})}
}

// start begins with what the store holds.
func (b *inbox) start(ctx context.Context) error {
	b.ctx = ctx
	if b.d.handler == nil {
		return b.d.s.update(ctx, func(t *tx) error { return t.exec(`UPDATE message SET state = 1 WHERE state = 0`) })
	}
	type row struct {
		chat messaging.ChatID
		due
	}
	var all []row
	err := b.d.s.view(ctx, func(t *tx) error {
		return t.rows(`SELECT n, chat, expires FROM message WHERE state = 0 ORDER BY n`, nil, func(scan func(...any) error) error {
			var n, expires int64
			var chat []byte
			if err := scan(&n, &chat, &expires); err != nil {
				return err
			}
			r := row{messaging.ChatID(chat), due{n: n}}
			if expires != 0 {
				r.expires = time.UnixMilli(expires)
			}
			all = append(all, r)
			return nil
		})
	})
	for _, r := range all {
		b.add(r.chat, r.due)
	}
	return err
}

func (b *inbox) add(chat messaging.ChatID, x due) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return // it stands in the store
	}
	if b.waiting++; b.waiting > inboxWarm {
		x.m = nil
	}
	c := b.chats[chat]
	if c != nil {
		c.queue = append(c.queue, x)
		return
	}
	b.chats[chat] = &chatInbox{queue: []due{x}}
	b.wg.Add(1)
	go b.work(chat)
}

// work handles the messages of one chat until there are none.
func (b *inbox) work(chat messaging.ChatID) {
	defer b.wg.Done()
	for {
		b.mu.Lock()
		c := b.chats[chat]
		if len(c.queue) == 0 || b.stopped {
			delete(b.chats, chat)
			b.mu.Unlock()
			return
		}
		x := c.queue[0]
		c.queue = c.queue[1:]
		b.waiting--
		b.mu.Unlock()
		if !b.handle(chat, x) {
			return // stopping; the rest stands in the store
		}
	}
}

// handle calls the handler until it returns nil. It reports false when the device stops before.
func (b *inbox) handle(chat messaging.ChatID, x due) bool {
	d := b.d
	if x.m == nil {
		m, err := d.due(b.ctx, x.n)
		if err != nil {
			return errors.Is(err, ErrNotFound) // forgotten meanwhile
		}
		x.m = m
	}
	x.keep = x.m.Content.Expires
	for pause := retryFirst; ; pause = min(2*pause, retryMost) {
		if !x.expires.IsZero() && !d.now().Before(x.expires) {
			d.stats.expired.Add(1)
			return d.done(b.ctx, x) == nil
		}
		err := call(b.ctx, d.handler, *x.m)
		if err == nil {
			return d.done(b.ctx, x) == nil
		}
		d.trace("handler failed", x.m.ID.String()[:16])
		timer := time.NewTimer(pause)
		select {
		case <-b.stop:
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
}

func call(ctx context.Context, h Handler, m Message) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("device: the handler panicked: %v", r)
		}
	}()
	return h(ctx, m)
}

// due reads a message that waits for the handler.
func (d *Device) due(ctx context.Context, n int64) (*Message, error) {
	var out Message
	err := d.s.view(ctx, func(t *tx) error {
		var chat, id, v []byte
		var at int64
		found, err := t.row(`SELECT chat, id, at, v FROM message WHERE n = ? AND state = 0`, []any{n}, &chat, &id, &at, &v)
		if err != nil {
			return err
		}
		if !found || v == nil {
			return ErrNotFound
		}
		var m message
		if err := t.unsealed("message", messageAD(messaging.ChatID(chat), messaging.MessageID(id)), v, &m); err != nil {
			return err
		}
		out, err = m.public(messaging.ChatID(chat), messaging.MessageID(id), time.UnixMilli(at))
		return err
	})
	return &out, err
}

// done marks a message as handled. From here on a relative expiry runs.
func (d *Device) done(ctx context.Context, x due) error {
	expires := x.expires
	if x.keep.Relative {
		expires = x.keep.At(d.now())
	}
	err := d.s.update(ctx, func(t *tx) error {
		return t.exec(`UPDATE message SET state = 1, expires = ? WHERE n = ?`, millis(expires), x.n)
	})
	d.expiry.soon(expires)
	return err
}

// drain lets calls under way finish, and starts no more.
func (b *inbox) drain() {
	b.mu.Lock()
	if !b.stopped {
		b.stopped = true
		close(b.stop)
	}
	b.mu.Unlock()
	b.wg.Wait()
}
