package intent

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestOneTimeCode(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		code := NewOneTimeCode()
		if seen[code] || len(code) != 19 {
			t.Fatalf("code %s", code)
		}
		seen[code] = true
		h, err := HashCode(code)
		if err != nil || !h.Matches(code) {
			t.Fatalf("%s: %v", code, err)
		}
		if typed := strings.ToLower(strings.ReplaceAll(code, "-", " ")); !h.Matches(typed) {
			t.Errorf("%q does not match %s", typed, code)
		}
		if typed := strings.NewReplacer("0", "o", "1", "l").Replace(code); !h.Matches(typed) {
			t.Errorf("%q does not match %s", typed, code)
		}
		wrong := []byte(code)
		wrong[18] = codeAlphabet[(strings.IndexByte(codeAlphabet, wrong[18])+1)%32]
		if h.Matches(string(wrong)) {
			t.Errorf("%s matches %s", wrong, code)
		}
		if back, err := ParseCodeHash(h.String()); err != nil || !back.Equal(h) {
			t.Errorf("%v, %v", back, err)
		}
		if strings.Contains(h.String(), code) {
			t.Error("hash shows the code")
		}
	}
	for _, bad := range []string{"", "1234", "7K2M-9QXC-41TB-RZ0", "7K2M-9QXC-41TB-RZ0VV", "7K2M-9QXC-41TB-RZ0U", "7K2M-9QXC-41TB-RZ0é", strings.Repeat("-", 1000), "7K2M-9QXC-41TB-RZ0V" + strings.Repeat("-", 60)} {
		if h, err := HashCode(bad); err == nil {
			t.Errorf("%q hashed", bad)
		} else if h.Matches(bad) || (CodeHash{}).Matches(bad) {
			t.Errorf("%q matches", bad)
		} else if bad != "" && len(bad) < 20 && strings.Contains(err.Error(), bad) {
			t.Errorf("error shows the code: %v", err)
		}
	}
	if (CodeHash{}).Equal(CodeHash{}) {
		t.Error("no code equals no code")
	}
}

func TestEnrol(t *testing.T) {
	b := newBench(t)
	code := NewOneTimeCode()
	stored := must[CodeHash](t)(HashCode(code))
	body := must[[]byte](t)(NewEnrol(code, b.payer, ProfileDeviceKey, "bank.example", b.now))
	enrol := must[Enrol](t)(ParseEnrol(body))
	consent, err := enrol.Verify("bank.example", b.now.Add(time.Minute))
	if err != nil || consent.Key != b.key.Public || consent.Profile != ProfileDeviceKey || !consent.Code.Equal(stored) || !consent.Issued.Equal(b.now) {
		t.Fatalf("%+v, %v", consent, err)
	}
	if c := must[compact](t)(parseCompact(enrol.Proof)); !bytes.Equal(c.payload, consent.Canonical()) {
		t.Errorf("consent is %s, signed was %s", consent.Canonical(), c.payload)
	}
	if _, err := NewEnrol(code, b.payee, ProfilePayee, "bank.example", b.now); err != nil {
		t.Errorf("payee: %v", err)
	}
	if _, err := NewEnrol(code, b.payee, ProfileDeviceKey, "bank.example", b.now); err == nil {
		t.Error("Ed25519 key enrolled as a payer's")
	}
	if _, err := NewEnrol("guess", b.payer, ProfileDeviceKey, "bank.example", b.now); err == nil {
		t.Error("enrolled with a code that is none")
	}

	thief := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	other := must[Enrol](t)(ParseEnrol(must[[]byte](t)(NewEnrol(NewOneTimeCode(), thief, ProfileDeviceKey, "bank.example", b.now))))
	for _, c := range []struct {
		what   string
		enrol  Enrol
		at     time.Duration
		step   Step
		reason Reason
	}{
		{"proof of another key", Enrol{code, enrol.Key, other.Proof}, 0, StepForm, ReasonForm},
		{"another key with the proof", Enrol{code, other.Key, enrol.Proof}, 0, StepForm, ReasonForm},
		{"another code with the proof", Enrol{other.Code, enrol.Key, enrol.Proof}, 0, StepContext, ReasonCode},
		{"late", enrol, 15*time.Minute + time.Second, StepContext, ReasonExpired},
		{"early", enrol, -time.Minute, StepContext, ReasonIssued},
		{"no proof", Enrol{code, enrol.Key, nil}, 0, StepForm, ReasonForm},
		{"a request as proof", Enrol{code, b.request.Key, b.jws}, 0, StepForm, ReasonForm},
		{"no key", Enrol{code, PublicKey{}, enrol.Proof}, 0, StepForm, ReasonForm},
	} {
		_, err := c.enrol.Verify("bank.example", b.now.Add(c.at))
		refusedWith(t, c.what, err, c.step, c.reason)
	}
	for _, audience := range []string{"", "bank2.example"} {
		_, err := enrol.Verify(audience, b.now)
		refusedWith(t, "audience "+audience, err, StepContext, ReasonAudience)
	}
	for i := range enrol.Proof {
		bad := bytes.Clone(enrol.Proof)
		bad[i] ^= 1 << (i % 7)
		if _, err := (Enrol{code, enrol.Key, bad}).Verify("bank.example", b.now); err == nil {
			t.Fatalf("proof with byte %d changed accepted", i)
		}
	}
	// A proof whose header and kid are the thief's but whose consent names the payer's key.
	swapped := must[[]byte](t)(consentPayload.sign(Consent{enrol.Key, ProfileDeviceKey, "bank.example", stored, b.now}, thief, nil))
	_, err = (Enrol{code, other.Key, swapped}).Verify("bank.example", b.now)
	refusedWith(t, "consent for a key that did not sign", err, StepKey, ReasonKeyUnknown)
	// A proof with the right header and another key's signature.
	payee := must[Enrol](t)(ParseEnrol(must[[]byte](t)(NewEnrol(code, b.payee, ProfilePayee, "bank.example", b.now))))
	header := `{"alg":"EdDSA","kid":"` + payee.Key.ID() + `","typ":"enrolconsent.1"}`
	forged := rawJWS(header, must[compact](t)(parseCompact(payee.Proof)).payload, b.bank)
	_, err = (Enrol{code, payee.Key, forged}).Verify("bank.example", b.now)
	refusedWith(t, "forged proof", err, StepSignature, ReasonSignature)
	tampered := must[compact](t)(parseCompact(enrol.Proof))
	copy(tampered.signature, make([]byte, 8))
	if err := tampered.check(typConsent, enrol.Key); !errors.Is(err, ErrSignature) {
		t.Errorf("tampered signature: %v", err)
	}
}

