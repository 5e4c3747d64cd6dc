package mls

// maxWelcomeSecrets bounds the new members of one Welcome, maxWelcomePSKs the PSKs of one epoch.
const (
	maxWelcomeSecrets = maxLeaves
	maxWelcomePSKs    = 1 << 10
)

// GroupInfo tells a new member the state of a group (RFC 9420 §12.4.3).
type GroupInfo struct {
	Context         GroupContext
	Extensions      Extensions
	ConfirmationTag []byte
	Signer          LeafIndex
	Signature       []byte
}

// sizeHint is about the size of the encoding: that of a ratchet tree, if there is one.
func (g *GroupInfo) sizeHint() int {
	n := 512
	for _, list := range [2]Extensions{g.Extensions, g.Context.Extensions} {
		for _, x := range list {
			n += 8 + len(x.Data)
		}
	}
	return n
}

func (g *GroupInfo) encode(e *encoder) {
	g.encodeTBS(e)
	e.opaque(g.Signature)
}

// encodeTBS appends GroupInfoTBS: all but the signature.
func (g *GroupInfo) encodeTBS(e *encoder) {
	g.Context.encode(e)
	g.Extensions.encode(e)
	e.opaque(g.ConfirmationTag)
	e.u32(uint32(g.Signer))
}

func (g *GroupInfo) decode(d *decoder) {
	g.Context.decode(d)
	g.Extensions.decode(d)
	g.ConfirmationTag = d.opaque()
	g.Signer = LeafIndex(d.u32())
	g.Signature = d.opaque()
}

// groupSecrets is what a Welcome encrypts to each new member (RFC 9420 §12.4.3.1).
type groupSecrets struct {
	JoinerSecret []byte
	PathSecret   []byte // nil if absent
	PSKs         []PreSharedKeyID
}

func (g *groupSecrets) encode(e *encoder) {
	e.opaque(g.JoinerSecret)
	e.present(g.PathSecret != nil)
	if g.PathSecret != nil {
		e.opaque(g.PathSecret)
	}
	encodeVector(e, g.PSKs, func(e *encoder, p *PreSharedKeyID) { p.encode(e) })
}

func (g *groupSecrets) decode(d *decoder) {
	g.JoinerSecret = d.opaque()
	if d.present() {
		g.PathSecret = d.opaque()
	}
	g.PSKs = decodeVector(d, maxWelcomePSKs, func(d *decoder, p *PreSharedKeyID) { p.decode(d) })
}

// EncryptedGroupSecrets is the part of a Welcome for one new member (RFC 9420 §12.4.3.1).
type EncryptedGroupSecrets struct {
	NewMember []byte // KeyPackageRef
	Secrets   HPKECiphertext
}

func (s *EncryptedGroupSecrets) encode(e *encoder) {
	e.opaque(s.NewMember)
	s.Secrets.encode(e)
}

func (s *EncryptedGroupSecrets) decode(d *decoder) {
	s.NewMember = d.opaque()
	s.Secrets.decode(d)
}

// Welcome lets new members into a group (RFC 9420 §12.4.3.1).
type Welcome struct {
	Suite              CipherSuite
	Secrets            []EncryptedGroupSecrets
	EncryptedGroupInfo []byte
}

// sizeHint is about the size of the encoding.
func (w *Welcome) sizeHint() int {
	n := 16 + len(w.EncryptedGroupInfo)
	for _, s := range w.Secrets {
		n += 16 + len(s.NewMember) + len(s.Secrets.KEMOutput) + len(s.Secrets.Ciphertext)
	}
	return n
}

func (w *Welcome) encode(e *encoder) {
	e.u16(uint16(w.Suite))
	encodeVector(e, w.Secrets, func(e *encoder, s *EncryptedGroupSecrets) { s.encode(e) })
	e.opaque(w.EncryptedGroupInfo)
}

func (w *Welcome) decode(d *decoder) {
	w.Suite = CipherSuite(d.u16())
	w.Secrets = decodeVector(d, maxWelcomeSecrets, func(d *decoder, s *EncryptedGroupSecrets) { s.decode(d) })
	w.EncryptedGroupInfo = d.opaque()
}
