package rail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
)

func dial(t *testing.T, url string, change func(*HTTPConfig)) Transport {
	t.Helper()
	cfg := HTTPConfig{BaseURL: url, Participant: "021040078", Token: "secret-token", SendTimeout: 2 * time.Second, Wait: time.Second, Client: &http.Client{Transport: &http.Transport{}}}
	if change != nil {
		change(&cfg)
	}
	tr, err := DialHTTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func answerProblem(w http.ResponseWriter, status int, kind string, faults ...*RuleError) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(Problem{Type: kind, Title: "no", Status: status, Faults: faults})
}

// What became of the message is known only from the rail's own words, or from nothing having been written.
func TestSendOutcome(t *testing.T) {
	hijack := func(write string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			conn, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(conn, write)
			conn.Close()
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    payments.Outcome
		status  int
		faults  int
	}{
		"refused by rules": {func(w http.ResponseWriter, _ *http.Request) {
			answerProblem(w, 422, ProblemRefused, &RuleError{Rule: "a.b", Path: "c", Text: "d"}, &RuleError{Rule: "e.f"})
		}, payments.OutcomeRefused, 422, 2},
		"too large":            {func(w http.ResponseWriter, _ *http.Request) { answerProblem(w, 413, ProblemRefused) }, payments.OutcomeRefused, 413, 0},
		"down":                 {func(w http.ResponseWriter, _ *http.Request) { answerProblem(w, 503, ProblemNotTaken) }, payments.OutcomeNotSent, 503, 0},
		"throttled":            {func(w http.ResponseWriter, _ *http.Request) { answerProblem(w, 429, ProblemNotTaken) }, payments.OutcomeNotSent, 429, 0},
		"wrong token":          {func(w http.ResponseWriter, _ *http.Request) { answerProblem(w, 401, ProblemNotTaken) }, payments.OutcomeNotSent, 401, 0},
		"unknown problem":      {func(w http.ResponseWriter, _ *http.Request) { answerProblem(w, 422, "about:blank") }, payments.OutcomeUnknown, 422, 0},
		"a proxy's error page": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusServiceUnavailable) }, payments.OutcomeUnknown, 503, 0},
		"a proxy's not found":  {func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, payments.OutcomeUnknown, 404, 0},
		"OK is not accepted":   {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<Document>RJCT</Document>") }, payments.OutcomeUnknown, 200, 0},
		"a problem inside OK":  {func(w http.ResponseWriter, _ *http.Request) { answerProblem(w, 200, ProblemRefused) }, payments.OutcomeUnknown, 200, 0},
		"closed after reading": {hijack(""), payments.OutcomeUnknown, 0, 0},
		"reset in the answer":  {hijack("HTTP/1.1 20"), payments.OutcomeUnknown, 0, 0},
		"no HTTP":              {hijack("hello\r\n\r\n"), payments.OutcomeUnknown, 0, 0},
		"an endless problem": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(422)
			w.Write(bytes.Repeat([]byte(" "), 10<<20))
		}, payments.OutcomeUnknown, 422, 0},
		"a problem that is none": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(422)
			io.WriteString(w, "{")
		}, payments.OutcomeUnknown, 422, 0},
		"status does not fit": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(500)
			json.NewEncoder(w).Encode(Problem{Type: ProblemRefused, Status: 422})
		}, payments.OutcomeUnknown, 500, 0},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(c.handler)
			defer srv.Close()
			err := dial(t, srv.URL, nil).Send(t.Context(), []byte("<x/>"))
			var se *SendError
			if !errors.As(err, &se) || se.Outcome != c.want || se.Status != c.status || len(se.Faults) != c.faults {
				t.Fatalf("%v: %+v", err, se)
			}
			if strings.Contains(err.Error(), "secret-token") || strings.Contains(err.Error(), "021040078") {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

func TestSendAccepted(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != "<x/>" || r.Header.Get("Authorization") != "Bearer secret-token" || r.Header.Get("Content-Type") != "application/xml" || r.URL.Path != "/base/v1/participants/021040078/messages" {
			w.WriteHeader(400)
			return
		}
		w.WriteHeader(202)
	}))
	defer srv.Close()
	if err := dial(t, srv.URL+"/base/", nil).Send(t.Context(), []byte("<x/>")); err != nil {
		t.Fatal(err)
	}
}

