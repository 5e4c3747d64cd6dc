package relay

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging/relay/bench"
	"github.com/parleypay/parley/messaging/wire"
)

// The measurement itself: what it sends arrives, once.
func TestBench(t *testing.T) {
	x := start(t, Config{Tokens: []string{"token"}})
	res, err := bench.Run(context.Background(), bench.Config{URL: x.url(), Token: "token", Senders: 4, Duration: 300 * time.Millisecond, Warmup: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if res.Acked == 0 || res.Delivered < res.Acked || res.Lost != 0 || res.Repeated != 0 || res.AckP99 < res.AckP50 || res.DeliverP50 == 0 {
		t.Errorf("%+v", res)
	}
	if _, err := bench.Run(context.Background(), bench.Config{URL: x.url(), Token: "other", Senders: 1}); err == nil {
		t.Error("a refused registration is no error")
	}
	if _, err := bench.Run(context.Background(), bench.Config{URL: x.url(), Size: wire.MaxBody + 1}); err == nil {
		t.Error("a message over the limit is no error")
	}
}

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
