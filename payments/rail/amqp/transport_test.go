package amqp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/rails"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newTransport(t *testing.T, p *peer, edit func(*Config)) *Transport {
	t.Helper()
	cfg := Config{Broker: p.broker(), Profile: must(rails.Lookup("fednow")), ToService: "to-service", FromService: "from-service", SendTimeout: 2 * time.Second, Wait: 200 * time.Millisecond}
	if edit != nil {
		edit(&cfg)
	}
	tr, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

func outcomeOf(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return "taken"
	}
	var e *rail.SendError
	if !errors.As(err, &e) {
		t.Fatalf("not a SendError: %v", err)
	}
	return map[payments.Outcome]string{payments.OutcomeUnknown: "unknown", payments.OutcomeNotSent: "not sent", payments.OutcomeRefused: "refused"}[e.Outcome]
}

// Only accepted is taken, and only what says that nothing was and will be done is not sent. Everything else leaves the outcome open.
func TestOutcomes(t *testing.T) {
	for how, want := range map[string]string{
		"accepted": "taken", "released": "not sent", "modified": "not sent", "full": "not sent",
		"modified failed": "unknown", "rejected": "unknown", "internal": "unknown", "something of its": "unknown", "received": "unknown", "nothing": "unknown",
		"too large": "refused", "not allowed": "refused",
		"none": "unknown", "cut": "unknown", "detach": "unknown",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t)
			p.onSend = func(_ *peerConn, n int, _ []byte) string {
				if n == 0 {
					return how
				}
				return "accepted"
			}
			tr := newTransport(t, p, func(c *Config) { c.SendTimeout = 300 * time.Millisecond })
			err := tr.Send(t.Context(), []byte("<x/>"))
			if got := outcomeOf(t, err); got != want {
				t.Errorf("%s: %v", got, err)
			}
			if err != nil && (strings.Contains(err.Error(), "own words") || strings.Contains(err.Error(), "secret")) {
				t.Errorf("the error tells too much: %v", err)
			}
			if err := tr.Send(t.Context(), []byte("<y/>")); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}

// A message that never left is not sent, however long the broker is away, and goes when it is back.
func TestNotSent(t *testing.T) {
	p := newPeer(t)
	tr := newTransport(t, p, func(c *Config) { c.Broker.BackoffMax = 20 * time.Millisecond })
	p.get(func() { p.refuse = true })
	if err := tr.Send(t.Context(), []byte("<x/>")); outcomeOf(t, err) != "not sent" {
		t.Errorf("no link: %v", err)
	}
	p.get(func() { p.refuse = false })
	time.Sleep(50 * time.Millisecond)
	if err := tr.Send(t.Context(), []byte("<x/>")); err != nil {
		t.Errorf("the broker is back: %v", err)
	}
	dead := newTransport(t, p, func(c *Config) { c.Broker.URL = "amqp://127.0.0.1:1" })
	for range 100 { // no attempt of its own each
		if err := dead.Send(t.Context(), []byte("<x/>")); outcomeOf(t, err) != "not sent" {
			t.Errorf("nobody listens: %v", err)
		}
	}
	if dead.sender.dialer.failures > 10 {
		t.Errorf("%d attempts to connect at once", dead.sender.dialer.failures)
	}
	starved := newPeer(t)
	starved.noCredit = true
	tr = newTransport(t, starved, func(c *Config) { c.SendTimeout = 100 * time.Millisecond })
	if err := tr.Send(t.Context(), []byte("<x/>")); outcomeOf(t, err) != "not sent" {
		t.Errorf("no credit: %v", err)
	}
	small := newPeer(t)
	small.maxSize = 1000
	tr = newTransport(t, small, nil)
	if err := tr.Send(t.Context(), bytes.Repeat([]byte("x"), 2000)); outcomeOf(t, err) != "refused" {
		t.Errorf("more than the broker takes: %v", err)
	}
	if small.sent+starved.sent != 0 {
		t.Error("something was sent")
	}
	closed := newTransport(t, p, nil)
	closed.Close()
	if err := closed.Send(t.Context(), []byte("<x/>")); outcomeOf(t, err) != "not sent" {
		t.Errorf("closed: %v", err)
	}
	if _, err := closed.Receive(t.Context(), 0, 1); err == nil {
		t.Error("a closed transport receives")
	}
}

