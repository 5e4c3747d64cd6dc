package sdk

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/messaging/relay"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/lifecycle"
)

// A stage is a relay with a payer, a payee and a bank whose every word the test chooses.
type stage struct {
	t     *testing.T
	relay string
	bank  *fakeBank
	payer *actor
	payee *actor
}

// fakeBank is a device with a bank's key. It enrols whoever asks, and otherwise says what the test tells it to.
type fakeBank struct {
	*device.Device
	t     *testing.T
	key   ed25519.PrivateKey
	mu    sync.Mutex
	chats map[messaging.DeviceID]messaging.ChatID
	got   chan device.Message // everything but enrolments
}

type actor struct {
	*Client
	t    *testing.T
	news chan Payment
	text chan string
	fail chan error // what the payment handler returns next, nil if empty
}

func newKeyFile(t *testing.T, dir string) device.KeySource {
	t.Helper()
	path := filepath.Join(dir, "key")
	if err := device.NewKeyFile(path); err != nil {
		t.Fatal(err)
	}
	return device.KeyFile(path)
}

func background(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func newStage(t *testing.T) *stage {
	t.Helper()
	r, err := relay.New(relay.Config{Addr: "127.0.0.1:0", StoreDir: filepath.Join(t.TempDir(), "relay"), UnsafeTempStore: true})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, relay: "ws://" + r.Addr()}
	background(t, r.Run)

	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s.bank = &fakeBank{t: t, key: key, chats: map[messaging.DeviceID]messaging.ChatID{}, got: make(chan device.Message, 64)}
	if s.bank.Device, err = device.Open(t.Context(), device.Config{Path: filepath.Join(dir, "d"), Key: newKeyFile(t, dir), RelayURL: s.relay, Name: "bank"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.bank.Close() })
	s.bank.Handle(s.bank.take)
	background(t, s.bank.Run)
	<-s.bank.Ready()

	s.payer = s.open("payer")
	s.payee = s.open("payee")
	for role, a := range map[Role]*actor{Payer: s.payer, Payee: s.payee} {
		if _, err := a.Check(t.Context(), "pi_x"); !errors.Is(err, ErrNotEnrolled) {
			t.Fatalf("a check before enrolment: %v", err)
		}
		if _, err := a.Enrol(t.Context(), role, "ABCD-EFGH-JKMN-PQRS"); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *stage) open(name string) *actor {
	s.t.Helper()
	dir := s.t.TempDir()
	a := &actor{t: s.t, news: make(chan Payment, 64), text: make(chan string, 64), fail: make(chan error, 8)}
	var err error
	a.Client, err = Open(s.t.Context(), Config{Store: dir, Key: newKeyFile(s.t, dir), Relay: s.relay, Name: name, Log: slog.New(slog.DiscardHandler),
		Bank:   &Bank{Agent: "091000019", Device: s.bank.ID(), Key: s.bank.key.Public().(ed25519.PublicKey)},
		Unlock: func(context.Context, Payment) ([]string, error) { return []string{"swk", "pin"}, nil }})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { a.Close() })
	a.OnText(func(_ context.Context, t Text) error { a.text <- t.Body; return nil })
	a.OnPayment(func(_ context.Context, p Payment) error {
		a.news <- p
		select {
		case err := <-a.fail:
			return err
		default:
			return nil
		}
	})
	background(s.t, a.Run)
	return a
}

// wait returns the next news of an actor.
func (a *actor) wait(want News) Payment {
	a.t.Helper()
	select {
	case p := <-a.news:
		if p.News != want {
			a.t.Fatalf("the news is %q (%s), want %q", p.News, p.Status, want)
		}
		return p
	case <-time.After(10 * time.Second):
		a.t.Fatalf("no news, want %q", want)
		return Payment{}
	}
}

