package rail

import "github.com/parleypay/parley/payments"

// sepaText maps s to the SEPA characters.
func sepaText(s string) (string, bool) {
	to, changes := payments.SEPAText(s)
	return to, len(changes) == 0
}
