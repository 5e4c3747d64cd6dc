package xmlsig

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"maps"
	"slices"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/parleypay/parley/payments/iso20022"
)

// Signer signs messages that are canonical already, as package iso20022 writes them: the digests are taken of the bytes as they are. Its
// methods may run together if those of Key may.
type Signer struct {
	Key         crypto.Signer     // RSA of at least 2048 bits; it signs SHA-256 digests with PKCS #1 v1.5
	Certificate *x509.Certificate // of Key
	// Embed puts the certificate into the signature. Else issuer and serial number name it (X509IssuerSerial).
	Embed bool
}

// SignParts returns the header with a signature of itself and the document, in the layout Parts. header is an AppHdr element without
// Sgntr, document a Document element, both as package iso20022 appends them.
func (s *Signer) SignParts(header, document []byte) ([]byte, error) {
	for _, part := range [][]byte{header, document} {
		if err := checkCanonical(part); err != nil {
			return nil, err
		}
	}
	end := bytes.LastIndex(header, []byte("</AppHdr>"))
	if end < 0 || end+len("</AppHdr>") != len(header) {
		return nil, refuse("message", "the header is no AppHdr element as it is written here", nil)
	}
	const slot, endSlot = "<Sgntr>", "</Sgntr>"
	signed := concat(header[:end], []byte(slot+endSlot), header[end:])
	keyInfo, err := s.keyInfo(` Id="keyInfo"`)
	if err != nil {
		return nil, err
	}
	signature, err := s.signature(keyInfo, excC14N, prefix,
		reference{` URI="#keyInfo"`, []string{excC14N}, standAlone(keyInfo, prefix)},
		reference{` URI=""`, []string{enveloped, excC14N}, signed},
		reference{"", []string{excC14N}, document})
	if err != nil {
		return nil, err
	}
	return concat(header[:end], []byte(slot), signature, []byte(endSlot), header[end:]), nil
}

// SignWhole returns the message with a signature of all of it, in the layout Whole. message is the whole message, without an XML
// declaration, with exactly one element Sgntr, which is empty: <Sgntr></Sgntr>, with any prefix.
func (s *Signer) SignWhole(message []byte) ([]byte, error) {
	if err := checkCanonical(message); err != nil {
		return nil, err
	}
	slot, err := emptySlot(message)
	if err != nil {
		return nil, err
	}
	keyInfo, err := s.keyInfo("")
	if err != nil {
		return nil, err
	}
	signature, err := s.signature(keyInfo, c14n10, slot.namespaces, reference{` URI=""`, []string{enveloped, c14n11}, message})
	if err != nil {
		return nil, err
	}
	return concat(message[:slot.at], signature, message[slot.at:]), nil
}

// slot is where a signature goes: at is between the tags of Sgntr, and namespaces are the declarations in force there with that of the
// signature, as inclusive canonical XML writes them.
type slot struct {
	at         int
	namespaces string
}

