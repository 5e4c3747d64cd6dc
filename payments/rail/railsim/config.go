// Package railsim is a real-time rail as a service: it checks what participants send against the rail's profile, settles from
// prefunded positions, and misbehaves on request, by rules, so that a connector can be tried against everything a rail may do.
//
// It moves no real money and stands for no operator. It does not remember a message identification unless configured to: a payment sent
// twice is executed twice, which is the worst a rail can do to its participants.
package railsim

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

// Config configures a Sim. Rail and at least one participant are required; every other zero value means the default it names.
type Config struct {
	// Rail is the name of the profile, one of rails.Names.
	Rail string `yaml:"rail"`
	// Profile is the profile itself, for a rail from elsewhere (see rail.New); Rail must then be empty.
	Profile *rail.Profile `yaml:"-"`
	// Participants are the banks on the rail.
	Participants []Participant `yaml:"participants"`
	// AnswerTimeout replaces the profile's, and scales its other clocks. Zero keeps the rail's own.
	AnswerTimeout time.Duration `yaml:"answer_timeout"`
	// MagicAmounts makes the last two digits of an amount, 01 to 10, choose what happens, as Magic lists. Rules come first.
	MagicAmounts bool `yaml:"magic_amounts"`
	// Rules are tried in order; the first that matches decides. Without a match the payment goes the normal way.
	Rules []Rule `yaml:"rules"`
	// DeliverAfter is how long every pacs.008 waits before the creditor's bank gets it.
	DeliverAfter time.Duration `yaml:"deliver_after"`
	// Deduplicate makes the rail repeat its answer to a pacs.008 with a message id it knows, instead of executing it again.
	Deduplicate bool `yaml:"deduplicate"`
	// AuditToken is the bearer token of /v1/effects. Empty means that there is no such page.
	AuditToken string `yaml:"audit_token"`
	// ArchiveDir is a folder that gets every wire message, named by order, direction and kind. Empty means none.
	ArchiveDir string `yaml:"archive_dir"`
	// Store is a file that keeps payments, queues and positions over a restart of the rail, each step durable before it is answered.
	// Empty means memory only: then a restart of the rail forgets everything.
	Store string `yaml:"store"`
	// QueueMax bounds the messages waiting for one participant. Zero means 100,000. At the bound the rail takes no payment that
	// involves the participant.
	QueueMax int `yaml:"queue_max"`
	// KeepMax bounds the finished payments remembered for enquiries and audit. Zero means 20,000, about 100 MB; the oldest go first.
	KeepMax int `yaml:"keep_max"`

	// Actor names the rail in trace events. Empty means "rail".
	Actor string `yaml:"actor"`
	// Trace takes an event per message; nil takes none. Archive takes every wire message as it passes; nil takes none. Both are called
	// in order, one at a time, and must not call the Sim.
	Trace   trace.Sink     `yaml:"-"`
	Archive func(Document) `yaml:"-"`
	// Clock is the time the rail lives in. Nil means the system's.
	Clock Clock `yaml:"-"`
}

// Participant is one bank on the rail.
type Participant struct {
	// ID is the bank's agent id as in headers: a routing number on FedNow, a BIC on SCT Inst.
	ID payments.AgentID `yaml:"id"`
	// Token is the bearer token of the bank. It is required unless the bank is simulated.
	Token string `yaml:"token"`
	// Prefunded is the bank's position at the start, as a decimal amount in the rail's currency, such as "1000000.00".
	Prefunded string `yaml:"prefunded"`
	// Simulated makes the rail answer incoming payments for the bank, AnswerAfter after they reach it.
	Simulated   bool          `yaml:"simulated"`
	AnswerAfter time.Duration `yaml:"answer_after"`
}

// Rule chooses what happens to a payment. Every part of Match that is given must fit.
type Rule struct {
	Name   string `yaml:"name"` // for errors and metrics
	Match  Match  `yaml:"match"`
	Action Action `yaml:"action"`
	// Times is how many payments the rule applies to before it is spent. Zero means all.
	Times int `yaml:"times"`
}

// Match says which payments a rule is for. The zero Match fits all.
type Match struct {
	MinorUnits      string           `yaml:"minor_units"` // last two digits of the amount, "00" to "99"
	Amount          string           `yaml:"amount"`      // exactly this amount
	AmountMin       string           `yaml:"amount_min"`  // at least
	AmountMax       string           `yaml:"amount_max"`  // at most
	Debtor          payments.AgentID `yaml:"debtor"`      // participant
	Creditor        payments.AgentID `yaml:"creditor"`    // participant
	DebtorAccount   string           `yaml:"debtor_account"`
	CreditorAccount string           `yaml:"creditor_account"`
	CreditorName    string           `yaml:"creditor_name"`
}

