package mls

import (
	"bytes"
	"testing"
)

// Valid commits of the vectors with one thing changed behind the signature, as a dishonest committer could send them: refused, and
// the state goes on with the true commit.
func TestCommitRules(t *testing.T) {
	changes := map[string]int{}
	for i, v := range vectors[passiveVector](t, "passive-client-handling-commit.json") {
		if v.Suite != X25519AES128GCM {
			continue
		}
		c, err := newPassiveClient(&v)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range v.Epochs[0].Proposals {
			if err := c.propose(p); err != nil {
				t.Fatal(err)
			}
		}
		verified, err := c.receive(v.Epochs[0].Commit)
		if err != nil {
			t.Fatal(err)
		}
		in := commitInputs{
			proposals: func(ref []byte) (cachedProposal, bool) { p, ok := c.proposals[string(ref)]; return p, ok },
			psk:       c.psk, policy: vectorPolicy,
		}
		tree := mustMarshal(t, c.state.tree)
		initSecret := bytes.Clone(c.state.secrets.init)
		stage := func(change func(*AuthenticatedContent)) error {
			var a AuthenticatedContent // a deep copy
			if err := parse("AuthenticatedContent", mustMarshal(t, verified.AuthenticatedContent), &a); err != nil {
				t.Fatal(err)
			}
			change(&a)
			_, err := c.state.stageCommit(verifiedContent{AuthenticatedContent: &a}, in)
			return err
		}
		refused := func(name, section string, change func(*AuthenticatedContent)) {
			t.Helper()
			changes[name]++
			wantRule(t, stage(change), section)
		}
		flip := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-1] ^= 1; return b }
		refused("confirmation tag", "6.1", func(a *AuthenticatedContent) { a.Auth.ConfirmationTag = flip(a.Auth.ConfirmationTag) })
		refused("confirmation tag cut", "6.1", func(a *AuthenticatedContent) { a.Auth.ConfirmationTag = a.Auth.ConfirmationTag[:8] })
		refused("confirmation tag empty", "6.1", func(a *AuthenticatedContent) { a.Auth.ConfirmationTag = nil })
		refused("signature in the transcript", "6.1", func(a *AuthenticatedContent) { a.Auth.Signature = flip(a.Auth.Signature) })
		refused("no proposals and no path", "12.4", func(a *AuthenticatedContent) { a.Content.Commit = &Commit{} })
		refused("path missing", "12.4", func(a *AuthenticatedContent) {
			a.Content.Commit = &Commit{Proposals: []ProposalOrRef{{Proposal: &Remove{c.state.keys.index}}}}
		})
		refused("unknown proposal", "12.4", func(a *AuthenticatedContent) {
			a.Content.Commit.Proposals = append(a.Content.Commit.Proposals, ProposalOrRef{Reference: []byte("unknown")})
		})
		refused("unknown PSK", "12.4.2", func(a *AuthenticatedContent) {
			a.Content.Commit.Proposals = append(a.Content.Commit.Proposals,
				ProposalOrRef{Proposal: &PreSharedKey{PreSharedKeyID{Type: PSKExternal, ID: []byte("unknown"), Nonce: make([]byte, 32)}}})
		})
		refused("no commit", "12.4", func(a *AuthenticatedContent) { a.Content.Type = ContentProposal })
		if path := verified.Content.Commit.Path; path != nil {
			refused("path leaf signature", "7.3", func(a *AuthenticatedContent) { p := &a.Content.Commit.Path.Leaf; p.Signature = flip(p.Signature) })
			refused("path leaf source", "7.3", func(a *AuthenticatedContent) { a.Content.Commit.Path.Leaf.Source = SourceUpdate })
			refused("path leaf credential", "7.3", func(a *AuthenticatedContent) {
				a.Content.Commit.Path.Leaf.Credential = BasicCredential([]byte("somebody else"))
			})
			refused("path too short", "7.6", func(a *AuthenticatedContent) { p := a.Content.Commit.Path; p.Nodes = p.Nodes[:len(p.Nodes)-1] })
			refused("path too long", "7.6", func(a *AuthenticatedContent) { p := a.Content.Commit.Path; p.Nodes = append(p.Nodes, p.Nodes[0]) })
			refused("a secret too few", "7.6", func(a *AuthenticatedContent) { n := &a.Content.Commit.Path.Nodes[0]; n.Secrets = n.Secrets[1:] })
			refused("path key is in the tree", "12.4.2", func(a *AuthenticatedContent) {
				a.Content.Commit.Path.Nodes[0].EncryptionKey = c.state.tree.leaf(c.state.keys.index).EncryptionKey
			})
			refused("path key replaced", "7.9.2", func(a *AuthenticatedContent) { // its parent hash no longer fits
				n := &a.Content.Commit.Path.Nodes[0]
				n.EncryptionKey = flip(n.EncryptionKey)
			})
			refused("path secrets damaged", "7.6", func(a *AuthenticatedContent) {
				for i := range a.Content.Commit.Path.Nodes {
					for j := range a.Content.Commit.Path.Nodes[i].Secrets {
						s := &a.Content.Commit.Path.Nodes[i].Secrets[j]
						s.Ciphertext = flip(s.Ciphertext)
					}
				}
			})
		}
		if !bytes.Equal(tree, mustMarshal(t, c.state.tree)) || !bytes.Equal(initSecret, c.state.secrets.init) {
			t.Fatalf("entry %d: a refused commit changed the state", i)
		}
		closed := *c.state
		closed.reInit = &ReInit{}
		_, err = closed.stageCommit(verified, in)
		wantRule(t, err, "12.4.2")
		if err := stage(func(*AuthenticatedContent) {}); err != nil {
			t.Fatalf("entry %d: the true commit: %v", i, err)
		}
	}
	if len(changes) < 18 {
		t.Errorf("only %d of the changes were tried: %v", len(changes), changes)
	}
	t.Logf("%v", changes)
}
