package railsim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments/rail/rails"
)

const goodConfig = `
rail: sctinst
answer_timeout: 2s
magic_amounts: true
audit_token: audit-token
deliver_after: 10ms
participants:
  - id: PAYRDEF0XXX
    token: token-of-debtor
    prefunded: "10000.00"
  - id: SHOPFRP0
    simulated: true
    answer_after: 50ms
rules:
  - name: slow shop
    match:
      minor_units: "77"
      amount_min: "1.00"
      creditor_account: FR1420041010050500013M02606
    action:
      do: late
      delay: 3s
    times: 2
`

func TestParseConfig(t *testing.T) {
	cfg, err := ParseConfig([]byte(goodConfig))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.AnswerTimeout != 2*time.Second || cfg.Participants[0].Prefunded != "10000.00" || cfg.Rules[0].Action.Delay != 3*time.Second || cfg.Rules[0].Match.MinorUnits != "77" || cfg.Participants[1].AnswerAfter != 50*time.Millisecond {
		t.Errorf("%+v", cfg)
	}
	sim, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	if sim.Profile().AnswerTimeout != 2*time.Second || sim.Profile().ServiceTimeout != 1400*time.Millisecond {
		t.Errorf("clocks %v %v", sim.Profile().AnswerTimeout, sim.Profile().ServiceTimeout)
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":       {"magic_amounts:", "magic_amount:", `[4:1] unknown field "magic_amount"`},
		"unknown inner key": {"delay: 3s", "dela: 3s", `unknown field "dela"`},
		"repeated key":      {"rail: sctinst", "rail: sctinst\nrail: fednow", "already defined"},
		"no YAML":           {"rail: sctinst", "rail: [", "[2:"},
		"a word as time":    {"answer_timeout: 2s", "answer_timeout: soon", "time"},
		"unknown rail":      {"rail: sctinst", "rail: fedwire", `no profile "fedwire"`},
		"no bank":           {"PAYRDEF0XXX", "PAYR", "participants[0].id"},
		"a bank elsewhere":  {"PAYRDEF0XXX", `"021040078"`, "participants[0].id: not the kind"},
		"same bank twice":   {"id: SHOPFRP0", "id: PAYRDEF0XXX", "participants[1].id: taken"},
		"the rail itself":   {"id: SHOPFRP0", "id: CSMIDEF0XXX", "participants[1].id: taken"},
		"no token":          {"token: token-of-debtor", "token: ''", "participants[0].token: required"},
		"short token":       {"token-of-debtor", "secret", "participants[0].token: at least 8"},
		"three decimals":    {`"10000.00"`, `"10000.000"`, "participants[0].prefunded"},
		"exponent":          {`"10000.00"`, `"1e4"`, "participants[0].prefunded"},
		"minor units":       {`"77"`, `"7"`, "rules[0].match: minor_units"},
		"account":           {"FR1420041010050500013M02606", "FR1520041010050500013M02606", "rules[0].match: creditor_account"},
		"action":            {"do: late", "do: explode", `rules[0].action: do: no action "explode"`},
		"endless delay":     {"delay: 3s", "delay: -3s", "rules[0].action: delay"},
		"negative times":    {"times: 2", "times: -2", "rules[0].times"},
		"negative time":     {"answer_timeout: 2s", "answer_timeout: -2s", "must not be below zero"},
	} {
		text := strings.Replace(goodConfig, c.old, c.new, 1)
		if text == goodConfig {
			t.Fatalf("%s: nothing replaced", name)
		}
		_, err := ParseConfig([]byte(text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// All at once.
	_, err := ParseConfig([]byte("rail: fednow\nparticipants: [{id: x}, {id: '091000019', prefunded: 'y'}]\nrules: [{action: {by: me, then: flee}}]"))
	for _, want := range []string{"participants[0].id", "participants[0].token", "participants[1].token", "participants[1].prefunded", "by: ", "then: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in: %v", want, err)
		}
	}
	if _, err := New(Config{Rail: "fednow"}); err == nil {
		t.Error("no participants")
	}
}

func TestMagicIsComplete(t *testing.T) {
	for name := range banksOf {
		p := must(rails.Lookup(name))
		for digits, a := range Magic {
			if err := a.check(kindTransfer, p, true); err != nil || len(digits) != 2 {
				t.Errorf("%s %s: %v", name, digits, err)
			}
		}
	}
	for i := 1; i <= 31; i++ {
		if _, ok := Magic[fmt.Sprintf("%02d", i)]; !ok {
			t.Errorf("no %02d", i)
		}
	}
}
