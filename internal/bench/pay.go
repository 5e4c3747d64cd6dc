package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleypay/parley/internal/legs"
	"github.com/parleypay/parley/internal/platform"
	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/sdk"
)

// PayOptions says what Pay measures. A zero field means the default given.
type PayOptions struct {
	Rail     string        // fednow
	Dir      string        // where to write; default: a temporary directory in the current one
	InFlight int           // payments under way at once; 64
	Payers   int           // payers' devices that share them; 16
	Duration time.Duration // how long new payments begin; 10 s
}

// PayResult is what Pay measured, over the whole path: request, payee check and mandate through encrypted chats, verification, journal
// with fsync, pacs.008, rail, pacs.002, credit and receipt.
type PayResult struct {
	Machine   Machine            `json:"machine"`
	Rail      string             `json:"rail"`
	InFlight  int                `json:"in_flight"`
	Payers    int                `json:"payer_devices"`
	Seconds   float64            `json:"seconds"` // from the first request to the last receipt
	Payments  int                `json:"payments"`
	PerSecond float64            `json:"payments_per_second"`
	Latency   Summary            `json:"request_to_receipt"`
	Legs      map[string]Summary `json:"legs"`
	Effects   int                `json:"executions_on_the_rail"` // equal to payments
}

// Pay runs all parts and clients in this process and pays as fast as the payments in flight allow.
func Pay(ctx context.Context, o PayOptions) (result PayResult, err error) {
	if o.Rail == "" {
		o.Rail = "fednow"
	}
	if o.InFlight == 0 {
		o.InFlight = 64
	}
	if o.Payers == 0 {
		o.Payers = 16
	}
	o.Payers = min(o.Payers, o.InFlight)
	if o.Duration == 0 {
		o.Duration = 10 * time.Second
	}
	dir, err := os.MkdirTemp(o.Dir, "parley-bench-")
	if err != nil {
		return PayResult{}, err
	}
	defer os.RemoveAll(dir)
	if dir, err = filepath.Abs(dir); err != nil {
		return PayResult{}, err
	}
	result = PayResult{Rail: o.Rail, InFlight: o.InFlight, Payers: o.Payers, Legs: map[string]Summary{}}
	if result.Machine, err = measureMachine(dir); err != nil {
		return PayResult{}, err
	}
	world, err := platform.NewWorld(o.Rail, o.Payers)
	if err != nil {
		return PayResult{}, err
	}
	world.Temporary, world.NoArchive, world.Balance = true, true, "10000000.00"
	b := &payBench{inFlight: o.InFlight, collected: map[string][]trace.Event{}, waiting: map[payments.IntentID]chan sdk.Payment{}, chats: map[messaging.DeviceID]messaging.ChatID{},
		currency: world.Currency}
	p, err := platform.Start(ctx, world, dir, b.sink, nil)
	if err != nil {
		return PayResult{}, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	if err := b.openClients(ctx, p); err != nil {
		return PayResult{}, errors.Join(err, b.close())
	}
	defer func() { err = errors.Join(err, b.close()) }()

	took, elapsed, err := b.payAll(ctx, o.Duration)
	if err != nil {
		return PayResult{}, err
	}
	effects, err := platform.Effects(ctx, p.RailURL, world.Audit)
	if err != nil {
		return PayResult{}, err
	}
	for _, e := range effects.Payments {
		result.Effects += e.Executions
	}
	result.Effects -= o.InFlight // warming up
	result.Payments, result.Seconds = len(took), elapsed.Seconds()
	result.PerSecond = float64(result.Payments) / result.Seconds
	result.Latency = summarize(took)
	b.mu.Lock()
	defer b.mu.Unlock()
	byLeg := map[string][]time.Duration{}
	for id, events := range b.collected {
		for _, l := range legs.Of(events, id) {
			byLeg[l.Name] = append(byLeg[l.Name], l.Took)
		}
	}
	for name, took := range byLeg {
		result.Legs[name] = summarize(took)
	}
	if result.Effects != result.Payments && !effects.Truncated {
		return result, fmt.Errorf("%d payments were made and the rail moved money %d times", result.Payments, result.Effects)
	}
	return result, nil
}

type payBench struct {
	inFlight int
	shop     *sdk.Client
	payers   []*sdk.Client
	running  sync.WaitGroup
	stop     context.CancelFunc
	failed   chan error
	currency payments.Currency
	hello    chan struct{} // one per payer whose chat the shop has joined

	mu        sync.Mutex // guards what follows
	collected map[string][]trace.Event
	waiting   map[payments.IntentID]chan sdk.Payment
	chats     map[messaging.DeviceID]messaging.ChatID // the shop's, by payer
	measuring atomic.Bool
}

func (b *payBench) sink(e trace.Event) {
	if e.Intent == "" || !b.measuring.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.collected[e.Intent] = append(b.collected[e.Intent], e)
}

func (b *payBench) open(ctx context.Context, p *platform.Platform, actor, store, contact string) (*sdk.Client, error) {
	bank, err := sdk.ParseBank(contact)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(p.Dir, store)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key := filepath.Join(dir, "key")
	if err := device.NewKeyFile(key); err != nil {
		return nil, err
	}
	return sdk.Open(ctx, sdk.Config{Store: dir, Key: device.KeyFile(key), Relay: p.RelayURL, Name: actor, Bank: &bank, Trace: b.sink, Actor: actor,
		Log: slog.New(slog.DiscardHandler), Unlock: func(context.Context, sdk.Payment) ([]string, error) { return []string{"swk", "pin"}, nil }})
}

func (b *payBench) openClients(ctx context.Context, p *platform.Platform) (err error) {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stop, b.failed = stop, make(chan error, 1)
	if b.shop, err = b.open(ctx, p, legs.Shop, legs.Shop, p.ShopBank); err != nil {
		return err
	}
	b.hello = make(chan struct{}, len(p.World.PayerCodes))
	b.shop.OnText(func(_ context.Context, t sdk.Text) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if _, again := b.chats[t.Sender.Device]; !again {
			b.chats[t.Sender.Device] = t.Chat
			b.hello <- struct{}{}
		}
		return nil
	})
	b.running.Go(func() { b.fail(b.shop.Run(run)) })
	if _, err := b.shop.Enrol(ctx, sdk.Payee, p.World.ShopCodes[0]); err != nil {
		return err
	}
	for i, code := range p.World.PayerCodes {
		c, err := b.open(ctx, p, legs.Payer, fmt.Sprintf("payer-%d", i), p.PayerBank)
		if err != nil {
			return err
		}
		b.payers = append(b.payers, c)
		c.OnPayment(func(ctx context.Context, pay sdk.Payment) error {
			if pay.Status.Terminal() || pay.Refusal != nil {
				b.ended(pay)
				return nil
			}
			if pay.News != sdk.NewsRequested {
				return nil
			}
			b.running.Go(func() { b.fail(approve(run, c, pay.Intent)) }) // payments of one chat go on side by side
			return nil
		})
		b.running.Go(func() { b.fail(c.Run(run)) })
		if _, err := c.Enrol(ctx, sdk.Payer, code); err != nil {
			return err
		}
	}
	return nil
}

