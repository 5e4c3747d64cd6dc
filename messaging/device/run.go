package device

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Run keeps the line to the relay: connects and reconnects, registers, keeps key packages stocked, receives, resends what waits in
// the outbox, calls the handler, forgets what expired. It returns nil after ctx has ended and everything begun is finished, or an
// error that reconnecting cannot heal. It is called once. The handlers' contexts end only when Config.DrainTimeout has passed after ctx.
func (d *Device) Run(ctx context.Context) error {
	if !d.running.CompareAndSwap(false, true) {
		return errors.New("device: Run was called before")
	}
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	handlers, stopHandlers := context.WithCancel(work)
	defer stopHandlers()
	if err := d.inbox.start(handlers); err != nil {
		return err
	}
	if err := d.receipts.unpark(work); err != nil {
		return err
	}
	d.line.mu.Lock()
	d.line.run = work
	d.line.mu.Unlock()
	var wg sync.WaitGroup
	start := func(f func(context.Context) error) {
		wg.Go(func() {
			if err := f(work); err != nil {
				stop(err)
			}
		})
	}
	start(d.line.keep)
	start(d.out.run)
	start(d.receipts.run)
	start(d.inbox.run)
	start(d.sweeper)
	if err := d.resumeAll(work); err != nil {
		stop(err)
	}
	select {
	case <-ctx.Done():
	case <-work.Done():
	}
	d.drain(work, stopHandlers)
	d.line.mu.Lock()
	d.line.run = nil
	d.line.mu.Unlock()
	stop(context.Canceled)
	d.line.wg.Wait()
	wg.Wait()
	if err := context.Cause(work); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// drain lets handlers finish, and what they sent reach the relay, for Config.DrainTimeout at most.
func (d *Device) drain(work context.Context, stopHandlers func()) {
	limit, cancel := context.WithTimeout(work, d.c.DrainTimeout)
	defer cancel()
	stop := context.AfterFunc(limit, stopHandlers)
	defer stop()
	d.inbox.drain()
	defer func() { // failing costs no more than a repeat
		d.receipts.park(work)
		d.inbox.flush(work)
	}()
	if limit.Err() != nil || !d.line.online() {
		return
	}
	d.receipts.flush(limit)
	for d.line.online() {
		if _, unsent := d.out.len(); unsent == 0 {
			if s, err := d.line.wait(limit); err == nil {
				s.barrier(limit)
			}
			return
		}
		if sleep(limit, 5*time.Millisecond) != nil {
			return
		}
	}
}

// sweeper forgets what expired, at most a second late, and tidies up once an hour.
func (d *Device) sweeper(ctx context.Context) error {
	for n := 0; ; n++ {
		if n%3600 == 0 {
			if err := d.tidy(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
		if err := d.sweep(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		if sleep(ctx, time.Second) != nil {
			return nil
		}
	}
}
