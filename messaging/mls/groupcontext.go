package mls

// GroupContext is the state of a group that its members agree on (RFC 9420 §8.1).
type GroupContext struct {
	Version                 ProtocolVersion
	Suite                   CipherSuite
	GroupID                 []byte
	Epoch                   uint64
	TreeHash                []byte
	ConfirmedTranscriptHash []byte
	Extensions              Extensions
}

func (c *GroupContext) encode(e *encoder) {
	e.u16(uint16(c.Version))
	e.u16(uint16(c.Suite))
	e.opaque(c.GroupID)
	e.u64(c.Epoch)
	e.opaque(c.TreeHash)
	e.opaque(c.ConfirmedTranscriptHash)
	c.Extensions.encode(e)
}

func (c *GroupContext) decode(d *decoder) {
	if c.Version = ProtocolVersion(d.u16()); c.Version != MLS10 {
		d.unsupported("protocol version", uint16(c.Version))
	}
	c.Suite = CipherSuite(d.u16())
	c.GroupID = d.opaque()
	c.Epoch = d.u64()
	c.TreeHash = d.opaque()
	c.ConfirmedTranscriptHash = d.opaque()
	c.Extensions.decode(d)
}
