// Package mlsgroup keeps one device's MLS groups (RFC 9420) in rows: it is the only package that knows which implementation of MLS runs.
//
// It has no storage, clock, socket or goroutine of its own: every call works on the Rows of the caller's transaction, and what it
// did is undone when that transaction is. Handshakes, the tree and the key schedule are those of thomas-vilte/mls-go v1.6.0.
// Application messages are sealed and opened here (ratchet.go), on the primitives of that module, because it accepts a ciphertext
// twice, keeps the secrets that §9.2 orders deleted, follows any jump of the ratchet, and rewrites all of a group's state for each message.
package mlsgroup

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
	"github.com/thomas-vilte/mls-go/ciphersuite"
	"github.com/thomas-vilte/mls-go/credentials"
	"github.com/thomas-vilte/mls-go/framing"

	"github.com/parleypay/parley/messaging"
)

// suite is MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519, the only one in use.
const suite = ciphersuite.MLS128DHKEMX25519

// Suite is its number.
const Suite = uint16(suite)

// Bounds of what a peer can make large.
const (
	MaxMembers = 64    // devices in one chat
	MaxName    = 64    // octets of a device's name
	maxForward = 4096  // generations that one message may skip (§15.3)
	maxSkipped = 512   // message keys kept for skipped generations, per sender and epoch
	maxCommits = 256   // generations that one commit may skip: those that its sender threw away in this epoch
	keepEpochs = 2     // past epochs whose messages can still be opened
	maxBody    = 60000 // octets of one MLS message; the wire allows less
)

// Errors that callers act on. Every other error of this package that is not one of Rows means a message that is to be thrown away.
var (
	ErrNoGroup = errors.New("mlsgroup: no such group")
	ErrEarly   = errors.New("mlsgroup: message of an epoch that has not begun here")
	ErrOld     = errors.New("mlsgroup: message of an epoch whose keys are deleted")
	ErrPending = errors.New("mlsgroup: a commit of this device is waiting for the delivery service")
)

// Rows is what this package needs of the caller's transaction: values by kind and key. Keys of one kind never are a prefix of
// each other except by intent, as DeletePrefix uses it.
type Rows interface {
	Get(kind Kind, key []byte) ([]byte, error) // nil when there is none; not to be written to
	Put(kind Kind, key, value []byte) error
	Delete(kind Kind, key []byte) error
	DeletePrefix(kind Kind, prefix []byte) error
	// First returns the least key with that prefix, nil when there is none; Count how many there are.
	First(kind Kind, prefix []byte) ([]byte, error)
	Count(kind Kind, prefix []byte) (int, error)
}

// Kind is a kind of row.
type Kind byte

// The kinds, with their keys.
const (
	KindGroup      Kind = 1 // chat: group
	KindState      Kind = 2 // chat: state of mls-go, without what application messages need
	KindEpoch      Kind = 3 // chat, epoch: epoch
	KindRatchet    Kind = 4 // chat, epoch, leaf: ratchet
	KindSkipped    Kind = 5 // chat, epoch, leaf, generation: message key
	KindPending    Kind = 6 // chat: pending commit with the state after it
	KindKeyPackage Kind = 7 // KeyPackageRef (§5.2): key package with its private keys
	KindLast       Kind = 8 // chat: last commit of this device, until all it is for have shown that they have it
)

// Client is the device: its signature key and what its credential says. It is immutable.
type Client struct {
	id   messaging.DeviceID
	name string
	cred *credentials.CredentialWithKey
	sign *ciphersuite.SignaturePrivateKey
}

// NewClient returns the client of the device with that key. Its credential is a basic one (§5.3) whose identity is the device id, 20
// octets, followed by the name.
func NewClient(key ed25519.PrivateKey, name string) (*Client, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	public := key.Public().(ed25519.PublicKey)
	c := &Client{id: messaging.DeviceIDOf(public), name: name, sign: ciphersuite.NewEd25519SignaturePrivateKey(key)}
	c.cred = &credentials.CredentialWithKey{
		Credential:        credentials.NewBasicCredential(append(c.id[:], name...)),
		Ed25519PrivateKey: key,
		SignatureKeyBytes: public,
	}
	return c, nil
}

