package mls

import (
	"bytes"
	"errors"
	"time"
)

// PublicGroup is a group as somebody sees it who is not a member and has no secrets: a relay that refuses malformed commits, an
// auditor. It follows handshake messages that are sent as PublicMessage and checks them by the rules that members go by.
//
// What needs secrets it cannot check, and does not: membership tags, confirmation tags (their length only), whether the encrypted path
// secrets decrypt to the keys beside them, and whether pre-shared keys are known. What it refuses, members with the same
// IdentityProvider and time refuse; what it accepts, they may still refuse, so nobody may be held to a commit on its word alone (RFC
// 9750 §5.3). Confirm closes that gap with the GroupInfo of a member.
//
// A PublicGroup is used by one goroutine at a time.
type PublicGroup struct {
	options   PublicGroupOptions
	state     *groupState // without secrets and keys
	proposals map[string]cachedProposal
}

// PublicGroupOptions says what a PublicGroup judges by.
type PublicGroupOptions struct {
	Identity IdentityProvider // required
	Now      func() time.Time // required
	// LeafLifetimeMax is the longest lifetime that the leaf of a key package may have (RFC 9420 §7.2). Zero means what it means in a
	// Policy.
	LeafLifetimeMax time.Duration
	// ProposalsMax is how many proposals are kept for the commit of an epoch. Zero means 1,024.
	ProposalsMax int
}

// outsider is the leaf index of somebody who is not in the group: none that a tree can have.
const outsider LeafIndex = 1<<32 - 1

func (o PublicGroupOptions) complete() (PublicGroupOptions, error) {
	if o.Identity == nil || o.Now == nil {
		return o, errors.New("mls: a PublicGroup needs an IdentityProvider and a clock")
	}
	orDefault(&o.LeafLifetimeMax, defaultLifetime)
	orDefault(&o.ProposalsMax, defaultProposalsMax)
	return o, nil
}

func (o *PublicGroupOptions) policy() leafPolicy {
	return leafPolicy{identity: o.Identity, now: o.Now().Unix(), lifetimeMax: uint64(max(o.LeafLifetimeMax/time.Second, 0))}
}

// NewPublicGroup returns the group that info describes, after all checks of somebody who joins (RFC 9420 §12.4.3.1). tree is the
// encoded ratchet tree, or nil if info has it.
func NewPublicGroup(info *GroupInfo, tree []byte, o PublicGroupOptions) (*PublicGroup, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	state, err := outsiderState(info, tree, o.policy())
	if err != nil {
		return nil, err
	}
	state.keys = &treeKeys{index: outsider}
	return &PublicGroup{options: o, state: state, proposals: map[string]cachedProposal{}}, nil
}

// outsiderState returns the state of a group without secrets and keys, from a GroupInfo that it validates.
func outsiderState(info *GroupInfo, encodedTree []byte, policy leafPolicy) (*groupState, error) {
	s, err := lookupSuite(info.Context.Suite)
	if err != nil {
		return nil, err
	}
	if len(info.ConfirmationTag) != s.nh {
		return nil, refuse("6.1", "confirmation tag of %d octets", len(info.ConfirmationTag))
	}
	tree, err := verifyGroupInfo(s, info, encodedTree, policy)
	if err != nil {
		return nil, err
	}
	g := &groupState{suite: s, tree: tree, confirmationTag: bytes.Clone(info.ConfirmationTag)}
	if err := g.setContext(info.Context); err != nil {
		return nil, err
	}
	g.interim = s.interimTranscriptHash(info.Context.ConfirmedTranscriptHash, info.ConfirmationTag)
	return g, nil
}

// PublicEvent is *PublicProposal or *PublicCommit.
type PublicEvent interface{ publicEvent() }

// PublicProposal is a proposal that was kept for the commit of the epoch.
type PublicProposal struct {
	Ref      []byte // by which a commit refers to it
	Sender   Sender
	Proposal Proposal
}

