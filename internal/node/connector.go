package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/parleypay/parley/internal/config"
	"github.com/parleypay/parley/messaging/device"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/connector/corebank"
	"github.com/parleypay/parley/payments/connector/vop"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/amqp"
	"github.com/parleypay/parley/payments/rail/rails"
	"github.com/parleypay/parley/sdk"
)

// BankFile is the configuration file of a bank's connector.
type BankFile struct {
	Agent   string `yaml:"agent,required"` // BIC, routing number or ISPB; also the connector's id in what it signs
	Name    string `yaml:"name,required"`  // what chats call it
	Store   string `yaml:"store,required"` // directory of journal, device and keys; made at the first start
	Monitor string `yaml:"monitor"`        // loopback host:port of /healthz, /readyz, /metrics
	Actor   string `yaml:"actor"`          // name in trace events; default: the agent

	Relay struct {
		URL       string `yaml:"url,required"`
		TokenFile string `yaml:"token_file"`
	} `yaml:"relay,required"`
	Rail struct {
		Profile       string        `yaml:"profile,required"` // fednow, sctinst, rtp or pix
		URL           string        `yaml:"url,required"`
		TokenFile     string        `yaml:"token_file"` // token over HTTP, password at a broker
		Transport     string        `yaml:"transport"`  // http (default) or amqp, for which the rest is
		User          string        `yaml:"user"`       // at the broker; default the agent
		ToService     string        `yaml:"to_service"`
		FromService   string        `yaml:"from_service"`
		CAFile        string        `yaml:"ca_file"`
		CertFile      string        `yaml:"cert_file"`
		KeyFile       string        `yaml:"key_file"`
		AnswerTimeout time.Duration `yaml:"answer_timeout"` // for tests: replaces the rail's own and scales its other clocks
	} `yaml:"rail,required"`
	PayeeCheck struct {
		Listen string            `yaml:"listen"` // where other banks ask; empty: nobody can
		Banks  map[string]string `yaml:"banks"`  // agent → base URL of other banks
	} `yaml:"payee_check"`

	Accounts []AccountEntry `yaml:"accounts"` // of the simulated core bank
	Codes    []CodeEntry    `yaml:"codes"`
}

// AccountEntry is one account of the simulated core bank.
type AccountEntry struct {
	Number   string `yaml:"number,required"`
	Name     string `yaml:"name,required"`
	Currency string `yaml:"currency,required"`
	Balance  string `yaml:"balance"` // at the first start
	Status   string `yaml:"status"`  // open (default), closed or blocked
}

// CodeEntry is a one-time code that a customer enrols a key with. `parley connector --new-code` makes one.
type CodeEntry struct {
	Code       string        `yaml:"code"`      // the code itself, for trying out
	Hash       string        `yaml:"code_hash"` // or its hash, so that the file holds no secret
	Role       string        `yaml:"role,required"`
	Accounts   []string      `yaml:"accounts,required"`
	PerPayment string        `yaml:"per_payment"` // limits in the account's currency; empty: none
	PerDay     string        `yaml:"per_day"`
	Valid      time.Duration `yaml:"valid"` // from the first start on; default 24h
}

// Bank is a checked BankFile.
type Bank struct {
	file     BankFile
	profile  *rail.Profile
	agent    payments.AgentID
	accounts []corebank.Account
	codes    []connector.Code
	token    string // of the relay
	railAuth string
	broker   amqp.Broker
	railCAs  *x509.CertPool
}

