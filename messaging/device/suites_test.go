package device

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
	"github.com/parleypay/parley/messaging/mls"
	"github.com/parleypay/parley/messaging/wire"
)

func classicalOnly(c *Config) { c.Suites = []mls.CipherSuite{mls.X25519AES128GCM} }

func (n *node) suiteOf(chat messaging.ChatID) mls.CipherSuite {
	n.t.Helper()
	c, err := n.Chat(context.Background(), chat)
	if err != nil {
		n.t.Fatal(err)
	}
	return c.Suite
}

// TestSuites checks that a chat gets the best suite that all its devices have, that everybody can see which, and that nobody is added who
// lacks it.
func TestSuites(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	a, b, c := newNode(t, r, "a").start().online(), newNode(t, r, "b").start().online(), newNode(t, r, "c", classicalOnly).start().online()
	ctx := context.Background()
	ab, ac, all := a.chatWith(b), a.chatWith(c), a.chatWith(b, c)
	for _, x := range []struct {
		chat messaging.ChatID
		want mls.CipherSuite
		in   []*node
	}{{ab, mls.XWingAES256GCM, []*node{a, b}}, {ac, mls.X25519AES128GCM, []*node{a, c}}, {all, mls.X25519AES128GCM, []*node{a, b, c}}} {
		var codes []string
		for _, n := range x.in {
			if got := n.suiteOf(x.chat); got != x.want {
				t.Errorf("%s sees suite %v, want %v", n.c.Name, got, x.want)
			}
			info, _ := n.Chat(ctx, x.chat)
			codes = append(codes, info.SafetyCode)
		}
		if len(codes[0]) != 35 || len(slices.Compact(codes)) != 1 {
			t.Errorf("safety codes %q", codes)
		}
		a.say(x.chat, "hello")
	}
	b.waitTexts("hello", "hello")
	c.waitTexts("hello", "hello")
	if err := a.Add(ctx, ab, c.ID()); !errors.Is(err, ErrNoSuite) {
		t.Fatalf("added a device that lacks the chat's suite: %v", err)
	}
	if m, err := b.Members(ctx, ab); err != nil || len(m) != 2 {
		t.Fatalf("%d members, %v", len(m), err)
	}
	before, _ := a.Chat(ctx, ab)
	if err := a.Refresh(ctx, ab); err != nil {
		t.Fatal(err)
	}
	if after, _ := a.Chat(ctx, ab); after.SafetyCode == before.SafetyCode || after.Suite != before.Suite {
		t.Fatalf("%+v after %+v", after, before)
	}
}

func TestRequirePostQuantum(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	require := func(c *Config) { c.RequirePostQuantum = true }
	strict, classical, both := newNode(t, r, "strict", require).start().online(), newNode(t, r, "classical", classicalOnly).start().online(), newNode(t, r, "both").start().online()
	ctx := context.Background()
	if _, err := strict.CreateChat(ctx, classical.ID()); !errors.Is(err, ErrNoSuite) {
		t.Fatalf("a classical chat was made: %v", err)
	}
	if _, err := classical.CreateChat(ctx, strict.ID()); !errors.Is(err, ErrNoSuite) {
		t.Fatalf("a classical chat was made: %v", err)
	}
	if _, err := strict.CreateChat(ctx, both.ID(), classical.ID()); !errors.Is(err, ErrNoSuite) {
		t.Fatalf("a classical chat was made: %v", err)
	}
	if chat := strict.chatWith(both); strict.suiteOf(chat) != mls.XWingAES256GCM {
		t.Fatal("not post-quantum")
	}
	// The rule comes later than the chat: it can be read, and not written to; ChatWith makes a better one when the peer can.
	old := classical.chatWith(both)
	both.c.RequirePostQuantum = true
	both.restart()
	both.online()
	if _, err := both.Send(ctx, old, content.Text("x"), SendOptions{}); !errors.Is(err, ErrNoSuite) {
		t.Fatalf("wrote into a classical chat: %v", err)
	}
	classical.say(old, "still read")
	both.waitTexts("still read")
	if _, err := both.ChatWith(ctx, classical.ID()); !errors.Is(err, ErrNoSuite) {
		t.Fatalf("%v", err)
	}
	classical.c.Suites = nil
	classical.restart()
	classical.online()
	chat, err := both.ChatWith(ctx, classical.ID())
	if err != nil || chat == old || both.suiteOf(chat) != mls.XWingAES256GCM {
		t.Fatalf("%v", err)
	}
}

