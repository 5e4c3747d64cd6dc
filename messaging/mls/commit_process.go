package mls

import (
	"bytes"
	"crypto/hpke"
	"slices"
)

// commitInputs is what processing a commit takes besides the state and the commit: what was stored, and the application's say.
type commitInputs struct {
	proposals proposalLookup
	psk       pskLookup // the returned key is wiped
	// updateKey returns the private key of an own Update proposal, by its public key.
	updateKey func(HPKEPublicKey) (hpke.PrivateKey, bool)
	policy    leafPolicy
	// allow is the application's rule, asked when the public part of the commit has been found valid; nil allows all.
	allow func(changeView) error
}

// changeView is what the application's rule judges: the list, and the tree after it with the committer's path.
type changeView struct {
	sender Sender
	at     LeafIndex // the committer's leaf in tree
	list   []listedProposal
	tree   *ratchetTree
	path   bool
}

// stagedCommit is a commit that was found valid and has changed nothing yet (RFC 9420 §14): the application looks at it, and the
// state that follows it is taken or dropped.
type stagedCommit struct {
	next    *groupState // nil if the commit removes this member
	tree    *ratchetTree
	list    *proposalList
	sender  Sender
	leaf    LeafIndex // the committer's, in the new tree
	added   []LeafIndex
	removed []LeafIndex
}

// publicCommit is what everybody can see of a valid commit: the group after it without its secrets. Whether it is confirmed only
// members can tell.
type publicCommit struct {
	stagedCommit
	listed  []listedProposal
	applied *appliedList
	context GroupContext // of the new epoch; without the transcript hash it is the provisional one (§12.4.2)
}

// stageCommit checks a commit whose sender is verified against the rules of RFC 9420 §12.4.2 and computes the epoch it begins.
// It changes nothing; g stays usable.
func (g *groupState) stageCommit(v verifiedContent, in commitInputs) (*stagedCommit, error) {
	p, err := g.stagePublic(v, in.proposals, in.policy)
	if err != nil {
		return nil, err
	}
	if in.allow != nil {
		if err := in.allow(changeView{p.sender, p.leaf, p.listed, p.tree, v.Content.Commit.Path != nil}); err != nil {
			return nil, err
		}
	}
	psk, err := g.suite.pskSecretOf(p.list.psks, in.psk)
	if err != nil {
		return nil, err
	}
	defer wipe(psk)
	st, a, context := &p.stagedCommit, p.applied, p.context
	if slices.Contains(st.removed, g.keys.index) { // what the others agree on from here is not this member's to know
		return st, nil
	}
	keys, err := g.updatedKeys(a.tree, p.list, in.updateKey)
	if err != nil {
		return nil, err
	}
	commit := v.Content.Commit
	var commitSecret []byte // all zero when there is no path (§8)
	next := &groupState{suite: g.suite, tree: a.tree, reInit: p.list.reInit}
	if commit.Path != nil {
		provisional, err := marshal(&context)
		if err != nil {
			return nil, err
		}
		if keys, commitSecret, err = a.tree.openPath(keys, st.leaf, commit.Path, provisional, a.added); err != nil {
			return nil, err
		}
		defer wipe(commitSecret)
	}
	next.keys = keys
	if context.ConfirmedTranscriptHash, err = g.suite.confirmedTranscriptHash(g.interim, v.AuthenticatedContent); err != nil {
		return nil, err
	}
	if err := next.setContext(context); err != nil {
		return nil, err
	}
	initSecret := g.secrets.init
	if init := p.list.externalInit; init != nil {
		if initSecret, err = g.externalInit(init.KEMOutput); err != nil {
			return nil, err
		}
		defer wipe(initSecret)
	}
	if err := next.beginEpoch(initSecret, commitSecret, psk, v.Auth.ConfirmationTag); err != nil {
		return nil, err
	}
	st.next = next
	return st, nil
}

// stagePublic is the part of stageCommit that needs no secret: the proposals, the path's public half, the tree and its hash.
func (g *groupState) stagePublic(v verifiedContent, proposals proposalLookup, policy leafPolicy) (*publicCommit, error) {
	if v.Content.Type != ContentCommit {
		return nil, refuse("12.4", "the content is no commit")
	}
	commit, sender := v.Content.Commit, v.Content.Sender
	if g.reInit != nil {
		return nil, refuse("12.4.2", "the group was closed by a ReInit")
	}
	list, err := resolve(commit, sender, proposals)
	if err != nil {
		return nil, err
	}
	l, err := g.checkList(list, sender, pskOrdinary)
	if err != nil {
		return nil, err
	}
	if commit.Path == nil && (len(list) == 0 || l.pathRequired) {
		return nil, refuse("12.4", "a commit without the path that its proposals require")
	}
	policy.received = true
	a, err := g.apply(l, policy)
	if err != nil {
		return nil, err
	}
	p := &publicCommit{listed: list, applied: a, context: g.context}
	p.stagedCommit = stagedCommit{tree: a.tree, list: l, sender: sender, leaf: LeafIndex(sender.Index), added: a.added, removed: l.removed()}
	if sender.Type == SenderNewMemberCommit {
		if p.leaf, err = a.tree.free(); err != nil {
			return nil, err
		}
	}
	p.context.Epoch, p.context.Extensions = g.context.Epoch+1, a.extensions
	if p.context.Epoch == 0 {
		return nil, refuse("8.1", "the group has no epochs left")
	}
	if commit.Path != nil {
		if err := g.mergeCommitPath(&p.stagedCommit, a, commit.Path, policy.identity); err != nil {
			return nil, err
		}
	}
	if err := a.rules.checkTree(a.tree, a.changed); err != nil {
		return nil, err
	}
	p.context.TreeHash, err = a.tree.hash()
	return p, err
}

