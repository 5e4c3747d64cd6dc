package connector_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/connector/corebank"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail/railsim"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var rails = map[string]struct {
	payerBank, shopBank payments.AgentID
	payer, shop, closed string
}{
	"fednow":  {"021040078", "091000019", "123456789012", "987654321000", "987654321999"},
	"sctinst": {"PAYRDEF0XXX", "SHOPFRP0", "DE89370400440532013000", "FR1420041010050500013M02606", "GB29NWBK60161331926819"},
	"rtp":     {"021040078", "091000019", "123456789012", "987654321000", "987654321999"},
	"pix":     {"99999010", "20000000", "12345678909C500000A3000", "11222333000181C600000A4000", "11222333000181C600001A4000"},
}

const (
	shopName  = "Example Coffee"
	payerName = "Example Payer"
	opening   = 1_000_00
)

// world is a rail with two banks, a payer at one and a shop at the other.
type world struct {
	t         testing.TB
	rail      string
	sim       *railsim.Sim
	payerBank *bank
	shopBank  *bank
	payer     *customer
	shop      *customer
	payee     ed25519.PrivateKey
	closed    bool
}

// bank is a connector that can be stopped and started again on the same journal, core bank and chats.
type bank struct {
	w       *world
	cfg     connector.Config
	core    *corebank.Bank
	journal journal.Journal
	chats   *chats
	log     *eventLog
	engine  *connector.Engine
	stop    context.CancelFunc
	ended   chan error
}

// customer is a person or a shop with a chat with their bank.
type customer struct {
	bank    *bank
	chat    string
	key     *ecdsa.PrivateKey
	kid     string
	account payments.Account
	sent    uint64
}

type eventLog struct {
	mu     sync.Mutex
	events []trace.Event
}

func (l *eventLog) sink(e trace.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *eventLog) count(name string, id payments.IntentID) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Event == name && (id == "" || e.Intent == string(id)) {
			n++
		}
	}
	return n
}

// chats keeps what the bank says, once per key.
type chats struct {
	mu   sync.Mutex
	seen map[string]bool
	said map[string][]connector.ChatMessage
	fail int // so many of the next messages fail
	gone bool
}

func (c *chats) Send(_ context.Context, to, key, mediaType string, body []byte, fallback string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return fmt.Errorf("endpoint: %w", connector.ErrChatGone)
	}
	if c.fail > 0 {
		c.fail--
		return errors.New("chat is not there")
	}
	if !c.seen[key] {
		c.seen[key] = true
		c.said[to] = append(c.said[to], connector.ChatMessage{MediaType: mediaType, Body: body, Fallback: fallback})
	}
	return nil
}

