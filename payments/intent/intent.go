// Package intent defines what is signed about a payment (request, mandate, receipt and the bank's other statements) and verifies it offline.
//
// It moves no money, keeps no state, reads no clock and knows no chat: the caller supplies the time, the registry of enrolled
// keys and the nonces it issued, and acts on the result. Limits and single use are the journal's.
package intent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// Media types of the message parts that carry payment content. The +jws bodies are one JWS in compact serialisation (RFC 7515 §7.1);
// the +json bodies are canonical JSON (see Canonicalize).
const (
	MediaRequest    = "application/vnd.parley.request+jws"
	MediaEnrol      = "application/vnd.parley.enrol+json"
	MediaEnrolment  = "application/vnd.parley.enrolment+jws"
	MediaCheck      = "application/vnd.parley.check+json"
	MediaPayeeCheck = "application/vnd.parley.payeecheck+jws"
	MediaMandate    = "application/vnd.parley.mandate+json"
	MediaDecline    = "application/vnd.parley.decline+json"
	MediaCancel     = "application/vnd.parley.cancel+json"
	MediaReceipt    = "application/vnd.parley.receipt+jws"
	MediaCredited   = "application/vnd.parley.credited+jws"
	MediaRefusal    = "application/vnd.parley.refusal+jws"
)

// Values of the member "typ" in signed payloads. The number is the version; the JWS header repeats the word, so that a signature
// over one kind of object is never taken for another (RFC 8725 §3.11).
const (
	typRequest    = "paymentrequest.1"
	typMandate    = "paymandate.1"
	typConsent    = "enrolconsent.1"
	typEnrolment  = "enrolment.1"
	typPayeeCheck = "payeecheck.1"
	typReceipt    = "receipt.1"
	typCredited   = "credited.1"
	typRefusal    = "refusal.1"
	typKey        = "enrolledkey.1"
)

// Size limits in bytes, checked before anything is decoded.
const (
	MaxPayload = 8 << 10                   // one signed payload
	MaxJWS     = (MaxPayload/3+1)*4 + 2048 // one compact JWS: payload in base64url, header and signature
	MaxBody    = 2*MaxJWS + 1024           // one +json body, which holds at most two JWS
)

// Hash is the SHA-256 of a signed payload: SHA-256(typ || 0x00 || payload bytes). It does not cover the signature, so another
// signature over the same payload has the same Hash.
type Hash [sha256.Size]byte

func hashOf(typ string, payload []byte) Hash {
	h := sha256.New()
	h.Write([]byte(typ))
	h.Write([]byte{0})
	h.Write(payload)
	return Hash(h.Sum(nil))
}

// String returns "sha-256:" and 64 lower-case hexadecimal digits, as it is written in payloads.
func (h Hash) String() string { return "sha-256:" + hex.EncodeToString(h[:]) }

// IsZero reports whether h is the zero Hash, which stands for none.
func (h Hash) IsZero() bool { return h == Hash{} }

// ParseHash reads what String prints.
func ParseHash(s string) (h Hash, err error) {
	digits, ok := strings.CutPrefix(s, "sha-256:")
	raw, err := hex.DecodeString(digits)
	if !ok || err != nil || len(raw) != len(h) || strings.ToLower(digits) != digits {
		return Hash{}, errors.New("intent: hash is not sha-256: and 64 lower-case hexadecimal digits")
	}
	return Hash(raw), nil
}
