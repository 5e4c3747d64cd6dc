package mlsgroup

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/thomas-vilte/mls-go/ciphersuite"
	"github.com/thomas-vilte/mls-go/framing"
	"github.com/thomas-vilte/mls-go/group"
	"github.com/thomas-vilte/mls-go/keypackages"
	"github.com/thomas-vilte/mls-go/treesync"

	"github.com/parleypay/parley/messaging"
)

// Change is what a commit is to do. The zero Change replaces the committer's own keys and nothing else.
type Change struct {
	Add    [][]byte // key packages, as the relay gave them out
	Remove []messaging.DeviceID
}

// Commit is a commit that waits for the delivery service (§14): the group stays as it was until Merge.
type Commit struct {
	Epoch     uint64               // that it ends
	Message   []byte               // for To
	To        []messaging.DeviceID // members of the epoch that ends, without this device
	Welcome   []byte               // for WelcomeTo; nil when nobody joins
	WelcomeTo []messaging.DeviceID
}

// pending is the row of a commit that waits.
type pending struct {
	Commit Commit `cbor:"1,keyasint"`
	After  []byte `cbor:"2,keyasint"` // state of mls-go once it is merged
}

// Create makes the group of a new chat, with this device as its only member.
func (c *Client) Create(rows Rows, chat messaging.ChatID) error {
	if _, err := loadGroup(rows, chat); !errors.Is(err, ErrNoGroup) {
		return errors.Join(err, errors.New("mlsgroup: the chat exists"))
	}
	kp, private, err := keypackages.Generate(c.cred, suite, keypackages.InfiniteLifetime())
	if err != nil {
		return fmt.Errorf("mlsgroup: create: %w", err)
	}
	g, err := group.NewGroup(group.NewGroupID(chat[:]), suite, kp, private)
	if err != nil {
		return fmt.Errorf("mlsgroup: create: %w", err)
	}
	return c.begin(rows, chat, g)
}

// state loads the group with mls-go.
func (c *Client) state(rows Rows, chat messaging.ChatID) (*group.Group, error) {
	raw, err := rows.Get(KindState, chat[:])
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, ErrNoGroup
	}
	g, err := group.UnmarshalGroupState(raw)
	if err != nil {
		return nil, fmt.Errorf("mlsgroup: stored state: %w", err)
	}
	return g, nil
}

