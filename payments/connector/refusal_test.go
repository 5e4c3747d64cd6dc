package connector_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
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

// untouched fails if any money is held or has moved.
func (w *world) untouched(what string) {
	w.t.Helper()
	if payer, held, shop := w.balances(); payer != opening || held != 0 || shop != opening {
		w.t.Errorf("%s: balances: %d (held %d), %d", what, payer, held, shop)
	}
	if n := len(w.sim.Effects("", "").Payments); n != 0 {
		w.t.Errorf("%s: %d payments reached the rail", what, n)
	}
}

func TestMandateRefused(t *testing.T) {
	t.Parallel()
	other := must(payments.ParseName("Example Tea"))
	cases := []struct {
		name   string
		change func(*world, *intent.Mandate)
		reason intent.Reason
	}{
		{"amount", func(_ *world, m *intent.Mandate) { m.Amount.Minor++ }, intent.ReasonAmount},
		{"payee name", func(_ *world, m *intent.Mandate) { m.Creditor.Name = other }, intent.ReasonPayeeName},
		{"payee account", func(w *world, m *intent.Mandate) { m.Creditor.Account = w.payer.account }, intent.ReasonPayeeAccount},
		{"payee bank", func(w *world, m *intent.Mandate) { m.Creditor.Agent = w.payerBank.cfg.Agent }, intent.ReasonPayeeAgent},
		{"request hash", func(_ *world, m *intent.Mandate) { m.RequestHash[0] ^= 1 }, intent.ReasonRequestHash},
		{"audience", func(_ *world, m *intent.Mandate) { m.Audience = "shop-bank" }, intent.ReasonAudience},
		{"nonce", func(_ *world, m *intent.Mandate) { m.Nonce = intent.NewNonce() }, intent.ReasonNonceUnknown},
		{"payer's account", func(w *world, m *intent.Mandate) { m.Debtor.Account = w.shop.account }, intent.ReasonKeyAccount},
		{"expired", func(_ *world, m *intent.Mandate) {
			m.Issued, m.Expires = m.Issued.Add(-10*time.Minute), m.Issued.Add(-time.Minute)
		}, intent.ReasonExpired},
		{"check result", func(_ *world, m *intent.Mandate) { m.PayeeCheck.Result = intent.NotApplicable }, intent.ReasonPayeeCheck},
		{"override without warning", func(_ *world, m *intent.Mandate) { m.NoMatchOverride = true }, intent.ReasonNoMatch},
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "sctinst", options{})
		time.Sleep(20 * time.Minute) // so that a mandate can be old and its key older
		r, jws := w.request(10_00, nil)
		check := w.check(r, jws)
		for i, c := range cases {
			w.payer.tell(intent.MediaMandate, w.approve(jws, check, func(m *intent.Mandate) { c.change(w, m) }))
			if got := w.refused(w.payer, i+1); got.Reason != c.reason || got.Intent != r.Intent || got.About != intent.MediaMandate {
				t.Errorf("%s: refused for %s (%s) about %s, want %s", c.name, got.Reason, got.Text, got.Intent, c.reason)
			}
		}
		if p := w.state(w.payerBank, r.Intent, lifecycle.Debtor); p.State != lifecycle.Presented {
			t.Errorf("payment is %s", p.State)
		}
		w.untouched("refused mandates")
		// The right one still works: refusals used nothing up.
		w.payer.tell(intent.MediaMandate, w.approve(jws, check, nil))
		w.ends(r.Intent, lifecycle.Settled)
		w.audit()
	})
}

func TestForgedMandateRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{})
		r, jws := w.request(10_00, nil)
		check := w.check(r, jws)
		good := w.approve(jws, check, nil)
		// One flipped byte in the signature, and another key under the same id.
		approval := must(intent.ParseApproval(good))
		forged := flip(approval.Mandate)
		w.payer.tell(intent.MediaMandate, must(intent.Approval{Request: jws, Mandate: forged}.Encode()))
		if got := w.refused(w.payer, 1); got.Step != intent.StepSignature && got.Step != intent.StepForm {
			t.Errorf("flipped byte: %+v", got)
		}
		thief := *w.payer
		thief.key = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		thief.kid = must(intent.NewPublicKey(thief.key.Public())).ID()
		honest := w.payer
		w.payer = &thief
		stolen := w.approve(jws, check, nil)
		w.payer = honest
		w.payer.tell(intent.MediaMandate, stolen)
		if got := w.refused(w.payer, 2); got.Reason != intent.ReasonKeyUnknown {
			t.Errorf("unknown key: %+v", got)
		}
		for i, body := range [][]byte{nil, []byte("{}"), []byte(`{"mandate":"a.b.c","request":"a.b.c","x":1}`), []byte(strings.Repeat("[", 50_000))} {
			w.payer.tell(intent.MediaMandate, body)
			if got := w.refused(w.payer, 3+i); got.Step != intent.StepForm {
				t.Errorf("body %d: %+v", i, got)
			}
		}
		w.untouched("forged mandates")
	})
}

