package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/platform"
	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/sdk"
)

// TestKills kills relay and connectors, as kill -9 does, at random moments while payments go on, and starts them again. Nothing that
// was acknowledged may be lost, and no payment may be made twice. PARLEY_KILLS sets how often; the seed is in the log.
func TestKills(t *testing.T) {
	kills := 6
	if s := os.Getenv("PARLEY_KILLS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal("PARLEY_KILLS: ", err)
		}
		kills = n
	}
	if testing.Short() {
		t.Skip("runs real processes for some seconds")
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("PARLEY_KILL_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal("PARLEY_KILL_SEED: ", err)
		}
		seed = n
	}
	t.Logf("PARLEY_KILL_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	w := newKillWorld(t)

	var paying sync.WaitGroup
	stopPaying := make(chan struct{})
	for range 4 {
		paying.Go(func() {
			for {
				select {
				case <-stopPaying:
					return
				default:
					w.payOnce()
				}
			}
		})
	}
	victims := []string{platform.Relay, platform.PayerBank, platform.ShopBank}
	for i := range kills {
		time.Sleep(time.Duration(20+random.IntN(300)) * time.Millisecond)
		name := victims[random.IntN(len(victims))]
		w.killAndRestart(name)
		t.Logf("kill %d: %s, %d payments begun", i+1, name, w.begun())
	}
	time.Sleep(200 * time.Millisecond)
	close(stopPaying)
	paying.Wait()
	w.checkAll()
}

// killWorld is the four parts as processes, and payer and shop in this one.
type killWorld struct {
	t         *testing.T
	dir, exe  string
	world     platform.World
	processes map[string]*platform.Process
	payer     *sdk.Client
	shop      *sdk.Client
	chat      messaging.ChatID

	mu       sync.Mutex // guards what follows
	asked    map[payments.IntentID]bool
	arrived  map[payments.IntentID]bool
	credited map[payments.IntentID]int
	final    map[payments.IntentID]lifecycle.State
}

