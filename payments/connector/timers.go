package connector

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/parleypay/parley/payments/journal"
)

// kickTimers makes the timer loop look again if it would sleep past at.
func (e *Engine) kickTimers(at time.Time) {
	select {
	case e.timerKick <- at:
	default: // a kick is waiting; the loop reads the journal's earliest timer anyway
	}
}

// timers fires what is due until ctx ends.
func (e *Engine) timers(ctx context.Context) {
	slots := make(chan struct{}, e.cfg.Workers)
	for ctx.Err() == nil {
		now := e.now()
		due, err := e.cfg.Journal.Timers(ctx, now, 4*cap(slots))
		if err != nil {
			e.readFailed(ctx, err)
			return
		}
		var fired sync.WaitGroup
		for _, t := range due {
			slots <- struct{}{}
			fired.Go(func() {
				defer func() { <-slots }()
				e.fire(ctx, t)
			})
		}
		fired.Wait()
		if len(due) > 0 {
			continue
		}
		next, armed, err := e.cfg.Journal.NextTimer(ctx)
		if err != nil {
			e.readFailed(ctx, err)
			return
		}
		if !armed {
			next = now.Add(time.Hour)
		}
		e.sleepUntil(ctx, next)
	}
}

func (e *Engine) sleepUntil(ctx context.Context, next time.Time) {
	wait := time.NewTimer(next.Sub(e.now()))
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
			return
		case at := <-e.timerKick:
			if at.Before(next) {
				return
			}
		}
	}
}

func (e *Engine) fire(ctx context.Context, t journal.TimerRow) {
	err := e.apply(ctx, t.Key, FiredEvent(t.Timer), extra{})
	if err == nil {
		p, loadErr := e.Payment(ctx, t.Key)
		if at, armed := p.timer(TimerName(t.Name)); loadErr == nil && (!armed || !at.Equal(t.At)) {
			return
		}
		err = errors.New("connector: a due timer changed nothing")
	}
	e.cfg.Metrics.Count(MetricError, "timer")
	e.cfg.Log.Error("timer failed", "intent", string(t.Key.Intent), "timer", t.Name, "error", err)
	// It stays armed in the journal; what cannot be handled now must not spin.
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}
