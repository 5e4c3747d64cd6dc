package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/mls/mlstest"
)

// suite draws a cipher suite: mostly a cheap one.
func (w *world) suite() mls.CipherSuite {
	switch w.r.IntN(24) {
	case 0:
		return mls.XWingAES256GCM
	case 1:
		return mls.XWingAES128GCM
	case 2, 3:
		return mls.P256AES128GCM
	case 4, 5:
		return mls.X25519ChaCha20Poly1305
	}
	return mls.X25519AES128GCM
}

func (w *world) newChat(suite mls.CipherSuite) *chat {
	c := &chat{id: fmt.Appendf(nil, "chat %d", len(w.chats)), suite: suite, accepted: map[uint64][]byte{}, views: map[uint64]view{}, known: map[string]bool{}, since: map[*client]uint64{},
		maxMembers: 3 + w.r.IntN(4)}
	if w.chance(20) {
		c.maxMembers = 8 + w.r.IntN(25) // up to 32
	}
	w.chats = append(w.chats, c)
	return c
}

// seats returns the places of the chat whose clients have entered.
func (c *chat) seats() (list []*seat) {
	for _, r := range c.recipients {
		if s := r.seat(c); s != nil && s.group != nil {
			list = append(list, s)
		}
	}
	return list
}

// do runs an operation of a seat in a transaction; a crash ends it. What f refuses by the group's rules is no fault.
func (s *seat) do(what string, f func(tx *mlstest.Tx) error) bool {
	err := s.tx(f)
	if err != nil && !errors.Is(err, mlstest.ErrCrashed) {
		s.client.w.fail("%s in epoch %d cannot %s: %v", s.client.name, s.group.Epoch(), what, err)
	}
	return err == nil
}

// queue keeps a message to be sent, in the transaction that made it.
func (s *seat) queue(tx *mlstest.Tx, i item) error {
	s.outbox = append(s.outbox, i)
	return tx.PutOwn("out"+i.id, i.message)
}

func (w *world) nextID(kind string) string {
	w.items++
	return fmt.Sprint(kind, " ", w.items)
}

func (w *world) seal(s *seat) {
	if len(s.group.Proposals()) > 0 {
		tx := s.client.store.Begin(s.chat.id)
		if _, err := s.group.Seal(tx, nil, nil); !errors.Is(err, mls.ErrProposalsWaiting) {
			w.fail("%s writes while a proposal waits: %v", s.client.name, err)
		}
		return
	}
	i := item{id: w.nextID("application"), kind: "application", epoch: s.group.Epoch(), from: s.client}
	i.text = "text of " + i.id
	s.do("write", func(tx *mlstest.Tx) (err error) {
		if i.message, err = s.group.Seal(tx, []byte(i.text), []byte("aad")); err != nil {
			return err
		}
		return s.queue(tx, i)
	})
	if !w.chance(4) {
		s.flush()
	}
}

// outsiders returns clients that are not in the chat nor on their way into it, making some.
func (w *world) outsiders(c *chat, n int) (list []*client) {
	for _, x := range w.clients {
		if len(list) < n && !slices.Contains(c.recipients, x) && x.seat(c) == nil && w.chance(2) {
			list = append(list, x)
		}
	}
	for len(list) < n {
		list = append(list, w.newClient())
	}
	return list
}

func (w *world) psk() mls.Proposal {
	return &mls.PreSharedKey{PSK: mls.PreSharedKeyID{Type: mls.PSKExternal, ID: pskID}}
}

// extensions returns group context extensions: always with the external sender, now and then with required capabilities.
func (w *world) extensions(suite mls.CipherSuite) mls.Extensions {
	if suite == mls.P256AES128GCM {
		return nil // the external sender's key is Ed25519
	}
	key, err := mls.SignaturePublicKeyOf(w.server)
	if err != nil {
		w.fail("%v", err)
	}
	x, err := mls.ExternalSendersExtension(mls.ExternalSender{SignatureKey: key, Credential: mls.BasicCredential([]byte("server"))})
	if err != nil {
		w.fail("%v", err)
	}
	list := mls.Extensions{x}
	if w.chance(2) {
		r, err := mls.RequiredCapabilitiesExtension(mls.RequiredCapabilities{Proposals: []mls.ProposalType{mls.ProposalSelfRemove}})
		if err != nil {
			w.fail("%v", err)
		}
		list = append(list, r)
	}
	return list
}