// Action is what happens to a payment.
type Action struct {
	// Do is one of Actions. Empty means "settle".
	Do string `yaml:"do"`
	// Code is the reason of a refusal. Empty means AC03, or the rail's time-out code after a silence.
	Code string `yaml:"code"`
	// By says who refuses: "creditor" (default), which is its bank, or "service".
	By string `yaml:"by"`
	// Delay is, by action: how long the silence lasts, the answer is late, or what comes after waits. Zero means the default of the action.
	Delay time.Duration `yaml:"delay"`
	// Then is what comes after a silence: "settle" (default) or "reject". A settlement takes place at once and only its answer waits.
	Then string `yaml:"then"`
	// DeliverAfter delays the pacs.008 to the creditor's bank, beside whatever else happens.
	DeliverAfter time.Duration `yaml:"deliver_after"`
}

// Actions lists what Action.Do may be, with what it does.
var Actions = map[string]string{
	"settle":     "the creditor's bank is asked, and the payment settles if it says yes",
	"reject":     "refused with Code, without asking the creditor's bank",
	"silence":    "nothing is answered for Delay, enquiries included; then as Then says. Default: the answer time-out and a quarter. Below zero: for ever",
	"late":       "settles, the debtor's bank hears of it only after Delay; enquiries are answered. Default: the answer time-out and a quarter",
	"duplicate":  "settles, every answer comes twice, byte for byte",
	"pending":    "settles with the rail's word for not yet posted (ACWP; ACSP on Pix), and its word for posted comes after Delay. Default: a tenth of the answer time-out",
	"block":      "settles with ACWP, and BLCK comes after Delay, as above",
	"contradict": "settles, and after Delay, as above, a RJCT comes for the same payment",
	"return":     "settles, and after Delay, as above, the money comes back with a pacs.004, on RTP with a pacs.008",
	"down":       "the rail announces with admi.004 that it is down, takes nothing for Delay, as above, and announces that it is up; the payment was not taken",
	"lose":       "taken and forgotten: no answer, no execution, and enquiries find no record",
	"error":      "goes the normal way, but the sender's request is answered with HTTP status 502 and an error page, as if something in between had failed",
	"ok":         "goes the normal way, but the sender's request is answered with HTTP status 200 and a refusal inside, which means nothing",
	"reset":      "goes the normal way, but the connection breaks instead of the HTTP answer",
	"hang":       "goes the normal way, but the sender's request is never answered",
	"amount":     "settles, but every answer names another amount for the original payment",
	"skew":       "settles, but the rail's clock, in its answers, is wrong by Delay. Default: an hour",
	"huge":       "settles, and a message larger than the rail's limit comes before each answer",
	"throttle":   "not taken: HTTP status 429; sent again it goes the normal way",
	"unknown":    "refused with a reason code that no code list has (ZZ99), without asking the creditor's bank",
	"stray":      "settles, and a status for a payment nobody sent comes with it",
	"garbled":    "settles, and a message that is no XML comes before each answer",
}

// Magic is what the last two digits of an amount choose when Config.MagicAmounts is on.
var Magic = map[string]Action{
	"01": {Do: "settle"},
	"02": {Do: "reject", Code: "AC03"},
	"03": {Do: "reject", Code: "AM04"},
	"04": {Do: "silence", Then: "settle"},
	"05": {Do: "silence", Then: "reject"},
	"06": {Do: "pending"},
	"07": {Do: "duplicate"},
	"08": {Do: "contradict"},
	"09": {Do: "return"},
	"10": {Do: "down"},
}

// Document is one wire message as it passes.
type Document struct {
	N           uint64 // order, from 1
	At          time.Time
	Dir         rail.Direction
	Participant payments.AgentID // the bank at the other end
	MsgDef      string           // such as "pacs.008.001.08"
	EndToEndID  payments.EndToEndID
	Status      string // of a pacs.002
	Wire        []byte
}

// ParseConfig reads a YAML configuration strictly: an unknown or repeated key is an error that names key and line. It then checks the
// values, and reports everything that is wrong at once.
func ParseConfig(text []byte) (Config, error) {
	var cfg Config
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&cfg); err != nil {
		return Config{}, fmt.Errorf("railsim: config: %w", err)
	}
	return cfg, cfg.Validate()
}

// Validate reports everything that is wrong with the configuration, joined.
func (cfg *Config) Validate() error {
	_, err := cfg.resolve()
	return err
}

