package xmlsig

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"

	"github.com/parleypay/parley/payments/iso20022"
)

// Verifier verifies the signatures of registered signers. Its methods may run together.
type Verifier struct {
	// Certificates are those of all signers that are accepted. A signature names one of them; no chain of certificates is followed, since
	// rails register keys.
	Certificates []*x509.Certificate
	// Layout is what a signature has to cover. There is no default.
	Layout Layout
	// Now is the time at which a certificate must be valid. Nil means time.Now.
	Now func() time.Time
}

// Signed is what a signature covers: canonical bytes, of which the digests were taken. Decode these, never those received: only so can
// nothing else take the place of what was signed.
type Signed struct {
	Header      []byte // the AppHdr element without its Sgntr; of the layout Parts
	Document    []byte // the Document element; of the layout Parts
	Message     []byte // the whole message without the Sgntr; of the layout Whole
	Certificate *x509.Certificate
}

// Verify verifies the one signature of a message. Everything in it must be as the layout says: the signature stands in the Sgntr of the
// one AppHdr, and there are these references and transforms and no others. The error is an *Error.
func (v *Verifier) Verify(message []byte) (*Signed, error) {
	if err := v.checkShape(message); err != nil {
		return nil, err
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(message); err != nil || doc.Root() == nil {
		return nil, refuse("form", "not well-formed", err)
	}
	s := &signature{root: doc.Root()}
	for _, step := range []func() error{s.find, s.readInfo, func() error { return s.findSigner(v) }, s.checkValue} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if v.Layout == Whole {
		return s.whole()
	}
	return s.parts()
}

// checkShape reads the message strictly, and refuses it unless there is one AppHdr, with one Sgntr, with one Signature, and nothing else
// of the kind anywhere.
func (v *Verifier) checkShape(message []byte) error {
	if v.Layout != Whole && v.Layout != Parts {
		return refuse("form", "no layout is asked for", nil)
	}
	t, err := iso20022.Parse(message)
	if err != nil {
		return refuse("form", "not well-formed", err)
	}
	for _, name := range []string{"AppHdr", "Sgntr", "Signature", "SignedInfo", "KeyInfo"} {
		if n := len(named(t.Root(), name)); n != 1 {
			return refuse("form", "not exactly one element "+name, nil)
		}
	}
	if n := len(named(t.Root(), "Document")); v.Layout == Parts && n != 1 {
		return refuse("form", "not exactly one Document", nil)
	}
	sig := named(t.Root(), "Signature")[0]
	slot, _ := sig.Parent()
	header, _ := slot.Parent()
	if sig.Namespace() != namespace || slot.IsZero() || header.IsZero() || slot.Name() != "Sgntr" || header.Name() != "AppHdr" {
		return refuse("form", "the signature does not stand in the Sgntr of the AppHdr", nil)
	}
	for c := range slot.Children() {
		if c.Name() != "Signature" {
			return refuse("form", "something beside the signature", nil)
		}
	}
	return nil
}

// signature is one that is being verified. Its elements are found by walking down from the root, never by an Id.
type signature struct {
	root, header, slot, sig, info, keyInfo *etree.Element
	references                             []*etree.Element
	certificate                            *x509.Certificate
	method                                 string
	signedInfo                             []byte // canonical
}

// find finds the elements that checkShape has seen.
func (s *signature) find() error {
	s.header = first(s.root, "AppHdr")
	s.slot = first(s.header, "Sgntr")
	s.sig = first(s.slot, "Signature")
	s.info, s.keyInfo = child(s.sig, "SignedInfo"), child(s.sig, "KeyInfo")
	if s.info == nil || s.keyInfo == nil || child(s.sig, "SignatureValue") == nil || len(s.sig.ChildElements()) != 3 {
		return refuse("form", "a Signature has SignedInfo, SignatureValue and KeyInfo, and nothing else", nil)
	}
	return nil
}

// first returns the first element of a local name in e, itself included.
func first(e *etree.Element, name string) *etree.Element {
	if e == nil || e.Tag == name {
		return e
	}
	for _, c := range e.ChildElements() {
		if found := first(c, name); found != nil {
			return found
		}
	}
	return nil
}

// child returns the only child of a local name, in the namespace of signatures; nil if there is none or another.
func child(e *etree.Element, name string) (found *etree.Element) {
	for _, c := range e.ChildElements() {
		if c.Tag == name && c.NamespaceURI() == namespace {
			if found != nil {
				return nil
			}
			found = c
		}
	}
	return found
}

// readInfo reads SignedInfo in its canonical form, which is what is signed.
func (s *signature) readInfo() error {
	method := child(s.info, "CanonicalizationMethod")
	if method == nil {
		return refuse("form", "no CanonicalizationMethod", nil)
	}
	canonical, err := canonicalise(s.info, method)
	if err != nil {
		return err
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(canonical); err != nil {
		return refuse("form", "SignedInfo", err)
	}
	s.signedInfo = canonical
	info := doc.Root()
	m := child(info, "SignatureMethod")
	if m == nil {
		return refuse("form", "no SignatureMethod", nil)
	}
	s.method = m.SelectAttrValue("Algorithm", "")
	for _, c := range info.ChildElements() {
		switch {
		case c.NamespaceURI() != namespace:
			return refuse("form", "a foreign element in SignedInfo", nil)
		case c.Tag == "Reference":
			s.references = append(s.references, c)
		case c.Tag != "CanonicalizationMethod" && c.Tag != "SignatureMethod":
			return refuse("form", "something else in SignedInfo", nil)
		}
	}
	return nil
}

// canonicalise returns the canonical form of e that an element with an Algorithm names. Comments are never part of it.
func canonicalise(e, method *etree.Element) ([]byte, error) {
	var c dsig.Canonicalizer
	switch method.SelectAttrValue("Algorithm", "") {
	case c14n10:
		c = dsig.MakeC14N10RecCanonicalizer()
	case c14n11:
		c = dsig.MakeC14N11Canonicalizer()
	case excC14N:
		prefixes := ""
		if list := first(method, "InclusiveNamespaces"); list != nil {
			prefixes = list.SelectAttrValue("PrefixList", "")
		}
		c = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(prefixes)
	default:
		return nil, refuse("algorithm", "a form of canonical XML that is not accepted", nil)
	}
	ctx, err := etreeutils.NSBuildParentContext(e)
	if err != nil {
		return nil, refuse("form", "namespaces", err)
	}
	alone, err := etreeutils.NSDetatch(ctx, e)
	if err != nil {
		return nil, refuse("form", "namespaces", err)
	}
	b, err := c.Canonicalize(alone)
	if err != nil {
		return nil, refuse("form", "not to be made canonical", err)
	}
	return b, nil
}

// findSigner finds the registered certificate that KeyInfo names.
func (s *signature) findSigner(v *Verifier) error {
	text := func(path string) string {
		if e := s.keyInfo.FindElement("./X509Data/" + path); e != nil {
			return strings.TrimSpace(e.Text())
		}
		return ""
	}
	embedded, _ := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text("X509Certificate")), ""))
	serial, issuer := text("X509IssuerSerial/X509SerialNumber"), text("X509IssuerSerial/X509IssuerName")
	for _, c := range v.Certificates {
		named := len(embedded) > 0 && bytes.Equal(c.Raw, embedded)
		if len(embedded) == 0 {
			named = serial != "" && serial == c.SerialNumber.String() && sameName(issuer, c.Issuer.String())
		}
		if named {
			s.certificate = c
			break
		}
	}
	if s.certificate == nil {
		return refuse("certificate", "the signature names no registered certificate", nil)
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	if at := now(); at.Before(s.certificate.NotBefore) || at.After(s.certificate.NotAfter) {
		return refuse("certificate", "not valid at this time", nil)
	}
	if err := checkKey(s.certificate.PublicKey); err != nil {
		return refuse("certificate", "its key is too weak", err)
	}
	return nil
}

