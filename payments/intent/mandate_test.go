package intent

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
)

// refusedWith checks that err is a refusal at that step for that reason.
func refusedWith(t *testing.T, what string, err error, step Step, reason Reason) {
	t.Helper()
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Errorf("%s: %v, want a refusal", what, err)
		return
	}
	if refused.Step != step || refused.Reason != reason {
		t.Errorf("%s: %v, want step %d (%s)", what, refused, step, reason)
	}
	if refused.Text == "" {
		t.Errorf("%s: refusal without a text", what)
	}
	for _, secret := range []string{"Example Coffee", "Payer Example", "DE8937", "FR1420", "370400440532013000", "500013M02606"} {
		if strings.Contains(refused.Error(), secret) {
			t.Errorf("%s: refusal shows %q: %v", what, secret, refused)
		}
	}
}

// Flip every bit of a valid mandate's JWS: each is refused.
func TestEveryBitOfAMandateCounts(t *testing.T) {
	b := newBench(t)
	jws := b.sign(t, b.mandate())
	if _, err := b.verify(jws); err != nil {
		t.Fatal(err)
	}
	steps := map[Step]int{}
	for i := range jws {
		for bit := range 8 {
			bad := bytes.Clone(jws)
			bad[i] ^= 1 << bit
			_, err := b.verify(bad)
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Step > StepSignature {
				t.Fatalf("byte %d bit %d: %v", i, bit, err)
			}
			steps[refused.Step]++
		}
	}
	if steps[StepForm] == 0 || steps[StepKey] == 0 || steps[StepSignature] == 0 {
		t.Errorf("refusals by step: %v", steps)
	}
}

// The same for the request that comes with it, two bits of each byte.
func TestEveryByteOfARequestCounts(t *testing.T) {
	b := newBench(t)
	jws := bytes.Clone(b.jws)
	for i := range jws {
		for _, bit := range []int{0, i % 8} {
			bad := bytes.Clone(jws)
			bad[i] ^= 1 << bit
			if _, _, err := VerifyRequest(bad); err == nil {
				t.Fatalf("byte %d bit %d accepted", i, bit)
			}
		}
	}
	u := must[UnverifiedMandate](t)(ParseMandate(b.sign(t, b.mandate())))
	bad := bytes.Clone(jws)
	bad[len(bad)/2] ^= 1
	_, err := u.Verify(b.verifier(), bad)
	refusedWith(t, "request with a changed byte", err, StepTerms, ReasonRequest)
}

// Change the payload's bytes and leave the signature: refused as a wrong signature that names the member.
func TestTamperedMandateNamesTheMember(t *testing.T) {
	b := newBench(t)
	parts := strings.Split(string(b.sign(t, b.mandate())), ".")
	payload := must[[]byte](t)(base64.RawURLEncoding.DecodeString(parts[1]))
	other := b.hash
	other[9] ^= 1
	for _, c := range []struct{ from, to, names string }{
		{`"129.90"`, `"129.91"`, "amount"},
		{`"currency":"EUR"`, `"currency":"USD"`, "amount"},
		{"DE89370400440532013000", "DE02120300000000202051", "creditor.account"},
		{`"name":"Example Coffee"`, `"name":"Example Coffef"`, "creditor.name"},
		{"EXAMDEFFXXX", "EXAMDEFFXXY", "creditor.agent"},
		{"RF18539007547034", "RF712348231", "reference"},
		{`"GDDS"`, `"GDDT"`, "purpose"},
		{`["sctinst"]`, `["rtp"]`, "rails"},
		{`"aud":"bank.example"`, `"aud":"cank.example"`, "aud"},
		{`"exp":"2026-11-23T09:34:59Z"`, `"exp":"2026-11-23T19:34:59Z"`, "exp"},
		{b.hash.String(), other.String(), ""},
		{"FR1420041010050500013M02606", "FR7630006000011234567890189", ""},
	} {
		bad := strings.Replace(string(payload), c.from, c.to, 1)
		if bad == string(payload) {
			t.Fatalf("%s is not in %s", c.from, payload)
		}
		_, err := b.verify([]byte(parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(bad)) + "." + parts[2]))
		refusedWith(t, c.to, err, StepSignature, ReasonSignature)
		if !strings.Contains(fmt.Sprint(err), ": "+c.names) {
			t.Errorf("%s: %v, want it to name %s", c.to, err, c.names)
		}
	}
}

