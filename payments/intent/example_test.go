package intent_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
)

// One payment's signed objects from the payee's request to the bank's verification. The chats that carry them, the registry and
// the nonces' table are stood in for by variables.
func Example() {
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

	// The payee asks.
	shopKey := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	shop, err1 := payments.ParseName("Example Coffee")
	shopAccount, err2 := payments.ParseAccount("DE89370400440532013000")
	id, err3 := payments.NewIntentID(now, bytes.NewReader(make([]byte, 10)))
	request, err4 := intent.SignRequest(intent.Request{
		Terms: intent.Terms{
			Intent: id, Amount: payments.Amount{Minor: 450, Currency: "EUR"},
			Creditor:  intent.Creditor{Name: shop, Account: shopAccount, Agent: "EXAMDEFF"},
			Reference: "RF18539007547034", Expires: now.Add(10 * time.Minute),
		},
		Issued: now,
	}, shopKey)
	check(err1, err2, err3, err4)
	fmt.Println(payload(request))

	// The payer's bank has checked name and account and says so, with a nonce that allows one mandate.
	bankKey := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	terms, hash, err := intent.VerifyRequest(request)
	check(err)
	answer := intent.PayeeCheck{Intent: terms.Intent, RequestHash: hash, Result: intent.Match, Ref: "vop-1", At: now,
		Nonce: intent.NewNonce(), Audience: "EXAMFRPP", Expires: now.Add(10 * time.Minute)}
	answerJWS, err := answer.Sign(bankKey)
	check(err)

	// The payer, who was shown the terms and the answer, approves.
	payerKey, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	payerAccount, err2 := payments.ParseAccount("FR1420041010050500013M02606")
	shown, err3 := intent.VerifyPayeeCheck(answerJWS, bankKey.Public().(ed25519.PublicKey))
	public, err4 := intent.NewPublicKey(payerKey.Public())
	check(err1, err2, err3, err4)
	debtor := intent.Debtor{Account: payerAccount, Agent: "EXAMFRPP"}
	mandate := intent.NewMandate(terms, hash, shown, debtor, now, 5*time.Minute)
	mandateJWS, err := intent.SignMandate(mandate, payerKey, public.ID(), []string{"hwk", "fpt"})
	check(err)

	// The bank verifies, offline.
	payer, err := payments.ParseName("Payer Example")
	check(err)
	bank := bank{answer, payerAccount, intent.EnrolledKey{Public: public, Profile: intent.ProfileDeviceKey, Status: intent.KeyActive,
		Accounts: []intent.EnrolledAccount{{Account: payerAccount, Name: payer, Agent: "EXAMFRPP", Currency: "EUR"}},
		From:     now, To: now.Add(time.Hour), AsOf: now}}
	verifier := intent.Verifier{Audience: "EXAMFRPP", Registry: bank, Nonces: bank, Now: now.Add(2 * time.Second)}
	unverified, err := intent.ParseMandate(mandateJWS)
	check(err)
	verified, err := unverified.Verify(verifier, request)
	check(err)
	fmt.Println("pay", verified.Mandate().Amount, "to", verified.Mandate().Creditor.Account, "until", verified.ValidUntil().Format(time.TimeOnly))

	// One cent more, well signed, is refused.
	mandate.Amount.Minor++
	mandateJWS, err = intent.SignMandate(mandate, payerKey, public.ID(), []string{"hwk", "fpt"})
	check(err)
	unverified, err = intent.ParseMandate(mandateJWS)
	check(err)
	_, err = unverified.Verify(verifier, request)
	var refused *intent.RefusedError
	fmt.Println(errors.As(err, &refused), err)

	// Output:
	// {"amount":{"currency":"EUR","value":"4.50"},"creditor":{"account":"DE89370400440532013000","agent":"EXAMDEFF","name":"Example Coffee"},"exp":"2026-11-23T09:40:00Z","iat":"2026-11-23T09:30:00Z","intent":"pi_01a207bd-a9c0-7000-8000-000000000000","key":{"crv":"Ed25519","kty":"OKP","x":"gTl3Dqh9F19Wo1Rmw0x-zMuNipG07jeiXfYPW4_Js5Q"},"reference":"RF18539007547034","typ":"paymentrequest.1"}
	// pay EUR 4.50 to DE…3000 until 09:35:00
	// true intent: refused at step 5 (amount): amount is not the request's
}

// bank knows one key and has issued one nonce.
type bank struct {
	answer  intent.PayeeCheck
	account payments.Account
	key     intent.EnrolledKey
}

func (b bank) Key(kid string, _ time.Time) (intent.EnrolledKey, error) {
	if kid != b.key.KeyID() {
		return intent.EnrolledKey{}, intent.ErrKeyUnknown
	}
	return b.key, nil
}

func (b bank) Issued(nonce string) (intent.Issued, error) {
	if nonce != b.answer.Nonce {
		return intent.Issued{}, intent.ErrNonceUnknown
	}
	return intent.Issued{Check: b.answer, Account: b.account}, nil
}

// payload returns what is signed, for reading.
func payload(jws []byte) string {
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(string(jws), ".")[1])
	check(err)
	return string(b)
}

func check(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		log.Fatal(err)
	}
}
