package connector

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

func sepaPayment() Payment {
	return Payment{Intent: intentID, Side: lifecycle.Debtor, Amount: amount, Debtor: debtor, Creditor: creditor, Reference: "RF18539007547034"}
}

func sepaMessages() railMessages {
	return railMessages{must(rails.Lookup("sctinst")), "PAYRDEF0XXX"}
}

// The same payment gives the same bytes, and they say what was signed.
func TestTransferMessage(t *testing.T) {
	for _, ref := range []string{"RF18539007547034", "Order 77", ""} {
		r, p := sepaMessages(), sepaPayment()
		p.Reference = ref
		x, wire, err := r.Transfer(p, t0)
		if err != nil {
			t.Fatal(err)
		}
		x2, wire2, _ := r.Transfer(p, t0)
		if x != x2 || string(wire) != string(wire2) {
			t.Error("the bytes differ from one time to the next")
		}
		if x.UETR != payments.NewUETR(intentID, "PAYRDEF0XXX") || x.EndToEnd != intentID.EndToEndID() || !x.Accepted.Equal(t0) || x.MessageID == "" {
			t.Errorf("%+v", x)
		}
		p.Execution = x
		for n, text := range map[string]func() ([]byte, error){
			x.MessageID: func() ([]byte, error) { return r.Enquiry(p, 1, t0.Add(time.Minute)) },
			"ACCP":      func() ([]byte, error) { return r.Reply(p, "ACCP", "", t0) },
			"AC04":      func() ([]byte, error) { return r.Reply(p, "RJCT", "AC04", t0) },
		} {
			b, err := text()
			if err != nil || !strings.Contains(string(b), n) || !strings.Contains(string(b), x.MessageID) || !strings.Contains(string(b), string(x.EndToEnd)) {
				t.Errorf("%s: %v", n, err)
			}
		}
		if _, err := r.Enquiry(p, 1, t0.Add(time.Second)); err == nil {
			t.Error("an enquiry before the deadline")
		}
	}
}

func TestTransferNotEncodable(t *testing.T) {
	for name, change := range map[string]func(*Payment){
		"currency": func(p *Payment) { p.Amount.Currency = "USD" },
		"nothing":  func(p *Payment) { p.Amount.Minor = 0 },
		"account":  func(p *Payment) { p.Creditor.Account = must(payments.ParseAccount("123")) },
		"agent":    func(p *Payment) { p.Creditor.Agent = "091000019" },
		"no name":  func(p *Payment) { p.Creditor.Name = payments.Name{} },
		"purpose":  func(p *Payment) { p.Purpose = "too long" },
	} {
		p := sepaPayment()
		change(&p)
		if _, wire, err := sepaMessages().Transfer(p, t0); err == nil || wire != nil {
			t.Errorf("%s: bytes were made", name)
		} else if strings.Contains(err.Error(), "Example") || strings.Contains(err.Error(), debtor.Account.Reveal()) {
			t.Errorf("%s: the error names a person: %v", name, err)
		}
	}
}

// Whatever an encoder might get wrong is found in the bytes.
func TestAlteredMessageIsFound(t *testing.T) {
	r, p := sepaMessages(), sepaPayment()
	_, wire, err := r.Transfer(p, t0)
	if err != nil {
		t.Fatal(err)
	}
	read := func() *iso20022.CreditTransfer { return must(r.profile.Decode(wire, rail.ToService)).Transfer }
	if err := r.compare(p, read()); err != nil {
		t.Errorf("the right one: %v", err)
	}
	for name, change := range map[string]func(*iso20022.CreditTransfer){
		"amount":           func(t *iso20022.CreditTransfer) { t.Amount.Minor++ },
		"currency":         func(t *iso20022.CreditTransfer) { t.Amount.Currency = "USD" },
		"creditor account": func(t *iso20022.CreditTransfer) { t.Creditor.Account = debtor.Account },
		"creditor name":    func(t *iso20022.CreditTransfer) { t.Creditor.Name = debtor.Name },
		"creditor agent":   func(t *iso20022.CreditTransfer) { t.Creditor.Agent.ID = "OTHRDEF0XXX" },
		"debtor account":   func(t *iso20022.CreditTransfer) { t.Debtor.Account = creditor.Account },
		"debtor agent":     func(t *iso20022.CreditTransfer) { t.Debtor.Agent.ID = "OTHRDEF0XXX" },
		"end to end":       func(t *iso20022.CreditTransfer) { t.EndToEndID = "X" },
		"reference":        func(t *iso20022.CreditTransfer) { t.Reference = "" },
		"remittance":       func(t *iso20022.CreditTransfer) { t.Remittance = "more" },
	} {
		altered := read()
		change(altered)
		if err := r.compare(p, altered); !errors.Is(err, ErrAltered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.compare(p, nil); !errors.Is(err, ErrAltered) {
		t.Error("no transfer at all passes")
	}
}

// Whatever another bank's customer writes, the statement about it can be signed.
func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"", " ", "cafe\u0301", "\u202e", "\xff", "\ufb1d\u0301\u0316", "a\u200d\u0301", "\u1100\u1161", "\u00a0 x", "000000000000000000000000000000000\u06a30"} {
		f.Add(s)
	}
	st := NewStatements("bank", ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	f.Fuzz(func(t *testing.T, s string) {
		p := Payment{Amount: amount, Creditor: creditor, Reference: s, Execution: Execution{EndToEnd: payments.EndToEndID(s)}}
		if _, err := st.Statement(p, Notify{Kind: NoticeCredited, At: t0}); err != nil {
			t.Errorf("%q: %v", s, err)
		}
		if _, err := (bankStatements{"bank", ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}).refusal(intent.MediaCheck, "", &Refusal{0, "x", s}, t0); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	})
}

func TestOutboxBodies(t *testing.T) {
	c := CoreCall{CoreReserve, "key", debtor.Account, amount}
	if back, err := DecodeCoreCall(must(c.Encode())); err != nil || back != c {
		t.Errorf("%+v, %v", back, err)
	}
	m := ChatMessage{MediaType: "a/b", Fallback: "f", Status: "settled", Body: []byte{0, 1}}
	if back, err := DecodeChatMessage(m.Encode()); err != nil || back.MediaType != m.MediaType || string(back.Body) != string(m.Body) || back.Status != m.Status {
		t.Errorf("%+v, %v", back, err)
	}
	for _, b := range []string{"", "[]", `{"account":"?"}`} {
		if _, err := DecodeCoreCall([]byte(b)); err == nil {
			t.Errorf("%q is taken for a call", b)
		}
	}
	if _, err := DecodeChatMessage([]byte("x")); err == nil {
		t.Error("x is taken for a message")
	}
}
