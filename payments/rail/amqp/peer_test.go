package amqp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// peer is the other end of a connection for what no broker does on request: answers that never come, links that break at the worst
// moment, messages over every limit. It speaks just enough AMQP 1.0 for one session with one link per connection, and keeps queues in
// memory. What a real broker does is tested with one: see broker_test.go.
type peer struct {
	t  *testing.T
	ln net.Listener

	mu       sync.Mutex // guards what follows
	queues   map[string][][]byte
	onSend   func(conn *peerConn, n int, payload []byte) string // how the n-th transfer to the peer ends: a word of outcomes, "cut", "none", "detach"
	settled  map[string]int                                     // outcomes told by receivers
	sent     int                                                // transfers taken from senders
	inflight int                                                // messages sent to receivers and not settled
	most     int                                                // most of them at once
	conns    int
	open     map[*peerConn]bool
	noCredit bool
	refuse   bool // no attach succeeds
	settle   bool // messages are sent as settled already
	maxSize  uint64
}

type peerConn struct {
	net.Conn
	p         *peer
	address   string
	handle    uint32
	credit    uint32
	delivered uint32
	unsettled map[uint32][]byte
	partial   []byte
	id        uint32
	wrote     sync.Mutex
}

func newPeer(t *testing.T) *peer {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, ln: ln, queues: map[string][][]byte{}, settled: map[string]int{}, open: map[*peerConn]bool{}}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.conns++
			conn := &peerConn{Conn: c, p: p, unsettled: map[uint32][]byte{}}
			p.open[conn] = true
			p.mu.Unlock()
			go p.serve(conn)
		}
	}()
	return p
}

func (p *peer) broker() Broker {
	return Broker{URL: "amqp://" + p.ln.Addr().String(), User: "bank-a", Password: "secret-of-bank-a"}
}

func (p *peer) get(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *peer) serve(c *peerConn) {
	defer func() {
		c.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, c)
		var back [][]byte // a link that ends gives back what it has, in order, in front
		for id := uint32(0); id < c.delivered; id++ {
			if m, ok := c.unsettled[id]; ok {
				back = append(back, m)
				p.inflight--
			}
		}
		p.queues[c.address] = append(back, p.queues[c.address]...)
		for other := range p.open {
			other.pump()
		}
	}()
	header := make([]byte, 8)
	for {
		if _, err := io.ReadFull(c, header); err != nil {
			return
		}
		c.Write(header)
		if header[4] == 0 {
			break
		}
		c.frame(1, described(0x40, list(symbol("PLAIN"))))
		if _, _, err := c.read(); err != nil {
			return
		}
		c.frame(1, described(0x44, list([]byte{0x50, 0})))
	}
	for {
		v, payload, err := c.read()
		if err != nil {
			return
		}
		if c.handleFrame(v, payload) != nil {
			return
		}
	}
}

