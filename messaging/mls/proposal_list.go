package mls

import (
	"bytes"
	"slices"
)

// listedProposal is one proposal that a commit covers.
type listedProposal struct {
	Proposal
	sender Sender // who proposed it: the committer, if by value
	byRef  bool
}

// cachedProposal is a verified proposal of the current epoch that a commit can refer to (RFC 9420 §12.1).
type cachedProposal struct {
	ref      []byte
	proposal Proposal
	sender   Sender
}

// proposalLookup finds a proposal of the current epoch by its reference.
type proposalLookup func(ref []byte) (cachedProposal, bool)

// resolve returns the proposals that a commit covers, in its order.
func resolve(commit *Commit, committer Sender, lookup proposalLookup) ([]listedProposal, error) {
	list := make([]listedProposal, 0, len(commit.Proposals))
	seen := map[string]bool{}
	for i, p := range commit.Proposals {
		if p.Proposal != nil {
			list = append(list, listedProposal{Proposal: p.Proposal, sender: committer})
			continue
		}
		cached, ok := lookup(p.Reference)
		if !ok {
			return nil, refuse("12.4", "proposal %d of the commit is referred to and was not received", i)
		}
		if seen[string(p.Reference)] {
			return nil, refuse("12.4", "the commit refers to a proposal twice")
		}
		seen[string(p.Reference)] = true
		if committer.Type == SenderNewMemberCommit && cached.proposal.Type() != ProposalSelfRemove {
			return nil, refuse("12.4.3.2", "an external commit refers to a proposal of type %d", cached.proposal.Type())
		}
		list = append(list, listedProposal{Proposal: cached.proposal, sender: cached.sender, byRef: true})
	}
	return list, nil
}

// proposalList is a valid list, sorted by what is done with it (RFC 9420 §12.3).
type proposalList struct {
	extensions   *GroupContextExtensions
	updates      []listedUpdate
	selfRemoves  []LeafIndex
	removes      []LeafIndex // by Remove
	adds         []*Add
	psks         []PreSharedKeyID
	externalInit *ExternalInit
	reInit       *ReInit
	pathRequired bool
}

// removed returns the leaves that the list removes, in the order in which that is done.
func (l *proposalList) removed() []LeafIndex { return slices.Concat(l.selfRemoves, l.removes) }

type listedUpdate struct {
	leaf LeafIndex
	node *LeafNode
}

// pskContext says for which resumption PSKs a commit may ask (RFC 9420 §12.1.4).
type pskContext uint8

const (
	pskOrdinary pskContext = iota // neither reinit nor branch
	pskReInit                     // the first commit of a group that continues another
	pskBranch                     // the first commit of a subgroup
)

