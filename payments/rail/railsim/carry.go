package railsim

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// This file carries HTTP answers badly, on real connections.

// answer is one HTTP answer. An oversize one has its additional bytes at grow of body, which for a multipart body is inside a part.
type answer struct {
	status int
	kind   string
	body   []byte
	grow   int
}

// answer sends a with the mischief that how says.
func (s *Sim) answer(w http.ResponseWriter, r *http.Request, how mischief, a answer) {
	switch how.content {
	case contentHTML:
		a = answer{http.StatusOK, "text/html", []byte(pageHTML), len(pageHTML)}
	case contentOK:
		a = answer{http.StatusOK, "application/xml", []byte(textReject), len(textReject)}
	case contentError:
		a = answer{http.StatusBadGateway, "text/plain", []byte(textError), len(textError)}
	}
	if how.carriage == carryReset && len(a.body) == 0 {
		a.body, a.grow = []byte(strings.Repeat("\n", 64)), 64 // there must be a middle
	}
	size := int64(len(a.body))
	body := io.Reader(bytes.NewReader(a.body))
	if how.oversize {
		size += oversizeBytes
		body = io.MultiReader(bytes.NewReader(a.body[:a.grow]), io.LimitReader(spaces{}, oversizeBytes), bytes.NewReader(a.body[a.grow:]))
	}
	if how.carriage == carryWell {
		s.closeIfStrange(w)
		if a.kind != "" {
			w.Header().Set("Content-Type", a.kind)
		}
		if size > 0 {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		w.WriteHeader(a.status)
		io.Copy(w, body)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // a connection that cannot be spoilt is cut
	}
	defer conn.Close()
	conn.SetDeadline(time.Time{})
	gone := make(chan struct{})
	go func() { // ends when the other side does, or the rail
		io.Copy(io.Discard, conn)
		close(gone)
	}()
	defer context.AfterFunc(r.Context(), func() { conn.Close() })()
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", a.status, http.StatusText(a.status), a.kind, size)
	all := io.MultiReader(strings.NewReader(head), body)
	switch how.carriage {
	case carrySlow:
		s.drip(conn, all, how.pace, gone)
	case carryReset:
		half := io.LimitReader(all, int64(len(head))+size/2)
		if how.pace > 0 {
			s.drip(conn, half, how.pace, gone)
		} else {
			io.Copy(conn, half)
		}
		reset(conn)
	case carryHang:
		select {
		case <-gone:
		case <-s.closed:
		}
	}
}

// drip writes byte by byte until gone or the rail ends.
func (s *Sim) drip(conn net.Conn, from io.Reader, pace time.Duration, gone <-chan struct{}) {
	tick := time.NewTicker(max(pace, time.Microsecond))
	defer tick.Stop()
	one := make([]byte, 1)
	for {
		if _, err := io.ReadFull(from, one); err != nil {
			return
		}
		if _, err := conn.Write(one); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-gone:
			return
		case <-s.closed:
			return
		}
	}
}

// reset closes a connection so that the other side gets a TCP reset, not an end.
func reset(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	conn.Close()
}

// spaces is an endless source of them.
type spaces struct{}

func (spaces) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}
