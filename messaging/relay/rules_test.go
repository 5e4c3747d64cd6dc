package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/relay/bench"
	"github.com/parleypay/parley/messaging/relay/mailbox"
	"github.com/parleypay/parley/messaging/wire"
)

func TestConfigSaysAllThatIsWrong(t *testing.T) {
	_, err := New(Config{MetricsAddr: "0.0.0.0:9", MemoryTTLMax: time.Hour, PongTimeout: time.Second, StoreMaxBytes: 1})
	for _, want := range []string{"StoreDir is required", "MetricsAddr", "MemoryTTLMax", "PongTimeout", "StoreMaxBytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not tell of %s", err, want)
		}
	}
	if err := (Config{StoreDir: "/var/lib/parley-relay"}).Check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	if _, err := New(Config{StoreDir: filepath.Join(os.TempDir(), "parley-relay-test")}); err == nil || !strings.Contains(err.Error(), "temporary") {
		t.Errorf("a store in the temporary folder: %v", err)
	}
	for addr, want := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, ":1": false, "192.0.2.1:1": false, "x": false} {
		if loopback(addr) != want {
			t.Errorf("loopback(%q) is not %v", addr, want)
		}
	}
}

// Each setting of the store on which a promise rests, as the server took it.
func TestStoreSettings(t *testing.T) {
	x := start(t, Config{})
	js := x.r.store.srv.JetStreamConfig()
	if !js.SyncAlways || js.SyncInterval == 0 {
		t.Errorf("sync always %v, interval %v: an ack would not mean fsynced", js.SyncAlways, js.SyncInterval)
	}
	for n := range stream(streamCount) {
		info, err := x.r.store.streams[n].Info(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		c := info.Config
		if c.Discard != jetstream.DiscardNew || c.Retention != jetstream.LimitsPolicy || c.PersistMode != jetstream.DefaultPersistMode || c.MaxBytes <= 0 || !c.AllowDirect {
			t.Errorf("stream %v: %+v", n, c)
		}
		if n == streamHS && (c.MaxAge != 0 || c.AllowMsgTTL || c.MaxMsgsPerSubject != 1) {
			t.Errorf("heads may expire: %+v", c)
		}
		if (n == streamEPH) != (c.Storage == jetstream.MemoryStorage) {
			t.Errorf("stream %v is stored in %v", n, c.Storage)
		}
	}
	wrong := x.r.store.streamConfig(streamMBX)
	wrong.Discard = jetstream.DiscardOld
	if sameStream(x.r.store.streamConfig(streamMBX), wrong) == nil {
		t.Error("a stream that drops old messages passes")
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	x := start(t, Config{})
	if _, err := New(x.cfg); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v", err)
	}
}

func TestStoreWithoutItsKeyIsRefused(t *testing.T) {
	x := start(t, Config{})
	x.down()
	key := filepath.Join(x.cfg.StoreDir, "relay.key")
	good, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(key)
	if _, err := New(x.cfg); err == nil || !strings.Contains(err.Error(), "key file") {
		t.Errorf("without the key: %v", err)
	}
	os.WriteFile(key, []byte("short"), 0o600)
	if _, err := New(x.cfg); err == nil {
		t.Error("with a malformed key it starts")
	}
	os.WriteFile(key, good, 0o600)
	x.up()
}

func TestAuthentication(t *testing.T) {
	x := start(t, Config{Tokens: []string{"one", "two"}, Jurisdiction: "eu"})
	key := newKey()
	fails := func(code wire.Code, answer func(*wire.Challenge) wire.Frame) {
		t.Helper()
		c := x.raw()
		c.write(&wire.Hello{Versions: []uint{9, 1}})
		ch := want[*wire.Challenge](c)
		if ch.Jurisdiction != "eu" || ch.Relay != x.r.ID() {
			t.Errorf("challenge %+v", ch)
		}
		c.write(answer(ch))
		if f := c.wantFailure(code); !f.Fatal {
			t.Error("the refusal is not fatal")
		}
		if _, err := c.Read(); err == nil {
			t.Error("the connection goes on")
		}
	}
	fails(wire.CodeAuth, func(c *wire.Challenge) wire.Frame { return wire.SignAuth(c, key) }) // unknown device
	fails(wire.CodeToken, func(c *wire.Challenge) wire.Frame { return wire.SignRegister(c, key, "") })
	fails(wire.CodeToken, func(c *wire.Challenge) wire.Frame { return wire.SignRegister(c, key, "three") })
	fails(wire.CodeJurisdiction, func(c *wire.Challenge) wire.Frame { c.Jurisdiction = "us"; return wire.SignRegister(c, key, "one") })
	fails(wire.CodeAuth, func(c *wire.Challenge) wire.Frame {
		r := wire.SignRegister(c, key, "one")
		r.Signature[0] ^= 1
		return r
	})
	fails(wire.CodeOrder, func(c *wire.Challenge) wire.Frame { return &wire.Sync{Req: 1} })
	c, err := bench.Dial(context.Background(), x.url(), key, "two", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	fails(wire.CodeAuth, func(c *wire.Challenge) wire.Frame { // a registered device, another's signature
		a := wire.SignAuth(c, newKey())
		a.Device = idOf(key)
		return a
	})
	fails(wire.CodeAuth, func(c *wire.Challenge) wire.Frame { // an old challenge
		c.Nonce[0] ^= 1
		return wire.SignAuth(c, key)
	})
	x.down()
	x.up()
	if c, err = bench.Dial(context.Background(), x.url(), key, "-", nil); err != nil { // a registration is durable
		t.Fatal(err)
	}
	c.Close()
	if c, err = bench.Dial(context.Background(), x.url(), key, "", nil); err != nil { // and may be repeated, then without a token
		t.Fatal(err)
	}
	c.Close()

	early := x.raw()
	early.write(&wire.Sync{Req: 1})
	early.wantFailure(wire.CodeOrder)
	old := x.raw()
	old.write(&wire.Hello{Versions: []uint{2}})
	old.wantFailure(wire.CodeVersion)
}

func TestRequestsThatAreRefused(t *testing.T) {
	x := start(t, Config{})
	a, kb := x.dial(newKey()), newKey()
	b := x.dial(kb)
	a.write(&wire.Send{Req: 1, To: []messaging.DeviceID{idOf(kb), {9}}, Class: wire.Durable, Body: []byte("x")})
	a.wantFailure(wire.CodeUnknownDevice)
	a.write(&wire.Commit{Req: 2, To: []messaging.DeviceID{idOf(kb)}, Body: []byte("x"), WelcomeTo: []messaging.DeviceID{{9}}, Welcome: []byte("x")})
	a.wantFailure(wire.CodeUnknownDevice)
	a.write(&wire.Send{Req: 3, To: []messaging.DeviceID{idOf(kb)}, Class: wire.Memory, TTL: 601, Body: []byte("x")})
	a.wantFailure(wire.CodeTTL)
	a.write(&wire.ClaimKeyPackage{Req: 4, Device: messaging.DeviceID{9}, Suites: []uint16{1}})
	a.wantFailure(wire.CodeUnknownDevice)
	a.write(&wire.Ack{Class: wire.Durable})
	a.wantFailure(wire.CodeStaleCursor)
	if got, _ := b.sync(wire.Cursor{}, wire.Cursor{}); len(got) != 0 {
		t.Errorf("a refused message was delivered: %+v", got[0])
	}
	a.write(&wire.Ping{Nonce: 7}) // the connection goes on
	if p := want[*wire.Pong](a); p.Nonce != 7 {
		t.Error("wrong pong")
	}
	a.write(&wire.Ready{}) // a frame of the relay's own
	if f := a.wantFailure(wire.CodeOrder); !f.Fatal {
		t.Error("not fatal")
	}
}

func TestSixteenWritersOnOneHead(t *testing.T) {
	x := start(t, Config{})
	watcher := newKey()
	w := x.dial(watcher)
	w.sync(wire.Cursor{}, wire.Cursor{})
	group := messaging.NewChatID()
	const writers, steps = 16, 5
	var mu sync.Mutex
	wins := map[uint64]int{}
	var all sync.WaitGroup
	for range writers {
		c := x.dial(newKey())
		all.Go(func() {
			head := uint64(0)
			for n := 0; n < steps; {
				f := &wire.Commit{Req: c.nextReq(), ID: randomID(), Group: group, Prev: head, Body: []byte("commit"), To: []messaging.DeviceID{idOf(watcher)}}
				c.write(f)
				switch g := c.read().(type) {
				case *wire.Accepted:
					if g.Head != head+1 {
						t.Errorf("commit after %d became %d", head, g.Head)
					}
					mu.Lock()
					wins[g.Head]++
					mu.Unlock()
					head = g.Head
					n++
				case *wire.Conflict:
					if g.Head <= head {
						t.Errorf("conflict at %d although the head is %d", head, g.Head)
					}
					head = g.Head
				default:
					t.Errorf("got %+v", g)
					return
				}
			}
		})
	}
	all.Wait()
	for head := uint64(1); head <= writers*steps; head++ {
		if wins[head] != 1 {
			t.Fatalf("head %d was won %d times", head, wins[head])
		}
		if d := want[*wire.Deliver](w); d.Head != head || d.Group != group || d.Kind != wire.KindCommit {
			t.Fatalf("commit %d came as %+v", head, d)
		}
	}
}

func TestCommitAndWelcome(t *testing.T) {
	x := start(t, Config{})
	a := x.dial(newKey())
	sender := a.Device
	kb, kc := newKey(), newKey()
	b, c := x.dial(kb), x.dial(kc)
	b.sync(wire.Cursor{}, wire.Cursor{})
	c.sync(wire.Cursor{}, wire.Cursor{})
	f := &wire.Commit{Req: 1, ID: randomID(), Group: messaging.NewChatID(), Body: []byte("commit"), To: []messaging.DeviceID{idOf(kb)},
		Welcome: []byte("welcome"), WelcomeTo: []messaging.DeviceID{idOf(kc)}}
	a.write(f)
	if acc := want[*wire.Accepted](a); acc.Head != 1 {
		t.Fatalf("%+v", acc)
	}
	if d := want[*wire.Deliver](b); d.Kind != wire.KindCommit || string(d.Body) != "commit" || d.Head != 1 || d.ID != wire.DeliveryID(a.Device, f.ID) {
		t.Errorf("%+v", d)
	}
	if d := want[*wire.Deliver](c); d.Kind != wire.KindWelcome || string(d.Body) != "welcome" || d.Head != 1 || d.Group != f.Group {
		t.Errorf("%+v", d)
	}
	lose := &wire.Commit{Req: 2, ID: randomID(), Group: f.Group, Body: []byte("late"), To: []messaging.DeviceID{idOf(kb)},
		Welcome: []byte("late"), WelcomeTo: []messaging.DeviceID{idOf(kc)}}
	a.write(lose)
	if g := want[*wire.Conflict](a); g.Head != 1 || g.ID != lose.ID {
		t.Errorf("%+v", g)
	}
	x.down()
	x.up()
	// The answer got lost, the relay restarted, another commit came: a repetition is still answered as what it was.
	second := &wire.Commit{Req: 3, ID: randomID(), Group: f.Group, Prev: 1, Body: []byte("second")}
	d := x.dial(kb)
	d.write(second)
	if acc := want[*wire.Accepted](d); acc.Head != 2 {
		t.Errorf("%+v", acc)
	}
	if v, head := x.r.commits.worker(f.Group).commit(mailbox.Append{Entry: mailbox.Entry{ID: wire.DeliveryID(sender, f.ID)}, Frame: f}); v != mailbox.OK || head != 1 {
		t.Errorf("the repetition: %v %d", v, head)
	}
	if v, head := x.r.commits.worker(f.Group).commit(mailbox.Append{Entry: mailbox.Entry{ID: wire.DeliveryID(idOf(kc), f.ID)}, Frame: f}); v != mailbox.Conflict || head != 2 {
		t.Errorf("another sender's commit with the same id: %v %d", v, head)
	}
	d.sync(wire.Cursor{}, wire.Cursor{})
	e := x.dial(kc)
	if got, _ := e.sync(wire.Cursor{}, wire.Cursor{}); len(got) != 1 {
		t.Errorf("the loser's welcome was delivered: %d entries", len(got))
	}
}

// A relay that stops between the deciding step and the mailboxes does the rest at its next start, once.
func TestCommitOnItsWayIsFinished(t *testing.T) {
	for _, reached := range []bool{false, true} {
		t.Run(fmt.Sprintf("in mailboxes %v", reached), func(t *testing.T) {
			x := start(t, Config{})
			ka, kb := newKey(), newKey()
			x.dial(ka).Close()
			x.dial(kb).Close()
			group := messaging.NewChatID()
			r := redo{ID: wire.DeliveryID(idOf(ka), [16]byte{1}), Head: 1, At: time.Now().UnixMilli(), Expires: time.Now().Add(time.Hour).UnixMilli(),
				Group: group, Body: []byte("commit"), To: []messaging.DeviceID{idOf(kb)}}
			h := head{N: 1, Recent: []recentHead{{r.ID, 1}}}
			if v := x.r.store.decide(0, h, r); v != mailbox.OK {
				t.Fatal(v)
			}
			lost := r
			lost.ID[0] ^= 1
			if v := x.r.store.decide(0, h, lost); v != mailbox.Conflict {
				t.Fatalf("a second first commit: %v", v)
			}
			lost.Body, lost.Group = []byte("undecided"), messaging.NewChatID() // stopped between redo record and head
			data, err := cbor.Marshal(lost)
			if err != nil {
				t.Fatal(err)
			}
			m := nats.NewMsg(lost.subject())
			m.Data = data
			if _, v := x.r.store.put1(streamHS, m); v != mailbox.OK {
				t.Fatal(v)
			}
			if reached {
				done := make(chan mailbox.Verdict)
				e := mailbox.Entry{Kind: wire.KindCommit, ID: r.ID, At: r.At, Expires: r.Expires, Group: group, Head: 1, Body: r.Body}
				x.r.writers[wire.Durable].put(&e, r.To, time.Hour, func(v mailbox.Verdict) { done <- v })
				if v := <-done; v != mailbox.OK {
					t.Fatal(v)
				}
			}
			x.down()
			x.up()
			got, _ := x.dial(kb).sync(wire.Cursor{}, wire.Cursor{})
			if len(got) != 1 || string(got[0].Body) != "commit" || got[0].Head != 1 || got[0].Group != group {
				t.Fatalf("delivered %d entries", len(got))
			}
			for _, r := range []redo{r, lost} {
				if n, err := x.r.store.countSubject(streamHS, r.subject()); n != 0 || err != nil {
					t.Errorf("the redo record remains: %d, %v", n, err)
				}
			}
			// The sender repeats, for want of an answer.
			a := x.dial(ka)
			a.write(&wire.Commit{Req: 1, ID: [16]byte{1}, Group: group, Body: []byte("commit"), To: []messaging.DeviceID{idOf(kb)}})
			if acc := want[*wire.Accepted](a); acc.Head != 1 {
				t.Errorf("%+v", acc)
			}
		})
	}
}

// Concurrent writers without the order that a single relay gives: the store itself lets one win, and every loser sees a conflict.
func TestCompareAndSetOfTheStore(t *testing.T) {
	x := start(t, Config{})
	group := messaging.NewChatID()
	for step := uint64(1); step <= 4; step++ {
		_, seq, err := x.r.store.head(group)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		count := map[mailbox.Verdict]int{}
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				v := x.r.store.decide(seq, head{N: step}, redo{Head: step, Group: group, ID: randomID()})
				mu.Lock()
				defer mu.Unlock()
				count[v]++
			})
		}
		all.Wait()
		if count[mailbox.OK] != 1 || count[mailbox.Conflict] != 15 {
			t.Fatalf("step %d: %v", step, count)
		}
	}
	for _, code := range []jetstream.ErrorCode{codeWrongLastSequence, codeWrongLastSequenceConstant} {
		if v := x.r.store.judge(streamHS, nil, &jetstream.APIError{ErrorCode: code}); v != mailbox.Conflict {
			t.Errorf("code %d is %v", code, v)
		}
	}
	// A batch with one loser stores nothing at all.
	before, _ := x.r.store.streams[streamHS].Info(context.Background())
	m := nats.NewMsg("hs.head.other")
	m2 := nats.NewMsg("hs.head." + group.String())
	m2.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "1")
	if _, err := x.r.store.publish([]*nats.Msg{m, m2}); err == nil {
		t.Error("the batch passed")
	}
	after, _ := x.r.store.streams[streamHS].Info(context.Background())
	if before.State.LastSeq != after.State.LastSeq {
		t.Error("the batch left something")
	}
}

