package railsim

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

// Each of the 21 faults, by its magic amount, on each rail, with the real transport over TLS: the sender knows what it may know, hears
// what there is to hear in the end, and the money moves once or not at all.
func TestFaultsOnTheWire(t *testing.T) {
	for n, name := range rails.Names() {
		for i, f := range Faults {
			if testing.Short() && i%4 != n {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d %s", name, i+1, f.Actions[0]), func(t *testing.T) {
				t.Parallel()
				faultOnTheWire(t, name, 11+i, f.Actions[0])
			})
		}
	}
}

// junkRule is the fault of a message that is no XML.
var junkRule = func() string {
	_, err := profileOf("fednow").Decode([]byte(textJunk), rail.FromService)
	return rail.Faults(err)[0].Rule
}()

func faultOnTheWire(t *testing.T, name string, magic int, do string) {
	certs := t.TempDir()
	b := newBench(t, name, func(c *Config) {
		c.AnswerTimeout, c.TLSDir = 2*time.Second, certs
		c.Participants[2].AnswerAfter = 20 * time.Millisecond
		c.Rules = []Rule{{Match: Match{MinorUnits: "24"}, Action: Action{Do: "tls", Delay: 3 * time.Second}}} // long enough to look
	})
	ln := must(net.Listen("tcp", "127.0.0.1:0"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.sim.Serve(ctx, ln, nil, 0) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(must(os.ReadFile(filepath.Join(certs, authorityFile))))
	dial := func() rail.Transport {
		return must(rail.DialHTTP(rail.HTTPConfig{BaseURL: "https://" + ln.Addr().String(), Participant: string(banksOf[name].banks[0]), Token: "token-of-debtor",
			RootCAs: pool, SendTimeout: 700 * time.Millisecond, Wait: 300 * time.Millisecond}))
	}
	tr, yes := dial(), banksOf[name].yes

	outcome, sentTwice := payments.Outcome(255), false // taken
	want, executions := []string{yes}, 1
	switch do {
	case "html", "ok", "error", "hang", "reset", "slow":
		outcome = payments.OutcomeUnknown
	case "huge":
		outcome, want = payments.OutcomeUnknown, []string{name + ".message.size", yes}
	case "throttle":
		outcome, sentTwice = payments.OutcomeNotSent, true
	case "duplicate", "stray":
		want = []string{yes, yes}
	case "contradict":
		want = []string{yes, "RJCT " + banksOf[name].timeout}
	case "unknown":
		want, executions = []string{"RJCT ZZ99"}, 0
	case "garbled":
		want = []string{junkRule, yes}
	case "amount":
		if name == "pix" {
			want = []string{"pix.structure"}
		}
	case "planned":
		if down := name + ".message.type"; name != "pix" {
			want = []string{down, yes, down}
		}
	}

	// The receiver, as a connector has one: it goes on after every error, and acknowledges what it has.
	type heard struct {
		word string
		m    *rail.Message
		seq  uint64
		at   time.Time
	}
	words, failures := make(chan heard, 100), make(chan error, 1000)
	go func() {
		after := uint64(0)
		for ctx.Err() == nil {
			ds, err := tr.Receive(ctx, after, 10)
			if err != nil {
				failures <- err
				time.Sleep(20 * time.Millisecond)
			}
			for _, d := range ds {
				if limit := b.p.SizeMaxBytes + 1; len(d.Wire) > limit {
					t.Errorf("a message of %d bytes is kept whole", len(d.Wire))
				}
				g := got{wire: d.Wire}
				g.m, g.err = b.p.Decode(d.Wire, rail.FromService)
				words <- heard{g.what(b.p), g.m, d.Seq, time.Now()}
				after = d.Seq
			}
		}
	}()
	time.Sleep(30 * time.Millisecond) // it waits at the rail
	m := b.transfer(int64(2000+magic), func(in *rail.TransferInput) { in.Creditor.Agent = b.p.Agent(banksOf[name].banks[2]) })
	wire, start := must(b.p.Encode(m)), time.Now()
	err := tr.Send(ctx, wire)
	returned := time.Now()
	var se *rail.SendError
	if outcome == 255 && err != nil || outcome != 255 && (!errors.As(err, &se) || se.Outcome != outcome) {
		t.Fatalf("send: %v", err)
	}
	if took := returned.Sub(start); took > 2*time.Second {
		t.Errorf("send takes %v", took)
	}
	if do == "tls" {
		var se *rail.SendError
		if err := dial().Send(ctx, wire); !errors.As(err, &se) || se.Outcome != payments.OutcomeNotSent || !errors.As(err, new(x509.UnknownAuthorityError)) {
			t.Errorf("another authority's certificate: %v", err)
		}
	}
	if sentTwice {
		if err := tr.Send(ctx, wire); err != nil {
			t.Fatalf("sent again: %v", err)
		}
	}
	var all []heard
	for range want {
		select {
		case h := <-words:
			all = append(all, h)
		case <-time.After(15 * time.Second):
			t.Fatalf("heard only %v, want %q", all, want)
		}
	}
	var got []string
	for _, h := range all {
		got = append(got, h.word)
	}
	if !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
	failed := 0
	for len(failures) > 0 {
		<-failures
		failed++
	}
	if bad := slices.Contains([]string{"html", "ok", "error", "hang", "reset", "slow", "tls"}, do); bad && failed == 0 {
		t.Error("no poll failed")
	} else if !bad && failed > 0 {
		t.Errorf("%d polls failed", failed)
	}
	switch last := all[len(all)-1]; do {
	case "late", "silence":
		if after := last.at.Sub(start); after < 2500*time.Millisecond {
			t.Errorf("after %v", after)
		}
	case "early":
		if !last.at.Before(returned) {
			t.Error("the write returned before the answer")
		}
	case "skew":
		if off := last.m.Status.Created.Sub(start); off < 55*time.Minute {
			t.Errorf("clock off by %v", off)
		}
	case "gap":
		if last.seq < b.sim.core.members[2].lastSeq+gapNumbers/2 {
			t.Errorf("no gap before %d", last.seq)
		}
	case "amount":
		if name != "pix" && last.m.Status.OriginalAmount == m.Transfer.Amount {
			t.Error("the right amount")
		}
	}
	b.sim.mu.Lock()
	err = b.sim.core.check()
	b.sim.mu.Unlock()
	if err != nil {
		t.Error(err)
	}
	if e := b.sim.Effects("", m.Transfer.EndToEndID).Payments; len(e) != 1 || e[0].Executions != executions || e[0].Messages != 1 {
		t.Errorf("%+v", e)
	}
}

// All 210 pairs on each rail, in one rule and in two that match: what cannot be together is refused by name, and of two rules the first
// keeps its action; everything else has one result, in which the money moves at most once, no word about it contradicts the truth
// before the rail contradicts itself, and what is not the rail's word about this payment says nothing.
func TestPairsOfFaults(t *testing.T) {
	for name := range banksOf {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certs, refused := t.TempDir(), 0
			for i := range Faults {
				for j := range i {
					seed := rand.New(rand.NewPCG(uint64(i), uint64(j)))
					a, c := Action{Do: Faults[i].Actions[0]}, Action{Do: Faults[j].Actions[0]}
					if seed.IntN(2) == 0 {
						a, c = c, a
					}
					delay := time.Duration(seed.IntN(3000)) * time.Millisecond // of the bank that answers
					play := func(rules []Rule) (string, error) {
						cfg := testConfig(name)
						cfg.Rules, cfg.Participants[2].AnswerAfter = rules, delay
						if a.Do == "tls" || c.Do == "tls" {
							cfg.TLSDir = certs
						}
						if err := cfg.Validate(); err != nil {
							return "", err
						}
						return playPair(t, name, cfg), nil
					}
					one, err := play([]Rule{{Actions: []Action{a, c}}})
					two, err2 := play([]Rule{{Action: a, Continue: true}, {Action: c}})
					if err2 != nil {
						t.Fatal(err2)
					}
					if x := conflict(a.defaults(profileOf(name)), c.defaults(profileOf(name))); x != nil {
						refused++
						if err == nil || !strings.Contains(err.Error(), "rules[0].actions[1]: "+x.Name+": "+a.Do+" and "+c.Do) {
							t.Errorf("%s and %s: %v", a.Do, c.Do, err)
						}
						one, err = play([]Rule{{Action: a}})
					}
					if err != nil || one != two {
						t.Errorf("%s and %s: %v\n%s\n%s", a.Do, c.Do, err, one, two)
					}
				}
			}
			if refused != 11 {
				t.Errorf("%d pairs are refused", refused)
			}
		})
	}
}

