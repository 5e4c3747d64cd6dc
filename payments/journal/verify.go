package journal

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/lifecycle"
)

// verifier recomputes both chains and every total from the recorded steps, in order, and then compares what the journal says now.
type verifier struct {
	head     Head
	earlier  []Head
	records  map[Key]*verified
	balances map[balanceKey]int64
	limits   map[string]int64
}

type verified struct {
	seq    uint64
	status lifecycle.State
	head   [32]byte
	state  [32]byte
	at     time.Time // of the last step with an event
	seen   bool
}

func newVerifier(earlier []Head) *verifier {
	v := &verifier{earlier: slices.Clone(earlier), records: map[Key]*verified{}, balances: map[balanceKey]int64{}, limits: map[string]int64{}}
	slices.SortFunc(v.earlier, func(a, b Head) int { return cmp.Compare(a.Pos, b.Pos) })
	return v
}

func damaged(reason, record string, args ...any) error {
	return &DamageError{Record: fmt.Sprintf(record, args...), Reason: reason}
}

// name says which step it is, for a DamageError.
func (e *entry) name() string {
	if e.Key == (Key{}) {
		return fmt.Sprintf("step %d", e.Pos)
	}
	return fmt.Sprintf("step %d of %s", e.Pos, e.Key)
}

// step takes the next step as it was recorded, with the hash and the digests kept beside it.
func (v *verifier) step(e *entry, hash [32]byte, kept []part) error {
	if e.Pos != v.head.Pos+1 {
		return damaged("is missing", "step %d", v.head.Pos+1)
	}
	r := v.records[e.Key]
	if r == nil && e.Key != (Key{}) {
		r = &verified{head: firstPrev(e.Key), state: HashOf(nil)}
		v.records[e.Key] = r
	}
	if r == nil && len(e.Events) > 0 {
		return damaged("has events and no payment", "%s", e.name())
	}
	for i := range e.Events {
		if err := r.event(e.Key, &e.Events[i]); err != nil {
			return err
		}
	}
	if r != nil && r.seq != e.Seq {
		return damaged("is missing", "event %s seq %d", e.Key, min(r.seq, e.Seq)+1)
	}
	found := e.parts()
	for tag := range partNames {
		if a, b := digestOf(found, byte(tag)), digestOf(kept, byte(tag)); a != b {
			return damaged("not what was recorded", "%s of %s", partNames[tag], e.name())
		}
	}
	v.head.Pos++
	if h := stepHash(v.head.Hash, e, found); h != hash {
		return damaged("its hash does not continue the chain", "%s", e.name())
	}
	v.head.Hash = hash
	for len(v.earlier) > 0 && v.earlier[0].Pos <= e.Pos {
		if v.earlier[0] != v.head && v.earlier[0] != (Head{}) {
			return damaged("differs from the head kept elsewhere", "%s", e.name())
		}
		v.earlier = v.earlier[1:]
	}
	if e.State != nil && r != nil {
		r.state = *e.State
	}
	if len(e.Events) > 0 && r != nil {
		r.at = e.At
	}
	for _, p := range e.Postings {
		v.balances[balanceKey{p.Account, p.Amount.Currency}] += p.Amount.Minor
	}
	for _, l := range e.Limits {
		v.limits[l.Name] += l.Amount
	}
	if checkBalanced(e.Postings) != nil {
		return damaged("does not sum to zero", "posting of %s", e.name())
	}
	return nil
}

func digestOf(ps []part, tag byte) [32]byte {
	for _, p := range ps {
		if p.tag == tag {
			return p.hash
		}
	}
	return [32]byte{}
}

// event takes the next event of a payment. One that was stored without PrevHash gets it here.
func (r *verified) event(k Key, e *Event) error {
	if e.PrevHash == ([32]byte{}) {
		e.PrevHash = r.head
	}
	switch {
	case e.Seq != r.seq+1:
		return damaged("is missing", "event %s seq %d", k, r.seq+1)
	case e.PrevHash != r.head || eventHash(k, e) != e.Hash:
		return damaged("its hash does not fit its content and the event before", "event %s seq %d", k, e.Seq)
	case e.From != r.status || lifecycle.Check(k.Side, e.From, e.To) != nil:
		return damaged("not a transition of the state table", "event %s seq %d", k, e.Seq)
	}
	r.seq, r.status, r.head = e.Seq, e.To, e.Hash
	return nil
}

// record compares a payment's row with its chain.
func (v *verifier) record(r *Record, state [32]byte) error {
	c := v.records[r.Key]
	switch {
	case c == nil:
		return damaged("has no events", "payment %s", r.Key)
	case r.Seq != c.seq || r.Status != c.status || r.Head != c.head:
		return damaged("does not stand where its events end", "payment %s", r.Key)
	case !r.Updated.Equal(c.at):
		return damaged("its time is not that of its last step", "payment %s", r.Key)
	case state != c.state:
		return damaged("its state is not what was recorded", "payment %s", r.Key)
	}
	c.seen = true
	return nil
}

// balance compares an account with its postings.
func (v *verifier) balance(account string, c payments.Currency, minor int64) error {
	k := balanceKey{account, c}
	if v.balances[k] != minor {
		return damaged("is not the sum of its postings", "balance %s %s", account, c)
	}
	delete(v.balances, k)
	return nil
}

// limit compares a limit with its uses.
func (v *verifier) limit(name string, used int64) error {
	if v.limits[name] != used {
		return damaged("is not the sum of its uses", "limit %s", name)
	}
	delete(v.limits, name)
	return nil
}

// finish finds what is missing at the end.
func (v *verifier) finish(head Head) error {
	if head != v.head {
		return damaged(fmt.Sprintf("the last one found is %d", v.head.Pos), "step %d", max(head.Pos, v.head.Pos))
	}
	if len(v.earlier) > 0 && v.earlier[0] != (Head{}) {
		return damaged("a head kept elsewhere has it, the journal does not", "step %d", v.earlier[0].Pos)
	}
	var missing []string
	for k, r := range v.records {
		if !r.seen {
			missing = append(missing, "payment "+k.String())
		}
	}
	for k := range v.balances {
		missing = append(missing, "balance "+k.account+" "+string(k.currency))
	}
	for name := range v.limits {
		missing = append(missing, "limit "+name)
	}
	if len(missing) > 0 {
		return damaged("is missing", "%s", slices.Min(missing))
	}
	return nil
}
