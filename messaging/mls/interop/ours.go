package interop

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/mls/mlstest"
)

// Ours is github.com/parleypay/parley/messaging/mls by its exported API, one transaction per operation.
var Ours = Implementation{
	Name:   "ours",
	Suites: []uint16{1, 2, 3, 5, 7, uint16(mls.XWingAES128GCM), uint16(mls.XWingAES256GCM), uint16(mls.MLKEM768P256AES128GCM), uint16(mls.MLKEM768P256AES256GCM)},
	New: func(p Profile) (Client, error) {
		c := &ourClient{Profile: p, store: mlstest.NewStore(), spaces: map[string]string{}}
		return c, c.renew()
	},
}

// everyone is an authentication service that takes every credential. Clients are the same if their names are.
var everyone = mls.BasicIdentity{
	Member:   func([]byte, mls.SignaturePublicKey) error { return nil },
	External: func([]byte, mls.SignaturePublicKey) error { return nil },
}

type ourClient struct {
	Profile
	client  *mls.Client
	store   *mlstest.Store
	signers []crypto.Signer
	sender  crypto.Signer // as external sender

	// spaces names the part of the store that holds a group, by the group's id: a group and the one that follows it may have one id.
	spaces map[string]string
	made   int
}

// renew makes the client anew, after a change of its keys. What it knows is in the store.
func (c *ourClient) renew() (err error) {
	policy := mls.Policy{PublicHandshakes: !c.Private}
	if c.Unpadded {
		policy.Padding = mls.PadNone
	}
	c.client, err = mls.NewClient(mls.Config{Identity: everyone, Signers: c.signers, Now: time.Now, Policy: policy})
	return err
}

func (c *ourClient) Close() error { return nil }

// newSpace names the part of the store for a group that is about to be entered.
func (c *ourClient) newSpace(groupID []byte) string {
	c.made++
	c.spaces[string(groupID)] = fmt.Sprint("group ", c.made)
	return c.spaces[string(groupID)]
}

// leaf returns options for a leaf of a suite, with a signature key of its own, so that one client may stand in several trees.
func (c *ourClient) leaf(suite uint16) (mls.KeyPackageOptions, error) {
	o := mls.KeyPackageOptions{Suite: mls.CipherSuite(suite), Credential: mls.BasicCredential([]byte(c.Identity))}
	from := time.Now().Add(-time.Hour)
	o.Lifetime = mls.Lifetime{NotBefore: uint64(from.Unix()), NotAfter: uint64(from.Add(28 * 24 * time.Hour).Unix())} // ts-mls adds nobody for longer than a month
	var err error
	if o.Signer, err = o.Suite.GenerateSignatureKey(); err != nil {
		return o, err
	}
	c.signers = append(c.signers, o.Signer)
	return o, c.renew()
}

func (c *ourClient) KeyPackage(suite uint16) ([]byte, error) {
	kp, _, err := c.keyPackage(suite)
	if err != nil {
		return nil, err
	}
	return (&mls.MLSMessage{KeyPackage: kp}).Marshal()
}

func (c *ourClient) keyPackage(suite uint16) (kp *mls.KeyPackage, signer crypto.Signer, err error) {
	o, err := c.leaf(suite)
	if err != nil {
		return nil, nil, err
	}
	err = c.store.Update(nil, func(tx mls.Tx) error {
		kp, err = c.client.NewKeyPackage(tx, o)
		return err
	})
	return kp, o.Signer, err
}

func (c *ourClient) StorePSK(id, secret []byte) error {
	return c.store.Update(nil, func(tx mls.Tx) error { return c.client.StorePSK(tx, id, secret) })
}

// enter runs what gives a group, in a part of the store.
func (c *ourClient) enter(space string, f func(tx mls.Tx) (*mls.Group, error)) (*ourGroup, error) {
	g := &ourGroup{client: c, space: space}
	err := c.store.Update([]byte(space), func(tx mls.Tx) (err error) {
		g.g, err = f(tx)
		return err
	})
	return g, err
}

