package amqp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	goamqp "github.com/Azure/go-amqp"
)

// ReceiverConfig configures a Receiver. Broker and Address are required.
type ReceiverConfig struct {
	Broker  Broker
	Address string // as of NewSender
	// Credit is how many messages the broker may send before they are settled. Zero means 128. Credit times MessageMaxBytes bounds the memory.
	Credit int
	// MessageMaxBytes bounds the body of a message; a longer one is delivered cut. Zero means 64 KiB.
	MessageMaxBytes int
	// OversizeMaxBytes is how much of a single message is read to get it out of the way. Zero means 16 MiB. One above that stays at the
	// head of its queue, and Receive says so, until the broker takes it away (a delivery limit and a dead-letter queue do that).
	OversizeMaxBytes int
}

// Receiver takes messages from one address of a broker, over a connection of its own that it opens when needed. Its methods may be
// called by many goroutines; only one Receive runs at a time.
type Receiver struct {
	cfg ReceiverConfig

	lock   chan struct{} // holds one token when free; guards what follows; taken while a Receive runs
	dialer dialer
	conn   *goamqp.Conn
	link   *goamqp.Receiver
	budget *budget
	out    int  // messages of this link that are not settled
	single bool // one message at a time, since one was too large for what many may have together
	closed bool
}

// Incoming is a received message that waits to be settled.
type Incoming struct {
	Message
	Cut bool // the body was longer than MessageMaxBytes and is cut one byte above it

	message *goamqp.Message
	link    *goamqp.Receiver
}

// overheadBytes is what properties and frames may add to a body.
const overheadBytes = 8 << 10

var errClosed = errors.New("amqp: closed")

// NewReceiver returns a Receiver. It opens no connection yet.
func NewReceiver(cfg ReceiverConfig) (*Receiver, error) {
	var err error
	if cfg.Broker, err = cfg.Broker.check(); err != nil {
		return nil, err
	}
	if cfg.Address == "" || len(cfg.Address) > propertyMaxBytes {
		return nil, errors.New("amqp: an address to receive from is required, of at most 255 bytes")
	}
	if cfg.Credit < 0 || cfg.Credit > 10_000 || cfg.MessageMaxBytes < 0 || cfg.OversizeMaxBytes < 0 {
		return nil, errors.New("amqp: credit must be 1 to 10,000, and sizes not below zero")
	}
	cfg.Credit = or(cfg.Credit, 128)
	cfg.MessageMaxBytes = or(cfg.MessageMaxBytes, 64<<10)
	cfg.OversizeMaxBytes = max(or(cfg.OversizeMaxBytes, 16<<20), cfg.MessageMaxBytes)
	r := &Receiver{cfg: cfg, lock: make(chan struct{}, 1), dialer: dialer{max: cfg.Broker.BackoffMax}}
	r.lock <- struct{}{}
	return r, nil
}

// Receive waits up to wait for messages and returns those that are there, at most max, in the broker's order; none, without an error,
// when nothing came. The broker keeps each until it is settled. After an error the next call connects again, after a wait that grows.
func (r *Receiver) Receive(ctx context.Context, max int, wait time.Duration) ([]*Incoming, error) {
	select {
	case <-r.lock:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer r.unlock()
	end := time.Now().Add(wait)
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	var got []*Incoming
	message, err := r.link.Receive(waiting, nil)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case waiting.Err() != nil:
		r.idle()
		return nil, nil
	default:
		return nil, r.failed(err)
	}
	for message != nil {
		body := 0
		for _, section := range message.Data {
			body += len(section)
		}
		r.out++
		got = append(got, &Incoming{Message: decode(message, r.cfg.MessageMaxBytes), Cut: body > r.cfg.MessageMaxBytes, message: message, link: r.link})
		if len(got) == max {
			break
		}
		message = r.link.Prefetched()
	}
	r.dialer.succeeded()
	return got, nil
}

func (r *Receiver) unlock() { r.lock <- struct{}{} }

// Accept settles a message: the broker forgets it. An error means that the link it came over is gone; the broker delivers it again.
func (r *Receiver) Accept(ctx context.Context, in *Incoming) error {
	return r.settle(ctx, in, func(l *goamqp.Receiver, m *goamqp.Message) error { return l.AcceptMessage(ctx, m) })
}

// Reject settles a message as one that nobody can use: the broker moves it to a dead-letter queue, if it has one. An error is as of Accept.
func (r *Receiver) Reject(ctx context.Context, in *Incoming, why string) error {
	return r.settle(ctx, in, func(l *goamqp.Receiver, m *goamqp.Message) error {
		return l.RejectMessage(ctx, m, &goamqp.Error{Condition: goamqp.ErrCondNotAllowed, Description: why})
	})
}

