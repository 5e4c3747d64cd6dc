package payments

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// IntentID names one payment intent: "pi_" and a UUIDv7 in lower case (RFC 9562). The payee's client makes it; it is the key of
// every idempotent step that follows.
type IntentID string

// NewIntentID makes an IntentID from the time and 74 random bits. A nil random means crypto/rand.
func NewIntentID(now time.Time, random io.Reader) (IntentID, error) {
	if random == nil {
		random = rand.Reader
	}
	var u [16]byte
	if _, err := io.ReadFull(random, u[6:]); err != nil {
		return "", fmt.Errorf("payments: intent id: %w", err)
	}
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		u[i] = byte(ms >> (8 * (5 - i)))
	}
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return IntentID("pi_" + formatUUID(u)), nil
}

// ParseIntentID checks the form of an IntentID.
func ParseIntentID(s string) (IntentID, error) {
	u, ok := strings.CutPrefix(s, "pi_")
	if !ok || !isUUID(u, '7') {
		return "", errors.New("payments: intent id is not pi_ and a lower-case UUIDv7")
	}
	return IntentID(s), nil
}

// EndToEndID is EndToEndIdentification (Max35Text): set once by the debtor's side and returned unchanged by every agent.
type EndToEndID string

// EndToEndID derives the end-to-end id of the intent: its UUID as 32 hexadecimal digits. IntentFromEndToEnd is the inverse.
func (id IntentID) EndToEndID() EndToEndID {
	return EndToEndID(strings.ReplaceAll(strings.TrimPrefix(string(id), "pi_"), "-", ""))
}

// IntentFromEndToEnd returns the intent that an end-to-end id was derived from, and false when it was not made by us.
func IntentFromEndToEnd(e EndToEndID) (IntentID, bool) {
	raw, err := hex.DecodeString(string(e))
	if err != nil || len(raw) != 16 {
		return "", false
	}
	id, err := ParseIntentID("pi_" + formatUUID([16]byte(raw)))
	return id, err == nil && string(id.EndToEndID()) == string(e)
}

// UETR is the unique end-to-end transaction reference: a UUID that fits version 4's pattern, lower case (ISO 20022 UUIDv4Identifier).
type UETR string

// NewUETR derives the UETR of an execution from the intent it executes and the connector that executes it. The same input gives
// the same UETR; it is still stored before it is sent.
func NewUETR(intent IntentID, connector string) UETR {
	h := sha256.Sum256([]byte("parley uetr 1\x00" + string(intent) + "\x00" + connector))
	u := [16]byte(h[:16])
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return UETR(formatUUID(u))
}

// ParseUETR checks the form of a UETR.
func ParseUETR(s string) (UETR, error) {
	if !isUUID(s, '4') {
		return "", errors.New("payments: UETR is not a lower-case UUID of version 4")
	}
	return UETR(s), nil
}

func formatUUID(u [16]byte) string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func isUUID(s string, version byte) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[14] != version || s[18] != '-' || s[23] != '-' {
		return false
	}
	switch s[19] {
	case '8', '9', 'a', 'b':
	default:
		return false
	}
	digits := 0
	for i := range len(s) {
		if lowerHex[s[i]] {
			digits++
		}
	}
	return digits == 32 // all but the dashes
}

var lowerHex = func() (set [256]bool) {
	for _, c := range []byte("0123456789abcdef") {
		set[c] = true
	}
	return set
}()

// CheckLEI verifies a legal entity identifier (ISO 17442): 18 capitals or digits and two check digits, mod 97-10.
func CheckLEI(s string) error {
	if len(s) != 20 || !isDigit(s[18]) || !isDigit(s[19]) || mod97(s) != 1 {
		return errors.New("payments: not a legal entity identifier with right check digits")
	}
	return nil
}

// CheckReference verifies a payee's reference (CdtrRefInf/Ref): 1 to 35 characters of the set that every rail carries (letters,
// digits, space and / - ? : ( ) . , ' +, from EPC217-08), without space or slash at an end and without "//". One in the shape of
// an ISO 11649 reference ("RF" and two digits) must have right check digits.
func CheckReference(s string) error {
	if len(s) == 0 || len(s) > 35 {
		return errors.New("payments: reference must have 1 to 35 characters")
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !isDigit(c) && strings.IndexByte(" /-?:().,'+", c) < 0 {
			return errors.New("payments: reference has a character that rails do not carry")
		}
	}
	if strings.Trim(s, " /") != s || strings.Contains(s, "//") {
		return errors.New("payments: reference has a space or slash at an end, or a double slash")
	}
	if looksLikeRF(s) {
		return CheckRF(s)
	}
	return nil
}

func looksLikeRF(s string) bool {
	return len(s) >= 5 && s[:2] == "RF" && isDigit(s[2]) && isDigit(s[3])
}

// CheckRF verifies an ISO 11649 creditor reference: "RF", two check digits and 1 to 21 capitals or digits, mod 97-10.
func CheckRF(s string) error {
	if !looksLikeRF(s) || len(s) > 25 || mod97(s[4:]+s[:4]) != 1 {
		return errors.New("payments: not an ISO 11649 reference with right check digits")
	}
	return nil
}
