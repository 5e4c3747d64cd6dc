package interop

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/thomas-vilte/mls-go/ciphersuite"
	"github.com/thomas-vilte/mls-go/credentials"
	"github.com/thomas-vilte/mls-go/extensions"
	"github.com/thomas-vilte/mls-go/framing"
	"github.com/thomas-vilte/mls-go/group"
	"github.com/thomas-vilte/mls-go/keypackages"
	"github.com/thomas-vilte/mls-go/schedule"
	"github.com/thomas-vilte/mls-go/treesync"
)

// MLSGo is github.com/thomas-vilte/mls-go v1.6.0, in this process. Its client cannot send private handshakes, stage, or continue
// groups under another id, so the package below it is used.
var MLSGo = Implementation{
	Name:   "mls-go",
	Suites: []uint16{1, 2, 3, 5},
	Lacks:  LackExternalPSK | LackTreeBeside | LackPadding | LackFirstInfo,
	New: func(p Profile) (Client, error) {
		return &goClient{Profile: p, psks: map[string][]byte{}}, nil
	},
}

type goClient struct {
	Profile
	packages []goPackage
	psks     map[string][]byte // external PSKs by id, resumption secrets by group.ResumptionPskCacheKey
	sender   *ciphersuite.SignaturePrivateKey
}

type goPackage struct {
	public  *keypackages.KeyPackage
	private *keypackages.KeyPackagePrivateKeys
}

func (c *goClient) Close() error { return nil }

func (c *goClient) newPackage(suite ciphersuite.CipherSuite) (goPackage, error) {
	cred, _, err := credentials.GenerateCredentialWithKeyForCS([]byte(c.Identity), suite)
	if err != nil {
		return goPackage{}, err
	}
	public, private, err := keypackages.Generate(cred, suite)
	return goPackage{public, private}, err
}

func (c *goClient) KeyPackage(suite uint16) ([]byte, error) {
	p, err := c.newPackage(ciphersuite.CipherSuite(suite))
	if err != nil {
		return nil, err
	}
	c.packages = append(c.packages, p)
	return (&framing.MLSMessage{KeyPackage: p.public.Marshal()}).Marshal(), nil
}

func (c *goClient) StorePSK(id, secret []byte) error {
	c.psks[string(id)] = slices.Clone(secret)
	return nil
}

func (c *goClient) Create(suite uint16, groupID []byte, ext []Extension) (Group, error) {
	return c.create(suite, groupID, ext)
}

func (c *goClient) create(suite uint16, groupID []byte, ext []Extension) (*goGroup, error) {
	p, err := c.newPackage(ciphersuite.CipherSuite(suite))
	if err != nil {
		return nil, err
	}
	g, err := group.NewGroup(group.NewGroupID(groupID), ciphersuite.CipherSuite(suite), p.public, p.private, group.WithExtensions(goExtensions(ext)))
	if err != nil {
		return nil, err
	}
	return &goGroup{client: c, g: g, signer: p.private.GetSignaturePrivateKey()}, nil
}

func goExtensions(in []Extension) []group.Extension {
	out := []group.Extension{}
	for _, e := range in {
		out = append(out, group.Extension{Type: extensions.ExtensionType(e.Type), Data: e.Data})
	}
	return out
}

func (c *goClient) Join(w Welcome, old Group) (Group, error) {
	m, err := framing.UnmarshalMLSMessage(w.Message)
	if err != nil {
		return nil, err
	}
	if old != nil {
		old.(*goGroup).keepPSKs()
	}
	var failed error
	for i, p := range slices.Backward(c.packages) {
		welcome, err := group.UnmarshalWelcome(m.Welcome)
		if err != nil {
			return nil, err
		}
		if welcome.CipherSuite != p.public.CipherSuite {
			continue
		}
		g, err := group.JoinFromWelcome(welcome, p.public, p.private, c.psks)
		if err != nil {
			failed = errors.Join(failed, err) // it may be for another key package
			continue
		}
		c.packages = slices.Delete(c.packages, i, i+1)
		return &goGroup{client: c, g: g, signer: p.private.GetSignaturePrivateKey()}, nil
	}
	return nil, fmt.Errorf("no key package fits: %w", failed)
}