// ReadBank reads and checks a connector's configuration. Its error is a config.Faults with all that is wrong.
func ReadBank(path string) (*Bank, error) {
	b := &Bank{}
	src := config.Read(path, &b.file)
	f := &b.file
	beside(path, &f.Store, &f.Relay.TokenFile, &f.Rail.TokenFile, &f.Rail.CAFile, &f.Rail.CertFile, &f.Rail.KeyFile)
	fail := func(key string, err error) {
		if err != nil {
			src.Faultf(key, "%s", strings.TrimPrefix(err.Error(), "payments: "))
		}
	}
	var err error
	if f.Agent != "" {
		b.agent, err = payments.ParseAgentID(f.Agent)
		fail("agent", err)
	}
	if f.Monitor != "" {
		fail("monitor", checkLoopback(f.Monitor))
	}
	if f.Relay.URL != "" && !strings.HasPrefix(f.Relay.URL, "ws://") && !strings.HasPrefix(f.Relay.URL, "wss://") {
		src.Faultf("relay.url", "must begin with wss:// or, on the same machine, ws://")
	}
	if f.Relay.TokenFile != "" {
		b.token, err = oneSecret(f.Relay.TokenFile)
		fail("relay.token_file", err)
	}
	if f.Rail.Profile != "" {
		b.profile, err = rails.Lookup(f.Rail.Profile)
		fail("rail.profile", err)
	}
	b.readTransport(src)
	if b.profile != nil {
		if a, s := b.agent, b.profile.Service; a != "" && (a.IsBIC() != s.IsBIC() || !a.IsBIC() && len(a) != len(s)) { // ABA numbers have 9 digits, ISPBs 8
			src.Faultf("agent", "is not the kind of agent id that %s uses", b.profile.Name)
		}
		switch {
		case f.Rail.AnswerTimeout < 0:
			src.Faultf("rail.answer_timeout", "must not be negative")
		case f.Rail.AnswerTimeout > 0:
			b.profile = b.profile.WithAnswerTimeout(f.Rail.AnswerTimeout)
		}
	}
	for agent, url := range f.PayeeCheck.Banks {
		key := "payee_check.banks." + agent
		if _, err := payments.ParseAgentID(agent); err != nil {
			fail(key, err)
		}
		if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
			src.Faultf(key, "must begin with https:// or, on the same machine, http://")
		}
	}
	b.readAccounts(src)
	b.readCodes(src)
	return b, src.Err()
}

// readTransport checks how the rail is reached.
func (b *Bank) readTransport(src *config.Source) {
	f := &b.file.Rail
	var err error
	if checkTransport(src, "rail.transport", f.Transport) {
		if f.User == "" {
			f.User = b.file.Agent
		}
		if b.broker, err = broker(f.URL, f.User, f.TokenFile, tlsFiles{f.CAFile, f.CertFile, f.KeyFile}); err != nil {
			src.Faultf("rail", "%v", err)
		} else if b.profile != nil {
			if _, err := amqp.New(b.queues()); err != nil {
				src.Faultf("rail", "%s", strings.TrimPrefix(err.Error(), "amqp: "))
			}
		}
		return
	}
	for _, only := range []struct{ key, value string }{{"user", f.User}, {"to_service", f.ToService}, {"from_service", f.FromService}, {"cert_file", f.CertFile}, {"key_file", f.KeyFile}} {
		if only.value != "" {
			src.Faultf("rail."+only.key, "is for transport: amqp")
		}
	}
	if f.CAFile != "" {
		text, err := os.ReadFile(f.CAFile)
		b.railCAs = x509.NewCertPool()
		if err != nil {
			src.Faultf("rail.ca_file", "%v", err)
		} else if !b.railCAs.AppendCertsFromPEM(text) {
			src.Faultf("rail.ca_file", "holds no certificate")
		}
	}
	if f.TokenFile == "" {
		if src.Has("rail") {
			src.Faultf("rail.token_file", "is required")
		}
	} else if b.railAuth, err = oneSecret(f.TokenFile); err != nil {
		src.Faultf("rail.token_file", "%v", err)
	}
	if f.URL != "" && b.file.Agent != "" {
		if _, err = rail.DialHTTP(rail.HTTPConfig{BaseURL: f.URL, Participant: b.file.Agent, Token: "not used here"}); err != nil {
			src.Faultf("rail.url", "%v", err)
		}
	}
}

func (b *Bank) queues() amqp.Config {
	return amqp.Config{Broker: b.broker, Profile: b.profile, ToService: b.file.Rail.ToService, FromService: b.file.Rail.FromService}
}

// dialRail returns the transport to the rail, and what closes it.
func (b *Bank) dialRail() (rail.Transport, func() error, error) {
	f := &b.file
	if f.Rail.Transport == transportAMQP {
		t, err := amqp.New(b.queues())
		if err != nil {
			return nil, nil, err
		}
		return t, t.Close, nil
	}
	t, err := rail.DialHTTP(rail.HTTPConfig{BaseURL: f.Rail.URL, Participant: f.Agent, Token: b.railAuth, RootCAs: b.railCAs})
	return t, func() error { return nil }, err
}

