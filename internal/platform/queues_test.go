package platform

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/node"
	"github.com/parleypay/parley/internal/rabbitmq"
	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail/railsim"
	"github.com/parleypay/parley/sdk"
)

// TestOverQueues runs the platform with the rail behind a real broker, kills the broker as soon as it has accepted a pacs.008, and finds each
// payment settled and executed once.
func TestOverQueues(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a broker")
	}
	w, err := NewWorld("fednow", 1)
	if err != nil {
		t.Fatal(err)
	}
	w.Temporary = true
	w.AnswerTimeout = 2 * time.Minute // longer than the broker needs to start
	broker := rabbitmq.Start(t, w.Payer.Agent, w.Shop.Agent)
	dir := t.TempDir()
	p := &Platform{World: w, Dir: dir, Monitors: map[string]string{}}
	ctx := t.Context()
	sent := make(chan bool, 8)
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	edit := func(name string, f func(string) string) {
		path := filepath.Join(dir, name+".yaml")
		text, err := os.ReadFile(path)
		ok(err)
		ok(os.WriteFile(path, []byte(f(string(text))), 0o600))
	}
	ok(w.WriteRail(dir))
	for name, user := range map[string]string{PayerBank: w.Payer.Agent, ShopBank: w.Shop.Agent, Rail: "rail"} {
		ok(os.WriteFile(filepath.Join(dir, name+".password"), []byte(broker.Password(user)+"\n"), 0o600))
	}
	edit(Rail, func(s string) string {
		return s + "transport: amqp\nqueues:\n  url: " + broker.URL() + "\n  user: rail\n  password_file: " + Rail + ".password\n  from_participants: " + rabbitmq.FromBanks +
			"\n  participants: {\"" + w.Payer.Agent + "\": " + rabbitmq.ToBankPrefix + w.Payer.Agent + ", \"" + w.Shop.Agent + "\": " + rabbitmq.ToBankPrefix + w.Shop.Agent + "}\n"
	})
	relay, err := run(ctx, p, node.Options{}, Relay, node.ReadRelay, node.RunRelay)
	ok(err)
	defer func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}()
	rail, err := run(ctx, p, node.Options{}, Rail, node.ReadRail, node.RunRail)
	ok(err)
	bank := func(name, agent, asks string) node.Ready {
		ok(w.WriteBank(dir, name, relay.URL, "RAIL", asks))
		edit(name, func(s string) string {
			return strings.Replace(s, "url: RAIL\n  token_file: "+name+".token", "url: "+broker.URL()+"\n  transport: amqp\n  token_file: "+name+".password\n  to_service: "+rabbitmq.ToRail+"\n  from_service: "+rabbitmq.OfBankPrefix+agent, 1)
		})
		r, err := run(ctx, p, node.Options{Trace: func(e trace.Event) {
			if e.Event == "pacs.008 sent" {
				sent <- true
			}
		}}, name, node.ReadBank, node.RunConnector)
		ok(err)
		return r
	}
	shopBank := bank(ShopBank, w.Shop.Agent, "")
	payerBank := bank(PayerBank, w.Payer.Agent, shopBank.URL)
	p.RelayURL, p.PayerBank, p.ShopBank = relay.URL, payerBank.Contact, shopBank.Contact

	shop, payer := client(t, p, "shop", p.ShopBank), client(t, p, "payer", p.PayerBank)
	ended, credited := make(chan sdk.Payment, 8), make(chan sdk.Payment, 8)
	payer.OnPayment(func(ctx context.Context, pay sdk.Payment) error {
		if pay.News == sdk.NewsRequested {
			if _, err := payer.Check(ctx, pay.Intent); err != nil {
				t.Error(err)
			}
			if err := payer.Approve(ctx, pay.Intent, sdk.ApproveOptions{}); err != nil {
				t.Error(err)
			}
		} else if pay.Status.Terminal() {
			ended <- pay
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
	_, err = shop.Enrol(ctx, sdk.Payee, w.ShopCodes[0])
	ok(err)
	_, err = payer.Enrol(ctx, sdk.Payer, w.PayerCodes[0])
	ok(err)
	chat, err := shop.ChatWith(ctx, payer.ID())
	ok(err)
	for i, kill := range []bool{false, true} {
		_, err = shop.RequestPayment(ctx, chat, sdk.Order{Amount: payments.Amount{Minor: 1200 + int64(i)*100, Currency: w.Currency}, Item: "tea", Reference: "R"})
		ok(err)
		<-sent
		if kill {
			broker.Kill()
			broker.Start()
		}
		for _, end := range []chan sdk.Payment{ended, credited} {
			select {
			case pay := <-end:
				if pay.Status != lifecycle.Settled {
					t.Fatalf("%s: %s", pay.Status, pay.Reason)
				}
			case <-time.After(40 * time.Second):
				t.Fatal("the payment has not ended")
			}
		}
	}
	req, err := http.NewRequest(http.MethodGet, rail.URL+"/v1/effects", nil)
	ok(err)
	req.Header.Set("Authorization", "Bearer "+w.Audit)
	resp, err := http.DefaultClient.Do(req)
	ok(err)
	defer resp.Body.Close()
	var effects railsim.Effects
	ok(json.NewDecoder(resp.Body).Decode(&effects))
	if len(effects.Payments) != 2 || effects.Payments[0].Executions != 1 || effects.Payments[1].Executions != 1 {
		t.Errorf("%+v", effects.Payments)
	}
}
