// Package crash holds no code: its tests run relay and connectors as real processes, kill them at random moments while people pay, and
// look for what was lost, done twice or written down where it must not be.
package crash

import (
	"bytes"
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/node"
	"github.com/parleypay/parley/internal/platform"
	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/sdk"
)

// kills is how many times something is killed: a few in every test run, PARLEY_KILLS of them on demand.
func kills(t *testing.T) int {
	s := os.Getenv("PARLEY_KILLS")
	if s == "" {
		return 5
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestKill: after any number of kills of relay and connectors nothing that was acknowledged is lost, no payment is made twice, and what
// everybody was told is what the rail did.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("kills real processes for some seconds")
	}
	w := newWorld(t, 4)
	stop := make(chan struct{})
	var paying sync.WaitGroup
	var begun atomic.Int64
	for _, p := range w.payers {
		paying.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				begun.Add(1)
				w.pay(p, n)
			}
		})
	}
	n := kills(t)
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("PARLEY_KILL_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal("PARLEY_KILL_SEED: ", err)
		}
	}
	t.Logf("PARLEY_KILL_SEED=%d chooses the same moments and victims; what they hit is still up to the machine", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range n {
		time.Sleep(time.Duration(20+random.IntN(400)) * time.Millisecond)
		part := w.parts[random.IntN(len(w.parts))]
		part.Kill()
		w.sink(trace.Event{T: time.Now(), Actor: part.name, Event: "killed"})
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
		if err := part.start(w.ctx); err != nil {
			t.Fatalf("kill %d: %s does not start again: %v", i+1, part.name, err)
		}
	}
	close(stop)
	paying.Wait()
	if t.Failed() {
		return
	}

	metrics := w.metrics()
	effects, err := platform.Effects(w.ctx, w.railURL, w.world.Audit)
	if err != nil {
		t.Fatal(err)
	}
	executions := map[payments.IntentID]int{}
	for _, e := range effects.Payments {
		id, ok := payments.IntentFromEndToEnd(payments.EndToEndID(e.EndToEndID))
		if !ok {
			t.Errorf("the rail executed %q, which nobody asked for", e.EndToEndID)
		}
		executions[id] += e.Executions
	}
	settled, open := 0, 0
	for id, status := range w.outcomes {
		switch {
		case executions[id] > 1:
			t.Errorf("%s was executed %d times", id, executions[id])
		case status == lifecycle.Settled && executions[id] != 1:
			t.Errorf("%s is settled for its payer, the rail executed it %d times", id, executions[id])
		case status.Terminal() && status != lifecycle.Settled && executions[id] != 0:
			t.Errorf("%s is %s for its payer, and the rail executed it", id, status)
		}
		switch {
		case status == lifecycle.Settled:
			settled++
			if !w.credited(id) {
				t.Errorf("%s is settled, and the shop was never told of the credit", id)
			}
		case !status.Terminal():
			open++
		}
		delete(executions, id)
	}
	w.mu.Lock()
	for id, times := range w.credits {
		if times > 1 {
			t.Errorf("the shop was told %d times that %s is credited", times, id)
		}
	}
	w.mu.Unlock()
	for id := range executions {
		if executions[id] > 0 {
			t.Errorf("the rail executed %s, whose payer never heard of an end", id)
		}
	}
	if settled < n/2 {
		t.Errorf("only %d payments settled in a run with %d kills: nothing was tested", settled, n)
	}
	t.Logf("%d kills, %d payments begun, %d ended: %d settled, %d open", n, begun.Load(), len(w.outcomes), settled, open)

	w.close()
	for _, bank := range []string{platform.PayerBank, platform.ShopBank} {
		w.verifyJournal(bank)
	}
	w.searchCanary(metrics)
}

