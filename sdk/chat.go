package sdk

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/messaging/mls"
)

// Chat is a chat as this client knows it. It is a value: what happens later does not change it.
type Chat struct {
	ID    messaging.ChatID
	Epoch uint64 // how often its keys and members have changed
	// Suite is the MLS cipher suite, which a chat keeps for good. Suite.PostQuantum says whether a later quantum computer can read what
	// somebody records today; show it when it cannot be promised.
	Suite   mls.CipherSuite
	Members []Member // this client included
	// SafetyCode is 30 digits in six groups of five. When two members read the same digits to each other, by voice or side by side, nobody
	// sits between them and both see the same members. It changes whenever keys or members do (RFC 9420 §8.7).
	SafetyCode string
}

// Member is a device in a chat, as its credential names it.
type Member struct {
	Device   messaging.DeviceID // the hash of its signature key: nobody can take another's
	Name     string             // what the device calls itself; nobody vouches for it
	Own      bool               // this client
	Verified bool               // the person here has compared safety codes with it, see Verify; always true for Own
}

// ErrSafetyCode means that the safety code given is not that of the chat now.
var ErrSafetyCode = errors.New("sdk: that is not the safety code of this chat now: keys or members may just have changed, or somebody sits in between; compare again")

const bucketVerified = "sdk.verified"

// Chat returns what is known of a chat, or ErrNotFound.
func (c *Client) Chat(ctx context.Context, id messaging.ChatID) (Chat, error) {
	d, err := c.device.Chat(ctx, id)
	if err != nil {
		return Chat{}, err
	}
	return c.chat(ctx, d)
}

// Chats lists the chats that this client is a member of.
func (c *Client) Chats(ctx context.Context) ([]Chat, error) {
	all, err := c.device.Chats(ctx)
	if err != nil {
		return nil, err
	}
	chats := make([]Chat, 0, len(all))
	for _, d := range all {
		chat, err := c.chat(ctx, d)
		if err != nil {
			return nil, err
		}
		chats = append(chats, chat)
	}
	return chats, nil
}

func (c *Client) chat(ctx context.Context, d device.Chat) (Chat, error) {
	chat := Chat{ID: d.ID, Epoch: d.Epoch, Suite: d.Suite, SafetyCode: d.SafetyCode}
	for _, m := range d.Members {
		member := Member{Device: m.Device, Name: m.Name, Own: m.Device == c.ID()}
		_, err := c.device.Get(ctx, bucketVerified, m.Device.String())
		if err != nil && !errors.Is(err, ErrNotFound) {
			return Chat{}, err
		}
		member.Verified = member.Own || err == nil
		chat.Members = append(chat.Members, member)
	}
	return chat, nil
}

// Verify notes that the person here has compared the chat's safety code with a member: code is what the member's screen shows. From then
// on the device counts as verified in every chat, because its id is the hash of its key. Spaces in code do not matter. A code that is not
// the chat's is ErrSafetyCode, and changes nothing.
func (c *Client) Verify(ctx context.Context, id messaging.ChatID, member messaging.DeviceID, code string) error {
	chat, err := c.Chat(ctx, id)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(strings.Join(strings.Fields(code), "")), []byte(strings.Join(strings.Fields(chat.SafetyCode), ""))) != 1 {
		return ErrSafetyCode
	}
	for _, m := range chat.Members {
		if m.Device == member && !m.Own {
			return c.device.Put(ctx, bucketVerified, member.String(), []byte{1})
		}
	}
	return fmt.Errorf("%w: member", ErrNotFound)
}
