package mls

import (
	"errors"
	"slices"
)

// ContinueOptions is what a group that continues or branches from another takes.
type ContinueOptions struct {
	// KeyPackages are those of the other members, fresh ones: the first of them becomes leaf 1, and so on.
	KeyPackages []KeyPackage
	// Leaf is the own leaf in the new group. Its suite is set.
	Leaf KeyPackageOptions
	// GroupID and Extensions are those of a branch; a continuation has those of the ReInit.
	GroupID    []byte
	Extensions Extensions
	// Commit says more about the first commit; its proposals come after the additions.
	Commit CommitOptions
}

// Continue makes the group that a closed one's ReInit asks for, with the same members and the resumption PSK of the old group (RFC
// 9420 §11.2). tx is opened for the ReInit's group id. It returns the new group in epoch 0, without the others, and the pending
// commit that adds them; confirm it when the delivery service has taken this one, of maybe several members', for the new group.
func (c *Client) Continue(tx Tx, old *Group, o ContinueOptions) (*Group, *PendingCommit, error) {
	if old.spent {
		return nil, nil, ErrSpent
	}
	r := old.Closed()
	if r == nil {
		return nil, nil, errNotClosed
	}
	if r.Version != MLS10 {
		return nil, nil, &UnsupportedTypeError{"protocol version", uint16(r.Version)}
	}
	o.GroupID, o.Extensions, o.Leaf.Suite = r.GroupID, r.Extensions, r.Suite
	return c.bootstrap(tx, old, o, UsageReInit)
}

// Branch makes a group of some of the members of old, with its parameters and its resumption PSK (RFC 9420 §11.3). tx is opened for
// o.GroupID. It returns as Continue does.
func (c *Client) Branch(tx Tx, old *Group, o ContinueOptions) (*Group, *PendingCommit, error) {
	if err := old.open(); err != nil {
		return nil, nil, err
	}
	o.Leaf.Suite = old.Suite()
	return c.bootstrap(tx, old, o, UsageBranch)
}

func (c *Client) bootstrap(tx Tx, old *Group, o ContinueOptions, usage ResumptionUsage) (*Group, *PendingCommit, error) {
	if err := c.sameMembers(old, o, usage); err != nil {
		return nil, nil, err
	}
	g, err := c.Create(tx, o.GroupID, o.Leaf, o.Extensions)
	if err != nil {
		return nil, nil, err
	}
	commit := o.Commit
	commit.Proposals = nil
	for i := range o.KeyPackages {
		commit.Proposals = append(commit.Proposals, &Add{KeyPackage: o.KeyPackages[i]})
	}
	commit.Proposals = append(append(commit.Proposals, o.Commit.Proposals...), &PreSharedKey{PSK: PreSharedKeyID{
		Type: PSKResumption, Usage: usage, GroupID: slices.Clone(old.ID()), Epoch: old.Epoch()}})
	use := pskReInit
	if usage == UsageBranch {
		use = pskBranch
	}
	resumption, external := lookupPSK(tx, old.state), lookupPSK(tx, nil)
	p, err := g.commit(tx, commit, use, func(id *PreSharedKeyID) ([]byte, error) {
		if isBootstrap(id) {
			return resumption(id)
		}
		return external(id)
	})
	return g, p, err
}

// sameMembers checks that the others are members of the old group and, for a ReInit, all of them.
func (c *Client) sameMembers(old *Group, o ContinueOptions, usage ResumptionUsage) error {
	own := old.state.tree.leaf(old.Own())
	same := c.config.Identity.SameClient
	found := map[LeafIndex]bool{old.Own(): true}
	if !same(own.Credential, o.Leaf.Credential) {
		return errors.New("mls: the own leaf of the new group is of another client than that of the old one")
	}
	for i := range o.KeyPackages {
		in := false
		for at, l := range old.state.tree.members {
			if !found[at] && same(l.Credential, o.KeyPackages[i].Leaf.Credential) {
				found[at], in = true, true
				break
			}
		}
		if !in {
			return refuse("11.2", "key package %d is of no other member of the old group", i)
		}
	}
	if usage == UsageReInit {
		for i := range old.state.tree.members {
			if !found[i] {
				return refuse("11.2", "there is no key package of the old group's leaf %d", i)
			}
		}
	}
	return nil
}
