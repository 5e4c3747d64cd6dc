package demo

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"github.com/parleypay/parley/payments/intent"
)

// Init writes into dir, which must not exist, what the parts need to run as separate processes on this machine: four configuration
// files with fixed loopback ports and fresh secrets. It returns the commands that start everything, for a person to paste.
func Init(dir, railName string) (commands string, err error) {
	s, ok := setups[railName]
	if !ok {
		return "", fmt.Errorf("there is no rail %q; there are: fednow, sctinst", railName)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%s is there already", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	payer, shop, other := intent.NewOneTimeCode(), intent.NewOneTimeCode(), intent.NewOneTimeCode()
	if err := writeRail(dir, values{Setup: s.view(), Relay: "127.0.0.1:7410", Rail: "127.0.0.1:7420", Monitors: true, Audit: rand.Text()}); err != nil {
		return "", err
	}
	for _, v := range []bankValues{
		{Actor: actorShopBank, Monitor: "127.0.0.1:7431", Answers: "127.0.0.1:7432"},
		{Actor: actorPayerBank, Monitor: "127.0.0.1:7441", Asks: "http://127.0.0.1:7432"},
	} {
		v.RelayURL, v.RailURL = "ws://127.0.0.1:7410", "http://127.0.0.1:7420"
		if err := writeBank(dir, s, v, payer, shop, other); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf(`# each in a shell of its own
parley relay     -config %[1]s/relay.yaml
parley rail      -config %[1]s/rail.yaml
parley connector -config %[1]s/shop-bank.yaml
parley connector -config %[1]s/payer-bank.yaml

# the shop: a bot
PARLEY_NAME="Example Coffee" PARLEY_STORE=%[1]s/shop PARLEY_RELAY=ws://127.0.0.1:7410 PARLEY_BANK=@%[1]s/shop-bank/contact \
  PARLEY_ENROL_CODE=%[2]s PARLEY_ADDRESS_TO=%[1]s/shop.address go run ./examples/coffee

# the payer: you
PARLEY_PASSPHRASE="choose your own" parley chat -name Payer -store %[1]s/payer -relay ws://127.0.0.1:7410 \
  -bank @%[1]s/payer-bank/contact -code %[3]s -open @%[1]s/shop.address
`, dir, shop, payer), nil
}
