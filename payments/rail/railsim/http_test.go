package railsim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail"
)

func (b *bench) dial(url string, i int) rail.Transport {
	b.t.Helper()
	p := testConfig(b.name).Participants[i]
	return must(rail.DialHTTP(rail.HTTPConfig{BaseURL: url, Participant: string(p.ID), Token: p.Token, Wait: 200 * time.Millisecond, Client: &http.Client{Transport: &http.Transport{}}}))
}

func post(t *testing.T, url, token, kind string, body []byte) (*http.Response, rail.Problem) {
	t.Helper()
	req := must(http.NewRequestWithContext(t.Context(), "POST", url, bytes.NewReader(body)))
	req.Header.Set("Content-Type", kind)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp := must(http.DefaultClient.Do(req))
	defer resp.Body.Close()
	var p rail.Problem
	json.Unmarshal(must(io.ReadAll(resp.Body)), &p)
	return resp, p
}

// Every bad input is refused with what and where, changes nothing and stops nothing else.
func TestBadInput(t *testing.T) {
	for name, r := range banksOf {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, name, nil)
			srv := httptest.NewServer(b.sim.Handler())
			defer srv.Close()
			own, token := srv.URL+"/v1/participants/"+string(r.banks[0])+"/messages", "token-of-debtor"
			m := b.transfer(2000, nil)
			good := must(b.p.Encode(m))
			faulty := "schema." // who finds a fault of the structure
			if name == "pix" {
				faulty = "pix.structure"
			}
			replace := func(old, new string) []byte {
				t.Helper()
				if name == "rtp" {
					for _, s := range []*string{&old, &new} {
						*s = strings.NewReplacer("</C", "</m:C", "</I", "</m:I", "<I", "<m:I", "<C", "<m:C", "xmlns=", "xmlns:m=").Replace(*s)
					}
				}
				if !bytes.Contains(good, []byte(old)) {
					t.Fatalf("nothing to replace: %s", old)
				}
				return bytes.Replace(good, []byte(old), []byte(new), 1)
			}
			otherRail := map[string]string{"fednow": "sctinst", "sctinst": "rtp", "rtp": "pix", "pix": "fednow"}[name]
			foreign := newBench(t, otherRail, nil)
			foreignWire := must(foreign.p.Encode(foreign.transfer(2000, nil)))
			before := b.sim.Effects("", "")
			for what, c := range map[string]struct {
				url, token, kind string
				body             []byte
				status           int
				rule, path       string
			}{
				"malformed":           {own, token, "application/xml", replace("</CdtTrfTxInf>", ""), 422, "xml.", ""},
				"cut off":             {own, token, "application/xml", good[:len(good)/2], 422, "xml.", ""},
				"DOCTYPE":             {own, token, "application/xml", replace("?>", "?><!DOCTYPE x>"), 422, "xml.", ""},
				"foreign namespace":   {own, token, "application/xml", replace("<IntrBkSttlmAmt ", `<IntrBkSttlmAmt xmlns="urn:example" `), 422, faulty, "IntrBkSttlmAmt"},
				"duplicate element":   {own, token, "application/xml", replace("<ChrgBr>SLEV</ChrgBr>", "<ChrgBr>SLEV</ChrgBr><ChrgBr>SLEV</ChrgBr>"), 422, faulty, "CdtTrfTxInf"},
				"exponent":            {own, token, "application/xml", replace(">20.00</IntrBkSttlmAmt>", ">1e3</IntrBkSttlmAmt>"), 422, "", "IntrBkSttlmAmt"},
				"three decimals":      {own, token, "application/xml", replace(">20.00</IntrBkSttlmAmt>", ">20.000</IntrBkSttlmAmt>"), 422, "", "IntrBkSttlmAmt"},
				"oversize":            {own, token, "application/xml", append(slices.Clone(good), bytes.Repeat([]byte(" "), 1<<20)...), 413, name + ".message.size", ""},
				"wrong profile":       {own, token, "application/xml", foreignWire, 422, "", ""},
				"wrong token":         {own, "token-of-creditor", "application/xml", good, 401, "", ""},
				"no token":            {own, "", "application/xml", good, 401, "", ""},
				"another participant": {strings.Replace(own, string(r.banks[0]), string(r.banks[1]), 1), token, "application/xml", good, 401, "", ""},
				"unknown participant": {strings.Replace(own, string(r.banks[0]), "nobody", 1), token, "application/xml", good, 401, "", ""},
				"simulated bank":      {strings.Replace(own, string(r.banks[0]), string(r.banks[2]), 1), "", "application/xml", good, 401, "", ""},
				"in another's name":   {strings.Replace(own, string(r.banks[0]), string(r.banks[1]), 1), "token-of-creditor", "application/xml", good, 422, name + ".sender.header", "AppHdr/Fr"},
				"JSON":                {own, token, "application/json", []byte("{}"), 415, "", ""},
				"empty":               {own, token, "application/xml", nil, 422, "xml.", ""},
			} {
				resp, p := post(t, c.url, c.token, c.kind, c.body)
				if resp.StatusCode != c.status || p.Status != c.status || resp.Header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s: %d %s %+v", what, resp.StatusCode, resp.Header.Get("Content-Type"), p)
				}
				if c.status == 422 || c.status == 413 {
					if len(p.Faults) == 0 || !strings.HasPrefix(p.Faults[0].Rule, c.rule) || !strings.Contains(p.Faults[0].Path, c.path) || p.Faults[0].Text == "" {
						t.Errorf("%s: faults %+v", what, p.Faults)
					}
				}
			}
			resp := must(http.Get(strings.Replace(own, "/messages", "/other", 1)))
			resp.Body.Close()
			if resp.StatusCode != 404 {
				t.Errorf("an unknown path: %d", resp.StatusCode)
			}
			if after := b.sim.Effects("", ""); !reflect.DeepEqual(after, before) {
				t.Errorf("the state changed: %+v", after)
			}
			if resp, _ := post(t, own, token, "application/xml", good); resp.StatusCode != 202 {
				t.Errorf("the good message afterwards: %d", resp.StatusCode)
			}
		})
	}
}