func (c *ourClient) Create(suite uint16, groupID []byte, ext []Extension) (Group, error) {
	o, err := c.leaf(suite)
	if err != nil {
		return nil, err
	}
	return c.enter(c.newSpace(groupID), func(tx mls.Tx) (*mls.Group, error) { return c.client.Create(tx, groupID, o, ourExtensions(ext)) })
}

func ourExtensions(in []Extension) (out mls.Extensions) {
	for _, e := range in {
		out = append(out, mls.Extension{Type: mls.ExtensionType(e.Type), Data: e.Data})
	}
	return out
}

func (c *ourClient) Join(w Welcome, old Group) (Group, error) {
	m, err := mls.ParseMLSMessage(w.Message)
	if err != nil {
		return nil, err
	}
	if m.Welcome == nil {
		return nil, errors.New("not a Welcome")
	}
	o := mls.JoinOptions{Tree: w.Tree}
	var space []byte
	if old != nil {
		o.Old, space = old.(*ourGroup).g, []byte(old.(*ourGroup).space)
	}
	var j *mls.Joining
	if err := c.store.Update(space, func(tx mls.Tx) error {
		j, err = c.client.Join(tx, m.Welcome, o)
		return err
	}); err != nil {
		return nil, err
	}
	return c.enter(c.newSpace(j.GroupID()), j.Accept)
}

func groupInfo(message []byte) (*mls.GroupInfo, error) {
	m, err := mls.ParseMLSMessage(message)
	if err != nil {
		return nil, err
	}
	if m.GroupInfo == nil {
		return nil, errors.New("not a GroupInfo")
	}
	return m.GroupInfo, nil
}

func memberOf(members []mls.Member, identity string) (mls.LeafIndex, error) {
	for _, m := range members {
		if string(m.Credential.Identity) == identity {
			return m.Index, nil
		}
	}
	return 0, fmt.Errorf("no member %q", identity)
}

// outside returns the members of the group that a GroupInfo describes.
func outside(info *mls.GroupInfo, tree []byte) ([]mls.Member, error) {
	p, err := mls.NewPublicGroup(info, tree, mls.PublicGroupOptions{Identity: everyone, Now: time.Now})
	if err != nil {
		return nil, err
	}
	return p.Members(), nil
}

func (c *ourClient) JoinExternal(message, tree []byte, o ExternalJoin) (Group, []byte, error) {
	info, err := groupInfo(message)
	if err != nil {
		return nil, nil, err
	}
	leaf, err := c.leaf(uint16(info.Context.Suite))
	if err != nil {
		return nil, nil, err
	}
	options := mls.ExternalOptions{Tree: tree, Leaf: leaf}
	space := c.spaces[string(info.Context.GroupID)]
	if o.RemovePrior {
		members, err := outside(info, tree)
		if err != nil {
			return nil, nil, err
		}
		prior, err := memberOf(members, c.Identity)
		if err != nil {
			return nil, nil, err
		}
		options.Resync = &prior
	} else {
		space = c.newSpace(info.Context.GroupID)
	}
	for _, id := range o.PSKs {
		options.PSKs = append(options.PSKs, mls.PreSharedKeyID{Type: mls.PSKExternal, ID: id})
	}
	var p *mls.PendingCommit
	if err := c.store.Update([]byte(space), func(tx mls.Tx) error {
		p, err = c.client.JoinExternal(tx, info, options)
		return err
	}); err != nil {
		return nil, nil, err
	}
	g, err := c.enter(space, func(tx mls.Tx) (*mls.Group, error) { return c.client.Confirm(tx, p) })
	return g, p.Message(), err
}

func (c *ourClient) ProposeSelf(message []byte) ([]byte, error) {
	info, err := groupInfo(message)
	if err != nil {
		return nil, err
	}
	kp, signer, err := c.keyPackage(uint16(info.Context.Suite))
	if err != nil {
		return nil, err
	}
	p := mls.ExternalProposal{GroupID: info.Context.GroupID, Epoch: info.Context.Epoch, Suite: info.Context.Suite, NewMember: true,
		Proposal: &mls.Add{KeyPackage: *kp}, Signer: signer}
	return p.Marshal()
}

