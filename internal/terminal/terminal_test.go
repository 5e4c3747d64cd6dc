package terminal

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/sdk"
)

func payment(t *testing.T) sdk.Payment {
	t.Helper()
	name, err := payments.ParseName("Example\u202e Coffee")
	if err != nil {
		t.Fatal(err)
	}
	account, err := payments.ParseAccount("400500600")
	if err != nil {
		t.Fatal(err)
	}
	return sdk.Payment{Intent: "pi_x", Role: sdk.Payer, News: sdk.NewsRequested, Status: lifecycle.Presented, Terms: intent.Terms{
		Amount: payments.Amount{Minor: 450, Currency: "USD"}, Creditor: intent.Creditor{Name: name, Account: account, Agent: "091000019"},
		Items: []intent.Item{{Name: "flat\x1b[2J white", Quantity: 1}}, Expires: time.Now().Add(time.Hour)}}
}

// TestDescribe checks that what a person approves is all there, and that nothing in it can redraw the screen.
func TestDescribe(t *testing.T) {
	p := payment(t)
	for result, want := range map[intent.MatchResult]string{intent.Match: "is the payee's", intent.CloseMatch: "is that whom you mean", intent.NoMatch: "NOT THE PAYEE'S", intent.NotApplicable: "could not find out"} {
		p.Check = &intent.PayeeCheck{Result: result}
		text := Describe(p)
		for _, part := range []string{"USD 4.50", "Coffee", "400500600", "091000019", "white", want} {
			if !strings.Contains(text, part) {
				t.Errorf("%q is not in %q", part, text)
			}
		}
		if strings.ContainsAny(text, "\x1b\u202e") {
			t.Errorf("a character that controls the screen came through: %q", text)
		}
	}
}

// TestDescribeChat checks that a classical chat stands out, and who was compared with and who was not.
func TestDescribeChat(t *testing.T) {
	c := sdk.Chat{Suite: mls.XWingAES256GCM, Members: []sdk.Member{{Name: "I", Own: true, Verified: true}, {Name: "B\x1b[2J", Verified: true}, {Name: "C"}}}
	text := DescribeChat(c)
	for _, want := range []string{"post-quantum", "I (you)", "(verified)", "C (not verified", "MLKEM768X25519"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "CLASSICAL") || strings.Contains(text, "\x1b") {
		t.Errorf("printed %q", text)
	}
	c.Suite = mls.X25519AES128GCM
	if text := DescribeChat(c); !strings.Contains(text, "CLASSICAL") || strings.Contains(text, "post-quantum") {
		t.Errorf("a classical chat does not stand out: %q", text)
	}
}

func TestStatusOfUnknownWarns(t *testing.T) {
	if text := Status(sdk.Payment{Status: lifecycle.Unknown}); !strings.Contains(text, "do not pay again") {
		t.Errorf("unknown reads %q", text)
	}
}

func TestStatusSaysWhetherItIsApproved(t *testing.T) {
	p := payment(t)
	if text := Status(p); text != "nothing is approved" {
		t.Errorf("before approval: %q", text)
	}
	if p.Approved = true; !strings.HasPrefix(Status(p), "approved") {
		t.Errorf("after approval, before the bank's answer: %q", Status(p))
	}
}

func TestReasonsInWords(t *testing.T) {
	for reason, want := range map[string]string{"AC03": "rejected (AC03: the payee's account does not exist)", "ZZ99": "rejected (ZZ99)", "": "rejected"} {
		if got := Status(sdk.Payment{Status: lifecycle.Rejected, Reason: reason}); got != want {
			t.Errorf("%q reads %q", reason, got)
		}
	}
}

func TestPassphraseIsNotSent(t *testing.T) {
	var out bytes.Buffer
	// A client that is nil panics when it is used: nothing may get so far.
	s := &Session{In: strings.NewReader("open sesame\n  open sesame \n"), Out: &out, Chat: messaging.ChatID{1}, Secret: "open sesame"}
	if err := s.Run(context.Background()); !errors.Is(err, ErrQuit) {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "it was not sent") != 2 {
		t.Errorf("printed %q", out.String())
	}
}

func TestCommandsWithoutAnything(t *testing.T) {
	var out bytes.Buffer
	s := &Session{In: strings.NewReader("\n/help\nhello\n/pay\n/approve\n/open xyz\n/quit\nnot reached\n"), Out: &out}
	if err := s.Run(context.Background()); !errors.Is(err, ErrQuit) {
		t.Fatal(err)
	}
	for _, want := range []string{"/approve", "no chat is open", "nobody has asked for money yet", "40 hexadecimal digits"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "not reached") {
		t.Error("the session went on after /quit")
	}
}

func TestNewsIsShown(t *testing.T) {
	var out bytes.Buffer
	s := &Session{Out: &out}
	p := payment(t)
	s.ShowPayment(t.Context(), p)
	if s.pending != p.Intent {
		t.Error("the request is not pending")
	}
	p.News, p.Refusal = sdk.NewsRefused, &intent.Refusal{Text: "over the limit"}
	s.ShowPayment(t.Context(), p)
	p.News, p.Status = sdk.NewsStatus, lifecycle.Settled
	s.ShowPayment(t.Context(), p)
	s.ShowText(t.Context(), sdk.Text{Sender: messaging.Member{Name: "Bob\x07"}, Body: "hi"})
	for _, want := range []string{"asks for USD 4.50", "over the limit", "settled", "hi"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x07") {
		t.Error("a bell in a name rang")
	}
}

func TestAskEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s := &Session{Out: &bytes.Buffer{}, lines: make(chan string)}
	if _, err := s.Ask(ctx, "?"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
