package intent

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/lifecycle"
)

// statements are all the kinds that a bank signs, with every member set.
func (b *bench) statements(t testing.TB) map[string]statement {
	t.Helper()
	uetr := payments.NewUETR(b.request.Intent, "bank.example")
	enrolment := Enrolment{b.key.Public, b.key.Profile, b.key.Accounts, Limits{b.request.Amount, b.request.Amount}, "bank.example", b.now, b.now.Add(24 * time.Hour)}
	receipt := Receipt{"bank.example", b.request.Intent, StatusSettled, "ACSC", ISOStatus{"ACSC", "G000"}, b.request.Amount, b.request.Intent.EndToEndID(), uetr,
		b.hash, Hash{7}, b.now, 9, b.now.Add(time.Second)}
	credited := Credited{"bank2.example", b.request.Intent, b.request.Intent.EndToEndID(), uetr, b.request.Amount, b.request.Creditor.Account, "RF18539007547034", b.now}
	refusal := Refusal{"bank.example", MediaMandate, b.request.Intent, StepTerms, ReasonAmount, "amount is not the request's", b.now}
	return map[string]statement{
		typPayeeCheck: {b.check, must[[]byte](t)(b.check.Sign(b.bank)), func(jws []byte, k ed25519.PublicKey) (any, error) { return VerifyPayeeCheck(jws, k) }},
		typEnrolment:  {enrolment, must[[]byte](t)(enrolment.Sign(b.bank)), func(jws []byte, k ed25519.PublicKey) (any, error) { return VerifyEnrolment(jws, k) }},
		typReceipt:    {receipt, must[[]byte](t)(receipt.Sign(b.bank)), func(jws []byte, k ed25519.PublicKey) (any, error) { return VerifyReceipt(jws, k) }},
		typCredited:   {credited, must[[]byte](t)(credited.Sign(b.bank)), func(jws []byte, k ed25519.PublicKey) (any, error) { return VerifyCredited(jws, k) }},
		typRefusal:    {refusal, must[[]byte](t)(refusal.Sign(b.bank)), func(jws []byte, k ed25519.PublicKey) (any, error) { return VerifyRefusal(jws, k) }},
	}
}

type statement struct {
	value  any
	jws    []byte
	verify func([]byte, ed25519.PublicKey) (any, error)
}

func (b *bench) bankKey() ed25519.PublicKey { return b.bank.Public().(ed25519.PublicKey) }

func TestStatements(t *testing.T) {
	b := newBench(t)
	for typ, s := range b.statements(t) {
		got, err := s.verify(s.jws, b.bankKey())
		if err != nil || !reflect.DeepEqual(got, s.value) {
			t.Errorf("%s read back as %+v, %v, want %+v", typ, got, err, s.value)
		}
		public, _, _ := ed25519.GenerateKey(rand.Reader)
		if _, err := s.verify(s.jws, public); err == nil {
			t.Errorf("%s verified with another bank's key", typ)
		}
		if _, err := s.verify(s.jws, nil); err == nil {
			t.Errorf("%s verified with no key", typ)
		}
		for i := 0; i < len(s.jws); i += 5 { // a request and a mandate, which go through the same code, have every byte changed
			bad := bytes.Clone(s.jws)
			bad[i] ^= 1 << (i % 7)
			if got, err := s.verify(bad, b.bankKey()); err == nil || !reflect.ValueOf(got).IsZero() {
				t.Fatalf("%s with byte %d changed: %v", typ, i, err)
			}
		}
		for other, o := range b.statements(t) {
			if _, err := s.verify(o.jws, b.bankKey()); other != typ && err == nil {
				t.Errorf("%s taken for %s", other, typ)
			}
		}
		if _, err := s.verify(b.jws, b.request.publicKey()); err == nil {
			t.Errorf("a request taken for %s", typ)
		}
	}
}

func (r Request) publicKey() ed25519.PublicKey { return ed25519.PublicKey(r.Key.raw) }

