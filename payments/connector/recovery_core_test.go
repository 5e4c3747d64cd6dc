package connector

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
)

// strategies are the four kinds of rail, the last one made up.
var strategies = map[rail.Recovery]*Core{}

func init() {
	for _, r := range []rail.Recovery{rail.Wait, rail.Ask, rail.ResendMarked, rail.ResendSame} {
		c := testCore()
		c.Recovery, c.Blind = r, r == rail.Wait
		strategies[r] = c
	}
}

func messageRefused() MessageRefused {
	return MessageRefused{Reason: "T505", Report: Evidence{Kind: "admi.002", Hash: Digest{7}}}
}

// shell is the least that a connector needs around Step: a journal, an outbox and timers. It dies before or after a write when told to.
type shell struct {
	t       *testing.T
	name    string
	cfg     *Core
	now     time.Time
	p       Payment
	rows    map[string][]byte // every outbox row ever recorded
	pending []string          // not carried out
	sent    []string          // rows whose bytes left, in order
	sentAt  []time.Time
	writes  int
	dieAt   int  // at which write, from 1; 0 is never
	after   bool // after the write is durable, else before
	cases   []CaseKind
	died    bool
}

// step takes one event. It returns false if the process died of it.
func (s *shell) step(ev Event) bool {
	if id := Stored(s.cfg, s.p, ev); id != "" {
		ev = WithStored(ev, s.rows[id])
	}
	after, effects, err := Step(s.cfg, s.p, s.now, ev)
	if err != nil {
		s.t.Fatalf("%s: %T: %v", s.name, ev, err)
	}
	if len(effects) == 0 {
		return true
	}
	d, err := JournalStep(after, 1, effects, noStatements{})
	if err != nil {
		s.t.Fatalf("%s: %T: %v", s.name, ev, err)
	}
	if s.p.State.Terminal() && after.State != s.p.State {
		s.t.Errorf("%s: %s after %s", s.name, after.State, s.p.State)
	}
	s.writes++
	if s.writes == s.dieAt && !s.after {
		return s.restart()
	}
	s.p = after
	for _, o := range d.Outbox {
		if o.Kind == OutboxRail {
			if _, twice := s.rows[o.ID]; twice {
				s.t.Errorf("%s: row %s twice", s.name, o.ID)
			}
			s.rows[o.ID] = o.Body
			s.pending = append(s.pending, o.ID)
		}
	}
	for _, id := range d.DoneOutbox {
		s.pending = slices.DeleteFunc(s.pending, func(x string) bool { return x == id })
	}
	for _, c := range d.Cases {
		s.cases = append(s.cases, CaseKind(c.Kind))
	}
	if s.writes == s.dieAt {
		return s.restart()
	}
	return true
}

// restart is the death of the process and its next life: what may have been sent is not sent again, and what is open is recovered.
func (s *shell) restart() bool {
	s.died = true
	s.pending = slices.DeleteFunc(s.pending, SentOnce)
	if s.p.State != lifecycle.None {
		s.step(Recovered{})
	}
	return false
}

// deliver carries out what is in the outbox.
func (s *shell) deliver() {
	for len(s.pending) > 0 {
		id := s.pending[0]
		s.pending = s.pending[1:]
		if IsTransfer(id) && s.p.State != lifecycle.Submitting || (IsEnquiry(id) || IsResend(id)) && !s.p.StepWanted(id) {
			continue
		}
		s.sent, s.sentAt = append(s.sent, id), append(s.sentAt, s.now)
		s.step(Sent{Row: id, Result: SentAccepted})
	}
}

// wait lets timers fire until the given time.
func (s *shell) wait(until time.Time) {
	for range 100 {
		var next *Timer
		for i := range s.p.TimersSet {
			if next == nil || s.p.TimersSet[i].At.Before(next.At) {
				next = &s.p.TimersSet[i]
			}
		}
		if next == nil || next.At.After(until) {
			break
		}
		if next.At.After(s.now) {
			s.now = next.At
		}
		s.step(TimerFired{Name: next.Name, At: next.At})
		s.deliver()
	}
	if until.After(s.now) {
		s.now = until
	}
}

