package device

import (
	"context"
	"errors"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
)

var errTODO = errors.New("device: not written yet")

// Device is a device. Its methods may be called concurrently.
type Device struct{}

// Open opens the store, or creates it with a new identity. It does not need the relay. A store that another process has open is
// refused with sqlitedb.ErrLocked, a wrong key with ErrWrongKey.
func Open(ctx context.Context, c Config) (*Device, error) { return nil, errTODO }

// ID returns the device's id; it never changes.
func (d *Device) ID() messaging.DeviceID { return messaging.DeviceID{} }

// Name returns the name in the device's credential.
func (d *Device) Name() string { return "" }

// Run keeps the line to the relay: connects and reconnects, registers, keeps key packages stocked, receives, resends what waits in
// the outbox, calls the handler, forgets what expired. It returns nil after ctx has ended and everything begun is finished, or an
// error that reconnecting cannot heal. It is called once.
func (d *Device) Run(ctx context.Context) error { return errTODO }

// Close gives up the store. Run must have returned.
func (d *Device) Close() error { return errTODO }

// Ready is closed once the device was online: registered, key packages published, first sync done.
func (d *Device) Ready() <-chan struct{} { return nil }

// WaitOnline waits until the device is connected and synced.
func (d *Device) WaitOnline(ctx context.Context) error { return errTODO }

// Handle sets the handler. Call it before Run.
func (d *Device) Handle(h Handler) {}

// OnJoin sets a function that is told of chats that others added this device to, once each while running. Call it before Run.
func (d *Device) OnJoin(f func(ctx context.Context, c Chat)) {}

// CreateChat makes a new chat with the peers. It needs Run and a relay that answers.
func (d *Device) CreateChat(ctx context.Context, peers ...messaging.DeviceID) (messaging.ChatID, error) {
	return messaging.ChatID{}, errTODO
}

// ChatWith returns the chat of two with the peer, and creates it when there is none.
func (d *Device) ChatWith(ctx context.Context, peer messaging.DeviceID) (messaging.ChatID, error) {
	return messaging.ChatID{}, errTODO
}

// Chats lists the device's chats.
func (d *Device) Chats(ctx context.Context) ([]Chat, error) { return nil, errTODO }

// Chat returns one chat, or ErrNotFound.
func (d *Device) Chat(ctx context.Context, chat messaging.ChatID) (Chat, error) {
	return Chat{}, errTODO
}

// Members lists the members of a chat, this device included.
func (d *Device) Members(ctx context.Context, chat messaging.ChatID) ([]messaging.Member, error) {
	return nil, errTODO
}

// Add adds devices to a chat.
func (d *Device) Add(ctx context.Context, chat messaging.ChatID, peers ...messaging.DeviceID) error {
	return errTODO
}

// Remove removes a device from a chat.
func (d *Device) Remove(ctx context.Context, chat messaging.ChatID, peer messaging.DeviceID) error {
	return errTODO
}

// Refresh replaces this device's keys in the chat, so that whoever stole the old ones reads nothing new.
func (d *Device) Refresh(ctx context.Context, chat messaging.ChatID) error { return errTODO }

// Binding derives a value that only the members of the chat in its current epoch know (RFC 9420 §8.5).
func (d *Device) Binding(ctx context.Context, chat messaging.ChatID, label string) (messaging.Binding, error) {
	return messaging.Binding{}, errTODO
}

// Send encrypts the message and puts it into the outbox; it is durable when Send returns, and sent again until each receiver's
// device has said that it stored it, or it expires. It does not need the relay. It sets the message's salt.
func (d *Device) Send(ctx context.Context, chat messaging.ChatID, m content.Message, o SendOptions) (messaging.MessageID, error) {
	return messaging.MessageID{}, errTODO
}

// History returns the last messages of a chat, oldest first, at most max, own ones included, expired ones not.
func (d *Device) History(ctx context.Context, chat messaging.ChatID, max int) ([]Message, error) {
	return nil, errTODO
}

// Put stores a value of the application's in the device's store, encrypted like all else; nil deletes it.
func (d *Device) Put(ctx context.Context, bucket, key string, value []byte) error { return errTODO }

// Get returns a value, or ErrNotFound.
func (d *Device) Get(ctx context.Context, bucket, key string) ([]byte, error) { return nil, errTODO }

// Keys lists the keys of a bucket in order.
func (d *Device) Keys(ctx context.Context, bucket string) ([]string, error) { return nil, errTODO }
