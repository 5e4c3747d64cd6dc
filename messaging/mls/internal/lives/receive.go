package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/mls/mlstest"
)

// deliver lets a seat handle up to n items of its inbox, each chosen among the first few: the network reorders. It reports progress.
func (w *world) deliver(s *seat, n int) bool {
	progress := false
	for ; n > 0 && len(s.inbox) > 0 && !s.gone; n-- {
		at := w.r.IntN(min(len(s.inbox), 4))
		if w.chance(2) {
			at = 0
		}
		if w.handleAt(s, at) {
			progress = true
		}
	}
	return progress
}

func (w *world) handleAt(s *seat, at int) bool {
	i := s.inbox[at]
	if !s.handle(i) {
		return false
	}
	if at < len(s.inbox) && s.inbox[at].id == i.id {
		s.inbox = slices.Delete(s.inbox, at, at+1)
	}
	return true
}

// drain handles everything that can be, in order, until nothing moves.
func (w *world) drain(s *seat) {
	for moved := true; moved; {
		moved = false
		for at := 0; at < len(s.inbox) && !s.gone; {
			if before := len(s.inbox); w.handleAt(s, at) {
				moved = true
				if len(s.inbox) < before {
					continue
				}
			}
			at++
		}
	}
}

// handle processes one item in one transaction. It returns false if the item is to be kept: it came too early, or a crash happened.
func (s *seat) handle(i item) bool {
	w := s.client.w
	done := "in" + string(s.chat.id) + i.id
	if s.client.store.Own(done) != nil {
		s.replayed(i)
		return true
	}
	if i.kind == "welcome" {
		return s.welcomed(i, done)
	}
	if s.group == nil {
		return s.echoed(i, done)
	}
	var next *mls.Group
	removed := false
	err := s.tx(func(tx *mlstest.Tx) error {
		e, err := s.group.Process(tx, i.message)
		if err != nil {
			return err
		}
		next = s.group
		switch e := e.(type) {
		case *mls.Application:
			if string(e.Data) != i.text || string(e.Member.Credential.Identity) != i.from.name || e.Epoch != i.epoch {
				w.fail("%s opens %q of %s in epoch %d, sent was %q", s.client.name, e.Data, e.Member.Credential.Identity, e.Epoch, i.text)
			}
			w.opened++
		case *mls.OwnMessage:
			if i.from != s.client {
				w.fail("%s takes a message of %s for its own", s.client.name, i.from.name)
			}
		case *mls.StagedCommit:
			if next, err = s.group.Merge(tx, e); err != nil {
				return err
			}
			if removed = next == nil; removed != e.SelfRemoved {
				w.fail("%s: removed and not told", s.client.name)
			}
			if removed {
				err = tx.PutOwn("removed"+string(s.chat.id), []byte{1})
			}
		case *mls.OwnCommit:
			p, perr := s.group.Pending(tx)
			if perr != nil {
				return perr
			}
			if p.External() {
				err = tx.PutOwn("since"+string(s.chat.id), fmt.Append(nil, p.Epoch()))
			}
			if err == nil {
				next, err = s.group.Confirm(tx, p)
			}
		}
		if err != nil {
			return err
		}
		return tx.PutOwn(done, []byte{1})
	})
	var early *mls.EarlyError
	switch {
	case err == nil:
		changed := s.group != next
		s.group = next
		if removed {
			s.leave()
		} else if changed {
			fmt.Sscan(string(s.client.store.Own("since"+string(s.chat.id))), &s.since)
			s.entered()
		}
		w.note("%s handles %s", s.client.name, i.id)
		return true
	case errors.Is(err, mlstest.ErrCrashed), errors.As(err, &early):
		w.note("%s keeps %s: %v", s.client.name, i.id, err)
		return false
	case strings.Contains(err.Error(), "was not received"): // a proposal that is still on its way
		return false
	case errors.Is(err, mls.ErrEpochGone):
		if i.kind == "application" && i.epoch >= s.since && s.group.Epoch()-i.epoch <= pastEpochs {
			w.fail("%s in epoch %d cannot open a message of epoch %d, having been there since %d", s.client.name, s.group.Epoch(), i.epoch, s.since)
		}
		return true
	}
	w.fail("%s in epoch %d refuses %s of epoch %d: %v", s.client.name, s.group.Epoch(), i.id, i.epoch, err)
	return false
}