// quiet fails if anything has been told. What the test has sent before must have been taken by then: a text after it shows that.
func (a *actor) quiet() {
	a.t.Helper()
	select {
	case p := <-a.news:
		a.t.Fatalf("unexpected news %q, status %s", p.News, p.Status)
	default:
	}
}

func (b *fakeBank) take(ctx context.Context, m device.Message) error {
	mediaType, body := m.Content.First()
	b.mu.Lock()
	b.chats[m.Sender.Device] = m.Chat
	b.mu.Unlock()
	if mediaType != intent.MediaEnrol {
		b.got <- m
		return nil
	}
	e, err := intent.ParseEnrol(body)
	if err != nil {
		b.t.Error(err)
		return nil
	}
	consent, err := e.Verify("091000019", time.Now())
	if err != nil {
		b.t.Error(err)
		return nil
	}
	account, name := "400500600", "Example Coffee"
	if consent.Profile == intent.ProfileDeviceKey {
		account, name = "100200300", "Example Payer"
	}
	jws, err := intent.Enrolment{Key: consent.Key, Profile: consent.Profile, Audience: "091000019", Issued: time.Now(), Expires: time.Now().Add(time.Hour),
		Accounts: []intent.EnrolledAccount{{Account: must(payments.ParseAccount(account)), Name: must(payments.ParseName(name)), Agent: "091000019", Currency: "USD"}}}.Sign(b.key)
	if err != nil {
		b.t.Error(err)
		return nil
	}
	_, err = b.Send(ctx, m.Chat, content.Payment(intent.MediaEnrolment, jws, ""), device.SendOptions{})
	return err
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// says sends a statement to a customer.
func (b *fakeBank) says(to *actor, mediaType string, jws []byte, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	chat := b.chats[to.ID()]
	b.mu.Unlock()
	if _, err := b.Send(b.t.Context(), chat, content.Payment(mediaType, jws, ""), device.SendOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

// hears waits for a part of that type from a customer.
func (b *fakeBank) hears(mediaType string) []byte {
	b.t.Helper()
	select {
	case m := <-b.got:
		got, body := m.Content.First()
		if got != mediaType {
			b.t.Fatalf("the bank got %s, want %s", got, mediaType)
		}
		return body
	case <-time.After(10 * time.Second):
		b.t.Fatalf("the bank got nothing, want %s", mediaType)
		return nil
	}
}

// settle waits until the customer has taken everything that the bank has said before.
func (s *stage) settle(a *actor) {
	s.t.Helper()
	id := fmt.Sprint(time.Now().UnixNano())
	s.bank.mu.Lock()
	chat := s.bank.chats[a.ID()]
	s.bank.mu.Unlock()
	if _, err := s.bank.Send(s.t.Context(), chat, content.Text(id), device.SendOptions{}); err != nil {
		s.t.Fatal(err)
	}
	for {
		select {
		case text := <-a.text:
			if text == id {
				return
			}
		case <-time.After(10 * time.Second):
			s.t.Fatal("the customer does not listen")
		}
	}
}

// requested brings a payment to where the payer has been shown it.
func (s *stage) requested(key string) Payment {
	s.t.Helper()
	chat, err := s.payee.ChatWith(s.t.Context(), s.payer.ID())
	if err != nil {
		s.t.Fatal(err)
	}
	asked, err := s.payee.RequestPayment(s.t.Context(), chat, Order{Amount: payments.Amount{Minor: 450, Currency: "USD"}, Item: "flat white", Key: key})
	if err != nil {
		s.t.Fatal(err)
	}
	p := s.payer.wait(NewsRequested)
	if p.Intent != asked.Intent || p.Amount != asked.Amount || p.Creditor.Name.Reveal() != "Example Coffee" || p.Status != lifecycle.Presented || p.Role != Payer {
		s.t.Fatalf("the payer was shown %+v", p)
	}
	return p
}

func (s *stage) check(p Payment, result intent.MatchResult) {
	s.t.Helper()
	done := make(chan error, 1)
	go func() { _, err := s.payer.Check(s.t.Context(), p.Intent); done <- err }()
	c, err := intent.ParseCheck(s.bank.hears(intent.MediaCheck))
	if err != nil || c.DebtorAccount.Reveal() != "100200300" {
		s.t.Fatal(err)
	}
	now := time.Now()
	jws, err := intent.PayeeCheck{Intent: p.Intent, RequestHash: p.RequestHash, Result: result, Ref: "r", At: now, Nonce: intent.NewNonce(), Audience: "091000019", Expires: now.Add(time.Minute)}.Sign(s.bank.key)
	s.bank.says(s.payer, intent.MediaPayeeCheck, jws, err)
	if err := <-done; err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) receipt(p Payment, status intent.Status, seq uint64, change func(*intent.Receipt)) []byte {
	s.t.Helper()
	r := intent.Receipt{Issuer: "091000019", Intent: p.Intent, Status: status, Amount: p.Amount, RequestHash: p.RequestHash, At: time.Now(), Seq: seq}
	if change != nil {
		change(&r)
	}
	return must(r.Sign(s.bank.key))
}

func TestPaymentFromRequestToReceipt(t *testing.T) {
	s := newStage(t)
	p := s.requested("order 1")
	if again, err := s.payee.RequestPayment(t.Context(), p.Chat, Order{Amount: payments.Amount{Minor: 999, Currency: "USD"}, Key: "order 1"}); err != nil || again.Intent != p.Intent || again.Amount.Minor != 450 {
		t.Fatalf("the same order key made another request: %v %v", again.Intent, err)
	}
	if err := s.payer.Approve(t.Context(), p.Intent, ApproveOptions{}); err == nil {
		t.Fatal("approved without a payee check")
	}
	s.check(p, intent.Match)
	if err := s.payer.Approve(t.Context(), p.Intent, ApproveOptions{}); err != nil {
		t.Fatal(err)
	}
	approval, err := intent.ParseApproval(s.bank.hears(intent.MediaMandate))
	if err != nil {
		t.Fatal(err)
	}
	if u, err := intent.ParseMandate(approval.Mandate); err != nil || u.Intent() != p.Intent {
		t.Fatalf("the mandate: %v", err)
	}
	if got, err := s.payer.Payment(t.Context(), p.Intent); err != nil || !got.Approved || got.Status != lifecycle.Presented {
		t.Fatalf("a mandate is on its way, but: %v %v %v", got.Approved, got.Status, err)
	}
	if err := s.payer.Approve(t.Context(), p.Intent, ApproveOptions{}); err == nil {
		t.Fatal("approved twice")
	}
	if err := s.payer.Decline(t.Context(), p.Intent, "late"); err == nil {
		t.Fatal("declined after approving")
	}

	settled := s.receipt(p, intent.StatusSettled, 3, nil)
	s.bank.says(s.payer, intent.MediaReceipt, settled, nil)
	if got := s.payer.wait(NewsStatus); got.Status != lifecycle.Settled || got.Receipt == nil {
		t.Fatalf("%+v", got)
	}
	if final, err := s.payer.Wait(t.Context(), p.Intent); err != nil || final.Status != lifecycle.Settled {
		t.Fatal(err, final.Status)
	}
	if got := s.payee.wait(NewsReceipt); got.PayerSays != lifecycle.Settled || got.Status == lifecycle.Settled || got.Credited {
		t.Fatalf("the payee takes the payer's receipt for money: %+v", got)
	}
	credit := intent.Credited{Issuer: "091000019", Intent: p.Intent, EndToEndID: p.Intent.EndToEndID(), Amount: p.Amount, Account: p.Creditor.Account, At: time.Now()}
	s.payee.fail <- errors.New("the till is jammed")
	jws, err := credit.Sign(s.bank.key)
	s.bank.says(s.payee, intent.MediaCredited, jws, err)
	for range 2 { // the first handler failed, so it comes again
		if got := s.payee.wait(NewsCredited); got.Status != lifecycle.Settled || !got.Credited {
			t.Fatalf("%+v", got)
		}
	}
	s.bank.says(s.payee, intent.MediaCredited, jws, nil) // the same word in another message is no news
	s.settle(s.payee)
	s.payee.quiet()

	evidence, err := s.payer.Evidence(t.Context(), p.Intent)
	if err != nil || !bytes.Equal(evidence["receipt"], settled) || evidence["mandate"] == nil || evidence["request"] == nil || evidence["check"] == nil {
		t.Fatal("the evidence is not complete", err)
	}
}

// TestReceiptsRefused sends receipts that must change nothing.
func TestReceiptsRefused(t *testing.T) {
	s := newStage(t)
	p := s.requested("")
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	good := s.receipt(p, intent.StatusSettled, 9, nil)
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	other, err := payments.NewIntentID(time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, jws := range map[string][]byte{
		"another key":     must(intent.Receipt{Issuer: "091000019", Intent: p.Intent, Status: intent.StatusSettled, Amount: p.Amount, RequestHash: p.RequestHash, At: time.Now(), Seq: 1}.Sign(stranger)),
		"another amount":  s.receipt(p, intent.StatusSettled, 1, func(r *intent.Receipt) { r.Amount.Minor++ }),
		"another request": s.receipt(p, intent.StatusSettled, 1, func(r *intent.Receipt) { r.RequestHash[0]++ }),
		"another intent":  s.receipt(p, intent.StatusSettled, 1, func(r *intent.Receipt) { r.Intent = other }),
		"a changed byte":  flipped,
		"nothing":         {},
	} {
		s.bank.says(s.payer, intent.MediaReceipt, jws, nil)
		s.settle(s.payer)
		if got, err := s.payer.Payment(t.Context(), p.Intent); err != nil || got.Status != lifecycle.Presented || got.Receipt != nil {
			t.Errorf("%s: status %s, %v", name, got.Status, err)
		}
		s.payer.quiet()
	}

	// A good receipt from somebody else's device is no receipt of the bank's; to the payer it is a passed-on one of no payment of its own.
	if _, err := s.payee.Device().Send(t.Context(), p.Chat, content.Payment(intent.MediaReceipt, good, ""), device.SendOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.payee.Device().Send(t.Context(), p.Chat, content.Payment(intent.MediaPayeeCheck, good, ""), device.SendOptions{}); err != nil {
		t.Fatal(err)
	}

	// After the end nothing changes, and an older word does not count.
	s.bank.says(s.payer, intent.MediaReceipt, s.receipt(p, intent.StatusUnknown, 4, nil), nil)
	s.payer.wait(NewsStatus)
	s.bank.says(s.payer, intent.MediaReceipt, s.receipt(p, intent.StatusSubmitted, 3, nil), nil)
	s.bank.says(s.payer, intent.MediaReceipt, s.receipt(p, intent.StatusRejected, 5, nil), nil)
	if got := s.payer.wait(NewsStatus); got.Status != lifecycle.Rejected {
		t.Fatal(got.Status)
	}
	s.bank.says(s.payer, intent.MediaReceipt, good, nil)
	s.settle(s.payer)
	s.payer.quiet()
	if got, err := s.payer.Payment(t.Context(), p.Intent); err != nil || got.Status != lifecycle.Rejected {
		t.Fatal(got.Status, err)
	}
}

func TestCreditsRefused(t *testing.T) {
	s := newStage(t)
	p := s.requested("")
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	credit := intent.Credited{Issuer: "091000019", Intent: p.Intent, EndToEndID: p.Intent.EndToEndID(), Amount: p.Amount, Account: p.Creditor.Account, At: time.Now()}
	jws, err := credit.Sign(stranger)
	s.bank.says(s.payee, intent.MediaCredited, jws, err)
	jws, err = credit.Sign(s.bank.key)
	if err != nil {
		t.Fatal(err)
	}
	// The right word from the wrong device: the payer, in the chat.
	if _, err := s.payer.Device().Send(t.Context(), p.Chat, content.Payment(intent.MediaCredited, jws, ""), device.SendOptions{}); err != nil {
		t.Fatal(err)
	}
	s.settle(s.payee)
	s.payee.quiet()

	short := credit
	short.Amount.Minor--
	jws, err = short.Sign(s.bank.key)
	s.bank.says(s.payee, intent.MediaCredited, jws, err)
	if got := s.payee.wait(NewsStatus); got.Credited || got.Status == lifecycle.Settled || got.Reason == "" {
		t.Fatalf("too small a credit counts as paid: %+v", got)
	}

	// Somebody's cent with the intent's end-to-end id does not hide the payment that follows, nor takes it back.
	full, err := credit.Sign(s.bank.key)
	s.bank.says(s.payee, intent.MediaCredited, full, err)
	if got := s.payee.wait(NewsCredited); !got.Credited || got.Status != lifecycle.Settled || got.Reason != "" {
		t.Fatalf("the payment after too small a credit: %+v", got)
	}
	s.bank.says(s.payee, intent.MediaCredited, jws, nil)
	s.settle(s.payee)
	s.payee.quiet()
	if got, err := s.payee.Payment(t.Context(), p.Intent); err != nil || !got.Credited || got.Status != lifecycle.Settled {
		t.Fatal(got.Status, err)
	}
}

// A payer who declines while the bank carries out an earlier approval is told what the bank did: money that moved is never hidden
// behind the payer's own no.
func TestBankOutranksOwnDecline(t *testing.T) {
	s := newStage(t)
	p := s.requested("")
	s.check(p, intent.Match)
	if err := s.payer.Approve(t.Context(), p.Intent, ApproveOptions{}); err != nil {
		t.Fatal(err)
	}
	s.bank.hears(intent.MediaMandate)
	refusal, err := intent.Refusal{Issuer: "091000019", About: intent.MediaCheck, Intent: p.Intent, Reason: "too_many_checks", At: time.Now()}.Sign(s.bank.key)
	s.bank.says(s.payer, intent.MediaRefusal, refusal, err) // of an earlier question, on its way since before the approval
	s.payer.wait(NewsRefused)
	if err := s.payer.Decline(t.Context(), p.Intent, "changed-mind"); err != nil {
		t.Fatal(err)
	}
	s.payer.wait(NewsStatus)
	s.bank.says(s.payer, intent.MediaReceipt, s.receipt(p, intent.StatusExpired, 1, nil), nil) // no money either way: the own no stays
	s.bank.says(s.payer, intent.MediaReceipt, s.receipt(p, intent.StatusAuthorised, 2, nil), nil)
	if got := s.payer.wait(NewsStatus); got.Status != lifecycle.Authorised {
		t.Fatal(got.Status)
	}
	s.bank.says(s.payer, intent.MediaReceipt, s.receipt(p, intent.StatusSettled, 3, nil), nil)
	if got := s.payer.wait(NewsStatus); got.Status != lifecycle.Settled {
		t.Fatal(got.Status)
	}
	s.bank.says(s.payer, intent.MediaReceipt, s.receipt(p, intent.StatusRejected, 4, nil), nil)
	s.settle(s.payer)
	s.payer.quiet()
}

func TestNoMatchAndDecline(t *testing.T) {
	s := newStage(t)
	p := s.requested("")
	s.check(p, intent.NoMatch)
	if err := s.payer.Approve(t.Context(), p.Intent, ApproveOptions{}); !errors.Is(err, ErrNoMatch) {
		t.Fatalf("approving an account that is not the payee's: %v", err)
	}
	if err := s.payer.Decline(t.Context(), p.Intent, "no-match"); err != nil {
		t.Fatal(err)
	}
	if n, err := intent.ParseNotice(s.bank.hears(intent.MediaDecline)); err != nil || n.Intent != p.Intent || n.Reason != "no-match" {
		t.Fatal(err, n)
	}
	if got := s.payer.wait(NewsStatus); got.Status != lifecycle.Declined {
		t.Fatal(got.Status)
	}
	if got := s.payee.wait(NewsStatus); got.Status != lifecycle.Declined || got.Reason != "no-match" {
		t.Fatal(got.Status, got.Reason)
	}
	if err := s.payer.Approve(t.Context(), p.Intent, ApproveOptions{DespiteNoMatch: true}); err == nil {
		t.Fatal("approved after declining")
	}
}

// A payee who removes the payer from the chat before the end does not keep the bank's final word from the payer.
func TestReceiptAfterRemovalFromTheChat(t *testing.T) {
	s := newStage(t)
	p := s.requested("")
	if err := s.payee.Device().Remove(t.Context(), p.Chat, s.payer.ID()); err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if _, err := s.payer.Device().Chat(t.Context(), p.Chat); errors.Is(err, device.ErrLeft) {
			break
		} else if time.Since(begun) > 10*time.Second {
			t.Fatal("the payer does not hear that it was removed", err)
		}
	}
	s.check(p, intent.Match) // so that the bank knows the way to the payer
	s.bank.says(s.payer, intent.MediaReceipt, s.receipt(p, intent.StatusSettled, 1, nil), nil)
	if got := s.payer.wait(NewsStatus); got.Status != lifecycle.Settled {
		t.Fatal(got.Status)
	}
	if got, err := s.payer.Wait(t.Context(), p.Intent); err != nil || got.Receipt == nil {
		t.Fatal(err)
	}
}

// A message that the store failed on comes again; one that cannot change anything does not.
func TestStoreFailureIsNoRefusal(t *testing.T) {
	s := newStage(t)
	p := s.requested("")
	disk := errors.New("disk is full")
	_, err := s.payer.records.updateWith(t.Context(), p.Intent, func(context.Context, record, []device.Value) error { return disk }, func(*record) error { return nil })
	if got := s.payer.notTaken(intent.MediaReceipt, err); !errors.Is(got, disk) {
		t.Errorf("a failing store: %v", got)
	}
	_, err = s.payer.records.update(t.Context(), p.Intent, func(*record) error { return errors.New("another payment's") })
	if got := s.payer.notTaken(intent.MediaReceipt, err); err == nil || got != nil {
		t.Errorf("a refusal: %v", got)
	}
}

func TestBankRefuses(t *testing.T) {
	s := newStage(t)
	p := s.requested("")
	done := make(chan error, 1)
	go func() { _, err := s.payer.Check(t.Context(), p.Intent); done <- err }()
	s.bank.hears(intent.MediaCheck)
	jws, err := intent.Refusal{Issuer: "091000019", About: intent.MediaCheck, Intent: p.Intent, Reason: "limits", Text: "over the limit", At: time.Now()}.Sign(s.bank.key)
	s.bank.says(s.payer, intent.MediaRefusal, jws, err)
	var refused *Refused
	if err := <-done; !errors.As(err, &refused) || refused.Text != "over the limit" {
		t.Fatalf("got %v, want the bank's refusal", err)
	}
	if got := s.payer.wait(NewsRefused); got.Refusal == nil || got.Status != lifecycle.Presented {
		t.Fatalf("%+v", got)
	}
	s.check(p, intent.Match) // it can be tried again
	if err := s.payer.Approve(t.Context(), p.Intent, ApproveOptions{}); err != nil {
		t.Fatal(err)
	}
	s.bank.hears(intent.MediaMandate)
	jws, err = intent.Refusal{Issuer: "091000019", About: intent.MediaMandate, Intent: p.Intent, Reason: "limit", Text: "over the limit", At: time.Now()}.Sign(s.bank.key)
	s.bank.says(s.payer, intent.MediaRefusal, jws, err)
	if got := s.payer.wait(NewsRefused); got.Approved {
		t.Fatal("the bank refused the mandate, but the payment counts as approved")
	}
}

func TestPaymentsNewestFirst(t *testing.T) {
	s := newStage(t)
	first, second := s.requested("1"), s.requested("2")
	for max, want := range map[int][]payments.IntentID{0: nil, 1: {second.Intent}, 9: {second.Intent, first.Intent}} {
		for _, a := range []*actor{s.payer, s.payee} {
			got, err := a.Payments(t.Context(), max)
			if err != nil || len(got) != len(want) {
				t.Fatalf("at most %d: %d payments, %v", max, len(got), err)
			}
			for i, p := range got {
				if p.Intent != want[i] {
					t.Errorf("at most %d: payment %d is another one", max, i)
				}
			}
		}
	}
}

// TestRequestsRefused sends requests that must not be shown.
func TestRequestsRefused(t *testing.T) {
	s := newStage(t)
	p := s.requested("")
	evidence, err := s.payee.Evidence(t.Context(), p.Intent)
	if err != nil {
		t.Fatal(err)
	}
	jws := evidence["request"]
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	terms := p.Terms
	terms.Amount.Minor = 1
	terms.Items = nil
	changed, err := intent.SignRequest(intent.Request{Terms: terms, Issued: time.Now()}, stranger)
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{
		"repeated":                jws,
		"other terms, same id":    changed,
		"broken signature":        append(bytes.Clone(jws[:len(jws)-4]), "AAAA"...),
		"not a JWS":               []byte("{}"),
		"a mandate-like creature": []byte("a.b.c"),
	} {
		if _, err := s.payee.Device().Send(t.Context(), p.Chat, content.Payment(intent.MediaRequest, body, ""), device.SendOptions{}); err != nil {
			t.Fatal(name, err)
		}
	}
	fence := s.requested("fence") // arrives after all of them, and nothing else does
	if got, err := s.payer.Payment(t.Context(), p.Intent); err != nil || got.Amount != p.Amount || fence.Intent == p.Intent {
		t.Fatal(got.Amount, err)
	}
}

func TestEnrolRefused(t *testing.T) {
	s := newStage(t)
	fresh := s.open("late")
	if _, err := fresh.Enrol(t.Context(), Payer, "too short"); err == nil {
		t.Fatal("a malformed code was sent")
	}
	if _, err := fresh.Enrol(t.Context(), "thief", "ABCD-EFGH-JKMN-PQRS"); err == nil {
		t.Fatal("there is no such role")
	}
	fresh.config.Bank = nil
	if _, err := fresh.Enrol(t.Context(), Payer, "ABCD-EFGH-JKMN-PQRS"); !errors.Is(err, ErrNoBank) {
		t.Fatal(err)
	}
	if _, err := fresh.RequestPayment(t.Context(), messaging.ChatID{}, Order{Amount: payments.Amount{Minor: 1, Currency: "USD"}}); !errors.Is(err, ErrNoBank) {
		t.Fatal(err)
	}
}

func TestBankContact(t *testing.T) {
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := Bank{Agent: "091000019", Device: messaging.DeviceID{7}, Key: pub}
	got, err := ParseBank(b.String() + "\n")
	if err != nil || got.String() != b.String() {
		t.Fatal(err, got)
	}
	for _, bad := range []string{"", "bank", b.String() + ":x", strings.Replace(b.String(), "bank:", "bonk:", 1), strings.Replace(b.String(), "091000019", "091000018", 1),
		strings.Replace(b.String(), ":07", ":7", 1), b.String()[:len(b.String())-2], b.String() + "="} {
		if _, err := ParseBank(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
