package device

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/device/outbox"
	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/wire"
)

// A commit of this device goes through four durable steps: prepared (the group stays as it was), accepted by the relay, merged; or
// discarded when another member's came first, and then prepared anew on top of that (RFC 9420 §14).

// change is what a commit is to do. The zero change replaces this device's own keys and nothing else.
type change struct {
	add    []*mls.KeyPackage
	remove []messaging.DeviceID
}

// commit is one of this device, in its row: while it waits for the relay, and then until all it is for have shown that they have it. It
// is no secret.
type commit struct {
	Epoch     uint64               `cbor:"1,keyasint"` // that it ends
	Message   []byte               `cbor:"2,keyasint"` // for To
	To        []messaging.DeviceID `cbor:"3,keyasint"` // members of the epoch that ends, without this device
	Welcome   []byte               `cbor:"4,keyasint"` // for WelcomeTo; nil when nobody joins
	WelcomeTo []messaging.DeviceID `cbor:"5,keyasint"`
	Run       uint64               `cbor:"6,keyasint"` // in which it was made
}

// getCommit reads the column pending or last of a chat, nil when it is empty.
func (t *tx) getCommit(column string, chat messaging.ChatID) (*commit, error) {
	var v []byte
	if found, err := t.row(`SELECT `+column+` FROM chat WHERE id = ?`, []any{chat[:]}, &v); !found || err != nil || v == nil {
		return nil, err
	}
	c := new(commit)
	return c, t.unsealed(column, chat[:], v, c)
}

// putCommit writes it; nil empties it.
func (t *tx) putCommit(column string, chat messaging.ChatID, c *commit) error {
	var v any
	if c != nil {
		sealed, err := t.sealed(column, chat[:], c)
		if err != nil {
			return err
		}
		v = sealed
	}
	return t.exec(`UPDATE chat SET `+column+` = ? WHERE id = ?`, v, chat[:])
}

// commits runs the commits of this device, one per chat at a time, apart from whoever asked for them: a commit that the relay may have
// accepted is followed up whether or not somebody still waits.
type commits struct {
	turns[messaging.ChatID]
	moving sync.Mutex                         // guards moved
	moved  map[messaging.ChatID]chan struct{} // closed when the chat gets a new epoch or head
	open   map[messaging.ChatID]bool          // chats whose last commit of ours is not confirmed by all
}

func (c *commits) unconfirmed(chat messaging.ChatID) bool {
	c.moving.Lock()
	defer c.moving.Unlock()
	return c.open[chat]
}

func (c *commits) setUnconfirmed(chat messaging.ChatID) {
	c.moving.Lock()
	defer c.moving.Unlock()
	if c.open == nil {
		c.open = map[messaging.ChatID]bool{}
	}
	c.open[chat] = true
}

// closeUnconfirmed notes that all have our last commit, unless there is another one since: who makes it waits for moving to say so.
func (d *Device) closeUnconfirmed(ctx context.Context, chat messaging.ChatID) {
	d.commits.moving.Lock()
	defer d.commits.moving.Unlock()
	d.s.view(ctx, func(t *tx) error { // if it fails, the chat stays open, which costs no more than a look per message
		c, err := t.getCommit("last", chat)
		if c == nil && err == nil {
			delete(d.commits.open, chat)
		}
		return err
	})
}

// watch returns a channel that is closed at the chat's next change.
func (c *commits) watch(chat messaging.ChatID) <-chan struct{} {
	c.moving.Lock()
	defer c.moving.Unlock()
	if c.moved == nil {
		c.moved = map[messaging.ChatID]chan struct{}{}
	}
	if c.moved[chat] == nil {
		c.moved[chat] = make(chan struct{})
	}
	return c.moved[chat]
}

func (c *commits) changed(chat messaging.ChatID) {
	c.moving.Lock()
	defer c.moving.Unlock()
	if w := c.moved[chat]; w != nil {
		close(w)
		delete(c.moved, chat)
	}
}

// Bounds of a commit's life.
const (
	commitTries  = 8
	conflictWait = 10 * time.Second // for the winner to come
)

