package rail

import "slices"

// Advice is what the debtor's side should do about a refusal. The zero Advice is the cautious one. It never says to send the same payment
// again: a retry is a new intent, which the payer approves.
type Advice uint8

const (
	AskBank   Advice = iota // a person or a bank must look first
	RetryNew                // may go through later: as a new intent
	NeverPay                // will not go through, or must not be tried again
	WrongData               // the customer's data are wrong: correct them, then a new intent
)

// String returns "ask", "retry as a new intent", "never" or "customer data wrong".
func (a Advice) String() string {
	return [...]string{"ask", "retry as a new intent", "never", "customer data wrong"}[min(a, WrongData)]
}

// Reasons says what to do about a refusal, by its reason (ISO external codes); what it does not hold is AskBank.
type Reasons map[string]Advice

// CommonReasons returns the reasons most used on real-time rails, but those in without. A new map each time.
func CommonReasons(without ...string) Reasons {
	all := Reasons{}
	for advice, codes := range map[Advice][]string{
		RetryNew:  {"AB03", "AB04", "AB05", "AB06", "AB07", "AB08", "AB09", "AB10", "AM04", "DS24", "ED05", "TM01"},
		NeverPay:  {"AC04", "AC06", "AG01", "AG03", "AM05", "DUPL", "FRAD", "LEGL", "MD07", "RR04"},
		WrongData: {"AC01", "AC03", "AC14", "AM02", "AM09", "AM12", "BE01", "BE04", "BE17", "DT04", "RC01", "RC04", "RC10", "RR01", "RR02", "RR03"},
		AskBank:   {"AG10", "AG11", "AM14", "CUST", "DS04", "FF01", "FF08", "FOCR", "MS02", "MS03", "NARR", "NOAS", "TECH", "UPAY"},
	} {
		for _, code := range codes {
			if !slices.Contains(without, code) {
				all[code] = advice
			}
		}
	}
	return all
}

// Advice returns what to do about a refusal with that reason on this rail.
func (p *Profile) Advice(reason string) Advice { return p.Reasons[reason] }
