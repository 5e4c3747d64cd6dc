package connector_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/railsim"
)

// foreign sends a transfer to the shop as another bank's system would make it, which knows nothing of this software's rules.
func (w *world) foreign(suffix string, change func(*rail.TransferInput)) rail.TransferInput {
	w.t.Helper()
	profile, r := w.sim.Profile(), rails[w.rail]
	in := rail.TransferInput{UETR: payments.NewUETR("", suffix), EndToEndID: payments.EndToEndID("E" + suffix), Amount: payments.Amount{Minor: 7_00, Currency: profile.Currency},
		Debtor:      iso20022.Party{Name: must(payments.ParseName("Foreign Payer")), Account: w.payer.account, Agent: profile.Agent(r.payerBank)},
		Creditor:    iso20022.Party{Name: must(payments.ParseName(shopName)), Account: w.shop.account, Agent: profile.Agent(r.shopBank)},
		Participant: r.payerBank, Suffix: suffix, Now: time.Now()}
	if change != nil {
		change(&in)
	}
	wire := must(profile.Encode(must(profile.NewTransfer(in))))
	if err := must(w.sim.Transport(r.payerBank)).Send(context.Background(), wire); err != nil {
		w.t.Fatal(err)
	}
	return in
}

func (w *world) notices() (all []intent.Credited) {
	for _, b := range w.shopBank.chats.to(w.shop.chat, intent.MediaCredited) {
		all = append(all, must(intent.VerifyCredited(b, w.bankKey(w.shopBank))))
	}
	return all
}

// Texts of other banks' customers are data: whatever is in them, the credit is told.
func TestCreditIsToldWhateverTheTransferSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{})
		texts := []string{"cafe\u0301", "\u0301x", "a\u202eb", "line\nline", "  two  ", "\u00a0nbsp\u00a0", "\ufdd0", "\u212b", "x\u3000"}
		for i, text := range texts {
			w.foreign("TEXT"+string(rune('A'+i)), func(in *rail.TransferInput) { in.Remittance = text })
			w.until("credit of a transfer about "+text, func() bool { return len(w.notices()) == i+1 })
		}
		w.quiet()
	})
}

// End-to-end ids are chosen by whoever pays: those that no statement can carry end in a credit and a notice all the same.
func TestCreditIsToldWhateverTheEndToEndID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{})
		for i, id := range []payments.EndToEndID{"NOTPROVIDED", "e\u0301", "a\u200bb"} {
			w.foreign("IDS"+string(rune('A'+i)), func(in *rail.TransferInput) { in.EndToEndID = id })
			w.until("credit", func() bool { return len(w.notices()) == i+1 })
		}
		w.quiet()
	})
}

// A name from another bank that cannot be signed is no answer; the payer's question must not be asked for ever.
func TestUnusableMatchedName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, want := range map[string]intent.MatchResult{"Cafe\u0301 Example": intent.CloseMatch, "Exam\u202eple": intent.NotApplicable, "A\u200bB": intent.NotApplicable} {
			w := newWorld(t, "fednow", options{bank: func(bank string, c *connector.Config) {
				c.Payees = payees{connector.PayeeAnswer{Result: intent.CloseMatch, Matched: must(payments.ParseName(name))}}
			}})
			r, jws := w.request(10_00, nil)
			if got := w.check(r, jws); got.Result != want || (want == intent.CloseMatch) != (got.MatchedName.Reveal() == "Caf\u00e9 Example") {
				t.Errorf("%q: %s", name, got.Result)
			}
			w.close()
		}
	})
}

type payees struct{ answer connector.PayeeAnswer }

func (p payees) CheckPayee(context.Context, connector.PayeeQuery) (connector.PayeeAnswer, error) {
	return p.answer, nil
}

// A request that is valid for centuries is refused; it does not stop the bank, which would find it again after each restart.
func TestRequestForCenturies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{})
		for n, years := range []int{2, 300, 7000} {
			_, jws := w.request(10_00, func(r *intent.Request) { r.Expires = r.Issued.AddDate(years, 0, 0) })
			w.payer.tell(intent.MediaCheck, must(intent.Check{Request: jws, DebtorAccount: w.payer.account}.Encode()))
			if got := w.refused(w.payer, n+1); got.Reason != intent.ReasonRequestExpiry {
				t.Errorf("%d years: %+v", years, got)
			}
		}
		w.ends(w.pay(10_00), lifecycle.Settled)
	})
}