// errConflict means that another commit came first.
var errConflict = errors.New("device: another member changed the chat at the same time")

// change commits a change of the chat, and returns when it is in effect.
func (d *Device) change(ctx context.Context, chat messaging.ChatID, ch change) error {
	if err := d.commits.take(ctx, chat); err != nil {
		return err
	}
	done := make(chan error, 1)
	if !d.line.spawn(func(run context.Context) {
		defer d.commits.give(chat)
		done <- d.commit(run, chat, ch)
	}) {
		d.commits.give(chat)
		return ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Device) commit(ctx context.Context, chat messaging.ChatID, ch change) error {
	if err := d.resume(ctx, chat); err != nil { // one that is still under way from before
		return err
	}
	var err error
	for range commitTries {
		if err = d.prepare(ctx, chat, ch); err != nil {
			break
		}
		if err = d.submit(ctx, chat); !errors.Is(err, errConflict) {
			break
		}
	}
	if err != nil && ctx.Err() == nil {
		err = errors.Join(err, d.abandon(ctx, chat))
	}
	return err
}

// prepare makes the commit and keeps it.
func (d *Device) prepare(ctx context.Context, chat messaging.ChatID, ch change) error {
	return d.s.update(ctx, func(t *tx) error {
		state, err := t.chatState(chat)
		if err != nil {
			return err
		}
		if state != chatCreating {
			if err := t.mustBeMember(chat); err != nil {
				return err
			}
		}
		c, err := d.makeCommit(t, chat, ch)
		if err != nil {
			return err
		}
		if err := t.putCommit("pending", chat, c); err != nil {
			return err
		}
		var id [16]byte
		rand.Read(id[:]) // never fails (crypto/rand)
		return t.exec(`UPDATE chat SET commit_id = ? WHERE id = ?`, id[:], chat[:])
	})
}

// makeCommit stages a commit in the chat's group.
func (d *Device) makeCommit(t *tx, chat messaging.ChatID, ch change) (*commit, error) {
	h, err := t.group(d, chat)
	if err != nil {
		return nil, err
	}
	c := &commit{Epoch: h.info.Epoch, Run: d.run.Load()}
	for _, m := range h.info.Members {
		if m.Device != d.id {
			c.To = append(c.To, m.Device)
		}
	}
	if len(h.info.Members)+len(ch.add)-len(ch.remove) > MaxMembers {
		return nil, fmt.Errorf("device: a chat has at most %d devices", MaxMembers)
	}
	// Who only adds spares everybody a path of new keys, which with post-quantum suites is long.
	o := mls.CommitOptions{Path: len(ch.add) == 0 || len(ch.remove) > 0}
	leaves := h.group.Members() // in the order of info.Members
	for _, device := range ch.remove {
		i := slices.IndexFunc(h.info.Members, func(m messaging.Member) bool { return m.Device == device })
		switch {
		case device == d.id:
			return nil, errors.New("device: a device cannot remove itself")
		case i < 0:
			return nil, fmt.Errorf("%w: member", ErrNotFound)
		}
		o.Proposals = append(o.Proposals, &mls.Remove{Removed: leaves[i].Index})
	}
	for _, k := range ch.add {
		m, err := memberOf(k.Leaf.Credential, k.Leaf.SignatureKey)
		if err != nil {
			return nil, err
		}
		o.Proposals = append(o.Proposals, &mls.Add{KeyPackage: *k})
		c.WelcomeTo = append(c.WelcomeTo, m.Device)
	}
	p, err := h.group.Commit(rows{t, chat}, o)
	if err != nil {
		return nil, err
	}
	c.Message, c.Welcome = p.Message(), p.Welcome()
	if n := len(c.Message) + len(c.Welcome); n > wire.MaxHandshake {
		return nil, fmt.Errorf("device: a commit of %d octets with its welcome, limit %d: add fewer devices at once", n, wire.MaxHandshake)
	}
	return c, nil
}

// discard forgets the chat's pending commit.
func (d *Device) discard(t *tx, chat messaging.ChatID) error {
	h, err := t.group(d, chat)
	if err != nil {
		return err
	}
	p, err := h.group.Pending(rows{t, chat})
	if err != nil {
		return err
	}
	if p != nil {
		if err := h.group.Discard(rows{t, chat}, p); err != nil {
			return err
		}
	}
	return t.exec(`UPDATE chat SET commit_id = NULL, pending = NULL WHERE id = ?`, chat[:])
}

// confirmPending begins the epoch of the pending commit.
func (d *Device) confirmPending(t *tx, chat messaging.ChatID) error {
	h, err := t.group(d, chat)
	if err != nil {
		return err
	}
	c, err := t.getCommit("pending", chat)
	if err != nil {
		return err
	}
	p, err := h.group.Pending(rows{t, chat})
	if err != nil {
		return err
	}
	if p == nil || c == nil {
		return errors.New("device: no commit is pending")
	}
	next, err := h.group.Confirm(rows{t, chat}, p)
	if err != nil {
		return err
	}
	if err := t.began(chat, next); err != nil {
		return err
	}
	members := t.s.groups[chat].info.Members
	c.To = slices.DeleteFunc(c.To, func(d messaging.DeviceID) bool { return !isMember(members, d) }) // who was removed never shows anything
	if err := t.healed(chat, c.Run); err != nil {
		return err
	}
	if len(c.To)+len(c.WelcomeTo) == 0 {
		c = nil
	}
	return t.putCommit("last", chat, c)
}

func isMember(all []messaging.Member, device messaging.DeviceID) bool {
	return slices.ContainsFunc(all, func(m messaging.Member) bool { return m.Device == device })
}

// confirmed notes that a device sealed something in an epoch, and so has the commits before it. It reports whether all have shown that
// they have the last one.
func (t *tx) confirmed(chat messaging.ChatID, device messaging.DeviceID, epoch uint64) (all bool, err error) {
	last, err := t.getCommit("last", chat)
	if err != nil || last == nil {
		return err == nil, err
	}
	if epoch <= last.Epoch {
		return false, nil
	}
	is := func(d messaging.DeviceID) bool { return d == device }
	before := len(last.To) + len(last.WelcomeTo)
	last.To, last.WelcomeTo = slices.DeleteFunc(last.To, is), slices.DeleteFunc(last.WelcomeTo, is)
	switch len(last.To) + len(last.WelcomeTo) {
	case before:
		return false, nil
	case 0:
		return true, t.putCommit("last", chat, nil)
	}
	return false, t.putCommit("last", chat, last)
}

// submit sends the chat's pending commit until the relay has answered, and acts on the answer.
func (d *Device) submit(ctx context.Context, chat messaging.ChatID) error {
	pause := retryFirst
	for {
		moved := d.commits.watch(chat)
		var c *commit
		var id []byte
		var head int64
		err := d.s.view(ctx, func(t *tx) (err error) {
			if _, err = t.row(`SELECT commit_id, head FROM chat WHERE id = ?`, []any{chat[:]}, &id, &head); err == nil {
				c, err = t.getCommit("pending", chat)
			}
			return err
		})
		if err != nil {
			return err
		}
		if c == nil || id == nil {
			return errConflict // another one was applied meanwhile
		}
		f := &wire.Commit{ID: [16]byte(id), Group: chat, Prev: uint64(head), Body: c.Message, To: c.To, WelcomeTo: c.WelcomeTo, Welcome: c.Welcome}
		reply, err := d.line.request(ctx, func(req uint64) wire.Frame { f.Req = req; return f })
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue // the line broke: the same frame again over the next one
		}
		switch reply := reply.(type) {
		case *wire.Accepted:
			return d.merge(ctx, chat, reply.Head)
		case *wire.Conflict:
			if err := d.conflict(ctx, chat, uint64(head), reply.Head, moved); err != nil {
				return err
			}
			return errConflict
		case *wire.Failure:
			if !again(reply.Code) {
				return fmt.Errorf("device: commit: %w", reply)
			}
		default:
			return fmt.Errorf("device: commit: unexpected answer %s", reply.Type())
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, retryMost)
	}
}

