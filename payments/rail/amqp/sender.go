package amqp

import (
	"context"
	"errors"
	"fmt"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail"
)

// Sender hands messages to one address of a broker, over a connection of its own that it opens when needed. Its methods may be called
// by many goroutines.
type Sender struct {
	broker  Broker
	address string

	lock   chan struct{} // holds one token when free; guards what follows; taken while connecting
	dialer dialer
	conn   *goamqp.Conn
	link   *goamqp.Sender
	budget *budget
	closed bool
}

// answersMaxBytes bounds what a broker may send between two messages of ours: dispositions, credit, empty frames.
const answersMaxBytes = 1 << 20

// NewSender returns the Sender to an address, in the broker's own words for one: RabbitMQ calls a queue "/amq/queue/name" and an
// exchange "/exchange/name/key", ActiveMQ a queue "queue://name". It opens no connection yet.
func NewSender(b Broker, address string) (*Sender, error) {
	b, err := b.check()
	if err != nil {
		return nil, err
	}
	if address == "" || len(address) > propertyMaxBytes {
		return nil, errors.New("amqp: an address to send to is required, of at most 255 bytes")
	}
	s := &Sender{broker: b, address: address, lock: make(chan struct{}, 1), dialer: dialer{max: b.BackoffMax}}
	s.lock <- struct{}{}
	return s, nil
}

// Send hands m to the broker and returns when the broker has said what became of it. nil means that it was accepted: it is in the
// queue, durably. Any failure is a *rail.SendError. A disposition that does not come, for whatever reason, leaves the outcome unknown.
func (s *Sender) Send(ctx context.Context, m Message) error {
	link, err := s.connect(ctx)
	if err != nil {
		return &rail.SendError{Outcome: payments.OutcomeNotSent, Err: err}
	}
	receipt, err := link.SendWithReceipt(ctx, m.encode(), nil)
	if err != nil {
		outcome := writeOutcome(err)
		if outcome == payments.OutcomeUnknown {
			s.drop(link)
		}
		return &rail.SendError{Outcome: outcome, Err: plain(err)}
	}
	state, err := receipt.Wait(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.drop(link)
		}
		return &rail.SendError{Outcome: payments.OutcomeUnknown, Err: fmt.Errorf("no disposition: %w", plain(err))}
	}
	return stateError(state)
}

// writeOutcome says what is known of a message whose transfer failed. The library names two failures that come before the last frame
// was handed over; a message without its last frame does not exist.
func writeOutcome(err error) payments.Outcome {
	var link *goamqp.LinkError
	var session *goamqp.SessionError
	var conn *goamqp.ConnError
	if errors.As(err, &link) || errors.As(err, &session) || errors.As(err, &conn) {
		return payments.OutcomeUnknown // an error of the peer's has the same conditions, but ends link, session or connection
	}
	var local *goamqp.Error
	if errors.As(err, &local) {
		switch local.Condition {
		case goamqp.ErrCondTransferLimitExceeded: // the broker gave no credit before ctx ended
			return payments.OutcomeNotSent
		case goamqp.ErrCondMessageSizeExceeded: // the broker's own limit, told at attach
			return payments.OutcomeRefused
		}
	}
	return payments.OutcomeUnknown
}

// stateError maps the outcome of a delivery (AMQP 1.0, part 3, section 3.4).
func stateError(state goamqp.DeliveryState) error {
	fail := func(outcome payments.Outcome, text string) error {
		return &rail.SendError{Outcome: outcome, Err: errors.New("amqp: " + text)}
	}
	switch state := state.(type) {
	case *goamqp.StateAccepted:
		return nil
	case *goamqp.StateReleased: // was not and will not be acted upon
		return fail(payments.OutcomeNotSent, "released")
	case *goamqp.StateModified:
		if !state.DeliveryFailed { // as released; without that mark the broker has not tried
			return fail(payments.OutcomeNotSent, "modified")
		}
		return fail(payments.OutcomeUnknown, "modified: delivery failed")
	case *goamqp.StateRejected:
		if state.Error == nil {
			// RabbitMQ says so when a queue failed it in mid-work, which may have stored the message all the same.
			return fail(payments.OutcomeUnknown, "rejected without a reason")
		}
		text := "rejected: " + plain(state.Error).Error()
		switch state.Error.Condition {
		case goamqp.ErrCondResourceLimitExceeded, goamqp.ErrCondResourceLocked, goamqp.ErrCondNotFound, goamqp.ErrCondResourceDeleted:
			return fail(payments.OutcomeNotSent, text) // the queue is full or gone: the same bytes again, until the payment's time is over
		case goamqp.ErrCondMessageSizeExceeded, goamqp.ErrCondDecodeError, goamqp.ErrCondInvalidField, goamqp.ErrCondNotAllowed,
			goamqp.ErrCondNotImplemented, goamqp.ErrCondPreconditionFailed, goamqp.ErrCondUnauthorizedAccess:
			return fail(payments.OutcomeRefused, text) // these bytes from this sender never enter this queue
		}
		return fail(payments.OutcomeUnknown, text)
	}
	return fail(payments.OutcomeUnknown, "settled without an outcome")
}

// connect returns the link, a new one if there is none that lives.
func (s *Sender) connect(ctx context.Context) (*goamqp.Sender, error) {
	select {
	case <-s.lock:
		defer s.unlock()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.closed {
		return nil, errClosed
	}
	if s.link != nil {
		select {
		case <-s.conn.Done():
			s.link = nil
		default:
			s.budget.left.Store(answersMaxBytes)
			return s.link, nil
		}
	}
	if s.dialer.wait(time.Now()) > 0 {
		return nil, s.dialer.err
	}
	// The attempt is everybody's, so it does not end with one caller's context.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.broker.DialTimeout)
	defer cancel()
	s.budget = new(budget)
	s.budget.left.Store(answersMaxBytes)
	conn, session, err := s.broker.dial(ctx, s.budget)
	var link *goamqp.Sender
	if err == nil {
		unsettled := goamqp.SenderSettleModeUnsettled
		link, err = session.NewSender(ctx, s.address, &goamqp.SenderOptions{SettlementMode: &unsettled, TargetDurability: goamqp.DurabilityUnsettledState})
		if err != nil {
			conn.Close()
		}
	}
	if err != nil {
		s.dialer.failed(time.Now(), fmt.Errorf("cannot reach the broker: %w", plain(err)))
		return nil, s.dialer.err
	}
	s.dialer.succeeded()
	s.conn, s.link = conn, link
	return link, nil
}

func (s *Sender) unlock() { s.lock <- struct{}{} }

// drop closes the connection of a link that failed, unless a newer one is there.
func (s *Sender) drop(link *goamqp.Sender) {
	<-s.lock
	defer s.unlock()
	if s.link == link {
		s.link = nil
		s.conn.Close()
	}
}

// Disconnect closes the connection; the next Send opens another. What is under way fails with its outcome unknown.
func (s *Sender) Disconnect() {
	<-s.lock
	defer s.unlock()
	if s.link != nil {
		s.link = nil
		s.conn.Close()
	}
}

// Close closes the connection. What is under way fails with its outcome unknown, and so does every Send afterwards as not sent.
func (s *Sender) Close() error {
	<-s.lock
	defer s.unlock()
	s.closed = true
	if s.link != nil {
		s.link = nil
		s.conn.Close() // its error is that the connection had broken before
	}
	return nil
}
