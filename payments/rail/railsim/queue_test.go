package railsim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail"
)

// What a bank has not acknowledged comes again, to another connection too.
func TestQueueKeepsUntilAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "fednow", nil)
		b.mustSend(b.debtor, b.transfer(2000, nil))
		b.mustSend(b.debtor, b.transfer(2100, nil))
		first := must(b.creditor.Receive(t.Context(), 0, 1))
		again := must(must(b.sim.Transport(banksOf["fednow"].banks[1])).Receive(t.Context(), 0, 10))
		if len(first) != 1 || len(again) != 2 || again[0].Seq != first[0].Seq || again[1].Seq <= again[0].Seq {
			t.Fatalf("%v %v", first, again)
		}
		rest := must(b.creditor.Receive(t.Context(), again[0].Seq, 10))
		if len(rest) != 1 || rest[0].Seq != again[1].Seq {
			t.Fatalf("%v", rest)
		}
		time.Sleep(time.Minute) // both payments time out meanwhile
		if ds := must(b.creditor.Receive(t.Context(), 0, 10)); len(ds) != 3 || ds[0].Seq != again[1].Seq {
			t.Errorf("%d messages after acknowledging one", len(ds))
		}
		if ds := must(b.creditor.Receive(t.Context(), ^uint64(0), 10)); len(ds) != 0 {
			t.Errorf("%d messages after acknowledging all", len(ds))
		}
	})
}

func TestReceiveWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "fednow", nil)
		start := time.Now()
		if ds := must(b.creditor.Receive(t.Context(), 0, 10)); len(ds) != 0 || time.Since(start) != 20*time.Second {
			t.Errorf("%d messages after %v", len(ds), time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.creditor.Receive(ctx, 0, 10); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		go func() { time.Sleep(time.Second); b.sim.Close() }()
		start = time.Now()
		if ds, err := b.creditor.Receive(t.Context(), 0, 10); len(ds) != 0 || err != nil || time.Since(start) != time.Second {
			t.Errorf("closed: %v %v after %v", ds, err, time.Since(start))
		}
	})
}

func TestRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "sctinst", func(c *Config) {
			c.DeliverAfter = time.Second
			c.Rules = []Rule{
				{Match: Match{MinorUnits: "02", AmountMin: "50.00"}, Action: Action{Do: "reject", Code: "AC06"}},
				{Match: Match{Amount: "7.00"}, Action: Action{Do: "throttle"}},
				{Match: Match{CreditorName: "Example Tea"}, Action: Action{Do: "reject", Code: "AC04", By: "service"}},
				{Match: Match{DebtorAccount: "DE89370400440532013000", AmountMax: "3.00"}, Action: Action{DeliverAfter: 2 * time.Second}, Times: 1},
				{Match: Match{Amount: "8.00"}, Action: Action{Do: "error"}},
			}
		})
		answer := func(m *rail.Message) (string, time.Duration) {
			debtor, _ := b.run(time.Minute, b.answering("ACCP", "", 0), func() { b.mustSend(b.debtor, m) })
			return b.words(debtor)[len(debtor)-1], debtor[len(debtor)-1].after
		}
		if got, _ := answer(b.transfer(6002, nil)); got != "RJCT AC06" {
			t.Errorf("rule before magic: %s", got)
		}
		if got, _ := answer(b.transfer(4002, nil)); got != "RJCT AC03" {
			t.Errorf("magic where no rule fits: %s", got)
		}
		if got, _ := answer(b.transfer(400, func(in *rail.TransferInput) { in.Creditor.Name = must(payments.ParseName("Example Tea")) })); got != "RJCT AC04" {
			t.Errorf("by name: %s", got)
		}
		if got, after := answer(b.transfer(300, nil)); got != "ACCP" || after != 3*time.Second {
			t.Errorf("delivered later: %s after %v", got, after)
		}
		if got, after := answer(b.transfer(300, nil)); got != "ACCP" || after != time.Second {
			t.Errorf("a spent rule: %s after %v", got, after)
		}
		m := b.transfer(700, nil)
		var se *rail.SendError
		if err := b.send(b.debtor, m); !errors.As(err, &se) || se.Outcome != payments.OutcomeNotSent {
			t.Errorf("throttled: %v", err)
		}
		if got, _ := answer(m); got != "ACCP" {
			t.Errorf("sent again: %s", got)
		}
		m = b.transfer(800, nil)
		if err := b.send(b.debtor, m); !errors.As(err, &se) || se.Outcome != payments.OutcomeUnknown {
			t.Errorf("an error after executing: %v", err)
		}
		b.run(time.Minute, b.answering("ACCP", "", 0), func() {})
		if e := b.sim.Effects(m.Transfer.UETR, ""); e.Payments[0].Executions != 1 {
			t.Errorf("%+v", e.Payments)
		}
	})
}

func TestTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "sctinst", nil)
		m := b.transfer(2000, nil)
		time.Sleep(b.p.AnswerTimeout + time.Second)
		debtor, _ := b.run(time.Second, nil, func() { b.mustSend(b.debtor, m) })
		if got := b.words(debtor); !slices.Equal(got, []string{"RJCT TM01"}) {
			t.Errorf("%q", got)
		}
	})
}

// FedNow's receiver may accept without posting, and say later what became of it.
func TestAcceptedWithoutPosting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "fednow", nil)
		n := 0
		debtor, _ := b.run(time.Minute, func(g got) {
			if g.m.Transfer == nil {
				return
			}
			for _, status := range []string{"PDNG", "ACWP", "ACCC"} {
				n++
				b.mustSend(b.creditor, must(b.p.NewAnswer(g.m, rail.AnswerInput{Participant: banksOf["fednow"].banks[1], Status: status, Suffix: fmt.Sprintf("A%d", n), Now: time.Now()})))
				time.Sleep(time.Second)
			}
		}, func() { b.mustSend(b.debtor, b.transfer(2000, nil)) })
		if got := b.words(debtor); !slices.Equal(got, []string{"PDNG", "ACWP", "ACCC"}) {
			t.Errorf("%q", got)
		}
		if got := b.positions(); got != "9980.00/0.00 520.00/0.00 0.00/0.00" {
			t.Errorf("positions %s", got)
		}
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "fednow", nil)
		b.mustSend(b.debtor, b.transfer(2000, nil))
		done := make(chan error, 1)
		go func() { done <- b.sim.Drain(t.Context()) }()
		synctest.Wait()
		var se *rail.SendError
		if err := b.send(b.debtor, b.transfer(2100, nil)); !errors.As(err, &se) || se.Outcome != payments.OutcomeNotSent {
			t.Errorf("a payment while draining: %v", err)
		}
		ds := must(b.creditor.Receive(t.Context(), 0, 10))
		m := must(b.p.Decode(ds[0].Wire, rail.FromService))
		b.mustSend(b.creditor, must(b.p.NewAnswer(m, rail.AnswerInput{Participant: banksOf["fednow"].banks[1], Status: "ACTC", Suffix: "A", Now: time.Now()})))
		if err := <-done; err != nil {
			t.Error(err)
		}
		if e := b.sim.Effects("", ""); e.Payments[0].State != "settled" {
			t.Errorf("%+v", e)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "fednow", nil)
		b.mustSend(b.debtor, b.transfer(2000, nil))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.sim.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

// What is remembered is bounded.
func TestKeepMax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "fednow", func(c *Config) { c.KeepMax = 3 })
		for range 10 {
			b.mustSend(b.debtor, b.transfer(2002, nil))
		}
		if e := b.sim.Effects("", ""); len(e.Payments) != 3 || len(b.sim.core.byOriginal) != 3 {
			t.Errorf("%d payments, %d message ids", len(e.Payments), len(b.sim.core.byOriginal))
		}
	})
}

func TestQueueMax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "fednow", func(c *Config) { c.QueueMax = 2 })
		var se *rail.SendError
		var err error
		for range 3 {
			err = b.send(b.debtor, b.transfer(2000, nil))
		}
		if !errors.As(err, &se) || se.Outcome != payments.OutcomeNotSent {
			t.Errorf("a full queue: %v", err)
		}
	})
}