// TestDowngrade has the relay withhold the post-quantum key packages: the peer's signed capabilities give it away.
func TestDowngrade(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	a, b, c := newNode(t, r, "a").start().online(), newNode(t, r, "b").start().online(), newNode(t, r, "c", classicalOnly).start().online()
	ctx := context.Background()
	r.set(func() { r.onClaim = func(f *wire.ClaimKeyPackage) { f.Suites = f.Suites[len(f.Suites)-1:] } })
	if _, err := a.CreateChat(ctx, b.ID()); !errors.Is(err, ErrDowngrade) {
		t.Fatalf("the downgrade was not noticed: %v", err)
	}
	if chats, err := a.Chats(ctx); err != nil || len(chats) != 0 {
		t.Fatalf("%d chats, %v", len(chats), err)
	}
	if chat := a.chatWith(b, c); a.suiteOf(chat) != mls.X25519AES128GCM { // c has nothing better: no downgrade
		t.Fatal("not classical")
	}
	r.set(func() { r.onClaim = func(f *wire.ClaimKeyPackage) { f.Suites = []uint16{1} } })
	if _, err := a.claim(ctx, []messaging.DeviceID{b.ID()}, []mls.CipherSuite{mls.XWingAES256GCM}); err == nil {
		t.Fatal("took a key package of a suite that was not asked for")
	}
}

