package mls

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// testTree returns a secret tree of 2^depth leaves of suite 1 in a store of its own.
func testTree(t testing.TB, depth uint8, limits RatchetLimits) (*secretTree, *memoryTx) {
	t.Helper()
	s, err := lookupSuite(X25519AES128GCM)
	if err != nil {
		t.Fatal(err)
	}
	tree := &secretTree{suite: s, epoch: 7, depth: depth, limits: limits.withDefaults()}
	tx := newMemoryTx()
	if err := tree.create(tx, testSecret("encryption")); err != nil {
		t.Fatal(err)
	}
	return tree, tx
}

// take consumes a generation and returns its key.
func take(tree *secretTree, tx Tx, leaf uint32, r Ratchet, generation uint32, now int64) (messageKey, error) {
	var s ratchetStep
	defer s.wipe()
	if err := tree.receive(tx, &s, leaf, r, generation, now); err != nil {
		return messageKey{}, err
	}
	return s.messageKey, s.commit(tx, now)
}

func TestRatchetOutOfOrder(t *testing.T) {
	order := rand.New(rand.NewPCG(1, 2)).Perm(60)
	sender, senderTx := testTree(t, 3, RatchetLimits{})
	receiver, receiverTx := testTree(t, 3, RatchetLimits{})
	keys := make([]messageKey, 60)
	for i := range keys {
		var s ratchetStep
		if err := sender.send(senderTx, &s, 5, RatchetApplication); err != nil {
			t.Fatal(err)
		}
		if s.generation != uint32(i) {
			t.Fatalf("generation %d, want %d", s.generation, i)
		}
		keys[i] = s.messageKey
		if err := s.commit(senderTx, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range order {
		got, err := take(receiver, receiverTx, 5, RatchetApplication, uint32(g), 0)
		if err != nil {
			t.Fatalf("generation %d: %v", g, err)
		}
		if got != keys[g] {
			t.Fatalf("generation %d: wrong key", g)
		}
	}
	for _, g := range order {
		if _, err := take(receiver, receiverTx, 5, RatchetApplication, uint32(g), 0); !errors.Is(err, ErrConsumed) {
			t.Fatalf("generation %d twice: %v", g, err)
		}
	}
	for k := range receiverTx.rows {
		if k.Row == RowSkipped {
			t.Errorf("skipped key %v is still stored", k)
		}
	}
}

// A step that is not committed, because the message was forged, leaves every row as it was.
func TestRatchetUncommittedStepChangesNothing(t *testing.T) {
	tree, tx := testTree(t, 4, RatchetLimits{})
	for _, g := range []uint32{0, 900, 3} {
		before := tx.clone()
		var s ratchetStep
		if err := tree.receive(tx, &s, 9, RatchetApplication, g, 0); err != nil {
			t.Fatal(err)
		}
		s.wipe()
		if s.key != [32]byte{} || s.head.secret != [hashMax]byte{} {
			t.Error("the step's secrets are still there after wipe")
		}
		if len(before.rows) != len(tx.rows) {
			t.Fatal("rows came or went")
		}
		for k, v := range before.rows {
			if !bytes.Equal(tx.rows[k], v) {
				t.Errorf("row %v changed", k)
			}
		}
	}
}

func TestRatchetLimits(t *testing.T) {
	limits := RatchetLimits{JumpMax: 100, SkippedMax: 10, SkippedSeconds: 60}
	t.Run("jump", func(t *testing.T) {
		tree, tx := testTree(t, 0, limits)
		if _, err := take(tree, tx, 0, RatchetApplication, 101, 0); !errors.Is(err, ErrTooFarAhead) {
			t.Fatalf("jump over 101: %v", err)
		}
		if _, err := take(tree, tx, 0, RatchetApplication, math.MaxUint32, 0); !errors.Is(err, ErrTooFarAhead) {
			t.Fatalf("jump over all: %v", err)
		}
		if _, err := take(tree, tx, 0, RatchetApplication, 100, 0); err != nil {
			t.Fatalf("jump over 100: %v", err)
		}
	})
	t.Run("number", func(t *testing.T) {
		tree, tx := testTree(t, 0, limits)
		for _, g := range []uint32{5, 8, 30, 31, 50, 150, 250} {
			if _, err := take(tree, tx, 0, RatchetApplication, g, 0); err != nil {
				t.Fatal(err)
			}
			n := 0
			for k := range tx.rows {
				if k.Row == RowSkipped {
					n++
				}
			}
			if n > 10 {
				t.Fatalf("%d skipped keys stored after generation %d", n, g)
			}
		}
		if _, err := take(tree, tx, 0, RatchetApplication, 239, 0); !errors.Is(err, ErrConsumed) {
			t.Errorf("a key beyond the number kept: %v", err)
		}
		if _, err := take(tree, tx, 0, RatchetApplication, 240, 0); err != nil {
			t.Errorf("the oldest key kept: %v", err)
		}
	})
	t.Run("none", func(t *testing.T) {
		tree, tx := testTree(t, 0, RatchetLimits{SkippedMax: -1})
		if _, err := take(tree, tx, 0, RatchetApplication, 3, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := take(tree, tx, 0, RatchetApplication, 2, 0); !errors.Is(err, ErrConsumed) {
			t.Fatal(err)
		}
	})
	t.Run("age", func(t *testing.T) {
		tree, tx := testTree(t, 0, limits)
		if _, err := take(tree, tx, 0, RatchetApplication, 3, 1000); err != nil {
			t.Fatal(err)
		}
		if _, err := take(tree, tx, 0, RatchetApplication, 0, 1060); err != nil {
			t.Errorf("at its last second: %v", err)
		}
		if _, err := take(tree, tx, 0, RatchetApplication, 1, 1061); !errors.Is(err, ErrConsumed) {
			t.Errorf("expired: %v", err)
		}
		if _, err := tree.sweep(tx, 1061); err != nil {
			t.Fatal(err)
		}
		for k := range tx.rows {
			if k.Row == RowSkipped {
				t.Errorf("expired key %v is still stored", k)
			}
		}
		if _, err := take(tree, tx, 0, RatchetApplication, 2, 1000); !errors.Is(err, ErrConsumed) {
			t.Errorf("after the sweep, clock set back: %v", err)
		}
		if _, err := take(tree, tx, 0, RatchetApplication, 4, 1000); err != nil {
			t.Errorf("the next one: %v", err)
		}
	})
	t.Run("window", func(t *testing.T) {
		tree, tx := testTree(t, 0, RatchetLimits{SkippedMax: 1000})
		if _, err := take(tree, tx, 0, RatchetApplication, 500, 0); err != nil {
			t.Fatal(err)
		}
		if tx.puts > 128+10 {
			t.Errorf("%d rows put by one message", tx.puts)
		}
		if _, err := take(tree, tx, 0, RatchetApplication, 501, 0); err != nil {
			t.Fatal(err)
		}
		var head ratchetHead
		if err := head.decode(tx.rows[tree.headKey(0, RatchetApplication)], 32); err != nil {
			t.Fatal(err)
		}
		skipped := 0
		for k := range tx.rows {
			if k.Row == RowSkipped {
				skipped++
			}
		}
		if skipped != head.kept() {
			t.Errorf("%d keys stored, the head knows %d: the others would never be deleted", skipped, head.kept())
		}
	})
	t.Run("exhausted", func(t *testing.T) {
		tree, tx := testTree(t, 0, RatchetLimits{})
		head := ratchetHead{next: math.MaxUint32}
		tx.rows[tree.headKey(0, RatchetApplication)] = head.append(nil, 32)
		var s ratchetStep
		if err := tree.send(tx, &s, 0, RatchetApplication); err == nil {
			t.Error("generation 2^32-1 was given out, and nothing can follow it")
		}
	})
	t.Run("leaf outside the tree", func(t *testing.T) {
		tree, tx := testTree(t, 2, RatchetLimits{})
		if _, err := take(tree, tx, 4, RatchetApplication, 0, 0); err == nil {
			t.Error("leaf 4 of 4")
		}
	})
	t.Run("epoch gone", func(t *testing.T) {
		tree, tx := testTree(t, 2, RatchetLimits{})
		if _, err := take(tree, tx, 1, RatchetApplication, 3, 0); err != nil {
			t.Fatal(err)
		}
		if err := tree.drop(tx); err != nil || len(tx.rows) != 0 {
			t.Fatalf("%d rows left, %v", len(tx.rows), err)
		}
		if _, err := take(tree, tx, 1, RatchetApplication, 4, 0); !errors.Is(err, ErrEpochGone) {
			t.Errorf("after drop: %v", err)
		}
	})
}

// Random gaps: the rows of skipped keys are exactly those that the heads know, and exactly the keys the sender had.
func TestRatchetRandomHistories(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 3))
		limits := RatchetLimits{JumpMax: 300, SkippedMax: 1 + random.IntN(128)}
		sender, senderTx := testTree(t, 1, limits)
		receiver, tx := testTree(t, 1, limits)
		keys := map[uint32]messageKey{}
		next := uint32(0)
		for range 60 {
			g := next + uint32(random.IntN(40))
			if random.IntN(3) == 0 && next > 0 {
				g = next - 1 - uint32(random.IntN(int(min(next, 150))))
			}
			for uint32(len(keys)) <= g {
				k, err := take(sender, senderTx, 1, RatchetApplication, uint32(len(keys)), 0)
				if err != nil {
					t.Fatal(err)
				}
				keys[uint32(len(keys))] = k
			}
			got, err := take(receiver, tx, 1, RatchetApplication, g, 0)
			switch {
			case err == nil && got != keys[g]:
				t.Fatalf("seed %d: wrong key for generation %d", seed, g)
			case err == nil:
				next = max(next, g+1)
			case !errors.Is(err, ErrConsumed) || g >= next:
				t.Fatalf("seed %d: generation %d of %d: %v", seed, g, next, err)
			}
			var head ratchetHead
			if err := head.decode(tx.rows[receiver.headKey(1, RatchetApplication)], 32); err != nil {
				t.Fatal(err)
			}
			stored := 0
			for k := range tx.rows {
				if k.Row != RowSkipped {
					continue
				}
				stored++
				if behind := head.next - 1 - k.Generation; behind >= windowGenerations || !head.has(behind) {
					t.Fatalf("seed %d: generation %d is stored, but the head does not know it", seed, k.Generation)
				}
			}
			if stored != head.kept() || stored > limits.SkippedMax {
				t.Fatalf("seed %d: %d keys stored, the head knows %d, the limit is %d", seed, stored, head.kept(), limits.SkippedMax)
			}
		}
	}
}

