package mls

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func publicOptions() PublicGroupOptions {
	return PublicGroupOptions{Identity: openIdentity{}, Now: func() time.Time { return time.Unix(testTime, 0) }, LeafLifetimeMax: 2000 * time.Second}
}

// watched starts a PublicGroup from a member's GroupInfo.
func (g *testGroup) watched(from *testMember) *PublicGroup {
	g.t.Helper()
	p, err := NewPublicGroup(g.info(from, groupInfoOptions{}), nil, publicOptions())
	if err != nil {
		g.t.Fatal(err)
	}
	return p
}

func (g *testGroup) info(from *testMember, o groupInfoOptions) *GroupInfo {
	g.t.Helper()
	info, err := from.state.makeGroupInfo(rand.Reader, from.signer, o)
	if err != nil {
		g.t.Fatal(err)
	}
	return info
}

// publicCommit returns p as the message it is sent as.
func (g *testGroup) publicCommit(by *testMember, p *pendingCommit) []byte {
	g.t.Helper()
	m := &PublicMessage{Content: p.content.Content, Auth: p.content.Auth}
	if p.content.Content.Sender.Type == SenderMember {
		epoch, err := by.state.messages(RatchetLimits{})
		if err != nil {
			g.t.Fatal(err)
		}
		if m, err = epoch.protectPublic(&p.content); err != nil {
			g.t.Fatal(err)
		}
	}
	return mustMarshal(g.t, &MLSMessage{Public: m})
}

// follow lets the watching PublicGroup process and merge the commit.
func (g *testGroup) follow(by *testMember, p *pendingCommit) {
	g.t.Helper()
	ev, err := g.watch.Process(g.publicCommit(by, p))
	if err != nil {
		g.t.Fatalf("epoch %d: the public view refuses: %v", g.watch.Epoch(), err)
	}
	c, ok := ev.(*PublicCommit)
	if !ok || c.Epoch != g.watch.Epoch()+1 || c.Sender != p.content.Content.Sender || len(c.Added) != len(p.added) || len(c.Removed) != len(p.list.removed()) {
		g.t.Fatalf("commit seen as %+v", ev)
	}
	if err := g.watch.Merge(c); err != nil {
		g.t.Fatal(err)
	}
}

// compare checks that the public view is the members'.
func (g *testGroup) compare() {
	g.t.Helper()
	m := g.members[0]
	tree, err := g.watch.Tree()
	if err != nil {
		g.t.Fatal(err)
	}
	if !bytes.Equal(g.watch.state.encodedContext, m.state.encodedContext) || !bytes.Equal(tree, mustMarshal(g.t, m.state.tree)) ||
		!bytes.Equal(g.watch.state.interim, m.state.interim) || len(g.watch.Members()) != len(g.members) {
		g.t.Fatalf("epoch %d: the public view is another than the members'", g.watch.Epoch())
	}
	if err := g.watch.Confirm(g.info(m, groupInfoOptions{omitTree: true})); err != nil {
		g.t.Fatal(err)
	}
	kept, err := g.watch.Marshal() // and it survives a restart
	if err != nil {
		g.t.Fatal(err)
	}
	if g.watch, err = ParsePublicGroup(kept, g.watch.options); err != nil {
		g.t.Fatal(err)
	}
}

// tell gives a proposal to the watching PublicGroup.
func (g *testGroup) tell(m *testMember, p Proposal) cachedProposal {
	g.t.Helper()
	c, raw := g.propose(m, p)
	ev, err := g.watch.Process(raw)
	if err != nil {
		g.t.Fatalf("the public view refuses a proposal of type %d: %v", p.Type(), err)
	}
	if got, ok := ev.(*PublicProposal); !ok || !bytes.Equal(got.Ref, c.ref) || got.Sender != c.sender || got.Proposal.Type() != p.Type() {
		g.t.Fatalf("proposal seen as %+v", ev)
	}
	return c
}

