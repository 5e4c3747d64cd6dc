package content

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/parleypay/parley/messaging"
)

// Encode returns the message in deterministic CBOR. It refuses what Decode would refuse.
func Encode(m Message) ([]byte, error) {
	if m.Salt == [16]byte{} {
		return nil, errors.New("content: the message has no salt")
	}
	b := appendBytes(appendArray(make([]byte, 0, 256), 7), m.Salt[:])
	b = appendID(b, m.Replaces)
	b = appendBytes(b, m.Topic)
	if m.Expires.IsZero() {
		b = append(b, simpleNull)
	} else {
		b = appendArray(b, 2)
		if m.Expires.Relative {
			b = append(b, simpleTrue)
		} else {
			b = append(b, simpleFalse)
		}
		b = appendHead(b, majorUint, uint64(m.Expires.Seconds))
	}
	b = appendID(b, m.InReplyTo)
	b, err := appendExtensions(b, m.Extensions)
	if err != nil {
		return nil, err
	}
	if b, err = appendPart(b, &m.Body, MaxDepth); err != nil {
		return nil, err
	}
	// The decoder is the one place that knows all rules: a message that does not come back is not sent.
	if _, err := Decode(b); err != nil {
		return nil, fmt.Errorf("%w (in a message to be sent)", err)
	}
	return b, nil
}

// Decode reads exactly one message. Its error says what was wanted and at which octet; it never quotes the message. The result
// shares memory with b.
func Decode(b []byte) (Message, error) {
	var m Message
	if len(b) > MaxSize {
		return m, fmt.Errorf("content: message of %d octets, limit %d", len(b), MaxSize)
	}
	r := &reader{b: b}
	if n, err := r.array("array of 7"); err != nil {
		return m, err
	} else if n != 7 {
		return m, r.fail("array of 7")
	}
	salt, err := r.bytes("salt")
	if err != nil {
		return m, err
	}
	if len(salt) != len(m.Salt) {
		return m, r.fail("salt of 16 octets")
	}
	m.Salt = [16]byte(salt)
	if m.Salt == [16]byte{} {
		return m, r.fail("random salt")
	}
	if m.Replaces, err = r.messageID("replaces"); err != nil {
		return m, err
	}
	if m.Topic, err = r.bytes("topicId"); err != nil {
		return m, err
	}
	if len(m.Topic) > maxTopic {
		return m, r.fail(fmt.Sprintf("topicId of at most %d octets", maxTopic))
	}
	if m.Expires, err = r.expiry(); err != nil {
		return m, err
	}
	if m.InReplyTo, err = r.messageID("inReplyTo"); err != nil {
		return m, err
	}
	if m.Extensions, err = r.extensions(); err != nil {
		return m, err
	}
	parts := 0
	if err := r.part(&m.Body, MaxDepth, &parts); err != nil {
		return m, err
	}
	if r.off != len(b) {
		return m, r.fail("the end")
	}
	return m, nil
}

// ID returns the message's id (§3.3 of the draft): 0x01 for SHA-256, then the first 31 octets of the hash over sender URI, room URI,
// the encoded message and its salt. sender must be the device that MLS authenticated, not one the message names.
func ID(sender messaging.DeviceID, chat messaging.ChatID, encoded []byte, salt [16]byte) (id messaging.MessageID) {
	h := sha256.New()
	for _, uri := range []string{SenderURI(sender), RoomURI(chat)} {
		var n [2]byte
		binary.BigEndian.PutUint16(n[:], uint16(len(uri)))
		h.Write(n[:])
		h.Write([]byte(uri))
	}
	h.Write(encoded)
	h.Write(salt[:])
	id[0] = 0x01
	copy(id[1:], h.Sum(nil))
	return id
}

// SenderURI is how a device is spelled in a message id and in extension 1.
func SenderURI(d messaging.DeviceID) string { return "parley:d/" + d.String() }

// RoomURI is how a chat is spelled in a message id and in extension 2.
func RoomURI(c messaging.ChatID) string { return "parley:c/" + c.String() }

// Extension keys of the draft (§4.3).
const (
	extensionSender = 1
	extensionRoom   = 2
)

// CheckOrigin refuses a message that names another sender or chat than those that MLS authenticated.
func (m *Message) CheckOrigin(sender messaging.DeviceID, chat messaging.ChatID) error {
	for _, e := range m.Extensions {
		if e.Name != "" {
			continue
		}
		var want string
		switch e.Key {
		case extensionSender:
			want = SenderURI(sender)
		case extensionRoom:
			want = RoomURI(chat)
		default:
			continue
		}
		if !bytes.Equal(e.Value, appendText(nil, want)) {
			return fmt.Errorf("content: extension %d names another origin than MLS does", e.Key)
		}
	}
	return nil
}