// Every member that is required is missed when it is gone, and one more is refused.
func TestStatementMembers(t *testing.T) {
	b := newBench(t)
	optional := map[string]bool{"matched_name": true, "reason": true, "iso": true, "end_to_end_id": true, "uetr": true, "mandate_hash": true,
		"credited_at": true, "intent": true, "reference": true, "text": true, "chat": true, "items": true, "purpose": true, "rails": true}
	type signed struct {
		typ   string
		jws   []byte
		parse func([]byte) error
	}
	var all []signed
	parsers := map[string]func([]byte) error{
		typPayeeCheck: func(p []byte) error { _, err := payeeCheckPayload.parse(p); return err },
		typEnrolment:  func(p []byte) error { _, err := enrolmentPayload.parse(p); return err },
		typReceipt:    func(p []byte) error { _, err := receiptPayload.parse(p); return err },
		typCredited:   func(p []byte) error { _, err := creditedPayload.parse(p); return err },
		typRefusal:    func(p []byte) error { _, err := refusalPayload.parse(p); return err },
	}
	for typ, s := range b.statements(t) {
		all = append(all, signed{typ, s.jws, parsers[typ]})
	}
	all = append(all, signed{typRequest, b.jws, func(p []byte) error { _, err := requestPayload.parse(p); return err }},
		signed{typMandate, b.sign(t, b.mandate()), func(p []byte) error { _, err := mandatePayload.parse(p); return err }})
	for _, s := range all {
		payload := must[compact](t)(parseCompact(s.jws)).payload
		if err := s.parse(payload); err != nil {
			t.Fatal(err)
		}
		v := must[value](t)(parseCanonical(payload, MaxPayload))
		for i, m := range v.object {
			less := value{kind: kindObject, object: append(append([]member{}, v.object[:i]...), v.object[i+1:]...)}
			err := s.parse(less.append(nil))
			mayGo := optional[m.name] && !(m.name == "matched_name") && !(m.name == "intent" && s.typ != typCredited && s.typ != typRefusal) &&
				!(m.name == "reason" && s.typ == typRefusal) && !(m.name == "end_to_end_id" && s.typ == typCredited) ||
				m.name == "reference" && s.typ == typMandate
			if (err == nil) != mayGo {
				t.Errorf("%s without %s: %v", s.typ, m.name, err)
			}
			for _, wrong := range []value{{}, integer(-1), boolean(true), array(), object(), text("\u202e")} {
				bad := value{kind: kindObject, object: append([]member{}, v.object...)}
				bad.object[i].value = wrong
				if wrong.kind == kindObject && m.name == "limits" {
					continue // no limits are limits
				}
				if err := s.parse(bad.append(nil)); err == nil {
					t.Errorf("%s with %s = %s accepted", s.typ, m.name, wrong.append(nil))
				}
			}
		}
		more := value{kind: kindObject, object: append([]member{is("zz", text("x"))}, v.object...)}
		if err := s.parse(more.append(nil)); err == nil || !strings.Contains(err.Error(), "zz") {
			t.Errorf("%s with one more member: %v", s.typ, err)
		}
	}
}

