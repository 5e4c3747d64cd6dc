package mls

import (
	"bytes"
	"slices"
)

// parentNode is an inner node of a ratchet tree (RFC 9420 §7.1). It is immutable once it stands in a tree.
type parentNode struct {
	EncryptionKey HPKEPublicKey
	ParentHash    []byte
	Unmerged      []LeafIndex // increasing
}

func (p *parentNode) encode(e *encoder) {
	e.opaque(p.EncryptionKey)
	e.opaque(p.ParentHash)
	e.varint(4 * len(p.Unmerged))
	for _, l := range p.Unmerged {
		e.u32(uint32(l))
	}
}

func (p *parentNode) decode(d *decoder) {
	p.EncryptionKey = d.opaque()
	p.ParentHash = d.opaque()
	outer := d.enter()
	for d.more() {
		l := LeafIndex(d.u32())
		if n := len(p.Unmerged); n > 0 && p.Unmerged[n-1] >= l {
			d.fail("unmerged leaves are not increasing (RFC 9420 §7.1)")
		}
		p.Unmerged = append(p.Unmerged, l)
	}
	d.leave(outer)
}

// hasUnmerged reports whether l is listed as unmerged.
func (p *parentNode) hasUnmerged(l LeafIndex) bool {
	_, ok := slices.BinarySearch(p.Unmerged, l)
	return ok
}

// ratchetTree is the public part of a group's key tree (RFC 9420 §4, §7). Leaves and parents are immutable and shared between
// copies of a tree; changing a tree replaces them. Hashes are cached until something below them changes.
type ratchetTree struct {
	suite   *suite
	leaves  []*LeafNode   // by leaf index, nil if blank; their number is a power of two
	parents []*parentNode // node x stands at x/2, nil if blank; one less than leaves
	hashes  [][]byte      // tree hash by node index, nil if unknown
}

// newTree returns the tree whose only member is leaf.
func newTree(s *suite, leaf *LeafNode) *ratchetTree {
	return &ratchetTree{suite: s, leaves: []*LeafNode{leaf}, hashes: make([][]byte, 1)}
}

// clone returns a copy that can be changed without changing t.
func (t *ratchetTree) clone() *ratchetTree {
	return &ratchetTree{suite: t.suite, leaves: slices.Clone(t.leaves), parents: slices.Clone(t.parents), hashes: slices.Clone(t.hashes)}
}

// parseTree decodes the contents of a ratchet_tree extension (RFC 9420 §12.4.3.3), which it keeps. Nothing is validated yet.
func parseTree(s *suite, b []byte) (*ratchetTree, error) {
	t := &ratchetTree{suite: s}
	return t, unmarshal("ratchet_tree", b, t)
}

// sizeHint is at least the size of the encoding, unless leaves have uncommonly many capabilities and extensions.
func (t *ratchetTree) sizeHint() int {
	n := 16 + t.width()
	for _, l := range t.leaves {
		if l != nil {
			n += 192 + len(l.EncryptionKey) + len(l.SignatureKey) + len(l.Credential.Identity) + len(l.ParentHash) + len(l.Signature)
			for _, c := range l.Credential.Certificates {
				n += 4 + len(c)
			}
		}
	}
	for _, p := range t.parents {
		if p != nil {
			n += 16 + len(p.EncryptionKey) + len(p.ParentHash) + 4*len(p.Unmerged)
		}
	}
	return n
}

func (t *ratchetTree) encode(e *encoder) {
	start := e.begin()
	last := nodeIndex(t.width())
	for last > 0 && t.blank(last-1) {
		last--
	}
	for x := range last {
		e.present(!t.blank(x))
		switch {
		case t.blank(x):
		case x.isLeaf():
			e.u8(1)
			t.leaves[x.leaf()].encode(e)
		default:
			e.u8(2)
			t.parents[x/2].encode(e)
		}
	}
	e.end(start)
}