// Change each member and sign again with the enrolled key: refused at its own step for its own reason.
func TestEachMemberIsHeldAgainstTheRequest(t *testing.T) {
	name, account := must[payments.Name](t), must[payments.Account](t)
	for _, c := range []struct {
		what   string
		change func(*Mandate)
		step   Step
		reason Reason
	}{
		{"amount one cent up", func(m *Mandate) { m.Amount.Minor++ }, StepTerms, ReasonAmount},
		{"amount one cent down", func(m *Mandate) { m.Amount.Minor-- }, StepTerms, ReasonAmount},
		{"currency", func(m *Mandate) { m.Amount.Currency = "USD" }, StepTerms, ReasonAmount},
		{"payee's account", func(m *Mandate) {
			m.Creditor.Account = account(payments.ParseAccount("DE02120300000000202051"))
		}, StepTerms, ReasonPayeeAccount},
		{"payee's name", func(m *Mandate) { m.Creditor.Name = name(payments.ParseName("Example Coffee B")) }, StepTerms, ReasonPayeeName},
		{"payee's bank", func(m *Mandate) { m.Creditor.Agent = "EXAMDEFF" }, StepTerms, ReasonPayeeAgent},
		{"payee's LEI", func(m *Mandate) { m.Creditor.LEI = "" }, StepTerms, ReasonPayeeLEI},
		{"reference", func(m *Mandate) { m.Reference = "RF712348231" }, StepTerms, ReasonReference},
		{"no reference", func(m *Mandate) { m.Reference = "" }, StepTerms, ReasonReference},
		{"purpose", func(m *Mandate) { m.Purpose = "" }, StepTerms, ReasonPurpose},
		{"another rail", func(m *Mandate) { m.Rails = []string{"sctinst", "rtp"} }, StepTerms, ReasonRails},
		{"no rail", func(m *Mandate) { m.Rails = nil }, StepTerms, ReasonRails},
		{"request hash", func(m *Mandate) { m.RequestHash[31] ^= 1 }, StepTerms, ReasonRequestHash},
		{"intent", func(m *Mandate) { m.Intent = "pi_0192f3a4-b5c6-7fff-bfff-ffffffffffff" }, StepContext, ReasonNonceOther},
		{"debtor's account", func(m *Mandate) {
			m.Debtor.Account = account(payments.ParseAccount("FR7630006000011234567890189"))
		}, StepKey, ReasonKeyAccount},
		{"debtor's bank", func(m *Mandate) { m.Debtor.Agent = "OTHRFRPP" }, StepKey, ReasonKeyAgent},
		{"audience", func(m *Mandate) { m.Audience = "bank2.example" }, StepContext, ReasonAudience},
		{"nonce", func(m *Mandate) { m.Nonce = NewNonce() }, StepContext, ReasonNonceUnknown},
		{"from the future", func(m *Mandate) {
			m.Issued, m.Expires = m.Issued.Add(time.Minute), m.Expires.Add(time.Minute)
		}, StepContext, ReasonIssued},
		{"expired", func(m *Mandate) { m.Expires = m.Issued.Add(time.Second) }, StepContext, ReasonExpired},
		{"valid too long", func(m *Mandate) { m.Expires = m.Issued.Add(15*time.Minute + time.Second) }, StepContext, ReasonWindow},
		{"issued before the key", func(m *Mandate) {
			m.Issued, m.Expires = m.Issued.Add(-2*time.Hour), m.Expires.Add(-2*time.Hour)
		}, StepKey, ReasonKeyInactive},
		{"check's result", func(m *Mandate) { m.PayeeCheck.Result, m.PayeeCheck.MatchedName = Match, payments.Name{} }, StepPayeeCheck, ReasonPayeeCheck},
		{"check's name", func(m *Mandate) { m.PayeeCheck.MatchedName = name(payments.ParseName("Other")) }, StepPayeeCheck, ReasonPayeeCheck},
		{"check's reference", func(m *Mandate) { m.PayeeCheck.Ref = "vop-2" }, StepPayeeCheck, ReasonPayeeCheck},
		{"check's time", func(m *Mandate) { m.PayeeCheck.At = m.PayeeCheck.At.Add(time.Second) }, StepPayeeCheck, ReasonPayeeCheck},
		{"override without a warning", func(m *Mandate) { m.NoMatchOverride = true }, StepPayeeCheck, ReasonNoMatch},
		{"signed before the check", func(m *Mandate) { m.Issued = m.Issued.Add(-2 * time.Minute) }, StepPayeeCheck, ReasonCheckStale},
	} {
		b := newBench(t)
		m := b.mandate()
		c.change(&m)
		v, err := b.verify(b.sign(t, m))
		refusedWith(t, c.what, err, c.step, c.reason)
		if v != nil {
			t.Errorf("%s: a verified mandate came with the refusal", c.what)
		}
	}
}

