package bench

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/wire"
)

// Config says what Run measures. URL is required; a zero field means the default given.
type Config struct {
	URL      string        // of the relay, such as "ws://127.0.0.1:7070"
	Token    string        // registration token, if the relay asks for one
	Senders  int           // devices that send, each to a device of its own that receives; 64
	InFlight int           // messages that each sender has not yet seen acknowledged; 4
	Size     int           // octets of a message; 1024
	Duration time.Duration // 5 s
	Warmup   time.Duration // before it, not counted; 500 ms
}

// Result is what Run measured. Latencies are in milliseconds.
type Result struct {
	Senders    int     `json:"senders"`
	InFlight   int     `json:"in_flight"`
	Octets     int     `json:"octets"`
	Seconds    float64 `json:"seconds"`
	Acked      int     `json:"acked"`     // durable, within the time measured
	Delivered  int     `json:"delivered"` // of those sent in all, until the end
	Lost       int     `json:"lost"`      // acked and not delivered
	Repeated   int     `json:"repeated"`  // delivered more than once
	PerSecond  float64 `json:"acked_per_second"`
	AckP50     float64 `json:"ack_p50_ms"`
	AckP99     float64 `json:"ack_p99_ms"`
	DeliverP50 float64 `json:"deliver_p50_ms"`
	DeliverP99 float64 `json:"deliver_p99_ms"`
}

// Run sends durable messages as fast as the window allows, receives and acknowledges every one, and reports rates and latencies. It fails if
// the relay refuses anything.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	def(&cfg.Senders, 64)
	def(&cfg.InFlight, 4)
	def(&cfg.Size, 1024)
	def(&cfg.Duration, 5*time.Second)
	def(&cfg.Warmup, 500*time.Millisecond)
	if cfg.Size < 16 || cfg.Size > wire.MaxBody {
		return nil, fmt.Errorf("bench: a message has 16 to %d octets", wire.MaxBody)
	}
	b := &run{cfg: cfg}
	defer b.close()
	for range cfg.Senders {
		if err := b.pair(ctx); err != nil {
			return nil, err
		}
	}
	begin := time.Now().Add(cfg.Warmup)
	b.from, b.until = begin, begin.Add(cfg.Duration)
	errs := make(chan error, 3*cfg.Senders)
	var senders, receivers sync.WaitGroup
	for _, p := range b.pairs {
		receivers.Go(func() { errs <- p.receive() })
		senders.Go(func() { errs <- p.acks() })
		senders.Go(func() { errs <- p.send() })
	}
	senders.Wait()
	b.wait(5 * time.Second)
	b.close()
	receivers.Wait()
	for range 3 * cfg.Senders {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	return b.result(), nil
}

type run struct {
	cfg         Config
	pairs       []*pair
	from, until time.Time
	closing     atomic.Bool
}

// pair is a sender and its receiver. Messages carry their number and the time they were sent.
type pair struct {
	b        *run
	from, to *Client
	peer     messaging.DeviceID
	slots    chan struct{}
	sent     atomic.Int64
	sentAll  atomic.Bool

	mu      sync.Mutex
	at      map[[16]byte]time.Time
	acked   int // all
	counted int // within the time
	ackMs   []float64

	got      atomic.Int64 // distinct, delivered
	repeated int
	last     uint64
	dlvMs    []float64
}

func (b *run) pair(ctx context.Context) error {
	p := &pair{b: b, slots: make(chan struct{}, b.cfg.InFlight), at: map[[16]byte]time.Time{}}
	for _, c := range []**Client{&p.from, &p.to} {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		if *c, err = Dial(ctx, b.cfg.URL, key, b.cfg.Token, nil); err != nil {
			return err
		}
	}
	p.peer = p.to.Device
	b.pairs = append(b.pairs, p)
	return p.to.Write(&wire.Sync{Req: 1})
}

func (b *run) close() {
	b.closing.Store(true)
	for _, p := range b.pairs {
		p.from.Close()
		p.to.Close()
	}
}

