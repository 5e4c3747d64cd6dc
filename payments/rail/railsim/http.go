package railsim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/rail"
)

// waitMax bounds a long poll.
const waitMax = 60 * time.Second

// Handler serves the participants: POST and GET /v1/participants/{id}/messages, and for the audit GET /v1/effects
// and PUT /v1/rules.
func (s *Sim) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/participants/{id}/messages", s.participant(s.postMessage))
	mux.HandleFunc("GET /v1/participants/{id}/messages", s.participant(s.getMessages))
	if s.cfg.AuditToken != "" {
		mux.HandleFunc("GET /v1/effects", s.audit(s.getEffects))
		mux.HandleFunc("PUT /v1/rules", s.audit(s.putRules))
	}
	return mux
}

// bearer reports whether the request carries that token. An empty token is never right.
func bearer(r *http.Request, token string) bool {
	got, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && ok && token != ""
}

// participant lets a request through that carries the token of the participant it names. A wrong token and an unknown participant
// look the same.
func (s *Sim) participant(next func(http.ResponseWriter, *http.Request, int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		i, known := s.set.byID[payments.AgentID(r.PathValue("id"))]
		token := ""
		if known {
			token = s.core.members[i].Token
		}
		if !bearer(r, token) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			problem(w, http.StatusUnauthorized, rail.ProblemNotTaken, "participant and token do not fit", nil)
			return
		}
		next(w, r, i)
	}
}

// closeIfStrange ends the connection after this answer while another certificate is shown, so that the next one sees it.
func (s *Sim) closeIfStrange(w http.ResponseWriter) (strange bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strange = s.clock.Now().Before(s.core.strange); strange {
		w.Header().Set("Connection", "close")
	}
	return strange
}

func problem(w http.ResponseWriter, status int, kind, title string, faults []*rail.RuleError) {
	body, err := json.Marshal(rail.Problem{Type: kind, Title: title, Status: status, Faults: faults})
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(body)
}

func (s *Sim) postMessage(w http.ResponseWriter, r *http.Request, from int) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/xml" && kind != "text/xml" {
		problem(w, http.StatusUnsupportedMediaType, rail.ProblemRefused, "the body must be application/xml", nil)
		return
	}
	limit := s.set.profile.SizeMaxBytes
	// A sender has little time for its little body; the server's own limit must leave room for long polls.
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * time.Second))
	wire, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	if err != nil {
		var tooBig *http.MaxBytesError
		if errors.As(err, &tooBig) {
			f := &rail.RuleError{Rule: s.set.profile.Name + ".message.size", Text: "a message has at most " + strconv.Itoa(limit) + " bytes"}
			s.metrics.refused([]*rail.RuleError{f})
			problem(w, http.StatusRequestEntityTooLarge, rail.ProblemRefused, "the message is too large", []*rail.RuleError{f})
			return
		}
		problem(w, http.StatusBadRequest, rail.ProblemNotTaken, "the body could not be read", nil)
		return
	}
	rep := s.submit(from, wire)
	s.wait(r.Context(), rep.hold)
	switch err := rep.err; {
	case err == nil, rep.how != mischief{}:
		s.answer(w, r, rep.how, answer{status: http.StatusAccepted})
	case errors.Is(err, errThrottled):
		w.Header().Set("Retry-After", "1")
		problem(w, http.StatusTooManyRequests, rail.ProblemNotTaken, "too many messages", nil)
	case errors.Is(err, errNotTaken):
		w.Header().Set("Retry-After", "1")
		problem(w, http.StatusServiceUnavailable, rail.ProblemNotTaken, "the rail takes no messages now", nil)
	default:
		problem(w, http.StatusUnprocessableEntity, rail.ProblemRefused, "the message breaks the rules of the rail", rail.Faults(err))
	}
}

