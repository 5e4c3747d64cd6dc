package railsim

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
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

// rule is a Rule with its texts turned into values, and what it has counted.
type rule struct {
	name       string
	match, not match
	excludes   bool // not is given
	plan       plan
	times      int // left, for a limited rule; below zero when spent
	goOn       bool
	seen       int // messages that fitted, for nth and every
}

type match struct {
	message                        string
	minor                          int // -1 for any
	min, max                       int64
	debtor, creditor, agent        payments.AgentID
	debtorAccount, creditorAccount payments.Account
	creditorName                   string
	endToEnd                       payments.EndToEndID
	messageID, transactionID       string
	uetr                           payments.UETR
	share                          uint64 // parts of a million
	seed                           uint64
	nth, every                     int
}

func (m *Match) resolve(currency payments.Currency) (match, error) {
	var errs []error
	out := match{message: m.Message, minor: -1, max: 1<<63 - 1, debtor: m.Debtor, creditor: m.Creditor, agent: m.Agent, creditorName: m.CreditorName,
		endToEnd: m.EndToEndID, messageID: m.MessageID, transactionID: m.TransactionID, uetr: m.UETR, share: million, seed: m.Seed, nth: m.Nth, every: m.Every}
	switch m.Message {
	case "":
		out.message = kindTransfer
	case kindTransfer, kindAnswer, kindEnquiry, kindResend:
	default:
		errs = append(errs, fmt.Errorf("message: %s, %s, %s or %s", kindTransfer, kindAnswer, kindEnquiry, kindResend))
	}
	if m.Share != "" {
		var err error
		if out.share, err = parseShare(m.Share); err != nil {
			errs = append(errs, fmt.Errorf("share: %w", err))
		}
	}
	if m.Nth < 0 || m.Every < 0 {
		errs = append(errs, errors.New("nth and every must not be below zero"))
	}
	if m.Nth > 0 && m.Every > 0 {
		errs = append(errs, errors.New("nth or every, not both"))
	}
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

// checkNot says what a Not cannot have.
func (m *Match) checkNot() error {
	if m.Message != "" || m.Nth != 0 || m.Every != 0 {
		return errors.New("has neither message, nth nor every: those of match count")
	}
	return nil
}

const million = 1_000_000

// parseShare reads "2.5%", with at most four decimals, as parts of a million.
func parseShare(s string) (uint64, error) {
	number, ok := strings.CutSuffix(s, "%")
	whole, fraction, point := strings.Cut(number, ".")
	if !ok || len(whole) < 1 || len(whole) > 3 || len(fraction) > 4 || point && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, errors.New(`a part such as "2.5%", with at most four decimals`)
	}
	n, _ := strconv.ParseUint(whole+(fraction + "0000")[:4], 10, 64) // only digits are left, at most 7
	if n > million {
		return 0, errors.New("more than 100%")
	}
	return n, nil
}

// fits reports whether a message of that kind about t is one that the match is for, but for counting.
func (m *match) fits(t *iso20022.CreditTransfer) bool {
	return (m.minor < 0 || t.Amount.Minor%100 == int64(m.minor)) &&
		t.Amount.Minor >= m.min && t.Amount.Minor <= m.max &&
		(m.debtor == "" || m.debtor == t.Instructing.ID) &&
		(m.creditor == "" || m.creditor == t.Instructed.ID) &&
		(m.agent == "" || m.agent == t.Instructing.ID || m.agent == t.Instructed.ID) &&
		(m.debtorAccount == payments.Account{} || m.debtorAccount == t.Debtor.Account) &&
		(m.creditorAccount == payments.Account{} || m.creditorAccount == t.Creditor.Account) &&
		(m.creditorName == "" || m.creditorName == t.Creditor.Name.Reveal()) &&
		(m.endToEnd == "" || m.endToEnd == t.EndToEndID) && (m.uetr == "" || m.uetr == t.UETR) &&
		(m.messageID == "" || m.messageID == t.MessageID) && (m.transactionID == "" || m.transactionID == t.TransactionID) &&
		(m.share == million || draw(m.seed, t) < m.share)
}

// draw returns a number below a million that depends on the seed and on which payment t is, and on nothing else.
func draw(seed uint64, t *iso20022.CreditTransfer) uint64 {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d:%s %d:%s", seed, len(t.MessageID), t.MessageID, len(t.EndToEndID), t.EndToEndID)
	return binary.BigEndian.Uint64(h.Sum(nil)) % million
}

// choose returns what happens to a message of that kind about t: the actions of the first rule that fits and is not spent, with those of
// the rules after it as long as they say Continue; else, for a payment, its magic amount.
func (c *core) choose(kind string, t *iso20022.CreditTransfer) (p plan) {
	found := false
	for i := range c.set.rules {
		r := &c.set.rules[i]
		if r.match.message != kind || r.times < 0 || !r.match.fits(t) || r.excludes && r.not.fits(t) {
			continue
		}
		r.seen++
		if r.match.nth > 0 && r.seen != r.match.nth || r.match.every > 0 && r.seen%r.match.every != 0 {
			continue
		}
		if r.times > 0 {
			if r.times--; r.times == 0 {
				r.times = -1 // spent
			}
		}
		found = true
		p = p.add(r.plan...)
		if !r.goOn {
			break
		}
	}
	if !found && c.magic && kind == kindTransfer {
		if a, ok := Magic[fmt.Sprintf("%02d", t.Amount.Minor%100)]; ok && (a.Do != "tls" || c.tls) {
			p = plan{a.defaults(c.set.profile)}
		}
	}
	return p
}

// forever is further away than any clock of a test or a demonstration goes.
const forever = 100 * 365 * 24 * time.Hour