func TestKeyPackagesAreClaimedOnce(t *testing.T) {
	x := start(t, Config{KeyPackagesMax: 40})
	kb := newKey()
	b := x.dial(kb)
	f := &wire.PublishKeyPackages{Req: 1, Suite: 1}
	for i := range 40 {
		f.Packages = append(f.Packages, []byte{byte(i), 1})
	}
	b.write(f)
	if c := want[*wire.KeyPackageCount](b); !slices.Equal(c.Stock, []wire.Stock{{Suite: 1, Count: 40}}) {
		t.Fatalf("%+v", c)
	}
	b.write(&wire.PublishKeyPackages{Req: 2, Suite: 2, Packages: [][]byte{{1}}})
	b.wantFailure(wire.CodeTooManyPackage)
	var mu sync.Mutex
	got := map[byte]int{}
	claim := func(n int) {
		var all sync.WaitGroup
		for range 4 {
			c := x.dial(newKey())
			all.Go(func() {
				for range n {
					c.write(&wire.ClaimKeyPackage{Req: c.nextReq(), Device: idOf(kb), Suites: []uint16{1}})
					k := want[*wire.KeyPackage](c)
					mu.Lock()
					got[k.Package[0]]++
					mu.Unlock()
				}
			})
		}
		all.Wait()
	}
	claim(5)
	x.down()
	x.up()
	claim(5)
	for i := range 40 {
		if got[byte(i)] != 1 {
			t.Fatalf("key package %d was handed out %d times", i, got[byte(i)])
		}
	}
	c := x.dial(newKey())
	c.write(&wire.ClaimKeyPackage{Req: 1, Device: idOf(kb), Suites: []uint16{1}})
	c.wantFailure(wire.CodeNoKeyPackage)
	b = x.dial(kb)
	b.write(&wire.PublishKeyPackages{Req: 1, Suite: 1, LastResort: []byte("last")})
	want[*wire.KeyPackageCount](b)
	for range 2 {
		c.write(&wire.ClaimKeyPackage{Req: 2, Device: idOf(kb), Suites: []uint16{1}})
		if k := want[*wire.KeyPackage](c); string(k.Package) != "last" || !k.LastResort {
			t.Errorf("%+v", k)
		}
	}
	if !slices.Equal(b.Ready.KeyPackages, nil) {
		t.Error("ready counts the last resort package")
	}
}

