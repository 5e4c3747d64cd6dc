package bot

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/sdk"
)

// fake is a client without a network: what the bot sends is kept, once per key.
type fake struct {
	text    func(context.Context, sdk.Text) error
	payment func(context.Context, sdk.Payment) error
	keys    map[string]bool
	sent    []string
	orders  []sdk.Order
	running chan struct{} // closed by Run
}

func (f *fake) OnText(h func(context.Context, sdk.Text) error)       { f.text = h }
func (f *fake) OnPayment(h func(context.Context, sdk.Payment) error) { f.payment = h }
func (f *fake) ID() messaging.DeviceID                               { return messaging.DeviceID{1} }
func (f *fake) Run(ctx context.Context) error                        { close(f.running); <-ctx.Done(); return nil }
func (f *fake) SendText(_ context.Context, _ messaging.ChatID, text string, o sdk.SendOptions) error {
	if o.Key == "" {
		return errors.New("a bot's message has no key")
	}
	if !f.keys[o.Key] {
		f.keys[o.Key] = true
		f.sent = append(f.sent, text)
	}
	return nil
}
func (f *fake) RequestPayment(_ context.Context, _ messaging.ChatID, o sdk.Order) (sdk.Payment, error) {
	if !f.keys[o.Key] {
		f.keys[o.Key] = true
		f.orders = append(f.orders, o)
	}
	return sdk.Payment{}, nil
}

func newFake() *fake { return &fake{keys: map[string]bool{}, running: make(chan struct{})} }

// start runs the bot on a fake client until the test ends.
func start(t *testing.T, register func(*Bot)) *fake {
	t.Helper()
	f := newFake()
	b := newBot(f, slog.New(slog.DiscardHandler))
	register(b)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.RunContext(ctx) }()
	<-f.running
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return f
}

var message byte

// say hands the bot one text message.
func (f *fake) say(t *testing.T, text string) messaging.MessageID {
	t.Helper()
	message++
	id := messaging.MessageID{message}
	if err := f.text(context.Background(), sdk.Text{ID: id, Body: text, Sender: messaging.Member{Device: messaging.DeviceID{2}}}); err != nil {
		t.Errorf("a text handler's error must not come back: %v", err)
	}
	return id
}

func TestRouting(t *testing.T) {
	var calls []string
	f := start(t, func(b *Bot) {
		b.Command("/buy", func(c *Ctx) error { calls = append(calls, "buy:"+c.Args()+":"+c.Event()); return nil })
		b.OnText(func(c *Ctx) error { calls = append(calls, "text:"+c.Text()); return nil })
	})
	for _, text := range []string{"/buy flat white", "/BUY", "  /buy  a  ", "/buyer beware", "buy", "/nothing", ""} {
		f.say(t, text)
	}
	want := []string{"buy:flat white:command /buy", "buy::command /buy", "buy:a:command /buy", "text:/buyer beware", "text:buy", "text:/nothing", "text:"}
	if !slices.Equal(calls, want) {
		t.Fatalf("got %q\nwant %q", calls, want)
	}
}

func TestNoHandlerIsNoError(t *testing.T) {
	f := start(t, func(*Bot) {})
	f.say(t, "hello")
	if err := f.payment(context.Background(), sdk.Payment{News: sdk.NewsStatus}); err != nil {
		t.Fatal(err)
	}
}

func TestRepeatedEventSendsNothingTwice(t *testing.T) {
	calls := 0
	f := start(t, func(b *Bot) {
		b.OnPaid(func(c *Ctx, p *sdk.Payment) error {
			c.Reply("one")
			if calls++; calls < 3 {
				return errors.New("the till is jammed")
			}
			return c.Reply("two")
		})
		b.Command("/buy", func(c *Ctx) error { return c.RequestPayment(sdk.Order{Item: "x"}) })
	})
	paid := sdk.Payment{Intent: "pi_1", Role: sdk.Payee, Credited: true, News: sdk.NewsCredited, Status: lifecycle.Settled}
	for i := range 3 {
		if err := f.payment(context.Background(), paid); (err == nil) != (i == 2) {
			t.Fatalf("call %d: %v; a failed OnPaid must come back", i, err)
		}
	}
	if !slices.Equal(f.sent, []string{"one", "two"}) {
		t.Fatalf("sent %q", f.sent)
	}
	text := sdk.Text{ID: messaging.MessageID{9}, Body: "/buy"}
	f.text(context.Background(), text)
	f.text(context.Background(), text)
	if len(f.orders) != 1 {
		t.Fatalf("the same message asked for %d payments", len(f.orders))
	}
}

// TestOnlyTheOwnBankPays sends everything that looks like a payment and is no credit of the own bank.
func TestOnlyTheOwnBankPays(t *testing.T) {
	paid, seen := 0, 0
	f := start(t, func(b *Bot) {
		b.OnPaid(func(*Ctx, *sdk.Payment) error { paid++; return nil })
		b.OnPayment(func(*Ctx, *sdk.Payment) error { seen++; return nil })
	})
	for _, p := range []sdk.Payment{
		{Role: sdk.Payee, News: sdk.NewsReceipt, PayerSays: lifecycle.Settled},
		{Role: sdk.Payee, News: sdk.NewsStatus, Status: lifecycle.Settled},
		{Role: sdk.Payee, News: sdk.NewsCredited, Status: lifecycle.Settled},
		{Role: sdk.Payer, News: sdk.NewsCredited, Status: lifecycle.Settled, Credited: true},
		{Role: sdk.Payee, News: sdk.NewsReceipt, Status: lifecycle.Settled, Credited: true},
	} {
		if err := f.payment(context.Background(), p); err != nil {
			t.Fatal(err)
		}
	}
	if paid != 0 || seen != 5 {
		t.Fatalf("OnPaid was called %d times, OnPayment %d times; want 0 and 5", paid, seen)
	}
}

