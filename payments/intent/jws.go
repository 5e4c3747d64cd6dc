package intent

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
)

// header is the protected header of our JWS: exactly these members, in canonical form. Anything else, such as jwk, x5u, b64 or
// crit, is refused, so that no header chooses a key or an algorithm.
type header struct {
	alg Alg
	amr []string // authentication methods (RFC 8176), mandates only
	kid string
	typ string
}

// compact is a parsed JWS in compact serialisation, its signature not verified.
type compact struct {
	header    header
	payload   []byte
	input     []byte // what is signed: the first two parts with their dot
	signature []byte // 64 octets
}

// parseCompact takes a JWS apart. It refuses whatever has a second encoding: padding, line breaks and set trailing bits in
// base64url, and headers not in canonical form.
func parseCompact(jws []byte) (compact, error) {
	if len(jws) > MaxJWS {
		return compact{}, &FormatError{Text: fmt.Sprintf("JWS is over %d bytes", MaxJWS)}
	}
	parts := bytes.Split(jws, []byte{'.'})
	if len(parts) != 3 {
		return compact{}, &FormatError{Text: "JWS does not have three parts"}
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		if raw[i], err = decodeBase64(string(part)); err != nil || len(part) == 0 {
			return compact{}, &FormatError{Path: [...]string{"header", "payload", "signature"}[i], Text: "is not unpadded base64url"}
		}
	}
	if len(raw[2]) != 64 {
		return compact{}, &FormatError{Path: "signature", Text: "does not have 64 octets"}
	}
	v, err := parseCanonical(raw[0], 1024)
	if err != nil {
		return compact{}, &FormatError{Path: "header", Text: err.Error()}
	}
	r := newReader(v)
	r.path = "header."
	h := header{alg: Alg(r.text("alg")), amr: r.words("amr", 8), kid: r.text("kid"), typ: r.text("typ")}
	if err := r.done(); err != nil {
		return compact{}, err
	}
	if len(h.kid) != 43 {
		return compact{}, &FormatError{Path: "header.kid", Text: "is not a JWK thumbprint"}
	}
	return compact{h, raw[1], jws[:len(parts[0])+1+len(parts[1])], raw[2]}, nil
}

// KeyID returns the "kid" in the header of a JWS, to choose the key that it must verify with. Nothing of the JWS is verified.
func KeyID(jws []byte) (string, error) {
	c, err := parseCompact(jws)
	return c.header.kid, err
}

// check verifies the header against the key, and the signature. It is for everything but mandates, which alone name methods.
func (c compact) check(typ string, key PublicKey) error {
	switch {
	case len(c.header.amr) > 0:
		return &FormatError{Path: "header.amr", Text: "is only for mandates"}
	case c.header.typ != typ:
		return &FormatError{Path: "header.typ", Text: "is not " + typ}
	case c.header.alg != key.alg:
		return &FormatError{Path: "header.alg", Text: "is not the key's"}
	case c.header.kid != key.ID():
		return &FormatError{Path: "header.kid", Text: "is not the key's"}
	case !key.verify(c.input, c.signature):
		return ErrSignature
	}
	return nil
}

// ErrSignature says that a signature does not fit the bytes and the key.
var ErrSignature = errors.New("intent: signature is wrong")

// signCompact signs the payload. The signer is an Ed25519 or a P-256 key.
func signCompact(typ string, payload value, signer crypto.Signer, amr []string) ([]byte, error) {
	key, err := NewPublicKey(signer.Public())
	if err != nil {
		return nil, err
	}
	h := object(is("alg", text(string(key.alg))), is("kid", text(key.ID())), is("typ", text(typ)))
	if len(amr) > 0 {
		h = h.with("amr", wordList(amr))
	}
	b64 := base64.RawURLEncoding
	out := b64.AppendEncode(nil, h.append(nil))
	out = append(out, '.')
	out = b64.AppendEncode(out, payload.append(nil))
	var signature []byte
	if key.alg == EdDSA {
		signature, err = signer.Sign(rand.Reader, out, crypto.Hash(0))
	} else {
		digest := sha256.Sum256(out)
		var der []byte
		if der, err = signer.Sign(rand.Reader, digest[:], crypto.SHA256); err == nil {
			signature, err = rawSignature(der)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("intent: signing: %w", err)
	}
	if !key.verify(out, signature) {
		return nil, errors.New("intent: signer made a signature that does not verify")
	}
	out = append(out, '.')
	return b64.AppendEncode(out, signature), nil
}

// decodeBase64 decodes base64url without padding, strictly: encoding/base64 alone skips line breaks.
func decodeBase64(s string) ([]byte, error) {
	for i := range len(s) {
		if s[i] == '\r' || s[i] == '\n' {
			return nil, errors.New("intent: line break in base64url")
		}
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

type ecdsaSignature struct{ R, S *big.Int }

// derSignature converts r||s to the DER that crypto/ecdsa reads.
func derSignature(raw []byte) ([]byte, bool) {
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	der, err := asn1.Marshal(ecdsaSignature{r, s})
	return der, err == nil && r.Sign() > 0 && s.Sign() > 0
}

// rawSignature converts DER to r||s.
func rawSignature(der []byte) ([]byte, error) {
	var sig ecdsaSignature
	if rest, err := asn1.Unmarshal(der, &sig); err != nil || len(rest) > 0 {
		return nil, errors.New("ECDSA signature is not DER")
	}
	if sig.R.Sign() <= 0 || sig.S.Sign() <= 0 || sig.R.BitLen() > 256 || sig.S.BitLen() > 256 {
		return nil, errors.New("ECDSA signature is out of range")
	}
	raw := make([]byte, 64)
	sig.R.FillBytes(raw[:32])
	sig.S.FillBytes(raw[32:])
	return raw, nil
}

// payload is one kind of signed object: how it is written and read.
type payload[T any] struct {
	typ   string
	write func(T) value
	read  func(*reader) T
}

// sign writes x, reads it back with the strict reader, and signs. What would be refused on reading is never signed.
func (p payload[T]) sign(x T, signer crypto.Signer, amr []string) ([]byte, error) {
	v := p.write(x).with("typ", text(p.typ))
	if _, err := p.parse(v.append(nil)); err != nil {
		return nil, err
	}
	return signCompact(p.typ, v, signer, amr)
}

// parse reads payload bytes strictly.
func (p payload[T]) parse(b []byte) (T, error) {
	var none T
	v, err := parseCanonical(b, MaxPayload)
	if err != nil {
		return none, err
	}
	r := newReader(v)
	if r.text("typ") != p.typ {
		r.fail("typ", "is not "+p.typ)
	}
	x := p.read(r)
	if err := r.done(); err != nil {
		return none, err
	}
	return x, nil
}

// verify checks the signature of the key over the exact bytes and then reads the payload.
func (p payload[T]) verify(jws []byte, key PublicKey) (T, Hash, error) {
	var none T
	c, err := parseCompact(jws)
	if err != nil {
		return none, Hash{}, err
	}
	if err := c.check(p.typ, key); err != nil {
		return none, Hash{}, err
	}
	x, err := p.parse(c.payload)
	if err != nil {
		return none, Hash{}, err
	}
	return x, hashOf(p.typ, c.payload), nil
}
