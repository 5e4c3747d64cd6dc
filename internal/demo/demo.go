// Package demo plays one payment from chat to rail and back, with all parts on this machine, and shows what happened.
//
// It decides nothing about the payment: relay, rail and connectors are the real programs as child processes, payer and shop are
// real clients, and what it prints is what they report.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/parleypay/parley/internal/legs"
	"github.com/parleypay/parley/internal/platform"
	"github.com/parleypay/parley/internal/terminal"
	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail/rails"
	"github.com/parleypay/parley/payments/rail/railsim"
	"github.com/parleypay/parley/sdk"
	"github.com/parleypay/parley/sdk/bot"
)

// Options says what to play and how to show it. Scenario, Rail, Exe and Stdout are required.
type Options struct {
	Scenario    string
	Rail        string    // of package rail, such as "fednow"
	Exe         string    // the parley program, which plays relay, rail and connectors
	Out         string    // directory for the evidence; empty: none is kept
	JSON        bool      // one JSON object per event instead of the transcript
	Color       bool      // for terminals
	Interactive bool      // a person plays the payer on Stdin
	Stdin       io.Reader // with Interactive
	Stdout      io.Writer
	Log         io.Writer // operator's log of the parts in this process; nil: none
}

// Result is how the payment ended.
type Result struct {
	Scenario string
	Intent   string
	Status   string // the payer's final status
	Reason   string
	Legs     []legs.Leg
	Remarks  []string
}

// Settled reports whether the money moved.
func (r Result) Settled() bool { return r.Status == string(lifecycle.Settled) }

// Names of the actors in events.
const (
	actorRelay     = platform.Relay
	actorRail      = platform.Rail
	actorPayerBank = platform.PayerBank
	actorShopBank  = platform.ShopBank
	actorPayer     = legs.Payer
	actorShop      = legs.Shop
	actorDemo      = "demo"
)

// limit bounds a whole demo; the longest scenario takes about 10 s.
const limit = 90 * time.Second

