package device

import (
	"context"
	"sync"
)

// turns lets one at a time do something with the same key, and any number with different ones.
type turns[K comparable] struct {
	mu   sync.Mutex // guards busy
	busy map[K]chan struct{}
}

// take waits for the key's turn.
func (l *turns[K]) take(ctx context.Context, key K) error {
	for {
		l.mu.Lock()
		wait := l.busy[key]
		if wait == nil {
			if l.busy == nil {
				l.busy = map[K]chan struct{}{}
			}
			l.busy[key] = make(chan struct{})
			l.mu.Unlock()
			return nil
		}
		l.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// give passes the turn on.
func (l *turns[K]) give(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.busy[key])
	delete(l.busy, key)
}
