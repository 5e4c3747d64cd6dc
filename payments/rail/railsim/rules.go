package railsim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/internal/config"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail"
)

// Rule chooses what happens to a payment, or to a message about one. Every part of Match that is given must fit, and those of Not must
// not all fit.
type Rule struct {
	Name    string   `yaml:"name"` // for metrics and people
	Match   Match    `yaml:"match"`
	Not     Match    `yaml:"not"`
	Action  Action   `yaml:"action"`
	Actions []Action `yaml:"actions"` // several, instead of Action
	// Times is how many messages the rule applies to before it is spent. Zero means all.
	Times int `yaml:"times"`
	// Continue goes on with the rules that follow and adds their actions, but for those that conflict with an earlier one.
	Continue bool `yaml:"continue"`
}

// Match says which messages a rule is for. The zero Match of a rule fits all payments, and as Not it excludes none.
type Match struct {
	// Message is the kind of message: "pacs.008" (default) for payments, "pacs.002" for answers of the creditor's bank, "pacs.028" for
	// enquiries and "resend" for transfers marked as sent before. What follows is then about the payment that the message is about.
	Message         string              `yaml:"message"`
	MinorUnits      string              `yaml:"minor_units"` // last two digits of the amount, "00" to "99"
	Amount          string              `yaml:"amount"`      // exactly this amount
	AmountMin       string              `yaml:"amount_min"`  // at least
	AmountMax       string              `yaml:"amount_max"`  // at most
	Debtor          payments.AgentID    `yaml:"debtor"`      // participant
	Creditor        payments.AgentID    `yaml:"creditor"`    // participant
	Agent           payments.AgentID    `yaml:"agent"`       // participant on either side
	DebtorAccount   string              `yaml:"debtor_account"`
	CreditorAccount string              `yaml:"creditor_account"`
	CreditorName    string              `yaml:"creditor_name"`
	EndToEndID      payments.EndToEndID `yaml:"end_to_end_id"`
	MessageID       string              `yaml:"message_id"`
	TransactionID   string              `yaml:"transaction_id"`
	UETR            payments.UETR       `yaml:"uetr"`
	// Share is the part of what fits otherwise, such as "2.5%", chosen by Seed and the payment's ids: the same payments whenever and in
	// whatever order they come, and others with another seed. Empty means all.
	Share string `yaml:"share"`
	Seed  uint64 `yaml:"seed"`
	// Nth is for the n-th message only that fits otherwise, Every for each n-th. Zero means no counting. Not in a Not.
	Nth   int `yaml:"nth"`
	Every int `yaml:"every"`
}

// Action is one thing that happens to a payment.
type Action struct {
	// Do is one of Actions. Empty means "settle".
	Do string `yaml:"do"`
	// Code is the reason of a refusal. Empty means AC03, or the rail's time-out code after a silence.
	Code string `yaml:"code"`
	// By says who refuses: "creditor" (default), which is its bank, or "service".
	By string `yaml:"by"`
	// Delay is, by action: how long it lasts, how late something comes, or by how much a clock is wrong. Zero means the action's default.
	Delay time.Duration `yaml:"delay"`
	// Notice is how long before a planned down-time the rail announces it. Zero means the default.
	Notice time.Duration `yaml:"notice"`
	// Then is what comes after a silence: "settle" (default) or "reject". A settlement takes place at once and only its answer waits.
	Then string `yaml:"then"`
	// DeliverAfter delays the pacs.008 to the creditor's bank, beside whatever else happens.
	DeliverAfter time.Duration `yaml:"deliver_after"`
	// On says which message in transit is meant, where the action is done to one: "send", the answer to the sender's request; "answer",
	// the poll that brings its first answer. Empty means both.
	On string `yaml:"on"`
}

const (
	onSend   = "send"
	onAnswer = "answer"
)

// Kinds of message that a rule is for.
const (
	kindTransfer = "pacs.008"
	kindAnswer   = "pacs.002"
	kindEnquiry  = "pacs.028"
	kindResend   = "resend"
)

// rulesMax bounds the number of rules, and rulesMaxBytes the text of those that are set at run time.
const (
	rulesMax      = 1000
	rulesMaxBytes = 64 << 10
)

