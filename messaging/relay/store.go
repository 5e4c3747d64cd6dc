package relay

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// stream numbers the streams, also in the high-water file: never renumber.
type stream int

const (
	streamMBX   stream = iota // mbx.<device>: mailboxes on disk
	streamHS                  // hs.head.<group>: the head of each handshake log, for ever; hs.redo.<group>.<id>: a commit on its way to mailboxes
	streamREG                 // reg.key.<device>: registered devices; reg.run.<device>: their runs; reg.last.<device>.<suite>: last resort key packages
	streamKP                  // kp.<device>.<suite>: key packages, each deleted when it is claimed
	streamEPH                 // eph.<device>: mailboxes in memory; its mark is not used
	streamCount = 5
)

var streamNames = [streamCount]string{"MBX", "HS", "REG", "KP", "EPH"}

func (s stream) String() string { return streamNames[s] }

// requestTimeout bounds every request to the store; a store that does not answer for so long ends the relay. A test shortens it.
var requestTimeout = 10 * time.Second

const (
	payloadMax    = 320 << 10 // of one stored message; a frame is 256 KiB, a redo record names its recipients besides
	keyPackageAge = 90 * 24 * time.Hour
)

// store is the embedded server with its streams, and the connections of this process to it: one for publishing, one for the live tail,
// one for reading, so that none waits behind another.
type store struct {
	cfg               *Config
	lock              *os.File
	srv               *server.Server
	pub, live, get    *nats.Conn
	pubJS, getJS      jetstream.JetStream
	streams           [streamCount]jetstream.Stream // on get
	marks             *marks
	marker            *marker
	incarnation       [streamCount]uint64
	last              [streamCount]uint64 // at start
	fail              func(error)
	onTailLost        func()
	replaced, foreign []stream // streams that were below their mark; that came without a high-water file
	tailSubs          []*nats.Subscription
	maxBytes          [streamCount]int64
}

// openStore starts the server and checks each stream against its mark. fail is called when the store stops to be trusted.
func openStore(cfg *Config, fail func(error)) (_ *store, err error) {
	s := &store{cfg: cfg, fail: fail}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := os.MkdirAll(cfg.StoreDir, 0o700); err != nil {
		return nil, fmt.Errorf("relay: store: %w", err)
	}
	if s.lock, err = lockDir(cfg.StoreDir); err != nil {
		return nil, err
	}
	jsDir := filepath.Join(cfg.StoreDir, "jetstream")
	_, statErr := os.Stat(filepath.Join(jsDir, "jetstream"))
	key, err := loadKey(cfg.KeyFile, errors.Is(statErr, os.ErrNotExist))
	if err != nil {
		return nil, err
	}
	if s.marks, err = openMarks(filepath.Join(cfg.StoreDir, "marks")); err != nil {
		return nil, err
	}
	opts := &server.Options{
		ServerName: "parley-relay", DontListen: true, NoSigs: true, NoLog: true,
		MaxPayload: payloadMax,
		JetStream:  true, StoreDir: jsDir,
		JetStreamMaxStore: cfg.StoreMaxBytes, JetStreamMaxMemory: cfg.MemoryMaxBytes,
		JetStreamKey: key, JetStreamCipher: server.AES,
		SyncAlways: !cfg.UnsafeNoSync, SyncInterval: 5 * time.Minute, PingInterval: time.Hour, // a pipe does not break silently
		JetStreamLimits: server.JSLimitOpts{DefaultMaxConsumers: 16, Duplicates: time.Minute},
	}
	if s.srv, err = server.NewServer(opts); err != nil {
		return nil, fmt.Errorf("relay: store: %w", err)
	}
	go s.srv.Start()
	if !s.srv.ReadyForConnections(30 * time.Second) {
		return nil, errors.New("relay: the store did not start in 30 s")
	}
	if err := s.connect(); err != nil {
		return nil, err
	}
	if err := s.openStreams(); err != nil {
		return nil, err
	}
	s.marker = startMarker(s.marks, fail)
	return s, nil
}