func profileOf(name string) *rail.Profile {
	cfg := testConfig(name)
	return must(cfg.resolve()).profile
}

// playPair plays one payment under cfg, as a participant that asks when its rail wants that, and returns what happened in words.
func playPair(t *testing.T, name string, cfg Config) string {
	t.Helper()
	clock := &manual{now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	cfg.Clock = clock
	b := newBench(t, name, func(c *Config) { *c = cfg })
	defer b.sim.Close()
	m := b.transfer(2000, func(in *rail.TransferInput) {
		in.Now, in.Creditor.Agent = clock.Now(), b.p.Agent(banksOf[name].banks[2])
	})
	var log strings.Builder
	money, after, contradictions := rail.MoneyUnknown, uint64(0), 0
	hear := func() {
		for {
			b2, _ := b.sim.core.take(0, after, 10)
			if len(b2.deliveries) == 0 {
				return
			}
			if b2.how.content != contentRail || b2.how.carriage != carryWell {
				continue // lost in transit
			}
			for _, d := range b2.deliveries {
				after = d.Seq
				g := got{wire: d.Wire}
				if g.m, g.err = b.p.Decode(d.Wire, rail.FromService); g.err != nil || g.m.Status == nil {
					fmt.Fprintf(&log, "%v %s; ", clock.Now().Format("04:05"), g.what(b.p))
					continue
				}
				s := g.m.Status
				fmt.Fprintf(&log, "%v %s; ", clock.Now().Format("04:05"), g.what(b.p))
				if s.OriginalEndToEnd != m.Transfer.EndToEndID || s.OriginalAmount != (payments.Amount{}) && s.OriginalAmount != m.Transfer.Amount {
					continue // not about this payment
				}
				kind := b.p.Meaning(b.p.Sender(g.m), s).Kind
				if !kind.Final() {
					continue
				}
				next, ok := money.After(kind)
				if !ok {
					contradictions++
					continue
				}
				money = next
			}
		}
	}
	send := func(m *rail.Message) bool {
		r := b.sim.submit(0, must(b.p.Encode(m)))
		if r.err != nil && !errors.Is(r.err, errNotTaken) && !errors.Is(r.err, errThrottled) {
			t.Fatal(r.err)
		}
		fmt.Fprintf(&log, "sent %v %+v; ", r.err, r.how)
		return r.err == nil
	}
	for tries := 0; !send(m); tries++ {
		if tries == 3 {
			t.Fatal("never taken")
		}
		hear()
		clock.Advance(b.p.AnswerTimeout / 8)
	}
	for step := range 60 {
		hear()
		clock.Advance(b.p.AnswerTimeout / 8)
		if step == 8 && b.p.Recovery != rail.Wait && money == rail.MoneyUnknown {
			if b.p.Recovery == rail.ResendMarked {
				send(must(b.p.Duplicate(m)))
			} else {
				send(must(b.p.NewEnquiry(m.Transfer, m.Header.From, clock.Now(), "E1")))
			}
		}
	}
	hear()
	if err := b.sim.core.check(); err != nil {
		t.Error(err)
	}
	e := b.sim.Effects("", m.Transfer.EndToEndID).Payments
	if len(e) != 1 || e[0].Executions > 1 {
		t.Fatalf("%+v", e)
	}
	moved := e[0].Executions == 1
	if settled := money == rail.MoneySettled || money == rail.MoneyCredited; money != rail.MoneyUnknown && settled != moved {
		t.Errorf("%+v: moved %v, told %v: %s", cfg.Rules, moved, money, &log)
	}
	contradicts := slices.ContainsFunc(cfg.Rules, func(r Rule) bool {
		return slices.ContainsFunc(append(r.Actions, r.Action), func(a Action) bool { return a.Do == "contradict" })
	})
	if contradictions > 0 && !contradicts {
		t.Errorf("%+v: %d contradictions: %s", cfg.Rules, contradictions, &log)
	}
	fmt.Fprintf(&log, "%v moved %v", money, moved)
	return log.String()
}

// What a rule is for: exclusion, counting, a share that depends on nothing but the seed and the payment, several rules.
func TestRuleMatching(t *testing.T) {
	of := func(rules string, n int, minor int64) (hit []int) {
		b := newBench(t, "sctinst", func(c *Config) { c.MagicAmounts = false })
		if err := b.sim.SetRules([]byte(rules)); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if p := b.sim.core.choose(kindTransfer, b.transfer(minor+int64(i), nil).Transfer); p.has("late") {
				hit = append(hit, i)
			}
		}
		return hit
	}
	for rules, want := range map[string][]int{
		`rules: [{match: {nth: 3}, action: {do: late}}]`:                                                                       {2},
		`rules: [{match: {every: 3}, action: {do: late}}]`:                                                                     {2, 5, 8},
		`rules: [{match: {amount_min: "10.04"}, not: {amount: "10.06"}, action: {do: late}}]`:                                  {4, 5, 7, 8, 9},
		`rules: [{match: {agent: SHOPFRP0}, not: {creditor: SHOPFRP0, minor_units: "01"}, action: {do: late}, times: 3}]`:      {0, 2, 3},
		`rules: [{match: {agent: SIMBNLA0}, action: {do: late}}]`:                                                              nil,
		`rules: [{action: {do: gap}, continue: true}, {match: {minor_units: "05"}, action: {do: late}}]`:                       {5},
		`rules: [{action: {do: gap}}, {action: {do: late}}]`:                                                                   nil,
		`{"rules": [{"match": {"share": "0%"}, "action": {"do": "late"}}]}`:                                                    nil,
		`rules: [{match: {message: pacs.028}, action: {do: late}}]`:                                                            nil,
		`rules: [{match: {every: 2}, action: {do: settle}}, {match: {amount_max: "10.03"}, actions: [{do: gap}, {do: late}]}]`: {0, 2},
	} {
		if got := of(rules, 10, 1000); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", rules, got, want)
		}
	}
	const share = `rules: [{match: {share: "25%%", seed: %d}, action: {do: late}}]`
	one, again, other := of(fmt.Sprintf(share, 1), 400, 1000), of(fmt.Sprintf(share, 1), 400, 1000), of(fmt.Sprintf(share, 2), 400, 1000)
	if !slices.Equal(one, again) || slices.Equal(one, other) || len(one) < 70 || len(one) > 130 {
		t.Errorf("a quarter of 400: %d, %d, %d", len(one), len(again), len(other))
	}
}

