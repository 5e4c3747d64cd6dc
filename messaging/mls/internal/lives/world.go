package main

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/mls/mlstest"
)

// violation is a broken promise: the life ends, its seed is reported.
type violation struct{ text string }

func (v violation) Error() string { return v.text }

// world is one life: clients, their chats, and the delivery service between them. All decisions come from the seed, keys do not.
type world struct {
	r       *rand.Rand
	now     time.Time
	clients []*client
	chats   []*chat
	server  crypto.Signer // the external sender of all groups
	log     []string
	items   int
	crashes int
	epochs  int
	opened  int
	largest int
}

// chat is one group as the delivery service knows it: it orders commits and knows whom to deliver to, and no secret.
type chat struct {
	id         []byte
	suite      mls.CipherSuite
	epoch      uint64 // of the last commit accepted
	accepted   map[uint64][]byte
	recipients []*client // members, and those who are to become members by a Welcome on its way
	views      map[uint64]view
	known      map[string]bool    // items received, by id
	since      map[*client]uint64 // the epoch in which each recipient came, as far as the delivery service knows
	old        *chat              // that it continues or branches from
	closed     bool
	next       *chat // that continues it
	maxMembers int
}

// view is what members of an epoch must agree on.
type view struct{ authenticator, tree, exported []byte }

// item is one message on its way to one client.
type item struct {
	id      string // the same for all recipients
	kind    string // commit, proposal, application, welcome
	epoch   uint64
	message []byte
	text    string  // of an application message
	from    *client // of an application message
}

// client is somebody with a store, and what is lost when the process dies.
type client struct {
	w      *world
	name   string
	config mls.Config
	mls    *mls.Client
	store  *mlstest.Store
	seats  []*seat
}

// seat is a client's place in one chat. group is memory; inbox and outbox stand for what the network and own rows keep.
type seat struct {
	client *client
	chat   *chat
	group  *mls.Group
	since  uint64 // the epoch it entered in
	inbox  []item
	outbox []item // made durable together with what made them, not sent yet
	gone   bool   // removed, or never entered
}

func (w *world) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

func (w *world) fail(format string, args ...any) {
	panic(violation{fmt.Sprintf(format, args...)})
}

// chance is true once in n.
func (w *world) chance(n int) bool { return w.r.IntN(n) == 0 }

func pick[T any](w *world, list []T) T { return list[w.r.IntN(len(list))] }

// identity knows clients by the name in their credential.
type identity struct{}

func (identity) ValidateMember(c mls.Credential, _ mls.SignaturePublicKey) error {
	if !strings.HasPrefix(string(c.Identity), "client ") {
		return errors.New("a stranger")
	}
	return nil
}
func (identity) ValidateExternalSender(mls.ExternalSender) error { return nil }
func (identity) SameClient(a, b mls.Credential) bool             { return bytes.Equal(a.Identity, b.Identity) }
func (i identity) ValidSuccessor(a, b mls.Credential) error {
	if !i.SameClient(a, b) {
		return errors.New("another client")
	}
	return nil
}

const pastEpochs = 3

var pskID = []byte("psk")

func (w *world) newClient() *client {
	c := &client{w: w, name: fmt.Sprintf("client %d", len(w.clients)), store: mlstest.NewStore()}
	var signers []crypto.Signer
	for _, suite := range []mls.CipherSuite{mls.X25519AES128GCM, mls.X25519AES128GCM, mls.P256AES128GCM, mls.P256AES128GCM} {
		key, err := suite.GenerateSignatureKey()
		if err != nil {
			w.fail("%v", err)
		}
		signers = append(signers, key)
	}
	c.config = mls.Config{Identity: identity{}, Signers: signers, Now: func() time.Time { return w.now }, Rand: rand.NewChaCha8([32]byte{byte(w.r.Uint32()), byte(len(w.clients))}),
		Policy: mls.Policy{PublicHandshakes: w.chance(3), PastEpochs: pastEpochs, Resumptions: 3, PastAge: 1000 * time.Hour}}
	var err error
	if c.mls, err = mls.NewClient(c.config); err != nil {
		w.fail("%v", err)
	}
	if err := c.store.Update(nil, func(tx mls.Tx) error { return c.mls.StorePSK(tx, pskID, []byte("known to all")) }); err != nil {
		w.fail("%v", err)
	}
	w.clients = append(w.clients, c)
	return c
}

func (c *client) leaf(suite mls.CipherSuite) mls.KeyPackageOptions {
	return mls.KeyPackageOptions{Suite: suite, Credential: mls.BasicCredential([]byte(c.name)),
		Capabilities: mls.Capabilities{Proposals: []mls.ProposalType{mls.ProposalSelfRemove}}}
}

func (c *client) keyPackage(suite mls.CipherSuite) *mls.KeyPackage {
	var kp *mls.KeyPackage
	err := c.store.Update(nil, func(tx mls.Tx) (err error) {
		kp, err = c.mls.NewKeyPackage(tx, c.leaf(suite))
		return err
	})
	if err != nil {
		c.w.fail("key package of %s: %v", c.name, err)
	}
	return kp
}

func (c *client) seat(chat *chat) *seat {
	for _, s := range c.seats {
		if s.chat == chat && !s.gone {
			return s
		}
	}
	return nil
}

// sit gives the client a place in the chat.
func (c *client) sit(chat *chat) *seat {
	s := c.seat(chat)
	if s == nil {
		s = &seat{client: c, chat: chat}
		c.seats = append(c.seats, s)
	}
	return s
}

