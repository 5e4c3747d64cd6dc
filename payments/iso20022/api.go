package iso20022

import "errors"

var errSoon = errors.New("iso20022: not implemented yet")

// Wrapper is the envelope that a rail puts around header and document: elements of one namespace, one inside the other.
type Wrapper struct {
	Namespace string
	Path      []string // element names from the root inwards; "*" takes any name; empty means that the document stands alone
}

// Parts are the pieces of a message on the wire, as slices of it.
type Parts struct {
	Name     string // of the innermost wrapper element, which on some rails names the message; empty without a wrapper
	Header   []byte // the AppHdr element, nil if there is none
	Document []byte // the Document element
}

// Split takes header and document out of their wrapper. The parts are exact bytes of the wire, unless they use prefixes that only
// the wrapper declares: then they are copies with these declarations added to their root.
func Split(wire []byte, want Wrapper) (Parts, error) { return Parts{}, errSoon }

func (h *Header) Append(dst []byte) ([]byte, error)         { return dst, errSoon }
func (m *CreditTransfer) Append(dst []byte) ([]byte, error) { return dst, errSoon }
func (m *StatusReport) Append(dst []byte) ([]byte, error)   { return dst, errSoon }
func (m *StatusRequest) Append(dst []byte) ([]byte, error)  { return dst, errSoon }

func DecodeHeader(b []byte) (*Header, error)                 { return nil, errSoon }
func DecodeCreditTransfer(b []byte) (*CreditTransfer, error) { return nil, errSoon }
func DecodeStatusReport(b []byte) (*StatusReport, error)     { return nil, errSoon }
func DecodeStatusRequest(b []byte) (*StatusRequest, error)   { return nil, errSoon }
