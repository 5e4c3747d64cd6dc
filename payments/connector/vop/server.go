package vop

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/connector"
	"github.com/parleypay/parley/payments/intent"
)

// Answerer compares names: the connector's engine.
type Answerer interface {
	CheckPayee(ctx context.Context, q connector.PayeeQuery) (connector.PayeeAnswer, error)
}

// ServerConfig configures a Server. Answerer is required.
type ServerConfig struct {
	Answerer Answerer
	// Caller returns which bank sent the request, from its client certificate for example, and false when it is none that may ask.
	// Nil trusts the requestingAgent in the body: only for a private network.
	Caller func(*http.Request) (payments.AgentID, bool)
	Now    func() time.Time // nil means time.Now
}

// NewServer returns the handler of POST /v1/payee-verifications.
func NewServer(cfg ServerConfig) (http.Handler, error) {
	if cfg.Answerer == nil {
		return nil, errors.New("vop: Answerer is required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+Path, func(w http.ResponseWriter, r *http.Request) { serve(cfg, w, r) })
	return mux, nil
}

func serve(cfg ServerConfig, w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get(headerID)
	if !requestID.MatchString(id) {
		refuse(w, "", http.StatusBadRequest, codeFormat, headerID+" is not a UUID")
		return
	}
	at, err := time.Parse(timeLayout, r.Header.Get(headerTime))
	if err != nil {
		refuse(w, id, http.StatusBadRequest, codeFormat, headerTime+" is not a UTC time with milliseconds")
		return
	}
	if off := cfg.Now().Sub(at); off > clockSkew || off < -clockSkew {
		refuse(w, id, http.StatusBadRequest, codeTimestamp, "the request is too old or from the future")
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		refuse(w, id, http.StatusUnsupportedMediaType, codeFormat, "the body must be application/json")
		return
	}
	var caller payments.AgentID
	if cfg.Caller != nil {
		var ok bool
		if caller, ok = cfg.Caller(r); !ok {
			refuse(w, id, http.StatusForbidden, codeClient, "")
			return
		}
	}
	var body wireRequest
	if err := decode(r.Body, &body); err != nil {
		refuse(w, id, http.StatusBadRequest, codeFormat, err.Error())
		return
	}
	q, from, err := body.query()
	if err != nil {
		refuse(w, id, http.StatusBadRequest, codeFormat, err.Error())
		return
	}
	if cfg.Caller != nil && from != caller {
		refuse(w, id, http.StatusForbidden, codeMismatch, "")
		return
	}
	answer, err := cfg.Answerer.CheckPayee(r.Context(), q)
	if err != nil {
		answer = connector.PayeeAnswer{Result: intent.NotApplicable} // the asker learns only that there is no answer
	}
	write(w, id, http.StatusOK, wireAnswer{Match: answer.Result, Name: answer.Matched.Reveal()})
}

func refuse(w http.ResponseWriter, id string, status int, code, text string) {
	write(w, id, status, wireError{code, text})
}

func write(w http.ResponseWriter, id string, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		panic("vop: strings do not encode: " + err.Error())
	}
	if id != "" {
		w.Header().Set(headerID, id)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(b) // the client has gone, or not: nothing to do about it
}
