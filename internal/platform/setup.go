// Package platform lays out a small payment world, two banks on one simulated rail with a relay, as configuration files, and runs it
// in one process for tests and benchmarks.
//
// It is no configuration of a real bank: its core banks are simulated and its one-time codes stand in its files.
package platform

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/rail/rails"
)

// Actors' names in trace events and the names of their files.
const (
	Relay     = "relay"
	Rail      = "rail"
	PayerBank = "payer-bank"
	ShopBank  = "shop-bank"
)

// World is a rail with two banks on it and customers of each. Names are invented; account numbers and agents are those that
// standards and textbooks use as examples.
type World struct {
	Rail, Title string
	Currency    payments.Currency
	Answer      time.Duration // the rail's own answer time-out
	Payer, Shop Customer
	Other       Customer // another customer of the shop's bank
	Nobody      Customer // an account at the shop's bank that does not exist

	// PayerCodes and ShopCodes are the one-time codes for the accounts of Payer and Shop; each enrols one device.
	PayerCodes, ShopCodes []string

	// What differs from the rail's and the banks' normal behaviour; zero for none.
	AnswerTimeout time.Duration // instead of Answer, at the rail and at the connectors
	Rules         string        // the rail's rules, YAML
	Magic         bool          // magic amounts
	Audit         string        // token of the rail's audit page
	Temporary     bool          // the files lie where temporary files do, and may be lost
	Fixed         bool          // fixed ports instead of free ones
	NoArchive     bool          // the rail keeps no copy of its messages
	Balance       string        // of every account; default 1000.00
}

// Customer is an account at a bank with its holder.
type Customer struct{ Agent, Account, Name string }

// NewWorld returns a world on the rail of that name, with fresh codes for so many payers.
func NewWorld(railName string, payers int) (World, error) {
	w, ok := map[string]World{
		"fednow": {Payer: Customer{"021040078", "100200300", "Example Payer"},
			Shop:  Customer{"091000019", "400500600", "Example Coffee"},
			Other: Customer{"091000019", "700800900", "Another Customer"}, Nobody: Customer{"091000019", "999000999", ""}},
		"sctinst": {Payer: Customer{"PAYRDEF0XXX", "DE89370400440532013000", "Example Payer"},
			Shop:  Customer{"SHOPFRP0XXX", "FR1420041010050500013M02606", "Example Coffee"},
			Other: Customer{"SHOPFRP0XXX", "NL91ABNA0417164300", "Another Customer"}, Nobody: Customer{"SHOPFRP0XXX", "GB29NWBK60161331926819", ""}},
		"rtp": {Payer: Customer{"021040078", "100200300", "Example Payer"},
			Shop:  Customer{"091000019", "400500600", "Example Coffee"},
			Other: Customer{"091000019", "700800900", "Another Customer"}, Nobody: Customer{"091000019", "999000999", ""}},
		"pix": {Payer: Customer{"99999010", "12345678909C500000A3000", "Example Payer"},
			Shop:  Customer{"20000000", "11222333000181C600000A4000", "Example Coffee"},
			Other: Customer{"20000000", "52998224725C700800A4000", "Another Customer"}, Nobody: Customer{"20000000", "11144477735C999000A4000", ""}},
	}[railName]
	if !ok {
		return World{}, fmt.Errorf("there is no rail %q; there are: %s", railName, strings.Join(rails.Names(), ", "))
	}
	profile, err := rails.Lookup(railName)
	if err != nil {
		return World{}, err
	}
	w.Rail, w.Title, w.Currency, w.Answer = profile.Name, profile.Title, profile.Currency, profile.AnswerTimeout
	w.Balance, w.Audit = "1000.00", rand.Text()
	w.ShopCodes = []string{intent.NewOneTimeCode()}
	for range payers {
		w.PayerCodes = append(w.PayerCodes, intent.NewOneTimeCode())
	}
	return w, nil
}

var relayYAML = template.Must(template.New("relay").Parse(`{{if .Fixed -}}
listen: 127.0.0.1:7410
monitor: 127.0.0.1:7411
{{- else -}}
listen: 127.0.0.1:0
monitor: 127.0.0.1:0
{{- end}}
store: relay
{{- if .Temporary}}
unsafe_temp_store: true
{{- end}}
`))

