package connector

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/parleypay/parley/internal/trace"
	"github.com/parleypay/parley/payments"
	"github.com/parleypay/parley/payments/intent"
	"github.com/parleypay/parley/payments/journal"
	"github.com/parleypay/parley/payments/lifecycle"
	"github.com/parleypay/parley/payments/rail"
)

// sendRail hands one message to the rail's transport.
func (e *Engine) sendRail(ctx context.Context, row journal.OutboxRow, attempt int) (time.Duration, bool) {
	transfer, ladder := IsTransfer(row.ID), IsEnquiry(row.ID) || IsResend(row.ID)
	if ladder {
		p, err := e.Payment(ctx, row.Key)
		if err != nil {
			return time.Second, false
		}
		if !p.StepWanted(row.ID) {
			e.done(row.ID)
			return 0, true
		}
	}
	if transfer {
		p, err := e.Payment(ctx, row.Key)
		if err != nil {
			return time.Second, false
		}
		if p.State != lifecycle.Submitting {
			e.done(row.ID) // decided otherwise before a byte left
			return 0, true
		}
		if !e.now().Before(p.Deadline) {
			return e.sent(ctx, row, Sent{Row: row.ID, Result: SentNot})
		}
	}
	sendCtx, cancel := context.WithTimeout(ctx, e.cfg.SendTimeout)
	defer cancel()
	begun := time.Now()
	err := e.cfg.Transport.Send(sendCtx, row.Body)
	e.cfg.Metrics.Observe(LegSend, time.Since(begun))
	if err == nil {
		e.cfg.Metrics.Count(MetricRail, row.Dest+".sent")
		ev := trace.Event{Event: row.Dest + " sent", Intent: string(row.Key.Intent)}
		if IsResend(row.ID) {
			ev.Event += " again"
		}
		if transfer {
			ev.Status = string(lifecycle.Submitted)
			e.emit(ev)
			e.recordSent(ctx, row)
			return 0, true
		}
		if p, err := e.Payment(ctx, row.Key); err == nil {
			ev.Status, ev.Detail = string(p.State), p.answerFor(row.Dest)
		}
		e.emit(ev)
		return e.sent(ctx, row, Sent{Row: row.ID, Result: SentAccepted})
	}
	result, reason := sendResult(err)
	if e.core.Blind && answered(err) {
		result = SentAmbiguous
	}
	e.cfg.Metrics.Count(MetricRail, row.Dest+"."+result.String())
	wait := backoff(attempt, 2*time.Second)
	switch {
	case result == SentNot && transfer:
		p, err := e.Payment(ctx, row.Key)
		if err == nil && p.State == lifecycle.Submitting && e.now().Add(wait).Before(p.Deadline) {
			return wait, false // not a byte arrived: the same bytes again
		}
	case transfer:
	case ladder && result == SentAmbiguous, attempt >= 12:
		result = SentAmbiguous // a step of the ladder has its budget, an answer its time
	case result != SentRefused:
		return wait, false // an answer moves nothing by itself: the same bytes again
	}
	return e.sent(ctx, row, Sent{Row: row.ID, Result: result, Reason: reason})
}

// recordSent records in a moment that the rail took a transfer. Where the rail answers within that moment, the answer proves it, and
// one write and one receipt say both. A crash in between leaves submitting, as a crash right before would.
func (e *Engine) recordSent(ctx context.Context, row journal.OutboxRow) {
	e.sents.Go(func() {
		moment := time.NewTimer(e.cfg.SentWait)
		defer moment.Stop()
		select {
		case <-moment.C:
		case <-e.flush:
		}
		e.sent(ctx, row, Sent{Row: row.ID, Result: SentAccepted})
	})
}

// sent records what became of a message.
func (e *Engine) sent(ctx context.Context, row journal.OutboxRow, ev Sent) (time.Duration, bool) {
	if err := e.apply(ctx, row.Key, ev, extra{done: row.ID}); err != nil {
		// The message is out and its record is not: it must not be sent again by this process. The next one finds submitting.
		e.cfg.Metrics.Count(MetricError, "rail")
		e.cfg.Log.Error("send not recorded", "intent", string(row.Key.Intent), "message", row.Dest, "error", err)
	}
	return 0, true
}

// answerFor returns our answer, for the trace of a pacs.002.
func (p Payment) answerFor(kind string) string {
	if kind == "pacs.002" {
		return strings.TrimSpace(p.Answer + " " + p.AnswerReason)
	}
	return ""
}

func (r SendResult) String() string {
	return [...]string{"ambiguous", "sent", "refused", "not_sent"}[min(r, SentNot)]
}

// answered reports whether a send failed with an answer, and not for want of one.
func answered(err error) bool {
	var s *rail.SendError
	return errors.As(err, &s) && s.Status != 0
}

func sendResult(err error) (SendResult, string) {
	var s *rail.SendError
	if !errors.As(err, &s) {
		return SentAmbiguous, ""
	}
	switch s.Outcome {
	case payments.OutcomeNotSent:
		return SentNot, ""
	case payments.OutcomeRefused:
		if len(s.Faults) > 0 {
			return SentRefused, word(s.Faults[0].Rule)
		}
		return SentRefused, "transport_refused"
	}
	return SentAmbiguous, ""
}

// word makes a reason out of a rule's name: at most 35 of the characters that statements take.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, s)
	return s[:min(len(s), 35)]
}

