package mls

import (
	"crypto"
	"errors"
	"io"
)

// Errors of messages that are no fault of their sender.
var (
	// ErrOwnMessage: a private message of a generation that this member has used came back. Its key was deleted when it was sent.
	ErrOwnMessage = errors.New("mls: the member's own private message")
	// ErrWrongEpoch: the message belongs to another epoch than the one it is opened with.
	ErrWrongEpoch = errors.New("mls: the message belongs to another epoch")
	// ErrWrongGroup: the message belongs to another group.
	ErrWrongGroup = errors.New("mls: the message belongs to another group")
)

// messageMax bounds the application data and the padded content of one message, in octets: far below the limits of the AEADs.
const messageMax = 1 << 24

// Padding says how far the content of a PrivateMessage is padded (RFC 9420 §15.1). The zero Padding is the cautious one.
type Padding int

const (
	// PadBuckets pads to 256 octets or the next power of two, and above 64 KiB to a multiple of that.
	PadBuckets Padding = 0
	// PadNone adds nothing: the size of the content can be read off the ciphertext.
	PadNone Padding = -1
	// A positive Padding pads to a multiple of that many octets.
)

// pad returns the size to which n octets are padded.
func (p Padding) pad(n int) int {
	switch {
	case p == PadNone || p < 0:
		return n
	case p > 0:
		return (n + int(p) - 1) / int(p) * int(p)
	case n > 1<<16:
		return (n + 1<<16 - 1) &^ (1<<16 - 1)
	}
	size := 256
	for size < n {
		size *= 2
	}
	return size
}

// messageEpoch is what members need to protect and open the messages of one epoch. It does not change; the ratchets are rows.
type messageEpoch struct {
	suite      *suite
	groupID    []byte
	epoch      uint64
	context    []byte // encoded GroupContext, which members sign
	senderData []byte // sender_data_secret
	membership []byte // membership_key; nil for a past epoch, which takes no PublicMessage
	outsider   bool   // somebody who is not in the group: has no membership_key and cannot check membership tags
	tree       secretTree
	own        LeafIndex
	// verifyKey returns the signature key of the leaf, or an error if the leaf is blank or outside the tree.
	verifyKey func(LeafIndex) (verifyKey, error)
	// external is the external_senders extension of the group.
	external externalSenders
}

// unverifiedContent is the content of a message before its signature was checked. It gives nothing away but what the check needs.
type unverifiedContent struct {
	auth AuthenticatedContent
	step ratchetStep // of a private message: uncommitted
	key  verifyKey   // of a private message: the sender's
	aad  [96]byte    // room for PrivateContentAAD, which goes on the heap if it is longer

	generation uint32 // of a private message
}

// verifiedContent is content whose sender is proven: membership tag or AEAD, and signature (RFC 9420 §6.1). It says nothing of
// whether a proposal or commit is valid, nor of a commit's confirmation tag.
type verifiedContent struct {
	*AuthenticatedContent
	step *ratchetStep // committed together with what the message does, and then wiped; nil for a PublicMessage
}

// tbs returns the octets that are signed: label and FramedContentTBS as SignContent (RFC 9420 §5.1.2, §6.1).
func (a *AuthenticatedContent) tbs(context []byte) ([]byte, error) {
	c := &a.Content
	if c.Type == ContentApplication && c.Sender.Type == SenderMember && len(c.GroupID)+len(c.AuthenticatedData)+len(c.Application) < maxVector/2 {
		return a.applicationTBS(context), nil
	}
	var e encoder
	e.room(c.sizeHint() + len(context))
	e.label("FramedContentTBS")
	start := e.begin()
	a.encodeTBS(&e, context)
	e.end(start)
	return e.buf, e.err
}

// sign sets the signature of a over its content, wire format and, for members, the context (RFC 9420 §6.1).
func (s *suite) sign(random io.Reader, key crypto.Signer, a *AuthenticatedContent, context []byte) error {
	tbs, err := a.tbs(context)
	if err != nil {
		return err
	}
	if s.sig.curve == nil {
		a.Auth.Signature, err = key.Sign(random, tbs, crypto.Hash(0))
	} else {
		k := verifyKey{scheme: s.sig}
		a.Auth.Signature, err = key.Sign(random, k.digest(tbs), s.sig.hash)
	}
	return err
}

// membershipTag returns MAC(membership_key, AuthenticatedContentTBM) (RFC 9420 §6.2).
func (m *messageEpoch) membershipTag(a *AuthenticatedContent) ([]byte, error) {
	var e encoder
	a.encodeTBS(&e, m.context)
	a.Auth.encodeFor(&e, a.Content.Type)
	if e.err != nil {
		return nil, e.err
	}
	return m.suite.mac(m.membership, e.buf), nil
}

// protectPublic returns a, which is signed, as a PublicMessage of this member (RFC 9420 §6.2).
func (m *messageEpoch) protectPublic(a *AuthenticatedContent) (*PublicMessage, error) {
	if a.Content.Type == ContentApplication {
		return nil, refuse("6", "application data must be sent as a PrivateMessage")
	}
	if a.WireFormat != WireFormatPublicMessage || m.membership == nil {
		return nil, errors.New("mls: content signed for another wire format")
	}
	p := &PublicMessage{Content: a.Content, Auth: a.Auth}
	if a.Content.Sender.Type == SenderMember {
		tag, err := m.membershipTag(a)
		if err != nil {
			return nil, err
		}
		p.MembershipTag = tag
	}
	return p, nil
}

