package terminal

import (
	"testing"

	"github.com/parleypay/parley/payments"
)

func TestAccountText(t *testing.T) {
	for _, c := range []struct{ account, agent, want string }{
		{"DE89370400440532013000", "PAYRDEF0XXX", "DE89370400440532013000"},
		{"400500600", "091000019", "400500600"},
		{"11222333000181C600000A4000", "20000000", "600000 (CACC), branch 4000, of CNPJ 11222333000181"},
		{"12345678909P500000", "99999010", "500000 (TRAN), of CPF 12345678909"},
		{"12345678909P500000", "091000019", "12345678909P500000"}, // a domestic number on another rail
		{"12345678909P500000", "SHOPFRP0", "12345678909P500000"},
	} {
		a, err := payments.ParseAccount(c.account)
		if err != nil {
			t.Fatal(err)
		}
		if got := accountText(a, payments.AgentID(c.agent)); got != c.want {
			t.Errorf("%s at %s: %q, want %q", c.account, c.agent, got, c.want)
		}
	}
}
