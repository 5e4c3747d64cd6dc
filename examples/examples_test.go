// Package examples holds one small program per task; its tests run each of them against the real relay, connectors and rail.
package examples

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/platform"
	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail/rails"
	"github.com/parleypay/parley/sdk"
)

// TestLines keeps the promise of how short a bot is: lines of code, without blank lines and comments.
func TestLines(t *testing.T) {
	for name, limit := range map[string]int{"echo": 10, "coffee": 25} {
		raw, err := os.ReadFile(filepath.Join(name, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		for line := range strings.Lines(string(raw)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
				lines++
			}
		}
		t.Logf("%s has %d lines of code", name, lines)
		if lines > limit {
			t.Errorf("%s has %d lines of code, want at most %d", name, lines, limit)
		}
	}
}

// world starts a platform for one test.
func world(t *testing.T, rail string) *platform.Platform {
	t.Helper()
	w, err := platform.NewWorld(rail, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.Temporary = true
	p, err := platform.Start(t.Context(), w, filepath.Join(t.TempDir(), "world"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// runBot builds and runs an example as its README says, and returns its address. When the test ends the bot gets SIGTERM and must exit 0.
func runBot(t *testing.T, p *platform.Platform, name string, env ...string) messaging.DeviceID {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, name)
	if out, err := exec.Command("go", "build", "-o", binary, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	address := filepath.Join(dir, "address")
	cmd := exec.Command(binary)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Env = append(os.Environ(), "PARLEY_NAME="+name, "PARLEY_RELAY="+p.RelayURL, "PARLEY_STORE="+filepath.Join(dir, "store"), "PARLEY_ADDRESS_TO="+address)
	cmd.Env = append(cmd.Env, env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s after SIGTERM: %v\n%s", name, err, said.String())
		}
	})
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if raw, err := os.ReadFile(address); err == nil && len(raw) > 40 {
			id, err := messaging.ParseDeviceID(strings.TrimSpace(string(raw)))
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
	}
	t.Fatalf("%s did not start\n%s", name, said.String())
	return messaging.DeviceID{}
}

// person is somebody with a device.
type person struct {
	t        *testing.T
	client   *sdk.Client
	texts    chan string
	payments chan sdk.Payment
}

func newPerson(t *testing.T, p *platform.Platform) *person {
	t.Helper()
	bank, err := sdk.ParseBank(p.PayerBank)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := device.NewKeyFile(key); err != nil {
		t.Fatal(err)
	}
	c, err := sdk.Open(t.Context(), sdk.Config{Store: dir, Key: device.KeyFile(key), Relay: p.RelayURL, Name: "Example Payer", Bank: &bank,
		Log: slog.New(slog.DiscardHandler), Unlock: func(context.Context, sdk.Payment) ([]string, error) { return []string{"swk", "pin"}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	who := &person{t, c, make(chan string, 16), make(chan sdk.Payment, 16)}
	c.OnText(func(_ context.Context, m sdk.Text) error { who.texts <- m.Body; return nil })
	c.OnPayment(func(_ context.Context, p sdk.Payment) error { who.payments <- p; return nil })
	run, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(run) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		c.Close()
	})
	return who
}

// chatWith opens the chat with a bot that has just started, as soon as it has key packages at the relay.
func (w *person) chatWith(id messaging.DeviceID) messaging.ChatID {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	for {
		chat, err := w.client.ChatWith(ctx, id)
		if err == nil {
			return chat
		}
		if ctx.Err() != nil {
			w.t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (w *person) say(chat messaging.ChatID, text string) {
	w.t.Helper()
	if err := w.client.SendText(w.t.Context(), chat, text, sdk.SendOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *person) want(text string) {
	w.t.Helper()
	select {
	case got := <-w.texts:
		if got != text {
			w.t.Fatalf("got %q, want %q", got, text)
		}
	case <-time.After(20 * time.Second):
		w.t.Fatalf("no text, want %q", text)
	}
}

func TestEcho(t *testing.T) {
	p := world(t, "fednow")
	bot := runBot(t, p, "echo")
	me := newPerson(t, p)
	chat := me.chatWith(bot)
	me.say(chat, "hello")
	me.want("Echo: hello")
	me.say(chat, "/unknown")
	me.want("Echo: /unknown")
}

// TestCoffee buys one on every rail, in its currency.
func TestCoffee(t *testing.T) {
	for _, name := range rails.Names() {
		t.Run(name, func(t *testing.T) { buyCoffee(t, world(t, name)) })
	}
}

func buyCoffee(t *testing.T, p *platform.Platform) {
	price := string(p.World.Currency) + " 4.50"
	bot := runBot(t, p, "coffee", "COFFEE_CURRENCY="+string(p.World.Currency), "PARLEY_BANK="+p.ShopBank, "PARLEY_ENROL_CODE="+p.World.ShopCodes[0])
	me := newPerson(t, p)
	if _, err := me.client.Enrol(t.Context(), sdk.Payer, p.World.PayerCodes[0]); err != nil {
		t.Fatal(err)
	}
	chat := me.chatWith(bot)
	me.say(chat, "/buy a yacht")
	me.want("There is espresso and flat white.")
	me.say(chat, "/buy flat white")
	var asked sdk.Payment
	select {
	case asked = <-me.payments:
	case <-time.After(20 * time.Second):
		t.Fatal("no request")
	}
	if asked.News != sdk.NewsRequested || asked.Amount.String() != price || asked.Title() != "flat white" {
		t.Fatalf("%+v", asked)
	}
	if err := me.client.Approve(t.Context(), asked.Intent, sdk.ApproveOptions{}); err == nil {
		t.Fatal("approved without a payee check")
	}
	if _, err := me.client.Check(t.Context(), asked.Intent); err != nil {
		t.Fatal(err)
	}
	if err := me.client.Approve(t.Context(), asked.Intent, sdk.ApproveOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := me.client.Approve(t.Context(), asked.Intent, sdk.ApproveOptions{}); err == nil {
		t.Fatal("approved twice")
	}
	final, err := me.client.Wait(t.Context(), asked.Intent)
	if err != nil || final.Status != lifecycle.Settled {
		t.Fatalf("%v %+v", err, final)
	}
	me.want(price + " paid. One flat white, coming up!")
}
