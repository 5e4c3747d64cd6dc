package rail

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/parleypay/parley/payments"
)

// Headers and problem types of the HTTP transport, shared by client and server.
const (
	SeqHeader = "Parley-Seq" // sequence of one delivered message

	ProblemRefused  = "urn:parley:rail:refused"   // 4xx: the rail will never execute these bytes
	ProblemNotTaken = "urn:parley:rail:not-taken" // the rail has not looked at the message: send it again later
)

// Problem is the body of a refusal (RFC 9457) with the rules broken.
type Problem struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Faults []*RuleError `json:"faults,omitempty"`
}

// HTTPConfig configures DialHTTP. BaseURL, Participant and Token are required.
type HTTPConfig struct {
	BaseURL     string // such as "http://127.0.0.1:8700"; an http URL is for loopback and private networks
	Participant string // the agent id of the sender, as in headers
	Token       string // bearer token of the participant
	// RootCAs are the authorities that may vouch for the rail's certificate. Nil means the system's. It is not used with a Client.
	RootCAs *x509.CertPool
	// Client is used instead of one of our own. Nil means one that takes no proxy and follows no redirect.
	Client *http.Client
	// SendTimeout bounds one Send, from dialling to the whole answer. Zero means 10 s. When it strikes after the request was written
	// the outcome is unknown.
	SendTimeout time.Duration
	// Wait is how long the rail holds a Receive that has nothing to deliver. Zero means 20 s; at least a second less than any proxy's idle limit.
	Wait time.Duration
	// MessageMaxBytes bounds one received message. Zero means 64 KiB.
	MessageMaxBytes int
}

// httpTransport is the client side of the simulator's HTTP interface.
type httpTransport struct {
	cfg      HTTPConfig
	messages string // URL of the participant's messages
	client   *http.Client
}

const (
	problemMaxBytes = 64 << 10
	receiveMax      = 256 // messages in one Receive
)

// DialHTTP returns the Transport of one participant over HTTP. It opens no connection yet.
func DialHTTP(cfg HTTPConfig) (Transport, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" || base.User != nil {
		return nil, errors.New("rail: base URL must be http or https with a host and no user")
	}
	if cfg.Participant == "" || cfg.Token == "" {
		return nil, errors.New("rail: participant and token are required")
	}
	if cfg.SendTimeout == 0 {
		cfg.SendTimeout = 10 * time.Second
	}
	if cfg.Wait == 0 {
		cfg.Wait = 20 * time.Second
	}
	if cfg.MessageMaxBytes == 0 {
		cfg.MessageMaxBytes = 64 << 10
	}
	t := &httpTransport{cfg: cfg, messages: base.JoinPath("v1", "participants", cfg.Participant, "messages").String()}
	client := http.Client{}
	if cfg.Client != nil {
		client = *cfg.Client
	} else {
		tr := http.DefaultTransport.(*http.Transport).Clone()
		tr.MaxIdleConnsPerHost = 64
		tr.MaxResponseHeaderBytes = 64 << 10
		if cfg.RootCAs != nil {
			tr.TLSClientConfig = &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12}
		}
		tr.Proxy = nil // a payment rail is reached directly or by the operator's own transport
		client.Transport = tr
	}
	// A redirect would send the payment a second time to someone else.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.client = &client
	return t, nil
}

// Send implements Transport.
func (t *httpTransport) Send(ctx context.Context, wire []byte) error {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.SendTimeout)
	defer cancel()
	// Once a connection is ours the request may be on its way, so from then on an error leaves the outcome unknown.
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.messages, bytes.NewReader(wire))
	if err != nil {
		return &SendError{Outcome: payments.OutcomeNotSent, Err: err}
	}
	req.Header.Set("Content-Type", "application/xml")
	req.Header.Set("Authorization", "Bearer "+t.cfg.Token)
	resp, err := t.client.Do(req)
	if err != nil {
		e := &SendError{Outcome: payments.OutcomeUnknown, Err: redact(err)}
		// A failing dial is the last thing that happens: net/http dials again only while nothing of the request was written.
		if !connected.Load() || dialFailed(err) {
			e.Outcome = payments.OutcomeNotSent
		}
		return e
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusAccepted {
		// Only a whole answer is the rail's word: one that is cut, endless or slow proves no more than an error page.
		switch n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, problemMaxBytes+1)); {
		case err != nil:
			return &SendError{Outcome: payments.OutcomeUnknown, Status: resp.StatusCode, Err: redact(err)}
		case n > problemMaxBytes:
			return &SendError{Outcome: payments.OutcomeUnknown, Status: resp.StatusCode, Err: errors.New("the answer is too large")}
		}
		return nil
	}
	return sendError(resp)
}

