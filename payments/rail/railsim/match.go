package railsim

import (
	"errors"
	"fmt"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
)

// settings is a Config with its texts turned into values.
type settings struct {
	profile  *rail.Profile
	byID     map[payments.AgentID]int // index of a participant
	funds    []int64                  // prefunded, minor units, by participant
	total    int64
	rules    []rule
	queueMax int
	keepMax  int
}

// rule is a Rule with its texts turned into values; times counts down to 0 for a limited rule, and limited rules at 0 are spent.
type rule struct {
	match  match
	action Action
	times  int
}

type match struct {
	minor                          int // -1 for any
	min, max                       int64
	debtor, creditor               payments.AgentID
	debtorAccount, creditorAccount payments.Account
	creditorName                   string
}

func (m *Match) resolve(currency payments.Currency) (match, error) {
	var errs []error
	out := match{minor: -1, max: 1<<63 - 1, debtor: m.Debtor, creditor: m.Creditor, creditorName: m.CreditorName}
	if s := m.MinorUnits; s != "" {
		if len(s) != 2 || s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
			errs = append(errs, errors.New(`minor_units: two digits, in quotes: "07"`))
		} else {
			out.minor = int(s[0]-'0')*10 + int(s[1]-'0')
		}
	}
	for _, f := range []struct {
		key, text string
		to        []*int64
	}{
		{"amount_min", m.AmountMin, []*int64{&out.min}}, {"amount_max", m.AmountMax, []*int64{&out.max}}, {"amount", m.Amount, []*int64{&out.min, &out.max}},
	} {
		if f.text == "" {
			continue
		}
		a, err := payments.ParseAmount(f.text, currency)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.key, err))
		}
		for _, to := range f.to {
			*to = a.Minor
		}
	}
	for _, f := range []struct {
		key, text string
		to        *payments.Account
	}{{"debtor_account", m.DebtorAccount, &out.debtorAccount}, {"creditor_account", m.CreditorAccount, &out.creditorAccount}} {
		if f.text == "" {
			continue
		}
		var err error
		if *f.to, err = payments.ParseAccount(f.text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.key, err))
		}
	}
	return out, errors.Join(errs...)
}

func (m *match) fits(t *iso20022.CreditTransfer) bool {
	return (m.minor < 0 || t.Amount.Minor%100 == int64(m.minor)) &&
		t.Amount.Minor >= m.min && t.Amount.Minor <= m.max &&
		(m.debtor == "" || m.debtor == t.Instructing.ID) &&
		(m.creditor == "" || m.creditor == t.Instructed.ID) &&
		(m.debtorAccount == payments.Account{} || m.debtorAccount == t.Debtor.Account) &&
		(m.creditorAccount == payments.Account{} || m.creditorAccount == t.Creditor.Account) &&
		(m.creditorName == "" || m.creditorName == t.Creditor.Name.Reveal())
}

// choose returns what happens to t: the first rule that fits and is not spent, else its magic amount, else the normal way. Defaults
// are filled in.
func (c *core) choose(t *iso20022.CreditTransfer) Action {
	a, found := Action{}, false
	for i := range c.set.rules {
		r := &c.set.rules[i]
		if r.times < 0 || !r.match.fits(t) {
			continue
		}
		a, found = r.action, true
		if r.times > 0 {
			if r.times--; r.times == 0 {
				r.times = -1 // spent
			}
		}
		break
	}
	if !found && c.magic {
		a = Magic[fmt.Sprintf("%02d", t.Amount.Minor%100)]
	}
	return c.defaults(a)
}

func (c *core) defaults(a Action) Action {
	if a.Do == "" {
		a.Do = "settle"
	}
	if a.Delay == 0 {
		switch timeout := c.set.profile.AnswerTimeout; a.Do {
		case "silence", "late":
			a.Delay = timeout + timeout/4
		case "skew":
			a.Delay = time.Hour
		default:
			a.Delay = timeout / 10
		}
	}
	if a.Code == "" {
		a.Code = "AC03"
		if a.Do == "silence" || a.Do == "contradict" {
			a.Code, a.By = c.set.profile.Codes.CreditorTimeout, "service"
		}
	}
	if a.Do == "unknown" {
		a.Code = "ZZ99"
	}
	return a
}

// forever is further away than any clock of a test or a demonstration goes.
const forever = 100 * 365 * 24 * time.Hour