// flip changes one character of a JWS's signature into another of the alphabet.
func flip(jws []byte) []byte {
	b := append([]byte{}, jws...)
	if at := len(b) - 10; b[at] != 'A' {
		b[at] = 'A'
	} else {
		b[at] = 'B'
	}
	return b
}

// A mandate from another chat than the one where the key was enrolled and the check was given is refused, whoever relays it.
func TestOtherChatRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{})
		r, jws := w.request(10_00, nil)
		check := w.check(r, jws)
		mandate := w.approve(jws, check, nil)
		eve := &customer{bank: w.payerBank, chat: "chat-of-eve", account: w.payer.account}
		for i, m := range []struct {
			media  string
			body   []byte
			reason intent.Reason
		}{
			{intent.MediaMandate, mandate, intent.ReasonKeyUnknown},
			{intent.MediaCheck, must(intent.Check{Request: jws, DebtorAccount: w.payer.account}.Encode()), intent.ReasonKeyAccount},
			{intent.MediaDecline, must(intent.Notice{Intent: r.Intent}.Encode()), connector.ReasonUnknownIntent},
			{intent.MediaCancel, must(intent.Notice{Intent: r.Intent}.Encode()), connector.ReasonUnknownIntent},
		} {
			eve.tell(m.media, m.body)
			if got := w.refused(eve, i+1); got.Reason != m.reason {
				t.Errorf("%s: %+v, want %s", m.media, got, m.reason)
			}
		}
		if p := w.state(w.payerBank, r.Intent, lifecycle.Debtor); p.State != lifecycle.Presented {
			t.Errorf("payment is %s", p.State)
		}
		w.untouched("another chat")
	})
}

func TestSingleUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{})
		r, jws := w.request(10_00, nil)
		check := w.check(r, jws)
		first := w.approve(jws, check, nil)
		in := w.payer.message(intent.MediaMandate, first)
		for range 3 { // the same message, delivered again
			if err := w.payerBank.engine.HandleChat(context.Background(), in); err != nil {
				t.Fatal(err)
			}
		}
		w.ends(r.Intent, lifecycle.Settled)
		if n := len(w.refusals(w.payer)); n != 0 {
			t.Errorf("%d refusals of a repeated message", n)
		}
		// The same mandate in another message; a second mandate for the same intent; its nonce for another intent.
		w.payer.tell(intent.MediaMandate, first)
		if got := w.refused(w.payer, 1); got.Reason != intent.ReasonReplay {
			t.Errorf("replayed mandate: %+v", got)
		}
		w.payer.tell(intent.MediaMandate, w.approve(jws, check, func(m *intent.Mandate) { m.Expires = m.Expires.Add(-time.Second) }))
		if got := w.refused(w.payer, 2); got.Reason != intent.ReasonNonceUsed {
			t.Errorf("second mandate: %+v", got)
		}
		r2, jws2 := w.request(10_00, nil)
		check2 := w.check(r2, jws2)
		w.payer.tell(intent.MediaMandate, w.approve(jws2, check2, func(m *intent.Mandate) { m.Nonce = check.Nonce }))
		if got := w.refused(w.payer, 3); got.Reason != intent.ReasonNonceUnknown {
			t.Errorf("nonce of another intent: %+v", got)
		}
		// A message id that comes back with another body is not answered at all.
		in.Body = w.approve(jws2, check2, nil)
		if err := w.payerBank.engine.HandleChat(context.Background(), in); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if p := w.state(w.payerBank, r2.Intent, lifecycle.Debtor); p.State != lifecycle.Presented || len(w.refusals(w.payer)) != 3 {
			t.Errorf("reused message id: %s", p.State)
		}
		if m, n := w.executions(r.Intent); m != 1 || n != 1 {
			t.Errorf("%d messages, %d executions", m, n)
		}
		w.audit()
	})
}