// TestMain lets the test binary be one part, as the parley program would.
func TestMain(m *testing.M) {
	if os.Getenv("PARLEY_CRASH_PART") != "" {
		if err := runPart(os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runPart(part, file string) error {
	ctx, stop := node.UntilSignal(context.Background())
	defer stop()
	ctx, cancel := node.UntilClosed(ctx, os.Stdin)
	defer cancel()
	o := node.JSONLines(os.Stdout)
	o.Log = os.Stderr
	switch part {
	case "relay":
		c, err := node.ReadRelay(file)
		if err != nil {
			return err
		}
		return node.RunRelay(ctx, c, o)
	case "rail":
		c, err := node.ReadRail(file)
		if err != nil {
			return err
		}
		return node.RunRail(ctx, c, o)
	case "connector":
		c, err := node.ReadBank(file)
		if err != nil {
			return err
		}
		return node.RunConnector(ctx, c, o)
	}
	return errors.New("no such part: " + part)
}

// world is a rail, a relay and two banks as processes, and people in this one.
type world struct {
	t       *testing.T
	ctx     context.Context
	dir     string
	world   platform.World
	canary  string
	railURL string
	rail    *part
	parts   []*part // those that are killed
	shop    *sdk.Client
	payers  []*payer
	stop    context.CancelFunc
	running sync.WaitGroup
	once    sync.Once

	mu       sync.Mutex // guards what follows
	outcomes map[payments.IntentID]lifecycle.State
	credits  map[payments.IntentID]int
	events   []trace.Event
}

// sink keeps what the parts and the people report.
func (w *world) sink(e trace.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// story tells what was reported of the latest payment that the actor took part in.
func (w *world) story(actor string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	intent := ""
	for _, e := range w.events {
		if e.Actor == actor && e.Intent != "" {
			intent = e.Intent
		}
	}
	var b strings.Builder
	for _, e := range w.events {
		if e.Intent == intent || strings.HasPrefix(e.Event, "kill") {
			fmt.Fprintf(&b, "%s %-10s %s %s %s\n", e.T.Format("15:04:05.000"), e.Actor, e.Event, e.Status, e.Detail)
		}
	}
	return b.String()
}

type payer struct {
	*sdk.Client
	name  string
	ended chan sdk.Payment
}

func newWorld(t *testing.T, payers int) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, dir: t.TempDir(), canary: "canary-" + cryptorand.Text(), outcomes: map[payments.IntentID]lifecycle.State{}, credits: map[payments.IntentID]int{}}
	var err error
	if w.world, err = platform.NewWorld("fednow", payers); err != nil {
		t.Fatal(err)
	}
	w.world.Temporary, w.world.NoArchive, w.world.Balance, w.world.AnswerTimeout = true, true, "1000000.00", 2*time.Second
	t.Cleanup(w.close)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.world.WriteRail(w.dir))
	t.Setenv("PARLEY_CRASH_PART", "1")
	w.rail = w.newPart(platform.Rail, "rail")
	relay := w.newPart(platform.Relay, "relay")
	must(w.rail.start(ctx))
	must(relay.start(ctx))
	w.railURL = w.rail.Ready.URL
	relay.keepPort("listen: 127.0.0.1:0", relay.Ready.URL)
	must(w.world.WriteBank(w.dir, platform.ShopBank, relay.Ready.URL, w.railURL, ""))
	shopBank := w.newPart(platform.ShopBank, "connector")
	must(shopBank.start(ctx))
	shopBank.keepPort("listen: 127.0.0.1:0", shopBank.Ready.URL)
	must(w.world.WriteBank(w.dir, platform.PayerBank, relay.Ready.URL, w.railURL, shopBank.Ready.URL))
	payerBank := w.newPart(platform.PayerBank, "connector")
	must(payerBank.start(ctx))
	w.parts = []*part{relay, shopBank, payerBank}
	must(w.openPeople(relay.Ready.URL, shopBank.Ready.Contact, payerBank.Ready.Contact))
	return w
}

func (w *world) openPeople(relayURL, shopContact, payerContact string) error {
	run, stop := context.WithCancel(w.ctx)
	w.stop = stop
	open := func(name, contact string) (*sdk.Client, error) {
		bank, err := sdk.ParseBank(contact)
		if err != nil {
			return nil, err
		}
		store := filepath.Join(w.dir, "people", name)
		if err := os.MkdirAll(store, 0o700); err != nil {
			return nil, err
		}
		if err := device.NewKeyFile(filepath.Join(store, "key")); err != nil {
			return nil, err
		}
		return sdk.Open(w.ctx, sdk.Config{Store: store, Key: device.KeyFile(filepath.Join(store, "key")), Relay: relayURL, Name: name, Bank: &bank, Trace: w.sink,
			Log:    slog.New(slog.DiscardHandler),
			Unlock: func(context.Context, sdk.Payment) ([]string, error) { return []string{"swk", "pin"}, nil }})
	}
	var err error
	if w.shop, err = open("shop", shopContact); err != nil {
		return err
	}
	w.shop.OnText(func(ctx context.Context, text sdk.Text) error {
		item, ok := strings.CutPrefix(text.Body, "/buy ")
		if !ok {
			return nil
		}
		_, err := w.shop.RequestPayment(ctx, text.Chat, sdk.Order{Item: item, Amount: payments.Amount{Minor: 450, Currency: w.world.Currency}, Key: text.ID.String()})
		return err
	})
	w.shop.OnPayment(func(_ context.Context, p sdk.Payment) error {
		if p.News == sdk.NewsCredited {
			w.mu.Lock()
			w.credits[p.Intent]++
			w.mu.Unlock()
		}
		return nil
	})
	w.running.Go(func() { w.shop.Run(run) })
	if _, err := w.shop.Enrol(w.ctx, sdk.Payee, w.world.ShopCodes[0]); err != nil {
		return err
	}
	for i, code := range w.world.PayerCodes {
		p := &payer{name: fmt.Sprintf("payer-%d", i), ended: make(chan sdk.Payment, 64)}
		if p.Client, err = open(p.name, payerContact); err != nil {
			return err
		}
		p.OnPayment(func(ctx context.Context, pay sdk.Payment) error {
			switch {
			case pay.Status.Terminal() || pay.Refusal != nil:
				p.ended <- pay
			case pay.News == sdk.NewsRequested:
				check, err := p.Check(ctx, pay.Intent)
				if err != nil {
					return err
				}
				return p.Approve(ctx, pay.Intent, sdk.ApproveOptions{DespiteNoMatch: check.Result == intent.NoMatch})
			}
			return nil
		})
		w.running.Go(func() { p.Run(run) })
		if _, err := p.Enrol(w.ctx, sdk.Payer, code); err != nil {
			return err
		}
		w.payers = append(w.payers, p)
	}
	return nil
}

// pay orders something and waits until its payment has ended, whatever is killed meanwhile.
func (w *world) pay(p *payer, n int) {
	ctx, cancel := context.WithTimeout(w.ctx, 90*time.Second)
	defer cancel()
	chat, err := p.ChatWith(ctx, w.shop.ID())
	if err == nil {
		err = p.SendText(ctx, chat, fmt.Sprintf("/buy %s %d", w.canary, n), sdk.SendOptions{})
	}
	if err != nil {
		w.t.Errorf("%s cannot order: %v", p.name, err)
		return
	}
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case end := <-p.ended:
			w.mu.Lock()
			defer w.mu.Unlock()
			if old, twice := w.outcomes[end.Intent]; twice && old != end.Status && old != lifecycle.Unknown {
				w.t.Errorf("%s ended as %s and as %s", end.Intent, old, end.Status)
			}
			w.outcomes[end.Intent] = end.Status
			return
		case <-look.C:
			// A bank killed between journal and transport cannot know whether the transfer left. It asks three times, "not found" is
			// no refusal, and a person decides: the payment stays unknown, with a case.
			if w.caseOpened(p.name) {
				return
			}
		case <-ctx.Done():
			w.t.Errorf("%s: order %d has not ended after 90 s: lost\n%s", p.name, n, w.story(p.name))
			return
		}
	}
}

