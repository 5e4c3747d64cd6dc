package mls

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestVectorTreeOperations(t *testing.T) {
	type vector struct {
		Suite      CipherSuite `json:"cipher_suite"`
		Proposal   hexBytes    `json:"proposal"`
		Sender     LeafIndex   `json:"proposal_sender"`
		Before     hexBytes    `json:"tree_before"`
		After      hexBytes    `json:"tree_after"`
		HashBefore hexBytes    `json:"tree_hash_before"`
		HashAfter  hexBytes    `json:"tree_hash_after"`
	}
	passed, refused := 0, 0
	for i, v := range vectors[vector](t, "tree-operations.json") {
		s := vectorSuite(t, v.Suite)
		if s == nil {
			refused++
			continue
		}
		tree, err := parseTree(s, v.Before)
		if err != nil {
			t.Fatal(err)
		}
		checkTree(t, tree, v.Before, v.HashBefore)
		changed := tree.clone()
		d := newDecoder("Proposal", v.Proposal)
		switch p := decodeProposal(d).(type) {
		case *Add:
			_, err = changed.add(&p.KeyPackage.Leaf)
		case *Update:
			changed.update(v.Sender, &p.Leaf)
		case *Remove:
			err = changed.remove(p.Removed)
			changed.truncate()
		default:
			t.Fatalf("entry %d: proposal %T", i, p)
		}
		if d.finish() != nil || err != nil {
			t.Fatalf("entry %d: %v, %v", i, d.err, err)
		}
		checkTree(t, changed, v.After, v.HashAfter)
		checkTree(t, tree, v.Before, v.HashBefore) // the copy was changed, the tree not
		passed++
	}
	counted(t, passed, refused)
}

// checkTree compares a tree's encoding and hash, cached and computed anew, with what they should be.
func checkTree(t *testing.T, tree *ratchetTree, encoding, hash []byte) {
	t.Helper()
	if got := mustMarshal(t, tree); !bytes.Equal(got, encoding) {
		t.Errorf("tree encodes to %d octets, not the %d it should", len(got), len(encoding))
	}
	cached, err := tree.hash()
	if err != nil || !bytes.Equal(cached, hash) {
		t.Errorf("tree hash %x, %v; want %x", cached, err, hash)
	}
	fresh := tree.clone()
	clear(fresh.hashes)
	if anew, _ := fresh.hash(); !bytes.Equal(anew, hash) {
		t.Errorf("tree hash computed anew %x; want %x", anew, hash)
	}
}

type treeValidationVector struct {
	Suite       CipherSuite `json:"cipher_suite"`
	Tree        hexBytes    `json:"tree"`
	GroupID     hexBytes    `json:"group_id"`
	TreeHashes  []hexBytes  `json:"tree_hashes"`
	Resolutions [][]nodeIndex
}

func TestVectorTreeValidation(t *testing.T) {
	passed, refused := 0, 0
	for i, v := range vectors[treeValidationVector](t, "tree-validation.json") {
		s := vectorSuite(t, v.Suite)
		if s == nil {
			refused++
			continue
		}
		tree, err := parseTree(s, v.Tree)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.TreeHashes) != tree.width() || len(v.Resolutions) != tree.width() {
			t.Fatalf("entry %d: %d nodes", i, tree.width())
		}
		for x := range nodeIndex(tree.width()) {
			if h, err := tree.nodeHash(x); err != nil || !bytes.Equal(h, v.TreeHashes[x]) {
				t.Errorf("entry %d: tree hash of node %d: %x, %v", i, x, h, err)
			}
			if got := tree.appendResolution(nil, x); !slices.Equal(got, v.Resolutions[x]) {
				t.Errorf("entry %d: resolution of node %d: %v; want %v", i, x, got, v.Resolutions[x])
			}
			if tree.empty(x) != (len(v.Resolutions[x]) == 0) {
				t.Errorf("entry %d: node %d: empty = %v", i, x, tree.empty(x))
			}
		}
		if err := tree.verifyParentHashes(); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
		if err := tree.verifyUnmerged(); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
		if err := tree.verifyKeysUnique(); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
		for l, leaf := range tree.members {
			if err := leaf.verifySignature(s, v.GroupID, l); err != nil {
				t.Errorf("entry %d: %v", i, err)
			}
			if leaf.Source != SourceKeyPackage && leaf.verifySignature(s, append(bytes.Clone(v.GroupID), 0), l) == nil {
				t.Errorf("entry %d: leaf %d verifies in another group", i, l)
			}
			if leaf.Source != SourceKeyPackage && leaf.verifySignature(s, v.GroupID, l+1) == nil {
				t.Errorf("entry %d: leaf %d verifies at another index", i, l)
			}
		}
		passed++
	}
	counted(t, passed, refused)
}

