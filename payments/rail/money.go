package rail

// Money is where the money of a payment is, as far as the rail has said. The zero Money is unknown.
type Money uint8

const (
	MoneyUnknown  Money = iota // nothing final was said
	MoneyRefused               // not moved, and it will not
	MoneySettled               // moved
	MoneyCredited              // moved, and on the creditor's account
	MoneyHeld                  // moved, posting pending at the creditor's bank (ACWP)
	MoneyBlocked               // moved, frozen at the creditor's bank
	MoneyReturned              // moved, and back again by a payment of its own
)

// String returns the name in lower case.
func (m Money) String() string {
	return [...]string{"unknown", "refused", "settled", "credited", "held", "blocked", "returned"}[min(m, MoneyReturned)]
}

// After returns where the money is once an answer of that kind came, and false for an answer that contradicts what was known: the
// earlier word stays then, and a person must look. Together with Meaning it is the map from rail, sender, code and previous state to
// the state of the money. A refusal after ACWP changes nothing, for the money comes back as a payment of its own; see Returning.
func (m Money) After(k Kind) (Money, bool) {
	moved := m != MoneyUnknown && m != MoneyRefused
	switch k {
	case Accepted:
		return m, m != MoneyRefused
	case Settled:
		if m == MoneyUnknown {
			return MoneySettled, true
		}
		return m, moved
	case SettledCredited:
		if m != MoneyRefused && m != MoneyReturned {
			return MoneyCredited, true
		}
		return m, moved
	case SettledPending:
		if m == MoneyUnknown {
			return MoneyHeld, true
		}
		return m, moved
	case Rejected:
		if m == MoneyUnknown {
			return MoneyRefused, true
		}
		return m, m == MoneyRefused || m == MoneyHeld
	case Blocked:
		if m == MoneySettled || m == MoneyHeld {
			return MoneyBlocked, true
		}
		return m, m == MoneyBlocked
	}
	return m, true
}

// Returning reports whether an answer of that kind announces that the money comes back: a refusal after ACWP.
func (m Money) Returning(k Kind) bool { return m == MoneyHeld && k == Rejected }
