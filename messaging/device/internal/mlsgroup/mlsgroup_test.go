package mlsgroup

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thomas-vilte/mls-go/ciphersuite"
	"github.com/thomas-vilte/mls-go/group"
	"github.com/thomas-vilte/mls-go/secrettree"

	"github.com/parleypay/parley/messaging"
)

// memRows is a store in memory; undo brings back what it was.
type memRows map[string][]byte

func rowKey(k Kind, key []byte) string { return string(append([]byte{byte(k)}, key...)) }

func (m memRows) Get(k Kind, key []byte) ([]byte, error) { return bytes.Clone(m[rowKey(k, key)]), nil }
func (m memRows) Put(k Kind, key, v []byte) error        { m[rowKey(k, key)] = bytes.Clone(v); return nil }
func (m memRows) Delete(k Kind, key []byte) error        { delete(m, rowKey(k, key)); return nil }
func (m memRows) DeletePrefix(k Kind, prefix []byte) error {
	maps.DeleteFunc(m, func(key string, _ []byte) bool { return strings.HasPrefix(key, rowKey(k, prefix)) })
	return nil
}
func (m memRows) First(k Kind, prefix []byte) ([]byte, error) {
	keys := slices.Sorted(maps.Keys(m))
	for _, key := range keys {
		if strings.HasPrefix(key, rowKey(k, prefix)) {
			return []byte(key[1:]), nil
		}
	}
	return nil, nil
}
func (m memRows) Count(k Kind, prefix []byte) (n int, err error) {
	for key := range m {
		if strings.HasPrefix(key, rowKey(k, prefix)) {
			n++
		}
	}
	return n, nil
}

type peer struct {
	*Client
	rows memRows
}

func newPeer(t testing.TB, name string) *peer {
	t.Helper()
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	c, err := NewClient(key, name)
	if err != nil {
		t.Fatal(err)
	}
	return &peer{c, memRows{}}
}