func TestSetRulesRefuses(t *testing.T) {
	b := newBench(t, "sctinst", nil)
	srv := httptestServer(t, b)
	put := func(token, body string) (int, string) {
		req := must(http.NewRequest("PUT", srv+"/v1/rules", strings.NewReader(body)))
		req.Header.Set("Authorization", "Bearer "+token)
		resp := must(http.DefaultClient.Do(req))
		defer resp.Body.Close()
		text := make([]byte, 4096)
		n, _ := resp.Body.Read(text)
		return resp.StatusCode, string(text[:n])
	}
	if status, text := put("audit-token", "rules: [{action: {do: gap}}]"); status != 204 {
		t.Fatal(status, text)
	}
	if status, _ := put("token-of-debtor", "rules: []"); status != 401 {
		t.Error(status)
	}
	for body, want := range map[string]string{
		"": "rules: is required", "rules: 7": "must be a list", "rules: [{actoin: {}}]": "unknown key", "rules: [&a {}, *a]": "anchor",
		"rules: [{action: {do: explode}}]":                                                "rules[0].action: do: no action",
		"rules: [{action: {do: tls}}]":                                                    "tls needs tls_dir",
		"rules: [{actions: [{do: html}, {do: ok}]}]":                                      "conflict.content: html and ok",
		"rules: [{actions: [{do: late}, {do: late}]}]":                                    "conflict.twice",
		"rules: [{actions: [{do: silence, delay: -1s}, {do: duplicate}]}]":                "conflict.endless",
		"rules: [{actions: []}]":                                                          "at least one",
		"rules: [{action: {do: late}, actions: [{do: gap}]}]":                             "not beside action",
		"rules: [{match: {share: 5}}]":                                                    "share",
		"rules: [{match: {share: '100.1%'}}]":                                             "share",
		"rules: [{match: {nth: 1, every: 1}}]":                                            "not both",
		"rules: [{not: {nth: 1}}]":                                                        "rules[0].not",
		"rules: [{match: {message: pacs.004}}]":                                           "message:",
		"rules: [{match: {message: pacs.002}, action: {do: late}}]":                       "not for pacs.002",
		"rules: [{action: {do: gap, on: send}}]":                                          "on: only for",
		"rules: [{action: {do: gap, delay: -1s}}]":                                        "delay: below zero",
		"rules: [{action: {do: late, delay: 9000h}}]":                                     "no time may be above",
		"rules: [" + strings.Repeat("{},", 1001) + "]":                                    "more than 1000",
		"rules: [" + strings.Repeat("{name: '"+strings.Repeat("x", 60)+"'},", 1000) + "]": "", // over 64 KiB
	} {
		if status, text := put("audit-token", body); status != 422 || !strings.Contains(text, want) {
			t.Errorf("%.60s: %d %.300s", body, status, text)
		}
	}
	if p := b.sim.core.choose(kindTransfer, b.transfer(1000, nil).Transfer); !p.has("gap") {
		t.Error("a refused change changed the rules")
	}
	// On different messages in transit two contents go together.
	if err := b.sim.SetRules([]byte("rules: [{actions: [{do: html, on: send}, {do: ok, on: answer}, {do: hang, on: answer}]}]")); err == nil || !strings.Contains(err.Error(), "conflict.hang: ok and hang") || strings.Contains(err.Error(), "html") {
		t.Error(err)
	}
}

