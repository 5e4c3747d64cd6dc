package mls

import (
	"io"
	"slices"
)

// createGroup makes the state of a group whose only member is its creator, in epoch 0 (RFC 9420 §11). extensions are those of the
// group context.
func createGroup(random io.Reader, groupID []byte, o KeyPackageOptions, extensions Extensions, policy leafPolicy) (*groupState, error) {
	s, err := lookupSuite(o.Suite)
	if err != nil {
		return nil, err
	}
	leaf, key, err := s.newLeaf(random, o)
	if err != nil {
		return nil, err
	}
	leaf.Source, leaf.Lifetime = SourceKeyPackage, o.Lifetime
	if err := leaf.sign(random, s, o.Signer, nil, 0); err != nil {
		return nil, err
	}
	rules, err := newLeafRules(s, groupID, extensions, policy)
	if err != nil {
		return nil, err
	}
	if err := rules.check(leaf, 0, SourceKeyPackage); err != nil {
		return nil, err
	}
	if err := rules.checkExternalSenders(nil); err != nil {
		return nil, err
	}
	g := &groupState{suite: s, tree: newTree(s, leaf), keys: newTreeKeys(0, keep(key))}
	hash, err := g.tree.hash()
	if err != nil {
		return nil, err
	}
	if err := g.setContext(GroupContext{Version: MLS10, Suite: s.id, GroupID: slices.Clone(groupID), TreeHash: hash,
		ConfirmedTranscriptHash: []byte{}, Extensions: extensions}); err != nil {
		return nil, err
	}
	epochSecret := make([]byte, s.nh)
	defer wipe(epochSecret)
	if _, err := io.ReadFull(random, epochSecret); err != nil {
		return nil, err
	}
	g.enterEpoch(s.epochSecretsOf(epochSecret))
	return g, nil
}