// Two mandates for one intent at the same time: one wins.
func TestConcurrentMandatesForOneIntent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "sctinst", options{})
		r, jws := w.request(10_00, nil)
		check := w.check(r, jws)
		var wait sync.WaitGroup
		for i := range 16 {
			in := w.payer.message(intent.MediaMandate, w.approve(jws, check, func(m *intent.Mandate) { m.Expires = m.Expires.Add(-time.Duration(i) * time.Second) }))
			wait.Go(func() {
				if err := w.payerBank.engine.HandleChat(context.Background(), in); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		w.ends(r.Intent, lifecycle.Settled)
		if got := len(w.refusals(w.payer)); got != 15 {
			t.Errorf("%d of 16 mandates refused", got)
		}
		if payer, _, _ := w.balances(); payer != opening-10_00 {
			t.Errorf("payer has %d", payer)
		}
		w.audit()
	})
}

// 64 mandates at once against a limit for six: six pass, and a rejected payment gives its share back.
func TestDailyLimitUnderConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		usd := func(minor int64) payments.Amount { return payments.Amount{Minor: minor, Currency: "USD"} }
		w := newWorld(t, "fednow", options{limits: intent.Limits{PerPayment: usd(15_00), PerDay: usd(65_00)}})
		var bodies [][]byte
		var ids []payments.IntentID
		for range 64 {
			r, jws := w.request(10_00, nil)
			ids = append(ids, r.Intent)
			bodies = append(bodies, w.approve(jws, w.check(r, jws), nil))
		}
		var wait sync.WaitGroup
		for _, body := range bodies {
			in := w.payer.message(intent.MediaMandate, body)
			wait.Go(func() {
				if err := w.payerBank.engine.HandleChat(context.Background(), in); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		w.until("58 refusals", func() bool { return len(w.refusals(w.payer)) == 58 })
		w.quiet()
		settled := 0
		for _, id := range ids {
			if p := w.state(w.payerBank, id, lifecycle.Debtor); p.State == lifecycle.Settled {
				settled++
			} else if p.State != lifecycle.Presented {
				t.Errorf("a payment is %s", p.State)
			}
		}
		if settled != 6 {
			t.Errorf("%d settled, want 6", settled)
		}
		for _, r := range w.refusals(w.payer) {
			if r.Step != intent.StepLimits || r.Reason != intent.ReasonLimit {
				t.Errorf("refused for %+v", r)
			}
		}
		// 60.00 used. 5.02 is rejected by the payee's bank (magic 02) and given back, so 5.00 still fits; 15.01 is over the limit for one.
		w.ends(w.pay(5_00-98), lifecycle.Rejected)
		w.ends(w.pay(5_00), lifecycle.Settled)
		n := len(w.refusals(w.payer))
		w.pay(15_01)
		if got := w.refused(w.payer, n+1); got.Step != intent.StepLimits {
			t.Errorf("over the limit for one payment: %+v", got)
		}
		w.audit()
	})
}

func TestPayeeCheckResults(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		change func(*world, *intent.Request)
		want   intent.MatchResult
	}{
		{"same name", func(*world, *intent.Request) {}, intent.Match},
		{"typing error", func(_ *world, r *intent.Request) { r.Creditor.Name = must(payments.ParseName("Example Cofee")) }, intent.CloseMatch},
		{"other name", func(_ *world, r *intent.Request) { r.Creditor.Name = must(payments.ParseName("Invented Books")) }, intent.NoMatch},
		{"closed account", func(w *world, r *intent.Request) {
			r.Creditor.Account = must(payments.ParseAccount(rails[w.rail].closed))
		}, intent.NotApplicable},
		{"unknown bank", func(w *world, r *intent.Request) {
			r.Creditor.Agent = map[string]payments.AgentID{"fednow": "121000248", "sctinst": "SIMBNLA0", "rtp": "121000248", "pix": "30000000"}[w.rail]
		}, intent.NotApplicable},
	}
	onRails(t, func(t *testing.T, name string) {
		w := newWorld(t, name, options{})
		for _, c := range cases {
			r, jws := w.request(10_00, func(r *intent.Request) { c.change(w, r) })
			if got := w.check(r, jws); got.Result != c.want || (got.MatchedName == payments.Name{}) != (c.want != intent.CloseMatch) {
				t.Errorf("%s: %s, want %s", c.name, got.Result, c.want)
			}
		}
		// No match is payable only when the payer insists, in the signed bytes.
		r, jws := w.request(10_00, func(r *intent.Request) { r.Creditor.Name = must(payments.ParseName("Invented Books")) })
		check := w.check(r, jws)
		w.payer.tell(intent.MediaMandate, w.approve(jws, check, nil))
		if got := w.refused(w.payer, 1); got.Reason != intent.ReasonNoMatch {
			t.Errorf("no match: %+v", got)
		}
		w.untouched("no match")
		w.payer.tell(intent.MediaMandate, w.approve(jws, check, func(m *intent.Mandate) { m.NoMatchOverride = true }))
		w.ends(r.Intent, lifecycle.Settled)
		// The other bank is silent: no answer in time is NOAP.
		w.shopBank.end()
		r, jws = w.request(10_00, nil)
		if got := w.check(r, jws); got.Result != intent.NotApplicable {
			t.Errorf("silent bank: %s", got.Result)
		}
		w.shopBank.start()
	})
}

func TestDeclineCancelExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{})
		for i, c := range []struct {
			media string
			want  lifecycle.State
		}{{intent.MediaDecline, lifecycle.Declined}, {intent.MediaCancel, lifecycle.Cancelled}} {
			r, jws := w.request(10_00, nil)
			check := w.check(r, jws)
			w.payer.tell(c.media, must(intent.Notice{Intent: r.Intent, Reason: "changed-mind"}.Encode()))
			if p := w.ends(r.Intent, c.want); p.Reason != "changed-mind" {
				t.Errorf("reason %q", p.Reason)
			}
			if got := w.receipts(r.Intent); statuses(got) != string(c.want) || got[0].Reason != "changed-mind" {
				t.Errorf("receipts: %+v", got)
			}
			w.payer.tell(intent.MediaMandate, w.approve(jws, check, nil))
			if got := w.refused(w.payer, i+1); got.Reason != connector.ReasonTooLate {
				t.Errorf("mandate after %s: %+v", c.want, got)
			}
		}
		r, jws := w.request(10_00, func(r *intent.Request) { r.Expires = time.Now().Add(30 * time.Second) })
		check := w.check(r, jws)
		late := w.approve(jws, check, nil)
		w.ends(r.Intent, lifecycle.Expired)
		w.payer.tell(intent.MediaMandate, late)
		if got := w.refused(w.payer, 3); got.Reason != intent.ReasonExpired && got.Reason != intent.ReasonRequestExpiry && got.Reason != connector.ReasonTooLate {
			t.Errorf("mandate after expiry: %+v", got)
		}
		w.untouched("declined, cancelled, expired")
		// After the decision to send it is too late, and the answer says so.
		id := w.pay(10_00)
		w.ends(id, lifecycle.Settled)
		for i, media := range []string{intent.MediaCancel, intent.MediaDecline} {
			w.payer.tell(media, must(intent.Notice{Intent: id}.Encode()))
			if got := w.refused(w.payer, 4+i); got.Reason != connector.ReasonTooLate || !strings.Contains(got.Text, "settled") {
				t.Errorf("%s after settlement: %+v", media, got)
			}
		}
		w.audit()
	})
}

func TestEnrolmentRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{notEnroled: true})
		now := time.Now()
		code, late := intent.NewOneTimeCode(), intent.NewOneTimeCode()
		for c, expires := range map[string]time.Time{code: now.Add(time.Hour), late: now.Add(time.Minute)} {
			if err := w.payerBank.engine.AddCode(context.Background(), connector.Code{Hash: must(intent.HashCode(c)), Profile: intent.ProfileDeviceKey,
				Accounts: []payments.Account{w.payer.account}, Expires: expires}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Minute)
		now = time.Now()
		second := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		w.payer.tell(intent.MediaEnrol, must(intent.NewEnrol(code, w.payer.key, intent.ProfileDeviceKey, "payer-bank", now)))
		w.until("enrolled", func() bool { return len(w.payerBank.chats.to(w.payer.chat, intent.MediaEnrolment)) == 1 })
		for i, c := range []struct {
			name   string
			body   []byte
			reason intent.Reason
		}{
			{"unknown code", must(intent.NewEnrol(intent.NewOneTimeCode(), second, intent.ProfileDeviceKey, "payer-bank", now)), intent.ReasonCode},
			{"used code", must(intent.NewEnrol(code, second, intent.ProfileDeviceKey, "payer-bank", now)), intent.ReasonCode},
			{"expired code", must(intent.NewEnrol(late, second, intent.ProfileDeviceKey, "payer-bank", now)), intent.ReasonCode},
			{"other bank", must(intent.NewEnrol(late, second, intent.ProfileDeviceKey, "shop-bank", now)), intent.ReasonAudience},
			{"old consent", must(intent.NewEnrol(late, second, intent.ProfileDeviceKey, "payer-bank", now.Add(-time.Hour))), intent.ReasonExpired},
			{"other kind of key", must(intent.NewEnrol(late, w.payee, intent.ProfilePayee, "payer-bank", now)), intent.ReasonCode},
			{"known key", must(intent.NewEnrol(late, w.payer.key, intent.ProfileDeviceKey, "payer-bank", now)), intent.ReasonDuplicate},
			{"no JSON", []byte("code"), intent.ReasonForm},
		} {
			w.payer.tell(intent.MediaEnrol, c.body)
			if got := w.refused(w.payer, i+1); got.Reason != c.reason {
				t.Errorf("%s: %+v, want %s", c.name, got, c.reason)
			}
		}
		// Guessing ends after ten.
		for range 2 {
			w.payer.tell(intent.MediaEnrol, must(intent.NewEnrol(intent.NewOneTimeCode(), second, intent.ProfileDeviceKey, "payer-bank", now)))
		}
		fresh := intent.NewOneTimeCode()
		if err := w.payerBank.engine.AddCode(context.Background(), connector.Code{Hash: must(intent.HashCode(fresh)), Profile: intent.ProfileDeviceKey,
			Accounts: []payments.Account{w.payer.account}, Expires: now.Add(2 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		w.payer.tell(intent.MediaEnrol, must(intent.NewEnrol(fresh, second, intent.ProfileDeviceKey, "payer-bank", now)))
		if got := w.refused(w.payer, 11); got.Reason != connector.ReasonTooMany {
			t.Errorf("eleventh attempt: %+v", got)
		}
	})
}

func TestRevokedKeyRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{})
		r, jws := w.request(10_00, nil)
		mandate := w.approve(jws, w.check(r, jws), nil)
		if err := w.payerBank.engine.Revoke(context.Background(), w.payer.kid); err != nil {
			t.Fatal(err)
		}
		w.payer.tell(intent.MediaMandate, mandate)
		if got := w.refused(w.payer, 1); got.Reason != intent.ReasonKeyRevoked {
			t.Errorf("revoked key: %+v", got)
		}
		w.untouched("revoked key")
	})
}

func TestOtherRequestForOneIntentRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{})
		r, jws := w.request(10_00, nil)
		w.check(r, jws)
		r2 := r
		r2.Amount.Minor = 99_00
		ask := func(body []byte) {
			w.payer.tell(intent.MediaCheck, must(intent.Check{Request: body, DebtorAccount: w.payer.account}.Encode()))
		}
		ask(must(intent.SignRequest(r2, w.payee)))
		if got := w.refused(w.payer, 1); got.Reason != intent.ReasonRequestHash {
			t.Errorf("other terms: %+v", got)
		}
		for range 7 {
			w.check(r, jws)
		}
		ask(jws)
		if got := w.refused(w.payer, 2); got.Reason != connector.ReasonTooManyChecks {
			t.Errorf("ninth check: %+v", got)
		}
		ask(flip(jws))
		if got := w.refused(w.payer, 3); got.Reason != intent.ReasonRequest {
			t.Errorf("forged request: %+v", got)
		}
		other, body := w.request(10_00, func(r *intent.Request) { r.Rails = []string{"sctinst"} })
		ask(body)
		if got := w.refused(w.payer, 4); got.Reason != intent.ReasonRails || got.Intent != other.Intent {
			t.Errorf("other rail: %+v", got)
		}
	})
}

func TestFundsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "sctinst", options{})
		id := w.pay(opening + 1)
		p := w.ends(id, lifecycle.Rejected)
		if got := w.receipts(id); p.Reason != "AM04" || statuses(got) != "authorised rejected" || got[1].ISO.Reason != "AM04" {
			t.Errorf("%s, receipts: %+v", p.Reason, got)
		}
		w.untouched("no funds")
		w.audit()
	})
}

// badTransport gives the bank messages of its own before the rail's.
type badTransport struct {
	rail.Transport
	mu  sync.Mutex
	bad [][]byte
	seq uint64 // added to the rail's sequence
	// answers is what the transport says that they answer.
	answers string
}

func (b *badTransport) Receive(ctx context.Context, after uint64, max int) ([]rail.Delivery, error) {
	b.mu.Lock()
	bad := b.bad
	b.bad = nil
	b.mu.Unlock()
	if len(bad) > 0 {
		var ds []rail.Delivery
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, wire := range bad {
			b.seq++
			ds = append(ds, rail.Delivery{Seq: after + uint64(len(ds)) + 1, Wire: wire, Answers: b.answers})
		}
		return ds, nil
	}
	b.mu.Lock()
	shift := b.seq
	b.mu.Unlock()
	ds, err := b.Transport.Receive(ctx, after-min(after, shift), max)
	for i := range ds {
		ds[i].Seq += shift
	}
	return ds, err
}

