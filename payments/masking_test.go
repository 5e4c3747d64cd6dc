package payments

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// holder has private values in every place where a formatter might look.
type holder struct {
	Account Account
	Name    Name
	hidden  Account
	inner   *holder
	Slice   []Account
	Map     map[string]Name
	Any     any
}

func TestNothingPrivateIsPrinted(t *testing.T) {
	const iban, holderName = "DE89370400440532013000", "Wilhelmina Example-Person"
	account, err := ParseAccount(iban)
	if err != nil {
		t.Fatal(err)
	}
	name, err := ParseName(holderName)
	if err != nil {
		t.Fatal(err)
	}
	h := holder{Account: account, Name: name, hidden: account, Slice: []Account{account}, Map: map[string]Name{"x": name}, Any: account}
	h.inner = &holder{Name: name, hidden: account}

	var out bytes.Buffer
	for _, v := range []any{account, name, &account, &name, h, &h, []Account{account}, []any{name}, map[Account]Name{account: name}, h.inner, account.private, fmt.Errorf("for %v: %w", account, errors.New("x"))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%T", "%50v", "%.100s", "%p", "%z"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		} else {
			fmt.Fprintln(&out, err)
		}
		if err := xml.NewEncoder(&out).Encode(v); err != nil {
			fmt.Fprintln(&out, err)
		}
		if err := gob.NewEncoder(&out).Encode(v); err != nil {
			fmt.Fprintln(&out, err)
		}
		for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
			log := slog.New(handler)
			log.Info("paid", "value", v)
			log.With("value", v).WithGroup("g").Info("paid", slog.Group("sub", "value", v))
		}
	}
	printed := out.String()
	for _, secret := range []string{iban, iban[4:], "0440532", fmt.Sprintf("%x", iban), fmt.Sprintf("%X", iban[4:12]), holderName, "Wilhelmina", "Person", fmt.Sprintf("%x", "Wilhelmina")} {
		if i := strings.Index(strings.ToLower(printed), strings.ToLower(secret)); i >= 0 {
			t.Errorf("%q was printed: …%s…", secret, printed[max(0, i-60):min(len(printed), i+60)])
		}
	}
	if !strings.Contains(printed, "DE…3000") {
		t.Error("the masked account is not there: the test printed nothing")
	}
}

func TestShortAccountsAreHiddenWholly(t *testing.T) {
	for _, s := range []string{"12345", "123456789"} {
		a, err := ParseAccount(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(a); got != "…" {
			t.Errorf("%q printed for a short account", got)
		}
	}
	if got := fmt.Sprint(Account{}, Name{}); !strings.Contains(got, "none") {
		t.Errorf("no account prints as %q", got)
	}
}

func TestParseName(t *testing.T) {
	for _, s := range []string{"A", "Example Coffee", "Café Émile & Söhne", "株式会社", strings.Repeat("é", 140)} {
		if n, err := ParseName(s); err != nil || n.Reveal() != s {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", " ", " A", "A ", "a\nb", "a\x00b", "a\x1b[31mb", "a\u0085b", "a\x7fb", "a\xffb", strings.Repeat("é", 141)} {
		if _, err := ParseName(s); err == nil {
			t.Errorf("%q accepted", s)
		}
	}
}

// Scenario payee-homoglyph: a display name with look-alike letters.
func TestPayeeHomoglyph(t *testing.T) {
	for s, want := range map[string]bool{
		"Example Coffee": false, "Пример Кофе": false, "Café Émile": false, "株式会社 Example": false, "Παράδειγμα": false,
		"Exаmple Coffee": true, "Example Сoffee": true, "Ехample": true, "Εxample": true, "𝐄xample": true, "Ｅxample": true,
	} {
		n, err := ParseName(s)
		if err != nil {
			t.Fatal(err)
		}
		if n.MixesScripts() != want {
			t.Errorf("%q mixes scripts: %v", s, !want)
		}
	}
}

func FuzzParseAmount(f *testing.F) {
	for _, s := range []string{"10.50", "1e3", "0.00", "-1", "999999999999999999", "1.", ".1", "1.234"} {
		f.Add(s, "EUR")
	}
	f.Fuzz(func(t *testing.T, s, code string) {
		a, err := ParseAmount(s, Currency(code))
		if err == nil && (a.Text() != s || a.Minor < 0) {
			t.Errorf("%q read as %d", s, a.Minor)
		}
	})
}

func FuzzParseAccount(f *testing.F) {
	for _, s := range []string{"DE89370400440532013000", "12345", "GB29NWBK60161331926819", "RF18"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAccount(s)
		if err == nil && a.Reveal() != s {
			t.Errorf("%q changed", s)
		}
		_, _, _ = CheckRF(s), CheckLEI(s), CheckReference(s)
		if _, err := ParseName(s); err == nil && len(s) == 0 {
			t.Error("empty name accepted")
		}
	})
}
