package mls

// CredentialType is a registry of RFC 9420 §17.5.
type CredentialType uint16

// The credential types of RFC 9420 §5.3.
const (
	CredentialBasic CredentialType = 1
	CredentialX509  CredentialType = 2
)

// Credential names a client and ties it to its signature key (RFC 9420 §5.3). What it says is a claim until the application's
// authentication service has confirmed it.
type Credential struct {
	Type         CredentialType
	Identity     []byte   // of a basic credential: any octets the application understands
	Certificates [][]byte // of an X.509 credential: DER, the client's own certificate first
}

// BasicCredential returns the credential that is nothing but identity.
func BasicCredential(identity []byte) Credential {
	return Credential{Type: CredentialBasic, Identity: identity}
}

// maxCertificates bounds a chain. Real chains have two to five certificates.
const maxCertificates = 16

func (c *Credential) encode(e *encoder) {
	e.u16(uint16(c.Type))
	switch c.Type {
	case CredentialBasic:
		e.opaque(c.Identity)
	case CredentialX509:
		encodeVector(e, c.Certificates, func(e *encoder, cert *[]byte) { e.opaque(*cert) })
	default:
		e.fail(&UnsupportedTypeError{"credential type", uint16(c.Type)})
	}
}

func (c *Credential) decode(d *decoder) {
	switch c.Type = CredentialType(d.u16()); c.Type {
	case CredentialBasic:
		c.Identity = d.opaque()
	case CredentialX509:
		c.Certificates = decodeVector(d, maxCertificates, func(d *decoder, cert *[]byte) { *cert = d.opaque() })
	default:
		d.unsupported("credential type", uint16(c.Type))
	}
}