func (s *Sim) getMessages(w http.ResponseWriter, r *http.Request, of int) {
	query := r.URL.Query()
	after, err := strconv.ParseUint(query.Get("after"), 10, 64)
	if err != nil {
		problem(w, http.StatusBadRequest, rail.ProblemRefused, "after must be the last sequence received, or 0", nil)
		return
	}
	max, wait := receiveMax, time.Duration(0)
	if text := query.Get("max"); text != "" {
		if max, err = strconv.Atoi(text); err != nil || max < 1 || max > receiveMax {
			problem(w, http.StatusBadRequest, rail.ProblemRefused, "max must be 1 to "+strconv.Itoa(receiveMax), nil)
			return
		}
	}
	if text := query.Get("wait"); text != "" {
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 || wait > waitMax {
			problem(w, http.StatusBadRequest, rail.ProblemRefused, "wait must be a duration of 0 to "+waitMax.String(), nil)
			return
		}
	}
	if s.closeIfStrange(w) { // over a connection from before, or a participant that believes everybody
		problem(w, http.StatusServiceUnavailable, rail.ProblemNotTaken, "the rail shows another certificate", nil)
		return
	}
	b, err := s.receive(r.Context(), of, after, max, wait)
	if err != nil {
		if r.Context().Err() == nil {
			problem(w, http.StatusServiceUnavailable, rail.ProblemNotTaken, "the rail's store has failed", nil)
		}
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if len(b.deliveries) == 0 {
		s.closeIfStrange(w)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	for _, d := range b.deliveries {
		part, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/xml"}, rail.SeqHeader: {strconv.FormatUint(d.Seq, 10)}})
		if err == nil {
			_, err = part.Write(d.Wire)
		}
		if err != nil {
			panic(err) // a Buffer takes everything
		}
	}
	end := body.Len()
	parts.Close()
	s.answer(w, r, b.how, answer{status: http.StatusOK, kind: mime.FormatMediaType("multipart/mixed", map[string]string{"boundary": parts.Boundary()}),
		body: body.Bytes(), grow: end})
}

// audit lets a request through that carries the audit's token.
func (s *Sim) audit(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !bearer(r, s.cfg.AuditToken) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			problem(w, http.StatusUnauthorized, rail.ProblemNotTaken, "not the audit token", nil)
			return
		}
		next(w, r)
	}
}

// putRules replaces the rules by those in the body.
func (s *Sim) putRules(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, rulesMaxBytes))
	if err == nil {
		err = s.SetRules(text)
	}
	if err != nil {
		problem(w, http.StatusUnprocessableEntity, rail.ProblemRefused, err.Error(), nil)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Sim) getEffects(w http.ResponseWriter, r *http.Request) {
	e := s.Effects(payments.UETR(r.URL.Query().Get("uetr")), payments.EndToEndID(r.URL.Query().Get("end_to_end_id")))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(e)
}

// Serve serves the participants on ln, and OpsHandler on ops unless it is nil, until ctx ends. Then it drains: no new payment is taken,
// those open get up to grace to end, and waiting polls return.
func (s *Sim) Serve(ctx context.Context, ln, ops net.Listener, grace time.Duration) error {
	server := func(h http.Handler) *http.Server {
		return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: waitMax + 30*time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
			ErrorLog: log.New(io.Discard, "", 0)} // what participants do wrong is theirs to log
	}
	main := server(s.Handler())
	if s.certs != nil {
		ln = tls.NewListener(ln, s.tlsConfig())
		turning, stop := context.WithCancel(ctx)
		defer stop()
		go s.closeOnTurn(turning, main)
	}
	errs := make(chan error, 2)
	go func() { errs <- main.Serve(ln) }()
	running := []*http.Server{main}
	if ops != nil {
		o := server(s.OpsHandler())
		running = append(running, o)
		go func() { errs <- o.Serve(ops) }()
	}
	var failed error
	left := len(running)
	select {
	case failed = <-errs:
		left--
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace+time.Second)
	defer cancel()
	if failed == nil {
		drain, done := context.WithTimeout(end, grace)
		failed = s.Drain(drain)
		done()
	}
	s.Close()
	for _, srv := range running {
		if err := srv.Shutdown(end); err != nil {
			srv.Close()
		}
	}
	for range left {
		if err := <-errs; failed == nil && !errors.Is(err, http.ErrServerClosed) {
			failed = err
		}
	}
	return failed
}
