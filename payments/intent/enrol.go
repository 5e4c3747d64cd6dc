package intent

import (
	"crypto"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"strings"
	"time"
)

// KeyStatus says whether an enrolled key may be used. The zero KeyStatus is not active.
type KeyStatus string

const (
	KeyActive  KeyStatus = "active"
	KeyRevoked KeyStatus = "revoked"
)

// EnrolledKey is a registry's record of one key.
type EnrolledKey struct {
	Public   PublicKey
	Profile  string
	Accounts []EnrolledAccount
	Limits   Limits
	Status   KeyStatus
	From, To time.Time // valid from From until before To
	AsOf     time.Time // when this replica of the record was last known to be current; set at look-up, not encoded
}

// KeyID returns the id of the key.
func (k EnrolledKey) KeyID() string { return k.Public.ID() }

// validAt reports whether t is within the key's time. Signed times have whole seconds, so From counts from its second on.
func (k EnrolledKey) validAt(t time.Time) bool {
	return !t.Before(k.From.Truncate(time.Second)) && t.Before(k.To)
}

var keyPayload = payload[EnrolledKey]{typKey, func(x EnrolledKey) value {
	return object(is("accounts", writeAccounts(x.Accounts)), is("alg", text(string(x.Public.alg))), is("from", timeText(x.From)),
		is("key", x.Public.value()), is("kid", text(x.Public.ID())), is("limits", writeLimits(x.Limits)), is("profile", text(x.Profile)),
		is("status", text(string(x.Status))), is("to", timeText(x.To)))
}, func(r *reader) (x EnrolledKey) {
	x.Public, x.Profile, x.Accounts, x.Limits = readEnrolledKey(r)
	x.Status, x.From, x.To = KeyStatus(r.text("status")), r.time("from"), r.time("to")
	if x.Status != KeyActive && x.Status != KeyRevoked {
		r.fail("status", "is neither active nor revoked")
	}
	if !x.To.After(x.From) {
		r.fail("to", "is not after from")
	}
	return x
}}

// Encode returns the record as canonical JSON, to be stored; it is not signed. Its hash is evidence of what the registry said.
func (k EnrolledKey) Encode() ([]byte, error) {
	b := keyPayload.write(k).with("typ", text(typKey)).append(nil)
	_, err := keyPayload.parse(b)
	return b, err
}

// ParseEnrolledKey reads what Encode wrote.
func ParseEnrolledKey(b []byte) (EnrolledKey, error) { return keyPayload.parse(b) }

// Snapshot returns the hash of the record as encoded, zero if it cannot be.
func (k EnrolledKey) Snapshot() Hash {
	b, err := k.Encode()
	if err != nil {
		return Hash{}
	}
	return hashOf(typKey, b)
}

// The one-time code that a bank gives a customer after its own strong authentication: 16 symbols of Crockford's base 32, 80 random
// bits, shown in four groups. That much can be hashed plainly: there is no dictionary to try.
const (
	codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	codeSymbols  = 16
)

// NewOneTimeCode returns a code such as "7K2M-9QXC-41TB-RZ0V". It is a secret: the bank shows it once and keeps its hash.
func NewOneTimeCode() string {
	var b [codeSymbols]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	var s strings.Builder
	for i, c := range b {
		if i > 0 && i%4 == 0 {
			s.WriteByte('-')
		}
		s.WriteByte(codeAlphabet[c&31])
	}
	return s.String()
}

// CodeHash is what the bank keeps of a one-time code.
type CodeHash Hash

// HashCode returns the hash of a code as people type it: case, hyphens and spaces do not matter, O is 0, I and L are 1.
func HashCode(code string) (CodeHash, error) {
	if len(code) > 64 {
		return CodeHash{}, errors.New("intent: one-time code is too long")
	}
	s := strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(code))
	if len(s) != codeSymbols || strings.Trim(s, codeAlphabet) != "" {
		return CodeHash{}, errors.New("intent: one-time code does not have 16 symbols of base 32")
	}
	return CodeHash(hashOf("enrolcode.1", []byte(s))), nil
}

// String returns the hash in the form of Hash.String. It does not show the code.
func (h CodeHash) String() string { return Hash(h).String() }

// ParseCodeHash reads what String prints.
func ParseCodeHash(s string) (CodeHash, error) {
	h, err := ParseHash(s)
	return CodeHash(h), err
}