// mergeCommitPath validates the leaf of the path and puts the path's public half into the tree (RFC 9420 §12.4.2).
func (g *groupState) mergeCommitPath(st *stagedCommit, a *appliedList, path *UpdatePath, identity IdentityProvider) error {
	if err := a.rules.check(&path.Leaf, st.leaf, SourceCommit); err != nil {
		return err
	}
	if st.sender.Type == SenderNewMemberCommit {
		if err := g.checkJoiner(st.list, a, &path.Leaf, st.leaf, identity); err != nil {
			return err
		}
	} else {
		old := a.tree.leaf(st.leaf)
		if old == nil {
			return refuse("12.4.2", "the committer's leaf %d is blank", st.leaf)
		}
		if err := a.rules.checkSuccessor(old, &path.Leaf, st.leaf); err != nil {
			return err
		}
	}
	if err := a.tree.mergePath(st.leaf, path, a.added); err != nil {
		return err
	}
	a.changed = append(a.changed, st.leaf)
	return nil
}

// checkJoiner checks the leaf of somebody who joins by an external commit, at the leaf at, against the members (RFC 9420 §12.2): it may
// remove its old self only, and must not be in the group beside that.
func (g *groupState) checkJoiner(l *proposalList, a *appliedList, leaf *LeafNode, at LeafIndex, identity IdentityProvider) error {
	for _, r := range l.removes {
		old := g.tree.leaf(r)
		if !identity.SameClient(old.Credential, leaf.Credential) {
			return refuse("12.2", "an external commit removes leaf %d, which is another client", r)
		}
		if err := a.rules.checkSuccessor(old, leaf, r); err != nil {
			return err
		}
		if bytes.Equal(old.EncryptionKey, leaf.EncryptionKey) {
			return refuse("7.3", "the joiner has the encryption key of its old leaf node %d", r)
		}
	}
	for i, member := range a.tree.members {
		if i != at && identity.SameClient(member.Credential, leaf.Credential) {
			return refuse("12.2", "an external commit adds the client that is at leaf %d", i)
		}
	}
	return nil
}

// updatedKeys returns this member's keys after the list was applied, before the path.
func (g *groupState) updatedKeys(t *ratchetTree, l *proposalList, updateKey func(HPKEPublicKey) (hpke.PrivateKey, bool)) (*treeKeys, error) {
	keys := g.keys.clone()
	for _, u := range l.updates {
		if u.leaf != keys.index {
			continue
		}
		key, ok := updateKey(u.node.EncryptionKey)
		if !ok {
			return nil, refuse("12.1.2", "the private key of the own Update is gone")
		}
		keys.set(keys.index.node(), keep(key))
	}
	keys.prune(t)
	return keys, nil
}

// beginEpoch derives the secrets of the epoch and checks the confirmation tag of the commit that led to it (RFC 9420 §8, §6.1).
func (g *groupState) beginEpoch(initSecret, commitSecret, psk, tag []byte) error {
	joiner := g.suite.joinerSecret(initSecret, commitSecret, g.encodedContext)
	defer wipe(joiner)
	member := g.suite.memberSecret(joiner, psk)
	defer wipe(member)
	return g.confirmEpoch(member, tag)
}

// confirmEpoch is the part of beginEpoch that a new member does likewise.
func (g *groupState) confirmEpoch(member, tag []byte) error {
	secrets := g.suite.epochSecrets(member, g.encodedContext)
	want := g.suite.confirmationTag(secrets, g.context.ConfirmedTranscriptHash)
	if !g.suite.verifyMAC(want, tag) {
		secrets.wipe()
		return refuse("6.1", "confirmation tag is wrong: the committer arrived at another state")
	}
	wipe(secrets.confirmation)
	secrets.confirmation = nil
	g.secrets, g.confirmationTag = secrets, bytes.Clone(tag)
	g.interim = g.suite.interimTranscriptHash(g.context.ConfirmedTranscriptHash, tag)
	return nil
}

// free returns the leftmost blank leaf, extending the tree if there is none. Unlike add it puts nothing there.
func (t *ratchetTree) free() (LeafIndex, error) {
	i := slices.Index(t.leaves, nil)
	if i < 0 {
		if i = len(t.leaves); i >= maxLeaves {
			return 0, refuse("12.4.2", "the group is full: %d leaves", i)
		}
		t.resize(2 * i)
	}
	return LeafIndex(i), nil
}
