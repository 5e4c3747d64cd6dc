package device

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/mls"
)

// States of a chat's row.
const (
	chatNone     = 0
	chatCreating = 1 // its first commit is not accepted yet
	chatActive   = 2
	chatLeft     = 3 // this device was removed; history stays until it expires
)

func (t *tx) chatState(chat messaging.ChatID) (state int, err error) {
	_, err = t.row(`SELECT state FROM chat WHERE id = ?`, []any{chat[:]}, &state)
	return state, err
}

// mustBeMember refuses chats that nothing can be sent to.
func (t *tx) mustBeMember(chat messaging.ChatID) error {
	state, err := t.chatState(chat)
	switch {
	case err != nil:
		return err
	case state == chatActive:
		return nil
	case state == chatLeft:
		return ErrLeft
	}
	return fmt.Errorf("%w: chat", ErrNotFound)
}

// errClassical refuses chats that a device with Config.RequirePostQuantum does not take.
var errClassical = fmt.Errorf("%w: the chat's is classical, and this device requires post-quantum", ErrNoSuite)

// maySeal refuses chats that nothing can be sent to now.
func (d *Device) maySeal(t *tx, chat messaging.ChatID) error {
	if err := t.mustBeMember(chat); err != nil {
		return err
	}
	h, err := t.group(d, chat)
	switch {
	case err != nil:
		return err
	case d.c.RequirePostQuantum && !h.info.Suite.PostQuantum():
		return errClassical
	case !d.copies.any.Load():
		return nil
	}
	var held bool
	if _, err := t.row(`SELECT coalesce(copied > coalesce(healed, 0), 0) FROM chat WHERE id = ?`, []any{chat[:]}, &held); err != nil {
		return err
	}
	if held {
		return ErrCopy
	}
	return nil
}

// activate writes the chat's row after its group got a new epoch. head 0 leaves the head as it is.
func (d *Device) activate(t *tx, chat messaging.ChatID, head uint64) error {
	members, err := d.session(t, chat).Members()
	if err != nil {
		return err
	}
	var peer any
	if p, ok := d.peer(members); ok {
		peer = d.s.name([]byte("peer"), p.Device[:])
	}
	return t.exec(`UPDATE chat SET state = ?, head = max(head, ?), peer = ?, expire = ?, commit_id = NULL, pending = NULL WHERE id = ?`,
		chatActive, int64(head), peer, d.now().Add(keepEpoch).UnixMilli(), chat[:])
}

// peer returns the other member of a chat of two.
func (d *Device) peer(members []messaging.Member) (messaging.Member, bool) {
	if len(members) != 2 {
		return messaging.Member{}, false
	}
	if members[0].Device == d.id {
		return members[1], true
	}
	return members[0], true
}

// Chats lists the chats that this device is a member of.
func (d *Device) Chats(ctx context.Context) ([]Chat, error) {
	var all []Chat
	err := d.s.view(ctx, func(t *tx) error {
		var ids []messaging.ChatID
		err := t.rows(`SELECT id FROM chat WHERE state = ? ORDER BY id`, []any{chatActive}, func(scan func(...any) error) error {
			var id []byte
			err := scan(&id)
			ids = append(ids, messaging.ChatID(id))
			return err
		})
		for _, id := range ids {
			if err == nil {
				var c Chat
				c, err = d.chat(t, id)
				all = append(all, c)
			}
		}
		return err
	})
	return all, err
}

// Chat returns one chat that this device is a member of; ErrNotFound or ErrLeft else.
func (d *Device) Chat(ctx context.Context, chat messaging.ChatID) (c Chat, err error) {
	err = d.s.view(ctx, func(t *tx) (err error) {
		if err = t.mustBeMember(chat); err == nil {
			c, err = d.chat(t, chat)
		}
		return err
	})
	return c, err
}

func (d *Device) chat(t *tx, id messaging.ChatID) (Chat, error) {
	info, err := t.chatInfo(id)
	if err != nil {
		return Chat{}, err
	}
	peer, _ := d.peer(info.Members)
	return Chat{ID: id, Epoch: info.Epoch, Suite: info.Suite, Members: info.Members, Peer: peer, SafetyCode: info.Code}, nil
}

