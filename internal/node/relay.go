package node

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/parleypay/parley/internal/config"
	"github.com/parleypay/parley/messaging/relay"
)

// RelayFile is a relay's configuration file. What is not given has the default of relay.Config.
type RelayFile struct {
	Listen       string `yaml:"listen,required"` // host:port for devices
	Monitor      string `yaml:"monitor"`         // loopback host:port of /healthz, /readyz, /metrics
	Store        string `yaml:"store,required"`  // directory
	KeyFile      string `yaml:"key_file"`
	Jurisdiction string `yaml:"jurisdiction"`
	TokensFile   string `yaml:"tokens_file"` // registration tokens, one per line; without it anybody may register

	StoreMaxBytes  int64         `yaml:"store_max_bytes"`
	MailboxMax     int           `yaml:"mailbox_max"`
	TTLMax         time.Duration `yaml:"ttl_max"`
	ConnectionsMax int           `yaml:"connections_max"`
	DrainTimeout   time.Duration `yaml:"drain_timeout"`

	// UnsafeTempStore allows a store in the system's folder for temporary files.
	UnsafeTempStore bool `yaml:"unsafe_temp_store"`
}

// ReadRelay reads a relay's configuration. Its error is a config.Faults with all that is wrong.
func ReadRelay(path string) (relay.Config, error) {
	var f RelayFile
	src := config.Read(path, &f)
	beside(path, &f.Store, &f.KeyFile, &f.TokensFile)
	c := relay.Config{Addr: f.Listen, MetricsAddr: f.Monitor, StoreDir: f.Store, KeyFile: f.KeyFile, Jurisdiction: f.Jurisdiction,
		StoreMaxBytes: f.StoreMaxBytes, MailboxMax: f.MailboxMax, TTLMax: f.TTLMax, ConnectionsMax: f.ConnectionsMax, DrainTimeout: f.DrainTimeout,
		UnsafeTempStore: f.UnsafeTempStore}
	checkAddresses(src, f.Listen, f.Monitor)
	if f.TokensFile != "" {
		tokens, err := secretLines(f.TokensFile)
		if err != nil {
			src.Faultf("tokens_file", "%v", err)
		}
		c.Tokens = tokens
	}
	if c.MetricsAddr = ""; c.StoreDir != "" { // what the file itself shows is reported above, with its line
		if err := c.Check(); err != nil {
			relayFaults(src, err)
		}
	}
	c.MetricsAddr = f.Monitor
	return c, src.Err()
}

// relayFaults reports what relay.Config finds wrong, by the names that the file has for it.
func relayFaults(src *config.Source, err error) {
	names := strings.NewReplacer("UnsafeTempStore", "unsafe_temp_store", "StoreDir", "store", "StoreMaxBytes", "store_max_bytes", "TTLMax and MemoryTTLMax", "ttl_max",
		" and MemoryMaxBytes 1 MiB", "", "Jurisdiction", "jurisdiction")
	for line := range strings.Lines(err.Error()) {
		text := names.Replace(strings.TrimSpace(strings.TrimPrefix(line, "relay: ")))
		key, _, _ := strings.Cut(text, " ")
		if !src.Has(key) {
			key = ""
		}
		src.Faultf(key, "%s", text)
	}
}

// RunRelay runs a relay until ctx ends and what it has begun is finished.
func RunRelay(ctx context.Context, c relay.Config, o Options) error {
	if o.Log != nil {
		c.Log = slog.New(slog.NewTextHandler(o.Log, nil))
	}
	r, err := relay.New(c)
	if err != nil {
		return err
	}
	o.ready(Ready{Part: "relay", URL: "ws://" + r.Addr(), Monitor: r.MetricsAddr()})
	return r.Run(ctx)
}

// secretLines reads a file of secrets, one per line; empty lines and those that start with # do not count. Nobody else may read it.
func secretLines(path string) ([]string, error) {
	raw, err := secretFile(path)
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(raw) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds nothing", path)
	}
	return out, nil
}

// secretFile reads a small file that only its owner may read.
func secretFile(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case info.Mode().Perm()&0o077 != 0:
		return "", fmt.Errorf("%s may be read by others (mode %o); want 600", path, info.Mode().Perm())
	case info.Size() > 64<<10:
		return "", fmt.Errorf("%s is too large", path)
	}
	raw, err := os.ReadFile(path)
	return string(raw), err
}
