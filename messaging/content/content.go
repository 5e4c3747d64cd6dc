// Package content encodes and decodes what a chat message says: MIMI content (draft-ietf-mimi-content-08), a CBOR array inside the
// MLS application message.
//
// It encrypts nothing, stores nothing, and does not know what a payment part means.
package content

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/parleypay/parley/messaging"
)

// Limits of one message. A message beyond them is refused by Encode and by Decode, before anything in it is copied.
const (
	MaxSize       = 56_000 // octets of one encoded message; with MLS framing and padding it fits one frame of the relay
	MaxDepth      = 4      // levels of nested parts, and of an extension's value
	MaxParts      = 32     // parts of one message, all levels together
	MaxExtensions = 16
	maxExtension  = 4095 // octets of one extension value (§4.3)
	maxMediaType  = 127  // octets
	maxLanguage   = 255  // octets
	maxTopic      = 255  // octets
)

// Media types that every device understands.
const (
	TypeText     = "text/plain;charset=utf-8"
	TypeMarkdown = "text/markdown;variant=GFM-MIMI"
	TypeStatus   = "application/vnd.parley.status+cbor" // see Status
)

// Message is one message. The zero Message is not valid; start from Text, Reply or Payment. A Message shares its slices with what it was made from.
type Message struct {
	Salt       [16]byte             // random; sealing sets it when it is zero
	Replaces   *messaging.MessageID // the message this one edits or, with a Null body, deletes
	Topic      []byte               // thread; empty means none
	Expires    Expiry
	InReplyTo  *messaging.MessageID // one exact version of a message
	Extensions []Extension          // in any order; unique keys
	Body       Part
}

// Expiry is when a message is to be forgotten. The zero Expiry means never.
type Expiry struct {
	Seconds  uint32 // absolute: Unix time; relative: seconds after it was read
	Relative bool
}

// ExpiresAt returns an absolute Expiry at t, rounded up to the second.
func ExpiresAt(t time.Time) Expiry {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return Expiry{Seconds: uint32(max(1, min(s, 1<<32-1)))}
}

// ExpiresAfterReading returns a relative Expiry, rounded up to the second.
func ExpiresAfterReading(d time.Duration) Expiry {
	return Expiry{Seconds: uint32(max(1, min((d+time.Second-1)/time.Second, 1<<32-1))), Relative: true}
}

// IsZero reports whether the message does not expire.
func (e Expiry) IsZero() bool { return e == Expiry{} }

// At returns when the message is to be forgotten if it was read at read; the zero time means never.
func (e Expiry) At(read time.Time) time.Time {
	switch {
	case e.IsZero():
		return time.Time{}
	case e.Relative:
		return read.Add(time.Duration(e.Seconds) * time.Second)
	}
	return time.Unix(int64(e.Seconds), 0)
}

// Kind says which of a Part's fields count (§4.4, cardinality).
type Kind uint8

// The kinds, with their numbers on the wire.
const (
	Null     Kind = 0
	Single   Kind = 1
	External Kind = 2
	Multi    Kind = 3
)

// Semantics says how the parts of a Multi belong together (§4.4).
type Semantics uint8

// The semantics, with their numbers on the wire.
const (
	ChooseOne  Semantics = 0
	SingleUnit Semantics = 1
	ProcessAll Semantics = 2
)

// Disposition says what a part is for (§4.4); values above 8 are unknown to the draft and kept as they are.
type Disposition uint8

// Dispositions in use here.
const (
	Unspecified Disposition = 0
	Render      Disposition = 1
	Reaction    Disposition = 2
	Attachment  Disposition = 6
)

// Part is a body or one part of it.
type Part struct {
	Disposition Disposition
	Language    string
	Kind        Kind
	MediaType   string    // Single, External
	Content     []byte    // Single
	External    *Link     // External
	Semantics   Semantics // Multi
	Parts       []Part    // Multi: two or more
}

// Link refers to content kept elsewhere (§4.5). Nothing here fetches it.
type Link struct {
	URL           string
	Expires       uint32 // Unix time; 0 means never
	Size          uint64 // octets; 0 means unknown
	EncAlg        uint16 // IANA AEAD number; 0 means not encrypted
	Key           []byte
	Nonce         []byte
	AAD           []byte
	HashAlg       uint8 // IANA named information hash number
	Hash          []byte
	Description   string
	SuggestedName string
}

