package relay

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config says how a relay runs. StoreDir is required; a zero field means the default given.
type Config struct {
	// Addr is where devices connect, such as "127.0.0.1:7070". Empty means no listener of its own: use Handler or Serve.
	Addr string
	// TLS, if set, is used for Addr, at version 1.3 at least. Without it the relay is meant for loopback or for behind a TLS proxy.
	TLS *tls.Config
	// MetricsAddr serves /healthz, /readyz and /metrics. It must be a loopback address. Empty means none.
	MetricsAddr string

	// StoreDir holds everything the relay keeps. It is used by one process at a time and must not lie in the system's folder for
	// temporary files, which may be emptied at any time.
	StoreDir string
	// KeyFile holds the key under which the store is encrypted; 32 octets in hexadecimal. It is made with the store, and a store without
	// its key is refused. Default: relay.key in StoreDir, which protects a lost disk only if the operator moves it elsewhere.
	KeyFile string
	// Jurisdiction is where the store is, such as "eu"; a device that asks for another is refused. Default "local".
	Jurisdiction string
	// Tokens are the registration tokens that are taken. None means that anybody may register a device.
	Tokens []string

	StoreMaxBytes   int64         // on disk; 8 GiB. A full store refuses, it never drops
	MemoryMaxBytes  int64         // for the memory class; 256 MiB
	MailboxMax      int           // entries in one mailbox; 10,000
	KeyPackagesMax  int           // key packages in store for one device; 512
	TTLMax          time.Duration // life of a durable message; 30 days
	MemoryTTLMax    time.Duration // life of a message of the memory class; 10 min, which is also the most
	ConnectionsMax  int           // 20,000
	ConnectionsAddr int           // connections of one address at a time; 10,000

	DeviceRate   float64 // frames per second of one device; 5,000, of which bursts of twice as many pass
	ConnectRate  float64 // new connections per second of one address; 500, bursts of four times as many
	RegisterRate float64 // new devices per second of one address; 200, bursts of ten times as many

	HandshakeTimeout time.Duration // from the first octet to Ready; 10 s
	PingEvery        time.Duration // 30 s
	PongTimeout      time.Duration // without a sign of life a connection ends; 60 s
	WriteTimeout     time.Duration // a socket that takes no frame for so long is closed; 10 s
	DrainTimeout     time.Duration // for finishing what was begun when Run's context ends; 5 s

	// Log takes events without any identifier of a device, chat or message. Nil means none.
	Log *slog.Logger

	// UnsafeNoSync acknowledges messages that are not on disk: a power cut loses them all. Only for measuring what fsync costs.
	UnsafeNoSync bool
	// UnsafeTempStore allows a StoreDir in the system's folder for temporary files, for tests and demonstrations.
	UnsafeTempStore bool
}

// filled returns c with defaults, or all that is wrong with it.
func (c Config) filled() (Config, error) {
	def(&c.Jurisdiction, "local")
	def(&c.StoreMaxBytes, 8<<30)
	def(&c.MemoryMaxBytes, 256<<20)
	def(&c.MailboxMax, 10_000)
	def(&c.KeyPackagesMax, 512)
	def(&c.TTLMax, 30*24*time.Hour)
	def(&c.MemoryTTLMax, memoryTTLMax)
	def(&c.ConnectionsMax, 20_000)
	def(&c.ConnectionsAddr, 10_000)
	def(&c.DeviceRate, 5000)
	def(&c.ConnectRate, 500)
	def(&c.RegisterRate, 200)
	def(&c.HandshakeTimeout, 10*time.Second)
	def(&c.PingEvery, 30*time.Second)
	def(&c.PongTimeout, 60*time.Second)
	def(&c.WriteTimeout, 10*time.Second)
	def(&c.DrainTimeout, 5*time.Second)
	def(&c.Log, slog.New(slog.DiscardHandler))

	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("relay: "+format, args...)) }
	if c.StoreDir == "" {
		bad("StoreDir is required")
	} else if abs, err := filepath.Abs(c.StoreDir); err != nil {
		bad("StoreDir: %v", err)
	} else {
		c.StoreDir = abs
		if !c.UnsafeTempStore && within(abs, os.TempDir()) {
			bad("StoreDir lies in the folder for temporary files; set UnsafeTempStore if it may be lost")
		}
	}
	if c.KeyFile == "" && c.StoreDir != "" {
		c.KeyFile = filepath.Join(c.StoreDir, "relay.key")
	}
	if c.MetricsAddr != "" && !loopback(c.MetricsAddr) {
		bad("MetricsAddr %q is not a loopback address", c.MetricsAddr)
	}
	if c.MemoryTTLMax > memoryTTLMax {
		bad("MemoryTTLMax is more than %v", memoryTTLMax)
	}
	if c.TTLMax < time.Second || c.MemoryTTLMax < time.Second {
		bad("TTLMax and MemoryTTLMax must be at least 1 s")
	}
	if c.StoreMaxBytes < 16<<20 || c.MemoryMaxBytes < 1<<20 {
		bad("StoreMaxBytes must be at least 16 MiB and MemoryMaxBytes 1 MiB")
	}
	if c.PongTimeout <= c.PingEvery {
		bad("PongTimeout must be longer than PingEvery")
	}
	if len(c.Jurisdiction) > 64 {
		bad("Jurisdiction is longer than 64 octets")
	}
	if c.TLS != nil && c.TLS.MinVersion < tls.VersionTLS13 {
		c.TLS = c.TLS.Clone()
		c.TLS.MinVersion = tls.VersionTLS13
	}
	return c, errors.Join(errs...)
}

const memoryTTLMax = 10 * time.Minute

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func within(path, dir string) bool {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Check reports everything that is wrong with the configuration, joined, or nil. New does so too.
func (c Config) Check() error {
	_, err := c.filled()
	return err
}
