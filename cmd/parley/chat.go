package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/parleypay/parley/internal/node"
	"github.com/parleypay/parley/internal/terminal"
	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/sdk"
)

func chatCommand(args []string, in io.Reader, out, errs io.Writer) int {
	fs := flag.NewFlagSet("chat", flag.ContinueOnError)
	name := fs.String("name", "", "what chats call you, required")
	store := fs.String("store", "", "`directory` of your encrypted store, required")
	relay := fs.String("relay", "", "the relay's WebSocket `URL`, required")
	token := fs.String("token-file", "", "`file` with the relay's registration token, if it asks for one")
	bank := fs.String("bank", "", "your bank's `contact`, or @FILE with it")
	code := fs.String("code", "", "one-time `code` of your bank; used once")
	pq := fs.Bool("require-post-quantum", false, "make, join and write to no chat that is not post-quantum")
	open := fs.String("open", "", "open a chat with this `address` (40 hexadecimal digits), or @FILE with it")
	if exit := parse(fs, args, errs); exit >= 0 {
		return exit
	}
	fail := func(err error) int {
		fmt.Fprintf(errs, "parley chat: %v\n", err)
		return exitFailed
	}
	passphrase := os.Getenv("PARLEY_PASSPHRASE")
	for flagName, value := range map[string]string{"name": *name, "store": *store, "relay": *relay} {
		if value == "" {
			fmt.Fprintf(errs, "parley chat: -%s is required\n", flagName)
			return exitUsage
		}
	}
	if passphrase == "" {
		fmt.Fprintln(errs, "parley chat: PARLEY_PASSPHRASE is not set; it protects your store, and you give it again when you approve a payment")
		return exitUsage
	}
	session := &terminal.Session{In: in, Out: out, Secret: passphrase}
	config := sdk.Config{Store: *store, Key: device.Passphrase(passphrase), Relay: *relay, Name: *name, RequirePostQuantum: *pq, Log: slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Unlock: func(ctx context.Context, p sdk.Payment) ([]string, error) {
			typed, err := session.AskSecret(ctx, fmt.Sprintf("  to pay %s, give your passphrase:", p.Amount))
			if err != nil {
				return nil, err
			}
			if subtle.ConstantTimeCompare([]byte(typed), []byte(passphrase)) != 1 {
				return nil, errors.New("that is not your passphrase")
			}
			return []string{"swk", "pwd"}, nil
		}}
	if *token != "" {
		raw, err := fileOrText("@" + *token)
		if err != nil {
			return fail(err)
		}
		config.Token = raw
	}
	if *bank != "" {
		contact, err := fileOrText(*bank)
		if err != nil {
			return fail(err)
		}
		b, err := sdk.ParseBank(contact)
		if err != nil {
			return fail(err)
		}
		config.Bank = &b
	}
	if *open != "" {
		text, err := fileOrText(*open)
		if err != nil {
			return fail(err)
		}
		if _, err := messaging.ParseDeviceID(text); err != nil {
			return fail(err)
		}
		*open = text
	}
	ctx, stop := node.UntilSignal(context.Background())
	defer stop()
	client, err := sdk.Open(ctx, config)
	if err != nil {
		return fail(err)
	}
	defer client.Close()
	session.Client = client
	client.OnText(session.ShowText)
	client.OnPayment(session.ShowPayment)
	run, stopRun := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan error, 1)
	go func() { stopped <- client.Run(run) }()
	err = converse(ctx, client, session, *code, *open, out)
	stopRun()
	if runErr := <-stopped; runErr != nil {
		return fail(runErr)
	}
	if ctx.Err() == nil && !errors.Is(err, terminal.ErrQuit) {
		return fail(err)
	}
	return exitOK
}

// converse gets online, does what the flags ask for and lets the person chat until ErrQuit or something worse.
func converse(ctx context.Context, client *sdk.Client, session *terminal.Session, code, open string, out io.Writer) error {
	fmt.Fprintf(out, "your address is %s\n", client.ID())
	if err := client.WaitOnline(ctx); err != nil {
		return err
	}
	if code != "" {
		e, err := client.Enrol(ctx, sdk.Payer, code)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "your bank has enrolled this device for %d account(s)\n", len(e.Accounts))
	}
	if open != "" {
		peer, err := messaging.ParseDeviceID(open)
		if err != nil {
			return err
		}
		if session.Chat, err = client.ChatWith(ctx, peer); err != nil {
			return err
		}
	}
	chats, err := client.Chats(ctx)
	if err != nil {
		return err
	}
	for _, c := range chats {
		fmt.Fprintf(out, "a chat of %d:\n%s\n", len(c.Members), terminal.DescribeChat(c))
	}
	fmt.Fprintln(out, "online; /help says what you can do")
	return session.Run(ctx)
}

// fileOrText returns the text, or with a leading @ what is in that file, without space around it.
func fileOrText(s string) (string, error) {
	path, ok := strings.CutPrefix(s, "@")
	if !ok {
		return s, nil
	}
	raw, err := os.ReadFile(path)
	return strings.TrimSpace(string(raw)), err
}