// The mandate is right, but the world around it is not.
func TestWhatTheConnectorKnowsDecides(t *testing.T) {
	other := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for _, c := range []struct {
		what   string
		change func(*bench, *Verifier)
		step   Step
		reason Reason
	}{
		{"key not enrolled", func(b *bench, _ *Verifier) { b.keyErr = ErrKeyUnknown }, StepKey, ReasonKeyUnknown},
		{"key revoked", func(b *bench, _ *Verifier) { b.key.Status = KeyRevoked }, StepKey, ReasonKeyRevoked},
		{"key without a status", func(b *bench, _ *Verifier) { b.key.Status = "" }, StepKey, ReasonKeyRevoked},
		{"key not valid yet", func(b *bench, _ *Verifier) { b.key.From = b.now.Add(time.Second) }, StepKey, ReasonKeyInactive},
		{"key no longer valid", func(b *bench, _ *Verifier) { b.key.To = b.now }, StepKey, ReasonKeyInactive},
		{"registry stale", func(b *bench, _ *Verifier) { b.key.AsOf = b.now.Add(-5*time.Minute - 1) }, StepKey, ReasonRegistryStale},
		{"registry of unknown age", func(b *bench, _ *Verifier) { b.key.AsOf = time.Time{} }, StepKey, ReasonRegistryStale},
		{"payee's key", func(b *bench, _ *Verifier) { b.key.Profile = ProfilePayee }, StepKey, ReasonKeyProfile},
		{"no accounts", func(b *bench, _ *Verifier) { b.key.Accounts = nil }, StepKey, ReasonKeyAccount},
		{"no audience configured", func(_ *bench, v *Verifier) { v.Audience = "" }, StepContext, ReasonAudience},
		{"nonce used by another", func(b *bench, _ *Verifier) { b.usedBy = Hash{1} }, StepContext, ReasonNonceUsed},
		{"nonce of another connector", func(b *bench, _ *Verifier) { b.check.Audience = "bank2.example" }, StepContext, ReasonAudience},
		{"nonce expired", func(b *bench, v *Verifier) { b.check.Expires = v.Now }, StepContext, ReasonNonceExpired},
		{"nonce for another request", func(b *bench, _ *Verifier) { b.check.RequestHash[0] ^= 1 }, StepTerms, ReasonRequestHash},
		{"check too old", func(_ *bench, v *Verifier) { v.MaxCheckAge = 10 * time.Second }, StepPayeeCheck, ReasonCheckStale},
		{"window of the bank", func(_ *bench, v *Verifier) { v.MaxWindow = time.Minute }, StepContext, ReasonWindow},
		{"later", func(b *bench, v *Verifier) { v.Now = v.Now.Add(5 * time.Minute); b.key.AsOf = v.Now }, StepContext, ReasonExpired},
	} {
		b := newBench(t)
		u := must[UnverifiedMandate](t)(ParseMandate(b.sign(t, b.mandate())))
		v := b.verifier()
		c.change(b, &v)
		_, err := u.Verify(v, b.jws)
		refusedWith(t, c.what, err, c.step, c.reason)
	}

	// The key may order from two accounts; the check was asked for the other one.
	b := newBench(t)
	second := must[payments.Account](t)(payments.ParseAccount("FR7630006000011234567890189"))
	b.key.Accounts = append(b.key.Accounts, EnrolledAccount{second, b.key.Accounts[0].Name, b.debtor.Agent, "EUR"})
	m := b.mandate()
	m.Debtor.Account = second
	_, err := b.verify(b.sign(t, m))
	refusedWith(t, "check for another account", err, StepContext, ReasonKeyAccount)

	// The nonce and the mandate are for one intent, their request hash is of a request for another.
	b = newBench(t)
	b.check.Intent = "pi_0192f3a4-b5c6-7fff-bfff-ffffffffffff"
	m = b.mandate()
	m.Intent = b.check.Intent
	_, err = b.verify(b.sign(t, m))
	refusedWith(t, "request for another intent", err, StepTerms, ReasonIntent)

	b = newBench(t)
	u := must[UnverifiedMandate](t)(ParseMandate(b.sign(t, b.mandate())))
	b.usedBy = u.Hash()
	_, err = u.Verify(b.verifier(), b.jws)
	refusedWith(t, "the same mandate again", err, StepContext, ReasonReplay)

	b = newBench(t)
	jws := b.sign(t, b.mandate())
	b.key.Public = must[PublicKey](t)(NewPublicKey(other.Public()))
	_, err = b.verify(jws)
	refusedWith(t, "key replaced", err, StepKey, ReasonKeyUnknown)

	if _, err := (UnverifiedMandate{}).Verify(b.verifier(), b.jws); err == nil {
		t.Error("the zero mandate verified")
	}
}

