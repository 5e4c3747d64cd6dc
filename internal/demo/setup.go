package demo

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
)

// setup is a rail with two banks on it and a customer at each. Names are invented; account numbers and agents are the ones that
// standards and textbooks use as examples.
type setup struct {
	rail, title string
	currency    string
	answer      time.Duration // the rail's own answer time-out
	payer, shop customer
	other       customer // another customer of the shop's bank, for wrong-payee
}

type customer struct{ agent, account, name string }

var setups = map[string]setup{
	"fednow": {rail: "fednow", title: "FedNow", currency: "USD", answer: 20 * time.Second,
		payer: customer{"021000021", "100200300", "Example Payer"},
		shop:  customer{"011000015", "400500600", "Example Coffee"},
		other: customer{"011000015", "700800900", "Another Customer"}},
	"sctinst": {rail: "sctinst", title: "SCT Inst", currency: "EUR", answer: 10 * time.Second,
		payer: customer{"PAYRDEF0XXX", "DE89370400440532013000", "Example Payer"},
		shop:  customer{"SHOPFRP0XXX", "FR1420041010050500013M02606", "Example Coffee"},
		other: customer{"SHOPFRP0XXX", "NL91ABNA0417164300", "Another Customer"}},
}

// One-time codes and the audit token of the demo. They open nothing but the demo's own parts, on loopback, for as long as it runs.
const (
	payerCode  = "DEM0-PAYE-R000-0001"
	shopCode   = "DEM0-SH0P-0000-0001"
	otherCode  = "DEM0-0THE-R000-0001"
	auditToken = "demo-audit-token"
)

// price is what the coffee costs, in the rail's currency.
func (s setup) price() payments.Amount {
	return payments.Amount{Minor: 450, Currency: payments.Currency(s.currency)}
}

// forger returns a fresh key and the shop's name with another customer's account.
func (s setup) forger() (ed25519.PrivateKey, intent.Creditor, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, intent.Creditor{}, err
	}
	name, err := payments.ParseName(s.shop.name)
	if err != nil {
		return nil, intent.Creditor{}, err
	}
	account, err := payments.ParseAccount(s.other.account)
	if err != nil {
		return nil, intent.Creditor{}, err
	}
	return key, intent.Creditor{Name: name, Account: account, Agent: payments.AgentID(s.other.agent)}, nil
}

var relayYAML = template.Must(template.New("relay").Parse(`listen: {{.Relay}}
{{- if .Monitors}}
monitor: 127.0.0.1:7411
{{- end}}
store: relay
{{- if .Temporary}}
unsafe_temp_store: true
{{- end}}
`))

var railYAML = template.Must(template.New("rail").Parse(`rail: {{.Setup.Rail}}
listen: {{.Rail}}
{{- if .Monitors}}
monitor: 127.0.0.1:7421
magic_amounts: true
{{- end}}
audit_token: {{.Audit}}
archive_dir: wire
participants:
  - {id: "{{.Setup.Payer.Agent}}", token: {{.PayerToken}}, prefunded: "1000000.00"}
  - {id: "{{.Setup.Shop.Agent}}", token: {{.ShopToken}}, prefunded: "1000000.00"}
{{- if .Quick}}
answer_timeout: {{.Quick}}
{{- end}}
{{- if .Rule}}
rules:
  - {name: {{.Scenario}}, match: {amount: "{{.Price}}"}, action: {{.Rule}}}
{{- end}}
`))

var bankYAML = template.Must(template.New("bank").Parse(`agent: "{{.Own.Agent}}"
name: Bank of {{.Own.Name}}
actor: {{.Actor}}
store: {{.Actor}}
{{- if .Monitor}}
monitor: {{.Monitor}}
{{- end}}
relay:
  url: {{.RelayURL}}
rail:
  profile: {{.Setup.Rail}}
  url: {{.RailURL}}
  token_file: {{.Actor}}.token
{{- if .Quick}}
  answer_timeout: {{.Quick}}
{{- end}}
payee_check:
{{- if .Asks}}
  banks: {"{{.Setup.Shop.Agent}}": {{.Asks}}}
{{- else}}
  listen: {{.Answers}}
{{- end}}
accounts: # of the simulated core bank
{{- range .Accounts}}
  - {number: "{{.Account}}", name: {{.Name}}, currency: {{$.Setup.Currency}}, balance: "1000.00"}
{{- end}}
codes: # one-time codes for customers; parley connector -new-code makes more
{{- range .Codes}}
  - {code: "{{.Code}}", role: {{.Role}}, accounts: ["{{.Account}}"]}
{{- end}}
`))

