// Command echo is a bot that says back what it is told.
package main

import "github.com/parleypay/parley/sdk/bot"

func main() {
	b := bot.MustFromEnv()
	b.OnText(func(c *bot.Ctx) error { return c.Reply("Echo: " + c.Text()) })
	b.Run()
}
