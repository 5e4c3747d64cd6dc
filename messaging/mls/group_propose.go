package mls

import (
	"crypto"
	"crypto/hpke"
	"crypto/sha256"
	"errors"
	"slices"
)

// ErrProposalsWaiting: a proposal of the epoch has not been committed yet, and application data may be sent only after (RFC 9420
// §12.4). Commit, or wait for somebody's commit.
var ErrProposalsWaiting = errors.New("mls: a proposal waits for a commit: no application data before it (RFC 9420 §12.4)")

// ErrProposed: the member has proposed exactly this in the epoch already, so the two would be one.
var ErrProposed = errors.New("mls: the same proposal of this member waits already")

// StoredProposal is a proposal that somebody sent: verified, valid by itself, and stored for the commit that refers to it. It is
// also what Proposals returns.
type StoredProposal struct {
	Ref      []byte
	Sender   Sender
	Member   Member // the sender, if it is a member
	Proposal Proposal
	// AuthenticatedData came with the proposal, signed by its sender; empty from Proposals.
	AuthenticatedData []byte
}

// Proposals returns the proposals that wait in this epoch, own ones included, in the order of arrival.
func (g *Group) Proposals() []StoredProposal {
	var list []StoredProposal
	for i := range g.proposals {
		list = append(list, g.storedProposal(&g.proposals[i]))
	}
	return list
}

func (g *Group) storedProposal(p *storedProposal) StoredProposal {
	s := StoredProposal{Ref: p.ref, Sender: p.sender, Proposal: p.proposal}
	if p.sender.Type == SenderMember {
		s.Member, _ = g.state.tree.memberAt(LeafIndex(p.sender.Index))
	}
	return s
}

// Propose makes a proposal of this member that stands alone, for any member to commit, and stores it. A member that wants to leave
// proposes a SelfRemove if all members support that, which goes out as PublicMessage, or a Remove of itself. A PreSharedKey proposal without a nonce gets one. The message may be sent when the transaction is
// durable. For an Update see ProposeUpdate.
func (g *Group) Propose(tx Tx, p Proposal, authenticatedData []byte) (message []byte, err error) {
	if err := g.open(); err != nil {
		return nil, err
	}
	if p == nil || p.Type() == ProposalUpdate {
		return nil, errors.New("mls: Propose makes no Update: see ProposeUpdate")
	}
	if p, err = g.client.withNonce(g.state.suite, p); err != nil {
		return nil, err
	}
	return g.propose(tx, p, authenticatedData)
}

// UpdateOptions says what an own Update changes besides the encryption key.
type UpdateOptions struct {
	// Leaf, if not nil, changes the leaf before it is signed: credential, capabilities, extensions.
	Leaf func(*LeafNode)
	// NextSigner, if not nil, is one of the client's signers: the leaf gets its key.
	NextSigner        crypto.Signer
	AuthenticatedData []byte
}

// ProposeUpdate proposes to replace the own leaf, with a fresh encryption key (RFC 9420 §12.1.2). The private key is stored and becomes
// the leaf's when somebody commits the proposal.
func (g *Group) ProposeUpdate(tx Tx, o UpdateOptions) (message []byte, err error) {
	if err := g.open(); err != nil {
		return nil, err
	}
	signer := g.signer
	if o.NextSigner != nil {
		if signer, err = g.client.known(g.state.suite, o.NextSigner); err != nil {
			return nil, err
		}
	}
	s := g.state.suite
	key, err := s.newKeyPair(g.client.config.Rand)
	if err != nil {
		return nil, err
	}
	leaf := *g.state.tree.leaf(g.Own())
	leaf.Extensions = slices.Clone(leaf.Extensions)
	if o.Leaf != nil {
		o.Leaf(&leaf)
	}
	leaf.Source, leaf.Lifetime, leaf.ParentHash = SourceUpdate, Lifetime{}, nil
	leaf.EncryptionKey = key.PublicKey().Bytes()
	if leaf.SignatureKey, err = s.signaturePublicKey(signer); err != nil {
		return nil, err
	}
	if err := leaf.sign(g.client.config.Rand, s, signer, g.ID(), g.Own()); err != nil {
		return nil, err
	}
	private, err := key.Bytes()
	if err != nil {
		return nil, err
	}
	row := append([]byte{rowVersion}, private...)
	defer wipe(row) // not private: it may be the key's own memory
	at := len(g.proposals)
	if message, err = g.propose(tx, &Update{Leaf: leaf}, o.AuthenticatedData); err != nil {
		return nil, err
	}
	return message, tx.Put(updateKey(g.Epoch(), at), row)
}

