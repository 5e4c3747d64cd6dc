package connector_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/railsim"
)

// tap notes what a bank hands to its transport, and that the journal had it before.
type tap struct {
	rail.Transport
	bank *bank
	lose func(n int, wire []byte) error // instead of handing on the n-th message, from 1

	mu   sync.Mutex
	sent []tapped
}

type tapped struct {
	at   time.Time
	wire []byte
}

func (x *tap) Send(ctx context.Context, wire []byte) error {
	x.mu.Lock()
	x.sent = append(x.sent, tapped{time.Now(), bytes.Clone(wire)})
	n := len(x.sent)
	x.mu.Unlock()
	if !x.bank.recorded(wire) {
		x.bank.w.t.Errorf("a message left that the journal does not have: %.300s", wire)
	}
	if x.lose != nil {
		if err := x.lose(n, wire); err != nil {
			return err
		}
	}
	return x.Transport.Send(ctx, wire)
}

// recorded reports whether a message is the body of an outbox row of the bank's journal.
func (b *bank) recorded(wire []byte) bool {
	ctx := context.Background()
	for _, r := range must(b.journal.List(ctx, journal.Filter{})) {
		for _, name := range []string{"transfer", "answer", "again-1", "again-2", "again-3", "enquiry-1", "enquiry-2", "enquiry-3", "answer-1", "answer-2", "answer-3"} {
			row, err := b.journal.OutboxRow(ctx, string(r.Key.Side)+"/"+string(r.Key.Intent)+"/"+name)
			if err == nil && bytes.Equal(row.Body, wire) {
				return true
			}
		}
	}
	return false
}

func (x *tap) all() []tapped {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.sent)
}

// tapped makes a world whose payer's bank is tapped.
func tappedWorld(t *testing.T, name string, o options) (*world, *tap) {
	x := &tap{}
	before := o.bank
	o.bank = func(bank string, c *connector.Config) {
		if bank == "payer-bank" {
			x.Transport = c.Transport
			c.Transport = x
		}
		if before != nil {
			before(bank, c)
		}
	}
	w := newWorld(t, name, o)
	x.bank = w.payerBank
	return w, x
}

const duplicateMark = "<head:CpyDplct>DUPL</head:CpyDplct>"

func onceAction(do string) func(*railsim.Config) {
	return func(c *railsim.Config) {
		c.Rules = []railsim.Rule{{Match: railsim.Match{Amount: "17.00"}, Action: railsim.Action{Do: do, Delay: -1}, Times: 1}}
	}
}

// What each rail wants when its answer does not come, and nothing else: how many messages leave, when, and with which bytes.
func TestSilence(t *testing.T) {
	t.Parallel()
	onRails(t, func(t *testing.T, name string) {
		w, x := tappedWorld(t, name, options{sim: onceAction("silence")})
		begun := time.Now()
		id := w.pay(17_00)
		w.ends(id, lifecycle.Unknown)
		time.Sleep(49 * time.Hour)
		w.quiet()
		p, profile := w.state(w.payerBank, id, lifecycle.Debtor), w.sim.Profile()
		if p.State != lifecycle.Unknown || !slices.Equal(w.cases(w.payerBank), []string{"unknown"}) {
			t.Errorf("ends %s, cases %v", p.State, w.cases(w.payerBank))
		}
		sent := x.all()
		if len(sent) != 1+len(profile.Ladder) {
			t.Fatalf("%d messages left", len(sent))
		}
		for i, m := range sent[1:] {
			if after := m.at.Sub(sent[0].at); after < profile.AnswerTimeout+profile.Ladder[i] || after > profile.AnswerTimeout+profile.Ladder[i]+time.Second {
				t.Errorf("message %d left after %v", i+1, after)
			}
			switch profile.Recovery {
			case rail.Ask:
				if got := must(profile.Decode(m.wire, rail.ToService)); got.Request == nil || got.Request.OriginalMessageID != p.Execution.MessageID {
					t.Errorf("message %d is no question about the transfer", i+1)
				}
			case rail.ResendMarked:
				if bytes.Count(m.wire, []byte(duplicateMark)) != 1 || string(bytes.Replace(m.wire, []byte(duplicateMark), nil, 1)) != string(sent[0].wire) {
					t.Errorf("message %d is not the transfer with a mark: %s", i+1, m.wire)
				}
			default:
				t.Errorf("%s sends after the transfer", name)
			}
		}
		opened := must(w.payerBank.journal.Cases(context.Background(), true, 0))[0]
		if after := opened.Opened.Sub(begun); after < profile.AnswerTimeout+profile.CaseAfter || after > profile.AnswerTimeout+profile.CaseAfter+2*time.Second {
			t.Errorf("the case is opened after %v", after)
		}
		if p.Restored.IsZero() == profile.RestorePayer {
			t.Errorf("restored: %v", p.Restored)
		}
		w.audit()
	})
}