// Each change of a valid tree that parent hashes are to detect is detected.
func TestParentHashChangesDetected(t *testing.T) {
	detected := map[string]int{}
	for i, v := range vectors[treeValidationVector](t, "tree-validation.json") {
		s, err := lookupSuite(v.Suite)
		if err != nil || v.Suite != X25519AES128GCM {
			continue
		}
		tree, err := parseTree(s, v.Tree)
		if err != nil {
			t.Fatal(err)
		}
		refuse := func(what string, x nodeIndex, change func(*ratchetTree, *parentNode) bool) {
			bad := tree.clone()
			p := *tree.parents[x/2]
			p.EncryptionKey, p.ParentHash, p.Unmerged = bytes.Clone(p.EncryptionKey), bytes.Clone(p.ParentHash), slices.Clone(p.Unmerged)
			if !change(bad, &p) {
				return
			}
			bad.parents[x/2] = &p
			clear(bad.hashes)
			if bad.verifyParentHashes() == nil && bad.verifyUnmerged() == nil {
				t.Errorf("entry %d, node %d: %s is accepted", i, x, what)
			}
			detected[what]++
		}
		for at, p := range tree.parents {
			if p == nil {
				continue
			}
			x := nodeIndex(2*at + 1)
			refuse("another encryption key", x, func(_ *ratchetTree, p *parentNode) bool { p.EncryptionKey[0] ^= 1; return true })
			refuse("another parent hash", x, func(_ *ratchetTree, p *parentNode) bool {
				if len(p.ParentHash) == 0 {
					p.ParentHash = []byte{1}
				} else {
					p.ParentHash[3] ^= 0x80
				}
				return true
			})
			refuse("one unmerged leaf less", x, func(_ *ratchetTree, p *parentNode) bool {
				if len(p.Unmerged) == 0 {
					return false
				}
				p.Unmerged = p.Unmerged[1:]
				return true
			})
			refuse("one unmerged leaf more", x, func(tree *ratchetTree, p *parentNode) bool {
				from, to := x.leaves()
				for l := from; l < to; l++ {
					if tree.leaves[l] != nil && !p.hasUnmerged(l) {
						p.Unmerged = append(p.Unmerged, l)
						slices.Sort(p.Unmerged)
						return true
					}
				}
				return false
			})
		}
	}
	for _, what := range []string{"another encryption key", "another parent hash", "one unmerged leaf less", "one unmerged leaf more"} {
		if detected[what] == 0 {
			t.Errorf("no tree to try %q on", what)
		}
	}
}

