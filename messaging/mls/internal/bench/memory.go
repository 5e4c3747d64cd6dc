package bench

import (
	"fmt"
	"runtime"

	"github.com/parleypay/parley/messaging/mls"
)

// Memory is what one group of two members takes at one of them.
type Memory struct {
	Group  int // octets of memory for the *mls.Group that Load returns, all that it refers to included
	Stored int // octets of rows
}

// MeasureMemory loads many groups of two from their rows and divides. Half of them are seen by their creator, half by the one who joined.
// In each, both have committed and both have sent, so that no node of the tree is blank.
func MeasureMemory(suite mls.CipherSuite, groups int) (Memory, error) {
	crowd := NewCrowd(suite)
	clients := make([]*Client, 0, groups)
	stored := 0
	for i := range (groups + 1) / 2 {
		a, b, err := crowd.Pair(fmt.Appendf(nil, "%016d", i), 2)
		if err != nil {
			return Memory{}, err
		}
		if err := exchange(a, b); err != nil {
			return Memory{}, err
		}
		if err := exchange(b, a); err != nil {
			return Memory{}, err
		}
		for _, c := range []*Client{a, b} {
			c.Group = nil
			stored += c.Rows.Bytes()
			clients = append(clients, c)
		}
	}
	before := Heap()
	for _, c := range clients {
		if err := c.Restore(c.Rows); err != nil {
			return Memory{}, err
		}
	}
	after := Heap()
	runtime.KeepAlive(clients)
	return Memory{Group: int(after-before) / len(clients), Stored: stored / len(clients)}, nil
}

// exchange lets a commit and send, and b follow.
func exchange(a, b *Client) error {
	p, err := a.Commit(mls.CommitOptions{Path: true})
	if err != nil {
		return err
	}
	if err := b.Process(p.Message()); err != nil {
		return err
	}
	message, err := a.Seal([]byte("hello"))
	if err != nil {
		return err
	}
	_, err = b.Open(message)
	return err
}

// Heap returns the octets that are in use after a collection.
func Heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
