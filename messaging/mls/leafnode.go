package mls

import (
	"crypto"
	"io"
)

// LeafNodeSource says how a leaf came into the tree (RFC 9420 §7.2).
type LeafNodeSource uint8

// The sources of RFC 9420 §7.2.
const (
	SourceKeyPackage LeafNodeSource = 1
	SourceUpdate     LeafNodeSource = 2
	SourceCommit     LeafNodeSource = 3
)

// Capabilities is what a client supports beyond what every client does (RFC 9420 §7.2). Unknown values are kept.
type Capabilities struct {
	Versions     []ProtocolVersion
	CipherSuites []CipherSuite
	Extensions   []ExtensionType
	Proposals    []ProposalType
	Credentials  []CredentialType
}

func (c *Capabilities) encode(e *encoder) {
	encodeU16s(e, c.Versions)
	encodeU16s(e, c.CipherSuites)
	encodeU16s(e, c.Extensions)
	encodeU16s(e, c.Proposals)
	encodeU16s(e, c.Credentials)
}

func (c *Capabilities) decode(d *decoder) {
	c.Versions = decodeU16s[ProtocolVersion](d)
	c.CipherSuites = decodeU16s[CipherSuite](d)
	c.Extensions = decodeU16s[ExtensionType](d)
	c.Proposals = decodeU16s[ProposalType](d)
	c.Credentials = decodeU16s[CredentialType](d)
}

// Lifetime is when a key package may be used, both ends included (RFC 9420 §7.2).
type Lifetime struct {
	NotBefore uint64 // seconds since 1970-01-01T00:00:00Z
	NotAfter  uint64 // likewise
}

// LeafNode is one client's appearance in a group, signed by it (RFC 9420 §7.2).
type LeafNode struct {
	EncryptionKey HPKEPublicKey
	SignatureKey  SignaturePublicKey
	Credential    Credential
	Capabilities  Capabilities
	Source        LeafNodeSource
	Lifetime      Lifetime // if Source is SourceKeyPackage
	ParentHash    []byte   // if Source is SourceCommit
	Extensions    Extensions
	Signature     []byte
}

func (l *LeafNode) encode(e *encoder) {
	l.encodeContent(e)
	e.opaque(l.Signature)
}

// encodeContent appends what LeafNode and LeafNodeTBS have in common.
func (l *LeafNode) encodeContent(e *encoder) {
	e.opaque(l.EncryptionKey)
	e.opaque(l.SignatureKey)
	l.Credential.encode(e)
	l.Capabilities.encode(e)
	e.u8(uint8(l.Source))
	switch l.Source {
	case SourceKeyPackage:
		e.u64(l.Lifetime.NotBefore)
		e.u64(l.Lifetime.NotAfter)
	case SourceUpdate:
	case SourceCommit:
		e.opaque(l.ParentHash)
	default:
		e.fail(&UnsupportedTypeError{"leaf node source", uint16(l.Source)})
	}
	l.Extensions.encode(e)
}

func (l *LeafNode) decode(d *decoder) {
	l.EncryptionKey = d.opaque()
	l.SignatureKey = d.opaque()
	l.Credential.decode(d)
	l.Capabilities.decode(d)
	switch l.Source = LeafNodeSource(d.u8()); l.Source {
	case SourceKeyPackage:
		l.Lifetime.NotBefore = d.u64()
		l.Lifetime.NotAfter = d.u64()
	case SourceUpdate:
	case SourceCommit:
		l.ParentHash = d.opaque()
	default:
		d.unsupported("leaf node source", uint16(l.Source))
	}
	l.Extensions.decode(d)
	l.Signature = d.opaque()
}

// tbs returns LeafNodeTBS. groupID and index are signed unless the leaf stands in a key package (RFC 9420 §7.2).
func (l *LeafNode) tbs(groupID []byte, index LeafIndex) ([]byte, error) {
	var e encoder
	l.encodeContent(&e)
	if l.Source != SourceKeyPackage {
		e.opaque(groupID)
		e.u32(uint32(index))
	}
	return e.buf, e.err
}

// sign sets l's signature by signer, whose public key l carries (RFC 9420 §7.2).
func (l *LeafNode) sign(random io.Reader, s *suite, signer crypto.Signer, groupID []byte, index LeafIndex) error {
	tbs, err := l.tbs(groupID, index)
	if err != nil {
		return err
	}
	l.Signature, err = s.signWithLabel(random, signer, "LeafNodeTBS", tbs)
	return err
}

// verifySignature checks l's signature. groupID and index matter only for leaves made in a group (RFC 9420 §7.2).
func (l *LeafNode) verifySignature(s *suite, groupID []byte, index LeafIndex) error {
	tbs, err := l.tbs(groupID, index)
	if err != nil {
		return err
	}
	if err := s.verifyWithLabel(l.SignatureKey, "LeafNodeTBS", tbs, l.Signature); err != nil {
		return refuseFor(err, "7.3", "signature of leaf node %d", index)
	}
	return nil
}
