// Package sdk is one device with its chats and the payments in them: a payer, a payee, or a bank's chat endpoint.
//
// It joins messaging and payments and is the API that most programs use. It holds no money and decides nothing about it: a bank
// does, and this package believes only what its own bank has signed.
package sdk

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/payments/intent"
)

// Config says where a client lives. Store, Key, Relay and Name are required.
type Config struct {
	// Store is the directory of the client's encrypted store. It is created when it does not exist. One process at a time.
	Store string
	// Key unlocks the store: device.Passphrase or device.KeyFile.
	Key device.KeySource
	// Relay is the relay's WebSocket address, such as wss://relay.example.
	Relay string
	// Token is the registration token, for relays that ask for one.
	Token string
	// Name is what chats call this device, 1 to 64 octets. Nobody verifies it.
	Name string
	// Bank is the client's own bank. Nil means that the client can chat but neither pay nor be paid.
	Bank *Bank

	// Suites are the MLS cipher suites that the client takes, the best first; see device.Config. Empty means post-quantum, and classical
	// with devices that have no other.
	Suites []mls.CipherSuite
	// RequirePostQuantum makes, joins and writes to no chat that is not post-quantum.
	RequirePostQuantum bool

	// Unlock is asked right before a mandate is signed, with what is about to be approved: the place for a PIN or a fingerprint. It
	// returns how the holder was authenticated (RFC 8176), one method of possession and one of knowledge or inherence, such as "swk"
	// and "pin"; its error stops the approval. Nil means that this client cannot approve payments.
	Unlock func(ctx context.Context, p Payment) (methods []string, err error)

	// Log takes what an operator should know, without content, names or accounts. Nil means slog.Default.
	Log *slog.Logger
	// Trace takes events for a person or a test to follow. Nil takes none.
	Trace trace.Sink
	// Actor is this client's name in trace events. Empty means Name.
	Actor string
	// Dial opens the WebSocket; nil means a plain dial. Tests put a pipe here.
	Dial func(ctx context.Context, url string) (*websocket.Conn, error)
}

// Client is an open client. Its methods may be called concurrently, except those that set handlers, which come before Run.
type Client struct {
	config  Config
	device  *device.Device
	log     *slog.Logger
	records records

	onText    func(context.Context, Text) error
	onPayment func(context.Context, Payment) error

	mu        sync.Mutex     // guards what follows, which saves verifying what the store holds again
	verified  map[string]any // by exact bytes, see verifyOnce
	enrolment map[Role]intent.Enrolment
}

// Errors that callers tell apart.
var (
	ErrNoBank      = errors.New("sdk: the client has no bank")
	ErrNotEnrolled = errors.New("sdk: no key is enrolled at the bank yet")
	ErrNotFound    = device.ErrNotFound
)

// Open opens the client's store, or creates it with a new identity. It does not need the relay.
func Open(ctx context.Context, c Config) (*Client, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Actor == "" {
		c.Actor = c.Name
	}
	if c.Store == "" {
		return nil, errors.New("sdk: Config.Store is empty")
	}
	d, err := device.Open(ctx, device.Config{Path: filepath.Join(c.Store, "device.db"), Key: c.Key, RelayURL: c.Relay, Token: c.Token,
		Name: c.Name, Suites: c.Suites, RequirePostQuantum: c.RequirePostQuantum, Log: c.Log, Trace: c.Trace, Actor: c.Actor, Dial: c.Dial})
	if err != nil {
		return nil, err
	}
	client := &Client{config: c, device: d, log: c.Log, verified: map[string]any{}, enrolment: map[Role]intent.Enrolment{}}
	client.records.init(d)
	d.Handle(client.handle)
	return client, nil
}

// ID returns the client's address.
func (c *Client) ID() messaging.DeviceID { return c.device.ID() }

// Device gives the messaging side of the client: chats, members, history. Its handler is the client's.
func (c *Client) Device() *device.Device { return c.device }

// OnText sets the handler of text messages of others. It is called at least once per message, in order within a chat, again when it
// fails. Call it before Run.
func (c *Client) OnText(h func(context.Context, Text) error) { c.onText = h }

// OnPayment sets the handler of everything that happens to payments: Payment.News says what. It is called at least once for each,
// again when it fails. It may wait for other chats: a payer's handler can Check and Approve. Call it before Run.
func (c *Client) OnPayment(h func(context.Context, Payment) error) { c.onPayment = h }

// Run keeps the client online until ctx ends, and returns after what it has begun is durable.
func (c *Client) Run(ctx context.Context) error {
	return c.device.Run(ctx)
}

// WaitOnline waits until the client is connected and synced. Run must have been called.
func (c *Client) WaitOnline(ctx context.Context) error { return c.device.WaitOnline(ctx) }

// Close closes the store after Run has returned.
func (c *Client) Close() error { return c.device.Close() }

