// Package bench measures a relay from outside, over WebSockets, as devices see it.
//
// Its Client speaks frames and nothing more: it encrypts nothing and stores nothing. Package device is the client for everything else.
package bench

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/wire"
)

// Client is one device's connection. One goroutine may write and one may read at a time.
type Client struct {
	Device messaging.DeviceID
	Relay  wire.RelayID
	Ready  *wire.Ready
	WS     *websocket.Conn
}

// Dialer opens the network connection to a relay; nil means TCP.
type Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// Dial connects to url, such as "ws://127.0.0.1:7070", and registers the device of the key, or authenticates it if token is "-".
func Dial(ctx context.Context, url string, key ed25519.PrivateKey, token string, dial Dialer) (*Client, error) {
	d := websocket.Dialer{NetDialContext: dial, HandshakeTimeout: 10 * time.Second, ReadBufferSize: 4096, WriteBufferSize: 4096}
	ws, _, err := d.DialContext(ctx, strings.TrimSuffix(url, "/")+wire.Path, nil)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	ws.SetReadLimit(wire.MaxFrame)
	c := &Client{WS: ws, Device: messaging.DeviceIDOf(key.Public().(ed25519.PublicKey))}
	if err := c.handshake(key, token); err != nil {
		ws.Close()
		return nil, err
	}
	return c, nil
}

func (c *Client) handshake(key ed25519.PrivateKey, token string) error {
	if err := c.Write(&wire.Hello{Versions: []uint{wire.Version}}); err != nil {
		return err
	}
	f, err := c.Read()
	if err != nil {
		return err
	}
	ch, ok := f.(*wire.Challenge)
	if !ok {
		return unexpected(f)
	}
	c.Relay = ch.Relay
	if token == "-" {
		err = c.Write(wire.SignAuth(ch, key))
	} else {
		err = c.Write(wire.SignRegister(ch, key, token))
	}
	if err != nil {
		return err
	}
	if f, err = c.Read(); err != nil {
		return err
	}
	if c.Ready, ok = f.(*wire.Ready); !ok {
		return unexpected(f)
	}
	return nil
}

// Write sends one frame.
func (c *Client) Write(f wire.Frame) error {
	b, err := wire.Encode(f)
	if err != nil {
		return err
	}
	return c.WS.WriteMessage(websocket.BinaryMessage, b)
}

// Read waits for one frame.
func (c *Client) Read() (wire.Frame, error) {
	kind, b, err := c.WS.ReadMessage()
	if err != nil {
		return nil, err
	}
	if kind != websocket.BinaryMessage {
		return nil, errors.New("bench: the relay sent a text message")
	}
	return wire.Decode(b)
}

// Close ends the connection without a farewell.
func (c *Client) Close() error { return c.WS.Close() }

func unexpected(f wire.Frame) error {
	if e, ok := f.(*wire.Failure); ok {
		return e
	}
	return fmt.Errorf("bench: unexpected frame %v", f.Type())
}