func (c *chats) to(chat, mediaType string) (bodies [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.said[chat] {
		if m.MediaType == mediaType {
			bodies = append(bodies, m.Body)
		}
	}
	return bodies
}

type options struct {
	sim        func(*railsim.Config)
	bank       func(name string, c *connector.Config)
	openBank   func(name string) journal.Journal
	limits     intent.Limits
	notEnroled bool
}

func newWorld(t testing.TB, railName string, o options) *world {
	t.Helper()
	if time.Now().Year() == 2000 {
		time.Sleep(48 * time.Hour) // fake time begins where signed times do; a test must be able to look back
	}
	r := rails[railName]
	cfg := railsim.Config{Rail: railName, MagicAmounts: true, Participants: []railsim.Participant{
		{ID: r.payerBank, Token: "token-of-payer-bank", Prefunded: "1000000.00"},
		{ID: r.shopBank, Token: "token-of-shop-bank", Prefunded: "1000000.00"},
	}}
	if o.sim != nil {
		o.sim(&cfg)
	}
	w := &world{t: t, rail: railName, sim: must(railsim.New(cfg)), payee: newEd25519()}
	t.Cleanup(w.sim.Close)
	currency := w.sim.Profile().Currency
	account := func(number, name string, status corebank.Status) corebank.Account {
		return corebank.Account{Account: must(payments.ParseAccount(number)), Name: must(payments.ParseName(name)),
			Balance: payments.Amount{Minor: opening, Currency: currency}, Status: status}
	}
	w.payerBank = w.newBank("payer-bank", r.payerBank, []corebank.Account{account(r.payer, payerName, "")}, o)
	w.shopBank = w.newBank("shop-bank", r.shopBank, []corebank.Account{account(r.shop, shopName, ""), account(r.closed, "Closed Shop", corebank.Closed)}, o)
	w.payer = &customer{bank: w.payerBank, chat: "chat-of-payer", key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), account: must(payments.ParseAccount(r.payer))}
	w.payer.kid = must(intent.NewPublicKey(w.payer.key.Public())).ID()
	w.shop = &customer{bank: w.shopBank, chat: "chat-of-shop", account: must(payments.ParseAccount(r.shop))}
	payerCode, shopCode := intent.NewOneTimeCode(), intent.NewOneTimeCode()
	w.payerBank.cfg.Codes = []connector.Code{{Hash: must(intent.HashCode(payerCode)), Profile: intent.ProfileDeviceKey, Accounts: []payments.Account{w.payer.account},
		Limits: o.limits, Expires: time.Now().Add(time.Hour)}}
	w.shopBank.cfg.Codes = []connector.Code{{Hash: must(intent.HashCode(shopCode)), Profile: intent.ProfilePayee, Accounts: []payments.Account{w.shop.account}, Expires: time.Now().Add(time.Hour)}}
	w.payerBank.start()
	w.shopBank.start()
	t.Cleanup(w.close)
	if !o.notEnroled {
		w.payer.tell(intent.MediaEnrol, must(intent.NewEnrol(payerCode, w.payer.key, intent.ProfileDeviceKey, "payer-bank", time.Now())))
		w.shop.tell(intent.MediaEnrol, must(intent.NewEnrol(shopCode, w.payee, intent.ProfilePayee, "shop-bank", time.Now())))
		w.until("both are enrolled", func() bool {
			return len(w.payerBank.chats.to(w.payer.chat, intent.MediaEnrolment)) == 1 && len(w.shopBank.chats.to(w.shop.chat, intent.MediaEnrolment)) == 1
		})
	}
	return w
}

func newEd25519() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return must(key, err)
}

func (w *world) newBank(name string, agent payments.AgentID, accounts []corebank.Account, o options) *bank {
	b := &bank{w: w, chats: &chats{seen: map[string]bool{}, said: map[string][]connector.ChatMessage{}}, log: &eventLog{}}
	b.core = must(corebank.OpenBank(filepath.Join(w.t.TempDir(), name+".db"), accounts))
	b.journal = journal.NewMemory()
	if o.openBank != nil {
		b.journal = o.openBank(name)
	}
	b.cfg = connector.Config{ID: name, Agent: agent, Profile: w.sim.Profile(), Key: newEd25519(), Journal: b.journal,
		Transport: must(w.sim.Transport(agent)), Chat: b.chats, Core: b.core, Payees: w, Trace: b.log.sink}
	if o.bank != nil {
		o.bank(name, &b.cfg)
	}
	return b
}

// CheckPayee asks the shop's bank, as the network between the banks would.
func (w *world) CheckPayee(ctx context.Context, q connector.PayeeQuery) (connector.PayeeAnswer, error) {
	return w.shopBank.engine.CheckPayee(ctx, q)
}

func (b *bank) start() {
	b.w.t.Helper()
	e, err := connector.New(b.cfg)
	if err != nil {
		b.w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b.engine, b.stop, b.ended = e, stop, make(chan error, 1)
	go func(ended chan error) { ended <- e.Run(ctx) }(b.ended)
	b.w.until(b.cfg.ID+" runs", func() bool { return e.Ready() == nil || len(b.ended) > 0 })
}

// end stops the bank and returns what Run returned.
func (b *bank) end() error {
	if b.stop == nil {
		return nil
	}
	b.stop()
	b.stop = nil
	return <-b.ended
}

func (w *world) close() {
	if w.closed {
		return
	}
	w.closed = true
	for _, b := range []*bank{w.payerBank, w.shopBank} {
		if err := b.end(); err != nil && !errors.Is(err, journal.ErrBroken) {
			w.t.Errorf("%s: %v", b.cfg.ID, err)
		}
		b.core.Close()
		b.journal.Close()
	}
}

// until waits in fake time for something to become true.
func (w *world) until(what string, true_ func() bool) {
	w.t.Helper()
	for range 3000 {
		if true_() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("%s: not within 30 s; payer's bank: %v", what, w.payerBank.log.events)
}

// tell sends one message part to the customer's bank, and fails when it is not taken.
func (c *customer) tell(mediaType string, body []byte) {
	c.bank.w.t.Helper()
	if err := c.try(mediaType, body); err != nil {
		c.bank.w.t.Fatalf("%s: %v", mediaType, err)
	}
}

func (c *customer) message(mediaType string, body []byte) connector.Inbound {
	c.sent++
	id := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(c.chat), c.sent))
	return connector.Inbound{Chat: c.chat, Sender: "device", MessageID: id, MediaType: mediaType, Body: body, At: time.Now()}
}

