package mls

import (
	"bytes"
	"slices"
)

// IdentityProvider is the application's authentication service (RFC 9420 §5.3.1): it alone can say whose a credential is. Its
// methods are called while a message is being checked, have no effects, and refuse by returning an error.
type IdentityProvider interface {
	// ValidateMember reports whether credential is valid and belongs to signatureKey. It is asked wherever a leaf enters the group.
	ValidateMember(credential Credential, signatureKey SignaturePublicKey) error
	// ValidateExternalSender is the same for an entry of external_senders.
	ValidateExternalSender(sender ExternalSender) error
	// SameClient reports whether two credentials stand for one client, of which a group has at most one leaf (§12.2).
	SameClient(a, b Credential) bool
	// ValidSuccessor reports whether a member may replace its credential old by next (§5.3.1).
	ValidSuccessor(old, next Credential) error
}

// leafRules is what a leaf is checked against (RFC 9420 §7.3): the group's parameters as they are after the commit.
type leafRules struct {
	suite      *suite
	groupID    []byte
	extensions Extensions // of the GroupContext
	required   RequiredCapabilities
	leafPolicy
}

// leafPolicy is the application's part of what a leaf is checked against.
type leafPolicy struct {
	identity IdentityProvider
	now      int64 // seconds since 1970; must lie in the lifetime of a key package that this member adds
	// received says that another member added the key package. It checked the lifetime when it did; whether members agree on an epoch
	// must not depend on when they hear of it and on their clocks (§7.3 leaves that check open).
	received bool
	// lifetimeMax is the longest lifetime, in seconds, that a key package may have, also that of a leaf found in a tree (§7.2).
	// Zero refuses them all.
	lifetimeMax uint64
}

// newLeafRules returns the rules of a group with those extensions. Without an identity provider nobody can be let in.
func newLeafRules(s *suite, groupID []byte, extensions Extensions, policy leafPolicy) (*leafRules, error) {
	if policy.identity == nil {
		return nil, refuse("5.3.1", "there is no identity provider to validate credentials")
	}
	required, err := extensions.requiredCapabilities()
	if err != nil {
		return nil, err
	}
	return &leafRules{suite: s, groupID: groupID, extensions: extensions, required: required, leafPolicy: policy}, nil
}

// check validates a leaf by itself (§7.3): credential, signature, keys and capabilities. What concerns other members is checkTree's.
func (r *leafRules) check(l *LeafNode, index LeafIndex, source LeafNodeSource) error {
	if l.Source != source {
		return refuse("7.3", "leaf node %d has source %d, want %d", index, l.Source, source)
	}
	return r.checkAny(l, index)
}

// checkAny is check for any source: a leaf of the tree of a group that is being joined.
func (r *leafRules) checkAny(l *LeafNode, index LeafIndex) error {
	if err := r.checkCapabilities(l, index); err != nil {
		return err
	}
	if l.Source == SourceKeyPackage && (l.Lifetime.NotAfter < l.Lifetime.NotBefore || l.Lifetime.NotAfter-l.Lifetime.NotBefore > r.lifetimeMax) {
		return refuse("7.2", "leaf node %d has a lifetime that ends before it begins, or longer than %d seconds", index, r.lifetimeMax)
	}
	if err := r.suite.checkPublicKey(l.EncryptionKey); err != nil {
		return refuseFor(err, "5.1.1", "encryption key of leaf node %d", index)
	}
	if err := l.verifySignature(r.suite, r.groupID, index); err != nil {
		return err
	}
	if err := r.identity.ValidateMember(l.Credential, l.SignatureKey); err != nil {
		return refuseFor(err, "5.3.1", "credential of leaf node %d", index)
	}
	return nil
}

