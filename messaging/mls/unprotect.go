package mls

import "bytes"

// frame checks that a message belongs to the group and epoch.
func (m *messageEpoch) frame(groupID []byte, epoch uint64) error {
	switch {
	case !bytes.Equal(groupID, m.groupID):
		return ErrWrongGroup
	case epoch != m.epoch:
		return ErrWrongEpoch
	}
	return nil
}

// openPrivate decrypts p into u (RFC 9420 §6.3): it finds the sender, takes the key of the generation from the sender's ratchet,
// and decodes the content. The ratchet has not moved yet: that happens when the message has been verified and is taken. p's
// ciphertext is overwritten with the plaintext. The caller wipes u.step on every path. now is in seconds.
func (m *messageEpoch) openPrivate(tx Tx, p *PrivateMessage, now int64, u *unverifiedContent) error {
	if err := m.frame(p.GroupID, p.Epoch); err != nil {
		return err
	}
	senderAAD := appendSenderDataAAD(u.aad[:0], p.GroupID, p.Epoch, p.Type)
	contentAAD := appendOpaque(senderAAD, p.AuthenticatedData)
	if len(p.EncryptedSenderData) != senderDataSize+tagSize || len(p.Ciphertext) < tagSize {
		return refuse("6.3.2", "encrypted sender data of %d octets, ciphertext of %d", len(p.EncryptedSenderData), len(p.Ciphertext))
	}
	if len(p.Ciphertext) > messageMax+1<<17 {
		return refuse("6.3.1", "ciphertext of %d octets: at most %d", len(p.Ciphertext), messageMax+1<<17)
	}
	key := &u.step.messageKey // until the content's is known
	m.suite.senderDataKey(key, m.senderData, p.Ciphertext)
	plain, err := m.suite.openInPlace(key, p.EncryptedSenderData, senderAAD)
	if err != nil {
		return refuseFor(err, "6.3.2", "sender data does not decrypt")
	}
	data := decodeSenderData(plain)
	u.generation = data.Generation
	if data.Leaf == m.own { // of a generation that was used there is no key any more to check it with; see Group.openMessage
		if used, err := m.tree.used(tx, uint32(m.own), ratchetOf(p.Type), data.Generation); err != nil {
			return err
		} else if used {
			return ErrOwnMessage
		}
	}
	if u.key, err = m.verifyKey(data.Leaf); err != nil { // before any secret of that leaf is derived
		return refuseFor(err, "6.3.2", "the sender's leaf %d is blank", data.Leaf)
	}

	if err := m.tree.receive(tx, &u.step, uint32(data.Leaf), ratchetOf(p.Type), data.Generation, now); err != nil {
		return err
	}
	u.step.guard = data.ReuseGuard
	plain, err = m.suite.openInPlace(key, p.Ciphertext, contentAAD)
	if err != nil {
		return refuseFor(err, "6.3.1", "content does not decrypt")
	}
	a := &u.auth
	a.WireFormat = WireFormatPrivateMessage
	a.Content = FramedContent{
		GroupID: p.GroupID, Epoch: p.Epoch, Sender: Sender{SenderMember, uint32(data.Leaf)},
		AuthenticatedData: p.AuthenticatedData, Type: p.Type,
	}
	if p.Type == ContentApplication {
		d := decoder{b: plain, end: len(plain), typ: "PrivateMessageContent"} // on the stack, as no interface gets it
		a.Content.Application = d.opaque()
		a.Auth.Signature = d.opaque()
		return checkPadding(&d)
	}
	d := newDecoder("PrivateMessageContent", plain)
	a.Content.decodeContent(d)
	a.Auth.decodeFor(d, p.Type)
	if err := checkPadding(d); err != nil {
		return err
	}
	if p.Type == ContentProposal && a.Content.Proposal.Type() == ProposalSelfRemove {
		return refuse("12.2", "a SelfRemove in a PrivateMessage, which draft-ietf-mls-extensions does not allow")
	}
	return nil
}

// checkPadding checks that what follows the content is all zero (RFC 9420 §6.3.1).
func checkPadding(d *decoder) error {
	padding := d.rest()
	if err := d.finish(); err != nil {
		return err
	}
	var sum byte
	for _, b := range padding {
		sum |= b
	}
	if sum != 0 {
		return refuse("6.3.1", "padding is not all zero")
	}
	return nil
}

