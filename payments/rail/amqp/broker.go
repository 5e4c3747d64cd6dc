// Package amqp carries a rail's wire messages over the durable queues of an AMQP 1.0 broker (OASIS, ISO/IEC 19464).
//
// It is a message client, not a broker, and it knows nothing of payments: what a message means is package rail's and the connector's
// matter. It never declares, deletes or purges a queue: queues, permissions and dead-letter rules are the broker operator's.
package amqp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"time"

	goamqp "github.com/Azure/go-amqp"
)

// Broker says how to reach a broker and as whom. URL is required.
type Broker struct {
	URL string // "amqps://host:5671"; "amqp://host:5672" only for a loopback address, since everything travels readably then
	// User and Password are for SASL PLAIN. Without a Password the client certificate of TLS speaks for the user (SASL EXTERNAL), and
	// User is the name that the broker gives to that certificate. The password is in no error and no log line.
	User, Password string
	// TLS is for amqps. Nil means the system's roots and no client certificate. At least TLS 1.3 is always asked for.
	TLS *tls.Config
	// IdleTimeout is how long a connection may be silent before it counts as dead; the peers keep it busy with empty frames. Zero means 30 s.
	IdleTimeout time.Duration
	// DialTimeout bounds one attempt to connect, from TCP to the attached link. Zero means 10 s.
	DialTimeout time.Duration
	// BackoffMax bounds the waits between attempts, which double from 50 ms. Zero means 5 s.
	BackoffMax time.Duration
}

// frameMaxBytes bounds one frame in both directions; a longer message takes several.
const frameMaxBytes = 64 << 10

// check returns b with its defaults, or what is wrong with it.
func (b Broker) check() (Broker, error) {
	u, err := url.Parse(b.URL)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return b, errors.New("amqp: broker URL must be amqps://host:port") // the parser's own text would repeat a password in it
	}
	switch {
	case u.User != nil:
		return b, errors.New("amqp: broker URL must not hold a user: it would stand in logs")
	case u.Scheme != "amqp" && u.Scheme != "amqps":
		return b, errors.New("amqp: broker URL must begin with amqps:// or, on the same machine, amqp://")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return b, errors.New("amqp: broker URL must have no path")
	case u.Scheme == "amqp" && !loopback(u.Hostname()):
		return b, errors.New("amqp: without TLS only a broker on the same machine is reached: use amqps://")
	case b.User == "" || len(b.User) > 255:
		return b, errors.New("amqp: user is required, of at most 255 bytes")
	case b.Password == "" && (u.Scheme == "amqp" || b.TLS == nil || len(b.TLS.Certificates) == 0 && b.TLS.GetClientCertificate == nil):
		return b, errors.New("amqp: a password or a client certificate is required")
	case b.IdleTimeout < 0 || b.DialTimeout < 0 || b.BackoffMax < 0:
		return b, errors.New("amqp: times must not be below zero")
	}
	b.IdleTimeout = or(b.IdleTimeout, 30*time.Second)
	b.DialTimeout = or(b.DialTimeout, 10*time.Second)
	b.BackoffMax = or(b.BackoffMax, 5*time.Second)
	return b, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// dial connects and opens a session. limit bounds what may be read from the connection.
func (b Broker) dial(ctx context.Context, limit *budget) (*goamqp.Conn, *goamqp.Session, error) {
	u, err := url.Parse(b.URL)
	if err != nil {
		return nil, nil, errors.New("amqp: broker URL")
	}
	port := or(u.Port(), map[string]string{"amqp": "5672", "amqps": "5671"}[u.Scheme])
	var conn net.Conn
	if address := net.JoinHostPort(u.Hostname(), port); u.Scheme == "amqps" {
		config := &tls.Config{}
		if b.TLS != nil {
			config = b.TLS.Clone()
		}
		config.MinVersion = max(config.MinVersion, tls.VersionTLS13)
		config.ServerName = or(config.ServerName, u.Hostname())
		conn, err = (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	} else {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return nil, nil, err
	}
	conn = metered{conn, limit}
	sasl := goamqp.SASLTypeExternal("")
	if b.Password != "" {
		sasl = goamqp.SASLTypePlain(b.User, b.Password)
	}
	client, err := goamqp.NewConn(ctx, conn, &goamqp.ConnOptions{
		HostName: u.Hostname(), SASLType: sasl, IdleTimeout: b.IdleTimeout, MaxFrameSize: frameMaxBytes, MaxSessions: 1, WriteTimeout: b.DialTimeout,
	})
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	session, err := client.NewSession(ctx, nil)
	if err != nil {
		client.Close()
		return nil, nil, err
	}
	return client, session, nil
}

// dialer holds attempts to connect apart: after a failure the next one comes after a wait that doubles up to BackoffMax.
type dialer struct {
	max      time.Duration
	failures int
	next     time.Time // no attempt before
	err      error     // of the last attempt
}

// wait returns how long the next attempt has to wait.
func (d *dialer) wait(now time.Time) time.Duration { return max(d.next.Sub(now), 0) }

func (d *dialer) failed(now time.Time, err error) {
	wait := min(50*time.Millisecond<<min(d.failures, 20), d.max)
	d.failures++
	d.err = err
	d.next = now.Add(wait/2 + rand.N(wait/2+1)) // so that many clients do not come back at one moment
}

func (d *dialer) succeeded() { *d = dialer{max: d.max} }

// plain says what an error of the AMQP library means in words that may stand in a log: a condition instead of the broker's own text.
func plain(err error) error {
	var remote *goamqp.Error
	if errors.As(err, &remote) {
		return fmt.Errorf("amqp: %.80s", strings.ToValidUTF8(string(remote.Condition), "?"))
	}
	if text := err.Error(); len(text) > 200 {
		return errors.New("amqp: " + strings.ToValidUTF8(text[:200], "?"))
	}
	return err
}
