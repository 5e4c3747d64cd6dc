package journal

import (
	"fmt"
	"math"
	"time"

	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/lifecycle"
)

// Bounds of a step. They are far above what a connector needs and keep one caller's mistake out of everybody's commit.
const (
	maxText  = 512      // bytes of a name, id or class
	maxData  = 64 << 10 // bytes of an event's, code's, key's or nonce's data
	maxBody  = 1 << 20  // bytes of an outbox body or of a payment's state
	maxItems = 256      // entries in any list of a step
)

var (
	earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// checker collects the first thing that is wrong with a step's form.
type checker struct{ err error }

func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
	}
}

// text refuses a text that is empty or too long. It never repeats the text.
func (c *checker) text(what, s string) {
	if s == "" {
		c.fail("%s is empty", what)
	} else if len(s) > maxText {
		c.fail("%s is longer than %d bytes", what, maxText)
	}
}

func (c *checker) size(what string, n, max int) {
	if n > max {
		c.fail("%s: %d bytes or entries, at most %d", what, n, max)
	}
}

func (c *checker) time(what string, t time.Time, optional bool) {
	if t.IsZero() && optional {
		return
	}
	if t.Before(earliest) || t.After(latest) {
		c.fail("%s is not a time between 2000 and 2200", what)
	}
}

// check refuses a step that could not be recorded in any journal, before a transaction is opened for it.
func (s *Step) check() error {
	c := &checker{}
	c.time("step time", s.At, false)
	c.key(s)
	for i := range s.Events {
		e := &s.Events[i]
		c.text("event type", e.Type)
		c.size("event data", len(e.Data), maxData)
		c.size("evidence kind", len(e.EvidenceKind), maxText)
		c.time("event time", e.At, true)
		if e.From != e.To && e.EvidenceKind == "" {
			c.fail("event %q changes the state without evidence", e.Type)
		}
	}
	c.size("state", len(s.State), maxBody)
	for _, k := range s.Keys {
		c.text("index key", k.Kind)
		c.text("index key", k.Value)
	}
	timers := map[string]bool{}
	for _, t := range s.SetTimers {
		c.text("timer name", t.Name)
		c.time("timer time", t.At, false)
		c.once("timer", timers, t.Name)
	}
	for _, name := range s.ClearTimers {
		c.once("timer", timers, name)
	}
	claims := map[string]bool{}
	for _, cl := range s.Claims {
		c.text("claim", cl.Kind)
		c.text("claim", cl.Value)
		c.once("claim", claims, cl.Kind+"\x00"+cl.Value)
	}
	limits := map[string]bool{}
	for _, l := range s.Limits {
		c.text("limit", l.Name)
		c.once("limit", limits, l.Name)
	}
	if s.Inbox != nil {
		c.text("inbox sender", s.Inbox.Sender)
		c.text("inbox id", s.Inbox.ID)
	}
	c.outbox(s)
	c.registry(s)
	cases := map[string]bool{}
	for _, d := range s.Cases {
		c.text("case id", d.ID)
		c.text("case kind", d.Kind)
		c.size("case detail", len(d.Detail), maxData)
		c.once("case", cases, d.ID)
	}
	for _, d := range s.CloseCases {
		c.text("case id", d.ID)
		c.text("case resolution", d.Resolution)
		c.once("case", cases, d.ID)
	}
	cursors := map[string]bool{}
	for _, cu := range s.Cursors {
		c.text("cursor", cu.Name)
		if cu.Value > math.MaxInt64 {
			c.fail("cursor %q is above 2⁶³−1", cu.Name)
		}
		c.once("cursor", cursors, cu.Name)
	}
	for what, n := range map[string]int{"events": len(s.Events), "keys": len(s.Keys), "timers": len(s.SetTimers) + len(s.ClearTimers),
		"postings": len(s.Postings), "claims": len(s.Claims), "limits": len(s.Limits), "outbox": len(s.Outbox),
		"done outbox": len(s.DoneOutbox), "retries": len(s.RetryOutbox), "cases": len(s.Cases) + len(s.CloseCases),
		"cursors": len(s.Cursors), "codes": len(s.NewCodes), "registry keys": len(s.PutKeys), "nonces": len(s.Nonces), "values": len(s.Puts)} {
		if n > maxItems {
			c.size(what, n, maxItems)
			break
		}
	}
	if c.err != nil {
		return c.err
	}
	return checkBalanced(s.Postings)
}

func (c *checker) once(what string, seen map[string]bool, name string) {
	if seen[name] {
		c.fail("the same %s twice in one step", what)
	}
	seen[name] = true
}

func (c *checker) key(s *Step) {
	if s.Key == (Key{}) {
		if s.ExpectedSeq != 0 || len(s.Events) > 0 || s.State != nil || len(s.Keys) > 0 || len(s.SetTimers) > 0 || len(s.ClearTimers) > 0 || len(s.Postings) > 0 {
			c.fail("events, state, index keys, timers and postings belong to a payment; the step names none")
		}
		return
	}
	c.text("intent", string(s.Key.Intent))
	if s.Key.Side != lifecycle.Debtor && s.Key.Side != lifecycle.Creditor {
		c.fail("side is neither debtor nor creditor")
	}
	if len(s.Events) > 0 {
		return
	}
	if s.ExpectedSeq == 0 {
		c.fail("a payment begins with an event")
	}
	if s.State != nil || len(s.Postings) > 0 {
		c.fail("state and postings change only together with an event")
	}
}

