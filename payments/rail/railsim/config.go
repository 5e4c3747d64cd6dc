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
	// MagicAmounts makes the last two digits of an amount, 01 to 31, choose what happens, as Magic lists. Rules come first.
	MagicAmounts bool `yaml:"magic_amounts"`
	// Rules are tried in order; the first that matches decides, unless it says Continue. Without a match the payment goes the normal way.
	Rules []Rule `yaml:"rules"`
	// TLSDir is a folder with the certificates that the rail makes for itself, for localhost, 127.0.0.1 and ::1; ca.pem is for the
	// participants. What is missing there is made. Empty means no TLS, and then the action "tls" is an error in a rule.
	TLSDir string `yaml:"tls_dir"`
	// DeliverAfter is how long every pacs.008 waits before the creditor's bank gets it.
	DeliverAfter time.Duration `yaml:"deliver_after"`
	// Deduplicate makes the rail repeat its answer to a pacs.008 with a message id it knows, instead of executing it again.
	Deduplicate bool `yaml:"deduplicate"`
	// AuditToken is the bearer token of /v1/effects and /v1/rules. Empty means that there are no such pages.
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
	rules, faults := resolveRules(cfg.Rules, profile, cfg.TLSDir != "")
	s.rules, errs = rules, append(errs, faults...)
	s.queueMax, s.keepMax = cfg.QueueMax, cfg.KeepMax
	if s.queueMax == 0 {
		s.queueMax = 100_000
	}
	if s.keepMax == 0 {
		s.keepMax = 20_000
	}
	return s, errors.Join(errs...)
}