// What would be refused on reading is not signed.
func TestNothingWrongIsSigned(t *testing.T) {
	b := newBench(t)
	for what, sign := range map[string]func() ([]byte, error){
		"receipt without a status": func() ([]byte, error) {
			return Receipt{Issuer: "b", Intent: b.request.Intent, Amount: b.request.Amount, At: b.now}.Sign(b.bank)
		},
		"receipt with another status": func() ([]byte, error) {
			return Receipt{Issuer: "b", Intent: b.request.Intent, Amount: b.request.Amount, At: b.now, Status: "paid"}.Sign(b.bank)
		},
		"credited_at without settled": func() ([]byte, error) {
			return Receipt{Issuer: "b", Intent: b.request.Intent, Amount: b.request.Amount, At: b.now, Status: StatusAccepted, CreditedAt: b.now}.Sign(b.bank)
		},
		"receipt seq beyond 2^53": func() ([]byte, error) {
			return Receipt{Issuer: "b", Intent: b.request.Intent, Amount: b.request.Amount, At: b.now, Status: StatusSettled, Seq: 1 << 53}.Sign(b.bank)
		},
		"credited with line break": func() ([]byte, error) {
			return Credited{Issuer: "b", EndToEndID: "E1", Amount: b.request.Amount, Account: b.debtor.Account, Reference: "a\nb", At: b.now}.Sign(b.bank)
		},
		"credited for another intent": func() ([]byte, error) {
			return Credited{Issuer: "b", Intent: b.request.Intent, EndToEndID: "E1", Amount: b.request.Amount, Account: b.debtor.Account, At: b.now}.Sign(b.bank)
		},
		"credited with the end-to-end id of another": func() ([]byte, error) {
			return Credited{Issuer: "b", Intent: b.request.Intent, EndToEndID: "01a207bda9c074048404040404040405", Amount: b.request.Amount, Account: b.debtor.Account, At: b.now}.Sign(b.bank)
		},
		"credited without amount": func() ([]byte, error) {
			return Credited{Issuer: "b", EndToEndID: "E1", Account: b.debtor.Account, At: b.now}.Sign(b.bank)
		},
		"refusal about another thing": func() ([]byte, error) {
			return Refusal{Issuer: "b", About: MediaReceipt, Reason: ReasonForm, At: b.now}.Sign(b.bank)
		},
		"refusal without a reason": func() ([]byte, error) { return Refusal{Issuer: "b", About: MediaCheck, At: b.now}.Sign(b.bank) },
		"refusal with escape codes": func() ([]byte, error) {
			return Refusal{Issuer: "b", About: MediaCheck, Reason: "x", Text: "\x1b[31mred", At: b.now}.Sign(b.bank)
		},
		"check without a nonce":      func() ([]byte, error) { c := b.check; c.Nonce = ""; return c.Sign(b.bank) },
		"close match without a name": func() ([]byte, error) { c := b.check; c.MatchedName = payments.Name{}; return c.Sign(b.bank) },
		"match with another name":    func() ([]byte, error) { c := b.check; c.Result = Match; return c.Sign(b.bank) },
		"check that is over":         func() ([]byte, error) { c := b.check; c.Expires = c.At; return c.Sign(b.bank) },
		"enrolment of no key": func() ([]byte, error) {
			return Enrolment{Profile: ProfileDeviceKey, Accounts: b.key.Accounts, Audience: "b", Issued: b.now, Expires: b.now.Add(time.Hour)}.Sign(b.bank)
		},
		"enrolment of a wrong profile": func() ([]byte, error) {
			return Enrolment{Key: b.key.Public, Profile: ProfilePayee, Accounts: b.key.Accounts, Audience: "b", Issued: b.now, Expires: b.now.Add(time.Hour)}.Sign(b.bank)
		},
		"enrolment that is over": func() ([]byte, error) {
			return Enrolment{Key: b.key.Public, Profile: ProfileDeviceKey, Accounts: b.key.Accounts, Audience: "b", Issued: b.now, Expires: b.now}.Sign(b.bank)
		},
		"enrolment without accounts": func() ([]byte, error) {
			return Enrolment{Key: b.key.Public, Profile: ProfileDeviceKey, Audience: "b", Issued: b.now, Expires: b.now.Add(time.Hour)}.Sign(b.bank)
		},
		"mandate without a nonce": func() ([]byte, error) {
			m := b.mandate()
			m.Nonce = ""
			return SignMandate(m, b.payer, b.key.KeyID(), amr)
		},
		"mandate in the year 10000": func() ([]byte, error) {
			m := b.mandate()
			m.Expires = m.Expires.AddDate(8000, 0, 0)
			return SignMandate(m, b.payer, b.key.KeyID(), amr)
		},
		"zero mandate": func() ([]byte, error) { return SignMandate(Mandate{}, b.payer, b.key.KeyID(), amr) },
		"zero request": func() ([]byte, error) { return SignRequest(Request{}, b.payee) },
	} {
		jws, err := sign()
		var format *FormatError
		if jws != nil || !errors.As(err, &format) {
			t.Errorf("%s: %s, %v", what, jws, err)
		}
	}
}

