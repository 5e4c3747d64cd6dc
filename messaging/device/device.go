// Package device is one device's side of messaging: its identity, its encrypted store, its chats, its outbox, and its line to the relay.
//
// It does not know what messages mean, and it moves no money.
package device

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/wire"
)

// Config says where a device lives. Path, Key, RelayURL and Name are required; everything else has a default.
type Config struct {
	// Path is the store, an SQLite file. It is created, with a new identity, when it does not exist.
	Path string
	// Key unlocks the store. See Passphrase and KeyFile.
	Key KeySource
	// RelayURL is the relay's address, wss://host[:port] or, for a relay on the same machine, ws://host[:port]; wire.Path is added.
	RelayURL string
	// Name is what the device's credential calls it, 1 to 64 octets without control characters. Nobody verifies it. It counts when the
	// store is created; afterwards the stored name stays.
	Name string

	// Token is the registration token, for relays that ask for one.
	Token string
	// Jurisdiction is where this device's mailbox is to be kept, such as "eu". Empty means the relay's own.
	Jurisdiction string
	// Suites are the MLS cipher suites that the device takes, the best first: a chat gets the first that all its devices have. Empty
	// means mls.XWingAES256GCM, which is post-quantum, and mls.X25519AES128GCM. See Chat.Suite for what a chat got.
	Suites []mls.CipherSuite
	// RequirePostQuantum takes only the post-quantum ones of Suites: no other chat is made, joined or written to.
	RequirePostQuantum bool
	// KeyPackages is how many single-use key packages of each suite are kept at the relay. Zero means 16.
	KeyPackages int
	// TTL is how long a message may wait for its receiver when SendOptions does not say. Zero means 7 days, the most is 30 days.
	TTL time.Duration
	// History is how long delivered messages stay in the store when they do not expire earlier. Zero means 30 days.
	History time.Duration
	// DrainTimeout bounds how long Run waits for handlers and for the last writes once its context has ended. Zero means 5 s.
	DrainTimeout time.Duration

	// Dial opens the WebSocket. Nil means a plain dial with the system's roots. Tests put a pipe here.
	Dial func(ctx context.Context, url string) (*websocket.Conn, error)
	// Log takes what an operator should know: that the relay cannot be reached, once per outage, and that it is there again. It never
	// takes content, names, keys or ids. Nil takes nothing.
	Log *slog.Logger
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
	// ErrNoSuite: there is no cipher suite that all devices of a chat have and this device takes; for a chat that exists, the peer lacks
	// the chat's.
	ErrNoSuite = errors.New("device: the peer has no key package of a cipher suite that will do")
	// ErrDowngrade: the relay gave out key packages of a weaker cipher suite than all devices say they have.
	ErrDowngrade = errors.New("device: the relay withholds the key packages of the better cipher suite that all devices of the chat have")
	// ErrStoreVersion: the store was made by another version of this program.
	ErrStoreVersion = errors.New("device: the store is of another version; start with a new one")
	// ErrCopy: the store is an older copy of itself, and another one ran since. Nothing is sealed in the chat until a commit, which is
	// under way, has given it keys that the other one never had; when it cannot, because the chat has moved on, the members need a new chat with this device.
	ErrCopy = errors.New("device: the store is an older copy of itself, and the chat has no new keys yet")
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
	Suite   mls.CipherSuite    // Suite.PostQuantum says whether a later quantum computer can read what is recorded today
	Members []messaging.Member // this device included
	Peer    messaging.Member   // the other member, in a chat of two; else zero
	// SafetyCode is 30 digits in six groups of five. When it is the same on the screens of two members, nobody sits between them, and
	// both see the same members. It changes with the epoch (RFC 9420 §8.7).
	SafetyCode string
}

// SendOptions changes how one message is sent. The zero value is fine.
type SendOptions struct {
	// Key makes Send idempotent: a second Send to the same chat with the same key sends nothing and returns the first one's id,
	// also after a restart, for at least 31 days. Empty means no key.
	Key string
	// Put is stored together with the message: both are durable when Send returns, or neither is. Nothing is stored when Key
	// has been used before.
	Put []Value
	// TTL is how long the message may wait for its receivers, at the relay and here. Zero means Config.TTL. A message whose content
	// has an absolute expiry waits no longer than that.
	TTL time.Duration
	// Memory lets the relay keep the message in memory only; it needs a TTL of at most 10 minutes. Never for payments.
	Memory bool
}

// Handler takes one message of a peer. It is called at least once per message, until it returns nil: in order within a chat,
// concurrently across chats. Its error delays the chat's next messages and is answered by another call, later.
//
// The message may not be durable yet: a crash then undoes it together with what the handler wrote here, and brings it again. History and
// a Get or Keys show it, and what PutLater wrote, only once it is.
type Handler func(ctx context.Context, m Message) error

// Device is a device. Its methods may be called concurrently.
type Device struct {
	c    Config
	s    *store
	key  ed25519.PrivateKey
	id   messaging.DeviceID
	name string

	suites []mls.CipherSuite // taken, the best first
	mls    *mls.Client
	run    atomic.Uint64 // the current one; see copies

	out      *outgoing
	receipts *receipts
	inbox    *inbox
	line     *line
	cursors  cursors    // as in the store; used in transactions that write only
	taking   sync.Mutex // held from taking messages in until the inbox has them, so that they get there in order
	stats    stats
	expiry   expiry

	handler Handler
	onJoin  func(context.Context, Chat)
	running atomic.Bool
	with    turns[messaging.DeviceID] // of ChatWith, so that two calls do not make two chats
	commits commits
	copies  copies
}

// identity is the stored identity.
type identity struct {
	Seed []byte `cbor:"1,keyasint"` // Ed25519
	Name string `cbor:"2,keyasint"`
}

