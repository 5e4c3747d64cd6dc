package mls

// KeyPackage is what a client publishes so that others can add it to groups, usually once (RFC 9420 §10).
type KeyPackage struct {
	Version    ProtocolVersion
	Suite      CipherSuite
	InitKey    HPKEPublicKey
	Leaf       LeafNode
	Extensions Extensions
	Signature  []byte
}

func (k *KeyPackage) encode(e *encoder) {
	k.encodeTBS(e)
	e.opaque(k.Signature)
}

// encodeTBS appends KeyPackageTBS: all but the signature.
func (k *KeyPackage) encodeTBS(e *encoder) {
	e.u16(uint16(k.Version))
	e.u16(uint16(k.Suite))
	e.opaque(k.InitKey)
	k.Leaf.encode(e)
	k.Extensions.encode(e)
}

func (k *KeyPackage) decode(d *decoder) {
	k.Version = ProtocolVersion(d.u16())
	k.Suite = CipherSuite(d.u16())
	k.InitKey = d.opaque()
	k.Leaf.decode(d)
	k.Extensions.decode(d)
	k.Signature = d.opaque()
}
