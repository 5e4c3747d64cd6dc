// Package bot is a framework for programs that take part in chats and are paid in them: typed handlers, middleware and one Run.
//
// It encrypts nothing and moves no money itself; an sdk.Client does.
package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/sdk"
)

// Handler answers one event. An error goes to the error hook; whether the event comes again is said at the method that registers
// the handler.
type Handler func(*Ctx) error

// PaymentHandler answers a change of a payment.
type PaymentHandler func(*Ctx, *sdk.Payment) error

// Middleware wraps a handler: it may act before and after it, or not call it.
type Middleware func(Handler) Handler

// client is what a bot needs of sdk.Client.
type client interface {
	OnText(func(context.Context, sdk.Text) error)
	OnPayment(func(context.Context, sdk.Payment) error)
	SendText(ctx context.Context, chat messaging.ChatID, text string, o sdk.SendOptions) error
	RequestPayment(ctx context.Context, chat messaging.ChatID, o sdk.Order) (sdk.Payment, error)
	ID() messaging.DeviceID
	Run(context.Context) error
}

// Bot routes what arrives to handlers. Register them before Run; the methods that register are not to be called while it runs.
type Bot struct {
	client   client
	log      *slog.Logger
	commands map[string]Handler
	text     Handler
	paid     PaymentHandler
	payment  PaymentHandler
	onError  func(*Ctx, error)
	wrap     []Middleware
	started  bool

	code, addressTo string        // see FromEnv
	enrolled        chan struct{} // closed when enrolOnce is done, successful or not
	enrol           enroller      // nil: the program enrols by itself
	closer          func() error  // nil: the program closes the client
}

type enroller interface {
	Enrol(ctx context.Context, role sdk.Role, code string) (intent.Enrolment, error)
}

// New returns a bot on an open client. Most programs call MustFromEnv instead.
func New(c *sdk.Client, log *slog.Logger) *Bot { return newBot(c, log) }

func newBot(c client, log *slog.Logger) *Bot {
	if log == nil {
		log = slog.Default()
	}
	b := &Bot{client: c, log: log, commands: map[string]Handler{}, enrolled: make(chan struct{})}
	b.onError = func(c *Ctx, err error) { b.log.Error("bot: a handler failed", "event", c.event, "error", err) }
	return b
}

// Use adds middleware around every handler: the first added is the outermost. Recover is always there, inside of all.
func (b *Bot) Use(m ...Middleware) {
	b.mustNotRun()
	b.wrap = append(b.wrap, m...)
}

// Command registers the handler of messages that start with the word name, such as "/buy"; the rest of the message is Ctx.Args.
// What a handler of text fails with is logged and not tried again: a person can say it again.
func (b *Bot) Command(name string, h Handler) {
	b.mustNotRun()
	if !strings.HasPrefix(name, "/") || len(name) < 2 || strings.ContainsAny(name, " \t\n") || b.commands[strings.ToLower(name)] != nil {
		panic("bot: command " + name + " is not a slash and a word, or is there already")
	}
	b.commands[strings.ToLower(name)] = h
}

// OnText registers the handler of every text that is no registered command. The bot's own messages never arrive.
func (b *Bot) OnText(h Handler) {
	b.mustNotRun()
	if b.text != nil {
		panic("bot: OnText is registered twice")
	}
	b.text = h
}

// OnPaid registers what to do when a payment that the bot asked for has been credited. It is called on the signed word of the bot's
// own bank, never on the payer's or a receipt's: the place to hand over the goods. It is called again, later and also after a
// restart, until it returns nil; a reply it has sent is not sent twice.
func (b *Bot) OnPaid(h PaymentHandler) {
	b.mustNotRun()
	if b.paid != nil {
		panic("bot: OnPaid is registered twice")
	}
	b.paid = h
}

