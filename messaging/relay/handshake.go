package relay

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
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
// step has one deciding write, prepared by another: first a redo record with all that goes to mailboxes, on hs.redo.<group>.<id>; then the
// new head, which names the commit, by compare-and-set on hs.head.<group>. From then on the commit is decided. The mailboxes follow
// in one batch, the sender gets its answer, the redo record goes. A relay that stops in between does the rest at its next start,
// before it listens: a redo record whose commit the head names is carried out, any other is dropped. The next commit of a chat waits for the
// rest of the one before.

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

// redo is what hs.redo.<group>.<id> holds: the entries of one commit that may not be in the mailboxes yet.
type redo struct {
	ID        mailbox.Key          `cbor:"1,keyasint"`
	Head      uint64               `cbor:"2,keyasint"`
	At        int64                `cbor:"3,keyasint"`
	Expires   int64                `cbor:"4,keyasint"`
	Body      []byte               `cbor:"5,keyasint"`
	To        []messaging.DeviceID `cbor:"6,keyasint,omitempty"`
	Welcome   []byte               `cbor:"7,keyasint,omitempty"`
	WelcomeTo []messaging.DeviceID `cbor:"8,keyasint,omitempty"`
	Group     messaging.ChatID     `cbor:"9,keyasint"`
}

// committer carries out Append effects: in order within a chat, chats beside each other.
type committer struct {
	s       *store
	w       *writer // of the mailboxes on disk
	workers [16]*commitWorker
	done    sync.WaitGroup
}

// commitWorker runs the commits of its share of the chats, one at a time.
type commitWorker struct {
	*committer
	jobs *queue[commitJob]         // bounded by the core's pending messages
	rest map[messaging.ChatID]redo // decided, not yet in the mailboxes
}

type commitJob struct {
	a    mailbox.Append
	then func(v mailbox.Verdict, head uint64)
}

func startCommitter(s *store, w *writer) *committer {
	c := &committer{s: s, w: w}
	for i := range c.workers {
		x := &commitWorker{c, newQueue[commitJob](), map[messaging.ChatID]redo{}}
		c.workers[i] = x
		c.done.Go(x.run)
	}
	return c
}

func (x *commitWorker) run() {
	for {
		j := x.jobs.take(alone)
		if j == nil {
			return
		}
		v, head := x.commit(j[0].a)
		j[0].then(v, head)
	}
}

// put queues a commit. then is called once, on another goroutine.
func (c *committer) put(a mailbox.Append, then func(mailbox.Verdict, uint64)) {
	c.worker(a.Frame.Group).jobs.put(commitJob{a, then})
}

func (c *committer) stop() {
	for _, x := range c.workers {
		x.jobs.close()
	}
	c.done.Wait()
}

func (c *committer) worker(g messaging.ChatID) *commitWorker {
	return c.workers[g[0]%byte(len(c.workers))]
}

func (x *commitWorker) commit(a mailbox.Append) (mailbox.Verdict, uint64) {
	if v := x.finish(a.Frame.Group); v != mailbox.OK {
		return mailbox.Unavailable, 0
	}
	for range 3 { // a compare-and-set can fail only if another relay writes to the same store
		now, seq, err := x.s.head(a.Frame.Group)
		if err != nil {
			x.s.fail(err)
			return mailbox.Unavailable, 0
		}
		if n := now.of(a.Entry.ID); n != 0 {
			return mailbox.OK, n
		}
		if a.Frame.Prev != now.N {
			return mailbox.Conflict, now.N
		}
		next := now.next(a.Entry.ID)
		r := redo{
			ID: a.Entry.ID, Head: next.N, At: a.Entry.At, Expires: a.Entry.Expires, Group: a.Frame.Group,
			Body: a.Frame.Body, To: a.Frame.To, Welcome: a.Frame.Welcome, WelcomeTo: a.Frame.WelcomeTo,
		}
		switch v := x.s.decide(seq, next, r); v {
		case mailbox.Conflict:
			continue
		case mailbox.OK:
			x.rest[r.Group] = r
			if x.finish(r.Group) != mailbox.OK {
				return mailbox.Unavailable, 0 // decided, but not in the mailboxes: the sender repeats, and finish does the rest
			}
			return mailbox.OK, next.N
		default:
			return v, 0
		}
	}
	return mailbox.Unavailable, 0
}

// of returns the number of a commit that the head names, else 0.
func (h head) of(id mailbox.Key) uint64 {
	for _, r := range h.Recent {
		if r.ID == id {
			return r.N
		}
	}
	return 0
}

