package railsim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var banksOf = map[string]struct {
	banks            [3]payments.AgentID // debtor's, creditor's, one that the rail plays
	debtor, creditor string
	yes, creditorYes string
	told             string // the rail's word to the creditor's bank
	timeout          string
}{
	"fednow":  {[3]payments.AgentID{"021040078", "091000019", "121000248"}, "123456789012", "987654321000", "ACSC", "ACTC", "ACSC", "AB05"},
	"sctinst": {[3]payments.AgentID{"PAYRDEF0XXX", "SHOPFRP0", "SIMBNLA0"}, "DE89370400440532013000", "FR1420041010050500013M02606", "ACCP", "ACCP", "ACSC", "AB05"},
	"rtp":     {[3]payments.AgentID{"021040078", "091000019", "121000248"}, "123456789012", "987654321000", "ACTC", "ACTC", "ACSC", "DS24"},
	"pix":     {[3]payments.AgentID{"99999010", "20000000", "30000000"}, "12345678909P500000", "11222333000181C600000A4000", "ACSC", "ACSP", "ACCC", "AB03"},
}

func testConfig(name string) Config {
	r := banksOf[name]
	return Config{
		Rail: name, MagicAmounts: true, AuditToken: "audit-token",
		Participants: []Participant{
			{ID: r.banks[0], Token: "token-of-debtor", Prefunded: "10000.00"},
			{ID: r.banks[1], Token: "token-of-creditor", Prefunded: "500.00"},
			{ID: r.banks[2], Simulated: true, AnswerAfter: time.Second},
		},
	}
}

// bench is a rail with two banks at it.
type bench struct {
	t                *testing.T
	name             string
	sim              *Sim
	p                *rail.Profile
	debtor, creditor rail.Transport
	n                int
}

func newBench(t *testing.T, name string, change func(*Config)) *bench {
	t.Helper()
	cfg := testConfig(name)
	if change != nil {
		change(&cfg)
	}
	sim, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	b := &bench{t: t, name: name, sim: sim, p: sim.Profile()}
	b.debtor = must(sim.Transport(banksOf[name].banks[0]))
	b.creditor = must(sim.Transport(banksOf[name].banks[1]))
	return b
}

// transfer makes the n-th payment of the test, of that many minor units.
func (b *bench) transfer(minor int64, change func(*rail.TransferInput)) *rail.Message {
	b.t.Helper()
	r := banksOf[b.name]
	b.n++
	intent := payments.IntentID(fmt.Sprintf("pi_019ab3c0-1111-7222-8333-%012d", b.n))
	in := rail.TransferInput{
		UETR: payments.NewUETR(intent, "test"), EndToEndID: intent.EndToEndID(),
		Amount:      payments.Amount{Minor: minor, Currency: b.p.Currency},
		Debtor:      iso20022.Party{Name: must(payments.ParseName("Example Payer")), Account: must(payments.ParseAccount(r.debtor)), Agent: b.p.Agent(r.banks[0])},
		Creditor:    iso20022.Party{Name: must(payments.ParseName("Example Coffee")), Account: must(payments.ParseAccount(r.creditor)), Agent: b.p.Agent(r.banks[1])},
		Participant: r.banks[0], Suffix: fmt.Sprintf("T%d", b.n), Now: time.Now(),
	}
	if change != nil {
		change(&in)
	}
	return must(b.p.NewTransfer(in))
}

func (b *bench) send(tr rail.Transport, m *rail.Message) error {
	b.t.Helper()
	return tr.Send(b.t.Context(), must(b.p.Encode(m)))
}

func (b *bench) mustSend(tr rail.Transport, m *rail.Message) {
	b.t.Helper()
	if err := b.send(tr, m); err != nil {
		b.t.Fatal(err)
	}
}

// got is one received message.
type got struct {
	after time.Duration // since the collector started
	m     *rail.Message
	err   error
	wire  []byte
}