func (c *goClient) info(message, tree []byte) (*group.Info, error) {
	m, err := framing.UnmarshalMLSMessage(message)
	if err != nil {
		return nil, err
	}
	info, err := group.UnmarshalGroupInfo(m.GroupInfo)
	if err != nil || tree == nil {
		return info, err
	}
	t, err := treesync.UnmarshalTreeFromExtension(tree, info.GroupContext.CipherSuite)
	if err != nil {
		return nil, err
	}
	info.RatchetTree = t.ExpandToPowerOf2()
	return info, nil
}

func (c *goClient) JoinExternal(message, tree []byte, o ExternalJoin) (Group, []byte, error) {
	if len(o.PSKs) > 0 {
		return nil, nil, ErrLacks
	}
	info, err := c.info(message, tree)
	if err != nil {
		return nil, nil, err
	}
	suite := info.GroupContext.CipherSuite
	cred, key, err := credentials.GenerateCredentialWithKeyForCS([]byte(c.Identity), suite)
	if err != nil {
		return nil, nil, err
	}
	var prior *group.LeafNodeIndex
	if o.RemovePrior {
		leaf, err := leafOf(c.Identity, info)
		if err != nil {
			return nil, nil, err
		}
		prior = &leaf
	}
	g, staged, err := group.ExternalCommit(info, suite, key, key.PublicKey(), prior, cred.Credential)
	if err != nil {
		return nil, nil, err
	}
	ac := staged.AuthenticatedContent()
	m := framing.NewMLSMessagePublic(&framing.PublicMessage{Content: ac.Content, Auth: ac.Auth})
	return &goGroup{client: c, g: g, signer: key}, m.Marshal(), nil
}

// leafOf finds the leaf of an identity in the tree of a GroupInfo.
func leafOf(identity string, info *group.Info) (group.LeafNodeIndex, error) {
	tree := info.RatchetTree
	for _, e := range info.Extensions {
		if tree == nil && e.Type == extensions.ExtensionTypeRatchetTree {
			var err error
			if tree, err = treesync.UnmarshalTreeFromExtension(e.Data, info.GroupContext.CipherSuite); err != nil {
				return 0, err
			}
		}
	}
	if tree == nil {
		return 0, errors.New("no tree")
	}
	for i := range tree.NumLeaves {
		if n := tree.GetLeaf(treesync.LeafIndex(i)); n != nil && n.LeafData != nil && string(n.LeafData.Credential.Identity) == identity {
			return group.LeafNodeIndex(i), nil
		}
	}
	return 0, fmt.Errorf("no member %q", identity)
}

func (c *goClient) ProposeSelf(message []byte) ([]byte, error) {
	info, err := c.info(message, nil)
	if err != nil {
		return nil, err
	}
	p, err := c.newPackage(info.GroupContext.CipherSuite)
	if err != nil {
		return nil, err
	}
	c.packages = append(c.packages, p)
	return proposeFromOutside(info, framing.Sender{Type: framing.SenderTypeNewMemberProposal}, group.NewAddProposal(p.public), p.private.GetSignaturePrivateKey())
}

func (c *goClient) ExternalSender(suite uint16) ([]byte, error) {
	cred, key, err := credentials.GenerateCredentialWithKeyForCS([]byte(c.Identity), ciphersuite.CipherSuite(suite))
	if err != nil {
		return nil, err
	}
	c.sender = key
	return append(vector(cred.SignatureKeyBytes), cred.Credential.Marshal()...), nil
}

func (c *goClient) ProposeExternal(message, tree []byte, index uint32, p Proposal) ([]byte, error) {
	info, err := c.info(message, tree)
	if err != nil {
		return nil, err
	}
	proposal, err := goProposal(p, info.GroupContext, func(identity string) (group.LeafNodeIndex, error) { return leafOf(identity, info) })
	if err != nil {
		return nil, err
	}
	return proposeFromOutside(info, framing.Sender{Type: framing.SenderTypeExternal, SenderIndex: index}, proposal, c.sender)
}

