package device

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/parleypay/parley/messaging/device/internal/mlsgroup"
	"github.com/parleypay/parley/messaging/wire"
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

// lastResort is when the key package of last resort was made. A new one replaces it after a third of its life.
type lastResort struct {
	At int64 `cbor:"1,keyasint"`
}

// stock publishes key packages when the relay has few left. Their private keys are durable before.
func (d *Device) stock(ctx context.Context, s *session, stock []wire.Stock) error {
	want, left := uint32(d.c.KeyPackages), uint32(0)
	for _, s := range stock {
		if s.Suite == mlsgroup.Suite {
			left = s.Count
		}
	}
	var last lastResort
	f := &wire.PublishKeyPackages{}
	now := d.now()
	err := d.s.update(ctx, func(t *tx) error {
		*f = wire.PublishKeyPackages{Suite: mlsgroup.Suite}
		if left*2 < want {
			for range want - left {
				b, err := d.mls.NewKeyPackage(t, now, false)
				if err != nil {
					return err
				}
				f.Packages = append(f.Packages, b)
			}
		}
		if _, err := t.getMeta("last resort", &last); err != nil {
			return err
		}
		if now.Sub(time.Unix(last.At, 0)) > mlsgroup.Lifetime/3 {
			b, err := d.mls.NewKeyPackage(t, now, true)
			if err != nil {
				return err
			}
			f.LastResort = b
		}
		return nil
	})
	if err != nil {
		return storeFailed(err)
	}
	if f.LastResort == nil && len(f.Packages) == 0 {
		return nil
	}
	reply, err := s.request(ctx, func(req uint64) wire.Frame { f.Req = req; return f })
	if err != nil {
		return err
	}
	switch r := reply.(type) {
	case *wire.KeyPackageCount:
		if f.LastResort != nil {
			return storeFailed(d.s.update(ctx, func(t *tx) error { return t.putMeta("last resort", lastResort{now.Unix()}) }))
		}
	case *wire.Failure:
		if r.Code == wire.CodeTooManyPackage || again(r.Code) {
			return nil // the next connection tries again
		}
		return fmt.Errorf("device: publish key packages: %w", r)
	}
	return nil
}

// restock asks how many key packages are left, after one was used.
func (d *Device) restock(ctx context.Context, s *session) error {
	reply, err := s.request(ctx, func(req uint64) wire.Frame { return &wire.CountKeyPackages{Req: req} })
	if err != nil {
		return err
	}
	if n, ok := reply.(*wire.KeyPackageCount); ok {
		return d.stock(ctx, s, n.Stock)
	}
	return nil
}

// sweepKeyPackages deletes private keys of key packages that nobody can use any more.
func (d *Device) sweepKeyPackages(t *tx, now time.Time) error {
	var old [][]byte
	err := t.rows(`SELECT k, v FROM mls WHERE kind = ?`, []any{int(mlsgroup.KindKeyPackage)}, func(scan func(...any) error) error {
		var k, v []byte
		if err := scan(&k, &v); err != nil {
			return err
		}
		row, err := d.s.open("mls", mlsAD(mlsgroup.KindKeyPackage, k), v)
		if err != nil {
			return err
		}
		if mlsgroup.Expired(row, now) {
			old = append(old, k)
		}
		return nil
	})
	for _, k := range old {
		if err == nil {
			err = t.Delete(mlsgroup.KindKeyPackage, k)
		}
	}
	return err
}