// checkList checks a list against the rules of RFC 9420 §12.2 that need no new tree, for a commit by committer. What is left
// is done by apply and checkAfter.
func (g *groupState) checkList(list []listedProposal, committer Sender, use pskContext) (*proposalList, error) {
	external := committer.Type == SenderNewMemberCommit
	l := new(proposalList)
	touched := map[LeafIndex]bool{} // by Update, Remove or SelfRemove
	for _, item := range list {
		t := item.Type()
		if t.pathRequired() {
			l.pathRequired = true
		}
		if item.sender.Type == SenderExternal && !t.externalAllowed() {
			return nil, refuse("12.1.8", "a proposal of type %d by an external sender", t)
		}
		if item.sender.Type == SenderNewMemberProposal && t != ProposalAdd {
			return nil, refuse("6.1", "a proposal of type %d by a new member", t)
		}
		if external && t != ProposalExternalInit && t != ProposalRemove && t != ProposalPSK && t != ProposalSelfRemove {
			return nil, refuse("12.2", "an external commit has a proposal of type %d", t)
		}
		switch p := item.Proposal.(type) {
		case *Add:
			l.adds = append(l.adds, p)
		case *Update:
			if err := g.checkUpdate(item, committer, touched); err != nil {
				return nil, err
			}
			l.updates = append(l.updates, listedUpdate{LeafIndex(item.sender.Index), &p.Leaf})
		case *Remove:
			if g.tree.leaf(p.Removed) == nil {
				return nil, refuse("12.1.3", "leaf %d, which is to be removed, is blank", p.Removed)
			}
			if committer == (Sender{SenderMember, uint32(p.Removed)}) {
				return nil, refuse("12.2", "the committer removes itself")
			}
			if touched[p.Removed] {
				return nil, refuse("12.2", "leaf %d is updated or removed twice", p.Removed)
			}
			touched[p.Removed] = true
			l.removes = append(l.removes, p.Removed)
		case *SelfRemove:
			if err := g.checkSelfRemove(item, committer, touched); err != nil {
				return nil, err
			}
			l.selfRemoves = append(l.selfRemoves, LeafIndex(item.sender.Index))
		case *PreSharedKey:
			if err := g.checkPSK(&p.PSK, use); err != nil {
				return nil, err
			}
			if slices.ContainsFunc(l.psks, func(q PreSharedKeyID) bool { return samePSK(&q, &p.PSK) }) {
				return nil, refuse("12.2", "a pre-shared key is proposed twice")
			}
			l.psks = append(l.psks, p.PSK)
		case *ReInit:
			if len(list) != 1 {
				return nil, refuse("12.2", "a ReInit proposal together with %d others", len(list)-1)
			}
			if p.Version < g.context.Version {
				return nil, refuse("12.1.5", "ReInit to an older version")
			}
			l.reInit = p
		case *ExternalInit:
			if !external {
				return nil, refuse("12.2", "an ExternalInit proposal in a member's commit")
			}
			if l.externalInit != nil {
				return nil, refuse("12.2", "two ExternalInit proposals")
			}
			l.externalInit = p
		case *GroupContextExtensions:
			if l.extensions != nil {
				return nil, refuse("12.2", "two GroupContextExtensions proposals")
			}
			l.extensions = p
		default:
			return nil, refuse("12.2", "a proposal of type %d, which is not supported", t)
		}
	}
	if external {
		if l.externalInit == nil {
			return nil, refuse("12.2", "an external commit without ExternalInit")
		}
		if len(l.removes) > 1 {
			return nil, refuse("12.2", "an external commit removes %d members", len(l.removes))
		}
	}
	return l, nil
}

// checkUpdate checks who proposed an Update and that nothing else touches the leaf.
func (g *groupState) checkUpdate(item listedProposal, committer Sender, touched map[LeafIndex]bool) error {
	at := LeafIndex(item.sender.Index)
	switch {
	case item.sender.Type != SenderMember:
		return refuse("12.1.2", "an Update that no member proposed")
	case item.sender == committer || !item.byRef:
		return refuse("12.2", "the committer's own Update")
	case g.tree.leaf(at) == nil:
		return refuse("12.1.2", "an Update of leaf %d, which is blank", at)
	case touched[at]:
		return refuse("12.2", "leaf %d is updated or removed twice", at)
	}
	touched[at] = true
	return nil
}

// checkSelfRemove checks who proposed a SelfRemove, and that nothing else touches the leaf (draft-ietf-mls-extensions).
func (g *groupState) checkSelfRemove(item listedProposal, committer Sender, touched map[LeafIndex]bool) error {
	at := LeafIndex(item.sender.Index)
	switch {
	case item.sender.Type != SenderMember:
		return refuse("12.2", "a SelfRemove that no member proposed")
	case !item.byRef:
		return refuse("12.2", "a SelfRemove by value")
	case item.sender == committer:
		return refuse("12.2", "the committer removes itself")
	case g.tree.leaf(at) == nil:
		return refuse("12.1.3", "leaf %d, which removes itself, is blank", at)
	case touched[at]:
		return refuse("12.2", "leaf %d is updated or removed twice", at)
	}
	touched[at] = true
	return nil
}

// checkPSK checks one PreSharedKey proposal (RFC 9420 §12.1.4).
func (g *groupState) checkPSK(id *PreSharedKeyID, use pskContext) error {
	if len(id.Nonce) != g.suite.nh {
		return refuse("12.1.4", "PSK nonce of %d octets, want %d", len(id.Nonce), g.suite.nh)
	}
	if id.Type == PSKResumption {
		if id.Usage == UsageReInit && use != pskReInit || id.Usage == UsageBranch && use != pskBranch {
			return refuse("12.1.4", "a resumption PSK of usage %d outside of its operation", id.Usage)
		}
	}
	return nil
}