func newKillWorld(t *testing.T) *killWorld {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PARLEY_TEST_AS_MAIN", "1")
	world, err := platform.NewWorld("fednow", 1)
	if err != nil {
		t.Fatal(err)
	}
	world.Temporary, world.NoArchive, world.AnswerTimeout = true, true, 2*time.Second
	w := &killWorld{t: t, dir: filepath.Join(t.TempDir(), "world"), exe: exe, world: world, processes: map[string]*platform.Process{},
		asked: map[payments.IntentID]bool{}, arrived: map[payments.IntentID]bool{}, credited: map[payments.IntentID]int{}, final: map[payments.IntentID]lifecycle.State{}}
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := world.WriteRail(w.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range w.processes {
			p.Kill()
		}
	})
	relay, rail := w.start(platform.Relay), w.start(platform.Rail)
	w.pin("relay.yaml", strings.TrimPrefix(relay.Ready.URL, "ws://"))
	if err := world.WriteBank(w.dir, platform.ShopBank, relay.Ready.URL, rail.Ready.URL, ""); err != nil {
		t.Fatal(err)
	}
	shop := w.start(platform.ShopBank)
	w.pin("shop-bank.yaml", strings.TrimPrefix(shop.Ready.URL, "http://"))
	if err := world.WriteBank(w.dir, platform.PayerBank, relay.Ready.URL, rail.Ready.URL, shop.Ready.URL); err != nil {
		t.Fatal(err)
	}
	payer := w.start(platform.PayerBank)
	w.shop = w.open("shop", relay.Ready.URL, shop.Ready.Contact)
	w.payer = w.open("payer", relay.Ready.URL, payer.Ready.Contact)
	w.listen()
	if _, err := w.shop.Enrol(t.Context(), sdk.Payee, world.ShopCodes[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := w.payer.Enrol(t.Context(), sdk.Payer, world.PayerCodes[0]); err != nil {
		t.Fatal(err)
	}
	if w.chat, err = w.shop.ChatWith(t.Context(), w.payer.ID()); err != nil {
		t.Fatal(err)
	}
	return w
}

// pin makes a part that chose its own port listen there again after a restart.
func (w *killWorld) pin(file, addr string) {
	w.t.Helper()
	path := filepath.Join(w.dir, file)
	raw, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(raw), "127.0.0.1:0", addr, 1)), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *killWorld) start(name string) *platform.Process {
	w.t.Helper()
	command := map[string]string{platform.Relay: "relay", platform.Rail: "rail"}[name]
	if command == "" {
		command = "connector"
	}
	p, err := platform.StartProcess(w.t.Context(), name, w.exe, []string{command, "-events", "-config", filepath.Join(w.dir, name+".yaml")}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.processes[name] = p
	return p
}

func (w *killWorld) killAndRestart(name string) {
	w.t.Helper()
	w.processes[name].Kill()
	w.start(name)
}

func (w *killWorld) open(name, relay, contact string) *sdk.Client {
	w.t.Helper()
	bank, err := sdk.ParseBank(contact)
	if err != nil {
		w.t.Fatal(err)
	}
	dir := filepath.Join(w.t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	key := filepath.Join(dir, "key")
	if err := device.NewKeyFile(key); err != nil {
		w.t.Fatal(err)
	}
	c, err := sdk.Open(w.t.Context(), sdk.Config{Store: dir, Key: device.KeyFile(key), Relay: relay, Name: name, Bank: &bank, Log: slog.New(slog.DiscardHandler),
		Unlock: func(context.Context, sdk.Payment) ([]string, error) { return []string{"swk", "pin"}, nil }})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// listen runs both clients and notes what they are told.
func (w *killWorld) listen() {
	run, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	w.payer.OnPayment(func(_ context.Context, p sdk.Payment) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if p.News == sdk.NewsRequested {
			w.arrived[p.Intent] = true
			running.Go(func() { w.approve(run, p.Intent) })
		}
		if p.Status.Terminal() {
			w.final[p.Intent] = p.Status
		}
		return nil
	})
	w.shop.OnPayment(func(_ context.Context, p sdk.Payment) error {
		if p.News == sdk.NewsCredited {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.credited[p.Intent]++
		}
		return nil
	})
	for _, c := range []*sdk.Client{w.payer, w.shop} {
		running.Go(func() {
			if err := c.Run(run); err != nil {
				w.t.Errorf("a client stopped: %v", err)
			}
		})
	}
	w.t.Cleanup(func() {
		stop()
		running.Wait()
		w.payer.Close()
		w.shop.Close()
	})
}

func (w *killWorld) approve(ctx context.Context, id payments.IntentID) {
	if _, err := w.payer.Check(ctx, id); err != nil {
		if ctx.Err() == nil {
			w.t.Errorf("check of %s: %v", id, err)
		}
		return
	}
	if err := w.payer.Approve(ctx, id, sdk.ApproveOptions{}); err != nil && ctx.Err() == nil {
		w.t.Errorf("approval of %s: %v", id, err)
	}
}

func (w *killWorld) payOnce() {
	p, err := w.shop.RequestPayment(w.t.Context(), w.chat, sdk.Order{Item: "flat white", Amount: payments.Amount{Minor: 450, Currency: w.world.Currency}})
	if err != nil {
		w.t.Errorf("request: %v", err)
		time.Sleep(100 * time.Millisecond)
		return
	}
	w.mu.Lock()
	w.asked[p.Intent] = true
	w.mu.Unlock()
	for deadline := time.Now().Add(500 * time.Millisecond); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		_, done := w.final[p.Intent]
		w.mu.Unlock()
		if done {
			return
		}
	}
}

func (w *killWorld) begun() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

// checkAll waits until every payment has ended as far as it can, and compares what everybody believes with what the rail did.
func (w *killWorld) checkAll() {
	t := w.t
	open := func() (requested, ended, unknown int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for id := range w.asked {
			if w.arrived[id] {
				requested++
			}
			if _, ok := w.final[id]; ok {
				ended++
				continue
			}
			if p, err := w.payer.Payment(t.Context(), id); err == nil && p.Status == lifecycle.Unknown {
				unknown++
			}
		}
		return
	}
	total := w.begun()
	var requested, ended, unknown int
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if requested, ended, unknown = open(); requested == total && ended+unknown == total && w.allCredited() {
			break
		}
	}
	t.Logf("%d payments: %d requests arrived, %d ended, %d left unknown for a person", total, requested, ended, unknown)
	if requested != total || ended+unknown != total {
		t.Errorf("of %d payments %d were shown to the payer and %d have no outcome", total, requested, total-ended-unknown)
	}
	effects, err := platform.Effects(t.Context(), w.processes[platform.Rail].Ready.URL, w.world.Audit)
	if err != nil {
		t.Fatal(err)
	}
	moved := map[payments.IntentID]int{}
	for _, e := range effects.Payments {
		moved[e.Intent] += e.Executions
		if e.Executions > 1 {
			t.Errorf("the money of %s moved %d times", e.Intent, e.Executions)
		}
	}
	w.mu.Lock()
	for id := range w.asked {
		want := 0
		if w.final[id] == lifecycle.Settled {
			want = 1
		}
		if _, ok := w.final[id]; ok && moved[id] != want {
			t.Errorf("%s is %s, but the money moved %d times", id, w.final[id], moved[id])
		}
		if w.credited[id] != moved[id] {
			t.Errorf("%s: the money moved %d times, the shop was told of %d credits", id, moved[id], w.credited[id])
		}
	}
	settled := 0
	for _, s := range w.final {
		if s == lifecycle.Settled {
			settled++
		}
	}
	w.mu.Unlock()
	if settled == 0 {
		t.Error("no payment settled at all")
	}
	for _, bank := range []string{platform.PayerBank, platform.ShopBank} {
		if err := w.processes[bank].Stop(); err != nil {
			t.Error(err)
		}
		j, err := journal.OpenSQLite(filepath.Join(w.dir, bank, "journal.db"))
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Verify(t.Context()); err != nil {
			t.Errorf("the journal of %s: %v", bank, err)
		}
		j.Close()
	}
}

// allCredited reports whether the shop has heard of every payment that settled.
func (w *killWorld) allCredited() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, s := range w.final {
		if s == lifecycle.Settled && w.credited[id] == 0 {
			return false
		}
	}
	return true
}