// known returns signer if it is one of the client's and of the suite.
func (c *Client) known(s *suite, signer crypto.Signer) (crypto.Signer, error) {
	public, err := s.signaturePublicKey(signer)
	if err != nil {
		return nil, err
	}
	if c.signers[string(public)] == nil {
		return nil, ErrNoSigner
	}
	return signer, nil
}

func (g *Group) propose(tx Tx, p Proposal, authenticatedData []byte) ([]byte, error) {
	a := &AuthenticatedContent{WireFormat: g.handshakeFormat(p.Type() == ProposalSelfRemove), Content: FramedContent{
		GroupID: g.ID(), Epoch: g.Epoch(), Sender: Sender{SenderMember, uint32(g.Own())}, AuthenticatedData: authenticatedData,
		Type: ContentProposal, Proposal: p,
	}}
	if err := g.state.suite.sign(g.client.config.Rand, g.signer, a, g.state.encodedContext); err != nil {
		return nil, err
	}
	stored, err := g.newProposal(a)
	if errors.Is(err, ErrConsumed) {
		return nil, ErrProposed
	}
	if err != nil {
		return nil, err
	}
	message, err := g.protect(tx, a)
	if err != nil {
		return nil, err
	}
	stored.sent = sha256.Sum256(message)
	return message, g.keep(tx, stored)
}

// handshakeFormat returns how own proposals and commits are sent.
func (g *Group) handshakeFormat(public bool) WireFormat {
	if public || g.client.config.Policy.PublicHandshakes {
		return WireFormatPublicMessage
	}
	return WireFormatPrivateMessage
}

// protect returns the message that carries a, which is signed, as its wire format says.
func (g *Group) protect(tx Tx, a *AuthenticatedContent) ([]byte, error) {
	if a.WireFormat == WireFormatPublicMessage {
		p, err := g.messages.protectPublic(a)
		if err != nil {
			return nil, err
		}
		return (&MLSMessage{Public: p}).Marshal()
	}
	return g.messages.protectPrivate(tx, g.client.config.Rand, a, g.client.config.Policy.Padding, g.client.now())
}

// Seal returns plaintext as an application message to the group: encrypted under the next generation of the member's ratchet, signed
// and padded. authenticatedData is signed and sent in the clear. The message may be sent when the transaction is durable, not before.
// It fails with ErrProposalsWaiting while a proposal waits, and after a ReInit. It writes one row of at most 100 octets, and a few
// more the first time in an epoch.
func (g *Group) Seal(tx Tx, plaintext, authenticatedData []byte) (message []byte, err error) {
	if err := g.open(); err != nil {
		return nil, err
	}
	if len(g.proposals) > 0 {
		return nil, ErrProposalsWaiting
	}
	a := AuthenticatedContent{WireFormat: WireFormatPrivateMessage, Content: FramedContent{
		GroupID: g.state.context.GroupID, Epoch: g.state.context.Epoch, Sender: Sender{SenderMember, uint32(g.state.keys.index)},
		AuthenticatedData: authenticatedData, Type: ContentApplication, Application: plaintext,
	}}
	if err := g.state.suite.sign(g.client.config.Rand, g.signer, &a, g.state.encodedContext); err != nil {
		return nil, err
	}
	return g.messages.protectPrivate(tx, g.client.config.Rand, &a, g.client.config.Policy.Padding, g.client.now())
}

// ownUpdateKey returns the private key of an own Update that waits, by its public key.
func (g *Group) ownUpdateKey(tx Tx) func(HPKEPublicKey) (hpke.PrivateKey, bool) {
	return func(public HPKEPublicKey) (hpke.PrivateKey, bool) {
		for i := range g.proposals {
			u, ok := g.proposals[i].proposal.(*Update)
			if !ok || string(u.Leaf.EncryptionKey) != string(public) {
				continue
			}
			row, err := tx.Get(updateKey(g.Epoch(), i))
			if err != nil || len(row) < 2 || row[0] != rowVersion {
				return nil, false
			}
			key, err := g.state.suite.kem.NewPrivateKey(slices.Clone(row[1:]))
			wipe(row)
			return key, err == nil
		}
		return nil, false
	}
}
