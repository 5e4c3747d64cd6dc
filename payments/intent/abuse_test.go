package intent

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/shared"
	"github.com/parleypay/parley/payments"
)

// TestIntentAbuse has one subtest for each scenario of bad-inputs/scenarios/intent-abuse.jsonl that this package decides or has its
// part in, under the scenario's name. The others are the journal's, the connector's or the messaging side's.
func TestIntentAbuse(t *testing.T) {
	scenarios := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(shared.Read(t, "bad-inputs/scenarios/intent-abuse.jsonl")))
	for lines.Scan() {
		var s struct{ ID string }
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		scenarios[s.ID] = true
	}
	for name, scenario := range abuse {
		if !scenarios[name] {
			t.Errorf("%s is not a scenario", name)
		}
		t.Run(name, scenario)
	}
}

// changed replaces bytes in the payload of a JWS and keeps its signature.
func changed(t *testing.T, jws []byte, from, to string) []byte {
	t.Helper()
	parts := strings.Split(string(jws), ".")
	payload := string(must[[]byte](t)(base64.RawURLEncoding.DecodeString(parts[1])))
	if !strings.Contains(payload, from) {
		t.Fatalf("%s is not in %s", from, payload)
	}
	return []byte(parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(payload, from, to, 1))) + "." + parts[2])
}

