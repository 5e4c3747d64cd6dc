package corebank

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var (
	ctx    = context.Background()
	alpha  = must(payments.ParseAccount("123456789012"))
	beta   = must(payments.ParseAccount("987654321000"))
	closed = must(payments.ParseAccount("555"))
	stuck  = must(payments.ParseAccount("666"))
	none   = must(payments.ParseAccount("777"))
	name   = must(payments.ParseName("Example Payer"))
)

func usd(minor int64) payments.Amount { return payments.Amount{Minor: minor, Currency: "USD"} }

func accounts() []Account {
	return []Account{{alpha, name, usd(100_00), ""}, {beta, name, usd(0), Open}, {closed, name, usd(5_00), Closed}, {stuck, name, usd(5_00), Blocked}}
}

func open(t *testing.T, path string) *Bank {
	t.Helper()
	b, err := OpenBank(path, accounts())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func reason(err error) string {
	var c *connector.CoreError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &c):
		return c.Reason
	}
	return "error"
}

func (b *Bank) has(t *testing.T, a payments.Account, balance, held int64) {
	t.Helper()
	got, h, err := b.Balance(ctx, a)
	if err != nil || got.Minor != balance || h.Minor != held {
		t.Errorf("balance %d, held %d, %v; want %d, %d", got.Minor, h.Minor, err, balance, held)
	}
}

func TestHoldPostRelease(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "bank.db"))
	steps := []struct {
		what          string
		call          func() error
		want          string
		balance, held int64
	}{
		{"reserve", func() error { return b.Reserve(ctx, "1", alpha, usd(60_00)) }, "", 100_00, 60_00},
		{"again", func() error { return b.Reserve(ctx, "1", alpha, usd(60_00)) }, "", 100_00, 60_00},
		{"same key, other amount", func() error { return b.Reserve(ctx, "1", alpha, usd(61_00)) }, "AM05", 100_00, 60_00},
		{"too much", func() error { return b.Reserve(ctx, "2", alpha, usd(40_01)) }, "AM04", 100_00, 60_00},
		{"the rest", func() error { return b.Reserve(ctx, "3", alpha, usd(40_00)) }, "", 100_00, 100_00},
		{"post", func() error { return b.Post(ctx, "1") }, "", 40_00, 40_00},
		{"post again", func() error { return b.Post(ctx, "1") }, "", 40_00, 40_00},
		{"release after post", func() error { return b.Release(ctx, "1") }, "NOAS", 40_00, 40_00},
		{"release", func() error { return b.Release(ctx, "3") }, "", 40_00, 0},
		{"release again", func() error { return b.Release(ctx, "3") }, "", 40_00, 0},
		{"post after release", func() error { return b.Post(ctx, "3") }, "NOAS", 40_00, 0},
		{"reserve after release", func() error { return b.Reserve(ctx, "3", alpha, usd(1)) }, "NOAS", 40_00, 0},
		{"release before reserve", func() error { return b.Release(ctx, "4") }, "", 40_00, 0},
		{"the reserve that comes late", func() error { return b.Reserve(ctx, "4", alpha, usd(1)) }, "NOAS", 40_00, 0},
		{"post of nothing", func() error { return b.Post(ctx, "5") }, "NOAS", 40_00, 0},
	}
	for _, s := range steps {
		if got := reason(s.call()); got != s.want {
			t.Errorf("%s: %q, want %q", s.what, got, s.want)
		}
		b.has(t, alpha, s.balance, s.held)
	}
}