func (b *Bank) readAccounts(src *config.Source) {
	seen := map[string]bool{}
	for i, a := range b.file.Accounts {
		at := fmt.Sprintf("accounts[%d]", i)
		out := corebank.Account{Status: corebank.Status(a.Status)}
		var err error
		if out.Account, err = payments.ParseAccount(a.Number); err != nil && a.Number != "" {
			src.Faultf(at+".number", "%v", err)
		}
		if seen[a.Number] {
			src.Faultf(at+".number", "is there twice")
		}
		seen[a.Number] = true
		if out.Name, err = payments.ParseName(a.Name); err != nil && a.Name != "" {
			src.Faultf(at+".name", "%v", err)
		}
		currency, err := payments.ParseCurrency(a.Currency)
		if err != nil {
			if a.Currency != "" {
				src.Faultf(at+".currency", "%v", err)
			}
			continue
		}
		out.Balance = payments.Amount{Currency: currency}
		if a.Balance != "" {
			if out.Balance, err = payments.ParseAmount(a.Balance, currency); err != nil {
				src.Faultf(at+".balance", "%v", err)
			}
		}
		switch out.Status {
		case "", corebank.Open, corebank.Closed, corebank.Blocked:
		default:
			src.Faultf(at+".status", "must be open, closed or blocked")
		}
		b.accounts = append(b.accounts, out)
	}
}

func (b *Bank) readCodes(src *config.Source) {
	for i, c := range b.file.Codes {
		at := fmt.Sprintf("codes[%d]", i)
		out := connector.Code{}
		var err error
		switch {
		case (c.Code == "") == (c.Hash == ""):
			src.Faultf(at, "wants either code or code_hash")
		case c.Code != "":
			if out.Hash, err = intent.HashCode(c.Code); err != nil {
				src.Faultf(at+".code", "%v", err)
			}
		default:
			if out.Hash, err = intent.ParseCodeHash(c.Hash); err != nil {
				src.Faultf(at+".code_hash", "%v", err)
			}
		}
		switch c.Role {
		case string(sdk.Payer):
			out.Profile = intent.ProfileDeviceKey
		case string(sdk.Payee):
			out.Profile = intent.ProfilePayee
		default:
			if c.Role != "" {
				src.Faultf(at+".role", "must be payer or payee")
			}
		}
		var currency payments.Currency
		for j, number := range c.Accounts {
			found := false
			for _, a := range b.accounts {
				if a.Account.Reveal() == number {
					found, currency = true, a.Balance.Currency
					out.Accounts = append(out.Accounts, a.Account)
				}
			}
			if !found {
				src.Faultf(fmt.Sprintf("%s.accounts[%d]", at, j), "is none of the accounts above")
			}
		}
		if currency != "" {
			for _, limit := range []struct {
				key, text string
				into      *payments.Amount
			}{{"per_payment", c.PerPayment, &out.Limits.PerPayment}, {"per_day", c.PerDay, &out.Limits.PerDay}} {
				if limit.text == "" {
					continue
				}
				if *limit.into, err = payments.ParseAmount(limit.text, currency); err != nil {
					src.Faultf(at+"."+limit.key, "%v", err)
				} else if !limit.into.Payable() {
					src.Faultf(at+"."+limit.key, "must be above zero; leave it out for no limit")
				}
			}
		}
		if c.Valid == 0 {
			c.Valid = 24 * time.Hour
		}
		out.Expires = time.Now().Add(c.Valid)
		b.codes = append(b.codes, out)
	}
}

func oneSecret(path string) (string, error) {
	lines, err := secretLines(path)
	if err != nil {
		return "", err
	}
	if len(lines) != 1 {
		return "", fmt.Errorf("%s holds %d lines, want one", path, len(lines))
	}
	return lines[0], nil
}