func (s *store) connect() error {
	dial := func(name string) (*nats.Conn, error) {
		nc, err := nats.Connect("", nats.InProcessServer(s.srv), nats.Name(name), nats.NoReconnect(), nats.Timeout(10*time.Second), nats.PingInterval(time.Hour),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
				if errors.Is(err, nats.ErrSlowConsumer) && s.onTailLost != nil {
					s.onTailLost()
				}
			}),
			nats.ClosedHandler(func(nc *nats.Conn) {
				if err := nc.LastError(); err != nil {
					s.fail(fmt.Errorf("relay: connection to the store closed: %w", err))
				}
			}))
		if err != nil {
			return nil, fmt.Errorf("relay: store: %w", err)
		}
		return nc, nil
	}
	var err error
	if s.pub, err = dial("publish"); err != nil {
		return err
	}
	if s.live, err = dial("live"); err != nil {
		return err
	}
	if s.get, err = dial("get"); err != nil {
		return err
	}
	if s.pubJS, err = jetstream.New(s.pub, jetstream.WithDefaultTimeout(requestTimeout)); err != nil {
		return err
	}
	s.getJS, err = jetstream.New(s.get, jetstream.WithDefaultTimeout(requestTimeout))
	return err
}

// streamConfig writes down every setting that matters; TestStoreSettings says what each is for.
func (s *store) streamConfig(n stream) jetstream.StreamConfig {
	share := func(percent int64) int64 { return s.cfg.StoreMaxBytes / 100 * percent }
	c := jetstream.StreamConfig{
		Name: n.String(), Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxMsgSize: payloadMax, Replicas: 1,
		Duplicates: time.Second, AllowDirect: true, AllowAtomicPublish: true,
	}
	switch n {
	case streamMBX:
		c.Subjects, c.MaxBytes = []string{"mbx.*"}, share(70)
		c.MaxAge, c.AllowMsgTTL = s.cfg.TTLMax, true
		c.RePublish = &jetstream.RePublish{Source: "mbx.*", Destination: "live.mbx.{{wildcard(1)}}"}
	case streamEPH:
		c.Storage = jetstream.MemoryStorage
		c.Subjects, c.MaxBytes = []string{"eph.*"}, s.cfg.MemoryMaxBytes/100*95
		c.MaxAge, c.AllowMsgTTL = s.cfg.MemoryTTLMax, true
		c.RePublish = &jetstream.RePublish{Source: "eph.*", Destination: "live.eph.{{wildcard(1)}}"}
	case streamHS: // no TTL and no MaxAge: a head that expires lets a handshake log begin anew
		c.Subjects, c.MaxBytes, c.MaxMsgsPerSubject = []string{"hs.head.*", "hs.redo.*.*"}, share(12), 1
	case streamREG:
		c.Subjects, c.MaxBytes, c.MaxMsgsPerSubject = []string{"reg.key.*", "reg.run.*", "reg.last.*.*"}, share(6), 1
	case streamKP:
		c.Subjects, c.MaxBytes, c.MaxAge = []string{"kp.*.*"}, share(10), keyPackageAge
	}
	return c
}

// openStreams creates what is missing, and replaces what is shorter than its mark by an empty stream of a new incarnation
// whose sequences begin above the mark.
func (s *store) openStreams() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	dirty := false
	for n := range stream(streamCount) {
		cfg := s.streamConfig(n)
		s.maxBytes[n] = cfg.MaxBytes
		old, err := s.getJS.Stream(ctx, n.String())
		switch {
		case err == nil && n != streamEPH && old.CachedInfo().State.LastSeq < s.marks.last[n]:
			if err := s.getJS.DeleteStream(ctx, n.String()); err != nil {
				return fmt.Errorf("relay: stream %v: %w", n, err)
			}
			s.replaced = append(s.replaced, n)
			fallthrough
		case errors.Is(err, jetstream.ErrStreamNotFound) && s.marks.last[n] > 0 && n != streamEPH:
			s.marks.incarnation[n] = newIncarnation()
			s.marks.last[n]++ // the mark of an empty stream with this FirstSeq
			cfg.FirstSeq = s.marks.last[n] + 1
			dirty = true
		case n == streamEPH:
			s.marks.incarnation[n], s.marks.last[n] = newIncarnation(), 0
		case err == nil && s.marks.fresh: // data without a high-water file: keep it, trust no cursor
			s.foreign = append(s.foreign, n)
		}
		st, err := s.getJS.CreateOrUpdateStream(ctx, cfg)
		if err != nil {
			return fmt.Errorf("relay: stream %v: %w", n, err)
		}
		info, err := st.Info(ctx)
		if err != nil {
			return fmt.Errorf("relay: stream %v: %w", n, err)
		}
		if err := sameStream(cfg, info.Config); err != nil {
			return fmt.Errorf("relay: stream %v: %w", n, err)
		}
		s.streams[n], s.incarnation[n], s.last[n] = st, s.marks.incarnation[n], info.State.LastSeq
	}
	if dirty {
		return s.marks.write()
	}
	return nil
}

