package mls

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"
)

// testCA is a certificate authority that other certificates hang below.
type testCA struct {
	cert *x509.Certificate
	key  crypto.Signer
}

var (
	caStart = time.Unix(testTime-1000, 0)
	caEnd   = time.Unix(testTime+1000, 0)
)

// issue makes a certificate for key, below ca or, without one, below itself.
func issue(t testing.TB, ca *testCA, key crypto.Signer, change func(*x509.Certificate)) *testCA {
	t.Helper()
	cert := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "test"}, NotBefore: caStart, NotAfter: caEnd,
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true}
	if change != nil {
		change(cert)
	}
	parent, signer := cert, key
	if ca != nil {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &testCA{made, key}
}

func authority(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.KeyUsage = name, true, x509.KeyUsageCertSign
	}
}

func client(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "parley", Opaque: name}} }
}

func ecdsaKey(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certified is a root, an intermediate and the provider that trusts the root.
func certified(t testing.TB) (root, middle *testCA, p *X509Identity) {
	t.Helper()
	root = issue(t, nil, ecdsaKey(t, elliptic.P384()), authority("root"))
	middle = issue(t, root, ecdsaKey(t, elliptic.P256()), authority("middle"))
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	return root, middle, &X509Identity{Roots: pool, Now: func() time.Time { return time.Unix(testTime, 0) }}
}

// Members with certificates make a group, join it, change keys and refuse strangers, in every signature scheme.
func TestX509Group(t *testing.T) {
	for _, id := range []CipherSuite{X25519AES128GCM, P256AES128GCM, P521AES256GCM, XWingAES256GCM} {
		s, _ := lookupSuite(id)
		_, middle, provider := certified(t)
		policy := leafPolicy{identity: provider, now: testTime, lifetimeMax: 2000}
		member := func(name string) (crypto.Signer, Credential) {
			key, err := id.GenerateSignatureKey()
			if err != nil {
				t.Fatal(err)
			}
			return key, X509Credential(issue(t, middle, key, client(name)).cert.Raw, middle.cert.Raw)
		}
		options := func(key crypto.Signer, c Credential) KeyPackageOptions {
			return KeyPackageOptions{Suite: id, Signer: key, Credential: c, Lifetime: Lifetime{testTime - 10, testTime + 10}}
		}
		aKey, a := member("a")
		g, err := createGroup(rand.Reader, []byte("certified"), options(aKey, a), nil, policy)
		if err != nil {
			t.Fatal(id, err)
		}
		bKey, b := member("b")
		k, err := s.newKeyPackage(rand.Reader, options(bKey, b))
		if err != nil {
			t.Fatal(err)
		}
		p, err := g.makeCommit(rand.Reader, commitRequest{byValue: []Proposal{&Add{k.keyPackage}}, signer: aKey, policy: policy, wireFormat: WireFormatPublicMessage})
		if err != nil {
			t.Fatal(id, err)
		}
		j, err := join(p.welcome, joinInputs{keyPackage: &k.keyPackage, initKey: k.init, leafKey: k.leaf, policy: policy})
		if err != nil {
			t.Fatal(id, err)
		}
		if got, err := j.state.tree.leaf(0).Credential.LeafCertificate(); err != nil || got.URIs[0].String() != "parley:a" {
			t.Errorf("%v: the creator's certificate: %v", id, err)
		}
		// b renews key and certificate by a commit, which a takes
		nextKey, next := member("b")
		renew := func(c Credential, key crypto.Signer) error {
			p2, err := j.state.makeCommit(rand.Reader, commitRequest{path: true, signer: bKey, nextSigner: key, policy: policy,
				wireFormat: WireFormatPublicMessage, leaf: func(l *LeafNode) { l.Credential = c }})
			if err != nil {
				return err
			}
			_, err = p.next.stageCommit(verifiedContent{AuthenticatedContent: &p2.content}, commitInputs{policy: policy})
			return err
		}
		if err := renew(next, nextKey); err != nil {
			t.Error(id, err)
		}
		strangerKey, stranger := member("c")
		wantRule(t, renew(stranger, strangerKey), "5.3.1") // another client
		wantRule(t, renew(next, strangerKey), "5.3.1")     // another key than the certificate's
		again, err := s.newKeyPackage(rand.Reader, options(nextKey, next))
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.next.apply(&proposalList{adds: []*Add{{again.keyPackage}}}, policy)
		wantRule(t, err, "12.2") // b is in the group
	}
}

// Chains with exactly one fault each.
func TestX509Refusals(t *testing.T) {
	root, middle, provider := certified(t)
	key := ecdsaKey(t, elliptic.P256())
	raw := func(k crypto.Signer) SignaturePublicKey {
		b, err := k.Public().(*ecdsa.PublicKey).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := issue(t, middle, key, client("a")).cert.Raw
	chain := func(change func(*x509.Certificate)) Credential {
		return X509Credential(issue(t, middle, key, func(c *x509.Certificate) { client("a")(c); change(c) }).cert.Raw, middle.cert.Raw)
	}
	other := issue(t, nil, ecdsaKey(t, elliptic.P256()), authority("root")) // same name, not trusted
	otherMiddle := issue(t, other, ecdsaKey(t, elliptic.P256()), authority("middle"))
	notCA := issue(t, root, ecdsaKey(t, elliptic.P256()), nil)
	oldMiddle := issue(t, root, ecdsaKey(t, elliptic.P256()), func(c *x509.Certificate) { authority("middle")(c); c.NotAfter = time.Unix(testTime-1, 0) })
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	huge := issue(t, nil, ecdsaKey(t, elliptic.P256()), func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, certificateMaxBytes)}}
	}).cert.Raw
	critical := func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
	}
	for what, tt := range map[string]struct {
		c    Credential
		key  SignaturePublicKey
		want string // empty: valid
	}{
		"good":                    {X509Credential(good, middle.cert.Raw), raw(key), ""},
		"with the root":           {X509Credential(good, middle.cert.Raw, root.cert.Raw), raw(key), ""},
		"in another order":        {X509Credential(good, root.cert.Raw, middle.cert.Raw), raw(key), ""},
		"directly below the root": {X509Credential(issue(t, root, key, client("a")).cert.Raw), raw(key), ""},
		"nothing":                 {X509Credential(), raw(key), "without a certificate"},
		"basic":                   {BasicCredential([]byte("a")), raw(key), "of this type"},
		"intermediate missing":    {X509Credential(good), raw(key), "none of the roots"},
		"other authority":         {X509Credential(issue(t, otherMiddle, key, client("a")).cert.Raw, otherMiddle.cert.Raw, other.cert.Raw), raw(key), "none of the roots"},
		"self-signed":             {X509Credential(issue(t, nil, key, client("a")).cert.Raw), raw(key), "none of the roots"},
		"below a client":          {X509Credential(issue(t, notCA, key, client("a")).cert.Raw, notCA.cert.Raw), raw(key), "chain of certificates"},
		"intermediate expired":    {X509Credential(issue(t, oldMiddle, key, client("a")).cert.Raw, oldMiddle.cert.Raw), raw(key), "not valid now"},
		"expired":                 {chain(func(c *x509.Certificate) { c.NotAfter = time.Unix(testTime-1, 0) }), raw(key), "not valid now"},
		"not yet valid":           {chain(func(c *x509.Certificate) { c.NotBefore = time.Unix(testTime+1, 0) }), raw(key), "not valid now"},
		"another key":             {X509Credential(good, middle.cert.Raw), raw(ecdsaKey(t, elliptic.P256())), "not the leaf's signature key"},
		"key cut":                 {X509Credential(good, middle.cert.Raw), raw(key)[:64], "not the leaf's signature key"},
		"key compressed":          {X509Credential(good, middle.cert.Raw), elliptic.MarshalCompressed(elliptic.P256(), key.X, key.Y), "not the leaf's signature key"},
		"RSA":                     {X509Credential(issue(t, middle, rsaKey, client("a")).cert.Raw, middle.cert.Raw), raw(key), "no cipher suite"},
		"Ed25519 beside P-256":    {X509Credential(issue(t, middle, edKey, client("a")).cert.Raw, middle.cert.Raw), raw(key), "not the leaf's signature key"},
		"key for agreement only":  {chain(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }), raw(key), "not for digital signatures"},
		"an authority":            {chain(func(c *x509.Certificate) { c.IsCA = true }), raw(key), "certificate authority"},
		"critical extension":      {chain(critical), raw(key), "does not hold"},
		"no name":                 {chain(func(c *x509.Certificate) { c.URIs = nil }), raw(key), "0 URIs"},
		"two names":               {chain(func(c *x509.Certificate) { c.URIs = append(c.URIs, &url.URL{Scheme: "parley", Opaque: "b"}) }), raw(key), "2 URIs"},
		"malformed":               {X509Credential(good[:200], middle.cert.Raw), raw(key), "malformed certificate"},
		"trailing octets":         {X509Credential(append(bytes.Clone(good), 0), middle.cert.Raw), raw(key), "malformed certificate"},
		"malformed intermediate":  {X509Credential(good, []byte("x")), raw(key), "malformed certificate"},
		"large intermediate":      {X509Credential(good, huge), raw(key), "at most"},
		"long chain":              {X509Credential(append([][]byte{good}, make([][]byte, maxCertificates)...)...), raw(key), "at most 16"},
	} {
		err := provider.ValidateMember(tt.c, tt.key)
		if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", what, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), "parley:") || strings.Contains(err.Error(), "middle")) {
			t.Errorf("%s: the error quotes the certificate: %v", what, err)
		}
	}

	usage := *provider
	usage.ExtKeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if usage.ValidateMember(chain(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), raw(key)) == nil {
		t.Error("a certificate for another use was taken")
	}
	if err := usage.ValidateMember(chain(func(c *x509.Certificate) { c.ExtKeyUsage = usage.ExtKeyUsages }), raw(key)); err != nil {
		t.Error(err)
	}
	known := *provider
	known.Intermediates = x509.NewCertPool()
	known.Intermediates.AddCert(middle.cert)
	if err := known.ValidateMember(X509Credential(good), raw(key)); err != nil {
		t.Errorf("a chain without what everybody has: %v", err)
	}
	for _, p := range []*X509Identity{{}, {Roots: provider.Roots}, {Now: provider.Now}} {
		if p.ValidateMember(X509Credential(good, middle.cert.Raw), raw(key)) == nil {
			t.Error("a provider without roots or clock took a certificate")
		}
	}
	refusing := *provider
	refusing.Client = func(*x509.Certificate) (string, error) { return "", errors.New("revoked") }
	if refusing.ValidateMember(X509Credential(good, middle.cert.Raw), raw(key)) == nil || refusing.SameClient(X509Credential(good), X509Credential(good)) {
		t.Error("a refused client was taken")
	}

	sender := ExternalSender{raw(key), X509Credential(good, middle.cert.Raw)}
	if provider.ValidateExternalSender(sender) == nil {
		t.Error("a client is an external sender although nobody said so")
	}
	external := *provider
	external.External = func(*x509.Certificate) error { return nil }
	if err := external.ValidateExternalSender(sender); err != nil {
		t.Error(err)
	}
	sender.SignatureKey = raw(ecdsaKey(t, elliptic.P256()))
	if external.ValidateExternalSender(sender) == nil {
		t.Error("an external sender with another key than its certificate's")
	}

	a, b := chain(client("a")), chain(client("b"))
	expired := chain(func(c *x509.Certificate) { c.NotAfter = time.Unix(testTime-1, 0) })
	if provider.ValidSuccessor(expired, a) != nil || !provider.SameClient(a, expired) {
		t.Error("a renewed certificate is not of the same client")
	}
	if provider.ValidSuccessor(a, b) == nil || provider.SameClient(a, b) {
		t.Error("two clients are one")
	}
	if provider.ValidSuccessor(BasicCredential([]byte("a")), a) == nil || provider.ValidSuccessor(a, BasicCredential([]byte("a"))) == nil || provider.SameClient(a, Credential{}) {
		t.Error("a credential of another type was compared")
	}
}