// A transfer that got lost is processed as new when it is sent again with the mark; where it must not be sent again it stays a case.
func TestLostTransfer(t *testing.T) {
	t.Parallel()
	onRails(t, func(t *testing.T, name string) {
		w, x := tappedWorld(t, name, options{})
		x.lose = func(n int, _ []byte) error {
			if n == 1 { // it left, and never arrived
				return &rail.SendError{Outcome: payments.OutcomeUnknown, Err: errors.New("connection reset")}
			}
			return nil
		}
		id := w.pay(17_00)
		want, messages := lifecycle.Unknown, 0
		if name == "rtp" {
			want, messages = lifecycle.Settled, 1
		}
		w.ends(id, lifecycle.Unknown)
		time.Sleep(10 * time.Minute)
		w.quiet()
		p := w.state(w.payerBank, id, lifecycle.Debtor)
		if m, n := w.executions(id); p.State != want || m != messages || n != messages || w.credited(id) != messages {
			t.Errorf("ends %s: %d messages, %d executions, %d notices", p.State, m, n, w.credited(id))
		}
		if name == "rtp" && p.Resends != 1 {
			t.Errorf("sent again %d times", p.Resends)
		}
		w.audit()
	})
}

// The rail has executed the transfer and its answer got lost: sent again, it is known, and executed once.
func TestResendIsNoSecondPayment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, do := range []string{"late", "reset", "duplicate"} {
			w, x := tappedWorld(t, "rtp", options{sim: func(c *railsim.Config) {
				c.Rules = []railsim.Rule{{Match: railsim.Match{Amount: "17.00"}, Action: railsim.Action{Do: do, Delay: time.Minute}}}
			}})
			id := w.pay(17_00)
			p := w.ends(id, lifecycle.Settled)
			time.Sleep(5 * time.Minute) // the late answer, and the repeated ones
			w.quiet()
			if m, n := w.executions(id); m != 1 || n != 1 || w.credited(id) != 1 {
				t.Errorf("%s: %d messages, %d executions, %d notices", do, m, n, w.credited(id))
			}
			if do == "late" && (p.Resends == 0 || len(x.all()) != 1+p.Resends) {
				t.Errorf("%s: %d resends, %d messages", do, p.Resends, len(x.all()))
			}
			if got := w.cases(w.payerBank); len(got) != 0 {
				t.Errorf("%s: cases %v", do, got)
			}
			w.audit()
			w.close()
		}
	})
}

// The first copy was slow and comes after the repetition: it is the same payment.
func TestFirstCopyComesLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, x := tappedWorld(t, "rtp", options{})
		x.lose = func(n int, wire []byte) error {
			if n > 1 {
				return nil
			}
			go func() {
				time.Sleep(40 * time.Second)
				x.Transport.Send(context.Background(), wire)
			}()
			return &rail.SendError{Outcome: payments.OutcomeUnknown, Err: errors.New("time-out")}
		}
		id := w.pay(17_00)
		w.ends(id, lifecycle.Settled)
		time.Sleep(5 * time.Minute)
		w.quiet()
		if m, n := w.executions(id); m != 1 || n != 1 || w.credited(id) != 1 || len(w.cases(w.payerBank)) != 0 {
			t.Errorf("%d messages, %d executions, %d notices, cases %v", m, n, w.credited(id), w.cases(w.payerBank))
		}
		w.audit()
	})
}

