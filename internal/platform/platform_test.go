package platform

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail/rails"
	"github.com/parleypay/parley/sdk"
)

// lines collects what is written to it.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func client(t *testing.T, p *Platform, name, contact string) *sdk.Client {
	t.Helper()
	bank, err := sdk.ParseBank(contact)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := device.NewKeyFile(key); err != nil {
		t.Fatal(err)
	}
	c, err := sdk.Open(t.Context(), sdk.Config{Store: dir, Key: device.KeyFile(key), Relay: p.RelayURL, Name: name, Bank: &bank, Log: slog.New(slog.DiscardHandler),
		Unlock: func(context.Context, sdk.Payment) ([]string, error) { return []string{"swk", "pin"}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func background(t *testing.T, c *sdk.Client) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		c.Close()
	})
}

// TestNothingLeaks makes a payment with telling names in every place that can hold one, and then looks for them, for account numbers
// and for secrets everywhere but in the banks' own stores: in the relay's files, in every monitor, in every log line and every event.
func TestNothingLeaks(t *testing.T) {
	for _, name := range rails.Names() {
		t.Run(name, func(t *testing.T) { nothingLeaks(t, name) })
	}
}

func nothingLeaks(t *testing.T, railName string) {
	w, err := NewWorld(railName, 1)
	if err != nil {
		t.Fatal(err)
	}
	const canary = "kanarienvogel"
	w.Temporary = true
	w.Payer.Name, w.Shop.Name = "Payer "+canary, "Shop "+canary
	var log lines
	var events []trace.Event
	var mu sync.Mutex // guards events
	p, err := Start(t.Context(), w, filepath.Join(t.TempDir(), "world"), func(e trace.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}, &log)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	for actor, url := range p.Monitors {
		for _, page := range []string{"/healthz", "/readyz"} {
			status, body := get(t, url+page)
			for deadline := time.Now().Add(25 * time.Second); status != http.StatusOK && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
				status, body = get(t, url+page)
			}
			if status != http.StatusOK {
				t.Errorf("%s of %s: %d %s", page, actor, status, body)
			}
		}
	}

	shop, payer := client(t, p, "shop "+canary, p.ShopBank), client(t, p, "payer "+canary, p.PayerBank)
	settled, credited, said := make(chan sdk.Payment, 8), make(chan sdk.Payment, 8), make(chan string, 8)
	payer.OnText(func(_ context.Context, t sdk.Text) error { said <- t.Body; return nil })
	payer.OnPayment(func(ctx context.Context, pay sdk.Payment) error {
		if pay.News == sdk.NewsRequested {
			if _, err := payer.Check(ctx, pay.Intent); err != nil {
				t.Error(err)
			}
			if err := payer.Approve(ctx, pay.Intent, sdk.ApproveOptions{}); err != nil {
				t.Error(err)
			}
		} else if pay.Status.Terminal() {
			settled <- pay
		}
		return nil
	})
	shop.OnPayment(func(_ context.Context, pay sdk.Payment) error {
		if pay.News == sdk.NewsCredited {
			credited <- pay
		}
		return nil
	})
	background(t, shop)
	background(t, payer)
	if _, err := shop.Enrol(t.Context(), sdk.Payee, w.ShopCodes[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := payer.Enrol(t.Context(), sdk.Payer, w.PayerCodes[0]); err != nil {
		t.Fatal(err)
	}
	chat, err := shop.ChatWith(t.Context(), payer.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := shop.SendText(t.Context(), chat, "hello "+canary, sdk.SendOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := <-said; got != "hello "+canary {
		t.Fatal(got)
	}
	if _, err := shop.RequestPayment(t.Context(), chat, sdk.Order{Amount: payments.Amount{Minor: 1234, Currency: w.Currency}, Item: "item " + canary, Reference: "REF " + canary}); err != nil {
		t.Fatal(err)
	}
	for _, end := range []chan sdk.Payment{settled, credited} {
		select {
		case pay := <-end:
			if pay.Status != lifecycle.Settled {
				t.Fatalf("%s: %s", pay.Status, pay.Reason)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the payment has not ended")
		}
	}

	secrets := []string{canary, w.Payer.Account, w.Shop.Account, w.PayerCodes[0], w.ShopCodes[0]}
	for _, c := range []Customer{w.Payer, w.Shop} {
		if a, err := payments.ParseAccount(c.Account); err != nil {
			t.Fatal(err)
		} else if x, err := payments.ParsePixAccount(a); err == nil && railName == "pix" {
			secrets = append(secrets, x.Holder) // a person's tax number
		}
	}
	leak := func(where, text string) {
		t.Helper()
		for _, s := range secrets {
			if strings.Contains(strings.ToLower(text), strings.ToLower(s)) {
				t.Errorf("%s holds %q", where, s)
			}
		}
	}
	for actor, url := range p.Monitors {
		status, body := get(t, url+"/metrics")
		if status != http.StatusOK || !strings.Contains(body, "parley_") {
			t.Errorf("/metrics of %s: %d", actor, status)
		}
		for _, id := range []string{shop.ID().String(), payer.ID().String(), chat.String(), messaging.DeviceID{}.String()} {
			if strings.Contains(body, id) {
				t.Errorf("/metrics of %s names a device or chat", actor)
			}
		}
		leak("/metrics of "+actor, body)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	leak("the log", log.String())
	mu.Lock()
	for _, e := range events {
		leak("an event", e.Actor+" "+e.Event+" "+e.Status+" "+e.Detail)
	}
	mu.Unlock()
	files := 0
	err = filepath.WalkDir(filepath.Join(p.Dir, "relay"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		files++
		leak("the relay's file "+filepath.Base(path), string(raw))
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files of the relay were searched: %v", files, err)
	}
}

// TestWorlds checks that every name and number of every rail's world is right by its own check digits, and is of the rail's kind.
func TestWorlds(t *testing.T) {
	for _, name := range rails.Names() {
		w, err := NewWorld(name, 1)
		if err != nil {
			t.Fatal(err)
		}
		profile, err := rails.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if w.Currency != profile.Currency || w.Answer != profile.AnswerTimeout || w.Title == "" {
			t.Errorf("%s: %+v", name, w)
		}
		for _, c := range []Customer{w.Payer, w.Shop, w.Other, w.Nobody} {
			if _, err := payments.ParseAgentID(c.Agent); err != nil || payments.AgentID(c.Agent) == profile.Service {
				t.Errorf("%s: agent %s: %v", name, c.Agent, err)
			}
			a, err := payments.ParseAccount(c.Account)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			switch name {
			case "sctinst":
				err = payments.CheckIBAN(c.Account)
			case "pix":
				var x payments.PixAccount
				if x, err = payments.ParsePixAccount(a); err == nil {
					if err = payments.CheckCPF(x.Holder); len(x.Holder) == 14 {
						err = payments.CheckCNPJ(x.Holder)
					}
				}
			default:
				err = payments.CheckABA(c.Agent)
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestUnknownNames(t *testing.T) {
	if _, err := NewWorld("pigeon", 1); err == nil {
		t.Error("there is no such rail")
	}
	w, err := NewWorld("fednow", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteBank(t.TempDir(), "no-bank", "", "", ""); err == nil {
		t.Error("there is no such bank")
	}
	if _, err := StartProcess(t.Context(), "x", filepath.Join(t.TempDir(), "none"), nil, nil, nil); err == nil {
		t.Error("there is no such program")
	}
}

// TestStartFails checks that a part that cannot start is reported with its reason, and that the others are stopped.
func TestStartFails(t *testing.T) {
	w, err := NewWorld("fednow", 1)
	if err != nil {
		t.Fatal(err)
	}
	w.Temporary, w.Rules = true, "[{action: {do: dance}}]"
	if _, err := Start(t.Context(), w, filepath.Join(t.TempDir(), "world"), nil, nil); err == nil || !strings.Contains(err.Error(), "dance") {
		t.Fatalf("got %v", err)
	}
}