// samePSK reports whether two proposals have one PreSharedKeyID, of which the nonce is a part.
func samePSK(a, b *PreSharedKeyID) bool {
	return a.Type == b.Type && bytes.Equal(a.ID, b.ID) && a.Usage == b.Usage && bytes.Equal(a.GroupID, b.GroupID) && a.Epoch == b.Epoch && bytes.Equal(a.Nonce, b.Nonce)
}

// appliedList is the tree and extensions after a list of proposals was applied, before the path.
type appliedList struct {
	tree       *ratchetTree
	extensions Extensions
	rules      *leafRules
	added      []LeafIndex // by Add
	changed    []LeafIndex // leaves that entered or changed
}

// apply applies a list in the order of RFC 9420 §12.3 to a copy of the tree and validates the leaves that enter.
func (g *groupState) apply(l *proposalList, policy leafPolicy) (*appliedList, error) {
	a := &appliedList{tree: g.tree.clone(), extensions: g.context.Extensions}
	if l.extensions != nil {
		a.extensions = l.extensions.Extensions
	}
	var err error
	if a.rules, err = newLeafRules(g.suite, g.context.GroupID, a.extensions, policy); err != nil {
		return nil, err
	}
	for _, u := range l.updates {
		if err := a.rules.checkReplacement(g.tree.leaf(u.leaf), u.node, u.leaf, SourceUpdate); err != nil {
			return nil, err
		}
		a.tree.update(u.leaf, u.node)
		a.changed = append(a.changed, u.leaf)
	}
	removed := l.removed()
	for _, r := range removed {
		if err := a.tree.remove(r); err != nil {
			return nil, err
		}
	}
	if len(l.selfRemoves) > 0 { // the one type that not every client supports (§12.2); who is added or removed need not
		for i, member := range a.tree.members {
			if !slices.Contains(member.Capabilities.Proposals, ProposalSelfRemove) {
				return nil, refuse("12.2", "a SelfRemove, which leaf node %d does not support", i)
			}
		}
	}
	if len(removed) > 0 {
		a.tree.truncate()
	}
	initKeys := make(map[string]bool, len(l.adds))
	for _, add := range l.adds {
		k := &add.KeyPackage
		if err := a.rules.checkKeyPackage(k); err != nil {
			return nil, err
		}
		for i, member := range a.tree.members {
			if bytes.Equal(member.SignatureKey, k.Leaf.SignatureKey) || policy.identity.SameClient(member.Credential, k.Leaf.Credential) {
				return nil, refuse("12.2", "an Add of the client that is at leaf %d", i)
			}
		}
		if initKeys[string(k.InitKey)] {
			return nil, refuse("10", "two Adds have one init key")
		}
		initKeys[string(k.InitKey)] = true
		i, err := a.tree.add(&k.Leaf)
		if err != nil {
			return nil, err
		}
		a.added = append(a.added, i)
		a.changed = append(a.changed, i)
	}
	if l.extensions != nil {
		if err := a.rules.checkExternalSenders(g.context.Extensions); err != nil {
			return nil, err
		}
		for i, member := range a.tree.members {
			if err := a.rules.checkCapabilities(member, i); err != nil {
				return nil, refuseFor(err, "12.1.7", "the new group context extensions")
			}
		}
	}
	return a, nil
}

// checkReplacement validates a leaf that takes the place of old (RFC 9420 §7.3, §5.3.1).
func (r *leafRules) checkReplacement(old, next *LeafNode, index LeafIndex, source LeafNodeSource) error {
	if err := r.check(next, index, source); err != nil {
		return err
	}
	if bytes.Equal(old.EncryptionKey, next.EncryptionKey) {
		return refuse("7.3", "the new leaf node %d has the encryption key of the old one", index)
	}
	return r.checkSuccessor(old, next, index)
}

// checkSuccessor asks the application whether a member may change its credential like that.
func (r *leafRules) checkSuccessor(old, next *LeafNode, index LeafIndex) error {
	if err := r.identity.ValidSuccessor(old.Credential, next.Credential); err != nil {
		return refuseFor(err, "5.3.1", "the new credential of leaf node %d", index)
	}
	return nil
}