// RunConnector runs a bank's connector until ctx ends and what it has begun is finished.
func RunConnector(ctx context.Context, b *Bank, o Options) (err error) {
	log := slog.New(slog.DiscardHandler)
	if o.Log != nil {
		log = slog.New(slog.NewTextHandler(o.Log, nil))
	}
	f := &b.file
	if err := os.MkdirAll(f.Store, 0o700); err != nil {
		return err
	}
	key, err := signingKey(filepath.Join(f.Store, "connector.key"))
	if err != nil {
		return err
	}
	deviceKey := filepath.Join(f.Store, "device.key")
	if err := ensureKey(deviceKey); err != nil {
		return err
	}
	record, err := journal.OpenSQLite(filepath.Join(f.Store, "journal.db"))
	if err != nil {
		return err
	}
	defer closing(&err, record.Close)
	core, err := corebank.OpenBank(filepath.Join(f.Store, "core.db"), b.accounts)
	if err != nil {
		return err
	}
	defer closing(&err, core.Close)
	endpoint, err := sdk.OpenEndpoint(ctx, sdk.Config{Store: f.Store, Key: device.KeyFile(deviceKey), Relay: f.Relay.URL, Token: b.token, Name: f.Name, Log: log})
	if err != nil {
		return err
	}
	defer closing(&err, endpoint.Close)
	transport, hangUp, err := b.dialRail()
	if err != nil {
		return err
	}
	defer closing(&err, hangUp)
	metrics := newMetrics()
	actor := f.Actor
	if actor == "" {
		actor = f.Agent
	}
	directory := map[payments.AgentID]string{}
	for agent, url := range f.PayeeCheck.Banks {
		directory[payments.AgentID(agent)] = url
	}
	payees, err := vop.NewClient(vop.ClientConfig{Agent: b.agent, Directory: directory})
	if err != nil {
		return err
	}
	engine, err := connector.New(connector.Config{ID: f.Agent, Actor: actor, Agent: b.agent, Profile: b.profile, Key: key, Codes: b.codes,
		Journal: record, Transport: transport, Chat: endpoint, Core: core, Payees: payees, Trace: o.Trace, Metrics: metrics, Log: log})
	if err != nil {
		return err
	}
	answers := ""
	if f.PayeeCheck.Listen != "" {
		handler, err := vop.NewServer(vop.ServerConfig{Answerer: engine})
		if err != nil {
			return err
		}
		addr, stop, err := servePayeeChecks(f.PayeeCheck.Listen, handler)
		if err != nil {
			return err
		}
		defer stop()
		answers = "http://" + addr
	}
	ready := func() error {
		select {
		case <-endpoint.Ready():
			return engine.Ready()
		default:
			return errors.New("the relay was not reached yet")
		}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mon, err := startMonitor(f.Monitor, ready, registry, nil)
	if err != nil {
		return err
	}
	defer mon.stop()

	contact := sdk.Bank{Agent: b.agent, Device: endpoint.ID(), Key: key.Public().(ed25519.PublicKey)}.String()
	if err := os.WriteFile(filepath.Join(f.Store, "contact"), []byte(contact+"\n"), 0o644); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-endpoint.Ready():
			o.ready(Ready{Part: "connector", Monitor: mon.addr(), Contact: contact, URL: answers})
		case <-ctx.Done():
		}
	}()
	// The chat goes first: what it has taken, the engine still finishes.
	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	defer stopEngine()
	engineDone := make(chan error, 1)
	go func() {
		err := engine.Run(engineCtx)
		cancel()
		engineDone <- err
	}()
	chatErr := endpoint.Serve(ctx, engine.HandleChat)
	stopEngine()
	return errors.Join(chatErr, <-engineDone)
}

func closing(err *error, f func() error) { *err = errors.Join(*err, f()) }

func servePayeeChecks(addr string, h http.Handler) (bound string, stop func(), err error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("payee check: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	go server.Serve(listener)
	return listener.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		server.Shutdown(ctx)
		server.Close()
	}, nil
}

func ensureKey(path string) error {
	if _, err := os.Stat(path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return device.NewKeyFile(path)
}

// signingKey reads the bank's signing key, 64 hexadecimal digits of an Ed25519 seed, and makes it at the first start.
func signingKey(path string) (ed25519.PrivateKey, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		seed := make([]byte, ed25519.SeedSize)
		rand.Read(seed) // never fails (crypto/rand)
		if err := writeNew(path, hex.EncodeToString(seed)+"\n"); err != nil {
			return nil, err
		}
	}
	raw, err := secretFile(path)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	seed, err := hex.DecodeString(strings.TrimSpace(raw))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("signing key: %s: want 64 hexadecimal digits", filepath.Base(path))
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// writeNew writes a secret durably to a file that must not exist.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