// openPublic checks the frame and the membership tag of p and puts its content into u (RFC 9420 §6.2). Whatever a sender of its
// type may not say is refused here (§6.1, §12.1.8).
func (m *messageEpoch) openPublic(p *PublicMessage, u *unverifiedContent) error {
	c := &p.Content
	if err := m.frame(c.GroupID, c.Epoch); err != nil {
		return err
	}
	if err := checkPublicSender(c); err != nil {
		return err
	}
	a := AuthenticatedContent{WireFormat: WireFormatPublicMessage, Content: p.Content, Auth: p.Auth}
	if c.Sender.Type == SenderMember {
		if err := m.checkMembershipTag(&a, p.MembershipTag); err != nil {
			return err
		}
	}
	u.auth = a
	return nil
}

// checkMembershipTag checks the tag of a member's PublicMessage, of which an outsider can see no more than the length.
func (m *messageEpoch) checkMembershipTag(a *AuthenticatedContent, tag []byte) error {
	switch {
	case m.outsider && len(tag) == m.suite.nh:
		return nil
	case m.outsider:
		return refuse("6.2", "membership tag of %d octets", len(tag))
	case m.membership == nil:
		return ErrWrongEpoch
	}
	want, err := m.membershipTag(a)
	if err != nil {
		return err
	}
	if !m.suite.verifyMAC(want, tag) {
		return refuse("6.2", "membership tag is wrong")
	}
	return nil
}

// checkPublicSender refuses what a sender of a PublicMessage may not send.
func checkPublicSender(c *FramedContent) error {
	if c.Type == ContentApplication {
		return refuse("6.2", "application data in a PublicMessage")
	}
	switch c.Sender.Type {
	case SenderMember:
		return nil
	case SenderExternal:
		if c.Type != ContentProposal || !c.Proposal.Type().externalAllowed() {
			return refuse("12.1.8", "an external sender may send proposals of type add, remove, psk, reinit and group_context_extensions only")
		}
	case SenderNewMemberProposal:
		if c.Type != ContentProposal || c.Proposal.Type() != ProposalAdd {
			return refuse("6.1", "a new member may propose only to add itself")
		}
	case SenderNewMemberCommit:
		if c.Type != ContentCommit || c.Commit.Path == nil {
			return refuse("12.4.3.2", "an external sender's commit has no path")
		}
	default:
		return refuse("6", "unknown sender type %d", c.Sender.Type)
	}
	return nil
}

// verify checks the signature of u with the key its sender type names (RFC 9420 §6.1). After an error u is worth nothing.
func (m *messageEpoch) verify(u *unverifiedContent) (verifiedContent, error) {
	a, key := &u.auth, u.key
	if a.WireFormat != WireFormatPrivateMessage {
		var err error
		if key, err = m.signerKey(&a.Content); err != nil {
			return verifiedContent{}, err
		}
	}
	tbs, err := a.tbs(m.context)
	if err != nil {
		return verifiedContent{}, err
	}
	if err := key.verify(tbs, a.Auth.Signature); err != nil {
		return verifiedContent{}, refuseFor(err, "6.1", "message signature")
	}
	if a.Content.Type == ContentCommit && len(a.Auth.ConfirmationTag) != m.suite.nh {
		return verifiedContent{}, refuse("6.1", "confirmation tag of %d octets", len(a.Auth.ConfirmationTag))
	}
	v := verifiedContent{AuthenticatedContent: a}
	if a.WireFormat == WireFormatPrivateMessage {
		v.step = &u.step
	}
	return v, nil
}

func (m *messageEpoch) signerKey(c *FramedContent) (verifyKey, error) {
	var raw SignaturePublicKey
	switch c.Sender.Type {
	case SenderMember:
		key, err := m.verifyKey(LeafIndex(c.Sender.Index))
		if err != nil {
			return verifyKey{}, refuseFor(err, "6.1", "the sender's leaf %d", c.Sender.Index)
		}
		return key, nil
	case SenderExternal:
		if uint64(c.Sender.Index) >= uint64(len(m.external)) {
			return verifyKey{}, refuse("12.1.8.1", "external sender %d of %d", c.Sender.Index, len(m.external))
		}
		raw = m.external[c.Sender.Index].SignatureKey
	case SenderNewMemberProposal:
		raw = c.Proposal.(*Add).KeyPackage.Leaf.SignatureKey // checkPublicSender has seen to the types
	case SenderNewMemberCommit:
		raw = c.Commit.Path.Leaf.SignatureKey
	}
	key, err := m.suite.parseVerifyKey(raw)
	if err != nil {
		return verifyKey{}, refuseFor(err, "6.1", "the sender's signature key")
	}
	return key, nil
}