func proposeFromOutside(info *group.Info, sender framing.Sender, p *group.Proposal, key *ciphersuite.SignaturePrivateKey) ([]byte, error) {
	gc := info.GroupContext
	content := framing.FramedContent{GroupID: gc.GroupID.AsSlice(), Epoch: gc.Epoch.AsUint64(), Sender: sender,
		AuthenticatedData: []byte{}, Body: framing.ProposalBody{Data: group.ProposalMarshal(p)}}
	pm, err := framing.NewPublicMessage(content, key, gc.Marshal(), nil, gc.CipherSuite)
	if err != nil {
		return nil, err
	}
	return framing.NewMLSMessagePublic(pm).Marshal(), nil
}

// Continue does not use group.NewGroupFromReInit, whose Welcome names no PSK, nor group.Branch, which keeps the group id. The first
// commit is given the resumption PSK directly, because its check of proposals refuses one with usage reinit; nobody sees that commit.
func (c *goClient) Continue(old Group, s Successor) (Group, Welcome, error) {
	from := old.(*goGroup)
	g, err := c.create(s.Suite, s.GroupID, s.Extensions)
	if err != nil {
		return nil, Welcome{}, err
	}
	usage := schedule.ResumptionUsageReinit
	if s.Branch {
		usage = schedule.ResumptionUsageBranch
	}
	g.resumption = &schedule.Psk{PskType: schedule.PskTypeResumption, Usage: uint8(usage), PskGroupID: from.g.ID().AsSlice(),
		PskEpoch: from.g.Epoch().AsUint64(), PskNonce: nonce(g.g.CipherSuite()), Psk: slices.Clone(from.g.EpochSecrets().ResumptionSecret.AsSlice())}
	o := CommitOptions{ExternalTree: s.ExternalTree, ForcePath: s.ForcePath}
	for _, kp := range s.KeyPackages {
		o.ByValue = append(o.ByValue, Proposal{Type: Add, KeyPackage: kp})
	}
	if _, err := g.Commit(o); err != nil {
		return nil, Welcome{}, err
	}
	w, err := g.Confirm()
	return g, w, err
}

func nonce(suite ciphersuite.CipherSuite) []byte {
	b := make([]byte, suite.HashLength())
	rand.Read(b)
	return b
}

type goGroup struct {
	client *goClient
	g      *group.Group
	signer *ciphersuite.SignaturePrivateKey
	staged *group.StagedCommit
	beside bool // the tree of the staged commit goes beside the Welcome

	resumption *schedule.Psk // of the group that this one continues, for the first commit
}

// keepPSKs hands the resumption secrets of the group to the client, where a group that continues it looks for them.
func (g *goGroup) keepPSKs() {
	for id, secret := range g.g.CachedPsks() {
		g.client.psks[id] = secret
	}
	if s := g.g.EpochSecrets(); s != nil && s.ResumptionSecret != nil {
		g.client.psks[group.ResumptionPskCacheKey(g.g.ID().AsSlice(), g.g.Epoch().AsUint64())] = slices.Clone(s.ResumptionSecret.AsSlice())
	}
}

func (g *goGroup) loadPSKs() {
	g.keepPSKs()
	for id, secret := range g.client.psks {
		g.g.LoadPsk([]byte(id), secret)
	}
}

func (g *goGroup) State() (State, error) {
	s := State{GroupID: g.g.ID().AsSlice(), Epoch: g.g.Epoch().AsUint64(), Authenticator: g.g.EpochAuthenticator()}
	tree, err := treesync.UnmarshalTreeFromExtension(g.g.MarshalRatchetTreeRFC(), g.g.CipherSuite())
	if err != nil {
		return s, err
	}
	for i := range tree.NumLeaves {
		if n := tree.GetLeaf(treesync.LeafIndex(i)); n != nil && n.LeafData != nil && n.LeafData.Credential != nil {
			s.Members = append(s.Members, string(n.LeafData.Credential.Identity))
		}
	}
	return s, nil
}

func (g *goGroup) Export(label string, context []byte, n int) ([]byte, error) {
	return g.g.Export(label, context, n)
}

func (g *goGroup) Protect(plaintext, aad []byte) ([]byte, error) {
	pm, err := g.g.SendApplicationMessage(plaintext, aad, g.signer)
	if err != nil {
		return nil, err
	}
	return framing.NewMLSMessagePrivate(pm).Marshal(), nil
}