func (t *ratchetTree) decode(d *decoder) {
	outer := d.enter()
	var x nodeIndex
	for ; d.more(); x++ {
		if x >= 2*maxLeaves-1 {
			d.fail("tree has too many nodes")
			break
		}
		var leaf *LeafNode
		var parent *parentNode
		if d.present() {
			switch kind := d.u8(); {
			case kind == 1 && x.isLeaf():
				leaf = new(LeafNode)
				leaf.decode(d)
			case kind == 2 && !x.isLeaf():
				parent = new(parentNode)
				parent.decode(d)
			default:
				d.fail("node type does not fit the node's place (RFC 9420 §12.4.3.3)")
			}
		} else if !d.more() {
			d.fail("last node is blank (RFC 9420 §12.4.3.3)")
		}
		if x.isLeaf() {
			t.leaves = append(t.leaves, leaf)
		} else {
			t.parents = append(t.parents, parent)
		}
	}
	d.leave(outer)
	if x == 0 {
		d.fail("tree has no nodes")
	}
	n := 1
	for n < len(t.leaves) || n < len(t.parents)+1 {
		n *= 2
	}
	t.resize(n)
}

// resize gives the tree n leaves, a power of two, adding blank ones or dropping those on the right. Hashes stay true: new nodes have
// none, and those of whole subtrees do not change.
func (t *ratchetTree) resize(n int) {
	t.leaves = fit(t.leaves, n)
	t.parents = fit(t.parents, n-1)
	t.hashes = fit(t.hashes, 2*n-1)
}

// fit returns list with n elements: cut, or continued with zero values.
func fit[T any](list []T, n int) []T {
	if n <= len(list) {
		return list[:n]
	}
	return append(list, make([]T, n-len(list))...)
}

// width returns the number of nodes, blank ones included.
func (t *ratchetTree) width() int { return 2*len(t.leaves) - 1 }

func (t *ratchetTree) root() nodeIndex { return rootOf(uint32(len(t.leaves))) }

// leaf returns the leaf at l, or nil if it is blank or outside the tree.
func (t *ratchetTree) leaf(l LeafIndex) *LeafNode {
	if int64(l) >= int64(len(t.leaves)) {
		return nil
	}
	return t.leaves[l]
}

// parentAt returns the parent node at x, or nil if it is blank.
func (t *ratchetTree) parentAt(x nodeIndex) *parentNode { return t.parents[x/2] }

// blank reports whether the node x, which is in the tree, is blank.
func (t *ratchetTree) blank(x nodeIndex) bool {
	if x.isLeaf() {
		return t.leaves[x.leaf()] == nil
	}
	return t.parents[x/2] == nil
}

// encryptionKey returns the key of the node x, which is not blank.
func (t *ratchetTree) encryptionKey(x nodeIndex) HPKEPublicKey {
	if x.isLeaf() {
		return t.leaves[x.leaf()].EncryptionKey
	}
	return t.parents[x/2].EncryptionKey
}

// members calls yield for each leaf that is not blank, from the left.
func (t *ratchetTree) members(yield func(LeafIndex, *LeafNode) bool) {
	for i, l := range t.leaves {
		if l != nil && !yield(LeafIndex(i), l) {
			return
		}
	}
}

// touch forgets the hashes of x and of everything above it.
func (t *ratchetTree) touch(x nodeIndex) {
	for root := t.root(); ; x = x.parent() {
		t.hashes[x] = nil
		if x == root {
			return
		}
	}
}

// blankPath blanks all parents above l.
func (t *ratchetTree) blankPath(l LeafIndex) {
	for x, root := l.node(), t.root(); x != root; {
		x = x.parent()
		t.parents[x/2] = nil
	}
}

