package relay

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging/relay/bench"
)

// BenchmarkRelay stores and delivers 1 KiB messages through the whole relay for 5 s; -benchtime=1x is enough.
func BenchmarkRelay(b *testing.B) {
	cfg := Config{StoreDir: b.TempDir(), UnsafeTempStore: true, Addr: "127.0.0.1:0"}
	r, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	for b.Loop() {
		res, err := bench.Run(ctx, bench.Config{URL: "ws://" + r.Addr(), Duration: 5 * time.Second})
		if err != nil {
			b.Fatal(err)
		}
		out, _ := json.Marshal(res)
		b.Logf("%s", out)
		b.ReportMetric(res.PerSecond, "acked/s")
		b.ReportMetric(res.DeliverP99, "p99-ms")
		if res.Lost > 0 || res.Repeated > 0 {
			b.Errorf("lost %d, repeated %d", res.Lost, res.Repeated)
		}
	}
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
}
