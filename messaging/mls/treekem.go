package mls

import (
	"bytes"
	"crypto"
	"crypto/hpke"
	"io"
	"slices"
)

// treeKeys is one member's secret half of a ratchet tree: the private keys of its leaf and of nodes above it (RFC 9420 §4.2).
type treeKeys struct {
	index LeafIndex
	keys  []nodeKey // in no order; nodes without a known key are missing
}

// nodeKey is the private key of one node.
type nodeKey struct {
	node nodeIndex
	keptKey
}

func newTreeKeys(index LeafIndex, leafKey keptKey) *treeKeys {
	return &treeKeys{index: index, keys: []nodeKey{{index.node(), leafKey}}}
}

// clone returns a copy that can be changed without changing k.
func (k *treeKeys) clone() *treeKeys { return &treeKeys{index: k.index, keys: slices.Clone(k.keys)} }

// key returns the private key of x, if it is known.
func (k *treeKeys) key(x nodeIndex) (keptKey, bool) {
	if i := slices.IndexFunc(k.keys, func(n nodeKey) bool { return n.node == x }); i >= 0 {
		return k.keys[i].keptKey, true
	}
	return keptKey{}, false
}

// set makes key the private key of x.
func (k *treeKeys) set(x nodeIndex, key keptKey) {
	k.forget(func(n nodeKey) bool { return n.node == x })
	k.keys = append(k.keys, nodeKey{x, key})
}

// prune deletes the keys of nodes that are no longer in the tree, blank, or have another public key (RFC 9420 §7.5, §9.2).
func (k *treeKeys) prune(t *ratchetTree) {
	k.forget(func(n nodeKey) bool {
		return int(n.node) >= t.width() || t.blank(n.node) || !bytes.Equal(n.public, t.encryptionKey(n.node))
	})
}

func (k *treeKeys) forget(which func(nodeKey) bool) { k.keys = slices.DeleteFunc(k.keys, which) }

// derivePath derives the private keys of steps from the path secret of the first (RFC 9420 §7.4). It returns the path secret of
// each step, and the commit secret that follows the last. The caller wipes them.
func (s *suite) derivePath(first []byte, steps int) (secrets [][]byte, keys []hpke.PrivateKey, commitSecret []byte, err error) {
	secret := first
	for range steps {
		node := s.deriveSecret(secret, "node")
		key, err := s.deriveKeyPair(node)
		clear(node)
		if err != nil {
			return nil, nil, nil, err
		}
		secrets = append(secrets, secret)
		keys = append(keys, key)
		secret = s.deriveSecret(secret, "path")
	}
	return secrets, keys, secret, nil
}

// pathUpdate is an UpdatePath in the making: the tree is changed already, the secrets are not encrypted yet.
type pathUpdate struct {
	sender       LeafIndex
	leaf         *LeafNode
	steps        []pathStep
	secrets      [][]byte          // path secret of each step
	keys         []hpke.PrivateKey // private key of each step
	leafKey      hpke.PrivateKey
	commitSecret []byte
}

// startPath gives the sender new keys on its filtered direct path and a new leaf, which is leaf with a fresh encryption key, the
// parent hash and a new signature (RFC 9420 §7.5). The tree is changed also when it fails: work on a copy. If the path is empty,
// because the sender is alone, the commit secret comes from the random first secret alone.
func (t *ratchetTree) startPath(random io.Reader, sender LeafIndex, leaf LeafNode, groupID []byte, signer crypto.Signer) (*pathUpdate, error) {
	u := &pathUpdate{sender: sender, steps: t.filteredPath(sender)}
	seed := make([]byte, 2*t.suite.nh)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, err
	}
	first := slices.Clone(seed[:t.suite.nh])
	var err error
	if u.secrets, u.keys, u.commitSecret, err = t.suite.derivePath(first, len(u.steps)); err != nil {
		return nil, err
	}
	if u.leafKey, err = t.suite.deriveKeyPair(seed[t.suite.nh:]); err != nil {
		return nil, err
	}
	clear(seed)
	public := func(i int) HPKEPublicKey { return u.keys[i].PublicKey().Bytes() }
	leaf.Source, leaf.Lifetime = SourceCommit, Lifetime{}
	leaf.EncryptionKey = u.leafKey.PublicKey().Bytes()
	if leaf.ParentHash, err = t.setPath(sender, u.steps, public); err != nil {
		return nil, err
	}
	if err := leaf.sign(random, t.suite, signer, groupID, sender); err != nil {
		return nil, err
	}
	u.leaf = &leaf
	t.leaves[sender] = u.leaf
	t.touch(sender.node())
	return u, nil
}