// protectPrivate returns the MLSMessage with a, which is signed, as a PrivateMessage of this member, padded, under the next
// generation of its ratchet, which is deleted. The message may be sent when the transaction is durable, not before: a crash in
// between would use the generation twice (RFC 9420 §6.3.1). random gives the reuse guard.
func (m *messageEpoch) protectPrivate(tx Tx, random io.Reader, a *AuthenticatedContent, padding Padding, now int64) ([]byte, error) {
	c := &a.Content
	if a.WireFormat != WireFormatPrivateMessage || c.Sender != (Sender{SenderMember, uint32(m.own)}) {
		return nil, refuse("6.3.2", "only the member itself can send a PrivateMessage")
	}
	if c.Type == ContentProposal && c.Proposal.Type() == ProposalSelfRemove {
		return nil, refuse("12.2", "a SelfRemove must be sent as a PublicMessage (draft-ietf-mls-extensions)")
	}
	if len(c.Application) > messageMax || len(c.AuthenticatedData) > messageMax {
		return nil, refuse("6.3.1", "application data of %d octets, authenticated data of %d: at most %d each", len(c.Application), len(c.AuthenticatedData), messageMax)
	}
	contentSize := opaqueSize(len(a.Auth.Signature))
	var handshake []byte // is encoded apart, to know its length
	if c.Type == ContentApplication {
		contentSize += opaqueSize(len(c.Application))
	} else {
		var err error
		if handshake, err = c.marshalContent(); err != nil {
			return nil, err
		}
		contentSize += len(handshake)
	}
	if c.Type == ContentCommit {
		contentSize += opaqueSize(len(a.Auth.ConfirmationTag))
	}
	contentSize = padding.pad(contentSize)
	if contentSize > messageMax+1<<16 {
		return nil, refuse("6.3.1", "content of %d octets: at most %d", contentSize, messageMax)
	}

	step := new(ratchetStep)
	defer step.wipe()
	if err := m.tree.send(tx, step, uint32(m.own), ratchetOf(c.Type)); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(random, step.guard[:]); err != nil {
		return nil, err
	}
	b := make([]byte, 0, len(c.GroupID)+len(c.AuthenticatedData)+contentSize+96)
	b = append(b, privateMessageHeader[:]...)
	b = appendSenderDataAAD(b, c.GroupID, c.Epoch, c.Type)
	senderAAD := b[4:]
	b = appendOpaque(b, c.AuthenticatedData)
	contentAAD := b[4:]
	b = appendVarint(b, senderDataSize+tagSize)
	senderAt := len(b)
	b = appendVarint(b[:senderAt+senderDataSize+tagSize], contentSize+tagSize)
	at := len(b)
	if c.Type == ContentApplication {
		b = appendOpaque(b, c.Application)
	} else {
		b = append(b, handshake...)
	}
	b = appendOpaque(b, a.Auth.Signature)
	if c.Type == ContentCommit {
		b = appendOpaque(b, a.Auth.ConfirmationTag)
	}
	padded := b[:at+contentSize] // the rest is zero: b is fresh
	if err := m.suite.sealInPlace(&step.messageKey, padded[at:], contentAAD); err != nil {
		return nil, err
	}
	out := padded[:len(padded)+tagSize]
	data := senderData{Leaf: m.own, Generation: step.generation, ReuseGuard: step.guard}
	step.messageKey = messageKey{} // has been used
	m.suite.senderDataKey(&step.messageKey, m.senderData, out[at:])
	if err := m.suite.sealInPlace(&step.messageKey, data.append(out[senderAt:senderAt]), senderAAD); err != nil {
		return nil, err
	}
	return out, step.commit(tx, now)
}

// tagSize is how many octets each of the suites' AEADs adds.
const tagSize = 16

// ratchetOf returns which ratchet messages of that type take their keys from (RFC 9420 §9.1).
func ratchetOf(t ContentType) Ratchet {
	if t == ContentApplication {
		return RatchetApplication
	}
	return RatchetHandshake
}

// sealInPlace encrypts b, after which there must be room for the tag, under the key with its nonce XORed with its guard (§6.3.1).
func (s *suite) sealInPlace(k *messageKey, b, aad []byte) error {
	aead, err := s.newAEAD(k.key[:s.nk])
	if err != nil {
		return err
	}
	for i, g := range k.guard {
		k.nonce[i] ^= g
	}
	aead.Seal(b[:0], k.nonce[:s.nn], b, aad)
	return nil
}

// openInPlace decrypts b likewise and returns the plaintext, which shares its memory.
func (s *suite) openInPlace(k *messageKey, b, aad []byte) ([]byte, error) {
	aead, err := s.newAEAD(k.key[:s.nk])
	if err != nil {
		return nil, err
	}
	for i, g := range k.guard {
		k.nonce[i] ^= g
	}
	return aead.Open(b[:0], k.nonce[:s.nn], b, aad)
}

// senderDataKey derives the key and nonce that hide the sender of a PrivateMessage (RFC 9420 §6.3.2) into k, which the caller
// wipes. secret is sender_data_secret; the sample is the first Nh octets of ciphertext, or all of it if shorter.
func (s *suite) senderDataKey(k *messageKey, secret, ciphertext []byte) {
	sample := ciphertext[:min(s.nh, len(ciphertext))]
	s.expandInto(k.key[:s.nk], secret, "key", sample)
	s.expandInto(k.nonce[:s.nn], secret, "nonce", sample)
}
