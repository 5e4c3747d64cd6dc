package content

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/messaging"
)

func salted(m Message) Message {
	m.Salt = [16]byte{1, 2, 3}
	return m
}

func encode(t testing.TB, m Message) []byte {
	t.Helper()
	b, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// every is a message with every field in use.
func every() Message {
	id := messaging.MessageID{1, 9}
	m := salted(Payment("application/vnd.example+json", []byte(`{"a":"b"}`), "fallback"))
	m.Replaces, m.InReplyTo, m.Topic = &id, &messaging.MessageID{1, 8}, []byte("topic")
	m.Expires = ExpiresAfterReading(time.Minute)
	m.Extensions = []Extension{{Key: -300, Value: []byte{0x83, 1, 2, 0x61, 'x'}}, {Name: "name", Value: []byte{0xf5}}, {Key: 7, Value: []byte{0xa1, 0, 0x40}}}
	m.SetBridge(BridgeSummary)
	m.Body.Parts = append(m.Body.Parts, Part{Disposition: Attachment, Language: "en", Kind: External, MediaType: "image/png", External: &Link{
		URL: "https://example.com/x", Expires: 5, Size: 1 << 40, EncAlg: 1, Key: []byte("k"), Nonce: []byte("n"), AAD: []byte("a"), HashAlg: 1, Hash: []byte("h"), Description: "d", SuggestedName: "f.png",
	}}, Part{Kind: Null})
	return m
}

func TestRoundTrip(t *testing.T) {
	for name, m := range map[string]Message{
		"text": salted(Text("hello")), "empty": salted(Text("")), "every": every(),
		"reply":  salted(Reply(messaging.MessageID{1}, "yes")),
		"delete": salted(Message{Replaces: &messaging.MessageID{1}}),
		"report": salted(Report{At: time.UnixMilli(1_800_000_000_123), Statuses: []MessageStatus{{messaging.MessageID{1}, Delivered}}}.Message()),
	} {
		t.Run(name, func(t *testing.T) {
			b := encode(t, m)
			got, err := Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if again := encode(t, got); !bytes.Equal(again, b) {
				t.Fatalf("encodes to\n%x, then to\n%x", b, again)
			}
			if got.Text() != m.Text() || got.Bridge() != m.Bridge() || got.Expires != m.Expires || !reflect.DeepEqual(got.Body.Kind, m.Body.Kind) {
				t.Fatalf("got %+v", got)
			}
		})
	}
}

// TestVector is a message written by hand from the draft's CDDL (§4.1), with the id computed by its §3.3.
func TestVector(t *testing.T) {
	m := Message{Salt: [16]byte(unhex("5eed9406c2545547ab6f09f20a18b003")), Expires: Expiry{Seconds: 1_800_000_000}, Body: Part{Disposition: Render, Kind: Single, MediaType: "text/plain", Content: []byte("Hi")}}
	want := "87" + "505eed9406c2545547ab6f09f20a18b003" + "f6" + "40" + "82f41a6b49d200" + "f6" + "a0" + "850160016a746578742f706c61696e424869"
	if got := hex.EncodeToString(encode(t, m)); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	sender, chat := messaging.DeviceID{0xaa}, messaging.ChatID{0xbb}
	id := ID(sender, chat, unhex(want), m.Salt)
	if id[0] != 1 || id == ID(messaging.DeviceID{}, chat, unhex(want), m.Salt) || id == ID(sender, messaging.ChatID{}, unhex(want), m.Salt) {
		t.Fatalf("id %v", id)
	}
	// sha256(0031 "parley:d/aa00…" 0029 "parley:c/bb00…" message salt), first 31 octets
	if got := id.String(); got != vectorID {
		t.Fatalf("id %s, want %s", got, vectorID)
	}
}

// vectorID was computed apart from this package.
const vectorID = "01dac651ebe179d2e15f00e0f149db6c2e81b0c9cf93158df17dacbdea548ae8"

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestRefusals(t *testing.T) {
	good := encode(t, salted(Text("hello")))
	splice := func(old, new string) []byte {
		b := bytes.Replace(good, unhex(old), unhex(new), 1)
		if bytes.Equal(b, good) {
			t.Fatalf("%s is not in %x", old, good)
		}
		return b
	}
	salt := "5001020300000000000000000000000000"
	head := "87" + salt + "f640f6f6a0"
	nest := func(depth int) []byte { // Multi in Multi, each with a Null beside it
		b := unhex("83006000")
		for range depth - 1 {
			b = slices.Concat(unhex("850160030082"), b, unhex("83006000"))
		}
		return append(unhex(head), b...)
	}
	if _, err := Decode(nest(MaxDepth)); err != nil {
		t.Fatalf("%d deep: %v", MaxDepth, err)
	}
	many := append(unhex(head+"850160030098"), MaxParts)
	for range MaxParts {
		many = append(many, unhex("83006000")...)
	}
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"nothing":              {nil, "octet 0"},
		"cut":                  {good[:len(good)-1], "within"},
		"more":                 {append(bytes.Clone(good), 0), "the end"},
		"too large":            {make([]byte, MaxSize+1), "limit"},
		"six items":            {splice("87", "86"), "array of 7"},
		"huge array":           {splice("87", "9bffffffffffffffff"), "within"},
		"long head":            {splice("87", "9807"), "shortest"},
		"indefinite":           {splice("87", "9f"), "definite"},
		"no salt":              {splice(salt, "40"), "salt"},
		"zero salt":            {splice(salt, "50"+strings.Repeat("00", 16)), "random salt"},
		"text salt":            {splice(salt, "70"+strings.Repeat("61", 16)), "salt"},
		"short replaces":       {splice(salt+"f6", salt+"4100"), "32 octets"},
		"expires of one":       {splice("40f6f6a0", "4081f4f6a0"), "array of 2"},
		"expires 0":            {splice("40f6f6a0", "4082f400f6a0"), "above 0"},
		"expires a number":     {splice("40f6f6a0", "4082f41b0000000100000000f6a0"), "at most"},
		"expires relative int": {splice("40f6f6a0", "40820001f6a0"), "relative"},
		"keys not in order":    {splice("f6f6a0", "f6f6a202000100"), "order"},
		"key twice":            {splice("f6f6a0", "f6f6a201000100"), "order"},
		"empty text key":       {splice("f6f6a0", "f6f6a16000"), "1 to 255"},
		"float key":            {splice("f6f6a0", "f6f6a1f93c0000"), "key"},
		"tagged value":         {splice("f6f6a0", "f6f6a107c100"), "tag"},
		"float value":          {splice("f6f6a0", "f6f6a107f93c00"), "float"},
		"deep value":           {splice("f6f6a0", "f6f6a1078181818100"), "deep"},
		"value keys unordered": {splice("f6f6a0", "f6f6a107a202000100"), "order"},
		"large value":          {slices.Concat(unhex("87"+salt+"f640f6f6a107591000"), make([]byte, 4096), unhex("83006000")), "4095"},
		"seventeen extensions": {append(unhex("87"+salt+"f640f6f6b1"), func() (b []byte) {
			for i := range byte(17) {
				b = append(b, i, 0)
			}
			return append(b, unhex("83006000")...)
		}()...), "at most 16"},
		"unknown kind":        {unhex(head + "83006004"), "cardinality"},
		"null with content":   {unhex(head + "8400600040"), "3 items"},
		"multi of one":        {unhex(head + "85016003008183006000"), "2 to"},
		"semantics 3":         {unhex(head + "8501600303828300600083006000"), "semantics"},
		"too deep":            {nest(MaxDepth + 1), "deep"},
		"too many parts":      {many, "parts"},
		"language not UTF-8":  {unhex(head + "830061ff00"), "UTF-8"},
		"media type":          {unhex(head + "850160016374787440"), "media type"},
		"media type newline":  {unhex(head + "850160016a746578742f706c0a696e40"), "media type"},
		"text not UTF-8":      {unhex(head + "850160016a746578742f706c61696e41ff"), "UTF-8"},
		"disposition 256":     {unhex(head + "831901006000"), "disposition"},
		"external, too short": {unhex(head + "8501600269696d6167652f706e6740"), "15 items"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(c.b)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want something with %q", err, c.want)
			}
		})
	}
	for name, m := range map[string]Message{
		"no salt":            Text("x"),
		"no media type":      salted(Message{Body: Part{Kind: Single}}),
		"text not UTF-8":     salted(Text("\xff")),
		"too large":          salted(Text(strings.Repeat("x", MaxSize))),
		"unknown kind":       salted(Message{Body: Part{Kind: 9}}),
		"no link":            salted(Message{Body: Part{Kind: External, MediaType: "a/b"}}),
		"one part":           salted(Message{Body: Part{Kind: Multi, Parts: []Part{{}}}}),
		"the same key twice": salted(Message{Extensions: []Extension{{Key: 1, Value: []byte{0}}, {Key: 1, Value: []byte{1}}}}),
		"two values":         salted(Message{Extensions: []Extension{{Key: 1, Value: []byte{0, 0}}}}),
		"no value":           salted(Message{Extensions: []Extension{{Key: 1}}}),
	} {
		if _, err := Encode(m); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

func TestParts(t *testing.T) {
	m := every()
	if b, ok := m.Part("Application/VND.example+json"); !ok || string(b) != `{"a":"b"}` {
		t.Fatalf("part %q %v", b, ok)
	}
	if mt, b := m.First(); mt != "application/vnd.example+json" || string(b) != `{"a":"b"}` {
		t.Fatalf("first %q %q", mt, b)
	}
	if m.Text() != "fallback" {
		t.Fatalf("text %q", m.Text())
	}
	if _, ok := m.Part("image/png"); ok {
		t.Fatal("a link is no content")
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"pay 10\n\tnow":             "pay 10\n\tnow",
		"a\x00\x1b[31mb\r\x7f":      "a\uFFFD\uFFFD[31mb\uFFFD\uFFFD",
		"1\u202e0.01\u202c 00":      "1\uFFFD0.01\uFFFD 00",
		"\u2066x\u2069\u200e\u061c": "\uFFFDx\uFFFD\uFFFD\uFFFD",
		"日本 émoji 😀":                "日本 émoji 😀",
		"\xff":                      "\uFFFD",
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestExpiryTimes(t *testing.T) {
	at := time.Unix(1_800_000_000, 1)
	if e := ExpiresAt(at); e.Seconds != 1_800_000_001 || e.Relative || e.At(time.Time{}).Before(at) {
		t.Fatalf("%+v", e)
	}
	if e := ExpiresAfterReading(1500 * time.Millisecond); e != (Expiry{2, true}) || !e.At(at).Equal(at.Add(2*time.Second)) {
		t.Fatalf("%+v", e)
	}
	if !(Expiry{}).At(at).IsZero() {
		t.Fatal("never is a time")
	}
	if e := ExpiresAt(time.Unix(1<<33, 0)); e.Seconds != 1<<32-1 {
		t.Fatalf("%+v", e)
	}
}

func TestBridge(t *testing.T) {
	m := Text("x")
	if m.Bridge() != BridgeNever {
		t.Fatal("the default is not never")
	}
	m.SetBridge(BridgeFull)
	m.SetBridge(BridgeSummary)
	if m.Bridge() != BridgeSummary || len(m.Extensions) != 1 {
		t.Fatalf("%+v", m.Extensions)
	}
	m.SetBridge(BridgeNever)
	if len(m.Extensions) != 0 {
		t.Fatal("never needs no extension")
	}
	m.Extensions = []Extension{{Key: extensionBridge, Value: []byte{9}}}
	if m.Bridge() != BridgeNever {
		t.Fatal("an unknown class is not never")
	}
}

func TestOrigin(t *testing.T) {
	sender, chat := messaging.DeviceID{1}, messaging.ChatID{2}
	m := Text("x")
	m.Extensions = []Extension{{Key: 1, Value: appendText(nil, SenderURI(sender))}, {Key: 2, Value: appendText(nil, RoomURI(chat))}}
	if err := m.CheckOrigin(sender, chat); err != nil {
		t.Fatal(err)
	}
	if m.CheckOrigin(messaging.DeviceID{3}, chat) == nil || m.CheckOrigin(sender, messaging.ChatID{3}) == nil {
		t.Fatal("another origin accepted")
	}
}

func TestReport(t *testing.T) {
	p := Report{At: time.UnixMilli(1234), Statuses: []MessageStatus{{messaging.MessageID{1, 2}, Delivered}, {messaging.MessageID{1, 3}, 200}}}
	_, b := func() (string, []byte) { m := p.Message(); return m.First() }()
	got, err := DecodeReport(b)
	if err != nil || !got.At.Equal(p.At) || !slices.Equal(got.Statuses, p.Statuses) {
		t.Fatalf("%+v %v", got, err)
	}
	for name, bad := range map[string][]byte{
		"nothing": nil, "more": append(bytes.Clone(b), 0), "cut": b[:len(b)-1], "no array": {0}, "huge": unhex("82009bffffffffffffffff"), "short id": unhex("820081824100" + "01"), "null id": unhex("82008182f601"),
		"too many": append(unhex("8200990101"), make([]byte, 300)...),
	} {
		if _, err := DecodeReport(bad); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

func TestIDs(t *testing.T) {
	ids := []messaging.MessageID{{1}, {2}}
	m := Message{Extensions: []Extension{IDs(-2, ids)}}
	if got, err := m.IDs(-2, 2); err != nil || !slices.Equal(got, ids) {
		t.Fatal(got, err)
	}
	if _, err := m.IDs(-2, 1); err == nil {
		t.Fatal("more than the limit")
	}
	if got, err := m.IDs(-3, 1); err != nil || got != nil {
		t.Fatal(got, err)
	}
	m.Extensions[0].Value = []byte{0x81, 0xf6}
	if _, err := m.IDs(-2, 2); err == nil {
		t.Fatal("null as an id")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, salted(Text("hello"))))
	f.Add(encode(f, every()))
	f.Add(encode(f, salted(Report{Statuses: []MessageStatus{{}}}.Message())))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := DecodeReport(b); err == nil {
			if m := p.Message(); !bytes.Equal(m.Body.Content, b) {
				t.Fatalf("report %x encodes to %x", b, m.Body.Content)
			}
		}
		m, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Encode(m)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x encodes to %x, %v", b, again, err)
		}
		m.Text()
		m.First()
		m.IDs(-2, 64)
	})
}
