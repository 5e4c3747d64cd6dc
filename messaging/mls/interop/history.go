package interop

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// History is a random life of a group whose members are two implementations. The same History is always the same sequence of
// operations; keys differ.
type History struct {
	Seed     uint64
	Epochs   int
	Suite    uint16
	Private  bool
	A, B     Implementation
	Most     int  // members
	EarlyB   bool // members of B enter with the first commit or not at all
	Trace    func(format string, args ...any)
	r        *rand.Rand
	w        *world
	present  []*actor
	made     int
	psks     [][]byte
	reserved map[string]bool // named by a proposal of this epoch
}

// Run plays the history. After every commit all members must agree and open each other's messages.
func (h *History) Run() (err error) {
	h.r = rand.New(rand.NewPCG(h.Seed, 0))
	h.w = &world{Config: Config{Suite: h.Suite, Private: h.Private, Cast: map[string]Implementation{"a": h.A, "b": h.B}, Trace: h.Trace},
		actors: map[string]*actor{}, groupID: fmt.Appendf(nil, "history %d", h.Seed)}
	defer func() {
		for _, a := range h.w.actors {
			if e := a.client.Close(); err == nil {
				err = e
			}
		}
	}()
	creator, err := h.newActor(h.flip(h.A, h.B))
	if err != nil {
		return err
	}
	if creator.group, err = creator.client.Create(h.Suite, h.w.groupID, nil); err != nil {
		return creator.errorf("creates", err)
	}
	h.present = []*actor{creator}
	first := []Implementation{h.A, h.B, h.flip(h.A, h.B)}
	for epoch := range h.Epochs {
		switch {
		case epoch == 0:
			err = h.commit(first)
		case h.r.IntN(6) == 0 && len(h.present) < h.Most:
			err = h.joinExternally()
		default:
			err = h.commit(nil)
		}
		if err != nil {
			return fmt.Errorf("epoch %d: %w", epoch, err)
		}
	}
	return nil
}

func (h *History) flip(a, b Implementation) Implementation {
	if h.r.IntN(2) == 0 {
		return a
	}
	return b
}

func (h *History) newActor(impl Implementation) (*actor, error) {
	h.made++
	name := fmt.Sprintf("%s %d", impl.Name, h.made)
	h.w.Cast[name] = impl
	a, err := h.w.actor(name)
	if err != nil {
		return nil, err
	}
	for _, id := range h.psks {
		if err := a.client.StorePSK(id, secretOf(id)); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// newcomer makes a client for somebody who enters after the first commit.
func (h *History) newcomer() (*actor, error) {
	impl := h.flip(h.A, h.B)
	if h.EarlyB {
		impl = h.A
	}
	return h.newActor(impl)
}

// psk gives all members a new external PSK.
func (h *History) psk() ([]byte, error) {
	id := fmt.Appendf(nil, "psk %d", len(h.psks))
	h.psks = append(h.psks, id)
	for _, a := range h.w.actors {
		if err := a.client.StorePSK(id, secretOf(id)); err != nil {
			return nil, err
		}
	}
	return id, nil
}

// proposal draws a proposal for a proposer, and who joins by it; the committer's leaf stays out of it. It may find none.
func (h *History) proposal(proposer, committer *actor) (p *Proposal, joiner *actor, err error) {
	switch h.r.IntN(4) {
	case 0:
		if len(h.present)+len(h.reserved) >= h.Most {
			return nil, nil, nil
		}
		if joiner, err = h.newcomer(); err != nil {
			return nil, nil, err
		}
		h.reserved[joiner.name] = true
		kp, err := joiner.client.KeyPackage(h.Suite)
		return &Proposal{Type: Add, KeyPackage: kp}, joiner, err
	case 1:
		victim := h.present[h.r.IntN(len(h.present))]
		same := func(a *actor) bool { return a.impl.Name == victim.impl.Name && !h.reserved[a.name] }
		if victim == committer || victim == proposer || h.reserved[victim.name] || len(slices.DeleteFunc(slices.Clone(h.present), func(a *actor) bool { return !same(a) })) < 2 {
			return nil, nil, nil
		}
		h.reserved[victim.name] = true
		return &Proposal{Type: Remove, Removed: victim.name}, nil, nil
	case 2:
		if proposer == committer || h.reserved[proposer.name] {
			return nil, nil, nil
		}
		h.reserved[proposer.name] = true
		return &Proposal{Type: Update}, nil, nil
	default:
		id, err := h.psk()
		return &Proposal{Type: ExternalPSK, PSK: id}, nil, err
	}
}

// commit lets members propose and one commit. first are who enters with the first commit.
func (h *History) commit(first []Implementation) error {
	h.reserved = map[string]bool{}
	committer := h.present[h.r.IntN(len(h.present))]
	var o CommitOptions
	var joiners []string
	removed := map[string]bool{}
	take := func(p *Proposal, joiner *actor) {
		if joiner != nil {
			joiners = append(joiners, joiner.name)
		}
		if p.Type == Remove {
			removed[p.Removed] = true
		}
	}
	for _, impl := range first {
		joiner, err := h.newActor(impl)
		if err != nil {
			return err
		}
		kp, err := joiner.client.KeyPackage(h.Suite)
		if err != nil {
			return joiner.errorf("makes a key package", err)
		}
		o.ByValue = append(o.ByValue, Proposal{Type: Add, KeyPackage: kp})
		joiners = append(joiners, joiner.name)
	}
	if first == nil {
		psks := false
		for range h.r.IntN(4) {
			proposer := h.present[h.r.IntN(len(h.present))]
			p, joiner, err := h.proposal(proposer, committer)
			if err != nil {
				return err
			}
			if p == nil {
				continue
			}
			take(p, joiner)
			out, err := h.w.propose(proposer.name, *p)
			if err != nil {
				return err
			}
			psks = psks || p.Type == ExternalPSK
			for _, to := range h.present {
				if err := to.handle(out.message); err != nil {
					return err
				}
			}
		}
		for range h.r.IntN(3) {
			p, joiner, err := h.proposal(committer, committer)
			if err != nil {
				return err
			}
			if p == nil || p.Type == ExternalPSK && psks && committer.impl.Lacks&LackMixedPSKs != 0 {
				continue
			}
			take(p, joiner)
			o.ByValue = append(o.ByValue, *p)
		}
		o.ForcePath = h.r.IntN(3) == 0
	}
	stay := slices.DeleteFunc(slices.Clone(h.present), func(a *actor) bool { return removed[a.name] })
	others := slices.DeleteFunc(slices.Clone(stay), func(a *actor) bool { return a == committer })
	if err := h.w.commit(committer, o, others, joiners); err != nil {
		return err
	}
	for _, name := range joiners {
		stay = append(stay, h.w.actors[name])
	}
	h.present = stay
	return nil
}

func (h *History) joinExternally() error {
	host := h.present[h.r.IntN(len(h.present))]
	joiner, err := h.newcomer()
	if err != nil {
		return err
	}
	info, tree, err := host.info(h.r.IntN(2) == 0)
	if err != nil {
		return err
	}
	var commit []byte
	if joiner.group, commit, err = joiner.client.JoinExternal(info, tree, ExternalJoin{}); err != nil {
		return joiner.errorf("joins externally", err)
	}
	for _, a := range h.present {
		if err := a.handle(commit); err != nil {
			return err
		}
	}
	h.present = append(h.present, joiner)
	return h.w.agree(h.present)
}
