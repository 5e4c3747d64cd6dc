package mls

import (
	"crypto"
	"crypto/hpke"
	"io"
	"slices"
)

// commitRequest is what a commit to be made should hold (RFC 9420 §12.4.1).
type commitRequest struct {
	byValue     []Proposal
	byReference []cachedProposal
	// path asks for an update path although the proposals do not require one.
	path bool
	// leaf, if not nil, changes the committer's leaf before it is signed: credential, capabilities, extensions. The signature key in
	// it is set from nextSigner.
	leaf func(*LeafNode)
	// signer holds the key of the committer's leaf in this epoch; nextSigner, if not nil, the one of its next leaf, which needs a path.
	signer     crypto.Signer
	nextSigner crypto.Signer

	wireFormat        WireFormat // public or private message
	authenticatedData []byte
	use               pskContext
	psk               pskLookup // of the PSKs proposed
	policy            leafPolicy
	allow             func(changeView) error // as in commitInputs
	// groupInfo says what the GroupInfo for new members has besides the state of the group.
	groupInfo groupInfoOptions
}

// groupInfoOptions says what a GroupInfo holds (RFC 9420 §12.4.3).
type groupInfoOptions struct {
	omitTree    bool       // the ratchet tree reaches the joiner otherwise
	externalPub bool       // outsiders may join by an external commit (§12.4.3.2)
	extensions  Extensions // more, which joiners ignore if they do not know them
}

// pendingCommit is a commit that was made and has changed nothing yet: the delivery service decides whether it takes place (RFC
// 9420 §14). The group stays in its epoch until the commit comes back, and next is dropped if another one does.
type pendingCommit struct {
	content AuthenticatedContent // signed and with its confirmation tag
	welcome *Welcome             // nil if nobody is added
	next    *groupState
	list    *proposalList
	added   []LeafIndex
}

// makeCommit makes a commit of this member. It changes nothing; the message is still to be protected.
func (g *groupState) makeCommit(random io.Reader, req commitRequest) (*pendingCommit, error) {
	if g.reInit != nil {
		return nil, refuse("12.4.2", "the group was closed by a ReInit")
	}
	sender := Sender{SenderMember, uint32(g.keys.index)}
	return g.buildCommit(random, req, sender, g.secrets.init)
}