// SetRules replaces the rules by those in text, YAML or JSON, written as in the configuration: a key rules with a list. The error names
// keys and lines, and then nothing has changed. Counts of Nth, Every and Times begin anew; payments on their way keep what was chosen
// for them.
func (s *Sim) SetRules(text []byte) error {
	rules, err := parseRules(text)
	if err != nil {
		return err
	}
	resolved, errs := resolveRules(rules, s.set.profile, s.cfg.TLSDir != "")
	if errs != nil {
		return errors.Join(errs...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.core.set.rules = resolved
	return nil
}

func parseRules(text []byte) ([]Rule, error) {
	if len(text) > rulesMaxBytes {
		return nil, fmt.Errorf("railsim: config: rules: more than %d bytes", rulesMaxBytes)
	}
	var file struct {
		Rules []Rule `yaml:"rules,required"`
	}
	if err := config.Parse("rules", text, &file).Err(); err != nil {
		return nil, fmt.Errorf("railsim: config: %w", err)
	}
	return file.Rules, nil
}

// resolveRules checks rules and turns their texts into values. The errors are all that is wrong, each beginning with its key.
func resolveRules(rules []Rule, profile *rail.Profile, tls bool) (out []rule, errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("railsim: config: "+format, args...)) }
	if len(rules) > rulesMax {
		wrong("rules: more than %d", rulesMax)
		return nil, errs
	}
	for i := range rules {
		r := &rules[i]
		m, err := r.Match.resolve(profile.Currency)
		if err != nil {
			wrong("rules[%d].match: %w", i, err)
		}
		not, err := r.Not.resolve(profile.Currency)
		if err == nil {
			err = r.Not.checkNot()
		}
		if err != nil {
			wrong("rules[%d].not: %w", i, err)
		}
		as, key := []Action{r.Action}, func(int) string { return fmt.Sprintf("rules[%d].action", i) }
		if r.Actions != nil {
			as, key = r.Actions, func(j int) string { return fmt.Sprintf("rules[%d].actions[%d]", i, j) }
			if r.Action != (Action{}) || len(r.Actions) == 0 {
				wrong("rules[%d].actions: at least one, and not beside action", i)
			}
		}
		for j, a := range as {
			if err := a.check(m.message, profile, tls); err != nil {
				wrong("%s: %w", key(j), err)
			}
		}
		if len(as) > len(Actions) {
			wrong("rules[%d].actions: more than there are", i)
			continue
		}
		resolved := rule{name: r.Name, match: m, not: not, excludes: r.Not != Match{}, times: r.Times, goOn: r.Continue}
		for j, a := range as {
			a = a.defaults(profile)
			for _, b := range resolved.plan {
				if c := conflict(b, a); c != nil {
					wrong("%s: %s: %s: %s", key(j), c.Name, named(b, a), c.Why)
				}
			}
			resolved.plan = append(resolved.plan, a)
		}
		if r.Times < 0 {
			wrong("rules[%d].times: must not be below zero", i)
		}
		out = append(out, resolved)
	}
	return out, errs
}

// forMessages says which actions the kinds of message but pacs.008 can have.
var forMessages = map[string][]string{
	kindAnswer: append([]string{"lose", "throttle", "down", "planned", "tls"}, byTransport...),
	kindEnquiry: append([]string{"lose", "late", "silence", "duplicate", "stray", "early", "amount", "currency", "garbled", "skew", "gap", "throttle", "down", "planned", "tls"},
		byTransport...),
}

// check says what is wrong with an action for messages of that kind.
func (a *Action) check(message string, profile *rail.Profile, tls bool) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, ok := Actions[a.Do]; !ok && a.Do != "" {
		wrong("do: no action %.20q", a.Do)
	} else if message != kindTransfer {
		can := forMessages[message]
		if message == kindResend {
			can = forMessages[kindEnquiry]
		}
		if !slices.Contains(can, a.Do) {
			wrong("do: not for %s, which can have %s", message, strings.Join(can, ", "))
		}
	}
	if a.Do == "tls" && !tls {
		wrong("do: tls needs tls_dir")
	}
	if a.Do == "block" && !slices.ContainsFunc(profile.Meanings(rail.Service), func(m rail.Meaning) bool { return m.Status == "BLCK" }) {
		wrong("do: %s knows no BLCK", profile.Name)
	}
	if a.By != "" && a.By != "creditor" && a.By != "service" {
		wrong("by: creditor or service")
	}
	if a.Then != "" && a.Then != "settle" && a.Then != "reject" {
		wrong("then: settle or reject")
	}
	if len(a.Code) > 4 || strings.Trim(a.Code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		wrong("code: an ISO reason code of up to 4 capital letters and digits")
	}
	if a.Delay < 0 && a.Do != "silence" && a.Do != "skew" {
		wrong("delay: below zero means for ever, and only a silence lasts so long, or that a clock is slow")
	}
	if a.Notice < 0 || a.DeliverAfter < 0 {
		wrong("notice and deliver_after must not be below zero")
	}
	switch {
	case a.On == "":
	case a.On != onSend && a.On != onAnswer:
		wrong("on: send or answer")
	case !slices.Contains(byTransport, a.Do):
		wrong("on: only for %s", strings.Join(byTransport, ", "))
	}
	for _, d := range []time.Duration{a.Delay, a.Notice, a.DeliverAfter} {
		if d > delayMax || d < -delayMax {
			wrong("no time may be above %v", delayMax)
			break
		}
	}
	return errors.Join(errs...)
}

// delayMax bounds every time of an action, so that sums of them stay dates.
const delayMax = 365 * 24 * time.Hour