// Whatever moment a bank is stopped or dies at, the ladder takes no step twice and none too many, and ends in the one case.
func TestRestartOnTheLadder(t *testing.T) {
	t.Parallel()
	onRails(t, func(t *testing.T, name string) {
		for _, at := range []time.Duration{0, time.Second, 14 * time.Second, 16 * time.Second, 24 * time.Second, 26 * time.Second, 46 * time.Second, 51 * time.Second, 3 * time.Minute} {
			for _, down := range []time.Duration{0, 20 * time.Second, 10 * time.Minute} {
				w, x := tappedWorld(t, name, options{sim: onceAction("silence")})
				id := w.pay(17_00)
				time.Sleep(at)
				if err := w.payerBank.end(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(down)
				w.payerBank.start()
				time.Sleep(10 * time.Minute)
				w.quiet()
				p := w.state(w.payerBank, id, lifecycle.Debtor)
				if p.State != lifecycle.Unknown || !slices.Equal(w.cases(w.payerBank), []string{"unknown"}) {
					t.Errorf("stopped after %v for %v: ends %s, cases %v", at, down, p.State, w.cases(w.payerBank))
				}
				sent := x.all()
				if steps := p.Enquiries + p.Resends; len(sent) != 1+steps || steps > len(w.sim.Profile().Ladder) {
					t.Errorf("stopped after %v for %v: %d steps, %d messages", at, down, steps, len(sent))
				} else if down == 0 && steps != len(w.sim.Profile().Ladder) {
					t.Errorf("stopped after %v: a step was lost, there are %d", at, steps)
				}
				for _, m := range sent[1:] {
					if m.at.Sub(sent[0].at) < w.sim.Profile().AnswerTimeout {
						t.Errorf("stopped after %v for %v: a step after %v", at, down, m.at.Sub(sent[0].at))
					}
					if resent := m.at.Sub(sent[0].at); p.Resends > 0 && resent > w.sim.Profile().AnswerTimeout+w.sim.Profile().CaseAfter+time.Second {
						t.Errorf("stopped after %v for %v: sent again after %v", at, down, resent)
					}
				}
				w.audit()
				w.close()
			}
		}
	})
}

// FedNow takes questions about payments of this UTC day and the one before; a connector that comes back later asks nothing.
func TestTooOldToBeAsked(t *testing.T) {
	t.Parallel()
	for days, want := range map[time.Duration]int{1: 3, 2: 0} {
		synctest.Test(t, func(t *testing.T) {
			w, x := tappedWorld(t, "fednow", options{sim: onceAction("silence")})
			id := w.pay(17_00)
			time.Sleep(time.Second)
			w.payerBank.end()
			time.Sleep(days * 24 * time.Hour)
			w.payerBank.start()
			time.Sleep(10 * time.Minute)
			p := w.state(w.payerBank, id, lifecycle.Debtor)
			if p.State != lifecycle.Unknown || p.Enquiries != want || len(x.all()) != 1+want || !slices.Equal(w.cases(w.payerBank), []string{"unknown"}) {
				t.Errorf("after %d days: %s, %d enquiries, %d messages, cases %v", days, p.State, p.Enquiries, len(x.all()), w.cases(w.payerBank))
			}
		})
	}
}

// On a rail of which only the verdict counts, an HTTP answer neither ends a payment nor makes it be sent again.
func TestTransportProvesNothingOnPix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  *rail.SendError
		want lifecycle.State // before the verdict
	}{
		{&rail.SendError{Outcome: payments.OutcomeRefused, Status: 400, Err: errors.New("bad request")}, lifecycle.Unknown},
		{&rail.SendError{Outcome: payments.OutcomeRefused, Err: errors.New("refused")}, lifecycle.Unknown},
		{&rail.SendError{Outcome: payments.OutcomeNotSent, Status: 429, Err: errors.New("too many")}, lifecycle.Unknown},
		{&rail.SendError{Outcome: payments.OutcomeNotSent, Status: 503, Err: errors.New("down")}, lifecycle.Unknown},
		{&rail.SendError{Outcome: payments.OutcomeUnknown, Status: 500, Err: errors.New("oops")}, lifecycle.Unknown},
	} {
		for _, arrived := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w, x := tappedWorld(t, "pix", options{})
				x.lose = func(n int, wire []byte) error {
					if arrived {
						go func() {
							time.Sleep(20 * time.Second)
							x.Transport.Send(context.Background(), wire)
						}()
					}
					return c.err
				}
				id := w.pay(17_00)
				w.ends(id, c.want)
				time.Sleep(10 * time.Minute)
				p := w.state(w.payerBank, id, lifecycle.Debtor)
				if arrived && p.State != lifecycle.Settled || !arrived && (p.State != lifecycle.Unknown || !slices.Equal(w.cases(w.payerBank), []string{"unknown"})) {
					t.Errorf("%v, arrived %t: ends %s (%s), cases %v", c.err, arrived, p.State, p.Reason, w.cases(w.payerBank))
				}
				if len(x.all()) != 1 {
					t.Errorf("%v: %d messages left", c.err, len(x.all()))
				}
			})
		}
	}
}

// Where no byte left, the same bytes are handed to the transport again, also on Pix.
func TestNotSentIsSentAgainOnPix(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, x := tappedWorld(t, "pix", options{})
		x.lose = func(n int, _ []byte) error {
			if n < 4 {
				return &rail.SendError{Outcome: payments.OutcomeNotSent, Err: errors.New("connection refused")}
			}
			return nil
		}
		id := w.pay(17_00)
		w.ends(id, lifecycle.Settled)
		if sent := x.all(); len(sent) != 4 || string(sent[0].wire) != string(sent[3].wire) {
			t.Errorf("%d messages left", len(sent))
		}
	})
}