// A registry or a table of nonces that is broken is the bank's fault, not the payer's: an error, and no refusal.
func TestBanksOwnFaultsAreNoRefusals(t *testing.T) {
	gone := errors.New("disk gone")
	for what, change := range map[string]func(*bench, *Verifier){
		"registry fails":         func(b *bench, _ *Verifier) { b.keyErr = gone },
		"registry mixes up keys": func(b *bench, v *Verifier) { v.Registry = fixedKey{b.request.Key, b.key} },
		"registry has no key":    func(b *bench, v *Verifier) { v.Registry = fixedKey{PublicKey{}, b.key} },
		"nonces fail":            func(b *bench, v *Verifier) { v.Nonces = fixedNonce{err: gone} },
		"nonces mix up nonces":   func(b *bench, v *Verifier) { v.Nonces = fixedNonce{issued: Issued{Check: PayeeCheck{Nonce: "other"}}} },
		"nonces know nothing":    func(b *bench, v *Verifier) { v.Nonces = fixedNonce{} },
	} {
		b := newBench(t)
		u := must[UnverifiedMandate](t)(ParseMandate(b.sign(t, b.mandate())))
		v := b.verifier()
		change(b, &v)
		verified, err := u.Verify(v, b.jws)
		if refused := (*RefusedError)(nil); err == nil || verified != nil || errors.As(err, &refused) {
			t.Errorf("%s: %v", what, err)
		}
		if strings.HasSuffix(what, "fails") && !errors.Is(err, gone) {
			t.Errorf("%s: cause lost: %v", what, err)
		}
	}
}

// fixedKey is a registry that gives the same key whatever it is asked for.
type fixedKey struct {
	public PublicKey
	record EnrolledKey
}

func (f fixedKey) Key(string, time.Time) (EnrolledKey, error) {
	f.record.Public = f.public
	return f.record, nil
}

// fixedNonce gives the same answer whatever it is asked for.
type fixedNonce struct {
	issued Issued
	err    error
}