func TestBasicIdentity(t *testing.T) {
	fits := func(identity []byte, key SignaturePublicKey) error {
		if string(identity) == "a" && string(key) == "key of a" {
			return nil
		}
		return errors.New("unknown")
	}
	p := BasicIdentity{Member: fits}
	a, b, certificate := BasicCredential([]byte("a")), BasicCredential([]byte("b")), X509Credential([]byte("a"))
	key := SignaturePublicKey("key of a")
	for what, err := range map[string]error{
		"other identity":         p.ValidateMember(b, key),
		"other key":              p.ValidateMember(a, SignaturePublicKey("key")),
		"certificate":            p.ValidateMember(certificate, key),
		"no functions":           BasicIdentity{}.ValidateMember(a, key),
		"external, not allowed":  p.ValidateExternalSender(ExternalSender{key, a}),
		"external, other key":    BasicIdentity{External: fits}.ValidateExternalSender(ExternalSender{nil, a}),
		"another successor":      p.ValidSuccessor(a, b),
		"successor of a type":    p.ValidSuccessor(a, certificate),
		"successor of a type, 2": p.ValidSuccessor(certificate, certificate),
	} {
		if err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	if err := errors.Join(p.ValidateMember(a, key), p.ValidSuccessor(a, BasicCredential([]byte("a"))),
		BasicIdentity{External: fits}.ValidateExternalSender(ExternalSender{key, a})); err != nil {
		t.Error(err)
	}
	if !p.SameClient(a, BasicCredential([]byte("a"))) || p.SameClient(a, b) || p.SameClient(a, certificate) || p.SameClient(Credential{}, Credential{}) {
		t.Error("clients are mixed up")
	}
}