// what says a message in a word: a status with its reason and sender, or a rule it breaks.
func (g got) what(p *rail.Profile) string {
	switch {
	case g.err != nil:
		return rail.Faults(g.err)[0].Rule
	case g.m.Status != nil:
		m := p.Meaning(p.Sender(g.m), g.m.Status)
		return strings.TrimSpace(m.Status + " " + m.Reason)
	default:
		return g.m.MsgDef()[:8]
	}
}

// collect receives at a transport until ctx ends, calling handle (unless nil) for each message.
func (b *bench) collect(ctx context.Context, tr rail.Transport, handle func(got)) (all []got) {
	start, after := time.Now(), uint64(0)
	for ctx.Err() == nil {
		ds, err := tr.Receive(ctx, after, 10)
		if err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "lost in transit") {
			b.t.Error(err)
		}
		for _, d := range ds {
			after = d.Seq
			g := got{after: time.Since(start), wire: d.Wire}
			g.m, g.err = b.p.Decode(d.Wire, rail.FromService)
			all = append(all, g)
			if handle != nil {
				handle(g)
			}
		}
	}
	return all
}

// answering makes the creditor's bank answer each pacs.008.
func (b *bench) answering(status, reason string, delay time.Duration) func(got) {
	n := 0
	return func(g got) {
		if g.m == nil || g.m.Transfer == nil {
			return
		}
		time.Sleep(delay)
		n++
		m := must(b.p.NewAnswer(g.m, rail.AnswerInput{Participant: banksOf[b.name].banks[1], Status: status, Reason: reason, Suffix: fmt.Sprintf("A%d", n), Now: time.Now()}))
		b.mustSend(b.creditor, m)
	}
}

// run collects on both sides for d while act runs, and returns what each side got.
func (b *bench) run(d time.Duration, handle func(got), act func()) (debtor, creditor []got) {
	ctx, cancel := context.WithTimeout(b.t.Context(), d)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { debtor = b.collect(ctx, b.debtor, nil) })
	wg.Go(func() { creditor = b.collect(ctx, b.creditor, handle) })
	act()
	wg.Wait()
	return debtor, creditor
}

func (b *bench) words(all []got) (out []string) {
	for _, g := range all {
		out = append(out, g.what(b.p))
	}
	return out
}

func (b *bench) positions() string {
	var out []string
	for _, p := range b.sim.Effects("", "").Positions {
		out = append(out, p.Available+"/"+p.Reserved)
	}
	return strings.Join(out, " ")
}

func eachRail(t *testing.T, f func(t *testing.T, name string)) {
	for name := range banksOf {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, name) }) })
	}
}

