package intent

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/parleypay/parley/internal/shared"
)

type wycheproof struct {
	TestGroups []struct {
		PublicKey struct{ Uncompressed, PK string }
		JWK       *struct{ Kty, Crv, X, Y string } `json:"publicKeyJwk"`
		Tests     []struct {
			TcID            int
			Comment, Result string
			Msg, Sig        string
		}
	}
}

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	return must[[]byte](t)(hex.DecodeString(s))
}

// Wycheproof's signatures, with the key through our JWK reader and the signature through the check that every JWS goes through.
func TestWycheproof(t *testing.T) {
	for file, least := range map[string]int{"ecdsa_secp256r1_sha256_p1363_test.json": 262, "ed25519_test.json": 151} {
		t.Run(file, func(t *testing.T) {
			var suite wycheproof
			if err := json.Unmarshal(shared.Read(t, "bad-inputs/wycheproof/"+file), &suite); err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, group := range suite.TestGroups {
				var public crypto.PublicKey = ed25519.PublicKey(fromHex(t, group.PublicKey.PK))
				if u := group.PublicKey.Uncompressed; u != "" {
					public = must[*ecdsa.PublicKey](t)(ecdsa.ParseUncompressedPublicKey(elliptic.P256(), fromHex(t, u)))
				}
				key, err := NewPublicKey(public)
				if err != nil {
					t.Fatal(err)
				}
				if j := group.JWK; j != nil {
					jwk := object(is("kty", text(j.Kty)), is("crv", text(j.Crv)), is("x", text(j.X))).withText("y", j.Y).append(nil)
					if read, err := ParseJWK(jwk); err != nil || read != key {
						t.Errorf("%s: %v", jwk, err)
					}
				}
				for _, c := range group.Tests {
					n++
					if got := key.verify(fromHex(t, c.Msg), fromHex(t, c.Sig)); got != (c.Result == "valid") {
						t.Errorf("%d (%s): verified %v, want %s", c.TcID, c.Comment, got, c.Result)
					}
				}
			}
			if n < least {
				t.Errorf("only %d cases", n)
			}
		})
	}
}

// Wycheproof's whole JWS: they use other headers than ours, so that none may pass; nor may any panic.
func TestWycheproofJWS(t *testing.T) {
	var suite struct {
		TestGroups []struct {
			Tests []struct{ JWS any }
		}
	}
	if err := json.Unmarshal(shared.Read(t, "bad-inputs/wycheproof/json_web_signature_test.json"), &suite); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, group := range suite.TestGroups {
		for _, c := range group.Tests {
			s, _ := c.JWS.(string)
			n++
			if _, err := parseCompact([]byte(s)); err == nil {
				t.Errorf("accepted: %.80s", s)
			}
		}
	}
	if n < 400 {
		t.Errorf("only %d cases", n)
	}
}

// A key of small order verifies the same signature over many messages: R the identity, S zero.
func TestSmallOrderKeys(t *testing.T) {
	identity := append([]byte{1}, make([]byte, 63)...)
	for s := range smallOrderPoints {
		for _, sign := range []byte{0, 0x80} {
			point := fromHex(t, s)
			point[31] |= sign
			if _, err := NewPublicKey(ed25519.PublicKey(point)); err == nil {
				t.Errorf("%x accepted", point)
			}
			hits := 0
			for i := range 64 {
				if ed25519.Verify(point, []byte{byte(i)}, identity) {
					hits++
				}
			}
			// The order divides the challenge for one message in eight at least.
			if sign == 0 && hits == 0 {
				t.Errorf("%s is not of small order", s)
			}
		}
	}
}