// A payment over the real HTTP transport, with both banks in loops.
func TestOverHTTP(t *testing.T) {
	for name, r := range banksOf {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var mu sync.Mutex
			var events []trace.Event
			b := newBench(t, name, func(c *Config) {
				c.ArchiveDir = dir
				c.Trace = func(e trace.Event) { mu.Lock(); events = append(events, e); mu.Unlock() }
			})
			srv := httptest.NewServer(b.sim.Handler())
			defer srv.Close()
			b.debtor, b.creditor = b.dial(srv.URL, 0), b.dial(srv.URL, 1)
			const n = 20
			ctx, cancel := context.WithCancel(t.Context())
			var settled int
			var wg sync.WaitGroup
			wg.Go(func() {
				b.collect(ctx, b.debtor, func(g got) {
					if g.what(b.p) != r.yes {
						t.Errorf("%s", g.what(b.p))
					}
					if settled++; settled == n {
						cancel()
					}
				})
			})
			wg.Go(func() { b.collect(ctx, b.creditor, b.answering(b.p.AnswerYes(), "", 0)) })
			var ms []*rail.Message
			for range n {
				m := b.transfer(2000, nil)
				ms = append(ms, m)
				b.mustSend(b.debtor, m)
			}
			wg.Wait()
			e := b.sim.Effects("", "")
			if len(e.Payments) != n || slices.ContainsFunc(e.Payments, func(e Effect) bool { return e.Executions != 1 }) {
				t.Errorf("%+v", e)
			}

			// The audit over HTTP says the same as in process.
			req := must(http.NewRequest("GET", srv.URL+"/v1/effects?end_to_end_id="+string(ms[3].Transfer.EndToEndID)+"&uetr="+string(ms[3].Transfer.UETR), nil))
			if resp := must(http.DefaultClient.Do(req)); resp.StatusCode != 401 {
				t.Errorf("audit without token: %d", resp.StatusCode)
			}
			req.Header.Set("Authorization", "Bearer audit-token")
			resp := must(http.DefaultClient.Do(req))
			defer resp.Body.Close()
			var one Effects
			if err := json.NewDecoder(resp.Body).Decode(&one); err != nil || len(one.Payments) != 1 || one.Payments[0].Intent == "" || one.Payments[0].Executions != 1 || one.Total != "10500.00" {
				t.Errorf("%v %+v", err, one)
			}

			// Archive and trace hold one entry per message, the trace without a person's data.
			files := must(filepath.Glob(filepath.Join(dir, "*.xml")))
			if len(files) != 5*n || len(events) != 5*n {
				t.Errorf("%d files, %d events", len(files), len(events))
			}
			for _, f := range files {
				d := rail.ToService
				if strings.Contains(f, "-out-") {
					d = rail.FromService
				}
				if _, err := b.p.Decode(must(os.ReadFile(f)), d); err != nil {
					t.Errorf("%s: %v", f, err)
				}
			}
			text := string(must(json.Marshal(events)))
			if !strings.Contains(text, `"event":"pacs.008 received"`) || !strings.Contains(text, `"intent":"pi_`) {
				t.Errorf("trace %.300s", text)
			}
			rec := httptest.NewRecorder()
			b.sim.OpsHandler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
			text += rec.Body.String()
			if !strings.Contains(text, `parley_rail_messages_total{direction="in",message="pacs.008.001.08",status=""} 20`) {
				t.Errorf("metrics:\n%s", rec.Body)
			}
			for _, secret := range []string{"Example", r.debtor, r.creditor, "token-of"} {
				if strings.Contains(text, secret) {
					t.Errorf("%q in trace or metrics", secret)
				}
			}
		})
	}
}