// Forward secrecy by search: once consumed, no secret of the path, ratchet or message is in the store (§9.2).
func TestDeletionSchedule(t *testing.T) {
	tree, tx := testTree(t, 3, RatchetLimits{})
	s := tree.suite
	secrets := map[string][]byte{}
	node := testSecret("encryption")
	secrets["encryption_secret"] = node
	const leaf = 5 // right, left, right
	for i, side := range []string{"right", "left", "right"} {
		node = s.expandWithLabel(node, "tree", []byte(side), s.nh)
		secrets[fmt.Sprintf("tree node at level %d", 2-i)] = node
	}
	ratchet := s.expandWithLabel(node, "application", nil, s.nh)
	var kept []byte
	for g := range uint32(4) {
		secrets[fmt.Sprintf("ratchet secret %d", g)] = ratchet
		if g == 2 {
			kept = s.deriveTreeSecret(ratchet, "key", g, s.nk)
		} else {
			secrets[fmt.Sprintf("key %d", g)] = s.deriveTreeSecret(ratchet, "key", g, s.nk)
			secrets[fmt.Sprintf("nonce %d", g)] = s.deriveTreeSecret(ratchet, "nonce", g, s.nn)
		}
		ratchet = s.deriveTreeSecret(ratchet, "secret", g, s.nh)
	}
	stored := func() (all []byte) {
		for _, v := range tx.rows {
			all = append(all, v...)
			all = append(all, "//"...)
		}
		return all
	}
	if !bytes.Contains(stored(), secrets["encryption_secret"]) {
		t.Fatal("the search finds nothing that is there")
	}
	for _, g := range []uint32{0, 3, 1} { // 2 is late and still kept
		if _, err := take(tree, tx, leaf, RatchetApplication, g, 0); err != nil {
			t.Fatal(err)
		}
	}
	all := stored()
	for name, secret := range secrets {
		if bytes.Contains(all, secret) {
			t.Errorf("%s is still stored after its use", name)
		}
	}
	if !bytes.Contains(all, kept) || !bytes.Contains(all, ratchet) {
		t.Error("a key that was not consumed is missing")
	}
}

