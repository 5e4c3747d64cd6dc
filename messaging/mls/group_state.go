package mls

import (
	"crypto/hpke"
	"errors"
)

// groupState is a group in one epoch as one member knows it. It does not change: a commit makes another one. The ratchets of the
// epoch are rows and not in it.
type groupState struct {
	suite           *suite
	context         GroupContext
	encodedContext  []byte
	tree            *ratchetTree
	encodedTree     []byte    // of an own commit that adds, until its epoch begins: Welcome and rows have it; else nil
	keys            *treeKeys // of this member
	secrets         *epochSecrets
	interim         []byte // interim_transcript_hash
	confirmationTag []byte
	reInit          *ReInit // the group is closed: a commit of ReInit led to this epoch (RFC 9420 §12.4.2)
}

// setContext sets the group context and its encoding.
func (g *groupState) setContext(c GroupContext) error {
	encoded, err := marshal(&c)
	if err != nil {
		return err
	}
	g.context, g.encodedContext = c, encoded
	return nil
}

// messages returns what the epoch's messages are protected and opened with.
func (g *groupState) messages(limits RatchetLimits) (*messageEpoch, error) {
	external, err := g.context.Extensions.externalSenders()
	if err != nil {
		return nil, err
	}
	return &messageEpoch{
		suite: g.suite, groupID: g.context.GroupID, epoch: g.context.Epoch, context: g.encodedContext,
		senderData: g.secrets.senderData, membership: g.secrets.membership,
		tree:      secretTree{suite: g.suite, epoch: g.context.Epoch, depth: uint8(g.tree.root().level()), limits: limits.withDefaults()},
		own:       g.keys.index,
		verifyKey: g.tree.verifyKey, external: external,
	}, nil
}

// verifyKey parses the signature key of a member.
func (t *ratchetTree) verifyKey(l LeafIndex) (verifyKey, error) {
	leaf := t.leaf(l)
	if leaf == nil {
		return verifyKey{}, errBlankLeaf
	}
	return t.suite.parseVerifyKey(leaf.SignatureKey)
}

var errBlankLeaf = errors.New("the leaf is blank or outside the tree")

// externalInit returns the init secret that a joiner's ExternalInit gives to the members (RFC 9420 §8.3).
func (g *groupState) externalInit(kemOutput []byte) ([]byte, error) {
	private, err := g.suite.deriveKeyPair(g.secrets.external)
	if err != nil {
		return nil, err
	}
	r, err := hpke.NewRecipient(kemOutput, private, g.suite.kdf, g.suite.aead, nil)
	if err != nil {
		return nil, refuseFor(err, "8.3", "KEM output of ExternalInit")
	}
	return r.Export(externalInitLabel, g.suite.nh)
}

const externalInitLabel = "MLS 1.0 external init secret"

// pskLookup returns the pre-shared key of that id, or an error if it is not known.
type pskLookup func(*PreSharedKeyID) ([]byte, error)

// pskSecretOf looks the keys up in order and combines them (RFC 9420 §8.4).
func (s *suite) pskSecretOf(ids []PreSharedKeyID, lookup pskLookup) ([]byte, error) {
	inputs := make([]pskInput, 0, len(ids))
	defer func() {
		for _, in := range inputs {
			wipe(in.psk)
		}
	}()
	for i := range ids {
		psk, err := lookup(&ids[i])
		if err != nil {
			return nil, refuseFor(err, "12.4.2", "pre-shared key %d of %d", i, len(ids))
		}
		inputs = append(inputs, pskInput{ids[i], psk})
	}
	return s.pskSecret(inputs)
}