// A cancelled wait does not take the message back.
func TestCancelledSend(t *testing.T) {
	p := newPeer(t)
	p.onSend = func(*peerConn, int, []byte) string { return "none" }
	tr := newTransport(t, p, nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if err := tr.Send(ctx, []byte("<x/>")); outcomeOf(t, err) != "unknown" {
		t.Error(err)
	}
}

// What travels: durable, no expiry, the ids, the sender's name and nobody's secret.
func TestProperties(t *testing.T) {
	p := newPeer(t)
	var raw []byte
	p.onSend = func(_ *peerConn, _ int, payload []byte) string { raw = bytes.Clone(payload); return "accepted" }
	tr := newTransport(t, p, nil)
	if err := tr.Send(t.Context(), []byte("<x/>")); err != nil {
		t.Fatal(err)
	}
	var m goamqp.Message
	if err := m.UnmarshalBinary(raw); err != nil {
		t.Fatal(err)
	}
	if m.Header == nil || !m.Header.Durable || m.Header.TTL != 0 || m.Properties.AbsoluteExpiryTime != nil {
		t.Errorf("header %+v", m.Header)
	}
	got := decode(&m, 100)
	if got.User != "bank-a" || got.To != "to-service" || got.ReplyTo != "from-service" || got.ContentType != ContentType || string(got.Body) != "<x/>" || time.Since(got.Created) > time.Minute {
		t.Errorf("%+v", got)
	}
	if bytes.Contains(raw, []byte("secret")) {
		t.Error("the password travels")
	}
	if a, b := NewID("20261123ABC"), NewID("20261123ABC"); a == b || BusinessID(a) != "20261123ABC" || BusinessID(NewID("")) != "" {
		t.Errorf("%s %s", a, b)
	}
	for _, id := range []string{"", "x", "M1/zz", strings.Repeat("x", 65) + NewID(""), "é" + NewID("")} {
		if got := BusinessID(id); got != "" {
			t.Errorf("%.20q names %.20q", id, got)
		}
	}
}

func queue(p *peer, bodies ...string) {
	for i, body := range bodies {
		m := Message{ID: fmt.Sprint("m", i), Correlation: NewID("ORIGINAL" + fmt.Sprint(i)), Body: []byte(body)}
		p.get(func() {
			p.queues["from-service"] = append(p.queues["from-service"], must(m.encode().MarshalBinary()))
			for c := range p.open {
				c.pump()
			}
		})
	}
}

func (p *peer) state() (queued, inflight, accepted int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queues["from-service"]), p.inflight, p.settled["0x24"]
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// A message is accepted at the broker when the caller says that it has it, and not before.
func TestReceive(t *testing.T) {
	p := newPeer(t)
	queue(p, "<a/>", "<b/>", "<c/>")
	tr := newTransport(t, p, nil)
	var all []rail.Delivery
	for len(all) < 3 {
		all = append(all, must(tr.Receive(t.Context(), 10+uint64(len(all)), 1))...)
	}
	for i, d := range all {
		if d.Seq != 11+uint64(i) || string(d.Wire) != "<"+string("abc"[i])+"/>" || d.Answers != "ORIGINAL"+fmt.Sprint(i) {
			t.Errorf("%d: %d %s %s", i, d.Seq, d.Wire, d.Answers)
		}
	}
	eventually(t, "two are acknowledged", func() bool { q, in, ok := p.state(); return q == 0 && in == 1 && ok == 2 })
	if again := must(tr.Receive(t.Context(), 12, 10)); len(again) != 1 || again[0].Seq != 13 {
		t.Errorf("what was not acknowledged comes again: %v", again)
	}
	start := time.Now()
	if none := must(tr.Receive(t.Context(), 13, 10)); len(none) != 0 || time.Since(start) < 150*time.Millisecond {
		t.Errorf("%v after %v", none, time.Since(start))
	}
	eventually(t, "all are acknowledged", func() bool { q, in, ok := p.state(); return q+in == 0 && ok == 3 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := tr.Receive(ctx, 13, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a caller that goes: %v", err)
	}
}

// A link that breaks with messages handed out: they come again, in order, none is lost, and none is dropped for its looks.
func TestRedelivery(t *testing.T) {
	p := newPeer(t)
	queue(p, "<a/>", "<a/>", "<b/>")
	first := newTransport(t, p, nil)
	eventually(t, "three come", func() bool { return len(must(first.Receive(t.Context(), 0, 10))) == 3 })
	first.Close() // the process dies between journal and settlement
	second := newTransport(t, p, func(c *Config) { c.Wait = 2 * time.Second })
	var bodies []string
	for after := uint64(3); len(bodies) < 3; {
		for _, d := range must(second.Receive(t.Context(), after, 10)) {
			if d.Seq <= after {
				t.Errorf("%d after %d", d.Seq, after)
			}
			after = d.Seq
			bodies = append(bodies, string(d.Wire))
		}
	}
	if strings.Join(bodies, "") != "<a/><a/><b/>" {
		t.Error(bodies)
	}
	// The connection breaks under a running transport before it can acknowledge the last one.
	second.receiver.conn.Close()
	var last rail.Delivery
	for after := uint64(6); ; {
		ds, err := second.Receive(t.Context(), after, 10)
		if err == nil && len(ds) == 0 && last.Seq > 0 {
			break
		}
		for _, d := range ds {
			after, last = d.Seq, d
		}
	}
	if last.Seq < 7 || string(last.Wire) != "<b/>" {
		t.Errorf("%d %s", last.Seq, last.Wire)
	}
	eventually(t, "acknowledged over the new link", func() bool { q, in, ok := p.state(); return q+in == 0 && ok == 3 })
}

func TestCreditBounds(t *testing.T) {
	p := newPeer(t)
	for range 50 {
		queue(p, "<x/>")
	}
	tr := newTransport(t, p, func(c *Config) { c.Credit = 4 })
	after := uint64(0)
	for after < 50 {
		ds := must(tr.Receive(t.Context(), after, 100))
		if len(ds) == 0 || len(ds) > 4 {
			t.Fatalf("%d messages at once", len(ds))
		}
		after = ds[len(ds)-1].Seq
	}
	if p.most > 4 {
		t.Errorf("%d messages unsettled at once", p.most)
	}
}

// A message over the limit is delivered cut, so that it is refused and buried, and those around it come whole. Never is more read than
// the credit allows.
func TestOversize(t *testing.T) {
	p := newPeer(t)
	queue(p, "<a/>", strings.Repeat("x", 3000), strings.Repeat("y", 2<<20), "<b/>")
	tr := newTransport(t, p, func(c *Config) {
		c.MessageMaxBytes, c.Credit, c.OversizeMaxBytes, c.Broker.BackoffMax = 1000, 8, 3<<20, 20*time.Millisecond
	})
	got, after := map[string]int{}, uint64(0)
	for end := time.Now().Add(10 * time.Second); got["<b/>"] == 0 && time.Now().Before(end); {
		ds, err := tr.Receive(t.Context(), after, 10)
		if err != nil {
			continue
		}
		for _, d := range ds {
			after = d.Seq
			if len(d.Wire) > 1001 {
				t.Fatalf("%d bytes", len(d.Wire))
			}
			got[string(d.Wire[:min(len(d.Wire), 4)])+fmt.Sprint(len(d.Wire))]++
			if string(d.Wire) == "<b/>" {
				got["<b/>"]++
			}
		}
	}
	if got["xxxx1001"] == 0 || got["yyyy1001"] != 1 || got["<a/>4"] == 0 || got["<b/>"] != 1 {
		t.Errorf("%v", got)
	}
	must(tr.Receive(t.Context(), after, 10))
	eventually(t, "all are acknowledged", func() bool { q, in, _ := p.state(); return q+in == 0 })
	if tr.receiver.single {
		t.Error("messages are still taken one by one")
	}
	// One that is larger than anything is read of stays, is named, and the attempts keep their distance.
	queue(p, strings.Repeat("z", 8<<20))
	p.get(func() { p.conns = 0 })
	named := 0
	for end := time.Now().Add(5 * time.Second); named < 3 && time.Now().Before(end); {
		if _, err := tr.Receive(t.Context(), after, 10); err != nil && strings.Contains(err.Error(), "stands still") {
			named++
		}
	}
	if p.get(func() {}); named < 3 || p.conns > 40 {
		t.Errorf("named %d times in %d connections", named, p.conns)
	}
}

// Many senders over a link that breaks: nobody is told "taken" for what is not in the queue.
func TestManySenders(t *testing.T) {
	p := newPeer(t)
	p.onSend = func(_ *peerConn, n int, _ []byte) string {
		if n == 20 {
			return "cut"
		}
		return "accepted"
	}
	tr := newTransport(t, p, func(c *Config) { c.Broker.BackoffMax = 10 * time.Millisecond })
	var mu sync.Mutex
	counts := map[string]int{}
	var wait sync.WaitGroup
	for i := range 50 {
		wait.Go(func() {
			for range 100 {
				got := outcomeOf(t, tr.Send(t.Context(), fmt.Appendf(nil, "<m n=%q/>", fmt.Sprint(i))))
				mu.Lock()
				counts[got]++
				mu.Unlock()
				if got != "not sent" {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	wait.Wait()
	queued := 0
	p.get(func() { queued = len(p.queues["to-service"]) })
	if counts["taken"] > queued || counts["taken"]+counts["unknown"] != 50 || counts["unknown"] == 0 {
		t.Errorf("%v, %d in the queue", counts, queued)
	}
}

func TestConfig(t *testing.T) {
	base := Broker{URL: "amqps://broker.example:5671", User: "bank-a", Password: "p"}
	for name, edit := range map[string]func(*Broker){
		"no URL":             func(b *Broker) { b.URL = "" },
		"HTTP":               func(b *Broker) { b.URL = "https://broker.example" },
		"user in the URL":    func(b *Broker) { b.URL = "amqps://bank-a:hunter2@broker.example" },
		"unreadable":         func(b *Broker) { b.URL = "amqps://bank-a:hunter2@[broker" },
		"path":               func(b *Broker) { b.URL += "/x" },
		"plain over network": func(b *Broker) { b.URL = "amqp://192.0.2.1:5672" },
		"plain by name":      func(b *Broker) { b.URL = "amqp://broker.example" },
		"no user":            func(b *Broker) { b.User = "" },
		"nothing to show":    func(b *Broker) { b.Password = "" },
		"no certificate":     func(b *Broker) { b.Password, b.TLS = "", &tls.Config{} },
		"negative":           func(b *Broker) { b.DialTimeout = -1 },
	} {
		b := base
		edit(&b)
		if _, err := NewSender(b, "q"); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := NewReceiver(ReceiverConfig{Broker: b, Address: "q"}); err == nil {
			t.Errorf("%s: taken by a receiver", name)
		}
	}
	certificate := base
	certificate.Password, certificate.TLS = "", &tls.Config{Certificates: []tls.Certificate{{}}}
	for _, b := range []Broker{base, certificate, {URL: "amqp://localhost", User: "u", Password: "p"}, {URL: "amqp://[::1]:5672", User: "u", Password: "p"}} {
		if _, err := NewSender(b, "q"); err != nil {
			t.Errorf("%s: %v", b.URL, err)
		}
	}
	for name, edit := range map[string]func(*Config){
		"no profile": func(c *Config) { c.Profile = nil }, "no queue out": func(c *Config) { c.ToService = "" }, "no queue in": func(c *Config) { c.FromService = "" },
		"credit": func(c *Config) { c.Credit = 1 << 20 }, "size": func(c *Config) { c.MessageMaxBytes = -1 }, "wait": func(c *Config) { c.Wait = -1 },
	} {
		cfg := Config{Broker: base, Profile: must(rails.Lookup("fednow")), ToService: "a", FromService: "b"}
		edit(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
