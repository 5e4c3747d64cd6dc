package relay

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleypay/parley/internal/shared"
	"github.com/parleypay/parley/messaging/relay/bench"
	"github.com/parleypay/parley/messaging/wire"
)

// closeCode reads until the connection ends and returns how.
func closeCode(ws *websocket.Conn) int {
	ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		if _, _, err := ws.ReadMessage(); err != nil {
			var ce *websocket.CloseError
			if errors.As(err, &ce) {
				return ce.Code
			}
			return -1
		}
	}
}

func TestTextAndGarbageClose(t *testing.T) {
	x := start(t, Config{})
	key := newKey()
	for name, c := range map[string]struct {
		kind int
		data []byte
		want int
	}{
		"text":            {websocket.TextMessage, []byte("hello"), websocket.CloseUnsupportedData},
		"empty text":      {websocket.TextMessage, nil, websocket.CloseUnsupportedData},
		"garbage":         {websocket.BinaryMessage, []byte("hello"), websocket.CloseProtocolError},
		"empty":           {websocket.BinaryMessage, nil, websocket.CloseProtocolError},
		"over the limit":  {websocket.BinaryMessage, make([]byte, wire.MaxFrame+1), websocket.CloseMessageTooBig},
		"another version": {websocket.BinaryMessage, []byte{0x83, 2, 20, 0xa0}, websocket.CloseProtocolError},
	} {
		for _, authenticated := range []bool{false, true} {
			c2 := x.raw()
			if authenticated {
				c2 = x.dial(key)
			}
			c2.WS.WriteMessage(c.kind, c.data)
			if got := closeCode(c2.WS); got != c.want {
				t.Errorf("%s, authenticated %v: closed with %d, want %d", name, authenticated, got, c.want)
			}
		}
	}
	x.dial(key) // and the relay goes on
}

// The Autobahn cases, as they hit a relay: nothing is echoed; text closes with 1003, other faults as RFC 6455 says, and always in time.
func TestAutobahnCases(t *testing.T) {
	x := start(t, Config{})
	f, err := os.Open(shared.Path(t, "bad-inputs/websocket/autobahn-cases.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	type send struct {
		Op       string
		Opcode   int
		Fin      *bool
		Rsv      int
		Payload  string
		Binary   bool
		Fragment *int
		Code     *int
		Reason   string
		Data     string
	}
	var wg sync.WaitGroup
	var decided atomic.Int64
	gate := make(chan struct{}, 16)
	lines, n := bufio.NewScanner(f), 0
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var c struct {
			ID   string
			Send []send
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		n++
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			nc, rd := upgrade(t, x.r.Addr())
			defer nc.Close()
			want := 0 // if the first frame decides
			for i, s := range c.Send {
				payload, _ := hex.DecodeString(s.Payload)
				switch s.Op {
				case "frame":
					fin := s.Fin == nil || *s.Fin
					nc.Write(maskedFrame(fin, s.Rsv, s.Opcode, payload))
					switch {
					case i > 0:
					case s.Rsv != 0 || s.Opcode == 0 || s.Opcode > 2 && s.Opcode < 8 || s.Opcode > 10 || s.Opcode >= 8 && (!fin || len(payload) > 125):
						want = websocket.CloseProtocolError
					case s.Opcode == 1:
						want = websocket.CloseUnsupportedData
					case s.Opcode == 2 && fin:
						want = websocket.CloseProtocolError // no frame of ours
					}
				case "message":
					op := 1
					if s.Binary {
						op = 2
					}
					if i == 0 && len(payload) <= wire.MaxFrame {
						if want = websocket.CloseUnsupportedData; s.Binary {
							want = websocket.CloseProtocolError
						}
					} else if i == 0 {
						want = websocket.CloseMessageTooBig
					}
					size := len(payload)
					if s.Fragment != nil && *s.Fragment > 0 {
						size = *s.Fragment
					}
					for first := true; first || len(payload) > 0; first = false {
						part := payload[:min(size, len(payload))]
						payload = payload[len(part):]
						if nc.Write(maskedFrame(len(payload) == 0, 0, op, part)); size == 0 {
							break
						}
						op = 0
					}
				case "ping":
					nc.Write(maskedFrame(true, 0, 9, payload))
				}
			}
			patience := 500 * time.Millisecond // nothing tells that a connection stays open
			if want != 0 {
				decided.Add(1)
				patience = 20 * time.Second
			}
			nc.SetReadDeadline(time.Now().Add(patience))
			code, echoed := serverClose(rd)
			switch {
			case echoed:
				t.Errorf("%s: something was echoed", c.ID)
			case want != 0 && code != want:
				t.Errorf("%s: closed with %d, want %d", c.ID, code, want)
			case code != 0 && code != websocket.CloseUnsupportedData && code != websocket.CloseProtocolError && code != websocket.CloseMessageTooBig &&
				code != websocket.ClosePolicyViolation && code != websocket.CloseNormalClosure && code != websocket.CloseInvalidFramePayloadData &&
				!strings.HasPrefix(c.ID, "7."):
				t.Errorf("%s: closed with %d", c.ID, code)
			}
		})
	}
	wg.Wait()
	if n != 247 || decided.Load() < 200 {
		t.Errorf("%d cases, want 247; of %d the close code is known", n, decided.Load())
	}
	x.dial(newKey())
}