func (p *peer) keyPackage(t testing.TB) []byte {
	t.Helper()
	b, err := p.NewKeyPackage(p.rows, time.Now(), false)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// chat makes a group of the peers, created by the first.
func chat(t testing.TB, peers ...*peer) messaging.ChatID {
	t.Helper()
	id := messaging.NewChatID()
	ok(t, peers[0].Create(peers[0].rows, id))
	var ch Change
	for _, p := range peers[1:] {
		ch.Add = append(ch.Add, p.keyPackage(t))
	}
	c, err := peers[0].Commit(peers[0].rows, id, ch)
	ok(t, err)
	ok(t, peers[0].Merge(peers[0].rows, id))
	for _, p := range peers[1:] {
		ok(t, p.Join(p.rows, id, c.Welcome))
	}
	return id
}

func (p *peer) seal(t testing.TB, id messaging.ChatID, text string) []byte {
	t.Helper()
	b, err := p.Session(p.rows, id).Seal([]byte(text), []byte("aad"))
	ok(t, err)
	return b
}

func (p *peer) open(id messaging.ChatID, b []byte) (string, error) {
	o, err := p.Session(p.rows, id).Open(b)
	return string(o.Plaintext), err
}

func TestConversation(t *testing.T) {
	a, b, c := newPeer(t, "a"), newPeer(t, "b"), newPeer(t, "c")
	id := chat(t, a, b, c)
	for i := range 20 {
		from := []*peer{a, b, c}[i%3]
		text := fmt.Sprint("message ", i)
		env := from.seal(t, id, text)
		for _, to := range []*peer{a, b, c} {
			if to == from {
				continue
			}
			o, err := to.Session(to.rows, id).Open(env)
			ok(t, err)
			if string(o.Plaintext) != text || o.Sender.Device != from.id || o.Sender.Name != from.name || o.Epoch != 1 || string(o.AAD) != "aad" {
				t.Fatalf("opened %+v", o)
			}
		}
	}
	ma, mb := must(a.Session(a.rows, id).Members()), must(b.Session(b.rows, id).Members())
	if !slices.Equal(ma, mb) || len(ma) != 3 {
		t.Fatalf("members %v and %v", ma, mb)
	}
	ba, bb := must(a.Session(a.rows, id).Binding("x")), must(b.Session(b.rows, id).Binding("x"))
	if ba != bb || ba == must(a.Session(a.rows, id).Binding("y")) {
		t.Fatal("bindings")
	}
}

func TestHandshakes(t *testing.T) {
	a, b, c, d := newPeer(t, "a"), newPeer(t, "b"), newPeer(t, "c"), newPeer(t, "d")
	id := chat(t, a, b, c)
	// b adds d and removes c in one commit; then each of the rest refreshes.
	com, err := b.Commit(b.rows, id, Change{Add: [][]byte{d.keyPackage(t)}, Remove: []messaging.DeviceID{c.id}})
	ok(t, err)
	if _, err := b.Commit(b.rows, id, Change{}); !errors.Is(err, ErrPending) {
		t.Fatalf("second commit: %v", err)
	}
	if e, _ := b.Session(b.rows, id).Epoch(); e != 1 {
		t.Fatal("making a commit changed the group")
	}
	old := a.seal(t, id, "old")
	removed, err := a.Process(a.rows, id, com.Message)
	if ok(t, err); removed {
		t.Fatal("a removed")
	}
	if removed, err = c.Process(c.rows, id, com.Message); err != nil || !removed {
		t.Fatalf("c: %v %v", removed, err)
	}
	if len(c.rows) != 0 {
		t.Fatalf("the removed device keeps %d rows", len(c.rows))
	}
	ok(t, b.Merge(b.rows, id))
	ok(t, d.Join(d.rows, id, com.Welcome))
	if s, err := b.open(id, old); err != nil || s != "old" {
		t.Fatalf("message of the epoch before: %q %v", s, err)
	}
	if _, err := d.open(id, old); !errors.Is(err, ErrOld) {
		t.Fatalf("who joined later reads what was before: %v", err)
	}
	peers := []*peer{a, b, d}
	for i := range 7 {
		from := peers[i%3]
		before := from.seal(t, id, "before")
		com, err := from.Commit(from.rows, id, Change{})
		ok(t, err)
		for _, p := range peers {
			if p == from {
				ok(t, p.Merge(p.rows, id))
			} else {
				_, err := p.Process(p.rows, id, com.Message)
				ok(t, err)
			}
		}
		env := from.seal(t, id, "now")
		for _, p := range peers {
			if p != from {
				if s, err := p.open(id, env); err != nil || s != "now" {
					t.Fatal(s, err)
				}
				if s, err := p.open(id, before); err != nil || s != "before" {
					t.Fatal(s, err)
				}
			}
			if _, err := p.Process(p.rows, id, com.Message); !errors.Is(err, ErrOld) {
				t.Fatalf("the same commit again: %v", err)
			}
		}
	}
	for _, p := range peers {
		if n, _ := p.rows.Count(KindEpoch, id[:]); n != keepEpochs+1 {
			t.Fatalf("%d epochs kept", n)
		}
	}
}

func TestConflict(t *testing.T) {
	a, b, c := newPeer(t, "a"), newPeer(t, "b"), newPeer(t, "c")
	id := chat(t, a, b)
	lost, err := a.Commit(a.rows, id, Change{Add: [][]byte{c.keyPackage(t)}})
	ok(t, err)
	won, err := b.Commit(b.rows, id, Change{})
	ok(t, err)
	ok(t, b.Merge(b.rows, id))
	_, err = a.Process(a.rows, id, won.Message)
	ok(t, err)
	if p, _ := a.Pending(a.rows, id); p != nil {
		t.Fatal("the commit that lost is still pending")
	}
	if _, err := b.Process(b.rows, id, lost.Message); !errors.Is(err, ErrOld) {
		t.Fatalf("commit that lost: %v", err)
	}
	again, err := a.Commit(a.rows, id, Change{Add: [][]byte{c.keyPackage(t)}})
	ok(t, err)
	ok(t, a.Merge(a.rows, id))
	_, err = b.Process(b.rows, id, again.Message)
	ok(t, err)
	ok(t, c.Join(c.rows, id, again.Welcome))
	if s, err := c.open(id, b.seal(t, id, "hi")); s != "hi" {
		t.Fatal(err)
	}
	// A discarded commit leaves its generation used: the next one of the epoch has another.
	one, err := a.Commit(a.rows, id, Change{})
	ok(t, err)
	ok(t, a.Discard(a.rows, id))
	two, err := a.Commit(a.rows, id, Change{})
	ok(t, err)
	e := must(loadEpoch(b.rows, id, two.Epoch, ErrNoGroup))
	g1 := must(e.senderData(must(ParseEnvelope(one.Message)).pm)).Generation
	g2 := must(e.senderData(must(ParseEnvelope(two.Message)).pm)).Generation
	if g1 == g2 {
		t.Fatal("one generation for two commits")
	}
	_, err = b.Process(b.rows, id, two.Message)
	ok(t, err)
}

func TestReplayOrderAndLoss(t *testing.T) {
	a, b := newPeer(t, "a"), newPeer(t, "b")
	id := chat(t, a, b)
	var envs [][]byte
	for i := range 20 {
		envs = append(envs, a.seal(t, id, fmt.Sprint(i)))
	}
	for _, i := range []int{3, 0, 19, 7, 18} {
		if s, err := b.open(id, envs[i]); err != nil || s != fmt.Sprint(i) {
			t.Fatalf("%d: %q %v", i, s, err)
		}
		if _, err := b.open(id, envs[i]); !errors.Is(err, messaging.ErrReplay) {
			t.Fatalf("%d again: %v", i, err)
		}
	}
	// A message that fails does not use up its generation.
	bad := bytes.Clone(envs[5])
	bad[len(bad)-1] ^= 1
	before := maps.Clone(b.rows)
	if _, err := b.open(id, bad); err == nil {
		t.Fatal("changed ciphertext opened")
	}
	if !maps.EqualFunc(before, b.rows, bytes.Equal) {
		t.Fatal("a bad message changed the store")
	}
	if s, err := b.open(id, envs[5]); err != nil || s != "5" {
		t.Fatal(s, err)
	}
	// Own messages do not open.
	if _, err := a.open(id, envs[6]); err == nil {
		t.Fatal("own message opened")
	}
}

func TestJump(t *testing.T) {
	a, b := newPeer(t, "a"), newPeer(t, "b")
	id := chat(t, a, b)
	jump := func(n uint32) []byte {
		var r ratchet
		e := must(loadEpoch(a.rows, id, 1, ErrNoGroup))
		key := ratchetKey(id, 1, e.Own)
		ok(t, load(a.rows, KindRatchet, key, &r, ErrNoGroup))
		for range n {
			ok(t, r.next())
		}
		ok(t, save(a.rows, KindRatchet, key, r))
		return a.seal(t, id, "x")
	}
	first := a.seal(t, id, "first")
	if _, err := b.open(id, jump(maxForward-1)); err != nil {
		t.Fatalf("at the limit: %v", err)
	}
	if n, _ := b.rows.Count(KindSkipped, id[:]); n != maxSkipped {
		t.Fatalf("%d skipped keys kept", n)
	}
	if _, err := b.open(id, first); !errors.Is(err, messaging.ErrReplay) {
		t.Fatalf("a key that was dropped: %v", err)
	}
	ok(t, func() error { _, err := b.open(id, jump(600)); return err }())
	if n, _ := b.rows.Count(KindSkipped, id[:]); n != maxSkipped {
		t.Fatalf("%d skipped keys kept", n)
	}
	if _, err := b.open(id, jump(maxForward+1)); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Fatalf("over the limit: %v", err)
	}
}