func (c *customer) try(mediaType string, body []byte) error {
	return c.bank.engine.HandleChat(context.Background(), c.message(mediaType, body))
}

// request is a request of the shop for that many minor units.
func (w *world) request(minor int64, change func(*intent.Request)) (intent.Request, []byte) {
	r := intent.Request{Issued: time.Now(), Terms: intent.Terms{Intent: must(payments.NewIntentID(time.Now(), nil)),
		Amount:    payments.Amount{Minor: minor, Currency: w.sim.Profile().Currency},
		Creditor:  intent.Creditor{Name: must(payments.ParseName(shopName)), Account: w.shop.account, Agent: w.shopBank.cfg.Agent},
		Reference: "RF18539007547034", Expires: time.Now().Add(5 * time.Minute)}}
	if change != nil {
		change(&r)
	}
	return r, must(intent.SignRequest(r, w.payee))
}

func (w *world) bankKey(b *bank) ed25519.PublicKey { return b.cfg.Key.Public().(ed25519.PublicKey) }

// check asks the payer's bank for the payee check and returns its answer.
func (w *world) check(r intent.Request, jws []byte) intent.PayeeCheck {
	w.t.Helper()
	had := len(w.payerBank.chats.to(w.payer.chat, intent.MediaPayeeCheck))
	w.payer.tell(intent.MediaCheck, must(intent.Check{Request: jws, DebtorAccount: w.payer.account}.Encode()))
	var got intent.PayeeCheck
	w.until("payee check", func() bool {
		for _, b := range w.payerBank.chats.to(w.payer.chat, intent.MediaPayeeCheck)[had:] {
			if c := must(intent.VerifyPayeeCheck(b, w.bankKey(w.payerBank))); c.Intent == r.Intent {
				got = c
				return true
			}
		}
		return false
	})
	return got
}

// approve signs a mandate over a checked request.
func (w *world) approve(jws []byte, check intent.PayeeCheck, change func(*intent.Mandate)) []byte {
	w.t.Helper()
	r, hash, err := intent.VerifyRequest(jws)
	if err != nil {
		w.t.Fatal(err)
	}
	m := intent.NewMandate(r, hash, check, intent.Debtor{Account: w.payer.account, Agent: w.payerBank.cfg.Agent}, time.Now(), 5*time.Minute)
	if change != nil {
		change(&m)
	}
	mandate := must(intent.SignMandate(m, w.payer.key, w.payer.kid, []string{"hwk", "pin"}))
	return must(intent.Approval{Request: jws, Mandate: mandate}.Encode())
}

// pay asks, checks and approves; it returns when the bank has the mandate.
func (w *world) pay(minor int64) payments.IntentID {
	w.t.Helper()
	r, jws := w.request(minor, nil)
	w.payer.tell(intent.MediaMandate, w.approve(jws, w.check(r, jws), nil))
	return r.Intent
}

