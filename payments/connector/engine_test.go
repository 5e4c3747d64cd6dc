package connector_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
)

// onRails runs a test on every rail, in fake time.
func onRails(t *testing.T, f func(t *testing.T, name string)) {
	for name := range rails {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { f(t, name) })
		})
	}
}

func TestPaymentSettles(t *testing.T) {
	t.Parallel()
	onRails(t, func(t *testing.T, name string) {
		w := newWorld(t, name, options{})
		id := w.pay(12_01)
		p := w.ends(id, lifecycle.Settled)
		if got := statuses(w.receipts(id)); got != "authorised submitted settled" && got != "authorised settled" {
			t.Errorf("receipts: %s", got)
		}
		last := w.receipts(id)[len(w.receipts(id))-1]
		if last.UETR != p.Execution.UETR || last.EndToEndID != p.Execution.EndToEnd || last.Amount.Minor != 12_01 || last.MandateHash.IsZero() {
			t.Errorf("receipt: %+v", last)
		}
		w.until("credited", func() bool { return w.credited(id) == 1 })
		if payer, held, shop := w.balances(); payer != opening-12_01 || held != 0 || shop != opening+12_01 {
			t.Errorf("balances: %d (held %d), %d", payer, held, shop)
		}
		for _, want := range []string{"request verified", "payee check", "mandate verified", "journaled", "pacs.008 sent", "pacs.002 received", "settled"} {
			if w.payerBank.log.count(want, id) != 1 {
				t.Errorf("payer's bank: %d × %q", w.payerBank.log.count(want, id), want)
			}
		}
		for _, want := range []string{"pacs.008 received", "pacs.002 sent", "credited", "notice sent"} {
			if w.shopBank.log.count(want, id) != 1 {
				t.Errorf("shop's bank: %d × %q", w.shopBank.log.count(want, id), want)
			}
		}
		w.audit()
	})
}

func TestOutcomesByMagicAmount(t *testing.T) {
	t.Parallel()
	cases := []struct {
		minor   int64
		want    lifecycle.State
		reason  string
		shop    int64 // what the shop gained
		visited string
		cases   []string
	}{
		{20_02, lifecycle.Rejected, "AC03", 0, "", nil},
		{20_03, lifecycle.Rejected, "AM04", 0, "", nil},
		{20_04, lifecycle.Settled, "", 20_04, "unknown", nil},
		{20_05, lifecycle.Rejected, "", 0, "unknown", nil},
		{20_06, lifecycle.Settled, "", 20_06, "", nil},
		{20_07, lifecycle.Settled, "", 20_07, "", nil},
		{20_08, lifecycle.Settled, "", 20_08, "", []string{"contradiction"}},
		{20_09, lifecycle.Settled, "", 20_09, "", []string{"bad-message"}},
	}
	onRails(t, func(t *testing.T, name string) {
		for _, c := range cases {
			w := newWorld(t, name, options{})
			id := w.pay(c.minor)
			p := w.ends(id, c.want)
			time.Sleep(time.Minute) // what comes late
			w.quiet()
			p = w.state(w.payerBank, id, lifecycle.Debtor)
			if p.State != c.want || (c.reason != "" && p.Reason != c.reason) {
				t.Errorf("%d: %s (%s), want %s (%s)", c.minor, p.State, p.Reason, c.want, c.reason)
			}
			if c.visited != "" && !strings.Contains(statuses(w.receipts(id)), c.visited) {
				t.Errorf("%d: receipts: %s", c.minor, statuses(w.receipts(id)))
			}
			payer, held, shop := w.balances()
			wantPayer := opening - c.shop
			if !p.Restored.IsZero() && c.want == lifecycle.Settled { // the bank bears it until the case is worked
				wantPayer = opening
			}
			if c.minor == 20_09 && name == "rtp" { // the money comes back as a transfer like any other, and not as a message of its own
				wantPayer, c.cases = opening, nil
			}
			if payer != wantPayer || held != 0 || shop != opening+c.shop {
				t.Errorf("%d: balances: %d (held %d), %d", c.minor, payer, held, shop)
			}
			for _, kind := range c.cases {
				if !slices.Contains(w.cases(w.payerBank), kind) {
					t.Errorf("%d: cases: %v, want %s", c.minor, w.cases(w.payerBank), kind)
				}
			}
			if restored := name == "sctinst" && c.visited != ""; restored == p.Restored.IsZero() {
				t.Errorf("%d: restored at %v", c.minor, p.Restored)
			}
			w.audit()
			w.close()
		}
	})
}

// Payer and payee at the same bank: one connector has both sides of the payment, and both hear of it.
func TestBothSidesAtOneBank(t *testing.T) {
	onRails(t, func(t *testing.T, name string) {
		w := newWorld(t, name, options{})
		for _, magic := range []int64{1, 2, 4} {
			r, jws := w.request(30_00+magic, func(r *intent.Request) {
				r.Creditor = intent.Creditor{Name: must(payments.ParseName(payerName)), Account: w.payer.account, Agent: w.payerBank.cfg.Agent}
			})
			check := w.check(r, jws)
			if check.Result != intent.Match {
				t.Errorf("own account: %s", check.Result)
			}
			w.payer.tell(intent.MediaMandate, w.approve(jws, check, nil))
			want, credited := lifecycle.Settled, 1
			if magic == 2 {
				want, credited = lifecycle.Rejected, 0
			}
			w.ends(r.Intent, want)
			if n := w.payerBank.log.count("credited", r.Intent); n != credited {
				t.Errorf("magic %02d: credited %d times", magic, n)
			}
			if m, n := w.executions(r.Intent); m != 1 || n != credited {
				t.Errorf("magic %02d: %d messages, %d executions", magic, m, n)
			}
		}
		if _, held, _ := w.balances(); held != 0 {
			t.Errorf("%d held", held)
		}
		w.audit()
	})
}

// With the journal on disk: what was decided before the file was closed is there when it is opened again, verified, and goes on.
func TestJournalOnDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		open := func(name string) journal.Journal { return must(journal.OpenSQLite(filepath.Join(dir, name+".db"))) }
		w := newWorld(t, "sctinst", options{openBank: open})
		first := w.pay(40_01)
		w.ends(first, lifecycle.Settled)
		r, jws := w.request(41_01, nil)
		check := w.check(r, jws)
		silent := w.pay(42_04)
		time.Sleep(2 * time.Second)
		for _, b := range []*bank{w.payerBank, w.shopBank} {
			if err := errors.Join(b.end(), b.journal.Close()); err != nil {
				t.Fatal(err)
			}
			b.journal = open(b.cfg.ID)
			b.cfg.Journal = b.journal
			b.start()
		}
		if p := w.state(w.payerBank, first, lifecycle.Debtor); p.State != lifecycle.Settled || p.Creditor.Account != w.shop.account {
			t.Errorf("%s", p.State)
		}
		w.payer.tell(intent.MediaMandate, w.approve(jws, check, nil))
		w.ends(r.Intent, lifecycle.Settled)
		w.ends(silent, lifecycle.Settled)
		w.audit()
	})
}