var abuse = map[string]func(*testing.T){
	"amount-up": func(t *testing.T) {
		b := newBench(t)
		_, err := b.verify(changed(t, b.sign(t, b.mandate()), `"129.90"`, `"999.90"`))
		refusedWith(t, "mandate", err, StepSignature, ReasonSignature)
		if _, _, err := VerifyRequest(changed(t, b.jws, `"129.90"`, `"129.91"`)); err == nil {
			t.Error("request with another amount verified")
		}
	},
	"amount-minor-units": func(t *testing.T) {
		// 10.00 shown and 1000 meant has no spelling: the text is what is signed, with exactly the currency's decimals.
		b := newBench(t)
		good := string(writeRequest(b.request).with("typ", text(typRequest)).append(nil))
		for _, value := range []string{`"12990"`, `"129.9"`, `"129.900"`, `12990`, `"1.2990e2"`, `"129,90"`} {
			if _, err := requestPayload.parse([]byte(strings.Replace(good, `"129.90"`, value, 1))); err == nil {
				t.Errorf("%s accepted", value)
			}
		}
		b.request.Amount.Minor *= 100 // the items shown do not add up to it
		if _, err := SignRequest(b.request, b.payee); err == nil {
			t.Error("request whose items do not add up was signed")
		}
	},
	"payee-swap": func(t *testing.T) {
		b := newBench(t)
		m := b.mandate()
		m.Creditor.Account = b.debtor.Account
		_, err := b.verify(b.sign(t, m))
		refusedWith(t, "account", err, StepTerms, ReasonPayeeAccount)
		b.check.Result, b.check.MatchedName = NoMatch, payments.Name{}
		_, err = b.verify(b.sign(t, b.mandate()))
		refusedWith(t, "no default to pay", err, StepPayeeCheck, ReasonNoMatch)
	},
	"payee-homoglyph": func(t *testing.T) {
		b := newBench(t)
		v := must[*VerifiedMandate](t)(b.verify(b.sign(t, b.mandate())))
		if v.Request().Creditor.Name.MixesScripts() {
			t.Error("plain name flagged")
		}
		b.request.Creditor.Name = must[payments.Name](t)(payments.ParseName("Exаmple Coffee")) // Cyrillic а
		b.signRequest(t)
		if !b.request.Creditor.Name.MixesScripts() {
			t.Error("look-alike letters not flagged")
		}
	},
	"currency-swap": func(t *testing.T) {
		b := newBench(t)
		_, err := b.verify(changed(t, b.sign(t, b.mandate()), `"EUR"`, `"USD"`))
		refusedWith(t, "mandate", err, StepSignature, ReasonSignature)
		m := b.mandate()
		m.Amount.Currency = "USD"
		_, err = b.verify(b.sign(t, m))
		refusedWith(t, "signed again", err, StepTerms, ReasonAmount)
	},
	"expiry-extended": func(t *testing.T) {
		b := newBench(t)
		_, err := b.verify(changed(t, b.sign(t, b.mandate()), "09:34:59Z", "09:39:59Z"))
		refusedWith(t, "mandate", err, StepSignature, ReasonSignature)
		if _, _, err := VerifyRequest(changed(t, b.jws, "09:50:00Z", "19:50:00Z")); !errors.Is(err, ErrSignature) {
			t.Errorf("request: %v", err)
		}
	},
	"replay-other-group": func(t *testing.T) {
		// Group and epoch are signed in the request; the nonce, known in one chat only, ties the mandate to the chat with the bank.
		b := newBench(t)
		if _, _, err := VerifyRequest(changed(t, b.jws, b.request.Chat.Group, strings.Repeat("0", 32))); !errors.Is(err, ErrSignature) {
			t.Errorf("request moved to another chat: %v", err)
		}
		jws := b.sign(t, b.mandate())
		b.check.Nonce = NewNonce() // what the other chat's nonces know
		_, err := b.verify(jws)
		refusedWith(t, "mandate in another chat", err, StepContext, ReasonNonceUnknown)
	},
	"replay-other-connector": func(t *testing.T) {
		b := newBench(t)
		u := must[UnverifiedMandate](t)(ParseMandate(b.sign(t, b.mandate())))
		v := b.verifier()
		v.Audience = "bank.example.second"
		_, err := u.Verify(v, b.jws)
		refusedWith(t, "second connector", err, StepContext, ReasonAudience)
	},
	"sign-by-other-member": func(t *testing.T) {
		// Member B has a key of their own, enrolled for their own account, and signs for payer A's.
		b := newBench(t)
		m := b.mandate()
		b.payer = must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		b.key.Public = must[PublicKey](t)(NewPublicKey(b.payer.Public()))
		b.key.Accounts[0].Account = must[payments.Account](t)(payments.ParseAccount("FR7630006000011234567890189"))
		_, err := b.verify(b.sign(t, m))
		refusedWith(t, "B for A", err, StepKey, ReasonKeyAccount)
	},
	"sign-old-epoch": func(t *testing.T) {
		b := newBench(t)
		jws := b.sign(t, b.mandate())
		b.key.Status = KeyRevoked // after signing, before it arrives
		_, err := b.verify(jws)
		refusedWith(t, "revoked since", err, StepKey, ReasonKeyRevoked)
	},
	"stolen-device-offline": func(t *testing.T) {
		b := newBench(t)
		jws := b.sign(t, b.mandate())
		b.key.To = b.now.Add(-time.Second)
		_, err := b.verify(jws)
		refusedWith(t, "key ended since", err, StepKey, ReasonKeyInactive)
		b = newBench(t)
		jws = b.sign(t, b.mandate())
		b.key.AsOf = b.now.Add(-6 * time.Minute) // a replica that cannot know of the revocation
		_, err = b.verify(jws)
		refusedWith(t, "replica too old", err, StepKey, ReasonRegistryStale)
	},
	"replay-after-restore": func(t *testing.T) {
		b := newBench(t)
		jws := b.sign(t, b.mandate())
		b.usedBy = must[UnverifiedMandate](t)(ParseMandate(jws)).Hash()
		_, err := b.verify(jws)
		refusedWith(t, "sent again", err, StepContext, ReasonReplay)
		b.now = b.now.Add(24 * time.Hour)
		b.key.AsOf, b.key.To = b.now, b.now.Add(time.Hour)
		_, err = b.verify(jws)
		refusedWith(t, "a day later", err, StepContext, ReasonExpired)
	},
	"same-id-other-body": func(t *testing.T) {
		b := newBench(t)
		jws := b.sign(t, b.mandate())
		b.request.Amount.Minor, b.request.Items = 1, nil
		b.signRequest(t)
		_, err := b.verify(jws)
		refusedWith(t, "same intent, other amount", err, StepTerms, ReasonRequestHash)
	},
	"double-approve": func(t *testing.T) {
		// Two requests that look alike have two intents and two hashes; one approval never covers both.
		b := newBench(t)
		jws := b.sign(t, b.mandate())
		b.request.Intent = must[payments.IntentID](t)(payments.NewIntentID(b.now, nil))
		b.signRequest(t)
		_, err := b.verify(jws)
		refusedWith(t, "the twin", err, StepTerms, ReasonRequestHash)
	},
	"negative-amount": func(t *testing.T) {
		b := newBench(t)
		for _, minor := range []int64{0, -1, -12990} {
			b.request.Amount.Minor, b.request.Items = minor, nil
			if _, err := SignRequest(b.request, b.payee); err == nil {
				t.Errorf("%d signed", minor)
			}
		}
		m := newBench(t).mandate()
		m.Amount.Minor = -1
		if _, err := SignMandate(m, b.payer, b.key.KeyID(), amr); err == nil {
			t.Error("negative mandate signed")
		}
		good := string(mandatePayload.write(b.mandate()).with("typ", text(typMandate)).append(nil))
		for _, value := range []string{`"-0.01"`, `"0.00"`, `"-0.00"`} {
			bad := strings.Replace(good, `"value":"`+b.mandate().Amount.Text()+`"`, `"value":`+value, 1)
			_, err := ParseMandate(es256JWS(t, b, bad))
			refusedWith(t, value, err, StepForm, ReasonForm)
		}
	},
	"overflow": func(t *testing.T) {
		b := newBench(t)
		good := string(writeRequest(b.request).with("typ", text(typRequest)).append(nil))
		for _, value := range []string{`"9223372036854775807"`, `"9223372036854775808"`, `"18446744073709551616"`, `"1000000000000000000"`, `"92233720368547758.08"`, `"10000000000000000.00"`} {
			if _, err := requestPayload.parse([]byte(strings.Replace(good, `"129.90"`, value, 1))); err == nil {
				t.Errorf("%s accepted", value)
			}
		}
	},
	"bot-key-leak": func(t *testing.T) {
		// A payee's key signs requests and nothing else: enrolled as such, it authorises no payment.
		b := newBench(t)
		b.key.Public, b.key.Profile = b.request.Key, ProfilePayee
		_, err := b.verify(must[[]byte](t)(mandatePayload.sign(b.mandate(), b.payee, amr)))
		refusedWith(t, "payee's key", err, StepKey, ReasonKeyProfile)
	},
	"forged-outcome": func(t *testing.T) {
		b := newBench(t)
		receipt := b.statements(t)[typReceipt].value.(Receipt)
		_, forger, _ := ed25519.GenerateKey(rand.Reader)
		if _, err := VerifyReceipt(must[[]byte](t)(receipt.Sign(forger)), b.bankKey()); err == nil {
			t.Error("receipt of another key verified")
		}
		receipt.Status, receipt.CreditedAt = StatusRejected, time.Time{}
		if _, err := VerifyReceipt(changed(t, must[[]byte](t)(receipt.Sign(b.bank)), `"rejected"`, `"settled"`), b.bankKey()); !errors.Is(err, ErrSignature) {
			t.Errorf("changed receipt: %v", err)
		}
	},
	"outcome-replay": func(t *testing.T) {
		b, later := newBench(t), newBench(t)
		later.request.Intent = must[payments.IntentID](t)(payments.NewIntentID(b.now, nil))
		later.signRequest(t) // the same order again: same amount, same reference
		old := must[Receipt](t)(VerifyReceipt(b.statements(t)[typReceipt].jws, b.bankKey()))
		if old.Intent == later.request.Intent || old.RequestHash == later.hash || old.Intent != b.request.Intent || old.RequestHash != b.hash || old.Amount != b.request.Amount {
			t.Error("receipt does not say which request it is for")
		}
	},
	"log-injection": func(t *testing.T) {
		b := newBench(t)
		for _, s := range []string{"a\r\nb", "\x1b[31m", "\u202egnp.exe", "\u2066x\u2069", "a\u2028b", "\u200b", "\ufeff", "\x00", "\u0085"} {
			b.request.Items[0].Name = "x" + s + "x"
			if _, err := SignRequest(b.request, b.payee); err == nil {
				t.Errorf("item %q signed", s)
			} else if strings.Contains(err.Error(), s) {
				t.Errorf("error repeats %q", s)
			}
		}
		_, err := mandatePayload.parse([]byte(`{"ok\r\nINFO paid":1,"typ":"paymandate.1"}`))
		if err == nil || strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("member's name in the error: %q", err)
		}
	},
	"memo-payload": func(t *testing.T) {
		b := newBench(t)
		b.request.Items = make([]Item, 32)
		for i := range b.request.Items {
			b.request.Items[i] = Item{strings.Repeat("\U00020000", 70), 1, payments.Amount{}}
		}
		if jws, err := SignRequest(b.request, b.payee); err == nil {
			t.Errorf("payload of %d bytes signed", len(jws))
		}
		if _, _, err := VerifyRequest(bytes.Repeat([]byte("A"), 1<<20)); err == nil || !strings.Contains(err.Error(), "over") {
			t.Errorf("1 MiB: %v", err)
		}
	},
}
