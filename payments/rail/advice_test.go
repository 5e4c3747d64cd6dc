package rail_test

import (
	"testing"

	"github.com/parleypay/parley/payments/iso20022/codes"
	. "github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

// Each reason is one of ISO's, and what a rail says itself has advice. A reason that nobody knows needs a person.
func TestAdvice(t *testing.T) {
	eachProfile(t, func(t *testing.T, p *Profile) {
		for code := range p.Reasons {
			if len(codes.Find(code)) == 0 {
				t.Errorf("%s is in no code set", code)
			}
		}
		for _, code := range []string{p.Codes.NoFunds, p.Codes.CreditorTimeout, p.Codes.TooLate, p.Codes.UnknownAgent} {
			if _, ok := p.Reasons[code]; !ok {
				t.Errorf("%s, which the rail says itself, has no advice", code)
			}
		}
		for code, want := range map[string]Advice{"AC04": NeverPay, "AB05": RetryNew, "AC01": WrongData, "NARR": AskBank, "ZZ99": AskBank, "": AskBank} {
			if got := p.Advice(code); got != want {
				t.Errorf("%q: %s, want %s", code, got, want)
			}
		}
		// No rail says that a payment may be tried again which somebody may still execute, or has executed.
		for _, code := range []string{p.Codes.NotFound, "AM05", "DUPL"} {
			if code != "" && p.Advice(code) == RetryNew {
				t.Errorf("%s must not be retried", code)
			}
		}
	})
	if _, ok := must(rails.Lookup("sctinst")).Reasons["AM02"]; ok {
		t.Error("AM02 ended on SCT Inst with the 2025 rulebook")
	}
}