func (h head) next(id mailbox.Key) head {
	recent := append(slices.Clone(h.Recent), recentHead{id, h.N + 1})
	return head{N: h.N + 1, Recent: recent[max(0, len(recent)-recentHeads):]}
}

// head reads the head of a chat and the sequence to compare with; zeroes if there is none.
func (s *store) head(group messaging.ChatID) (head, uint64, error) {
	raw, err := s.last1(streamHS, "hs.head."+group.String())
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

func (r *redo) subject() string {
	return "hs.redo." + r.Group.String() + "." + hex.EncodeToString(r.ID[:])
}

// decide writes the redo record and then the head, if seq is still the last sequence of the head's subject.
func (s *store) decide(seq uint64, h head, r redo) mailbox.Verdict {
	redoData, err1 := cbor.Marshal(r)
	headData, err2 := cbor.Marshal(h)
	if err := errors.Join(err1, err2); err != nil {
		s.fail(err)
		return mailbox.Unavailable
	}
	m := nats.NewMsg(r.subject())
	m.Data = redoData
	if _, v := s.put1(streamHS, m); v != mailbox.OK {
		return v
	}
	m = nats.NewMsg("hs.head." + r.Group.String())
	m.Data = headData
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(seq, 10))
	last, v := s.put1(streamHS, m)
	if v == mailbox.OK && s.confirmed(streamHS, last) != nil {
		return mailbox.Unavailable
	}
	if v == mailbox.Conflict || v == mailbox.Full {
		if s.drop(&r) != nil {
			return mailbox.Unavailable
		}
	}
	return v
}

func (s *store) put1(n stream, m *nats.Msg) (uint64, mailbox.Verdict) {
	msgs := []*nats.Msg{m}
	seq, err := s.publish(msgs)
	return seq, s.judge(n, msgs, err)
}

// drop deletes a redo record.
func (s *store) drop(r *redo) error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	if err := s.streams[streamHS].Purge(ctx, jetstream.WithPurgeSubject(r.subject())); err != nil {
		err = fmt.Errorf("relay: stream %v: %w", streamHS, err)
		s.fail(err)
		return err
	}
	return nil
}

// confirmed waits until the stream's mark has followed to seq.
func (s *store) confirmed(n stream, seq uint64) error {
	done := make(chan error, 1)
	s.confirm(n, seq, func(err error) { done <- err })
	return <-done
}

// finish puts what was decided and is not in the mailboxes yet there, commit and welcome in one batch, and deletes the redo record.
func (x *commitWorker) finish(group messaging.ChatID) mailbox.Verdict {
	r, ok := x.rest[group]
	if !ok {
		return mailbox.OK
	}
	e := mailbox.Entry{Kind: wire.KindCommit, ID: r.ID, At: r.At, Expires: r.Expires, Group: r.Group, Head: r.Head, Body: r.Body}
	if ttl := time.Until(time.UnixMilli(r.Expires)); ttl > 0 && len(r.To)+len(r.WelcomeTo) > 0 {
		done := make(chan mailbox.Verdict, 1)
		j := &job{at: time.Now(), then: func(v mailbox.Verdict) { done <- v }}
		j.add(x.w, &e, r.To, ttl)
		e.Kind, e.Body = wire.KindWelcome, r.Welcome
		j.add(x.w, &e, r.WelcomeTo, ttl)
		x.w.jobs.put(j)
		if v := <-done; v != mailbox.OK {
			return v
		}
	}
	delete(x.rest, group)
	if x.s.drop(&r) != nil {
		return mailbox.Unavailable
	}
	return mailbox.OK
}

// recover finishes, at start and before anything else is committed, what was on its way. done tells whether a commit is known to be in the
// mailboxes already.
func (c *committer) recover(done func(mailbox.Key) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	info, err := c.s.streams[streamHS].Info(ctx, jetstream.WithSubjectFilter("hs.redo.*.*"))
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
		if err := cbor.Unmarshal(raw.Data, &r); err != nil || r.subject() != subject {
			return errors.New("relay: malformed redo record in the handshake log")
		}
		h, _, err := c.s.head(r.Group)
		if err != nil {
			return err
		}
		if h.of(r.ID) == 0 || done(r.ID) {
			if err := c.s.drop(&r); err != nil {
				return err
			}
			continue
		}
		x := c.worker(r.Group)
		x.rest[r.Group] = r // its goroutine has nothing to do yet
		if v := x.finish(r.Group); v == mailbox.Unavailable {
			return errors.New("relay: commits on their way could not be finished")
		}
	}
	return nil
}