// upgrade opens a WebSocket by hand, so that malformed frames can be sent.
func upgrade(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(nc, "GET "+wire.Path+" HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	rd := bufio.NewReader(nc)
	resp, err := http.ReadResponse(rd, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v, %v", resp, err)
	}
	return nc, rd
}

func maskedFrame(fin bool, rsv, opcode int, payload []byte) []byte {
	b := []byte{byte(rsv<<4 | opcode), 0x80}
	if fin {
		b[0] |= 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b[1] |= byte(n)
	case n < 65536:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, 0, 0, 0, 0) // a mask of zeroes
	return append(b, payload...)
}

// serverClose reads frames until the connection ends: its close code, 0 for none; and whether a text frame came, or a binary one that is no
// frame of ours.
func serverClose(rd *bufio.Reader) (code int, echoed bool) {
	for {
		var h [2]byte
		if _, err := io.ReadFull(rd, h[:]); err != nil {
			return code, echoed
		}
		n := int64(h[1] & 0x7f)
		switch n {
		case 126:
			var b [2]byte
			io.ReadFull(rd, b[:])
			n = int64(binary.BigEndian.Uint16(b[:]))
		case 127:
			var b [8]byte
			io.ReadFull(rd, b[:])
			n = int64(binary.BigEndian.Uint64(b[:]))
		}
		payload, err := io.ReadAll(io.LimitReader(rd, n))
		if err != nil {
			return code, echoed
		}
		switch h[0] & 0x0f {
		case 1:
			echoed = true
		case 2:
			if _, err := wire.Decode(payload); err != nil {
				echoed = true
			}
		case 8:
			if len(payload) >= 2 {
				code = int(binary.BigEndian.Uint16(payload))
			}
		}
	}
}

// Garbage instead of HTTP, and garbage after the upgrade: no panic, no hang.
func TestFuzzCorpora(t *testing.T) {
	x := start(t, Config{ConnectRate: 1e6})
	for _, name := range []string{"go-fuzz-corpus-server.jsonl", "go-fuzz-corpus-client.jsonl"} {
		f, err := os.Open(shared.Path(t, "bad-inputs/websocket/"+name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 16<<20)
		var wg sync.WaitGroup
		gate := make(chan struct{}, 16)
		for lines.Scan() {
			var c struct{ Name, B64 string }
			if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
				t.Fatal(err)
			}
			raw, err := base64.StdEncoding.DecodeString(c.B64)
			if err != nil {
				t.Fatal(err)
			}
			gate <- struct{}{}
			wg.Go(func() {
				defer func() { <-gate }()
				for _, upgraded := range []bool{false, true} {
					var nc net.Conn
					if upgraded {
						nc, _ = upgrade(t, x.r.Addr())
					} else if nc, err = net.Dial("tcp", x.r.Addr()); err != nil {
						t.Error(err)
						return
					}
					nc.Write(raw)
					nc.(*net.TCPConn).CloseWrite()
					nc.SetReadDeadline(time.Now().Add(5 * time.Second))
					if _, err := io.Copy(io.Discard, io.LimitReader(nc, 1<<20)); errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("%s (upgraded %v): the relay hangs", c.Name, upgraded)
					}
					nc.Close()
				}
			})
		}
		wg.Wait()
	}
	x.dial(newKey())
}

func TestFloodsAreCutOff(t *testing.T) {
	x := start(t, Config{DeviceRate: 5})
	end := func(name string, frame []byte) {
		nc, rd := upgrade(t, x.r.Addr())
		defer nc.Close()
		go func() {
			many := bytes.Repeat(frame, 64)
			for range 10_000 {
				if _, err := nc.Write(many); err != nil {
					return
				}
			}
		}()
		done := make(chan struct{})
		go func() { serverClose(rd); close(done) }()
		select {
		case <-done:
		case <-time.After(15 * time.Second):
			t.Errorf("%s: still connected", name)
		}
	}
	end("pings", maskedFrame(true, 0, 9, nil))
	end("pongs", maskedFrame(true, 0, 10, nil))
	end("fragments", maskedFrame(false, 0, 2, []byte{1})) // the second begins a message inside a message
	c := x.dial(newKey())
	const n = 25 // 10 pass at once, most others are refused
	for range n {
		c.write(&wire.CountKeyPackages{Req: 1})
	}
	refused := 0
	for range n {
		if f, ok := c.read().(*wire.Failure); ok && f.Code == wire.CodeRate && f.Re == 1 {
			refused++
		}
	}
	if refused == 0 {
		t.Error("no request was refused")
	}
	go func() {
		for c.Write(&wire.CountKeyPackages{Req: 1}) == nil {
		}
	}()
	for { // who does not slow down is cut off
		c.WS.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Read(); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("still connected")
		} else if err != nil {
			break
		}
	}
}

