package intent

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
)

// isRefusal reports whether err is one of the two kinds that a peer's bytes may cause.
func isRefusal(err error) bool {
	var format *FormatError
	var refused *RefusedError
	return errors.As(err, &format) || errors.As(err, &refused) || errors.Is(err, ErrSignature)
}

// FuzzJWS gives any bytes to everything that reads a JWS. Nothing panics, nothing but the seeds verifies.
func FuzzJWS(f *testing.F) {
	b := newBench(f)
	mandate := must[[]byte](f)(SignMandate(b.mandate(), b.payer, b.key.KeyID(), amr))
	seeds := [][]byte{b.jws, mandate, []byte(".."), []byte("e30.e30.AAAA")}
	for _, s := range b.statements(f) {
		seeds = append(seeds, s.jws)
	}
	for _, s := range seeds {
		f.Add(s)
	}
	bank := b.bank.Public().(ed25519.PublicKey)
	statements := b.statements(f)
	f.Fuzz(func(t *testing.T, jws []byte) {
		known := false // what is signed is a seed's; ECDSA's signatures differ from worker to worker
		for _, s := range seeds {
			input := s[:bytes.LastIndexByte(s, '.')+1]
			known = known || bytes.HasPrefix(jws, input) && len(jws) == len(s)
		}
		check := func(what string, err error) {
			if err == nil && !known {
				t.Errorf("%s verified: %q", what, jws)
			}
			if err != nil && !isRefusal(err) {
				t.Errorf("%s: %T %v", what, err, err)
			}
		}
		for typ, s := range statements {
			_, err := s.verify(jws, bank)
			check(typ, err)
		}
		if _, err := KeyID(jws); err != nil && !isRefusal(err) {
			t.Errorf("%T %v", err, err)
		}
		// A request may be anybody's: whoever brings a key may sign. It must then sign again to the same payload.
		if r, h, err := VerifyRequest(jws); err == nil {
			if hashOf(typRequest, writeRequest(r).with("typ", text(typRequest)).append(nil)) != h {
				t.Errorf("request is not read back as written: %q", jws)
			}
		} else if !isRefusal(err) {
			t.Errorf("%T %v", err, err)
		}
		u, err := ParseMandate(jws)
		if err == nil {
			_, err = u.Verify(b.verifier(), b.jws)
		}
		check("mandate", err)
	})
}

// FuzzPayload gives any bytes to the reader of every payload. What is accepted is written back to the same bytes.
func FuzzPayload(f *testing.F) {
	b := newBench(f)
	f.Add(must[compact](f)(parseCompact(b.jws)).payload)
	f.Add(must[compact](f)(parseCompact(must[[]byte](f)(SignMandate(b.mandate(), b.payer, b.key.KeyID(), amr)))).payload)
	for _, s := range b.statements(f) {
		f.Add(must[compact](f)(parseCompact(s.jws)).payload)
	}
	f.Add(must[[]byte](f)(b.key.Encode()))
	f.Add(Consent{b.key.Public, ProfileDeviceKey, "bank.example", CodeHash{1}, b.now}.Canonical())
	f.Fuzz(func(t *testing.T, p []byte) {
		rewrite(t, requestPayload, p)
		rewrite(t, mandatePayload, p)
		rewrite(t, payeeCheckPayload, p)
		rewrite(t, enrolmentPayload, p)
		rewrite(t, receiptPayload, p)
		rewrite(t, creditedPayload, p)
		rewrite(t, refusalPayload, p)
		rewrite(t, consentPayload, p)
		rewrite(t, keyPayload, p)
	})
}

func rewrite[T any](t *testing.T, p payload[T], b []byte) {
	t.Helper()
	x, err := p.parse(b)
	if err != nil {
		if !isRefusal(err) {
			t.Errorf("%s: %T", p.typ, err)
		}
		return
	}
	if again := p.write(x).with("typ", text(p.typ)).append(nil); !bytes.Equal(again, b) {
		t.Errorf("%s: %s written back as %s", p.typ, b, again)
	}
}

// FuzzBody gives any bytes to the parsers of the +json bodies.
func FuzzBody(f *testing.F) {
	b := newBench(f)
	mandate := must[[]byte](f)(SignMandate(b.mandate(), b.payer, b.key.KeyID(), amr))
	f.Add(must[[]byte](f)(Check{b.jws, b.debtor.Account}.Encode()))
	f.Add(must[[]byte](f)(Approval{b.jws, mandate}.Encode()))
	f.Add(must[[]byte](f)(Notice{b.request.Intent, "changed-mind"}.Encode()))
	f.Add(must[[]byte](f)(NewEnrol(NewOneTimeCode(), b.payer, ProfileDeviceKey, "bank.example", b.now)))
	f.Add(b.key.Public.JWK())
	f.Fuzz(func(t *testing.T, body []byte) {
		same := func(again []byte, err error) {
			if err != nil || !bytes.Equal(again, body) {
				t.Errorf("%q written back as %q, %v", body, again, err)
			}
		}
		if x, err := ParseCheck(body); err == nil {
			same(x.Encode())
		}
		if x, err := ParseApproval(body); err == nil {
			same(x.Encode())
		}
		if x, err := ParseNotice(body); err == nil {
			same(x.Encode())
		}
		if x, err := ParseEnrol(body); err == nil {
			same(x.Encode())
			if _, err := x.Verify("bank.example", b.now); err != nil && !isRefusal(err) {
				t.Errorf("%T %v", err, err)
			}
		}
		if k, err := ParseJWK(body); err == nil {
			same(k.JWK(), nil)
		}
	})
}