// Bad messages from the rail are recorded and stop nothing else.
func TestBadMessagesFromTheRail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var bad *badTransport
		w := newWorld(t, "fednow", options{bank: func(name string, c *connector.Config) {
			if name == "payer-bank" {
				bad = &badTransport{Transport: c.Transport}
				c.Transport = bad
			}
		}})
		id := w.pay(10_00)
		w.ends(id, lifecycle.Settled)
		docs := [][]byte{nil, []byte("<"), []byte("hello"), []byte(`<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>`), []byte(strings.Repeat("<a>", 30_000))}
		bad.mu.Lock()
		bad.bad = docs
		bad.mu.Unlock()
		w.until("all recorded", func() bool { return len(w.cases(w.payerBank)) == len(docs) })
		for _, kind := range w.cases(w.payerBank) {
			if kind != "bad-message" {
				t.Errorf("case %s", kind)
			}
		}
		if got := len(must(w.payerBank.journal.Values(context.Background(), "dead-letter", "", 0))); got != len(docs) {
			t.Errorf("%d dead letters", got)
		}
		w.ends(w.pay(11_00), lifecycle.Settled)
		w.audit()
	})
}

// Whatever a rail does, the payment ends as the money went: a status for a payment nobody made, and one in the middle of garbage, change
// nothing, and an answer that is lost in transit is found.
func TestStrayAndGarbledStatuses(t *testing.T) {
	t.Parallel()
	certs := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		for _, action := range []string{"stray", "garbled", "unknown", "error", "throttle", "lose", "html", "ok", "hang", "tls", "reset", "huge", "slow", "gap", "early", "currency", "planned", "skew", "duplicate", "contradict", "late"} {
			w := newWorld(t, "sctinst", options{sim: func(c *railsim.Config) {
				c.Rules = []railsim.Rule{{Match: railsim.Match{Amount: "17.00"}, Action: railsim.Action{Do: action}, Times: 1}}
				c.TLSDir = certs
			}})
			id := w.pay(17_00)
			want := lifecycle.Settled
			switch action {
			case "unknown":
				want = lifecycle.Rejected
			case "lose":
				want = lifecycle.Unknown
			}
			w.ends(id, want)
			time.Sleep(5 * time.Minute)
			if p := w.state(w.payerBank, id, lifecycle.Debtor); p.State != want {
				t.Errorf("%s: ends %s (%s)", action, p.State, p.Reason)
			} else if want == lifecycle.Unknown {
				if p.Enquiries != 3 || len(w.cases(w.payerBank)) != 1 {
					t.Errorf("%s: %d enquiries, cases %v", action, p.Enquiries, w.cases(w.payerBank))
				}
				last := w.receipts(id)[len(w.receipts(id))-1]
				if last.Status != intent.StatusUnknown || last.Reason != "payer_restored" {
					t.Errorf("%s: %+v", action, last)
				}
			}
			w.audit()
			w.close()
		}
	})
}

// A chat or a core bank that does not answer delays, and loses nothing.
func TestPortsThatFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "fednow", options{bank: func(_ string, c *connector.Config) { c.Core = &flakyCore{CoreBank: c.Core, fail: 4} }})
		w.payerBank.chats.mu.Lock()
		w.payerBank.chats.fail = 5
		w.payerBank.chats.mu.Unlock()
		id := w.pay(10_00)
		w.ends(id, lifecycle.Settled)
		w.until("credited", func() bool { return w.credited(id) == 1 })
		if payer, held, shop := w.balances(); payer != opening-10_00 || held != 0 || shop != opening+10_00 {
			t.Errorf("balances: %d (held %d), %d", payer, held, shop)
		}
		w.audit()
	})
}

// flakyCore carries calls out and then loses the answer, every second time at first.
type flakyCore struct {
	connector.CoreBank
	mu   sync.Mutex
	fail int
}

func (f *flakyCore) lost() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail > 0 {
		f.fail--
		return context.DeadlineExceeded
	}
	return nil
}

func (f *flakyCore) Reserve(ctx context.Context, key string, a payments.Account, amount payments.Amount) error {
	if err := f.CoreBank.Reserve(ctx, key, a, amount); err != nil {
		return err
	}
	return f.lost()
}

func (f *flakyCore) Post(ctx context.Context, key string) error {
	if err := f.CoreBank.Post(ctx, key); err != nil {
		return err
	}
	return f.lost()
}

func (f *flakyCore) Credit(ctx context.Context, key string, a payments.Account, amount payments.Amount) (string, error) {
	ref, err := f.CoreBank.Credit(ctx, key, a, amount)
	if err != nil {
		return ref, err
	}
	return ref, f.lost()
}

var _ journal.Journal = (*breaker)(nil)

