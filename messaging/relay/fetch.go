package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/relay/mailbox"
	"github.com/parleypay/parley/messaging/wire"
)

// fetcher reads mailboxes for connections that catch up, a few at a time, so that a storm of reconnects does not fill the memory.
type fetcher struct {
	r    *Relay
	jobs *queue[mailbox.Fetch] // at most two per connection
	done sync.WaitGroup
}

const fetchers = 4

func startFetcher(r *Relay) *fetcher {
	f := &fetcher{r: r, jobs: newQueue[mailbox.Fetch]()}
	for range fetchers {
		f.done.Go(f.run)
	}
	return f
}

func (f *fetcher) stop() {
	f.jobs.close()
	f.done.Wait()
}

func (f *fetcher) run() {
	for {
		e := f.jobs.take(alone)
		if e == nil {
			return
		}
		entries, more, err := f.r.store.read(e[0])
		if err != nil {
			f.r.fail(err)
			continue
		}
		f.r.step(mailbox.Fetched{Conn: e[0].Conn, Class: e[0].Class, Entries: entries, More: more})
	}
}

// read returns a page of a mailbox, and whether there is more.
func (s *store) read(e mailbox.Fetch) (entries []mailbox.Entry, more bool, err error) {
	n := classStream(e.Class)
	err = s.page(n, func(raw *jetstream.RawStreamMsg) error {
		entry, err := decodeEntry(raw.Sequence, raw.Data)
		if err != nil {
			return err
		}
		entries = append(entries, entry)
		more = raw.Header.Get("Nats-Num-Pending") != "0"
		return nil
	}, e.MaxEntries, jetstreamext.GetBatchSubject(mailboxSubject(e.Class, e.Device)), jetstreamext.GetBatchSeq(e.After+1), jetstreamext.GetBatchMaxBytes(e.MaxOctets))
	return entries, more, err
}

// page calls f for each message of one batched direct get.
func (s *store) page(n stream, f func(*jetstream.RawStreamMsg) error, batch int, opts ...jetstreamext.GetBatchOpt) error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	page, err := jetstreamext.GetBatch(ctx, s.getJS, n.String(), batch, opts...)
	if err != nil {
		return fmt.Errorf("relay: stream %v: %w", n, err)
	}
	for raw, err := range page {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("relay: stream %v: %w", n, err)
		}
		if err := f(raw); err != nil {
			return err
		}
	}
	return nil
}

// recent returns the ids of what was stored within window before the last message, so that a sender's repetition is known after a restart.
// What its recipients have all acknowledged is not found again: they tell a repetition by its id.
func (s *store) recent(window time.Duration) ([]mailbox.Remember, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	info, err := s.streams[streamMBX].Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("relay: stream %v: %w", streamMBX, err)
	}
	if info.State.Msgs == 0 {
		return nil, nil
	}
	var all []mailbox.Remember
	at := jetstreamext.GetBatchStartTime(info.State.LastTime.Add(-window))
	for len(all) < 200_000 {
		last := uint64(0)
		err := s.page(streamMBX, func(raw *jetstream.RawStreamMsg) error {
			e, err := decodeEntry(raw.Sequence, raw.Data)
			last = raw.Sequence
			all = append(all, mailbox.Remember{Key: e.ID, Class: wire.Durable, Head: e.Head})
			return err
		}, 512, jetstreamext.GetBatchSubject("mbx.*"), at, jetstreamext.GetBatchMaxBytes(4<<20))
		if err != nil {
			return nil, err
		}
		if last == 0 || last >= info.State.LastSeq {
			break
		}
		at = jetstreamext.GetBatchSeq(last + 1)
	}
	return all, nil
}

// purger deletes acknowledged entries, for each mailbox at most once per purgeEvery: a device may acknowledge one by one.
type purger struct {
	s     *store
	mu    sync.Mutex
	todo  map[purgeKey]uint64
	order *queue[purgeKey] // the keys of todo
	done  chan struct{}
}

type purgeKey struct {
	class  wire.Class
	device messaging.DeviceID
}

const purgeEvery = 500 * time.Millisecond

func startPurger(s *store) *purger {
	p := &purger{s: s, todo: map[purgeKey]uint64{}, order: newQueue[purgeKey](), done: make(chan struct{})}
	go p.run()
	return p
}

func (p *purger) put(e mailbox.Purge) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := purgeKey{e.Class, e.Device}
	if _, waits := p.todo[k]; !waits {
		p.order.put(k)
	}
	p.todo[k] = max(p.todo[k], e.UpTo)
}

// stop ends the purger after it has deleted what it was given.
func (p *purger) stop() {
	p.order.close()
	<-p.done
}

func (p *purger) run() {
	defer close(p.done)
	for {
		keys := p.order.take(func(int, purgeKey) bool { return true })
		if keys == nil {
			return
		}
		for _, k := range keys {
			p.mu.Lock()
			upTo := p.todo[k]
			delete(p.todo, k)
			p.mu.Unlock()
			if err := p.s.purge(k, upTo); err != nil {
				p.s.fail(err)
				return
			}
		}
		time.Sleep(purgeEvery)
	}
}

func (s *store) purge(k purgeKey, upTo uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	n := classStream(k.class)
	err := s.streams[n].Purge(ctx, jetstream.WithPurgeSubject(mailboxSubject(k.class, k.device)), jetstream.WithPurgeSequence(upTo+1))
	if err != nil {
		return fmt.Errorf("relay: stream %v: %w", n, err)
	}
	return nil
}