// check holds for every history.
func (s *shell) check() {
	t, transfer := s.t, s.rows[transferRow]
	copies, asked := 0, 0
	for i, id := range s.sent {
		body := s.rows[id]
		switch {
		case IsTransfer(id):
			if i != 0 {
				t.Errorf("%s: the transfer left after %v", s.name, s.sent[:i])
			}
		case IsEnquiry(id):
			asked++
		case IsResend(id):
			copies++
			want := transfer
			if s.cfg.Recovery == rail.ResendMarked {
				want = append([]byte("again "), transfer...)
			}
			if !bytes.Equal(body, want) {
				t.Errorf("%s: %s has other bytes than the transfer: %q", s.name, id, body)
			}
		}
		if slices.Contains(s.sent[:i], id) {
			t.Errorf("%s: %s left twice", s.name, id)
		}
		if !IsTransfer(id) && s.sentAt[i].Before(s.p.Submitted.Add(s.cfg.Answer)) {
			t.Errorf("%s: %s left before the answer was overdue", s.name, id)
		}
	}
	if copies > 0 && !resends(s.cfg.Recovery) || asked > 0 && s.cfg.Recovery != rail.Ask || copies > maxSteps || asked > maxSteps {
		t.Errorf("%s: %d repetitions, %d questions", s.name, copies, asked)
	}
	if n := len(slices.DeleteFunc(slices.Clone(s.cases), func(k CaseKind) bool { return k != CaseUnknown })); n > 1 {
		t.Errorf("%s: %d cases", s.name, n)
	}
	if !s.p.State.Terminal() && !slices.Contains(s.cases, CaseUnknown) && s.p.State.MayHaveLeft() {
		t.Errorf("%s: %s, and nobody was asked to look", s.name, s.p.State)
	}
}

// TestRecoveryAtEveryWrite plays each strategy with each pattern of answers and dies at each write of it in turn, before it is durable and
// after: the exact bytes, in the recorded order, never too early and never too often, and the end that the first final word says.
func TestRecoveryAtEveryWrite(t *testing.T) {
	settledWord, refused, tooLate, duplicate := status(rail.Settled, "ACSC"), rejected("AC03"), rejected("TM01"), rejected("AM05")
	notFound := status(rail.NotFound, "RJCT")
	other := settledWord
	other.Amount = amount
	other.Amount.Minor++
	patterns := map[string]struct {
		events []Event // one in each of the intervals after: 4 s, 14 s, 17 s, 45 s, 150 s
		end    lifecycle.State
	}{
		"silence":                   {[]Event{nil, nil, nil, nil, nil}, lifecycle.Unknown},
		"late yes":                  {[]Event{nil, nil, settledWord, nil, settledWord}, lifecycle.Settled},
		"yes after the case":        {[]Event{nil, nil, nil, nil, settledWord}, lifecycle.Settled},
		"late no":                   {[]Event{nil, nil, refused, refused, nil}, lifecycle.Rejected},
		"too late":                  {[]Event{nil, nil, tooLate, nil, nil}, lifecycle.Rejected},
		"not found":                 {[]Event{nil, notFound, notFound, notFound, notFound}, lifecycle.Unknown},
		"refused as a duplicate":    {[]Event{nil, nil, duplicate, duplicate, nil}, ""},
		"duplicate, then yes":       {[]Event{nil, nil, nil, duplicate, settledWord}, ""},
		"yes, then contradicted":    {[]Event{nil, nil, settledWord, refused, tooLate}, lifecycle.Settled},
		"no, then contradicted":     {[]Event{nil, refused, settledWord, nil, settledWord}, lifecycle.Rejected},
		"another's amount":          {[]Event{nil, nil, other, other, nil}, lifecycle.Unknown},
		"prompt yes":                {[]Event{settledWord, settledWord, nil, nil, duplicate}, lifecycle.Settled},
		"message refused":           {[]Event{messageRefused(), nil, nil, nil, nil}, lifecycle.Rejected},
		"message refused, then yes": {[]Event{nil, nil, nil, messageRefused(), settledWord}, ""},
	}
	at := []time.Duration{4 * time.Second, 14 * time.Second, 17 * time.Second, 45 * time.Second, 150 * time.Second}
	deaths := 0
	for recovery, cfg := range strategies {
		for name, pattern := range patterns {
			for dieAt, died := 0, true; died; dieAt++ {
				for _, after := range []bool{false, true} {
					s := &shell{t: t, name: fmt.Sprintf("%s, %s, dies at %d (%t)", recovery, name, dieAt, after), cfg: cfg, now: t0, rows: map[string][]byte{}, dieAt: dieAt, after: after}
					for _, ev := range waysInto[lifecycle.Submitting] {
						if !s.step(ev) && !after { // not recorded: it comes again
							s.step(ev)
						}
					}
					s.deliver()
					begun := s.p.Submitted
					for i, ev := range pattern.events {
						s.wait(begun.Add(at[i]))
						if ev != nil && !s.step(ev) && !after {
							s.step(ev)
						}
						s.deliver()
					}
					s.wait(begun.Add(49 * time.Hour))
					s.check()
					want := pattern.end
					switch {
					case want != "":
					case name == "message refused, then yes":
						want = lifecycle.Rejected
						if resends(recovery) { // it may mean either copy
							want = lifecycle.Settled
						}
					case !resends(recovery): // refused by a participant, who was sent one
						want = lifecycle.Rejected
					case name == "duplicate, then yes":
						want = lifecycle.Settled
					default:
						want = lifecycle.Unknown
					}
					if s.p.State != want {
						t.Errorf("%s: ends %s (%s), want %s", s.name, s.p.State, s.p.Reason, want)
					}
					died = s.died || dieAt == 0
					if s.died {
						deaths++
					}
				}
			}
		}
	}
	if deaths < 500 {
		t.Errorf("only %d deaths", deaths)
	}
}

