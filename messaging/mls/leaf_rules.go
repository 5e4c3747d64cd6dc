package mls

import (
	"bytes"
	"slices"
)

// IdentityProvider is the application's authentication service (RFC 9420 §5.3.1): it knows who may hold which signature key. Its
// methods must answer from what they have: they are called in the midst of processing a message.
type IdentityProvider interface {
	// ValidateMember returns an error unless credential names somebody acceptable in the group and key belongs to them.
	ValidateMember(credential *Credential, key SignaturePublicKey) error
	// ValidateExternalSender is ValidateMember for a sender outside the group (§12.1.8.1).
	ValidateExternalSender(credential *Credential, key SignaturePublicKey) error
	// SameClient reports whether two leaves stand for one client, of which a group has one leaf at most (§12.2).
	SameClient(a, b *LeafNode) bool
	// ValidSuccessor returns an error unless the identity of new may replace that of old in one leaf (§5.3.1).
	ValidSuccessor(old, new *LeafNode) error
}

// leafRules is what leaf nodes and key packages are validated against: a group, or a group to be.
type leafRules struct {
	suite      *suite
	groupID    []byte
	extensions Extensions       // of the GroupContext, the new ones if a commit changes them
	identity   IdentityProvider // nil refuses everybody
	// now is the time in seconds since 1970; 0 means that lifetimes are not compared with it. RFC 9420 §7.3 requires the comparison
	// for leaves that are sent, and recommends it for those received.
	now int64
	// maxLifetime is the longest lifetime of a key package, in seconds (§7.2). 0 refuses all.
	maxLifetime uint64
}

// validate checks a leaf by itself, before it enters the tree at index: where it may come from, its signature, its credential, its
// lifetime, its keys, and that it supports what the group requires (RFC 9420 §7.3). See among for the comparison with other leaves.
func (r *leafRules) validate(l *LeafNode, index LeafIndex, source LeafNodeSource) error {
	if l.Source != source {
		return refuse("7.3", "leaf node %d has the source %d where %d belongs", index, l.Source, source)
	}
	return r.validateAny(l, index)
}

// validateAny is validate for a leaf in a tree, where any source may be.
func (r *leafRules) validateAny(l *LeafNode, index LeafIndex) error {
	if l.Source == SourceKeyPackage {
		if err := r.lifetime(l.Lifetime); err != nil {
			return err
		}
	}
	required, err := r.required()
	if err != nil {
		return err
	}
	if err := r.supports(l, index, &required); err != nil {
		return err
	}
	for i := range l.Extensions {
		if t := l.Extensions[i].Type; !t.isDefault() && !slices.Contains(l.Capabilities.Extensions, t) {
			return refuse("7.3", "leaf node %d has the extension 0x%04x, which its capabilities lack", index, uint16(t))
		}
	}
	if !slices.Contains(l.Capabilities.Credentials, l.Credential.Type) {
		return refuse("7.2", "leaf node %d has a credential of type %d, which its capabilities lack", index, l.Credential.Type)
	}
	if _, err := r.suite.kem.NewPublicKey(l.EncryptionKey); err != nil {
		return refuseFor(err, "5.1.1", "encryption key of leaf node %d", index)
	}
	if err := l.verifySignature(r.suite, r.groupID, index); err != nil {
		return err
	}
	if r.identity == nil {
		return refuse("5.3.1", "no identity provider: the credential of leaf node %d cannot be validated", index)
	}
	if err := r.identity.ValidateMember(&l.Credential, l.SignatureKey); err != nil {
		return refuseFor(err, "5.3.1", "credential of leaf node %d", index)
	}
	return nil
}

// lifetime checks a lifetime against its maximum and, if the time is known, against that (RFC 9420 §7.2, §7.3).
func (r *leafRules) lifetime(t Lifetime) error {
	switch {
	case t.NotAfter < t.NotBefore:
		return refuse("7.2", "lifetime ends before it begins")
	case t.NotAfter-t.NotBefore > r.maxLifetime:
		return refuse("7.2", "lifetime of %d s is longer than %d s", t.NotAfter-t.NotBefore, r.maxLifetime)
	case r.now > 0 && uint64(r.now) < t.NotBefore:
		return refuse("7.3", "lifetime begins in the future")
	case r.now > 0 && uint64(r.now) > t.NotAfter:
		return refuse("7.3", "lifetime is over")
	}
	return nil
}

// requirement is what each member must support: required_capabilities, and the types of the group's extensions.
type requirement struct {
	RequiredCapabilities
	extensions []ExtensionType // non-default types in the GroupContext (§13.4)
}

func (r *leafRules) required() (q requirement, err error) {
	if q.RequiredCapabilities, err = r.extensions.requiredCapabilities(); err != nil {
		return q, err
	}
	for i := range r.extensions {
		if t := r.extensions[i].Type; !t.isDefault() {
			q.extensions = append(q.extensions, t)
		}
	}
	return q, nil
}