// caseOpened reports whether the bank has opened a case for the payer's latest payment, and notes it as this payment's outcome.
func (w *world) caseOpened(actor string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	latest, opened := "", false
	for _, e := range w.events {
		switch {
		case e.Actor == actor && e.Intent != "" && e.Intent != latest:
			latest, opened = e.Intent, false
		case e.Actor == platform.PayerBank && e.Event == "case opened" && e.Intent == latest:
			opened = true
		}
	}
	if opened {
		w.outcomes[payments.IntentID(latest)] = lifecycle.Unknown
	}
	return opened
}

// credited waits for the shop's bank to have told the shop.
func (w *world) credited(id payments.IntentID) bool {
	for range 300 {
		w.mu.Lock()
		ok := w.credits[id] > 0
		w.mu.Unlock()
		if ok {
			return true
		}
		time.Sleep(100 * time.Millisecond)
	}
	return false
}

func (w *world) close() {
	w.once.Do(func() {
		if w.stop != nil {
			w.stop()
			w.running.Wait()
		}
		for _, p := range w.payers {
			p.Close()
		}
		if w.shop != nil {
			w.shop.Close()
		}
		for _, p := range append(w.parts, w.rail) {
			if p != nil {
				if p.Process != nil {
					if err := p.Stop(); err != nil {
						w.t.Error(err)
					}
				}
			}
		}
	})
}