// Members lists the members of a chat, this device included.
func (d *Device) Members(ctx context.Context, chat messaging.ChatID) ([]messaging.Member, error) {
	c, err := d.Chat(ctx, chat)
	return c.Members, err
}

// Binding derives a value that only the members of the chat in its current epoch know (RFC 9420 §8.5).
func (d *Device) Binding(ctx context.Context, chat messaging.ChatID, label string) (b messaging.Binding, err error) {
	err = d.s.view(ctx, func(t *tx) (err error) {
		if err = t.mustBeMember(chat); err == nil {
			b, err = d.session(t, chat).Binding(label)
		}
		return err
	})
	return b, err
}

// ChatWith returns the chat of two with the peer, and creates it when there is none. Of several it returns the one with the least id,
// so that both sides agree on one when both made one at the same time.
func (d *Device) ChatWith(ctx context.Context, peer messaging.DeviceID) (messaging.ChatID, error) {
	if err := d.with.take(ctx, peer); err != nil {
		return messaging.ChatID{}, err
	}
	defer d.with.give(peer)
	var found []messaging.ChatID
	err := d.s.view(ctx, func(t *tx) error {
		err := t.rows(`SELECT id FROM chat WHERE peer = ? AND state = ? ORDER BY id`, []any{d.s.name([]byte("peer"), peer[:]), chatActive}, func(scan func(...any) error) error {
			var id []byte
			err := scan(&id)
			found = append(found, messaging.ChatID(id))
			return err
		})
		if err != nil || !d.c.RequirePostQuantum {
			return err
		}
		var good []messaging.ChatID
		for _, id := range found {
			info, err := t.chatInfo(id)
			if err != nil {
				return err
			}
			if info.Suite.PostQuantum() {
				good = append(good, id)
			}
		}
		found = good
		return nil
	})
	if err != nil {
		return messaging.ChatID{}, err
	}
	if len(found) > 0 {
		return found[0], nil
	}
	return d.CreateChat(ctx, peer)
}

// CreateChat makes a new chat with the peers, of the best cipher suite that all have: ErrNoSuite when there is none, ErrDowngrade when
// the relay hides a better one. It needs Run and a relay that answers; ErrNoPackage says that a peer was never there. When ctx ends before it is done, the chat may still come to be.
func (d *Device) CreateChat(ctx context.Context, peers ...messaging.DeviceID) (messaging.ChatID, error) {
	chat := messaging.NewChatID()
	if len(peers) == 0 || slices.Contains(peers, d.id) {
		return chat, errors.New("device: a chat needs peers other than this device")
	}
	packages, err := d.claim(ctx, peers, d.suites)
	if err != nil {
		return chat, err
	}
	err = d.s.update(ctx, func(t *tx) error {
		if err := t.exec(`INSERT INTO chat (id, state, head) VALUES (?, ?, 0)`, chat[:], chatCreating); err != nil {
			return err
		}
		g, err := d.mls.Create(rows{t, chat}, chat[:], d.keyPackageOptions(packages[0].Suite), nil)
		if err != nil {
			return err
		}
		return t.began(chat, g)
	})
	if err != nil {
		return chat, err
	}
	return chat, d.change(ctx, chat, change{add: packages})
}

// Add adds devices to a chat. They read what is sent from then on. A peer without a key package of the chat's cipher suite is refused
// with ErrNoSuite: a chat never changes its suite.
func (d *Device) Add(ctx context.Context, chat messaging.ChatID, peers ...messaging.DeviceID) error {
	c, err := d.Chat(ctx, chat)
	if err != nil {
		return err
	}
	packages, err := d.claim(ctx, peers, []mls.CipherSuite{c.Suite})
	if err != nil {
		return err
	}
	return d.change(ctx, chat, change{add: packages})
}

// Remove removes a device from a chat. It reads nothing that is sent from then on.
func (d *Device) Remove(ctx context.Context, chat messaging.ChatID, peer messaging.DeviceID) error {
	return d.change(ctx, chat, change{remove: []messaging.DeviceID{peer}})
}

// Refresh replaces this device's keys in the chat, so that whoever stole the old ones reads nothing new, and old messages' keys go.
func (d *Device) Refresh(ctx context.Context, chat messaging.ChatID) error {
	return d.change(ctx, chat, change{})
}
