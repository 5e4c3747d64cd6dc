// Package messaging names the things every part of the messaging side speaks of: devices, chats, messages, and the session seam.
//
// It knows no payments, no transport and no storage.
package messaging

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// DeviceID names a device: the first 20 octets of SHA-256 over its Ed25519 public key, so an id cannot be claimed without the key.
type DeviceID [20]byte

// DeviceIDOf returns the id of the device with that public key.
func DeviceIDOf(key ed25519.PublicKey) DeviceID {
	h := sha256.Sum256(key)
	return DeviceID(h[:20])
}

// ParseDeviceID reads the 40 lower-case hexadecimal digits that String prints.
func ParseDeviceID(s string) (id DeviceID, err error) { return id, parseHex(id[:], s, "device id") }

// String returns the id as 40 hexadecimal digits.
func (d DeviceID) String() string { return hex.EncodeToString(d[:]) }

// ChatID names a chat. It is the group_id of the chat's MLS group (RFC 9420 §8.1): 16 random octets.
type ChatID [16]byte

// NewChatID returns a random ChatID.
func NewChatID() (id ChatID) {
	rand.Read(id[:]) // never fails (crypto/rand)
	return id
}

// ParseChatID reads the 32 lower-case hexadecimal digits that String prints.
func ParseChatID(s string) (id ChatID, err error) { return id, parseHex(id[:], s, "chat id") }

// String returns the id as 32 hexadecimal digits.
func (c ChatID) String() string { return hex.EncodeToString(c[:]) }

// MessageID names one message: MIMI content's MessageId (draft-ietf-mimi-content-08), 32 octets, computed by both ends.
type MessageID [32]byte

// String returns the id as 64 hexadecimal digits.
func (m MessageID) String() string { return hex.EncodeToString(m[:]) }

func parseHex(dst []byte, s, what string) error {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(dst) || hex.EncodeToString(raw) != s {
		return errors.New("messaging: malformed " + what)
	}
	copy(dst, raw)
	return nil
}

// Session is all that the layers above know of encryption. It is one chat of one device inside one store transaction: what it
// does becomes durable, or is forgotten, together with the caller's own rows. A Session is not to be used after its transaction.
type Session interface {
	// Seal encrypts plaintext for the chat. aad is authenticated and visible to the delivery service.
	Seal(plaintext, aad []byte) (envelope []byte, err error)
	// Open decrypts one envelope. A second Open of the same envelope fails with ErrReplay, also after a restart.
	Open(envelope []byte) (Opened, error)
	// Members lists the current members of the chat.
	Members() ([]Member, error)
	// Binding derives a value that only members of this chat in this epoch can compute (RFC 9420 §8.5).
	Binding(label string) (Binding, error)
	// SafetyCode returns digits that are the same for all members of this chat in this epoch, and for nobody else, for people to
	// compare (RFC 9420 §8.7).
	SafetyCode() (string, error)
}

// Opened is a decrypted message: who sealed it, in which epoch, and what was authenticated with it.
type Opened struct {
	Sender    Member
	Epoch     uint64
	Plaintext []byte
	AAD       []byte
}

// Member is a device in a chat, as its credential names it.
type Member struct {
	Device DeviceID
	Name   string // the name its credential claims; not verified by anybody else
}

// Binding ties something outside to a chat: its id, its epoch and a secret value known to the members only.
type Binding struct {
	Chat   ChatID
	Epoch  uint64
	Secret [32]byte
}

// ErrReplay is returned by Session.Open for an envelope that was opened before.
var ErrReplay = errors.New("messaging: this ciphertext was opened before")
