package mailbox

import (
	"time"

	"github.com/parleypay/parley/messaging/wire"
)

var classes = [...]wire.Class{wire.Durable, wire.Memory}

// connected takes the device over from an older connection.
func (s *State) connected(ev Connected) {
	if old := s.devices[ev.Device]; old != nil {
		s.gone(old.id)
		s.emit(Close{old.id, wire.CodeReplaced, "the device connected again"})
	}
	c := &conn{id: ev.Conn, device: ev.Device}
	s.conns[c.id], s.devices[c.device] = c, c
}

func (s *State) gone(id ConnID) {
	c := s.conns[id]
	if c == nil {
		return
	}
	delete(s.conns, id)
	if s.devices[c.device] == c {
		delete(s.devices, c.device)
	}
}

// sync places both lanes at the device's cursors and starts reading from there. A cursor is itself an ack.
func (s *State) sync(ev Sync) {
	c := s.conns[ev.Conn]
	if c == nil {
		return
	}
	if c.synced {
		s.refuse(c.id, ev.Frame.Req, wire.CodeOrder, "sync was asked for before")
		return
	}
	c.synced, c.req, c.run = true, ev.Frame.Req, ev.Run
	for i, cursor := range [...]wire.Cursor{ev.Frame.Durable, ev.Frame.Memory} {
		class := classes[i]
		store, l := &s.lanes[class], &c.lanes[class]
		switch {
		case cursor == wire.Cursor{}:
		case cursor.Incarnation != store.Incarnation || cursor.Seq > store.high: // a sequence that was never given out would hide new entries
			s.emit(Reply{c.id, &wire.Reset{Class: class, Incarnation: store.Incarnation}})
		default:
			l.sent = cursor.Seq
			if cursor.Seq > 0 {
				s.emit(Purge{class, c.device, cursor.Seq})
			}
		}
		l.behind = true
	}
	s.advance(c)
}

// advance fetches for the lanes that are behind, if the connection has room, and tells when all has been delivered.
func (s *State) advance(c *conn) {
	for _, class := range classes {
		l := &c.lanes[class]
		if l.behind && !l.fetching && c.frames <= s.cfg.WindowFrames/2 && c.octets <= s.cfg.WindowBytes/2 {
			l.fetching, l.behind, l.lost, l.asked = true, false, false, l.seen
			s.emit(Fetch{c.id, class, c.device, l.sent, s.cfg.WindowFrames / 2, s.cfg.WindowBytes / 2})
		}
	}
	d, m := &c.lanes[wire.Durable], &c.lanes[wire.Memory]
	if !c.told && !d.fetching && !d.behind && !m.fetching && !m.behind {
		c.told = true
		s.emit(Reply{c.id, &wire.Synced{Re: c.req, Durable: s.cursor(wire.Durable, d.sent), Memory: s.cursor(wire.Memory, m.sent), Run: c.run}})
	}
}

func (s *State) cursor(class wire.Class, seq uint64) wire.Cursor {
	return wire.Cursor{Incarnation: s.lanes[class].Incarnation, Seq: seq}
}

// tail delivers the entry if nothing is missing before it and the connection has room; otherwise the lane is behind.
func (s *State) tail(now time.Time, ev Tail) {
	s.lanes[ev.Class].high = max(s.lanes[ev.Class].high, ev.Entry.Seq)
	c := s.devices[ev.Device]
	if c == nil || !c.synced {
		return
	}
	l := &c.lanes[ev.Class]
	if ev.Entry.Seq <= l.sent {
		return // a fetch was faster
	}
	l.seen = max(l.seen, ev.Entry.Seq)
	if l.fetching || l.behind {
		return // it will be fetched
	}
	if ev.Prev > l.sent || c.frames >= s.cfg.WindowFrames || c.octets >= s.cfg.WindowBytes {
		l.behind = true
		s.advance(c)
	} else {
		s.deliver(now, c, ev.Class, ev.Entry)
	}
}

// fetched delivers a page, and asks for the next while there is one.
func (s *State) fetched(now time.Time, ev Fetched) {
	c := s.conns[ev.Conn]
	if c == nil || !c.lanes[ev.Class].fetching {
		return
	}
	l := &c.lanes[ev.Class]
	l.fetching = false
	for _, e := range ev.Entries {
		s.lanes[ev.Class].high = max(s.lanes[ev.Class].high, e.Seq)
		if e.Seq > l.sent {
			s.deliver(now, c, ev.Class, e)
		}
	}
	if ev.More {
		l.behind = true
	} else {
		l.sent = max(l.sent, l.asked) // what the tail told of before the fetch was in it, or is gone
		l.behind = l.seen > l.sent || l.lost
	}
	s.advance(c)
}

func (s *State) deliver(now time.Time, c *conn, class wire.Class, e Entry) {
	c.lanes[class].sent = e.Seq
	if e.Expires <= now.UnixMilli() {
		return
	}
	c.frames++
	c.octets += len(e.Body)
	s.emit(Deliver{c.id, class, s.lanes[class].Incarnation, e})
}

// tailLost makes every connection look again.
func (s *State) tailLost(class wire.Class) {
	for _, c := range s.inOrder() {
		if c.synced {
			c.lanes[class].behind, c.lanes[class].lost = true, true
			s.advance(c)
		}
	}
}

func (s *State) written(ev Written) {
	if c := s.conns[ev.Conn]; c != nil {
		c.frames -= ev.Frames
		c.octets -= ev.Octets
		if c.synced {
			s.advance(c)
		}
	}
}

// ack deletes what the device has, and refuses what it cannot have.
func (s *State) ack(ev Ack) {
	c := s.conns[ev.Conn]
	if c == nil {
		return
	}
	class, cursor := ev.Frame.Class, ev.Frame.Cursor
	if !c.synced || cursor.Incarnation != s.lanes[class].Incarnation || cursor.Seq > c.lanes[class].sent {
		s.refuse(c.id, 0, wire.CodeStaleCursor, "ack of "+class.String()+" entries that were not delivered")
		return
	}
	if cursor.Seq > 0 {
		s.emit(Purge{class, c.device, cursor.Seq})
	}
}