// replayed hands an item over that was handled before: nothing may come of it.
func (s *seat) replayed(i item) {
	if s.group == nil || i.kind == "welcome" {
		return
	}
	tx := s.client.store.Begin(s.chat.id)
	e, err := s.group.Process(tx, i.message)
	tx.Rollback()
	switch e.(type) {
	case nil, *mls.OwnMessage, *mls.OwnProposal:
	default:
		s.client.w.fail("%s takes %s a second time: %T", s.client.name, i.id, e)
	}
	if err != nil && !errors.Is(err, mls.ErrConsumed) && !errors.Is(err, mls.ErrEpochGone) {
		s.client.w.fail("%s, %s a second time: %v", s.client.name, i.id, err)
	}
}

// echoed handles an item of a group that the client is not in yet: it waits, unless it is the commit by which the client enters.
func (s *seat) echoed(i item, done string) bool {
	tx := s.client.store.Begin(s.chat.id)
	p, err := s.client.mls.Pending(tx)
	tx.Rollback()
	if err != nil {
		s.client.w.fail("%v", err)
	}
	if p == nil || !p.Matches(i.message) {
		return i.kind == "application" && p == nil && !slices.ContainsFunc(s.inbox, func(i item) bool { return i.kind == "welcome" }) && !slices.Contains(s.chat.recipients, s.client)
	}
	var next *mls.Group
	err = s.tx(func(tx *mlstest.Tx) (err error) {
		if err = tx.PutOwn("since"+string(s.chat.id), fmt.Append(nil, p.Epoch())); err != nil {
			return err
		}
		if err = tx.PutOwn("removed"+string(s.chat.id), nil); err != nil {
			return err
		}
		if next, err = s.client.mls.Confirm(tx, p); err != nil {
			return err
		}
		return tx.PutOwn(done, []byte{1})
	})
	if errors.Is(err, mlstest.ErrCrashed) {
		return false
	}
	if err != nil {
		s.client.w.fail("%s cannot enter: %v", s.client.name, err)
	}
	s.group, s.since = next, p.Epoch()
	s.entered()
	return true
}

// welcomed enters a group by a Welcome.
func (s *seat) welcomed(i item, done string) bool {
	w := s.client.w
	m, err := mls.ParseMLSMessage(i.message)
	if err != nil {
		w.fail("%v", err)
	}
	var o mls.JoinOptions
	read := s.client.store.Begin(s.chat.id)
	if s.chat.old != nil {
		if old := s.client.seat(s.chat.old); old != nil && old.group != nil {
			o.Old, read = old.group, s.client.store.Begin(s.chat.old.id)
		}
	}
	j, err := s.client.mls.Join(read, m.Welcome, o)
	read.Rollback()
	var rule *mls.RuleError
	if s.chat.old != nil && errors.As(err, &rule) && (rule.Section == "11.2" || rule.Section == "12.4.2") {
		w.note("%s keeps %s: %v", s.client.name, i.id, err)
		return false // the old group has not come as far
	}
	if err != nil {
		w.fail("%s cannot join %q: %v", s.client.name, s.chat.id, err)
	}
	var next *mls.Group
	err = s.tx(func(tx *mlstest.Tx) (err error) {
		if s.group != nil { // a continuation of its own that came second
			if err = s.group.Forget(tx); err != nil {
				return err
			}
		}
		if err = tx.PutOwn("since"+string(s.chat.id), fmt.Append(nil, j.Epoch())); err != nil {
			return err
		}
		if err = tx.PutOwn("removed"+string(s.chat.id), nil); err != nil {
			return err
		}
		if next, err = j.Accept(tx); err != nil {
			return err
		}
		return tx.PutOwn(done, []byte{1})
	})
	if errors.Is(err, mlstest.ErrCrashed) {
		return false
	}
	if err != nil {
		w.fail("%s cannot enter %q: %v", s.client.name, s.chat.id, err)
	}
	s.group, s.since = next, j.Epoch()
	s.entered()
	return true
}