// supports checks that l's capabilities cover version and suite (RFC 9420 §11.1), the required capabilities and the group's extensions
// (§13.4). Types that every client supports need not be listed; credential types must.
func (r *leafRules) supports(l *LeafNode, index LeafIndex, q *requirement) error {
	c := &l.Capabilities
	if !slices.Contains(c.Versions, MLS10) {
		return refuse("11.1", "leaf node %d does not support the protocol version", index)
	}
	if !slices.Contains(c.CipherSuites, r.suite.id) {
		return refuse("11.1", "leaf node %d does not support the cipher suite %v", index, r.suite.id)
	}
	for _, t := range q.Extensions {
		if !t.isDefault() && !slices.Contains(c.Extensions, t) {
			return refuse("7.3", "leaf node %d lacks the required extension 0x%04x", index, uint16(t))
		}
	}
	for _, t := range q.Proposals {
		if !t.isDefault() && !slices.Contains(c.Proposals, t) {
			return refuse("7.3", "leaf node %d lacks the required proposal 0x%04x", index, uint16(t))
		}
	}
	for _, t := range q.Credentials {
		if !slices.Contains(c.Credentials, t) {
			return refuse("7.3", "leaf node %d lacks the required credential type 0x%04x", index, uint16(t))
		}
	}
	for _, t := range q.extensions {
		if !slices.Contains(c.Extensions, t) {
			return refuse("13.4", "leaf node %d does not support the group's extension 0x%04x", index, uint16(t))
		}
	}
	return nil
}

// replaces checks a new leaf against the one it replaces, for an Update, a commit's path or a resync (RFC 9420 §7.3, §5.3.1).
func (r *leafRules) replaces(old, new *LeafNode) error {
	if bytes.Equal(old.EncryptionKey, new.EncryptionKey) {
		return refuse("7.3", "a new leaf has the encryption key of the one it replaces")
	}
	if r.identity == nil {
		return refuse("5.3.1", "no identity provider: a successor cannot be validated")
	}
	if err := r.identity.ValidSuccessor(old, new); err != nil {
		return refuseFor(err, "5.3.1", "the new credential is no successor of the old one")
	}
	return nil
}

// among checks the members of a tree against each other and against the group's requirements, after a commit's changes: no key
// twice, each credential type in use supported by all, and what the group requires supported by all (RFC 9420 §7.3, §12.1.7,
// §12.2). It does not look at single leaves again: those that entered have passed validate.
func (r *leafRules) among(t *ratchetTree) error {
	if err := t.verifyKeysUnique(); err != nil {
		return err
	}
	return r.compatible(t)
}

// compatible is the part of among that concerns capabilities.
func (r *leafRules) compatible(t *ratchetTree) error {
	required, err := r.required()
	if err != nil {
		return err
	}
	var inUse []CredentialType
	for _, l := range t.members {
		if !slices.Contains(inUse, l.Credential.Type) {
			inUse = append(inUse, l.Credential.Type)
		}
	}
	for i, l := range t.members {
		for _, c := range inUse {
			if !slices.Contains(l.Capabilities.Credentials, c) {
				return refuse("7.3", "leaf node %d does not support the credential type %d, which is in use", i, c)
			}
		}
		if err := r.supports(l, i, &required); err != nil {
			return err
		}
	}
	return nil
}

// joinTree checks a tree that a joiner was given, except for its hash: parent hashes, unmerged leaves, keys, and each leaf (RFC 9420
// §12.4.3.1). Cheap checks come first.
func (r *leafRules) joinTree(t *ratchetTree) error {
	if err := r.among(t); err != nil {
		return err
	}
	if err := t.verifyUnmerged(); err != nil {
		return err
	}
	for i, p := range t.parents {
		if p == nil {
			continue
		}
		if _, err := t.suite.kem.NewPublicKey(p.EncryptionKey); err != nil {
			return refuseFor(err, "5.1.1", "encryption key of parent node %d", 2*i+1)
		}
	}
	if err := t.verifyParentHashes(); err != nil {
		return err
	}
	for i, l := range t.members {
		if err := r.validateAny(l, i); err != nil {
			return err
		}
	}
	return nil
}

// validateKeyPackage checks a key package before it is used or accepted in an Add (RFC 9420 §10, §10.1). Its unknown extensions are
// ignored (§13.4).
func (r *leafRules) validateKeyPackage(k *KeyPackage) error {
	switch {
	case k.Version != MLS10:
		return refuse("10.1", "key package of protocol version %d", k.Version)
	case k.Suite != r.suite.id:
		return refuse("10.1", "key package of cipher suite %v for a group of %v", k.Suite, r.suite.id)
	case bytes.Equal(k.InitKey, k.Leaf.EncryptionKey):
		return refuse("10.1", "key package has one key as init key and encryption key")
	}
	if _, err := r.suite.kem.NewPublicKey(k.InitKey); err != nil {
		return refuseFor(err, "10", "init key of the key package")
	}
	if err := r.validate(&k.Leaf, 0, SourceKeyPackage); err != nil {
		return err
	}
	var tbs encoder
	if k.encodeTBS(&tbs); tbs.err != nil {
		return tbs.err
	}
	if err := r.suite.verifyWithLabel(k.Leaf.SignatureKey, "KeyPackageTBS", tbs.buf, k.Signature); err != nil {
		return refuseFor(err, "10.1", "signature of the key package")
	}
	return nil
}

// validateExternalSenders checks the external_senders extension when it is new in the group (RFC 9420 §5.3.1, §12.1.8.1).
func (r *leafRules) validateExternalSenders() (externalSenders, error) {
	list, err := r.extensions.externalSenders()
	if err != nil {
		return nil, err
	}
	for i := range list {
		if _, err := r.suite.parseVerifyKey(list[i].SignatureKey); err != nil {
			return nil, refuseFor(err, "12.1.8.1", "signature key of external sender %d", i)
		}
		if r.identity == nil {
			return nil, refuse("5.3.1", "no identity provider: external sender %d cannot be validated", i)
		}
		if err := r.identity.ValidateExternalSender(&list[i].Credential, list[i].SignatureKey); err != nil {
			return nil, refuseFor(err, "5.3.1", "credential of external sender %d", i)
		}
	}
	return list, nil
}
