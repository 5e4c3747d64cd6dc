package main

import (
	"bytes"
	"fmt"
	"time"

	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/mls/internal/bench"
)

// least is the shortest time of one thing over many short batches: what the machine does besides only ever adds.
type least time.Duration

// batch runs f count times and keeps the time of one, if it is the least.
func (l *least) batch(count int, f func(i int) error) error {
	start := time.Now()
	for i := range count {
		if err := f(i); err != nil {
			return err
		}
	}
	if d := least(time.Since(start)) / least(count); *l == 0 || d < *l {
		*l = d
	}
	return nil
}

func (l *least) once(f func() error) error { return l.batch(1, func(int) error { return f() }) }

// timings are the least times of one group size.
type timings struct {
	seal, open, update, process, add, join                         least // messaging/mls, suite 1
	peerSeal, peerOpen, peerUpdate, peerProcess, peerAdd, peerJoin least // mls-go
}

// payload is 1 KiB, as in all figures of this kind.
var payload = make([]byte, 1024)

// groupID is as long as the one in the floor.
const groupID = "0123456789abcdef"

// messages measures sealing and opening for all sizes and the floor in turn, so that all ran in the same minute.
func messages(crowd *bench.Crowd, sizes []int, all map[int]*timings, rounds int) (floorSeal, floorOpen least, err error) {
	floor, err := bench.NewFloor()
	if err != nil {
		return 0, 0, err
	}
	type pair struct {
		n          int
		a, b, with *bench.Client
		peer       *peer
	}
	var pairs []pair
	for _, n := range sizes {
		p := pair{n: n}
		if p.a, p.b, err = crowd.Pair([]byte(groupID), n); err != nil {
			return 0, 0, err
		}
		if p.with, p.peer, err = peerInGroup(crowd, groupID, n); err != nil {
			return 0, 0, fmt.Errorf("mls-go in a group of %d: %w", n, err)
		}
		pairs = append(pairs, p)
	}
	const batch = 16
	sent := make([][]byte, batch)
	keep := func(seal func([]byte) ([]byte, error)) func(int) error {
		return func(i int) (err error) {
			sent[i], err = seal(payload)
			return err
		}
	}
	opened := func(open func([]byte) ([]byte, error)) func(int) error {
		return func(i int) error {
			data, err := open(sent[i])
			if err == nil && !bytes.Equal(data, payload) {
				err = fmt.Errorf("opened to something else")
			}
			return err
		}
	}
	for round := range rounds {
		if err := floorSeal.batch(batch, keep(floor.Seal)); err != nil {
			return 0, 0, err
		}
		if err := floorOpen.batch(batch, opened(floor.Open)); err != nil {
			return 0, 0, err
		}
		for _, p := range pairs {
			t := all[p.n]
			if err := t.seal.batch(batch, keep(p.a.Seal)); err != nil {
				return 0, 0, err
			}
			if err := t.open.batch(batch, opened(p.b.Open)); err != nil {
				return 0, 0, err
			}
			count := batch
			if p.n >= 100 { // mls-go takes milliseconds there
				if count = 2; round >= rounds/4 {
					continue
				}
			}
			if err := t.peerSeal.batch(count, keep(p.peer.seal)); err != nil {
				return 0, 0, err
			}
			for i := range count {
				if _, err := p.with.Open(sent[i]); err != nil {
					return 0, 0, fmt.Errorf("a message of mls-go: %w", err)
				}
				if sent[i], err = p.with.Seal(payload); err != nil {
					return 0, 0, err
				}
			}
			if err := t.peerOpen.batch(count, func(i int) error { return p.peer.open(sent[i]) }); err != nil {
				return 0, 0, err
			}
		}
	}
	return floorSeal, floorOpen, nil
}

