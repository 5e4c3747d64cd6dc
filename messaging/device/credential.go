package device

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/mls"
)

// Bounds of a chat and of what a peer calls itself.
const (
	MaxMembers = 64 // devices in one chat
	MaxName    = 64 // octets of a device's name
)

// CheckName refuses names that are empty, too long, or could pass for something else on a screen.
func CheckName(name string) error {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) {
		return fmt.Errorf("want 1 to %d octets of UTF-8", MaxName)
	}
	for _, r := range name {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return errors.New("no control characters")
		}
	}
	return nil
}

// credential is the device's: a basic one (RFC 9420 §5.3) whose identity is the device id, 20 octets, followed by the name.
func credential(id messaging.DeviceID, name string) mls.Credential {
	return mls.BasicCredential(append(id[:], name...))
}

// memberOf checks that a credential and the signature key of its leaf belong together (§5.3.1) and says whose they are: the device id is
// a hash of the key, so that nobody can take another's.
func memberOf(c mls.Credential, key mls.SignaturePublicKey) (messaging.Member, error) {
	var m messaging.Member
	if c.Type != mls.CredentialBasic || len(c.Identity) <= len(m.Device) {
		return m, errors.New("device: credential: want a basic one with device id and name")
	}
	if len(key) != ed25519.PublicKeySize {
		return m, errors.New("device: credential: want an Ed25519 signature key")
	}
	m = messaging.Member{Device: messaging.DeviceID(c.Identity[:len(m.Device)]), Name: string(c.Identity[len(m.Device):])}
	if messaging.DeviceIDOf(ed25519.PublicKey(key)) != m.Device {
		return messaging.Member{}, errors.New("device: credential: the device id is not that of the leaf's signature key")
	}
	if err := CheckName(m.Name); err != nil {
		return messaging.Member{}, fmt.Errorf("device: credential: name: %w", err)
	}
	return m, nil
}

// authority is the authentication service: a device id is the hash of its key, so nobody has to be asked.
type authority struct{}

var _ mls.IdentityProvider = authority{}

func (authority) ValidateMember(c mls.Credential, key mls.SignaturePublicKey) error {
	_, err := memberOf(c, key)
	return err
}

func (authority) ValidateExternalSender(mls.ExternalSender) error {
	return errors.New("device: chats have no external senders")
}

// SameClient compares device ids. Both credentials have passed ValidateMember.
func (authority) SameClient(a, b mls.Credential) bool {
	n := len(messaging.DeviceID{})
	return len(a.Identity) >= n && len(b.Identity) >= n && string(a.Identity[:n]) == string(b.Identity[:n])
}

func (authority) ValidSuccessor(old, next mls.Credential) error {
	if old.Type != next.Type || string(old.Identity) != string(next.Identity) {
		return errors.New("device: a member's credential does not change")
	}
	return nil
}

// allow says what a commit may do in a chat: add and remove, in full, with or without new keys of the committer. Everything else that
// RFC 9420 knows is another way in, and none is needed.
func allow(c *mls.Change) error {
	if c.External {
		return errors.New("device: nobody joins a chat without being added")
	}
	for _, p := range c.Proposals {
		switch p.Proposal.(type) {
		case *mls.Add, *mls.Remove:
		default:
			return fmt.Errorf("device: a commit with a proposal of type %d", p.Proposal.Type())
		}
	}
	if n := len(c.Members()); n > MaxMembers {
		return fmt.Errorf("device: a chat has at most %d devices, not %d", MaxMembers, n)
	}
	return nil
}