func TestSendNotSent(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close() // nobody listens there now
	outcome := func(tr Transport, ctx context.Context) payments.Outcome {
		var se *SendError
		if err := tr.Send(ctx, []byte("<x/>")); !errors.As(err, &se) {
			t.Fatalf("%v", err)
		}
		return se.Outcome
	}
	if got := outcome(dial(t, "http://"+ln.Addr().String(), nil), t.Context()); got != payments.OutcomeNotSent {
		t.Errorf("connection refused: %v", got)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if got := outcome(dial(t, "http://"+ln.Addr().String(), nil), gone); got != payments.OutcomeNotSent {
		t.Errorf("cancelled before: %v", got)
	}
}

// A rail that restarts closes the idle connection; a dial that then fails proves that nothing was sent.
func TestSendAfterRestart(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202) }))
	tr := dial(t, srv.URL, nil)
	if err := tr.Send(t.Context(), []byte("<x/>")); err != nil {
		t.Fatal(err)
	}
	srv.CloseClientConnections()
	srv.Close()
	var se *SendError
	for range 20 { // net/http notices the closed connection in its own time: before that a write may fail halfway
		if err := tr.Send(t.Context(), []byte("<x/>")); !errors.As(err, &se) {
			t.Fatalf("%v", err)
		}
		if se.Outcome == payments.OutcomeNotSent {
			return
		}
	}
	t.Errorf("still %v", se.Outcome)
}

func TestSendTimeout(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-release }))
	defer srv.Close()
	defer close(release)
	var se *SendError
	err := dial(t, srv.URL, func(c *HTTPConfig) { c.SendTimeout = 50 * time.Millisecond }).Send(t.Context(), []byte("<x/>"))
	if !errors.As(err, &se) || se.Outcome != payments.OutcomeUnknown {
		t.Errorf("%v", err)
	}
}

func TestSendFollowsNoRedirect(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { elsewhere.Add(1); w.WriteHeader(202) }))
	defer other.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer srv.Close()
	var se *SendError
	if err := dial(t, srv.URL, nil).Send(t.Context(), []byte("<x/>")); !errors.As(err, &se) || se.Outcome != payments.OutcomeUnknown || elsewhere.Load() != 0 {
		t.Errorf("%v, %d requests elsewhere", err, elsewhere.Load())
	}
}

func TestDialHTTPRefuses(t *testing.T) {
	for _, c := range []HTTPConfig{
		{BaseURL: "ftp://127.0.0.1", Participant: "a", Token: "b"},
		{BaseURL: "http://", Participant: "a", Token: "b"},
		{BaseURL: "http://user:pass@127.0.0.1", Participant: "a", Token: "b"},
		{BaseURL: "http://127.0.0.1", Token: "b"},
		{BaseURL: "http://127.0.0.1", Participant: "a"},
	} {
		if _, err := DialHTTP(c); err == nil {
			t.Errorf("%q %q accepted", c.BaseURL, c.Participant)
		}
	}
}

func part(seq, body string) string {
	return "--b\r\nContent-Type: application/xml\r\nParley-Seq: " + seq + "\r\n\r\n" + body + "\r\n"
}