func (c *checker) outbox(s *Step) {
	seen := map[string]bool{}
	for i := range s.Outbox {
		o := &s.Outbox[i]
		c.text("outbox id", o.ID)
		c.text("outbox kind", o.Kind)
		c.size("outbox destination", len(o.Dest), maxText)
		c.size("outbox body", len(o.Body), maxBody)
		c.time("outbox time", o.NotBefore, true)
		c.once("outbox id", seen, o.ID)
	}
	for _, id := range s.DoneOutbox {
		c.text("outbox id", id)
		c.once("outbox id", seen, id)
	}
	for _, r := range s.RetryOutbox {
		c.text("outbox id", r.ID)
		c.size("retry error", len(r.Error), maxText)
		c.time("retry time", r.NotBefore, false)
		c.once("outbox id", seen, r.ID)
	}
}

func (c *checker) registry(s *Step) {
	codes, kids, nonces := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, code := range s.NewCodes {
		c.text("code id", code.ID)
		c.size("code data", len(code.Data), maxData)
		c.time("code expiry", code.Expires, false)
		if code.Attempts < 1 || code.Attempts > maxItems {
			c.fail("a code allows 1 to %d attempts", maxItems)
		}
		c.once("code", codes, code.ID)
	}
	c.size("code id", len(s.UseCode), maxText)
	c.size("code id", len(s.MissCode), maxText)
	if s.UseCode != "" {
		c.once("code", codes, s.UseCode)
	}
	if s.MissCode != "" {
		c.once("code", codes, s.MissCode)
	}
	for _, k := range s.PutKeys {
		c.text("kid", k.KID)
		c.text("key owner", k.Owner)
		c.text("key status", k.Status)
		c.size("key data", len(k.Data), maxData)
		c.time("key from", k.From, false)
		c.time("key to", k.To, true)
		c.once("kid", kids, k.KID)
	}
	for _, n := range s.Nonces {
		c.text("nonce", n.Nonce)
		c.size("nonce data", len(n.Data), maxData)
		c.time("nonce expiry", n.Expires, false)
		c.once("nonce", nonces, n.Nonce)
	}
	values := map[string]bool{}
	for _, p := range s.Puts {
		c.text("value table", p.Table)
		c.text("value key", p.Key)
		c.size("value", len(p.Value), maxData)
		c.once("value", values, p.Table+"\x00"+p.Key)
	}
}

// checkBalanced returns ErrUnbalanced unless the postings of each entry sum to zero in each currency, without overflow.
func checkBalanced(ps []Posting) error {
	type line struct {
		entry    string
		currency payments.Currency
	}
	sums := make(map[line]int64, 2)
	for _, p := range ps {
		if p.Entry == "" || p.Account == "" || len(p.Entry) > maxText || len(p.Account) > maxText {
			return fmt.Errorf("%w: posting without entry or account", ErrInvalid)
		}
		if _, ok := p.Amount.Currency.Digits(); !ok || p.Amount.Minor == 0 {
			return fmt.Errorf("%w: posting of zero or in an unknown currency", ErrInvalid)
		}
		l := line{p.Entry, p.Amount.Currency}
		sum, ok := addMinor(sums[l], p.Amount.Minor)
		if !ok {
			return fmt.Errorf("%w: entry %q overflows", ErrUnbalanced, p.Entry)
		}
		if sums[l] = sum; sum == 0 {
			delete(sums, l)
		}
	}
	for _, p := range ps { // in the order given, so that the error is the same each time
		if sum, open := sums[line{p.Entry, p.Amount.Currency}]; open {
			return fmt.Errorf("%w: entry %q is off by %d %s", ErrUnbalanced, p.Entry, sum, p.Amount.Currency)
		}
	}
	return nil
}

// follow returns the events that the step appends to a record, numbered and chained. It fails with ErrConflict or, for a step that
// the state table does not have, with a lifecycle.TransitionError.
func (s *Step) follow(r *Record) ([]Event, error) {
	if r.Seq != s.ExpectedSeq {
		return nil, fmt.Errorf("%w: %s is at seq %d, the step expects %d", ErrConflict, s.Key, r.Seq, s.ExpectedSeq)
	}
	prev, status := r.Head, r.Status
	if r.Seq == 0 {
		prev = firstPrev(s.Key)
	}
	events := make([]Event, len(s.Events))
	for i, d := range s.Events {
		if d.From != status {
			return nil, fmt.Errorf("%w: event %q starts at %q, the payment is %q", ErrInvalid, d.Type, d.From, status)
		}
		if err := lifecycle.Check(s.Key.Side, d.From, d.To); err != nil {
			return nil, fmt.Errorf("journal: event %q: %w", d.Type, err)
		}
		if d.At.IsZero() {
			d.At = s.At
		}
		d.At, d.Data, status = moment(nanos(d.At)), clone(d.Data), d.To
		e := Event{Draft: d, Seq: r.Seq + uint64(i) + 1, PrevHash: prev}
		e.Hash = eventHash(s.Key, &e)
		events[i], prev = e, e.Hash
	}
	return events, nil
}

// usable returns nil when a code may be used at the time, else a *CodeError.
func (c *Code) usable(now time.Time) error {
	switch {
	case !c.Used.IsZero():
		return &CodeError{"used"}
	case c.Attempts <= 0:
		return &CodeError{"no attempts left"}
	case !now.Before(c.Expires):
		return &CodeError{"expired"}
	}
	return nil
}

// after returns what of a limit is used after u.
func (u LimitUse) after(used int64) (int64, error) {
	sum, ok := addMinor(used, u.Amount)
	if !ok || sum < 0 || (u.Amount > 0 && sum > u.Max) {
		return 0, &LimitError{LimitUse: u, Used: used}
	}
	return sum, nil
}