// Commit prepares a commit and keeps it as the chat's pending one. There is at most one: ErrPending.
func (c *Client) Commit(rows Rows, chat messaging.ChatID, ch Change) (_ *Commit, err error) {
	defer catch(&err) // mls-go works on key packages of others
	if b, err := rows.Get(KindPending, chat[:]); err != nil {
		return nil, err
	} else if b != nil {
		return nil, ErrPending
	}
	g, err := c.state(rows, chat)
	if err != nil {
		return nil, err
	}
	before, err := members(g)
	if err != nil {
		return nil, err
	}
	p := pending{Commit: Commit{Epoch: g.Epoch().AsUint64()}}
	for _, l := range before {
		if l.Device != c.id {
			p.Commit.To = append(p.Commit.To, l.Device)
		}
	}
	for _, device := range ch.Remove {
		l, err := find(before, device)
		if err != nil {
			return nil, err
		}
		if device == c.id {
			return nil, errors.New("mlsgroup: a device cannot remove itself")
		}
		if _, err := g.RemoveMember(group.LeafNodeIndex(l.Index)); err != nil {
			return nil, fmt.Errorf("mlsgroup: remove: %w", err)
		}
	}
	var added []*keypackages.KeyPackage
	for _, b := range ch.Add {
		kp, m, err := parseKeyPackage(b)
		if err != nil {
			return nil, err
		}
		if _, err := g.AddMember(kp); err != nil {
			return nil, fmt.Errorf("mlsgroup: add: %w", err)
		}
		added = append(added, kp)
		p.Commit.WelcomeTo = append(p.Commit.WelcomeTo, m.Device)
	}
	if len(before)+len(added)-len(ch.Remove) > MaxMembers {
		return nil, fmt.Errorf("mlsgroup: a chat has at most %d devices", MaxMembers)
	}
	// Private, so that the relay sees no names (§6.3); mls-go only signs it, so the encryption is ours to call.
	staged, err := g.CommitWithFormat(c.sign, c.sign.PublicKey(), nil, framing.WireFormatPrivateMessage)
	if err != nil {
		return nil, fmt.Errorf("mlsgroup: commit: %w", err)
	}
	pm, err := framing.Encrypt(framing.EncryptParams{
		AuthContent:      staged.AuthenticatedContent(),
		SenderLeafIndex:  uint32(g.OwnLeafIndex()),
		CipherSuite:      suite,
		PaddingSize:      0, // mls-go cannot read a padded commit
		SenderDataSecret: g.EpochSecrets().SenderDataSecret,
		SecretTree:       g.SecretTree(),
	})
	if err != nil {
		return nil, fmt.Errorf("mlsgroup: commit: %w", err)
	}
	p.Commit.Message = framing.NewMLSMessagePrivate(pm).Marshal()
	if err := c.used(rows, chat, g); err != nil {
		return nil, err
	}
	joiner := staged.JoinerSecret()
	if err := g.MergeCommit(staged); err != nil {
		return nil, fmt.Errorf("mlsgroup: commit: %w", err)
	}
	if len(added) > 0 {
		w, err := g.CreateWelcomeWithOpts(added, c.sign, group.WithJoinerSecret(joiner), group.WithPSKIDs(staged.PskIDs()),
			group.WithPSKSecret(staged.RawPskSecret()), group.WithStagedCommit(staged), group.WithGroupInfoOptions(group.WithRatchetTree(true), group.WithExternalPub(false)))
		if err != nil {
			return nil, fmt.Errorf("mlsgroup: welcome: %w", err)
		}
		m := framing.MLSMessage{Welcome: w.Marshal()}
		p.Commit.Welcome = m.Marshal()
	}
	if _, err := members(g); err != nil {
		return nil, err
	}
	if p.After, err = g.MarshalState(); err != nil {
		return nil, fmt.Errorf("mlsgroup: state: %w", err)
	}
	return &p.Commit, save(rows, KindPending, chat[:], p)
}

// used stores that a generation of the own handshake ratchet was used, which stays true when the commit is thrown away.
func (c *Client) used(rows Rows, chat messaging.ChatID, g *group.Group) error {
	raw, err := rows.Get(KindState, chat[:])
	if err != nil {
		return err
	}
	var state group.StateData
	if err := json.Unmarshal(raw, &state); err != nil {
		return fmt.Errorf("mlsgroup: state: %w", err)
	}
	state.SecretTree = g.SecretTree().MarshalFull()
	if raw, err = json.Marshal(&state); err != nil {
		return fmt.Errorf("mlsgroup: state: %w", err)
	}
	return rows.Put(KindState, chat[:], raw)
}

// Pending returns the commit that waits, nil when there is none.
func (c *Client) Pending(rows Rows, chat messaging.ChatID) (*Commit, error) {
	var p pending
	if err := load(rows, KindPending, chat[:], &p, errAbsent); errors.Is(err, errAbsent) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return &p.Commit, nil
}

// Merge begins the epoch of the pending commit: the delivery service accepted it.
func (c *Client) Merge(rows Rows, chat messaging.ChatID) error {
	var p pending
	if err := load(rows, KindPending, chat[:], &p, ErrNoGroup); err != nil {
		return err
	}
	g, err := group.UnmarshalGroupState(p.After)
	if err != nil {
		return fmt.Errorf("mlsgroup: stored state: %w", err)
	}
	if err := c.begin(rows, chat, g); err != nil {
		return err
	}
	all, err := members(g)
	if err != nil {
		return err
	}
	p.Commit.To = slices.DeleteFunc(p.Commit.To, func(d messaging.DeviceID) bool { _, err := find(all, d); return err != nil }) // who was removed never shows anything
	if len(p.Commit.To)+len(p.Commit.WelcomeTo) == 0 {
		return rows.Delete(KindLast, chat[:])
	}
	return save(rows, KindLast, chat[:], p.Commit)
}

