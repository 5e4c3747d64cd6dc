package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/parleypay/parley/messaging"
)

var (
	alice = messaging.DeviceID{1}
	bob   = messaging.DeviceID{2}
	chat  = messaging.ChatID{3}
)

// samples holds one full frame of each type.
func samples() []Frame {
	return []Frame{
		&Hello{Versions: []uint{1, 2}},
		&Challenge{Version: 1, Relay: RelayID{9}, Nonce: [32]byte{8}, Jurisdiction: "eu"},
		&Auth{Device: alice, Signature: [64]byte{7}},
		&Register{Key: [32]byte{6}, Token: "token", Jurisdiction: "eu", Signature: [64]byte{7}},
		&Ready{MaxTTL: 2592000, MaxMemTTL: 600, PingEvery: 30, KeyPackages: []Stock{{1, 100, true}, {0xF002, 7, false}}},
		&PublishKeyPackages{Req: 1, Packages: [][]byte{{1}, {2, 3}}, LastResort: []byte{4}, Suite: 0xF002},
		&ClaimKeyPackage{Req: 2, Device: bob, Suites: []uint16{0xF002, 1}},
		&KeyPackage{Re: 2, Device: bob, Package: []byte{5}, LastResort: true, Suite: 1},
		&CountKeyPackages{Req: 3},
		&KeyPackageCount{Re: 3, Stock: []Stock{{1, 7, true}}},
		&Send{Req: 4, ID: [16]byte{4}, To: []messaging.DeviceID{alice, bob}, TTL: 60, Class: Memory, Body: []byte("sealed")},
		&Commit{Req: 5, ID: [16]byte{5}, Group: chat, Prev: 1, Body: []byte("commit"), To: []messaging.DeviceID{alice}, WelcomeTo: []messaging.DeviceID{bob}, Welcome: []byte("welcome")},
		&Accepted{Re: 5, ID: [16]byte{5}, Class: Durable, Head: 2},
		&Conflict{Re: 5, ID: [16]byte{5}, Head: 3},
		&Sync{Req: 6, Durable: Cursor{1, 2}, Memory: Cursor{3, 4}, Run: 9},
		&Reset{Class: Durable, Incarnation: 5},
		&Deliver{Class: Durable, Cursor: Cursor{1, 3}, Kind: KindCommit, ID: [16]byte{5}, At: 1, Expires: 2, Body: []byte("commit"), Group: chat, Head: 2},
		&Synced{Re: 6, Durable: Cursor{1, 3}, Memory: Cursor{3, 4}, Run: 8},
		&Ack{Class: Durable, Cursor: Cursor{1, 3}},
		&Ping{Nonce: 1},
		&Pong{Nonce: 1},
		&Failure{Re: 4, Code: CodeRate, Text: "too many", Fatal: true},
	}
}

func TestEveryFrameComesBackUnchanged(t *testing.T) {
	seen := map[Type]bool{}
	for _, f := range samples() {
		seen[f.Type()] = true
		b, err := Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(b)
		if err != nil {
			t.Fatalf("%v: %v", f.Type(), err)
		}
		if !reflect.DeepEqual(f, back) {
			t.Errorf("%v: got %+v", f.Type(), back)
		}
	}
	for n := Type(1); newFrame(n) != nil; n++ {
		if !seen[n] || n.String() == "unknown frame" {
			t.Errorf("no sample or no name for type %d", n)
		}
	}
}

