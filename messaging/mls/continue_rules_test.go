package mls

import (
	"crypto/rand"
	"slices"
	"testing"
)

// Each thing that ties a new group to the one it continues or branches from, changed by itself (RFC 9420 §12.4.3.1).
func TestOldGroupRules(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 2, nil)
	all := g.members[0].state
	g.commit(g.members[0], false, 0, nil, &Remove{Removed: 2})
	fewer := g.members[0].state // without the third member
	extensions := Extensions{{Type: 0xF00D, Data: []byte{1}}}

	// check is told of an old group and a new one, both whole but for what change does.
	check := func(usage ResumptionUsage, change func(old, next *groupState, id *PreSharedKeyID)) error {
		old, next := *all, *all
		old.context.GroupID, old.context.Epoch = []byte("old"), 7
		next.context.GroupID, next.context.Epoch, next.context.Extensions = []byte("new"), 1, slices.Clone(extensions)
		id := PreSharedKeyID{Type: PSKResumption, Usage: usage, GroupID: []byte("old"), Epoch: 7}
		if usage == UsageReInit {
			old.reInit = &ReInit{GroupID: []byte("new"), Version: MLS10, Suite: next.context.Suite, Extensions: slices.Clone(extensions)}
		}
		known := &old
		if change != nil {
			if change(&old, &next, &id); old.suite == nil {
				known = nil
			}
		}
		j := &joined{state: &next, psks: []PreSharedKeyID{{Type: PSKExternal}, id}}
		return j.checkOld(known, openIdentity{})
	}
	for _, usage := range []ResumptionUsage{UsageReInit, UsageBranch, UsageApplication} {
		if err := check(usage, nil); err != nil {
			t.Errorf("usage %d: %v", usage, err)
		}
	}
	for what, tt := range map[string]struct {
		usage   ResumptionUsage
		section string
		change  func(old, next *groupState, id *PreSharedKeyID)
	}{
		"reinit, no old group":          {UsageReInit, "12.4.3.1", func(old, _ *groupState, _ *PreSharedKeyID) { old.suite = nil }},
		"reinit, another old group":     {UsageReInit, "12.4.3.1", func(_, _ *groupState, id *PreSharedKeyID) { id.GroupID = []byte("?") }},
		"reinit, not closed":            {UsageReInit, "11.2", func(old, _ *groupState, _ *PreSharedKeyID) { old.reInit = nil }},
		"reinit, epoch before":          {UsageReInit, "11.2", func(_, _ *groupState, id *PreSharedKeyID) { id.Epoch = 6 }},
		"reinit, another id":            {UsageReInit, "11.2", func(_, next *groupState, _ *PreSharedKeyID) { next.context.GroupID = []byte("?") }},
		"reinit, another suite":         {UsageReInit, "11.2", func(_, next *groupState, _ *PreSharedKeyID) { next.context.Suite = P256AES128GCM }},
		"reinit, another version":       {UsageReInit, "11.2", func(_, next *groupState, _ *PreSharedKeyID) { next.context.Version = 2 }},
		"reinit, other extensions":      {UsageReInit, "11.2", func(_, next *groupState, _ *PreSharedKeyID) { next.context.Extensions[0].Data = []byte{2} }},
		"reinit, no extensions":         {UsageReInit, "11.2", func(_, next *groupState, _ *PreSharedKeyID) { next.context.Extensions = nil }},
		"reinit, a member is left out":  {UsageReInit, "11.2", func(_, next *groupState, _ *PreSharedKeyID) { next.tree = fewer.tree }},
		"branch, no old group":          {UsageBranch, "12.4.3.1", func(old, _ *groupState, _ *PreSharedKeyID) { old.suite = nil }},
		"branch, another suite":         {UsageBranch, "11.3", func(_, next *groupState, _ *PreSharedKeyID) { next.context.Suite = P256AES128GCM }},
		"branch, another version":       {UsageBranch, "11.3", func(_, next *groupState, _ *PreSharedKeyID) { next.context.Version = 2 }},
		"branch, somebody from outside": {UsageBranch, "11.3", func(old, _ *groupState, _ *PreSharedKeyID) { old.tree = fewer.tree }},
	} {
		t.Run(what, func(t *testing.T) { wantRule(t, check(tt.usage, tt.change), tt.section) })
	}
	if err := check(UsageBranch, func(_, next *groupState, _ *PreSharedKeyID) { next.tree = fewer.tree }); err != nil {
		t.Errorf("a branch of some: %v", err)
	}
	if err := check(UsageReInit, func(old, _ *groupState, _ *PreSharedKeyID) { old.tree = fewer.tree }); err != nil {
		t.Errorf("a continuation with somebody more, as §12.4.3.1 allows: %v", err)
	}
}

func FuzzPendingRow(f *testing.F) {
	f.Add([]byte{1})
	g := newTestGroup(f, X25519AES128GCM)
	p, err := g.members[0].state.makeCommit(rand.Reader, g.request(g.members[0]))
	if err != nil {
		f.Fatal(err)
	}
	tx := newMemoryTx()
	if err := (&PendingCommit{message: []byte("m"), next: p.next}).store(tx); err != nil {
		f.Fatal(err)
	}
	f.Add(tx.rows[Key{Row: RowPending}])
	f.Fuzz(func(t *testing.T, row []byte) {
		if p, err := decodePending(slices.Clone(row)); err == nil && p.next.tree.leaf(p.next.keys.index) == nil {
			t.Error("a state without an own leaf")
		}
		_, _ = decodeStoredProposal(slices.Clone(row))
	})
}