// tx runs f in a transaction of the chat, in which the client may crash at any write. After a crash, and after any error, the group is
// loaded again from its rows. It reports whether the transaction became durable as far as the client knows.
func (s *seat) tx(f func(tx *mlstest.Tx) error) error {
	c := s.client
	if c.w.chance(12) {
		c.store.CrashAt(1 + c.w.r.IntN(24))
	}
	tx := c.store.Begin(s.chat.id)
	err := f(tx)
	if err == nil {
		err = tx.Commit()
	}
	crashed := c.store.Restart()
	if crashed {
		c.w.crashes++
		c.w.note("%s crashes", c.name)
		for _, other := range c.seats { // memory is lost
			other.reload()
		}
		return mlstest.ErrCrashed
	}
	if err != nil {
		s.reload()
	}
	return err
}

// reload is a restart: what is known comes from the rows.
func (s *seat) reload() {
	if s.gone {
		return
	}
	s.group = nil
	s.since = 0
	if row := s.client.store.Own("since" + string(s.chat.id)); row != nil {
		fmt.Sscan(string(row), &s.since)
	}
	g, err := s.client.mls.Load(s.client.store.Begin(s.chat.id))
	if errors.Is(err, mls.ErrNoGroup) {
		if s.client.store.Own("removed"+string(s.chat.id)) != nil {
			s.leave()
		}
	} else if err != nil {
		s.client.w.fail("%s cannot load: %v", s.client.name, err)
	} else {
		s.group = g
	}
	s.outbox = slices.DeleteFunc(s.outbox, func(i item) bool { return s.client.store.Own("out"+i.id) == nil })
}

// leave ends the seat.
func (s *seat) leave() {
	s.gone, s.group, s.inbox, s.outbox = true, nil, nil, nil
}

// entered compares the epoch a client has entered with the view of those before it.
func (s *seat) entered() {
	w, g := s.client.w, s.group
	exported, err := g.Export("lives", []byte(s.chat.id), 32)
	if err != nil {
		w.fail("%v", err)
	}
	v := view{g.EpochAuthenticator(), bytes.Clone(g.TreeHash()), exported}
	first, known := s.chat.views[g.Epoch()]
	if !known {
		s.chat.views[g.Epoch()] = v
		w.epochs++
		return
	}
	if !bytes.Equal(first.authenticator, v.authenticator) || !bytes.Equal(first.tree, v.tree) || !bytes.Equal(first.exported, v.exported) {
		w.fail("%s arrived at another epoch %d", s.client.name, g.Epoch())
	}
}

// broadcast gives an item to all recipients of the chat; the network may double it.
func (w *world) broadcast(c *chat, i item) {
	if c.known[i.id] {
		return // sent again after a crash
	}
	c.known[i.id] = true
	for _, r := range c.recipients {
		s := r.seat(c)
		if s == nil || i.kind == "application" && (i.from == r && w.chance(2) || w.chance(30)) { // lost
			continue
		}
		s.inbox = append(s.inbox, i)
		if i.kind == "application" && w.chance(10) {
			s.inbox = append(s.inbox, i)
		}
	}
}

// flush sends what waits in the outbox, in order. A proposal for an epoch that has ended is refused by the delivery service.
func (s *seat) flush() {
	w := s.client.w
	for _, i := range s.outbox {
		if i.kind == "application" || i.epoch == s.chat.epoch && !s.chat.closed {
			w.broadcast(s.chat, i)
		}
	}
	if len(s.outbox) > 0 && !w.chance(8) { // else the client does not learn that it was sent, and sends it again
		tx := s.client.store.Begin(s.chat.id)
		for _, i := range s.outbox {
			if err := tx.PutOwn("out"+i.id, nil); err != nil {
				w.fail("%v", err)
			}
		}
		if err := tx.Commit(); err != nil {
			w.fail("%v", err)
		}
		s.outbox = nil
	}
}

// submit offers a commit to the delivery service, which takes the first of an epoch. It says whether this one was taken, now or before.
func (w *world) submit(s *seat, p *mls.PendingCommit) bool {
	c := s.chat
	s.flush()
	from := p.Epoch() - 1
	if taken := c.accepted[from]; taken != nil || from != c.epoch {
		return bytes.Equal(taken, p.Message())
	}
	w.note("%s commits epoch %d of chat %q: added %d, removed %v, external %v", s.client.name, p.Epoch(), c.id, len(p.Added()), p.Removed(), p.External())
	if p.External() && !slices.Contains(c.recipients, s.client) {
		c.recipients = append(c.recipients, s.client)
	}
	if p.External() {
		c.since[s.client] = p.Epoch()
	}
	w.items++
	w.broadcast(c, item{id: fmt.Sprint("commit ", w.items), kind: "commit", epoch: from, message: p.Message()})
	c.accepted[from], c.epoch = p.Message(), p.Epoch()
	var members []string
	for _, m := range p.Members() {
		members = append(members, string(m.Credential.Identity))
	}
	w.largest = max(w.largest, len(members))
	c.recipients = slices.DeleteFunc(c.recipients, func(r *client) bool { return !slices.Contains(members, r.name) })
	for _, m := range p.Added() {
		for _, r := range w.clients {
			if r.name != string(m.Credential.Identity) {
				continue
			}
			if old := r.seat(c); old != nil && !slices.Contains(c.recipients, r) { // it has not heard of its removal and comes back
				w.drain(old)
				if !old.gone && old.group != nil {
					w.fail("%s does not follow its removal", r.name)
				}
			}
			seat := r.sit(c)
			c.recipients, c.since[r] = append(c.recipients, r), p.Epoch()
			w.items++
			seat.inbox = append(seat.inbox, item{id: fmt.Sprint("welcome ", w.items), kind: "welcome", epoch: p.Epoch(), message: p.Welcome()})
		}
	}
	return true
}
