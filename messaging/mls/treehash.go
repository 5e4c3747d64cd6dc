package mls

import (
	"bytes"
	"crypto/subtle"
	"slices"
)

// hash returns the tree hash of the whole tree (RFC 9420 §7.8).
func (t *ratchetTree) hash() ([]byte, error) { return t.nodeHash(t.root()) }

// nodeHash returns the tree hash of x, from the cache if nothing below x has changed.
func (t *ratchetTree) nodeHash(x nodeIndex) ([]byte, error) {
	if h := t.hashes[x]; h != nil {
		return h, nil
	}
	h, err := t.hashWithout(x, nil)
	if err == nil {
		t.hashes[x] = h
	}
	return h, err
}

// hashWithout returns the tree hash that x would have if the leaves in without, which increase, were blank and not listed as
// unmerged anywhere. Subtrees that have none of them are hashed only once.
func (t *ratchetTree) hashWithout(x nodeIndex, without []LeafIndex) ([]byte, error) {
	var space [512]byte
	e := encoder{buf: space[:0]}
	if x.isLeaf() {
		leaf := t.leaves[x.leaf()]
		if len(without) > 0 {
			leaf = nil
		}
		e.u8(1)
		e.u32(uint32(x.leaf()))
		e.present(leaf != nil)
		if leaf != nil {
			leaf.encode(&e)
		}
	} else {
		var children [2][]byte
		for i, child := range [2]nodeIndex{x.left(), x.right()} {
			var err error
			if below := within(without, child); len(below) > 0 {
				children[i], err = t.hashWithout(child, below)
			} else {
				children[i], err = t.nodeHash(child)
			}
			if err != nil {
				return nil, err
			}
		}
		p := t.parents[x/2]
		if p != nil && len(without) > 0 {
			q := *p
			q.Unmerged = slices.DeleteFunc(slices.Clone(p.Unmerged), func(l LeafIndex) bool { return slices.Contains(without, l) })
			p = &q
		}
		e.u8(2)
		e.present(p != nil)
		if p != nil {
			p.encode(&e)
		}
		e.opaque(children[0])
		e.opaque(children[1])
	}
	if e.err != nil {
		return nil, e.err
	}
	return t.suite.sum(make([]byte, 0, t.suite.nh), e.buf), nil
}

// within returns the part of list, which increases, that is below x.
func within(list []LeafIndex, x nodeIndex) []LeafIndex {
	if len(list) == 0 {
		return nil
	}
	from, to := x.leaves()
	i, _ := slices.BinarySearch(list, from)
	j, _ := slices.BinarySearch(list, to)
	return list[i:j]
}

// parentHash returns the parent hash of p, which stands or is to stand above sibling (RFC 9420 §7.9).
func (t *ratchetTree) parentHash(p *parentNode, sibling nodeIndex) ([]byte, error) {
	var original []byte
	var err error
	if below := within(p.Unmerged, sibling); len(below) > 0 {
		original, err = t.hashWithout(sibling, below)
	} else {
		original, err = t.nodeHash(sibling)
	}
	if err != nil {
		return nil, err
	}
	var space [512]byte
	e := encoder{buf: space[:0]}
	e.opaque(p.EncryptionKey)
	e.opaque(p.ParentHash)
	e.opaque(original)
	return t.suite.sum(make([]byte, 0, t.suite.nh), e.buf), e.err
}

// setPath puts parents with these keys on the filtered direct path of l, after blanking all of the direct path, chains their parent
// hashes, and returns the one for the leaf (RFC 9420 §7.5). The leaf itself is not touched, the hashes above it are forgotten.
func (t *ratchetTree) setPath(l LeafIndex, steps []pathStep, key func(i int) HPKEPublicKey) (leafParentHash []byte, err error) {
	t.blankPath(l)
	t.touch(l.node())
	leafParentHash = []byte{}
	for i := len(steps) - 1; i >= 0; i-- { // from the root, whose parent hash is empty
		p := &parentNode{EncryptionKey: key(i), ParentHash: leafParentHash}
		t.parents[steps[i].node/2] = p
		if leafParentHash, err = t.parentHash(p, steps[i].copath); err != nil {
			return nil, err
		}
	}
	return leafParentHash, nil
}