func (c *peerConn) handleFrame(v value, payload []byte) error {
	p := c.p
	p.mu.Lock()
	defer p.mu.Unlock()
	switch v.code {
	case 0x10: // open
		c.frame(0, described(0x10, list(text("peer"), null, num(64<<10))))
	case 0x11: // begin
		c.frame(0, described(0x11, list([]byte{0x60, 0, 0}, num(0), num(1000), num(1000))))
	case 0x12: // attach
		name, _ := v.field(0).(string)
		handle, _ := v.field(1).(uint64)
		sender := v.field(2) == false
		end := 5
		if sender {
			end = 6
		}
		if at, ok := v.field(end).(value); ok {
			c.address, _ = at.field(0).(string)
		}
		c.handle = uint32(handle)
		target := described(0x29, list(text(c.address)))
		source := described(0x28, list(text(c.address)))
		role, size := byte(0x41), null
		if !sender {
			role = 0x42
		}
		if p.refuse {
			source, target = null, null
		}
		if p.maxSize > 0 {
			size = long(p.maxSize)
		}
		mode := []byte{0x50, 0} // unsettled
		initial := null
		if !sender {
			initial = num(0)
		}
		c.frame(0, described(0x12, list(text(name), num(uint64(c.handle)), []byte{role}, mode, []byte{0x50, 0}, source, target, null, null, initial, size)))
		if p.refuse {
			c.detach("amqp:unauthorized-access")
			return nil
		}
		if sender && !p.noCredit {
			c.frame(0, described(0x13, list(num(0), num(1000), num(0), num(1000), num(uint64(c.handle)), num(0), num(100))))
		}
	case 0x13: // flow
		if count, ok := v.field(5).(uint64); ok {
			credit, _ := v.field(6).(uint64)
			c.credit = uint32(count+credit) - c.delivered
			c.pump()
		}
	case 0x14: // transfer
		if id, ok := v.field(1).(uint64); ok {
			c.id = uint32(id)
		}
		c.partial = append(c.partial, payload...)
		if v.field(5) == true {
			return nil
		}
		n := p.sent
		p.sent++
		body := c.partial
		c.partial = nil
		how := "accepted"
		if p.onSend != nil {
			how = p.onSend(c, n, body)
		}
		switch how {
		case "cut":
			return errors.New("cut")
		case "none":
			return nil
		case "detach":
			c.detach("amqp:link:detach-forced")
			return nil
		case "accepted":
			p.queues[c.address] = append(p.queues[c.address], body)
		}
		c.frame(0, described(0x15, list([]byte{0x41}, num(uint64(c.id)), num(uint64(c.id)), []byte{0x41}, outcomes[how])))
	case 0x15: // disposition
		first, _ := v.field(1).(uint64)
		last, ok := v.field(2).(uint64)
		if !ok {
			last = first
		}
		state, _ := v.field(4).(value)
		for id := first; id <= last; id++ {
			if _, ok := c.unsettled[uint32(id)]; ok {
				delete(c.unsettled, uint32(id))
				p.inflight--
				p.settled[fmt.Sprintf("%#x", state.code)]++
			}
		}
	case 0x16: // detach
		c.frame(0, described(0x16, list(num(uint64(c.handle)), []byte{0x41})))
	case 0x17, 0x18: // end, close
		c.frame(0, described(byte(v.code), list()))
	}
	return nil
}

func (c *peerConn) detach(condition string) {
	c.frame(0, described(0x16, list(num(uint64(c.handle)), []byte{0x41}, described(0x1d, list(symbol(condition), text("as the test wants it"))))))
}

// pump sends what is queued as far as credit goes, in frames of at most 60,000 bytes.
func (c *peerConn) pump() {
	p := c.p
	for c.credit > 0 && len(p.queues[c.address]) > 0 {
		m := p.queues[c.address][0]
		p.queues[c.address] = p.queues[c.address][1:]
		id := c.delivered
		c.delivered++
		c.credit--
		settled := byte(0x42)
		if p.settle {
			settled = 0x41
		} else {
			c.unsettled[id] = m
			p.inflight++
			p.most = max(p.most, p.inflight)
		}
		for rest := m; ; {
			part := rest[:min(len(rest), 60_000)]
			rest = rest[len(part):]
			more := byte(0x42)
			if len(rest) > 0 {
				more = 0x41
			}
			tag := []byte{0xa0, 4, 0, 0, 0, 0}
			binary.BigEndian.PutUint32(tag[2:], id)
			performative := described(0x14, list(num(uint64(c.handle)), num(uint64(id)), tag, num(0), []byte{settled}, []byte{more}))
			if c.frame(0, append(performative, part...)) != nil {
				return
			}
			if len(rest) == 0 {
				break
			}
		}
	}
}

// outcomes are the delivery states (part 3, section 3.4) by the words of the tests.
var outcomes = map[string][]byte{
	"accepted":         described(0x24, list()),
	"rejected":         described(0x25, list()),
	"released":         described(0x26, list()),
	"modified":         described(0x27, list()),
	"modified failed":  described(0x27, list([]byte{0x41})),
	"received":         described(0x23, list(num(0), long(0))),
	"nothing":          null,
	"full":             rejected("amqp:resource-limit-exceeded"),
	"too large":        rejected("amqp:link:message-size-exceeded"),
	"not allowed":      rejected("amqp:not-allowed"),
	"internal":         rejected("amqp:internal-error"),
	"something of its": rejected("example:of-its-own"),
}

