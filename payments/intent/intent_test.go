package intent

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
)

// bench is one payer, payee and bank with everything that a valid mandate needs.
type bench struct {
	now     time.Time
	payer   *ecdsa.PrivateKey
	payee   ed25519.PrivateKey
	bank    ed25519.PrivateKey
	request Request
	jws     []byte // of the request
	hash    Hash   // of the request
	check   PayeeCheck
	debtor  Debtor
	key     EnrolledKey
	keyErr  error
	usedBy  Hash
}

var amr = []string{"hwk", "pin"}

func must[T any](t testing.TB) func(T, error) T {
	return func(x T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{now: time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)}
	// Fixed keys, so that fuzz workers, which run this again, know the coordinator's seeds.
	b.payer = must[*ecdsa.PrivateKey](t)(ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{1}, 32)))
	b.payee = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	b.bank = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	id := must[payments.IntentID](t)(payments.NewIntentID(b.now, bytes.NewReader(bytes.Repeat([]byte{4}, 10))))
	name, account := must[payments.Name](t), must[payments.Account](t)
	b.request = Request{
		Terms: Terms{
			Intent: id, Amount: payments.Amount{Minor: 12990, Currency: "EUR"},
			Creditor:  Creditor{name(payments.ParseName("Example Coffee")), account(payments.ParseAccount("DE89370400440532013000")), "EXAMDEFFXXX", "529900T8BM49AURSDO55"},
			Reference: "RF18539007547034", Purpose: "GDDS", Rails: []string{"sctinst", "fednow"},
			Items:   []Item{{"Flat white", 2, payments.Amount{Minor: 990, Currency: "EUR"}}, {"Grinder", 1, payments.Amount{Minor: 12000, Currency: "EUR"}}},
			Expires: b.now.Add(20 * time.Minute),
		},
		Issued: b.now.Add(-time.Minute),
		Chat:   &ChatEvidence{"00112233445566778899aabbccddeeff", 7},
	}
	b.signRequest(t)
	b.debtor = Debtor{account(payments.ParseAccount("FR1420041010050500013M02606")), "EXAMFRPP"}
	b.check = PayeeCheck{Intent: id, RequestHash: b.hash, Result: CloseMatch, MatchedName: name(payments.ParseName("Example Coffee GmbH")),
		Ref: "vop-1", At: b.now.Add(-30 * time.Second), Nonce: "AAECAwQFBgcICQoLDA0ODw", Audience: "bank.example", Expires: b.now.Add(10 * time.Minute)}
	b.key = EnrolledKey{Public: must[PublicKey](t)(NewPublicKey(b.payer.Public())), Profile: ProfileDeviceKey,
		Accounts: []EnrolledAccount{{b.debtor.Account, name(payments.ParseName("Payer Example")), b.debtor.Agent, "EUR"}},
		Limits:   Limits{PerPayment: payments.Amount{Minor: 50000, Currency: "EUR"}}, Status: KeyActive,
		From: b.now.Add(-time.Hour), To: b.now.Add(time.Hour), AsOf: b.now}
	return b
}

func (b *bench) signRequest(t testing.TB) {
	t.Helper()
	b.jws = must[[]byte](t)(SignRequest(b.request, b.payee))
	r, h, err := VerifyRequest(b.jws)
	if err != nil {
		t.Fatal(err)
	}
	b.request, b.hash = r, h
}

func (b *bench) Key(kid string, _ time.Time) (EnrolledKey, error) {
	if b.keyErr != nil {
		return EnrolledKey{}, b.keyErr
	}
	if kid != b.key.KeyID() {
		return EnrolledKey{}, ErrKeyUnknown
	}
	return b.key, nil
}

func (b *bench) Issued(nonce string) (Issued, error) {
	if nonce != b.check.Nonce {
		return Issued{}, ErrNonceUnknown
	}
	return Issued{b.check, b.debtor.Account, b.usedBy}, nil
}

func (b *bench) verifier() Verifier {
	return Verifier{Audience: "bank.example", Registry: b, Nonces: b, Now: b.now}
}

func (b *bench) mandate() Mandate {
	m := NewMandate(b.request, b.hash, b.check, b.debtor, b.now.Add(-time.Second), 5*time.Minute)
	m.Rails = []string{"sctinst"}
	return m
}

func (b *bench) sign(t testing.TB, m Mandate) []byte {
	t.Helper()
	return must[[]byte](t)(SignMandate(m, b.payer, b.key.KeyID(), amr))
}

func (b *bench) verify(jws []byte) (*VerifiedMandate, error) {
	u, err := ParseMandate(jws)
	if err != nil {
		return nil, err
	}
	return u.Verify(b.verifier(), b.jws)
}

func TestMandateVerifies(t *testing.T) {
	b := newBench(t)
	m := b.mandate()
	v, err := b.verify(b.sign(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if v.Mandate().Amount.Text() != "129.90" || v.RequestHash() != b.hash || v.Nonce() != b.check.Nonce || v.ValidUntil() != m.Expires {
		t.Errorf("verified mandate differs from what was signed")
	}
}

func sha256Of(s string) [32]byte { return sha256.Sum256([]byte(s)) }