func TestUnmergedLeavesRules(t *testing.T) {
	s, _ := lookupSuite(X25519AES128GCM)
	leaf := func(name string) *LeafNode {
		return &LeafNode{EncryptionKey: HPKEPublicKey(name), SignatureKey: SignaturePublicKey(name), Source: SourceUpdate, Credential: BasicCredential([]byte(name))}
	}
	build := func() *ratchetTree {
		tree := newTree(s, leaf("a"))
		for _, n := range []string{"b", "c", "d"} {
			if _, err := tree.add(leaf(n)); err != nil {
				t.Fatal(err)
			}
		}
		tree.parents[1] = &parentNode{EncryptionKey: HPKEPublicKey("root")} // node 3
		tree.parents[0] = &parentNode{EncryptionKey: HPKEPublicKey("left")} // node 1
		return tree
	}
	for what, tt := range map[string]struct {
		change func(*ratchetTree)
		want   string
	}{
		"valid": {func(tree *ratchetTree) {
			tree.parents[1].Unmerged = []LeafIndex{1}
			tree.parents[0].Unmerged = []LeafIndex{1}
		}, ""},
		"only above":   {func(tree *ratchetTree) { tree.parents[1].Unmerged = []LeafIndex{1} }, "between them does not"},
		"only below":   {func(tree *ratchetTree) { tree.parents[0].Unmerged = []LeafIndex{1} }, ""}, // left for parent hashes to judge
		"blank leaf":   {func(tree *ratchetTree) { tree.leaves[3] = nil; tree.parents[1].Unmerged = []LeafIndex{3} }, "is blank"},
		"not below":    {func(tree *ratchetTree) { tree.parents[0].Unmerged = []LeafIndex{2} }, "not below"},
		"outside":      {func(tree *ratchetTree) { tree.parents[1].Unmerged = []LeafIndex{400} }, "not below"},
		"blank parent": {func(tree *ratchetTree) { tree.parents[0] = nil; tree.parents[1].Unmerged = []LeafIndex{1} }, ""},
	} {
		tree := build()
		tt.change(tree)
		if err := tree.verifyUnmerged(); (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", what, err, tt.want)
		}
	}
	for what, change := range map[string]func(*ratchetTree){
		"same encryption key": func(tree *ratchetTree) { tree.leaves[2].EncryptionKey = HPKEPublicKey("a") },
		"key of a parent":     func(tree *ratchetTree) { tree.leaves[2].EncryptionKey = HPKEPublicKey("root") },
		"two equal parents":   func(tree *ratchetTree) { tree.parents[0].EncryptionKey = HPKEPublicKey("root") },
		"same signature key":  func(tree *ratchetTree) { tree.leaves[2].SignatureKey = SignaturePublicKey("d") },
	} {
		tree := build()
		if err := tree.verifyKeysUnique(); err != nil {
			t.Fatal(err)
		}
		change(tree)
		if err := tree.verifyKeysUnique(); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestTreeDecodingRefused(t *testing.T) {
	leaf := mustMarshal(t, &LeafNode{Source: SourceUpdate, Credential: BasicCredential(nil)})
	parent := mustMarshal(t, &parentNode{})
	node := func(kind byte, b []byte) []byte { return append([]byte{1, kind}, b...) }
	blank := []byte{0}
	for what, tt := range map[string]struct {
		nodes [][]byte
		want  string
	}{
		"one leaf":           {[][]byte{node(1, leaf)}, ""},
		"no nodes":           {nil, "no nodes"},
		"only a blank":       {[][]byte{blank}, "last node is blank"},
		"blank at the end":   {[][]byte{node(1, leaf), node(2, parent), blank}, "last node is blank"},
		"parent at a leaf":   {[][]byte{node(2, parent)}, "place"},
		"leaf at a parent":   {[][]byte{node(1, leaf), node(1, leaf)}, "place"},
		"unknown node type":  {[][]byte{node(3, leaf)}, "place"},
		"presence neither":   {[][]byte{{2, 1}}, "presence"},
		"ends with a parent": {[][]byte{node(1, leaf), node(2, parent)}, ""},
	} {
		var e encoder
		e.opaque(bytes.Join(tt.nodes, nil))
		tree, err := parseTree(nil, e.buf)
		if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", what, err, tt.want)
		}
		if err == nil && !bytes.Equal(mustMarshal(t, tree), e.buf) {
			t.Errorf("%s: encodes to other octets", what)
		}
	}
	e := encoder{}
	start := e.begin()
	for range 2 * maxLeaves {
		e.u8(0)
	}
	e.end(start)
	if _, err := parseTree(nil, e.buf); err == nil || !strings.Contains(err.Error(), "too many nodes") {
		t.Errorf("%d nodes: %v", 2*maxLeaves, err)
	}
	p := parentNode{Unmerged: []LeafIndex{1, 1}}
	if err := unmarshal("ParentNode", mustMarshal(t, &p), new(parentNode)); err == nil || !strings.Contains(err.Error(), "increasing") {
		t.Errorf("unmerged leaf twice: %v", err)
	}
}

func TestTreeGrowsAndShrinks(t *testing.T) {
	s, _ := lookupSuite(X25519AES128GCM)
	leaf := func(i int) *LeafNode {
		return &LeafNode{EncryptionKey: fmt.Appendf(nil, "%d", i), Source: SourceUpdate, Credential: BasicCredential(nil)}
	}
	tree := newTree(s, leaf(0))
	for i := 1; i < 9; i++ {
		if l, err := tree.add(leaf(i)); err != nil || l != LeafIndex(i) {
			t.Fatalf("leaf %d added at %d, %v", i, l, err)
		}
		if _, err := tree.hash(); err != nil {
			t.Fatal(err)
		}
	}
	if len(tree.leaves) != 16 {
		t.Fatalf("%d leaves for 9 members", len(tree.leaves))
	}
	for _, i := range []LeafIndex{8, 3, 5, 6, 7} {
		if err := tree.remove(i); err != nil {
			t.Fatal(err)
		}
		tree.truncate()
		want := tree.clone()
		clear(want.hashes)
		a, _ := tree.hash()
		b, _ := want.hash()
		if !bytes.Equal(a, b) {
			t.Errorf("after removing %d: a cached hash is stale", i)
		}
	}
	if len(tree.leaves) != 8 || tree.leaves[4] == nil {
		t.Errorf("%d leaves; leaf 4 is a member", len(tree.leaves))
	}
	if l, err := tree.add(leaf(20)); err != nil || l != 3 {
		t.Errorf("added at %d, %v; the leftmost blank leaf is 3", l, err)
	}
	for _, i := range []LeafIndex{5, 8, 16, 1 << 31} {
		if err := tree.remove(i); err == nil {
			t.Errorf("blank leaf %d removed", i)
		}
	}
	for _, i := range []LeafIndex{4, 3, 2, 1} {
		if err := tree.remove(i); err != nil {
			t.Fatal(err)
		}
	}
	if tree.truncate(); len(tree.leaves) != 1 {
		t.Errorf("%d leaves for one member", len(tree.leaves))
	}
	full := &ratchetTree{suite: s, leaves: slices.Repeat([]*LeafNode{leaf(0)}, maxLeaves)}
	if _, err := full.add(leaf(1)); err == nil {
		t.Error("a full tree grows")
	}
}

type treeKEMLeaf struct {
	Index          LeafIndex
	EncryptionPriv hexBytes `json:"encryption_priv"`
	SignaturePriv  hexBytes `json:"signature_priv"`
	PathSecrets    []struct {
		Node       nodeIndex
		PathSecret hexBytes `json:"path_secret"`
	} `json:"path_secrets"`
}

type treeKEMVector struct {
	Suite                   CipherSuite `json:"cipher_suite"`
	GroupID                 hexBytes    `json:"group_id"`
	Epoch                   uint64
	ConfirmedTranscriptHash hexBytes      `json:"confirmed_transcript_hash"`
	RatchetTree             hexBytes      `json:"ratchet_tree"`
	LeavesPrivate           []treeKEMLeaf `json:"leaves_private"`
	UpdatePaths             []struct {
		Sender        LeafIndex
		UpdatePath    hexBytes   `json:"update_path"`
		PathSecrets   []hexBytes `json:"path_secrets"`
		CommitSecret  hexBytes   `json:"commit_secret"`
		TreeHashAfter hexBytes   `json:"tree_hash_after"`
	} `json:"update_paths"`
}

func (v *treeKEMVector) context(s *suite, treeHash []byte) []byte {
	b, _ := marshal(&GroupContext{Version: MLS10, Suite: v.Suite, GroupID: v.GroupID, Epoch: v.Epoch, TreeHash: treeHash,
		ConfirmedTranscriptHash: v.ConfirmedTranscriptHash})
	return b
}

// privates returns the secret half of the tree of each member of the vector.
func (v *treeKEMVector) privates(t *testing.T, s *suite, tree *ratchetTree) map[LeafIndex]*treeKeys {
	all := map[LeafIndex]*treeKeys{}
	for _, p := range v.LeavesPrivate {
		key, err := s.kem.NewPrivateKey(p.EncryptionPriv)
		if err != nil {
			t.Fatal(err)
		}
		k := newTreeKeys(p.Index, keep(key))
		for _, ps := range p.PathSecrets {
			key, err := s.deriveKeyPair(s.deriveSecret(ps.PathSecret, "node"))
			if err != nil {
				t.Fatal(err)
			}
			k.set(ps.Node, keep(key))
		}
		n := len(k.keys)
		if k.prune(tree); len(k.keys) != n {
			t.Fatalf("leaf %d: a private key does not fit the tree", p.Index)
		}
		all[p.Index] = k
	}
	return all
}

func TestVectorTreeKEM(t *testing.T) {
	passed, refused := 0, 0
	for i, v := range vectors[treeKEMVector](t, "treekem.json") {
		s := vectorSuite(t, v.Suite)
		if s == nil {
			refused++
			continue
		}
		tree, err := parseTree(s, v.RatchetTree)
		if err != nil {
			t.Fatal(err)
		}
		members := v.privates(t, s, tree)
		for _, u := range v.UpdatePaths {
			var path UpdatePath
			if err := unmarshal("UpdatePath", u.UpdatePath, &path); err != nil {
				t.Fatal(err)
			}
			after := tree.clone()
			if err := after.mergePath(u.Sender, &path, nil); err != nil {
				t.Errorf("entry %d: %v", i, err)
				continue
			}
			hash, err := after.hash()
			if err != nil || !bytes.Equal(hash, u.TreeHashAfter) {
				t.Errorf("entry %d: tree hash after %x, %v", i, hash, err)
			}
			if err := after.verifyParentHashes(); err != nil {
				t.Errorf("entry %d: %v", i, err)
			}
			for l, k := range members {
				if l == u.Sender {
					continue
				}
				keys, commitSecret, err := after.openPath(k, u.Sender, &path, v.context(s, hash), nil)
				if err != nil || !bytes.Equal(commitSecret, u.CommitSecret) {
					t.Errorf("entry %d, leaf %d: commit secret %x, %v", i, l, commitSecret, err)
					continue
				}
				ancestor := commonAncestor(l.node(), u.Sender.node())
				want, err := s.deriveKeyPair(s.deriveSecret(u.PathSecrets[l], "node"))
				if got, ok := keys.key(ancestor); err != nil || !ok || !bytes.Equal(got.public, want.PublicKey().Bytes()) {
					t.Errorf("entry %d, leaf %d: key of node %d is not from the path secret", i, l, ancestor)
				}
			}

			// The other direction: a new path by the same sender, which all others process.
			at := slices.IndexFunc(v.LeavesPrivate, func(p treeKEMLeaf) bool { return p.Index == u.Sender })
			signer, err := s.parseSignaturePrivateKey(v.LeavesPrivate[at].SignaturePriv)
			if err != nil {
				t.Fatal(err)
			}
			made := tree.clone()
			update, err := made.startPath(rand.Reader, u.Sender, *tree.leaves[u.Sender], v.GroupID, signer)
			if err != nil {
				t.Fatal(err)
			}
			hash, _ = made.hash()
			fresh, err := update.encrypt(made, v.context(s, hash), nil)
			if err != nil {
				t.Fatal(err)
			}
			var sent UpdatePath
			if err := unmarshal("UpdatePath", mustMarshal(t, fresh), &sent); err != nil {
				t.Fatal(err)
			}
			if err := sent.Leaf.verifySignature(s, v.GroupID, u.Sender); err != nil {
				t.Error(err)
			}
			own := update.install(members[u.Sender], made)
			if n := len(update.steps); len(own.keys) != n+1 {
				t.Errorf("entry %d: the sender has %d keys for a path of %d", i, len(own.keys), n)
			}
			for l, k := range members {
				if l == u.Sender {
					continue
				}
				theirs := tree.clone()
				if err := theirs.mergePath(u.Sender, &sent, nil); err != nil {
					t.Errorf("entry %d: own path: %v", i, err)
					continue
				}
				checkTree(t, theirs, mustMarshal(t, made), hash)
				_, commitSecret, err := theirs.openPath(k, u.Sender, &sent, v.context(s, hash), nil)
				if err != nil || !bytes.Equal(commitSecret, update.commitSecret) {
					t.Errorf("entry %d, leaf %d: own path: commit secret %x, %v", i, l, commitSecret, err)
				}
			}
		}
		passed++
	}
	counted(t, passed, refused)
}
