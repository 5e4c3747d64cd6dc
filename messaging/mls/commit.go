package mls

// maxProposals bounds a commit, maxPathNodes the depth of a tree and maxPathSecrets the size of a resolution.
const (
	maxProposals   = 1 << 14
	maxPathNodes   = 32
	maxPathSecrets = maxLeaves
)

// ProposalOrRef is a proposal in a commit, by value (Proposal is set) or by reference (RFC 9420 §12.4).
type ProposalOrRef struct {
	Proposal  Proposal
	Reference []byte
}

func (p *ProposalOrRef) encode(e *encoder) {
	if p.Proposal != nil {
		e.u8(1)
		encodeProposal(e, p.Proposal)
		return
	}
	e.u8(2)
	e.opaque(p.Reference)
}

func (p *ProposalOrRef) decode(d *decoder) {
	switch t := d.u8(); t {
	case 1:
		p.Proposal = decodeProposal(d)
	case 2:
		p.Reference = d.opaque()
	default:
		d.unsupported("ProposalOrRefType", uint16(t))
	}
}

// Commit starts a new epoch (RFC 9420 §12.4).
type Commit struct {
	Proposals []ProposalOrRef
	Path      *UpdatePath // nil if absent
}

// sizeHint is about the size of a long encoding: that of the path.
func (c *Commit) sizeHint() int {
	n := 512
	if c.Path != nil {
		for i := range c.Path.Nodes {
			n += 16 + len(c.Path.Nodes[i].EncryptionKey)
			for _, s := range c.Path.Nodes[i].Secrets {
				n += 8 + len(s.KEMOutput) + len(s.Ciphertext)
			}
		}
	}
	return n
}

func (c *Commit) encode(e *encoder) {
	encodeVector(e, c.Proposals, func(e *encoder, p *ProposalOrRef) { p.encode(e) })
	e.present(c.Path != nil)
	if c.Path != nil {
		c.Path.encode(e)
	}
}

func (c *Commit) decode(d *decoder) {
	c.Proposals = decodeVector(d, maxProposals, func(d *decoder, p *ProposalOrRef) { p.decode(d) })
	if d.present() {
		c.Path = new(UpdatePath)
		c.Path.decode(d)
	}
}

// UpdatePath is the committer's new leaf and the new keys above it (RFC 9420 §7.6).
type UpdatePath struct {
	Leaf  LeafNode
	Nodes []UpdatePathNode // one per node of the filtered direct path, upwards
}

// UpdatePathNode is the new key of one node and its path secret, encrypted to each node of the copath child's resolution.
type UpdatePathNode struct {
	EncryptionKey HPKEPublicKey
	Secrets       []HPKECiphertext
}

func (p *UpdatePath) encode(e *encoder) {
	p.Leaf.encode(e)
	encodeVector(e, p.Nodes, func(e *encoder, n *UpdatePathNode) {
		e.opaque(n.EncryptionKey)
		encodeVector(e, n.Secrets, func(e *encoder, c *HPKECiphertext) { c.encode(e) })
	})
}

func (p *UpdatePath) decode(d *decoder) {
	p.Leaf.decode(d)
	p.Nodes = decodeVector(d, maxPathNodes, func(d *decoder, n *UpdatePathNode) {
		n.EncryptionKey = d.opaque()
		n.Secrets = decodeVector(d, maxPathSecrets, func(d *decoder, c *HPKECiphertext) { c.decode(d) })
	})
}
