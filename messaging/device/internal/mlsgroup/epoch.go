package mlsgroup

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/thomas-vilte/mls-go/ciphersuite"
	"github.com/thomas-vilte/mls-go/group"
	"github.com/thomas-vilte/mls-go/schedule"
	"github.com/thomas-vilte/mls-go/secrettree"

	"github.com/parleypay/parley/messaging"
)

// epoch is what application messages of one epoch need, apart from the ratchets. It does not change while the epoch lasts.
type epoch struct {
	SenderData []byte `cbor:"1,keyasint"` // sender_data_secret (§6.3.2)
	Exporter   []byte `cbor:"2,keyasint"` // exporter_secret (§8.5); dropped when the epoch is past
	Context    []byte `cbor:"3,keyasint"` // GroupContext, encoded, as signatures cover it (§6.1)
	Own        uint32 `cbor:"4,keyasint"` // leaf of this device
	Leaves     uint32 `cbor:"5,keyasint"` // size of the tree
	Members    []leaf `cbor:"6,keyasint"`
}

// leaf is a member, by its place in the tree.
type leaf struct {
	Index  uint32             `cbor:"1,keyasint"`
	Device messaging.DeviceID `cbor:"2,keyasint"`
	Name   string             `cbor:"3,keyasint"`
	Key    []byte             `cbor:"4,keyasint"` // Ed25519
}

func (e *epoch) leaf(index uint32) (leaf, bool) {
	for _, l := range e.Members {
		if l.Index == index {
			return l, true
		}
	}
	return leaf{}, false
}

func loadEpoch(rows Rows, chat messaging.ChatID, number uint64, absent error) (*epoch, error) {
	e := new(epoch)
	return e, load(rows, KindEpoch, epochKey(chat, number), e, absent)
}

// members lists the leaves of a group and checks each credential. It runs over the whole group whenever an epoch begins, so that no
// way into a group goes around it (§5.3.1).
func members(g *group.Group) ([]leaf, error) {
	var all []leaf
	seen := map[messaging.DeviceID]bool{}
	n, err := treeSize(g)
	if err != nil {
		return nil, err
	}
	for i := range n {
		node := g.GetTreeLeaf(group.LeafNodeIndex(i))
		if node == nil || node.LeafData == nil || node.LeafData.Credential == nil {
			continue // blank
		}
		key := node.LeafData.SigKeyBytes()
		m, err := member(node.LeafData.Credential, key)
		if err != nil {
			return nil, err
		}
		if seen[m.Device] {
			return nil, errors.New("mlsgroup: a device has two leaves")
		}
		seen[m.Device] = true
		all = append(all, leaf{i, m.Device, m.Name, append([]byte(nil), key...)})
	}
	if len(all) > MaxMembers {
		return nil, fmt.Errorf("mlsgroup: group of %d members, limit %d", len(all), MaxMembers)
	}
	return all, nil
}

// treeSize is the number of leaves, blank ones included.
func treeSize(g *group.Group) (uint32, error) {
	t := g.SecretTree()
	if t == nil {
		return 0, errors.New("mlsgroup: group without a secret tree")
	}
	n := t.LeafCount()
	if n > 4*MaxMembers {
		return 0, fmt.Errorf("mlsgroup: tree of %d leaves", n)
	}
	return n, nil
}