func (g *goGroup) Unprotect(message []byte) ([]byte, []byte, error) {
	m, err := framing.UnmarshalMLSMessage(message)
	if err != nil {
		return nil, nil, err
	}
	pm, ok := m.AsPrivate()
	if !ok {
		return nil, nil, errors.New("not a PrivateMessage")
	}
	p, d, _, err := g.g.ReceiveApplicationMessage(pm)
	return p, d, err
}

func (g *goGroup) leafOf(identity string) (found group.LeafNodeIndex, err error) {
	err = fmt.Errorf("no member %q", identity)
	g.g.IterateMembers(func(i group.LeafNodeIndex, m *group.Member) {
		if m.Active && string(m.Credential.Identity) == identity {
			found, err = i, nil
		}
	})
	return found, err
}

// add puts a proposal into the next commit, by value.
func (g *goGroup) add(p Proposal) error {
	proposal, err := goProposal(p, g.g.GroupContext(), g.leafOf)
	if err == nil {
		g.g.Proposals().AddProposal(proposal, g.g.OwnLeafIndex())
	}
	return err
}

func goProposal(p Proposal, gc *group.GroupContext, leafOf func(string) (group.LeafNodeIndex, error)) (*group.Proposal, error) {
	switch p.Type {
	case Add:
		m, err := framing.UnmarshalMLSMessage(p.KeyPackage)
		if err != nil {
			return nil, err
		}
		kp, err := keypackages.UnmarshalKeyPackage(m.KeyPackage)
		if err != nil {
			return nil, err
		}
		return group.NewAddProposal(kp), nil
	case Remove:
		leaf, err := leafOf(p.Removed)
		return group.NewRemoveProposal(leaf), err
	case ExternalPSK:
		out := group.NewPreSharedKeyProposal(1, p.PSK)
		out.PreSharedKey.PskID.Nonce = nonce(gc.CipherSuite)
		return out, nil
	case ResumptionPSK:
		return group.NewResumptionPSKProposal(gc.GroupID.AsSlice(), p.Epoch, nonce(gc.CipherSuite)), nil
	case GroupContextExtensions:
		return group.NewGroupContextExtensionsProposal(goExtensions(p.Extensions)), nil
	case ReInit:
		return group.NewReInitProposal(p.GroupID, keypackages.MLS10, ciphersuite.CipherSuite(p.Suite), goExtensions(p.Extensions)), nil
	}
	return nil, fmt.Errorf("proposal %q", p.Type)
}

func (g *goGroup) Propose(p Proposal) ([]byte, error) {
	var proposal *group.Proposal
	var err error
	if p.Type == Update {
		proposal, err = g.g.SelfUpdate(g.signer)
	} else if proposal, err = goProposal(p, g.g.GroupContext(), g.leafOf); err == nil {
		g.g.Proposals().AddProposal(proposal, g.g.OwnLeafIndex())
	}
	if err != nil {
		return nil, err
	}
	content := framing.FramedContent{GroupID: g.g.ID().AsSlice(), Epoch: g.g.Epoch().AsUint64(), AuthenticatedData: []byte{},
		Sender: framing.Sender{Type: framing.SenderTypeMember, LeafIndex: uint32(g.g.OwnLeafIndex())},
		Body:   framing.ProposalBody{Data: group.ProposalMarshal(proposal)}}
	ac := &framing.AuthenticatedContent{WireFormat: framing.WireFormatPrivateMessage, Content: content, GroupContext: g.g.GroupContext().Marshal()}
	var message []byte
	if g.client.Private {
		if ac.Auth.Signature, err = ciphersuite.SignWithLabel(g.signer, "FramedContentTBS", ac.MarshalTBS()); err != nil {
			return nil, err
		}
		if message, err = g.encrypt(ac); err != nil {
			return nil, err
		}
	} else {
		pm, err := framing.NewPublicMessage(content, g.signer, ac.GroupContext, g.g.EpochSecrets().MembershipKey, g.g.CipherSuite())
		if err != nil {
			return nil, err
		}
		ac.WireFormat, ac.Auth = framing.WireFormatPublicMessage, pm.Auth
		message = framing.NewMLSMessagePublic(pm).Marshal()
	}
	g.g.RegisterProposalRef(proposal, group.ComputeProposalRef(ac.Marshal(), g.g.CipherSuite()))
	return message, nil
}

