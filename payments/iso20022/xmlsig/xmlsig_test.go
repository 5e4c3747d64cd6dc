package xmlsig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/parleypay/parley/internal/shared"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// certificate returns a certificate of a key, valid around now.
func certificate(key crypto.Signer, serial int64) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		Subject: pkix.Name{CommonName: "Example Bank", Organization: []string{"Example & Sons"}, Country: []string{"DE"}},
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))))
}

var keys = sync.OnceValue(func() (k struct {
	signer, other *Signer
	small         *rsa.PrivateKey
}) {
	for i, s := range []**Signer{&k.signer, &k.other} {
		key := must(rsa.GenerateKey(rand.Reader, 2048))
		*s = &Signer{Key: key, Certificate: certificate(key, int64(1000+i))}
	}
	k.small = must(rsa.GenerateKey(rand.Reader, 1024))
	return k
})

var header = iso20022.Header{Version: iso20022.HeaderV02, From: "AAAADEFF", To: "BBBBFRPPXXX", BizMsgID: "M-1", MsgDef: iso20022.CreditTransferV8, Created: now}

func transfer() *iso20022.CreditTransfer {
	bank := iso20022.Agent{ID: "AAAADEFF"}
	return &iso20022.CreditTransfer{
		MessageID: "M-1", Created: now, EndToEndID: "E2E-1", Amount: payments.Amount{Minor: 450, Currency: "EUR"}, ChargeBearer: "SLEV",
		Debtor:   iso20022.Party{Name: must(payments.ParseName("Zoë <Example> & \"Sons\"")), Account: must(payments.ParseAccount("DE89370400440532013000")), Agent: bank},
		Creditor: iso20022.Party{Name: must(payments.ParseName("Example Coffee")), Account: must(payments.ParseAccount("FR1420041010050500013M02606")), Agent: bank},
	}
}

// signedParts returns a message in a wrapper, signed in parts.
func signedParts(t testing.TB, s *Signer) []byte {
	t.Helper()
	document := must(transfer().Append(nil))
	signed, err := s.SignParts(must(header.Append(nil)), document)
	if err != nil {
		t.Fatal(err)
	}
	return concat([]byte(`<?xml version="1.0" encoding="UTF-8"?><Envelope xmlns="urn:example" xmlns:unused="urn:unused">`), signed, document, []byte("</Envelope>"))
}

// signedWhole returns a message as TCH RTP has it, signed as a whole.
func signedWhole(t testing.TB, s *Signer) []byte {
	t.Helper()
	document, appHdr := string(must(transfer().Append(nil))), string(must(header.Append(nil)))
	inner := strings.TrimSuffix(document[strings.Index(document, "<FI"):], "</Document>")
	inner = strings.NewReplacer("</", "</ct:", "<", "<ct:").Replace(inner)
	head := strings.TrimSuffix(appHdr[strings.Index(appHdr, "<Fr>"):], "</AppHdr>")
	head = strings.NewReplacer("</", "</head:", "<", "<head:").Replace(head)
	message := `<Message xmlns="urn:tch" xmlns:ct="` + iso20022.Namespace(iso20022.CreditTransferV8) + `" xmlns:head="` + iso20022.Namespace(iso20022.HeaderV02) + `"><AppHdr>` + head +
		`<head:Sgntr></head:Sgntr></AppHdr><CreditTransfer>` + inner + `</CreditTransfer></Message>`
	signed, err := s.SignWhole([]byte(message))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func verifier(layout Layout, signers ...*Signer) *Verifier {
	v := &Verifier{Layout: layout, Now: func() time.Time { return now }}
	for _, s := range signers {
		v.Certificates = append(v.Certificates, s.Certificate)
	}
	return v
}

func ruleOf(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return ""
	}
	return strings.TrimPrefix(e.Rule, "xmlsig.")
}

