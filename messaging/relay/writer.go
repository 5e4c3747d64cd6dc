package relay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/relay/mailbox"
	"github.com/parleypay/parley/messaging/wire"
)

// batchMax bounds the messages in one group commit; the server's own bound for an atomic batch is 1,000.
const batchMax = 256

// JetStream's error codes, matched by number: the texts change.
const (
	codeWrongLastSequence         jetstream.ErrorCode = 10071 // with the sequence in its text, in R1 and in batches
	codeWrongLastSequenceConstant jetstream.ErrorCode = 10164 // without, for concurrent writers in R3
	codeStoreFailed               jetstream.ErrorCode = 10077 // full, or an I/O error
	codeInsufficientResources     jetstream.ErrorCode = 10023
	codeStorageExceeded           jetstream.ErrorCode = 10047
	codeMemoryExceeded            jetstream.ErrorCode = 10028
)

// writer stores mailbox entries of one stream in groups: one by one when few wait, else as many as wait in one atomic batch, so that
// they share their fsyncs. A batch has files and a few fsyncs of its own, and costs much the same whatever its size, so what is "few" is
// measured all the time. Entries of one job are stored together or not at all.
type writer struct {
	s       *store
	stream  stream
	class   wire.Class
	quota   *quota
	metrics *metrics

	jobs *queue[*job] // bounded by the core's pending messages
	done chan struct{}

	onePlain, oneBatch time.Duration // what a plain message and a batch have cost lately
}

type job struct {
	msgs []*nats.Msg
	to   []messaging.DeviceID // whose quota is used; one per message
	then func(mailbox.Verdict)
	at   time.Time
}

func startWriter(s *store, class wire.Class, q *quota, m *metrics) *writer {
	w := &writer{s: s, stream: classStream(class), class: class, quota: q, metrics: m, jobs: newQueue[*job](), done: make(chan struct{}),
		onePlain: 400 * time.Microsecond, oneBatch: 4 * time.Millisecond}
	go w.run()
	return w
}

// put queues one entry for several mailboxes; it never blocks. then is called once, on another goroutine, with OK only when the entry is
// in all mailboxes as durably as the class promises.
func (w *writer) put(e *mailbox.Entry, to []messaging.DeviceID, ttl time.Duration, then func(mailbox.Verdict)) {
	j := &job{then: then, at: time.Now()}
	j.add(w, e, to, ttl)
	w.jobs.put(j)
}

func (j *job) add(w *writer, e *mailbox.Entry, to []messaging.DeviceID, ttl time.Duration) {
	data := encodeEntry(e)
	for _, d := range to {
		m := nats.NewMsg(mailboxSubject(w.class, d))
		m.Data = data
		if seconds := int64((ttl + time.Second - 1) / time.Second); ttl < w.maxAge() {
			m.Header.Set(jetstream.MsgTTLHeader, strconv.FormatInt(seconds, 10))
		}
		j.msgs = append(j.msgs, m)
	}
	j.to = append(j.to, to...)
}

func (w *writer) maxAge() time.Duration {
	if w.class == wire.Memory {
		return w.s.cfg.MemoryTTLMax
	}
	return w.s.cfg.TTLMax
}

// stop ends the writer after everything queued was tried. No put may follow.
func (w *writer) stop() {
	w.jobs.close()
	<-w.done
}

func (w *writer) run() {
	defer close(w.done)
	for {
		msgs := 0
		group := w.jobs.take(func(n int, j *job) bool {
			msgs += len(j.msgs)
			return msgs < batchMax // the first job's come on top; a batch may hold more than batchMax, never more than the server's 1,000
		})
		if group == nil {
			return
		}
		w.store(group)
	}
}

// store writes the jobs whose mailboxes have room.
func (w *writer) store(group []*job) {
	fit := group[:0]
	for _, j := range group {
		if ok, err := w.quota.take(j.to); err != nil {
			j.then(mailbox.Unavailable)
		} else if !ok {
			j.then(mailbox.Full)
		} else {
			fit = append(fit, j)
		}
	}
	msgs, single := 0, true
	for _, j := range fit {
		msgs += len(j.msgs)
		single = single && len(j.msgs) == 1
	}
	switch {
	case msgs == 0:
	case single && (msgs == 1 || time.Duration(msgs)*w.onePlain <= w.oneBatch):
		w.oneByOne(fit)
	default:
		w.together(fit, msgs)
	}
}

// together stores the jobs in one batch. If it is refused for want of room it tries each alone, so that one job's fault is not another's.
func (w *writer) together(jobs []*job, n int) {
	msgs := make([]*nats.Msg, 0, n)
	for _, j := range jobs {
		msgs = append(msgs, j.msgs...)
	}
	begin := time.Now()
	seq, err := w.s.publish(msgs)
	took := time.Since(begin)
	w.oneBatch = smooth(w.oneBatch, took)
	w.metrics.batch(w.class, n, took)
	verdict := w.s.judge(w.stream, msgs, err)
	if verdict == mailbox.Full && len(jobs) > 1 {
		for _, j := range jobs {
			w.together([]*job{j}, len(j.msgs))
		}
		return
	}
	w.end(jobs, seq, verdict)
}