// Unconfirmed returns the last merged commit, for those who have not shown that they have it; nil when all have. The delivery service
// may have lost it: it is no secret, and may be delivered as often as one likes.
func (c *Client) Unconfirmed(rows Rows, chat messaging.ChatID) (*Commit, error) {
	var last Commit
	if err := load(rows, KindLast, chat[:], &last, errAbsent); errors.Is(err, errAbsent) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return &last, nil
}

// Confirm notes that a device sealed something in an epoch, and so has the commits before it. It reports whether all have shown that
// they have the last one.
func (c *Client) Confirm(rows Rows, chat messaging.ChatID, device messaging.DeviceID, epoch uint64) (all bool, err error) {
	last, err := c.Unconfirmed(rows, chat)
	if err != nil || last == nil {
		return err == nil, err
	}
	if epoch <= last.Epoch {
		return false, nil
	}
	is := func(d messaging.DeviceID) bool { return d == device }
	before := len(last.To) + len(last.WelcomeTo)
	last.To, last.WelcomeTo = slices.DeleteFunc(last.To, is), slices.DeleteFunc(last.WelcomeTo, is)
	switch len(last.To) + len(last.WelcomeTo) {
	case before:
		return false, nil
	case 0:
		return true, rows.Delete(KindLast, chat[:])
	}
	return false, save(rows, KindLast, chat[:], last)
}

// Discard forgets the pending commit: another one came first.
func (c *Client) Discard(rows Rows, chat messaging.ChatID) error {
	return rows.Delete(KindPending, chat[:])
}

// Process applies a commit of another member (§12.4.2). removed means that it took this device out of the chat; the group is then
// forgotten. A commit that fails any check changes nothing. A pending commit of this device for the same epoch is discarded.
func (c *Client) Process(rows Rows, chat messaging.ChatID, message []byte) (removed bool, err error) {
	defer catch(&err)
	env, err := ParseEnvelope(message)
	if err != nil {
		return false, err
	}
	if env.Chat != chat || !env.Handshake || env.pm.ContentType != framing.ContentTypeCommit {
		return false, errors.New("mlsgroup: want a commit of this chat") // proposals without a commit are not in use here
	}
	row, err := loadGroup(rows, chat)
	if err != nil {
		return false, err
	}
	if env.Epoch > row.Epoch {
		return false, ErrEarly
	} else if env.Epoch < row.Epoch {
		return false, ErrOld
	}
	e, err := loadEpoch(rows, chat, row.Epoch, ErrNoGroup)
	if err != nil {
		return false, err
	}
	sender, err := e.senderData(env.pm)
	if err != nil {
		return false, err
	}
	l, ok := e.leaf(sender.LeafIndex)
	if !ok || l.Index == e.Own {
		return false, errors.New("mlsgroup: the committer is no other member")
	}
	if sender.Generation > maxCommits {
		return false, fmt.Errorf("mlsgroup: the commit skips %d generations, limit %d", sender.Generation, maxCommits)
	}
	g, err := c.state(rows, chat)
	if err != nil {
		return false, err
	}
	public := ciphersuite.NewMLSSignaturePublicKey(l.Key, suite.SignatureScheme())
	ac, err := framing.Decrypt(env.pm, framing.DecryptParams{
		CipherSuite: suite, SenderDataSecret: g.EpochSecrets().SenderDataSecret, SecretTree: g.SecretTree(), SigPubKey: public, GroupContext: e.Context,
	})
	if err != nil {
		return false, errors.New("mlsgroup: the commit does not decrypt, or its signature is wrong")
	}
	body, ok := ac.Content.Body.(framing.CommitBody)
	if !ok {
		return false, errors.New("mlsgroup: want a commit")
	}
	if removed, err = allowed(body.Data, e.Own); err != nil {
		return false, err
	}
	if removed { // §12.4.2: who was removed cannot follow into the new epoch; the signature was checked
		return true, c.Forget(rows, chat)
	}
	if err := g.ProcessReceivedCommit(ac, treesync.LeafIndex(l.Index), g.MyLeafEncryptionKey()); err != nil {
		return false, fmt.Errorf("mlsgroup: invalid commit: %w", err)
	}
	return false, c.begin(rows, chat, g)
}