// buildCommit is makeCommit for a member, and for somebody who joins by an external commit and has the public half of g only.
func (g *groupState) buildCommit(random io.Reader, req commitRequest, sender Sender, initSecret []byte) (*pendingCommit, error) {
	commit := new(Commit)
	var listed []listedProposal
	for i := range req.byReference {
		p := &req.byReference[i]
		commit.Proposals = append(commit.Proposals, ProposalOrRef{Reference: p.ref})
		listed = append(listed, listedProposal{Proposal: p.proposal, sender: p.sender, byRef: true})
	}
	for _, p := range req.byValue {
		commit.Proposals = append(commit.Proposals, ProposalOrRef{Proposal: p})
		listed = append(listed, listedProposal{Proposal: p, sender: sender})
	}
	list, err := g.checkList(listed, sender, req.use)
	if err != nil {
		return nil, err
	}
	psk, err := g.suite.pskSecretOf(list.psks, req.psk)
	if err != nil {
		return nil, err
	}
	defer wipe(psk)
	a, err := g.apply(list, req.policy)
	if err != nil {
		return nil, err
	}
	context := g.context
	context.Epoch, context.Extensions = g.context.Epoch+1, a.extensions
	if context.Epoch == 0 {
		return nil, refuse("8.1", "the group has no epochs left")
	}
	next := &groupState{suite: g.suite, tree: a.tree, reInit: list.reInit}
	leafSigner := req.signer
	var update *pathUpdate
	var commitSecret []byte
	if len(listed) == 0 || list.pathRequired || req.path {
		if req.nextSigner != nil {
			leafSigner = req.nextSigner
		}
		if update, err = g.startCommitPath(random, list, a, sender, req, leafSigner); err != nil {
			return nil, err
		}
		defer update.wipe()
		commitSecret = update.commitSecret
		defer wipe(commitSecret)
	} else if req.nextSigner != nil || req.leaf != nil {
		return nil, refuse("12.4", "a commit without a path cannot change the committer's leaf")
	}
	if err := a.rules.checkTree(a.tree, a.changed); err != nil {
		return nil, err
	}
	if req.allow != nil {
		at := LeafIndex(sender.Index)
		if update != nil {
			at = update.sender
		}
		if err := req.allow(changeView{sender, at, listed, a.tree, update != nil}); err != nil {
			return nil, err
		}
	}
	if context.TreeHash, err = a.tree.hash(); err != nil {
		return nil, err
	}
	if update != nil {
		provisional, err := marshal(&context)
		if err != nil {
			return nil, err
		}
		if commit.Path, err = update.encrypt(a.tree, provisional, a.added); err != nil {
			return nil, err
		}
		next.keys = update.install(g.keys, a.tree)
	} else {
		next.keys = g.keys.clone()
		next.keys.prune(a.tree)
	}

	p := &pendingCommit{next: next, list: list, added: a.added}
	p.content = AuthenticatedContent{WireFormat: req.wireFormat, Content: FramedContent{
		GroupID: g.context.GroupID, Epoch: g.context.Epoch, Sender: sender, AuthenticatedData: req.authenticatedData,
		Type: ContentCommit, Commit: commit,
	}}
	if err := g.suite.sign(random, req.signer, &p.content, g.encodedContext); err != nil {
		return nil, err
	}
	if context.ConfirmedTranscriptHash, err = g.suite.confirmedTranscriptHash(g.interim, &p.content); err != nil {
		return nil, err
	}
	if err := next.setContext(context); err != nil {
		return nil, err
	}
	joiner := g.suite.joinerSecret(initSecret, commitSecret, next.encodedContext)
	defer wipe(joiner)
	member := g.suite.memberSecret(joiner, psk)
	defer wipe(member)
	next.enterEpoch(g.suite.epochSecrets(member, next.encodedContext))
	p.content.Auth.ConfirmationTag = next.confirmationTag
	if len(a.added) > 0 {
		if p.welcome, err = next.makeWelcome(random, leafSigner, p, update, joiner, member, req.groupInfo); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// startCommitPath gives the committer its new leaf and path. A member keeps what its leaf says unless the request changes it; somebody
// who joins brings a whole leaf.
func (g *groupState) startCommitPath(random io.Reader, list *proposalList, a *appliedList, sender Sender, req commitRequest, signer crypto.Signer) (*pathUpdate, error) {
	at := LeafIndex(sender.Index)
	var old *LeafNode
	var leaf LeafNode
	if sender.Type == SenderNewMemberCommit {
		var err error
		if at, err = a.tree.free(); err != nil {
			return nil, err
		}
	} else {
		old = a.tree.leaf(at)
		leaf = *old
		leaf.Extensions = slices.Clone(old.Extensions)
	}
	if req.leaf != nil {
		req.leaf(&leaf)
	}
	var err error
	if leaf.SignatureKey, err = g.suite.signaturePublicKey(signer); err != nil {
		return nil, err
	}
	update, err := a.tree.startPath(random, at, leaf, g.context.GroupID, signer)
	if err != nil {
		return nil, err
	}
	a.changed = append(a.changed, at)
	if old != nil {
		return update, a.rules.checkReplacement(old, update.leaf, at, SourceCommit)
	}
	if err := a.rules.check(update.leaf, at, SourceCommit); err != nil {
		return nil, err
	}
	return update, g.checkJoiner(list, a, update.leaf, at, req.policy.identity)
}

// enterEpoch takes the secrets of an epoch whose confirmation tag this member makes itself, because it created the epoch. The key
// of the tag is forgotten (RFC 9420 §9.2).
func (g *groupState) enterEpoch(secrets *epochSecrets) {
	g.confirmationTag = g.suite.confirmationTag(secrets, g.context.ConfirmedTranscriptHash)
	wipe(secrets.confirmation)
	secrets.confirmation = nil
	g.secrets = secrets
	g.interim = g.suite.interimTranscriptHash(g.context.ConfirmedTranscriptHash, g.confirmationTag)
}

// makeGroupInfo returns the signed GroupInfo of the epoch (RFC 9420 §12.4.3). signer holds the key of this member's leaf.
func (g *groupState) makeGroupInfo(random io.Reader, signer crypto.Signer, o groupInfoOptions) (*GroupInfo, error) {
	info := &GroupInfo{Context: g.context, ConfirmationTag: g.confirmationTag, Signer: g.keys.index}
	if !o.omitTree {
		tree, err := marshal(g.tree)
		if err != nil {
			return nil, err
		}
		info.Extensions = append(info.Extensions, Extension{ExtensionRatchetTree, tree})
	}
	if o.externalPub {
		key, err := g.suite.deriveKeyPair(g.secrets.external)
		if err != nil {
			return nil, err
		}
		var e encoder
		e.opaque(key.PublicKey().Bytes())
		info.Extensions = append(info.Extensions, Extension{ExtensionExternalPub, e.buf})
	}
	info.Extensions = append(info.Extensions, o.extensions...)
	var tbs encoder
	tbs.room(info.sizeHint())
	if info.encodeTBS(&tbs); tbs.err != nil {
		return nil, tbs.err
	}
	var err error
	info.Signature, err = g.suite.signWithLabel(random, signer, "GroupInfoTBS", tbs.buf)
	return info, err
}

// makeWelcome returns the Welcome for all members that p adds (RFC 9420 §12.4.3.1). g is the new epoch.
func (g *groupState) makeWelcome(random io.Reader, signer crypto.Signer, p *pendingCommit, update *pathUpdate, joiner, member []byte, o groupInfoOptions) (*Welcome, error) {
	info, err := g.makeGroupInfo(random, signer, o)
	if err != nil {
		return nil, err
	}
	if !o.omitTree {
		g.encodedTree, _ = info.Extensions.Find(ExtensionRatchetTree)
	}
	plain, err := marshal(info)
	if err != nil {
		return nil, err
	}
	key, nonce := g.suite.welcomeKey(member, g.suite.nk, g.suite.nn)
	defer wipe(key, nonce)
	aead, err := g.suite.newAEAD(key)
	if err != nil {
		return nil, err
	}
	w := &Welcome{Suite: g.suite.id, EncryptedGroupInfo: aead.Seal(nil, nonce, plain, nil)}
	context := encryptContext("Welcome", w.EncryptedGroupInfo)
	for i, l := range p.added {
		k := &p.list.adds[i].KeyPackage
		secrets := groupSecrets{JoinerSecret: joiner, PSKs: p.list.psks}
		if update != nil {
			if secrets.PathSecret, err = update.secretFor(l); err != nil {
				return nil, err
			}
		}
		ref, err := k.Ref()
		if err != nil {
			return nil, err
		}
		plain, err := marshal(&secrets)
		if err != nil {
			return nil, err
		}
		initKey, err := g.suite.kem.NewPublicKey(k.InitKey)
		if err != nil {
			return nil, err
		}
		ct, err := g.suite.encrypt(initKey, context, plain)
		wipe(plain)
		if err != nil {
			return nil, err
		}
		w.Secrets = append(w.Secrets, EncryptedGroupSecrets{NewMember: ref, Secrets: ct})
	}
	return w, nil
}

// externalCommitRequest is what joining by an external commit takes (RFC 9420 §12.4.3.2).
type externalCommitRequest struct {
	info              *GroupInfo
	tree              []byte            // encoded ratchet tree if the GroupInfo lacks it
	options           KeyPackageOptions // the leaf to join with; its lifetime and key package extensions are not used
	resync            *LeafIndex        // the old leaf of the same client, to be removed
	psks              []PreSharedKeyID
	psk               pskLookup
	selfRemoves       [][]byte // encoded MLSMessages: the SelfRemove proposals of the epoch, which a joiner takes along
	authenticatedData []byte
	policy            leafPolicy
	// allow, if not nil, returns the application's rule for the group as the GroupInfo has it.
	allow func(*groupState) func(changeView) error
}

// makeExternalCommit makes the commit by which a client joins a group from its GroupInfo, and the state it will have if the commit
// takes place. The message goes out as a PublicMessage without a membership tag.
func makeExternalCommit(random io.Reader, req externalCommitRequest) (*pendingCommit, error) {
	info := req.info
	s, err := lookupSuite(info.Context.Suite)
	if err != nil {
		return nil, err
	}
	g, err := outsiderState(info, req.tree, req.policy)
	if err != nil {
		return nil, err
	}
	raw, err := info.Extensions.externalPub()
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, refuse("12.4.3.2", "the GroupInfo has no external_pub: the group takes no external commits")
	}
	public, err := s.kem.NewPublicKey(raw)
	if err != nil {
		return nil, refuseFor(err, "12.4.3.2", "external_pub of the GroupInfo")
	}
	kemOutput, context, err := hpke.NewSender(public, s.kdf, s.aead, nil)
	if err != nil {
		return nil, refuseFor(err, "8.3", "external_pub of the GroupInfo")
	}
	initSecret, err := context.Export(externalInitLabel, s.nh)
	if err != nil {
		return nil, err
	}
	defer wipe(initSecret)
	leaving, err := g.selfRemoves(req.selfRemoves)
	if err != nil {
		return nil, err
	}
	proposals := []Proposal{&ExternalInit{KEMOutput: kemOutput}}
	if req.resync != nil {
		proposals = append(proposals, &Remove{Removed: *req.resync})
	}
	for _, id := range req.psks {
		proposals = append(proposals, &PreSharedKey{PSK: id})
	}
	capabilities, err := req.options.capabilities(random)
	if err != nil {
		return nil, err
	}
	var allow func(changeView) error
	if req.allow != nil {
		allow = req.allow(g)
	}
	return g.buildCommit(random, commitRequest{
		byValue: proposals, byReference: leaving, path: true, signer: req.options.Signer, wireFormat: WireFormatPublicMessage,
		leaf: func(l *LeafNode) {
			l.Credential, l.Capabilities, l.Extensions = req.options.Credential, capabilities, slices.Clone(req.options.LeafExtensions)
		},
		authenticatedData: req.authenticatedData, psk: req.psk, policy: req.policy, allow: allow,
	}, Sender{Type: SenderNewMemberCommit}, initSecret)
}

// selfRemoves verifies the SelfRemove proposals that somebody who joins by an external commit was given. The membership tag only
// members can check (draft-ietf-mls-extensions).
func (g *groupState) selfRemoves(messages [][]byte) ([]cachedProposal, error) {
	var list []cachedProposal
	for i, raw := range messages {
		m, err := ParseMLSMessage(raw)
		if err != nil {
			return nil, err
		}
		if m.Public == nil || m.Public.Content.Type != ContentProposal || m.Public.Content.Proposal.Type() != ProposalSelfRemove {
			return nil, refuse("12.4.3.2", "message %d to take along is no SelfRemove in a PublicMessage", i)
		}
		v, err := g.openPublicly(m.Public)
		if err != nil {
			return nil, err
		}
		c, err := g.suite.cacheable(v)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}
