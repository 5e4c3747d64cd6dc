package device

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/wire"
)

// A store that was copied and put back (a backup, a snapshot of a machine) would use keys again that the device used after the copy was
// made (RFC 9420 §6.3.1). No store can notice that by itself; the relay can: it remembers the highest run, a count of this device's
// starts and connections, that is durable before it is told. A device that learns of a higher one seals nothing in any chat until it has
// committed: the commit gives the chat keys that the other one never had.

// copies is what is known of chats whose keys a copy of this store may have used.
type copies struct {
	any   atomic.Bool // some chat is in chats: the common case needs no lock
	mu    sync.Mutex  // guards chats
	chats map[messaging.ChatID]copied
}

// copied is a chat's: the run in which the copy was noticed, and that of the commit that healed it, 0 for none.
type copied struct{ at, healed uint64 }

// lost is copied.at of a chat that no commit heals: something of a later epoch came, so the chat has moved on without the copy, and what
// it commits nobody follows.
const lost = 1 << 62

func (c *copies) of(chat messaging.ChatID) copied {
	if !c.any.Load() {
		return copied{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.chats[chat]
}

// held reports whether nothing may be sent in the chat.
func (c *copies) held(chat messaging.ChatID) bool {
	x := c.of(chat)
	return x.at > x.healed
}

// tainted reports whether a message was sealed before the copy was noticed, so that its key may have been used for another one, too.
func (c *copies) tainted(p *packet) bool { return p.Run < c.of(p.Chat).at }

// load reads what the store knows.
func (c *copies) load(ctx context.Context, d *Device) error {
	chats := map[messaging.ChatID]copied{}
	err := d.s.view(ctx, func(t *tx) error {
		return t.rows(`SELECT id, copied, coalesce(healed, 0) FROM chat WHERE copied IS NOT NULL`, nil, func(scan func(...any) error) error {
			var id []byte
			var at, healed int64
			err := scan(&id, &at, &healed)
			chats[messaging.ChatID(id)] = copied{uint64(at), uint64(healed)}
			return err
		})
	})
	c.mu.Lock()
	c.chats = chats
	c.mu.Unlock()
	c.any.Store(len(chats) > 0)
	return err
}

// healed notes that a commit of this device took effect: one that was made after the copy was noticed heals the chat.
func (t *tx) healed(chat messaging.ChatID, run uint64) error {
	return t.exec(`UPDATE chat SET healed = ? WHERE id = ? AND copied <= ?`, int64(run), chat[:], int64(run))
}

// nextRun begins a run.
func (d *Device) nextRun(t *tx, above uint64) error {
	run := max(d.run.Load(), above) + 1
	d.run.Store(run) // should the transaction be undone, one is left out
	return t.putMeta("run", run)
}

// checkRun looks at what the relay knows of this device's runs.
func (d *Device) checkRun(ctx context.Context, told uint64, f *wire.Synced) error {
	if f.Run >= told {
		err := d.s.update(ctx, func(t *tx) error {
			if err := d.nextRun(t, f.Run); err != nil {
				return err
			}
			return errors.Join(
				t.exec(`UPDATE chat SET copied = ? WHERE state IN (?, ?)`, int64(d.run.Load()), chatCreating, chatActive),
				t.exec(`UPDATE chat SET copied = ? WHERE id IN (SELECT chat FROM early)`, int64(lost)))
		})
		if err != nil {
			return err
		}
		if err := d.copies.load(ctx, d); err != nil {
			return err
		}
		d.c.Log.Warn("this store is an older copy of itself: nothing is sealed in a chat until it has new keys")
		d.trace("store is a copy", "")
	}
	d.heal()
	return nil
}

// foundCopy is checkRun for one chat, whose group has seen a message of this device that it never made.
func (d *Device) foundCopy(t *tx, r *outcome, chat messaging.ChatID) error {
	if err := d.nextRun(t, 0); err != nil {
		return err
	}
	r.copied = true
	return t.exec(`UPDATE chat SET copied = ? WHERE id = ?`, int64(d.run.Load()), chat[:])
}

// movedOn is called when something of a later epoch waits in a chat.
func (d *Device) movedOn(t *tx, r *outcome, chat messaging.ChatID) error {
	if !d.copies.held(chat) {
		return nil
	}
	r.copied = true
	return t.exec(`UPDATE chat SET copied = ? WHERE id = ?`, int64(lost), chat[:])
}

// heal commits in all chats that wait for it. What fails is tried again with the next connection. A chat whose epoch is over never
// succeeds: its members must remove this device, and make a new chat with it.
func (d *Device) heal() {
	if !d.copies.any.Load() {
		return
	}
	d.copies.mu.Lock()
	var held []messaging.ChatID
	for chat, x := range d.copies.chats {
		if x.at > x.healed && x.at != lost {
			held = append(held, chat)
		}
	}
	d.copies.mu.Unlock()
	for _, chat := range held {
		d.line.spawn(func(ctx context.Context) {
			if d.commits.take(ctx, chat) != nil {
				return
			}
			defer d.commits.give(chat)
			if !d.copies.held(chat) {
				return
			}
			if err := d.commit(ctx, chat, change{}); err != nil && ctx.Err() == nil {
				d.trace("chat not healed", "")
			}
		})
	}
}