func (w *world) state(b *bank, id payments.IntentID, side lifecycle.Side) connector.Payment {
	w.t.Helper()
	p, err := b.engine.Payment(context.Background(), journal.Key{Intent: id, Side: side})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// ends waits for the payment at the payer's bank to be in that state, with everything carried out.
func (w *world) ends(id payments.IntentID, want lifecycle.State) connector.Payment {
	w.t.Helper()
	var p connector.Payment
	for range 30_000 {
		if p = w.state(w.payerBank, id, lifecycle.Debtor); p.State == want {
			w.quiet()
			return w.state(w.payerBank, id, lifecycle.Debtor)
		}
		if p.State.Terminal() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("payment is %s (%s), want %s", p.State, p.Reason, want)
	return p
}

// quiet waits until no bank has anything to do.
func (w *world) quiet() {
	w.t.Helper()
	w.until("outboxes empty", func() bool {
		return w.payerBank.engine.Stats() == connector.Stats{} && w.shopBank.engine.Stats() == connector.Stats{}
	})
	time.Sleep(50 * time.Millisecond) // the marks of what is done
}

// receipts returns the statuses of the receipts for an intent, checked: signed by the bank, sequence without gaps or repeats.
func (w *world) receipts(id payments.IntentID) []intent.Receipt {
	w.t.Helper()
	var out []intent.Receipt
	for _, b := range w.payerBank.chats.to(w.payer.chat, intent.MediaReceipt) {
		r, err := intent.VerifyReceipt(b, w.bankKey(w.payerBank))
		if err != nil {
			w.t.Fatal(err)
		}
		if r.Intent == id {
			if n := len(out); n > 0 && r.Seq <= out[n-1].Seq {
				w.t.Errorf("receipt %d after %d", r.Seq, out[n-1].Seq)
			}
			out = append(out, r)
		}
	}
	return out
}

func statuses(rs []intent.Receipt) string {
	var s []string
	for _, r := range rs {
		s = append(s, string(r.Status))
	}
	return strings.Join(s, " ")
}

func (w *world) refusals(c *customer) []intent.Refusal {
	w.t.Helper()
	var out []intent.Refusal
	for _, b := range c.bank.chats.to(c.chat, intent.MediaRefusal) {
		out = append(out, must(intent.VerifyRefusal(b, w.bankKey(c.bank))))
	}
	return out
}

// refused waits for the n-th refusal and returns its reason.
func (w *world) refused(c *customer, n int) intent.Refusal {
	w.t.Helper()
	w.until("refusal", func() bool { return len(w.refusals(c)) >= n })
	return w.refusals(c)[n-1]
}

func (w *world) credited(id payments.IntentID) (n int) {
	w.t.Helper()
	for _, b := range w.shopBank.chats.to(w.shop.chat, intent.MediaCredited) {
		if c := must(intent.VerifyCredited(b, w.bankKey(w.shopBank))); c.Intent == id {
			n++
		}
	}
	return n
}

// balances returns how much the payer has, of it held, and the shop has, in minor units.
func (w *world) balances() (payer, held, shop int64) {
	w.t.Helper()
	p, h, err := w.payerBank.core.Balance(context.Background(), w.payer.account)
	if err != nil {
		w.t.Fatal(err)
	}
	s, _, err := w.shopBank.core.Balance(context.Background(), w.shop.account)
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Minor, h.Minor, s.Minor
}

func (w *world) executions(id payments.IntentID) (messages, executions int) {
	for _, p := range w.sim.Effects("", "").Payments {
		if p.Intent == id {
			messages += p.Messages
			executions += p.Executions
		}
	}
	return messages, executions
}

// audit checks what must hold for every history: chains, ledger, at most one execution, and that the banks' books agree with the rail's.
func (w *world) audit() {
	w.t.Helper()
	ctx := context.Background()
	for _, b := range []*bank{w.payerBank, w.shopBank} {
		if err := b.journal.Verify(ctx); err != nil {
			w.t.Errorf("%s: %v", b.cfg.ID, err)
		}
		sums := map[payments.Currency]int64{}
		for _, x := range must(b.journal.Balances(ctx)) {
			sums[x.Amount.Currency] += x.Amount.Minor
			if strings.HasPrefix(x.Account, "payer_hold:") && x.Amount.Minor < 0 {
				w.t.Errorf("%s: %s is below zero", b.cfg.ID, x.Account)
			}
		}
		for c, sum := range sums {
			if sum != 0 {
				w.t.Errorf("%s: the ledger is off by %d %s", b.cfg.ID, sum, c)
			}
		}
	}
	for _, p := range w.sim.Effects("", "").Payments {
		if p.Executions > 1 || p.Messages > 1 {
			w.t.Errorf("%s: %d messages, %d executions", p.Intent, p.Messages, p.Executions)
		}
	}
}

func (w *world) cases(b *bank) (kinds []string) {
	for _, c := range must(b.journal.Cases(context.Background(), true, 0)) {
		kinds = append(kinds, c.Kind)
	}
	return kinds
}