// silentRail fails, or holds the question open.
type silentRail struct {
	rail.Transport
	fail atomic.Bool
}

func (s *silentRail) Receive(ctx context.Context, after uint64, max int) ([]rail.Delivery, error) {
	if s.fail.Load() {
		return nil, errors.New("no route")
	}
	return s.Transport.Receive(ctx, after, max)
}

func TestReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		silent := &silentRail{}
		w := newWorld(t, "fednow", options{bank: func(name string, c *connector.Config) {
			if name == "payer-bank" {
				silent.Transport = c.Transport
				c.Transport = silent
			}
		}})
		if err := w.payerBank.engine.Ready(); err != nil {
			t.Errorf("a rail with nothing to say: %v", err)
		}
		silent.fail.Store(true)
		w.until("not ready", func() bool { return w.payerBank.engine.Ready() != nil })
		silent.fail.Store(false)
		w.until("ready", func() bool { return w.payerBank.engine.Ready() == nil })
		w.payerBank.end()
		if err := w.payerBank.engine.Ready(); !errors.Is(err, connector.ErrStopped) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// troubledRail fails to send the first messages, and remembers all that it was given.
type troubledRail struct {
	rail.Transport
	mu      sync.Mutex
	outcome payments.Outcome
	times   int
	given   [][]byte
}

func (r *troubledRail) Send(ctx context.Context, wire []byte) error {
	r.mu.Lock()
	r.given = append(r.given, wire)
	fail := r.times > 0
	r.times--
	r.mu.Unlock()
	if fail {
		return &rail.SendError{Outcome: r.outcome, Err: errors.New("trouble")}
	}
	return r.Transport.Send(ctx, wire)
}

// What the transport says decides: not sent is sent again as it was, refused ends it, and after an open outcome nothing is sent again.
func TestTransportOutcomes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		outcome  payments.Outcome
		times    int
		want     lifecycle.State
		attempts int // of the transfer; 0 = many
		messages int // that arrived
	}{
		{payments.OutcomeNotSent, 3, lifecycle.Settled, 4, 1},
		{payments.OutcomeNotSent, 1000, lifecycle.Unknown, 0, 0},
		{payments.OutcomeRefused, 1, lifecycle.Rejected, 1, 0},
		{payments.OutcomeUnknown, 1, lifecycle.Unknown, 1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			troubled := &troubledRail{outcome: c.outcome, times: c.times}
			w := newWorld(t, "sctinst", options{bank: func(name string, cfg *connector.Config) {
				if name == "payer-bank" {
					troubled.Transport = cfg.Transport
					cfg.Transport = troubled
				}
			}})
			id := w.pay(10_00)
			w.ends(id, c.want)
			time.Sleep(5 * time.Minute)
			w.quiet()
			p := w.state(w.payerBank, id, lifecycle.Debtor)
			transfers := 0
			for _, wire := range troubled.given {
				if strings.Contains(string(wire), "pacs.008") && !strings.Contains(string(wire), "OrgnlMsgId") {
					transfers++
					if string(wire) != string(troubled.given[0]) {
						t.Errorf("%s: the transfer changed between attempts", c.outcome)
					}
				}
			}
			if m, _ := w.executions(id); p.State != c.want || m != c.messages || c.attempts > 0 && transfers != c.attempts || transfers < 1 {
				t.Errorf("%s: ends %s (%s), %d attempts, %d messages", c.outcome, p.State, p.Reason, transfers, m)
			}
			if _, held, _ := w.balances(); held != 0 { // SCT Inst gives the payer's money back at the tenth second
				t.Errorf("%s: %d held", c.outcome, held)
			}
			if last := w.receipts(id)[len(w.receipts(id))-1]; c.outcome == payments.OutcomeRefused && last.Reason != "transport_refused" {
				t.Errorf("receipt: %+v", last)
			}
			w.audit()
		})
	}
}

// A clock that is set back does not bring back what has expired.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Int64
		w := newWorld(t, "fednow", options{bank: func(_ string, c *connector.Config) {
			c.Now = func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
		}})
		r, jws := w.request(10_00, func(r *intent.Request) { r.Expires = time.Now().Add(time.Minute) })
		mandate := w.approve(jws, w.check(r, jws), nil)
		time.Sleep(2 * time.Minute)
		back.Store(int64(10 * time.Minute))
		for _, restart := range []bool{false, true} {
			if restart {
				w.payerBank.end()
				w.payerBank.start()
			}
			n := len(w.refusals(w.payer))
			w.payer.tell(intent.MediaMandate, mandate)
			w.refused(w.payer, n+1)
		}
		if p := w.state(w.payerBank, r.Intent, lifecycle.Debtor); p.State != lifecycle.Expired {
			t.Errorf("payment is %s", p.State)
		}
		w.untouched("a clock set back")
	})
}

