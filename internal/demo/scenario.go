package demo

import (
	"crypto/ed25519"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/internal/platform"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/lifecycle"
)

// Scenario is one way a payment can go.
type Scenario struct {
	Name string
	Says string
	Want lifecycle.State // the payer's final status when the scenario goes as its name says

	rule    string        // the rail's action for the payment, YAML; empty: settle
	quick   bool          // the rail's and the connectors' answer time-out is short, see quickTimeout
	expires time.Duration // of the request; 0: the default
	payer   behaviour
	account wrong // the account that the request names
	crash   bool  // the payer's bank's connector is killed after it has sent, and started again
}

type behaviour uint8

const (
	approves behaviour = iota
	declines
	waits // neither approves nor declines
)

// wrong says what is wrong with a request's account; the shop's own program never makes such a request.
type wrong uint8

const (
	nothing wrong = iota
	foreign       // it is somebody else's: a thief in the shop's place
	nowhere       // the payee's bank has no such account: a typing error
)

// quickTimeout replaces the rail's real answer time-out (20 s on FedNow, 10 s on SCT Inst) in the scenarios with silence.
const quickTimeout = 2 * time.Second

var scenarios = []Scenario{
	{Name: "settle", Says: "the payment settles", Want: lifecycle.Settled},
	{Name: "reject", Says: "the request has a typing error in its account, and the payee's bank refuses with AC03", Want: lifecycle.Rejected, account: nowhere},
	{Name: "silence-then-settled", Says: "the rail says nothing in time, and then that it settled", Want: lifecycle.Settled, rule: "{do: silence, then: settle}", quick: true},
	{Name: "silence-then-rejected", Says: "the rail says nothing in time, and then that it refused", Want: lifecycle.Rejected, rule: "{do: silence, then: reject}", quick: true},
	{Name: "decline", Says: "the payer declines", Want: lifecycle.Declined, payer: declines},
	{Name: "expire", Says: "the payer does nothing until the request has expired", Want: lifecycle.Expired, expires: 3 * time.Second, payer: waits},
	{Name: "wrong-payee", Says: "the account is not the named payee's: no match, the payer stops", Want: lifecycle.Declined, account: foreign},
	{Name: "duplicate-status", Says: "the rail gives every answer twice", Want: lifecycle.Settled, rule: "{do: duplicate}"},
	{Name: "connector-crash", Says: "the payer's bank's connector is killed after it has sent, and started again", Want: lifecycle.Settled, rule: "{do: settle, deliver_after: 1500ms}", crash: true},
}

// Scenarios lists the names of all scenarios.
func Scenarios() string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

func scenario(name string) (Scenario, bool) {
	i := slices.IndexFunc(scenarios, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return Scenario{}, false
	}
	return scenarios[i], true
}

// price is what the coffee costs, in the rail's currency.
func price(w platform.World) payments.Amount {
	return payments.Amount{Minor: 450, Currency: w.Currency}
}

// payee returns a fresh key and the shop's name with the wrong account that the scenario asks for.
func payee(w platform.World, a wrong) (ed25519.PrivateKey, intent.Creditor, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, intent.Creditor{}, err
	}
	name, err := payments.ParseName(w.Shop.Name)
	if err != nil {
		return nil, intent.Creditor{}, err
	}
	holder := w.Other
	if a == nowhere {
		holder = w.Nobody
	}
	account, err := payments.ParseAccount(holder.Account)
	if err != nil {
		return nil, intent.Creditor{}, err
	}
	return key, intent.Creditor{Name: name, Account: account, Agent: payments.AgentID(holder.Agent)}, nil
}
