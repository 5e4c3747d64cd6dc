package mls

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// Event is what a message turned out to be: *Application, *StoredProposal, *StagedCommit, *OwnCommit, *OwnProposal or *OwnMessage.
type Event interface{ event() }

// Application is an application message: opened, its key deleted.
type Application struct {
	Sender LeafIndex
	// Member is the sender in the epoch of the message. Of an earlier epoch only Index, Credential and SignatureKey are known.
	Member            Member
	Epoch             uint64
	Generation        uint32
	Data              []byte
	AuthenticatedData []byte // signed by the sender, sent in the clear
}

// StagedCommit is a commit of somebody else that was found valid. Nothing has changed yet: the application looks at it and calls
// Merge, or not.
type StagedCommit struct {
	Sender    Sender
	Committer Member   // as it will be
	External  bool     // the committer joins by this commit (RFC 9420 §12.4.3.2)
	Added     []Member // by Add proposals
	Updated   []Member // leaves that change: by Update proposals and the committer's path, as they will be
	Removed   []Member // as they were
	// Extensions are those of the GroupContext after the commit.
	Extensions        Extensions
	ExtensionsChanged bool
	SelfRemoved       bool    // this client is removed: Merge deletes the group
	ReInit            *ReInit // the commit closes the group
	Epoch             uint64  // that it begins
	AuthenticatedData []byte

	group      *Group
	staged     *stagedCommit
	private    bool // it consumes a generation
	generation uint32
}

// OwnCommit is the own commit that waits, come back from the delivery service: it was accepted. Pending returns it; Confirm it.
type OwnCommit struct{}

// OwnProposal is a proposal of this client, come back.
type OwnProposal struct{ Ref []byte }

// OwnMessage is an application message of this client, come back. Its content cannot be opened any more, nor can it be verified: any
// member could make a message that looks like one.
type OwnMessage struct {
	Epoch      uint64
	Generation uint32
}

func (*Application) event()    {}
func (*StoredProposal) event() {}
func (*StagedCommit) event()   {}
func (*OwnCommit) event()      {}
func (*OwnProposal) event()    {}
func (*OwnMessage) event()     {}

// EarlyError says that a message belongs to an epoch that is still to come: keep it, within bounds, and process it after the commits
// in between. Nothing in the message has been verified.
type EarlyError struct{ Epoch uint64 }

func (e *EarlyError) Error() string {
	return fmt.Sprintf("mls: the message belongs to epoch %d, which is still to come", e.Epoch)
}

// ErrRolledBack: this client signed the message, and its state does not know of it. So the state is a copy, or older than it was, or
// an own commit was discarded and accepted nevertheless. The group must not be used any more, for generations might be used twice:
// rejoin. (A member can bring this about by sending the client's own words again under a generation that was not used yet.)
var ErrRolledBack = errors.New("mls: a message of this client that its state does not know: the state is a copy or was rolled back")