// A full mailbox refuses its senders and no others; nothing is dropped to make room.
func TestFullMailbox(t *testing.T) {
	x := start(t, Config{MailboxMax: 3})
	a, kb, kc := x.dial(newKey()), newKey(), newKey()
	x.dial(kb).Close()
	x.dial(kc).Close()
	for range 3 {
		a.write(a.message(idOf(kb), "x"))
		want[*wire.Accepted](a)
	}
	a.write(a.message(idOf(kb), "x"))
	a.wantFailure(wire.CodeFull)
	both := a.message(idOf(kc), "both")
	both.To = append(both.To, idOf(kb))
	a.write(both)
	a.wantFailure(wire.CodeFull)
	a.write(a.message(idOf(kc), "other"))
	want[*wire.Accepted](a)
	if got, _ := x.dial(kc).sync(wire.Cursor{}, wire.Cursor{}); len(got) != 1 || string(got[0].Body) != "other" {
		t.Errorf("the other mailbox holds %d entries", len(got))
	}
	b := x.dial(kb)
	got, _ := b.sync(wire.Cursor{}, wire.Cursor{})
	if len(got) != 3 {
		t.Fatalf("the full mailbox holds %d entries", len(got))
	}
	b.write(&wire.Ack{Class: wire.Durable, Cursor: got[1].Cursor})
	for end := time.Now().Add(5 * time.Second); ; { // the deletion is put off a little
		a.write(a.message(idOf(kb), "again"))
		if _, ok := a.read().(*wire.Accepted); ok {
			break
		}
		if time.Now().After(end) {
			t.Fatal("acknowledged entries still take room")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A full store refuses the sender, says so, stays healthy, and keeps everything it acknowledged.
func TestFullStore(t *testing.T) {
	x := start(t, Config{StoreMaxBytes: 16 << 20})
	a, kb := x.dial(newKey()), newKey()
	x.dial(kb).Close()
	body := strings.Repeat("x", wire.MaxBody)
	acked := 0
	for full := false; !full; {
		for range 8 {
			a.write(a.message(idOf(kb), body))
		}
		for range 8 {
			switch f := a.read().(type) {
			case *wire.Accepted:
				acked++
			case *wire.Failure:
				if f.Code != wire.CodeFull {
					t.Fatalf("%+v", f)
				}
				full = true
			}
		}
		if acked > 1000 {
			t.Fatal("the store never fills")
		}
	}
	if err := x.r.Ready(context.Background()); err != nil {
		t.Errorf("a full store is not a broken one: %v", err)
	}
	got, _ := x.dial(kb).sync(wire.Cursor{}, wire.Cursor{})
	if len(got) != acked || acked < 100 {
		t.Errorf("%d acknowledged, %d there", acked, len(got))
	}
}

func TestMemoryClass(t *testing.T) {
	x := start(t, Config{})
	a, kb := x.dial(newKey()), newKey()
	b := x.dial(kb)
	f := a.message(idOf(kb), "fleeting")
	f.Class, f.TTL = wire.Memory, 60
	a.write(f)
	if acc := want[*wire.Accepted](a); acc.Class != wire.Memory {
		t.Errorf("%+v", acc)
	}
	got, end := b.sync(wire.Cursor{}, wire.Cursor{})
	if len(got) != 1 || got[0].Class != wire.Memory || end.Memory != got[0].Cursor {
		t.Fatalf("%+v %+v", got, end)
	}
	x.down()
	x.up()
	b = x.dial(kb)
	b.write(&wire.Sync{Req: 1, Memory: end.Memory})
	if r := want[*wire.Reset](b); r.Class != wire.Memory || r.Incarnation == end.Memory.Incarnation {
		t.Errorf("%+v", r)
	}
	want[*wire.Synced](b)
}

func TestStoreThatFailsEndsTheRelay(t *testing.T) {
	x := start(t, Config{MetricsAddr: "127.0.0.1:0"})
	a, kb := x.dial(newKey()), newKey()
	x.dial(kb).Close()
	if s, _ := get(t, x, "/readyz"); s != http.StatusOK {
		t.Fatalf("ready: %d", s)
	}
	x.r.store.pub.Close() // as if the stream took no more writes
	a.write(a.message(idOf(kb), "x"))
	a.wantFailure(wire.CodeUnavailable)
	if err := <-x.done; err == nil {
		t.Error("Run ends as if all were well")
	}
	x.stop = nil
}

func TestHealthAndMetricsHoldNoIdentifiers(t *testing.T) {
	var log bytes.Buffer
	x := start(t, Config{MetricsAddr: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	ka, kb := newKey(), newKey()
	a, b := x.dial(ka), x.dial(kb)
	b.sync(wire.Cursor{}, wire.Cursor{})
	group := messaging.NewChatID()
	a.write(a.message(idOf(kb), "x"))
	want[*wire.Accepted](a)
	a.write(&wire.Commit{Req: 9, Group: group, Body: []byte("c"), To: []messaging.DeviceID{idOf(kb)}})
	want[*wire.Accepted](a)
	want[*wire.Deliver](b)
	want[*wire.Deliver](b)
	if s, body := get(t, x, "/healthz"); s != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: %d %q", s, body)
	}
	if s, body := get(t, x, "/readyz"); s != http.StatusOK {
		t.Errorf("readyz: %d %q", s, body)
	}
	s, metrics := get(t, x, "/metrics")
	if s != http.StatusOK || !strings.Contains(metrics, `parley_relay_delivered_total{class="durable"} 2`) || !strings.Contains(metrics, "parley_relay_connections 2") {
		t.Errorf("metrics: %d\n%s", s, metrics)
	}
	x.down()
	for _, id := range []string{idOf(ka).String(), idOf(kb).String(), group.String(), "127.0.0.1"} {
		if strings.Contains(metrics, id) || strings.Contains(log.String(), id) {
			t.Errorf("metrics or log hold %s", id)
		}
	}
}

func get(t *testing.T, x *running, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + x.r.MetricsAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}
