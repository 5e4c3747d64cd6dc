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

	marks   []mark // messages handled, not yet so in the store
	marking chan struct{}
}

// mark says that a message was handled. It need not be durable at once, since a handler may be called again after a crash; so it goes
// along with the next transaction, or after markDelay with its like.
type mark struct {
	n       int64
	expires time.Time
}

const markDelay = 500 * time.Millisecond

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
	return &inbox{d: d, chats: map[messaging.ChatID]*chatInbox{}, stop: make(chan struct{}), marking: make(chan struct{}, 1)}
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

// warm reports whether so many messages more will be kept in memory.
func (b *inbox) warm(more int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting+more <= inboxWarm
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
			b.done(x)
			return true
		}
		err := call(b.ctx, d.handler, *x.m)
		if err == nil {
			b.done(x)
			return true
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
func (b *inbox) done(x due) {
	if x.keep.Relative {
		x.expires = x.keep.At(b.d.now())
	}
	b.putMarks([]mark{{x.n, x.expires}})
	b.d.expiry.soon(x.expires)
	wake(b.marking)
}

func (b *inbox) takeMarks() []mark {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.marks
	b.marks = nil
	return m
}

func (b *inbox) putMarks(m []mark) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.marks = append(b.marks, m...)
}

func (t *tx) mark(all []mark) error {
	for _, m := range all {
		if err := t.exec(`UPDATE message SET state = 1, expires = ? WHERE n = ?`, millis(m.expires), m.n); err != nil {
			return err
		}
	}
	return nil
}

// update is store.update with the marks that wait; ahead is store.ahead with them.
func (b *inbox) update(ctx context.Context, f func(*tx) error) error {
	marks := b.takeMarks()
	err := b.d.s.update(ctx, marking(f, marks))
	if err != nil {
		b.putMarks(marks)
	}
	return err
}

func (b *inbox) ahead(ctx context.Context, f func(*tx) error) (durable func() error, err error) {
	marks := b.takeMarks()
	if durable, err = b.d.s.ahead(ctx, marking(f, marks)); err != nil {
		b.putMarks(marks)
	}
	return durable, err
}

func marking(f func(*tx) error, marks []mark) func(*tx) error {
	return func(t *tx) error {
		if err := f(t); err != nil {
			return err
		}
		return t.mark(marks)
	}
}

// run writes marks that no transaction took along, until ctx ends.
func (b *inbox) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.marking:
		}
		if sleep(ctx, markDelay) != nil {
			return nil
		}
		if err := b.flush(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func (b *inbox) flush(ctx context.Context) error {
	b.mu.Lock()
	n := len(b.marks)
	b.mu.Unlock()
	if n == 0 {
		return nil
	}
	return b.update(ctx, func(*tx) error { return nil })
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