// Every magic amount does what the table says, on every rail, at its time.
func TestMagicAmounts(t *testing.T) {
	for name, r := range banksOf {
		p := must(rails.Lookup(name))
		T := p.AnswerTimeout
		long, short := T+T/4, T/10
		system := name + ".message.type"
		type row struct {
			magic    string
			debtor   []string
			at       []time.Duration
			creditor []string
			moved    int64 // from debtor to creditor in the end
			execs    int
		}
		returned := row{"09", []string{r.yes, system}, []time.Duration{0, short}, []string{"pacs.008", r.told}, 0, 1}
		down := row{"10", []string{system, system}, []time.Duration{0, short}, []string{system, system}, 0, 0}
		switch name {
		case "rtp": // the money comes back as a transfer, which the debtor's bank of this test does not answer
			late := short + p.ServiceTimeout
			returned = row{"09", []string{r.yes, "pacs.008", "RJCT " + r.timeout}, []time.Duration{0, short, late}, []string{"pacs.008", r.told, "RJCT " + r.timeout}, 1, 1}
		case "pix": // no message says that the rail is down
			down.debtor, down.creditor = nil, nil
		}
		for _, c := range []row{
			{"01", []string{r.yes}, []time.Duration{0}, []string{"pacs.008", r.told}, 1, 1},
			{"02", []string{"RJCT AC03"}, []time.Duration{0}, nil, 0, 0},
			{"03", []string{"RJCT AM04"}, []time.Duration{0}, nil, 0, 0},
			{"04", []string{r.yes}, []time.Duration{long}, []string{"pacs.008", r.told}, 1, 1},
			{"05", []string{"RJCT " + r.timeout}, []time.Duration{long}, nil, 0, 0},
			{"06", []string{p.Pending, p.Posted}, []time.Duration{0, short}, []string{"pacs.008", r.told}, 1, 1},
			{"07", []string{r.yes, r.yes}, []time.Duration{0, 0}, []string{"pacs.008", r.told, r.told}, 1, 1},
			{"08", []string{r.yes, "RJCT " + r.timeout}, []time.Duration{0, short}, []string{"pacs.008", r.told}, 1, 1},
			returned,
			down,
			{"00", []string{r.yes}, []time.Duration{0}, []string{"pacs.008", r.told}, 1, 1}, // no magic
		} {
			t.Run(name+"/"+c.magic, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t, name, nil)
					minor := must(payments.ParseAmount("20."+c.magic, b.p.Currency)).Minor
					m := b.transfer(minor, nil)
					d := 3 * time.Minute
					if c.magic == "10" {
						d = T / 2 // soon enough to send again
					}
					debtor, creditor := b.run(d, b.answering(b.p.AnswerYes(), "", 0), func() {
						err := b.send(b.debtor, m)
						var se *rail.SendError
						if down := c.magic == "10"; (err != nil) != down || down && (!errors.As(err, &se) || se.Outcome != payments.OutcomeNotSent) {
							t.Errorf("send: %v", err)
						}
					})
					if got := b.words(debtor); !slices.Equal(got, c.debtor) {
						t.Fatalf("debtor got %q, want %q", got, c.debtor)
					}
					for i, g := range debtor {
						if g.after != c.at[i] {
							t.Errorf("%s after %v, want %v", c.debtor[i], g.after, c.at[i])
						}
					}
					if got := b.words(creditor); !slices.Equal(got, c.creditor) {
						t.Errorf("creditor got %q, want %q", got, c.creditor)
					}
					if c.magic == "07" && string(debtor[0].wire) != string(debtor[1].wire) {
						t.Error("a duplicate is the same bytes")
					}
					amount := func(minor int64) string { return payments.Amount{Minor: minor, Currency: b.p.Currency}.Text() }
					want := fmt.Sprintf("%s/0.00 %s/0.00 0.00/0.00", amount(1000000-minor*c.moved), amount(50000+minor*c.moved))
					if got := b.positions(); got != want {
						t.Errorf("positions %s, want %s", got, want)
					}
					e := b.sim.Effects("", m.Transfer.EndToEndID).Payments
					if c.magic == "10" {
						if len(e) != 0 {
							t.Errorf("a payment not taken left %v", e)
						}
						// Sent again once the rail is up, the same bytes settle.
						debtor, _ = b.run(time.Minute, b.answering(b.p.AnswerYes(), "", 0), func() { b.mustSend(b.debtor, m) })
						if got := b.words(debtor); !slices.Contains(got, r.yes) {
							t.Errorf("after the rail came up: %q", got)
						}
					} else if len(e) != 1 || e[0].Executions != c.execs || e[0].Messages != 1 {
						t.Errorf("effects %+v", e)
					}
				})
			})
		}
	}
}

// The simulated bank answers by itself.
func TestSimulatedBank(t *testing.T) {
	eachRail(t, func(t *testing.T, name string) {
		b := newBench(t, name, nil)
		m := b.transfer(2000, func(in *rail.TransferInput) { in.Creditor.Agent = b.p.Agent(banksOf[name].banks[2]) })
		debtor, _ := b.run(time.Minute, nil, func() { b.mustSend(b.debtor, m) })
		if got := b.words(debtor); !slices.Equal(got, []string{banksOf[name].yes}) || debtor[0].after != time.Second {
			t.Errorf("%q", got)
		}
		if got := b.positions(); got != "9980.00/0.00 500.00/0.00 20.00/0.00" {
			t.Errorf("positions %s", got)
		}
	})
}

