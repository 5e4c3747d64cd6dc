package mls

import "testing"

func TestVectorTreeMath(t *testing.T) {
	type vector struct {
		Leaves  uint32    `json:"n_leaves"`
		Nodes   uint32    `json:"n_nodes"`
		Root    nodeIndex `json:"root"`
		Left    []*nodeIndex
		Right   []*nodeIndex
		Parent  []*nodeIndex
		Sibling []*nodeIndex
	}
	list := vectors[vector](t, "tree-math.json")
	for _, v := range list {
		if nodeWidth(v.Leaves) != v.Nodes || rootOf(v.Leaves) != v.Root {
			t.Errorf("%d leaves: %d nodes, root %d", v.Leaves, nodeWidth(v.Leaves), rootOf(v.Leaves))
		}
		for x := range nodeIndex(v.Nodes) {
			for what, c := range map[string]struct {
				want *nodeIndex
				got  func() nodeIndex
			}{
				"left": {v.Left[x], x.left}, "right": {v.Right[x], x.right},
				"parent": {v.Parent[x], x.parent}, "sibling": {v.Sibling[x], x.sibling},
			} {
				if c.want != nil && c.got() != *c.want {
					t.Errorf("%d leaves: %s of %d is %d; want %d", v.Leaves, what, x, c.got(), *c.want)
				}
			}
			if (v.Left[x] == nil) != x.isLeaf() || (v.Parent[x] == nil) != (x == v.Root) {
				t.Errorf("%d leaves: node %d is a leaf or the root where the vector says otherwise", v.Leaves, x)
			}
			if !x.isLeaf() && (!x.contains(x.left()) || !x.contains(x.right()) || commonAncestor(x.left(), x.right()) != x) {
				t.Errorf("%d leaves: node %d does not contain its children", v.Leaves, x)
			}
			if x != v.Root && (x.contains(x.sibling()) || x.contains(x.parent())) {
				t.Errorf("%d leaves: node %d contains its sibling or parent", v.Leaves, x)
			}
		}
		if from, to := v.Root.leaves(); from != 0 || to != LeafIndex(v.Leaves) {
			t.Errorf("%d leaves: the root spans %d to %d", v.Leaves, from, to)
		}
	}
	counted(t, len(list), 0)
}