// CheckName refuses names that are empty, too long, or could pass for something else on a screen.
func CheckName(name string) error {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) {
		return fmt.Errorf("mlsgroup: name: want 1 to %d octets of UTF-8", MaxName)
	}
	for _, r := range name {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return errors.New("mlsgroup: name: no control characters")
		}
	}
	return nil
}

// member checks that a credential and the signature key of its leaf belong together (§5.3.1) and says whose they are: the device
// id is a hash of the key, so that nobody can take another's.
func member(c *credentials.Credential, key []byte) (messaging.Member, error) {
	var m messaging.Member
	if c == nil || c.CredentialType != credentials.BasicCredential || len(c.Identity) <= len(m.Device) {
		return m, errors.New("mlsgroup: credential: want a basic one with device id and name")
	}
	if len(key) != ed25519.PublicKeySize {
		return m, errors.New("mlsgroup: leaf: want an Ed25519 signature key")
	}
	m = messaging.Member{Device: messaging.DeviceID(c.Identity[:len(m.Device)]), Name: string(c.Identity[len(m.Device):])}
	if messaging.DeviceIDOf(key) != m.Device {
		return messaging.Member{}, errors.New("mlsgroup: credential: the device id is not that of the leaf's signature key")
	}
	return m, CheckName(m.Name)
}

// Envelope is what the delivery service can see of a sealed message, too.
type Envelope struct {
	Chat      messaging.ChatID
	Epoch     uint64
	Handshake bool // a commit or proposal, not an application message
	pm        *framing.PrivateMessage
}

// ParseEnvelope reads the outside of a PrivateMessage (§6.3). It refuses every other MLS message.
func ParseEnvelope(b []byte) (e Envelope, err error) {
	defer catch(&err)
	if len(b) > maxBody {
		return e, fmt.Errorf("mlsgroup: message of %d octets, limit %d", len(b), maxBody)
	}
	m, err := framing.UnmarshalMLSMessage(b)
	if err != nil {
		return e, errors.New("mlsgroup: not an MLS message")
	}
	pm, ok := m.AsPrivate()
	if !ok {
		return e, errors.New("mlsgroup: want a PrivateMessage")
	}
	if len(pm.GroupID) != len(e.Chat) {
		return e, errors.New("mlsgroup: group id: want 16 octets")
	}
	return Envelope{messaging.ChatID(pm.GroupID), pm.Epoch, pm.ContentType != framing.ContentTypeApplication, pm}, nil
}

// groupRow is the row that says which epoch a chat is in.
type groupRow struct {
	Epoch  uint64 `cbor:"1,keyasint"`
	Oldest uint64 `cbor:"2,keyasint"` // the first epoch that still has rows
}

func loadGroup(rows Rows, chat messaging.ChatID) (g groupRow, err error) {
	return g, load(rows, KindGroup, chat[:], &g, ErrNoGroup)
}

// load reads a row into v; a row that is not there is absent.
func load(rows Rows, kind Kind, key []byte, v any, absent error) error {
	b, err := rows.Get(kind, key)
	if err != nil {
		return err
	}
	if b == nil {
		return absent
	}
	if err := cbor.Unmarshal(b, v); err != nil {
		return fmt.Errorf("mlsgroup: row of kind %d: %w", kind, err)
	}
	return nil
}

func save(rows Rows, kind Kind, key []byte, v any) error {
	b, err := cbor.Marshal(v)
	if err != nil {
		return fmt.Errorf("mlsgroup: row of kind %d: %w", kind, err)
	}
	return rows.Put(kind, key, b)
}

func epochKey(chat messaging.ChatID, epoch uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 40), chat[:]...), epoch)
}

func ratchetKey(chat messaging.ChatID, epoch uint64, leaf uint32) []byte {
	return binary.BigEndian.AppendUint32(epochKey(chat, epoch), leaf)
}

// catch turns a panic into an error: mls-go reads a peer's octets.
func catch(err *error) {
	if r := recover(); r != nil {
		*err = errors.New("mlsgroup: the message made the MLS library panic")
	}
}

func unmarshal(b []byte, v any) error { return cbor.Unmarshal(b, v) }