// ChatWith returns the chat of two with a device, and creates it when there is none.
func (c *Client) ChatWith(ctx context.Context, peer messaging.DeviceID) (messaging.ChatID, error) {
	return c.device.ChatWith(ctx, peer)
}

// SendText sends a text into a chat. It is durable when SendText returns and delivered when the other side is online.
func (c *Client) SendText(ctx context.Context, chat messaging.ChatID, text string, o SendOptions) error {
	m := content.Text(text)
	if o.ReplyTo != (messaging.MessageID{}) {
		m.InReplyTo = &o.ReplyTo
	}
	if o.Expires > 0 {
		m.Expires = content.ExpiresAt(time.Now().Add(o.Expires))
	}
	_, err := c.device.Send(ctx, chat, m, device.SendOptions{Key: o.Key})
	return err
}

// sendPart sends one payment object. values become durable together with it.
func (c *Client) sendPart(ctx context.Context, chat messaging.ChatID, key, mediaType string, body []byte, fallback string, values ...device.Value) error {
	_, err := c.device.Send(ctx, chat, content.Payment(mediaType, body, fallback), device.SendOptions{Key: key, Put: values})
	return err
}

func (c *Client) emit(event, intentID, status, detail string) {
	c.config.Trace.Emit(trace.Event{Actor: c.config.Actor, Event: event, Intent: intentID, Status: status, Detail: detail})
}

// handle takes one message of the device. What cannot be understood is noted and done with; an error means try again.
func (c *Client) handle(ctx context.Context, m device.Message) error {
	mediaType, body := m.Content.First()
	switch mediaType {
	case intent.MediaRequest:
		return c.takeRequest(ctx, m, body)
	case intent.MediaEnrolment, intent.MediaPayeeCheck, intent.MediaCredited, intent.MediaRefusal:
		return c.takeFromBank(ctx, m, mediaType, body)
	case intent.MediaReceipt:
		if c.config.Bank != nil && m.Sender.Device == c.config.Bank.Device {
			return c.takeFromBank(ctx, m, mediaType, body)
		}
		return c.takePassedReceipt(ctx, m, body)
	case intent.MediaDecline, intent.MediaCancel:
		return c.takeWithdrawal(ctx, m, mediaType, body)
	}
	if text := m.Content.Text(); text != "" && c.onText != nil {
		return c.onText(ctx, Text{Chat: m.Chat, ID: m.ID, Sender: m.Sender, Body: text, At: m.SentAt})
	}
	return nil
}

// refuse notes a message that is not what it should be. It changes nothing and is not tried again.
func (c *Client) refuse(mediaType string, err error) error {
	c.log.Warn("sdk: refused a message", "type", mediaType, "error", err)
	c.emit("message refused", "", "", mediaType+": "+err.Error())
	return nil
}

// notTaken ends the handling of a message that changed no record: one that cannot change it is refused, and one that the store failed on
// must come again.
func (c *Client) notTaken(mediaType string, err error) error {
	var cannot *changeError
	if errors.As(err, &cannot) {
		return c.refuse(mediaType, cannot.error)
	}
	return err
}

// bankChat returns the chat with the own bank.
func (c *Client) bankChat(ctx context.Context) (messaging.ChatID, error) {
	if c.config.Bank == nil {
		return messaging.ChatID{}, ErrNoBank
	}
	return c.device.ChatWith(ctx, c.config.Bank.Device)
}

// Keys of the client in its store.
const (
	bucketKeys    = "sdk.keys"
	bucketRecords = "sdk.payments"
	bucketOrders  = "sdk.orders"
	keyPayer      = "payer"     // PKCS #8, P-256
	keyPayee      = "payee"     // Ed25519 seed
	keyEnrolment  = "enrolment" // + " payer" or " payee": the bank's credential, JWS
)

// payerKey returns the key that signs mandates, and makes it on first use. It never leaves the encrypted store.
func (c *Client) payerKey(ctx context.Context) (*ecdsa.PrivateKey, error) {
	der, err := c.device.Get(ctx, bucketKeys, keyPayer)
	if errors.Is(err, device.ErrNotFound) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("sdk: payer key: %w", err)
		}
		if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			return nil, fmt.Errorf("sdk: payer key: %w", err)
		}
		return key, c.device.Put(ctx, bucketKeys, keyPayer, der)
	}
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("sdk: the payer key in the store is damaged")
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("sdk: the payer key in the store is damaged")
	}
	return ec, nil
}

// locks gives one mutex per name, for as long as somebody holds or wants it.
type locks struct {
	mu   sync.Mutex // guards held
	held map[string]*lock
}

type lock struct {
	sync.Mutex
	users int
}

func (l *locks) lock(name string) (unlock func()) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*lock{}
	}
	k := l.held[name]
	if k == nil {
		k = &lock{}
		l.held[name] = k
	}
	k.users++
	l.mu.Unlock()
	k.Lock()
	return func() {
		k.Unlock()
		l.mu.Lock()
		if k.users--; k.users == 0 {
			delete(l.held, name)
		}
		l.mu.Unlock()
	}
}