// deafCore answers no look-up.
type deafCore struct{ connector.CoreBank }

func (deafCore) LookUp(context.Context, payments.Account) (connector.AccountInfo, error) {
	return connector.AccountInfo{}, context.DeadlineExceeded
}

// The payee's bank says no to what it cannot credit, in time and with the reason, and nothing moves.
func TestIncomingTransferRefused(t *testing.T) {
	onRails(t, func(t *testing.T, name string) {
		unknown := map[string]string{"fednow": "111222333", "sctinst": "NL91ABNA0417164300", "rtp": "111222333", "pix": "11222333000181C777777A4000"}[name]
		w := newWorld(t, name, options{})
		pay := func(account string) payments.IntentID {
			r, jws := w.request(10_00, func(r *intent.Request) { r.Creditor.Account = must(payments.ParseAccount(account)) })
			check := w.check(r, jws)
			if check.Result != intent.NotApplicable {
				t.Errorf("check: %s", check.Result)
			}
			w.payer.tell(intent.MediaMandate, w.approve(jws, check, nil))
			return r.Intent
		}
		for account, reason := range map[string]string{rails[name].closed: "AC04", unknown: "AC03"} {
			id := pay(account)
			if p := w.ends(id, lifecycle.Rejected); p.Reason != reason {
				t.Errorf("refused for %s, want %s", p.Reason, reason)
			}
			if p := w.state(w.shopBank, id, lifecycle.Creditor); p.State != lifecycle.Rejected || p.Answer != "RJCT" || p.AnswerReason != reason {
				t.Errorf("shop's bank: %s %s %s", p.State, p.Answer, p.AnswerReason)
			}
		}
		w.shopBank.end()
		w.shopBank.cfg.Core = deafCore{w.shopBank.core}
		w.shopBank.start()
		if p := w.ends(pay(rails[name].shop), lifecycle.Rejected); p.Reason != "AB08" {
			t.Errorf("a core bank that does not answer: %s", p.Reason)
		}
		if payer, held, shop := w.balances(); payer != opening || held != 0 || shop != opening {
			t.Errorf("balances: %d (held %d), %d", payer, held, shop)
		}
		w.audit()
	})
}

// The rail asks what we answered: it hears the same again, three times at most. About others' transfers it hears nothing.
func TestAnswerAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var bad *badTransport
		var troubled *troubledRail
		w := newWorld(t, "fednow", options{bank: func(name string, c *connector.Config) {
			if name == "shop-bank" {
				troubled = &troubledRail{Transport: c.Transport}
				bad = &badTransport{Transport: troubled}
				c.Transport = bad
			}
		}})
		id := w.pay(10_00)
		w.ends(id, lifecycle.Settled)
		profile := w.sim.Profile()
		x := w.state(w.shopBank, id, lifecycle.Creditor).Execution
		ask := func(original string, n int) []byte {
			m := &rail.Message{Header: profile.NewHeader(profile.Service, w.shopBank.cfg.Agent, rail.MsgRequest, "B"+strings.Repeat("1", n), time.Now()),
				Request: &iso20022.StatusRequest{MessageID: "B" + strings.Repeat("1", n), Created: time.Now().UTC().Truncate(time.Second), OriginalMessageID: original, OriginalMsgName: rail.MsgTransfer,
					OriginalCreated: x.Created, OriginalEndToEnd: x.EndToEnd, OriginalUETR: x.UETR, Instructing: profile.Agent(profile.Service), Instructed: profile.Agent(w.shopBank.cfg.Agent)}}
			return must(profile.Encode(m))
		}
		bad.mu.Lock()
		for n := 1; n <= 5; n++ {
			bad.bad = append(bad.bad, ask(x.MessageID, n))
		}
		bad.bad = append(bad.bad, ask("20261123OTHER00001", 9))
		bad.mu.Unlock()
		w.until("the stranger's is a case", func() bool { return len(w.cases(w.shopBank)) == 1 && w.cases(w.shopBank)[0] == "orphan-enquiry" })
		w.quiet()
		troubled.mu.Lock()
		defer troubled.mu.Unlock()
		if len(troubled.given) != 1+3 {
			t.Errorf("%d answers", len(troubled.given))
		}
		if p := w.state(w.shopBank, id, lifecycle.Creditor); p.State != lifecycle.Settled {
			t.Errorf("%s", p.State)
		}
		w.audit()
	})
}