// callCore carries out one call to the core bank.
func (e *Engine) callCore(ctx context.Context, row journal.OutboxRow, attempt int) (time.Duration, bool) {
	c, err := DecodeCoreCall(row.Body)
	if err != nil {
		e.cfg.Metrics.Count(MetricError, "core")
		e.cfg.Log.Error("stored call", "intent", string(row.Key.Intent), "error", err)
		return time.Minute, false
	}
	ev := CoreAnswered{Op: c.Op, OK: true}
	callCtx, cancel := context.WithTimeout(ctx, e.cfg.CoreTimeout)
	defer cancel()
	switch c.Op {
	case CoreReserve:
		err = e.cfg.Core.Reserve(callCtx, c.Key, c.Account, c.Amount)
	case CorePost:
		err = e.cfg.Core.Post(callCtx, c.Key)
	case CoreRelease:
		err = e.cfg.Core.Release(callCtx, c.Key)
	case CoreCredit:
		ev.Ref, err = e.cfg.Core.Credit(callCtx, c.Key, c.Account, c.Amount)
	}
	if err != nil {
		var refused *CoreError
		if !errors.As(err, &refused) {
			e.cfg.Metrics.Count(MetricCore, string(c.Op)+".retry")
			return backoff(attempt, 5*time.Second), false
		}
		ev.OK, ev.Reason = false, word(refused.Reason)
		e.cfg.Metrics.Count(MetricCore, string(c.Op)+".refused")
	} else {
		e.cfg.Metrics.Count(MetricCore, string(c.Op)+".ok")
	}
	if c.Op == CoreReserve && ev.OK {
		if ev.KeyRevoked, err = e.keyRevoked(ctx, row.Key); err != nil {
			e.readFailed(ctx, err)
			return time.Second, false
		}
	}
	if err := e.apply(ctx, row.Key, ev, extra{done: row.ID}); err != nil {
		e.cfg.Metrics.Count(MetricError, "core")
		e.cfg.Log.Error("core bank's answer not recorded", "intent", string(row.Key.Intent), "call", string(c.Op), "error", err)
		return time.Second, false
	}
	return 0, true
}

// sendChat hands one message to a chat.
func (e *Engine) sendChat(ctx context.Context, row journal.OutboxRow, attempt int) (time.Duration, bool) {
	m, err := DecodeChatMessage(row.Body)
	if err == nil {
		begun := time.Now()
		err = e.cfg.Chat.Send(ctx, row.Dest, row.ID, m.MediaType, m.Body, m.Fallback)
		e.cfg.Metrics.Observe(LegChat, time.Since(begun))
	}
	if errors.Is(err, ErrChatGone) {
		e.cfg.Metrics.Count(MetricChat, "gone")
		e.cfg.Log.Warn("a customer has left the chat with the bank; the message stays in the journal", "message", sentName(m.MediaType), "intent", string(row.Key.Intent))
		e.done(row.ID)
		return 0, true
	}
	if err != nil {
		e.cfg.Metrics.Count(MetricChat, "retry")
		return backoff(attempt, 30*time.Second), false
	}
	e.cfg.Metrics.Count(MetricChat, "sent")
	e.emit(trace.Event{Event: sentName(m.MediaType), Intent: string(row.Key.Intent), Status: m.Status})
	e.done(row.ID)
	return 0, true
}

// sentName names the trace event of a message to a chat.
func sentName(mediaType string) string {
	switch mediaType {
	case intent.MediaReceipt:
		return "receipt sent"
	case intent.MediaCredited:
		return "notice sent"
	case intent.MediaRefusal:
		return "refusal sent"
	case intent.MediaPayeeCheck:
		return "payee check sent"
	case intent.MediaEnrolment:
		return "enrolment sent"
	}
	return "message sent"
}

// mark is a note that nobody waits for: an outbox row that was carried out, or how far a source was read. Losing it in a crash repeats
// a call or message under the same key.
type mark struct {
	row    string
	cursor journal.Cursor
}

// done marks an outbox row as carried out, soon.
func (e *Engine) done(id string) { e.marks <- mark{row: id} }

const (
	marksMax  = 200
	marksWait = 50 * time.Millisecond
)

// markDone writes the marks in groups until stop closes.
func (e *Engine) markDone(stop <-chan struct{}) {
	for {
		var first mark
		select {
		case first = <-e.marks:
		default:
			select {
			case first = <-e.marks:
			case <-stop:
				return
			}
		}
		step := journal.Step{At: e.now()}
		add := func(m mark) {
			if m.row != "" && !slices.Contains(step.DoneOutbox, m.row) {
				step.DoneOutbox = append(step.DoneOutbox, m.row)
			}
			if m.cursor.Name != "" {
				step.Cursors = []journal.Cursor{m.cursor} // there is one source, and it is read forwards
			}
		}
		add(first)
		gather := time.NewTimer(marksWait)
	more:
		for len(step.DoneOutbox) < marksMax {
			select {
			case m := <-e.marks:
				add(m)
			case <-gather.C:
				break more
			case <-stop: // nothing is added any more: take what is there
				select {
				case m := <-e.marks:
					add(m)
				default:
					break more
				}
			}
		}
		gather.Stop()
		if err := e.cfg.Journal.Apply(context.Background(), step); err != nil {
			e.fatal(err)
		}
	}
}
