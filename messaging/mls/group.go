package mls

import (
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Group is one group in one epoch as this client knows it, parsed and kept by the caller between transactions, so that a message
// costs the same at any group size. Whatever an operation changes is in rows; a Group is never newer or older than they are,
// provided that one rule is kept: if the transaction in which a Group was used does not become durable, drop the Group and Load it
// again. An operation that begins a new epoch returns the next Group and leaves the old one spent.
//
// A Group is used by one goroutine at a time.
type Group struct {
	client    *Client
	state     *groupState
	messages  *messageEpoch
	signer    crypto.Signer // nil if none of the client's fits the own leaf
	proposals []storedProposal
	pending   waiting
	spent     bool
}

// waiting says which own commit waits for the delivery service, in RowPending. Its zero value is none.
type waiting struct {
	digest   digest
	epoch    uint64 // that the commit begins
	external bool   // the client joins by it: the epoch may be far from the one that the client is in
}

// digest is SHA-256 of a message as it was sent: by it the member recognises its own.
type digest [sha256.Size]byte

// group returns the handle of a state whose rows are stored.
func (c *Client) group(state *groupState) (*Group, error) {
	m, err := state.messages(c.limits.ratchet)
	if err != nil {
		return nil, err
	}
	g := &Group{client: c, state: state, messages: m}
	g.signer = c.signers[string(state.tree.leaf(state.keys.index).SignatureKey)]
	return g, nil
}

// ID returns the group's id, not to be changed.
func (g *Group) ID() []byte { return g.state.context.GroupID }

// Epoch returns the number of the epoch.
func (g *Group) Epoch() uint64 { return g.state.context.Epoch }

// Suite returns the group's cipher suite.
func (g *Group) Suite() CipherSuite { return g.state.suite.id }

// Own returns the client's leaf.
func (g *Group) Own() LeafIndex { return g.state.keys.index }

// Extensions returns the extensions of the GroupContext, not to be changed.
func (g *Group) Extensions() Extensions { return g.state.context.Extensions }

// Closed returns the ReInit that closed the group, or nil. A closed group sends nothing and takes no commits (RFC 9420 §12.4.2); a
// group that continues it is made by Client.Continue.
func (g *Group) Closed() *ReInit { return g.state.reInit }

// TreeHash returns the hash of the ratchet tree (RFC 9420 §7.8), not to be changed.
func (g *Group) TreeHash() []byte { return g.state.context.TreeHash }

// Members returns all members by leaf index. They share memory with the Group and are not to be changed.
func (g *Group) Members() []Member { return g.state.tree.allMembers() }

// Member returns the member at a leaf.
func (g *Group) Member(i LeafIndex) (Member, bool) { return g.state.tree.memberAt(i) }

// Export returns n octets that all members of the epoch, and nobody else, can derive: MLS-Exporter of RFC 9420 §8.5. Use a label
// once.
func (g *Group) Export(label string, context []byte, n int) ([]byte, error) {
	if g.spent {
		return nil, ErrSpent
	}
	return g.state.suite.export(g.state.secrets.exporter, label, context, n)
}

// EpochAuthenticator returns a secret that two members compare to learn whether they are in the same epoch of the same group, in
// the view of both (RFC 9420 §8.7). It is nil when the Group is spent.
func (g *Group) EpochAuthenticator() []byte {
	if g.spent {
		return nil
	}
	return append([]byte{}, g.state.secrets.authenticator...)
}

// SafetyCode returns 30 digits in six groups of five for people to compare, by voice or by sight: if they are the same on all
// screens, nobody sits in between, and all have one view of the members. Each group is five octets of the epoch authenticator, from
// its beginning, as a big-endian number modulo 100,000, the way of Discord's DAVE protocol (its "displayable codes"). It changes with
// every epoch. It is empty when the Group is spent.
func (g *Group) SafetyCode() string {
	if g.spent {
		return ""
	}
	return safetyCode(g.state.secrets.authenticator)
}

// safetyCode needs 30 octets; every suite's hash has at least 32.
func safetyCode(authenticator []byte) string {
	groups := make([]string, 6)
	for i := range groups {
		var five [8]byte
		copy(five[3:], authenticator[5*i:5*i+5])
		groups[i] = fmt.Sprintf("%05d", binary.BigEndian.Uint64(five[:])%100_000)
	}
	return strings.Join(groups, " ")
}

// GroupInfoOptions says what a GroupInfo holds besides the state of the group.
type GroupInfoOptions struct {
	OmitTree    bool       // the ratchet tree reaches the joiner otherwise (RFC 9420 §12.4.3.3)
	ExternalPub bool       // whoever has the GroupInfo may join by an external commit (§12.4.3.2)
	Extensions  Extensions // more, of which joiners ignore those they do not know
}

// GroupInfo returns a signed GroupInfo of the epoch as MLSMessage.
func (g *Group) GroupInfo(o GroupInfoOptions) ([]byte, error) {
	if err := g.open(); err != nil {
		return nil, err
	}
	return g.state.encodeGroupInfo(g.client, g.signer, groupInfoOptions{omitTree: o.OmitTree, externalPub: o.ExternalPub, extensions: o.Extensions})
}

func (g *groupState) encodeGroupInfo(c *Client, signer crypto.Signer, o groupInfoOptions) ([]byte, error) {
	info, err := g.makeGroupInfo(c.config.Rand, signer, o)
	if err != nil {
		return nil, err
	}
	return (&MLSMessage{GroupInfo: info}).Marshal()
}

// Tree returns the encoded ratchet tree, for joiners whose GroupInfo omits it.
func (g *Group) Tree() ([]byte, error) { return marshal(g.state.tree) }

// open refuses what needs a group that can still be changed or written to.
func (g *Group) open() error {
	switch {
	case g.spent:
		return ErrSpent
	case g.state.reInit != nil:
		return refuse("12.4.2", "the group was closed by a ReInit")
	case g.signer == nil:
		return ErrNoSigner
	}
	return nil
}

// Forget deletes every row of the group: the client leaves without a word, or was told to go. The Group is spent.
func (g *Group) Forget(tx Tx) error {
	if g.spent {
		return ErrSpent
	}
	g.spent = true
	return g.forget(tx)
}

func (g *Group) forget(tx Tx) error {
	kept, err := loadKept(tx)
	if err != nil {
		return err
	}
	err = errors.Join(dropProposals(tx, g.Epoch(), len(g.proposals)), kept.trim(tx, g.state.suite, epochLimits{}, 0), g.messages.tree.drop(tx),
		tx.Delete(Key{Row: RowPending}), tx.Delete(Key{Row: RowKept}), tx.Delete(Key{Row: RowEpoch}), tx.Delete(Key{Row: RowSecrets}))
	g.state.secrets.wipe()
	return err
}

// advance makes next the group's epoch. g is spent, whatever comes of it. What the commit decides is deleted: stored proposals, private
// keys of own Updates, and the own commit that waits, unless the client joins by it in an epoch that is still to come.
func (g *Group) advance(tx Tx, next *groupState) (*Group, error) {
	g.spent = true
	if err := dropProposals(tx, g.Epoch(), len(g.proposals)); err != nil {
		return nil, err
	}
	waits := g.pending.external && g.pending.epoch > next.context.Epoch
	if !waits {
		if err := tx.Delete(Key{Row: RowPending}); err != nil {
			return nil, err
		}
	}
	if err := next.begin(tx, g.state, g.client.limits, g.client.now()); err != nil {
		return nil, err
	}
	n, err := g.client.group(next)
	if err == nil && waits {
		n.pending = g.pending
	}
	return n, err
}

// Expire deletes what has outlived its time or the policy's limits: earlier epochs, resumption secrets, and keys of generations that
// were jumped over. It returns when to call it next, or the zero time if nothing is waiting to expire. Without it, expired keys are
// refused all the same but stay in the store until a commit. It reads about four rows per sender of the epochs kept.
func (g *Group) Expire(tx Tx) (next time.Time, err error) {
	if g.spent {
		return time.Time{}, ErrSpent
	}
	now := g.client.now()
	kept, err := loadKept(tx)
	if err != nil {
		return time.Time{}, err
	}
	if err := kept.trim(tx, g.state.suite, g.client.limits, now); err != nil {
		return time.Time{}, err
	}
	if err := kept.store(tx); err != nil {
		return time.Time{}, err
	}
	at, err := g.messages.tree.sweep(tx, now)
	if err != nil {
		return time.Time{}, err
	}
	for _, p := range kept.past {
		past, err := loadPast(tx, g.state.suite, p.epoch, g.client.limits.ratchet, now)
		if err != nil {
			return time.Time{}, err
		}
		wipe(past.senderData)
		first, err := past.tree.sweep(tx, now)
		if err != nil {
			return time.Time{}, err
		}
		at = min(at, first, p.expires)
	}
	if at == never {
		return time.Time{}, nil
	}
	return time.Unix(at+1, 0), nil // a key is good until the end of its second
}
