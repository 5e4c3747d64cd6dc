package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/parleypay/parley/messaging/relay"
	relaybench "github.com/parleypay/parley/messaging/relay/bench"
)

// RelayOptions says what Relay measures. A zero field means the default given.
type RelayOptions struct {
	Dir      string        // where to write; default: a temporary directory in the current one
	Senders  int           // 64
	Duration time.Duration // 10 s
}

// RelayResult is what Relay measured: messages of 1 KiB, stored with fsync and delivered.
type RelayResult struct {
	Machine Machine `json:"machine"`
	*relaybench.Result
}

// Relay runs a relay in this process and sends messages through it over loopback WebSockets.
func Relay(ctx context.Context, o RelayOptions) (result RelayResult, err error) {
	dir, err := os.MkdirTemp(o.Dir, "parley-bench-")
	if err != nil {
		return RelayResult{}, err
	}
	defer os.RemoveAll(dir)
	if result.Machine, err = measureMachine(dir); err != nil {
		return RelayResult{}, err
	}
	r, err := relay.New(relay.Config{Addr: "127.0.0.1:0", StoreDir: filepath.Join(dir, "relay"), UnsafeTempStore: true})
	if err != nil {
		return RelayResult{}, err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- r.Run(run) }()
	if o.Duration == 0 {
		o.Duration = 10 * time.Second
	}
	result.Result, err = relaybench.Run(ctx, relaybench.Config{URL: "ws://" + r.Addr(), Senders: o.Senders, Duration: o.Duration})
	stop()
	return result, errors.Join(err, <-done)
}