func TestKeysRefused(t *testing.T) {
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	for _, key := range []crypto.PublicKey{nil, "key", ed25519.PublicKey{1, 2}, ed25519.PublicKey(make([]byte, 32)), &p384.PublicKey, (*ecdsa.PublicKey)(nil)} {
		if _, err := NewPublicKey(key); err == nil {
			t.Errorf("%T accepted", key)
		}
	}
	if (PublicKey{}).verify([]byte("x"), make([]byte, 64)) {
		t.Error("no key verified something")
	}
	x := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	for _, jwk := range []string{``, `{}`, `[]`, `null`,
		`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + x + `"}`, // off the curve
		`{"crv":"Ed25519","kty":"OKP","x":"` + x[:42] + `"}`,
		`{"crv":"Ed25519","kty":"OKP","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
		`{"crv":"Ed448","kty":"OKP","x":"` + x + `"}`, `{"crv":"P-384","kty":"EC","x":"` + x + `","y":"` + x + `"}`,
		`{"k":"` + x + `","kty":"oct"}`, `{"crv":"Ed25519","kty":"EC","x":"` + x + `"}`,
		`{"crv":"Ed25519","d":"` + x + `","kty":"OKP","x":"` + goodX(t) + `"}`, // a private key
		`{"kty":"OKP","crv":"Ed25519","x":"` + goodX(t) + `"}`,                 // order
		`{"crv":"Ed25519","kty":"OKP","x":"` + goodX(t) + `="}`,
	} {
		if _, err := ParseJWK([]byte(jwk)); err == nil {
			t.Errorf("%s accepted", jwk)
		} else if strings.Contains(err.Error(), x) {
			t.Errorf("error shows the key: %v", err)
		}
	}
}

func goodX(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(public)
}

// RFC 7638 and RFC 8037, Appendix A.3: the thumbprint of the example key.
func TestKeyID(t *testing.T) {
	k, err := ParseJWK([]byte(`{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`))
	if err != nil || k.ID() != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Errorf("%s, %v", k.ID(), err)
	}
}

// Every header that is not exactly ours is refused, although the signature is right.
func TestHeaderChoosesNothing(t *testing.T) {
	b := newBench(t)
	c := must[compact](t)(parseCompact(b.jws))
	kid := b.request.Key.ID()
	jwk := string(b.request.Key.JWK())
	for header, why := range map[string]string{
		`{"alg":"none","kid":"` + kid + `","typ":"paymentrequest.1"}`:                                       "alg",
		`{"alg":"ES256","kid":"` + kid + `","typ":"paymentrequest.1"}`:                                      "alg",
		`{"alg":"HS256","kid":"` + kid + `","typ":"paymentrequest.1"}`:                                      "alg",
		`{"alg":"EdDSA","kid":"` + kid + `","typ":"paymandate.1"}`:                                          "typ",
		`{"alg":"EdDSA","kid":"` + kid + `"}`:                                                               "typ",
		`{"alg":"EdDSA","typ":"paymentrequest.1"}`:                                                          "kid",
		`{"alg":"EdDSA","kid":"` + b.key.KeyID() + `","typ":"paymentrequest.1"}`:                            "kid",
		`{"alg":"EdDSA","kid":"short","typ":"paymentrequest.1"}`:                                            "kid",
		`{"alg":"EdDSA","jwk":` + jwk + `,"kid":"` + kid + `","typ":"paymentrequest.1"}`:                    "jwk",
		`{"alg":"EdDSA","crit":["exp"],"kid":"` + kid + `","typ":"paymentrequest.1"}`:                       "crit",
		`{"alg":"EdDSA","b64":false,"kid":"` + kid + `","typ":"paymentrequest.1"}`:                          "b64",
		`{"alg":"EdDSA","kid":"` + kid + `","typ":"paymentrequest.1","x5u":"https://attacker.example/key"}`: "x5u",
		`{"kid":"` + kid + `","alg":"EdDSA","typ":"paymentrequest.1"}`:                                      "canonical",
		`{"alg":"EdDSA","alg":"EdDSA","kid":"` + kid + `","typ":"paymentrequest.1"}`:                        "twice",
		`{"alg":"EdDSA","amr":["hwk","pin"],"kid":"` + kid + `","typ":"paymentrequest.1"}`:                  "amr",
		`[]`: "object", `null`: "object", `{}`: "missing",
	} {
		if _, _, err := VerifyRequest(rawJWS(header, c.payload, b.payee)); err == nil {
			t.Errorf("%s accepted", header)
		} else if !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", header, err, why)
		}
	}
}

// rawJWS signs whatever it is given with Ed25519.
func rawJWS(header string, payload []byte, key ed25519.PrivateKey) []byte {
	b64 := base64.RawURLEncoding
	input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString(payload)
	return []byte(input + "." + b64.EncodeToString(ed25519.Sign(key, []byte(input))))
}

// A JWS has one spelling only.
func TestCompactHasOneSpelling(t *testing.T) {
	b := newBench(t)
	s := string(b.jws)
	parts := strings.Split(s, ".")
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", parts[2][85])
	other := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last^1]
	for name, bad := range map[string]string{
		"line break": s[:20] + "\n" + s[20:], "carriage return": s + "\r", "space": " " + s, "padding": parts[0] + "." + parts[1] + "." + parts[2] + "==",
		"trailing bits": s[:len(s)-1] + string(other), "four parts": s + ".AAAA", "two parts": parts[0] + "." + parts[1], "empty": "", "dots": "..",
		"no signature": parts[0] + "." + parts[1] + ".", "no payload": parts[0] + ".." + parts[2], "standard alphabet": strings.NewReplacer("-", "+", "_", "/").Replace(s) + "+",
		"short signature": s[:len(s)-4], "long signature": s + "AAAA", "too long": parts[0] + "." + strings.Repeat("A", MaxJWS) + "." + parts[2], "nul": s + "\x00",
		"json": `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
	} {
		if _, _, err := VerifyRequest([]byte(bad)); err == nil {
			t.Errorf("%s accepted", name)
		}
		if _, err := KeyID([]byte(bad)); err == nil {
			t.Errorf("%s gives a key id", name)
		}
	}
	for _, kid := range []string{"short", strings.Repeat("A", 44)} {
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"` + kid + `","typ":"paymentrequest.1"}`))
		if got, err := KeyID([]byte(header + "." + parts[1] + "." + parts[2])); err == nil || got != "" {
			t.Errorf("key id %q", got)
		}
	}
	if kid, err := KeyID(b.jws); err != nil || kid != b.request.Key.ID() {
		t.Errorf("%s, %v", kid, err)
	}
}

// DER is not a JWS signature, and r||s is not DER.
func TestSignatureEncoding(t *testing.T) {
	b := newBench(t)
	digest := make([]byte, 32)
	der := must[[]byte](t)(b.payer.Sign(rand.Reader, digest, crypto.SHA256))
	raw := must[[]byte](t)(rawSignature(der))
	if back, ok := derSignature(raw); !ok || !bytes.Equal(back, der) {
		t.Error("r||s and DER differ")
	}
	for _, bad := range [][]byte{nil, {}, raw, append(bytes.Clone(der), 0), der[:len(der)-1], {0x30, 6, 2, 1, 0, 2, 1, 1}, {0x30, 6, 2, 1, 0xff, 2, 1, 1}} {
		if _, err := rawSignature(bad); err == nil {
			t.Errorf("%x taken for DER", bad)
		}
	}
	if b.key.Public.verify(nil, make([]byte, 64)) {
		t.Error("zero signature verified")
	}
}

// brokenSigner signs wrongly, as a faulty token might.
type brokenSigner struct {
	crypto.Signer
	signature []byte
	err       error
}

func (s brokenSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return s.signature, s.err
}

func TestBrokenSigner(t *testing.T) {
	b := newBench(t)
	valid := must[[]byte](t)(b.payer.Sign(rand.Reader, make([]byte, 32), crypto.SHA256))
	failure := errors.New("token removed")
	for _, s := range []brokenSigner{{b.payer, nil, nil}, {b.payer, []byte("x"), nil}, {b.payer, valid, nil}, {b.payer, nil, failure}} {
		jws, err := SignMandate(b.mandate(), s, b.key.KeyID(), amr)
		if err == nil || jws != nil {
			t.Errorf("signed with %x", s.signature)
		}
		if s.err != nil && !errors.Is(err, failure) {
			t.Errorf("cause lost: %v", err)
		}
	}
}
