package relay

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/relay/bench"
	"github.com/parleypay/parley/messaging/relay/mailbox"
	"github.com/parleypay/parley/messaging/wire"
)

func TestMarksSurviveATornWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "marks")
	m, err := openMarks(path)
	if err != nil || !m.fresh {
		t.Fatal(err)
	}
	id, inc := m.relay, m.incarnation
	for seq := uint64(1); seq <= 5; seq++ {
		m.last[streamMBX] = seq
		if err := m.write(); err != nil {
			t.Fatal(err)
		}
	}
	m.f.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newest := int(m.counter%2) * markSlot
	for cut := range markSlotSize {
		torn := bytes.Clone(good)
		clear(torn[newest+cut : newest+markSlotSize])
		if bytes.Equal(torn, good) {
			continue
		}
		os.WriteFile(path, torn, 0o600)
		m, err := openMarks(path)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if m.relay != id || m.incarnation != inc || m.last[streamMBX] != 4 {
			t.Fatalf("cut at %d: %+v", cut, m.marksData)
		}
		m.f.Close()
	}
	both := bytes.Clone(good)
	both[10] ^= 1
	both[markSlot+10] ^= 1
	os.WriteFile(path, both, 0o600)
	if _, err := openMarks(path); !errors.Is(err, errMarks) {
		t.Errorf("both slots damaged: %v", err)
	}
}

// One flipped bit makes JetStream come back with half a stream and give sequences out again. The relay notices by its mark: a new
// incarnation, sequences above all old ones, devices told to start anew.
func TestFlippedBit(t *testing.T) {
	x := start(t, Config{})
	a, kb := x.dial(newKey()), newKey()
	x.dial(kb).Close()
	const n = 300
	for range n {
		a.write(a.message(idOf(kb), strings.Repeat("x", 500)))
	}
	for range n {
		want[*wire.Accepted](a)
	}
	got, end := x.dial(kb).sync(wire.Cursor{}, wire.Cursor{})
	if len(got) != n {
		t.Fatal(len(got))
	}
	x.down()
	blocks, err := filepath.Glob(filepath.Join(x.cfg.StoreDir, "jetstream", "jetstream", "*", "streams", "MBX", "msgs", "*.blk"))
	if err != nil || len(blocks) == 0 {
		t.Fatal(blocks, err)
	}
	b, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 4
	os.WriteFile(blocks[0], b, 0o600)
	os.Remove(filepath.Join(filepath.Dir(blocks[0]), "index.db"))
	x.up()
	if len(x.r.store.replaced) != 1 || x.r.store.replaced[0] != streamMBX {
		t.Fatalf("replaced %v", x.r.store.replaced)
	}
	c := x.dial(kb)
	c.write(&wire.Sync{Req: 1, Durable: end.Durable})
	if r := want[*wire.Reset](c); r.Class != wire.Durable || r.Incarnation == end.Durable.Incarnation {
		t.Errorf("%+v", r)
	}
	want[*wire.Synced](c)
	a = x.dial(newKey())
	a.write(a.message(idOf(kb), "after"))
	want[*wire.Accepted](a)
	if d := want[*wire.Deliver](c); d.Cursor.Seq <= end.Durable.Seq || d.Cursor.Incarnation == end.Durable.Incarnation {
		t.Errorf("sequence %v was given out before: %v", d.Cursor, end.Durable)
	}
	x.down()
	x.up() // and the mark of the new stream holds
	if len(x.r.store.replaced) != 0 {
		t.Errorf("replaced again: %v", x.r.store.replaced)
	}
}

// A store whose high-water file is gone keeps its messages, and trusts no cursor.
func TestMissingMarks(t *testing.T) {
	x := start(t, Config{})
	a, kb := x.dial(newKey()), newKey()
	x.dial(kb).Close()
	a.write(a.message(idOf(kb), "kept"))
	want[*wire.Accepted](a)
	_, end := x.dial(kb).sync(wire.Cursor{}, wire.Cursor{})
	x.down()
	os.Remove(filepath.Join(x.cfg.StoreDir, "marks"))
	x.up()
	if got, now := x.dial(kb).sync(end.Durable, wire.Cursor{}); len(got) != 1 || now.Durable.Incarnation == end.Durable.Incarnation {
		t.Errorf("%d entries, %+v", len(got), now)
	}
}

