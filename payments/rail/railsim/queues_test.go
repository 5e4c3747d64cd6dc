package railsim

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/rabbitmq"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/amqp"
)

type agentID = payments.AgentID

// What means nothing over queues is refused by name, with all else that is wrong.
func TestQueuesConfig(t *testing.T) {
	b := newBench(t, "fednow", func(c *Config) {
		c.Rules = []Rule{{Action: Action{Do: "hang"}}, {Action: Action{Do: "late"}}, {Action: Action{Do: "slow"}}}
	})
	q := Queues{Broker: amqp.Broker{URL: "amqp://127.0.0.1:1", User: "rail", Password: "p"}, FromParticipants: "q", Participants: map[agentID]Queue{
		"021040078": {Address: "a", User: "same"}, "091000019": {Address: "b", User: "same"}, "999999999": {Address: "c"}}}
	err := b.sim.ServeQueues(t.Context(), q)
	for _, want := range []string{"rules[0].action: do: hang", "rules[2].action: do: slow", "999999999: not on this rail", "its user is another's"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "rules[1]") {
		t.Error(err)
	}
	if err := newBench(t, "fednow", nil).sim.ServeQueues(t.Context(), Queues{}); err == nil {
		t.Error("nobody to serve, and no fault")
	}
}

// A message of a queue is done once, also by a rail that starts again from its store, and its refusal keeps the id it answers.
func TestQueuedOnce(t *testing.T) {
	store := filepath.Join(t.TempDir(), "rail.db")
	open := func() *bench { return newBench(t, "fednow", func(c *Config) { c.Store = store; c.KeepMax = 3 }) }
	b := open()
	wire := must(b.p.Encode(b.transfer(2000, nil)))
	for range 3 {
		if err := b.sim.submitOnce(0, "id-1", wire).err; err != nil {
			t.Fatal(err)
		}
	}
	if err := b.sim.submitOnce(0, "id-2", []byte("<nothing/>")).err; err == nil {
		t.Error("taken")
	}
	b.sim.Close()
	b = open()
	if err := errors.Join(b.sim.submitOnce(0, "id-1", wire).err, b.sim.submitOnce(0, "id-2", []byte("<nothing/>")).err); err != nil {
		t.Error(err)
	}
	if e := b.sim.Effects("", ""); len(e.Payments) != 1 || e.Payments[0].Messages != 1 {
		t.Errorf("%+v", e.Payments)
	}
	ds := must(b.debtor.Receive(t.Context(), 0, 10))
	if len(ds) != 1 || ds[0].Answers != "id-2" {
		t.Fatalf("%+v", ds)
	}
	m := must(b.p.Decode(ds[0].Wire, rail.FromService))
	if m.Rejection == nil || !strings.HasPrefix(m.Rejection.Reason, "fednow.") && !strings.Contains(m.Rejection.Reason, ".") {
		t.Errorf("%+v", m.Rejection)
	}
	if err := b.sim.submitOnce(0, "id-3", wire).err; err != nil { // another message with the same bytes: the participant sent twice
		t.Error(err)
	}
	if e := b.sim.Effects("", ""); e.Payments[0].Messages != 2 {
		t.Errorf("%d messages after a second one", e.Payments[0].Messages)
	}
	for i := range 5 {
		b.sim.submitOnce(0, "more-"+string(rune('a'+i)), []byte("x"))
	}
	if len(b.sim.core.taken) != 3 {
		t.Errorf("%d ids kept", len(b.sim.core.taken))
	}
}

type rabbit struct{ *rabbitmq.Node }

func (r rabbit) broker(user string) amqp.Broker {
	return amqp.Broker{URL: r.URL(), User: user, Password: r.Password(user), BackoffMax: 200 * time.Millisecond}
}

func (r rabbit) queues(bank string) Queues {
	return Queues{Broker: r.broker("rail"), FromParticipants: rabbitmq.FromBanks, Participants: map[agentID]Queue{agentID(bank): {Address: rabbitmq.ToBankPrefix + bank}}}
}

func (r rabbit) transport(b *bench, bank string, edit func(*amqp.Config)) *amqp.Transport {
	cfg := amqp.Config{Broker: r.broker(bank), Profile: b.p, ToService: rabbitmq.ToRail, FromService: rabbitmq.OfBankPrefix + bank, SendTimeout: 5 * time.Second, Wait: 500 * time.Millisecond}
	if edit != nil {
		edit(&cfg)
	}
	tr := must(amqp.New(cfg))
	b.t.Cleanup(func() { tr.Close() })
	return tr
}

