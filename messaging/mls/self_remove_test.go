package mls

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
)

// leavingMember is a member's proposal to remove itself, and the message it came in.
type leavingMember struct {
	proposal cachedProposal
	message  []byte
}

// publicly returns content of a member, signed and as a PublicMessage.
func (g *testGroup) publicly(m *testMember, c FramedContent) (*AuthenticatedContent, *PublicMessage) {
	g.t.Helper()
	c.GroupID, c.Epoch, c.Sender = m.state.context.GroupID, m.state.context.Epoch, Sender{SenderMember, uint32(m.state.keys.index)}
	a := &AuthenticatedContent{WireFormat: WireFormatPublicMessage, Content: c}
	if err := g.s.sign(rand.Reader, m.signer, a, m.state.encodedContext); err != nil {
		g.t.Fatal(err)
	}
	epoch, err := m.state.messages(RatchetLimits{})
	if err != nil {
		g.t.Fatal(err)
	}
	p, err := epoch.protectPublic(a)
	if err != nil {
		g.t.Fatal(err)
	}
	return a, p
}

// propose returns a proposal of m as others keep it, and the message.
func (g *testGroup) propose(m *testMember, proposal Proposal) (cachedProposal, []byte) {
	g.t.Helper()
	a, p := g.publicly(m, FramedContent{Type: ContentProposal, Proposal: proposal})
	raw := mustMarshal(g.t, &MLSMessage{Public: p})
	c, err := g.s.cacheable(verifiedContent{AuthenticatedContent: a})
	if err != nil {
		g.t.Fatal(err)
	}
	return c, raw
}

func (g *testGroup) leave(m *testMember) leavingMember {
	c, raw := g.propose(m, &SelfRemove{})
	return leavingMember{c, raw}
}

// A member leaves by its own proposal: with a commit of another member, and with one of somebody who joins from outside.
func TestSelfRemove(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 4, nil)
	a, b, c := g.members[0], g.members[1], g.members[2]
	gone := b.state.keys.index
	g.commit(a, false, 0, []cachedProposal{g.leave(b).proposal}) // agree is asked: b is not among the members any more
	if len(g.members) != 4 || a.state.tree.leaf(gone) != nil {
		t.Fatalf("%d members after one of five left", len(g.members))
	}
	if content := mustMarshal(t, a.state.tree); bytes.Contains(content, []byte(b.name)) {
		t.Error("who left is in the tree")
	}
	g.externalJoin(a, nil, g.leave(c))
	if len(g.members) != 4 {
		t.Fatalf("%d members after one of four left and one joined", len(g.members))
	}
	others := slices.DeleteFunc(slices.Clone(g.members), func(m *testMember) bool { return m == a })
	g.externalJoin(a, nil, g.leave(others[0]), g.leave(others[1]))
	if len(g.members) != 3 {
		t.Fatalf("%d members after two of four left and one joined", len(g.members))
	}
	g.commit(a, false, 1, nil)
}