func TestEnrolledKeyRecord(t *testing.T) {
	b := newBench(t)
	b.key.Limits.PerDay = b.request.Amount
	record := must[[]byte](t)(b.key.Encode())
	back := must[EnrolledKey](t)(ParseEnrolledKey(record))
	back.AsOf = b.key.AsOf
	if !reflect.DeepEqual(back, b.key) {
		t.Errorf("%+v read back as %+v", b.key, back)
	}
	if b.key.Snapshot() != back.Snapshot() || b.key.Snapshot().IsZero() {
		t.Error("snapshot is not of the record")
	}
	back.Status = KeyRevoked
	if b.key.Snapshot() == back.Snapshot() {
		t.Error("snapshot does not show the revocation")
	}
	for what, change := range map[string]func(*EnrolledKey){
		"no key":         func(k *EnrolledKey) { k.Public = PublicKey{} },
		"no status":      func(k *EnrolledKey) { k.Status = "" },
		"no accounts":    func(k *EnrolledKey) { k.Accounts = nil },
		"wrong profile":  func(k *EnrolledKey) { k.Profile = ProfilePayee },
		"no time":        func(k *EnrolledKey) { k.To = k.From },
		"17 accounts":    func(k *EnrolledKey) { k.Accounts = make([]EnrolledAccount, 17) },
		"no currency":    func(k *EnrolledKey) { k.Accounts[0].Currency = "" },
		"negative limit": func(k *EnrolledKey) { k.Limits.PerDay.Minor = -1 },
	} {
		k := newBench(t).key
		change(&k)
		if _, err := k.Encode(); err == nil {
			t.Errorf("%s: encoded", what)
		}
		if !k.Snapshot().IsZero() {
			t.Errorf("%s: has a snapshot", what)
		}
	}
	// The kid and the algorithm in the record are the key's or it is refused.
	for from, to := range map[string]string{`"kid":"` + b.key.KeyID(): `"kid":"` + b.request.Key.ID(), `"alg":"ES256"`: `"alg":"EdDSA"`} {
		bad := bytes.Replace(record, []byte(from), []byte(to), 1)
		if _, err := ParseEnrolledKey(bad); err == nil || bytes.Equal(bad, record) {
			t.Errorf("%s for %s accepted", to, from)
		}
	}
}