// oneByOne stores jobs of one message each, one after the other, without waiting in between.
func (w *writer) oneByOne(jobs []*job) {
	begin := time.Now()
	acks := make([]jetstream.PubAckFuture, len(jobs))
	errs := make([]error, len(jobs))
	for i, j := range jobs {
		acks[i], errs[i] = w.s.pubJS.PublishMsgAsync(j.msgs[0], jetstream.WithRetryAttempts(0), jetstream.WithStallWait(requestTimeout))
	}
	timeout := time.NewTimer(requestTimeout)
	defer timeout.Stop()
	for i, j := range jobs {
		var seq uint64
		if errs[i] == nil {
			select {
			case ack := <-acks[i].Ok():
				seq = ack.Sequence
			case errs[i] = <-acks[i].Err():
			case <-timeout.C:
				errs[i] = context.DeadlineExceeded
				timeout.Reset(0)
			}
		}
		w.end(jobs[i:i+1], seq, w.s.judge(w.stream, j.msgs, errs[i]))
	}
	took := time.Since(begin)
	w.onePlain = smooth(w.onePlain, took/time.Duration(len(jobs)))
	w.metrics.batch(w.class, len(jobs), took)
}

// smooth moves an average towards what was measured.
func smooth(average, measured time.Duration) time.Duration { return average + (measured-average)/8 }

// end reports what came of the jobs, which share one write; OK only when the mark has followed.
func (w *writer) end(jobs []*job, seq uint64, v mailbox.Verdict) {
	if v != mailbox.OK {
		for _, j := range jobs {
			w.quota.give(j.to)
			j.then(v)
		}
		return
	}
	w.s.confirm(w.stream, seq, func(err error) {
		if err != nil {
			v = mailbox.Unavailable
		}
		for _, j := range jobs {
			w.metrics.accept(w.class, time.Since(j.at))
			j.then(v)
		}
	})
}

// publish stores the messages in one step and returns the last sequence.
func (s *store) publish(msgs []*nats.Msg) (uint64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	if len(msgs) == 1 {
		for _, h := range []string{jetstreamext.BatchIDHeader, jetstreamext.BatchSeqHeader, jetstreamext.BatchCommitHeader} {
			msgs[0].Header.Del(h) // from a batch that was refused
		}
		ack, err := s.pubJS.PublishMsg(ctx, msgs[0], jetstream.WithRetryAttempts(0))
		if err != nil {
			return 0, err
		}
		return ack.Sequence, nil
	}
	ack, err := jetstreamext.PublishMsgBatch(ctx, s.pubJS, msgs, jetstreamext.BatchFlowControl{AckFirst: false})
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// confirm calls then when the stream's mark has followed to seq; at once for the stream in memory, which has none.
func (s *store) confirm(n stream, seq uint64, then func(error)) {
	if n == streamEPH || s.cfg.UnsafeNoSync {
		then(nil)
		return
	}
	s.marker.reach(n, seq, then)
}

// judge says what an error of publish means. An error that is neither a conflict nor a full store ends the relay: with the server's rule
// that an I/O error stops the stream, only a new start can tell what is on disk.
func (s *store) judge(n stream, msgs []*nats.Msg, err error) mailbox.Verdict {
	if err == nil {
		return mailbox.OK
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case codeWrongLastSequence, codeWrongLastSequenceConstant:
			return mailbox.Conflict
		case codeInsufficientResources, codeStorageExceeded, codeMemoryExceeded:
			return mailbox.Full
		case codeStoreFailed:
			if s.full(n, msgs) {
				return mailbox.Full
			}
		}
	}
	s.fail(fmt.Errorf("relay: stream %v takes no writes: %w", n, err))
	return mailbox.Unavailable
}

// full reports whether the messages do not fit into what the stream has left. The server says so only in a text.
func (s *store) full(n stream, msgs []*nats.Msg) bool {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	info, err := s.streams[n].Info(ctx)
	if err != nil {
		return false
	}
	need := uint64(0)
	for _, m := range msgs {
		need += uint64(len(m.Subject)+len(m.Data)) + 512 // headers and the record around them
	}
	return info.State.Bytes+need > uint64(s.maxBytes[n])
}

// quota bounds the entries of each mailbox. It counts up in memory and reads the true number only when the bound seems reached, or
// when a mailbox is seen for the first time. It belongs to one writer's goroutine.
type quota struct {
	s      *store
	class  wire.Class
	max    int
	counts map[messaging.DeviceID]int
}

const quotaKnown = 100_000 // mailboxes whose count is kept

func newQuota(s *store, class wire.Class, max int) *quota {
	return &quota{s, class, max, map[messaging.DeviceID]int{}}
}

// take counts one entry more for each device, or nothing if one of them has no room.
func (q *quota) take(to []messaging.DeviceID) (bool, error) {
	for i, d := range to {
		n, known := q.counts[d]
		if !known || n >= q.max {
			var err error
			if n, err = q.count(d); err != nil {
				q.give(to[:i])
				return false, err
			}
			if len(q.counts) >= quotaKnown {
				clear(q.counts)
			}
		}
		if q.counts[d] = n + 1; n >= q.max {
			q.counts[d] = n
			q.give(to[:i])
			return false, nil
		}
	}
	return true, nil
}

func (q *quota) give(to []messaging.DeviceID) {
	for _, d := range to {
		if q.counts[d] > 0 {
			q.counts[d]--
		}
	}
}

func (q *quota) count(d messaging.DeviceID) (int, error) {
	subject := mailboxSubject(q.class, d)
	n, err := q.s.countSubject(classStream(q.class), subject)
	return n, err
}

// countSubject returns how many messages the stream holds of a subject.
func (s *store) countSubject(n stream, subject string) (int, error) {
	counts, err := s.countSubjects(n, subject)
	return int(counts[subject]), err
}

// countSubjects returns how many messages the stream holds of each subject that the filter takes.
func (s *store) countSubjects(n stream, filter string) (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	info, err := s.streams[n].Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, fmt.Errorf("relay: stream %v: %w", n, err)
	}
	return info.State.Subjects, nil
}