// What is signed is verified, and comes back as bytes that decode to what was signed.
func TestSignAndVerify(t *testing.T) {
	k := keys()
	for _, embed := range []bool{false, true} {
		s := *k.signer
		s.Embed = embed
		signed, err := verifier(Parts, k.other, &s).Verify(signedParts(t, &s))
		if err != nil {
			t.Fatal(err)
		}
		if string(signed.Header) != string(must(header.Append(nil))) || string(signed.Document) != string(must(transfer().Append(nil))) || signed.Certificate != s.Certificate || signed.Message != nil {
			t.Errorf("%s\n%s", signed.Header, signed.Document)
		}
		if h, err := iso20022.DecodeHeader(signed.Header); err != nil || h.BizMsgID != "M-1" {
			t.Error(err)
		}
		if m, err := iso20022.DecodeCreditTransfer(signed.Document); err != nil || m.Amount.Minor != 450 {
			t.Error(err)
		}
		message := signedWhole(t, &s)
		signed, err = verifier(Whole, &s).Verify(message)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(signed.Message, []byte("Sgntr")) || !bytes.Contains(signed.Message, []byte(`Ccy="EUR">4.50<`)) || signed.Document != nil {
			t.Errorf("%s", signed.Message)
		}
	}
}

// The digests are those of xmllint's canonical forms: of the parts in the exclusive form, of the whole and of SignedInfo in the inclusive.
func TestDigestsAgainstOracle(t *testing.T) {
	if _, err := exec.LookPath("xmllint"); err != nil {
		t.Skip("xmllint is not installed")
	}
	canonical := func(form string, b []byte) []byte {
		cmd := exec.Command("xmllint", form, "-")
		cmd.Stdin = bytes.NewReader(b)
		return must(cmd.Output())
	}
	k := keys()
	between := func(s, from, to string) string {
		_, s, _ = strings.Cut(s, from)
		s, _, _ = strings.Cut(s, to)
		return s
	}
	digest := func(b []byte) string {
		d := sha256.Sum256(b)
		return base64.StdEncoding.EncodeToString(d[:])
	}
	for _, c := range []struct {
		message []byte
		form    string
		digests []string // with what the digests are taken of
	}{
		{signedParts(t, k.signer), "--exc-c14n", nil},
		{signedWhole(t, k.signer), "--c14n11", nil},
	} {
		message := string(c.message)
		signature := "<ds:Signature" + between(message, "<ds:Signature", "</ds:Signature>") + "</ds:Signature>"
		without := strings.Replace(message, signature, "", 1)
		var of [][]byte
		if strings.Contains(message, "Envelope") {
			of = [][]byte{
				[]byte(strings.Replace("<ds:KeyInfo"+between(message, "<ds:KeyInfo", "</ds:KeyInfo>")+"</ds:KeyInfo>", "<ds:KeyInfo", "<ds:KeyInfo"+prefix, 1)),
				[]byte("<AppHdr" + between(without, "<AppHdr", "</AppHdr>") + "</AppHdr>"), []byte("<Document" + between(without, "<Document", "</Document>") + "</Document>"),
			}
		} else {
			of = [][]byte{[]byte(without)}
		}
		rest := message
		for i, b := range of {
			var value string
			_, rest, _ = strings.Cut(rest, "<ds:DigestValue>")
			value, rest, _ = strings.Cut(rest, "</ds:DigestValue>")
			if value != digest(canonical(c.form, b)) {
				t.Errorf("digest %d of %.60s", i, message)
			}
		}
		// SignedInfo where it stands: what xmllint makes of the whole message has it, in the inclusive form with what is declared around it.
		info := "<ds:SignedInfo" + between(message, "<ds:SignedInfo", "</ds:SignedInfo>") + "</ds:SignedInfo>"
		namespaces := prefix
		if c.form != "--exc-c14n" {
			namespaces = ` xmlns="urn:tch" xmlns:ct="` + iso20022.Namespace(iso20022.CreditTransferV8) + `"` + prefix + ` xmlns:head="` + iso20022.Namespace(iso20022.HeaderV02) + `"`
		}
		info = strings.Replace(info, "<ds:SignedInfo", "<ds:SignedInfo"+namespaces, 1)
		h := sha256.Sum256(canonical("--c14n", []byte(info)))
		value := must(base64.StdEncoding.DecodeString(between(message, "<ds:SignatureValue>", "</ds:SignatureValue>")))
		if err := rsa.VerifyPKCS1v15(k.signer.Key.Public().(*rsa.PublicKey), crypto.SHA256, h[:], value); err != nil {
			t.Errorf("%.60s: %v", message, err)
		}
	}
}

