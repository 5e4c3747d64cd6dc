package connector_test

import (
	"testing"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/lifecycle"
)

// What the rail must write in other characters is shown, in the bank's signed words, before the payer signs; also after a restart.
func TestNameAsTheRailWritesIt(t *testing.T) {
	t.Parallel()
	onRails(t, func(t *testing.T, name string) {
		w := newWorld(t, name, options{})
		r, jws := w.request(17_00, func(r *intent.Request) { r.Creditor.Name = must(payments.ParseName("Exämple Coffee")) })
		check := w.check(r, jws)
		want := payments.Name{}
		if name == "sctinst" {
			text, _ := payments.SEPAText("Exämple Coffee")
			want = must(payments.ParseName(text))
		}
		if check.WrittenName != want {
			t.Errorf("shown as %q", check.WrittenName.Reveal())
		}
		if err := w.payerBank.end(); err != nil {
			t.Fatal(err)
		}
		w.payerBank.start()
		if p := w.state(w.payerBank, r.Intent, lifecycle.Debtor); p.Check.Written != want {
			t.Errorf("after a restart %q", p.Check.Written.Reveal())
		}
		w.payer.tell(intent.MediaMandate, w.approve(jws, check, nil))
		w.ends(r.Intent, lifecycle.Settled)
		q := w.state(w.shopBank, r.Intent, lifecycle.Creditor)
		got := map[string]string{"sctinst": want.Reveal(), "pix": ""}
		if as, special := got[name]; !special && q.Creditor.Name != r.Creditor.Name || special && q.Creditor.Name.Reveal() != as {
			t.Errorf("the creditor's bank gets %q", q.Creditor.Name.Reveal())
		}
		w.audit()
	})
}