var railYAML = template.Must(template.New("rail").Parse(`rail: {{.Rail}}
{{- if .Fixed}}
listen: 127.0.0.1:7420
monitor: 127.0.0.1:7421
{{- else}}
listen: 127.0.0.1:0
monitor: 127.0.0.1:0
{{- end}}
{{- if .Magic}}
magic_amounts: true # the last two digits of an amount choose what happens, see docs/rails.md
{{- end}}
audit_token: {{.Audit}}
{{- if not .NoArchive}}
archive_dir: wire
{{- end}}
participants:
  - {id: "{{.Payer.Agent}}", token: {{.PayerToken}}, prefunded: "10000000.00"}
  - {id: "{{.Shop.Agent}}", token: {{.ShopToken}}, prefunded: "10000000.00"}
{{- if .AnswerTimeout}}
answer_timeout: {{.AnswerTimeout}}
{{- end}}
{{- if .Rules}}
rules: {{.Rules}}
{{- end}}
`))

var bankYAML = template.Must(template.New("bank").Parse(`agent: "{{.Own.Agent}}"
name: Bank of {{.Own.Name}}
actor: {{.Actor}}
store: {{.Actor}}
monitor: {{.Monitor}}
relay:
  url: {{.RelayURL}}
rail:
  profile: {{.Rail}}
  url: {{.RailURL}}
  token_file: {{.Actor}}.token
{{- if .AnswerTimeout}}
  answer_timeout: {{.AnswerTimeout}}
{{- end}}
payee_check:
{{- if .Asks}}
  banks: {"{{.Shop.Agent}}": {{.Asks}}}
{{- else}}
  listen: {{.Answers}}
{{- end}}
accounts: # of the simulated core bank
{{- if eq .Rail "pix"}}
  # number: the holder's CPF or CNPJ, C for a current account, its number, A and the branch
{{- end}}
{{- range .Accounts}}
  - {number: "{{.Account}}", name: {{.Name}}, currency: {{$.Currency}}, balance: "{{$.Balance}}"}
{{- end}}
codes: # one-time codes for customers; parley connector -new-code makes more
{{- range .Codes}}
  - {code: "{{.}}", role: {{$.Role}}, accounts: ["{{$.Own.Account}}"]}
{{- end}}
`))

// WriteRail writes relay.yaml, rail.yaml and the banks' rail tokens into dir.
func (w World) WriteRail(dir string) error {
	token := rand.Text()
	data := struct {
		World
		PayerToken, ShopToken string
	}{w, token + "-payer", token + "-shop"}
	if err := os.MkdirAll(filepath.Join(dir, "wire"), 0o700); err != nil {
		return err
	}
	for actor, t := range map[string]string{PayerBank: data.PayerToken, ShopBank: data.ShopToken} {
		if err := os.WriteFile(filepath.Join(dir, actor+".token"), []byte(t+"\n"), 0o600); err != nil {
			return err
		}
	}
	if err := write(dir, "relay.yaml", relayYAML, data); err != nil {
		return err
	}
	return write(dir, "rail.yaml", railYAML, data)
}

// WriteBank writes PayerBank.yaml or ShopBank.yaml into dir. For the payer's bank, asks is where the shop's bank answers payee checks.
func (w World) WriteBank(dir, actor, relayURL, railURL, asks string) error {
	data := struct {
		World
		Actor, Role, Monitor, RelayURL, RailURL, Asks, Answers string
		Own                                                    Customer
		Accounts                                               []Customer
		Codes                                                  []string
	}{World: w, Actor: actor, RelayURL: relayURL, RailURL: railURL, Monitor: "127.0.0.1:0", Answers: "127.0.0.1:0"}
	switch actor {
	case PayerBank:
		data.Own, data.Accounts, data.Codes, data.Role, data.Asks = w.Payer, []Customer{w.Payer}, w.PayerCodes, "payer", asks
	case ShopBank:
		data.Own, data.Accounts, data.Codes, data.Role = w.Shop, []Customer{w.Shop, w.Other}, w.ShopCodes, "payee"
	default:
		return fmt.Errorf("platform: there is no bank %q", actor)
	}
	if w.Fixed {
		data.Monitor, data.Answers = map[string]string{PayerBank: "127.0.0.1:7441", ShopBank: "127.0.0.1:7431"}[actor], "127.0.0.1:7432"
	}
	return write(dir, actor+".yaml", bankYAML, data)
}

func write(dir, file string, t *template.Template, data any) error {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(filepath.Join(dir, file), b.Bytes(), 0o600)
}