// A message that says the same in other words, as a gateway may make it, is still signed; one that says anything else is not, wherever
// it was changed.
func TestForms(t *testing.T) {
	k := keys()
	parts, v := string(signedParts(t, k.signer)), verifier(Parts, k.signer)
	for name, form := range map[string]string{
		"quotes":             strings.ReplaceAll(parts, `"EUR"`, `'EUR'`),
		"references":         strings.ReplaceAll(parts, ">Example Coffee<", ">Ex&#x61;mple Coffee<"),
		"comments":           strings.ReplaceAll(parts, "<Cdtr>", "<!-- c --><Cdtr>"),
		"CDATA":              strings.ReplaceAll(parts, ">Example Coffee<", "><![CDATA[Example Coffee]]><"),
		"no declaration":     strings.TrimPrefix(parts, `<?xml version="1.0" encoding="UTF-8"?>`),
		"space in tags":      strings.ReplaceAll(parts, "<Cdtr>", "<Cdtr  >"),
		"text in base64":     strings.ReplaceAll(parts, "<ds:SignatureValue>", "<ds:SignatureValue>\n "),
		"outside the parts":  strings.ReplaceAll(parts, "</Envelope>", " </Envelope>"),
		"another wrapper":    strings.NewReplacer("Envelope", "Other", "urn:example", "urn:other").Replace(parts),
		"a comment in a tag": strings.ReplaceAll(parts, "4.50", "4.<!-- -->50"),
	} {
		signed, err := v.Verify([]byte(form))
		if err != nil || string(signed.Document) != string(must(transfer().Append(nil))) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, message := range []string{parts, string(signedWhole(t, k.signer))} {
		v := verifier(Parts, k.signer)
		if !strings.Contains(message, "Envelope") {
			v = verifier(Whole, k.signer)
		}
		accepted := 0
		for i := 0; i < len(message); i += 3 {
			changed := []byte(message)
			switch c := changed[i]; {
			case c >= '0' && c < '9' || c >= 'a' && c < 'z' || c >= 'A' && c < 'Z':
				changed[i]++
			default:
				continue
			}
			if _, err := v.Verify(changed); err == nil {
				// only what is not covered: names and namespaces of the wrapper, and the XML declaration
				if accepted++; i > strings.Index(message, "<AppHdr") && i < strings.LastIndex(message, "</Envelope") || v.Layout == Whole {
					t.Errorf("accepted with %q changed", message[max(0, i-20):i+10])
				}
			}
		}
		if v.Layout == Parts && accepted == 0 {
			t.Error("nothing was accepted: the test shows nothing")
		}
	}
}

// Attacks, each of which leaves the signature itself right or plays with it.
func TestAttacks(t *testing.T) {
	k := keys()
	parts, whole := string(signedParts(t, k.signer)), string(signedWhole(t, k.signer))
	cut := func(s, from, to string) string {
		i := strings.Index(s, from)
		return s[i : i+strings.Index(s[i:], to)+len(to)]
	}
	document, signature, keyInfo := cut(parts, "<Document", "</Document>"), cut(parts, "<ds:Signature ", "</ds:Signature>"), cut(parts, "<ds:KeyInfo", "</ds:KeyInfo>")
	evil := strings.Replace(document, "4.50", "999.00", 1)
	expired := *verifier(Parts, k.signer)
	expired.Now = func() time.Time { return now.Add(2 * time.Hour) }
	early := *verifier(Parts, k.signer)
	early.Now = func() time.Time { return now.Add(-2 * time.Hour) }
	weak := &Signer{Key: k.small, Certificate: certificate(k.small, 7)}
	for _, c := range []struct {
		name, message string
		v             *Verifier
		rule          string
	}{
		{"another amount", strings.Replace(parts, "4.50", "4.51", 1), nil, "digest"},
		{"another header", strings.Replace(parts, ">M-1<", ">M-2<", 1), nil, "digest"},
		{"a second document in front", strings.Replace(parts, document, evil+document, 1), nil, "form"},
		{"a second document behind", strings.Replace(parts, document, document+evil, 1), nil, "form"},
		{"the document moved into a wrapper", strings.Replace(parts, document, evil+"<x>"+document+"</x>", 1), nil, "form"},
		{"a document inside the signature", strings.Replace(strings.Replace(parts, document, evil, 1), "</ds:KeyInfo>", "</ds:KeyInfo><ds:Object>"+document+"</ds:Object>", 1), nil, "form"},
		{"a second header", strings.Replace(parts, "<AppHdr", `<AppHdr xmlns="urn:x"></AppHdr><AppHdr`, 1), nil, "form"},
		{"a second signature", strings.Replace(parts, signature, signature+signature, 1), nil, "form"},
		{"a signature elsewhere", strings.Replace(strings.Replace(parts, signature, "", 1), "</Envelope>", signature+"</Envelope>", 1), nil, "form"},
		{"no signature", strings.Replace(parts, signature, "", 1), nil, "form"},
		{"an object in the signature", strings.Replace(parts, "</ds:Signature>", "<ds:Object></ds:Object></ds:Signature>", 1), nil, "form"},
		{"two SignedInfo", strings.Replace(parts, "<ds:SignatureValue>", "<ds:SignedInfo></ds:SignedInfo><ds:SignatureValue>", 1), nil, "form"},
		{"another key info", strings.Replace(parts, keyInfo, strings.Replace(keyInfo, "</ds:X509Data>", "<ds:X509SubjectName>x</ds:X509SubjectName></ds:X509Data>", 1), 1), nil, "digest"},
		{"another namespace of the signature", strings.ReplaceAll(parts, "xmldsig#\"", "xmldsig2#\""), nil, "form"},
		{"another signer", parts, verifier(Parts, k.other), "certificate"},
		{"no signer", parts, verifier(Parts), "certificate"},
		{"expired", parts, &expired, "certificate"},
		{"not valid yet", parts, &early, "certificate"},
		{"another layout", parts, verifier(Whole, k.signer), "reference"},
		{"the other layout", whole, verifier(Parts, k.signer), "form"},
		{"no layout", parts, &Verifier{Certificates: []*x509.Certificate{k.signer.Certificate}}, "form"},
		{"a changed digest", strings.Replace(parts, "<ds:DigestValue>", "<ds:DigestValue>AAAA", 1), nil, "value"},
		{"a changed method", strings.Replace(parts, rsaSHA256, rsaSHA512, 1), nil, "value"},
		{"SHA-1", strings.Replace(parts, rsaSHA256, "http://www.w3.org/2000/09/xmldsig#rsa-sha1", 1), nil, "algorithm"},
		{"HMAC", strings.Replace(parts, rsaSHA256, "http://www.w3.org/2000/09/xmldsig#hmac-sha256", 1), nil, "algorithm"},
		{"another canonical form", strings.Replace(parts, `CanonicalizationMethod Algorithm="`+excC14N, `CanonicalizationMethod Algorithm="`+excC14N+"WithComments", 1), nil, "algorithm"},
		{"an amount in the whole", strings.Replace(whole, "4.50", "4.51", 1), verifier(Whole, k.signer), "digest"},
		{"the wrapper of the whole", strings.ReplaceAll(whole, "CreditTransfer>", "Refund>"), verifier(Whole, k.signer), "digest"},
		{"an element in the whole", strings.Replace(whole, "</Message>", "<x></x></Message>", 1), verifier(Whole, k.signer), "digest"},
		{"a namespace around the whole", strings.Replace(whole, "<Message ", `<Message xmlns:x="urn:x" `, 1), verifier(Whole, k.signer), "value"},
		{"DOCTYPE", `<!DOCTYPE x [<!ENTITY e "4.50">]>` + strings.TrimPrefix(parts, `<?xml version="1.0" encoding="UTF-8"?>`), nil, "form"},
		{"empty", "", nil, "form"},
		{"not XML", "x", nil, "form"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := c.v
			if v == nil {
				v = verifier(Parts, k.signer)
			}
			signed, err := v.Verify([]byte(c.message))
			if ruleOf(err) != c.rule || signed != nil {
				t.Errorf("%v, want %s", err, c.rule)
			}
			if err != nil && (strings.Contains(err.Error(), "999") || strings.Contains(err.Error(), "Example")) {
				t.Errorf("the error repeats the message: %v", err)
			}
		})
	}
	if _, err := weak.SignParts(must(header.Append(nil)), must(transfer().Append(nil))); ruleOf(err) != "key" {
		t.Error(err)
	}
}

