package vop

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/intent"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var (
	iban  = must(payments.ParseAccount("DE89370400440532013000"))
	local = must(payments.ParseAccount("987654321000"))
	shop  = must(payments.ParseName("Example Coffee"))
	now   = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
)

type answerer struct {
	asked  []connector.PayeeQuery
	answer connector.PayeeAnswer
	err    error
}

func (a *answerer) CheckPayee(_ context.Context, q connector.PayeeQuery) (connector.PayeeAnswer, error) {
	a.asked = append(a.asked, q)
	return a.answer, a.err
}

// do runs a request against a handler, without a socket.
type do struct{ h http.Handler }

func (d do) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	d.h.ServeHTTP(w, r)
	return w.Result(), nil
}

func client(t *testing.T, h http.Handler) *Client {
	t.Helper()
	c, err := NewClient(ClientConfig{Agent: "PAYRDEF0XXX", Now: func() time.Time { return now }, HTTP: &http.Client{Transport: do{h}},
		Directory: map[payments.AgentID]string{"SHOPFRP0": "https://shop.example/vop", "091000019": "https://shop.example/vop"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func server(t *testing.T, a Answerer, caller func(*http.Request) (payments.AgentID, bool)) http.Handler {
	t.Helper()
	h, err := NewServer(ServerConfig{Answerer: a, Caller: caller, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return http.StripPrefix("/vop", h)
}

func TestAskAndAnswer(t *testing.T) {
	for _, q := range []connector.PayeeQuery{{Name: shop, Account: iban, Agent: "SHOPFRP0"}, {Name: shop, Account: local, Agent: "091000019"}} {
		for _, want := range []connector.PayeeAnswer{{Result: intent.Match}, {Result: intent.CloseMatch, Matched: must(payments.ParseName("Example Coffee GmbH"))},
			{Result: intent.NoMatch}, {Result: intent.NotApplicable}} {
			a := &answerer{answer: want}
			got, err := client(t, server(t, a, nil)).CheckPayee(context.Background(), q)
			if err != nil || got != want {
				t.Errorf("%+v, %v, want %+v", got, err, want)
			}
			if len(a.asked) != 1 || a.asked[0] != q {
				t.Errorf("asked %+v", a.asked)
			}
		}
	}
	a := &answerer{err: errors.New("down")}
	if got, err := client(t, server(t, a, nil)).CheckPayee(context.Background(), connector.PayeeQuery{Name: shop, Account: iban, Agent: "SHOPFRP0"}); err != nil || got.Result != intent.NotApplicable {
		t.Errorf("a bank that cannot answer: %+v, %v", got, err)
	}
}

func TestCaller(t *testing.T) {
	q := connector.PayeeQuery{Name: shop, Account: iban, Agent: "SHOPFRP0"}
	for name, c := range map[string]struct {
		caller func(*http.Request) (payments.AgentID, bool)
		want   string
	}{
		"none":  {func(*http.Request) (payments.AgentID, bool) { return "", false }, codeClient},
		"other": {func(*http.Request) (payments.AgentID, bool) { return "OTHRDEF0XXX", true }, codeMismatch},
		"right": {func(*http.Request) (payments.AgentID, bool) { return "PAYRDEF0XXX", true }, ""},
	} {
		a := &answerer{answer: connector.PayeeAnswer{Result: intent.Match}}
		_, err := client(t, server(t, a, c.caller)).CheckPayee(context.Background(), q)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || (err == nil) != (len(a.asked) == 1) {
			t.Errorf("%s: %v, asked %d times", name, err, len(a.asked))
		}
	}
}

func TestServerRefuses(t *testing.T) {
	good := string(must(json.Marshal(wireRequest{Party: wireParty{"Example Coffee"}, PartyAccount: accountOf(iban), PartyAgent: agentOf("SHOPFRP0"), RequestingAgent: agentOf("PAYRDEF0XXX")})))
	post := func(change func(*http.Request), body string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/vop"+Path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		r.Header.Set(headerID, "0b9f3c52-3f9a-4c0e-9d6b-6a2f1a3b4c5d")
		r.Header.Set(headerTime, now.Format(timeLayout))
		if change != nil {
			change(r)
		}
		return r
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		r      *http.Request
		status int
		code   string
	}{
		"good":             {post(nil, good), 200, ""},
		"no id":            {post(header(headerID, ""), good), 400, codeFormat},
		"bad id":           {post(header(headerID, "{0b9f3c52-3f9a-4c0e-9d6b-6a2f1a3b4c5d}"), good), 400, codeFormat},
		"no time":          {post(header(headerTime, ""), good), 400, codeFormat},
		"no milliseconds":  {post(header(headerTime, "2026-11-23T09:00:00Z"), good), 400, codeFormat},
		"old":              {post(header(headerTime, now.Add(-6*time.Minute).Format(timeLayout)), good), 400, codeTimestamp},
		"future":           {post(header(headerTime, now.Add(6*time.Minute).Format(timeLayout)), good), 400, codeTimestamp},
		"not JSON":         {post(header("Content-Type", "text/plain"), good), 415, codeFormat},
		"empty":            {post(nil, ""), 400, codeFormat},
		"too large":        {post(nil, good[:len(good)-1]+strings.Repeat(" ", bodyMax)+"}"), 400, codeFormat},
		"something behind": {post(nil, good+"{}"), 400, codeFormat},
		"unknown member":   {post(nil, strings.Replace(good, `{"party"`, `{"x":1,"party"`, 1)), 400, codeFormat},
		"member twice":     {post(nil, strings.Replace(good, `"iban":`, `"iban":"GB29NWBK60161331926819","iban":`, 1)), 400, codeFormat},
		"other case":       {post(nil, strings.Replace(good, `"iban"`, `"IBAN"`, 1)), 400, codeFormat},
		"wrong check":      {post(nil, strings.Replace(good, "DE89", "DE88", 1)), 400, codeFormat},
		"no IBAN":          {post(nil, strings.Replace(good, "DE89370400440532013000", "987654321000", 1)), 400, codeFormat},
		"two accounts":     {post(nil, strings.Replace(good, `"iban":`, `"other":"1","iban":`, 1)), 400, codeFormat},
		"no BIC":           {post(nil, strings.Replace(good, "SHOPFRP0", "shop", 1)), 400, codeFormat},
		"no name":          {post(nil, strings.Replace(good, "Example Coffee", "", 1)), 400, codeFormat},
		"array":            {post(nil, "["+good+"]"), 400, codeFormat},
		"deep":             {post(nil, strings.Repeat(`{"party":`, 2000)), 400, codeFormat},
		"GET":              {func() *http.Request { r := post(nil, good); r.Method = http.MethodGet; return r }(), 405, ""},
	} {
		a := &answerer{answer: connector.PayeeAnswer{Result: intent.Match}}
		w := httptest.NewRecorder()
		server(t, a, nil).ServeHTTP(w, c.r)
		var e wireError
		if c.code != "" {
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
				t.Errorf("%s: body %q", name, w.Body)
			}
		}
		if w.Code != c.status || e.Code != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, w.Code, e.Code, c.status, c.code)
		}
		if (c.status == 200) != (len(a.asked) == 1) {
			t.Errorf("%s: asked %d times", name, len(a.asked))
		}
		if body := w.Body.String(); strings.Contains(body, "DE8") || strings.Contains(body, "Example") {
			t.Errorf("%s: the answer repeats what was asked: %s", name, body)
		}
	}
}

func TestClientTakesNoOtherAnswer(t *testing.T) {
	q := connector.PayeeQuery{Name: shop, Account: iban, Agent: "SHOPFRP0"}
	answers := []struct {
		status int
		body   string
	}{
		{200, ""}, {200, "{}"}, {200, `{"partyNameMatch":"YES"}`}, {200, `{"partyNameMatch":"CMTC"}`}, {200, `{"partyNameMatch":"MTCH","matchedName":"Example"}`},
		{200, `{"partyNameMatch":"MTCH","partyNameMatch":"NMTC"}`}, {200, `{"PartyNameMatch":"MTCH"}`}, {200, `{"partyNameMatch":"MTCH"}x`}, {200, "<html>"},
		{200, `{"partyNameMatch":"CMTC","matchedName":"` + strings.Repeat("x", 200) + `"}`}, {200, strings.Repeat(" ", 100_000)},
		{201, `{"partyNameMatch":"MTCH"}`}, {301, ""}, {302, ""}, {500, ""}, {503, strings.Repeat("x", 100_000)}, {400, `{"code":"FORMAT_ERROR"}`},
	}
	for _, a := range answers {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(a.status)
			io.WriteString(w, a.body)
		})
		got, err := client(t, h).CheckPayee(context.Background(), q)
		if err == nil || got != (connector.PayeeAnswer{}) {
			t.Errorf("%d %.40q: %+v", a.status, a.body, got)
		} else if strings.Contains(err.Error(), "DE89") || strings.Contains(err.Error(), "Example") {
			t.Errorf("%d: the error names a person: %v", a.status, err)
		}
	}
	if _, err := client(t, nil).CheckPayee(context.Background(), connector.PayeeQuery{Agent: "OTHRDEF0XXX"}); !errors.Is(err, ErrNotListed) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := client(t, nil).CheckPayee(ctx, q); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestClientConfig(t *testing.T) {
	for _, bad := range []string{"", "shop.example", "ftp://shop.example", "https://", "https://user@shop.example", "://"} {
		if _, err := NewClient(ClientConfig{Agent: "PAYRDEF0XXX", Directory: map[payments.AgentID]string{"SHOPFRP0": bad}}); err == nil {
			t.Errorf("%q is taken for an address", bad)
		}
	}
	if _, err := NewClient(ClientConfig{}); err == nil {
		t.Error("a client without an agent")
	}
	if _, err := NewServer(ServerConfig{}); err == nil {
		t.Error("a server without an answerer")
	}
}

func TestRequestID(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id := newRequestID()
		if !requestID.MatchString(id) || id[14] != '4' || !strings.Contains("89ab", id[19:20]) || seen[id] {
			t.Fatal(id)
		}
		seen[id] = true
	}
	for _, bad := range []string{"", "0b9f3c523f9a4c0e9d6b6a2f1a3b4c5d", "0b9f3c52-3f9a-4c0e-9d6b-6a2f1a3b4c5", "0b9f3c52-3f9a-4c0e-9d6b-6a2f1a3b4c5d0",
		"0b9f3c52-3f9a-4c0e-9d6b-6a2f1a3b4c5g", "0b9f3c52+3f9a-4c0e-9d6b-6a2f1a3b4c5d", "0b9f3c52-3f9a-4c0e-9d6b-6a2f1a3b4c5d\n"} {
		if requestID.MatchString(bad) {
			t.Errorf("%q is taken for a UUID", bad)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(string(must(json.Marshal(wireRequest{Party: wireParty{"Example Coffee"}, PartyAccount: accountOf(iban), PartyAgent: agentOf("SHOPFRP0"), RequestingAgent: agentOf("PAYRDEF0XXX")}))))
	f.Add(`{"party":{"name":"x"}}`)
	f.Add(`}{"a":[`)
	f.Fuzz(func(t *testing.T, body string) {
		var w wireRequest
		if decode(strings.NewReader(body), &w) != nil {
			return
		}
		q, from, err := w.query()
		if err != nil {
			return
		}
		again := wireRequest{Party: wireParty{q.Name.Reveal()}, PartyAccount: accountOf(q.Account), PartyAgent: agentOf(q.Agent), RequestingAgent: agentOf(from)}
		if again != w {
			t.Fatalf("read %+v as %+v", w, again)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add(`{"partyNameMatch":"CMTC","matchedName":"Example Coffee"}`)
	f.Add(`{"partyNameMatch":"MTCH"}`)
	f.Fuzz(func(t *testing.T, body string) {
		var w wireAnswer
		if decode(strings.NewReader(body), &w) != nil {
			return
		}
		if a, err := w.answer(); err == nil && (a.Result == intent.CloseMatch) != (a.Matched != payments.Name{}) {
			t.Fatalf("%+v", a)
		}
	})
}
