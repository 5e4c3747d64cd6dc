package intent

import "testing"

// BenchmarkVerifyMandate is what a connector does per mandate: parse, verify the mandate's ES256 and the request's EdDSA, compare.
func BenchmarkVerifyMandate(b *testing.B) {
	x := newBench(b)
	jws := must[[]byte](b)(SignMandate(x.mandate(), x.payer, x.key.KeyID(), amr))
	b.ReportAllocs()
	for b.Loop() {
		u, err := ParseMandate(jws)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := u.Verify(x.verifier(), x.jws); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignReceipt is what a connector does per visible change of status.
func BenchmarkSignReceipt(b *testing.B) {
	x := newBench(b)
	receipt := x.statements(b)[typReceipt].value.(Receipt)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := receipt.Sign(x.bank); err != nil {
			b.Fatal(err)
		}
	}
}