func TestSuitesConfig(t *testing.T) {
	for _, c := range []Config{
		{Suites: []mls.CipherSuite{mls.P256AES128GCM}},
		{Suites: []mls.CipherSuite{0}},
		{Suites: []mls.CipherSuite{mls.X25519AES128GCM, mls.X25519AES128GCM}},
		{Suites: []mls.CipherSuite{mls.X25519AES128GCM}, RequirePostQuantum: true},
	} {
		if _, err := c.suites(); err == nil || !strings.Contains(err.Error(), "uites") {
			t.Errorf("%v: %v", c.Suites, err)
		}
	}
	if got, err := (&Config{RequirePostQuantum: true}).suites(); err != nil || !slices.Equal(got, []mls.CipherSuite{mls.XWingAES256GCM}) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestForgedKeyPackages hands out key packages that are not the peer's, or not whole.
func TestForgedKeyPackages(t *testing.T) {
	t.Parallel()
	r := newFakeRelay(t)
	a, b, m := newNode(t, r, "a").start().online(), newNode(t, r, "b").start().online(), newNode(t, r, "mallory")
	ctx := context.Background()
	make := func(change func(*mls.KeyPackageOptions)) []byte {
		t.Helper()
		var raw []byte
		err := m.s.update(ctx, func(t *tx) error {
			o := m.keyPackageOptions(mls.XWingAES256GCM)
			change(&o)
			k, err := m.mls.NewKeyPackage(rows{t: t}, o)
			if err == nil {
				raw, err = (&mls.MLSMessage{KeyPackage: k}).Marshal()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	whole := func() []byte {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.boxes[b.ID()].packages[uint16(mls.XWingAES256GCM)][0]
	}()
	broken := bytes.Clone(whole)
	broken[len(broken)-1] ^= 1
	for name, raw := range map[string][]byte{
		"of another device":          make(func(*mls.KeyPackageOptions) {}),
		"with a stolen device id":    make(func(o *mls.KeyPackageOptions) { o.Credential = credential(b.ID(), "b") }),
		"with a name that turns":     make(func(o *mls.KeyPackageOptions) { o.Credential = credential(m.ID(), "a\u202eb") }),
		"that expired":               make(func(o *mls.KeyPackageOptions) { o.Lifetime = mls.Lifetime{NotBefore: 1, NotAfter: 2} }),
		"with a broken signature":    broken,
		"that is no key package":     []byte("noise"),
		"with octets after it":       append(bytes.Clone(whole), 0),
		"of a suite not asked for":   make(func(o *mls.KeyPackageOptions) { o.Suite = mls.XWingAES128GCM }),
		"with an identity too short": make(func(o *mls.KeyPackageOptions) { o.Credential = mls.BasicCredential([]byte("b")) }),
	} {
		r.set(func() { r.boxes[b.ID()].packages[uint16(mls.XWingAES256GCM)] = [][]byte{raw} })
		if _, err := a.CreateChat(ctx, b.ID()); err == nil {
			t.Errorf("a key package %s was taken", name)
		}
	}
	if chats, err := a.Chats(ctx); err != nil || len(chats) != 0 {
		t.Fatalf("%d chats, %v", len(chats), err)
	}
}

// TestOnlyAddAndRemove has a member send handshakes that RFC 9420 allows and chats do not.
func TestOnlyAddAndRemove(t *testing.T) {
	t.Parallel()
	r, a, b, chat := pair(t)
	ctx := context.Background()
	bad := func(what string, make func(g *mls.Group, x rows) ([]byte, error)) {
		t.Helper()
		var message []byte
		undo := errors.New("undo")
		err := a.s.update(ctx, func(t *tx) error {
			free, err := mls.NewClient(mls.Config{Identity: authority{}, Signers: a.signers(), Now: a.now}) // without our rule
			if err != nil {
				return err
			}
			g, err := free.Load(rows{t, chat})
			if err != nil {
				return err
			}
			if message, err = make(g, rows{t, chat}); err != nil {
				return err
			}
			return undo
		})
		if !errors.Is(err, undo) {
			t.Fatal(what, err)
		}
		before := b.Stats()
		for _, kind := range []wire.Kind{wire.KindCommit, wire.KindMessage} {
			d := &wire.Deliver{Kind: kind, Body: message}
			if kind == wire.KindCommit {
				d.Group, d.Head = chat, 1
			}
			r.inject(b.ID(), d)
		}
		eventually(t, what+" is thrown away", func() bool { return b.Stats().Bad == before.Bad+2 })
	}
	commit := func(o mls.CommitOptions) func(*mls.Group, rows) ([]byte, error) {
		return func(g *mls.Group, x rows) ([]byte, error) {
			p, err := g.Commit(x, o)
			if err != nil {
				return nil, err
			}
			return p.Message(), nil
		}
	}
	bad("a commit with extensions", commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.GroupContextExtensions{}}}))
	bad("a commit that closes the group", commit(mls.CommitOptions{Proposals: []mls.Proposal{&mls.ReInit{GroupID: []byte("other"), Version: mls.MLS10, Suite: mls.XWingAES256GCM}}}))
	bad("a public commit", commit(mls.CommitOptions{Public: true}))
	bad("a proposal", func(g *mls.Group, x rows) ([]byte, error) { return g.ProposeUpdate(x, mls.UpdateOptions{}) })
	if c, err := b.Chat(ctx, chat); err != nil || c.Epoch != 1 {
		t.Fatalf("epoch %d, %v", c.Epoch, err)
	}
	b.say(chat, "as before") // no stored proposal stands in the way
	a.waitTexts("as before")
}

// TestNames are those that a device takes for itself and from others.
func TestNames(t *testing.T) {
	for _, n := range []string{"", strings.Repeat("x", MaxName+1), "a\x00", "a\u202eb", "\xff", "a\nb"} {
		if CheckName(n) == nil {
			t.Errorf("%q accepted", n)
		}
	}
	if err := CheckName(strings.Repeat("ü", MaxName/2)); err != nil {
		t.Error(err)
	}
	if _, err := memberOf(credential(messaging.DeviceID{1}, "x"), make([]byte, ed25519.PublicKeySize)); err == nil {
		t.Error("a device id that is not the key's")
	}
	if (authority{}).ValidSuccessor(credential(messaging.DeviceID{1}, "x"), credential(messaging.DeviceID{1}, "y")) == nil {
		t.Error("a member changed its name")
	}
	if (authority{}).SameClient(mls.BasicCredential(nil), mls.BasicCredential(nil)) {
		t.Error("two credentials without a device are one client")
	}
}

// TestStatePerMessage measures what a message makes the group write.
func TestStatePerMessage(t *testing.T) {
	t.Parallel()
	_, a, b, chat := pair(t)
	a.say(chat, "the first derives the ratchets")
	eventually(t, "receipts", emptyOutbox(a))
	heads := func(n *node) (all map[string]int) {
		all = map[string]int{}
		n.s.view(context.Background(), func(t *tx) error {
			return t.rows(`SELECT k, v FROM mls`, nil, func(scan func(...any) error) error {
				var k, v []byte
				err := scan(&k, &v)
				all[string(append(k, v...))] = len(k) + len(v)
				return err
			})
		})
		return all
	}
	for _, n := range []*node{a, b} {
		before := heads(n)
		if n == a {
			a.say(chat, "x")
			b.waitTexts("the first derives the ratchets", "x")
		} else {
			a.say(chat, "y")
			b.waitTexts("the first derives the ratchets", "x", "y")
		}
		eventually(t, "receipts", emptyOutbox(a))
		written, rows := 0, 0
		for k, size := range heads(n) {
			if _, same := before[k]; !same {
				written += size
				rows++
			}
		}
		// The message itself and perhaps the receipt for it: one ratchet head each, as it is on disk, sealed and with its key.
		if rows == 0 || rows > 2 || written > rows*200 {
			t.Errorf("%s wrote %d octets in %d rows", n.c.Name, written, rows)
		}
	}
}

// TestPostQuantumGroup is a chat of many devices with post-quantum keys: its commits are far larger than a message may be.
func TestPostQuantumGroup(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 24 devices")
	}
	t.Parallel()
	r := newFakeRelay(t)
	largest := 0
	r.set(func() {
		r.onCommit = func(c *wire.Commit) wire.Frame { largest = max(largest, len(c.Body)+len(c.Welcome)); return nil }
	})
	var all []*node
	for range 24 {
		all = append(all, newNode(t, r, "n", func(c *Config) { c.KeyPackages = 1 }).start().online())
	}
	chat := all[0].chatWith(all[1:]...)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := all[5].Refresh(ctx, chat); err != nil {
		t.Fatal(err)
	}
	all[7].say(chat, "hello")
	for i, n := range all {
		if i != 7 {
			n.waitTexts("hello")
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if largest <= wire.MaxBody {
		t.Fatalf("the largest commit had %d octets: the test shows nothing", largest)
	}
}