// Open opens the store, or creates it with a new identity. It does not need the relay. A store that another process has open is
// refused with sqlitedb.ErrLocked, a wrong key with ErrWrongKey.
func Open(ctx context.Context, c Config) (*Device, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s, err := openStore(ctx, c.Path, c.Key)
	if err != nil {
		return nil, err
	}
	d := &Device{c: c.withDefaults(), s: s}
	if err := d.load(ctx); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return d, nil
}

func (c *Config) check() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, errors.New("device: config: Path is missing"))
	}
	if c.Key == nil {
		errs = append(errs, errors.New("device: config: Key is missing"))
	}
	if u, err := url.Parse(c.RelayURL); err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Host == "" {
		errs = append(errs, errors.New("device: config: RelayURL: want ws:// or wss:// and a host"))
	}
	if err := CheckName(c.Name); err != nil {
		errs = append(errs, fmt.Errorf("device: config: Name: %w", err))
	}
	if c.TTL < 0 || c.TTL > maxTTL {
		errs = append(errs, fmt.Errorf("device: config: TTL: at most %v", maxTTL))
	}
	if _, err := c.suites(); err != nil {
		errs = append(errs, err)
	}
	if c.KeyPackages < 0 || c.KeyPackages > wire.MaxPackages {
		errs = append(errs, fmt.Errorf("device: config: KeyPackages: at most %d", wire.MaxPackages))
	}
	return errors.Join(errs...)
}

// maxTTL is the longest that a message can wait (facts of the relay: 30 days).
const maxTTL = 30 * 24 * time.Hour

func (c Config) withDefaults() Config {
	c.KeyPackages = cmp.Or(c.KeyPackages, 16)
	c.TTL = cmp.Or(c.TTL, 7*24*time.Hour)
	c.History = cmp.Or(c.History, 30*24*time.Hour)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 5*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, url string) (*websocket.Conn, error) {
			dialer := websocket.Dialer{HandshakeTimeout: 10 * time.Second, Proxy: http.ProxyFromEnvironment}
			ws, _, err := dialer.DialContext(ctx, url, nil)
			return ws, err
		}
	}
	return c
}

func (d *Device) load(ctx context.Context) error {
	var id identity
	err := d.s.update(ctx, func(t *tx) error {
		if _, err := t.getMeta("cursors", &d.cursors); err != nil {
			return err
		}
		var run uint64
		if _, err := t.getMeta("run", &run); err != nil {
			return err
		}
		if err := d.nextRun(t, run); err != nil {
			return err
		}
		found, err := t.getMeta("identity", &id)
		if err != nil || found {
			return err
		}
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		id = identity{key.Seed(), d.c.Name}
		return t.putMeta("identity", id)
	})
	if err != nil {
		return err
	}
	if len(id.Seed) != ed25519.SeedSize {
		return errors.New("device: store: damaged identity")
	}
	d.key, d.name = ed25519.NewKeyFromSeed(id.Seed), id.Name
	clear(id.Seed)
	d.id = messaging.DeviceIDOf(d.key.Public().(ed25519.PublicKey))
	if d.suites, err = d.c.suites(); err != nil {
		return err
	}
	if err := d.newClient(); err != nil {
		return err
	}
	d.c.Actor = cmp.Or(d.c.Actor, d.id.String()[:8])
	d.receipts = newReceipts(d)
	d.inbox = newInbox(d)
	d.line = newLine(d)
	d.out = newOutgoing(d)
	if err := d.clearEmpty(ctx); err != nil {
		return err
	}
	if err := d.loadUnconfirmed(ctx); err != nil {
		return err
	}
	if err := d.copies.load(ctx, d); err != nil {
		return err
	}
	return d.out.load(ctx)
}

// ID returns the device's id; it never changes.
func (d *Device) ID() messaging.DeviceID { return d.id }

// Name returns the name in the device's credential.
func (d *Device) Name() string { return d.name }

// Handle sets the handler. Call it before Run. Messages that come while there is none count as handled.
func (d *Device) Handle(h Handler) { d.handler = h }

// OnJoin sets a function that is told of chats that others added this device to, once each, while running. Call it before Run.
func (d *Device) OnJoin(f func(ctx context.Context, c Chat)) { d.onJoin = f }

// Close gives up the store. Run must have returned. Nothing that was acknowledged to anybody is lost without it.
func (d *Device) Close() error {
	err := d.s.db.Close()
	clear(d.key)
	return err
}

// now is the device's clock.
func (d *Device) now() time.Time { return d.c.Now() }

func (d *Device) trace(event, detail string) {
	d.c.Trace.Emit(trace.Event{T: d.now(), Actor: d.c.Actor, Event: event, Detail: detail})
}

// Stats counts what happened since Open.
type Stats struct {
	Sent, Received     uint64 // messages
	Duplicates         uint64 // deliveries of what was here already
	Bad                uint64 // deliveries that no key opens or that are malformed: thrown away
	Expired            uint64 // messages that came, or waited, too long
	Early              uint64 // deliveries that came before the commit or welcome they need
	Connects, Commits  uint64
	Outbox, Unanswered int // messages waiting now
}

type stats struct {
	sent, received, duplicates, bad, expired, early, connects, commits atomic.Uint64
}

// Stats returns the counters, for metrics.
func (d *Device) Stats() Stats {
	all, unanswered := d.out.len()
	return Stats{
		Sent: d.stats.sent.Load(), Received: d.stats.received.Load(), Duplicates: d.stats.duplicates.Load(), Bad: d.stats.bad.Load(),
		Expired: d.stats.expired.Load(), Early: d.stats.early.Load(), Connects: d.stats.connects.Load(), Commits: d.stats.commits.Load(),
		Outbox: all, Unanswered: unanswered,
	}
}
