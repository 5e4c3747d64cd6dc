package mls

import "slices"

// ExtensionType is a registry of RFC 9420 §17.3.
type ExtensionType uint16

// The extension types of RFC 9420, which every client supports and no capabilities list (§7.2), and last_resort of
// draft-ietf-mls-extensions.
const (
	ExtensionApplicationID        ExtensionType = 0x0001
	ExtensionRatchetTree          ExtensionType = 0x0002
	ExtensionRequiredCapabilities ExtensionType = 0x0003
	ExtensionExternalPub          ExtensionType = 0x0004
	ExtensionExternalSenders      ExtensionType = 0x0005
	ExtensionLastResort           ExtensionType = 0x000A
)

// isDefault reports whether every client supports the type without saying so (RFC 9420 §7.2).
func (t ExtensionType) isDefault() bool { return t >= 1 && t <= 5 }

// Extension is one typed value of an extensible structure (RFC 9420 §7.2). Unknown types are kept as they are.
type Extension struct {
	Type ExtensionType
	Data []byte
}

// Extensions is a list of extensions with no type twice (RFC 9420 §13.4).
type Extensions []Extension

// maxExtensions bounds a list of extensions, and a list of capabilities.
const maxExtensions = 1 << 10

// Find returns the data of the extension of that type.
func (x Extensions) Find(t ExtensionType) (data []byte, ok bool) {
	for i := range x {
		if x[i].Type == t {
			return x[i].Data, true
		}
	}
	return nil, false
}

func (x Extensions) encode(e *encoder) {
	encodeVector(e, x, func(e *encoder, ext *Extension) {
		e.u16(uint16(ext.Type))
		e.opaque(ext.Data)
	})
}

func (x *Extensions) decode(d *decoder) {
	*x = decodeVector(d, maxExtensions, func(d *decoder, ext *Extension) {
		ext.Type = ExtensionType(d.u16())
		ext.Data = d.opaque()
	})
	types := make([]ExtensionType, len(*x))
	for i := range *x {
		types[i] = (*x)[i].Type
	}
	slices.Sort(types)
	if len(slices.Compact(types)) != len(*x) {
		d.fail("an extension type occurs twice (RFC 9420 §13.4)")
	}
}

// RequiredCapabilities lists what every member of a group must support (RFC 9420 §11.1).
type RequiredCapabilities struct {
	Extensions  []ExtensionType
	Proposals   []ProposalType
	Credentials []CredentialType
}

func (r *RequiredCapabilities) encode(e *encoder) {
	encodeU16s(e, r.Extensions)
	encodeU16s(e, r.Proposals)
	encodeU16s(e, r.Credentials)
}

func (r *RequiredCapabilities) decode(d *decoder) {
	r.Extensions = decodeU16s[ExtensionType](d)
	r.Proposals = decodeU16s[ProposalType](d)
	r.Credentials = decodeU16s[CredentialType](d)
}

// requiredCapabilities returns the decoded extension, or the zero value if there is none.
func (x Extensions) requiredCapabilities() (r RequiredCapabilities, err error) {
	if data, ok := x.Find(ExtensionRequiredCapabilities); ok {
		err = unmarshal("RequiredCapabilities", data, &r)
	}
	return r, err
}

// ExternalSender is somebody outside who may propose (RFC 9420 §12.1.8.1).
type ExternalSender struct {
	SignatureKey SignaturePublicKey
	Credential   Credential
}

// maxExternalSenders bounds the list of a group.
const maxExternalSenders = 1 << 10

func (s *ExternalSender) encode(e *encoder) {
	e.opaque(s.SignatureKey)
	s.Credential.encode(e)
}

func (s *ExternalSender) decode(d *decoder) {
	s.SignatureKey = d.opaque()
	s.Credential.decode(d)
}

// externalSenders is the contents of the external_senders extension.
type externalSenders []ExternalSender

func (x externalSenders) encode(e *encoder) {
	encodeVector(e, x, func(e *encoder, s *ExternalSender) { s.encode(e) })
}

func (x *externalSenders) decode(d *decoder) {
	*x = decodeVector(d, maxExternalSenders, func(d *decoder, s *ExternalSender) { s.decode(d) })
}

// externalSenders returns the decoded extension, or nil if there is none.
func (x Extensions) externalSenders() (list externalSenders, err error) {
	if data, ok := x.Find(ExtensionExternalSenders); ok {
		err = unmarshal("external_senders", data, &list)
	}
	return list, err
}

// externalPub returns the key of the external_pub extension (RFC 9420 §12.4.3.2), or nil if there is none.
func (x Extensions) externalPub() (HPKEPublicKey, error) {
	data, ok := x.Find(ExtensionExternalPub)
	if !ok {
		return nil, nil
	}
	d := newDecoder("ExternalPub", data)
	key := d.opaque()
	return key, d.finish()
}

// ExternalSendersExtension returns the external_senders extension of a group (RFC 9420 §12.1.8.1).
func ExternalSendersExtension(senders ...ExternalSender) (Extension, error) {
	data, err := marshal(externalSenders(senders))
	return Extension{ExtensionExternalSenders, data}, err
}

// RequiredCapabilitiesExtension returns the required_capabilities extension of a group (RFC 9420 §11.1).
func RequiredCapabilitiesExtension(r RequiredCapabilities) (Extension, error) {
	data, err := marshal(&r)
	return Extension{ExtensionRequiredCapabilities, data}, err
}