// encrypt makes the UpdatePath: each path secret is encrypted to the resolution of the copath child, without the leaves that were
// added in the same commit. context is the encoded provisional GroupContext (RFC 9420 §7.6).
func (u *pathUpdate) encrypt(t *ratchetTree, context []byte, added []LeafIndex) (*UpdatePath, error) {
	path := &UpdatePath{Leaf: *u.leaf, Nodes: make([]UpdatePathNode, len(u.steps))}
	var resolution []nodeIndex
	for i, step := range u.steps {
		path.Nodes[i].EncryptionKey = t.encryptionKey(step.node)
		resolution = t.recipients(resolution[:0], step.copath, added)
		for _, x := range resolution {
			key, err := t.suite.kem.NewPublicKey(t.encryptionKey(x))
			if err != nil {
				return nil, refuseFor(err, "5.1.1", "encryption key of node %d", x)
			}
			ct, err := t.suite.encryptWithLabel(key, "UpdatePathNode", context, u.secrets[i])
			if err != nil {
				return nil, refuseFor(err, "7.6", "encrypting the path secret to node %d", x)
			}
			path.Nodes[i].Secrets = append(path.Nodes[i].Secrets, ct)
		}
	}
	return path, nil
}

// secretFor returns the path secret for a new member at l: that of the lowest node above both (RFC 9420 §12.4.1).
func (u *pathUpdate) secretFor(l LeafIndex) ([]byte, error) {
	ancestor := commonAncestor(u.sender.node(), l.node())
	for i, step := range u.steps {
		if step.node == ancestor {
			return u.secrets[i], nil
		}
	}
	return nil, refuse("12.4.1", "no path secret for leaf %d", l)
}

// install returns the sender's private keys after the update.
func (u *pathUpdate) install(k *treeKeys, t *ratchetTree) *treeKeys {
	n := newTreeKeys(u.sender, keep(u.leafKey))
	if k != nil {
		n = k.clone()
		n.set(u.sender.node(), keep(u.leafKey))
	}
	for i, step := range u.steps {
		n.set(step.node, keep(u.keys[i]))
	}
	n.prune(t)
	return n
}

// wipe overwrites the path secrets (RFC 9420 §7.5, §9.2). The commit secret stays: the key schedule consumes it.
func (u *pathUpdate) wipe() {
	for _, s := range u.secrets {
		clear(s)
	}
}

// recipients appends the resolution of x without the leaves in added.
func (t *ratchetTree) recipients(dst []nodeIndex, x nodeIndex, added []LeafIndex) []nodeIndex {
	dst = t.appendResolution(dst, x)
	if len(added) == 0 {
		return dst
	}
	return slices.DeleteFunc(dst, func(y nodeIndex) bool { return y.isLeaf() && slices.Contains(added, y.leaf()) })
}

// mergePath puts the public part of an UpdatePath into the tree (RFC 9420 §7.5, §12.4.2). The leaf has been validated already. It
// needs no secret. The tree is changed also when it fails: work on a copy. added are the leaves added by the same commit.
func (t *ratchetTree) mergePath(sender LeafIndex, path *UpdatePath, added []LeafIndex) error {
	steps := t.filteredPath(sender)
	if len(path.Nodes) != len(steps) {
		return refuse("7.6", "update path has %d nodes, the filtered direct path %d", len(path.Nodes), len(steps))
	}
	keys := make([]HPKEPublicKey, 0, len(steps)+1)
	keys = append(keys, path.Leaf.EncryptionKey)
	var resolution []nodeIndex
	for i := range path.Nodes {
		n := &path.Nodes[i]
		resolution = t.recipients(resolution[:0], steps[i].copath, added)
		if len(n.Secrets) != len(resolution) {
			return refuse("7.6", "update path node %d has %d encrypted secrets for a resolution of %d", i, len(n.Secrets), len(resolution))
		}
		if err := t.suite.checkPublicKey(n.EncryptionKey); err != nil {
			return refuseFor(err, "5.1.1", "encryption key of update path node %d", i)
		}
		if slices.ContainsFunc(keys, func(k HPKEPublicKey) bool { return bytes.Equal(k, n.EncryptionKey) }) {
			return refuse("12.4.2", "update path has an encryption key twice")
		}
		keys = append(keys, n.EncryptionKey)
	}
	if t.hasEncryptionKey(keys...) {
		return refuse("12.4.2", "update path has an encryption key that is in the tree already")
	}
	want, err := t.setPath(sender, steps, func(i int) HPKEPublicKey { return path.Nodes[i].EncryptionKey })
	if err != nil {
		return err
	}
	if path.Leaf.Source != SourceCommit || !bytes.Equal(want, path.Leaf.ParentHash) {
		return refuse("7.9.2", "parent hash of the committer's leaf is not that of its update path")
	}
	leaf := path.Leaf
	t.leaves[sender] = &leaf
	t.touch(sender.node())
	return nil
}