// pickyJournal refuses the form of some steps, as a journal does with what it could not record.
type pickyJournal struct {
	journal.Journal
	refuse func(journal.Step) bool
}

func (p pickyJournal) Apply(ctx context.Context, s journal.Step) error {
	if p.refuse(s) {
		return fmt.Errorf("%w: a test", journal.ErrInvalid)
	}
	return p.Journal.Apply(ctx, s)
}

// A step that the journal cannot record is one payment's trouble, and not the end of the bank.
func TestUnrecordableStepStopsNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bad := func(s journal.Step) bool {
			return len(s.Events) > 0 && s.Inbox != nil && bytes.Contains(s.State, []byte(`"Minor":6660`))
		}
		w := newWorld(t, "fednow", options{openBank: func(string) journal.Journal { return pickyJournal{journal.NewMemory(), bad} }})
		_, jws := w.request(66_60, nil)
		w.payer.tell(intent.MediaCheck, must(intent.Check{Request: jws, DebtorAccount: w.payer.account}.Encode()))
		if got := w.refused(w.payer, 1); got.Reason != connector.ReasonUnavailable {
			t.Errorf("%+v", got)
		}
		w.foreign("EVIL", func(in *rail.TransferInput) { in.Amount.Minor = 66_60 })
		w.until("a case", func() bool { return slices.Contains(w.cases(w.shopBank), "failed-message") })
		w.ends(w.pay(10_00), lifecycle.Settled)
	})
}

// A status that names another amount than ours says nothing certain about our transfer: the rail is asked, and a person looks at it.
func TestStatusAboutAnotherAmount(t *testing.T) {
	onRails(t, func(t *testing.T, name string) {
		w := newWorld(t, name, options{sim: func(c *railsim.Config) {
			c.Rules = []railsim.Rule{{Match: railsim.Match{Amount: "17.00"}, Action: railsim.Action{Do: "amount"}}}
		}})
		id := w.pay(17_00)
		if name == "pix" { // whose reports name no amount: one that does is not the rail's, and changes nothing
			w.ends(id, lifecycle.Unknown)
			if !slices.Contains(w.cases(w.payerBank), "bad-message") {
				t.Errorf("cases %v", w.cases(w.payerBank))
			}
			return
		}
		p := w.ends(id, lifecycle.Settled)
		// It took the answer to a question, or to the transfer sent again, which names no amount.
		if p.Enquiries+p.Resends != 1 || !slices.Contains(w.cases(w.payerBank), "mismatch") {
			t.Errorf("%d enquiries, %d resends, cases %v", p.Enquiries, p.Resends, w.cases(w.payerBank))
		}
		w.audit()
	})
}

// A limit of zero reads as none once it is stored, so it is refused where it is set.
func TestCodesThatCannotBe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{})
		good := w.payerBank.cfg.Codes[0]
		for name, change := range map[string]func(*connector.Code){
			"no hash":        func(c *connector.Code) { c.Hash = intent.CodeHash{} },
			"no account":     func(c *connector.Code) { c.Accounts = nil },
			"17 accounts":    func(c *connector.Code) { c.Accounts = make([]payments.Account, 17) },
			"other profile":  func(c *connector.Code) { c.Profile = "xx1" },
			"no expiry":      func(c *connector.Code) { c.Expires = time.Time{} },
			"zero a payment": func(c *connector.Code) { c.Limits.PerPayment = payments.Amount{Currency: "USD"} },
			"zero a day":     func(c *connector.Code) { c.Limits.PerDay = payments.Amount{Currency: "USD"} },
			"below zero":     func(c *connector.Code) { c.Limits.PerDay = payments.Amount{Minor: -1, Currency: "USD"} },
			"no currency":    func(c *connector.Code) { c.Limits.PerDay = payments.Amount{Minor: 1} },
		} {
			bad := good
			change(&bad)
			if err := w.payerBank.engine.AddCode(context.Background(), bad); err == nil {
				t.Errorf("%s: taken", name)
			}
			cfg := w.payerBank.cfg
			cfg.Codes = []connector.Code{bad}
			if _, err := connector.New(cfg); err == nil {
				t.Errorf("%s: taken by New", name)
			}
		}
	})
}