// TestForwardSecrecy looks in the rows for every secret from which a used message key follows.
func TestForwardSecrecy(t *testing.T) {
	a, b := newPeer(t, "a"), newPeer(t, "b")
	id := messaging.NewChatID()
	ok(t, a.Create(a.rows, id))
	com, err := a.Commit(a.rows, id, Change{Add: [][]byte{b.keyPackage(t)}})
	ok(t, err)
	// The pending row holds the state after the commit as mls-go has it; take the secrets from there.
	var p pending
	ok(t, load(a.rows, KindPending, id[:], &p, ErrNoGroup))
	var s group.StateData
	ok(t, json.Unmarshal(p.After, &s))
	ok(t, a.Merge(a.rows, id))
	ok(t, b.Join(b.rows, id, com.Welcome))
	tree := must(secrettree.NewTree(ciphersuite.NewSecret(s.EpochSecrets.EncryptionSecret), s.SecretTree.LeafCount, suite))
	secrets := [][]byte{s.EpochSecrets.EncryptionSecret}
	for i := range s.SecretTree.LeafCount {
		must(tree.LeafForIndex(i))
	}
	for _, l := range tree.MarshalFull().LeafStates {
		secrets = append(secrets, l.LeafSecret, l.ApplicationSecret)
	}
	for range 2 {
		ok(t, func() error { _, err := b.open(id, a.seal(t, id, "x")); return err }())
		ok(t, func() error { _, err := a.open(id, b.seal(t, id, "x")); return err }())
	}
	for who, rows := range map[string]memRows{"a": a.rows, "b": b.rows} {
		for k, v := range rows {
			var inState []byte
			if Kind(k[0]) == KindState {
				inState = v
			}
			for i, secret := range secrets {
				if bytes.Contains(v, secret) || inState != nil && bytes.Contains(inState, must(json.Marshal(secret))[1:20]) {
					t.Errorf("%s: row of kind %d holds secret %d", who, k[0], i)
				}
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	a, b, m := newPeer(t, "a"), newPeer(t, "b"), newPeer(t, "mallory")
	id := chat(t, a, b)
	now := time.Now()
	t.Run("credential of another device", func(t *testing.T) {
		_, key, _ := ed25519.GenerateKey(rand.Reader)
		c := must(NewClient(key, "mallory"))
		c.cred.Credential.Identity = append(bytes.Clone(a.id[:]), "a"...)
		kp, err := c.NewKeyPackage(memRows{}, now, false)
		ok(t, err)
		if _, err := CheckKeyPackage(kp, a.id, now); err == nil {
			t.Fatal("key package with a stolen device id accepted")
		}
		if _, err := b.Commit(b.rows, id, Change{Add: [][]byte{kp}}); err == nil {
			t.Fatal("added")
		}
	})
	t.Run("key package of another device", func(t *testing.T) {
		if _, err := CheckKeyPackage(m.keyPackage(t), a.id, now); err == nil {
			t.Fatal("accepted")
		}
	})
	t.Run("expired key package", func(t *testing.T) {
		if _, err := CheckKeyPackage(m.keyPackage(t), m.id, now.Add(Lifetime+2*clockSkew)); err == nil {
			t.Fatal("accepted")
		}
	})
	t.Run("changed key package", func(t *testing.T) {
		kp := m.keyPackage(t)
		for i := range kp {
			c := bytes.Clone(kp)
			c[i] ^= 1
			if _, err := CheckKeyPackage(c, m.id, now); err == nil {
				t.Fatalf("octet %d of %d changed: accepted", i, len(kp))
			}
		}
	})
	t.Run("changed commit", func(t *testing.T) {
		com, err := b.Commit(b.rows, id, Change{})
		ok(t, err)
		defer b.Discard(b.rows, id)
		before := maps.Clone(a.rows)
		for i := range com.Message {
			c := bytes.Clone(com.Message)
			c[i] ^= 1
			if _, err := a.Process(a.rows, id, c); err == nil {
				t.Fatalf("octet %d changed: accepted", i)
			}
		}
		if !maps.EqualFunc(before, a.rows, bytes.Equal) {
			t.Fatal("a refused commit changed the store")
		}
	})
	t.Run("changed welcome", func(t *testing.T) {
		kp := m.keyPackage(t)
		com, err := a.Commit(a.rows, id, Change{Add: [][]byte{kp}})
		ok(t, err)
		defer a.Discard(a.rows, id)
		before := maps.Clone(m.rows)
		for i := 0; i < len(com.Welcome); i += 3 {
			c := bytes.Clone(com.Welcome)
			c[i] ^= 1
			if err := m.Join(m.rows, id, c); err == nil {
				t.Fatalf("octet %d changed: joined", i)
			}
		}
		if err := m.Join(m.rows, messaging.NewChatID(), com.Welcome); err == nil {
			t.Fatal("joined a chat under another id")
		}
		if !maps.EqualFunc(before, m.rows, bytes.Equal) {
			t.Fatal("a refused welcome changed the store")
		}
		ok(t, m.Join(m.rows, id, com.Welcome))
		m.Forget(m.rows, id)
		if err := m.Join(m.rows, id, com.Welcome); err == nil {
			t.Fatal("the key package was used twice")
		}
	})
	t.Run("changed message", func(t *testing.T) {
		env := a.seal(t, id, "x")
		before := maps.Clone(b.rows)
		for i := range env {
			c := bytes.Clone(env)
			c[i] ^= 1
			if _, err := b.open(id, c); err == nil {
				t.Fatalf("octet %d changed: opened", i)
			}
		}
		if !maps.EqualFunc(before, b.rows, bytes.Equal) {
			t.Fatal("a refused message changed the store")
		}
	})
	t.Run("of the future", func(t *testing.T) {
		_, err := a.Commit(a.rows, id, Change{})
		ok(t, err)
		ok(t, a.Merge(a.rows, id))
		if _, err := b.open(id, a.seal(t, id, "x")); !errors.Is(err, ErrEarly) {
			t.Fatal(err)
		}
	})
	t.Run("names", func(t *testing.T) {
		for _, n := range []string{"", strings.Repeat("x", 65), "a\x00", "a\u202eb", "\xff"} {
			if CheckName(n) == nil {
				t.Errorf("%q accepted", n)
			}
		}
	})
	t.Run("too long", func(t *testing.T) {
		if _, err := b.Session(b.rows, id).Seal(make([]byte, MaxPlaintext+1), nil); err == nil {
			t.Fatal("sealed")
		}
	})
}

func TestPadding(t *testing.T) {
	a, b := newPeer(t, "a"), newPeer(t, "b")
	id := chat(t, a, b)
	sizes := map[int]bool{}
	for n := 0; n < 1800; n += 37 {
		env := a.seal(t, id, strings.Repeat("x", n))
		sizes[len(env)] = true
		if _, err := b.open(id, env); err != nil {
			t.Fatal(err)
		}
	}
	if len(sizes) > 4 {
		t.Fatalf("messages of 0 to 1800 octets show %d sizes", len(sizes))
	}
	env := a.seal(t, id, strings.Repeat("x", MaxPlaintext))
	if _, err := b.open(id, env); err != nil || len(env) > 56<<10 {
		t.Fatalf("largest message: %d octets, %v", len(env), err)
	}
}

func FuzzOpen(f *testing.F) {
	a, b := newPeer(f, "a"), newPeer(f, "b")
	id := chat(f, a, b)
	f.Add(a.seal(f, id, "x"))
	com, _ := a.Commit(a.rows, id, Change{})
	f.Add(com.Message)
	f.Fuzz(func(t *testing.T, env []byte) {
		rows := maps.Clone(b.rows)
		if _, err := b.Session(rows, id).Open(env); err != nil && !maps.EqualFunc(rows, b.rows, bytes.Equal) {
			t.Fatal("a refused message changed the store")
		}
		b.Process(rows, id, env)
		b.Join(rows, messaging.NewChatID(), env)
		CheckKeyPackage(env, a.id, time.Now())
	})
}

func BenchmarkSealOpen(b *testing.B) {
	x, y := newPeer(b, "x"), newPeer(b, "y")
	id := chat(b, x, y)
	text := strings.Repeat("x", 1024)
	for b.Loop() {
		if _, err := y.open(id, x.seal(b, id, text)); err != nil {
			b.Fatal(err)
		}
	}
}