func (s *seat) others() (list []mls.LeafIndex) {
	for _, m := range s.group.Members() {
		if m.Index != s.group.Own() {
			list = append(list, m.Index)
		}
	}
	return list
}

// commit makes a commit, and offers it now or later.
func (w *world) commit(s *seat) {
	if p := w.pending(s); p != nil {
		w.submit(s, p)
		return
	}
	c := s.chat
	o := mls.CommitOptions{Path: w.chance(3), Public: w.chance(4), SkipStored: w.chance(10), OmitTree: false}
	switch k := w.r.IntN(12); {
	case k < 5 && len(s.group.Members()) < c.maxMembers:
		n := 1
		if c.maxMembers > 7 {
			n = min(1+w.r.IntN(8), c.maxMembers-len(s.group.Members()))
		}
		for _, x := range w.outsiders(c, n) {
			o.Proposals = append(o.Proposals, &mls.Add{KeyPackage: *x.keyPackage(c.suite)})
		}
		if w.chance(4) {
			o.Proposals = append(o.Proposals, w.psk())
		}
	case k == 5 && len(s.others()) > 1:
		o.Proposals = append(o.Proposals, &mls.Remove{Removed: pick(w, s.others())})
	case k == 6:
		o.Proposals = append(o.Proposals, w.psk())
	case k == 7 && s.group.Epoch() == c.epoch:
		epoch := s.group.Epoch() - min(uint64(w.r.IntN(3)), s.group.Epoch())
		if slices.ContainsFunc(c.recipients, func(r *client) bool { return c.since[r] > epoch }) {
			break
		}
		o.SkipStored = true // who is added would not have the key
		o.Proposals = append(o.Proposals, &mls.PreSharedKey{PSK: mls.PreSharedKeyID{Type: mls.PSKResumption, Usage: mls.UsageApplication, GroupID: c.id, Epoch: epoch}})
	case k == 8:
		o.Proposals = append(o.Proposals, &mls.GroupContextExtensions{Extensions: w.extensions(c.suite)})
	case k == 9:
		signers := s.client.config.Signers[:2]
		if c.suite == mls.P256AES128GCM {
			signers = s.client.config.Signers[2:]
		}
		o.NextSigner = pick(w, signers)
	case k == 10 && c.next == nil && w.chance(3):
		o.SkipStored = true
		next := w.suite()
		o.Proposals = append(o.Proposals, &mls.ReInit{GroupID: append(bytes.Clone(c.id), " again"...), Version: mls.MLS10, Suite: next, Extensions: w.extensions(next)})
	}
	var p *mls.PendingCommit
	made := s.do("commit", func(tx *mlstest.Tx) (err error) { p, err = s.group.Commit(tx, o); return err })
	if made && !w.chance(4) {
		w.submit(s, p)
	}
}

func (w *world) pending(s *seat) *mls.PendingCommit {
	p, err := s.client.mls.Pending(s.client.store.Begin(s.chat.id))
	if err != nil {
		w.fail("%v", err)
	}
	return p
}

