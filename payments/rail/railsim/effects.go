package railsim

import (
	"slices"

	"github.com/parleypay/parley/payments"
)

// Effects is what the rail did: the truth that a test compares a connector's beliefs with. It holds identifiers and amounts, no names
// and no accounts.
type Effects struct {
	Rail      string     `json:"rail"`
	Payments  []Effect   `json:"payments"`
	Positions []Position `json:"positions"`
	Total     string     `json:"total"` // of all positions, which never changes
	Truncated bool       `json:"truncated,omitempty"`
}

// Effect is everything that happened to one payment, by its UETR and end-to-end id, however often it was sent.
type Effect struct {
	UETR       payments.UETR       `json:"uetr,omitempty"`
	EndToEndID payments.EndToEndID `json:"end_to_end_id"`
	Intent     payments.IntentID   `json:"intent,omitempty"` // that the transfer was made for, if it names one
	Debtor     payments.AgentID    `json:"debtor"`
	Creditor   payments.AgentID    `json:"creditor"`
	Currency   payments.Currency   `json:"currency"`
	Amount     string              `json:"amount"`
	Messages   int                 `json:"messages"`   // pacs.008 taken
	Executions int                 `json:"executions"` // times the money moved: more than one is a double payment
	Returns    int                 `json:"returns"`    // times it moved back
	State      string              `json:"state"`      // of the last message: open, settled, refused, lost
	Reason     string              `json:"reason,omitempty"`
	Answers    []string            `json:"answers"` // statuses given to the debtor's bank, in order
}

// Position is a participant's money on the rail, as decimal amounts.
type Position struct {
	Participant payments.AgentID `json:"participant"`
	Available   string           `json:"available"`
	Reserved    string           `json:"reserved"`
	Waiting     int              `json:"waiting"` // messages not yet acknowledged
}

// effectsMax bounds the payments of one answer.
const effectsMax = 10_000

// Effects returns what the rail did to the payments with that UETR or end-to-end id, oldest first; with both empty, to all, at most
// 10,000.
func (s *Sim) Effects(uetr payments.UETR, e2e payments.EndToEndID) Effects {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.core
	c.advance(s.clock.Now())
	amount := func(minor int64) string {
		return payments.Amount{Minor: minor, Currency: s.set.profile.Currency}.Text()
	}
	out := Effects{Rail: s.set.profile.Name, Payments: []Effect{}, Total: amount(s.set.total)}
	ids := make([]uint64, 0, len(c.payments))
	for id, p := range c.payments {
		if (uetr == "" || uetr == p.m.Transfer.UETR) && (e2e == "" || e2e == p.m.Transfer.EndToEndID) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	type key struct {
		uetr payments.UETR
		e2e  payments.EndToEndID
	}
	index := map[key]int{}
	for _, id := range ids {
		p := c.payments[id]
		t := p.m.Transfer
		i, ok := index[key{t.UETR, t.EndToEndID}]
		if !ok {
			if len(out.Payments) == effectsMax {
				out.Truncated = true
				break
			}
			i = len(out.Payments)
			index[key{t.UETR, t.EndToEndID}] = i
			intent, _ := s.set.profile.Intent(t)
			out.Payments = append(out.Payments, Effect{
				UETR: t.UETR, EndToEndID: t.EndToEndID, Intent: intent, Debtor: t.Instructing.ID, Creditor: t.Instructed.ID,
				Currency: t.Amount.Currency, Amount: t.Amount.Text(), Answers: []string{},
			})
		}
		e := &out.Payments[i]
		e.Messages++
		e.Executions += p.executions
		if p.returned {
			e.Returns++
		}
		e.State, e.Reason = p.state, ""
		if p.state == stateRefused {
			e.Reason = p.reason
		}
		e.Answers = append(e.Answers, p.answers...)
	}
	for i := range c.members {
		m := &c.members[i]
		out.Positions = append(out.Positions, Position{m.ID, amount(m.available), amount(m.reserved), len(m.queue)})
	}
	return out
}
