package amqp

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"regexp"
	"time"

	"github.com/parleypay/parley/payments/rail"
)

// Config configures the Transport of one participant. Broker, Profile, ToService and FromService are required.
type Config struct {
	Broker  Broker
	Profile *rail.Profile
	// ToService is where messages to the rail go, FromService the participant's own queue. Both are addresses as of NewSender.
	ToService, FromService string
	// SendTimeout bounds one Send, from dialling to the broker's disposition. Zero means 10 s. When it strikes after the message was
	// handed over the outcome is unknown.
	SendTimeout time.Duration
	// Wait is how long a Receive that has nothing to deliver waits. Zero means 20 s.
	Wait time.Duration
	// Credit, MessageMaxBytes and OversizeMaxBytes are as of ReceiverConfig. MessageMaxBytes zero means the profile's own limit.
	Credit, MessageMaxBytes, OversizeMaxBytes int
}

// Transport is the rail.Transport of one participant over queues. Close ends it.
//
// The numbers of its deliveries are its own: they count on from what the caller has, so a message that comes again gets a new one.
// Nothing is left out for its number or its message id, since what looks like a copy may be all there is.
type Transport struct {
	cfg      Config
	sender   *Sender
	receiver *Receiver

	lock    chan struct{} // holds one token when free; guards what follows; taken while a Receive runs
	last    uint64        // highest number given out
	pending []waiting     // handed out and not acknowledged, by rising number
}

type waiting struct {
	seq uint64
	in  *Incoming
}

// receiveMax bounds the messages of one Receive.
const receiveMax = 256

// New returns the Transport of one participant. It opens no connection yet.
func New(cfg Config) (*Transport, error) {
	if cfg.Profile == nil {
		return nil, errors.New("amqp: profile is required")
	}
	if cfg.SendTimeout < 0 || cfg.Wait < 0 {
		return nil, errors.New("amqp: times must not be below zero")
	}
	cfg.SendTimeout = or(cfg.SendTimeout, 10*time.Second)
	cfg.Wait = or(cfg.Wait, 20*time.Second)
	sender, err := NewSender(cfg.Broker, cfg.ToService)
	if err != nil {
		return nil, err
	}
	receiver, err := NewReceiver(ReceiverConfig{Broker: cfg.Broker, Address: cfg.FromService, Credit: cfg.Credit,
		MessageMaxBytes: or(cfg.MessageMaxBytes, cfg.Profile.SizeMaxBytes), OversizeMaxBytes: cfg.OversizeMaxBytes})
	if err != nil {
		return nil, err
	}
	t := &Transport{cfg: cfg, sender: sender, receiver: receiver, lock: make(chan struct{}, 1)}
	t.lock <- struct{}{}
	return t, nil
}

// Send implements rail.Transport: nil means that the message is in the queue to the service, durably.
func (t *Transport) Send(ctx context.Context, wire []byte) error {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.SendTimeout)
	defer cancel()
	business := ""
	if m, err := t.cfg.Profile.Decode(wire, rail.ToService); err == nil {
		business = m.MessageID()
	}
	return t.sender.Send(ctx, Message{ID: NewID(business), To: t.cfg.ToService, ReplyTo: t.cfg.FromService, User: t.cfg.Broker.User, Created: time.Now(), Body: wire})
}

// Receive implements rail.Transport. What it acknowledges is accepted at the broker, which then forgets it; everything else comes again.
func (t *Transport) Receive(ctx context.Context, after uint64, max int) ([]rail.Delivery, error) {
	select {
	case <-t.lock:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { t.lock <- struct{}{} }()
	if max < 1 || max > receiveMax {
		max = receiveMax
	}
	for len(t.pending) > 0 && t.pending[0].seq <= after {
		if err := t.receiver.Accept(ctx, t.pending[0].in); err != nil {
			t.pending = nil // all are of one link: what it had comes again over the next
			break
		}
		t.pending = t.pending[1:]
	}
	if t.last < after {
		t.last = after
	}
	if len(t.pending) < max {
		wait := t.cfg.Wait
		if len(t.pending) > 0 {
			wait = 0
		}
		got, err := t.receiver.Receive(ctx, max-len(t.pending), wait)
		if err != nil && len(t.pending) == 0 {
			return nil, err
		}
		for _, in := range got {
			t.last++
			t.pending = append(t.pending, waiting{t.last, in})
		}
	}
	var ds []rail.Delivery
	for _, w := range t.pending[:min(max, len(t.pending))] {
		ds = append(ds, rail.Delivery{Seq: w.seq, Wire: w.in.Body, Answers: BusinessID(w.in.Correlation)})
	}
	return ds, nil
}

// Cut closes both connections as a broken network would; the next calls open others. It is for tests and for operators who move a
// broker. What was not acknowledged comes again, and what is being sent has its outcome unknown.
func (t *Transport) Cut() {
	t.sender.Disconnect()
	t.receiver.Disconnect(context.Background())
}

// Close closes both connections. The broker keeps what was not acknowledged.
func (t *Transport) Close() error {
	return errors.Join(t.sender.Close(), t.receiver.Close())
}

// NewID returns a message-id that no other message has and that names the business message it carries, so that an answer by correlation
// id finds its original also after a restart. business may be empty.
func NewID(business string) string {
	var random [16]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	return business + "/" + hex.EncodeToString(random[:])
}

var idForm = regexp.MustCompile(`^([ -~]{0,64})/[0-9a-f]{32}$`)

// BusinessID returns the business message id in a message-id of NewID, and "" for any other text.
func BusinessID(id string) string {
	if m := idForm.FindStringSubmatch(id); m != nil {
		return m[1]
	}
	return ""
}