// What the journal has is what is sent again, or nothing is.
func TestResendOfOtherBytes(t *testing.T) {
	for recovery, cfg := range strategies {
		if !resends(recovery) {
			continue
		}
		p, _, _ := play(t, cfg, Payment{}, t0, waysInto[lifecycle.Unknown]...)
		at, _ := p.timer(TimerEnquiry)
		for _, stored := range [][]byte{nil, []byte("transfer EUR 12.51"), []byte("transfer EUR 12.50 ")} {
			after, effects, err := Step(cfg, p, at, TimerFired{Name: TimerEnquiry, At: at, Stored: stored})
			if err != nil || strings.Contains(words(effects), "send:") || !after.LadderDone || after.Resends != 0 {
				t.Errorf("%s: %q: %v %s", recovery, stored, err, words(effects))
			}
			if _, armed := after.timer(TimerCase); !armed {
				t.Errorf("%s: %q: no case is armed", recovery, stored)
			}
		}
	}
}

// A rail that never had the transfer would pay it when it comes: so it is not sent again when a person would long have been asked.
func TestNoResendLongAfter(t *testing.T) {
	cfg := strategies[rail.ResendMarked]
	p, _, _ := play(t, cfg, Payment{}, t0, waysInto[lifecycle.Submitting]...)
	late, _, _ := play(t, cfg, p, t0.Add(time.Hour), Recovered{})
	if _, armed := late.timer(TimerEnquiry); armed {
		t.Error("a repetition is armed an hour after the submission")
	}
	p, _, _ = play(t, cfg, p, t0.Add(5*time.Second), Recovered{})
	at, _ := p.timer(TimerEnquiry)
	_, wire, _ := cfg.Messages.Transfer(p, p.Submitted)
	after, effects, err := Step(cfg, p, at.Add(time.Hour), TimerFired{Name: TimerEnquiry, At: at, Stored: wire})
	if err != nil || strings.Contains(words(effects), "send:") || !after.LadderDone {
		t.Errorf("%v %s", err, words(effects))
	}
}

