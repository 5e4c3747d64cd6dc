package mailbox

import (
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/wire"
)

// submit takes a message, unless it is known, and answers only through stored.
func (s *State) submit(now time.Time, ev Submit) {
	f := ev.Frame
	lane := &s.lanes[f.Class]
	ttl := time.Duration(f.TTL) * time.Second
	if ttl > lane.MaxTTL {
		s.refuse(ev.Conn, f.Req, wire.CodeTTL, "a "+f.Class.String()+" message lives at most "+lane.MaxTTL.String())
		return
	}
	if ttl == 0 {
		ttl = lane.MaxTTL
	}
	w := waiter{ev.Conn, f.Req, f.ID}
	sub := s.take(now, ev.Sender, wire.DeliveryID(ev.Sender, f.ID), f.Class, w)
	if sub == nil {
		return
	}
	s.emit(Store{Token: s.token, Class: f.Class, To: f.To, TTL: ttl, Entry: Entry{
		Kind: wire.KindMessage, ID: sub.key, At: now.UnixMilli(), Expires: now.Add(ttl).UnixMilli(), Body: f.Body,
	}})
}

// commit takes a commit, unless it is known.
func (s *State) commit(now time.Time, ev Commit) {
	f := ev.Frame
	ttl := s.lanes[wire.Durable].MaxTTL
	sub := s.take(now, ev.Sender, wire.DeliveryID(ev.Sender, f.ID), wire.Durable, waiter{ev.Conn, f.Req, f.ID})
	if sub == nil {
		return
	}
	s.emit(Append{Token: s.token, Frame: f, TTL: ttl, Entry: Entry{
		Kind: wire.KindCommit, ID: sub.key, At: now.UnixMilli(), Expires: now.Add(ttl).UnixMilli(), Group: f.Group, Body: f.Body,
	}})
}

// take makes a new submission with a new token. It returns nil if the message is known or there are too many, and has answered then, or
// will with the original.
func (s *State) take(now time.Time, sender messaging.DeviceID, key Key, class wire.Class, w waiter) *submission {
	s.forget(now)
	if sub := s.known[key]; sub != nil {
		if sub.stored {
			s.accepted(sub, w)
		} else if len(sub.waiters) < s.cfg.PendingPerSender {
			sub.waiters = append(sub.waiters, w) // the original is not durable yet, so neither is this
		} else {
			s.refuse(w.conn, w.req, wire.CodeRate, "repeated too often")
		}
		return nil
	}
	if s.load[sender] >= s.cfg.PendingPerSender || len(s.pending) >= s.cfg.PendingMax {
		s.refuse(w.conn, w.req, wire.CodeRate, "too many messages wait to be stored")
		return nil
	}
	s.token++
	sub := &submission{key: key, sender: sender, class: class, waiters: []waiter{w}}
	s.known[key], s.pending[s.token] = sub, sub
	s.load[sender]++
	return sub
}

// stored answers everybody who waits for the message. Only an OK is remembered: after anything else a repetition is a new attempt.
func (s *State) stored(now time.Time, ev Stored) {
	sub := s.pending[ev.Token]
	if sub == nil {
		return
	}
	delete(s.pending, ev.Token)
	if s.load[sub.sender]--; s.load[sub.sender] == 0 {
		delete(s.load, sub.sender)
	}
	waiters := sub.waiters
	sub.waiters = nil
	if ev.Verdict == OK {
		sub.stored, sub.at, sub.head = true, now, ev.Head
		s.age = append(s.age, sub)
	} else {
		delete(s.known, sub.key)
	}
	for _, w := range waiters {
		switch ev.Verdict {
		case OK:
			s.accepted(sub, w)
		case Conflict:
			s.emit(Reply{w.conn, &wire.Conflict{Re: w.req, ID: w.id, Head: ev.Head}})
		case Full:
			s.refuse(w.conn, w.req, wire.CodeFull, "no room in the store or in a recipient's mailbox")
		default:
			s.refuse(w.conn, w.req, wire.CodeUnavailable, "not known to be stored; repeat with the same id")
		}
	}
}

func (s *State) accepted(sub *submission, w waiter) {
	s.emit(Reply{w.conn, &wire.Accepted{Re: w.req, ID: w.id, Class: sub.class, Head: sub.head}})
}

func (s *State) remember(now time.Time, ev Remember) {
	s.forget(now)
	if s.known[ev.Key] == nil {
		sub := &submission{key: ev.Key, class: ev.Class, head: ev.Head, stored: true, at: now}
		s.known[ev.Key] = sub
		s.age = append(s.age, sub)
	}
}

// forget drops the oldest stored ids that are past their time or over the bound. What is pending is never forgotten.
func (s *State) forget(now time.Time) {
	n := 0
	for n < len(s.age) && (len(s.age)-n >= s.cfg.RememberMax || now.Sub(s.age[n].at) > s.cfg.RememberFor) {
		delete(s.known, s.age[n].key)
		s.age[n] = nil
		n++
	}
	s.age = s.age[n:]
}