// add puts leaf at the leftmost blank leaf, extending the tree if there is none (RFC 9420 §12.1.1).
func (t *ratchetTree) add(leaf *LeafNode) (LeafIndex, error) {
	i := slices.Index(t.leaves, nil)
	if i < 0 {
		if i = len(t.leaves); i >= maxLeaves {
			return 0, refuse("12.1.1", "the group is full: %d leaves", i)
		}
		t.resize(2 * i)
	}
	l := LeafIndex(i)
	t.leaves[l] = leaf
	for x, root := l.node(), t.root(); x != root; {
		x = x.parent()
		if p := t.parents[x/2]; p != nil {
			at, _ := slices.BinarySearch(p.Unmerged, l)
			q := *p
			q.Unmerged = slices.Insert(slices.Clone(p.Unmerged), at, l)
			t.parents[x/2] = &q
		}
	}
	t.touch(l.node())
	return l, nil
}

// update replaces the leaf at l, which is not blank, and blanks the parents above it (RFC 9420 §12.1.2).
func (t *ratchetTree) update(l LeafIndex, leaf *LeafNode) {
	t.leaves[l] = leaf
	t.blankPath(l)
	t.touch(l.node())
}

// remove blanks the leaf at l and the parents above it. The caller truncates after the last removal (RFC 9420 §12.1.3).
func (t *ratchetTree) remove(l LeafIndex) error {
	if t.leaf(l) == nil {
		return refuse("12.1.3", "leaf %d, which is to be removed, is blank", l)
	}
	t.leaves[l] = nil
	t.blankPath(l)
	t.touch(l.node())
	return nil
}

// truncate drops the right half of the tree as long as it has no member (RFC 9420 §7.7).
func (t *ratchetTree) truncate() {
	n := len(t.leaves)
	for n > 1 && !slices.ContainsFunc(t.leaves[n/2:n], func(l *LeafNode) bool { return l != nil }) {
		n /= 2
	}
	if n < len(t.leaves) {
		clear(t.leaves[n:])
		clear(t.parents[n-1:])
		clear(t.hashes[2*n-1:])
		t.resize(n)
	}
}

// appendResolution appends the resolution of x: the nodes that together have all members below x (RFC 9420 §4.1.1).
func (t *ratchetTree) appendResolution(dst []nodeIndex, x nodeIndex) []nodeIndex {
	if x.isLeaf() {
		if t.leaves[x.leaf()] == nil {
			return dst
		}
		return append(dst, x)
	}
	if p := t.parents[x/2]; p != nil {
		dst = append(dst, x)
		for _, l := range p.Unmerged {
			dst = append(dst, l.node())
		}
		return dst
	}
	return t.appendResolution(t.appendResolution(dst, x.left()), x.right())
}

// empty reports whether the resolution of x is empty.
func (t *ratchetTree) empty(x nodeIndex) bool {
	if !t.blank(x) {
		return false
	}
	return x.isLeaf() || t.empty(x.left()) && t.empty(x.right())
}

// pathStep is a node of a filtered direct path and its child that is not on the path.
type pathStep struct{ node, copath nodeIndex }

// filteredPath returns the filtered direct path of l, upwards: the parents whose copath child has members (RFC 9420 §4.1.2).
func (t *ratchetTree) filteredPath(l LeafIndex) []pathStep {
	steps := make([]pathStep, 0, rootOf(uint32(len(t.leaves))).level())
	for x, root := l.node(), t.root(); x != root; x = x.parent() {
		if copath := x.sibling(); !t.empty(copath) {
			steps = append(steps, pathStep{x.parent(), copath})
		}
	}
	return steps
}

// findLeaf returns the first leaf that is not blank and encodes to the same octets as want.
func (t *ratchetTree) findLeaf(want *LeafNode) (LeafIndex, bool) {
	raw, err := marshal(want)
	if err != nil {
		return 0, false
	}
	for i, l := range t.members {
		if bytes.Equal(l.EncryptionKey, want.EncryptionKey) {
			if b, err := marshal(l); err == nil && bytes.Equal(b, raw) {
				return i, true
			}
		}
	}
	return 0, false
}