// openPath decrypts the path secret that is meant for the member with the keys k, and returns its keys after the update and the
// commit secret (RFC 9420 §7.5). t is the tree after mergePath, context the encoded provisional GroupContext.
func (t *ratchetTree) openPath(k *treeKeys, sender LeafIndex, path *UpdatePath, context []byte, added []LeafIndex) (*treeKeys, []byte, error) {
	if k.index == sender || slices.Contains(added, k.index) {
		return nil, nil, refuse("7.5", "the update path is not for leaf %d", k.index)
	}
	steps := t.filteredPath(sender)
	at := slices.IndexFunc(steps, func(s pathStep) bool { return s.copath.contains(k.index.node()) })
	if at < 0 || len(steps) != len(path.Nodes) {
		return nil, nil, refuse("7.5", "leaf %d is not below the filtered direct path of leaf %d", k.index, sender)
	}
	old := k.clone()
	old.forget(func(n nodeKey) bool { // replaced by the update; what is below the copath is not
		return slices.ContainsFunc(steps, func(s pathStep) bool { return s.node == n.node })
	})
	old.prune(t)
	for i, x := range t.recipients(nil, steps[at].copath, added) {
		kept, ok := old.key(x)
		if !ok {
			continue
		}
		if i >= len(path.Nodes[at].Secrets) {
			break
		}
		key, err := kept.open(t.suite)
		if err != nil {
			return nil, nil, err
		}
		secret, err := t.suite.decryptWithLabel(key, "UpdatePathNode", context, path.Nodes[at].Secrets[i])
		if err != nil {
			return nil, nil, refuseFor(err, "7.6", "the path secret for node %d does not decrypt", x)
		}
		if len(secret) != t.suite.nh {
			clear(secret)
			return nil, nil, refuse("7.4", "path secret of %d octets", len(secret))
		}
		commitSecret, err := old.installPath(t, steps[at:], secret)
		if err != nil {
			return nil, nil, err
		}
		return old, commitSecret, nil
	}
	return nil, nil, refuse("7.5", "no key of leaf %d decrypts the update path", k.index)
}

// installPath derives the keys of steps from the path secret of the first, which it wipes, compares them with the public keys in the
// tree (RFC 9420 §7.5, §16.12) and adds them to k. It returns the commit secret.
func (k *treeKeys) installPath(t *ratchetTree, steps []pathStep, secret []byte) (commitSecret []byte, err error) {
	secrets, keys, commitSecret, err := t.suite.derivePath(secret, len(steps))
	for _, s := range secrets {
		clear(s)
	}
	if err != nil {
		return nil, err
	}
	for i, step := range steps {
		key := keep(keys[i])
		if !bytes.Equal(key.public, t.encryptionKey(step.node)) {
			return nil, refuse("7.5", "the key derived for node %d is not the one in the update path", step.node)
		}
		key.public = t.encryptionKey(step.node) // the same octets, once in memory
		k.set(step.node, key)
	}
	return commitSecret, nil
}

// joinPath adds the keys that a new member derives from the path secret in its Welcome, from the lowest node above it and the
// signer of the GroupInfo upwards (RFC 9420 §12.4.3.1). It wipes secret.
func (k *treeKeys) joinPath(t *ratchetTree, signer LeafIndex, secret []byte) error {
	ancestor := commonAncestor(k.index.node(), signer.node())
	steps := t.filteredPath(signer)
	at := slices.IndexFunc(steps, func(s pathStep) bool { return s.node == ancestor })
	if at < 0 || k.index == signer {
		return refuse("12.4.3.1", "no node of the signer's path is above leaf %d", k.index)
	}
	for _, s := range steps[at:] {
		if t.blank(s.node) {
			return refuse("12.4.3.1", "node %d of the signer's path is blank although there is a path secret", s.node)
		}
	}
	if len(secret) != t.suite.nh {
		return refuse("12.4.3.1", "path secret of %d octets", len(secret))
	}
	commitSecret, err := k.installPath(t, steps[at:], secret)
	clear(commitSecret)
	return err
}