// Process opens and checks a message of the group, an MLSMessage with a PublicMessage or PrivateMessage. After an error nothing has
// changed: *EarlyError, ErrEpochGone, ErrConsumed (a replay, or a message come too late), ErrTooFarAhead, ErrRolledBack, ErrWrongGroup,
// *RuleError, *DecodeError, *NotAllowedError, or one of the transaction's. A plaintext may be acted upon when the transaction is
// durable.
func (g *Group) Process(tx Tx, message []byte) (Event, error) {
	if g.spent {
		return nil, ErrSpent
	}
	in := new(incoming) // one object, as a message should cost few
	m, u := &in.message, &in.unverified
	raw := slices.Clone(message) // what is decoded shares its memory
	var private bool
	var err error
	if in.private, private, err = parsePrivateMessage(raw); private {
		m.Private = &in.private
	} else {
		err = unmarshal("MLSMessage", raw, m)
	}
	if err != nil {
		return nil, err
	}
	var groupID []byte
	var epoch uint64
	var kind ContentType
	switch {
	case m.Private != nil:
		groupID, epoch, kind = m.Private.GroupID, m.Private.Epoch, m.Private.Type
	case m.Public != nil:
		groupID, epoch, kind = m.Public.Content.GroupID, m.Public.Content.Epoch, m.Public.Content.Type
	default:
		return nil, refuse("6", "wire format %d is no message of a group", m.WireFormat())
	}
	if !bytes.Equal(groupID, g.state.context.GroupID) {
		return nil, ErrWrongGroup
	}
	if kind != ContentApplication { // before the epoch: an external commit is made in the group's, not in this handle's
		if e := g.ownHandshake(message); e != nil {
			return e, nil
		}
	}
	switch {
	case epoch > g.Epoch():
		return nil, &EarlyError{epoch}
	case epoch < g.Epoch():
		return g.processLate(tx, m)
	}
	if g.state.reInit != nil {
		return nil, refuse("12.4.2", "a message in an epoch in which the group is closed by a ReInit")
	}
	defer u.step.wipe()
	v, err := g.openMessage(tx, g.messages, m, u)
	if errors.Is(err, ErrOwnMessage) {
		if kind == ContentApplication {
			return &OwnMessage{Epoch: epoch, Generation: u.generation}, nil
		}
		return nil, ErrConsumed
	}
	if err != nil {
		return nil, err
	}
	switch v.Content.Type {
	case ContentApplication:
		sender, _ := g.state.tree.memberAt(LeafIndex(v.Content.Sender.Index))
		return g.takeApplication(tx, v, u.generation, sender)
	case ContentProposal:
		return g.takeProposal(tx, v)
	default:
		return g.stage(tx, v, u.generation)
	}
}

// incoming is a message on its way through Process.
type incoming struct {
	message    MLSMessage
	private    PrivateMessage // that of message, if it is one
	unverified unverifiedContent
}

// ownHandshake recognises the own commit that waits, or an own proposal of the epoch, by its octets.
func (g *Group) ownHandshake(message []byte) Event {
	if g.pending == (waiting{}) && len(g.proposals) == 0 {
		return nil
	}
	sum := digest(sha256.Sum256(message))
	if sum == g.pending.digest {
		return &OwnCommit{}
	}
	for i := range g.proposals {
		if g.proposals[i].sent == sum {
			return &OwnProposal{Ref: g.proposals[i].ref}
		}
	}
	return nil
}

// openMessage decrypts and verifies a message in an epoch.
func (g *Group) openMessage(tx Tx, epoch *messageEpoch, m *MLSMessage, u *unverifiedContent) (verifiedContent, error) {
	var err error
	if m.Private != nil {
		err = epoch.openPrivate(tx, m.Private, g.client.now(), u)
	} else {
		err = epoch.openPublic(m.Public, u)
	}
	if err != nil {
		return verifiedContent{}, err
	}
	v, err := epoch.verify(u)
	if err != nil {
		return verifiedContent{}, err
	}
	if v.Content.Sender == (Sender{SenderMember, uint32(epoch.own)}) {
		return verifiedContent{}, ErrRolledBack
	}
	return v, nil
}

// processLate opens an application message of an earlier epoch. Handshake messages have no say any more.
func (g *Group) processLate(tx Tx, m *MLSMessage) (Event, error) {
	if m.Private == nil || m.Private.Type != ContentApplication {
		return nil, ErrEpochGone
	}
	past, err := loadPast(tx, g.state.suite, m.Private.Epoch, g.client.limits.ratchet, g.client.now())
	if err != nil {
		return nil, err
	}
	defer wipe(past.senderData)
	var u unverifiedContent
	defer u.step.wipe()
	v, err := g.openMessage(tx, past.messageEpoch, m, &u)
	if errors.Is(err, ErrOwnMessage) {
		return &OwnMessage{Epoch: m.Private.Epoch, Generation: u.generation}, nil
	}
	if err != nil {
		return nil, err
	}
	l := LeafIndex(v.Content.Sender.Index)
	return g.takeApplication(tx, v, u.generation, Member{Index: l, Credential: past.leaves[l].credential, SignatureKey: past.leaves[l].key})
}