func TestReceiveParameters(t *testing.T) {
	b := newBench(t, "fednow", nil)
	h := b.sim.Handler()
	for query, status := range map[string]int{
		"after=0": 204, "after=0&max=1&wait=1ms": 204, "": 400, "after=-1": 400, "after=x": 400, "after=99999999999999999999": 400,
		"after=0&max=0": 400, "after=0&max=257": 400, "after=0&wait=2m": 400, "after=0&wait=-1s": 400, "after=0&wait=1": 400,
	} {
		req := httptest.NewRequest("GET", "/v1/participants/021040078/messages?"+query, nil)
		req.Header.Set("Authorization", "Bearer token-of-debtor")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code != status {
			t.Errorf("%s: %d", query, rec.Code)
		}
	}
}

func TestNoAuditWithoutToken(t *testing.T) {
	b := newBench(t, "fednow", func(c *Config) { c.AuditToken = "" })
	req := httptest.NewRequest("GET", "/v1/effects", nil)
	req.Header.Set("Authorization", "Bearer ")
	rec := httptest.NewRecorder()
	b.sim.Handler().ServeHTTP(rec, req)
	if rec.Code != 404 {
		t.Errorf("%d", rec.Code)
	}
}

func TestFaultsOverHTTP(t *testing.T) {
	b := newBench(t, "fednow", func(c *Config) {
		for amount, do := range map[string]string{"21.00": "error", "22.00": "throttle", "23.00": "ok", "24.00": "reset", "25.00": "hang"} {
			c.Rules = append(c.Rules, Rule{Match: Match{Amount: amount}, Action: Action{Do: do}})
		}
	})
	srv := httptest.NewServer(b.sim.Handler())
	defer srv.Close()
	b.debtor = must(rail.DialHTTP(rail.HTTPConfig{BaseURL: srv.URL, Participant: "021040078", Token: "token-of-debtor", SendTimeout: 100 * time.Millisecond}))
	for _, c := range []struct {
		minor int64
		want  payments.Outcome
	}{{2100, payments.OutcomeUnknown}, {2400, payments.OutcomeUnknown}, {2300, payments.OutcomeUnknown}, {2500, payments.OutcomeUnknown}, {2200, payments.OutcomeNotSent}, {2010, payments.OutcomeNotSent}} {
		var se *rail.SendError
		if err := b.send(b.debtor, b.transfer(c.minor, nil)); !errors.As(err, &se) || se.Outcome != c.want {
			t.Errorf("%d: %v", c.minor, err)
		}
	}
	var taken []string
	for _, e := range b.sim.Effects("", "").Payments {
		taken = append(taken, e.Amount)
	}
	if !slices.Equal(taken, []string{"21.00", "24.00", "23.00", "25.00"}) {
		t.Errorf("%v", taken)
	}
}

func TestServe(t *testing.T) {
	b := newBench(t, "fednow", nil)
	ln, ops := must(net.Listen("tcp", "127.0.0.1:0")), must(net.Listen("tcp", "127.0.0.1:0"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.sim.Serve(ctx, ln, ops, 5*time.Second) }()
	b.debtor, b.creditor = b.dial("http://"+ln.Addr().String(), 0), b.dial("http://"+ln.Addr().String(), 1)
	ready := func() int {
		resp := must(http.Get("http://" + ops.Addr().String() + "/readyz"))
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := ready(); got != 200 {
		t.Errorf("readyz %d", got)
	}
	b.mustSend(b.debtor, b.transfer(2000, nil))
	ds := must(b.creditor.Receive(t.Context(), 0, 10))
	cancel()
	for !b.sim.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	if got := ready(); got != 503 {
		t.Errorf("readyz while draining %d", got)
	}
	// The open payment is still answered, then the rail ends.
	m := must(b.p.Decode(ds[0].Wire, rail.FromService))
	b.mustSend(b.creditor, must(b.p.NewAnswer(m, rail.AnswerInput{Participant: "091000019", Status: "ACTC", Suffix: "A", Now: time.Now()})))
	if err := <-done; err != nil {
		t.Error(err)
	}
	if e := b.sim.Effects("", ""); e.Payments[0].State != "settled" {
		t.Errorf("%+v", e.Payments)
	}
}