func (r *Receiver) settle(ctx context.Context, in *Incoming, with func(*goamqp.Receiver, *goamqp.Message) error) error {
	select {
	case <-r.lock:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer r.unlock()
	if in.link != r.link || r.link == nil {
		return errors.New("amqp: the message's link is gone")
	}
	if err := with(in.link, in.message); err != nil {
		return r.failed(err)
	}
	r.out--
	r.refill()
	if in.Cut && r.single {
		r.single = false
		r.drop()
	}
	return nil
}

// connect opens the link if there is none that lives. After a failure it waits its turn.
func (r *Receiver) connect(ctx context.Context) error {
	if r.closed {
		return errClosed
	}
	if r.link != nil {
		return nil // a dead one shows itself to Receive, after what it has prefetched
	}
	if wait := r.dialer.wait(time.Now()); wait > 0 {
		turn := time.NewTimer(wait)
		defer turn.Stop()
		select {
		case <-turn.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Broker.DialTimeout)
	defer cancel()
	r.budget = new(budget)
	r.out = 0
	r.refill()
	conn, session, err := r.cfg.Broker.dial(ctx, r.budget)
	var link *goamqp.Receiver
	if err == nil {
		// Whatever a link says of itself, nothing may come settled: it would be lost with this process.
		unsettled, first := goamqp.SenderSettleModeUnsettled, goamqp.ReceiverSettleModeFirst
		credit, size := r.limits()
		link, err = session.NewReceiver(ctx, r.cfg.Address, &goamqp.ReceiverOptions{
			Credit: int32(credit), MaxMessageSize: uint64(size), RequestedSenderSettleMode: &unsettled, SettlementMode: &first,
			SourceDurability: goamqp.DurabilityUnsettledState,
		})
		if err != nil {
			conn.Close()
		}
	}
	if err != nil {
		r.dialer.failed(time.Now(), err)
		return fmt.Errorf("cannot reach the broker: %w", plain(err))
	}
	r.conn, r.link = conn, link
	return nil
}

// limits returns how many messages may be on their way at once, and the size of each.
func (r *Receiver) limits() (credit, size int) {
	if r.single {
		return 1, r.cfg.OversizeMaxBytes + overheadBytes
	}
	return r.cfg.Credit, r.cfg.MessageMaxBytes + overheadBytes
}

// full is the budget of the connection: what may still come, and the room of one more message for the link's own frames.
func (r *Receiver) full() int64 {
	credit, size := r.limits()
	return int64(credit+1-r.out) * int64(size)
}

// refill gives the connection's budget back what settled messages had taken.
func (r *Receiver) refill() { r.budget.left.Store(r.full()) }

// idleBytes is more than what an idle link says of itself while a Receive waits, and less than a large message.
const idleBytes = 4 << 10

// idle notes that nothing came, unless a message is on its way.
func (r *Receiver) idle() {
	if r.out > 0 || r.full()-r.budget.left.Load() > idleBytes {
		return
	}
	r.dialer.succeeded()
	r.refill()
	if r.single {
		r.single = false
		r.drop()
	}
}

// failed drops the link and says why it failed.
func (r *Receiver) failed(err error) error {
	tooLarge := r.budget.exceeded.Load() || sizeExceeded(err)
	r.drop()
	if !tooLarge {
		r.dialer.failed(time.Now(), err)
		return plain(err)
	}
	if r.single {
		err = fmt.Errorf("amqp: the first message of the queue has more than %d bytes: the queue stands still until the broker takes it away", r.cfg.OversizeMaxBytes)
	} else {
		r.single = true
		err = errors.New("amqp: a message is too large: they are taken one by one now")
	}
	r.dialer.failed(time.Now(), err)
	return err
}

// sizeExceeded reports whether a link ended because of the size of a message, by the peer's word or by the library's, which is only text.
func sizeExceeded(err error) bool {
	var link *goamqp.LinkError
	if !errors.As(err, &link) {
		return false
	}
	if link.RemoteErr != nil {
		return link.RemoteErr.Condition == goamqp.ErrCondMessageSizeExceeded
	}
	return strings.HasPrefix(link.Error(), string(goamqp.ErrCondMessageSizeExceeded))
}

func (r *Receiver) drop() {
	if r.link != nil {
		r.link = nil
		r.conn.Close()
	}
}

// Disconnect closes the connection; the next Receive opens another. The broker delivers again what was not settled.
func (r *Receiver) Disconnect(ctx context.Context) {
	select {
	case <-r.lock:
		defer r.unlock()
		r.drop()
	case <-ctx.Done():
	}
}

// Close closes the connection. The broker delivers again what was not settled.
func (r *Receiver) Close() error {
	<-r.lock
	defer r.unlock()
	r.closed = true
	r.drop()
	return nil
}