func (w *world) propose(s *seat) {
	i := item{id: w.nextID("proposal"), kind: "proposal", epoch: s.group.Epoch()}
	var p mls.Proposal
	switch w.r.IntN(7) {
	case 0, 1:
	case 2:
		if len(s.group.Members()) >= s.chat.maxMembers {
			return
		}
		p = &mls.Add{KeyPackage: *w.outsiders(s.chat, 1)[0].keyPackage(s.chat.suite)}
	case 3:
		if len(s.others()) < 2 {
			return
		}
		p = &mls.Remove{Removed: pick(w, s.others())}
	case 4:
		p = w.psk()
	case 5:
		if len(s.others()) < 2 {
			return
		}
		p = pick(w, []mls.Proposal{&mls.SelfRemove{}, &mls.Remove{Removed: s.group.Own()}})
	case 6:
		p = &mls.GroupContextExtensions{Extensions: w.extensions(s.chat.suite)}
	}
	s.do("propose", func(tx *mlstest.Tx) (err error) {
		if known := slices.ContainsFunc(s.group.Proposals(), func(q mls.StoredProposal) bool { return sameProposal(p, q.Proposal) }); known {
			p = nil // to say it twice is refused
		}
		if p == nil {
			i.message, err = s.group.ProposeUpdate(tx, mls.UpdateOptions{})
		} else {
			i.message, err = s.group.Propose(tx, p, nil)
		}
		if err != nil {
			return err
		}
		return s.queue(tx, i)
	})
	s.flush()
}

// sameProposal reports whether both ask for the same without any key in it.
func sameProposal(p, q mls.Proposal) bool {
	switch p := p.(type) {
	case *mls.SelfRemove:
		_, same := q.(*mls.SelfRemove)
		return same
	case *mls.Remove:
		r, same := q.(*mls.Remove)
		return same && *p == *r
	case *mls.GroupContextExtensions:
		_, same := q.(*mls.GroupContextExtensions)
		return same
	}
	return false
}

// external is a proposal by the external sender, or by somebody who wants in.
func (w *world) external(s *seat) {
	c := s.chat
	if s.group.Epoch() != c.epoch || c.closed {
		return
	}
	x := mls.ExternalProposal{GroupID: c.id, Epoch: c.epoch, Suite: c.suite, Signer: w.server, AuthenticatedData: fmt.Append(nil, w.items)}
	if c.suite == mls.P256AES128GCM {
		return // the server's key is Ed25519
	}
	switch {
	case w.chance(2) && len(s.group.Members()) < c.maxMembers:
		joiner := w.outsiders(c, 1)[0]
		x.NewMember, x.Proposal, x.Signer = true, &mls.Add{KeyPackage: *joiner.keyPackage(c.suite)}, joiner.config.Signers[0]
	case w.chance(2) && len(s.others()) > 2:
		x.Proposal = &mls.Remove{Removed: pick(w, s.others())}
	default:
		p := w.psk().(*mls.PreSharedKey)
		p.PSK.Nonce = bytes.Repeat([]byte{byte(w.items)}, c.hashSize())
		x.Proposal = p
	}
	m, err := x.Marshal()
	if err != nil {
		w.fail("%v", err)
	}
	w.broadcast(c, item{id: w.nextID("proposal"), kind: "proposal", epoch: c.epoch, message: m})
}

func (c *chat) hashSize() int {
	if c.suite == mls.XWingAES256GCM {
		return 48
	}
	return 32
}

// enter lets somebody join from outside, or a member replace itself, with the GroupInfo of s.
func (w *world) enter(s *seat) {
	c := s.chat
	if s.group.Epoch() != c.epoch || c.closed {
		return
	}
	raw, err := s.group.GroupInfo(mls.GroupInfoOptions{ExternalPub: true})
	if err != nil {
		w.fail("%v", err)
	}
	m, err := mls.ParseMLSMessage(raw)
	if err != nil {
		w.fail("%v", err)
	}
	var joiner *client
	o := mls.ExternalOptions{GroupInfo: w.chance(4), ExternalPub: true}
	if w.chance(2) && len(s.group.Members()) > 1 { // resync
		at := pick(w, s.others())
		o.Resync = &at
		member, _ := s.group.Member(at)
		for _, x := range w.clients {
			if x.name == string(member.Credential.Identity) {
				joiner = x
			}
		}
		if old := joiner.seat(c); old == nil || old.group == nil { // its Welcome is on its way: it will do
			return
		}
		if w.chance(3) {
			o.PSKs = append(o.PSKs, mls.PreSharedKeyID{Type: mls.PSKExternal, ID: pskID})
		}
	} else {
		if len(s.group.Members()) >= c.maxMembers {
			return
		}
		joiner = w.outsiders(c, 1)[0]
	}
	seat := joiner.sit(c)
	if p := w.pending(seat); p != nil {
		w.submit(seat, p)
		return
	}
	o.Leaf = joiner.leaf(c.suite)
	var p *mls.PendingCommit
	err = seat.tx(func(tx *mlstest.Tx) (err error) { p, err = joiner.mls.JoinExternal(tx, m.GroupInfo, o); return err })
	if err != nil && !errors.Is(err, mlstest.ErrCrashed) {
		w.fail("%s cannot join from outside: %v", joiner.name, err)
	}
	seat.reload() // a Group of before does not know of the commit
	if err == nil && !w.chance(4) {
		w.submit(seat, p)
	}
}