// forged builds a signature whose SignedInfo says what the test wants, properly signed: a registered signer, or one that was lured.
func forged(t *testing.T, s *Signer, change func(info string) string) []byte {
	t.Helper()
	message := string(signedParts(t, s))
	i, j := strings.Index(message, "<ds:SignedInfo>"), strings.Index(message, "</ds:SignedInfo>")+len("</ds:SignedInfo>")
	info := change(message[i:j])
	h := sha256.Sum256(standAlone([]byte(info), prefix))
	value := base64.StdEncoding.EncodeToString(must(s.Key.Sign(rand.Reader, h[:], crypto.SHA256)))
	rest := message[j:]
	k, l := strings.Index(rest, "<ds:SignatureValue>")+len("<ds:SignatureValue>"), strings.Index(rest, "</ds:SignatureValue>")
	return []byte(message[:i] + info + rest[:k] + value + rest[l:])
}

// What a right signature may not say.
func TestReferences(t *testing.T) {
	s := keys().signer
	reference := func(info string, n int) string {
		parts := strings.SplitAfter(info, "</ds:Reference>")
		if n == 0 {
			return parts[0][strings.Index(parts[0], "<ds:Reference"):]
		}
		return parts[n]
	}
	replace := func(old, new string) func(string) string {
		return func(info string) string {
			if !strings.Contains(info, old) {
				t.Fatalf("no %s", old)
			}
			return strings.Replace(info, old, new, 1)
		}
	}
	exclusive := `<ds:Transform Algorithm="` + excC14N + `"></ds:Transform>`
	for _, c := range []struct {
		name   string
		change func(string) string
		rule   string
	}{
		{"as it was", func(info string) string { return info }, ""},
		{"white space", func(info string) string { return strings.ReplaceAll(info, "><", ">\n<") }, ""},
		{"another order", func(info string) string {
			a, b := reference(info, 1), reference(info, 2)
			return strings.Replace(strings.Replace(info, a+b, "@", 1), "@", b+a, 1)
		}, ""},
		{"the document is left out", func(info string) string { return strings.Replace(info, reference(info, 2), "", 1) }, "reference"},
		{"the header twice", func(info string) string { return strings.Replace(info, reference(info, 2), reference(info, 1), 1) }, "reference"},
		{"the key info twice", func(info string) string { return strings.Replace(info, reference(info, 2), reference(info, 0), 1) }, "reference"},
		{"four references", func(info string) string {
			return strings.Replace(info, reference(info, 2), strings.Repeat(reference(info, 2), 2), 1)
		}, "reference"},
		{"to another element", replace("#keyInfo", "#other"), "reference"},
		{"a file", replace(`URI="#keyInfo"`, `URI="file:///etc/passwd"`), "reference"},
		{"XPath", replace(exclusive, `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>1</ds:XPath></ds:Transform>`), "algorithm"},
		{"XSLT before", replace(exclusive, `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"></ds:Transform>`+exclusive), "reference"},
		{"not enveloped", replace(`<ds:Transform Algorithm="`+enveloped+`"></ds:Transform>`, ""), "reference"},
		{"no transforms", replace("<ds:Transforms>"+exclusive+"</ds:Transforms>", ""), "reference"},
		{"SHA-1 digest", replace(sha256URI, "http://www.w3.org/2000/09/xmldsig#sha1"), "algorithm"},
		{"digest that is no base64", replace("<ds:DigestValue>", "<ds:DigestValue>!"), "form"},
		{"empty digest", func(info string) string {
			i := strings.Index(info, "<ds:DigestValue>") + len("<ds:DigestValue>")
			return info[:i] + info[strings.Index(info, "</ds:DigestValue>"):]
		}, "digest"},
		{"two digests", replace("</ds:DigestValue>", "</ds:DigestValue><ds:DigestValue></ds:DigestValue>"), "reference"},
		{"a foreign element", replace("<ds:SignatureMethod", `<x xmlns="urn:x"></x><ds:SignatureMethod`), "form"},
		{"something else", replace("<ds:SignatureMethod", `<ds:Object></ds:Object><ds:SignatureMethod`), "form"},
	} {
		signed, err := verifier(Parts, s).Verify(forged(t, s, c.change))
		if ruleOf(err) != c.rule || (signed == nil) != (err != nil) {
			t.Errorf("%s: %v, want %q", c.name, err, c.rule)
		}
	}
}

