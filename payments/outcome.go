package payments

// Outcome says what is known of the money when a call fails. Programs branch on it before any retry.
type Outcome uint8

const (
	OutcomeUnknown Outcome = iota // the bank may have acted: ask for the status, never pay again
	OutcomeNotSent                // no byte reached the rail: safe to try again with the same ids
	OutcomeRefused                // refused for good: no money moved, and none will
)

// String returns "unknown", "not sent" or "refused".
func (o Outcome) String() string {
	return [...]string{"unknown", "not sent", "refused"}[min(o, OutcomeRefused)]
}
