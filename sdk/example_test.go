package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/parleypay/parley/internal/platform"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/sdk"
)

// One payment from both sides: the shop asks, the payer looks at whose account it is and approves, and each believes its own bank.
// Relay, rail and both banks run in this process.
func Example() {
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	world := startWorld(ctx)
	defer world.stop()

	// A client is one device: its encrypted store, its relay and, for payments, its bank's contact.
	open := func(name, contact string) *sdk.Client {
		bank, err := sdk.ParseBank(contact)
		check(err)
		c, err := sdk.Open(ctx, sdk.Config{
			Store: filepath.Join(world.dir, name), Key: world.key, Relay: world.RelayURL, Name: name, Bank: &bank,
			Unlock: func(_ context.Context, p sdk.Payment) ([]string, error) {
				fmt.Println("payer: the PIN for", p.Amount) // ask for it here; an error stops the approval
				return []string{"swk", "pin"}, nil
			},
			Log: slog.New(slog.DiscardHandler),
		})
		check(err)
		return c
	}
	shop, payer := open("Example Coffee", world.ShopBank), open("Payer", world.PayerBank)

	// Handlers come before Run. What they fail with comes again.
	credited := make(chan bool)
	shop.OnPayment(func(_ context.Context, p sdk.Payment) error {
		if p.News == sdk.NewsCredited {
			fmt.Println("shop: my bank says", p.Amount, "has come for", p.Title())
			close(credited)
		}
		return nil
	})
	paid := make(chan sdk.Payment)
	payer.OnPayment(func(ctx context.Context, p sdk.Payment) error {
		if p.News != sdk.NewsRequested {
			return nil
		}
		found, err := payer.Check(ctx, p.Intent) // whose account is it?
		if err != nil {
			return err
		}
		fmt.Println("payer:", p.Creditor.Name.Reveal(), "asks for", p.Amount, "and my bank says", found.Result)
		if err := payer.Approve(ctx, p.Intent, sdk.ApproveOptions{}); err != nil {
			return err
		}
		go func() {
			final, err := payer.Wait(ctx, p.Intent)
			check(err)
			paid <- final
		}()
		return nil
	})
	world.run(shop)
	world.run(payer)

	// A one-time code from the bank enrols the device's key, once.
	_, err := shop.Enrol(ctx, sdk.Payee, world.World.ShopCodes[0])
	check(err)
	_, err = payer.Enrol(ctx, sdk.Payer, world.World.PayerCodes[0])
	check(err)

	chat, err := shop.ChatWith(ctx, payer.ID())
	check(err)
	amount, err := payments.ParseAmount("4.50", "USD")
	check(err)
	_, err = shop.RequestPayment(ctx, chat, sdk.Order{Item: "flat white", Amount: amount})
	check(err)
	final := <-paid
	<-credited
	fmt.Println("payer: my bank's signed receipt says", final.Status)

	evidence, err := payer.Evidence(ctx, final.Intent)
	check(err)
	fmt.Println("to keep:", len(evidence["request"]) > 0, len(evidence["mandate"]) > 0, len(evidence["receipt"]) > 0)
	// Output:
	// payer: Example Coffee asks for USD 4.50 and my bank says MTCH
	// payer: the PIN for USD 4.50
	// shop: my bank says USD 4.50 has come for flat white
	// payer: my bank's signed receipt says settled
	// to keep: true true true
}

// A chat needs a relay, and no bank.
func ExampleClient_SendText() {
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	world := startWorld(ctx)
	defer world.stop()
	open := func(name string) *sdk.Client {
		c, err := sdk.Open(ctx, sdk.Config{Store: filepath.Join(world.dir, name), Key: world.key, Relay: world.RelayURL, Name: name, Log: slog.New(slog.DiscardHandler)})
		check(err)
		return c
	}
	one, other := open("One"), open("Other")
	heard := make(chan sdk.Text, 1)
	other.OnText(func(_ context.Context, t sdk.Text) error { heard <- t; return nil })
	world.run(one)
	world.run(other)
	check(other.WaitOnline(ctx)) // once, so that others can open a chat with it

	chat, err := one.ChatWith(ctx, other.ID())
	check(err)
	check(one.SendText(ctx, chat, "Hello", sdk.SendOptions{Expires: time.Hour}))
	t := <-heard
	fmt.Printf("%s, device %t: %s\n", t.Sender.Name, t.Sender.Device == one.ID(), t.Body)
	// Output: One, device true: Hello
}

func ExampleParseBank() {
	bank, err := sdk.ParseBank("bank:091000019:ff5de8097d259715f53a4a26bebb9fc0d3d2e81d:uYFDi0kmf-7fw9s54Uv6h75Mpv9z2keqH9wSmAss0Pk")
	fmt.Println(bank.Agent, bank.Device, err)
	_, err = sdk.ParseBank("091000019")
	fmt.Println(err)
	// Output:
	// 091000019 ff5de8097d259715f53a4a26bebb9fc0d3d2e81d <nil>
	// sdk: a bank's contact reads bank:AGENT:DEVICE:KEY
}

// exampleWorld is a relay, a simulated rail and two banks in this process.
type exampleWorld struct {
	*platform.Platform
	dir  string
	key  device.KeySource
	stop func()
	run  func(*sdk.Client) // runs a client until stop, and then closes it
}

func startWorld(ctx context.Context) exampleWorld {
	dir, err := os.MkdirTemp("", "parley-example-")
	check(err)
	w, err := platform.NewWorld("fednow", 1)
	check(err)
	w.Temporary = true
	p, err := platform.Start(ctx, w, filepath.Join(dir, "world"), nil, nil)
	check(err)
	check(device.NewKeyFile(filepath.Join(dir, "key")))
	running, stopClients := context.WithCancel(context.Background())
	stopped := make(chan error)
	clients := 0
	return exampleWorld{p, dir, device.KeyFile(filepath.Join(dir, "key")), func() {
		stopClients()
		for range clients {
			check(<-stopped)
		}
		check(p.Stop())
		check(os.RemoveAll(dir))
	}, func(c *sdk.Client) {
		clients++
		go func() { stopped <- errors.Join(c.Run(running), c.Close()) }()
	}}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