// values is what the templates of relay and rail are filled with.
type values struct {
	Setup                 setupView
	Relay, Rail           string // host:port to listen on
	Monitors, Temporary   bool
	Audit                 string
	PayerToken, ShopToken string
	Quick                 string
	Rule, Scenario, Price string
}

// bankValues is what the template of a connector is filled with. Asks is where the shop's bank answers payee checks; Answers is where
// this one does, if Asks is empty.
type bankValues struct {
	Actor             string
	Setup             setupView
	Own               customerView
	Monitor           string
	RelayURL, RailURL string
	Asks, Answers     string
	Quick             string
	Accounts          []customerView
	Codes             []codeView
}

// public forms of setup and customer, for the templates.
type (
	setupView struct {
		Rail, Currency string
		Payer, Shop    customerView
	}
	customerView struct{ Agent, Account, Name string }
	codeView     struct{ Code, Role, Account string }
)

func (c customer) view() customerView { return customerView{c.agent, c.account, c.name} }

func (s setup) view() setupView { return setupView{s.rail, s.currency, s.payer.view(), s.shop.view()} }

// writeRail writes the files of relay and rail, and the banks' rail tokens.
func writeRail(dir string, v values) error {
	token := rand.Text()
	v.PayerToken, v.ShopToken = token+"-payer", token+"-shop"
	if err := os.MkdirAll(filepath.Join(dir, "wire"), 0o700); err != nil {
		return err
	}
	for actor, t := range map[string]string{actorPayerBank: v.PayerToken, actorShopBank: v.ShopToken} {
		if err := os.WriteFile(filepath.Join(dir, actor+".token"), []byte(t+"\n"), 0o600); err != nil {
			return err
		}
	}
	if err := write(dir, "relay.yaml", relayYAML, v); err != nil {
		return err
	}
	return write(dir, "rail.yaml", railYAML, v)
}

// writeBank writes the file of one connector. v needs neither owner nor accounts nor codes.
func writeBank(dir string, s setup, v bankValues, payer, shop, other string) error {
	v.Setup = s.view()
	v.Own, v.Accounts, v.Codes = s.payer.view(), []customerView{s.payer.view()}, []codeView{{payer, "payer", s.payer.account}}
	if v.Actor == actorShopBank {
		v.Own, v.Accounts = s.shop.view(), []customerView{s.shop.view(), s.other.view()}
		v.Codes = []codeView{{shop, "payee", s.shop.account}, {other, "payee", s.other.account}}
	}
	return write(dir, v.Actor+".yaml", bankYAML, v)
}

func (st *stage) writeConfigs() error {
	v := values{Setup: st.setup.view(), Relay: "127.0.0.1:0", Rail: "127.0.0.1:0", Temporary: true, Audit: auditToken, Rule: st.s.rule, Scenario: st.s.Name,
		Price: st.setup.price().Text()}
	if st.s.quick {
		v.Quick = quickTimeout.String()
	}
	return writeRail(st.dir, v)
}

// writeBank writes the file of one connector; asks is where the shop's bank answers payee checks, empty for that bank itself.
func (st *stage) writeBank(actor, asks string) error {
	v := bankValues{Actor: actor, RelayURL: st.relay.ready.URL, RailURL: st.rail.ready.URL, Asks: asks, Answers: "127.0.0.1:0"}
	if st.s.quick {
		v.Quick = quickTimeout.String()
	}
	return writeBank(st.dir, st.setup, v, payerCode, shopCode, otherCode)
}

func write(dir, file string, t *template.Template, data any) error {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(filepath.Join(dir, file), b.Bytes(), 0o600)
}