// checkCapabilities checks that the leaf supports itself and the group (§7.2, §7.3, §11.1, §13.4).
func (r *leafRules) checkCapabilities(l *LeafNode, index LeafIndex) error {
	c := &l.Capabilities
	// The group's cipher suite need not be among c.CipherSuites: the key package's own suite says it, and clients in the working
	// group's vectors leave it out. A leaf whose keys do not fit the suite is refused by them.
	if !slices.Contains(c.Versions, MLS10) {
		return refuse("7.3", "leaf node %d does not support the group's version", index)
	}
	if !slices.Contains(c.Credentials, l.Credential.Type) {
		return refuse("7.3", "leaf node %d does not support its own credential type", index)
	}
	for _, x := range l.Extensions {
		if !x.Type.isDefault() && !slices.Contains(c.Extensions, x.Type) {
			return refuse("7.3", "leaf node %d has extension 0x%04x, which it does not support", index, uint16(x.Type))
		}
	}
	for _, x := range r.extensions {
		if !x.Type.isDefault() && !slices.Contains(c.Extensions, x.Type) {
			return refuse("13.4", "leaf node %d does not support the group's extension 0x%04x", index, uint16(x.Type))
		}
	}
	for _, t := range r.required.Extensions {
		if !t.isDefault() && !slices.Contains(c.Extensions, t) {
			return refuse("11.1", "leaf node %d does not support the required extension 0x%04x", index, uint16(t))
		}
	}
	for _, t := range r.required.Proposals {
		if !t.isDefault() && !slices.Contains(c.Proposals, t) {
			return refuse("11.1", "leaf node %d does not support the required proposal type 0x%04x", index, uint16(t))
		}
	}
	for _, t := range r.required.Credentials {
		if !slices.Contains(c.Credentials, t) {
			return refuse("11.1", "leaf node %d does not support the required credential type 0x%04x", index, uint16(t))
		}
	}
	return nil
}

// checkKeyPackage validates a key package that is added to the group (§10.1).
func (r *leafRules) checkKeyPackage(k *KeyPackage) error {
	if k.Version != MLS10 || k.Suite != r.suite.id {
		return refuse("10.1", "key package is for version %d and suite %v, the group has %v", k.Version, k.Suite, r.suite.id)
	}
	if err := r.check(&k.Leaf, 0, SourceKeyPackage); err != nil {
		return refuseFor(err, "10.1", "leaf node of a key package")
	}
	if now, l := uint64(max(r.now, 0)), k.Leaf.Lifetime; !r.received && (now < l.NotBefore || now > l.NotAfter) {
		return refuse("7.3", "the key package's lifetime does not include now")
	}
	if err := r.suite.checkPublicKey(k.InitKey); err != nil {
		return refuseFor(err, "5.1.1", "init key of a key package")
	}
	if bytes.Equal(k.InitKey, k.Leaf.EncryptionKey) {
		return refuse("10.1", "a key package's init key is also its encryption key")
	}
	var tbs encoder
	k.encodeTBS(&tbs)
	if tbs.err != nil {
		return tbs.err
	}
	if err := r.suite.verifyWithLabel(k.Leaf.SignatureKey, "KeyPackageTBS", tbs.buf, k.Signature); err != nil {
		return refuseFor(err, "10.1", "signature of a key package")
	}
	return nil
}

// checkTree checks what leaves owe each other after changed ones have entered the tree (§7.3): keys occur once, and everybody
// supports every credential type in use.
func (r *leafRules) checkTree(t *ratchetTree, changed []LeafIndex) error {
	var types []CredentialType
	for _, l := range t.members {
		if !slices.Contains(types, l.Credential.Type) {
			types = append(types, l.Credential.Type)
		}
	}
	for i, l := range t.members {
		for _, c := range types {
			if !slices.Contains(l.Capabilities.Credentials, c) {
				return refuse("7.3", "leaf node %d does not support credential type %d, which another member uses", i, c)
			}
		}
	}
	if len(changed) > 8 {
		return t.verifyKeysUnique()
	}
	for _, c := range changed {
		mine := t.leaf(c)
		if mine == nil {
			continue
		}
		for i, l := range t.members {
			if i != c && bytes.Equal(l.SignatureKey, mine.SignatureKey) {
				return refuse("7.3", "leaf nodes %d and %d have the same signature key", i, c)
			}
		}
		for x := range nodeIndex(t.width()) {
			if x != c.node() && !t.blank(x) && bytes.Equal(t.encryptionKey(x), mine.EncryptionKey) {
				return refuse("7.3", "nodes %d and %d have the same encryption key", x, c.node())
			}
		}
	}
	return nil
}

// checkExternalSenders asks the application about every external sender that before did not have (§5.3.1).
func (r *leafRules) checkExternalSenders(before Extensions) error {
	senders, err := r.extensions.externalSenders()
	if err != nil {
		return err
	}
	old, err := before.externalSenders()
	if err != nil {
		return err
	}
	for i, s := range senders {
		if slices.ContainsFunc(old, func(o ExternalSender) bool { return sameExternalSender(o, s) }) {
			continue
		}
		if _, err := r.suite.parseVerifyKey(s.SignatureKey); err != nil {
			return refuseFor(err, "12.1.8.1", "signature key of external sender %d", i)
		}
		if err := r.identity.ValidateExternalSender(s); err != nil {
			return refuseFor(err, "5.3.1", "external sender %d", i)
		}
	}
	return nil
}

func sameExternalSender(a, b ExternalSender) bool {
	x, errA := marshal(&a)
	y, errB := marshal(&b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}
