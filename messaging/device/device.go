// Package device is one device's side of messaging: its identity, its encrypted store, its chats, its outbox, and its line to the relay.
//
// It does not know what messages mean, and it moves no money.
package device

import (
	"context"
	"errors"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
)

// Config says where a device lives. Path, Key, RelayURL and Name are required; everything else has a default.
type Config struct {
	// Path is the store, an SQLite file. It is created, with a new identity, when it does not exist.
	Path string
	// Key unlocks the store. See Passphrase and KeyFile.
	Key KeySource
	// RelayURL is the relay's WebSocket address: wss://host/… or, for a relay on the same machine, ws://….
	RelayURL string
	// Name is what the device's credential calls it, 1 to 64 octets without control characters. Nobody verifies it. It counts when the
	// store is created; afterwards the stored name stays.
	Name string

	// Token is the registration token, for relays that ask for one.
	Token string
	// Jurisdiction is where this device's mailbox is to be kept, such as "eu". Empty means the relay's own.
	Jurisdiction string
	// KeyPackages is how many single-use key packages are kept at the relay. Zero means 16.
	KeyPackages int
	// TTL is how long a message may wait for its receiver when SendOptions does not say. Zero means 7 days, the most is 30 days.
	TTL time.Duration
	// History is how long delivered messages stay in the store when they do not expire earlier. Zero means 30 days.
	History time.Duration
	// DrainTimeout bounds how long Run waits for handlers and for the last writes once its context has ended. Zero means 5 s.
	DrainTimeout time.Duration

	// Dial opens the WebSocket. Nil means a plain dial with the system's roots. Tests put a pipe here.
	Dial func(ctx context.Context, url string) (*websocket.Conn, error)
	// Trace takes events without content, names or keys. Nil takes none.
	Trace trace.Sink
	// Actor is the device's name in trace events. Empty means the first 8 digits of its id.
	Actor string
	// Now is the clock for expiry and timestamps. Nil means time.Now.
	Now func() time.Time
}

// Errors that callers tell apart.
var (
	ErrNotFound  = errors.New("device: not found")
	ErrWrongKey  = errors.New("device: the passphrase or key file does not open this store")
	ErrNoPackage = errors.New("device: the peer has no key package at the relay: it never came online there, or is unknown")
	ErrClosed    = errors.New("device: closed")
)

// Message is one message of a chat.
type Message struct {
	Chat    messaging.ChatID
	ID      messaging.MessageID
	Sender  messaging.Member // authenticated by MLS; the Name is only claimed
	SentAt  time.Time        // when the relay accepted it; for own messages, when Send was called
	Epoch   uint64           // of the chat's MLS group
	Own     bool             // sent by this device
	Content content.Message
}

// Chat is a chat of this device.
type Chat struct {
	ID      messaging.ChatID
	Epoch   uint64
	Members []messaging.Member // this device included
	Peer    messaging.Member   // the other member, in a chat of two; else zero
}

// SendOptions changes how one message is sent. The zero value is fine.
type SendOptions struct {
	// Key makes Send idempotent: a second Send to the same chat with the same key sends nothing and returns the first one's id,
	// also after a restart. Empty means no key.
	Key string
	// TTL is how long the message may wait for its receivers, at the relay and here. Zero means Config.TTL. A message whose content
	// has an absolute expiry waits no longer than that.
	TTL time.Duration
	// Memory lets the relay keep the message in memory only; it needs a TTL of at most 10 minutes. Never for payments.
	Memory bool
}

// Handler takes one message of a peer. It is called at least once per message, until it returns nil: in order within a chat,
// concurrently across chats. Its error delays the chat's next messages and is answered by another call, later.
type Handler func(ctx context.Context, m Message) error