func (f fixedNonce) Issued(string) (Issued, error) { return f.issued, f.err }

func TestRequestExpiredAndReplaced(t *testing.T) {
	b := newBench(t)
	b.request.Expires = b.now.Add(10 * time.Second)
	b.signRequest(t)
	b.check.RequestHash = b.hash
	m := b.mandate()
	if m.Expires != b.request.Expires {
		t.Errorf("mandate outlives the request: %v", m.Expires)
	}
	m.Expires = b.now.Add(time.Minute)
	jws := b.sign(t, m)
	if _, err := b.verify(jws); err != nil {
		t.Fatal(err)
	}
	v := must[*VerifiedMandate](t)(b.verify(jws))
	if v.ValidUntil() != b.request.Expires {
		t.Errorf("valid until %v, beyond the request", v.ValidUntil())
	}
	b.now = b.request.Expires
	_, err := b.verify(jws)
	refusedWith(t, "request expired", err, StepTerms, ReasonRequestExpiry)

	// Another request with the same intent, also well signed.
	b = newBench(t)
	jws = b.sign(t, b.mandate())
	b.request.Amount.Minor, b.request.Items = 999900, nil
	b.signRequest(t)
	_, err = b.verify(jws)
	refusedWith(t, "request replaced", err, StepTerms, ReasonRequestHash)
}

func TestNoMatchNeedsTheOverride(t *testing.T) {
	b := newBench(t)
	b.check.Result, b.check.MatchedName = NoMatch, payments.Name{}
	m := b.mandate()
	_, err := b.verify(b.sign(t, m))
	refusedWith(t, "no match", err, StepPayeeCheck, ReasonNoMatch)
	m.NoMatchOverride = true
	if _, err := b.verify(b.sign(t, m)); err != nil {
		t.Errorf("override refused: %v", err)
	}
	for _, result := range []MatchResult{Match, NotApplicable} {
		b.check.Result = result
		if _, err := b.verify(b.sign(t, b.mandate())); err != nil {
			t.Errorf("%s refused: %v", result, err)
		}
	}
}