// The public view follows random histories beside the members, from any epoch on.
func TestPublicGroupFollowsRandomHistories(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := mathrand.New(mathrand.NewPCG(seed, 8))
			suite := []CipherSuite{X25519AES128GCM, X25519ChaCha20Poly1305, P256AES128GCM, X25519AES128GCM, XWingAES256GCM}[seed]
			g := newTestGroup(t, suite)
			g.commit(g.members[0], false, 1+r.IntN(3), nil)
			g.watch = g.watched(g.members[r.IntN(len(g.members))])
			for range 25 {
				by := g.members[r.IntN(len(g.members))]
				var refs []cachedProposal
				var proposals []Proposal
				var leaving []leavingMember
				for _, m := range g.members {
					if m == by {
						continue
					}
					switch k := r.IntN(14); {
					case k == 0 && len(g.members)-len(proposals) > 3:
						proposals = append(proposals, &Remove{Removed: m.state.keys.index})
					case k == 1:
						refs = append(refs, g.tell(m, g.update(m).proposal))
					case k == 2 && len(g.members)-len(leaving) > 3:
						l := g.leave(m)
						if _, err := g.watch.Process(l.message); err != nil {
							t.Fatal(err)
						}
						leaving = append(leaving, l)
					}
				}
				switch r.IntN(6) {
				case 0:
					g.externalJoin(by, nil, leaving...)
					continue
				case 1:
					if leaving == nil && len(g.members) > 1 {
						g.externalJoin(by, g.members[(slices.Index(g.members, by)+1)%len(g.members)])
						continue
					}
				case 2:
					proposals = append(proposals, g.psk())
				}
				for _, l := range leaving {
					refs = append(refs, l.proposal)
				}
				adds := r.IntN(3)
				if len(g.members) > 10 {
					adds = 0
				}
				g.commit(by, r.IntN(2) == 0, adds, refs, proposals...)
			}
		})
	}
}

