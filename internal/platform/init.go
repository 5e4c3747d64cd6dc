package platform

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	w.Temporary = temporary(dir) // who tries it there may lose it there
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
  PARLEY_ENROL_CODE=%[2]s PARLEY_ADDRESS_TO=%[1]s/shop.address COFFEE_CURRENCY=%[6]s go run ./examples/coffee

# the payer: you; then say /buy flat white
PARLEY_PASSPHRASE="choose your own" %[5]s chat -name Payer -store %[1]s/payer -relay ws://127.0.0.1:7410 \
  -bank @%[1]s/payer-bank/contact -code %[3]s -open @%[1]s/shop.address
`, dir, w.ShopCodes[0], w.PayerCodes[0], w.Shop.Name, program, w.Currency), nil
}

// temporary reports whether dir, which need not exist, lies in the system's folder for temporary files.
func temporary(dir string) bool {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	for _, temp := range []string{os.TempDir(), realPath(os.TempDir())} {
		for _, path := range []string{abs, filepath.Join(realPath(filepath.Dir(abs)), filepath.Base(abs))} {
			if rel, err := filepath.Rel(temp, path); err == nil && filepath.IsLocal(rel) {
				return true
			}
		}
	}
	return false
}

// realPath resolves symbolic links as far as it can.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
