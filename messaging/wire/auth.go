package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"

	"github.com/parleypay/parley/messaging"
)

// RelayID names a relay: 16 random octets that it keeps with its store. A device remembers the id of its relay and signs for no other,
// so that one relay cannot pass on the challenge of another.
type RelayID [16]byte

// String returns the id as 32 hexadecimal digits.
func (r RelayID) String() string { return hex.EncodeToString(r[:]) }

// AuthTranscript returns what Auth.Signature signs: "parley relay auth 1", a zero octet, relay id (16), nonce (32), device id (20).
func AuthTranscript(relay RelayID, nonce [32]byte, device messaging.DeviceID) []byte {
	return transcript("parley relay auth 1", relay, nonce, device)
}

// RegisterTranscript returns what Register.Signature signs: "parley relay register 1", a zero octet, relay id (16), nonce (32), device
// id (20), and the octets of the jurisdiction.
func RegisterTranscript(relay RelayID, nonce [32]byte, device messaging.DeviceID, jurisdiction string) []byte {
	return append(transcript("parley relay register 1", relay, nonce, device), jurisdiction...)
}

func transcript(label string, relay RelayID, nonce [32]byte, device messaging.DeviceID) []byte {
	b := make([]byte, 0, 128)
	b = append(append(b, label...), 0)
	b = append(append(b, relay[:]...), nonce[:]...)
	return append(b, device[:]...)
}

// SignAuth answers the challenge for the device of that key.
func SignAuth(c *Challenge, key ed25519.PrivateKey) *Auth {
	a := &Auth{Device: messaging.DeviceIDOf(key.Public().(ed25519.PublicKey))}
	copy(a.Signature[:], ed25519.Sign(key, AuthTranscript(c.Relay, c.Nonce, a.Device)))
	return a
}

// SignRegister answers the challenge for a device that the relay does not know yet. The jurisdiction is the challenge's own.
func SignRegister(c *Challenge, key ed25519.PrivateKey, token string) *Register {
	public := key.Public().(ed25519.PublicKey)
	r := &Register{Token: token, Jurisdiction: c.Jurisdiction}
	copy(r.Key[:], public)
	copy(r.Signature[:], ed25519.Sign(key, RegisterTranscript(c.Relay, c.Nonce, messaging.DeviceIDOf(public), c.Jurisdiction)))
	return r
}

// Verify reports whether the key, which must be that of a.Device, signed the challenge.
func (a *Auth) Verify(c *Challenge, key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && messaging.DeviceIDOf(key) == a.Device &&
		ed25519.Verify(key, AuthTranscript(c.Relay, c.Nonce, a.Device), a.Signature[:])
}

// Verify reports whether the key in r signed the challenge, and returns the id of its device.
func (r *Register) Verify(c *Challenge) (messaging.DeviceID, bool) {
	id := messaging.DeviceIDOf(r.Key[:])
	return id, ed25519.Verify(r.Key[:], RegisterTranscript(c.Relay, c.Nonce, id, r.Jurisdiction), r.Signature[:])
}

// DeliveryID returns the id under which a message reaches its recipients: the first 16 octets of SHA-256 over "parley delivery 1", a
// zero octet, the sender's device id and the id that the sender gave. The relay keeps it instead of the sender.
func DeliveryID(sender messaging.DeviceID, id [16]byte) (d [16]byte) {
	b := make([]byte, 0, 64)
	b = append(append(b, "parley delivery 1"...), 0)
	b = append(append(b, sender[:]...), id[:]...)
	h := sha256.Sum256(b)
	copy(d[:], h[:])
	return d
}
