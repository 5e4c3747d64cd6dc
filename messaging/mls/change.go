package mls

// Change is a commit as the application's rule sees it, Policy.Allow: who wants to change what. All of it was validated: signatures,
// credentials, and that the proposals go together.
type Change struct {
	GroupID []byte
	Epoch   uint64 // that the commit ends
	Own     bool   // this client makes the commit
	// External: the committer joins by the commit itself (RFC 9420 §12.4.3.2). With a Remove proposal it replaces its old leaf.
	External bool
	// Committer is the committer's leaf as it will be. While stored proposals are being chosen for an own commit it is as it is.
	Committer Member
	Path      bool // the committer's keys are renewed
	Proposals []ProposedChange
	tree      *ratchetTree
}

// Members returns all members after the commit, by leaf index.
func (c *Change) Members() []Member { return c.tree.allMembers() }

// ProposedChange is one proposal of a commit.
type ProposedChange struct {
	Proposal Proposal
	Sender   Sender
	Member   Member // who proposed it, as a member of the epoch that ends, if it is one
	Target   Member // of a Remove or SelfRemove: the member to be removed
}

// allow returns the application's rule in the form that commits are checked with.
func (c *Client) allow(before *groupState, own bool) func(changeView) error {
	rule := c.config.Policy.Allow
	if rule == nil {
		return nil
	}
	return func(v changeView) error {
		committer, _ := v.tree.memberAt(v.at)
		change := Change{
			GroupID: before.context.GroupID, Epoch: before.context.Epoch, Own: own, External: v.sender.Type == SenderNewMemberCommit,
			Committer: committer, Path: v.path, tree: v.tree,
		}
		for _, p := range v.list {
			one := ProposedChange{Proposal: p.Proposal, Sender: p.sender}
			if p.sender.Type == SenderMember {
				one.Member, _ = before.tree.memberAt(LeafIndex(p.sender.Index))
			}
			switch r := p.Proposal.(type) {
			case *Remove:
				one.Target, _ = before.tree.memberAt(r.Removed)
			case *SelfRemove:
				one.Target = one.Member
			}
			change.Proposals = append(change.Proposals, one)
		}
		if err := rule(&change); err != nil {
			return &NotAllowedError{err}
		}
		return nil
	}
}

// NotAllowedError is the refusal of a commit by Policy.Allow.
type NotAllowedError struct{ Err error }

func (e *NotAllowedError) Error() string { return "mls: the commit is not allowed: " + e.Err.Error() }

// Unwrap returns what Policy.Allow said.
func (e *NotAllowedError) Unwrap() error { return e.Err }