func httptestServer(t *testing.T, b *bench) string {
	ln := must(net.Listen("tcp", "127.0.0.1:0"))
	srv := &http.Server{Handler: b.sim.Handler()}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return "http://" + ln.Addr().String()
}

// Rules that somebody posts are refused or taken, and what is taken can be played.
func FuzzRules(f *testing.F) {
	f.Add([]byte(`rules: [{match: {share: "2.5%", seed: 7}, not: {agent: SHOPFRP0}, actions: [{do: late, delay: 3s}, {do: gap}], continue: true}]`))
	f.Add([]byte(`{"rules": [{"match": {"message": "pacs.028", "nth": 2}, "action": {"do": "throttle"}, "times": 1}]}`))
	f.Add([]byte("rules:\n  - action: {do: silence, delay: -1s}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b := newBench(t, "sctinst", nil)
		if b.sim.SetRules(text) != nil {
			return
		}
		m := b.transfer(1100, func(in *rail.TransferInput) { in.Creditor.Agent = b.p.Agent(banksOf["sctinst"].banks[2]) })
		b.sim.submit(0, must(b.p.Encode(m)))
		b.sim.mu.Lock()
		defer b.sim.mu.Unlock()
		b.sim.core.advance(time.Now().Add(time.Hour))
		if err := b.sim.core.check(); err != nil {
			t.Error(err)
		}
	})
}