func TestMethods(t *testing.T) {
	b := newBench(t)
	for _, good := range [][]string{{"hwk", "pin"}, {"swk", "pin"}, {"face", "sc"}, {"hwk", "fpt", "pin"}} {
		if _, err := b.verify(must[[]byte](t)(SignMandate(b.mandate(), b.payer, b.key.KeyID(), good))); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	for _, bad := range [][]string{nil, {"hwk"}, {"pin"}, {"pin", "face"}, {"hwk", "swk"}, {"hwk", "pin", "magic"}, {"hwk", "PIN"}} {
		if _, err := SignMandate(b.mandate(), b.payer, b.key.KeyID(), bad); err == nil {
			t.Errorf("%v signed", bad)
		}
		// A client that is not ours may sign it anyway.
		_, err := b.verify(must[[]byte](t)(mandatePayload.sign(b.mandate(), b.payer, bad)))
		refusedWith(t, fmt.Sprint(bad), err, StepKey, ReasonMethods)
	}
	_, err := b.verify(must[[]byte](t)(mandatePayload.sign(b.mandate(), b.payer, []string{"hwk", "pin", "hwk"})))
	refusedWith(t, "a method twice", err, StepForm, ReasonForm)
	if _, err := SignMandate(b.mandate(), b.payer, b.request.Key.ID(), amr); err == nil {
		t.Error("signed with another key's id")
	}
	if _, err := SignMandate(b.mandate(), b.payee, b.request.Key.ID(), amr); err == nil {
		t.Error("mandate signed with Ed25519")
	}
}

// A mandate signed by the payee's own key with a header that says EdDSA: the algorithm is the enrolled key's.
func TestAlgorithmIsTheEnrolledKeys(t *testing.T) {
	b := newBench(t)
	jws := must[[]byte](t)(mandatePayload.sign(b.mandate(), b.payee, amr))
	_, err := b.verify(jws)
	refusedWith(t, "not enrolled", err, StepKey, ReasonKeyUnknown)
	b.key.Public = b.request.Key
	_, err = b.verify(jws)
	refusedWith(t, "enrolled as dk1 with Ed25519", err, StepKey, ReasonAlg)

	b = newBench(t)
	parts := strings.Split(string(b.sign(t, b.mandate())), ".")
	for _, alg := range []string{"EdDSA", "none", "HS256", "ES384"} {
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"` + alg + `","amr":["hwk","pin"],"kid":"` + b.key.KeyID() + `","typ":"paymandate.1"}`))
		_, err := b.verify([]byte(header + "." + parts[1] + "." + parts[2]))
		refusedWith(t, alg, err, StepKey, ReasonAlg)
	}
}

// Payload texts that a strict reader must refuse although they are well signed.
func TestMandatePayloadIsStrict(t *testing.T) {
	b := newBench(t)
	good := string(mandatePayload.write(b.mandate()).with("typ", text(typMandate)).append(nil))
	for _, c := range []struct{ from, to, path string }{
		{`"value":"129.90"`, `"value":"129.9"`, "amount.value"},
		{`"value":"129.90"`, `"value":"129.900"`, "amount.value"},
		{`"value":"129.90"`, `"value":"1e3"`, "amount.value"},
		{`"value":"129.90"`, `"value":"-129.90"`, "amount.value"},
		{`"value":"129.90"`, `"value":"0.00"`, "amount.value"},
		{`"value":"129.90"`, `"value":12990`, "amount.value"},
		{`"value":"129.90"`, `"value":129.90`, "JSON"},
		{`"value":"129.90"`, `"value":"9223372036854775808"`, "amount.value"},
		{`"currency":"EUR"`, `"currency":"BGN"`, "amount.currency"},
		{`"currency":"EUR"`, `"currency":"eur"`, "amount.currency"},
		{`DE89370400440532013000`, `DE89370400440532013001`, "creditor.account"},
		{`DE89370400440532013000`, `DE89 3704 0044 0532 0130 00`, "creditor.account"},
		{`"name":"Example Coffee"`, `"name":"Example\nCoffee"`, "creditor.name"},
		{`"name":"Example Coffee"`, "\"name\":\"Example \u202eCoffee\"", "creditor.name"},
		{`"name":"Example Coffee"`, "\"name\":\"Example\u200bCoffee\"", "creditor.name"},
		{`"name":"Example Coffee"`, `"name":""`, "creditor.name"},
		{`"lei":"529900T8BM49AURSDO55"`, `"lei":"529900T8BM49AURSDO54"`, "creditor.lei"},
		{`"aud":"bank.example"`, `"aud":""`, "aud"},
		{`"aud":"bank.example"`, `"aud":["bank.example"]`, "aud"},
		{`2026-11-23T09:34:59Z`, `2026-11-23T09:34:59+00:00`, "exp"},
		{`2026-11-23T09:34:59Z`, `2026-11-23T09:34:59.5Z`, "exp"},
		{`2026-11-23T09:34:59Z`, `2026-11-31T09:34:59Z`, "exp"},
		{`2026-11-23T09:34:59Z`, `2026-11-23T09:34:60Z`, "exp"},
		{`2026-11-23T09:34:59Z`, `2026-11-23T08:34:59Z`, "exp"},
		{`"result":"CMTC"`, `"result":"MTCH"`, "payee_check.matched_name"},
		{`"result":"CMTC"`, `"result":"YES"`, "payee_check.result"},
		{`"rails":["sctinst"]`, `"rails":[]`, "rails"},
		{`"rails":["sctinst"]`, `"rails":["sctinst","sctinst"]`, "rails"},
		{`"rails":["sctinst"]`, `"rails":["sct inst"]`, "rails"},
		{`"purpose":"GDDS"`, `"purpose":"gdds"`, "purpose"},
		{`"purpose":"GDDS"`, `"purpose":""`, "purpose"},
		{`"purpose":"GDDS"`, `"purpose":null`, "purpose"},
		{`"reference":"RF18539007547034"`, `"reference":"RF19539007547034"`, "reference"},
		{`"nonce":"`, `"no_match_override":false,"nonce":"`, "no_match_override"},
		{`"nonce":"` + b.check.Nonce + `"`, `"nonce":"AAAA"`, "nonce"},
		{`"intent":"pi_`, `"intent":"px_`, "intent"},
		{`"typ":"paymandate.1"`, `"typ":"paymandate.2"`, "typ"},
		{`,"typ":"paymandate.1"}`, `}`, "typ"},
		{`,"typ":"paymandate.1"}`, `,"tip":"1.00","typ":"paymandate.1"}`, "tip"},
		{`,"typ":"paymandate.1"}`, `,"delegation":null,"typ":"paymandate.1"}`, "canonical"},
		{`{"amount":`, `{ "amount":`, "canonical"},
		{`sha-256:`, `sha-512:`, "request_hash"},
	} {
		bad := strings.Replace(good, c.from, c.to, 1)
		if bad == good {
			t.Fatalf("%s is not in the mandate", c.from)
		}
		_, err := ParseMandate(es256JWS(t, b, bad))
		refusedWith(t, c.to, err, StepForm, ReasonForm)
		if err != nil && !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: %v does not name %s", c.to, err, c.path)
		}
	}
	for _, whole := range []string{``, `{}`, `[]`, `"x"`, `null`, good + good, strings.Repeat(" ", MaxPayload) + good} {
		_, err := ParseMandate(es256JWS(t, b, whole))
		refusedWith(t, fmt.Sprintf("%.20q", whole), err, StepForm, ReasonForm)
	}
	if _, err := ParseMandate(b.jws); err == nil {
		t.Error("a request taken for a mandate")
	}
}

// es256JWS signs any payload as a mandate with the payer's key.
func es256JWS(t *testing.T, b *bench, payload string) []byte {
	t.Helper()
	b64 := base64.RawURLEncoding
	header := `{"alg":"ES256","amr":["hwk","pin"],"kid":"` + b.key.KeyID() + `","typ":"paymandate.1"}`
	input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	digest := sha256Of(input)
	raw := must[[]byte](t)(rawSignature(must[[]byte](t)(ecdsa.SignASN1(rand.Reader, b.payer, digest[:]))))
	return []byte(input + "." + b64.EncodeToString(raw))
}

// An account's currency, limits and single use are not decided here; what is needed for them is exposed.
func TestVerifiedMandateCarriesItsEvidence(t *testing.T) {
	b := newBench(t)
	jws := b.sign(t, b.mandate())
	v := must[*VerifiedMandate](t)(b.verify(jws))
	request, mandate := v.Evidence()
	if !bytes.Equal(request, b.jws) || !bytes.Equal(mandate, jws) {
		t.Error("evidence is not the exact bytes")
	}
	request[0], mandate[0] = 'x', 'x'
	if r, m := v.Evidence(); r[0] == 'x' || m[0] == 'x' {
		t.Error("evidence can be changed from outside")
	}
	if v.Hash() != hashOf(typMandate, mandatePayload.write(b.mandate()).with("typ", text(typMandate)).append(nil)) {
		t.Error("hash is not over the payload")
	}
	if v.Key().Limits.PerPayment.Minor != 50000 || v.Request().Items[1].Name != "Grinder" || len(v.Methods()) != 2 {
		t.Error("key, request or methods lost")
	}
	// Another signature over the same payload is the same mandate: single use counts payloads.
	again := must[*VerifiedMandate](t)(b.verify(b.sign(t, b.mandate())))
	if again.Hash() != v.Hash() {
		t.Error("another signature gives another hash")
	}
}

func TestKeyTimesCountFromTheirSecond(t *testing.T) {
	b := newBench(t)
	b.key.From = b.now.Add(-time.Second + 300*time.Millisecond) // enrolled within the second in which the mandate was signed
	if _, err := b.verify(b.sign(t, b.mandate())); err != nil {
		t.Error(err)
	}
}