func (g *Group) takeApplication(tx Tx, v verifiedContent, generation uint32, sender Member) (Event, error) {
	if err := v.step.commit(tx, g.client.now()); err != nil {
		return nil, err
	}
	return &Application{Sender: sender.Index, Member: sender, Epoch: v.Content.Epoch, Generation: generation, Data: v.Content.Application,
		AuthenticatedData: v.Content.AuthenticatedData}, nil
}

func (g *Group) takeProposal(tx Tx, v verifiedContent) (Event, error) {
	p, err := g.newProposal(v.AuthenticatedContent)
	if err != nil {
		return nil, err
	}
	if v.step != nil {
		if err := v.step.commit(tx, g.client.now()); err != nil {
			return nil, err
		}
	}
	if err := g.keep(tx, p); err != nil {
		return nil, err
	}
	e := g.storedProposal(p)
	e.AuthenticatedData = v.Content.AuthenticatedData
	return &e, nil
}

// stage checks a commit and computes the epoch it begins.
func (g *Group) stage(tx Tx, v verifiedContent, generation uint32) (Event, error) {
	st, err := g.state.stageCommit(v, commitInputs{
		proposals: g.findProposal, psk: lookupPSK(tx, g.state), updateKey: g.ownUpdateKey(tx), policy: g.client.leafPolicy(),
		allow: g.client.allow(g.state, false),
	})
	if err != nil {
		return nil, err
	}
	before := g.state.tree
	c := &StagedCommit{
		Sender: st.sender, External: st.sender.Type == SenderNewMemberCommit, Removed: before.membersAt(st.removed), SelfRemoved: st.next == nil,
		ReInit: st.list.reInit, Epoch: g.Epoch() + 1, AuthenticatedData: v.Content.AuthenticatedData, Extensions: g.Extensions(),
		group: g, staged: st, private: v.step != nil, generation: generation,
	}
	c.Committer, _ = st.tree.memberAt(st.leaf)
	c.Added = st.tree.membersAt(st.added)
	if st.list.extensions != nil {
		c.Extensions, c.ExtensionsChanged = st.list.extensions.Extensions, true
	}
	for _, u := range st.list.updates {
		updated, _ := st.tree.memberAt(u.leaf)
		c.Updated = append(c.Updated, updated)
	}
	if v.Content.Commit.Path != nil && !c.External {
		c.Updated = append(c.Updated, c.Committer)
	}
	return c, nil
}

// Merge begins the epoch of a staged commit: late messages of the epoch that ends are opened as long as the policy says, what waited
// in it is dropped, an own commit included. It returns the next Group, or, if the commit removes this client, deletes every row of
// the group and returns nil. g is spent.
func (g *Group) Merge(tx Tx, c *StagedCommit) (*Group, error) {
	switch {
	case g.spent:
		return nil, ErrSpent
	case c.group != g:
		return nil, errors.New("mls: the commit was staged by another handle of the group: process it again")
	}
	if c.staged.next == nil {
		return nil, g.Forget(tx)
	}
	if c.private {
		// The key of the commit goes with it. It is derived again, because messages may have come since; if it has gone with those,
		// all the better.
		var step ratchetStep
		defer step.wipe()
		now := g.client.now()
		err := g.messages.tree.receive(tx, &step, c.Sender.Index, RatchetHandshake, c.generation, now)
		if err == nil {
			err = step.commit(tx, now)
		}
		if err != nil && !errors.Is(err, ErrConsumed) {
			return nil, err
		}
	}
	return g.advance(tx, c.staged.next)
}