func TestRequestRefusals(t *testing.T) {
	eur := func(n int64) payments.Amount { return payments.Amount{Minor: n, Currency: "EUR"} }
	for what, change := range map[string]func(*Request){
		"items that do not add up":    func(r *Request) { r.Items[0].Amount.Minor++ },
		"item without an amount":      func(r *Request) { r.Items[1].Amount = payments.Amount{} },
		"items in another currency":   func(r *Request) { r.Items[1].Amount.Currency = "USD" },
		"items that overflow":         func(r *Request) { r.Items = overflowing() },
		"33 items":                    func(r *Request) { r.Items = make([]Item, 33) },
		"no quantity":                 func(r *Request) { r.Items[0].Quantity = 0 },
		"quantity of 10000":           func(r *Request) { r.Items[0].Quantity = 10000 },
		"item without a name":         func(r *Request) { r.Items[0].Name = "" },
		"item with a long name":       func(r *Request) { r.Items[0].Name = strings.Repeat("x", 71) },
		"item with a line break":      func(r *Request) { r.Items[0].Name = "a\r\nb" },
		"item with escape codes":      func(r *Request) { r.Items[0].Name = "\x1b[2J" },
		"item that is not NFC":        func(r *Request) { r.Items[0].Name = "Cafe\u0301" },
		"item with invalid UTF-8":     func(r *Request) { r.Items[0].Name = "a\xff" },
		"no amount":                   func(r *Request) { r.Amount = payments.Amount{} },
		"zero amount":                 func(r *Request) { r.Amount, r.Items = eur(0), nil },
		"negative amount":             func(r *Request) { r.Amount, r.Items = eur(-12990), nil },
		"19 digits":                   func(r *Request) { r.Amount, r.Items = eur(1_000_000_000_000_000_000), nil },
		"unknown currency":            func(r *Request) { r.Amount, r.Items = payments.Amount{Minor: 1, Currency: "XXX"}, nil },
		"no account":                  func(r *Request) { r.Creditor.Account = payments.Account{} },
		"no name":                     func(r *Request) { r.Creditor.Name = payments.Name{} },
		"no bank":                     func(r *Request) { r.Creditor.Agent = "" },
		"expiry before issue":         func(r *Request) { r.Expires = r.Issued },
		"no expiry":                   func(r *Request) { r.Expires = time.Time{} },
		"no intent":                   func(r *Request) { r.Intent = "" },
		"rail twice":                  func(r *Request) { r.Rails = []string{"fednow", "fednow"} },
		"nine rails":                  func(r *Request) { r.Rails = strings.Fields("a b c d e f g h i") },
		"group in capitals":           func(r *Request) { r.Chat.Group = strings.ToUpper(r.Chat.Group) },
		"epoch beyond 2^53":           func(r *Request) { r.Chat.Epoch = 1 << 60 },
		"reference of 36 characters":  func(r *Request) { r.Reference = strings.Repeat("9", 36) },
		"reference with wrong digits": func(r *Request) { r.Reference = "RF00539007547034" },
		"purpose of 5 characters":     func(r *Request) { r.Purpose = "GDDSX" },
	} {
		b := newBench(t)
		change(&b.request)
		if jws, err := SignRequest(b.request, b.payee); err == nil || jws != nil {
			t.Errorf("%s was signed", what)
		}
	}
	b := newBench(t)
	good := string(writeRequest(b.request).with("typ", text(typRequest)).append(nil))
	for from, to := range map[string]string{`"name":"Flat white",`: ``, `"quantity":2`: `"quantity":"2"`, `"quantity":1`: `"quantity":1.0`, `,"name":"Example Coffee"`: ``, `{"epoch":7,`: `{`, `"items":[`: `"items":[[],`} {
		bad := strings.Replace(good, from, to, 1)
		if _, err := requestPayload.parse([]byte(bad)); err == nil || bad == good {
			t.Errorf("%s for %s accepted", to, from)
		}
	}
	b.request.Items, b.request.Chat, b.request.Rails, b.request.Reference, b.request.Purpose, b.request.Creditor.LEI = nil, nil, nil, "", "", ""
	b.signRequest(t) // the least there can be
	b.request.Items = make([]Item, 32)
	for i := range b.request.Items {
		b.request.Items[i] = Item{Name: strings.Repeat("é", 70), Quantity: 9999}
	}
	b.signRequest(t) // the most there can be
}