func (c *ourClient) ExternalSender(suite uint16) (_ []byte, err error) {
	if c.sender, err = mls.CipherSuite(suite).GenerateSignatureKey(); err != nil {
		return nil, err
	}
	var public []byte
	switch key := c.sender.Public().(type) {
	case ed25519.PublicKey:
		public = key
	case *ecdsa.PublicKey:
		if public, err = key.Bytes(); err != nil {
			return nil, err
		}
	}
	credential := append([]byte{0, byte(mls.CredentialBasic)}, vector([]byte(c.Identity))...)
	return append(vector(public), credential...), nil
}

func (c *ourClient) ProposeExternal(message, tree []byte, index uint32, p Proposal) ([]byte, error) {
	info, err := groupInfo(message)
	if err != nil {
		return nil, err
	}
	members, err := outside(info, tree)
	if err != nil {
		return nil, err
	}
	proposal, err := ourProposal(p, info.Context.GroupID, members)
	if err != nil {
		return nil, err
	}
	if psk, ok := proposal.(*mls.PreSharedKey); ok {
		psk.PSK.Nonce = make([]byte, len(info.Context.TreeHash)) // both have the length of a hash
		rand.Read(psk.PSK.Nonce)
	}
	out := mls.ExternalProposal{GroupID: info.Context.GroupID, Epoch: info.Context.Epoch, Suite: info.Context.Suite, Sender: index, Proposal: proposal,
		Signer: c.sender}
	return out.Marshal()
}

// ourProposal translates all proposals but Update.
func ourProposal(p Proposal, groupID []byte, members []mls.Member) (mls.Proposal, error) {
	switch p.Type {
	case Add:
		m, err := mls.ParseMLSMessage(p.KeyPackage)
		if err != nil {
			return nil, err
		}
		if m.KeyPackage == nil {
			return nil, errors.New("not a key package")
		}
		return &mls.Add{KeyPackage: *m.KeyPackage}, nil
	case Remove:
		leaf, err := memberOf(members, p.Removed)
		return &mls.Remove{Removed: leaf}, err
	case ExternalPSK:
		return &mls.PreSharedKey{PSK: mls.PreSharedKeyID{Type: mls.PSKExternal, ID: p.PSK}}, nil
	case ResumptionPSK:
		return &mls.PreSharedKey{PSK: mls.PreSharedKeyID{Type: mls.PSKResumption, Usage: mls.UsageApplication, GroupID: groupID, Epoch: p.Epoch}}, nil
	case GroupContextExtensions:
		return &mls.GroupContextExtensions{Extensions: ourExtensions(p.Extensions)}, nil
	case ReInit:
		return &mls.ReInit{GroupID: p.GroupID, Version: mls.MLS10, Suite: mls.CipherSuite(p.Suite), Extensions: ourExtensions(p.Extensions)}, nil
	}
	return nil, fmt.Errorf("proposal %q", p.Type)
}

func (c *ourClient) Continue(old Group, s Successor) (Group, Welcome, error) {
	leaf, err := c.leaf(s.Suite)
	if err != nil {
		return nil, Welcome{}, err
	}
	o := mls.ContinueOptions{Leaf: leaf, GroupID: s.GroupID, Extensions: ourExtensions(s.Extensions),
		Commit: mls.CommitOptions{Path: s.ForcePath, OmitTree: s.ExternalTree}}
	for _, b := range s.KeyPackages {
		m, err := mls.ParseMLSMessage(b)
		if err != nil {
			return nil, Welcome{}, err
		}
		o.KeyPackages = append(o.KeyPackages, *m.KeyPackage)
	}
	follow := c.client.Continue
	if s.Branch {
		follow = c.client.Branch
	}
	var p *mls.PendingCommit
	g, err := c.enter(c.newSpace(s.GroupID), func(tx mls.Tx) (g *mls.Group, err error) {
		g, p, err = follow(tx, old.(*ourGroup).g, o)
		return g, err
	})
	if err != nil {
		return nil, Welcome{}, err
	}
	g.pending, g.beside = p, s.ExternalTree
	w, err := g.Confirm()
	return g, w, err
}

