package rail

import (
	"context"
	"fmt"

	"github.com/parleypay/parley/payments"
)

// Transport carries wire messages between one participant and a rail. All methods may be called by several goroutines.
type Transport interface {
	// Send hands one wire message to the rail. nil means that the rail has taken it, nothing more. Any failure is a *SendError, whose
	// Outcome says whether the rail may have taken it all the same; cancelling ctx ends the wait, not the message.
	Send(ctx context.Context, wire []byte) error
	// Receive waits for messages with a sequence above after and returns at most max of them in order; none, without an error, when
	// nothing came within the transport's own waiting time. It also acknowledges: the rail may forget everything up to after, so the
	// caller has that durably.
	Receive(ctx context.Context, after uint64, max int) ([]Delivery, error)
}

// Delivery is one message from the rail. Seq rises from delivery to delivery, with gaps possible.
type Delivery struct {
	Seq  uint64
	Wire []byte
	// Answers is the id of the sent message that this one answers, where the transport itself says so (the correlation id of a queue);
	// else it is empty. A refusal of a message that could not be read names its original in no other way.
	Answers string
}

// SendError says why Send failed and what is known of the message.
type SendError struct {
	Outcome payments.Outcome // NotSent: send the same bytes again; Unknown: ask; Refused: the rail will never execute these bytes
	Status  int              // HTTP status, 0 if there was none
	Faults  []*RuleError     // what the rail found wrong, when it refused
	Err     error            // cause, for operators
}

// Error says the outcome and its cause.
func (e *SendError) Error() string {
	switch {
	case len(e.Faults) > 0:
		return fmt.Sprintf("rail: send: %s: %v", e.Outcome, RuleErrors(e.Faults))
	case e.Err != nil:
		return fmt.Sprintf("rail: send: outcome %s: %v", e.Outcome, e.Err)
	}
	return "rail: send: outcome " + e.Outcome.String()
}

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Err }