func TestRefusals(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "bank.db"))
	credit := func(a payments.Account, amount payments.Amount) error {
		_, err := b.Credit(ctx, "k"+a.Reveal()+amount.String(), a, amount)
		return err
	}
	for _, c := range []struct {
		what string
		err  error
		want string
	}{
		{"reserve, no account", b.Reserve(ctx, "a", none, usd(1)), "AC03"},
		{"reserve, closed", b.Reserve(ctx, "b", closed, usd(1)), "AC04"},
		{"reserve, blocked", b.Reserve(ctx, "c", stuck, usd(1)), "AC06"},
		{"reserve, currency", b.Reserve(ctx, "d", alpha, payments.Amount{Minor: 1, Currency: "EUR"}), "AM03"},
		{"reserve nothing", b.Reserve(ctx, "e", alpha, usd(0)), "error"},
		{"reserve less than nothing", b.Reserve(ctx, "f", alpha, usd(-5)), "error"},
		{"reserve without key", b.Reserve(ctx, "", alpha, usd(1)), "error"},
		{"post without key", b.Post(ctx, ""), "error"},
		{"release without key", b.Release(ctx, ""), "error"},
		{"credit, no account", credit(none, usd(1)), "AC03"},
		{"credit, closed", credit(closed, usd(1)), "AC04"},
		{"credit, blocked", credit(stuck, usd(1)), "AC06"},
		{"credit, currency", credit(alpha, payments.Amount{Minor: 1, Currency: "EUR"}), "AM03"},
		{"credit nothing", credit(alpha, usd(0)), "error"},
		{"status of no account", b.SetStatus(ctx, none, Closed), "AC03"},
	} {
		if got := reason(c.err); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
	b.has(t, alpha, 100_00, 0)
	for i, bad := range [][]Account{{{payments.Account{}, name, usd(1), ""}}, {{alpha, payments.Name{}, usd(1), ""}}, {{alpha, name, usd(-1), ""}},
		{{alpha, name, payments.Amount{Minor: 1, Currency: "ZZZ"}, ""}}, {{alpha, name, usd(1), "frozen"}}} {
		if err := b.OpenAccounts(ctx, bad); err == nil {
			t.Errorf("account %d was opened", i)
		}
	}
}

func TestCreditOnceAndLookUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bank.db")
	b := open(t, path)
	ref := must(b.Credit(ctx, "1", beta, usd(7_00)))
	if again, err := b.Credit(ctx, "1", beta, usd(7_00)); err != nil || again != ref {
		t.Errorf("second credit: %s, %v, want %s", again, err, ref)
	}
	if _, err := b.Credit(ctx, "1", beta, usd(8_00)); reason(err) != "AM05" {
		t.Errorf("same key, other amount: %v", err)
	}
	b.has(t, beta, 7_00, 0)
	for a, want := range map[payments.Account]string{alpha: "", closed: "AC04", stuck: "AC06"} {
		if info, err := b.LookUp(ctx, a); err != nil || info.Refuse != want || info.Name != name || info.Currency != "USD" {
			t.Errorf("%v: %+v, %v", a, info, err)
		}
	}
	if _, err := b.LookUp(ctx, none); reason(err) != "AC03" {
		t.Errorf("no account: %v", err)
	}
	// Everything is there after a restart, and the accounts are not opened anew.
	b.Close()
	b = open(t, path)
	b.has(t, beta, 7_00, 0)
	if again := must(b.Credit(ctx, "1", beta, usd(7_00))); again != ref {
		t.Errorf("after a restart the credit is %s, was %s", again, ref)
	}
	if balances, holds, err := b.Totals(ctx); err != nil || balances["USD"] != 117_00 || holds["USD"] != 0 {
		t.Errorf("totals %v, %v, %v", balances, holds, err)
	}
}

// 64 reserves at once for an account that holds ten of them: ten pass, each once, whatever is repeated.
func TestReserveUnderConcurrency(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "bank.db"))
	var wait sync.WaitGroup
	var mu sync.Mutex
	passed := map[int]bool{}
	for i := range 64 {
		for range 2 {
			wait.Go(func() {
				switch err := b.Reserve(ctx, fmt.Sprint(i), alpha, usd(10_00)); reason(err) {
				case "":
					mu.Lock()
					passed[i] = true
					mu.Unlock()
				case "AM04":
				default:
					t.Error(err)
				}
			})
		}
	}
	wait.Wait()
	if len(passed) != 10 {
		t.Errorf("%d passed", len(passed))
	}
	b.has(t, alpha, 100_00, 100_00)
}
