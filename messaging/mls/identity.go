package mls

import (
	"bytes"
	"errors"
)

// BasicIdentity is an IdentityProvider for basic credentials: an identity is a client, and the application says which signature keys
// it may have. Credentials of other types are refused. It may be used by several goroutines if its functions may.
type BasicIdentity struct {
	// Member reports whether identity is a client that may be in the group with that signature key. nil refuses everybody.
	Member func(identity []byte, key SignaturePublicKey) error
	// External is the same for an entry of external_senders. nil refuses everybody.
	External func(identity []byte, key SignaturePublicKey) error
}

var _ IdentityProvider = BasicIdentity{}

var (
	errNoIdentity     = errors.New("the identity provider lets nobody in")
	errCredentialType = errors.New("the identity provider does not take credentials of this type")
	errOtherClient    = errors.New("the new credential names another client than the old one")
)

// ValidateMember implements IdentityProvider.
func (p BasicIdentity) ValidateMember(c Credential, key SignaturePublicKey) error {
	return p.ask(p.Member, c, key)
}

// ValidateExternalSender implements IdentityProvider.
func (p BasicIdentity) ValidateExternalSender(s ExternalSender) error {
	return p.ask(p.External, s.Credential, s.SignatureKey)
}

func (BasicIdentity) ask(allow func([]byte, SignaturePublicKey) error, c Credential, key SignaturePublicKey) error {
	switch {
	case c.Type != CredentialBasic:
		return errCredentialType
	case allow == nil:
		return errNoIdentity
	}
	return allow(c.Identity, key)
}

// SameClient implements IdentityProvider: clients are told apart by their whole identity.
func (BasicIdentity) SameClient(a, b Credential) bool {
	return a.Type == CredentialBasic && b.Type == CredentialBasic && bytes.Equal(a.Identity, b.Identity)
}

// ValidSuccessor implements IdentityProvider: a client keeps its identity. Its key may change, if Member allows the new one.
func (p BasicIdentity) ValidSuccessor(old, next Credential) error {
	if !p.SameClient(old, next) {
		return errOtherClient
	}
	return nil
}
