package mls

import (
	"crypto"
	"crypto/hpke"
	"errors"
	"io"
	"slices"
)

// KeyPackageOptions says what a key package to be made should hold.
type KeyPackageOptions struct {
	Suite      CipherSuite
	Signer     crypto.Signer // the client's signature key; of the suite's scheme
	Credential Credential
	// Capabilities lists what the application supports beyond this package: cipher suites to prefer, extensions, proposals,
	// credentials. The protocol version, Suite, SelfRemove and the type of Credential are added when missing.
	Capabilities   Capabilities
	LeafExtensions Extensions // must be listed in Capabilities unless every client supports them (RFC 9420 §7.2)
	Extensions     Extensions // likewise
	Lifetime       Lifetime   // both ends required
	// LastResort marks a key package that may be used more than once, when no other is left (§16.8).
	LastResort bool
	// OmitGREASE leaves out the random values that keep peers tolerant of unknown ones (§13.5).
	OmitGREASE bool
}

// keyPackageKeys is the private half of a key package, kept until the join, or until a last-resort package is replaced.
type keyPackageKeys struct {
	keyPackage KeyPackage
	init       hpke.PrivateKey
	leaf       keptKey
}

// NewKeyPackage makes a key package and stores its private keys under its reference, for the one join it is made for. The package
// may be published when the transaction is durable. random is read for the keys and the GREASE values.
func NewKeyPackage(tx Tx, random io.Reader, o KeyPackageOptions) (*KeyPackage, error) {
	s, err := lookupSuite(o.Suite)
	if err != nil {
		return nil, err
	}
	k, err := s.newKeyPackage(random, o)
	if err != nil {
		return nil, err
	}
	return &k.keyPackage, k.store(tx, s)
}

// Ref returns the reference by which a Welcome names the key package (RFC 9420 §5.2).
func (k *KeyPackage) Ref() ([]byte, error) {
	s, err := lookupSuite(k.Suite)
	if err != nil {
		return nil, err
	}
	raw, err := marshal(k)
	if err != nil {
		return nil, err
	}
	return s.keyPackageRef(raw), nil
}

// LastResort reports whether the package is marked for repeated use.
func (k *KeyPackage) LastResort() bool {
	_, ok := k.Extensions.Find(ExtensionLastResort)
	return ok
}

func (s *suite) newKeyPackage(random io.Reader, o KeyPackageOptions) (*keyPackageKeys, error) {
	if o.Lifetime.NotBefore == 0 && o.Lifetime.NotAfter == 0 {
		return nil, errors.New("mls: a key package needs a lifetime")
	}
	leaf, key, err := s.newLeaf(random, o)
	if err != nil {
		return nil, err
	}
	leaf.Source, leaf.Lifetime = SourceKeyPackage, o.Lifetime
	if err := leaf.sign(random, s, o.Signer, nil, 0); err != nil {
		return nil, err
	}
	k := &keyPackageKeys{leaf: keep(key)}
	if k.init, err = s.newKeyPair(random); err != nil {
		return nil, err
	}
	extensions := slices.Clone(o.Extensions)
	if o.LastResort {
		extensions = append(extensions, Extension{Type: ExtensionLastResort})
	}
	k.keyPackage = KeyPackage{Version: MLS10, Suite: s.id, InitKey: k.init.PublicKey().Bytes(), Leaf: *leaf, Extensions: extensions}
	return k, k.keyPackage.sign(random, s, o.Signer)
}

// sign sets k's signature (RFC 9420 §10).
func (k *KeyPackage) sign(random io.Reader, s *suite, signer crypto.Signer) error {
	var tbs encoder
	if k.encodeTBS(&tbs); tbs.err != nil {
		return tbs.err
	}
	var err error
	k.Signature, err = s.signWithLabel(random, signer, "KeyPackageTBS", tbs.buf)
	return err
}

// newLeaf returns an unsigned leaf with a fresh encryption key, without a source.
func (s *suite) newLeaf(random io.Reader, o KeyPackageOptions) (*LeafNode, hpke.PrivateKey, error) {
	signature, err := s.signaturePublicKey(o.Signer)
	if err != nil {
		return nil, nil, err
	}
	c, err := o.capabilities(random)
	if err != nil {
		return nil, nil, err
	}
	key, err := s.newKeyPair(random)
	if err != nil {
		return nil, nil, err
	}
	return &LeafNode{EncryptionKey: key.PublicKey().Bytes(), SignatureKey: signature, Credential: o.Credential, Capabilities: c,
		Extensions: slices.Clone(o.LeafExtensions)}, key, nil
}