// OnPayment registers the handler of every visible change of a payment the bot takes part in, also of those where no money moved.
// Payment.Credited says whether the own bank has the money, Payment.Status what is known on its word, and Payment.PayerSays what the
// payer's receipt says: the only news of a payment that failed. It is retried like OnPaid.
func (b *Bot) OnPayment(h PaymentHandler) {
	b.mustNotRun()
	if b.payment != nil {
		panic("bot: OnPayment is registered twice")
	}
	b.payment = h
}

// OnError replaces the error hook, which logs. It gets what handlers and middleware return.
func (b *Bot) OnError(h func(*Ctx, error)) {
	b.mustNotRun()
	b.onError = h
}

func (b *Bot) mustNotRun() {
	if b.started {
		panic("bot: register handlers before Run")
	}
}

// ID returns the bot's address, which people use to open a chat with it.
func (b *Bot) ID() messaging.DeviceID { return b.client.ID() }

// Run runs the bot until SIGTERM or SIGINT: it connects, reconnects whenever the connection breaks, and drains what it has begun. If
// it cannot run at all it logs why and ends the process with status 1.
func (b *Bot) Run() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := b.RunContext(ctx); err != nil {
		b.log.Error("bot: stopped", "error", err)
		os.Exit(1)
	}
}

// RunContext is Run for a program that has its own way to stop: it returns after ctx has ended and everything has drained.
func (b *Bot) RunContext(ctx context.Context) error {
	b.mustNotRun()
	b.started = true
	b.client.OnText(b.handleText)
	b.client.OnPayment(b.handlePayment)
	if b.closer != nil {
		defer b.closer()
	}
	b.log.Info("bot: running", "address", b.ID().String())
	if b.addressTo != "" {
		if err := os.WriteFile(b.addressTo, []byte(b.ID().String()+"\n"), 0o644); err != nil {
			return fmt.Errorf("bot: %w", err)
		}
	}
	var background sync.WaitGroup
	defer background.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop() // before the wait
	background.Go(func() { b.enrolOnce(ctx) })
	return b.client.Run(ctx)
}

func (b *Bot) handleText(ctx context.Context, t sdk.Text) error {
	c := &Ctx{Context: ctx, bot: b, event: "text", chat: t.Chat, sender: t.Sender, text: t.Body, key: t.ID.String()}
	word, args, _ := strings.Cut(strings.TrimSpace(t.Body), " ")
	h := b.text
	if cmd := b.commands[strings.ToLower(word)]; cmd != nil {
		c.event, c.args, h = "command "+strings.ToLower(word), strings.TrimSpace(args), cmd
	}
	if h != nil {
		b.call(c, h)
	}
	return nil
}

func (b *Bot) handlePayment(ctx context.Context, p sdk.Payment) error {
	var errs []error
	run := func(event string, h PaymentHandler) {
		if h == nil {
			return
		}
		c := &Ctx{Context: ctx, bot: b, event: event, chat: p.Chat, payment: &p, key: event + " " + string(p.Intent) + " " + string(p.News) + " " + string(p.Status)}
		errs = append(errs, b.call(c, func(c *Ctx) error { return h(c, &p) }))
	}
	run("payment", b.payment)
	if p.Role == sdk.Payee && p.Credited && p.News == sdk.NewsCredited {
		run("paid", b.paid)
	}
	return errors.Join(errs...)
}

// call runs h inside the middleware and gives its error to the hook.
func (b *Bot) call(c *Ctx, h Handler) error {
	h = Recover(h)
	for _, m := range slices.Backward(b.wrap) {
		h = m(h)
	}
	err := h(c)
	if err != nil {
		b.onError(c, err)
	}
	return err
}

// Ctx is one event as its handler sees it. It is valid until the handler returns and is used by one goroutine at a time.
type Ctx struct {
	context.Context // ends when the bot has to stop, after the time to drain
	bot             *Bot
	event           string
	chat            messaging.ChatID
	sender          messaging.Member
	text, args      string
	payment         *sdk.Payment
	key             string // names the event, also when it comes again
	sent            int    // messages sent in this call
}

// Event names the event for logs: "text", "command /buy", "payment" or "paid". It holds nothing a person wrote.
func (c *Ctx) Event() string { return c.event }