// The whole way over a real broker that is killed, over connections that are cut, with a participant that dies between its journal and
// the settlement: every payment that was taken is done once, and its answer comes.
func TestBroker(t *testing.T) {
	const bank = "021040078"
	r := rabbit{rabbitmq.Start(t, bank)}
	b := newBench(t, "fednow", func(c *Config) {
		c.AnswerTimeout = 10 * time.Minute
		c.Participants[2].AnswerAfter = 5 * time.Millisecond
		c.Rules = []Rule{{Match: Match{MinorUnits: "90"}, Action: Action{Do: "reset"}}, {Match: Match{MinorUnits: "91"}, Action: Action{Do: "throttle"}}, {Match: Match{MinorUnits: "92"}, Action: Action{Do: "huge"}}}
	})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- b.sim.ServeQueues(ctx, r.queues(bank)) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	pay := func(minor int64) *rail.Message {
		return b.transfer(minor, func(in *rail.TransferInput) { in.Creditor.Agent = b.p.Agent(banksOf["fednow"].banks[2]) })
	}
	tr := r.transport(b, bank, nil)
	after := uint64(0)
	heard := map[payments.EndToEndID]int{}
	// hear receives until want payments have been answered.
	hear := func(tr *amqp.Transport, want int, within time.Duration) (all []rail.Delivery) {
		for end := time.Now().Add(within); len(heard) < want && time.Now().Before(end); {
			ds, err := tr.Receive(t.Context(), after, 10)
			if err != nil {
				continue
			}
			for _, d := range ds {
				after = d.Seq
				all = append(all, d)
				if m, err := b.p.Decode(d.Wire, rail.FromService); err == nil && m.Status != nil {
					heard[m.Status.OriginalEndToEnd]++
				}
			}
		}
		return all
	}
	executions := func(m *rail.Message) (n int) {
		for _, p := range b.sim.Effects("", m.Transfer.EndToEndID).Payments {
			n += p.Executions
		}
		return n
	}

	t.Run("faults", func(t *testing.T) {
		for _, minor := range []int64{2000, 2090, 2091, 2092} {
			m := pay(minor)
			b.mustSend(tr, m)
			got := hear(tr, len(heard)+1, 10*time.Second)
			if executions(m) != 1 || heard[m.Transfer.EndToEndID] == 0 {
				t.Errorf("%d: %d executions, answers %d", minor, executions(m), heard[m.Transfer.EndToEndID])
			}
			if minor == 2092 && (len(got) != 2 || len(got[0].Wire) != b.p.SizeMaxBytes+1) {
				t.Errorf("a huge message: %d deliveries", len(got))
			}
		}
	})
	t.Run("refusals", func(t *testing.T) {
		m := pay(2000)
		m.Header.From = "091000019"
		m.Transfer.Instructing = b.p.Agent("091000019")
		wire := must(b.p.Encode(m))
		if err := tr.Send(t.Context(), wire); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(10 * time.Second); ; {
			ds, err := tr.Receive(t.Context(), after, 1)
			if len(ds) == 1 {
				after = ds[0].Seq
				got := must(b.p.Decode(ds[0].Wire, rail.FromService))
				if got.Rejection == nil || ds[0].Answers != m.Transfer.MessageID || got.Rejection.Reference != m.Transfer.MessageID {
					t.Errorf("answers %q: %+v", ds[0].Answers, got.Rejection)
				}
				break
			}
			if time.Now().After(end) {
				t.Fatal("no admi.002", err)
			}
		}
		// The broker refuses who says it is another, who has the wrong password, and who reads or writes what is not its own.
		for name, edit := range map[string]func(*amqp.Config){
			"wrong password": func(c *amqp.Config) { c.Broker.Password = "guess" },
			"another queue":  func(c *amqp.Config) { c.ToService = rabbitmq.ToBankPrefix + bank },
		} {
			bad := r.transport(b, bank, edit)
			m := pay(3000)
			err := b.send(bad, m)
			if err == nil || strings.Contains(err.Error(), "guess") || executions(m) != 0 {
				t.Errorf("%s: %v", name, err)
			}
		}
		forged := must(amqp.NewSender(r.broker(bank), rabbitmq.ToRail))
		defer forged.Close()
		forgery := pay(4000)
		if err := forged.Send(t.Context(), amqp.Message{ID: amqp.NewID(""), User: "rail", Body: must(b.p.Encode(forgery))}); err == nil || executions(forgery) != 0 {
			t.Errorf("forged: %v", err)
		}
		thief := r.transport(b, bank, func(c *amqp.Config) { c.FromService = rabbitmq.FromBanks })
		if _, err := thief.Receive(t.Context(), 0, 1); err == nil {
			t.Error("a bank reads the rail's queue")
		}
		if r.Logged("password-of-") {
			t.Error("the broker logs passwords")
		}
	})
	t.Run("participant dies between journal and settlement", func(t *testing.T) {
		m := pay(2100)
		b.mustSend(tr, m)
		var first []rail.Delivery
		for end := time.Now().Add(10 * time.Second); len(first) == 0 && time.Now().Before(end); {
			first, _ = tr.Receive(t.Context(), after, 10)
		}
		tr.Close() // its journal has what came; the broker does not know
		tr = r.transport(b, bank, nil)
		again := hear(tr, len(heard)+1, 10*time.Second)
		if len(first) != 1 || len(again) != 1 || string(first[0].Wire) != string(again[0].Wire) {
			t.Errorf("%d, then %d deliveries", len(first), len(again))
		}
		must(tr.Receive(t.Context(), after, 1)) // settles
		tr.Close()
		tr = r.transport(b, bank, nil)
		if ds := must(tr.Receive(t.Context(), after, 10)); len(ds) != 0 {
			t.Errorf("%d deliveries after the settlement", len(ds))
		}
	})
	if testing.Short() {
		return
	}
	t.Run("50 payments, random cuts, broker killed", func(t *testing.T) {
		clear(heard)
		seed := rand.Uint64()
		t.Log("seed", seed)
		rnd := rand.New(rand.NewPCG(seed, 1))
		outcomes := map[payments.EndToEndID]payments.Outcome{} // of what is not taken
		taken := map[payments.EndToEndID]bool{}
		var all []*rail.Message
		var mu sync.Mutex
		var senders sync.WaitGroup
		for i := range 50 {
			m := pay(5000 + int64(i)*100)
			all = append(all, m)
			wait := time.Duration(rnd.IntN(4000)) * time.Millisecond
			senders.Go(func() {
				time.Sleep(wait)
				for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
					err := b.send(tr, m)
					var failed *rail.SendError
					errors.As(err, &failed)
					if failed != nil && failed.Outcome == payments.OutcomeNotSent {
						continue // provably not sent: the same bytes again
					}
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						taken[m.Transfer.EndToEndID] = true
					} else {
						outcomes[m.Transfer.EndToEndID] = failed.Outcome
					}
					return
				}
			})
		}
		r.Restart.Go(func() {
			time.Sleep(2 * time.Second)
			r.Kill()
			r.Start()
		})
		done := make(chan struct{})
		go func() { senders.Wait(); r.Restart.Wait(); close(done) }()
		for finished := false; !finished; {
			select {
			case <-done:
				finished = true
			default:
				hear(tr, len(heard)+1+rnd.IntN(4), 500*time.Millisecond)
				if rnd.IntN(3) == 0 { // the participant loses its connection, and with it what it has not settled
					cutting, cancel := context.WithCancel(t.Context())
					cancel()
					tr.Receive(cutting, after, 1)
					tr.Cut()
				}
			}
		}
		hear(tr, 50, 5*time.Second)
		for _, m := range all {
			id, n := m.Transfer.EndToEndID, executions(m)
			switch {
			case n > 1:
				t.Errorf("%s is executed %d times", id, n)
			case taken[id] && n != 1, taken[id] && heard[id] == 0:
				t.Errorf("%s is taken, executed %d times, answered %d times", id, n, heard[id])
			case n == 1 && heard[id] == 0:
				t.Errorf("%s is executed and not answered", id)
			case !taken[id] && outcomes[id] != payments.OutcomeUnknown:
				t.Errorf("%s is neither taken nor unknown", id)
			}
		}
		t.Logf("%d taken, %d unknown, %d answers", len(taken), len(outcomes), sum(slices.Collect(maps.Values(heard))))
		if len(taken) < 25 {
			t.Errorf("only %d of 50 are taken", len(taken))
		}
	})
}

func sum(ns []int) (total int) {
	for _, n := range ns {
		total += n
	}
	return total
}