// capabilities completes the capabilities asked for and refuses lists that a peer would refuse (RFC 9420 §7.2).
func (o *KeyPackageOptions) capabilities(random io.Reader) (Capabilities, error) {
	c := Capabilities{
		Versions:     including(o.Capabilities.Versions, MLS10),
		CipherSuites: including(o.Capabilities.CipherSuites, o.Suite),
		Extensions:   slices.Clone(o.Capabilities.Extensions),
		Proposals:    including(o.Capabilities.Proposals, ProposalSelfRemove),
		Credentials:  including(o.Capabilities.Credentials, o.Credential.Type),
	}
	if o.LastResort {
		c.Extensions = including(c.Extensions, ExtensionLastResort)
	}
	for _, t := range c.Extensions {
		if t.isDefault() {
			return c, refuse("7.2", "extension 0x%04x is supported by every client and must not be listed", uint16(t))
		}
	}
	for _, t := range c.Proposals {
		if t.isDefault() {
			return c, refuse("7.2", "proposal 0x%04x is supported by every client and must not be listed", uint16(t))
		}
	}
	for _, list := range []Extensions{o.LeafExtensions, o.Extensions} {
		for i := range list {
			if t := list[i].Type; !t.isDefault() && !slices.Contains(c.Extensions, t) {
				return c, refuse("7.2", "extension 0x%04x is used and not listed in the capabilities", uint16(t))
			}
		}
	}
	if !o.OmitGREASE {
		var pick [4]byte
		if _, err := io.ReadFull(random, pick[:]); err != nil {
			return c, err
		}
		c.CipherSuites = append(c.CipherSuites, CipherSuite(grease(pick[0])))
		c.Extensions = append(c.Extensions, ExtensionType(grease(pick[1])))
		c.Proposals = append(c.Proposals, ProposalType(grease(pick[2])))
		c.Credentials = append(c.Credentials, CredentialType(grease(pick[3])))
	}
	return c, nil
}

// grease returns one of the fifteen values 0x0A0A to 0xEAEA (RFC 9420 §13.5).
func grease(random byte) uint16 { return uint16(random%15)*0x1010 + 0x0A0A }

// including returns a copy of list that has v.
func including[T comparable](list []T, v T) []T {
	if list = slices.Clone(list); !slices.Contains(list, v) {
		list = append(list, v)
	}
	return list
}

// newKeyPair makes an HPKE key pair from randomness of the caller's source.
func (s *suite) newKeyPair(random io.Reader) (hpke.PrivateKey, error) {
	var seed [66]byte // as long as the longest private key
	defer clear(seed[:])
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return nil, err
	}
	return s.deriveKeyPair(seed[:])
}

// store writes the row of k: version, key package, init key, leaf key.
func (k *keyPackageKeys) store(tx Tx, s *suite) error {
	ref, err := k.keyPackage.Ref()
	if err != nil {
		return err
	}
	initKey, err := k.init.Bytes()
	if err != nil {
		return err
	}
	leafKey, err := k.leaf.bytes()
	if err != nil {
		return err
	}
	var e encoder
	e.u8(1)
	k.keyPackage.encode(&e)
	e.opaque(initKey)
	e.opaque(leafKey)
	defer wipe(e.buf) // not the keys: Bytes may return the key's own memory
	if e.err != nil {
		return e.err
	}
	return tx.Put(Key{Row: RowKeyPackage, ID: string(ref)}, e.buf)
}

// loadKeyPackage reads the row of the key package with that reference, or returns nil if there is none.
func loadKeyPackage(tx Tx, ref []byte) (*keyPackageKeys, error) {
	row, err := tx.Get(Key{Row: RowKeyPackage, ID: string(ref)})
	if err != nil || row == nil {
		return nil, err
	}
	d := newDecoder("key package row", row)
	if v := d.u8(); v != 1 {
		d.unsupported("row version", uint16(v))
	}
	k := new(keyPackageKeys)
	k.keyPackage.decode(d)
	initKey, leafKey := d.opaque(), d.opaque()
	if err := d.finish(); err != nil {
		return nil, err
	}
	s, err := lookupSuite(k.keyPackage.Suite)
	if err != nil {
		return nil, err
	}
	if k.init, err = s.kem.NewPrivateKey(initKey); err != nil {
		return nil, err
	}
	if k.leaf, err = s.parseKept(leafKey, k.keyPackage.Leaf.EncryptionKey); err != nil {
		return nil, err
	}
	wipe(initKey, leafKey)
	return k, nil
}

// forgetKeyPackage deletes the private keys of a key package that was used; a last-resort package stays until it is replaced (§10,
// §16.8).
func forgetKeyPackage(tx Tx, k *KeyPackage) error {
	if k.LastResort() {
		return nil
	}
	return DeleteKeyPackage(tx, k)
}

// DeleteKeyPackage deletes the private keys of a key package that is no longer to be joined with: expired, or replaced.
func DeleteKeyPackage(tx Tx, k *KeyPackage) error {
	ref, err := k.Ref()
	if err != nil {
		return err
	}
	return tx.Delete(Key{Row: RowKeyPackage, ID: string(ref)})
}