// A bank that does not answer in time, or answers late, is refused by the rail, and its late yes changes nothing.
func TestCreditorTimeout(t *testing.T) {
	eachRail(t, func(t *testing.T, name string) {
		b := newBench(t, name, nil)
		debtor, creditor := b.run(time.Minute, b.answering(b.p.AnswerYes(), "", b.p.ServiceTimeout+time.Second), func() {
			b.mustSend(b.debtor, b.transfer(2000, nil))
			if got := b.positions(); got != "9980.00/20.00 500.00/0.00 0.00/0.00" {
				t.Errorf("positions while open %s", got)
			}
		})
		if got := b.words(debtor); !slices.Equal(got, []string{"RJCT " + banksOf[name].timeout}) || debtor[0].after != b.p.ServiceTimeout {
			t.Errorf("debtor %q", got)
		}
		// The refusal, then the answer to the late yes, which is the same refusal.
		if got := b.words(creditor); !slices.Equal(got, []string{"pacs.008", "RJCT " + banksOf[name].timeout, "RJCT " + banksOf[name].timeout}) {
			t.Errorf("creditor %q", got)
		}
		if got := b.positions(); got != "10000.00/0.00 500.00/0.00 0.00/0.00" {
			t.Errorf("positions %s", got)
		}
	})
}

func TestCreditorRefuses(t *testing.T) {
	eachRail(t, func(t *testing.T, name string) {
		b := newBench(t, name, nil)
		debtor, creditor := b.run(time.Minute, b.answering("RJCT", "AC04", time.Second), func() { b.mustSend(b.debtor, b.transfer(2000, nil)) })
		if got := b.words(debtor); !slices.Equal(got, []string{"RJCT AC04"}) || (b.p.Sender(debtor[0].m) == rail.Service) != (name == "pix") {
			t.Errorf("debtor %q", got)
		}
		if got := b.words(creditor); !slices.Equal(got, []string{"pacs.008"}) {
			t.Errorf("creditor %q", got)
		}
		if got := b.positions(); got != "10000.00/0.00 500.00/0.00 0.00/0.00" {
			t.Errorf("positions %s", got)
		}
	})
}

func TestNoFunds(t *testing.T) {
	eachRail(t, func(t *testing.T, name string) {
		b := newBench(t, name, nil)
		debtor, creditor := b.run(time.Minute, b.answering(b.p.AnswerYes(), "", 0), func() {
			b.mustSend(b.debtor, b.transfer(999999, nil)) // leaves 0.01
			b.mustSend(b.debtor, b.transfer(2000, nil))
		})
		got := b.words(debtor)
		slices.Sort(got)
		want := []string{"RJCT " + b.p.Codes.NoFunds, banksOf[name].yes}
		slices.Sort(want)
		if !slices.Equal(got, want) || len(creditor) != 2 {
			t.Errorf("debtor %q, creditor %q", got, b.words(creditor))
		}
		if got := b.positions(); got != "0.01/0.00 10499.99/0.00 0.00/0.00" {
			t.Errorf("positions %s", got)
		}
	})
}

func TestUnknownCreditorBank(t *testing.T) {
	eachRail(t, func(t *testing.T, name string) {
		b := newBench(t, name, nil)
		other := map[string]payments.AgentID{"fednow": "011000015", "sctinst": "NONEITM0", "rtp": "011000015", "pix": "40000000"}[name]
		debtor, _ := b.run(time.Minute, nil, func() {
			b.mustSend(b.debtor, b.transfer(2000, func(in *rail.TransferInput) { in.Creditor.Agent = b.p.Agent(other) }))
		})
		if got := b.words(debtor); !slices.Equal(got, []string{"RJCT " + b.p.Codes.UnknownAgent}) {
			t.Errorf("debtor %q", got)
		}
	})
}

