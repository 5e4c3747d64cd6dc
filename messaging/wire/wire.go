// Package wire encodes and decodes the frames between a device and a relay.
//
// It opens no connection and keeps no state: package device dials, package relay answers, and docs/protocol.md tells the
// conversation. One frame is one binary WebSocket message of at most MaxFrame octets. It is the CBOR (RFC 8949) array
//
//	[version, type, body]
//
// where version is 1, type is the frame's number (see Type) and body is a map with small unsigned integers as keys, given in the
// struct tags of the frames. The encoding is the core deterministic one (RFC 8949 §4.2.1): shortest lengths, keys in ascending
// order, definite lengths. A key whose value is zero, empty or false is left out. No tags, no floats, no duplicate or unknown keys. A
// frame has therefore exactly one encoding, and Decode refuses every other.
package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"
)

// Version is the only version of the protocol, and the first element of every frame.
const Version = 1

// Bounds of what a peer can choose. A frame beyond any of them is refused before it is acted on.
const (
	MaxFrame      = 256 << 10 // octets of one frame, and so of one WebSocket message
	MaxBody       = 66 << 10  // octets of a message: 64 KiB of padded content, and what MLS adds
	MaxHandshake  = 240 << 10 // octets of a commit and its welcome together: with post-quantum keys, a chat of 64 devices needs them
	MaxRecipients = 256       // devices in Send.To, in Commit.To and in Commit.WelcomeTo
	MaxPackages   = 64        // key packages in one PublishKeyPackages
	MaxPackage    = 16 << 10  // octets of one key package
	MaxSuites     = 8         // cipher suites that a device has key packages of, and in one ClaimKeyPackage
	MaxText       = 256       // octets of a text, token or jurisdiction
	MaxVersions   = 8         // versions in a Hello
)

// Path is the path of the relay's WebSocket endpoint.
const Path = "/v1/device"

// Error is what Decode and Encode fail with. Text never repeats content of the frame.
type Error struct {
	Type Type   // of the frame; 0 if it could not be told
	Text string // what is wrong and where
}

func (e *Error) Error() string {
	if e.Type == 0 {
		return "wire: " + e.Text
	}
	return "wire: " + e.Type.String() + ": " + e.Text
}

var encMode, decMode = modes()

func modes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	dec, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
		MaxNestedLevels:   4,
		MaxArrayElements:  MaxRecipients,
		MaxMapPairs:       16,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return enc, dec
}

// Encode returns the one encoding of the frame. It fails with *Error for a frame that Decode would refuse.
func Encode(f Frame) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, &Error{f.Type(), err.Error()}
	}
	body, err := encMode.Marshal(f)
	if err != nil {
		return nil, &Error{f.Type(), "cannot be encoded"}
	}
	if len(body)+3 > MaxFrame {
		return nil, &Error{f.Type(), fmt.Sprintf("%d octets, the limit is %d", len(body)+3, MaxFrame)}
	}
	out := make([]byte, 0, 3+len(body))
	return append(append(out, 0x83, Version, byte(f.Type())), body...), nil
}

// Decode reads one frame: the pointer to one of the frame structs. It copies what it keeps, so b may be used again. It fails with
// *Error for anything that Encode would not have written.
func Decode(b []byte) (Frame, error) {
	if len(b) > MaxFrame {
		return nil, &Error{0, fmt.Sprintf("%d octets, the limit is %d", len(b), MaxFrame)}
	}
	if len(b) < 4 || b[0] != 0x83 {
		return nil, &Error{0, "a frame is the array [version, type, body]"}
	}
	if b[1] != Version {
		return nil, &Error{0, "unknown version"}
	}
	f := newFrame(Type(b[2]))
	if f == nil {
		return nil, &Error{0, "unknown frame type"}
	}
	body := b[3:]
	if err := decMode.Unmarshal(body, f); err != nil {
		return nil, &Error{f.Type(), reason(err)}
	}
	again, err := encMode.Marshal(f)
	if err != nil || !bytes.Equal(again, body) {
		return nil, &Error{f.Type(), "not in the deterministic encoding"}
	}
	if err := f.check(); err != nil {
		return nil, &Error{f.Type(), err.Error()}
	}
	return f, nil
}

// reason names the fault without any value of the frame, which the library's own texts may hold.
func reason(err error) string {
	var (
		dup     *cbor.DupMapKeyError
		unknown *cbor.UnknownFieldError
		typ     *cbor.UnmarshalTypeError
		syntax  *cbor.SyntaxError
		extra   *cbor.ExtraneousDataError
		tags    *cbor.TagsMdError
		indef   *cbor.IndefiniteLengthError
	)
	switch {
	case errors.As(err, &dup):
		return "a key occurs twice"
	case errors.As(err, &unknown):
		return "unknown key"
	case errors.As(err, &typ):
		return "a value has the wrong type"
	case errors.As(err, &syntax):
		return "malformed CBOR"
	case errors.As(err, &extra):
		return "octets after the frame"
	case errors.As(err, &tags):
		return "tags are not allowed"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "ends too early"
	case errors.As(err, &indef):
		return "indefinite lengths are not allowed"
	}
	return "malformed or beyond a bound"
}
