package relay

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/relay/mailbox"
	"github.com/parleypay/parley/messaging/wire"
)

// The handshake log decides which commit comes next in a chat, and moves it and its welcome into the mailboxes.
//
// An atomic batch reaches one stream only, and heads must not lie in the mailbox stream (an old head would pin its first sequence). So the
// step is one batch of two messages on stream HS: the new head, by compare-and-set on hs.head.<group>, and a redo record with all that goes
// to mailboxes, on hs.redo.<group>. From then on the commit is decided. The mailboxes follow in one batch, the redo record goes, the
// sender gets its answer. A relay that stops in between does the rest at its next start, before it listens; the next commit of the chat
// waits for the rest of the one before.

// head is what hs.head.<group> holds.
type head struct {
	N      uint64       `cbor:"1,keyasint"`           // the head's number, counted from 1
	Recent []recentHead `cbor:"2,keyasint,omitempty"` // the last commits, so that a repetition is answered and not taken as a conflict
}

type recentHead struct {
	ID mailbox.Key `cbor:"1,keyasint"`
	N  uint64      `cbor:"2,keyasint"`
}

const recentHeads = 16

// redo is what hs.redo.<group> holds: the entries of one commit that may not be in the mailboxes yet.
type redo struct {
	ID        mailbox.Key          `cbor:"1,keyasint"`
	Head      uint64               `cbor:"2,keyasint"`
	At        int64                `cbor:"3,keyasint"`
	Expires   int64                `cbor:"4,keyasint"`
	Body      []byte               `cbor:"5,keyasint"`
	To        []messaging.DeviceID `cbor:"6,keyasint,omitempty"`
	Welcome   []byte               `cbor:"7,keyasint,omitempty"`
	WelcomeTo []messaging.DeviceID `cbor:"8,keyasint,omitempty"`
}

// committer carries out Append effects: in order within a chat, chats beside each other.
type committer struct {
	s       *store
	w       *writer               // of the mailboxes on disk
	workers [16]*queue[commitJob] // bounded by the core's pending messages
	done    sync.WaitGroup
}

type commitJob struct {
	a    mailbox.Append
	then func(v mailbox.Verdict, head uint64)
}

func startCommitter(s *store, w *writer) *committer {
	c := &committer{s: s, w: w}
	for i := range c.workers {
		q := newQueue[commitJob]()
		c.workers[i] = q
		c.done.Go(func() {
			for {
				j := q.take(alone)
				if j == nil {
					return
				}
				v, head := c.commit(j[0].a)
				j[0].then(v, head)
			}
		})
	}
	return c
}

// put queues a commit. then is called once, on another goroutine.
func (c *committer) put(a mailbox.Append, then func(mailbox.Verdict, uint64)) {
	c.workers[a.Frame.Group[0]%byte(len(c.workers))].put(commitJob{a, then})
}

func (c *committer) stop() {
	for _, q := range c.workers {
		q.close()
	}
	c.done.Wait()
}

func (c *committer) commit(a mailbox.Append) (mailbox.Verdict, uint64) {
	group := hex.EncodeToString(a.Frame.Group[:])
	for range 3 { // a compare-and-set can fail only if another relay writes to the same store
		now, seq, err := c.s.head(group)
		if err != nil {
			c.s.fail(err)
			return mailbox.Unavailable, 0
		}
		for _, r := range now.Recent {
			if r.ID == a.Entry.ID {
				if v := c.finish(group); v != mailbox.OK {
					return mailbox.Unavailable, 0
				}
				return mailbox.OK, r.N
			}
		}
		if a.Frame.Prev != now.N {
			return mailbox.Conflict, now.N
		}
		if v := c.finish(group); v != mailbox.OK { // never overwrite the redo record of the commit before
			return v, 0
		}
		next := head{N: now.N + 1, Recent: append(now.Recent, recentHead{a.Entry.ID, now.N + 1})}
		if len(next.Recent) > recentHeads {
			next.Recent = next.Recent[len(next.Recent)-recentHeads:]
		}
		r := redo{
			ID: a.Entry.ID, Head: next.N, At: a.Entry.At, Expires: a.Entry.Expires,
			Body: a.Frame.Body, To: a.Frame.To, Welcome: a.Frame.Welcome, WelcomeTo: a.Frame.WelcomeTo,
		}
		switch v := c.s.appendHead(group, seq, next, r); v {
		case mailbox.Conflict:
			continue
		case mailbox.OK:
			if c.fanOut(a.Frame.Group, group, r) != mailbox.OK {
				return mailbox.Unavailable, 0 // decided, but not in the mailboxes: the sender repeats, and finish does the rest
			}
			return mailbox.OK, next.N
		default:
			return v, 0
		}
	}
	return mailbox.Unavailable, 0
}