// The worst rail executes a message as often as it is sent; one that remembers message ids repeats its answer.
func TestSentTwice(t *testing.T) {
	for _, dedup := range []bool{false, true} {
		eachRail(t, func(t *testing.T, name string) {
			b := newBench(t, name, func(c *Config) { c.Deduplicate = dedup })
			m := b.transfer(2000, nil)
			b.run(time.Minute, b.answering(b.p.AnswerYes(), "", time.Second), func() {
				b.mustSend(b.debtor, m)
				b.mustSend(b.debtor, m)
			})
			e := b.sim.Effects("", m.Transfer.EndToEndID).Payments
			want := 2
			if dedup {
				want = 1
			}
			if len(e) != 1 || e[0].Executions != want {
				t.Errorf("deduplicate %v: %+v", dedup, e)
			}
			if dedup && !slices.Equal(e[0].Answers, []string{"PDNG", banksOf[name].yes}) {
				t.Errorf("answers %q", e[0].Answers)
			}
		})
	}
}

// again makes what a bank sends when no answer came: a question, or the marked duplicate.
func (b *bench) again(m *rail.Message) *rail.Message {
	if b.p.Recovery == rail.ResendMarked {
		return must(b.p.Duplicate(m))
	}
	return must(b.p.NewEnquiry(m.Transfer, m.Header.From, time.Now(), "E1"))
}

