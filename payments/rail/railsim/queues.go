package railsim

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/rail"
	"github.com/parleypay/parley/payments/rail/amqp"
)

// Queues says where the rail meets its participants at an AMQP 1.0 broker: one queue to the rail for all, one for each of them. The
// broker must check the user-id of messages against the connection they come over (RabbitMQ does): it says who sends.
type Queues struct {
	Broker amqp.Broker
	// FromParticipants is the address that the rail receives from.
	FromParticipants string
	// Participants are those reached by queues; a participant without one is reached over HTTP, or simulated.
	Participants map[payments.AgentID]Queue
}

// Queue is where one participant is.
type Queue struct {
	Address string // that the rail sends to
	User    string // name at the broker; empty means the participant's agent id
}

// notOverQueues are the actions that mean nothing over queues, where the broker answers the sender and the connection is the broker's.
// Of the others, "throttle" and "down" leave the message in the queue, "reset" cuts the rail's connection before the message is settled,
// so that the broker delivers it again, and "html", "ok" and "error" put their text as a message before the answer.
var notOverQueues = map[string]bool{"hang": true, "slow": true, "tls": true}

// Validate reports everything that is wrong for a rail of that configuration, joined.
func (q *Queues) Validate(cfg *Config) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("railsim: queues: "+format, args...)) }
	if len(q.Participants) == 0 {
		wrong("at least one participant is needed")
	}
	users := map[string]bool{}
	for id, p := range q.Participants {
		if !slices.ContainsFunc(cfg.Participants, func(p Participant) bool { return p.ID == id }) {
			wrong("participants.%s: not on this rail", id)
		}
		user := cmp.Or(p.User, string(id))
		if users[user] {
			wrong("participants.%s: its user is another's", id)
		}
		users[user] = true
	}
	for i, r := range cfg.Rules {
		for _, a := range append([]Action{r.Action}, r.Actions...) {
			if notOverQueues[a.Do] {
				wrong("rules[%d].action: do: %s does not exist over queues, where the broker answers the sender", i, a.Do)
			}
		}
	}
	return errors.Join(errs...)
}

// ServeQueues serves participants over queues until ctx ends, and fails only for a wrong configuration and a store that failed: a
// broker that is away is tried again. A message is settled when what it did is done, durably with a store, and done once however often
// the broker delivers it; a message to a participant is forgotten when the broker has accepted it, so after a lost acceptance it comes
// twice.
func (s *Sim) ServeQueues(ctx context.Context, q Queues) error {
	if err := q.Validate(&s.cfg); err != nil {
		return err
	}
	receiver, err := amqp.NewReceiver(amqp.ReceiverConfig{Broker: q.Broker, Address: q.FromParticipants, MessageMaxBytes: s.set.profile.SizeMaxBytes})
	if err != nil {
		return err
	}
	defer receiver.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	defer wait.Wait()
	users := map[string]int{}
	for id, p := range q.Participants {
		sender, err := amqp.NewSender(q.Broker, p.Address)
		if err != nil {
			cancel(nil)
			return err
		}
		of := s.set.byID[id]
		users[cmp.Or(p.User, string(id))] = of
		wait.Go(func() {
			defer sender.Close()
			if err := s.feed(ctx, of, sender, q.Broker.User); err != nil {
				cancel(err)
			}
		})
	}
	for ctx.Err() == nil {
		batch, err := receiver.Receive(ctx, 64, time.Second)
		if err != nil {
			s.metrics.count(event{"unreachable", "broker"})
			continue // the receiver keeps its attempts apart
		}
		for _, in := range batch {
			if err := s.consume(ctx, receiver, in, users); err != nil {
				cancel(err)
				return err
			}
		}
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// queueRetry is how long a message that the rail does not take now waits before it is tried again.
const queueRetry = 100 * time.Millisecond

// consume does what one message says and settles it. Its error is of the store.
func (s *Sim) consume(ctx context.Context, from *amqp.Receiver, in *amqp.Incoming, users map[string]int) error {
	of, known := users[in.User]
	if !known {
		s.metrics.count(event{"unidentified", ""})
		from.Reject(ctx, in, "the sender is no participant")
		return nil
	}
	for {
		r := s.submitOnce(of, in.ID, in.Body)
		s.wait(ctx, r.hold)
		switch {
		case errors.Is(r.err, errNotTaken), errors.Is(r.err, errThrottled):
			select {
			case <-time.After(queueRetry):
				continue
			case <-ctx.Done(): // the broker keeps it
				return nil
			case <-s.closed:
				return nil
			}
		case s.broken() != nil:
			return s.broken()
		case r.how.carriage == carryReset:
			from.Disconnect(ctx)
			return nil
		}
		from.Accept(ctx, in) // if that fails it comes again, and is known
		return nil
	}
}

func (s *Sim) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return nil
	}
	return s.store.broken
}