// What makes a SelfRemove invalid, one thing at a time.
func TestSelfRemoveRules(t *testing.T) {
	g, _ := listGroup(t, 3)
	by := func(i uint32) listedProposal { return listedProposal{&SelfRemove{}, Sender{SenderMember, i}, true} }
	member0, joiner := Sender{SenderMember, 0}, Sender{Type: SenderNewMemberCommit}
	init := listedProposal{&ExternalInit{}, joiner, false}
	for _, c := range []struct {
		name      string
		list      []listedProposal
		committer Sender
		section   string
	}{
		{"good", []listedProposal{by(1)}, member0, ""},
		{"two members", []listedProposal{by(1), by(2)}, member0, ""},
		{"by value", []listedProposal{{&SelfRemove{}, member0, false}}, member0, "12.2"},
		{"of the committer", []listedProposal{by(0)}, member0, "12.2"},
		{"of an external sender", []listedProposal{{&SelfRemove{}, Sender{SenderExternal, 1}, true}}, member0, "12.1.8"},
		{"of a new member", []listedProposal{{&SelfRemove{}, Sender{Type: SenderNewMemberProposal}, true}}, member0, "6.1"},
		{"of a blank leaf", []listedProposal{by(3)}, member0, "12.1.3"},
		{"of no leaf", []listedProposal{by(1 << 31)}, member0, "12.1.3"},
		{"twice", []listedProposal{by(1), by(1)}, member0, "12.2"},
		{"and removed", []listedProposal{by(1), {&Remove{1}, member0, false}}, member0, "12.2"},
		{"removed before", []listedProposal{{&Remove{1}, member0, false}, by(1)}, member0, "12.2"},
		{"with ReInit", []listedProposal{by(1), {&ReInit{Version: MLS10}, member0, false}}, member0, "12.2"},
		{"external commit", []listedProposal{init, by(0), by(2)}, joiner, ""},
		{"external commit, with the old self", []listedProposal{init, by(0), {&Remove{1}, joiner, false}}, joiner, ""},
		{"external commit, by value", []listedProposal{init, {&SelfRemove{}, joiner, false}}, joiner, "12.2"},
	} {
		l, err := g.checkList(c.list, c.committer, pskOrdinary)
		t.Run(c.name, func(t *testing.T) { wantRule(t, err, c.section) })
		if err == nil && !l.pathRequired {
			t.Errorf("%s: no path required", c.name)
		}
	}
	t.Run("a member does not list it", func(t *testing.T) {
		old := g.tree.leaves[2]
		leaf := *old
		leaf.Capabilities.Proposals = nil
		g.tree.leaves[2] = &leaf
		_, err := g.apply(&proposalList{selfRemoves: []LeafIndex{1}}, listPolicy)
		wantRule(t, err, "12.2")
		_, err = g.apply(&proposalList{selfRemoves: []LeafIndex{2}}, listPolicy) // who leaves need not list it
		wantRule(t, err, "")
	})
}

// A SelfRemove has to be public, and a joiner takes nothing else along.
func TestSelfRemoveMessages(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 2, nil)
	a, b := g.members[0], g.members[1]
	epoch, err := a.state.messages(RatchetLimits{})
	if err != nil {
		t.Fatal(err)
	}
	private := &AuthenticatedContent{WireFormat: WireFormatPrivateMessage, Content: FramedContent{GroupID: a.state.context.GroupID,
		Epoch: a.state.context.Epoch, Sender: Sender{SenderMember, uint32(a.state.keys.index)}, Type: ContentProposal, Proposal: &SelfRemove{}}}
	_, err = epoch.protectPrivate(newMemoryTx(), rand.Reader, private, PadNone, testTime)
	wantRule(t, err, "12.2")

	update := g.update(b)
	_, other := g.propose(b, update.proposal)
	forged := bytes.Clone(g.leave(b).message)
	forged[len(forged)-40] ^= 1 // in the signature
	cut := g.leave(b).message
	for what, tt := range map[string]struct {
		message []byte
		want    string
	}{
		"not a SelfRemove": {other, "is no SelfRemove"},
		"signature":        {forged, "message signature"},
		"cut":              {cut[:len(cut)-1], "too early"},
	} {
		info, err := a.state.makeGroupInfo(rand.Reader, a.signer, groupInfoOptions{externalPub: true})
		if err != nil {
			t.Fatal(err)
		}
		p, err := makeExternalCommit(rand.Reader, externalCommitRequest{info: info, policy: testPolicy, options: testOptions(g.s, g.client()),
			selfRemoves: [][]byte{tt.message}})
		if p != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", what, err, tt.want)
		}
	}
	old := g.leave(b)
	g.commit(a, false, 0, nil)
	info, err := a.state.makeGroupInfo(rand.Reader, a.signer, groupInfoOptions{externalPub: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := makeExternalCommit(rand.Reader, externalCommitRequest{info: info, policy: testPolicy, options: testOptions(g.s, g.client()),
		selfRemoves: [][]byte{old.message}}); err != ErrWrongEpoch {
		t.Errorf("a SelfRemove of the epoch before: %v", err)
	}
}