func appendID(b []byte, id *messaging.MessageID) []byte {
	if id == nil {
		return append(b, simpleNull)
	}
	return appendBytes(b, id[:])
}

func (r *reader) messageID(what string) (*messaging.MessageID, error) {
	if r.null() {
		return nil, nil
	}
	v, err := r.bytes(what + ": null or octets")
	if err != nil {
		return nil, err
	}
	if len(v) != len(messaging.MessageID{}) {
		return nil, r.fail(what + " of 32 octets")
	}
	id := messaging.MessageID(v)
	return &id, nil
}

func (r *reader) expiry() (Expiry, error) {
	if r.null() {
		return Expiry{}, nil
	}
	n, err := r.array("expires: null or array of 2")
	if err != nil {
		return Expiry{}, err
	}
	if n != 2 {
		return Expiry{}, r.fail("expires: array of 2")
	}
	relative, err := r.bool("expires: relative")
	if err != nil {
		return Expiry{}, err
	}
	seconds, err := r.uint(1<<32-1, "expires: time")
	if err != nil {
		return Expiry{}, err
	}
	if seconds == 0 { // "at 1970" and "0 s after reading" say nothing that anybody means
		return Expiry{}, r.fail("expires: time above 0")
	}
	return Expiry{Seconds: uint32(seconds), Relative: relative}, nil
}

func (e *Extension) key() []byte {
	if e.Name != "" {
		return appendText(nil, e.Name)
	}
	return appendInt(nil, e.Key)
}

func appendExtensions(b []byte, exts []Extension) ([]byte, error) {
	sorted := slices.Clone(exts)
	slices.SortFunc(sorted, func(x, y Extension) int { return bytes.Compare(x.key(), y.key()) })
	b = appendHead(b, majorMap, uint64(len(sorted)))
	for i := range sorted {
		if len(sorted[i].Value) == 0 {
			return nil, errors.New("content: extension without a value")
		}
		b = append(append(b, sorted[i].key()...), sorted[i].Value...)
	}
	return b, nil
}

func (r *reader) extensions() ([]Extension, error) {
	n, err := r.count(majorMap, 2, "extensions: map")
	if err != nil {
		return nil, err
	}
	if n > MaxExtensions {
		return nil, r.fail(fmt.Sprintf("at most %d extensions", MaxExtensions))
	}
	var exts []Extension
	var last []byte
	for range n {
		start := r.off
		var e Extension
		major, v, err := r.head()
		if err != nil {
			return nil, err
		}
		switch major {
		case majorUint, majorNint:
			if v > 1<<62 {
				return nil, r.fail("extension key of at most 62 bits")
			}
			if e.Key = int64(v); major == majorNint {
				e.Key = -1 - int64(v)
			}
		case majorText:
			r.off = start
			if e.Name, err = r.text("extension key"); err != nil {
				return nil, err
			}
			if len(e.Name) < 1 || len(e.Name) > 255 {
				return nil, r.fail("extension key of 1 to 255 octets")
			}
		default:
			r.off = start
			return nil, r.fail("extension key: integer or text")
		}
		key := r.b[start:r.off]
		if last != nil && bytes.Compare(last, key) >= 0 {
			return nil, r.fail("extension keys in order and unique")
		}
		last = key
		if e.Value, err = r.skip(MaxDepth); err != nil {
			return nil, err
		}
		if len(e.Value) > maxExtension {
			return nil, r.fail(fmt.Sprintf("extension of at most %d octets", maxExtension))
		}
		exts = append(exts, e)
	}
	return exts, nil
}