func (cfg *Config) profile() (*rail.Profile, error) {
	switch {
	case cfg.Profile == nil:
		return rails.Lookup(cfg.Rail)
	case cfg.Rail != "":
		return nil, errors.New("a name and a profile exclude each other")
	}
	return rail.New(*cfg.Profile)
}

// resolve checks the configuration and turns its texts into values.
func (cfg *Config) resolve() (*settings, error) {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("railsim: config: "+format, args...)) }
	profile, err := cfg.profile()
	if err != nil {
		return nil, fmt.Errorf("railsim: config: rail: %w", err)
	}
	if cfg.AnswerTimeout < 0 || cfg.DeliverAfter < 0 || cfg.QueueMax < 0 || cfg.KeepMax < 0 {
		wrong("answer_timeout, deliver_after, queue_max and keep_max must not be below zero")
	}
	if cfg.AnswerTimeout > 0 {
		profile = profile.WithAnswerTimeout(cfg.AnswerTimeout)
	}
	s := &settings{profile: profile, byID: map[payments.AgentID]int{}}
	if len(cfg.Participants) == 0 {
		wrong("participants: at least one is needed")
	}
	for i, p := range cfg.Participants {
		at := fmt.Sprintf("participants[%d]", i)
		id, err := payments.ParseAgentID(string(p.ID))
		if err != nil {
			wrong("%s.id: %w", at, err)
		} else if id.IsBIC() != profile.Service.IsBIC() || !id.IsBIC() && len(id) != len(profile.Service) {
			wrong("%s.id: not the kind of agent id this rail uses", at)
		}
		if _, twice := s.byID[p.ID]; twice || p.ID == profile.Service {
			wrong("%s.id: taken", at)
		}
		s.byID[p.ID] = i
		if p.Token == "" && !p.Simulated {
			wrong("%s.token: required unless simulated", at)
		}
		if p.AnswerAfter < 0 {
			wrong("%s.answer_after: must not be below zero", at)
		}
		if p.Token != "" && len(p.Token) < 8 {
			wrong("%s.token: at least 8 characters", at)
		}
		funds := int64(0)
		if p.Prefunded != "" {
			a, err := payments.ParseAmount(p.Prefunded, profile.Currency)
			if err != nil {
				wrong("%s.prefunded: %w", at, err)
			}
			funds = a.Minor
		}
		if s.total += funds; s.total < 0 || s.total > 1e17 {
			wrong("%s.prefunded: the positions together are too large", at)
			s.total = 0
		}
		s.funds = append(s.funds, funds)
	}
	for i, r := range cfg.Rules {
		if r.Action.Do == "block" && !slices.ContainsFunc(profile.Meanings(rail.Service), func(m rail.Meaning) bool { return m.Status == "BLCK" }) {
			wrong("rules[%d].action: do: %s knows no BLCK", i, profile.Name)
		}
		m, err := r.Match.resolve(profile.Currency)
		if err != nil {
			wrong("rules[%d].match: %w", i, err)
		}
		if err := r.Action.check(); err != nil {
			wrong("rules[%d].action: %w", i, err)
		}
		if r.Times < 0 {
			wrong("rules[%d].times: must not be below zero", i)
		}
		s.rules = append(s.rules, rule{match: m, action: r.Action, times: r.Times})
	}
	s.queueMax, s.keepMax = cfg.QueueMax, cfg.KeepMax
	if s.queueMax == 0 {
		s.queueMax = 100_000
	}
	if s.keepMax == 0 {
		s.keepMax = 20_000
	}
	return s, errors.Join(errs...)
}

func (a *Action) check() error {
	var errs []error
	if _, ok := Actions[a.Do]; !ok && a.Do != "" {
		errs = append(errs, fmt.Errorf("do: no action %.20q", a.Do))
	}
	if a.By != "" && a.By != "creditor" && a.By != "service" {
		errs = append(errs, errors.New("by: creditor or service"))
	}
	if a.Then != "" && a.Then != "settle" && a.Then != "reject" {
		errs = append(errs, errors.New("then: settle or reject"))
	}
	if len(a.Code) > 4 || strings.ToUpper(a.Code) != a.Code {
		errs = append(errs, errors.New("code: an ISO reason code of up to 4 characters"))
	}
	if a.Delay < 0 && a.Do != "silence" {
		errs = append(errs, errors.New("delay: below zero means for ever, and only a silence lasts so long"))
	}
	if a.DeliverAfter < 0 {
		errs = append(errs, errors.New("deliver_after: must not be below zero"))
	}
	return errors.Join(errs...)
}
