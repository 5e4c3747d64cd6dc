package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics keeps a connector's counters for Prometheus. Names and labels come from fixed sets of package connector: no identifier
// and no person's data ever gets here.
type metrics struct {
	counts *prometheus.CounterVec
	legs   *prometheus.HistogramVec
}

func newMetrics() metrics {
	return metrics{
		counts: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "parley", Subsystem: "connector", Name: "events_total",
			Help: "What happened, by kind and detail."}, []string{"kind", "detail"}),
		legs: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "parley", Subsystem: "connector", Name: "leg_seconds",
			Help: "How long each leg of a payment took.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 18)}, []string{"leg"}),
	}
}

func (m metrics) Count(name, label string) { m.counts.WithLabelValues(name, label).Inc() }

func (m metrics) Observe(name string, d time.Duration) {
	m.legs.WithLabelValues(name).Observe(d.Seconds())
}

func (m metrics) Describe(ch chan<- *prometheus.Desc) {
	m.counts.Describe(ch)
	m.legs.Describe(ch)
}

func (m metrics) Collect(ch chan<- prometheus.Metric) {
	m.counts.Collect(ch)
	m.legs.Collect(ch)
}