// PublicCommit is a commit that breaks no rule that can be checked without secrets. It has changed nothing yet.
type PublicCommit struct {
	Sender            Sender
	Committer         Member // as it is after the commit
	Epoch             uint64 // that the commit begins
	Added, Removed    []Member
	Extensions        Extensions // of the group, after the commit
	ReInit            *ReInit    // the commit closes the group
	AuthenticatedData []byte
	from, next        *groupState
}

func (*PublicProposal) publicEvent() {}
func (*PublicCommit) publicEvent()   {}

// ErrNotPublic is the error of a message that only members can read.
var ErrNotPublic = errors.New("mls: the message is not a PublicMessage: only members can read it")

// Process checks a message (an encoded MLSMessage). A proposal is kept until the epoch ends; a commit is returned and changes nothing
// until Merge. Errors: *DecodeError, *RuleError, ErrWrongGroup, ErrWrongEpoch, ErrNotPublic; after one nothing has changed.
func (g *PublicGroup) Process(message []byte) (PublicEvent, error) {
	m, err := ParseMLSMessage(message)
	if err != nil {
		return nil, err
	}
	if m.Public == nil {
		return nil, ErrNotPublic
	}
	v, err := g.state.openPublicly(m.Public)
	if err != nil {
		return nil, err
	}
	if v.Content.Type == ContentCommit {
		return g.stage(v)
	}
	return g.keep(v)
}

// openPublicly verifies a PublicMessage as far as somebody without secrets can.
func (g *groupState) openPublicly(p *PublicMessage) (verifiedContent, error) {
	external, err := g.context.Extensions.externalSenders()
	if err != nil {
		return verifiedContent{}, err
	}
	epoch := &messageEpoch{suite: g.suite, groupID: g.context.GroupID, epoch: g.context.Epoch, context: g.encodedContext,
		outsider: true, own: outsider, verifyKey: g.tree.verifyKey, external: external}
	u := new(unverifiedContent)
	if err := epoch.openPublic(p, u); err != nil {
		return verifiedContent{}, err
	}
	return epoch.verify(u)
}

// cacheable returns a verified proposal as a commit can refer to it.
func (s *suite) cacheable(v verifiedContent) (cachedProposal, error) {
	raw, err := marshal(v.AuthenticatedContent)
	if err != nil {
		return cachedProposal{}, err
	}
	return cachedProposal{ref: s.proposalRef(raw), proposal: v.Content.Proposal, sender: v.Content.Sender}, nil
}

// keep stores a proposal that some commit of the epoch could cover.
func (g *PublicGroup) keep(v verifiedContent) (PublicEvent, error) {
	c, err := g.state.suite.cacheable(v)
	if err != nil {
		return nil, err
	}
	if _, known := g.proposals[string(c.ref)]; !known {
		if len(g.proposals) >= g.options.ProposalsMax {
			return nil, refuse("12.4", "%d proposals wait for a commit already", len(g.proposals))
		}
		if err := g.state.checkProposal(c, g.options.policy()); err != nil {
			return nil, err
		}
		g.proposals[string(c.ref)] = c
	}
	return &PublicProposal{c.ref, c.sender, c.proposal}, nil
}

// checkProposal refuses a proposal that no commit of the epoch can cover, whatever else that commit holds: other proposals may change
// who is a member and what members must support, so that is left to the commit.
func (g *groupState) checkProposal(c cachedProposal, policy leafPolicy) error {
	if g.reInit != nil {
		return refuse("12.4.2", "the group was closed by a ReInit")
	}
	l, err := g.checkList([]listedProposal{{c.proposal, c.sender, true}}, Sender{}, pskOrdinary)
	if err != nil {
		return err
	}
	policy.received = true
	rules, err := newLeafRules(g.suite, g.context.GroupID, nil, policy)
	if err != nil {
		return err
	}
	for _, u := range l.updates {
		if err := rules.checkReplacement(g.tree.leaf(u.leaf), u.node, u.leaf, SourceUpdate); err != nil {
			return err
		}
	}
	for _, add := range l.adds {
		if err := rules.checkKeyPackage(&add.KeyPackage); err != nil {
			return err
		}
	}
	return nil
}