func dialFailed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// redact drops the URL from an error of net/http: it names the participant, and the cause is enough.
func redact(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// sendError reads an answer other than 202. Only a problem of the rail's own types says what became of the message: an error page of
// something in between proves nothing.
func sendError(resp *http.Response) *SendError {
	e := &SendError{Outcome: payments.OutcomeUnknown, Status: resp.StatusCode, Err: fmt.Errorf("HTTP status %d", resp.StatusCode)}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/problem+json" || resp.StatusCode < 400 {
		return e
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, problemMaxBytes+1))
	if err != nil || len(body) > problemMaxBytes {
		return e
	}
	var p Problem
	if json.Unmarshal(body, &p) != nil || p.Status != resp.StatusCode {
		return e
	}
	switch p.Type {
	case ProblemRefused:
		e.Outcome, e.Faults = payments.OutcomeRefused, slices.DeleteFunc(p.Faults, func(f *RuleError) bool { return f == nil })
	case ProblemNotTaken:
		e.Outcome = payments.OutcomeNotSent
	default:
		return e
	}
	if len(p.Title) <= 200 {
		e.Err = fmt.Errorf("HTTP status %d: %s", resp.StatusCode, strings.ToValidUTF8(p.Title, ""))
	}
	return e
}

// Receive implements Transport.
func (t *httpTransport) Receive(ctx context.Context, after uint64, max int) ([]Delivery, error) {
	if max < 1 || max > receiveMax {
		max = receiveMax
	}
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Wait+t.cfg.SendTimeout)
	defer cancel()
	query := url.Values{"after": {strconv.FormatUint(after, 10)}, "max": {strconv.Itoa(max)}, "wait": {t.cfg.Wait.String()}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.messages+"?"+query.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("rail: receive: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+t.cfg.Token)
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("rail: receive: %w", redact(err))
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNoContent:
		return nil, nil
	case http.StatusOK:
	default:
		return nil, fmt.Errorf("rail: receive: %w", sendError(resp).Err)
	}
	kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" || params["boundary"] == "" {
		return nil, errors.New("rail: receive: the answer is not multipart/mixed")
	}
	body := &io.LimitedReader{R: resp.Body, N: int64(max) * int64(t.cfg.MessageMaxBytes+1<<10)}
	return readParts(multipart.NewReader(body, params["boundary"]), after, max, t.cfg.MessageMaxBytes)
}

// readParts reads the deliveries of one answer. Whole parts before a fault are kept: they are in order, and the rest comes again.
func readParts(r *multipart.Reader, after uint64, max, sizeMax int) (ds []Delivery, err error) {
	defer func() {
		if len(ds) > 0 {
			err = nil
		}
	}()
	for {
		part, err := r.NextRawPart()
		if err == io.EOF {
			return ds, nil
		}
		if err != nil {
			return ds, fmt.Errorf("rail: receive: %w", err)
		}
		if len(ds) == max {
			return ds, errors.New("rail: receive: more messages than asked for")
		}
		seq, err := strconv.ParseUint(part.Header.Get(SeqHeader), 10, 63) // journals keep it as a signed number
		if err != nil || seq <= after {
			return ds, errors.New("rail: receive: a message without a rising " + SeqHeader)
		}
		wire, err := io.ReadAll(io.LimitReader(part, int64(sizeMax)+1))
		if err != nil {
			return ds, fmt.Errorf("rail: receive: %w", err)
		}
		// A message over the limit is delivered cut, one byte too long, so that Decode refuses it and the queue goes on.
		ds, after = append(ds, Delivery{Seq: seq, Wire: wire}), seq
	}
}