// Run plays one scenario. Its error means that the demo itself failed; a payment that did not settle is in the Result.
func Run(ctx context.Context, o Options) (result Result, err error) {
	s, ok := scenario(o.Scenario)
	if !ok {
		return Result{}, fmt.Errorf("there is no scenario %q; there are: %s", o.Scenario, Scenarios())
	}
	world, err := platform.NewWorld(o.Rail, 1)
	if err != nil {
		return Result{}, err
	}
	if o.Interactive && o.JSON {
		return Result{}, errors.New("a person cannot play in JSON; give one of the two")
	}
	if o.Out != "" { // better now than after the play
		if err := os.MkdirAll(o.Out, 0o700); err != nil {
			return Result{}, err
		}
	}
	dir, err := os.MkdirTemp("", "parley-demo-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)
	if !o.Interactive {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	profile, err := rails.Lookup(o.Rail)
	if err != nil {
		return Result{}, err
	}
	var p printer = &transcript{w: o.Stdout, color: o.Color, next: recoveries[profile.Recovery].next}
	if o.JSON {
		p = &jsonLines{enc: json.NewEncoder(o.Stdout)}
	}
	world.Temporary = true
	if s.rule != "" {
		world.Rules = fmt.Sprintf(`[{name: %s, match: {amount: "%s"}, action: %s}]`, s.Name, price(world).Text(), s.rule)
	}
	if s.quick {
		world.AnswerTimeout = quickTimeout
	}
	st := &stage{o: o, s: s, world: world, dir: dir, events: newRecorder(p)}
	defer st.events.close()
	st.events.note("Parley: one payment of %s on %s (simulated).\nScenario %s: %s.\n", price(world), world.Title, s.Name, s.Says)
	if s.quick {
		st.events.note("The rail's answer is awaited for %v here instead of %v, so that nobody has to wait long.\nWithout one, the payer's bank %s.\n",
			quickTimeout, world.Answer, recoveries[profile.Recovery].rule)
	}
	result, err = st.play(ctx)
	if err != nil {
		err = errors.Join(err, st.stop())
		return Result{}, err
	}
	if err := st.stop(); err != nil {
		return Result{}, fmt.Errorf("shutting down: %w", err)
	}
	st.events.flush()
	result.Legs = legs.Of(st.events.all(), result.Intent)
	if err := st.audit(&result); err != nil {
		return Result{}, err
	}
	if o.Out != "" {
		if err := st.evidence(o.Out); err != nil {
			return Result{}, fmt.Errorf("evidence: %w", err)
		}
		result.Remarks = append(result.Remarks, "XML, signed objects and journals are in "+o.Out)
	}
	st.events.result(result)
	return result, nil
}

// stage is everything that is running.
type stage struct {
	o      Options
	s      Scenario
	world  platform.World
	dir    string
	events *recorder

	relay, rail, shopBank, payerBank *platform.Process
	payer, shop                      *sdk.Client
	shopChat                         messaging.ChatID // the payer's chat with the shop
	person                           *terminal.Session
	running                          sync.WaitGroup // the clients' Run
	stopClients                      context.CancelFunc
	effects                          railsim.Effects
	jws                              map[string][]byte // signed objects, by file name

	mu      sync.Mutex        // guards what follows
	intent  payments.IntentID // of the payment that is played
	ended   chan sdk.Payment  // the payer's final word, once
	told    chan struct{}     // closed when the shop has heard of the end
	toldEnd sync.Once
}

func (st *stage) emit(actor, event, status, detail string) {
	st.mu.Lock()
	id := string(st.intent)
	st.mu.Unlock()
	st.events.sink(trace.Event{T: time.Now(), Actor: actor, Event: event, Intent: id, Status: status, Detail: detail})
}

func (st *stage) play(ctx context.Context) (Result, error) {
	st.ended, st.told, st.jws = make(chan sdk.Payment, 1), make(chan struct{}), map[string][]byte{}
	if err := st.startParts(ctx); err != nil {
		return Result{}, err
	}
	if err := st.startClients(ctx); err != nil {
		return Result{}, err
	}
	if st.s.crash {
		go st.crash(ctx)
	}
	var err error
	if st.shopChat, err = st.payer.ChatWith(ctx, st.shop.ID()); err != nil {
		return Result{}, fmt.Errorf("opening the chat: %w", err)
	}
	if err := st.showChats(ctx); err != nil {
		return Result{}, err
	}
	var person chan error
	if st.o.Interactive {
		person = make(chan error, 1)
		st.person = &terminal.Session{Client: st.payer, In: st.o.Stdin, Out: st.o.Stdout, Chat: st.shopChat, Quiet: true, Sent: func(text string) {
			event := "text sent"
			if strings.HasPrefix(text, "/buy") {
				event = legs.Ordered
			}
			st.emit(actorPayer, event, "", text)
		}}
		st.events.note("\nYou are the payer. Say: /buy flat white   Then /pay, and /approve or /decline. /help says more.\n")
		go func() { person <- st.person.Run(ctx) }()
	} else {
		const order = "/buy flat white"
		st.emit(actorPayer, legs.Ordered, "", order)
		if err := st.payer.SendText(ctx, st.shopChat, order, sdk.SendOptions{}); err != nil {
			return Result{}, err
		}
	}
	var final sdk.Payment
	select {
	case final = <-st.ended:
	case err := <-person:
		if errors.Is(err, terminal.ErrQuit) {
			err = errors.New("the payer left before the payment ended")
		}
		return Result{}, err
	case <-ctx.Done():
		return Result{}, fmt.Errorf("interrupted before the payment ended: %w", ctx.Err())
	}
	if st.s.account == nothing { // of a request that its program did not make the shop knows nothing
		st.awaitShop(ctx)
	}
	result := Result{Scenario: st.s.Name, Intent: string(final.Intent), Status: string(final.Status), Reason: final.Reason}
	if final.Refusal != nil {
		result.Reason = final.Refusal.Text
	}
	if st.effects, err = platform.Effects(ctx, st.rail.Ready.URL, st.world.Audit); err != nil {
		return Result{}, err
	}
	return result, st.collect(ctx, final.Intent)
}

// showChats tells of each chat with whom it is and how it is encrypted.
func (st *stage) showChats(ctx context.Context) error {
	for _, of := range []struct {
		actor  string
		client *sdk.Client
	}{{actorPayer, st.payer}, {actorShop, st.shop}} {
		chats, err := of.client.Chats(ctx)
		if err != nil {
			return err
		}
		for _, c := range chats {
			for _, m := range c.Members {
				if m.Own || of.actor == actorShop && m.Device == st.payer.ID() { // the payer has told of that one
					continue
				}
				st.emit(of.actor, "chat open", "", fmt.Sprintf("%s: %s", content.Clean(m.Name), terminal.Encryption(c.Suite)))
			}
		}
	}
	return nil
}

// awaitShop gives the shop time to hear of the end, which travels after the payer's own receipt.
func (st *stage) awaitShop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	select {
	case <-st.told:
	case <-ctx.Done():
		st.events.note("(the shop has not heard of the end within 5 s)")
	}
}

// startParts starts relay, rail and connectors as child processes.
func (st *stage) startParts(ctx context.Context) (err error) {
	if err := st.world.WriteRail(st.dir); err != nil {
		return err
	}
	var railErr error
	var both sync.WaitGroup
	both.Go(func() { st.rail, railErr = st.start(ctx, actorRail, "rail", "rail.yaml") })
	both.Go(func() { st.relay, err = st.start(ctx, actorRelay, "relay", "relay.yaml") })
	both.Wait()
	if err := errors.Join(err, railErr); err != nil {
		return err
	}
	st.emit(actorRelay, "ready", "", "queues and delivers ciphertext, at "+st.relay.Ready.URL)
	st.emit(actorRail, "ready", "", "simulates "+st.world.Title+", at "+st.rail.Ready.URL)
	if err := st.world.WriteBank(st.dir, actorShopBank, st.relay.Ready.URL, st.rail.Ready.URL, ""); err != nil {
		return err
	}
	if st.shopBank, err = st.start(ctx, actorShopBank, "connector", actorShopBank+".yaml"); err != nil {
		return err
	}
	st.emit(actorShopBank, "ready", "", "connector of the shop's bank, agent "+st.world.Shop.Agent)
	if err := st.world.WriteBank(st.dir, actorPayerBank, st.relay.Ready.URL, st.rail.Ready.URL, st.shopBank.Ready.URL); err != nil {
		return err
	}
	if st.payerBank, err = st.start(ctx, actorPayerBank, "connector", actorPayerBank+".yaml"); err != nil {
		return err
	}
	st.emit(actorPayerBank, "ready", "", "connector of the payer's bank, agent "+st.world.Payer.Agent)
	return nil
}

func (st *stage) start(ctx context.Context, actor, command, file string) (*platform.Process, error) {
	return platform.StartProcess(ctx, actor, st.o.Exe, []string{command, "-events", "-config", filepath.Join(st.dir, file)}, st.events.sink, st.o.Log)
}

// startClients opens payer and shop in this process and enrols their keys.
func (st *stage) startClients(ctx context.Context) error {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	st.stopClients = stop
	open := func(actor, name, contact string) (*sdk.Client, error) {
		bank, err := sdk.ParseBank(contact)
		if err != nil {
			return nil, err
		}
		store := filepath.Join(st.dir, actor)
		if err := os.MkdirAll(store, 0o700); err != nil {
			return nil, err
		}
		key := filepath.Join(store, "key")
		if err := device.NewKeyFile(key); err != nil {
			return nil, err
		}
		log := slog.New(slog.DiscardHandler)
		if st.o.Log != nil {
			log = slog.New(slog.NewTextHandler(st.o.Log, nil))
		}
		return sdk.Open(ctx, sdk.Config{Store: store, Key: device.KeyFile(key), Relay: st.relay.Ready.URL, Name: name, Bank: &bank,
			Unlock: st.unlock, Log: log, Trace: st.events.clientSink, Actor: actor})
	}
	var err error
	if st.shop, err = open(actorShop, st.world.Shop.Name, st.shopBank.Ready.Contact); err != nil {
		return err
	}
	if st.payer, err = open(actorPayer, st.world.Payer.Name, st.payerBank.Ready.Contact); err != nil {
		return err
	}
	b := st.newBot()
	st.payer.OnText(func(_ context.Context, t sdk.Text) error { st.emit(actorPayer, "text shown", "", t.Body); return nil })
	st.payer.OnPayment(st.onPayment)
	failed := make(chan error, 2)
	st.running.Go(func() { failed <- b.RunContext(run) })
	st.running.Go(func() { failed <- st.payer.Run(run) })
	var enrol sync.WaitGroup
	var shopErr, payerErr error
	enrol.Go(func() { _, shopErr = st.shop.Enrol(ctx, sdk.Payee, st.world.ShopCodes[0]) })
	enrol.Go(func() { _, payerErr = st.payer.Enrol(ctx, sdk.Payer, st.world.PayerCodes[0]) })
	enrol.Wait()
	if err := errors.Join(shopErr, payerErr); err != nil {
		select {
		case runErr := <-failed:
			err = errors.Join(err, runErr)
		default:
		}
		return fmt.Errorf("enrolment: %w", err)
	}
	return nil
}

// unlock stands for the PIN that a person would type.
func (st *stage) unlock(context.Context, sdk.Payment) ([]string, error) {
	return []string{"swk", "pin"}, nil
}

// newBot makes the shop: the coffee bot of examples/coffee with one eye on the demo.
func (st *stage) newBot() *bot.Bot {
	b := bot.New(st.shop, slog.New(slog.DiscardHandler))
	b.Command("/buy", func(c *bot.Ctx) error {
		if st.s.account != nothing {
			return st.requestWrongly(c)
		}
		return c.RequestPayment(sdk.Order{Item: c.Args(), Amount: price(st.world), Expires: st.s.expires})
	})
	b.OnPaid(func(c *bot.Ctx, p *sdk.Payment) error {
		text := fmt.Sprintf("%s paid. One %s, coming up!", p.Amount, p.Title())
		st.emit(actorShop, "text sent", "", text)
		return c.Reply(text)
	})
	b.OnPayment(func(_ *bot.Ctx, p *sdk.Payment) error {
		ended := p.Status.Terminal() || p.PayerSays.Terminal()
		if p.Status == lifecycle.Settled || p.PayerSays == lifecycle.Settled {
			ended = p.Credited && p.PayerSays == lifecycle.Settled
		}
		if ended {
			st.toldEnd.Do(func() { close(st.told) })
		}
		return nil
	})
	return b
}

// requestWrongly sends a request in the shop's name for an account that is not the shop's.
func (st *stage) requestWrongly(c *bot.Ctx) error {
	id, err := payments.NewIntentID(time.Now(), nil)
	if err != nil {
		return err
	}
	key, creditor, err := payee(st.world, st.s.account)
	if err != nil {
		return err
	}
	now := time.Now()
	jws, err := intent.SignRequest(intent.Request{Terms: intent.Terms{Intent: id, Amount: price(st.world), Creditor: creditor,
		Items: []intent.Item{{Name: c.Args(), Quantity: 1}}, Expires: now.Add(10 * time.Minute)}, Issued: now}, key)
	if err != nil {
		return err
	}
	st.mu.Lock()
	st.intent = id
	st.mu.Unlock()
	st.emit(actorShop, "request sent", "", price(st.world).String()+" to "+st.world.Shop.Name+", but with "+map[wrong]string{foreign: "the account of somebody else", nowhere: "an account that does not exist"}[st.s.account])
	_, err = st.shop.Device().Send(c, c.Chat(), content.Payment(intent.MediaRequest, jws, "Payment request"), device.SendOptions{})
	return err
}

// onPayment is the payer: it looks at the request and the payee check, and does what the scenario says.
func (st *stage) onPayment(ctx context.Context, p sdk.Payment) error {
	st.mu.Lock()
	st.intent = p.Intent
	st.mu.Unlock()
	switch {
	case p.News == sdk.NewsRequested && st.o.Interactive:
		return st.person.ShowPayment(ctx, p)
	case p.News == sdk.NewsRequested:
		if err := st.decide(ctx, p); err != nil {
			st.emit(actorPayer, "text shown", "", "cannot go on: "+err.Error())
			return nil
		}
	case p.Status.Terminal() || p.Refusal != nil:
		st.end(p)
	}
	return nil
}

func (st *stage) end(p sdk.Payment) {
	select {
	case st.ended <- p:
	default:
	}
}

func (st *stage) decide(ctx context.Context, p sdk.Payment) error {
	check, err := st.payer.Check(ctx, p.Intent)
	if err != nil {
		return err
	}
	switch {
	case check.Result == intent.NoMatch:
		return st.payer.Decline(ctx, p.Intent, "no-match")
	case st.s.payer == declines:
		return st.payer.Decline(ctx, p.Intent, "changed-mind")
	case st.s.payer == waits:
		st.events.note("(the payer does nothing; the request expires at %s)", p.Expires.Format(time.TimeOnly))
		return nil
	}
	return st.payer.Approve(ctx, p.Intent, sdk.ApproveOptions{})
}

// crash kills the payer's bank's connector once its transfer has left, and starts it again.
func (st *stage) crash(ctx context.Context) {
	if !st.events.await(ctx, func(e trace.Event) bool { return e.Actor == actorPayerBank && e.Event == "pacs.008 sent" }) {
		return
	}
	st.payerBank.Kill()
	st.emit(actorPayerBank, "killed", "", "after the transfer left, before any answer")
	restarted, err := st.start(ctx, actorPayerBank, "connector", actorPayerBank+".yaml")
	if err != nil {
		st.events.note("the connector did not start again: %v", err)
		return
	}
	st.payerBank = restarted
	st.emit(actorPayerBank, "restarted", "", "")
}

// stop ends everything in the order in which nothing is lost, and is called once.
func (st *stage) stop() error {
	if st.stopClients != nil {
		st.stopClients()
		st.running.Wait()
	}
	var errs []error
	for _, c := range []*sdk.Client{st.payer, st.shop} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	for _, p := range []*platform.Process{st.payerBank, st.shopBank, st.rail, st.relay} {
		if p != nil {
			errs = append(errs, p.Stop())
		}
	}
	return errors.Join(errs...)
}