func overflowing() []Item {
	big := payments.Amount{Minor: 999_999_999_999_999_999, Currency: "EUR"}
	items := make([]Item, 12)
	for i := range items {
		items[i] = Item{"x", 1, big}
	}
	return items
}

// The payee's key is inside the signed bytes: another key cannot be put in its place.
func TestRequestKeyIsSigned(t *testing.T) {
	b := newBench(t)
	_, thief, _ := ed25519.GenerateKey(rand.Reader)
	c := must[compact](t)(parseCompact(b.jws))
	header := `{"alg":"EdDSA","kid":"` + b.request.Key.ID() + `","typ":"paymentrequest.1"}`
	if _, _, err := VerifyRequest(rawJWS(header, c.payload, thief)); !errors.Is(err, ErrSignature) {
		t.Errorf("signed by another key: %v", err)
	}
	// With the thief's own key inside it is another request, with another hash.
	stolen := b.request
	jws := must[[]byte](t)(SignRequest(stolen, thief))
	if _, h, err := VerifyRequest(jws); err != nil || h == b.hash {
		t.Errorf("hash does not cover the key: %v", err)
	}
	// A P-256 key inside is no payee's key.
	v := writeRequest(b.request).with("typ", text(typRequest))
	for i := range v.object {
		if v.object[i].name == "key" {
			v.object[i].value = b.key.Public.value()
		}
	}
	if _, err := requestPayload.parse(v.append(nil)); err == nil || !strings.Contains(err.Error(), "Ed25519") {
		t.Errorf("P-256 key in a request: %v", err)
	}
}

func TestHash(t *testing.T) {
	h := hashOf("a", []byte("b"))
	if back, err := ParseHash(h.String()); err != nil || back != h || h.IsZero() {
		t.Errorf("%v, %v", back, err)
	}
	if h == hashOf("a\x00b", nil) || h == hashOf("", []byte("ab")) {
		t.Error("kinds of payload are not kept apart")
	}
	for _, s := range []string{"", "sha-256:", h.String()[:71], h.String() + "0", strings.ToUpper(h.String()), "sha-256:" + strings.ToUpper(h.String()[8:]), "SHA-256:" + h.String()[8:], h.String()[8:]} {
		if _, err := ParseHash(s); err == nil {
			t.Errorf("%q accepted", s)
		}
	}
}

// The statuses of a receipt are the states of the lifecycle table, and final where it says terminal.
func TestStatusesAreTheLifecycles(t *testing.T) {
	states := lifecycle.States()
	if len(states) != 13 {
		t.Errorf("%d states", len(states))
	}
	for _, s := range states {
		if status := Status(s); !status.known() || status.Final() != s.Terminal() {
			t.Errorf("%s: known %v, final %v", s, status.known(), status.Final())
		}
	}
	for _, s := range []Status{"", "paid", "Settled"} {
		if s.known() || s.Final() {
			t.Errorf("%q is a status", s)
		}
	}
}
