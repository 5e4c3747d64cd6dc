// Package xmlsig signs messages with a business application header and verifies such signatures (XML Signature, in Sgntr).
//
// It says who signed which bytes. It does not decide whom to trust (the caller registers certificates), and reads no message: it hands
// back the bytes that are signed, to be decoded.
package xmlsig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// Layout says what a signature covers.
type Layout uint8

const (
	// Whole is one reference to the whole message, wrapper included, without the signature itself, as TCH RTP has it: enveloped, and
	// canonical XML 1.1, which is inclusive.
	Whole Layout = iota + 1
	// Parts is three references, as the Brazilian SPI and SWIFT have them: to the KeyInfo of the signature (by its Id), to the AppHdr
	// without the signature (URI is empty) and to the Document (there is no URI), all in exclusive canonical XML 1.0.
	Parts
)

// Namespaces and algorithms (XML Signature Syntax and Processing 1.1; RFC 9231).
const (
	namespace = "http://www.w3.org/2000/09/xmldsig#"
	enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	c14n10    = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
	c14n11    = "http://www.w3.org/2006/12/xml-c14n11"
	excC14N   = "http://www.w3.org/2001/10/xml-exc-c14n#"
	rsaSHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	rsaSHA384 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"
	rsaSHA512 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
	ecSHA256  = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
	sha256URI = "http://www.w3.org/2001/04/xmlenc#sha256"
	sha384URI = "http://www.w3.org/2001/04/xmldsig-more#sha384"
	sha512URI = "http://www.w3.org/2001/04/xmlenc#sha512"
)

// Error is why a message cannot be signed or a signature is not accepted. It repeats nothing of the message.
type Error struct {
	// Rule is a stable name. When signing: xmlsig. key, message, canonical. When verifying: form (of the message or the signature),
	// algorithm, reference, certificate, digest, value.
	Rule string
	Text string
	Err  error // the cause, or nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("xmlsig: %s: %s: %v", e.Rule, e.Text, e.Err)
	}
	return "xmlsig: " + e.Rule + ": " + e.Text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func refuse(rule, text string, err error) error { return &Error{"xmlsig." + rule, text, err} }

// minRSABits is what FedNow demands, and nobody should use less.
const minRSABits = 2048

// checkKey refuses keys that are too weak, and kinds that no rail uses.
func checkKey(k crypto.PublicKey) error {
	switch k := k.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits {
			return fmt.Errorf("an RSA key of %d bits, less than %d", k.N.BitLen(), minRSABits)
		}
		return nil
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize < 256 {
			return errors.New("an elliptic curve of less than 256 bits")
		}
		return nil
	}
	return fmt.Errorf("a key of type %T", k)
}

// signatureAlgorithms are those that are accepted. SHA-1 is not among them.
var signatureAlgorithms = map[string]x509.SignatureAlgorithm{
	rsaSHA256: x509.SHA256WithRSA, rsaSHA384: x509.SHA384WithRSA, rsaSHA512: x509.SHA512WithRSA, ecSHA256: x509.ECDSAWithSHA256,
}

var digests = map[string]crypto.Hash{sha256URI: crypto.SHA256, sha384URI: crypto.SHA384, sha512URI: crypto.SHA512}

// fromPairs turns the two numbers of an ECDSA signature, as XML has them (RFC 9231, section 2.3.6), into the ASN.1 that Go takes.
func fromPairs(b []byte) ([]byte, error) {
	if len(b) == 0 || len(b)%2 != 0 {
		return nil, errors.New("an odd number of octets")
	}
	half := len(b) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(b[:half]), new(big.Int).SetBytes(b[half:])})
}