// Text is the whole text of the message; empty for payments.
func (c *Ctx) Text() string { return c.text }

// Args is what follows the command, without space at its ends.
func (c *Ctx) Args() string { return c.args }

// Chat is where the event happened, and where Reply goes.
func (c *Ctx) Chat() messaging.ChatID { return c.chat }

// Sender is who wrote the message; zero for payments.
func (c *Ctx) Sender() messaging.Member { return c.sender }

// Payment is the payment of a payment event, otherwise nil.
func (c *Ctx) Payment() *sdk.Payment { return c.payment }

// Reply sends a text into the chat. When the handler runs again for the same event, its n-th message is not sent a second time.
func (c *Ctx) Reply(text string) error {
	return c.bot.client.SendText(c, c.chat, text, sdk.SendOptions{Key: c.nextKey()})
}

// Replyf is Reply with a format, as fmt.Sprintf has it.
func (c *Ctx) Replyf(format string, args ...any) error { return c.Reply(fmt.Sprintf(format, args...)) }

// RequestPayment asks the chat's other side for money with a signed request. It needs an account enrolled at a bank.
func (c *Ctx) RequestPayment(o sdk.Order) error {
	if o.Key == "" {
		o.Key = c.nextKey()
	}
	select {
	case <-c.bot.enrolled: // an order may come while the bank still answers
	case <-c.Done():
		return c.Err()
	}
	_, err := c.bot.client.RequestPayment(c, c.chat, o)
	return err
}

func (c *Ctx) nextKey() string {
	c.sent++
	return fmt.Sprintf("bot %s %d", c.key, c.sent)
}

// MustAmount reads a price such as "USD 4.50". It panics when the text is not a currency code and an amount with exactly the
// currency's decimals: it is for constants in programs.
func MustAmount(text string) payments.Amount {
	currency, number, _ := strings.Cut(text, " ")
	code, err := payments.ParseCurrency(currency)
	if err != nil {
		panic(err)
	}
	a, err := payments.ParseAmount(number, code)
	if err != nil {
		panic(err)
	}
	if !a.Payable() {
		panic("bot: " + text + " is nothing to pay")
	}
	return a
}

// Recover turns a panic of the handler into its error, so that one bad message stops nothing else. Every bot has it.
func Recover(next Handler) Handler {
	return func(c *Ctx) (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("bot: handler panicked: %v", r)
			}
		}()
		return next(c)
	}
}

// Log logs each event with its kind and how long it took; never what was said or by whom.
func Log(log *slog.Logger) Middleware {
	return func(next Handler) Handler {
		return func(c *Ctx) error {
			start := time.Now()
			err := next(c)
			log.Info("bot: event", "event", c.event, "took", time.Since(start).Round(time.Microsecond), "ok", err == nil)
			return err
		}
	}
}

// ErrRateLimited is what RateLimit fails with; the handler was not called.
var ErrRateLimited = errors.New("bot: too many messages from this sender")

// RateLimit lets through at most n messages per sender within each period. Payments are never limited.
func RateLimit(n int, per time.Duration) Middleware {
	var mu sync.Mutex // guards seen and window
	seen, window := map[messaging.DeviceID]int{}, time.Time{}
	return func(next Handler) Handler {
		return func(c *Ctx) error {
			if c.payment != nil {
				return next(c)
			}
			mu.Lock()
			if now := time.Now(); now.Sub(window) >= per {
				clear(seen)
				window = now
			}
			seen[c.sender.Device]++
			over := seen[c.sender.Device] > n
			mu.Unlock()
			if over {
				return ErrRateLimited
			}
			return next(c)
		}
	}
}

// AllowOnly ignores messages of all other devices. Payments are not filtered.
func AllowOnly(devices ...messaging.DeviceID) Middleware {
	return func(next Handler) Handler {
		return func(c *Ctx) error {
			if c.payment == nil && !slices.Contains(devices, c.sender.Device) {
				return nil
			}
			return next(c)
		}
	}
}