// The live tail loses what it likes: the holes are filled by reading.
func TestLostTailIsFilled(t *testing.T) {
	x := start(t, Config{})
	a, kb := x.dial(newKey()), newKey()
	b := x.dial(kb)
	b.sync(wire.Cursor{}, wire.Cursor{})
	var n atomic.Int64
	for _, sub := range x.r.store.tailSubs {
		sub.Unsubscribe()
	}
	if _, err := x.r.store.live.Subscribe("live.*.*", func(m *nats.Msg) {
		if n.Add(1)%3 == 0 {
			x.r.onTail(m)
		}
	}); err != nil {
		t.Fatal(err)
	}
	x.r.store.live.Flush()
	const count = 90
	for i := range count {
		a.write(a.message(idOf(kb), fmt.Sprint(i)))
		want[*wire.Accepted](a)
	}
	for i := range count {
		if d := want[*wire.Deliver](b); string(d.Body) != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", d.Body, i)
		}
	}
}

// More devices than a stream may have consumers, each connected and each served.
func TestAThousandAndOneDevices(t *testing.T) {
	x := start(t, Config{ConnectRate: 1e5, RegisterRate: 1e5})
	const n = 1001
	clients := make([]*client, n)
	var wg sync.WaitGroup
	gate := make(chan struct{}, 32)
	for i := range clients {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			c, err := bench.Dial(context.Background(), x.url(), newKey(), "", nil)
			if err != nil {
				t.Error(err)
				return
			}
			clients[i] = &client{c, t, 0}
			c.Write(&wire.Sync{Req: 1})
			c.Read() // synced
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for i, c := range clients { // each sends to the next
		c.write(c.message(clients[(i+1)%n].Device, fmt.Sprint(i)))
	}
	for i, c := range clients {
		var acc, dlv bool
		for range 2 {
			switch f := c.read().(type) {
			case *wire.Accepted:
				acc = true
			case *wire.Deliver:
				dlv = string(f.Body) == fmt.Sprint((i+n-1)%n)
			}
		}
		if !acc || !dlv {
			t.Fatalf("device %d: accepted %v, delivered %v", i, acc, dlv)
		}
	}
	for _, c := range clients {
		c.Close()
	}
}

// What devices say in the clear is nowhere in the relay's files, log or metrics, and neither is who they are.
func TestCanary(t *testing.T) {
	var log bytes.Buffer
	x := start(t, Config{MetricsAddr: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	ka, kb := newKey(), newKey()
	a := x.dial(ka)
	x.dial(kb).Close()
	canary := "CANARY-FLAT-WHITE-4217"
	group := messaging.NewChatID()
	for range 20 {
		a.write(a.message(idOf(kb), canary))
		want[*wire.Accepted](a)
	}
	a.write(&wire.Commit{Req: 1, Group: group, Body: []byte(canary), To: []messaging.DeviceID{idOf(kb)}})
	want[*wire.Accepted](a)
	a.write(&wire.PublishKeyPackages{Req: 2, Suite: 1, Packages: [][]byte{[]byte(canary)}, LastResort: []byte(canary)})
	want[*wire.KeyPackageCount](a)
	a.WS.WriteMessage(2, []byte(canary)) // a malformed frame, which ends in errors
	closeCode(a.WS)
	_, metrics := get(t, x, "/metrics")
	x.down()
	needles := map[string][]byte{"message": []byte(canary)}
	for name, id := range map[string][]byte{"sender": idBytes(ka), "recipient": idBytes(kb), "group": group[:]} {
		needles[name], needles[name+" in hexadecimal"] = id, []byte(hex.EncodeToString(id))
	}
	files := 0
	check := func(where string, data []byte) {
		for name, needle := range needles {
			if bytes.Contains(data, needle) {
				t.Errorf("%s holds the %s", where, name)
			}
		}
	}
	check("the log", log.Bytes())
	check("the metrics", []byte(metrics))
	filepath.WalkDir(x.cfg.StoreDir, func(path string, d fs.DirEntry, err error) error {
		check("the path "+path, []byte(path))
		if err == nil && d.Type().IsRegular() {
			files++
			data, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			check(path, data)
		}
		return nil
	})
	if files < 10 {
		t.Errorf("only %d files were searched", files)
	}
}

func idBytes(key ed25519.PrivateKey) []byte { id := idOf(key); return id[:] }

const childEnv = "PARLEY_RELAY_TEST_STORE"

// TestMain runs this program as a relay when the kill test asks for one.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		requestTimeout = 3 * time.Second
		r, err := New(Config{Addr: "127.0.0.1:0", StoreDir: dir, UnsafeTempStore: true, StoreMaxBytes: 256 << 20})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("addr", r.Addr())
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		if err := r.Run(ctx); err != nil {
			os.Exit(2)
		}
		return
	}
	os.Exit(m.Run())
}

// killable is a relay in a process of its own.
type killable struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd
	url string
}