// A message in very many tiny pieces is not waited for.
func TestManyFragments(t *testing.T) {
	x := start(t, Config{})
	nc, rd := upgrade(t, x.r.Addr())
	defer nc.Close()
	go func() {
		nc.Write(maskedFrame(false, 0, 2, []byte{0x83}))
		for range readsMax * 4 {
			if _, err := nc.Write(maskedFrame(false, 0, 0, []byte{1})); err != nil {
				return
			}
		}
	}()
	if code, _ := serverClose(rd); code != websocket.ClosePolicyViolation && code != 0 {
		t.Errorf("closed with %d", code)
	}
}

func TestConnectionLimits(t *testing.T) {
	x := start(t, Config{ConnectionsAddr: 3, RegisterRate: 0.1})
	var last *client
	for range 3 {
		last = x.raw()
	}
	_, resp, err := websocket.DefaultDialer.Dial(x.url()+wire.Path, nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("a fourth connection: %v", err)
	}
	last.Close()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := bench.Dial(context.Background(), x.url(), newKey(), "", nil) // the one registration of the budget
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal("a place is not given back")
		}
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, err := bench.Dial(context.Background(), x.url(), newKey(), "", nil)
		var f *wire.Failure
		if errors.As(err, &f) && f.Code == wire.CodeRate {
			break
		}
		if err == nil || time.Now().After(end) {
			t.Fatalf("a second registration: %v", err)
		}
	}
	if resp, err := http.Get("http://" + x.r.Addr() + "/metrics"); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("the devices' listener answers for metrics: %v %v", resp, err)
	}
	if got, want := addrOf("[2001:db8::1:2]:5"), addrOf("[2001:db8::9]:7"); got != want {
		t.Errorf("one IPv6 network counts as two addresses: %s %s", got, want)
	}
}

// A device that connects again takes over; the old connection is told.
func TestSecondConnectionOfADevice(t *testing.T) {
	x := start(t, Config{})
	key := newKey()
	old := x.dial(key)
	x.dial(key)
	if f := old.wantFailure(wire.CodeReplaced); !f.Fatal {
		t.Error("not fatal")
	}
	if code := closeCode(old.WS); code != websocket.ClosePolicyViolation {
		t.Errorf("closed with %d", code)
	}
}

func TestDrain(t *testing.T) {
	x := start(t, Config{})
	a, kb := x.dial(newKey()), newKey()
	x.dial(kb).Close()
	const n = 200
	for range n {
		a.write(a.message(idOf(kb), "x"))
	}
	want[*wire.Accepted](a) // the relay is at work
	x.raw()                 // and somebody has not yet said a word
	go x.stop()
	begin := time.Now()
	acked, refused := 1, 0
	for {
		a.WS.SetReadDeadline(time.Now().Add(10 * time.Second))
		f, err := a.Read()
		if err != nil {
			if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
				t.Errorf("ended with %v", err)
			}
			break
		}
		switch f := f.(type) {
		case *wire.Accepted:
			acked++
		case *wire.Failure:
			if f.Code != wire.CodeDraining {
				t.Errorf("%+v", f)
			}
			if f.Re != 0 {
				refused++
			}
		}
	}
	if err := <-x.done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("draining took %v", took)
	}
	x.up()
	if got, _ := x.dial(kb).sync(wire.Cursor{}, wire.Cursor{}); len(got) < acked || len(got) > n-refused {
		t.Errorf("%d acknowledged, %d refused, %d there", acked, refused, len(got))
	}
}

// On a network the relay speaks TLS 1.3 and nothing older.
func TestTLS(t *testing.T) {
	key := newKey()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"relay.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	x := start(t, Config{TLS: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}})
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	for version, works := range map[uint16]bool{tls.VersionTLS12: false, tls.VersionTLS13: true} {
		d := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "relay.example", MaxVersion: version}}
		ws, _, err := d.Dial("wss://"+x.r.Addr()+wire.Path, nil)
		if (err == nil) != works {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			c := &client{&bench.Client{WS: ws}, t, 0}
			c.write(&wire.Hello{Versions: []uint{1}})
			want[*wire.Challenge](c)
			ws.Close()
		}
	}
}