// commits measures commits and their processing in groups of n: messaging/mls makes them, another member of each kind follows.
func commits(crowd *bench.Crowd, n int, t *timings, rounds int) error {
	a, b, err := crowd.Pair([]byte(groupID), n)
	if err != nil {
		return err
	}
	with, p, err := peerInGroup(crowd, groupID, n)
	if err != nil {
		return err
	}
	for range rounds {
		var commit *mls.PendingCommit
		update := func(c *bench.Client) func() error {
			return func() (err error) {
				commit, err = c.Commit(mls.CommitOptions{Path: true})
				return err
			}
		}
		if err := t.update.once(update(a)); err != nil {
			return err
		}
		if err := t.process.once(func() error { return b.Process(commit.Message()) }); err != nil {
			return err
		}
		if err := update(with)(); err != nil {
			return err
		}
		if err := t.peerProcess.once(func() error { return p.process(commit.Message()) }); err != nil {
			return fmt.Errorf("mls-go processes a commit: %w", err)
		}
	}
	// From here on everybody goes on alone: nobody follows these commits.
	for round := range rounds {
		joiner, err := bench.NewClient(crowd.Suite, fmt.Sprint("joiner ", round))
		if err != nil {
			return err
		}
		k, err := joiner.KeyPackage()
		if err != nil {
			return err
		}
		var added *mls.PendingCommit
		if err := t.add.once(func() (err error) {
			added, err = a.Commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.Add{KeyPackage: *k}}})
			return err
		}); err != nil {
			return err
		}
		if _, err := a.Commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.Remove{Removed: added.Added()[0].Index}}}); err != nil {
			return err
		}
		name := fmt.Sprint("peer's joiner ", round)
		guest, err := newPeer(name)
		if err != nil {
			return err
		}
		raw, _, err := guest.keyPackage()
		if err != nil {
			return err
		}
		if err := t.peerAdd.once(func() error {
			_, err := p.invite(raw)
			return err
		}); err != nil {
			return fmt.Errorf("mls-go adds a member: %w", err)
		}
		if _, err := p.client.RemoveMember(ctx, p.group, []byte(name)); err != nil {
			return err
		}
		if err := t.peerUpdate.once(func() error {
			_, err := p.client.SelfUpdate(ctx, p.group)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// joins measures entering a group of n by a Welcome of messaging/mls.
func joins(crowd *bench.Crowd, n int, t *timings, rounds int) error {
	joiner, err := bench.NewClient(crowd.Suite, "joiner")
	if err != nil {
		return err
	}
	k, err := joiner.KeyPackage()
	if err != nil {
		return err
	}
	rows := joiner.Rows.Clone()
	_, welcome, err := crowd.Found([]byte(groupID), n, k)
	if err != nil {
		return err
	}
	var guests []*peer
	for range rounds {
		if len(guests) == 0 { // in one group as many as there is room for, but not all of mls-go's at once
			var packages []*mls.KeyPackage
			for i := range min(n-1, 8) {
				guest, err := newPeer(fmt.Sprint("guest ", i))
				if err != nil {
					return err
				}
				_, k, err := guest.keyPackage()
				if err != nil {
					return err
				}
				guests, packages = append(guests, guest), append(packages, k)
			}
			_, w, err := crowd.Found([]byte(groupID), n, packages...)
			if err != nil {
				return err
			}
			for _, g := range guests {
				g.group = w
			}
		}
		joiner.Rows = rows.Clone()
		if err := t.join.once(func() error { return joiner.Join(welcome) }); err != nil {
			return err
		}
		guest := guests[0]
		guests = guests[1:]
		if err := t.peerJoin.once(func() error { return guest.join(guest.group) }); err != nil {
			return fmt.Errorf("mls-go joins: %w", err)
		}
	}
	return nil
}

// setUps measures a group of two from nothing, in suite 1, in the default post-quantum suite, and by mls-go.
func setUps(rounds int) (classical, postQuantum, peers least, err error) {
	var clients [4]*bench.Client
	for i, suite := range [4]mls.CipherSuite{mls.X25519AES128GCM, mls.X25519AES128GCM, mls.XWingAES256GCM, mls.XWingAES256GCM} {
		if clients[i], err = bench.NewClient(suite, fmt.Sprint("client ", i)); err != nil {
			return 0, 0, 0, err
		}
	}
	a, err := newPeer("a")
	if err != nil {
		return 0, 0, 0, err
	}
	b, err := newPeer("b")
	if err != nil {
		return 0, 0, 0, err
	}
	for range rounds {
		if err := classical.once(func() error { return bench.SetUp(clients[0], clients[1]) }); err != nil {
			return 0, 0, 0, err
		}
		if err := postQuantum.once(func() error { return bench.SetUp(clients[2], clients[3]) }); err != nil {
			return 0, 0, 0, err
		}
		if err := peers.once(func() error { return peerSetUp(a, b) }); err != nil {
			return 0, 0, 0, err
		}
	}
	return classical, postQuantum, peers, nil
}
