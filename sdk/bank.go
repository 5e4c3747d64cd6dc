package sdk

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/payments"
)

// Bank is what a client knows of its own bank: where its connector is in the chat network and the key its statements are signed
// with. A person gets it from the bank itself, as a contact, on the way the bank gives out one-time codes.
type Bank struct {
	Agent  payments.AgentID
	Device messaging.DeviceID
	Key    ed25519.PublicKey
}

var errContact = errors.New("sdk: a bank's contact reads bank:AGENT:DEVICE:KEY")

// ParseBank reads a contact: "bank:", the agent (BIC, routing number or ISPB), the connector's device id and its public key in unpadded
// base64url, joined by colons.
func ParseBank(contact string) (Bank, error) {
	parts := strings.Split(strings.TrimSpace(contact), ":")
	if len(parts) != 4 || parts[0] != "bank" {
		return Bank{}, errContact
	}
	agent, err := payments.ParseAgentID(parts[1])
	if err != nil {
		return Bank{}, errors.Join(errContact, err)
	}
	device, err := messaging.ParseDeviceID(parts[2])
	if err != nil {
		return Bank{}, errors.Join(errContact, err)
	}
	key, err := base64.RawURLEncoding.Strict().DecodeString(parts[3])
	if err != nil || len(key) != ed25519.PublicKeySize {
		return Bank{}, errContact
	}
	return Bank{Agent: agent, Device: device, Key: key}, nil
}

// String returns the contact, as ParseBank reads it.
func (b Bank) String() string {
	return "bank:" + string(b.Agent) + ":" + b.Device.String() + ":" + base64.RawURLEncoding.EncodeToString(b.Key)
}
