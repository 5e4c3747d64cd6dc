package device

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/device/outbox"
	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/wire"
)

// batchMost bounds the deliveries in one transaction.
const batchMost = 128

// Bounds of what waits for a commit or a welcome that has not come yet.
const (
	earlyPerChat = 64
	earlyInAll   = 1024
)

// cursors is how far the mailbox was read, per class of message.
type cursors struct {
	Durable wire.Cursor `cbor:"1,keyasint"`
	Memory  wire.Cursor `cbor:"2,keyasint"`
}

func (c *cursors) of(class wire.Class) *wire.Cursor {
	if class == wire.Memory {
		return &c.Memory
	}
	return &c.Durable
}

// outcome is what a batch did, to be acted on once it is durable; due and receipts before.
type outcome struct {
	cursors cursors
	acks    map[wire.Class]bool
	durable func() error // waits

	due       []dueIn
	receipts  []messageName  // to be given
	events    []outbox.Event // receipts that were got, members that left
	joined    []messaging.ChatID
	changed   []messaging.ChatID // that got a new epoch
	confirmed []messaging.ChatID // whose last commit of ours all have
	expires   time.Time
	copied    bool // a chat was found to be a copy's

	received, duplicates, bad, expired, early, commits uint64
}

type dueIn struct {
	chat messaging.ChatID
	due
}

type messageName struct {
	chat messaging.ChatID
	id   messaging.MessageID
}

// takenMost bounds the batches that were taken in and are not durable yet.
const takenMost = 16

// receive takes deliveries in until ctx ends: a batch is one piece of a transaction, with the keys it used up, the messages, and the
// cursor. The handler gets its messages before that is durable, so that what it writes shares the fsync: a crash undoes both, and the
// relay delivers again what it has no ack for. The ack waits for the disk.
func (d *Device) receive(ctx context.Context, l *session) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	taken := make(chan *outcome, takenMost)
	var settling sync.WaitGroup
	settling.Go(func() {
		for r := range taken {
			if err := r.durable(); err != nil {
				fail(err)
				continue
			}
			for _, class := range []wire.Class{wire.Durable, wire.Memory} {
				if r.acks[class] {
					l.post(&wire.Ack{Class: class, Cursor: *r.cursors.of(class)})
				}
			}
			if len(r.joined) > 0 {
				d.line.spawn(func(ctx context.Context) { d.restock(ctx, l) })
			}
			d.settle(ctx, r)
		}
	})
	err := d.takeIn(ctx, l, taken)
	close(taken)
	settling.Wait()
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

func (d *Device) takeIn(ctx context.Context, l *session, taken chan<- *outcome) error {
	for {
		var batch []*wire.Deliver
		select {
		case <-ctx.Done():
			return nil
		case dv := <-l.deliveries:
			batch = append(batch, dv)
		}
	more:
		for len(batch) < batchMost {
			select {
			case dv := <-l.deliveries:
				batch = append(batch, dv)
			default:
				break more
			}
		}
		r, err := d.take(ctx, batch)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		taken <- r
	}
}