// wait returns when everything acknowledged has been delivered, or after the time.
func (b *run) wait(most time.Duration) {
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		missing := int64(0)
		for _, p := range b.pairs {
			missing += int64(p.acked) - p.got.Load()
		}
		if missing <= 0 {
			return
		}
	}
}

func (p *pair) send() error {
	body := make([]byte, p.b.cfg.Size)
	rand.Read(body)
	for n := uint64(1); time.Now().Before(p.b.until); n++ {
		p.slots <- struct{}{}
		now := time.Now()
		binary.BigEndian.PutUint64(body, n)
		binary.BigEndian.PutUint64(body[8:], uint64(now.UnixNano()))
		f := &wire.Send{Req: n, To: []messaging.DeviceID{p.peer}, Class: wire.Durable, Body: body}
		rand.Read(f.ID[:])
		p.mu.Lock()
		p.at[f.ID] = now
		p.mu.Unlock()
		p.sent.Add(1)
		if err := p.from.Write(f); err != nil {
			return fmt.Errorf("bench: send: %w", err)
		}
	}
	p.sentAll.Store(true)
	for range cap(p.slots) { // until all are acknowledged
		p.slots <- struct{}{}
	}
	p.from.Close()
	return nil
}

func (p *pair) acks() error {
	for {
		f, err := p.from.Read()
		if err != nil {
			if p.sentAll.Load() {
				return nil
			}
			return fmt.Errorf("bench: ack: %w", err)
		}
		acc, ok := f.(*wire.Accepted)
		if !ok {
			return unexpected(f)
		}
		now := time.Now()
		p.mu.Lock()
		at := p.at[acc.ID]
		delete(p.at, acc.ID)
		p.acked++
		if at.After(p.b.from) && now.Before(p.b.until) {
			p.counted++
			p.ackMs = append(p.ackMs, now.Sub(at).Seconds()*1000)
		}
		p.mu.Unlock()
		<-p.slots
	}
}

func (p *pair) receive() error {
	for {
		f, err := p.to.Read()
		if err != nil {
			if p.b.closing.Load() {
				return nil
			}
			return fmt.Errorf("bench: receive: %w", err)
		}
		switch f := f.(type) {
		case *wire.Synced:
		case *wire.Deliver:
			n, at := binary.BigEndian.Uint64(f.Body), time.Unix(0, int64(binary.BigEndian.Uint64(f.Body[8:])))
			if n <= p.last {
				p.repeated++
			} else {
				p.last = n
				p.got.Add(1)
				if at.After(p.b.from) && at.Before(p.b.until) {
					p.dlvMs = append(p.dlvMs, time.Since(at).Seconds()*1000)
				}
			}
			if n%16 == 0 {
				if err := p.to.Write(&wire.Ack{Class: f.Class, Cursor: f.Cursor}); err != nil && !p.b.closing.Load() {
					return fmt.Errorf("bench: ack: %w", err)
				}
			}
		default:
			return unexpected(f)
		}
	}
}

func (b *run) result() *Result {
	r := &Result{Senders: b.cfg.Senders, InFlight: b.cfg.InFlight, Octets: b.cfg.Size, Seconds: b.cfg.Duration.Seconds()}
	var ack, dlv []float64
	for _, p := range b.pairs {
		r.Acked += p.counted
		r.Delivered += int(p.got.Load())
		r.Lost += max(0, p.acked-int(p.got.Load()))
		r.Repeated += p.repeated
		ack, dlv = append(ack, p.ackMs...), append(dlv, p.dlvMs...)
	}
	r.PerSecond = float64(r.Acked) / r.Seconds
	r.AckP50, r.AckP99 = percentile(ack, 50), percentile(ack, 99)
	r.DeliverP50, r.DeliverP99 = percentile(dlv, 50), percentile(dlv, 99)
	return r
}

func percentile(v []float64, p int) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[(len(v)-1)*p/100]
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
