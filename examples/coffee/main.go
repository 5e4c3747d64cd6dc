// Command coffee is a bot that sells coffee: /buy flat white asks for the price, and it pours when its bank says the money is there.
package main

import (
	"cmp"
	"os"

	"github.com/parleypay/parley/sdk"
	"github.com/parleypay/parley/sdk/bot"
)

var menu = map[string]string{"espresso": "2.80", "flat white": "4.50"}

func main() {
	currency := cmp.Or(os.Getenv("COFFEE_CURRENCY"), "USD")
	b := bot.MustFromEnv()
	b.Command("/buy", func(c *bot.Ctx) error {
		price, ok := menu[c.Args()]
		if !ok {
			return c.Reply("There is espresso and flat white.")
		}
		return c.RequestPayment(sdk.Order{Item: c.Args(), Amount: bot.MustAmount(currency + " " + price)})
	})
	b.OnPaid(func(c *bot.Ctx, p *sdk.Payment) error {
		return c.Replyf("%s paid. One %s, coming up!", p.Amount, p.Title())
	})
	b.Run()
}
