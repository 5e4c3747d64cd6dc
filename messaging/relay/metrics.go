package relay

import (
	"context"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/parleypay/parley/messaging/wire"
)

// metrics counts without identifiers: the only labels are class and code.
type metrics struct {
	registry  *prometheus.Registry
	accepted  *prometheus.HistogramVec
	batches   *prometheus.HistogramVec
	storing   *prometheus.HistogramVec
	delivered *prometheus.CounterVec
	refused   *prometheus.CounterVec
	closed    *prometheus.CounterVec
	tailLost  prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		accepted: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "parley_relay_accept_seconds",
			Help: "Time from a message's arrival to its ack.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}, []string{"class"}),
		batches: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "parley_relay_batch_messages",
			Help: "Messages stored with one write.", Buckets: prometheus.ExponentialBuckets(1, 2, 10)}, []string{"class"}),
		storing: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "parley_relay_store_seconds",
			Help: "Time of one write, with its fsync.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)}, []string{"class"}),
		delivered: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_relay_delivered_total", Help: "Entries written to sockets."}, []string{"class"}),
		refused:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_relay_refused_total", Help: "Requests refused."}, []string{"code"}),
		closed:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_relay_closed_total", Help: "Connections ended by the relay."}, []string{"code"}),
		tailLost:  prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_relay_tail_lost_total", Help: "Times the live tail lost entries, which were fetched then."}),
	}
	m.registry.MustRegister(m.accepted, m.batches, m.storing, m.delivered, m.refused, m.closed, m.tailLost)
	return m
}

// watch adds what is read from the relay when somebody asks.
func (m *metrics) watch(r *Relay) {
	gauge := func(name, help string, f func() int) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			r.mu.Lock()
			defer r.mu.Unlock()
			return float64(f())
		}))
	}
	gauge("parley_relay_connections", "Authenticated connections.", func() int { return r.core.Connected() })
	gauge("parley_relay_pending", "Messages that are not yet stored.", func() int { return r.core.Pending() })
}

func (m *metrics) accept(c wire.Class, d time.Duration) {
	m.accepted.WithLabelValues(c.String()).Observe(d.Seconds())
}
func (m *metrics) refuse(c wire.Code) { m.refused.WithLabelValues(c.String()).Inc() }
func (m *metrics) close(c wire.Code)  { m.closed.WithLabelValues(c.String()).Inc() }
func (m *metrics) deliver(c wire.Class, n int) {
	m.delivered.WithLabelValues(c.String()).Add(float64(n))
}

func (m *metrics) batch(c wire.Class, n int, d time.Duration) {
	m.batches.WithLabelValues(c.String()).Observe(float64(n))
	m.storing.WithLabelValues(c.String()).Observe(d.Seconds())
}

// sideHandler serves health, readiness and metrics on the loopback listener.
func (r *Relay) sideHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		r.mu.Lock()
		err := r.broken
		r.mu.Unlock()
		if err != nil {
			http.Error(w, "the store takes no writes", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, req *http.Request) {
		if err := r.Ready(req.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ready\n")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// Ready reports why the relay cannot serve now, or nil: the store answers, no stream is shorter than its mark, nothing has stopped.
func (r *Relay) Ready(ctx context.Context) error {
	r.mu.Lock()
	broken, draining := r.broken, r.draining
	r.mu.Unlock()
	switch {
	case broken != nil:
		return errNotReady("the store takes no writes")
	case draining:
		return errNotReady("stopping")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return r.store.ready(ctx)
}

type errNotReady string

func (e errNotReady) Error() string { return "relay: not ready: " + string(e) }

// discardLog keeps net/http from printing addresses of peers.
var discardLog = log.New(io.Discard, "", 0)