func (w *world) verifyJournal(bank string) {
	files, err := filepath.Glob(filepath.Join(w.dir, bank, "journal*.db"))
	if err != nil || len(files) != 1 {
		w.t.Errorf("%s has %d journals (%v)", bank, len(files), err)
		return
	}
	j, err := journal.OpenSQLite(files[0])
	if err != nil {
		w.t.Error(err)
		return
	}
	defer j.Close()
	if err := j.Verify(context.Background()); err != nil {
		w.t.Errorf("%s: %v", bank, err)
	}
}

// metrics reads the relay's metrics page.
func (w *world) metrics() []byte {
	resp, err := http.Get("http://" + w.parts[0].Ready.Monitor + "/metrics")
	if err != nil {
		w.t.Error(err)
		return nil
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil || len(raw) == 0 {
		w.t.Errorf("the relay's metrics: %d octets, %v", len(raw), err)
	}
	return raw
}

// searchCanary looks for what was said in the chats, and for names and accounts, in everything the relay has: files, log, metrics. The
// same search must find the canary where it has to be, or it proves nothing.
func (w *world) searchCanary(metrics []byte) {
	needles := map[string]string{"the canary": w.canary, "the payer's account": w.world.Payer.Account, "the payee's account": w.world.Shop.Account,
		"a payer's device id": w.payers[0].ID().String(), "the shop's device id": w.shop.ID().String()}
	relay := w.parts[0]
	log := relay.log.Bytes()
	for what, needle := range needles {
		if bytes.Contains(metrics, []byte(needle)) {
			w.t.Errorf("%s is in the relay's metrics", what)
		}
		if bytes.Contains(log, []byte(needle)) {
			w.t.Errorf("%s is in the relay's log", what)
		}
	}
	for hit := range w.search(filepath.Join(w.dir, "relay"), needles) {
		w.t.Errorf("%s is in the relay's file", hit)
	}
	if !w.search(filepath.Join(w.dir, platform.PayerBank), needles)["the payer's account"] {
		w.t.Error("the search does not find the payer's account at the payer's bank, where it must be")
	}
	planted := w.t.TempDir()
	if err := os.WriteFile(filepath.Join(planted, "file"), []byte("x"+w.canary+"y"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if !w.search(planted, needles)["the canary"] {
		w.t.Error("the search does not find a canary that is there")
	}
}

// search returns which needles are in the files below dir.
func (w *world) search(dir string, needles map[string]string) map[string]bool {
	found, files := map[string]bool{}, 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for what, needle := range needles {
			if bytes.Contains(raw, []byte(needle)) {
				found[what] = true
			}
		}
		return nil
	})
	if err != nil || files == 0 {
		w.t.Errorf("searched %d files: %v", files, err)
	}
	return found
}

// part is one process, which can be killed and started again with the same files and port.
type part struct {
	*platform.Process // nil before the first start
	name, kind, file  string
	sink              trace.Sink
	log               lockedBuffer // of all starts
}

func (w *world) newPart(name, kind string) *part {
	return &part{name: name, kind: kind, file: filepath.Join(w.dir, name+".yaml"), sink: w.sink}
}

func (p *part) start(ctx context.Context) error {
	exe, err := os.Executable()
	if err == nil {
		p.Process, err = platform.StartProcess(ctx, p.name, exe, []string{p.kind, p.file}, p.sink, &p.log)
	}
	return err
}

// keepPort writes the port that the first start got into the file.
func (p *part) keepPort(line, address string) {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	raw, err := os.ReadFile(p.file)
	if err == nil {
		at := regexp.MustCompile(regexp.QuoteMeta(line)).FindIndex(raw)
		if at == nil {
			panic(p.file + " has no line " + line)
		}
		key, _, _ := strings.Cut(line, ":")
		fixed := append([]byte{}, raw[:at[0]]...)
		fixed = append(fixed, key+": "+u.Host...)
		err = os.WriteFile(p.file, append(fixed, raw[at[1]:]...), 0o600)
	}
	if err != nil {
		panic(err)
	}
}

type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}
