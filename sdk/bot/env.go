package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/sdk"
)

// The environment that FromEnv reads.
const (
	envName       = "PARLEY_NAME"       // what chats call the bot; default "bot"
	envRelay      = "PARLEY_RELAY"      // required: the relay's WebSocket address
	envToken      = "PARLEY_TOKEN"      // registration token, if the relay asks for one
	envStore      = "PARLEY_STORE"      // directory of the encrypted store; default "parley-NAME"
	envKeyFile    = "PARLEY_KEY_FILE"   // file with the store's key; made on first use
	envPassphrase = "PARLEY_PASSPHRASE" // instead of a key file
	envBank       = "PARLEY_BANK"       // the own bank's contact, or @FILE with it; needed to be paid
	envCode       = "PARLEY_ENROL_CODE" // the bank's one-time code; used once, then ignored
	envAddress    = "PARLEY_ADDRESS_TO" // a file that gets the bot's address once it runs
)

// MustFromEnv is FromEnv for main: it logs what is wrong and ends the process with status 2.
func MustFromEnv() *Bot {
	b, err := FromEnv(context.Background())
	if err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			slog.Error("bot: " + line)
		}
		os.Exit(2)
	}
	return b
}

// FromEnv opens a bot from its environment and reports everything that is wrong at once. Only the first is required:
//
//	PARLEY_RELAY       the relay's address, such as ws://127.0.0.1:7410
//	PARLEY_NAME        what chats call the bot; default bot
//	PARLEY_STORE       directory of its encrypted store; default parley- and the name
//	PARLEY_KEY_FILE    file with the store's key, made when it is not there; default key in the store's directory
//	PARLEY_PASSPHRASE  the store's passphrase, instead of a key file
//	PARLEY_TOKEN       registration token, if the relay asks for one
//	PARLEY_ADDRESS_TO  file that gets the bot's address, which people open a chat with
//	PARLEY_BANK        contact of the bot's bank, or @FILE with it: to be paid
//	PARLEY_ENROL_CODE  one-time code of that bank; used once, harmless afterwards
func FromEnv(ctx context.Context) (*Bot, error) {
	var faults []error
	fault := func(key, text string) { faults = append(faults, fmt.Errorf("%s %s", key, text)) }

	name := os.Getenv(envName)
	if name == "" {
		name = "bot"
	}
	store := os.Getenv(envStore)
	if store == "" {
		store = "parley-" + strings.Map(fileLetter, name)
	}
	c := sdk.Config{Store: store, Relay: os.Getenv(envRelay), Token: os.Getenv(envToken), Name: name}
	if c.Relay == "" {
		fault(envRelay, "is not set: want the relay's address, such as ws://127.0.0.1:7410")
	}
	if contact := os.Getenv(envBank); contact != "" {
		bank, err := readContact(contact)
		if err != nil {
			fault(envBank, err.Error())
		}
		c.Bank = &bank
	} else if os.Getenv(envCode) != "" {
		fault(envCode, "is set without "+envBank)
	}
	switch pass, file := os.Getenv(envPassphrase), os.Getenv(envKeyFile); {
	case pass != "" && file != "":
		fault(envPassphrase, "and "+envKeyFile+" are both set: want one")
	case pass != "":
		c.Key = device.Passphrase(pass)
	default:
		if file == "" {
			file = filepath.Join(store, "key")
		}
		if err := ensureKeyFile(file); err != nil {
			fault(envKeyFile, err.Error())
		}
		c.Key = device.KeyFile(file)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	client, err := sdk.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	b := New(client, nil)
	b.code, b.addressTo = os.Getenv(envCode), os.Getenv(envAddress)
	b.enrol = client
	b.closer = client.Close
	return b, nil
}

func readContact(text string) (sdk.Bank, error) {
	if path, ok := strings.CutPrefix(text, "@"); ok {
		raw, err := os.ReadFile(path)
		if err != nil {
			return sdk.Bank{}, err
		}
		text = string(raw)
	}
	return sdk.ParseBank(text)
}

func ensureKeyFile(path string) error {
	if _, err := os.Stat(path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return device.NewKeyFile(path)
}

func fileLetter(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
		return r
	case r >= 'A' && r <= 'Z':
		return r + 'a' - 'A'
	}
	return '-'
}

// enrolOnce enrols the bot at its bank with the one-time code, if it has one and is not enrolled yet.
func (b *Bot) enrolOnce(ctx context.Context) {
	defer close(b.enrolled)
	if b.code == "" || b.enrol == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if _, err := b.enrol.Enrol(ctx, sdk.Payee, b.code); err != nil && ctx.Err() == nil {
		b.log.Error("bot: enrolment at the bank failed; payments cannot be asked for", "error", err)
		return
	}
	b.log.Info("bot: enrolled at its bank")
}