// ECDSA signatures are pairs of numbers in XML.
func TestECDSA(t *testing.T) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	cert := certificate(key, 9)
	base := *keys().signer
	base.Certificate = certificate(base.Key, 9)
	base.Embed = false
	message := forged(t, &base, func(info string) string { return strings.Replace(info, rsaSHA256, ecSHA256, 1) })
	i, j := bytes.Index(message, []byte("<ds:SignedInfo>")), bytes.Index(message, []byte("</ds:SignedInfo>"))+len("</ds:SignedInfo>")
	h := sha256.Sum256(standAlone(message[i:j], prefix))
	r, s := must2(ecdsa.Sign(rand.Reader, key, h[:]))
	value := base64.StdEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	a, b := bytes.Index(message, []byte("<ds:SignatureValue>"))+len("<ds:SignatureValue>"), bytes.Index(message, []byte("</ds:SignatureValue>"))
	good := concat(message[:a], []byte(value), message[b:])
	v := &Verifier{Certificates: []*x509.Certificate{cert}, Layout: Parts, Now: func() time.Time { return now }}
	if _, err := v.Verify(good); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "AA==", base64.StdEncoding.EncodeToString(make([]byte, 64))} {
		if _, err := v.Verify(concat(message[:a], []byte(bad), message[b:])); ruleOf(err) != "value" {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

// A signer refuses what it cannot sign rightly.
func TestSignRefusals(t *testing.T) {
	k := keys()
	head, document := must(header.Append(nil)), must(transfer().Append(nil))
	supplement := transfer()
	supplement.Supplementary.Message = must(iso20022.NewSupplementaryData("", []byte("<x a='1' />")))
	for name, c := range map[string]struct {
		s        *Signer
		header   []byte
		document []byte
		rule     string
	}{
		"no key":                {&Signer{Certificate: k.signer.Certificate}, head, document, "key"},
		"no certificate":        {&Signer{Key: k.signer.Key}, head, document, "key"},
		"another's certificate": {&Signer{Key: k.signer.Key, Certificate: k.other.Certificate}, head, document, "key"},
		"another kind of key":   {&Signer{Key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), Certificate: k.signer.Certificate}, head, document, "key"},
		"supplementary data":    {k.signer, head, must(supplement.Append(nil)), "canonical"},
		"indented":              {k.signer, bytes.ReplaceAll(head, []byte("<To>"), []byte("<To >")), document, "canonical"},
		"an XML declaration":    {k.signer, append([]byte("<?xml version=\"1.0\"?>"), head...), document, "canonical"},
		"no header":             {k.signer, document, document, "message"},
		"not XML":               {k.signer, []byte("x"), document, "message"},
		"empty":                 {k.signer, nil, nil, "message"},
	} {
		if b, err := c.s.SignParts(c.header, c.document); ruleOf(err) != c.rule || b != nil {
			t.Errorf("%s: %v, want %s", name, err, c.rule)
		}
	}
	for name, message := range map[string]string{
		"no slot":      "<a></a>",
		"two slots":    "<a><Sgntr></Sgntr><Sgntr></Sgntr></a>",
		"signed":       string(signedWhole(t, k.signer)),
		"text in slot": "<a><Sgntr>x</Sgntr></a>",
	} {
		if b, err := k.signer.SignWhole([]byte(message)); ruleOf(err) != "message" || b != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	k := keys()
	f.Add(signedParts(f, k.signer))
	f.Add(signedWhole(f, k.signer))
	want := must(transfer().Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, layout := range []Layout{Whole, Parts} {
			signed, err := verifier(layout, k.signer).Verify(b)
			if err == nil && layout == Parts && !bytes.Equal(signed.Document, want) {
				t.Fatalf("something else is signed: %s", signed.Document)
			}
		}
	})
}

func BenchmarkSign(b *testing.B) {
	s, head, document := keys().signer, must(header.Append(nil)), must(transfer().Append(nil))
	for b.Loop() {
		must(s.SignParts(head, document))
	}
}

func BenchmarkVerify(b *testing.B) {
	message, v := signedParts(b, keys().signer), verifier(Parts, keys().signer)
	for b.Loop() {
		must(v.Verify(message))
	}
}

// A message that was signed on TCH RTP (it is quoted in a published rejection) has the digest that its signature says. Its certificate is
// not published, so that the signature itself cannot be verified.
func TestPublishedDigest(t *testing.T) {
	tree := must(iso20022.Parse(shared.Read(t, "iso20022/samples/rtp-admi.002.xml")))
	data, ok := tree.Find(iso20022.Namespace(iso20022.RejectionV1), "AddtlData")
	if !ok {
		t.Fatal("no AddtlData")
	}
	message := []byte(data.Text())
	if _, err := verifier(Whole, keys().signer).Verify(message); ruleOf(err) != "certificate" {
		t.Errorf("%v, want certificate", err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(message); err != nil {
		t.Fatal(err)
	}
	s := &signature{root: doc.Root()}
	if err := errors.Join(s.find(), s.readInfo()); err != nil {
		t.Fatal(err)
	}
	if signed, err := s.whole(); err != nil || !bytes.Contains(signed.Message, []byte("RCVD")) {
		t.Errorf("%v", err)
	}
}
