package railsim

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/parleypay/parley/payments/rail"
)

// metrics are the rail's own. Labels are message kinds, rule names, codes and participants, which are banks; no person's data.
type metrics struct {
	registry *prometheus.Registry
	messages *prometheus.CounterVec
	refusals *prometheus.CounterVec
	events   *prometheus.CounterVec
}

func newMetrics(s *Sim) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_rail_messages_total", Help: "Messages by direction, kind and status.",
		}, []string{"direction", "message", "status"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_rail_refusals_total", Help: "Messages refused, by the first rule they break.",
		}, []string{"rule"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_rail_events_total", Help: "What happened to payments, by kind and code.",
		}, []string{"event", "code"}),
	}
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("parley_rail_payments_open", "Payments without a final answer.", func() float64 { return float64(s.open()) })
	gauge("parley_rail_messages_waiting", "Messages not yet acknowledged by participants.", func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		n := 0
		for i := range s.core.members {
			n += len(s.core.members[i].queue)
		}
		return float64(n)
	})
	m.registry.MustRegister(m.messages, m.refusals, m.events)
	return m
}

// statuses that become a label; another one a participant sends counts as "other".
var knownStatus = map[string]bool{"": true, "ACTC": true, "ACCP": true, "ACSP": true, "ACSC": true, "ACCC": true, "ACWP": true, "PDNG": true, "BLCK": true, "RJCT": true}

func known(status string) string {
	if knownStatus[status] {
		return status
	}
	return "other"
}

func (m *metrics) passed(d Document) {
	direction := "in"
	if d.Dir == rail.FromService {
		direction = "out"
	}
	m.messages.WithLabelValues(direction, d.MsgDef, known(d.Status)).Inc()
}

func (m *metrics) refused(faults []*rail.RuleError) {
	if len(faults) > 0 {
		m.refusals.WithLabelValues(faults[0].Rule).Inc()
	}
}

func (m *metrics) count(e event) {
	code := e.label
	switch e.kind {
	case "refused":
		code = "" // a participant's reason is free text of the peer's choice
	case "ignored", "contradiction":
		code = known(code)
	}
	m.events.WithLabelValues(e.kind, code).Inc()
}

// OpsHandler serves /healthz, /readyz and /metrics. It has no authentication: bind it to a loopback port.
func (s *Sim) OpsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s.draining.Load() {
			http.Error(w, "draining", http.StatusServiceUnavailable)
			return
		}
		if err := s.locked(func(*core, time.Time) {}); err != nil {
			http.Error(w, "the store has failed", http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("ok\n"))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}