// A rail that knows the ids and wants no mark gets the very same bytes.
func TestResendSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, x := tappedWorld(t, "sctinst", options{
			sim: func(c *railsim.Config) { c.Deduplicate = true },
			bank: func(bank string, c *connector.Config) {
				made := *c.Profile // a made-up rail
				made.Recovery, made.RestorePayer = rail.ResendSame, false
				c.Profile = &made
			}})
		x.lose = func(n int, _ []byte) error {
			if n <= 2 {
				return &rail.SendError{Outcome: payments.OutcomeUnknown, Err: errors.New("connection reset")}
			}
			return nil
		}
		id := w.pay(17_00)
		p := w.ends(id, lifecycle.Rejected) // the rail never had it, and its acceptance time is too old by then
		if p.Reason != "TM01" || p.Resends != 2 {
			t.Errorf("%s after %d resends", p.Reason, p.Resends)
		}
		x.lose = nil
		w.sim.Profile()
		id = w.pay(17_00)
		w.ends(id, lifecycle.Settled)
		for _, m := range x.all()[:3] {
			if string(m.wire) != string(x.all()[0].wire) {
				t.Error("sent again, the transfer differs")
			}
		}
		if payer, held, shop := w.balances(); payer != opening-17_00 || held != 0 || shop != opening+17_00 {
			t.Errorf("balances: %d (held %d), %d", payer, held, shop)
		}
		w.audit()
	})
}

// marked returns a wire message of RTP with the duplicate mark.
func marked(wire []byte) []byte {
	const end = "</head:CreDt>"
	return bytes.Replace(wire, []byte(end), []byte(end+duplicateMark), 1)
}

// A transfer that the creditor's bank knows gets the stored answer again, byte for byte, marked or not; it is credited once. One that it
// does not know is new, marked or not.
func TestMarkedDuplicateAtTheCreditor(t *testing.T) {
	t.Parallel()
	onRails(t, func(t *testing.T, name string) {
		var in *badTransport
		var out *troubledRail
		var seen [][]byte
		w := newWorld(t, name, options{
			sim: func(c *railsim.Config) { c.DeliverAfter = time.Millisecond },
			bank: func(bank string, c *connector.Config) {
				if bank == "shop-bank" {
					out = &troubledRail{Transport: c.Transport}
					in = &badTransport{Transport: out}
					c.Transport = in
				}
			}})
		id := w.pay(17_00)
		w.ends(id, lifecycle.Settled)
		w.until("credited", func() bool { return w.credited(id) == 1 })
		events := must(w.shopBank.journal.Events(context.Background(), journal.Key{Intent: id, Side: lifecycle.Creditor}))
		forwarded := events[0].Data
		if name == "rtp" {
			seen = append(seen, marked(forwarded))
		}
		for range 5 {
			seen = append(seen, forwarded)
		}
		in.mu.Lock()
		in.bad = seen
		in.mu.Unlock()
		time.Sleep(30 * time.Second) // the bank's question at the rail ends
		w.quiet()
		out.mu.Lock()
		given := slices.Clone(out.given)
		out.mu.Unlock()
		if len(given) != 1+3 {
			t.Fatalf("%d answers", len(given))
		}
		for _, again := range given[1:] {
			if string(again) != string(given[0]) {
				t.Errorf("another answer than the first: %s", again)
			}
		}
		if _, _, shop := w.balances(); shop != opening+17_00 || w.credited(id) != 1 {
			t.Errorf("the shop has %d, told %d times", shop, w.credited(id))
		}
		if got := w.cases(w.shopBank); len(got) != 0 {
			t.Errorf("cases %v", got)
		}
		w.audit()
	})
}

// A marked transfer that the creditor's bank has never had is a payment like any other, although its creation is long past.
func TestMarkedNewTransfer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, x := tappedWorld(t, "rtp", options{})
		x.lose = func(n int, _ []byte) error {
			if n <= 3 {
				return &rail.SendError{Outcome: payments.OutcomeUnknown, Err: errors.New("connection reset")}
			}
			return nil
		}
		id := w.pay(17_00)
		p := w.ends(id, lifecycle.Unknown)
		time.Sleep(2 * time.Minute)
		w.quiet()
		if p = w.state(w.payerBank, id, lifecycle.Debtor); p.State != lifecycle.Settled || p.Resends != 3 || w.credited(id) != 1 {
			t.Errorf("ends %s after %d resends", p.State, p.Resends)
		}
		if got := statuses(w.receipts(id)); !strings.HasSuffix(got, "unknown settled") {
			t.Errorf("receipts: %s", got)
		}
		if last := w.receipts(id)[len(w.receipts(id))-1]; last.Status != intent.StatusSettled {
			t.Errorf("%+v", last)
		}
		w.audit()
	})
}