// sameStream checks that the server took the settings on which the promises rest.
func sameStream(want, got jetstream.StreamConfig) error {
	if got.Discard != want.Discard || got.Retention != want.Retention || got.Storage != want.Storage || got.MaxAge != want.MaxAge ||
		got.MaxBytes != want.MaxBytes || got.AllowMsgTTL != want.AllowMsgTTL || got.AllowDirect != want.AllowDirect ||
		got.AllowAtomicPublish != want.AllowAtomicPublish || (got.RePublish == nil) != (want.RePublish == nil) ||
		got.PersistMode != jetstream.DefaultPersistMode {
		return errors.New("its settings are not the ones asked for")
	}
	return nil
}

// tail calls f for each new mailbox entry, in order, until the store is closed. Entries may be missing after lost was called.
func (s *store) tail(f func(*nats.Msg), lost func()) error {
	s.onTailLost = lost
	sub, err := s.live.Subscribe("live.*.*", f)
	if err != nil {
		return fmt.Errorf("relay: live tail: %w", err)
	}
	if err := sub.SetPendingLimits(65_536, 64<<20); err != nil {
		return fmt.Errorf("relay: live tail: %w", err)
	}
	s.tailSubs = append(s.tailSubs, sub)
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	return s.live.FlushWithContext(ctx) // not FlushTimeout: its pool of timers is the process's, and a test's bubble has its own
}

// ready reports why the store cannot be used, or nil.
func (s *store) ready(ctx context.Context) error {
	for n := range stream(streamCount) {
		info, err := s.streams[n].Info(ctx)
		if err != nil {
			return fmt.Errorf("stream %v does not answer", n)
		}
		if n != streamEPH && info.State.LastSeq < s.last[n] {
			return fmt.Errorf("stream %v is shorter than it was", n)
		}
	}
	return nil
}

// close stops everything that openStore started; it may be called on a half open store.
func (s *store) close() {
	for _, nc := range []*nats.Conn{s.live, s.pub, s.get} {
		if nc != nil {
			nc.Close()
		}
	}
	if s.marker != nil {
		s.marker.stop()
	} else if s.marks != nil {
		s.marks.f.Close()
	}
	if s.srv != nil {
		s.srv.Shutdown()
		s.srv.WaitForShutdown()
	}
	if s.lock != nil {
		s.lock.Close()
	}
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("relay: store: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, ErrLocked
	}
	return f, nil
}

// ErrLocked means that another process runs a relay on the same store.
var ErrLocked = errors.New("relay: the store is in use by another process")

// loadKey reads the key file, or makes it if the store is new.
func loadKey(path string, mayMake bool) (string, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && mayMake {
		var key [32]byte
		rand.Read(key[:])
		b = []byte(hex.EncodeToString(key[:]) + "\n")
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.Write(b)
			err = errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path)))
		}
		if err != nil {
			return "", fmt.Errorf("relay: key file: %w", err)
		}
	} else if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("relay: the store is there, but not its key file %s", path)
	} else if err != nil {
		return "", fmt.Errorf("relay: key file: %w", err)
	}
	text := strings.TrimSpace(string(b))
	if raw, err := hex.DecodeString(text); err != nil || len(raw) != 32 {
		return "", fmt.Errorf("relay: key file %s: want 64 hexadecimal digits", path)
	}
	return text, nil
}