// submitOnce is submit for a message with an id of the transport: the second time it does nothing. What is refused is answered with an
// admi.002 that names the id.
func (s *Sim) submitOnce(from int, id string, wire []byte) reply {
	select {
	case <-s.closed:
		return reply{err: errNotTaken}
	default:
	}
	m, decodeErr := s.set.profile.Decode(wire, rail.ToService)
	if decodeErr == nil && m.Transfer != nil && s.draining.Load() {
		return reply{err: errNotTaken}
	}
	wire = append([]byte(nil), wire...)
	key := ""
	if id != "" {
		key = string(s.core.members[from].ID) + " " + id
	}
	r := reply{err: errNotTaken}
	broken := s.locked(func(c *core, now time.Time) {
		if c.taken[key] {
			c.note(event{"redelivered", ""})
			r.err = nil
			return
		}
		if r.err = decodeErr; r.err == nil {
			r = c.submit(now, from, m, wire)
		}
		if errors.Is(r.err, errNotTaken) || errors.Is(r.err, errThrottled) {
			return
		}
		c.rememberTaken(key)
		if faults := rail.Faults(r.err); len(faults) > 0 {
			c.refuseMessage(now, from, id, m, faults[0])
		}
	})
	if broken != nil {
		return reply{err: broken}
	}
	s.metrics.refused(rail.Faults(r.err))
	return r
}

// rememberTaken remembers a message of a queue, and forgets the oldest beyond the bound.
func (c *core) rememberTaken(key string) {
	if key == "" {
		return
	}
	c.taken[key] = true
	c.takenInOrder = append(c.takenInOrder, key)
	if c.log != nil {
		c.log.taken = append(c.log.taken, key)
	}
	for len(c.takenInOrder) > c.set.keepMax {
		old := c.takenInOrder[0]
		c.takenInOrder = c.takenInOrder[1:]
		delete(c.taken, old)
		if c.log != nil {
			c.log.untaken = append(c.log.untaken, old)
		}
	}
}

// refuseMessage queues an admi.002 about a message that could not be taken: by its id on the transport, and by its own if it can be read.
func (c *core) refuseMessage(now time.Time, to int, id string, m *rail.Message, fault *rail.RuleError) {
	prof := c.set.profile
	cut := func(s string, n int) string { return s[:min(len(s), n)] }
	r := &iso20022.Rejection{Reference: "NONREF", Reason: cut(fault.Rule, 35), Time: now.UTC().Truncate(prof.TimeResolution), Location: cut(fault.Path, 350), Description: cut(fault.Text, 350)}
	if m != nil && m.MessageID() != "" {
		r.Reference = m.MessageID()
	}
	doc, err := r.Append(nil)
	var wire []byte
	if err == nil {
		h := prof.NewHeader(prof.Service, c.members[to].ID, iso20022.RejectionV1, c.serviceID(now), now)
		wire, err = prof.Wrap(&h, doc)
	}
	if err != nil {
		c.note(event{"unsendable", iso20022.RejectionV1})
		return
	}
	before := c.members[to].lastSeq
	c.enqueue(to, wire, Document{At: now, Dir: rail.FromService, Participant: c.members[to].ID, MsgDef: iso20022.RejectionV1}, mischief{}, nil)
	if q := c.members[to].queue; c.members[to].lastSeq != before {
		q[len(q)-1].Answers = id
		if c.log != nil {
			c.log.queued[len(c.log.queued)-1].d.Answers = id
		}
	}
}

// feed sends what waits for a participant to its queue, one by one, until ctx ends. Its error is of the store.
func (s *Sim) feed(ctx context.Context, of int, to *amqp.Sender, user string) error {
	agent, after, wait := string(s.core.members[of].ID), uint64(0), queueRetry
	for {
		b, err := s.receive(ctx, of, after, 64, 20*time.Second)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-s.closed:
			return nil
		default:
		}
		for _, d := range b.deliveries {
			m := amqp.Message{ID: fmt.Sprintf("%s/%d", agent, d.Seq), Correlation: d.Answers, User: user, Created: s.clock.Now(), Body: d.Wire}
			junk := map[content]string{contentHTML: pageHTML, contentOK: textReject, contentError: textError}[b.how.content]
			if junk != "" { // and the message itself comes next
				m.ID, m.Body = m.ID+"/junk", []byte(junk)
			}
			if b.how.oversize {
				m.Body = append(bytes.Clone(m.Body), bytes.Repeat([]byte(" "), oversizeBytes)...)
			}
			for {
				sending, cancel := context.WithTimeout(ctx, 10*time.Second)
				err := to.Send(sending, m)
				cancel()
				var failed *rail.SendError
				if errors.As(err, &failed) && failed.Outcome == payments.OutcomeRefused {
					s.metrics.count(event{"unsendable", "broker"}) // the broker will never take it
					err = nil
				}
				if err == nil {
					if wait = queueRetry; junk == "" {
						after = d.Seq
					}
					break
				}
				select {
				case <-ctx.Done():
					return nil
				case <-time.After(wait):
					wait = min(2*wait, 2*time.Second)
				}
			}
		}
	}
}