// begin makes the group's current epoch the chat's current one: it writes the epoch's rows and deletes those of epochs too old.
//
// From here on the secrets from which message keys follow exist in two places only: the handshake ratchets in mls-go's state, and
// one row per sender with its application ratchet. encryption_secret, the tree's inner secrets and the resumption secrets are not written (§9.2).
func (c *Client) begin(rows Rows, chat messaging.ChatID, g *group.Group) error {
	raw, err := g.MarshalState()
	if err != nil {
		return fmt.Errorf("mlsgroup: state: %w", err)
	}
	var state group.StateData
	if err := json.Unmarshal(raw, &state); err != nil {
		return fmt.Errorf("mlsgroup: state: %w", err)
	}
	all, err := members(g)
	if err != nil {
		return err
	}
	if len(state.StoredProposals) > 0 {
		return errors.New("mlsgroup: proposals left over from the epoch before")
	}
	number := state.Epoch
	tree, err := secrettree.UnmarshalFull(state.SecretTree, suite)
	if err != nil {
		return fmt.Errorf("mlsgroup: secret tree: %w", err)
	}
	own := false
	for _, l := range all {
		if _, err := tree.LeafForIndex(l.Index); err != nil {
			return fmt.Errorf("mlsgroup: secret tree: %w", err)
		}
		own = own || l.Index == state.OwnLeafIndex && l.Device == c.id
	}
	if !own {
		return errors.New("mlsgroup: this device is not at its own leaf")
	}
	zero := make([]byte, suite.HashLength())
	full := tree.MarshalFull()
	for index, l := range full.LeafStates {
		if err := save(rows, KindRatchet, ratchetKey(chat, number, index), ratchet{Generation: 0, Secret: l.ApplicationSecret}); err != nil {
			return err
		}
		full.LeafStates[index] = secrettree.LeafState{Generation: l.Generation, SequenceNumber: l.SequenceNumber, LeafSecret: zero, ApplicationSecret: zero, HandshakeSecret: l.HandshakeSecret}
	}
	full.EncryptionSecret = zero
	state.SecretTree = full
	e := epoch{
		SenderData: state.EpochSecrets.SenderDataSecret,
		Exporter:   state.EpochSecrets.ExporterSecret,
		Context:    state.GroupContext,
		Own:        state.OwnLeafIndex,
		Leaves:     full.LeafCount,
		Members:    all,
	}
	state.EpochSecrets.EncryptionSecret = zero
	state.CachedPsks = map[string][]byte{}
	if raw, err = json.Marshal(&state); err != nil {
		return fmt.Errorf("mlsgroup: state: %w", err)
	}
	if err := errors.Join(
		rows.Put(KindState, chat[:], raw),
		save(rows, KindEpoch, epochKey(chat, number), e),
		rows.Delete(KindPending, chat[:]),
	); err != nil {
		return err
	}
	row, err := loadGroup(rows, chat)
	if errors.Is(err, ErrNoGroup) {
		return save(rows, KindGroup, chat[:], groupRow{Epoch: number, Oldest: number})
	} else if err != nil {
		return err
	}
	if err := c.retire(rows, chat, row.Epoch); err != nil {
		return err
	}
	for row.Epoch = number; row.Oldest+keepEpochs < number; row.Oldest++ {
		if err := forgetEpoch(rows, chat, row.Oldest); err != nil {
			return err
		}
	}
	return save(rows, KindGroup, chat[:], row)
}

// retire takes from an epoch that has ended what only its own members' present needs: the exporter secret, and the own sending ratchet.
func (c *Client) retire(rows Rows, chat messaging.ChatID, number uint64) error {
	e, err := loadEpoch(rows, chat, number, errAbsent)
	if errors.Is(err, errAbsent) {
		return nil
	} else if err != nil {
		return err
	}
	e.Exporter = nil
	return errors.Join(
		save(rows, KindEpoch, epochKey(chat, number), e),
		rows.Delete(KindRatchet, ratchetKey(chat, number, e.Own)),
	)
}

var errAbsent = errors.New("mlsgroup: row absent")

func forgetEpoch(rows Rows, chat messaging.ChatID, number uint64) error {
	key := epochKey(chat, number)
	return errors.Join(
		rows.Delete(KindEpoch, key),
		rows.DeletePrefix(KindRatchet, key),
		rows.DeletePrefix(KindSkipped, key),
	)
}

// ForgetPast deletes the keys of all epochs before the current one, so that nothing sealed in them can be opened any more.
func (c *Client) ForgetPast(rows Rows, chat messaging.ChatID) error {
	row, err := loadGroup(rows, chat)
	if err != nil {
		return err
	}
	for ; row.Oldest < row.Epoch; row.Oldest++ {
		if err := forgetEpoch(rows, chat, row.Oldest); err != nil {
			return err
		}
	}
	return save(rows, KindGroup, chat[:], row)
}

// Forget deletes everything of a group.
func (c *Client) Forget(rows Rows, chat messaging.ChatID) error {
	var errs []error
	for _, kind := range []Kind{KindGroup, KindState, KindEpoch, KindRatchet, KindSkipped, KindPending, KindLast} {
		errs = append(errs, rows.DeletePrefix(kind, chat[:]))
	}
	return errors.Join(errs...)
}

// exported computes the MLS exporter (§8.5).
func (e *epoch) exported(label string, context []byte) ([]byte, error) {
	if len(e.Exporter) == 0 {
		return nil, errors.New("mlsgroup: the epoch is past")
	}
	return schedule.Exporter(ciphersuite.NewSecret(e.Exporter), suite, schedule.ExporterLabel(label), context, 32)
}