// head reads the head of a chat and the sequence to compare with; zeroes if there is none.
func (s *store) head(group string) (head, uint64, error) {
	raw, err := s.last1(streamHS, "hs.head."+group)
	if err != nil || raw == nil {
		return head{}, 0, err
	}
	var h head
	if err := cbor.Unmarshal(raw.Data, &h); err != nil || h.N == 0 {
		return head{}, 0, errors.New("relay: malformed head in the handshake log")
	}
	return h, raw.Sequence, nil
}

// last1 returns the last message of a subject, nil if there is none.
func (s *store) last1(n stream, subject string) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	raw, err := s.streams[n].GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("relay: stream %v: %w", n, err)
	}
	return raw, nil
}

// appendHead is the deciding step: head and redo record in one batch, if seq is still the last sequence of the head's subject.
func (s *store) appendHead(group string, seq uint64, h head, r redo) mailbox.Verdict {
	headData, err1 := cbor.Marshal(h)
	redoData, err2 := cbor.Marshal(r)
	if err := errors.Join(err1, err2); err != nil {
		s.fail(err)
		return mailbox.Unavailable
	}
	hm := nats.NewMsg("hs.head." + group)
	hm.Data = headData
	hm.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(seq, 10))
	rm := nats.NewMsg("hs.redo." + group)
	rm.Data = redoData
	msgs := []*nats.Msg{hm, rm}
	last, err := s.publish(msgs)
	v := s.judge(streamHS, msgs, err)
	if v == mailbox.OK && s.confirmed(streamHS, last) != nil {
		return mailbox.Unavailable
	}
	return v
}

// confirmed waits until the stream's mark has followed to seq.
func (s *store) confirmed(n stream, seq uint64) error {
	done := make(chan error, 1)
	s.confirm(n, seq, func(err error) { done <- err })
	return <-done
}

// finish moves what the redo record of the chat still holds, if there is one, into the mailboxes.
func (c *committer) finish(group string) mailbox.Verdict {
	raw, err := c.s.last1(streamHS, "hs.redo."+group)
	if err != nil {
		c.s.fail(err)
		return mailbox.Unavailable
	}
	if raw == nil {
		return mailbox.OK
	}
	var r redo
	id, err := messaging.ParseChatID(group)
	if err == nil {
		err = cbor.Unmarshal(raw.Data, &r)
	}
	if err != nil {
		c.s.fail(errors.New("relay: malformed redo record in the handshake log"))
		return mailbox.Unavailable
	}
	return c.fanOut(id, group, r)
}

// fanOut puts commit and welcome into the mailboxes in one batch, and deletes the redo record.
func (c *committer) fanOut(id messaging.ChatID, group string, r redo) mailbox.Verdict {
	e := mailbox.Entry{Kind: wire.KindCommit, ID: r.ID, At: r.At, Expires: r.Expires, Group: id, Head: r.Head, Body: r.Body}
	if ttl := time.UnixMilli(r.Expires).Sub(time.Now()); ttl > 0 && len(r.To)+len(r.WelcomeTo) > 0 {
		done := make(chan mailbox.Verdict, 1)
		j := &job{at: time.Now(), then: func(v mailbox.Verdict) { done <- v }}
		j.add(c.w, &e, r.To, ttl)
		e.Kind, e.Body = wire.KindWelcome, r.Welcome
		j.add(c.w, &e, r.WelcomeTo, ttl)
		c.w.jobs.put(j)
		if v := <-done; v != mailbox.OK {
			return v
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	if err := c.s.streams[streamHS].Purge(ctx, jetstream.WithPurgeSubject("hs.redo."+group)); err != nil {
		c.s.fail(fmt.Errorf("relay: stream %v: %w", streamHS, err))
		return mailbox.Unavailable
	}
	return mailbox.OK
}

// recover finishes, at start, what commits were on their way. done tells whether a commit is known to be in the mailboxes already.
func (c *committer) recover(done func(mailbox.Key) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	info, err := c.s.streams[streamHS].Info(ctx, jetstream.WithSubjectFilter("hs.redo.*"))
	if err != nil {
		return fmt.Errorf("relay: stream %v: %w", streamHS, err)
	}
	for subject := range info.State.Subjects {
		raw, err := c.s.last1(streamHS, subject)
		if err != nil {
			return err
		}
		if raw == nil {
			continue
		}
		var r redo
		if err := cbor.Unmarshal(raw.Data, &r); err != nil {
			return errors.New("relay: malformed redo record in the handshake log")
		}
		if done(r.ID) {
			if err := c.s.streams[streamHS].Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
				return fmt.Errorf("relay: stream %v: %w", streamHS, err)
			}
		} else if c.finish(subject[len("hs.redo."):]) == mailbox.Unavailable {
			return errors.New("relay: commits on their way could not be finished")
		}
	}
	return nil
}