// Equal compares in constant time. The zero CodeHash equals nothing, itself included.
func (h CodeHash) Equal(other CodeHash) bool {
	return subtle.ConstantTimeCompare(h[:], other[:]) == 1 && h != CodeHash{}
}

// Matches reports in constant time whether h is the code's hash.
func (h CodeHash) Matches(code string) bool {
	other, err := HashCode(code)
	return err == nil && h.Equal(other)
}

// Consent is what a customer signs to enrol a key, payload "enrolconsent.1": this key, for this purpose, at this bank, with this code.
type Consent struct {
	Key      PublicKey
	Profile  string
	Audience string // the connector's id
	Code     CodeHash
	Issued   time.Time
}

var consentPayload = payload[Consent]{typConsent, func(x Consent) value {
	return object(is("aud", text(x.Audience)), is("code_hash", text(x.Code.String())), is("iat", timeText(x.Issued)),
		is("key", x.Key.value()), is("profile", text(x.Profile)))
}, func(r *reader) (x Consent) {
	x.Audience, x.Code, x.Issued, x.Profile = r.word("aud", 64), CodeHash(r.hash("code_hash")), r.time("iat"), r.text("profile")
	r.nested("key", true, func(r *reader) { x.Key = readKey(r) })
	if alg, ok := profileAlg[x.Profile]; !ok || alg != x.Key.alg {
		r.fail("profile", "is unknown or not for this kind of key")
	}
	return x
}}

// Canonical returns the bytes of the consent that are signed, to be shown or kept.
func (c Consent) Canonical() []byte {
	return consentPayload.write(c).with("typ", text(typConsent)).append(nil)
}

// Enrol is the body of MediaEnrol.
type Enrol struct {
	Code  string `json:"-"` // as the customer typed it: a secret until it is used
	Key   PublicKey
	Proof []byte // JWS of the Consent by Key: proof of possession
}

// NewEnrol returns the body that enrols the signer's key with the bank's one-time code. audience is the connector's id.
func NewEnrol(code string, key crypto.Signer, profile, audience string, now time.Time) ([]byte, error) {
	public, err := NewPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	hash, err := HashCode(code)
	if err != nil {
		return nil, err
	}
	proof, err := consentPayload.sign(Consent{public, profile, audience, hash, now}, key, nil)
	if err != nil {
		return nil, err
	}
	return Enrol{code, public, proof}.Encode()
}

// Encode returns the body as canonical JSON.
func (e Enrol) Encode() ([]byte, error) {
	return encodeBody(object(is("code", text(e.Code)), is("key", e.Key.value()), is("proof", text(string(e.Proof)))), readEnrol)
}

// ParseEnrol reads the body strictly. The proof is not verified.
func ParseEnrol(b []byte) (Enrol, error) { return parseBody(b, readEnrol) }

func readEnrol(r *reader) (x Enrol) {
	x.Code, x.Proof = r.text("code"), r.jws("proof")
	if _, err := HashCode(x.Code); err != nil {
		r.fail("code", "does not have 16 symbols of base 32")
	}
	r.nested("key", true, func(r *reader) { x.Key = readKey(r) })
	return x
}

// Verify checks the proof of possession: signed by the key, for this bank, this key and this code, and made within the last 15
// minutes. Its error is a *RefusedError. That the code was issued and is unused is for the caller, with CodeHash.Equal.
func (e Enrol) Verify(audience string, now time.Time) (Consent, error) {
	c, _, err := consentPayload.verify(e.Proof, e.Key)
	if errors.Is(err, ErrSignature) {
		return Consent{}, &RefusedError{StepSignature, ReasonSignature, "the proof is not signed by the key", err}
	}
	if err != nil {
		return Consent{}, &RefusedError{StepForm, ReasonForm, err.Error(), err}
	}
	age := now.Sub(c.Issued)
	switch {
	case c.Key != e.Key:
		return Consent{}, refuse(StepKey, ReasonKeyUnknown, "the proof is about another key")
	case audience == "" || c.Audience != audience:
		return Consent{}, refuse(StepContext, ReasonAudience, "the consent is for another bank")
	case age > 15*time.Minute:
		return Consent{}, refuse(StepContext, ReasonExpired, "the consent is too old")
	case age < -30*time.Second:
		return Consent{}, refuse(StepContext, ReasonIssued, "the consent is from the future")
	case !c.Code.Matches(e.Code):
		return Consent{}, refuse(StepContext, ReasonCode, "the consent is for another one-time code")
	}
	return c, nil
}