// emptySlot finds the one element Sgntr of a message, which is empty.
func emptySlot(message []byte) (s slot, err error) {
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(message); err != nil {
		return s, refuse("message", "not well-formed", err)
	}
	found := doc.FindElements("//*[local-name()='Sgntr']")
	tree, err := iso20022.Parse(message)
	if err != nil {
		return s, refuse("message", "not well-formed", err)
	}
	slots := named(tree.Root(), "Sgntr")
	if len(slots) != 1 || len(found) != 1 {
		return s, refuse("message", "not exactly one element Sgntr for the signature", nil)
	}
	for range slots[0].Children() {
		return s, refuse("message", "signed already", nil)
	}
	if slots[0].HasText() {
		return s, refuse("message", "text where the signature goes", nil)
	}
	start, end := slots[0].Range()
	s.at = start + bytes.Index(message[start:end], []byte("</")) // a canonical element has an end tag
	declared := map[string]string{"ds": namespace}
	for e := found[0]; e != nil; e = e.Parent() {
		for _, a := range e.Attr {
			name := ""
			switch {
			case a.Space == "xmlns":
				name = a.Key
			case a.Space != "" || a.Key != "xmlns":
				continue
			}
			if _, nearer := declared[name]; !nearer {
				declared[name] = a.Value
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		switch {
		case name == "" && declared[name] == "":
		case name == "":
			s.namespaces += ` xmlns="` + escape(declared[name]) + `"`
		default:
			s.namespaces += " xmlns:" + name + `="` + escape(declared[name]) + `"`
		}
	}
	return s, nil
}

// named returns the elements of that name in e, itself included.
func named(e iso20022.Element, name string) (list []iso20022.Element) {
	if e.Name() == name {
		list = append(list, e)
	}
	for c := range e.Children() {
		list = append(list, named(c, name)...)
	}
	return list
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// reference is what one Reference says, and the bytes that it is about.
type reference struct {
	uri        string // the attribute, with a space in front
	transforms []string
	octets     []byte
}

// prefix declares the namespace of a signature's elements where they stand alone. In the signature its root declares it.
const prefix = ` xmlns:ds="` + namespace + `"`

// standAlone returns an element of the signature as it is canonical by itself.
func standAlone(element []byte, namespaces string) []byte {
	name := bytes.IndexAny(element, " >")
	return concat(element[:name], []byte(namespaces), element[name:])
}

// signature returns a Signature element. canonical is the form of SignedInfo, in which it has the namespaces.
func (s *Signer) signature(keyInfo []byte, canonical, namespaces string, refs ...reference) ([]byte, error) {
	b := []byte(`<ds:SignedInfo><ds:CanonicalizationMethod Algorithm="` + canonical + `"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="` + rsaSHA256 + `"></ds:SignatureMethod>`)
	for _, r := range refs {
		b = append(b, "<ds:Reference"+r.uri+"><ds:Transforms>"...)
		for _, t := range r.transforms {
			b = append(b, `<ds:Transform Algorithm="`+t+`"></ds:Transform>`...)
		}
		digest := sha256.Sum256(r.octets)
		b = append(b, `</ds:Transforms><ds:DigestMethod Algorithm="`+sha256URI+`"></ds:DigestMethod><ds:DigestValue>`...)
		b = base64.StdEncoding.AppendEncode(b, digest[:])
		b = append(b, "</ds:DigestValue></ds:Reference>"...)
	}
	b = append(b, "</ds:SignedInfo>"...)
	digest := sha256.Sum256(standAlone(b, namespaces))
	value, err := s.Key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, refuse("key", "the key does not sign", err)
	}
	out := append([]byte("<ds:Signature"+prefix+">"), b...)
	out = append(out, "<ds:SignatureValue>"...)
	out = base64.StdEncoding.AppendEncode(out, value)
	out = append(out, "</ds:SignatureValue>"...)
	out = append(out, keyInfo...)
	return append(out, "</ds:Signature>"...), nil
}

// keyInfo returns the KeyInfo element, with an attribute.
func (s *Signer) keyInfo(attribute string) ([]byte, error) {
	if s.Key == nil || s.Certificate == nil {
		return nil, refuse("key", "a signer needs a key and its certificate", nil)
	}
	public, ok := s.Key.Public().(*rsa.PublicKey)
	if !ok || !public.Equal(s.Certificate.PublicKey) {
		return nil, refuse("key", "the key is no RSA key, or not that of the certificate", nil)
	}
	if err := checkKey(public); err != nil {
		return nil, refuse("key", "too weak", err)
	}
	b := []byte("<ds:KeyInfo" + attribute + "><ds:X509Data>")
	if s.Embed {
		b = append(b, "<ds:X509Certificate>"...)
		b = base64.StdEncoding.AppendEncode(b, s.Certificate.Raw)
		b = append(b, "</ds:X509Certificate>"...)
	} else {
		b = append(b, "<ds:X509IssuerSerial><ds:X509IssuerName>"...)
		b = append(b, escape(s.Certificate.Issuer.String())...)
		b = append(b, "</ds:X509IssuerName><ds:X509SerialNumber>"+s.Certificate.SerialNumber.String()...)
		b = append(b, "</ds:X509SerialNumber></ds:X509IssuerSerial>"...)
	}
	return append(b, "</ds:X509Data></ds:KeyInfo>"...), nil
}

// escape escapes text as Canonical XML does.
func escape(s string) string {
	var b bytes.Buffer
	for _, r := range s {
		switch r {
		case '&':
			b.WriteString("&amp;")
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '\r':
			b.WriteString("&#xD;")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// checkCanonical refuses bytes that are not their own canonical form. What package iso20022 writes always is, but for supplementary data,
// which is kept as it was received.
func checkCanonical(element []byte) error {
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(element); err != nil || doc.Root() == nil {
		return refuse("message", "not well-formed", err)
	}
	canonical, err := dsig.MakeC14N11Canonicalizer().Canonicalize(doc.Root())
	if err != nil || !bytes.Equal(canonical, element) {
		return refuse("canonical", "not its own canonical form, so that others would come to another digest", err)
	}
	return nil
}