// take takes one batch in and hands it over.
func (d *Device) take(ctx context.Context, batch []*wire.Deliver) (r *outcome, err error) {
	d.taking.Lock()
	defer d.taking.Unlock()
	durable, err := d.inbox.ahead(ctx, func(t *tx) (err error) {
		r, err = d.apply(t, batch)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.durable = durable
	if len(r.changed)+len(r.joined) > 0 || !d.inbox.warm(len(r.due)) { // the handler will look at the chat, or the inbox for the message
		if err := durable(); err != nil {
			return nil, err
		}
	}
	d.handOver(r)
	return r, nil
}

// handOver gives the handler its messages and notes the receipts to be given: a receipt leaves the device with an update of its own,
// which is never durable without what ran before it. d.taking is locked.
func (d *Device) handOver(r *outcome) {
	for _, n := range r.receipts {
		d.receipts.add(n.chat, n.id)
	}
	for _, x := range r.due {
		d.inbox.add(x.chat, x.due)
	}
}

// settle does the rest of what a batch asks for, once it is durable.
func (d *Device) settle(ctx context.Context, r *outcome) {
	d.stats.received.Add(r.received)
	d.stats.duplicates.Add(r.duplicates)
	d.stats.bad.Add(r.bad)
	d.stats.expired.Add(r.expired)
	d.stats.early.Add(r.early)
	d.stats.commits.Add(r.commits)
	if r.bad > 0 {
		d.trace("message thrown away", "")
	}
	d.expiry.soon(r.expires)
	if len(r.events) > 0 {
		d.out.step(r.events...)
	}
	for _, chat := range r.changed {
		d.commits.changed(chat)
	}
	for _, chat := range r.confirmed {
		d.closeUnconfirmed(ctx, chat)
	}
	if r.copied || len(r.changed) > 0 && d.copies.any.Load() {
		if err := d.copies.load(ctx, d); err == nil { // else the next connection does it
			d.heal()
			if d.line.online() { // what was held goes out now, not when its time is up
				d.out.step(outbox.Disconnected{}, outbox.Connected{})
			}
		}
	}
	for _, chat := range r.joined {
		d.trace("joined a chat", "")
		if d.onJoin != nil { // apart, so that it may wait for the relay
			d.line.spawn(func(ctx context.Context) {
				if c, err := d.Chat(ctx, chat); err == nil {
					d.onJoin(ctx, c)
				}
			})
		}
	}
}

// apply takes a batch in. It fails only when the store does: a bad message is counted and forgotten, and stops nothing else.
func (d *Device) apply(t *tx, batch []*wire.Deliver) (*outcome, error) {
	r := &outcome{cursors: d.cursors, acks: map[wire.Class]bool{}}
	for _, dv := range batch {
		r.acks[dv.Class] = true
		at := r.cursors.of(dv.Class)
		if at.Incarnation == dv.Cursor.Incarnation && dv.Cursor.Seq <= at.Seq {
			r.duplicates++
			continue
		}
		if err := d.applyOne(t, r, dv.Kind, dv.Group, dv.Head, incoming{dv.Body, dv.At, dv.Expires}); err != nil {
			return nil, err
		}
		*at = dv.Cursor
	}
	if err := t.putMeta("cursors", r.cursors); err != nil {
		return nil, err
	}
	d.cursors = r.cursors // should this be undone, the store has failed, and the device stops
	return r, nil
}

// incoming is a body with the relay's times, in Unix milliseconds.
type incoming struct {
	Body    []byte `cbor:"1,keyasint"`
	At      int64  `cbor:"2,keyasint"`
	Expires int64  `cbor:"3,keyasint"`
}

// applyOne takes one delivery in.
func (d *Device) applyOne(t *tx, r *outcome, kind wire.Kind, chat messaging.ChatID, head uint64, in incoming) error {
	var err error
	switch kind {
	case wire.KindMessage:
		if d.now().UnixMilli() >= in.Expires { // judged here, too: the relay may be late
			r.expired++
			return nil
		}
		var env envelope
		if env, err = parseEnvelope(in.Body); err == nil {
			chat, err = env.chat, d.applyMessage(t, r, env, in)
		}
	case wire.KindCommit, wire.KindWelcome:
		err = d.applyHandshake(t, r, kind, chat, head, in)
	default:
		err = errors.New("device: unknown kind of delivery")
	}
	switch {
	case t.failed != nil:
		return t.failed
	case err == nil:
	case errors.Is(err, errEarly), errors.Is(err, errNoGroup):
		return d.keepEarly(t, r, kind, chat, head, in)
	case errors.Is(err, messaging.ErrReplay), errors.Is(err, errKnown):
		r.duplicates++
	case errors.Is(err, mls.ErrRolledBack):
		r.bad++
		return d.foundCopy(t, r, chat)
	default:
		r.bad++
	}
	return nil
}

// errKnown is the answer to what was here before.
var errKnown = errors.New("device: known already")

// applyMessage opens an application message.
func (d *Device) applyMessage(t *tx, r *outcome, env envelope, in incoming) error {
	if env.kind != mls.ContentApplication {
		return errors.New("device: want an application message")
	}
	chat := env.chat
	sum := sha256.Sum256(in.Body)
	hash := sum[:16]
	o, err := d.session(t, chat).Open(in.Body)
	if err != nil && t.failed == nil { // that its key is used up may mean that it was here before, and that the receipt got lost
		var known []byte
		if found, e := t.row(`SELECT id FROM message INDEXED BY message_hash WHERE hash = ? AND chat = ?`, []any{hash, chat[:]}, &known); e != nil {
			return e
		} else if found {
			r.receipts = append(r.receipts, messageName{chat, messaging.MessageID(known)})
			return errKnown
		}
	}
	if err != nil {
		return err
	}
	if err := d.confirm(t, r, chat, o.Sender.Device, o.Epoch); err != nil {
		return err
	}
	// From here on the key is used up, whatever the content is worth.
	return d.applyContent(t, r, chat, o, hash, in)
}

// confirm notes that a device has our last commit, since it sealed something after it.
func (d *Device) confirm(t *tx, r *outcome, chat messaging.ChatID, device messaging.DeviceID, epoch uint64) error {
	if !d.commits.unconfirmed(chat) {
		return nil
	}
	all, err := t.confirmed(chat, device, epoch)
	if all {
		r.confirmed = append(r.confirmed, chat)
	}
	return err
}

// applyContent takes in what a message says. hash is that of its ciphertext.
func (d *Device) applyContent(t *tx, r *outcome, chat messaging.ChatID, o messaging.Opened, hash []byte, in incoming) error {
	m, err := content.Decode(o.Plaintext)
	if err != nil {
		return err
	}
	if err := m.CheckOrigin(o.Sender.Device, chat); err != nil {
		return err
	}
	got, err := m.IDs(extensionReceipts, receiptMost)
	if err != nil {
		return err
	}
	if mediaType, body := m.First(); mediaType == content.TypeStatus {
		p, err := content.DecodeReport(body)
		if err != nil {
			return err
		}
		for _, s := range p.Statuses {
			if s.Status == content.Delivered || s.Status == content.Read {
				got = append(got, s.ID)
			}
		}
		return d.got(t, r, chat, o.Sender.Device, got)
	}
	if err := d.got(t, r, chat, o.Sender.Device, got); err != nil {
		return err
	}
	now, id := d.now(), content.ID(o.Sender.Device, chat, o.Plaintext, m.Salt)
	var expires time.Time
	if !m.Expires.IsZero() && !m.Expires.Relative {
		expires = m.Expires.At(now)
		if !now.Before(expires) {
			r.expired++
			return nil
		}
	}
	state := stateDue
	if d.handler == nil {
		state = stateDone
		if m.Expires.Relative {
			expires = m.Expires.At(now)
		}
	}
	at := time.UnixMilli(in.At)
	row := message{Sender: o.Sender.Device, Name: o.Sender.Name, Epoch: o.Epoch, Content: o.Plaintext}
	n, err := t.putMessage(chat, id, state, at, expires, hash, row)
	if err != nil {
		return err
	}
	r.receipts = append(r.receipts, messageName{chat, id})
	if n == 0 { // sealed a second time: by its sender, who missed our receipt, or by an insider who replays it (RFC 9750 §8.6)
		return errors.Join(errKnown, t.exec(`UPDATE message SET hash = ? WHERE chat = ? AND id = ?`, hash, chat[:], id[:]))
	}
	r.received++
	if !expires.IsZero() && (r.expires.IsZero() || expires.Before(r.expires)) {
		r.expires = expires
	}
	if state == stateDue {
		p := &Message{Chat: chat, ID: id, Sender: o.Sender, SentAt: at, Epoch: o.Epoch, Content: m}
		r.due = append(r.due, dueIn{chat, due{n: n, expires: expires, m: p}})
	}
	return nil
}

// got takes receipts in.
func (d *Device) got(t *tx, r *outcome, chat messaging.ChatID, from messaging.DeviceID, ids []messaging.MessageID) error {
	for _, id := range ids {
		if err := t.received(chat, id, from); err != nil {
			return err
		}
		r.events = append(r.events, outbox.Receipt{Chat: chat, Message: id, From: from})
	}
	return nil
}

// applyHandshake applies a commit or joins by a welcome, and then takes in what came too early.
func (d *Device) applyHandshake(t *tx, r *outcome, kind wire.Kind, chat messaging.ChatID, head uint64, in incoming) error {
	if err := t.exec(`SAVEPOINT handshake`); err != nil {
		return err
	}
	var err error
	if kind == wire.KindWelcome {
		err = d.applyWelcome(t, r, chat, in.Body)
	} else {
		err = d.applyCommit(t, r, chat, in.Body)
	}
	if t.failed != nil {
		return t.failed
	}
	if err != nil {
		delete(t.s.groups, chat) // it may have been used
		if e := t.exec(`ROLLBACK TO handshake`); e != nil {
			return e
		}
	}
	if e := t.exec(`RELEASE handshake`); e != nil {
		return e
	}
	r.changed = append(r.changed, chat)
	// The relay's log has moved on even if the commit is worth nothing: the next one builds on this head.
	if e := t.exec(`UPDATE chat SET head = max(head, ?) WHERE id = ?`, int64(head), chat[:]); e != nil {
		return e
	}
	if err != nil {
		return err
	}
	return d.drainEarly(t, r, chat)
}

func (d *Device) applyWelcome(t *tx, r *outcome, chat messaging.ChatID, welcome []byte) error {
	state, err := t.chatState(chat)
	if err != nil {
		return err
	}
	if state == chatActive || state == chatCreating {
		return errKnown
	}
	if err := d.join(t, chat, welcome); err != nil {
		return err
	}
	if err := d.activate(t, chat, 0); err != nil {
		return err
	}
	r.commits++
	r.joined = append(r.joined, chat)
	return nil
}

// join enters the group that a Welcome invites to (RFC 9420 §12.4.3.1). The Welcome must be for chat.
func (d *Device) join(t *tx, chat messaging.ChatID, welcome []byte) error {
	m, err := mls.ParseMLSMessage(welcome)
	if err != nil {
		return err
	}
	if m.Welcome == nil {
		return errors.New("device: want a Welcome")
	}
	j, err := d.mls.Join(rows{t, chat}, m.Welcome, mls.JoinOptions{})
	if err != nil {
		return err
	}
	switch {
	case string(j.GroupID()) != string(chat[:]):
		return errors.New("device: the Welcome is for another chat than the relay says")
	case len(j.Extensions()) > 0:
		return errors.New("device: group with extensions")
	case d.c.RequirePostQuantum && !j.Suite().PostQuantum():
		return errClassical
	}
	g, err := j.Accept(rows{t, chat})
	if err != nil {
		return err
	}
	if err := t.exec(`DELETE FROM keypackage WHERE ref = ? AND last = 0`, j.KeyPackageRef()); err != nil {
		return err
	}
	if err := t.exec(`INSERT INTO chat (id, state, head) VALUES (?, ?, 0) ON CONFLICT (id) DO NOTHING`, chat[:], chatNone); err != nil {
		return err
	}
	return t.began(chat, g)
}

func (d *Device) applyCommit(t *tx, r *outcome, chat messaging.ChatID, message []byte) error {
	env, err := parseEnvelope(message)
	if err != nil {
		return err
	}
	if env.chat != chat || env.kind != mls.ContentCommit { // proposals without a commit are not in use here
		return errors.New("device: want a commit of this chat")
	}
	h, err := t.group(d, chat)
	if err != nil {
		return err
	}
	if env.epoch < h.info.Epoch {
		return errKnown
	}
	before := h.info.Members
	ev, err := h.group.Process(rows{t, chat}, message)
	if err != nil {
		return seen(err)
	}
	removed := false
	switch ev := ev.(type) {
	case *mls.OwnCommit: // the relay had it before it lost its answer
		err = d.confirmPending(t, chat)
	case *mls.StagedCommit:
		var next *mls.Group
		if next, err = h.group.Merge(rows{t, chat}, ev); err == nil {
			removed = next == nil
			err = t.began(chat, next)
		}
	default:
		err = errors.New("device: want a commit")
	}
	if err != nil {
		return err
	}
	r.commits++
	if removed {
		for _, m := range before {
			r.events = append(r.events, outbox.Left{Chat: chat, Device: m.Device})
		}
		if err := t.exec(`DELETE FROM outbox WHERE chat = ?`, chat[:]); err != nil {
			return err
		}
		return t.exec(`UPDATE chat SET state = ?, peer = NULL, commit_id = NULL, pending = NULL, last = NULL, expire = NULL WHERE id = ?`, chatLeft, chat[:])
	}
	gone, err := d.gone(t, chat, before)
	r.events = append(r.events, gone...)
	return errors.Join(err, d.activate(t, chat, 0))
}

// gone takes those who are no members any more out of the outbox.
func (d *Device) gone(t *tx, chat messaging.ChatID, before []messaging.Member) (events []outbox.Event, err error) {
	now, err := d.session(t, chat).Members()
	if err != nil {
		return nil, err
	}
	still := map[messaging.DeviceID]bool{}
	for _, m := range now {
		still[m.Device] = true
	}
	for _, m := range before {
		if still[m.Device] {
			continue
		}
		events = append(events, outbox.Left{Chat: chat, Device: m.Device})
		var ids []messaging.MessageID
		err := t.rows(`SELECT id FROM outbox WHERE chat = ?`, []any{chat[:]}, func(scan func(...any) error) error {
			var id []byte
			err := scan(&id)
			ids = append(ids, messaging.MessageID(id))
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if err := t.received(chat, id, m.Device); err != nil {
				return nil, err
			}
		}
	}
	return events, nil
}

// early is a delivery that waits for the commit or welcome before it.
type early struct {
	Kind wire.Kind `cbor:"1,keyasint"`
	Head uint64    `cbor:"2,keyasint"`
	In   incoming  `cbor:"3,keyasint"`
}

// keepEarly keeps a delivery that came too early, if there is room. Else it is dropped, and its sender sends it again.
func (d *Device) keepEarly(t *tx, r *outcome, kind wire.Kind, chat messaging.ChatID, head uint64, in incoming) error {
	var here, all int
	if _, err := t.row(`SELECT count(*), (SELECT count(*) FROM early) FROM early WHERE chat = ?`, []any{chat[:]}, &here, &all); err != nil {
		return err
	}
	if state, err := t.chatState(chat); err != nil {
		return err
	} else if state == chatLeft || here >= earlyPerChat || all >= earlyInAll {
		r.bad++
		return nil
	}
	v, err := t.sealed("early", chat[:], early{kind, head, in})
	if err != nil {
		return err
	}
	r.early++
	if err := d.movedOn(t, r, chat); err != nil {
		return err
	}
	return t.exec(`INSERT INTO early (chat, at, v) VALUES (?, ?, ?)`, chat[:], d.now().UnixMilli(), v)
}

// drainEarly takes in what waited for the chat's new epoch. What is still too early waits again.
func (d *Device) drainEarly(t *tx, r *outcome, chat messaging.ChatID) error {
	var all []early
	err := t.rows(`SELECT v FROM early WHERE chat = ? ORDER BY n`, []any{chat[:]}, func(scan func(...any) error) error {
		var v []byte
		if err := scan(&v); err != nil {
			return err
		}
		var e early
		err := t.unsealed("early", chat[:], v, &e)
		all = append(all, e)
		return err
	})
	if err != nil || len(all) == 0 {
		return err
	}
	if err := t.exec(`DELETE FROM early WHERE chat = ?`, chat[:]); err != nil {
		return err
	}
	for _, e := range all {
		if err := d.applyOne(t, r, e.Kind, chat, e.Head, e.In); err != nil {
			return err
		}
	}
	return nil
}