func TestReceive(t *testing.T) {
	multi := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "multipart/mixed; boundary=b")
			io.WriteString(w, body)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string // sequences
		fail    bool
	}{
		"two":             {multi(part("8", "<a/>") + part("11", "<b/>") + "--b--\r\n"), "8 11", false},
		"none":            {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "", false},
		"cut after one":   {multi(part("8", "<a/>") + "--b\r\nParley-Seq: 9\r\n\r\n<b"), "8", false},
		"cut at once":     {multi("--b\r\nParley-Seq: 9\r\n\r\n<b"), "", true},
		"falling":         {multi(part("9", "<a/>") + part("8", "<b/>") + "--b--\r\n"), "9", false},
		"old":             {multi(part("7", "<a/>") + "--b--\r\n"), "", true},
		"no sequence":     {multi(part("x", "<a/>") + "--b--\r\n"), "", true},
		"more than asked": {multi(part("8", "") + part("9", "") + part("10", "") + "--b--\r\n"), "8 9", false},
		"oversize is cut": {multi(part("8", strings.Repeat("x", 5000)) + part("9", "<b/>") + "--b--\r\n"), "8 9", false},
		"endless":         {multi(part("8", strings.Repeat("x", 10<<20))), "8", false},
		"plain":           {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<a/>") }, "", true},
		"an error page":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }, "", true},
		"empty multipart": {multi("--b--\r\n"), "", false},
		"not our content": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "multipart/mixed")
			io.WriteString(w, "")
		}, "", true},
		"wrong participant": {func(w http.ResponseWriter, _ *http.Request) { answerProblem(w, 401, ProblemNotTaken) }, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if q := r.URL.Query(); q.Get("after") != "7" || q.Get("max") != "2" || q.Get("wait") != "1s" {
					w.WriteHeader(400)
					return
				}
				c.handler(w, r)
			}))
			defer srv.Close()
			ds, err := dial(t, srv.URL, func(c *HTTPConfig) { c.MessageMaxBytes = 4096 }).Receive(t.Context(), 7, 2)
			var got []string
			for _, d := range ds {
				got = append(got, fmt.Sprint(d.Seq))
				if len(d.Wire) > 4097 {
					t.Errorf("%d bytes kept", len(d.Wire))
				}
			}
			if strings.Join(got, " ") != c.want || (err != nil) != c.fail {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func FuzzReadParts(f *testing.F) {
	f.Add([]byte(part("8", "<a/>") + part("11", "<b/>") + "--b--\r\n"))
	f.Add([]byte(part("8", strings.Repeat("x", 200)) + "--b--\r\n"))
	f.Add([]byte("--b\r\nParley-Seq: 9\r\n\r\n<b"))
	f.Add([]byte("--b\r\nParley-Seq: 18446744073709551615\r\nParley-Seq: 1\r\n\r\n\r\n--b--"))
	f.Fuzz(func(t *testing.T, body []byte) {
		const after, most, size = 7, 3, 100
		ds, err := readParts(multipart.NewReader(bytes.NewReader(body), "b"), after, most, size)
		if len(ds) > most || (len(ds) > 0 && err != nil) {
			t.Fatalf("%d messages, %v", len(ds), err)
		}
		last := uint64(after)
		for _, d := range ds {
			if d.Seq <= last || len(d.Wire) > size+1 {
				t.Fatalf("sequence %d after %d, %d bytes", d.Seq, last, len(d.Wire))
			}
			last = d.Seq
		}
	})
}

func FuzzProblem(f *testing.F) {
	f.Add(422, `{"type":"urn:parley:rail:refused","status":422,"title":"no","faults":[{"rule":"a"}]}`)
	f.Add(422, `{"type":"urn:parley:rail:refused","status":422,"faults":[null,{}]}`)
	f.Add(503, `{"type":"urn:parley:rail:not-taken","status":503}`)
	f.Add(200, `{"type":"urn:parley:rail:refused","status":200}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/problem+json"}}, Body: io.NopCloser(strings.NewReader(body))}
		e := sendError(resp)
		if e.Outcome != payments.OutcomeUnknown && (status < 400 || !json.Valid([]byte(body))) {
			t.Fatalf("%d %q says %v", status, body, e.Outcome)
		}
		if _ = e.Error(); e.Err == nil {
			t.Fatal("no cause")
		}
	})
}
