package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/mls/mlstest"
)

// result is what a life, or many, amounted to.
type result struct {
	err                                                    error
	log                                                    []string
	clients, chats, epochs, opened, messages, crashes, max int
}

func (r *result) add(o result) {
	r.clients += o.clients
	r.chats += o.chats
	r.epochs += o.epochs
	r.opened += o.opened
	r.messages += o.messages
	r.crashes += o.crashes
	r.max = max(r.max, o.max)
}

func (r result) String() string {
	return fmt.Sprintf("%d clients, %d groups of up to %d, %d epochs, %d messages sent, %d opened, %d crashes", r.clients, r.chats, r.max, r.epochs, r.messages,
		r.opened, r.crashes)
}

// live runs the life of that seed.
func live(seed uint64, steps int) (res result) {
	w := &world{r: rand.New(rand.NewPCG(seed, 9420)), now: time.Unix(1_800_000_000, 0)}
	defer func() {
		res.clients, res.chats, res.epochs, res.opened, res.messages, res.crashes, res.max = len(w.clients), len(w.chats), w.epochs, w.opened, w.items, w.crashes, w.largest
		res.log = w.log
		if v, ok := recover().(violation); ok {
			res.err = v
		}
	}()
	var err error
	if w.server, err = mls.X25519AES128GCM.GenerateSignatureKey(); err != nil {
		w.fail("%v", err)
	}
	w.found()
	for range steps {
		w.step()
	}
	w.settle()
	return res
}

// found makes the first chat.
func (w *world) found() {
	c := w.newChat(w.suite())
	founder := w.newClient()
	x := w.extensions(c.suite)
	s := founder.sit(c)
	for s.group == nil {
		_ = s.tx(func(tx *mlstest.Tx) (err error) {
			s.group, err = founder.mls.Create(tx, c.id, founder.leaf(c.suite), x)
			return err
		})
		s.reload()
	}
	c.recipients = []*client{founder}
	s.entered()
}

// step lets somebody do something.
func (w *world) step() {
	c := pick(w, w.chats)
	seats := c.seats()
	if len(seats) == 0 {
		return
	}
	s := pick(w, seats)
	k := w.r.IntN(20)
	if s.group.Closed() != nil {
		if k < 8 {
			w.reopen(s, true)
			return
		}
		k = max(k, 15)
	}
	w.note("step %d of %s in epoch %d of %q", k, s.client.name, s.group.Epoch(), c.id)
	switch {
	case k < 4:
		for range 1 + w.r.IntN(3) {
			if s.group != nil && !s.gone {
				w.seal(s)
			}
		}
	case k < 9:
		w.commit(s)
	case k < 11:
		w.propose(s)
	case k == 11:
		w.external(s)
	case k < 14:
		w.enter(s)
	case k == 14:
		if len(w.chats) < 4 && w.chance(2) {
			w.reopen(s, false)
		}
	case k == 15:
		w.restart(s)
	default:
	}
	for _, r := range slices.Clone(c.recipients) {
		if x := r.seat(c); x != nil && w.chance(2) {
			w.deliver(x, 1+w.r.IntN(6))
		}
	}
}

// settle lets everybody catch up, and checks that everybody has.
func (w *world) settle() {
	w.note("settle")
	for range 40 {
		quiet := true
		for _, c := range w.clients {
			for _, s := range c.seats {
				if s.gone {
					continue
				}
				s.flush()
				if p := w.pending(s); p != nil && !w.submit(s, p) && s.group == nil && !slices.Contains(s.chat.recipients, c) {
					if err := s.tx(func(tx *mlstest.Tx) error { return c.mls.Discard(tx, p) }); err == nil {
						s.leave()
					}
				}
				w.drain(s)
			}
		}
		for _, c := range w.clients { // only now: one's last word is another's inbox
			for _, s := range c.seats {
				if !s.gone && (len(s.inbox) > 0 || len(s.outbox) > 0 || w.pending(s) != nil) {
					quiet = false
				}
			}
		}
		if quiet {
			break
		}
	}
	for _, chat := range w.chats {
		for _, r := range chat.recipients {
			s := r.seat(chat)
			switch {
			case s == nil:
				w.fail("%s has no place in %q", r.name, chat.id)
			case s.group == nil || s.group.Epoch() != chat.epoch:
				w.fail("%s did not arrive at epoch %d of %q", r.name, chat.epoch, chat.id)
			case len(s.inbox) > 0:
				w.fail("%s in epoch %d of %q cannot handle %d items, first %s of epoch %d", r.name, s.group.Epoch(), chat.id, len(s.inbox), s.inbox[0].id, s.inbox[0].epoch)
			case len(s.group.Members()) != len(chat.recipients):
				w.fail("%d members in %q, the delivery service knows %d", len(s.group.Members()), chat.id, len(chat.recipients))
			}
		}
	}
}