// What the public view refuses, and that it is the same afterwards.
func TestPublicGroupRefusals(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 3, nil)
	by, other := g.members[0], g.members[1]
	g.watch = g.watched(by)
	commit := func(change func(*commitRequest), tamper func(*AuthenticatedContent)) []byte {
		t.Helper()
		req := g.request(by)
		if change != nil {
			change(&req)
		}
		p, err := by.state.makeCommit(rand.Reader, req)
		if err != nil {
			t.Fatal(err)
		}
		a := g.sent(&p.content).AuthenticatedContent
		if tamper != nil {
			tamper(a)
			if err := g.s.sign(rand.Reader, by.signer, a, by.state.encodedContext); err != nil {
				t.Fatal(err)
			}
		}
		return g.publicCommit(by, &pendingCommit{content: *a})
	}
	proposal := func(p Proposal) []byte { _, raw := g.propose(other, p); return raw }
	flip := func(raw []byte, fromEnd int) []byte { raw[len(raw)-fromEnd] ^= 1; return raw }
	badLeaf := g.update(other).proposal.(*Update)
	badLeaf.Leaf.Signature[3] ^= 1
	joinerKeys, err := g.s.newKeyPackage(rand.Reader, testOptions(g.s, g.client()))
	if err != nil {
		t.Fatal(err)
	}
	expired := joinerKeys.keyPackage
	expired.Leaf.Lifetime.NotAfter = 7
	private, err := by.state.messages(RatchetLimits{})
	if err != nil {
		t.Fatal(err)
	}
	tx := newMemoryTx()
	if err := private.tree.create(tx, sevens(32)); err != nil {
		t.Fatal(err)
	}
	sealed := &AuthenticatedContent{WireFormat: WireFormatPrivateMessage, Content: FramedContent{GroupID: by.state.context.GroupID,
		Epoch: by.state.context.Epoch, Sender: Sender{SenderMember, uint32(by.state.keys.index)}, Type: ContentApplication}}
	if err := g.s.sign(rand.Reader, by.signer, sealed, by.state.encodedContext); err != nil {
		t.Fatal(err)
	}
	secret, err := private.protectPrivate(tx, rand.Reader, sealed, PadNone, testTime)
	if err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct {
		message []byte
		want    string // part of the error; empty: accepted
	}{
		"good commit":          {commit(nil, nil), ""},
		"nothing":              {nil, "too early"},
		"cut":                  {commit(nil, nil)[:300], "too early"},
		"private message":      {secret, "not a PublicMessage"},
		"another group":        {commit(nil, func(a *AuthenticatedContent) { a.Content.GroupID = []byte("x") }), "another group"},
		"another epoch":        {commit(nil, func(a *AuthenticatedContent) { a.Content.Epoch++ }), "another epoch"},
		"signature":            {commit(nil, nil), "message signature"},
		"membership tag cut":   {nil, "membership tag of 31"},
		"confirmation tag cut": {commit(nil, func(a *AuthenticatedContent) { a.Auth.ConfirmationTag = a.Auth.ConfirmationTag[:31] }), "confirmation tag of 31"},
		"no path":              {commit(nil, func(a *AuthenticatedContent) { a.Content.Commit.Path = nil }), "without the path"},
		"a node less":          {commit(nil, func(a *AuthenticatedContent) { p := a.Content.Commit.Path; p.Nodes = p.Nodes[1:] }), "update path has"},
		"parent hash":          {commit(nil, func(a *AuthenticatedContent) { a.Content.Commit.Path.Nodes[0].EncryptionKey[5] ^= 1 }), "parent hash"},
		"leaf signature":       {commit(nil, func(a *AuthenticatedContent) { a.Content.Commit.Path.Leaf.Signature[5] ^= 1 }), "signature of leaf node"},
		"unknown reference":    {commit(nil, func(a *AuthenticatedContent) { a.Content.Commit.Proposals = []ProposalOrRef{{Reference: []byte("?")}} }), "was not received"},
		"committer removed": {commit(nil, func(a *AuthenticatedContent) {
			a.Content.Commit.Proposals = []ProposalOrRef{{Proposal: &Remove{by.state.keys.index}}}
		}), "removes itself"},
		"proposal":              {proposal(&Remove{Removed: by.state.keys.index}), ""},
		"proposal of a blank":   {proposal(&Remove{Removed: 77}), "blank"},
		"proposal's signature":  {flip(proposal(&Remove{Removed: by.state.keys.index}), 40), "message signature"},
		"update's signature":    {proposal(badLeaf), "signature of leaf node"},
		"update unchanged":      {proposal(&Update{Leaf: *other.state.tree.leaf(other.state.keys.index)}), "source"},
		"add expired":           {proposal(&Add{KeyPackage: expired}), "lifetime"},
		"external init":         {proposal(&ExternalInit{}), "ExternalInit"},
		"application data":      {nil, "application data"},
		"proposal of an absent": {nil, "leaf 99"},
	} {
		message := tt.message
		switch what {
		case "signature":
			message = flip(message, 32+1+32+1+2) // before both tags
		case "membership tag cut":
			message = commit(nil, nil)
			message = message[:len(message)-33]
			message = append(append(message, 31), sevens(31)...)
		case "application data":
			_, p := g.publicly(other, FramedContent{Type: ContentProposal, Proposal: &SelfRemove{}})
			p.Content.Type, p.Content.Application = ContentApplication, []byte("x")
			message = mustMarshal(t, &MLSMessage{Public: p})
		case "proposal of an absent":
			_, p := g.publicly(other, FramedContent{Type: ContentProposal, Proposal: &SelfRemove{}})
			p.Content.Sender.Index = 99
			message = mustMarshal(t, &MLSMessage{Public: p})
		}
		before, err := g.watch.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		kept := len(g.watch.proposals)
		_, err = g.watch.Process(message)
		if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", what, err, tt.want)
		}
		after, _ := g.watch.Marshal()
		if !bytes.Equal(before, after) || err != nil && kept != len(g.watch.proposals) {
			t.Errorf("%s: the group changed", what)
		}
	}
}

func sevens(n int) []byte { return bytes.Repeat([]byte{7}, n) }

