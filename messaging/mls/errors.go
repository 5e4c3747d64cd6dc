package mls

import (
	"errors"
	"fmt"
)

// RuleError is a refusal: a peer's message, or a request of the caller, breaks a rule of RFC 9420. Nothing was changed.
type RuleError struct {
	Section string // of RFC 9420, such as "7.3"
	Text    string // what is wrong and where; holds no secret and no identity
	Err     error  // cause, or nil
}

func (e *RuleError) Error() string {
	s := "mls: " + e.Text + " (RFC 9420 §" + e.Section + ")"
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *RuleError) Unwrap() error { return e.Err }

// refuse returns the refusal of something that breaks a rule of that section.
func refuse(section, format string, args ...any) error {
	return &RuleError{Section: section, Text: fmt.Sprintf(format, args...)}
}

// refuseFor is refuse with a cause.
func refuseFor(err error, section, format string, args ...any) error {
	return &RuleError{Section: section, Text: fmt.Sprintf(format, args...), Err: err}
}

// DecodeError says that bytes are not a well-formed encoding of what they should be.
type DecodeError struct {
	Type   string // the structure that was being decoded, such as "KeyPackage"
	Offset int    // octets into the input at which it was noticed
	Text   string // what is wrong
	Err    error  // cause, or nil
}

func (e *DecodeError) Error() string {
	s := fmt.Sprintf("mls: malformed %s at octet %d: %s", e.Type, e.Offset, e.Text)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// UnsupportedSuiteError says that a cipher suite is not implemented here.
type UnsupportedSuiteError struct{ Suite CipherSuite }

func (e *UnsupportedSuiteError) Error() string {
	return fmt.Sprintf("mls: cipher suite %v is not supported", e.Suite)
}

// UnsupportedTypeError says that a value of an extensible registry (proposal, credential, wire format …) is not implemented here,
// so that the structure it appears in cannot be decoded.
type UnsupportedTypeError struct {
	Registry string // "proposal type", "credential type" …
	Value    uint16
}

func (e *UnsupportedTypeError) Error() string {
	return fmt.Sprintf("%s 0x%04x is not supported", e.Registry, e.Value)
}

var (
	errTooLong   = errors.New("mls: a vector of more than 2^30-1 octets cannot be encoded")
	errSignature = errors.New("signature does not verify")
)