// verifyParentHashes checks that each parent that is not blank is parent-hash valid: some node below it was set with it in one
// UpdatePath (RFC 9420 §7.9.2).
func (t *ratchetTree) verifyParentHashes() error {
	var resolution []nodeIndex
	for i, p := range t.parents {
		if p == nil {
			continue
		}
		x := nodeIndex(2*i + 1)
		valid := 0
		for _, c := range [2]nodeIndex{x.left(), x.right()} {
			resolution = t.appendResolution(resolution[:0], c)
			d, ok := t.onlyMerged(resolution, within(p.Unmerged, c))
			if !ok {
				continue
			}
			got, ok := t.storedParentHash(d)
			if !ok {
				continue
			}
			want, err := t.parentHash(p, c.sibling())
			if err != nil {
				return err
			}
			if subtle.ConstantTimeCompare(want, got) == 1 {
				valid++
			}
		}
		if valid != 1 {
			return refuse("7.9.2", "parent node %d is not parent-hash valid: %d nodes below carry its hash", x, valid)
		}
	}
	return nil
}

// onlyMerged returns the one node of resolution that is not an unmerged leaf, if resolution is exactly that node and unmerged.
func (t *ratchetTree) onlyMerged(resolution []nodeIndex, unmerged []LeafIndex) (d nodeIndex, ok bool) {
	if len(resolution) != len(unmerged)+1 {
		return 0, false
	}
	for _, x := range resolution {
		if x.isLeaf() {
			if _, is := slices.BinarySearch(unmerged, x.leaf()); is {
				continue
			}
		}
		if ok {
			return 0, false // a second one: then some of unmerged is not in the resolution
		}
		d, ok = x, true
	}
	return d, ok
}

// storedParentHash returns the parent_hash field of x, which is not blank; leaves have one only from a commit.
func (t *ratchetTree) storedParentHash(x nodeIndex) ([]byte, bool) {
	if x.isLeaf() {
		l := t.leaves[x.leaf()]
		return l.ParentHash, l.Source == SourceCommit
	}
	return t.parents[x/2].ParentHash, true
}

// verifyUnmerged checks the unmerged leaves of all parents as a joiner must (RFC 9420 §12.4.3.1).
func (t *ratchetTree) verifyUnmerged() error {
	for i, p := range t.parents {
		if p == nil {
			continue
		}
		x := nodeIndex(2*i + 1)
		if len(within(p.Unmerged, x)) != len(p.Unmerged) {
			return refuse("12.4.3.1", "parent node %d lists an unmerged leaf that is not below it", x)
		}
		for _, l := range p.Unmerged {
			if t.leaves[l] == nil {
				return refuse("12.4.3.1", "parent node %d lists leaf %d, which is blank, as unmerged", x, l)
			}
			for y := l.node().parent(); y != x; y = y.parent() {
				if q := t.parents[y/2]; q != nil && !q.hasUnmerged(l) {
					return refuse("12.4.3.1", "parent node %d lists leaf %d as unmerged, node %d between them does not", x, l, y)
				}
			}
		}
	}
	return nil
}

// verifyKeysUnique checks that no encryption key and no signature key occurs twice in the tree (RFC 9420 §7.3, §16.7).
func (t *ratchetTree) verifyKeysUnique() error {
	encryption := make(map[string]nodeIndex, t.width())
	signature := make(map[string]LeafIndex, len(t.leaves))
	for x := range nodeIndex(t.width()) {
		if t.blank(x) {
			continue
		}
		key := string(t.encryptionKey(x))
		if y, seen := encryption[key]; seen {
			return refuse("16.7", "nodes %d and %d have the same encryption key", y, x)
		}
		encryption[key] = x
		if x.isLeaf() {
			key := string(t.leaves[x.leaf()].SignatureKey)
			if l, seen := signature[key]; seen {
				return refuse("16.7", "leaves %d and %d have the same signature key", l, x.leaf())
			}
			signature[key] = x.leaf()
		}
	}
	return nil
}

// hasEncryptionKey reports whether some node has one of keys.
func (t *ratchetTree) hasEncryptionKey(keys ...HPKEPublicKey) bool {
	for x := range nodeIndex(t.width()) {
		if t.blank(x) {
			continue
		}
		have := t.encryptionKey(x)
		for _, k := range keys {
			if bytes.Equal(have, k) {
				return true
			}
		}
	}
	return false
}
