package bot_test

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
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/sdk"
	"github.com/parleypay/parley/sdk/bot"
)

// A shop: a command asks for money, OnPaid hands over the goods, OnPayment sees also what did not become a sale, and middleware is
// around every handler. A program of its own calls bot.MustFromEnv and Run; see examples/coffee.
func Example() {
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	world, shop, payer := openShopAndPayer(ctx)

	b := bot.New(shop, slog.New(slog.DiscardHandler))
	b.Use(bot.RateLimit(20, time.Minute), func(next bot.Handler) bot.Handler {
		return func(c *bot.Ctx) error {
			err := next(c)
			if c.Payment() == nil {
				fmt.Printf("shop: %s, error %v\n", c.Event(), err)
			}
			return err
		}
	})
	b.OnText(func(c *bot.Ctx) error { return c.Reply("Say /buy flat white") })
	b.Command("/buy", func(c *bot.Ctx) error {
		if c.Args() == "" {
			return errors.New("nothing named")
		}
		return c.RequestPayment(sdk.Order{Item: c.Args(), Amount: bot.MustAmount("USD 4.50")})
	})
	b.OnPaid(func(c *bot.Ctx, p *sdk.Payment) error {
		return c.Replyf("One %s for %s, coming up!", p.Title(), p.Amount)
	})

	b.OnPayment(func(c *bot.Ctx, p *sdk.Payment) error {
		if p.Status == lifecycle.Declined || p.PayerSays == lifecycle.Rejected {
			return c.Reply("Another time, then.")
		}
		return nil
	})

	heard := make(chan string, 1)
	payer.OnText(func(_ context.Context, t sdk.Text) error { heard <- t.Body; return nil })
	payer.OnPayment(func(ctx context.Context, p sdk.Payment) error {
		if p.News != sdk.NewsRequested {
			return nil
		}
		if found, err := payer.Check(ctx, p.Intent); err != nil || found.Result != intent.Match {
			return err
		}
		return payer.Approve(ctx, p.Intent, sdk.ApproveOptions{})
	})

	running, stop := context.WithCancel(ctx)
	stopped := make(chan error)
	go func() { stopped <- b.RunContext(running) }()
	go func() { stopped <- payer.Run(running) }()
	_, err := shop.Enrol(ctx, sdk.Payee, world.World.ShopCodes[0]) // MustFromEnv does it with PARLEY_ENROL_CODE
	check(err)
	_, err = payer.Enrol(ctx, sdk.Payer, world.World.PayerCodes[0])
	check(err)

	chat, err := payer.ChatWith(ctx, b.ID())
	check(err)
	for _, say := range []string{"hello", "/buy flat white"} {
		check(payer.SendText(ctx, chat, say, sdk.SendOptions{}))
		fmt.Println("payer hears:", <-heard)
	}
	stop()
	check(errors.Join(<-stopped, <-stopped, payer.Close(), shop.Close(), world.Stop(), os.RemoveAll(world.Dir)))
	// Unordered output:
	// shop: text, error <nil>
	// payer hears: Say /buy flat white
	// shop: command /buy, error <nil>
	// payer hears: One flat white for USD 4.50, coming up!
}

// openShopAndPayer opens two clients with a bank each; relay, simulated rail and both banks run in this process.
func openShopAndPayer(ctx context.Context) (p *platform.Platform, shop, payer *sdk.Client) {
	dir, err := os.MkdirTemp("", "parley-example-")
	check(err)
	w, err := platform.NewWorld("fednow", 1)
	check(err)
	w.Temporary = true
	p, err = platform.Start(ctx, w, dir, nil, nil)
	check(err)
	key := filepath.Join(dir, "key")
	check(device.NewKeyFile(key))
	open := func(name, contact string) *sdk.Client {
		bank, err := sdk.ParseBank(contact)
		check(err)
		c, err := sdk.Open(ctx, sdk.Config{Store: filepath.Join(dir, "device of "+name), Key: device.KeyFile(key), Relay: p.RelayURL, Name: name,
			Bank: &bank, Log: slog.New(slog.DiscardHandler),
			Unlock: func(context.Context, sdk.Payment) ([]string, error) { return []string{"swk", "pin"}, nil }})
		check(err)
		return c
	}
	return p, open("Example Coffee", p.ShopBank), open("Payer", p.PayerBank)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
