package amqp

import (
	"errors"
	"net"
	"sync/atomic"
)

// budget bounds the bytes that a connection reads while messages wait to be settled. The max-message-size of the link, which should do
// that, binds only a broker that keeps it, and the library forgets it when the broker names none.
type budget struct {
	left     atomic.Int64
	exceeded atomic.Bool
}

var errBudget = errors.New("amqp: the broker sent more than the link's credit allows")

// metered is a connection with a budget: an empty one fails the next Read, and with it the connection.
type metered struct {
	net.Conn
	budget *budget
}

// Read implements net.Conn.
func (m metered) Read(p []byte) (int, error) {
	left := m.budget.left.Load()
	if left <= 0 {
		m.budget.exceeded.Store(true)
		return 0, errBudget
	}
	if int64(len(p)) > left {
		p = p[:left]
	}
	n, err := m.Conn.Read(p)
	m.budget.left.Add(-int64(n))
	return n, err
}
