package mls

import (
	"crypto"
	"errors"
	"slices"
)

// Errors of commits that the group's state does not allow.
var (
	// ErrPending: an own commit waits for its confirmation. Confirm or Discard it first.
	ErrPending = errors.New("mls: an own commit waits to be confirmed or discarded")
	// ErrNotPending: the commit to be confirmed or discarded is not the one that waits.
	ErrNotPending = errors.New("mls: the commit is not the one that waits")
)

// CommitOptions says what a commit to be made holds. The zero value commits what waits, or, if nothing does, renews the member's keys.
type CommitOptions struct {
	// Proposals are committed by value: the member's own. A PreSharedKey proposal without a nonce gets one.
	Proposals []Proposal
	// SkipStored leaves out the proposals that wait, although RFC 9420 §12.4 asks to commit them. Otherwise all are committed that
	// are valid together, preferring removals, then the newest updates (§12.2).
	SkipStored bool
	// Path renews the member's keys although the proposals do not require it.
	Path bool
	// NextSigner, if not nil, is one of the client's signers: the member's leaf gets its key. It takes a path.
	NextSigner crypto.Signer
	// Leaf, if not nil, changes the member's leaf before it is signed: credential, capabilities, extensions. It takes a path.
	Leaf              func(*LeafNode)
	AuthenticatedData []byte // signed, in the clear
	// GroupInfo asks for the GroupInfo of the epoch that the commit begins, without the ratchet tree if OmitTree; whoever has it may
	// join by an external commit if ExternalPub.
	GroupInfo, ExternalPub bool
	// OmitTree leaves the ratchet tree out of Welcome and GroupInfo.
	OmitTree bool
	// Public sends the commit as PublicMessage whatever the policy says.
	Public bool
}

// Commit makes a commit and stores it, with the state it leads to, until it is confirmed or discarded; the group stays as it is. The
// message may be sent when the transaction is durable.
func (g *Group) Commit(tx Tx, o CommitOptions) (*PendingCommit, error) {
	return g.commit(tx, o, pskOrdinary, lookupPSK(tx, g.state))
}

func (g *Group) commit(tx Tx, o CommitOptions, use pskContext, psk pskLookup) (*PendingCommit, error) {
	if err := g.open(); err != nil {
		return nil, err
	}
	if g.pending != (waiting{}) {
		return nil, ErrPending
	}
	req := commitRequest{
		path: o.Path || o.NextSigner != nil || o.Leaf != nil, leaf: o.Leaf, signer: g.signer, wireFormat: g.handshakeFormat(o.Public),
		authenticatedData: o.AuthenticatedData, use: use, psk: psk, policy: g.client.leafPolicy(), allow: g.client.allow(g.state, true),
		groupInfo: groupInfoOptions{omitTree: o.OmitTree},
	}
	var err error
	nextSigner := g.signer
	if o.NextSigner != nil {
		if req.nextSigner, err = g.client.known(g.state.suite, o.NextSigner); err != nil {
			return nil, err
		}
		nextSigner = req.nextSigner
	}
	for _, p := range o.Proposals {
		if p == nil {
			return nil, errors.New("mls: a proposal is nil")
		}
		if p, err = g.client.withNonce(g.state.suite, p); err != nil {
			return nil, err
		}
		req.byValue = append(req.byValue, p)
	}
	if !o.SkipStored {
		req.byReference = g.choose(req)
	}
	made, err := g.state.makeCommit(g.client.config.Rand, req)
	if err != nil {
		return nil, err
	}
	p := &PendingCommit{next: made.next, added: made.added, removed: made.list.removed()}
	if p.message, err = g.protect(tx, &made.content); err != nil {
		return nil, err
	}
	if made.welcome != nil {
		if p.welcome, err = (&MLSMessage{Welcome: made.welcome}).Marshal(); err != nil {
			return nil, err
		}
	}
	if o.GroupInfo {
		if p.groupInfo, err = p.next.encodeGroupInfo(g.client, nextSigner, groupInfoOptions{omitTree: o.OmitTree, externalPub: o.ExternalPub}); err != nil {
			return nil, err
		}
	}
	if err := p.store(tx); err != nil {
		return nil, err
	}
	g.pending = p.waiting()
	return p, nil
}

// choose returns the stored proposals that an own commit covers besides those by value: as many as are valid together, in the order
// of preference of RFC 9420 §12.2.
func (g *Group) choose(req commitRequest) []cachedProposal {
	own := Sender{SenderMember, uint32(g.Own())}
	var removes, updates, rest, last []cachedProposal
	for _, p := range g.proposals {
		switch t := p.proposal.(type) {
		case *Remove:
			if t.Removed != g.Own() {
				removes = append(removes, p.cachedProposal)
			}
		case *SelfRemove:
			if p.sender != own {
				removes = append(removes, p.cachedProposal)
			}
		case *Update:
			if p.sender != own {
				updates = append(updates, p.cachedProposal)
			}
		case *ReInit:
			last = append(last, p.cachedProposal)
		default:
			rest = append(rest, p.cachedProposal)
		}
	}
	slices.Reverse(updates) // the newest of a member first
	all := slices.Concat(removes, updates, rest, last)
	if len(all) == 0 {
		return nil
	}
	list := func(refs []cachedProposal) (listed []listedProposal) {
		for _, p := range refs {
			listed = append(listed, listedProposal{Proposal: p.proposal, sender: p.sender, byRef: true})
		}
		for _, p := range req.byValue {
			listed = append(listed, listedProposal{Proposal: p, sender: own})
		}
		return listed
	}
	valid := func(refs []cachedProposal) bool {
		if err := g.state.tryList(list(refs), own, req.use, req.policy, req.allow); err != nil {
			return false
		}
		for _, p := range refs {
			if psk, ok := p.proposal.(*PreSharedKey); ok {
				key, err := req.psk(&psk.PSK)
				wipe(key)
				if err != nil {
					return false
				}
			}
		}
		return true
	}
	if valid(all) {
		return all
	}
	var chosen []cachedProposal
	for _, p := range all {
		if with := append(slices.Clone(chosen), p); valid(with) {
			chosen = with
		}
	}
	return chosen
}

// Pending returns the own commit that waits, also after a restart, or nil.
func (g *Group) Pending(tx Tx) (*PendingCommit, error) {
	if g.spent {
		return nil, ErrSpent
	}
	return loadPending(tx)
}

// Confirm makes the epoch that p begins the group's: the delivery service has accepted p. It returns the next Group; g is spent.
func (g *Group) Confirm(tx Tx, p *PendingCommit) (*Group, error) {
	if g.spent {
		return nil, ErrSpent
	}
	if p.digest != g.pending.digest {
		return nil, ErrNotPending
	}
	if p.external {
		return g.client.enter(tx, g, p)
	}
	return g.advance(tx, p.next)
}

// Discard forgets the own commit that waits: the delivery service has refused it. If in doubt, do not: a commit that was accepted
// after all cannot be followed any more.
func (g *Group) Discard(tx Tx, p *PendingCommit) error {
	if g.spent {
		return ErrSpent
	}
	if p.digest != g.pending.digest {
		return ErrNotPending
	}
	g.pending = waiting{}
	p.wipe()
	return tx.Delete(Key{Row: RowPending})
}
