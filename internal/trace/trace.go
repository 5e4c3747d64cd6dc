// Package trace carries what happened, for a person or a test to follow: one flat event per step, with no person's data in it.
package trace

import "time"

// Event is one thing that happened. Detail is short text made of identifiers and codes of ours, never a name, account or message.
type Event struct {
	T      time.Time `json:"t"`
	Actor  string    `json:"actor"`            // such as "payer-bank"
	Event  string    `json:"event"`            // such as "pacs.008 sent"
	Intent string    `json:"intent,omitempty"` // pi_…
	Status string    `json:"status,omitempty"` // lifecycle state
	Detail string    `json:"detail,omitempty"`
}

// Sink takes events. It must not block for long; a nil Sink takes nothing.
type Sink func(Event)

// Emit stamps the event with the current time, unless it has one, and hands it to the sink.
func (s Sink) Emit(e Event) {
	if s == nil {
		return
	}
	if e.T.IsZero() {
		e.T = time.Now()
	}
	s(e)
}
