package mls

import "encoding/binary"

// ContentType says what a message carries (RFC 9420 §6).
type ContentType uint8

// The content types of RFC 9420 §6.
const (
	ContentApplication ContentType = 1
	ContentProposal    ContentType = 2
	ContentCommit      ContentType = 3
)

// SenderType says in which role a message is sent (RFC 9420 §6).
type SenderType uint8

// The sender types of RFC 9420 §6.
const (
	SenderMember            SenderType = 1
	SenderExternal          SenderType = 2
	SenderNewMemberProposal SenderType = 3
	SenderNewMemberCommit   SenderType = 4
)

// Sender is who a message says it is from (RFC 9420 §6).
type Sender struct {
	Type  SenderType
	Index uint32 // leaf index of a member, or index into external_senders; else 0
}

func (s *Sender) encode(e *encoder) {
	e.u8(uint8(s.Type))
	switch s.Type {
	case SenderMember, SenderExternal:
		e.u32(s.Index)
	case SenderNewMemberProposal, SenderNewMemberCommit:
	default:
		e.fail(&UnsupportedTypeError{"sender type", uint16(s.Type)})
	}
}

func (s *Sender) decode(d *decoder) {
	switch s.Type = SenderType(d.u8()); s.Type {
	case SenderMember, SenderExternal:
		s.Index = d.u32()
	case SenderNewMemberProposal, SenderNewMemberCommit:
	default:
		d.unsupported("sender type", uint16(s.Type))
	}
}

// FramedContent is a message and its frame (RFC 9420 §6). Application, Proposal or Commit is set, as Type says.
type FramedContent struct {
	GroupID           []byte
	Epoch             uint64
	Sender            Sender
	AuthenticatedData []byte
	Type              ContentType
	Application       []byte
	Proposal          Proposal
	Commit            *Commit
}

// sizeHint is about the size of the encoding if it is long.
func (c *FramedContent) sizeHint() int {
	n := 128 + len(c.GroupID) + len(c.AuthenticatedData) + len(c.Application)
	if c.Commit != nil {
		n += c.Commit.sizeHint()
	}
	return n
}

func (c *FramedContent) encode(e *encoder) {
	e.opaque(c.GroupID)
	e.u64(c.Epoch)
	c.Sender.encode(e)
	e.opaque(c.AuthenticatedData)
	e.u8(uint8(c.Type))
	c.encodeContent(e)
}

func (c *FramedContent) decode(d *decoder) {
	c.GroupID = d.opaque()
	c.Epoch = d.u64()
	c.Sender.decode(d)
	c.AuthenticatedData = d.opaque()
	c.Type = ContentType(d.u8())
	c.decodeContent(d)
}

// encodeContent appends the content itself, as it stands in FramedContent and in PrivateMessageContent.
func (c *FramedContent) encodeContent(e *encoder) {
	switch {
	case c.Type == ContentApplication:
		e.opaque(c.Application)
	case c.Type == ContentProposal:
		encodeProposal(e, c.Proposal)
	case c.Type == ContentCommit && c.Commit != nil:
		c.Commit.encode(e)
	default:
		e.fail(&UnsupportedTypeError{"content type", uint16(c.Type)})
	}
}

// marshalContent returns what encodeContent appends.
func (c *FramedContent) marshalContent() ([]byte, error) {
	var e encoder
	e.room(c.sizeHint())
	c.encodeContent(&e)
	return e.buf, e.err
}

// decodeContent reads the content that c.Type names.
func (c *FramedContent) decodeContent(d *decoder) {
	switch c.Type {
	case ContentApplication:
		c.Application = d.opaque()
	case ContentProposal:
		c.Proposal = decodeProposal(d)
	case ContentCommit:
		c.Commit = new(Commit)
		c.Commit.decode(d)
	default:
		d.unsupported("content type", uint16(c.Type))
	}
}

// FramedContentAuthData authenticates a FramedContent (RFC 9420 §6.1).
type FramedContentAuthData struct {
	Signature       []byte
	ConfirmationTag []byte // of a commit
}

func (a *FramedContentAuthData) encodeFor(e *encoder, t ContentType) {
	e.opaque(a.Signature)
	if t == ContentCommit {
		e.opaque(a.ConfirmationTag)
	}
}

func (a *FramedContentAuthData) decodeFor(d *decoder, t ContentType) {
	a.Signature = d.opaque()
	if t == ContentCommit {
		a.ConfirmationTag = d.opaque()
	}
}

// AuthenticatedContent is a message as it is processed, whatever form it was sent in (RFC 9420 §6).
type AuthenticatedContent struct {
	WireFormat WireFormat
	Content    FramedContent
	Auth       FramedContentAuthData
}

func (a *AuthenticatedContent) encode(e *encoder) {
	e.u16(uint16(a.WireFormat))
	a.Content.encode(e)
	a.Auth.encodeFor(e, a.Content.Type)
}