// merge begins the epoch of the commit that the relay accepted.
func (d *Device) merge(ctx context.Context, chat messaging.ChatID, head uint64) error {
	r := &outcome{}
	d.taking.Lock()
	defer d.taking.Unlock()
	err := d.s.update(ctx, func(t *tx) error {
		*r = outcome{}
		before, err := d.session(t, chat).Members()
		if err != nil {
			return err
		}
		if err := d.confirmPending(t, chat); err != nil {
			return err
		}
		gone, err := d.gone(t, chat, before)
		if err != nil {
			return err
		}
		r.events = append([]outbox.Event(nil), gone...)
		r.commits++
		r.changed = append(r.changed, chat)
		if err := d.activate(t, chat, head); err != nil {
			return err
		}
		return d.drainEarly(t, r, chat)
	})
	if err == nil {
		d.commits.setUnconfirmed(chat)
		d.settle(ctx, r)
		d.handOver(r)
	}
	return err
}

// conflict forgets the commit that lost, and waits for the one that won. When this device has it already, or the relay's log is
// behind, the head was just not known here.
func (d *Device) conflict(ctx context.Context, chat messaging.ChatID, ours, theirs uint64, moved <-chan struct{}) error {
	err := d.s.update(ctx, func(t *tx) error {
		if theirs < ours {
			if err := t.exec(`UPDATE chat SET head = ? WHERE id = ?`, int64(theirs), chat[:]); err != nil {
				return err
			}
		}
		return d.discard(t, chat)
	})
	if err != nil || theirs <= ours {
		return err
	}
	deadline := time.NewTimer(conflictWait)
	defer deadline.Stop()
	for {
		var head int64
		err := d.s.view(ctx, func(t *tx) error {
			_, err := t.row(`SELECT head FROM chat WHERE id = ?`, []any{chat[:]}, &head)
			return err
		})
		if err != nil || uint64(head) >= theirs {
			return err
		}
		select {
		case <-moved:
			moved = d.commits.watch(chat)
		case <-deadline.C:
			return fmt.Errorf("%w, and its commit did not come", errConflict)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// abandon gives up a commit that the relay refused for good, and with it a chat that has no other.
func (d *Device) abandon(ctx context.Context, chat messaging.ChatID) error {
	return d.s.update(ctx, func(t *tx) error {
		state, err := t.chatState(chat)
		if err != nil {
			return err
		}
		if state != chatCreating {
			return d.discard(t, chat)
		}
		h, err := t.group(d, chat)
		if err != nil {
			return err
		}
		delete(t.s.groups, chat)
		return errors.Join(h.group.Forget(rows{t, chat}), t.exec(`DELETE FROM chat WHERE id = ?`, chat[:]))
	})
}

// resume follows up a commit that an earlier run of this device left behind.
func (d *Device) resume(ctx context.Context, chat messaging.ChatID) error {
	var id []byte
	err := d.s.view(ctx, func(t *tx) error {
		_, err := t.row(`SELECT commit_id FROM chat WHERE id = ?`, []any{chat[:]}, &id)
		return err
	})
	if err != nil || id == nil {
		return err
	}
	err = d.submit(ctx, chat)
	if errors.Is(err, errConflict) {
		return nil
	}
	if err != nil && ctx.Err() == nil { // refused for good, long after anybody asked for it
		err = d.abandon(ctx, chat)
	}
	return err
}

// resumeAll follows up the commits that an earlier run left.
func (d *Device) resumeAll(ctx context.Context) error {
	pending, err := d.chatsBy(ctx, `SELECT id FROM chat WHERE commit_id IS NOT NULL`)
	if err != nil {
		return err
	}
	for _, chat := range pending {
		if err := d.commits.take(ctx, chat); err != nil {
			return nil
		}
		if !d.line.spawn(func(run context.Context) {
			defer d.commits.give(chat)
			if err := d.resume(run, chat); err != nil {
				d.trace("commit not followed up", "")
			}
		}) {
			d.commits.give(chat)
		}
	}
	return nil
}

// loadUnconfirmed finds the commits that somebody may still lack.
func (d *Device) loadUnconfirmed(ctx context.Context) error {
	return d.s.view(ctx, func(t *tx) error {
		return t.rows(`SELECT id FROM chat WHERE last IS NOT NULL`, nil, func(scan func(...any) error) error {
			var chat []byte
			err := scan(&chat)
			d.commits.setUnconfirmed(messaging.ChatID(chat))
			return err
		})
	})
}

// deliverAgain hands commits that somebody may lack to a relay that lost its store: what it had accepted, it had not delivered to all.
func (d *Device) deliverAgain() {
	d.commits.moving.Lock()
	chats := slices.Collect(maps.Keys(d.commits.open))
	d.commits.moving.Unlock()
	for _, chat := range chats {
		d.line.spawn(func(ctx context.Context) {
			if d.commits.take(ctx, chat) != nil {
				return
			}
			defer d.commits.give(chat)
			if err := d.deliverCommit(ctx, chat); err != nil && ctx.Err() == nil {
				d.trace("commit not delivered again", "")
			}
		})
	}
}

func (d *Device) deliverCommit(ctx context.Context, chat messaging.ChatID) error {
	f := &wire.Commit{Group: chat}
	rand.Read(f.ID[:]) // never fails (crypto/rand)
	for pause := retryFirst; ; pause = min(2*pause, retryMost) {
		var c *commit
		var head int64
		err := d.s.view(ctx, func(t *tx) (err error) {
			if _, err = t.row(`SELECT head FROM chat WHERE id = ?`, []any{chat[:]}, &head); err == nil {
				c, err = t.getCommit("last", chat)
			}
			return err
		})
		if err != nil || c == nil {
			return err
		}
		f.Prev, f.Body, f.To = uint64(head), c.Message, c.To
		if f.WelcomeTo = c.WelcomeTo; len(c.WelcomeTo) > 0 {
			f.Welcome = c.Welcome
		} else {
			f.Welcome = nil
		}
		reply, err := d.line.request(ctx, func(req uint64) wire.Frame { f.Req = req; return f })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			continue
		}
		switch r := reply.(type) {
		case *wire.Accepted:
			return d.setHead(ctx, chat, r.Head)
		case *wire.Conflict: // it builds on nothing: any place in the log will do
			if err := d.setHead(ctx, chat, r.Head); err != nil {
				return err
			}
			continue
		case *wire.Failure:
			if !again(r.Code) && r.Code != wire.CodeUnknownDevice { // who is unknown will come and register again
				return r
			}
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func (d *Device) setHead(ctx context.Context, chat messaging.ChatID, head uint64) error {
	return d.s.update(ctx, func(t *tx) error { return t.exec(`UPDATE chat SET head = ? WHERE id = ?`, int64(head), chat[:]) })
}

// clearEmpty forgets chats whose first commit was never made. It runs before anything else can make a chat.
func (d *Device) clearEmpty(ctx context.Context) error {
	empty, err := d.chatsBy(ctx, `SELECT id FROM chat WHERE commit_id IS NULL AND state = 1`)
	for _, chat := range empty {
		if err == nil {
			err = d.abandon(ctx, chat)
		}
	}
	return err
}

func (d *Device) chatsBy(ctx context.Context, query string) (ids []messaging.ChatID, err error) {
	err = d.s.view(ctx, func(t *tx) error {
		return t.rows(query, nil, func(scan func(...any) error) error {
			var id []byte
			err := scan(&id)
			ids = append(ids, messaging.ChatID(id))
			return err
		})
	})
	return ids, err
}

// again reports whether a refusal is for now only.
func again(c wire.Code) bool {
	switch c {
	case wire.CodeRate, wire.CodeFull, wire.CodeUnavailable, wire.CodeDraining, wire.CodeOrder:
		return true
	}
	return false
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
