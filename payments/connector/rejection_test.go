package connector_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/railsim"
)

// The rail refuses the message of a transfer (admi.002): after the HTTP answer on Pix, named by the transport only on FedNow. The payment
// ends with the rail's reason and no money moved; a refusal of anything else changes nothing.
func TestMessageRefusedByTheRail(t *testing.T) {
	t.Parallel()
	slow := func(c *railsim.Config) { c.AnswerTimeout = 10 * time.Minute } // so that nothing is asked or sent again meanwhile
	onRails(t, func(t *testing.T, name string) {
		var in *badTransport
		w, x := tappedWorld(t, name, options{sim: slow, bank: func(bank string, c *connector.Config) {
			if bank == "payer-bank" {
				in = &badTransport{Transport: c.Transport}
				c.Transport = in
			}
		}})
		x.lose = func(int, []byte) error { // taken, and not understood; the answer to the request says nothing
			return &rail.SendError{Outcome: payments.OutcomeUnknown, Err: errors.New("connection reset")}
		}
		profile := w.sim.Profile()
		refusal := func(ref string) []byte {
			now := time.Now()
			doc := must((&iso20022.Rejection{Reference: ref, Reason: "T505", Time: now.UTC().Truncate(time.Second)}).Append(nil))
			h := profile.NewHeader(profile.Service, w.payerBank.cfg.Agent, iso20022.RejectionV1, must(profile.MessageID(profile.Service, now, rail.Suffix(ref)[:11])), now)
			return must(profile.Wrap(&h, doc))
		}
		give := func(answers string, wire []byte) {
			in.mu.Lock()
			in.answers, in.bad = answers, [][]byte{wire}
			in.mu.Unlock()
		}
		id := w.pay(17_00)
		w.ends(id, lifecycle.Unknown)
		p := w.state(w.payerBank, id, lifecycle.Debtor)
		give("", refusal("NOTAVAILABLE"))
		w.until("a case about a stranger", func() bool { return slices.Equal(w.cases(w.payerBank), []string{"orphan-reject"}) })
		if got := w.state(w.payerBank, id, lifecycle.Debtor); got.State != lifecycle.Unknown {
			t.Errorf("a refusal of something else made it %s", got.State)
		}
		if name == "fednow" {
			give(p.Execution.MessageID, refusal("NOTAVAILABLE"))
		} else {
			give("", refusal(p.Execution.MessageID))
		}
		p = w.ends(id, lifecycle.Rejected)
		if last := w.receipts(id)[len(w.receipts(id))-1]; p.Reason != "T505" || last.Reason != "T505" || last.ISO.Status != "" {
			t.Errorf("%s, receipt %+v", p.Reason, last)
		}
		time.Sleep(10 * time.Minute)
		w.quiet()
		w.untouched("a refused message")
		if len(x.all()) != 1 {
			t.Errorf("%d messages left", len(x.all()))
		}
		w.audit()
	})
}
