package mls

import (
	"errors"
	"fmt"
)

// epochSecrets are the secrets of one epoch that outlive its key schedule (RFC 9420 §8, Table 4), Nh bytes each. The commit,
// joiner, epoch and welcome secret are not among them: whoever derives an epoch drops those at once (§9.2).
type epochSecrets struct {
	init          []byte // consumed by the next commit
	senderData    []byte // sender_data_secret
	encryption    []byte // root of the secret tree; taken by newSecretTree, then nil
	exporter      []byte
	external      []byte // of the key pair for external joins
	confirmation  []byte // consumed once the confirmation tag is made or checked
	membership    []byte
	resumption    []byte
	authenticator []byte
}

// wipe forgets all secrets of the epoch.
func (e *epochSecrets) wipe() {
	wipe(e.init, e.senderData, e.encryption, e.exporter, e.external, e.confirmation, e.membership, e.resumption, e.authenticator)
	*e = epochSecrets{}
}

// joinerSecret returns joiner_secret from init_secret of the epoch before, the commit secret (nil for Nh zero bytes, a commit
// without a path) and the encoded GroupContext of the new epoch. The caller wipes all of them after use (RFC 9420 §8, Figure 22).
func (s *suite) joinerSecret(initSecret, commitSecret, groupContext []byte) []byte {
	extracted := s.extract(initSecret, s.orZero(commitSecret))
	joiner := make([]byte, s.nh)
	s.expandInto(joiner, extracted, "joiner", groupContext)
	wipe(extracted)
	return joiner
}

// memberSecret returns the secret between joiner_secret and psk_secret (nil for none), from which the welcome secret and the
// epoch secret come. The caller wipes it.
func (s *suite) memberSecret(joiner, pskSecret []byte) []byte {
	return s.extract(joiner, s.orZero(pskSecret))
}

// welcomeKey returns the key (nk bytes) and nonce (nn bytes) that GroupInfo is encrypted with in a Welcome (§12.4.3.1).
func (s *suite) welcomeKey(member []byte, nk, nn int) (key, nonce []byte) {
	secret := s.deriveSecret(member, "welcome")
	key, nonce = make([]byte, nk), make([]byte, nn)
	s.expandInto(key, secret, "key", nil)
	s.expandInto(nonce, secret, "nonce", nil)
	wipe(secret)
	return key, nonce
}

// epochSecrets derives the secrets of the epoch with the encoded GroupContext from memberSecret (RFC 9420 §8).
func (s *suite) epochSecrets(member, groupContext []byte) *epochSecrets {
	secret := make([]byte, s.nh)
	s.expandInto(secret, member, "epoch", groupContext)
	e := s.epochSecretsOf(secret)
	wipe(secret)
	return e
}

// epochSecretsOf derives from epoch_secret itself, which a group's creator draws at random (§11). The caller wipes it.
func (s *suite) epochSecretsOf(epochSecret []byte) *epochSecrets {
	return &epochSecrets{
		init:          s.deriveSecret(epochSecret, "init"),
		senderData:    s.deriveSecret(epochSecret, "sender data"),
		encryption:    s.deriveSecret(epochSecret, "encryption"),
		exporter:      s.deriveSecret(epochSecret, "exporter"),
		external:      s.deriveSecret(epochSecret, "external"),
		confirmation:  s.deriveSecret(epochSecret, "confirm"),
		membership:    s.deriveSecret(epochSecret, "membership"),
		resumption:    s.deriveSecret(epochSecret, "resumption"),
		authenticator: s.deriveSecret(epochSecret, "authentication"),
	}
}

// exportMaxBytes bounds MLS-Exporter: HKDF-Expand yields at most 255 blocks, and 8,160 bytes hold for every suite.
const exportMaxBytes = 255 * 32

// export returns MLS-Exporter(label, context, length) of the epoch with that exporter secret (RFC 9420 §8.5).
func (s *suite) export(exporter []byte, label string, context []byte, length int) ([]byte, error) {
	if len(exporter) != s.nh {
		return nil, errors.New("mls: export: the epoch's exporter secret is gone")
	}
	if length < 1 || length > exportMaxBytes {
		return nil, fmt.Errorf("mls: export of %d bytes: want 1 to %d", length, exportMaxBytes)
	}
	derived := s.deriveSecret(exporter, label)
	out := make([]byte, length)
	s.expandInto(out, derived, "exported", s.sum(nil, context))
	wipe(derived)
	return out, nil
}

// orZero returns secret, or Nh zero octets for nil: RFC 9420 writes 0 for a commit secret or PSK secret that is not there.
func (s *suite) orZero(secret []byte) []byte {
	if secret == nil {
		return make([]byte, s.nh)
	}
	return secret
}

// confirmedTranscriptHash returns confirmed_transcript_hash of the epoch that commit begins: Hash over the interim hash before and
// ConfirmedTranscriptHashInput (§8.2).
func (s *suite) confirmedTranscriptHash(interimBefore []byte, commit *AuthenticatedContent) ([]byte, error) {
	var e encoder
	e.room(commit.Content.sizeHint() + len(interimBefore) + len(commit.Auth.Signature))
	e.raw(interimBefore)
	e.u16(uint16(commit.WireFormat))
	commit.Content.encode(&e)
	e.opaque(commit.Auth.Signature)
	return s.sum(make([]byte, 0, s.nh), e.buf), e.err
}

// interimTranscriptHash returns interim_transcript_hash from the confirmed one and the commit's confirmation tag (§8.2).
func (s *suite) interimTranscriptHash(confirmed, confirmationTag []byte) []byte {
	e := encoder{buf: make([]byte, 0, len(confirmed)+len(confirmationTag)+4)}
	e.raw(confirmed)
	e.opaque(confirmationTag)
	return s.sum(make([]byte, 0, s.nh), e.buf)
}

// confirmationTag returns the tag that proves that a committer arrived at the epoch with confirmed_transcript_hash confirmed
// (§6.1). Compare with verifyMAC.
func (s *suite) confirmationTag(secrets *epochSecrets, confirmed []byte) []byte {
	return s.mac(secrets.confirmation, confirmed)
}