// The state written per message is a ratchet head, at any size of the group and for every suite.
func TestRowSizes(t *testing.T) {
	for id := range suites {
		s := suites[id]
		for _, depth := range []uint8{0, 1, 7, 10} {
			tree := &secretTree{suite: s, epoch: math.MaxUint64, depth: depth, limits: RatchetLimits{}.withDefaults()}
			tx := newMemoryTx()
			if err := tree.create(tx, make([]byte, s.nh)); err != nil {
				t.Fatal(err)
			}
			if _, err := take(tree, tx, 0, RatchetApplication, 0, 0); err != nil {
				t.Fatal(err)
			}
			tx.written, tx.puts, tx.deletes = 0, 0, 0
			if _, err := take(tree, tx, 0, RatchetApplication, 1, 0); err != nil {
				t.Fatal(err)
			}
			if tx.puts != 1 || tx.deletes != 0 || tx.written > 100 {
				t.Errorf("%v, %d leaves: %d puts and %d deletes, %d bytes; want one row of at most 100", id, 1<<depth, tx.puts, tx.deletes, tx.written)
			}
		}
	}
}

// Every damage to a row is an error, never a key.
func TestMalformedRows(t *testing.T) {
	tree, tx := testTree(t, 1, RatchetLimits{})
	if _, err := take(tree, tx, 0, RatchetApplication, 2, 0); err != nil {
		t.Fatal(err)
	}
	for key, row := range tx.rows {
		for _, bad := range [][]byte{{}, row[:len(row)-1], append(bytes.Clone(row), 0), append([]byte{9}, row[1:]...)} {
			broken := tx.clone()
			broken.rows[key] = bad
			if len(bad) == 0 {
				broken.rows[key] = []byte{}
			}
			var err error
			switch key.Row {
			case RowHead:
				_, err = take(tree, broken, key.Index, key.Ratchet, 7, 0)
			case RowSkipped:
				_, err = take(tree, broken, key.Index, key.Ratchet, key.Generation, 0)
			case RowNode:
				_, err = take(tree, broken, 1, RatchetApplication, 0, 0)
			}
			if err == nil {
				t.Errorf("row %v damaged to %d bytes gave a key", key, len(bad))
			}
		}
	}
}

func TestKeyBytes(t *testing.T) {
	for _, k := range []Key{{Row: RowHead, Epoch: 1 << 40, Index: 3, Ratchet: RatchetApplication}, {Row: RowPSK, ID: "an id"}, {Row: RowSkipped, Generation: 9}} {
		got, err := ParseKey(k.Append(nil))
		if err != nil || got != k {
			t.Errorf("%v came back as %v, %v", k, got, err)
		}
	}
	for _, bad := range [][]byte{nil, make([]byte, 18), bytes.Repeat([]byte{1}, 17), bytes.Repeat([]byte{1}, 300)} {
		if _, err := ParseKey(bad); err == nil {
			t.Errorf("%x is a key", bad)
		}
	}
}

func BenchmarkRatchetStep(b *testing.B) {
	tree, tx := testTree(b, 1, RatchetLimits{})
	b.ReportAllocs()
	for i := range uint32(b.N) {
		var s ratchetStep
		if err := tree.receive(tx, &s, 0, RatchetApplication, i, 0); err != nil {
			b.Fatal(err)
		}
		if err := s.commit(tx, 0); err != nil {
			b.Fatal(err)
		}
		s.wipe()
	}
}