// Text returns a message of plain text.
func Text(text string) Message { return Message{Body: textPart(text)} }

// Reply returns a message of plain text that answers another.
func Reply(to messaging.MessageID, text string) Message {
	m := Text(text)
	m.InReplyTo = &to
	return m
}

// Payment returns a message that carries body, exactly these octets, for devices that know mediaType, and fallback for all others:
// a choice of two parts, ours first (§4.4, chooseOne).
func Payment(mediaType string, body []byte, fallback string) Message {
	return Message{Body: Part{Disposition: Render, Kind: Multi, Semantics: ChooseOne, Parts: []Part{
		{Disposition: Render, Kind: Single, MediaType: mediaType, Content: body},
		textPart(fallback),
	}}}
}

func textPart(text string) Part {
	return Part{Disposition: Render, Kind: Single, MediaType: TypeText, Content: []byte(text)}
}

// NewSalt gives the message a fresh random salt, and so an id of its own.
func (m *Message) NewSalt() { rand.Read(m.Salt[:]) } // never fails (crypto/rand)

// Part returns the content of the first part of that media type, in the sender's order; false when there is none. Media types
// compare without regard to case, as written otherwise.
func (m *Message) Part(mediaType string) ([]byte, bool) {
	p := m.Body.find(func(p *Part) bool { return strings.EqualFold(p.MediaType, mediaType) })
	if p == nil {
		return nil, false
	}
	return p.Content, true
}

// First returns the media type and content of the first single part: what the sender would have the receiver use.
func (m *Message) First() (mediaType string, body []byte) {
	if p := m.Body.find(func(*Part) bool { return true }); p != nil {
		return p.MediaType, p.Content
	}
	return "", nil
}

func (p *Part) find(ok func(*Part) bool) *Part {
	if p.Kind == Single && ok(p) {
		return p
	}
	if p.Kind == Multi {
		for i := range p.Parts {
			if f := p.Parts[i].find(ok); f != nil {
				return f
			}
		}
	}
	return nil
}

// Text returns the message's plain text made safe to show in one piece: what its first text part says, with every control
// character but newline and tab, and every character that changes the direction of writing, replaced by U+FFFD. A sender could
// otherwise make an amount or a name read differently from what it is. Part(TypeText) gives the text as it was sent.
func (m *Message) Text() string {
	p := m.Body.find(func(p *Part) bool {
		t, _, _ := strings.Cut(p.MediaType, ";")
		return strings.EqualFold(t, "text/plain") || strings.EqualFold(t, "text/markdown")
	})
	if p == nil {
		return ""
	}
	return Clean(string(p.Content))
}

// Clean replaces what must not reach a screen as it is: see Message.Text.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// Bridge says what may be told of a message outside the encrypted chat, where a gateway to another channel is a member.
type Bridge uint8

// The classes, cautious one first. A message without the extension is BridgeNever.
const (
	BridgeNever   Bridge = 0 // nothing leaves the chat
	BridgeSummary Bridge = 1 // only that a message of its kind came
	BridgeFull    Bridge = 2 // the text may leave
)

// extensionBridge is our private extension (§4.3: negative keys are private).
const extensionBridge = -1

// SetBridge sets the message's bridge class.
func (m *Message) SetBridge(b Bridge) {
	m.Extensions = slices.DeleteFunc(slices.Clone(m.Extensions), func(e Extension) bool { return e.Name == "" && e.Key == extensionBridge })
	if b != BridgeNever {
		m.Extensions = append(m.Extensions, Extension{Key: extensionBridge, Value: appendHead(nil, majorUint, uint64(b))})
	}
}

// Bridge returns the message's bridge class; one that is not known is BridgeNever.
func (m *Message) Bridge() Bridge {
	for _, e := range m.Extensions {
		if e.Name == "" && e.Key == extensionBridge && len(e.Value) == 1 && e.Value[0] <= byte(BridgeFull) {
			return Bridge(e.Value[0])
		}
	}
	return BridgeNever
}

// Extension is one entry of the extensions map. Name is used when it is not empty, else Key. Value is one encoded CBOR item; values
// not known here survive decoding and encoding.
type Extension struct {
	Key   int64
	Name  string
	Value []byte
}
