package connector

import (
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

// domestic are the rails whose identifiers are not SEPA's: what a payment is called there, and a payment of each.
var domestic = map[string]struct {
	profile          *rail.Profile
	debtor, creditor Party
	currency         payments.Currency
}{
	"rtp": {must(rails.Lookup("rtp")), Party{Name: debtor.Name, Account: must(payments.ParseAccount("123456789012")), Agent: "021040078"},
		Party{Name: creditor.Name, Account: must(payments.ParseAccount("987654321000")), Agent: "091000019"}, "USD"},
	"pix": {must(rails.Lookup("pix")), Party{Name: debtor.Name, Account: must(payments.ParseAccount("12345678909C500000A3000")), Agent: "99999010"},
		Party{Name: creditor.Name, Account: must(payments.ParseAccount("11222333000181C600000A4000")), Agent: "20000000"}, "BRL"},
}

func domesticPayment(name, reference string) (railMessages, Payment) {
	d := domestic[name]
	return railMessages{d.profile, d.debtor.Agent}, Payment{Intent: intentID, Side: lifecycle.Debtor, Amount: payments.Amount{Minor: 4_50, Currency: d.currency},
		Debtor: d.debtor, Creditor: d.creditor, Reference: reference}
}

// On a rail without UETRs, and on one whose end-to-end ids have a shape of their own, both banks still know the intent, what the answer
// names is found, and what was altered on the way out is noticed.
func TestTransfersWithTheRailsOwnIDs(t *testing.T) {
	for name := range domestic {
		for _, ref := range []string{"RF18539007547034", "Order 77", ""} {
			r, p := domesticPayment(name, ref)
			x, wire, err := r.Transfer(p, t0)
			if err != nil {
				t.Fatal(name, err)
			}
			if x2, wire2, _ := r.Transfer(p, t0); x != x2 || string(wire) != string(wire2) {
				t.Errorf("%s: the bytes differ from one time to the next", name)
			}
			if x.UETR != "" || x.MessageID == "" || x.reference() == "" {
				t.Errorf("%s: %+v", name, x)
			}
			if isOwn := payments.CheckPixEndToEndID(string(x.EndToEnd)) == nil; isOwn != (name == "pix") || isOwn != (x.Intent != "") {
				t.Errorf("%s: end-to-end id %s, intent %s", name, x.EndToEnd, x.Intent)
			}
			in := must(r.profile.Decode(wire, rail.ToService))
			e := r.transferEvent(in, Evidence{})
			if e.Record != intentID || RecordID(e.Execution) != intentID {
				t.Errorf("%s: the creditor's bank takes it for %s", name, e.Record)
			}
			if e.Reference != ref {
				t.Errorf("%s: reference %q became %q", name, ref, e.Reference)
			}
			p.Execution = x
			answer, err := railMessages{r.profile, p.Creditor.Agent}.Reply(p, r.profile.AnswerYes(), "", t0)
			if err != nil {
				t.Fatal(name, err)
			}
			s := must(r.profile.Decode(answer, rail.ToService)).Status
			about := StatusReceived{Original: s.OriginalMessageID, EndToEnd: s.OriginalEndToEnd, UETR: s.OriginalUETR}
			if !about.names(&p) {
				t.Errorf("%s: the answer does not name its transfer: %+v", name, about)
			}
			for _, other := range []StatusReceived{{}, {Original: "M2"}, {EndToEnd: "E1"}, {Original: about.Original, EndToEnd: "E1"}, {Original: "M2", EndToEnd: about.EndToEnd}} {
				if other.names(&p) {
					t.Errorf("%s: %+v names the transfer", name, other)
				}
			}
		}
	}
}

func TestAlteredMessageIsFoundOnEveryRail(t *testing.T) {
	for name := range domestic {
		r, p := domesticPayment(name, "RF18539007547034")
		_, wire, err := r.Transfer(p, t0)
		if err != nil {
			t.Fatal(err)
		}
		for what, change := range map[string]func(*iso20022.CreditTransfer){
			"amount":           func(t *iso20022.CreditTransfer) { t.Amount.Minor++ },
			"creditor account": func(t *iso20022.CreditTransfer) { t.Creditor.Account = p.Debtor.Account },
			"creditor name":    func(t *iso20022.CreditTransfer) { t.Creditor.Name = p.Debtor.Name },
			"creditor agent":   func(t *iso20022.CreditTransfer) { t.Creditor.Agent.ID = "121000248" },
			"debtor account":   func(t *iso20022.CreditTransfer) { t.Debtor.Account = p.Creditor.Account },
			"debtor agent":     func(t *iso20022.CreditTransfer) { t.Debtor.Agent.ID = "121000248" },
			"intent":           func(t *iso20022.CreditTransfer) { t.EndToEndID, t.TransactionID = "X", "X" },
			"reference":        func(t *iso20022.CreditTransfer) { t.Reference = "RF18539007547034" },
			"remittance":       func(t *iso20022.CreditTransfer) { t.Remittance = "" },
			"nothing":          func(*iso20022.CreditTransfer) {},
		} {
			altered := must(r.profile.Decode(wire, rail.ToService)).Transfer
			change(altered)
			if err := r.compare(p, altered); errors.Is(err, ErrAltered) == (what == "nothing") {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
}

// Anybody can send a cent in the name of an intent. On a rail without UETRs it must not bar the transfer that pays the intent either, and
// the same transfer again is no second one.
func TestACentInAnIntentsNameWithoutUETR(t *testing.T) {
	for name := range domestic {
		r, p := domesticPayment(name, "")
		incoming := func(minor int64, now time.Time) TransferReceived {
			q := p
			q.Amount.Minor = minor
			_, wire, err := railMessages{r.profile, p.Debtor.Agent}.Transfer(q, now)
			if err != nil {
				t.Fatal(err)
			}
			return r.transferEvent(must(r.profile.Decode(wire, rail.ToService)), Evidence{})
		}
		pays := incoming(4_50, t0)
		cent := incoming(1, t0.Add(time.Minute))
		cent.Execution.MessageID += "2" // another sender's ids
		cent.Execution.TransactionID += "2"
		if name == "pix" {
			cent.Execution.EndToEnd = "E30000000202611230930ABCDEFGHIJK"
		}
		first := Payment{Intent: intentID, Side: lifecycle.Creditor, State: lifecycle.Accepted, Amount: cent.Amount, Creditor: cent.Creditor, Execution: cent.Execution}
		if got := recordFor(first, pays); got == intentID {
			t.Errorf("%s: the transfer of the whole amount is taken for the cent", name)
		}
		if got := recordFor(first, cent); got != intentID {
			t.Errorf("%s: the cent again is taken for another transfer", name)
		}
	}
}

// The payee's own device learns which request was paid, also where the end-to-end id does not say it.
func TestCreditNamesTheIntent(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	for name := range domestic {
		r, p := domesticPayment(name, "")
		x, _, err := r.Transfer(p, t0)
		if err != nil {
			t.Fatal(err)
		}
		p.Execution = x
		m, err := NewStatements("bank", key).Statement(p, Notify{Kind: NoticeCredited, At: t0})
		if err != nil {
			t.Fatal(name, err)
		}
		c, err := intent.VerifyCredited(m.Body, key.Public().(ed25519.PublicKey))
		if err != nil || c.Intent != intentID || c.EndToEndID != x.EndToEnd {
			t.Errorf("%s: %v %+v", name, err, c)
		}
	}
}

// Sent again, the transfer differs by the mark and by nothing else, and only where the rail wants a mark.
func TestAgain(t *testing.T) {
	r, p := domesticPayment("rtp", "Order 77")
	_, wire, err := r.Transfer(p, t0)
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.Again(wire)
	if err != nil || string(again) == string(wire) || string(withoutMark(again)) != string(wire) {
		t.Fatalf("%v\n%s\n%s", err, wire, again)
	}
	if m, err := r.profile.Decode(again, rail.ToService); err != nil || m.Header.CpyDplct != "DUPL" || m.Transfer.MessageID != must(r.profile.Decode(wire, rail.ToService)).Transfer.MessageID {
		t.Errorf("%v %+v", err, m)
	}
	for what, sent := range map[string][]byte{"nothing": nil, "no XML": []byte("<"), "marked already": again, "other white space": append([]byte(nil), append(wire, '\n')...)} {
		if got, err := r.Again(sent); err == nil {
			t.Errorf("%s: %s", what, got)
		}
	}
	q, p := domesticPayment("pix", "")
	if _, wire, err = q.Transfer(p, t0); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Again(wire); err == nil {
		t.Error("marked on a rail that knows no mark")
	}
	for _, s := range []string{"", "<CpyDplct>DUPL</CpyDplct", "CpyDplct>DUPL</CpyDplct>", "<a><CpyDplct>COPY</CpyDplct></a>", "<CpyDplct>DUPL</"} {
		if got := withoutMark([]byte(s)); string(got) != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}
