package mls

import "testing"

// A group that says it continues another is compared with that one (§11.2, §11.3, §12.4.3.1).
func TestContinuedGroupRules(t *testing.T) {
	newID := []byte("new")
	for _, tt := range []struct {
		name    string
		usage   ResumptionUsage
		change  func(old, next *groupState, id *PreSharedKeyID)
		section string // empty: taken
	}{
		{"reinit", UsageReInit, nil, ""},
		{"reinit, old group not closed", UsageReInit, func(old, _ *groupState, _ *PreSharedKeyID) { old.reInit = nil }, "11.2"},
		{"reinit, an epoch before the last", UsageReInit, func(_, _ *groupState, id *PreSharedKeyID) { id.Epoch-- }, "11.2"},
		{"reinit, another group id", UsageReInit, func(_, next *groupState, _ *PreSharedKeyID) { next.context.GroupID = []byte("x") }, "11.2"},
		{"reinit, another version", UsageReInit, func(_, next *groupState, _ *PreSharedKeyID) { next.context.Version = 2 }, "11.2"},
		{"reinit, another suite", UsageReInit, func(_, next *groupState, _ *PreSharedKeyID) { next.context.Suite = P256AES128GCM }, "11.2"},
		{"reinit, other extensions", UsageReInit, func(_, next *groupState, _ *PreSharedKeyID) { next.context.Extensions = Extensions{{0xF1, nil}} }, "11.2"},
		{"reinit, a member missing", UsageReInit, func(_, next *groupState, _ *PreSharedKeyID) { next.tree.leaves[1] = nil }, "11.2"},
		{"reinit of a group that is not there", UsageReInit, func(_, _ *groupState, id *PreSharedKeyID) { id.GroupID = []byte("y") }, "12.4.3.1"},
		{"branch", UsageBranch, nil, ""},
		{"branch of some", UsageBranch, func(_, next *groupState, _ *PreSharedKeyID) { next.tree.leaves[1] = nil }, ""},
		{"branch with a stranger", UsageBranch, func(old, _ *groupState, _ *PreSharedKeyID) { old.tree.leaves[1] = nil }, "11.3"},
		{"branch of another suite", UsageBranch, func(_, next *groupState, _ *PreSharedKeyID) { next.context.Suite = P256AES128GCM }, "11.3"},
		{"branch of another version", UsageBranch, func(_, next *groupState, _ *PreSharedKeyID) { next.context.Version = 2 }, "11.3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old, _ := listGroup(t, 2)
			next, _ := listGroup(t, 2) // the same names with other keys
			next.context.GroupID = newID
			old.reInit = &ReInit{GroupID: newID, Version: MLS10, Suite: next.suite.id}
			id := PreSharedKeyID{Type: PSKResumption, Usage: tt.usage, GroupID: old.context.GroupID, Epoch: old.context.Epoch}
			if tt.change != nil {
				tt.change(old, next, &id)
			}
			j := &joined{state: next, psks: []PreSharedKeyID{id}}
			wantRule(t, j.checkOld(old, openIdentity{}), tt.section)
			wantRule(t, j.checkOld(nil, openIdentity{}), "12.4.3.1")
		})
	}
}
