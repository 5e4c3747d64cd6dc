package relay

import "sync"

// queue hands things from callers that must not wait to goroutines that may. What bounds it is said where it is used.
type queue[T any] struct {
	mu     sync.Mutex
	wake   sync.Cond
	items  []T
	closed bool
}

func newQueue[T any]() *queue[T] {
	q := &queue[T]{}
	q.wake.L = &q.mu
	return q
}

// put appends an item; it never waits.
func (q *queue[T]) put(x T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = append(q.items, x)
	q.wake.Signal()
}

// take waits for items and removes the first ones that fit says belong together, at least one. It returns nil when the queue is
// closed and empty.
func (q *queue[T]) take(fit func(n int, x T) bool) []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == 0 {
		if q.closed {
			return nil
		}
		q.wake.Wait()
	}
	n := 1
	for n < len(q.items) && fit(n, q.items[n]) {
		n++
	}
	taken := q.items[:n:n]
	if q.items = q.items[n:]; len(q.items) == 0 {
		q.items = nil
	}
	return taken
}

// close lets take return what is left and then nil. No put may follow.
func (q *queue[T]) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake.Broadcast()
}

func alone[T any](int, T) bool { return false }
