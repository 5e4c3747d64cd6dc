package sdk

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/intent"
)

// Endpoint is a bank's end of the chats with its customers: the connector.Chat of an engine, on a device. It has no payments of its
// own; the engine decides everything.
type Endpoint struct {
	device *device.Device
}

// OpenEndpoint opens the endpoint's store, or creates it with a new identity. Of the configuration, what is about payments does not count.
func OpenEndpoint(ctx context.Context, c Config) (*Endpoint, error) {
	d, err := device.Open(ctx, device.Config{Path: filepath.Join(c.Store, "device.db"), Key: c.Key, RelayURL: c.Relay, Token: c.Token,
		Name: c.Name, Log: c.Log, Trace: c.Trace, Actor: c.Actor, Dial: c.Dial})
	if err != nil {
		return nil, err
	}
	return &Endpoint{device: d}, nil
}

// ID returns the endpoint's address, which is part of the bank's contact.
func (e *Endpoint) ID() messaging.DeviceID { return e.device.ID() }

// Ready is closed once the endpoint was online.
func (e *Endpoint) Ready() <-chan struct{} { return e.device.Ready() }

// Serve hands what customers send to handle, which returns nil when it is durable, until ctx ends. It is called once.
func (e *Endpoint) Serve(ctx context.Context, handle func(context.Context, connector.Inbound) error) error {
	e.device.Handle(func(ctx context.Context, m device.Message) error {
		mediaType, body := m.Content.First()
		switch mediaType {
		case intent.MediaEnrol, intent.MediaCheck, intent.MediaMandate, intent.MediaDecline, intent.MediaCancel:
			return handle(ctx, connector.Inbound{Chat: m.Chat.String(), Sender: m.Sender.Device.String(), MessageID: m.ID, MediaType: mediaType,
				Body: body, At: m.SentAt})
		}
		return nil // people may write to their bank; nobody reads it here
	})
	return e.device.Run(ctx)
}

// Send implements connector.Chat.
func (e *Endpoint) Send(ctx context.Context, to, key, mediaType string, body []byte, fallback string) error {
	chat, err := messaging.ParseChatID(to)
	if err != nil {
		return fmt.Errorf("sdk: endpoint: %w", err)
	}
	_, err = e.device.Send(ctx, chat, content.Payment(mediaType, body, fallback), device.SendOptions{Key: key})
	if errors.Is(err, device.ErrLeft) || errors.Is(err, device.ErrNotFound) {
		return fmt.Errorf("sdk: endpoint: %w: %w", connector.ErrChatGone, err)
	}
	return err
}

// Close closes the store after Serve has returned.
func (e *Endpoint) Close() error { return e.device.Close() }

var _ connector.Chat = (*Endpoint)(nil)