func rejected(condition string) []byte {
	return described(0x25, list(described(0x1d, list(symbol(condition), text("the broker's own words")))))
}

// The encoding of AMQP types (part 1), written and read.

var null = []byte{0x40}

func num(v uint64) []byte { return binary.BigEndian.AppendUint32([]byte{0x70}, uint32(v)) }

func long(v uint64) []byte { return binary.BigEndian.AppendUint64([]byte{0x80}, v) }

func sized(code byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{code}, uint32(len(s))), s...)
}

func text(s string) []byte   { return sized(0xb1, s) }
func symbol(s string) []byte { return sized(0xb3, s) }

func list(fields ...[]byte) []byte {
	var body []byte
	for _, f := range fields {
		body = append(body, f...)
	}
	b := binary.BigEndian.AppendUint32([]byte{0xd0}, uint32(len(body)+4))
	return append(binary.BigEndian.AppendUint32(b, uint32(len(fields))), body...)
}

func described(code byte, v []byte) []byte { return append([]byte{0, 0x53, code}, v...) }

func (c *peerConn) frame(kind byte, body []byte) error {
	c.wrote.Lock()
	defer c.wrote.Unlock()
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)+8))
	_, err := c.Write(append(append(b, 2, kind, 0, 0), body...))
	return err
}

// read returns the performative of the next frame that is not empty, and what follows it.
func (c *peerConn) read() (value, []byte, error) {
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(c, head); err != nil {
			return value{}, nil, err
		}
		body := make([]byte, binary.BigEndian.Uint32(head)-8)
		if _, err := io.ReadFull(c, body); err != nil {
			return value{}, nil, err
		}
		if len(body) == 0 {
			continue
		}
		v, rest := parse(body)
		d, ok := v.(value)
		if !ok {
			return value{}, nil, errors.New("no performative")
		}
		return d, rest, nil
	}
}

// value is a described value.
type value struct {
	code uint64
	v    any
}

// field returns a field of a described list, nil when it is not there.
func (v value) field(i int) any {
	if l, ok := v.v.([]any); ok && i < len(l) {
		return l[i]
	}
	return nil
}

// parse reads one value: numbers as uint64, texts and binaries as string, lists and maps as []any.
func parse(b []byte) (any, []byte) {
	code := b[0]
	b = b[1:]
	number := func(n int) (any, []byte) {
		var v uint64
		for _, x := range b[:n] {
			v = v<<8 | uint64(x)
		}
		return v, b[n:]
	}
	switch code {
	case 0:
		d, rest := parse(b)
		v, rest := parse(rest)
		c, _ := d.(uint64)
		return value{c, v}, rest
	case 0x40:
		return nil, b
	case 0x41:
		return true, b
	case 0x42:
		return false, b
	case 0x43, 0x44:
		return uint64(0), b
	case 0x45:
		return []any{}, b
	case 0xc0, 0xc1, 0xd0, 0xd1:
		wide := code >= 0xd0
		n, count := 1, 0
		if wide {
			n = 4
		}
		size, rest := parseInt(b, n)
		body := rest[:size]
		rest = rest[size:]
		count, body = parseInt(body, n)
		var out []any
		for range count {
			var v any
			v, body = parse(body)
			out = append(out, v)
		}
		return out, rest
	}
	switch code >> 4 {
	case 5:
		return number(1)
	case 6:
		return number(2)
	case 7:
		return number(4)
	case 8:
		return number(8)
	case 9:
		return number(16)
	case 0xa, 0xe:
		n, rest := parseInt(b, 1)
		return string(rest[:n]), rest[n:]
	default:
		n, rest := parseInt(b, 4)
		return string(rest[:n]), rest[n:]
	}
}

func parseInt(b []byte, n int) (int, []byte) {
	v := 0
	for _, x := range b[:n] {
		v = v<<8 | int(x)
	}
	return v, b[n:]
}
