package mls

// ProposalType is a registry of RFC 9420 §17.4.
type ProposalType uint16

// The proposal types of RFC 9420, which every client supports and no capabilities list (§7.2), and self_remove of
// draft-ietf-mls-extensions, which clients of this package list and which a group uses only if all its members do.
const (
	ProposalAdd                    ProposalType = 0x0001
	ProposalUpdate                 ProposalType = 0x0002
	ProposalRemove                 ProposalType = 0x0003
	ProposalPSK                    ProposalType = 0x0004
	ProposalReInit                 ProposalType = 0x0005
	ProposalExternalInit           ProposalType = 0x0006
	ProposalGroupContextExtensions ProposalType = 0x0007
	ProposalSelfRemove             ProposalType = 0x000A
)

// isDefault reports whether every client supports the type without saying so (RFC 9420 §7.2).
func (t ProposalType) isDefault() bool { return t >= 1 && t <= 7 }

// pathRequired reports whether a commit of such a proposal must have a path (RFC 9420 §12.4, §17.4). Unknown types do.
func (t ProposalType) pathRequired() bool {
	return t != ProposalAdd && t != ProposalPSK && t != ProposalReInit
}

// externalAllowed reports whether an external sender may propose it (RFC 9420 §12.1.8).
func (t ProposalType) externalAllowed() bool {
	switch t {
	case ProposalAdd, ProposalRemove, ProposalPSK, ProposalReInit, ProposalGroupContextExtensions:
		return true
	}
	return false
}

// Proposal is one of *Add, *Update, *Remove, *PreSharedKey, *ReInit, *ExternalInit, *GroupContextExtensions (RFC 9420 §12.1) and
// *SelfRemove. A proposal of an unknown type cannot be decoded, because it has no length of its own: it is refused with an
// UnsupportedTypeError. No valid commit has one, as long as a member that does not list the type is in the group (§12.2).
type Proposal interface {
	Type() ProposalType
	wire
}

// Add proposes a new member (RFC 9420 §12.1.1).
type Add struct{ KeyPackage KeyPackage }

// Update proposes to replace the sender's leaf (RFC 9420 §12.1.2).
type Update struct{ Leaf LeafNode }

// Remove proposes to remove a member (RFC 9420 §12.1.3).
type Remove struct{ Removed LeafIndex }

// PreSharedKey proposes to inject a PSK (RFC 9420 §12.1.4).
type PreSharedKey struct{ PSK PreSharedKeyID }

// ReInit proposes to close the group and open another with other parameters (RFC 9420 §12.1.5).
type ReInit struct {
	GroupID    []byte
	Version    ProtocolVersion
	Suite      CipherSuite
	Extensions Extensions
}

// ExternalInit carries the KEM output of a member that joins by an external commit (RFC 9420 §12.1.6).
type ExternalInit struct{ KEMOutput []byte }

// GroupContextExtensions proposes to replace all extensions of the group (RFC 9420 §12.1.7).
type GroupContextExtensions struct{ Extensions Extensions }

// SelfRemove proposes to remove its sender (draft-ietf-mls-extensions, SelfRemove Proposal). It is sent as a PublicMessage, because
// clients that join by an external commit have to take it along, and is committed by reference only.
type SelfRemove struct{}

func (*Add) Type() ProposalType                    { return ProposalAdd }
func (*Update) Type() ProposalType                 { return ProposalUpdate }
func (*Remove) Type() ProposalType                 { return ProposalRemove }
func (*PreSharedKey) Type() ProposalType           { return ProposalPSK }
func (*ReInit) Type() ProposalType                 { return ProposalReInit }
func (*ExternalInit) Type() ProposalType           { return ProposalExternalInit }
func (*GroupContextExtensions) Type() ProposalType { return ProposalGroupContextExtensions }

func (*SelfRemove) Type() ProposalType { return ProposalSelfRemove }

func (*SelfRemove) encode(*encoder)                 {}
func (p *Add) encode(e *encoder)                    { p.KeyPackage.encode(e) }
func (p *Update) encode(e *encoder)                 { p.Leaf.encode(e) }
func (p *Remove) encode(e *encoder)                 { e.u32(uint32(p.Removed)) }
func (p *PreSharedKey) encode(e *encoder)           { p.PSK.encode(e) }
func (p *ExternalInit) encode(e *encoder)           { e.opaque(p.KEMOutput) }
func (p *GroupContextExtensions) encode(e *encoder) { p.Extensions.encode(e) }
func (p *ReInit) encode(e *encoder) {
	e.opaque(p.GroupID)
	e.u16(uint16(p.Version))
	e.u16(uint16(p.Suite))
	p.Extensions.encode(e)
}

func (*SelfRemove) decode(*decoder)                 {}
func (p *Add) decode(d *decoder)                    { p.KeyPackage.decode(d) }
func (p *Update) decode(d *decoder)                 { p.Leaf.decode(d) }
func (p *Remove) decode(d *decoder)                 { p.Removed = LeafIndex(d.u32()) }
func (p *PreSharedKey) decode(d *decoder)           { p.PSK.decode(d) }
func (p *ExternalInit) decode(d *decoder)           { p.KEMOutput = d.opaque() }
func (p *GroupContextExtensions) decode(d *decoder) { p.Extensions.decode(d) }
func (p *ReInit) decode(d *decoder) {
	p.GroupID = d.opaque()
	p.Version = ProtocolVersion(d.u16())
	p.Suite = CipherSuite(d.u16())
	p.Extensions.decode(d)
}

// encodeProposal appends the structure Proposal: the type and the proposal.
func encodeProposal(e *encoder, p Proposal) {
	if p == nil {
		e.fail(&UnsupportedTypeError{"proposal type", 0})
		return
	}
	e.u16(uint16(p.Type()))
	p.encode(e)
}

func decodeProposal(d *decoder) Proposal {
	var p Proposal
	switch t := ProposalType(d.u16()); t {
	case ProposalAdd:
		p = new(Add)
	case ProposalUpdate:
		p = new(Update)
	case ProposalRemove:
		p = new(Remove)
	case ProposalPSK:
		p = new(PreSharedKey)
	case ProposalReInit:
		p = new(ReInit)
	case ProposalExternalInit:
		p = new(ExternalInit)
	case ProposalGroupContextExtensions:
		p = new(GroupContextExtensions)
	case ProposalSelfRemove:
		p = new(SelfRemove)
	default:
		d.unsupported("proposal type", uint16(t))
		return nil
	}
	p.decode(d)
	return p
}
