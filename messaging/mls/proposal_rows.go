package mls

import (
	"errors"
	"fmt"
	"math"
)

// storedProposal is a verified proposal of the current epoch: a RowProposal.
type storedProposal struct {
	cachedProposal
	// sent is the digest of the message if it is this member's own, by which it is recognised when it comes back; else zero.
	sent digest
}

// proposalMax bounds one proposal that is stored, in octets. A key package with a chain of certificates is far smaller.
const proposalMax = 1 << 16

func proposalKey(epoch uint64, i int) Key {
	return Key{Row: RowProposal, Epoch: epoch, Index: uint32(i)}
}

func updateKey(epoch uint64, i int) Key { return Key{Row: RowUpdate, Epoch: epoch, Index: uint32(i)} }

// store writes p as number i of the epoch.
func (p *storedProposal) store(tx Tx, epoch uint64, i int) error {
	var e encoder
	e.u8(rowVersion)
	e.raw(p.sent[:])
	e.opaque(p.ref)
	p.sender.encode(&e)
	encodeProposal(&e, p.proposal)
	if e.err != nil {
		return e.err
	}
	return tx.Put(proposalKey(epoch, i), e.buf)
}

// loadProposals reads the proposals of the epoch, which are numbered without gaps.
func loadProposals(tx Tx, epoch uint64) ([]storedProposal, error) {
	var list []storedProposal
	for i := 0; i < math.MaxUint32; i++ {
		row, err := tx.Get(proposalKey(epoch, i))
		if err != nil || row == nil {
			return list, err
		}
		p, err := decodeStoredProposal(row)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return nil, errors.New("mls: too many proposal rows")
}

func decodeStoredProposal(row []byte) (p storedProposal, err error) {
	d := newDecoder("proposal row", row)
	if v := d.u8(); v != rowVersion {
		d.unsupported("row version", uint16(v))
	}
	copy(p.sent[:], d.take(len(p.sent)))
	p.ref = d.opaque()
	p.sender.decode(d)
	p.proposal = decodeProposal(d)
	return p, d.finish()
}

// dropProposals deletes the epoch's n proposals and the private keys of own Updates among them.
func dropProposals(tx Tx, epoch uint64, n int) error {
	for i := range n {
		if err := errors.Join(tx.Delete(proposalKey(epoch, i)), tx.Delete(updateKey(epoch, i))); err != nil {
			return err
		}
	}
	return nil
}

// findProposal returns the stored proposal with that reference.
func (g *Group) findProposal(ref []byte) (cachedProposal, bool) {
	for i := range g.proposals {
		if string(g.proposals[i].ref) == string(ref) {
			return g.proposals[i].cachedProposal, true
		}
	}
	return cachedProposal{}, false
}

// newProposal checks a verified proposal by itself, and that there is room for it. sent is set by the caller if it is an own one.
func (g *Group) newProposal(a *AuthenticatedContent) (*storedProposal, error) {
	if have, most := len(g.proposals), g.client.config.Policy.ProposalsMax; have >= most {
		return nil, fmt.Errorf("mls: %d proposals wait in this epoch already, at most %d are kept", have, most)
	}
	encoded, err := marshal(a)
	if err != nil {
		return nil, err
	}
	if len(encoded) > proposalMax {
		return nil, fmt.Errorf("mls: a proposal of %d octets, at most %d are kept", len(encoded), proposalMax)
	}
	p := &storedProposal{cachedProposal: cachedProposal{g.state.suite.proposalRef(encoded), a.Content.Proposal, a.Content.Sender}}
	if _, known := g.findProposal(p.ref); known {
		return nil, ErrConsumed
	}
	return p, g.state.checkProposal(p.cachedProposal, g.client.leafPolicy())
}

// keep stores p as the next proposal of the epoch.
func (g *Group) keep(tx Tx, p *storedProposal) error {
	err := p.store(tx, g.Epoch(), len(g.proposals))
	if err == nil {
		g.proposals = append(g.proposals, *p)
	}
	return err
}

// tryList checks all that RFC 9420 §12.2 says of a list, but for the committer's path.
func (g *groupState) tryList(listed []listedProposal, committer Sender, use pskContext, policy leafPolicy, allow func(changeView) error) error {
	list, err := g.checkList(listed, committer, use)
	if err != nil {
		return err
	}
	a, err := g.apply(list, policy)
	if err != nil {
		return err
	}
	if err := a.rules.checkTree(a.tree, a.changed); err != nil {
		return err
	}
	if allow == nil {
		return nil
	}
	return allow(changeView{committer, LeafIndex(committer.Index), listed, a.tree, list.pathRequired})
}