func approve(ctx context.Context, c *sdk.Client, id payments.IntentID) error {
	check, err := c.Check(ctx, id)
	if err != nil {
		return err
	}
	if check.Result != intent.Match {
		return fmt.Errorf("payee check: %s", check.Result)
	}
	return c.Approve(ctx, id, sdk.ApproveOptions{})
}

// fail keeps the first error.
func (b *payBench) fail(err error) {
	if err == nil {
		return
	}
	select {
	case b.failed <- err:
	default:
	}
}

func (b *payBench) close() error {
	b.stop()
	b.running.Wait()
	var errs []error
	for _, c := range append(b.payers, b.shop) {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// payAll lets every payer pay one payment after the other, and returns how long each took from request to receipt.
func (b *payBench) payAll(ctx context.Context, d time.Duration) ([]time.Duration, time.Duration, error) {
	for _, c := range b.payers {
		chat, err := c.ChatWith(ctx, b.shop.ID())
		if err != nil {
			return nil, 0, err
		}
		if err := c.SendText(ctx, chat, "hello", sdk.SendOptions{}); err != nil {
			return nil, 0, err
		}
	}
	for range b.payers {
		select {
		case <-b.hello:
		case err := <-b.failed:
			return nil, 0, err
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
	// The first payments warm caches and connections and are not measured.
	if err := b.each(ctx, func(ctx context.Context, c *sdk.Client) error { _, err := b.payOne(ctx, c); return err }); err != nil {
		return nil, 0, fmt.Errorf("warming up: %w", err)
	}
	b.measuring.Store(true)
	var mu sync.Mutex // guards took
	var took []time.Duration
	start := time.Now()
	err := b.each(ctx, func(ctx context.Context, c *sdk.Client) error {
		for time.Since(start) < d {
			t, err := b.payOne(ctx, c)
			if err != nil {
				return err
			}
			mu.Lock()
			took = append(took, t)
			mu.Unlock()
		}
		return nil
	})
	return took, time.Since(start), err
}

// each runs f for all payments in flight at once, each for one payer, and ends with the first error.
func (b *payBench) each(ctx context.Context, f func(context.Context, *sdk.Client) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for i := range b.inFlight {
		c := b.payers[i%len(b.payers)]
		all.Go(func() {
			if err := f(ctx, c); err != nil {
				cancel(err)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case err := <-b.failed:
		cancel(err)
		<-done
	case <-done:
	}
	return context.Cause(ctx)
}

// payOne makes one payment and returns the time from the shop's request to the payer's receipt.
func (b *payBench) payOne(ctx context.Context, payer *sdk.Client) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	b.mu.Lock()
	chat := b.chats[payer.ID()]
	b.mu.Unlock()
	start := time.Now()
	p, err := b.shop.RequestPayment(ctx, chat, sdk.Order{Item: "flat white", Amount: payments.Amount{Minor: 450, Currency: b.currency}})
	if err != nil {
		return 0, err
	}
	select {
	case final := <-b.end(p.Intent):
		if final.Status != lifecycle.Settled {
			return 0, fmt.Errorf("%s is %s: %s", p.Intent, final.Status, final.Reason)
		}
		return time.Since(start), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%s: %w", p.Intent, ctx.Err())
	}
}

// end returns where the end of a payment is told.
func (b *payBench) end(id payments.IntentID) chan sdk.Payment {
	b.mu.Lock()
	defer b.mu.Unlock()
	ch := b.waiting[id]
	if ch == nil {
		ch = make(chan sdk.Payment, 1)
		b.waiting[id] = ch
	}
	return ch
}

func (b *payBench) ended(p sdk.Payment) {
	select {
	case b.end(p.Intent) <- p:
	default:
	}
}