// A question, or a marked duplicate, gives the answer again and executes nothing twice; what was lost is denied, or executed for the
// first time.
func TestEnquiry(t *testing.T) {
	eachRail(t, func(t *testing.T, name string) {
		if must(rails.Lookup(name)).Recovery == rail.Wait {
			return
		}
		lost := []string{"RJCT AG09"}
		if name == "rtp" {
			lost = []string{banksOf[name].yes}
		}
		for _, c := range []struct {
			rule Action
			want []string // answers to an enquiry at the deadline
		}{
			{Action{Do: "settle"}, []string{banksOf[name].yes, banksOf[name].yes}},
			{Action{Do: "reject", Code: "AC06"}, []string{"RJCT AC06", "RJCT AC06"}},
			{Action{Do: "late", Delay: time.Hour}, []string{banksOf[name].yes}},
			{Action{Do: "silence", Delay: -1}, nil},
			{Action{Do: "silence", Delay: -1, Then: "reject"}, nil},
			{Action{Do: "lose"}, lost},
			{Action{Do: "contradict"}, []string{banksOf[name].yes, "RJCT " + banksOf[name].timeout, banksOf[name].yes}},
			{Action{Do: "unknown"}, []string{"RJCT ZZ99", "RJCT ZZ99"}},
			{Action{Do: "huge", On: onAnswer}, []string{name + ".message.size", banksOf[name].yes, banksOf[name].yes}},
			{Action{Do: "skew"}, []string{banksOf[name].yes, banksOf[name].yes}},
			{Action{Do: "amount"}, []string{banksOf[name].yes, banksOf[name].yes}},
			{Action{Do: "garbled"}, []string{junkRule, banksOf[name].yes, banksOf[name].yes}},
		} {
			b := newBench(t, name, func(cfg *Config) { cfg.Rules = []Rule{{Action: c.rule, Times: 1}} })
			var m *rail.Message
			debtor, _ := b.run(b.p.AnswerTimeout+time.Minute, b.answering(b.p.AnswerYes(), "", 0), func() {
				m = b.transfer(2000, nil)
				b.mustSend(b.debtor, m)
				time.Sleep(b.p.AnswerTimeout)
				b.mustSend(b.debtor, b.again(m))
			})
			if e := b.sim.Effects("", m.Transfer.EndToEndID).Payments; len(e) != 1 || e[0].Executions > 1 {
				t.Errorf("%+v: %+v", c.rule, e)
			}
			got := b.words(debtor)
			for i := range got {
				if strings.HasPrefix(got[i], "xml.") {
					got[i] = junkRule
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%+v: %q, want %q", c.rule, got, c.want)
			}
			switch first := debtor[0:min(1, len(debtor))]; {
			case c.rule.Do == "amount" && first[0].m.Status.OriginalAmount.Minor != 2001:
				t.Errorf("the amount is right: %v", first[0].m.Status.OriginalAmount)
			case c.rule.Do == "skew" && time.Until(first[0].m.Status.Created) < 50*time.Minute:
				t.Errorf("the clock is right: %v", first[0].m.Status.Created)
			}
			for _, g := range debtor {
				if g.m != nil && g.m.Status != nil && g.what(b.p) == "RJCT AG09" && b.p.Meaning(b.p.Sender(g.m), g.m.Status).Kind != rail.NotFound {
					t.Error("no record is not a refusal")
				}
			}
		}
	})
}

// A rail that is not asked refuses the question at the door.
func TestNotAsked(t *testing.T) {
	eachRail(t, func(t *testing.T, name string) {
		if name != "rtp" { // on Pix there is no such message at all
			return
		}
		b := newBench(t, name, nil)
		x := b.transfer(2000, nil).Transfer
		id := must(b.p.MessageID(x.Instructing.ID, time.Now(), "E1"))
		r := &iso20022.StatusRequest{GroupLevel: true, MessageID: id, Created: x.Created, OriginalMessageID: x.MessageID, OriginalMsgName: rail.MsgTransfer,
			OriginalCreated: x.Created, Instructing: x.Instructing, Instructed: b.p.Agent(b.p.Service)}
		err := b.send(b.debtor, &rail.Message{Header: b.p.NewHeader(x.Instructing.ID, b.p.Service, rail.MsgRequest, id, x.Created), Request: r})
		var se *rail.SendError
		if !errors.As(err, &se) || se.Faults[0].Rule != "rtp.message.type" {
			t.Errorf("%v", err)
		}
	})
}

func TestEnquiryUnknown(t *testing.T) {
	eachRail(t, func(t *testing.T, name string) {
		if must(rails.Lookup(name)).Recovery != rail.Ask {
			return
		}
		b := newBench(t, name, nil)
		m := b.transfer(2000, nil) // never sent
		time.Sleep(b.p.AnswerTimeout)
		debtor, _ := b.run(time.Second, nil, func() {
			b.mustSend(b.debtor, must(b.p.NewEnquiry(m.Transfer, banksOf[name].banks[0], time.Now(), "E1")))
		})
		if len(debtor) != 1 || debtor[0].m.Status.OriginalMessageID != m.Transfer.MessageID || b.p.Meaning(b.p.Sender(debtor[0].m), debtor[0].m.Status).Kind != rail.NotFound {
			t.Errorf("%q", b.words(debtor))
		}
	})
}

// Another bank's payments are not to be asked after or answered for.
func TestForeignPayment(t *testing.T) {
	eachRail(t, func(t *testing.T, name string) {
		b := newBench(t, name, nil)
		m := b.transfer(2000, nil)
		b.mustSend(b.debtor, m)
		before := b.positions()
		answer := must(b.p.NewAnswer(m, rail.AnswerInput{Participant: banksOf[name].banks[0], Status: b.p.AnswerYes(), Suffix: "A1", Now: time.Now()}))
		var se *rail.SendError
		if err := b.send(b.debtor, answer); !errors.As(err, &se) || se.Outcome != payments.OutcomeRefused || se.Faults[0].Rule != name+".original.unknown" {
			t.Errorf("the debtor's bank answers itself: %v", err)
		}
		answer = must(b.p.NewAnswer(m, rail.AnswerInput{Participant: banksOf[name].banks[1], Status: b.p.AnswerYes(), Suffix: "A1", Now: time.Now()}))
		if err := b.send(b.debtor, answer); !errors.As(err, &se) || se.Faults[0].Rule != name+".sender.header" {
			t.Errorf("in another's name: %v", err)
		}
		if b.positions() != before {
			t.Error("the positions changed")
		}
		if b.p.Recovery != rail.Ask {
			return
		}
		time.Sleep(b.p.AnswerTimeout)
		_, creditor := b.run(time.Second, nil, func() {
			b.mustSend(b.creditor, must(b.p.NewEnquiry(m.Transfer, banksOf[name].banks[1], time.Now(), "E1")))
		})
		if got := b.words(creditor); got[len(got)-1] != "RJCT AG09" {
			t.Errorf("the creditor's bank learns the status of what it did not send: %q", got)
		}
	})
}