func appendPart(b []byte, p *Part, depth int) ([]byte, error) {
	if depth <= 0 {
		return nil, fmt.Errorf("content: parts nested more than %d deep", MaxDepth)
	}
	head := func(items int) {
		b = appendHead(appendArray(b, 3+items), majorUint, uint64(p.Disposition))
		b = appendHead(appendText(b, p.Language), majorUint, uint64(p.Kind))
	}
	switch p.Kind {
	case Null:
		head(0)
	case Single:
		head(2)
		b = appendBytes(appendText(b, p.MediaType), p.Content)
	case External:
		if p.External == nil {
			return nil, errors.New("content: external part without a link")
		}
		l := p.External
		head(12)
		b = appendText(appendText(b, p.MediaType), l.URL)
		b = appendHead(appendHead(b, majorUint, uint64(l.Expires)), majorUint, l.Size)
		b = appendHead(b, majorUint, uint64(l.EncAlg))
		b = appendBytes(appendBytes(appendBytes(b, l.Key), l.Nonce), l.AAD)
		b = appendBytes(appendHead(b, majorUint, uint64(l.HashAlg)), l.Hash)
		b = appendText(appendText(b, l.Description), l.SuggestedName)
	case Multi:
		head(2)
		b = appendArray(appendHead(b, majorUint, uint64(p.Semantics)), len(p.Parts))
		for i := range p.Parts {
			var err error
			if b, err = appendPart(b, &p.Parts[i], depth-1); err != nil {
				return nil, err
			}
		}
	default:
		return nil, fmt.Errorf("content: unknown part kind %d", p.Kind)
	}
	return b, nil
}

func (r *reader) part(p *Part, depth int, parts *int) error {
	if depth <= 0 {
		return r.fail(fmt.Sprintf("parts at most %d deep", MaxDepth))
	}
	if *parts++; *parts > MaxParts {
		return r.fail(fmt.Sprintf("at most %d parts", MaxParts))
	}
	items, err := r.array("part: array")
	if err != nil {
		return err
	}
	disposition, err := r.uint(255, "disposition")
	if err != nil {
		return err
	}
	p.Disposition = Disposition(disposition)
	if p.Language, err = r.text("language"); err != nil {
		return err
	}
	if len(p.Language) > maxLanguage {
		return r.fail(fmt.Sprintf("language of at most %d octets", maxLanguage))
	}
	kind, err := r.uint(uint64(Multi), "cardinality")
	if err != nil {
		return err
	}
	p.Kind = Kind(kind)
	if want := 3 + [...]int{Null: 0, Single: 2, External: 12, Multi: 2}[p.Kind]; items != want {
		return r.fail(fmt.Sprintf("part of %d items", want))
	}
	switch p.Kind {
	case Single:
		if p.MediaType, err = r.mediaType(); err != nil {
			return err
		}
		if p.Content, err = r.bytes("content"); err != nil {
			return err
		}
		if strings.HasPrefix(strings.ToLower(p.MediaType), "text/") && !utf8.Valid(p.Content) {
			return r.fail("text in UTF-8")
		}
	case External:
		return r.link(p)
	case Multi:
		semantics, err := r.uint(uint64(ProcessAll), "part semantics")
		if err != nil {
			return err
		}
		p.Semantics = Semantics(semantics)
		n, err := r.array("parts")
		if err != nil {
			return err
		}
		if n < 2 || n > MaxParts {
			return r.fail(fmt.Sprintf("2 to %d parts", MaxParts))
		}
		p.Parts = make([]Part, n)
		for i := range p.Parts {
			if err := r.part(&p.Parts[i], depth-1, parts); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reader) link(p *Part) (err error) {
	l := &Link{}
	p.External = l
	var n uint64
	number := func(limit uint64, what string) uint64 {
		if err == nil {
			n, err = r.uint(limit, what)
		}
		return n
	}
	octets := func(what string) (v []byte) {
		if err == nil {
			v, err = r.bytes(what)
		}
		return v
	}
	text := func(what string) (v string) {
		if err == nil {
			v, err = r.text(what)
		}
		return v
	}
	if p.MediaType, err = r.mediaType(); err != nil {
		return err
	}
	l.URL = text("url")
	l.Expires = uint32(number(1<<32-1, "expires"))
	l.Size = number(1<<64-1, "size")
	l.EncAlg = uint16(number(1<<16-1, "encAlg"))
	l.Key, l.Nonce, l.AAD = octets("key"), octets("nonce"), octets("aad")
	l.HashAlg = uint8(number(1<<8-1, "hashAlg"))
	l.Hash = octets("contentHash")
	l.Description, l.SuggestedName = text("description"), text("filename")
	return err
}

// mediaType reads type/subtype with parameters, printable ASCII without quotes of our own making (RFC 2045 §5.1, as far as it needs checking).
func (r *reader) mediaType() (string, error) {
	t, err := r.text("media type")
	if err != nil {
		return "", err
	}
	main, sub, ok := strings.Cut(t, "/")
	if !ok || main == "" || sub == "" || len(t) > maxMediaType || strings.IndexFunc(t, func(c rune) bool { return c < '!' && c != ' ' || c > '~' }) >= 0 {
		return "", r.fail("media type in printable ASCII")
	}
	return t, nil
}
