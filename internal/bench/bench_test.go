package bench

import (
	"context"
	"testing"
	"time"
)

// TestPay checks that the benchmark measures real payments: each one is on the rail, and every leg has been seen.
func TestPay(t *testing.T) {
	r, err := Pay(t.Context(), PayOptions{Dir: t.TempDir(), InFlight: 4, Payers: 2, Duration: 300 * time.Millisecond, Rail: "sctinst"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Payments < 4 || r.Effects != r.Payments || r.Latency.Count != r.Payments || r.Machine.FsyncP50 <= 0 || len(r.Legs) < 8 {
		t.Fatalf("%+v", r)
	}
	for name, leg := range r.Legs {
		if leg.Count == 0 || leg.P50 > leg.P99 || leg.P99 > leg.P999 || leg.P999 > leg.Max {
			t.Errorf("%s: %+v", name, leg)
		}
	}
}

func TestPayEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Pay(ctx, PayOptions{Dir: t.TempDir(), InFlight: 1}); err == nil {
		t.Fatal("measured after the end")
	}
	if _, err := Pay(t.Context(), PayOptions{Dir: t.TempDir(), Rail: "pigeon"}); err == nil {
		t.Fatal("there is no such rail")
	}
}

func TestRelay(t *testing.T) {
	r, err := Relay(t.Context(), RelayOptions{Dir: t.TempDir(), Senders: 4, Duration: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Acked == 0 || r.Lost != 0 || r.Repeated != 0 {
		t.Fatalf("%+v", *r.Result)
	}
}

func TestSummarize(t *testing.T) {
	var took []time.Duration
	for i := 1000; i > 0; i-- {
		took = append(took, time.Duration(i)*time.Microsecond)
	}
	if s := summarize(took); s != (Summary{Count: 1000, P50: 501, P99: 991, P999: 1000, Max: 1000}) {
		t.Fatalf("%+v", s)
	}
	if s := summarize(nil); s != (Summary{}) {
		t.Fatalf("%+v", s)
	}
}
