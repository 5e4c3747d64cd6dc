package platform

import (
	"errors"
	"fmt"
	"os"
)

// Init writes into dir, which must not exist, what the parts need to run as separate processes on this machine: four configuration
// files with fixed loopback ports and fresh secrets. It returns the commands that start everything, for a person to paste; program is how
// they call parley.
func Init(dir, railName, program string) (commands string, err error) {
	w, err := NewWorld(railName, 1)
	if err != nil {
		return "", err
	}
	w.Fixed, w.Magic = true, true
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%s is there already", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if err := w.WriteRail(dir); err != nil {
		return "", err
	}
	for _, bank := range []string{ShopBank, PayerBank} {
		if err := w.WriteBank(dir, bank, "ws://127.0.0.1:7410", "http://127.0.0.1:7420", "http://127.0.0.1:7432"); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf(`# the four parts, each in a shell of its own
%[5]s relay     --config %[1]s/relay.yaml
%[5]s rail      --config %[1]s/rail.yaml
%[5]s connector --config %[1]s/shop-bank.yaml
%[5]s connector --config %[1]s/payer-bank.yaml

# the shop: a bot; ready when it says "enrolled at its bank"
PARLEY_NAME="%[4]s" PARLEY_STORE=%[1]s/shop PARLEY_RELAY=ws://127.0.0.1:7410 PARLEY_BANK=@%[1]s/shop-bank/contact \
  PARLEY_ENROL_CODE=%[2]s PARLEY_ADDRESS_TO=%[1]s/shop.address go run ./examples/coffee

# the payer: you; then say /buy flat white
PARLEY_PASSPHRASE="choose your own" %[5]s chat -name Payer -store %[1]s/payer -relay ws://127.0.0.1:7410 \
  -bank @%[1]s/payer-bank/contact -code %[3]s -open @%[1]s/shop.address
`, dir, w.ShopCodes[0], w.PayerCodes[0], w.Shop.Name, program), nil
}