type ourGroup struct {
	client  *ourClient
	g       *mls.Group
	space   string
	pending *mls.PendingCommit
	beside  bool // the tree of the pending commit goes beside the Welcome
}

func (g *ourGroup) update(f func(tx mls.Tx) error) error {
	return g.client.store.Update([]byte(g.space), f)
}

func (g *ourGroup) State() (State, error) {
	s := State{GroupID: g.g.ID(), Epoch: g.g.Epoch(), Authenticator: g.g.EpochAuthenticator()}
	for _, m := range g.g.Members() {
		s.Members = append(s.Members, string(m.Credential.Identity))
	}
	return s, nil
}

func (g *ourGroup) Export(label string, context []byte, n int) ([]byte, error) {
	return g.g.Export(label, context, n)
}

func (g *ourGroup) Protect(plaintext, aad []byte) (message []byte, err error) {
	err = g.update(func(tx mls.Tx) error {
		message, err = g.g.Seal(tx, plaintext, aad)
		return err
	})
	return message, err
}

func (g *ourGroup) Unprotect(message []byte) (plaintext, aad []byte, err error) {
	err = g.update(func(tx mls.Tx) error {
		event, err := g.g.Process(tx, bytes.Clone(message))
		if err != nil {
			return err
		}
		a, ok := event.(*mls.Application)
		if !ok {
			return fmt.Errorf("%T is no application message", event)
		}
		plaintext, aad = a.Data, a.AuthenticatedData
		return nil
	})
	return plaintext, aad, err
}

func (g *ourGroup) Propose(p Proposal) (message []byte, err error) {
	err = g.update(func(tx mls.Tx) error {
		if p.Type == Update {
			message, err = g.g.ProposeUpdate(tx, mls.UpdateOptions{})
			return err
		}
		proposal, err := ourProposal(p, g.g.ID(), g.g.Members())
		if err != nil {
			return err
		}
		message, err = g.g.Propose(tx, proposal, nil)
		return err
	})
	return message, err
}

func (g *ourGroup) Commit(o CommitOptions) ([]byte, error) {
	options := mls.CommitOptions{Path: o.ForcePath, OmitTree: o.ExternalTree}
	for _, p := range o.ByValue {
		proposal, err := ourProposal(p, g.g.ID(), g.g.Members())
		if err != nil {
			return nil, err
		}
		options.Proposals = append(options.Proposals, proposal)
	}
	g.beside = o.ExternalTree
	err := g.update(func(tx mls.Tx) (err error) {
		g.pending, err = g.g.Commit(tx, options)
		return err
	})
	if err != nil {
		return nil, err
	}
	return g.pending.Message(), nil
}

func (g *ourGroup) Confirm() (w Welcome, err error) {
	err = g.update(func(tx mls.Tx) error {
		next, err := g.g.Confirm(tx, g.pending)
		if err == nil {
			g.g = next
		}
		return err
	})
	if err != nil {
		return w, err
	}
	w.Message = g.pending.Welcome()
	g.pending = nil
	if g.beside {
		w.Tree, err = g.g.Tree()
	}
	return w, err
}

func (g *ourGroup) Handle(message []byte) error {
	return g.update(func(tx mls.Tx) error {
		event, err := g.g.Process(tx, bytes.Clone(message))
		if err != nil {
			return err
		}
		switch e := event.(type) {
		case *mls.StoredProposal:
			return nil
		case *mls.StagedCommit:
			next, err := g.g.Merge(tx, e)
			if err == nil {
				g.g = next
			}
			return err
		}
		return fmt.Errorf("%T is neither proposal nor commit", event)
	})
}

func (g *ourGroup) GroupInfo(external bool) (info, tree []byte, err error) {
	if info, err = g.g.GroupInfo(mls.GroupInfoOptions{OmitTree: external, ExternalPub: true}); err == nil && external {
		tree, err = g.g.Tree()
	}
	return info, slices.Clone(tree), err
}