// The view cannot be started from what a joiner would refuse, and takes no commit twice.
func TestPublicGroupStart(t *testing.T) {
	g := newTestGroup(t, X25519AES128GCM)
	g.commit(g.members[0], false, 2, nil)
	a := g.members[0]
	for what, tt := range map[string]struct {
		change func(*GroupInfo)
		want   string
	}{
		"signature":        {func(i *GroupInfo) { i.Signature[3] ^= 1 }, "signature of the GroupInfo"},
		"signer":           {func(i *GroupInfo) { i.Signer = 9 }, "blank"},
		"no tree":          {func(i *GroupInfo) { i.Extensions = nil }, "no ratchet tree"},
		"unknown suite":    {func(i *GroupInfo) { i.Context.Suite = 4 }, "not supported"},
		"tag cut":          {func(i *GroupInfo) { i.ConfirmationTag = i.ConfirmationTag[1:] }, "confirmation tag of 31"},
		"another tree":     {func(i *GroupInfo) { i.Context.TreeHash = sevens(32) }, "GroupInfo"},
		"another suite":    {func(i *GroupInfo) { i.Context.Suite = P256AES128GCM }, ""},
		"malformed a tree": {func(i *GroupInfo) { i.Extensions = Extensions{{ExtensionRatchetTree, []byte{1, 0}}} }, "last node is blank"},
	} {
		info := g.info(a, groupInfoOptions{})
		tt.change(info)
		if _, err := NewPublicGroup(info, nil, publicOptions()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", what, err, tt.want)
		}
	}
	for _, o := range []PublicGroupOptions{{}, {Identity: openIdentity{}}, {Now: time.Now}} {
		if _, err := NewPublicGroup(g.info(a, groupInfoOptions{}), nil, o); err == nil {
			t.Error("started without an identity provider or a clock")
		}
	}
	tree := mustMarshal(t, a.state.tree)
	view, err := NewPublicGroup(g.info(a, groupInfoOptions{omitTree: true}), tree, publicOptions())
	if err != nil {
		t.Fatal(err)
	}
	g.watch = view
	one, err := a.state.makeCommit(rand.Reader, g.request(a))
	if err != nil {
		t.Fatal(err)
	}
	first, err := view.Process(g.publicCommit(a, one))
	if err != nil {
		t.Fatal(err)
	}
	second, err := view.Process(g.publicCommit(a, one))
	if err != nil {
		t.Fatal(err)
	}
	if view.Epoch() != 1 {
		t.Error("staging a commit moved the view")
	}
	if err := view.Merge(first.(*PublicCommit)); err != nil {
		t.Fatal(err)
	}
	if view.Merge(second.(*PublicCommit)) == nil || view.Merge(nil) == nil {
		t.Error("a commit of the epoch before was merged")
	}
	if _, err := view.Process(g.publicCommit(a, one)); !errors.Is(err, ErrWrongEpoch) {
		t.Errorf("the commit again: %v", err)
	}
	if err := view.Confirm(g.info(a, groupInfoOptions{})); err == nil { // a did not take its commit
		t.Error("confirmed by the epoch before")
	}
	if _, err := ParsePublicGroup(tree, publicOptions()); err == nil {
		t.Error("a tree was read as a PublicGroup")
	}
	row, err := a.state.encodeEpoch()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParsePublicGroup(row, publicOptions()); err == nil {
		t.Error("a member's row was read as a PublicGroup")
	}
	few := publicOptions()
	few.ProposalsMax = 1
	if view, err = NewPublicGroup(g.info(a, groupInfoOptions{}), nil, few); err != nil {
		t.Fatal(err)
	}
	_, p1 := g.propose(a, &Remove{Removed: 1})
	_, p2 := g.propose(a, &Remove{Removed: 2})
	if _, err := view.Process(p1); err != nil {
		t.Fatal(err)
	}
	if _, err := view.Process(p1); err != nil { // known already
		t.Error(err)
	}
	_, err = view.Process(p2)
	wantRule(t, err, "12.4")
}
