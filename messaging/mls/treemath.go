package mls

import "math/bits"

// LeafIndex numbers the leaves of a ratchet tree, and so the members of a group, from the left (RFC 9420 §4.1.1).
type LeafIndex uint32

// nodeIndex numbers the nodes of a ratchet tree from the left: leaf i is node 2i (RFC 9420 Appendix C).
type nodeIndex uint32

// maxLeaves bounds a tree. It is far above what a group of persons and bots needs, and keeps hostile trees affordable.
const maxLeaves = 1 << 16

func (l LeafIndex) node() nodeIndex    { return nodeIndex(l) * 2 }
func (x nodeIndex) isLeaf() bool       { return x&1 == 0 }
func (x nodeIndex) leaf() LeafIndex    { return LeafIndex(x / 2) }
func (x nodeIndex) level() int         { return bits.TrailingZeros32(^uint32(x)) }
func (x nodeIndex) left() nodeIndex    { return x ^ 1<<(x.level()-1) } // of a parent node
func (x nodeIndex) right() nodeIndex   { return x ^ 3<<(x.level()-1) } // of a parent node
func (x nodeIndex) parent() nodeIndex  { k := x.level(); return (x | 1<<k) &^ (1 << (k + 1)) }
func (x nodeIndex) sibling() nodeIndex { return x ^ 1<<(x.level()+1) }

// contains reports whether y is x or below it.
func (x nodeIndex) contains(y nodeIndex) bool {
	k := x.level()
	return y.level() <= k && x>>(k+1) == y>>(k+1)
}

// leaves returns the first leaf below x and the one after the last.
func (x nodeIndex) leaves() (from, to LeafIndex) {
	half := nodeIndex(1)<<x.level() - 1
	return (x - half).leaf(), (x + half).leaf() + 1
}

// nodeWidth returns the number of nodes of a tree of n leaves, n a power of two.
func nodeWidth(n uint32) uint32 { return 2*n - 1 }

// rootOf returns the root of a tree of n leaves, n a power of two.
func rootOf(n uint32) nodeIndex { return nodeIndex(n - 1) }

// commonAncestor returns the lowest node that contains both x and y.
func commonAncestor(x, y nodeIndex) nodeIndex {
	for !x.contains(y) {
		x = x.parent()
	}
	return x
}