// A refusal at the door of one copy says nothing about the other.
func TestRefusedAtTheDoorAfterAResend(t *testing.T) {
	cfg := strategies[rail.ResendMarked]
	p, _, now := play(t, cfg, Payment{}, t0, waysInto[lifecycle.Unknown]...)
	at, _ := p.timer(TimerEnquiry)
	p, effects, now := play(t, cfg, p, now, TimerFired{Name: TimerEnquiry, At: at})
	if p.Resends != 1 || !strings.Contains(words(effects), "send:pacs.008") {
		t.Fatalf("%d repetitions: %s", p.Resends, words(effects))
	}
	for _, row := range []string{transferRow, strings.Replace(transferRow, "transfer", "again-1", 1)} {
		after, effects, err := Step(cfg, p, now, Sent{Row: row, Result: SentRefused, Reason: "x"})
		if err != nil || after.State != lifecycle.Unknown || strings.Contains(words(effects), "core:") {
			t.Errorf("%s: %v %s: %s", row, err, after.State, words(effects))
		}
	}
	after, effects, err := Step(cfg, p, now, messageRefused())
	if err != nil || after.State != lifecycle.Unknown || !strings.Contains(words(effects), "=rail.message_refused") {
		t.Errorf("%v %s: %s", err, after.State, words(effects))
	}
}

// A refusal as a duplicate is one of the rail's own words that do not end a payment, also when it was sent once.
func TestDuplicateRefusedByTheRail(t *testing.T) {
	for recovery, cfg := range strategies {
		for _, reason := range duplicateReasons {
			word := rejected(reason)
			word.By = rail.Service
			p, _, now := play(t, cfg, Payment{}, t0, waysInto[lifecycle.Submitted]...)
			p, effects, _ := play(t, cfg, p, now, word)
			if p.State != lifecycle.Submitted || words(effects) != "=rail.duplicate_refused" {
				t.Errorf("%s: %s: %s: %s", recovery, reason, p.State, words(effects))
			}
		}
	}
}

// Where a report names its original by the end-to-end id only, no refusal of another transfer with that id may leave: it would be one of the
// transfer that we accepted.
func TestSameEndToEndIDOnPix(t *testing.T) {
	for byEndToEnd, want := range map[bool]int{false: 1, true: 0} {
		cfg := creditorCore()
		cfg.ByEndToEnd = byEndToEnd
		p, _, now := play(t, cfg, Payment{}, t0, incoming())
		other := incoming()
		other.Execution.UETR, other.Execution.MessageID = "", "M2"
		p, effects, _ := play(t, cfg, p, now, other)
		if got := strings.Count(words(effects), "send:"); got != want || !strings.Contains(words(effects), "case:contradiction") || p.State != lifecycle.Accepted {
			t.Errorf("by end-to-end id %t: %s: %s", byEndToEnd, p.State, words(effects))
		}
	}
}

// The stored answer goes out again only if its bytes are those that were recorded.
func TestRepeatedAnswerIsTheStoredOne(t *testing.T) {
	cfg := creditorCore()
	p, effects, now := play(t, cfg, Payment{}, t0, incoming())
	var first []byte
	for _, e := range effects {
		if m, ok := e.(SendRail); ok {
			first = m.Wire
		}
	}
	for _, marked := range []bool{false, true} {
		again := incoming()
		again.Marked = marked
		for _, stored := range [][]byte{first, nil, []byte("answer other")} {
			again.Stored = stored
			after, effects, err := Step(cfg, p, now, again)
			if err != nil || after.State != p.State {
				t.Fatalf("%v %s", err, after.State)
			}
			sent := 0
			for _, e := range effects {
				if m, ok := e.(SendRail); ok {
					sent++
					if journal.HashOf(m.Wire) != journal.HashOf(first) {
						t.Errorf("%q is sent", m.Wire)
					}
				}
			}
			if want := bytes.Equal(stored, first); want != (sent == 1) {
				t.Errorf("stored %q: %d answers", stored, sent)
			}
		}
	}
}
