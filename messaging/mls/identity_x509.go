package mls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Bounds on a certificate chain that a peer sends, so that checking it has a bounded cost.
const (
	certificateMaxBytes = 16 << 10
	certificateMaxRSA   = 4096 // bits of an RSA key of a certificate authority in the chain
)

// LeafCertificate returns the end-entity certificate of an X.509 credential, which is the first, parsed and not verified.
func (c *Credential) LeafCertificate() (*x509.Certificate, error) {
	if c.Type != CredentialX509 {
		return nil, errCredentialType
	}
	if len(c.Certificates) == 0 {
		return nil, errors.New("an X.509 credential without a certificate")
	}
	return parseCertificate(c.Certificates[0])
}

func parseCertificate(der []byte) (*x509.Certificate, error) {
	if len(der) > certificateMaxBytes {
		return nil, fmt.Errorf("a certificate of %d octets: at most %d", len(der), certificateMaxBytes)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("malformed certificate") // the parser's text may quote it
	}
	if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > certificateMaxRSA {
		return nil, fmt.Errorf("a certificate with an RSA key of %d bits", key.N.BitLen())
	}
	return cert, nil
}

// CertificateKey returns the public key of cert in the form it has in a leaf node (RFC 9420 §5.1.1). It fails for keys of no cipher
// suite, such as RSA.
func CertificateKey(cert *x509.Certificate) (SignaturePublicKey, error) {
	switch key := cert.PublicKey.(type) {
	case ed25519.PublicKey:
		return SignaturePublicKey(key), nil
	case *ecdsa.PublicKey:
		return key.Bytes()
	}
	return nil, fmt.Errorf("a certificate with a key of algorithm %v, which no cipher suite has", cert.PublicKeyAlgorithm)
}

// X509Credential returns the credential with that chain: DER, the client's own certificate first (RFC 9420 §5.3).
func X509Credential(chain ...[]byte) Credential {
	return Credential{Type: CredentialX509, Certificates: chain}
}

// X509Identity is an IdentityProvider for X.509 credentials (RFC 9420 §5.3): the chain leads to one of Roots at the time Now, and the
// end-entity certificate has the leaf's signature key. Credentials of other types are refused. Revocation is not checked: Client
// can refuse a certificate that the application knows to be revoked.
//
// It may be used by several goroutines if its functions may.
type X509Identity struct {
	Roots         *x509.CertPool // required; those of the operating system are never used
	Intermediates *x509.CertPool // that chains may leave out because every client has them; nil for none
	Now           func() time.Time
	// ExtKeyUsages lists extended key usages of which the certificate must have one. Empty takes any.
	ExtKeyUsages []x509.ExtKeyUsage
	// Client returns the name of the one client that a verified certificate stands for, or refuses it. Two certificates of one name are
	// one client, of which a group has one leaf, and one may replace the other. nil takes the only URI of the subjectAltName.
	Client func(*x509.Certificate) (string, error)
	// External reports whether the owner of a verified certificate may be an external sender. nil refuses everybody.
	External func(*x509.Certificate) error
}

var _ IdentityProvider = (*X509Identity)(nil)

// ValidateMember implements IdentityProvider.
func (p *X509Identity) ValidateMember(c Credential, key SignaturePublicKey) error {
	cert, err := p.verify(c, key)
	if err != nil {
		return err
	}
	_, err = p.client(cert)
	return err
}

// ValidateExternalSender implements IdentityProvider.
func (p *X509Identity) ValidateExternalSender(s ExternalSender) error {
	if p.External == nil {
		return errNoIdentity
	}
	cert, err := p.verify(s.Credential, s.SignatureKey)
	if err != nil {
		return err
	}
	return p.External(cert)
}

// SameClient implements IdentityProvider.
func (p *X509Identity) SameClient(a, b Credential) bool {
	x, err := p.nameOf(a)
	if err != nil {
		return false
	}
	y, err := p.nameOf(b)
	return err == nil && x == y
}

// ValidSuccessor implements IdentityProvider: the new certificate names the client that the old one names. The old one may have
// expired.
func (p *X509Identity) ValidSuccessor(old, next Credential) error {
	before, err := p.nameOf(old)
	if err != nil {
		return err
	}
	after, err := p.nameOf(next)
	if err != nil {
		return err
	}
	if before != after {
		return errOtherClient
	}
	return nil
}

// nameOf returns the client that a credential names, which was verified when it entered the group.
func (p *X509Identity) nameOf(c Credential) (string, error) {
	cert, err := c.LeafCertificate()
	if err != nil {
		return "", err
	}
	return p.client(cert)
}

func (p *X509Identity) client(cert *x509.Certificate) (string, error) {
	if p.Client != nil {
		return p.Client(cert)
	}
	if len(cert.URIs) != 1 {
		return "", fmt.Errorf("a certificate with %d URIs in its subjectAltName: it must name one client", len(cert.URIs))
	}
	return cert.URIs[0].String(), nil
}

// verify returns the end-entity certificate of c after all checks but those of the name.
func (p *X509Identity) verify(c Credential, key SignaturePublicKey) (*x509.Certificate, error) {
	if p.Roots == nil || p.Now == nil {
		return nil, errors.New("the identity provider has no roots or no clock")
	}
	if n := len(c.Certificates); n > maxCertificates {
		return nil, fmt.Errorf("a chain of %d certificates: at most %d", n, maxCertificates)
	}
	cert, err := c.LeafCertificate()
	if err != nil {
		return nil, err
	}
	own, err := CertificateKey(cert)
	if err != nil {
		return nil, err
	}
	switch {
	case !bytes.Equal(own, key):
		return nil, errors.New("the certificate's public key is not the leaf's signature key")
	case cert.BasicConstraintsValid && cert.IsCA:
		return nil, errors.New("the certificate of a certificate authority, not of a client")
	case cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return nil, errors.New("the certificate's key is not for digital signatures")
	}
	between := x509.NewCertPool()
	if p.Intermediates != nil {
		between = p.Intermediates.Clone()
	}
	for _, der := range c.Certificates[1:] {
		ca, err := parseCertificate(der)
		if err != nil {
			return nil, err
		}
		between.AddCert(ca)
	}
	usages := p.ExtKeyUsages
	if len(usages) == 0 {
		usages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: p.Roots, Intermediates: between, CurrentTime: p.Now(), KeyUsages: usages}); err != nil {
		return nil, refusedChain(err)
	}
	return cert, nil
}

// refusedChain says why a chain does not hold, without the names that the library's errors quote.
func refusedChain(err error) error {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return errors.New("a certificate of the chain is not valid now")
	case errors.As(err, &invalid):
		return fmt.Errorf("the chain of certificates does not hold: reason %d of crypto/x509", invalid.Reason)
	case errors.As(err, &unknown):
		return errors.New("the chain of certificates leads to none of the roots")
	}
	return errors.New("the chain of certificates does not hold")
}