func TestMiddleware(t *testing.T) {
	var order []string
	var hook error
	mark := func(name string) Middleware {
		return func(next Handler) Handler {
			return func(c *Ctx) error {
				order = append(order, name)
				return next(c)
			}
		}
	}
	f := start(t, func(b *Bot) {
		b.Use(mark("outer"), mark("inner"))
		b.OnText(func(*Ctx) error { panic("planted") })
		b.OnError(func(_ *Ctx, err error) { hook = err })
	})
	f.say(t, "x")
	if !slices.Equal(order, []string{"outer", "inner"}) || hook == nil || !strings.Contains(hook.Error(), "planted") {
		t.Fatalf("order %q, hook %v", order, hook)
	}
}

func TestRateLimit(t *testing.T) {
	calls, limited := 0, 0
	f := start(t, func(b *Bot) {
		b.Use(RateLimit(2, time.Hour))
		b.OnText(func(*Ctx) error { calls++; return nil })
		b.OnPayment(func(*Ctx, *sdk.Payment) error { calls++; return nil })
		b.OnError(func(_ *Ctx, err error) {
			if errors.Is(err, ErrRateLimited) {
				limited++
			}
		})
	})
	for range 5 {
		f.say(t, "x")
	}
	f.payment(context.Background(), sdk.Payment{News: sdk.NewsStatus})
	if calls != 3 || limited != 3 {
		t.Fatalf("%d calls, %d limited; want 3 and 3", calls, limited)
	}
}

func TestAllowOnly(t *testing.T) {
	calls := 0
	f := start(t, func(b *Bot) {
		b.Use(AllowOnly(messaging.DeviceID{7}))
		b.OnText(func(*Ctx) error { calls++; return nil })
	})
	f.say(t, "x")
	if calls != 0 {
		t.Fatal("a stranger came through")
	}
	f.text(context.Background(), sdk.Text{Body: "x", Sender: messaging.Member{Device: messaging.DeviceID{7}}})
	if calls != 1 {
		t.Fatal("the allowed device did not come through")
	}
}

func TestRegisteringWrongly(t *testing.T) {
	h := func(*Ctx) error { return nil }
	for name, f := range map[string]func(*Bot){
		"no slash":       func(b *Bot) { b.Command("buy", h) },
		"two words":      func(b *Bot) { b.Command("/buy now", h) },
		"only a slash":   func(b *Bot) { b.Command("/", h) },
		"command twice":  func(b *Bot) { b.Command("/a", h); b.Command("/A", h) },
		"text twice":     func(b *Bot) { b.OnText(h); b.OnText(h) },
		"while running":  func(b *Bot) { b.started = true; b.OnText(h) },
		"amount of none": func(*Bot) { MustAmount("USD 0.00") },
		"three decimals": func(*Bot) { MustAmount("USD 1.000") },
		"exponent":       func(*Bot) { MustAmount("USD 1e3") },
		"no currency":    func(*Bot) { MustAmount("1.00") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("did not panic")
				}
			}()
			f(newBot(&fake{}, nil))
		})
	}
}

func TestFromEnvSaysAllThatIsWrong(t *testing.T) {
	dir := t.TempDir()
	for _, key := range []string{envRelay, envName, envStore, envKeyFile, envPassphrase, envBank, envCode} {
		t.Setenv(key, "")
	}
	t.Setenv(envStore, dir)
	t.Setenv(envBank, "bank:nonsense")
	t.Setenv(envPassphrase, "a secret that must not be shown")
	t.Setenv(envKeyFile, filepath.Join(dir, "key"))
	_, err := FromEnv(context.Background())
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{envRelay, envBank, envPassphrase} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "a secret") {
		t.Error("the passphrase is in the error")
	}
	t.Setenv(envBank, "")
	t.Setenv(envCode, "x")
	if _, err := FromEnv(context.Background()); err == nil || !strings.Contains(err.Error(), envCode) {
		t.Errorf("a code without a bank: %v", err)
	}
}

func TestKeyFileIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "key")
	if err := ensureKeyFile(path); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := ensureKeyFile(path); err != nil {
		t.Fatal(err)
	}
	if second, err := os.ReadFile(path); err != nil || string(first) != string(second) {
		t.Fatal("the key was replaced")
	}
}

func TestEnrolmentRefusedDoesNotStopTheBot(t *testing.T) {
	f := newFake()
	b := newBot(f, slog.New(slog.DiscardHandler))
	b.code, b.enrol = "code", refusing{}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-f.running; cancel() }()
	if err := b.RunContext(ctx); err != nil {
		t.Fatal(err)
	}
}

type refusing struct{}

func (refusing) Enrol(context.Context, sdk.Role, string) (intent.Enrolment, error) {
	return intent.Enrolment{}, &sdk.Refused{}
}