func (k *killable) up() {
	k.t.Helper()
	self, err := os.Executable()
	if err != nil {
		k.t.Fatal(err)
	}
	k.cmd = exec.Command(self)
	k.cmd.Env = append(os.Environ(), childEnv+"="+k.dir)
	k.cmd.Stderr = os.Stderr
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := k.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "addr ")
	if !ok {
		k.t.Fatalf("the relay does not start: %q", line)
	}
	k.url = "ws://" + addr
}

func (k *killable) kill() {
	k.cmd.Process.Kill()
	k.cmd.Wait()
}

// The relay process is killed under load, again and again: what it acknowledged is delivered, what was sent again is delivered once, each
// head is won once, each key package handed out once.
func TestKill(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 3
	}
	k := &killable{t: t, dir: filepath.Join(t.TempDir(), "relay")}
	k.up()
	defer k.kill()
	const senders = 4
	kb := newKey()
	dial := func(key ed25519.PrivateKey) *bench.Client {
		c, err := bench.Dial(context.Background(), k.url, key, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	b := dial(kb)
	publish := &wire.PublishKeyPackages{Req: 1, Suite: 1}
	for i := range 60 {
		publish.Packages = append(publish.Packages, []byte{byte(i)})
	}
	b.Write(publish)
	if f, err := b.Read(); err != nil || f.Type() != wire.TypeKeyPackageCount {
		t.Fatal(f, err)
	}
	b.Close()

	ss := make([]*killSender, senders)
	for i := range ss {
		ss[i] = &killSender{t: t, to: idOf(kb), key: newKey(), acked: map[[16]byte]bool{}, claimed: map[byte]int{}, group: messaging.NewChatID()}
	}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for range kills {
		var wg sync.WaitGroup
		for _, s := range ss {
			c := dial(s.key)
			wg.Go(func() { s.run(c) })
		}
		time.Sleep(time.Duration(10+rng.IntN(60)) * time.Millisecond)
		k.kill()
		wg.Wait()
		k.up()
	}
	b = dial(kb)
	b.Write(&wire.Sync{Req: 1})
	got := map[[16]byte]int{}
	heads := map[messaging.ChatID]uint64{}
	for {
		b.WS.SetReadDeadline(time.Now().Add(20 * time.Second))
		f, err := b.Read()
		if err != nil {
			t.Fatal(err)
		}
		if _, done := f.(*wire.Synced); done {
			break
		}
		d := f.(*wire.Deliver)
		got[d.ID]++
		if d.Kind == wire.KindCommit {
			if d.Head != heads[d.Group]+1 {
				t.Errorf("commit %d came after %d", d.Head, heads[d.Group])
			}
			heads[d.Group] = d.Head
		}
	}
	acked, claimed := 0, map[byte]int{}
	for _, s := range ss {
		for id := range s.acked {
			acked++
			if n := got[wire.DeliveryID(idOf(s.key), id)]; n != 1 {
				t.Errorf("an acknowledged message was delivered %d times", n)
			}
		}
		if heads[s.group] < s.head {
			t.Errorf("head %d was acknowledged, %d delivered", s.head, heads[s.group])
		}
		for p, n := range s.claimed {
			claimed[p] += n
		}
	}
	for id, n := range got {
		if n > 1 {
			t.Errorf("%x was delivered %d times", id[:4], n)
		}
	}
	for p, n := range claimed {
		if n > 1 {
			t.Errorf("key package %d was handed out %d times", p, n)
		}
	}
	if acked < kills || len(claimed) == 0 {
		t.Errorf("only %d messages acknowledged and %d key packages claimed in %d lives", acked, len(claimed), kills)
	}
	t.Logf("%d kills, %d messages and commits acknowledged, %d delivered, %d key packages claimed", kills, acked, len(got), len(claimed))
}

// killSender sends messages and commits one after the other, and repeats after a reconnect what was not answered.
type killSender struct {
	t       *testing.T
	key     ed25519.PrivateKey
	to      messaging.DeviceID
	open    wire.Frame // not answered yet
	acked   map[[16]byte]bool
	group   messaging.ChatID
	head    uint64
	n       uint64
	claimed map[byte]int
}

func (s *killSender) run(c *bench.Client) {
	defer c.Close()
	for {
		if s.open == nil {
			s.n++
			switch {
			case s.n%5 == 0:
				s.open = &wire.Commit{Req: s.n, ID: randomID(), Group: s.group, Prev: s.head, Body: []byte("commit"), To: []messaging.DeviceID{s.to}}
			case s.n%9 == 4:
				s.open = &wire.ClaimKeyPackage{Req: s.n, Device: s.to, Suites: []uint16{1}}
			default:
				s.open = &wire.Send{Req: s.n, ID: randomID(), To: []messaging.DeviceID{s.to}, Class: wire.Durable, Body: binary.BigEndian.AppendUint64(nil, s.n)}
			}
		}
		if c.Write(s.open) != nil {
			return
		}
		c.WS.SetReadDeadline(time.Now().Add(20 * time.Second))
		f, err := c.Read()
		if err != nil {
			if _, claim := s.open.(*wire.ClaimKeyPackage); claim {
				s.open = nil // it may be handed out to nobody
			}
			return
		}
		switch f := f.(type) {
		case *wire.Accepted:
			s.acked[f.ID] = true
			if f.Head != 0 {
				if f.Head != s.head+1 {
					s.t.Errorf("commit after %d became %d", s.head, f.Head)
				}
				s.head = f.Head
			}
		case *wire.KeyPackage:
			s.claimed[f.Package[0]]++
		case *wire.Failure:
			if f.Code == wire.CodeUnavailable {
				continue
			}
			if f.Code != wire.CodeNoKeyPackage {
				s.t.Errorf("%+v", f)
			}
		default:
			s.t.Errorf("got %v", f.Type())
		}
		s.open = nil
	}
}

// Ids of stored messages are known after a restart, beyond one page.
func TestRecentIdsAreFoundAgain(t *testing.T) {
	x := start(t, Config{})
	a, kb := x.dial(newKey()), newKey()
	x.dial(kb).Close()
	var ids []mailbox.Key
	for range 700 {
		m := a.message(idOf(kb), "x")
		ids = append(ids, wire.DeliveryID(a.Device, m.ID))
		a.write(m)
		if len(ids)%100 == 0 {
			for range 100 {
				want[*wire.Accepted](a)
			}
		}
	}
	found, err := x.r.store.recent(time.Minute)
	if err != nil || len(found) != len(ids) {
		t.Fatalf("%d found, %v", len(found), err)
	}
	for i, m := range found {
		if m.Key != ids[i] {
			t.Fatalf("message %d is another", i)
		}
	}
	if _, err := x.r.store.streams[streamMBX].GetMsg(context.Background(), 1); errors.Is(err, jetstream.ErrMsgNotFound) {
		t.Error("the messages are gone")
	}
}
