package device

import (
	"sync"
	"time"

	"github.com/parleypay/parley/messaging/device/outbox"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func newClock() *clock { return &clock{} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

var (
	tick  = outbox.Tick{}
	reset = outbox.Reset{}
)
