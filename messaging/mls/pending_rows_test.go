package mls

import (
	"crypto/rand"
	"slices"
	"testing"
)

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