func (g *goGroup) encrypt(ac *framing.AuthenticatedContent) ([]byte, error) {
	pm, err := framing.Encrypt(framing.EncryptParams{AuthContent: ac, SenderLeafIndex: uint32(g.g.OwnLeafIndex()), CipherSuite: g.g.CipherSuite(),
		SenderDataSecret: g.g.EpochSecrets().SenderDataSecret, SecretTree: g.g.SecretTree()})
	if err != nil {
		return nil, err
	}
	return framing.NewMLSMessagePrivate(pm).Marshal(), nil
}

func (g *goGroup) Commit(o CommitOptions) ([]byte, error) {
	g.loadPSKs()
	for _, p := range o.ByValue {
		if err := g.add(p); err != nil {
			return nil, err
		}
	}
	format := framing.WireFormatPublicMessage
	if g.client.Private {
		format = framing.WireFormatPrivateMessage
	}
	var psks []schedule.Psk
	if g.resumption != nil {
		psks = append(psks, *g.resumption)
	}
	staged, err := g.g.CommitWithFormat(g.signer, g.signer.PublicKey(), psks, format)
	if err != nil {
		return nil, err
	}
	g.staged, g.beside = staged, o.ExternalTree
	if g.client.Private {
		return g.encrypt(staged.AuthenticatedContent())
	}
	ac := staged.AuthenticatedContent()
	return framing.NewMLSMessagePublic(&framing.PublicMessage{Content: ac.Content, Auth: ac.Auth, MembershipTag: staged.MembershipTag()}).Marshal(), nil
}

func (g *goGroup) Confirm() (Welcome, error) {
	staged := g.staged
	if staged == nil {
		return Welcome{}, errors.New("nothing is staged")
	}
	g.staged = nil
	joiner := staged.JoinerSecret()
	if err := g.g.MergeCommit(staged); err != nil {
		return Welcome{}, err
	}
	var added []*keypackages.KeyPackage
	for _, p := range staged.Proposals() {
		if p.Type == group.ProposalTypeAdd {
			added = append(added, p.Add.KeyPackage)
		}
	}
	var w Welcome
	if len(added) == 0 {
		return w, nil
	}
	ids := staged.PskIDs()
	if p := g.resumption; p != nil {
		ids = append(ids, group.PskID{PskType: uint8(p.PskType), Usage: p.Usage, PskGroupID: p.PskGroupID, PskEpoch: p.PskEpoch, Nonce: p.PskNonce})
		g.resumption = nil
	}
	welcome, err := g.g.CreateWelcomeWithOpts(added, g.signer, group.WithJoinerSecret(joiner), group.WithPSKIDs(ids),
		group.WithPSKSecret(staged.RawPskSecret()), group.WithStagedCommit(staged), group.WithGroupInfoOptions(group.WithRatchetTree(!g.beside)))
	if err != nil {
		return w, err
	}
	w.Message = (&framing.MLSMessage{Welcome: welcome.Marshal()}).Marshal()
	if g.beside {
		w.Tree = g.g.MarshalRatchetTreeRFC()
	}
	return w, nil
}

func (g *goGroup) Handle(message []byte) error {
	g.loadPSKs()
	m, err := framing.UnmarshalMLSMessage(message)
	if err != nil {
		return err
	}
	if pm, ok := m.AsPublic(); ok {
		return g.g.ProcessPublicMessage(pm)
	}
	if pm, ok := m.AsPrivate(); ok {
		return g.g.ProcessPrivateMessage(pm)
	}
	return errors.New("neither proposal nor commit")
}

func (g *goGroup) GroupInfo(external bool) ([]byte, []byte, error) {
	info, err := g.g.GetGroupInfoWithOptions(g.signer, group.WithRatchetTree(!external), group.WithExternalPub(true))
	if err != nil {
		return nil, nil, err
	}
	var tree []byte
	if external {
		tree = bytes.Clone(g.g.MarshalRatchetTreeRFC())
	}
	return (&framing.MLSMessage{GroupInfo: info.Marshal()}).Marshal(), tree, nil
}