func (a *AuthenticatedContent) decode(d *decoder) {
	a.WireFormat = WireFormat(d.u16())
	a.Content.decode(d)
	a.Auth.decodeFor(d, a.Content.Type)
}

// encodeTBS appends FramedContentTBS (RFC 9420 §6.1). context is the encoded GroupContext; it is signed if the sender is a member
// or becomes one.
func (a *AuthenticatedContent) encodeTBS(e *encoder, context []byte) {
	e.u16(uint16(MLS10))
	e.u16(uint16(a.WireFormat))
	a.Content.encode(e)
	if t := a.Content.Sender.Type; t == SenderMember || t == SenderNewMemberCommit {
		e.raw(context)
	}
}

// applicationTBS returns SignContent of FramedContentTBS (RFC 9420 §5.1.2, §6.1) for a member's application message, of which no
// vector may be longer than maxVector: the same octets that encodeTBS appends, in one allocation.
func (a *AuthenticatedContent) applicationTBS(context []byte) []byte {
	c := &a.Content
	n := 2 + 2 + opaqueSize(len(c.GroupID)) + 8 + 1 + 4 + opaqueSize(len(c.AuthenticatedData)) + 1 + opaqueSize(len(c.Application)) + len(context)
	b := appendVarint(appendLabel(make([]byte, 0, n+32), "FramedContentTBS"), n)
	b = binary.BigEndian.AppendUint16(b, uint16(MLS10))
	b = binary.BigEndian.AppendUint16(b, uint16(a.WireFormat))
	b = binary.BigEndian.AppendUint64(appendOpaque(b, c.GroupID), c.Epoch)
	b = binary.BigEndian.AppendUint32(append(b, uint8(c.Sender.Type)), c.Sender.Index)
	b = append(appendOpaque(b, c.AuthenticatedData), uint8(c.Type))
	return append(appendOpaque(b, c.Application), context...)
}

// PublicMessage is a message that is signed and not encrypted (RFC 9420 §6.2).
type PublicMessage struct {
	Content       FramedContent
	Auth          FramedContentAuthData
	MembershipTag []byte // if the sender is a member
}

func (m *PublicMessage) encode(e *encoder) {
	m.Content.encode(e)
	m.Auth.encodeFor(e, m.Content.Type)
	if m.Content.Sender.Type == SenderMember {
		e.opaque(m.MembershipTag)
	}
}

func (m *PublicMessage) decode(d *decoder) {
	m.Content.decode(d)
	m.Auth.decodeFor(d, m.Content.Type)
	if m.Content.Sender.Type == SenderMember {
		m.MembershipTag = d.opaque()
	}
}

// PrivateMessage is a message that is signed and encrypted (RFC 9420 §6.3).
type PrivateMessage struct {
	GroupID             []byte
	Epoch               uint64
	Type                ContentType
	AuthenticatedData   []byte
	EncryptedSenderData []byte
	Ciphertext          []byte
}

func (m *PrivateMessage) encode(e *encoder) {
	e.opaque(m.GroupID)
	e.u64(m.Epoch)
	e.u8(uint8(m.Type))
	e.opaque(m.AuthenticatedData)
	e.opaque(m.EncryptedSenderData)
	e.opaque(m.Ciphertext)
}

// appendSenderDataAAD appends SenderDataAAD (RFC 9420 §6.3.2), which is the beginning of a PrivateMessage. Followed by
// authenticated_data it is PrivateContentAAD (§6.3.1).
func appendSenderDataAAD(b, groupID []byte, epoch uint64, t ContentType) []byte {
	b = binary.BigEndian.AppendUint64(appendOpaque(b, groupID), epoch)
	return append(b, uint8(t))
}

func (m *PrivateMessage) decode(d *decoder) {
	m.GroupID = d.opaque()
	m.Epoch = d.u64()
	if m.Type = ContentType(d.u8()); m.Type < ContentApplication || m.Type > ContentCommit {
		d.unsupported("content type", uint16(m.Type))
	}
	m.AuthenticatedData = d.opaque()
	m.EncryptedSenderData = d.opaque()
	m.Ciphertext = d.opaque()
}

// senderData tells a receiver which key opens a PrivateMessage (RFC 9420 §6.3.2).
type senderData struct {
	Leaf       LeafIndex
	Generation uint32
	ReuseGuard [4]byte
}

// senderDataSize is the size of SenderData, in octets.
const senderDataSize = 4 + 4 + 4

func (s *senderData) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(s.Leaf))
	b = binary.BigEndian.AppendUint32(b, s.Generation)
	return append(b, s.ReuseGuard[:]...)
}

// decodeSenderData decodes b, which has senderDataSize octets.
func decodeSenderData(b []byte) (s senderData) {
	s.Leaf = LeafIndex(binary.BigEndian.Uint32(b))
	s.Generation = binary.BigEndian.Uint32(b[4:])
	copy(s.ReuseGuard[:], b[8:])
	return s
}
