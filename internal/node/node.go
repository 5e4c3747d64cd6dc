// Package node runs the long-lived parts of Parley (relay, rail simulator, bank connector) as a process does: from a configuration
// file (relative paths in it start at its directory), with a monitor on loopback, until it is told to stop.
//
// It decides nothing about messages or money; the parts do.
package node

import (
	"context"
	"encoding/json"
	"io"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/parleypay/parley/internal/trace"
)

// Ready is told once a part serves: what its callers need to reach it.
type Ready struct {
	Part    string `json:"part"`              // "relay", "rail" or "connector"
	URL     string `json:"url,omitempty"`     // where its callers reach it
	Monitor string `json:"monitor,omitempty"` // host:port of /healthz, /readyz and /metrics
	Contact string `json:"contact,omitempty"` // a connector's contact, as sdk.ParseBank reads it
}

// beside makes relative paths in a configuration file relative to the file's directory.
func beside(file string, paths ...*string) {
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(file), *p)
		}
	}
}

// Options are what the command line adds to a configuration file.
type Options struct {
	Trace   trace.Sink  // gets every event of the part; nil: none
	OnReady func(Ready) // is called once; nil: nobody asks
	Log     io.Writer   // operator's log lines; nil: none
}

func (o Options) ready(r Ready) {
	if o.OnReady != nil {
		o.OnReady(r)
	}
}

// UntilSignal returns a context that ends on SIGTERM or SIGINT: the parts then drain and return. A second signal kills the process,
// as signals do by default.
func UntilSignal(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(parent, syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// UntilTerminated is UntilSignal for a child of another program: SIGINT is ignored. A terminal's Ctrl-C reaches the child too, and it is
// for the parent to stop its children in the right order.
func UntilTerminated(parent context.Context) (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGINT)
	ctx, stop := signal.NotifyContext(parent, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Line is one line of a child's standard output, as JSONLines writes it: an event, or the announcement that the part is ready.
type Line struct {
	Ready *Ready       `json:"ready,omitempty"`
	Event *trace.Event `json:"event,omitempty"`
}

// JSONLines returns options that write every event and the announcement to w, one JSON object per line.
func JSONLines(w io.Writer) Options {
	var mu sync.Mutex // guards w
	enc := json.NewEncoder(w)
	write := func(l Line) {
		mu.Lock()
		defer mu.Unlock()
		enc.Encode(l) // nobody reads any more: the events are lost, the work goes on
	}
	return Options{
		Trace:   func(e trace.Event) { write(Line{Event: &e}) },
		OnReady: func(r Ready) { write(Line{Ready: &r}) },
	}
}

// UntilClosed returns a context that also ends when r does: a child stops when its parent has gone, however that ended.
func UntilClosed(parent context.Context, r io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	go func() {
		io.Copy(io.Discard, r)
		cancel()
	}()
	return ctx, cancel
}

// String says in one line per fact where the part can be reached.
func (r Ready) String() string {
	s := r.Part + " is ready"
	if r.URL != "" {
		s += " at " + r.URL
	}
	if r.Monitor != "" {
		s += "\n  monitor  http://" + r.Monitor + "/readyz"
	}
	if r.Contact != "" {
		s += "\n  contact  " + r.Contact
	}
	return s
}
