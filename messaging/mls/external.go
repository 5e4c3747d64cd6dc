package mls

import (
	"crypto"
	"crypto/rand"
	"errors"
	"io"
)

// ExternalOptions is what joining by an external commit takes besides the GroupInfo.
type ExternalOptions struct {
	// Tree is the encoded ratchet tree if the GroupInfo omits it.
	Tree []byte
	// Leaf is the leaf to join with. Suite, lifetime and key package extensions are not used.
	Leaf KeyPackageOptions
	// Resync is the old leaf of this client, which the commit removes.
	Resync *LeafIndex
	// PSKs are keys to inject, such as the resumption PSK of an epoch in which the client was a member. One without nonce gets one.
	PSKs              []PreSharedKeyID
	AuthenticatedData []byte
	// SelfRemoves are SelfRemove proposals that the group's members sent in the epoch, as MLSMessages, to be committed, too.
	SelfRemoves [][]byte
	// GroupInfo asks for the GroupInfo of the epoch that the commit begins; with ExternalPub others may join likewise.
	GroupInfo, ExternalPub bool
}

// JoinExternal makes the commit by which the client enters the group of info, from outside (RFC 9420 §12.4.3.2), and stores it, with
// the state it leads to, until it is confirmed or discarded. tx is opened for the group. If the client is in it already, in whatever
// epoch, its rows stay until the commit is confirmed; it must then use Resync, for a client is in a group once, and Load its Group
// again, which does not know of the commit otherwise.
func (c *Client) JoinExternal(tx Tx, info *GroupInfo, o ExternalOptions) (*PendingCommit, error) {
	if w, err := loadWaiting(tx); err != nil {
		return nil, err
	} else if w != (waiting{}) {
		return nil, ErrPending
	}
	s, err := lookupSuite(info.Context.Suite)
	if err != nil {
		return nil, err
	}
	o.Leaf.Suite = s.id
	if o.Leaf, err = c.complete(o.Leaf); err != nil {
		return nil, err
	}
	req := externalCommitRequest{info: info, tree: o.Tree, options: o.Leaf, resync: o.Resync, authenticatedData: o.AuthenticatedData, selfRemoves: o.SelfRemoves,
		policy: c.leafPolicy()}
	for i := range o.PSKs {
		p, err := c.withNonce(s, &PreSharedKey{PSK: o.PSKs[i]})
		if err != nil {
			return nil, err
		}
		req.psks = append(req.psks, p.(*PreSharedKey).PSK)
	}
	old, err := loadState(tx)
	if err != nil {
		return nil, err
	}
	if old != nil {
		defer old.secrets.wipe()
	}
	req.psk = lookupPSK(tx, old)
	req.allow = func(g *groupState) func(changeView) error { return c.allow(g, true) }
	made, err := makeExternalCommit(c.config.Rand, req)
	if err != nil {
		return nil, err
	}
	p := &PendingCommit{next: made.next, removed: made.list.removed(), external: true}
	if p.message, err = (&MLSMessage{Public: &PublicMessage{Content: made.content.Content, Auth: made.content.Auth}}).Marshal(); err != nil {
		return nil, err
	}
	if o.GroupInfo {
		if p.groupInfo, err = p.next.encodeGroupInfo(c, o.Leaf.Signer, groupInfoOptions{externalPub: o.ExternalPub}); err != nil {
			return nil, err
		}
	}
	return p, p.store(tx)
}

// Pending returns the own commit that waits in the group of tx, or nil. Unlike Group.Pending it needs no group: a commit by which the
// client joins has none yet.
func (c *Client) Pending(tx Tx) (*PendingCommit, error) { return loadPending(tx) }

// Confirm enters the group of an external commit that the delivery service has accepted. If the client was in the group before, all
// of those rows are deleted: a Group of it is to be dropped. For other commits use Group.Confirm.
func (c *Client) Confirm(tx Tx, p *PendingCommit) (*Group, error) {
	if !p.external {
		return nil, errors.New("mls: the commit is not one by which the client joins: use Group.Confirm")
	}
	if w, err := loadWaiting(tx); err != nil {
		return nil, err
	} else if w.digest != p.digest {
		return nil, ErrNotPending
	}
	g, err := c.Load(tx)
	if err != nil && !errors.Is(err, ErrNoGroup) {
		return nil, err
	}
	return c.enter(tx, g, p)
}

// enter begins the group at the epoch of an external commit. old is the client's earlier membership, or nil.
func (c *Client) enter(tx Tx, old *Group, p *PendingCommit) (*Group, error) {
	if old != nil {
		if err := old.Forget(tx); err != nil {
			return nil, err
		}
	}
	if err := tx.Delete(Key{Row: RowPending}); err != nil {
		return nil, err
	}
	if err := p.next.begin(tx, nil, c.limits, c.now()); err != nil {
		return nil, err
	}
	return c.group(p.next)
}

// Discard forgets the external commit that waits in the group of tx.
func (c *Client) Discard(tx Tx, p *PendingCommit) error {
	if w, err := loadWaiting(tx); err != nil {
		return err
	} else if w.digest != p.digest {
		return ErrNotPending
	}
	p.wipe()
	return tx.Delete(Key{Row: RowPending})
}

// ExternalProposal is a proposal to a group by somebody who is not in it (RFC 9420 §12.1.8).
type ExternalProposal struct {
	GroupID []byte
	Epoch   uint64 // the group's current one, or the proposal comes too late
	Suite   CipherSuite
	// Sender is the place of the proposer in the group's external_senders extension. It is not used if NewMember.
	Sender uint32
	// NewMember proposes to add the proposer itself: Proposal is an Add of its own key package, and Signer the key of that.
	NewMember bool
	Proposal  Proposal
	// Signer holds the signature key that external_senders or the key package names.
	Signer            crypto.Signer
	AuthenticatedData []byte
	Rand              io.Reader // nil means crypto/rand.Reader
}

// Marshal returns the signed proposal as MLSMessage. It is readable by the delivery service (§12.1.8).
func (p *ExternalProposal) Marshal() ([]byte, error) {
	s, err := lookupSuite(p.Suite)
	if err != nil {
		return nil, err
	}
	a := AuthenticatedContent{WireFormat: WireFormatPublicMessage, Content: FramedContent{
		GroupID: p.GroupID, Epoch: p.Epoch, Sender: Sender{SenderExternal, p.Sender}, AuthenticatedData: p.AuthenticatedData,
		Type: ContentProposal, Proposal: p.Proposal,
	}}
	if p.NewMember {
		a.Content.Sender = Sender{Type: SenderNewMemberProposal}
	}
	if p.Proposal == nil {
		return nil, errors.New("mls: an external proposal without a proposal")
	}
	if err := checkPublicSender(&a.Content); err != nil {
		return nil, err
	}
	if _, err := s.signaturePublicKey(p.Signer); err != nil {
		return nil, err
	}
	random := p.Rand
	if random == nil {
		random = rand.Reader
	}
	if err := s.sign(random, p.Signer, &a, nil); err != nil {
		return nil, err
	}
	return (&MLSMessage{Public: &PublicMessage{Content: a.Content, Auth: a.Auth}}).Marshal()
}