// sameName compares two distinguished names in text (RFC 4514), whatever the space between their parts.
func sameName(a, b string) bool {
	norm := func(s string) string {
		parts := strings.Split(s, ",")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		return strings.Join(parts, ",")
	}
	return a != "" && norm(a) == norm(b)
}

// checkValue verifies the signature of SignedInfo.
func (s *signature) checkValue() error {
	algorithm, ok := signatureAlgorithms[s.method]
	if !ok {
		return refuse("algorithm", "a signature method that is not accepted", nil)
	}
	value, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(child(s.sig, "SignatureValue").Text()), ""))
	if err != nil {
		return refuse("form", "SignatureValue is not base64", err)
	}
	if algorithm == x509.ECDSAWithSHA256 {
		if value, err = fromPairs(value); err != nil {
			return refuse("value", "not a pair of numbers", err)
		}
	}
	if err := s.certificate.CheckSignature(algorithm, s.signedInfo, value); err != nil {
		return refuse("value", "not the signature of SignedInfo by this certificate", err)
	}
	return nil
}

// digested returns the canonical bytes of e that reference k has the digest of. transforms are what it must say.
func (s *signature) digested(k int, e *etree.Element, isEnveloped bool) ([]byte, error) {
	ref := s.references[k]
	list, method, value := child(ref, "Transforms"), child(ref, "DigestMethod"), child(ref, "DigestValue")
	if list == nil || method == nil || value == nil || len(ref.ChildElements()) != 3 {
		return nil, refuse("reference", "a Reference has Transforms, DigestMethod and DigestValue, and nothing else", nil)
	}
	transforms := list.ChildElements()
	if isEnveloped {
		if len(transforms) == 0 || transforms[0].SelectAttrValue("Algorithm", "") != enveloped {
			return nil, refuse("reference", "the first transform takes out the signature", nil)
		}
		transforms = transforms[1:]
	}
	if len(transforms) != 1 || transforms[0].Tag != "Transform" {
		return nil, refuse("reference", "transforms other than to canonical XML", nil)
	}
	b, err := canonicalise(e, transforms[0])
	if err != nil {
		return nil, err
	}
	hash, ok := digests[method.SelectAttrValue("Algorithm", "")]
	if !ok {
		return nil, refuse("algorithm", "a digest that is not accepted", nil)
	}
	want, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value.Text()), ""))
	if err != nil {
		return nil, refuse("form", "DigestValue is not base64", err)
	}
	h := hash.New()
	h.Write(b)
	if !bytes.Equal(h.Sum(nil), want) {
		return nil, refuse("digest", "what is signed is not what is here", nil)
	}
	return b, nil
}