func TestBodies(t *testing.T) {
	b := newBench(t)
	mandate := b.sign(t, b.mandate())
	check := Check{b.jws, b.debtor.Account}
	if back := must[Check](t)(ParseCheck(must[[]byte](t)(check.Encode()))); !reflect.DeepEqual(back, check) {
		t.Errorf("%+v", back)
	}
	approval := Approval{b.jws, mandate}
	if back := must[Approval](t)(ParseApproval(must[[]byte](t)(approval.Encode()))); !reflect.DeepEqual(back, approval) {
		t.Errorf("%+v", back)
	}
	for _, notice := range []Notice{{b.request.Intent, "changed-mind"}, {b.request.Intent, ""}} {
		if back := must[Notice](t)(ParseNotice(must[[]byte](t)(notice.Encode()))); back != notice {
			t.Errorf("%+v", back)
		}
	}
	for what, encode := range map[string]func() ([]byte, error){
		"check without an account":  Check{Request: b.jws}.Encode,
		"check without a request":   Check{DebtorAccount: b.debtor.Account}.Encode,
		"approval without mandate":  Approval{Request: b.jws}.Encode,
		"approval of a giant":       Approval{Request: b.jws, Mandate: bytes.Repeat([]byte("."), MaxJWS+1)}.Encode,
		"notice without an intent":  Notice{Reason: "x"}.Encode,
		"notice with a long reason": Notice{b.request.Intent, strings.Repeat("x", 36)}.Encode,
		"notice with prose":         Notice{b.request.Intent, "not today\r\n"}.Encode,
		"enrol without a proof":     Enrol{Code: NewOneTimeCode(), Key: b.key.Public}.Encode,
	} {
		if _, err := encode(); err == nil {
			t.Errorf("%s encoded", what)
		}
	}
	good := must[[]byte](t)(Notice{b.request.Intent, ""}.Encode())
	for _, bad := range []string{``, ` ` + string(good), string(good) + "\n", strings.Replace(string(good), "{", `{"extra":1,`, 1), strings.Replace(string(good), "{", `{"intent":"x",`, 1), `[` + string(good) + `]`, strings.Repeat("{", 70000)} {
		if _, err := ParseNotice([]byte(bad)); err == nil {
			t.Errorf("%.60q accepted", bad)
		}
	}
}

// A body with two JWS of the largest size still fits, so that no valid request is too big to be approved.
func TestLargestBodyFits(t *testing.T) {
	if b := must[[]byte](t)(Approval{bytes.Repeat([]byte(".."), 1)[:2], []byte("..")}.Encode()); len(b) > 100 {
		t.Fatal("envelope is larger than thought")
	}
	jws := append(bytes.Repeat([]byte("A"), MaxJWS-2), '.', '.')
	if b, err := (Approval{jws, jws}).Encode(); err != nil || len(b) > MaxBody {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// Names and accounts in our values are masked wherever they are printed.
func TestValuesPrintMasked(t *testing.T) {
	b := newBench(t)
	v := must[*VerifiedMandate](t)(b.verify(b.sign(t, b.mandate())))
	u := must[UnverifiedMandate](t)(ParseMandate(b.sign(t, b.mandate())))
	var out bytes.Buffer
	code := NewOneTimeCode()
	enrol := must[Enrol](t)(ParseEnrol(must[[]byte](t)(NewEnrol(code, b.payer, ProfileDeviceKey, "bank.example", b.now))))
	mandate := b.sign(t, b.mandate())
	for _, x := range []any{b.request, &b.request, b.mandate(), b.check, b.key, b.debtor, Check{b.jws, b.debtor.Account}, &Approval{b.jws, mandate}, enrol, &enrol,
		u, &u, v, *v, v.Mandate(), v.Request(), map[string]any{"v": v, "u": u}} {
		fmt.Fprintf(&out, "%v %+v %#v %s %x\n", x, x, x, x, x)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "x", x)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "x", x)
		if j, err := json.Marshal(x); err == nil {
			out.Write(j)
		}
	}
	payload := strings.Split(string(mandate), ".")[1]
	for _, secret := range []string{"DE89370400440532013000", "FR1420041010050500013M02606", "Example Coffee", "Payer Example", code, payload[:40], fmt.Sprintf("%x", payload[:20])} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s was printed", secret)
		}
	}
}