// stage checks a commit and computes what follows it.
func (g *PublicGroup) stage(v verifiedContent) (PublicEvent, error) {
	before := g.state
	p, err := before.stagePublic(v, func(ref []byte) (cachedProposal, bool) {
		c, ok := g.proposals[string(ref)]
		return c, ok
	}, g.options.policy())
	if err != nil {
		return nil, err
	}
	next := &groupState{suite: before.suite, tree: p.applied.tree, keys: before.keys, reInit: p.list.reInit}
	if p.context.ConfirmedTranscriptHash, err = before.suite.confirmedTranscriptHash(before.interim, v.AuthenticatedContent); err != nil {
		return nil, err
	}
	if err := next.setContext(p.context); err != nil {
		return nil, err
	}
	next.confirmationTag = v.Auth.ConfirmationTag
	next.interim = next.suite.interimTranscriptHash(p.context.ConfirmedTranscriptHash, v.Auth.ConfirmationTag)
	committer, _ := next.tree.memberAt(p.leaf)
	return &PublicCommit{
		Sender: p.sender, Committer: committer, Epoch: p.context.Epoch, Extensions: p.context.Extensions, ReInit: p.list.reInit,
		Added: next.tree.membersAt(p.added), Removed: before.tree.membersAt(p.removed),
		AuthenticatedData: v.Content.AuthenticatedData, from: before, next: next,
	}, nil
}

// Merge begins the epoch of a commit that this group's Process returned in the current epoch. Proposals of the epoch before are
// forgotten.
func (g *PublicGroup) Merge(c *PublicCommit) error {
	if c == nil || c.from != g.state {
		return errors.New("mls: the commit is not of the group's current epoch")
	}
	g.state = c.next
	clear(g.proposals)
	return nil
}

// Confirm checks that a member agrees with what g holds of the current epoch: info, signed by it, has the same context, and with it
// members, extensions and history, and the same confirmation tag.
func (g *PublicGroup) Confirm(info *GroupInfo) error {
	context, err := marshal(&info.Context)
	if err != nil {
		return err
	}
	if !bytes.Equal(context, g.state.encodedContext) || !bytes.Equal(info.ConfirmationTag, g.state.confirmationTag) {
		return refuse("12.4.3", "the GroupInfo is of another state of the group")
	}
	return verifyInfoSignature(g.state.suite, info, g.state.tree)
}

// Marshal returns the group as bytes for ParsePublicGroup. The proposals that wait for a commit are not in it.
func (g *PublicGroup) Marshal() ([]byte, error) { return g.state.encodeEpoch() }

// ParsePublicGroup reads what Marshal wrote, which must come from a place that nobody else writes to: it is not validated again.
func ParsePublicGroup(b []byte, o PublicGroupOptions) (*PublicGroup, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	state, own, err := decodeEpoch(bytes.Clone(b))
	if err != nil {
		return nil, err
	}
	if own != outsider {
		return nil, errors.New("mls: the row is a member's, not of a PublicGroup")
	}
	state.keys = &treeKeys{index: outsider}
	return &PublicGroup{options: o, state: state, proposals: map[string]cachedProposal{}}, nil
}

// ID returns the group id.
func (g *PublicGroup) ID() []byte { return g.state.context.GroupID }

// Suite returns the group's cipher suite.
func (g *PublicGroup) Suite() CipherSuite { return g.state.suite.id }

// Epoch returns the number of the current epoch.
func (g *PublicGroup) Epoch() uint64 { return g.state.context.Epoch }

// Context returns what members agree on: epoch, tree hash, transcript hash, extensions (RFC 9420 §8.1).
func (g *PublicGroup) Context() GroupContext { return g.state.context }

// Members returns the members by leaf, from the left.
func (g *PublicGroup) Members() []Member { return g.state.tree.allMembers() }

// Closed returns the ReInit that closed the group, or nil.
func (g *PublicGroup) Closed() *ReInit { return g.state.reInit }

// Tree returns the ratchet tree, encoded as in the ratchet_tree extension.
func (g *PublicGroup) Tree() ([]byte, error) { return marshal(g.state.tree) }