// uri returns the URI of reference k, and whether it has one.
func (s *signature) uri(k int) (string, bool) {
	a := s.references[k].SelectAttr("URI")
	if a == nil {
		return "", false
	}
	return a.Value, true
}

// whole checks the one reference of the layout Whole.
func (s *signature) whole() (*Signed, error) {
	if len(s.references) != 1 {
		return nil, refuse("reference", "not exactly one", nil)
	}
	if uri, ok := s.uri(0); !ok || uri != "" {
		return nil, refuse("reference", "not to the whole message", nil)
	}
	s.slot.RemoveChild(s.sig)
	b, err := s.digested(0, s.root, true)
	if err != nil {
		return nil, err
	}
	if b, err = withoutSlot(b); err != nil {
		return nil, err
	}
	return &Signed{Message: b, Certificate: s.certificate}, nil
}

// parts checks the three references of the layout Parts, in any order.
func (s *signature) parts() (*Signed, error) {
	if len(s.references) != 3 {
		return nil, refuse("reference", "not exactly three", nil)
	}
	id := s.keyInfo.SelectAttrValue("Id", "")
	out := &Signed{Certificate: s.certificate}
	key, err := false, error(nil)
	for k := range s.references {
		if uri, ok := s.uri(k); ok && uri != "" {
			if id == "" || uri != "#"+id || key {
				return nil, refuse("reference", "to something other than the KeyInfo of the signature", nil)
			}
			if _, err = s.digested(k, s.keyInfo, false); err != nil {
				return nil, err
			}
			key = true
		}
	}
	document := first(s.root, "Document")
	s.slot.RemoveChild(s.sig)
	for k := range s.references {
		switch uri, ok := s.uri(k); {
		case ok && uri == "" && out.Header == nil:
			if out.Header, err = s.digested(k, s.header, true); err == nil {
				out.Header, err = withoutSlot(out.Header)
			}
		case !ok && out.Document == nil:
			out.Document, err = s.digested(k, document, false)
		case !ok || uri == "":
			err = refuse("reference", "two to the same part", nil)
		}
		if err != nil {
			return nil, err
		}
	}
	if !key || out.Header == nil || out.Document == nil {
		return nil, refuse("reference", "KeyInfo, header and document are not all signed", nil)
	}
	return out, nil
}

// withoutSlot takes the Sgntr, which is empty without its signature, out of canonical bytes.
func withoutSlot(b []byte) ([]byte, error) {
	t, err := iso20022.Parse(b)
	if err != nil {
		return nil, refuse("form", "not well-formed", err)
	}
	slots := named(t.Root(), "Sgntr")
	if len(slots) != 1 {
		return nil, refuse("form", "not exactly one Sgntr", nil)
	}
	start, end := slots[0].Range()
	return concat(b[:start], b[end:]), nil
}