// allowed checks that a commit does only what this version does: adds and removes, in full, with or without a new path. It reports
// whether own is removed.
func allowed(body []byte, own uint32) (removed bool, err error) {
	commit, err := group.UnmarshalCommit(body)
	if err != nil {
		return false, errors.New("mlsgroup: malformed commit")
	}
	if len(commit.Proposals) > 2*MaxMembers {
		return false, fmt.Errorf("mlsgroup: commit of %d proposals", len(commit.Proposals))
	}
	for _, p := range commit.Proposals {
		switch {
		case p.Proposal == nil:
			return false, errors.New("mlsgroup: commit refers to a proposal")
		case p.Proposal.Type == group.ProposalTypeAdd && p.Proposal.Add != nil && p.Proposal.Add.KeyPackage != nil:
			kp := p.Proposal.Add.KeyPackage
			if err := checkKeyPackage(kp); err != nil {
				return false, err
			}
		case p.Proposal.Type == group.ProposalTypeRemove && p.Proposal.Remove != nil:
			removed = removed || uint32(p.Proposal.Remove.Removed) == own
		default:
			return false, fmt.Errorf("mlsgroup: commit with a proposal of type %d", p.Proposal.Type)
		}
	}
	return removed, nil
}

// Join enters the chat that a Welcome invites to (§12.4.3.1), and deletes the key package that it used. The Welcome must be for
// chat, which must not exist here.
func (c *Client) Join(rows Rows, chat messaging.ChatID, message []byte) (err error) {
	defer catch(&err)
	if len(message) > maxBody {
		return fmt.Errorf("mlsgroup: welcome of %d octets, limit %d", len(message), maxBody)
	}
	if _, err := loadGroup(rows, chat); !errors.Is(err, ErrNoGroup) {
		return errors.Join(err, errors.New("mlsgroup: welcome to a chat that exists"))
	}
	m, err := framing.UnmarshalMLSMessage(message)
	if err != nil || len(m.Welcome) == 0 {
		return errors.New("mlsgroup: want a Welcome")
	}
	w, err := group.UnmarshalWelcome(m.Welcome)
	if err != nil {
		return errors.New("mlsgroup: malformed Welcome")
	}
	if w.CipherSuite != suite {
		return fmt.Errorf("mlsgroup: welcome with cipher suite %d", w.CipherSuite)
	}
	ref, kp, private, lastResort, err := c.takeKeyPackage(rows, w)
	if err != nil {
		return err
	}
	g, err := group.JoinFromWelcome(w, kp, private, nil)
	if err != nil {
		return fmt.Errorf("mlsgroup: invalid Welcome: %w", err)
	}
	if string(g.ID().AsSlice()) != string(chat[:]) {
		return errors.New("mlsgroup: the Welcome is for another chat than the relay says")
	}
	if len(g.GroupContext().Extensions) > 0 {
		return errors.New("mlsgroup: group with extensions")
	}
	if !lastResort {
		if err := rows.Delete(KindKeyPackage, ref); err != nil {
			return err
		}
	}
	return c.begin(rows, chat, g)
}

func find(all []leaf, device messaging.DeviceID) (leaf, error) {
	for _, l := range all {
		if l.Device == device {
			return l, nil
		}
	}
	return leaf{}, errors.New("mlsgroup: no such member")
}