// The octets that docs/protocol.md shows.
func TestKnownEncodings(t *testing.T) {
	for _, c := range []struct {
		f    Frame
		want string
	}{
		{&Hello{Versions: []uint{1}}, "830101a1018101"},
		{&Ping{}, "830114a0"},
		{&Ack{Class: Durable, Cursor: Cursor{7, 260}}, "830113a2010102a2010702190104"},
		{&Send{Req: 1, ID: [16]byte{0xaa}, To: []messaging.DeviceID{{0xbb}}, Class: Durable, Body: []byte("hi")},
			"83010ba50101" + "0250aa" + strings.Repeat("00", 15) + "038154bb" + strings.Repeat("00", 19) + "0501" + "06426869"},
	} {
		b, err := Encode(c.f)
		if err != nil || hex.EncodeToString(b) != c.want {
			t.Errorf("%v: %x, %v; want %s", c.f.Type(), b, err, c.want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	id16 := "0250" + strings.Repeat("00", 16)
	to := "038154" + strings.Repeat("00", 20)
	for name, c := range map[string]struct{ frame, want string }{
		"empty":                   {"", "a frame is the array"},
		"not an array":            {"a1010203", "a frame is the array"},
		"array of 2":              {"820114a0", "a frame is the array"},
		"indefinite array":        {"9f0114a0ff", "a frame is the array"},
		"version 0":               {"830014a0", "unknown version"},
		"version 2":               {"830214a0", "unknown version"},
		"type 0":                  {"830100a0", "unknown frame type"},
		"type 23":                 {"830117a0", "unknown frame type"},
		"long form of the type":   {"83011814a0", "unknown frame type"},
		"body missing":            {"830114", "a frame is the array"},
		"body cut":                {"830114a101", "too early"},
		"body is a list":          {"83011480", "wrong type"},
		"octets after the body":   {"830114a000", "octets after"},
		"unknown key":             {"830114a10901", "unknown key"},
		"text key":                {"830114a1616e01", "unknown key"},
		"key twice":               {"830114a201010102", "twice"},
		"keys out of order":       {"830113a202a001" + "01", "deterministic"},
		"zero that is written":    {"830114a10100", "deterministic"},
		"long form of a number":   {"830114a1011801", "deterministic"},
		"float":                   {"830114a101f93c00", "wrong type"},
		"negative":                {"830114a10120", "wrong type"},
		"tag":                     {"830114a101c101", "tag"},
		"null":                    {"830114a101f6", "deterministic"},
		"indefinite map":          {"830114bf0101ff", "indefinite"},
		"indefinite byte string":  {"830108a40101025f41ffff03410104f5", "indefinite"},
		"nesting":                 {"830114a1018181818181818101", "malformed or beyond a bound"},
		"list of 2^32":            {"830101a1019b0000000100000000", "malformed or beyond a bound"},
		"map of 2^32":             {"830101bb0000000100000000", "malformed or beyond a bound"},
		"byte string of 2^40":     {"83010ba1065b0000010000000000", "too early"},
		"text not UTF-8":          {"830116a203" + "61ff" + "0201", "malformed"},
		"no versions":             {"830101a0", "versions"},
		"request 0":               {"830109a0", "request number"},
		"short id":                {"83010ba50101024100" + to + "0501" + "064101", "deterministic"},
		"short device":            {"83010ba50101" + id16 + "03814100" + "0501" + "064101", "deterministic"},
		"no recipients":           {"83010ba40101" + id16 + "0501" + "064101", "to: empty"},
		"recipient twice":         {"83010ba50101" + id16 + "0382" + strings.Repeat("54"+strings.Repeat("00", 20), 2) + "0501" + "064101", "named twice"},
		"no body":                 {"83010ba40101" + id16 + to + "0501", "body"},
		"class 0":                 {"83010ba40101" + id16 + to + "064101", "class"},
		"class 3":                 {"83010ba50101" + id16 + to + "0503" + "064101", "class"},
		"welcome without devices": {"83010ca50101" + id16 + "0350" + strings.Repeat("00", 16) + "05410108" + "4101", "welcome"},
	} {
		raw, err := hex.DecodeString(c.frame)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f, err := Decode(raw)
		var we *Error
		if !errors.As(err, &we) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v; want %q", name, f, err, c.want)
		}
	}
}

func TestBounds(t *testing.T) {
	many := make([]messaging.DeviceID, MaxRecipients+1)
	for i := range many {
		many[i][0], many[i][1] = byte(i), byte(i>>8)
	}
	body, handshake := bytes.Repeat([]byte{1}, MaxBody), bytes.Repeat([]byte{1}, MaxHandshake)
	seventeen := make([][]byte, 17)
	for i := range seventeen {
		seventeen[i] = make([]byte, MaxPackage)
	}
	for name, f := range map[string]Frame{
		"recipients":          &Send{Req: 1, To: many, Class: Durable, Body: []byte{1}},
		"body":                &Send{Req: 1, To: many[:1], Class: Durable, Body: append(body, 1)},
		"body and welcome":    &Commit{Req: 1, Body: handshake, Welcome: []byte{1}, WelcomeTo: many[:1]},
		"commit and welcome":  &Commit{Req: 1, Body: []byte{1}, To: many[:2], Welcome: []byte{1}, WelcomeTo: many[1:3]},
		"packages":            &PublishKeyPackages{Req: 1, Suite: 1, Packages: make([][]byte, MaxPackages+1)},
		"package":             &PublishKeyPackages{Req: 1, Suite: 1, Packages: [][]byte{make([]byte, MaxPackage+1)}},
		"frame":               &PublishKeyPackages{Req: 1, Suite: 1, Packages: seventeen},
		"last resort":         &PublishKeyPackages{Req: 1, Suite: 1, LastResort: make([]byte, MaxPackage+1)},
		"publish for suite 0": &PublishKeyPackages{Req: 1, Packages: [][]byte{{1}}},
		"package of suite 0":  &KeyPackage{Re: 1, Package: []byte{1}},
		"claim of nothing":    &ClaimKeyPackage{Req: 1},
		"claim of suite 0":    &ClaimKeyPackage{Req: 1, Suites: []uint16{1, 0}},
		"claim twice":         &ClaimKeyPackage{Req: 1, Suites: []uint16{1, 2, 1}},
		"claim of many":       &ClaimKeyPackage{Req: 1, Suites: []uint16{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		"stock of suite 0":    &KeyPackageCount{Re: 1, Stock: []Stock{{0, 1, false}}},
		"stock out of order":  &Ready{KeyPackages: []Stock{{2, 1, false}, {1, 1, false}}},
		"stock of many":       &Ready{KeyPackages: []Stock{{1, 1, false}, {2, 1, false}, {3, 1, false}, {4, 1, false}, {5, 1, false}, {6, 1, false}, {7, 1, false}, {8, 1, false}, {9, 1, false}}},
		"long message":        &Deliver{Class: Durable, Kind: KindMessage, Body: append(body, 1)},
		"long welcome":        &Deliver{Class: Durable, Kind: KindWelcome, Body: append(handshake, 1), Head: 1},
		"token":               &Register{Token: strings.Repeat("x", MaxText+1)},
		"text":                &Failure{Code: CodeRate, Text: strings.Repeat("x", MaxText+1)},
		"versions":            &Hello{Versions: make([]uint, MaxVersions+1)},
		"kind":                &Deliver{Class: Durable, Kind: 4, Body: []byte{1}, Head: 1},
		"message with head":   &Deliver{Class: Durable, Kind: KindMessage, Body: []byte{1}, Head: 1},
		"times":               &Deliver{Class: Durable, Kind: KindMessage, Body: []byte{1}, At: 2, Expires: 1},
	} {
		if b, err := Encode(f); err == nil {
			t.Errorf("%s: encoded to %d octets", name, len(b))
		}
	}
	for name, f := range map[string]Frame{
		"largest send":    &Send{Req: 1<<64 - 1, To: many[:MaxRecipients], Class: Durable, TTL: 1<<32 - 1, Body: body},
		"largest deliver": &Deliver{Class: Durable, Cursor: Cursor{1<<64 - 1, 1<<64 - 1}, Kind: KindCommit, At: 1, Expires: 1 << 62, Body: handshake, Group: chat, Head: 1<<64 - 1},
		"largest commit":  &Commit{Req: 1<<64 - 1, Prev: 1<<64 - 1, Body: handshake[:MaxHandshake-1], To: many[:MaxRecipients-1], Welcome: []byte{1}, WelcomeTo: many[MaxRecipients-1 : MaxRecipients]},
	} {
		b, err := Encode(f)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := Decode(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Decode(make([]byte, MaxFrame+1)); err == nil {
		t.Error("a frame over the limit was read")
	}
}

// An error must not repeat what the peer sent: it ends in logs.
func TestErrorsDoNotRepeatContent(t *testing.T) {
	secret := "FLAT-WHITE"
	for _, raw := range [][]byte{
		append([]byte{0x83, 1, 20, 0xa1, 0x6a}, secret+"\x01"...),
		append([]byte{0x83, 1, 20, 0xa1, 0x01, 0x6a}, secret...),
		append([]byte{0x83, 1, 20, 0xa2, 0x6a}, secret+"\x01\x6a"+secret+"\x01"...),
	} {
		if _, err := Decode(raw); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("got %v", err)
		}
	}
}

func TestAuthBindsEverything(t *testing.T) {
	public, private, _ := ed25519.GenerateKey(nil)
	other, _, _ := ed25519.GenerateKey(nil)
	c := &Challenge{Version: 1, Relay: RelayID{1}, Nonce: [32]byte{2}, Jurisdiction: "eu"}
	a, r := SignAuth(c, private), SignRegister(c, private, "token")
	if !a.Verify(c, public) {
		t.Fatal("a good signature is refused")
	}
	if id, ok := r.Verify(c); !ok || id != messaging.DeviceIDOf(public) {
		t.Fatal("a good registration is refused")
	}
	if a.Verify(c, other) || a.Verify(c, nil) {
		t.Error("another key passes")
	}
	for name, d := range map[string]Challenge{
		"relay": {Version: 1, Relay: RelayID{2}, Nonce: c.Nonce},
		"nonce": {Version: 1, Relay: c.Relay, Nonce: [32]byte{3}},
	} {
		if a.Verify(&d, public) {
			t.Errorf("auth for another %s passes", name)
		}
		if _, ok := r.Verify(&d); ok {
			t.Errorf("registration for another %s passes", name)
		}
	}
	moved := *r
	moved.Jurisdiction = "us"
	if _, ok := moved.Verify(c); ok {
		t.Error("registration for another jurisdiction passes")
	}
	cross := Auth{Device: a.Device, Signature: r.Signature}
	if cross.Verify(c, public) {
		t.Error("the signature of a registration passes as auth")
	}
	if DeliveryID(alice, [16]byte{1}) == DeliveryID(bob, [16]byte{1}) || DeliveryID(alice, [16]byte{1}) == DeliveryID(alice, [16]byte{2}) {
		t.Error("delivery ids collide")
	}
}

// FuzzDecode checks that no octets make Decode panic and that what it accepts has one encoding.
func FuzzDecode(f *testing.F) {
	for _, s := range samples() {
		b, err := Encode(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0x83, 1, 20, 0xbf, 0xff})
	f.Add([]byte{0x83, 1, 1, 0xa1, 1, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Encode(frame)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x was accepted and comes back as %x, %v", b, again, err)
		}
	})
}
