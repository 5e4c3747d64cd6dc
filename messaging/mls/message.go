package mls

import "fmt"

// WireFormat is a registry of RFC 9420 §17.2.
type WireFormat uint16

// The wire formats of RFC 9420 §17.2.
const (
	WireFormatPublicMessage  WireFormat = 1
	WireFormatPrivateMessage WireFormat = 2
	WireFormatWelcome        WireFormat = 3
	WireFormatGroupInfo      WireFormat = 4
	WireFormatKeyPackage     WireFormat = 5
)

// MLSMessage is the outermost structure of everything that is sent (RFC 9420 §6). Exactly one field is set.
type MLSMessage struct {
	Public     *PublicMessage
	Private    *PrivateMessage
	Welcome    *Welcome
	GroupInfo  *GroupInfo
	KeyPackage *KeyPackage
}

// ParseMLSMessage decodes b, of which it keeps a copy. Nothing of what is decoded is authenticated yet.
func ParseMLSMessage(b []byte) (*MLSMessage, error) {
	m := new(MLSMessage)
	if err := parse("MLSMessage", b, m); err != nil {
		return nil, err
	}
	return m, nil
}

// parsePrivateMessage decodes b, which it keeps, if it is an MLSMessage with a PrivateMessage: what ParseMLSMessage does for all
// messages, without allocating anything.
func parsePrivateMessage(b []byte) (p PrivateMessage, is bool, err error) {
	if len(b) < 4 || [4]byte(b) != privateMessageHeader {
		return p, false, nil
	}
	d := decoder{b: b, pos: 4, end: len(b), typ: "MLSMessage"}
	p.decode(&d)
	return p, true, d.finish()
}

// privateMessageHeader is version and wire format of an MLSMessage with a PrivateMessage.
var privateMessageHeader = [4]byte{0, byte(MLS10), 0, byte(WireFormatPrivateMessage)}

// Marshal returns the encoding of m.
func (m *MLSMessage) Marshal() ([]byte, error) { return marshal(m) }

// WireFormat returns which field is set.
func (m *MLSMessage) WireFormat() WireFormat {
	switch {
	case m.Public != nil:
		return WireFormatPublicMessage
	case m.Private != nil:
		return WireFormatPrivateMessage
	case m.Welcome != nil:
		return WireFormatWelcome
	case m.GroupInfo != nil:
		return WireFormatGroupInfo
	case m.KeyPackage != nil:
		return WireFormatKeyPackage
	}
	return 0
}

func (m *MLSMessage) encode(e *encoder) {
	switch {
	case m.Welcome != nil:
		e.room(m.Welcome.sizeHint())
	case m.GroupInfo != nil:
		e.room(m.GroupInfo.sizeHint())
	case m.Public != nil:
		e.room(m.Public.Content.sizeHint())
	}
	e.u16(uint16(MLS10))
	e.u16(uint16(m.WireFormat()))
	switch m.WireFormat() {
	case WireFormatPublicMessage:
		m.Public.encode(e)
	case WireFormatPrivateMessage:
		m.Private.encode(e)
	case WireFormatWelcome:
		m.Welcome.encode(e)
	case WireFormatGroupInfo:
		m.GroupInfo.encode(e)
	case WireFormatKeyPackage:
		m.KeyPackage.encode(e)
	default:
		e.fail(fmt.Errorf("mls: an empty MLSMessage cannot be encoded"))
	}
}

func (m *MLSMessage) decode(d *decoder) {
	if v := d.u16(); v != uint16(MLS10) {
		d.unsupported("protocol version", v)
		return
	}
	switch f := WireFormat(d.u16()); f {
	case WireFormatPublicMessage:
		m.Public = new(PublicMessage)
		m.Public.decode(d)
	case WireFormatPrivateMessage:
		m.Private = new(PrivateMessage)
		m.Private.decode(d)
	case WireFormatWelcome:
		m.Welcome = new(Welcome)
		m.Welcome.decode(d)
	case WireFormatGroupInfo:
		m.GroupInfo = new(GroupInfo)
		m.GroupInfo.decode(d)
	case WireFormatKeyPackage:
		m.KeyPackage = new(KeyPackage)
		m.KeyPackage.decode(d)
		if m.KeyPackage.Version != MLS10 {
			d.fail("the key package has another version than the message (RFC 9420 §10)")
		}
	default:
		d.unsupported("wire format", uint16(f))
	}
}