// A customer cannot find out holders' names by asking for one request after the other, and one who asks too much holds up nobody else.
func TestPayeeChecksAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{bank: func(_ string, c *connector.Config) { c.ChecksPerHour = 3 }})
		ask := func() {
			_, jws := w.request(10_00, nil)
			w.payer.tell(intent.MediaCheck, must(intent.Check{Request: jws, DebtorAccount: w.payer.account}.Encode()))
		}
		for range 5 {
			ask()
		}
		if got := w.refused(w.payer, 2); got.Reason != connector.ReasonTooManyChecks {
			t.Errorf("%+v", got)
		}
		w.quiet()
		if n := len(w.payerBank.chats.to(w.payer.chat, intent.MediaPayeeCheck)); n != 3 {
			t.Errorf("%d checks answered", n)
		}
		time.Sleep(time.Hour + time.Second)
		ask()
		w.until("an hour later", func() bool { return len(w.payerBank.chats.to(w.payer.chat, intent.MediaPayeeCheck)) == 4 })
	})
}

// What is for a customer who has left the chat stays in the journal; it is not tried, and kept in memory, for ever.
func TestChatGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{})
		w.shopBank.chats.mu.Lock()
		w.shopBank.chats.gone = true
		w.shopBank.chats.mu.Unlock()
		w.ends(w.pay(10_00), lifecycle.Settled)
		w.quiet()
		if _, _, shop := w.balances(); shop != opening+10_00 || len(w.notices()) != 0 {
			t.Errorf("%d, %d notices", shop, len(w.notices()))
		}
		w.audit()
	})
}

// Whoever knows an intent cannot block its payment by sending a cent with the same end-to-end id.
func TestACentDoesNotBlockThePayment(t *testing.T) {
	onRails(t, func(t *testing.T, name string) {
		w := newWorld(t, name, options{})
		r, jws := w.request(10_00, nil)
		w.foreign("CENT", func(in *rail.TransferInput) { in.EndToEndID, in.Amount.Minor = r.Intent.EndToEndID(), 1 })
		w.until("a cent is credited", func() bool { return len(w.notices()) == 1 })
		w.payer.tell(intent.MediaMandate, w.approve(jws, w.check(r, jws), nil))
		if p := w.ends(r.Intent, lifecycle.Settled); p.Reason != "" {
			t.Errorf("%s", p.Reason)
		}
		w.until("both credits are told", func() bool { return len(w.notices()) == 2 })
		if got := w.notices()[1]; got.Intent != r.Intent || got.Amount != r.Amount {
			t.Errorf("%+v", got)
		}
		if _, _, shop := w.balances(); shop != opening+10_00+1 {
			t.Errorf("the shop has %d", shop)
		}
		if name != "rtp" { // without UETRs the rail's audit takes the two for one payment: they have one end-to-end id
			w.audit()
		}
	})
}

// A key that is revoked while the core bank is asked moves no money.
func TestRevokedWhileReserving(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{bank: func(_ string, c *connector.Config) { c.Core = slowReserve{c.Core} }})
		id := w.pay(10_00)
		if err := w.payerBank.engine.Revoke(context.Background(), w.payer.kid); err != nil {
			t.Fatal(err)
		}
		if p := w.ends(id, lifecycle.Rejected); p.Reason != "key.revoked" {
			t.Errorf("%s", p.Reason)
		}
		w.untouched("revoked while reserving")
		if last := w.receipts(id); last[len(last)-1].Reason != "key.revoked" {
			t.Errorf("%+v", last)
		}
		w.audit()
	})
}

type slowReserve struct{ connector.CoreBank }

func (s slowReserve) Reserve(ctx context.Context, key string, a payments.Account, amount payments.Amount) error {
	time.Sleep(time.Second)
	return s.CoreBank.Reserve(ctx, key, a, amount)
}

// The chat of a key that was revoked hears of no credit any more.
func TestRevokedKeyHearsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{})
		w.ends(w.pay(10_00), lifecycle.Settled)
		kid := must(intent.NewPublicKey(w.payee.Public())).ID()
		if err := w.shopBank.engine.Revoke(context.Background(), kid); err != nil {
			t.Fatal(err)
		}
		w.ends(w.pay(11_00), lifecycle.Settled)
		w.quiet()
		if got := len(w.notices()); got != 1 {
			t.Errorf("%d notices", got)
		}
	})
}