// reopen continues a closed chat, or branches from an open one.
func (w *world) reopen(s *seat, closed bool) {
	c := s.chat
	if s.group.Epoch() != c.epoch || closed && c.next != nil && c.next.epoch > 0 {
		return
	}
	var next *chat
	o := mls.ContinueOptions{Leaf: s.client.leaf(c.suite), Commit: mls.CommitOptions{Path: w.chance(2)}}
	var members []*client
	for _, m := range s.group.Members() {
		if m.Index == s.group.Own() || !closed && w.chance(2) {
			continue
		}
		for _, x := range w.clients {
			if x.name == string(m.Credential.Identity) {
				if seat := x.seat(c); !closed && (seat == nil || seat.group == nil || seat.group.Epoch() != s.group.Epoch()) {
					continue // would have to follow first
				}
				members = append(members, x)
			}
		}
	}
	if closed {
		r := s.group.Closed()
		if next = c.next; next == nil {
			next = w.newChat(r.Suite)
			next.id, next.old, c.next = r.GroupID, c, next
		}
	} else {
		next = w.newChat(c.suite)
		next.old = c
		o.GroupID, o.Extensions = next.id, w.extensions(c.suite)
	}
	next.maxMembers = c.maxMembers
	for _, x := range members {
		o.KeyPackages = append(o.KeyPackages, *x.keyPackage(next.suite))
	}
	if s.client.seat(next) != nil {
		return // it has tried before
	}
	seat := s.client.sit(next)
	var p *mls.PendingCommit
	err := seat.tx(func(tx *mlstest.Tx) (err error) {
		if closed {
			seat.group, p, err = s.client.mls.Continue(tx, s.group, o)
		} else {
			seat.group, p, err = s.client.mls.Branch(tx, s.group, o)
		}
		return err
	})
	if err != nil && !errors.Is(err, mlstest.ErrCrashed) {
		w.fail("%s cannot continue %q: %v", s.client.name, c.id, err)
	}
	if p = w.pending(seat); p == nil { // the crash came first
		seat.leave()
		return
	}
	if !closed {
		next.recipients = append(next.recipients, s.client)
	}
	if next.epoch == 0 && !slices.Contains(next.recipients, s.client) {
		next.recipients = append(next.recipients, s.client)
	}
	w.submit(seat, p)
	if !closed { // the resumption secret of the old group is not kept for ever: who is to come comes now
		for _, x := range members {
			for s := x.seat(next); s != nil && s.group == nil; {
				w.drain(s)
			}
		}
	}
}

// restart is a planned one, or a look at what has expired.
func (w *world) restart(s *seat) {
	if w.chance(2) {
		s.reload()
		return
	}
	w.now = w.now.Add(time.Duration(w.r.IntN(3600)) * time.Second)
	var next time.Time
	if s.do("expire", func(tx *mlstest.Tx) (err error) { next, err = s.group.Expire(tx); return err }) && !next.IsZero() && !next.After(w.now) {
		w.fail("%s is to expire again at once", s.client.name)
	}
}
